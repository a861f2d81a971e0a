// Shared rules as a Gaussian mixture over every synapse's coefficients (Palm, Najarro & Risi 2021, section 3;
// docs/equations.md, "Mixture"): synapse i draws rule k from softmax(lambda_i) and its coefficients from N(mu_k, sigma^2 I).
// lambda (N, M) and mu (M, C) are evolved by the score function, without antithetic pairs. Between prepare and update only the
// choices are kept; everything else is regenerated (kernels/ops.h, "Mixture"). Other evolved numbers, the convolutions, follow
// mu in the mean and are drawn from N(mean, sigma^2) (in PNR's code they start at 0 and their sigma does not decay; here it does).
//
// Four options change what makes the published mixture fail (docs/sharing.md): the joint score of rule and coefficients
// (search.responsibility: hard), lambda and mu in turns (search.alternate), lambda's gradient divided by each rule's
// probability (search.lambda_step: natural), and a learning rate for lambda (search.lr_lambda).
#include "host/search/estimator.h"
#include "host/search/rows.h"
#include "host/search/shaping.h"
#include "host/search/sharing.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// ---------------------------------------------------------------------------------------------------
// Keys

typedef enum { SOFT, HARD } responsibility;
typedef enum { PLAIN, NATURAL } lambda_step;
typedef enum { NEAREST_FIRST, EVERY_RULE } gradient_kind;

typedef struct {
    double lr_lambda;
    lambda_step lambda_step;
    responsibility responsibility;
    int64_t alternate;
    gradient_kind gradient;
} gmm_settings;

static const char *const lambda_steps[] = {"plain", "natural", NULL};
static const char *const responsibilities[] = {"soft", "hard", NULL};
static const char *const gradients[] = {"auto", "dense", NULL};

static const hb_key gmm_keys[] = {
    HB_KEY(gmm_settings, lr_lambda, REAL, "0", 0, 1e6,
           "gmm: lambda's learning rate at the start, decaying like lr; 0: the same as lr"),
    HB_KEY_OF(gmm_settings, lambda_step, lambda_steps, "plain",
              "gmm: natural divides lambda's gradient by each rule's probability"),
    HB_KEY_OF(gmm_settings, responsibility, responsibilities, "soft",
              "gmm: soft marginalises over rules (PNR); hard takes the drawn rule alone"),
    HB_KEY(gmm_settings, alternate, INT, "0", 0, 1e6,
           "gmm: lambda and mu (with convolutions) move in turns of this many generations; 0: both always"),
    HB_KEY_OF(gmm_settings, gradient, gradients, "auto",
              "gmm: dense computes every rule for every sample; the same bits, slower", .same_bits = true),
    {.name = NULL}};

static const gmm_settings *own_settings(const hb_search *search) {
    return search->settings->own;
}

// Mixtures need coefficients to share, and know no evolved initial weights.
static bool gmm_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault) {
    if (!hb_sharing_fits(settings, subject, fault)) return false;
    if (settings->common == HB_COMMON_PAIR) {
        fault->key = "search.common";
        snprintf(fault->reason, sizeof fault->reason, "'pair' does not fit search.kind 'gmm', which has no pairs");
        return false;
    }
    if (!subject.evolves_weights) return true;
    fault->key = "policy.init";
    snprintf(fault->reason, sizeof fault->reason, "'coevolve' does not fit search.kind 'gmm'");
    return false;
}

// ---------------------------------------------------------------------------------------------------
// State

typedef struct {
    hb_memory choice; // (n_prepared, N) integers
    int64_t n_prepared;
    hb_memory mode;   // (N) integers: each synapse's most probable rule
    float *entropy;   // (N)
    double *row_norm; // (N)
} gmm;

// Numbers reported of a generation.
enum { RULES_IN_USE, MU_NORM, LAMBDA_NORM, MU_NEAREST, MU_SPREAD, LIVE, DENSE, ENTROPY };

static int32_t coefficients(const hb_search *search) {
    return search->net->rule->n_coefficients;
}

static hb_search_array *lambda_of(const hb_search *search) {
    return (hb_search_array *)&search->array[hb_estimator_arrays(search)];
}

static int64_t n_rules(const hb_search *search) {
    return ((int64_t)search->array[HB_MEAN].n - hb_net_unpenalised(search->net)) / coefficients(search);
}

// The synapses whose rows of lambda are on this rank.
static hb_rows own_rows(const hb_search *search) {
    return hb_rows_of(search, search->net->n_weights);
}

static hb_mixture mixture_of(const hb_search *search) {
    return (hb_mixture){.lambda = lambda_of(search)->data,
                        .first_row = own_rows(search).begin,
                        .mu = search->array[HB_MEAN].data,
                        .sigma = (float)search->sigma,
                        .n_synapses = search->net->n_weights,
                        .n_rules = (int32_t)n_rules(search),
                        .n_coefficients = coefficients(search)};
}

// ---------------------------------------------------------------------------------------------------
// Create

static void name_numbers(hb_search *search) {
    static const char *const names[] = {"rules_in_use", "mu_gradient", "lambda_gradient", "mu_nearest",
                                        "mu_spread",    "live_rules",  "dense_samples"};
    for (int k = 0; k < ENTROPY; k++) hb_search_add_number(search, names[k]);
    for (int32_t l = 0; l < search->net->n_layers; l++) {
        char name[32];
        snprintf(name, sizeof name, "entropy_layer%d", l + 1);
        hb_search_add_number(search, name);
    }
}

static hb_status gmm_create(hb_search *search, hb_error *error) {
    const int64_t m = hb_sharing_rules(search);
    if (m > INT32_MAX / HB_MAX_COEFFICIENTS)
        return hb_fail(error, HB_BAD_INPUT, "search.rules: expected at most %d rules, found %lld",
                       INT32_MAX / HB_MAX_COEFFICIENTS, (long long)m);
    const size_t n = (size_t)search->net->n_weights, numbers = (size_t)(m * coefficients(search));
    gmm *own = calloc(1, sizeof *own);
    if (!own) return hb_fail(error, HB_FAILED, "out of memory opening the mixture");
    search->own = own;
    own->entropy = calloc(n, sizeof *own->entropy);
    own->row_norm = calloc(n, sizeof *own->row_norm);
    if (!own->entropy || !own->row_norm) return hb_fail(error, HB_FAILED, "out of memory opening the mixture");
    hb_status status = hb_estimator_create(search, numbers + (size_t)hb_net_unpenalised(search->net), error);
    if (status == HB_OK) status = hb_rows_add(search, "lambda", (int64_t)n, m, error);
    if (status == HB_OK && hb_estimator_arrays(search) > 1) {
        status = hb_rows_add(search, "lambda_m", (int64_t)n, m, error);
        if (status == HB_OK) status = hb_rows_add(search, "lambda_v", (int64_t)n, m, error);
    }
    name_numbers(search);
    if (status == HB_OK) status = hb_estimator_start(search, numbers, NULL, error);
    float *zero = calloc((size_t)hb_net_unpenalised(search->net) + 1, sizeof *zero);
    if (status == HB_OK && !zero) status = hb_fail(error, HB_FAILED, "out of memory opening the mixture");
    if (status == HB_OK)
        status = hb_device_upload(search->machine->device, hb_memory_at(search->array[HB_MEAN].data, numbers), zero,
                                  (size_t)hb_net_unpenalised(search->net), error);
    free(zero);
    return status;
}

static void gmm_destroy(hb_search *search) {
    gmm *own = search->own;
    if (!own) return;
    hb_device_free(search->machine->device, own->choice);
    hb_device_free(search->machine->device, own->mode);
    free(own->entropy);
    free(own->row_norm);
    free(own);
}

// ---------------------------------------------------------------------------------------------------
// Ask

typedef struct {
    const hb_search *search;
    int64_t n;
    uint32_t episode;
} asking;

static hb_status choose_part(const void *context, size_t begin, size_t end, hb_error *error) {
    const asking *a = context;
    const hb_search *search = a->search;
    const gmm *own = search->own;
    const hb_mixture mixture = mixture_of(search);
    const int64_t first = mixture.first_row;
    return hb_mixture_choose(search->machine->device, &mixture, (int32_t)a->n,
                             hb_search_noise(search, HB_STREAM_CHOICE, 0, a->episode), own->choice, own->entropy,
                             first + (int64_t)begin, first + (int64_t)end, error);
}

static hb_status room_for_choices(hb_search *search, int64_t n, hb_error *error) {
    gmm *own = search->own;
    if (n <= own->n_prepared) return HB_OK;
    const hb_machine *machine = search->machine;
    hb_device_free(machine->device, own->choice);
    own->choice = (hb_memory){NULL};
    own->n_prepared = 0;
    const hb_status status =
        hb_device_alloc(machine->device, (size_t)(n * search->net->n_weights), &own->choice, error);
    if (status == HB_OK) own->n_prepared = n;
    return status;
}

// The most probable rule of every synapse, the lowest where several are.
static hb_status find_mode(hb_search *search, hb_error *error) {
    gmm *own = search->own;
    const hb_machine *machine = search->machine;
    const size_t n = (size_t)search->net->n_weights, m = (size_t)n_rules(search);
    hb_status status = own->mode.address ? HB_OK : hb_device_alloc(machine->device, n, &own->mode, error);
    float *row = malloc(m * sizeof *row);
    uint32_t *mode = calloc(n, sizeof *mode);
    if (status == HB_OK && (!row || !mode)) status = hb_fail(error, HB_FAILED, "out of memory reading the mixture");
    const hb_rows rows = own_rows(search);
    for (int64_t i = rows.begin; i < rows.end && status == HB_OK; i++) {
        const hb_memory there = hb_memory_at(lambda_of(search)->data, (size_t)(i - rows.begin) * m);
        status = hb_device_download(machine->device, row, there, m, error);
        for (size_t k = 1; k < m && status == HB_OK; k++) mode[i] = row[k] > row[mode[i]] ? (uint32_t)k : mode[i];
    }
    if (status == HB_OK) status = hb_device_upload(machine->device, own->mode, mode, n, error);
    if (status == HB_OK) status = hb_rows_share_columns(search, own->mode, 1, (int64_t)n, error);
    free(row);
    free(mode);
    return status;
}

static hb_status gmm_prepare(hb_search *search, int64_t n, uint32_t episode, hb_error *error) {
    hb_status status = room_for_choices(search, n, error);
    const asking a = {search, n, episode};
    const hb_rows rows = own_rows(search);
    gmm *own = search->own;
    if (status == HB_OK)
        status = hb_machine_split(search->machine, (size_t)(rows.end - rows.begin), 1, choose_part, &a, error);
    if (status == HB_OK) status = hb_rows_share_columns(search, own->choice, n, search->net->n_weights, error);
    if (status == HB_OK) status = hb_rows_share_floats(search, own->entropy, search->net->n_weights, error);
    return status == HB_OK && episode >= HB_EPISODE_EVAL ? find_mode(search, error) : status;
}

static void gmm_genome(const hb_search *search, int64_t s, hb_genome *genome) {
    const gmm *own = search->own;
    const hb_net *net = search->net;
    const hb_memory rule = s < 0 ? own->mode : hb_memory_at(own->choice, (size_t)s * (size_t)net->n_weights);
    *genome = (hb_genome){.mean = search->array[HB_MEAN].data,
                          .sigma = s < 0 ? 0.0f : (float)search->sigma,
                          .noise = hb_search_noise(search, HB_STREAM_SEARCH, s < 0 ? 0 : s, 0),
                          .sharing = {.rule = rule,
                                      .n_synapses = net->n_weights,
                                      .n_numbers = (int64_t)search->array[HB_MEAN].n,
                                      .n_maps = 1,
                                      .n_rules = (int32_t)n_rules(search),
                                      .n_coefficients = coefficients(search),
                                      .noise_per_synapse = true}};
}

// ---------------------------------------------------------------------------------------------------
// Tell

typedef struct {
    hb_mixture_work *work;
    int64_t first; // row
} updating;

static hb_status prepare_part(const void *context, size_t begin, size_t end, hb_error *error) {
    return hb_mixture_prepare(((const updating *)context)->work, (int32_t)begin, (int32_t)end, error);
}

static hb_status rows_part(const void *context, size_t begin, size_t end, hb_error *error) {
    const updating *u = context;
    return hb_mixture_rows(u->work, u->first + (int64_t)begin, u->first + (int64_t)end, error);
}

// lambda and mu take turns of search.alternate generations, lambda first; 0: both always move.
static bool moves(const hb_search *search, bool lambda) {
    const int64_t turn = own_settings(search)->alternate;
    return turn == 0 || (search->generation / turn % 2 == 0) == lambda;
}

static double lambda_rate(const hb_search *search) {
    const double start = own_settings(search)->lr_lambda;
    return start > 0 ? start * search->lr / search->settings->lr : search->lr; // both decay alike
}

// Writes the gradient by mu to g (M, C), host memory. lambda moves, or, if `gradient` is given, its gradient goes there.
static hb_status take_gradient(hb_search *search, const float *z, hb_memory gradient, float *g,
                               hb_mixture_counts *counts, hb_error *error) {
    const hb_search_settings *s = search->settings;
    const gmm_settings *set = own_settings(search);
    gmm *own = search->own;
    if ((float)search->sigma * (float)search->sigma < FLT_MIN)
        return hb_fail(error, HB_FAILED, "the mixture's sigma has fallen to %g; raise search.sigma_floor",
                       search->sigma);
    float z_sum = 0;
    for (int64_t p = 0; s->shaping == HB_UNSHAPED && p < s->population; p++) z_sum += z[p];
    const hb_mixture_step step = {.choice = own->choice,
                                  .z = z,
                                  .n_individuals = (int32_t)s->population,
                                  .noise = hb_search_noise(search, HB_STREAM_SEARCH, 0, 0),
                                  .z_sum = z_sum,
                                  .dense = set->gradient == EVERY_RULE,
                                  .hard = set->responsibility == HARD,
                                  .natural = set->lambda_step == NATURAL,
                                  .rate = moves(search, true) ? (float)(lambda_rate(search) / (double)s->population)
                                                              : 0.0f,
                                  .gradient = gradient,
                                  .row_norm = own->row_norm,
                                  .share = search->ranks ? hb_rows_share_sums : NULL,
                                  .share_context = search};
    const hb_mixture mixture = mixture_of(search);
    const hb_rows rows = own_rows(search);
    updating t = {.first = rows.begin};
    hb_status status = hb_mixture_begin(search->machine->device, &mixture, &step, &t.work, error);
    if (status != HB_OK) return status;
    status = hb_machine_split(search->machine, (size_t)mixture.n_rules, 1, prepare_part, &t, error);
    if (status == HB_OK)
        status = hb_machine_split(search->machine, (size_t)(rows.end - rows.begin), 64, rows_part, &t, error);
    const hb_status ended = hb_mixture_end(t.work, g, counts, status == HB_OK ? error : NULL);
    if (status == HB_OK) status = ended;
    if (search->ranks && search->ranks->lost)
        return hb_fail(error, HB_INTERRUPTED, "stopped on request; another rank does not answer");
    return status == HB_OK ? hb_rows_share_doubles(search, own->row_norm, mixture.n_synapses, error) : status;
}

static double layer_mean(const hb_net *net, int32_t l, const float *value) {
    const hb_layer *layer = &net->layer[l];
    const int64_t n = (int64_t)layer->inputs * layer->outputs;
    double sum = 0;
    for (int64_t e = 0; e < n; e++) sum += (double)value[layer->weight_offset + e];
    return sum / (double)n;
}

// How far rules are from their nearest other one, and from their mean: of at most 512 of them, which is enough to see.
static void measure_rules(hb_search *search, const float *mu) {
    const int32_t c_all = coefficients(search), m = (int32_t)n_rules(search), some = m < 512 ? m : 512;
    double centre[HB_MAX_COEFFICIENTS] = {0}, spread2 = 0, nearest_sum = 0;
    for (int32_t k = 0; k < m; k++)
        for (int32_t c = 0; c < c_all; c++) centre[c] += (double)mu[k * c_all + c] / m;
    for (int32_t k = 0; k < m; k++)
        for (int32_t c = 0; c < c_all; c++) {
            const double off = (double)mu[k * c_all + c] - centre[c];
            spread2 += off * off / m;
        }
    for (int32_t k = 0; k < some; k++) {
        double nearest = HUGE_VAL;
        for (int32_t j = 0; j < m; j++) {
            double distance = 0;
            for (int32_t c = 0; c < c_all; c++) {
                const double off = (double)mu[k * c_all + c] - (double)mu[j * c_all + c];
                distance += off * off;
            }
            nearest = j != k && distance < nearest ? distance : nearest;
        }
        nearest_sum += m > 1 ? sqrt(nearest) : 0;
    }
    search->number[MU_NEAREST].value = nearest_sum / some;
    search->number[MU_SPREAD].value = sqrt(spread2);
}

// How many rules the synapses of the first individuals have: enough of them to see every rule that is drawn at all.
static hb_status count_rules(hb_search *search, hb_error *error) {
    const gmm *own = search->own;
    const hb_machine *machine = search->machine;
    const size_t n = (size_t)search->net->n_weights, m = (size_t)n_rules(search);
    uint8_t *used = calloc(m + 1, 1);
    uint32_t *choice = malloc(n * sizeof *choice);
    hb_status status = used && choice ? HB_OK : hb_fail(error, HB_FAILED, "out of memory counting rules");
    const int64_t some = search->settings->population < 32 ? search->settings->population : 32;
    for (int64_t s = 0; s < some && status == HB_OK; s++) {
        status = hb_device_download(machine->device, choice, hb_memory_at(own->choice, (size_t)s * n), n, error);
        for (size_t i = 0; i < n && status == HB_OK; i++) used[choice[i]] = 1;
    }
    double count = 0;
    for (size_t k = 0; status == HB_OK && k < m; k++) count += used[k];
    search->number[RULES_IN_USE].value = count;
    free(used);
    free(choice);
    return status;
}

static hb_status report(hb_search *search, const float *g, const hb_mixture_counts *counts, hb_error *error) {
    const gmm *own = search->own;
    const hb_machine *machine = search->machine;
    const double samples = (double)search->settings->population * (double)search->net->n_weights;
    const size_t numbers = (size_t)(n_rules(search) * coefficients(search));
    double mu_norm = 0, lambda_norm = 0;
    for (size_t e = 0; e < numbers; e++) mu_norm += (double)g[e] * (double)g[e];
    for (int64_t i = 0; i < search->net->n_weights; i++) lambda_norm += own->row_norm[i];
    const double population = (double)search->settings->population;
    search->number[MU_NORM].value = sqrt(mu_norm) / population;
    search->number[LAMBDA_NORM].value = sqrt(lambda_norm) / population;
    search->number[LIVE].value = (double)counts->live / samples;
    search->number[DENSE].value = (double)counts->dense / samples;
    for (int32_t l = 0; l < search->net->n_layers; l++)
        search->number[ENTROPY + l].value = layer_mean(search->net, l, own->entropy);
    float *mu = calloc(numbers + 1, sizeof *mu);
    if (!mu) return hb_fail(error, HB_FAILED, "out of memory measuring the rules");
    const hb_status status = hb_device_download(machine->device, mu, search->array[HB_MEAN].data, numbers, error);
    if (status == HB_OK) measure_rules(search, mu);
    free(mu);
    return status == HB_OK ? count_rules(search, error) : status;
}

typedef struct {
    const hb_search *search;
    hb_memory gradient;
} moving;

static hb_status move_part(const void *context, size_t begin, size_t end, hb_error *error) {
    const hb_search *search = ((const moving *)context)->search;
    const hb_search_array *array = lambda_of(search);
    const hb_adam adam = hb_estimator_adam(search, lambda_rate(search), 1.0 / (double)search->settings->population);
    return hb_device_adam(search->machine->device, array[0].data, array[1].data, array[2].data,
                          ((const moving *)context)->gradient, adam, begin, end, error);
}

static hb_status move_lambda_by_adam(const hb_search *search, hb_memory gradient, hb_error *error) {
    const moving m = {search, gradient};
    if (!moves(search, true)) return HB_OK;
    return hb_machine_split(search->machine, lambda_of(search)->n, HB_NOISE_BLOCK, move_part, &m, error);
}

typedef struct {
    const hb_search *search;
    const float *z;
    hb_memory gradient; // (D)
    size_t first;       // a multiple of 64
} owning;

static hb_status own_part(const void *context, size_t begin, size_t end, hb_error *error) {
    const owning *o = context;
    const hb_search *search = o->search;
    return hb_device_gradient(search->machine->device, o->gradient, o->z, (int32_t)search->settings->population,
                              hb_search_noise(search, HB_STREAM_SEARCH, 0, 0), false, o->first + begin,
                              o->first + end, error);
}

// g (own numbers) <- sum_s z_s eps_s / sigma, the gradient by their mean.
static hb_status own_gradient(const hb_search *search, const float *z, float *g, hb_error *error) {
    const hb_machine *machine = search->machine;
    const size_t own = (size_t)hb_net_unpenalised(search->net), size = (size_t)search->net->genome_size,
                 begin = size - own;
    owning o = {search, z, {NULL}, begin / HB_NOISE_BLOCK * HB_NOISE_BLOCK};
    if (own == 0) return HB_OK;
    hb_status status = hb_device_alloc(machine->device, size, &o.gradient, error);
    if (status == HB_OK) status = hb_machine_split(machine, size - o.first, HB_NOISE_BLOCK, own_part, &o, error);
    if (status == HB_OK) status = hb_device_download(machine->device, g, hb_memory_at(o.gradient, begin), own, error);
    for (size_t e = 0; e < own && status == HB_OK; e++) g[e] /= (float)search->sigma;
    hb_device_free(machine->device, o.gradient);
    return status;
}

static hb_status gmm_update(hb_search *search, const double *fitness, hb_error *error) {
    const hb_machine *machine = search->machine;
    const size_t population = (size_t)search->settings->population, numbers = search->array[HB_MEAN].n;
    const bool adam = hb_estimator_arrays(search) > 1;
    float *z = malloc(population * sizeof *z), *g = calloc(numbers > 0 ? numbers : 1, sizeof *g);
    hb_memory gradient = {NULL};
    hb_mixture_counts counts = {0, 0};
    hb_status status = z && g ? hb_shape_fitness(search->settings->shaping, fitness, (int32_t)population, z, error)
                              : hb_fail(error, HB_FAILED, "out of memory shaping fitness");
    if (status == HB_OK && adam) status = hb_device_alloc(machine->device, lambda_of(search)->n, &gradient, error);
    if (status == HB_OK) status = take_gradient(search, z, gradient, g, &counts, error);
    if (status == HB_OK) status = own_gradient(search, z, g + n_rules(search) * coefficients(search), error);
    if (status == HB_OK) status = report(search, g, &counts, error);
    if (status == HB_OK && adam) status = move_lambda_by_adam(search, gradient, error);
    if (status == HB_OK && moves(search, false))
        status = hb_estimator_move(search, g, 1.0 / (double)population, error);
    hb_device_free(machine->device, gradient);
    free(z);
    free(g);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Memory

static void gmm_memory(const hb_search *search,
                       void (*row)(void *context, const char *what, double bytes, double naive, const char *why),
                       void *context) {
    const double population = (double)search->settings->population;
    const double weights = 4.0 * (double)search->net->n_weights, lambda = 4.0 * (double)lambda_of(search)->n;
    const bool adam = hb_estimator_arrays(search) > 1;
    row(context, "gradient by lambda", adam ? lambda : 0, lambda * population,
        adam ? "one for all; P x N x M" : "row by row, in lambda itself; P x N x M");
    row(context, "choices", weights * population, 2 * weights * population, "rule of every synapse; P x N");
}

// Choices, entropies and norms of rows, and the 64-bit sums for the rules.
static double gmm_exchanged(const hb_search *search) {
    const double synapses = (double)search->net->n_weights, population = (double)search->settings->population;
    return synapses * (4 * population + 12) + 8 * (double)(n_rules(search) * coefficients(search));
}

const hb_search_method hb_search_gmm = {.name = "gmm",
                                        .summary =
                                            "each synapse draws one of a few rules; the probabilities evolve too",
                                        .keys = gmm_keys,
                                        .settings_size = sizeof(gmm_settings),
                                        .fits = gmm_fits,
                                        .shares = true,
                                        .create = gmm_create,
                                        .destroy = gmm_destroy,
                                        .prepare = gmm_prepare,
                                        .genome = gmm_genome,
                                        .update = gmm_update,
                                        .exchanged = gmm_exchanged,
                                        .memory = gmm_memory};
