// Exact scalar math shared by every device: Philox, uniform, normal, tanh, exp, log, sin, cos, atan2, asin.
//
// Every function is built from IEEE-exact operations only (+ - * / sqrt, integer operations, explicit
// fmaf), so that any compiler that neither contracts nor relaxes floating point gives the same bits:
// a scalar loop, its vectorised form, AVX2, AVX-512 and CUDA. Compile with -ffp-contract=off, or
// --fmad=false --prec-div=true --prec-sqrt=true --ftz=false. The functions are free of branches so that
// a plain loop over them vectorises. Accuracy is measured in ulps by tests/kernels/test_scalar.c.
#ifndef HB_SCALAR_H
#define HB_SCALAR_H

#include <stdint.h>

#ifdef __CUDACC__
#define HB_HD static __host__ __device__ __forceinline__
#else
#define HB_HD static inline __attribute__((always_inline, unused))
#endif

// The bits of a float as an integer, and back.
HB_HD uint32_t hb_bits(float x) {
    union {
        float f;
        uint32_t u;
    } v;
    v.f = x;
    return v.u;
}

HB_HD float hb_from_bits(uint32_t u) {
    union {
        uint32_t u;
        float f;
    } v;
    v.u = u;
    return v.f;
}

// a * b + c with one rounding.
HB_HD float hb_fma(float a, float b, float c) {
#ifdef __CUDACC__
    return fmaf(a, b, c);
#else
    return __builtin_fmaf(a, b, c);
#endif
}

HB_HD float hb_sqrt(float x) {
#ifdef __CUDACC__
    return sqrtf(x);
#else
    return __builtin_sqrtf(x);
#endif
}

// ---------------------------------------------------------------------------------------------------
// IEEE half precision, as bits

// The nearest half, ties to even; beyond 65504 it is infinite, NaN stays NaN.
HB_HD uint16_t hb_half_bits(float x) {
    const uint32_t sign = hb_bits(x) >> 16 & 0x8000u, magnitude = hb_bits(x) & 0x7fffffffu;
    // Adding 1/2 leaves a subnormal half in the lower bits, rounded by the addition itself.
    const uint32_t subnormal = hb_bits(hb_from_bits(magnitude) + 0.5f) - 0x3f000000u;
    const uint32_t normal = (magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u)) >> 13;
    const uint32_t special = magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u;
    return (uint16_t)(sign | (magnitude >= 0x47800000u ? special : magnitude < 0x38800000u ? subnormal : normal));
}

// The number that a half stands for, exactly.
HB_HD float hb_half_value(uint16_t half) {
#ifdef __CUDA_ARCH__
    float value; // one instruction there
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(half));
    return value;
#else
    const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, shifted = (uint32_t)(half & 0x7fffu) << 13;
    const uint32_t exponent = shifted & 0x0f800000u, rebased = shifted + 0x38000000u;
    const float subnormal = hb_from_bits(rebased + 0x00800000u) - 6.103515625e-05f;
    const uint32_t bits = exponent == 0x0f800000u ? rebased + 0x38000000u
                          : exponent == 0         ? hb_bits(subnormal)
                                                  : rebased;
    return hb_from_bits(bits | sign);
#endif
}

// ---------------------------------------------------------------------------------------------------
// exp, expm1, tanh

// Adding and subtracting 1.5 * 2^23 rounds |x| < 2^22 to the nearest integer, ties to even.
#define HB_ROUND_MAGIC 12582912.0f

// 2^k for an integer k in [-126, 127].
HB_HD float hb_exp2_int(int32_t k) {
    return hb_from_bits((uint32_t)(k + 127) << 23);
}

// Splits x = k ln 2 + r with |r| <= ln(2)/2 and returns expm1(r); *k receives k. Needs |x| < 2^20.
// ln 2 is split so that k times its upper part is exact; the polynomial is Taylor's to degree 8, whose
// remainder on the interval is below 2^-31.
HB_HD float hb_expm1_reduced(float x, int32_t *k) {
    const float shifted = hb_fma(x, 1.44269504f, HB_ROUND_MAGIC);
    const float n = shifted - HB_ROUND_MAGIC;
    float r = hb_fma(n, -0.693359375f, x);
    r = hb_fma(n, 2.12194440e-4f, r);
    float p = 1.0f / 40320.0f;
    p = hb_fma(p, r, 1.0f / 5040.0f);
    p = hb_fma(p, r, 1.0f / 720.0f);
    p = hb_fma(p, r, 1.0f / 120.0f);
    p = hb_fma(p, r, 1.0f / 24.0f);
    p = hb_fma(p, r, 1.0f / 6.0f);
    p = hb_fma(p, r, 0.5f);
    *k = (int32_t)(hb_bits(shifted) - hb_bits(HB_ROUND_MAGIC));
    return hb_fma(p * r, r, r);
}

// e^x. Overflows to +inf above 88.72, underflows gradually to 0 below -103.97; NaN gives NaN.
HB_HD float hb_exp(float x) {
    const float low = x < -104.0f ? -104.0f : x;
    const float clamped = low > 89.0f ? 89.0f : low;
    int32_t k;
    const float p = hb_expm1_reduced(clamped, &k);
    const int32_t half = k >> 1;
    // 2^k in two factors, because k reaches -150 and 128.
    return (p + 1.0f) * hb_exp2_int(half) * hb_exp2_int(k - half);
}

// tanh(x) = expm1(2|x|) / (expm1(2|x|) + 2), with the sign of x. |x| > 10 gives exactly 1.
HB_HD float hb_tanh(float x) {
    const uint32_t sign = hb_bits(x) & 0x80000000u;
    const float magnitude = hb_from_bits(hb_bits(x) & 0x7fffffffu);
    const float a = magnitude > 10.0f ? 10.0f : magnitude; // NaN stays NaN
    int32_t k;
    const float p = hb_expm1_reduced(a + a, &k);
    const float scale = hb_exp2_int(k & 63); // k is in [0, 29]; the mask keeps NaN's k legal
    const float em1 = hb_fma(scale, p, scale - 1.0f);
    return hb_from_bits(hb_bits(em1 / (em1 + 2.0f)) | sign);
}

// 1 / (1 + e^-x) = (1 + tanh(x / 2)) / 2.
HB_HD float hb_logistic(float x) {
    return hb_fma(0.5f, hb_tanh(0.5f * x), 0.5f);
}

// The larger of two, b where they are equal or one is NaN.
HB_HD float hb_larger(float a, float b) {
    return a > b ? a : b;
}

// u / 255 of a byte, correctly rounded: its reciprocal's product, and the rest of it.
HB_HD float hb_pixel(uint8_t u) {
    const float x = (float)u, quotient = x * (1.0f / 255.0f);
    return hb_fma(hb_fma(-255.0f, quotient, x), 1.0f / 255.0f, quotient);
}

// ---------------------------------------------------------------------------------------------------
// sin and cos, atan2, asin

// *sine = sin(x), *cosine = cos(x), for |x| < 2^20; beyond, and for infinities and NaN, both are NaN or of no use.
// x = n pi/2 + r with |r| <= pi/4; pi/2 is split into three parts so that n times each of the first two is exact for n < 2^9.
// On the interval Taylor's polynomials of degree 9 and 10, with a remainder below 3e-9; n chooses and signs them.
HB_HD void hb_sincos(float x, float *sine, float *cosine) {
    const float shifted = hb_fma(x, 0.63661975f, HB_ROUND_MAGIC); // 2 / pi
    const float n = shifted - HB_ROUND_MAGIC;
    float r = hb_fma(n, -1.5703125f, x);
    r = hb_fma(n, -4.8382580280303955e-4f, r);
    r = hb_fma(n, -9.9209363e-10f, r);
    const float square = r * r;
    float s = 1.0f / 362880.0f;
    s = hb_fma(s, square, -1.0f / 5040.0f);
    s = hb_fma(s, square, 1.0f / 120.0f);
    s = hb_fma(s, square, -1.0f / 6.0f);
    s = hb_fma(s * square, r, r);
    float c = -1.0f / 3628800.0f;
    c = hb_fma(c, square, 1.0f / 40320.0f);
    c = hb_fma(c, square, -1.0f / 720.0f);
    c = hb_fma(c, square, 1.0f / 24.0f);
    c = hb_fma(c, square, -0.5f);
    c = hb_fma(c, square, 1.0f);
    // A quarter turn swaps the two; the signs follow from n.
    const uint32_t quarter = hb_bits(shifted) - hb_bits(HB_ROUND_MAGIC);
    const uint32_t swap = 0u - (quarter & 1u);
    const uint32_t sb = hb_bits(s), cb = hb_bits(c);
    *sine = hb_from_bits(((sb & ~swap) | (cb & swap)) ^ ((quarter & 2u) << 30));
    *cosine = hb_from_bits(((cb & ~swap) | (sb & swap)) ^ (((quarter + 1u) & 2u) << 30));
}

// The angle of (x, y) from the x axis, in [-pi, pi]; atan2(+-0, x) is +-0 or +-pi as in IEEE 754, for (0, 0), too. NaN gives NaN.
// Infinities are not treated. |t| <= tan(pi/8) after a turn by pi/4; atan(t) = t + t^3 P(t^2), P our own minimax fit.
HB_HD float hb_atan2(float y, float x) {
    const float ax = hb_from_bits(hb_bits(x) & 0x7fffffffu), ay = hb_from_bits(hb_bits(y) & 0x7fffffffu);
    const int steep = ay > ax;
    const float large = steep ? ay : ax, small = steep ? ax : ay;
    const int turned = small > 0.41421356f * large;
    const float divisor = turned ? small + large : large;
    const float t = (turned ? small - large : small) / (divisor == 0.0f ? 1.0f : divisor);
    const float square = t * t;
    float p = -0.0607776f;
    p = hb_fma(p, square, 0.1059364f);
    p = hb_fma(p, square, -0.14243512f);
    p = hb_fma(p, square, 0.1999847f);
    p = hb_fma(p, square, -0.33333316f);
    const float near = hb_fma(p * square, t, t);
    const float octant = turned ? 0.78539816f + near : near;      // pi/4
    const float quadrant = steep ? 1.57079633f - octant : octant; // pi/2
    const float half = hb_bits(x) >> 31 ? 3.14159265f - quadrant : quadrant;
    const float angle = hb_from_bits(hb_bits(half) | (hb_bits(y) & 0x80000000u));
    return x == x ? angle : x;
}

// The angle in [-pi/2, pi/2] whose sine is x; NaN outside [-1, 1]. Up to 1/2 x + x^3 P(x^2), P our own minimax fit; above,
// pi/2 - 2 asin(sqrt((1 - |x|) / 2)).
HB_HD float hb_asin(float x) {
    const uint32_t sign = hb_bits(x) & 0x80000000u;
    const float magnitude = hb_from_bits(hb_bits(x) & 0x7fffffffu);
    const int large = magnitude > 0.5f;
    const float square = large ? hb_fma(-0.5f, magnitude, 0.5f) : magnitude * magnitude;
    const float root = large ? hb_sqrt(square) : magnitude;
    float p = 0.03752938f;
    p = hb_fma(p, square, 0.014429837f);
    p = hb_fma(p, square, 0.031809912f);
    p = hb_fma(p, square, 0.044516709f);
    p = hb_fma(p, square, 0.075005054f);
    p = hb_fma(p, square, 0.1666666f);
    const float near = hb_fma(p * square, root, root);
    const float angle = large ? hb_fma(-2.0f, near, 1.57079633f) : near;
    return hb_from_bits(hb_bits(angle) | sign);
}

// ---------------------------------------------------------------------------------------------------
// log

// ln(x). 0 gives -inf, negative x and NaN give NaN, subnormal x is exact like any other.
// x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)); ln(1+f) = f - f^2/2 + f^3 R(f), R our own minimax fit.
HB_HD float hb_log(float x) {
    const int subnormal = x < 1.17549435e-38f;
    const float scaled = subnormal ? x * 8388608.0f : x;
    const uint32_t shifted = hb_bits(scaled) - 0x3f3504f3u; // bits of sqrt(1/2)
    const int32_t k = ((int32_t)shifted >> 23) - (subnormal ? 23 : 0);
    const float f = hb_from_bits((shifted & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float r = 0.06918764f;
    r = hb_fma(r, f, -0.11779854f);
    r = hb_fma(r, f, 0.11865764f);
    r = hb_fma(r, f, -0.123857476f);
    r = hb_fma(r, f, 0.14219953f);
    r = hb_fma(r, f, -0.16669202f);
    r = hb_fma(r, f, 0.20002149f);
    r = hb_fma(r, f, -0.24999987f);
    r = hb_fma(r, f, 0.3333331f);
    const float square = f * f;
    const float n = (float)k;
    float y = hb_fma(square * f, r, n * -2.12194440e-4f);
    y = hb_fma(square, -0.5f, y);
    const float finite = hb_fma(n, 0.693359375f, f + y);
    // The special values, from the bits alone: +inf and NaN answer themselves, 0 is -inf, x < 0 is NaN.
    const uint32_t bits = hb_bits(x);
    const float special = bits == 0x7f800000u          ? x
                          : (bits & 0x7fffffffu) == 0u ? hb_from_bits(0xff800000u)
                                                       : hb_from_bits(0x7fc00000u);
    return bits - 1u < 0x7f7fffffu ? finite : special;
}

// ---------------------------------------------------------------------------------------------------
// Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011), the function of Random123 and cuRAND

typedef struct {
    uint32_t word[4];
} hb_philox_block;

// The ten rounds on counter (c0, c1, c2, c3) under key (k0, k1).
HB_HD hb_philox_block hb_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        const uint64_t product0 = (uint64_t)0xD2511F53u * c0;
        const uint64_t product1 = (uint64_t)0xCD9E8D57u * c2;
        const uint32_t next0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
        const uint32_t next2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)product1;
        c3 = (uint32_t)product0;
        c0 = next0;
        c2 = next2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    hb_philox_block block;
    block.word[0] = c0;
    block.word[1] = c1;
    block.word[2] = c2;
    block.word[3] = c3;
    return block;
}

// ---------------------------------------------------------------------------------------------------
// uniform and normal numbers from words

// U[0, 1) with 24 bits: (w >> 8) 2^-24.
HB_HD float hb_uniform(uint32_t w) {
    return (float)(int32_t)(w >> 8) * 5.9604644775390625e-8f;
}

// U[-s, s) from u in [0, 1): fma(u, 2 s, -s).
HB_HD float hb_uniform_within(float u, float s) {
    return hb_fma(u, 2.0f * s, -s);
}

// Two independent N(0, 1) from two words by Box and Muller: radius sqrt(-2 ln u), angle 2 pi t. u = (w0 + 1) / 2^32
// up to rounding, in (0, 1], so |n| <= 6.67; the angle keeps 29 bits within its octant pair.
HB_HD void hb_normal_pair(uint32_t w0, uint32_t w1, float *n0, float *n1) {
    const float u = hb_fma((float)(int32_t)(w0 >> 1), 4.656612873077393e-10f, 2.3283064365386963e-10f);
    const float radius = hb_sqrt(-2.0f * hb_log(u));
    // Angle in turns: quadrant q / 4 plus t in [-1/8, 1/8).
    const uint32_t turned = w1 + 0x20000000u;
    const uint32_t quadrant = turned >> 30;
    const int32_t offset = (int32_t)(turned & 0x3fffffffu) - 0x20000000;
    const float t = (float)offset * 2.3283064365386963e-10f;
    const float s = t * t;
    float sine = hb_fma(-75.40207f, s, 81.59255f);
    sine = hb_fma(sine, s, -41.341663f);
    sine = hb_fma(sine, s, 6.2831855f) * t;
    float cosine = hb_fma(59.532623f, s, -85.45165f);
    cosine = hb_fma(cosine, s, 64.93939f);
    cosine = hb_fma(cosine, s, -19.739208f);
    cosine = hb_fma(cosine, s, 1.0f);
    // Turn (cosine, sine) by the quadrant: swap on odd ones, then flip signs.
    const uint32_t swap = 0u - (quadrant & 1u);
    const uint32_t cb = hb_bits(cosine), sb = hb_bits(sine);
    const uint32_t x = (cb & ~swap) | (sb & swap);
    const uint32_t y = (sb & ~swap) | (cb & swap);
    const uint32_t flip_x = ((quadrant + 1u) & 2u) << 30;
    const uint32_t flip_y = (quadrant & 2u) << 30;
    *n0 = radius * hb_from_bits(x ^ flip_x);
    *n1 = radius * hb_from_bits(y ^ flip_y);
}

// ---------------------------------------------------------------------------------------------------
// Numbered noise: element i of a stream is a pure function of (id, i)

// Names one sequence of random numbers. The Philox key is (seed, stream); individual, generation and
// episode fill three counter words, the fourth counts blocks of the sequence.
typedef struct {
    uint32_t seed;
    uint32_t stream;     // what the numbers are for: HB_STREAM_*
    uint32_t generation; // of the search
    uint32_t individual; // or the antithetic pair
    uint32_t episode;    // variation, and evaluation apart from training
} hb_noise;

enum {
    HB_STREAM_SEARCH = 1,       // epsilon of the search distribution
    HB_STREAM_START = 2,        // where the search starts
    HB_STREAM_WEIGHTS = 3,      // initial weights of an episode
    HB_STREAM_WEIGHTS_MASK = 4, // which of them are zero (initialiser "sparse")
    HB_STREAM_RESET = 5,        // resets of the environment
    HB_STREAM_ASSIGNMENT = 6,   // which synapse has which shared rule
    HB_STREAM_CHOICE = 7,       // which rule a mixture draws
    HB_STREAM_VISION = 8        // convolutions that are not evolved
};

// Elements come in blocks of 64: element i is word (i % 64) / 16 of the Philox block number
// (i / 64) * 16 + i % 16. So 16 neighbouring elements share a word index, one vector or half a warp.
#define HB_NOISE_BLOCK 64

HB_HD hb_philox_block hb_noise_words(hb_noise id, uint32_t counter) {
    return hb_philox(counter, id.individual, id.generation, id.episode, id.seed, id.stream);
}

// Word i of the sequence `id`.
HB_HD uint32_t hb_noise_word(hb_noise id, uint64_t i) {
    const hb_philox_block block = hb_noise_words(id, (uint32_t)(i / 64 * 16 + i % 16));
    return block.word[i % 64 / 16];
}

// Normal i of the sequence `id`: words (0, 1) of a Philox block give its normals 0 and 1, words (2, 3) the others.
HB_HD float hb_noise_normal(hb_noise id, uint64_t i) {
    const hb_philox_block block = hb_noise_words(id, (uint32_t)(i / 64 * 16 + i % 16));
    const uint32_t part = (uint32_t)(i % 64 / 16);
    float n0, n1;
    hb_normal_pair(block.word[part & 2u], block.word[(part & 2u) + 1u], &n0, &n1);
    return (part & 1u) ? n1 : n0;
}

#endif
