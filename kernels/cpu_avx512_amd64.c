// cpu_avx512_amd64.c - the AVX-512 variant (F, BW, DQ, VL, VNNI).
//
// Integer products: 16 weight rows in the lanes, a column's 4 bytes broadcast from memory to all of them, sums of 32
// bits. Panels of 8-bit weights are unpacked once for many columns, or block by block for a few.

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "simd_avx512.h"

#define ATTENTION_PASS 4
#include "cpu_attention.h"
#include "cpu_amx.h"
#include "cpu_bf16.h"
#define SCAN_STATES 8
#include "cpu_recurrent.h"
#include "cpu_rows.h"

#include "cpu_avx512_unpack.h"
#include "cpu_avx512_codes.h"

// ---- tiles: 16 rows x NC columns, added to y ----

INLINE void tile32(const struct panel32 *p, int64_t groups, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride, const int NC, const bool minimums)
{
    __m512 f[8];
    UNROLL for (int c = 0; c < NC; c++) f[c] = _mm512_loadu_ps(y + c * y_stride);
    for (int64_t b = 0; b < groups; b++, p++, at += sizeof(struct act32)) {
        __m512i acc[8];
        UNROLL for (int c = 0; c < NC; c++) acc[c] = broadcast4(x[c] + at + offsetof(struct act32, bias));
        UNROLL for (int k = 0; k < 8; k++)
        {
            __m512i w = _mm512_loadu_si512(p->q[k]);
            UNROLL for (int c = 0; c < NC; c++) acc[c] = _mm512_dpbusd_epi32(acc[c], w, broadcast4(x[c] + at + 4 * k));
        }
        __m512 d = _mm512_loadu_ps(p->d[0]);
        UNROLL for (int c = 0; c < NC; c++)
        {
            const struct act32 *a = (const void *)(x[c] + at);
            f[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]), _mm512_mul_ps(d, _mm512_set1_ps(a->d)), f[c]);
        }
        if (minimums) {
            __m512 m = _mm512_loadu_ps(p->m);
            UNROLL for (int c = 0; c < NC; c++) f[c] = _mm512_fmadd_ps(m, _mm512_set1_ps(((const struct act32 *)(x[c] + at))->ds), f[c]);
        }
    }
    UNROLL for (int c = 0; c < NC; c++) _mm512_storeu_ps(y + c * y_stride, f[c]);
}

// Types whose two halves have scales of their own: one column at a time.
static void tile32_halves(const struct panel32 *p, int64_t groups, const uint8_t *x, float *y)
{
    __m512 f = _mm512_loadu_ps(y);
    const __m512i offset = _mm512_set1_epi8((char)128);
    for (int64_t b = 0; b < groups; b++, p++, x += sizeof(struct act32)) {
        __m512i sum[2];
        for (int h = 0; h < 2; h++) {
            __m512i products = _mm512_setzero_si512(), bias = products;
            for (int k = 4 * h; k < 4 * h + 4; k++) {
                products = _mm512_dpbusd_epi32(products, _mm512_loadu_si512(p->q[k]), broadcast4(x + 4 * k));
                bias = _mm512_dpbusd_epi32(bias, offset, broadcast4(x + 4 * k));
            }
            sum[h] = _mm512_sub_epi32(products, bias);
        }
        __m512 d0 = _mm512_loadu_ps(p->d[0]), d1 = _mm512_loadu_ps(p->d[1]), dx = _mm512_set1_ps(((const struct act32 *)x)->d);
        __m512 whole = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(sum[0], sum[1])), _mm512_mul_ps(d0, dx), f);
        __m512 parts = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[0]), _mm512_mul_ps(d0, dx), f);
        parts = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[1]), _mm512_mul_ps(d1, dx), parts);
        f = _mm512_mask_blend_ps(_mm512_cmp_ps_mask(d0, d1, _CMP_EQ_OQ), parts, whole);
    }
    _mm512_storeu_ps(y, f);
}

// Sums times their scales, as floats: two of them add up to what the integers' sum would round to. A product of integers is
// below 2^24 and so is a pair of products of sums over 16 columns; what is added last is rounded once. Multiplying 32-bit integers
// takes twice the time.
INLINE __m512 times(__m512i sum, __m512 scale) { return _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale); }
INLINE __m512 and_times(__m512i sum, __m512 scale, __m512 other) { return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, other); }

INLINE void tile256(const struct panel256 *p, int64_t blocks, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride, const int NC, const bool scales16, const bool biased,
                    const int minimum_lines)
{
    for (int64_t b = 0; b < blocks; b++, p++, at += sizeof(struct act256)) {
        __m512 u[8];
        UNROLL for (int c = 0; c < NC; c++) u[c] = _mm512_setzero_ps();
        for (int g = 0; g < 4; g++) {
            __m512 part[8], total[8];
            const int parts = scales16 ? 4 : 2, lines = 16 / parts;
            UNROLL for (int h = 0; h < parts; h++)
            {
                __m512i acc[8];
                UNROLL for (int c = 0; c < NC; c++)
                    acc[c] = !biased ? _mm512_setzero_si512()
                                     : broadcast4(x[c] + at + (scales16 ? offsetof(struct act256, bias16) + 4 * (4 * g + h) : offsetof(struct act256, bias32) + 4 * (2 * g + h)));
                UNROLL for (int k = 0; k < lines; k++)
                {
                    __m512i w = _mm512_loadu_si512(p->q[16 * g + lines * h + k]);
                    UNROLL for (int c = 0; c < NC; c++) acc[c] = _mm512_dpbusd_epi32(acc[c], w, broadcast4(x[c] + at + 64 * g + 4 * (lines * h + k)));
                }
                __m512 s = _mm512_cvtepi32_ps(_mm512_loadu_si512(p->scale[4 * g + (4 / parts) * h]));
                UNROLL for (int c = 0; c < NC; c++) part[c] = h % 2 == 0 ? times(acc[c], s) : and_times(acc[c], s, part[c]);
                if (h % 2 == 1)
                    UNROLL for (int c = 0; c < NC; c++) total[c] = h == 1 ? part[c] : _mm512_add_ps(total[c], part[c]);
            }
            UNROLL for (int c = 0; c < NC; c++)
                u[c] = _mm512_fmadd_ps(total[c], _mm512_castsi512_ps(broadcast4(x[c] + at + offsetof(struct act256, d) + 4 * g)), u[c]);
        }
        __m512 d = _mm512_loadu_ps(p->d), dmin = _mm512_loadu_ps(p->dmin);
        UNROLL for (int c = 0; c < NC; c++)
        {
            __m512 f = _mm512_fmadd_ps(d, u[c], _mm512_loadu_ps(y + c * y_stride));
            if (minimum_lines > 0) {
                __m512i m = _mm512_setzero_si512();
                UNROLL for (int j = 0; j < minimum_lines; j++)
                    m = _mm512_dpwssd_epi32(m, _mm512_loadu_si512(p->min[j]),
                                            broadcast4(x[c] + at + (minimum_lines == 4 ? offsetof(struct act256, sum32) : offsetof(struct act256, sum16)) + 4 * j));
                __m512 ds = _mm512_castsi512_ps(broadcast4(x[c] + at + offsetof(struct act256, ds)));
                f = _mm512_fnmadd_ps(dmin, _mm512_mul_ps(_mm512_cvtepi32_ps(m), ds), f);
            }
            _mm512_storeu_ps(y + c * y_stride, f);
        }
    }
}

#define TILE32(NAME, MINIMUMS)                                                                                                                   \
    static void NAME##_8(const struct panel32 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile32(p, n, x, at, y, s, 8, MINIMUMS); } \
    static void NAME##_4(const struct panel32 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile32(p, n, x, at, y, s, 4, MINIMUMS); } \
    static void NAME##_2(const struct panel32 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile32(p, n, x, at, y, s, 2, MINIMUMS); } \
    static void NAME##_1(const struct panel32 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile32(p, n, x, at, y, s, 1, MINIMUMS); }
TILE32(plain32, false)
TILE32(minimum32, true)

#define TILE256(NAME, S16, BIASED, MINIMUMS)                                                                                                                     \
    static void NAME##_8(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile256(p, n, x, at, y, s, 8, S16, BIASED, MINIMUMS); } \
    static void NAME##_4(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile256(p, n, x, at, y, s, 4, S16, BIASED, MINIMUMS); } \
    static void NAME##_2(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile256(p, n, x, at, y, s, 2, S16, BIASED, MINIMUMS); } \
    static void NAME##_1(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t s) { tile256(p, n, x, at, y, s, 1, S16, BIASED, MINIMUMS); }
TILE256(minimum256, false, false, 4)
TILE256(minimum256_16, true, false, 8)
TILE256(biased256, false, true, 0)
TILE256(biased256_16, true, true, 0)

// Runs tiles of 8, 4, 2 and 1 columns over blocks that are unpacked; `at` is the first block's offset in each column.
static void tiles32(enum infer_dtype t, const struct panel32 *p, int64_t groups, const struct columns *x, int64_t at, float *y, int64_t y_stride)
{
    struct panel_kind kind = infer_panel_kind(t);
    for (int64_t c = 0; c < x->count;) {
        int wide = kind.halves ? 1 : x->count - c >= 8 ? 8 : x->count - c >= 4 ? 4 : x->count - c >= 2 ? 2 : 1;
        const uint8_t *in[8];
        float *out = y + c * y_stride;
        for (int j = 0; j < wide; j++)
            in[j] = column(x, c + j);
        if (kind.halves)
            tile32_halves(p, groups, in[0] + at, out);
        else
            switch (wide) {
            case 8: (kind.minimums ? minimum32_8 : plain32_8)(p, groups, in, at, out, y_stride); break;
            case 4: (kind.minimums ? minimum32_4 : plain32_4)(p, groups, in, at, out, y_stride); break;
            case 2: (kind.minimums ? minimum32_2 : plain32_2)(p, groups, in, at, out, y_stride); break;
            default: (kind.minimums ? minimum32_1 : plain32_1)(p, groups, in, at, out, y_stride); break;
            }
        c += wide;
    }
}

typedef void tile256_fn(const struct panel256 *p, int64_t n, const uint8_t *const *x, int64_t at, float *y, int64_t y_stride);

static void tiles256(enum infer_dtype t, const struct panel256 *p, int64_t blocks, const struct columns *x, int64_t at, float *y, int64_t y_stride)
{
    static tile256_fn *const table[4][4] = {
        {minimum256_1, minimum256_2, minimum256_4, minimum256_8},
        {minimum256_16_1, minimum256_16_2, minimum256_16_4, minimum256_16_8},
        {biased256_1, biased256_2, biased256_4, biased256_8},
        {biased256_16_1, biased256_16_2, biased256_16_4, biased256_16_8},
    };
    struct panel_kind kind = infer_panel_kind(t);
    tile256_fn *const *row = table[(kind.biased ? 2 : 0) + (kind.scales16 ? 1 : 0)];
    for (int64_t c = 0; c < x->count;) {
        int size = x->count - c >= 8 ? 3 : x->count - c >= 4 ? 2 : x->count - c >= 2 ? 1 : 0;
        const uint8_t *in[8];
        for (int j = 0; j < 1 << size; j++)
            in[j] = column(x, c + j);
        row[size](p, blocks, in, at, y + c * y_stride, y_stride);
        c += 1 << size;
    }
}

#include "cpu_avx512_few.h"
#include "cpu_avx512_one.h"

static void packed_few(const struct weight *w, const uint8_t *packed, const struct columns *x, float *y, int64_t y_stride)
{
    int64_t blocks = w->cols / infer_type_traits(w->dtype)->block;
    if (x->count == 1) {
        one_column(w->dtype, packed, blocks, column(x, 0), y);
        return;
    }
    few_columns(w->dtype, packed, blocks, x, y, y_stride);
}

// ---- products ----

static int64_t unpacked_bytes(enum act_form form, int64_t cols)
{
    return form == FORM_32 ? cols / 32 * (int64_t)sizeof(struct panel32) : cols / 256 * (int64_t)sizeof(struct panel256);
}

static void unpack_panel(const struct weight *w, int64_t mat, int64_t panel, uint8_t *out)
{
    if (!w->packed) {
        int64_t first = panel * PANEL_ROWS, rows = w->rows - first < PANEL_ROWS ? w->rows - first : PANEL_ROWS;
        const uint8_t *raw = w->raw + mat * w->mat_stride + first * w->stride;
        if (w->form == FORM_32)
            infer_unpack_panel32(w->dtype, raw, w->stride, (int)rows, w->cols, (struct panel32 *)out);
        else
            infer_unpack_panel256(w->dtype, raw, w->stride, (int)rows, w->cols, (struct panel256 *)out);
        return;
    }
    const uint8_t *packed = packed_panel(w, mat, panel);
    int64_t blocks = w->cols / infer_type_traits(w->dtype)->block, bytes = w->panel_bytes / blocks;
    for (int64_t b = 0; b < blocks; b++, packed += bytes)
        if (w->form == FORM_32)
            unpack_block32(w->dtype, packed, (struct panel32 *)out + b);
        else
            unpack_block256(w->dtype, packed, (struct panel256 *)out + b);
}

static int64_t avx512_product_scratch(int64_t cols)
{
    int64_t a = unpacked_bytes(FORM_32, cols), b = unpacked_bytes(FORM_256, cols);
    return PRODUCT_PANELS * (a > b ? a : b) + 64;
}

// Types whose lines are unpacked for 8 columns at no more cost than storing them unpacked and reading them back.
static bool cheap_to_unpack(enum infer_dtype t)
{
    switch (t) {
    case INFER_DTYPE_Q4_0:
    case INFER_DTYPE_Q4_1:
    case INFER_DTYPE_Q8_0:
    case INFER_DTYPE_Q4_K:
    case INFER_DTYPE_IQ4_NL:
    case INFER_DTYPE_MXFP4:
    case INFER_DTYPE_IQ4_XS:
    case INFER_DTYPE_IQ3_S:
    case INFER_DTYPE_IQ3_XXS: return true;
    default: return false;
    }
}

static void unpacked_tile(const struct weight *w, const uint8_t *panel, const struct columns *x, float *y, int64_t y_stride)
{
    for (int32_t j = 0; j < x->count; j++)
        _mm512_storeu_ps(y + j * y_stride, _mm512_setzero_ps());
    if (w->form == FORM_32)
        tiles32(w->dtype, (const struct panel32 *)panel, w->cols / 32, x, 0, y, y_stride);
    else
        tiles256(w->dtype, (const struct panel256 *)panel, w->cols / 256, x, 0, y, y_stride);
}

static void avx512_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    if (w->form == FORM_F32) {
        rows_float_product(w, mat, first_panel, count, x, y, y_stride);
        return;
    }
    if (w->packed && x->count <= FEW_COLUMNS) {
        for (int64_t i = 0; i < count; i++)
            packed_few(w, packed_panel(w, mat, first_panel + i), x, y + i * PANEL_ROWS, y_stride);
        return;
    }
    bool direct = w->packed && cheap_to_unpack(w->dtype);
    int64_t bytes = unpacked_bytes(w->form, w->cols);
    for (int64_t i = 0; i < count && !direct; i++)
        unpack_panel(w, mat, first_panel + i, scratch + i * bytes);
    for (int64_t c = 0; c < x->count; c += 8) { // a tile's columns stay in the first-level cache for all panels
        struct columns part = *x;
        part.count = (int32_t)(x->count - c < 8 ? x->count - c : 8);
        if (part.pick)
            part.pick += c;
        else
            part.data += c * part.stride;
        for (int64_t i = 0; i < count; i++) {
            float *out = y + c * y_stride + i * PANEL_ROWS;
            if (direct)
                packed_few(w, packed_panel(w, mat, first_panel + i), &part, out, y_stride);
            else
                unpacked_tile(w, scratch + i * bytes, &part, out, y_stride);
        }
    }
}

// ---- activations ----

// The sums of 16 vectors' lanes: lane i is the sum of v[i].
static inline __m512i sums_of_16(const __m512i v[16])
{
    __m512i four[4];
    for (int i = 0; i < 4; i++) {
        __m512i a = _mm512_add_epi32(_mm512_unpacklo_epi32(v[4 * i], v[4 * i + 1]), _mm512_unpackhi_epi32(v[4 * i], v[4 * i + 1]));
        __m512i b = _mm512_add_epi32(_mm512_unpacklo_epi32(v[4 * i + 2], v[4 * i + 3]), _mm512_unpackhi_epi32(v[4 * i + 2], v[4 * i + 3]));
        four[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    }
    __m512i lo = _mm512_add_epi32(_mm512_shuffle_i32x4(four[0], four[1], 0x88), _mm512_shuffle_i32x4(four[0], four[1], 0xdd));
    __m512i hi = _mm512_add_epi32(_mm512_shuffle_i32x4(four[2], four[3], 0x88), _mm512_shuffle_i32x4(four[2], four[3], 0xdd));
    return _mm512_add_epi32(_mm512_shuffle_i32x4(lo, hi, 0x88), _mm512_shuffle_i32x4(lo, hi, 0xdd));
}

// best_candidate for 32 values: every candidate's error first, then all costs in one vector. Of equal costs the first wins.
static inline float best_steps(__m512i fine)
{
    const __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    __m512 steps = _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_set1_epi32(CANDIDATE_FIRST), _mm512_mullo_epi32(numbers, _mm512_set1_epi32(CANDIDATE_STEP))));
    __m512i squares[CANDIDATES];
    for (int i = 0; i < CANDIDATES; i++) {
        __m512i scaled = _mm512_mulhrs_epi16(fine, _mm512_set1_epi16((short)(CANDIDATE_FIRST - i * CANDIDATE_STEP)));
        __m512i error = _mm512_srai_epi16(_mm512_slli_epi16(scaled, 8), 4);
        squares[i] = _mm512_madd_epi16(error, error);
    }
    __m512 cost = _mm512_div_ps(_mm512_cvtepi32_ps(sums_of_16(squares)), _mm512_mul_ps(steps, steps));
    __mmask16 least = _mm512_cmp_ps_mask(cost, _mm512_set1_ps(_mm512_reduce_min_ps(cost)), _CMP_EQ_OQ);
    int32_t best = CANDIDATE_FIRST - __builtin_ctz(least) * CANDIDATE_STEP;
    return (float)best * (1.0f / 256);
}
_Static_assert(CANDIDATES == 16, "best_steps holds a candidate in each lane");

// rows_quantize32 with its scale search on 32 lanes of 16 bits, for the same result.
static void avx512_quantize32(const float *x, int64_t n, struct act32 *out)
{
    for (int64_t b = 0; b < n / 32; b++, x += 32, out++) {
        __m512 lo = _mm512_loadu_ps(x), hi = _mm512_loadu_ps(x + 16);
        float highest = v_highest(v_max(v_abs(lo), v_abs(hi))), steps = 127;
        if (highest >= LEAST_HIGHEST) {
            __m512 scale = _mm512_set1_ps(32767.0f / highest);
            __m512i fine = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(lo, scale)))),
                                              _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(hi, scale))), 1);
            steps = best_steps(fine);
        }
        out->d = highest / steps;
        __m512 inverse = _mm512_set1_ps(highest >= LEAST_HIGHEST ? steps / highest : 0.0f);
        __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(lo, inverse)), c = _mm512_cvtps_epi32(_mm512_mul_ps(hi, inverse));
        _mm_storeu_si128((void *)out->q, _mm512_cvtepi32_epi8(a));
        _mm_storeu_si128((void *)(out->q + 16), _mm512_cvtepi32_epi8(c));
        __m256i fours = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), _mm256_loadu_si256((const void *)out->q));
        int32_t sum = _mm512_reduce_add_epi32(_mm512_zextsi256_si512(fours)); // of what was stored: what is not a number is 0 there
        out->bias = -128 * sum;
        out->ds = out->d * (float)sum;
    }
}

// rows_quantize256 with its integers in vectors, for the same result: sums of 16 by products with ones.
static void avx512_quantize256(const float *x, int64_t n, struct act256 *out)
{
    const __m512i ones = _mm512_set1_epi8(1);
    for (int64_t b = 0; b < n / 256; b++, x += 256, out++) {
        float unit[16];
        int32_t sums[16];
        for (int g = 0; g < 4; g++) {
            __m512 a[4];
            for (int i = 0; i < 4; i++)
                a[i] = _mm512_loadu_ps(x + 64 * g + 16 * i);
            float highest = v_highest(v_max(v_max(v_abs(a[0]), v_abs(a[1])), v_max(v_abs(a[2]), v_abs(a[3]))));
            __m512 inverse = _mm512_set1_ps(highest >= LEAST_HIGHEST ? 127.0f / highest : 0.0f);
            out->d[g] = highest / 127.0f;
            for (int i = 0; i < 4; i++) {
                unit[4 * g + i] = out->d[g];
                _mm_storeu_si128((void *)(out->q + 64 * g + 16 * i), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(a[i], inverse))));
            }
            __m512i fours = _mm512_dpbusd_epi32(_mm512_setzero_si512(), ones, _mm512_loadu_si512(out->q + 64 * g));
            fours = _mm512_add_epi32(fours, _mm512_shuffle_epi32(fours, 0x4e));
            fours = _mm512_add_epi32(fours, _mm512_shuffle_epi32(fours, 0xb1));
            _mm512_mask_compressstoreu_epi32(sums + 4 * g, 0x1111, fours);
        }
        __m512i sum = _mm512_loadu_si512(sums), biases = _mm512_mullo_epi32(sum, _mm512_set1_epi32(-128));
        __m512 scaled_sums = _mm512_mul_ps(_mm512_loadu_ps(unit), _mm512_cvtepi32_ps(sum));
        float highest_sum = v_highest(v_abs(scaled_sums));
        out->ds = highest_sum / 16383.0f;
        __m512i parts = _mm512_cvtps_epi32(_mm512_mul_ps(scaled_sums, _mm512_set1_ps(highest_sum >= LEAST_HIGHEST ? 16383.0f / highest_sum : 0.0f)));
        _mm512_storeu_si512(out->bias16, biases);
        _mm256_storeu_si256((void *)out->sum16, _mm512_cvtepi32_epi16(parts));
        __m512i pairs = _mm512_add_epi32(parts, _mm512_shuffle_epi32(parts, 0xb1)), both = _mm512_add_epi32(biases, _mm512_shuffle_epi32(biases, 0xb1));
        _mm256_storeu_si256((void *)out->bias32, _mm512_castsi512_si256(_mm512_maskz_compress_epi32(0x5555, both)));
        _mm_storeu_si128((void *)out->sum32, _mm256_cvtepi32_epi16(_mm512_castsi512_si256(_mm512_maskz_compress_epi32(0x5555, pairs))));
    }
}

static bool avx512_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

const struct cpu_variant infer_cpu_avx512 = {
    .name = "avx512", .supported = avx512_supported, .panel_bytes = infer_packed_bytes, .pack = infer_pack,
    .product = avx512_product, .product_scratch = avx512_product_scratch, CPU_ROWS(avx512_quantize32, avx512_quantize256)
};

// ---- the same with the bf16 dot product ----

static bool avx512bf16_supported(void) { return avx512_supported() && infer_bf16_supported(); }

static int64_t bf16_panel_bytes(const struct cpu_variant *v, enum infer_dtype t, int64_t cols)
{
    return infer_form_of(v, t, cols) == FORM_BF16 ? infer_bf16_panel_bytes(cols) : infer_packed_bytes(t, cols);
}

static void bf16_pack(const struct cpu_variant *v, enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    (infer_form_of(v, t, cols) == FORM_BF16 ? infer_bf16_pack : infer_pack)(t, raw, stride, rows, cols, panel);
}

static int64_t avx512bf16_product_scratch(int64_t cols)
{
    int64_t a = avx512_product_scratch(cols), b = PRODUCT_PANELS * infer_bf16_panel_bytes(cols);
    return a > b ? a : b;
}

static void avx512bf16_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    (w->form == FORM_BF16 ? infer_bf16_product : avx512_product)(w, mat, first_panel, count, x, y, y_stride, scratch);
}

static const struct cpu_variant rounding, amx_rounding;

static int64_t plain_panel_bytes(enum infer_dtype t, int64_t cols) { return bf16_panel_bytes(&infer_cpu_avx512bf16, t, cols); }
static int64_t rounding_panel_bytes(enum infer_dtype t, int64_t cols) { return bf16_panel_bytes(&rounding, t, cols); }

static void plain_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    bf16_pack(&infer_cpu_avx512bf16, t, raw, stride, rows, cols, panel);
}

static void rounding_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    bf16_pack(&rounding, t, raw, stride, rows, cols, panel);
}

#define BF16_PLAIN .panel_bytes = plain_panel_bytes, .pack = plain_pack
#define BF16_ROUNDING .panel_bytes = rounding_panel_bytes, .pack = rounding_pack, .rounds_f16 = true
#define AVX512BF16                                                                   \
    .supported = avx512bf16_supported, .round_bf16 = infer_bf16_round, .product = avx512bf16_product, .product_scratch = avx512bf16_product_scratch, \
    CPU_ROWS(avx512_quantize32, avx512_quantize256)

static const struct cpu_variant rounding = {.name = "avx512bf16 with F16 rounded to bf16", BF16_ROUNDING, AVX512BF16};
const struct cpu_variant infer_cpu_avx512bf16 = {.name = "avx512bf16", .rounding_f16 = &rounding, BF16_PLAIN, AVX512BF16};

// ---- the same with the matrix unit ----

static bool amx_supported(void) { return avx512bf16_supported() && infer_amx_supported(); }

static int64_t amx_product_scratch(int64_t cols)
{
    int64_t a = avx512_product_scratch(cols), b = infer_amx_scratch(cols), c = infer_amx_bf16_scratch(cols);
    return a > b ? (a > c ? a : c) : b > c ? b : c;
}

static void amx_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    if (w->form == FORM_BF16)
        infer_amx_bf16_product(w, mat, first_panel, count, x, y, y_stride, scratch);
    else if (is_quantized(w->form) && x->count >= infer_amx_least(w->dtype))
        infer_amx_product(w, mat, first_panel, count, x, y, y_stride, scratch);
    else
        avx512_product(w, mat, first_panel, count, x, y, y_stride, scratch);
}

#define AMX                                                                   \
    .supported = amx_supported, .round_bf16 = infer_bf16_round, .product = amx_product, .product_scratch = amx_product_scratch, \
    .tile_bytes = infer_amx_tile_bytes, .spread = infer_amx_spread,                                                             \
    CPU_ROWS(avx512_quantize32, avx512_quantize256)

static const struct cpu_variant amx_rounding = {.name = "amx with F16 rounded to bf16", BF16_ROUNDING, AMX};
const struct cpu_variant infer_cpu_amx = {.name = "amx", .rounding_f16 = &amx_rounding, BF16_PLAIN, AMX};
