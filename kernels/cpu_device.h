// cpu_device.h - the CPU device's state, shared by cpu.c (life), cpu_prepare.c (plan to steps) and cpu_run.c (steps).
#ifndef INFER_CPU_DEVICE_H
#define INFER_CPU_DEVICE_H

#include "cpu.h"
#include "cpu_pace.h"

#define MAX_BUFFERS 1024
#define MAX_RANGES 12


enum step_kind { STEP_OP, STEP_QUANTIZE, STEP_GROUP };

// Memory that a step reads or writes, to find where a barrier is needed. Space 0 is the activations, others below.
enum space { SPACE_ACTIVATIONS, SPACE_CACHE, SPACE_GROUPS, SPACE_FORM /* + index of a form buffer */ };
struct range {
    int32_t space, base; // base: of the tensor; equal bases have equal row layouts
    int64_t from, to;
    bool write;
};

// A step is an op of the plan, or something the backend adds: quantizing a product's input, grouping tokens by expert.
struct step {
    enum step_kind kind;
    int32_t op;        // index of the op it is, or serves
    int32_t tensor;    // QUANTIZE: the input; GROUP: the ids
    int32_t form_buffer; // QUANTIZE: destination; products: their input's, -1: the f32 activation itself
    enum act_form form;
    int32_t terms; // QUANTIZE, products: 2 = the first one's rounding errors follow as a second quantized row
    bool row_local;
    enum infer_rows rows_kind;
    int range_count;
    struct range ranges[MAX_RANGES];
};

// Steps first..first+count need no barrier between them: row-local ones run one after the other on each row, others are
// independent of each other.
struct stage {
    int32_t first, count;
    bool row_local;
    enum infer_rows rows_kind;
};

struct form_buffer {
    uint8_t *data, *tiles;
    int64_t bytes, tiles_bytes;
    int32_t tensor, terms; // while steps are made: what it holds, and since which step
    int32_t version, written;
};
#define FORM_BUFFERS (2 * (FORM_COUNT - 1)) // two a form, so that a new input need not wait for the last one's readers

// Tokens by expert: what EXPERTS ops work through.
struct groups {
    int32_t *slots;   // [rows*used] output rows, by expert
    int32_t *tokens;  // [rows*used] batch row of each slot
    int32_t *starts;  // [experts+1] of the active ones
    int32_t *experts; // [experts] ids of the active ones
    int32_t active;
};

struct tiles { // rows of a batch cut where sequences change and at a number of rows
    int32_t *first, *count;
    int32_t *end; // positions of the tile's sequence, up to the batch's last row of it
    int32_t total;
};
// Attention of few rows over long contexts: tiles x KV heads are fewer than the threads could share, so spans are shared out.
struct splits {
    int64_t floats;    // room in partials; 0: the plan has no attention
    float *partials;
    atomic_int *done;  // [jobs]: spans that are finished, of each tile and KV head
    int64_t jobs;
};
#define SPLIT_BYTES (16 << 20) // of partials at most: longer contexts of more rows are not split

struct segments { // stretches of the batch's rows that belong to one sequence
    int32_t *first, *count; // [rows]; NULL: the plan has no recurrent ops
    int32_t total;
};

#define TILE_SIZES 7 // 1, 2, 4 ... 64 rows

struct device {
    const struct cpu_variant *variant;
    struct team *team;
    int threads;
    int active; // threads that take part in the current step
    int64_t wait_ns; // of the first thread at the current step's barriers
    struct pace pace;
    bool repack;
    int64_t fail_allocation, allocations; // tests
    char error[512], description[128];

    struct { const uint8_t *data; int64_t bytes; bool mapped; } buffers[MAX_BUFFERS];
    int32_t buffer_count;

    struct infer_plan plan; // with copies of its arrays
    struct weight *weights; // [tensor_count]; rows 0 where the tensor is not a product's weight
    struct step *steps;
    int32_t step_count, step_room;
    struct stage *stages;
    int32_t stage_count;
    int32_t feed_stage, predict_stage; // where the predictor's feed and the rest of it begin
    uint8_t *activations, *cache;
    struct form_buffer forms[FORM_BUFFERS];
    struct groups groups;
    struct tiles tiles[TILE_SIZES];
    uint32_t tiles_used; // bit per size
    struct splits splits;
    struct segments segments;
    uint8_t **scratch;   // [threads]
    int64_t scratch_bytes;
    atomic_int *counters; // [threads][counter_stride]: units taken of each step, in cache lines of each thread's own
    int32_t counter_stride;

    const struct infer_batch *batch;
    atomic_int abandon; // 1 + the stage after which the step ends; 0: it goes on
    struct infer_timing timing;
    void *owned[16]; // allocations with the device's life, besides packed weights
    int32_t owned_count;
};

// 64-byte aligned, zeroed memory; NULL when there is none, or when a test says so.
void *infer_device_alloc(struct device *d, int64_t bytes);
void infer_device_free(void *p);

// Bytes of a panel of a weight that lies as in the file and is interleaved anew in every product; 0: it is not.
int64_t infer_loose_panel_bytes(const struct device *d, const struct weight *w);
int infer_tile_size(int32_t heads_of_a_group); // index into tiles: 2^index rows
int infer_cpu_prepare(void *device, const struct infer_plan *plan);
void infer_cut_segments(struct device *d);
void infer_run_recurrent(struct device *d, int32_t step, int thread);
int infer_cpu_run(void *device, const struct infer_batch *batch, struct infer_result *result);

// The panels of a MATMUL step that a thread computes first, if it comes in time.
struct panels { int64_t from, to; };
struct panels infer_first_share(const struct device *d, int32_t step, int thread);

static inline const struct infer_tensor *tensor_at(const struct device *d, int32_t i) { return &d->plan.tensors[i]; }
static inline float *activation(const struct device *d, int32_t i, int64_t row)
{
    const struct infer_tensor *t = tensor_at(d, i);
    return (float *)(d->activations + t->offset + row * t->stride);
}
static inline const uint8_t *weight_bytes(const struct device *d, int32_t i)
{
    const struct infer_tensor *t = tensor_at(d, i);
    return d->buffers[t->buffer].data + t->offset;
}
static inline const float *vector_or_null(const struct device *d, int32_t i) { return i < 0 ? NULL : (const float *)weight_bytes(d, i); }
static inline int64_t act_bytes(enum act_form f, int64_t cols)
{
    switch (f) {
    case FORM_32: return cols / 32 * (int64_t)sizeof(struct act32);
    case FORM_256: return cols / 256 * (int64_t)sizeof(struct act256);
    case FORM_BF16: return cols * 2;
    default: return cols * 4;
    }
}

static inline atomic_int *counter(struct device *d, int thread, int32_t step) { return &d->counters[(int64_t)thread * d->counter_stride + step]; }

// The next unit of a step in order, for whoever asks first: work whose units differ much.
static inline int32_t take(struct device *d, int32_t step) { return atomic_fetch_add_explicit(counter(d, 0, step), 1, memory_order_relaxed); }

// From quantized row to row: whole cache lines. Rows of bf16 are read side by side, where a multiple of 4 KB apart they would share a set of
// the first-level cache.
static inline int64_t act_stride(enum act_form f, int64_t cols)
{
    int64_t lines = (act_bytes(f, cols) + 63) / 64;
    return 64 * (f == FORM_BF16 && lines % 16 == 0 ? lines + 1 : lines);
}

#endif
