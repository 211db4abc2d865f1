// memory.cu - prepare: what a plan needs of the card's memory, and its weights on their way there.
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#include <unistd.h>

#include "inside.h"

#define PLACE_ALIGN 256 // bytes between weights; kernels may read up to so many past a weight's end
#define MIB(bytes) ((double)(bytes) / (1 << 20))

static int64_t aligned(int64_t bytes) { return (bytes + PLACE_ALIGN - 1) / PLACE_ALIGN * PLACE_ALIGN; }

static const char *op_name(uint32_t kind)
{
    static const char *const names[] = {"?", "embed", "norm", "matmul", "heads", "angles", "rope", "store", "attention", "route", "experts", "expert_sum", "element", "copy",
                                        "gather", "conv", "scan", "head_scan", "delta", "wkv", "?", "?", "?", "?", "pool", "softmax", "previous"};
    return kind < sizeof names / sizeof *names ? names[kind] : "?";
}

static int32_t act_of_op(const struct infer_op *op)
{
    switch (op->kind) {
    case INFER_OP_MATMUL:
    case INFER_OP_EXPERTS: return op->n[0];
    case INFER_OP_CONV: return op->n[1];
    case INFER_OP_ELEMENT: return op->n[0] == INFER_EL_ACT || op->n[0] == INFER_EL_ACT_MUL || op->n[0] == INFER_EL_MUL_ACT ? op->n[1] : INFER_ACT_NONE;
    default: return INFER_ACT_NONE;
    }
}

// Forms of ops that have no kernel: whoever computed them as another form would be wrong without a word.
static const char *lacks_form(const struct infer_plan *plan, const struct infer_op *op)
{
    if (act_of_op(op) > INFER_ACT_SWIGLU_OAI)
        return "there is no kernel for this activation function (xielu, softplus or exp)";
    if (op->kind == INFER_OP_ATTENTION && op->in[2] >= 0)
        return "there is no kernel for scores with a bias by distance";
    if (op->kind == INFER_OP_ATTENTION && op->n[5])
        return "there is no kernel for attention in chunks";
    if (op->kind == INFER_OP_ELEMENT && op->in[1] >= 0 && plan->tensors[op->in[1]].rows_kind == INFER_ROWS_FIXED)
        return "there is no kernel for an elementwise op with a weight";
    return NULL;
}

// The first op that the backend cannot compute, as an error.
static int check_ops(struct device *d, const struct infer_plan *plan)
{
    for (int32_t i = 0; i < plan->op_count; i++) {
        const struct infer_op *op = &plan->ops[i];
        const struct op_driver *driver = op->kind < 32 ? op_drivers[op->kind] : NULL;
        const char *lacks = !driver ? "there is no kernel for this op" : driver->lacks ? driver->lacks(plan, i) : NULL;
        if (!lacks)
            lacks = lacks_form(plan, op);
        if (lacks)
            return device_fail(d, INFER_ERR_UNSUPPORTED, "op %d (%s, layer %d): %s", i, op_name(op->kind), op->layer, lacks);
    }
    return INFER_OK;
}

static void *copy_of(const void *from, int64_t bytes)
{
    void *p = malloc(bytes > 0 ? (size_t)bytes : 1);
    if (p && bytes > 0)
        memcpy(p, from, (size_t)bytes);
    return p;
}

static int copy_plan(struct device *d, const struct infer_plan *plan)
{
    const struct infer_tensor *t = (const struct infer_tensor *)copy_of(plan->tensors, plan->tensor_count * (int64_t)sizeof *t);
    const struct infer_op *o = (const struct infer_op *)copy_of(plan->ops, plan->op_count * (int64_t)sizeof *o);
    const struct infer_cache_layer *c = (const struct infer_cache_layer *)copy_of(plan->cache, plan->cache_count * (int64_t)sizeof *c);
    d->plan = *plan;
    d->plan.tensors = t, d->plan.ops = o, d->plan.cache = c;
    d->placed = (struct placed *)calloc((size_t)plan->tensor_count, sizeof *d->placed);
    return t && o && c && d->placed ? INFER_OK : device_fail(d, INFER_ERR_MEMORY, "no host memory for the plan");
}

// ---- places ----

static int64_t raw_bytes(const struct infer_tensor *t) { return (t->mats - 1) * t->mat_stride + t->rows * t->stride; }

static bool same_weight(const struct infer_tensor *a, const struct infer_tensor *b)
{
    return a->buffer == b->buffer && a->offset == b->offset && a->dtype == b->dtype && a->cols == b->cols && a->rows == b->rows && a->mats == b->mats &&
           a->stride == b->stride && a->mat_stride == b->mat_stride;
}

// Gives a weight a place in one of its forms, or the one of a tensor that is the same bytes.
static void place(struct device *d, int32_t tensor, bool packs, int64_t *end)
{
    const struct infer_tensor *t = &d->plan.tensors[tensor];
    struct placed *p = &d->placed[tensor];
    if (packs)
        p->packed_bytes = packed_bytes(t->dtype, t->rows, t->cols);
    bool packed = packs && p->packed_bytes > 0;
    int64_t *at = packed ? &p->packed_at : &p->raw_at;
    for (int32_t i = 0; i < d->plan.tensor_count && *at < 0; i++) {
        const struct placed *o = &d->placed[i];
        if ((packed ? o->packed_at : o->raw_at) >= 0 && same_weight(&d->plan.tensors[i], t))
            *at = packed ? o->packed_at : o->raw_at;
    }
    if (*at >= 0)
        return;
    *at = *end;
    *end += aligned((packed ? p->packed_bytes * t->mats : raw_bytes(t)) + PLACE_ALIGN);
}

// Places all weights that ops read; returns the bytes of all.
static int64_t place_weights(struct device *d)
{
    int64_t end = 0;
    for (int32_t i = 0; i < d->plan.tensor_count; i++)
        d->placed[i].raw_at = d->placed[i].packed_at = -1;
    for (int32_t i = 0; i < d->plan.op_count; i++)
        for (int32_t k = 0; k < INFER_OP_INPUTS; k++) {
            const struct infer_op *op = &d->plan.ops[i];
            if (op->in[k] >= 0 && d->plan.tensors[op->in[k]].buffer != INFER_BUFFER_ACTIVATIONS)
                place(d, op->in[k], op_drivers[op->kind]->packed >> k & 1, &end);
        }
    return end;
}

static int64_t area_bytes(const struct device *d, enum area area)
{
    int64_t most = 0;
    for (int32_t i = 0; i < d->plan.op_count; i++) {
        const struct op_driver *driver = op_drivers[d->plan.ops[i].kind];
        int64_t bytes = driver->workspace ? driver->workspace(&d->plan, i, area) : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

static uint8_t *reserve(struct device *d, int64_t bytes) { return (uint8_t *)device_malloc(d, bytes + PLACE_ALIGN); }

static int64_t rows_bytes(const struct device *d, int32_t tensor, int64_t rows) { return tensor >= 0 ? rows * d->plan.tensors[tensor].stride : 0; }

static int reserve_results(struct device *d)
{
    const struct infer_plan *p = &d->plan;
    int64_t logits = rows_bytes(d, p->logits, p->max_wanted), predicted = rows_bytes(d, p->predict_logits, p->max_wanted);
    d->logits = (float *)device_malloc_host(d, (logits > predicted ? logits : predicted) + PLACE_ALIGN);
    int64_t hidden = rows_bytes(d, p->hidden, p->max_rows), next = rows_bytes(d, p->predict_hidden, p->max_rows);
    if (p->feed_op < p->op_count)
        d->hidden = (float *)device_malloc_host(d, (hidden > next ? hidden : next) + PLACE_ALIGN);
    if (!d->logits || (p->feed_op < p->op_count && !d->hidden))
        return device_fail(d, INFER_ERR_MEMORY, "no pinned host memory for %d rows of results", p->max_wanted);
    return INFER_OK;
}

static int reserve_all(struct device *d)
{
    const struct infer_plan *p = &d->plan;
    int64_t weights = place_weights(d), areas[AREA_COUNT], work = 0, available = 0, total = 0;
    for (int a = 0; a < AREA_COUNT; a++)
        work += areas[a] = area_bytes(d, (enum area)a);
    if (const char *wrong = rt_memory(&available, &total))
        return device_fail(d, INFER_ERR_SYSTEM, "memory of CUDA card %d: %s", d->index, wrong);
    int64_t needed = weights + p->cache_bytes + p->activation_bytes + work;
    if (needed <= available) {
        d->weights = reserve(d, weights);
        d->cache = reserve(d, p->cache_bytes);
        d->activations = reserve(d, p->activation_bytes);
        for (int a = 0; a < AREA_COUNT; a++)
            d->areas[a] = reserve(d, areas[a]);
    }
    if (!d->weights || !d->cache || !d->activations || !d->areas[AREA_SCRATCH] || !d->areas[AREA_FORMS])
        return device_fail(d, INFER_ERR_MEMORY, "the model needs %.0f MiB of the card's memory (weights %.0f, cache %.0f, activations %.0f, working memory %.0f); of its %.0f MiB %.0f are free",
                           MIB(needed), MIB(weights), MIB(p->cache_bytes), MIB(p->activation_bytes), MIB(work), MIB(total), MIB(available));
    for (int32_t i = 0; i < p->tensor_count; i++) {
        struct placed *w = &d->placed[i];
        w->raw = w->raw_at >= 0 ? d->weights + w->raw_at : NULL;
        w->packed = w->packed_at >= 0 ? d->weights + w->packed_at : NULL;
    }
    int status = reserve_results(d);
    if (status == INFER_OK && p->cache_count > 0 && p->logits >= 0)
        status = reserve_kept(d, (int64_t)(p->max_wanted < 64 ? p->max_wanted : 64) * 256);
    return status != INFER_OK ? status : reserve_step(d, step_bytes_of(p, p->max_rows, p->max_wanted, p->max_rows < 256 ? p->max_rows : 256, 64, p->feed_op < p->op_count));
}

// ---- uploads ----

// Two pieces of pinned memory: one is filled while the other one's copy is under way.
struct upload {
    struct device *d;
    uint8_t *piece[2], *landing; // landing: on the card, of rows to pack
    rt_event done[2];
    int64_t bytes; // of a piece
    int next;
};

static int64_t piece_bytes(const struct device *d)
{
    int64_t bytes = UPLOAD_BYTES;
    for (int32_t i = 0; i < d->plan.tensor_count; i++)
        if (d->placed[i].packed && d->plan.tensors[i].stride * PACK_ROWS > bytes)
            bytes = d->plan.tensors[i].stride * PACK_ROWS;
    int64_t most = 0; // of any weight
    for (int32_t i = 0; i < d->plan.tensor_count; i++)
        if ((d->placed[i].raw || d->placed[i].packed) && raw_bytes(&d->plan.tensors[i]) > most)
            most = raw_bytes(&d->plan.tensors[i]);
    return most < bytes ? most : bytes;
}

static int open_upload(struct device *d, struct upload *u)
{
    *u = {};
    u->d = d;
    u->bytes = piece_bytes(d);
    u->landing = reserve(d, u->bytes);
    const char *wrong = u->landing ? NULL : "no memory on the card";
    for (int i = 0; i < 2 && !wrong; i++) {
        u->piece[i] = (uint8_t *)device_malloc_host(d, u->bytes + PLACE_ALIGN);
        wrong = u->piece[i] ? rt_event_open(&u->done[i]) : "no pinned host memory";
        if (!wrong)
            wrong = rt_event_record(u->done[i], d->stream);
    }
    return wrong ? device_fail(d, INFER_ERR_MEMORY, "pieces of %.0f MiB to copy weights to the card: %s", MIB(u->bytes), wrong) : INFER_OK;
}

static void close_upload(struct upload *u)
{
    (void)rt_wait(u->d->stream);
    for (int i = 0; i < 2; i++) {
        if (u->done[i])
            rt_event_close(u->done[i]);
        if (u->piece[i])
            rt_free_host(u->piece[i]);
    }
    if (u->landing)
        rt_free(u->landing);
}

// Sends at most a piece.
static int send(struct upload *u, uint8_t *to, const uint8_t *from, int64_t bytes)
{
    int i = u->next;
    u->next = 1 - i;
    const char *wrong = rt_event_wait(u->done[i]);
    memcpy(u->piece[i], from, (size_t)bytes);
    if (!wrong)
        wrong = rt_copy(to, u->piece[i], bytes, u->d->stream);
    if (!wrong)
        wrong = rt_event_record(u->done[i], u->d->stream);
    return wrong ? device_fail(u->d, INFER_ERR_SYSTEM, "%lld bytes of weights to the card: %s", (long long)bytes, wrong) : INFER_OK;
}

static int upload_raw(struct upload *u, const struct infer_tensor *t, const uint8_t *from, uint8_t *to)
{
    int status = INFER_OK;
    for (int64_t at = 0, all = raw_bytes(t); at < all && status == INFER_OK; at += u->bytes)
        status = send(u, to + at, from + at, all - at < u->bytes ? all - at : u->bytes);
    return status;
}

// Packs from the weight's raw copy on the card, or from pieces that are sent there.
static int upload_packed(struct upload *u, const struct infer_tensor *t, const uint8_t *from, const struct placed *p)
{
    int64_t rows_a_piece = p->raw ? t->rows : u->bytes / t->stride / PACK_ROWS * PACK_ROWS;
    rows_a_piece = rows_a_piece > 0 ? rows_a_piece : t->rows; // which are fewer
    for (int64_t m = 0; m < t->mats; m++)
        for (int64_t row = 0; row < t->rows; row += rows_a_piece) {
            int64_t rows = t->rows - row < rows_a_piece ? t->rows - row : rows_a_piece, at = m * t->mat_stride + row * t->stride;
            int status = p->raw ? INFER_OK : send(u, u->landing, from + at, rows * t->stride);
            if (status == INFER_OK)
                status = pack(u->d, t->dtype, p->raw ? p->raw + at : u->landing, t->stride, row, rows, t->rows, t->cols, p->packed + m * p->packed_bytes);
            if (status != INFER_OK)
                return status;
        }
    return INFER_OK;
}

// Gives whole pages of a mapped file back: the copy on the card replaces them.
static void give_back(const struct buffer *b, const uint8_t *from, int64_t bytes)
{
#ifdef __linux__
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)from + page - 1) & ~(page - 1), last = ((uintptr_t)from + (uintptr_t)bytes) & ~(page - 1);
    if (b->mapped && first < last)
        (void)madvise((void *)first, last - first, MADV_DONTNEED); // a hint: that it fails changes nothing
#else
    (void)b, (void)from, (void)bytes;
#endif
}

// Whether an earlier tensor has the same place, and so has brought the weight there.
static bool is_there(const struct device *d, int32_t tensor, bool packed)
{
    for (int32_t i = 0; i < tensor; i++)
        if (packed ? d->placed[i].packed_at == d->placed[tensor].packed_at : d->placed[i].raw_at == d->placed[tensor].raw_at)
            return true;
    return false;
}

static int upload_weights(struct device *d)
{
    struct upload u;
    int status = open_upload(d, &u);
    for (int32_t i = 0; i < d->plan.tensor_count && status == INFER_OK; i++) {
        const struct infer_tensor *t = &d->plan.tensors[i];
        const struct placed *p = &d->placed[i];
        if (!p->raw && !p->packed)
            continue;
        const uint8_t *from = d->buffers[t->buffer].data + t->offset;
        if (p->raw && !is_there(d, i, false))
            status = upload_raw(&u, t, from, p->raw);
        if (status == INFER_OK && p->packed && !is_there(d, i, true))
            status = upload_packed(&u, t, from, p);
        give_back(&d->buffers[t->buffer], from, raw_bytes(t));
    }
    close_upload(&u);
    return status;
}

int backend_prepare(void *device, const struct infer_plan *plan)
{
    struct device *d = (struct device *)device;
    if (d->plan.tensors)
        return device_fail(d, INFER_ERR_INVALID, "a device prepares one plan");
    if (const char *wrong = rt_enter(d->index))
        return device_fail(d, INFER_ERR_SYSTEM, "CUDA card %d: %s", d->index, wrong);
    int status = check_ops(d, plan);
    if (status == INFER_OK)
        status = copy_plan(d, plan);
    if (status == INFER_OK)
        status = reserve_all(d);
    if (status == INFER_OK)
        status = upload_weights(d);
    if (status != INFER_OK)
        return status;
    const char *wrong = rt_fill(d->cache, 0, plan->cache_bytes, d->stream);
    if (!wrong)
        wrong = rt_wait(d->stream);
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "an empty cache of %.0f MiB: %s", MIB(plan->cache_bytes), wrong) : INFER_OK;
}
