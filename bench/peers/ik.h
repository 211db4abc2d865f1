// ik.h - what differs between llama.cpp and its forks, for ik_llama.cpp. Included by llamacpp.c alone.

static const char *find_misfit(void)
{
    return NULL; // libraries and headers are of one tree
}

static void load_libraries(void) {} // one library, made for the processor that it was built on

static void set_model_options(struct llama_model_params *p, int repack)
{
    if (repack >= 0)
        p->repack_tensors = repack;
}

static void set_context_options(struct llama_context_params *p, int flash)
{
    if (flash >= 0)
        p->flash_attn = flash;
}

static bool attach_threads(struct llama_context *context, int threads)
{
    (void)context;
    (void)threads;
    return true; // OpenMP keeps them
}

static void share_cache(struct llama_context_params *p) { (void)p; } // it has no other

static void clear_cache(struct llama_context *context)
{
    llama_kv_cache_clear(context);
}

static int tokenize_text(const struct llama_vocab *v, const char *text, int size, llama_token *out, int room, bool add_special, bool parse_special)
{
    return llama_vocab_tokenize(v, text, size, out, room, add_special, parse_special);
}

static int write_piece(const struct llama_vocab *v, llama_token id, char *out, int room)
{
    return llama_token_to_piece_vocab(v, id, out, room, 0, true);
}

static int result_width(const struct llama_model *m, const struct llama_context *context)
{
    (void)context;
    return llama_model_n_embd(m); // it has no classifiers
}
