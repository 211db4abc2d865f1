// cpu_ref.c - the reference variant: the definition of integer products, and plain forms of everything else. Every other
// variant must give these bits.

#include <math.h>

#include "simd_ref.h"

#include "cpu_attention.h"
#include "cpu_recurrent.h"
#include "cpu_rows.h"

#define CHUNK_GROUPS 64 // groups of 32, or blocks of 256, unpacked at a time

// FAMILY_32, block by block: one exact integer sum a half (or a whole, where both halves share their scale), one fused
// multiply-add by d*dx; then the minimum's, by the column's d*sum.
static float dot32(const struct infer_unpacked32 *w, const struct act32 *x, int64_t groups, float total)
{
    for (int64_t b = 0; b < groups; b++) {
        int32_t sum[2] = {0, 0};
        for (int i = 0; i < 32; i++)
            sum[i / 16] += w[b].q[i] * x[b].q[i];
        if (w[b].d[0] == w[b].d[1]) {
            total = fmaf((float)(sum[0] + sum[1]), w[b].d[0] * x[b].d, total);
        } else {
            total = fmaf((float)sum[0], w[b].d[0] * x[b].d, total);
            total = fmaf((float)sum[1], w[b].d[1] * x[b].d, total);
        }
        if (w[b].m != 0)
            total = fmaf(w[b].m, x[b].ds, total);
    }
    return total;
}

// FAMILY_256, block by block: for each 64 weights the exact sum over groups of 16 of scale * (integer sum), weighed by the
// activations' scale there; the minimums' exact sum; then the weights' two scales, each step in one rounding.
static float dot256(const struct infer_unpacked256 *w, const struct act256 *x, int64_t blocks, float total)
{
    for (int64_t b = 0; b < blocks; b++) {
        int32_t minimums = 0;
        float weighed = 0;
        for (int part = 0; part < 4; part++) {
            int32_t sum = 0;
            for (int g = 4 * part; g < 4 * part + 4; g++) {
                int32_t products = 0;
                for (int i = 16 * g; i < 16 * g + 16; i++)
                    products += w[b].q[i] * x[b].q[i];
                sum += w[b].scale[g] * products;
                minimums += w[b].min[g] * x[b].sum16[g];
            }
            weighed = fmaf((float)sum, x[b].d[part], weighed);
        }
        total = fmaf(w[b].d, weighed, total);
        if (w[b].dmin != 0)
            total = fmaf(-w[b].dmin, (float)minimums * x[b].ds, total);
    }
    return total;
}

static void row_product32(const struct weight *w, const uint8_t *row, const struct columns *x, float *y, int64_t y_stride)
{
    struct infer_unpacked32 part[CHUNK_GROUPS];
    int64_t groups = w->cols / 32;
    // A chunk starts at a whole block of the file: 64 groups are a multiple of every block size.
    int64_t chunk_bytes = (int64_t)CHUNK_GROUPS * 32 / infer_type_traits(w->dtype)->block * infer_type_traits(w->dtype)->block_bytes;
    for (int32_t c = 0; c < x->count; c++)
        y[c * y_stride] = 0;
    for (int64_t b = 0; b < groups; b += CHUNK_GROUPS, row += chunk_bytes) {
        int64_t count = groups - b < CHUNK_GROUPS ? groups - b : CHUNK_GROUPS;
        infer_unpack32(w->dtype, row, count, part);
        for (int32_t c = 0; c < x->count; c++)
            y[c * y_stride] = dot32(part, (const struct act32 *)column(x, c) + b, count, y[c * y_stride]);
    }
}

static void row_product256(const struct weight *w, const uint8_t *row, const struct columns *x, float *y, int64_t y_stride)
{
    struct infer_unpacked256 part[CHUNK_GROUPS / 8];
    int64_t blocks = w->cols / 256, chunk = CHUNK_GROUPS / 8, block_bytes = infer_type_traits(w->dtype)->block_bytes;
    for (int32_t c = 0; c < x->count; c++)
        y[c * y_stride] = 0;
    for (int64_t b = 0; b < blocks; b += chunk, row += chunk * block_bytes) {
        int64_t count = blocks - b < chunk ? blocks - b : chunk;
        infer_unpack256(w->dtype, row, count, part);
        for (int32_t c = 0; c < x->count; c++)
            y[c * y_stride] = dot256(part, (const struct act256 *)column(x, c) + b, count, y[c * y_stride]);
    }
}

void infer_ref_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    (void)scratch;
    int64_t first = first_panel * PANEL_ROWS, rows = w->rows - first < count * PANEL_ROWS ? w->rows - first : count * PANEL_ROWS;
    if (w->form == FORM_F32) {
        rows_float_product(w, mat, first_panel, count, x, y, y_stride);
        return;
    }
    for (int64_t r = 0; r < rows; r++) {
        const uint8_t *row = w->raw + mat * w->mat_stride + (first + r) * w->stride;
        if (w->form == FORM_32)
            row_product32(w, row, x, y + r, y_stride);
        else
            row_product256(w, row, x, y + r, y_stride);
    }
}

static bool ref_supported(void) { return true; }
static int64_t ref_panel_bytes(enum infer_dtype t, int64_t cols) { (void)t; (void)cols; return 0; }
static void ref_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    (void)t; (void)raw; (void)stride; (void)rows; (void)cols; (void)panel; // never called: no type has panels here
}
static int64_t ref_product_scratch(int64_t cols) { (void)cols; return 0; }

const struct cpu_variant infer_cpu_ref = {
    .name = "ref", .supported = ref_supported, .panel_bytes = ref_panel_bytes, .pack = ref_pack,
    .product = infer_ref_product, .product_scratch = ref_product_scratch, CPU_ROWS(rows_quantize32, rows_quantize256)
};
