// check.cpp - runs the kernels in the emulator against the CPU reference's definitions of the data types.
#define INFER_CUDA_EMULATE
#include <stdio.h>

#include <random>
#include <vector>

#include "../norm.cuh"
#include "../product32.cuh"
extern "C" {
#include "../../types.h"
}

static int failures;

static void expect(bool ok, const char *what, double found)
{
    if (!ok)
        failures++, printf("FAIL %s: %g\n", what, found);
}

static double distance(const std::vector<float> &a, const std::vector<double> &b)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < b.size(); i++)
        error += (a[i] - b[i]) * (a[i] - b[i]), norm += b[i] * b[i];
    return sqrt(error / norm);
}

static std::mt19937 source(7);
static float normal() { return std::normal_distribution<float>()(source); }

static view floats(std::vector<float> &v, int64_t cols) { return {v.data(), INFER_DTYPE_F32, INFER_ROWS_BATCH, cols * 4, cols, 0, 1, 0}; }

template <int WARPS>
static void check_norm(int rows, int groups, int width)
{
    std::vector<float> x(rows * groups * width), weight(width), out(x.size()), again(x.size());
    std::vector<double> want;
    for (auto &v : x) v = normal();
    for (auto &v : weight) v = normal();
    for (int r = 0; r < rows * groups; r++) {
        double sum = 0;
        for (int i = 0; i < width; i++) sum += (double)x[r * width + i] * x[r * width + i];
        for (int i = 0; i < width; i++) want.push_back(x[r * width + i] / sqrt(sum / width + 1e-5) * weight[i]);
    }
    step s = {};
    s.rows = rows;
    norm_shape n = {width, groups, INFER_NORM_RMS, 0, 1e-5f};
    auto run = [&](uint64_t seed, std::vector<float> &to) {
        return emulate::launch(dim3(rows + 1, (groups * WARPS + 7) / 8), dim3(256), seed, [&] { norm<WARPS>(&s, floats(x, groups * width), floats(weight, width), view(), floats(to, groups * width), n); });
    };
    expect(!run(1, out) && !run(2, again), "norm: launch", 0);
    expect(distance(out, want) < 1e-6, "norm: relative L2", distance(out, want));
    expect(out == again, "norm: the order of threads changes the bits", 0);
}

template <bool FOUR_BITS>
static void check_product(int rows, int blocks, int columns)
{
    const enum infer_dtype dtype = FOUR_BITS ? INFER_DTYPE_Q4_0 : INFER_DTYPE_Q8_0;
    std::vector<float> plain((size_t)rows * blocks * 32), out((size_t)rows * columns), again(out.size()), one(rows);
    for (auto &v : plain) v = normal();
    std::vector<uint8_t> w((size_t)rows * blocks * (FOUR_BITS ? 18 : 34));
    expect(infer_quantize(dtype, plain.data(), rows, blocks * 32, nullptr, w.data()) == INFER_TYPE_OK, "quantize", 0);
    std::vector<activations32> x((size_t)columns * blocks);
    for (auto &b : x) {
        b.d = 0.01f * (1 + fabsf(normal()));
        for (auto &q : b.q) q = (int)source();
    }
    std::vector<infer_unpacked32> u(blocks);
    std::vector<double> want((size_t)rows * columns);
    for (int r = 0; r < rows; r++) {
        infer_unpack32(dtype, w.data() + (size_t)r * (w.size() / rows), blocks, u.data());
        for (int c = 0; c < columns; c++)
            for (int b = 0; b < blocks; b++) {
                const int8_t *q = (const int8_t *)x[c * blocks + b].q;
                int sum = 0;
                for (int i = 0; i < 32; i++) sum += u[b].q[i] * q[i];
                want[c * rows + r] += (double)sum * u[b].d[0] * x[c * blocks + b].d;
            }
    }
    auto run = [&](uint64_t seed, int from, int count, float *to) { return emulate::launch(dim3((rows + 3) / 4, count), dim3(128), seed, [&] { product32<FOUR_BITS>(w.data(), x.data() + from * blocks, to, rows, blocks); }); };
    expect(!run(1, 0, columns, out.data()) && !run(2, 0, columns, again.data()) && !run(3, columns - 1, 1, one.data()), "product: launch", 0);
    expect(distance(out, want) < 1e-6, "product: relative L2", distance(out, want));
    expect(out == again, "product: the order of threads changes the bits", 0);
    expect(!memcmp(one.data(), out.data() + (size_t)(columns - 1) * rows, rows * 4), "product: the batch changes the bits", 0);
}

// The emulator itself: a race must show, and a barrier that some threads miss must be an error.
static void check_emulator()
{
    int last[8], distinct = 0;
    for (int seed = 0; seed < 8; seed++) {
        emulate::launch(dim3(1), dim3(64), seed, [&] { last[seed] = (int)threadIdx.x; });
        for (int i = 0; i < seed; i++) distinct += last[i] != last[seed];
    }
    expect(distinct > 0, "emulator: threads always run in the same order", 0);
    expect(emulate::launch(dim3(1), dim3(64), 1, [] { if (threadIdx.x < 40) __syncthreads(); }) != nullptr, "emulator: a missed barrier is not reported", 0);
}

int main()
{
    check_emulator();
    check_norm<1>(3, 11, 96), check_norm<8>(2, 1, 4100);
    check_product<false>(5, 3, 3), check_product<false>(9, 70, 4);
    check_product<true>(5, 3, 3), check_product<true>(9, 70, 4);
    if (!failures)
        printf("ok\n");
    return failures > 0;
}
