// cpu_avx512_few.h - part of cpu_avx512_amd64.c: products of a few columns, straight from interleaved weights. Each line is
// unpacked in registers and used for up to 8 columns at once; nothing is stored on the way. One column has kernels of its own.

// The columns of a call and where their sums go; odd numbers are made even by a column whose sums are thrown away.
struct few {
    const uint8_t *x[8];
    float *y[8];
    int64_t ahead; // bytes by which weights are asked for before their use
};

// Cores that compute several columns a line ask for lines too slowly for their own prefetchers to run ahead, and wait: weights are asked
// for before their use. Two columns are read as fast as memory gives without, but for processors whose prefetchers stop early.
static int64_t far_ahead(enum infer_dtype t, int columns)
{
    const int64_t pages = t == INFER_DTYPE_Q8_0 ? 2048 : columns < 8 ? 6144 : 3072; // the best of 2, 3, 4.5 and 6 KB on a Granite Rapids
    return prefetchers_stop_early() ? pages : 6144;
}

// near_ahead for part of a block, into the first-level cache.
INLINE __m512i few_ask(__m512i w, const struct few *f, const void *part, const int bytes, const int slot, const int slots, const bool ask)
{
    const int lines = (bytes + 63) / 64;
    if (ask)
        UNROLL for (int i = slot * lines / slots; i < (slot + 1) * lines / slots; i++) ASK_BESIDE("prefetcht0", w, (const char *)part + f->ahead + 64 * i);
    return w;
}

// The bytes of a quarter of a block of so many bytes, in whole lines.
#define QUARTER(BYTES) (((BYTES) / 4 + 63) / 64 * 64)

#define EACH_COLUMN UNROLL for (int c = 0; c < NC; c++)

INLINE __m512i x4(const struct few *f, int c, int64_t at) { return broadcast4(f->x[c] + at); }
INLINE __m512 x1(const struct few *f, int c, int64_t at) { return _mm512_castsi512_ps(broadcast4(f->x[c] + at)); }

// ---- a scale every 32 ----

// How a line of 32-column types becomes two lines of 8-bit weights.
enum few_codes32 { FEW_OFFSET, FEW_FIFTH_BIT, FEW_TABLE, FEW_BYTES };

// q: lines, which a block of `bytes` begins with; fifth: masks of the fifth bits.
INLINE void few32_sums(const struct few *f, int64_t at, const uint8_t (*q)[64], const int bytes, const uint64_t *fifth, __m512i add, enum few_codes32 codes, const int NC,
                       const bool ask, __m512i *acc)
{
    EACH_COLUMN acc[c] = x4(f, c, at + (int64_t)offsetof(struct act32, bias));
    UNROLL for (int j = 0; j < 4; j++)
    {
        __m512i low, high;
        if (codes == FEW_BYTES) {
            low = _mm512_loadu_si512(q[j]);
            high = _mm512_loadu_si512(q[4 + j]);
        } else {
            split(q[j], &low, &high);
        }
        low = few_ask(low, f, q, bytes, j, 4, ask);
        if (codes == FEW_TABLE) {
            low = _mm512_shuffle_epi8(add, low);
            high = _mm512_shuffle_epi8(add, high);
        } else if (codes != FEW_BYTES) {
            low = _mm512_add_epi8(low, add);
            high = _mm512_add_epi8(high, add);
        }
        if (codes == FEW_FIFTH_BIT) {
            low = _mm512_mask_add_epi8(low, fifth[j], low, _mm512_set1_epi8(16));
            high = _mm512_mask_add_epi8(high, fifth[4 + j], high, _mm512_set1_epi8(16));
        }
        EACH_COLUMN acc[c] = _mm512_dpbusd_epi32(acc[c], low, x4(f, c, at + 4 * j));
        EACH_COLUMN acc[c] = _mm512_dpbusd_epi32(acc[c], high, x4(f, c, at + 16 + 4 * j));
    }
}

#define FEW32(NAME, PACKED, CODES, TABLE, FIFTH, SCALES, MINIMUMS)                                                                   \
    INLINE void NAME##_n(const uint8_t *packed, int64_t groups, const struct few *f, const int NC, const bool ask)                    \
    {                                                                                                                                \
        const struct PACKED *p = (const struct PACKED *)packed;                                                                      \
        const __m512i table = TABLE;                                                                                                 \
        __m512 sum[8];                                                                                                               \
        EACH_COLUMN sum[c] = _mm512_setzero_ps();                                                                                    \
        for (int64_t b = 0, at = 0; b < groups; b++, p++, at += (int64_t)sizeof(struct act32)) {                                      \
            __m512i acc[8];                                                                                                          \
            few32_sums(f, at, p->q, (int)sizeof *p, FIFTH, table, CODES, NC, ask, acc);                                              \
            __m512 d = SCALES;                                                                                                       \
            EACH_COLUMN sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[c]), _mm512_mul_ps(d, x1(f, c, at + (int64_t)offsetof(struct act32, d))), sum[c]); \
            MINIMUMS                                                                                                                 \
        }                                                                                                                            \
        EACH_COLUMN _mm512_storeu_ps(f->y[c], sum[c]);                                                                               \
    }                                                                                                                                \
    FEW_SIZES(NAME)
#define FEW_SIZES(NAME)                                                                                                              \
    static void NAME##_2(const uint8_t *packed, int64_t n, const struct few *f) { NAME##_n(packed, n, f, 2, false); }                \
    static void NAME##_2_asking(const uint8_t *packed, int64_t n, const struct few *f) { NAME##_n(packed, n, f, 2, true); }          \
    static void NAME##_4(const uint8_t *packed, int64_t n, const struct few *f) { NAME##_n(packed, n, f, 4, true); }                 \
    static void NAME##_6(const uint8_t *packed, int64_t n, const struct few *f) { NAME##_n(packed, n, f, 6, true); }                 \
    static void NAME##_8(const uint8_t *packed, int64_t n, const struct few *f) { NAME##_n(packed, n, f, 8, true); }
#define FEW_MINIMUMS                                                                                                                 \
    __m512 m = halves16(p->m);                                                                                                       \
    EACH_COLUMN sum[c] = _mm512_fmadd_ps(m, x1(f, c, at + (int64_t)offsetof(struct act32, ds)), sum[c]);
FEW32(few_q4_0, packed_q4_0, FEW_OFFSET, _mm512_set1_epi8(128 - 8), NULL, halves16(p->d), )
FEW32(few_q4_1, packed_q4_1, FEW_OFFSET, _mm512_set1_epi8((char)128), NULL, halves16(p->d), FEW_MINIMUMS)
FEW32(few_q5_0, packed_q5_0, FEW_FIFTH_BIT, _mm512_set1_epi8(128 - 16), p->high, halves16(p->d), )
FEW32(few_q5_1, packed_q5_1, FEW_FIFTH_BIT, _mm512_set1_epi8((char)128), p->high, halves16(p->d), FEW_MINIMUMS)
FEW32(few_q8_0, packed_q8_0, FEW_BYTES, _mm512_setzero_si512(), NULL, halves16(p->d), )
FEW32(few_iq4_nl, packed_iq4_nl, FEW_TABLE, lookup_table(infer_codebook_iq4, true), NULL, halves16(p->d), )
FEW32(few_mxfp4, packed_mxfp4, FEW_TABLE, lookup_table(infer_codebook_fp4, true), NULL, powers16(p->e), )

// ---- blocks of 256 ----

#define AT256(FIELD, I) (at + (int64_t)offsetof(struct act256, FIELD) + (int64_t)sizeof(((struct act256 *)0)->FIELD[0]) * (I))

// y += d * u - dmin * (minimums . sums) * ds; minimums: lines of pairs, or none.
INLINE void few_finish256(const struct few *f, int64_t at, __m512 d, __m512 dmin, const __m512i *minimums, const int pairs, const __m512 *u, const int NC)
{
    EACH_COLUMN
    {
        __m512 v = _mm512_fmadd_ps(d, u[c], _mm512_loadu_ps(f->y[c]));
        if (pairs > 0) {
            __m512i m = _mm512_setzero_si512();
            UNROLL for (int j = 0; j < pairs; j++) m = _mm512_dpwssd_epi32(m, minimums[j], x4(f, c, pairs == 4 ? AT256(sum32, 2 * j) : AT256(sum16, 2 * j)));
            v = _mm512_fnmadd_ps(dmin, _mm512_mul_ps(_mm512_cvtepi32_ps(m), x1(f, c, at + (int64_t)offsetof(struct act256, ds))), v);
        }
        _mm512_storeu_ps(f->y[c], v);
    }
}

INLINE void few_start256(const struct few *f, const int NC) { EACH_COLUMN _mm512_storeu_ps(f->y[c], _mm512_setzero_ps()); }

// Multiplies the sums of a 64 by their scales and adds them to u.
INLINE void few_scale(const struct few *f, int64_t d_at, const __m512i *first, const __m512i *second, __m512 s0, __m512 s1, __m512 *u, const int NC)
{
    EACH_COLUMN u[c] = _mm512_fmadd_ps(and_times(second[c], s1, times(first[c], s0)), x1(f, c, d_at), u[c]);
}

INLINE __m512 unsigned_scales(const uint8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p))); }
INLINE __m512 signed_scales(const int8_t *p) { return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p))); }

#define FEW_K(NAME, PACKED, FIFTH)                                                                                                   \
    INLINE void NAME##_n(const uint8_t *packed, int64_t blocks, const struct few *f, const int NC, const bool ask)                    \
    {                                                                                                                                \
        const struct PACKED *p = (const struct PACKED *)packed;                                                                      \
        few_start256(f, NC);                                                                                                         \
        for (int64_t b = 0, at = 0; b < blocks; b++, p++, at += (int64_t)sizeof(struct act256)) {                                     \
            __m512 u[8];                                                                                                             \
            EACH_COLUMN u[c] = _mm512_setzero_ps();                                                                                  \
            for (int g = 0; g < 4; g++) {                                                                                            \
                const char *quarter = (const char *)p + g * QUARTER((int)sizeof *p);                                                 \
                __m512i first[8], second[8];                                                                                         \
                EACH_COLUMN first[c] = second[c] = _mm512_setzero_si512();                                                           \
                UNROLL for (int i = 0; i < 8; i++)                                                                                   \
                {                                                                                                                    \
                    __m512i low, high;                                                                                               \
                    split(p->q[g][i], &low, &high);                                                                                  \
                    low = few_ask(low, f, quarter, QUARTER((int)sizeof *p), i, 8, ask);                                              \
                    FIFTH                                                                                                            \
                    EACH_COLUMN first[c] = _mm512_dpbusd_epi32(first[c], low, x4(f, c, at + 64 * g + 4 * i));                        \
                    EACH_COLUMN second[c] = _mm512_dpbusd_epi32(second[c], high, x4(f, c, at + 64 * g + 32 + 4 * i));                \
                }                                                                                                                    \
                few_scale(f, AT256(d, g), first, second, unsigned_scales(p->scale[2 * g]), unsigned_scales(p->scale[2 * g + 1]), u, NC); \
            }                                                                                                                        \
            __m512i minimums[4];                                                                                                     \
            UNROLL for (int j = 0; j < 4; j++) minimums[j] = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)p->min[j]));      \
            few_finish256(f, at, halves16(p->d), halves16(p->dmin), minimums, 4, u, NC);                                             \
        }                                                                                                                            \
    }                                                                                                                                \
    FEW_SIZES(NAME)
#define FEW_FIFTH_K                                                                                                                  \
    __m512i fifth = _mm512_srl_epi16(_mm512_loadu_si512(p->high[i]), _mm_cvtsi32_si128(2 * g));                                      \
    low = _mm512_or_si512(low, _mm512_slli_epi16(_mm512_and_si512(fifth, _mm512_set1_epi8(1)), 4));                                  \
    high = _mm512_or_si512(high, _mm512_slli_epi16(_mm512_and_si512(fifth, _mm512_set1_epi8(2)), 3));
FEW_K(few_q4_k, packed_q4_k, )
FEW_K(few_q5_k, packed_q5_k, FEW_FIFTH_K)

// Weights 16i of a 64 of Q6_K: its nibbles are the low ones of a line, or the high ones; side: of the first 32 columns or the second.
INLINE __m512i few_line_q6_k(const uint8_t (*line)[64], const bool high, const int side)
{
    __m512i w = _mm512_loadu_si512(line[side]), top = _mm512_loadu_si512(line[2]);
    w = _mm512_and_si512(high ? _mm512_srli_epi16(w, 4) : w, _mm512_set1_epi8(15));
    const int left = (side ? 2 : 4) - (high ? 4 : 0); // bring the upper two bits to bit 4
    top = left > 0 ? _mm512_slli_epi16(top, (unsigned)left) : left < 0 ? _mm512_srli_epi16(top, (unsigned)-left) : top;
    return _mm512_add_epi8(_mm512_ternarylogic_epi32(w, top, _mm512_set1_epi8(0x30), 0xf8), _mm512_set1_epi8(128 - 32));
}

INLINE void few_q6_k_n(const uint8_t *packed, int64_t blocks, const struct few *f, const int NC, const bool ask)
{
    const struct packed_q6_k *p = (const struct packed_q6_k *)packed;
    const int half_bytes = (int)sizeof *p / 2;
    few_start256(f, NC);
    for (int64_t b = 0, at = 0; b < blocks; b++, p++, at += (int64_t)sizeof(struct act256)) {
        __m512 u[8];
        EACH_COLUMN u[c] = _mm512_setzero_ps();
        for (int n = 0; n < 2; n++) {
            const char *fetch = (const char *)p + n * half_bytes;
            UNROLL for (int odd = 0; odd < 2; odd++)
            {
                const int g = 2 * n + odd;
                __m512 total[8];
                UNROLL for (int half = 0; half < 2; half++)
                {
                    __m512i first[8], second[8];
                    EACH_COLUMN first[c] = x4(f, c, AT256(bias16, 4 * g + half));
                    EACH_COLUMN second[c] = x4(f, c, AT256(bias16, 4 * g + 2 + half));
                    UNROLL for (int i = 4 * half; i < 4 * half + 4; i++)
                    {
                        const int slot = 16 * odd + 2 * i;
                        __m512i w = few_ask(few_line_q6_k(p->line[n][i], odd, 0), f, fetch, half_bytes, slot, 32, ask);
                        EACH_COLUMN first[c] = _mm512_dpbusd_epi32(first[c], w, x4(f, c, at + 64 * g + 4 * i));
                        w = few_ask(few_line_q6_k(p->line[n][i], odd, 1), f, fetch, half_bytes, slot + 1, 32, ask);
                        EACH_COLUMN second[c] = _mm512_dpbusd_epi32(second[c], w, x4(f, c, at + 64 * g + 32 + 4 * i));
                    }
                    __m512 s0 = signed_scales(p->scale[4 * g + half]), s1 = signed_scales(p->scale[4 * g + 2 + half]);
                    EACH_COLUMN
                    {
                        __m512 pair = and_times(second[c], s1, times(first[c], s0));
                        total[c] = half == 0 ? pair : _mm512_add_ps(total[c], pair);
                    }
                }
                EACH_COLUMN u[c] = _mm512_fmadd_ps(total[c], x1(f, c, AT256(d, g)), u[c]);
            }
        }
        few_finish256(f, at, halves16(p->d), _mm512_setzero_ps(), NULL, 0, u, NC);
    }
}
FEW_SIZES(few_q6_k)

INLINE __m512 code_scale(const uint8_t *p, const bool minimums)
{
    __m512i s = _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
    return _mm512_cvtepi32_ps(minimums ? _mm512_and_si512(s, _mm512_set1_epi32(15)) : s);
}

// The codes of line i of 64 number g: of its first 32 columns and its second.
INLINE void few_codes(const uint8_t *p, const int bits, __m512i table, int g, int i, __m512i *first, __m512i *second)
{
    if (bits == 4) {
        split(p + 64 * (8 * g + i), first, second);
    } else {
        const int n = g / 2;
        __m512i two = _mm512_srl_epi16(_mm512_loadu_si512(p + (bits == 3 ? 512 : 0) + 64 * (8 * n + i)), _mm_cvtsi32_si128(4 * (g & 1)));
        *first = _mm512_and_si512(two, _mm512_set1_epi8(3));
        *second = _mm512_and_si512(_mm512_srli_epi16(two, 2), _mm512_set1_epi8(3));
        if (bits == 3) {
            __m512i third = _mm512_srl_epi16(_mm512_loadu_si512(p + 64 * i), _mm_cvtsi32_si128(2 * g));
            *first = _mm512_or_si512(*first, _mm512_slli_epi16(_mm512_and_si512(third, _mm512_set1_epi8(1)), 2));
            *second = _mm512_or_si512(*second, _mm512_slli_epi16(_mm512_and_si512(third, _mm512_set1_epi8(2)), 1));
        }
    }
    *first = _mm512_shuffle_epi8(table, *first);
    *second = _mm512_shuffle_epi8(table, *second);
}

INLINE void few_codes_n(const struct code_kind *k, const uint8_t *p, int64_t blocks, const struct few *f, const int bits, const bool scales16, const bool minimums, const int NC,
                        const bool ask)
{
    const __m512i table = lookup_table(k->values, !minimums);
    const int scales_at = bits == 4 ? 2048 : bits == 3 ? 1536 : 1024, d_at = scales_at + (scales16 ? 256 : 128), halves = scales16 ? 2 : 1, bytes = d_at + (minimums ? 128 : 64);
    few_start256(f, NC);
    for (int64_t b = 0, at = 0; b < blocks; b++, p += bytes, at += (int64_t)sizeof(struct act256)) {
        __m512 u[8];
        EACH_COLUMN u[c] = _mm512_setzero_ps();
        for (int g = 0; g < 4; g++) {
            const uint8_t *quarter = p + g * QUARTER(bytes);
            __m512 total[8];
            UNROLL for (int half = 0; half < halves; half++)
            {
                __m512i first[8], second[8];
                EACH_COLUMN first[c] = minimums ? _mm512_setzero_si512() : x4(f, c, scales16 ? AT256(bias16, 4 * g + half) : AT256(bias32, 2 * g));
                EACH_COLUMN second[c] = minimums ? _mm512_setzero_si512() : x4(f, c, scales16 ? AT256(bias16, 4 * g + 2 + half) : AT256(bias32, 2 * g + 1));
                UNROLL for (int i = 8 / halves * half; i < 8 / halves * (half + 1); i++)
                {
                    __m512i w0, w1;
                    few_codes(p, bits, table, g, i, &w0, &w1);
                    w0 = few_ask(w0, f, quarter, QUARTER(bytes), i, 8, ask);
                    EACH_COLUMN first[c] = _mm512_dpbusd_epi32(first[c], w0, x4(f, c, at + 64 * g + 4 * i));
                    EACH_COLUMN second[c] = _mm512_dpbusd_epi32(second[c], w1, x4(f, c, at + 64 * g + 32 + 4 * i));
                }
                const uint8_t *scales = p + scales_at + 32 * halves * g;
                __m512 s0 = code_scale(scales + 16 * half, minimums), s1 = code_scale(scales + 16 * (halves + half), minimums);
                EACH_COLUMN
                {
                    __m512 pair = and_times(second[c], s1, times(first[c], s0));
                    total[c] = half == 0 ? pair : _mm512_add_ps(total[c], pair);
                }
            }
            EACH_COLUMN u[c] = _mm512_fmadd_ps(total[c], x1(f, c, AT256(d, g)), u[c]);
        }
        __m512i pairs[8];
        if (minimums)
            UNROLL for (int j = 0; j < 8; j++) pairs[j] = minimums_q2_k(p + scales_at, j);
        few_finish256(f, at, _mm512_loadu_ps((const void *)(p + d_at)), minimums ? _mm512_loadu_ps((const void *)(p + d_at + 64)) : _mm512_setzero_ps(), pairs,
                      minimums ? 8 : 0, u, NC);
    }
}

#define FEW_CODES(NAME, KIND, BITS, SCALES16, MINIMUMS)                                                                              \
    INLINE void NAME##_n(const uint8_t *packed, int64_t n, const struct few *f, const int NC, const bool ask)                        \
    {                                                                                                                                \
        few_codes_n(infer_code_kind(KIND), packed, n, f, BITS, SCALES16, MINIMUMS, NC, ask);                                         \
    }                                                                                                                                \
    FEW_SIZES(NAME)
FEW_CODES(few_q2_k, INFER_DTYPE_Q2_K, 2, true, true)
FEW_CODES(few_q3_k, INFER_DTYPE_Q3_K, 3, true, false)
FEW_CODES(few_ternary, INFER_DTYPE_TQ2_0, 2, false, false)
FEW_CODES(few_iq1_s, INFER_DTYPE_IQ1_S, 3, false, false)
FEW_CODES(few_iq1_m, INFER_DTYPE_IQ1_M, 3, true, false)
FEW_CODES(few_iq2_xxs, INFER_DTYPE_IQ2_XXS, 3, false, false)
FEW_CODES(few_iq2_xs, INFER_DTYPE_IQ2_XS, 3, true, false)
FEW_CODES(few_iq3_xxs, INFER_DTYPE_IQ3_XXS, 4, false, false)
FEW_CODES(few_iq3_s, INFER_DTYPE_IQ3_S, 4, false, false)
FEW_CODES(few_iq4_xs, INFER_DTYPE_IQ4_XS, 4, false, false)

// ---- choice ----

typedef void few_fn(const uint8_t *packed, int64_t blocks, const struct few *f);

#define FEW_ROW(NAME) \
    {NAME##_2, NAME##_4, NAME##_6, NAME##_8, NAME##_2_asking}
static few_fn *const few_table[][5] = {
    FEW_ROW(few_q4_0), FEW_ROW(few_q4_1), FEW_ROW(few_q5_0), FEW_ROW(few_q5_1), FEW_ROW(few_q8_0), FEW_ROW(few_iq4_nl), FEW_ROW(few_mxfp4),
    FEW_ROW(few_q4_k), FEW_ROW(few_q5_k), FEW_ROW(few_q6_k), FEW_ROW(few_q2_k), FEW_ROW(few_q3_k), FEW_ROW(few_ternary), FEW_ROW(few_iq1_s),
    FEW_ROW(few_iq1_m), FEW_ROW(few_iq2_xxs), FEW_ROW(few_iq2_xs), FEW_ROW(few_iq3_xxs), FEW_ROW(few_iq3_s), FEW_ROW(few_iq4_xs),
};

static few_fn *const *few_of(enum infer_dtype t)
{
    switch (t) {
    case INFER_DTYPE_Q4_0: return few_table[0];
    case INFER_DTYPE_Q4_1: return few_table[1];
    case INFER_DTYPE_Q5_0: return few_table[2];
    case INFER_DTYPE_Q5_1: return few_table[3];
    case INFER_DTYPE_Q8_0: return few_table[4];
    case INFER_DTYPE_IQ4_NL: return few_table[5];
    case INFER_DTYPE_MXFP4: return few_table[6];
    case INFER_DTYPE_Q4_K: return few_table[7];
    case INFER_DTYPE_Q5_K: return few_table[8];
    case INFER_DTYPE_Q6_K: return few_table[9];
    case INFER_DTYPE_Q2_K: return few_table[10];
    case INFER_DTYPE_Q3_K: return few_table[11];
    case INFER_DTYPE_IQ1_S: return few_table[13];
    case INFER_DTYPE_IQ1_M: return few_table[14];
    case INFER_DTYPE_IQ2_XXS: return few_table[15];
    case INFER_DTYPE_IQ2_XS:
    case INFER_DTYPE_IQ2_S: return few_table[16];
    case INFER_DTYPE_IQ3_XXS: return few_table[17];
    case INFER_DTYPE_IQ3_S: return few_table[18];
    case INFER_DTYPE_IQ4_XS: return few_table[19];
    default: return few_table[12];
    }
}

// All columns of x against one panel.
static void few_columns(enum infer_dtype t, const uint8_t *packed, int64_t blocks, const struct columns *x, float *y, int64_t y_stride)
{
    few_fn *const *sizes = few_of(t);
    const bool early = prefetchers_stop_early();
    float dropped[16];
    for (int64_t first = 0; first < x->count; first += 8) {
        int count = x->count - first < 8 ? (int)(x->count - first) : 8, even = (count + 1) / 2 * 2;
        struct few f = {.ahead = far_ahead(t, even)};
        for (int c = 0; c < even; c++) {
            f.x[c] = column(x, first + (c < count ? c : count - 1));
            f.y[c] = c < count ? y + (first + c) * y_stride : dropped;
        }
        sizes[even == 2 && early ? 4 : even / 2 - 1](packed, blocks, &f);
    }
}
