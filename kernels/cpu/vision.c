// The convolutions' arithmetic, compiled once per instruction set as step.c is. Equations and the order of summation
// are those of ops.h, "Look".
#include "kernels/cpu/vision.h"
#include "kernels/cpu/build.h"
#include "kernels/cpu/noise.h"
#include "kernels/cpu/vector.h"

#include <string.h>

enum {
    MAX_TAPS = 4 * 5 * 5 * 2, // of an output: channels, kernel, kernel
    MAX_MAPS = 8,
    MAX_ROW_PAIR = 2 * 256 + 4 * 16 // positions of two rows, rounded up to whole blocks
};

// ---------------------------------------------------------------------------------------------------
// Two rows of outputs before pooling

// Where each tap of a convolution reads, from a position on.
typedef struct {
    int32_t n;
    int32_t offset[MAX_TAPS];
} taps;

static void find_taps(const hb_convolution *c, taps *t) {
    const int32_t s = c->stride, columns = hb_cpu_plane_columns(c), plane = (int32_t)hb_cpu_plane_floats(c);
    t->n = 0;
    for (int32_t k = 0; k < c->channels; k++)
        for (int32_t a = 0; a < c->kernel; a++)
            for (int32_t b = 0; b < c->kernel; b++)
                t->offset[t->n++] = ((k * s + a % s) * s + b % s) * plane + a / s * columns + b / s;
}

// z of `maps` maps from `first` on at v vectors of positions from x on, into z (maps, stride). maps and v are constants
// where this is inlined.
static inline __attribute__((always_inline)) void
convolve_block(const taps *t, const float *x, const float *w, const int maps, const int v, float *z, size_t stride) {
    hb_vf acc[8][4];
    for (int m = 0; m < maps; m++)
        for (int k = 0; k < v; k++) acc[m][k] = hb_vf_all(0.0f);
    for (int32_t tap = 0; tap < t->n; tap++) {
        const float *from = x + t->offset[tap];
        hb_vf in[4];
#pragma GCC unroll 4
        for (int k = 0; k < v; k++) in[k] = hb_vf_load_any(from + k * HB_LANES);
#pragma GCC unroll 8
        for (int m = 0; m < maps; m++) {
            const hb_vf weight = hb_vf_all(w[m * t->n + tap]);
#pragma GCC unroll 4
            for (int k = 0; k < v; k++) acc[m][k] = hb_vf_fma(weight, in[k], acc[m][k]);
        }
    }
    for (int m = 0; m < maps; m++)
        for (int k = 0; k < v; k++) hb_vf_store(z + (size_t)m * stride + (size_t)(k * HB_LANES), acc[m][k]);
}

// As many accumulators as the registers hold: 24 of 32, or 12 of 16.
#if HB_LANES == 16
#define PARTS 1
#else
#define PARTS 2
#endif

// z (maps, MAX_ROW_PAIR) of n positions in a row.
static void convolve(const hb_convolution *c, const taps *t, const float *x, const float *w, int32_t n, float *z) {
    const int32_t maps = c->maps / PARTS;
    for (int32_t part = 0; part < PARTS; part++) {
        const float *weights = w + part * maps * t->n;
        float *out = z + (size_t)(part * maps) * MAX_ROW_PAIR;
        if (c->maps == 6)
            for (int32_t p = 0; p < n; p += 4 * HB_LANES)
                convolve_block(t, x + p, weights, 6 / PARTS, 4, out + p, MAX_ROW_PAIR);
        else
            for (int32_t p = 0; p < n; p += 3 * HB_LANES)
                convolve_block(t, x + p, weights, 8 / PARTS, 3, out + p, MAX_ROW_PAIR);
    }
}

// ---------------------------------------------------------------------------------------------------
// Pooling

// One row of pooled outputs before tanh: `upper` and `lower` are two rows of z.
static void pool_row(const float *upper, const float *lower, int32_t columns, float *out) {
    for (int32_t c = 0; c < columns; c++)
        out[c] = hb_larger(hb_larger(upper[2 * c], lower[2 * c]), hb_larger(upper[2 * c + 1], lower[2 * c + 1]));
}

// Pooled row r of map m into the planes of the next convolution.
static void spread_row(const hb_convolution *next, const float *row, int32_t m, int32_t r, float *planes) {
    const int32_t s = next->stride, columns = hb_cpu_plane_columns(next);
    const size_t plane = hb_cpu_plane_floats(next);
    for (int32_t b = 0; b < s; b++) {
        float *to = planes + (size_t)((m * s + r % s) * s + b) * plane + (size_t)(r / s * columns);
        for (int32_t c = 0; c * s + b < next->width; c++) to[c] = row[c * s + b];
    }
}

static void tanh_all(float *x, size_t n) {
    for (size_t k = 0; k < n; k++) x[k] = hb_tanh(x[k]);
}

// Convolution k from its input's planes; the output goes to the next one's planes, or, from the last, to `features`.
static void run_layer(const hb_vision *vision, int32_t k, const float *weights, const float *planes, float *next,
                      float *features) {
    const hb_convolution *c = &vision->layer[k];
    const int32_t columns = hb_cpu_plane_columns(c);
    _Alignas(64) float z[MAX_MAPS * MAX_ROW_PAIR] = {0}, row[128] = {0};
    taps t;
    find_taps(c, &t);
    for (int32_t r = 0; r < c->rows; r++) {
        convolve(c, &t, planes + (size_t)(2 * r * columns), weights + c->offset, 2 * columns, z);
        for (int32_t m = 0; m < c->maps; m++) {
            const float *upper = z + (size_t)m * MAX_ROW_PAIR;
            pool_row(upper, upper + columns, c->columns, row);
            if (next)
                spread_row(&vision->layer[k + 1], row, m, r, next);
            else
                memcpy(features + (size_t)((m * c->rows + r) * c->columns), row, (size_t)c->columns * sizeof *row);
        }
    }
    if (next)
        tanh_all(next, hb_cpu_planes_floats(&vision->layer[k + 1]));
    else
        tanh_all(features, (size_t)c->maps * (size_t)c->rows * (size_t)c->columns);
}

// ---------------------------------------------------------------------------------------------------
// Look

// Bytes as floats, in the first convolution's planes (its stride is 1: one plane a channel).
static void pixels(const hb_convolution *c, const uint8_t *bytes, float *planes) {
    const size_t size = (size_t)c->height * (size_t)c->width, plane = hb_cpu_plane_floats(c);
    for (int32_t k = 0; k < c->channels; k++)
        for (size_t p = 0; p < size; p++) planes[(size_t)k * plane + p] = hb_pixel(bytes[(size_t)k * size + p]);
}

static void look(const hb_vision *vision, float *memory, const uint8_t *bytes, float *features) {
    float *planes = memory + hb_cpu_vision_weights(vision);
    pixels(&vision->layer[0], bytes, planes);
    for (int32_t k = 0; k < HB_CONVOLUTIONS; k++) {
        float *next = k + 1 < HB_CONVOLUTIONS ? planes + hb_cpu_planes_floats(&vision->layer[k]) : NULL;
        run_layer(vision, k, memory, planes, next, features);
        planes = next;
    }
}

const hb_cpu_vision HB_OF_BUILD(hb_cpu_vision) = {.look = look};
