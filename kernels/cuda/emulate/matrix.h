// matrix.h - emulated instructions of products: packed dot products, matrix fragments, asynchronous copies.
#ifndef INFER_CUDA_EMULATE_MATRIX_H
#define INFER_CUDA_EMULATE_MATRIX_H

static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; i++)
        c += (int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    return c;
}

#endif
