// Arrays in a device's memory. Host code holds them, passes them on and copies them by hb_device_upload and
// hb_device_download; only a device's own code may look inside, by hb_floats and hb_integers (tests/house/layers.py
// checks that host/ does not).
#ifndef HB_MEMORY_H
#define HB_MEMORY_H

#include "kernels/scalar.h"

#include <stddef.h>

// Words of 32 bits, floats or integers. {NULL} is no array.
typedef struct {
    void *address;
} hb_memory;

HB_HD float *hb_floats(hb_memory memory) {
    return (float *)memory.address;
}

HB_HD uint32_t *hb_integers(hb_memory memory) {
    return (uint32_t *)memory.address;
}

// The array from word number `word` on.
HB_HD hb_memory hb_memory_at(hb_memory memory, size_t word) {
    hb_memory rest;
    rest.address = (uint32_t *)memory.address + word;
    return rest;
}

#endif
