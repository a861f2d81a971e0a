// Mixtures of shared rules on the CPU, compiled once per instruction set like cpu_body.c. ops.h defines every equation.
//
// The gradient goes through tiles of 64 synapses: their noise is made for all individuals (five blocks of 64 numbers
// each), then row after row is worked off while lambda's row stays in the cache. A sample looks only at the rules near
// its own one: neighbour lists, sorted by distance, are complete as far as their radius goes, and where a sample needs
// more it runs through all rules ("dense"). Both find the same numbers: what is left out is exactly 0.
#include "kernels/cpu_mixture.h"
#include "kernels/cpu_noise.h"
#include "kernels/cpu_vector.h"

#include <stdlib.h>
#include <string.h>

enum { VECTOR = 16, TILE = HB_NOISE_BLOCK, MOST_GUIDE_BITS = 12, WIDE = HB_MIXTURE_WIDE };

// ---------------------------------------------------------------------------------------------------
// Choose

static float row_maximum(const float *row, int32_t n) {
    // Ordered like floats, as integers: the vectoriser may reorder an integer maximum.
    int32_t largest = INT32_MIN;
    for (int32_t k = 0; k < n; k++) {
        const int32_t bits = (int32_t)hb_bits(row[k]);
        const int32_t ordered = bits ^ (bits >> 31 & 0x7fffffff);
        largest = ordered > largest ? ordered : largest;
    }
    return hb_from_bits((uint32_t)(largest ^ (largest >> 31 & 0x7fffffff)));
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
    uint32_t *share = malloc(m * sizeof *share), *chosen = malloc(VECTOR * n * sizeof *chosen);
    uint64_t *cumulated = malloc(m * sizeof *cumulated);
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

// A list that would hold more rules than this is not worth having: its rule's samples run dense.
static int32_t longest_list(int32_t n_rules) {
    return n_rules / 4 < 2048 ? n_rules / 4 : 2048;
}

static hb_status make_list(hb_mixture_work *work, int32_t k, float *distance, hb_near *near, hb_error *error) {
    const int32_t c_all = work->mixture.n_coefficients;
    const float *mu = work->mixture.mu + (size_t)k * (size_t)c_all;
    distances(work, mu, distance);
    int32_t n = 0;
    const int32_t most = longest_list(work->mixture.n_rules);
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

// The rules of one sample that count: e_k, then w_k, then r_k.
typedef struct {
    uint32_t rule;
    float value;
} live;

// What a range of rows works with.
typedef struct {
    const hb_mixture_work *work;
    const hb_mixture_step *step;
    float *noise;        // (TILE, P, C)
    uint32_t *choice;    // (TILE, P)
    float *row_gradient; // (M): G of the row
    float *exponent;     // (M), dense
    live *found;         // (M)
    int64_t *sums;       // (M, WIDE)
    uint32_t *touched;   // (M): rules whose G is not 0 any more
    int32_t n_touched;
    int32_t largest[WIDE]; // bits of |term| of the sums
    hb_mixture_counts counts;
} range;

static float exponent_of(const hb_mixture_work *work, float distance, float lambda) {
    return hb_fma(work->minus_half_precision, distance, lambda);
}

// All rules: exponents, their maximum, those above the cut.
static int32_t find_dense(range *g, const float *x, const float *lambda) {
    const hb_mixture_work *work = g->work;
    const int32_t n = work->mixture.n_rules;
    distances(work, x, g->exponent);
    for (int32_t k = 0; k < n; k++) g->exponent[k] = exponent_of(work, g->exponent[k], lambda[k]);
    const float maximum = row_maximum(g->exponent, n), least = -work->cut;
    int32_t found = 0;
    for (int32_t k = 0; k < n; k += VECTOR) {
        const int32_t end = k + VECTOR < n ? k + VECTOR : n;
        int any = 0;
        for (int32_t j = k; j < end; j++) any |= g->exponent[j] - maximum >= least;
        for (int32_t j = k; any && j < end; j++)
            if (g->exponent[j] - maximum >= least) g->found[found++] = (live){(uint32_t)j, g->exponent[j] - maximum};
    }
    return found;
}

// The rules within `radius2` of the sample's own, all of them in its list.
static inline __attribute__((always_inline)) int32_t find_near(range *g, const hb_neighbours *list, const float *x,
                                                               const float *lambda, float radius2,
                                                               const int32_t c_all) {
    const hb_mixture_work *work = g->work;
    float *exponent = g->exponent;
    const size_t stride = (size_t)(c_all + 1) * VECTOR;
    const hb_vf half_precision = hb_vf_all(work->minus_half_precision);
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
    const float maximum = hb_vf_largest(largest);
    int32_t found = 0;
    for (int32_t v = 0; v < vectors * VECTOR; v += HB_LANES) {
        const hb_vf below = hb_vf_sub(hb_vf_load(exponent + v), hb_vf_all(maximum));
        uint32_t mask = hb_vf_at_least(below, hb_vf_all(-work->cut));
        const float *rule = list->data + (size_t)(v / VECTOR) * stride + v % VECTOR;
        for (; mask; mask &= mask - 1) {
            const int r = __builtin_ctz(mask);
            g->found[found++] = (live){hb_bits(rule[r]), exponent[v + r] - maximum};
        }
    }
    return found;
}

// From exponents below the maximum to r_k.
static void responsibilities(live *found, int32_t n) {
    int64_t sum = 0;
    for (int32_t f = 0; f < n; f++) {
        found[f].value = hb_exp(found[f].value);
        sum += hb_mixture_weight(found[f].value);
    }
    const float inverse = hb_mixture_inverse(sum);
    for (int32_t f = 0; f < n; f++) found[f].value *= inverse;
}

// Adds what a sample of the row says: z r_k to G_k, z r_k (x - mu_k) to the sums. x and the rules are WIDE long here, zeros
// behind their coefficients: one vector.
static inline __attribute__((always_inline)) void add_terms(range *g, const float x[WIDE], float z, int32_t n) {
    const float scale = g->work->sums_scale;
    for (int32_t f = 0; f < n; f++) {
        const size_t k = g->found[f].rule;
        const float weight = g->found[f].value;
        if (weight == 0.0f) continue;
        float *gradient = &g->row_gradient[k];
        if (hb_bits(*gradient) == 0x80000000u) { // the mark of a rule that no sample has touched
            g->touched[g->n_touched++] = (uint32_t)k;
            *gradient = 0.0f;
        }
        *gradient = hb_fma(z, weight, *gradient);
        const float *mu = g->work->wide + k * WIDE;
        int64_t *sums = g->sums + k * WIDE;
        for (int c = 0; c < WIDE; c++) {
            const float term = hb_mixture_term(z, weight, x[c] - mu[c], scale);
            const int32_t magnitude = (int32_t)(hb_bits(term) & 0x7fffffffu);
            g->largest[c] = magnitude > g->largest[c] ? magnitude : g->largest[c]; // by bits: NaN is the largest
            sums[c] += hb_mixture_integer(term);
        }
    }
}

static inline __attribute__((always_inline)) void sample_terms(range *g, const float *lambda, float row_largest,
                                                               uint32_t chosen, const float *noise, float z,
                                                               const int32_t c_all) {
    const hb_mixture_work *work = g->work;
    const float *mu = work->wide + (size_t)chosen * WIDE;
    float x[WIDE] = {0}, distance = 0.0f;
    for (int32_t c = 0; c < c_all; c++) {
        x[c] = hb_fma(work->mixture.sigma, noise[c], mu[c]);
        distance = hb_fma(x[c] - mu[c], x[c] - mu[c], distance);
    }
    int32_t n = 1;
    if (g->step->hard) {
        g->found[0] = (live){chosen, 1.0f};
    } else {
        // A rule at distance d of the chosen one has an exponent at most (|u| d - d^2 / 2) / sigma^2 + max lambda -
        // lambda_chosen above the chosen one's, u being the sample's own offset: with d = |u| + sqrt(|u|^2 + 2 sigma^2
        // room), and beyond, it is below the cut.
        const float room = work->two_variances * (work->cut + 0.05f + (row_largest - lambda[chosen]));
        const float radius2 = 1.001f * (2.0f * distance + room + 2.0f * hb_sqrt(distance * (distance + room)));
        const hb_neighbours *list = &work->list[chosen];
        const bool near = list->n_vectors > 0 && radius2 <= work->list_radius2;
        if (near && radius2 < list->second) {
            g->found[0].rule = chosen;
        } else if (near) {
            n = find_near(g, list, x, lambda, radius2, c_all);
        } else {
            n = find_dense(g, x, lambda);
            g->counts.dense++;
        }
        g->counts.live += n;
        if (n == 1)
            g->found[0].value = 1.0f;
        else
            responsibilities(g->found, n);
    }
    add_terms(g, x, z, n);
}

// The noise and the choices of a tile's rows for all individuals, transposed to (row, individual).
static inline __attribute__((always_inline)) void fill_tile(range *g, int64_t first, int64_t rows,
                                                            const int32_t c_all) {
    const int32_t n = g->step->n_individuals;
    for (int32_t s = 0; s < n; s++) {
        float block[HB_MAX_COEFFICIENTS * TILE];
        hb_noise id = g->step->noise;
        id.individual = (uint32_t)s;
        for (int32_t b = 0; b < c_all; b++)
            hb_normals_block(id, (uint32_t)(first * c_all / TILE) + (uint32_t)b, block + (size_t)b * TILE);
        for (int64_t i = 0; i < rows; i++)
            memcpy(g->noise + (size_t)(i * n + s) * (size_t)c_all, block + i * c_all, (size_t)c_all * sizeof(float));
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
    uint32_t *share = (uint32_t *)g->exponent;
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
            const float *noise = g->noise + (size_t)((i - first) * n) * (size_t)c_all;
            const float largest = row_maximum(lambda, work->mixture.n_rules);
            for (int32_t s = 0; s < n; s++)
                sample_terms(g, lambda, largest, g->choice[(i - first) * n + s], noise + (size_t)s * (size_t)c_all,
                             step->z[s], c_all);
            finish_row(g, i);
        }
    }
}

static hb_status mixture_gradient(const hb_mixture_work *work, const hb_mixture_step *step, int64_t *sums,
                                  int32_t *largest, hb_mixture_counts *counts, int64_t begin, int64_t end,
                                  hb_error *error) {
    const size_t m = (size_t)work->mixture.n_rules, padded = work->padded_rules;
    const int32_t c_all = work->mixture.n_coefficients;
    range g = {.work = work, .step = step, .sums = sums};
    g.noise = malloc((size_t)TILE * (size_t)step->n_individuals * (size_t)c_all * sizeof *g.noise);
    g.choice = malloc((size_t)TILE * (size_t)step->n_individuals * sizeof *g.choice);
    g.row_gradient = malloc(m * sizeof *g.row_gradient);
    g.exponent = aligned_alloc(64, padded * sizeof *g.exponent);
    g.found = malloc(m * sizeof *g.found);
    g.touched = malloc(m * sizeof *g.touched);
    hb_status status = HB_OK;
    if (!g.noise || !g.choice || !g.row_gradient || !g.exponent || !g.found || !g.touched)
        status = hb_fail(error, HB_FAILED, "out of memory for the mixture's gradient");
    if (status == HB_OK) {
        for (size_t k = 0; k < m; k++) g.row_gradient[k] = -0.0f;
        if (c_all == 5)
            gradient_rows(&g, begin, end, 5);
        else
            gradient_rows(&g, begin, end, c_all);
        for (int c = 0; c < WIDE; c++) *largest = g.largest[c] > *largest ? g.largest[c] : *largest;
        *counts = g.counts;
    }
    free(g.noise);
    free(g.choice);
    free(g.row_gradient);
    free(g.exponent);
    free(g.found);
    free(g.touched);
    return status;
}

const hb_cpu_mixture HB_JOIN(hb_cpu_mixture_, HB_CPU_BODY) = {
    .choose = mixture_choose, .neighbours = mixture_neighbours, .gradient = mixture_gradient};
