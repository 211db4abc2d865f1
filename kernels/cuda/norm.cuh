// norm.cuh - NORM: WARPS warps normalise a group of a row; a block of NORM_WARPS takes NORM_WARPS/WARPS groups. A thread adds up elements that lie as
// many apart as it has fellows, then lanes and warps add up in a fixed order: the order depends on the group's width alone. Elements stay in registers
// where they fit.
#ifndef INFER_CUDA_NORM_CUH
#define INFER_CUDA_NORM_CUH

#include "rows.cuh"

#define NORM_WARPS 16
#define NORM_HELD 16 // elements of a thread

struct norm_shape {
    int64_t width; // of a group
    int32_t groups, kind;
    int64_t weight_step; // from a group's weights to the next one's; 0: they share them
    float epsilon;
};

// The elements of a thread, in order: from registers, or anew from memory.
template <bool HELD, int THREADS, typename Each>
static __device__ __forceinline__ void each_element(const float *in, const float *held, int64_t width, int at, Each each)
{
    if constexpr (HELD) {
        UNROLL
        for (int n = 0; n < NORM_HELD; n++)
            if (at + n * THREADS < width)
                each(at + n * THREADS, held[n]);
    } else {
        for (int64_t i = at; i < width; i += THREADS)
            each(i, in[i]);
    }
}

// grid: (rows, groups / (16/WARPS) rounded up). HELD: a group has at most 16 elements a thread
template <int WARPS, bool HELD>
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
    float held[HELD ? NORM_HELD : 1], mean = 0, squares = 0;
    if constexpr (HELD) {
        UNROLL
        for (int n = 0; n < NORM_HELD; n++)
            held[n] = at + n * threads < s.width ? in[at + n * threads] : 0.0f;
    }
    if (s.kind == INFER_NORM_LAYER) {
        float sum = 0;
        each_element<HELD, threads>(in, held, s.width, at, [&](int64_t, float v) { sum += v; });
        mean = block_sum<WARPS>(sum, parts) / (float)s.width;
    }
    each_element<HELD, threads>(in, held, s.width, at, [&](int64_t, float v) { squares = fmaf(v - mean, v - mean, squares); });
    squares = block_sum<WARPS>(squares, parts);
    float factor = 1.0f / sqrtf((s.kind == INFER_NORM_L2 ? squares : squares / (float)s.width) + s.epsilon);
    const float *w = weight.data ? (const float *)weight.data + group * s.weight_step : NULL;
    const float *b = bias.data ? (const float *)bias.data + group * s.weight_step : NULL;
    float *to = row_of(out, row) + group * s.width;
    each_element<HELD, threads>(in, held, s.width, at, [&](int64_t i, float v) {
        v = (v - mean) * factor;
        v = w ? v * w[i] : v;
        to[i] = b ? v + b[i] : v;
    });
}

#endif
