// peaks.h - see peaks.c.
#ifndef INFER_PEAKS_H
#define INFER_PEAKS_H

#include <stdint.h>

void *infer_peak_alloc(int64_t bytes);                             // a multiple of 2 MB, touched; NULL: no memory
uint64_t infer_peak_read(const void *data, int64_t bytes);         // reads once; the result is there so that it happens
// Multiply-adds a round of 8-bit integers, bf16 (the dot product) and f32; 0: not measured here, or the processor has none.
int64_t infer_peak_multiply(int64_t rounds, int32_t *sink);
int64_t infer_peak_bf16(int64_t rounds, float *sink);
int64_t infer_peak_fuse(int64_t rounds, float *sink);
// The same of the matrix unit's 8-bit integers and bf16.
int64_t infer_peak_matrix(int64_t rounds, int32_t *sink);
int64_t infer_peak_matrix_bf16(int64_t rounds, int32_t *sink);

#endif
