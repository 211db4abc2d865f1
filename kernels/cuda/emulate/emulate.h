// emulate.h - compiles the CUDA kernels of this folder as C++, so that their arithmetic is tested where there is no GPU.
//
// The threads of a block are fibers on one processor. A fiber runs until a barrier or a shuffle; then another one,
// drawn at random, goes on: what depends on the order of threads between two barriers changes with the seed. Blocks run
// one after the other, so shared memory can be static. A barrier that not all threads reach ends the launch with an error.
#ifndef INFER_CUDA_EMULATE_H
#define INFER_CUDA_EMULATE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
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
extern const thread_ids *current; // of the fiber that runs
extern unsigned char *shared_memory; // the block's dynamic shared memory
void block_barrier();
void yield(); // lets other threads go on: for loops that wait for what another thread writes

#define EMULATE_WORDS 16
// Every lane of the mask gives `count` words (at most EMULATE_WORDS); returns all lanes' words, [32][EMULATE_WORDS], valid until the
// calling lane's next exchange.
const uint32_t (*exchange(uint32_t mask, const uint32_t *words, int count))[EMULATE_WORDS];

// Runs a grid; returns NULL, or what was wrong with it. seed draws the order of threads.
const char *launch(dim3 grid, dim3 block, uint64_t seed, const std::function<void()> &kernel, size_t shared_bytes = 0);

float half_to_float(uint16_t h);
uint16_t float_to_half(float f);
} // namespace emulate

#define threadIdx (emulate::current->thread)
#define blockIdx (emulate::current->block)
#define gridDim (emulate::grid_size)
#define blockDim (emulate::block_size)

static inline void __syncthreads() { emulate::block_barrier(); }
static inline void __syncwarp(uint32_t mask = 0xffffffffu)
{
    emulate::exchange(mask, nullptr, 0);
}

static inline float __uint_as_float(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline uint32_t __float_as_uint(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

#include "matrix.h"
#include "warp.h"

#endif
