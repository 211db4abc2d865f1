// product_launch.cuh - launches of product.cuh's kernels for one kind of span.
#ifndef INFER_CUDA_PRODUCT_LAUNCH_CUH
#define INFER_CUDA_PRODUCT_LAUNCH_CUH

#include "product.cuh"
#include "products.h"

template <class Span> static int launch_span(struct device *d, const struct product_job &job, const struct product_grid &grid)
{
    unsigned row_tiles = (unsigned)((job.rows + TILE_HEIGHT - 1) / TILE_HEIGHT), pair = job.w[1] ? 2 : 1, height = WIDE_WARPS / pair;
    dim3 split((unsigned)grid.tiles, row_tiles, (unsigned)grid.mats), wide((unsigned)grid.tiles, (row_tiles + height - 1) / height, (unsigned)grid.mats);
    switch (grid.width) {
    case PRODUCT_NARROW: return launch(d, "product_split<8>", product_split<Span, 1>, split, dim3(32 * SEGMENTS), 0, job);
    case PRODUCT_MIDDLE: return launch(d, "product_split<32>", product_split<Span, 4>, split, dim3(32 * SEGMENTS), 0, job);
    default: return launch(d, "product_wide", product_wide<Span>, wide, dim3(32 * WIDE_WARPS), wide_shared<Span>(), job);
    }
}

#endif
