// recurrent.cu - the drivers of CONV, SCAN, HEAD_SCAN and DELTA.
#include "conv.cuh"
#include "delta.cuh"
#include "head_scan.cuh"
#include "scan.cuh"

static unsigned sequences_of(const struct device *d) { return (unsigned)device_shape(d)->sequence_count; }

static int launch_conv(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view x = device_view(d, op->in[0]);
    dim3 grid((unsigned)device_rows(d, INFER_ROWS_BATCH), (unsigned)((x.cols + 255) / 256));
    return launch(d, "conv", conv, grid, dim3(256), 0, device_step(d), x, device_view(d, op->in[1]), device_view(d, op->in[2]), device_view(d, op->out), cache_of(d, op->n[0]), op->n[1], op->n[2]);
}

static int launch_scan(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct scan_inputs in = {device_view(d, op->in[0]), device_view(d, op->in[1]), device_view(d, op->in[2]), device_view(d, op->in[3]), device_view(d, op->in[4]), device_view(d, op->in[5])};
    dim3 grid((unsigned)((in.x.cols + SCAN_THREADS - 1) / SCAN_THREADS), sequences_of(d));
    return launch(d, "scan", op->n[1] == 16 ? scan<16> : scan<0>, grid, dim3(SCAN_THREADS), 0, device_step(d), in, device_view(d, op->out), cache_of(d, op->n[0]), op->n[1]);
}

// Rows of a head's state that a block's columns can have.
#define COLUMN_MOST (32 * COLUMN_ROWS)

static const char *head_scan_lacks(const struct infer_plan *plan, int32_t number) { return plan->ops[number].n[3] > COLUMN_MOST ? "a scan of more than 1024 states a head" : NULL; }

static int launch_head_scan(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    struct head_scan_inputs in = {device_view(d, op->in[0]), device_view(d, op->in[1]), device_view(d, op->in[2]), device_view(d, op->in[3]),
                                  device_view(d, op->in[4]), device_view(d, op->in[5]), device_view(d, op->in[6])};
    dim3 grid((unsigned)op->n[1] * column_blocks(out.cols / op->n[1], op->n[3]), sequences_of(d));
    return launch(d, "head_scan", head_scan, grid, dim3(COLUMN_THREADS), 0, device_step(d), in, out, cache_of(d, op->n[0]), op->n[1], op->n[2], op->n[3]);
}

static const char *delta_lacks(const struct infer_plan *plan, int32_t number)
{
    const struct infer_op *op = &plan->ops[number];
    return plan->tensors[op->in[1]].cols / op->n[2] > COLUMN_MOST ? "a delta rule of more than 1024 keys a head" : NULL;
}

static int launch_delta(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    struct delta_inputs in = {device_view(d, op->in[0]), device_view(d, op->in[1]), device_view(d, op->in[2]), device_view(d, op->in[3]),
                              device_view(d, op->in[4]), device_view(d, op->in[5]), device_view(d, op->in[6])};
    struct delta_shape shape = {op->n[1], op->n[2], (int32_t)(in.k.cols / op->n[2]), op->n[3], op->f[0]};
    dim3 grid((unsigned)op->n[1] * column_blocks(out.cols / op->n[1], shape.keys), sequences_of(d));
    return launch(d, "delta", delta, grid, dim3(COLUMN_THREADS), 0, device_step(d), in, out, cache_of(d, op->n[0]), shape);
}

extern const struct op_driver driver_conv, driver_scan, driver_head_scan, driver_delta;
const struct op_driver driver_conv = {NULL, NULL, launch_conv, 0};
const struct op_driver driver_scan = {NULL, NULL, launch_scan, 0};
const struct op_driver driver_head_scan = {head_scan_lacks, NULL, launch_head_scan, 0};
const struct op_driver driver_delta = {delta_lacks, NULL, launch_delta, 0};
