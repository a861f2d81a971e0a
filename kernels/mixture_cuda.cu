// Mixtures of shared rules on CUDA: a block per row of lambda, all rules for every sample ("dense"). The equations and
// their orders stand in ops.h; sums of integers have none.
#include "kernels/cuda.h"

#include <cstdlib>
#include <cstring>

enum { THREADS = 128, STRIPES = 16 };

// Blocks that work at a time, each with scratch of its own for a row: as many as fill a card, in at most 256 MB.
static int32_t blocks_for(int64_t rows, size_t bytes_each) {
    const int64_t room = (int64_t)(((size_t)256 << 20) / bytes_each);
    const int64_t most = room > 2048 ? 2048 : room < 1 ? 1 : room;
    return (int32_t)(rows < most ? rows : most);
}

// Floats in the order of unsigned integers, and back.
static __device__ uint32_t ordered(float x) {
    const uint32_t bits = hb_bits(x);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static __device__ float unordered(uint32_t key) {
    return hb_from_bits(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

// The largest of values(k) for k in [0, n), known to all threads after the call. `shared` is one word of shared memory;
// the barriers at both ends let it be used again.
template <typename F> static __device__ float block_maximum(int32_t n, uint32_t *shared, F values) {
    __syncthreads();
    if (threadIdx.x == 0) *shared = 0;
    __syncthreads();
    uint32_t largest = 0;
    for (int32_t k = threadIdx.x; k < n; k += THREADS) {
        const uint32_t key = ordered(values(k));
        largest = key > largest ? key : largest;
    }
    atomicMax(shared, largest);
    __syncthreads();
    return unordered(*shared);
}

static __device__ uint32_t share_of(float lambda, float maximum) {
    return (uint32_t)(int32_t)(hb_exp(lambda - maximum) * 0x1p30f);
}

// ---------------------------------------------------------------------------------------------------
// Choose

// Cumulated shares of a row: every thread sums a stretch, then adds what the stretches before it hold.
static __device__ uint64_t cumulate(const float *row, int32_t n, float maximum, uint64_t *cumulated,
                                    uint64_t *stretch) {
    const int32_t length = (n + THREADS - 1) / THREADS, first = (int32_t)threadIdx.x * length;
    const int32_t end = first + length < n ? first + length : n;
    uint64_t sum = 0;
    for (int32_t k = first; k < end; k++) sum += share_of(row[k], maximum);
    stretch[threadIdx.x] = sum;
    __syncthreads();
    uint64_t before = 0, total = 0;
    for (int t = 0; t < THREADS; t++) {
        before += t < (int)threadIdx.x ? stretch[t] : 0;
        total += stretch[t];
    }
    for (int32_t k = first; k < end; k++) cumulated[k] = before += share_of(row[k], maximum);
    __syncthreads();
    return total;
}

// By 16 threads, a stripe each, then by one.
static __device__ void entropy_of(const float *row, int32_t n, float maximum, float stripes[2][STRIPES],
                                  float *entropy) {
    if (threadIdx.x < STRIPES) {
        float sum = 0.0f, moment = 0.0f;
        for (int32_t k = threadIdx.x; k < n; k += STRIPES) {
            const float below = row[k] - maximum, e = hb_exp(below);
            sum += e;
            moment = hb_fma(e, below, moment);
        }
        stripes[0][threadIdx.x] = sum;
        stripes[1][threadIdx.x] = moment;
    }
    __syncthreads();
    if (threadIdx.x > 0) return;
    float total = 0.0f, mean = 0.0f;
    for (int r = 0; r < STRIPES; r++) total += stripes[0][r], mean += stripes[1][r];
    *entropy = hb_log(total) - mean / total;
}

__global__ void choose_kernel(hb_mixture mixture, int32_t n_individuals, hb_noise noise, uint32_t *choice,
                              uint64_t *scratch, float *entropy, int64_t begin, int64_t end) {
    __shared__ uint32_t largest;
    __shared__ uint64_t stretch[THREADS];
    __shared__ float stripes[2][STRIPES];
    uint64_t *cumulated = scratch + (int64_t)blockIdx.x * mixture.n_rules;
    for (int64_t i = begin + blockIdx.x; i < end; i += gridDim.x) {
        const float *row = mixture.lambda + i * mixture.n_rules;
        const float maximum = block_maximum(mixture.n_rules, &largest, [=](int32_t k) { return row[k]; });
        const uint64_t total = cumulate(row, mixture.n_rules, maximum, cumulated, stretch);
        noise.individual = (uint32_t)i;
        for (int32_t s = threadIdx.x; s < n_individuals; s += THREADS) {
            const uint64_t threshold = hb_mixture_threshold(hb_noise_word(noise, (uint64_t)s), total);
            int32_t low = 0,
                    high = mixture.n_rules - 1; // the first rule whose cumulated share is above the threshold
            while (low < high) {
                const int32_t middle = (low + high) / 2;
                if (cumulated[middle] > threshold)
                    high = middle;
                else
                    low = middle + 1;
            }
            choice[s * mixture.n_synapses + i] = (uint32_t)low;
        }
        entropy_of(row, mixture.n_rules, maximum, stripes, entropy + i);
    }
}

hb_status hb_cuda_mixture_choose(hb_device *device, const hb_mixture *mixture, int32_t n_individuals, hb_noise noise,
                                 uint32_t *choice, float *entropy, int64_t begin, int64_t end, hb_error *error) {
    const size_t row = (size_t)mixture->n_rules * sizeof(uint64_t), n = (size_t)mixture->n_synapses;
    const int32_t blocks = blocks_for(end - begin, row);
    float *scratch;
    hb_status status = hb_cuda_scratch(device, (size_t)blocks * row + n * sizeof *entropy, &scratch, error);
    if (status != HB_OK || begin >= end) return status;
    float *entropies = scratch + (size_t)blocks * row / sizeof *scratch;
    choose_kernel<<<(unsigned)blocks, THREADS, 0, device->stream>>>(*mixture, n_individuals, noise, choice,
                                                                    (uint64_t *)scratch, entropies, begin, end);
    status = HB_CUDA_LAUNCHED("choose");
    if (status == HB_OK && entropy)
        status = HB_CUDA(cudaMemcpyAsync(entropy + begin, entropies + begin, (size_t)(end - begin) * sizeof *entropy,
                                         cudaMemcpyDeviceToHost, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

// ---------------------------------------------------------------------------------------------------
// Gradient

struct hb_mixture_work {
    hb_device *device;
    hb_mixture mixture;
    hb_mixture_step step;
    float sums_scale;
    float *z;                 // (P)
    unsigned long long *sums; // (M, C), then live counts and the bits of the largest |term|
    float *rows;              // (blocks, 2, M): exponents or weights, and G
    float *row_norm;          // (N)
    int32_t blocks;
};

// What the kernel gets: pointers are to device memory.
typedef struct {
    hb_mixture mixture;
    const uint32_t *choice;
    const float *z;
    int32_t n_individuals;
    hb_noise noise;
    float z_sum, rate, cut, minus_half_precision, sums_scale;
    bool hard, natural;
    float *gradient, *rows, *row_norm;
    unsigned long long *sums, *live;
    uint32_t *largest;
} gradient_view;

// Weights of all rules at x into `weight`; returns 1 / their sum.
static __device__ float weigh(const gradient_view &v, const float *lambda, const float *x, float *weight,
                              uint32_t *largest, unsigned long long *sum) {
    const hb_mixture &mixture = v.mixture;
    for (int32_t k = threadIdx.x; k < mixture.n_rules; k += THREADS) {
        float distance = 0.0f;
        for (int32_t c = 0; c < mixture.n_coefficients; c++) {
            const float difference = x[c] - mixture.mu[(int64_t)k * mixture.n_coefficients + c];
            distance = hb_fma(difference, difference, distance);
        }
        weight[k] = hb_fma(v.minus_half_precision, distance, lambda[k]);
    }
    const float maximum = block_maximum(mixture.n_rules, largest, [=](int32_t k) { return weight[k]; });
    if (threadIdx.x == 0) *sum = 0;
    __syncthreads();
    int64_t mine = 0;
    unsigned long long live = 0;
    for (int32_t k = threadIdx.x; k < mixture.n_rules; k += THREADS) {
        const float below = weight[k] - maximum;
        const float w = below >= -v.cut ? hb_exp(below) : 0.0f;
        live += below >= -v.cut;
        weight[k] = w;
        mine += hb_mixture_weight(w);
    }
    atomicAdd(sum, (unsigned long long)mine);
    if (live) atomicAdd(v.live, live);
    __syncthreads();
    return hb_mixture_inverse((int64_t)*sum);
}

// Adds a sample's terms: thread t those of rules k with k % THREADS = t.
static __device__ void add_terms(const gradient_view &v, const float *x, float z, const float *weight, float inverse,
                                 float *g) {
    const int32_t c_all = v.mixture.n_coefficients;
    uint32_t largest = 0;
    for (int32_t k = threadIdx.x; k < v.mixture.n_rules; k += THREADS) {
        const float r = weight[k] * inverse;
        if (r == 0.0f) continue;
        g[k] = hb_fma(z, r, g[k]);
        for (int32_t c = 0; c < c_all; c++) {
            const float difference = x[c] - v.mixture.mu[(int64_t)k * c_all + c];
            const float term = hb_mixture_term(z, r, difference, v.sums_scale);
            const uint32_t magnitude = hb_bits(term) & 0x7fffffffu;
            largest = magnitude > largest ? magnitude : largest;
            atomicAdd(v.sums + (int64_t)k * c_all + c, (unsigned long long)hb_mixture_integer(term));
        }
    }
    if (largest) atomicMax(v.largest, largest);
}

// lambda's step, or its gradient, for one row; the row's squared norm.
static __device__ void finish_row(const gradient_view &v, int64_t i, const float *g, uint32_t *largest,
                                  unsigned long long *sum, float *norms) {
    float *lambda = v.mixture.lambda + i * v.mixture.n_rules;
    const bool shares = v.z_sum != 0.0f || v.natural;
    float maximum = 0.0f, inverse = 0.0f;
    if (shares) {
        maximum = block_maximum(v.mixture.n_rules, largest, [=](int32_t k) { return lambda[k]; });
        if (threadIdx.x == 0) *sum = 0;
        __syncthreads();
        unsigned long long mine = 0;
        for (int32_t k = threadIdx.x; k < v.mixture.n_rules; k += THREADS) mine += share_of(lambda[k], maximum);
        atomicAdd(sum, mine);
        __syncthreads();
        inverse = 1.0f / (float)*sum;
    }
    float norm = 0.0f;
    for (int32_t k = threadIdx.x; k < v.mixture.n_rules; k += THREADS) {
        const float pi = shares ? (float)share_of(lambda[k], maximum) * inverse : 0.0f;
        const float value = shares ? hb_mixture_lambda_gradient(g[k], pi, v.z_sum, v.natural) : g[k];
        norm = hb_fma(value, value, norm);
        if (v.gradient)
            v.gradient[i * v.mixture.n_rules + k] = value;
        else if (value != 0.0f)
            lambda[k] = hb_fma(v.rate, value, lambda[k]);
    }
    norms[threadIdx.x] = norm;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int t = 1; t < THREADS; t++) norm += norms[t];
    v.row_norm[i] = norm;
}

__global__ void mixture_kernel(gradient_view v, int64_t begin, int64_t end) {
    __shared__ uint32_t largest;
    __shared__ unsigned long long sum;
    __shared__ float x[HB_MAX_COEFFICIENTS], norms[THREADS];
    const int32_t m = v.mixture.n_rules, c_all = v.mixture.n_coefficients;
    float *weight = v.rows + (int64_t)blockIdx.x * 2 * m, *g = weight + m;
    for (int64_t i = begin + blockIdx.x; i < end; i += gridDim.x) {
        const float *lambda = v.mixture.lambda + i * m;
        for (int32_t k = threadIdx.x; k < m; k += THREADS) g[k] = 0.0f;
        for (int32_t s = 0; s < v.n_individuals; s++) {
            const uint32_t chosen = v.choice[s * v.mixture.n_synapses + i];
            __syncthreads(); // the last sample's x has been read
            if (threadIdx.x < (unsigned)c_all) {
                hb_noise id = v.noise;
                id.individual = (uint32_t)s;
                const float normal = hb_noise_normal(id, (uint64_t)(i * c_all + threadIdx.x));
                x[threadIdx.x] = hb_fma(v.mixture.sigma, normal, v.mixture.mu[(int64_t)chosen * c_all + threadIdx.x]);
            }
            __syncthreads();
            float inverse = 1.0f;
            if (v.hard)
                for (int32_t k = threadIdx.x; k < m; k += THREADS) weight[k] = (uint32_t)k == chosen ? 1.0f : 0.0f;
            else
                inverse = weigh(v, lambda, x, weight, &largest, &sum);
            add_terms(v, x, v.z[s], weight, inverse, g);
        }
        finish_row(v, i, g, &largest, &sum, norms);
        __syncthreads(); // norms are read before the next row writes them
    }
}

static void free_work(hb_mixture_work *work) {
    cudaFree(work->z);
    cudaFree(work->sums);
    cudaFree(work->rows);
    cudaFree(work->row_norm);
    free(work);
}

static size_t sums_of(const hb_mixture *mixture) {
    return (size_t)mixture->n_rules * (size_t)mixture->n_coefficients;
}

static hb_status allocate_work(hb_mixture_work *work, hb_error *error) {
    const hb_mixture *mixture = &work->mixture;
    const size_t p = (size_t)work->step.n_individuals, m = (size_t)mixture->n_rules, n = sums_of(mixture) + 2;
    work->blocks = blocks_for(mixture->n_synapses, 2 * m * sizeof(float));
    hb_status status = HB_CUDA(cudaMalloc((void **)&work->z, p * sizeof(float)));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&work->sums, n * sizeof *work->sums));
    if (status == HB_OK)
        status = HB_CUDA(cudaMalloc((void **)&work->rows, (size_t)work->blocks * 2 * m * sizeof(float)));
    if (status == HB_OK)
        status = HB_CUDA(cudaMalloc((void **)&work->row_norm, (size_t)mixture->n_synapses * sizeof(float)));
    cudaStream_t stream = work->device->stream;
    if (status == HB_OK) status = HB_CUDA(cudaMemsetAsync(work->sums, 0, n * sizeof *work->sums, stream));
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(work->z, work->step.z, p * sizeof(float), cudaMemcpyHostToDevice, stream));
    return status;
}

hb_status hb_cuda_mixture_begin(hb_device *device, const hb_mixture *mixture, const hb_mixture_step *step,
                                hb_mixture_work **out, hb_error *error) {
    hb_mixture_work *work = (hb_mixture_work *)calloc(1, sizeof *work);
    if (!work) return hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    work->device = device;
    work->mixture = *mixture;
    work->step = *step;
    work->sums_scale = hb_mixture_sums_scale(step->z, step->n_individuals);
    const hb_status status = allocate_work(work, error);
    if (status != HB_OK) {
        free_work(work);
        return status;
    }
    *out = work;
    return HB_OK;
}

// Every sample looks at all rules here: there is nothing to prepare.
hb_status hb_cuda_mixture_prepare(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error) {
    (void)work, (void)begin, (void)end, (void)error;
    return HB_OK;
}

hb_status hb_cuda_mixture_rows(hb_mixture_work *work, int64_t begin, int64_t end, hb_error *error) {
    if (begin >= end) return HB_OK;
    const hb_mixture &mixture = work->mixture;
    const hb_mixture_step &step = work->step;
    unsigned long long *live = work->sums + sums_of(&mixture);
    const gradient_view view = {mixture,
                                step.choice,
                                work->z,
                                step.n_individuals,
                                step.noise,
                                step.z_sum,
                                step.rate,
                                hb_mixture_cut(mixture.n_rules),
                                -(0.5f / (mixture.sigma * mixture.sigma)),
                                work->sums_scale,
                                step.hard,
                                step.natural,
                                step.gradient,
                                work->rows,
                                work->row_norm,
                                work->sums,
                                live,
                                (uint32_t *)(live + 1)};
    const int64_t rows = end - begin;
    mixture_kernel<<<(unsigned)(rows < work->blocks ? rows : work->blocks), THREADS, 0, work->device->stream>>>(
        view, begin, end);
    hb_status status = HB_CUDA_LAUNCHED("mixture");
    if (status != HB_OK || !step.row_norm) return status;
    float *norms = (float *)malloc((size_t)rows * sizeof *norms);
    if (!norms) return hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    status = HB_CUDA(cudaMemcpyAsync(norms, work->row_norm + begin, (size_t)rows * sizeof *norms,
                                     cudaMemcpyDeviceToHost, work->device->stream));
    if (status == HB_OK) status = HB_CUDA(cudaStreamSynchronize(work->device->stream));
    for (int64_t i = 0; i < rows && status == HB_OK; i++) step.row_norm[begin + i] = (double)norms[i];
    free(norms);
    return status;
}

hb_status hb_cuda_mixture_end(hb_mixture_work *work, float *g, hb_mixture_counts *counts, hb_error *error) {
    const size_t n = sums_of(&work->mixture);
    int64_t *sums = (int64_t *)malloc((n + 2) * sizeof *sums);
    hb_status status = sums ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    if (status == HB_OK)
        status = HB_CUDA(
            cudaMemcpyAsync(sums, work->sums, (n + 2) * sizeof *sums, cudaMemcpyDeviceToHost, work->device->stream));
    const hb_status waited = HB_CUDA(cudaStreamSynchronize(work->device->stream));
    if (status == HB_OK) status = waited;
    if (status == HB_OK) {
        const float largest = hb_from_bits((uint32_t)sums[n + 1]);
        counts->live = sums[n];
        counts->dense = work->mixture.n_synapses * work->step.n_individuals;
        status = hb_mixture_finish(&work->mixture, sums, (size_t)work->mixture.n_coefficients, largest,
                                   work->sums_scale, g, error);
    }
    free(sums);
    free_work(work);
    return status;
}
