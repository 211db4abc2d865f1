// quantize.h: what the quantize_*.c files share.
#ifndef INFER_QUANTIZE_H
#define INFER_QUANTIZE_H

#include <stdint.h>

#include "float16.h"
#include "types.h"

// Quantizes one row of cols weights, a whole number of blocks. importance is NULL or one factor a column.
typedef void infer_quantize_row(const float *x, int64_t cols, const float *importance, uint8_t *dst);

// The quantizer of a type, or NULL, compiled for a certain instruction set. All give the same bytes.
infer_quantize_row *infer_quantizer_portable(enum infer_dtype dtype);
infer_quantize_row *infer_quantizer_avx2(enum infer_dtype dtype); // NULL too where the processor lacks AVX2

// infer_quantize with the portable quantizers alone.
int infer_quantize_portable(enum infer_dtype dtype, const float *src, int64_t rows, int64_t cols, const float *importance, void *dst);

static inline void infer_store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline float nearest_f16(float f)
{
    return f16_to_f32(f32_to_f16(f));
}

#endif
