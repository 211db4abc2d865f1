// select.cuh - the largest logits of a row, so that the host needs not all of them to choose a token: a block a row.
//
// The result is the exact one in one order, whatever way leads to it. Of each thread's stretch of logits the largest is found; as many stretches as
// logits are to be kept have one at or above the keep-th of these, so that what lies below it is out. What remains is mostly little more
// than what is kept, and is sorted. Where it is not (many equal logits), the keep-th logit is found byte by byte.
#ifndef INFER_CUDA_SELECT_CUH
#define INFER_CUDA_SELECT_CUH

#include "rows.cuh"

#define SELECT_THREADS 1024
#define SELECT_ROOM 2048 // logits that are sorted at most

// Orders logits: higher ones have higher keys, equal ones the same; NaN and infinity the highest; 0 is below all.
static __device__ __forceinline__ uint32_t logit_key(float v)
{
    uint32_t bits = __float_as_uint(v);
    if ((bits & 0x7fffffffu) > 0x7f800000u || bits == 0x7f800000u)
        return 0xffffffffu;
    if (bits == 0x80000000u)
        bits = 0; // -0 equals 0
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

// A logit's place in the order: by key, then the lower id first; 0 is behind all.
static __device__ __forceinline__ uint64_t logit_place(float v, int32_t id) { return (uint64_t)logit_key(v) << 32 | (0xffffffffu - (uint32_t)id); }
static __device__ __forceinline__ int32_t place_id(uint64_t place) { return (int32_t)(0xffffffffu - (uint32_t)place); }

// Sorts `count` places, a power of two, the highest first.
static __device__ __forceinline__ void sort_places(uint64_t *places, int count)
{
    for (int size = 2; size <= count; size *= 2)
        for (int step = size / 2; step > 0; step /= 2) {
            for (int i = (int)threadIdx.x; i < count; i += SELECT_THREADS) {
                int other = i ^ step;
                uint64_t a = places[i], b = places[other];
                if (other > i && (i & size ? a > b : a < b)) {
                    places[i] = b;
                    places[other] = a;
                }
            }
            __syncthreads();
        }
}

// The highest place of all threads.
static __device__ __forceinline__ uint64_t highest_place(uint64_t own, uint64_t *parts)
{
    for (int lanes = 16; lanes > 0; lanes /= 2) {
        uint64_t other = __shfl_xor_sync(0xffffffffu, own, lanes);
        own = other > own ? other : own;
    }
    if (threadIdx.x % 32 == 0)
        parts[threadIdx.x / 32] = own;
    __syncthreads();
    for (int i = 0; i < SELECT_THREADS / 32; i++)
        own = parts[i] > own ? parts[i] : own;
    return own;
}

// The key of the keep-th logit, byte by byte; *above: how many are higher.
static __device__ uint32_t find_key(const float *logits, int32_t count, int32_t keep, unsigned *histogram, int32_t *above)
{
    __shared__ uint32_t found;
    __shared__ int32_t higher;
    uint32_t key = 0;
    *above = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
        for (int i = (int)threadIdx.x; i < 256; i += SELECT_THREADS)
            histogram[i] = 0;
        __syncthreads();
        for (int32_t i = (int32_t)threadIdx.x; i < count; i += SELECT_THREADS) {
            uint32_t k = logit_key(logits[i]);
            if (shift == 24 || k >> (shift + 8) == key >> (shift + 8))
                atomicAdd(&histogram[k >> shift & 255], 1u);
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            int byte = 255;
            int32_t sum = *above;
            for (; byte > 0 && sum + (int32_t)histogram[byte] < keep; byte--)
                sum += (int32_t)histogram[byte];
            found = key | (uint32_t)byte << shift;
            higher = sum;
        }
        __syncthreads();
        key = found;
        *above = higher;
    }
    return key;
}

// The keep highest places, unsorted, of logits of which many are equal: those above the keep-th, and of those that equal it the first.
static __device__ void gather_equal(const float *logits, int32_t count, int32_t keep, uint64_t *places, unsigned *histogram, unsigned *taken)
{
    __shared__ int32_t of_warp[SELECT_THREADS / 32];
    int32_t above, equal = 0;
    uint32_t key = find_key(logits, count, keep, histogram, &above);
    for (int32_t first = 0; first < count; first += SELECT_THREADS) {
        int32_t i = first + (int32_t)threadIdx.x, warp = (int32_t)threadIdx.x / 32, before = equal;
        uint32_t own = i < count ? logit_key(logits[i]) : 0;
        unsigned same = __ballot_sync(0xffffffffu, i < count && own == key);
        if (threadIdx.x % 32 == 0)
            of_warp[warp] = __popc(same);
        __syncthreads();
        for (int w = 0; w < SELECT_THREADS / 32; w++) {
            before += w < warp ? of_warp[w] : 0;
            equal += of_warp[w];
        }
        before += __popc(same & ((1u << threadIdx.x % 32) - 1));
        if (own > key)
            places[atomicAdd(taken, 1u)] = logit_place(logits[i], i);
        else if (i < count && own == key && above + before < keep)
            places[keep - 1 - before] = logit_place(logits[i], i); // from the end, which those above do not reach
        __syncthreads();
    }
}

// grid: (wanted rows), block: 1024
__global__ void __launch_bounds__(SELECT_THREADS) select_logits(const struct step *step, struct view logits)
{
    __shared__ uint64_t places[SELECT_ROOM];
    __shared__ unsigned histogram[256], taken;
    int64_t row = blockIdx.x;
    if (row >= step->wanted_count || step->keep[row] <= 0)
        return;
    const float *from = row_of(logits, row);
    struct infer_kept *to = step->kept + row * step->kept_stride;
    int32_t count = (int32_t)logits.cols, keep = step->keep[row], kept = keep < count ? keep : count;
    for (int32_t i = step->also_first[row] + (int32_t)threadIdx.x, n = keep + (int32_t)threadIdx.x; i < step->also_first[row + 1]; i += SELECT_THREADS, n += SELECT_THREADS)
        to[n] = {from[step->also[i]], step->also[i]};
    for (int32_t i = kept + (int32_t)threadIdx.x; i < keep; i += SELECT_THREADS)
        to[i] = {-INFINITY, -1}; // more than there are
    uint64_t highest = 0;
    for (int32_t i = (int32_t)threadIdx.x; i < count; i += SELECT_THREADS) {
        uint64_t place = logit_place(from[i], i);
        highest = place > highest ? place : highest;
    }
    if (keep == 1) {
        highest = highest_place(highest, places);
        if (threadIdx.x == 0)
            to[0] = {from[place_id(highest)], place_id(highest)};
        return;
    }
    places[threadIdx.x] = highest;
    if (threadIdx.x == 0)
        taken = 0;
    __syncthreads();
    sort_places(places, SELECT_THREADS);
    uint32_t least = (uint32_t)(places[kept - 1] >> 32); // 0 where there are less stretches than are kept
    __syncthreads();
    for (int i = (int)threadIdx.x; i < SELECT_ROOM; i += SELECT_THREADS)
        places[i] = 0;
    __syncthreads();
    for (int32_t i = (int32_t)threadIdx.x; i < count; i += SELECT_THREADS)
        if (logit_key(from[i]) >= least) {
            unsigned at = atomicAdd(&taken, 1u);
            if (at < SELECT_ROOM)
                places[at] = logit_place(from[i], i);
        }
    __syncthreads();
    int room = SELECT_THREADS;
    if (taken > SELECT_ROOM) {
        __syncthreads(); // all have seen it
        for (int i = (int)threadIdx.x; i < SELECT_ROOM; i += SELECT_THREADS)
            places[i] = 0;
        if (threadIdx.x == 0)
            taken = 0;
        __syncthreads();
        gather_equal(from, count, kept, places, histogram, &taken);
    } else if (taken > SELECT_THREADS) {
        room = SELECT_ROOM;
    }
    __syncthreads();
    sort_places(places, room);
    for (int32_t i = (int32_t)threadIdx.x; i < kept; i += SELECT_THREADS)
        to[i] = {from[place_id(places[i])], place_id(places[i])};
}

#endif
