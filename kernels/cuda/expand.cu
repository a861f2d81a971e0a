// Expansion on CUDA: genomes, planes and initial weights of new lives (ops.h, "Expand").
#include "kernels/cuda/cuda.h"
#include "kernels/update.h"

#include <cstring>

enum { STRIPES = HB_NOISE_BLOCK };

// A chunk of lives goes through four kernels, each with a slice of the grid per life: the numbers of theta or of the
// genome, the genome where rules are shared, planes and weights, sums of squares. Their genomes lie `stride` floats
// apart, theta in the second half of a stride.

typedef struct {
    const hb_birth *birth; // (count)
    const int32_t *lane;   // (count)
    float *genomes;
    int64_t stride, theta;
    uint32_t blocks; // per life
} chunk_view;

__global__ void numbers_kernel(chunk_view chunk, int64_t genome_size) {
    const int64_t k = blockIdx.x / chunk.blocks;
    const hb_genome genome = chunk.birth[k].genome;
    float *h = chunk.genomes + k * chunk.stride;
    const size_t counter = (size_t)(blockIdx.x % chunk.blocks) * HB_CUDA_THREADS + threadIdx.x;
    if (hb_has_theta(&genome.sharing))
        hb_cuda_numbers(genome, h + chunk.theta, counter, (size_t)genome.sharing.n_numbers);
    else
        hb_cuda_numbers(genome, h, counter, (size_t)genome_size);
}

__global__ void spread_kernel(chunk_view chunk, int64_t genome_size) {
    const int64_t k = blockIdx.x / chunk.blocks;
    const hb_sharing sharing = chunk.birth[k].genome.sharing;
    float *h = chunk.genomes + k * chunk.stride;
    const int64_t d = (int64_t)(blockIdx.x % chunk.blocks) * HB_CUDA_THREADS + threadIdx.x;
    if (d < genome_size && hb_has_theta(&sharing)) h[d] = hb_sharing_value(sharing, h + chunk.theta, d);
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
    for (int32_t k = 0; k < outputs; k++)
        smaller += hb_sparse_before(hb_noise_word(id, first + (uint64_t)k), k, key, j);
    return smaller < hb_sparse_zeros(outputs);
}

HB_HD float initial_weight(const hb_cuda_net &net, int32_t l, int32_t i, int32_t j, hb_noise id, const float *h) {
    const uint64_t first = (uint64_t)net.weight_offset[l] + (uint64_t)i * (uint64_t)net.outputs[l];
    const uint64_t e = first + (uint64_t)j;
    const float s = net.init_scale[l];
    switch (net.draw) {
    case HB_DRAW_UNIFORM:
        return hb_uniform_within(hb_uniform(hb_noise_word(id, e)), s);
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
__global__ void expand_kernel(hb_cuda_net net, chunk_view chunk, float *memory, int32_t *steps) {
    const int64_t k = blockIdx.x / chunk.blocks;
    const int64_t t = (int64_t)(blockIdx.x % chunk.blocks) * HB_CUDA_THREADS + threadIdx.x;
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
            float plane[HB_MAX_PLANES] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
            row[j] = real ? initial_weight(net, l, i, j, chunk.birth[k].weights, h) : 0.0f;
            if (net.plastic && real) {
                const int64_t synapse = (int64_t)i * net.outputs[l] + j;
                const hb_rule rule = {
                    .a = net.a, .b = net.b, .c = net.c, .d_in = net.d_in, .d_out = net.d_out, .eta = net.eta};
                hb_fold(&rule, &net.plasticity, net.planes, h + net.genome_offset[l] + synapse * net.n_coefficients,
                        row[j], plane);
            }
            float *behind = row;
            if (net.plasticity.trace > 0.0f) {
                behind += net.padded[l];
                behind[j] = 0.0f;
            }
            int rank = 0;
            for (int p = 0; p < HB_MAX_PLANES; p++)
                if (net.planes >> p & 1u) hb_cuda_plane_store(net.half, behind, net.padded[l], rank++, j, plane[p]);
        }
        first += size;
    }
    if (t >= first && t - first < net.look - net.activations) {
        const int64_t at = net.activations + t - first;
        lane[at] = at >= net.scale ? 1.0f : 0.0f;
    }
}

static hb_status expand_chunk(hb_group *group, chunk_view chunk, int32_t count, int64_t numbers, float *stripes,
                              hb_error *error) {
    const hb_cuda_net &net = group->layout;
    cudaStream_t stream = group->stream;
    const unsigned n = (unsigned)count;
    chunk.blocks = hb_cuda_blocks(
        hb_cuda_up_to(chunk.theta > 0 && numbers > net.genome_size ? numbers : net.genome_size, 64) / 4);
    numbers_kernel<<<n * chunk.blocks, HB_CUDA_THREADS, 0, stream>>>(chunk, net.genome_size);
    hb_status status = HB_CUDA_LAUNCHED("numbers");
    if (status == HB_OK && chunk.theta > 0) {
        chunk.blocks = hb_cuda_blocks(net.genome_size);
        spread_kernel<<<n * chunk.blocks, HB_CUDA_THREADS, 0, stream>>>(chunk, net.genome_size);
        status = HB_CUDA_LAUNCHED("spread");
    }
    int64_t threads = net.look - net.activations;
    for (int32_t l = 0; l < net.n_layers; l++) threads += (int64_t)net.inputs[l] * net.padded[l];
    if (status == HB_OK) {
        chunk.blocks = hb_cuda_blocks(threads);
        expand_kernel<<<n * chunk.blocks, HB_CUDA_THREADS, 0, stream>>>(net, chunk, group->memory, group->steps);
        status = HB_CUDA_LAUNCHED("expand");
    }
    if (status == HB_OK && net.vision.n_weights > 0)
        status = hb_cuda_vision_weights(group, chunk.birth, chunk.lane, count, chunk.stride, error);
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

// Lives and lanes go over; the search's numbers must be there before the first kernel reads them.
static hb_status send_lives(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                            hb_error *error) {
    const size_t n = (size_t)count;
    memcpy(group->host_birth, birth, n * sizeof *birth);
    memcpy(group->host_fresh, lane, n * sizeof *lane);
    cudaStream_t stream = group->stream;
    hb_status status = HB_CUDA(cudaEventRecord(group->device->searched, group->device->stream));
    if (status == HB_OK) status = HB_CUDA(cudaStreamWaitEvent(stream, group->device->searched, 0));
    if (status == HB_OK)
        status = HB_CUDA(
            cudaMemcpyAsync(group->birth, group->host_birth, n * sizeof *birth, cudaMemcpyHostToDevice, stream));
    if (status == HB_OK)
        status = HB_CUDA(
            cudaMemcpyAsync(group->fresh, group->host_fresh, n * sizeof *lane, cudaMemcpyHostToDevice, stream));
    return status;
}

hb_status hb_cuda_expand(hb_group *group, int32_t count, const int32_t *lane, const hb_birth *birth,
                         double *sum_of_squares, hb_error *error) {
    int64_t numbers = 0; // the most that theta has
    for (int32_t k = 0; k < count; k++) {
        const hb_sharing &sharing = birth[k].genome.sharing;
        if (hb_has_theta(&sharing) && sharing.n_numbers > numbers) numbers = sharing.n_numbers;
    }
    const int64_t genome = hb_cuda_up_to(group->layout.genome_size, STRIPES);
    const int64_t stride = genome + hb_cuda_up_to(numbers, STRIPES);
    const int32_t most = chunk_lives((size_t)stride * sizeof(float));
    hb_status status =
        hb_cuda_genomes_room(group, (size_t)(most < count ? most : count) * (size_t)stride * sizeof(float), error);
    if (status == HB_OK) status = send_lives(group, count, lane, birth, error);
    group->sum_of_squares = sum_of_squares;
    for (int32_t k = 0; k < count && status == HB_OK; k += most) {
        const chunk_view chunk = {group->birth + k, group->fresh + k,         group->genomes,
                                  stride,           numbers > 0 ? genome : 0, 1};
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
