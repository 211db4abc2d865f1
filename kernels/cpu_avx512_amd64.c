// cpu_avx512_amd64.c - the AVX-512 variant (F, BW, DQ, VL, VNNI).

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include "simd_avx512.h"

#include "cpu_attention.h"
#include "cpu_rows.h"

static bool avx512_supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vnni");
}

static int64_t avx512_panel_bytes(enum infer_dtype t, int64_t cols) { (void)t; (void)cols; return 0; }
static void avx512_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    (void)t; (void)raw; (void)stride; (void)rows; (void)cols; (void)panel;
}
static int64_t avx512_product_scratch(int64_t cols) { (void)cols; return 0; }

static void avx512_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    int64_t first = first_panel * PANEL_ROWS, rows = w->rows - first < count * PANEL_ROWS ? w->rows - first : count * PANEL_ROWS;
    if (w->form == FORM_F32)
        rows_float_product(w, mat, first, rows, x, y, y_stride);
    else
        infer_ref_product(w, mat, first_panel, count, x, y, y_stride, scratch);
}

const struct cpu_variant infer_cpu_avx512 = {
    .name = "avx512", .supported = avx512_supported, .panel_bytes = avx512_panel_bytes, .pack = avx512_pack,
    .product = avx512_product, .product_scratch = avx512_product_scratch, CPU_ROWS
};
