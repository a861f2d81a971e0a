// Mixtures on the CPU, inside: what device.c and the builds of mixture.c share.
#ifndef HB_CPU_MIXTURE_H
#define HB_CPU_MIXTURE_H

#include "kernels/cpu/cpu.h"

#include <pthread.h>

// A rule's coefficients and sums are laid out this wide: one vector.
#define HB_MIXTURE_WIDE 8

// A rule near another one.
typedef struct {
    float distance; // squared
    uint32_t rule;
} hb_near;

// The rules within the list radius of one, by ascending distance, in vectors of 16: their numbers, then each coefficient.
// Places beyond the last rule hold coefficients of 1e18, whose weight is 0.
typedef struct {
    int32_t n_vectors; // -1: too many to list
    float *data;       // (n_vectors, 1 + C, 16)
    float *nearest;    // (n_vectors): squared distance of each vector's first
    float second;      // squared distance of the nearest other rule
} hb_neighbours;

// A gradient under way.
struct hb_mixture_work {
    hb_device *device;
    const hb_cpu_mixture *build;
    hb_mixture mixture;
    hb_mixture_step step;
    size_t padded_rules;        // M rounded up to 16
    float *transposed;          // mu as (C, padded_rules)
    float *wide;                // mu as (M, WIDE)
    hb_neighbours *list;        // (M)
    float list_radius2;         // 0: no lists, every sample runs dense
    float cut;                  // 17.33 + ln M
    float minus_half_precision; // -1 / (2 sigma^2)
    float two_variances;        // 2 sigma^2
    float sums_scale;           // of the integer sums
    // What ranges of rows have added, under the mutex.
    pthread_mutex_t mutex;
    int64_t *sums; // (M, WIDE)
    int32_t largest;
    hb_mixture_counts counts;
};

// One build. Its functions add to `sums` (M, WIDE), and raise *largest to the bits of the largest |term| added, in the sums' scale.
struct hb_cpu_mixture {
    hb_status (*choose)(const hb_mixture *mixture, int32_t n_individuals, hb_noise noise, uint32_t *choice,
                        float *entropy, int64_t begin, int64_t end, hb_error *error);
    hb_status (*neighbours)(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error);
    hb_status (*gradient)(const hb_mixture_work *work, const hb_mixture_step *step, int64_t *sums, int32_t *largest,
                          hb_mixture_counts *counts, int64_t begin, int64_t end, hb_error *error);
};

#endif
