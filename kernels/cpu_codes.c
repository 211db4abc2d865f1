// cpu_codes.c - from GGUF's rows to interleaved codes. See cpu_codes.h.

#include "cpu_codes.h"

static const struct code_kind q2_k = {2, true, true, {0, 1, 2, 3}};
static const struct code_kind q3_k = {3, true, false, {-4, -3, -2, -1, 0, 1, 2, 3}};
static const struct code_kind ternary = {2, false, false, {-1, 0, 1, 2}};
static const struct code_kind iq1_s = {3, false, false, {-9, -7, -1, 1, 7, 9, 15, 17}};
static const struct code_kind iq1_m = {3, true, false, {-9, -7, -1, 1, 7, 9, 15, 17}};
static const struct code_kind iq2_xxs = {3, false, false, {8, 25, 43, 0, -8, -25, -43, 0}};
static const struct code_kind iq2_xs = {3, true, false, {8, 25, 43, 0, -8, -25, -43, 0}};
static const struct code_kind iq3_xxs = {4, false, false, {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62}};
static const struct code_kind iq3_s = {4, false, false, {1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15}};
static const struct code_kind iq4_xs = {4, false, false, {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}};

const struct code_kind *infer_code_kind(enum infer_dtype t)
{
    switch (t) {
    case INFER_DTYPE_Q2_K: return &q2_k;
    case INFER_DTYPE_Q3_K: return &q3_k;
    case INFER_DTYPE_TQ1_0:
    case INFER_DTYPE_TQ2_0: return &ternary;
    case INFER_DTYPE_IQ1_S: return &iq1_s;
    case INFER_DTYPE_IQ1_M: return &iq1_m;
    case INFER_DTYPE_IQ2_XXS: return &iq2_xxs;
    case INFER_DTYPE_IQ2_XS:
    case INFER_DTYPE_IQ2_S: return &iq2_xs;
    case INFER_DTYPE_IQ3_XXS: return &iq3_xxs;
    case INFER_DTYPE_IQ3_S: return &iq3_s;
    case INFER_DTYPE_IQ4_XS: return &iq4_xs;
    default: return NULL;
    }
}

// A row's part of a block: word j holds the codes of columns 4j.
static void pack_row(const struct code_kind *k, const uint32_t codes[64], int row, uint8_t *block)
{
    uint8_t *to = block + 4 * row;
    if (k->bits == 4) {
        for (int c = 0; c < 4; c++)
            for (int i = 0; i < 8; i++, to += 64) {
                uint32_t word = codes[16 * c + i] | codes[16 * c + 8 + i] << 4;
                memcpy(to, &word, 4);
            }
        return;
    }
    if (k->bits == 3)
        for (int i = 0; i < 8; i++, to += 64) {
            uint32_t word = 0;
            for (int b = 0; b < 8; b++)
                word |= (codes[8 * b + i] >> 2 & 0x01010101u) << b;
            memcpy(to, &word, 4);
        }
    for (int n = 0; n < 2; n++)
        for (int i = 0; i < 8; i++, to += 64) {
            uint32_t word = 0;
            for (int f = 0; f < 4; f++)
                word |= (codes[32 * n + 8 * f + i] & 0x03030303u) << 2 * f;
            memcpy(to, &word, 4);
        }
}

static void pack_scales(const struct code_kind *k, const struct infer_unpacked256 *u, int row, uint8_t *block)
{
    uint8_t *scales = (uint8_t *)code_scales(k, block), *d = (uint8_t *)code_d(k, block);
    int step = k->scales16 ? 1 : 2;
    for (int j = 0; j < 16 / step; j++) {
        int scale = u->scale[step * j];
        scales[16 * j + row] = (uint8_t)(k->minimums ? scale | u->min[step * j] << 4 : scale);
    }
    memcpy(d + 4 * row, &u->d, 4);
    if (k->minimums)
        memcpy(d + 64 + 4 * row, &u->dmin, 4);
}

void infer_pack_codes(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    const struct code_kind *k = infer_code_kind(t);
    int64_t bytes = code_block_bytes(k), from = infer_type_traits(t)->block_bytes;
    uint8_t code_of[256] = {0}; // by value
    for (int code = (1 << k->bits) - 1; code >= 0; code--)
        code_of[(uint8_t)k->values[code]] = (uint8_t)code;
    memset(panel, 0, (size_t)(cols / 256 * bytes));
    for (int64_t b = 0; b < cols / 256; b++, panel += bytes)
        for (int r = 0; r < rows; r++) {
            struct infer_unpacked256 u;
            uint8_t codes[256];
            uint32_t words[64];
            infer_unpack256(t, raw + r * stride + b * from, 1, &u);
            for (int i = 0; i < 256; i++)
                codes[i] = code_of[(uint8_t)u.q[i]];
            memcpy(words, codes, sizeof words);
            pack_row(k, words, r, panel);
            pack_scales(k, &u, r, panel);
        }
}
