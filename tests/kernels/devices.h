// What tests of the devices share: opening all of them, arrays to and from their memory, hashes of bits.
#ifndef HB_TESTS_DEVICES_H
#define HB_TESTS_DEVICES_H

#include "tests/check.h"

#include "kernels/device.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    hb_device *device;
} opened;

// Whether this processor has the instructions of a build of the CPU device.
static inline bool can_run(const char *build) {
#if defined(__x86_64__)
    if (strcmp(build, "avx2") == 0) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (strcmp(build, "avx512") == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return strcmp(build, "generic") == 0;
}

// Opens a device into list[n]; returns how many are open then. One that cannot be used here is skipped by name.
static inline int open_one(opened list[8], int n, const hb_device_table *table, hb_device_choice choice) {
    hb_error why;
    if (hb_device_open(table, &choice, &list[n].device, &why) == HB_OK) return n + 1;
    if (!table->has_cards) assert_false(can_run(choice.variant)); // a build that can run here must open
    print_message("[  SKIPPED ] %s %s: %s\n", table->name, choice.variant, why.message);
    return n;
}

// Opens every device that can be used here: the CPU in each of its builds, and, with HB_TWO_CARDS, two cards instead of one.
static inline int open_all(opened list[8]) {
    static const char *const builds[] = {"generic", "avx2", "avx512"};
    const int n_builds = getenv("HB_QUICK") ? 1 : 3; // mutants of the CUDA device need one to compare with
    const int cards = getenv("HB_TWO_CARDS") ? 2 : 1;
    int n = 0;
    for (int32_t d = 0; d < hb_n_devices; d++) {
        const hb_device_table *table = hb_devices[d];
        for (int b = 0; !table->has_cards && b < n_builds; b++)
            n = open_one(list, n, table, (hb_device_choice){.variant = builds[b], .card = -1});
        for (int card = 0; table->has_cards && card < cards; card++)
            n = open_one(list, n, table, (hb_device_choice){.variant = "auto", .card = cards > 1 ? card : -1});
    }
    return n;
}

static inline void close_all(opened list[8], int n) {
    for (int k = 0; k < n; k++) hb_device_close(list[k].device);
}

// Says so where only one build of the arithmetic can run: oracles are then checked, bits of builds are not compared.
static inline void name_single_build(void) {
    opened list[8];
    const int n = open_all(list);
    close_all(list, n);
    if (n < 2) print_message("[  SKIPPED ] comparing builds: only one can run here\n");
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

// Device memory with n words from host memory; and back.
static inline hb_memory uploaded(const opened *d, const void *host, size_t n) {
    hb_memory data = {NULL};
    hb_error error;
    check_ok(hb_device_alloc(d->device, n, &data, &error), error);
    check_ok(hb_device_upload(d->device, data, host, n, &error), error);
    return data;
}

static inline void download(const opened *d, void *host, hb_memory data, size_t n) {
    hb_error error;
    check_ok(hb_device_download(d->device, host, data, n, &error), error);
}

#endif
