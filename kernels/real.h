// The numbers that rigid.h computes with: `real` holds one number of each of HB_WIDTH robots, and every operation is the IEEE one
// in each of them, so the width changes no bit. HB_REAL_DOUBLE: one float64 (for proofs). Otherwise float32, as wide as the
// instruction set this file is compiled for; on CUDA one robot a thread.
// + - * / are the operators of C. A mask says yes or no for each robot.
#ifndef HB_REAL_H
#define HB_REAL_H

#include "kernels/scalar.h"

#include <stdbool.h>

#if defined HB_REAL_DOUBLE
#define HB_WIDTH 1
typedef double number;
typedef double real;
typedef bool mask;
HB_HD real real_fma(real a, real b, real c) {
    return __builtin_fma(a, b, c);
}
HB_HD real real_root(real a) {
    return __builtin_sqrt(a);
}
HB_HD real real_magnitude(real a) {
    return __builtin_fabs(a);
}
#elif defined __AVX512F__
#include <immintrin.h>
#define HB_WIDTH 16
typedef float number;
typedef __m512 real;
typedef __mmask16 mask;
HB_HD real real_all(number a) {
    return _mm512_set1_ps(a);
}
HB_HD real real_fma(real a, real b, real c) {
    return _mm512_fmadd_ps(a, b, c);
}
HB_HD real real_fnma(real a, real b, real c) {
    return _mm512_fnmadd_ps(a, b, c);
}
HB_HD real real_larger(real a, real b) {
    return _mm512_max_ps(a, b);
}
HB_HD real real_smaller(real a, real b) {
    return _mm512_min_ps(a, b);
}
HB_HD real real_root(real a) {
    return _mm512_sqrt_ps(a);
}
HB_HD real real_magnitude(real a) {
    return _mm512_abs_ps(a);
}
HB_HD real real_choose(mask m, real yes, real no) {
    return _mm512_mask_blend_ps(m, no, yes);
}
HB_HD mask real_less(real a, real b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}
HB_HD mask real_equal(real a, real b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
HB_HD mask mask_and(mask a, mask b) {
    return a & b;
}
HB_HD bool mask_any(mask m) {
    return m != 0;
}
#elif defined __AVX2__ && defined __FMA__
#include <immintrin.h>
#define HB_WIDTH 8
typedef float number;
typedef __m256 real;
typedef __m256 mask;
HB_HD real real_all(number a) {
    return _mm256_set1_ps(a);
}
HB_HD real real_fma(real a, real b, real c) {
    return _mm256_fmadd_ps(a, b, c);
}
HB_HD real real_fnma(real a, real b, real c) {
    return _mm256_fnmadd_ps(a, b, c);
}
HB_HD real real_larger(real a, real b) {
    return _mm256_max_ps(a, b);
}
HB_HD real real_smaller(real a, real b) {
    return _mm256_min_ps(a, b);
}
HB_HD real real_root(real a) {
    return _mm256_sqrt_ps(a);
}
HB_HD real real_magnitude(real a) {
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a);
}
HB_HD real real_choose(mask m, real yes, real no) {
    return _mm256_blendv_ps(no, yes, m);
}
HB_HD mask real_less(real a, real b) {
    return _mm256_cmp_ps(a, b, _CMP_LT_OQ);
}
HB_HD mask real_equal(real a, real b) {
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
HB_HD mask mask_and(mask a, mask b) {
    return _mm256_and_ps(a, b);
}
HB_HD bool mask_any(mask m) {
    return _mm256_movemask_ps(m) != 0;
}
#else
#define HB_WIDTH 1
typedef float number;
typedef float real;
typedef bool mask;
HB_HD real real_fma(real a, real b, real c) {
    return hb_fma(a, b, c);
}
HB_HD real real_root(real a) {
    return hb_sqrt(a);
}
HB_HD real real_magnitude(real a) {
    return hb_from_bits(hb_bits(a) & 0x7fffffffu);
}
#endif

#if HB_WIDTH == 1
HB_HD real real_all(number a) {
    return a;
}
// c - a b with one rounding
HB_HD real real_fnma(real a, real b, real c) {
    return real_fma(-a, b, c);
}
// b where the two are equal or one is NaN
HB_HD real real_larger(real a, real b) {
    return a > b ? a : b;
}
HB_HD real real_smaller(real a, real b) {
    return a < b ? a : b;
}
HB_HD real real_choose(mask m, real yes, real no) {
    return m ? yes : no;
}
HB_HD mask real_less(real a, real b) {
    return a < b;
}
HB_HD mask real_equal(real a, real b) {
    return a == b;
}
HB_HD mask mask_and(mask a, mask b) {
    return a && b;
}
HB_HD bool mask_any(mask m) {
    return m;
}
#endif

// sin and cos of n reals.
#ifdef HB_REAL_DOUBLE
HB_HD void real_sincos(const real *angle, real *sine, real *cosine, int n) {
    for (int i = 0; i < n; i++) {
        sine[i] = __builtin_sin(angle[i]);
        cosine[i] = __builtin_cos(angle[i]);
    }
}
#else
HB_HD void real_sincos(const real *angle, real *sine, real *cosine, int n) {
    const float *x = (const float *)angle;
    float *s = (float *)sine, *c = (float *)cosine;
    for (int i = 0; i < n * HB_WIDTH; i++) hb_sincos(x[i], s + i, c + i);
}
#endif

#endif
