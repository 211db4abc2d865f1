// quantize_rows.c: checks, and the choice of the quantizer that this processor runs fastest.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "quantize.h"

#define F16_LARGEST 65504.0f

static int all_within(const float *x, int64_t n, float low, float high)
{
    int bad = 0;
    for (int64_t i = 0; i < n; i++) {
        bad |= !(x[i] >= low) | !(x[i] <= high); // a NaN fails both
    }
    return !bad;
}

static void write_floats(enum infer_dtype dtype, const float *src, int64_t n, uint8_t *dst)
{
    if (dtype == INFER_DTYPE_F32) {
        memcpy(dst, src, (size_t)n * sizeof *src);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        infer_store_u16(dst + i * 2, dtype == INFER_DTYPE_F16 ? f32_to_f16(src[i]) : f32_to_bf16(src[i]));
    }
}

static int quantize_rows(infer_quantize_row *quantize, enum infer_dtype dtype, const float *src, int64_t rows, int64_t cols,
                         const float *importance, uint8_t *dst)
{
    const struct infer_type_traits *t = infer_type_traits(dtype);
    float limit = dtype == INFER_DTYPE_F32 || dtype == INFER_DTYPE_BF16 ? HUGE_VALF : F16_LARGEST;
    int64_t row_bytes = cols / t->block * t->block_bytes;
    for (int64_t r = 0; r < rows; r++, src += cols, dst += row_bytes) {
        if (limit == F16_LARGEST && !all_within(src, cols, -limit, limit)) {
            return INFER_TYPE_BAD_VALUE;
        }
        if (t->family == INFER_FAMILY_FLOAT) {
            write_floats(dtype, src, cols, dst);
        } else {
            quantize(src, cols, importance, dst);
        }
    }
    return INFER_TYPE_OK;
}

static int check(enum infer_dtype dtype, int64_t rows, int64_t cols, const float *importance)
{
    const struct infer_type_traits *t = infer_type_traits(dtype);
    if (!t) {
        return INFER_TYPE_UNKNOWN;
    }
    if (!t->quantizable) {
        return INFER_TYPE_UNSUPPORTED;
    }
    if (rows < 0 || cols < 0 || cols % t->block != 0) {
        return INFER_TYPE_BAD_SIZE;
    }
    return importance && !all_within(importance, cols, 0, 1e12f) ? INFER_TYPE_BAD_VALUE : INFER_TYPE_OK;
}

int infer_quantize_portable(enum infer_dtype dtype, const float *src, int64_t rows, int64_t cols, const float *importance, void *dst)
{
    int status = check(dtype, rows, cols, importance);
    return status ? status : quantize_rows(infer_quantizer_portable(dtype), dtype, src, rows, cols, importance, dst);
}

int infer_quantize(enum infer_dtype dtype, const float *src, int64_t rows, int64_t cols, const float *importance, void *dst)
{
    int status = check(dtype, rows, cols, importance);
    if (status) {
        return status;
    }
    infer_quantize_row *quantize = NULL;
#if defined(__x86_64__)
    quantize = infer_quantizer_avx2(dtype);
#endif
    return quantize_rows(quantize ? quantize : infer_quantizer_portable(dtype), dtype, src, rows, cols, importance, dst);
}
