// k-means on rules: merging M rules into fewer.
#ifndef HB_CLUSTER_H
#define HB_CLUSTER_H

#include "kernels/scalar.h"
#include "kernels/status.h"

#include <stddef.h>

// What is clustered, in host memory. Features (M, F) decide distances; the arrays (M, C) are averaged alongside. Their
// first rules become the clusters' means; what is behind those means nothing afterwards.
typedef struct {
    float *features;
    int32_t n_features;
    float *numbers[3];
    int32_t n_arrays, n_coefficients;
    float *alone;         // (M): one more number a rule to be averaged
    const double *weight; // (M): synapses that have the rule
    uint32_t *cluster;    // (M): receives each rule's cluster
    hb_noise noise;       // picks the first centroids
} hb_cluster;

// Leaves `to` of the `from` rules: k-means (Lloyd) under Euclidean distance of the features, each rule weighing as
// many synapses as have it; starts from `to` distinct rules drawn at random, ends when no rule changes its cluster or
// after 20 rounds. A cluster that empties takes the rule farthest from its centroid. Sums run in float64 over ascending
// rules, ties go to the lower cluster: the same bits everywhere.
hb_status hb_cluster_rules(const hb_cluster *cluster, int32_t from, int32_t to, hb_error *error);

#endif
