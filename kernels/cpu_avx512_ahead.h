// cpu_avx512_ahead.h - part of the AVX-512 variants: asking for weights before their use.
//
// Cores that compute little a line leave fetching ahead to their prefetchers, which is as fast as memory gives on AMD's. Intel's stop
// at the end of each page of 4 KB and begin anew in the next one: asking for lines 3 KB ahead starts them there before the last
// page's end is reached. 4 KB and more gain nothing: the line asked for is then never in the page that is read.
#ifndef INFER_CPU_AVX512_AHEAD_H
#define INFER_CPU_AVX512_AHEAD_H

// One line, just where w is computed: compilers would move all of a long stretch's to its start, where they fill the core's miss buffers
// and block what is needed first.
#define ASK_BESIDE(HINT, W, P) __asm__(HINT " %1" : "+v"(W) : "m"(*(const char(*)[64])(P)))

// A share of the lines of a block of `bytes`, into the second-level cache, from where a core that computes little a line reads in time: slot number `slot` of `slots` that lie between the block's arithmetic.
INLINE __m512i near_ahead(__m512i w, const void *block, const int bytes, const int slot, const int slots, const bool ask)
{
    const int lines = (bytes + 63) / 64;
    if (ask)
        UNROLL for (int i = slot * lines / slots; i < (slot + 1) * lines / slots; i++) ASK_BESIDE("prefetcht1", w, (const char *)block + NEAR_AHEAD + 64 * i);
    return w;
}

#endif
