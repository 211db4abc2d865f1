// attention.cu - the driver of ATTENTION: which form, and whether spans are split among blocks.
#include "attention_plain.cuh"

#define PARTIALS_LEAST (16LL << 20) // bytes for the parts of split spans: a plan's longest row's, within these limits
#define PARTIALS_MOST (256LL << 20)

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// Spans that a tile of rows can see.
static int64_t spans_of(const struct infer_op *op, int64_t positions)
{
    int64_t all = (positions + SPAN - 1) / SPAN;
    return op->n[2] > 0 ? smaller(all, (op->n[2] + TILE_ROWS + SPAN - 2) / SPAN + 1) : all;
}

static int64_t partial_bytes(const struct infer_op *op, int32_t v_width, int64_t rows, int64_t spans) { return rows * op->n[1] * spans * (2 + v_width) * 4; }

static int64_t attention_workspace(const struct infer_plan *plan, int32_t number, enum area area)
{
    const struct infer_op *op = &plan->ops[number];
    const struct infer_cache_layer *l = &plan->cache[op->n[0]];
    if (area != AREA_SCRATCH)
        return 0;
    int64_t positions = plan->cache_bytes / larger(1, l->page_stride) * INFER_PAGE_TOKENS; // at most, of one sequence
    return larger(PARTIALS_LEAST, smaller(PARTIALS_MOST, partial_bytes(op, l->v_width, 1, spans_of(op, positions))));
}

static int launch_attention(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    const struct step *step = device_step(d);
    struct view q = device_view(d, op->in[0]), sinks = device_view(d, op->in[1]), out = device_view(d, op->out);
    struct cache_view c = cache_of(d, op->n[0]);
    struct attention_shape s = {op->n[1], op->n[1] / c.heads, op->n[2], op->n[3], op->n[4], op->f[0], op->f[1], op->f[2], 0, NULL};
    int64_t rows = device_rows(d, INFER_ROWS_BATCH), spans = spans_of(op, device_shape(d)->positions), sms = device_properties(d)->sms;
    bool split = spans > 1 && rows * s.heads < 2 * sms && partial_bytes(op, c.v_width, rows, spans) <= attention_workspace(device_plan(d), number, AREA_SCRATCH);
    if (split) {
        s.spans = (int32_t)spans;
        s.partials = (float *)device_area(d, AREA_SCRATCH);
    }
    size_t shared = (size_t)(c.k_dim + SPAN + c.v_width) * 4;
    auto plain = c.dtype == INFER_DTYPE_F32 ? attention_plain<INFER_DTYPE_F32> : c.dtype == INFER_DTYPE_F16 ? attention_plain<INFER_DTYPE_F16> : attention_plain<INFER_DTYPE_Q8_0>;
    int status = launch(d, "attention_plain", plain, dim3((unsigned)rows, (unsigned)s.heads, split ? (unsigned)spans : 1), dim3(128), shared, step, q, sinks, out, c, s);
    if (status != INFER_OK || !split)
        return status;
    return launch(d, "attention_merge", attention_merge, dim3((unsigned)rows, (unsigned)s.heads), dim3(128), 0, step, sinks, out, c, s);
}

extern const struct op_driver driver_attention;
const struct op_driver driver_attention = {NULL, attention_workspace, launch_attention, 0};
