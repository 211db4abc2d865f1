// cpu_avxvnni_amd64.c - the variant avxvnni: AVX2 with the dot product of 8-bit integers, for processors that have it without AVX-512.

#pragma GCC target("avx2,fma,f16c,avxvnni")

#include <immintrin.h>

#define DPBUSD _mm256_dpbusd_avx_epi32
#include "cpu_avx2.h"

static bool avxvnni_supported(void)
{
    return __builtin_cpu_supports("avxvnni") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

const struct cpu_variant infer_cpu_avxvnni = {
    .name = "avxvnni", .supported = avxvnni_supported, .panel_bytes = infer_packed_bytes, .pack = infer_pack,
    .product = wide_product, .product_scratch = wide_product_scratch, CPU_ROWS(rows_quantize32, rows_quantize256)
};
