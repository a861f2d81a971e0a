// What tests of the devices share: all of them opened, arrays to and from their memory, hashes of bits.
#ifndef HB_TESTS_DEVICES_H
#define HB_TESTS_DEVICES_H

#include "tests/check.h"

#include "kernels/device.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const hb_device_table *table;
    hb_device *device;
} opened;

// Every device that can be used here, the CPU in each of its builds; the others are skipped by name.
static inline int open_all(opened list[8]) {
    static const char *const builds[] = {"generic", "avx2", "avx512"};
    const int n_builds = getenv("HB_QUICK") ? 1 : 3; // the mutants of the CUDA device want no more
    int n = 0;
    for (int32_t d = 0; d < hb_n_devices; d++) {
        const bool cpu = strcmp(hb_devices[d]->name, "cpu") == 0;
        for (int b = 0; b < (cpu ? n_builds : 1); b++) {
            hb_error why;
            list[n].table = hb_devices[d];
            if (list[n].table->open(cpu ? builds[b] : "auto", &list[n].device, &why) == HB_OK)
                n++;
            else
                print_message("[  SKIPPED ] %s %s: %s\n", hb_devices[d]->name, cpu ? builds[b] : "", why.message);
        }
    }
    return n;
}

static inline void close_all(opened list[8], int n) {
    for (int k = 0; k < n; k++) list[k].table->close(list[k].device);
}

static inline uint64_t hash(uint64_t h, const float *data, size_t n) {
    for (size_t i = 0; i < n; i++) h = (h ^ hb_bits(data[i])) * 1099511628211ull;
    return h;
}

static inline float *floats(size_t n) {
    float *data = calloc(n ? n : 1, sizeof *data);
    assert_non_null(data);
    return data;
}

// n floats in the device's memory, with what stands at `host`; and back.
static inline float *uploaded(const opened *d, const float *host, size_t n) {
    float *data = NULL;
    hb_error error;
    check_ok(d->table->alloc(d->device, n, &data, &error), error);
    check_ok(d->table->upload(d->device, data, host, n, &error), error);
    return data;
}

static inline void download(const opened *d, float *host, const float *data, size_t n) {
    hb_error error;
    check_ok(d->table->download(d->device, host, data, n, &error), error);
}

#endif
