// quantize_32.h: quantizers of the types with a float scale every 32 weights; included once for each instruction set.

// LANES blocks of n weights of a row, n at most 256.
struct strip {
    lanes x[256], w[256];
    int blocks; // of LANES; the others are zeros
};

// How much a weight's squared error counts: large weights carry more of a row's output, so w = importance*(floor + |x|).
static inline void load_strip(const float *x, int64_t left, int n, const float *importance, float floor, struct strip *s)
{
    s->blocks = left < n * LANES ? (int)(left / n) : LANES;
    if (s->blocks < LANES) {
        memset(s->x, 0, (size_t)n * sizeof *s->x);
        memset(s->w, 0, (size_t)n * sizeof *s->w);
        for (int k = 0; k < s->blocks; k++) {
            for (int i = 0; i < n; i++) {
                s->x[i][k] = x[k * n + i];
                s->w[i][k] = importance ? importance[k * n + i] : 0;
            }
        }
    } else {
        lanes_load_blocks(x, n, s->x);
        if (importance) {
            lanes_load_blocks(importance, n, s->w);
        }
    }
    for (int i = 0; i < n; i++) {
        lanes w = floor + lanes_abs(s->x[i]);
        s->w[i] = importance ? s->w[i] * w : w;
    }
}

static inline float deviation(const float *x, int64_t cols)
{
    return sqrtf(mean_square(x, cols));
}

typedef void pack_scaled(uint16_t d, const uint8_t *q, uint8_t *dst);
typedef void pack_affine(uint16_t d, uint16_t m, const uint8_t *q, uint8_t *dst);

// A row of a type with one scale a block and no offset; floor is in units of the row's standard deviation.
SPECIALIZED void quantize_scaled_row(const float *x, int64_t cols, int n, const float *importance, float floor, float low,
                                     struct steps steps, pack_scaled *pack, int bytes, uint8_t *dst)
{
    floor *= deviation(x, cols);
    for (int64_t c = 0; c < cols; c += n * LANES) {
        struct strip s;
        uint8_t q[LANES * 256];
        uint16_t d[LANES];
        load_strip(x + c, cols - c, n, importance ? importance + c : NULL, floor, &s);
        lanes best = search_scale(s.x, s.w, n, low, steps);
        best = low == LEVELS_TERNARY ? lanes_abs(best) : best; // either sign serves: the usual one
        lanes inverse = lanes_inverse(lanes_round_to_f16(best, d));
        for (int i = 0; i < n; i++) {
            s.x[i] = nearest_number(s.x[i] * inverse, low);
        }
        lanes_store_bytes(s.x, n, q);
        for (int k = 0; k < s.blocks; k++, dst += bytes) {
            pack(d[k], q + k * n, dst);
        }
    }
}

SPECIALIZED void quantize_affine_row(const float *x, int64_t cols, const float *importance, float high, struct steps steps,
                                     pack_affine *pack, int bytes, uint8_t *dst)
{
    float floor = deviation(x, cols);
    for (int64_t c = 0; c < cols; c += 32 * LANES) {
        struct strip s;
        uint8_t q[LANES * 32];
        load_strip(x + c, cols - c, 32, importance ? importance + c : NULL, floor, &s);
        struct affine f = search_affine(s.x, s.w, 32, high, 0, steps);
        uint16_t d[LANES], m[LANES];
        lanes inverse = lanes_inverse(lanes_round_to_f16(f.d, d));
        lanes offset = lanes_round_to_f16(lanes_clamp(f.m, -65504, 65504), m); // the best line may begin beyond what a half holds
        for (int i = 0; i < 32; i++) {
            s.x[i] = lanes_clamp(lanes_round((s.x[i] - offset) * inverse), 0, high);
        }
        lanes_store_bytes(s.x, 32, q);
        for (int k = 0; k < s.blocks; k++, dst += bytes) {
            pack(d[k], m[k], q + k * 32, dst);
        }
    }
}

static inline void pack_nibbles(const uint8_t q[32], uint8_t *dst)
{
    for (int i = 0; i < 16; i += 8) { // eight bytes at once
        uint64_t low, high;
        memcpy(&low, q + i, 8);
        memcpy(&high, q + 16 + i, 8);
        low = (low & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (high & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
        memcpy(dst + i, &low, 8);
    }
}

static inline void pack_fifth_bits(const uint8_t q[32], uint8_t *dst)
{
    for (int i = 0; i < 4; i++) { // the product moves bit 0 of byte k to bit 56+k
        uint64_t word;
        memcpy(&word, q + i * 8, 8);
        dst[i] = (uint8_t)((word >> 4 & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56);
    }
}

static inline void pack_q4_0(uint16_t d, const uint8_t *q, uint8_t *dst)
{
    infer_store_u16(dst, d);
    pack_nibbles(q, dst + 2);
}

static inline void pack_q5_0(uint16_t d, const uint8_t *q, uint8_t *dst)
{
    infer_store_u16(dst, d);
    pack_fifth_bits(q, dst + 2);
    pack_nibbles(q, dst + 6);
}

static inline void pack_q4_1(uint16_t d, uint16_t m, const uint8_t *q, uint8_t *dst)
{
    infer_store_u16(dst, d);
    infer_store_u16(dst + 2, m);
    pack_nibbles(q, dst + 4);
}

static inline void pack_q5_1(uint16_t d, uint16_t m, const uint8_t *q, uint8_t *dst)
{
    infer_store_u16(dst, d);
    infer_store_u16(dst + 2, m);
    pack_fifth_bits(q, dst + 4);
    pack_nibbles(q, dst + 8);
}

// With importance given, quality is what is asked for: more candidates. The last of Q4_0 map the largest weight to +7.
static const float affine_steps[] = {-3.2f, -2.8f, -2.4f, -2.0f, -1.6f, -1.2f, -0.9f, -0.6f, -0.3f, 0, 0.3f, 0.6f, 0.9f, 1.2f, 1.6f};

static void quantize_q4_0(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float quick[] = {-0.9f, -0.4f, 0.1f, 0.6f}, 
                       thorough[] = {-1.2f, -0.9f, -0.6f, -0.3f, 0, 0.3f, 0.6f, 0.9f, -15.2f, -15.6f, -16.0f};
    struct steps steps = importance ? STEPS(thorough) : STEPS(quick);
    quantize_scaled_row(x, cols, 32, importance, 1, -8, steps, pack_q4_0, 18, dst);
}

static void quantize_q5_0(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float quick[] = {-0.9f, -0.4f, 0.1f, 0.6f}, thorough[] = {-1.2f, -0.9f, -0.6f, -0.3f, 0, 0.3f, 0.6f, 0.9f};
    struct steps steps = importance ? STEPS(thorough) : STEPS(quick);
    quantize_scaled_row(x, cols, 32, importance, 1, -16, steps, pack_q5_0, 22, dst);
}

static void quantize_q4_1(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float quick[] = {-1.0f, -0.2f};
    struct steps steps = importance ? STEPS(affine_steps) : STEPS(quick);
    quantize_affine_row(x, cols, importance, 15, steps, pack_q4_1, 20, dst);
}

static void quantize_q5_1(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float quick[] = {-1.1f, -0.5f, 0.1f};
    struct steps steps = importance ? STEPS(affine_steps) : STEPS(quick);
    quantize_affine_row(x, cols, importance, 31, steps, pack_q5_1, 24, dst);
}

// With 255 steps the largest weight bounds the error of all: a search gains nothing, and importance has no say.
static void quantize_q8_0(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    (void)importance;
    for (int64_t c = 0; c < cols; c += 32, dst += 34) {
        float part[8] = {0}, largest = 0, q[32];
        for (int i = 0; i < 32; i += 8) {
            for (int k = 0; k < 8; k++) {
                float a = fabsf(x[c + i + k]);
                part[k] = a > part[k] ? a : part[k];
            }
        }
        for (int k = 0; k < 8; k++) {
            largest = part[k] > largest ? part[k] : largest;
        }
        uint16_t half = f32_to_f16(largest / 127);
        float d = f16_to_f32(half), inverse = d > 0 ? 1 / d : 0;
        infer_store_u16(dst, half);
        for (int i = 0; i < 32; i++) { // d is rounded and may be a little small: clamp
            float v = x[c + i] * inverse;
            v = v > -127 ? v : -127;
            v = v < 127 ? v : 127;
            q[i] = (v + 12582912.0f) - 12582912.0f;
        }
        for (int i = 0; i < 32; i++) {
            dst[2 + i] = (uint8_t)(int32_t)q[i];
        }
    }
}
