// peaks.h - see peaks.c.
#ifndef INFER_PEAKS_H
#define INFER_PEAKS_H

#include <stdint.h>

void *infer_peak_alloc(int64_t bytes);                             // a multiple of 2 MB, touched; NULL: no memory
uint64_t infer_peak_read(const void *data, int64_t bytes);         // reads once; the result is there so that it happens
int64_t infer_peak_multiply(int64_t rounds, int32_t *sink);        // multiply-adds a round; 0: not measured here

#endif
