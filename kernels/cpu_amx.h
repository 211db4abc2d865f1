// cpu_amx.h - products of many columns by the processor's matrix unit (AMX), for the variant amx.
#ifndef INFER_CPU_AMX_H
#define INFER_CPU_AMX_H

#include "cpu.h"

// Whether the processor has AMX for 8-bit integers and bf16, and the system lets this process use it.
bool infer_amx_supported(void);

// The columns from which on it is the faster one for a type.
int32_t infer_amx_least(enum infer_dtype t);

// cpu.h's product for quantized forms, with the bits of all other variants; scratch: infer_amx_scratch bytes.
void infer_amx_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch);
int64_t infer_amx_scratch(int64_t cols);

// cpu.h's tile_bytes and spread.
int64_t infer_amx_tile_bytes(enum act_form form, int64_t cols);
void infer_amx_spread(enum act_form form, const void *column, int64_t cols, int64_t at, uint8_t *tiles);

// cpu.h's product for FORM_BF16, of even numbers of weight columns.
void infer_amx_bf16_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch);
int64_t infer_amx_bf16_scratch(int64_t cols);

#endif
