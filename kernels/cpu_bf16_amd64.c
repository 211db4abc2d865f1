// cpu_bf16_amd64.c - products of BF16 weights by the processor's bf16 dot product (AVX512-BF16), for the variant avx512bf16.
//
// Activations are rounded to bf16. 16 weight rows lie in the lanes, two neighbours in k in each: a panel is a line of 64 bytes for
// every two columns of the weight, and a product is one chain of dot products along k, whatever the number of columns. Two
// products and their sum are rounded as the processor does it: the bits are this machine's, not the reference's.

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")

#include <immintrin.h>

#include "cpu_bf16.h"

#define INLINE static inline __attribute__((always_inline))
#define BF16_AHEAD 4096 // bytes that are asked for before their use, where several columns are computed a line

bool infer_bf16_supported(void) { return __builtin_cpu_supports("avx512bf16"); }

int64_t infer_bf16_panel_bytes(int64_t cols) { return cols * 2 * PANEL_ROWS; }

void infer_bf16_round(const float *x, int64_t n, uint16_t *out)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((void *)(out + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(x + i)));
    if (i < n) {
        __mmask16 rest = (__mmask16)((1u << (n - i)) - 1);
        _mm256_mask_storeu_epi16(out + i, rest, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(rest, x + i)));
    }
}

// 16 words of 16 rows to 16 lines: line i holds word i of every row.
INLINE void transpose(__m512i r[16])
{
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) { // quarter q of r[4*j + i]: word 4*q + i of rows 4*j..
        t[i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(r[i], r[4 + i], 0xdd);
        t[8 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0x88);
        t[12 + i] = _mm512_shuffle_i32x4(r[8 + i], r[12 + i], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0x88);
        r[8 + i] = _mm512_shuffle_i32x4(t[i], t[8 + i], 0xdd);
        r[4 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0x88);
        r[12 + i] = _mm512_shuffle_i32x4(t[4 + i], t[12 + i], 0xdd);
    }
}

// 32 weights of a row, or as many pairs as `there` says, in bf16.
INLINE __m512i load_bf16(enum infer_dtype t, const uint8_t *at, __mmask16 there)
{
    __m512i v = _mm512_maskz_loadu_epi32(there, at);
    if (t == INFER_DTYPE_BF16)
        return v;
    __m512 low = _mm512_cvtph_ps(_mm512_castsi512_si256(v)), high = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(v, 1));
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

void infer_bf16_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    for (int64_t i = 0; i < cols; i += 32, panel += 16 * 64) {
        int words = cols - i < 32 ? (int)(cols - i) / 2 : 16;
        __mmask16 there = (__mmask16)((1u << words) - 1);
        __m512i r[16];
        for (int j = 0; j < 16; j++)
            r[j] = j < rows ? load_bf16(t, raw + j * stride + 2 * i, there) : _mm512_setzero_si512();
        transpose(r);
        for (int j = 0; j < words; j++)
            _mm512_storeu_si512(panel + 64 * j, r[j]);
    }
}

INLINE __m512bh pair(const uint8_t *x)
{
    int32_t v;
    memcpy(&v, x, 4);
    return (__m512bh)_mm512_set1_epi32(v);
}

// PANELS panels, panel_step bytes from one to the next, by NC columns.
INLINE void tile(const uint8_t *panel, int64_t panel_step, int64_t pairs, const uint8_t *const *columns, float *y, int64_t y_stride, const int PANELS, const int NC, const int ahead)
{
    __m512 sum[2][8];
    const uint8_t *x[8];
    for (int c = 0; c < NC; c++) {
        x[c] = columns[c];
        for (int p = 0; p < PANELS; p++)
            sum[p][c] = _mm512_setzero_ps();
    }
    for (int64_t k = 0; k < pairs; k++) {
        __m512bh w[2];
        for (int p = 0; p < PANELS; p++) {
            const uint8_t *line = panel + p * panel_step + 64 * k;
            w[p] = (__m512bh)_mm512_loadu_si512(line);
            if (ahead > 0)
                _mm_prefetch((const char *)line + ahead, _MM_HINT_T0);
        }
        for (int c = 0; c < NC; c++) {
            __m512bh v = pair(x[c] + 4 * k);
            for (int p = 0; p < PANELS; p++)
                sum[p][c] = _mm512_dpbf16_ps(sum[p][c], w[p], v);
        }
    }
    for (int c = 0; c < NC; c++)
        for (int p = 0; p < PANELS; p++)
            _mm512_storeu_ps(y + c * y_stride + p * PANEL_ROWS, sum[p][c]);
}

typedef void tile_fn(const uint8_t *panel, int64_t panel_step, int64_t pairs, const uint8_t *const *x, float *y, int64_t y_stride);
#define TILE(NAME, PANELS, NC, AHEAD)                                                                                                     \
    static void NAME(const uint8_t *panel, int64_t panel_step, int64_t pairs, const uint8_t *const *x, float *y, int64_t y_stride)        \
    {                                                                                                                                     \
        tile(panel, panel_step, pairs, x, y, y_stride, PANELS, NC, AHEAD);                                                                \
    }
TILE(tile_1x1, 1, 1, 0)
TILE(tile_1x1_asking, 1, 1, NEAR_AHEAD)
TILE(tile_1x2, 1, 2, 0)
TILE(tile_1x4, 1, 4, 0)
TILE(tile_1x8, 1, 8, 0)
TILE(tile_2x1, 2, 1, 0)
TILE(tile_2x2, 2, 2, BF16_AHEAD)
TILE(tile_2x4, 2, 4, BF16_AHEAD)
TILE(tile_2x8, 2, 8, BF16_AHEAD)
TILE(tile_2x8_again, 2, 8, 0)

static tile_fn *const tiles[2][4] = {{tile_1x1, tile_1x2, tile_1x4, tile_1x8}, {tile_2x1, tile_2x2, tile_2x4, tile_2x8}};

// All columns by panels that are one after the other.
static void multiply(const uint8_t *panel, int64_t panel_step, int64_t count, int64_t pairs, const struct columns *x, float *y, int64_t y_stride)
{
    if (x->count == 1 && prefetchers_stop_early()) { // one stream
        const uint8_t *in = column(x, 0);
        for (int64_t p = 0; p < count; p++)
            tile_1x1_asking(panel + p * panel_step, panel_step, pairs, &in, y + p * PANEL_ROWS, y_stride);
        return;
    }
    for (int32_t c = 0; c < x->count;) {
        int size = x->count - c >= 8 ? 3 : x->count - c >= 4 ? 2 : x->count - c >= 2 ? 1 : 0;
        const uint8_t *in[8];
        for (int j = 0; j < 1 << size; j++)
            in[j] = column(x, c + j);
        for (int64_t p = 0; p < count; p += 2) {
            int two = count - p >= 2;
            tile_fn *fn = two && size == 3 && c > 0 ? tile_2x8_again : tiles[two][size]; // again: the panels are in the cache by now
            fn(panel + p * panel_step, panel_step, pairs, in, y + c * y_stride + p * PANEL_ROWS, y_stride);
        }
        c += 1 << size;
    }
}

void infer_bf16_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    int64_t bytes = infer_bf16_panel_bytes(w->cols), pairs = w->cols / 2;
    if (w->packed) {
        multiply(packed_panel(w, mat, first_panel), w->panel_step, count, pairs, x, y, y_stride);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t first = (first_panel + i) * PANEL_ROWS, rows = w->rows - first < PANEL_ROWS ? w->rows - first : PANEL_ROWS;
        infer_bf16_pack(w->dtype, w->raw + mat * w->mat_stride + first * w->stride, w->stride, (int)rows, w->cols, scratch + i * bytes);
    }
    multiply(scratch, bytes, count, pairs, x, y, y_stride);
}
