// cpu_avx2.h - the variants with registers of 256 bits: AVX2 alone, and with a dot product of 8-bit integers (VNNI). The including file
// selects the instruction set, and with DPBUSD the dot product's form.
//
// Integer products work on the same panels as the AVX-512 variant. Without an unsigned-by-signed product of 32 bits, signed weights
// go in as their absolute values against columns that carry the weights' signs: two products of 128 * 127 still fit 16 bits, so
// that no sum saturates; a tile is 8 rows wide. With it weights go in as they are stored, with 128 added, and sums start at what
// that adds too much; a tile is 16 rows wide, whose eight sums hide the instruction's latency.
#ifndef INFER_CPU_AVX2_H
#define INFER_CPU_AVX2_H

#include "simd_avx2.h"

#include "codebooks.h"
#include "cpu_attention.h"
#include "cpu_codes.h"
#include "cpu_recurrent.h"
#include "cpu_rows.h"

#define INLINE static inline __attribute__((always_inline))
#ifdef __SANITIZE_ADDRESS__
#define UNROLL // checked code is large enough without
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE __m256i broadcast4(const void *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

INLINE __m256i line(const uint8_t *p) { return _mm256_loadu_si256((const void *)p); }

// ---- unpacking one block of a panel: plain loops that the compiler makes vectors of ----

static void unpack_halves(const uint16_t *from, float *to)
{
    for (int i = 0; i < 16; i += 8)
        _mm256_storeu_ps(to + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(from + i))));
}

// A mask of 32 bits as 32 bytes of 0 or 16.
INLINE __m256i fifth_bits(uint32_t bits)
{
    const __m256i spread = _mm256_setr_epi64x(0x0000000000000000, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i each = _mm256_set1_epi64x((int64_t)0x8040201008040201);
    __m256i b = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int32_t)bits), spread), each);
    return _mm256_and_si256(_mm256_cmpeq_epi8(b, each), _mm256_set1_epi8(16));
}

static void unpack_nibbles(const uint8_t (*q)[64], const uint64_t *fifth, int offset, struct panel32 *out)
{
    const __m256i add = _mm256_set1_epi8((char)offset), mask = _mm256_set1_epi8(15);
    for (int j = 0; j < 4; j++)
        for (int h = 0; h < 2; h++) {
            __m256i v = line(q[j] + 32 * h), low = _mm256_and_si256(v, mask), high = _mm256_and_si256(_mm256_srli_epi16(v, 4), mask);
            if (fifth) {
                low = _mm256_add_epi8(low, fifth_bits((uint32_t)(fifth[j] >> (32 * h))));
                high = _mm256_add_epi8(high, fifth_bits((uint32_t)(fifth[4 + j] >> (32 * h))));
            }
            _mm256_storeu_si256((void *)(out->q[j] + 32 * h), _mm256_add_epi8(low, add));
            _mm256_storeu_si256((void *)(out->q[4 + j] + 32 * h), _mm256_add_epi8(high, add));
        }
}

INLINE __m256i lookup_table(const int8_t values[16], bool biased)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)values));
    return biased ? _mm256_xor_si256(v, _mm256_set1_epi8((char)128)) : v;
}

static void unpack_codebook(const uint8_t (*q)[64], const int8_t values[16], struct panel32 *out)
{
    const __m256i table = lookup_table(values, true), mask = _mm256_set1_epi8(15);
    for (int j = 0; j < 4; j++)
        for (int h = 0; h < 64; h += 32) {
            __m256i v = line(q[j] + h);
            _mm256_storeu_si256((void *)(out->q[j] + h), _mm256_shuffle_epi8(table, _mm256_and_si256(v, mask)));
            _mm256_storeu_si256((void *)(out->q[4 + j] + h), _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), mask)));
        }
}

// MXFP4's scales: 2^(e-128), subnormal below 2.
static void unpack_powers(const uint8_t e[16], float *to)
{
    for (int r = 0; r < 16; r++) {
        uint32_t bits = e[r] < 2 ? UINT32_C(0x00200000) << e[r] : (uint32_t)(e[r] - 1) << 23;
        memcpy(to + r, &bits, 4);
    }
}

static void unpack_block32(enum infer_dtype t, const void *packed, struct panel32 *out)
{
    switch (t) {
    case INFER_DTYPE_Q4_0: {
        const struct packed_q4_0 *p = packed;
        unpack_nibbles(p->q, NULL, 128 - 8, out);
        unpack_halves(p->d, out->d[0]);
        break;
    }
    case INFER_DTYPE_Q4_1: {
        const struct packed_q4_1 *p = packed;
        unpack_nibbles(p->q, NULL, 128, out);
        unpack_halves(p->d, out->d[0]);
        unpack_halves(p->m, out->m);
        break;
    }
    case INFER_DTYPE_Q5_0: {
        const struct packed_q5_0 *p = packed;
        unpack_nibbles(p->q, p->high, 128 - 16, out);
        unpack_halves(p->d, out->d[0]);
        break;
    }
    case INFER_DTYPE_Q5_1: {
        const struct packed_q5_1 *p = packed;
        unpack_nibbles(p->q, p->high, 128, out);
        unpack_halves(p->d, out->d[0]);
        unpack_halves(p->m, out->m);
        break;
    }
    case INFER_DTYPE_IQ4_NL: {
        const struct packed_iq4_nl *p = packed;
        unpack_codebook(p->q, infer_codebook_iq4, out);
        unpack_halves(p->d, out->d[0]);
        break;
    }
    case INFER_DTYPE_MXFP4: {
        const struct packed_mxfp4 *p = packed;
        unpack_codebook(p->q, infer_codebook_fp4, out);
        unpack_powers(p->e, out->d[0]);
        break;
    }
    default: { // Q8_0
        const struct packed_q8_0 *p = packed;
        memcpy(out->q, p->q, sizeof out->q);
        unpack_halves(p->d, out->d[0]);
    }
    }
}

static void unpack_scales_k(const uint8_t (*scale)[16], const uint8_t (*min)[16][2], const uint16_t *d, const uint16_t *dmin, struct panel256 *out)
{
    for (int j = 0; j < 8; j++)
        for (int r = 0; r < 16; r++)
            out->scale[2 * j][r] = scale[j][r];
    for (int j = 0; j < 4; j++)
        for (int r = 0; r < 16; r++)
            for (int i = 0; i < 2; i++)
                out->min[j][r][i] = min[j][r][i];
    unpack_halves(d, out->d);
    unpack_halves(dmin, out->dmin);
}

static void unpack_lines_k(const uint8_t (*q)[8][64], const uint8_t (*fifth)[64], struct panel256 *out)
{
    const __m256i mask = _mm256_set1_epi8(15), bit = _mm256_set1_epi8(16);
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 8; i++)
            for (int h = 0; h < 64; h += 32) {
                __m256i v = line(q[c][i] + h), low = _mm256_and_si256(v, mask), high = _mm256_and_si256(_mm256_srli_epi16(v, 4), mask);
                if (fifth) { // bit 2c belongs to the low nibble, 2c+1 to the high one
                    __m256i f = line(fifth[i] + h), a = _mm256_set1_epi8((char)(1 << (2 * c))), b = _mm256_set1_epi8((char)(2 << (2 * c)));
                    low = _mm256_or_si256(low, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(f, a), a), bit));
                    high = _mm256_or_si256(high, _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_and_si256(f, b), b), bit));
                }
                _mm256_storeu_si256((void *)(out->q[16 * c + i] + h), low);
                _mm256_storeu_si256((void *)(out->q[16 * c + 8 + i] + h), high);
            }
}

static void unpack_q6_k(const struct packed_q6_k *p, struct panel256 *out)
{
    const __m256i mask = _mm256_set1_epi8(15), two = _mm256_set1_epi8(0x30), add = _mm256_set1_epi8(128 - 32);
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 8; i++)
            for (int h = 0; h < 64; h += 32) {
                __m256i top = line(p->line[n][i][2] + h), x = line(p->line[n][i][0] + h), y = line(p->line[n][i][1] + h);
                __m256i w[4] = {_mm256_and_si256(x, mask), _mm256_and_si256(y, mask), _mm256_and_si256(_mm256_srli_epi16(x, 4), mask), _mm256_and_si256(_mm256_srli_epi16(y, 4), mask)};
                w[0] = _mm256_or_si256(w[0], _mm256_and_si256(_mm256_slli_epi16(top, 4), two));
                w[1] = _mm256_or_si256(w[1], _mm256_and_si256(_mm256_slli_epi16(top, 2), two));
                w[2] = _mm256_or_si256(w[2], _mm256_and_si256(top, two));
                w[3] = _mm256_or_si256(w[3], _mm256_and_si256(_mm256_srli_epi16(top, 2), two));
                for (int j = 0; j < 4; j++)
                    _mm256_storeu_si256((void *)(out->q[32 * n + 8 * j + i] + h), _mm256_add_epi8(w[j], add));
            }
    for (int j = 0; j < 16; j++)
        for (int r = 0; r < 16; r++)
            out->scale[j][r] = p->scale[j][r];
    unpack_halves(p->d, out->d);
}

static void unpack_code_scales(const struct code_kind *k, const uint8_t *p, struct panel256 *out)
{
    const uint8_t *scales = code_scales(k, p), *d = code_d(k, p);
    int step = k->scales16 ? 1 : 2;
    for (int j = 0; j < 16 / step; j++)
        for (int r = 0; r < 16; r++) {
            out->scale[step * j][r] = k->minimums ? scales[16 * j + r] & 15 : (int8_t)scales[16 * j + r];
            if (k->minimums)
                out->min[j / 2][r][j % 2] = scales[16 * j + r] >> 4;
        }
    memcpy(out->d, d, 64);
    if (k->minimums)
        memcpy(out->dmin, d + 64, 64);
}

static void unpack_codes(const struct code_kind *k, bool biased, const uint8_t *p, struct panel256 *out)
{
    const __m256i values = lookup_table(k->values, biased), nibble = _mm256_set1_epi8(15), three = _mm256_set1_epi8(3), four = _mm256_set1_epi8(4);
    const uint8_t *lines = k->bits == 3 ? p + 512 : p;
    if (k->bits == 4)
        for (int i = 0; i < 32; i++)
            for (int h = 0; h < 64; h += 32) {
                __m256i v = line(lines + 64 * i + h);
                int to = 16 * (i / 8) + i % 8;
                _mm256_storeu_si256((void *)(out->q[to] + h), _mm256_shuffle_epi8(values, _mm256_and_si256(v, nibble)));
                _mm256_storeu_si256((void *)(out->q[to + 8] + h), _mm256_shuffle_epi8(values, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
            }
    else
        for (int i = 0; i < 16; i++)
            for (int h = 0; h < 64; h += 32) {
                __m256i v = line(lines + 64 * i + h), third = k->bits == 3 ? line(p + 64 * (i % 8) + h) : _mm256_setzero_si256();
                for (int f = 0; f < 4; f++) {
                    int b = 4 * (i / 8) + f; // the third bit's place, moved to bit 2
                    __m256i bit = b < 2 ? _mm256_slli_epi16(third, 2 - b) : _mm256_srli_epi16(third, b - 2);
                    __m256i code = _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(v, 2 * f), three), _mm256_and_si256(bit, four));
                    _mm256_storeu_si256((void *)(out->q[32 * (i / 8) + 8 * f + i % 8] + h), _mm256_shuffle_epi8(values, code));
                }
            }
    unpack_code_scales(k, p, out);
}

static void unpack_block256(enum infer_dtype t, const void *packed, struct panel256 *out)
{
    if (t == INFER_DTYPE_Q4_K) {
        const struct packed_q4_k *p = packed;
        unpack_lines_k(p->q, NULL, out);
        unpack_scales_k(p->scale, p->min, p->d, p->dmin, out);
    } else if (t == INFER_DTYPE_Q5_K) {
        const struct packed_q5_k *p = packed;
        unpack_lines_k(p->q, p->high, out);
        unpack_scales_k(p->scale, p->min, p->d, p->dmin, out);
    } else if (t == INFER_DTYPE_Q6_K) {
        unpack_q6_k(packed, out);
    } else {
        unpack_codes(infer_code_kind(t), t != INFER_DTYPE_Q2_K, packed, out);
    }
}

// ---- tiles: HALVES x 8 rows x NC columns, added to y ----

#define NO_BIAS (-1)
#ifdef DPBUSD
#define HALVES 2
#else
#define HALVES 1
#endif

// 4 products a row: w is unsigned where has_signs is false.
INLINE __m256i add_dot4(__m256i sum, __m256i w, __m256i absolute, __m256i x, bool has_signs)
{
#ifdef DPBUSD
    return has_signs ? DPBUSD(sum, absolute, _mm256_sign_epi8(x, w)) : DPBUSD(sum, w, x);
#else
    __m256i pairs = has_signs ? _mm256_maddubs_epi16(absolute, _mm256_sign_epi8(x, w)) : _mm256_maddubs_epi16(w, x);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
}

// bias: where in a column lies what sums of biased weights start at, or NO_BIAS.
INLINE void sums(const uint8_t (*q)[64], int lines, int half, const uint8_t *const *x, int64_t at, int64_t bias, const int NC, const bool biased, __m256i acc[HALVES][4])
{
#ifdef DPBUSD
    const bool start = biased && bias != NO_BIAS;
#else
    const bool start = false;
#endif
    UNROLL for (int c = 0; c < NC; c++)
    {
        __m256i from = start ? broadcast4(x[c] + bias) : _mm256_setzero_si256();
        UNROLL for (int h = 0; h < HALVES; h++) acc[h][c] = from;
    }
    for (int k = 0; k < lines; k++) {
        __m256i w[HALVES], absolute[HALVES];
        UNROLL for (int h = 0; h < HALVES; h++)
        {
            w[h] = line(q[k] + 32 * (half + h));
            if (biased && !start)
                w[h] = _mm256_xor_si256(w[h], _mm256_set1_epi8((char)128));
            absolute[h] = _mm256_abs_epi8(w[h]);
        }
        UNROLL for (int c = 0; c < NC; c++)
        {
            __m256i v = broadcast4(x[c] + at + 4 * k);
            UNROLL for (int h = 0; h < HALVES; h++) acc[h][c] = add_dot4(acc[h][c], w[h], absolute[h], v, biased && !start);
        }
    }
}

INLINE void tile32(const struct panel32 *p, int64_t groups, int half, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride, const int NC, const bool halves,
                   struct panel_kind kind)
{
    __m256 f[HALVES][4];
    UNROLL for (int c = 0; c < NC; c++)
        UNROLL for (int h = 0; h < HALVES; h++) f[h][c] = _mm256_loadu_ps(y + c * y_stride + 8 * (half + h));
    for (int64_t b = 0; b < groups; b++, p++, at += sizeof(struct act32)) {
        __m256i acc[HALVES][4], second[HALVES][4] = {0};
        if (halves) {
            sums(p->q, 4, half, x, at, NO_BIAS, NC, true, acc);
            sums(p->q + 4, 4, half, x, at + 16, NO_BIAS, NC, true, second);
        } else {
            sums(p->q, 8, half, x, at, at + (int64_t)offsetof(struct act32, bias), NC, true, acc);
        }
        UNROLL for (int h = 0; h < HALVES; h++)
        {
            __m256 d = _mm256_loadu_ps(p->d[0] + 8 * (half + h));
            UNROLL for (int c = 0; c < NC; c++)
            {
                __m256 dx = _mm256_set1_ps(((const struct act32 *)(x[c] + at))->d), sum = f[h][c];
                if (halves) {
                    __m256 d1 = _mm256_loadu_ps(p->d[1] + 8 * (half + h));
                    __m256 whole = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_add_epi32(acc[h][c], second[h][c])), _mm256_mul_ps(d, dx), sum);
                    __m256 parts = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[h][c]), _mm256_mul_ps(d, dx), sum);
                    parts = _mm256_fmadd_ps(_mm256_cvtepi32_ps(second[h][c]), _mm256_mul_ps(d1, dx), parts);
                    sum = _mm256_blendv_ps(parts, whole, _mm256_cmp_ps(d, d1, _CMP_EQ_OQ));
                } else {
                    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc[h][c]), _mm256_mul_ps(d, dx), sum);
                }
                if (kind.minimums)
                    sum = _mm256_fmadd_ps(_mm256_loadu_ps(p->m + 8 * (half + h)), _mm256_set1_ps(((const struct act32 *)(x[c] + at))->ds), sum);
                f[h][c] = sum;
            }
        }
    }
    UNROLL for (int c = 0; c < NC; c++)
        UNROLL for (int h = 0; h < HALVES; h++) _mm256_storeu_ps(y + c * y_stride + 8 * (half + h), f[h][c]);
}

INLINE void tile256(const struct panel256 *p, int64_t blocks, int half, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride, const int NC, const bool biased,
                    struct panel_kind kind)
{
    for (int64_t b = 0; b < blocks; b++, p++, at += sizeof(struct act256)) {
        __m256 u[HALVES][4];
        UNROLL for (int c = 0; c < NC; c++)
            UNROLL for (int h = 0; h < HALVES; h++) u[h][c] = _mm256_setzero_ps();
        int parts = kind.scales16 ? 4 : 2, lines = 16 / parts;
        int64_t bias = at + (int64_t)(kind.scales16 ? offsetof(struct act256, bias16) : offsetof(struct act256, bias32));
        for (int g = 0; g < 4; g++) {
            __m256i total[HALVES][4], acc[HALVES][4];
            UNROLL for (int c = 0; c < NC; c++)
                UNROLL for (int h = 0; h < HALVES; h++) total[h][c] = _mm256_setzero_si256();
            for (int i = 0; i < parts; i++) {
                sums(p->q + 16 * g + lines * i, lines, half, x, at + 64 * g + 4 * lines * i, bias + 4 * (parts * g + i), NC, biased, acc);
                UNROLL for (int h = 0; h < HALVES; h++)
                {
                    __m256i s = _mm256_loadu_si256((const void *)(p->scale[4 * g + 4 / parts * i] + 8 * (half + h)));
                    UNROLL for (int c = 0; c < NC; c++) total[h][c] = _mm256_add_epi32(total[h][c], _mm256_mullo_epi32(acc[h][c], s));
                }
            }
            UNROLL for (int c = 0; c < NC; c++)
                UNROLL for (int h = 0; h < HALVES; h++)
                    u[h][c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total[h][c]), _mm256_set1_ps(((const struct act256 *)(x[c] + at))->d[g]), u[h][c]);
        }
        UNROLL for (int h = 0; h < HALVES; h++)
        {
            __m256 d = _mm256_loadu_ps(p->d + 8 * (half + h)), dmin = _mm256_loadu_ps(p->dmin + 8 * (half + h));
            UNROLL for (int c = 0; c < NC; c++)
            {
                const struct act256 *a = (const void *)(x[c] + at);
                __m256 f = _mm256_fmadd_ps(d, u[h][c], _mm256_loadu_ps(y + c * y_stride + 8 * (half + h)));
                if (kind.minimums) {
                    __m256i m = _mm256_setzero_si256();
                    const int16_t *sum = kind.minimums16 ? a->sum16 : a->sum32;
                    for (int j = 0; j < (kind.minimums16 ? 8 : 4); j++)
                        m = _mm256_add_epi32(m, _mm256_madd_epi16(line((const uint8_t *)p->min[j][8 * (half + h)]), broadcast4(sum + 2 * j)));
                    f = _mm256_fnmadd_ps(dmin, _mm256_mul_ps(_mm256_cvtepi32_ps(m), _mm256_set1_ps(a->ds)), f);
                }
                _mm256_storeu_ps(y + c * y_stride + 8 * (half + h), f);
            }
        }
    }
}

static void tile32_4(const struct panel32 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile32(p, n, half, x, at, y, s, 4, false, k); }
static void tile32_1(const struct panel32 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile32(p, n, half, x, at, y, s, 1, false, k); }
static void halves32_4(const struct panel32 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile32(p, n, half, x, at, y, s, 4, true, k); }
static void halves32_1(const struct panel32 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile32(p, n, half, x, at, y, s, 1, true, k); }
static void signed256_4(const struct panel256 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile256(p, n, half, x, at, y, s, 4, true, k); }
static void signed256_1(const struct panel256 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile256(p, n, half, x, at, y, s, 1, true, k); }
static void plain256_4(const struct panel256 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile256(p, n, half, x, at, y, s, 4, false, k); }
static void plain256_1(const struct panel256 *p, int64_t n, int half, const uint8_t *const *x, int64_t at, float *y, int64_t s, struct panel_kind k) { tile256(p, n, half, x, at, y, s, 1, false, k); }

// All columns of x over unpacked blocks; at: the first block's offset in each column.
static void tiles(const struct weight *w, const uint8_t *panel, int64_t blocks, const struct columns *x, int64_t at, float *y, int64_t y_stride)
{
    struct panel_kind kind = infer_panel_kind(w->dtype);
    for (int64_t c = 0; c < x->count;) {
        int wide = x->count - c >= 4 ? 4 : 1;
        const uint8_t *in[4];
        for (int j = 0; j < wide; j++)
            in[j] = column(x, c + j);
        for (int half = 0; half < 2; half += HALVES) {
            float *out = y + c * y_stride;
            if (w->form == FORM_32 && kind.halves)
                (wide == 4 ? halves32_4 : halves32_1)((const struct panel32 *)panel, blocks, half, in, at, out, y_stride, kind);
            else if (w->form == FORM_32)
                (wide == 4 ? tile32_4 : tile32_1)((const struct panel32 *)panel, blocks, half, in, at, out, y_stride, kind);
            else if (kind.biased)
                (wide == 4 ? signed256_4 : signed256_1)((const struct panel256 *)panel, blocks, half, in, at, out, y_stride, kind);
            else
                (wide == 4 ? plain256_4 : plain256_1)((const struct panel256 *)panel, blocks, half, in, at, out, y_stride, kind);
        }
        c += wide;
    }
}

// ---- products ----

static int64_t unpacked_block(enum act_form form) { return form == FORM_32 ? (int64_t)sizeof(struct panel32) : (int64_t)sizeof(struct panel256); }
static int64_t blocks_of(const struct weight *w) { return w->cols / (w->form == FORM_32 ? 32 : 256); }

static int64_t wide_product_scratch(int64_t cols)
{
    int64_t a = cols / 32 * unpacked_block(FORM_32), b = cols / 256 * unpacked_block(FORM_256);
    return (a > b ? a : b) + 64;
}

static void zero(const struct columns *x, float *y, int64_t y_stride)
{
    for (int32_t c = 0; c < x->count; c++)
        memset(y + c * y_stride, 0, PANEL_ROWS * 4);
}

// One panel: unpacked whole for many columns, or block by block, each used at once, for a few.
static void product_panel(const struct weight *w, int64_t mat, int64_t panel, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    int64_t blocks = blocks_of(w), unpacked = unpacked_block(w->form), column_bytes = w->form == FORM_32 ? (int64_t)sizeof(struct act32) : (int64_t)sizeof(struct act256);
    zero(x, y, y_stride);
    if (!w->packed) {
        int64_t first = panel * PANEL_ROWS, rows = w->rows - first < PANEL_ROWS ? w->rows - first : PANEL_ROWS;
        const uint8_t *raw = w->raw + mat * w->mat_stride + first * w->stride;
        if (w->form == FORM_32)
            infer_unpack_panel32(w->dtype, raw, w->stride, (int)rows, w->cols, (struct panel32 *)scratch);
        else
            infer_unpack_panel256(w->dtype, raw, w->stride, (int)rows, w->cols, (struct panel256 *)scratch);
        tiles(w, scratch, blocks, x, 0, y, y_stride);
        return;
    }
    const uint8_t *packed = packed_panel(w, mat, panel);
    int64_t bytes = w->panel_bytes / blocks;
    bool few = x->count < 4;
    for (int64_t b = 0; b < blocks; b++, packed += bytes) {
        uint8_t *to = few ? scratch : scratch + b * unpacked;
        if (w->form == FORM_32)
            unpack_block32(w->dtype, packed, (struct panel32 *)to);
        else
            unpack_block256(w->dtype, packed, (struct panel256 *)to);
        if (few)
            tiles(w, to, 1, x, b * column_bytes, y, y_stride);
    }
    if (!few)
        tiles(w, scratch, blocks, x, 0, y, y_stride);
}

static void wide_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    if (w->form == FORM_F32) {
        rows_float_product(w, mat, first_panel, count, x, y, y_stride);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        product_panel(w, mat, first_panel + i, x, y + i * PANEL_ROWS, y_stride, scratch);
}

#endif
