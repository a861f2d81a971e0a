// Mixtures of shared rules on CUDA: a block per row of lambda. Equations and orders of summation: ops.h; integer sums need no
// order. As on the CPU (cpu/mixture.c) a sample looks only at the rules near its own, in lists that hold every rule within their
// radius, and at all rules ("dense") where it needs a larger one. Both give the same numbers.
#include "kernels/cuda/cuda.h"

#include <cstdlib>
#include <cstring>

enum { STRIPES = 16, SHELLS = 8, QUEUE = 1024 };

// Blocks that work at a time, each with scratch of its own for a row: as many as fill the card, in at most 256 MB.
static int32_t resident_blocks(const hb_device *device, int64_t rows, size_t bytes_each) {
    const int64_t room = (int64_t)(((size_t)256 << 20) / bytes_each), fill = (int64_t)device->processors * 16;
    const int64_t most = room > fill ? fill : room < 1 ? 1 : room;
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
    for (int32_t k = threadIdx.x; k < n; k += HB_CUDA_THREADS) {
        const uint32_t key = ordered(values(k));
        largest = key > largest ? key : largest;
    }
    atomicMax(shared, largest);
    __syncthreads();
    return unordered(*shared);
}

static __device__ uint32_t share_of(float lambda, float maximum) {
    return hb_mixture_share(hb_exp(lambda - maximum));
}

// ---------------------------------------------------------------------------------------------------
// Choose

// Cumulated shares of a row: every thread sums a stretch, then adds what the stretches before it hold.
static __device__ uint64_t cumulate(const float *row, int32_t n, float maximum, uint64_t *cumulated,
                                    uint64_t *stretch) {
    const int32_t length = (n + HB_CUDA_THREADS - 1) / HB_CUDA_THREADS, first = (int32_t)threadIdx.x * length;
    const int32_t end = first + length < n ? first + length : n;
    uint64_t sum = 0;
    for (int32_t k = first; k < end; k++) sum += share_of(row[k], maximum);
    stretch[threadIdx.x] = sum;
    __syncthreads();
    uint64_t before = 0, total = 0;
    for (int t = 0; t < HB_CUDA_THREADS; t++) {
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
    __shared__ uint64_t stretch[HB_CUDA_THREADS];
    __shared__ float stripes[2][STRIPES];
    uint64_t *cumulated = scratch + (int64_t)blockIdx.x * mixture.n_rules;
    for (int64_t i = begin + blockIdx.x; i < end; i += gridDim.x) {
        const float *row = hb_mixture_row(&mixture, i);
        const float maximum = block_maximum(mixture.n_rules, &largest, [=](int32_t k) { return row[k]; });
        const uint64_t total = cumulate(row, mixture.n_rules, maximum, cumulated, stretch);
        noise.individual = (uint32_t)i;
        for (int32_t s = threadIdx.x; s < n_individuals; s += HB_CUDA_THREADS) {
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
                                 hb_memory choice, float *entropy, int64_t begin, int64_t end, hb_error *error) {
    const size_t row = (size_t)mixture->n_rules * sizeof(uint64_t), n = (size_t)mixture->n_synapses;
    const int32_t blocks = resident_blocks(device, end - begin, row);
    float *scratch;
    hb_status status = hb_cuda_scratch(device, (size_t)blocks * row + n * sizeof *entropy, &scratch, error);
    if (status != HB_OK || begin >= end) return status;
    float *entropies = scratch + (size_t)blocks * row / sizeof *scratch;
    choose_kernel<<<(unsigned)blocks, HB_CUDA_THREADS, 0, device->stream>>>(
        *mixture, n_individuals, noise, hb_integers(choice), (uint64_t *)scratch, entropies, begin, end);
    status = HB_CUDA_LAUNCHED("choose");
    if (status == HB_OK && entropy)
        status = HB_CUDA(cudaMemcpyAsync(entropy + begin, entropies + begin, (size_t)(end - begin) * sizeof *entropy,
                                         cudaMemcpyDeviceToHost, device->stream));
    return status == HB_OK ? HB_CUDA(cudaStreamSynchronize(device->stream)) : status;
}

// ---------------------------------------------------------------------------------------------------
// Neighbours

// The rules near each rule, in shells by distance: rule k's lists start at place offset[k SHELLS + shell] of `near`; all
// of them are empty where they would be too long.
typedef struct {
    const uint32_t *near;
    const int64_t *offset; // (M SHELLS + 1)
    const float *second;   // (M): squared distance of the nearest other rule, or twice the radius's
    float radius2;         // 0: there are no lists
} neighbours;

static __device__ float distance2(const float *x, const float *mu, int32_t n) {
    float distance = 0.0f;
    for (int32_t c = 0; c < n; c++) {
        const float difference = x[c] - mu[c];
        distance = hb_fma(difference, difference, distance);
    }
    return distance;
}

// Never falls as distance rises.
static __device__ int32_t shell_of(float distance, float radius2) {
    const int32_t shell = (int32_t)(distance * ((float)SHELLS / radius2));
    return shell < SHELLS ? shell : SHELLS - 1;
}

// How many rules each shell around rule k has, all 0 where together they are more than `most`, and the nearest of them.
__global__ void count_kernel(hb_mixture mixture, float radius2, int32_t most, int64_t *count, float *second) {
    __shared__ uint32_t in_shell[SHELLS], nearest; // nearest: of bits turned over, the largest
    const int32_t k = (int32_t)blockIdx.x, c_all = mixture.n_coefficients;
    if (threadIdx.x < SHELLS) in_shell[threadIdx.x] = 0;
    if (threadIdx.x == 0) nearest = ~hb_bits(2.0f * radius2);
    __syncthreads();
    for (int32_t j = threadIdx.x; j < mixture.n_rules; j += HB_CUDA_THREADS) {
        const float distance =
            distance2(hb_floats(mixture.mu) + (int64_t)k * c_all, hb_floats(mixture.mu) + (int64_t)j * c_all, c_all);
        if (!(distance <= radius2)) continue;
        atomicAdd(in_shell + shell_of(distance, radius2), 1u);
        if (j != k) atomicMax(&nearest, ~hb_bits(distance));
    }
    __syncthreads();
    uint32_t all = 0;
    for (int32_t shell = 0; shell < SHELLS; shell++) all += in_shell[shell];
    if (threadIdx.x < SHELLS)
        count[(int64_t)k * SHELLS + threadIdx.x] = all <= (uint32_t)most ? in_shell[threadIdx.x] : 0;
    if (threadIdx.x == 0) second[k] = hb_from_bits(~nearest);
}

// Writes the lists; within a shell the order is arbitrary.
__global__ void list_kernel(hb_mixture mixture, float radius2, const int64_t *offset, uint32_t *near) {
    __shared__ unsigned long long place[SHELLS];
    const int32_t k = (int32_t)blockIdx.x, c_all = mixture.n_coefficients;
    const int64_t *own = offset + (int64_t)k * SHELLS;
    if (own[0] == own[SHELLS]) return;
    if (threadIdx.x < SHELLS) place[threadIdx.x] = (unsigned long long)own[threadIdx.x];
    __syncthreads();
    for (int32_t j = threadIdx.x; j < mixture.n_rules; j += HB_CUDA_THREADS) {
        const float distance =
            distance2(hb_floats(mixture.mu) + (int64_t)k * c_all, hb_floats(mixture.mu) + (int64_t)j * c_all, c_all);
        if (distance <= radius2) near[atomicAdd(place + shell_of(distance, radius2), 1ull)] = (uint32_t)j;
    }
}

// ---------------------------------------------------------------------------------------------------
// Gradient

struct hb_mixture_work {
    hb_device *device;
    hb_mixture mixture;
    hb_mixture_step step;
    float sums_scale;
    float *z;                 // (P)
    unsigned long long *sums; // (M, C), then N_COUNTS
    float *rows;              // (blocks, 2, M): exponents or weights, and G
    float *row_norm;          // (N)
    int32_t blocks;
    float list_radius2; // 0: no lists
    int64_t *offset;
    float *second;
    uint32_t *near;
};

// After the sums: rules with a weight, samples that ran dense, the bits of the largest |term|.
enum { LIVE, DENSE, LARGEST, N_COUNTS };

// What the kernel gets: pointers are to device memory.
typedef struct {
    hb_mixture mixture;
    const uint32_t *choice;
    const float *z;
    int32_t n_individuals;
    hb_noise noise;
    float z_sum, rate, cut, minus_half_precision, two_variances, sums_scale;
    bool hard, natural;
    neighbours lists;
    float *gradient, *rows, *row_norm;
    unsigned long long *sums, *counts;
} gradient_view;

// A thread per sample, HB_CUDA_THREADS samples of a row at a time. But G is summed by ascending samples: so the terms wait in a
// queue, and thread t takes from it, in order, the terms of its rules, those with k % HB_CUDA_THREADS = t.
typedef struct {
    float x[HB_CUDA_THREADS][HB_MAX_COEFFICIENTS];
    uint32_t live[HB_CUDA_THREADS]; // number of terms of each sample, or RUNS_DENSE
    uint32_t rule[QUEUE];
    float z[QUEUE], r[QUEUE];
} batch;

#define RUNS_DENSE 0xffffffffu

// A thread's sample: the rules it looks at, near[begin] to near[end - 1], or its own alone where `near` is NULL.
typedef struct {
    const uint32_t *near;
    int64_t begin, end;
    uint32_t chosen;
    float largest, inverse; // exponent; 1 / sum of weights
} sample;

static __device__ float exponent(const gradient_view &v, const float *lambda, const float *x, uint32_t k) {
    const int32_t c_all = v.mixture.n_coefficients;
    return hb_fma(v.minus_half_precision, distance2(x, hb_floats(v.mixture.mu) + (int64_t)k * c_all, c_all),
                  lambda[k]);
}

// z r (x - mu_k) to the sums.
static __device__ void add_to_sums(const gradient_view &v, const float *x, float z, uint32_t k, float r) {
    const int32_t c_all = v.mixture.n_coefficients;
    uint32_t largest = 0;
    for (int32_t c = 0; c < c_all; c++) {
        const float difference = x[c] - hb_floats(v.mixture.mu)[(int64_t)k * c_all + c];
        const float term = hb_mixture_term(z, r, difference, v.sums_scale);
        const uint32_t magnitude = hb_bits(term) & 0x7fffffffu;
        largest = magnitude > largest ? magnitude : largest;
        atomicAdd(v.sums + (int64_t)k * c_all + c, (unsigned long long)hb_mixture_integer(term));
    }
    if (largest) atomicMax((uint32_t *)(v.counts + LARGEST), largest);
}

// Computes x of sample s of row i and the rules it looks at; false: it must look at all of them.
static __device__ bool begin_sample(const gradient_view &v, int64_t i, int32_t s, float row_largest, float *x,
                                    sample *out) {
    const int32_t c_all = v.mixture.n_coefficients;
    const uint32_t chosen = v.choice[s * v.mixture.n_synapses + i];
    const float *mu = hb_floats(v.mixture.mu) + (int64_t)chosen * c_all;
    hb_noise id = v.noise;
    id.individual = (uint32_t)s;
    for (int32_t c = 0; c < c_all; c++)
        x[c] = hb_fma(v.mixture.sigma, hb_noise_normal(id, (uint64_t)(i * c_all + c)), mu[c]);
    *out = {nullptr, 0, 1, chosen, 0.0f, 1.0f};
    if (v.hard || v.mixture.n_rules == 1) return true;
    if (!(v.lists.radius2 > 0.0f)) return false;
    const float radius2 = hb_mixture_radius2(distance2(x, mu, c_all), v.two_variances, v.cut,
                                             hb_mixture_above(row_largest, hb_mixture_row(&v.mixture, i)[chosen]));
    const int64_t *own = v.lists.offset + (int64_t)chosen * SHELLS;
    if (own[0] == own[SHELLS] || !(radius2 <= v.lists.radius2)) return false;
    if (radius2 < v.lists.second[chosen]) return true;
    out->near = v.lists.near;
    out->begin = own[0];
    out->end = own[shell_of(radius2, v.lists.radius2) + 1];
    return true;
}

// The largest exponent and the sum of weights of a sample's rules; returns how many count.
static __device__ uint32_t weigh_near(const gradient_view &v, const float *lambda, const float *x, sample *s) {
    if (!s->near) return 1;
    float largest = -3.0e38f;
    for (int64_t e = s->begin; e < s->end; e++) {
        const float own = exponent(v, lambda, x, s->near[e]);
        largest = own > largest ? own : largest;
    }
    int64_t sum = 0;
    uint32_t live = 0;
    for (int64_t e = s->begin; e < s->end; e++) {
        const float below = exponent(v, lambda, x, s->near[e]) - largest;
        if (!(below >= -v.cut)) continue;
        sum += hb_mixture_weight(hb_exp(below));
        live++;
    }
    s->largest = largest;
    s->inverse = hb_mixture_inverse(sum);
    return live;
}

// Calls take(k, rule, r) for the k-th of a sample's rules whose weight is not 0.
template <typename F>
static __device__ void for_near(const gradient_view &v, const float *lambda, const float *x, const sample &s,
                                F take) {
    if (!s.near) return take(0, s.chosen, 1.0f);
    uint32_t place = 0;
    for (int64_t e = s.begin; e < s.end; e++) {
        const float below = exponent(v, lambda, x, s.near[e]) - s.largest;
        if (below >= -v.cut) take(place++, s.near[e], hb_exp(below) * s.inverse);
    }
}

// Adds the terms of samples [begin, end) of the batch to G, through the queue.
static __device__ void add_near(const gradient_view &v, const float *lambda, batch *b, const sample &own, float z,
                                uint32_t begin, uint32_t end, float *g) {
    uint32_t before = 0, all = 0; // of this thread's sample, and of all
    for (uint32_t t = begin; t < end; t++) {
        before += t < threadIdx.x ? b->live[t] : 0;
        all += b->live[t];
    }
    const bool within = threadIdx.x >= begin && threadIdx.x < end;
    for (uint32_t from = 0; from < all; from += QUEUE) {
        __syncthreads(); // all threads have read the queue
        if (within && before < from + QUEUE && before + b->live[threadIdx.x] > from)
            for_near(v, lambda, b->x[threadIdx.x], own, [=](uint32_t place, uint32_t k, float r) {
                const uint32_t at = before + place - from;
                if (at >= QUEUE) return; // the queue is full
                b->rule[at] = k;
                b->z[at] = z;
                b->r[at] = r;
            });
        __syncthreads();
        const uint32_t n = all - from < QUEUE ? all - from : QUEUE;
        for (uint32_t e = 0; e < n; e++) {
            const uint32_t k = b->rule[e];
            if (k % HB_CUDA_THREADS == threadIdx.x && b->r[e] != 0.0f) g[k] = hb_mixture_add(g[k], b->z[e], b->r[e]);
        }
    }
}

// Weights of all rules at x into `weight`; returns 1 / their sum.
static __device__ float weigh(const gradient_view &v, const float *lambda, const float *x, float *weight,
                              uint32_t *largest, unsigned long long *sum) {
    const int32_t m = v.mixture.n_rules;
    for (int32_t k = threadIdx.x; k < m; k += HB_CUDA_THREADS) weight[k] = exponent(v, lambda, x, (uint32_t)k);
    const float maximum = block_maximum(m, largest, [=](int32_t k) { return weight[k]; });
    if (threadIdx.x == 0) *sum = 0;
    __syncthreads();
    int64_t mine = 0;
    unsigned long long live = 0;
    for (int32_t k = threadIdx.x; k < m; k += HB_CUDA_THREADS) {
        const float below = weight[k] - maximum;
        const float w = below >= -v.cut ? hb_exp(below) : 0.0f;
        live += below >= -v.cut;
        weight[k] = w;
        mine += hb_mixture_weight(w);
    }
    atomicAdd(sum, (unsigned long long)mine);
    if (live) atomicAdd(v.counts + LIVE, live);
    __syncthreads();
    if (*sum == 0 && threadIdx.x == 0) atomicMax((uint32_t *)(v.counts + LARGEST), (uint32_t)HB_MIXTURE_NO_NUMBER);
    return *sum == 0 ? 0.0f : hb_mixture_inverse((int64_t)*sum);
}

// Adds a sample's terms: thread t those of rules k with k % HB_CUDA_THREADS = t.
static __device__ void add_dense(const gradient_view &v, const float *x, float z, const float *weight, float inverse,
                                 float *g) {
    for (int32_t k = threadIdx.x; k < v.mixture.n_rules; k += HB_CUDA_THREADS) {
        const float r = weight[k] * inverse;
        if (r == 0.0f) continue;
        g[k] = hb_mixture_add(g[k], z, r);
        add_to_sums(v, x, z, (uint32_t)k, r);
    }
}

// Shared memory of a block.
typedef struct {
    batch samples;
    uint32_t largest;
    unsigned long long sum;
    float norms[HB_CUDA_THREADS];
} row_memory;

// A batch: samples first to first + count - 1 of row i, count <= HB_CUDA_THREADS.
static __device__ void add_batch(const gradient_view &v, int64_t i, int32_t first, uint32_t count, float row_largest,
                                 row_memory *shared, float *weight, float *g) {
    const float *lambda = hb_mixture_row(&v.mixture, i);
    batch *b = &shared->samples;
    float *x = b->x[threadIdx.x];
    const int32_t s = first + (int32_t)threadIdx.x;
    sample own = {nullptr, 0, 0, 0, 0.0f, 0.0f};
    float z = 0.0f;
    __syncthreads(); // all threads are done with the last batch
    if (threadIdx.x < count) {
        z = v.z[s];
        const bool near = begin_sample(v, i, s, row_largest, x, &own);
        const uint32_t live = near ? weigh_near(v, lambda, x, &own) : RUNS_DENSE;
        b->live[threadIdx.x] = live;
        atomicAdd(v.counts + (near ? LIVE : DENSE), (unsigned long long)(near ? live : 1));
        if (near)
            for_near(v, lambda, x, own, [&](uint32_t, uint32_t k, float r) {
                if (r != 0.0f) add_to_sums(v, x, z, k, r);
            });
    }
    __syncthreads();
    for (uint32_t begin = 0, end; begin < count; begin = end + 1) {
        for (end = begin; end < count && b->live[end] != RUNS_DENSE; end++) {
        }
        add_near(v, lambda, b, own, z, begin, end, g);
        if (end == count) break;
        const float inverse = weigh(v, lambda, b->x[end], weight, &shared->largest, &shared->sum);
        add_dense(v, b->x[end], v.z[first + (int32_t)end], weight, inverse, g);
    }
}

// lambda's step, or its gradient, for one row; the row's squared norm.
static __device__ void finish_row(const gradient_view &v, int64_t i, const float *g, row_memory *shared) {
    float *lambda = hb_mixture_row(&v.mixture, i);
    const bool shares = v.z_sum != 0.0f || v.natural;
    float maximum = 0.0f, inverse = 0.0f;
    if (shares) {
        maximum = block_maximum(v.mixture.n_rules, &shared->largest, [=](int32_t k) { return lambda[k]; });
        if (threadIdx.x == 0) shared->sum = 0;
        __syncthreads();
        unsigned long long mine = 0;
        for (int32_t k = threadIdx.x; k < v.mixture.n_rules; k += HB_CUDA_THREADS)
            mine += share_of(lambda[k], maximum);
        atomicAdd(&shared->sum, mine);
        __syncthreads();
        inverse = 1.0f / (float)shared->sum;
    }
    float norm = 0.0f;
    for (int32_t k = threadIdx.x; k < v.mixture.n_rules; k += HB_CUDA_THREADS) {
        const float pi = shares ? (float)share_of(lambda[k], maximum) * inverse : 0.0f;
        const float value = shares ? hb_mixture_lambda_gradient(g[k], pi, v.z_sum, v.natural) : g[k];
        norm = hb_fma(value, value, norm);
        if (v.gradient)
            v.gradient[(i - v.mixture.first_row) * v.mixture.n_rules + k] = value;
        else if (value != 0.0f)
            lambda[k] = hb_fma(v.rate, value, lambda[k]);
    }
    shared->norms[threadIdx.x] = norm;
    __syncthreads();
    if (threadIdx.x > 0) return;
    for (int t = 1; t < HB_CUDA_THREADS; t++) norm += shared->norms[t];
    v.row_norm[i] = norm;
}

__global__ void mixture_kernel(gradient_view v, int64_t begin, int64_t end) {
    __shared__ row_memory shared;
    const int32_t m = v.mixture.n_rules;
    float *weight = v.rows + (int64_t)blockIdx.x * 2 * m, *g = weight + m;
    for (int64_t i = begin + blockIdx.x; i < end; i += gridDim.x) {
        const float *lambda = hb_mixture_row(&v.mixture, i);
        float row_largest = 0.0f;
        if (v.lists.radius2 > 0.0f)
            row_largest = block_maximum(m, &shared.largest, [=](int32_t k) { return lambda[k]; });
        for (int32_t k = threadIdx.x; k < m; k += HB_CUDA_THREADS) g[k] = 0.0f;
        for (int32_t first = 0; first < v.n_individuals; first += HB_CUDA_THREADS) {
            const int32_t left = v.n_individuals - first;
            add_batch(v, i, first, left < HB_CUDA_THREADS ? (uint32_t)left : HB_CUDA_THREADS, row_largest, &shared,
                      weight, g);
        }
        finish_row(v, i, g, &shared); // the next row's first barrier stands between its norms and these
    }
}

static void free_work(hb_mixture_work *work) {
    void *const all[] = {work->z, work->sums, work->rows, work->row_norm, work->offset, work->second, work->near};
    for (void *memory : all) cudaFree(memory);
    free(work);
}

static size_t sums_of(const hb_mixture *mixture) {
    return (size_t)mixture->n_rules * (size_t)mixture->n_coefficients;
}

static hb_status allocate_work(hb_mixture_work *work, hb_error *error) {
    const hb_mixture *mixture = &work->mixture;
    const size_t p = (size_t)work->step.n_individuals, m = (size_t)mixture->n_rules, n = sums_of(mixture) + N_COUNTS;
    work->blocks = resident_blocks(work->device, mixture->n_synapses, 2 * m * sizeof(float));
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
    work->list_radius2 = hb_mixture_list_radius2(mixture, step);
    const hb_status status = allocate_work(work, error);
    if (status != HB_OK) {
        free_work(work);
        return status;
    }
    *out = work;
    return HB_OK;
}

// Turns the lengths of the n shells into their offsets (a running sum); the last one is the total length.
static hb_status place_shells(hb_mixture_work *work, size_t n, hb_error *error) {
    int64_t *place = (int64_t *)malloc((n + 1) * sizeof *place), all = 0;
    if (!place) return hb_fail(error, HB_FAILED, "out of memory listing neighbours");
    cudaStream_t stream = work->device->stream;
    hb_status status =
        HB_CUDA(cudaMemcpyAsync(place, work->offset, n * sizeof *place, cudaMemcpyDeviceToHost, stream));
    if (status == HB_OK) status = HB_CUDA(cudaStreamSynchronize(stream));
    for (size_t e = 0; e < n && status == HB_OK; e++) {
        const int64_t count = place[e];
        place[e] = all;
        all += count;
    }
    place[n] = all;
    if (status == HB_OK)
        status =
            HB_CUDA(cudaMemcpyAsync(work->offset, place, (n + 1) * sizeof *place, cudaMemcpyHostToDevice, stream));
    if (status == HB_OK) status = HB_CUDA(cudaStreamSynchronize(stream)); // `place` must live until the copy is done
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&work->near, ((size_t)all + 1) * sizeof *work->near));
    free(place);
    return status;
}

// All lists are made by the first call, whatever its range.
hb_status hb_cuda_mixture_prepare(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error) {
    if (begin >= end || !(work->list_radius2 > 0.0f) || work->near) return HB_OK;
    const hb_mixture &mixture = work->mixture;
    const size_t m = (size_t)mixture.n_rules, n = m * SHELLS;
    cudaStream_t stream = work->device->stream;
    hb_status status = HB_CUDA(cudaMalloc((void **)&work->offset, (n + 1) * sizeof *work->offset));
    if (status == HB_OK) status = HB_CUDA(cudaMalloc((void **)&work->second, m * sizeof *work->second));
    if (status != HB_OK) return status;
    count_kernel<<<(unsigned)m, HB_CUDA_THREADS, 0, stream>>>(
        mixture, work->list_radius2, hb_mixture_longest_list(mixture.n_rules), work->offset, work->second);
    status = HB_CUDA_LAUNCHED("count");
    if (status == HB_OK) status = place_shells(work, n, error);
    if (status != HB_OK) return status;
    list_kernel<<<(unsigned)m, HB_CUDA_THREADS, 0, stream>>>(mixture, work->list_radius2, work->offset, work->near);
    return HB_CUDA_LAUNCHED("list");
}

static gradient_view view_of(const hb_mixture_work *work) {
    const hb_mixture &mixture = work->mixture;
    const hb_mixture_step &step = work->step;
    const float variance = mixture.sigma * mixture.sigma;
    return {mixture,
            hb_integers(step.choice),
            work->z,
            step.n_individuals,
            step.noise,
            step.z_sum,
            step.rate,
            hb_mixture_cut(mixture.n_rules),
            -(0.5f / variance),
            2.0f * variance,
            work->sums_scale,
            step.hard,
            step.natural,
            {work->near, work->offset, work->second, work->list_radius2},
            hb_floats(step.gradient),
            work->rows,
            work->row_norm,
            work->sums,
            work->sums + sums_of(&mixture)};
}

hb_status hb_cuda_mixture_rows(hb_mixture_work *work, int64_t begin, int64_t end, hb_error *error) {
    if (begin >= end) return HB_OK;
    const hb_mixture_step &step = work->step;
    const int64_t rows = end - begin;
    mixture_kernel<<<(unsigned)(rows < work->blocks ? rows : work->blocks), HB_CUDA_THREADS, 0,
                     work->device->stream>>>(view_of(work), begin, end);
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
    int64_t *sums = (int64_t *)malloc((n + N_COUNTS) * sizeof *sums);
    hb_status status = sums ? HB_OK : hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    if (status == HB_OK)
        status = HB_CUDA(cudaMemcpyAsync(sums, work->sums, (n + N_COUNTS) * sizeof *sums, cudaMemcpyDeviceToHost,
                                         work->device->stream));
    const hb_status waited = HB_CUDA(cudaStreamSynchronize(work->device->stream));
    if (status == HB_OK) status = waited;
    if (status == HB_OK) {
        const hb_mixture_sums all = {sums, (size_t)work->mixture.n_coefficients, (uint32_t)sums[n + LARGEST],
                                     work->sums_scale};
        *counts = {sums[n + LIVE], sums[n + DENSE]};
        status = hb_mixture_finish(&work->mixture, &work->step, &all, counts, g, error);
    }
    free(sums);
    free_work(work);
    return status;
}
