// Mixtures of shared rules on the CPU, compiled once per instruction set like cpu_body.c. ops.h defines every equation.
//
// The gradient goes through tiles of 32 synapses: their noise is made for all individuals, then row after row is worked
// off while lambda's row stays in the cache. A sample looks only at the rules near
// its own one: neighbour lists, sorted by distance, are complete as far as their radius goes, and where a sample needs
// more it runs through all rules ("dense"). Both find the same numbers: what is left out is exactly 0.
#include "kernels/cpu_mixture.h"
#include "kernels/cpu_noise.h"
#include "kernels/cpu_vector.h"

#include <stdlib.h>
#include <string.h>

enum { VECTOR = 16, TILE = 32, MOST_GUIDE_BITS = 12, WIDE = HB_MIXTURE_WIDE, AT_ONCE = 16 };

// The weights of samples that are worked off together lie a little more apart than they need, so that they do not fall on
// the same cache lines.
enum { NEAR_STRIDE = HB_MIXTURE_MOST_NEAR + 4 * VECTOR };

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
            share[k + r] = (uint32_t)(int32_t)(e * 0x1p30f);
            sum[r] += e;
            moment[r] = hb_fma(e, below, moment[r]);
        }
    for (int r = 0; k + r < n; r++) {
        const float below = row[k + r] - maximum, e = hb_exp(below);
        share[k + r] = (uint32_t)(int32_t)(e * 0x1p30f);
        sum[r] += e;
        moment[r] = hb_fma(e, below, moment[r]);
    }
    float total = 0, mean = 0;
    for (int r = 0; r < VECTOR; r++) total += sum[r], mean += moment[r];
    return hb_log(total) - mean / total;
}

// For each of 2^bits equal parts of the words, the first rule that a word in it can choose. bits grows with M, so that
// few steps are left to do from there.
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
    const float h = row_shares(mixture->lambda + (size_t)i * (size_t)mixture->n_rules, mixture->n_rules, share);
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
    const float *mu = work->mixture.mu + (size_t)k * (size_t)c_all;
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
                    place < n ? work->mixture.mu[(size_t)j * (size_t)c_all + (size_t)c] : 1e18f;
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

// What a range of rows works with.
typedef struct {
    _Alignas(64) int32_t largest[WIDE]; // bits of |term| of the sums
    const hb_mixture_work *work;
    const hb_mixture_step *step;
    float *noise;        // (TILE, P, C)
    uint32_t *choice;    // (TILE, P)
    float *row_gradient; // (M): G of the row
    float *weight;       // (M rounded up to VECTOR): of one sample's rules, all of them, e_k, then w_k
    float *near_weight;  // (AT_ONCE, NEAR_STRIDE): of the rules near each sample
    int64_t *sums;       // (M, WIDE)
    uint32_t *share;     // (M): q of the row
    uint32_t *touched;   // (M): rules whose G is not 0 any more
    hb_mixture_counts counts;
    int32_t n_touched;
} range;

// Exponents, then weights, of rules: by their numbers, or as a list of neighbours has them.
typedef struct {
    float *weight;
    const float *data; // NULL: rule k at place k
    size_t stride;     // from vector to vector
    int32_t n_vectors;
    float largest; // exponent
} places;

// Exponents of all rules.
static places find_dense(range *g, const float *x, const float *lambda) {
    const hb_mixture_work *work = g->work;
    const int32_t n = work->mixture.n_rules, padded = (int32_t)work->padded_rules;
    distances(work, x, g->weight);
    for (int32_t k = 0; k < n; k++) g->weight[k] = hb_fma(work->minus_half_precision, g->weight[k], lambda[k]);
    for (int32_t k = n; k < padded; k++) g->weight[k] = -3.0e38f;
    return (places){g->weight, NULL, VECTOR, padded / VECTOR, row_maximum(g->weight, n)};
}

// Exponents of the rules within `radius2` of the sample's own, all of them in its list.
static inline __attribute__((always_inline)) places find_near(const range *g, const hb_neighbours *list,
                                                              const float *x, const float *lambda, float radius2,
                                                              float *weight, const int32_t c_all) {
    const size_t stride = (size_t)(c_all + 1) * VECTOR;
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
            hb_vf_store(weight + vectors * VECTOR + r, e);
            largest = hb_vf_max(largest, e);
        }
    return (places){weight, list->data, stride, vectors, hb_vf_largest(largest)};
}

// From exponents to w_k; returns 1 / (their sum).
static inline __attribute__((always_inline)) float weigh(const range *g, const places *found) {
    const float least = -g->work->cut;
    int64_t sum[VECTOR] = {0};
    for (int32_t v = 0; v < found->n_vectors; v++) {
        float *weight = found->weight + v * VECTOR;
        uint32_t any = 0;
        for (int r = 0; r < VECTOR; r += HB_LANES)
            any |= hb_vf_at_least(hb_vf_sub(hb_vf_load(weight + r), hb_vf_all(found->largest)), hb_vf_all(least));
        if (!any) { // most vectors of a dense sample
            memset(weight, 0, VECTOR * sizeof *weight);
            continue;
        }
        float below[VECTOR], w[VECTOR]; // three loops, each of which is vectorised
        for (int r = 0; r < VECTOR; r++) below[r] = weight[r] - found->largest;
        for (int r = 0; r < VECTOR; r++) w[r] = hb_exp(below[r]);
        for (int r = 0; r < VECTOR; r++) weight[r] = below[r] >= least ? w[r] : 0.0f;
        for (int r = 0; r < VECTOR; r++) sum[r] += hb_mixture_weight(weight[r]);
    }
    int64_t total = 0;
    for (int r = 0; r < VECTOR; r++) total += sum[r];
    return hb_mixture_inverse(total);
}

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
#else
    for (int c = 0; c < HB_MAX_COEFFICIENTS; c++) {
        const float term = hb_mixture_term(z, r, x[c] - mu[c], scale);
        const int32_t magnitude = (int32_t)(hb_bits(term) & 0x7fffffffu);
        largest[c] = magnitude > largest[c] ? magnitude : largest[c];
        sums[c] += hb_mixture_integer(term);
    }
#endif
}

// Adds what a sample says of rule k: z r to G_k, z r (x - mu_k) to the sums.
static inline __attribute__((always_inline)) void add_terms(range *g, const float x[WIDE], float z, size_t k,
                                                            float r) {
    float *gradient = &g->row_gradient[k];
    if (hb_bits(*gradient) == 0x80000000u) { // the mark of a rule that no sample has touched
        g->touched[g->n_touched++] = (uint32_t)k;
        *gradient = 0.0f;
    }
    *gradient = hb_fma(z, r, *gradient);
    add_rule_terms(z, r, g->work->sums_scale, x, g->work->wide + k * WIDE, g->sums + k * WIDE, g->largest);
}

// The same for all rules that count, those whose w is not 0.
static inline __attribute__((always_inline)) void add_all_terms(range *g, const places *found, const float x[WIDE],
                                                                float z, float inverse) {
    const hb_vf smallest = hb_vf_all(hb_from_bits(1));
    for (int32_t v = 0; v < found->n_vectors * VECTOR; v += HB_LANES) {
        uint32_t mask = hb_vf_at_least(hb_vf_load(found->weight + v), smallest);
        g->counts.live += __builtin_popcount(mask);
        const float *rules = found->data ? found->data + (size_t)(v / VECTOR) * found->stride + v % VECTOR : NULL;
        for (; mask; mask &= mask - 1) {
            const int place = __builtin_ctz(mask);
            const float r = found->weight[v + place] * inverse;
            if (r != 0.0f) add_terms(g, x, z, rules ? hb_bits(rules[place]) : (uint32_t)(v + place), r);
        }
    }
}

// A sample on its way through three stages, which go over AT_ONCE samples each: the branches of one stage are then
// not waited for by the long chains of operations of another.
typedef struct {
    _Alignas(32) float x[WIDE];
    uint32_t chosen;
    enum { ALONE, NEAR, DENSE } how;
    places found;  // NEAR
    float inverse; // NEAR
} sample;

// Makes the sample, and says which rules it has to look at: where it is NEAR, their exponents.
static inline __attribute__((always_inline)) void begin_sample(const range *g, sample *s, const float *lambda,
                                                               float row_largest, const float *noise,
                                                               float *near_weight, const int32_t c_all) {
    const hb_mixture_work *work = g->work;
    const float *mu = work->wide + (size_t)s->chosen * WIDE;
    float distance = 0.0f;
    for (int32_t c = 0; c < WIDE; c++) s->x[c] = 0.0f;
    for (int32_t c = 0; c < c_all; c++) {
        s->x[c] = hb_fma(work->mixture.sigma, noise[c], mu[c]);
        distance = hb_fma(s->x[c] - mu[c], s->x[c] - mu[c], distance);
    }
    const float radius2 =
        hb_mixture_radius2(distance, work->two_variances, work->cut, row_largest - lambda[s->chosen]);
    const hb_neighbours *list = &work->list[s->chosen];
    const bool listed = list->n_vectors > 0 && radius2 <= work->list_radius2;
    const bool alone = g->step->hard || work->mixture.n_rules == 1 || (listed && radius2 < list->second);
    s->how = alone ? ALONE : listed ? NEAR : DENSE;
    if (s->how == NEAR) s->found = find_near(g, list, s->x, lambda, radius2, near_weight, c_all);
}

static inline __attribute__((always_inline)) void end_sample(range *g, const sample *s, const float *lambda,
                                                             float z) {
    if (s->how == ALONE) {
        g->counts.live++;
        add_terms(g, s->x, z, s->chosen, 1.0f);
    } else if (s->how == NEAR) {
        add_all_terms(g, &s->found, s->x, z, s->inverse);
    } else {
        const places found = find_dense(g, s->x, lambda);
        const float inverse = weigh(g, &found);
        add_all_terms(g, &found, s->x, z, inverse);
        g->counts.dense++;
    }
}

// All samples of a row, in their order.
static inline __attribute__((always_inline)) void row_terms(range *g, const float *lambda, const uint32_t *choice,
                                                            const float *noise, const int32_t c_all) {
    const int32_t n = g->step->n_individuals;
    const float largest = row_maximum(lambda, g->work->mixture.n_rules);
    sample at_once[AT_ONCE] = {{.chosen = 0}};
    for (int32_t first = 0; first < n; first += AT_ONCE) {
        const int32_t count = n - first < AT_ONCE ? n - first : AT_ONCE;
        for (int32_t b = 0; b < count; b++) {
            at_once[b].chosen = choice[first + b];
            begin_sample(g, &at_once[b], lambda, largest, noise + (size_t)(first + b) * (size_t)c_all,
                         g->near_weight + (size_t)b * NEAR_STRIDE, c_all);
        }
        for (int32_t b = 0; b < count; b++)
            if (at_once[b].how == NEAR) at_once[b].inverse = weigh(g, &at_once[b].found);
        for (int32_t b = 0; b < count; b++) end_sample(g, &at_once[b], lambda, g->step->z[first + b]);
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
        const uint32_t *choice = g->step->choice + (int64_t)s * g->work->mixture.n_synapses + first;
        for (int64_t i = 0; i < rows; i++) g->choice[i * n + s] = choice[i];
    }
}

// lambda's step, or its gradient, for one row.
static void finish_row(range *g, int64_t i) {
    const hb_mixture_work *work = g->work;
    const size_t m = (size_t)work->mixture.n_rules;
    float *lambda = work->mixture.lambda + (size_t)i * m;
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
        const float own = hb_bits(g->row_gradient[k]) == 0x80000000u ? 0.0f : g->row_gradient[k];
        const float gradient =
            shares ? hb_mixture_lambda_gradient(own, (float)share[k] * inverse, g->step->z_sum, g->step->natural)
                   : own;
        norm += (double)gradient * (double)gradient;
        if (g->step->gradient)
            g->step->gradient[(size_t)i * m + k] = gradient;
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
            const float *lambda = work->mixture.lambda + (size_t)i * (size_t)work->mixture.n_rules;
            row_terms(g, lambda, g->choice + (i - first) * n, g->noise + (size_t)((i - first) * n) * (size_t)c_all,
                      c_all);
            finish_row(g, i); // NOLINT(clang-analyzer-unix.Malloc): the analyser loses what close_range frees
        }
    }
}

static void close_range(range *g) {
    free(g->noise);
    free(g->choice);
    free(g->row_gradient);
    free(g->weight);
    free(g->near_weight);
    free(g->share);
    free(g->touched);
}

static hb_status open_range(range *g, hb_error *error) {
    const size_t m = (size_t)g->work->mixture.n_rules, tile = (size_t)TILE * (size_t)g->step->n_individuals;
    g->noise = calloc(tile * (size_t)g->work->mixture.n_coefficients, sizeof *g->noise);
    g->choice = calloc(tile, sizeof *g->choice);
    g->row_gradient = malloc(m * sizeof *g->row_gradient);
    g->weight = aligned_alloc(64, g->work->padded_rules * sizeof *g->weight);
    g->near_weight = aligned_alloc(64, (size_t)AT_ONCE * NEAR_STRIDE * sizeof *g->near_weight);
    g->share = calloc(m, sizeof *g->share);
    g->touched = malloc(m * sizeof *g->touched);
    if (!g->noise || !g->choice || !g->row_gradient || !g->weight || !g->near_weight || !g->share || !g->touched)
        return hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    for (size_t k = 0; k < m; k++) g->row_gradient[k] = -0.0f;
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

const hb_cpu_mixture HB_JOIN(hb_cpu_mixture_, HB_CPU_BODY) = {
    .choose = mixture_choose, .neighbours = mixture_neighbours, .gradient = mixture_gradient};
