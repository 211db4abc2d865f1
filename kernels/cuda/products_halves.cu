// products_halves.cu - products of F16 and BF16 weights.
#include "product_launch.cuh"

int launch_product_halves(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid)
{
    return dtype == INFER_DTYPE_F16 ? launch_span<half_span<false>>(d, job, grid) : launch_span<half_span<true>>(d, job, grid);
}
