// The step that everything is for: one lane, resident, on one core. Limit: the bytes that a step must move (each
// plane and the weights read, the weights written) at the bandwidth that a triad over as many bytes reaches here.
#include "bench/bench.h"
#include "host/base/clock.h"
#include "host/base/machine.h"
#include "host/policy/policy.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 500 };

typedef struct {
    const hb_machine *machine;
    hb_group *group;
    float *observation, *action, reward;
    int32_t n_observed, n_actions;
} steps;

static void run_steps(void *context) {
    steps *s = context;
    const int32_t lane = 0;
    for (int t = 0; t < STEPS; t++) {
        hb_group_step(s->group, 1, &lane, s->observation, &s->reward, s->action, NULL);
        hb_group_wait(s->group, NULL);
        // The next observation depends on the action, as in life; a picture's bytes then are whatever its bits are.
        for (int32_t k = 0; k < s->n_actions && k < s->n_observed; k++) s->observation[k] = s->action[k];
    }
}

// a[i] <- b[i] + 0.5 c[i]: three arrays, together as large as a lane.
typedef struct {
    float *a, *b, *c;
    size_t n;
} triad;

static void run_triad(void *context) {
    triad *t = context;
    float *restrict a = t->a;
    const float *restrict b = t->b, *restrict c = t->c;
    for (int repeat = 0; repeat < 100; repeat++) {
        for (size_t i = 0; i < t->n; i++) a[i] = b[i] + 0.5f * c[i];
        __asm__ volatile("" ::: "memory");
    }
}

// Bytes a second of a triad over `bytes` of memory.
static double triad_bandwidth(size_t bytes) {
    const size_t n = bytes / 3 / sizeof(float) / 16 * 16;
    triad t = {.n = n};
    t.a = aligned_alloc(64, 3 * n * sizeof(float));
    if (!t.a) return 0;
    memset(t.a, 0, 3 * n * sizeof(float));
    t.b = t.a + n;
    t.c = t.a + 2 * n;
    int64_t repeats;
    const double seconds = hb_bench_fastest(run_triad, &t, 0.2, &repeats) / 100;
    free(t.a);
    return 3.0 * (double)(n * sizeof(float)) / seconds;
}

// Bytes that a step must move: all that a synapse has is read, and the weight and the trace written; in steps without an update the
// weights alone are read.
static double bytes_moved(const hb_net *net) {
    const double written = net->planes ? 1.0 + (net->plasticity.trace > 0) : 0.0,
                 every = net->plasticity.every > 1 ? net->plasticity.every : 1;
    const double update = hb_net_synapse_numbers(net) + written;
    return (update + (every - 1)) / every * sizeof(float) * (double)net->n_weights;
}

static hb_status bench_net(const hb_machine *machine, const hb_net *net, const char *name, const hb_bench *bench,
                           hb_error *error) {
    steps s = {.machine = machine,
               .n_observed = (int32_t)hb_net_observation_words(net),
               .n_actions = hb_net_actions(net),
               .reward = 0.5f};
    hb_memory mean = {NULL};
    hb_status status = hb_device_alloc(machine->device, (size_t)net->genome_size, &mean, error);
    if (status == HB_OK) status = hb_group_create(machine->device, net, 1, &s.group, error);
    s.observation = calloc((size_t)s.n_observed, sizeof(float));
    s.action = calloc((size_t)s.n_actions, sizeof(float));
    if (status == HB_OK && (!s.observation || !s.action)) status = hb_fail(error, HB_FAILED, "out of memory");
    const hb_birth birth = {.genome = {.mean = mean, .sigma = 0.1f, .noise = {.seed = 1, .stream = HB_STREAM_SEARCH}},
                            .weights = {.seed = 1, .stream = HB_STREAM_WEIGHTS}};
    const int32_t lane = 0;
    if (status == HB_OK) status = hb_group_expand(s.group, 1, &lane, &birth, NULL, error);
    if (status == HB_OK) status = hb_group_wait(s.group, error);
    if (status == HB_OK) {
        int64_t repeats;
        const double seconds = hb_bench_fastest(run_steps, &s, 1.0, &repeats) / STEPS;
        const double bytes = bytes_moved(net);
        const double bandwidth = triad_bandwidth((size_t)bytes);
        hb_bench_print(bench, name, 1e6 * seconds, "us", 1e6 * bytes / bandwidth,
                       "bytes of a step at the bandwidth of a triad of that size", repeats);
    }
    hb_group_destroy(s.group);
    hb_device_free(machine->device, mean);
    free(s.observation);
    free(s.action);
    return status;
}

static void row_name(char out[96], const char *env, const char *kind, const char *suffix) {
    snprintf(out, 96, "step.%s.%s%s", env, kind, suffix);
    for (char *c = out; *c; c++) *c = (char)tolower((unsigned char)*c);
}

static hb_status bench_policy(const hb_bench *bench, const char *const *sets, int n, const char *kind,
                              const char *suffix, hb_error *error) {
    hb_config *config;
    hb_machine machine;
    hb_net net;
    char name[96];
    hb_status status = hb_bench_config(bench, sets, n, &config, error);
    if (status != HB_OK) return status;
    row_name(name, config->env->name, kind ? kind : hb_config_value(config, "policy.rule"), suffix);
    status = hb_bench_net(config, &net, error);
    if (status == HB_OK) status = hb_machine_open(&machine, &config->settings.machine, (hb_place){0}, error);
    if (status == HB_OK) {
        status = bench_net(&machine, &net, name, bench, error);
        hb_machine_close(&machine);
    }
    hb_config_close(config);
    return status;
}

hb_status hb_bench_step(const hb_bench *bench, hb_error *error) {
    static const char *const plain[] = {"run.threads=1", "search.kind=normal", "policy.kind=hebbian",
                                        "policy.normalise=false"};
    static const char *const normalised[] = {"run.threads=1", "search.kind=normal", "policy.kind=hebbian",
                                             "policy.normalise=true"};
    static const char *const no_rules[] = {"run.threads=1",    "search.kind=normal", "policy.kind=static",
                                           "policy.average=1", "policy.every=1",     "policy.decay=0",
                                           "policy.oja=0",     "policy.trace=0",     "policy.modulate=none"};
    static const char *const lstm[] = {
        "run.threads=1",  "search.kind=normal", "policy.kind=lstm", "policy.average=1",     "policy.every=1",
        "policy.decay=0", "policy.oja=0",       "policy.trace=0",   "policy.modulate=none", "policy.bias=false"};
    hb_status status = bench_policy(bench, plain, 4, NULL, "", error);
    if (status == HB_OK) status = bench_policy(bench, normalised, 4, NULL, ".normalised", error);
    if (status == HB_OK) status = bench_policy(bench, no_rules, 9, "static", "", error);
    return status == HB_OK ? bench_policy(bench, lstm, 10, "lstm", "", error) : status;
}
