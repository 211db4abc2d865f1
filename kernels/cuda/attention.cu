// attention.cu - the driver of ATTENTION: which form, and whether spans are split among blocks.
#include "attention_plain.cuh"
#include "attention_tiles.cuh"

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

// How tiles are cut for a launch: fragments of a block, pages that it holds at a time, blocks of a tile.
struct cut {
    int tiles, stages, blocks;
};

// Bytes of shared memory that blocks have for a layout: besides it the kernel has some of its own.
static int64_t shared_room(const struct device *d, const struct cache_view *c) { return device_properties(d)->block_shared - (c->v_dim ? 4 << 10 : 1 << 10); }

// Whether a layer is attended in tiles depends on the layer and the card alone, for the bits do.
static bool in_tiles(const struct device *d, const struct cache_view *c, int v_first)
{
    return c->dtype != INFER_DTYPE_F32 && c->v_width <= 4 * TILE_PAIRS * 16 && layout_of(*c, v_first, 1, 1, false).bytes <= shared_room(d, c);
}

// As many queries a block as the shape's tiles have, as registers hold the values of, and as fit into shared memory.
static struct cut cut_of(const struct device *d, const struct cache_view *c, const struct attention_shape *s)
{
    const struct shape *shape = device_shape(d);
    int64_t queries = smaller(TILE_ROWS, larger(1, shape->rows - shape->tiles + 1)) * s->group;
    struct cut cut = {c->v_dim ? 4 : 1, 4, 1};
    while (cut.tiles > 1 && (16 * cut.tiles >= 2 * queries || (c->v_width + 15) / 16 * cut.tiles > 4 * TILE_PAIRS))
        cut.tiles /= 2;
    while (layout_of(*c, s->v_first, cut.tiles, cut.stages, s->spans > 0).bytes > shared_room(d, c) / (cut.stages == 4 ? 2 : 1)) { // 4 where two blocks have them beside each other
        if (cut.stages > 1)
            cut.stages /= 2;
        else
            cut.tiles /= 2;
    }
    cut.blocks = (int)((queries + 16 * cut.tiles - 1) / (16 * cut.tiles));
    return cut;
}

typedef void tiles_kernel(const struct step *, struct view, struct view, struct view, struct cache_view, struct attention_shape, int, int);

static int launch_tiles(struct device *d, const struct cache_view *c, const struct attention_shape *s, struct view q, struct view sinks, struct view out)
{
    struct cut cut = cut_of(d, c, s);
    tiles_kernel *kernel = !c->v_dim ? attention_tiles<1, true> : cut.tiles == 1 ? attention_tiles<1, false> : cut.tiles == 2 ? attention_tiles<2, false> : attention_tiles<4, false>;
    dim3 grid((unsigned)(device_shape(d)->tiles * cut.blocks), (unsigned)c->heads, s->spans ? (unsigned)s->spans : 1);
    return launch(d, "attention_tiles", kernel, grid, dim3(TILE_THREADS), (size_t)layout_of(*c, s->v_first, cut.tiles, cut.stages, s->spans > 0).bytes, device_step(d), q, sinks, out, *c, *s,
                  cut.blocks, cut.stages);
}

static int launch_plain(struct device *d, const struct cache_view *c, const struct attention_shape *s, struct view q, struct view sinks, struct view out)
{
    auto kernel = c->dtype == INFER_DTYPE_F32 ? attention_plain<INFER_DTYPE_F32> : c->dtype == INFER_DTYPE_F16 ? attention_plain<INFER_DTYPE_F16> : attention_plain<INFER_DTYPE_Q8_0>;
    dim3 grid((unsigned)device_rows(d, INFER_ROWS_BATCH), (unsigned)s->heads, s->spans ? (unsigned)s->spans : 1);
    return launch(d, "attention_plain", kernel, grid, dim3(128), (size_t)(c->k_dim + SPAN + c->v_width) * 4, device_step(d), q, sinks, out, *c, *s);
}

static int launch_attention(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view q = device_view(d, op->in[0]), sinks = device_view(d, op->in[1]), out = device_view(d, op->out);
    struct cache_view c = cache_of(d, op->n[0]);
    struct attention_shape s = {op->n[1], op->n[1] / c.heads, op->n[2], op->n[3], op->n[4], op->f[0], op->f[1], op->f[2], 0, NULL};
    int64_t rows = device_rows(d, INFER_ROWS_BATCH), spans = spans_of(op, device_shape(d)->positions), sms = device_properties(d)->sms;
    bool tiles = in_tiles(d, &c, s.v_first);
    int64_t blocks = tiles ? device_shape(d)->tiles * c.heads * ((smaller(TILE_ROWS, rows) * s.group + 63) / 64) : rows * s.heads;
    if (spans > 1 && blocks < 2 * sms && partial_bytes(op, c.v_width, rows, spans) <= attention_workspace(device_plan(d), number, AREA_SCRATCH)) {
        s.spans = (int32_t)spans;
        s.partials = (float *)device_area(d, AREA_SCRATCH);
    }
    int status = tiles ? launch_tiles(d, &c, &s, q, sinks, out) : launch_plain(d, &c, &s, q, sinks, out);
    if (status != INFER_OK || !s.spans)
        return status;
    return launch(d, "attention_merge", attention_merge, dim3((unsigned)rows, (unsigned)s.heads), dim3(128), 0, device_step(d), sinks, out, c, s);
}

extern const struct op_driver driver_attention;
const struct op_driver driver_attention = {NULL, attention_workspace, launch_attention, 0};
