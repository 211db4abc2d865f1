// cpu_avx2_amd64.c - the AVX-512 variant (F, BW, DQ, VL, VNNI).

#pragma GCC target("avx2,fma,f16c")

#include "simd_avx2.h"

#include "cpu_attention.h"
#include "cpu_rows.h"

static bool avx2_supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

static int64_t avx2_panel_bytes(enum infer_dtype t, int64_t cols) { (void)t; (void)cols; return 0; }
static void avx2_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    (void)t; (void)raw; (void)stride; (void)rows; (void)cols; (void)panel;
}
static int64_t avx2_product_scratch(int64_t cols) { (void)cols; return 0; }

static void avx2_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    int64_t first = first_panel * PANEL_ROWS, rows = w->rows - first < count * PANEL_ROWS ? w->rows - first : count * PANEL_ROWS;
    if (w->form == FORM_F32)
        rows_float_product(w, mat, first, rows, x, y, y_stride);
    else
        infer_ref_product(w, mat, first_panel, count, x, y, y_stride, scratch);
}

const struct cpu_variant infer_cpu_avx2 = {
    .name = "avx2", .supported = avx2_supported, .panel_bytes = avx2_panel_bytes, .pack = avx2_pack,
    .product = avx2_product, .product_scratch = avx2_product_scratch, CPU_ROWS(rows_quantize32)
};
