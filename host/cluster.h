// k-means on rules: merging M rules into fewer.
#ifndef HB_CLUSTER_H
#define HB_CLUSTER_H

#include "kernels/scalar.h"
#include "kernels/status.h"

#include <stddef.h>

// What is clustered. The first array decides distances, the others are averaged alongside; all (M, C), host memory,
// overwritten with the centroids. The map's entries are renumbered.
typedef struct {
    float *numbers[3];
    int32_t n_arrays, n_coefficients;
    uint32_t *map; // (N): the rule of each synapse
    int64_t n_synapses;
    hb_noise noise; // picks the first centroids
} hb_cluster;

// Leaves `to` of the `from` rules: k-means (Lloyd) under Euclidean distance of the coefficients, each rule weighing as
// many synapses as have it; starts from `to` distinct rules drawn at random, ends when no rule changes its cluster or
// after 20 rounds. A cluster that empties takes the rule farthest from its centroid. Sums run in float64 over ascending
// rules, ties go to the lower cluster: the same bits everywhere.
hb_status hb_cluster_rules(const hb_cluster *cluster, int32_t from, int32_t to, hb_error *error);

#endif
