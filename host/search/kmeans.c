#include "host/search/kmeans.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 20 };

typedef struct {
    const hb_kmeans *def;
    int32_t from, to;
    float *distance;    // (from): squared distance of each rule to its centroid
    float *centroid;    // (F, to): clusters contiguous, for the vectoriser
    double *sum, *mass; // (to, C or F), (to)
} work;

// The first centroids: `to` distinct rules, the first ones of a shuffled list.
static hb_status draw_centroids(work *w, hb_error *error) {
    int32_t *order = calloc((size_t)w->from, sizeof *order);
    if (!order) return hb_fail(error, HB_FAILED, "out of memory merging rules");
    for (int32_t k = 0; k < w->from; k++) order[k] = k;
    for (int32_t k = 0; k < w->to; k++) {
        const uint64_t word = hb_noise_word(w->def->noise, (uint64_t)k);
        const int32_t other = k + (int32_t)((word * (uint64_t)(w->from - k)) >> 32);
        const int32_t chosen = order[other];
        order[other] = order[k];
        order[k] = chosen;
        for (int32_t c = 0; c < w->def->n_features; c++)
            w->centroid[(size_t)c * (size_t)w->to + (size_t)k] =
                w->def->features[(size_t)chosen * (size_t)w->def->n_features + (size_t)c];
    }
    free(order);
    return HB_OK;
}

// The nearest centroid of rule k. *distance receives its squared distance.
static int32_t nearest(const work *w, int32_t k, float *scratch, float *distance) {
    const int32_t coefficients = w->def->n_features;
    const float *rule = w->def->features + (size_t)k * (size_t)coefficients;
    for (int32_t m = 0; m < w->to; m++) scratch[m] = 0.0f;
    for (int32_t c = 0; c < coefficients; c++) {
        const float *centroid = w->centroid + (size_t)c * (size_t)w->to;
        for (int32_t m = 0; m < w->to; m++) {
            const float difference = rule[c] - centroid[m];
            scratch[m] = hb_fma(difference, difference, scratch[m]);
        }
    }
    int32_t best = 0;
    for (int32_t m = 1; m < w->to; m++)
        if (scratch[m] < scratch[best]) best = m;
    *distance = scratch[best];
    return best;
}

static bool assign_all(work *w, float *scratch) {
    bool changed = false;
    for (int32_t k = 0; k < w->from; k++) {
        const uint32_t cluster = (uint32_t)nearest(w, k, scratch, &w->distance[k]);
        changed = changed || cluster != w->def->cluster[k];
        w->def->cluster[k] = cluster;
    }
    return changed;
}

// An empty cluster takes the rule that is farthest from its own centroid.
static void fill_empty(work *w) {
    for (int32_t m = 0; m < w->to; m++) w->mass[m] = 0;
    for (int32_t k = 0; k < w->from; k++) w->mass[w->def->cluster[k]] += 1;
    for (int32_t m = 0; m < w->to; m++) {
        if (w->mass[m] > 0) continue;
        int32_t farthest = -1;
        for (int32_t k = 0; k < w->from; k++)
            if (w->mass[w->def->cluster[k]] > 1 && (farthest < 0 || w->distance[k] > w->distance[farthest]))
                farthest = k;
        if (farthest < 0) return;
        w->mass[w->def->cluster[farthest]] -= 1;
        w->def->cluster[farthest] = (uint32_t)m;
        w->distance[farthest] = 0.0f;
        w->mass[m] = 1;
    }
}

// w->sum <- each cluster's weighted mean of an array with that many numbers per rule.
static void average(work *w, const float *numbers, size_t coefficients) {
    memset(w->sum, 0, (size_t)w->to * coefficients * sizeof *w->sum);
    memset(w->mass, 0, (size_t)w->to * sizeof *w->mass);
    for (size_t k = 0; k < (size_t)w->from; k++) {
        // A rule that no synapse uses gets a small weight, so that its cluster has a mean.
        const double weight = w->def->weight[k] > 0 ? w->def->weight[k] : 1e-6;
        const size_t m = w->def->cluster[k];
        w->mass[m] += weight;
        for (size_t c = 0; c < coefficients; c++)
            w->sum[m * coefficients + c] += weight * (double)numbers[k * coefficients + c];
    }
    for (size_t m = 0; m < (size_t)w->to; m++)
        for (size_t c = 0; c < coefficients; c++) w->sum[m * coefficients + c] /= w->mass[m];
}

static void move_centroids(work *w) {
    const size_t coefficients = (size_t)w->def->n_features;
    average(w, w->def->features, coefficients);
    for (size_t m = 0; m < (size_t)w->to; m++)
        for (size_t c = 0; c < coefficients; c++)
            w->centroid[c * (size_t)w->to + m] = (float)w->sum[m * coefficients + c];
}

// Overwrites the first `to` rows of each array with the cluster means; the other rows are left unchanged.
static void replace_rules(work *w) {
    for (int32_t a = -1; a < w->def->n_arrays; a++) {
        const size_t coefficients = (size_t)(a < 0 ? w->def->n_features : w->def->n_coefficients);
        float *numbers = a < 0 ? w->def->features : w->def->numbers[a];
        average(w, numbers, coefficients);
        for (size_t e = 0; e < (size_t)w->to * coefficients; e++) numbers[e] = (float)w->sum[e];
    }
    average(w, w->def->single, 1);
    for (size_t k = 0; k < (size_t)w->to; k++) w->def->single[k] = (float)w->sum[k];
}

static hb_status lloyd(work *w, float *scratch, hb_error *error) {
    const hb_status status = draw_centroids(w, error);
    if (status != HB_OK) return status;
    for (int32_t k = 0; k < w->from; k++) w->def->cluster[k] = UINT32_MAX;
    for (int round = 0; round < ROUNDS && assign_all(w, scratch); round++) {
        fill_empty(w);
        move_centroids(w);
    }
    return HB_OK;
}

hb_status hb_kmeans_merge(const hb_kmeans *rules, int32_t from, int32_t to, hb_error *error) {
    const size_t n = (size_t)from, m = (size_t)to, f = (size_t)rules->n_features;
    const size_t c = (size_t)rules->n_coefficients > f ? (size_t)rules->n_coefficients : f;
    work w = {.def = rules, .from = from, .to = to};
    w.distance = calloc(n, sizeof *w.distance);
    w.centroid = calloc(m * f, sizeof *w.centroid);
    w.sum = calloc(m * c, sizeof *w.sum);
    w.mass = calloc(m, sizeof *w.mass);
    float *scratch = calloc(m, sizeof *scratch);
    hb_status status = HB_OK;
    if (!w.distance || !w.centroid || !w.sum || !w.mass || !scratch)
        status = hb_fail(error, HB_FAILED, "out of memory merging %d rules", from);
    if (status == HB_OK) status = lloyd(&w, scratch, error);
    if (status == HB_OK) {
        fill_empty(&w);
        replace_rules(&w);
    }
    void *const all[] = {w.distance, w.centroid, w.sum, w.mass, scratch};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    return status;
}
