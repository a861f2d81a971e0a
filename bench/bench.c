#include "bench/bench.h"
#include "host/train/rollout.h"

#include <string.h>

typedef struct {
    const char *name;
    hb_status (*run)(const hb_config *config, const hb_bench_out *out, hb_error *error);
    bool not_in_all; // it needs a device of its own
} benchmark;

static const benchmark benchmarks[] = {{"step", hb_bench_step, false}, {"es", hb_bench_es, false},
                                       {"gmm", hb_bench_gmm, false},   {"products", hb_bench_products, true},
                                       {"env", hb_bench_env, false},   {"generation", hb_bench_generation, false}};

void hb_bench_row_out(const hb_bench_out *out, const char *name, double value, const char *unit, double limit,
                      const char *limit_is, int64_t repeats) {
    const hb_bench_row row = {name, value, unit, limit, limit_is, repeats};
    out->row(out->context, &row);
}

double hb_bench_fastest(void (*work)(void *context), void *context, double seconds, int64_t *repeats) {
    work(context);
    double fastest = 1e300;
    const double begun = hb_now();
    for (*repeats = 0; *repeats < 3 || hb_now() - begun < seconds; ++*repeats) {
        const double start = hb_now();
        work(context);
        const double taken = hb_now() - start;
        fastest = taken < fastest ? taken : fastest;
    }
    return fastest;
}

hb_status hb_bench(const char *what, const hb_config *config, void (*row)(void *context, const hb_bench_row *row),
                   void *context, hb_error *error) {
    const hb_bench_out out = {row, context};
    const bool all = strcmp(what, "all") == 0;
    bool found = false;
    for (size_t k = 0; k < sizeof benchmarks / sizeof *benchmarks; k++) {
        if (all ? benchmarks[k].not_in_all : strcmp(what, benchmarks[k].name) != 0) continue;
        found = true;
        const hb_status status = benchmarks[k].run(config, &out, error);
        if (status != HB_OK) return status;
    }
    if (found) return HB_OK;
    return hb_fail(error, HB_BAD_INPUT, "bench: expected step, es, gmm, products, env, generation or all, found '%s'",
                   what);
}
