// cpu_avx2_amd64.c - the variant avx2: AVX2, FMA, F16C.

#pragma GCC target("avx2,fma,f16c")

#include "cpu_avx2.h"

static bool avx2_supported(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"); }

const struct cpu_variant infer_cpu_avx2 = {
    .name = "avx2", .supported = avx2_supported, .panel_bytes = infer_packed_bytes, .pack = infer_pack,
    .product = wide_product, .product_scratch = wide_product_scratch, CPU_ROWS(rows_quantize32, rows_quantize256)
};
