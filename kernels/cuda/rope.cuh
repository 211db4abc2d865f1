// rope.cuh - ANGLES and ROPE. The angles are computed in double, by the CPU's polynomials: they have its bits.
#ifndef INFER_CUDA_ROPE_CUH
#define INFER_CUDA_ROPE_CUH

#include "math.cuh"
#include "rows.cuh"

// grid: (rows), block: 64. out: (cos, sin) pairs
__global__ void __launch_bounds__(64) angles(const struct step *step, struct view freqs, struct view out, float magnitude)
{
    int64_t row = blockIdx.x;
    if (row >= step->rows)
        return;
    const float *freq = (const float *)freqs.data;
    float *to = row_of(out, row);
    for (int64_t i = threadIdx.x; i < freqs.cols; i += 64) {
        double s, c;
        sin_cos((double)step->positions[row] * (double)freq[i], &s, &c);
        to[2 * i] = (float)c * magnitude;
        to[2 * i + 1] = (float)s * magnitude;
    }
}

struct rope_shape {
    int32_t heads, head_step, pairs, style, first; // head_step, first: elements
};

// grid: (rows, heads x pairs / 256 rounded up), block: 256. In place.
__global__ void __launch_bounds__(256) rope(const struct step *step, struct view angles, struct view out, struct rope_shape s)
{
    int64_t row = blockIdx.x;
    int i = (int)(blockIdx.y * 256 + threadIdx.x), head = i / s.pairs, pair = i % s.pairs;
    if (row >= rows_in(step, out.rows_kind) || head >= s.heads)
        return;
    bool neighbours = s.style == INFER_ROPE_PAIRS;
    float *a = row_of(out, row) + (int64_t)head * s.head_step + s.first + (neighbours ? 2 * pair : pair), *b = a + (neighbours ? 1 : s.pairs);
    float c = row_of(angles, row)[2 * pair], sine = row_of(angles, row)[2 * pair + 1], x = *a, y = *b;
    *a = x * c - y * sine;
    *b = x * sine + y * c;
}

#endif
