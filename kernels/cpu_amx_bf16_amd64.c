// cpu_amx_bf16_amd64.c - products of BF16 weights by the matrix unit (AMX), for the variant amx.
//
// Panels and activations are those of cpu_bf16_amd64.c: a line of a panel is two columns of 16 rows, 16 lines are a tile. A product is one
// chain along k of tiles of 32 columns, whatever the number of columns and panels beside it; a tile's own sums are rounded as the
// processor does it. So the bits are this instruction's, and neither the reference's nor avx512bf16's.

#include "cpu_amx.h"
#include "cpu_amx_tiles.h"
#include "cpu_bf16.h"

#define STEP 32            // weight columns of a tile
#define STEP_BYTES 64      // of a line of activations
#define SLICE (8 * STEP)   // weight columns of 4 panels that stay in the first-level cache while all tiles of columns pass
#define AHEAD (2 * TILE_BYTES) // asked for before its use where a panel is read from memory: the core's own prefetchers run a fifth slower
#define GATHERED_BYTES (16 * SLICE * 2)

int64_t infer_amx_bf16_scratch(int64_t cols) { return PRODUCT_PANELS * infer_bf16_panel_bytes(cols) + GATHERED_BYTES; }

// What one pass multiplies: count panels from weight column `from` on, `steps` tiles of them, by tiles of columns.
struct pass {
    const uint8_t *panel;
    int64_t panel_step, count;
    const struct columns *x;
    int64_t from, steps, line_bytes;
    float *y;
    int64_t y_stride;
    uint8_t *gathered;
};

#define BEGIN(R, Y)                                 \
    do {                                            \
        if (again)                                  \
            TILE_LOAD(R, Y, bytes);                 \
        else                                        \
            TILE_ZERO(R);                           \
    } while (0)

// Four panels share each tile of columns.
static void multiply4(const struct pass *p, const uint8_t *x, int64_t x_stride, float *y, bool again)
{
    const uint8_t *w = p->panel + p->from / STEP * TILE_BYTES;
    const int64_t step = p->panel_step, bytes = p->y_stride * 4;
    BEGIN(0, y);
    BEGIN(1, y + PANEL_ROWS);
    BEGIN(2, y + 2 * PANEL_ROWS);
    BEGIN(3, y + 3 * PANEL_ROWS);
    for (int64_t k = 0; k < p->steps; k++, w += TILE_BYTES, x += STEP_BYTES) {
        TILE_LOAD(4, x, x_stride);
        TILE_LOAD(6, w, 64);
        TILE_DOT_BF16(0, 4, 6);
        TILE_LOAD(7, w + step, 64);
        TILE_DOT_BF16(1, 4, 7);
        TILE_LOAD(6, w + 2 * step, 64);
        TILE_DOT_BF16(2, 4, 6);
        TILE_LOAD(7, w + 3 * step, 64);
        TILE_DOT_BF16(3, 4, 7);
    }
    TILE_STORE(0, y, bytes);
    TILE_STORE(1, y + PANEL_ROWS, bytes);
    TILE_STORE(2, y + 2 * PANEL_ROWS, bytes);
    TILE_STORE(3, y + 3 * PANEL_ROWS, bytes);
}

// One panel alone, which is read as one stream.
static void multiply1(const struct pass *p, int64_t panel, const uint8_t *x, int64_t x_stride, float *y, bool again)
{
    const uint8_t *w = p->panel + panel * p->panel_step + p->from / STEP * TILE_BYTES;
    const int64_t bytes = p->y_stride * 4;
    BEGIN(0, y);
    for (int64_t k = 0; k < p->steps; k++, w += TILE_BYTES, x += STEP_BYTES) {
        for (int64_t i = 0; i < TILE_BYTES; i += 64)
            __builtin_prefetch(w + AHEAD + i);
        TILE_LOAD(4, x, x_stride);
        TILE_LOAD(6, w, 64);
        TILE_DOT_BF16(0, 4, 6);
    }
    TILE_STORE(0, y, bytes);
}

// Columns first..first+have: their lines lie x_stride bytes apart, or are copied so.
static const uint8_t *lines_of(const struct pass *p, int32_t first, int32_t have, int64_t *stride)
{
    const int64_t at = p->from * 2, bytes = p->steps * p->line_bytes;
    if (!p->x->pick) {
        *stride = p->x->stride;
        return (const uint8_t *)column(p->x, first) + at;
    }
    *stride = bytes;
    for (int32_t c = 0; c < have; c++)
        memcpy(p->gathered + c * bytes, (const uint8_t *)column(p->x, first + c) + at, (size_t)bytes);
    return p->gathered;
}

// Columns first..end in tiles of `wide`, which the registers' shapes must be.
static void multiply(const struct pass *p, int32_t first, int32_t end, int32_t wide, bool again)
{
    for (int32_t c = first; c < end; c += wide) {
        int64_t stride;
        const uint8_t *x = lines_of(p, c, wide, &stride);
        float *y = p->y + c * p->y_stride;
        if (p->count == 4 && wide == 16) {
            multiply4(p, x, stride, y, again);
            continue;
        }
        for (int64_t i = 0; i < p->count; i++)
            multiply1(p, i, x, stride, y + i * PANEL_ROWS, again);
    }
}

// Columns first..end through all of a weight: slices of whole tiles, then what is left of its columns.
static void multiply_all(struct pass p, int64_t cols, int32_t first, int32_t end, int32_t wide)
{
    int64_t whole = cols / STEP * STEP, slice = p.x->pick || wide == 16 ? SLICE : whole;
    p.line_bytes = STEP_BYTES;
    set_tile_shapes(wide, STEP_BYTES);
    for (p.from = 0; p.from < whole; p.from += slice) {
        p.steps = (whole - p.from < slice ? whole - p.from : slice) / STEP;
        multiply(&p, first, end, wide, p.from > 0);
    }
    if (whole == cols)
        return;
    p.from = whole;
    p.steps = 1;
    p.line_bytes = (cols - whole) * 2;
    set_tile_shapes(wide, (int)p.line_bytes);
    multiply(&p, first, end, wide, whole > 0);
}

void infer_amx_bf16_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    int64_t bytes = infer_bf16_panel_bytes(w->cols);
    struct pass p = {.panel = scratch, .panel_step = bytes, .count = count, .x = x, .y = y, .y_stride = y_stride, .gathered = scratch + PRODUCT_PANELS * bytes};
    if (w->packed) {
        p.panel = packed_panel(w, mat, first_panel);
        p.panel_step = w->panel_step;
    }
    for (int64_t i = 0; i < count && !w->packed; i++) {
        int64_t first = (first_panel + i) * PANEL_ROWS, rows = w->rows - first < PANEL_ROWS ? w->rows - first : PANEL_ROWS;
        infer_bf16_pack(w->dtype, w->raw + mat * w->mat_stride + first * w->stride, w->stride, (int)rows, w->cols, scratch + i * bytes);
    }
    int32_t whole = x->count / 16 * 16;
    if (whole > 0)
        multiply_all(p, w->cols, 0, whole, 16);
    if (whole < x->count)
        multiply_all(p, w->cols, whole, x->count, x->count - whole);
    release_tiles();
}
