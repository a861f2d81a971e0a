// What the proofs of robots in lanes (test_rigid.c, test_planar.c) share: numbers drawn in order, and room for states of float32 or float64.
#ifndef HB_TESTS_ROBOTS_H
#define HB_TESTS_ROBOTS_H

#include "kernels/scalar.h"

#include <stdlib.h>
#include <string.h>

static uint32_t counter; // of numbers drawn

static inline double uniform(double low, double high) {
    const hb_philox_block block = hb_philox(counter++, 7, 0, 0, 1, 1);
    return low + (high - low) * block.word[0] * (1.0 / 4294967296.0);
}

// Aligned as states and scratch are, and 0; the caller frees it.
static inline void *room(size_t bytes) {
    const size_t whole = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, whole);
    if (memory) memset(memory, 0, whole);
    return memory;
}

// Number k of a state whose numbers have so many bytes.
static inline void put_number(void *state, int32_t bytes, int k, double value) {
    if (bytes == 8)
        ((double *)state)[k] = value;
    else
        ((float *)state)[k] = (float)value;
}

static inline double number_at(const void *state, int32_t bytes, int k) {
    return bytes == 8 ? ((const double *)state)[k] : (double)((const float *)state)[k];
}

// For qsort of doubles
static inline int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// A command for robot k in its step t: a function of k, t and j alone.
static inline double command_of(int k, int t, int j) {
    const hb_philox_block block = hb_philox((uint32_t)k, (uint32_t)t, (uint32_t)j, 0, 3, 3);
    return (t % 50 < 25 ? 1.0 : 0.2) * (block.word[0] * (1.0 / 2147483648.0) - 1.0);
}

#endif
