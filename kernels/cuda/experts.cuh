// experts.cuh - groups the batch's slots (row x chosen expert) by expert, in their order, and cuts the groups into tiles of columns.
#ifndef INFER_CUDA_EXPERTS_CUH
#define INFER_CUDA_EXPERTS_CUH

#include "product_job.cuh"

#define MOST_EXPERTS 1024

// The most tiles that so many slots of so many experts give.
static inline int64_t most_expert_tiles(int64_t slots, int64_t experts, int most) { return slots / most + (slots < experts ? slots : experts); }

// grid: experts, block: 256; every block counts all slots and places its own expert's. most: columns of a tile
__global__ void __launch_bounds__(256) group_experts(const struct step *step, struct view ids, int experts, int most, int32_t *slots, struct expert_tile *tiles, int32_t *tile_count)
{
    __shared__ int32_t counts[MOST_EXPERTS], part[3][8], before[8];
    const int32_t used = step->experts_used, all = step->rows * used;
    const int own = (int)blockIdx.x, lane = (int)threadIdx.x % 32, warp = (int)threadIdx.x / 32;
    for (int e = (int)threadIdx.x; e < experts; e += 256)
        counts[e] = 0;
    __syncthreads();
    for (int32_t s = (int32_t)threadIdx.x; s < all; s += 256)
        atomicAdd(&counts[((const int32_t *)row_of(ids, s / used))[s % used]], 1);
    __syncthreads();
    int32_t sum[3] = {0, 0, 0}; // slots and tiles of the experts before, tiles of all
    for (int e = (int)threadIdx.x; e < experts; e += 256) {
        int32_t t = (counts[e] + most - 1) / most;
        sum[0] += e < own ? counts[e] : 0, sum[1] += e < own ? t : 0, sum[2] += t;
    }
    for (int i = 0; i < 3; i++) {
        for (int lanes = 16; lanes > 0; lanes /= 2)
            sum[i] += __shfl_xor_sync(0xffffffffu, sum[i], lanes);
        if (lane == 0)
            part[i][warp] = sum[i];
    }
    __syncthreads();
    for (int i = 0; i < 3; i++) {
        sum[i] = 0;
        for (int w = 0; w < 8; w++)
            sum[i] += part[i][w];
    }
    if (own == 0 && threadIdx.x == 0)
        *tile_count = sum[2];
    const int32_t count = counts[own];
    for (int32_t t = (int32_t)threadIdx.x; t * most < count; t += 256)
        tiles[sum[1] + t] = {own, sum[0] + t * most, count - t * most < most ? count - t * most : most};
    int32_t placed = sum[0];
    for (int32_t from = 0; from < all && placed < sum[0] + count; from += 256) {
        int32_t s = from + (int32_t)threadIdx.x;
        bool mine = s < all && ((const int32_t *)row_of(ids, s / used))[s % used] == own;
        unsigned votes = __ballot_sync(0xffffffffu, mine);
        if (lane == 0)
            before[warp] = __popc(votes);
        __syncthreads();
        int32_t at = placed;
        for (int w = 0; w < 8; w++) {
            at += w < warp ? before[w] : 0;
            placed += before[w];
        }
        if (mine)
            slots[at + __popc(votes & ((1u << lane) - 1))] = s;
        __syncthreads(); // before the next 256 overwrite the counts
    }
}

#endif
