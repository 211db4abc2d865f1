// cpu_avx512_unpack.h - interleaved weights to 8-bit panels, a block at a time, in vectors of 64 bytes: for the AVX-512 and AMX variants.
#ifndef INFER_CPU_AVX512_UNPACK_H
#define INFER_CPU_AVX512_UNPACK_H

#include <immintrin.h>

#include "codebooks.h"
#include "cpu_codes.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef __SANITIZE_ADDRESS__
#define UNROLL // checked code is large enough without
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE __m512i broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

INLINE __m512 halves16(const uint16_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p)); }

// ---- unpacking one block of a panel ----

INLINE void split(const uint8_t *line, __m512i *low, __m512i *high)
{
    __m512i q = _mm512_loadu_si512(line), m = _mm512_set1_epi8(15);
    *low = _mm512_and_si512(q, m);
    *high = _mm512_and_si512(_mm512_srli_epi16(q, 4), m);
}

INLINE void unpack_nibbles(const uint8_t (*q)[64], const uint64_t *fifth, int offset, struct panel32 *out)
{
    __m512i add = _mm512_set1_epi8((char)offset), bit = _mm512_set1_epi8(16);
    UNROLL for (int j = 0; j < 4; j++)
    {
        __m512i low, high;
        split(q[j], &low, &high);
        low = _mm512_add_epi8(low, add);
        high = _mm512_add_epi8(high, add);
        if (fifth) {
            low = _mm512_mask_add_epi8(low, fifth[j], low, bit);
            high = _mm512_mask_add_epi8(high, fifth[4 + j], high, bit);
        }
        _mm512_storeu_si512(out->q[j], low);
        _mm512_storeu_si512(out->q[4 + j], high);
    }
}

INLINE __m512i lookup_table(const int8_t values[16], bool biased)
{
    __m128i v = _mm_loadu_si128((const void *)values);
    return _mm512_broadcast_i32x4(biased ? _mm_xor_si128(v, _mm_set1_epi8((char)128)) : v);
}

// Field f of a line of 2-bit fields, with bit b of a line of third bits.
INLINE __m512i code3(__m512i two, __m512i third, const int f, const int b)
{
    __m512i low = _mm512_and_si512(_mm512_srli_epi16(two, 2 * f), _mm512_set1_epi8(3));
    __m512i bit = b < 2 ? _mm512_slli_epi16(third, 2 - b) : _mm512_srli_epi16(third, b - 2);
    return _mm512_or_si512(low, _mm512_and_si512(bit, _mm512_set1_epi8(4)));
}

INLINE __m512i code2(__m512i two, const int f) { return _mm512_and_si512(_mm512_srli_epi16(two, 2 * f), _mm512_set1_epi8(3)); }

// Q2_K's minimums of 16 columns, and of the next 16, as pairs.
INLINE __m512i minimums_q2_k(const uint8_t *scales, int j)
{
    __m256i both = _mm256_srli_epi16(_mm256_loadu_si256((const void *)(scales + 32 * j)), 4);
    __m512i even = _mm512_cvtepu8_epi32(_mm256_castsi256_si128(both)), odd = _mm512_cvtepu8_epi32(_mm256_extracti128_si256(both, 1));
    return _mm512_and_si512(_mm512_or_si512(even, _mm512_slli_epi32(odd, 16)), _mm512_set1_epi32(0x000f000f));
}

static void unpack_codes(const struct code_kind *k, bool biased, const uint8_t *p, struct panel256 *out)
{
    const __m512i values = lookup_table(k->values, biased);
    const uint8_t *third = p, *lines = k->bits == 3 ? p + 512 : p, *scales = code_scales(k, p), *d = code_d(k, p);
    if (k->bits == 4)
        for (int c = 0; c < 4; c++)
            UNROLL for (int i = 0; i < 8; i++)
            {
                __m512i low, high;
                split(lines + 64 * (8 * c + i), &low, &high);
                _mm512_storeu_si512(out->q[16 * c + i], _mm512_shuffle_epi8(values, low));
                _mm512_storeu_si512(out->q[16 * c + 8 + i], _mm512_shuffle_epi8(values, high));
            }
    else
        UNROLL for (int n = 0; n < 2; n++)
            for (int i = 0; i < 8; i++) {
                __m512i two = _mm512_loadu_si512(lines + 64 * (8 * n + i)), bits = k->bits == 3 ? _mm512_loadu_si512(third + 64 * i) : _mm512_setzero_si512();
                UNROLL for (int f = 0; f < 4; f++)
                    _mm512_storeu_si512(out->q[32 * n + 8 * f + i], _mm512_shuffle_epi8(values, code3(two, bits, f, 4 * n + f)));
            }
    int step = k->scales16 ? 1 : 2;
    for (int j = 0; j < 16 / step; j++) {
        __m512i scale = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)(scales + 16 * j)));
        _mm512_storeu_si512(out->scale[step * j], k->minimums ? _mm512_and_si512(scale, _mm512_set1_epi32(15)) : scale);
    }
    _mm512_storeu_ps(out->d, _mm512_loadu_ps((const void *)d));
    if (!k->minimums)
        return;
    _mm512_storeu_ps(out->dmin, _mm512_loadu_ps((const void *)(d + 64)));
    for (int j = 0; j < 8; j++)
        _mm512_storeu_si512(out->min[j], minimums_q2_k(scales, j));
}

// MXFP4's scales: 2^(e-128), subnormal below 2.
INLINE __m512 powers16(const uint8_t *p)
{
    __m512i e = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)), one = _mm512_set1_epi32(1);
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, one), 23), subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
    return _mm512_castsi512_ps(_mm512_mask_blend_epi32(_mm512_cmple_epi32_mask(e, one), normal, subnormal));
}

INLINE void unpack_codebook(const uint8_t (*q)[64], const int8_t values[16], __m512 d, struct panel32 *out)
{
    const __m512i table = lookup_table(values, true);
    UNROLL for (int j = 0; j < 4; j++)
    {
        __m512i low, high;
        split(q[j], &low, &high);
        _mm512_storeu_si512(out->q[j], _mm512_shuffle_epi8(table, low));
        _mm512_storeu_si512(out->q[4 + j], _mm512_shuffle_epi8(table, high));
    }
    _mm512_storeu_ps(out->d[0], d);
}

INLINE void unpack_block32(enum infer_dtype t, const void *packed, struct panel32 *out)
{
    switch (t) {
    case INFER_DTYPE_Q4_0: {
        const struct packed_q4_0 *p = packed;
        unpack_nibbles(p->q, NULL, 128 - 8, out);
        _mm512_storeu_ps(out->d[0], halves16(p->d));
        break;
    }
    case INFER_DTYPE_Q4_1: {
        const struct packed_q4_1 *p = packed;
        unpack_nibbles(p->q, NULL, 128, out);
        _mm512_storeu_ps(out->d[0], halves16(p->d));
        _mm512_storeu_ps(out->m, halves16(p->m));
        break;
    }
    case INFER_DTYPE_Q5_0: {
        const struct packed_q5_0 *p = packed;
        unpack_nibbles(p->q, p->high, 128 - 16, out);
        _mm512_storeu_ps(out->d[0], halves16(p->d));
        break;
    }
    case INFER_DTYPE_Q5_1: {
        const struct packed_q5_1 *p = packed;
        unpack_nibbles(p->q, p->high, 128, out);
        _mm512_storeu_ps(out->d[0], halves16(p->d));
        _mm512_storeu_ps(out->m, halves16(p->m));
        break;
    }
    case INFER_DTYPE_IQ4_NL: {
        const struct packed_iq4_nl *p = packed;
        unpack_codebook(p->q, infer_codebook_iq4, halves16(p->d), out);
        break;
    }
    case INFER_DTYPE_MXFP4: {
        const struct packed_mxfp4 *p = packed;
        unpack_codebook(p->q, infer_codebook_fp4, powers16(p->e), out);
        break;
    }
    default: { // Q8_0
        const struct packed_q8_0 *p = packed;
        memcpy(out->q, p->q, sizeof out->q);
        _mm512_storeu_ps(out->d[0], halves16(p->d));
    }
    }
}

INLINE void unpack_scales_k(const uint8_t (*scale)[16], const uint8_t (*min)[16][2], const uint16_t *d, const uint16_t *dmin, struct panel256 *out)
{
    UNROLL for (int j = 0; j < 8; j++)
        _mm512_storeu_si512(out->scale[2 * j], _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)scale[j])));
    UNROLL for (int j = 0; j < 4; j++)
        _mm512_storeu_si512(out->min[j], _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)min[j])));
    _mm512_storeu_ps(out->d, halves16(d));
    _mm512_storeu_ps(out->dmin, halves16(dmin));
}

INLINE void unpack_q4_k(const struct packed_q4_k *p, struct panel256 *out)
{
    UNROLL for (int c = 0; c < 4; c++)
        UNROLL for (int i = 0; i < 8; i++)
        {
            __m512i low, high;
            split(p->q[c][i], &low, &high);
            _mm512_storeu_si512(out->q[16 * c + i], low);
            _mm512_storeu_si512(out->q[16 * c + 8 + i], high);
        }
    unpack_scales_k(p->scale, p->min, p->d, p->dmin, out);
}

INLINE void unpack_q5_k(const struct packed_q5_k *p, struct panel256 *out)
{
    const __m512i bit = _mm512_set1_epi8(16), one = _mm512_set1_epi8(1);
    UNROLL for (int i = 0; i < 8; i++)
    {
        __m512i fifth = _mm512_loadu_si512(p->high[i]);
        UNROLL for (int c = 0; c < 4; c++)
        {
            __m512i low, high;
            split(p->q[c][i], &low, &high);
            __mmask64 a = _mm512_test_epi8_mask(_mm512_srli_epi16(fifth, 2 * c), one), b = _mm512_test_epi8_mask(_mm512_srli_epi16(fifth, 2 * c + 1), one);
            _mm512_storeu_si512(out->q[16 * c + i], _mm512_mask_add_epi8(low, a, low, bit));
            _mm512_storeu_si512(out->q[16 * c + 8 + i], _mm512_mask_add_epi8(high, b, high, bit));
        }
    }
    unpack_scales_k(p->scale, p->min, p->d, p->dmin, out);
}

INLINE void unpack_q6_k(const struct packed_q6_k *p, struct panel256 *out)
{
    const __m512i two = _mm512_set1_epi8(0x30), add = _mm512_set1_epi8(128 - 32);
    UNROLL for (int n = 0; n < 2; n++)
        UNROLL for (int i = 0; i < 8; i++)
        {
            __m512i top = _mm512_loadu_si512(p->line[n][i][2]), a, b, c, d;
            split(p->line[n][i][0], &a, &c);
            split(p->line[n][i][1], &b, &d);
            a = _mm512_or_si512(a, _mm512_and_si512(_mm512_slli_epi16(top, 4), two));
            b = _mm512_or_si512(b, _mm512_and_si512(_mm512_slli_epi16(top, 2), two));
            c = _mm512_or_si512(c, _mm512_and_si512(top, two));
            d = _mm512_or_si512(d, _mm512_and_si512(_mm512_srli_epi16(top, 2), two));
            _mm512_storeu_si512(out->q[32 * n + i], _mm512_add_epi8(a, add));
            _mm512_storeu_si512(out->q[32 * n + 8 + i], _mm512_add_epi8(b, add));
            _mm512_storeu_si512(out->q[32 * n + 16 + i], _mm512_add_epi8(c, add));
            _mm512_storeu_si512(out->q[32 * n + 24 + i], _mm512_add_epi8(d, add));
        }
    UNROLL for (int j = 0; j < 16; j++)
        _mm512_storeu_si512(out->scale[j], _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p->scale[j])));
    _mm512_storeu_ps(out->d, halves16(p->d));
}

INLINE void unpack_block256(enum infer_dtype t, const void *packed, struct panel256 *out)
{
    if (t == INFER_DTYPE_Q4_K)
        unpack_q4_k(packed, out);
    else if (t == INFER_DTYPE_Q5_K)
        unpack_q5_k(packed, out);
    else if (t == INFER_DTYPE_Q6_K)
        unpack_q6_k(packed, out);
    else
        unpack_codes(infer_code_kind(t), t != INFER_DTYPE_Q2_K, packed, out);
}

#endif
