// A generation by the ranks that a launcher has started (mpirun -n R hebbes bench scale), or by this process; and what it costs to exchange
// numbers. Limit: the model of plan --ranks, with what was measured here.
#include "bench/bench.h"
#include "host/base/clock.h"
#include "host/run/plan.h"
#include "host/train/meet.h"

#include <stdlib.h>

// Microseconds of a small exchange, and GB/s of a large one. The model's terms are what it takes ranks of one size.
static hb_status measure_network(hb_ranks *ranks, hb_plan_network *network, hb_error *error) {
    enum { SMALL = 200, LARGE = 5, WORDS = 1 << 20 };
    *network = (hb_plan_network){.latency_us = 1, .bandwidth_gb_s = 1};
    if (!ranks) return HB_OK;
    uint64_t *word = calloc(WORDS, sizeof *word);
    if (!word) return hb_fail(error, HB_FAILED, "out of memory for a message");
    hb_status status = hb_ranks_combine(ranks, word, 1, error);
    double begun = hb_now();
    for (int k = 0; k < SMALL && status == HB_OK; k++) status = hb_ranks_combine(ranks, word, 1, error);
    const double small = (hb_now() - begun) / SMALL, size = hb_ranks_size(ranks);
    begun = hb_now();
    for (int k = 0; k < LARGE && status == HB_OK; k++) status = hb_ranks_combine(ranks, word, WORDS, error);
    const double large = (hb_now() - begun) / LARGE - small, bytes = 8.0 * WORDS;
    int hops = 1;
    while ((1 << hops) < (int)size) hops++;
    network->latency_us = 1e6 * small / (2 * hops);
    network->bandwidth_gb_s = 1e-9 * 2 * bytes * (size - 1) / size / (large > 1e-9 ? large : 1e-9);
    free(word);
    return status;
}

// The shortest of some generations, after one to warm up, the steps of a life in it, and its seconds of search.
static hb_status measure_generation(hb_trainer *trainer, double *seconds, double *steps, double *update,
                                    hb_error *error) {
    enum { GENERATIONS = 4 };
    hb_status status = HB_OK;
    *seconds = 1e300;
    for (int k = 0; k < GENERATIONS && status == HB_OK; k++) {
        hb_generation report;
        status = hb_trainer_rollout(trainer, &report, NULL, error);
        if (status == HB_OK) status = hb_trainer_update(trainer, &report, error);
        if (status != HB_OK || k == 0 || report.seconds >= *seconds) continue;
        *seconds = report.seconds;
        *update = report.ask + report.update;
        *steps = (double)report.env_steps / (double)(trainer->settings->search.population * trainer->n_variations);
    }
    return status;
}

static void print(const hb_bench *bench, const hb_trainer *trainer, const hb_plan_network *network, double seconds,
                  double model) {
    const int ranks = hb_ranks_size(trainer->ranks);
    char name[96];
    snprintf(name, sizeof name, "scale.%s.ranks%d", trainer->config->env->name, ranks);
    hb_bench_print(bench, name, seconds, "s", model, "plan --ranks' model", 3);
    if (ranks == 1) return;
    hb_bench_print(bench, "scale.latency", network->latency_us, "us", -1, "", 200);
    hb_bench_print(bench, "scale.bandwidth", network->bandwidth_gb_s, "GB/s", -1, "", 5);
}

static hb_status measure(const hb_bench *bench, const hb_config *config, hb_ranks *ranks, hb_error *error) {
    hb_trainer trainer;
    hb_plan_network network;
    hb_plan_timing timing = {.lives = 0};
    double seconds = 0, steps = 0, update = 0;
    hb_status status = hb_trainer_open_rank(config, ranks, &trainer, error);
    if (status != HB_OK) return status;
    status = hb_meet(&trainer, error);
    if (status == HB_OK) status = measure_network(ranks, &network, error);
    if (status == HB_OK) status = measure_generation(&trainer, &seconds, &steps, &update, error);
    if (status == HB_OK) status = hb_plan_time(&trainer, &timing, error); // by all ranks at once, as they live
    if (ranks) timing.search = update * hb_ranks_size(ranks);             // of one rank
    if (status == HB_OK && hb_ranks_number(ranks) == 0)
        print(bench, &trainer, &network, seconds,
              hb_plan_scale(&trainer, &timing, &network, hb_ranks_size(ranks), steps).seconds);
    hb_trainer_close(&trainer);
    return status;
}

hb_status hb_bench_scale(const hb_bench *bench, hb_error *error) {
    hb_config *config = NULL;
    hb_ranks *ranks = NULL;
    hb_status status = hb_launcher_size() > 1 ? hb_ranks_join(&ranks, error) : HB_OK;
    if (status == HB_OK) status = hb_bench_config(bench, NULL, 0, &config, error);
    if (status == HB_OK) status = measure(bench, config, ranks, error);
    if (config) hb_config_close(config);
    // A failure ends all ranks here.
    if (status != HB_OK && ranks && hb_ranks_number(ranks) == 0) fprintf(stderr, "hebbes: %s\n", error->message);
    hb_ranks_leave(ranks, status);
    return status;
}
