// product_halves.cuh - spans of F16 or BF16 weights times spans of activations in the form of halves: each weight meets both terms, in float
// sums of the matrix unit; a chunk of 16 columns adds the first term's products, then the second's.
#ifndef INFER_CUDA_PRODUCT_HALVES_CUH
#define INFER_CUDA_PRODUCT_HALVES_CUH

#include "forms.cuh"
#include "product_job.cuh"

template <bool BF16> struct half_span {
    static constexpr int spans = 1;
    static constexpr int slab_bytes = TILE_HEIGHT * SPAN_COLUMNS * 2;
    static constexpr int wide_tiles = 4; // of 8 columns, in a block of product_wide

    uint4 a[8]; // fragments A of the span's chunks

    __device__ __forceinline__ void load(const uint8_t *slab, int span, int lane)
    {
        (void)span;
        UNROLL
        for (int i = 0; i < 8; i++)
            a[i] = load_stream((const uint4 *)slab + 32 * i + lane);
    }

    struct weights {
        uint4 a[4]; // of half a span
    };

    template <int HALF> __device__ __forceinline__ void prepare(weights &w, const struct product_job &job) const
    {
        (void)job;
        UNROLL
        for (int i = 0; i < 4; i++)
            w.a[i] = a[4 * HALF + i];
    }

    struct input { // of column g: two pairs of chunks, each term
        uint4 term[2][2];
    };

    static __device__ __forceinline__ input in_rows(const uint8_t *own, const uint8_t *even, const uint8_t *odd, int64_t padded, int span, int half, int t)
    {
        (void)even, (void)odd;
        const uint8_t *first = own + span * SPAN_COLUMNS * 2 + half * 128 + 16 * t, *second = first + 2 * padded;
        return {{{*(const uint4 *)first, *(const uint4 *)(first + 64)}, {*(const uint4 *)second, *(const uint4 *)(second + 64)}}};
    }

    struct stage {
        uint8_t term[2][4][8 * wide_tiles][64]; // [term][pair of chunks]
    };

    static __device__ __forceinline__ input in_stage(const stage &from, int n, int half, int g, int t)
    {
        input x;
        UNROLL
        for (int k = 0; k < 2; k++)
            UNROLL
            for (int p = 0; p < 2; p++)
                x.term[k][p] = *(const uint4 *)&from.term[k][2 * half + p][8 * n + g][16 * t];
        return x;
    }

    template <int THREADS> static __device__ __forceinline__ void copy(const uint8_t *const volatile *rows, int64_t padded, int span, stage *to)
    {
        static_assert(8 * wide_tiles * 32 % THREADS == 0, "each thread has as many pieces");
        const int thread = thread_again();
        UNROLL
        for (int i = 0; i < 8 * wide_tiles * 32 / THREADS; i++) {
            int at = thread + i * THREADS, column = at / 32, term = at / 16 % 2, part = at % 16;
            copy_async16(&to->term[term][part / 4][column][part % 4 * 16], rows[column] + term * 2 * padded + span * SPAN_COLUMNS * 2 + part * 16, true);
        }
    }

    static __device__ __forceinline__ void multiply_chunk(float acc[4], const uint4 &a, uint32_t first, uint32_t second)
    {
        const uint32_t fragment[4] = {a.x, a.y, a.z, a.w}, column[2] = {first, second};
        if constexpr (BF16)
            mma_bf16(acc, fragment, column);
        else
            mma_f16(acc, fragment, column);
    }

    static __device__ __forceinline__ void multiply(float acc[4], const weights &w, const input &x)
    {
        UNROLL
        for (int p = 0; p < 2; p++) {
            UNROLL
            for (int k = 0; k < 2; k++)
                multiply_chunk(acc, w.a[2 * p], x.term[k][p].x, x.term[k][p].y);
            UNROLL
            for (int k = 0; k < 2; k++)
                multiply_chunk(acc, w.a[2 * p + 1], x.term[k][p].z, x.term[k][p].w);
        }
    }

    // The sums times the input row's power of two.
    static __device__ __forceinline__ float result(float y, const uint8_t *form, int64_t padded) { return y * *(const float *)(form + 4 * padded); }
};

#endif
