// store.cu - the driver of STORE.
#include "store.cuh"

static int launch_store(struct device *d, int32_t number)
{
    const struct infer_op *op = device_op(d, number);
    struct view k = device_view(d, op->in[0]);
    struct cache_view c = cache_of(d, op->n[0]);
    unsigned parts = (unsigned)((c.heads * (c.k_dim + c.v_dim) + 1023) / 1024); // 4 values a thread
    return launch(d, "store", store, dim3((unsigned)device_rows(d, k.rows_kind), parts), dim3(256), 0, device_step(d), k, device_view(d, op->in[1]), c);
}

extern const struct op_driver driver_store;
const struct op_driver driver_store = {NULL, NULL, launch_store, 0};
