// lanes.h: several blocks side by side, one in each lane of a vector.
//
// The quantizers try many candidate scales for every block. With a block a lane, sums over a block need no horizontal step
// and every lane decides for itself. GNU C vectors compile to the machine's own on x86, Arm and elsewhere. A lane rounds
// the same way whatever its neighbours and however many there are: LANES changes the speed, never a bit of the result.
#ifndef INFER_LANES_H
#define INFER_LANES_H

#include <stdint.h>
#include <string.h>

#include "float16.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF data is little-endian, and this code reads and writes it as the machine's own"
#endif

#ifndef LANES
#define LANES 4
#endif

#if LANES == 8
#include <immintrin.h>
#elif defined(__SSE__)
#include <xmmintrin.h>
#endif

// For functions whose parameters are constants of a type: one copy a type, with the constants folded in.
#define SPECIALIZED static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t lanes_int __attribute__((vector_size(4 * LANES)));

static inline lanes lanes_of(float f)
{
    return f - (lanes){0}; // not f + 0, which would lose the sign of -0
}

static inline lanes lanes_select(lanes_int mask, lanes yes, lanes no)
{
    return (lanes)(((lanes_int)yes & mask) | ((lanes_int)no & ~mask));
}

// The smaller and the larger; a NaN in either operand gives b. Compilers do not find the x86 instructions by themselves.
static inline lanes lanes_min(lanes a, lanes b)
{
#if LANES == 8
    return (lanes)_mm256_min_ps((__m256)a, (__m256)b);
#elif defined(__SSE__)
    return (lanes)_mm_min_ps((__m128)a, (__m128)b);
#else
    return lanes_select(a < b, a, b);
#endif
}

static inline lanes lanes_max(lanes a, lanes b)
{
#if LANES == 8
    return (lanes)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__SSE__)
    return (lanes)_mm_max_ps((__m128)a, (__m128)b);
#else
    return lanes_select(a > b, a, b);
#endif
}

static inline lanes lanes_clamp(lanes v, float low, float high)
{
    return lanes_min(lanes_max(v, lanes_of(low)), lanes_of(high));
}

static inline lanes lanes_abs(lanes v)
{
    return (lanes)((lanes_int)v & 0x7fffffff);
}

// To the nearest integer, ties to even; for |v| < 2^22.
static inline lanes lanes_round(lanes v)
{
    return (v + 12582912.0f) - 12582912.0f;
}

// 1/v, and 0 where v is 0: a block without a scale has only zeros.
static inline lanes lanes_inverse(lanes v)
{
    lanes_int zero = v == lanes_of(0);
    return lanes_select(zero, lanes_of(0), 1.0f / lanes_select(zero, lanes_of(1), v));
}

// Rounds to IEEE halves, which go to half[LANES] too.
static inline lanes lanes_round_to_f16(lanes v, uint16_t *half)
{
#if LANES == 8
    __m128i h = _mm256_cvtps_ph((__m256)v, _MM_FROUND_TO_NEAREST_INT);
    memcpy(half, &h, sizeof h);
    return (lanes)_mm256_cvtph_ps(h);
#else
    for (int k = 0; k < LANES; k++) {
        half[k] = f32_to_f16(v[k]);
        v[k] = f16_to_f32(half[k]);
    }
    return v;
#endif
}

// Turns a square of lanes: lane j of v[i] and lane i of v[j] change places.
static inline void lanes_turn(lanes v[LANES])
{
#if LANES == 8
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps((__m256)v[i], (__m256)v[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps((__m256)v[i], (__m256)v[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = (lanes)_mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        v[i + 4] = (lanes)_mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
#elif defined(__SSE__)
    __m128 a = (__m128)v[0], b = (__m128)v[1], c = (__m128)v[2], d = (__m128)v[3];
    _MM_TRANSPOSE4_PS(a, b, c, d);
    v[0] = (lanes)a, v[1] = (lanes)b, v[2] = (lanes)c, v[3] = (lanes)d;
#else
    for (int i = 0; i < LANES; i++) {
        for (int j = 0; j < i; j++) {
            float t = v[i][j];
            v[i][j] = v[j][i];
            v[j][i] = t;
        }
    }
#endif
}

// Loads LANES consecutive blocks of n weights, n a multiple of LANES: weight i of block k becomes lane k of v[i].
static inline void lanes_load_blocks(const float *x, int n, lanes *v)
{
    for (int i = 0; i < n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            memcpy(&v[i + k], x + k * n + i, sizeof *v);
        }
        lanes_turn(v + i);
    }
}

// The reverse, for integers of 0..255 and as bytes: weight i of block k goes to q[k*n + i]. n is a multiple of 16.
static inline void lanes_store_bytes(const lanes *v, int n, uint8_t *q)
{
    for (int i = 0; i < n / 4; i += LANES) {
        lanes words[LANES] = {{0}}; // four weights each
        int count = n / 4 - i < LANES ? n / 4 - i : LANES;
        for (int j = 0; j < count; j++) {
            const lanes *p = v + (i + j) * 4;
            words[j] = (lanes)(__builtin_convertvector(p[0], lanes_int) | __builtin_convertvector(p[1], lanes_int) << 8 |
                               __builtin_convertvector(p[2], lanes_int) << 16 | __builtin_convertvector(p[3], lanes_int) << 24);
        }
        lanes_turn(words);
        for (int k = 0; k < LANES; k++) {
            memcpy(q + k * n + i * 4, &words[k], (size_t)count * 4);
        }
    }
}

#endif
