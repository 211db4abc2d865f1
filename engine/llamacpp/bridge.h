//go:build llamacpp

// bridge.h - what the package asks of libllama, as C functions that return status codes. No exception, no failed assertion and
// no line of output of the library gets past them where that can be helped; bridge.cpp says how.
#ifndef INFER_LLAMACPP_BRIDGE_H
#define INFER_LLAMACPP_BRIDGE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Status codes; the numbers of kernels.h where the meaning is the same.
enum bridge_status {
    BRIDGE_OK = 0,
    BRIDGE_MEMORY = 1,    // an allocation failed, or the cache has no room
    BRIDGE_INVALID = 3,   // the library refused the model or the batch
    BRIDGE_SYSTEM = 4,    // computing failed, or the library does not fit its headers
    BRIDGE_CANCELLED = 5, // bridge_cancel was called
    BRIDGE_BROKEN = 6,    // an assertion of the library failed: the model must not be used any more
};

struct bridge_text { // of an error or a description; cut where it is longer
    char text[1024];
};

struct bridge_options {
    int32_t threads;     // at least 1
    int32_t cells;       // tokens that the cache holds, over all sequences
    int32_t batch;       // rows of a call at most
    int32_t sequences;   // numbered from 0
    int32_t exact_cache; // 1: keys and values in f32 and no fused attention, which would round queries to f16
    int32_t repack;      // 0: weights as they lie in the file
    int32_t vectors;     // 1: opened for hidden states or pooled vectors instead of logits
    int32_t pooled;      // with vectors: 1 pools as the model says, 0 gives each token's state
    uintptr_t observer;  // handle passed to inferLlamaNode for every computed tensor; 0: none
};

struct bridge_info {
    int32_t vocab, dim, layers, heads, kv_heads, context, window, pooling;
    int32_t vector_dim;  // floats of a hidden state or pooled vector
    int32_t has_encoder; // encoder and decoder with cross attention: not served here
    int32_t recurrent;   // part of the cache is a state that cannot be cut back
    int64_t parameters, bytes;
};

struct bridge; // an open model

// bridge_start loads the compute libraries that lie beside libllama, takes over its log, and compares the headers with the library.
int bridge_start(struct bridge_text *error);
int bridge_max_sequences(void);
void bridge_version(struct bridge_text *out);

// bridge_open sets *out where it returns BRIDGE_OK, and only there.
int bridge_open(const char *const *paths, int32_t count, const struct bridge_options *options, struct bridge **out, struct bridge_info *info,
                struct bridge_text *error);
void bridge_close(struct bridge *b);
void bridge_devices(const struct bridge *b, struct bridge_text *out);

// bridge_decode computes rows at the ends of their sequences. logits[i] is 1 where row i's logits, or its state, are wanted; they
// lie one after the other in *values until the next call.
int bridge_decode(struct bridge *b, const int32_t *ids, const int32_t *positions, const int32_t *sequences, const int8_t *wanted, int32_t rows,
                  const float **values, struct bridge_text *error);
// bridge_pooled returns the vector of a sequence after bridge_decode on a model opened for pooled vectors.
int bridge_pooled(struct bridge *b, int32_t sequence, const float **values, struct bridge_text *error);
void bridge_cancel(struct bridge *b, int32_t cancelled); // from any thread

// The cache. bridge_cut forgets positions from n on; *kept is 0 where the model cannot, and the sequence is then empty.
int bridge_cut(struct bridge *b, int32_t sequence, int32_t n, int32_t *kept, struct bridge_text *error);
int bridge_copy(struct bridge *b, int32_t from, int32_t to, struct bridge_text *error); // to is emptied first

#ifdef __cplusplus
}
#endif

#endif
