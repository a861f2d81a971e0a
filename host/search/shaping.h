// Fitness shaping: the numbers z that weigh each individual's noise.
#ifndef HB_SHAPING_H
#define HB_SHAPING_H

#include "host/search/search.h"

// Writes z[n] for fitness[n] (docs/equations.md, "Search"):
//     HB_RANKS           z = (k - (n - 1) / 2) / sqrt((n^2 - 1) / 12), k the ascending rank from 0; equals share
//                        the mean of their ranks, so that a flat landscape moves nothing (NR ranks equals by their order)
//     HB_RANKS_UNBIASED  the same over sqrt(n (n + 1) / 12) + 1e-8 (PNR)
//     HB_RANKS_CENTERED  z = k / (n - 1) - 1/2 (Salimans et al. 2017)
//     HB_UNSHAPED        z = fitness
hb_status hb_shape_fitness(hb_shaping shaping, const double *fitness, int32_t n, float *z, hb_error *error);

// Writes w[n] for fitness[n]: by_rank[n] has the weight of the best first, and equals share the mean of theirs.
hb_status hb_weigh_by_rank(const double *fitness, int32_t n, const double *by_rank, float *w, hb_error *error);

#endif
