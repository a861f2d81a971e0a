// The normal search distribution N(mean, sigma^2 I) with the papers' estimator (learning.md section 4):
//     mean <- mean + lr / (n sigma) sum_s z_s eps_s
// Antithetic pairs (2p, 2p+1) share eps_p with opposite signs, so the sum runs over pairs with z_2p - z_2p+1.
#include "host/search.h"
#include "host/shape.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MEAN, ADAM_M, ADAM_V }; // the arrays of the state

// ---------------------------------------------------------------------------------------------------
// The start

// U(+-1/sqrt(I)) where I is the fan-in of the weight or synapse that element d belongs to.
static float fan_in_bound(const hb_net *net, int64_t d) {
    int32_t l = net->n_layers - 1;
    while (l > 0 && d < net->layer[l].genome_offset) l--;
    return 1.0f / sqrtf((float)net->layer[l].inputs);
}

static hb_status draw_start(hb_search *search, hb_error *error) {
    const size_t n = search->array[MEAN].n;
    float *start = malloc(n * sizeof *start);
    if (!start) return hb_fail(error, HB_FAILED, "out of memory drawing the start");
    const hb_noise id = hb_search_noise(search, HB_STREAM_START, 0, 0);
    const char *how = search->settings->start;
    for (size_t d = 0; d < n; d++) {
        const float u = hb_uniform(hb_noise_word(id, d));
        const int evolved_weight = (int64_t)d >= search->net->n_penalised; // "coevolve" starts from N(0, 1)
        if (strcmp(how, "normal") == 0 || evolved_weight)
            start[d] = hb_noise_normal(id, d);
        else if (strcmp(how, "u01") == 0)
            start[d] = u;
        else {
            const float bound = strcmp(how, "u11") == 0 ? 1.0f : fan_in_bound(search->net, (int64_t)d);
            start[d] = hb_fma(u, 2.0f * bound, -bound);
        }
    }
    const hb_machine *machine = search->machine;
    const hb_status status = machine->table->upload(machine->device, search->array[MEAN].data, start, n, error);
    free(start);
    return status;
}

static hb_status normal_create(hb_search *search, hb_error *error) {
    const size_t n = (size_t)search->net->genome_size;
    float *data;
    hb_status status = hb_search_add_array(search, "mean", n, &data, error);
    if (status == HB_OK && strcmp(search->settings->optimiser, "adam") == 0) {
        status = hb_search_add_array(search, "adam_m", n, &data, error);
        if (status == HB_OK) status = hb_search_add_array(search, "adam_v", n, &data, error);
    }
    return status == HB_OK ? draw_start(search, error) : status;
}

// ---------------------------------------------------------------------------------------------------
// Ask

static void normal_genome(const hb_search *search, int64_t s, hb_genome *genome) {
    const bool antithetic = search->settings->antithetic;
    const float sigma = (float)search->sigma;
    genome->mean = search->array[MEAN].data;
    genome->sigma = antithetic && s % 2 ? -sigma : sigma;
    genome->noise = hb_search_noise(search, HB_STREAM_SEARCH, antithetic ? s / 2 : s, 0);
}

// ---------------------------------------------------------------------------------------------------
// Tell

typedef struct {
    hb_search *search;
    const float *z;
    int32_t n_terms;
    float *gradient;
    atomic_int failed; // a status
    hb_error *error;   // of the first failure
} update;

// base^n by repeated squaring, a fixed order of products.
static double power(double base, int64_t n) {
    double result = 1.0;
    for (; n > 0; n >>= 1, base *= base)
        if (n & 1) result *= base;
    return result;
}

static hb_adam adam_parameters(const hb_search *search, double scale) {
    const hb_settings *settings = search->settings;
    const int64_t t = search->generation + 1;
    return (hb_adam){.rate = (float)search->lr,
                     .scale = (float)scale,
                     .beta1 = (float)settings->beta1,
                     .beta2 = (float)settings->beta2,
                     .epsilon = (float)settings->epsilon,
                     .correction1 = (float)(1.0 / (1.0 - power(settings->beta1, t))),
                     .correction2 = (float)(1.0 / (1.0 - power(settings->beta2, t)))};
}

// Elements [begin, end): their gradient from regenerated noise, then the optimiser's step.
static void update_range(void *context, size_t begin, size_t end) {
    update *u = context;
    hb_search *search = u->search;
    const hb_settings *settings = search->settings;
    const hb_device_table *table = search->machine->table;
    hb_device *device = search->machine->device;
    float *mean = search->array[MEAN].data;
    const double scale = 1.0 / ((double)settings->population * search->sigma);
    hb_error error;
    hb_status status = table->gradient(device, u->gradient, u->z, u->n_terms,
                                       hb_search_noise(search, HB_STREAM_SEARCH, 0, 0), begin, end, &error);
    if (status == HB_OK && search->n_arrays == 1)
        status = table->sgd(device, mean, u->gradient, (float)(search->lr * scale), begin, end, &error);
    else if (status == HB_OK)
        status = table->adam(device, mean, search->array[ADAM_M].data, search->array[ADAM_V].data, u->gradient,
                             adam_parameters(search, scale), begin, end, &error);
    int none = HB_OK;
    if (status != HB_OK && atomic_compare_exchange_strong(&u->failed, &none, (int)status) && u->error)
        *u->error = error;
}

static hb_status normal_update(hb_search *search, const double *fitness, hb_error *error) {
    const int32_t population = (int32_t)search->settings->population;
    const bool antithetic = search->settings->antithetic;
    const hb_machine *machine = search->machine;
    float *z = malloc((size_t)population * sizeof *z);
    if (!z) return hb_fail(error, HB_FAILED, "out of memory shaping fitness");
    update u = {.search = search, .z = z, .n_terms = antithetic ? population / 2 : population, .error = error};
    const size_t n = search->array[MEAN].n;
    hb_status status = hb_shape(search->settings->shaping, fitness, population, z, error);
    if (status == HB_OK) status = machine->table->alloc(machine->device, n, &u.gradient, error);
    if (status == HB_OK) {
        for (int32_t p = 0; antithetic && p < u.n_terms; p++) z[p] = z[2 * p] - z[2 * p + 1];
        if (machine->table->host_parallel)
            hb_pool_split(machine->pool, n, HB_NOISE_BLOCK, update_range, &u);
        else
            update_range(&u, 0, n);
        machine->table->free(machine->device, u.gradient);
        status = (hb_status)atomic_load(&u.failed);
    }
    free(z);
    return status;
}

const hb_search_method hb_search_normal = {.name = "normal",
                                           .summary = "N(mean, sigma^2 I), antithetic, shaped by ranks",
                                           .create = normal_create,
                                           .genome = normal_genome,
                                           .update = normal_update};
