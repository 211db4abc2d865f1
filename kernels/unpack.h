// unpack.h: what the unpack_*.c files share: unaligned little-endian loads, and the table of block unpackers.
#ifndef INFER_UNPACK_H
#define INFER_UNPACK_H

#include <stdint.h>
#include <string.h>

#include "float16.h"
#include "types.h"

static inline uint16_t infer_load_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

static inline uint32_t infer_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline float infer_load_f16(const uint8_t *p)
{
    return f16_to_f32(infer_load_u16(p));
}

// Unpacks group number `group` (32 weights) of the block at p.
typedef void infer_unpack32_fn(const uint8_t *p, int group, struct infer_unpacked32 *out);
// Unpacks the block at p.
typedef void infer_unpack256_fn(const uint8_t *p, struct infer_unpacked256 *out);

infer_unpack32_fn infer_unpack_q4_0, infer_unpack_q4_1, infer_unpack_q5_0, infer_unpack_q5_1, infer_unpack_q8_0;
infer_unpack32_fn infer_unpack_iq4_nl, infer_unpack_mxfp4, infer_unpack_nvfp4, infer_unpack_q1_0, infer_unpack_q2_0;

infer_unpack256_fn infer_unpack_q2_k, infer_unpack_q3_k, infer_unpack_q4_k, infer_unpack_q5_k, infer_unpack_q6_k;
infer_unpack256_fn infer_unpack_iq1_s, infer_unpack_iq1_m, infer_unpack_iq2_xxs, infer_unpack_iq2_xs, infer_unpack_iq2_s;
infer_unpack256_fn infer_unpack_iq3_xxs, infer_unpack_iq3_s, infer_unpack_iq4_xs, infer_unpack_tq1_0, infer_unpack_tq2_0;

// Q4_K and Q5_K: eight 6-bit scales and eight 6-bit minima in 12 bytes. Bytes 0..3 and 4..7 hold the first four of each
// in their low 6 bits; bytes 8..11 the low 4 bits of the last four (scale low nibble, minimum high nibble), whose top 2
// bits are the top bits of bytes 0..3 and 4..7.
static inline int infer_k4_scale(const uint8_t s[12], int i)
{
    return i < 4 ? s[i] & 63 : (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
}

static inline int infer_k4_min(const uint8_t s[12], int i)
{
    return i < 4 ? s[i + 4] & 63 : s[i + 4] >> 4 | s[i] >> 6 << 4;
}

#endif
