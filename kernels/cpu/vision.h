// Convolutions on the CPU. A convolution with stride S and pooling by 2 walks its input in P x P phases, P = 2 S: plane (a, b) of
// a channel has rows r P + a and columns c P + b. So each of the four outputs that are pooled reads, for neighbouring pooled outputs,
// neighbouring floats. What a lane keeps: the weights, then for each convolution its input's planes, [channels][P][P][rows][columns].
#ifndef HB_CPU_VISION_H
#define HB_CPU_VISION_H

#include "kernels/cpu/cpu.h"

// P; rows and columns of a plane of that convolution's input, and floats from one plane to the next: a vector may be read
// beyond a plane's end.
static inline int32_t hb_cpu_phases(const hb_convolution *c) {
    return 2 * c->stride;
}
static inline int32_t hb_cpu_plane_rows(const hb_convolution *c) {
    return (c->height + hb_cpu_phases(c) - 1) / hb_cpu_phases(c);
}
static inline int32_t hb_cpu_plane_columns(const hb_convolution *c) {
    return (c->width + hb_cpu_phases(c) - 1) / hb_cpu_phases(c);
}
static inline size_t hb_cpu_plane_floats(const hb_convolution *c) {
    const size_t n = (size_t)hb_cpu_plane_rows(c) * (size_t)hb_cpu_plane_columns(c);
    return (n + HB_CPU_PAD - 1) / HB_CPU_PAD * HB_CPU_PAD;
}
static inline size_t hb_cpu_planes_floats(const hb_convolution *c) {
    return (size_t)(c->channels * hb_cpu_phases(c) * hb_cpu_phases(c)) * hb_cpu_plane_floats(c);
}

static inline size_t hb_cpu_vision_weights(const hb_vision *vision) {
    return ((size_t)vision->n_weights + HB_CPU_PAD - 1) / HB_CPU_PAD * HB_CPU_PAD;
}

// Floats of a lane's part; 0 without vision. Vectors may read past the last plane's end, so some slack follows it.
#define HB_CPU_VISION_SLACK 1024
static inline size_t hb_cpu_vision_floats(const hb_vision *vision) {
    if (!vision->n_weights) return 0;
    size_t n = hb_cpu_vision_weights(vision) + HB_CPU_VISION_SLACK;
    for (int32_t k = 0; k < HB_CONVOLUTIONS; k++) n += hb_cpu_planes_floats(&vision->layer[k]);
    return n;
}

// Writes the weights: those of the genome (nullable where they are not evolved), or weights drawn from the seed.
void hb_cpu_vision_expand(const hb_vision *vision, const float *genome, uint32_t seed, float *memory);

struct hb_cpu_vision {
    // bytes (n_pixels) to features (maps, rows, columns) of the last convolution.
    void (*look)(const hb_vision *vision, float *memory, const uint8_t *bytes, float *features);
};

#endif
