// store.cuh - STORE: keys and values of each row into its page. Each has the CPU's bytes.
#ifndef INFER_CUDA_STORE_CUH
#define INFER_CUDA_STORE_CUH

#include "cache.cuh"
#include "math.cuh"

// A warp stores up to 32 values of a head as bytes, step apart, and their scale: the largest, divided by 127.
static __device__ __forceinline__ void store_bytes(const float *x, int count, int8_t *q, int64_t step, uint16_t *scale)
{
    int lane = (int)(threadIdx.x % 32);
    float v = lane < count ? x[lane] : 0.0f;
    float d = warp_max(fabsf(v)) * (1.0f / 127);
    uint16_t half = float_to_half(d < 65504.0f ? d : 65504.0f);
    d = half_to_float(half);
    float rounded = smaller_of(127.0f, larger_of(-127.0f, round_even(v * (d > 0 ? 1 / d : 0.0f))));
    if (lane < count)
        q[lane * step] = rounded == rounded ? (int8_t)(int32_t)rounded : (int8_t)0;
    if (lane == 0)
        *scale = half;
}

static __device__ __forceinline__ void store_value(const struct cache_view &c, uint8_t *page, int64_t at, float v)
{
    if (c.dtype == INFER_DTYPE_F32)
        ((float *)page)[at] = v;
    else
        ((uint16_t *)page)[at] = float_to_half(v);
}

// grid: (rows, parts), block: 256: the parts share the row's values, or of bytes its blocks of 32
__global__ void __launch_bounds__(256) store(const struct step *step, struct view k, struct view v, struct cache_view c)
{
    int64_t row = blockIdx.x;
    if (row >= rows_in(step, k.rows_kind))
        return;
    int32_t position = step->positions[row];
    uint8_t *page = page_of(c, table_of(step, (int32_t)c.kind, step->sequences[row])[position / PAGE]);
    int slot = position % PAGE;
    const float *keys = row_of(k, row), *values = c.v_dim ? row_of(v, row) : NULL;
    if (c.dtype == INFER_DTYPE_Q8_0) {
        int k_blocks = blocks_of(c.k_dim), v_blocks = blocks_of(c.v_dim), per_head = k_blocks + v_blocks;
        for (int i = (int)(blockIdx.y * 8 + threadIdx.x / 32); i < c.heads * per_head; i += (int)gridDim.y * 8) {
            int head = i / per_head, b = i % per_head, first = (b < k_blocks ? b : b - k_blocks) * 32, width = b < k_blocks ? c.k_dim : c.v_dim;
            int count = width - first < 32 ? width - first : 32;
            if (b < k_blocks)
                store_bytes(keys + head * c.k_dim + first, count, (int8_t *)page + keys_at(c, head) + first * PAGE + slot, PAGE, key_scales(c, page, head) + b * PAGE + slot);
            else
                store_bytes(values + head * c.v_dim + first, count, (int8_t *)page + values_at(c, head) + slot * c.v_dim + first, 1, value_scales(c, page, head) + slot * v_blocks + b - k_blocks);
        }
        return;
    }
    for (int i = (int)(blockIdx.y * 256 + threadIdx.x); i < c.heads * (c.k_dim + c.v_dim); i += (int)gridDim.y * 256) {
        int n = i - c.heads * c.k_dim;
        if (n < 0)
            store_value(c, page, (int64_t)i * PAGE + slot, keys[i]);
        else
            store_value(c, page, values_at(c, n / c.v_dim) + slot * c.v_dim + n % c.v_dim, values[n]);
    }
}

#endif
