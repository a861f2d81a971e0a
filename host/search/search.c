#include "host/search/restart.h"
#include "host/search/standard.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const hb_search_method *const hb_searches[] = {
    &hb_search_normal, &hb_search_shared, &hb_search_gmm, &hb_search_pgpe, &hb_search_snes, &hb_search_sep_cma, NULL};

// ---------------------------------------------------------------------------------------------------
// Keys

static const char *search_word(int k) {
    return hb_searches[k] ? hb_searches[k]->name : NULL;
}

static const char *const optimisers[] = {"sgd", "adam", NULL};
static const char *const commons[] = {"none", "pair", "generation", NULL};
static const char *const observations[] = {"raw", "standard", NULL};
static const char *const shapings[] = {"ranks", "ranks_unbiased", "none", "ranks_centered", NULL};
static const char *const starts[] = {"normal", "u01", "u11", "fan_in", NULL};
static const char *const formulas[] = {"text", "code", NULL};

#define FIELDS hb_search_settings
const hb_key hb_search_keys[] = {
    HB_KEY_NAMED(FIELDS, kind, search_word, "normal", "search distribution"),
    HB_KEY(FIELDS, population, INT, "500", 2, 10e6, "individuals"),
    HB_KEY(FIELDS, sigma, REAL, "0.1", 1e-12, 1e6, "standard deviation at the start"),
    HB_KEY(FIELDS, sigma_decay, REAL, "0.999", 1e-6, 1,
           "per generation; not where a search moves deviations itself (pgpe, snes, sep_cma)"),
    HB_KEY(FIELDS, sigma_floor, REAL, "0.01", 0, 1e6, "sigma decays only above this"),
    HB_KEY(FIELDS, lr, REAL, "0.2", 0, 1e6, "learning rate at the start; snes and sep_cma have rates of their own"),
    HB_KEY(FIELDS, lr_decay, REAL, "0.995", 1e-6, 1, "per generation"),
    HB_KEY(FIELDS, lr_floor, REAL, "0.001", 0, 1e6, "lr decays only above this"),
    HB_KEY_OF(FIELDS, optimiser, optimisers, "sgd", "what applies the gradient"),
    HB_KEY(FIELDS, beta1, REAL, "0.9", 0, 0.999999, "Adam's decay of the first moment"),
    HB_KEY(FIELDS, beta2, REAL, "0.999", 0, 0.999999, "Adam's decay of the second moment"),
    HB_KEY(FIELDS, epsilon, REAL, "1e-8", 0, 1, "Adam's term in the denominator"),
    HB_KEY(FIELDS, antithetic, BOOL, "true", 0, 0, "individuals come in pairs mean +- sigma eps"),
    HB_KEY_OF(FIELDS, common, commons, "none",
              "who shares birth weights and resets: none; pair: the two of an antithetic pair; generation: all"),
    HB_KEY_OF(FIELDS, observations, observations, "raw",
              "raw, or standard: in units of the mean and sd of all earlier generations, within 5; not for pictures"),
    HB_KEY_OF(FIELDS, shaping, shapings, "ranks",
              "fitness shaping: standardised ranks (NR), ranks with unbiased sd (PNR), none, ranks from -1/2 to 1/2; "
              "snes and "
              "sep_cma weigh ranks in ways of their own"),
    HB_KEY(FIELDS, l2, REAL, "0.01", 0, 1e6, "penalty: fitness -= l2 mean(h^2)"),
    HB_KEY(FIELDS, clip_negative, BOOL, "false", 0, 0, "a negative return counts as 0 (NR's first code)"),
    HB_KEY_OF(FIELDS, start, starts, "normal", "start of the mean: N(0,1), U[0,1], U[-1,1], U(+-1/sqrt(I))"),
    HB_KEY(FIELDS, start_scale, REAL, "1", 0, 1e6, "multiplies the start of the rules' coefficients"),
    HB_KEY(FIELDS, stop_mean, REAL, "1e300", -1e300, 1e300, "stop when the population mean exceeds this",
           .same_bits = true),
    HB_KEY(FIELDS, restart, INT, "0", 0, 1e6,
           "begin anew, from another start, after this many generations without a better population mean; 0: never"),
    HB_KEY(FIELDS, rho, REAL, "32", 1, 1e9, "shared rules: synapses per rule; the number of rules is M = N / rho"),
    HB_KEY(FIELDS, rules, INT, "0", 0, 1e7, "shared rules: their number M; 0: from rho"),
    HB_KEY_OF(FIELDS, m_formula, formulas, "text",
              "shared rules: text: M = N / rho (PNR's text); code: M = C N / rho (PNR's Ant code), C coefficients "
              "per rule"),
    {.name = NULL}};

// Which keys are read where: of searches that move sigma by its decay, that take steps of lr, that share rules, of a number of rules that follows from
// rho, of Adam, of rates that decay.
typedef enum { OF_SIGMA, OF_STEPS, OF_RULES, OF_RHO, OF_ADAM, OF_SIGMA_DECAY, OF_LR_DECAY } what_reads;

static const struct {
    const char *key;
    what_reads reader;
} readers[] = {{"sigma_decay", OF_SIGMA}, {"sigma_floor", OF_SIGMA}, {"lr", OF_STEPS},
               {"lr_decay", OF_STEPS},    {"lr_floor", OF_STEPS},    {"shaping", OF_STEPS},
               {"rho", OF_RULES},         {"rules", OF_RULES},       {"m_formula", OF_RULES},
               {"rho", OF_RHO},           {"m_formula", OF_RHO},     {"beta1", OF_ADAM},
               {"beta2", OF_ADAM},        {"epsilon", OF_ADAM},      {"sigma_floor", OF_SIGMA_DECAY},
               {"lr_floor", OF_LR_DECAY}};

// The setting without which `reader` reads nothing, if that is how it is set; else "".
static void name_idle_reader(const hb_search_settings *s, what_reads reader, char text[64]) {
    const hb_search_method *method = hb_searches[s->kind];
    const bool by_kind[] = {
        [OF_SIGMA] = method->adapts, [OF_STEPS] = method->own_steps, [OF_RULES] = !method->shares};
    text[0] = '\0';
    if (reader <= OF_RULES && by_kind[reader]) snprintf(text, 64, "search.kind=%s", method->name);
    if (reader == OF_RHO && s->rules > 0) snprintf(text, 64, "search.rules=%lld", (long long)s->rules);
    if (reader == OF_ADAM && s->optimiser != HB_ADAM)
        snprintf(text, 64, "search.optimiser=%s", optimisers[s->optimiser]);
    if (reader == OF_SIGMA_DECAY && s->sigma_decay == 1) snprintf(text, 64, "search.sigma_decay=1");
    if (reader == OF_LR_DECAY && s->lr_decay == 1) snprintf(text, 64, "search.lr_decay=1");
}

void hb_search_idle(const hb_search_settings *settings, const char *key, char text[64]) {
    text[0] = '\0';
    for (size_t k = 0; k < sizeof readers / sizeof *readers && !*text; k++)
        if (strcmp(readers[k].key, key) == 0) name_idle_reader(settings, readers[k].reader, text);
}

bool hb_search_fits(const hb_search_settings *settings, hb_search_subject subject, hb_key_fault *fault) {
    const hb_search_method *method = hb_searches[settings->kind];
    if (settings->antithetic && settings->population % 2) {
        fault->key = "search.population";
        snprintf(fault->reason, sizeof fault->reason, "expected an even number with search.antithetic, found %lld",
                 (long long)settings->population);
        return false;
    }
    if (settings->common == HB_COMMON_PAIR && !settings->antithetic) {
        fault->key = "search.common";
        snprintf(fault->reason, sizeof fault->reason, "'pair' needs search.antithetic");
        return false;
    }
    return !method->fits || method->fits(settings, subject, fault);
}

// ---------------------------------------------------------------------------------------------------
// Create, destroy

hb_status hb_search_create(hb_search *search, const hb_machine *machine, hb_ranks *ranks,
                           const hb_search_settings *settings, uint32_t seed, const hb_net *net, hb_error *error) {
    *search = (hb_search){.method = hb_searches[settings->kind],
                          .machine = machine,
                          .ranks = ranks,
                          .settings = settings,
                          .net = net,
                          .seed = seed,
                          .lr = settings->lr,
                          .sigma = settings->sigma};
    hb_status status = search->method->create(search, error);
    if (status == HB_OK && settings->observations) status = hb_standard_create(search, error);
    if (status == HB_OK && settings->restart > 0) status = hb_restart_create(search, error);
    if (status != HB_OK) hb_search_destroy(search);
    return status;
}

void hb_search_destroy(hb_search *search) {
    if (search->method && search->method->destroy) search->method->destroy(search);
    search->own = NULL;
    hb_standard_free(search->standard);
    search->standard = NULL;
    for (int32_t k = 0; k < search->n_arrays; k++)
        hb_machine_release(search->machine, search->array[k].data, search->array[k].n);
    search->n_arrays = 0;
}

bool hb_search_is_moment(const hb_search_array *array) {
    const size_t n = strlen(array->name);
    return n > 2 && (strcmp(array->name + n - 2, "_m") == 0 || strcmp(array->name + n - 2, "_v") == 0);
}

hb_status hb_search_add_array(hb_search *search, const char *name, size_t n, hb_error *error) {
    hb_memory data;
    if (search->n_arrays == HB_MAX_ARRAYS)
        return hb_fail(error, HB_FAILED, "search '%s' has more than %d arrays", search->method->name, HB_MAX_ARRAYS);
    const hb_status status = hb_machine_keep(search->machine, n, &data, error);
    if (status == HB_OK)
        search->array[search->n_arrays++] = (hb_search_array){.name = name, .data = data, .n = n, .whole = n};
    return status;
}

hb_status hb_search_add_integers(hb_search *search, const char *name, size_t n, uint32_t below, hb_error *error) {
    const hb_status status = hb_search_add_array(search, name, n, error);
    if (status == HB_OK) search->array[search->n_arrays - 1].below = below;
    return status;
}

void hb_search_add_number(hb_search *search, const char *name) {
    if (search->n_numbers == HB_MAX_NUMBERS) return;
    snprintf(search->number[search->n_numbers++].name, sizeof search->number->name, "%s", name);
}

// ---------------------------------------------------------------------------------------------------
// Ask, tell

hb_status hb_search_prepare(hb_search *search, int64_t n, uint32_t episode, hb_error *error) {
    hb_status status = search->standard ? hb_standard_prepare(search, error) : HB_OK;
    if (status == HB_OK && search->restart) status = hb_restart_prepare(search, error);
    return status == HB_OK && search->method->prepare ? search->method->prepare(search, n, episode, error) : status;
}

void hb_search_mean_genome(const hb_search *search, hb_genome *genome) {
    search->method->genome(search, -1, genome);
    genome->sigma = 0.0f;
}

void hb_search_eval_genome(const hb_search *search, int64_t r, hb_genome *genome) {
    search->method->genome(search, r, genome);
    genome->sigma = fabsf(genome->sigma);
    genome->noise = hb_search_noise(search, HB_STREAM_SEARCH, r, HB_EPISODE_EVAL);
}

hb_status hb_search_tell(hb_search *search, const double *fitness, hb_error *error) {
    const hb_search_settings *s = search->settings;
    hb_status status = search->method->update(search, fitness, error);
    if (status == HB_OK && search->standard) status = hb_standard_tell(search, error);
    if (status != HB_OK) return status;
    if (search->lr > s->lr_floor) search->lr *= s->lr_decay;
    if (!search->method->adapts && search->sigma > s->sigma_floor) search->sigma *= s->sigma_decay;
    search->generation++;
    return search->restart ? hb_restart_tell(search, fitness, error) : HB_OK;
}

// ---------------------------------------------------------------------------------------------------
// What methods share

hb_noise hb_search_noise(const hb_search *search, uint32_t stream, int64_t individual, uint32_t episode) {
    return (hb_noise){.seed = search->seed,
                      .stream = stream,
                      .generation = (uint32_t)search->generation,
                      .individual = (uint32_t)individual,
                      .episode = episode};
}

hb_noise hb_search_life_noise(const hb_search *search, uint32_t stream, int64_t s, uint32_t episode) {
    const hb_common common = search->settings->common;
    return hb_search_noise(search, stream,
                           common == HB_COMMON_NONE   ? s
                           : common == HB_COMMON_PAIR ? s / 2
                                                      : 0,
                           episode);
}
