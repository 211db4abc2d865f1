// inside.h - the device's state: backend.cu (life, pages), memory.cu (a plan's memory), step.cu (batches), run.cu (launches and graphs).
#ifndef INFER_CUDA_INSIDE_H
#define INFER_CUDA_INSIDE_H

#include <stdio.h>

#include "device.h"

#define MAX_BUFFERS 1024
#define MAX_GRAPHS 32        // shapes that are remembered
#define GRAPH_ROWS 256       // shapes of more rows are launched op by op: their kernels take longer than their launches
#define UPLOAD_BYTES (16 << 20) // of a piece of a weight, unless PACK_ROWS rows are longer

struct buffer {
    const uint8_t *data;
    int64_t bytes;
    bool mapped;
};

// Where a weight of the plan lies in device memory.
struct placed {
    uint8_t *raw;    // as in the file; NULL: nobody reads it so
    uint8_t *packed; // as products read it
    int64_t raw_at, packed_at; // from the start of all weights; -1: not there
    int64_t packed_bytes;      // of a matrix
};

struct remembered {
    struct shape shape;
    rt_graph graph;   // NULL: seen once, launched op by op
    uint64_t used_at; // 0: the place is free
};

struct device {
    struct properties properties;
    int32_t index; // of the card
    rt_stream stream;
    char error[640], description[256];
    int64_t fail_allocation, allocations; // tests
    bool opened, timed;

    struct buffer buffers[MAX_BUFFERS];
    int32_t buffer_count;

    struct infer_plan plan; // with copies of its arrays
    struct placed *placed;  // [tensor_count]
    uint8_t *weights, *activations, *cache, *areas[AREA_COUNT];

    uint8_t *host_step, *step; // a batch, on the host and on the device: struct step, then its arrays
    int64_t step_bytes;
    struct shape shape;
    struct remembered graphs[MAX_GRAPHS];
    uint64_t clock; // runs, for the least recently used graph

    float *logits, *hidden; // on the host
    struct infer_kept *kept, *host_kept; // room for kept_pairs each
    int64_t kept_pairs;

    rt_event before, after; // of an op, where the device is timed
    struct infer_timing timing;
};

// Memory with the device's life; NULL when there is none, or when a test says so.
void *device_malloc(struct device *d, int64_t bytes);
void *device_malloc_host(struct device *d, int64_t bytes);

int backend_prepare(void *device, const struct infer_plan *plan);
int backend_run(void *device, const struct infer_batch *batch, struct infer_result *result);

int backend_peaks(void *device, struct infer_card_peaks *out);

// Lays a batch out behind struct step in host memory, sets the shape, and begins its copy to the device.
int write_step(struct device *d, const struct infer_batch *batch);
int reserve_step(struct device *d, int64_t bytes); // grows both copies of the step
int reserve_kept(struct device *d, int64_t pairs); // grows both copies of what is selected
int64_t step_bytes_of(const struct infer_plan *plan, int32_t rows, int32_t wanted, int32_t sequences, int32_t table_pages, bool carries);
// Whether a wanted row's logits are wanted whole.
static inline bool is_whole(const struct infer_batch *b, int32_t wanted) { return !b->keeps || b->keep[wanted] == 0; }
int32_t kept_stride(const struct infer_batch *b); // the most pairs that a row keeps

#endif
