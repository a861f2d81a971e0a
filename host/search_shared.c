// Rules that synapses share, by a map that is not evolved with them: the rules are the search's mean, synapse i has
// rule k_i (kernels/ops.h, "Where rules are shared"). Ways to assign them:
//     random  k_i ~ U{0..M-1} once                        Palm, Najarro & Risi 2021, section 5.5
//     layer   the same, each layer having rules of its own, in proportion to its synapses
//     pre     one rule per presynaptic neuron, post  one per postsynaptic neuron
//     sides   one part per presynaptic and one per postsynaptic neuron, a synapse's rule being their sum
//     neuron  one part per neuron, the same for both of its sides; a synapse's rule is again the sum
//     merge   a rule per synapse at first; every so many generations k-means leaves fewer of them
//             (Pedersen & Risi 2021, "Evolving and merging Hebbian learning rules")
// The noise is the rules' (the numbers of the search are M C) or every synapse's own around its rule.
#include "host/cluster.h"
#include "host/estimator.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// The arrays after the estimator's.
enum { RULE, SECOND };

static bool assigned(const hb_search *search, const char *how) {
    return strcmp(search->settings->assignment, how) == 0;
}

static bool has_two_maps(const hb_search *search) {
    return assigned(search, "sides") || assigned(search, "neuron");
}

static hb_search_array *map_of(const hb_search *search, int32_t which) {
    return (hb_search_array *)&search->array[hb_estimator_arrays(search) + which];
}

static int32_t n_coefficients(const hb_search *search) {
    return search->net->rule->n_coefficients;
}

// ---------------------------------------------------------------------------------------------------
// How many rules

static int32_t neurons(const hb_net *net, bool pre, int32_t end) {
    int32_t n = 0;
    for (int32_t l = 0; l < end; l++) n += pre ? net->layer[l].inputs : net->layer[l].outputs;
    return n;
}

// M before generation `generation` + 1.
static int32_t rules_at(const hb_search *search, int64_t generation) {
    const hb_settings *s = search->settings;
    const hb_net *net = search->net;
    if (assigned(search, "pre")) return neurons(net, true, net->n_layers);
    if (assigned(search, "post")) return neurons(net, false, net->n_layers);
    if (assigned(search, "sides")) return neurons(net, true, net->n_layers) + neurons(net, false, net->n_layers);
    if (assigned(search, "neuron")) return net->layer[0].inputs + neurons(net, false, net->n_layers);
    if (!assigned(search, "merge")) return (int32_t)hb_search_rules(search);
    const int64_t merges = generation / s->merge_every;
    int64_t rules = net->n_weights;
    for (int32_t k = 0; k < s->merge_rules.n && k < merges; k++)
        rules = s->merge_rules.item[k] < rules ? s->merge_rules.item[k] : rules;
    return (int32_t)rules;
}

// ---------------------------------------------------------------------------------------------------
// The maps

// The rule of synapse e = (i, j) of layer l. first_rule and layer_rules bound the layer's own.
static uint32_t assign(const hb_search *search, int32_t l, int64_t e, bool second) {
    const hb_net *net = search->net;
    const hb_layer *layer = &net->layer[l];
    const int64_t i = e / layer->outputs, j = e % layer->outputs;
    const int64_t n = net->n_weights, m = rules_at(search, 0);
    const uint32_t word =
        hb_noise_word(hb_search_noise(search, HB_STREAM_ASSIGNMENT, 0, 0), (uint64_t)(layer->weight_offset + e));
    if (second && assigned(search, "sides"))
        return (uint32_t)(neurons(net, true, net->n_layers) + neurons(net, false, l) + j);
    if (second) return (uint32_t)(neurons(net, true, l + 1) + j);
    if (assigned(search, "pre") || has_two_maps(search)) return (uint32_t)(neurons(net, true, l) + i);
    if (assigned(search, "post")) return (uint32_t)(neurons(net, false, l) + j);
    if (assigned(search, "merge")) return (uint32_t)(layer->weight_offset + e);
    if (assigned(search, "random")) return (uint32_t)(((uint64_t)word * (uint64_t)m) >> 32);
    const int64_t size = (int64_t)layer->inputs * layer->outputs;
    const int64_t first = layer->weight_offset * m / n, end = (layer->weight_offset + size) * m / n;
    const int64_t own = end > first ? end - first : 1;
    return (uint32_t)((first < m ? first : m - 1) + (int64_t)(((uint64_t)word * (uint64_t)own) >> 32));
}

static hb_status draw_map(hb_search *search, int32_t which, hb_error *error) {
    const hb_net *net = search->net;
    const hb_machine *machine = search->machine;
    uint32_t *map = malloc((size_t)net->n_weights * sizeof *map);
    if (!map) return hb_fail(error, HB_FAILED, "out of memory assigning rules");
    for (int32_t l = 0; l < net->n_layers; l++) {
        const int64_t size = (int64_t)net->layer[l].inputs * net->layer[l].outputs;
        for (int64_t e = 0; e < size; e++)
            map[net->layer[l].weight_offset + e] = assign(search, l, e, which == SECOND);
    }
    const hb_status status =
        machine->table->upload(machine->device, map_of(search, which)->data, map, (size_t)net->n_weights, error);
    free(map);
    return status;
}

static hb_status shared_create(hb_search *search, hb_error *error) {
    const hb_net *net = search->net;
    const int64_t m = rules_at(search, 0);
    if (m < 1 || m > net->n_weights * (has_two_maps(search) ? 2 : 1))
        return hb_fail(error, HB_BAD_INPUT, "search.rules: expected 1 to %lld rules, found %lld",
                       (long long)net->n_weights, (long long)m);
    const size_t numbers = (size_t)(m * n_coefficients(search)), own = (size_t)(net->genome_size - net->n_penalised);
    hb_status status = hb_estimator_create(search, numbers + own, error);
    for (int32_t which = RULE; which <= (has_two_maps(search) ? SECOND : RULE) && status == HB_OK; which++) {
        status = hb_search_add_integers(search, which == RULE ? "rule" : "second_rule", (size_t)net->n_weights,
                                        (uint32_t)m, error);
        if (status == HB_OK) status = draw_map(search, which, error);
    }
    hb_search_add_number(search, "rules");
    search->number[0].value = (double)m;
    return status == HB_OK ? hb_estimator_start(search, numbers, NULL, error) : status;
}

// ---------------------------------------------------------------------------------------------------
// Ask

static void shared_genome(const hb_search *search, int64_t s, hb_genome *genome) {
    const hb_net *net = search->net;
    const int32_t m = rules_at(search, search->generation), c = n_coefficients(search);
    *genome =
        (hb_genome){.mean = search->array[HB_MEAN].data,
                    .sharing = {.rule = hb_integers(map_of(search, RULE)->data),
                                .second = has_two_maps(search) ? hb_integers(map_of(search, SECOND)->data) : NULL,
                                .n_synapses = net->n_weights,
                                .n_numbers = (int64_t)m * c + net->genome_size - net->n_penalised,
                                .n_rules = m,
                                .n_coefficients = c,
                                .noise_per_synapse = strcmp(search->settings->noise, "synapse") == 0}};
    hb_estimator_sample(search, s < 0 ? 0 : s, genome);
}

// ---------------------------------------------------------------------------------------------------
// Tell

typedef struct {
    const hb_search *search;
    uint32_t *rule;
} folding;

// Sums what the synapses of a rule say of it, by ascending synapse.
static void fold_by_rule(const void *context, const float *gradient, float *mean_gradient) {
    const folding *f = context;
    const hb_net *net = f->search->net;
    const int64_t c = n_coefficients(f->search), m = rules_at(f->search, 0);
    for (int64_t d = 0; d < net->n_penalised; d++) mean_gradient[f->rule[d / c] * c + d % c] += gradient[d];
    for (int64_t d = net->n_penalised; d < net->genome_size; d++)
        mean_gradient[m * c + d - net->n_penalised] = gradient[d];
}

static hb_status download_map(const hb_search *search, uint32_t **map, hb_error *error) {
    const hb_machine *machine = search->machine;
    const size_t n = (size_t)search->net->n_weights;
    *map = malloc(n * sizeof **map);
    if (!*map) return hb_fail(error, HB_FAILED, "out of memory reading the rules' map");
    return machine->table->download(machine->device, *map, map_of(search, RULE)->data, n, error);
}

// What rules are compared by: their coefficients, or what they do, which is in their planes; rules that differ only in
// how eta and the rest share the product fall together then.
static void fill_features(const hb_search *search, const float *rules, int32_t n, bool planes, float *features) {
    const hb_rule *rule = search->net->rule;
    if (!planes) memcpy(features, rules, (size_t)n * (size_t)rule->n_coefficients * sizeof *features);
    for (int32_t k = 0; planes && k < n; k++)
        hb_rule_fold(rule, rules + k * rule->n_coefficients, features + k * HB_N_PLANES);
}

// Gives each rule the coefficients that have its cluster's mean planes, with the cluster's root mean square of eta.
static void unfold_all(const hb_rule *rule, const float *planes, const float *eta_squares, int32_t n, float *rules) {
    for (int32_t k = 0; k < n; k++) {
        const float *plane = planes + k * HB_N_PLANES;
        float *h = rules + k * rule->n_coefficients;
        const float eta = rule->eta >= 0 ? fmaxf(sqrtf(eta_squares[k]), 0.01f) : 1.0f;
        if (rule->eta >= 0) h[rule->eta] = eta;
        if (rule->a >= 0) h[rule->a] = plane[HB_PLANE_A] / eta;
        if (rule->b >= 0) h[rule->b] = plane[HB_PLANE_B] / eta;
        if (rule->c >= 0) h[rule->c] = plane[HB_PLANE_C] / eta;
        // Where D has two parts, the one inside keeps its mean.
        if (rule->d_out >= 0)
            h[rule->d_out] = plane[HB_PLANE_D] - (rule->d_in >= 0 ? eta * h[rule->d_in] : 0.0f);
        else if (rule->d_in >= 0)
            h[rule->d_in] = plane[HB_PLANE_D] / eta;
    }
}

// numbers: the mean and the optimiser's moments, (from, C) each.
static hb_status cluster_rules(const hb_search *search, float *numbers[3], uint32_t *map, int32_t from, int32_t m,
                               hb_error *error) {
    const hb_rule *rule = search->net->rule;
    const bool planes = strcmp(search->settings->merge_by, "planes") == 0;
    float *features = calloc((size_t)from * HB_MAX_COEFFICIENTS, sizeof *features);
    float *squares = calloc((size_t)from, sizeof *squares); // of eta
    hb_status status = features && squares ? HB_OK : hb_fail(error, HB_FAILED, "out of memory merging rules");
    if (status == HB_OK) {
        fill_features(search, numbers[0], from, planes, features);
        for (int32_t k = 0; rule->eta >= 0 && k < from; k++) {
            const float eta = numbers[0][k * rule->n_coefficients + rule->eta];
            squares[k] = eta * eta;
        }
        status = hb_cluster_rules(&(hb_cluster){.features = features,
                                                .n_features = planes ? HB_N_PLANES : rule->n_coefficients,
                                                .numbers = {numbers[0], numbers[1], numbers[2]},
                                                .n_arrays = hb_estimator_arrays(search),
                                                .n_coefficients = rule->n_coefficients,
                                                .alone = squares,
                                                .map = map,
                                                .n_synapses = search->net->n_weights,
                                                .noise = hb_search_noise(search, HB_STREAM_ASSIGNMENT, 1, 0)},
                                  from, m, error);
    }
    if (status == HB_OK && planes) unfold_all(rule, features, squares, m, numbers[0]);
    free(features);
    free(squares);
    return status;
}

// Leaves m rules of the present ones; the optimiser's moments are averaged like the rules.
static hb_status merge(hb_search *search, int32_t from, int32_t m, hb_error *error) {
    const hb_machine *machine = search->machine;
    const int32_t c = n_coefficients(search), arrays = hb_estimator_arrays(search);
    const size_t n = search->array[HB_MEAN].n, synapses = (size_t)search->net->n_weights;
    float *numbers[3] = {NULL};
    uint32_t *map = NULL;
    hb_status status = download_map(search, &map, error);
    for (int32_t a = 0; a < arrays && status == HB_OK; a++) {
        numbers[a] = malloc(n * sizeof(float));
        status = numbers[a] ? machine->table->download(machine->device, numbers[a], search->array[a].data, n, error)
                            : hb_fail(error, HB_FAILED, "out of memory merging rules");
    }
    if (status == HB_OK && numbers[0]) status = cluster_rules(search, numbers, map, from, m, error);
    // Evolved weights follow the rules: they move down with their end.
    for (int32_t a = 0; a < arrays && status == HB_OK; a++) {
        const size_t own = (size_t)(search->net->genome_size - search->net->n_penalised);
        memmove(numbers[a] + (size_t)m * (size_t)c, numbers[a] + (size_t)from * (size_t)c, own * sizeof(float));
        memset(numbers[a] + (size_t)m * (size_t)c + own, 0, (n - (size_t)m * (size_t)c - own) * sizeof(float));
        status = machine->table->upload(machine->device, search->array[a].data, numbers[a], n, error);
    }
    if (status == HB_OK)
        status = machine->table->upload(machine->device, map_of(search, RULE)->data, map, synapses, error);
    for (int32_t a = 0; a < arrays; a++) free(numbers[a]);
    free(map);
    return status;
}

static hb_status shared_update(hb_search *search, const double *fitness, hb_error *error) {
    const int32_t m = rules_at(search, search->generation), next = rules_at(search, search->generation + 1);
    const size_t own = (size_t)(search->net->genome_size - search->net->n_penalised);
    const size_t n = (size_t)m * (size_t)n_coefficients(search) + own;
    hb_status status;
    if (strcmp(search->settings->noise, "rule") == 0) {
        status = hb_estimator_step(search, fitness, n, error);
    } else {
        folding f = {.search = search};
        status = download_map(search, &f.rule, error);
        if (status == HB_OK)
            status = hb_estimator_step_folded(search, fitness, (size_t)search->net->genome_size, n, fold_by_rule, &f,
                                              error);
        free(f.rule);
    }
    search->number[0].value = m;
    return status == HB_OK && next < m ? merge(search, m, next, error) : status;
}

const hb_search_method hb_search_shared = {.name = "shared",
                                           .summary = "a few rules, each shared by many synapses by a fixed map",
                                           .create = shared_create,
                                           .genome = shared_genome,
                                           .update = shared_update};
