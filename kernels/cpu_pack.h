// cpu_pack.h - interleaved weights: 16 rows side by side, so that one vector holds the same 4 columns of 16 rows and a
// column's 4 values are broadcast to all of them. The same bytes serve one column and many, AVX2 and AVX-512.
//
// Byte 4*r + b of a 64-byte line is row r's byte b. Lines keep GGUF's nibble order, so that interleaving is a transposition
// of 4-byte words. Rows past the matrix's end are zero.
#ifndef INFER_CPU_PACK_H
#define INFER_CPU_PACK_H

#include "cpu.h"

// 32 columns of the types with a scale every 32. Line j of nibbles: columns 4j (low) and 16+4j (high).
struct packed_q4_0 { uint8_t q[4][64]; uint16_t d[16]; };
struct packed_q4_1 { uint8_t q[4][64]; uint16_t d[16], m[16]; };
// Bit 4*r + b of high[j]: the fifth bit of row r, column 4j + b.
struct packed_q5_0 { uint8_t q[4][64]; uint64_t high[8]; uint16_t d[16]; };
struct packed_q5_1 { uint8_t q[4][64]; uint64_t high[8]; uint16_t d[16], m[16]; };
struct packed_iq4_nl { uint8_t q[4][64]; uint16_t d[16]; }; // nibbles are indices of the codebook
struct packed_mxfp4 { uint8_t q[4][64]; uint8_t e[16]; };  // likewise; the scale is 2^(e-128)
struct packed_q8_0 { uint8_t q[8][64]; uint16_t d[16]; }; // 128 added
// 256 columns. Line i of part c: columns 64c + 4i (low) and 64c + 32 + 4i (high).
struct packed_q4_k { uint8_t q[4][8][64]; uint8_t scale[8][16]; uint8_t min[4][16][2]; uint16_t d[16], dmin[16]; };
// Line i of high: bit 2c of columns 64c + 4i, bit 2c+1 of 64c + 32 + 4i.
struct packed_q5_k { uint8_t high[8][64]; uint8_t q[4][8][64]; uint8_t scale[8][16]; uint8_t min[4][16][2]; uint16_t d[16], dmin[16]; };
// Half n, i: line 0 has columns 128n + 4i (low) and 128n + 64 + 4i (high), line 1 those 32 further, line 2 the upper two
// bits: bits 2j of columns 128n + 32j + 4i. What is used together lies together: processors fetch ahead in order only.
struct packed_q6_k { uint8_t line[2][8][3][64]; int8_t scale[16][16]; uint16_t d[16], pad[16]; };

// The 8-bit form that products of many columns stream: made in scratch from any type.
struct panel32 { uint8_t q[8][64]; float d[2][16], m[16]; };       // q has 128 added
struct panel256 {
    uint8_t q[64][64];    // 128 added where biased
    int32_t scale[16][16]; // of each 16 columns
    int16_t min[8][16][2]; // pairs: of 32 columns each (first 4 lines), or of 16 each
    float d[16], dmin[16];
};

// What of a panel's fields a type uses.
struct panel_kind {
    bool halves;   // panel32: the two scales differ
    bool minimums; // m, or min and dmin
    bool minimums16; // panel256: minimums of 16 columns each
    bool biased;   // panel256: q has 128 added
    bool scales16; // panel256: scales of 16 columns; else of 32, in even lines
};
struct panel_kind infer_panel_kind(enum infer_dtype t);

int64_t infer_packed_bytes(enum infer_dtype t, int64_t cols); // of 16 rows; 0: the type has no packed form
void infer_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel);

// Unpacks rows in GGUF's layout, any quantized type: slow and general.
void infer_unpack_panel32(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, struct panel32 *out);
void infer_unpack_panel256(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, struct panel256 *out);

#endif
