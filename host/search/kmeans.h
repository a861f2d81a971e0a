// k-means on rules: merges M rules into fewer.
#ifndef HB_KMEANS_H
#define HB_KMEANS_H

#include "kernels/error.h"
#include "kernels/scalar.h"

#include <stddef.h>

// The rules, in host memory. Distances are taken between features (M, F); the arrays (M, C) are averaged alongside. On return
// the first `to` rows of each array hold the cluster means; the remaining rows are undefined.
typedef struct {
    float *features;
    int32_t n_features;
    float *numbers[3];
    int32_t n_arrays, n_coefficients;
    float *single;        // (M): one more number per rule to be averaged
    const double *weight; // (M): synapses that use the rule
    uint32_t *cluster;    // (M): receives each rule's cluster
    hb_noise noise;       // draws the first centroids
} hb_kmeans;

// Merges `from` rules into `to`: k-means (Lloyd) under Euclidean distance of the features, each rule weighted by its synapses.
// Starts from `to` distinct rules drawn at random; ends when no rule changes its cluster, or after 20 rounds. A cluster that
// becomes empty takes the rule farthest from its centroid. Sums run in float64 over ascending rules and ties go to the lower
// cluster, so that every machine gives the same bits.
hb_status hb_kmeans_merge(const hb_kmeans *rules, int32_t from, int32_t to, hb_error *error);

#endif
