// kernels.h - the boundary between Go, which decides, and the backends, which compute.
//
// A plan is flat data: tensors, ops that refer to them by index, cache layers. It holds no pointers, is recorded once when
// a model opens, and serves prefill and decode alike: the number of rows comes with each batch. A backend is one struct of
// functions. Everything a backend receives has been checked in Go: offsets, sizes, shapes, page numbers.
//
// The structs below are mirrored in plan.go and device.go; sizes are compared when the package compiles.
#ifndef INFER_KERNELS_H
#define INFER_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define INFER_ABI 5
#define INFER_PAGE_TOKENS 32 // tokens a cache page holds
#define INFER_OP_INPUTS 7
#define INFER_OP_INTS 8
#define INFER_OP_FLOATS 4

enum infer_status {
    INFER_OK = 0,
    INFER_ERR_MEMORY = 1,      // an allocation failed
    INFER_ERR_UNSUPPORTED = 2, // the plan needs an op or data type that this backend lacks
    INFER_ERR_INVALID = 3,     // the plan or batch contradicts itself
    INFER_ERR_SYSTEM = 4,      // a thread or driver call failed
    INFER_ERR_CANCELLED = 5,   // the batch's cancel flag was raised
    INFER_ERR_ABSENT = 6,      // the machine has no such device
};

// What decides how many rows an activation has in a step.
enum infer_rows {
    INFER_ROWS_FIXED = 0,   // a weight or constant: rows are in the shape
    INFER_ROWS_BATCH = 1,   // one row for each token of the batch
    INFER_ROWS_WANTED = 2,  // one row for each token whose logits are wanted
    INFER_ROWS_EXPERTS = 3, // batch rows x experts used a token; row t*used + k
};

// A tensor is a weight (in an attached or allocated buffer) or an activation (buffer INFER_BUFFER_ACTIVATIONS, which the
// backend allocates by the plan's activation_bytes). Views are tensors of their own with the same base.
#define INFER_BUFFER_ACTIVATIONS (-1)
struct infer_tensor {
    int32_t buffer;       // index of an attached buffer, or INFER_BUFFER_ACTIVATIONS
    uint32_t dtype;       // enum infer_dtype (types.h), same numbers as GGUF
    uint32_t rows_kind;   // enum infer_rows
    int32_t base;         // index of the tensor that owns the memory; itself unless a view
    int64_t offset;       // bytes from the buffer's start
    int64_t stride;       // bytes from row to row
    int64_t cols;         // elements in a row: the innermost dimension
    int64_t rows;         // rows of a matrix; 1 for a vector; 0 for activations
    int64_t mats;         // matrices (experts, heads); 1 otherwise; matrix m starts at offset + m*mat_stride
    int64_t mat_stride;   // bytes from matrix to matrix
};

// Ops. x, y: activations; W: weights. An absent input is -1. "Row-local" ops touch only their own row.
enum infer_op_kind {
    // out[t] = W[index(t)] * f0. in: table. n0: 0 index by token id, 1 by position, 2 by token type. Row-local.
    INFER_OP_EMBED = 1,
    // out = norm(x) * weight + bias. in: x, weight?, bias?. n0: enum infer_norm, n1: groups a row (heads; 1 = whole row);
    // the weight has a group's width, or the whole row's (one weight a group). f0: epsilon. Row-local.
    INFER_OP_NORM = 2,
    // v = f0 * (W x + bias); v = act(v) [* (W2 x + bias2)]; out = v + residual.
    // in: x, W, bias?, residual?, W2?, bias2?. n0: enum infer_act, f1, f2, f3: its parameters. n1: 1 = fine: where x is
    // quantized it has a second term, the first one's rounding errors; only without W2.
    INFER_OP_MATMUL = 3,
    // out[t][h] = W[h] x[t][h]. in: x, W (mats = heads). n0: heads, n1: elements from head to head in x, n2: in out.
    INFER_OP_HEADS = 4,
    // out[t] = (cos, sin)(position * freq[i]) * f0, pairs. in: freqs (f32, one a rotated pair). Row-local.
    INFER_OP_ANGLES = 5,
    // Rotates heads in place: out = in0. in: x, angles. n0: heads, n1: elements from head to head, n2: rotated
    // elements a head, n3: enum infer_rope, n4: first rotated element of a head. Row-local.
    INFER_OP_ROPE = 6,
    // Writes k and v of each row into the cache pages. in: k, v? (absent: values are read from k). n0: cache layer. Row-local.
    INFER_OP_STORE = 7,
    // out = softmax(q K^T * f0 ...) V over the row's sequence, positions <= its own. in: q, sinks?. n0: cache layer,
    // n1: query heads, n2: window (0: all; w: positions > own - w), n3: first element of v in k (where v is absent).
    // f1: soft cap (0: none), f2: ALiBi maximum bias (0: none). q is [heads][k_dim], out [heads][v_dim].
    // n4: 1 = both ways: a row sees all positions of its sequence, which are in one batch (window w: those at most w/2 from
    // its own). n5: 1 = the window is a chunk: positions >= own - own % w.
    // in2: bias? [heads][2m+1] (f32): a score, after the scale and the cap, has bias[head][m + clamp(own - position, -m, m)] added.
    INFER_OP_ATTENTION = 8,
    // Chooses experts. in: router logits, selection bias?. out: ids (i32 [used]), out2: weights (f32 [used]).
    // n0: enum infer_gating, n1: used, n2: groups (0/1: none), n3: groups used, n4: 1 = weights normalised to sum 1.
    // f0: factor on the weights. Ties go to the lower id. Row-local.
    INFER_OP_ROUTE = 9,
    // As MATMUL with W[id]: rows_kind of out is EXPERTS; x has BATCH rows (shared by a token's experts) or EXPERTS rows.
    // in: x, W, bias? [experts][rows], ids, W2?, bias2?. n0: enum infer_act. No residual.
    INFER_OP_EXPERTS = 10,
    // out[t] = sum over k of weights[t][k] * y[t*used+k], k ascending, + residual. in: y, weights, residual?. Row-local.
    INFER_OP_EXPERT_SUM = 11,
    // Elementwise. in: a, b?. n0: enum infer_element, n1: enum infer_act. f0, f1: parameters; an act's are f1, f2, f3. b may be a
    // weight, an f32 vector: the same for all rows. Row-local.
    INFER_OP_ELEMENT = 12,
    // out[h] = in[h] for n0 heads of n1 elements; n2, n3: elements from head to head in in and out (0: broadcast). Row-local.
    INFER_OP_COPY = 13,
    // out[w] = x[wanted[w]]. Ends the BATCH rows.
    INFER_OP_GATHER = 14,
    // Recurrent ops walk a sequence's rows in order. Their state lies in a cache layer n0 whose pages are slots: they begin with what
    // the sequence's read slot holds (zeros where it has none) and leave the state after its last row in the write slot. Where the table
    // has m slots behind that one, the last m rows are guesses: the state before them goes to the write slot, and the state after
    // each of them to the next slot.
    //
    // out[t][c] = act(bias[c] + sum over k of W[k][c] x[t-taps+1+k][c]), k ascending. in: x, W [taps][channels], bias?.
    // n1: enum infer_act, n2: taps. State: [taps-1][channels], the last inputs, oldest first.
    INFER_OP_CONV = 15,
    // Mamba 1. d = softplus(dt[t][c]); h[s][c] = h[s][c] exp(d A[s][c]) + d x[t][c] B[t][s];
    // out[t][c] = sum over s of h[s][c] C[t][s] + D[c] x[t][c], s ascending. in: x, dt, B, C, A [states][channels], D.
    // n1: states. State: [states][channels].
    INFER_OP_SCAN = 16,
    // Mamba 2: a decay a head. d = softplus(dt[t][h] + bias[h]); S[p][s] = S[p][s] exp(d A[h]) + d x[t][h][p] B[t][g][s];
    // out[t][h][p] = sum over s of S[p][s] C[t][g][s] + D[h] x[t][h][p], s ascending; g = h / (heads/groups).
    // in: x, dt, B, C, A, D, bias. n1: heads, n2: groups, n3: states. State: [heads][p/16][states][16].
    INFER_OP_HEAD_SCAN = 17,
    // Gated delta rule. g = exp(A[h] softplus(a[t][h] + bias[h])), b = sigmoid(beta[t][h]); S = g S; S += k (b (v - S^T k))^T;
    // out[t][h] = f0 S^T q. in: q, k [key heads][k_dim], v [heads][v_dim], a, beta, A, bias. n1: heads, n2: key heads, n3: 0 = heads
    // that follow each other share a key head (h / (heads/key heads)), 1 = h % key heads. State: [heads][v/16][k_dim][16].
    INFER_OP_DELTA = 18,
    // A decay for each element of a key, and a correction of rank one (RWKV 6 and 7, Kimi Linear). S is the state before the row;
    // S' = diag(e^w[t][h]) S - b[t][h] (S^T a[t][h])^T + k[t][h] v[t][h]^T; out[t][h] = S'^T r[t][h]. in: r, w, k [heads][k_dim],
    // v [heads][v_dim], a?, b? [heads][k_dim] (both or neither). n1: heads, n2: 1 = out[t][h] = S^T r[t][h]. State: [heads][v/16][k_dim][16].
    INFER_OP_WKV = 19,
    // 20..23: reserved for recurrent layers.
    // out[w] = mean of x over all rows of the batch that belong to wanted[w]'s sequence, added in their order. in: x.
    INFER_OP_POOL = 24,
    // out = softmax(x) over the row. in: x. Row-local.
    INFER_OP_SOFTMAX = 25,
    // out[t] = x[t-1]; of a sequence's first row in the batch what the batch carries for the sequence, zeros where that is nothing. in: x.
    // The first op of the feed: x is the plan's hidden state.
    INFER_OP_PREVIOUS = 26,
};

enum infer_norm { INFER_NORM_RMS = 0, INFER_NORM_LAYER = 1, INFER_NORM_L2 = 2 /* x / sqrt(sum x^2 + f0) */ };
enum infer_rope { INFER_ROPE_PAIRS = 0 /* (0,1),(2,3)... */, INFER_ROPE_HALVES = 1 /* (i, i+n/2) */ };
enum infer_act {
    INFER_ACT_NONE = 0,
    INFER_ACT_SILU = 1,
    INFER_ACT_GELU = 2,       // tanh form
    INFER_ACT_GELU_ERF = 3,   // exact form
    INFER_ACT_GELU_QUICK = 4, // x * sigmoid(1.702 x)
    INFER_ACT_RELU = 5,
    INFER_ACT_RELU_SQUARED = 6,
    INFER_ACT_SIGMOID = 7,
    INFER_ACT_TANH = 8,
    INFER_ACT_SOFTCAP = 9,    // f1 * tanh(x / f1)
    INFER_ACT_SWIGLU_OAI = 10, // gpt-oss: g = min(x, f1), u = clamp(second, -f1, f1): g * sigmoid(f2 g) * (u + 1)
    INFER_ACT_XIELU = 11,     // x > 0: f1 x^2 + f3 x; else f2 (e^x - 1 - x) + f3 x
    INFER_ACT_SOFTPLUS = 12,  // ln(1 + e^x)
    INFER_ACT_EXP = 13,       // e^x
};
enum infer_gating { INFER_GATE_SOFTMAX = 0, INFER_GATE_SIGMOID = 1, INFER_GATE_SOFTMAX_CHOSEN = 2 /* softmax after the choice */ };
enum infer_element {
    INFER_EL_ADD = 0,     // a*f0 + b*f1
    INFER_EL_MUL = 1,     // a * b * f0; b may have one column: it is broadcast
    INFER_EL_ACT = 2,     // act(a * f0), act by n1
    INFER_EL_ACT_MUL = 3, // act(a * f0) * b; b may have one column
    INFER_EL_CLAMP = 4,   // f0 <= a <= f1
    INFER_EL_MUL_ACT = 5, // a * act(b); b may have one column: the gate of a shared expert
};

struct infer_op {
    uint32_t kind;                // enum infer_op_kind
    int32_t layer;                // of the model, -1 outside; for messages
    int32_t out, out2;            // tensor indices, -1 absent
    int32_t in[INFER_OP_INPUTS];  // tensor indices, -1 absent
    int32_t n[INFER_OP_INTS];
    float f[INFER_OP_FLOATS];
    int32_t reserved;
};

// One layer's part of the cache. A page of an attention layer holds INFER_PAGE_TOKENS tokens:
// K as [heads][k_dim][tokens] (scores read it in order), then V as [heads][tokens][v_dim] unless v_dim is 0.
// A page of a recurrent layer is a slot: its op's state of one sequence, heads x k_dim F32 with v_dim and v_width 0.
struct infer_cache_layer {
    uint32_t dtype;      // F32, F16 or Q8_0: of each 32 values of a head the largest, divided by 127, is their scale
    uint32_t kind;       // which of a sequence's page tables this layer uses
    int32_t heads, k_dim, v_dim;
    int32_t v_width;     // width of the values that attention returns: v_dim, or the part of k that serves as v
    int64_t offset;      // bytes from the cache buffer's start to its part of page 0
    int64_t page_bytes;  // of its part of a page
    int64_t page_stride; // bytes from page to page: the parts of a kind's layers lie side by side
};

struct infer_plan {
    const struct infer_tensor *tensors;
    const struct infer_op *ops;
    const struct infer_cache_layer *cache;
    int32_t tensor_count, op_count, cache_count;
    int32_t logits;            // tensor with WANTED rows that run() returns
    // A plan may have a predictor that predicts a token further: ops [0, feed_op) are the model, [feed_op, predict_op) put into its
    // cache layer what a row adds to it, and [predict_op, op_count) are its rest. Without a predictor both are op_count.
    int32_t feed_op, predict_op;
    int32_t hidden, predict_logits, predict_hidden; // BATCH, WANTED and BATCH rows; -1 where there are none
    int32_t experts_used;      // experts a token, 0 without experts
    int32_t max_rows, max_wanted;
    int64_t activation_bytes;
    int64_t cache_bytes;
};

// Which part of a plan with a predictor a run computes.
enum infer_part {
    INFER_PART_MODEL = 0, // the model alone
    INFER_PART_FEED = 1,  // the model, then the feed of the same rows: a row's token with the hidden state of the row before it
    INFER_PART_PREDICT = 2, // the feed and the predictor, one row a sequence, each with the hidden state that the batch carries
};

// One step's rows. Rows of a sequence are consecutive, positions ascending by one.
struct infer_batch {
    const int32_t *ids;        // [rows]
    const int32_t *positions;  // [rows]
    const int32_t *sequences;  // [rows] index into pages
    const int32_t *types;      // [rows] token types; NULL: all 0
    const int32_t *pages;      // [kinds][sequences][table_pages] page numbers; -1 where given back. Of a kind of recurrent layers: the
                               // slot to read, -1 at a sequence's beginning, and the slots to write, which nobody else has
    const int32_t *wanted;     // [wanted_count] row indices, ascending
    const int32_t *cancel;     // raised to non-zero by another thread to abandon the step; may be NULL
    const float *carry;        // [sequences][width of hidden states]: those of the rows before each sequence's first one; NULL: zeros
    int32_t rows, sequence_count, table_pages, wanted_count;
    int32_t part;              // enum infer_part
    int32_t keeps;             // 1: the three below are there
    // For backends that select (see infer_backend); else all rows are wanted whole.
    const int32_t *keep;       // [wanted_count] how many of the row's largest logits are returned instead of the row; 0: the row is wanted whole
    const int32_t *also_first; // [wanted_count+1] where each row's part of also begins
    const int32_t *also;       // token ids whose logits are returned, too; with keep at most INFER_KEEP_MOST a row
};

#define INFER_KEEP_MOST 1024
struct infer_kept {
    float logit;
    int32_t id;
};

// What a run returns, valid until the next one.
struct infer_result {
    const float *logits; // of the part that ran, row 0; NULL: none
    const float *hidden; // the same; the rows of a tensor are its stride apart
    // Of wanted row w from w * kept_stride on: the `keep` largest logits, those that are equal by ascending id; then those of `also`, in its order. Where
    // the row has a NaN or positive infinity, the first of these comes first in place of the largest. NULL: nothing was to be kept.
    const struct infer_kept *kept;
    int32_t kept_stride;
};

struct infer_options {
    int32_t threads;       // 0: one a core
    int32_t repack;        // 1: weights are interleaved at prepare; 0: used as they lie in the file
    int32_t round_f16;     // 1: F16 weights may be rounded to bf16, where that is faster; not the definition's bits
    const char *variant;   // instruction set by name; NULL or "": the best this CPU has
    int64_t fail_allocation; // tests: the n-th allocation or thread start fails; 0: none
    const int32_t *cpus;   // [threads] the processor that each thread is bound to, but the first, which is the caller; NULL: none is
    int32_t card;          // of several GPUs, from 0
};

struct infer_timing { int64_t ops_ns[32]; }; // time by op kind, of the first thread, since the device opened

// What a card was measured to reach, a second.
struct infer_card_peaks {
    double read_bytes, copy_bytes; // of its memory; a copied byte counts twice
    double int8_multiply_adds, half_multiply_adds; // of its matrix units, from registers
};

struct infer_backend {
    uint32_t abi;
    const char *name;
    int (*open)(const struct infer_options *options, void **device);
    void (*close)(void *device);
    // Registers host memory that outlives the device; read only. mapped: it is a file's mapping, whose pages the backend may give
    // back to the system when it has copies of its own.
    int (*attach)(void *device, const void *data, int64_t bytes, int32_t mapped, int32_t *buffer);
    int (*prepare)(void *device, const struct infer_plan *plan);
    int (*run)(void *device, const struct infer_batch *batch, struct infer_result *result);
    int (*read_tensor)(void *device, int32_t tensor, int64_t row, float *out); // an activation's row, after run; for tests
    const char *(*last_error)(void *device);
    const char *(*describe)(void *device); // variant and threads, for people
    void (*timing)(void *device, struct infer_timing *out);
    int (*copy_page)(void *device, int32_t kind, int32_t from, int32_t to); // all layers of a kind
    // A page to and from host memory: its layers one after the other in the plan's order, page_bytes each.
    int (*read_page)(void *device, int32_t kind, int32_t page, void *out);
    int (*write_page)(void *device, int32_t kind, int32_t page, const void *data);
    // Bytes of the device's own memory, for plans; NULL: it computes in the host's.
    int (*memory)(void *device, int64_t *available, int64_t *total);
    int (*peaks)(void *device, struct infer_card_peaks *out); // NULL where memory is
    int32_t selects; // 1: the batch's keep is heeded
};

const struct infer_backend *infer_cpu_backend(void);

#endif
