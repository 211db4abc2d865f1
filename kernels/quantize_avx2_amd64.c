// quantize_avx2_amd64.c: the quantizers for processors with AVX2 (all of them have F16C too).
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#pragma STDC FP_CONTRACT OFF
#else
#pragma GCC target("avx2,f16c") // without fma: fused operations would round differently
#endif
#define LANES 8
#include "quantize_variant.h"

infer_quantize_row *infer_quantizer_avx2(enum infer_dtype dtype)
{
    return __builtin_cpu_supports("avx2") ? quantizers[dtype] : NULL;
}
#if defined(__clang__)
#pragma clang attribute pop
#endif
