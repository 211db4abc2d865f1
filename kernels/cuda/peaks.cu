// peaks.cu - measures what the card can reach, to hold a model's speed against.
#include "inside.h"
#include "peaks.cuh"

#define ROUNDS_TIMED 5

struct measuring {
    struct device *d;
    uint8_t *memory;
    int64_t bytes;  // of each half of the memory
    int32_t rounds; // of products
    rt_event from, to;
};

// What one launch of a kind does: bytes that it moves, or multiply-adds.
typedef int (*peak_launch)(struct measuring *m, double *amount);

static unsigned peak_blocks(const struct measuring *m) { return (unsigned)m->d->properties.sms * 8; }

static int read_once(struct measuring *m, double *amount)
{
    *amount = (double)m->bytes;
    return launch(m->d, "peak_read", peak_read, dim3(peak_blocks(m)), dim3(256), 0, (const uint4 *)m->memory, m->bytes / 16, (uint32_t *)(m->memory + m->bytes));
}

static int copy_once(struct measuring *m, double *amount)
{
    *amount = 2.0 * (double)m->bytes;
    return launch(m->d, "peak_copy", peak_copy, dim3(peak_blocks(m)), dim3(256), 0, (const uint4 *)m->memory, (uint4 *)(m->memory + m->bytes), m->bytes / 16);
}

static double warps(const struct measuring *m) { return 8.0 * peak_blocks(m); }

static int integers_once(struct measuring *m, double *amount)
{
    *amount = warps(m) * m->rounds * PEAK_UNROLL * (16 * 8 * 32);
    return launch(m->d, "peak_integers", peak_integers, dim3(peak_blocks(m)), dim3(256), 0, m->rounds, (int *)m->memory);
}

static int halves_once(struct measuring *m, double *amount)
{
    *amount = warps(m) * m->rounds * PEAK_UNROLL * (16 * 8 * 16);
    return launch(m->d, "peak_halves", peak_halves, dim3(peak_blocks(m)), dim3(256), 0, m->rounds, (float *)m->memory);
}

// The best of several rounds, after one to warm up.
static int best_of(struct measuring *m, peak_launch once, double *best)
{
    rt_stream s = m->d->stream;
    *best = 0;
    for (int i = 0; i <= ROUNDS_TIMED; i++) {
        double amount = 0;
        const char *wrong = rt_event_record(m->from, s);
        int status = once(m, &amount);
        if (status != INFER_OK)
            return status;
        if (!wrong)
            wrong = rt_event_record(m->to, s);
        if (!wrong)
            wrong = rt_event_wait(m->to);
        if (wrong)
            return device_fail(m->d, INFER_ERR_SYSTEM, "a measurement of the card's peaks: %s", wrong);
        double ns = (double)rt_event_ns(m->from, m->to);
        if (i > 0 && ns > 0 && amount / ns * 1e9 > *best)
            *best = amount / ns * 1e9;
    }
    return INFER_OK;
}

static int measure(struct measuring *m, struct infer_card_peaks *out)
{
    const char *wrong = rt_event_open(&m->from);
    if (!wrong)
        wrong = rt_event_open(&m->to);
    if (wrong)
        return device_fail(m->d, INFER_ERR_SYSTEM, "a measurement of the card's peaks: %s", wrong);
    int status = best_of(m, read_once, &out->read_bytes);
    if (status == INFER_OK)
        status = best_of(m, copy_once, &out->copy_bytes);
    if (status == INFER_OK)
        status = best_of(m, integers_once, &out->int8_multiply_adds);
    return status == INFER_OK ? best_of(m, halves_once, &out->half_multiply_adds) : status;
}

int backend_peaks(void *device, struct infer_card_peaks *out)
{
    struct device *d = (struct device *)device;
    const char *wrong = rt_enter(d->index);
    int64_t available = 0, total = 0;
    if (!wrong)
        wrong = rt_memory(&available, &total);
    if (wrong)
        return device_fail(d, INFER_ERR_SYSTEM, "memory of CUDA card %d: %s", d->index, wrong);
    int64_t bytes = available / 4 < 1 << 30 ? available / 4 / 256 * 256 : 1 << 30; // far more than the caches hold
    struct measuring m = {d, NULL, d->properties.emulated ? 1 << 16 : bytes, d->properties.emulated ? 1 : 1 << 14, NULL, NULL};
    if ((wrong = rt_malloc(2 * m.bytes + 256, (void **)&m.memory)))
        return device_fail(d, INFER_ERR_MEMORY, "%lld MiB to measure the card's peaks: %s", (long long)(2 * m.bytes >> 20), wrong);
    wrong = rt_fill(m.memory, 0, 2 * m.bytes + 256, d->stream);
    int status = wrong ? device_fail(d, INFER_ERR_SYSTEM, "a measurement of the card's peaks: %s", wrong) : measure(&m, out);
    if (m.from)
        rt_event_close(m.from);
    if (m.to)
        rt_event_close(m.to);
    rt_free(m.memory);
    return status;
}
