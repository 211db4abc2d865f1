// dequantize.cuh - what single weights are, for every data type: the definitions of unpack_*.c for one weight at a time. Slow and general:
// rows of embeddings and packing read weights so; products read what pack.cuh made of them.
#ifndef INFER_CUDA_DEQUANTIZE_CUH
#define INFER_CUDA_DEQUANTIZE_CUH

#include "common.cuh"
#ifdef INFER_CUDA_EMULATE
#define INFER_TABLE __attribute__((unused))
#else
#define INFER_TABLE __device__
#endif
#include "../codebooks.h"
extern "C" {
#include "../types.h"
}

// A group's scales as they lie in the file. 32 family: w = d q + m. 256 family: w = (unit d scale) q - dmin min.
struct file_scale {
    uint16_t d, m; // halves; m is dmin in the 256 family. MXFP4: d is the exponent's byte; NVFP4: d is the E4M3 byte
    int scale, min;
};

static __device__ __forceinline__ int block_weights(uint32_t dtype)
{
    switch (dtype) {
    case INFER_DTYPE_Q1_0: return 128;
    case INFER_DTYPE_NVFP4:
    case INFER_DTYPE_Q2_0: return 64;
    case INFER_DTYPE_Q4_0:
    case INFER_DTYPE_Q4_1:
    case INFER_DTYPE_Q5_0:
    case INFER_DTYPE_Q5_1:
    case INFER_DTYPE_Q8_0:
    case INFER_DTYPE_IQ4_NL:
    case INFER_DTYPE_MXFP4: return 32;
    default: return 256;
    }
}

static __device__ __forceinline__ int block_bytes(uint32_t dtype)
{
    switch (dtype) {
    case INFER_DTYPE_Q4_0: return 18;
    case INFER_DTYPE_Q4_1: return 20;
    case INFER_DTYPE_Q5_0: return 22;
    case INFER_DTYPE_Q5_1: return 24;
    case INFER_DTYPE_Q8_0: return 34;
    case INFER_DTYPE_IQ4_NL: return 18;
    case INFER_DTYPE_MXFP4: return 17;
    case INFER_DTYPE_NVFP4: return 36;
    case INFER_DTYPE_Q1_0: return 18;
    case INFER_DTYPE_Q2_0: return 18;
    case INFER_DTYPE_Q2_K: return 84;
    case INFER_DTYPE_Q3_K: return 110;
    case INFER_DTYPE_Q4_K: return 144;
    case INFER_DTYPE_Q5_K: return 176;
    case INFER_DTYPE_Q6_K: return 210;
    case INFER_DTYPE_IQ1_S: return 50;
    case INFER_DTYPE_IQ1_M: return 56;
    case INFER_DTYPE_IQ2_XXS: return 66;
    case INFER_DTYPE_IQ2_XS: return 74;
    case INFER_DTYPE_IQ2_S: return 82;
    case INFER_DTYPE_IQ3_XXS: return 98;
    case INFER_DTYPE_IQ3_S: return 110;
    case INFER_DTYPE_IQ4_XS: return 136;
    case INFER_DTYPE_TQ1_0: return 54;
    default: return 66; // TQ2_0
    }
}

static __device__ __forceinline__ uint16_t load_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static __device__ __forceinline__ uint32_t load_u32(const uint8_t *p) { return (uint32_t)load_u16(p) | (uint32_t)load_u16(p + 2) << 16; }
static __device__ __forceinline__ int nibble_of(const uint8_t *p, int i) { return p[i / 2] >> i % 2 * 4 & 15; }
// 32 weights in 16 bytes: low nibbles are the first 16.
static __device__ __forceinline__ int split_nibble(const uint8_t *p, int i) { return p[i % 16] >> i / 16 * 4 & 15; }
// 256 weights in 64 bytes: bits 2j and 2j+1 of byte l of a half hold weight 32j + l.
static __device__ __forceinline__ int split_pair(const uint8_t *p, int i) { return p[i / 128 * 32 + i % 32] >> i / 32 % 4 * 2 & 3; }
// 64 weights in 32 bytes, low nibbles the first 32
static __device__ __forceinline__ int wide_nibble(const uint8_t *p, int i) { return p[i / 64 * 32 + i % 32] >> i / 32 % 2 * 4 & 15; }

static __device__ __forceinline__ unsigned even_signs(unsigned seven)
{
    unsigned parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return (seven & 127) | (parity & 1) << 7;
}

static __device__ __forceinline__ int signed_of(int q, unsigned signs, int i) { return signs >> i & 1 ? -q : q; }
static __device__ __forceinline__ int iq2_value(unsigned point, unsigned signs, int i)
{
    unsigned level = point >> 2 * i & 3;
    return signed_of(level == 0 ? 8 : level == 1 ? 25 : level == 2 ? 43 : 0, signs, i);
}
static __device__ __forceinline__ int iq1_value(unsigned index, int down, int i)
{
    return 8 * ((int)(infer_grid_iq1[index] >> 2 * i & 3) - 1) + (down ? -1 : 1);
}
static __device__ __forceinline__ int ternary_digit(unsigned byte, int digit)
{
    for (int n = 0; n < digit; n++)
        byte = byte * 3 & 255;
    return (int)(byte * 3 >> 8) - 1;
}

// Weight i of a block, before scales: infer_unpacked32's and infer_unpacked256's q.
static __device__ __noinline__ int file_code(uint32_t dtype, const uint8_t *p, int i)
{
    int g = i / 32, point = i / 8; // of the IQ types: 32 weights, 8 weights
    uint32_t word;
    switch (dtype) {
    case INFER_DTYPE_Q4_0: return split_nibble(p + 2, i) - 8;
    case INFER_DTYPE_Q4_1: return split_nibble(p + 4, i);
    case INFER_DTYPE_Q5_0: return split_nibble(p + 6, i) + (int)(load_u32(p + 2) >> i & 1) * 16 - 16;
    case INFER_DTYPE_Q5_1: return split_nibble(p + 8, i) + (int)(load_u32(p + 4) >> i & 1) * 16;
    case INFER_DTYPE_Q8_0: return (int8_t)p[2 + i];
    case INFER_DTYPE_IQ4_NL: return infer_codebook_iq4[split_nibble(p + 2, i)];
    case INFER_DTYPE_MXFP4: return infer_codebook_fp4[split_nibble(p + 1, i)];
    case INFER_DTYPE_NVFP4: return infer_codebook_fp4[p[4 + i / 16 * 8 + i % 8] >> i / 8 % 2 * 4 & 15];
    case INFER_DTYPE_Q1_0: return (p[2 + i / 8] >> i % 8 & 1) * 2 - 1;
    case INFER_DTYPE_Q2_0: return (p[2 + i / 4] >> i % 4 * 2 & 3) - 1;
    case INFER_DTYPE_Q2_K: return split_pair(p + 16, i);
    case INFER_DTYPE_Q3_K: return split_pair(p + 32, i) - 4 + (p[i % 32] >> g & 1) * 4;
    case INFER_DTYPE_Q4_K: return wide_nibble(p + 16, i);
    case INFER_DTYPE_Q5_K: return wide_nibble(p + 48, i) | (p[16 + i % 32] >> g & 1) << 4;
    case INFER_DTYPE_Q6_K: return ((p[i / 128 * 64 + i % 64] >> i / 64 % 2 * 4 & 15) | split_pair(p + 128, i) << 4) - 32;
    case INFER_DTYPE_IQ1_S:
        word = load_u16(p + 34 + g * 2);
        return iq1_value(p[2 + point] | (word >> 3 * (point % 4) & 7) << 8, (int)(word >> 15), i % 8);
    case INFER_DTYPE_IQ1_M: {
        int high = nibble_of(p + 32, point);
        return iq1_value(p[point] | (unsigned)(high & 7) << 8, high >> 3, i % 8);
    }
    case INFER_DTYPE_IQ2_XXS:
        word = load_u32(p + 6 + g * 8);
        return iq2_value(infer_grid_iq2_xxs[p[2 + g * 8 + point % 4]], even_signs(word >> 7 * (point % 4) & 127), i % 8);
    case INFER_DTYPE_IQ2_XS:
        word = load_u16(p + 2 + point * 2);
        return iq2_value(infer_grid_iq2_xs[word & 511], even_signs(word >> 9), i % 8);
    case INFER_DTYPE_IQ2_S: return iq2_value(infer_grid_iq2_s[p[2 + point] | (p[66 + point / 4] >> point % 4 * 2 & 3) << 8], p[34 + point], i % 8);
    case INFER_DTYPE_IQ3_XXS: {
        int level = infer_grid_iq3_xxs[p[2 + i / 4]] >> i % 4 * 3 & 7;
        word = load_u32(p + 66 + g * 4);
        return signed_of(level == 7 ? 62 : 8 * level + 4, even_signs(word >> 7 * (point % 4) & 127), i % 8);
    }
    case INFER_DTYPE_IQ3_S: {
        unsigned high = p[66 + i / 32] >> i / 4 % 8 & 1;
        return signed_of(2 * (infer_grid_iq3_s[p[2 + i / 4] | high << 8] >> i % 4 * 3 & 7) + 1, p[74 + point], i % 8);
    }
    case INFER_DTYPE_IQ4_XS: return infer_codebook_iq4[split_nibble(p + 8 + g * 16, i % 32)];
    case INFER_DTYPE_TQ1_0: return i < 160 ? ternary_digit(p[i % 32], i / 32) : i < 240 ? ternary_digit(p[32 + i % 16], (i - 160) / 16) : ternary_digit(p[48 + i % 4], (i - 240) / 4);
    default: return split_pair(p, i) - 1; // TQ2_0
    }
}

static __device__ __forceinline__ int k3_scale(const uint8_t *s, int j)
{
    return ((j < 8 ? s[j] & 15 : s[j - 8] >> 4) | (s[8 + j % 4] >> j / 4 * 2 & 3) << 4) - 32;
}

// The scales of the 16 weights that weight i of a block belongs to.
static __device__ __noinline__ file_scale file_scale_of(uint32_t dtype, const uint8_t *p, int i)
{
    file_scale s = {0, 0, 1, 0};
    int g = i / 32, j = i / 16;
    switch (dtype) {
    case INFER_DTYPE_MXFP4: s.d = p[0]; break;
    case INFER_DTYPE_NVFP4: s.d = p[j] == 0x7f ? 0 : p[j] & 0x7f; break;
    case INFER_DTYPE_Q4_1:
    case INFER_DTYPE_Q5_1: s.d = load_u16(p), s.m = load_u16(p + 2); break;
    case INFER_DTYPE_Q2_K: s.d = load_u16(p + 80), s.m = load_u16(p + 82), s.scale = p[j] & 15, s.min = p[j] >> 4; break;
    case INFER_DTYPE_Q3_K: s.d = load_u16(p + 108), s.scale = k3_scale(p + 96, j); break;
    case INFER_DTYPE_Q4_K:
    case INFER_DTYPE_Q5_K: {
        const uint8_t *k = p + 4;
        s.d = load_u16(p), s.m = load_u16(p + 2);
        s.scale = g < 4 ? k[g] & 63 : (k[g + 4] & 15) | k[g - 4] >> 6 << 4;
        s.min = g < 4 ? k[g + 4] & 63 : k[g + 4] >> 4 | k[g] >> 6 << 4;
        break;
    }
    case INFER_DTYPE_Q6_K: s.d = load_u16(p + 208), s.scale = (int8_t)p[192 + j]; break;
    case INFER_DTYPE_IQ1_S: s.d = load_u16(p), s.scale = 2 * (load_u16(p + 34 + g * 2) >> 12 & 7) + 1; break;
    case INFER_DTYPE_IQ1_M:
        for (int k = 0; k < 4; k++)
            s.d = (uint16_t)(s.d | load_u16(p + 48 + k * 2) >> 12 << 4 * k);
        s.scale = 2 * (load_u16(p + 48 + j / 4 * 2) >> 3 * (j % 4) & 7) + 1;
        break;
    case INFER_DTYPE_IQ2_XXS: s.d = load_u16(p), s.scale = 2 * (int)(load_u32(p + 6 + g * 8) >> 28) + 1; break;
    case INFER_DTYPE_IQ2_XS: s.d = load_u16(p), s.scale = 2 * nibble_of(p + 66, j) + 1; break;
    case INFER_DTYPE_IQ2_S: s.d = load_u16(p), s.scale = 2 * nibble_of(p + 74, j) + 1; break;
    case INFER_DTYPE_IQ3_XXS: s.d = load_u16(p), s.scale = 2 * (int)(load_u32(p + 66 + g * 4) >> 28) + 1; break;
    case INFER_DTYPE_IQ3_S: s.d = load_u16(p), s.scale = 2 * nibble_of(p + 106, g) + 1; break;
    case INFER_DTYPE_IQ4_XS: s.d = load_u16(p), s.scale = (nibble_of(p + 4, g) | (load_u16(p + 2) >> 2 * g & 3) << 4) - 32; break;
    case INFER_DTYPE_TQ1_0: s.d = load_u16(p + 52); break;
    case INFER_DTYPE_TQ2_0: s.d = load_u16(p + 64); break;
    default: s.d = load_u16(p); // 32 weights or more under one half
    }
    return s;
}

// What the d of the IQ types is to be multiplied by: their scales are odd integers over a power of two.
static __device__ __forceinline__ float file_unit(uint32_t dtype)
{
    switch (dtype) {
    case INFER_DTYPE_IQ1_S:
    case INFER_DTYPE_IQ1_M:
    case INFER_DTYPE_IQ2_XXS:
    case INFER_DTYPE_IQ2_XS:
    case INFER_DTYPE_IQ2_S: return 0.125f;
    case INFER_DTYPE_IQ3_XXS: return 0.25f;
    default: return 1;
    }
}

// 2^(e-128), of the scale's byte in MXFP4
static __device__ __forceinline__ float half_of_e8m0(unsigned e) { return __uint_as_float(e < 2 ? 0x00200000u << e : (e - 1) << 23); }
// Half of what an unsigned E4M3 byte says: as a half with the same fields it is 2^-8 times that, exactly.
static __device__ __forceinline__ float half_of_ue4m3(unsigned x) { return half_to_float((uint16_t)(x << 7)) * 128; }

// Weight i of a row.
static __device__ __forceinline__ float weight_value(uint32_t dtype, const uint8_t *row, int64_t i)
{
    if (dtype == INFER_DTYPE_F32)
        return ((const float *)row)[i];
    if (dtype == INFER_DTYPE_F16)
        return half_to_float(((const uint16_t *)row)[i]);
    if (dtype == INFER_DTYPE_BF16)
        return bf16_to_float(((const uint16_t *)row)[i]);
    int block = block_weights(dtype), at = (int)(i % block);
    const uint8_t *p = row + i / block * block_bytes(dtype);
    float q = (float)file_code(dtype, p, at);
    file_scale s = file_scale_of(dtype, p, at);
    if (dtype == INFER_DTYPE_MXFP4)
        return half_of_e8m0(s.d) * q;
    if (dtype == INFER_DTYPE_NVFP4)
        return half_of_ue4m3(s.d) * q;
    float d = half_to_float(s.d) * file_unit(dtype), m = half_to_float(s.m);
    if (block < 256)
        return d * q + m;
    return d * (float)s.scale * q - m * (float)s.min;
}

#endif
