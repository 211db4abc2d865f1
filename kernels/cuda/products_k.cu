// products_k.cu - products of the K types.
#include "product_launch.cuh"

template <int LOW, int HIGH, int CODE, int SCALE> using span = byte_span<form8<LOW, HIGH, CODE, SCALE>>;

int launch_product_k(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid)
{
    switch (dtype) {
    case INFER_DTYPE_Q2_K: return launch_span<span<2, 0, CODE_UNSIGNED, SCALE_NIBBLES_MIN>>(d, job, grid);
    case INFER_DTYPE_Q3_K: return launch_span<span<2, 1, CODE_SIGNED, SCALE_BYTES_16>>(d, job, grid);
    case INFER_DTYPE_Q4_K: return launch_span<span<4, 0, CODE_UNSIGNED, SCALE_BYTES_MIN>>(d, job, grid);
    case INFER_DTYPE_Q5_K: return launch_span<span<4, 1, CODE_UNSIGNED, SCALE_BYTES_MIN>>(d, job, grid);
    default: return launch_span<span<4, 2, CODE_SIGNED, SCALE_BYTES_16>>(d, job, grid); // Q6_K
    }
}
