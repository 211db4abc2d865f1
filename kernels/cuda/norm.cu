// norm.cu - the driver of NORM.
#include "norm.cuh"

static int launch_norm(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view x = device_view(d, op->in[0]), weight = device_view(d, op->in[1]), bias = device_view(d, op->in[2]), out = device_view(d, op->out);
    struct norm_shape s = {out.cols / op->n[1], op->n[1], op->n[0], 0, op->f[0]};
    if (weight.data && weight.cols * weight.rows != s.width)
        s.weight_step = s.width;
    unsigned rows = (unsigned)device_rows(d, x.rows_kind), groups = (unsigned)s.groups;
    bool narrow = s.width <= 32 * NORM_HELD; // a warp a group
    auto kernel = narrow ? norm<1, true> : s.width <= 32 * NORM_WARPS * NORM_HELD ? norm<NORM_WARPS, true> : norm<NORM_WARPS, false>;
    dim3 grid(rows, narrow ? (groups + NORM_WARPS - 1) / NORM_WARPS : groups);
    return launch(d, "norm", kernel, grid, dim3(32 * NORM_WARPS), 0, device_step(d), x, weight, bias, out, s);
}

extern const struct op_driver driver_norm;
const struct op_driver driver_norm = {NULL, NULL, launch_norm, 0};
