#include "host/search/kmeans.h"
#include "host/search/shared.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The features by which rules are compared: their coefficients, or their planes. Rules that differ only in how eta and the
// other coefficients share a product have the same planes.
static void fill_features(const hb_search *search, const float *rules, int32_t n, bool planes, float *features) {
    const hb_rule *rule = search->net->rule;
    if (!planes) memcpy(features, rules, (size_t)n * (size_t)rule->n_coefficients * sizeof *features);
    for (int32_t k = 0; planes && k < n; k++)
        hb_rule_fold(rule, rules + k * rule->n_coefficients, features + k * HB_N_PLANES);
}

// Gives each rule coefficients that fold into its cluster's mean planes, with eta the cluster's root mean square.
static void unfold_all(const hb_rule *rule, const float *planes, const float *eta_squares, int32_t n, float *rules) {
    for (int32_t k = 0; k < n; k++) {
        const float *plane = planes + k * HB_N_PLANES;
        float *h = rules + k * rule->n_coefficients;
        const float eta = rule->eta >= 0 ? fmaxf(sqrtf(eta_squares[k]), 0.01f) : 1.0f;
        if (rule->eta >= 0) h[rule->eta] = eta;
        if (rule->a >= 0) h[rule->a] = plane[HB_PLANE_A] / eta;
        if (rule->b >= 0) h[rule->b] = plane[HB_PLANE_B] / eta;
        if (rule->c >= 0) h[rule->c] = plane[HB_PLANE_C] / eta;
        // If D has two parts, the one inside the bracket keeps its mean.
        if (rule->d_out >= 0)
            h[rule->d_out] = plane[HB_PLANE_D] - (rule->d_in >= 0 ? eta * h[rule->d_in] : 0.0f);
        else if (rule->d_in >= 0)
            h[rule->d_in] = plane[HB_PLANE_D] / eta;
    }
}

// A merge under way, in host memory: the mean and the optimiser's moments, from (from, C) to (to, C), each followed by the other
// evolved numbers.
typedef struct {
    const hb_search *search;
    int32_t from, to, n_arrays;
    float *memory; // one block for the arrays below
    float *numbers[3], *merged[3], *left[3], *features, *squares;
    uint32_t *map;     // (maps, N)
    double *weight;    // (from): synapses that use the rule
    uint32_t *cluster; // (from): clusters of the current part
} merging;

static void close_merging(merging *w) {
    free(w->memory);
    free(w->map);
    free(w->weight);
    free(w->cluster);
}

static hb_status open_merging(merging *w, hb_error *error) {
    const hb_search *search = w->search;
    const hb_machine *machine = search->machine;
    const size_t n = search->array[HB_MEAN].n, rules = (size_t)search->net->n_weights;
    w->n_arrays = hb_estimator_arrays(search);
    w->weight = calloc(rules, sizeof *w->weight);
    w->cluster = calloc(rules, sizeof *w->cluster);
    w->memory = calloc(9 * n + (HB_MAX_COEFFICIENTS + 1) * rules, sizeof *w->memory);
    if (!w->weight || !w->cluster || !w->memory) return hb_fail(error, HB_FAILED, "out of memory merging rules");
    w->features = w->memory + 9 * n;
    w->squares = w->features + HB_MAX_COEFFICIENTS * rules;
    hb_status status = hb_shared_download(search, &w->map, error);
    const size_t c = (size_t)search->net->rule->n_coefficients, from = (size_t)w->from * c, to = (size_t)w->to * c;
    for (int32_t a = 0; a < 3; a++) {
        w->numbers[a] = w->memory + (size_t)(3 * a) * n;
        w->merged[a] = w->numbers[a] + n;
        w->left[a] = w->merged[a] + n;
        if (a >= w->n_arrays || status != HB_OK) continue;
        status = hb_device_download(machine->device, w->numbers[a], search->array[a].data, n, error);
        memcpy(w->merged[a] + to, w->numbers[a] + from, (size_t)hb_net_unpenalised(search->net) * sizeof(float));
    }
    return status;
}

// Expands sums of parts into one rule per synapse: a mean is the sum, a moment the parts' average.
static void expand_sums(merging *w, int32_t maps) {
    const size_t c = (size_t)w->search->net->rule->n_coefficients, synapses = (size_t)w->search->net->n_weights;
    for (int32_t a = 0; a < w->n_arrays; a++) {
        float *sum = w->left[a];
        memset(sum, 0, synapses * c * sizeof *sum);
        for (size_t r = 0; r < (size_t)maps; r++)
            for (size_t d = 0; d < synapses * c; d++)
                sum[d] += w->numbers[a][w->map[r * synapses + d / c] * c + d % c] / (a ? (float)maps : 1.0f);
        memcpy(w->numbers[a], sum, synapses * c * sizeof *sum);
    }
    for (size_t i = 0; i < synapses; i++) w->map[i] = (uint32_t)i;
    w->from = (int32_t)synapses;
}

// Finds `count` rules for part r among the residuals that earlier parts left in numbers[0]; writes them to `merged` from row
// `first` on.
static hb_status find_part(merging *w, int32_t r, int32_t first, int32_t count, hb_error *error) {
    const hb_rule *rule = w->search->net->rule;
    const bool planes = hb_shared_own(w->search)->merge_by == HB_MERGE_BY_PLANES;
    const size_t c = (size_t)rule->n_coefficients, from = (size_t)w->from;
    for (int32_t a = 0; a < w->n_arrays; a++) memcpy(w->left[a], w->numbers[a], from * c * sizeof(float));
    fill_features(w->search, w->left[0], w->from, planes, w->features);
    for (size_t k = 0; rule->eta >= 0 && k < from; k++) {
        const float eta = w->left[0][k * c + (size_t)rule->eta];
        w->squares[k] = eta * eta;
    }
    const hb_kmeans rules = {.features = w->features,
                             .n_features = planes ? HB_N_PLANES : rule->n_coefficients,
                             .numbers = {w->left[0], w->left[1], w->left[2]},
                             .n_arrays = w->n_arrays,
                             .n_coefficients = rule->n_coefficients,
                             .single = w->squares,
                             .weight = w->weight,
                             .cluster = w->cluster,
                             .noise = hb_search_noise(w->search, HB_STREAM_ASSIGNMENT, 1, (uint32_t)r)};
    const hb_status status = hb_kmeans_merge(&rules, w->from, count, error);
    if (status != HB_OK) return status;
    if (planes) unfold_all(rule, w->features, w->squares, count, w->left[0]);
    for (int32_t a = 0; a < w->n_arrays; a++)
        memcpy(w->merged[a] + (size_t)first * c, w->left[a], (size_t)count * c * sizeof(float));
    for (size_t d = 0; d < from * c; d++) w->numbers[0][d] -= w->left[0][w->cluster[d / c] * c + d % c];
    return HB_OK;
}

static hb_status find_parts(merging *w, int32_t parts, hb_error *error) {
    const size_t synapses = (size_t)w->search->net->n_weights;
    uint32_t *item = malloc(synapses * sizeof *item); // each synapse's rule among `from`
    if (!item) return hb_fail(error, HB_FAILED, "out of memory merging rules");
    memcpy(item, w->map, synapses * sizeof *item);
    for (size_t i = 0; i < synapses; i++) w->weight[item[i]] += 1;
    hb_status status = HB_OK;
    for (int32_t r = 0; r < parts && status == HB_OK; r++) {
        const int32_t first = w->to * r / parts, end = w->to * (r + 1) / parts;
        status = find_part(w, r, first, end - first, error);
        for (size_t i = 0; i < synapses; i++)
            w->map[(size_t)r * synapses + i] = (uint32_t)first + w->cluster[item[i]];
    }
    free(item);
    return status;
}

hb_status hb_shared_merge(hb_search *search, int32_t from, int32_t to, hb_error *error) {
    const hb_machine *machine = search->machine;
    merging w = {.search = search, .from = from, .to = to};
    hb_status status = open_merging(&w, error);
    const int32_t maps = hb_shared_maps_at(search, search->generation);
    if (status == HB_OK && maps > 1) expand_sums(&w, maps);
    if (status == HB_OK) status = find_parts(&w, hb_shared_maps_at(search, search->generation + 1), error);
    for (int32_t a = 0; a < w.n_arrays && status == HB_OK; a++)
        status = hb_device_upload(machine->device, search->array[a].data, w.merged[a], search->array[a].n, error);
    if (status == HB_OK)
        status = hb_device_upload(machine->device, hb_shared_map(search).data, w.map, hb_shared_map(search).n, error);
    close_merging(&w);
    return status;
}
