// cpu_bf16.h - products by the bf16 dot product, where the processor has one. For even numbers of columns; weights are BF16, or F16 that
// is rounded.
#ifndef INFER_CPU_BF16_H
#define INFER_CPU_BF16_H

#include "cpu.h"

bool infer_bf16_supported(void);
int64_t infer_bf16_panel_bytes(int64_t cols); // of 16 rows
void infer_bf16_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel);
void infer_bf16_round(const float *x, int64_t n, uint16_t *out); // to the nearest, ties to even
void infer_bf16_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch);

#endif
