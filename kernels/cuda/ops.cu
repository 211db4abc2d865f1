// ops.cu - which kind of op has which driver.
#include "device.h"

extern const struct op_driver driver_embed, driver_norm, driver_angles, driver_rope, driver_store, driver_attention, driver_route, driver_expert_sum, driver_element, driver_copy, driver_gather,
    driver_pool, driver_softmax, driver_previous;

const struct op_driver *const op_drivers[32] = { // by enum infer_op_kind
    NULL,
    &driver_embed,      // 1
    &driver_norm,       // 2
    NULL,               // 3: MATMUL
    NULL,               // 4: HEADS
    &driver_angles,     // 5
    &driver_rope,       // 6
    &driver_store,      // 7
    &driver_attention,  // 8
    &driver_route,      // 9
    NULL,               // 10: EXPERTS
    &driver_expert_sum, // 11
    &driver_element,    // 12
    &driver_copy,       // 13
    &driver_gather,     // 14
    NULL,               // 15: CONV
    NULL,               // 16: SCAN
    NULL,               // 17: HEAD_SCAN
    NULL,               // 18: DELTA
    NULL, NULL, NULL, NULL, NULL,
    &driver_pool,       // 24
    &driver_softmax,    // 25
    &driver_previous,   // 26
};
