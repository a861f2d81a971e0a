#include "host/analysis/probe.h"
#include "host/analysis/gnuplot.h"
#include "host/base/locale.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    hb_status (*run)(hb_probe_run *p, hb_error *error);
    int64_t at; // when it disturbs a life; 0: it does not, or not at one step
    bool plots; // by gnuplot
} probes[] = {{"images", hb_probe_images, 0, false}, {"pca", hb_probe_pca, 0, true},
              {"freeze", hb_probe_freeze, 0, true},  {"saturate", hb_probe_saturate, 300, true},
              {"zero", hb_probe_zero, 500, true},    {"init", hb_probe_init, 0, true}};

enum { PROBES = sizeof probes / sizeof *probes };

static hb_status find(const char *name, int *which, hb_error *error) {
    char names[256] = "";
    for (*which = 0; *which < PROBES; ++*which) {
        if (strcmp(probes[*which].name, name) == 0) return HB_OK;
        const size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", *which ? ", " : "", probes[*which].name);
    }
    return hb_fail(error, HB_BAD_INPUT, "--what: expected one of %s, found '%s'", names, name);
}

void hb_probe_file(const hb_probe_run *p, const char *name, char path[HB_PATH]) {
    hb_path(path, p->folder, name);
}

hb_status hb_probe_long_life(hb_probe_run *p, int64_t steps, int64_t *birth, hb_error *error) {
    int64_t longest = -1;
    for (int64_t k = 0; k < 10 && longest < steps; k++) {
        int64_t lived = 0;
        hb_status status = hb_life_begin(p->life, k, error);
        for (; status == HB_OK && p->life->outcome == HB_ENV_RUNNING && lived < steps; lived++)
            status = hb_life_step(p->life, error);
        if (status != HB_OK) return status;
        if (lived > longest) *birth = k;
        if (lived > longest) longest = lived;
    }
    return HB_OK;
}

// What can be said before a life is lived.
static hb_status check(const hb_probe_run *p, int which, hb_error *error) {
    const char *out = p->def->out;
    if (strpbrk(out, "'\"`\n")) return hb_fail(error, HB_BAD_INPUT, "--out: a folder of plots has no quotes");
    if (p->def->at > 0 && probes[which].at == 0)
        return hb_fail(error, HB_BAD_INPUT, "--at: '%s' does not disturb a life at one step", probes[which].name);
    if (probes[which].at > 0 && p->at >= p->most)
        return hb_fail(error, HB_BAD_INPUT, "--at: a life has %lld steps, and is to be disturbed at %lld",
                       (long long)p->most, (long long)p->at);
    return HB_OK;
}

hb_status hb_probe(const char *source, const char *const *sets, int n_sets, const hb_probe_def *def,
                   hb_probed *probed, hb_error *error) {
    HB_NUMBERS_WITH_POINTS;
    int which;
    hb_status status = find(def->what, &which, error);
    if (status != HB_OK) return status;
    hb_life life;
    hb_probe_run p = {.def = def, .source = source, .sets = sets, .n_sets = n_sets, .life = &life};
    status = hb_life_open(source, sets, n_sets, &(hb_life_def){def->individual, def->variation}, &life, error);
    life.stop = def->stop;
    if (status == HB_OK) {
        const int32_t all = life.trainer.world.shape.max_steps;
        p.most = def->steps > 0 && def->steps < all ? def->steps : all;
        p.at = def->at > 0 ? def->at : probes[which].at;
        status = check(&p, which, error);
    }
    if (status == HB_OK && probes[which].plots) status = hb_gnuplot_check(error);
    if (status == HB_OK) status = hb_folder_begin(def->out, p.folder, error);
    if (status == HB_OK) status = hb_folder_finish(p.folder, def->out, probes[which].run(&p, error), error);
    *probed = (hb_probed){p.lives, p.steps};
    hb_life_close(&life);
    return status;
}
