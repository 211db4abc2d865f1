// common.cuh - what kernels share: the compiler's header or the emulator's, and sums over a warp in a fixed order.
#ifndef INFER_CUDA_COMMON_CUH
#define INFER_CUDA_COMMON_CUH

#include <stdint.h>
#ifdef INFER_CUDA_EMULATE
#include "emulate/emulate.h"
#endif

// Every lane gets the same sum: the tree does not depend on the lane.
static __device__ __forceinline__ float warp_sum(float v)
{
    for (int lanes = 16; lanes > 0; lanes /= 2)
        v += __shfl_xor_sync(0xffffffffu, v, lanes);
    return v;
}

#endif
