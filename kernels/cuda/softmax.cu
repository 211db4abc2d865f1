// softmax.cu - the driver of SOFTMAX.
#include "softmax.cuh"

static int launch_softmax(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    return launch(d, "softmax", softmax, dim3((unsigned)device_rows(d, out.rows_kind)), dim3(256), 0, device_step(d), device_view(d, op->in[0]), out);
}

extern const struct op_driver driver_softmax;
const struct op_driver driver_softmax = {NULL, NULL, launch_softmax, 0};
