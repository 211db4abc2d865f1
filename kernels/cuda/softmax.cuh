// softmax.cuh - SOFTMAX over rows, a block a row.
#ifndef INFER_CUDA_SOFTMAX_CUH
#define INFER_CUDA_SOFTMAX_CUH

#include "math.cuh"
#include "rows.cuh"

// grid: (rows), block: 256
__global__ void __launch_bounds__(256) softmax(const struct step *step, struct view x, struct view out)
{
    __shared__ float parts[8];
    int64_t row = blockIdx.x;
    if (row >= rows_in(step, out.rows_kind))
        return;
    const float *in = row_of(x, row);
    float *to = row_of(out, row), highest = -INFINITY, sum = 0;
    for (int64_t i = threadIdx.x; i < out.cols; i += 256)
        highest = fmaxf(highest, in[i]);
    highest = block_max<8>(highest, parts);
    for (int64_t i = threadIdx.x; i < out.cols; i += 256) {
        to[i] = exp_of(in[i] - highest);
        sum += to[i];
    }
    sum = block_sum<8>(sum, parts);
    for (int64_t i = threadIdx.x; i < out.cols; i += 256)
        to[i] = to[i] / sum;
}

#endif
