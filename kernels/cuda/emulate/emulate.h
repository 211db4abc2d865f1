// emulate.h - compiles the CUDA kernels of this folder as C++, so that their arithmetic is tested where there is no GPU.
//
// The threads of a block are fibers on one processor. A fiber runs until a barrier or a shuffle; then another one,
// drawn at random, goes on: what depends on the order of threads between two barriers changes with the seed. Blocks run
// one after the other, so shared memory can be static. A barrier that not all threads reach ends the launch with an error.
#ifndef INFER_CUDA_EMULATE_H
#define INFER_CUDA_EMULATE_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include <functional>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};

namespace emulate {
struct thread_ids {
    dim3 thread, block;
};
extern dim3 grid_size, block_size;
thread_ids &current();
void block_barrier();
// Every lane of the calling thread's warp gives a word; returns all 32 of them, valid until the lane's next exchange.
const uint32_t *exchange(uint32_t mask, uint32_t word);
// Runs a grid; returns NULL, or what was wrong with it. seed draws the order of threads.
const char *launch(dim3 grid, dim3 block, uint64_t seed, const std::function<void()> &kernel);
} // namespace emulate

#define threadIdx (emulate::current().thread)
#define blockIdx (emulate::current().block)
#define gridDim (emulate::grid_size)
#define blockDim (emulate::block_size)

static inline void __syncthreads() { emulate::block_barrier(); }
static inline void __syncwarp(uint32_t mask = 0xffffffffu) { emulate::exchange(mask, 0); }

static inline float __shfl_xor_sync(uint32_t mask, float v, int lanes)
{
    uint32_t word;
    memcpy(&word, &v, 4);
    int lane = (int)(threadIdx.x % 32);
    word = emulate::exchange(mask, word)[lane ^ lanes];
    memcpy(&v, &word, 4);
    return v;
}

static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; i++)
        c += (int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    return c;
}

static inline float __frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }

#endif
