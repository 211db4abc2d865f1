// matrix.h - emulated instructions of products: packed dot products, matrix fragments, asynchronous copies. matrix.cuh says what each
// does.
#ifndef INFER_CUDA_EMULATE_MATRIX_H
#define INFER_CUDA_EMULATE_MATRIX_H

#include <vector>

static inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; i++)
        c += (int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    return c;
}

namespace emulate {

// The float of every half.
inline const float *halves()
{
    static float table[65536];
    static const bool made = [] {
        for (uint32_t h = 0; h < 65536; h++)
            table[h] = half_to_float((uint16_t)h);
        return true;
    }();
    (void)made;
    return table;
}

// All lanes' fragments of A (4 words each) and B (2 words).
inline const uint32_t (*fragments(const uint32_t a[4], const uint32_t b[2]))[EMULATE_WORDS]
{
    const uint32_t words[6] = {a[0], a[1], a[2], a[3], b[0], b[1]};
    return exchange(0xffffffffu, words, 6);
}

// d[i] is of row g + 8 (i/2) and column 2t + i%2 of the 16 x 8 result, lane = 4g + t. Of A lane 4g + t holds in word r row g + 8 (r%2), in B
// column g in both; words lie in the order of k: word t of the first half, then of the second one.
template <class Word, class Sum> inline void multiply(const uint32_t a[4], const uint32_t b[2], int halves_of_k, Word word, Sum d)
{
    const uint32_t(*all)[EMULATE_WORDS] = fragments(a, b);
    int lane = (int)(threadIdx.x % 32), g = lane / 4, t = lane % 4;
    for (int i = 0; i < 4; i++)
        for (int half = 0; half < halves_of_k; half++)
            for (int k = 0; k < 4; k++)
                d(i, word(all[4 * g + k][2 * half + i / 2], all[4 * (2 * t + i % 2) + k][4 + half]));
}

// Copies that a thread has begun but not waited for: they are made at the wait, so that what reads too early finds old bytes.
struct pending_copy {
    void *to;
    const void *from;
    size_t bytes;
    bool valid;
    int group;
};
struct pending_copies {
    std::vector<pending_copy> list;
    int begun = 0; // groups
};
inline pending_copies &own_copies()
{
    static pending_copies all[1024];
    return all[threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z)];
}
inline void finish_copies(int groups_left)
{
    pending_copies &own = own_copies();
    size_t kept = 0;
    for (const pending_copy &c : own.list) {
        if (c.group + groups_left >= own.begun)
            own.list[kept++] = c;
        else if (c.valid)
            memcpy(c.to, c.from, c.bytes);
        else
            memset(c.to, 0, c.bytes);
    }
    own.list.resize(kept);
}
} // namespace emulate

static inline void mma_s8(int d[4], const uint32_t a[4], const uint32_t b[2])
{
    emulate::multiply(a, b, 2, [](uint32_t x, uint32_t y) { return __dp4a((int)x, (int)y, 0); }, [&](int i, int sum) { d[i] += sum; });
}

static inline void mma_s8_half(int d[4], const uint32_t a[2], uint32_t b)
{
    const uint32_t whole[4] = {a[0], a[1], 0, 0}, column[2] = {b, 0};
    emulate::multiply(whole, column, 1, [](uint32_t x, uint32_t y) { return __dp4a((int)x, (int)y, 0); }, [&](int i, int sum) { d[i] += sum; });
}

static inline void mma_f16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    const float *f = emulate::halves();
    double sum[4] = {d[0], d[1], d[2], d[3]};
    emulate::multiply(a, b, 2, [f](uint32_t x, uint32_t y) { return (double)f[x & 65535] * f[y & 65535] + (double)f[x >> 16] * f[y >> 16]; }, [&](int i, double v) { sum[i] += v; });
    for (int i = 0; i < 4; i++)
        d[i] = (float)sum[i];
}

static inline void mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    auto low = [](uint32_t x) { return (double)__uint_as_float(x << 16); };
    auto high = [](uint32_t x) { return (double)__uint_as_float(x & 0xffff0000u); };
    double sum[4] = {d[0], d[1], d[2], d[3]};
    emulate::multiply(a, b, 2, [&](uint32_t x, uint32_t y) { return low(x) * low(y) + high(x) * high(y); }, [&](int i, double v) { sum[i] += v; });
    for (int i = 0; i < 4; i++)
        d[i] = (float)sum[i];
}

// Lane 8m + i names row i of matrix m: 8 halves.
static inline void ldmatrix4_as(uint32_t r[4], const void *shared, bool transposed)
{
    uint64_t address = (uint64_t)(uintptr_t)shared;
    const uint32_t words[2] = {(uint32_t)address, (uint32_t)(address >> 32)};
    const uint32_t(*all)[EMULATE_WORDS] = emulate::exchange(0xffffffffu, words, 2);
    int lane = (int)(threadIdx.x % 32), g = lane / 4, t = lane % 4;
    auto half = [&](int matrix, int row, int column) {
        const uint32_t *word = all[8 * matrix + row];
        return (uint32_t)((const uint16_t *)(uintptr_t)((uint64_t)word[1] << 32 | word[0]))[column];
    };
    for (int m = 0; m < 4; m++)
        r[m] = transposed ? half(m, 2 * t, g) | half(m, 2 * t + 1, g) << 16 : half(m, g, 2 * t) | half(m, g, 2 * t + 1) << 16;
}
static inline void ldmatrix4(uint32_t r[4], const void *shared) { ldmatrix4_as(r, shared, false); }
static inline void ldmatrix4_trans(uint32_t r[4], const void *shared) { ldmatrix4_as(r, shared, true); }

static inline void copy_async16(void *shared, const void *global, bool valid)
{
    emulate::pending_copies &own = emulate::own_copies();
    own.list.push_back({shared, global, 16, valid, own.begun});
}
static inline void copy_async8(void *shared, const void *global)
{
    emulate::pending_copies &own = emulate::own_copies();
    own.list.push_back({shared, global, 8, true, own.begun});
}
static inline void copy_commit() { emulate::own_copies().begun++; }
template <int LEFT> static inline void copy_wait() { emulate::finish_copies(LEFT); }

#endif
