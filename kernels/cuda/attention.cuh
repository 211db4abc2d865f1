// attention.cuh - what the two forms of ATTENTION share: what a row sees, and how results of spans merge.
//
// The definition: positions are taken in spans of 256, by absolute position. A span gives a row and head its highest score m, the sum of
// e^(score - m), and the values weighed by it; spans merge left to right, the sink last. What a span gives depends on the row, what it sees
// and nothing else, so spans can be computed side by side or one after the other, rows alone or in tiles: the bits are the same.
#ifndef INFER_CUDA_ATTENTION_CUH
#define INFER_CUDA_ATTENTION_CUH

#include "cache.cuh"
#include "math.cuh"

#define SPAN 256

struct attention_shape {
    int32_t heads, group;      // query heads, and those that share a KV head
    int32_t window, v_first, both_ways;
    float scale, softcap, alibi;
    int32_t spans;             // split: how many spans of a row are kept side by side, span n at n % spans; 0: not split
    float *partials;           // split: (m, s) [rows][heads][spans], then values [rows][heads][spans][v_width]
};

// A partial softmax: s and values are relative to m. Nothing seen: s is 0.
struct part {
    float m, s;
};

// Positions from .. to - 1.
struct range {
    int32_t from, to;
};

static __device__ __forceinline__ struct range seen_by(const struct step *step, const struct attention_shape &s, int64_t row)
{
    int32_t own = step->positions[row];
    struct range r = {s.window ? own - s.window + 1 : 0, own + 1};
    if (s.both_ways) {
        int32_t sequence = step->sequences[row], end = step->positions[step->first[sequence] + step->count[sequence] - 1] + 1;
        int32_t half = s.window / 2;
        r.from = s.window ? own - half : 0;
        r.to = s.window && own + half + 1 < end ? own + half + 1 : end;
    }
    r.from = r.from > 0 ? r.from : 0;
    return r;
}

// 2^x in double for x <= 0, error below 1e-13: Taylor's polynomial of e^(r ln 2), r the fraction.
static __device__ __forceinline__ double power_of_two(double x)
{
    double whole = floor(x), r = (x - whole) * 0.69314718055994530942;
    double p = 1.0 / 6227020800;
    p = fma(p, r, 1.0 / 479001600);
    p = fma(p, r, 1.0 / 39916800);
    p = fma(p, r, 1.0 / 3628800);
    p = fma(p, r, 1.0 / 362880);
    p = fma(p, r, 1.0 / 40320);
    p = fma(p, r, 1.0 / 5040);
    p = fma(p, r, 1.0 / 720);
    p = fma(p, r, 1.0 / 120);
    p = fma(p, r, 1.0 / 24);
    p = fma(p, r, 1.0 / 6);
    p = fma(p, r, 0.5);
    p = fma(p, r, 1.0);
    p = fma(p, r, 1.0);
    for (; whole < 0; whole++)
        p *= 0.5;
    return p;
}

// The slope of a head's position bias: 2^(-max*(h+1)/n), n the power of two at or below the heads, and odd multiples of half the step
// for the heads past n (Press et al., "Train Short, Test Long", arXiv 2108.12409).
static __device__ __forceinline__ float alibi_slope(float most, int head, int heads)
{
    if (!(most > 0))
        return 0;
    int n = 1;
    double inverse = 1;
    for (; n * 2 <= heads; n *= 2)
        inverse *= 0.5;
    double steps = head < n ? head + 1 : 0.5 * (2 * (head - n) + 1);
    return (float)power_of_two(-(double)most * steps * inverse);
}

// A score with cap and bias.
static __device__ __forceinline__ float adjusted(const struct attention_shape &s, float score, float slope, int32_t distance)
{
    if (s.softcap > 0)
        score = s.softcap * tanh_of(score / s.softcap);
    return slope != 0 ? score - slope * fabsf((float)distance) : score;
}

// Adds part b to a, and tells what both values are to be multiplied by: v = fmaf(a's, fa, b's * fb).
static __device__ __forceinline__ void merge(struct part *a, struct part b, float *fa, float *fb)
{
    bool first = b.s == 0 || (a->s != 0 && a->m >= b.m); // a has the higher maximum
    float less = a->s == 0 || b.s == 0 ? 0.0f : exp_of(first ? b.m - a->m : a->m - b.m);
    *fa = first ? 1.0f : less;
    *fb = first ? less : 1.0f;
    a->s = fmaf(a->s, *fa, b.s * *fb);
    a->m = first ? a->m : b.m;
}

// What values are to be multiplied and then divided by in the end.
static __device__ __forceinline__ void finish(struct part total, const float *sink, float *factor, float *divisor)
{
    *factor = 1;
    *divisor = total.s;
    if (sink) {
        float m = larger_of(total.m, *sink);
        *factor = exp_of(total.m - m);
        *divisor = fmaf(total.s, *factor, exp_of(*sink - m));
    }
}
// A zero comes out as +0: matrix units may lose its sign where a tile sees positions that the row does not.
static __device__ __forceinline__ float finished(float v, float factor, float divisor) { return v * factor / divisor + 0.0f; }

// Where a row and head has its parts.
static __device__ __forceinline__ int64_t part_at(const struct attention_shape &s, int64_t row, int head, int span) { return (row * s.heads + head) * s.spans + span % s.spans; }
static __device__ __forceinline__ float *part_values(const struct step *step, const struct attention_shape &s) { return s.partials + 2 * (int64_t)step->rows * s.heads * s.spans; }

#define MERGE_AHEAD 8 // parts that are read before they are merged

// Merges what the spans of a row and head gave. grid: (rows, heads), block: 128
__global__ void __launch_bounds__(128) attention_merge(const struct step *step, struct view sinks, struct view out, struct cache_view c, struct attention_shape s)
{
    int64_t row = blockIdx.x;
    int head = (int)blockIdx.y;
    if (row >= step->rows)
        return;
    struct range seen = seen_by(step, s, row);
    const float *values = part_values(step, s);
    int first = seen.from / SPAN, last = (seen.to - 1) / SPAN;
    for (int i = (int)threadIdx.x; i < c.v_width; i += 128) {
        struct part total = {0, 0}, p[MERGE_AHEAD];
        float v = 0, of_span[MERGE_AHEAD], fa, fb;
        for (int span = first; span <= last; span += MERGE_AHEAD) {
            UNROLL
            for (int n = 0; n < MERGE_AHEAD; n++) {
                int64_t at = part_at(s, row, head, span + n <= last ? span + n : last);
                p[n] = {s.partials[2 * at], s.partials[2 * at + 1]};
                of_span[n] = values[at * c.v_width + i];
            }
            UNROLL
            for (int n = 0; n < MERGE_AHEAD; n++)
                if (span + n <= last) {
                    merge(&total, p[n], &fa, &fb);
                    v = fmaf(v, fa, of_span[n] * fb);
                }
        }
        finish(total, sinks.data ? (const float *)sinks.data + head : NULL, &fa, &fb);
        row_of(out, row)[head * c.v_width + i] = finished(v, fa, fb);
    }
}

#endif
