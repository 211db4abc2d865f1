// select.cu - the selection of logits, behind the last op.
#include "select.cuh"

int launch_select(struct device *d, int32_t logits_tensor)
{
    return launch(d, "select_logits", select_logits, dim3((unsigned)device_rows(d, INFER_ROWS_WANTED)), dim3(SELECT_THREADS), 0, device_step(d), device_view(d, logits_tensor));
}
