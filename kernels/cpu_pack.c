// cpu_pack.c - from GGUF's rows to interleaved panels, and from any type's rows to 8-bit panels. The work is transposing words and
// bytes, in the compiler's vectors of 16 bytes, whose shuffles here are single instructions on every CPU that has such vectors.

#include "cpu_codes.h"

static uint32_t load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static uint16_t load16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t halves8 __attribute__((vector_size(16)));
typedef uint32_t words4 __attribute__((vector_size(16)));

static words4 load_words(const uint8_t *p)
{
    words4 v;
    memcpy(&v, p, 16);
    return v;
}

// Word j of each row's run goes to line j; lines lie step bytes apart, words is a multiple of 4.
static void interleave_apart(const uint8_t *const *rows, int64_t at, int words, uint32_t flip, uint8_t *lines, int64_t step)
{
    for (int j = 0; j < words; j += 4, lines += 4 * step)
        for (int r = 0; r < 16; r += 4) {
            words4 a = load_words(rows[r] + at + 4 * j) ^ flip, b = load_words(rows[r + 1] + at + 4 * j) ^ flip;
            words4 c = load_words(rows[r + 2] + at + 4 * j) ^ flip, d = load_words(rows[r + 3] + at + 4 * j) ^ flip;
            words4 ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
            words4 high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7), high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
            words4 line[4] = {__builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
                              __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5), __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7)};
            for (int i = 0; i < 4; i++)
                memcpy(lines + i * step + 4 * r, &line[i], 16);
        }
}

static void interleave(const uint8_t *const *rows, int64_t at, int words, uint32_t flip, uint8_t (*lines)[64])
{
    interleave_apart(rows, at, words, flip, lines[0], 64);
}

static bytes16 zip_low(bytes16 a, bytes16 b) { return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23); }
static bytes16 zip_high(bytes16 a, bytes16 b) { return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31); }

// Transposes 16 rows of 16 bytes: zipping row i with row i+8 moves each byte one bit of its place along, four times.
static void transpose_bytes(bytes16 v[16])
{
    for (int round = 0; round < 4; round++) {
        bytes16 next[16];
        for (int i = 0; i < 8; i++) {
            next[2 * i] = zip_low(v[i], v[i + 8]);
            next[2 * i + 1] = zip_high(v[i], v[i + 8]);
        }
        memcpy(v, next, sizeof next);
    }
}

static void halves(const uint8_t *const *rows, int64_t at, uint16_t *out)
{
    for (int r = 0; r < 16; r++)
        out[r] = load16(rows[r] + at);
}

// Nibble j of each row's 32 bits goes to high[j].
static void fifth_bits(const uint8_t *const *rows, int64_t at, uint64_t high[8])
{
    bytes16 v[16];
    for (int r = 0; r < 16; r++)
        v[r] = (bytes16)(words4){load32(rows[r] + at)};
    transpose_bytes(v);
    for (int j = 0; j < 4; j++) { // byte j of all rows: pairs of rows in a half word, nibbles to bytes
        halves8 pairs = (halves8)v[j];
        for (int n = 0; n < 2; n++, pairs >>= 4) {
            halves8 bits = (pairs & 15) | (pairs >> 4 & 0xf0);
            high[2 * j + n] = 0;
            for (int i = 0; i < 8; i++)
                high[2 * j + n] |= (uint64_t)bits[i] << (8 * i);
        }
    }
}

// The 6-bit scales and minimums of Q4_K and Q5_K: eight bytes each, four at a time.
static bytes16 scales_k(const uint8_t *p)
{
    uint32_t a = load32(p), b = load32(p + 4), c = load32(p + 8);
    words4 v = {a & 0x3f3f3f3fu, (c & 0x0f0f0f0fu) | (a >> 2 & 0x30303030u), b & 0x3f3f3f3fu, (c >> 4 & 0x0f0f0f0fu) | (b >> 2 & 0x30303030u)};
    return (bytes16)v;
}

static void pack_scales_k(const uint8_t *const *rows, int64_t at, uint8_t (*scale)[16], uint8_t (*min)[16][2])
{
    bytes16 v[16];
    for (int r = 0; r < 16; r++)
        v[r] = scales_k(rows[r] + at);
    transpose_bytes(v);
    memcpy(scale, v, 8 * 16);
    for (int j = 0; j < 4; j++) {
        bytes16 pairs[2] = {zip_low(v[8 + 2 * j], v[9 + 2 * j]), zip_high(v[8 + 2 * j], v[9 + 2 * j])};
        memcpy(min[j], pairs, 32);
    }
}

static void pack_block(enum infer_dtype t, const uint8_t *const *rows, int64_t at, void *out)
{
    switch (t) {
    case INFER_DTYPE_Q4_0: {
        struct packed_q4_0 *p = out;
        halves(rows, at, p->d);
        interleave(rows, at + 2, 4, 0, p->q);
        break;
    }
    case INFER_DTYPE_Q4_1: {
        struct packed_q4_1 *p = out;
        halves(rows, at, p->d);
        halves(rows, at + 2, p->m);
        interleave(rows, at + 4, 4, 0, p->q);
        break;
    }
    case INFER_DTYPE_Q5_0: {
        struct packed_q5_0 *p = out;
        halves(rows, at, p->d);
        fifth_bits(rows, at + 2, p->high);
        interleave(rows, at + 6, 4, 0, p->q);
        break;
    }
    case INFER_DTYPE_Q5_1: {
        struct packed_q5_1 *p = out;
        halves(rows, at, p->d);
        halves(rows, at + 2, p->m);
        fifth_bits(rows, at + 4, p->high);
        interleave(rows, at + 8, 4, 0, p->q);
        break;
    }
    case INFER_DTYPE_IQ4_NL: {
        struct packed_iq4_nl *p = out;
        halves(rows, at, p->d);
        interleave(rows, at + 2, 4, 0, p->q);
        break;
    }
    case INFER_DTYPE_MXFP4: {
        struct packed_mxfp4 *p = out;
        for (int r = 0; r < 16; r++)
            p->e[r] = rows[r][at];
        interleave(rows, at + 1, 4, 0, p->q);
        break;
    }
    case INFER_DTYPE_Q8_0: {
        struct packed_q8_0 *p = out;
        halves(rows, at, p->d);
        interleave(rows, at + 2, 8, 0x80808080u, p->q);
        break;
    }
    case INFER_DTYPE_Q4_K: {
        struct packed_q4_k *p = out;
        halves(rows, at, p->d);
        halves(rows, at + 2, p->dmin);
        pack_scales_k(rows, at + 4, p->scale, p->min);
        interleave(rows, at + 16, 32, 0, p->q[0]);
        break;
    }
    case INFER_DTYPE_Q5_K: {
        struct packed_q5_k *p = out;
        halves(rows, at, p->d);
        halves(rows, at + 2, p->dmin);
        pack_scales_k(rows, at + 4, p->scale, p->min);
        interleave(rows, at + 16, 8, 0, p->high);
        interleave(rows, at + 48, 32, 0, p->q[0]);
        break;
    }
    case INFER_DTYPE_Q6_K: {
        struct packed_q6_k *p = out;
        for (int n = 0; n < 2; n++) {
            interleave_apart(rows, at + 64 * n, 8, 0, p->line[n][0][0], sizeof p->line[n][0]);
            interleave_apart(rows, at + 64 * n + 32, 8, 0, p->line[n][0][1], sizeof p->line[n][0]);
            interleave_apart(rows, at + 128 + 32 * n, 8, 0, p->line[n][0][2], sizeof p->line[n][0]);
        }
        bytes16 v[16];
        for (int r = 0; r < 16; r++)
            memcpy(&v[r], rows[r] + at + 192, 16);
        transpose_bytes(v);
        memcpy(p->scale, v, sizeof p->scale);
        halves(rows, at + 208, p->d);
        break;
    }
    default:
        break;
    }
}

static int64_t packed_block_bytes(enum infer_dtype t)
{
    switch (t) {
    case INFER_DTYPE_Q4_0: return sizeof(struct packed_q4_0);
    case INFER_DTYPE_Q4_1: return sizeof(struct packed_q4_1);
    case INFER_DTYPE_Q5_0: return sizeof(struct packed_q5_0);
    case INFER_DTYPE_Q5_1: return sizeof(struct packed_q5_1);
    case INFER_DTYPE_IQ4_NL: return sizeof(struct packed_iq4_nl);
    case INFER_DTYPE_MXFP4: return sizeof(struct packed_mxfp4);
    case INFER_DTYPE_Q8_0: return sizeof(struct packed_q8_0);
    case INFER_DTYPE_Q4_K: return sizeof(struct packed_q4_k);
    case INFER_DTYPE_Q5_K: return sizeof(struct packed_q5_k);
    case INFER_DTYPE_Q6_K: return sizeof(struct packed_q6_k);
    default: return infer_code_kind(t) ? code_block_bytes(infer_code_kind(t)) : 0;
    }
}

static int64_t float_bytes(enum infer_dtype t) { return t == INFER_DTYPE_F32 ? 4 : t == INFER_DTYPE_F16 || t == INFER_DTYPE_BF16 ? 2 : 0; }

// Four rows side by side, 16 values of each in turn: one stream. What is not there is zero.
static void pack_floats(int64_t bytes, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *out)
{
    for (int r = 0; r < PANEL_ROWS; r += 4)
        for (int64_t i = 0; i < cols; i += 16)
            for (int j = r; j < r + 4; j++, out += 16 * bytes) {
                int64_t there = j < rows ? (cols - i < 16 ? cols - i : 16) * bytes : 0;
                if (there == 16 * bytes) {
                    memcpy(out, raw + j * stride + i * bytes, (size_t)there);
                    continue;
                }
                memset(out, 0, (size_t)(16 * bytes));
                memcpy(out, raw + (there ? j * stride + i * bytes : 0), (size_t)there);
            }
}

int64_t infer_packed_bytes(enum infer_dtype t, int64_t cols)
{
    if (float_bytes(t) > 0)
        return PANEL_ROWS * float_bytes(t) * ((cols + 15) / 16 * 16);
    return packed_block_bytes(t) * (cols / infer_type_traits(t)->block);
}

void infer_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    static const uint8_t zeros[256]; // a block of a row that is not there
    if (infer_code_kind(t)) {
        infer_pack_codes(t, raw, stride, rows, cols, panel);
        return;
    }
    if (float_bytes(t) > 0) {
        pack_floats(float_bytes(t), raw, stride, rows, cols, panel);
        return;
    }
    const struct infer_type_traits *traits = infer_type_traits(t);
    int64_t bytes = packed_block_bytes(t);
    const uint8_t *from[16];
    for (int64_t b = 0; b < cols / traits->block; b++, panel += bytes) {
        for (int r = 0; r < 16; r++)
            from[r] = r < rows ? raw + r * stride + b * traits->block_bytes : zeros;
        pack_block(t, from, 0, panel);
    }
}

struct panel_kind infer_panel_kind(enum infer_dtype t)
{
    struct panel_kind k = {.biased = true};
    switch (t) {
    case INFER_DTYPE_NVFP4: k.halves = true; break;
    case INFER_DTYPE_Q4_1:
    case INFER_DTYPE_Q5_1: k.minimums = true; break;
    case INFER_DTYPE_Q4_K:
    case INFER_DTYPE_Q5_K: k.minimums = true; k.biased = false; break;
    case INFER_DTYPE_Q2_K: k.minimums = k.minimums16 = k.scales16 = true; k.biased = false; break;
    case INFER_DTYPE_Q3_K:
    case INFER_DTYPE_Q6_K:
    case INFER_DTYPE_IQ2_XS:
    case INFER_DTYPE_IQ2_S:
    case INFER_DTYPE_IQ1_M: k.scales16 = true; break;
    default: break;
    }
    return k;
}

#define UNPACK_GROUPS 64 // groups of 32 unpacked at a time: a multiple of every block

void infer_unpack_panel32(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, struct panel32 *out)
{
    const struct infer_type_traits *traits = infer_type_traits(t);
    struct infer_unpacked32 part[UNPACK_GROUPS];
    int64_t groups = cols / 32;
    if (rows < 16)
        memset(out, 0, (size_t)groups * sizeof *out);
    for (int r = 0; r < rows; r++)
        for (int64_t first = 0; first < groups; first += UNPACK_GROUPS) {
            int64_t count = groups - first < UNPACK_GROUPS ? groups - first : UNPACK_GROUPS;
            infer_unpack32(t, raw + r * stride + first * 32 / traits->block * traits->block_bytes, count, part);
            for (int64_t b = 0; b < count; b++) {
                struct panel32 *p = &out[first + b];
                for (int j = 0; j < 8; j++) {
                    uint32_t v = load32((const uint8_t *)part[b].q + 4 * j) ^ 0x80808080u;
                    memcpy(p->q[j] + 4 * r, &v, 4);
                }
                p->d[0][r] = part[b].d[0];
                p->d[1][r] = part[b].d[1];
                p->m[r] = part[b].m;
            }
        }
}

void infer_unpack_panel256(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, struct panel256 *out)
{
    struct panel_kind kind = infer_panel_kind(t);
    uint32_t flip = kind.biased ? 0x80808080u : 0;
    int64_t block_bytes = infer_type_traits(t)->block_bytes;
    struct infer_unpacked256 u;
    if (rows < 16)
        memset(out, 0, (size_t)(cols / 256) * sizeof *out);
    for (int r = 0; r < rows; r++)
        for (int64_t b = 0; b < cols / 256; b++) {
            struct panel256 *p = &out[b];
            infer_unpack256(t, raw + r * stride + b * block_bytes, 1, &u);
            for (int j = 0; j < 64; j++) {
                uint32_t v = load32((const uint8_t *)u.q + 4 * j) ^ flip;
                memcpy(p->q[j] + 4 * r, &v, 4);
            }
            for (int j = 0; j < 16; j++)
                p->scale[j][r] = u.scale[j];
            if (kind.minimums)
                for (int j = 0; j < (kind.minimums16 ? 16 : 8); j++)
                    p->min[j / 2][r][j % 2] = kind.minimums16 ? u.min[j] : u.min[2 * j];
            p->d[r] = u.d;
            p->dmin[r] = u.dmin;
        }
}
