// cpu_recurrent.c - recurrent ops over a batch: which stretches of rows belong together, where their states lie, and which
// thread computes which head or channels.

#include "cpu_device.h"

static int64_t whole_vectors(int64_t n) { return (n + 15) / 16 * 16; }

int64_t infer_recurrent_scratch(const struct infer_op *op, const struct infer_tensor *tensors)
{
    switch (op->kind) {
    case INFER_OP_CONV: return RECURRENT_CHANNELS;
    case INFER_OP_SCAN: return 16 * (int64_t)op->n[1];
    case INFER_OP_HEAD_SCAN: return RECURRENT_ROWS * (2 * whole_vectors(tensors[op->in[0]].cols / op->n[1]) + 2 * (int64_t)op->n[3]);
    case INFER_OP_WKV: return RECURRENT_ROWS * whole_vectors(tensors[op->in[0]].cols / op->n[1]);
    default: return RECURRENT_ROWS * 2 * whole_vectors(tensors[op->in[0]].cols / op->n[2]);
    }
}

void infer_cut_segments(struct device *d)
{
    const struct infer_batch *b = d->batch;
    struct segments *s = &d->segments;
    s->total = 0;
    for (int32_t row = 0; row < b->rows; row++) {
        if (row == 0 || b->sequences[row] != b->sequences[row - 1]) {
            s->first[s->total] = row;
            s->count[s->total++] = 0;
        }
        s->count[s->total - 1]++;
    }
}

// A slot of a cache layer; NULL for none.
static float *slot(const struct device *d, const struct infer_cache_layer *l, int32_t number)
{
    return number < 0 ? NULL : (float *)(d->cache + l->offset + number * l->page_stride);
}

static const int32_t *table_of(const struct device *d, const struct infer_cache_layer *l, int32_t segment)
{
    const struct infer_batch *b = d->batch;
    return b->pages + ((int64_t)l->kind * b->sequence_count + b->sequences[d->segments.first[segment]]) * b->table_pages;
}

static struct recurrent_job job_of(const struct device *d, const struct infer_op *op, int32_t segment, uint8_t *scratch)
{
    const struct infer_cache_layer *l = &d->plan.cache[op->n[0]];
    int32_t first = d->segments.first[segment];
    const int32_t *table = table_of(d, l, segment);
    struct recurrent_job job = {
        .op = op,
        .rows = d->segments.count[segment],
        .out = activation(d, op->out, first),
        .out_stride = tensor_at(d, op->out)->stride / 4,
        .out_cols = tensor_at(d, op->out)->cols,
        .read = slot(d, l, table[0]),
        .write = slot(d, l, table[1]),
        .scratch = (float *)scratch,
    };
    for (int i = 0; i < INFER_OP_INPUTS; i++) {
        if (op->in[i] < 0)
            continue;
        const struct infer_tensor *t = tensor_at(d, op->in[i]);
        bool weight = t->buffer != INFER_BUFFER_ACTIVATIONS;
        job.in[i] = weight ? vector_or_null(d, op->in[i]) : activation(d, op->in[i], first);
        job.in_stride[i] = t->stride / 4;
        job.in_cols[i] = t->cols;
    }
    return job;
}

// Moves a job on by the rows that it has computed, to rows whose last state goes elsewhere.
static void go_on(const struct device *d, struct recurrent_job *job, int32_t rows, float *write)
{
    for (int i = 0; i < INFER_OP_INPUTS; i++)
        if (job->op->in[i] >= 0 && tensor_at(d, job->op->in[i])->buffer == INFER_BUFFER_ACTIVATIONS)
            job->in[i] += job->rows * job->in_stride[i];
    job->out += job->rows * job->out_stride;
    job->rows = rows;
    job->read = job->write;
    job->write = write;
}

// Computes a unit of a job: the certain rows, then guess by guess, each with a slot of its own. Any cut of the rows gives the same bits.
static void run_unit(const struct device *d, struct recurrent_job job, const int32_t *slots, int32_t guesses)
{
    const struct infer_cache_layer *l = &d->plan.cache[job.op->n[0]];
    job.rows -= guesses;
    for (int32_t i = 0; i <= guesses; i++) {
        if (i > 0)
            go_on(d, &job, 1, slot(d, l, slots[i]));
        job.again = i < guesses;
        d->variant->recurrent(&job);
    }
}

// Slots behind the first one that is written.
static int32_t count_guesses(const struct device *d, const int32_t *table)
{
    int32_t n = 0;
    while (2 + n < d->batch->table_pages && table[2 + n] >= 0)
        n++;
    return n;
}

void infer_run_recurrent(struct device *d, int32_t step, int thread)
{
    const struct infer_op *op = &d->plan.ops[d->steps[step].op];
    bool heads = op->kind == INFER_OP_HEAD_SCAN || op->kind == INFER_OP_DELTA || op->kind == INFER_OP_WKV;
    int64_t units = heads ? op->n[1] : (tensor_at(d, op->out)->cols + RECURRENT_CHANNELS - 1) / RECURRENT_CHANNELS;
    int64_t together = heads ? 1 : 4; // units taken at once
    int64_t takes = (units + together - 1) / together;
    for (;;) {
        int64_t at = take(d, step);
        if (at >= takes * d->segments.total)
            return;
        struct recurrent_job job = job_of(d, op, (int32_t)(at / takes), d->scratch[thread]);
        const int32_t *table = table_of(d, &d->plan.cache[op->n[0]], (int32_t)(at / takes));
        int32_t guesses = count_guesses(d, table);
        int64_t end = (at % takes + 1) * together;
        for (job.unit = at % takes * together; job.unit < (end < units ? end : units); job.unit++)
            run_unit(d, job, table + 1, guesses);
    }
}
