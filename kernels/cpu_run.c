// cpu_run.c - executes a prepared plan on a batch: every thread walks the stages, takes chunks of each step from its
// counter, and meets the others at the end of the stage. Nothing is allocated here.

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "cpu_device.h"
#include "cpu_fetch.h"

static int64_t rows_now(const struct device *d, uint32_t kind)
{
    switch (kind) {
    case INFER_ROWS_WANTED: return d->batch->wanted_count;
    case INFER_ROWS_EXPERTS: return (int64_t)d->batch->rows * d->plan.experts_used;
    default: return d->batch->rows;
    }
}

static int64_t share_start(const struct device *d, int thread, int64_t units) { return units * thread / d->active; }

// The next unit of a step that has `units`; -1 when none is left. Each thread owns a contiguous share, so that it reads
// weights as one stream, which the processor fetches ahead; who is done takes from the others' shares.
static int64_t take_share(struct device *d, int32_t step, int thread, int64_t units)
{
    for (int i = 0; i < d->active; i++) {
        int owner = thread + i < d->active ? thread + i : thread + i - d->active;
        int64_t from = share_start(d, owner, units), count = share_start(d, owner + 1, units) - from;
        atomic_int *c = counter(d, owner, step);
        if (atomic_load_explicit(c, memory_order_relaxed) >= count)
            continue;
        int32_t at = atomic_fetch_add_explicit(c, 1, memory_order_relaxed);
        if (at < count)
            return from + at;
    }
    return -1;
}

static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

// ---- row-local steps ----

static void embed(struct device *d, const struct infer_op *op, int64_t row)
{
    const struct infer_tensor *t = tensor_at(d, op->in[0]);
    const struct infer_batch *b = d->batch;
    int32_t index = op->n[0] == 0 ? b->ids[row] : op->n[0] == 1 ? b->positions[row] : b->types ? b->types[row] : 0;
    float *out = activation(d, op->out, row);
    infer_dequantize(t->dtype, weight_bytes(d, op->in[0]) + index * t->stride, t->cols, out);
    if (op->f[0] != 1.0f)
        for (int64_t i = 0; i < t->cols; i++)
            out[i] *= op->f[0];
}

static void norm(struct device *d, const struct infer_op *op, int64_t row)
{
    int64_t width = tensor_at(d, op->out)->cols / op->n[1];
    bool each = op->in[1] >= 0 && tensor_at(d, op->in[1])->cols * tensor_at(d, op->in[1])->rows != width;
    d->variant->norm(op, width, activation(d, op->in[0], row), vector_or_null(d, op->in[1]), each ? width : 0, vector_or_null(d, op->in[2]), activation(d, op->out, row));
}

static void store(struct device *d, const struct infer_op *op, int64_t row)
{
    const struct infer_batch *b = d->batch;
    const struct infer_cache_layer *l = &d->plan.cache[op->n[0]];
    int32_t position = b->positions[row];
    const int32_t *table = b->pages + ((int64_t)l->kind * b->sequence_count + b->sequences[row]) * b->table_pages;
    uint8_t *page = d->cache + l->offset + (int64_t)table[position / INFER_PAGE_TOKENS] * l->page_stride;
    d->variant->store_k(l, page, position % INFER_PAGE_TOKENS, activation(d, op->in[0], row));
    if (l->v_dim > 0)
        d->variant->store_v(l, page, position % INFER_PAGE_TOKENS, activation(d, op->in[1], row));
}

#define MAX_EXPERTS 1024
#define WORST (-INFINITY)

// Keeps only the groups with the highest sums of their two best choices; others' choices become the worst.
static void limit_groups(float *choice, int64_t experts, int groups, int used)
{
    int64_t size = experts / groups;
    float score[MAX_EXPERTS];
    for (int g = 0; g < groups; g++) {
        float best = WORST, second = WORST;
        for (int64_t i = g * size; i < (g + 1) * size; i++)
            if (choice[i] > best) {
                second = best;
                best = choice[i];
            } else if (choice[i] > second) {
                second = choice[i];
            }
        score[g] = size > 1 ? best + second : best;
    }
    for (int g = 0; g < groups; g++) {
        int better = 0;
        for (int o = 0; o < groups; o++)
            better += score[o] > score[g] || (score[o] == score[g] && o < g);
        if (better >= used)
            for (int64_t i = g * size; i < (g + 1) * size; i++)
                choice[i] = WORST;
    }
}

static void route(struct device *d, const struct infer_op *op, int64_t row)
{
    int64_t experts = tensor_at(d, op->in[0])->cols;
    int used = op->n[1];
    const float *logits = activation(d, op->in[0], row), *bias = vector_or_null(d, op->in[1]);
    float gates[MAX_EXPERTS], choice[MAX_EXPERTS];
    memcpy(gates, logits, (size_t)experts * 4);
    if (op->n[0] == INFER_GATE_SOFTMAX)
        d->variant->softmax(gates, experts);
    else if (op->n[0] == INFER_GATE_SIGMOID)
        d->variant->act(INFER_ACT_SIGMOID, op->f + 1, gates, experts);
    for (int64_t i = 0; i < experts; i++)
        choice[i] = bias ? gates[i] + bias[i] : gates[i];
    if (op->n[2] > 1 && op->n[3] < op->n[2])
        limit_groups(choice, experts, op->n[2], op->n[3]);
    int32_t *ids = (int32_t *)activation(d, op->out, row);
    float *weights = activation(d, op->out2, row);
    bool taken[MAX_EXPERTS] = {false};
    for (int k = 0; k < used; k++) {
        int64_t best = -1;
        for (int64_t i = 0; i < experts; i++)
            if (!taken[i] && (best < 0 || choice[i] > choice[best]))
                best = i;
        taken[best] = true;
        ids[k] = (int32_t)best;
        weights[k] = gates[best];
    }
    if (op->n[0] == INFER_GATE_SOFTMAX_CHOSEN)
        d->variant->softmax(weights, used);
    if (op->n[4]) {
        float sum = 0;
        for (int k = 0; k < used; k++)
            sum += weights[k];
        sum = sum > 6.103515625e-5f ? sum : 6.103515625e-5f; // the smallest normal f16, as the models were trained with
        for (int k = 0; k < used; k++)
            weights[k] /= sum;
    }
    for (int k = 0; k < used; k++)
        weights[k] *= op->f[0];
}

// The mean over the rows of a wanted row's sequence; they are consecutive.
static void pool(struct device *d, const struct infer_op *op, int64_t row)
{
    const int32_t *sequences = d->batch->sequences;
    int64_t first = d->batch->wanted[row], end = first + 1;
    while (first > 0 && sequences[first - 1] == sequences[first])
        first--;
    while (end < d->batch->rows && sequences[end] == sequences[first])
        end++;
    const struct infer_tensor *x = tensor_at(d, op->in[0]);
    d->variant->mean(x->cols, end - first, activation(d, op->in[0], first), x->stride / 4, activation(d, op->out, row));
}

static void softmax(struct device *d, const struct infer_op *op, int64_t row)
{
    int64_t n = tensor_at(d, op->out)->cols;
    float *out = activation(d, op->out, row);
    memcpy(out, activation(d, op->in[0], row), (size_t)n * 4);
    d->variant->softmax(out, n);
}

static void previous(struct device *d, const struct infer_op *op, int64_t row)
{
    const struct infer_batch *b = d->batch;
    int64_t n = tensor_at(d, op->out)->cols;
    const float *from = b->carry ? b->carry + b->sequences[row] * n : NULL;
    if (row > 0 && b->sequences[row - 1] == b->sequences[row])
        from = activation(d, op->in[0], row - 1);
    if (from)
        memcpy(activation(d, op->out, row), from, (size_t)n * 4);
    else
        memset(activation(d, op->out, row), 0, (size_t)n * 4);
}

static void copy_heads(struct device *d, const struct infer_op *op, int64_t row)
{
    const float *in = activation(d, op->in[0], row);
    float *out = activation(d, op->out, row);
    for (int h = 0; h < op->n[0]; h++)
        memcpy(out + (int64_t)h * op->n[3], in + (int64_t)h * op->n[2], (size_t)op->n[1] * 4);
}

// What the first term of a block of 32 or 256 leaves: x - d*q, rounded twice as written.
static void rounding_errors(enum act_form form, const float *x, const void *first, float *out)
{
    const struct act32 *a = first;
    const struct act256 *b = first;
    if (form == FORM_32)
        for (int i = 0; i < 32; i++)
            out[i] = x[i] - a->d * (float)a->q[i];
    else
        for (int i = 0; i < 256; i++)
            out[i] = x[i] - b->d[i / 64] * (float)b->q[i];
}

static void quantize(struct device *d, const struct step *s, int64_t row)
{
    const float *x = activation(d, s->tensor, row);
    int64_t cols = tensor_at(d, s->tensor)->cols, stride = act_stride(s->form, cols);
    uint8_t *out = d->forms[s->form_buffer].data + row * s->terms * stride;
    infer_write_form(d->variant, s->form, x, cols, out);
    if (s->terms == 1) {
        const struct form_buffer *f = &d->forms[s->form_buffer];
        if (f->tiles && rows_now(d, s->rows_kind) >= TILED_COLUMNS)
            d->variant->spread(s->form, out, cols, row, f->tiles);
        return;
    }
    int64_t block = s->form == FORM_32 ? 32 : 256, bytes = act_bytes(s->form, block);
    for (int64_t i = 0; i < cols / block; i++) {
        float rest[256];
        rounding_errors(s->form, x + i * block, out + i * bytes, rest);
        infer_write_form(d->variant, s->form, rest, block, out + stride + i * bytes);
    }
}

static void run_row(struct device *d, const struct step *s, int64_t row)
{
    if (s->kind == STEP_QUANTIZE) {
        quantize(d, s, row);
        return;
    }
    const struct infer_op *op = &d->plan.ops[s->op];
    switch (op->kind) {
    case INFER_OP_EMBED: embed(d, op, row); break;
    case INFER_OP_NORM: norm(d, op, row); break;
    case INFER_OP_ANGLES: d->variant->angles(vector_or_null(d, op->in[0]), tensor_at(d, op->in[0])->cols, d->batch->positions[row], op->f[0], activation(d, op->out, row)); break;
    case INFER_OP_ROPE: d->variant->rope(op, activation(d, op->in[1], row), activation(d, op->out, row)); break;
    case INFER_OP_STORE: store(d, op, row); break;
    case INFER_OP_ROUTE: route(d, op, row); break;
    case INFER_OP_COPY: copy_heads(d, op, row); break;
    case INFER_OP_POOL: pool(d, op, row); break;
    case INFER_OP_SOFTMAX: softmax(d, op, row); break;
    case INFER_OP_PREVIOUS: previous(d, op, row); break;
    case INFER_OP_GATHER: memcpy(activation(d, op->out, row), activation(d, op->in[0], d->batch->wanted[row]), (size_t)tensor_at(d, op->out)->cols * 4); break;
    case INFER_OP_EXPERT_SUM: {
        const struct infer_tensor *y = tensor_at(d, op->in[0]);
        d->variant->expert_sum(y->cols, d->plan.experts_used, activation(d, op->in[0], row * d->plan.experts_used), y->stride / 4, activation(d, op->in[1], row),
                               op->in[2] >= 0 ? activation(d, op->in[2], row) : NULL, activation(d, op->out, row));
        break;
    }
    case INFER_OP_ELEMENT: {
        bool weight = op->in[1] >= 0 && tensor_at(d, op->in[1])->buffer != INFER_BUFFER_ACTIVATIONS;
        const float *b = op->in[1] < 0 ? NULL : weight ? vector_or_null(d, op->in[1]) : activation(d, op->in[1], row);
        int64_t n = tensor_at(d, op->out)->cols;
        d->variant->element(op, n, activation(d, op->in[0], row), b, b && tensor_at(d, op->in[1])->cols == 1 && n > 1, activation(d, op->out, row));
        break;
    }
    }
}

static void run_rows(struct device *d, const struct stage *g)
{
    int64_t rows = rows_now(d, g->rows_kind), chunk = larger(1, smaller(16, rows / (4 * d->active)));
    for (;;) {
        int64_t from = take(d, g->first) * chunk;
        if (from >= rows)
            return;
        for (int32_t i = g->first; i < g->first + g->count; i++)
            for (int64_t row = from; row < smaller(from + chunk, rows); row++)
                run_row(d, &d->steps[i], row);
    }
}

// ---- products ----

// Panels a chunk: small enough to share out, large enough to reuse the columns; with one column, about 32 KB of weights.
static int64_t panels_a_chunk(const struct device *d, const struct weight *w, int64_t columns)
{
    int64_t most = PRODUCT_PANELS;
    if (columns == 1) {
        int64_t bytes = w->packed ? w->panel_step : PANEL_ROWS * w->stride;
        most = larger(1, smaller(PRODUCT_PANELS, 32768 / larger(1, bytes)));
    }
    return larger(1, smaller(most, w->panels / (2 * d->active)));
}

// Panels times columns. Weights that lie as in the file are interleaved first, into work, where that costs little beside reading them.
static void product(const struct device *d, const struct weight *w, int64_t mat, int64_t panel, int64_t panels, const struct columns *x, float *y, int64_t y_stride, uint8_t *work)
{
    int64_t bytes = infer_loose_panel_bytes(d, w);
    if (bytes == 0) {
        d->variant->product(w, mat, panel, panels, x, y, y_stride, work);
        return;
    }
    struct weight near = *w;
    near.packed = work;
    near.panel_bytes = near.panel_step = bytes;
    for (int64_t i = 0; i < panels; i++) {
        int64_t first = (panel + i) * PANEL_ROWS;
        d->variant->pack(w->dtype, w->raw + mat * w->mat_stride + first * w->stride, w->stride, (int)smaller(PANEL_ROWS, w->rows - first), w->cols, work + i * bytes);
    }
    d->variant->product(&near, 0, 0, panels, x, y, y_stride, work + PRODUCT_PANELS * bytes);
}

struct product_job {
    const struct infer_op *op;
    const struct weight *w, *w2;
    int64_t mat;
    struct columns x;
    const int32_t *out_rows; // row of out of each column; NULL: the column's number
    const float *bias, *bias2;
    int32_t terms; // columns that add up to one column of out
};

// One chunk of panels for all columns of a job.
static void product_chunk(struct device *d, const struct product_job *job, int64_t panel, int64_t panels, uint8_t *scratch)
{
    const struct infer_op *op = job->op;
    int64_t y_stride = panels * PANEL_ROWS, row0 = panel * PANEL_ROWS, rows = smaller(y_stride, job->w->rows - row0);
    int64_t tile = (int64_t)MAX_PRODUCT_COLUMNS * PRODUCT_PANELS * PANEL_ROWS;
    float *y = (float *)scratch, *y2 = y + tile;
    uint8_t *work = (uint8_t *)(y2 + tile);
    struct epilogue e = {job->bias, job->bias2, NULL, 0, op->f[0], op->f + 1, op->n[0], job->w2 != NULL};
    bool residual = op->kind == INFER_OP_MATMUL && op->in[3] >= 0;
    for (int64_t c = 0; c < job->x.count; c += MAX_PRODUCT_COLUMNS) {
        struct columns x = job->x;
        x.count = (int32_t)smaller(MAX_PRODUCT_COLUMNS, job->x.count - c);
        if (x.pick)
            x.pick += c;
        else
            x.data += c * x.stride;
        if (x.tiles)
            x.tiles += c / 16 * x.tile_stride;
        int64_t together = job->w->mate && x.count <= FEW_COLUMNS ? 1 : panels; // few columns: in the order in which the panels lie
        for (int64_t i = 0; i < panels; i += together) {
            product(d, job->w, job->mat, panel + i, together, &x, y + i * PANEL_ROWS, y_stride, work);
            if (job->w2)
                product(d, job->w2, job->mat, panel + i, together, &x, y2 + i * PANEL_ROWS, y_stride, work);
        }
        for (int32_t i = 0; i < x.count; i += job->terms) {
            int64_t out_row = job->out_rows ? job->out_rows[c + i] : (c + i) / job->terms;
            if (job->terms == 2)
                for (int64_t r = 0; r < rows; r++)
                    y[i * y_stride + r] += y[(i + 1) * y_stride + r];
            d->variant->finish(&e, row0, rows, y + i * y_stride, y2 + i * y_stride, activation(d, op->out, out_row), residual ? activation(d, op->in[3], out_row) : NULL);
        }
    }
}

static struct columns input_columns(const struct device *d, const struct step *s, const struct infer_op *op)
{
    const struct infer_tensor *t = tensor_at(d, op->in[0]);
    if (s->form_buffer < 0)
        return (struct columns){.data = d->activations + t->offset, .stride = t->stride};
    const struct form_buffer *f = &d->forms[s->form_buffer];
    enum act_form form = d->weights[op->in[1]].form;
    struct columns x = {.data = f->data, .stride = act_stride(form, t->cols)};
    if (f->tiles && s->terms == 1 && rows_now(d, t->rows_kind) >= TILED_COLUMNS) {
        x.tiles = f->tiles;
        x.tile_stride = d->variant->tile_bytes(form, t->cols);
    }
    return x;
}

// Columns of a product, without its second terms.
static int64_t product_columns(const struct device *d, const struct infer_op *op) { return rows_now(d, tensor_at(d, op->out)->rows_kind); }

struct panels infer_first_share(const struct device *d, int32_t step, int thread)
{
    const struct infer_op *op = &d->plan.ops[d->steps[step].op];
    const struct weight *w = &d->weights[op->in[1]];
    int64_t columns = product_columns(d, op), chunk = panels_a_chunk(d, w, columns), chunks = columns > 0 ? (w->panels + chunk - 1) / chunk : 0;
    return (struct panels){share_start(d, thread, chunks) * chunk, smaller(share_start(d, thread + 1, chunks) * chunk, w->panels)};
}

static void run_matmul(struct device *d, int32_t step, int thread)
{
    const struct step *s = &d->steps[step];
    const struct infer_op *op = &d->plan.ops[s->op];
    struct product_job job = {op, &d->weights[op->in[1]], op->in[4] >= 0 ? &d->weights[op->in[4]] : NULL, 0, input_columns(d, s, op), NULL,
                              vector_or_null(d, op->in[2]), vector_or_null(d, op->in[5]), s->terms};
    job.x.count = (int32_t)product_columns(d, op) * job.terms;
    int64_t chunk = panels_a_chunk(d, job.w, job.x.count / job.terms), chunks = job.x.count > 0 ? (job.w->panels + chunk - 1) / chunk : 0;
    for (int64_t at; (at = take_share(d, step, thread, chunks)) >= 0;)
        product_chunk(d, &job, at * chunk, smaller(chunk, job.w->panels - at * chunk), d->scratch[thread]);
}

static void group_tokens(struct device *d, const struct step *s)
{
    const struct infer_op *op = &d->plan.ops[s->op];
    int64_t experts = tensor_at(d, op->in[1])->mats, used = d->plan.experts_used, slots = d->batch->rows * used;
    struct groups *g = &d->groups;
    g->active = 0;
    int32_t filled = 0;
    int32_t counts[MAX_EXPERTS] = {0}, next[MAX_EXPERTS];
    for (int64_t t = 0; t < d->batch->rows; t++) {
        const int32_t *ids = (const int32_t *)activation(d, s->tensor, t);
        for (int64_t k = 0; k < used; k++)
            counts[ids[k]]++;
    }
    for (int32_t e = 0; e < experts; e++) {
        if (counts[e] == 0)
            continue;
        g->experts[g->active] = e;
        g->starts[g->active++] = filled;
        next[e] = filled;
        filled += counts[e];
    }
    g->starts[g->active] = (int32_t)slots;
    for (int64_t t = 0; t < d->batch->rows; t++) {
        const int32_t *ids = (const int32_t *)activation(d, s->tensor, t);
        for (int64_t k = 0; k < used; k++) {
            int32_t at = next[ids[k]]++;
            g->slots[at] = (int32_t)(t * used + k);
            g->tokens[at] = (int32_t)t;
        }
    }
}

static void run_experts(struct device *d, int32_t step, int thread)
{
    const struct step *s = &d->steps[step];
    const struct infer_op *op = &d->plan.ops[s->op];
    const struct groups *g = &d->groups;
    const struct weight *w = &d->weights[op->in[1]];
    const float *bias = vector_or_null(d, op->in[2]), *bias2 = vector_or_null(d, op->in[5]);
    bool from_slots = tensor_at(d, op->in[0])->rows_kind == INFER_ROWS_EXPERTS;
    int64_t chunk = panels_a_chunk(d, w, 1), chunks = (w->panels + chunk - 1) / chunk;
    for (int64_t at; (at = take_share(d, step, thread, g->active * chunks)) >= 0;) {
        int64_t group = at / chunks, panel = at % chunks * chunk;
        int32_t e = g->experts[group], start = g->starts[group];
        struct product_job job = {op, w, op->in[4] >= 0 ? &d->weights[op->in[4]] : NULL, e, input_columns(d, s, op), g->slots + start,
                                  bias ? bias + e * w->rows : NULL, bias2 ? bias2 + e * w->rows : NULL, 1};
        job.x.pick = from_slots ? g->slots + start : g->tokens + start;
        job.x.count = g->starts[group + 1] - start;
        product_chunk(d, &job, panel, smaller(chunk, w->panels - panel), d->scratch[thread]);
    }
}

// A head's matrix times that head of every row; the columns are quantized here, into scratch.
static void run_heads(struct device *d, int32_t step, uint8_t *scratch)
{
    const struct infer_op *op = &d->plan.ops[d->steps[step].op];
    const struct weight *w = &d->weights[op->in[1]];
    int64_t tile = (int64_t)MAX_PRODUCT_COLUMNS * PRODUCT_PANELS * PANEL_ROWS, rows = rows_now(d, tensor_at(d, op->out)->rows_kind);
    if (rows == 0)
        return;
    int64_t blocks = (rows + MAX_PRODUCT_COLUMNS - 1) / MAX_PRODUCT_COLUMNS, bytes = act_stride(w->form, w->cols);
    float *y = (float *)scratch;
    uint8_t *forms = scratch + 2 * tile * 4, *work = forms + bytes * MAX_PRODUCT_COLUMNS;
    for (;;) {
        int64_t at = take(d, step), head = at / blocks, first = at % blocks * MAX_PRODUCT_COLUMNS;
        if (head >= op->n[0])
            return;
        struct columns x = {.data = forms, .stride = bytes, .count = (int32_t)smaller(MAX_PRODUCT_COLUMNS, rows - first)};
        for (int32_t c = 0; c < x.count; c++) {
            const float *in = activation(d, op->in[0], first + c) + head * op->n[1];
            infer_write_form(d->variant, w->form, in, w->cols, forms + c * bytes);
        }
        for (int64_t panel = 0; panel < w->panels; panel += PRODUCT_PANELS) {
            int64_t panels = smaller(PRODUCT_PANELS, w->panels - panel), stride = panels * PANEL_ROWS, count = smaller(stride, w->rows - panel * PANEL_ROWS);
            product(d, w, head, panel, panels, &x, y, stride, work);
            for (int32_t c = 0; c < x.count; c++)
                memcpy(activation(d, op->out, first + c) + head * op->n[2] + panel * PANEL_ROWS, y + c * stride, (size_t)count * 4);
        }
    }
}

// ---- attention ----

int64_t infer_attention_scratch(const struct infer_cache_layer *l, int32_t query_rows)
{
    int64_t v_pad = (l->v_width + 15) / 16 * 16;
    return query_rows * l->k_dim + 64 * (l->k_dim + v_pad + 4) + query_rows * (2 * v_pad + 17 + 2);
}

int64_t infer_attention_partials(const struct infer_cache_layer *l, int32_t queries)
{
    return queries * (2 + (l->v_width + 15) / 16 * 16);
}

// Rows of a tile: a power of two, so that rows x heads is about ATTENTION_TILE.
int infer_tile_size(int32_t group)
{
    int size = 0;
    while (size + 1 < TILE_SIZES && (group << (size + 1)) <= ATTENTION_TILE)
        size++;
    return size;
}

static void cut_tiles(struct device *d, int size)
{
    struct tiles *t = &d->tiles[size];
    const struct infer_batch *b = d->batch;
    t->total = 0;
    for (int32_t row = 0; row < b->rows;) {
        int32_t end = row + 1;
        while (end < b->rows && end - row < 1 << size && b->sequences[end] == b->sequences[row])
            end++;
        t->first[t->total] = row;
        t->count[t->total++] = end - row;
        row = end;
    }
    for (int32_t i = t->total - 1, end = 0; i >= 0; i--) {
        int32_t row = t->first[i], last = row + t->count[i] - 1;
        if (last + 1 == b->rows || b->sequences[last + 1] != b->sequences[last])
            end = b->positions[last] + 1;
        t->end[i] = end;
    }
}

static struct attention_job attention_job(const struct device *d, const struct infer_op *op, const struct tiles *tiles, int32_t tile, int32_t kv_head, uint8_t *scratch)
{
    const struct infer_batch *b = d->batch;
    const struct infer_cache_layer *l = &d->plan.cache[op->n[0]];
    const float *sinks = vector_or_null(d, op->in[1]);
    int32_t row = tiles->first[tile], group = op->n[1] / l->heads;
    return (struct attention_job){
        .layer = l,
        .cache = d->cache + l->offset,
        .pages = b->pages + ((int64_t)l->kind * b->sequence_count + b->sequences[row]) * b->table_pages,
        .positions = b->positions + row,
        .q = activation(d, op->in[0], row) + (int64_t)kv_head * group * l->k_dim,
        .q_stride = tensor_at(d, op->in[0])->stride / 4,
        .out = activation(d, op->out, row) + (int64_t)kv_head * group * l->v_width,
        .out_stride = tensor_at(d, op->out)->stride / 4,
        .sinks = sinks ? sinks + kv_head * group : NULL,
        .rows = tiles->count[tile],
        .heads = group,
        .kv_head = kv_head,
        .first_head = kv_head * group,
        .total_heads = op->n[1],
        .bias = vector_or_null(d, op->in[2]),
        .bias_reach = op->in[2] >= 0 ? (int32_t)(tensor_at(d, op->in[2])->cols / 2) : 0,
        .window = op->n[2],
        .chunks = op->n[5] == 1,
        .v_first = op->n[3],
        .end = op->n[4] ? tiles->end[tile] : 0,
        .scale = op->f[0],
        .softcap = op->f[1],
        .alibi = op->f[2],
        .scratch = (float *)scratch,
    };
}

// Spans of the longest tile, where they are worth sharing out; else 1.
static int64_t spans_to_share(const struct device *d, const struct infer_op *op, const struct tiles *tiles)
{
    const struct infer_cache_layer *l = &d->plan.cache[op->n[0]];
    int64_t jobs = (int64_t)tiles->total * l->heads, longest = 0, rows = 1;
    if (d->active == 1 || jobs >= 2 * d->active || jobs > d->splits.jobs)
        return 1;
    for (int32_t i = 0; i < tiles->total; i++) {
        int32_t last = d->batch->positions[tiles->first[i] + tiles->count[i] - 1] + 1;
        longest = larger(longest, op->n[4] ? larger(last, tiles->end[i]) : last);
        rows = larger(rows, tiles->count[i]);
    }
    int64_t spans = (longest + INFER_ATTENTION_SPAN - 1) / INFER_ATTENTION_SPAN;
    return jobs * spans * infer_attention_partials(l, (int32_t)rows * (op->n[1] / l->heads)) <= d->splits.floats ? spans : 1;
}

static void run_attention(struct device *d, int32_t step, uint8_t *scratch)
{
    const struct infer_op *op = &d->plan.ops[d->steps[step].op];
    const struct infer_cache_layer *l = &d->plan.cache[op->n[0]];
    const struct tiles *tiles = &d->tiles[infer_tile_size(op->n[1] / l->heads)];
    int64_t spans = spans_to_share(d, op, tiles), room = tiles->total ? d->splits.floats / ((int64_t)tiles->total * l->heads) : 0;
    for (;;) {
        int64_t at = take(d, step), job_at = at / spans;
        int32_t kv_head = (int32_t)(job_at % l->heads), tile = (int32_t)(tiles->total - 1 - job_at / l->heads); // late rows see most: first
        if (tile < 0)
            return;
        struct attention_job job = attention_job(d, op, tiles, tile, kv_head, scratch);
        if (spans == 1) {
            d->variant->attention(&job);
            continue;
        }
        float *partials = d->splits.partials + job_at * room;
        job.span = at % spans;
        job.partials = partials + job.span * infer_attention_partials(l, job.rows * job.heads);
        d->variant->attention(&job);
        if (atomic_fetch_add_explicit(&d->splits.done[job_at], 1, memory_order_acq_rel) == spans - 1) {
            atomic_store_explicit(&d->splits.done[job_at], 0, memory_order_relaxed);
            d->variant->attention_spans(&job, partials, spans);
        }
    }
}

// ---- the walk ----

static void run_step(struct device *d, int32_t step, int thread)
{
    const struct step *s = &d->steps[step];
    if (s->kind == STEP_GROUP) {
        if (take(d, step) == 0)
            group_tokens(d, s);
        return;
    }
    switch (d->plan.ops[s->op].kind) {
    case INFER_OP_MATMUL: run_matmul(d, step, thread); break;
    case INFER_OP_EXPERTS: run_experts(d, step, thread); break;
    case INFER_OP_HEADS: run_heads(d, step, d->scratch[thread]); break;
    case INFER_OP_ATTENTION: run_attention(d, step, d->scratch[thread]); break;
    case INFER_OP_CONV:
    case INFER_OP_SCAN:
    case INFER_OP_HEAD_SCAN:
    case INFER_OP_DELTA:
    case INFER_OP_WKV: infer_run_recurrent(d, step, thread); break;
    }
}

static int64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

// A thread's way through the stages of a run.
struct way {
    struct device *device;
    int thread;
    int32_t end;           // stages before it are run
    int32_t stage, follow; // the one that was run, and how many small ones after it belong to the same barrier
    int64_t followed_ns;   // the first thread's time in those
    struct fetch ahead;
};

// A stage whose rows are too few to share out costs a barrier less where the last thread at the one before computes it.
static int32_t small_stages(const struct device *d, int32_t from, int32_t end)
{
    int32_t i = from;
    while (i < end && d->stages[i].row_local && rows_now(d, d->stages[i].rows_kind) <= 1)
        i++;
    return i - from;
}

static void add_time(struct device *d, const struct stage *g, int64_t ns) { d->timing.ops_ns[d->plan.ops[d->steps[g->first + g->count - 1].op].kind & 31] += ns; }

static void run_small_stages(void *way)
{
    struct way *w = way;
    struct device *d = w->device;
    int64_t since = w->thread == 0 && w->follow > 0 ? clock_ns() : 0;
    for (int32_t i = w->stage + 1; i <= w->stage + w->follow; i++) {
        run_rows(d, &d->stages[i]);
        if (w->thread != 0)
            continue;
        int64_t now = clock_ns();
        add_time(d, &d->stages[i], now - since);
        w->followed_ns += now - since;
        since = now;
    }
}

static bool fetch_meanwhile(void *way) { return infer_fetch_more(&((struct way *)way)->ahead); }

// Runs one stage and meets the others, the small stages after it included. Returns the time after that, of the first thread.
static int64_t run_stage(struct way *w, int64_t since)
{
    struct device *d = w->device;
    const struct stage *g = &d->stages[w->stage];
    if (g->row_local)
        run_rows(d, g);
    else
        for (int32_t j = g->first; j < g->first + g->count; j++)
            run_step(d, j, w->thread);
    w->follow = small_stages(d, w->stage + 1, w->end);
    w->followed_ns = 0;
    const struct stage *last = g + w->follow;
    infer_fetch_from(&w->ahead, last->first + last->count);
    if (w->thread != 0) {
        infer_team_barrier(d->team, run_small_stages, fetch_meanwhile, w);
        return 0;
    }
    if (d->batch->cancel && __atomic_load_n(d->batch->cancel, __ATOMIC_RELAXED))
        atomic_store_explicit(&d->abandon, w->stage + 1, memory_order_relaxed);
    int64_t now = clock_ns();
    add_time(d, g, now - since);
    infer_team_barrier(d->team, run_small_stages, fetch_meanwhile, w);
    since = clock_ns();
    d->wait_ns += since - now - w->followed_ns;
    return since;
}

static void walk(void *device, int thread)
{
    struct device *d = device;
    struct way w = {.device = d, .thread = thread};
    int64_t since = thread == 0 ? clock_ns() : 0;
    w.end = d->batch->part == INFER_PART_MODEL ? d->feed_stage : d->batch->part == INFER_PART_FEED ? d->predict_stage : d->stage_count;
    infer_fetch_start(&w.ahead, d, thread, w.end < d->stage_count ? d->stages[w.end].first : d->step_count);
    for (w.stage = d->batch->part == INFER_PART_PREDICT ? d->feed_stage : 0; w.stage < w.end; w.stage += 1 + w.follow) {
        since = run_stage(&w, since);
        // A thread that is late to look must not take the end after a later stage for the end after this one: the first would then
        // wait for it at a barrier that it never reaches.
        int last = atomic_load_explicit(&d->abandon, memory_order_relaxed);
        if (last != 0 && last <= w.stage + 1)
            return;
    }
}

// The tensors that a part's run returns.
static struct infer_result results(const struct device *d)
{
    bool predicts = d->batch->part == INFER_PART_PREDICT;
    int32_t logits = predicts ? d->plan.predict_logits : d->plan.logits, hidden = predicts ? d->plan.predict_hidden : d->plan.hidden;
    return (struct infer_result){logits >= 0 ? activation(d, logits, 0) : NULL, hidden >= 0 ? activation(d, hidden, 0) : NULL, NULL, 0};
}

int infer_cpu_run(void *device, const struct infer_batch *batch, struct infer_result *result)
{
    struct device *d = device;
    d->batch = batch;
    atomic_store(&d->abandon, 0);
    if (batch->rows <= 0 || batch->rows > d->plan.max_rows || batch->wanted_count > d->plan.max_wanted) {
        snprintf(d->error, sizeof d->error, "batch of %d rows, %d wanted; the plan allows %d and %d", batch->rows, batch->wanted_count, d->plan.max_rows, d->plan.max_wanted);
        return INFER_ERR_INVALID;
    }
    memset(d->counters, 0, (size_t)d->threads * (size_t)d->counter_stride * sizeof *d->counters); // the team's start publishes it
    for (int size = 0; size < TILE_SIZES; size++)
        if (d->tiles_used & 1u << size)
            cut_tiles(d, size);
    if (d->segments.first)
        infer_cut_segments(d);
    d->active = infer_pace_threads(&d->pace, batch->rows);
    d->wait_ns = 0;
    int64_t begin = clock_ns();
    infer_team_spare(d->team, batch->wanted_count > 1); // they are sampled on the other cores
    infer_team_run(d->team, d->active, walk, d);
    int64_t end = clock_ns();
    if (batch->part != INFER_PART_PREDICT) // whose time says nothing about a step's
        infer_pace_report(&d->pace, batch->rows, end - begin, d->wait_ns, end);
    if (atomic_load(&d->abandon))
        return INFER_ERR_CANCELLED;
    *result = results(d);
    return INFER_OK;
}
