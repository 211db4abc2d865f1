// attention_plain.cuh - ATTENTION in float, a block a row and head: for caches of F32, and for heads that tiles do not take. A score and a value
// are one chain of fused multiply-adds each.
#ifndef INFER_CUDA_ATTENTION_PLAIN_CUH
#define INFER_CUDA_ATTENTION_PLAIN_CUH

#include "attention.cuh"

// Weights e^(score - m) of a span's positions, zero where they are not seen. A block of 128 threads.
template <uint32_t DTYPE>
static __device__ __forceinline__ struct part plain_weights(const struct cache_view &c, const struct attention_shape &s, const int32_t *table, const float *q, int kv_head, int span, struct range seen, int32_t own,
                                            float slope, float *weights, float *parts)
{
    float highest = -INFINITY, sum = 0;
    for (int j = (int)threadIdx.x; j < SPAN; j += 128) {
        int32_t position = span * SPAN + j;
        float score = 0;
        bool sees = position >= seen.from && position < seen.to;
        uint8_t *page = page_of(c, sees ? table[position / PAGE] : 0);
        for (int d = 0; sees && d < c.k_dim; d++)
            score = fmaf(q[d], key_value<DTYPE>(c, page, kv_head, d, position % PAGE), score);
        weights[j] = sees ? score : -INFINITY;
    }
    for (int j = (int)threadIdx.x; j < SPAN; j += 128) {
        if (weights[j] != -INFINITY)
            weights[j] = adjusted(s, weights[j], slope, own - (span * SPAN + j));
        highest = larger_of(weights[j], highest);
    }
    highest = block_max<4>(highest, parts);
    for (int j = (int)threadIdx.x; j < SPAN; j += 128) {
        weights[j] = exp_of(weights[j] - (highest == -INFINITY ? 0.0f : highest));
        sum += weights[j];
    }
    return {highest, block_sum<4>(sum, parts)};
}

template <uint32_t DTYPE>
static __device__ __forceinline__ float plain_value(const struct cache_view &c, const struct attention_shape &s, const int32_t *table, int kv_head, int span, struct range seen, int i, const float *weights)
{
    int32_t from = seen.from > span * SPAN ? seen.from : span * SPAN, to = seen.to < (span + 1) * SPAN ? seen.to : (span + 1) * SPAN;
    float v = 0;
    for (int32_t position = from; position < to; position++) {
        uint8_t *page = page_of(c, table[position / PAGE]);
        float x = c.v_dim ? value_value<DTYPE>(c, page, kv_head, i, position % PAGE) : key_value<DTYPE>(c, page, kv_head, s.v_first + i, position % PAGE);
        v = fmaf(weights[position - span * SPAN], x, v);
    }
    return v;
}

// grid: (rows, heads, spans or 1), block: 128, shared: k_dim + 256 + v_width floats
template <uint32_t DTYPE>
__global__ void __launch_bounds__(128, 4) attention_plain(const struct step *step, struct view q, struct view sinks, struct view out, struct cache_view c, struct attention_shape s)
{
    SHARED_DYNAMIC(float, own_q);
    __shared__ float parts[4];
    float *weights = own_q + c.k_dim, *total_values = weights + SPAN, fa, fb;
    int64_t row = blockIdx.x;
    int head = (int)blockIdx.y, kv_head = head / s.group;
    if (row >= step->rows)
        return;
    struct range seen = seen_by(step, s, row);
    const int32_t *table = table_of(step, (int32_t)c.kind, step->sequences[row]);
    float slope = alibi_slope(s.alibi, head, s.heads);
    for (int d = (int)threadIdx.x; d < c.k_dim; d += 128)
        own_q[d] = row_of(q, row)[(int64_t)head * c.k_dim + d] * s.scale;
    for (int i = (int)threadIdx.x; i < c.v_width; i += 128)
        total_values[i] = 0;
    __syncthreads();
    struct part total = {0, 0};
    int first = seen.from / SPAN, last = (seen.to - 1) / SPAN;
    for (int span = first + (int)blockIdx.z; span <= last; span++) {
        struct part p = plain_weights<DTYPE>(c, s, table, own_q, kv_head, span, seen, step->positions[row], slope, weights, parts);
        if (s.spans) {
            int64_t at = part_at(s, row, head, span);
            if (threadIdx.x == 0)
                s.partials[2 * at] = p.m, s.partials[2 * at + 1] = p.s;
            for (int i = (int)threadIdx.x; i < c.v_width; i += 128)
                part_values(step, s)[at * c.v_width + i] = plain_value<DTYPE>(c, s, table, kv_head, span, seen, i, weights);
            return;
        }
        merge(&total, p, &fa, &fb);
        for (int i = (int)threadIdx.x; i < c.v_width; i += 128)
            total_values[i] = fmaf(total_values[i], fa, plain_value<DTYPE>(c, s, table, kv_head, span, seen, i, weights) * fb);
        __syncthreads(); // before the next span's weights
    }
    if (s.spans)
        return; // more blocks than the row has spans
    finish(total, sinks.data ? (const float *)sinks.data + head : NULL, &fa, &fb);
    for (int i = (int)threadIdx.x; i < c.v_width; i += 128)
        row_of(out, row)[head * c.v_width + i] = finished(total_values[i], fa, fb);
}

#endif
