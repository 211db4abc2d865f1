// quantize_k.h: quantizers of the K types; included once for each instruction set. quantize_search.h finds each sub-block's
// scale; then the scales of a block become integers under one float scale, and integers and float are improved in turn.

// A block of 256 weights, its sub-blocks of n weights spread over lanes: sub-block s is lane s%LANES of group s/LANES.
struct spread {
    lanes x[256 / LANES], w[256 / LANES]; // [group][n]
};

// How much a weight's squared error counts: w = importance*(floor*deviation + |x|).
SPECIALIZED void spread_block(const float *x, const float *importance, float floor, int n, struct spread *out)
{
    floor *= deviation(x, 256);
    for (int g = 0; g < 256 / n / LANES; g++) {
        lanes_load_blocks(x + g * LANES * n, n, out->x + g * n);
        if (importance) {
            lanes_load_blocks(importance + g * LANES * n, n, out->w + g * n);
        }
    }
    for (int i = 0; i < 256 / LANES; i++) {
        lanes w = floor + lanes_abs(out->x[i]);
        out->w[i] = importance ? out->w[i] * w : w;
    }
}

// How often the floats are solved for and the integers improved; more gain less than a thousandth.
#define IMPROVE_ROUNDS 3

// Sums of lanes are taken in the order of the sub-blocks, so that LANES does not show.
static inline void add_lanes(lanes v, double *sum)
{
    for (int k = 0; k < LANES; k++) {
        *sum += v[k];
    }
}

// A block with minima: value = d*scale*q - dmin*min, integers 0 <= scale, min <= top.
struct affine_block {
    lanes scale[16 / LANES], min[16 / LANES]; // [group], sub-blocks in lanes
    float d, dmin;
};

SPECIALIZED lanes affine_q(lanes x, lanes min, lanes inverse, float high)
{
    return lanes_clamp(lanes_round((x + min) * inverse), 0, high);
}

// Tries the neighbours of each sub-block's integers and keeps the best. Returns the block's error.
SPECIALIZED double improve_affine(const struct spread *b, int n, float high, float top, struct affine_block *a)
{
    double total = 0;
    for (int g = 0; g < 256 / n / LANES; g++) {
        const lanes *x = &b->x[g * n], *w = &b->w[g * n];
        lanes best = lanes_of(3e38f), scale = a->scale[g], min = a->min[g];
        for (int try = 0; try < 9; try++) {
            lanes s = lanes_clamp(scale + (float)(try / 3 - 1), 0, top), ds = s * a->d, inverse = lanes_inverse(ds);
            lanes m = lanes_clamp(min + (float)(try % 3 - 1), 0, top), dm = m * a->dmin, error = lanes_of(0);
            for (int i = 0; i < n; i++) {
                lanes e = ds * affine_q(x[i], dm, inverse, high) - dm - x[i];
                error += w[i] * e * e;
            }
            lanes_int better = error < best;
            best = lanes_select(better, error, best);
            a->scale[g] = lanes_select(better, s, a->scale[g]);
            a->min[g] = lanes_select(better, m, a->min[g]);
        }
        add_lanes(best, &total);
    }
    return total;
}

// Least squares for d and dmin, all integers given: the normal equations of x ~ d*(scale*q) - dmin*min.
SPECIALIZED void solve_affine(const struct spread *b, int n, float high, struct affine_block *a)
{
    double ss = 0, sm = 0, mm = 0, xs = 0, xm = 0;
    for (int g = 0; g < 256 / n / LANES; g++) {
        const lanes *x = &b->x[g * n], *w = &b->w[g * n];
        lanes s = a->scale[g], m = a->min[g], inverse = lanes_inverse(s * a->d), dm = m * a->dmin;
        lanes sw = lanes_of(0), sx = lanes_of(0), sq = lanes_of(0), sqq = lanes_of(0), sxq = lanes_of(0);
        for (int i = 0; i < n; i++) {
            lanes q = affine_q(x[i], dm, inverse, high), wq = w[i] * q;
            sw += w[i];
            sx += w[i] * x[i];
            sq += wq;
            sqq += wq * q;
            sxq += wq * x[i];
        }
        add_lanes(s * s * sqq, &ss);
        add_lanes(s * m * sq, &sm);
        add_lanes(m * m * sw, &mm);
        add_lanes(s * sxq, &xs);
        add_lanes(m * sx, &xm);
    }
    double det = ss * mm - sm * sm;
    if (det > 1e-9 * ss * mm) {
        a->d = (float)((xs * mm - xm * sm) / det);
        a->dmin = (float)((xs * sm - xm * ss) / det);
    } else if (ss > 0) { // no minima
        a->d = (float)(xs / ss);
    }
}

static inline float largest_lane(const lanes *v, int count)
{
    float r = 0;
    for (int g = 0; g < count; g++) {
        for (int k = 0; k < LANES; k++) {
            r = v[g][k] > r ? v[g][k] : r;
        }
    }
    return r;
}

SPECIALIZED void quantize_affine(const struct spread *b, int n, float high, float top, struct steps steps, struct affine_block *out,
                                 uint8_t q[256])
{
    int groups = 256 / n / LANES;
    struct affine_block a;
    lanes d[16 / LANES], m[16 / LANES], v[32];
    for (int g = 0; g < groups; g++) {
        struct affine f = search_affine(&b->x[g * n], &b->w[g * n], n, high, 1, steps);
        d[g] = f.d;
        m[g] = -f.m;
    }
    a.d = nearest_f16(largest_lane(d, groups) / top);
    a.dmin = nearest_f16(largest_lane(m, groups) / top);
    for (int g = 0; g < groups; g++) {
        a.scale[g] = lanes_clamp(lanes_round(d[g] * lanes_inverse(lanes_of(a.d))), 0, top);
        a.min[g] = lanes_clamp(lanes_round(m[g] * lanes_inverse(lanes_of(a.dmin))), 0, top);
    }
    double best = improve_affine(b, n, high, top, &a);
    *out = a;
    for (int round = 0; round < IMPROVE_ROUNDS; round++) {
        solve_affine(b, n, high, &a);
        a.d = nearest_f16(a.d);
        a.dmin = nearest_f16(a.dmin);
        double error = improve_affine(b, n, high, top, &a);
        if (!(error < best)) {
            break;
        }
        best = error;
        *out = a;
    }
    for (int g = 0; g < groups; g++) {
        lanes dm = out->min[g] * out->dmin, inverse = lanes_inverse(out->scale[g] * out->d);
        for (int i = 0; i < n; i++) {
            v[i] = affine_q(b->x[g * n + i], dm, inverse, high);
        }
        lanes_store_bytes(v, n, q + g * LANES * n);
    }
}

// A block without minima: value = d*scale*q, bottom <= scale < -bottom; low names the integers q (see nearest).
struct scaled_block {
    lanes scale[16 / LANES];
    float d;
};

SPECIALIZED double improve_scaled(const struct spread *b, int n, float low, float bottom, struct scaled_block *a)
{
    double total = 0;
    for (int g = 0; g < 256 / n / LANES; g++) {
        const lanes *x = &b->x[g * n], *w = &b->w[g * n];
        lanes best = lanes_of(3e38f), scale = a->scale[g];
        for (int try = -1; try <= 1; try++) {
            lanes s = lanes_clamp(scale + (float)try, bottom, -bottom - 1), ds = s * a->d, inverse = lanes_inverse(ds);
            lanes error = lanes_of(0);
            for (int i = 0; i < n; i++) {
                lanes e = ds * nearest(x[i] * inverse, low) - x[i];
                error += w[i] * e * e;
            }
            lanes_int better = error < best;
            best = lanes_select(better, error, best);
            a->scale[g] = lanes_select(better, s, a->scale[g]);
        }
        add_lanes(best, &total);
    }
    return total;
}

// Least squares for d, all integers given.
SPECIALIZED void solve_scaled(const struct spread *b, int n, float low, struct scaled_block *a)
{
    double xs = 0, ss = 0;
    for (int g = 0; g < 256 / n / LANES; g++) {
        const lanes *x = &b->x[g * n], *w = &b->w[g * n];
        lanes s = a->scale[g], inverse = lanes_inverse(s * a->d), xq = lanes_of(0), qq = lanes_of(0);
        for (int i = 0; i < n; i++) {
            lanes q = nearest(x[i] * inverse, low), wq = w[i] * q;
            xq += wq * x[i];
            qq += wq * q;
        }
        add_lanes(s * xq, &xs);
        add_lanes(s * s * qq, &ss);
    }
    if (ss > 0) {
        a->d = (float)(xs / ss);
    }
}

SPECIALIZED void quantize_scaled(const struct spread *b, int n, float low, float bottom, struct steps steps, struct scaled_block *out,
                                 uint8_t q[256])
{
    int groups = 256 / n / LANES;
    struct scaled_block a;
    lanes d[16 / LANES], v[32];
    float largest = 0;
    for (int g = 0; g < groups; g++) {
        d[g] = search_scale(&b->x[g * n], &b->w[g * n], n, low, steps);
        for (int k = 0; k < LANES; k++) {
            largest = fabsf(d[g][k]) > fabsf(largest) ? d[g][k] : largest;
        }
    }
    a.d = nearest_f16(largest / bottom);
    for (int g = 0; g < groups; g++) {
        a.scale[g] = lanes_clamp(lanes_round(d[g] * lanes_inverse(lanes_of(a.d))), bottom, -bottom - 1);
    }
    double best = improve_scaled(b, n, low, bottom, &a);
    *out = a;
    for (int round = 0; round < IMPROVE_ROUNDS; round++) {
        solve_scaled(b, n, low, &a);
        a.d = nearest_f16(a.d);
        double error = improve_scaled(b, n, low, bottom, &a);
        if (!(error < best)) {
            break;
        }
        best = error;
        *out = a;
    }
    for (int g = 0; g < groups; g++) {
        lanes inverse = lanes_inverse(out->scale[g] * out->d);
        for (int i = 0; i < n; i++) {
            v[i] = nearest_number(b->x[g * n + i] * inverse, low);
        }
        lanes_store_bytes(v, n, q + g * LANES * n);
    }
}

static inline int lane_int(const lanes *v, int i)
{
    return (int)v[i / LANES][i % LANES];
}

static void quantize_q2_k(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float steps[] = {-1.0f, -0.6f, -0.2f, 0.2f, 0.6f};
    for (int64_t c = 0; c < cols; c += 256, dst += 84) {
        struct spread b;
        struct affine_block a;
        uint8_t q[256];
        spread_block(x + c, importance ? importance + c : NULL, importance ? 1 : 0, 16, &b);
        quantize_affine(&b, 16, 3, 15, STEPS(steps), &a, q);
        for (int i = 0; i < 16; i++) {
            dst[i] = (uint8_t)(lane_int(a.scale, i) | lane_int(a.min, i) << 4);
        }
        for (int i = 0; i < 64; i++) {
            const uint8_t *p = q + i / 32 * 128 + i % 32;
            dst[16 + i] = (uint8_t)(p[0] | p[32] << 2 | p[64] << 4 | p[96] << 6);
        }
        infer_store_u16(dst + 80, f32_to_f16(a.d));
        infer_store_u16(dst + 82, f32_to_f16(a.dmin));
    }
}

static void quantize_q3_k(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    // The last step maps the weight of largest magnitude to +3.
    static const float steps[] = {-0.8f, -0.3f, 0.2f, 0.7f, -7.2f};
    for (int64_t c = 0; c < cols; c += 256, dst += 110) {
        struct spread b;
        struct scaled_block a;
        uint8_t q[256];
        spread_block(x + c, importance ? importance + c : NULL, importance ? 1 : 0, 16, &b);
        quantize_scaled(&b, 16, -4, -32, STEPS(steps), &a, q);
        for (int i = 0; i < 32; i++) {
            unsigned bits = 0;
            for (int j = 0; j < 8; j++) {
                bits |= (unsigned)(q[j * 32 + i] >> 2) << j;
            }
            dst[i] = (uint8_t)bits;
        }
        for (int i = 0; i < 64; i++) {
            const uint8_t *p = q + i / 32 * 128 + i % 32;
            dst[32 + i] = (uint8_t)((p[0] & 3) | (p[32] & 3) << 2 | (p[64] & 3) << 4 | (p[96] & 3) << 6);
        }
        memset(dst + 96, 0, 12);
        for (int i = 0; i < 16; i++) {
            int s = lane_int(a.scale, i) + 32;
            dst[96 + i % 8] |= (uint8_t)((s & 15) << i / 8 * 4);
            dst[104 + i % 4] |= (uint8_t)(s >> 4 << i / 4 * 2);
        }
        infer_store_u16(dst + 108, f32_to_f16(a.d));
    }
}

// d, dmin and the packed scales of Q4_K and Q5_K; see infer_k4_scale.
static void pack_k4_head(const struct affine_block *a, uint8_t head[16])
{
    uint8_t *s = head + 4;
    infer_store_u16(head, f32_to_f16(a->d));
    infer_store_u16(head + 2, f32_to_f16(a->dmin));
    for (int i = 0; i < 4; i++) {
        int scale = lane_int(a->scale, i + 4), min = lane_int(a->min, i + 4);
        s[i] = (uint8_t)(lane_int(a->scale, i) | scale >> 4 << 6);
        s[i + 4] = (uint8_t)(lane_int(a->min, i) | min >> 4 << 6);
        s[i + 8] = (uint8_t)((scale & 15) | (min & 15) << 4);
    }
}

static void pack_k4_nibbles(const uint8_t q[256], uint8_t dst[128])
{
    for (int i = 0; i < 128; i++) {
        const uint8_t *p = q + i / 32 * 64 + i % 32;
        dst[i] = (uint8_t)((p[0] & 15) | (p[32] & 15) << 4);
    }
}

static void quantize_q4_k(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float steps[] = {-2.0f, -1.5f, -1.0f, -0.7f, -0.4f, -0.1f, 0.2f, 0.5f, 0.8f};
    for (int64_t c = 0; c < cols; c += 256, dst += 144) {
        struct spread b;
        struct affine_block a;
        uint8_t q[256];
        spread_block(x + c, importance ? importance + c : NULL, importance ? 1 : 1.414f, 32, &b);
        quantize_affine(&b, 32, 15, 63, STEPS(steps), &a, q);
        pack_k4_head(&a, dst);
        pack_k4_nibbles(q, dst + 16);
    }
}

static void quantize_q5_k(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float steps[] = {-1.5f, -1.0f, -0.7f, -0.4f, -0.1f, 0.2f, 0.5f};
    for (int64_t c = 0; c < cols; c += 256, dst += 176) {
        struct spread b;
        struct affine_block a;
        uint8_t q[256];
        spread_block(x + c, importance ? importance + c : NULL, importance ? 1 : 1.414f, 32, &b);
        quantize_affine(&b, 32, 31, 63, STEPS(steps), &a, q);
        pack_k4_head(&a, dst);
        for (int i = 0; i < 32; i++) {
            unsigned bits = 0;
            for (int j = 0; j < 8; j++) {
                bits |= (unsigned)(q[j * 32 + i] >> 4) << j;
            }
            dst[16 + i] = (uint8_t)bits;
        }
        pack_k4_nibbles(q, dst + 48);
    }
}

static void quantize_q6_k(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float steps[] = {-0.9f, -0.6f, -0.3f, 0, 0.3f, 0.6f, 0.9f};
    for (int64_t c = 0; c < cols; c += 256, dst += 210) {
        struct spread b;
        struct scaled_block a;
        uint8_t q[256];
        spread_block(x + c, importance ? importance + c : NULL, importance ? 1 : 0, 16, &b);
        quantize_scaled(&b, 16, -32, -128, STEPS(steps), &a, q);
        for (int i = 0; i < 128; i++) {
            const uint8_t *p = q + i / 64 * 128 + i % 64;
            dst[i] = (uint8_t)((p[0] & 15) | (p[64] & 15) << 4);
        }
        for (int i = 0; i < 64; i++) {
            const uint8_t *p = q + i / 32 * 128 + i % 32;
            dst[128 + i] = (uint8_t)(p[0] >> 4 | p[32] >> 4 << 2 | p[64] >> 4 << 4 | p[96] >> 4 << 6);
        }
        for (int i = 0; i < 16; i++) {
            dst[192 + i] = (uint8_t)lane_int(a.scale, i);
        }
        infer_store_u16(dst + 208, f32_to_f16(a.d));
    }
}

static void quantize_iq4_xs(const float *x, int64_t cols, const float *importance, uint8_t *dst)
{
    static const float steps[] = {-24, -18, -12, -6, 0, 6, 12};
    for (int64_t c = 0; c < cols; c += 256, dst += 136) {
        struct spread b;
        struct scaled_block a;
        uint8_t q[256];
        unsigned high = 0;
        spread_block(x + c, importance ? importance + c : NULL, importance ? 1 : 0.5f, 32, &b);
        quantize_scaled(&b, 32, LEVELS_IQ4, -32, STEPS(steps), &a, q);
        memset(dst + 4, 0, 4);
        for (int g = 0; g < 8; g++) {
            int s = lane_int(a.scale, g) + 32;
            high |= (unsigned)(s >> 4) << 2 * g;
            dst[4 + g / 2] |= (uint8_t)((s & 15) << g % 2 * 4);
            pack_nibbles(q + g * 32, dst + 8 + g * 16);
        }
        infer_store_u16(dst, f32_to_f16(a.d));
        infer_store_u16(dst + 2, (uint16_t)high);
    }
}
