// peaks.cuh - kernels that do nothing but read, copy or multiply: what a card can reach.
#ifndef INFER_CUDA_PEAKS_CUH
#define INFER_CUDA_PEAKS_CUH

#include "matrix.cuh"

#define PEAK_UNROLL 8

// Reads n words of 16 bytes, PEAK_UNROLL ahead; block: 256. A sum that cannot come out keeps the reads.
static __global__ void __launch_bounds__(256) peak_read(const uint4 *from, int64_t n, uint32_t *out)
{
    uint32_t sum = 0;
    int64_t step = (int64_t)gridDim.x * 256;
    for (int64_t i = (int64_t)blockIdx.x * 256 + threadIdx.x; i + (PEAK_UNROLL - 1) * step < n; i += PEAK_UNROLL * step) {
        uint4 v[PEAK_UNROLL];
        UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
            v[k] = from[i + k * step];
        UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
            sum |= v[k].x ^ v[k].y ^ v[k].z ^ v[k].w;
    }
    if (sum == 0x12345678)
        *out = sum;
}

static __global__ void __launch_bounds__(256) peak_copy(const uint4 *from, uint4 *to, int64_t n)
{
    int64_t step = (int64_t)gridDim.x * 256;
    for (int64_t i = (int64_t)blockIdx.x * 256 + threadIdx.x; i + (PEAK_UNROLL - 1) * step < n; i += PEAK_UNROLL * step) {
        uint4 v[PEAK_UNROLL];
        UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
            v[k] = from[i + k * step];
        UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
            to[i + k * step] = v[k];
    }
}

// A warp's products of registers, PEAK_UNROLL of them independent of each other: 16 x 8 x 32 multiply-adds each of integers, 16 x 8 x 16 of halves.
static __global__ void __launch_bounds__(256) peak_integers(int rounds, int *out)
{
    int sums[PEAK_UNROLL][4] = {};
    uint32_t a[4] = {threadIdx.x, threadIdx.x + 1, threadIdx.x + 2, threadIdx.x + 3}, b[2] = {threadIdx.x, 7};
    for (int i = 0; i < rounds; i++)
        UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
            mma_s8(sums[k], a, b);
    int all = 0;
    UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
        all |= sums[k][0] ^ sums[k][1] ^ sums[k][2] ^ sums[k][3];
    if (all == 0x12345678)
        *out = all;
}

static __global__ void __launch_bounds__(256) peak_halves(int rounds, float *out)
{
    float sums[PEAK_UNROLL][4] = {};
    uint32_t a[4] = {0x3c003c00u, 0x3c003c00u, 0x3c003c00u, threadIdx.x}, b[2] = {0x3c003c00u, threadIdx.x};
    for (int i = 0; i < rounds; i++)
        UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
            mma_f16(sums[k], a, b);
    float all = 0;
    UNROLL for (int k = 0; k < PEAK_UNROLL; k++)
        all += sums[k][0] + sums[k][1] + sums[k][2] + sums[k][3];
    if (all == 1.5f)
        *out = all;
}

#endif
