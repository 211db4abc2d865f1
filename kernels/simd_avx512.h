// simd_avx512.h - simd_ref.h's vectors of 16 floats in one register.
#ifndef INFER_SIMD_AVX512_H
#define INFER_SIMD_AVX512_H

#include <immintrin.h>
#include <stdint.h>

typedef __m512 v16;

#define LANES(n) ((__mmask16)((1u << (n)) - 1))
static inline v16 v_set1(float x) { return _mm512_set1_ps(x); }
static inline v16 v_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, v16 a) { _mm512_storeu_ps(p, a); }
#define V_STREAM // p: a whole line; the line is not read first
static inline void v_stream(float *p, v16 a) { _mm512_stream_ps(p, a); }
static inline void v_streamed(void) { _mm_sfence(); }
static inline v16 v_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(LANES(n), p); }
static inline void v_store_n(float *p, v16 a, int n) { _mm512_mask_storeu_ps(p, LANES(n), a); }
static inline v16 v_add(v16 a, v16 b) { return _mm512_add_ps(a, b); }
static inline v16 v_sub(v16 a, v16 b) { return _mm512_sub_ps(a, b); }
static inline v16 v_mul(v16 a, v16 b) { return _mm512_mul_ps(a, b); }
static inline v16 v_div(v16 a, v16 b) { return _mm512_div_ps(a, b); }
static inline v16 v_fma(v16 a, v16 b, v16 c) { return _mm512_fmadd_ps(a, b, c); }
static inline v16 v_max(v16 a, v16 b) { return _mm512_max_ps(a, b); }
static inline v16 v_min(v16 a, v16 b) { return _mm512_min_ps(a, b); }
static inline v16 v_abs(v16 a) { return _mm512_abs_ps(a); }
static inline v16 v_pick_lt(v16 a, v16 b, v16 x, v16 y) { return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x); }
static inline v16 v_round(v16 a) { return _mm512_sub_ps(_mm512_add_ps(a, _mm512_set1_ps(12582912.0f)), _mm512_set1_ps(12582912.0f)); }
static inline v16 v_exp2i(v16 n) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(_mm512_add_ps(n, _mm512_set1_ps(12583039.0f))), 23)); }
static inline v16 v_load_f16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }
static inline v16 v_load_i8(const int8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p))); }
static inline void v_store_f16(uint16_t *p, v16 a) { _mm256_storeu_si256((void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)); }
static inline v16 v_load_bf16(const uint16_t *p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const void *)p)), 16)); }
static inline float v_sum(v16 a)
{
    __m256 s8 = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 s4 = _mm_add_ps(_mm256_castps256_ps128(s8), _mm256_extractf128_ps(s8, 1));
    __m128 s2 = _mm_add_ps(s4, _mm_movehl_ps(s4, s4));
    return _mm_cvtss_f32(_mm_add_ss(s2, _mm_movehdup_ps(s2)));
}
static inline float v_highest(v16 a) { return _mm512_reduce_max_ps(a); }
#undef LANES

#endif
