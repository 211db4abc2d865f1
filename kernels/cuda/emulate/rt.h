// rt.h (emulator) - the CUDA runtime's calls over host memory. Streams run what they get at once; a graph is the list of what was launched while
// it was captured, with the arguments of then.
#ifndef INFER_CUDA_EMULATE_RT_H
#define INFER_CUDA_EMULATE_RT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <functional>
#include <new>
#include <vector>

#include "emulate.h"

namespace emulate {
struct graph {
    std::vector<std::function<const char *()>> nodes;
};
struct stream {
    graph *capturing = nullptr;
};
struct event {
    timespec at;
};
uint64_t next_seed(); // of the order of threads of the next launch
// Memory is filled with bytes that make floats NaN: what is read before it was written shows.
void *allocate(int64_t bytes);
void release(void *p);
const char *submit(stream *s, std::function<const char *()> node);
} // namespace emulate

typedef emulate::stream *rt_stream;
typedef emulate::graph *rt_graph;
typedef emulate::event *rt_event;

const char *rt_open(int index, struct properties *p);
static inline const char *rt_enter(int) { return NULL; }
const char *rt_memory(int64_t *available, int64_t *total);

static inline const char *rt_malloc(int64_t bytes, void **p)
{
    *p = emulate::allocate(bytes);
    return *p ? NULL : "out of memory";
}
static inline void rt_free(void *p) { emulate::release(p); }
static inline const char *rt_malloc_host(int64_t bytes, void **p) { return rt_malloc(bytes, p); }
static inline void rt_free_host(void *p) { emulate::release(p); }
static inline const char *rt_copy(void *to, const void *from, int64_t bytes, rt_stream s)
{
    return emulate::submit(s, [=]() -> const char * { memcpy(to, from, (size_t)bytes); return NULL; });
}
static inline const char *rt_fill(void *to, int byte, int64_t bytes, rt_stream s)
{
    return emulate::submit(s, [=]() -> const char * { memset(to, byte, (size_t)bytes); return NULL; });
}
static inline const char *rt_wait(rt_stream) { return NULL; }
static inline const char *rt_stream_open(rt_stream *s)
{
    *s = new (std::nothrow) emulate::stream;
    return *s ? NULL : "out of memory";
}
static inline void rt_stream_close(rt_stream s) { delete s; }

static inline const char *rt_event_open(rt_event *e)
{
    *e = new (std::nothrow) emulate::event;
    return *e ? NULL : "out of memory";
}
static inline void rt_event_close(rt_event e) { delete e; }
static inline const char *rt_event_record(rt_event e, rt_stream)
{
    clock_gettime(CLOCK_MONOTONIC, &e->at);
    return NULL;
}
static inline const char *rt_event_wait(rt_event) { return NULL; }
static inline int64_t rt_event_ns(rt_event from, rt_event to) { return (to->at.tv_sec - from->at.tv_sec) * 1000000000LL + to->at.tv_nsec - from->at.tv_nsec; }

static inline const char *rt_capture_begin(rt_stream s)
{
    s->capturing = new (std::nothrow) emulate::graph;
    return s->capturing ? NULL : "out of memory";
}
static inline const char *rt_capture_end(rt_stream s, rt_graph *graph)
{
    *graph = s->capturing;
    s->capturing = nullptr;
    return NULL;
}
static inline const char *rt_replay(rt_graph g, rt_stream)
{
    for (auto &node : g->nodes)
        if (const char *wrong = node())
            return wrong;
    return NULL;
}
static inline void rt_graph_free(rt_graph g) { delete g; }

template <typename... Parameters, typename... Arguments>
const char *rt_launch(rt_stream s, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Arguments... arguments)
{
    return emulate::submit(s, [=]() -> const char * {
        return emulate::launch(grid, block, emulate::next_seed(), [=] { kernel((Parameters)arguments...); }, shared_bytes);
    });
}

#endif
