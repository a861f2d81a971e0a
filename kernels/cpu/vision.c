// The convolutions' arithmetic, compiled once per instruction set as step.c is. Equations and the order of summation
// are those of ops.h, "Look".
#include "kernels/cpu/vision.h"
#include "kernels/cpu/build.h"
#include "kernels/cpu/noise.h"
#include "kernels/cpu/vector.h"

#include <string.h>

enum {
    MAX_KERNEL = 5,
    MAX_TAPS = 4 * 5 * 5 * 2, // of an output: channels, kernel, kernel
    MAX_MAPS = 8,
    MAX_WIDTH = 256,
    CHUNK = 8,                             // pooled rows that are computed together
    MAX_CHUNK = CHUNK * MAX_WIDTH / 2 + 16 // their positions, rounded up to whole vectors
};

// ---------------------------------------------------------------------------------------------------
// Pooled outputs, before tanh

// Where each tap of a convolution reads for the output (p / 2, p % 2) of the four that are pooled, from a position on.
typedef struct {
    int32_t n;
    int32_t offset[4][MAX_TAPS];
} taps;

static void find_taps(const hb_convolution *c, taps *t) {
    const int32_t phases = hb_cpu_phases(c), columns = hb_cpu_plane_columns(c),
                  plane = (int32_t)hb_cpu_plane_floats(c);
    int32_t row[2][MAX_KERNEL], column[2][MAX_KERNEL];
    for (int32_t d = 0; d < 2; d++)
        for (int32_t a = 0; a < c->kernel; a++) {
            const int32_t at = c->stride * d + a;
            row[d][a] = at % phases * phases * plane + at / phases * columns;
            column[d][a] = at % phases * plane + at / phases;
        }
    t->n = 0;
    for (int32_t k = 0; k < c->channels; k++)
        for (int32_t a = 0; a < c->kernel; a++)
            for (int32_t b = 0; b < c->kernel; b++, t->n++)
                for (int32_t p = 0; p < 4; p++)
                    t->offset[p][t->n] = k * phases * phases * plane + row[p / 2][a] + column[p % 2][b];
}

// The largest of the four outputs of `maps` maps from one on, at a vector of positions from x on, into z (maps, MAX_CHUNK). maps is
// a constant where this is inlined.
static inline __attribute__((always_inline)) void convolve_vector(const taps *t, const float *x, const float *w,
                                                                  const int maps, float *z) {
    hb_vf acc[6][4];
    for (int m = 0; m < maps; m++)
        for (int p = 0; p < 4; p++) acc[m][p] = hb_vf_all(0.0f);
    for (int32_t tap = 0; tap < t->n; tap++) {
        hb_vf weight[6];
#pragma GCC unroll 6
        for (int m = 0; m < maps; m++) weight[m] = hb_vf_all(w[m * t->n + tap]);
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) {
            const hb_vf in = hb_vf_load_any(x + t->offset[p][tap]);
#pragma GCC unroll 6
            for (int m = 0; m < maps; m++) acc[m][p] = hb_vf_fma(weight[m], in, acc[m][p]);
        }
    }
    for (int m = 0; m < maps; m++)
        hb_vf_store(z + m * MAX_CHUNK, hb_vf_max(hb_vf_max(acc[m][0], acc[m][2]), hb_vf_max(acc[m][1], acc[m][3])));
}

// How many of six or of eight maps go together: the registers hold four accumulators each, beside weights and an input.
#if HB_LANES == 16
enum { OF_SIX = 6, OF_EIGHT = 4 };
#else
enum { OF_SIX = 3, OF_EIGHT = 3 };
#endif

// tanh of the pooled outputs of all maps at n positions in a row, into z (maps, MAX_CHUNK).
static void convolve(const hb_convolution *c, const taps *t, const float *x, const float *w, int32_t n, float *z) {
    for (int32_t p = 0; p < n; p += HB_LANES) {
        int32_t m = 0;
        if (c->maps == 6) {
            for (; m < 6; m += OF_SIX) convolve_vector(t, x + p, w + m * t->n, OF_SIX, z + (size_t)m * MAX_CHUNK + p);
            continue;
        }
        for (; m + OF_EIGHT <= 8; m += OF_EIGHT)
            convolve_vector(t, x + p, w + m * t->n, OF_EIGHT, z + (size_t)m * MAX_CHUNK + p);
        if (m < 8) convolve_vector(t, x + p, w + m * t->n, 8 % OF_EIGHT, z + (size_t)m * MAX_CHUNK + p);
    }
    for (int32_t m = 0; m < c->maps; m++)
        for (int32_t p = 0; p < n; p++) z[m * MAX_CHUNK + p] = hb_tanh(z[m * MAX_CHUNK + p]);
}

// ---------------------------------------------------------------------------------------------------
// Rows into planes

// Row r of channel k of an input that is walked in 4 x 4 phases, as the second convolution's is. Rows are so short that vectors are
// not worth their beginning.
#if defined __OPTIMIZE__ && !defined __clang__
__attribute__((optimize("no-tree-vectorize")))
#endif
static void
spread_row(const hb_convolution *c, const float *row, int32_t k, int32_t r, float *planes) {
    const size_t plane = hb_cpu_plane_floats(c), width = (size_t)c->width, whole = width / 4;
    float *const to = planes + (size_t)(k * 4 + r % 4) * 4 * plane + (size_t)(r / 4 * hb_cpu_plane_columns(c));
    float *const second = to + plane, *const third = second + plane, *const fourth = third + plane;
    for (size_t p = 0; p < whole; p++) {
        to[p] = row[4 * p]; // NOLINT(clang-analyzer-core.uninitialized.Assign): convolve has written it
        second[p] = row[4 * p + 1];
        third[p] = row[4 * p + 2];
        fourth[p] = row[4 * p + 3];
    }
    // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign)
    for (size_t b = 0; b < width % 4; b++) to[b * plane + whole] = row[4 * whole + b];
}

// Convolution k from its input's planes; the output goes to the next one's planes, or, from the last, to `features`.
static void run_layer(const hb_vision *vision, int32_t k, const float *weights, const float *planes, float *next,
                      float *features) {
    const hb_convolution *c = &vision->layer[k];
    const int32_t columns = hb_cpu_plane_columns(c);
    _Alignas(64) float z[MAX_MAPS * MAX_CHUNK];
    taps t;
    find_taps(c, &t);
    for (int32_t first = 0; first < c->rows; first += CHUNK) {
        const int32_t rows = c->rows - first < CHUNK ? c->rows - first : CHUNK;
        convolve(c, &t, planes + (size_t)(first * columns), weights + c->offset, rows * columns, z);
        for (int32_t m = 0; m < c->maps; m++)
            for (int32_t r = 0; r < rows; r++) {
                const float *row = z + (size_t)m * MAX_CHUNK + (size_t)(r * columns);
                if (next)
                    spread_row(&vision->layer[k + 1], row, m, first + r, next);
                else
                    memcpy(features + (size_t)((m * c->rows + first + r) * c->columns), row,
                           (size_t)c->columns * sizeof *row);
            }
    }
}

// ---------------------------------------------------------------------------------------------------
// Look

// Bytes as floats, in the planes of the first convolution, which is walked in 2 x 2 phases.
static void pixels(const hb_convolution *c, const uint8_t *restrict bytes, float *planes) {
    const size_t plane = hb_cpu_plane_floats(c), pairs = (size_t)c->width / 2;
    for (int32_t k = 0; k < c->channels; k++)
        for (int32_t r = 0; r < c->height; r++, bytes += c->width) {
            float *restrict const even =
                planes + (size_t)(k * 2 + r % 2) * 2 * plane + (size_t)(r / 2 * hb_cpu_plane_columns(c));
            float *restrict const odd = even + plane;
            for (size_t p = 0; p < pairs; p++) {
                uint16_t two;
                memcpy(&two, bytes + 2 * p, sizeof two);
                even[p] = hb_pixel(two & 255u);
                odd[p] = hb_pixel(two >> 8);
            }
            if (c->width % 2) even[pairs] = hb_pixel(bytes[2 * pairs]);
        }
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
