// product_floats.cuh - F32 weights as they lie in the file, times the input itself: a warp a row, 8 columns at a time. A lane adds every 32nd
// column in order, a fixed tree adds the lanes.
#ifndef INFER_CUDA_PRODUCT_FLOATS_CUH
#define INFER_CUDA_PRODUCT_FLOATS_CUH

#include "product_job.cuh"

#define FLOAT_COLUMNS 8

// acc[c] = the lane's part of row . column c
static __device__ __forceinline__ void multiply_floats(const float *row, const float *const x[FLOAT_COLUMNS], int64_t cols, int lane, float acc[FLOAT_COLUMNS])
{
    for (int c = 0; c < FLOAT_COLUMNS; c++)
        acc[c] = 0;
    NO_UNROLL // eight columns at a time keep enough loads under way
    for (int64_t i = lane; i < cols; i += 32) {
        float w = __ldg(row + i);
        for (int c = 0; c < FLOAT_COLUMNS; c++)
            acc[c] = fmaf(w, x[c][i], acc[c]);
    }
    for (int c = 0; c < FLOAT_COLUMNS; c++)
        acc[c] = warp_sum(acc[c]);
}

// grid: (column tiles, rows / 8 rounded up, matrices), block: 256. w_stride: bytes from row to row of both matrices
__global__ void __launch_bounds__(256, 2) product_floats(struct product_job job, int64_t w_stride)
{
    const struct columns c = columns_of(job, FLOAT_COLUMNS);
    const int lane = (int)threadIdx.x % 32, row = (int)(blockIdx.y * 8 + threadIdx.x / 32);
    if (c.count <= 0 || row >= job.rows)
        return; // a whole warp
    const float *x[FLOAT_COLUMNS];
    for (int i = 0; i < FLOAT_COLUMNS; i++)
        x[i] = (const float *)form_row(job, c, i);
    float y[FLOAT_COLUMNS], y2[FLOAT_COLUMNS];
    const int64_t at = c.mat * job.mat_bytes + row * w_stride;
    multiply_floats((const float *)(job.w[0] + at), x, job.cols, lane, y);
    if (job.w[1])
        multiply_floats((const float *)(job.w[1] + at), x, job.cols, lane, y2);
    for (int i = 0; i < FLOAT_COLUMNS; i++)
        if (lane == i && i < c.count)
            finish(job, c, i, row, y[i], job.w[1] ? y2[i] : 0.0f);
}

#endif
