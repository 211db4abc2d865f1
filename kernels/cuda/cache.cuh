// cache.cuh - where keys and values lie in a page, for STORE and ATTENTION.
#ifndef INFER_CUDA_CACHE_CUH
#define INFER_CUDA_CACHE_CUH

#include "rows.cuh"

#define PAGE INFER_PAGE_TOKENS

// One cache layer in device memory. A page is K [heads][k_dim][32], then V [heads][32][v_dim]; of bytes (Q8_0) each of the two is followed by
// its scales, halves: [heads][k_blocks][32] and [heads][32][v_blocks], a block being 32 values of a head.
struct cache_view {
    uint8_t *data; // page 0
    int64_t page_stride;
    uint32_t dtype, kind;
    int32_t heads, k_dim, v_dim, v_width;
};

static __device__ __forceinline__ uint8_t *page_of(const struct cache_view &c, int64_t page) { return c.data + page * c.page_stride; }
static __device__ __forceinline__ int blocks_of(int width) { return (width + 31) / 32; }

// The first value of a head in its page, in values from the page's start (of bytes: in bytes).
static __device__ __forceinline__ int64_t keys_at(const struct cache_view &c, int head) { return (int64_t)head * c.k_dim * PAGE; }
static __device__ __forceinline__ int64_t values_at(const struct cache_view &c, int head)
{
    int64_t scales = c.dtype == INFER_DTYPE_Q8_0 ? (int64_t)c.heads * PAGE * blocks_of(c.k_dim) * 2 : 0;
    return (int64_t)c.heads * c.k_dim * PAGE + scales + (int64_t)head * PAGE * c.v_dim;
}
// The scales of a head of bytes: of keys [k_blocks][32], of values [32][v_blocks].
static __device__ __forceinline__ uint16_t *key_scales(const struct cache_view &c, uint8_t *page, int head)
{
    return (uint16_t *)(page + (int64_t)c.heads * c.k_dim * PAGE) + (int64_t)head * blocks_of(c.k_dim) * PAGE;
}
static __device__ __forceinline__ uint16_t *value_scales(const struct cache_view &c, uint8_t *page, int head)
{
    return (uint16_t *)(page + values_at(c, c.heads)) + (int64_t)head * PAGE * blocks_of(c.v_dim);
}

// Element d of the key of slot j, and element i of its value.
template <uint32_t DTYPE> static __device__ __forceinline__ float key_value(const struct cache_view &c, uint8_t *page, int head, int d, int j)
{
    int64_t at = keys_at(c, head) + (int64_t)d * PAGE + j;
    if (DTYPE == INFER_DTYPE_F32)
        return ((const float *)page)[at];
    if (DTYPE == INFER_DTYPE_F16)
        return half_to_float(((const uint16_t *)page)[at]);
    return (float)((const int8_t *)page)[at] * half_to_float(key_scales(c, page, head)[d / 32 * PAGE + j]);
}
template <uint32_t DTYPE> static __device__ __forceinline__ float value_value(const struct cache_view &c, uint8_t *page, int head, int i, int j)
{
    int64_t at = values_at(c, head) + (int64_t)j * c.v_dim + i;
    if (DTYPE == INFER_DTYPE_F32)
        return ((const float *)page)[at];
    if (DTYPE == INFER_DTYPE_F16)
        return half_to_float(((const uint16_t *)page)[at]);
    return (float)((const int8_t *)page)[at] * half_to_float(value_scales(c, page, head)[j * blocks_of(c.v_dim) + i / 32]);
}

// The layer that op's n0 names.
static inline struct cache_view cache_of(const struct device *d, int32_t layer)
{
    const struct infer_cache_layer *l = &device_plan(d)->cache[layer];
    return {device_cache(d) + l->offset, l->page_stride, l->dtype, l->kind, l->heads, l->k_dim, l->v_dim, l->v_width};
}

#endif
