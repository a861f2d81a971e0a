// The mixture of shared rules: drawing all choices, and the whole gradient with lambda's step, per individual, against
// the number of rules. Limit: the normals of all samples alone, and lambda read twice and written once at the bandwidth
// of a copy.
#include "bench/bench.h"
#include "host/base/clock.h"

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
static double normal_seconds(const hb_machine *machine, hb_memory mean, hb_memory h) {
    const hb_genome genome = {.mean = mean, .sigma = 0.1f, .noise = {.seed = 1, .stream = HB_STREAM_SEARCH}};
    double fastest = 1e300;
    for (int repeat = 0; repeat < 20; repeat++) {
        const double begun = hb_now();
        hb_device_sample(machine->device, &genome, h, 0, 2048, NULL);
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

static hb_status measure(hb_search *search, const char *env, bool dense, const hb_bench *bench, hb_error *error) {
    const hb_machine *machine = search->machine;
    const int64_t population = search->settings->population, rules = search->settings->rules;
    gmm g = {.search = search, .error = error, .status = HB_OK};
    hb_memory scratch = {NULL};
    g.fitness = calloc((size_t)population, sizeof *g.fitness);
    if (!g.fitness) return hb_fail(error, HB_FAILED, "out of memory");
    for (int64_t s = 0; s < population; s++) g.fitness[s] = (double)(s * 7919 % population);
    g.status = hb_device_alloc(machine->device, 2048, &scratch, error);
    const hb_search_array *mean = &search->array[0];
    const double normal = g.status == HB_OK && mean->n >= 2048 ? normal_seconds(machine, mean->data, scratch) : 0;
    hb_device_free(machine->device, scratch);
    const double threads = hb_pool_threads(machine->pool), n = (double)search->net->n_weights;
    const double samples = (double)population * n * search->net->rule->n_coefficients;
    const double limit = samples * normal / threads + 12.0 * n * (double)rules / (threads * copy_bandwidth());
    int64_t repeats;
    char name[96];
    const double asking = hb_bench_fastest(ask, &g, 0.5, &repeats);
    const double telling = hb_bench_fastest(tell, &g, 0.5, &repeats);
    snprintf(name, sizeof name, "gmm.%s.M%lld%s", env, (long long)rules, dense ? ".dense" : "");
    hb_bench_print(bench, name, 1e3 * (asking + telling) / (double)population, "ms", 1e3 * limit / (double)population,
                   "per individual, all threads: normals alone, lambda read twice and written once", repeats);
    snprintf(name, sizeof name, "gmm.%s.M%lld.choose", env, (long long)rules);
    hb_bench_print(bench, name, asking, "s", -1, "", repeats);
    free(g.fitness);
    return g.status;
}

static hb_status bench_rules(const hb_bench *bench, int32_t rules, bool dense, hb_error *error) {
    char number[64];
    // With lr 0 every repeat has the same work: the start's, where the rules are closest.
    const char *const sets[] = {"search.kind=gmm", "search.lr=0", number,
                                dense ? "search.gradient=dense" : "search.gradient=auto"};
    hb_config *config;
    hb_machine machine;
    hb_net net;
    hb_search search;
    snprintf(number, sizeof number, "search.rules=%d", rules);
    hb_status status = hb_bench_config(bench, sets, 4, &config, error);
    if (status != HB_OK) return status;
    const hb_settings *s = &config->settings;
    status = hb_bench_net(config, &net, error);
    if (status == HB_OK) status = hb_machine_open(&machine, &s->machine, (hb_place){0}, error);
    if (status == HB_OK) {
        status = hb_search_create(&search, &machine, NULL, &s->search, (uint32_t)s->run.seed, &net, error);
        if (status == HB_OK) {
            status = measure(&search, config->env->name, dense, bench, error);
            hb_search_destroy(&search);
        }
        hb_machine_close(&machine);
    }
    hb_config_close(config);
    return status;
}

hb_status hb_bench_gmm(const hb_bench *bench, hb_error *error) {
    static const int32_t rules[] = {1, 12, 96, 192, 384, 768, 1536, 3072, 6144, 12288};
    hb_status status = HB_OK;
    for (size_t k = 0; k < sizeof rules / sizeof *rules && status == HB_OK; k++)
        status = bench_rules(bench, rules[k], false, error);
    return status == HB_OK ? bench_rules(bench, 768, true, error) : status;
}
