// unpack_k.c: the K types and the ternary types: 256 weights, integer scales under one float scale.
#include "unpack.h"

static void no_minimum(struct infer_unpacked256 *out)
{
    memset(out->min, 0, sizeof out->min);
    out->dmin = 0;
}

// Two bits a weight: each half of 128 weights takes 32 bytes, bits 2j and 2j+1 of byte l hold weight 32j+l.
static void split_2bit(const uint8_t qs[64], int offset, int8_t q[256])
{
    for (int half = 0; half < 2; half++) {
        for (int j = 0; j < 4; j++) {
            for (int l = 0; l < 32; l++) {
                q[half * 128 + j * 32 + l] = (int8_t)((qs[half * 32 + l] >> 2 * j & 3) + offset);
            }
        }
    }
}

// scales[16] (scale low nibble, minimum high nibble) qs[64] d:f16 dmin:f16
void infer_unpack_q2_k(const uint8_t *p, struct infer_unpacked256 *out)
{
    for (int i = 0; i < 16; i++) {
        out->scale[i] = p[i] & 15;
        out->min[i] = p[i] >> 4;
    }
    split_2bit(p + 16, 0, out->q);
    out->d = infer_load_f16(p + 80);
    out->dmin = infer_load_f16(p + 82);
}

// hmask[32] qs[64] scales[12] d:f16. Bit j of hmask byte l belongs to weight 32j+l; a clear bit subtracts 4.
void infer_unpack_q3_k(const uint8_t *p, struct infer_unpacked256 *out)
{
    const uint8_t *s = p + 96;
    split_2bit(p + 32, 0, out->q);
    for (int j = 0; j < 8; j++) {
        for (int l = 0; l < 32; l++) {
            out->q[j * 32 + l] = (int8_t)(out->q[j * 32 + l] - 4 + (p[l] >> j & 1) * 4);
        }
    }
    for (int i = 0; i < 16; i++) {
        int low = i < 8 ? s[i] & 15 : s[i - 8] >> 4;
        int high = s[8 + i % 4] >> i / 4 * 2 & 3;
        out->scale[i] = (int16_t)((low | high << 4) - 32);
    }
    out->d = infer_load_f16(p + 108);
    no_minimum(out);
}

static void unpack_k4_scales(const uint8_t *p, struct infer_unpacked256 *out)
{
    out->d = infer_load_f16(p);
    out->dmin = infer_load_f16(p + 2);
    for (int i = 0; i < 8; i++) {
        out->scale[2 * i] = out->scale[2 * i + 1] = (int16_t)infer_k4_scale(p + 4, i);
        out->min[2 * i] = out->min[2 * i + 1] = (int16_t)infer_k4_min(p + 4, i);
    }
}

// d:f16 dmin:f16 scales[12] qs[128]: 32 bytes hold 64 weights, the low nibbles the first 32
void infer_unpack_q4_k(const uint8_t *p, struct infer_unpacked256 *out)
{
    const uint8_t *qs = p + 16;
    unpack_k4_scales(p, out);
    for (int c = 0; c < 4; c++) {
        for (int l = 0; l < 32; l++) {
            out->q[c * 64 + l] = (int8_t)(qs[c * 32 + l] & 15);
            out->q[c * 64 + 32 + l] = (int8_t)(qs[c * 32 + l] >> 4);
        }
    }
}

// d:f16 dmin:f16 scales[12] qh[32] qs[128]: as Q4_K; bit j of qh byte l is the fifth bit of weight 32j+l
void infer_unpack_q5_k(const uint8_t *p, struct infer_unpacked256 *out)
{
    const uint8_t *qh = p + 16, *qs = p + 48;
    unpack_k4_scales(p, out);
    for (int c = 0; c < 4; c++) {
        for (int l = 0; l < 32; l++) {
            out->q[c * 64 + l] = (int8_t)((qs[c * 32 + l] & 15) | (qh[l] >> 2 * c & 1) << 4);
            out->q[c * 64 + 32 + l] = (int8_t)(qs[c * 32 + l] >> 4 | (qh[l] >> (2 * c + 1) & 1) << 4);
        }
    }
}

// ql[128] qh[64] scales[16] signed, d:f16. Each half of 128 weights takes 64 bytes of ql (low nibbles the first 64
// weights) and 32 bytes of qh (bits 2j and 2j+1 of byte l are the top bits of weight 32j+l).
void infer_unpack_q6_k(const uint8_t *p, struct infer_unpacked256 *out)
{
    for (int half = 0; half < 2; half++) {
        const uint8_t *ql = p + half * 64, *qh = p + 128 + half * 32;
        for (int j = 0; j < 4; j++) {
            for (int l = 0; l < 32; l++) {
                int low = ql[j % 2 * 32 + l] >> j / 2 * 4 & 15;
                int high = qh[l] >> 2 * j & 3;
                out->q[half * 128 + j * 32 + l] = (int8_t)((low | high << 4) - 32);
            }
        }
    }
    for (int i = 0; i < 16; i++) {
        int s = p[192 + i];
        out->scale[i] = (int16_t)(s < 128 ? s : s - 256);
    }
    out->d = infer_load_f16(p + 208);
    no_minimum(out);
}

static void unit_scales(struct infer_unpacked256 *out)
{
    for (int i = 0; i < 16; i++) {
        out->scale[i] = 1;
    }
    no_minimum(out);
}

// A byte holds up to five ternary digits as a fraction of 256: digit n is the integer part of 3*frac(byte*3^n/256).
static void split_ternary(const uint8_t *qs, int bytes, int digits, int8_t *q)
{
    unsigned power = 1;
    for (int n = 0; n < digits; n++, power *= 3) {
        for (int i = 0; i < bytes; i++) {
            q[n * bytes + i] = (int8_t)((int)((qs[i] * power & 255) * 3 >> 8) - 1);
        }
    }
}

// qs[48] qh[4] d:f16: 32 bytes of five weights, 16 bytes of five, 4 bytes of four
void infer_unpack_tq1_0(const uint8_t *p, struct infer_unpacked256 *out)
{
    split_ternary(p, 32, 5, out->q);
    split_ternary(p + 32, 16, 5, out->q + 160);
    split_ternary(p + 48, 4, 4, out->q + 240);
    out->d = infer_load_f16(p + 52);
    unit_scales(out);
}

// qs[64] d:f16. The fourth code, +2, is not written by quantizers but is what the bits say.
void infer_unpack_tq2_0(const uint8_t *p, struct infer_unpacked256 *out)
{
    split_2bit(p, -1, out->q);
    out->d = infer_load_f16(p + 64);
    unit_scales(out);
}
