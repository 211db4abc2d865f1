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

    typedef half_span weights;
    __device__ __forceinline__ void prepare(weights &w, const struct product_job &job) const
    {
        (void)job;
        w = *this;
    }

    struct columns_at {
        const uint8_t *term[2]; // a pair of chunks lies `pair` after the one before
        int32_t pair;
    };

    static __device__ __forceinline__ columns_at in_rows(const uint8_t *own, const uint8_t *even, const uint8_t *odd, int64_t padded, int span, int t)
    {
        (void)even, (void)odd;
        const uint8_t *first = own + span * SPAN_COLUMNS * 2 + 16 * t;
        return {{first, first + 2 * padded}, 64};
    }

    struct stage {
        uint8_t term[2][4][8 * wide_tiles][64];
    };

    static __device__ __forceinline__ columns_at in_stage(const stage &from, int n, int g, int t)
    {
        return {{from.term[0][0][8 * n + g] + 16 * t, from.term[1][0][8 * n + g] + 16 * t}, (int32_t)sizeof from.term[0][0]};
    }

    static __device__ __forceinline__ void copy(const uint8_t *const *rows, int64_t padded, int span, int threads, stage *to)
    {
        for (int at = (int)threadIdx.x; at < 8 * wide_tiles * 32; at += threads) {
            int column = at / 32, term = at / 16 % 2, part = at % 16;
            copy_async16(&to->term[term][part / 4][column][part % 4 * 16], rows[column] + term * 2 * padded + span * SPAN_COLUMNS * 2 + part * 16, true);
        }
    }

    static __device__ __forceinline__ void multiply_chunk(float acc[4], const uint32_t a[4], const uint32_t b[2])
    {
        if constexpr (BF16)
            mma_bf16(acc, a, b);
        else
            mma_f16(acc, a, b);
    }

    static __device__ __forceinline__ void multiply(float acc[4], const weights &w, const columns_at &x)
    {
        UNROLL
        for (int p = 0; p < 4; p++) {
            uint4 first = *(const uint4 *)(x.term[0] + p * x.pair), second = *(const uint4 *)(x.term[1] + p * x.pair);
            const uint32_t b[2][4] = {{first.x, first.y, first.z, first.w}, {second.x, second.y, second.z, second.w}};
            UNROLL
            for (int c = 0; c < 2; c++) {
                const uint32_t a[4] = {w.a[2 * p + c].x, w.a[2 * p + c].y, w.a[2 * p + c].z, w.a[2 * p + c].w};
                multiply_chunk(acc, a, &b[0][2 * c]);
                multiply_chunk(acc, a, &b[1][2 * c]);
            }
        }
    }

    // The sums times the input row's power of two.
    static __device__ __forceinline__ float result(float y, const uint8_t *form, int64_t padded) { return y * *(const float *)(form + 4 * padded); }
};

#endif
