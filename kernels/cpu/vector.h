// The few vector operations that the step needs, for the instruction set this file is compiled for.
// hb_vf holds HB_LANES floats; every operation is the IEEE one in each lane, so the width changes no bit. gather reads
// base[i] for integers i stored in the bits of floats. load_half reads half precision. at_least returns a mask with a bit for each lane where a >= b. compress
// writes the lanes of a mask one after the other, to any address; it may write HB_LANES floats in all, of any value behind those.
#ifndef HB_CPU_VECTOR_H
#define HB_CPU_VECTOR_H

#include "kernels/scalar.h"

#if defined __AVX512F__
#include <immintrin.h>
#define HB_LANES   16
#define HB_COLUMNS 8 // vectors of accumulators that fit the registers beside everything else
typedef __m512 hb_vf;
typedef __m512i hb_vi;
HB_HD hb_vf hb_vf_load(const float *p) {
    return _mm512_load_ps(p);
}
// From any address.
HB_HD hb_vf hb_vf_load_any(const float *p) {
    return _mm512_loadu_ps(p);
}
HB_HD hb_vf hb_vf_load_half(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)p));
}
HB_HD void hb_vf_store(float *p, hb_vf a) {
    _mm512_store_ps(p, a);
}
HB_HD hb_vf hb_vf_all(float a) {
    return _mm512_set1_ps(a);
}
HB_HD hb_vf hb_vf_fma(hb_vf a, hb_vf b, hb_vf c) {
    return _mm512_fmadd_ps(a, b, c);
}
HB_HD hb_vf hb_vf_sub(hb_vf a, hb_vf b) {
    return _mm512_sub_ps(a, b);
}
HB_HD hb_vf hb_vf_max(hb_vf a, hb_vf b) {
    return _mm512_max_ps(a, b);
}
HB_HD hb_vf hb_vf_gather(const float *base, const float *index) {
    return _mm512_i32gather_ps(_mm512_castps_si512(_mm512_load_ps(index)), base, 4);
}
HB_HD uint32_t hb_vf_at_least(hb_vf a, hb_vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
HB_HD void hb_vf_compress(float *p, hb_vf a, uint32_t mask) {
    _mm512_storeu_ps(p, _mm512_maskz_compress_ps((__mmask16)mask, a));
}
HB_HD hb_vi hb_vi_zero(void) {
    return _mm512_setzero_si512();
}
// max(m, bits of |a|)
HB_HD hb_vi hb_vi_max_magnitude(hb_vi m, hb_vf a) {
    return _mm512_max_epi32(m, _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7fffffff)));
}
#elif defined __AVX2__ && defined __FMA__
#include <immintrin.h>
#define HB_LANES      8
#define HB_COLUMNS    4
typedef __m256 hb_vf;
typedef __m256i hb_vi;
HB_HD hb_vf hb_vf_load(const float *p) {
    return _mm256_load_ps(p);
}
HB_HD hb_vf hb_vf_load_any(const float *p) {
    return _mm256_loadu_ps(p);
}
HB_HD hb_vf hb_vf_load_half(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_load_si128((const __m128i *)p));
}
HB_HD void hb_vf_store(float *p, hb_vf a) {
    _mm256_store_ps(p, a);
}
HB_HD hb_vf hb_vf_all(float a) {
    return _mm256_set1_ps(a);
}
HB_HD hb_vf hb_vf_fma(hb_vf a, hb_vf b, hb_vf c) {
    return _mm256_fmadd_ps(a, b, c);
}
HB_HD hb_vf hb_vf_sub(hb_vf a, hb_vf b) {
    return _mm256_sub_ps(a, b);
}
HB_HD hb_vf hb_vf_max(hb_vf a, hb_vf b) {
    return _mm256_max_ps(a, b);
}
HB_HD hb_vf hb_vf_gather(const float *base, const float *index) {
    return _mm256_i32gather_ps(base, _mm256_castps_si256(_mm256_load_ps(index)), 4);
}
HB_HD uint32_t hb_vf_at_least(hb_vf a, hb_vf b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GE_OQ));
}
// For each mask of 8 lanes the numbers of its lanes one after the other, 4 bits each.
#define HB_LANE(m, b) ((m) >> (b)&1 ? (uint32_t)(b) << 4 * __builtin_popcount((m) & ((1 << (b)) - 1)) : 0u)
#define HB_PACKED(m)                                                                                                 \
    (HB_LANE(m, 0) | HB_LANE(m, 1) | HB_LANE(m, 2) | HB_LANE(m, 3) | HB_LANE(m, 4) | HB_LANE(m, 5) | HB_LANE(m, 6) | \
     HB_LANE(m, 7))
#define HB_PACKED_4(m)  HB_PACKED(m), HB_PACKED((m) + 1), HB_PACKED((m) + 2), HB_PACKED((m) + 3)
#define HB_PACKED_16(m) HB_PACKED_4(m), HB_PACKED_4((m) + 4), HB_PACKED_4((m) + 8), HB_PACKED_4((m) + 12)
#define HB_PACKED_64(m) HB_PACKED_16(m), HB_PACKED_16((m) + 16), HB_PACKED_16((m) + 32), HB_PACKED_16((m) + 48)
static const uint32_t hb_packed_lanes[256] = {HB_PACKED_64(0), HB_PACKED_64(64), HB_PACKED_64(128),
                                              HB_PACKED_64(192)};
HB_HD void hb_vf_compress(float *p, hb_vf a, uint32_t mask) {
    const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i lanes =
        _mm256_srlv_epi32(_mm256_set1_epi32((int)hb_packed_lanes[mask]), shifts); // low 3 bits count
    _mm256_storeu_ps(p, _mm256_permutevar8x32_ps(a, lanes));
}
HB_HD hb_vi hb_vi_zero(void) {
    return _mm256_setzero_si256();
}
HB_HD hb_vi hb_vi_max_magnitude(hb_vi m, hb_vf a) {
    return _mm256_max_epi32(m, _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7fffffff)));
}
#else
#define HB_LANES   1
#define HB_COLUMNS 4
typedef float hb_vf;
typedef int32_t hb_vi;
HB_HD hb_vf hb_vf_load(const float *p) {
    return *p;
}
HB_HD hb_vf hb_vf_load_any(const float *p) {
    return *p;
}
HB_HD hb_vf hb_vf_load_half(const uint16_t *p) {
    return hb_half_value(*p);
}
HB_HD void hb_vf_store(float *p, hb_vf a) {
    *p = a;
}
HB_HD hb_vf hb_vf_all(float a) {
    return a;
}
HB_HD hb_vf hb_vf_fma(hb_vf a, hb_vf b, hb_vf c) {
    return hb_fma(a, b, c);
}
HB_HD hb_vf hb_vf_sub(hb_vf a, hb_vf b) {
    return a - b;
}
HB_HD hb_vf hb_vf_max(hb_vf a, hb_vf b) {
    return a > b ? a : b;
}
HB_HD hb_vf hb_vf_gather(const float *base, const float *index) {
    return base[hb_bits(*index)];
}
HB_HD uint32_t hb_vf_at_least(hb_vf a, hb_vf b) {
    return a >= b;
}
HB_HD void hb_vf_compress(float *p, hb_vf a, uint32_t mask) {
    if (mask) *p = a;
}
HB_HD hb_vi hb_vi_zero(void) {
    return 0;
}
HB_HD hb_vi hb_vi_max_magnitude(hb_vi m, hb_vf a) {
    const int32_t magnitude = (int32_t)(hb_bits(a) & 0x7fffffffu);
    return magnitude > m ? magnitude : m;
}
#endif

// The largest of the lanes, none of which is NaN.
HB_HD float hb_vf_largest(hb_vf m) {
#ifdef __AVX512F__
    return _mm512_reduce_max_ps(m);
#else
    float lane[HB_LANES];
    __builtin_memcpy(lane, &m, sizeof m);
    float largest = lane[0];
    for (int k = 1; k < HB_LANES; k++) largest = lane[k] > largest ? lane[k] : largest;
    return largest;
#endif
}

// The largest of the lanes.
HB_HD int32_t hb_vi_largest(hb_vi m) {
    int32_t lane[HB_LANES];
    __builtin_memcpy(lane, &m, sizeof m);
    int32_t largest = lane[0];
    for (int k = 1; k < HB_LANES; k++) largest = lane[k] > largest ? lane[k] : largest;
    return largest;
}

#endif
