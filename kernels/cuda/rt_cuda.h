// rt_cuda.h - rt.h over the CUDA runtime.
#ifndef INFER_CUDA_RT_CUDA_H
#define INFER_CUDA_RT_CUDA_H

#include <cuda_runtime.h>
#include <stdio.h>

typedef cudaStream_t rt_stream;
typedef cudaGraphExec_t rt_graph;
typedef cudaEvent_t rt_event;

// Errors of one call stay with it: the last error is taken off, so that the next call does not report it.
static inline const char *rt_said(cudaError_t e)
{
    if (e == cudaSuccess)
        return NULL;
    (void)cudaGetLastError();
    return cudaGetErrorString(e);
}

static inline const char *rt_open(int index, struct properties *p)
{
    int count = 0;
    cudaError_t e = cudaGetDeviceCount(&count);
    int driver = 0; // 0: none is installed, which the count calls a version that is insufficient
    p->absent = e == cudaErrorNoDevice || (e == cudaSuccess && (index < 0 || index >= count)) || (e == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0);
    if (p->absent)
        return e == cudaErrorInsufficientDriver ? "no driver is installed" : count == 0 ? "the machine has none" : "the machine has fewer cards";
    if (e != cudaSuccess)
        return rt_said(e);
    struct cudaDeviceProp found;
    if ((e = cudaGetDeviceProperties(&found, index)) != cudaSuccess || (e = cudaSetDevice(index)) != cudaSuccess)
        return rt_said(e);
    p->capability = 10 * found.major + found.minor;
    p->sms = found.multiProcessorCount;
    p->block_shared = (int32_t)found.sharedMemPerBlockOptin;
    p->emulated = 0;
    p->memory = (int64_t)found.totalGlobalMem;
    snprintf(p->name, sizeof p->name, "%s", found.name);
    return NULL;
}
static inline const char *rt_enter(int index) { return rt_said(cudaSetDevice(index)); }
static inline const char *rt_memory(int64_t *available, int64_t *total)
{
    size_t a = 0, t = 0;
    const char *wrong = rt_said(cudaMemGetInfo(&a, &t));
    *available = (int64_t)a, *total = (int64_t)t;
    return wrong;
}

static inline const char *rt_malloc(int64_t bytes, void **p) { return rt_said(cudaMalloc(p, (size_t)bytes)); }
static inline void rt_free(void *p) { (void)cudaFree(p); }
static inline const char *rt_malloc_host(int64_t bytes, void **p) { return rt_said(cudaHostAlloc(p, (size_t)bytes, cudaHostAllocDefault)); }
static inline void rt_free_host(void *p) { (void)cudaFreeHost(p); }
static inline const char *rt_copy(void *to, const void *from, int64_t bytes, rt_stream s) { return rt_said(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyDefault, s)); }
static inline const char *rt_fill(void *to, int byte, int64_t bytes, rt_stream s) { return rt_said(cudaMemsetAsync(to, byte, (size_t)bytes, s)); }
static inline const char *rt_wait(rt_stream s) { return rt_said(cudaStreamSynchronize(s)); }
static inline const char *rt_stream_open(rt_stream *s) { return rt_said(cudaStreamCreateWithFlags(s, cudaStreamNonBlocking)); }
static inline void rt_stream_close(rt_stream s) { (void)cudaStreamDestroy(s); }

static inline const char *rt_event_open(rt_event *e) { return rt_said(cudaEventCreate(e)); }
static inline void rt_event_close(rt_event e) { (void)cudaEventDestroy(e); }
static inline const char *rt_event_record(rt_event e, rt_stream s) { return rt_said(cudaEventRecord(e, s)); }
static inline const char *rt_event_wait(rt_event e) { return rt_said(cudaEventSynchronize(e)); }
static inline int64_t rt_event_ns(rt_event from, rt_event to)
{
    float ms = 0;
    return cudaEventElapsedTime(&ms, from, to) == cudaSuccess ? (int64_t)(ms * 1e6) : 0;
}

static inline const char *rt_capture_begin(rt_stream s) { return rt_said(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal)); }

// Ends the capture in any case; *graph is NULL where it failed.
static inline const char *rt_capture_end(rt_stream s, rt_graph *graph)
{
    cudaGraph_t captured = NULL;
    *graph = NULL;
    cudaError_t e = cudaStreamEndCapture(s, &captured);
    if (e == cudaSuccess)
        e = cudaGraphInstantiate(graph, captured, 0);
    if (captured)
        (void)cudaGraphDestroy(captured);
    return rt_said(e);
}
static inline const char *rt_replay(rt_graph g, rt_stream s) { return rt_said(cudaGraphLaunch(g, s)); }
static inline void rt_graph_free(rt_graph g) { (void)cudaGraphExecDestroy(g); }

template <typename... Parameters, typename... Arguments>
const char *rt_launch(rt_stream s, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, Arguments... arguments)
{
    if (shared_bytes > 48 << 10) { // which a kernel must be allowed
        cudaError_t e = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared_bytes);
        if (e != cudaSuccess)
            return rt_said(e);
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = s;
    return rt_said(cudaLaunchKernelEx(&config, kernel, (Parameters)arguments...));
}

#endif
