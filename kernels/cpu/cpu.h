// The CPU device. Its arithmetic (cpu_body.c) is compiled once for each instruction set; cpu.c chooses one at
// run time and owns memory and layout.
//
// A lane is one block of memory, read and written once per step, from its first byte to its last: for each layer, for
// each input i, for each 16 outputs
//     w[16] and the planes that the rule has, each [16]       (outputs rounded up to 16, the excess being 0)
// A vector and its planes are neighbouring cache lines, and an Ant's 256 KB stay in the second-level cache for life.
#ifndef HB_CPU_H
#define HB_CPU_H

#include "kernels/device.h"

extern const hb_device_table hb_cpu_device;

#define HB_CPU_PAD 16

// Where things lie in a lane, in floats from its start.
typedef struct {
    size_t rows[HB_MAX_LAYERS];           // the layer's rows
    size_t row[HB_MAX_LAYERS];            // length of a row: O' arrays
    size_t padded[HB_MAX_LAYERS];         // O', O rounded up to 16
    size_t arrays;                        // 1 + planes
    size_t activations[2];                // the lane's input and all layers' outputs, of this and the last step
    size_t activation[HB_MAX_LAYERS + 1]; // offset of input l (l = n_layers: the action) among them
    size_t scale;                         // s of each layer
    size_t vision;                        // kernels/cpu/vision.h: weights and planes, where there is vision
    size_t lane;                          // floats of a lane
} hb_cpu_layout;

// Where column j of a row stands, in floats from the row's start; plane p follows its weight by 16 floats for
// each array before it.
static inline size_t hb_cpu_column(size_t arrays, size_t j) {
    return j / HB_CPU_PAD * HB_CPU_PAD * arrays + j % HB_CPU_PAD;
}

struct hb_group {
    const struct hb_cpu_body *body;
    hb_net net;
    hb_cpu_layout layout;
    int32_t lanes;
    float *memory;  // (lanes, layout.lane)
    int32_t *steps; // (lanes): steps since expand
};

// One build of the arithmetic. Meanings and arguments as in device.h.
typedef struct hb_cpu_body {
    const char *variant;
    // theta: E floats of scratch where rules are shared.
    void (*sample)(const hb_genome *genome, float *h, float *theta, size_t begin, size_t end);
    void (*gradient)(float *g, const float *z, int32_t n_terms, hb_noise noise, size_t begin, size_t end);
    void (*sgd)(float *mean, const float *g, float rate, size_t begin, size_t end);
    void (*adam)(float *mean, float *m, float *v, const float *g, hb_adam p, size_t begin, size_t end);
    // scratch: D and N, each rounded up to 64, and E floats.
    void (*expand)(hb_group *group, int32_t lane, const hb_lane *life, float *scratch, double *sum_of_squares);
    void (*step)(hb_group *group, int32_t lane, const float *observation, float *action);
    void (*weights)(const hb_group *group, int32_t lane, int32_t layer, float *w);
    const struct hb_cpu_mixture *mixture; // kernels/cpu/mixture.h
    const struct hb_cpu_vision *vision;   // kernels/cpu/vision.h
} hb_cpu_body;

typedef struct hb_cpu_mixture hb_cpu_mixture;
typedef struct hb_cpu_vision hb_cpu_vision;

extern const hb_cpu_body hb_cpu_generic;
extern const hb_cpu_mixture hb_cpu_mixture_generic;
extern const hb_cpu_vision hb_cpu_vision_generic;
#ifdef __x86_64__
extern const hb_cpu_body hb_cpu_avx2, hb_cpu_avx512;
extern const hb_cpu_mixture hb_cpu_mixture_avx2, hb_cpu_mixture_avx512;
extern const hb_cpu_vision hb_cpu_vision_avx2, hb_cpu_vision_avx512;
#endif

#endif
