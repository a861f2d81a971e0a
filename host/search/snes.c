// The search `snes`: separable natural evolution strategies (Schaul, Glasmachers & Schmidhuber 2011). With utilities u by rank k = 1 (best)
// to P, u_k = max(0, ln(P/2 + 1) - ln k) / sum - 1/P, and deviations s = sigma spread:
//     mean   <- mean + snes_mean_rate s sum_s u_s eps_s
//     spread <- spread exp(snes_rate / 2 sum_s u_s (eps_s^2 - 1))
#include "host/search/diagonal.h"
#include "host/search/shaping.h"

#include <math.h>
#include <stdlib.h>

typedef struct {
    double snes_mean_rate, snes_rate;
} snes_settings;

#define FIELDS snes_settings
static const hb_key snes_keys[] = {
    HB_KEY(FIELDS, snes_mean_rate, REAL, "1", 0, 1e6, "snes: learning rate of the mean"),
    HB_KEY(FIELDS, snes_rate, REAL, "0", 0, 1e6,
           "snes: that of the deviations; 0: (3 + ln n) / (5 sqrt(n)), n the numbers"),
    {.name = NULL}};

static hb_status utilities(const hb_search *search, const double *fitness, float *w, hb_error *error) {
    const int32_t population = (int32_t)search->settings->population;
    double *by_rank = calloc((size_t)population, sizeof *by_rank), sum = 0;
    if (!by_rank) return hb_fail(error, HB_FAILED, "out of memory weighing %d individuals", population);
    const double most = (double)hb_log((float)population / 2.0f + 1.0f);
    for (int32_t k = 0; k < population; k++) {
        const double u = most - (double)hb_log((float)(k + 1));
        by_rank[k] = u > 0 ? u : 0;
        sum += by_rank[k];
    }
    for (int32_t k = 0; k < population; k++) by_rank[k] = by_rank[k] / sum - 1.0 / population;
    const hb_status status = hb_weigh_by_rank(fitness, population, by_rank, w, error);
    free(by_rank);
    return status;
}

static hb_status snes_update(hb_search *search, const double *fitness, hb_error *error) {
    const snes_settings *own = search->settings->own;
    const int32_t population = (int32_t)search->settings->population;
    float *w = malloc((size_t)population * sizeof *w);
    hb_diagonal d;
    hb_status status =
        w ? utilities(search, fitness, w, error) : hb_fail(error, HB_FAILED, "out of memory weighing individuals");
    double rest = 0; // what is left of the sum of utilities, in float32
    for (int32_t s = 0; status == HB_OK && s < population; s++) rest += (double)w[s];
    if (status == HB_OK) status = hb_diagonal_begin(search, w, &d, error);
    free(w);
    if (status != HB_OK) return status;
    const double n = (double)d.n, mean_rate = own->snes_mean_rate * search->sigma;
    const double rate = own->snes_rate > 0 ? own->snes_rate : (3.0 + (double)hb_log((float)n)) / (5.0 * sqrt(n));
    for (size_t k = 0; k < d.n; k++) {
        const double spread = (double)d.spread[k];
        d.mean[k] = (float)((double)d.mean[k] + mean_rate * spread * (double)d.first[k]);
        d.spread[k] = (float)(spread * (double)hb_exp((float)(0.5 * rate * ((double)d.second[k] - rest))));
    }
    return hb_diagonal_end(search, &d, true, error);
}

static bool snes_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault) {
    (void)subject;
    return hb_diagonal_fits_own_step(settings, fault);
}

const hb_search_method hb_search_snes = {.name = "snes",
                                         .summary = "a deviation per number, by natural gradients",
                                         .keys = snes_keys,
                                         .settings_size = sizeof(snes_settings),
                                         .fits = snes_fits,
                                         .adapts = true,
                                         .own_steps = true,
                                         .rates = "search.snes_mean_rate or search.snes_rate",
                                         .create = hb_diagonal_create,
                                         .genome = hb_diagonal_genome,
                                         .update = snes_update,
                                         .exchanged = hb_diagonal_exchanged,
                                         .memory = hb_diagonal_memory};
