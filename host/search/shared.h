// The search `shared`, between its files: shared.c the search, assign.c which synapse uses which rule, merge.c merging rules.
//
// The rules are the search's mean (M, C); synapse i uses the sum of rules k_ri over R maps (kernels/ops.h, "Sample"). The maps,
// (R, N) integers, are the array after the estimator's; the base, (N, C), where there is one, the next.
#ifndef HB_SEARCH_SHARED_H
#define HB_SEARCH_SHARED_H

#include "host/search/estimator.h"
#include "host/search/sharing.h"

// How rules are assigned to synapses:
typedef enum {
    HB_ASSIGN_RANDOM, // k_i ~ U{0..M-1}, drawn once (Palm, Najarro & Risi 2021, section 5.5)
    HB_ASSIGN_LAYER,  // the same within each layer, which has rules of its own in proportion to its synapses
    HB_ASSIGN_PRE,    // one rule per presynaptic neuron
    HB_ASSIGN_POST,   // one rule per postsynaptic neuron
    HB_ASSIGN_SIDES,  // the sum, or the product, of a part per presynaptic and a part per postsynaptic neuron
    HB_ASSIGN_NEURON, // the same with one part per neuron, used on both of its sides
    // One rule per synapse at first; every search.merge_every generations k-means leaves fewer (Pedersen & Risi 2021, "Evolving
    // and Merging Hebbian Learning Rules"). With search.merge_parts = R a synapse's rule is then the sum of R of the M rules:
    // M / R found by k-means, M / R in the residuals of these, and so on (residual vector quantisation), so that (M / R)^R
    // different sums keep more of what was learned.
    HB_ASSIGN_MERGE
} hb_assignment;

typedef enum { HB_NOISE_OF_RULE, HB_NOISE_OF_SYNAPSE } hb_noise_kind;
typedef enum { HB_MERGE_BY_COEFFICIENTS, HB_MERGE_BY_PLANES } hb_merge_by;

// What is added to the shared rules: with RANDOM every synapse has a part of its own, drawn from N(0, 1) at the start, that never
// moves. The rules of synapses then differ, but only in M directions that are searched: a search in a random subspace.
typedef enum { HB_BASE_NONE, HB_BASE_RANDOM } hb_base;

// What a synapse makes of its two neurons' parts.
typedef enum { HB_COMBINE_SUM, HB_COMBINE_PRODUCT } hb_combine;

typedef struct {
    hb_assignment assignment;
    hb_noise_kind noise;
    hb_base base;
    hb_combine combine;
    int64_t merge_every;
    hb_ints merge_rules;
    hb_merge_by merge_by;
    int64_t merge_parts;
    double merge_step;
} hb_shared_settings;

static inline const hb_shared_settings *hb_shared_own(const hb_search *search) {
    return search->settings->own;
}

// The state's array of maps.
static inline hb_search_array hb_shared_map(const hb_search *search) {
    return search->array[hb_estimator_arrays(search)];
}

// The number of rules M, of maps R, and whether rules have been merged, once `generation` generations are done.
int32_t hb_shared_rules_at(const hb_search *search, int64_t generation);
int32_t hb_shared_maps_at(const hb_search *search, int64_t generation);
bool hb_shared_merged_at(const hb_search *search, int64_t generation);

// The part of every synapse's own, (N, C); none with HB_BASE_NONE.
hb_memory hb_shared_base(const hb_search *search);

// The largest number of maps that the run will have.
int32_t hb_shared_most_maps(const hb_search *search);

// Draws the first maps into the state.
hb_status hb_shared_assign(hb_search *search, hb_error *error);

// Copies the maps to host memory; the caller frees *map.
hb_status hb_shared_download(const hb_search *search, uint32_t **map, hb_error *error);

// Merges `from` rules into `to`; the optimiser's moments are averaged like the rules.
hb_status hb_shared_merge(hb_search *search, int32_t from, int32_t to, hb_error *error);

#endif
