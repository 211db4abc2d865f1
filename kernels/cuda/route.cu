// route.cu - the driver of ROUTE.
#include "route.cuh"

static const char *route_lacks(const struct infer_plan *plan, int32_t number)
{
    return plan->tensors[plan->ops[number].in[0]].cols > ROUTE_EXPERTS ? "a choice among more than 1024 experts" : NULL;
}

static int launch_route(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view logits = device_view(d, op->in[0]);
    struct route_shape s = {op->n[0], op->n[1], op->n[2], op->n[3], op->n[4], op->f[0]};
    return launch(d, "route", route, dim3((unsigned)device_rows(d, logits.rows_kind)), dim3(32), 0, device_step(d), logits, device_view(d, op->in[1]), device_view(d, op->out),
                  device_view(d, op->out2), s);
}

extern const struct op_driver driver_route;
const struct op_driver driver_route = {route_lacks, NULL, launch_route, 0};
