// Rules that synapses share by fixed maps (host/search/shared.h). The noise is that of the rules (the search has M C numbers),
// or each synapse has noise of its own around its rule.
#include "host/search/shared.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// ---------------------------------------------------------------------------------------------------
// Keys

static const char *const assignments[] = {"random", "layer", "pre", "post", "sides", "neuron", "merge", NULL};
static const char *const noises[] = {"rule", "synapse", NULL};
static const char *const bases[] = {"none", "random", NULL};
static const char *const combines[] = {"sum", "product", NULL};
static const char *const merge_bys[] = {"coefficients", "planes", NULL};

#define FIELDS hb_shared_settings
static const hb_key shared_keys[] = {
    HB_KEY_OF(FIELDS, assignment, assignments, "random",
              "shared: which rule a synapse uses: random, random within its layer, one per pre- or post-neuron, the "
              "sum of a "
              "part per neuron and side (sides) or per neuron, or rules merged from one per synapse"),
    HB_KEY_OF(FIELDS, noise, noises, "rule", "shared: vary each rule, or each synapse"),
    HB_KEY_OF(FIELDS, base, bases, "none",
              "shared: random adds a part of its own to every synapse's rule, drawn from N(0, 1) and never moved: a "
              "search in a random subspace; with search.start_scale=0 the shared rules start at 0"),
    HB_KEY_OF(FIELDS, combine, combines, "sum",
              "shared, sides and neuron: a coefficient is the sum of its neurons' parts, or their product"),
    HB_KEY(FIELDS, merge_every, INT, "25", 1, 1e6, "shared, merge: generations between merges"),
    HB_KEY(FIELDS, merge_rules, INTS, "3072,1536,768,384", 1, 1e7, "shared, merge: how many rules each merge leaves"),
    HB_KEY_OF(FIELDS, merge_by, merge_bys, "coefficients",
              "shared, merge: compare rules by their coefficients, or by the planes that these fold into"),
    HB_KEY(FIELDS, merge_parts, INT, "1", 1, 16,
           "shared, merge: a synapse's rule is the sum of this many merged rules; more parts keep more of what was "
           "learned"),
    HB_KEY(FIELDS, merge_step, REAL, "1", 1e-6, 1e6, "shared, merge: multiplies sigma and lr after the first merge"),
    {.name = NULL}};

static bool fits_merging(const hb_shared_settings *own, hb_key_fault *fault) {
    const long long parts = (long long)own->merge_parts;
    if (parts == 1) return true;
    fault->key = "search.merge_parts";
    if (own->assignment != HB_ASSIGN_MERGE) {
        snprintf(fault->reason, sizeof fault->reason, "expected 1 with search.assignment '%s', found %lld",
                 assignments[own->assignment], parts);
        return false;
    }
    if (own->merge_by == HB_MERGE_BY_PLANES) {
        fault->key = "search.merge_by";
        snprintf(fault->reason, sizeof fault->reason,
                 "'planes' does not fit search.merge_parts above 1: the planes of a sum are not the sum of planes");
        return false;
    }
    for (int32_t k = 0; k < own->merge_rules.n; k++)
        if (own->merge_rules.item[k] < parts) {
            fault->key = "search.merge_rules";
            snprintf(fault->reason, sizeof fault->reason,
                     "expected at least search.merge_parts=%lld rules, found %lld", parts,
                     (long long)own->merge_rules.item[k]);
            return false;
        }
    return true;
}

static bool fits_base(const hb_shared_settings *own, hb_key_fault *fault) {
    const bool merges = own->assignment == HB_ASSIGN_MERGE;
    if (own->base == HB_BASE_NONE || (!merges && own->noise == HB_NOISE_OF_RULE)) return true;
    fault->key = "search.base";
    snprintf(fault->reason, sizeof fault->reason, "'%s' does not fit %s '%s'", bases[own->base],
             merges ? "search.assignment" : "search.noise",
             merges ? assignments[own->assignment] : noises[own->noise]);
    return false;
}

static bool shared_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault) {
    const hb_shared_settings *own = settings->own;
    const bool by_neuron = own->assignment == HB_ASSIGN_SIDES || own->assignment == HB_ASSIGN_NEURON;
    if (!hb_sharing_fits(settings, subject, fault)) return false;
    if ((by_neuron || own->assignment == HB_ASSIGN_MERGE) && own->noise == HB_NOISE_OF_SYNAPSE) {
        fault->key = "search.noise";
        snprintf(fault->reason, sizeof fault->reason, "'synapse' does not fit search.assignment '%s'",
                 assignments[own->assignment]);
        return false;
    }
    if (own->assignment == HB_ASSIGN_MERGE && settings->restart > 0) {
        fault->key = "search.restart";
        snprintf(fault->reason, sizeof fault->reason,
                 "expected 0 with search.assignment 'merge', whose merges are counted in generations");
        return false;
    }
    if (own->combine == HB_COMBINE_PRODUCT && !by_neuron) {
        fault->key = "search.combine";
        snprintf(fault->reason, sizeof fault->reason, "'product' needs search.assignment sides or neuron, found '%s'",
                 assignments[own->assignment]);
        return false;
    }
    return fits_base(own, fault) && fits_merging(own, fault);
}

// ---------------------------------------------------------------------------------------------------
// Create

static hb_status check_numbers(const hb_search *search, int64_t m, hb_error *error) {
    const hb_net *net = search->net;
    const int64_t most = net->n_weights * hb_shared_maps_at(search, 0);
    if (m < 1 || m > most)
        return hb_fail(error, HB_BAD_INPUT, "search.rules: expected 1 to %lld rules, found %lld", (long long)most,
                       (long long)m);
    // These parameters are not sums of parts, so the reduced step size must not apply to them.
    if (hb_shared_own(search)->merge_parts > 1 && hb_net_unpenalised(net) > 0)
        return hb_fail(error, HB_BAD_INPUT,
                       "search.merge_parts: expected 1 where more than rules is evolved, found %lld; policy.init "
                       "other than coevolve and policy.vision=fixed evolve rules alone",
                       (long long)hb_shared_own(search)->merge_parts);
    return HB_OK;
}

// Adds the base to the state and draws it.
static hb_status draw_base(hb_search *search, hb_error *error) {
    const size_t n = (size_t)(search->net->n_weights * search->net->rule->n_coefficients);
    hb_status status = hb_search_add_array(search, "base", n, error);
    if (status != HB_OK) return status;
    search->array[search->n_arrays - 1].is_fixed = true;
    float *base = malloc(n * sizeof *base);
    if (!base) return hb_fail(error, HB_FAILED, "out of memory drawing %zu numbers", n);
    const hb_noise id = hb_search_noise(search, HB_STREAM_START, 1, 0);
    for (size_t d = 0; d < n; d++) base[d] = hb_noise_normal(id, d);
    status = hb_device_upload(search->machine->device, hb_shared_base(search), base, n, error);
    free(base);
    return status;
}

static hb_status shared_create(hb_search *search, hb_error *error) {
    const hb_net *net = search->net;
    const int64_t m = hb_shared_rules_at(search, 0);
    hb_status status = check_numbers(search, m, error);
    if (status != HB_OK) return status;
    const size_t numbers = (size_t)(m * search->net->rule->n_coefficients), own = (size_t)hb_net_unpenalised(net);
    status = hb_estimator_create(search, numbers + own, error);
    if (status == HB_OK)
        status = hb_search_add_integers(search, "rule", (size_t)hb_shared_most_maps(search) * (size_t)net->n_weights,
                                        (uint32_t)m, error);
    if (status == HB_OK) status = hb_shared_assign(search, error);
    if (status == HB_OK && hb_shared_own(search)->base == HB_BASE_RANDOM) status = draw_base(search, error);
    hb_search_add_number(search, "rules");
    search->number[0].value = (double)m;
    return status == HB_OK ? hb_estimator_start(search, numbers, NULL, error) : status;
}

// ---------------------------------------------------------------------------------------------------
// Ask

// Step size of the rules. A part of R merged ones gets sigma / sqrt(R) and lr / R: the sum of R parts then has standard deviation
// sigma, and its update has the expected length and (with SGD) the variance of a single rule's. search.merge_step multiplies
// both. Parts of neurons (sides, neuron) keep the full step size.
static hb_step_size step_size(const hb_search *search) {
    if (!hb_shared_merged_at(search, search->generation)) return (hb_step_size){search->sigma, search->lr};
    const double parts = (double)hb_shared_own(search)->merge_parts, step = hb_shared_own(search)->merge_step;
    return (hb_step_size){step * search->sigma / sqrt(parts), step * search->lr / parts};
}

static void shared_genome(const hb_search *search, int64_t s, hb_genome *genome) {
    const hb_net *net = search->net;
    const int32_t m = hb_shared_rules_at(search, search->generation), c = search->net->rule->n_coefficients;
    *genome = (hb_genome){.mean = search->array[HB_MEAN].data,
                          .sharing = {.rule = hb_shared_map(search).data,
                                      .base = hb_shared_base(search),
                                      .n_maps = hb_shared_maps_at(search, search->generation),
                                      .n_synapses = net->n_weights,
                                      .n_numbers = (int64_t)m * c + hb_net_unpenalised(net),
                                      .n_rules = m,
                                      .n_coefficients = c,
                                      .noise_per_synapse = hb_shared_own(search)->noise == HB_NOISE_OF_SYNAPSE,
                                      .product = hb_shared_own(search)->combine == HB_COMBINE_PRODUCT}};
    hb_estimator_sample(search, step_size(search), s < 0 ? 0 : s, genome);
}

// ---------------------------------------------------------------------------------------------------
// Tell

typedef struct {
    const hb_search *search;
    uint32_t *rule;
} folding;

// A rule's gradient is the sum over its synapses, by ascending synapse.
static void fold_by_rule(const void *context, const float *gradient, float *mean_gradient) {
    const folding *f = context;
    const hb_net *net = f->search->net;
    const int64_t c = f->search->net->rule->n_coefficients, m = hb_shared_rules_at(f->search, 0);
    for (int64_t d = 0; d < net->n_penalised; d++) mean_gradient[f->rule[d / c] * c + d % c] += gradient[d];
    for (int64_t d = net->n_penalised; d < net->genome_size; d++)
        mean_gradient[m * c + d - net->n_penalised] = gradient[d];
}

static hb_status shared_update(hb_search *search, const double *fitness, hb_error *error) {
    const int32_t m = hb_shared_rules_at(search, search->generation),
                  next = hb_shared_rules_at(search, search->generation + 1);
    const size_t n = (size_t)(m * search->net->rule->n_coefficients + hb_net_unpenalised(search->net));
    hb_status status;
    if (hb_shared_own(search)->noise == HB_NOISE_OF_RULE) {
        status = hb_estimator_step(search, step_size(search), fitness, n, error);
    } else {
        folding f = {.search = search};
        status = hb_shared_download(search, &f.rule, error);
        if (status == HB_OK)
            status = hb_estimator_step_folded(search, step_size(search), fitness, (size_t)search->net->genome_size, n,
                                              fold_by_rule, &f, error);
        free(f.rule);
    }
    search->number[0].value = m;
    return status == HB_OK && next < m ? hb_shared_merge(search, m, next, error) : status;
}

const hb_search_method hb_search_shared = {.name = "shared",
                                           .summary = "a few rules, each shared by many synapses by a fixed map",
                                           .keys = shared_keys,
                                           .settings_size = sizeof(hb_shared_settings),
                                           .fits = shared_fits,
                                           .shares = true,
                                           .create = shared_create,
                                           .genome = shared_genome,
                                           .update = shared_update};
