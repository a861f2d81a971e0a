// Convolutions on CUDA. Equations and the order of summation: ops.h, "Look". A thread makes one pooled output: it sums
// its four positions side by side, neighbours reading neighbouring pixels and all the same weight. What a lane keeps: the
// weights, then the first convolution's output, (maps, rows, columns).
#include "kernels/cuda/cuda.h"

static __device__ __forceinline__ float input_of(const uint8_t *bytes, int32_t at) {
    return hb_pixel(bytes[at]);
}

static __device__ __forceinline__ float input_of(const float *x, int32_t at) {
    return x[at];
}

// Output e of a convolution of x with w.
template <typename X> static __device__ float pooled(const hb_convolution &c, const X *x, const float *w, int32_t e) {
    const int32_t column = e % c.columns, row = e / c.columns % c.rows, map = e / c.columns / c.rows;
    const int32_t down = c.stride * c.width, corner = 2 * row * down + 2 * column * c.stride;
    const float *weight = w + (int64_t)map * hb_vision_fan_in(c);
    float z[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    for (int32_t k = 0; k < c.channels; k++)
        for (int32_t a = 0; a < c.kernel; a++) {
            const int32_t line = (k * c.height + a) * c.width + corner;
            for (int32_t b = 0; b < c.kernel; b++, weight++) {
                const int32_t at = line + b;
                z[0] = hb_fma(*weight, input_of(x, at), z[0]);
                z[1] = hb_fma(*weight, input_of(x, at + c.stride), z[1]);
                z[2] = hb_fma(*weight, input_of(x, at + down), z[2]);
                z[3] = hb_fma(*weight, input_of(x, at + down + c.stride), z[3]);
            }
        }
    return hb_tanh(hb_larger(hb_larger(z[0], z[2]), hb_larger(z[1], z[3])));
}

static int32_t outputs_of(const hb_convolution &c) {
    return c.maps * c.rows * c.columns;
}

__global__ void first_kernel(hb_cuda_net net, float *memory, const int32_t *lanes, const uint8_t *bytes,
                             uint32_t blocks, int32_t outputs) {
    const int64_t row = blockIdx.x / blocks;
    const int32_t e = (int32_t)(blockIdx.x % blocks) * HB_CUDA_THREADS + (int32_t)threadIdx.x;
    float *lane = memory + (int64_t)lanes[row] * net.lane;
    if (e < outputs)
        lane[net.pooled + e] = pooled(net.vision.layer[0], bytes + row * net.words * 4, lane + net.look, e);
}

// Features are the input of the step's first layer.
__global__ void second_kernel(hb_cuda_net net, float *memory, const int32_t *lanes, const int32_t *steps,
                              uint32_t blocks, int32_t outputs) {
    const int64_t k = lanes[blockIdx.x / blocks];
    const int32_t e = (int32_t)(blockIdx.x % blocks) * HB_CUDA_THREADS + (int32_t)threadIdx.x;
    float *lane = memory + k * net.lane;
    const hb_convolution &c = net.vision.layer[1];
    if (e < outputs)
        lane[hb_cuda_activations(net, steps[k]) + net.own + e] =
            pooled(c, lane + net.pooled, lane + net.look + c.offset, e);
}

hb_status hb_cuda_look(hb_group *group, int32_t count, hb_error *error) {
    const hb_cuda_net &net = group->layout;
    const int32_t first = outputs_of(net.vision.layer[0]), second = outputs_of(net.vision.layer[1]);
    const unsigned blocks = hb_cuda_blocks(first), next = hb_cuda_blocks(second);
    first_kernel<<<(unsigned)count * blocks, HB_CUDA_THREADS, 0, group->stream>>>(
        net, group->memory, group->lane, (const uint8_t *)group->observation, blocks, first);
    const hb_status status = HB_CUDA_LAUNCHED("first convolution");
    if (status != HB_OK) return status;
    second_kernel<<<(unsigned)count * next, HB_CUDA_THREADS, 0, group->stream>>>(net, group->memory, group->lane,
                                                                                 group->steps, next, second);
    return HB_CUDA_LAUNCHED("second convolution");
}

// A life's weights: the end of its genome, or the run's own draws.
__global__ void weights_of_vision_kernel(hb_cuda_net net, const hb_birth *birth, const int32_t *lanes,
                                         const float *genomes, int64_t stride, uint32_t blocks, float *memory) {
    const int64_t k = blockIdx.x / blocks, e = (int64_t)(blockIdx.x % blocks) * HB_CUDA_THREADS + threadIdx.x;
    if (e >= net.vision.n_weights) return;
    hb_noise fixed = birth[k].weights;
    fixed.stream = HB_STREAM_VISION;
    fixed.generation = fixed.individual = fixed.episode = 0;
    const bool second = e >= net.vision.layer[1].offset;
    const int32_t fan_in = second ? hb_vision_fan_in(net.vision.layer[1]) : hb_vision_fan_in(net.vision.layer[0]);
    memory[(int64_t)lanes[k] * net.lane + net.look + e] =
        net.vision.evolved ? genomes[k * stride + net.genome_size - net.vision.n_weights + e]
                           : hb_vision_draw(fan_in, fixed, e);
}

hb_status hb_cuda_vision_weights(hb_group *group, const hb_birth *birth, const int32_t *lanes, int32_t count,
                                 int64_t stride, hb_error *error) {
    const unsigned blocks = hb_cuda_blocks(group->layout.vision.n_weights);
    weights_of_vision_kernel<<<(unsigned)count * blocks, HB_CUDA_THREADS, 0, group->stream>>>(
        group->layout, birth, lanes, group->genomes, stride, blocks, group->memory);
    return HB_CUDA_LAUNCHED("weights of vision");
}
