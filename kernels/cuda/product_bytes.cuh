// product_bytes.cuh - spans of integer codes (forms.cuh) times spans of activations in the form of bytes.
#ifndef INFER_CUDA_PRODUCT_BYTES_CUH
#define INFER_CUDA_PRODUCT_BYTES_CUH

#include "forms.cuh"
#include "product_job.cuh"

#define MAGIC_BITS 0x4b400000 // 1.5 * 2^23: an integer of less than 22 bits added to it is the same integer added to the float
#define MAGIC 12582912.0f

template <class Packed> struct byte_span : Packed {
    static constexpr int wide_tiles = 8; // of 8 columns, in a block of product_wide
    static constexpr bool scaled = false;
    static constexpr int groups = Packed::groups;
    static constexpr bool minimums = Packed::minimums;

    // A span's weights, for any number of columns.
    struct weights {
        uint32_t a[4][4];        // of each block of 32 columns
        float d[4][groups][2];   // [block][group][row half]
        float m[4][groups][2];
    };

    __device__ __forceinline__ void prepare(weights &w, const struct product_job &job) const
    {
        this->template fragment<0>(job.table, w.a[0]), this->template fragment<1>(job.table, w.a[1]);
        this->template fragment<2>(job.table, w.a[2]), this->template fragment<3>(job.table, w.a[3]);
        float own_d[groups][2], own_m[groups][2];
        this->scales(job.unit, own_d, own_m);
        UNROLL
        for (int b = 0; b < 4; b++)
            UNROLL
            for (int k = 0; k < groups; k++)
                UNROLL
                for (int h = 0; h < 2; h++) { // lane t of the four that share rows has block t's
                    w.d[b][k][h] = __shfl_sync(0xffffffffu, own_d[k][h], b, 4);
                    if constexpr (minimums)
                        w.m[b][k][h] = __shfl_sync(0xffffffffu, own_m[k][h], b, 4);
                }
    }

    // Where a lane finds a span of 8 columns: bytes of column g for fragments, scales and sums of columns 2t and 2t + 1.
    struct columns_at {
        const uint8_t *bytes; // the second pair of blocks lies `pair` after the first
        int32_t pair;
        const float *d[2];    // [4]
        const float *s[2];    // [4][2]
    };

    static __device__ __forceinline__ columns_at in_rows(const uint8_t *own, const uint8_t *even, const uint8_t *odd, int64_t padded, int span, int t)
    {
        const float *d0 = (const float *)(even + padded), *d1 = (const float *)(odd + padded);
        return {own + span * SPAN_COLUMNS + 16 * t, 64, {d0 + 4 * span, d1 + 4 * span}, {d0 + padded / 32 + 8 * span, d1 + padded / 32 + 8 * span}};
    }

    struct stage { // a span of product_wide's columns
        uint8_t bytes[2][8 * wide_tiles][64]; // [pair of blocks]
        float d[8 * wide_tiles][4];
        float s[minimums ? 8 * wide_tiles : 1][8];
    };

    static __device__ __forceinline__ columns_at in_stage(const stage &from, int n, int g, int t)
    {
        int even = 8 * n + 2 * t;
        return {from.bytes[0][8 * n + g] + 16 * t, (int32_t)sizeof from.bytes[0], {from.d[even], from.d[even + 1]}, {from.s[minimums ? even : 0], from.s[minimums ? even + 1 : 0]}};
    }

    static __device__ __forceinline__ void copy(const uint8_t *const *rows, int64_t padded, int span, int threads, stage *to)
    {
        for (int at = (int)threadIdx.x; at < 8 * wide_tiles * 8; at += threads) {
            int column = at / 8, part = at % 8;
            copy_async16(&to->bytes[part / 4][column][part % 4 * 16], rows[column] + span * SPAN_COLUMNS + part * 16, true);
        }
        for (int column = (int)threadIdx.x; column < 8 * wide_tiles; column += threads)
            copy_async16(to->d[column], rows[column] + padded + 16 * span, true);
        if constexpr (minimums)
            for (int at = (int)threadIdx.x; at < 8 * wide_tiles * 2; at += threads)
                copy_async16(&to->s[at / 2][at % 2 * 4], rows[at / 2] + padded / 8 * 9 + 32 * span + at % 2 * 16, true);
    }

    static __device__ __forceinline__ void step(float acc[4], const int c[4], const float d[2], const float x[2])
    {
        UNROLL
        for (int i = 0; i < 4; i++)
            acc[i] = fmaf(__int_as_float(c[i]) - MAGIC, d[i / 2] * x[i % 2], acc[i]);
    }

    // acc += span of weights x span of 8 columns
    static __device__ __forceinline__ void multiply(float acc[4], const weights &w, const columns_at &x)
    {
        float d[2][4];
        UNROLL
        for (int j = 0; j < 2; j++) {
            float4 v = *(const float4 *)x.d[j];
            d[j][0] = v.x, d[j][1] = v.y, d[j][2] = v.z, d[j][3] = v.w;
        }
        UNROLL
        for (int p = 0; p < 2; p++) {
            uint4 v = *(const uint4 *)(x.bytes + p * x.pair);
            const uint32_t column[4] = {v.x, v.y, v.z, v.w};
            float s[2][4]; // sums of 16 columns
            UNROLL
            for (int j = 0; j < 2 && minimums; j++) {
                float4 sums = *(const float4 *)(x.s[j] + 4 * p);
                s[j][0] = sums.x, s[j][1] = sums.y, s[j][2] = sums.z, s[j][3] = sums.w;
            }
            UNROLL
            for (int b = 2 * p; b < 2 * p + 2; b++) {
                const float scale[2] = {d[0][b], d[1][b]};
                if constexpr (groups == 1) {
                    int c[4] = {MAGIC_BITS, MAGIC_BITS, MAGIC_BITS, MAGIC_BITS};
                    mma_s8(c, w.a[b], &column[b % 2 * 2]);
                    step(acc, c, w.d[b][0], scale);
                    if constexpr (minimums)
                        UNROLL
                        for (int i = 0; i < 4; i++)
                            acc[i] = fmaf(w.m[b][0][i / 2], s[i % 2][b % 2 * 2] + s[i % 2][b % 2 * 2 + 1], acc[i]);
                } else {
                    UNROLL
                    for (int k = 0; k < 2; k++) {
                        int c[4] = {MAGIC_BITS, MAGIC_BITS, MAGIC_BITS, MAGIC_BITS};
                        mma_s8_half(c, &w.a[b][2 * k], column[b % 2 * 2 + k]);
                        step(acc, c, w.d[b][k], scale);
                        if constexpr (minimums)
                            UNROLL
                            for (int i = 0; i < 4; i++)
                                acc[i] = fmaf(w.m[b][k][i / 2], s[i % 2][b % 2 * 2 + k], acc[i]);
                    }
                }
            }
        }
    }

    static __device__ __forceinline__ float result(float y, const uint8_t *form, int64_t padded)
    {
        (void)form, (void)padded;
        return y;
    }
};

#endif
