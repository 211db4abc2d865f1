// attention_tiles.cuh - ATTENTION by matrix units, over caches of halves and bytes.
//
// Queries of a tile's rows, the heads that share a KV head beside each other, are the 16 rows of fragments. A block of 4 warps takes TILES such
// fragments, 4/TILES warps each, which share a page's scores (by positions) and then its values (by columns). Whatever TILES is, an
// element comes from the same instructions in the same order: scores are one chain along the head, 16 elements an instruction; a page of
// 32 positions that raises a row's highest score multiplies sums and values first; weights, as halves, add up to sums and values in one chain
// along positions, 16 an instruction. Positions that a row does not see have weight 0 and leave all of this as it is. So the bits depend
// neither on the other rows of a tile nor on how a sequence was cut into steps.
#ifndef INFER_CUDA_ATTENTION_TILES_CUH
#define INFER_CUDA_ATTENTION_TILES_CUH

#include "attention.cuh"
#include "matrix.cuh"

#define TILE_THREADS 128
#define TILE_PAIRS 8   // of 8 columns of values: what a warp keeps in registers
#define KEY_STRIDE 40  // halves from a page's key element to the next one: 32 positions, and 8 so that 8 rows lie in different banks

// Where a block's arrays lie in shared memory: halves' strides in halves, offsets in bytes.
struct tile_layout {
    int32_t k_pad, q_stride, v_stride, pairs; // pairs: of a warp
    int32_t key_bytes, value_bytes;           // of a stage
    int32_t keys, values, weights, highest, totals, bytes;
};

static __host__ __device__ __forceinline__ struct tile_layout layout_of(const struct cache_view &c, int v_first, int tiles, int stages, bool split)
{
    struct tile_layout l;
    int v_pairs = (c.v_width + 15) / 16, parts = 4 / tiles, key_rows = (c.k_dim + 31) / 32 * 32;
    l.k_pad = key_rows;
    l.q_stride = l.k_pad + 8;
    l.v_stride = v_pairs * 16 + 8;
    l.pairs = (v_pairs + parts - 1) / parts;
    if (c.v_dim == 0 && v_first + v_pairs * 16 > key_rows)
        key_rows = v_first + v_pairs * 16;
    l.key_bytes = key_rows * KEY_STRIDE * 2;
    l.value_bytes = c.v_dim ? PAGE * l.v_stride * 2 : 0;
    l.keys = 16 * tiles * l.q_stride * 2;
    l.values = l.keys + stages * l.key_bytes;
    l.weights = l.values + stages * l.value_bytes;
    l.highest = l.weights + tiles * 16 * KEY_STRIDE * 2;
    l.totals = l.highest + 64 * 4;
    l.bytes = l.totals + (split ? 0 : l.pairs * 8 * TILE_THREADS * 4);
    return l;
}

// What a block works on: queries m0 .. m0 + 16 TILES - 1 of the tile, query m being row first + m / group and head m % group of the KV head.
struct tile_job {
    const int32_t *table;
    int32_t kv_head, m0, queries; // queries: of the tile
    int64_t first;
    struct range seen;   // by any of the queries
    int32_t page, last;  // pages that are attended
};

// What a thread needs of a row of its fragment for the scores.
struct tile_query {
    int32_t own;       // position
    struct range seen; // empty: no such query
    float slope;
};

// A thread's place: its first query (the other one is 8 behind it), the first of its columns of values and its warp's pairs of 8 columns. It is found anew
// where it is needed, for registers' sake.
struct tile_place {
    int32_t query, column, pairs;
};

template <int PARTS> static __device__ __forceinline__ struct tile_place place_of(const struct tile_job &j, const struct tile_layout &l, int v_width)
{
    int warp = (int)threadIdx.x / 32, lane = (int)threadIdx.x % 32, part = warp % PARTS, pairs = (v_width + 15) / 16 - part * l.pairs;
    return {j.m0 + warp / PARTS * 16 + lane / 4, part * l.pairs * 16 + lane % 4 * 2, pairs < 0 ? 0 : pairs < l.pairs ? pairs : l.pairs};
}

// A span's softmax so far, of a thread's rows and columns.
struct tile_state {
    float values[2 * TILE_PAIRS][4];
    float sum[4];
    float highest[2];
};

static __device__ __forceinline__ int64_t row_at(const struct attention_shape &s, const struct tile_job &j, int m) { return j.first + m / s.group; }
static __device__ __forceinline__ int head_at(const struct attention_shape &s, const struct tile_job &j, int m) { return j.kv_head * s.group + m % s.group; }

static __device__ __forceinline__ struct tile_query query_at(const struct step *step, const struct attention_shape &s, const struct tile_job &j, int m)
{
    struct tile_query q = {0, {0, 0}, 0};
    if (m >= j.queries)
        return q;
    q.own = step->positions[row_at(s, j, m)];
    q.seen = seen_by(step, s, row_at(s, j, m));
    q.slope = alibi_slope(s.alibi, head_at(s, j, m), s.heads);
    return q;
}

// A query's element, within what halves hold.
static __device__ __forceinline__ float query_value(float x, float scale) { return smaller_of(65504.0f, larger_of(-65504.0f, x * scale)); }

static __device__ __forceinline__ uint32_t halves_of(float low, float high) { return (uint32_t)float_to_half(low) | (uint32_t)float_to_half(high) << 16; }

// The block's queries, scaled, as halves; missing ones, and what fills up the last 32 elements, are zeros.
static __device__ __forceinline__ void load_queries(uint16_t *to, const struct view &q, const struct cache_view &c, const struct attention_shape &s, const struct tile_job &j, const struct tile_layout &l, int count)
{
    int words = l.k_pad / 2;
    for (int i = (int)threadIdx.x; i < count * words; i += TILE_THREADS) {
        int m = j.m0 + i / words, d = i % words * 2;
        const float *from = row_of(q, j.first + m / s.group) + (int64_t)(j.kv_head * s.group + m % s.group) * c.k_dim;
        float low = m < j.queries && d < c.k_dim ? query_value(from[d], s.scale) : 0.0f, high = m < j.queries && d + 1 < c.k_dim ? query_value(from[d + 1], s.scale) : 0.0f;
        *(uint32_t *)(to + i / words * l.q_stride + d) = halves_of(low, high);
    }
}

// The keys of a head of bytes, as halves.
static __device__ __forceinline__ void load_key_bytes(uint16_t *keys, const struct cache_view &c, uint8_t *page, int head)
{
    const int8_t *from = (const int8_t *)page + keys_at(c, head);
    const uint16_t *scales = key_scales(c, page, head);
    for (int i = (int)threadIdx.x; i < c.k_dim * (PAGE / 4); i += TILE_THREADS) {
        int d = i / (PAGE / 4), j = i % (PAGE / 4) * 4;
        int word = *(const int *)(from + d * PAGE + j);
        const uint16_t *scale = scales + d / 32 * PAGE + j;
        uint32_t *to = (uint32_t *)(keys + d * KEY_STRIDE + j);
        to[0] = halves_of((float)(int8_t)word * half_to_float(scale[0]), (float)(int8_t)(word >> 8) * half_to_float(scale[1]));
        to[1] = halves_of((float)(int8_t)(word >> 16) * half_to_float(scale[2]), (float)(int8_t)(word >> 24) * half_to_float(scale[3]));
    }
}

// The values of `count` positions of a head of bytes, or of halves in rows of an odd width, as halves; zeros for the other positions.
static __device__ __forceinline__ void load_value_rows(uint16_t *values, int stride, const struct cache_view &c, uint8_t *page, int head, int count)
{
    bool bytes = c.dtype == INFER_DTYPE_Q8_0;
    for (int i = (int)threadIdx.x; i < PAGE * c.v_dim; i += TILE_THREADS) {
        int j = i / c.v_dim, column = i % c.v_dim;
        uint16_t v = 0;
        if (j < count)
            v = bytes ? float_to_half(value_value<INFER_DTYPE_Q8_0>(c, page, head, column, j)) : ((const uint16_t *)page)[values_at(c, head) + i];
        values[j * stride + column] = v;
    }
}

// Begins to load a page's keys and values; what nobody may look at, behind the last position that is seen, are zeros among the values.
static __device__ __forceinline__ void load_page(uint16_t *keys, uint16_t *values, const struct tile_layout &l, const struct cache_view &c, const struct tile_job &j, int32_t number)
{
    int32_t at = j.table[number], count = at < 0 ? 0 : j.seen.to - number * PAGE;
    uint8_t *page = page_of(c, at < 0 ? 0 : at);
    if (c.dtype == INFER_DTYPE_Q8_0) {
        load_key_bytes(keys, c, page, j.kv_head);
    } else {
        const uint16_t *from = (const uint16_t *)page + keys_at(c, j.kv_head);
        for (int i = (int)threadIdx.x; i < c.k_dim * (PAGE / 8); i += TILE_THREADS)
            copy_async16(keys + i / (PAGE / 8) * KEY_STRIDE + i % (PAGE / 8) * 8, from + i * 8, count > 0);
    }
    if (c.v_dim && (c.dtype == INFER_DTYPE_Q8_0 || c.v_dim % 8)) {
        load_value_rows(values, l.v_stride, c, page, j.kv_head, count);
    } else if (c.v_dim) {
        const uint16_t *from = (const uint16_t *)page + values_at(c, j.kv_head);
        int chunks = c.v_dim / 8;
        for (int i = (int)threadIdx.x; i < PAGE * chunks; i += TILE_THREADS)
            copy_async16(values + i / chunks * l.v_stride + i % chunks * 8, from + i * 8, i / chunks < count);
    }
    copy_commit();
}

// Loads a page into a stage, or past the last page ends an empty group of copies: a page is there when as many groups are left as stages lie ahead.
static __device__ __forceinline__ void load_stage(unsigned char *base, const struct tile_layout &l, const struct cache_view &c, const struct tile_job &j, int32_t page, int stage)
{
    if (page <= j.last)
        load_page((uint16_t *)(base + l.keys + stage * l.key_bytes), (uint16_t *)(base + l.values + stage * l.value_bytes), l, c, j, page);
    else
        copy_commit();
}

// Where values are read from keys: positions behind the last one that is seen become zeros.
static __device__ __forceinline__ void clear_positions(uint16_t *keys, int k_dim, int count)
{
    for (int i = (int)threadIdx.x; i < k_dim * PAGE; i += TILE_THREADS)
        if (i % PAGE >= count)
            keys[i / PAGE * KEY_STRIDE + i % PAGE] = 0;
}

// Scores of a fragment's queries and 32/PARTS positions, from those of `part` on.
template <int PARTS> static __device__ __forceinline__ void tile_scores(float (*scores)[4], const uint16_t *q, const uint16_t *keys, const struct tile_layout &l, int part)
{
    int lane = (int)threadIdx.x % 32, matrix = lane / 8, row = lane % 8;
    const uint16_t *a_at = q + lane % 16 * l.q_stride + lane / 16 * 8;
    UNROLL
    for (int n = 0; n < 4 / PARTS; n++)
        scores[n][0] = scores[n][1] = scores[n][2] = scores[n][3] = 0;
    if (PARTS == 4) { // one group of 8 positions, 32 elements at a time
        const uint16_t *b_at = keys + lane * KEY_STRIDE + part * 8;
        UNROLL_TWICE
        for (int k = 0; k < l.k_pad; k += 32) {
            uint32_t a[4], b[4];
            ldmatrix4_trans(b, b_at + k * KEY_STRIDE);
            ldmatrix4(a, a_at + k);
            mma_f16(scores[0], a, b);
            ldmatrix4(a, a_at + k + 16);
            mma_f16(scores[0], a, b + 2);
        }
        return;
    }
    const uint16_t *b_at = keys + (matrix % 2 * 8 + row) * KEY_STRIDE + part * (32 / PARTS) + matrix / 2 * 8;
    for (int k = 0; k < l.k_pad; k += 16) {
        uint32_t a[4], b[4];
        ldmatrix4(a, a_at + k);
        UNROLL
        for (int n = 0; n < 4 / PARTS; n += 2) {
            ldmatrix4_trans(b, b_at + k * KEY_STRIDE + n * 8);
            mma_f16(scores[n], a, b);
            mma_f16(scores[n + 1], a, b + 2);
        }
    }
}

// Caps, biases and masks scores, first_position being that of column 0; gives the highest of each of the two rows among the quad's lanes.
template <int COUNT> static __device__ __forceinline__ void adjust_scores(float (*scores)[4], float highest[2], const struct tile_query *query, const struct attention_shape &s, int32_t first_position)
{
    UNROLL
    for (int h = 0; h < 2; h++) {
        highest[h] = -INFINITY;
        UNROLL
        for (int n = 0; n < COUNT; n++)
            UNROLL
            for (int e = 0; e < 2; e++) {
                int32_t position = first_position + n * 8 + (int)threadIdx.x % 4 * 2 + e;
                float score = adjusted(s, scores[n][2 * h + e], query[8 * h].slope, query[8 * h].own - position);
                scores[n][2 * h + e] = position >= query[8 * h].seen.from && position < query[8 * h].seen.to ? score : -INFINITY;
                highest[h] = larger_of(scores[n][2 * h + e], highest[h]);
            }
        highest[h] = larger_of(__shfl_xor_sync(0xffffffffu, highest[h], 1), highest[h]);
        highest[h] = larger_of(__shfl_xor_sync(0xffffffffu, highest[h], 2), highest[h]);
    }
}

// Takes a page's highest scores in: sums and values are multiplied where they rise. reference: what is subtracted from the scores.
static __device__ __forceinline__ void raise(struct tile_state *t, const float highest[2], float reference[2])
{
    float factor[2];
    UNROLL
    for (int h = 0; h < 2; h++) {
        float m = larger_of(t->highest[h], highest[h]);
        reference[h] = m == -INFINITY ? 0.0f : m;
        factor[h] = exp_of(t->highest[h] - reference[h]);
        t->highest[h] = m;
    }
    UNROLL
    for (int i = 0; i < 4; i++)
        t->sum[i] *= factor[i / 2];
    UNROLL
    for (int n = 0; n < 2 * TILE_PAIRS; n++)
        UNROLL
        for (int i = 0; i < 4; i++)
            t->values[n][i] *= factor[i / 2];
}

// Adds a page's weighed values to a warp's columns, and the weights to the sums.
template <bool FROM_KEYS>
static __device__ __forceinline__ void add_values(struct tile_state *t, const uint32_t (*weights)[4], const uint16_t *values, const struct tile_layout &l, int part, int pairs)
{
    const uint32_t ones[2] = {0x3c003c00u, 0x3c003c00u};
    int lane = (int)threadIdx.x % 32, matrix = lane / 8, row = lane % 8;
    const uint16_t *at = FROM_KEYS ? values + (part * l.pairs * 16 + matrix / 2 * 8 + row) * KEY_STRIDE + matrix % 2 * 8 : values + (matrix % 2 * 8 + row) * l.v_stride + part * l.pairs * 16 + matrix / 2 * 8;
    UNROLL
    for (int k = 0; k < 2; k++) {
        mma_f16(t->sum, weights[k], ones);
        UNROLL
        for (int p = 0; p < TILE_PAIRS; p++) {
            if (p >= pairs)
                continue;
            uint32_t b[4];
            if (FROM_KEYS)
                ldmatrix4(b, at + p * 16 * KEY_STRIDE + k * 16);
            else
                ldmatrix4_trans(b, at + k * 16 * l.v_stride + p * 16);
            mma_f16(t->values[2 * p], weights[k], b);
            mma_f16(t->values[2 * p + 1], weights[k], b + 2);
        }
    }
}

// Weights of a fragment from its scores, as fragments of their own: those of a warp alone stay in registers, others meet in shared memory.
template <int PARTS>
static __device__ __forceinline__ void weigh(uint32_t (*weights)[4], float (*scores)[4], const float reference[2], uint16_t *shared, int part)
{
    int lane = (int)threadIdx.x % 32;
    UNROLL
    for (int n = 0; n < 4 / PARTS; n++)
        UNROLL
        for (int h = 0; h < 2; h++) {
            uint32_t word = halves_of(exp_of(scores[n][2 * h] - reference[h]), exp_of(scores[n][2 * h + 1] - reference[h]));
            if (PARTS == 1)
                weights[n / 2][n % 2 * 2 + h] = word;
            else
                *(uint32_t *)(shared + (lane / 4 + 8 * h) * KEY_STRIDE + (part * (4 / PARTS) + n) * 8 + lane % 4 * 2) = word;
        }
    if (PARTS == 1)
        return;
    __syncthreads();
    ldmatrix4(weights[0], shared + lane % 16 * KEY_STRIDE + lane / 16 * 8);
    ldmatrix4(weights[1], shared + lane % 16 * KEY_STRIDE + lane / 16 * 8 + 16);
}

// The end of a span: its part goes to the others of the row, or is merged into the total.
static __device__ __forceinline__ void end_span(const struct step *step, const struct attention_shape &s, const struct cache_view &c, const struct tile_job &j, const struct tile_state *t, struct tile_place own,
                                                int span, struct part *total, float *totals)
{
    UNROLL
    for (int h = 0; h < 2; h++) {
        struct part p = {t->highest[h], t->sum[2 * h]};
        if (s.spans) {
            if (own.query + 8 * h >= j.queries)
                continue;
            int64_t at = part_at(s, row_at(s, j, own.query + 8 * h), head_at(s, j, own.query + 8 * h), span);
            if (own.column == 0)
                s.partials[2 * at] = p.m, s.partials[2 * at + 1] = p.s;
            float *to = part_values(step, s) + at * c.v_width;
            UNROLL
            for (int n = 0; n < 2 * TILE_PAIRS; n++)
                UNROLL
                for (int e = 0; e < 2; e++)
                    if (n < 2 * own.pairs && own.column + n * 8 + e < c.v_width)
                        to[own.column + n * 8 + e] = t->values[n][2 * h + e];
            continue;
        }
        float fa, fb;
        merge(&total[h], p, &fa, &fb);
        UNROLL
        for (int n = 0; n < 2 * TILE_PAIRS; n++)
            UNROLL
            for (int e = 0; e < 2; e++)
                if (n < 2 * own.pairs) {
                    float *to = totals + (n * 4 + 2 * h + e) * TILE_THREADS;
                    *to = fmaf(span == j.page / (SPAN / PAGE) ? 0.0f : *to, fa, t->values[n][2 * h + e] * fb);
                }
    }
}

static __device__ __forceinline__ void finish_queries(const struct attention_shape &s, const struct cache_view &c, const struct view &sinks, const struct view &out, const struct tile_job &j, struct tile_place own,
                                                      const struct part *total, const float *totals)
{
    for (int h = 0; h < 2; h++) {
        float factor, divisor;
        if (own.query + 8 * h >= j.queries)
            continue;
        int head = head_at(s, j, own.query + 8 * h);
        finish(total[h], sinks.data ? (const float *)sinks.data + head : NULL, &factor, &divisor);
        float *to = row_of(out, row_at(s, j, own.query + 8 * h)) + (int64_t)head * c.v_width;
        for (int n = 0; n < 2 * own.pairs; n++)
            for (int e = 0; e < 2; e++)
                if (own.column + n * 8 + e < c.v_width)
                    to[own.column + n * 8 + e] = finished(totals[(n * 4 + 2 * h + e) * TILE_THREADS], factor, divisor);
    }
}

static __device__ __forceinline__ void begin_span(struct tile_state *t)
{
    UNROLL
    for (int n = 0; n < 2 * TILE_PAIRS; n++)
        t->values[n][0] = t->values[n][1] = t->values[n][2] = t->values[n][3] = 0;
    t->sum[0] = t->sum[1] = t->sum[2] = t->sum[3] = 0;
    t->highest[0] = t->highest[1] = -INFINITY;
}

// One page against a warp's fragment. base: of the block's shared memory.
template <int TILES, bool FROM_KEYS>
static __device__ __forceinline__ void attend_page(struct tile_state *t, unsigned char *base, const uint16_t *keys, const uint16_t *values, const struct tile_layout &l, const struct attention_shape &s,
                                                   const struct tile_query *queries, int32_t page, int pairs)
{
    const int PARTS = 4 / TILES;
    int lane = (int)threadIdx.x % 32, fragment = (int)threadIdx.x / 32 / PARTS, part = (int)threadIdx.x / 32 % PARTS;
    float scores[4 / PARTS][4], highest[2], reference[2];
    uint32_t weights[2][4];
    tile_scores<PARTS>(scores, (const uint16_t *)base + fragment * 16 * l.q_stride, keys, l, part);
    adjust_scores<4 / PARTS>(scores, highest, queries + fragment * 16 + lane / 4, s, page * PAGE + part * (PAGE / PARTS));
    if (PARTS > 1) {
        float *all = (float *)(base + l.highest) + fragment * PARTS * 16;
        if (lane % 4 == 0) {
            all[part * 16 + lane / 4] = highest[0];
            all[part * 16 + lane / 4 + 8] = highest[1];
        }
        __syncthreads();
        for (int h = 0; h < 2; h++)
            for (int i = 0; i < PARTS; i++)
                highest[h] = larger_of(all[i * 16 + lane / 4 + 8 * h], highest[h]);
    }
    raise(t, highest, reference);
    weigh<PARTS>(weights, scores, reference, (uint16_t *)(base + l.weights) + fragment * 16 * KEY_STRIDE, part);
    add_values<FROM_KEYS>(t, weights, FROM_KEYS ? keys + s.v_first * KEY_STRIDE : values, l, part, pairs);
}

// All pages that a block's queries see, or those of one span.
template <int TILES, bool FROM_KEYS>
static __device__ __forceinline__ void attend(const struct step *step, const struct view &q, const struct view &sinks, const struct view &out, const struct cache_view &c, const struct attention_shape &s,
                                              const struct tile_job &j, int stages, unsigned char *base)
{
    const int PARTS = 4 / TILES;
    __shared__ struct tile_layout l; // here, and not in registers, which values need
    if (threadIdx.x == 0)
        l = layout_of(c, s.v_first, TILES, stages, s.spans > 0);
    __syncthreads();
    load_queries((uint16_t *)base, q, c, s, j, l, 16 * TILES);
    for (int stage = 0; stage < stages; stage++) // what fills up a head's last 32 elements
        for (int i = c.k_dim * KEY_STRIDE + (int)threadIdx.x; i < l.key_bytes / 2; i += TILE_THREADS)
            ((uint16_t *)(base + l.keys + stage * l.key_bytes))[i] = 0;
    __shared__ struct tile_query queries[16 * TILES];
    if ((int)threadIdx.x < 16 * TILES)
        queries[threadIdx.x] = query_at(step, s, j, j.m0 + (int)threadIdx.x);
    // As wide heads take more shared memory than registers, theirs lie in registers.
    __shared__ struct part shared_total[FROM_KEYS ? 1 : TILE_THREADS][2];
    struct part own_total[2], *total = FROM_KEYS ? own_total : shared_total[threadIdx.x];
    total[0] = total[1] = {0, 0};
    float *totals = (float *)(base + l.totals) + threadIdx.x;
    struct tile_state t;
    begin_span(&t);
    for (int stage = 0; stage < stages - 1; stage++)
        load_stage(base, l, c, j, j.page + stage, stage);
    for (int32_t page = j.page, stage = 0; page <= j.last; page++, stage = (stage + 1) & (stages - 1)) { // stages: a power of two
        load_stage(base, l, c, j, page + stages - 1, (stage - 1) & (stages - 1));
        if (stages == 4)
            copy_wait<3>();
        else if (stages == 2)
            copy_wait<1>();
        else
            copy_wait<0>();
        __syncthreads();
        uint16_t *keys = (uint16_t *)(base + l.keys + stage * l.key_bytes), *values = (uint16_t *)(base + l.values + stage * l.value_bytes);
        if (FROM_KEYS && (j.table[page] < 0 || j.seen.to - page * PAGE < PAGE)) {
            clear_positions(keys, c.k_dim, j.table[page] < 0 ? 0 : j.seen.to - page * PAGE);
            __syncthreads();
        }
        attend_page<TILES, FROM_KEYS>(&t, base, keys, values, l, s, queries, page, place_of<PARTS>(j, l, c.v_width).pairs);
        if (page == j.last || (page + 1) % (SPAN / PAGE) == 0) {
            end_span(step, s, c, j, &t, place_of<PARTS>(j, l, c.v_width), page / (SPAN / PAGE), total, totals);
            begin_span(&t);
        }
        __syncthreads(); // the page's stage is free
    }
    copy_wait<0>(); // what is left are empty groups
    if (!s.spans)
        finish_queries(s, c, sinks, out, j, place_of<PARTS>(j, l, c.v_width), total, totals);
}

// grid: (tiles x blocks, KV heads, spans or 1), block: 128, shared: layout_of's bytes. blocks: that share a tile's queries
template <int TILES, bool FROM_KEYS>
__global__ void __launch_bounds__(TILE_THREADS, TILES == 4 || FROM_KEYS ? 2 : 3)
attention_tiles(const struct step *step, struct view q, struct view sinks, struct view out, struct cache_view c, struct attention_shape s, int blocks, int stages)
{
    SHARED_DYNAMIC(unsigned char, base);
    int tile = (int)blockIdx.x / blocks;
    if (tile >= step->tiles)
        return;
    __shared__ struct tile_job j; // here, and not in registers, which values need
    int64_t first = step->tile_first[tile];
    int queries = step->tile_count[tile] * s.group;
    for (int m0 = (int)blockIdx.x % blocks * 16 * TILES; m0 < queries; m0 += blocks * 16 * TILES) {
        if (threadIdx.x == 0) {
            int end = m0 + 16 * TILES < queries ? m0 + 16 * TILES : queries;
            j = {table_of(step, (int32_t)c.kind, step->sequences[first]), (int32_t)blockIdx.y, m0, queries, first, {0, 0}, 0, 0};
            j.seen = {seen_by(step, s, first + m0 / s.group).from, seen_by(step, s, first + (end - 1) / s.group).to};
            j.page = j.seen.from / PAGE;
            j.last = (j.seen.to - 1) / PAGE;
            if (s.spans) { // one span; none where there are more blocks than the queries have spans
                int32_t span = j.seen.from / SPAN + (int32_t)blockIdx.z, from = span * (SPAN / PAGE), last = from + SPAN / PAGE - 1;
                j.page = from > j.page ? from : j.page;
                j.last = last < j.last ? last : j.last;
            }
        }
        __syncthreads();
        if (j.page <= j.last)
            attend<TILES, FROM_KEYS>(step, q, sinks, out, c, s, j, stages, base);
        __syncthreads();
    }
}

#endif
