// element.cuh - ELEMENT, COPY, GATHER, PREVIOUS, EXPERT_SUM and POOL: a thread an element of the result. Each has the CPU's bits.
#ifndef INFER_CUDA_ELEMENT_CUH
#define INFER_CUDA_ELEMENT_CUH

#include "math.cuh"
#include "rows.cuh"

#define ELEMENT_THREADS 256 // of a block; grids: (rows, columns / 256 rounded up)

struct element_shape {
    int32_t kind, act;
    float f0, f1, f2;
};

static __device__ __forceinline__ float element_of(const struct element_shape &s, float x, float y)
{
    switch (s.kind) {
    case INFER_EL_ADD: return x * s.f0 + y * s.f1;
    case INFER_EL_MUL: return x * y * s.f0;
    case INFER_EL_ACT: return act_of(s.act, x * s.f0, s.f1, s.f2);
    case INFER_EL_ACT_MUL: return gate_of(s.act, x * s.f0, y, s.f1, s.f2);
    case INFER_EL_CLAMP: return smaller_of(s.f1, larger_of(s.f0, x));
    default: return x * act_of(s.act, y, s.f1, s.f2); // INFER_EL_MUL_ACT
    }
}

__global__ void __launch_bounds__(ELEMENT_THREADS) element(const struct step *step, struct view a, struct view b, struct view out, struct element_shape s)
{
    int64_t row = blockIdx.x, i = (int64_t)blockIdx.y * ELEMENT_THREADS + threadIdx.x;
    if (row >= rows_in(step, out.rows_kind) || i >= out.cols)
        return;
    float y = b.data ? row_of(b, row)[b.cols == 1 ? 0 : i] : 0.0f;
    row_of(out, row)[i] = element_of(s, row_of(a, row)[i], y);
}

// Heads of `width` elements, in_step and out_step apart.
__global__ void __launch_bounds__(ELEMENT_THREADS) copy_heads(const struct step *step, struct view in, struct view out, int heads, int width, int in_step, int out_step)
{
    int64_t row = blockIdx.x, i = (int64_t)blockIdx.y * ELEMENT_THREADS + threadIdx.x, head = i / width;
    if (row >= rows_in(step, out.rows_kind) || head >= heads)
        return;
    row_of(out, row)[head * out_step + i % width] = row_of(in, row)[head * in_step + i % width];
}

__global__ void __launch_bounds__(ELEMENT_THREADS) gather(const struct step *step, struct view in, struct view out)
{
    int64_t row = blockIdx.x, i = (int64_t)blockIdx.y * ELEMENT_THREADS + threadIdx.x;
    if (row < step->wanted_count && i < out.cols)
        row_of(out, row)[i] = row_of(in, step->wanted[row])[i];
}

__global__ void __launch_bounds__(ELEMENT_THREADS) previous(const struct step *step, struct view in, struct view out)
{
    int64_t row = blockIdx.x, i = (int64_t)blockIdx.y * ELEMENT_THREADS + threadIdx.x;
    if (row >= step->rows || i >= out.cols)
        return;
    int32_t sequence = step->sequences[row];
    float v = step->carry ? step->carry[sequence * out.cols + i] : 0.0f;
    if (row > 0 && step->sequences[row - 1] == sequence)
        v = row_of(in, row - 1)[i];
    row_of(out, row)[i] = v;
}

__global__ void __launch_bounds__(ELEMENT_THREADS) expert_sum(const struct step *step, struct view y, struct view weights, struct view residual, struct view out)
{
    int64_t row = blockIdx.x, i = (int64_t)blockIdx.y * ELEMENT_THREADS + threadIdx.x;
    int used = step->experts_used;
    if (row >= step->rows || i >= out.cols)
        return;
    float sum = 0;
    for (int k = 0; k < used; k++)
        sum = fmaf(row_of(y, row * used + k)[i], row_of(weights, row)[k], sum);
    row_of(out, row)[i] = residual.data ? sum + row_of(residual, row)[i] : sum;
}

// The mean over the rows of a wanted row's sequence, added in their order.
__global__ void __launch_bounds__(ELEMENT_THREADS) pool(const struct step *step, struct view in, struct view out)
{
    int64_t wanted = blockIdx.x, i = (int64_t)blockIdx.y * ELEMENT_THREADS + threadIdx.x;
    if (wanted >= step->wanted_count || i >= out.cols)
        return;
    int32_t sequence = step->sequences[step->wanted[wanted]], first = step->first[sequence], count = step->count[sequence];
    float sum = 0;
    for (int32_t r = first; r < first + count; r++)
        sum += row_of(in, r)[i];
    row_of(out, wanted)[i] = sum / (float)count;
}

#endif
