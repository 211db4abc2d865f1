// product32.cuh - rows of Q8_0 or Q4_0 weights, as they lie in the file, by columns of 8-bit activations: a warp a row.
// Integer sums are exact; a lane adds its blocks in order, then a fixed tree adds the lanes, so a result depends on its own
// row and column alone.
#ifndef INFER_CUDA_PRODUCT32_CUH
#define INFER_CUDA_PRODUCT32_CUH

#include "common.cuh"

// One block of activations: x[i] ~ d * q[i]. Words, so that four values load at once.
struct activations32 {
    int q[8];
    float d;
};

static __device__ __forceinline__ int load_word(const uint8_t *p) // 2-byte aligned: blocks are 34 and 18 bytes
{
    const uint16_t *h = (const uint16_t *)p;
    return (int)((uint32_t)h[0] | (uint32_t)h[1] << 16);
}

static __device__ __forceinline__ float load_half(const uint8_t *p) { return half_to_float(*(const uint16_t *)p); }

static __device__ __forceinline__ int dot_q8_0(const uint8_t *block, const int *x)
{
    int sum = 0;
    for (int i = 0; i < 8; i++)
        sum = __dp4a(load_word(block + 2 + 4 * i), x[i], sum);
    return sum;
}

// Nibbles stay unsigned; the 8 that each weight lacks is taken off with the sum of the activations.
static __device__ __forceinline__ int dot_q4_0(const uint8_t *block, const int *x)
{
    int sum = 0, total = 0;
    for (int i = 0; i < 4; i++) {
        int v = load_word(block + 2 + 4 * i);
        sum = __dp4a(v & 0x0f0f0f0f, x[i], sum);
        sum = __dp4a(v >> 4 & 0x0f0f0f0f, x[i + 4], sum);
        total = __dp4a(0x01010101, x[i], total);
        total = __dp4a(0x01010101, x[i + 4], total);
    }
    return sum - 8 * total;
}

// grid: (rows / 4 rounded up, columns), block: 128. y[column][row]
template <bool FOUR_BITS>
__global__ void __launch_bounds__(128) product32(const uint8_t *w, const activations32 *x, float *y, int rows, int blocks)
{
    const int bytes = FOUR_BITS ? 18 : 34;
    int row = (int)(blockIdx.x * 4 + threadIdx.x / 32), lane = (int)(threadIdx.x % 32);
    if (row >= rows)
        return; // a whole warp
    const activations32 *column = x + (int64_t)blockIdx.y * blocks;
    float sum = 0;
    for (int b = lane; b < blocks; b += 32) {
        const uint8_t *block = w + ((int64_t)row * blocks + b) * bytes;
        int dot = FOUR_BITS ? dot_q4_0(block, column[b].q) : dot_q8_0(block, column[b].q);
        sum = fmaf((float)dot, load_half(block) * column[b].d, sum);
    }
    sum = warp_sum(sum);
    if (lane == 0)
        y[(int64_t)blockIdx.y * rows + row] = sum;
}

#endif
