//go:build llamacpp

// bridge.cpp - libllama behind status codes.
//
// The library reports faults in three ways: a return value, a C++ exception, and ggml_abort, which ends the process. Every call here
// runs inside guarded(), which turns exceptions into a status. ggml_abort calls a callback before it ends the process, and that
// throws where the calling thread is inside guarded(): the stack unwinds to there and the process lives, but the model is marked
// broken, is not used again and is leaked rather than freed, since its state is unknown. An assertion that fails on one of
// the library's own threads cannot be caught; its text is logged before the process ends.
//
// A file can also lack what the library takes for granted, and make it read through a null pointer or divide by zero. So each file is
// first opened and computed for a few tokens in a child process: bridge_open refuses what ends that.

#include "bridge.h"

#include <dlfcn.h>
#ifdef __linux__
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "llama.h"

extern "C" { // in Go
void inferLlamaLog(int level, char *text);
int inferLlamaWants(uintptr_t observer, char *name);
void inferLlamaNode(uintptr_t observer, char *name, int64_t cols, int64_t rows, float *values);
}

namespace {

struct assertion : std::runtime_error {
    using std::runtime_error::runtime_error;
};

thread_local int guards;         // calls to guarded() on this thread's stack
thread_local bool assert_failed; // inside the innermost of them

void on_abort(const char *message)
{
    std::string line = std::string(message) + "\n";
    inferLlamaLog(GGML_LOG_LEVEL_ERROR, &line[0]);
    if (guards > 0) {
        assert_failed = true;
        throw assertion(message);
    }
}

void on_log(ggml_log_level level, const char *text, void *)
{
    inferLlamaLog(level, const_cast<char *>(text)); // the Go side copies it
}

void say(bridge_text *out, const char *text)
{
    if (out)
        snprintf(out->text, sizeof out->text, "%s", text);
}

std::shared_mutex in_library; // held exclusively to fork: then no caller of ours holds a lock of the library

template <class Body> int guarded(bridge_text *error, Body body)
{
    struct counted {
        counted() { guards++; }
        ~counted() { guards--; }
    } count;
    std::shared_lock<std::shared_mutex> lock(in_library, std::defer_lock);
    if (guards == 1) {
        assert_failed = false;
        lock.lock();
    }
    int status = BRIDGE_SYSTEM;
    try {
        status = body();
    } catch (const std::bad_alloc &) {
        say(error, "out of memory");
        status = BRIDGE_MEMORY;
    } catch (const std::exception &e) {
        say(error, e.what());
    } catch (...) {
        say(error, "an exception of an unknown kind");
    }
    return assert_failed ? BRIDGE_BROKEN : status; // the library may have caught our exception itself
}

struct free_model {
    void operator()(llama_model *m) const { llama_model_free(m); }
};
struct free_context {
    void operator()(llama_context *c) const { llama_free(c); }
};

template <class F> F find_proc(const char *name)
{
    ggml_backend_dev_t dev = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    return dev ? (F)ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(dev), name) : nullptr;
}

// Parameters are structs passed by value: with headers of another version a field that moved would be misread in silence. The
// defaults that every version has had show whether fields lie where the headers say.
const char *find_misfit()
{
    llama_model_params m = llama_model_default_params();
    llama_context_params c = llama_context_default_params();
    if (m.main_gpu != 0 || m.tensor_split || m.kv_overrides || m.progress_callback || m.vocab_only || m.check_tensors || !m.use_extra_bufts)
        return "llama_model_params";
    if (c.n_ctx != 512 || c.n_batch != 2048 || c.n_ubatch != 512 || c.n_seq_max != 1 || c.n_threads < 1 || c.n_threads != c.n_threads_batch ||
        c.pooling_type != LLAMA_POOLING_TYPE_UNSPECIFIED || c.attention_type != LLAMA_ATTENTION_TYPE_UNSPECIFIED || c.yarn_ext_factor != -1 ||
        c.cb_eval || c.type_k != GGML_TYPE_F16 || c.type_v != GGML_TYPE_F16 || c.abort_callback || c.embeddings || !c.offload_kqv || !c.op_offload)
        return "llama_context_params";
    return nullptr;
}

void load_compute_libraries()
{
    if (ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU))
        return; // linked in
    Dl_info where;
    if (dladdr((void *)llama_backend_init, &where) && where.dli_fname) {
        std::string path(where.dli_fname);
        size_t slash = path.rfind('/');
        if (slash != std::string::npos)
            ggml_backend_load_all_from_path(path.substr(0, slash).c_str());
    }
    if (!ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU))
        ggml_backend_load_all();
}

} // namespace

struct bridge {
    bridge_options options;
    std::unique_ptr<llama_model, free_model> model;
    std::unique_ptr<llama_context, free_context> context;
    ggml_threadpool *threads = nullptr;
    llama_batch batch = {};
    std::atomic<int32_t> cancelled{0};
    int32_t window = 0, vector_dim = 0;
    bool broken = false;
    bool trial = false; // in a child process
    std::vector<float> values; // wanted rows, where the library does not keep them together
    std::vector<uint8_t> raw;  // of an observed tensor
    std::vector<float> node;

    ~bridge()
    {
        if (broken) { // leaked: see the head of the file
            (void)context.release();
            (void)model.release();
            return;
        }
        context.reset();
        if (threads)
            if (auto free_threads = find_proc<void (*)(ggml_threadpool *)>("ggml_threadpool_free"))
                free_threads(threads);
        if (batch.token)
            llama_batch_free(batch);
    }

    // run is guarded() for a model: a broken one does nothing.
    template <class Body> int run(bridge_text *error, Body body)
    {
        if (broken) {
            say(error, "an assertion of the library failed earlier: the model must be opened again");
            return BRIDGE_BROKEN;
        }
        int status = guarded(error, body);
        broken = status == BRIDGE_BROKEN;
        return status;
    }
};

namespace {

bool should_abort(void *data)
{
    return static_cast<bridge *>(data)->cancelled.load(std::memory_order_relaxed) != 0;
}

// observe hands the values of named, contiguous tensors to Go, as floats.
bool observe(ggml_tensor *t, bool ask, void *data)
{
    bridge *b = static_cast<bridge *>(data);
    const ggml_type_traits *traits = ggml_get_type_traits(t->type);
    bool readable = ggml_is_contiguous(t) && (t->type == GGML_TYPE_F32 || (traits && traits->to_float && traits->blck_size == 1));
    if (ask)
        return readable && inferLlamaWants(b->options.observer, t->name);
    if (!readable)
        return true;
    int64_t n = ggml_nelements(t);
    b->node.resize((size_t)n);
    if (t->type == GGML_TYPE_F32) {
        ggml_backend_tensor_get(t, b->node.data(), 0, (size_t)n * sizeof(float));
    } else {
        b->raw.resize(ggml_nbytes(t));
        ggml_backend_tensor_get(t, b->raw.data(), 0, b->raw.size());
        traits->to_float(b->raw.data(), b->node.data(), n);
    }
    inferLlamaNode(b->options.observer, t->name, t->ne[0], n / (t->ne[0] ? t->ne[0] : 1), b->node.data());
    return true;
}

void start_threads(bridge *b)
{
    auto make = find_proc<ggml_threadpool *(*)(ggml_threadpool_params *)>("ggml_threadpool_new");
    if (!make)
        return; // the library then starts threads for each step
    ggml_threadpool_params p = ggml_threadpool_params_default(b->options.threads);
    b->threads = make(&p);
    if (b->threads)
        llama_attach_threadpool(b->context.get(), b->threads, nullptr);
}

// may_split says whether the parts of a batch may be computed one after the other: not without a causal mask, which models for
// vectors often lack.
bool may_split(const bridge *b)
{
    const llama_model *m = b->model.get();
    char arch[128], value[16];
    if (b->options.vectors || llama_model_is_diffusion(m) || llama_model_meta_val_str(m, "general.architecture", arch, sizeof arch) < 0)
        return false;
    std::string key = std::string(arch) + ".attention.causal";
    return llama_model_meta_val_str(m, key.c_str(), value, sizeof value) < 0 || strcmp(value, "false") != 0;
}

llama_context_params context_params(bridge *b)
{
    const bridge_options &o = b->options;
    llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)o.cells;
    p.n_batch = (uint32_t)std::max(o.batch, o.sequences); // the library asserts room for an output of every sequence
    p.n_ubatch = may_split(b) ? std::min(p.n_batch, 512u) : p.n_batch;
    p.n_seq_max = (uint32_t)o.sequences;
    p.n_threads = p.n_threads_batch = o.threads;
    p.kv_unified = true; // sequences share cells: a copied prefix costs none
    p.swa_full = false;
    p.embeddings = o.vectors != 0;
    if (o.vectors && !o.pooled)
        p.pooling_type = LLAMA_POOLING_TYPE_NONE;
    if (o.exact_cache) {
        p.type_k = p.type_v = GGML_TYPE_F32;
        p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    }
    p.abort_callback = should_abort;
    p.abort_callback_data = b;
    if (o.observer) {
        p.cb_eval = observe;
        p.cb_eval_user_data = b;
    }
    return p;
}

void describe(const bridge *b, bridge_info *info)
{
    const llama_model *m = b->model.get();
    info->vocab = llama_vocab_n_tokens(llama_model_get_vocab(m));
    info->dim = llama_model_n_embd(m);
    info->layers = llama_model_n_layer(m);
    info->heads = llama_model_n_head(m);
    info->kv_heads = llama_model_n_head_kv(m);
    info->context = llama_model_n_ctx_train(m);
    info->window = llama_model_n_swa(m);
    info->has_encoder = llama_model_has_encoder(m) && llama_model_has_decoder(m);
    info->recurrent = llama_model_is_recurrent(m) || llama_model_is_hybrid(m);
    info->parameters = (int64_t)llama_model_n_params(m);
    info->bytes = (int64_t)llama_model_size(m);
}

int open_model(bridge *b, const char *const *paths, int32_t count, bridge_text *error)
{
    llama_model_params p = llama_model_default_params();
    p.use_extra_bufts = b->options.repack != 0;
    static ggml_backend_dev_t no_devices[] = {nullptr};
    if (b->trial)
        p.devices = no_devices; // a GPU's state does not survive a fork
    std::vector<const char *> names(paths, paths + count);
    b->model.reset(count == 1 ? llama_model_load_from_file(names[0], p) : llama_model_load_from_splits(names.data(), names.size(), p));
    if (b->model)
        return BRIDGE_OK;
    say(error, "the library cannot load it");
    return BRIDGE_INVALID;
}

int open_context(bridge *b, bridge_text *error)
{
    b->context.reset(llama_init_from_model(b->model.get(), context_params(b)));
    if (!b->context) {
        say(error, "the library cannot make a context");
        return BRIDGE_MEMORY;
    }
    // Its logits' memory would be there all the same, and hold nothing.
    if (!b->options.vectors && !llama_get_memory(b->context.get())) {
        say(error, "the model gives vectors, or does not read left to right: it has no logits of next tokens");
        return BRIDGE_INVALID;
    }
    start_threads(b);
    b->batch = llama_batch_init(b->options.batch, 0, 1);
    return BRIDGE_OK;
}

int decode_status(int32_t code, bridge_text *error)
{
    switch (code) {
    case 0:
        return BRIDGE_OK;
    case 1:
        say(error, "the cache has no room for the batch");
        return BRIDGE_MEMORY;
    case 2:
        say(error, "cancelled");
        return BRIDGE_CANCELLED;
    case -1:
        say(error, "the library refused the batch");
        return BRIDGE_INVALID;
    case -2:
        say(error, "the library could not reserve memory for the batch");
        return BRIDGE_MEMORY;
    default:
        char text[64];
        snprintf(text, sizeof text, "computing failed with code %d", (int)code);
        say(error, text);
        return BRIDGE_SYSTEM;
    }
}

// collect finds the wanted rows' states: the library has a pointer for each.
int collect(bridge *b, const int8_t *wanted, int32_t rows, const float **values, bridge_text *error)
{
    size_t width = (size_t)b->vector_dim, n = 0;
    for (int32_t i = 0; i < rows; i++)
        n += wanted[i] != 0;
    b->values.resize(n * width);
    n = 0;
    for (int32_t i = 0; i < rows; i++) {
        if (!wanted[i])
            continue;
        const float *row = llama_get_embeddings_ith(b->context.get(), i);
        if (!row) {
            say(error, "the library gave no state for a row");
            return BRIDGE_SYSTEM;
        }
        memcpy(b->values.data() + n++ * width, row, width * sizeof *row);
    }
    *values = b->values.data();
    return BRIDGE_OK;
}

} // namespace

int bridge_start(bridge_text *error)
{
    return guarded(error, [&] {
        llama_log_set(on_log, nullptr);
        ggml_set_abort_callback(on_abort);
        if (const char *misfit = find_misfit()) {
            std::string text = std::string("libllama is of another version than the headers that this program was built with: the defaults of ") +
                               misfit + " are not where they should be";
            say(error, text.c_str());
            return BRIDGE_SYSTEM;
        }
        load_compute_libraries();
        if (!ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU)) {
            say(error, "libllama found none of its compute libraries (libggml-cpu*)");
            return BRIDGE_SYSTEM;
        }
        llama_backend_init();
        return BRIDGE_OK;
    });
}

#ifdef __linux__

namespace {

enum { PROBE_SECONDS = 900 }; // a model is read from disk once

int report; // where a failed assertion's text goes

// multiplies_tiles tells whether the library has code for the processor's tiles (AMX). gcc 12 drops the stores that configure them, and
// what it built dies at the first tile. That shows only where weights are interleaved, which takes the time and the memory of another
// opening: a trial does without where there is no such code.
bool multiplies_tiles() { return strstr(llama_print_system_info(), "AMX_INT8 = 1") != nullptr; }

// try_file opens a model and computes a prompt and a token with it. What fails in good order is for the real call to report.
void try_file(const char *const *paths, int32_t count, bridge_options o)
{
    bridge_text ignored;
    o.threads = 1;
    o.cells = 256;
    o.batch = std::max(8, o.sequences);
    o.repack = o.repack && multiplies_tiles();
    o.observer = 0;
    bridge *b = new bridge;
    b->options = o;
    b->trial = true;
    if (open_model(b, paths, count, &ignored) != BRIDGE_OK || open_context(b, &ignored) != BRIDGE_OK)
        return;
    for (int32_t at = 0, rows = 5; at < 6; at += rows, rows = 1) {
        b->batch.n_tokens = rows;
        for (int32_t i = 0; i < rows; i++) {
            b->batch.token[i] = 0;
            b->batch.pos[i] = at + i;
            b->batch.n_seq_id[i] = 1;
            b->batch.seq_id[i][0] = 0;
            b->batch.logits[i] = i == rows - 1 || o.vectors;
        }
        if (llama_decode(b->context.get(), b->batch) != 0)
            return;
        llama_synchronize(b->context.get());
    }
}

[[noreturn]] void run_probe(const char *const *paths, int32_t count, const bridge_options *o)
{
    for (int s = 1; s < 32; s++) // Go's handlers mean nothing here
        signal(s, SIG_DFL);
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, nullptr);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    alarm(PROBE_SECONDS);
    llama_log_set([](ggml_log_level, const char *, void *) {}, nullptr);
    ggml_set_abort_callback([](const char *message) {
        ssize_t written = write(report, message, strlen(message));
        _exit(written < 0);
    });
    try {
        try_file(paths, count, *o);
    } catch (...) {
    }
    _exit(0);
}

} // namespace

static std::string read_all(int fd)
{
    std::string all;
    char part[512];
    for (ssize_t n; (n = read(fd, part, sizeof part)) > 0 || (n < 0 && errno == EINTR);)
        if (n > 0)
            all.append(part, (size_t)n);
    return all;
}

// probe refuses a file that ends a process which opens it.
static int probe(const char *const *paths, int32_t count, const bridge_options *o, bridge_text *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        say(error, "no pipe to a process that tries the file");
        return BRIDGE_SYSTEM;
    }
    pid_t child;
    {
        std::unique_lock<std::shared_mutex> lock(in_library);
        child = fork();
    }
    if (child == 0) {
        report = ends[1];
        run_probe(paths, count, o);
    }
    close(ends[1]);
    std::string asserted = child < 0 ? "" : read_all(ends[0]);
    close(ends[0]);
    if (child < 0) {
        say(error, "cannot start a process to try the file in");
        return BRIDGE_SYSTEM;
    }
    int how = 0;
    pid_t ended;
    do
        ended = waitpid(child, &how, 0);
    while (ended < 0 && errno == EINTR);
    if (!asserted.empty()) {
        say(error, asserted.c_str());
        return BRIDGE_INVALID;
    }
    if (ended != child || !WIFSIGNALED(how))
        return BRIDGE_OK; // where the host ignores its children there is nothing to learn
    std::string text = std::string("a process that tried the file was ended: ") + strsignal(WTERMSIG(how));
    if (o->repack && multiplies_tiles())
        text += "; without interleaving weights (NoRepack) it may do";
    say(error, text.c_str());
    return WTERMSIG(how) == SIGKILL ? BRIDGE_MEMORY : BRIDGE_INVALID;
}

#else

static int probe(const char *const *, int32_t, const bridge_options *, bridge_text *)
{
    return BRIDGE_OK; // processes elsewhere do not survive a fork without exec
}

#endif

int bridge_max_sequences(void)
{
    return (int)llama_max_parallel_sequences();
}

void bridge_version(bridge_text *out)
{
    say(out, llama_version());
}

int bridge_open(const char *const *paths, int32_t count, const bridge_options *options, bridge **out, bridge_info *info, bridge_text *error)
{
    bridge *b = nullptr;
    int status = probe(paths, count, options, error);
    if (status != BRIDGE_OK)
        return status;
    status = guarded(error, [&] {
        b = new bridge;
        b->options = *options;
        int s = open_model(b, paths, count, error);
        if (s != BRIDGE_OK)
            return s;
        memset(info, 0, sizeof *info);
        describe(b, info);
        if (info->has_encoder) {
            say(error, "an encoder and a decoder with cross attention: this is not supported");
            return (int)BRIDGE_INVALID;
        }
        s = open_context(b, error);
        if (s != BRIDGE_OK)
            return s;
        info->pooling = llama_pooling_type(b->context.get());
        b->vector_dim = llama_model_n_embd_out(b->model.get());
        if (options->vectors && options->pooled && info->pooling == LLAMA_POOLING_TYPE_RANK)
            b->vector_dim = (int32_t)llama_model_n_cls_out(b->model.get());
        info->vector_dim = b->vector_dim;
        b->window = info->window;
        return (int)BRIDGE_OK;
    });
    if (status == BRIDGE_OK) {
        *out = b;
        return status;
    }
    if (b) {
        b->broken = status == BRIDGE_BROKEN;
        bridge_close(b);
    }
    return status;
}

void bridge_close(bridge *b)
{
    bridge_text ignored;
    (void)guarded(&ignored, [&] {
        delete b;
        return BRIDGE_OK;
    });
}

void bridge_devices(const bridge *, bridge_text *out)
{
    std::string all;
    for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
        if (i)
            all += ", ";
        all += ggml_backend_dev_name(ggml_backend_dev_get(i));
    }
    say(out, all.c_str());
}

int bridge_decode(bridge *b, const int32_t *ids, const int32_t *positions, const int32_t *sequences, const int8_t *wanted, int32_t rows,
                  const float **values, bridge_text *error)
{
    return b->run(error, [&] {
        if (rows < 1 || rows > b->options.batch) {
            say(error, "more rows than a batch has room for");
            return (int)BRIDGE_INVALID;
        }
        llama_batch &batch = b->batch;
        bool any = false;
        batch.n_tokens = rows;
        for (int32_t i = 0; i < rows; i++) {
            batch.token[i] = ids[i];
            batch.pos[i] = positions[i];
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = sequences[i];
            batch.logits[i] = wanted[i];
            any = any || wanted[i];
        }
        int status = decode_status(llama_decode(b->context.get(), batch), error);
        if (status != BRIDGE_OK)
            return status;
        llama_synchronize(b->context.get());
        *values = nullptr;
        if (!any || (b->options.vectors && b->options.pooled))
            return status;
        if (b->options.vectors)
            return collect(b, wanted, rows, values, error);
        *values = llama_get_logits(b->context.get()); // of the wanted rows, in their order
        if (!*values) {
            say(error, "the library gave no logits: the model is not one that generates text");
            return (int)BRIDGE_INVALID;
        }
        return status;
    });
}

int bridge_pooled(bridge *b, int32_t sequence, const float **values, bridge_text *error)
{
    return b->run(error, [&] {
        *values = llama_get_embeddings_seq(b->context.get(), sequence);
        if (*values)
            return BRIDGE_OK;
        say(error, "the library gave no pooled vector");
        return BRIDGE_SYSTEM;
    });
}

void bridge_cancel(bridge *b, int32_t cancelled)
{
    b->cancelled.store(cancelled, std::memory_order_relaxed);
}

int bridge_cut(bridge *b, int32_t sequence, int32_t n, int32_t *kept, bridge_text *error)
{
    return b->run(error, [&] {
        llama_memory_t memory = llama_get_memory(b->context.get());
        *kept = n;
        if (!memory) { // an encoder keeps nothing
            *kept = 0;
            return BRIDGE_OK;
        }
        // Keys that a sliding window left behind are gone: what stays must reach back a whole window from n.
        int32_t oldest = llama_memory_seq_pos_min(memory, sequence);
        bool whole = n > 0 && (b->window == 0 || oldest <= (n > b->window ? n - b->window : 0));
        if (whole && llama_memory_seq_rm(memory, sequence, n, -1) && llama_memory_seq_pos_max(memory, sequence) == n - 1)
            return BRIDGE_OK;
        *kept = 0;
        llama_memory_seq_rm(memory, sequence, -1, -1);
        return BRIDGE_OK;
    });
}

int bridge_copy(bridge *b, int32_t from, int32_t to, bridge_text *error)
{
    return b->run(error, [&] {
        llama_memory_t memory = llama_get_memory(b->context.get());
        if (!memory || from == to)
            return BRIDGE_OK;
        llama_memory_seq_rm(memory, to, -1, -1);
        llama_memory_seq_cp(memory, from, to, -1, -1);
        return BRIDGE_OK;
    });
}
