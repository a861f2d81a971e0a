// The fused step on CUDA, and reading or changing the state of a lane (ops.h, "Look", "Step", "Weights", "Put").
#include "kernels/cuda/cuda.h"
#include "kernels/update.h"

enum { AHEAD = 4 }; // rows that are loaded before the first is used

// Where a layer's rows and vectors are.
typedef struct {
    float *rows;
    int32_t row, padded, inputs;
    float scale, modulation;
    const float *pre, *x; // shared
} layer_view;

// Where the planes' part of a row begins, less `padded` floats.
static __device__ __forceinline__ int32_t before_planes(const hb_plasticity &p, int32_t padded) {
    return p.trace > 0.0f ? padded : 0;
}

// sum_i w_ij x_i with the update of column j applied on the way; *largest becomes max(itself, bits of |w|).
// `planes` is a constant where this is inlined for the rules' sets.
template <bool HALF>
static __device__ __forceinline__ float column(uint32_t planes, const layer_view &view, int32_t j, float kept,
                                               float post, uint32_t *largest) {
    const int rank_b = planes & 1u, rank_c = rank_b + (planes >> 1 & 1u), rank_d = rank_c + (planes >> 2 & 1u);
    float sum = 0.0f;
    for (int32_t i0 = 0; i0 < view.inputs; i0 += AHEAD) {
        float w[AHEAD], a[AHEAD], b[AHEAD], c[AHEAD], d[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            if (i0 + k >= view.inputs) break;
            const float *row = view.rows + (int64_t)(i0 + k) * view.row;
            w[k] = row[j];
            a[k] = planes & 1u ? hb_cuda_plane_value(HALF, row, view.padded, 0, j) : 0.0f;
            b[k] = planes & 2u ? hb_cuda_plane_value(HALF, row, view.padded, rank_b, j) : 0.0f;
            c[k] = planes & 4u ? hb_cuda_plane_value(HALF, row, view.padded, rank_c, j) : 0.0f;
            d[k] = planes & 8u ? hb_cuda_plane_value(HALF, row, view.padded, rank_d, j) : 0.0f;
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            if (i0 + k >= view.inputs) break;
            if (planes) {
                const float pre = view.pre[i0 + k];
                w[k] = HB_PLASTIC_UPDATE(hb_fma, w[k], kept, pre, post, a[k], b[k], c[k], d[k]);
                view.rows[(int64_t)(i0 + k) * view.row + j] = w[k];
                const uint32_t magnitude = hb_magnitude(w[k]);
                *largest = magnitude > *largest ? magnitude : *largest;
            }
            sum = hb_fma(w[k], view.x[i0 + k], sum);
        }
    }
    return sum;
}

// A synapse's planes, 0 where it has none.
static __device__ __forceinline__ void read_planes(bool half, uint32_t planes, const float *before, int32_t padded,
                                                   int32_t j, float plane[HB_MAX_PLANES]) {
    int rank = 0;
    for (int p = 0; p < HB_MAX_PLANES; p++)
        plane[p] = planes >> p & 1u ? hb_cuda_plane_value(half, before, padded, rank++, j) : 0.0f;
}

// The same sum in a gated net.
static __device__ float gated_column(const hb_cuda_net &net, const layer_view &view, int32_t j, float kept,
                                     float post, uint32_t *largest) {
    float sum = 0.0f;
    for (int32_t i = 0; i < view.inputs; i++) {
        float *row = view.rows + (int64_t)i * view.row, plane[HB_MAX_PLANES], none = 0.0f;
        float *before = row + before_planes(net.plasticity, view.padded), *trace = before > row ? before + j : &none;
        read_planes(net.half, net.planes, before, view.padded, j, plane);
        const float w =
            hb_updated(&net.plasticity, true, view.modulation, row[j], kept, view.pre[i], post, plane, trace);
        row[j] = w;
        const uint32_t magnitude = hb_magnitude(w);
        *largest = magnitude > *largest ? magnitude : *largest;
        sum = hb_fma(w, view.x[i], sum);
    }
    return sum;
}

// The sum of column j, updated if `update`; post is as the net has it.
template <bool HALF, bool GATED>
static __device__ float column_of(const hb_cuda_net &net, bool update, const layer_view &view, int32_t j, float post,
                                  uint32_t *largest) {
    if (!update) return column<HALF>(0x0, view, j, view.scale, post, largest);
    const float kept = hb_kept(&net.plasticity, view.scale, post);
    if (net.squares_post) post *= post;
    if (GATED) return gated_column(net, view, j, kept, post, largest);
    switch (net.planes) {
    case 0x1:
        return column<HALF>(0x1, view, j, kept, post, largest);
    case 0x3:
        return column<HALF>(0x3, view, j, kept, post, largest);
    case 0x7:
        return column<HALF>(0x7, view, j, kept, post, largest);
    case 0x9:
        return column<HALF>(0x9, view, j, kept, post, largest);
    case 0xf:
        return column<HALF>(0xf, view, j, kept, post, largest);
    default:
        return column<HALF>(net.planes, view, j, kept, post, largest);
    }
}

// Activation `at` that the update before step `step` takes for pre or post: that of the last step, or the mean of the last ones.
static __device__ float learned_from(const hb_cuda_net &net, const float *lane, int32_t step, int64_t at) {
    float sum = lane[hb_cuda_activations(net, step - 1) + at];
    if (net.history == 2) return sum;
    const int32_t n = step < net.history - 1 ? step : net.history - 1;
    for (int32_t k = 2; k <= n; k++) sum += lane[hb_cuda_activations(net, step - k) + at];
    return sum / (float)n;
}

// Layer l's activation of the sums y, in place. `last` is the layer's output of the step before.
__device__ static inline void activate(const hb_cuda_net &net, int32_t l, float scale, const float *last, float *y) {
    // A unit's thread reads and writes that unit's numbers alone: its gates, then h and c in place of two of them.
    for (int32_t j = threadIdx.x; j < net.units && l == 0; j += HB_CUDA_THREADS) {
        float c = last[net.units + j];
        const float h = hb_lstm_unit(y, net.units, j, &c);
        y[j] = h;
        y[net.units + j] = c;
    }
    for (int32_t j = threadIdx.x; j < net.outputs[l] && net.activation[l] != HB_LSTM; j += HB_CUDA_THREADS) {
        const float z = scale * y[j];
        y[j] = net.activation[l] == HB_TANH ? hb_tanh(z) : z;
    }
    if (net.bias && threadIdx.x == 0) y[net.outputs[l]] = 1.0f;
}

// Dynamic shared memory: x and pre of the widest layer's input. Of a layer's three barriers the first separates the
// writes of x, pre and `widest` from their reads; the second the atomic maxima from the scale, and this layer's reads
// of x and pre from the next one's writes; the third the reads of `widest` from its next reset. Outputs y need none:
// thread j writes and reads them, as input j of the next layer, too; but the gates of an LSTM cell, which one thread reads
// and others wrote, stand behind the second, and the 1 of a bias, which thread 0 writes and another reads, before the third.
template <bool HALF, bool GATED>
__global__ void step_kernel(hb_cuda_net net, float *memory, int32_t *steps, const int32_t *lanes,
                            const float *observation, const float *reward, float *action, int32_t shared_width) {
    extern __shared__ float shared[];
    __shared__ uint32_t widest;
    const int64_t row = blockIdx.x, k = lanes[row];
    float *x = shared, *pre = shared + shared_width;
    float *lane = memory + k * net.lane;
    const int32_t step = steps[k];
    float *now = lane + hb_cuda_activations(net, step);
    const float *last = lane + hb_cuda_activations(net, step - 1);
    const bool update = net.planes && hb_updates_before(&net.plasticity, step), measure = net.normalise && update;
    const float earned = net.takes_reward ? reward[row] : 0.0f;
    const float gate = last[net.inputs_at[net.n_layers] + net.outputs[net.n_layers - 1] - 1];
    for (int32_t i = threadIdx.x; i < net.n_own && !net.vision.n_weights; i += HB_CUDA_THREADS)
        now[net.own + i] = observation[row * net.words + i];
    for (int32_t j = threadIdx.x; j < net.units; j += HB_CUDA_THREADS)
        now[net.own + net.n_own + net.sees_reward + j] = last[net.inputs_at[1] + j];
    if (threadIdx.x < net.own) now[threadIdx.x] = 1.0f;
    if (net.sees_reward && threadIdx.x == 0) now[net.own + net.n_own] = earned;
    if (net.bias && threadIdx.x == 0) now[net.own + net.n_own + net.sees_reward] = 1.0f;
    __syncthreads();
    for (int32_t l = 0; l < net.n_layers; l++) {
        for (int32_t i = threadIdx.x; i < net.inputs[l]; i += HB_CUDA_THREADS) {
            x[i] = now[net.inputs_at[l] + i];
            pre[i] = update ? learned_from(net, lane, step, net.inputs_at[l] + i) : 0.0f;
        }
        if (threadIdx.x == 0) widest = 0;
        __syncthreads();
        const layer_view view = {lane + net.rows[l],
                                 net.row[l],
                                 net.padded[l],
                                 net.inputs[l],
                                 lane[net.scale + l],
                                 hb_modulation(&net.plasticity, earned, gate),
                                 pre,
                                 x};
        float *y = now + net.inputs_at[l + 1];
        for (int32_t j = threadIdx.x; j < net.outputs[l]; j += HB_CUDA_THREADS) {
            uint32_t largest = 0;
            const float post = update ? learned_from(net, lane, step, net.inputs_at[l + 1] + j) : 0.0f;
            y[j] = column_of<HALF, GATED>(net, update, view, j, post, &largest);
            if (measure) atomicMax(&widest, largest);
        }
        __syncthreads();
        const float scale = measure ? hb_layer_scale(widest) : view.scale;
        activate(net, l, scale, last + net.inputs_at[l + 1], y);
        __syncthreads();
        if (threadIdx.x == 0) lane[net.scale + l] = scale; // all have read the old one before the barrier above
    }
    for (int32_t j = threadIdx.x; j < net.actions; j += HB_CUDA_THREADS)
        action[row * net.actions + j] = now[net.inputs_at[net.n_layers] + j];
    if (threadIdx.x == 0) steps[k] = step + 1;
}

hb_status hb_cuda_step(hb_group *group, int32_t count, hb_error *error) {
    const hb_cuda_net &net = group->layout;
    int32_t width = 0;
    for (int32_t l = 0; l < net.n_layers; l++) width = net.inputs[l] > width ? net.inputs[l] : width;
    const size_t shared = 2 * (size_t)width * sizeof(float); // at most 32 KB
    const hb_status looked = net.vision.n_weights > 0 ? hb_cuda_look(group, count, error) : HB_OK;
    if (looked != HB_OK) return looked;
    const auto kernel = net.gated  ? net.half ? step_kernel<true, true> : step_kernel<false, true>
                         : net.half ? step_kernel<true, false>
                                   : step_kernel<false, false>;
    kernel<<<(unsigned)count, HB_CUDA_THREADS, shared, group->stream>>>(
        net, group->memory, group->steps, group->lane, group->observation, group->reward, group->action, width);
    return HB_CUDA_LAUNCHED("step");
}

// ---------------------------------------------------------------------------------------------------
// Weights: one block; every thread's weights after the pending update, their maximum, then the scaling

__global__ void weights_kernel(hb_cuda_net net, const float *lane, const int32_t *steps, int32_t l, float *w) {
    __shared__ uint32_t widest;
    const int64_t size = (int64_t)net.inputs[l] * net.outputs[l];
    const bool update =
        net.planes && hb_updates_before(&net.plasticity, *steps) && net.plasticity.modulator != HB_MODULATE_REWARD;
    const int64_t gate = net.inputs_at[net.n_layers] + net.outputs[net.n_layers - 1] - 1;
    const float m = hb_modulation(&net.plasticity, 0.0f, lane[hb_cuda_activations(net, *steps - 1) + gate]);
    if (threadIdx.x == 0) widest = 0;
    __syncthreads();
    for (int64_t e = threadIdx.x; e < size; e += HB_CUDA_THREADS) {
        const int32_t i = (int32_t)(e / net.outputs[l]), j = (int32_t)(e % net.outputs[l]);
        const float *row = lane + net.rows[l] + (int64_t)i * net.row[l];
        const float *before = row + before_planes(net.plasticity, net.padded[l]);
        float value = row[j], plane[HB_MAX_PLANES], trace = before[j];
        if (update) {
            const float pre = learned_from(net, lane, *steps, net.inputs_at[l] + i),
                        post = learned_from(net, lane, *steps, net.inputs_at[l + 1] + j);
            read_planes(net.half, net.planes, before, net.padded[l], j, plane);
            value =
                hb_updated(&net.plasticity, net.gated, m, value, hb_kept(&net.plasticity, lane[net.scale + l], post),
                           pre, net.squares_post ? post * post : post, plane, &trace);
        }
        atomicMax(&widest, hb_magnitude(value));
        w[e] = value;
    }
    __syncthreads();
    if (!net.normalise || !net.planes) return;
    const float scale = update ? hb_layer_scale(widest) : lane[net.scale + l];
    for (int64_t e = threadIdx.x; e < size; e += HB_CUDA_THREADS) w[e] = scale * w[e];
}

// Copies alone: a lane's rows, scales and count of steps are as the kernels leave them.
hb_status hb_cuda_put_weights(hb_group *group, int32_t lane, const float *w, hb_error *error) {
    static const float ones[HB_MAX_LAYERS] = {1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f, 1.0f};
    const hb_cuda_net &net = group->layout;
    float *memory = group->memory + (int64_t)lane * net.lane;
    cudaStream_t stream = group->stream;
    hb_status status = HB_OK;
    for (int32_t l = 0; l < net.n_layers && status == HB_OK; l++) {
        const size_t row = (size_t)net.row[l] * sizeof *w, width = (size_t)net.outputs[l] * sizeof *w;
        status = HB_CUDA(cudaMemcpy2DAsync(memory + net.rows[l], row, w + net.weight_offset[l], width, width,
                                           (size_t)net.inputs[l], cudaMemcpyHostToDevice, stream));
    }
    const size_t layers = (size_t)net.n_layers;
    if (status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(memory + net.scale, ones, layers * sizeof *ones, cudaMemcpyHostToDevice, stream));
    if (status == HB_OK && net.planes) // without planes no update is pending
        status = HB_CUDA(cudaMemsetAsync(group->steps + lane, 0, sizeof *group->steps, stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(stream)) : status;
}

hb_status hb_cuda_put_output(hb_group *group, int32_t lane, const float *y, hb_error *error) {
    const hb_cuda_net &net = group->layout;
    int32_t steps = 0;
    hb_status status =
        HB_CUDA(cudaMemcpyAsync(&steps, group->steps + lane, sizeof steps, cudaMemcpyDeviceToHost, group->stream));
    if (status == HB_OK) status = HB_CUDA(cudaStreamSynchronize(group->stream));
    if (status != HB_OK) return status;
    float *last = group->memory + (int64_t)lane * net.lane + hb_cuda_activations(net, steps - 1);
    status = HB_CUDA(cudaMemcpyAsync(last + net.inputs_at[net.n_layers], y, (size_t)net.actions * sizeof *y,
                                     cudaMemcpyHostToDevice, group->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(group->stream)) : status;
}

hb_status hb_cuda_weights(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error) {
    const hb_cuda_net &net = group->layout;
    const size_t bytes = (size_t)net.inputs[layer] * (size_t)net.outputs[layer] * sizeof *w;
    hb_status status = hb_cuda_genomes_room(group, bytes, error);
    if (status != HB_OK) return status;
    weights_kernel<<<1, HB_CUDA_THREADS, 0, group->stream>>>(net, group->memory + (int64_t)lane * net.lane,
                                                             group->steps + lane, layer, group->genomes);
    status = HB_CUDA_LAUNCHED("weights");
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(w, group->genomes, bytes, cudaMemcpyDeviceToHost, group->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(group->stream)) : status;
}
