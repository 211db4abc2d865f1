// types.h: the data types of GGUF tensors, and what their blocks mean.
//
// A quantized type is defined by how its blocks unpack to integers and scales (infer_unpack32, infer_unpack256); every
// matrix product, dequantization and test is built on that definition. Scales times integers are exact in float for
// every type here (at most 24 significant bits), so that a dequantized weight is rounded at most once, where the minimum
// is added: compilers, fused multiply-adds and processors cannot disagree about it.
//
// Nothing here aborts, allocates or keeps state; sources need no alignment.
#ifndef INFER_TYPES_H
#define INFER_TYPES_H

#include <stdint.h>

// Numbers are GGUF's tensor type numbers.
enum infer_dtype {
    INFER_DTYPE_F32 = 0,
    INFER_DTYPE_F16 = 1,
    INFER_DTYPE_Q4_0 = 2,
    INFER_DTYPE_Q4_1 = 3,
    INFER_DTYPE_Q5_0 = 6,
    INFER_DTYPE_Q5_1 = 7,
    INFER_DTYPE_Q8_0 = 8,
    INFER_DTYPE_Q2_K = 10,
    INFER_DTYPE_Q3_K = 11,
    INFER_DTYPE_Q4_K = 12,
    INFER_DTYPE_Q5_K = 13,
    INFER_DTYPE_Q6_K = 14,
    INFER_DTYPE_IQ2_XXS = 16,
    INFER_DTYPE_IQ2_XS = 17,
    INFER_DTYPE_IQ3_XXS = 18,
    INFER_DTYPE_IQ1_S = 19,
    INFER_DTYPE_IQ4_NL = 20,
    INFER_DTYPE_IQ3_S = 21,
    INFER_DTYPE_IQ2_S = 22,
    INFER_DTYPE_IQ4_XS = 23,
    INFER_DTYPE_I8 = 24,
    INFER_DTYPE_I16 = 25,
    INFER_DTYPE_I32 = 26,
    INFER_DTYPE_I64 = 27,
    INFER_DTYPE_F64 = 28,
    INFER_DTYPE_IQ1_M = 29,
    INFER_DTYPE_BF16 = 30,
    INFER_DTYPE_TQ1_0 = 34,
    INFER_DTYPE_TQ2_0 = 35,
    INFER_DTYPE_MXFP4 = 39,
    INFER_DTYPE_NVFP4 = 40,
    INFER_DTYPE_Q1_0 = 41,
    INFER_DTYPE_Q2_0 = 42,
    INFER_DTYPE_COUNT = 43,
};

// How a type's weights are reached, and so which matrix product serves it.
enum infer_family {
    INFER_FAMILY_NONE = 0,  // I8 to I64, F64: stored and converted, never multiplied
    INFER_FAMILY_FLOAT = 1, // F32, F16, BF16
    INFER_FAMILY_32 = 2,    // unpacks to infer_unpacked32
    INFER_FAMILY_256 = 3,   // unpacks to infer_unpacked256
};

enum infer_type_status {
    INFER_TYPE_OK = 0,
    INFER_TYPE_UNKNOWN = -1,     // no such type number
    INFER_TYPE_UNSUPPORTED = -2, // the type exists, but not for this operation
    INFER_TYPE_BAD_SIZE = -3,    // negative, or not a whole number of blocks
    INFER_TYPE_BAD_VALUE = -4,   // a weight or importance that the type cannot hold: NaN, infinite, beyond f16
};

struct infer_type_traits {
    const char *name;    // upper case, as users write it: "Q4_K"
    int32_t block;       // weights in a block; 1 for plain numbers
    int32_t block_bytes; // bytes of a block
    int32_t family;      // enum infer_family
    int32_t quantizable; // 1 where infer_quantize writes the type
};

// 32 weights: w[i] = d[i/16]*q[i] + m. Offsets (the -8 of Q4_0) are in q already; Q4_1 and Q5_1 keep q unsigned.
struct infer_unpacked32 {
    int8_t q[32];
    float d[2]; // scale of each half of 16; the halves differ in NVFP4 alone
    float m;    // 0 except in Q4_1 and Q5_1
};

// 256 weights: w[i] = d*(scale[i/16]*q[i]) - dmin*min[i/16]. For any activations in -127..127 the sum over the block of
// scale*q*activation stays under 2^28 (the worst are Q6_K with 128*32 and IQ4_XS with 32*127).
struct infer_unpacked256 {
    int8_t q[256];
    int16_t scale[16];
    int16_t min[16]; // 0 except in Q2_K, Q4_K, Q5_K
    float d;
    float dmin;
};

// Returns the type's row in the table, or NULL for an unknown number.
const struct infer_type_traits *infer_type_traits(enum infer_dtype dtype);

// The type's family; INFER_FAMILY_NONE for an unknown number.
enum infer_family infer_dtype_family(enum infer_dtype dtype);

// IEEE half and bfloat16. Widening is exact. Narrowing rounds to nearest, ties to even. A NaN stays a NaN.
float infer_f16_to_f32(uint16_t h);
uint16_t infer_f32_to_f16(float f);
float infer_bf16_to_f32(uint16_t h);
uint16_t infer_f32_to_bf16(float f);

// Unpack a row of FAMILY_32: 32*groups weights starting at the first weight of a block. Types with larger blocks give
// several groups a block; the last block may be used in part.
int infer_unpack32(enum infer_dtype dtype, const void *row, int64_t groups, struct infer_unpacked32 *out);

// Unpack a row of FAMILY_256: 256*blocks weights.
int infer_unpack256(enum infer_dtype dtype, const void *row, int64_t blocks, struct infer_unpacked256 *out);

// Convert n weights to float; n must be a whole number of blocks. Integers and F64 round to nearest.
int infer_dequantize(enum infer_dtype dtype, const void *src, int64_t n, float *dst);

// Quantize rows*cols weights, row after row; cols must be a whole number of blocks. importance, where it is not NULL,
// holds cols non-negative factors of the squared error, one a column (the mean square of the activation it meets), about 1
// in the mean. Weights must be finite and, for all but F32 and BF16, at most 65504 in magnitude.
int infer_quantize(enum infer_dtype dtype, const float *src, int64_t rows, int64_t cols, const float *importance, void *dst);

#endif
