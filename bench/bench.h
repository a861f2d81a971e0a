// Benchmarks: each is one file and one row of the table in main.c. A figure comes with the limit that this machine sets it, measured
// in the same run.
#ifndef HB_BENCH_H
#define HB_BENCH_H

#include "host/config/config.h"
#include "kernels/net.h"

// The configuration to measure, as the user gave it.
typedef struct {
    const char *path; // nullable: the defaults
    const char *const *sets;
    int n_sets;
    bool json;
} hb_bench;

// Opens that configuration with further settings, "section.key=value"; the caller closes it.
hb_status hb_bench_config(const hb_bench *bench, const char *const *more, int n_more, hb_config **config,
                          hb_error *error);

// Builds the network of a configuration.
hb_status hb_bench_net(const hb_config *config, hb_net *net, hb_error *error);

// Prints one figure. limit, in the same unit, is what limit_is says; negative: none.
void hb_bench_print(const hb_bench *bench, const char *name, double value, const char *unit, double limit,
                    const char *limit_is, int64_t repeats);

// Seconds of the fastest of the repeats of work(context): as many as fit into `seconds`, at least 3, counted in *repeats. One
// more before them is not timed.
double hb_bench_fastest(void (*work)(void *context), void *context, double seconds, int64_t *repeats);

hb_status hb_bench_step(const hb_bench *bench, hb_error *error);
hb_status hb_bench_es(const hb_bench *bench, hb_error *error);
hb_status hb_bench_gmm(const hb_bench *bench, hb_error *error);
hb_status hb_bench_products(const hb_bench *bench, hb_error *error);
hb_status hb_bench_robots(const hb_bench *bench, hb_error *error);
hb_status hb_bench_env(const hb_bench *bench, hb_error *error);
hb_status hb_bench_vec(const hb_bench *bench, hb_error *error);
hb_status hb_bench_scale(const hb_bench *bench, hb_error *error);
hb_status hb_bench_generation(const hb_bench *bench, hb_error *error);

#endif
