// Lanes on CUDA: expansion from the genome and the fused step. Equations and orders of summation: ops.h.
#include "kernels/cuda.h"

enum { THREADS = 128, STRIPES = HB_NOISE_BLOCK };

// ---------------------------------------------------------------------------------------------------
// Layout

static int64_t up_to(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

hb_cuda_net hb_cuda_layout(const hb_net *net) {
    hb_cuda_net n = {};
    n.n_layers = net->n_layers;
    n.planes = net->planes;
    n.plastic = net->rule != NULL;
    n.normalise = net->normalise;
    n.n_coefficients = net->rule ? net->rule->n_coefficients : 1;
    n.draw = net->init ? net->init->draw : HB_DRAW_GENOME;
    n.n_weights = net->n_weights;
    n.n_penalised = net->n_penalised;
    n.genome_size = net->genome_size;
    if (net->rule) {
        n.a = net->rule->a, n.b = net->rule->b, n.c = net->rule->c;
        n.d_in = net->rule->d_in, n.d_out = net->rule->d_out, n.eta = net->rule->eta;
    }
    int64_t at = 0, activations = up_to(net->layer[0].inputs, 8);
    for (int32_t l = 0; l < net->n_layers; l++) {
        const hb_layer *layer = &net->layer[l];
        n.inputs[l] = layer->inputs;
        n.outputs[l] = layer->outputs;
        n.activation[l] = layer->activation;
        n.padded[l] = (int32_t)up_to(layer->outputs, 8);
        n.row[l] = n.padded[l] * (1 + __builtin_popcount(net->planes));
        n.rows[l] = at;
        at += (int64_t)n.row[l] * layer->inputs;
        n.inputs_at[l + 1] = activations;
        activations += n.padded[l];
        n.weight_offset[l] = layer->weight_offset;
        n.genome_offset[l] = layer->genome_offset;
        n.init_scale[l] = net->init ? hb_initialiser_scale(net->init, layer->inputs, layer->outputs) : 1.0f;
    }
    n.activations[0] = at;
    n.activations[1] = at + activations;
    n.scale = at + 2 * activations;
    n.lane = n.scale + 8;
    return n;
}

// ---------------------------------------------------------------------------------------------------
// Expand

// The 64 stripes of the sum of squares of h[0..n): thread r sums the elements d with d % 64 = r, ascending.
__global__ void squares_kernel(const float *h, int64_t n, float *stripe) {
    float sum = 0.0f;
    for (int64_t d = threadIdx.x; d < n; d += STRIPES) sum = hb_fma(h[d], h[d], sum);
    stripe[threadIdx.x] = sum;
}

// Is weight j of the row that starts at `first` among the ceil(0.8 O) that "sparse" sets to 0?
HB_HD bool sparse_zero(hb_noise id, uint64_t first, int32_t outputs, int32_t j) {
    id.stream = HB_STREAM_WEIGHTS_MASK;
    const uint32_t key = hb_noise_word(id, first + (uint64_t)j);
    int32_t smaller = 0;
    for (int32_t k = 0; k < outputs; k++) {
        const uint32_t other = hb_noise_word(id, first + (uint64_t)k);
        smaller += other < key || (k < j && other == key);
    }
    return smaller < (4 * outputs + 4) / 5;
}

HB_HD float initial_weight(const hb_cuda_net &net, int32_t l, int32_t i, int32_t j, hb_noise id, const float *h) {
    const uint64_t first = (uint64_t)net.weight_offset[l] + (uint64_t)i * (uint64_t)net.outputs[l];
    const uint64_t e = first + (uint64_t)j;
    const float s = net.init_scale[l];
    switch (net.draw) {
    case HB_DRAW_UNIFORM:
        return hb_fma(hb_uniform(hb_noise_word(id, e)), 2.0f * s, -s);
    case HB_DRAW_NORMAL:
        return s * hb_noise_normal(id, e);
    case HB_DRAW_SPARSE:
        return sparse_zero(id, first, net.outputs[l], j) ? 0.0f : s * hb_noise_normal(id, e);
    case HB_DRAW_CONSTANT:
        return s;
    case HB_DRAW_GENOME:
        break;
    }
    return net.plastic ? h[net.n_penalised + (int64_t)e]
                       : h[net.genome_offset[l] + (int64_t)(e - net.weight_offset[l])];
}

// A thread per element of the lane's rows, padding included: w, its planes, and once per layer the scale.
// Threads beyond the rows clear the activations.
__global__ void expand_kernel(hb_cuda_net net, const float *h, hb_noise id, float *lane, int32_t *steps) {
    const int64_t t = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (t == 0) *steps = 0;
    int64_t first = 0; // elements of the layers before
    for (int32_t l = 0; l < net.n_layers; l++) {
        const int64_t size = (int64_t)net.inputs[l] * net.padded[l];
        if (t >= first && t < first + size) {
            const int32_t i = (int32_t)((t - first) / net.padded[l]), j = (int32_t)((t - first) % net.padded[l]);
            const bool real = j < net.outputs[l];
            float *at = lane + net.rows[l] + (int64_t)i * net.row[l] + j;
            float plane[HB_N_PLANES] = {0.0f, 0.0f, 0.0f, 0.0f};
            if (net.plastic && real) {
                const int64_t synapse = (int64_t)i * net.outputs[l] + j;
                const hb_rule rule = {
                    .a = net.a, .b = net.b, .c = net.c, .d_in = net.d_in, .d_out = net.d_out, .eta = net.eta};
                hb_rule_fold(&rule, h + net.genome_offset[l] + synapse * net.n_coefficients, plane);
            }
            *at = real ? initial_weight(net, l, i, j, id, h) : 0.0f;
            for (int p = 0; p < HB_N_PLANES; p++)
                if (net.planes >> p & 1u) *(at += net.padded[l]) = plane[p];
        }
        first += size;
    }
    if (t >= first && t - first < net.lane - net.activations[0]) {
        const int64_t at = net.activations[0] + t - first;
        lane[at] = at >= net.scale ? 1.0f : 0.0f;
    }
}

hb_status hb_cuda_expand(hb_group *group, int32_t lane, const hb_lane *life, double *sum_of_squares,
                         hb_error *error) {
    const hb_cuda_net &net = group->layout;
    hb_device *device = group->device;
    float *scratch;
    const size_t genome = (size_t)up_to(net.genome_size, STRIPES);
    hb_status status = hb_cuda_scratch(device, (genome + STRIPES) * sizeof *scratch, &scratch, error);
    if (status == HB_OK) status = hb_cuda_sample(device, &life->genome, scratch, 0, (size_t)net.genome_size, error);
    if (status != HB_OK) return status;
    int64_t threads = net.lane - net.activations[0];
    for (int32_t l = 0; l < net.n_layers; l++) threads += (int64_t)net.inputs[l] * net.padded[l];
    expand_kernel<<<(unsigned)((threads + THREADS - 1) / THREADS), THREADS, 0, device->stream>>>(
        net, scratch, life->weights, group->memory + (int64_t)lane * net.lane, group->steps + lane);
    status = HB_CUDA_LAUNCHED("expand");
    if (status != HB_OK || !sum_of_squares) return status;
    squares_kernel<<<1, STRIPES, 0, device->stream>>>(scratch, net.n_penalised, scratch + genome);
    status = HB_CUDA_LAUNCHED("squares");
    float stripe[STRIPES];
    if (status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(stripe, scratch + genome, sizeof stripe, cudaMemcpyDeviceToHost, device->stream));
    if (status == HB_OK) status = HB_CUDA(cudaStreamSynchronize(device->stream));
    *sum_of_squares = 0.0;
    for (int r = 0; r < STRIPES && status == HB_OK; r++) *sum_of_squares += (double)stripe[r];
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Step: a block per lane. Thread j keeps output j's sum and walks down the rows, neighbours reading
// neighbouring floats; four rows are loaded before the first is used. Inputs lie in shared memory: x of this
// step, pre of the last.

enum { AHEAD = 4 };

// Where a layer's rows and vectors are.
typedef struct {
    float *rows;
    int32_t row, padded, inputs;
    float scale;
    const float *pre, *x; // shared
} layer_view;

// sum_i w_ij x_i with the update of column j applied on the way; *largest becomes max(itself, bits of |w|).
// `planes` is a constant where this is inlined for the nine rules' sets.
static __device__ __forceinline__ float column(uint32_t planes, const layer_view &view, int32_t j, float post,
                                               uint32_t *largest) {
    const int64_t at_b = (int64_t)view.padded * (1 + (planes & 1u));
    const int64_t at_c = at_b + (int64_t)view.padded * (planes >> 1 & 1u);
    const int64_t at_d = at_c + (int64_t)view.padded * (planes >> 2 & 1u);
    float sum = 0.0f;
    for (int32_t i0 = 0; i0 < view.inputs; i0 += AHEAD) {
        float w[AHEAD], a[AHEAD], b[AHEAD], c[AHEAD], d[AHEAD];
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            if (i0 + k >= view.inputs) break;
            const float *at = view.rows + (int64_t)(i0 + k) * view.row + j;
            w[k] = at[0];
            a[k] = planes & 1u ? at[view.padded] : 0.0f;
            b[k] = planes & 2u ? at[at_b] : 0.0f;
            c[k] = planes & 4u ? at[at_c] : 0.0f;
            d[k] = planes & 8u ? at[at_d] : 0.0f;
        }
#pragma unroll
        for (int k = 0; k < AHEAD; k++) {
            if (i0 + k >= view.inputs) break;
            if (planes) {
                const float pre = view.pre[i0 + k];
                w[k] = hb_fma(view.scale, w[k], hb_fma(b[k], pre, d[k]));
                w[k] = hb_fma(hb_fma(a[k], pre, c[k]), post, w[k]);
                view.rows[(int64_t)(i0 + k) * view.row + j] = w[k];
                const uint32_t magnitude = hb_bits(w[k]) & 0x7fffffffu;
                *largest = magnitude > *largest ? magnitude : *largest;
            }
            sum = hb_fma(w[k], view.x[i0 + k], sum);
        }
    }
    return sum;
}

static __device__ float column_of(uint32_t planes, const layer_view &view, int32_t j, float post, uint32_t *largest) {
    switch (planes) {
    case 0x0:
        return column(0x0, view, j, post, largest);
    case 0x1:
        return column(0x1, view, j, post, largest);
    case 0x7:
        return column(0x7, view, j, post, largest);
    case 0x9:
        return column(0x9, view, j, post, largest);
    case 0xf:
        return column(0xf, view, j, post, largest);
    default:
        return column(planes, view, j, post, largest);
    }
}

// s = 1 / max|w|, or 1 where the largest is 0 or subnormal.
static __device__ float scale_of(uint32_t largest) {
    return largest < 0x00800000u ? 1.0f : 1.0f / hb_from_bits(largest);
}

// Dynamic shared memory: x and pre of the widest layer's input. Of a layer's three barriers the first separates the
// writes of x, pre and `widest` from their reads; the second the atomic maxima from the scale, and this layer's reads
// of x and pre from the next one's writes; the third the reads of `widest` from its next reset. Outputs y need none:
// thread j writes and reads them, as input j of the next layer, too.
__global__ void step_kernel(hb_cuda_net net, float *memory, int32_t *steps, const uint8_t *active,
                            const float *observation, float *action, int32_t shared_width) {
    extern __shared__ float shared[];
    __shared__ uint32_t widest;
    const int64_t k = blockIdx.x;
    if (active && !active[k]) return; // the whole block
    float *x = shared, *pre = shared + shared_width;
    float *lane = memory + k * net.lane;
    const int32_t step = steps[k];
    float *now = lane + net.activations[step & 1];
    const float *last = lane + net.activations[~step & 1];
    const uint32_t planes = step > 0 ? net.planes : 0;
    const bool measure = net.normalise && planes;
    for (int32_t i = threadIdx.x; i < net.inputs[0]; i += THREADS) now[i] = observation[k * net.inputs[0] + i];
    for (int32_t l = 0; l < net.n_layers; l++) {
        for (int32_t i = threadIdx.x; i < net.inputs[l]; i += THREADS) {
            x[i] = now[net.inputs_at[l] + i];
            pre[i] = last[net.inputs_at[l] + i];
        }
        if (threadIdx.x == 0) widest = 0;
        __syncthreads();
        const layer_view view = {
            lane + net.rows[l], net.row[l], net.padded[l], net.inputs[l], lane[net.scale + l], pre, x};
        float *y = now + net.inputs_at[l + 1];
        for (int32_t j = threadIdx.x; j < net.outputs[l]; j += THREADS) {
            uint32_t largest = 0;
            y[j] = column_of(planes, view, j, last[net.inputs_at[l + 1] + j], &largest);
            if (measure) atomicMax(&widest, largest);
        }
        __syncthreads();
        const float scale = measure ? scale_of(widest) : view.scale;
        for (int32_t j = threadIdx.x; j < net.outputs[l]; j += THREADS) {
            const float z = scale * y[j];
            y[j] = net.activation[l] == HB_TANH ? hb_tanh(z) : z;
        }
        __syncthreads();
        if (threadIdx.x == 0) lane[net.scale + l] = scale; // all have read the old one before the barrier above
    }
    const int32_t outputs = net.outputs[net.n_layers - 1];
    for (int32_t j = threadIdx.x; j < outputs; j += THREADS)
        action[k * outputs + j] = now[net.inputs_at[net.n_layers] + j];
    if (threadIdx.x == 0) steps[k] = step + 1;
}

hb_status hb_cuda_step(hb_group *group, int32_t first, int32_t count, bool some_rest, hb_error *error) {
    const hb_cuda_net &net = group->layout;
    int32_t width = 0;
    for (int32_t l = 0; l < net.n_layers; l++) width = net.inputs[l] > width ? net.inputs[l] : width;
    const size_t shared = 2 * (size_t)width * sizeof(float); // at most 32 KB
    step_kernel<<<(unsigned)count, THREADS, shared, group->device->stream>>>(
        net, group->memory + (int64_t)first * net.lane, group->steps + first,
        some_rest ? group->active + first : NULL, group->observation + (int64_t)first * net.inputs[0],
        group->action + (int64_t)first * net.outputs[net.n_layers - 1], width);
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
    for (int64_t e = threadIdx.x; e < size; e += THREADS) {
        const int32_t i = (int32_t)(e / net.outputs[l]), j = (int32_t)(e % net.outputs[l]);
        const float *at = lane + net.rows[l] + (int64_t)i * net.row[l] + j;
        const float old = *at;
        float plane[HB_N_PLANES] = {0.0f, 0.0f, 0.0f, 0.0f};
        for (int p = 0; p < HB_N_PLANES; p++)
            if (net.planes >> p & 1u) plane[p] = *(at += net.padded[l]);
        const float kept = hb_fma(lane[net.scale + l], old, hb_fma(plane[HB_PLANE_B], pre[i], plane[HB_PLANE_D]));
        const float value =
            update ? hb_fma(hb_fma(plane[HB_PLANE_A], pre[i], plane[HB_PLANE_C]), post[j], kept) : old;
        atomicMax(&widest, hb_bits(value) & 0x7fffffffu);
        w[e] = value;
    }
    __syncthreads();
    if (!update || !net.normalise) return;
    const float scale = scale_of(widest);
    for (int64_t e = threadIdx.x; e < size; e += THREADS) w[e] = scale * w[e];
}

hb_status hb_cuda_weights(hb_group *group, int32_t lane, int32_t layer, float *w, hb_error *error) {
    const hb_cuda_net &net = group->layout;
    hb_device *device = group->device;
    const size_t bytes = (size_t)net.inputs[layer] * (size_t)net.outputs[layer] * sizeof *w;
    float *on_device;
    hb_status status = hb_cuda_scratch(device, bytes, &on_device, error);
    if (status != HB_OK) return status;
    weights_kernel<<<1, THREADS, 0, device->stream>>>(net, group->memory + (int64_t)lane * net.lane,
                                                      group->steps + lane, layer, on_device);
    status = HB_CUDA_LAUNCHED("weights");
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(w, on_device, bytes, cudaMemcpyDeviceToHost, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}
