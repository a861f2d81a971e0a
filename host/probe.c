#include "host/probe.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *name;
    hb_status (*run)(hb_probe_run *p, hb_error *error);
} probes[] = {{"images", hb_probe_images},     {"pca", hb_probe_pca},   {"freeze", hb_probe_freeze},
              {"saturate", hb_probe_saturate}, {"zero", hb_probe_zero}, {"init", hb_probe_init}};

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
    hb_path(path, p->def->out, name);
}

hb_status hb_probe(const char *source, const char *const *sets, int n_sets, const hb_probe_def *def,
                   hb_probed *probed, hb_error *error) {
    int which;
    hb_status status = find(def->what, &which, error);
    if (status != HB_OK) return status;
    hb_one_life life;
    hb_probe_run p = {.def = def, .source = source, .sets = sets, .n_sets = n_sets, .life = &life};
    status = hb_life_open(source, sets, n_sets, &(hb_life_def){def->individual, def->variation}, &life, error);
    rmdir(def->out); // what a probe that was stopped left, empty
    if (status == HB_OK && mkdir(def->out, 0777) != 0)
        status = hb_fail(error, HB_BAD_INPUT, "--out: cannot make the folder '%s': %m", def->out);
    if (status == HB_OK) {
        status = probes[which].run(&p, error);
        if (status != HB_OK) rmdir(def->out);
    }
    *probed = (hb_probed){p.lives, p.steps};
    hb_life_close(&life);
    return status;
}
