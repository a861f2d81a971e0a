#include "host/search/standard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const float MOST = 5.0f;             // of a standardised number
static const double LEAST_SD = 0.01;        // a number that hardly moves is not blown up
static const float BOUND = 4096.0f;         // of a number in a sum
static const double UNIT = 1.0 / (1 << 18); // of q
enum { LOW_BITS = 30 };                     // of q^2

hb_status hb_standard_create(hb_search *search, hb_error *error) {
    if (search->net->vision.n_weights)
        return hb_fail(error, HB_BAD_INPUT,
                       "search.observations: 'standard' is for observations that are numbers, not pictures");
    hb_standard *standard = calloc(1, sizeof *standard);
    search->standard = standard;
    if (!standard) return hb_fail(error, HB_FAILED, "out of memory for observations");
    const size_t n = hb_net_observation_words(search->net);
    standard->n = (int32_t)n;
    standard->array = search->n_arrays;
    standard->mean = calloc(n, sizeof *standard->mean);
    standard->scale = calloc(n, sizeof *standard->scale);
    standard->seen = calloc(hb_standard_words(standard), sizeof *standard->seen);
    if (!standard->mean || !standard->scale || !standard->seen)
        return hb_fail(error, HB_FAILED, "out of memory for %zu numbers of an observation", n);
    return hb_search_add_array(search, "observed", 1 + 2 * n, error);
}

void hb_standard_free(hb_standard *standard) {
    if (!standard) return;
    free(standard->mean);
    free(standard->scale);
    free(standard->seen);
    free(standard);
}

// The state: their number, mean (n), variance (n); to be freed. NULL with an error.
static float *read_state(const hb_search *search, hb_error *error) {
    const hb_search_array *array = &search->array[search->standard->array];
    float *state = malloc(array->n * sizeof *state);
    if (!state) {
        (void)hb_fail(error, HB_FAILED, "out of memory for observations");
        return NULL;
    }
    if (hb_device_download(search->machine->device, state, array->data, array->n, error) == HB_OK) return state;
    free(state);
    return NULL;
}

hb_status hb_standard_prepare(hb_search *search, hb_error *error) {
    const hb_standard *standard = search->standard;
    float *state = read_state(search, error);
    if (!state) return HB_FAILED;
    for (int32_t k = 0; k < standard->n; k++) {
        const double variance = (double)state[1 + standard->n + k];
        standard->mean[k] = state[1 + k];
        standard->scale[k] = state[0] > 0 ? (float)(1 / fmax(sqrt(variance), LEAST_SD)) : 1.0f;
    }
    free(state);
    return HB_OK;
}

void hb_standardise(const hb_standard *standard, int64_t *seen, float *observation) {
    const size_t n = (size_t)standard->n;
    if (seen) seen[0]++;
    for (size_t k = 0; k < n; k++) {
        const float z = (observation[k] - standard->mean[k]) * standard->scale[k];
        observation[k] = z > MOST ? MOST : z < -MOST ? -MOST : z;
        if (!seen) continue;
        const double bounded = (double)(z > BOUND ? BOUND : z < -BOUND ? -BOUND : z) / UNIT;
        const int64_t q = (int64_t)(bounded < 0 ? bounded - 0.5 : bounded + 0.5), square = q * q;
        seen[1 + k] += q;
        seen[1 + n + k] += square >> LOW_BITS;
        seen[1 + 2 * n + k] += square & ((1 << LOW_BITS) - 1);
    }
}

void hb_standard_forget(hb_standard *standard) {
    memset(standard->seen, 0, hb_standard_words(standard) * sizeof *standard->seen);
}

// Joins the moments of two sets of observations (Chan, Golub, LeVeque 1979).
static void join(double before, double now, float *mean, float *variance, double now_mean, double now_variance) {
    const double all = before + now, delta = now_mean - (double)*mean, v = (double)*variance;
    *mean = (float)((double)*mean + delta * now / all);
    *variance = (float)((before * v + now * now_variance) / all + delta * delta * before / all * now / all);
}

hb_status hb_standard_tell(hb_search *search, hb_error *error) {
    const hb_standard *standard = search->standard;
    const size_t n = (size_t)standard->n;
    const int64_t *seen = standard->seen;
    const double now = (double)seen[0];
    if (seen[0] == 0) return HB_OK; // nobody lived here
    float *state = read_state(search, error);
    if (!state) return HB_FAILED;
    for (size_t k = 0; k < n; k++) {
        const double sd = 1 / (double)standard->scale[k], z = (double)seen[1 + k] * UNIT / now;
        const double squares =
            ((double)seen[1 + n + k] * (1 << LOW_BITS) + (double)seen[1 + 2 * n + k]) * UNIT * UNIT / now;
        join((double)state[0], now, &state[1 + k], &state[1 + n + k], (double)standard->mean[k] + z * sd,
             fmax(squares - z * z, 0) * sd * sd);
    }
    state[0] += (float)now;
    hb_standard_forget(search->standard);
    const hb_search_array *array = &search->array[standard->array];
    const hb_status status = hb_device_upload(search->machine->device, array->data, state, array->n, error);
    free(state);
    return status;
}
