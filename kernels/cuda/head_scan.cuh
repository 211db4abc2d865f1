// head_scan.cuh - HEAD_SCAN (Mamba 2): a block a part of a head's values of a sequence walks its rows, the state in registers.
#ifndef INFER_CUDA_HEAD_SCAN_CUH
#define INFER_CUDA_HEAD_SCAN_CUH

#include "recurrent.cuh"

struct head_scan_inputs {
    struct view x, dt, b, c, a, d, bias;
};

// grid: (heads x column_blocks, sequences), block: 256
__global__ void __launch_bounds__(COLUMN_THREADS, 2) head_scan(const struct step *step, struct head_scan_inputs in, struct view out, struct cache_view c, int heads, int groups, int states)
{
    __shared__ __align__(16) float b[GATHERED], projection[GATHERED], widths[GATHERED_ROWS], decays[GATHERED_ROWS], held[GATHERED_ROWS][COLUMN_THREADS];
    if ((int32_t)blockIdx.y >= step->sequence_count)
        return;
    struct segment s = segment_of(step, c, (int32_t)blockIdx.y);
    int parts = column_parts(states), blocks = (int)gridDim.x / heads, head = (int)blockIdx.x / blocks, width = (int)(out.cols / heads), whole = (width + 15) / 16 * 16;
    struct column own = {parts, (int32_t)threadIdx.x % parts, states, (int32_t)(blockIdx.x % blocks * (COLUMN_THREADS / parts) + threadIdx.x / parts), false};
    own.exists = own.value < whole;
    int64_t at = (int64_t)head * whole * states, value = (int64_t)head * width + own.value;
    bool inside = own.value < width;
    float h[COLUMN_ROWS], skip = ((const float *)in.d.data)[head];
    load_column(h, own, s.read ? s.read + at : NULL);
    for (int32_t first = 0, together = gathered_rows(parts); first < s.rows; first += together) {
        int count = s.rows - first < together ? s.rows - first : together, group = head / (heads / groups);
        __syncthreads(); // the last rows' inputs are no longer read
        hold_values(held, in.x, s.first + first, count, value, inside);
        gather_rows(b, in.b, s.first + first, count, (int64_t)group * states, parts, states);
        gather_rows(projection, in.c, s.first + first, count, (int64_t)group * states, parts, states);
        if ((int)threadIdx.x < count) {
            float d = softplus_of(row_of(in.dt, s.first + first + threadIdx.x)[head] + ((const float *)in.bias.data)[head]);
            widths[threadIdx.x] = d;
            decays[threadIdx.x] = exp_of(d * ((const float *)in.a.data)[head]);
        }
        __syncthreads();
        for (int t = 0; t < count; t++) {
            float x = held[t][threadIdx.x], input = widths[t] * x, sum = 0, decay = decays[t];
            const float *own_b = b + gathered_at(parts, t, own.part * COLUMN_ROWS), *own_c = projection + gathered_at(parts, t, own.part * COLUMN_ROWS);
            UNROLL
            for (int i = 0; i < COLUMN_ROWS; i++) {
                h[i] = fmaf(h[i], decay, input * own_b[i]);
                sum = fmaf(h[i], own_c[i], sum);
            }
            sum = column_sum(sum, parts);
            if (inside && own.part == 0)
                row_of(out, s.first + first + t)[value] = fmaf(skip, x, sum);
            int32_t slot = slot_after(s, first + t);
            if (slot >= 0)
                store_column(h, own, slot_of(c, slot) + at);
        }
    }
}

#endif
