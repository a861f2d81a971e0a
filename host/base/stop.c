#include "host/base/stop.h"

#include <stdlib.h>

struct hb_stop {
    atomic_bool requested;
};

hb_stop *hb_stop_create(void) {
    return calloc(1, sizeof(hb_stop));
}

void hb_stop_destroy(hb_stop *stop) {
    free(stop);
}

void hb_stop_request(hb_stop *stop) {
    atomic_store(&stop->requested, true);
}

const atomic_bool *hb_stop_flag(const hb_stop *stop) {
    return stop ? &stop->requested : NULL;
}

void hb_stop_clear(hb_stop *stop) {
    atomic_store(&stop->requested, false);
}

bool hb_stop_requested(const hb_stop *stop) {
    return atomic_load(&stop->requested);
}
