// run.cu - a step: the batch to the card, the ops of its part, the results back, and one wait at the end. Shapes of few rows that come
// again are replayed as graphs.
#include "inside.h"

// The ops of a part.
struct range {
    int32_t first, end;
};

static struct range ops_of(const struct infer_plan *p, int32_t part)
{
    switch (part) {
    case INFER_PART_FEED: return {0, p->predict_op};
    case INFER_PART_PREDICT: return {p->feed_op, p->op_count};
    default: return {0, p->feed_op};
    }
}

static bool cancelled(const struct infer_batch *b) { return b->cancel && __atomic_load_n(b->cancel, __ATOMIC_RELAXED); }

static int launch_timed(struct device *d, int32_t op, const struct op_driver *driver)
{
    const char *wrong = rt_event_record(d->before, d->stream);
    int status = driver->launch(d, op);
    if (!wrong)
        wrong = rt_event_record(d->after, d->stream);
    if (!wrong)
        wrong = rt_event_wait(d->after);
    if (status == INFER_OK && wrong)
        status = device_fail(d, INFER_ERR_SYSTEM, "%s", wrong);
    d->timing.ops_ns[d->plan.ops[op].kind & 31] += rt_event_ns(d->before, d->after);
    return status;
}

static int32_t logits_of(const struct infer_plan *p, int32_t part) { return part == INFER_PART_PREDICT ? p->predict_logits : p->logits; }

// Puts a part's ops into the stream, and the selection from its logits.
static int launch_ops(struct device *d, const struct infer_batch *b)
{
    struct range ops = ops_of(&d->plan, b->part);
    for (int32_t i = ops.first; i < ops.end; i++) {
        if (cancelled(b))
            return INFER_ERR_CANCELLED;
        const struct op_driver *driver = op_drivers[d->plan.ops[i].kind];
        if (device_rows(d, d->plan.ops[i].out >= 0 ? (int32_t)d->plan.tensors[d->plan.ops[i].out].rows_kind : INFER_ROWS_BATCH) == 0)
            continue; // no row is wanted
        int status = d->timed ? launch_timed(d, i, driver) : driver->launch(d, i);
        if (status != INFER_OK) {
            char what[sizeof d->error];
            snprintf(what, sizeof what, "%s", d->error);
            return device_fail(d, status, "op %d (kind %u, layer %d): %.500s", i, d->plan.ops[i].kind, d->plan.ops[i].layer, what);
        }
    }
    return d->shape.keeps ? launch_select(d, logits_of(&d->plan, b->part)) : INFER_OK;
}

// ---- graphs ----

// The next of 1, 2, 3, 4, 6, 8, 12, 16, 24 ...
static int32_t rounded(int32_t n, int32_t most)
{
    int32_t up = 1;
    while (up < n)
        up = up % 3 == 0 ? up / 3 * 4 : up < 2 ? 2 : up / 2 * 3;
    return n == 0 ? 0 : up < most ? up : most;
}

#define SHAPE_POSITIONS 256 // attention's spans

// The shape that a batch shares with others.
static struct shape shared_shape(const struct device *d)
{
    struct shape s = d->shape;
    s.rows = rounded(s.rows, d->plan.max_rows);
    s.wanted_count = rounded(s.wanted_count, d->plan.max_wanted);
    s.sequence_count = rounded(s.sequence_count, INT32_MAX);
    s.tiles = rounded(s.tiles, INT32_MAX);
    int32_t positions = SHAPE_POSITIONS;
    while (positions < s.positions && positions < 1 << 30)
        positions *= 2;
    s.positions = positions;
    return s;
}

static bool same(const struct shape *a, const struct shape *b)
{
    return a->rows == b->rows && a->wanted_count == b->wanted_count && a->sequence_count == b->sequence_count && a->tiles == b->tiles && a->positions == b->positions &&
           a->part == b->part && a->keeps == b->keeps;
}

// The place of a shape: its own, or the one that was not used for longest.
static struct remembered *find(struct device *d, const struct shape *s)
{
    struct remembered *oldest = &d->graphs[0];
    for (int i = 0; i < MAX_GRAPHS; i++) {
        struct remembered *r = &d->graphs[i];
        if (r->used_at > 0 && same(&r->shape, s))
            return r;
        if (r->used_at < oldest->used_at)
            oldest = r;
    }
    if (oldest->graph)
        rt_graph_free(oldest->graph);
    *oldest = {};
    return oldest;
}

static int capture(struct device *d, const struct infer_batch *b, rt_graph *graph)
{
    if (const char *wrong = rt_capture_begin(d->stream))
        return device_fail(d, INFER_ERR_SYSTEM, "a graph of %d rows: %s", d->shape.rows, wrong);
    int status = launch_ops(d, b);
    const char *wrong = rt_capture_end(d->stream, graph);
    if (status != INFER_OK && *graph) {
        rt_graph_free(*graph);
        *graph = NULL;
    }
    return status == INFER_OK && wrong ? device_fail(d, INFER_ERR_SYSTEM, "a graph of %d rows: %s", d->shape.rows, wrong) : status;
}

static int compute(struct device *d, const struct infer_batch *b)
{
    if (b->rows > GRAPH_ROWS || d->timed)
        return launch_ops(d, b);
    struct shape shape = shared_shape(d);
    struct remembered *r = find(d, &shape);
    bool known = r->used_at > 0;
    r->shape = shape;
    r->used_at = ++d->clock;
    if (!known)
        return launch_ops(d, b);
    d->shape = shape;
    int status = r->graph ? INFER_OK : capture(d, b, &r->graph);
    if (status != INFER_OK)
        return status;
    const char *wrong = rt_replay(r->graph, d->stream);
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "the graph of a step of %d rows: %s", b->rows, wrong) : INFER_OK;
}

// Begins the copy of rows [first, first + rows) of a result to the host, where they lie as far apart.
static int fetch(struct device *d, int32_t tensor, int64_t first, int64_t rows, float *to)
{
    const struct infer_tensor *t = &d->plan.tensors[tensor];
    const char *wrong = rows > 0 ? rt_copy((uint8_t *)to + first * t->stride, d->activations + t->offset + first * t->stride, (rows - 1) * t->stride + t->cols * 4, d->stream) : NULL;
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "%lld rows of results: %s", (long long)rows, wrong) : INFER_OK;
}

// Begins the copies of the logits that are wanted whole, and of what was selected from the others.
static int fetch_logits(struct device *d, const struct infer_batch *b, int32_t logits)
{
    int status = INFER_OK;
    for (int32_t first = 0, end; first < b->wanted_count && status == INFER_OK; first = end) {
        for (end = first + 1; end < b->wanted_count && is_whole(b, end) == is_whole(b, first);)
            end++;
        if (is_whole(b, first))
            status = fetch(d, logits, first, end - first, d->logits);
    }
    int64_t bytes = (int64_t)b->wanted_count * kept_stride(b) * (int64_t)sizeof *d->kept;
    const char *wrong = status == INFER_OK && bytes > 0 ? rt_copy(d->host_kept, d->kept, bytes, d->stream) : NULL;
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "%lld bytes of selected logits: %s", (long long)bytes, wrong) : status;
}

static int run_batch(struct device *d, const struct infer_batch *b, struct infer_result *result)
{
    int32_t logits = logits_of(&d->plan, b->part), hidden = b->part == INFER_PART_PREDICT ? d->plan.predict_hidden : d->plan.hidden;
    int status = write_step(d, b);
    if (status == INFER_OK)
        status = compute(d, b);
    if (status == INFER_OK && logits >= 0)
        status = fetch_logits(d, b, logits);
    if (status == INFER_OK && hidden >= 0 && d->hidden)
        status = fetch(d, hidden, 0, b->rows, d->hidden);
    *result = {logits >= 0 ? d->logits : NULL, hidden >= 0 ? d->hidden : NULL, b->keeps ? d->host_kept : NULL, kept_stride(b)};
    return status;
}

int backend_run(void *device, const struct infer_batch *b, struct infer_result *result)
{
    struct device *d = (struct device *)device;
    if (b->rows <= 0 || b->rows > d->plan.max_rows || b->wanted_count > d->plan.max_wanted)
        return device_fail(d, INFER_ERR_INVALID, "batch of %d rows, %d wanted; the plan allows %d and %d", b->rows, b->wanted_count, d->plan.max_rows, d->plan.max_wanted);
    if (const char *wrong = rt_enter(d->index))
        return device_fail(d, INFER_ERR_SYSTEM, "CUDA card %d: %s", d->index, wrong);
    d->error[0] = 0;
    int status = run_batch(d, b, result);
    const char *wrong = rt_wait(d->stream); // in any case: the next step writes over what this one reads
    if (status == INFER_OK && wrong)
        status = device_fail(d, INFER_ERR_SYSTEM, "a step of %d rows: %s", b->rows, wrong);
    return status == INFER_OK && cancelled(b) ? INFER_ERR_CANCELLED : status;
}
