// embed.cuh - EMBED: rows of a table, by token, position or type.
#ifndef INFER_CUDA_EMBED_CUH
#define INFER_CUDA_EMBED_CUH

#include "dequantize.cuh"
#include "rows.cuh"

// grid: (rows, columns / 256 rounded up), block: 256. by: n0 of the op
__global__ void __launch_bounds__(256) embed(const struct step *step, struct view table, struct view out, int by, float factor)
{
    int64_t row = blockIdx.x, i = (int64_t)blockIdx.y * 256 + threadIdx.x;
    if (row >= step->rows || i >= out.cols)
        return;
    int32_t index = by == 0 ? step->ids[row] : by == 1 ? step->positions[row] : step->types ? step->types[row] : 0;
    float v = weight_value(table.dtype, (const uint8_t *)table.data + index * table.stride, i);
    row_of(out, row)[i] = factor != 1.0f ? v * factor : v;
}

#endif
