// product_bytes.cuh - spans of integer codes (forms.cuh) times spans of activations in the form of bytes.
#ifndef INFER_CUDA_PRODUCT_BYTES_CUH
#define INFER_CUDA_PRODUCT_BYTES_CUH

#include "forms.cuh"
#include "product_job.cuh"

#define MAGIC_BITS 0x4b400000 // 1.5 * 2^23: an integer of less than 22 bits added to it is the same integer added to the float
#define MAGIC 12582912.0f

template <class Packed> struct byte_span : Packed {
    static constexpr int wide_tiles = 8; // of 8 columns, in a block of product_wide
    static constexpr int groups = Packed::groups;
    static constexpr bool minimums = Packed::minimums;

    // Half of a span's weights (64 columns), for any number of columns of the input.
    struct weights {
        uint32_t a[2][4];        // of each block of 32 columns
        float d[2][groups][2];   // [block][group][row half]
        float m[2][groups][2];
    };

    template <int HALF> __device__ __forceinline__ void prepare(weights &w, const struct product_job &job) const
    {
        this->template fragment<2 * HALF>(job.table, w.a[0]), this->template fragment<2 * HALF + 1>(job.table, w.a[1]);
        float own_d[groups][2], own_m[groups][2];
        this->scales(job.unit, own_d, own_m);
        UNROLL
        for (int b = 0; b < 2; b++)
            UNROLL
            for (int k = 0; k < groups; k++)
                UNROLL
                for (int h = 0; h < 2; h++) { // lane t of the four that share rows has block t's
                    w.d[b][k][h] = __shfl_sync(0xffffffffu, own_d[k][h], 2 * HALF + b, 4);
                    if constexpr (minimums)
                        w.m[b][k][h] = __shfl_sync(0xffffffffu, own_m[k][h], 2 * HALF + b, 4);
                }
    }

    // What a lane reads of half a span of 8 columns: bytes of column g; scales of the two blocks of column 2t, then of column 2t + 1; their sums.
    struct input {
        uint4 bytes;
        float4 d, s[2];
    };

    static __device__ __forceinline__ input in_rows(const uint8_t *own, const uint8_t *even, const uint8_t *odd, int64_t padded, int span, int half, int t)
    {
        input x = {};
        x.bytes = *(const uint4 *)(own + span * SPAN_COLUMNS + half * 64 + 16 * t);
        float2 d0 = *(const float2 *)(even + padded + 16 * span + 8 * half), d1 = *(const float2 *)(odd + padded + 16 * span + 8 * half);
        x.d = make_float4(d0.x, d0.y, d1.x, d1.y);
        if constexpr (minimums) {
            x.s[0] = *(const float4 *)(even + padded / 8 * 9 + 32 * span + 16 * half);
            x.s[1] = *(const float4 *)(odd + padded / 8 * 9 + 32 * span + 16 * half);
        }
        return x;
    }

    struct stage { // a span of product_wide's columns, by halves
        uint8_t bytes[2][8 * wide_tiles][64];
        float d[2][8 * wide_tiles][2];
        float s[2][minimums ? 8 * wide_tiles : 1][4];
    };

    static __device__ __forceinline__ input in_stage(const stage &from, int n, int half, int g, int t)
    {
        int even = 8 * n + 2 * t;
        input x = {};
        x.bytes = *(const uint4 *)&from.bytes[half][8 * n + g][16 * t];
        x.d = *(const float4 *)from.d[half][even];
        if constexpr (minimums)
            x.s[0] = *(const float4 *)from.s[half][even], x.s[1] = *(const float4 *)from.s[half][even + 1];
        return x;
    }

    // By THREADS threads; rows: of the columns' forms, read each time (in registers they would take too many).
    template <int THREADS> static __device__ __forceinline__ void copy(const uint8_t *const volatile *rows, int64_t padded, int span, stage *to)
    {
        constexpr int columns = 8 * wide_tiles;
        static_assert(columns * 8 % THREADS == 0 && columns * 2 <= THREADS, "each thread has as many pieces");
        const int thread = thread_again();
        UNROLL
        for (int i = 0; i < columns * 8 / THREADS; i++) {
            int at = thread + i * THREADS, column = at / 8, part = at % 8;
            copy_async16(&to->bytes[part / 4][column][part % 4 * 16], rows[column] + span * SPAN_COLUMNS + part * 16, true);
        }
        int column = thread / 2, half = thread % 2;
        if (column < columns) {
            const uint8_t *from = rows[column] + padded + 16 * span + 8 * half;
            copy_async8(to->d[half][column], from);
            if constexpr (minimums)
                copy_async16(to->s[half][column], from + padded / 8 + 16 * span + 8 * half, true);
        }
    }

    static __device__ __forceinline__ void step(float acc[4], const int c[4], const float d[2], float even, float odd)
    {
        UNROLL
        for (int i = 0; i < 4; i++)
            acc[i] = fmaf(__int_as_float(c[i]) - MAGIC, d[i / 2] * (i % 2 ? odd : even), acc[i]);
    }

    static __device__ __forceinline__ void add_minimums(float acc[4], const float m[2], float even, float odd)
    {
        UNROLL
        for (int i = 0; i < 4; i++)
            acc[i] = fmaf(m[i / 2], i % 2 ? odd : even, acc[i]);
    }

    // acc += half a span of weights x half a span of 8 columns
    static __device__ __forceinline__ void multiply(float acc[4], const weights &w, const input &x)
    {
        const uint32_t column[4] = {x.bytes.x, x.bytes.y, x.bytes.z, x.bytes.w};
        const float even[2] = {x.d.x, x.d.y}, odd[2] = {x.d.z, x.d.w};
        const float even_sums[4] = {x.s[0].x, x.s[0].y, x.s[0].z, x.s[0].w}, odd_sums[4] = {x.s[1].x, x.s[1].y, x.s[1].z, x.s[1].w}; // of 16 columns
        UNROLL
        for (int b = 0; b < 2; b++) {
            if constexpr (groups == 1) {
                int c[4] = {MAGIC_BITS, MAGIC_BITS, MAGIC_BITS, MAGIC_BITS};
                mma_s8(c, w.a[b], &column[2 * b]);
                step(acc, c, w.d[b][0], even[b], odd[b]);
                if constexpr (minimums)
                    add_minimums(acc, w.m[b][0], even_sums[2 * b] + even_sums[2 * b + 1], odd_sums[2 * b] + odd_sums[2 * b + 1]);
            } else {
                UNROLL
                for (int k = 0; k < 2; k++) {
                    int c[4] = {MAGIC_BITS, MAGIC_BITS, MAGIC_BITS, MAGIC_BITS};
                    mma_s8_half(c, &w.a[b][2 * k], column[2 * b + k]);
                    step(acc, c, w.d[b][k], even[b], odd[b]);
                    if constexpr (minimums)
                        add_minimums(acc, w.m[b][k], even_sums[2 * b + k], odd_sums[2 * b + k]);
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
