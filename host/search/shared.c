// Rules that synapses share, by a map that is not evolved with them: the rules are the search's mean, synapse i has
// rule k_i (kernels/ops.h, "Where rules are shared"). Ways to assign them:
//     random  k_i ~ U{0..M-1} once                        Palm, Najarro & Risi 2021, section 5.5
//     layer   the same, each layer having rules of its own, in proportion to its synapses
//     pre     one rule per presynaptic neuron, post  one per postsynaptic neuron
//     sides   one part per presynaptic and one per postsynaptic neuron, a synapse's rule being their sum
//     neuron  one part per neuron, the same for both of its sides; a synapse's rule is again the sum
//     merge   a rule per synapse at first; every so many generations k-means leaves fewer of them
//             (Pedersen & Risi 2021, "Evolving and merging Hebbian learning rules"). With search.merge_parts = R a synapse's
//             rule is then the sum of R of the M: M / R found by k-means, M / R in what these leave over, and so on
//             (residual vector quantisation), which keeps what was learned: (M / R)^R sums stand for the rules
// The noise is the rules' (the numbers of the search are M C) or every synapse's own around its rule.
#include "host/search/estimator.h"
#include "host/search/kmeans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool assigned(const hb_search *search, const char *how) {
    return strcmp(search->settings->assignment, how) == 0;
}

static bool has_two_maps(const hb_search *search) {
    return assigned(search, "sides") || assigned(search, "neuron");
}

// The maps, (maps, N): the array after the estimator's.
static hb_search_array *map_of(const hb_search *search) {
    return (hb_search_array *)&search->array[hb_estimator_arrays(search)];
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

static bool merged_at(const hb_search *search, int64_t generation) {
    return assigned(search, "merge") && rules_at(search, generation) < search->net->n_weights;
}

// Of how many rules a synapse's is the sum then.
static int32_t maps_at(const hb_search *search, int64_t generation) {
    if (has_two_maps(search)) return 2;
    return merged_at(search, generation) ? (int32_t)search->settings->merge_parts : 1;
}

// A merged rule's part varies by sigma / sqrt(R) and moves by lr / R. Their sum then varies by sigma; and moves, the parts'
// gradients being all its own, by lr along it and, by SGD, by as much noise as one rule would. search.merge_step
// multiplies both. Parts of neurons go at full pace.
static hb_pace pace_of(const hb_search *search) {
    if (!merged_at(search, search->generation)) return (hb_pace){search->sigma, search->lr};
    const double parts = (double)search->settings->merge_parts, step = search->settings->merge_step;
    return (hb_pace){step * search->sigma / sqrt(parts), step * search->lr / parts};
}

// The most that there will be.
static int32_t most_maps(const hb_search *search) {
    return assigned(search, "merge") ? (int32_t)search->settings->merge_parts : maps_at(search, 0);
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

static hb_status draw_maps(hb_search *search, hb_error *error) {
    const hb_net *net = search->net;
    const hb_machine *machine = search->machine;
    uint32_t *map = calloc(map_of(search)->n, sizeof *map);
    if (!map) return hb_fail(error, HB_FAILED, "out of memory assigning rules");
    for (int32_t which = 0; which < maps_at(search, 0); which++)
        for (int32_t l = 0; l < net->n_layers; l++) {
            const int64_t size = (int64_t)net->layer[l].inputs * net->layer[l].outputs;
            for (int64_t e = 0; e < size; e++)
                map[which * net->n_weights + net->layer[l].weight_offset + e] = assign(search, l, e, which == 1);
        }
    const hb_status status =
        machine->table->upload(machine->device, map_of(search)->data, map, map_of(search)->n, error);
    free(map);
    return status;
}

static hb_status check_numbers(const hb_search *search, int64_t m, hb_error *error) {
    const hb_net *net = search->net;
    const int64_t most = net->n_weights * maps_at(search, 0);
    if (m < 1 || m > most)
        return hb_fail(error, HB_BAD_INPUT, "search.rules: expected 1 to %lld rules, found %lld", (long long)most,
                       (long long)m);
    // They are no sums, and would be slowed down with the parts.
    if (search->settings->merge_parts > 1 && hb_net_unpenalised(net) > 0)
        return hb_fail(error, HB_BAD_INPUT,
                       "search.merge_parts: expected 1 where more than rules is evolved, found %lld; policy.init "
                       "other than coevolve and policy.vision=fixed evolve rules alone",
                       (long long)search->settings->merge_parts);
    return HB_OK;
}

static hb_status shared_create(hb_search *search, hb_error *error) {
    const hb_net *net = search->net;
    const int64_t m = rules_at(search, 0);
    hb_status status = check_numbers(search, m, error);
    if (status != HB_OK) return status;
    const size_t numbers = (size_t)(m * n_coefficients(search)), own = (size_t)hb_net_unpenalised(net);
    status = hb_estimator_create(search, numbers + own, error);
    if (status == HB_OK)
        status = hb_search_add_integers(search, "rule", (size_t)most_maps(search) * (size_t)net->n_weights,
                                        (uint32_t)m, error);
    if (status == HB_OK) status = draw_maps(search, error);
    hb_search_add_number(search, "rules");
    search->number[0].value = (double)m;
    return status == HB_OK ? hb_estimator_start(search, numbers, NULL, error) : status;
}

// ---------------------------------------------------------------------------------------------------
// Ask

static void shared_genome(const hb_search *search, int64_t s, hb_genome *genome) {
    const hb_net *net = search->net;
    const int32_t m = rules_at(search, search->generation), c = n_coefficients(search);
    *genome = (hb_genome){.mean = search->array[HB_MEAN].data,
                          .sharing = {.rule = hb_integers(map_of(search)->data),
                                      .n_maps = maps_at(search, search->generation),
                                      .n_synapses = net->n_weights,
                                      .n_numbers = (int64_t)m * c + hb_net_unpenalised(net),
                                      .n_rules = m,
                                      .n_coefficients = c,
                                      .noise_per_synapse = strcmp(search->settings->noise, "synapse") == 0}};
    hb_estimator_sample(search, pace_of(search), s < 0 ? 0 : s, genome);
}

// ---------------------------------------------------------------------------------------------------
// Merge

static hb_status download_maps(const hb_search *search, uint32_t **map, hb_error *error) {
    const hb_machine *machine = search->machine;
    const hb_search_array *array = map_of(search);
    *map = malloc(array->n * sizeof **map);
    if (!*map) return hb_fail(error, HB_FAILED, "out of memory reading the rules' map");
    return machine->table->download(machine->device, *map, array->data, array->n, error);
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

// Rules on their way to fewer, in host memory: the mean and the optimiser's moments, from (from, C) to (to, C), behind which
// stands what else is evolved.
typedef struct {
    const hb_search *search;
    int32_t from, to, n_arrays;
    float *memory; // of what follows
    float *numbers[3], *merged[3], *left[3], *features, *squares;
    uint32_t *map;     // (maps, N)
    double *weight;    // (from): synapses
    uint32_t *cluster; // (from): of the part under way
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
    hb_status status = download_maps(search, &w->map, error);
    const size_t c = (size_t)n_coefficients(search), from = (size_t)w->from * c, to = (size_t)w->to * c;
    for (int32_t a = 0; a < 3; a++) {
        w->numbers[a] = w->memory + (size_t)(3 * a) * n;
        w->merged[a] = w->numbers[a] + n;
        w->left[a] = w->merged[a] + n;
        if (a >= w->n_arrays || status != HB_OK) continue;
        status = machine->table->download(machine->device, w->numbers[a], search->array[a].data, n, error);
        memcpy(w->merged[a] + to, w->numbers[a] + from, (size_t)hb_net_unpenalised(search->net) * sizeof(float));
    }
    return status;
}

// From sums of parts to a rule per synapse again: the mean is the sum, a moment the parts' mean.
static void expand_sums(merging *w, int32_t maps) {
    const size_t c = (size_t)n_coefficients(w->search), synapses = (size_t)w->search->net->n_weights;
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

// Finds `count` rules for part r in what the parts before it have left of numbers[0], into `merged` from `first` on.
static hb_status find_part(merging *w, int32_t r, int32_t first, int32_t count, hb_error *error) {
    const hb_rule *rule = w->search->net->rule;
    const bool planes = strcmp(w->search->settings->merge_by, "planes") == 0;
    const size_t c = (size_t)rule->n_coefficients, from = (size_t)w->from;
    for (int32_t a = 0; a < w->n_arrays; a++) memcpy(w->left[a], w->numbers[a], from * c * sizeof(float));
    fill_features(w->search, w->left[0], w->from, planes, w->features);
    for (size_t k = 0; rule->eta >= 0 && k < from; k++) {
        const float eta = w->left[0][k * c + (size_t)rule->eta];
        w->squares[k] = eta * eta;
    }
    const hb_cluster cluster = {.features = w->features,
                                .n_features = planes ? HB_N_PLANES : rule->n_coefficients,
                                .numbers = {w->left[0], w->left[1], w->left[2]},
                                .n_arrays = w->n_arrays,
                                .n_coefficients = rule->n_coefficients,
                                .alone = w->squares,
                                .weight = w->weight,
                                .cluster = w->cluster,
                                .noise = hb_search_noise(w->search, HB_STREAM_ASSIGNMENT, 1, (uint32_t)r)};
    const hb_status status = hb_cluster_rules(&cluster, w->from, count, error);
    if (status != HB_OK) return status;
    if (planes) unfold_all(rule, w->features, w->squares, count, w->left[0]);
    for (int32_t a = 0; a < w->n_arrays; a++)
        memcpy(w->merged[a] + (size_t)first * c, w->left[a], (size_t)count * c * sizeof(float));
    for (size_t d = 0; d < from * c; d++) w->numbers[0][d] -= w->left[0][w->cluster[d / c] * c + d % c];
    return HB_OK;
}

static hb_status find_parts(merging *w, int32_t parts, hb_error *error) {
    const size_t synapses = (size_t)w->search->net->n_weights;
    uint32_t *item = malloc(synapses * sizeof *item); // what each synapse has of `from`
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

// Leaves `to` of the `from` rules; the optimiser's moments are averaged like the rules.
static hb_status merge(hb_search *search, int32_t from, int32_t to, hb_error *error) {
    const hb_machine *machine = search->machine;
    merging w = {.search = search, .from = from, .to = to};
    hb_status status = open_merging(&w, error);
    const int32_t maps = maps_at(search, search->generation);
    if (status == HB_OK && maps > 1) expand_sums(&w, maps);
    if (status == HB_OK) status = find_parts(&w, maps_at(search, search->generation + 1), error);
    for (int32_t a = 0; a < w.n_arrays && status == HB_OK; a++)
        status =
            machine->table->upload(machine->device, search->array[a].data, w.merged[a], search->array[a].n, error);
    if (status == HB_OK)
        status = machine->table->upload(machine->device, map_of(search)->data, w.map, map_of(search)->n, error);
    close_merging(&w);
    return status;
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

static hb_status shared_update(hb_search *search, const double *fitness, hb_error *error) {
    const int32_t m = rules_at(search, search->generation), next = rules_at(search, search->generation + 1);
    const size_t n = (size_t)(m * n_coefficients(search) + hb_net_unpenalised(search->net));
    hb_status status;
    if (strcmp(search->settings->noise, "rule") == 0) {
        status = hb_estimator_step(search, pace_of(search), fitness, n, error);
    } else {
        folding f = {.search = search};
        status = download_maps(search, &f.rule, error);
        if (status == HB_OK)
            status = hb_estimator_step_folded(search, pace_of(search), fitness, (size_t)search->net->genome_size, n,
                                              fold_by_rule, &f, error);
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
