// cpu.h - inside the CPU backend: what its files share.
//
// cpu.c walks a prepared plan with a team of threads (cpu_team.c). What a step computes is defined once, in cpu_rows.h
// and cpu_attention.h, over vectors of 16 lanes (simd_*.h); each variant file compiles that source for its instruction
// set, so its bits are the reference's by construction. Integer products have hand-written kernels a variant; integer
// sums are exact, and the float steps around them follow cpu_ref.c's order.
#ifndef INFER_CPU_H
#define INFER_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "kernels.h"
#include "types.h"

// Intel's prefetchers stop at the end of each page of 4 KB: products of few columns ask for weights themselves, NEAR_AHEAD bytes before their use.
#define NEAR_AHEAD 3072
static inline bool prefetchers_stop_early(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_is("intel");
#else
    return false;
#endif
}

#define PANEL_ROWS 16 // weight rows that are interleaved, and the lanes of a vector
#define PRODUCT_PANELS 4 // panels of one product call at most

// Activations quantized for weights with a scale every 32: x[i] ~ d * q[i].
struct act32 {
    int8_t q[32];
    int32_t bias; // -128 * (sum of q): what weights stored with 128 added start their sums at
    float d;
    float ds;     // d * (sum of q)
};

// Activations quantized for weights of the 256 family: x[i] ~ d[i/64] * q[i].
struct act256 {
    int8_t q[256];
    float d[4];
    float ds;           // unit of the sums below
    int32_t bias16[16]; // -128 * (sum of 16 q)
    int32_t bias32[8];  // -128 * (sum of 32 q)
    int16_t sum16[16];  // of d*q each 16, in units of ds: for minimums
    int16_t sum32[8];   // of d*q each 32, in units of ds: sum16's neighbours added
};

enum act_form { FORM_F32 = 0, FORM_32 = 1, FORM_256 = 2, FORM_BF16 = 3, FORM_COUNT = 4 };

// A weight as the backend uses it.
struct weight {
    enum infer_dtype dtype;
    enum act_form form;
    int64_t cols, rows, mats;
    const uint8_t *raw; // GGUF's layout
    int64_t stride, mat_stride;
    uint8_t *packed;    // panels of 16 interleaved rows; NULL: the variant has none for this type, or repack is off
    int64_t panel_bytes;
    int64_t panel_step; // bytes from panel to panel: panel_bytes, or with a mate both's
    struct weight *mate; // of a gate: the up matrix of the same op, whose panels lie between its own, so that both are one stream
    bool is_mate;        // its memory is the gate's
    int64_t panels;     // a matrix
};

static inline uint8_t *packed_panel(const struct weight *w, int64_t mat, int64_t panel) { return w->packed + (mat * w->panels + panel) * w->panel_step; }

// The columns of a product: rows of the batch, in the form that the weight's type takes.
struct columns {
    const uint8_t *data;   // first row, in the weight's form
    int64_t stride;        // bytes from row to row
    const int32_t *pick;   // row of column c is pick[c]; NULL: c
    int32_t count;
    const uint8_t *tiles;  // the same rows as the variant's tiles of 16 columns, from the first one on; NULL: there are none
    int64_t tile_stride;
};

static inline const void *column(const struct columns *c, int64_t i)
{
    return c->data + (c->pick ? c->pick[i] : i) * c->stride;
}

#define FEW_COLUMNS 48 // up to it products of every type read interleaved weights directly; more may be worth unpacking panels first
#define TILED_COLUMNS 64 // from so many on columns are laid out as tiles, where the variant has them
#define MAX_PRODUCT_COLUMNS 512 // columns of one call; more are several calls

// What surrounds a product: v = scale*(y + bias); v = act(v) [* (y2 + bias2)]; out = v + residual.
struct epilogue {
    const float *bias, *bias2;
    const float *residual;
    int64_t residual_stride; // floats
    float scale;
    const float *param; // of act, three
    int32_t act;
    bool gated;
};

// One query tile of attention: rows that share a sequence, and heads that share a KV head.
struct attention_job {
    const struct infer_cache_layer *layer;
    const uint8_t *cache;     // of this layer, page 0
    const int32_t *pages;     // the sequence's table
    const int32_t *positions; // [rows]
    const float *q;           // row 0, head 0 of the group
    int64_t q_stride;         // floats from row to row
    float *out;
    int64_t out_stride;
    const float *sinks;       // of the group's heads, or NULL
    const float *bias;        // [total heads][2*bias_reach + 1] by distance, or NULL
    int32_t bias_reach;
    int32_t rows, heads;      // heads of the group
    int32_t kv_head, first_head, total_heads;
    int32_t window, v_first;
    bool chunks;              // the window is a chunk
    int32_t end;              // both ways: positions of the sequence; 0: a row sees none after its own
    float scale, softcap, alibi;
    float *scratch;           // attention_scratch() floats
    int64_t span;             // with partials: the one span to compute
    float *partials;          // where its result goes, infer_attention_partials() floats; NULL: compute all spans, and out
};

// A stretch of one sequence through a recurrent op, for a part of its channels or one of its heads.
struct recurrent_job {
    const struct infer_op *op;
    int32_t rows;
    const float *in[INFER_OP_INPUTS];      // row 0 of an activation, or a weight; NULL: absent
    int64_t in_stride[INFER_OP_INPUTS];    // floats from row to row
    int64_t in_cols[INFER_OP_INPUTS];
    float *out;
    int64_t out_stride, out_cols;
    const float *read;  // the layer's state before the first row; NULL: zeros
    float *write;       // after the last
    bool again;         // which is read at once
    int64_t unit;       // CONV, SCAN: block of RECURRENT_CHANNELS channels; others: head
    float *scratch;     // infer_recurrent_scratch() floats
};
#define RECURRENT_CHANNELS 64
#define RECURRENT_ROWS 16 // rows whose inputs a head's job gathers at a time
#define CONV_TAPS 8       // at most

// A variant is one instruction set's kernels. Every slot is filled; ref fills all with plain code.
struct cpu_variant {
    const char *name;
    bool (*supported)(void);
    // Bytes of a panel of 16 rows x cols; 0 where this type is used in its raw layout.
    int64_t (*panel_bytes)(enum infer_dtype t, int64_t cols);
    // Interleaves rows (<= 16; missing ones are zero) into a panel.
    void (*pack)(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel);
    // y[c*y_stride + r] = W[first_panel*16 + r] . x[c] for count panels and all columns. Rows past the matrix's end are
    // written as anything. scratch: product_scratch bytes.
    void (*product)(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y,
                    int64_t y_stride, uint8_t *scratch);
    int64_t (*product_scratch)(int64_t cols);
    void (*quantize32)(const float *x, int64_t n, struct act32 *out);
    void (*quantize256)(const float *x, int64_t n, struct act256 *out);
    // Products of many columns want them as tiles of 16, too. Bytes of a tile in a form, 0 for none; spread puts a column that is written into
    // its place, `at` in a batch. NULL: there are no tiles.
    int64_t (*tile_bytes)(enum act_form form, int64_t cols);
    void (*spread)(enum act_form form, const void *column, int64_t cols, int64_t at, uint8_t *tiles);
    void (*round_bf16)(const float *x, int64_t n, uint16_t *out); // NULL: no bf16 dot product, BF16 weights take f32 activations
    const struct cpu_variant *rounding_f16; // the same, but that F16 weights are rounded to bf16 for its sake; NULL: there is none
    bool rounds_f16;
    void (*finish)(const struct epilogue *e, int64_t row0, int64_t rows, const float *y, const float *y2, float *out, const float *residual);
    void (*norm)(const struct infer_op *op, int64_t width, const float *x, const float *weight, int64_t weight_step, const float *bias, float *out);
    void (*element)(const struct infer_op *op, int64_t n, const float *a, const float *b, bool broadcast, float *out);
    void (*rope)(const struct infer_op *op, const float *angles, float *x);
    void (*angles)(const float *freqs, int64_t n, int32_t position, float magnitude, float *out);
    void (*store_k)(const struct infer_cache_layer *l, uint8_t *page, int slot, const float *k);
    void (*store_v)(const struct infer_cache_layer *l, uint8_t *page, int slot, const float *v);
    void (*attention)(const struct attention_job *job);
    void (*attention_spans)(const struct attention_job *job, const float *partials, int64_t spans); // out from all spans' partials
    void (*recurrent)(const struct recurrent_job *job);
    void (*expert_sum)(int64_t n, int used, const float *y, int64_t y_stride, const float *weights, const float *residual, float *out);
    void (*mean)(int64_t n, int64_t rows, const float *x, int64_t stride, float *out);
    void (*softmax)(float *x, int64_t n); // in place
    void (*act)(int32_t act, const float *param, float *x, int64_t n); // in place; routers
};

// The reference product, for types that a variant has no kernel for.
void infer_ref_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch);

extern const struct cpu_variant infer_cpu_ref, infer_cpu_avx2, infer_cpu_avxvnni, infer_cpu_vnni256, infer_cpu_avx512, infer_cpu_avx512bf16, infer_cpu_amx, infer_cpu_neon, infer_cpu_neon_i8mm;

// The best variant this CPU has, or the one of that name; NULL where the name is unknown or not supported.
const struct cpu_variant *infer_cpu_variant(const char *name);

// Floats of scratch that an attention job needs.
int64_t infer_attention_scratch(const struct infer_cache_layer *l, int32_t query_rows);
// Floats that hold the result of one span for so many queries.
int64_t infer_attention_partials(const struct infer_cache_layer *l, int32_t queries);
#define INFER_ATTENTION_SPAN 256 // positions whose results one thread adds up before they merge
#define ATTENTION_TILE 64 // query rows (rows x heads) of one job at most, unless a group alone has more heads

// The form of activations that a variant multiplies rows of cols weights of a type by.
enum act_form infer_form_of(const struct cpu_variant *v, enum infer_dtype t, int64_t cols);
// Writes cols activations in a form; out: infer_act_bytes.
void infer_write_form(const struct cpu_variant *v, enum act_form form, const float *x, int64_t cols, void *out);
static inline bool is_quantized(enum act_form f) { return f == FORM_32 || f == FORM_256; }

// Floats of scratch that a recurrent op's jobs need; in: its inputs' tensors.
int64_t infer_recurrent_scratch(const struct infer_op *op, const struct infer_tensor *tensors);

// Threads: one team a device. run calls work(arg, thread) on the first `threads` of them and returns when all have returned.
#define MAX_THREADS 1024
struct team;
struct team *infer_team_open(int threads, const int32_t *cpus); // cpus: of each thread, or NULL. NULL: no memory, or the system refused a thread
void infer_team_close(struct team *t);
int infer_team_size(const struct team *t);
void infer_team_run(struct team *t, int threads, void (*work)(void *arg, int thread), void *arg);
// Whether threads give their cores back soon after a run, as callers want that use them until the next one.
void infer_team_spare(struct team *t, bool spare);
// Between threads inside of work. Who comes last calls last(arg) and then lets the others go; who waits calls idle(arg) meanwhile, until
// that returns false: each call takes far less than a microsecond. Both may be NULL.
void infer_team_barrier(struct team *t, void (*last)(void *arg), bool (*idle)(void *arg), void *arg);

#endif
