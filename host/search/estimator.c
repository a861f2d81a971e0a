#include "host/search/estimator.h"
#include "host/search/shaping.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool uses_adam(const hb_search *search) {
    return search->settings->optimiser == HB_ADAM;
}

int32_t hb_estimator_arrays(const hb_search *search) {
    return uses_adam(search) ? 3 : 1;
}

hb_status hb_estimator_create(hb_search *search, size_t n, hb_error *error) {
    hb_status status = hb_search_add_array(search, "mean", n, error);
    if (status == HB_OK && uses_adam(search)) status = hb_search_add_array(search, "adam_m", n, error);
    if (status == HB_OK && uses_adam(search)) status = hb_search_add_array(search, "adam_v", n, error);
    return status;
}

hb_status hb_estimator_start(hb_search *search, size_t n_coefficients, float (*fan_in)(const hb_net *net, int64_t d),
                             hb_error *error) {
    const size_t n = search->array[HB_MEAN].n;
    float *start = malloc(n * sizeof *start);
    if (!start) return hb_fail(error, HB_FAILED, "out of memory drawing the start");
    const hb_noise id = hb_search_noise(search, HB_STREAM_START, 0, 0);
    const hb_start how = search->settings->start;
    const float scale = (float)search->settings->start_scale;
    for (size_t d = 0; d < n; d++) {
        const float u = hb_uniform(hb_noise_word(id, d));
        if (d >= n_coefficients) // "coevolve" starts from N(0, 1)
            start[d] = hb_noise_normal(id, d);
        else if (how == HB_START_NORMAL)
            start[d] = scale * hb_noise_normal(id, d);
        else if (how == HB_START_U01)
            start[d] = scale * u;
        else
            start[d] = hb_uniform_within(u, scale * (how == HB_START_U11 ? 1.0f : fan_in(search->net, (int64_t)d)));
    }
    const hb_machine *machine = search->machine;
    const hb_status status = hb_device_upload(machine->device, search->array[HB_MEAN].data, start, n, error);
    free(start);
    return status;
}

// The bound 1/sqrt(I), I being the fan-in of the weight or synapse that element d belongs to.
static float fan_in_bound(const hb_net *net, int64_t d) {
    const int64_t look = d - hb_net_vision_offset(net);
    if (net->vision.evolved && look >= 0)
        return 1.0f / sqrtf((float)hb_vision_fan_in(net->vision.layer[look >= net->vision.layer[1].offset]));
    int32_t l = net->n_layers - 1;
    while (l > 0 && d < net->layer[l].genome_offset) l--;
    return 1.0f / sqrtf((float)net->layer[l].inputs);
}

hb_status hb_estimator_start_genome(hb_search *search, hb_error *error) {
    const bool all = !search->net->rule && search->settings->start == HB_START_FAN_IN;
    const int64_t n = all ? search->net->genome_size : search->net->n_penalised;
    return hb_estimator_start(search, (size_t)n, fan_in_bound, error);
}

void hb_estimator_sample(const hb_search *search, hb_step_size size, int64_t s, hb_genome *genome) {
    const bool antithetic = search->settings->antithetic;
    const float sigma = (float)size.sigma;
    genome->sigma = antithetic && s % 2 ? -sigma : sigma;
    genome->noise = hb_search_noise(search, HB_STREAM_SEARCH, antithetic ? s / 2 : s, 0);
}

// ---------------------------------------------------------------------------------------------------
// The step

typedef struct {
    hb_search *search;
    float *z; // of the individuals, later of the terms
    int32_t n_terms;
    hb_memory gradient;
    hb_step_size size;
    bool moves;   // the mean; otherwise only the gradient is taken
    bool squares; // the noise's, for the gradient
} step;

double hb_estimator_power(double base, int64_t n) {
    double result = 1.0;
    for (; n > 0; n >>= 1, base *= base)
        if (n & 1) result *= base;
    return result;
}

hb_adam hb_estimator_adam(const hb_search *search, double rate, double scale) {
    const hb_search_settings *settings = search->settings;
    const int64_t t = search->generation - search->begun + 1;
    return (hb_adam){.rate = (float)rate,
                     .scale = (float)scale,
                     .beta1 = (float)settings->beta1,
                     .beta2 = (float)settings->beta2,
                     .epsilon = (float)settings->epsilon,
                     .correction1 = (float)(1.0 / (1.0 - hb_estimator_power(settings->beta1, t))),
                     .correction2 = (float)(1.0 / (1.0 - hb_estimator_power(settings->beta2, t)))};
}

// 1 / (n sigma): the gradient by the noise, as the kernels sum it, to the one by the mean.
static double noise_scale(const hb_search *search, hb_step_size size) {
    return 1.0 / ((double)search->settings->population * size.sigma);
}

static hb_status move(hb_search *search, hb_memory gradient, double lr, double scale, size_t begin, size_t end,
                      hb_error *error) {
    hb_device *device = search->machine->device;
    const hb_memory mean = search->array[HB_MEAN].data;
    if (!uses_adam(search)) return hb_device_sgd(device, mean, gradient, (float)(lr * scale), begin, end, error);
    return hb_device_adam(device, mean, search->array[HB_ADAM_M].data, search->array[HB_ADAM_V].data, gradient,
                          hb_estimator_adam(search, lr, scale), begin, end, error);
}

hb_status hb_estimator_move(hb_search *search, const float *gradient, double scale, hb_error *error) {
    const hb_machine *machine = search->machine;
    const size_t n = search->array[HB_MEAN].n;
    hb_memory on_device = {NULL};
    hb_status status = hb_machine_send(machine, gradient, n, &on_device, error);
    if (status == HB_OK) status = move(search, on_device, search->lr, scale, 0, n, error);
    hb_device_free(machine->device, on_device);
    return status;
}

// Elements [begin, end): their gradient from regenerated noise, then the optimiser's step.
static hb_status step_range(const void *context, size_t begin, size_t end, hb_error *error) {
    const step *s = context;
    hb_search *search = s->search;
    const hb_status status =
        hb_device_gradient(search->machine->device, s->gradient, s->z, s->n_terms,
                           hb_search_noise(search, HB_STREAM_SEARCH, 0, 0), s->squares, begin, end, error);
    if (status != HB_OK || !s->moves) return status;
    return move(search, s->gradient, s->size.lr, noise_scale(search, s->size), begin, end, error);
}

// The numbers z of the gradient's terms: of individuals, or of pairs.
static hb_status begin_step(step *s, const double *fitness, size_t n, hb_error *error) {
    const int32_t population = (int32_t)s->search->settings->population;
    const bool antithetic = s->search->settings->antithetic;
    const hb_machine *machine = s->search->machine;
    s->z = malloc((size_t)population * sizeof *s->z);
    if (!s->z) return hb_fail(error, HB_FAILED, "out of memory shaping fitness");
    s->n_terms = antithetic ? population / 2 : population;
    hb_status status = hb_shape_fitness(s->search->settings->shaping, fitness, population, s->z, error);
    if (status == HB_OK) status = hb_device_alloc(machine->device, n, &s->gradient, error);
    for (int32_t p = 0; status == HB_OK && antithetic && p < s->n_terms; p++) s->z[p] = s->z[2 * p] - s->z[2 * p + 1];
    return status;
}

// Elements [begin, end) of what stands behind `first`.
typedef struct {
    const step *step;
    size_t first;
} slice;

static hb_status gradient_range(const void *context, size_t begin, size_t end, hb_error *error) {
    const slice *part = context;
    step s = *part->step;
    s.moves = false;
    return step_range(&s, part->first + begin, part->first + end, error);
}

// Of several ranks each takes the gradient of a slice, over all individuals, so that every sum has one order however many they are; then
// all have the whole.
static hb_status share_gradient(const step *s, size_t n, hb_error *error) {
    hb_ranks *ranks = s->search->ranks;
    hb_device *device = s->search->machine->device;
    const size_t blocks = (n + HB_NOISE_BLOCK - 1) / HB_NOISE_BLOCK, size = (size_t)ranks->seat.size,
                 rank = (size_t)ranks->seat.rank, first = blocks * rank / size * HB_NOISE_BLOCK;
    const size_t end = rank + 1 == size ? n : blocks * (rank + 1) / size * HB_NOISE_BLOCK;
    const slice part = {s, first};
    uint64_t *word = calloc(n / 2 + 1, sizeof *word); // two numbers a word
    if (!word) return hb_fail(error, HB_FAILED, "out of memory sharing a gradient of %zu numbers", n);
    float *whole = (float *)(void *)word;
    hb_status status =
        hb_machine_split(s->search->machine, end - first, HB_NOISE_BLOCK, gradient_range, &part, error);
    if (status == HB_OK)
        status = hb_device_download(device, whole + first, hb_memory_at(s->gradient, first), end - first, error);
    if (status == HB_OK) status = hb_ranks_combine(ranks, word, n / 2 + 1, error);
    if (status == HB_OK) status = hb_device_upload(device, s->gradient, whole, n, error);
    if (ranks->lost) return status; // NOLINT(clang-analyzer-unix.Malloc): the exchange may still write to `word`
    free(word);
    return status;
}

static hb_status run_step(const step *s, size_t n, hb_error *error) {
    if (!s->search->ranks) return hb_machine_split(s->search->machine, n, HB_NOISE_BLOCK, step_range, s, error);
    const hb_status status = share_gradient(s, n, error);
    if (status != HB_OK || !s->moves) return status;
    return move(s->search, s->gradient, s->size.lr, noise_scale(s->search, s->size), 0, n, error);
}

static void end_step(step *s) {
    const hb_machine *machine = s->search->machine;
    hb_device_free(machine->device, s->gradient);
    free(s->z);
}

hb_status hb_estimator_step(hb_search *search, hb_step_size size, const double *fitness, size_t n, hb_error *error) {
    step s = {.search = search, .size = size, .moves = true};
    hb_status status = begin_step(&s, fitness, n, error);
    if (status == HB_OK) status = run_step(&s, n, error);
    end_step(&s);
    return status;
}

hb_status hb_estimator_step_folded(hb_search *search, hb_step_size size, const double *fitness, size_t n_noise,
                                   size_t n,
                                   void (*fold)(const void *context, const float *gradient, float *mean_gradient),
                                   const void *context, hb_error *error) {
    const hb_machine *machine = search->machine;
    step s = {.search = search};
    float *by_noise = malloc(n_noise * sizeof *by_noise), *by_mean = calloc(n, sizeof *by_mean);
    hb_status status = by_noise && by_mean ? begin_step(&s, fitness, n_noise, error)
                                           : hb_fail(error, HB_FAILED, "out of memory folding a gradient");
    if (status == HB_OK) status = run_step(&s, n_noise, error);
    if (status == HB_OK) status = hb_device_download(machine->device, by_noise, s.gradient, n_noise, error);
    if (status == HB_OK) {
        fold(context, by_noise, by_mean);
        status = hb_device_upload(machine->device, s.gradient, by_mean, n, error);
    }
    if (status == HB_OK) status = move(search, s.gradient, size.lr, noise_scale(search, size), 0, n, error);
    end_step(&s);
    free(by_noise);
    free(by_mean);
    return status;
}

hb_status hb_estimator_sums(hb_search *search, const float *z, bool squares, size_t n, float *out, hb_error *error) {
    const int32_t population = (int32_t)search->settings->population;
    const bool antithetic = search->settings->antithetic;
    hb_device *device = search->machine->device;
    step s = {.search = search, .n_terms = antithetic ? population / 2 : population, .squares = squares};
    s.z = malloc((size_t)population * sizeof *s.z);
    hb_status status = s.z ? hb_device_alloc(device, n, &s.gradient, error)
                           : hb_fail(error, HB_FAILED, "out of memory for sums over individuals");
    if (status == HB_OK) memcpy(s.z, z, (size_t)population * sizeof *z);
    for (int32_t p = 0; status == HB_OK && antithetic && p < s.n_terms;
         p++) // twins have -eps, whose square is the same
        s.z[p] = squares ? z[2 * p] + z[2 * p + 1] : z[2 * p] - z[2 * p + 1];
    if (status == HB_OK) status = run_step(&s, n, error);
    if (status == HB_OK) status = hb_device_download(device, out, s.gradient, n, error);
    end_step(&s);
    return status;
}
