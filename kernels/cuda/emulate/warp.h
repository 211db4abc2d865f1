// warp.h - emulated shuffles, votes, atomics, loads with hints, vectors, and casts of bits.
#ifndef INFER_CUDA_EMULATE_WARP_H
#define INFER_CUDA_EMULATE_WARP_H

struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace emulate {
inline int lane() { return (int)(threadIdx.x % 32); }

// The value of lane `from`, or the own one where that lies outside of the lane's segment.
template <class T> inline T shuffle(uint32_t mask, T v, int from, bool inside)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "lanes exchange words");
    uint32_t words[sizeof(T) / 4];
    memcpy(words, &v, sizeof v);
    const uint32_t(*all)[EMULATE_WORDS] = exchange(mask, words, sizeof(T) / 4);
    if (inside)
        memcpy(&v, all[from], sizeof v);
    return v;
}
} // namespace emulate

template <class T> static inline T __shfl_sync(uint32_t mask, T v, int from, int width = 32)
{
    return emulate::shuffle(mask, v, emulate::lane() / width * width + (from & (width - 1)), true);
}
template <class T> static inline T __shfl_xor_sync(uint32_t mask, T v, int lanes, int width = 32)
{
    int from = emulate::lane() ^ lanes;
    return emulate::shuffle(mask, v, from, from / width <= emulate::lane() / width);
}
template <class T> static inline T __shfl_up_sync(uint32_t mask, T v, unsigned by, int width = 32)
{
    int lane = emulate::lane();
    return emulate::shuffle(mask, v, lane - (int)by, lane % width >= (int)by);
}
template <class T> static inline T __shfl_down_sync(uint32_t mask, T v, unsigned by, int width = 32)
{
    int lane = emulate::lane();
    return emulate::shuffle(mask, v, lane + (int)by, lane % width + (int)by < width);
}

static inline unsigned __ballot_sync(uint32_t mask, int p)
{
    uint32_t word = p != 0, bits = 0;
    const uint32_t(*all)[EMULATE_WORDS] = emulate::exchange(mask, &word, 1);
    for (int i = 0; i < 32; i++)
        if (mask >> i & 1)
            bits |= all[i][0] << i;
    return bits;
}
static inline int __any_sync(uint32_t mask, int p) { return __ballot_sync(mask, p) != 0; }
static inline int __all_sync(uint32_t mask, int p) { return __ballot_sync(mask, p) == mask; }

// Fibers change at barriers and exchanges alone, so plain reads and writes are atomic.
template <class T> static inline T atomicAdd(T *p, T v) { T old = *p; *p = old + v; return old; }
template <class T> static inline T atomicSub(T *p, T v) { T old = *p; *p = old - v; return old; }
template <class T> static inline T atomicMax(T *p, T v) { T old = *p; *p = old > v ? old : v; return old; }
template <class T> static inline T atomicMin(T *p, T v) { T old = *p; *p = old < v ? old : v; return old; }
template <class T> static inline T atomicOr(T *p, T v) { T old = *p; *p = old | v; return old; }
template <class T> static inline T atomicExch(T *p, T v) { T old = *p; *p = v; return old; }
template <class T> static inline T atomicCAS(T *p, T compare, T v) { T old = *p; if (old == compare) *p = v; return old; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}

template <class T> static inline T __ldg(const T *p) { return *p; }
template <class T> static inline T __ldcs(const T *p) { return *p; }
template <class T> static inline T __ldcg(const T *p) { return *p; }
template <class T> static inline void __stcs(T *p, T v) { *p = v; }

static inline int __float_as_int(float v) { return (int)__float_as_uint(v); }
static inline float __int_as_float(int v) { return __uint_as_float((uint32_t)v); }
static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __clz(int v) { return v ? __builtin_clz((unsigned)v) : 32; }
static inline int __ffs(int v) { return __builtin_ffs(v); }
static inline int __float2int_rn(float v) { return (int)nearbyintf(v); }
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector)
{
    uint64_t bytes = (uint64_t)b << 32 | a;
    unsigned out = 0;
    for (int i = 0; i < 4; i++) {
        unsigned s = selector >> 4 * i & 15, v = (unsigned)(bytes >> 8 * (s & 7)) & 255;
        out |= (s & 8 ? (v & 128 ? 255u : 0u) : v) << 8 * i; // the selector's high bit replicates the sign
    }
    return out;
}
static inline float __frsqrt_rn(float x) { return (float)(1.0 / sqrt((double)x)); }

#endif
