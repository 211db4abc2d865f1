// simd_ref.h - vectors of 16 floats in plain C: the definition that simd_avx2.h and simd_avx512.h repeat with intrinsics.
// Every operation is one IEEE operation a lane, so that all three give the same bits.
#ifndef INFER_SIMD_REF_H
#define INFER_SIMD_REF_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "types.h"

typedef struct { float v[16]; } v16;

#define EACH for (int i_ = 0; i_ < 16; i_++)
static inline v16 v_set1(float x) { v16 r; EACH r.v[i_] = x; return r; }
static inline v16 v_load(const float *p) { v16 r; memcpy(r.v, p, sizeof r.v); return r; }
static inline void v_store(float *p, v16 a) { memcpy(p, a.v, sizeof a.v); }
// Partial forms: n in 0..16; lanes past n are zero, and are not written.
static inline v16 v_load_n(const float *p, int n) { v16 r = v_set1(0); memcpy(r.v, p, (size_t)n * 4); return r; }
static inline void v_store_n(float *p, v16 a, int n) { memcpy(p, a.v, (size_t)n * 4); }
static inline v16 v_add(v16 a, v16 b) { EACH a.v[i_] = a.v[i_] + b.v[i_]; return a; }
static inline v16 v_sub(v16 a, v16 b) { EACH a.v[i_] = a.v[i_] - b.v[i_]; return a; }
static inline v16 v_mul(v16 a, v16 b) { EACH a.v[i_] = a.v[i_] * b.v[i_]; return a; }
static inline v16 v_div(v16 a, v16 b) { EACH a.v[i_] = a.v[i_] / b.v[i_]; return a; }
static inline v16 v_fma(v16 a, v16 b, v16 c) { EACH c.v[i_] = fmaf(a.v[i_], b.v[i_], c.v[i_]); return c; } // a*b + c
// The second operand where they are equal or one is NaN, as x86 has it.
static inline v16 v_max(v16 a, v16 b) { EACH b.v[i_] = a.v[i_] > b.v[i_] ? a.v[i_] : b.v[i_]; return b; }
static inline v16 v_min(v16 a, v16 b) { EACH b.v[i_] = a.v[i_] < b.v[i_] ? a.v[i_] : b.v[i_]; return b; }
static inline v16 v_abs(v16 a) { EACH a.v[i_] = fabsf(a.v[i_]); return a; }
// a < b ? x : y, y where either is NaN.
static inline v16 v_pick_lt(v16 a, v16 b, v16 x, v16 y) { EACH y.v[i_] = a.v[i_] < b.v[i_] ? x.v[i_] : y.v[i_]; return y; }
// Rounded to the nearest integer, ties to even; |a| < 2^22.
static inline v16 v_round(v16 a) { EACH a.v[i_] = (a.v[i_] + 12582912.0f) - 12582912.0f; return a; }
// 2^n for integral n in -126..127.
static inline v16 v_exp2i(v16 n)
{
    EACH {
        float biased = n.v[i_] + 12583039.0f; // 1.5*2^23 + 127: the low bits of the float are n + 127
        uint32_t bits;
        memcpy(&bits, &biased, 4);
        bits <<= 23;
        memcpy(&n.v[i_], &bits, 4);
    }
    return n;
}
static inline v16 v_load_f16(const uint16_t *p) { v16 r; EACH r.v[i_] = infer_f16_to_f32(p[i_]); return r; }
static inline v16 v_load_i8(const int8_t *p) { v16 r; EACH r.v[i_] = p[i_]; return r; }
static inline void v_store_f16(uint16_t *p, v16 a) { EACH p[i_] = infer_f32_to_f16(a.v[i_]); }
static inline v16 v_load_bf16(const uint16_t *p)
{
    v16 r;
    EACH { uint32_t bits = (uint32_t)p[i_] << 16; memcpy(&r.v[i_], &bits, 4); }
    return r;
}
// Adds the lanes in a fixed tree: 8 apart, 4 apart, 2 apart, neighbours.
static inline float v_sum(v16 a)
{
    for (int step = 8; step > 0; step /= 2)
        for (int i = 0; i < step; i++)
            a.v[i] = a.v[i] + a.v[i + step];
    return a.v[0];
}
static inline float v_highest(v16 a)
{
    float m = a.v[0];
    for (int i = 1; i < 16; i++)
        m = a.v[i] > m ? a.v[i] : m;
    return m;
}
#undef EACH

#endif
