// cpu_avx512_codes.h - part of cpu_avx512_amd64.c: products of one column by weights as codes (cpu_codes.h), straight from memory.

#include "cpu_avx512_ahead.h"

// One column, codes of 4 bits with a scale every 32.
INLINE void one_codes4(const struct code_kind *k, const uint8_t *p, int64_t blocks, const uint8_t *x, float *y, const bool ask)
{
    const struct act256 *a = (const struct act256 *)x;
    const __m512i values = lookup_table(k->values, true);
    const int quarter = 9 * 64; // bytes of 35 lines in all: one is asked for twice
    __m512 f = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; b++, p += 2048 + 128 + 64, a++) {
        const uint8_t *scales = p + 2048;
        __m512 u = _mm512_setzero_ps();
        for (int c = 0; c < 4; c++) {
            __m512i s0 = _mm512_set1_epi32(a->bias32[2 * c]), s1 = _mm512_set1_epi32(a->bias32[2 * c + 1]);
            UNROLL for (int i = 0; i < 8; i++)
            {
                __m512i low, high;
                split(p + 64 * (8 * c + i), &low, &high);
                low = near_ahead(low, p + c * quarter, quarter, i, 8, ask);
                s0 = _mm512_dpbusd_epi32(s0, _mm512_shuffle_epi8(values, low), broadcast4(a->q + 64 * c + 4 * i));
                s1 = _mm512_dpbusd_epi32(s1, _mm512_shuffle_epi8(values, high), broadcast4(a->q + 64 * c + 32 + 4 * i));
            }
            s0 = _mm512_mullo_epi32(s0, _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(scales + 32 * c))));
            s1 = _mm512_mullo_epi32(s1, _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(scales + 32 * c + 16))));
            u = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(s0, s1)), _mm512_set1_ps(a->d[c]), u);
        }
        f = _mm512_fmadd_ps(_mm512_loadu_ps((const void *)(scales + 128)), u, f);
    }
    _mm512_storeu_ps(y, f);
}

// One column, codes of 2 or 3 bits. A half of the block is four 32s, each with one scale or two.
INLINE void one_codes23(const struct code_kind *k, const uint8_t *p, int64_t blocks, const uint8_t *x, float *y, const int bits, const bool scales16, const bool minimums, const bool ask)
{
    const struct act256 *a = (const struct act256 *)x;
    const __m512i values = lookup_table(k->values, !minimums);
    const int lines = bits == 3 ? 512 : 0, scales_at = lines + 1024, d_at = scales_at + (scales16 ? 256 : 128), bytes = d_at + (minimums ? 128 : 64);
    __m512 f = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; b++, p += bytes, a++) {
        const uint8_t *scales = p + scales_at;
        __m512 u = _mm512_setzero_ps();
        UNROLL for (int n = 0; n < 2; n++)
        {
            __m512i total[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()}, sum[4];
            UNROLL for (int i = 0; i < 8; i++)
            {
                if (i == 0 || (scales16 && i == 4))
                    UNROLL for (int j = 0; j < 4; j++)
                        sum[j] = minimums ? _mm512_setzero_si512() : _mm512_set1_epi32(scales16 ? a->bias16[8 * n + 2 * j + i / 4] : a->bias32[4 * n + j]);
                __m512i two = _mm512_loadu_si512(p + lines + 64 * (8 * n + i)), third = bits == 3 ? _mm512_loadu_si512(p + 64 * i) : two;
                two = near_ahead(two, p, bytes, 8 * n + i, 16, ask);
                UNROLL for (int j = 0; j < 4; j++)
                {
                    __m512i code = bits == 3 ? code3(two, third, j, 4 * n + j) : code2(two, j);
                    sum[j] = _mm512_dpbusd_epi32(sum[j], _mm512_shuffle_epi8(values, code), broadcast4(a->q + 128 * n + 32 * j + 4 * i));
                }
                if (i == 7 || (scales16 && i == 3))
                    UNROLL for (int j = 0; j < 4; j++)
                    {
                        __m512i scale = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(scales + 16 * (scales16 ? 8 * n + 2 * j + i / 4 : 4 * n + j))));
                        if (minimums)
                            scale = _mm512_and_si512(scale, _mm512_set1_epi32(15));
                        total[j / 2] = _mm512_add_epi32(total[j / 2], _mm512_mullo_epi32(sum[j], scale));
                    }
            }
            u = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[0]), _mm512_set1_ps(a->d[2 * n]), u);
            u = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[1]), _mm512_set1_ps(a->d[2 * n + 1]), u);
        }
        f = _mm512_fmadd_ps(_mm512_loadu_ps((const void *)(p + d_at)), u, f);
        if (minimums) {
            __m512i m = _mm512_setzero_si512();
            UNROLL for (int j = 0; j < 8; j++) m = _mm512_dpwssd_epi32(m, minimums_q2_k(scales, j), broadcast4(a->sum16 + 2 * j));
            f = _mm512_fnmadd_ps(_mm512_loadu_ps((const void *)(p + d_at + 64)), _mm512_mul_ps(_mm512_cvtepi32_ps(m), _mm512_set1_ps(a->ds)), f);
        }
    }
    _mm512_storeu_ps(y, f);
}

#define ONE_CODES(NAME, BITS, SCALES16, MINIMUMS)                                                                                            \
    INLINE void NAME##_n(const struct code_kind *k, const uint8_t *p, int64_t n, const uint8_t *x, float *y, const bool ask)                \
    {                                                                                                                                        \
        one_codes23(k, p, n, x, y, BITS, SCALES16, MINIMUMS, ask);                                                                           \
    }                                                                                                                                        \
    ONE_CODE_SIZES(NAME, NAME##_n)
#define ONE_CODE_SIZES(NAME, KERNEL)                                                                                                         \
    static void NAME##_plain(const struct code_kind *k, const uint8_t *p, int64_t n, const uint8_t *x, float *y) { KERNEL(k, p, n, x, y, false); } \
    static void NAME##_asking(const struct code_kind *k, const uint8_t *p, int64_t n, const uint8_t *x, float *y) { KERNEL(k, p, n, x, y, true); }
ONE_CODE_SIZES(one_4, one_codes4)
ONE_CODES(one_3_16, 3, true, false)
ONE_CODES(one_3_32, 3, false, false)
ONE_CODES(one_2_32, 2, false, false)
ONE_CODES(one_q2_k, 2, true, true)

static void one_codes(const struct code_kind *k, const uint8_t *packed, int64_t blocks, const uint8_t *x, float *y, bool ask)
{
    if (k->bits == 4)
        (ask ? one_4_asking : one_4_plain)(k, packed, blocks, x, y);
    else if (k->bits == 2)
        (k->minimums ? ask ? one_q2_k_asking : one_q2_k_plain : ask ? one_2_32_asking : one_2_32_plain)(k, packed, blocks, x, y);
    else if (k->scales16)
        (ask ? one_3_16_asking : one_3_16_plain)(k, packed, blocks, x, y);
    else
        (ask ? one_3_32_asking : one_3_32_plain)(k, packed, blocks, x, y);
}
