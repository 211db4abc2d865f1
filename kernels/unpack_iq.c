// unpack_iq.c: types whose weights are drawn in groups from a grid of points (IQ1, IQ2, IQ3) or a codebook (IQ4_XS).
//
// Scales of the form (1/2 + s)*2^-k become the odd integer 2s+1, and d takes the power of two.
#include "codebooks.h"
#include "unpack.h"

static const int8_t iq2_values[4] = {8, 25, 43, 0};
static const int8_t iq3_xxs_values[8] = {4, 12, 20, 28, 36, 44, 52, 62};

static void set_scales(struct infer_unpacked256 *out, float d)
{
    out->d = d;
    out->dmin = 0;
    memset(out->min, 0, sizeof out->min);
}

static int nibble(const uint8_t *p, int i) { return p[i / 2] >> i % 2 * 4 & 15; }

// Seven sign bits; the eighth makes their number even.
static unsigned even_signs(unsigned seven)
{
    unsigned parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return (seven & 127) | (parity & 1) << 7;
}

static void apply_signs(unsigned signs, int8_t q[8])
{
    for (int i = 0; i < 8; i++) {
        q[i] = (int8_t)(signs >> i & 1 ? -q[i] : q[i]);
    }
}

// An IQ2 grid point: eight weights, two bits each.
static void point_iq2(unsigned point, unsigned signs, int8_t q[8])
{
    for (int i = 0; i < 8; i++) {
        q[i] = iq2_values[point >> 2 * i & 3];
    }
    apply_signs(signs, q);
}

// d:f16, then for each 32 weights four grid indices (bytes) and a word: four 7-bit signs, a 4-bit scale
void infer_unpack_iq2_xxs(const uint8_t *p, struct infer_unpacked256 *out)
{
    set_scales(out, infer_load_f16(p) * 0.125f);
    for (int g = 0; g < 8; g++) {
        const uint8_t *index = p + 2 + g * 8;
        uint32_t word = infer_load_u32(index + 4);
        out->scale[2 * g] = out->scale[2 * g + 1] = (int16_t)(2 * (word >> 28) + 1);
        for (int i = 0; i < 4; i++) {
            point_iq2(infer_grid_iq2_xxs[index[i]], even_signs(word >> 7 * i & 127), out->q + g * 32 + i * 8);
        }
    }
}

// d:f16 qs[32]:u16 (9-bit grid index, 7-bit signs) scales[8]: a nibble every 16 weights
void infer_unpack_iq2_xs(const uint8_t *p, struct infer_unpacked256 *out)
{
    set_scales(out, infer_load_f16(p) * 0.125f);
    for (int i = 0; i < 16; i++) {
        out->scale[i] = (int16_t)(2 * nibble(p + 66, i) + 1);
    }
    for (int i = 0; i < 32; i++) {
        unsigned word = infer_load_u16(p + 2 + i * 2);
        point_iq2(infer_grid_iq2_xs[word & 511], even_signs(word >> 9), out->q + i * 8);
    }
}

// d:f16 qs[32] signs[32] qh[8] (two more index bits a point) scales[8]
void infer_unpack_iq2_s(const uint8_t *p, struct infer_unpacked256 *out)
{
    set_scales(out, infer_load_f16(p) * 0.125f);
    for (int i = 0; i < 16; i++) {
        out->scale[i] = (int16_t)(2 * nibble(p + 74, i) + 1);
    }
    for (int i = 0; i < 32; i++) {
        unsigned high = p[66 + i / 4] >> i % 4 * 2 & 3;
        point_iq2(infer_grid_iq2_s[p[2 + i] | high << 8], p[34 + i], out->q + i * 8);
    }
}

// d:f16 qs[64] (a grid index every 4 weights), then a word for each 32 weights: four 7-bit signs, a 4-bit scale
void infer_unpack_iq3_xxs(const uint8_t *p, struct infer_unpacked256 *out)
{
    set_scales(out, infer_load_f16(p) * 0.25f);
    for (int i = 0; i < 256; i++) {
        out->q[i] = iq3_xxs_values[infer_grid_iq3_xxs[p[2 + i / 4]] >> i % 4 * 3 & 7];
    }
    for (int g = 0; g < 8; g++) {
        uint32_t word = infer_load_u32(p + 66 + g * 4);
        out->scale[2 * g] = out->scale[2 * g + 1] = (int16_t)(2 * (word >> 28) + 1);
        for (int i = 0; i < 4; i++) {
            apply_signs(even_signs(word >> 7 * i & 127), out->q + g * 32 + i * 8);
        }
    }
}

// d:f16 qs[64] qh[8] (bit i of byte g: ninth index bit of point 8g+i) signs[32] scales[4]: a nibble every 32 weights
void infer_unpack_iq3_s(const uint8_t *p, struct infer_unpacked256 *out)
{
    set_scales(out, infer_load_f16(p));
    for (int i = 0; i < 256; i++) {
        int point = i / 4;
        unsigned high = p[66 + point / 8] >> point % 8 & 1;
        out->q[i] = (int8_t)(2 * (infer_grid_iq3_s[p[2 + point] | high << 8] >> i % 4 * 3 & 7) + 1);
    }
    for (int i = 0; i < 32; i++) {
        apply_signs(p[74 + i], out->q + i * 8);
    }
    for (int i = 0; i < 16; i++) {
        out->scale[i] = (int16_t)(2 * nibble(p + 106, i / 2) + 1);
    }
}

// An IQ1 grid point: eight weights of -1, 0, 1, all shifted by an eighth up or down; in eighths here.
static void point_iq1(unsigned index, int down, int8_t q[8])
{
    unsigned point = infer_grid_iq1[index];
    for (int i = 0; i < 8; i++) {
        q[i] = (int8_t)(8 * ((int)(point >> 2 * i & 3) - 1) + (down ? -1 : 1));
    }
}

// d:f16 qs[32] qh[8]:u16 for each 32 weights: four times 3 more index bits, a 3-bit scale, the shift's sign
void infer_unpack_iq1_s(const uint8_t *p, struct infer_unpacked256 *out)
{
    set_scales(out, infer_load_f16(p) * 0.125f);
    for (int g = 0; g < 8; g++) {
        unsigned word = infer_load_u16(p + 34 + g * 2);
        out->scale[2 * g] = out->scale[2 * g + 1] = (int16_t)(2 * (word >> 12 & 7) + 1);
        for (int i = 0; i < 4; i++) {
            point_iq1(p[2 + g * 4 + i] | (word >> 3 * i & 7) << 8, word >> 15, out->q + g * 32 + i * 8);
        }
    }
}

// qs[32] qh[16] (a nibble a point: 3 more index bits, the shift's sign) scales[4]:u16, each four 3-bit scales and, on
// top, 4 bits of d:f16
void infer_unpack_iq1_m(const uint8_t *p, struct infer_unpacked256 *out)
{
    unsigned d = 0;
    for (int i = 0; i < 4; i++) {
        unsigned word = infer_load_u16(p + 48 + i * 2);
        d |= word >> 12 << 4 * i;
        for (int j = 0; j < 4; j++) {
            out->scale[i * 4 + j] = (int16_t)(2 * (word >> 3 * j & 7) + 1);
        }
    }
    set_scales(out, f16_to_f32((uint16_t)d) * 0.125f);
    for (int i = 0; i < 32; i++) {
        int high = nibble(p + 32, i);
        point_iq1(p[i] | (unsigned)(high & 7) << 8, high >> 3, out->q + i * 8);
    }
}

// d:f16 scales_h:u16 scales_l[4] qs[128]: 6-bit scales and 32 codebook indices (IQ4_NL's) every 32 weights
void infer_unpack_iq4_xs(const uint8_t *p, struct infer_unpacked256 *out)
{
    unsigned high = infer_load_u16(p + 2);
    set_scales(out, infer_load_f16(p));
    for (int g = 0; g < 8; g++) {
        int scale = (nibble(p + 4, g) | (int)(high >> 2 * g & 3) << 4) - 32;
        out->scale[2 * g] = out->scale[2 * g + 1] = (int16_t)scale;
        for (int l = 0; l < 16; l++) {
            uint8_t byte = p[8 + g * 16 + l];
            out->q[g * 32 + l] = infer_codebook_iq4[byte & 15];
            out->q[g * 32 + 16 + l] = infer_codebook_iq4[byte >> 4];
        }
    }
}
