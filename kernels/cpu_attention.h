// cpu_attention.h - attention over cache pages, included by variant files before cpu_rows.h.
//
// The definition, which fixes every rounding: queries are multiplied by the scale first. Positions are taken in blocks of 64 (by
// absolute position), blocks in spans of 256. A position's score is one chain of fused multiply-adds along the head. Inside
// a span a row keeps its highest score m so far, sums of e^(score - m) in 16 lanes, and values in one chain of fused
// multiply-adds from position to position; a block that raises m multiplies sums and values by e^(old m - m) first. Lanes add up
// in the fixed tree, spans merge left to right, the sink last. So a row's result depends on its position and on what it sees,
// never on how rows, heads or positions were divided among jobs.

#include "cpu_math.h"

#define BLOCK 64
#define SPAN INFER_ATTENTION_SPAN

#ifndef ATTENTION_PASS
#define ATTENTION_PASS 1 // vectors beside each other that registers hold for 4 queries
#endif
#define ALWAYS static inline __attribute__((always_inline))

// A partial softmax: s and values are relative to m; values lie beside it.
struct partial {
    float m, s;
};

// A span's softmax so far. Nothing seen: m is -infinity.
struct running {
    float m, sums[16];
};

// How a block's keys and values lie: unpacked as [k_dim][64] and [64][v_pad], or two pages' [k_dim][32] and [32][v_dim], of halves
// or of bytes with scales.
enum block_form { BLOCK_UNPACKED, BLOCK_F16, BLOCK_Q8 };
struct block {
    enum block_form form;
    const float *keys, *values;
    const uint8_t *k[2], *v[2];
    const uint8_t *next_k[2], *next_v[2]; // the block after, fetched while this one is computed
    float *k_scales, *v_scales;           // of bytes: [k_blocks][64] and [64][v_blocks]
    int v_stride, v_blocks;
};

// The parts of a page of bytes: [heads][k_dim][32], scales [heads][k_blocks][32], [heads][32][v_dim], scales [heads][32][v_blocks].
struct q8_page {
    int8_t *k, *v;
    uint16_t *k_scale, *v_scale;
    int k_blocks, v_blocks; // of a head
};

static struct q8_page q8_page(const struct infer_cache_layer *l, uint8_t *page)
{
    struct q8_page p = {.k_blocks = (l->k_dim + 31) / 32, .v_blocks = (l->v_dim + 31) / 32};
    int64_t tokens = (int64_t)l->heads * INFER_PAGE_TOKENS;
    p.k = (int8_t *)page;
    p.k_scale = (uint16_t *)(page + tokens * l->k_dim);
    p.v = (int8_t *)(p.k_scale + tokens * p.k_blocks);
    p.v_scale = (uint16_t *)(p.v + tokens * l->v_dim);
    return p;
}

// Adds partial b to a: both are rescaled to the higher maximum. a.s == 0 means that a is empty.
static void merge(struct partial *a, float *av, struct partial b, const float *bv, int width)
{
    if (a->s == 0) {
        *a = b;
        memcpy(av, bv, (size_t)width * 4);
        return;
    }
    float m = a->m > b.m ? a->m : b.m, factors[16];
    v16 shift = v_set1(0);
    float parts[16] = {a->m - m, b.m - m};
    shift = v_exp(v_load(parts));
    v_store(factors, shift);
    v16 fa = v_set1(factors[0]), fb = v_set1(factors[1]);
    a->m = m;
    a->s = fmaf(a->s, factors[0], b.s * factors[1]);
    for (int i = 0; i < width; i += 16)
        v_store(av + i, v_fma(v_load(av + i), fa, v_mul(v_load(bv + i), fb)));
}

static inline int padded(int width) { return (width + 15) / 16 * 16; }

// load_block for one page of bytes.
static void load_bytes(const struct attention_job *job, uint8_t *page, int half, int end, float *keys, float *values)
{
    const struct infer_cache_layer *l = job->layer;
    struct q8_page p = q8_page(l, page);
    int v_pad = padded(l->v_width);
    const int8_t *k = p.k + (int64_t)job->kv_head * l->k_dim * INFER_PAGE_TOKENS, *v = p.v + (int64_t)job->kv_head * INFER_PAGE_TOKENS * l->v_dim;
    const uint16_t *scale = p.k_scale + (int64_t)job->kv_head * p.k_blocks * INFER_PAGE_TOKENS;
    for (int d = 0; d < l->k_dim; d++)
        for (int j = 0; j < INFER_PAGE_TOKENS; j += 16)
            v_store(keys + d * BLOCK + half * 32 + j, v_mul(v_load_i8(k + d * INFER_PAGE_TOKENS + j), v_load_f16(scale + d / 32 * INFER_PAGE_TOKENS + j)));
    scale = p.v_scale + (int64_t)job->kv_head * INFER_PAGE_TOKENS * p.v_blocks;
    for (int j = 0; j < 32 && half * 32 + j < end; j++)
        for (int i = 0; i < l->v_dim; i += 16) {
            int n = l->v_dim - i < 16 ? l->v_dim - i : 16;
            int8_t q[16] = {0};
            memcpy(q, v + (int64_t)j * l->v_dim + i, (size_t)n);
            v_store(values + (half * 32 + j) * v_pad + i, v_mul(v_load_i8(q), v_set1(infer_f16_to_f32(scale[j * p.v_blocks + i / 32]))));
        }
}

// Loads a block's keys as [k_dim][64] and values as [64][v_pad], positions up to end (in the block); the rest are zeros.
static void load_block(const struct attention_job *job, int64_t block, int end, float *keys, float *values)
{
    const struct infer_cache_layer *l = job->layer;
    int v_pad = padded(l->v_width);
    for (int half = 0; half < 2; half++) {
        int32_t page_number = half * INFER_PAGE_TOKENS < end ? job->pages[block * 2 + half] : -1;
        if (page_number < 0) {
            for (int d = 0; d < l->k_dim; d++) {
                v_store(keys + d * BLOCK + half * 32, v_set1(0));
                v_store(keys + d * BLOCK + half * 32 + 16, v_set1(0));
            }
            continue;
        }
        const uint8_t *page = job->cache + (int64_t)page_number * l->page_stride;
        if (l->dtype == INFER_DTYPE_Q8_0) {
            load_bytes(job, (uint8_t *)page, half, end, keys, values);
            continue;
        }
        int64_t k_at = (int64_t)job->kv_head * l->k_dim * INFER_PAGE_TOKENS;
        for (int d = 0; d < l->k_dim; d++) {
            float *to = keys + d * BLOCK + half * 32;
            int64_t from = k_at + (int64_t)d * INFER_PAGE_TOKENS;
            bool f16 = l->dtype == INFER_DTYPE_F16;
            v_store(to, f16 ? v_load_f16((const uint16_t *)page + from) : v_load((const float *)page + from));
            v_store(to + 16, f16 ? v_load_f16((const uint16_t *)page + from + 16) : v_load((const float *)page + from + 16));
        }
        if (l->v_dim == 0)
            continue;
        int64_t v_at = (int64_t)l->heads * l->k_dim * INFER_PAGE_TOKENS + (int64_t)job->kv_head * INFER_PAGE_TOKENS * l->v_dim;
        for (int j = 0; j < 32 && half * 32 + j < end; j++) {
            float *to = values + (half * 32 + j) * v_pad;
            for (int i = 0; i < l->v_dim; i += 16) {
                int n = l->v_dim - i < 16 ? l->v_dim - i : 16;
                int64_t from = v_at + (int64_t)j * l->v_dim + i;
                if (l->dtype == INFER_DTYPE_F16) {
                    uint16_t h[16] = {0};
                    memcpy(h, (const uint16_t *)page + from, (size_t)n * 2);
                    v_store(to + i, v_load_f16(n == 16 ? (const uint16_t *)page + from : h));
                } else {
                    v_store(to + i, v_load_n((const float *)page + from, n));
                }
            }
        }
    }
    if (l->v_dim == 0) // values are a part of the keys: transpose it
        for (int j = 0; j < end; j++)
            for (int i = 0; i < v_pad; i++)
                values[j * v_pad + i] = i < l->v_width ? keys[(job->v_first + i) * BLOCK + j] : 0;
}

// Scores of Q queries, one after the other at q, against a block's keys: one chain along the head for each position.
ALWAYS void scores_of(int k_dim, const struct block *b, const float *q, float *scores, const int Q, const enum block_form form)
{
    for (int part = 0; part < BLOCK / 16; part += ATTENTION_PASS) {
        v16 sum[4][ATTENTION_PASS];
        for (int i = 0; i < Q; i++)
            for (int p = 0; p < ATTENTION_PASS; p++)
                sum[i][p] = v_set1(0);
        for (int d = 0; d < k_dim; d++) {
            v16 k[ATTENTION_PASS];
            for (int p = 0; p < ATTENTION_PASS; p++) {
                int at = part + p;
                if (form == BLOCK_UNPACKED)
                    k[p] = v_load(b->keys + d * BLOCK + at * 16);
                else if (form == BLOCK_F16)
                    k[p] = v_load_f16((const uint16_t *)b->k[at / 2] + d * 32 + at % 2 * 16);
                else
                    k[p] = v_mul(v_load_i8((const int8_t *)b->k[at / 2] + d * 32 + at % 2 * 16), v_load(b->k_scales + d / 32 * BLOCK + at * 16));
            }
            if (form != BLOCK_UNPACKED && part == 0) {
                const int line = form == BLOCK_F16 ? 64 : 32;
                __builtin_prefetch(b->next_k[0] + d * line);
                __builtin_prefetch(b->next_k[1] + d * line);
            }
            for (int i = 0; i < Q; i++) {
                v16 x = v_set1(q[i * k_dim + d]);
                for (int p = 0; p < ATTENTION_PASS; p++)
                    sum[i][p] = v_fma(x, k[p], sum[i][p]);
            }
        }
        for (int i = 0; i < Q; i++)
            for (int p = 0; p < ATTENTION_PASS; p++)
                v_store(scores + i * BLOCK + (part + p) * 16, sum[i][p]);
    }
}

// Adds positions from..to, in order, to P vectors of Q queries' values, from vector part on. Weights outside of a query's own range
// are zero and add nothing.
ALWAYS void values_pass(int v_pad, int part, int from, int to, const struct block *b, const float *weights, float *out, const int Q, const int P, const enum block_form form)
{
    v16 sum[4][ATTENTION_PASS];
    for (int i = 0; i < Q; i++)
        for (int p = 0; p < P; p++)
            sum[i][p] = v_load(out + i * v_pad + (part + p) * 16);
    for (int half = 0; half < 2; half++) {
        int last = to < half * 32 + 32 ? to : half * 32 + 32;
        for (int j = from > half * 32 ? from : half * 32; j < last; j++) {
            v16 v[ATTENTION_PASS];
            for (int p = 0; p < P; p++) {
                int64_t at = (int64_t)(j - half * 32) * b->v_stride + (part + p) * 16;
                if (form == BLOCK_UNPACKED)
                    v[p] = v_load(b->values + j * v_pad + (part + p) * 16);
                else if (form == BLOCK_F16)
                    v[p] = v_load_f16((const uint16_t *)b->v[half] + at);
                else
                    v[p] = v_mul(v_load_i8((const int8_t *)b->v[half] + at), v_set1(b->v_scales[j * b->v_blocks + (part + p) / 2]));
                if (form == BLOCK_F16 && p % 2 == 0)
                    __builtin_prefetch(b->next_v[half] + 2 * at);
                if (form == BLOCK_Q8 && p % 4 == 0)
                    __builtin_prefetch(b->next_v[half] + at);
            }
            for (int i = 0; i < Q; i++) {
                v16 x = v_set1(weights[i * BLOCK + j]);
                for (int p = 0; p < P; p++)
                    sum[i][p] = v_fma(x, v[p], sum[i][p]);
            }
        }
    }
    for (int i = 0; i < Q; i++)
        for (int p = 0; p < P; p++)
            v_store(out + i * v_pad + (part + p) * 16, sum[i][p]);
}

ALWAYS void values_of(int v_pad, int from, int to, const struct block *b, const float *weights, float *out, const int Q, const enum block_form form)
{
    int part = 0;
    for (; part + ATTENTION_PASS <= v_pad / 16; part += ATTENTION_PASS)
        values_pass(v_pad, part, from, to, b, weights, out, Q, ATTENTION_PASS, form);
    for (; part < v_pad / 16; part++)
        values_pass(v_pad, part, from, to, b, weights, out, Q, 1, form);
}

#define ATTENTION_FORM(Q, NAME, FORM)                                                                                                        \
    static void scores_##Q##_##NAME(int k_dim, const struct block *b, const float *q, float *scores) { scores_of(k_dim, b, q, scores, Q, FORM); } \
    static void values_##Q##_##NAME(int v_pad, int from, int to, const struct block *b, const float *w, float *out)                          \
    {                                                                                                                                        \
        values_of(v_pad, from, to, b, w, out, Q, FORM);                                                                                      \
    }
#define ATTENTION_SIZE(Q) ATTENTION_FORM(Q, f32, BLOCK_UNPACKED) ATTENTION_FORM(Q, f16, BLOCK_F16) ATTENTION_FORM(Q, q8, BLOCK_Q8)
ATTENTION_SIZE(1)
ATTENTION_SIZE(2)
ATTENTION_SIZE(3)
ATTENTION_SIZE(4)
#define ATTENTION_ROW(KIND, Q) {KIND##_##Q##_f32, KIND##_##Q##_f16, KIND##_##Q##_q8}
static void (*const scores_table[4][3])(int, const struct block *, const float *, float *) = {
    ATTENTION_ROW(scores, 1), ATTENTION_ROW(scores, 2), ATTENTION_ROW(scores, 3), ATTENTION_ROW(scores, 4)};
static void (*const values_table[4][3])(int, int, int, const struct block *, const float *, float *) = {
    ATTENTION_ROW(values, 1), ATTENTION_ROW(values, 2), ATTENTION_ROW(values, 3), ATTENTION_ROW(values, 4)};

// Caps, biases and masks a query's raw scores of a block: positions outside of from..to become -infinity.
static void adjust(const struct attention_job *job, float *scores, int from, int to, float slope, const float *bias, int64_t distance)
{
    if (job->softcap > 0)
        for (int i = 0; i < BLOCK; i += 16)
            v_store(scores + i, v_mul(v_set1(job->softcap), v_tanh(v_div(v_load(scores + i), v_set1(job->softcap)))));
    if (slope != 0) // distance: own position minus the block's first
        for (int j = from; j < to; j++)
            scores[j] = scores[j] - slope * fabsf((float)(distance - j));
    if (bias)
        for (int j = from; j < to; j++) {
            int64_t reach = job->bias_reach, apart = distance - j;
            scores[j] = scores[j] + bias[reach + (apart < -reach ? -reach : apart > reach ? reach : apart)];
        }
    for (int j = 0; j < from; j++)
        scores[j] = -INFINITY;
    for (int j = to; j < BLOCK; j++)
        scores[j] = -INFINITY;
}

// Turns a block's scores into weights e^(score - m) and adds them to the sums; a higher m rescales sums and values.
static void weigh(float *scores, struct running *r, float *values, int v_pad)
{
    v16 x[BLOCK / 16], sum = v_load(r->sums);
    for (int i = 0; i < BLOCK / 16; i++)
        x[i] = v_load(scores + 16 * i);
    float m = v_highest(v_max(v_max(x[0], x[1]), v_max(x[2], x[3])));
    if (!(m <= r->m)) {
        v16 factor = v_exp(v_set1(r->m - m));
        sum = v_mul(sum, factor);
        for (int i = 0; i < v_pad; i += 16)
            v_store(values + i, v_mul(v_load(values + i), factor));
        r->m = m;
    }
    for (int i = 0; i < BLOCK / 16; i++) {
        x[i] = v_exp(v_sub(x[i], v_set1(r->m)));
        v_store(scores + 16 * i, x[i]);
        sum = v_add(sum, x[i]);
    }
    v_store(r->sums, sum);
}

// The slope of a head's position bias: 2^(-max*(h+1)/n), n the power of two at or below the heads, and odd multiples of
// half the step for the heads past n (Press et al., "Train Short, Test Long", arXiv 2108.12409).
static float alibi_slope(float most, int head, int heads)
{
    if (most <= 0)
        return 0;
    int n = 1;
    while (n * 2 <= heads)
        n *= 2;
    double exponent = head < n ? -(double)most * (head + 1) / n : -(double)most * (2 * (head - n) + 1) / (2.0 * n);
    return (float)exp2(exponent);
}

static void finish_query(const struct attention_job *job, struct partial total, float *values, int head, float *out)
{
    int width = job->layer->v_width;
    if (job->sinks) {
        float m = total.m > job->sinks[head] ? total.m : job->sinks[head];
        float parts[16] = {total.m - m, job->sinks[head] - m}, factors[16];
        v_store(factors, v_exp(v_load(parts)));
        total.s = fmaf(total.s, factors[0], factors[1]);
        for (int i = 0; i < width; i += 16)
            v_store(values + i, v_mul(v_load(values + i), v_set1(factors[0])));
    }
    v16 sum = v_set1(total.s);
    for (int i = 0; i < width; i += 16)
        v_store_n(out + i, v_div(v_load(values + i), sum), width - i < 16 ? width - i : 16);
}

// The positions that a row at position own sees: from seen_from to before seen_to.
static inline int64_t seen_from(const struct attention_job *job, int64_t own)
{
    int64_t from = job->window == 0 ? 0 : job->chunks ? own - own % job->window : job->end > 0 ? own - job->window / 2 : own - job->window + 1;
    return from > 0 ? from : 0;
}

static inline int64_t seen_to(const struct attention_job *job, int64_t own)
{
    if (job->end == 0)
        return own + 1;
    return job->window > 0 && own + job->window / 2 + 1 < job->end ? own + job->window / 2 + 1 : job->end;
}

// What an attention job works in.
struct attention_work {
    float *q;             // [queries][k_dim], scaled
    float *keys, *values; // an unpacked block
    float *scores;        // [4][64]
    float *span_values, *total_values; // [queries][v_pad]
    struct running *span; // [queries]
    struct partial *total;
};

static struct attention_work attention_work(const struct attention_job *job, int queries, int v_pad)
{
    const struct infer_cache_layer *l = job->layer;
    struct attention_work w = {.q = job->scratch};
    w.keys = w.q + (int64_t)queries * l->k_dim;
    w.values = w.keys + (int64_t)l->k_dim * BLOCK;
    w.scores = w.values + (int64_t)v_pad * BLOCK;
    w.span_values = w.scores + 4 * BLOCK;
    w.total_values = w.span_values + (int64_t)queries * v_pad;
    w.span = (struct running *)(w.total_values + (int64_t)queries * v_pad);
    w.total = (struct partial *)(w.span + queries);
    for (int i = 0; i < queries; i++) {
        const float *q = job->q + i / job->heads * job->q_stride + (int64_t)(i % job->heads) * l->k_dim;
        for (int d = 0; d < l->k_dim; d += 16) {
            int n = l->k_dim - d < 16 ? l->k_dim - d : 16;
            v_store_n(w.q + (int64_t)i * l->k_dim + d, v_mul(v_load_n(q + d, n), v_set1(job->scale)), n);
        }
        w.total[i] = (struct partial){0, 0};
    }
    return w;
}

static void start_span(struct attention_work *w, int queries, int v_pad)
{
    memset(w->span_values, 0, (size_t)queries * (size_t)v_pad * 4);
    for (int i = 0; i < queries; i++)
        w->span[i] = (struct running){.m = -INFINITY};
}

static void end_span(struct attention_work *w, int queries, int v_pad)
{
    for (int i = 0; i < queries; i++)
        if (w->span[i].m != -INFINITY) {
            struct partial p = {w->span[i].m, v_sum(v_load(w->span[i].sums))};
            merge(&w->total[i], w->total_values + (int64_t)i * v_pad, p, w->span_values + (int64_t)i * v_pad, v_pad);
        }
}

// The scales of one half of a block of bytes, as floats.
static void load_scales(const struct attention_job *job, const struct q8_page *p, int half, struct block *b)
{
    const uint16_t *k = p->k_scale + (int64_t)job->kv_head * p->k_blocks * INFER_PAGE_TOKENS, *v = p->v_scale + (int64_t)job->kv_head * INFER_PAGE_TOKENS * p->v_blocks;
    for (int i = 0; i < p->k_blocks; i++)
        for (int j = 0; j < INFER_PAGE_TOKENS; j += 16)
            v_store(b->k_scales + i * BLOCK + half * 32 + j, v_load_f16(k + i * INFER_PAGE_TOKENS + j));
    for (int i = 0; i < INFER_PAGE_TOKENS * p->v_blocks; i += 16)
        v_store(b->v_scales + half * 32 * p->v_blocks + i, v_load_f16(v + i));
}

// What a job's head reads of a block's pages. What nobody sees is read from the other page, and masked; false where both are missing.
static bool find_pages(const struct attention_job *job, int64_t block, int64_t last, struct block *b, bool next)
{
    const struct infer_cache_layer *l = job->layer;
    int32_t page[2];
    for (int half = 0; half < 2; half++)
        page[half] = (block * 2 + half) * INFER_PAGE_TOKENS <= last ? job->pages[block * 2 + half] : -1;
    for (int half = 0; half < 2; half++) {
        int64_t from = page[half] >= 0 ? page[half] : page[1 - half], k_at = (int64_t)job->kv_head * l->k_dim * INFER_PAGE_TOKENS;
        if (from < 0)
            return false;
        uint8_t *data = (uint8_t *)job->cache + from * l->page_stride, *k, *v;
        if (b->form == BLOCK_F16) {
            k = data + 2 * k_at;
            v = data + 2 * ((int64_t)l->heads * l->k_dim + (int64_t)job->kv_head * l->v_dim) * INFER_PAGE_TOKENS;
        } else {
            struct q8_page p = q8_page(l, data);
            k = (uint8_t *)p.k + k_at;
            v = (uint8_t *)p.v + (int64_t)job->kv_head * l->v_dim * INFER_PAGE_TOKENS;
            if (!next)
                load_scales(job, &p, half, b);
        }
        (next ? b->next_k : b->k)[half] = k;
        (next ? b->next_v : b->v)[half] = v;
    }
    return true;
}

// Up to 4 queries, from number i on, against a block.
static void attend_block(const struct attention_job *job, struct attention_work *w, const struct block *b, int64_t first_position, int i, int count)
{
    const struct infer_cache_layer *l = job->layer;
    int v_pad = padded(l->v_width), low = BLOCK, high = 0;
    scores_table[count - 1][b->form](l->k_dim, b, w->q + (int64_t)i * l->k_dim, w->scores);
    for (int j = 0; j < count; j++) {
        int64_t own = job->positions[(i + j) / job->heads];
        int64_t from = seen_from(job, own) - first_position, to = seen_to(job, own) - first_position;
        from = from < 0 ? 0 : from;
        to = to > BLOCK ? BLOCK : to;
        float *scores = w->scores + j * BLOCK;
        if (from >= to) {
            memset(scores, 0, BLOCK * 4);
            continue;
        }
        int head = job->first_head + (i + j) % job->heads;
        float slope = alibi_slope(job->alibi, head, job->total_heads);
        const float *bias = job->bias ? job->bias + (int64_t)head * (2 * job->bias_reach + 1) : NULL;
        if (job->softcap > 0 || slope != 0 || bias || to - from < BLOCK)
            adjust(job, scores, (int)from, (int)to, slope, bias, own - first_position);
        weigh(scores, &w->span[i + j], w->span_values + (int64_t)(i + j) * v_pad, v_pad);
        low = from < low ? (int)from : low;
        high = to > high ? (int)to : high;
    }
    if (high > low)
        values_table[count - 1][b->form](v_pad, low, high, b, w->scores, w->span_values + (int64_t)i * v_pad);
}

// Up to so many queries read pages of halves or bytes as they lie; for more, unpacking them once is cheaper.
#define DIRECT_QUERIES 8

static void rows_attention(const struct attention_job *job)
{
    const struct infer_cache_layer *l = job->layer;
    int v_pad = padded(l->v_width), queries = job->rows * job->heads;
    struct attention_work w = attention_work(job, queries, v_pad);
    struct block b = {.keys = w.keys, .values = w.values, .k_scales = w.keys, .v_scales = w.values, .v_stride = l->v_dim, .v_blocks = (l->v_dim + 31) / 32};
    int64_t first = seen_from(job, job->positions[0]), last = seen_to(job, job->positions[job->rows - 1]) - 1;
    if (job->partials) {
        first = first > job->span * SPAN ? first : job->span * SPAN;
        last = last < (job->span + 1) * SPAN - 1 ? last : (job->span + 1) * SPAN - 1;
    }
    if (queries <= DIRECT_QUERIES && l->dtype != INFER_DTYPE_F32 && l->v_dim > 0 && l->v_dim % 16 == 0)
        b.form = l->dtype == INFER_DTYPE_F16 ? BLOCK_F16 : BLOCK_Q8;
    start_span(&w, queries, v_pad);
    for (int64_t block = first / BLOCK; first <= last && block <= last / BLOCK; block++) {
        if (b.form != BLOCK_UNPACKED) {
            if (!find_pages(job, block, last, &b, false))
                continue;
            if (block == last / BLOCK || !find_pages(job, block + 1, last, &b, true))
                memcpy(b.next_k, b.k, sizeof b.k), memcpy(b.next_v, b.v, sizeof b.v);
        } else {
            load_block(job, block, last - block * BLOCK + 1 < BLOCK ? (int)(last - block * BLOCK + 1) : BLOCK, w.keys, w.values);
        }
        for (int i = 0; i < queries; i += 4)
            attend_block(job, &w, &b, block * BLOCK, i, queries - i < 4 ? queries - i : 4);
        if ((block + 1) * BLOCK % SPAN == 0 || block == last / BLOCK) {
            end_span(&w, queries, v_pad);
            start_span(&w, queries, v_pad);
        }
    }
    if (job->partials) {
        memcpy(job->partials, w.total, (size_t)queries * sizeof *w.total);
        memcpy(job->partials + 2 * queries, w.total_values, (size_t)queries * (size_t)v_pad * 4);
        return;
    }
    for (int i = 0; i < queries; i++)
        finish_query(job, w.total[i], w.total_values + (int64_t)i * v_pad, i % job->heads,
                     job->out + i / job->heads * job->out_stride + (int64_t)(i % job->heads) * l->v_width);
}

// Merges what a job's spans gave, left to right.
static void rows_attention_spans(const struct attention_job *job, const float *partials, int64_t spans)
{
    int v_pad = padded(job->layer->v_width), queries = job->rows * job->heads;
    int64_t stride = infer_attention_partials(job->layer, queries);
    for (int i = 0; i < queries; i++) {
        struct partial total = {0, 0};
        for (int64_t span = 0; span < spans; span++) {
            const float *p = partials + span * stride;
            struct partial part = {p[2 * i], p[2 * i + 1]};
            if (part.s != 0)
                merge(&total, job->scratch, part, p + 2 * queries + (int64_t)i * v_pad, v_pad);
        }
        finish_query(job, total, job->scratch, i % job->heads, job->out + i / job->heads * job->out_stride + (int64_t)(i % job->heads) * job->layer->v_width);
    }
}
