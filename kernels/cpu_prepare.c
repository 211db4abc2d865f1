// cpu_prepare.c - from a plan to steps and stages: which inputs are quantized when, where barriers stand, which weights
// are interleaved, how much scratch a thread needs.

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu_codes.h"
#include "cpu_device.h"

static int fail(struct device *d, int status, const char *what)
{
    snprintf(d->error, sizeof d->error, "%s", what);
    return status;
}

// Memory with the device's life.
static void *own(struct device *d, int64_t bytes)
{
    if (d->owned_count == (int32_t)(sizeof d->owned / sizeof *d->owned))
        return NULL;
    void *p = infer_device_alloc(d, bytes);
    if (p)
        d->owned[d->owned_count++] = p;
    return p;
}

static int copy_plan(struct device *d, const struct infer_plan *plan)
{
    struct infer_tensor *t = own(d, plan->tensor_count * (int64_t)sizeof *t);
    struct infer_op *o = own(d, plan->op_count * (int64_t)sizeof *o);
    struct infer_cache_layer *c = own(d, plan->cache_count * (int64_t)sizeof *c + 1);
    d->weights = own(d, plan->tensor_count * (int64_t)sizeof *d->weights);
    if (!t || !o || !c || !d->weights)
        return fail(d, INFER_ERR_MEMORY, "no memory for the plan");
    memcpy(t, plan->tensors, (size_t)plan->tensor_count * sizeof *t);
    memcpy(o, plan->ops, (size_t)plan->op_count * sizeof *o);
    if (plan->cache_count > 0)
        memcpy(c, plan->cache, (size_t)plan->cache_count * sizeof *c);
    d->plan = *plan;
    d->plan.tensors = t;
    d->plan.ops = o;
    d->plan.cache = c;
    d->activations = own(d, plan->activation_bytes);
    d->cache = own(d, plan->cache_bytes + 1);
    if (!d->activations || !d->cache) {
        snprintf(d->error, sizeof d->error, "no memory for %lld MB of activations and %lld MB of cache", (long long)(plan->activation_bytes >> 20), (long long)(plan->cache_bytes >> 20));
        return INFER_ERR_MEMORY;
    }
    return INFER_OK;
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t rows_at_most(const struct device *d, uint32_t kind)
{
    switch (kind) {
    case INFER_ROWS_WANTED: return d->plan.max_wanted;
    case INFER_ROWS_EXPERTS: return (int64_t)d->plan.max_rows * (d->plan.experts_used > 0 ? d->plan.experts_used : 1);
    default: return d->plan.max_rows;
    }
}

static void add_range(struct step *s, int32_t space, int32_t base, int64_t from, int64_t to, bool write)
{
    s->ranges[s->range_count++] = (struct range){space, base, from, to, write};
}

static void add_tensor(const struct device *d, struct step *s, int32_t tensor, bool write)
{
    if (tensor < 0 || tensor_at(d, tensor)->buffer != INFER_BUFFER_ACTIVATIONS)
        return;
    const struct infer_tensor *base = tensor_at(d, tensor_at(d, tensor)->base);
    add_range(s, SPACE_ACTIVATIONS, tensor_at(d, tensor)->base, base->offset, base->offset + rows_at_most(d, base->rows_kind) * base->stride, write);
}

static struct step *add_step(struct device *d, enum step_kind kind, int32_t op)
{
    if (d->step_count == d->step_room) {
        int32_t room = d->step_room ? 2 * d->step_room : 256;
        d->allocations++;
        struct step *grown = d->fail_allocation == d->allocations ? NULL : realloc(d->steps, (size_t)room * sizeof *grown);
        if (!grown)
            return NULL;
        d->steps = grown;
        d->step_room = room;
    }
    struct step *s = &d->steps[d->step_count++];
    memset(s, 0, sizeof *s);
    s->kind = kind;
    s->op = op;
    s->form_buffer = -1;
    return s;
}

// Registers a weight for products; the first use counts. Returns false where the type has no product.
static bool use_weight(struct device *d, int32_t tensor)
{
    const struct infer_tensor *t = tensor_at(d, tensor);
    struct weight *w = &d->weights[tensor];
    if (w->rows > 0)
        return true;
    enum infer_family family = (enum infer_family)infer_type_traits(t->dtype)->family;
    if (family == INFER_FAMILY_NONE)
        return false;
    w->dtype = (enum infer_dtype)t->dtype;
    w->form = infer_form_of(d->variant, w->dtype, w->cols);
    w->cols = t->cols;
    w->rows = t->rows;
    w->mats = t->mats;
    w->raw = weight_bytes(d, tensor);
    w->stride = t->stride;
    w->mat_stride = t->mat_stride;
    w->panels = (t->rows + PANEL_ROWS - 1) / PANEL_ROWS;
    if (d->repack)
        w->panel_bytes = w->panel_step = d->variant->panel_bytes(w->dtype, w->cols);
    return true;
}

// The form buffer that holds tensor's rows in a form: an earlier step's where it is still valid, else a new step's.
static int quantized_input(struct device *d, int32_t op, int32_t tensor, enum act_form form, int32_t terms, const int32_t *versions)
{
    if (form == FORM_F32)
        return -1;
    int at = 2 * (form - 1);
    for (int i = at; i < at + 2; i++)
        if (d->forms[i].tensor == tensor && d->forms[i].terms == terms && d->forms[i].version == versions[tensor_at(d, tensor)->base])
            return i;
    if (d->forms[at + 1].written < d->forms[at].written)
        at++;
    struct step *s = add_step(d, STEP_QUANTIZE, op);
    if (!s)
        return -2;
    const struct infer_tensor *t = tensor_at(d, tensor);
    struct form_buffer *f = &d->forms[at];
    f->tensor = tensor;
    f->terms = terms;
    f->version = versions[t->base];
    f->written = d->step_count;
    int64_t bytes = terms * act_stride(form, t->cols) * rows_at_most(d, t->rows_kind);
    f->bytes = bytes > f->bytes ? bytes : f->bytes;
    if (d->variant->tile_bytes && terms == 1)
        f->tiles_bytes = larger(f->tiles_bytes, (rows_at_most(d, t->rows_kind) + 15) / 16 * d->variant->tile_bytes(form, t->cols));
    s->tensor = tensor;
    s->form = form;
    s->terms = terms;
    s->form_buffer = at;
    s->row_local = true;
    s->rows_kind = (enum infer_rows)t->rows_kind;
    add_tensor(d, s, tensor, false);
    add_range(s, SPACE_FORM + at, tensor, 0, 1, true);
    return at;
}

// BF16 weights beside weights that take f32 activations take them, too.
static void same_form(struct weight *gate, struct weight *up)
{
    struct weight *w = gate->form == FORM_BF16 ? gate : up, *other = w == gate ? up : gate;
    if (w->form != FORM_BF16 || other->form != FORM_F32)
        return;
    w->form = FORM_F32;
    w->panel_bytes = w->panel_step = 0;
}

// A chunk of a gated product reads the same panels of both matrices: they are laid out as one stream.
static void join_weights(struct weight *gate, struct weight *up)
{
    if (gate == up || gate->mate || gate->is_mate || up->mate || up->is_mate || gate->panel_bytes == 0 || up->panel_bytes == 0 || gate->panels * gate->mats != up->panels * up->mats)
        return;
    gate->mate = up;
    up->is_mate = true;
    gate->panel_step = up->panel_step = gate->panel_bytes + up->panel_bytes;
}

static bool is_recurrent(uint32_t kind) { return kind >= INFER_OP_CONV && kind <= INFER_OP_WKV; }

static bool is_product(uint32_t kind) { return kind == INFER_OP_MATMUL || kind == INFER_OP_EXPERTS || kind == INFER_OP_HEADS; }

static int weight_inputs(const struct infer_op *op, int32_t out[2])
{
    out[0] = op->in[1];
    out[1] = op->kind == INFER_OP_HEADS ? -1 : op->in[4];
    return out[1] >= 0 ? 2 : 1;
}

// Tokens are grouped by expert once for each choice.
static int group_step(struct device *d, int32_t op, int32_t ids, int32_t *grouped)
{
    if (*grouped == ids)
        return INFER_OK;
    struct step *s = add_step(d, STEP_GROUP, op);
    if (!s)
        return INFER_ERR_MEMORY;
    *grouped = ids;
    s->tensor = ids;
    add_tensor(d, s, ids, false);
    add_range(s, SPACE_GROUPS, 0, 0, 1, true);
    return INFER_OK;
}

static int op_step(struct device *d, int32_t i, int32_t *versions, int32_t *grouped)
{
    const struct infer_op *op = &d->plan.ops[i];
    int form_buffer = -1, terms = 1;
    if (is_product(op->kind)) {
        int32_t w[2];
        int count = weight_inputs(op, w);
        for (int j = 0; j < count; j++)
            if (!use_weight(d, w[j])) {
                snprintf(d->error, sizeof d->error, "op %d: no product for data type %u", i, tensor_at(d, w[j])->dtype);
                return INFER_ERR_UNSUPPORTED;
            }
        if (count == 2)
            same_form(&d->weights[w[0]], &d->weights[w[1]]);
        if (count == 2 && d->weights[w[0]].form != d->weights[w[1]].form)
            return fail(d, INFER_ERR_UNSUPPORTED, "gate and up matrices of different type families in one op");
        if (count == 2)
            join_weights(&d->weights[w[0]], &d->weights[w[1]]);
        if (op->kind == INFER_OP_EXPERTS && group_step(d, i, op->in[3], grouped) != INFER_OK)
            return fail(d, INFER_ERR_MEMORY, "no memory for steps");
        if (op->kind == INFER_OP_MATMUL && op->n[1] && count == 1 && is_quantized(d->weights[w[0]].form))
            terms = 2;
        if (op->kind != INFER_OP_HEADS)
            form_buffer = quantized_input(d, i, op->in[0], d->weights[w[0]].form, terms, versions);
        if (form_buffer == -2)
            return fail(d, INFER_ERR_MEMORY, "no memory for steps");
    }
    struct step *s = add_step(d, STEP_OP, i);
    if (!s)
        return fail(d, INFER_ERR_MEMORY, "no memory for steps");
    s->form_buffer = form_buffer;
    s->terms = terms;
    s->row_local = !is_product(op->kind) && op->kind != INFER_OP_ATTENTION && !is_recurrent(op->kind);
    s->rows_kind = op->out >= 0 ? (enum infer_rows)tensor_at(d, op->out)->rows_kind : INFER_ROWS_BATCH;
    for (int j = 0; j < INFER_OP_INPUTS; j++)
        add_tensor(d, s, op->in[j], false);
    if (form_buffer >= 0)
        add_range(s, SPACE_FORM + form_buffer, op->in[0], 0, 1, false);
    add_tensor(d, s, op->out, true);
    add_tensor(d, s, op->out2, true);
    if (op->kind == INFER_OP_STORE || op->kind == INFER_OP_ATTENTION || is_recurrent(op->kind))
        add_range(s, SPACE_CACHE, op->n[0], op->n[0], op->n[0] + 1, op->kind != INFER_OP_ATTENTION);
    if (op->kind == INFER_OP_EXPERTS)
        add_range(s, SPACE_GROUPS, 0, 0, 1, false);
    for (int j = 0; j < 2; j++) {
        int32_t out = j ? op->out2 : op->out;
        if (out >= 0)
            versions[tensor_at(d, out)->base] = i + 1;
    }
    return INFER_OK;
}

// Whether b must wait for a. Row-local steps of equal rows may touch the same tensor: each row is one thread's.
static bool conflicts(const struct step *a, const struct step *b)
{
    bool same_rows = a->row_local && b->row_local && a->rows_kind == b->rows_kind;
    for (int i = 0; i < a->range_count; i++)
        for (int j = 0; j < b->range_count; j++) {
            const struct range *x = &a->ranges[i], *y = &b->ranges[j];
            if (x->space != y->space || x->to <= y->from || y->to <= x->from || (!x->write && !y->write))
                continue;
            if (!same_rows || x->base != y->base || x->space == SPACE_CACHE)
                return true;
        }
    return false;
}

static int make_stages(struct device *d)
{
    d->stages = own(d, (d->step_count + 1) * (int64_t)sizeof *d->stages);
    d->counter_stride = (d->step_count + 15) / 16 * 16; // whole cache lines
    d->counters = own(d, d->threads * (int64_t)d->counter_stride * (int64_t)sizeof *d->counters);
    if (!d->stages || !d->counters)
        return fail(d, INFER_ERR_MEMORY, "no memory for stages");
    d->feed_stage = d->predict_stage = -1;
    for (int32_t i = 0; i < d->step_count; i++) {
        const struct step *s = &d->steps[i];
        struct stage *last = d->stage_count > 0 ? &d->stages[d->stage_count - 1] : NULL;
        bool joins = last && last->row_local == s->row_local && (!s->row_local || last->rows_kind == s->rows_kind) && s->kind != STEP_GROUP &&
                     d->steps[last->first].kind != STEP_GROUP;
        int32_t before = i > 0 ? d->steps[i - 1].op : s->op;
        if (before < d->plan.feed_op && s->op >= d->plan.feed_op)
            joins = false, d->feed_stage = d->stage_count;
        if (before < d->plan.predict_op && s->op >= d->plan.predict_op)
            joins = false, d->predict_stage = d->stage_count;
        for (int32_t j = last ? last->first : i; joins && j < i; j++)
            joins = !conflicts(&d->steps[j], s);
        if (joins)
            last->count++;
        else
            d->stages[d->stage_count++] = (struct stage){i, 1, s->row_local, s->rows_kind};
    }
    if (d->feed_stage < 0)
        d->feed_stage = d->stage_count;
    if (d->predict_stage < 0)
        d->predict_stage = d->stage_count;
    return INFER_OK;
}

int64_t infer_loose_panel_bytes(const struct device *d, const struct weight *w)
{
    bool transposed = !infer_code_kind(w->dtype); // codes are looked up, which costs more than the product
    return w->packed || !is_quantized(w->form) || !transposed ? 0 : d->variant->panel_bytes(w->dtype, w->cols);
}

static int allocate_working_memory(struct device *d)
{
    int64_t product = 0, attention = 0, recurrent = 0, heads = 0, used = d->plan.experts_used, experts = 0;
    for (int32_t i = 0; i < d->plan.op_count; i++) {
        const struct infer_op *op = &d->plan.ops[i];
        if (is_product(op->kind)) {
            int64_t bytes = d->variant->product_scratch(tensor_at(d, op->in[1])->cols);
            int32_t w[2];
            for (int j = weight_inputs(op, w) - 1; j >= 0 && !d->repack; j--)
                bytes += PRODUCT_PANELS * infer_loose_panel_bytes(d, &d->weights[w[j]]);
            product = bytes > product ? bytes : product;
            if (op->kind == INFER_OP_HEADS) {
                bytes = (act_bytes(FORM_F32, tensor_at(d, op->in[1])->cols) + 64) * 2 * MAX_PRODUCT_COLUMNS;
                heads = bytes > heads ? bytes : heads;
            }
            if (op->kind == INFER_OP_EXPERTS && tensor_at(d, op->in[1])->mats > experts)
                experts = tensor_at(d, op->in[1])->mats;
        } else if (is_recurrent(op->kind)) {
            recurrent = larger(recurrent, 4 * infer_recurrent_scratch(op, d->plan.tensors));
        } else if (op->kind == INFER_OP_ATTENTION) {
            const struct infer_cache_layer *l = &d->plan.cache[op->n[0]];
            int32_t group = op->n[1] / l->heads;
            int64_t bytes = 4 * infer_attention_scratch(l, group > ATTENTION_TILE ? group : ATTENTION_TILE);
            attention = bytes > attention ? bytes : attention;
            d->tiles_used |= 1u << infer_tile_size(group);
            d->splits.floats = SPLIT_BYTES / 4;
        }
    }
    int64_t tile = 2 * (int64_t)MAX_PRODUCT_COLUMNS * PRODUCT_PANELS * PANEL_ROWS * 4; // y and y2
    product = (product + 63) / 64 * 64;
    d->scratch_bytes = tile + product + heads + 4096;
    d->scratch_bytes = larger(d->scratch_bytes, larger(attention, recurrent));
    d->scratch = own(d, d->threads * (int64_t)sizeof *d->scratch);
    if (!d->scratch)
        return fail(d, INFER_ERR_MEMORY, "no memory for scratch");
    for (int i = 0; i < d->threads; i++)
        if (!(d->scratch[i] = infer_device_alloc(d, d->scratch_bytes)))
            return fail(d, INFER_ERR_MEMORY, "no memory for scratch");
    for (int i = 0; i < FORM_BUFFERS; i++) {
        struct form_buffer *f = &d->forms[i];
        if (f->bytes > 0 && !(f->data = infer_device_alloc(d, f->bytes)))
            return fail(d, INFER_ERR_MEMORY, "no memory for quantized activations");
        if (f->tiles_bytes > 0 && !(f->tiles = infer_device_alloc(d, f->tiles_bytes)))
            return fail(d, INFER_ERR_MEMORY, "no memory for quantized activations as tiles");
    }
    for (int i = 0; i < TILE_SIZES; i++) {
        d->tiles[i].first = infer_device_alloc(d, 3 * (int64_t)d->plan.max_rows * 4);
        if (!d->tiles[i].first)
            return fail(d, INFER_ERR_MEMORY, "no memory for row tiles");
        d->tiles[i].count = d->tiles[i].first + d->plan.max_rows;
        d->tiles[i].end = d->tiles[i].count + d->plan.max_rows;
    }
    if (recurrent > 0) {
        d->segments.first = own(d, 2 * (int64_t)d->plan.max_rows * 4);
        if (!d->segments.first)
            return fail(d, INFER_ERR_MEMORY, "no memory for the batch's sequences");
        d->segments.count = d->segments.first + d->plan.max_rows;
    }
    if (d->splits.floats > 0 && d->threads > 1) {
        d->splits.jobs = 2 * (int64_t)d->threads;
        d->splits.done = own(d, d->splits.jobs * (int64_t)sizeof *d->splits.done);
        d->splits.partials = own(d, d->splits.floats * 4);
        if (!d->splits.done || !d->splits.partials)
            return fail(d, INFER_ERR_MEMORY, "no memory for attention over long contexts");
    }
    if (experts > 0) {
        int64_t slots = d->plan.max_rows * used;
        d->groups.slots = infer_device_alloc(d, (2 * slots + 2 * experts + 1) * 4);
        if (!d->groups.slots)
            return fail(d, INFER_ERR_MEMORY, "no memory for expert groups");
        d->groups.tokens = d->groups.slots + slots;
        d->groups.starts = d->groups.tokens + slots;
        d->groups.experts = d->groups.starts + experts + 1;
    }
    return INFER_OK;
}

struct packing {
    struct device *d;
    atomic_long next[MAX_THREADS]; // panels of each thread's shares that are taken
};

#define READ_AHEAD (4 << 20) // bytes that the system is asked to read while panels are interleaved

// Asks for what comes after a stretch of a mapped file, and gives the whole pages of the stretch back: the interleaved copy replaces them.
static void turn_pages(const struct device *d, const uint8_t *from, const uint8_t *to, bool ahead)
{
    for (int32_t i = 0; i < d->buffer_count; i++) {
        const uint8_t *data = d->buffers[i].data, *end = data + d->buffers[i].bytes;
        if (!d->buffers[i].mapped || from < data || to > end)
            continue;
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)from + page - 1) & ~(page - 1), last = (uintptr_t)to & ~(page - 1);
        bool border = (uintptr_t)from / READ_AHEAD != (uintptr_t)to / READ_AHEAD;
        if (ahead && border && to < end) // hints: that they fail changes nothing
            (void)madvise((void *)last, end - to < 2 * READ_AHEAD ? (size_t)(end - to) : 2 * READ_AHEAD, MADV_WILLNEED);
        if (first < last)
            (void)madvise((void *)first, last - first, MADV_DONTNEED);
    }
}

// Interleaves panels first..first+count of a weight.
static void pack_run(const struct device *d, const struct weight *w, int64_t first, int64_t count)
{
    const uint8_t *begin = NULL, *end = NULL;
    for (int64_t j = first; j < first + count; j++) {
        int64_t mat = j / w->panels, row = j % w->panels * PANEL_ROWS, rows = w->rows - row < PANEL_ROWS ? w->rows - row : PANEL_ROWS;
        const uint8_t *raw = w->raw + mat * w->mat_stride + row * w->stride;
        d->variant->pack(w->dtype, raw, w->stride, (int)rows, w->cols, w->packed + j * w->panel_step);
        begin = begin ? begin : raw;
        end = raw + rows * w->stride;
    }
    turn_pages(d, begin, end, true);
}

#define PACK_PANELS 16 // taken at a time

// A thread interleaves the shares of all weights that it will read in products (take_share): the memory of panels is that of the
// node on which they are written first. Then it helps others.
static void pack_panels(void *arg, int thread)
{
    struct packing *p = arg;
    const struct device *d = p->d;
    for (int i = 0; i < d->threads; i++) {
        int owner = (thread + i) % d->threads;
        for (;;) {
            int64_t from = atomic_fetch_add(&p->next[owner], PACK_PANELS), at = 0;
            for (int32_t t = 0; t < d->plan.tensor_count && at < from + PACK_PANELS; t++) {
                const struct weight *w = &d->weights[t];
                int64_t panels = w->packed ? w->panels * w->mats : 0, first = panels * owner / d->threads, count = panels * (owner + 1) / d->threads - first;
                int64_t skip = larger(0, from - at), end = count < from + PACK_PANELS - at ? count : from + PACK_PANELS - at;
                if (skip < end)
                    pack_run(d, w, first + skip, end - skip);
                at += count;
            }
            if (at <= from)
                break;
        }
    }
}

// Interleaves every weight that has a packed form.
static int pack_weights(struct device *d)
{
    struct packing p = {.d = d};
    for (int32_t i = 0; i < d->plan.tensor_count; i++) {
        struct weight *w = &d->weights[i];
        if (w->rows == 0 || w->panel_bytes == 0)
            continue;
        if (w->is_mate)
            continue;
        int64_t bytes = w->panels * w->mats * w->panel_step;
        w->packed = infer_device_alloc(d, bytes);
        if (!w->packed) {
            snprintf(d->error, sizeof d->error, "no memory to interleave a weight of %lld MB; repacking can be turned off", (long long)(bytes >> 20));
            return INFER_ERR_MEMORY;
        }
        if (w->mate)
            w->mate->packed = w->packed + w->panel_bytes;
    }
    infer_team_run(d->team, d->threads, pack_panels, &p);
    for (int32_t i = 0; i < d->plan.tensor_count; i++) { // pages that two stretches shared
        struct weight *w = &d->weights[i];
        if (w->packed)
            turn_pages(d, w->raw, w->raw + (w->mats - 1) * w->mat_stride + w->rows * w->stride, false);
    }
    return INFER_OK;
}

static bool known_op(uint32_t kind)
{
    return (kind >= INFER_OP_EMBED && kind <= INFER_OP_WKV) || kind == INFER_OP_POOL || kind == INFER_OP_SOFTMAX || kind == INFER_OP_PREVIOUS;
}

int infer_cpu_prepare(void *device, const struct infer_plan *plan)
{
    struct device *d = device;
    if (d->plan.tensors)
        return fail(d, INFER_ERR_INVALID, "a device prepares one plan");
    int status = copy_plan(d, plan);
    if (status != INFER_OK)
        return status;
    int32_t *versions = own(d, plan->tensor_count * 4), grouped = -1;
    if (!versions)
        return fail(d, INFER_ERR_MEMORY, "no memory for the plan");
    for (int i = 0; i < FORM_BUFFERS; i++)
        d->forms[i].tensor = -1;
    for (int32_t i = 0; i < plan->op_count; i++) {
        if (!known_op(plan->ops[i].kind)) {
            snprintf(d->error, sizeof d->error, "op %d: kind %u is unknown", i, plan->ops[i].kind);
            return INFER_ERR_UNSUPPORTED;
        }
        if (plan->ops[i].kind == INFER_OP_ROUTE)
            grouped = -1;
        if ((status = op_step(d, i, versions, &grouped)) != INFER_OK)
            return status;
    }
    if ((status = make_stages(d)) != INFER_OK || (status = allocate_working_memory(d)) != INFER_OK)
        return status;
    return pack_weights(d);
}
