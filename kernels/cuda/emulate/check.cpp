// check.cpp - the emulator itself, and kernels that no op of a plan reaches alone, in orders of threads drawn from seeds.
#define INFER_CUDA_EMULATE
#include <stdio.h>

#include <algorithm>
#include <random>
#include <vector>

#include "../norm.cuh"
#include "../select.cuh"

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

template <int WARPS, bool HELD>
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
        return emulate::launch(dim3(rows + 1, (groups * WARPS + NORM_WARPS - 1) / NORM_WARPS), dim3(32 * NORM_WARPS), seed, [&] { norm<WARPS, HELD>(&s, floats(x, groups * width), floats(weight, width), view(), floats(to, groups * width), n); });
    };
    expect(!run(1, out) && !run(2, again), "norm: launch", 0);
    expect(distance(out, want) < 1e-6, "norm: relative L2", distance(out, want));
    expect(out == again, "norm: the order of threads changes the bits", 0);
}

// What select_logits must give of a row: places in order.
static std::vector<uint64_t> ordered(const std::vector<float> &row)
{
    std::vector<uint64_t> places;
    for (size_t i = 0; i < row.size(); i++) {
        float v = row[i] == 0 ? 0.0f : row[i]; // -0 equals 0
        uint32_t bits;
        memcpy(&bits, &v, 4);
        uint32_t key = v != v || v == INFINITY ? 0xffffffffu : v < 0 || bits >> 31 ? ~bits : bits | 0x80000000u;
        places.push_back((uint64_t)key << 32 | (0xffffffffu - i));
    }
    std::sort(places.begin(), places.end(), std::greater<uint64_t>());
    return places;
}

static bool same_bits(float a, float b) { return !memcmp(&a, &b, 4); }

// One row of `count` logits; levels > 0: so many different ones.
static void check_select(int count, int keep, int levels, int oddities)
{
    std::vector<float> row(count);
    for (auto &v : row) v = levels ? (float)(source() % levels) - levels / 2 : normal();
    const float odd[] = {NAN, INFINITY, -INFINITY, -0.0f, 0.0f, -NAN};
    for (int i = 0; i < oddities; i++) row[source() % count] = odd[source() % 6];
    std::vector<int32_t> keeps = {0, keep}, first = {0, 0, 3}, also = {0, (int32_t)(count / 2), (int32_t)(count - 1)};
    std::vector<float> rows(2 * count, 0.0f);
    std::copy(row.begin(), row.end(), rows.begin() + count);
    std::vector<infer_kept> kept(2 * (keep + 3), infer_kept{7, 7}), again = kept;
    step s = {};
    s.wanted_count = 2, s.keep = keeps.data(), s.also_first = first.data(), s.also = also.data(), s.kept_stride = keep + 3;
    for (auto *to : {&kept, &again}) {
        s.kept = to->data();
        const char *wrong = emulate::launch(dim3(3), dim3(SELECT_THREADS), to == &kept, [&] { select_logits(&s, floats(rows, count)); });
        expect(!wrong, wrong ? wrong : "", 0);
    }
    expect(kept[0].id == 7, "select: a row that is wanted whole was touched", kept[0].id);
    std::vector<uint64_t> want = ordered(row);
    int wrong = 0;
    for (int i = 0; i < keep; i++) {
        const infer_kept &k = kept[keep + 3 + i], &other = again[keep + 3 + i];
        int id = i < count ? (int)(0xffffffffu - (uint32_t)want[i]) : -1;
        wrong += k.id != id || !same_bits(k.logit, id < 0 ? -INFINITY : row[id]) || other.id != k.id;
    }
    for (int i = 0; i < 3; i++) {
        const infer_kept &k = kept[2 * keep + 3 + i];
        wrong += k.id != also[i] || !same_bits(k.logit, row[also[i]]);
    }
    expect(!wrong, "select: wrong logits", wrong);
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
    check_norm<1, true>(3, 19, 96), check_norm<16, true>(2, 1, 4100), check_norm<16, false>(2, 1, 8200);
    check_select(5000, 1, 0, 0), check_select(300, 1, 3, 0), check_select(5000, 40, 0, 0), check_select(40, 40, 0, 3), check_select(70, 100, 5, 9);
    check_select(30000, 1000, 0, 20), check_select(9000, 300, 4, 5), check_select(9000, 40, 1, 0), check_select(5001, 7, 2, 3000);
    if (!failures)
        printf("ok\n");
    return failures > 0;
}
