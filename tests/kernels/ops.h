// What the tests of the operations share. Each file tests some operations of ops.h on every device and build, against loops in double
// precision, and compares the bits of all builds; test_ops.c runs them all.
#ifndef HB_TESTS_OPS_H
#define HB_TESTS_OPS_H

#include "tests/kernels/devices.h"

// Groups of tests; each returns the number of failed ones.
int ops_search(void);
int ops_step(void);
int ops_expand(void);
int ops_vision(void);
int ops_lstm(void);
int ops_products(void);
int ops_robots(void);
int ops_traffic(void); // CUDA on the CPU only
int ops_cards(void);   // the same

static const hb_noise noise_id = {.seed = 5, .stream = HB_STREAM_SEARCH, .generation = 2, .individual = 1};
static const hb_noise weights_id = {.seed = 5, .stream = HB_STREAM_WEIGHTS, .generation = 2, .individual = 9};

static const int32_t only = 0; // lane

static inline void step_one(hb_group *group, const float *observation, float *action) {
    hb_error error;
    check_ok(hb_group_step(group, 1, &only, observation, NULL, action, &error), error);
    check_ok(hb_group_wait(group, &error), error);
}

// Convolution k of the definition, in double precision: x (channels, H, W) to y (maps, rows, columns).
static inline void convolve_naively(const hb_convolution *c, const double *w, const double *x, double *y) {
    for (int32_t o = 0; o < c->maps; o++)
        for (int32_t r = 0; r < c->rows; r++)
            for (int32_t s = 0; s < c->columns; s++) {
                double most = -INFINITY;
                for (int32_t p = 0; p < 4; p++) {
                    double z = 0;
                    for (int32_t k = 0; k < c->channels; k++)
                        for (int32_t a = 0; a < c->kernel; a++)
                            for (int32_t b = 0; b < c->kernel; b++)
                                z += w[((o * c->channels + k) * c->kernel + a) * c->kernel + b] *
                                     x[(k * c->height + (2 * r + p / 2) * c->stride + a) * c->width +
                                       (2 * s + p % 2) * c->stride + b];
                    most = z > most ? z : most;
                }
                y[(o * c->rows + r) * c->columns + s] = tanh(most);
            }
}

#endif
