// cpu_math.h - functions on vectors of 16 lanes, written over simd_*.h, which is included first. Fixed polynomials in
// fused multiply-adds: every variant gives the same bits, on any libm.
#ifndef INFER_CPU_MATH_H
#define INFER_CPU_MATH_H

#include <math.h>

#include "cpu.h"

// e^x, relative error below 2e-7 (degree-6 Taylor polynomial on |r| <= ln2/2). 0 below -87.3, where the result would be
// subnormal; saturates at 88.37 (2.4e38) rather than giving infinity, so that 1 + e^x stays finite. NaN stays NaN.
static inline v16 v_exp(v16 x)
{
    v16 clamped = v_min(v_set1(88.37f), v_max(v_set1(-87.3f), x));
    v16 n = v_round(v_mul(clamped, v_set1(1.44269504088896341f)));
    v16 r = v_fma(n, v_set1(-0.693145751953125f), clamped);
    r = v_fma(n, v_set1(-1.42860682030941723e-6f), r);
    v16 p = v_set1(1.0f / 720);
    p = v_fma(p, r, v_set1(1.0f / 120));
    p = v_fma(p, r, v_set1(1.0f / 24));
    p = v_fma(p, r, v_set1(1.0f / 6));
    p = v_fma(p, r, v_set1(0.5f));
    p = v_fma(p, r, v_set1(1.0f));
    p = v_fma(p, r, v_set1(1.0f));
    return v_pick_lt(x, v_set1(-87.3f), v_set1(0), v_mul(p, v_exp2i(n)));
}

// ln(1 + e^x) = max(x, 0) + ln(1 + u), u = e^-|x|; ln(1 + u) = 2 artanh(s), s = u / (2 + u) <= 1/3, whose odd series ends at s^17.
static inline v16 v_softplus(v16 x)
{
    v16 u = v_exp(v_sub(v_set1(0), v_abs(x)));
    v16 s = v_div(u, v_add(v_set1(2), u)), z = v_mul(s, s);
    v16 p = v_set1(2.0f / 17);
    p = v_fma(p, z, v_set1(2.0f / 15));
    p = v_fma(p, z, v_set1(2.0f / 13));
    p = v_fma(p, z, v_set1(2.0f / 11));
    p = v_fma(p, z, v_set1(2.0f / 9));
    p = v_fma(p, z, v_set1(2.0f / 7));
    p = v_fma(p, z, v_set1(2.0f / 5));
    p = v_fma(p, z, v_set1(2.0f / 3));
    p = v_fma(p, z, v_set1(2.0f));
    return v_fma(p, s, v_max(x, v_set1(0)));
}

// 1 / (1 + e^-x)
static inline v16 v_sigmoid(v16 x)
{
    v16 one = v_set1(1);
    return v_div(one, v_add(one, v_exp(v_sub(v_set1(0), x))));
}

// tanh(x) = 2 sigmoid(2x) - 1, and the odd Taylor polynomial near zero, where that form loses digits.
static inline v16 v_tanh(v16 x)
{
    v16 far = v_sub(v_mul(v_set1(2), v_sigmoid(v_add(x, x))), v_set1(1));
    v16 s = v_mul(x, x);
    v16 p = v_set1(62.0f / 2835);
    p = v_fma(p, s, v_set1(-17.0f / 315));
    p = v_fma(p, s, v_set1(2.0f / 15));
    p = v_fma(p, s, v_set1(-1.0f / 3));
    p = v_fma(v_mul(p, s), x, x);
    return v_pick_lt(v_abs(x), v_set1(0.25f), p, far);
}

// erf(x), absolute error below 2e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26.
static inline v16 v_erf(v16 x)
{
    v16 a = v_abs(x);
    v16 t = v_div(v_set1(1), v_fma(v_set1(0.3275911f), a, v_set1(1)));
    v16 p = v_set1(1.061405429f);
    p = v_fma(p, t, v_set1(-1.453152027f));
    p = v_fma(p, t, v_set1(1.421413741f));
    p = v_fma(p, t, v_set1(-0.284496736f));
    p = v_fma(p, t, v_set1(0.254829592f));
    p = v_mul(p, t);
    v16 r = v_sub(v_set1(1), v_mul(p, v_exp(v_sub(v_set1(0), v_mul(a, a)))));
    return v_pick_lt(x, v_set1(0), v_sub(v_set1(0), r), r);
}

// e^x - 1 - x for x <= 0: its Taylor series where the difference would lose digits.
static inline v16 v_exp_beyond_linear(v16 x)
{
    v16 far = v_sub(v_sub(v_exp(x), v_set1(1)), x);
    v16 p = v_set1(1.0f / 362880);
    p = v_fma(p, x, v_set1(1.0f / 40320));
    p = v_fma(p, x, v_set1(1.0f / 5040));
    p = v_fma(p, x, v_set1(1.0f / 720));
    p = v_fma(p, x, v_set1(1.0f / 120));
    p = v_fma(p, x, v_set1(1.0f / 24));
    p = v_fma(p, x, v_set1(1.0f / 6));
    p = v_fma(p, x, v_set1(0.5f));
    return v_pick_lt(v_set1(-0.75f), x, v_mul(v_mul(p, x), x), far);
}

// act(x), param: its three parameters; SWIGLU_OAI is the gate's half of it, v_gate() has the whole.
static inline v16 v_act(int32_t act, v16 x, const float *param)
{
    switch (act) {
    case INFER_ACT_SILU:
        return v_div(x, v_add(v_set1(1), v_exp(v_sub(v_set1(0), x))));
    case INFER_ACT_GELU: { // x/2 (1 + tanh(u)) = x / (1 + e^-2u), u = sqrt(2/pi) (x + 0.044715 x^3)
        v16 s = v_fma(v_mul(v_mul(x, x), x), v_set1(0.044715f), x);
        return v_div(x, v_add(v_set1(1), v_exp(v_mul(s, v_set1(-1.5957691216057308f)))));
    }
    case INFER_ACT_GELU_ERF:
        return v_mul(v_mul(x, v_set1(0.5f)), v_add(v_set1(1), v_erf(v_mul(x, v_set1(0.70710678118654752f)))));
    case INFER_ACT_GELU_QUICK:
        return v_div(x, v_add(v_set1(1), v_exp(v_mul(x, v_set1(-1.702f)))));
    case INFER_ACT_RELU:
        return v_max(v_set1(0), x);
    case INFER_ACT_RELU_SQUARED: {
        v16 r = v_max(v_set1(0), x);
        return v_mul(r, r);
    }
    case INFER_ACT_SIGMOID:
        return v_sigmoid(x);
    case INFER_ACT_TANH:
        return v_tanh(x);
    case INFER_ACT_SOFTCAP:
        return v_mul(v_set1(param[0]), v_tanh(v_div(x, v_set1(param[0]))));
    case INFER_ACT_SWIGLU_OAI: {
        v16 g = v_min(v_set1(param[0]), x);
        return v_div(g, v_add(v_set1(1), v_exp(v_mul(g, v_set1(-param[1])))));
    }
    case INFER_ACT_XIELU: {
        v16 curved = v_pick_lt(v_set1(0), x, v_mul(v_mul(x, x), v_set1(param[0])), v_mul(v_exp_beyond_linear(v_min(x, v_set1(0))), v_set1(param[1])));
        return v_fma(x, v_set1(param[2]), curved);
    }
    case INFER_ACT_SOFTPLUS:
        return v_softplus(x);
    case INFER_ACT_EXP:
        return v_exp(x);
    default:
        return x;
    }
}

// act(x) * u
static inline v16 v_gate(int32_t act, v16 x, v16 u, const float *param)
{
    if (act == INFER_ACT_SWIGLU_OAI)
        u = v_add(v_max(v_set1(-param[0]), v_min(v_set1(param[0]), u)), v_set1(1));
    return v_mul(v_act(act, x, param), u);
}

// cos and sin in double, absolute error below 1e-9 for |x| up to 2^30: reduction by multiples of pi/2 with a two-part
// constant, Taylor polynomials. Not libm's: that differs from system to system.
static inline void sin_cos(double x, double *s, double *c)
{
    double n = (x * 0.63661977236758134308 + 6755399441055744.0) - 6755399441055744.0;
    double r = fma(-n, 1.5707963267948965580, x);
    r = fma(-n, 6.1232339957367660359e-17, r);
    double z = r * r;
    double ps = -1.0 / 39916800;
    ps = fma(ps, z, 1.0 / 362880);
    ps = fma(ps, z, -1.0 / 5040);
    ps = fma(ps, z, 1.0 / 120);
    ps = fma(ps, z, -1.0 / 6);
    ps = fma(ps * z, r, r);
    double pc = 1.0 / 479001600;
    pc = fma(pc, z, -1.0 / 3628800);
    pc = fma(pc, z, 1.0 / 40320);
    pc = fma(pc, z, -1.0 / 720);
    pc = fma(pc, z, 1.0 / 24);
    pc = fma(pc, z, -0.5);
    pc = fma(pc, z, 1.0);
    int64_t quadrant = (int64_t)n & 3;
    *s = quadrant == 0 ? ps : quadrant == 1 ? pc : quadrant == 2 ? -ps : -pc;
    *c = quadrant == 0 ? pc : quadrant == 1 ? -ps : quadrant == 2 ? -pc : ps;
}

#endif
