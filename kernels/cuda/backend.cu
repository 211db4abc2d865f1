// backend.cu - the backend's life: open, attach, pages, close, and the one symbol that the library exports.
#include <stdarg.h>
#include <stdlib.h>

#include "inside.h"

int device_fail(struct device *d, int status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(d->error, sizeof d->error, format, arguments);
    va_end(arguments);
    return status;
}

const struct properties *device_properties(const struct device *d) { return &d->properties; }
const struct infer_plan *device_plan(const struct device *d) { return &d->plan; }
const struct step *device_step(const struct device *d) { return (const struct step *)d->step; }
const struct shape *device_shape(const struct device *d) { return &d->shape; }
uint8_t *device_cache(const struct device *d) { return d->cache; }
rt_stream device_stream(const struct device *d) { return d->stream; }
void *device_area(const struct device *d, enum area area) { return d->areas[area]; }

static bool may_allocate(struct device *d) { return ++d->allocations != d->fail_allocation; }

void *device_malloc(struct device *d, int64_t bytes)
{
    void *p = NULL;
    return may_allocate(d) && !rt_malloc(bytes, &p) ? p : NULL;
}

void *device_malloc_host(struct device *d, int64_t bytes)
{
    void *p = NULL;
    return may_allocate(d) && !rt_malloc_host(bytes, &p) ? p : NULL;
}

struct view device_view(const struct device *d, int32_t tensor)
{
    struct view v = {};
    if (tensor < 0)
        return v;
    const struct infer_tensor *t = &d->plan.tensors[tensor];
    v.data = t->buffer == INFER_BUFFER_ACTIVATIONS ? d->activations + t->offset : d->placed[tensor].raw;
    v.dtype = t->dtype;
    v.rows_kind = (int32_t)t->rows_kind;
    v.stride = t->stride;
    v.cols = t->cols;
    v.rows = t->rows;
    v.mats = t->mats;
    v.mat_stride = t->mat_stride;
    return v;
}

struct view device_packed(const struct device *d, int32_t tensor)
{
    struct view v = device_view(d, tensor);
    if (tensor >= 0 && d->placed[tensor].packed) {
        v.data = d->placed[tensor].packed;
        v.mat_stride = d->placed[tensor].packed_bytes;
        v.stride = 0;
    }
    return v;
}

int32_t device_rows(const struct device *d, int32_t rows_kind)
{
    switch (rows_kind) {
    case INFER_ROWS_WANTED: return d->shape.wanted_count;
    case INFER_ROWS_EXPERTS: return d->shape.rows * (d->plan.experts_used > 0 ? d->plan.experts_used : 1);
    default: return d->shape.rows;
    }
}

#ifndef INFER_CUDA_EMULATE
__global__ void card_probe() {}
#endif

// Whether the library holds code for the card.
static const char *runs_here(void)
{
#ifdef INFER_CUDA_EMULATE
    return NULL;
#else
    cudaFuncAttributes attributes;
    return rt_said(cudaFuncGetAttributes(&attributes, card_probe));
#endif
}

#ifndef INFER_CUDA_BUILT_FOR
#define INFER_CUDA_BUILT_FOR "?"
#endif

static int open_card(struct device *d)
{
    if (const char *wrong = rt_open(d->index, &d->properties))
        return device_fail(d, d->properties.absent ? INFER_ERR_ABSENT : INFER_ERR_UNSUPPORTED, "CUDA card %d: %s", d->index, wrong);
    const int capability = d->properties.capability;
    if (const char *wrong = runs_here())
        return device_fail(d, INFER_ERR_UNSUPPORTED, "CUDA card %d (%s) has compute capability %d.%d, the library is built for %s: %s", d->index, d->properties.name,
                           capability / 10, capability % 10, INFER_CUDA_BUILT_FOR, wrong);
    const char *wrong = may_allocate(d) ? rt_stream_open(&d->stream) : "no stream";
    if (!wrong && d->timed && !(wrong = rt_event_open(&d->before)))
        wrong = rt_event_open(&d->after);
    if (wrong)
        return device_fail(d, INFER_ERR_SYSTEM, "CUDA card %d (%s): %s", d->index, d->properties.name, wrong);
    snprintf(d->description, sizeof d->description, "cuda %d: %s, %.1f GiB, compute capability %d.%d", d->index, d->properties.name, (double)d->properties.memory / (1 << 30),
             capability / 10, capability % 10);
    d->opened = true;
    return INFER_OK;
}

static int backend_open(const struct infer_options *options, void **device)
{
    struct device *d = (struct device *)calloc(1, sizeof *d);
    if (!d)
        return INFER_ERR_MEMORY;
    *device = d;
    const char *timed = getenv("INFER_CUDA_TIMING");
    d->timed = timed && *timed && *timed != '0';
    d->fail_allocation = options->fail_allocation;
    d->index = options->card;
    return open_card(d);
}

static void backend_close(void *device)
{
    struct device *d = (struct device *)device;
    if (!d)
        return;
    if (d->opened && !rt_enter(d->index)) {
        (void)rt_wait(d->stream);
        for (int i = 0; i < MAX_GRAPHS; i++)
            if (d->graphs[i].graph)
                rt_graph_free(d->graphs[i].graph);
        void *const on_card[] = {d->weights, d->activations, d->cache, d->areas[AREA_SCRATCH], d->areas[AREA_FORMS], d->step, d->kept};
        for (size_t i = 0; i < sizeof on_card / sizeof *on_card; i++)
            if (on_card[i])
                rt_free(on_card[i]);
        void *const on_host[] = {d->host_step, d->logits, d->hidden, d->host_kept};
        for (size_t i = 0; i < sizeof on_host / sizeof *on_host; i++)
            if (on_host[i])
                rt_free_host(on_host[i]);
    }
    if (d->before)
        rt_event_close(d->before);
    if (d->after)
        rt_event_close(d->after);
    if (d->stream)
        rt_stream_close(d->stream);
    free((void *)d->plan.tensors);
    free((void *)d->plan.ops);
    free((void *)d->plan.cache);
    free(d->placed);
    free(d);
}

static int backend_attach(void *device, const void *data, int64_t bytes, int32_t mapped, int32_t *buffer)
{
    struct device *d = (struct device *)device;
    if (d->buffer_count == MAX_BUFFERS)
        return device_fail(d, INFER_ERR_INVALID, "more than %d buffers", MAX_BUFFERS);
    d->buffers[d->buffer_count] = {(const uint8_t *)data, bytes, mapped != 0};
    *buffer = d->buffer_count++;
    return INFER_OK;
}

// Copies in the device's stream, and waits.
static int copy_now(struct device *d, void *to, const void *from, int64_t bytes)
{
    const char *wrong = rt_copy(to, from, bytes, d->stream);
    if (!wrong)
        wrong = rt_wait(d->stream);
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "a copy of %lld bytes: %s", (long long)bytes, wrong) : INFER_OK;
}

static int entered(struct device *d)
{
    const char *wrong = rt_enter(d->index);
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "CUDA card %d: %s", d->index, wrong) : INFER_OK;
}

static int backend_read_tensor(void *device, int32_t tensor, int64_t row, float *out)
{
    struct device *d = (struct device *)device;
    const struct infer_tensor *t = &d->plan.tensors[tensor];
    int status = entered(d);
    return status == INFER_OK ? copy_now(d, out, d->activations + t->offset + row * t->stride, t->cols * 4) : status;
}

enum direction { BETWEEN, TO_HOST, FROM_HOST };

// Moves a page's parts: between two pages, or to or from host memory, where they lie one after the other.
static int move_page(struct device *d, int32_t kind, int32_t page, int32_t other, uint8_t *host, enum direction direction)
{
    int status = entered(d);
    for (int32_t i = 0; status == INFER_OK && i < d->plan.cache_count; i++) {
        const struct infer_cache_layer *l = &d->plan.cache[i];
        if ((int32_t)l->kind != kind)
            continue;
        uint8_t *part = d->cache + l->offset + page * l->page_stride;
        void *to = direction == BETWEEN ? d->cache + l->offset + other * l->page_stride : direction == TO_HOST ? host : part;
        const char *wrong = rt_copy(to, direction == FROM_HOST ? host : part, l->page_bytes, d->stream);
        if (wrong)
            status = device_fail(d, INFER_ERR_SYSTEM, "page %d of kind %d, %lld bytes of layer %d: %s", page, kind, (long long)l->page_bytes, i, wrong);
        host = host ? host + l->page_bytes : NULL;
    }
    const char *wrong = rt_wait(d->stream); // host memory is the caller's again
    return status == INFER_OK && wrong ? device_fail(d, INFER_ERR_SYSTEM, "page %d of kind %d: %s", page, kind, wrong) : status;
}

static int backend_copy_page(void *device, int32_t kind, int32_t from, int32_t to) { return move_page((struct device *)device, kind, from, to, NULL, BETWEEN); }
static int backend_read_page(void *device, int32_t kind, int32_t page, void *out) { return move_page((struct device *)device, kind, page, 0, (uint8_t *)out, TO_HOST); }
static int backend_write_page(void *device, int32_t kind, int32_t page, const void *data)
{
    return move_page((struct device *)device, kind, page, 0, (uint8_t *)(uintptr_t)data, FROM_HOST);
}

static int backend_memory(void *device, int64_t *available, int64_t *total)
{
    struct device *d = (struct device *)device;
    int status = entered(d);
    const char *wrong = status == INFER_OK ? rt_memory(available, total) : NULL;
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "memory of CUDA card %d: %s", d->index, wrong) : status;
}

static const char *backend_last_error(void *device) { return ((struct device *)device)->error; }
static const char *backend_describe(void *device) { return ((struct device *)device)->description; }
static void backend_timing(void *device, struct infer_timing *out) { *out = ((struct device *)device)->timing; }

extern "C" __attribute__((visibility("default"))) const struct infer_backend *infer_cuda_backend(void)
{
    static const struct infer_backend backend = {
        INFER_ABI, "cuda", backend_open, backend_close, backend_attach, backend_prepare, backend_run, backend_read_tensor, backend_last_error,
        backend_describe, backend_timing, backend_copy_page, backend_read_page, backend_write_page, backend_memory, backend_peaks, 1,
    };
    return &backend;
}
