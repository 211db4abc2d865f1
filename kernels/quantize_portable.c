// quantize_portable.c: the quantizers for any processor.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
#define LANES 4
#include "quantize_variant.h"

infer_quantize_row *infer_quantizer_portable(enum infer_dtype dtype)
{
    return quantizers[dtype];
}
