#include "envs/car/raster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// These loops use integers only, so every instruction set gives the same bits: they are compiled twice, and the processor chooses.
#if defined __x86_64__ && defined __GNUC__ && !defined __clang__ && !defined __SANITIZE_ADDRESS__ &&                 \
    !defined __SANITIZE_THREAD__
#define FOR_ANY_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_ANY_PROCESSOR
#endif

typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef uint16_t words8 __attribute__((vector_size(16)));

enum { FROM = 96, TO = 84, CHANNELS = 3, GROUP = 8 }; // 8 pixels become 7

// The first sample whose middle is at x or beyond it, within 0..end.
static int32_t first_from(double x, int32_t end) {
    const double k = x - 0.5;
    if (!(k > 0)) return 0;
    if (k >= end) return end;
    const int32_t below = (int32_t)k;
    return below + (below < k);
}

void hb_canvas_fill(hb_canvas *canvas, const double (*corner)[2], int32_t n, uint8_t colour) {
    double top = corner[0][1], bottom = top;
    for (int32_t k = 1; k < n; k++) {
        top = corner[k][1] < top ? corner[k][1] : top;
        bottom = corner[k][1] > bottom ? corner[k][1] : bottom;
    }
    const int32_t first = first_from(top, canvas->height), end = first_from(bottom, canvas->height);
    for (int32_t row = first; row < end; row++) {
        const double y = row + 0.5;
        double left = INFINITY, right = -INFINITY;
        for (int32_t k = 0, before = n - 1; k < n; before = k++) {
            const double y0 = corner[before][1], y1 = corner[k][1];
            if ((y0 <= y) == (y1 <= y)) continue;
            const double x = corner[before][0] + (y - y0) / (y1 - y0) * (corner[k][0] - corner[before][0]);
            left = x < left ? x : left;
            right = x > right ? x : right;
        }
        const int32_t from = first_from(left, canvas->width), to = first_from(right, canvas->width);
        if (to > from)
            memset(canvas->index + (size_t)row * (size_t)canvas->width + from, colour, (size_t)(to - from));
    }
}

// One channel's colours of a row of indices; sixteen at once where the compiler can ask for a shuffle.
FOR_ANY_PROCESSOR static void look_up(const uint8_t *index, int32_t n, const uint8_t colours[HB_PALETTE],
                                      uint8_t *out) {
    int32_t k = 0;
#ifndef __clang__
    typedef uint8_t bytes16 __attribute__((vector_size(16)));
    bytes16 all, at;
    memcpy(&all, colours, sizeof all);
    for (; k + 16 <= n; k += 16) {
        memcpy(&at, index + k, sizeof at);
        const bytes16 found = __builtin_shuffle(all, at);
        memcpy(out + k, &found, sizeof found);
    }
#endif
    for (; k < n; k++) out[k] = colours[index[k]];
}

// sums[column] of s rows of samples, before a pixel's columns are summed.
FOR_ANY_PROCESSOR static void add_row(const uint8_t *row, int32_t n, uint16_t *sums) {
    for (int32_t k = 0; k < n; k++) sums[k] = (uint16_t)(sums[k] + row[k]);
}

static void average_row(const uint8_t *index, int32_t width, int32_t s, const uint8_t *colours, uint8_t *out) {
    uint8_t row[HB_CANVAS_WIDTH];
    uint16_t sums[HB_CANVAS_WIDTH] = {0};
    for (int32_t a = 0; a < s; a++) {
        look_up(index + (size_t)a * (size_t)width, width, colours, row);
        add_row(row, width, sums);
    }
    for (int32_t column = 0; column < width / s; column++) {
        int32_t sum = 0;
        for (int32_t b = 0; b < s; b++) sum += sums[column * s + b];
        out[column] = (uint8_t)((2 * sum + s * s) / (2 * s * s));
    }
}

void hb_canvas_planes(const hb_canvas *canvas, int32_t s, const uint8_t palette[HB_PALETTE][3], uint8_t *planes) {
    const int32_t width = canvas->width / s, height = canvas->height / s;
    for (int c = 0; c < CHANNELS; c++) {
        uint8_t colours[HB_PALETTE] = {0};
        for (int k = 0; k < HB_PALETTE; k++) colours[k] = palette[k][c];
        uint8_t *plane = planes + (size_t)c * (size_t)height * (size_t)width;
        if (s == 1) look_up(canvas->index, width * height, colours, plane);
        for (int32_t row = 0; s > 1 && row < height; row++)
            average_row(canvas->index + (size_t)row * (size_t)s * (size_t)canvas->width, canvas->width, s, colours,
                        plane + (size_t)row * (size_t)width);
    }
}

int hb_canvas_picture(const hb_canvas *canvas, int32_t s, const uint8_t palette[HB_PALETTE][3], uint8_t *rgb) {
    const size_t size = (size_t)(canvas->width / s) * (size_t)(canvas->height / s);
    uint8_t *planes = malloc(CHANNELS * size + 1);
    if (!planes) return -1;
    hb_canvas_planes(canvas, s, palette, planes);
    for (size_t p = 0; p < size; p++)
        for (size_t c = 0; c < CHANNELS; c++) rgb[p * CHANNELS + c] = planes[c * size + p];
    free(planes);
    return 0;
}

// ---------------------------------------------------------------------------------------------------
// 96 to 84

// Pixel i of a group of 7 is ((7 - i) p_i + (i + 1) p_(i+1)) / 8, along either axis.
static const words8 left = {7, 6, 5, 4, 3, 2, 1, 0}, right = {1, 2, 3, 4, 5, 6, 7, 8};

FOR_ANY_PROCESSOR static void mix_rows(const uint8_t *above, int32_t part, uint16_t *mixed) {
    const uint16_t upper = (uint16_t)(GROUP - 1 - part), lower = (uint16_t)(part + 1);
    for (int32_t k = 0; k < FROM; k++) mixed[k] = (uint16_t)(upper * above[k] + lower * above[k + FROM]);
}

// Each group writes 8 bytes, of which the next one overwrites the last.
FOR_ANY_PROCESSOR static void mix_columns(const uint16_t *mixed, uint8_t *out) {
    for (int32_t g = 0; g < FROM / GROUP; g++) {
        words8 here, there;
        memcpy(&here, mixed + GROUP * g, sizeof here);
        memcpy(&there, mixed + GROUP * g + 1, sizeof there);
        const bytes8 pixels = __builtin_convertvector((here * left + there * right + 32) / 64, bytes8);
        memcpy(out + (GROUP - 1) * g, &pixels, sizeof pixels);
    }
}

void hb_planes_84(const uint8_t *planes, uint8_t *to) {
    for (int c = 0; c < CHANNELS; c++)
        for (int32_t row = 0; row < TO; row++) {
            const int32_t part = row % (GROUP - 1), above = row / (GROUP - 1) * GROUP + part;
            uint16_t mixed[FROM + 1];
            uint8_t out[TO + 1];
            mixed[FROM] = 0; // read for the last group's eighth pixel, which is overwritten or cut off
            mix_rows(planes + ((size_t)c * FROM + (size_t)above) * FROM, part, mixed);
            mix_columns(mixed, out);
            memcpy(to + ((size_t)c * TO + (size_t)row) * TO, out, TO);
        }
}
