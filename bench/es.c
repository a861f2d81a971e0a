// The search's update from regenerated noise, on one core: P/2 antithetic sequences of D normals, their weighted
// sum, and the step. Limit: the normals alone, at the rate at which this core makes them into the cache.
#include "bench/bench.h"
#include "host/base/clock.h"
#include "host/policy/policy.h"
#include "host/search/search.h"

#include <stdlib.h>

typedef struct {
    hb_search search;
    double *fitness;
    hb_memory h;
    size_t n_cached;
} es;

static void update(void *context) {
    es *e = context;
    e->search.method->update(&e->search, e->fitness, NULL);
}

static void ask_all(void *context) {
    es *e = context;
    const hb_machine *machine = e->search.machine;
    for (int64_t s = 0; s < e->search.settings->population; s++) {
        hb_genome genome;
        e->search.method->genome(&e->search, s, &genome);
        hb_device_sample(machine->device, &genome, e->h, 0, (size_t)e->search.net->genome_size, NULL);
    }
}

static void make_normals(void *context) {
    es *e = context;
    const hb_machine *machine = e->search.machine;
    hb_genome genome;
    e->search.method->genome(&e->search, 0, &genome);
    for (int k = 0; k < 100; k++) hb_device_sample(machine->device, &genome, e->h, 0, e->n_cached, NULL);
}

static hb_status bench_search(es *e, const char *env, const hb_bench *bench, hb_error *error) {
    const hb_machine *machine = e->search.machine;
    const int64_t population = e->search.settings->population;
    const size_t size = (size_t)e->search.net->genome_size;
    e->fitness = calloc((size_t)population, sizeof *e->fitness);
    if (!e->fitness) return hb_fail(error, HB_FAILED, "out of memory");
    for (int64_t s = 0; s < population; s++) e->fitness[s] = (double)(s * 7919 % population);
    const hb_status status = hb_device_alloc(machine->device, size, &e->h, error);
    if (status != HB_OK) return status;
    e->n_cached = size < 2048 ? size : 2048;
    int64_t repeats;
    const double normal = hb_bench_fastest(make_normals, e, 0.3, &repeats) / (100.0 * (double)e->n_cached);
    const double terms = (double)population / (e->search.settings->antithetic ? 2 : 1);
    char name[96];
    const double seconds = hb_bench_fastest(update, e, 1.0, &repeats);
    snprintf(name, sizeof name, "es.%s.%lldx%zu.update", env, (long long)population, size);
    hb_bench_print(bench, name, seconds, "s", normal * terms * (double)size, "normals of all pairs, alone", repeats);
    const double asked = hb_bench_fastest(ask_all, e, 1.0, &repeats);
    snprintf(name, sizeof name, "es.%s.%lldx%zu.ask", env, (long long)population, size);
    hb_bench_print(bench, name, asked, "s", normal * (double)population * (double)size,
                   "normals of all individuals, alone", repeats);
    hb_bench_print(bench, "es.normal", 1e9 * normal, "ns", -1, "", repeats);
    return HB_OK;
}

static hb_status bench_config(const hb_config *config, const hb_bench *bench, hb_error *error) {
    const hb_settings *settings = &config->settings;
    hb_machine machine;
    hb_net net;
    hb_status status = hb_bench_net(config, &net, error);
    if (status == HB_OK) status = hb_machine_open(&machine, &settings->machine, (hb_place){0}, error);
    if (status != HB_OK) return status;
    es e = {.fitness = NULL};
    status =
        hb_search_create(&e.search, &machine, NULL, &settings->search, (uint32_t)settings->run.seed, &net, error);
    if (status == HB_OK) {
        status = bench_search(&e, config->env->name, bench, error);
        hb_device_free(machine.device, e.h);
        hb_search_destroy(&e.search);
    }
    free(e.fitness);
    hb_machine_close(&machine);
    return status;
}

hb_status hb_bench_es(const hb_bench *bench, hb_error *error) {
    static const char *const one_core[] = {"run.threads=1"};
    hb_config *config;
    hb_status status = hb_bench_config(bench, one_core, 1, &config, error);
    if (status != HB_OK) return status;
    status = bench_config(config, bench, error);
    hb_config_close(config);
    return status;
}
