// pack.cuh - from rows as they lie in the file to the layout of forms.cuh, and for F16 and BF16 weights to that of product_halves.cuh.
#ifndef INFER_CUDA_PACK_CUH
#define INFER_CUDA_PACK_CUH

#include "forms.cuh"

// How a type is packed. unit: what its scales are multiplied by, beside the file's own; table: the values of its codes.
struct packed_type {
    struct packing p;
    float unit;
    uint32_t table[4];
};

static inline struct packed_type packed_type_of(uint32_t dtype)
{
    struct packed_type t = {{0, 0, CODE_SIGNED, SCALE_HALF}, 1, {0, 0, 0, 0}};
    static const int8_t iq1[16] = {-9, -7, -1, 1, 7, 9}, iq2[16] = {8, 25, 43, 0, -8, -25, -43};
    static const int8_t iq3_xxs[16] = {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62};
    static const int8_t iq3_s[16] = {1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15};
    static const int8_t iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
    static const int8_t fp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
    const int8_t *values = nullptr;
    switch (dtype) {
    case INFER_DTYPE_Q4_0: t.p = {4, 0, CODE_SIGNED, SCALE_HALF}, t.unit = 1.0f / 16; break;
    case INFER_DTYPE_Q4_1: t.p = {4, 0, CODE_UNSIGNED, SCALE_HALF_MIN}; break;
    case INFER_DTYPE_Q5_0: t.p = {4, 1, CODE_SIGNED, SCALE_HALF}, t.unit = 1.0f / 8; break;
    case INFER_DTYPE_Q5_1: t.p = {4, 1, CODE_UNSIGNED, SCALE_HALF_MIN}; break;
    case INFER_DTYPE_Q8_0: t.p = {8, 0, CODE_SIGNED, SCALE_HALF}; break;
    case INFER_DTYPE_IQ4_NL: t.p = {4, 0, CODE_TABLE, SCALE_HALF}, values = iq4; break;
    case INFER_DTYPE_MXFP4: t.p = {4, 0, CODE_TABLE, SCALE_E8M0}, values = fp4; break;
    case INFER_DTYPE_NVFP4: t.p = {4, 0, CODE_TABLE, SCALE_E4M3}, values = fp4; break;
    case INFER_DTYPE_Q1_0: t.p = {0, 1, CODE_SIGN, SCALE_HALF}; break;
    case INFER_DTYPE_Q2_0: t.p = {2, 0, CODE_SIGNED, SCALE_HALF}, t.unit = -1.0f / 64; break; // -1 to 2: negated
    case INFER_DTYPE_Q2_K: t.p = {2, 0, CODE_UNSIGNED, SCALE_NIBBLES_MIN}; break;
    case INFER_DTYPE_Q3_K: t.p = {2, 1, CODE_SIGNED, SCALE_BYTES_16}, t.unit = 1.0f / 32; break;
    case INFER_DTYPE_Q4_K: t.p = {4, 0, CODE_UNSIGNED, SCALE_BYTES_MIN}; break;
    case INFER_DTYPE_Q5_K: t.p = {4, 1, CODE_UNSIGNED, SCALE_BYTES_MIN}; break;
    case INFER_DTYPE_Q6_K: t.p = {4, 2, CODE_SIGNED, SCALE_BYTES_16}, t.unit = 1.0f / 4; break;
    case INFER_DTYPE_IQ1_S: t.p = {2, 1, CODE_TABLE, SCALE_BYTES_32}, t.unit = 0.125f, values = iq1; break;
    case INFER_DTYPE_IQ1_M: t.p = {2, 1, CODE_TABLE, SCALE_BYTES_16}, t.unit = 0.125f, values = iq1; break;
    case INFER_DTYPE_IQ2_XXS: t.p = {2, 1, CODE_TABLE, SCALE_BYTES_32}, t.unit = 0.125f, values = iq2; break;
    case INFER_DTYPE_IQ2_XS:
    case INFER_DTYPE_IQ2_S: t.p = {2, 1, CODE_TABLE, SCALE_BYTES_16}, t.unit = 0.125f, values = iq2; break;
    case INFER_DTYPE_IQ3_XXS: t.p = {4, 0, CODE_TABLE, SCALE_BYTES_32}, t.unit = 0.25f, values = iq3_xxs; break;
    case INFER_DTYPE_IQ3_S: t.p = {4, 0, CODE_TABLE, SCALE_BYTES_32}, values = iq3_s; break;
    case INFER_DTYPE_IQ4_XS: t.p = {4, 0, CODE_TABLE, SCALE_BYTES_32}, values = iq4; break;
    case INFER_DTYPE_TQ1_0:
    case INFER_DTYPE_TQ2_0: t.p = {2, 0, CODE_SIGNED, SCALE_BYTES_32}, t.unit = -1.0f / 64; break;
    }
    for (int i = 0; values && i < 16; i++)
        t.table[i / 4] |= (uint32_t)(uint8_t)values[i] << 8 * (i % 4);
    return t;
}

struct pack_job {
    const uint8_t *raw; // of the first row of these
    int64_t stride;
    int64_t rows, cols; // rows of these
    uint32_t dtype;
    struct packed_type type;
    uint8_t *out; // of the first row's tile
    int64_t slabs, slab_bytes; // of a tile
};

static __device__ __forceinline__ unsigned code_of(const struct packed_type &t, uint32_t dtype, int q)
{
    if (t.p.code == CODE_SIGN)
        return q < 0;
    if (t.p.code == CODE_TABLE) {
        for (unsigned i = 0; i < 16; i++)
            if ((int8_t)(t.table[i / 4] >> 8 * (i % 4)) == q)
                return i;
        return 0; // no type has such a weight
    }
    bool negated = dtype == INFER_DTYPE_Q2_0 || dtype == INFER_DTYPE_TQ1_0 || dtype == INFER_DTYPE_TQ2_0;
    return (unsigned)(negated ? -q : q) & ((1u << (t.p.low + t.p.high)) - 1);
}

// Where a plane of `bits` holds weight j of word r of block b: the lane's word, and the bit in it.
static __device__ __forceinline__ int plane_word(int bits, int b, int r) { return bits == 8 ? 4 * b + r : bits == 4 ? 4 * (b / 2) + r : bits == 2 ? r : r / 2; }
static __device__ __forceinline__ int plane_bit(int bits, bool table, int b, int r, int j)
{
    int within = bits == 8 ? 0 : bits == 4 ? b % 2 : b; // which of the blocks that share a word
    if (bits == 1)
        return table ? 16 * (r % 2) + 4 * j + within : 8 * j + 4 * (r % 2) + within;
    if (table)
        return bits == 4 ? 16 * within + 4 * j : 16 * (within / 2) + 4 * j + 2 * (within % 2);
    return 8 * j + bits * within;
}

// Writes a plane of `bits` from codes[block][word][lane], a byte a weight, from bit `from` on. 128 threads
static __device__ void write_plane(int bits, int from, bool table, const uint32_t codes[4][4][32], uint8_t *out)
{
    int lane = (int)threadIdx.x % 32;
    for (int k = (int)threadIdx.x / 32; k < 2 * bits; k += 4) {
        uint32_t word = 0;
        for (int b = 0; b < 4; b++)
            for (int r = 0; r < 4; r++)
                for (int j = 0; j < 4 && plane_word(bits, b, r) == k; j++)
                    word |= (codes[b][r][lane] >> (8 * j + from) & ((1u << bits) - 1)) << plane_bit(bits, table, b, r, j);
        if (bits == 1)
            ((uint32_t *)out)[2 * lane + k] = word;
        else
            ((uint32_t *)out)[k / 4 * 128 + 4 * lane + k % 4] = word;
    }
}

// The file's scales of row `row` at column `column`; zeros past the end.
static __device__ __forceinline__ file_scale scale_at(const struct pack_job &job, int64_t row, int64_t column)
{
    if (row >= job.rows || column >= job.cols)
        return {0, 0, 0, 0};
    int block = block_weights(job.dtype);
    return file_scale_of(job.dtype, job.raw + row * job.stride + column / block * block_bytes(job.dtype), (int)(column % block));
}

// Scales of a span, by the 32 lanes: of block t, rows g and g + 8. to: the slab's scales
static __device__ void write_scales(const struct pack_job &job, int64_t row, int64_t column, int span, int lane, uint8_t *to)
{
    for (int h = 0; h < 2; h++) {
        file_scale first = scale_at(job, row + 8 * h, column), second = scale_at(job, row + 8 * h, column + 16);
        uint16_t *halves = (uint16_t *)to;
        switch (job.type.p.scale) {
        case SCALE_HALF: halves[2 * lane + h] = first.d; break;
        case SCALE_HALF_MIN: halves[4 * lane + h] = first.d, halves[4 * lane + 2 + h] = first.m; break;
        case SCALE_E8M0: to[2 * lane + h] = (uint8_t)first.d; break;
        case SCALE_E4M3: to[4 * lane + h] = (uint8_t)first.d, to[4 * lane + 2 + h] = (uint8_t)second.d; break;
        case SCALE_BYTES_MIN: to[8 * lane + 4 * span + 2 * h] = (uint8_t)first.scale, to[8 * lane + 4 * span + 2 * h + 1] = (uint8_t)first.min; break;
        case SCALE_NIBBLES_MIN:
            to[8 * lane + 4 * span + h] = (uint8_t)(first.scale | first.min << 4);
            to[8 * lane + 4 * span + 2 + h] = (uint8_t)(second.scale | second.min << 4);
            break;
        case SCALE_BYTES_16: to[8 * lane + 4 * span + h] = (uint8_t)first.scale, to[8 * lane + 4 * span + 2 + h] = (uint8_t)second.scale; break;
        default: to[4 * lane + 2 * span + h] = (uint8_t)first.scale;
        }
        if (lane % 4 > 0 || span > 0)
            continue;
        if (job.type.p.scale == SCALE_BYTES_MIN || job.type.p.scale == SCALE_NIBBLES_MIN)
            halves[128 + lane + 2 * h] = first.d, halves[128 + lane + 2 * h + 1] = first.m;
        else if (job.type.p.scale == SCALE_BYTES_16 || job.type.p.scale == SCALE_BYTES_32)
            halves[(job.type.p.scale == SCALE_BYTES_16 ? 128 : 64) + lane / 2 + h] = first.d;
    }
}

// grid: (spans of a tile, tiles), block: 128; a thread has one of the 4 blocks of a lane
__global__ void __launch_bounds__(128) pack_codes(struct pack_job job)
{
    __shared__ uint32_t codes[4][4][32];
    const struct packing p = job.type.p;
    int lane = (int)threadIdx.x % 32, b = (int)threadIdx.x / 32, spans = p.scale >= SCALE_BYTES_MIN ? 2 : 1, span = (int)blockIdx.x % spans;
    int span_bytes = (p.low + p.high) * TILE_HEIGHT * SPAN_COLUMNS / 8;
    uint8_t *slab = job.out + ((int64_t)blockIdx.y * job.slabs + blockIdx.x / spans) * job.slab_bytes;
    int64_t row = (int64_t)blockIdx.y * TILE_HEIGHT + lane / 4, column = (int64_t)blockIdx.x * SPAN_COLUMNS + 32 * b;
    int block = block_weights(job.dtype), bytes = block_bytes(job.dtype);
    for (int i = 0; i < 16; i++) {
        int64_t at = row + 8 * (i / 4 % 2), from = column + 16 * (i / 8) + 4 * (lane % 4) + i % 4;
        unsigned code = 0;
        if (at < job.rows && from < job.cols)
            code = code_of(job.type, job.dtype, file_code(job.dtype, job.raw + at * job.stride + from / block * bytes, (int)(from % block)));
        uint32_t &word = codes[b][i / 4][lane];
        word = (i % 4 ? word : 0) | code << 8 * (i % 4);
    }
    if (b == 0)
        write_scales(job, row, (int64_t)blockIdx.x * SPAN_COLUMNS + 32 * (lane % 4), span, lane, slab + spans * span_bytes);
    __syncthreads();
    if (p.low > 0)
        write_plane(p.low, 0, p.code == CODE_TABLE, codes, slab + span * span_bytes);
    if (p.high > 0)
        write_plane(p.high, p.low, p.code == CODE_TABLE, codes, slab + span * span_bytes + p.low * TILE_HEIGHT * SPAN_COLUMNS / 8);
}

// F16 and BF16: halves in the order of fragment A with k = 16. grid and block as above; a thread has 2 of the span's 8 chunks.
__global__ void __launch_bounds__(128) pack_halves(struct pack_job job)
{
    int lane = (int)threadIdx.x % 32;
    uint32_t *span = (uint32_t *)(job.out + ((int64_t)blockIdx.y * job.slabs + blockIdx.x) * job.slab_bytes);
    for (int chunk = (int)threadIdx.x / 32; chunk < 8; chunk += 4)
        for (int r = 0; r < 4; r++) {
            int64_t row = (int64_t)blockIdx.y * TILE_HEIGHT + lane / 4 + 8 * (r % 2), from = (int64_t)blockIdx.x * SPAN_COLUMNS + 16 * chunk + 8 * (r / 2) + 2 * (lane % 4);
            uint32_t word = 0;
            for (int j = 0; j < 2 && row < job.rows; j++)
                if (from + j < job.cols)
                    word |= (uint32_t)((const uint16_t *)(job.raw + row * job.stride))[from + j] << 16 * j;
            span[128 * chunk + 4 * lane + r] = word;
        }
}

#endif
