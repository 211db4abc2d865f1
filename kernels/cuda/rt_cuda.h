// rt_cuda.h - rt.h over the CUDA runtime.
#ifndef INFER_CUDA_RT_CUDA_H
#define INFER_CUDA_RT_CUDA_H

#include <cuda_runtime.h>

typedef cudaStream_t rt_stream;
typedef cudaGraphExec_t rt_graph;

static inline const char *rt_said(cudaError_t e) { return e == cudaSuccess ? NULL : cudaGetErrorString(e); }

static inline const char *rt_malloc(int64_t bytes, void **p) { return rt_said(cudaMalloc(p, (size_t)bytes)); }
static inline void rt_free(void *p) { (void)cudaFree(p); }
static inline const char *rt_malloc_host(int64_t bytes, void **p) { return rt_said(cudaHostAlloc(p, (size_t)bytes, cudaHostAllocDefault)); }
static inline void rt_free_host(void *p) { (void)cudaFreeHost(p); }
static inline const char *rt_copy(void *to, const void *from, int64_t bytes, rt_stream s) { return rt_said(cudaMemcpyAsync(to, from, (size_t)bytes, cudaMemcpyDefault, s)); }
static inline const char *rt_fill(void *to, int byte, int64_t bytes, rt_stream s) { return rt_said(cudaMemsetAsync(to, byte, (size_t)bytes, s)); }
static inline const char *rt_wait(rt_stream s) { return rt_said(cudaStreamSynchronize(s)); }
static inline const char *rt_stream_open(rt_stream *s) { return rt_said(cudaStreamCreateWithFlags(s, cudaStreamNonBlocking)); }
static inline void rt_stream_close(rt_stream s) { (void)cudaStreamDestroy(s); }

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
