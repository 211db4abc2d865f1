// ops.cu - which kind of op has which driver.
#include "device.h"

extern const struct op_driver driver_matmul, driver_heads, driver_experts, driver_embed, driver_norm, driver_angles, driver_rope, driver_store, driver_attention, driver_route, driver_expert_sum, driver_element, driver_copy, driver_gather,
    driver_pool, driver_softmax, driver_previous, driver_conv, driver_scan, driver_head_scan, driver_delta;

const struct op_driver *const op_drivers[32] = { // by enum infer_op_kind
    NULL,
    &driver_embed,      // 1
    &driver_norm,       // 2
    &driver_matmul,     // 3
    &driver_heads,      // 4
    &driver_angles,     // 5
    &driver_rope,       // 6
    &driver_store,      // 7
    &driver_attention,  // 8
    &driver_route,      // 9
    &driver_experts,    // 10
    &driver_expert_sum, // 11
    &driver_element,    // 12
    &driver_copy,       // 13
    &driver_gather,     // 14
    &driver_conv,       // 15
    &driver_scan,       // 16
    &driver_head_scan,  // 17
    &driver_delta,      // 18
    NULL, NULL, NULL, NULL, NULL,
    &driver_pool,       // 24
    &driver_softmax,    // 25
    &driver_previous,   // 26
};
