// cpu_codes.h - interleaved weights of the types whose values are few: each weight is a code of 2, 3 or 4 bits, which one
// byte shuffle turns into its value. Grids of points (IQ1, IQ2, IQ3) are resolved when a model opens: that takes more memory
// than the file for IQ1 (3.4 bits a weight), IQ2_XXS (3.4) and IQ3_XXS (4.4), and makes a row as fast as memory.
#ifndef INFER_CPU_CODES_H
#define INFER_CPU_CODES_H

#include "cpu_pack.h"

// How a type of the 256 family becomes codes.
struct code_kind {
    int bits;          // 2, 3 or 4
    bool scales16;     // a scale every 16 columns; else every 32
    bool minimums;     // scales are nibbles, with the minimum above
    int8_t values[16]; // of the codes
};
const struct code_kind *infer_code_kind(enum infer_dtype t); // NULL: the type has no such form

// A block of 256 columns, 16 rows, in this order, 64-byte lines as in cpu_pack.h:
//   3 bits: 8 lines; bit b of line i is the third bit of columns 32b + 4i
//   4 bits: 4 x 8 lines; line i of part c: columns 64c + 4i (low) and 64c + 32 + 4i (high)
//   2 and 3 bits: 2 x 8 lines; bits 2f of line i of half n: columns 128n + 32f + 4i
//   scales [16 or 8][16] as bytes, d[16], and with minimums dmin[16], as floats
static inline int64_t code_lines(const struct code_kind *k) { return k->bits == 4 ? 32 : k->bits == 3 ? 24 : 16; }
static inline int64_t code_block_bytes(const struct code_kind *k)
{
    return 64 * code_lines(k) + (k->scales16 ? 256 : 128) + (k->minimums ? 128 : 64);
}
static inline const uint8_t *code_scales(const struct code_kind *k, const uint8_t *block) { return block + 64 * code_lines(k); }
static inline const uint8_t *code_d(const struct code_kind *k, const uint8_t *block) { return code_scales(k, block) + (k->scales16 ? 256 : 128); }

void infer_pack_codes(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel);

#endif
