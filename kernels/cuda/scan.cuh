// scan.cuh - SCAN (Mamba 1): a thread a channel of a sequence walks its rows, with the channel's states in registers, or where there are not
// as many as a kernel was made for, in the slot that takes them. The CPU's bits.
#ifndef INFER_CUDA_SCAN_CUH
#define INFER_CUDA_SCAN_CUH

#include "recurrent.cuh"

#define SCAN_THREADS 64

struct scan_inputs {
    struct view x, dt, b, c, a, d;
};

static __device__ __forceinline__ float scan_state(float h, float step, float input, float a, float b) { return fmaf(h, exp_of(step * a), input * b); }

// grid: (channels / 64 rounded up, sequences), block: 64. STATES: as n1 says, or 0
template <int STATES>
__global__ void __launch_bounds__(SCAN_THREADS, 8) scan(const struct step *step, struct scan_inputs in, struct view out, struct cache_view c, int states)
{
    int64_t channel = (int64_t)blockIdx.x * SCAN_THREADS + threadIdx.x, channels = in.x.cols;
    if ((int32_t)blockIdx.y >= step->sequence_count || channel >= channels)
        return;
    struct segment s = segment_of(step, c, (int32_t)blockIdx.y);
    const float *a = (const float *)in.a.data + channel;
    float skip = ((const float *)in.d.data)[channel], h[STATES ? STATES : 1], decay_of[STATES ? STATES : 1];
    UNROLL
    for (int i = 0; i < STATES; i++) {
        h[i] = s.read ? s.read[i * channels + channel] : 0.0f;
        decay_of[i] = a[i * channels];
    }
    const float *from = s.read; // STATES 0: where the state lies
    float next_x = s.rows ? row_of(in.x, s.first)[channel] : 0.0f, next_step = s.rows ? row_of(in.dt, s.first)[channel] : 0.0f; // read a row ahead
    for (int32_t t = 0; t < s.rows; t++) {
        int32_t slot = slot_after(s, t);
        float *to = slot_of(c, slot >= 0 ? slot : s.slots[0]);
        const float *b = row_of(in.b, s.first + t), *projection = row_of(in.c, s.first + t);
        float x = next_x, width = softplus_of(next_step), input = width * x, sum = 0;
        if (t + 1 < s.rows) {
            next_x = row_of(in.x, s.first + t + 1)[channel];
            next_step = row_of(in.dt, s.first + t + 1)[channel];
        }
        UNROLL
        for (int i = 0; i < STATES; i++) {
            h[i] = scan_state(h[i], width, input, decay_of[i], b[i]);
            sum = fmaf(h[i], projection[i], sum);
        }
        UNROLL
        for (int i = 0; slot >= 0 && i < STATES; i++)
            to[i * channels + channel] = h[i];
        for (int i = 0; STATES == 0 && i < states; i++) {
            float v = scan_state(from ? from[i * channels + channel] : 0.0f, width, input, a[i * channels], b[i]);
            sum = fmaf(v, projection[i], sum);
            to[i * channels + channel] = v;
        }
        from = to;
        row_of(out, s.first + t)[channel] = fmaf(skip, x, sum);
    }
}

#endif
