#include "host/search/shared.h"

#include <stdlib.h>

static bool assigned(const hb_search *search, hb_assignment how) {
    return hb_shared_own(search)->assignment == how;
}

static bool has_two_maps(const hb_search *search) {
    return assigned(search, HB_ASSIGN_SIDES) || assigned(search, HB_ASSIGN_NEURON);
}

// ---------------------------------------------------------------------------------------------------
// How many rules

static int32_t neurons(const hb_net *net, bool pre, int32_t end) {
    int32_t n = 0;
    for (int32_t l = 0; l < end; l++) n += pre ? net->layer[l].inputs : net->layer[l].outputs;
    return n;
}

int32_t hb_shared_rules_at(const hb_search *search, int64_t generation) {
    const hb_shared_settings *s = hb_shared_own(search);
    const hb_net *net = search->net;
    if (assigned(search, HB_ASSIGN_PRE)) return neurons(net, true, net->n_layers);
    if (assigned(search, HB_ASSIGN_POST)) return neurons(net, false, net->n_layers);
    if (assigned(search, HB_ASSIGN_SIDES))
        return neurons(net, true, net->n_layers) + neurons(net, false, net->n_layers);
    if (assigned(search,
                 HB_ASSIGN_NEURON)) // outputs of a layer are inputs of the next; biases have parts of their own
        return neurons(net, true, net->n_layers) + net->layer[net->n_layers - 1].outputs;
    if (!assigned(search, HB_ASSIGN_MERGE)) return (int32_t)hb_sharing_rules(search);
    const int64_t merges = generation / s->merge_every;
    int64_t rules = net->n_weights;
    for (int32_t k = 0; k < s->merge_rules.n && k < merges; k++)
        rules = s->merge_rules.item[k] < rules ? s->merge_rules.item[k] : rules;
    return (int32_t)rules;
}

bool hb_shared_merged_at(const hb_search *search, int64_t generation) {
    return assigned(search, HB_ASSIGN_MERGE) && hb_shared_rules_at(search, generation) < search->net->n_weights;
}

int32_t hb_shared_maps_at(const hb_search *search, int64_t generation) {
    if (has_two_maps(search)) return 2;
    return hb_shared_merged_at(search, generation) ? (int32_t)hb_shared_own(search)->merge_parts : 1;
}

hb_memory hb_shared_base(const hb_search *search) {
    if (hb_shared_own(search)->base == HB_BASE_NONE) return (hb_memory){NULL};
    return search->array[hb_estimator_arrays(search) + 1].data;
}

int32_t hb_shared_most_maps(const hb_search *search) {
    return assigned(search, HB_ASSIGN_MERGE) ? (int32_t)hb_shared_own(search)->merge_parts
                                             : hb_shared_maps_at(search, 0);
}

// ---------------------------------------------------------------------------------------------------
// The maps

// The rule of synapse e = (i, j) of layer l in the first or the second map.
static uint32_t assign(const hb_search *search, int32_t l, int64_t e, bool second) {
    const hb_net *net = search->net;
    const hb_layer *layer = &net->layer[l];
    const int64_t i = e / layer->outputs, j = e % layer->outputs;
    const int64_t n = net->n_weights, m = hb_shared_rules_at(search, 0);
    const uint32_t word =
        hb_noise_word(hb_search_noise(search, HB_STREAM_ASSIGNMENT, 0, 0), (uint64_t)(layer->weight_offset + e));
    if (second && assigned(search, HB_ASSIGN_SIDES))
        return (uint32_t)(neurons(net, true, net->n_layers) + neurons(net, false, l) + j);
    if (second) return (uint32_t)(neurons(net, true, l + 1) + j);
    if (assigned(search, HB_ASSIGN_PRE) || has_two_maps(search)) return (uint32_t)(neurons(net, true, l) + i);
    if (assigned(search, HB_ASSIGN_POST)) return (uint32_t)(neurons(net, false, l) + j);
    if (assigned(search, HB_ASSIGN_MERGE)) return (uint32_t)(layer->weight_offset + e);
    if (assigned(search, HB_ASSIGN_RANDOM)) return (uint32_t)(((uint64_t)word * (uint64_t)m) >> 32);
    const int64_t size = (int64_t)layer->inputs * layer->outputs;
    const int64_t first = layer->weight_offset * m / n, end = (layer->weight_offset + size) * m / n;
    const int64_t own = end > first ? end - first : 1;
    return (uint32_t)((first < m ? first : m - 1) + (int64_t)(((uint64_t)word * (uint64_t)own) >> 32));
}

hb_status hb_shared_assign(hb_search *search, hb_error *error) {
    const hb_net *net = search->net;
    const hb_machine *machine = search->machine;
    uint32_t *map = calloc(hb_shared_map(search).n, sizeof *map);
    if (!map) return hb_fail(error, HB_FAILED, "out of memory assigning rules");
    for (int32_t which = 0; which < hb_shared_maps_at(search, 0); which++)
        for (int32_t l = 0; l < net->n_layers; l++) {
            const int64_t size = (int64_t)net->layer[l].inputs * net->layer[l].outputs;
            for (int64_t e = 0; e < size; e++)
                map[which * net->n_weights + net->layer[l].weight_offset + e] = assign(search, l, e, which == 1);
        }
    const hb_status status =
        hb_device_upload(machine->device, hb_shared_map(search).data, map, hb_shared_map(search).n, error);
    free(map);
    return status;
}

hb_status hb_shared_download(const hb_search *search, uint32_t **map, hb_error *error) {
    const hb_search_array array = hb_shared_map(search);
    *map = malloc(array.n * sizeof **map);
    if (!*map) return hb_fail(error, HB_FAILED, "out of memory reading the rules' map");
    return hb_device_download(search->machine->device, *map, array.data, array.n, error);
}
