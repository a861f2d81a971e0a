// Observations in units of what was seen so far: o' = clip((o - mean) / max(sd, 0.01), +-5), with mean and sd of all observations of all
// individuals in all generations before (Salimans et al. 2017, section 2.2 of their code; search.observations). Part of the search's state. What a generation sees is
// summed in integers, so that the order of threads and ranks matters to no bit.
#ifndef HB_STANDARD_H
#define HB_STANDARD_H

#include "host/search/search.h"

struct hb_standard {
    int32_t n;           // numbers of an observation
    int32_t array;       // of the search: how many observations, mean (n), variance (n)
    float *mean, *scale; // (n), of the generation under way; scale = 1 / max(sd, 0.01); 0 and 1 in the first one
    int64_t *seen;       // (hb_standard_words): of the generation under way
};

// Words of a sum over observations: their number; of each standardised number z, bounded to +-4096, with q = z 2^18: the sum of q, and of
// q^2 in two parts.
static inline size_t hb_standard_words(const hb_standard *standard) {
    return 1 + 3 * (size_t)standard->n;
}

// Adds the state to a search, for observations that are numbers. The caller frees *standard by hb_standard_free.
hb_status hb_standard_create(hb_search *search, hb_error *error);
void hb_standard_free(hb_standard *standard); // accepts NULL

// Reads the state: before a generation, and after a checkpoint was loaded.
hb_status hb_standard_prepare(hb_search *search, hb_error *error);

// Forgets what the generation has seen so far.
void hb_standard_forget(hb_standard *standard);

// Takes what the generation has seen into the state, and forgets it.
hb_status hb_standard_tell(hb_search *search, hb_error *error);

// Standardises an observation in place. seen (nullable): adds it to that sum.
void hb_standardise(const hb_standard *standard, int64_t *seen, float *observation);

#endif
