// products_32.cu - products of the types with a float scale every 32 weights.
#include "product_launch.cuh"

template <int LOW, int HIGH, int CODE, int SCALE> using span = byte_span<form8<LOW, HIGH, CODE, SCALE>>;

int launch_product_32(struct device *d, uint32_t dtype, const struct product_job &job, const struct product_grid &grid)
{
    switch (dtype) {
    case INFER_DTYPE_Q4_0: return launch_span<span<4, 0, CODE_SIGNED, SCALE_HALF>>(d, job, grid);
    case INFER_DTYPE_Q4_1: return launch_span<span<4, 0, CODE_UNSIGNED, SCALE_HALF_MIN>>(d, job, grid);
    case INFER_DTYPE_Q5_0: return launch_span<span<4, 1, CODE_SIGNED, SCALE_HALF>>(d, job, grid);
    case INFER_DTYPE_Q5_1: return launch_span<span<4, 1, CODE_UNSIGNED, SCALE_HALF_MIN>>(d, job, grid);
    case INFER_DTYPE_Q8_0: return launch_span<span<8, 0, CODE_SIGNED, SCALE_HALF>>(d, job, grid);
    case INFER_DTYPE_IQ4_NL: return launch_span<span<4, 0, CODE_TABLE, SCALE_HALF>>(d, job, grid);
    case INFER_DTYPE_MXFP4: return launch_span<span<4, 0, CODE_TABLE, SCALE_E8M0>>(d, job, grid);
    case INFER_DTYPE_NVFP4: return launch_span<span<4, 0, CODE_TABLE, SCALE_E4M3>>(d, job, grid);
    case INFER_DTYPE_Q1_0: return launch_span<span<0, 1, CODE_SIGN, SCALE_HALF>>(d, job, grid);
    default: return launch_span<span<2, 0, CODE_SIGNED, SCALE_HALF>>(d, job, grid); // Q2_0
    }
}
