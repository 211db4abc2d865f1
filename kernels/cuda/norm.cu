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
    if (s.width <= 512) // a warp a group
        return launch(d, "norm", norm<1>, dim3(rows, (groups + NORM_WARPS - 1) / NORM_WARPS), dim3(32 * NORM_WARPS), 0, device_step(d), x, weight, bias, out, s);
    return launch(d, "norm", norm<NORM_WARPS>, dim3(rows, groups), dim3(32 * NORM_WARPS), 0, device_step(d), x, weight, bias, out, s);
}

extern const struct op_driver driver_norm;
const struct op_driver driver_norm = {NULL, NULL, launch_norm, 0};
