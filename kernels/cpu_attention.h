// cpu_attention.h - attention over cache pages, included by variant files before cpu_rows.h.
//
// The definition, which fixes every rounding: positions are taken in blocks of 64 (by absolute position). In a block, the
// score of a position is one chain of fused multiply-adds along the head; the block's partial result is its highest score
// m, the sum s of e^(score - m) in 16 lanes and the fixed tree, and values summed position by position. Blocks merge left
// to right inside spans of 1,024 positions, spans left to right, the sink last. So a row's result depends on its position
// and on what it sees, never on how rows, heads or positions were divided among jobs.

#include "cpu_math.h"

#define BLOCK 64
#define SPAN 1024

// A partial softmax: s and values are relative to m; values lie beside it.
struct partial {
    float m, s;
};

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
        const uint8_t *page = job->cache + (int64_t)page_number * l->page_bytes;
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

// Scores of Q queries against a block's keys: one chain along the head for each position.
#define SCORES(NAME, Q)                                                                            \
    static void NAME(int k_dim, const float *const *q, const float *keys, float *scores)           \
    {                                                                                              \
        for (int part = 0; part < BLOCK; part += 32) {                                             \
            v16 sum[Q][2];                                                                         \
            for (int i = 0; i < Q; i++)                                                            \
                sum[i][0] = sum[i][1] = v_set1(0);                                                 \
            for (int d = 0; d < k_dim; d++) {                                                      \
                v16 a = v_load(keys + d * BLOCK + part), b = v_load(keys + d * BLOCK + part + 16); \
                for (int i = 0; i < Q; i++) {                                                      \
                    v16 x = v_set1(q[i][d]);                                                       \
                    sum[i][0] = v_fma(x, a, sum[i][0]);                                            \
                    sum[i][1] = v_fma(x, b, sum[i][1]);                                            \
                }                                                                                  \
            }                                                                                      \
            for (int i = 0; i < Q; i++) {                                                          \
                v_store(scores + i * BLOCK + part, sum[i][0]);                                     \
                v_store(scores + i * BLOCK + part + 16, sum[i][1]);                                \
            }                                                                                      \
        }                                                                                          \
    }
SCORES(scores_1, 1)
SCORES(scores_4, 4)

// Values of Q queries: positions from..to in order; weights outside a query's own range are zero and add nothing.
#define VALUES(NAME, Q)                                                                                    \
    static void NAME(int v_pad, int from, int to, const float *p, const float *values, float *const *out) \
    {                                                                                                      \
        for (int part = 0; part < v_pad; part += 16) {                                                     \
            v16 sum[Q];                                                                                    \
            for (int i = 0; i < Q; i++)                                                                    \
                sum[i] = v_set1(0);                                                                        \
            for (int j = from; j < to; j++) {                                                              \
                v16 v = v_load(values + j * v_pad + part);                                                 \
                for (int i = 0; i < Q; i++)                                                                \
                    sum[i] = v_fma(v_set1(p[i * BLOCK + j]), v, sum[i]);                                   \
            }                                                                                              \
            for (int i = 0; i < Q; i++)                                                                    \
                v_store(out[i] + part, sum[i]);                                                            \
        }                                                                                                  \
    }
VALUES(values_1, 1)
VALUES(values_4, 4)

// Turns a query's raw scores of a block into weights e^(score - m); those outside from..to become zero.
static struct partial weigh(const struct attention_job *job, float *scores, int from, int to, float slope, int64_t distance)
{
    float lanes[BLOCK];
    struct partial result;
    v16 highest = v_set1(-INFINITY), sum = v_set1(0);
    for (int i = 0; i < BLOCK; i += 16)
        v_store(lanes + i, v_mul(v_load(scores + i), v_set1(job->scale)));
    if (job->softcap > 0)
        for (int i = 0; i < BLOCK; i += 16)
            v_store(lanes + i, v_mul(v_set1(job->softcap), v_tanh(v_div(v_load(lanes + i), v_set1(job->softcap)))));
    if (slope != 0) // distance: own position minus the block's first
        for (int j = from; j < to; j++)
            lanes[j] = lanes[j] - slope * fabsf((float)(distance - j));
    for (int j = 0; j < from; j++)
        lanes[j] = -INFINITY;
    for (int j = to; j < BLOCK; j++)
        lanes[j] = -INFINITY;
    for (int i = 0; i < BLOCK; i += 16)
        highest = v_max(highest, v_load(lanes + i));
    result.m = v_highest(highest);
    for (int i = 0; i < BLOCK; i += 16) {
        v16 e = v_exp(v_sub(v_load(lanes + i), v_set1(result.m)));
        v_store(scores + i, e);
        sum = v_add(sum, e);
    }
    result.s = v_sum(sum);
    return result;
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
    int64_t from = job->window == 0 ? 0 : job->end > 0 ? own - job->window / 2 : own - job->window + 1;
    return from > 0 ? from : 0;
}

static inline int64_t seen_to(const struct attention_job *job, int64_t own)
{
    if (job->end == 0)
        return own + 1;
    return job->window > 0 && own + job->window / 2 + 1 < job->end ? own + job->window / 2 + 1 : job->end;
}

static void rows_attention(const struct attention_job *job)
{
    const struct infer_cache_layer *l = job->layer;
    int v_pad = padded(l->v_width), queries = job->rows * job->heads;
    float *keys = job->scratch, *values = keys + (int64_t)l->k_dim * BLOCK;
    float *scores = values + (int64_t)v_pad * BLOCK;
    float *block_values = scores + (int64_t)queries * BLOCK; // [queries][v_pad], as the two below
    float *span_values = block_values + (int64_t)queries * v_pad, *total_values = span_values + (int64_t)queries * v_pad;
    struct partial *span = (struct partial *)(total_values + (int64_t)queries * v_pad), *total = span + queries;
    for (int i = 0; i < queries; i++)
        span[i] = total[i] = (struct partial){0, 0};

    int64_t first = seen_from(job, job->positions[0]), last = seen_to(job, job->positions[job->rows - 1]) - 1;
    for (int64_t block = first / BLOCK; block <= last / BLOCK; block++) {
        int end = last - block * BLOCK + 1 < BLOCK ? (int)(last - block * BLOCK + 1) : BLOCK;
        load_block(job, block, end, keys, values);
        for (int i = 0; i < queries;) {
            int group = queries - i >= 4 ? 4 : 1, low = BLOCK, high = 0;
            const float *q[4];
            float *out[4];
            struct partial part[4];
            bool seen[4];
            for (int j = 0; j < group; j++) {
                q[j] = job->q + (i + j) / job->heads * job->q_stride + (int64_t)((i + j) % job->heads) * l->k_dim;
                out[j] = block_values + (int64_t)(i + j) * v_pad;
            }
            float *s = scores + (int64_t)i * BLOCK;
            (group == 4 ? scores_4 : scores_1)(l->k_dim, q, keys, s);
            for (int j = 0; j < group; j++) {
                int64_t own = job->positions[(i + j) / job->heads];
                int64_t from = seen_from(job, own) - block * BLOCK, to = seen_to(job, own) - block * BLOCK;
                from = from < 0 ? 0 : from;
                to = to > BLOCK ? BLOCK : to;
                seen[j] = from < to;
                if (!seen[j]) {
                    memset(s + j * BLOCK, 0, BLOCK * 4);
                    continue;
                }
                float slope = alibi_slope(job->alibi, job->first_head + (i + j) % job->heads, job->total_heads);
                part[j] = weigh(job, s + j * BLOCK, (int)from, (int)to, slope, own - block * BLOCK);
                low = from < low ? (int)from : low;
                high = to > high ? (int)to : high;
            }
            if (high > low)
                (group == 4 ? values_4 : values_1)(v_pad, low, high, s, values, out);
            for (int j = 0; j < group; j++)
                if (seen[j])
                    merge(&span[i + j], span_values + (int64_t)(i + j) * v_pad, part[j], out[j], v_pad);
            i += group;
        }
        if ((block + 1) * BLOCK % SPAN == 0 || block == last / BLOCK)
            for (int i = 0; i < queries; i++)
                if (span[i].s != 0) {
                    merge(&total[i], total_values + (int64_t)i * v_pad, span[i], span_values + (int64_t)i * v_pad, v_pad);
                    span[i] = (struct partial){0, 0};
                }
    }
    for (int i = 0; i < queries; i++)
        finish_query(job, total[i], total_values + (int64_t)i * v_pad, i % job->heads,
                     job->out + i / job->heads * job->out_stride + (int64_t)(i % job->heads) * l->v_width);
}
