// product.cuh - a matrix times columns, through matrix units, for every packed type and any number of columns.
//
// One definition of a result's bits: a row is cut into SEGMENTS parts of whole slabs; a part's sum is one chain over its blocks, in order; the
// parts' sums are added in order. For blocks of bytes a step of the chain is an exact integer sum, times the rounded product of both scales, in
// one fused multiply-add; then the minimum's, in another. So a result depends on its own row and column alone: not on the kernel, nor on what
// else is in the batch.
//
// product_split: few columns. A block has one tile of rows; each warp takes a segment, reads it as one stream, and the segments' sums meet in
// shared memory. product_wide: many columns. A warp has a tile of rows and walks all segments; the columns lie in shared memory.
// Of a gated op's two matrices, a warp of product_split reads one after the other; in product_wide half of the warps have the second.
#ifndef INFER_CUDA_PRODUCT_CUH
#define INFER_CUDA_PRODUCT_CUH

#include "product_bytes.cuh"
#include "product_halves.cuh"

template <class Span> static __device__ __forceinline__ void finish_scaled(const struct product_job &job, const struct columns &c, int column, int row, float y, float y2)
{
    const uint8_t *form = form_row(job, c, column * job.terms);
    finish(job, c, column, row, Span::result(y, form, job.padded), Span::result(y2, form, job.padded));
}

// Keeps the compiler from reading many tiles' columns before it multiplies the first ones: there are not enough registers.
static __device__ __forceinline__ void keep_order()
{
#ifndef INFER_CUDA_EMULATE
    __syncwarp();
#endif
}

// acc += half a span of weights x columns in their forms' rows
template <class Span, int TILES>
static __device__ __forceinline__ void multiply_rows(float acc[TILES][4], const typename Span::weights &w, const uint8_t *const *rows, int64_t padded, int span, int half, int g, int t)
{
    UNROLL
    for (int n = 0; n < TILES; n++) {
        const int even = 8 * n + 2 * t;
        const uint8_t *const volatile *now = rows; // read each time: kept in registers they would take more than there are
        Span::multiply(acc[n], w, Span::in_rows(now[8 * n + g], now[even], now[even + 1], padded, span, half, t));
    }
}

template <int TILES> static __device__ __forceinline__ void clear(float acc[TILES][4])
{
    UNROLL
    for (int n = 0; n < TILES; n++)
        UNROLL
        for (int i = 0; i < 4; i++)
            acc[n][i] = 0;
}

template <int TILES> static __device__ __forceinline__ void leave(const float acc[TILES][4], float (*sums)[TILE_HEIGHT], int g, int t)
{
    UNROLL
    for (int n = 0; n < TILES; n++)
        UNROLL
        for (int i = 0; i < 4; i++)
            sums[8 * n + 2 * t + i % 2][g + 8 * (i / 2)] = acc[n][i];
}

template <class Span, int TILES>
static __device__ __forceinline__ void multiply_stage(float acc[TILES][4], const typename Span::weights &w, const typename Span::stage &stage, int half, int g, int t)
{
    UNROLL
    for (int n = 0; n < TILES; n++) {
        if (n % 2 == 0)
            keep_order();
        Span::multiply(acc[n], w, Span::in_stage(stage, n, half, g, t));
    }
}

// grid: (column tiles, row tiles, matrices), block: 256. TILES: of 8 columns. A warp reads its segment of the gate, then of its partner, as one
// stream; where the columns are few, two spans ahead of what it computes.
template <class Span, int TILES> __global__ void __launch_bounds__(32 * SEGMENTS, TILES == 1 ? 2 : 1) product_split(struct product_job job)
{
    __shared__ float sums[2][SEGMENTS][8 * TILES][TILE_HEIGHT];
    __shared__ const uint8_t *form_rows[8 * TILES];
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4, segment = (int)threadIdx.x / 32;
    const struct columns c = columns_of(job, 8 * TILES / job.terms);
    if (c.count <= 0)
        return;
    const int first = job.slabs * segment / SEGMENTS * Span::spans, spans = job.slabs * (segment + 1) / SEGMENTS * Span::spans - first;
    const int64_t tile = c.mat * job.mat_bytes + ((int64_t)blockIdx.y * job.slabs + first / Span::spans) * Span::slab_bytes;
    const int all = job.w[1] ? 2 * spans : spans, ahead = TILES == 1 ? 2 : 1;
    auto load = [&](Span &raw, int at) {
        const bool second = at >= spans;
        const int span = second ? at - spans : at;
        raw.load((second ? job.w[1] : job.w[0]) + tile + span / Span::spans * (int64_t)Span::slab_bytes, span % Span::spans, lane);
    };
    Span raw = {}, next = {};
    if (0 < all)
        load(raw, 0);
    if (ahead == 2 && 1 < all)
        load(next, 1);
    if (threadIdx.x < 8 * TILES)
        form_rows[threadIdx.x] = form_row(job, c, (int)threadIdx.x);
    float acc[TILES][4];
    clear<TILES>(acc);
    __syncthreads();
    for (int at = 0; at < all; at++) {
        const int span = first + (at >= spans ? at - spans : at);
        typename Span::weights w;
        raw.template prepare<0>(w, job);
        multiply_rows<Span, TILES>(acc, w, form_rows, job.padded, span, 0, g, t);
        raw.template prepare<1>(w, job);
        if (ahead == 2)
            raw = next;
        if (at + ahead < all)
            load(ahead == 2 ? next : raw, at + ahead);
        multiply_rows<Span, TILES>(acc, w, form_rows, job.padded, span, 1, g, t);
        if (at + 1 == spans) {
            leave<TILES>(acc, sums[0][segment], g, t);
            clear<TILES>(acc);
        }
    }
    if (spans == 0)
        leave<TILES>(acc, sums[0][segment], g, t);
    leave<TILES>(acc, sums[1][segment], g, t); // of a second matrix
    __syncthreads();
    const int rows = job.rows - (int)blockIdx.y * TILE_HEIGHT;
    for (int at = (int)threadIdx.x; at < c.count * TILE_HEIGHT; at += (int)blockDim.x) {
        int row = at % TILE_HEIGHT, column = at / TILE_HEIGHT;
        float y[2] = {0, 0};
        for (int k = 0; k < (job.w[1] ? 2 : 1); k++)
            for (int term = 0; term < job.terms; term++) {
                float total = 0;
                for (int s = 0; s < SEGMENTS; s++)
                    total += sums[k][s][column * job.terms + term][row];
                y[k] = term ? y[k] + total : total;
            }
        if (row < rows)
            finish_scaled<Span>(job, c, column, (int)blockIdx.y * TILE_HEIGHT + row, y[0], y[1]);
    }
}

#define WIDE_WARPS 4

// Dynamic shared memory of product_wide: the sums of the segments before.
template <class Span> static constexpr int wide_shared() { return 4 * Span::wide_tiles * 32 * WIDE_WARPS * 4; }

// Adds terms and finishes the results of a warp's tile. total: the thread's own sums; second: of the gate's partner, [column][row], whose rows of
// this tile begin at from.
template <class Span>
static __device__ __forceinline__ void finish_wide(const struct product_job &job, const struct columns &c, const float *total, const float (*second)[WIDE_WARPS / 2 * TILE_HEIGHT], int tile, int from, int g, int t)
{
    NO_UNROLL
    for (int at = 0; at < 4 * Span::wide_tiles; at++) {
        int n = at / 4, i = at % 4, row = g + 8 * (i / 2), column = 8 * n + 2 * t + i % 2;
        float y = total[at * 32 * WIDE_WARPS];
        if (job.terms == 2) {
            if (i % 2)
                continue;
            y += total[(at + 1) * 32 * WIDE_WARPS];
            column /= 2;
        }
        if (tile * TILE_HEIGHT + row < job.rows && column < c.count)
            finish_scaled<Span>(job, c, column, tile * TILE_HEIGHT + row, y, job.w[1] ? second[column][from + row] : 0.0f);
    }
}

// grid: (column tiles, groups of row tiles, matrices), block: 128. Gated: half of the warps have the second matrix.
template <class Span> __global__ void __launch_bounds__(32 * WIDE_WARPS, 3) product_wide(struct product_job job)
{
    constexpr int TILES = Span::wide_tiles, height_most = WIDE_WARPS / 2 * TILE_HEIGHT;
    SHARED_DYNAMIC(float, totals);
    __shared__ __align__(16) typename Span::stage stages[2];
    __shared__ const uint8_t *form_rows[8 * TILES];
    const int lane = (int)threadIdx.x % 32, g = lane / 4, t = lane % 4, warp = (int)threadIdx.x / 32;
    const struct columns c = columns_of(job, 8 * TILES / job.terms);
    if (c.count <= 0)
        return;
    if (threadIdx.x < 8 * TILES)
        form_rows[threadIdx.x] = form_row(job, c, (int)threadIdx.x);
    __syncthreads();
    const int height = job.w[1] ? WIDE_WARPS / 2 : WIDE_WARPS, which = warp / height, tiles = (job.rows + TILE_HEIGHT - 1) / TILE_HEIGHT;
    const int tile = (int)blockIdx.y * height + warp % height, spans = job.slabs * Span::spans;
    const uint8_t *weights = (which ? job.w[1] : job.w[0]) + c.mat * job.mat_bytes + (int64_t)(tile < tiles ? tile : tiles - 1) * job.slabs * Span::slab_bytes;
    float acc[TILES][4], *total = totals + threadIdx.x; // of the segments before: the thread's own, 32 * WIDE_WARPS apart
    UNROLL
    for (int n = 0; n < TILES; n++)
        UNROLL
        for (int i = 0; i < 4; i++)
            acc[n][i] = total[(4 * n + i) * 32 * WIDE_WARPS] = 0;
    Span raw;
    raw.load(weights, 0, lane);
    Span::template copy<32 * WIDE_WARPS>(form_rows, job.padded, 0, &stages[0]);
    copy_commit();
    int segment = 0;
    for (int span = 0; span < spans; span++) {
        typename Span::weights w;
        raw.template prepare<0>(w, job);
        copy_wait<0>();
        __syncthreads(); // the span is there, and nobody reads the other stage any more
        if (span + 1 < spans) {
            Span::template copy<32 * WIDE_WARPS>(form_rows, job.padded, span + 1, &stages[(span + 1) % 2]);
            copy_commit();
        }
        multiply_stage<Span, TILES>(acc, w, stages[span % 2], 0, g, t);
        raw.template prepare<1>(w, job);
        if (span + 1 < spans)
            raw.load(weights + (span + 1) / Span::spans * (int64_t)Span::slab_bytes, (span + 1) % Span::spans, lane);
        multiply_stage<Span, TILES>(acc, w, stages[span % 2], 1, g, t);
        const int slabs = (span + 1) / Span::spans;
        bool ends = false;
        for (; (span + 1) % Span::spans == 0 && segment < SEGMENTS && job.slabs * (segment + 1) / SEGMENTS <= slabs; segment++)
            ends = true; // also of segments without slabs
        if (!ends)
            continue;
        UNROLL
        for (int n = 0; n < TILES; n++)
            UNROLL
            for (int i = 0; i < 4; i++)
                total[(4 * n + i) * 32 * WIDE_WARPS] += acc[n][i], acc[n][i] = 0;
    }
    float(*second)[height_most] = (float(*)[height_most])stages; // [column][row]
    if (job.w[1]) {
        static_assert(sizeof stages >= 8 * TILES * height_most * 4, "the second matrix's sums fit");
        __syncthreads();
        UNROLL
        for (int n = 0; n < TILES && which == 1; n++)
            UNROLL
            for (int i = 0; i < 4; i++)
                second[8 * n + 2 * t + i % 2][warp % height * TILE_HEIGHT + g + 8 * (i / 2)] = total[(4 * n + i) * 32 * WIDE_WARPS];
        __syncthreads();
    }
    if (which == 1)
        return;
    finish_wide<Span>(job, c, total, second, tile, warp % height * TILE_HEIGHT, g, t);
}

#endif
