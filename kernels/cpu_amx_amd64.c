// cpu_amx_amd64.c - integer products by the matrix unit (AMX), for the variant amx.
//
// A product runs in slices of 256 weight columns. Of each slice the panels are unpacked to 8 bits, as tiles of 16 rows by 64 columns;
// then tiles of up to 16 activation columns pass, each gathered once for all panels. The unit's integer sums go through the
// first-level cache to vectors, which do the float steps in the order of the other variants. While vectors work on one step's sums
// the unit computes the next one's: its instructions run in their order, so the next step's are issued before this one's are stored.

#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")

#include <stdatomic.h>
#include <stddef.h>

#include "cpu_amx.h"
#include "cpu_amx_tiles.h"
#include "cpu_avx512_unpack.h"

#ifdef __linux__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

// ---- detection ----

#ifdef __linux__
#define ARCH_REQ_XCOMP_PERM 0x1023
#define XFEATURE_XTILEDATA 18

static bool processor_has_amx(void)
{
    const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25, osxsave = 1u << 27;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave))
        return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (bf16 | tile | int8)) != (bf16 | tile | int8))
        return false;
    unsigned enabled, high;
    __asm__ volatile("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
    if ((enabled >> 17 & 3) != 3) // the system saves shapes and registers
        return false;
    // Palette 1: 8 registers of 16 rows of 64 bytes.
    return __get_cpuid_count(0x1d, 1, &a, &b, &c, &d) && a >> 16 == TILE_BYTES && b >> 16 >= 8 && (b & 0xffff) == 64 && (c & 0xffff) == 16;
}

bool infer_amx_supported(void)
{
    static atomic_int known; // 0: not asked yet, 1: no, 2: yes
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        answer = processor_has_amx() && syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 ? 2 : 1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer == 2;
}
#else
bool infer_amx_supported(void) { return false; }
#endif

// ---- a slice ----

#define SLICE_GROUPS 8 // of 32 columns

// 16 rows of a slice of the 256 family. Each weight is multiplied by its scale, of 16 or 32 columns, and cut in two bytes:
// scale*q = 256*high + low. So 64 columns are one step whatever their scales; where scale*q fits in a byte, low is signed and all there is.
struct block256 {
    uint8_t low[4][16][64];
    int8_t high[4][16][64];
    float d[16], dmin[16];
    int16_t min[8][16][2];
};

// Up to 16 activation columns of a slice.
struct columns256 {
    int8_t q[4][16][64];
    float d[16][4];
    float ds[16];         // what is left is as in act256
    int16_t sum16[16][16];
    int16_t sum32[16][8];
};
struct columns32 {
    int8_t q[4][16][64]; // a line: two groups of 32
    float d[16][SLICE_GROUPS], ds[16][SLICE_GROUPS];
};

struct work {
    union {
        struct block256 blocks[PRODUCT_PANELS];
        struct panel32 groups[PRODUCT_PANELS][SLICE_GROUPS]; // q without the 128
    };
    union {
        struct columns256 of256[2];
        struct columns32 of32[2];
    };
    uint8_t sums[4][TILE_BYTES]; // of registers 0 to 3
    float minimums[16][16]; // of each column: minimums . sums * ds
    struct panel256 panel;
};

struct slice {
    struct work *work;
    const struct columns *x;
    int64_t at;       // bytes from a column's start to the slice
    const uint8_t *tiles; // the slice of the first tile, where columns lie as tiles already
    int64_t first;    // group of a tile at which the slice begins, of 32 columns
    int32_t tile;     // activation columns of each tile; the last one's may be fewer
    int32_t tile_count;
    int64_t panels, groups;
    float *y;         // of the first panel and column
    int64_t y_stride;
    __mmask16 again;  // 0 in the first slice: y has nothing yet
    struct panel_kind kind;
};

// Has v computed here: compilers would move arithmetic past the unit's instructions, and keep in memory what it waits for.
#define HERE(v) __asm__ volatile("" : "+v"(v))

INLINE int32_t columns_of(const struct slice *s, int32_t tile)
{
    int32_t left = s->x->count - tile * s->tile;
    return left < s->tile ? left : s->tile;
}

// A panel by a tile of columns: each tile meets all panels, which stay in the first-level cache, before the next one.
struct unit {
    int32_t tile;
    int64_t panel; // s->panels: there is no unit
};

INLINE struct unit next_unit(const struct slice *s, struct unit n)
{
    if (n.panel + 1 < s->panels)
        return (struct unit){n.tile, n.panel + 1};
    return n.tile + 1 < s->tile_count ? (struct unit){n.tile + 1, 0} : (struct unit){n.tile, s->panels};
}

// Where a tile of columns is: in the tiles that came, or in one of two buffers.
INLINE const void *tile_at(const struct slice *s, int32_t tile, const void *buffers, int64_t bytes)
{
    return s->tiles ? s->tiles + tile * s->x->tile_stride : (const uint8_t *)buffers + tile % 2 * bytes;
}

// While a unit runs, a share of the next tile's columns is gathered: from this one on.
INLINE int32_t gathered(const struct slice *s, int32_t tile, int64_t panel)
{
    return tile + 1 < s->tile_count ? (int32_t)(columns_of(s, tile + 1) * panel / s->panels) : 0;
}

// Where tiles come ready, a share of the next one is asked for instead: all columns of a long weight are more than the second-level cache holds.
INLINE void ask_for(const struct slice *s, struct unit n, int64_t bytes)
{
    if (n.tile + 1 == s->tile_count)
        return;
    const char *next = tile_at(s, n.tile + 1, NULL, 0);
    for (int64_t i = bytes * n.panel / s->panels / 64 * 64; i < bytes * (n.panel + 1) / s->panels; i += 64)
        _mm_prefetch(next + i, _MM_HINT_T0);
}

INLINE float *y_of(const struct slice *s, struct unit n) { return s->y + (int64_t)n.tile * s->tile * s->y_stride + n.panel * PANEL_ROWS; }

// ---- 256 columns with one scale, or more than one ----

// Sums become floats by addition: as the last bits of LOW_START their steps are 1, of HIGH_START 256. Neither leaves its binade: sums of
// 64 products of bytes are below 2^22. While the matrix unit works, a core converts and multiplies half as fast, but adds as ever.
#define LOW_START 0x1.8p23f
#define HIGH_START 0x1.8p31f

// Starts the sums of 64 columns, in registers 2*set and 2*set + 1.
INLINE void multiply64(const struct block256 *w, const struct columns256 *x, const int g, const int set, const bool two)
{
    if (set == 0) {
        TILE_LOAD(4, x->q[g], 64);
        TILE_ZERO(0);
        TILE_LOAD(6, w->low[g], 64);
        if (!two) {
            TILE_DOT_SIGNED(0, 4, 6);
            return;
        }
        TILE_DOT_UNSIGNED(0, 4, 6);
        TILE_ZERO(1);
        TILE_LOAD(7, w->high[g], 64);
        TILE_DOT_SIGNED(1, 4, 7);
    } else {
        TILE_LOAD(5, x->q[g], 64);
        TILE_ZERO(2);
        TILE_LOAD(6, w->low[g], 64);
        if (!two) {
            TILE_DOT_SIGNED(2, 5, 6);
            return;
        }
        TILE_DOT_UNSIGNED(2, 5, 6);
        TILE_ZERO(3);
        TILE_LOAD(7, w->high[g], 64);
        TILE_DOT_SIGNED(3, 5, 7);
    }
}

INLINE void store64(uint8_t (*sums)[TILE_BYTES], const int set, const bool two)
{
    if (set == 0) {
        TILE_STORE(0, sums[0], 64);
        if (two)
            TILE_STORE(1, sums[1], 64);
    } else {
        TILE_STORE(2, sums[2], 64);
        if (two)
            TILE_STORE(3, sums[3], 64);
    }
}

INLINE __m512 sum_from(const uint8_t *sums, float start) { return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_load_si512(sums), _mm512_castps_si512(_mm512_set1_ps(start)))); }

// u += sum of 64 columns * their activations' scale. The sum is rounded once, as the integer's conversion would.
INLINE void weigh64(__m512 *u, uint8_t (*sums)[TILE_BYTES], const struct columns256 *x, const int g, const int set, const bool two, const int NC)
{
    UNROLL for (int c = 0; c < NC; c++)
    {
        __m512 total = sum_from(sums[2 * set] + 64 * c, LOW_START);
        if (two) // the difference is a multiple of 256, and exact
            total = _mm512_add_ps(_mm512_sub_ps(sum_from(sums[2 * set + 1] + 64 * c, HIGH_START), _mm512_set1_ps(HIGH_START + LOW_START)), total);
        else
            total = _mm512_sub_ps(total, _mm512_set1_ps(LOW_START));
        u[c] = _mm512_fmadd_ps(total, _mm512_set1_ps(x->d[c][g]), u[c]);
        HERE(u[c]);
    }
}

// y += d * u - dmin * minimums
INLINE void finish256(const struct block256 *w, const __m512 *u, const float (*minimums)[16], __mmask16 again, float *y, int64_t y_stride, int32_t have, const int NC)
{
    __m512 d = _mm512_load_ps(w->d), dmin = _mm512_load_ps(w->dmin);
    UNROLL for (int c = 0; c < NC; c++)
    {
        if (c >= have)
            break;
        __m512 f = _mm512_fmadd_ps(d, u[c], _mm512_maskz_loadu_ps(again, y + c * y_stride));
        if (minimums)
            f = _mm512_fnmadd_ps(dmin, _mm512_load_ps(minimums[c]), f);
        _mm512_storeu_ps(y + c * y_stride, f);
    }
}

// What minimums take away, before their scale: of columns from..to. A few at a time, between other steps: they want the port that multiplies.
INLINE void take_minimums(const struct block256 *w, const struct columns256 *x, float (*out)[16], const int from, const int to, const int lines)
{
    UNROLL for (int c = from; lines > 0 && c < to; c++)
    {
        __m512i m = _mm512_setzero_si512();
        UNROLL for (int j = 0; j < lines; j++) m = _mm512_dpwssd_epi32(m, _mm512_load_si512(w->min[j]), broadcast4((lines == 4 ? x->sum32[c] : x->sum16[c]) + 2 * j));
        _mm512_store_ps(out[c], _mm512_mul_ps(_mm512_cvtepi32_ps(m), _mm512_set1_ps(x->ds[c])));
    }
}

INLINE void put_column256(const struct act256 *a, struct columns256 *out, int64_t c)
{
    UNROLL for (int g = 0; g < 4; g++) _mm512_store_si512(out->q[g][c], _mm512_loadu_si512(a->q + 64 * g));
    _mm_store_ps(out->d[c], _mm_loadu_ps(a->d));
    out->ds[c] = a->ds;
    memcpy(out->sum16[c], a->sum16, sizeof a->sum16);
    memcpy(out->sum32[c], a->sum32, sizeof a->sum32);
}

// Columns from..to of a tile.
INLINE void gather256(const struct slice *s, int32_t tile, int32_t from, int32_t to, struct columns256 *out)
{
    for (int32_t c = from; c < to; c++)
        put_column256((const struct act256 *)((const uint8_t *)column(s->x, (int64_t)tile * s->tile + c) + s->at), out, c);
}

// Steps of 64 columns, panel by panel and tile by tile. While one is weighed, the sums of the second next are begun and those of the
// next are stored: vectors would wait for what is stored just before. Behind the last panel its own steps run again, for nothing.
INLINE void slice256(const struct slice *s, const bool two, const int minimum_lines, const int NC)
{
    struct work *k = s->work;
    const int64_t y_stride = s->y_stride;
    const struct columns256 *x = tile_at(s, 0, k->of256, sizeof *x);
    if (!s->tiles)
        gather256(s, 0, 0, columns_of(s, 0), &k->of256[0]);
    multiply64(&k->blocks[0], x, 0, 0, two);
    multiply64(&k->blocks[0], x, 1, 1, two);
    store64(k->sums, 0, two);
    for (struct unit n = {0, 0}; n.panel < s->panels;) {
        const struct unit following = next_unit(s, n);
        const struct columns256 *with = tile_at(s, following.tile, k->of256, sizeof *x);
        const struct block256 *w = &k->blocks[n.panel], *next = &k->blocks[following.panel < s->panels ? following.panel : n.panel];
        __m512 u[16];
        UNROLL for (int c = 0; c < NC; c++) u[c] = _mm512_setzero_ps();
        multiply64(w, x, 2, 0, two);
        store64(k->sums, 1, two);
        weigh64(u, k->sums, x, 0, 0, two, NC);
        take_minimums(w, x, k->minimums, NC / 4 * 0, NC / 4 * 1, minimum_lines);
        multiply64(w, x, 3, 1, two);
        store64(k->sums, 0, two);
        weigh64(u, k->sums, x, 1, 1, two, NC);
        take_minimums(w, x, k->minimums, NC / 4 * 1, NC / 4 * 2, minimum_lines);
        if (s->tiles)
            ask_for(s, n, sizeof *x);
        else
            gather256(s, n.tile + 1, gathered(s, n.tile, n.panel), gathered(s, n.tile, n.panel + 1), &k->of256[(n.tile + 1) % 2]);
        multiply64(next, with, 0, 0, two);
        store64(k->sums, 1, two);
        weigh64(u, k->sums, x, 2, 0, two, NC);
        take_minimums(w, x, k->minimums, NC / 4 * 2, NC / 4 * 3, minimum_lines);
        multiply64(next, with, 1, 1, two);
        store64(k->sums, 0, two);
        weigh64(u, k->sums, x, 3, 1, two, NC);
        take_minimums(w, x, k->minimums, NC / 4 * 3, NC / 4 * 4, minimum_lines);
        finish256(w, u, minimum_lines > 0 ? k->minimums : NULL, s->again, y_of(s, n), y_stride, columns_of(s, n.tile), NC);
        x = with;
        n = following;
    }
}

// ---- a scale every 32 columns ----

static const float start_sum[16] __attribute__((aligned(64))) = {LOW_START, LOW_START, LOW_START, LOW_START, LOW_START, LOW_START, LOW_START, LOW_START,
                                                                LOW_START, LOW_START, LOW_START, LOW_START, LOW_START, LOW_START, LOW_START, LOW_START};

// Starts the sums of group t of a panel with group g of the columns, in a register.
#define MULTIPLY32(R, A, B, Q, W)     \
    do {                              \
        TILE_LOAD(R, start_sum, 0);   \
        TILE_LOAD(A, Q, 64);          \
        TILE_LOAD(B, W, 64);          \
        TILE_DOT_SIGNED(R, A, B);     \
    } while (0)

INLINE const int8_t *group_q(const struct columns32 *x, int64_t g) { return x->q[g / 2][0] + 32 * (g % 2); }

// In the register of that number: of the group w and the columns' group g.
INLINE void multiply32(const struct panel32 *w, const struct columns32 *x, int64_t g, const int set)
{
    const int8_t *q = group_q(x, g);
    switch (set) {
    case 0: MULTIPLY32(0, 4, 6, q, w->q[0]); break;
    case 1: MULTIPLY32(1, 5, 7, q, w->q[0]); break;
    case 2: MULTIPLY32(2, 4, 6, q, w->q[0]); break;
    default: MULTIPLY32(3, 5, 7, q, w->q[0]);
    }
}

INLINE void store32(uint8_t (*sums)[TILE_BYTES], const int set)
{
    switch (set) {
    case 0: TILE_STORE(0, sums[0], 64); break;
    case 1: TILE_STORE(1, sums[1], 64); break;
    case 2: TILE_STORE(2, sums[2], 64); break;
    default: TILE_STORE(3, sums[3], 64);
    }
}

// f += sum * (d * dx), then + m * ds: columns from..to.
INLINE void weigh32(__m512 *f, const uint8_t *sums, const struct panel32 *w, const struct columns32 *x, int64_t g, const bool minimums, const int from, const int to)
{
    __m512 d = _mm512_load_ps(w->d[0]), m = _mm512_load_ps(w->m);
    UNROLL for (int c = from; c < to; c++)
    {
        __m512 sum = _mm512_sub_ps(_mm512_load_ps((const float *)(sums + 64 * c)), _mm512_set1_ps(LOW_START));
        f[c] = _mm512_fmadd_ps(sum, _mm512_mul_ps(d, _mm512_set1_ps(x->d[c][g])), f[c]);
        if (minimums)
            f[c] = _mm512_fmadd_ps(m, _mm512_set1_ps(x->ds[c][g]), f[c]);
        HERE(f[c]);
    }
}

INLINE void put_column32(const struct act32 *a, int64_t groups, struct columns32 *out, int64_t first, int64_t c)
{
    for (int64_t g = 0; g < groups; g++) {
        int64_t to = first + g;
        _mm256_store_si256((void *)(out->q[to / 2][c] + 32 * (to % 2)), _mm256_loadu_si256((const void *)a[g].q));
        out->d[c][to] = a[g].d;
        out->ds[c][to] = a[g].ds;
    }
}

INLINE void gather32(const struct slice *s, int32_t tile, int32_t from, int32_t to, struct columns32 *out)
{
    for (int32_t c = from; c < to; c++)
        put_column32((const struct act32 *)((const uint8_t *)column(s->x, (int64_t)tile * s->tile + c) + s->at), s->groups, out, s->first, c);
}

// Steps of one group, as slice256's, but that three are begun ahead, each in a register of its own. groups: 4 or 8.
INLINE void slice32(const struct slice *s, const bool minimums, const int NC)
{
    struct work *k = s->work;
    const int64_t y_stride = s->y_stride, groups = s->groups;
    const int half = NC / 2;
    const struct columns32 *x = tile_at(s, 0, k->of32, sizeof *x);
    if (!s->tiles)
        gather32(s, 0, 0, columns_of(s, 0), &k->of32[0]);
    multiply32(&k->groups[0][0], x, 0, 0);
    multiply32(&k->groups[0][1], x, 1, 1);
    multiply32(&k->groups[0][2], x, 2, 2);
    store32(k->sums, 0);
    store32(k->sums, 1);
    for (struct unit n = {0, 0}; n.panel < s->panels;) {
        const struct unit following = next_unit(s, n);
        const struct columns32 *with = tile_at(s, following.tile, k->of32, sizeof *x);
        const struct panel32 *w = k->groups[n.panel], *next = k->groups[following.panel < s->panels ? following.panel : n.panel];
        const int32_t have = columns_of(s, n.tile);
        float *y = y_of(s, n);
        __m512 f[16];
        UNROLL for (int c = 0; c < NC; c++) f[c] = _mm512_maskz_loadu_ps(c < have ? s->again : 0, y + c * y_stride);
        if (s->tiles)
            ask_for(s, n, sizeof *x);
        else
            gather32(s, n.tile + 1, gathered(s, n.tile, n.panel), gathered(s, n.tile, n.panel + 1), &k->of32[(n.tile + 1) % 2]);
        for (int64_t g = 0; g < groups; g += 4) {
            const bool on = g + 4 < groups;
            const struct panel32 *w4 = on ? w + 4 : next;
            const struct columns32 *x4 = on ? x : with;
            const int64_t g4 = on ? 4 : 0;
#define STEP(I, AHEAD)                                            \
    AHEAD;                                                        \
    weigh32(f, k->sums[I], w + g + I, x, g + I, minimums, 0, half);  \
    store32(k->sums, (I + 2) % 4);                                \
    weigh32(f, k->sums[I], w + g + I, x, g + I, minimums, half, NC);
            STEP(0, multiply32(w + g + 3, x, g + 3, 3))
            STEP(1, multiply32(w4, x4, g4, 0))
            STEP(2, multiply32(w4 + 1, x4, g4 + 1, 1))
            STEP(3, multiply32(w4 + 2, x4, g4 + 2, 2))
#undef STEP
        }
        UNROLL for (int c = 0; c < NC; c++)
            if (c < have)
                _mm512_storeu_ps(y + c * y_stride, f[c]);
        x = with;
        n = following;
    }
}

// The same one step after the other: up to three groups behind a row's fours, and types whose halves of a group have scales of their own.
static void slice32_slow(const struct slice *s)
{
    struct work *k = s->work;
    const bool halves = s->kind.halves;
    for (int32_t t = 0; t < s->tile_count; t++) {
        int32_t have = columns_of(s, t);
        const struct columns32 *x = tile_at(s, 0, k->of32, 0);
        if (s->tiles)
            x = tile_at(s, t, NULL, 0);
        else
            gather32(s, t, 0, have, &k->of32[0]);
        for (int64_t p = 0; p < s->panels; p++)
            for (int64_t g = 0; g < s->groups; g++) {
                const struct panel32 *w = &k->groups[p][g];
                const int64_t at = s->first + g;
                MULTIPLY32(0, 4, 6, group_q(x, at), w->q[0]);
                if (halves)
                    MULTIPLY32(1, 5, 7, group_q(x, at) + 16, w->q[4]);
                TILE_STORE(0, k->sums[0], 64);
                if (halves)
                    TILE_STORE(1, k->sums[1], 64);
                __m512 d = _mm512_load_ps(w->d[0]), d1 = _mm512_load_ps(w->d[1]), m = _mm512_load_ps(w->m), start = _mm512_set1_ps(LOW_START);
                __mmask16 same = _mm512_cmp_ps_mask(d, d1, _CMP_EQ_OQ);
                float *y = y_of(s, (struct unit){t, p});
                for (int32_t c = 0; c < have; c++, y += s->y_stride) {
                    __m512 dx = _mm512_set1_ps(x->d[c][at]), sum = _mm512_sub_ps(_mm512_load_ps((const float *)(k->sums[0] + 64 * c)), start);
                    __m512 f = _mm512_maskz_loadu_ps(g > 0 ? 0xffff : s->again, y);
                    if (halves) {
                        __m512 second = _mm512_sub_ps(_mm512_load_ps((const float *)(k->sums[1] + 64 * c)), start);
                        __m512 whole = _mm512_fmadd_ps(_mm512_add_ps(sum, second), _mm512_mul_ps(d, dx), f);
                        __m512 parts = _mm512_fmadd_ps(second, _mm512_mul_ps(d1, dx), _mm512_fmadd_ps(sum, _mm512_mul_ps(d, dx), f));
                        f = _mm512_mask_blend_ps(same, parts, whole);
                    } else {
                        f = _mm512_fmadd_ps(sum, _mm512_mul_ps(d, dx), f);
                        if (s->kind.minimums)
                            f = _mm512_fmadd_ps(m, _mm512_set1_ps(x->ds[c][at]), f);
                    }
                    _mm512_storeu_ps(y, f);
                }
            }
    }
}

// ---- choice ----

typedef void slice_fn(const struct slice *s);
#define SLICES(NAME, CALL, ...)                                              \
    static void NAME##_4(const struct slice *s) { CALL(s, __VA_ARGS__, 4); }   \
    static void NAME##_8(const struct slice *s) { CALL(s, __VA_ARGS__, 8); }   \
    static void NAME##_12(const struct slice *s) { CALL(s, __VA_ARGS__, 12); } \
    static void NAME##_16(const struct slice *s) { CALL(s, __VA_ARGS__, 16); }
#define SLICE_ROW(NAME) {NAME##_4, NAME##_8, NAME##_12, NAME##_16}
SLICES(plain32, slice32, false)
SLICES(minimum32, slice32, true)
SLICES(one256, slice256, false, 0)
SLICES(one256_minimums16, slice256, false, 8)
SLICES(two256, slice256, true, 0)
SLICES(two256_minimums, slice256, true, 4)

// Whether scale*q of a type fits in a signed byte.
static bool one_byte(enum infer_dtype t) { return t == INFER_DTYPE_Q2_K || t == INFER_DTYPE_TQ1_0 || t == INFER_DTYPE_TQ2_0; }

static slice_fn *slice_of(const struct weight *w, int fours, int64_t groups)
{
    static slice_fn *const table[6][4] = {SLICE_ROW(plain32), SLICE_ROW(minimum32), SLICE_ROW(one256), SLICE_ROW(one256_minimums16), SLICE_ROW(two256), SLICE_ROW(two256_minimums)};
    struct panel_kind kind = infer_panel_kind(w->dtype);
    if (w->form == FORM_32 && (kind.halves || groups % 4 != 0))
        return slice32_slow;
    int form = w->form == FORM_32 ? 0 : one_byte(w->dtype) ? 2 : 4;
    return table[form + (kind.minimums ? 1 : 0)][fours - 1];
}

// ---- weights of a slice ----

// Bytes of scale*q of a line: 16-bit products of its even and odd columns. scales: each row's, in the even bytes of its words; sum128:
// what 128 added to q adds to a product.
INLINE void scale_line(const uint8_t *line, __m512i scales, __m512i sum128, const bool biased, uint8_t *low, int8_t *high)
{
    const __m512i even_bytes = _mm512_set1_epi16(0x00ff);
    __m512i q = _mm512_loadu_si512(line);
    __m512i even = _mm512_maddubs_epi16(q, scales), odd = _mm512_maddubs_epi16(q, _mm512_slli_epi16(scales, 8));
    if (biased) {
        even = _mm512_sub_epi16(even, sum128);
        odd = _mm512_sub_epi16(odd, sum128);
    }
    _mm512_store_si512(low, _mm512_ternarylogic_epi32(even_bytes, even, _mm512_slli_epi16(odd, 8), 0xea)); // (mask & even) | odd << 8
    if (high)
        _mm512_store_si512(high, _mm512_ternarylogic_epi32(even_bytes, odd, _mm512_srli_epi16(even, 8), 0xae)); // (~mask & odd) | even >> 8
}

INLINE void scale_block(const struct panel256 *p, struct panel_kind kind, const bool biased, const bool two, struct block256 *out)
{
    for (int j = 0; j < 16; j++) {
        __m512i s = _mm512_and_si512(_mm512_loadu_si512(p->scale[kind.scales16 ? j : j / 2 * 2]), _mm512_set1_epi32(0xff));
        __m512i scales = _mm512_or_si512(s, _mm512_slli_epi32(s, 16)), sum128 = _mm512_srai_epi16(_mm512_slli_epi16(scales, 8), 1);
        UNROLL for (int i = 0; i < 4; i++) scale_line(p->q[4 * j + i], scales, sum128, biased, out->low[j / 4][4 * (j % 4) + i], two ? out->high[j / 4][4 * (j % 4) + i] : NULL);
    }
    memcpy(out->d, p->d, sizeof out->d);
    if (!kind.minimums)
        return;
    memcpy(out->dmin, p->dmin, sizeof out->dmin);
    memcpy(out->min, p->min, sizeof out->min);
}

static void take_block256(enum infer_dtype t, const struct panel256 *p, struct block256 *out)
{
    struct panel_kind kind = infer_panel_kind(t);
    if (one_byte(t))
        kind.biased ? scale_block(p, kind, true, false, out) : scale_block(p, kind, false, false, out);
    else
        kind.biased ? scale_block(p, kind, true, true, out) : scale_block(p, kind, false, true, out);
}

// Takes away the 128 that panels' weights have added.
static void take_group32(struct panel32 *p)
{
    UNROLL for (int j = 0; j < 8; j++) _mm512_storeu_si512(p->q[j], _mm512_xor_si512(_mm512_loadu_si512(p->q[j]), _mm512_set1_epi8((char)128)));
}

static int64_t panel_bytes(enum act_form form, int64_t cols)
{
    return form == FORM_32 ? cols / 32 * (int64_t)sizeof(struct panel32) : cols / 256 * (int64_t)sizeof(struct panel256);
}

// Unpacks panels that lie as in the file: all their columns.
static void unpack_raw(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, uint8_t *panels)
{
    for (int64_t i = 0; i < count; i++, panels += panel_bytes(w->form, w->cols)) {
        int64_t first = (first_panel + i) * PANEL_ROWS, rows = w->rows - first < PANEL_ROWS ? w->rows - first : PANEL_ROWS;
        const uint8_t *raw = w->raw + mat * w->mat_stride + first * w->stride;
        if (w->form == FORM_32)
            infer_unpack_panel32(w->dtype, raw, w->stride, (int)rows, w->cols, (struct panel32 *)panels);
        else
            infer_unpack_panel256(w->dtype, raw, w->stride, (int)rows, w->cols, (struct panel256 *)panels);
    }
}

// One panel's weights from column `from` on. panel: interleaved, or where raw is set unpacked.
static void take_weights(const struct weight *w, const uint8_t *panel, bool raw, int64_t from, int64_t groups, struct work *k, int64_t to)
{
    if (w->form == FORM_32) {
        struct panel32 *out = k->groups[to];
        int64_t bytes = raw ? (int64_t)sizeof *out : w->panel_bytes / (w->cols / 32);
        for (int64_t g = 0; g < groups; g++) {
            const uint8_t *block = panel + (from / 32 + g) * bytes;
            if (raw)
                memcpy(&out[g], block, sizeof out[g]);
            else
                unpack_block32(w->dtype, block, &out[g]);
            take_group32(&out[g]);
        }
        return;
    }
    int64_t bytes = raw ? (int64_t)sizeof(struct panel256) : w->panel_bytes / (w->cols / 256);
    const uint8_t *block = panel + from / 256 * bytes;
    if (!raw)
        unpack_block256(w->dtype, block, &k->panel);
    take_block256(w->dtype, raw ? (const struct panel256 *)block : &k->panel, &k->blocks[to]);
}

// ---- columns as tiles ----

static int64_t slice_bytes(enum act_form form) { return form == FORM_32 ? (int64_t)sizeof(struct columns32) : (int64_t)sizeof(struct columns256); }

int64_t infer_amx_tile_bytes(enum act_form form, int64_t cols) { return is_quantized(form) ? (cols + 255) / 256 * slice_bytes(form) : 0; }

void infer_amx_spread(enum act_form form, const void *column, int64_t cols, int64_t at, uint8_t *tiles)
{
    uint8_t *out = tiles + at / 16 * infer_amx_tile_bytes(form, cols);
    const struct act32 *of32 = column;
    const struct act256 *of256 = column;
    for (int64_t from = 0; from < cols; from += 256, out += slice_bytes(form))
        if (form == FORM_32)
            put_column32(of32 + from / 32, cols - from < 256 ? (cols - from) / 32 : SLICE_GROUPS, (struct columns32 *)out, 0, at % 16);
        else
            put_column256(of256 + from / 256, (struct columns256 *)out, at % 16);
}

// ---- products ----

static struct work *work_at(uint8_t *scratch) { return (struct work *)(((uintptr_t)scratch + 63) & ~(uintptr_t)63); }

int64_t infer_amx_scratch(int64_t cols)
{
    int64_t a = panel_bytes(FORM_32, cols), b = panel_bytes(FORM_256, cols);
    return (int64_t)sizeof(struct work) + 64 + PRODUCT_PANELS * (a > b ? a : b);
}

// Measured on whole steps of models: below it products straight from interleaved weights, each line unpacked in registers, are as fast or
// faster. From 64 columns on activations come as tiles.
int32_t infer_amx_least(enum infer_dtype t)
{
    switch (t) {
    case INFER_DTYPE_NVFP4:
    case INFER_DTYPE_Q1_0:
    case INFER_DTYPE_Q2_0: return 4;
    case INFER_DTYPE_Q2_K:
    case INFER_DTYPE_TQ1_0:
    case INFER_DTYPE_TQ2_0:
    case INFER_DTYPE_IQ2_XXS:
    case INFER_DTYPE_IQ2_XS:
    case INFER_DTYPE_IQ2_S:
    case INFER_DTYPE_IQ1_S:
    case INFER_DTYPE_IQ1_M: return 48;
    default: return 64;
    }
}

void infer_amx_product(const struct weight *w, int64_t mat, int64_t first_panel, int64_t count, const struct columns *x, float *y, int64_t y_stride, uint8_t *scratch)
{
    struct slice s = {.work = work_at(scratch), .x = x, .panels = count, .y = y, .y_stride = y_stride, .again = 0, .kind = infer_panel_kind(w->dtype)};
    const bool tiled = x->tiles && !x->pick;
    s.tile_count = (x->count + 15) / 16;
    s.tile = tiled ? 16 : (x->count + s.tile_count - 1) / s.tile_count; // of equal sizes: the unit's time goes with their lines
    int fours = x->count < s.tile ? (x->count + 3) / 4 : (s.tile + 3) / 4;
    bool raw = !w->packed;
    uint8_t *unpacked = (uint8_t *)(s.work + 1);
    if (raw)
        unpack_raw(w, mat, first_panel, count, unpacked);
    set_tile_shapes(4 * fours, w->form == FORM_256 ? 64 : s.kind.halves ? 16 : 32);
    for (int64_t from = 0; from < w->cols; from += 32 * s.groups) {
        int64_t left = (w->cols - from) / 32;
        s.groups = left >= SLICE_GROUPS ? SLICE_GROUPS : left >= 4 ? 4 : left;
        s.at = w->form == FORM_32 ? from / 32 * (int64_t)sizeof(struct act32) : from / 256 * (int64_t)sizeof(struct act256);
        s.first = from / 32 % SLICE_GROUPS;
        s.tiles = tiled ? x->tiles + from / 256 * slice_bytes(w->form) : NULL;
        for (int64_t i = 0; i < count; i++)
            take_weights(w, raw ? unpacked + i * panel_bytes(w->form, w->cols) : packed_panel(w, mat, first_panel + i), raw, from, s.groups, s.work, i);
        slice_of(w, fours, s.groups)(&s);
        s.again = 0xffff;
    }
    release_tiles();
}
