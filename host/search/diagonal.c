#include "host/search/diagonal.h"

#include <stdio.h>
#include <stdlib.h>

static hb_search_array spread_of(const hb_search *search) {
    return search->array[hb_estimator_arrays(search)];
}

int32_t hb_diagonal_arrays(const hb_search *search) {
    return hb_estimator_arrays(search) + 1;
}

static void report(hb_search *search, const float *spread, size_t n) {
    double sum = 0, least = spread[0], most = spread[0];
    for (size_t d = 0; d < n; d++) {
        const double s = (double)spread[d];
        sum += s;
        least = s < least ? s : least;
        most = s > most ? s : most;
    }
    search->number[0].value = search->sigma * sum / (double)n;
    search->number[1].value = search->sigma * least;
    search->number[2].value = search->sigma * most;
}

hb_status hb_diagonal_create(hb_search *search, hb_error *error) {
    const size_t n = (size_t)search->net->genome_size;
    hb_status status = hb_estimator_create(search, n, error);
    if (status == HB_OK) status = hb_search_add_array(search, "spread", n, error);
    if (status == HB_OK) search->array[search->n_arrays - 1].role = HB_ARRAY_OPTIONAL;
    if (status == HB_OK) status = hb_estimator_start_genome(search, error);
    float *ones = malloc(n * sizeof *ones);
    if (status == HB_OK && !ones) status = hb_fail(error, HB_FAILED, "out of memory for %zu deviations", n);
    for (size_t d = 0; ones && d < n; d++) ones[d] = 1.0f;
    if (status == HB_OK) status = hb_device_upload(search->machine->device, spread_of(search).data, ones, n, error);
    hb_search_add_number(search, "deviation_mean");
    hb_search_add_number(search, "deviation_least");
    hb_search_add_number(search, "deviation_most");
    if (status == HB_OK) report(search, ones, n);
    free(ones);
    return status;
}

void hb_diagonal_genome(const hb_search *search, int64_t s, hb_genome *genome) {
    *genome = (hb_genome){.mean = search->array[HB_MEAN].data, .spread = spread_of(search).data};
    hb_estimator_sample(search, (hb_step_size){search->sigma, search->lr}, s < 0 ? 0 : s, genome);
}

static void release(hb_diagonal *d) {
    free(d->mean);
    free(d->spread);
    free(d->first);
    free(d->second);
}

hb_status hb_diagonal_begin(hb_search *search, const float *weight, hb_diagonal *d, hb_error *error) {
    hb_device *device = search->machine->device;
    const size_t n = search->array[HB_MEAN].n, bytes = n * sizeof(float);
    *d = (hb_diagonal){n, malloc(bytes), malloc(bytes), malloc(bytes), malloc(bytes)};
    hb_status status = d->mean && d->spread && d->first && d->second
                           ? HB_OK
                           : hb_fail(error, HB_FAILED, "out of memory for an update of %zu numbers", n);
    if (status == HB_OK) status = hb_device_download(device, d->mean, search->array[HB_MEAN].data, n, error);
    if (status == HB_OK) status = hb_device_download(device, d->spread, spread_of(search).data, n, error);
    if (status == HB_OK) status = hb_estimator_sums(search, weight, false, n, d->first, error);
    if (status == HB_OK) status = hb_estimator_sums(search, weight, true, n, d->second, error);
    if (status != HB_OK) release(d);
    return status;
}

hb_status hb_diagonal_end(hb_search *search, hb_diagonal *d, bool moves, hb_error *error) {
    hb_device *device = search->machine->device;
    hb_status status = HB_OK;
    if (moves) status = hb_device_upload(device, search->array[HB_MEAN].data, d->mean, d->n, error);
    if (status == HB_OK) status = hb_device_upload(device, spread_of(search).data, d->spread, d->n, error);
    if (status == HB_OK) report(search, d->spread, d->n);
    release(d);
    return status;
}

// Two sums.
double hb_diagonal_exchanged(const hb_search *search) {
    return 2 * 4.0 * (double)search->array[HB_MEAN].n;
}

void hb_diagonal_memory(const hb_search *search,
                        void (*row)(void *context, const char *what, double bytes, double naive, const char *why),
                        void *context) {
    const double bytes = 4.0 * (double)search->array[HB_MEAN].n;
    row(context, "sums", 3 * bytes, 3 * bytes, "two on the host, one at a time on the device");
    row(context, "copies", (double)(search->n_arrays) * bytes, (double)(search->n_arrays) * bytes,
        "of the state, on the host");
}

bool hb_diagonal_fits_own_step(const hb_search_settings *settings, hb_key_fault *fault) {
    const char *const name = hb_searches[settings->kind]->name;
    if (settings->optimiser != HB_SGD) {
        fault->key = "search.optimiser";
        snprintf(fault->reason, sizeof fault->reason,
                 "search '%s' moves in a way of its own; expected sgd, found adam", name);
        return false;
    }
    if (settings->shaping == HB_UNSHAPED) {
        fault->key = "search.shaping";
        snprintf(fault->reason, sizeof fault->reason, "search '%s' knows ranks alone; expected ranks, found none",
                 name);
        return false;
    }
    return true;
}
