// warp.h - emulated shuffles, votes, atomics and functions of mathematics.
#ifndef INFER_CUDA_EMULATE_WARP_H
#define INFER_CUDA_EMULATE_WARP_H

static inline float __shfl_xor_sync(uint32_t mask, float v, int lanes)
{
    uint32_t word = __float_as_uint(v);
    int lane = (int)(threadIdx.x % 32);
    return __uint_as_float(emulate::exchange(mask, &word, 1)[lane ^ lanes][0]);
}

static inline float __frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }

#endif
