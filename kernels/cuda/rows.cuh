// rows.cuh - rows of tensors as kernels reach them, and sums over a block in a fixed order.
#ifndef INFER_CUDA_ROWS_CUH
#define INFER_CUDA_ROWS_CUH

#include "device.h"

// How many rows of a kind the batch has.
static __device__ __forceinline__ int64_t rows_in(const struct step *s, int32_t rows_kind)
{
    switch (rows_kind) {
    case INFER_ROWS_WANTED: return s->wanted_count;
    case INFER_ROWS_EXPERTS: return (int64_t)s->rows * s->experts_used;
    default: return s->rows;
    }
}

static __device__ __forceinline__ float *row_of(const struct view &v, int64_t row) { return (float *)((char *)v.data + row * v.stride); }

// A sequence's page table of a kind.
static __device__ __forceinline__ const int32_t *table_of(const struct step *s, int32_t kind, int32_t sequence)
{
    return s->pages + ((int64_t)kind * s->sequence_count + sequence) * s->table_pages;
}

// The sum over a block of WARPS warps: lanes by a tree, then warps in order. Every thread gets it. part: [WARPS], shared.
template <int WARPS> static __device__ __forceinline__ float block_sum(float v, float *part)
{
    v = warp_sum(v);
    if (WARPS == 1)
        return v;
    __syncthreads(); // whoever still reads the last sum
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = v;
    __syncthreads();
    float total = 0;
    for (int i = 0; i < WARPS; i++)
        total += part[i];
    return total;
}

template <int WARPS> static __device__ __forceinline__ float block_max(float v, float *part)
{
    v = warp_max(v);
    if (WARPS == 1)
        return v;
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = v;
    __syncthreads();
    float most = part[0];
    for (int i = 1; i < WARPS; i++)
        most = fmaxf(most, part[i]);
    return most;
}

#endif
