// The CPU device. Its arithmetic (search.c, expand.c, step.c, mixture.c, vision.c) is compiled once per instruction set;
// device.c chooses a build at run time and owns memory and layout.
//
// A lane is one block of memory, read and written once per step from its first byte to its last: for each layer, for each
// input i, for each 16 outputs
//     w[16], the traces [16] if there are any, then the planes, each [16]   (the number of outputs rounded up to 16; the excess is 0)
// So a vector of weights and its planes are neighbouring cache lines. Planes are floats, or halves where the network rounds them to
// half precision. The 256 KB of an Ant, or 150 KB, stay in the caches for the whole life.
#ifndef HB_CPU_H
#define HB_CPU_H

#include "kernels/device.h"
#include "kernels/planar.h"
#include "kernels/rigid.h"

extern const hb_device_table hb_cpu_device;

#define HB_CPU_PAD 16

// Where things lie in a lane, in floats from its start.
typedef struct {
    size_t rows[HB_MAX_LAYERS];   // the layer's rows
    size_t row[HB_MAX_LAYERS];    // length of a row: O' / 16 blocks
    size_t padded[HB_MAX_LAYERS]; // O', O rounded up to 16
    size_t first_plane;           // in a block, behind weights and traces
    size_t plane, block;          // of 16 outputs: one plane, 16 or as halves 8; weights, traces and all planes
    size_t activations;           // the lane's input and all layers' outputs, of step t as number t % history of
    size_t history, step;         // so many, which have `step` floats each
    size_t means;                 // scratch: the same, averaged, if the network averages
    size_t activation[HB_MAX_LAYERS + 1]; // offset of input l (l = n_layers: the action) among a step's
    size_t scale;                         // s of each layer
    size_t vision;                        // kernels/cpu/vision.h: weights and planes, where there is vision
    size_t lane;                          // floats of a lane
} hb_cpu_layout;

// Where the activations of step t lie in a lane; t = -1 is a step of zeros.
static inline size_t hb_cpu_activations(const hb_cpu_layout *layout, int32_t t) {
    return layout->activations +
           (size_t)(t < 0 ? (int32_t)layout->history - 1 : t % (int32_t)layout->history) * layout->step;
}

// Where the block of column j begins in a row, in floats from the row's start, and where its weight is; the planes that the rule has
// follow the block's 16 weights.
static inline size_t hb_cpu_block(const hb_cpu_layout *layout, size_t j) {
    return j / HB_CPU_PAD * layout->block;
}

static inline size_t hb_cpu_column(const hb_cpu_layout *layout, size_t j) {
    return hb_cpu_block(layout, j) + j % HB_CPU_PAD;
}

struct hb_group {
    hb_device *device;
    const struct hb_cpu_build *build;
    hb_net net;
    hb_cpu_layout layout;
    int32_t lanes;
    float *memory;  // (lanes, layout.lane)
    int32_t *steps; // (lanes): steps since expand
};

// One build's part of the search. Arguments as of hb_device_sample and the functions after it, in host memory.
typedef struct {
    // theta: E floats of scratch where rules are shared.
    void (*sample)(const hb_genome *genome, float *h, float *theta, size_t begin, size_t end);
    void (*gradient)(float *g, const float *z, int32_t n_terms, hb_noise noise, bool squares, size_t begin,
                     size_t end);
    void (*sgd)(float *mean, const float *g, float rate, size_t begin, size_t end);
    void (*adam)(float *mean, float *m, float *v, const float *g, hb_adam p, size_t begin, size_t end);
} hb_cpu_search;

// Starts a birth in a lane. scratch: D and N, each rounded up to 64, and E floats. Nullable: sum_of_squares.
typedef void hb_cpu_expand(hb_group *group, int32_t lane, const hb_birth *birth, float *scratch,
                           double *sum_of_squares);

typedef struct hb_cpu_mixture hb_cpu_mixture; // kernels/cpu/mixture.h
typedef struct hb_cpu_vision hb_cpu_vision;   // kernels/cpu/vision.h

// One build of the arithmetic.
typedef struct hb_cpu_build {
    const char *variant;
    const hb_cpu_search *search;
    hb_cpu_expand *expand;
    void (*step)(hb_group *group, int32_t lane, const float *observation, float reward, float *action);
    void (*weights)(const hb_group *group, int32_t lane, int32_t layer, float *w);
    const hb_cpu_mixture *mixture;
    const hb_cpu_vision *vision;
    const hb_rigid_code *robots;
} hb_cpu_build;

// As hb_device_robots_step.
hb_status hb_cpu_robots_step(const hb_rigid_code *code, const hb_rigid_model *model, float *state, int32_t n,
                             int32_t begin, int32_t end, int32_t steps, hb_error *error);

#define HB_DECLARE_CPU_BUILD(build)                                                                                  \
    extern const hb_cpu_build hb_cpu_build_##build;                                                                  \
    extern const hb_cpu_search hb_cpu_search_##build;                                                                \
    extern hb_cpu_expand hb_cpu_expand_##build;                                                                      \
    extern const hb_cpu_mixture hb_cpu_mixture_##build;                                                              \
    extern const hb_cpu_vision hb_cpu_vision_##build;                                                                \
    extern const hb_rigid_code hb_rigid_4x2_##build;                                                                 \
    extern const hb_planar_code hb_planar_2x3_##build

HB_DECLARE_CPU_BUILD(generic);
#ifdef __x86_64__
HB_DECLARE_CPU_BUILD(avx2);
HB_DECLARE_CPU_BUILD(avx512);
#endif

// Whether this processor has the instructions of a build.
bool hb_cpu_can_run(const char *variant);

#endif
