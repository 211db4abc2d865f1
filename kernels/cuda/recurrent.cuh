// recurrent.cuh - what recurrent ops share: which rows of the batch belong to a sequence, and which slots hold its states.
//
// A state's element depends on a sequence's rows in their order and on nothing else: any cut of a sequence into steps gives the same bits.
#ifndef INFER_CUDA_RECURRENT_CUH
#define INFER_CUDA_RECURRENT_CUH

#include "cache.cuh"
#include "math.cuh"

// A sequence's rows in the batch. Its state after row `certain - 1` goes to the first slot, after each of the guesses to the next one. One row at
// least is certain, where there are rows.
struct segment {
    int32_t first, rows, certain;
    const int32_t *slots; // that are written
    const float *read;    // the state before its first row; NULL: zeros
};

static __device__ __forceinline__ float *slot_of(const struct cache_view &c, int32_t slot) { return (float *)page_of(c, slot); }

static __device__ __forceinline__ struct segment segment_of(const struct step *step, const struct cache_view &c, int32_t sequence)
{
    const int32_t *table = table_of(step, (int32_t)c.kind, sequence);
    struct segment s = {step->first[sequence], step->count[sequence], 0, table + 1, NULL};
    int32_t guesses = 0;
    while (2 + guesses < step->table_pages && table[2 + guesses] >= 0)
        guesses++;
    s.certain = s.rows - guesses;
    if (table[0] >= 0)
        s.read = slot_of(c, table[0]);
    return s;
}

// The slot that takes the state after row t of the segment; -1: none does.
static __device__ __forceinline__ int32_t slot_after(const struct segment &s, int32_t t) { return t + 1 < s.certain ? -1 : s.slots[t + 1 - s.certain]; }

// A head's state is a matrix [rows][values]; a value's column is spread over `parts` neighbouring lanes, a power of two: lane p has rows 32p to
// 32p + 31 in registers, zeros where there are fewer. It lies in memory as [values/16][rows][16].
#define COLUMN_ROWS 32 // of a lane
#define COLUMN_THREADS 256
struct column {
    int32_t parts, part, rows, value;
    bool exists; // past the head's last vector of 16 values it does not
};

static __device__ __forceinline__ int column_parts(int32_t rows)
{
    int parts = 1;
    while (parts * COLUMN_ROWS < rows)
        parts *= 2;
    return parts;
}

// Where a lane's rows begin in a head's state, and how many of them there are: the next one is 16 floats on.
static __device__ __forceinline__ int64_t column_at(const struct column &c) { return ((int64_t)(c.value / 16) * c.rows + c.part * COLUMN_ROWS) * 16 + c.value % 16; }
static __device__ __forceinline__ int column_left(const struct column &c) { return c.exists ? c.rows - c.part * COLUMN_ROWS : 0; }

static __device__ __forceinline__ void load_column(float *h, const struct column &c, const float *state)
{
    const float *from = state + column_at(c);
    int left = state ? column_left(c) : 0;
    UNROLL
    for (int i = 0; i < COLUMN_ROWS; i++)
        h[i] = i < left ? from[16 * i] : 0.0f;
}

static __device__ __forceinline__ void store_column(const float *h, const struct column &c, float *state)
{
    float *to = state + column_at(c);
    int left = column_left(c);
    UNROLL
    for (int i = 0; i < COLUMN_ROWS; i++)
        if (i < left)
            to[16 * i] = h[i];
}

// The sum over a column's lanes, in each of them.
static __device__ __forceinline__ float column_sum(float v, int parts)
{
    for (int lanes = 1; lanes < parts; lanes *= 2)
        v += __shfl_xor_sync(0xffffffffu, v, lanes);
    return v;
}

// What a block gathers of each row, the factors of the column's rows, lies in shared memory: a lane's 32 in a stretch of LANE_STRIDE floats, so that
// lanes beside each other use different banks.
#define LANE_STRIDE 36
#define GATHERED 2304 // floats of a kind of input that a block gathers at a time: so many rows' as fit, at most GATHERED_ROWS
#define GATHERED_ROWS 16
static __device__ __forceinline__ int gathered_rows(int parts) { return GATHERED / (parts * LANE_STRIDE) < GATHERED_ROWS ? GATHERED / (parts * LANE_STRIDE) : GATHERED_ROWS; }
static __device__ __forceinline__ int gathered_at(int parts, int t, int row) { return (t * parts + row / COLUMN_ROWS) * LANE_STRIDE + row % COLUMN_ROWS; }

// Gathers `count` rows of the batch, from `first` on, by the whole block: `rows` floats of each from `column` on, and zeros.
static __device__ __forceinline__ void gather_rows(float *to, const struct view &from, int64_t first, int count, int64_t column, int parts, int32_t rows)
{
    for (int i = (int)threadIdx.x; i < count * parts * COLUMN_ROWS; i += COLUMN_THREADS) {
        int t = i / (parts * COLUMN_ROWS), row = i % (parts * COLUMN_ROWS);
        to[gathered_at(parts, t, row)] = row < rows ? row_of(from, first + t)[column + row] : 0.0f;
    }
}

// Reads a thread's own value of each of the rows at once, so that a row does not wait for memory.
static __device__ __forceinline__ void hold_values(float (*held)[COLUMN_THREADS], const struct view &from, int64_t first, int count, int64_t value, bool inside)
{
    UNROLL
    for (int t = 0; t < GATHERED_ROWS; t++)
        if (t < count)
            held[t][threadIdx.x] = inside ? row_of(from, first + t)[value] : 0.0f;
}

// Blocks that a head's columns take.
static inline unsigned column_blocks(int64_t width, int64_t rows)
{
    int64_t parts = 1;
    while (parts * COLUMN_ROWS < rows)
        parts *= 2;
    int64_t columns = COLUMN_THREADS / parts;
    return (unsigned)(((width + 15) / 16 * 16 + columns - 1) / columns);
}

#endif
