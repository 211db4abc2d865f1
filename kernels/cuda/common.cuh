// common.cuh - what kernels share: the compiler's header or the emulator's, halves, and sums over a warp in a fixed order.
#ifndef INFER_CUDA_COMMON_CUH
#define INFER_CUDA_COMMON_CUH

#include <math.h>
#include <stdint.h>
#ifdef INFER_CUDA_EMULATE
#include "emulate/emulate.h"
#endif

// Dynamic shared memory of a block, aligned to 128 bytes: SHARED_DYNAMIC(float, scores);
#ifdef INFER_CUDA_EMULATE
#define SHARED_DYNAMIC(type, name) type *name = (type *)emulate::shared_memory
#else
#define SHARED_DYNAMIC(type, name)                              \
    extern __shared__ __align__(128) unsigned char shared_dynamic_[]; \
    type *name = (type *)shared_dynamic_
#endif

// Before a loop that must be unrolled, for its arrays to be registers.
#ifdef INFER_CUDA_EMULATE
#define UNROLL
#define UNROLL_TWICE
#else
#define UNROLL_TWICE _Pragma("unroll 2")
#define UNROLL _Pragma("unroll")
#endif

// Every lane gets the same sum: the tree does not depend on the lane.
static __device__ __forceinline__ float warp_sum(float v)
{
    for (int lanes = 16; lanes > 0; lanes /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, lanes);
    return v;
}

static __device__ __forceinline__ float warp_max(float v)
{
    for (int lanes = 16; lanes > 0; lanes /= 2)
        v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, lanes));
    return v;
}

// Halves are uint16_t everywhere.
static __device__ __forceinline__ float half_to_float(uint16_t h)
{
#ifdef INFER_CUDA_EMULATE
    return emulate::half_to_float(h);
#else
    float v;
    asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(h));
    return v;
#endif
}

static __device__ __forceinline__ uint16_t float_to_half(float v) // to nearest, ties to even
{
#ifdef INFER_CUDA_EMULATE
    return emulate::float_to_half(v);
#else
    uint16_t h;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(v));
    return h;
#endif
}

static __device__ __forceinline__ float bf16_to_float(uint16_t h) { return __uint_as_float((uint32_t)h << 16); }

#endif
