// device.h - what the ops of this backend share: the device as a launcher sees it, a batch as kernels see it, and the table of ops.
//
// One op kind lies in <op>.cuh (kernels) and <op>.cu (its driver). A driver's launch puts kernels into the device's stream and returns; it
// neither waits, nor allocates, nor copies to or from the host. What it does may be captured into a graph and replayed for other batches of
// the same shape: everything that differs between them (ids, positions, pages, the number of rows) is read from device memory by the
// kernels, in struct step; grids are laid out for the shape's rows (device_rows), and a kernel leaves rows from step->rows on alone.
#ifndef INFER_CUDA_DEVICE_H
#define INFER_CUDA_DEVICE_H

#include "common.cuh"
#include "rt.h"
extern "C" {
#include "../kernels.h"
#include "../types.h"
}

// A tensor in device memory. Kernels take it by value.
struct view {
    void *data;         // row 0 of matrix 0; NULL: the op has no such input
    uint32_t dtype;     // enum infer_dtype; activations are F32, chosen experts I32
    int32_t rows_kind;  // enum infer_rows
    int64_t stride;     // bytes from row to row
    int64_t cols;
    int64_t rows, mats; // of a weight; an activation has 0 and 1
    int64_t mat_stride; // bytes from matrix to matrix
};

// Rows of a tile: a sequence's rows of a batch, from its first one on, are cut into tiles of so many.
#define TILE_ROWS 16

// A batch in device memory, at the same address for every batch: kernels take `const struct step *`.
struct step {
    int32_t rows, wanted_count, sequence_count, table_pages;
    int32_t tiles;        // number of tiles
    int32_t experts_used; // 0 without experts
    int32_t part;         // enum infer_part
    int32_t positions_end; // one more than the highest position
    const int32_t *ids, *positions, *sequences, *types; // [rows]
    const int32_t *pages;      // [kinds][sequence_count][table_pages]
    const int32_t *wanted;     // [wanted_count]
    const int32_t *first;      // [sequence_count] a sequence's first row
    const int32_t *count;      // [sequence_count] and how many it has, which may be none
    const int32_t *tile_first; // [tiles] a tile's first row; tiles lie in the order of the rows
    const int32_t *tile_count; // [tiles] its rows, 1 to TILE_ROWS
    const float *carry;        // [sequence_count][width of hidden states]; NULL: zeros
    const int32_t *keep;       // [wanted_count] how many of the row's largest logits are kept; 0: none, the row is wanted whole
    const int32_t *also_first; // [wanted_count + 1] where each row's part of also begins
    const int32_t *also;       // token ids whose logits are kept, too
    struct infer_kept *kept;   // [wanted_count][kept_stride]
    int32_t kept_stride;       // the most that a row of this batch keeps
};

// What launches are laid out for: the batch's counts, rounded up. A shape has one graph.
struct shape {
    int32_t rows, wanted_count, sequence_count, tiles;
    int32_t positions; // every position of the batch is less
    int32_t part;
    int32_t keeps; // 1: rows are selected from
};

struct device;

// ---- for drivers ----
const struct properties *device_properties(const struct device *d);
const struct infer_plan *device_plan(const struct device *d); // a copy that lives as long as the device
static inline const struct infer_op *device_op(const struct device *d, int32_t op) { return &device_plan(d)->ops[op]; }
const struct step *device_step(const struct device *d);       // in device memory: for kernels, never read on the host
const struct shape *device_shape(const struct device *d);
uint8_t *device_cache(const struct device *d);                // of layer l, page p: + l.offset + p * l.page_stride
rt_stream device_stream(const struct device *d);
// Row 0 of an activation, or a weight as it lies in the file. index -1: a view whose data is NULL.
struct view device_view(const struct device *d, int32_t tensor);
// A product's weight as pack (below) laid it out; where packed_bytes said 0, as it lies in the file.
struct view device_packed(const struct device *d, int32_t tensor);
// The most rows of a kind in batches of the current shape: what grids are laid out for.
int32_t device_rows(const struct device *d, int32_t rows_kind);

// Memory that ops share, as large as the largest workspace() asks.
enum area {
    AREA_SCRATCH = 0, // an op's own while it runs; the next op finds anything there
    AREA_FORMS = 1,   // of products: quantized inputs, which live from op to op of a run. Nobody else writes it
    AREA_COUNT = 2,
};
void *device_area(const struct device *d, enum area area);

// Keeps the largest logits of the rows that step->keep says (select.cu).
int launch_select(struct device *d, int32_t logits);

// Records what went wrong, for last_error; returns status.
int device_fail(struct device *d, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));

// Launches a kernel: return launch(d, "norm", norm<256>, grid, block, shared_bytes, arguments...). shared_bytes: of dynamic shared memory
// (SHARED_DYNAMIC), also above 48 KB. Returns an infer_status.
template <typename... Parameters, typename... Arguments>
int launch(struct device *d, const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Arguments... arguments)
{
    const char *wrong = rt_launch(device_stream(d), kernel, grid, block, shared_bytes, arguments...);
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "kernel %s, %u x %u x %u blocks of %u threads, %zu bytes of shared memory: %s", name, grid.x, grid.y, grid.z, block.x, shared_bytes, wrong) : INFER_OK;
}

// ---- drivers ----
struct op_driver {
    // What the op needs that this backend lacks, for a message; NULL: nothing. Called before any memory is reserved.
    const char *(*lacks)(const struct infer_plan *plan, int32_t op);
    // Bytes of an area that the op needs at plan->max_rows rows; NULL: none.
    int64_t (*workspace)(const struct infer_plan *plan, int32_t op, enum area area);
    int (*launch)(struct device *d, int32_t op); // returns an infer_status
    uint32_t packed; // bit i: input i is a product's weight: it is packed, and device_packed finds it
};
// drivers[kind]; NULL where the backend lacks the op.
extern const struct op_driver *const op_drivers[32];

// ---- weights of products (products.cu) ----
// Bytes of one matrix as products read it; 0: as it lies in the file.
int64_t packed_bytes(uint32_t dtype, int64_t rows, int64_t cols);
#define PACK_ROWS 64 // rows are packed from a multiple of this on
// Writes rows [first, first + count) of a matrix of rows x cols at `packed` from `raw`, which holds those rows alone, stride bytes apart; both
// in device memory. Returns an infer_status.
int pack(struct device *d, uint32_t dtype, const uint8_t *raw, int64_t stride, int64_t first, int64_t count, int64_t rows, int64_t cols, uint8_t *packed);

#endif
