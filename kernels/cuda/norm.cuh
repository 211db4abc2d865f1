// norm.cuh - NORM: a group of a row is normalised by WARPS warps; a block of 8 warps takes 8/WARPS groups. A thread adds up elements a block's
// width apart, then lanes and warps add up in a fixed order: the order depends on the group's width alone.
#ifndef INFER_CUDA_NORM_CUH
#define INFER_CUDA_NORM_CUH

#include "rows.cuh"

#define NORM_WARPS 8

struct norm_shape {
    int64_t width; // of a group
    int32_t groups, kind;
    int64_t weight_step; // from a group's weights to the next one's; 0: they share them
    float epsilon;
};

// grid: (rows, groups / (8/WARPS) rounded up)
template <int WARPS>
__global__ void __launch_bounds__(32 * NORM_WARPS)
norm(const struct step *step, struct view x, struct view weight, struct view bias, struct view out, struct norm_shape s)
{
    __shared__ float parts[NORM_WARPS];
    const int threads = 32 * WARPS;
    int64_t row = blockIdx.x;
    int at = (int)threadIdx.x % threads, group = (int)(blockIdx.y * (NORM_WARPS / WARPS) + threadIdx.x / threads);
    if (row >= rows_in(step, x.rows_kind) || (WARPS == 1 && group >= s.groups))
        return; // a whole block, or a whole warp of those that need no barrier
    const float *in = row_of(x, row) + group * s.width;
    float mean = 0;
    if (s.kind == INFER_NORM_LAYER) {
        float sum = 0;
        for (int64_t i = at; i < s.width; i += threads)
            sum += in[i];
        mean = block_sum<WARPS>(sum, parts) / (float)s.width;
    }
    float squares = 0;
    for (int64_t i = at; i < s.width; i += threads)
        squares = fmaf(in[i] - mean, in[i] - mean, squares);
    squares = block_sum<WARPS>(squares, parts);
    float factor = 1.0f / sqrtf((s.kind == INFER_NORM_L2 ? squares : squares / (float)s.width) + s.epsilon);
    const float *w = weight.data ? (const float *)weight.data + group * s.weight_step : NULL;
    const float *b = bias.data ? (const float *)bias.data + group * s.weight_step : NULL;
    float *to = row_of(out, row) + group * s.width;
    for (int64_t i = at; i < s.width; i += threads) {
        float v = (in[i] - mean) * factor;
        if (w)
            v = v * w[i];
        if (b)
            v = v + b[i];
        to[i] = v;
    }
}

#endif
