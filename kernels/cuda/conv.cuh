// conv.cuh - CONV: a thread a row and channel. A row's taps before the sequence's first row come from its state. The CPU's bits.
#ifndef INFER_CUDA_CONV_CUH
#define INFER_CUDA_CONV_CUH

#include "recurrent.cuh"

// Input t of the sequence, t from -(taps - 1): those before its first row are the state's.
static __device__ __forceinline__ float conv_input(const struct view &x, const struct segment &s, int taps, int32_t t, int64_t channel)
{
    if (t >= 0)
        return row_of(x, s.first + t)[channel];
    return s.read ? s.read[(t + taps - 1) * x.cols + channel] : 0.0f;
}

// Writes the state after row t, where a slot takes it: the last taps - 1 inputs, oldest first.
static __device__ __forceinline__ void conv_state(const struct view &x, const struct cache_view &c, const struct segment &s, int taps, int32_t t, int64_t channel)
{
    int32_t slot = slot_after(s, t);
    for (int k = 0; slot >= 0 && k < taps - 1; k++)
        slot_of(c, slot)[k * x.cols + channel] = conv_input(x, s, taps, t - taps + 2 + k, channel);
}

// grid: (rows, channels / 256 rounded up), block: 256
__global__ void __launch_bounds__(256) conv(const struct step *step, struct view x, struct view weight, struct view bias, struct view out, struct cache_view c, int act, int taps)
{
    int64_t row = blockIdx.x, channel = (int64_t)blockIdx.y * 256 + threadIdx.x;
    if (row >= step->rows || channel >= x.cols)
        return;
    struct segment s = segment_of(step, c, step->sequences[row]);
    int32_t t = (int32_t)row - s.first;
    float sum = bias.data ? ((const float *)bias.data)[channel] : 0.0f;
    for (int k = 0; k < taps; k++)
        sum = fmaf(((const float *)weight.data)[k * x.cols + channel], conv_input(x, s, taps, t - taps + 1 + k, channel), sum);
    row_of(out, row)[channel] = act_of(act, sum, 0, 0);
    conv_state(x, c, s, taps, t, channel);
}

#endif
