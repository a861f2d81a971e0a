// What searches share that have a deviation per number, N(mean, (sigma diag(spread))^2): pgpe.c, snes.c, sep_cma.c. The state is the
// estimator's arrays, then "spread" (n), which starts at 1; sigma is the search's. A search's own arrays follow.
#ifndef HB_DIAGONAL_H
#define HB_DIAGONAL_H

#include "host/search/estimator.h"

// Adds the arrays, for the genome, and draws the start. Three numbers are reported: the mean, least and largest deviation.
hb_status hb_diagonal_create(hb_search *search, hb_error *error);

// As hb_search_method.genome.
void hb_diagonal_genome(const hb_search *search, int64_t s, hb_genome *genome);

// The number of the first array of the search's own.
int32_t hb_diagonal_arrays(const hb_search *search);

// An update under way: the state, and the sums of `weight` over the noise and over its squares, (n) each in host memory.
typedef struct {
    size_t n;
    float *mean, *spread;
    float *first;  // sum_s weight_s eps_sd
    float *second; // sum_s weight_s eps_sd^2
} hb_diagonal;

// Takes weight (population) and fills *d. After a success hb_diagonal_end must follow.
hb_status hb_diagonal_begin(hb_search *search, const float *weight, hb_diagonal *d, hb_error *error);

// Where status is HB_OK, the mean, unless mean is NULL, and the spread become those of *d; reports the deviations. Frees *d. Returns the
// first failure.
hb_status hb_diagonal_end(hb_search *search, hb_diagonal *d, hb_status status, hb_error *error);

// For searches that weigh by rank and move in a way of their own: true if search.optimiser is sgd; otherwise *fault says so.
bool hb_diagonal_fits_own_step(const hb_search_settings *settings, hb_key_fault *fault);

#endif
