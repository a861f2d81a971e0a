// The fused step on CUDA, and reading or changing the state of a lane (ops.h, "Look", "Step", "Weights", "Put").
#include "kernels/cuda/cuda.h"
#include "kernels/update.h"

enum { AHEAD = 4 }; // rows that are loaded before the first is used

// Where a layer's rows and vectors are.
typedef struct {
    float *rows;
    int32_t row, padded, inputs;
    float scale;
    const float *pre, *x; // shared
} layer_view;

// sum_i w_ij x_i with the update of column j applied on the way; *largest becomes max(itself, bits of |w|).
// `planes` is a constant where this is inlined for the nine rules' sets.
template <bool HALF>
static __device__ __forceinline__ float column(uint32_t planes, const layer_view &view, int32_t j, float post,
                                               uint32_t *largest) {
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
                w[k] = HB_PLASTIC_UPDATE(hb_fma, w[k], view.scale, pre, post, a[k], b[k], c[k], d[k]);
                view.rows[(int64_t)(i0 + k) * view.row + j] = w[k];
                const uint32_t magnitude = hb_magnitude(w[k]);
                *largest = magnitude > *largest ? magnitude : *largest;
            }
            sum = hb_fma(w[k], view.x[i0 + k], sum);
        }
    }
    return sum;
}

template <bool HALF>
static __device__ float column_of(uint32_t planes, const layer_view &view, int32_t j, float post, uint32_t *largest) {
    switch (planes) {
    case 0x0:
        return column<HALF>(0x0, view, j, post, largest);
    case 0x1:
        return column<HALF>(0x1, view, j, post, largest);
    case 0x7:
        return column<HALF>(0x7, view, j, post, largest);
    case 0x9:
        return column<HALF>(0x9, view, j, post, largest);
    case 0xf:
        return column<HALF>(0xf, view, j, post, largest);
    default:
        return column<HALF>(planes, view, j, post, largest);
    }
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
}

// Dynamic shared memory: x and pre of the widest layer's input. Of a layer's three barriers the first separates the
// writes of x, pre and `widest` from their reads; the second the atomic maxima from the scale, and this layer's reads
// of x and pre from the next one's writes; the third the reads of `widest` from its next reset. Outputs y need none:
// thread j writes and reads them, as input j of the next layer, too; but the gates of an LSTM cell, which one thread reads
// and others wrote, stand behind the second.
template <bool HALF>
__global__ void step_kernel(hb_cuda_net net, float *memory, int32_t *steps, const int32_t *lanes,
                            const float *observation, float *action, int32_t shared_width) {
    extern __shared__ float shared[];
    __shared__ uint32_t widest;
    const int64_t row = blockIdx.x, k = lanes[row];
    float *x = shared, *pre = shared + shared_width;
    float *lane = memory + k * net.lane;
    const int32_t step = steps[k];
    float *now = lane + net.activations[step & 1];
    const float *last = lane + net.activations[~step & 1];
    const uint32_t planes = step > 0 ? net.planes : 0;
    const bool measure = net.normalise && planes;
    for (int32_t i = threadIdx.x; i < net.n_own && !net.vision.n_weights; i += HB_CUDA_THREADS)
        now[net.own + i] = observation[row * net.words + i];
    for (int32_t j = threadIdx.x; j < net.units; j += HB_CUDA_THREADS)
        now[net.own + net.n_own + j] = last[net.inputs_at[1] + j];
    if (threadIdx.x < net.own) now[threadIdx.x] = 1.0f;
    __syncthreads();
    for (int32_t l = 0; l < net.n_layers; l++) {
        for (int32_t i = threadIdx.x; i < net.inputs[l]; i += HB_CUDA_THREADS) {
            x[i] = now[net.inputs_at[l] + i];
            pre[i] = last[net.inputs_at[l] + i];
        }
        if (threadIdx.x == 0) widest = 0;
        __syncthreads();
        const layer_view view = {
            lane + net.rows[l], net.row[l], net.padded[l], net.inputs[l], lane[net.scale + l], pre, x};
        float *y = now + net.inputs_at[l + 1];
        for (int32_t j = threadIdx.x; j < net.outputs[l]; j += HB_CUDA_THREADS) {
            uint32_t largest = 0;
            y[j] = column_of<HALF>(planes, view, j, last[net.inputs_at[l + 1] + j], &largest);
            if (measure) atomicMax(&widest, largest);
        }
        __syncthreads();
        const float scale = measure ? hb_layer_scale(widest) : view.scale;
        activate(net, l, scale, last + net.inputs_at[l + 1], y);
        __syncthreads();
        if (threadIdx.x == 0) lane[net.scale + l] = scale; // all have read the old one before the barrier above
    }
    const int32_t outputs = net.outputs[net.n_layers - 1];
    for (int32_t j = threadIdx.x; j < outputs; j += HB_CUDA_THREADS)
        action[row * outputs + j] = now[net.inputs_at[net.n_layers] + j];
    if (threadIdx.x == 0) steps[k] = step + 1;
}

hb_status hb_cuda_step(hb_group *group, int32_t count, hb_error *error) {
    const hb_cuda_net &net = group->layout;
    int32_t width = 0;
    for (int32_t l = 0; l < net.n_layers; l++) width = net.inputs[l] > width ? net.inputs[l] : width;
    const size_t shared = 2 * (size_t)width * sizeof(float); // at most 32 KB
    const hb_status looked = net.vision.n_weights > 0 ? hb_cuda_look(group, count, error) : HB_OK;
    if (looked != HB_OK) return looked;
    const auto kernel = net.half ? step_kernel<true> : step_kernel<false>;
    kernel<<<(unsigned)count, HB_CUDA_THREADS, shared, group->stream>>>(net, group->memory, group->steps, group->lane,
                                                                        group->observation, group->action, width);
    return HB_CUDA_LAUNCHED("step");
}

// ---------------------------------------------------------------------------------------------------
// Weights: one block; every thread's weights after the pending update, their maximum, then the scaling

__global__ void weights_kernel(hb_cuda_net net, const float *lane, const int32_t *steps, int32_t l, float *w) {
    __shared__ uint32_t widest;
    const float *last = lane + net.activations[(*steps + 1) & 1];
    const float *pre = last + net.inputs_at[l], *post = last + net.inputs_at[l + 1];
    const int64_t size = (int64_t)net.inputs[l] * net.outputs[l];
    const bool update = net.planes && *steps > 0;
    if (threadIdx.x == 0) widest = 0;
    __syncthreads();
    for (int64_t e = threadIdx.x; e < size; e += HB_CUDA_THREADS) {
        const int32_t i = (int32_t)(e / net.outputs[l]), j = (int32_t)(e % net.outputs[l]);
        const float *row = lane + net.rows[l] + (int64_t)i * net.row[l];
        const float old = row[j];
        float plane[HB_N_PLANES] = {0.0f, 0.0f, 0.0f, 0.0f};
        int rank = 0;
        for (int p = 0; p < HB_N_PLANES; p++)
            if (net.planes >> p & 1u) plane[p] = hb_cuda_plane_value(net.half, row, net.padded[l], rank++, j);
        const float value =
            update ? HB_PLASTIC_UPDATE(hb_fma, old, lane[net.scale + l], pre[i], post[j], plane[HB_PLANE_A],
                                       plane[HB_PLANE_B], plane[HB_PLANE_C], plane[HB_PLANE_D])
                   : old;
        atomicMax(&widest, hb_magnitude(value));
        w[e] = value;
    }
    __syncthreads();
    if (!update || !net.normalise) return;
    const float scale = hb_layer_scale(widest);
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
    float *last = group->memory + (int64_t)lane * net.lane + net.activations[(steps + 1) & 1];
    status = HB_CUDA(cudaMemcpyAsync(last + net.inputs_at[net.n_layers], y,
                                     (size_t)net.outputs[net.n_layers - 1] * sizeof *y, cudaMemcpyHostToDevice,
                                     group->stream));
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
