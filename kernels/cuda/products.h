// products.h - how the files of products find each other's kernels: each compiles those of some data types.
#ifndef INFER_CUDA_PRODUCTS_H
#define INFER_CUDA_PRODUCTS_H

#include "product_job.cuh"

// How wide a launch is: columns that a block has.
enum product_width { PRODUCT_NARROW, PRODUCT_MIDDLE, PRODUCT_WIDE };

struct product_grid {
    int32_t tiles; // of columns
    int32_t mats;
    enum product_width width;
};

// Columns of a block (of the form: terms count).
static inline int block_columns(uint32_t dtype, enum product_width width)
{
    bool halves = dtype == INFER_DTYPE_F16 || dtype == INFER_DTYPE_BF16;
    return dtype == INFER_DTYPE_F32 || width == PRODUCT_NARROW ? 8 : width == PRODUCT_MIDDLE || halves ? 32 : 64;
}

int launch_product_32(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid);
int launch_product_k(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid);
int launch_product_iq(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid);
int launch_product_halves(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid);

#endif
