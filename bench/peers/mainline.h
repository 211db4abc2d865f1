// mainline.h - what differs between llama.cpp and its forks, for llama.cpp itself. Included by llamacpp.c alone.

#define PEER_FURTHER // it has the command of that name

#include "ggml-backend.h"
#include "ggml-cpu.h"

// The headers come from another package than the libraries. Parameters are structs passed by value, so a field that moved would
// be misread in silence: the defaults, which are known, show whether every field is where the headers say.
static const char *find_misfit(void)
{
    struct llama_model_params m = llama_model_default_params();
    struct llama_context_params c = llama_context_default_params();
    struct ggml_threadpool_params t = ggml_threadpool_params_default(3);
    if (m.n_gpu_layers != -1 || m.main_gpu != 0 || m.tensor_split || m.kv_overrides || m.vocab_only || m.check_tensors || !m.use_extra_bufts ||
        m.no_host || m.no_alloc)
        return "llama_model_params";
    if (c.n_ctx != 512 || c.n_batch != LOGICAL_BATCH || c.n_ubatch != PHYSICAL_BATCH || c.n_seq_max != 1 || c.n_threads <= 0 ||
        c.n_threads != c.n_threads_batch || c.pooling_type != LLAMA_POOLING_TYPE_UNSPECIFIED || c.flash_attn_type != LLAMA_FLASH_ATTN_TYPE_AUTO ||
        c.yarn_ext_factor != -1 || c.defrag_thold != -1 || c.cb_eval || c.type_k != GGML_TYPE_F16 || c.type_v != GGML_TYPE_F16 || c.abort_callback ||
        c.embeddings || !c.offload_kqv || !c.no_perf || !c.op_offload || !c.swa_full || c.kv_unified || c.samplers || c.n_samplers != 0 || c.ctx_other)
        return "llama_context_params";
    if (t.n_threads != 3 || t.poll != 50 || t.strict_cpu || t.paused)
        return "ggml_threadpool_params";
    return NULL;
}

static void load_libraries(void)
{
    ggml_backend_load_all_from_path(LIBRARIES); // picks the best CPU library for this processor
}

static void set_model_options(struct llama_model_params *p, int repack)
{
    if (repack >= 0)
        p->use_extra_bufts = repack;
    p->load_mtp = true; // the layers behind the model's cost nothing where nobody asks them
}

static void set_context_options(struct llama_context_params *p, int flash)
{
    p->swa_full = false; // as llama.cpp's tools; true would keep keys that a window no longer sees
    if (flash >= 0)
        p->flash_attn_type = flash ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
}

// Threads are made once and kept, as llama.cpp's tools do; without a pool of ours the library starts new ones at each step.
static bool attach_threads(struct llama_context *context, int threads)
{
    static struct ggml_threadpool *pool;
    if (!pool) {
        ggml_backend_reg_t cpu = ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
        struct ggml_threadpool *(*make)(struct ggml_threadpool_params *) =
            (struct ggml_threadpool * (*)(struct ggml_threadpool_params *)) ggml_backend_reg_get_proc_address(cpu, "ggml_threadpool_new");
        struct ggml_threadpool_params p = ggml_threadpool_params_default(threads);
        pool = make ? make(&p) : NULL;
    }
    if (pool)
        llama_attach_threadpool(context, pool, NULL);
    return pool != NULL;
}

// All sequences in one cache, as embedding many texts at once needs.
static void share_cache(struct llama_context_params *p) { p->kv_unified = true; }

static void clear_cache(struct llama_context *context)
{
    llama_memory_clear(llama_get_memory(context), false);
}

static int tokenize_text(const struct llama_vocab *v, const char *text, int size, llama_token *out, int room, bool add_special, bool parse_special)
{
    return llama_tokenize(v, text, size, out, room, add_special, parse_special);
}

static int write_piece(const struct llama_vocab *v, llama_token id, char *out, int room)
{
    return llama_token_to_piece(v, id, out, room, 0, true);
}

// Numbers of a text's result: of a vector, or of a classifier's scores.
static int result_width(const struct llama_model *m, const struct llama_context *context)
{
    return llama_pooling_type(context) == LLAMA_POOLING_TYPE_RANK ? (int)llama_model_n_cls_out(m) : llama_model_n_embd_out(m);
}

// What the libraries export for their own tools alone, by the names that a C++ compiler gives it.
void show_hidden(struct llama_context *, bool value, bool wanted_alone) __asm__("_Z26llama_set_embeddings_nextnP13llama_contextbb");
float *hidden_states(struct llama_context *) __asm__("_Z26llama_get_embeddings_nextnP13llama_context");

// A second context for the layers behind the model's that predict further tokens.
static struct llama_context *open_further(struct llama_model *of, struct llama_context *beside, int tokens)
{
    struct llama_context_params p = llama_context_default_params();
    p.ctx_type = LLAMA_CONTEXT_TYPE_MTP;
    p.ctx_other = beside;
    p.n_ctx = p.n_batch = p.n_ubatch = (uint32_t)tokens;
    p.n_threads = p.n_threads_batch = 1;
    p.type_k = p.type_v = GGML_TYPE_F32;
    set_context_options(&p, 0);
    return llama_init_from_model(of, p);
}
