// products_iq.cu - products of the IQ types and the ternary ones: their grids and digits are resolved when weights are packed.
#include "product_launch.cuh"

template <int LOW, int HIGH, int CODE, int SCALE> using span = byte_span<form8<LOW, HIGH, CODE, SCALE>>;

int launch_product_iq(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid)
{
    switch (dtype) {
    case INFER_DTYPE_IQ3_XXS:
    case INFER_DTYPE_IQ3_S:
    case INFER_DTYPE_IQ4_XS: return launch_span<span<4, 0, CODE_TABLE, SCALE_BYTES_32>>(d, job, grid);
    case INFER_DTYPE_IQ1_S:
    case INFER_DTYPE_IQ2_XXS: return launch_span<span<2, 1, CODE_TABLE, SCALE_BYTES_32>>(d, job, grid);
    case INFER_DTYPE_IQ1_M:
    case INFER_DTYPE_IQ2_XS:
    case INFER_DTYPE_IQ2_S: return launch_span<span<2, 1, CODE_TABLE, SCALE_BYTES_16>>(d, job, grid);
    default: return launch_span<span<2, 0, CODE_SIGNED, SCALE_BYTES_32>>(d, job, grid); // TQ1_0, TQ2_0
    }
}
