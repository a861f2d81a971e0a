#include "host/search/restart.h"

#include <math.h>

enum { BEST, SINCE, BEGUN, RESTARTS, N_COUNTS };

static hb_memory counts_of(const hb_search *search) {
    return search->array[search->restart].data;
}

static hb_status keep(hb_search *search, const float counts[N_COUNTS], hb_error *error) {
    search->begun = (int64_t)counts[BEGUN];
    search->number[search->restart_number].value = (double)counts[RESTARTS];
    return hb_device_upload(search->machine->device, counts_of(search), counts, N_COUNTS, error);
}

hb_status hb_restart_create(hb_search *search, hb_error *error) {
    static const float first[N_COUNTS] = {[BEST] = -3e38f};
    const hb_status status = hb_search_add_array(search, "restart", N_COUNTS, error);
    if (status != HB_OK) return status;
    search->restart = search->n_arrays - 1;
    search->array[search->restart].role = HB_ARRAY_ANEW;
    search->restart_number = search->n_numbers;
    hb_search_add_number(search, "restarts");
    return keep(search, first, error);
}

hb_status hb_restart_prepare(hb_search *search, hb_error *error) {
    float counts[N_COUNTS];
    const hb_status status = hb_device_download(search->machine->device, counts, counts_of(search), N_COUNTS, error);
    if (status == HB_OK) search->begun = (int64_t)counts[BEGUN];
    return status;
}

// The method's arrays, and what it keeps beside them, become those of a new search, whose start the generation's noise decides.
static hb_status begin_anew(hb_search *search, hb_error *error) {
    hb_search fresh = *search;
    fresh.n_arrays = fresh.n_numbers = 0;
    fresh.own = NULL;
    fresh.standard = NULL;
    const hb_status status = search->method->create(&fresh, error);
    if (status == HB_OK) {
        for (int32_t k = 0; k < fresh.n_arrays; k++) {
            const hb_memory old = search->array[k].data;
            search->array[k].data = fresh.array[k].data;
            fresh.array[k].data = old;
        }
        void *const own = search->own;
        search->own = fresh.own;
        fresh.own = own;
        search->lr = search->settings->lr;
        search->sigma = search->settings->sigma;
    }
    hb_search_destroy(&fresh);
    return status;
}

hb_status hb_restart_tell(hb_search *search, const double *fitness, hb_error *error) {
    float counts[N_COUNTS];
    double sum = 0;
    hb_status status = hb_device_download(search->machine->device, counts, counts_of(search), N_COUNTS, error);
    if (status != HB_OK) return status;
    for (int64_t s = 0; s < search->settings->population; s++) sum += fitness[s];
    const float mean = (float)(sum / (double)search->settings->population);
    const bool rises = mean > counts[BEST];
    counts[BEST] = rises ? mean : counts[BEST];
    counts[SINCE] = rises ? 0 : counts[SINCE] + 1;
    if ((int64_t)counts[SINCE] >= search->settings->restart) {
        status = begin_anew(search, error);
        counts[BEST] = -3e38f;
        counts[SINCE] = 0;
        counts[BEGUN] = (float)search->generation;
        counts[RESTARTS]++;
    }
    return status == HB_OK ? keep(search, counts, error) : status;
}
