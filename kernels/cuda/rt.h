// rt.h - the few calls of the CUDA runtime that the backend makes, and the same ones over host memory in the emulator. A call returns NULL, or
// what was wrong.
#ifndef INFER_CUDA_RT_H
#define INFER_CUDA_RT_H

#include <stddef.h>
#include <stdint.h>
#ifdef INFER_CUDA_EMULATE
#include "emulate/rt.h"
#else
#include "rt_cuda.h"
#endif

// Both give:
//   rt_stream, rt_graph                      handles; NULL: none
//   rt_open(device, &properties..)           see there
//   rt_malloc(bytes, &pointer), rt_free      device memory; its contents are not set
//   rt_malloc_host(bytes, &pointer), rt_free_host   pinned host memory
//   rt_copy(to, from, bytes, stream)         any direction, in the stream's order; host memory must be pinned
//   rt_fill(to, byte, bytes, stream)
//   rt_wait(stream)                          until all that the stream holds is done
//   rt_capture_begin(stream), rt_capture_end(stream, &graph), rt_replay(graph, stream), rt_graph_free(graph)
//   rt_launch(stream, kernel, grid, block, shared_bytes, arguments...)

#endif
