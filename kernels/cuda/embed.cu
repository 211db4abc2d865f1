// embed.cu - the driver of EMBED.
#include "embed.cuh"

static int launch_embed(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    dim3 grid((unsigned)device_rows(d, INFER_ROWS_BATCH), (unsigned)((out.cols + 255) / 256));
    return launch(d, "embed", embed, grid, dim3(256), 0, device_step(d), device_view(d, op->in[0]), out, op->n[0], op->f[0]);
}

extern const struct op_driver driver_embed;
const struct op_driver driver_embed = {NULL, NULL, launch_embed, 0};
