// cpu_amx_tiles.h - the instructions of the matrix unit: eight registers of up to 16 rows of 64 bytes.
//
// C[m][n] += sum over k of A[m][k] B[k][n]. Rows of A and C are columns of the product. B is an interleaved panel as cpu_pack.h lays
// it out: byte 4n+b of its line k is column 4k+b of weight row n, so that the lanes of C are 16 rows of the weight.
#ifndef INFER_CPU_AMX_TILES_H
#define INFER_CPU_AMX_TILES_H

#include <stdint.h>

#define TILE_BYTES 1024 // of a register

struct tile_shapes {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_shapes) == 64, "as the processor reads it");

// Registers 0 to 3 are sums of `columns` columns by 16 rows, 4 and 5 activations, 6 and 7 weights; a line of activations has
// `line_bytes`. While shapes are set, the system saves the registers with the thread's other state: whoever sets them releases them.
static inline void set_tile_shapes(int columns, int line_bytes)
{
    struct tile_shapes s = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        s.row_bytes[i] = (uint16_t)(i == 4 || i == 5 ? line_bytes : 64);
        s.rows[i] = (uint8_t)(i < 6 ? columns : line_bytes / 4);
    }
    __asm__ volatile("ldtilecfg %0" : : "m"(s));
}

static inline void release_tiles(void) { __asm__ volatile("tilerelease"); }

// Registers are named by literal numbers. STRIDE: bytes from line to line.
#define TILE_ZERO(T) __asm__ volatile("tilezero %%tmm" #T : :)
#define TILE_LOAD(T, FROM, STRIDE) __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #T : : "r"(FROM), "r"((int64_t)(STRIDE)) : "memory")
#define TILE_STORE(T, TO, STRIDE) __asm__ volatile("tilestored %%tmm" #T ", (%0,%1,1)" : : "r"(TO), "r"((int64_t)(STRIDE)) : "memory")
// A's bytes are signed; B's are signed (SSD) or unsigned (SUD).
#define TILE_DOT_SIGNED(C, A, B) __asm__ volatile("tdpbssd %%tmm" #B ", %%tmm" #A ", %%tmm" #C : :)
#define TILE_DOT_UNSIGNED(C, A, B) __asm__ volatile("tdpbsud %%tmm" #B ", %%tmm" #A ", %%tmm" #C : :)
#define TILE_DOT_BF16(C, A, B) __asm__ volatile("tdpbf16ps %%tmm" #B ", %%tmm" #A ", %%tmm" #C : :)

#endif
