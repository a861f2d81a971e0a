// Mixtures of shared rules on the CPU, compiled once per instruction set like step.c. ops.h defines every equation.
//
// The gradient is computed in tiles of 32 synapses: first their noise for all individuals, then one row after the other, so that
// lambda's row stays in the cache. A sample looks only at the rules near its own: the neighbour lists, sorted by distance, hold
// every rule within their radius. A sample that needs a larger radius looks at all rules ("dense"). Both give the same numbers,
// because what is left out is exactly 0.
#include "kernels/cpu/mixture.h"
#include "kernels/cpu/build.h"
#include "kernels/cpu/noise.h"
#include "kernels/cpu/vector.h"

#include <stdlib.h>
#include <string.h>

enum { VECTOR = 16, TILE = 32, MOST_GUIDE_BITS = 12, WIDE = HB_MIXTURE_WIDE, AT_ONCE = 64 };

#define UNTOUCHED 0x80000000u // bits of -0, which no sum has: marks elements of G that no sample has added to

// ---------------------------------------------------------------------------------------------------
// Choose

// Ordered like floats, as integers: the vectoriser may reorder an integer maximum. Its own inverse.
static inline int32_t ordered(int32_t bits) {
    return bits ^ (bits < 0 ? 0x7fffffff : 0);
}

static float row_maximum(const float *row, int32_t n) {
    int32_t largest = INT32_MIN;
    for (int32_t k = 0; k < n; k++) {
        const int32_t key = ordered((int32_t)hb_bits(row[k]));
        largest = key > largest ? key : largest;
    }
    return hb_from_bits((uint32_t)ordered(largest));
}

// q_k into `share`; returns the entropy of the row.
static float row_shares(const float *row, int32_t n, uint32_t *restrict share) {
    const float maximum = row_maximum(row, n);
    float sum[VECTOR] = {0}, moment[VECTOR] = {0};
    int32_t k = 0;
    for (; k + VECTOR <= n; k += VECTOR)
        for (int r = 0; r < VECTOR; r++) {
            const float below = row[k + r] - maximum, e = hb_exp(below);
            share[k + r] = hb_mixture_share(e);
            sum[r] += e;
            moment[r] = hb_fma(e, below, moment[r]);
        }
    for (int r = 0; k + r < n; r++) {
        const float below = row[k + r] - maximum, e = hb_exp(below);
        share[k + r] = hb_mixture_share(e);
        sum[r] += e;
        moment[r] = hb_fma(e, below, moment[r]);
    }
    float total = 0, mean = 0;
    for (int r = 0; r < VECTOR; r++) total += sum[r], mean += moment[r];
    return hb_log(total) - mean / total;
}

// For each of 2^bits equal parts of the range of random words: the first rule that a word in it can choose. bits grows with M, so
// that few steps of the search are left.
static uint64_t fill_guide(const uint32_t *share, int32_t n, int bits, uint64_t *cumulated, int32_t *guide) {
    uint64_t total = 0;
    for (int32_t k = 0; k < n; k++) cumulated[k] = total += share[k];
    int32_t k = 0;
    for (uint32_t g = 0; g < 1u << bits; g++) {
        const uint64_t threshold = hb_mixture_threshold(g << (32 - bits), total);
        while (cumulated[k] <= threshold) k++;
        guide[g] = k;
    }
    return total;
}

static int guide_bits(int32_t n) {
    int bits = 4;
    while (bits < MOST_GUIDE_BITS && n >> bits) bits++;
    return bits;
}

// All individuals' choices of one row into chosen (P).
static void choose_row(const hb_mixture *mixture, int64_t i, int32_t n_individuals, hb_noise noise, uint32_t *share,
                       uint64_t *cumulated, uint32_t *chosen, float *entropy) {
    const float h = row_shares(hb_mixture_row(mixture, i), mixture->n_rules, share);
    if (entropy) entropy[i] = h;
    int32_t guide[1 << MOST_GUIDE_BITS];
    const int bits = guide_bits(mixture->n_rules);
    const uint64_t total = fill_guide(share, mixture->n_rules, bits, cumulated, guide);
    noise.individual = (uint32_t)i;
    for (int32_t s = 0; s < n_individuals; s += HB_NOISE_BLOCK) {
        uint32_t word[HB_NOISE_BLOCK];
        hb_words_block(noise, (uint32_t)(s / HB_NOISE_BLOCK), word);
        for (int32_t r = 0; r < HB_NOISE_BLOCK && s + r < n_individuals; r++) {
            const uint64_t threshold = hb_mixture_threshold(word[r], total);
            int32_t k = guide[word[r] >> (32 - bits)];
            for (int step = 0; step < 2; step++)
                k += cumulated[k] <= threshold; // usually one step is enough; the loop below does the rest
            while (cumulated[k] <= threshold) k++;
            chosen[s + r] = (uint32_t)k;
        }
    }
}

// A cache line of rows at a time, so that the choices, individual by individual, are written in lines, too.
static hb_status mixture_choose(const hb_mixture *mixture, int32_t n_individuals, hb_noise noise, uint32_t *choice,
                                float *entropy, int64_t begin, int64_t end, hb_error *error) {
    const size_t m = (size_t)mixture->n_rules, n = (size_t)n_individuals;
    uint32_t *share = calloc(m, sizeof *share), *chosen = malloc(VECTOR * n * sizeof *chosen);
    uint64_t *cumulated = calloc(m, sizeof *cumulated);
    hb_status status = HB_OK;
    if (!share || !chosen || !cumulated) status = hb_fail(error, HB_FAILED, "out of memory choosing rules");
    for (int64_t first = begin; first < end && status == HB_OK; first += VECTOR) {
        const int64_t rows = end - first < VECTOR ? end - first : VECTOR;
        for (int64_t i = 0; i < rows; i++)
            choose_row(mixture, first + i, n_individuals, noise, share, cumulated, chosen + (size_t)i * n, entropy);
        for (size_t s = 0; s < n; s++)
            for (int64_t i = 0; i < rows; i++)
                choice[(int64_t)s * mixture->n_synapses + first + i] = chosen[(size_t)i * n + s];
    }
    free(share);
    free(chosen);
    free(cumulated);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Neighbours

static int by_distance(const void *a, const void *b) {
    const hb_near *const x = a, *const y = b;
    if (x->distance != y->distance) return x->distance < y->distance ? -1 : 1;
    return x->rule < y->rule ? -1 : x->rule > y->rule;
}

// Squared distances of rule k to all rules, into `distance`. mu lies transposed, (C, M).
static void distances(const hb_mixture_work *work, const float *x, float *restrict distance) {
    const int32_t n = work->mixture.n_rules;
    for (int32_t k = 0; k < n; k++) distance[k] = 0.0f;
    for (int32_t c = 0; c < work->mixture.n_coefficients; c++) {
        const float *restrict mu = work->transposed + (size_t)c * work->padded_rules;
        for (int32_t k = 0; k < n; k++) {
            const float difference = x[c] - mu[k];
            distance[k] = hb_fma(difference, difference, distance[k]);
        }
    }
}

static hb_status make_list(hb_mixture_work *work, int32_t k, float *distance, hb_near *near, hb_error *error) {
    const int32_t c_all = work->mixture.n_coefficients;
    const float *mu = hb_floats(work->mixture.mu) + (size_t)k * (size_t)c_all;
    distances(work, mu, distance);
    int32_t n = 0;
    const int32_t most = hb_mixture_longest_list(work->mixture.n_rules);
    for (int32_t j = 0; j < work->mixture.n_rules && n <= most; j++)
        if (distance[j] <= work->list_radius2) near[n++] = (hb_near){distance[j], (uint32_t)j};
    hb_neighbours *list = &work->list[k];
    *list = (hb_neighbours){.n_vectors = -1};
    if (n > most) return HB_OK;
    qsort(near, (size_t)n, sizeof *near, by_distance);
    const int32_t vectors = (n + VECTOR - 1) / VECTOR;
    const size_t vector_bytes = (size_t)(c_all + 1) * VECTOR * sizeof(float);
    const size_t bytes = ((size_t)vectors * (vector_bytes + sizeof(float)) + 63) / 64 * 64;
    list->data = aligned_alloc(64, bytes ? bytes : 64);
    if (!list->data) return hb_fail(error, HB_FAILED, "out of memory listing a rule's neighbours");
    list->n_vectors = vectors;
    list->second = n > 1 ? near[1].distance : 2.0f * work->list_radius2;
    list->nearest = list->data + (size_t)vectors * (size_t)(c_all + 1) * VECTOR;
    for (int32_t v = 0; v < vectors; v++) {
        float *at = list->data + (size_t)v * (size_t)(c_all + 1) * VECTOR;
        list->nearest[v] = near[v * VECTOR].distance;
        for (int32_t r = 0; r < VECTOR; r++) {
            const int32_t place = v * VECTOR + r;
            const uint32_t j = place < n ? near[place].rule : (uint32_t)k;
            memcpy(&at[r], &j, sizeof j);
            for (int32_t c = 0; c < c_all; c++) // a place without a rule is too far away to matter
                at[(size_t)(c + 1) * VECTOR + (size_t)r] =
                    place < n ? hb_floats(work->mixture.mu)[(size_t)j * (size_t)c_all + (size_t)c] : 1e18f;
        }
    }
    return HB_OK;
}

static hb_status mixture_neighbours(hb_mixture_work *work, int32_t begin, int32_t end, hb_error *error) {
    const size_t m = (size_t)work->mixture.n_rules;
    float *distance = malloc(m * sizeof *distance);
    hb_near *near = malloc((m + 1) * sizeof *near);
    hb_status status = distance && near ? HB_OK : hb_fail(error, HB_FAILED, "out of memory listing neighbours");
    for (int32_t k = begin; k < end && status == HB_OK; k++) status = make_list(work, k, distance, near, error);
    free(distance);
    free(near);
    return status;
}

// ---------------------------------------------------------------------------------------------------
// Gradient

// What samples look at and find, AT_ONCE samples of a row at a time.
typedef struct {
    float x[AT_ONCE][WIDE];
    float offset2[AT_ONCE]; // |x - mu|^2 of its own rule
    float above[AT_ONCE];   // the row's largest lambda above the rule's
    float radius2[AT_ONCE]; // within which it finds every rule that counts
    int64_t sum[AT_ONCE];   // of its weights
    float inverse[AT_ONCE]; // 1 / that
} samples;

// The rules whose weight is not 0, sample after sample: first the exponent below the sample's largest, later the weight; and the
// rule's number, stored in the bits of a float as in the lists.
typedef struct {
    float *weight, *rule;
    uint32_t *sample;
    int32_t n, room;
} finds;

// Working memory of a range of rows.
typedef struct {
    _Alignas(64) int32_t largest[WIDE]; // bits of |term| of the sums
    _Alignas(64) samples at_once;
    finds found;
    const hb_mixture_work *work;
    const hb_mixture_step *step;
    float sigmas[WIDE];  // sigma for each coefficient, 0 behind them
    float *noise;        // (TILE, P, C)
    uint32_t *choice;    // (TILE, P)
    float *row_gradient; // (M): G of the row
    float *exponent;     // (M rounded up to VECTOR): of one sample's rules
    float *all;          // the same: 0, 1, 2, .. as bits
    int64_t *sums;       // (M, WIDE)
    uint32_t *share;     // (M): q of the row
    uint32_t *touched;   // (M + 1): rules whose G is not 0 any more
    hb_mixture_counts counts;
    int32_t n_touched;
} range;

// Appends the exponents of a vector that are not below the cut.
static inline __attribute__((always_inline)) void keep(range *g, hb_vf exponent, hb_vf largest, const float *rules,
                                                       uint32_t sample) {
    const hb_vf below = hb_vf_sub(exponent, largest);
    const uint32_t mask = hb_vf_at_least(below, hb_vf_all(-g->work->cut));
    finds *f = &g->found;
    hb_vf_compress(f->weight + f->n, below, mask);
    hb_vf_compress(f->rule + f->n, hb_vf_load(rules), mask);
    for (int r = 0; r < HB_LANES; r++) f->sample[f->n + r] = sample;
    f->n += __builtin_popcount(mask);
}

// Of all rules.
static void find_dense(range *g, int32_t sample, const float *lambda) {
    const hb_mixture_work *work = g->work;
    const int32_t n = work->mixture.n_rules, padded = (int32_t)work->padded_rules;
    float *exponent = g->exponent;
    distances(work, g->at_once.x[sample], exponent);
    for (int32_t k = 0; k < n; k++) exponent[k] = hb_fma(work->minus_half_precision, exponent[k], lambda[k]);
    for (int32_t k = n; k < padded; k++) exponent[k] = hb_from_bits(HB_MIXTURE_NO_NUMBER); // at least nothing
    const hb_vf largest = hb_vf_all(row_maximum(exponent, n)), least = hb_vf_all(-work->cut);
    for (int32_t k = 0; k < padded; k += HB_LANES) { // few vectors have any
        const hb_vf e = hb_vf_load(exponent + k);
        if (hb_vf_at_least(hb_vf_sub(e, largest), least)) keep(g, e, largest, g->all + k, (uint32_t)sample);
    }
    g->counts.dense++;
}

// Of the rules within the sample's radius, all of them in its list.
static inline __attribute__((always_inline)) void find_near(range *g, int32_t sample, const hb_neighbours *list,
                                                            const float *lambda, const int32_t c_all) {
    const size_t stride = (size_t)(c_all + 1) * VECTOR;
    const float *x = g->at_once.x[sample], radius2 = g->at_once.radius2[sample];
    float *exponent = g->exponent;
    const hb_vf half_precision = hb_vf_all(g->work->minus_half_precision);
    hb_vf largest = hb_vf_all(-3.0e38f);
    int32_t vectors = 0;
    for (; vectors < list->n_vectors && list->nearest[vectors] <= radius2; vectors++)
        for (int r = 0; r < VECTOR; r += HB_LANES) {
            const float *at = list->data + (size_t)vectors * stride + r;
            hb_vf distance = hb_vf_all(0.0f);
            for (int32_t c = 0; c < c_all; c++) {
                const hb_vf difference = hb_vf_sub(hb_vf_all(x[c]), hb_vf_load(at + (c + 1) * VECTOR));
                distance = hb_vf_fma(difference, difference, distance);
            }
            const hb_vf e = hb_vf_fma(half_precision, distance, hb_vf_gather(lambda, at));
            hb_vf_store(exponent + vectors * VECTOR + r, e);
            largest = hb_vf_max(largest, e);
        }
    largest = hb_vf_all(hb_vf_largest(largest));
    for (int32_t k = 0; k < vectors * VECTOR; k += HB_LANES)
        keep(g, hb_vf_load(exponent + k), largest, list->data + (size_t)(k / VECTOR) * stride + k % VECTOR,
             (uint32_t)sample);
}

// Its own rule alone: weight 1.
static inline __attribute__((always_inline)) void find_own(range *g, int32_t sample, uint32_t chosen) {
    finds *f = &g->found;
    f->weight[f->n] = 0.0f;
    f->rule[f->n] = hb_from_bits(chosen);
    f->sample[f->n++] = (uint32_t)sample;
}

#if defined __AVX2__ && !defined __AVX512DQ__
// sums += trunc(term), |term| < 2^39: a float64 of that size, plus 1.5 2^52, has the integer in its last bits.
static inline __attribute__((always_inline)) void add_truncated(int64_t *sums, __m128 term) {
    const __m256d whole = _mm256_round_pd(_mm256_cvtps_pd(term), _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
    const __m256d shift = _mm256_set1_pd(0x1.8p52);
    const __m256i integer =
        _mm256_sub_epi64(_mm256_castpd_si256(_mm256_add_pd(whole, shift)), _mm256_castpd_si256(shift));
    __m256i *at = (__m256i *)sums;
    _mm256_store_si256(at, _mm256_add_epi64(_mm256_load_si256(at), integer));
}
#endif

// The terms z r (x - mu) of one rule to its sums, and the largest |term| by its bits: of which NaN is the largest. x and mu
// are WIDE long, zeros behind their coefficients.
static inline __attribute__((always_inline)) void add_rule_terms(float z, float r, float scale, const float *x,
                                                                 const float *mu, int64_t *sums, int32_t *largest) {
#if defined __AVX512DQ__ && defined __AVX512VL__
    const __m256 weight = _mm256_mul_ps(_mm256_set1_ps(z), _mm256_set1_ps(r));
    const __m256 difference = _mm256_sub_ps(_mm256_load_ps(x), _mm256_load_ps(mu));
    const __m256 term = _mm256_mul_ps(_mm256_mul_ps(weight, difference), _mm256_set1_ps(scale));
    const __m256i magnitude = _mm256_and_si256(_mm256_castps_si256(term), _mm256_set1_epi32(0x7fffffff));
    const __m256 most = _mm256_set1_ps(HB_MIXTURE_LARGEST);
    const __mmask8 fits = _mm256_cmp_ps_mask(_mm256_castsi256_ps(magnitude), most, _CMP_LT_OQ);
    const __m256i seen = _mm256_load_si256((const __m256i *)largest);
    _mm256_store_si256((__m256i *)largest, _mm256_max_epi32(seen, magnitude));
    _mm512_store_si512(sums, _mm512_add_epi64(_mm512_load_si512(sums), _mm512_maskz_cvttps_epi64(fits, term)));
#elif defined __AVX2__
    const __m256 weight = _mm256_mul_ps(_mm256_set1_ps(z), _mm256_set1_ps(r));
    const __m256 difference = _mm256_sub_ps(_mm256_load_ps(x), _mm256_load_ps(mu));
    const __m256 term = _mm256_mul_ps(_mm256_mul_ps(weight, difference), _mm256_set1_ps(scale));
    const __m256 magnitude = _mm256_and_ps(term, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)));
    const __m256i seen = _mm256_load_si256((const __m256i *)largest);
    _mm256_store_si256((__m256i *)largest, _mm256_max_epi32(seen, _mm256_castps_si256(magnitude)));
    const __m256 fitting =
        _mm256_and_ps(term, _mm256_cmp_ps(magnitude, _mm256_set1_ps(HB_MIXTURE_LARGEST), _CMP_LT_OQ));
    add_truncated(sums, _mm256_castps256_ps128(fitting));
    add_truncated(sums + 4, _mm256_extractf128_ps(fitting, 1));
#else
    for (int c = 0; c < HB_MAX_COEFFICIENTS; c++) {
        const float term = hb_mixture_term(z, r, x[c] - mu[c], scale);
        const int32_t magnitude = (int32_t)(hb_bits(term) & 0x7fffffffu);
        largest[c] = magnitude > largest[c] ? magnitude : largest[c];
        sums[c] += hb_mixture_integer(term);
    }
#endif
}

// From exponents to weights and, for samples [begin, end), 1 / their sums.
static void weigh(range *g, int32_t begin, int32_t end) {
    const finds *f = &g->found;
    samples *s = &g->at_once;
    for (int32_t e = 0; e < f->n; e++) f->weight[e] = hb_exp(f->weight[e]);
    for (int32_t b = begin; b < end; b++) s->sum[b] = 0;
    for (int32_t e = 0; e < f->n; e++) s->sum[f->sample[e]] += hb_mixture_weight(f->weight[e]);
    for (int32_t b = begin; b < end; b++) s->inverse[b] = hb_mixture_inverse(s->sum[b]);
    bool empty = false;
    for (int32_t b = begin; b < end; b++) empty |= s->sum[b] == 0;
    if (empty) g->largest[0] = HB_MIXTURE_NO_NUMBER; // no exponent of a sample was a number: an error at the end
}

// Adds the terms of samples [begin, end) to G and the sums, in order; z are the samples' factors.
static void settle(range *g, int32_t begin, int32_t end, const float *z) {
    weigh(g, begin, end);
    const finds found = g->found;
    const samples *s = &g->at_once;
    const float *wide = g->work->wide, scale = g->work->sums_scale;
    float *restrict gradient = g->row_gradient;
    uint32_t *restrict touched = g->touched;
    int32_t n_touched = g->n_touched;
    _Alignas(32) int32_t largest[WIDE] = {0};
    memcpy(largest, g->largest, sizeof largest);
    for (int32_t e = 0; e < found.n; e++) {
        const uint32_t b = found.sample[e], k = hb_bits(found.rule[e]);
        const float r = found.weight[e] * s->inverse[b];
        if (r == 0.0f) continue;
        touched[n_touched] = k;
        n_touched += hb_bits(gradient[k]) == UNTOUCHED;
        gradient[k] = hb_mixture_add(gradient[k], z[b], r); // from -0 as from +0
        add_rule_terms(z[b], r, scale, s->x[b], wide + (size_t)k * WIDE, g->sums + (size_t)k * WIDE, largest);
    }
    memcpy(g->largest, largest, sizeof largest);
    g->n_touched = n_touched;
    g->counts.live += found.n;
    g->found.n = 0;
}

// Computes sample b and the radius within which it must look.
static inline __attribute__((always_inline)) void
begin_sample(range *g, int32_t b, uint32_t chosen, const float *lambda, float row_largest, const float *noise) {
    samples *s = &g->at_once;
    const float *mu = g->work->wide + (size_t)chosen * WIDE;
    float distance = 0.0f;
    for (int c = 0; c < WIDE; c++) { // lanes past C read the next sample's noise, which sigma = 0 discards
        s->x[b][c] = hb_fma(g->sigmas[c], noise[c], mu[c]);
        const float offset = s->x[b][c] - mu[c];
        distance = hb_fma(offset, offset, distance);
    }
    s->offset2[b] = distance;
    s->above[b] = hb_mixture_above(row_largest, lambda[chosen]);
}

// All samples of a row, in their order.
static inline __attribute__((always_inline)) void row_terms(range *g, const float *lambda, const uint32_t *choice,
                                                            const float *noise, const int32_t c_all) {
    const hb_mixture_work *work = g->work;
    const int32_t n = g->step->n_individuals;
    const float largest = row_maximum(lambda, work->mixture.n_rules);
    const bool alone = g->step->hard || work->mixture.n_rules == 1;
    samples *s = &g->at_once;
    for (int32_t first = 0; first < n; first += AT_ONCE) {
        const int32_t count = n - first < AT_ONCE ? n - first : AT_ONCE;
        const float *z = g->step->z + first;
        for (int32_t b = 0; b < count; b++)
            begin_sample(g, b, choice[first + b], lambda, largest, noise + (size_t)(first + b) * (size_t)c_all);
        for (int32_t b = 0; b < AT_ONCE; b++)
            s->radius2[b] = hb_mixture_radius2(s->offset2[b], work->two_variances, work->cut, s->above[b]);
        int32_t settled = 0;
        for (int32_t b = 0; b < count; b++) {
            const uint32_t chosen = choice[first + b];
            const hb_neighbours *list = &work->list[chosen];
            const bool listed = list->n_vectors > 0 && s->radius2[b] <= work->list_radius2;
            if (g->found.n > g->found.room) {
                settle(g, settled, b, z);
                settled = b;
            }
            if (alone || (listed && s->radius2[b] < list->second))
                find_own(g, b, chosen);
            else if (listed)
                find_near(g, b, list, lambda, c_all);
            else
                find_dense(g, b, lambda);
        }
        settle(g, settled, count, z);
    }
}

// The noise and the choices of a tile's rows for all individuals, transposed to (row, individual).
static inline __attribute__((always_inline)) void fill_tile(range *g, int64_t first, int64_t rows,
                                                            const int32_t c_all) {
    const int32_t n = g->step->n_individuals;
    const int64_t begin = first * c_all / HB_NOISE_BLOCK, end = (first + rows) * c_all;
    const int64_t offset = first * c_all - begin * HB_NOISE_BLOCK;
    for (int32_t s = 0; s < n; s++) {
        float block[(HB_MAX_COEFFICIENTS * TILE / HB_NOISE_BLOCK + 2) * HB_NOISE_BLOCK];
        hb_noise id = g->step->noise;
        id.individual = (uint32_t)s;
        for (int64_t b = begin; b * HB_NOISE_BLOCK < end; b++)
            hb_normals_block(id, (uint32_t)b, block + (b - begin) * HB_NOISE_BLOCK);
        for (int64_t i = 0; i < rows; i++)
            memcpy(g->noise + (size_t)(i * n + s) * (size_t)c_all, block + offset + i * c_all,
                   (size_t)c_all * sizeof(float));
        const uint32_t *choice = hb_integers(g->step->choice) + (int64_t)s * g->work->mixture.n_synapses + first;
        for (int64_t i = 0; i < rows; i++) g->choice[i * n + s] = choice[i];
    }
}

// lambda's step, or its gradient, for one row.
static void finish_row(range *g, int64_t i) {
    const hb_mixture_work *work = g->work;
    const size_t m = (size_t)work->mixture.n_rules;
    float *lambda = hb_mixture_row(&work->mixture, i);
    const size_t row = (size_t)(i - work->mixture.first_row) * m;
    const bool shares = g->step->z_sum != 0.0f || g->step->natural;
    uint32_t *share = g->share;
    float inverse = 0.0f;
    if (shares) {
        row_shares(lambda, work->mixture.n_rules, share);
        uint64_t total = 0;
        for (size_t k = 0; k < m; k++) total += share[k];
        inverse = 1.0f / (float)total;
    }
    double norm = 0;
    const size_t n = shares ? m : (size_t)g->n_touched;
    for (size_t f = 0; f < n; f++) {
        const size_t k = shares ? f : g->touched[f];
        const float own = hb_bits(g->row_gradient[k]) == UNTOUCHED ? 0.0f : g->row_gradient[k];
        const float gradient =
            shares ? hb_mixture_lambda_gradient(own, (float)share[k] * inverse, g->step->z_sum, g->step->natural)
                   : own;
        norm += (double)gradient * (double)gradient;
        if (g->step->gradient.address)
            hb_floats(g->step->gradient)[row + k] = gradient;
        else if (gradient != 0.0f)
            lambda[k] = hb_fma(g->step->rate, gradient, lambda[k]);
        if (shares) g->row_gradient[k] = -0.0f;
    }
    for (int32_t f = 0; f < g->n_touched; f++) g->row_gradient[g->touched[f]] = -0.0f;
    g->n_touched = 0;
    if (g->step->row_norm) g->step->row_norm[i] = norm;
}

static inline __attribute__((always_inline)) void gradient_rows(range *g, int64_t begin, int64_t end,
                                                                const int32_t c_all) {
    const hb_mixture_work *work = g->work;
    const hb_mixture_step *step = g->step;
    const int32_t n = step->n_individuals;
    for (int64_t first = begin; first < end; first += TILE) {
        const int64_t rows = end - first < TILE ? end - first : TILE;
        fill_tile(g, first, rows, c_all);
        for (int64_t i = first; i < first + rows; i++) {
            const float *lambda = hb_mixture_row(&work->mixture, i);
            row_terms(g, lambda, g->choice + (i - first) * n, g->noise + (size_t)((i - first) * n) * (size_t)c_all,
                      c_all);
            finish_row(g, i); // NOLINT(clang-analyzer-unix.Malloc): the analyser loses what close_range frees
        }
    }
}

static void close_range(range *g) {
    void *const all[] = {g->noise, g->choice,  g->row_gradient, g->exponent,   g->all,
                         g->share, g->touched, g->found.weight, g->found.rule, g->found.sample};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
}

// Room for the rules of one more sample than `room`.
static bool open_finds(finds *f, size_t padded_rules) {
    f->room = 4 * AT_ONCE;
    const size_t n = (size_t)f->room + padded_rules + VECTOR;
    f->weight = malloc(n * sizeof *f->weight);
    f->rule = malloc(n * sizeof *f->rule);
    f->sample = malloc(n * sizeof *f->sample);
    return f->weight && f->rule && f->sample;
}

static hb_status open_range(range *g, hb_error *error) {
    const size_t m = (size_t)g->work->mixture.n_rules, padded = g->work->padded_rules;
    const size_t tile = (size_t)TILE * (size_t)g->step->n_individuals;
    g->noise = calloc(tile * (size_t)g->work->mixture.n_coefficients + WIDE, sizeof *g->noise);
    g->choice = calloc(tile, sizeof *g->choice);
    g->row_gradient = malloc(m * sizeof *g->row_gradient);
    g->exponent = aligned_alloc(64, padded * sizeof *g->exponent);
    g->all = aligned_alloc(64, padded * sizeof *g->all);
    g->share = calloc(m, sizeof *g->share);
    g->touched = malloc((m + 1) * sizeof *g->touched);
    if (!open_finds(&g->found, padded) || !g->noise || !g->choice || !g->row_gradient || !g->exponent || !g->all ||
        !g->share || !g->touched)
        return hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    for (size_t k = 0; k < m; k++) g->row_gradient[k] = -0.0f;
    for (size_t k = 0; k < padded; k++) g->all[k] = hb_from_bits((uint32_t)k);
    for (int32_t c = 0; c < g->work->mixture.n_coefficients; c++) g->sigmas[c] = g->work->mixture.sigma;
    return HB_OK;
}

static hb_status mixture_gradient(const hb_mixture_work *work, const hb_mixture_step *step, int64_t *sums,
                                  int32_t *largest, hb_mixture_counts *counts, int64_t begin, int64_t end,
                                  hb_error *error) {
    range g = {.work = work, .step = step, .sums = sums};
    const hb_status status = open_range(&g, error);
    if (status == HB_OK) {
        if (work->mixture.n_coefficients == 5)
            gradient_rows(&g, begin, end, 5);
        else
            gradient_rows(&g, begin, end, work->mixture.n_coefficients);
        for (int c = 0; c < WIDE; c++) *largest = g.largest[c] > *largest ? g.largest[c] : *largest;
        *counts = g.counts;
    }
    close_range(&g);
    return status;
}

const hb_cpu_mixture HB_OF_BUILD(hb_cpu_mixture) = {
    .choose = mixture_choose, .neighbours = mixture_neighbours, .gradient = mixture_gradient};
