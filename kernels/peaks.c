// peaks.c - measures what this machine can do at most, so that speeds can be given as a share of it: streaming reads, and
// multiply-adds of 8-bit integers, bf16 and f32 from registers.

#include "peaks.h"

#include "cpu.h"

#if defined(__x86_64__)
#include "cpu_amx.h"
#include "cpu_amx_tiles.h"
#endif

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#if defined(__x86_64__)
#include <immintrin.h>

// ask: lines are asked for ahead of their use, as products do where prefetchers stop early.
__attribute__((target("avx512f"), always_inline)) static inline uint64_t read_lines(const uint8_t *p, int64_t bytes, const bool ask)
{
    __m512i a = _mm512_setzero_si512(), b = a, c = a, d = a;
    for (int64_t i = 0; i + 256 <= bytes; i += 256) {
        for (int j = 0; ask && j < 256; j += 64)
            _mm_prefetch((const char *)p + i + NEAR_AHEAD + j, _MM_HINT_T1);
        a = _mm512_xor_si512(a, _mm512_loadu_si512(p + i));
        b = _mm512_xor_si512(b, _mm512_loadu_si512(p + i + 64));
        c = _mm512_xor_si512(c, _mm512_loadu_si512(p + i + 128));
        d = _mm512_xor_si512(d, _mm512_loadu_si512(p + i + 192));
    }
    return (uint64_t)_mm512_reduce_add_epi64(_mm512_xor_si512(_mm512_xor_si512(a, b), _mm512_xor_si512(c, d)));
}

__attribute__((target("avx512f"))) static uint64_t read_avx512(const uint8_t *p, int64_t bytes) { return read_lines(p, bytes, false); }
__attribute__((target("avx512f"))) static uint64_t read_avx512_asking(const uint8_t *p, int64_t bytes) { return read_lines(p, bytes, true); }

__attribute__((target("avx512f,avx512vnni"))) static int32_t multiply_avx512(int64_t rounds)
{
    __m512i acc[12];
    const __m512i w = _mm512_set1_epi32(0x01020304), x = _mm512_set1_epi32(0x7f017f01);
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        acc[i] = _mm512_set1_epi32(i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            acc[i] = _mm512_dpbusd_epi32(acc[i], w, x);
    }
#pragma GCC unroll 12
    for (int i = 1; i < 12; i++)
        acc[0] = _mm512_add_epi32(acc[0], acc[i]);
    return _mm512_reduce_add_epi32(acc[0]);
}

__attribute__((target("avx512f,avx512bf16"))) static float multiply_bf16(int64_t rounds)
{
    __m512 acc[12];
    const __m512bh w = (__m512bh)_mm512_set1_epi32(0x3f803f80), x = (__m512bh)_mm512_set1_epi32(0x33803380);
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        acc[i] = _mm512_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            acc[i] = _mm512_dpbf16_ps(acc[i], w, x);
    }
#pragma GCC unroll 12
    for (int i = 1; i < 12; i++)
        acc[0] = _mm512_add_ps(acc[0], acc[i]);
    return _mm512_reduce_add_ps(acc[0]);
}

__attribute__((target("avx512f"))) static float fuse_avx512(int64_t rounds)
{
    __m512 acc[12];
    const __m512 w = _mm512_set1_ps(0.999f), x = _mm512_set1_ps(0.001f);
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        acc[i] = _mm512_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            acc[i] = _mm512_fmadd_ps(acc[i], w, x);
    }
#pragma GCC unroll 12
    for (int i = 1; i < 12; i++)
        acc[0] = _mm512_add_ps(acc[0], acc[i]);
    return _mm512_reduce_add_ps(acc[0]);
}

__attribute__((target("avx2,fma"))) static float fuse_avx2(int64_t rounds)
{
    __m256 acc[12];
    const __m256 w = _mm256_set1_ps(0.999f), x = _mm256_set1_ps(0.001f);
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        acc[i] = _mm256_set1_ps((float)i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            acc[i] = _mm256_fmadd_ps(acc[i], w, x);
    }
    float out[8], sum = 0;
#pragma GCC unroll 12
    for (int i = 1; i < 12; i++)
        acc[0] = _mm256_add_ps(acc[0], acc[i]);
    _mm256_storeu_ps(out, acc[0]);
    for (int i = 0; i < 8; i++)
        sum += out[i];
    return sum;
}

__attribute__((target("avx2"))) static int32_t multiply_avx2(int64_t rounds)
{
    __m256i acc[10];
    const __m256i w = _mm256_set1_epi32(0x01020304), x = _mm256_set1_epi32(0x7f017f01), ones = _mm256_set1_epi16(1);
#pragma GCC unroll 10
    for (int i = 0; i < 10; i++)
        acc[i] = _mm256_set1_epi32(i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++)
            acc[i] = _mm256_add_epi32(acc[i], _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_xor_si256(w, acc[i]), x), ones));
    }
    int32_t out[8], sum = 0;
#pragma GCC unroll 10
    for (int i = 1; i < 10; i++)
        acc[0] = _mm256_add_epi32(acc[0], acc[i]);
    _mm256_storeu_si256((__m256i *)out, acc[0]);
    for (int i = 0; i < 8; i++)
        sum += out[i];
    return sum;
}

__attribute__((target("avx2,avxvnni"))) static int32_t multiply_avxvnni(int64_t rounds)
{
    __m256i acc[10];
    const __m256i w = _mm256_set1_epi32(0x01020304), x = _mm256_set1_epi32(0x7f017f01);
#pragma GCC unroll 10
    for (int i = 0; i < 10; i++)
        acc[i] = _mm256_set1_epi32(i);
    for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 10
        for (int i = 0; i < 10; i++)
            acc[i] = _mm256_dpbusd_avx_epi32(acc[i], w, x);
    }
    int32_t out[8], sum = 0;
#pragma GCC unroll 10
    for (int i = 1; i < 10; i++)
        acc[0] = _mm256_add_epi32(acc[0], acc[i]);
    _mm256_storeu_si256((__m256i *)out, acc[0]);
    for (int i = 0; i < 8; i++)
        sum += out[i];
    return sum;
}

static const uint8_t matrix_line[64] = {0};

// Two sums, which is enough: a product of whole registers begins when the one before has read them.
static void start_matrix(void)
{
    set_tile_shapes(16, 64);
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_LOAD(4, matrix_line, 0);
    TILE_LOAD(6, matrix_line, 0);
}

static int32_t end_matrix(void)
{
    int32_t sums[TILE_BYTES / 4];
    TILE_STORE(0, sums, 64);
    release_tiles();
    return sums[0];
}
#define MATRIX_COLUMNS 16
#define MATRIX_ROWS 16
#endif

void *infer_peak_alloc(int64_t bytes)
{
    void *p = aligned_alloc((size_t)2 << 20, (size_t)bytes);
#ifdef __linux__
    if (p)
        madvise(p, (size_t)bytes, MADV_HUGEPAGE); // as weights are held
#endif
    if (p)
        memset(p, 1, (size_t)bytes);
    return p;
}

uint64_t infer_peak_read(const void *data, int64_t bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f"))
        return (prefetchers_stop_early() ? read_avx512_asking : read_avx512)(data, bytes);
#endif
    const uint8_t *p = data;
    uint64_t sum[8] = {0};
    for (int64_t i = 0; i + 64 <= bytes; i += 64)
        for (int j = 0; j < 8; j++) {
            uint64_t v;
            memcpy(&v, p + i + 8 * j, 8);
            sum[j] ^= v;
        }
    return sum[0] ^ sum[1] ^ sum[2] ^ sum[3] ^ sum[4] ^ sum[5] ^ sum[6] ^ sum[7];
}

int64_t infer_peak_multiply(int64_t rounds, int32_t *sink)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512vnni")) {
        *sink = multiply_avx512(rounds);
        return 12 * 64;
    }
    if (__builtin_cpu_supports("avxvnni")) {
        *sink = multiply_avxvnni(rounds);
        return 10 * 32;
    }
    if (__builtin_cpu_supports("avx2")) {
        *sink = multiply_avx2(rounds);
        return 10 * 32;
    }
#endif
    *sink = (int32_t)rounds;
    return 0;
}

int64_t infer_peak_bf16(int64_t rounds, float *sink)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512bf16")) {
        *sink = multiply_bf16(rounds);
        return 12 * 32;
    }
#endif
    *sink = (float)rounds;
    return 0;
}

int64_t infer_peak_matrix(int64_t rounds, int32_t *sink)
{
#if defined(__x86_64__)
    if (infer_amx_supported()) {
        start_matrix();
        for (int64_t r = 0; r < rounds; r++) {
            TILE_DOT_SIGNED(0, 4, 6);
            TILE_DOT_SIGNED(1, 4, 6);
        }
        *sink = end_matrix();
        return 2 * MATRIX_COLUMNS * MATRIX_ROWS * 64;
    }
#endif
    *sink = (int32_t)rounds;
    return 0;
}

int64_t infer_peak_matrix_bf16(int64_t rounds, int32_t *sink)
{
#if defined(__x86_64__)
    if (infer_amx_supported()) {
        start_matrix();
        for (int64_t r = 0; r < rounds; r++) {
            TILE_DOT_BF16(0, 4, 6);
            TILE_DOT_BF16(1, 4, 6);
        }
        *sink = end_matrix();
        return 2 * MATRIX_COLUMNS * MATRIX_ROWS * 32;
    }
#endif
    *sink = (int32_t)rounds;
    return 0;
}

int64_t infer_peak_fuse(int64_t rounds, float *sink)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        *sink = fuse_avx512(rounds);
        return 12 * 16;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        *sink = fuse_avx2(rounds);
        return 12 * 8;
    }
#endif
    *sink = (float)rounds;
    return 0;
}
