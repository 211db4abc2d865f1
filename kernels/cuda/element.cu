// element.cu - the drivers of ELEMENT, COPY, GATHER, PREVIOUS, EXPERT_SUM and POOL.
#include "element.cuh"

// A thread for each of `elements` elements of a row.
static dim3 grid_of(const struct device *d, int32_t rows_kind, int64_t elements)
{
    return dim3((unsigned)device_rows(d, rows_kind), (unsigned)((elements + ELEMENT_THREADS - 1) / ELEMENT_THREADS));
}

static int launch_element(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    struct element_shape s = {op->n[0], op->n[1], op->f[0], op->f[1], op->f[2]};
    return launch(d, "element", element, grid_of(d, out.rows_kind, out.cols), dim3(ELEMENT_THREADS), 0, device_step(d), device_view(d, op->in[0]), device_view(d, op->in[1]), out, s);
}

static int launch_copy(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    return launch(d, "copy_heads", copy_heads, grid_of(d, out.rows_kind, (int64_t)op->n[0] * op->n[1]), dim3(ELEMENT_THREADS), 0, device_step(d), device_view(d, op->in[0]), out,
                  op->n[0], op->n[1], op->n[2], op->n[3]);
}

static int launch_gather(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    return launch(d, "gather", gather, grid_of(d, INFER_ROWS_WANTED, out.cols), dim3(ELEMENT_THREADS), 0, device_step(d), device_view(d, op->in[0]), out);
}

static int launch_previous(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    return launch(d, "previous", previous, grid_of(d, INFER_ROWS_BATCH, out.cols), dim3(ELEMENT_THREADS), 0, device_step(d), device_view(d, op->in[0]), out);
}

static int launch_expert_sum(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    return launch(d, "expert_sum", expert_sum, grid_of(d, INFER_ROWS_BATCH, out.cols), dim3(ELEMENT_THREADS), 0, device_step(d), device_view(d, op->in[0]), device_view(d, op->in[1]),
                  device_view(d, op->in[2]), out);
}

static int launch_pool(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view out = device_view(d, op->out);
    return launch(d, "pool", pool, grid_of(d, INFER_ROWS_WANTED, out.cols), dim3(ELEMENT_THREADS), 0, device_step(d), device_view(d, op->in[0]), out);
}

extern const struct op_driver driver_element, driver_copy, driver_gather, driver_previous, driver_expert_sum, driver_pool;
const struct op_driver driver_element = {NULL, NULL, launch_element, 0};
const struct op_driver driver_copy = {NULL, NULL, launch_copy, 0};
const struct op_driver driver_gather = {NULL, NULL, launch_gather, 0};
const struct op_driver driver_previous = {NULL, NULL, launch_previous, 0};
const struct op_driver driver_expert_sum = {NULL, NULL, launch_expert_sum, 0};
const struct op_driver driver_pool = {NULL, NULL, launch_pool, 0};
