// quantize.cuh - activations as products take them, one row of a form for each row of the input (with two terms two, one after the other).
//
// Both forms lie in the order of fragment B: 64 bytes hold two chunks of 8 words, lane t's 16 bytes the words t and t + 4 of both.
// Form of bytes: x ~ d q, a scale every 32 columns. [padded] bytes, [padded/32] d, [padded/32][2] sums of d q over 16 columns.
// Form of halves: x = 2^e (first + second). [padded] halves, [padded] halves, and 2^e in the last 16 bytes.
#ifndef INFER_CUDA_QUANTIZE_CUH
#define INFER_CUDA_QUANTIZE_CUH

#include "rows.cuh"

static __host__ __device__ __forceinline__ int64_t padded_columns(int64_t cols) { return (cols + 255) / 256 * 256; }
static __host__ __device__ __forceinline__ int64_t byte_form_bytes(int64_t cols) { return padded_columns(cols) / 8 * 11; }
static __host__ __device__ __forceinline__ int64_t half_form_bytes(int64_t cols) { return padded_columns(cols) * 4 + 16; }

// A block whose highest value is below it counts as zeros: its inverse would be infinite.
#define LEAST_HIGHEST 0x1p-100f
#define CANDIDATES 16
#define CANDIDATE_FIRST 32512 // 127 steps, in 1/256
#define CANDIDATE_STEP 179

// Of 16 scales the one with the least squared rounding error; fine: the lane's value in 15 bits. Every lane gets the same steps, in 1/256.
// A lane tries candidate lane % 16 on its half of the block.
static __device__ __forceinline__ int best_candidate(int fine)
{
    int lane = (int)threadIdx.x % 32, c = CANDIDATE_FIRST - lane % 16 * CANDIDATE_STEP, sum = 0;
    for (int j = 0; j < 16; j++) {
        int scaled = (__shfl_sync(0xffffffffu, fine, lane / 16 * 16 + j) * c + 0x4000) >> 15;
        int error = (int16_t)(uint16_t)((uint32_t)scaled << 8) >> 4;
        sum += error * error;
    }
    sum += __shfl_xor_sync(0xffffffffu, sum, 16);
    float cost = (float)sum / ((float)c * (float)c);
    for (int lanes = 8; lanes > 0; lanes /= 2) {
        float other = __shfl_xor_sync(0xffffffffu, cost, lanes);
        int other_c = __shfl_xor_sync(0xffffffffu, c, lanes);
        bool better = other < cost || (other == cost && other_c > c);
        cost = better ? other : cost;
        c = better ? other_c : c;
    }
    return c;
}

// Quantizes a block of 32, a value a lane. Gives d, writes q, and returns the value that is left.
static __device__ __forceinline__ float quantize_block(float x, int64_t block, int64_t padded, uint8_t *out)
{
    int lane = (int)threadIdx.x % 32;
    float highest = warp_max(fabsf(x)), steps = 127;
    if (highest >= LEAST_HIGHEST)
        steps = (float)best_candidate(__float2int_rn(x * (32767.0f / highest))) * (1.0f / 256);
    float d = highest / steps, inverse = highest >= LEAST_HIGHEST ? steps / highest : 0.0f;
    int q = __float2int_rn(x * inverse), sum = q;
    for (int lanes = 8; lanes > 0; lanes /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, lanes);
    out[block / 2 * 64 + lane / 4 % 4 * 16 + block % 2 * 8 + lane / 16 * 4 + lane % 4] = (uint8_t)q;
    float *scales = (float *)(out + padded), *sums = scales + padded / 32;
    if (lane == 0)
        scales[block] = d;
    if (lane % 16 == 0)
        sums[2 * block + lane / 16] = d * (float)sum;
    return x - d * (float)q;
}

// grid: (rows x heads, padded columns / 256), block: 256. A row of the batch gives `heads` rows of the form, head_step elements apart in x.
__global__ void __launch_bounds__(256) quantize_bytes(const struct step *step, struct view x, int heads, int head_step, int64_t cols, int terms, uint8_t *out)
{
    int64_t row = blockIdx.x / heads, at = (int64_t)blockIdx.y * 256 + threadIdx.x, padded = padded_columns(cols), bytes = byte_form_bytes(cols);
    if (row >= rows_in(step, x.rows_kind))
        return;
    float v = at < cols ? row_of(x, row)[(int64_t)(blockIdx.x % heads) * head_step + at] : 0.0f;
    uint8_t *form = out + (int64_t)blockIdx.x * terms * bytes;
    float rest = quantize_block(v, at / 32, padded, form);
    if (terms == 2)
        quantize_block(rest, at / 32, padded, form + bytes);
}

static __device__ __forceinline__ uint16_t float_to_bf16(float f) // to nearest, ties to even; a NaN stays one
{
    uint32_t u = __float_as_uint(f);
    return (uint16_t)((u & 0x7fffffff) > 0x7f800000 ? u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// grid: rows x heads, block: 256. bf16: the halves are bf16, and e is 0; else a row's highest value comes between 2^13 and 2^14.
__global__ void __launch_bounds__(256) quantize_halves(const struct step *step, struct view x, int heads, int head_step, int64_t cols, int bf16, uint8_t *out)
{
    __shared__ float part[8];
    int64_t row = blockIdx.x / heads, padded = padded_columns(cols), bytes = half_form_bytes(cols);
    if (row >= rows_in(step, x.rows_kind))
        return;
    const float *in = row_of(x, row) + (int64_t)(blockIdx.x % heads) * head_step;
    uint8_t *form = out + (int64_t)blockIdx.x * bytes;
    float factor = 1, scale = 1;
    if (!bf16) {
        float most = 0;
        for (int64_t i = threadIdx.x; i < cols; i += 256)
            most = fmaxf(most, fabsf(in[i]));
        most = block_max<8>(most, part);
        int e = (int)(__float_as_uint(most) >> 23) - 127 - 13;
        e = e < -110 ? -110 : e > 110 ? 110 : e;
        scale = __uint_as_float((uint32_t)(127 + e) << 23), factor = __uint_as_float((uint32_t)(127 - e) << 23);
    }
    for (int64_t i = threadIdx.x; i < padded; i += 256) {
        float v = i < cols ? in[i] * factor : 0.0f;
        uint16_t first = bf16 ? float_to_bf16(v) : float_to_half(v);
        float rest = v - (bf16 ? bf16_to_float(first) : half_to_float(first));
        int k = (int)(i % 32); // of two chunks of 16
        int64_t to = i / 32 * 32 + k / 2 % 4 * 8 + k / 16 * 4 + k / 8 % 2 * 2 + k % 2;
        ((uint16_t *)form)[to] = first;
        ((uint16_t *)form)[padded + to] = bf16 ? float_to_bf16(rest) : float_to_half(rest);
    }
    if (threadIdx.x == 0)
        *(float *)(form + bytes - 16) = scale;
}

#endif
