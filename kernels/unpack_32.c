// unpack_32.c: types with one float scale every 32 weights (NVFP4: every 16).
#include "codebooks.h"
#include "unpack.h"

static void set_scale(struct infer_unpacked32 *out, float d, float m)
{
    out->d[0] = out->d[1] = d;
    out->m = m;
}

// Low nibbles are the first 16 weights, high nibbles the last 16.
static void split_nibbles(const uint8_t qs[16], int offset, int8_t q[32])
{
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)((qs[i] & 15) + offset);
        q[i + 16] = (int8_t)((qs[i] >> 4) + offset);
    }
}

// The same with a fifth bit: bit i of the little-endian word at qh belongs to weight i.
static void split_5bit(const uint8_t qh[4], const uint8_t qs[16], int offset, int8_t q[32])
{
    uint32_t high = infer_load_u32(qh);
    for (int i = 0; i < 16; i++) {
        q[i] = (int8_t)((int)(qs[i] & 15) + (int)(high >> i & 1) * 16 + offset);
        q[i + 16] = (int8_t)((int)(qs[i] >> 4) + (int)(high >> (i + 16) & 1) * 16 + offset);
    }
}

static void look_up_nibbles(const uint8_t *qs, int count, const int8_t codebook[16], int8_t *q)
{
    for (int i = 0; i < count; i++) {
        q[i] = codebook[qs[i] & 15];
        q[i + count] = codebook[qs[i] >> 4];
    }
}

// d:f16 qs[16]
void infer_unpack_q4_0(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    (void)group;
    set_scale(out, infer_load_f16(p), 0);
    split_nibbles(p + 2, -8, out->q);
}

// d:f16 m:f16 qs[16]
void infer_unpack_q4_1(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    (void)group;
    set_scale(out, infer_load_f16(p), infer_load_f16(p + 2));
    split_nibbles(p + 4, 0, out->q);
}

// d:f16 qh[4] qs[16]
void infer_unpack_q5_0(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    (void)group;
    set_scale(out, infer_load_f16(p), 0);
    split_5bit(p + 2, p + 6, -16, out->q);
}

// d:f16 m:f16 qh[4] qs[16]
void infer_unpack_q5_1(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    (void)group;
    set_scale(out, infer_load_f16(p), infer_load_f16(p + 2));
    split_5bit(p + 4, p + 8, 0, out->q);
}

// d:f16 qs[32] signed
void infer_unpack_q8_0(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    (void)group;
    set_scale(out, infer_load_f16(p), 0);
    memcpy(out->q, p + 2, 32);
}

// d:f16 qs[16], each nibble an index of a non-linear codebook
void infer_unpack_iq4_nl(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    (void)group;
    set_scale(out, infer_load_f16(p), 0);
    look_up_nibbles(p + 2, 16, infer_codebook_iq4, out->q);
}

// e:e8m0 qs[16]. The codebook holds doubled E2M1 values, so that the scale is 2^(e-128), half of what the byte says;
// 2^-128 and 2^-127 are subnormal floats. 255, NaN in the OCP format, is 2^127 here as in every GGUF reader.
void infer_unpack_mxfp4(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    (void)group;
    uint32_t e = p[0];
    set_scale(out, float_of_bits(e < 2 ? UINT32_C(0x00200000) << e : (e - 1) << 23), 0);
    look_up_nibbles(p + 1, 16, infer_codebook_fp4, out->q);
}

// Unsigned E4M3 (bias 7), halved because the codebook is doubled. 0x7f is NaN in the format and 0 here.
static float half_of_ue4m3(uint8_t x)
{
    int exponent = x >> 3 & 15, mantissa = x & 7;
    if (x == 0x7f) {
        return 0;
    }
    if (exponent == 0) {
        return (float)mantissa * 0x1p-10f;
    }
    return float_of_bits((uint32_t)(exponent - 8 + 127) << 23 | (uint32_t)mantissa << 20);
}

// d[4]:ue4m3 qs[32]: 64 weights, a scale and 8 bytes every 16
void infer_unpack_nvfp4(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    for (int half = 0; half < 2; half++) {
        int sub = group * 2 + half;
        out->d[half] = half_of_ue4m3(p[sub]);
        look_up_nibbles(p + 4 + sub * 8, 8, infer_codebook_fp4, out->q + half * 16);
    }
    out->m = 0;
}

// d:f16 qs[16]: 128 weights of one bit, set for +d and clear for -d
void infer_unpack_q1_0(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    set_scale(out, infer_load_f16(p), 0);
    uint32_t bits = infer_load_u32(p + 2 + group * 4);
    for (int i = 0; i < 32; i++) {
        out->q[i] = (int8_t)((int)(bits >> i & 1) * 2 - 1);
    }
}

// d:f16 qs[16]: 64 weights of two bits, -1 to 2, four consecutive ones a byte
void infer_unpack_q2_0(const uint8_t *p, int group, struct infer_unpacked32 *out)
{
    set_scale(out, infer_load_f16(p), 0);
    const uint8_t *qs = p + 2 + group * 8;
    for (int i = 0; i < 32; i++) {
        out->q[i] = (int8_t)((qs[i / 4] >> i % 4 * 2 & 3) - 1);
    }
}
