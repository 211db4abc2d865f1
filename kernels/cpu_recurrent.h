// cpu_recurrent.h - recurrent ops over vectors of 16 lanes. Each variant file includes a simd_*.h, then this.
//
// Lanes are channels, or the elements of a head's values: every lane walks its own recurrence, row after row. A state's
// element depends on rows in their order and on nothing else, so that any cut of a sequence into steps gives the same bits;
// how many rows, lanes or states are worked on together is a matter of speed alone.
#ifndef INFER_CPU_RECURRENT_H
#define INFER_CPU_RECURRENT_H

#include "cpu_math.h"

#ifndef SCAN_STATES
#define SCAN_STATES 4 // rows of a head's state that stay in registers while rows of the batch pass: 8 halves with 16 registers
#endif

#define ALWAYS static inline __attribute__((always_inline))

#ifndef V_STREAM
static inline void v_stream(float *p, v16 a) { v_store(p, a); }
static inline void v_streamed(void) {}
#endif

// Whether a state that is written once goes past the caches: it is read again a token later, when all of the model's weights have passed
// through them; and to overwrite a line, caches read it first, a third of the state's traffic.
static inline bool past_caches(const struct recurrent_job *j, int64_t rows) { return j->rows <= rows && j->read && !j->again && (uintptr_t)j->write % 64 == 0; }

static inline int lanes_left(int64_t n) { return n < 16 ? (int)n : 16; }

// ---- convolution ----

// Row t of the input, t from -(taps-1): rows before the first are the state's.
static inline const float *conv_row(const struct recurrent_job *j, int64_t taps, int64_t t, int64_t channel)
{
    if (t >= 0)
        return j->in[0] + t * j->in_stride[0] + channel;
    return j->read ? j->read + (t + taps - 1) * j->out_cols + channel : j->scratch;
}

static void rows_conv(const struct recurrent_job *j)
{
    int64_t channels = j->out_cols, taps = j->op->n[2], first = j->unit * RECURRENT_CHANNELS;
    int64_t width = channels - first < RECURRENT_CHANNELS ? channels - first : RECURRENT_CHANNELS;
    const float *w = j->in[1] + first, *bias = j->in[2] ? j->in[2] + first : NULL;
    for (int i = 0; i < RECURRENT_CHANNELS; i += 16)
        v_store(j->scratch + i, v_set1(0)); // the rows before a sequence's first
    for (int64_t t = 0; t < j->rows; t++) {
        const float *x[CONV_TAPS];
        for (int64_t k = 0; k < taps; k++)
            x[k] = conv_row(j, taps, t - taps + 1 + k, first);
        float *out = j->out + t * j->out_stride + first;
        for (int64_t c = 0; c < width; c += 16) {
            int n = lanes_left(width - c);
            v16 sum = bias ? v_load_n(bias + c, n) : v_set1(0);
            for (int64_t k = 0; k < taps; k++)
                sum = v_fma(v_load_n(w + k * channels + c, n), v_load_n(x[k] + c, n), sum);
            v_store_n(out + c, v_act(j->op->n[1], sum, j->op->f + 1), n);
        }
    }
    for (int64_t k = 0; k < taps - 1; k++)
        memcpy(j->write + k * channels + first, conv_row(j, taps, j->rows - taps + 1 + k, first), (size_t)width * 4);
}

// ---- Mamba 1 ----

static void scan_channels(const struct recurrent_job *j, int64_t first, int n)
{
    enum { X, DT, B, C, A, D };
    int64_t states = j->op->n[1], channels = j->out_cols;
    float *h = j->scratch; // [states][16]
    for (int64_t s = 0; s < states; s++)
        v_store(h + 16 * s, j->read ? v_load_n(j->read + s * channels + first, n) : v_set1(0));
    v16 skip = v_load_n(j->in[D] + first, n);
    for (int64_t t = 0; t < j->rows; t++) {
        const float *b = j->in[B] + t * j->in_stride[B], *c = j->in[C] + t * j->in_stride[C], *a = j->in[A] + first;
        v16 x = v_load_n(j->in[X] + t * j->in_stride[X] + first, n);
        v16 step = v_softplus(v_load_n(j->in[DT] + t * j->in_stride[DT] + first, n));
        v16 input = v_mul(step, x), sum = v_set1(0);
        for (int64_t s = 0; s < states; s++) {
            v16 decay = v_exp(v_mul(step, v_load_n(a + s * channels, n)));
            v16 state = v_fma(v_load(h + 16 * s), decay, v_mul(input, v_set1(b[s])));
            v_store(h + 16 * s, state);
            sum = v_fma(state, v_set1(c[s]), sum);
        }
        v_store_n(j->out + t * j->out_stride + first, v_fma(skip, x, sum), n);
    }
    for (int64_t s = 0; s < states; s++)
        v_store_n(j->write + s * channels + first, v_load(h + 16 * s), n);
}

static void rows_scan(const struct recurrent_job *j)
{
    int64_t first = j->unit * RECURRENT_CHANNELS, end = first + RECURRENT_CHANNELS < j->out_cols ? first + RECURRENT_CHANNELS : j->out_cols;
    for (int64_t c = first; c < end; c += 16)
        scan_channels(j, c, lanes_left(end - c));
}

// ---- heads ----

// softplus(x[t][h] + bias[h]) of up to RECURRENT_ROWS rows, a row a lane.
static v16 head_steps(const struct recurrent_job *j, int input, int bias, int64_t head, int64_t t, int rows)
{
    float x[16] = {0};
    for (int i = 0; i < rows; i++)
        x[i] = j->in[input][(t + i) * j->in_stride[input] + head];
    return v_softplus(v_add(v_load(x), v_set1(j->in[bias][head])));
}

// Copies n floats and fills up the last vector with zeros.
static void copy_padded(float *to, const float *from, int64_t n)
{
    for (int64_t i = 0; i < n; i += 16)
        v_store(to + i, v_load_n(from + i, lanes_left(n - i)));
}

// ---- Mamba 2 ----

// Rows of a head that are worked on together, gathered.
struct head_rows {
    int count;
    int64_t width, states; // width: whole vectors
    float decay[RECURRENT_ROWS];
    float *x, *y;          // [count][width]: the step's input, d x; results
    const float *b, *c;    // [count][states]
    bool stream;           // the state goes past the caches
};

// Passes the rows through `depth` rows of the state, from [s][lanes] of one vector of values.
ALWAYS void scan_states(const struct head_rows *r, int64_t value, int64_t s, int depth, const float *read, float *write)
{
    v16 h[SCAN_STATES];
    for (int i = 0; i < depth; i++)
        h[i] = read ? v_load(read + 16 * i) : v_set1(0);
    for (int t = 0; t < r->count; t++) {
        const float *b = r->b + t * r->states + s, *c = r->c + t * r->states + s;
        float *y = r->y + t * r->width + value;
        v16 decay = v_set1(r->decay[t]), x = v_load(r->x + t * r->width + value), sum = v_load(y);
        for (int i = 0; i < depth; i++) {
            h[i] = v_fma(h[i], decay, v_mul(x, v_set1(b[i])));
            sum = v_fma(h[i], v_set1(c[i]), sum);
        }
        v_store(y, sum);
    }
    for (int i = 0; i < depth; i++) {
        if (r->stream)
            v_stream(write + 16 * i, h[i]);
        else
            v_store(write + 16 * i, h[i]);
    }
}

static void scan_head_rows(const struct head_rows *r, const float *read, float *write)
{
    for (int64_t value = 0; value < r->width; value += 16) {
        int64_t at = value * r->states, s = 0;
        for (; s + SCAN_STATES <= r->states; s += SCAN_STATES)
            scan_states(r, value, s, SCAN_STATES, read ? read + at + 16 * s : NULL, write + at + 16 * s);
        for (; s < r->states; s++)
            scan_states(r, value, s, 1, read ? read + at + 16 * s : NULL, write + at + 16 * s);
    }
}

static void rows_head_scan(const struct recurrent_job *j)
{
    enum { X, DT, B, C, A, D, BIAS };
    int64_t heads = j->op->n[1], head = j->unit, states = j->op->n[3], width = j->out_cols / heads, group = head / (heads / j->op->n[2]);
    struct head_rows r = {.width = (width + 15) / 16 * 16, .states = states, .x = j->scratch,
        .stream = past_caches(j, RECURRENT_ROWS)};
    r.y = r.x + RECURRENT_ROWS * r.width;
    float *b = r.y + RECURRENT_ROWS * r.width, *c = b + RECURRENT_ROWS * states;
    r.b = b;
    r.c = c;
    const float *read = j->read ? j->read + head * r.width * states : NULL;
    float *write = j->write + head * r.width * states;
    v16 skip = v_set1(j->in[D][head]);
    for (int64_t t = 0; t < j->rows; t += RECURRENT_ROWS) {
        float steps[16];
        r.count = lanes_left(j->rows - t);
        v16 step = head_steps(j, DT, BIAS, head, t, r.count);
        v_store(steps, step);
        v_store(r.decay, v_exp(v_mul(step, v_set1(j->in[A][head]))));
        for (int i = 0; i < r.count; i++) {
            const float *x = j->in[X] + (t + i) * j->in_stride[X] + head * width;
            for (int64_t p = 0; p < width; p += 16) {
                v_store(r.x + i * r.width + p, v_mul(v_set1(steps[i]), v_load_n(x + p, lanes_left(width - p))));
                v_store(r.y + i * r.width + p, v_set1(0));
            }
            memcpy(b + i * states, j->in[B] + (t + i) * j->in_stride[B] + group * states, (size_t)states * 4);
            memcpy(c + i * states, j->in[C] + (t + i) * j->in_stride[C] + group * states, (size_t)states * 4);
        }
        scan_head_rows(&r, read, write);
        read = write;
        for (int i = 0; i < r.count; i++) {
            const float *x = j->in[X] + (t + i) * j->in_stride[X] + head * width;
            float *out = j->out + (t + i) * j->out_stride + head * width;
            for (int64_t p = 0; p < width; p += 16) {
                int n = lanes_left(width - p);
                v_store_n(out + p, v_fma(skip, v_load_n(x + p, n), v_load(r.y + i * r.width + p)), n);
            }
        }
    }
    if (r.stream)
        v_streamed();
}

// ---- gated delta rule ----

struct delta_row {
    const float *q, *k;       // [keys]
    float decay, beta, qk;    // qk = q . k
};

// What the state gives for k and q before a row changes it: sums over even and over odd keys, added at the end.
ALWAYS void delta_read(const struct delta_row *r, int64_t keys, const float *state, v16 *for_k, v16 *for_q)
{
    v16 k0 = v_set1(0), k1 = k0, q0 = k0, q1 = k0;
    int64_t i = 0;
    for (; i + 2 <= keys; i += 2) {
        v16 s0 = v_load(state + 16 * i), s1 = v_load(state + 16 * i + 16);
        k0 = v_fma(s0, v_set1(r->k[i]), k0);
        q0 = v_fma(s0, v_set1(r->q[i]), q0);
        k1 = v_fma(s1, v_set1(r->k[i + 1]), k1);
        q1 = v_fma(s1, v_set1(r->q[i + 1]), q1);
    }
    if (i < keys) {
        v16 s = v_load(state + 16 * i);
        k0 = v_fma(s, v_set1(r->k[i]), k0);
        q0 = v_fma(s, v_set1(r->q[i]), q0);
    }
    *for_k = v_add(k0, k1);
    *for_q = v_add(q0, q1);
}

// One row through a vector of values: returns what q reads from the new state, S'^T q = g S^T q + d (k.q), where d = b (v - g S^T k).
ALWAYS v16 delta_step(const struct delta_row *r, int64_t keys, v16 value, const float *read, float *write, bool stream)
{
    v16 decay = v_set1(r->decay), for_k, for_q;
    delta_read(r, keys, read, &for_k, &for_q);
    v16 change = v_mul(v_sub(value, v_mul(decay, for_k)), v_set1(r->beta));
    for (int64_t i = 0; i < keys; i++) {
        v16 state = v_fma(v_set1(r->k[i]), change, v_mul(v_load(read + 16 * i), decay));
        if (stream)
            v_stream(write + 16 * i, state);
        else
            v_store(write + 16 * i, state);
    }
    return v_fma(change, v_set1(r->qk), v_mul(decay, for_q));
}

static float dot_product(const float *a, const float *b, int64_t n)
{
    v16 sum = v_set1(0);
    for (int64_t i = 0; i < n; i += 16)
        sum = v_fma(v_load(a + i), v_load(b + i), sum);
    return v_sum(sum);
}

static void rows_delta(const struct recurrent_job *j)
{
    enum { Q, K, V, DECAY, BETA, A, BIAS };
    int64_t heads = j->op->n[1], head = j->unit, key_heads = j->op->n[2], keys = j->in_cols[K] / key_heads, width = j->out_cols / heads;
    int64_t key_head = j->op->n[3] ? head % key_heads : head / (heads / key_heads), padded = (keys + 15) / 16 * 16, whole = (width + 15) / 16 * 16;
    const float *read = j->read ? j->read + head * whole * keys : NULL;
    float *write = j->write + head * whole * keys, *q = j->scratch, *k = q + RECURRENT_ROWS * padded;
    v16 scale = v_set1(j->op->f[0]);
    bool stream = past_caches(j, 1);
    if (!read) {
        memset(write, 0, (size_t)(whole * keys) * 4);
        read = write;
    }
    for (int64_t t = 0; t < j->rows; t += RECURRENT_ROWS) {
        int count = lanes_left(j->rows - t);
        struct delta_row rows[RECURRENT_ROWS];
        float decay[16], beta[16] = {0};
        v_store(decay, v_exp(v_mul(head_steps(j, DECAY, BIAS, head, t, count), v_set1(j->in[A][head]))));
        for (int i = 0; i < count; i++)
            beta[i] = j->in[BETA][(t + i) * j->in_stride[BETA] + head];
        v_store(beta, v_sigmoid(v_load(beta)));
        for (int i = 0; i < count; i++) {
            rows[i] = (struct delta_row){q + i * padded, k + i * padded, decay[i], beta[i], 0};
            copy_padded(q + i * padded, j->in[Q] + (t + i) * j->in_stride[Q] + key_head * keys, keys);
            copy_padded(k + i * padded, j->in[K] + (t + i) * j->in_stride[K] + key_head * keys, keys);
            rows[i].qk = dot_product(rows[i].q, rows[i].k, padded);
        }
        for (int64_t p = 0; p < width; p += 16) {
            const float *from = read + p * keys;
            float *to = write + p * keys;
            int n = lanes_left(width - p);
            for (int i = 0; i < count; i++) {
                v16 value = v_load_n(j->in[V] + (t + i) * j->in_stride[V] + head * width + p, n);
                v16 y = delta_step(&rows[i], keys, value, from, to, stream);
                v_store_n(j->out + (t + i) * j->out_stride + head * width + p, v_mul(y, scale), n);
                from = to;
            }
        }
        read = write;
    }
    if (stream)
        v_streamed();
}

// ---- a decay a key element, and a correction of rank one ----

struct wkv_row {
    const float *r, *decay, *k, *a, *b; // [keys]; a, b: NULL without a correction
};

// S^T x: sums over even and over odd keys, added at the end.
ALWAYS v16 wkv_read(const float *state, const float *x, int64_t keys)
{
    v16 even = v_set1(0), odd = even;
    int64_t i = 0;
    for (; i + 2 <= keys; i += 2) {
        even = v_fma(v_load(state + 16 * i), v_set1(x[i]), even);
        odd = v_fma(v_load(state + 16 * i + 16), v_set1(x[i + 1]), odd);
    }
    if (i < keys)
        even = v_fma(v_load(state + 16 * i), v_set1(x[i]), even);
    return v_add(even, odd);
}

// One row through a vector of values; a row's result is read from the state that it leaves unless `before`.
ALWAYS v16 wkv_step(const struct wkv_row *w, int64_t keys, v16 value, const float *read, float *write, bool before)
{
    v16 seen = before ? wkv_read(read, w->r, keys) : v_set1(0);
    v16 correction = w->a ? v_sub(v_set1(0), wkv_read(read, w->a, keys)) : v_set1(0);
    for (int64_t i = 0; i < keys; i++) {
        v16 state = v_fma(v_set1(w->k[i]), value, v_mul(v_load(read + 16 * i), v_set1(w->decay[i])));
        if (w->b)
            state = v_fma(v_set1(w->b[i]), correction, state);
        v_store(write + 16 * i, state);
    }
    return before ? seen : wkv_read(write, w->r, keys);
}

static void rows_wkv(const struct recurrent_job *j)
{
    enum { R, W, K, V, A, B };
    int64_t heads = j->op->n[1], head = j->unit, keys = j->in_cols[K] / heads, width = j->out_cols / heads;
    int64_t padded = (keys + 15) / 16 * 16, whole = (width + 15) / 16 * 16;
    bool before = j->op->n[2] == 1;
    const float *read = j->read ? j->read + head * whole * keys : NULL;
    float *write = j->write + head * whole * keys;
    if (!read) {
        memset(write, 0, (size_t)(whole * keys) * 4);
        read = write;
    }
    for (int64_t t = 0; t < j->rows; t += RECURRENT_ROWS) {
        int count = lanes_left(j->rows - t);
        struct wkv_row rows[RECURRENT_ROWS];
        for (int i = 0; i < count; i++) {
            const float *in[6];
            for (int n = 0; n < 6; n++)
                in[n] = j->in[n] ? j->in[n] + (t + i) * j->in_stride[n] + head * keys : NULL;
            float *decay = j->scratch + i * padded;
            for (int64_t p = 0; p < keys; p += 16)
                v_store(decay + p, v_exp(v_load_n(in[W] + p, lanes_left(keys - p))));
            rows[i] = (struct wkv_row){in[R], decay, in[K], in[A], in[B]};
        }
        for (int64_t p = 0; p < width; p += 16) {
            const float *from = read + p * keys;
            float *to = write + p * keys;
            int n = lanes_left(width - p);
            for (int i = 0; i < count; i++) {
                v16 value = v_load_n(j->in[V] + (t + i) * j->in_stride[V] + head * width + p, n);
                v_store_n(j->out + (t + i) * j->out_stride + head * width + p, wkv_step(&rows[i], keys, value, from, to, before), n);
                from = to;
            }
        }
        read = write;
    }
}

static void rows_recurrent(const struct recurrent_job *j)
{
    switch (j->op->kind) {
    case INFER_OP_CONV: rows_conv(j); break;
    case INFER_OP_SCAN: rows_scan(j); break;
    case INFER_OP_HEAD_SCAN: rows_head_scan(j); break;
    case INFER_OP_WKV: rows_wkv(j); break;
    default: rows_delta(j); break;
    }
}

#endif
