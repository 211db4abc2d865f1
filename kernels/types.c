// types.c: the table of data types, the 16-bit floats, and dequantization on top of the unpackers.
#include "types.h"

#include <stddef.h>

#include "float16.h"
#include "unpack.h"

#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define NUMBER(name, bytes, family) [INFER_DTYPE_##name] = {#name, 1, bytes, family, family == INFER_FAMILY_FLOAT}
#define GROUPS(name, block, bytes, quantizable) [INFER_DTYPE_##name] = {#name, block, bytes, INFER_FAMILY_32, quantizable}
#define BLOCKS(name, bytes, quantizable) [INFER_DTYPE_##name] = {#name, 256, bytes, INFER_FAMILY_256, quantizable}

static const struct infer_type_traits traits[INFER_DTYPE_COUNT] = {
    NUMBER(F32, 4, INFER_FAMILY_FLOAT),
    NUMBER(F16, 2, INFER_FAMILY_FLOAT),
    NUMBER(BF16, 2, INFER_FAMILY_FLOAT),
    NUMBER(F64, 8, INFER_FAMILY_NONE),
    NUMBER(I8, 1, INFER_FAMILY_NONE),
    NUMBER(I16, 2, INFER_FAMILY_NONE),
    NUMBER(I32, 4, INFER_FAMILY_NONE),
    NUMBER(I64, 8, INFER_FAMILY_NONE),
    GROUPS(Q4_0, 32, 18, 1),
    GROUPS(Q4_1, 32, 20, 1),
    GROUPS(Q5_0, 32, 22, 1),
    GROUPS(Q5_1, 32, 24, 1),
    GROUPS(Q8_0, 32, 34, 1),
    GROUPS(IQ4_NL, 32, 18, 1),
    GROUPS(MXFP4, 32, 17, 1),
    GROUPS(NVFP4, 64, 36, 0),
    GROUPS(Q1_0, 128, 18, 0),
    GROUPS(Q2_0, 64, 18, 0),
    BLOCKS(Q2_K, 84, 1),
    BLOCKS(Q3_K, 110, 1),
    BLOCKS(Q4_K, 144, 1),
    BLOCKS(Q5_K, 176, 1),
    BLOCKS(Q6_K, 210, 1),
    BLOCKS(IQ1_S, 50, 0),
    BLOCKS(IQ1_M, 56, 0),
    BLOCKS(IQ2_XXS, 66, 0),
    BLOCKS(IQ2_XS, 74, 0),
    BLOCKS(IQ2_S, 82, 0),
    BLOCKS(IQ3_XXS, 98, 0),
    BLOCKS(IQ3_S, 110, 0),
    BLOCKS(IQ4_XS, 136, 1),
    BLOCKS(TQ1_0, 54, 1),
    BLOCKS(TQ2_0, 66, 1),
};

static infer_unpack32_fn *const unpackers32[INFER_DTYPE_COUNT] = {
    [INFER_DTYPE_Q4_0] = infer_unpack_q4_0,     [INFER_DTYPE_Q4_1] = infer_unpack_q4_1,
    [INFER_DTYPE_Q5_0] = infer_unpack_q5_0,     [INFER_DTYPE_Q5_1] = infer_unpack_q5_1,
    [INFER_DTYPE_Q8_0] = infer_unpack_q8_0,     [INFER_DTYPE_IQ4_NL] = infer_unpack_iq4_nl,
    [INFER_DTYPE_MXFP4] = infer_unpack_mxfp4,   [INFER_DTYPE_NVFP4] = infer_unpack_nvfp4,
    [INFER_DTYPE_Q1_0] = infer_unpack_q1_0,     [INFER_DTYPE_Q2_0] = infer_unpack_q2_0,
};

static infer_unpack256_fn *const unpackers256[INFER_DTYPE_COUNT] = {
    [INFER_DTYPE_Q2_K] = infer_unpack_q2_k,     [INFER_DTYPE_Q3_K] = infer_unpack_q3_k,
    [INFER_DTYPE_Q4_K] = infer_unpack_q4_k,     [INFER_DTYPE_Q5_K] = infer_unpack_q5_k,
    [INFER_DTYPE_Q6_K] = infer_unpack_q6_k,     [INFER_DTYPE_IQ1_S] = infer_unpack_iq1_s,
    [INFER_DTYPE_IQ1_M] = infer_unpack_iq1_m,   [INFER_DTYPE_IQ2_XXS] = infer_unpack_iq2_xxs,
    [INFER_DTYPE_IQ2_XS] = infer_unpack_iq2_xs, [INFER_DTYPE_IQ2_S] = infer_unpack_iq2_s,
    [INFER_DTYPE_IQ3_XXS] = infer_unpack_iq3_xxs, [INFER_DTYPE_IQ3_S] = infer_unpack_iq3_s,
    [INFER_DTYPE_IQ4_XS] = infer_unpack_iq4_xs, [INFER_DTYPE_TQ1_0] = infer_unpack_tq1_0,
    [INFER_DTYPE_TQ2_0] = infer_unpack_tq2_0,
};

const struct infer_type_traits *infer_type_traits(enum infer_dtype dtype)
{
    return (uint32_t)dtype < INFER_DTYPE_COUNT && traits[dtype].block > 0 ? &traits[dtype] : NULL;
}

enum infer_family infer_dtype_family(enum infer_dtype dtype)
{
    const struct infer_type_traits *t = infer_type_traits(dtype);
    return t ? (enum infer_family)t->family : INFER_FAMILY_NONE;
}

float infer_f16_to_f32(uint16_t h)
{
    return f16_to_f32(h);
}

uint16_t infer_f32_to_f16(float f)
{
    return f32_to_f16(f);
}

float infer_bf16_to_f32(uint16_t h)
{
    return bf16_to_f32(h);
}

uint16_t infer_f32_to_bf16(float f)
{
    return f32_to_bf16(f);
}

int infer_unpack32(enum infer_dtype dtype, const void *row, int64_t groups, struct infer_unpacked32 *out)
{
    const struct infer_type_traits *t = infer_type_traits(dtype);
    if (!t) {
        return INFER_TYPE_UNKNOWN;
    }
    if (t->family != INFER_FAMILY_32) {
        return INFER_TYPE_UNSUPPORTED;
    }
    if (groups < 0) {
        return INFER_TYPE_BAD_SIZE;
    }
    infer_unpack32_fn *unpack = unpackers32[dtype];
    const uint8_t *p = row;
    int per_block = t->block / 32;
    for (int64_t i = 0; i < groups; i++) {
        unpack(p + i / per_block * t->block_bytes, (int)(i % per_block), &out[i]);
    }
    return INFER_TYPE_OK;
}

int infer_unpack256(enum infer_dtype dtype, const void *row, int64_t blocks, struct infer_unpacked256 *out)
{
    const struct infer_type_traits *t = infer_type_traits(dtype);
    if (!t) {
        return INFER_TYPE_UNKNOWN;
    }
    if (t->family != INFER_FAMILY_256) {
        return INFER_TYPE_UNSUPPORTED;
    }
    if (blocks < 0) {
        return INFER_TYPE_BAD_SIZE;
    }
    infer_unpack256_fn *unpack = unpackers256[dtype];
    const uint8_t *p = row;
    for (int64_t i = 0; i < blocks; i++) {
        unpack(p + i * t->block_bytes, &out[i]);
    }
    return INFER_TYPE_OK;
}

static void dequantize32(enum infer_dtype dtype, const uint8_t *p, int64_t n, float *dst)
{
    const struct infer_type_traits *t = &traits[dtype];
    int per_block = t->block / 32;
    for (int64_t i = 0; i < n / 32; i++) {
        struct infer_unpacked32 u;
        unpackers32[dtype](p + i / per_block * t->block_bytes, (int)(i % per_block), &u);
        for (int j = 0; j < 32; j++) {
            dst[i * 32 + j] = u.d[j / 16] * (float)u.q[j] + u.m;
        }
    }
}

static void dequantize256(enum infer_dtype dtype, const uint8_t *p, int64_t n, float *dst)
{
    for (int64_t i = 0; i < n / 256; i++) {
        struct infer_unpacked256 u;
        unpackers256[dtype](p + i * traits[dtype].block_bytes, &u);
        for (int g = 0; g < 16; g++) {
            float d = u.d * (float)u.scale[g], m = u.dmin * (float)u.min[g];
            for (int j = 0; j < 16; j++) {
                dst[i * 256 + g * 16 + j] = d * (float)u.q[g * 16 + j] - m;
            }
        }
    }
}

#define CONVERT(type, expression)                   \
    for (int64_t i = 0; i < n; i++) {               \
        type v;                                     \
        memcpy(&v, p + i * (int64_t)sizeof v, sizeof v); \
        dst[i] = expression;                        \
    }                                               \
    break

static void convert_numbers(enum infer_dtype dtype, const uint8_t *p, int64_t n, float *dst)
{
    switch (dtype) {
    case INFER_DTYPE_F32: CONVERT(float, v);
    case INFER_DTYPE_F16: CONVERT(uint16_t, f16_to_f32(v));
    case INFER_DTYPE_BF16: CONVERT(uint16_t, bf16_to_f32(v));
    case INFER_DTYPE_F64: CONVERT(double, (float)v);
    case INFER_DTYPE_I8: CONVERT(int8_t, (float)v);
    case INFER_DTYPE_I16: CONVERT(int16_t, (float)v);
    case INFER_DTYPE_I32: CONVERT(int32_t, (float)v);
    case INFER_DTYPE_I64: CONVERT(int64_t, (float)v);
    default: break;
    }
}

int infer_dequantize(enum infer_dtype dtype, const void *src, int64_t n, float *dst)
{
    const struct infer_type_traits *t = infer_type_traits(dtype);
    if (!t) {
        return INFER_TYPE_UNKNOWN;
    }
    if (n < 0 || n % t->block != 0) {
        return INFER_TYPE_BAD_SIZE;
    }
    if (t->family == INFER_FAMILY_32) {
        dequantize32(dtype, src, n, dst);
    } else if (t->family == INFER_FAMILY_256) {
        dequantize256(dtype, src, n, dst);
    } else {
        convert_numbers(dtype, src, n, dst);
    }
    return INFER_TYPE_OK;
}
