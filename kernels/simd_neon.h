// simd_neon.h - simd_ref.h's vectors of 16 floats in four registers (ARM64).
#ifndef INFER_SIMD_NEON_H
#define INFER_SIMD_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

typedef struct { float32x4_t v[4]; } v16;

#define EACH _Pragma("GCC unroll 4") for (int i_ = 0; i_ < 4; i_++)
static inline v16 v_set1(float x) { v16 r; EACH r.v[i_] = vdupq_n_f32(x); return r; }
static inline v16 v_load(const float *p) { v16 r; EACH r.v[i_] = vld1q_f32(p + 4 * i_); return r; }
static inline void v_store(float *p, v16 a) { EACH vst1q_f32(p + 4 * i_, a.v[i_]); }
static inline v16 v_load_n(const float *p, int n) { float t[16] = {0}; memcpy(t, p, (size_t)n * 4); return v_load(t); }
static inline void v_store_n(float *p, v16 a, int n) { float t[16]; v_store(t, a); memcpy(p, t, (size_t)n * 4); }
static inline v16 v_add(v16 a, v16 b) { EACH a.v[i_] = vaddq_f32(a.v[i_], b.v[i_]); return a; }
static inline v16 v_sub(v16 a, v16 b) { EACH a.v[i_] = vsubq_f32(a.v[i_], b.v[i_]); return a; }
static inline v16 v_mul(v16 a, v16 b) { EACH a.v[i_] = vmulq_f32(a.v[i_], b.v[i_]); return a; }
static inline v16 v_div(v16 a, v16 b) { EACH a.v[i_] = vdivq_f32(a.v[i_], b.v[i_]); return a; }
static inline v16 v_fma(v16 a, v16 b, v16 c) { EACH c.v[i_] = vfmaq_f32(c.v[i_], a.v[i_], b.v[i_]); return c; }
// Comparisons choose, as FMAX would order zeros and pass NaNs on in its own way.
static inline v16 v_max(v16 a, v16 b) { EACH b.v[i_] = vbslq_f32(vcgtq_f32(a.v[i_], b.v[i_]), a.v[i_], b.v[i_]); return b; }
static inline v16 v_min(v16 a, v16 b) { EACH b.v[i_] = vbslq_f32(vcltq_f32(a.v[i_], b.v[i_]), a.v[i_], b.v[i_]); return b; }
static inline v16 v_abs(v16 a) { EACH a.v[i_] = vabsq_f32(a.v[i_]); return a; }
static inline v16 v_pick_lt(v16 a, v16 b, v16 x, v16 y) { EACH y.v[i_] = vbslq_f32(vcltq_f32(a.v[i_], b.v[i_]), x.v[i_], y.v[i_]); return y; }
static inline v16 v_round(v16 a) { v16 magic = v_set1(12582912.0f); return v_sub(v_add(a, magic), magic); }
static inline v16 v_exp2i(v16 n)
{
    EACH n.v[i_] = vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(vaddq_f32(n.v[i_], vdupq_n_f32(12583039.0f))), 23));
    return n;
}
static inline v16 v_load_f16(const uint16_t *p) { v16 r; EACH r.v[i_] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i_))); return r; }
static inline void v_store_f16(uint16_t *p, v16 a) { EACH vst1_u16(p + 4 * i_, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i_]))); }
static inline v16 v_load_bf16(const uint16_t *p) { v16 r; EACH r.v[i_] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i_), 16)); return r; }
static inline v16 v_load_i8(const int8_t *p)
{
    int8x16_t b = vld1q_s8(p);
    int16x8_t lo = vmovl_s8(vget_low_s8(b)), hi = vmovl_s8(vget_high_s8(b));
    return (v16){{vcvtq_f32_s32(vmovl_s16(vget_low_s16(lo))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(lo))), vcvtq_f32_s32(vmovl_s16(vget_low_s16(hi))),
                  vcvtq_f32_s32(vmovl_s16(vget_high_s16(hi)))}};
}
static inline float v_sum(v16 a)
{
    float32x4_t s4 = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
    float32x2_t s2 = vadd_f32(vget_low_f32(s4), vget_high_f32(s4));
    return vget_lane_f32(s2, 0) + vget_lane_f32(s2, 1);
}
static inline float v_highest(v16 a)
{
    float t[16], m;
    v_store(t, a);
    m = t[0];
    for (int i = 1; i < 16; i++)
        m = t[i] > m ? t[i] : m;
    return m;
}
#undef EACH

#endif
