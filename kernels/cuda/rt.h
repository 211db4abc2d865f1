// rt.h - the few calls of the CUDA runtime that the backend makes, and the same ones over host memory in the emulator. Unless said
// otherwise a call returns NULL, or what was wrong.
#ifndef INFER_CUDA_RT_H
#define INFER_CUDA_RT_H

#include <stddef.h>
#include <stdint.h>

struct properties {
    int32_t capability;   // 10 * major + minor
    bool absent;          // where opening failed: the machine has no such card
    int32_t sms;
    int32_t block_shared; // bytes of shared memory that a block can have, with dynamic ones
    int32_t emulated;
    int64_t memory;       // bytes of the card
    char name[128];
};

#ifdef INFER_CUDA_EMULATE
#include "emulate/rt.h"
#else
#include "rt_cuda.h"
#endif

// Both give:
//   rt_stream, rt_graph, rt_event            handles; NULL: none
//   rt_open(index, &properties)              finds a card
//   rt_enter(index)                          once in every call from outside: a thread chooses its card
//   rt_memory(&available, &total)            bytes of the card
//   rt_malloc(bytes, &pointer), rt_free      device memory; its contents are not set
//   rt_malloc_host(bytes, &pointer), rt_free_host   pinned host memory
//   rt_stream_open(&stream), rt_stream_close
//   rt_copy(to, from, bytes, stream)         any direction, in the stream's order; host memory must be pinned
//   rt_fill(to, byte, bytes, stream)
//   rt_wait(stream)                          until all that the stream holds is done
//   rt_event_open(&event), rt_event_close, rt_event_record(event, stream), rt_event_wait(event), rt_event_ns(from, to) nanoseconds between two
//   rt_capture_begin(stream), rt_capture_end(stream, &graph), rt_replay(graph, stream), rt_graph_free(graph)
//   rt_launch(stream, kernel, grid, block, shared_bytes, arguments...)

#endif
