// Fitness shaping: from fitnesses to the numbers z that weigh the noise.
#ifndef HB_SHAPE_H
#define HB_SHAPE_H

#include "kernels/status.h"

#include <stdint.h>

// Writes z[n] for fitness[n]. "ranks": z = (k - (n-1)/2) / sqrt((n^2-1)/12) with k the ascending rank, ties
// by index (NR); "ranks_unbiased": the denominator is sqrt(n(n+1)/12) + 1e-8 (PNR); "none": z = fitness.
// Source: learning.md section 4.
hb_status hb_shape(const char *shaping, const double *fitness, int32_t n, float *z, hb_error *error);

#endif
