// rope.cu - the drivers of ANGLES and ROPE.
#include "rope.cuh"

static int launch_angles(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    return launch(d, "angles", angles, dim3((unsigned)device_rows(d, INFER_ROWS_BATCH)), dim3(64), 0, device_step(d), device_view(d, op->in[0]), device_view(d, op->out), op->f[0]);
}

static int launch_rope(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    struct rope_shape s = {op->n[0], op->n[1], op->n[2] / 2, op->n[3], op->n[4]};
    if (s.pairs == 0)
        return INFER_OK;
    unsigned parts = (unsigned)(((int64_t)s.heads * s.pairs + 255) / 256);
    return launch(d, "rope", rope, dim3((unsigned)device_rows(d, out.rows_kind), parts), dim3(256), 0, device_step(d), device_view(d, op->in[1]), out, s);
}

extern const struct op_driver driver_angles, driver_rope;
const struct op_driver driver_angles = {NULL, NULL, launch_angles, 0};
const struct op_driver driver_rope = {NULL, NULL, launch_rope, 0};
