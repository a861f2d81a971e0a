// The search `pgpe`: policy gradients with parameter-based exploration (Sehnke et al. 2010), with ranks, over a population, as in later
// libraries. For z the shaped fitness, b its mean, and deviations s = sigma spread (docs/equations.md, "Search"):
//     mean   <- mean + lr (1/P) sum_s (z_s - b) s eps_s                      by SGD or Adam
//     spread <- spread (1 + clip((pgpe_rate / P) sum_s (z_s - b) (eps_s^2 - 1), +-pgpe_change))
#include "host/search/diagonal.h"
#include "host/search/shaping.h"

#include <stdlib.h>

typedef struct {
    double pgpe_rate, pgpe_change;
} pgpe_settings;

#define FIELDS pgpe_settings
static const hb_key pgpe_keys[] = {
    HB_KEY(FIELDS, pgpe_rate, REAL, "0.1", 0, 1e6, "pgpe: learning rate of the deviations"),
    HB_KEY(FIELDS, pgpe_change, REAL, "0.2", 0, 0.999999, "pgpe: the most that a deviation changes in a generation"),
    {.name = NULL}};

static double within(double x, double bound) {
    return x < -bound ? -bound : x > bound ? bound : x;
}

static hb_status pgpe_update(hb_search *search, const double *fitness, hb_error *error) {
    const pgpe_settings *own = search->settings->own;
    const int32_t population = (int32_t)search->settings->population;
    float *z = malloc((size_t)population * sizeof *z);
    hb_diagonal d;
    hb_status status = z ? hb_shape_fitness(search->settings->shaping, fitness, population, z, error)
                         : hb_fail(error, HB_FAILED, "out of memory shaping fitness");
    double baseline = 0, rest = 0; // what is left of the sum of z - b, in float32
    for (int32_t s = 0; status == HB_OK && s < population; s++) baseline += (double)z[s];
    baseline /= population;
    for (int32_t s = 0; status == HB_OK && s < population; s++) {
        z[s] = (float)((double)z[s] - baseline);
        rest += (double)z[s];
    }
    if (status == HB_OK) status = hb_diagonal_begin(search, z, &d, error);
    free(z);
    if (status != HB_OK) return status;
    for (size_t k = 0; k < d.n; k++) d.first[k] *= d.spread[k];
    status = hb_estimator_move(search, d.first, search->sigma / population, error);
    for (size_t k = 0; k < d.n; k++) {
        const double change = own->pgpe_rate / population * ((double)d.second[k] - rest);
        d.spread[k] = (float)((double)d.spread[k] * (1.0 + within(change, own->pgpe_change)));
    }
    const hb_status ended = hb_diagonal_end(search, &d, false, error); // the mean has moved on the device
    return status == HB_OK ? ended : status;
}

const hb_search_method hb_search_pgpe = {.name = "pgpe",
                                         .summary = "a deviation per number, by gradients of shaped fitness",
                                         .keys = pgpe_keys,
                                         .settings_size = sizeof(pgpe_settings),
                                         .adapts = true,
                                         .create = hb_diagonal_create,
                                         .genome = hb_diagonal_genome,
                                         .update = pgpe_update,
                                         .exchanged = hb_diagonal_exchanged,
                                         .memory = hb_diagonal_memory};
