// products.cu - the drivers of MATMUL, HEADS and EXPERTS, and how weights are packed.
#include "experts.cuh"
#include "pack.cuh"
#include "product_floats.cuh"
#include "products.h"
#include "quantize.cuh"

// ---- weights ----

static bool is_half(uint32_t dtype) { return dtype == INFER_DTYPE_F16 || dtype == INFER_DTYPE_BF16; }

// Slabs of a tile, and their bytes.
static int64_t slabs_of(uint32_t dtype, int64_t cols, int64_t *bytes)
{
    struct packing p = packed_type_of(dtype).p;
    *bytes = is_half(dtype) ? TILE_HEIGHT * SPAN_COLUMNS * 2 : slab_bytes_of(p);
    int64_t width = SPAN_COLUMNS * (is_half(dtype) ? 1 : spans_of(p.scale));
    return (cols + width - 1) / width;
}

int64_t packed_bytes(uint32_t dtype, int64_t rows, int64_t cols)
{
    if (dtype == INFER_DTYPE_F32)
        return 0;
    int64_t bytes, slabs = slabs_of(dtype, cols, &bytes);
    return (rows + TILE_HEIGHT - 1) / TILE_HEIGHT * slabs * bytes;
}

int pack(struct device *d, uint32_t dtype, const uint8_t *raw, int64_t stride, int64_t first, int64_t count, int64_t rows, int64_t cols, uint8_t *packed)
{
    (void)rows;
    struct pack_job job = {raw, stride, count, cols, dtype, packed_type_of(dtype), packed, 0, 0};
    job.slabs = slabs_of(dtype, cols, &job.slab_bytes);
    job.out += first / TILE_HEIGHT * job.slabs * job.slab_bytes;
    int64_t spans = job.slabs * (is_half(dtype) ? 1 : spans_of(job.type.p.scale)), tiles = (count + TILE_HEIGHT - 1) / TILE_HEIGHT;
    for (int64_t at = 0; at < tiles; at += 65535) { // the most blocks along y
        dim3 grid((unsigned)spans, (unsigned)(tiles - at < 65535 ? tiles - at : 65535));
        int status = is_half(dtype) ? launch(d, "pack_halves", pack_halves, grid, dim3(128), 0, job) : launch(d, "pack_codes", pack_codes, grid, dim3(128), 0, job);
        if (status != INFER_OK)
            return status;
        job.raw += 65535 * TILE_HEIGHT * stride, job.rows -= 65535 * TILE_HEIGHT, job.out += 65535 * job.slabs * job.slab_bytes;
    }
    return INFER_OK;
}

// ---- forms of the input ----

enum form_kind { FORM_NONE, FORM_BYTES, FORM_BYTES_TWICE, FORM_F16, FORM_BF16 };

static bool is_product(const struct infer_op *op) { return op->kind == INFER_OP_MATMUL || op->kind == INFER_OP_HEADS || op->kind == INFER_OP_EXPERTS; }
static int32_t second_weight(const struct infer_op *op) { return op->kind == INFER_OP_HEADS ? -1 : op->in[4]; }

// What a weight's product takes.
static enum form_kind form_of(const struct infer_plan *plan, const struct infer_op *op, int32_t weight)
{
    uint32_t dtype = plan->tensors[weight].dtype;
    if (dtype == INFER_DTYPE_F32)
        return FORM_NONE;
    if (is_half(dtype))
        return dtype == INFER_DTYPE_F16 ? FORM_F16 : FORM_BF16;
    return op->kind == INFER_OP_MATMUL && op->n[1] && op->in[4] < 0 ? FORM_BYTES_TWICE : FORM_BYTES;
}

// Gate and up are one launch where they are of one type, else two.
static bool two_launches(const struct infer_plan *plan, const struct infer_op *op)
{
    int32_t second = second_weight(op);
    return second >= 0 && plan->tensors[second].dtype != plan->tensors[op->in[1]].dtype;
}

// The form that an op leaves behind.
static enum form_kind last_form(const struct infer_plan *plan, const struct infer_op *op)
{
    enum form_kind first = form_of(plan, op, op->in[1]), second = two_launches(plan, op) ? form_of(plan, op, op->in[4]) : FORM_NONE;
    return second != FORM_NONE ? second : first;
}

// Whether an earlier op of the same part has made the form of op's input, and nothing has changed since. Ops far back are not looked at.
static bool form_is_there(const struct infer_plan *plan, int32_t number, enum form_kind kind)
{
    const struct infer_op *op = &plan->ops[number];
    int32_t begin = number >= plan->predict_op ? plan->predict_op : number >= plan->feed_op ? plan->feed_op : 0, base = plan->tensors[op->in[0]].base;
    for (int32_t i = number - 1; i >= begin && i >= number - 32; i--) {
        const struct infer_op *o = &plan->ops[i];
        for (int j = 0; j < 2; j++) {
            int32_t out = j ? o->out2 : o->out;
            if (out >= 0 && plan->tensors[out].base == base)
                return false;
        }
        if (is_product(o) && last_form(plan, o) != FORM_NONE)
            return last_form(plan, o) == kind && o->in[0] == op->in[0] && o->kind != INFER_OP_HEADS && op->kind != INFER_OP_HEADS;
    }
    return false;
}

static int64_t form_bytes(enum form_kind kind, int64_t cols)
{
    return kind == FORM_NONE ? 0 : kind == FORM_F16 || kind == FORM_BF16 ? half_form_bytes(cols) : byte_form_bytes(cols) * (kind == FORM_BYTES_TWICE ? 2 : 1);
}

static int32_t heads_of(const struct infer_op *op) { return op->kind == INFER_OP_HEADS ? op->n[0] : 1; }

static int make_form(struct device *d, const struct infer_op *op, enum form_kind kind)
{
    struct view x = device_view(d, op->in[0]);
    int heads = heads_of(op), step = op->kind == INFER_OP_HEADS ? op->n[1] : 0;
    int64_t cols = device_plan(d)->tensors[op->in[1]].cols;
    unsigned rows = (unsigned)(device_rows(d, x.rows_kind) * heads);
    uint8_t *out = (uint8_t *)device_area(d, AREA_FORMS);
    if (kind == FORM_F16 || kind == FORM_BF16)
        return launch(d, "quantize_halves", quantize_halves, dim3(rows), dim3(256), 0, device_step(d), x, heads, step, cols, (int)(kind == FORM_BF16), out);
    return launch(d, "quantize_bytes", quantize_bytes, dim3(rows, (unsigned)(padded_columns(cols) / 256)), dim3(256), 0, device_step(d), x, heads, step, cols, kind == FORM_BYTES_TWICE ? 2 : 1, out);
}

// ---- workspaces ----

static int64_t most_rows(const struct infer_plan *plan, uint32_t kind)
{
    int64_t used = plan->experts_used > 0 ? plan->experts_used : 1;
    return kind == INFER_ROWS_WANTED ? plan->max_wanted : kind == INFER_ROWS_EXPERTS ? plan->max_rows * used : plan->max_rows;
}

static int64_t aligned(int64_t bytes) { return (bytes + 255) / 256 * 256; }

// Of AREA_SCRATCH: slots, tiles, their number; then the sums of a gate that is a launch of its own.
static int64_t groups_bytes(int64_t slots, int64_t experts) { return aligned(4 * slots) + aligned((int64_t)sizeof(struct expert_tile) * most_expert_tiles(slots, experts, 8)) + 256; }

static int64_t product_workspace(const struct infer_plan *plan, int32_t number, enum area area)
{
    const struct infer_op *op = &plan->ops[number];
    const struct infer_tensor *x = &plan->tensors[op->in[0]], *w = &plan->tensors[op->in[1]], *out = &plan->tensors[op->out];
    if (area == AREA_FORMS) {
        int64_t first = form_bytes(form_of(plan, op, op->in[1]), w->cols), second = two_launches(plan, op) ? form_bytes(form_of(plan, op, op->in[4]), w->cols) : 0;
        return (first > second ? first : second) * most_rows(plan, x->rows_kind) * heads_of(op);
    }
    int64_t bytes = op->kind == INFER_OP_EXPERTS ? groups_bytes(most_rows(plan, INFER_ROWS_EXPERTS), w->mats) : 0;
    return bytes + (two_launches(plan, op) ? most_rows(plan, out->rows_kind) * w->rows * 4 : 0);
}

static const char *product_lacks(const struct infer_plan *plan, int32_t number)
{
    const struct infer_op *op = &plan->ops[number];
    int32_t second = second_weight(op);
    if (infer_dtype_family((enum infer_dtype)plan->tensors[op->in[1]].dtype) == INFER_FAMILY_NONE || (second >= 0 && infer_dtype_family((enum infer_dtype)plan->tensors[second].dtype) == INFER_FAMILY_NONE))
        return "a product by weights of a data type that is only stored";
    if (op->kind == INFER_OP_EXPERTS && plan->tensors[op->in[1]].mats > MOST_EXPERTS)
        return "more than 1024 experts";
    return NULL;
}

// ---- launches ----

static int launch_product(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid, int64_t w_stride)
{
    switch (dtype) {
    case INFER_DTYPE_F32: return launch(d, "product_floats", product_floats, dim3((unsigned)grid.tiles, (unsigned)((job.rows + 7) / 8), (unsigned)grid.mats), dim3(256), 0, job, w_stride);
    case INFER_DTYPE_F16:
    case INFER_DTYPE_BF16: return launch_product_halves(d, dtype, job, grid);
    case INFER_DTYPE_Q2_K:
    case INFER_DTYPE_Q3_K:
    case INFER_DTYPE_Q4_K:
    case INFER_DTYPE_Q5_K:
    case INFER_DTYPE_Q6_K: return launch_product_k(d, dtype, job, grid);
    default: return infer_dtype_family((enum infer_dtype)dtype) == INFER_FAMILY_32 ? launch_product_32(d, dtype, job, grid) : launch_product_iq(d, dtype, job, grid);
    }
}

// Columns (of the form) that meet one matrix, about. Wide blocks pay only where there are enough of them for half of the card: narrower ones
// split a row among their warps.
static enum product_width width_for(const struct device *d, int64_t columns, int64_t rows, int64_t mats)
{
    if (columns <= 8)
        return PRODUCT_NARROW;
    int64_t wide_blocks = (columns + 63) / 64 * ((rows + 63) / 64) * mats;
    return columns <= 32 || 2 * wide_blocks < device_properties(d)->sms ? PRODUCT_MIDDLE : PRODUCT_WIDE;
}

// What all of an op's launches share. form: of the input; the weights are set later.
static struct product_job job_of(const struct device *d, const struct infer_op *op)
{
    struct product_job job = {};
    struct view x = device_view(d, op->in[0]), bias = device_view(d, op->kind == INFER_OP_HEADS ? -1 : op->in[2]), bias2 = device_view(d, op->kind == INFER_OP_HEADS ? -1 : op->in[5]);
    job.step = device_step(d);
    job.out = device_view(d, op->out);
    job.rows_kind = job.out.rows_kind;
    job.residual = device_view(d, op->kind == INFER_OP_MATMUL ? op->in[3] : -1);
    job.bias[0] = (const float *)bias.data, job.bias[1] = (const float *)bias2.data;
    job.slots_a_row = op->kind == INFER_OP_EXPERTS && x.rows_kind != INFER_ROWS_EXPERTS ? device_plan(d)->experts_used : 1;
    job.act = op->kind == INFER_OP_HEADS ? INFER_ACT_NONE : op->n[0];
    job.factor = op->kind == INFER_OP_HEADS ? 1.0f : op->f[0], job.p1 = op->f[1], job.p2 = op->f[2];
    job.out_step = op->kind == INFER_OP_HEADS ? op->n[2] : 0;
    return job;
}

// Sets a weight and the form that it takes; second: -1 or the other matrix.
static void set_weight(const struct device *d, const struct infer_op *op, int32_t weight, int32_t second, struct product_job *job)
{
    const struct infer_tensor *t = &device_plan(d)->tensors[weight];
    struct packed_type type = packed_type_of(t->dtype);
    struct view w = device_packed(d, weight), x = device_view(d, op->in[0]);
    enum form_kind kind = form_of(device_plan(d), op, weight);
    int64_t heads = heads_of(op), bytes = form_bytes(kind, t->cols), slab_bytes;
    job->w[0] = (const uint8_t *)w.data;
    job->w[1] = second >= 0 ? (const uint8_t *)device_packed(d, second).data : NULL;
    job->mat_bytes = t->dtype == INFER_DTYPE_F32 ? t->mat_stride : packed_bytes(t->dtype, t->rows, t->cols);
    job->rows = (int32_t)t->rows;
    job->slabs = (int32_t)slabs_of(t->dtype, t->cols, &slab_bytes);
    job->unit = type.unit;
    memcpy(job->table, type.table, sizeof job->table);
    job->cols = t->cols, job->padded = padded_columns(t->cols);
    job->terms = kind == FORM_BYTES_TWICE ? 2 : 1;
    job->x = kind == FORM_NONE ? (const uint8_t *)x.data : (const uint8_t *)device_area((struct device *)d, AREA_FORMS);
    job->row_bytes = kind == FORM_NONE ? x.stride : bytes * heads;
    job->head_bytes = kind == FORM_NONE ? 4 * (int64_t)op->n[1] * (op->kind == INFER_OP_HEADS) : bytes;
    job->term_bytes = bytes / job->terms;
}

// Groups the batch's slots by expert. Of one row, every slot is a tile of its own.
static int group(struct device *d, const struct infer_op *op, int64_t experts, int most, struct product_job *job, struct product_grid *grid)
{
    int64_t slots = device_rows(d, INFER_ROWS_EXPERTS);
    struct view ids = device_view(d, op->in[3]);
    job->grouped = 1;
    if (device_rows(d, INFER_ROWS_BATCH) == 1) {
        job->ids = (const int32_t *)ids.data;
        grid->tiles = (int32_t)slots;
        return INFER_OK;
    }
    uint8_t *area = (uint8_t *)device_area(d, AREA_SCRATCH);
    struct expert_tile *tiles = (struct expert_tile *)(area + aligned(4 * slots));
    int32_t *count = (int32_t *)((uint8_t *)tiles + aligned((int64_t)sizeof *tiles * most_expert_tiles(slots, experts, 8)));
    grid->tiles = (int32_t)most_expert_tiles(slots, experts, most);
    job->tiles = tiles, job->slots = (int32_t *)area, job->tile_count = count;
    return launch(d, "group_experts", group_experts, dim3((unsigned)experts), dim3(256), 0, device_step(d), ids, (int)experts, most, (int32_t *)area, tiles, count);
}

// One launch, with what it needs before: for experts the groups, and where make says so the input's form.
static int run_product(struct device *d, int32_t number, int32_t weight, int32_t second, struct product_job job, bool make)
{
    const struct infer_plan *plan = device_plan(d);
    const struct infer_op *op = &plan->ops[number];
    const struct infer_tensor *t = &plan->tensors[weight];
    int status = make ? make_form(d, op, form_of(plan, op, weight)) : INFER_OK;
    if (status != INFER_OK)
        return status;
    set_weight(d, op, weight, second, &job);
    int64_t rows = device_rows(d, job.rows_kind), columns = op->kind == INFER_OP_EXPERTS ? (rows + t->mats - 1) / t->mats : rows * job.terms;
    enum product_width width = width_for(d, columns, t->rows * (second >= 0 ? 2 : 1), op->kind == INFER_OP_EXPERTS ? t->mats : heads_of(op));
    int most = block_columns(t->dtype, width) / job.terms;
    struct product_grid grid = {(int32_t)((rows + most - 1) / most), heads_of(op), width};
    if (op->kind == INFER_OP_EXPERTS)
        status = group(d, op, t->mats, most, &job, &grid);
    if (status != INFER_OK)
        return status;
    return launch_product(d, t->dtype, job, grid, t->stride);
}

static int product_launch(struct device *d, int32_t number)
{
    const struct infer_plan *plan = device_plan(d);
    const struct infer_op *op = &plan->ops[number];
    struct product_job job = job_of(d, op);
    int32_t second = second_weight(op);
    enum form_kind kind = form_of(plan, op, op->in[1]);
    bool make = kind != FORM_NONE && !form_is_there(plan, number, kind);
    job.gated = second >= 0;
    if (!two_launches(plan, op))
        return run_product(d, number, op->in[1], second, job, make);
    int64_t groups = op->kind == INFER_OP_EXPERTS ? groups_bytes(most_rows(plan, INFER_ROWS_EXPERTS), plan->tensors[op->in[1]].mats) : 0;
    job.first = (float *)((uint8_t *)device_area(d, AREA_SCRATCH) + groups);
    job.gated = 0;
    int status = run_product(d, number, op->in[1], -1, job, make);
    job.gated = 2;
    enum form_kind other = form_of(plan, op, second);
    return status != INFER_OK ? status : run_product(d, number, second, -1, job, other != FORM_NONE && other != kind);
}

extern const struct op_driver driver_matmul, driver_heads, driver_experts;
const struct op_driver driver_matmul = {product_lacks, product_workspace, product_launch, 1u << 1 | 1u << 4};
const struct op_driver driver_heads = {product_lacks, product_workspace, product_launch, 1u << 1};
const struct op_driver driver_experts = {product_lacks, product_workspace, product_launch, 1u << 1 | 1u << 4};
