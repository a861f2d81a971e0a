// Benchmarks: each is a function in a file of its own and a line of the table in bench.c. A figure comes with
// the limit that this machine sets it, measured in the same run.
#ifndef HB_BENCH_H
#define HB_BENCH_H

#include "host/config/config.h"
#include "host/hebbes.h"

// Where figures go.
typedef struct {
    void (*row)(void *context, const hb_bench_row *row);
    void *context;
} hb_bench_out;

// One figure; limit < 0 where there is none.
void hb_bench_row_out(const hb_bench_out *out, const char *name, double value, const char *unit, double limit,
                      const char *limit_is, int64_t repeats);

// Seconds of the fastest of the repeats of work(context): as many as fit into at least `seconds`, counted in
// *repeats. The first is outside the clock.
double hb_bench_fastest(void (*work)(void *context), void *context, double seconds, int64_t *repeats);

hb_status hb_bench_step(const hb_config *config, const hb_bench_out *out, hb_error *error);
hb_status hb_bench_es(const hb_config *config, const hb_bench_out *out, hb_error *error);
hb_status hb_bench_gmm(const hb_config *config, const hb_bench_out *out, hb_error *error);
hb_status hb_bench_products(const hb_config *config, const hb_bench_out *out, hb_error *error);
hb_status hb_bench_env(const hb_config *config, const hb_bench_out *out, hb_error *error);
hb_status hb_bench_generation(const hb_config *config, const hb_bench_out *out, hb_error *error);

#endif
