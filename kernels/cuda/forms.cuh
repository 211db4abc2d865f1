// forms.cuh - how weights of products lie in device memory, and how one span of them becomes fragments and scales.
//
// A matrix is cut into tiles of 16 rows, a tile into slabs of columns; slabs of a tile follow each other, tiles too. A span is 128 columns
// of a tile; a slab is one span, or of the types with 256 columns a block two. A slab holds its spans' codes, then its scales. Everything
// lies as the lanes of a warp take it: lane = 4g + t has rows g and g + 8, and of each block of 32 columns the words (4 columns) t and t + 4,
// which is fragment A of mma_s8. Rows and columns past the matrix's end have scale 0.
//
// Codes: planes of `low` (2, 4 or 8) and `high` (1 or 2) bits a weight; a weight's byte is put together from both.
#ifndef INFER_CUDA_FORMS_CUH
#define INFER_CUDA_FORMS_CUH

#include "dequantize.cuh"
#include "matrix.cuh"

#define TILE_HEIGHT 16
#define SPAN_COLUMNS 128
#define SEGMENTS 8 // parts of a row whose sums are made apart, and added in order

// What a code is.
enum code_kind {
    CODE_SIGNED = 0,   // n bits of a two's complement, at the top of its byte: 2^(8-n) times the weight
    CODE_UNSIGNED = 1, // at the bottom
    CODE_TABLE = 2,    // an index of up to 16 values
    CODE_SIGN = 3,     // one bit: set for -1, clear for 1
};

// What scales a slab has, in its lanes' order. Bytes of rows g and g + 8 side by side.
enum scale_kind {
    SCALE_HALF = 0,      // a half every 32 columns
    SCALE_HALF_MIN = 1,  // and a minimum, which is added
    SCALE_E8M0 = 2,      // MXFP4's byte every 32
    SCALE_E4M3 = 3,      // NVFP4's byte every 16
    SCALE_BYTES_MIN = 4, // two spans: a scale and a minimum (a byte each) every 32, and a row's d and dmin
    SCALE_NIBBLES_MIN = 5, // two spans: a scale and a minimum (a nibble each) every 16, and a row's d and dmin
    SCALE_BYTES_16 = 6,  // two spans: a signed byte every 16, and a row's d
    SCALE_BYTES_32 = 7,  // two spans: a signed byte every 32, and a row's d
};

struct packing {
    int low, high; // bits of the planes
    int code, scale;
};

static constexpr int spans_of(int scale) { return scale >= SCALE_BYTES_MIN ? 2 : 1; }
static constexpr int scale_bytes_of(int scale)
{
    return scale == SCALE_HALF ? 128 : scale == SCALE_HALF_MIN ? 256 : scale == SCALE_E8M0 ? 64 : scale == SCALE_E4M3 ? 128 : scale == SCALE_BYTES_16 ? 256 + 32 : scale == SCALE_BYTES_32 ? 128 + 32 : 256 + 64;
}
static constexpr int span_bytes_of(int low, int high) { return (low + high) * TILE_HEIGHT * SPAN_COLUMNS / 8; }
static constexpr int slab_bytes_of(const packing &p) { return spans_of(p.scale) * span_bytes_of(p.low, p.high) + scale_bytes_of(p.scale); }

// Bits [from, from + bits) of every byte, moved to [to, to + bits).
template <int FROM, int TO, int BITS> static __device__ __forceinline__ uint32_t move_bits(uint32_t w)
{
    constexpr uint32_t mask = ((1u << BITS) - 1) * 0x01010101u << TO;
    return (TO >= FROM ? w << (TO >= FROM ? TO - FROM : 0) : w >> (TO >= FROM ? 0 : FROM - TO)) & mask;
}

// The values of four codes of 4 bits.
static __device__ __forceinline__ uint32_t look_up(const uint32_t table[4], uint32_t codes)
{
    uint32_t low = __byte_perm(table[0], table[1], codes & 0x7777), high = __byte_perm(table[2], table[3], codes & 0x7777);
    return __byte_perm(low, high, (codes & 0x8888) >> 1 | 0x3210);
}

// Streamed once: they are not kept in the near cache.
static __device__ __forceinline__ uint4 load_stream(const uint4 *p)
{
#ifdef INFER_CUDA_EMULATE
    return *p;
#else
    uint4 v;
    asm("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p));
    return v;
#endif
}

// A lane's part of a span as it lies in memory. LOW, HIGH, CODE, SCALE: struct packing
template <int LOW, int HIGH, int CODE, int SCALE> struct form8 {
    static constexpr int spans = spans_of(SCALE);
    static constexpr int span_bytes = span_bytes_of(LOW, HIGH);
    static constexpr int slab_bytes = spans * span_bytes + scale_bytes_of(SCALE);
    static constexpr int groups = SCALE == SCALE_E4M3 || SCALE == SCALE_NIBBLES_MIN || SCALE == SCALE_BYTES_16 ? 2 : 1; // scales every 32 columns
    static constexpr bool minimums = SCALE == SCALE_HALF_MIN || SCALE == SCALE_BYTES_MIN || SCALE == SCALE_NIBBLES_MIN;
    static constexpr int low_words = 2 * LOW, high_words = 2 * HIGH;

    uint32_t low[LOW ? low_words : 1], high[HIGH ? high_words : 1];
    uint32_t scale, row[2]; // of the lane's own block; of its rows, or the minimums of its block

    __device__ __forceinline__ void load(const uint8_t *slab, int span, int lane)
    {
        const uint8_t *codes = slab + span * span_bytes;
        if constexpr (LOW > 0)
            UNROLL
            for (int i = 0; i < low_words / 4; i++)
                store(&low[4 * i], load_stream((const uint4 *)(codes + i * 512) + lane));
        codes += low_words / 4 * 512;
        if constexpr (HIGH == 2) {
            store(high, load_stream((const uint4 *)codes + lane));
        } else if constexpr (HIGH == 1) {
            uint2 v = __ldg((const uint2 *)codes + lane);
            high[0] = v.x, high[1] = v.y;
        }
        load_scales(slab + spans * span_bytes, span, lane);
    }

    static __device__ __forceinline__ void store(uint32_t *to, uint4 v) { to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w; }

    __device__ __forceinline__ void load_scales(const uint8_t *s, int span, int lane)
    {
        row[0] = row[1] = 0;
        if constexpr (SCALE == SCALE_HALF || SCALE == SCALE_E4M3) {
            scale = __ldg((const uint32_t *)s + lane);
        } else if constexpr (SCALE == SCALE_HALF_MIN) {
            uint2 v = __ldg((const uint2 *)s + lane);
            scale = v.x, row[0] = v.y;
        } else if constexpr (SCALE == SCALE_E8M0) {
            scale = __ldg((const uint16_t *)s + lane);
        } else if constexpr (SCALE == SCALE_BYTES_32) {
            scale = __ldg((const uint16_t *)s + 2 * lane + span);
            row[0] = __ldg((const uint32_t *)(s + 128) + lane / 4);
        } else {
            scale = __ldg((const uint32_t *)s + 2 * lane + span);
            if constexpr (SCALE == SCALE_BYTES_16) {
                row[0] = __ldg((const uint32_t *)(s + 256) + lane / 4);
            } else {
                uint2 v = __ldg((const uint2 *)(s + 256) + lane / 4);
                row[0] = v.x, row[1] = v.y;
            }
        }
    }

    // Word r of fragment A of block B of the span.
    template <int B, int R> __device__ __forceinline__ uint32_t word(const uint32_t *table) const
    {
        constexpr int shift = CODE == CODE_SIGNED ? 8 - LOW - HIGH : 0; // of a code in its byte
        if constexpr (CODE == CODE_TABLE && LOW == 4) {
            return look_up(table, low[4 * (B / 2) + R] >> 16 * (B % 2));
        } else if constexpr (CODE == CODE_TABLE) {
            uint32_t two = low[R] >> (16 * (B / 2) + 2 * (B % 2)) & 0x3333, one = high[R / 2] >> (16 * (R % 2) + B) & 0x1111;
            return __byte_perm(table[0], table[1], two | one << 2);
        } else if constexpr (CODE == CODE_SIGN) {
            return __byte_perm(move_bits<4 * (R % 2) + B, 7, 1>(high[R / 2]), 0, 0xba98) | 0x01010101;
        } else if constexpr (LOW == 8) {
            return low[4 * B + R];
        } else {
            uint32_t w;
            if constexpr (LOW == 4)
                w = move_bits<4 * (B % 2), shift, 4>(low[4 * (B / 2) + R]);
            else
                w = move_bits<2 * B, shift, 2>(low[R]);
            if constexpr (HIGH == 2)
                w |= move_bits<2 * B, shift + LOW, 2>(high[R]);
            if constexpr (HIGH == 1)
                w |= move_bits<4 * (R % 2) + B, shift + LOW, 1>(high[R / 2]);
            return w;
        }
    }

    template <int B> __device__ __forceinline__ void fragment(const uint32_t *table, uint32_t a[4]) const
    {
        a[0] = word<B, 0>(table), a[1] = word<B, 1>(table), a[2] = word<B, 2>(table), a[3] = word<B, 3>(table);
    }

    // The scales of the lane's own block t, d[group][row half], and what is added for each unit of the activations' sum.
    __device__ __forceinline__ void scales(float unit, float d[groups][2], float m[groups][2]) const
    {
        UNROLL
        for (int h = 0; h < 2; h++) {
            if constexpr (SCALE == SCALE_HALF) {
                d[0][h] = half_to_float((uint16_t)(scale >> 16 * h)) * unit;
            } else if constexpr (SCALE == SCALE_HALF_MIN) {
                d[0][h] = half_to_float((uint16_t)(scale >> 16 * h)) * unit;
                m[0][h] = half_to_float((uint16_t)(row[0] >> 16 * h));
            } else if constexpr (SCALE == SCALE_E8M0) {
                d[0][h] = half_of_e8m0(scale >> 8 * h & 255) * unit;
            } else if constexpr (SCALE == SCALE_E4M3) {
                d[0][h] = half_of_ue4m3(scale >> 8 * h & 255) * unit;
                d[1][h] = half_of_ue4m3(scale >> (16 + 8 * h) & 255) * unit;
            } else if constexpr (SCALE == SCALE_BYTES_32) {
                d[0][h] = half_to_float((uint16_t)(row[0] >> 16 * h)) * unit * (float)(int8_t)(scale >> 8 * h);
            } else if constexpr (SCALE == SCALE_BYTES_16) {
                float all = half_to_float((uint16_t)(row[0] >> 16 * h)) * unit;
                d[0][h] = all * (float)(int8_t)(scale >> 8 * h);
                d[1][h] = all * (float)(int8_t)(scale >> (16 + 8 * h));
            } else if constexpr (SCALE == SCALE_BYTES_MIN) {
                d[0][h] = half_to_float((uint16_t)row[h]) * unit * (float)(scale >> 16 * h & 255);
                m[0][h] = -half_to_float((uint16_t)(row[h] >> 16)) * (float)(scale >> (16 * h + 8) & 255);
            } else {
                float all = half_to_float((uint16_t)row[h]) * unit, minimum = -half_to_float((uint16_t)(row[h] >> 16));
                UNROLL
                for (int k = 0; k < 2; k++) {
                    d[k][h] = all * (float)(scale >> (16 * k + 8 * h) & 15);
                    m[k][h] = minimum * (float)(scale >> (16 * k + 8 * h + 4) & 15);
                }
            }
        }
    }
};

#endif
