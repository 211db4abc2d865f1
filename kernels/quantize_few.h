// quantize_few.h: quantizers of the types with few levels: the codebook of IQ4_NL, four-bit floats, ternary; included once
// for each instruction set.

static inline void pack_iq4_nl(uint16_t d, const uint8_t *q, uint8_t *dst)
{
    infer_store_u16(dst, d);
    pack_nibbles(q, dst + 2);
}

static void quantize_iq4_nl(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float steps[] = {-24, -18, -12, -6, 0, 6, 12};
    quantize_scaled_row(x, cols, 32, importance, importance ? 1 : 0.5f, LEVELS_IQ4, STEPS(steps), pack_iq4_nl, 18, dst);
}

// Candidates of the ternary types: the first serves weights that are ternary already, the others clip the largest.
static const float ternary_steps[] = {0, 0.3f, 0.6f, 0.9f, 1.2f, 1.5f, 1.8f, 2.2f, 2.6f, 3.0f};

// The digits' powers add up to a number below 243, stored as a fraction of 256, rounded up; see split_ternary.
static inline void pack_ternary(const uint8_t *q, int bytes, int digits, uint8_t *dst)
{
    for (int i = 0; i < bytes; i++) {
        unsigned number = 0;
        for (int n = 0; n < 5; n++) {
            number = number * 3 + (n < digits ? q[n * bytes + i] : 0u);
        }
        dst[i] = (uint8_t)((number * 256 + 242) / 243);
    }
}

static inline void pack_tq1_0(uint16_t d, const uint8_t *q, uint8_t *dst)
{
    pack_ternary(q, 32, 5, dst);
    pack_ternary(q + 160, 16, 5, dst + 32);
    pack_ternary(q + 240, 4, 4, dst + 48);
    infer_store_u16(dst + 52, d);
}

static inline void pack_tq2_0(uint16_t d, const uint8_t *q, uint8_t *dst)
{
    for (int i = 0; i < 64; i++) {
        const uint8_t *p = q + i / 32 * 128 + i % 32;
        dst[i] = (uint8_t)(p[0] | p[32] << 2 | p[64] << 4 | p[96] << 6);
    }
    infer_store_u16(dst + 64, d);
}

static void quantize_tq1_0(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    quantize_scaled_row(x, cols, 256, importance, 1, LEVELS_TERNARY, STEPS(ternary_steps), pack_tq1_0, 54, dst);
}

static void quantize_tq2_0(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    quantize_scaled_row(x, cols, 256, importance, 1, LEVELS_TERNARY, STEPS(ternary_steps), pack_tq2_0, 66, dst);
}

// The doubled E2M1 number nearest to v without its sign, and its number in the codebook.
static inline lanes nearest_fp4(lanes magnitude, lanes *number)
{
    lanes value = lanes_of(0), count = lanes_of(0);
    for (int k = 1; k < 8; k++) {
        lanes_int above = magnitude > lanes_of(0.5f * (float)(infer_codebook_fp4[k - 1] + infer_codebook_fp4[k]));
        value += (lanes)((lanes_int)lanes_of((float)(infer_codebook_fp4[k] - infer_codebook_fp4[k - 1])) & above);
        count += (lanes)((lanes_int)lanes_of(1) & above);
    }
    *number = count;
    return value;
}

// 2^exponent for -126..127.
static inline lanes power_of_two(lanes_int exponent)
{
    return (lanes)((exponent + 127) << 23);
}

// The scale is a power of two: the one that just holds the largest weight, its half (which clips), and its double are
// tried. The smallest scale is 2^-126 here: the format's two smaller ones are subnormal, and no weight needs them.
static void quantize_mxfp4(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    float floor = deviation(x, cols);
    for (int64_t c = 0; c < cols; c += 32 * LANES) {
        struct strip s;
        uint8_t q[LANES * 32];
        load_strip(x + c, cols - c, 32, importance ? importance + c : NULL, floor, &s);
        lanes largest = lanes_of(0), best = lanes_of(3e38f);
        for (int i = 0; i < 32; i++) {
            largest = lanes_max(lanes_abs(s.x[i]), largest);
        }
        // 12 is the largest level: 2^(e-3) <= largest/8 < 2^(e-2) with e the largest weight's exponent.
        lanes_int start = ((lanes_int)largest >> 23) - 127 - 3, exponent = start;
        for (int try = -1; try <= 1; try++) {
            lanes_int e = start + try, small = e < -126;
            e = (e & ~small) | (small & -126);
            lanes d = power_of_two(e), inverse = power_of_two(-e), error = lanes_of(0), number;
            for (int i = 0; i < 32; i++) {
                lanes a = lanes_abs(s.x[i]), r = nearest_fp4(a * inverse, &number) * d - a;
                error += s.w[i] * r * r;
            }
            lanes_int better = error < best;
            best = lanes_select(better, error, best);
            exponent = (e & better) | (exponent & ~better);
        }
        lanes inverse = power_of_two(-exponent);
        for (int i = 0; i < 32; i++) {
            lanes number;
            nearest_fp4(lanes_abs(s.x[i]) * inverse, &number);
            lanes_int negative = (s.x[i] < lanes_of(0)) & (number > lanes_of(0));
            s.x[i] = number + (lanes)((lanes_int)lanes_of(8) & negative);
        }
        lanes_store_bytes(s.x, 32, q);
        for (int k = 0; k < s.blocks; k++, dst += 17) {
            dst[0] = (uint8_t)(exponent[k] + 128);
            pack_nibbles(q + k * 32, dst + 1);
        }
    }
}
