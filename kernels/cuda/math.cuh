// math.cuh - the functions of cpu_math.h for one number at a time: the same polynomials in the same fused multiply-adds, so that they give the
// CPU's bits, on any card.
#ifndef INFER_CUDA_MATH_CUH
#define INFER_CUDA_MATH_CUH

#include "common.cuh"
extern "C" {
#include "../kernels.h"
}

// To the nearest integer, ties to even; |x| < 2^22.
static __device__ __forceinline__ float round_even(float x) { return (x + 12582912.0f) - 12582912.0f; }
// The second operand where one is NaN.
static __device__ __forceinline__ float larger_of(float a, float b) { return a > b ? a : b; }
static __device__ __forceinline__ float smaller_of(float a, float b) { return a < b ? a : b; }

// e^x, relative error below 2e-7; 0 below -87.3, saturates at 88.37. NaN stays NaN.
static __device__ __forceinline__ float exp_of(float x)
{
    float clamped = smaller_of(88.37f, larger_of(-87.3f, x));
    float n = round_even(clamped * 1.44269504088896341f);
    float r = fmaf(n, -0.693145751953125f, clamped);
    r = fmaf(n, -1.42860682030941723e-6f, r);
    float p = 1.0f / 720;
    p = fmaf(p, r, 1.0f / 120);
    p = fmaf(p, r, 1.0f / 24);
    p = fmaf(p, r, 1.0f / 6);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    float power = __uint_as_float(__float_as_uint(n + 12583039.0f) << 23); // 2^n: the low bits of the sum are n + 127
    return x < -87.3f ? 0.0f : p * power;
}

// ln(1 + e^x) = max(x, 0) + 2 artanh(u / (2 + u)), u = e^-|x|
static __device__ __forceinline__ float softplus_of(float x)
{
    float u = exp_of(0.0f - fabsf(x));
    float s = u / (2.0f + u), z = s * s;
    float p = 2.0f / 17;
    p = fmaf(p, z, 2.0f / 15);
    p = fmaf(p, z, 2.0f / 13);
    p = fmaf(p, z, 2.0f / 11);
    p = fmaf(p, z, 2.0f / 9);
    p = fmaf(p, z, 2.0f / 7);
    p = fmaf(p, z, 2.0f / 5);
    p = fmaf(p, z, 2.0f / 3);
    p = fmaf(p, z, 2.0f);
    return fmaf(p, s, larger_of(x, 0.0f));
}

static __device__ __forceinline__ float sigmoid_of(float x) { return 1.0f / (1.0f + exp_of(0.0f - x)); }

static __device__ __forceinline__ float tanh_of(float x)
{
    float far = 2.0f * sigmoid_of(x + x) - 1.0f;
    float s = x * x;
    float p = 62.0f / 2835;
    p = fmaf(p, s, -17.0f / 315);
    p = fmaf(p, s, 2.0f / 15);
    p = fmaf(p, s, -1.0f / 3);
    p = fmaf(p * s, x, x);
    return fabsf(x) < 0.25f ? p : far;
}

// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26; absolute error below 2e-7.
static __device__ __forceinline__ float erf_of(float x)
{
    float a = fabsf(x);
    float t = 1.0f / fmaf(0.3275911f, a, 1.0f);
    float p = 1.061405429f;
    p = fmaf(p, t, -1.453152027f);
    p = fmaf(p, t, 1.421413741f);
    p = fmaf(p, t, -0.284496736f);
    p = fmaf(p, t, 0.254829592f);
    p = p * t;
    float r = 1.0f - p * exp_of(0.0f - a * a);
    return x < 0.0f ? 0.0f - r : r;
}

// act(x); of SWIGLU_OAI the gate's half, gate_of() has the whole.
static __device__ __forceinline__ float act_of(int32_t act, float x, float p1, float p2)
{
    switch (act) {
    case INFER_ACT_SILU:
        return x / (1.0f + exp_of(0.0f - x));
    case INFER_ACT_GELU:
        return x / (1.0f + exp_of(fmaf(x * x * x, 0.044715f, x) * -1.5957691216057308f));
    case INFER_ACT_GELU_ERF:
        return x * 0.5f * (1.0f + erf_of(x * 0.70710678118654752f));
    case INFER_ACT_GELU_QUICK:
        return x / (1.0f + exp_of(x * -1.702f));
    case INFER_ACT_RELU:
        return larger_of(0.0f, x);
    case INFER_ACT_RELU_SQUARED:
        return larger_of(0.0f, x) * larger_of(0.0f, x);
    case INFER_ACT_SIGMOID:
        return sigmoid_of(x);
    case INFER_ACT_TANH:
        return tanh_of(x);
    case INFER_ACT_SOFTCAP:
        return p1 * tanh_of(x / p1);
    case INFER_ACT_SWIGLU_OAI: {
        float g = smaller_of(p1, x);
        return g / (1.0f + exp_of(g * -p2));
    }
    default:
        return x;
    }
}

// act(x) * u
static __device__ __forceinline__ float gate_of(int32_t act, float x, float u, float p1, float p2)
{
    if (act == INFER_ACT_SWIGLU_OAI)
        u = larger_of(-p1, smaller_of(p1, u)) + 1.0f;
    return act_of(act, x, p1, p2) * u;
}

// cos and sin in double, absolute error below 1e-9 for |x| up to 2^30.
static __device__ __forceinline__ void sin_cos(double x, double *s, double *c)
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
