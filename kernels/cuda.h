// The CUDA device, inside: what its files share. cuda.cu has the table, memory and errors, search_cuda.cu and
// net_cuda.cu the kernels with their launchers.
#ifndef HB_CUDA_H
#define HB_CUDA_H

#include "kernels/device.h"

#include <cuda_runtime.h>

struct hb_device {
    cudaStream_t stream;
    float *scratch; // device memory for launchers, grown on demand; one use at a time
    size_t scratch_bytes;
};

// The network as kernels see it: numbers only. Offsets count floats from a lane's start: for each layer and input i a
// row of w[O'], then of each plane that the rule has, O' = O rounded up to 8 (one sector of 32 bytes).
typedef struct {
    int32_t n_layers, n_coefficients;
    uint32_t planes;
    bool plastic, normalise;
    hb_draw draw;
    int8_t a, b, c, d_in, d_out, eta;
    int32_t inputs[HB_MAX_LAYERS], outputs[HB_MAX_LAYERS], padded[HB_MAX_LAYERS], row[HB_MAX_LAYERS];
    hb_activation activation[HB_MAX_LAYERS];
    float init_scale[HB_MAX_LAYERS];
    int64_t weight_offset[HB_MAX_LAYERS], genome_offset[HB_MAX_LAYERS];
    int64_t rows[HB_MAX_LAYERS];
    int64_t inputs_at[HB_MAX_LAYERS + 1]; // of layer l's input among a step's activations
    int64_t activations[2];               // of this and the last step
    int64_t scale;
    int64_t lane; // floats
    int64_t n_weights, n_penalised, genome_size;
} hb_cuda_net;

struct hb_group {
    hb_device *device;
    hb_net net;
    hb_cuda_net layout;
    int32_t lanes;
    float *memory;      // (lanes, layout.lane)
    int32_t *steps;     // (lanes)
    float *observation; // (lanes, I)
    float *action;      // (lanes, O)
    uint8_t *active;    // (lanes)
};

// HB_OK, or HB_FAILED with the operation, file and line of a failed CUDA call.
hb_status hb_cuda_check(cudaError_t result, const char *what, const char *file, int line, hb_error *error);
#define HB_CUDA(call)            hb_cuda_check((call), #call, __FILE__, __LINE__, error)
#define HB_CUDA_LAUNCHED(kernel) hb_cuda_check(cudaGetLastError(), kernel, __FILE__, __LINE__, error)

// At least `bytes` of the device's scratch memory. What it held before is lost.
hb_status hb_cuda_scratch(hb_device *device, size_t bytes, float **out, hb_error *error);

// Launchers: work on the device's stream and return when it is queued. Meanings as in device.h.
hb_status hb_cuda_sample(hb_device *device, const hb_genome *genome, float *h, size_t begin, size_t end,
                         hb_error *error);
hb_status hb_cuda_gradient(hb_device *device, float *g, const float *z, int32_t n_terms, hb_noise noise, size_t begin,
                           size_t end, hb_error *error);
hb_status hb_cuda_sgd(hb_device *device, float *mean, const float *g, float rate, size_t begin, size_t end,
                      hb_error *error);
hb_status hb_cuda_adam(hb_device *device, float *mean, float *m, float *v, const float *g, hb_adam p, size_t begin,
                       size_t end, hb_error *error);
hb_cuda_net hb_cuda_layout(const hb_net *net);
hb_status hb_cuda_expand(hb_group *group, int32_t lane, const hb_lane *life, double *sum_of_squares, hb_error *error);
hb_status hb_cuda_step(hb_group *group, int32_t first, int32_t count, bool some_rest, hb_error *error);
hb_status hb_cuda_weights(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error);

extern "C" const hb_device_table hb_cuda_device;

#endif
