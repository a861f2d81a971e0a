// Mixtures of shared rules: h_i ~ sum_k softmax(lambda_i)_k N(mu_k, sigma^2 I) for synapse i (docs/equations.md, "Mixture"). Shapes,
// and the scalar steps that all devices share; the order of operations is defined in ops.h.
#ifndef HB_MIXTURE_H
#define HB_MIXTURE_H

#include "kernels/error.h"
#include "kernels/memory.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// The distribution.
typedef struct {
    hb_memory lambda; // (N, M), or the rows from first_row on that are here
    int64_t first_row;
    hb_memory mu; // (M, C)
    float sigma;
    int64_t n_synapses; // N
    int32_t n_rules, n_coefficients;
} hb_mixture;

// Row i of lambda.
HB_HD float *hb_mixture_row(const hb_mixture *mixture, int64_t i) {
    return hb_floats(mixture->lambda) + (i - mixture->first_row) * mixture->n_rules;
}

// Statistics over all samples (individual and synapse): the number of rules with a weight above 0, and the number of samples that
// needed a larger radius than their list has, so that all rules were computed (with step.dense: all samples).
typedef struct {
    int64_t live, dense;
} hb_mixture_counts;

// Where several processes have rows: sums (n), the counts and *largest (bits of a float that is not negative) become the sums, and the
// largest, of all processes. True unless they cannot.
typedef bool hb_mixture_share_function(void *context, int64_t *sums, size_t n, hb_mixture_counts *counts,
                                       uint32_t *largest);

// The step of one generation. Pointers are to host memory, hb_memory is the device's.
typedef struct {
    hb_memory choice;      // (P, N) integers: the rule that each individual's synapse was drawn from
    const float *z;        // (P)
    int32_t n_individuals; // P
    hb_noise noise;        // of the individuals' genomes; .individual is filled in
    float z_sum;           // the sum of z; exactly 0 if shaping makes it so: then the term -z_sum pi of G is left out
    bool dense;            // compute every rule for every sample: the same bits, slower
    bool hard;             // r is 1 for the drawn rule and 0 for the others
    bool natural;          // lambda's gradient is divided by max(pi, 1e-3)
    float rate;            // without `gradient`: lambda <- lambda + rate G
    hb_memory
        gradient;     // as lambda, zeroed by the caller, or {NULL}. If given, it receives G and lambda does not move
    double *row_norm; // (N), nullable: sum_k G_ik^2
    hb_mixture_share_function *share; // nullable: all rows are here
    void *share_context;
} hb_mixture_step;

typedef struct hb_mixture_work hb_mixture_work; // private to each device; its first member is its hb_device *

// ---------------------------------------------------------------------------------------------------
// Scalar steps

// A rule's share of a row as an integer: trunc(2^30 e) of e = exp(lambda_k - max lambda) in [0, 1].
HB_HD uint32_t hb_mixture_share(float e) {
    return (uint32_t)(int32_t)(e * 0x1p30f);
}

// floor(word total / 2^32), uniform in [0, total) for a uniform word.
HB_HD uint64_t hb_mixture_threshold(uint32_t word, uint64_t total) {
    return (total >> 32) * word + ((total & 0xffffffffu) * word >> 32);
}

// w in [0, 1] as an integer multiple of 2^-40.
HB_HD int64_t hb_mixture_weight(float w) {
    return (int64_t)(w * 0x1p40f);
}

// 2^40 / W for a sum of such weights.
HB_HD float hb_mixture_inverse(int64_t sum) {
    return 1.0f / ((float)sum * 0x1p-40f);
}

// A scaled term of the sum for mu: z r (x - mu) 2^F. It is added as a 64-bit integer, because integers may be added in any order,
// by any number of threads, and give the same sum. F is such that |z| 2^F <= 2^30, and terms must be below 2^39
// (HB_MIXTURE_LARGEST), which allows |x - mu| up to 512. A sum has at most P N terms; hb_mixture_finish checks that they fit.
HB_HD float hb_mixture_term(float z, float r, float difference, float scale) {
    return z * r * difference * scale;
}

// Bits of a NaN, larger than those of any |term|. It stands for the largest |term| where a sample has no finite exponent, so that
// hb_mixture_finish fails.
#define HB_MIXTURE_NO_NUMBER 0x7fffffff

#define HB_MIXTURE_BITS      30
#define HB_MIXTURE_MOST_BITS 100
#define HB_MIXTURE_LARGEST   0x1p39f

// The term as an integer, rounded towards 0. A term that is too large or NaN counts as 0 here and is reported at the end.
HB_HD int64_t hb_mixture_integer(float term) {
    const float magnitude = hb_from_bits(hb_bits(term) & 0x7fffffffu);
    return magnitude < HB_MIXTURE_LARGEST ? (int64_t)term : 0;
}

// G_ik after one more sample. A result of zero is always +0. (So -0 can mark elements that no sample has added to; the CPU's
// kernel does that.)
HB_HD float hb_mixture_add(float g, float z, float r) {
    return hb_fma(z, r, g) + 0.0f;
}

// G_ik from its sum of z r, pi_ik, and sum z.
HB_HD float hb_mixture_lambda_gradient(float sum, float pi, float z_sum, bool natural) {
    const float plain = hb_fma(-z_sum, pi, sum);
    return natural ? plain / (pi > 1e-3f ? pi : 1e-3f) : plain;
}

// The radius within which a sample finds every rule that counts. A rule at distance d of the sample's own rule has an exponent
// that is larger than the own rule's by at most (|u| d - d^2 / 2) / sigma^2 + above; u is the sample's offset from its rule,
// offset2 = |u|^2, and `above` is how much the row's largest lambda exceeds the own rule's. So beyond the distance
// d = |u| + sqrt(|u|^2 + room), room = 2 sigma^2 (cut + above), exponents are more than `cut` below the largest. The factors 1.001 and 0.05 cover
// rounding errors; `above` includes 16 units in the last place of lambda for the rounding of exponents of that size.
HB_HD float hb_mixture_above(float row_largest, float lambda) {
    const float size = row_largest < 0.0f ? -row_largest : row_largest;
    return hb_fma(0x1p-19f, size, row_largest - lambda);
}

HB_HD float hb_mixture_radius2(float offset2, float two_variances, float cut, float above) {
    const float room = two_variances * (cut + 0.05f + above);
    return 1.001f * (2.0f * offset2 + room + 2.0f * hb_sqrt(offset2 * (offset2 + room)));
}

// Lists of neighbours reach as far as a sample with an offset of 5 sigma and a lambda 6 below the row's largest needs. A list with
// more than a quarter of the rules, or more than HB_MIXTURE_MOST_NEAR, is not made.
#define HB_MIXTURE_MOST_NEAR 2048
#define HB_MIXTURE_FEWEST    64 // rules: with fewer, computing all is faster than making lists

HB_HD int32_t hb_mixture_longest_list(int32_t n_rules) {
    return n_rules / 4 < HB_MIXTURE_MOST_NEAR ? n_rules / 4 : HB_MIXTURE_MOST_NEAR;
}

// The squared radius of the lists; 0 if the step needs none or there are too few rules.
float hb_mixture_list_radius2(const hb_mixture *mixture, const hb_mixture_step *step);

// A rule whose exponent is more than 17.33 + ln M below the largest is given the weight 0, by definition (ops.h): M such rules would
// have less than 2^-25 of the sum, so a float would not show them.
float hb_mixture_cut(int32_t n_rules);

// What a device has summed over the rows that it was given.
typedef struct {
    const int64_t *sum; // A, `stride` numbers per rule
    size_t stride;
    uint32_t largest; // bits of the largest |term|
    float scale;      // 2^F
} hb_mixture_sums;

// g (M, C) = A (1 / (2^F sigma^2)) from the sums and counts, after they were shared if the step says so. Fails if the sums may have
// overflowed: if the largest |term| is not below HB_MIXTURE_LARGEST (a NaN is not), or P N terms of that size reach 2^63.
hb_status hb_mixture_finish(const hb_mixture *mixture, const hb_mixture_step *step, const hb_mixture_sums *sums,
                            hb_mixture_counts *counts, float *g, hb_error *error);

// 2^F for these z: the largest power of two with |z| 2^F <= 2^30, at most 2^100.
float hb_mixture_sums_scale(const float *z, int32_t n);

#ifdef __cplusplus
}
#endif

#endif
