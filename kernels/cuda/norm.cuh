// norm.cuh - RMS norm: one block of 256 threads a row. [rows, width] -> [rows, width]
#ifndef INFER_CUDA_NORM_CUH
#define INFER_CUDA_NORM_CUH

#include "common.cuh"

__global__ void __launch_bounds__(256) norm_rms(const float *x, const float *weight, float *out, int width, float epsilon)
{
    __shared__ float part[8]; // a warp's sum each
    const float *row = x + (int64_t)blockIdx.x * width;
    float sum = 0;
    for (int i = (int)threadIdx.x; i < width; i += 256)
        sum = fmaf(row[i], row[i], sum);
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0)
        part[threadIdx.x / 32] = sum;
    __syncthreads();
    float total = 0;
    for (int i = 0; i < 8; i++)
        total += part[i];
    float scale = __frsqrt_rn(total / (float)width + epsilon);
    for (int i = (int)threadIdx.x; i < width; i += 256)
        out[(int64_t)blockIdx.x * width + i] = row[i] * scale * (weight ? weight[i] : 1.0f);
}

#endif
