// cpu.c - the CPU backend's life: variants, memory, open, close.

#include <stdio.h>
#include <stdlib.h>
#ifdef __linux__
#include <sys/mman.h>
#endif
#include <unistd.h>

#include "cpu_device.h"

// Just before each block that is handed out: how to give it back.
struct allocation {
    void *start;
    size_t mapped; // bytes of a mapping of its own; 0: from calloc
};

#define HUGE_PAGE ((size_t)2 << 20)

// Large blocks get mappings of their own, in huge pages where the system has them: weights are streamed, and 4 KB pages cost
// a tenth of the bandwidth in address translation.
static void *map_large(size_t bytes)
{
#ifdef __linux__
    size_t total = bytes + 2 * HUGE_PAGE;
    uint8_t *p = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    uint8_t *aligned = (uint8_t *)(((uintptr_t)p + sizeof(struct allocation) + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
    madvise(aligned, bytes, MADV_HUGEPAGE);
    *(struct allocation *)(aligned - sizeof(struct allocation)) = (struct allocation){p, total};
    return aligned;
#else
    (void)bytes;
    return NULL;
#endif
}

void *infer_device_alloc(struct device *d, int64_t bytes)
{
    d->allocations++;
    if (d->fail_allocation > 0 && d->allocations == d->fail_allocation)
        return NULL;
    if (bytes < 0 || (uint64_t)bytes > SIZE_MAX / 2)
        return NULL;
    if ((size_t)bytes >= 2 * HUGE_PAGE) {
        void *p = map_large((size_t)bytes);
        if (p)
            return p;
    }
    uint8_t *p = calloc(1, (size_t)bytes + 128);
    if (!p)
        return NULL;
    uint8_t *aligned = (uint8_t *)(((uintptr_t)p + 127) & ~(uintptr_t)63);
    *(struct allocation *)(aligned - sizeof(struct allocation)) = (struct allocation){p, 0};
    return aligned;
}

void infer_device_free(void *p)
{
    if (!p)
        return;
    struct allocation a = *(struct allocation *)((uint8_t *)p - sizeof(struct allocation));
#ifdef __linux__
    if (a.mapped > 0) {
        munmap(a.start, a.mapped);
        return;
    }
#endif
    free(a.start);
}

static const struct cpu_variant *const variants[] = { // best first
#if defined(__x86_64__)
    &infer_cpu_amx,
    &infer_cpu_avx512bf16,
    &infer_cpu_avx512,
    &infer_cpu_vnni256,
    &infer_cpu_avxvnni,
    &infer_cpu_avx2,
#elif defined(__aarch64__)
    &infer_cpu_neon_i8mm,
    &infer_cpu_neon,
#endif
    &infer_cpu_ref,
};

const struct cpu_variant *infer_cpu_variant(const char *name)
{
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (variants[i]->supported() && (!name || !*name || strcmp(name, variants[i]->name) == 0))
            return variants[i];
    return NULL;
}

enum act_form infer_form_of(const struct cpu_variant *v, enum infer_dtype t, int64_t cols)
{
    if ((t == INFER_DTYPE_BF16 || (t == INFER_DTYPE_F16 && v->rounds_f16)) && v->round_bf16 && cols % 2 == 0)
        return FORM_BF16;
    switch (infer_type_traits(t)->family) {
    case INFER_FAMILY_32: return FORM_32;
    case INFER_FAMILY_256: return FORM_256;
    default: return FORM_F32;
    }
}

void infer_write_form(const struct cpu_variant *v, enum act_form form, const float *x, int64_t cols, void *out)
{
    switch (form) {
    case FORM_32: v->quantize32(x, cols, out); break;
    case FORM_256: v->quantize256(x, cols, out); break;
    case FORM_BF16: v->round_bf16(x, cols, out); break;
    default: memcpy(out, x, (size_t)cols * 4);
    }
}

static void cpu_close(void *device)
{
    struct device *d = device;
    if (!d)
        return;
    infer_team_close(d->team);
    for (int32_t i = 0; d->weights && i < d->plan.tensor_count; i++)
        if (!d->weights[i].is_mate)
            infer_device_free(d->weights[i].packed);
    for (int i = 0; d->scratch && i < d->threads; i++)
        infer_device_free(d->scratch[i]);
    for (int i = 0; i < FORM_BUFFERS; i++) {
        infer_device_free(d->forms[i].data);
        infer_device_free(d->forms[i].tiles);
    }
    for (int i = 0; i < TILE_SIZES; i++)
        infer_device_free(d->tiles[i].first);
    infer_device_free(d->groups.slots);
    for (int i = 0; i < d->owned_count; i++)
        infer_device_free(d->owned[i]);
    free(d->steps);
    free(d);
}

static int cpu_open(const struct infer_options *options, void **device)
{
    struct device *d = calloc(1, sizeof *d);
    if (!d)
        return INFER_ERR_MEMORY;
    *device = d;
    d->repack = options->repack != 0;
    d->fail_allocation = options->fail_allocation;
    d->variant = infer_cpu_variant(options->variant);
    if (!d->variant) {
        snprintf(d->error, sizeof d->error, "no CPU variant \"%.40s\" here", options->variant ? options->variant : "");
        return INFER_ERR_UNSUPPORTED;
    }
    if (options->round_f16 && !d->variant->rounding_f16) {
        snprintf(d->error, sizeof d->error, "F16 weights rounded to bf16 need a bf16 dot product, which the CPU variant %s has not", d->variant->name);
        return INFER_ERR_UNSUPPORTED;
    }
    if (options->round_f16)
        d->variant = d->variant->rounding_f16;
    d->threads = options->threads;
    if (d->threads <= 0)
        d->threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (d->threads < 1)
        d->threads = 1;
    if (d->threads > MAX_THREADS)
        d->threads = MAX_THREADS;
    infer_pace_start(&d->pace, d->threads);
    d->allocations++;
    if (d->fail_allocation != d->allocations)
        d->team = infer_team_open(d->threads, options->cpus);
    if (!d->team) {
        snprintf(d->error, sizeof d->error, "cannot start %d threads%s", d->threads, options->cpus ? " bound to processors" : "");
        return INFER_ERR_SYSTEM;
    }
    snprintf(d->description, sizeof d->description, "cpu %s, %d %sthread%s", d->variant->name, d->threads, options->cpus ? "bound " : "", d->threads == 1 ? "" : "s");
    return INFER_OK;
}

static int cpu_attach(void *device, const void *data, int64_t bytes, int32_t mapped, int32_t *buffer)
{
    struct device *d = device;
    if (d->buffer_count == MAX_BUFFERS) {
        snprintf(d->error, sizeof d->error, "more than %d buffers", MAX_BUFFERS);
        return INFER_ERR_INVALID;
    }
    d->buffers[d->buffer_count].data = data;
    d->buffers[d->buffer_count].bytes = bytes;
    d->buffers[d->buffer_count].mapped = mapped != 0;
    *buffer = d->buffer_count++;
    return INFER_OK;
}

static int cpu_read_tensor(void *device, int32_t tensor, int64_t row, float *out)
{
    struct device *d = device;
    memcpy(out, activation(d, tensor, row), (size_t)tensor_at(d, tensor)->cols * 4);
    return INFER_OK;
}

static int cpu_copy_page(void *device, int32_t kind, int32_t from, int32_t to)
{
    struct device *d = device;
    for (int32_t i = 0; i < d->plan.cache_count; i++) {
        const struct infer_cache_layer *l = &d->plan.cache[i];
        if ((int32_t)l->kind == kind)
            memcpy(d->cache + l->offset + to * l->page_stride, d->cache + l->offset + from * l->page_stride, (size_t)l->page_bytes);
    }
    return INFER_OK;
}

static int cpu_read_page(void *device, int32_t kind, int32_t page, void *out)
{
    struct device *d = device;
    uint8_t *to = out;
    for (int32_t i = 0; i < d->plan.cache_count; i++) {
        const struct infer_cache_layer *l = &d->plan.cache[i];
        if ((int32_t)l->kind != kind)
            continue;
        memcpy(to, d->cache + l->offset + page * l->page_stride, (size_t)l->page_bytes);
        to += l->page_bytes;
    }
    return INFER_OK;
}

static int cpu_write_page(void *device, int32_t kind, int32_t page, const void *data)
{
    struct device *d = device;
    const uint8_t *from = data;
    for (int32_t i = 0; i < d->plan.cache_count; i++) {
        const struct infer_cache_layer *l = &d->plan.cache[i];
        if ((int32_t)l->kind != kind)
            continue;
        memcpy(d->cache + l->offset + page * l->page_stride, from, (size_t)l->page_bytes);
        from += l->page_bytes;
    }
    return INFER_OK;
}

static const char *cpu_last_error(void *device) { return ((struct device *)device)->error; }
static const char *cpu_describe(void *device) { return ((struct device *)device)->description; }
static void cpu_timing(void *device, struct infer_timing *out) { *out = ((struct device *)device)->timing; }

const struct infer_backend *infer_cpu_backend(void)
{
    static const struct infer_backend backend = {
        INFER_ABI, "cpu", cpu_open, cpu_close, cpu_attach, infer_cpu_prepare, infer_cpu_run,
        cpu_read_tensor, cpu_last_error, cpu_describe, cpu_timing, cpu_copy_page, cpu_read_page, cpu_write_page, NULL, NULL, 0,
    };
    return &backend;
}
