// cpu_rows.h - the row-local ops, and everything around products, over vectors of 16 lanes. Each variant file includes a
// simd_*.h, then this; the functions are static, and CPU_ROWS fills the variant's slots with them.

#include "cpu_math.h"

// Activations for weights with a scale every 32. The plain scale, highest/127, is one of many that are about as fine; of
// CANDIDATES scales the one with the least squared rounding error is taken, which lowers the error of a product by a tenth.
// The search runs in exact integers: x in 15 bits, the candidate in 1/256 steps, the error of rounding in 1/4096.
//
// Blocks whose highest value is below LEAST_HIGHEST count as zeros: its inverse would be infinite, and what it gives is no number
// of steps. So do blocks without a highest value, which hold what is not a number.
#define LEAST_HIGHEST 0x1p-100f
#define CANDIDATES 16
#define CANDIDATE_FIRST 32512 // 127 steps, in 1/256
#define CANDIDATE_STEP 179

static int32_t best_candidate(const int16_t x[32])
{
    int32_t best = CANDIDATE_FIRST;
    float least = INFINITY;
    for (int i = 0; i < CANDIDATES; i++) {
        int32_t c = CANDIDATE_FIRST - i * CANDIDATE_STEP, sum = 0;
        for (int j = 0; j < 32; j++) {
            int32_t scaled = (x[j] * c + 0x4000) >> 15;
            int32_t error = (int16_t)(uint16_t)((uint32_t)scaled << 8) >> 4;
            sum += error * error;
        }
        float cost = (float)sum / ((float)c * (float)c);
        if (cost < least) {
            least = cost;
            best = c;
        }
    }
    return best;
}

static inline void rows_quantize32(const float *x, int64_t n, struct act32 *out)
{
    for (int64_t b = 0; b < n / 32; b++, x += 32, out++) {
        v16 lo = v_load(x), hi = v_load(x + 16);
        float highest = v_highest(v_max(v_abs(lo), v_abs(hi))), steps = 127, rounded[32];
        if (highest >= LEAST_HIGHEST) {
            int16_t fine[32];
            v16 scale = v_set1(32767.0f / highest);
            v_store(rounded, v_round(v_mul(lo, scale)));
            v_store(rounded + 16, v_round(v_mul(hi, scale)));
            for (int i = 0; i < 32; i++)
                fine[i] = (int16_t)(int32_t)rounded[i];
            steps = (float)best_candidate(fine) * (1.0f / 256);
        }
        out->d = highest / steps;
        v16 inverse = v_set1(highest >= LEAST_HIGHEST ? steps / highest : 0.0f);
        v_store(rounded, v_round(v_mul(lo, inverse)));
        v_store(rounded + 16, v_round(v_mul(hi, inverse)));
        int32_t sum = 0;
        for (int i = 0; i < 32; i++) {
            out->q[i] = (int8_t)(int32_t)rounded[i];
            sum += out->q[i];
        }
        out->bias = -128 * sum;
        out->ds = out->d * (float)sum;
    }
}

static inline void rows_quantize256(const float *x, int64_t n, struct act256 *out)
{
    for (int64_t b = 0; b < n / 256; b++, x += 256, out++) {
        float sums[16], highest_sum = 0;
        for (int g = 0; g < 4; g++) {
            v16 most = v_set1(0);
            for (int i = 0; i < 64; i += 16)
                most = v_max(v_abs(v_load(x + 64 * g + i)), most);
            float highest = v_highest(most);
            out->d[g] = highest / 127.0f;
            v16 inverse = v_set1(highest >= LEAST_HIGHEST ? 127.0f / highest : 0.0f);
            for (int j = 4 * g; j < 4 * g + 4; j++) {
                float rounded[16];
                v_store(rounded, v_round(v_mul(v_load(x + 16 * j), inverse)));
                int32_t sum = 0;
                for (int i = 0; i < 16; i++) {
                    int8_t q = (int8_t)(int32_t)rounded[i];
                    out->q[16 * j + i] = q;
                    sum += q;
                }
                out->bias16[j] = -128 * sum;
                sums[j] = out->d[g] * (float)sum;
            }
        }
        for (int j = 0; j < 8; j++) { // sums of 32 are the largest up to a factor of two, which the scale leaves room for
            float even = fabsf(sums[2 * j]), odd = fabsf(sums[2 * j + 1]);
            highest_sum = even > highest_sum ? even : highest_sum;
            highest_sum = odd > highest_sum ? odd : highest_sum;
        }
        out->ds = highest_sum / 16383.0f;
        float inverse = highest_sum >= LEAST_HIGHEST ? 16383.0f / highest_sum : 0.0f;
        for (int j = 0; j < 16; j++)
            out->sum16[j] = (int16_t)(int32_t)(((sums[j] * inverse) + 12582912.0f) - 12582912.0f);
        for (int j = 0; j < 8; j++) {
            out->sum32[j] = (int16_t)(out->sum16[2 * j] + out->sum16[2 * j + 1]);
            out->bias32[j] = out->bias16[2 * j] + out->bias16[2 * j + 1];
        }
    }
}

static void rows_finish(const struct epilogue *e, int64_t row0, int64_t rows, const float *y, const float *y2, float *out, const float *residual)
{
    for (int64_t i = 0; i < rows; i += 16) {
        int n = rows - i < 16 ? (int)(rows - i) : 16;
        v16 v = v_load_n(y + i, n);
        if (e->bias)
            v = v_add(v, v_load_n(e->bias + row0 + i, n));
        if (e->scale != 1.0f)
            v = v_mul(v, v_set1(e->scale));
        if (e->gated) {
            v16 u = v_load_n(y2 + i, n);
            if (e->bias2)
                u = v_add(u, v_load_n(e->bias2 + row0 + i, n));
            v = v_gate(e->act, v, u, e->param);
        } else {
            v = v_act(e->act, v, e->param);
        }
        if (residual)
            v = v_add(v, v_load_n(residual + row0 + i, n));
        v_store_n(out + row0 + i, v, n);
    }
}

static v16 sum_squares(const float *x, int64_t n, v16 mean)
{
    v16 sum = v_set1(0);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) {
        v16 d = v_sub(v_load(x + i), mean);
        sum = v_fma(d, d, sum);
    }
    if (i < n) { // lanes past the end must add nothing, so the mean is loaded with zeros there too
        float m[16];
        v_store(m, mean);
        v16 d = v_sub(v_load_n(x + i, (int)(n - i)), v_load_n(m, (int)(n - i)));
        sum = v_fma(d, d, sum);
    }
    return sum;
}

static void rows_norm(const struct infer_op *op, int64_t width, const float *x, const float *weight, int64_t weight_step, const float *bias, float *out)
{
    for (int g = 0; g < op->n[1]; g++, x += width, out += width) {
        v16 mean = v_set1(0);
        if (op->n[0] == INFER_NORM_LAYER) {
            v16 sum = v_set1(0);
            for (int64_t i = 0; i < width; i += 16)
                sum = v_add(sum, v_load_n(x + i, width - i < 16 ? (int)(width - i) : 16));
            mean = v_set1(v_sum(sum) / (float)width);
        }
        float squares = v_sum(sum_squares(x, width, mean));
        float r = 1.0f / sqrtf((op->n[0] == INFER_NORM_L2 ? squares : squares / (float)width) + op->f[0]);
        v16 factor = v_set1(r);
        const float *w = weight ? weight + g * weight_step : NULL;
        const float *b = bias ? bias + g * weight_step : NULL;
        for (int64_t i = 0; i < width; i += 16) {
            int n = width - i < 16 ? (int)(width - i) : 16;
            v16 v = v_mul(v_sub(v_load_n(x + i, n), mean), factor);
            if (w)
                v = v_mul(v, v_load_n(w + i, n));
            if (b)
                v = v_add(v, v_load_n(b + i, n));
            v_store_n(out + i, v, n);
        }
    }
}

static void rows_element(const struct infer_op *op, int64_t n, const float *a, const float *b, bool broadcast, float *out)
{
    v16 f0 = v_set1(op->f[0]), f1 = v_set1(op->f[1]);
    v16 y = broadcast ? v_set1(b[0]) : v_set1(0);
    for (int64_t i = 0; i < n; i += 16) {
        int count = n - i < 16 ? (int)(n - i) : 16;
        v16 x = v_load_n(a + i, count);
        if (b && !broadcast)
            y = v_load_n(b + i, count);
        switch (op->n[0]) {
        case INFER_EL_ADD: x = v_add(v_mul(x, f0), v_mul(y, f1)); break;
        case INFER_EL_MUL: x = v_mul(v_mul(x, y), f0); break;
        case INFER_EL_ACT: x = v_act(op->n[1], v_mul(x, f0), op->f + 1); break;
        case INFER_EL_ACT_MUL: x = v_gate(op->n[1], v_mul(x, f0), y, op->f + 1); break;
        case INFER_EL_CLAMP: x = v_min(f1, v_max(f0, x)); break;
        case INFER_EL_MUL_ACT: x = v_mul(x, v_act(op->n[1], y, op->f + 1)); break;
        }
        v_store_n(out + i, x, count);
    }
}

static void rows_angles(const float *freqs, int64_t n, int32_t position, float magnitude, float *out)
{
    for (int64_t i = 0; i < n; i++) {
        double s, c;
        sin_cos((double)position * (double)freqs[i], &s, &c);
        out[2 * i] = (float)c * magnitude;
        out[2 * i + 1] = (float)s * magnitude;
    }
}

static void rows_rope(const struct infer_op *op, const float *angles, float *x)
{
    int pairs = op->n[2] / 2;
    int step = op->n[3] == INFER_ROPE_PAIRS ? 2 : 1, apart = op->n[3] == INFER_ROPE_PAIRS ? 1 : pairs;
    for (int h = 0; h < op->n[0]; h++) {
        float *head = x + (int64_t)h * op->n[1] + op->n[4];
        for (int i = 0; i < pairs; i++) {
            float c = angles[2 * i], s = angles[2 * i + 1];
            float a = head[i * step], b = head[i * step + apart];
            head[i * step] = a * c - b * s;
            head[i * step + apart] = a * s + b * c;
        }
    }
}

// Up to 32 values of a cached head as 8-bit integers, step bytes apart, and their scale.
static void store_q8(const float *x, int n, int8_t *q, int64_t step, uint16_t *scale)
{
    v16 lo = v_load_n(x, n < 16 ? n : 16), hi = n > 16 ? v_load_n(x + 16, n - 16) : v_set1(0);
    float d = v_highest(v_max(v_abs(lo), v_abs(hi))) * (1.0f / 127), values[32];
    *scale = infer_f32_to_f16(d < 65504.0f ? d : 65504.0f);
    d = infer_f16_to_f32(*scale);
    v16 inverse = v_set1(d > 0 ? 1 / d : 0), top = v_set1(127), bottom = v_set1(-127);
    v_store(values, v_min(top, v_max(bottom, v_round(v_mul(lo, inverse)))));
    v_store(values + 16, v_min(top, v_max(bottom, v_round(v_mul(hi, inverse)))));
    for (int i = 0; i < n; i++)
        q[i * step] = values[i] == values[i] ? (int8_t)values[i] : 0;
}

static void rows_store_k(const struct infer_cache_layer *l, uint8_t *page, int slot, const float *k)
{
    int64_t n = (int64_t)l->heads * l->k_dim;
    if (l->dtype == INFER_DTYPE_Q8_0) {
        struct q8_page p = q8_page(l, page);
        for (int h = 0; h < l->heads; h++)
            for (int d = 0; d < l->k_dim; d += 32)
                store_q8(k + h * l->k_dim + d, l->k_dim - d < 32 ? l->k_dim - d : 32, p.k + ((int64_t)h * l->k_dim + d) * INFER_PAGE_TOKENS + slot, INFER_PAGE_TOKENS,
                         p.k_scale + ((int64_t)h * p.k_blocks + d / 32) * INFER_PAGE_TOKENS + slot);
        return;
    }
    if (l->dtype == INFER_DTYPE_F32) {
        float *out = (float *)page + slot;
        for (int64_t i = 0; i < n; i++)
            out[i * INFER_PAGE_TOKENS] = k[i];
        return;
    }
    uint16_t *out = (uint16_t *)page + slot;
    for (int64_t i = 0; i < n; i += 16) {
        int count = n - i < 16 ? (int)(n - i) : 16;
        uint16_t half[16];
        v_store_f16(half, v_load_n(k + i, count));
        for (int j = 0; j < count; j++)
            out[(i + j) * INFER_PAGE_TOKENS] = half[j];
    }
}

static void rows_store_v(const struct infer_cache_layer *l, uint8_t *page, int slot, const float *v)
{
    int64_t first = (int64_t)l->heads * l->k_dim * INFER_PAGE_TOKENS;
    if (l->dtype == INFER_DTYPE_Q8_0) {
        struct q8_page p = q8_page(l, page);
        for (int h = 0; h < l->heads; h++)
            for (int d = 0; d < l->v_dim; d += 32)
                store_q8(v + h * l->v_dim + d, l->v_dim - d < 32 ? l->v_dim - d : 32, p.v + ((int64_t)h * INFER_PAGE_TOKENS + slot) * l->v_dim + d, 1,
                         p.v_scale + ((int64_t)h * INFER_PAGE_TOKENS + slot) * p.v_blocks + d / 32);
        return;
    }
    for (int h = 0; h < l->heads; h++, v += l->v_dim) {
        int64_t at = first + ((int64_t)h * INFER_PAGE_TOKENS + slot) * l->v_dim;
        if (l->dtype == INFER_DTYPE_F32) {
            memcpy((float *)page + at, v, (size_t)l->v_dim * 4);
            continue;
        }
        for (int i = 0; i < l->v_dim; i += 16) {
            int count = l->v_dim - i < 16 ? l->v_dim - i : 16;
            uint16_t half[16];
            v_store_f16(half, v_load_n(v + i, count));
            memcpy((uint16_t *)page + at + i, half, (size_t)count * 2);
        }
    }
}

static void rows_expert_sum(int64_t n, int used, const float *y, int64_t y_stride, const float *weights, const float *residual, float *out)
{
    for (int64_t i = 0; i < n; i += 16) {
        int count = n - i < 16 ? (int)(n - i) : 16;
        v16 sum = v_set1(0);
        for (int k = 0; k < used; k++)
            sum = v_fma(v_load_n(y + k * y_stride + i, count), v_set1(weights[k]), sum);
        if (residual)
            sum = v_add(sum, v_load_n(residual + i, count));
        v_store_n(out + i, sum, count);
    }
}

// The mean of rows that lie stride floats apart, added up in order.
static void rows_mean(int64_t n, int64_t rows, const float *x, int64_t stride, float *out)
{
    v16 count = v_set1((float)rows);
    for (int64_t i = 0; i < n; i += 16) {
        int width = n - i < 16 ? (int)(n - i) : 16;
        v16 sum = v_set1(0);
        for (int64_t r = 0; r < rows; r++)
            sum = v_add(sum, v_load_n(x + r * stride + i, width));
        v_store_n(out + i, v_div(sum, count), width);
    }
}

static void rows_softmax(float *x, int64_t n)
{
    float highest = x[0];
    for (int64_t i = 1; i < n; i++)
        highest = x[i] > highest ? x[i] : highest;
    v16 sum = v_set1(0);
    for (int64_t i = 0; i < n; i += 16) {
        int count = n - i < 16 ? (int)(n - i) : 16;
        v16 e = v_exp(v_sub(v_load_n(x + i, count), v_set1(highest)));
        v_store_n(x + i, e, count);
        sum = v_add(sum, v_load_n(x + i, count));
    }
    v16 total = v_set1(v_sum(sum));
    for (int64_t i = 0; i < n; i += 16) {
        int count = n - i < 16 ? (int)(n - i) : 16;
        v_store_n(x + i, v_div(v_load_n(x + i, count), total), count);
    }
}

static void rows_act(int32_t act, const float *param, float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i += 16) {
        int count = n - i < 16 ? (int)(n - i) : 16;
        v_store_n(x + i, v_act(act, v_load_n(x + i, count), param), count);
    }
}

// 16 weights of a float type; n < 16 of them, and zeros.
static inline v16 load_weights(enum infer_dtype t, const uint8_t *at)
{
    if (t == INFER_DTYPE_F16)
        return v_load_f16((const uint16_t *)at);
    if (t == INFER_DTYPE_BF16)
        return v_load_bf16((const uint16_t *)at);
    return v_load((const float *)at);
}

static inline v16 load_weights_n(enum infer_dtype t, const uint8_t *at, int n)
{
    uint16_t half[16] = {0};
    if (t == INFER_DTYPE_F32)
        return v_load_n((const float *)at, n);
    memcpy(half, at, (size_t)n * 2);
    return t == INFER_DTYPE_F16 ? v_load_f16(half) : v_load_bf16(half);
}

// R rows x C columns of a float product, sums in registers; ASK: of rows side by side, for weights before their use. Bytes from row to row, and from 16 weights of a row to its next 16.
#define FLOAT_TILE(NAME, R, C, ASK)                                                                                                \
    static void NAME(enum infer_dtype t, const uint8_t *w, int64_t row, int64_t chunk, int64_t cols, const float *const *x, float *y, int64_t y_stride) \
    {                                                                                                                            \
        v16 sum[R][C];                                                                                                           \
        for (int r = 0; r < R; r++)                                                                                              \
            for (int c = 0; c < C; c++)                                                                                          \
                sum[r][c] = v_set1(0);                                                                                           \
        int64_t i = 0;                                                                                                           \
        for (; i + 16 <= cols; i += 16, w += chunk)                                                                              \
            for (int r = 0; r < R; r++) {                                                                                        \
                v16 a = load_weights(t, w + r * row);                                                                            \
                if (ASK && (r % 2 == 0 || row == 64))                                                                            \
                    __builtin_prefetch(w + r * row + NEAR_AHEAD, 0, 2);                                                          \
                for (int c = 0; c < C; c++)                                                                                      \
                    sum[r][c] = v_fma(a, v_load(x[c] + i), sum[r][c]);                                                           \
            }                                                                                                                    \
        if (i < cols)                                                                                                            \
            for (int r = 0; r < R; r++) {                                                                                        \
                v16 a = load_weights_n(t, w + r * row, (int)(cols - i));                                                         \
                for (int c = 0; c < C; c++)                                                                                      \
                    sum[r][c] = v_fma(a, v_load_n(x[c] + i, (int)(cols - i)), sum[r][c]);                                        \
            }                                                                                                                    \
        for (int r = 0; r < R; r++)                                                                                              \
            for (int c = 0; c < C; c++)                                                                                          \
                y[c * y_stride + r] = v_sum(sum[r][c]);                                                                          \
    }
FLOAT_TILE(float_tile_1x1, 1, 1, false)
FLOAT_TILE(float_tile_4x1, 4, 1, false)
FLOAT_TILE(float_tile_4x1_asking, 4, 1, true)
FLOAT_TILE(float_tile_4x4, 4, 4, false)

// Rows of a float product, as they lie in the file or four side by side (infer_pack); `row` and `chunk` as in the tiles.
static void rows_float_tiles(const struct weight *w, const uint8_t *first, int64_t row, int64_t chunk, int64_t group, int64_t rows, const struct columns *x, float *y, int64_t y_stride)
{
    const bool ask = w->packed && x->count == 1 && prefetchers_stop_early();
    for (int64_t c = 0; c < x->count;) {
        int wide = x->count - c >= 4 ? 4 : 1;
        const float *in[4];
        for (int j = 0; j < wide; j++)
            in[j] = column(x, c + j);
        for (int64_t r = 0; r < rows;) {
            const uint8_t *at = first + r / 4 * group + r % 4 * row;
            float *out = y + c * y_stride + r;
            if (rows - r < 4) {
                for (int j = 0; j < wide; j++)
                    float_tile_1x1(w->dtype, at, row, chunk, w->cols, in + j, out + j * y_stride, y_stride);
                r++;
                continue;
            }
            (wide == 4 ? float_tile_4x4 : ask ? float_tile_4x1_asking : float_tile_4x1)(w->dtype, at, row, chunk, w->cols, in, out, y_stride);
            r += 4;
        }
        c += wide;
    }
}

static void rows_float_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride)
{
    int64_t sixteen = 16 * (w->dtype == INFER_DTYPE_F32 ? 4 : 2), first = first_panel * PANEL_ROWS;
    if (!w->packed) {
        int64_t rows = w->rows - first < count * PANEL_ROWS ? w->rows - first : count * PANEL_ROWS;
        rows_float_tiles(w, w->raw + mat * w->mat_stride + first * w->stride, w->stride, sixteen, 4 * w->stride, rows, x, y, y_stride);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        rows_float_tiles(w, packed_panel(w, mat, first_panel + i), sixteen, 4 * sixteen, w->panel_bytes / 4, PANEL_ROWS, x, y + i * PANEL_ROWS, y_stride);
}

#define CPU_ROWS(QUANTIZE32, QUANTIZE256)                                                                                                                \
    .quantize32 = QUANTIZE32, .quantize256 = QUANTIZE256, .finish = rows_finish, .norm = rows_norm,                     \
    .element = rows_element, .rope = rows_rope, .angles = rows_angles, .store_k = rows_store_k, .store_v = rows_store_v,          \
    .expert_sum = rows_expert_sum, .mean = rows_mean, .softmax = rows_softmax, .act = rows_act, .attention = rows_attention, .attention_spans = rows_attention_spans, .recurrent = rows_recurrent
