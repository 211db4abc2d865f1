// simd_avx2.h - simd_ref.h's vectors of 16 floats in two registers.
#ifndef INFER_SIMD_AVX2_H
#define INFER_SIMD_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

typedef struct { __m256 lo, hi; } v16;

#define V_PAIR(l, h) ((v16){(l), (h)})
static inline v16 v_set1(float x) { __m256 a = _mm256_set1_ps(x); return V_PAIR(a, a); }
static inline v16 v_load(const float *p) { return V_PAIR(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
static inline void v_store(float *p, v16 a) { _mm256_storeu_ps(p, a.lo); _mm256_storeu_ps(p + 8, a.hi); }
#define V_STREAM // p: a whole line; the line is not read first
static inline void v_stream(float *p, v16 a) { _mm256_stream_ps(p, a.lo); _mm256_stream_ps(p + 8, a.hi); }
static inline void v_streamed(void) { _mm_sfence(); }
static inline v16 v_load_n(const float *p, int n) { float t[16] = {0}; memcpy(t, p, (size_t)n * 4); return v_load(t); }
static inline void v_store_n(float *p, v16 a, int n) { float t[16]; v_store(t, a); memcpy(p, t, (size_t)n * 4); }
static inline v16 v_add(v16 a, v16 b) { return V_PAIR(_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)); }
static inline v16 v_sub(v16 a, v16 b) { return V_PAIR(_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)); }
static inline v16 v_mul(v16 a, v16 b) { return V_PAIR(_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)); }
static inline v16 v_div(v16 a, v16 b) { return V_PAIR(_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)); }
static inline v16 v_fma(v16 a, v16 b, v16 c) { return V_PAIR(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)); }
static inline v16 v_max(v16 a, v16 b) { return V_PAIR(_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)); }
static inline v16 v_min(v16 a, v16 b) { return V_PAIR(_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)); }
static inline v16 v_abs(v16 a) { __m256 m = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)); return V_PAIR(_mm256_and_ps(a.lo, m), _mm256_and_ps(a.hi, m)); }
static inline v16 v_pick_lt(v16 a, v16 b, v16 x, v16 y)
{
    return V_PAIR(_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)), _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)));
}
static inline v16 v_round(v16 a) { v16 magic = v_set1(12582912.0f); return v_sub(v_add(a, magic), magic); }
static inline __m256 v_exp2i_half(__m256 n) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(_mm256_add_ps(n, _mm256_set1_ps(12583039.0f))), 23)); }
static inline v16 v_exp2i(v16 n) { return V_PAIR(v_exp2i_half(n.lo), v_exp2i_half(n.hi)); }
static inline v16 v_load_f16(const uint16_t *p) { return V_PAIR(_mm256_cvtph_ps(_mm_loadu_si128((const void *)p)), _mm256_cvtph_ps(_mm_loadu_si128((const void *)(p + 8)))); }
static inline v16 v_load_i8(const int8_t *p) { return V_PAIR(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p))), _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)(p + 8))))); }
static inline void v_store_f16(uint16_t *p, v16 a)
{
    _mm_storeu_si128((void *)p, _mm256_cvtps_ph(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    _mm_storeu_si128((void *)(p + 8), _mm256_cvtps_ph(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
static inline __m256 v_bf16_half(const uint16_t *p) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)p)), 16)); }
static inline v16 v_load_bf16(const uint16_t *p) { return V_PAIR(v_bf16_half(p), v_bf16_half(p + 8)); }
static inline float v_sum(v16 a)
{
    __m256 s8 = _mm256_add_ps(a.lo, a.hi);
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
static inline float v_highest(v16 a)
{
    __m256 m8 = _mm256_max_ps(a.lo, a.hi);
    __m128 m4 = _mm_max_ps(_mm256_castps256_ps128(m8), _mm256_extractf128_ps(m8, 1));
    __m128 m2 = _mm_max_ps(m4, _mm_movehl_ps(m4, m4));
    return _mm_cvtss_f32(_mm_max_ss(m2, _mm_movehdup_ps(m2)));
}

#endif
