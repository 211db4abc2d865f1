// cpu_avx512_one.h - part of cpu_avx512_amd64.c: products of one column, straight from interleaved weights. Each line is read once and
// unpacked in registers; nothing is stored on the way. Bound by memory, so that what counts is how far ahead lines are asked for.

#define ONE_SIZES(NAME)                                                                                                                      \
    static void NAME##_plain(const uint8_t *packed, int64_t n, const uint8_t *x, float *y) { NAME##_n(packed, n, x, y, false); }              \
    static void NAME##_asking(const uint8_t *packed, int64_t n, const uint8_t *x, float *y) { NAME##_n(packed, n, x, y, true); }

#define ONE32(NAME, PACKED, TABLE, SCALES, OFFSET, CODES, MINIMUM)                                                                          \
    INLINE void NAME##_n(const uint8_t *packed, int64_t groups, const uint8_t *x, float *y, const bool ask)                  \
    {                                                                                                                        \
        const struct PACKED *p = (const struct PACKED *)packed;                                                              \
        const struct act32 *a = (const struct act32 *)x;                                                                     \
        const __m512i add = _mm512_set1_epi8((char)(OFFSET)), table = TABLE;                                                 \
        (void)add, (void)table;                                                                                              \
        __m512 f = _mm512_setzero_ps();                                                                                      \
        for (int64_t b = 0; b < groups; b++, p++, a++) {                                                                     \
            __m512i s0 = _mm512_set1_epi32(a->bias), s1 = _mm512_setzero_si512();                                            \
            UNROLL for (int j = 0; j < 4; j++)                                                                               \
            {                                                                                                                \
                __m512i low, high;                                                                                           \
                split(p->q[j], &low, &high);                                                                                 \
                low = near_ahead(low, p, (int)sizeof *p, j, 4, ask);                                                         \
                CODES                                                                                                        \
                s0 = _mm512_dpbusd_epi32(s0, low, broadcast4(a->q + 4 * j));                                                 \
                s1 = _mm512_dpbusd_epi32(s1, high, broadcast4(a->q + 16 + 4 * j));                                           \
            }                                                                                                                \
            f = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(s0, s1)), _mm512_mul_ps(SCALES, _mm512_set1_ps(a->d)), f); \
            MINIMUM                                                                                                          \
        }                                                                                                                    \
        _mm512_storeu_ps(y, f);                                                                                              \
    }                                                                                                                        \
    ONE_SIZES(NAME)
#define ADD_OFFSET low = _mm512_add_epi8(low, add), high = _mm512_add_epi8(high, add);
#define LOOK_UP low = _mm512_shuffle_epi8(table, low), high = _mm512_shuffle_epi8(table, high);
#define NO_TABLE _mm512_setzero_si512()
#define FIFTH_BIT                                                                   \
    ADD_OFFSET                                                                      \
    low = _mm512_mask_add_epi8(low, p->high[j], low, _mm512_set1_epi8(16));         \
    high = _mm512_mask_add_epi8(high, p->high[4 + j], high, _mm512_set1_epi8(16));
#define ADD_MINIMUM f = _mm512_fmadd_ps(halves16(p->m), _mm512_set1_ps(a->ds), f);
ONE32(one_q4_0, packed_q4_0, NO_TABLE, halves16(p->d), 128 - 8, ADD_OFFSET, )
ONE32(one_q4_1, packed_q4_1, NO_TABLE, halves16(p->d), 128, ADD_OFFSET, ADD_MINIMUM)
ONE32(one_q5_0, packed_q5_0, NO_TABLE, halves16(p->d), 128 - 16, FIFTH_BIT, )
ONE32(one_q5_1, packed_q5_1, NO_TABLE, halves16(p->d), 128, FIFTH_BIT, ADD_MINIMUM)
ONE32(one_iq4_nl, packed_iq4_nl, lookup_table(infer_codebook_iq4, true), halves16(p->d), 0, LOOK_UP, )
ONE32(one_mxfp4, packed_mxfp4, lookup_table(infer_codebook_fp4, true), powers16(p->e), 0, LOOK_UP, )

INLINE void one_q8_0_n(const uint8_t *packed, int64_t groups, const uint8_t *x, float *y, const bool ask)
{
    const struct packed_q8_0 *p = (const struct packed_q8_0 *)packed;
    const struct act32 *a = (const struct act32 *)x;
    __m512 f = _mm512_setzero_ps();
    for (int64_t b = 0; b < groups; b++, p++, a++) {
        __m512i s0 = _mm512_set1_epi32(a->bias), s1 = _mm512_setzero_si512();
        UNROLL for (int k = 0; k < 8; k += 2)
        {
            __m512i w0 = near_ahead(_mm512_loadu_si512(p->q[k]), p, (int)sizeof *p, k, 8, ask);
            __m512i w1 = near_ahead(_mm512_loadu_si512(p->q[k + 1]), p, (int)sizeof *p, k + 1, 8, ask);
            s0 = _mm512_dpbusd_epi32(s0, w0, broadcast4(a->q + 4 * k));
            s1 = _mm512_dpbusd_epi32(s1, w1, broadcast4(a->q + 4 * k + 4));
        }
        f = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_add_epi32(s0, s1)), _mm512_mul_ps(halves16(p->d), _mm512_set1_ps(a->d)), f);
    }
    _mm512_storeu_ps(y, f);
}
ONE_SIZES(one_q8_0)

INLINE __m512i minimums_k(const uint8_t (*min)[16][2], const struct act256 *a)
{
    __m512i m = _mm512_setzero_si512();
    UNROLL for (int j = 0; j < 4; j++)
        m = _mm512_dpwssd_epi32(m, _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)min[j])), broadcast4(a->sum32 + 2 * j));
    return m;
}

INLINE __m512i scaled(__m512i sum, const uint8_t *scale) { return _mm512_mullo_epi32(sum, _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)scale))); }

#define ONE_K(NAME, PACKED, SETUP, FIFTH)                                                                                                    \
    INLINE void NAME##_n(const uint8_t *packed, int64_t blocks, const uint8_t *x, float *y, const bool ask)                           \
    {                                                                                                                                 \
        const struct PACKED *p = (const struct PACKED *)packed;                                                                       \
        const struct act256 *a = (const struct act256 *)x;                                                                            \
        __m512 f = _mm512_setzero_ps();                                                                                               \
        for (int64_t b = 0; b < blocks; b++, p++, a++) {                                                                              \
            __m512 u = _mm512_setzero_ps();                                                                                           \
            SETUP                                                                                                                     \
            UNROLL for (int c = 0; c < 4; c++)                                                                                        \
            {                                                                                                                         \
                __m512i s0 = _mm512_setzero_si512(), s1 = s0;                                                                         \
                UNROLL for (int i = 0; i < 8; i++)                                                                                    \
                {                                                                                                                     \
                    __m512i low, high;                                                                                                \
                    split(p->q[c][i], &low, &high);                                                                                   \
                    low = near_ahead(low, p, (int)sizeof *p, 8 * c + i, 32, ask);                                                     \
                    FIFTH                                                                                                             \
                    s0 = _mm512_dpbusd_epi32(s0, low, broadcast4(a->q + 64 * c + 4 * i));                                             \
                    s1 = _mm512_dpbusd_epi32(s1, high, broadcast4(a->q + 64 * c + 32 + 4 * i));                                       \
                }                                                                                                                     \
                __m512i total = _mm512_add_epi32(scaled(s0, p->scale[2 * c]), scaled(s1, p->scale[2 * c + 1]));                       \
                u = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), _mm512_set1_ps(a->d[c]), u);                                           \
            }                                                                                                                         \
            f = _mm512_fmadd_ps(halves16(p->d), u, f);                                                                                \
            f = _mm512_fnmadd_ps(halves16(p->dmin), _mm512_mul_ps(_mm512_cvtepi32_ps(minimums_k(p->min, a)), _mm512_set1_ps(a->ds)), f); \
        }                                                                                                                             \
        _mm512_storeu_ps(y, f);                                                                                                       \
    }                                                                                                                                 \
    ONE_SIZES(NAME)
#define FIFTH_BIT_K                                                                                                                  \
    low = _mm512_mask_add_epi8(low, _mm512_test_epi8_mask(fifth[i], _mm512_set1_epi8((char)(1 << (2 * c)))), low, _mm512_set1_epi8(16)); \
    high = _mm512_mask_add_epi8(high, _mm512_test_epi8_mask(fifth[i], _mm512_set1_epi8((char)(2 << (2 * c)))), high, _mm512_set1_epi8(16));
#define LOAD_FIFTH      \
    __m512i fifth[8];   \
    UNROLL for (int i = 0; i < 8; i++) fifth[i] = _mm512_loadu_si512(p->high[i]);
ONE_K(one_q4_k, packed_q4_k, , )
ONE_K(one_q5_k, packed_q5_k, LOAD_FIFTH, FIFTH_BIT_K)

INLINE void one_q6_k_n(const uint8_t *packed, int64_t blocks, const uint8_t *x, float *y, const bool ask)
{
    const struct packed_q6_k *p = (const struct packed_q6_k *)packed;
    const struct act256 *a = (const struct act256 *)x;
    const __m512i two = _mm512_set1_epi8(0x30), add = _mm512_set1_epi8(128 - 32);
    __m512 f = _mm512_setzero_ps();
    for (int64_t b = 0; b < blocks; b++, p++, a++) {
        __m512 u = _mm512_setzero_ps();
        UNROLL for (int n = 0; n < 2; n++)
        {
            __m512i total[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
            UNROLL for (int half = 0; half < 2; half++) // lines 0..3, then 4..7: columns 0..15 and 16..31 of each 32
            {
                __m512i sum[4];
                UNROLL for (int j = 0; j < 4; j++) sum[j] = _mm512_set1_epi32(a->bias16[8 * n + 2 * j + half]);
                UNROLL for (int i = 4 * half; i < 4 * half + 4; i++)
                {
                    __m512i top = _mm512_loadu_si512(p->line[n][i][2]), w[4];
                    split(p->line[n][i][0], &w[0], &w[2]);
                    split(p->line[n][i][1], &w[1], &w[3]);
                    UNROLL for (int j = 0; j < 4; j++) w[j] = near_ahead(w[j], p, (int)sizeof *p, 32 * n + 4 * i + j, 64, ask);
                    w[0] = _mm512_or_si512(w[0], _mm512_and_si512(_mm512_slli_epi16(top, 4), two));
                    w[1] = _mm512_or_si512(w[1], _mm512_and_si512(_mm512_slli_epi16(top, 2), two));
                    w[2] = _mm512_or_si512(w[2], _mm512_and_si512(top, two));
                    w[3] = _mm512_or_si512(w[3], _mm512_and_si512(_mm512_srli_epi16(top, 2), two));
                    UNROLL for (int j = 0; j < 4; j++)
                        sum[j] = _mm512_dpbusd_epi32(sum[j], _mm512_add_epi8(w[j], add), broadcast4(a->q + 128 * n + 32 * j + 4 * i));
                }
                UNROLL for (int j = 0; j < 4; j++)
                    total[j / 2] = _mm512_add_epi32(total[j / 2], _mm512_mullo_epi32(sum[j], _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p->scale[8 * n + 2 * j + half]))));
            }
            u = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[0]), _mm512_set1_ps(a->d[2 * n]), u);
            u = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total[1]), _mm512_set1_ps(a->d[2 * n + 1]), u);
        }
        f = _mm512_fmadd_ps(halves16(p->d), u, f);
    }
    _mm512_storeu_ps(y, f);
}
ONE_SIZES(one_q6_k)

#define ONE_CASE(TYPE, NAME) \
    case INFER_DTYPE_##TYPE: (ask ? NAME##_asking : NAME##_plain)(packed, blocks, x, y); return;
static void one_column(enum infer_dtype t, const uint8_t *packed, int64_t blocks, const uint8_t *x, float *y)
{
    const bool ask = prefetchers_stop_early();
    switch (t) {
        ONE_CASE(Q4_0, one_q4_0)
        ONE_CASE(Q4_1, one_q4_1)
        ONE_CASE(Q5_0, one_q5_0)
        ONE_CASE(Q5_1, one_q5_1)
        ONE_CASE(Q8_0, one_q8_0)
        ONE_CASE(Q4_K, one_q4_k)
        ONE_CASE(Q5_K, one_q5_k)
        ONE_CASE(Q6_K, one_q6_k)
        ONE_CASE(IQ4_NL, one_iq4_nl)
        ONE_CASE(MXFP4, one_mxfp4)
    default: one_codes(infer_code_kind(t), packed, blocks, x, y, ask);
    }
}
