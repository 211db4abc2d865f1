// cpu_pack.c - from GGUF's rows to interleaved panels, and from any type's rows to 8-bit panels. Plain C, at memory speed:
// the work is transposing 4-byte words.

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

// Word j of each row's run goes to line j.
static void interleave(const uint8_t *const *rows, int64_t at, int words, uint32_t flip, uint8_t (*lines)[64])
{
    for (int j = 0; j < words; j++)
        for (int r = 0; r < 16; r++) {
            uint32_t v = load32(rows[r] + at + 4 * j) ^ flip;
            memcpy(lines[j] + 4 * r, &v, 4);
        }
}

static void halves(const uint8_t *const *rows, int64_t at, uint16_t *out)
{
    for (int r = 0; r < 16; r++)
        out[r] = load16(rows[r] + at);
}

static void fifth_bits(const uint8_t *const *rows, int64_t at, uint64_t high[8])
{
    for (int j = 0; j < 8; j++)
        high[j] = 0;
    for (int r = 0; r < 16; r++) {
        uint32_t bits = load32(rows[r] + at);
        for (int j = 0; j < 8; j++)
            high[j] |= (uint64_t)(bits >> (4 * j) & 15) << (4 * r);
    }
}

// The 6-bit scales and minimums of Q4_K and Q5_K, as eight bytes each.
static void scales_k(const uint8_t *p, uint8_t scale[8], uint8_t min[8])
{
    for (int j = 0; j < 4; j++) {
        scale[j] = p[j] & 63;
        min[j] = p[j + 4] & 63;
        scale[j + 4] = (uint8_t)((p[j + 8] & 15) | (p[j] >> 6 << 4));
        min[j + 4] = (uint8_t)((p[j + 8] >> 4) | (p[j + 4] >> 6 << 4));
    }
}

static void pack_scales_k(const uint8_t *const *rows, int64_t at, uint8_t (*scale)[16], uint8_t (*min)[16][2])
{
    for (int r = 0; r < 16; r++) {
        uint8_t s[8], m[8];
        scales_k(rows[r] + at, s, m);
        for (int j = 0; j < 8; j++) {
            scale[j][r] = s[j];
            min[j / 2][r][j % 2] = m[j];
        }
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
        for (int n = 0; n < 2; n++)
            for (int i = 0; i < 8; i++) {
                interleave(rows, at + 64 * n + 4 * i, 1, 0, &p->line[n][i][0]);
                interleave(rows, at + 64 * n + 32 + 4 * i, 1, 0, &p->line[n][i][1]);
                interleave(rows, at + 128 + 32 * n + 4 * i, 1, 0, &p->line[n][i][2]);
            }
        for (int r = 0; r < 16; r++)
            for (int j = 0; j < 16; j++)
                p->scale[j][r] = (int8_t)rows[r][at + 192 + j];
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

int64_t infer_packed_bytes(enum infer_dtype t, int64_t cols)
{
    return packed_block_bytes(t) * (cols / infer_type_traits(t)->block);
}

void infer_pack(enum infer_dtype t, const uint8_t *raw, int64_t stride, int rows, int64_t cols, uint8_t *panel)
{
    static const uint8_t zeros[256]; // a block of a row that is not there
    if (infer_code_kind(t)) {
        infer_pack_codes(t, raw, stride, rows, cols, panel);
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
