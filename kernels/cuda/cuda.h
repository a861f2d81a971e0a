// What the files of the CUDA device share. device.cu: table, memory, errors. layout.cu: where numbers lie. search.cu, mixture.cu,
// expand.cu, step.cu, vision.cu, robots.cu: kernels with their launchers. products.cu: the forms that use cuBLAS.
#ifndef HB_CUDA_H
#define HB_CUDA_H

#include "kernels/device.h"

#include <cuda_runtime.h>

struct hb_device {
    const hb_device_table *table;
    cudaStream_t stream;  // of the search; groups have their own
    cudaEvent_t searched; // when the search last wrote what groups read
    float *scratch;       // device memory for launchers, grown on demand; one use at a time
    size_t scratch_bytes;
    int card;
    int sharers;      // processes that use the card, this one included
    char variant[32]; // for people
    int processors;   // streaming multiprocessors of the card
};

// A thread of the host has a current card, and streams of other cards refuse it. So entries of the tables are on_card<F>::call, which is F
// after its first argument's card was made current.
void hb_cuda_make_current(const hb_device *device);
const hb_device *hb_cuda_device_of(const hb_products *products);

static inline const hb_device *hb_cuda_device_of(const hb_device *device) {
    return device;
}

static inline const hb_device *hb_cuda_device_of(const hb_group *group) {
    return hb_group_device(group);
}

static inline const hb_device *hb_cuda_device_of(const hb_mixture_work *work) {
    return hb_mixture_device(work);
}

template <auto F> struct on_card;
template <typename R, typename First, typename... Rest, R (*F)(First, Rest...)> struct on_card<F> {
    static R call(First first, Rest... rest) {
        if (first) hb_cuda_make_current(hb_cuda_device_of(first));
        return F(first, rest...);
    }
};

// A kernel of this build, to ask a card whether it has code for it.
extern const void *const hb_cuda_some_kernel;

// The network as kernels see it: numbers only. Offsets count floats from a lane's start: for each layer and input i a
// row of w[O'], the traces [O'] if there are any, then of each plane [O'], as floats or as halves; O' is O rounded up to a sector.
typedef struct {
    int32_t n_layers, n_coefficients;
    uint32_t planes;
    bool plastic, normalise, half, gated, squares_post, bias, sees_reward, takes_reward;
    hb_plasticity plasticity;
    hb_draw draw;
    int8_t a, b, c, d_in, d_out, eta;
    int32_t inputs[HB_MAX_LAYERS], outputs[HB_MAX_LAYERS], padded[HB_MAX_LAYERS], row[HB_MAX_LAYERS];
    int32_t actions; // of the last outputs
    hb_activation activation[HB_MAX_LAYERS];
    float init_scale[HB_MAX_LAYERS];
    int64_t weight_offset[HB_MAX_LAYERS], genome_offset[HB_MAX_LAYERS];
    int64_t rows[HB_MAX_LAYERS];
    int64_t inputs_at[HB_MAX_LAYERS + 1]; // of layer l's input among a step's activations
    int64_t activations, step;            // of step t: number t % history, `step` floats each
    int32_t history;
    int64_t scale;
    int64_t look, pooled; // vision.cu: weights, and what the first convolution gives
    int64_t lane;         // floats
    int64_t words;        // of an observation
    int32_t units, own,
        n_own; // of an LSTM cell; where the first layer's own input stands in its x, and how long it is
    int64_t n_weights, n_penalised, genome_size;
    hb_vision vision;
} hb_cuda_net;

// A step over the first `count` rows, between these buffers: the same call as the last one is replayed as a graph.
typedef struct {
    int32_t count;
    const float *observation, *reward;
    float *action;
} hb_cuda_call;

struct hb_group {
    hb_device *device;
    hb_net net;
    hb_cuda_net layout;
    int32_t lanes;
    cudaStream_t stream;
    float *memory;             // (lanes, layout.lane)
    int32_t *steps;            // (lanes)
    int32_t *lane, *host_lane; // (lanes): of the rows under way; the host's are pinned
    float *observation;        // (lanes, words), by row
    float *reward;             // (lanes), by row
    float *action;             // (lanes, actions), by row
    // Expansion: lives and their lanes, on both sides; genomes of a chunk of them; stripes of their sums of squares.
    hb_birth *birth, *host_birth;  // (lanes); the host's are pinned
    int32_t *fresh, *host_fresh;   // (lanes)
    float *genomes;                // (chunk, stride); or one layer's weights
    size_t genomes_bytes;          // grown on demand
    float *stripes, *host_stripes; // (lanes, 64)
    double *sum_of_squares;        // where the caller wants the sums, or NULL
    int32_t n_expanding;           // lives since the last wait
    bool stepping;                 // since the last wait
    hb_cuda_call last;
    cudaGraphExec_t graph; // of `last`, or NULL
};

enum { HB_CUDA_THREADS = 128 }; // of every block

// Blocks that give each of that many elements a thread.
static inline unsigned hb_cuda_blocks(int64_t threads) {
    return (unsigned)((threads + HB_CUDA_THREADS - 1) / HB_CUDA_THREADS);
}

static inline int64_t hb_cuda_up_to(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

// Where the activations of step t lie in a lane; t = -1 is a step of zeros.
HB_HD int64_t hb_cuda_activations(const hb_cuda_net &net, int32_t t) {
    return net.activations + (t < 0 ? net.history - 1 : t % net.history) * net.step;
}

// The index of number j in a row's plane of that rank, counted in floats or in halves.
static __device__ __forceinline__ int64_t hb_cuda_plane_at(int32_t padded, int rank, int32_t j) {
    return (int64_t)padded * rank + j;
}

// `row` is where the planes' part of a row begins less `padded` floats: the row, or the row's traces.
static __device__ __forceinline__ float hb_cuda_plane_value(bool half, const float *row, int32_t padded, int rank,
                                                            int32_t j) {
    const float *planes = row + padded;
    const int64_t at = hb_cuda_plane_at(padded, rank, j);
    return half ? hb_half_value(((const uint16_t *)planes)[at]) : planes[at];
}

static __device__ __forceinline__ void hb_cuda_plane_store(bool half, float *row, int32_t padded, int rank, int32_t j,
                                                           float value) {
    float *planes = row + padded;
    const int64_t at = hb_cuda_plane_at(padded, rank, j);
    if (half)
        ((uint16_t *)planes)[at] = hb_half_bits(value);
    else
        planes[at] = value;
}

// Element of normal `part` (0..3) of Philox counter c: see scalar.h, "Numbered noise".
HB_HD size_t hb_cuda_element(size_t counter, uint32_t part) {
    return counter / 16 * HB_NOISE_BLOCK + part * 16 + counter % 16;
}

// The four normals of one Philox block.
HB_HD void hb_cuda_normals(hb_noise id, size_t counter, float normal[4]) {
    const hb_philox_block b = hb_noise_words(id, (uint32_t)counter);
    hb_normal_pair(b.word[0], b.word[1], &normal[0], &normal[1]);
    hb_normal_pair(b.word[2], b.word[3], &normal[2], &normal[3]);
}

// The four numbers of a Philox counter, of theta or of the genome (ops.h, "Sample"), those below `end`.
HB_HD void hb_cuda_numbers(const hb_genome &genome, float *out, size_t counter, size_t end) {
    if (hb_cuda_element(counter, 0) >= end) return;
    float normal[4];
    hb_cuda_normals(genome.noise, counter, normal);
    const hb_sharing &sharing = genome.sharing;
    for (uint32_t part = 0; part < 4; part++) {
        const size_t d = hb_cuda_element(counter, part);
        if (d >= end) continue;
        const bool around = hb_is_shared(&sharing) && sharing.noise_per_synapse;
        const int64_t at = around ? hb_sharing_index(&sharing, 0, (int64_t)d) : (int64_t)d;
        const float *spread = hb_floats(genome.spread);
        const float sigma = spread ? genome.sigma * spread[at] : genome.sigma;
        out[d] = hb_fma(sigma, normal[part], hb_floats(genome.mean)[at]);
    }
}

// HB_OK, or HB_FAILED with the operation, file and line of a failed CUDA call.
hb_status hb_cuda_check(cudaError_t result, const char *what, const char *file, int line, hb_error *error);
#define HB_CUDA(call)            hb_cuda_check((call), #call, __FILE__, __LINE__, error)
#define HB_CUDA_LAUNCHED(kernel) hb_cuda_check(cudaGetLastError(), kernel, __FILE__, __LINE__, error)

// Makes the device's scratch memory at least `bytes` long. What it held before is lost.
hb_status hb_cuda_scratch(hb_device *device, size_t bytes, float **out, hb_error *error);

// Launchers: work on the device's stream and return when it is queued. Meanings as in device.h.
hb_status hb_cuda_sample(hb_device *device, const hb_genome *genome, hb_memory h, size_t begin, size_t end,
                         hb_error *error);
hb_status hb_cuda_gradient(hb_device *device, hb_memory g, const float *z, int32_t n_terms, hb_noise noise,
                           bool squares, size_t begin, size_t end, hb_error *error);
hb_status hb_cuda_sgd(hb_device *device, hb_memory mean, hb_memory g, float rate, size_t begin, size_t end,
                      hb_error *error);
hb_status hb_cuda_adam(hb_device *device, hb_memory mean, hb_memory m, hb_memory v, hb_memory g, hb_adam p,
                       size_t begin, size_t end, hb_error *error);
hb_status hb_cuda_mixture_choose(hb_device *device, const hb_mixture *mixture, int32_t n_individuals, hb_noise noise,
                                 hb_memory choice, float *entropy, int64_t begin, int64_t end, hb_error *error);
hb_status hb_cuda_mixture_begin(hb_device *device, const hb_mixture *mixture, const hb_mixture_step *step,
                                hb_mixture_work **work, hb_error *error);
hb_status hb_cuda_mixture_prepare(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error);
hb_status hb_cuda_mixture_rows(hb_mixture_work *work, int64_t begin, int64_t end, hb_error *error);
hb_status hb_cuda_mixture_end(hb_mixture_work *work, float *g, hb_mixture_counts *counts, hb_error *error);
hb_status hb_cuda_robots_step(hb_device *device, const hb_rigid_model *model, hb_memory state, int32_t n,
                              int32_t begin, int32_t end, int32_t steps, hb_error *error);
hb_cuda_net hb_cuda_layout(const hb_net *net);
// At least `bytes` for genomes of the group. What was there before is lost.
hb_status hb_cuda_genomes_room(hb_group *group, size_t bytes, hb_error *error);
hb_status hb_cuda_expand(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                         double *sum_of_squares, hb_error *error);
void hb_cuda_expanded(hb_group *group); // the stream is idle: hands out the sums of squares
hb_status hb_cuda_step(hb_group *group, int32_t count, hb_error *error);
hb_status hb_cuda_look(hb_group *group, int32_t count, hb_error *error);
// Of lives in the device's memory, whose genomes are `stride` floats apart in group->genomes.
hb_status hb_cuda_vision_weights(hb_group *group, const hb_birth *birth, const int32_t *lanes, int32_t count,
                                 int64_t stride, hb_error *error);
hb_status hb_cuda_weights(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error);
hb_status hb_cuda_put_weights(hb_group *group, int32_t lane, const float *w, hb_error *error);
hb_status hb_cuda_put_output(hb_group *group, int32_t lane, const float *y, hb_error *error);

extern "C" const hb_device_table hb_cuda_device;
extern "C" const hb_products_table hb_cublas;

#endif
