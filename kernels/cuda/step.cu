// Lanes on CUDA: expansion from the genome and the fused step. Equations and orders of summation: ops.h.
#include "kernels/cuda/cuda.h"

#include <cstring>

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
    n.half = net->half_planes;
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
        // A sector of 32 bytes is 8 floats or 16 halves.
        n.padded[l] = (int32_t)up_to(layer->outputs, net->half_planes ? 16 : 8);
        const int32_t planes = n.padded[l] * __builtin_popcount(net->planes);
        n.row[l] = n.padded[l] + (net->half_planes ? planes / 2 : planes);
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
    n.look = n.scale + 8;
    n.pooled = n.look + up_to(net->vision.n_weights, 8);
    const hb_convolution &first = net->vision.layer[0];
    n.lane = n.pooled + up_to((int64_t)first.maps * first.rows * first.columns, 8);
    n.vision = net->vision;
    n.words = (int64_t)hb_net_observation_words(net);
    n.units = hb_net_lstm(net);
    n.own = hb_net_first_input(net);
    n.n_own = hb_net_inputs(net);
    return n;
}

// ---------------------------------------------------------------------------------------------------
// Expand

// A chunk of lives goes through four kernels, each with a slice of the grid per life: the numbers of theta or of the
// genome, the genome where rules are shared, planes and weights, sums of squares. Their genomes lie `stride` floats
// apart, theta in the second half of a stride.

typedef struct {
    const hb_lane *life; // (count)
    const int32_t *lane; // (count)
    float *genomes;
    int64_t stride, theta;
    uint32_t blocks; // per life
} chunk_view;

__global__ void numbers_kernel(chunk_view chunk, int64_t genome_size) {
    const int64_t k = blockIdx.x / chunk.blocks;
    const hb_genome genome = chunk.life[k].genome;
    float *h = chunk.genomes + k * chunk.stride;
    const size_t counter = (size_t)(blockIdx.x % chunk.blocks) * THREADS + threadIdx.x;
    if (genome.sharing.rule && !genome.sharing.noise_per_synapse)
        hb_cuda_numbers(genome, h + chunk.theta, counter, (size_t)genome.sharing.n_numbers);
    else
        hb_cuda_numbers(genome, h, counter, (size_t)genome_size);
}

__global__ void spread_kernel(chunk_view chunk, int64_t genome_size) {
    const int64_t k = blockIdx.x / chunk.blocks;
    const hb_sharing sharing = chunk.life[k].genome.sharing;
    float *h = chunk.genomes + k * chunk.stride;
    const int64_t d = (int64_t)(blockIdx.x % chunk.blocks) * THREADS + threadIdx.x;
    if (d < genome_size && sharing.rule && !sharing.noise_per_synapse)
        h[d] = hb_sharing_value(sharing, h + chunk.theta, d);
}

// The 64 stripes of the sum of squares of h[0..n): thread r sums the elements d with d % 64 = r, ascending.
__global__ void squares_kernel(chunk_view chunk, int64_t n, float *stripe) {
    const float *h = chunk.genomes + blockIdx.x * chunk.stride;
    float sum = 0.0f;
    for (int64_t d = threadIdx.x; d < n; d += STRIPES) sum = hb_fma(h[d], h[d], sum);
    stripe[blockIdx.x * STRIPES + threadIdx.x] = sum;
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

// The place of number j of a row's plane of that rank, among floats or among halves.
static __device__ __forceinline__ int64_t plane_at(int32_t padded, int rank, int32_t j) {
    return (int64_t)padded * rank + j;
}

static __device__ __forceinline__ float plane_value(bool half, const float *row, int32_t padded, int rank,
                                                    int32_t j) {
    const float *planes = row + padded;
    const int64_t at = plane_at(padded, rank, j);
    return half ? hb_half_value(((const uint16_t *)planes)[at]) : planes[at];
}

static __device__ void plane_store(bool half, float *row, int32_t padded, int rank, int32_t j, float value) {
    float *planes = row + padded;
    const int64_t at = plane_at(padded, rank, j);
    if (half)
        ((uint16_t *)planes)[at] = hb_half_bits(value);
    else
        planes[at] = value;
}

// A thread per element of the lane's rows, padding included: w, its planes, and once per layer the scale.
// Threads beyond the rows clear the activations.
__global__ void expand_kernel(hb_cuda_net net, chunk_view chunk, float *memory, int32_t *steps) {
    const int64_t k = blockIdx.x / chunk.blocks;
    const int64_t t = (int64_t)(blockIdx.x % chunk.blocks) * THREADS + threadIdx.x;
    const float *h = chunk.genomes + k * chunk.stride;
    float *lane = memory + chunk.lane[k] * net.lane;
    if (t == 0) steps[chunk.lane[k]] = 0;
    int64_t first = 0; // elements of the layers before
    for (int32_t l = 0; l < net.n_layers; l++) {
        const int64_t size = (int64_t)net.inputs[l] * net.padded[l];
        if (t >= first && t < first + size) {
            const int32_t i = (int32_t)((t - first) / net.padded[l]), j = (int32_t)((t - first) % net.padded[l]);
            const bool real = j < net.outputs[l];
            float *row = lane + net.rows[l] + (int64_t)i * net.row[l];
            float plane[HB_N_PLANES] = {0.0f, 0.0f, 0.0f, 0.0f};
            if (net.plastic && real) {
                const int64_t synapse = (int64_t)i * net.outputs[l] + j;
                const hb_rule rule = {
                    .a = net.a, .b = net.b, .c = net.c, .d_in = net.d_in, .d_out = net.d_out, .eta = net.eta};
                hb_rule_fold(&rule, h + net.genome_offset[l] + synapse * net.n_coefficients, plane);
            }
            row[j] = real ? initial_weight(net, l, i, j, chunk.life[k].weights, h) : 0.0f;
            int rank = 0;
            for (int p = 0; p < HB_N_PLANES; p++)
                if (net.planes >> p & 1u) plane_store(net.half, row, net.padded[l], rank++, j, plane[p]);
        }
        first += size;
    }
    if (t >= first && t - first < net.look - net.activations[0]) {
        const int64_t at = net.activations[0] + t - first;
        lane[at] = at >= net.scale ? 1.0f : 0.0f;
    }
}

static uint32_t blocks_of(int64_t threads) {
    return (uint32_t)((threads + THREADS - 1) / THREADS);
}

static hb_status expand_chunk(hb_group *group, chunk_view chunk, int32_t count, int64_t numbers, float *stripes,
                              hb_error *error) {
    const hb_cuda_net &net = group->layout;
    cudaStream_t stream = group->stream;
    const unsigned n = (unsigned)count;
    chunk.blocks = blocks_of(up_to(chunk.theta > 0 && numbers > net.genome_size ? numbers : net.genome_size, 64) / 4);
    numbers_kernel<<<n * chunk.blocks, THREADS, 0, stream>>>(chunk, net.genome_size);
    hb_status status = HB_CUDA_LAUNCHED("numbers");
    if (status == HB_OK && chunk.theta > 0) {
        chunk.blocks = blocks_of(net.genome_size);
        spread_kernel<<<n * chunk.blocks, THREADS, 0, stream>>>(chunk, net.genome_size);
        status = HB_CUDA_LAUNCHED("spread");
    }
    int64_t threads = net.look - net.activations[0];
    for (int32_t l = 0; l < net.n_layers; l++) threads += (int64_t)net.inputs[l] * net.padded[l];
    if (status == HB_OK) {
        chunk.blocks = blocks_of(threads);
        expand_kernel<<<n * chunk.blocks, THREADS, 0, stream>>>(net, chunk, group->memory, group->steps);
        status = HB_CUDA_LAUNCHED("expand");
    }
    if (status == HB_OK && net.vision.n_weights > 0)
        status = hb_cuda_vision_weights(group, chunk.life, chunk.lane, count, chunk.stride, error);
    if (status == HB_OK && group->sum_of_squares) {
        squares_kernel<<<n, STRIPES, 0, stream>>>(chunk, net.n_penalised, stripes);
        status = HB_CUDA_LAUNCHED("squares");
    }
    return status;
}

// The genomes of as many lives as 16 MB hold, which a card's second-level cache keeps: at least 1, at most 64.
static int32_t chunk_lives(size_t bytes_each) {
    const size_t lives = ((size_t)16 << 20) / bytes_each;
    return lives > 64 ? 64 : lives < 1 ? 1 : (int32_t)lives;
}

static hb_status genomes_room(hb_group *group, size_t bytes, hb_error *error) {
    if (bytes <= group->genomes_bytes) return HB_OK;
    hb_status status = HB_CUDA(cudaStreamSynchronize(group->stream));
    if (status == HB_OK) status = HB_CUDA(cudaFree(group->genomes));
    group->genomes = NULL;
    group->genomes_bytes = 0;
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&group->genomes, bytes));
    if (status == HB_OK) group->genomes_bytes = bytes;
    return status;
}

// Lives and lanes go over; the search's numbers must be there before the first kernel reads them.
static hb_status send_lives(hb_group *group, int32_t count, const int32_t *lane, const hb_lane *life,
                            hb_error *error) {
    const size_t n = (size_t)count;
    memcpy(group->host_life, life, n * sizeof *life);
    memcpy(group->host_fresh, lane, n * sizeof *lane);
    cudaStream_t stream = group->stream;
    hb_status status = HB_CUDA(cudaEventRecord(group->device->searched, group->device->stream));
    if (status == HB_OK) status = HB_CUDA(cudaStreamWaitEvent(stream, group->device->searched, 0));
    if (status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(group->life, group->host_life, n * sizeof *life, cudaMemcpyHostToDevice, stream));
    if (status == HB_OK)
        status = HB_CUDA(
            cudaMemcpyAsync(group->fresh, group->host_fresh, n * sizeof *lane, cudaMemcpyHostToDevice, stream));
    return status;
}

hb_status hb_cuda_expand(hb_group *group, int32_t count, const int32_t *lane, const hb_lane *life,
                         double *sum_of_squares, hb_error *error) {
    int64_t numbers = 0; // the most that theta has
    for (int32_t k = 0; k < count; k++) {
        const hb_sharing &sharing = life[k].genome.sharing;
        const bool theta = sharing.rule && !sharing.noise_per_synapse;
        if (theta && sharing.n_numbers > numbers) numbers = sharing.n_numbers;
    }
    const int64_t genome = up_to(group->layout.genome_size, STRIPES);
    const int64_t stride = genome + up_to(numbers, STRIPES);
    const int32_t most = chunk_lives((size_t)stride * sizeof(float));
    hb_status status =
        genomes_room(group, (size_t)(most < count ? most : count) * (size_t)stride * sizeof(float), error);
    if (status == HB_OK) status = send_lives(group, count, lane, life, error);
    group->sum_of_squares = sum_of_squares;
    for (int32_t k = 0; k < count && status == HB_OK; k += most) {
        const chunk_view chunk = {group->life + k, group->fresh + k,         group->genomes,
                                  stride,          numbers > 0 ? genome : 0, 1};
        status = expand_chunk(group, chunk, count - k < most ? count - k : most, numbers,
                              group->stripes + (size_t)k * STRIPES, error);
    }
    if (status != HB_OK) return status;
    group->n_expanding = count;
    if (!sum_of_squares) return HB_OK;
    return HB_CUDA(cudaMemcpyAsync(group->host_stripes, group->stripes, (size_t)count * STRIPES * sizeof(float),
                                   cudaMemcpyDeviceToHost, group->stream));
}

void hb_cuda_expanded(hb_group *group) {
    for (int32_t k = 0; group->sum_of_squares && k < group->n_expanding; k++) {
        double sum = 0.0;
        for (int r = 0; r < STRIPES; r++) sum += (double)group->host_stripes[(size_t)k * STRIPES + (size_t)r];
        group->sum_of_squares[k] = sum;
    }
    group->n_expanding = 0;
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
            a[k] = planes & 1u ? plane_value(HALF, row, view.padded, 0, j) : 0.0f;
            b[k] = planes & 2u ? plane_value(HALF, row, view.padded, rank_b, j) : 0.0f;
            c[k] = planes & 4u ? plane_value(HALF, row, view.padded, rank_c, j) : 0.0f;
            d[k] = planes & 8u ? plane_value(HALF, row, view.padded, rank_d, j) : 0.0f;
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

// s = 1 / max|w|, or 1 where the largest is 0 or subnormal.
static __device__ float scale_of(uint32_t largest) {
    return largest < 0x00800000u ? 1.0f : 1.0f / hb_from_bits(largest);
}

// Asks for n floats, a line of 128 bytes a thread: they come to the second-level cache while this layer is summed.
static __device__ void prefetch(const float *from, int64_t n) {
    for (int64_t at = (int64_t)threadIdx.x * 32; at < n; at += THREADS * 32)
        asm volatile("prefetch.global.L2 [%0];" ::"l"(from + at));
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
    for (int32_t i = threadIdx.x; i < net.n_own && !net.vision.n_weights; i += THREADS)
        now[net.own + i] = observation[row * net.words + i];
    for (int32_t j = threadIdx.x; j < net.units; j += THREADS)
        now[net.own + net.n_own + j] = last[net.inputs_at[1] + j];
    if (threadIdx.x < net.own) now[threadIdx.x] = 1.0f;
    __syncthreads();
    for (int32_t l = 0; l < net.n_layers; l++) {
        for (int32_t i = threadIdx.x; i < net.inputs[l]; i += THREADS) {
            x[i] = now[net.inputs_at[l] + i];
            pre[i] = last[net.inputs_at[l] + i];
        }
        if (threadIdx.x == 0) widest = 0;
        if (l + 1 < net.n_layers) prefetch(lane + net.rows[l + 1], (int64_t)net.row[l + 1] * net.inputs[l + 1]);
        __syncthreads();
        const layer_view view = {
            lane + net.rows[l], net.row[l], net.padded[l], net.inputs[l], lane[net.scale + l], pre, x};
        float *y = now + net.inputs_at[l + 1];
        for (int32_t j = threadIdx.x; j < net.outputs[l]; j += THREADS) {
            uint32_t largest = 0;
            y[j] = column_of<HALF>(planes, view, j, last[net.inputs_at[l + 1] + j], &largest);
            if (measure) atomicMax(&widest, largest);
        }
        __syncthreads();
        const float scale = measure ? scale_of(widest) : view.scale;
        // A unit's thread reads and writes that unit's numbers alone: its gates, then h and c in place of two of them.
        for (int32_t j = threadIdx.x; j < net.units && l == 0; j += THREADS) {
            float c = last[net.inputs_at[1] + net.units + j];
            const float h = hb_lstm_unit(y, net.units, j, &c);
            y[j] = h;
            y[net.units + j] = c;
        }
        for (int32_t j = threadIdx.x; j < net.outputs[l] && net.activation[l] != HB_LSTM; j += THREADS) {
            const float z = scale * y[j];
            y[j] = net.activation[l] == HB_TANH ? hb_tanh(z) : z;
        }
        __syncthreads();
        if (threadIdx.x == 0) lane[net.scale + l] = scale; // all have read the old one before the barrier above
    }
    const int32_t outputs = net.outputs[net.n_layers - 1];
    for (int32_t j = threadIdx.x; j < outputs; j += THREADS)
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
    kernel<<<(unsigned)count, THREADS, shared, group->stream>>>(net, group->memory, group->steps, group->lane,
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
    for (int64_t e = threadIdx.x; e < size; e += THREADS) {
        const int32_t i = (int32_t)(e / net.outputs[l]), j = (int32_t)(e % net.outputs[l]);
        const float *row = lane + net.rows[l] + (int64_t)i * net.row[l];
        const float old = row[j];
        float plane[HB_N_PLANES] = {0.0f, 0.0f, 0.0f, 0.0f};
        int rank = 0;
        for (int p = 0; p < HB_N_PLANES; p++)
            if (net.planes >> p & 1u) plane[p] = plane_value(net.half, row, net.padded[l], rank++, j);
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
    if (status == HB_OK && net.planes) // nothing to make up for
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
    hb_status status = genomes_room(group, bytes, error);
    if (status != HB_OK) return status;
    weights_kernel<<<1, THREADS, 0, group->stream>>>(net, group->memory + (int64_t)lane * net.lane,
                                                     group->steps + lane, layer, group->genomes);
    status = HB_CUDA_LAUNCHED("weights");
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(w, group->genomes, bytes, cudaMemcpyDeviceToHost, group->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(group->stream)) : status;
}
