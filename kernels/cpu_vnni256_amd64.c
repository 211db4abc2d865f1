// cpu_vnni256_amd64.c - the variant vnni256: avxvnni's code by the instructions of AVX-512 with registers of 256 bits. For processors that
// lower their clock for wide registers, and for tests of that code where only AVX-512 has the dot product.

#pragma GCC target("avx2,fma,f16c,avx512f,avx512vl,avx512vnni")

#include <immintrin.h>

#define DPBUSD _mm256_dpbusd_epi32
#include "cpu_avx2.h"

static bool vnni256_supported(void) { return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("fma"); }

const struct cpu_variant infer_cpu_vnni256 = {
    .name = "vnni256", .supported = vnni256_supported, .panel_bytes = infer_packed_bytes, .pack = infer_pack,
    .product = wide_product, .product_scratch = wide_product_scratch, CPU_ROWS(rows_quantize32, rows_quantize256)
};
