// The mixture of shared rules: drawing all choices, and the whole gradient with lambda's step, per individual, against
// the number of rules. Limit: the normals of all samples alone, and lambda read twice and written once at the bandwidth
// of a copy.
#include "bench/bench.h"
#include "host/base/machine.h"
#include "host/policy/policy.h"
#include "host/search/search.h"
#include "host/train/rollout.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    hb_search *search;
    double *fitness;
    hb_status status;
    hb_error *error;
} gmm;

static void ask(void *context) {
    gmm *g = context;
    if (g->status == HB_OK) g->status = hb_search_prepare(g->search, g->search->settings->population, 0, g->error);
}

static void tell(void *context) {
    gmm *g = context;
    if (g->status == HB_OK) g->status = g->search->method->update(g->search, g->fitness, g->error);
}

// Seconds of one normal on one core, sampled 64 at a time.
static double normal_seconds(const hb_machine *machine, float *mean, float *h) {
    const hb_genome genome = {.mean = mean, .sigma = 0.1f, .noise = {.seed = 1, .stream = HB_STREAM_SEARCH}};
    double fastest = 1e300;
    for (int repeat = 0; repeat < 20; repeat++) {
        const double begun = hb_now();
        machine->table->sample(machine->device, &genome, h, 0, 2048, NULL);
        const double taken = (hb_now() - begun) / 2048;
        fastest = taken < fastest ? taken : fastest;
    }
    return fastest;
}

// Bytes a second of a copy of 64 MB on one core.
static double copy_bandwidth(void) {
    const size_t n = (size_t)64 << 20;
    char *from = malloc(n), *to = malloc(n);
    double fastest = 1e300;
    if (from && to) memset(from, 1, n), memset(to, 2, n);
    for (int repeat = 0; from && to && repeat < 5; repeat++) {
        const double begun = hb_now();
        memcpy(to, from, n);
        const double taken = hb_now() - begun;
        fastest = taken < fastest ? taken : fastest;
    }
    free(from);
    free(to);
    return 2.0 * (double)n / fastest;
}

static hb_status bench_rules(hb_machine *machine, const hb_settings *settings, const hb_net *net, const char *env,
                             const hb_bench_out *out, hb_error *error) {
    hb_search search;
    hb_status status = hb_search_create(&search, machine, settings, net, error);
    if (status != HB_OK) return status;
    const int64_t population = settings->population;
    gmm g = {.search = &search, .error = error, .status = HB_OK};
    g.fitness = calloc((size_t)population, sizeof *g.fitness);
    if (!g.fitness) status = hb_fail(error, HB_FAILED, "out of memory");
    for (int64_t s = 0; status == HB_OK && s < population; s++) g.fitness[s] = (double)(s * 7919 % population);
    if (status == HB_OK) {
        const double threads = hb_pool_threads(machine->pool), n = (double)net->n_weights,
                     m = (double)settings->rules;
        float *h = search.array[0].data;
        float *scratch = calloc(2048, sizeof *scratch);
        const double normal = scratch && search.array[0].n >= 2048 ? normal_seconds(machine, h, scratch) : 0;
        free(scratch);
        const double samples = (double)population * n * net->rule->n_coefficients;
        const double limit = samples * normal / threads + 12.0 * n * m / (threads * copy_bandwidth());
        int64_t repeats;
        char name[96];
        const double asking = hb_bench_fastest(ask, &g, 0.5, &repeats);
        const double telling = hb_bench_fastest(tell, &g, 0.5, &repeats);
        snprintf(name, sizeof name, "gmm.%s.M%lld%s", env, (long long)settings->rules,
                 strcmp(settings->gradient, "dense") == 0 ? ".dense" : "");
        hb_bench_row_out(out, name, 1e3 * (asking + telling) / (double)population, "ms",
                         1e3 * limit / (double)population,
                         "an individual, all threads: normals alone, lambda read twice and written once", repeats);
        snprintf(name, sizeof name, "gmm.%s.M%lld.choose", env, (long long)settings->rules);
        hb_bench_row_out(out, name, asking, "s", -1, "", repeats);
        status = g.status;
    }
    free(g.fitness);
    hb_search_destroy(&search);
    return status;
}

hb_status hb_bench_gmm(const hb_config *config, const hb_bench_out *out, hb_error *error) {
    static const int32_t rules[] = {1, 12, 96, 192, 384, 768, 1536, 3072, 6144, 12288};
    hb_settings settings = config->settings;
    snprintf(settings.search, sizeof settings.search, "gmm");
    settings.lr = 0; // every repeat has the same work: the start's, where the rules are closest
    hb_machine machine;
    hb_net net;
    hb_status status = hb_policy_build(&settings, config->env, &net, error);
    if (status == HB_OK && !net.rule)
        status = hb_fail(error, HB_BAD_INPUT, "bench gmm: policy '%s' has no rules to share", settings.policy);
    if (status == HB_OK) status = hb_machine_open(&machine, &settings, error);
    if (status != HB_OK) return status;
    for (size_t k = 0; k < sizeof rules / sizeof *rules && status == HB_OK; k++) {
        settings.rules = rules[k];
        status = bench_rules(&machine, &settings, &net, config->env->name, out, error);
    }
    settings.rules = 768;
    snprintf(settings.gradient, sizeof settings.gradient, "dense");
    if (status == HB_OK) status = bench_rules(&machine, &settings, &net, config->env->name, out, error);
    hb_machine_close(&machine);
    return status;
}
