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

// Takes weight (population) and fills *d, after which hb_diagonal_end must follow.
hb_status hb_diagonal_begin(hb_search *search, const float *weight, hb_diagonal *d, hb_error *error);

// The search's spread becomes that of *d, and so does its mean if `moves` says so; reports the deviations. Frees *d.
hb_status hb_diagonal_end(hb_search *search, hb_diagonal *d, bool moves, hb_error *error);

// As hb_search_method.exchanged, and .memory.
double hb_diagonal_exchanged(const hb_search *search);
void hb_diagonal_memory(const hb_search *search,
                        void (*row)(void *context, const char *what, double bytes, double naive, const char *why),
                        void *context);

// For searches that weigh by rank and move in a way of their own: true if search.optimiser is sgd and search.shaping uses ranks; otherwise *fault
// says so.
bool hb_diagonal_fits_own_step(const hb_search_settings *settings, hb_key_fault *fault);

#endif
