// product_job.cuh - what surrounds a product: its columns, and what becomes of its sums.
#ifndef INFER_CUDA_PRODUCT_JOB_CUH
#define INFER_CUDA_PRODUCT_JOB_CUH

#include "math.cuh"
#include "rows.cuh"

// Of loops whose bodies would take too many registers side by side.
#ifdef INFER_CUDA_EMULATE
#define NO_UNROLL
#else
#define NO_UNROLL _Pragma("unroll 1")
#endif

// Which columns belong together, where the batch's rows are grouped by expert: made on the device.
struct expert_tile {
    int32_t expert, first, count; // slots[first .. first + count)
};

struct product_job {
    const uint8_t *w[2];   // packed; the second one's matrix of a gated op, or NULL
    int64_t mat_bytes;
    int32_t rows, slabs;   // of a matrix, of a tile
    float unit;
    uint32_t table[4];
    const uint8_t *x;      // the form's rows, or of F32 weights the input
    int64_t row_bytes, head_bytes, term_bytes; // from row to row, head to head, term to term
    int64_t cols, padded;  // of a row, and of the form's
    int32_t terms;         // rows of the form that add up to a column of the result
    const struct step *step;
    int32_t rows_kind;     // of the result's rows, where they are not grouped
    int32_t grouped;       // by expert
    const struct expert_tile *tiles; // NULL: the batch is one row, whose slots are tiles of their own
    const int32_t *slots, *tile_count;
    const int32_t *ids;    // of that row
    int32_t slots_a_row;   // of grouped rows: slot s reads row s / slots_a_row
    const float *bias[2];  // [mats][rows], or NULL
    struct view residual, out;
    int32_t out_step;      // elements of out from head to head
    int32_t act;
    float factor, p1, p2;
    int32_t gated;         // 1: w[1] is the other factor; 2: `first` holds the gate's sums
    float *first;          // [result rows][rows]: sums of a gate of another type than its partner's
};

// The thread's number, read anew: what is computed from it is not kept in registers from span to span.
static __device__ __forceinline__ int thread_again()
{
#ifdef INFER_CUDA_EMULATE
    return (int)threadIdx.x;
#else
    int thread;
    asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
    return thread;
#endif
}

// A block's columns.
struct columns {
    int32_t mat, first, count; // count: of the result
};

static __device__ __forceinline__ struct columns columns_of(const struct product_job &job, int most)
{
    if (job.grouped) {
        if (!job.tiles)
            return {job.ids[blockIdx.x], (int32_t)blockIdx.x, 1};
        if ((int)blockIdx.x >= *job.tile_count)
            return {0, 0, 0};
        struct expert_tile t = job.tiles[blockIdx.x];
        return {t.expert, t.first, t.count};
    }
    int32_t first = (int32_t)blockIdx.x * most, all = (int32_t)rows_in(job.step, job.rows_kind);
    return {(int32_t)blockIdx.z, first, all - first < most ? all - first : most};
}

static __device__ __forceinline__ int32_t result_row(const struct product_job &job, const struct columns &c, int i) { return job.slots ? job.slots[c.first + i] : c.first + i; }

// The form's row of column i, which counts terms; columns past the end read the last one, for nothing.
static __device__ __forceinline__ const uint8_t *form_row(const struct product_job &job, const struct columns &c, int i)
{
    int last = c.count * job.terms - 1;
    i = i < last ? i : last;
    int64_t row = result_row(job, c, i / job.terms) / job.slots_a_row;
    return job.x + row * job.row_bytes + (job.grouped ? 0 : c.mat * job.head_bytes) + i % job.terms * job.term_bytes;
}

// v = factor (y + bias); v = act(v) [* (y2 + bias2)]; out = v + residual
static __device__ __forceinline__ void finish(const struct product_job &job, const struct columns &c, int i, int row, float y, float y2)
{
    int64_t to = result_row(job, c, i);
    if (job.gated == 0 && job.first) {
        job.first[to * job.rows + row] = y;
        return;
    }
    if (job.gated == 2)
        y2 = y, y = job.first[to * job.rows + row];
    float v = job.bias[0] ? y + job.bias[0][(int64_t)c.mat * job.rows + row] : y;
    v = job.factor != 1.0f ? v * job.factor : v;
    if (job.gated)
        v = gate_of(job.act, v, job.bias[1] ? y2 + job.bias[1][(int64_t)c.mat * job.rows + row] : y2, job.p1, job.p2);
    else
        v = act_of(job.act, v, job.p1, job.p2);
    if (job.residual.data)
        v += row_of(job.residual, to)[row];
    row_of(job.out, to)[(job.grouped ? 0 : (int64_t)c.mat * job.out_step) + row] = v;
}

#endif
