// The search's update from regenerated noise, on one core: P/2 antithetic sequences of D normals, their weighted
// sum, and the step. Limit: the normals alone, at the rate at which this core makes them into the cache.
#include "bench/bench.h"
#include "host/policy/policy.h"
#include "host/search/search.h"
#include "host/train/rollout.h"

#include <stdlib.h>

typedef struct {
    hb_search search;
    double *fitness;
    float *h;
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
        machine->table->sample(machine->device, &genome, e->h, 0, (size_t)e->search.net->genome_size, NULL);
    }
}

static void make_normals(void *context) {
    es *e = context;
    const hb_machine *machine = e->search.machine;
    hb_genome genome;
    e->search.method->genome(&e->search, 0, &genome);
    for (int k = 0; k < 100; k++) machine->table->sample(machine->device, &genome, e->h, 0, e->n_cached, NULL);
}

static hb_status bench_search(es *e, const char *env, const hb_bench_out *out, hb_error *error) {
    const hb_machine *machine = e->search.machine;
    const int64_t population = e->search.settings->population;
    const size_t size = (size_t)e->search.net->genome_size;
    e->fitness = calloc((size_t)population, sizeof *e->fitness);
    if (!e->fitness) return hb_fail(error, HB_FAILED, "out of memory");
    for (int64_t s = 0; s < population; s++) e->fitness[s] = (double)(s * 7919 % population);
    const hb_status status = machine->table->alloc(machine->device, size, &e->h, error);
    if (status != HB_OK) return status;
    e->n_cached = size < 2048 ? size : 2048;
    int64_t repeats;
    const double normal = hb_bench_fastest(make_normals, e, 0.3, &repeats) / (100.0 * (double)e->n_cached);
    const double terms = (double)population / (e->search.settings->antithetic ? 2 : 1);
    char name[96];
    const double seconds = hb_bench_fastest(update, e, 1.0, &repeats);
    snprintf(name, sizeof name, "es.%s.%lldx%zu.update", env, (long long)population, size);
    hb_bench_row_out(out, name, seconds, "s", normal * terms * (double)size, "normals of all pairs, alone", repeats);
    const double asked = hb_bench_fastest(ask_all, e, 1.0, &repeats);
    snprintf(name, sizeof name, "es.%s.%lldx%zu.ask", env, (long long)population, size);
    hb_bench_row_out(out, name, asked, "s", normal * (double)population * (double)size,
                     "normals of all individuals, alone", repeats);
    hb_bench_row_out(out, "es.normal", 1e9 * normal, "ns", -1, "", repeats);
    return HB_OK;
}

hb_status hb_bench_es(const hb_config *config, const hb_bench_out *out, hb_error *error) {
    hb_settings settings = config->settings;
    settings.threads = 1;
    hb_machine machine;
    hb_net net;
    hb_status status = hb_policy_build(&settings, config->env, &net, error);
    if (status == HB_OK) status = hb_machine_open(&machine, &settings, error);
    if (status != HB_OK) return status;
    es e = {.fitness = NULL};
    status = hb_search_create(&e.search, &machine, &settings, &net, error);
    if (status == HB_OK) {
        status = bench_search(&e, config->env->name, out, error);
        machine.table->free(machine.device, e.h);
        hb_search_destroy(&e.search);
    }
    free(e.fitness);
    hb_machine_close(&machine);
    return status;
}
