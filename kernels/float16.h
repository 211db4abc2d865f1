// float16.h: IEEE half and bfloat16 in integer arithmetic, inlined; types.h has them as functions.
#ifndef INFER_FLOAT16_H
#define INFER_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, magnitude = h & 0x7fff;
    if (magnitude >= 0x7c00) { // infinity and NaN: all exponent bits stay set, a signalling NaN becomes quiet
        return float_of_bits(sign | 0x7f800000 | (magnitude & 0x3ff) << 13 | (magnitude > 0x7c00 ? 0x400000 : 0));
    }
    if (magnitude < 0x0400) { // zero and subnormals: an integer times 2^-24, exact
        return float_of_bits(sign | bits_of_float((float)magnitude * 0x1p-24f));
    }
    return float_of_bits(sign | ((magnitude << 13) + ((127u - 15u) << 23)));
}

static inline uint16_t f32_to_f16(float f)
{
    uint32_t bits = bits_of_float(f), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) {
        return (uint16_t)(sign | 0x7e00 | (magnitude >> 13 & 0x3ff));
    }
    if (magnitude >= 0x477ff000) { // 65520, halfway between the largest half and infinity
        return (uint16_t)(sign | 0x7c00);
    }
    if (magnitude < 0x38800000) { // below 2^-14: adding 1/2 leaves the multiple of 2^-24, rounded, in the low bits
        float shifted = float_of_bits(magnitude) + 0.5f;
        return (uint16_t)(sign | (bits_of_float(shifted) - 0x3f000000));
    }
    magnitude += 0xfff + (magnitude >> 13 & 1); // ties to even; a carry into the exponent is right
    return (uint16_t)(sign | ((magnitude >> 13) - ((127u - 15u) << 10)));
}

static inline float bf16_to_f32(uint16_t h)
{
    return float_of_bits((uint32_t)h << 16);
}

static inline uint16_t f32_to_bf16(float f)
{
    uint32_t bits = bits_of_float(f);
    if ((bits & 0x7fffffff) > 0x7f800000) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

#endif
