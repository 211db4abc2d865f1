// quantize_search.h: the scale, or scale and offset, with which a block of n integers comes closest to its weights.
//
// Blocks lie side by side in lanes: x[i] and w[i] hold weight i and its importance for each of them. What is minimised is
// the sum over the block of w*(value - x)^2. For given integers the best scale (and offset) is a linear least squares
// problem, and for a given scale the best integers come by rounding. So candidate scales are tried, each improved by the
// least squares solution, and the best one is kept. w is NULL where every weight counts the same.
#ifndef INFER_QUANTIZE_SEARCH_H
#define INFER_QUANTIZE_SEARCH_H

#include "codebooks.h"
#include "lanes.h"

// The candidates of a search, in units of a quantization step.
struct steps {
    const float *at;
    int count;
};
#define STEPS(array) ((struct steps){array, (int)(sizeof array / sizeof *array)})

// The integers that a type without offset offers are named by the lowest: LEVELS_IQ4 the codebook of IQ4_NL and IQ4_XS,
// LEVELS_TERNARY -1 to 1, any other low all of low to -low-1.
#define LEVELS_IQ4 (-127.0f)
#define LEVELS_TERNARY (-1.0f)

// The codebook's value that is nearest to v, and its number. A constant is better than a table here: it unrolls.
static inline lanes nearest_iq4(lanes v, lanes *number)
{
    lanes value = lanes_of(infer_codebook_iq4[0]), count = lanes_of(0);
    for (int k = 1; k < 16; k++) {
        lanes_int above = v > lanes_of(0.5f * (float)(infer_codebook_iq4[k - 1] + infer_codebook_iq4[k]));
        value += (lanes)((lanes_int)lanes_of((float)(infer_codebook_iq4[k] - infer_codebook_iq4[k - 1])) & above);
        count += (lanes)((lanes_int)lanes_of(1) & above);
    }
    *number = count;
    return value;
}

// The integer that is nearest to v.
SPECIALIZED lanes nearest(lanes v, float low)
{
    if (low == LEVELS_IQ4) {
        lanes number;
        return nearest_iq4(v, &number);
    }
    return lanes_clamp(lanes_round(v), low, low == LEVELS_TERNARY ? 1 : -low - 1);
}

// The number of that integer: 0 for the lowest.
SPECIALIZED lanes nearest_number(lanes v, float low)
{
    if (low == LEVELS_IQ4) {
        lanes number;
        nearest_iq4(v, &number);
        return number;
    }
    return nearest(v, low) - low;
}

// value = d*q. A candidate maps the weight of largest magnitude to low - steps.at[k].
SPECIALIZED lanes search_scale(const lanes *x, const lanes *w, int n, float low, struct steps steps)
{
    lanes top = x[0], bottom = x[0];
    for (int i = 1; i < n; i++) {
        top = lanes_max(x[i], top);
        bottom = lanes_min(x[i], bottom);
    }
    lanes largest = lanes_select(top > -bottom, top, bottom);
    lanes inverse = lanes_inverse(largest), best = lanes_of(0), d = largest * (1 / low);
    for (int k = 0; k < steps.count; k++) {
        lanes scale = (low - steps.at[k]) * inverse, xq = lanes_of(0), qq = lanes_of(0);
        for (int i = 0; i < n; i++) {
            lanes q = nearest(x[i] * scale, low), wq = w ? w[i] * q : q;
            xq += wq * x[i];
            qq += wq * q;
        }
        // The error falls by (sum wxq)^2 / sum wqq. Where nothing counts, nothing falls, and largest/low stays.
        lanes ratio = xq * lanes_inverse(qq), gain = ratio * xq;
        lanes_int better = gain > best;
        best = lanes_select(better, gain, best);
        d = lanes_select(better, ratio, d);
    }
    return d;
}

struct affine {
    lanes d, m; // value = d*q + m
};

// value = d*q + m with 0 <= q <= high; m <= 0 where the type cannot store another. A candidate spreads the block's range
// over high + steps.at[k].
SPECIALIZED struct affine search_affine(const lanes *x, const lanes *w, int n, float high, int m_negative, struct steps steps)
{
    lanes low = x[0], top = x[0], sw = lanes_of(0), sx = lanes_of(0);
    for (int i = 0; i < n; i++) {
        low = lanes_min(x[i], low);
        top = lanes_max(x[i], top);
        sw += w ? w[i] : lanes_of(1);
        sx += w ? w[i] * x[i] : x[i];
    }
    if (m_negative) {
        low = lanes_min(low, lanes_of(0));
    }
    lanes inverse = lanes_inverse(top - low), weight = lanes_inverse(sw), best = lanes_of(-3e38f);
    lanes mean = lanes_select(sw > lanes_of(0), sx * weight, low);
    struct affine r = {(top - low) * (1 / high), low};
    for (int k = 0; k < steps.count; k++) {
        lanes scale = (high + steps.at[k]) * inverse, sq = lanes_of(0), sqq = lanes_of(0), sxq = lanes_of(0);
        for (int i = 0; i < n; i++) {
            lanes q = lanes_clamp(lanes_round((x[i] - low) * scale), 0, high), wq = w ? w[i] * q : q;
            sq += wq;
            sqq += wq * q;
            sxq += wq * (x[i] - mean); // x - mean: little cancels in the sums, whatever the offset
        }
        // The line through the means: d = covariance/variance, and the error falls by covariance^2/variance.
        lanes qmean = sq * weight, variance = lanes_max(sqq - qmean * sq, lanes_of(0));
        lanes d = sxq * lanes_inverse(variance), m = mean - d * qmean, gain = d * sxq;
        if (m_negative) { // the line through the origin where the offset would be positive
            lanes xq = sxq + mean * sq, d0 = xq * lanes_inverse(sqq);
            lanes_int positive = m > lanes_of(0);
            d = lanes_select(positive, d0, d);
            gain = lanes_select(positive, d0 * xq - sw * mean * mean, gain);
            m = lanes_min(m, lanes_of(0));
        }
        lanes_int better = gain > best;
        best = lanes_select(better, gain, best);
        r.d = lanes_select(better, d, r.d);
        r.m = lanes_select(better, m, r.m);
    }
    return r;
}

// The mean square of n weights, n a multiple of 16.
static inline float mean_square(const float *x, int64_t n)
{
    float part[16] = {0}, sum = 0;
    for (int64_t i = 0; i < n; i += 16) {
        for (int k = 0; k < 16; k++) {
            part[k] += x[i + k] * x[i + k];
        }
    }
    for (int k = 0; k < 16; k++) {
        sum += part[k];
    }
    return sum / (float)n;
}

#endif
