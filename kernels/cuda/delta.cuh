// delta.cuh - DELTA, the gated delta rule: a block a part of a head's values of a sequence walks its rows, the state in registers.
#ifndef INFER_CUDA_DELTA_CUH
#define INFER_CUDA_DELTA_CUH

#include "recurrent.cuh"

struct delta_inputs {
    struct view q, k, v, a, beta, decay, bias; // decay: the op's A
};
struct delta_shape {
    int32_t heads, key_heads, keys, turns; // turns: n3
    float factor;
};

// A block's inputs of some rows.
struct delta_rows {
    __align__(16) float q[GATHERED];
    __align__(16) float k[GATHERED];
    float qk[GATHERED_ROWS], decay[GATHERED_ROWS], beta[GATHERED_ROWS]; // qk: q . k
};

static __device__ __forceinline__ void gather_delta(struct delta_rows *r, const struct delta_inputs &in, const struct delta_shape &d, int parts, int head, int64_t first, int count)
{
    int key_head = d.turns ? head % d.key_heads : head / (d.heads / d.key_heads);
    gather_rows(r->q, in.q, first, count, (int64_t)key_head * d.keys, parts, d.keys);
    gather_rows(r->k, in.k, first, count, (int64_t)key_head * d.keys, parts, d.keys);
    if ((int)threadIdx.x < count) {
        float step = softplus_of(row_of(in.a, first + threadIdx.x)[head] + ((const float *)in.bias.data)[head]);
        r->decay[threadIdx.x] = exp_of(step * ((const float *)in.decay.data)[head]);
        r->beta[threadIdx.x] = sigmoid_of(row_of(in.beta, first + threadIdx.x)[head]);
    }
    __syncthreads();
    for (int t = (int)threadIdx.x / 32; t < count; t += COLUMN_THREADS / 32) {
        float sum = 0;
        for (int i = (int)threadIdx.x % 32; i < d.keys; i += 32)
            sum = fmaf(r->q[gathered_at(parts, t, i)], r->k[gathered_at(parts, t, i)], sum);
        sum = warp_sum(sum);
        if (threadIdx.x % 32 == 0)
            r->qk[t] = sum;
    }
    __syncthreads();
}

// One row through a column: returns what q reads from the new state, S'^T q = g S^T q + d (k.q), where d = b (v - g S^T k).
static __device__ __forceinline__ float delta_step(float *h, const struct column &c, const struct delta_rows &r, int t, float value)
{
    const float *q = r.q + gathered_at(c.parts, t, c.part * COLUMN_ROWS), *k = r.k + gathered_at(c.parts, t, c.part * COLUMN_ROWS);
    float for_k = 0, for_q = 0, decay = r.decay[t];
    UNROLL
    for (int i = 0; i < COLUMN_ROWS; i++) {
        for_k = fmaf(h[i], k[i], for_k);
        for_q = fmaf(h[i], q[i], for_q);
    }
    for_k = column_sum(for_k, c.parts);
    for_q = column_sum(for_q, c.parts);
    float change = (value - decay * for_k) * r.beta[t];
    UNROLL
    for (int i = 0; i < COLUMN_ROWS; i++)
        h[i] = fmaf(k[i], change, h[i] * decay);
    return fmaf(change, r.qk[t], decay * for_q);
}

// grid: (heads x column_blocks, sequences), block: 256
__global__ void __launch_bounds__(COLUMN_THREADS, 2) delta(const struct step *step, struct delta_inputs in, struct view out, struct cache_view c, struct delta_shape d)
{
    __shared__ struct delta_rows rows;
    __shared__ float held[GATHERED_ROWS][COLUMN_THREADS]; // v
    if ((int32_t)blockIdx.y >= step->sequence_count)
        return;
    struct segment s = segment_of(step, c, (int32_t)blockIdx.y);
    int parts = column_parts(d.keys), blocks = (int)gridDim.x / d.heads, head = (int)blockIdx.x / blocks, width = (int)(out.cols / d.heads), whole = (width + 15) / 16 * 16;
    struct column own = {parts, (int32_t)threadIdx.x % parts, d.keys, (int32_t)(blockIdx.x % blocks * (COLUMN_THREADS / parts) + threadIdx.x / parts), false};
    own.exists = own.value < whole;
    int64_t at = (int64_t)head * whole * d.keys, value = (int64_t)head * width + own.value;
    bool inside = own.value < width;
    float h[COLUMN_ROWS];
    load_column(h, own, s.read ? s.read + at : NULL);
    for (int32_t first = 0, together = gathered_rows(parts); first < s.rows; first += together) {
        int count = s.rows - first < together ? s.rows - first : together;
        __syncthreads(); // the last rows' inputs are no longer read
        hold_values(held, in.v, s.first + first, count, value, inside);
        gather_delta(&rows, in, d, parts, head, s.first + first, count);
        for (int t = 0; t < count; t++) {
            float y = delta_step(h, own, rows, t, held[t][threadIdx.x]);
            if (inside && own.part == 0)
                row_of(out, s.first + first + t)[value] = y * d.factor;
            int32_t slot = slot_after(s, first + t);
            if (slot >= 0)
                store_column(h, own, slot_of(c, slot) + at);
        }
    }
}

#endif
