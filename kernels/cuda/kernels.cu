// kernels.cu - what nvcc compiles: every kernel, once.
#include "norm.cuh"
#include "product32.cuh"

template __global__ void product32<false>(const uint8_t *, const activations32 *, float *, int, int);
template __global__ void product32<true>(const uint8_t *, const activations32 *, float *, int, int);
