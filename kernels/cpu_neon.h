// cpu_neon.h - the kernels of the NEON variants, included by cpu_neon_arm64.c (8-bit dot product) and cpu_neon_i8mm_arm64.c (8-bit
// matrix products for 4 columns and more, NEON_MATRIX).
//
// Integer products work on the panels of the x86 variants: a line of 64 bytes is 4 columns of 16 rows, four registers of 4 rows each,
// and one instruction multiplies a register by 4 activations of a column and adds them up in 32 bits. Weights that are stored with
// 128 added become signed by turning their highest bit.
#ifndef INFER_CPU_NEON_H
#define INFER_CPU_NEON_H

#include "simd_neon.h"

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

// ---- unpacking one block of a panel ----

INLINE uint8x16_t low_nibbles(uint8x16_t v) { return vandq_u8(v, vdupq_n_u8(15)); }
INLINE uint8x16_t high_nibbles(uint8x16_t v) { return vshrq_n_u8(v, 4); }

static void unpack_halves(const uint16_t *from, float *to) { v_store(to, v_load_f16(from)); }

// 16 bits as 16 bytes of 0 or 16.
INLINE uint8x16_t fifth_bits(uint16_t bits)
{
    static const uint8_t each[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t b = vcombine_u8(vdup_n_u8((uint8_t)bits), vdup_n_u8((uint8_t)(bits >> 8)));
    return vandq_u8(vtstq_u8(b, vld1q_u8(each)), vdupq_n_u8(16));
}

static void unpack_nibbles(const uint8_t (*q)[64], const uint64_t *fifth, int offset, struct panel32 *out)
{
    const uint8x16_t add = vdupq_n_u8((uint8_t)offset);
    for (int j = 0; j < 4; j++)
        for (int r = 0; r < 4; r++) {
            uint8x16_t v = vld1q_u8(q[j] + 16 * r), low = low_nibbles(v), high = high_nibbles(v);
            if (fifth) {
                low = vaddq_u8(low, fifth_bits((uint16_t)(fifth[j] >> (16 * r))));
                high = vaddq_u8(high, fifth_bits((uint16_t)(fifth[4 + j] >> (16 * r))));
            }
            vst1q_u8(out->q[j] + 16 * r, vaddq_u8(low, add));
            vst1q_u8(out->q[4 + j] + 16 * r, vaddq_u8(high, add));
        }
}

INLINE uint8x16_t lookup_table(const int8_t values[16], bool biased)
{
    uint8x16_t v = vreinterpretq_u8_s8(vld1q_s8(values));
    return biased ? veorq_u8(v, vdupq_n_u8(128)) : v;
}

static void unpack_codebook(const uint8_t (*q)[64], const int8_t values[16], struct panel32 *out)
{
    const uint8x16_t table = lookup_table(values, true);
    for (int j = 0; j < 4; j++)
        for (int r = 0; r < 64; r += 16) {
            uint8x16_t v = vld1q_u8(q[j] + r);
            vst1q_u8(out->q[j] + r, vqtbl1q_u8(table, low_nibbles(v)));
            vst1q_u8(out->q[4 + j] + r, vqtbl1q_u8(table, high_nibbles(v)));
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
    const uint8x16_t bit = vdupq_n_u8(16);
    for (int c = 0; c < 4; c++)
        for (int i = 0; i < 8; i++)
            for (int r = 0; r < 64; r += 16) {
                uint8x16_t v = vld1q_u8(q[c][i] + r), low = low_nibbles(v), high = high_nibbles(v);
                if (fifth) { // bit 2c belongs to the low nibble, 2c+1 to the high one
                    uint8x16_t f = vld1q_u8(fifth[i] + r);
                    low = vorrq_u8(low, vandq_u8(vtstq_u8(f, vdupq_n_u8((uint8_t)(1 << (2 * c)))), bit));
                    high = vorrq_u8(high, vandq_u8(vtstq_u8(f, vdupq_n_u8((uint8_t)(2 << (2 * c)))), bit));
                }
                vst1q_u8(out->q[16 * c + i] + r, low);
                vst1q_u8(out->q[16 * c + 8 + i] + r, high);
            }
}

static void unpack_q6_k(const struct packed_q6_k *p, struct panel256 *out)
{
    const uint8x16_t two = vdupq_n_u8(0x30), add = vdupq_n_u8(128 - 32);
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 8; i++)
            for (int r = 0; r < 64; r += 16) {
                uint8x16_t x = vld1q_u8(p->line[n][i][0] + r), y = vld1q_u8(p->line[n][i][1] + r), top = vld1q_u8(p->line[n][i][2] + r);
                uint8x16_t w[4] = {vorrq_u8(low_nibbles(x), vandq_u8(vshlq_n_u8(top, 4), two)), vorrq_u8(low_nibbles(y), vandq_u8(vshlq_n_u8(top, 2), two)),
                                   vorrq_u8(high_nibbles(x), vandq_u8(top, two)), vorrq_u8(high_nibbles(y), vandq_u8(vshrq_n_u8(top, 2), two))};
                for (int j = 0; j < 4; j++)
                    vst1q_u8(out->q[32 * n + 8 * j + i] + r, vaddq_u8(w[j], add));
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
    const uint8x16_t values = lookup_table(k->values, biased), three = vdupq_n_u8(3), four = vdupq_n_u8(4);
    const uint8_t *lines = k->bits == 3 ? p + 512 : p;
    for (int i = 0; i < (k->bits == 4 ? 32 : 16); i++)
        for (int r = 0; r < 64; r += 16) {
            uint8x16_t v = vld1q_u8(lines + 64 * i + r);
            if (k->bits == 4) {
                int to = 16 * (i / 8) + i % 8;
                vst1q_u8(out->q[to] + r, vqtbl1q_u8(values, low_nibbles(v)));
                vst1q_u8(out->q[to + 8] + r, vqtbl1q_u8(values, high_nibbles(v)));
                continue;
            }
            uint8x16_t third = k->bits == 3 ? vld1q_u8(p + 64 * (i % 8) + r) : vdupq_n_u8(0);
            for (int f = 0; f < 4; f++) {
                int8x16_t third_to = vdupq_n_s8((int8_t)(2 - (4 * (i / 8) + f))), field_to = vdupq_n_s8((int8_t)(-2 * f)); // shifts to the left
                uint8x16_t code = vorrq_u8(vandq_u8(vshlq_u8(v, field_to), three), vandq_u8(vshlq_u8(third, third_to), four));
                vst1q_u8(out->q[32 * (i / 8) + 8 * f + i % 8] + r, vqtbl1q_u8(values, code));
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

// ---- tiles: 16 rows x NC columns, added to y ----

INLINE int8x16_t weights(const uint8_t *line, const bool biased)
{
    uint8x16_t v = vld1q_u8(line);
    return vreinterpretq_s8_u8(biased ? veorq_u8(v, vdupq_n_u8(128)) : v);
}

INLINE void clear(int32x4_t (*acc)[4], const int NC)
{
    UNROLL for (int c = 0; c < NC; c++)
        UNROLL for (int r = 0; r < 4; r++) acc[c][r] = vdupq_n_s32(0);
}

// Adds 4 lines, which are 16 columns.
INLINE void dot16(const uint8_t (*q)[64], const uint8_t *const *x, int64_t at, const int NC, const bool biased, int32x4_t (*acc)[4])
{
    int8x16_t v[4];
    UNROLL for (int c = 0; c < NC; c++) v[c] = vld1q_s8((const int8_t *)x[c] + at);
#define LINE(LANE)                                                                                             \
    UNROLL for (int r = 0; r < 4; r++)                                                                         \
    {                                                                                                          \
        int8x16_t w = weights(q[LANE] + 16 * r, biased);                                                       \
        UNROLL for (int c = 0; c < NC; c++) acc[c][r] = vdotq_laneq_s32(acc[c][r], w, v[c], LANE);             \
    }
    LINE(0) LINE(1) LINE(2) LINE(3)
#undef LINE
}

#ifdef NEON_MATRIX
// Adds up lines for 4 columns by 2 x 8 by 8 x 2 products: two lines' words of two rows side by side, against two columns.
INLINE void matrix_sums(const uint8_t (*q)[64], const int lines, const uint8_t *const *x, int64_t at, const bool biased, int32x4_t (*acc)[4])
{
    int32x4_t pair[2][8]; // of columns, of rows: row 0 by column 0, by column 1, row 1 likewise
    UNROLL for (int r = 0; r < 8; r++) pair[0][r] = pair[1][r] = vdupq_n_s32(0);
    UNROLL for (int k = 0; k < lines; k += 2)
    {
        int8x16_t v[2];
        UNROLL for (int p = 0; p < 2; p++) v[p] = vcombine_s8(vld1_s8((const int8_t *)x[2 * p] + at + 4 * k), vld1_s8((const int8_t *)x[2 * p + 1] + at + 4 * k));
        UNROLL for (int r = 0; r < 4; r++)
        {
            int32x4_t a = vreinterpretq_s32_s8(weights(q[k] + 16 * r, biased)), b = vreinterpretq_s32_s8(weights(q[k + 1] + 16 * r, biased));
            int8x16_t low = vreinterpretq_s8_s32(vzip1q_s32(a, b)), high = vreinterpretq_s8_s32(vzip2q_s32(a, b));
            UNROLL for (int p = 0; p < 2; p++)
            {
                pair[p][2 * r] = vmmlaq_s32(pair[p][2 * r], low, v[p]);
                pair[p][2 * r + 1] = vmmlaq_s32(pair[p][2 * r + 1], high, v[p]);
            }
        }
    }
    UNROLL for (int p = 0; p < 2; p++)
        UNROLL for (int r = 0; r < 4; r++)
        {
            acc[2 * p][r] = vuzp1q_s32(pair[p][2 * r], pair[p][2 * r + 1]);
            acc[2 * p + 1][r] = vuzp2q_s32(pair[p][2 * r], pair[p][2 * r + 1]);
        }
}
#endif

// The sums of some lines: acc[column][4 rows].
INLINE void sums(const uint8_t (*q)[64], const int lines, const uint8_t *const *x, int64_t at, const int NC, const bool biased, int32x4_t (*acc)[4])
{
#ifdef NEON_MATRIX
    if (NC == 4) {
        matrix_sums(q, lines, x, at, biased, acc);
        return;
    }
#endif
    clear(acc, NC);
    UNROLL for (int k = 0; k < lines; k += 4) dot16(q + k, x, at + 4 * k, NC, biased, acc);
}

INLINE void tile32(const struct panel32 *p, int64_t groups, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride, const int NC, const bool minimums)
{
    for (int64_t b = 0; b < groups; b++, p++, at += sizeof(struct act32)) {
        int32x4_t acc[4][4];
        sums(p->q, 8, x, at, NC, true, acc);
        UNROLL for (int c = 0; c < NC; c++)
        {
            const struct act32 *a = (const void *)(x[c] + at);
            UNROLL for (int r = 0; r < 4; r++)
            {
                float *out = y + c * y_stride + 4 * r;
                float32x4_t f = vfmaq_f32(vld1q_f32(out), vcvtq_f32_s32(acc[c][r]), vmulq_n_f32(vld1q_f32(p->d[0] + 4 * r), a->d));
                if (minimums)
                    f = vfmaq_f32(f, vld1q_f32(p->m + 4 * r), vdupq_n_f32(a->ds));
                vst1q_f32(out, f);
            }
        }
    }
}

// Types whose two halves have scales of their own: one column at a time.
static void tile32_halves(const struct panel32 *p, int64_t groups, const uint8_t *x, int64_t at, float *y)
{
    for (int64_t b = 0; b < groups; b++, p++, at += sizeof(struct act32)) {
        int32x4_t first[1][4], second[1][4];
        sums(p->q, 4, &x, at, 1, true, first);
        sums(p->q + 4, 4, &x, at + 16, 1, true, second);
        float dx = ((const struct act32 *)(x + at))->d;
        for (int r = 0; r < 4; r++) {
            float32x4_t f = vld1q_f32(y + 4 * r), d0 = vld1q_f32(p->d[0] + 4 * r), d1 = vld1q_f32(p->d[1] + 4 * r);
            float32x4_t whole = vfmaq_f32(f, vcvtq_f32_s32(vaddq_s32(first[0][r], second[0][r])), vmulq_n_f32(d0, dx));
            float32x4_t parts = vfmaq_f32(f, vcvtq_f32_s32(first[0][r]), vmulq_n_f32(d0, dx));
            parts = vfmaq_f32(parts, vcvtq_f32_s32(second[0][r]), vmulq_n_f32(d1, dx));
            vst1q_f32(y + 4 * r, vbslq_f32(vceqq_f32(d0, d1), whole, parts));
        }
    }
}

INLINE float32x4_t subtract_minimums(float32x4_t f, const struct panel256 *p, const struct act256 *a, int r, const int lines)
{
    const int16_t *of = lines == 8 ? a->sum16 : a->sum32;
    int32x4_t m = vdupq_n_s32(0);
    for (int j = 0; j < lines; j++) {
        int16x4x2_t pairs = vld2_s16(p->min[j][4 * r]);
        m = vmlal_n_s16(vmlal_n_s16(m, pairs.val[0], of[2 * j]), pairs.val[1], of[2 * j + 1]);
    }
    return vfmsq_f32(f, vld1q_f32(p->dmin + 4 * r), vmulq_n_f32(vcvtq_f32_s32(m), a->ds));
}

INLINE void tile256(const struct panel256 *p, int64_t blocks, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride, const int NC, const bool scales16, const bool biased,
                    const int minimum_lines)
{
    for (int64_t b = 0; b < blocks; b++, p++, at += sizeof(struct act256)) {
        float32x4_t u[4][4];
        UNROLL for (int c = 0; c < NC; c++)
            UNROLL for (int r = 0; r < 4; r++) u[c][r] = vdupq_n_f32(0);
        for (int g = 0; g < 4; g++) {
            int32x4_t total[4][4], acc[4][4];
            clear(total, NC);
            for (int h = 0; h < (scales16 ? 4 : 2); h++) { // columns of one scale
                const int lines = scales16 ? 4 : 8, line = 16 * g + lines * h;
                sums(p->q + line, lines, x, at + 4 * line, NC, biased, acc);
                UNROLL for (int r = 0; r < 4; r++)
                {
                    int32x4_t s = vld1q_s32(p->scale[4 * g + (scales16 ? 1 : 2) * h] + 4 * r);
                    UNROLL for (int c = 0; c < NC; c++) total[c][r] = vmlaq_s32(total[c][r], acc[c][r], s);
                }
            }
            UNROLL for (int c = 0; c < NC; c++)
                UNROLL for (int r = 0; r < 4; r++)
                    u[c][r] = vfmaq_f32(u[c][r], vcvtq_f32_s32(total[c][r]), vdupq_n_f32(((const struct act256 *)(x[c] + at))->d[g]));
        }
        UNROLL for (int c = 0; c < NC; c++)
        {
            const struct act256 *a = (const void *)(x[c] + at);
            for (int r = 0; r < 4; r++) {
                float *out = y + c * y_stride + 4 * r;
                float32x4_t f = vfmaq_f32(vld1q_f32(out), vld1q_f32(p->d + 4 * r), u[c][r]);
                if (minimum_lines > 0)
                    f = subtract_minimums(f, p, a, r, minimum_lines);
                vst1q_f32(out, f);
            }
        }
    }
}

#define TILE32(NAME, MINIMUMS)                                                                                                                                  \
    static void NAME##_4(const struct panel32 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile32(p, n, x, at, y, s, 4, MINIMUMS); } \
    static void NAME##_1(const struct panel32 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile32(p, n, x, at, y, s, 1, MINIMUMS); }
TILE32(plain32, false)
TILE32(minimum32, true)

#define TILE256(NAME, S16, BIASED, MINIMUMS)                                                                                                                     \
    static void NAME##_4(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile256(p, n, x, at, y, s, 4, S16, BIASED, MINIMUMS); } \
    static void NAME##_1(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile256(p, n, x, at, y, s, 1, S16, BIASED, MINIMUMS); }
TILE256(minimum256, false, false, 4)
TILE256(minimum256_16, true, false, 8)
TILE256(biased256, false, true, 0)
TILE256(biased256_16, true, true, 0)

typedef void tile32_fn(const struct panel32 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride);
typedef void tile256_fn(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride);

// All columns of x over unpacked blocks; at: the first block's offset in each column.
static void tiles(const struct weight *w, const uint8_t *panel, int64_t blocks, const struct columns *x, int64_t at, float *y, int64_t y_stride)
{
    static tile32_fn *const small[2][2] = {{plain32_1, plain32_4}, {minimum32_1, minimum32_4}};
    static tile256_fn *const large[4][2] = {{minimum256_1, minimum256_4}, {minimum256_16_1, minimum256_16_4}, {biased256_1, biased256_4}, {biased256_16_1, biased256_16_4}};
    struct panel_kind kind = infer_panel_kind(w->dtype);
    for (int64_t c = 0; c < x->count;) {
        int four = x->count - c >= 4 && !kind.halves, wide = four ? 4 : 1;
        const uint8_t *in[4];
        for (int j = 0; j < wide; j++)
            in[j] = column(x, c + j);
        float *out = y + c * y_stride;
        if (kind.halves)
            tile32_halves((const struct panel32 *)panel, blocks, in[0], at, out);
        else if (w->form == FORM_32)
            small[kind.minimums][four]((const struct panel32 *)panel, blocks, in, at, out, y_stride);
        else
            large[(kind.biased ? 2 : 0) + (kind.scales16 ? 1 : 0)][four]((const struct panel256 *)panel, blocks, in, at, out, y_stride);
        c += wide;
    }
}

// ---- products ----

static int64_t unpacked_block(enum act_form form) { return form == FORM_32 ? (int64_t)sizeof(struct panel32) : (int64_t)sizeof(struct panel256); }

static int64_t neon_product_scratch(int64_t cols)
{
    int64_t a = cols / 32 * unpacked_block(FORM_32), b = cols / 256 * unpacked_block(FORM_256);
    return (a > b ? a : b) + 64;
}

// One panel: unpacked whole for many columns, or block by block, each used at once, for a few.
static void product_panel(const struct weight *w, int64_t mat, int64_t panel, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    int64_t unpacked = unpacked_block(w->form), column_bytes = w->form == FORM_32 ? (int64_t)sizeof(struct act32) : (int64_t)sizeof(struct act256);
    int64_t blocks = w->cols / (w->form == FORM_32 ? 32 : 256);
    for (int32_t c = 0; c < x->count; c++)
        memset(y + c * y_stride, 0, PANEL_ROWS * 4);
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
    bool few = x->count < 8;
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

static void neon_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    if (w->form == FORM_F32) {
        rows_float_product(w, mat, first_panel, count, x, y, y_stride);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        product_panel(w, mat, first_panel + i, x, y + i * PANEL_ROWS, y_stride, scratch);
}

#define NEON_VARIANT(NAME, SUPPORTED)                                                              \
    {                                                                                              \
        .name = NAME, .supported = SUPPORTED, .panel_bytes = infer_packed_bytes, .pack = infer_pack, .product = neon_product, \
        .product_scratch = neon_product_scratch, CPU_ROWS(rows_quantize32, rows_quantize256)       \
    }

#endif
