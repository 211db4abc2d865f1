// llamacpp.c - the part of the comparison that must be compiled against llama.cpp's headers: one task a run, the result as one
// line of JSON on standard output. llamacpp.py is its command line; setup.sh compiles it. No code of llama.cpp is here.
//
//   driver COMMAND MODEL [name=value ...]
//
//   info                                       version and instruction set of the libraries (MODEL is ignored: -)
//   tokenize    special=0|1                    text on standard input; special: add BOS/EOS and read special tokens
//   detokenize                                 ids on standard input; writes the bytes of the text, not JSON
//   logits      out=FILE cache=f16|f32 chunk=N ids on standard input; float32, [tokens][vocabulary]
//   further     out=FILE                       ids on standard input, at most 512; float32, [tokens][vocabulary]: what the layers behind
//                                              the model's predict of the token after next, from each token and the state before it
//   greedy      count=N                        ids on standard input
//   perplexity  window=N windows=N             text on standard input
//   bench       prompt=N gen=N sequences=N depth=N runs=N
//   load                                       time from the start of the process to the first token
//   arrival     prompt=N gen=N sequences=N batch=N  a prompt comes while sequences generate: their times between tokens
//   ids                                        a text a line on standard input; a line of ids each, special tokens added
//   embed       out=FILE batch=N               a line of ids a text on standard input; float32, [texts][width]
//   vectors     out=FILE cache=f16|f32         ids on standard input; float32: the text's vector or scores, then the state of each token
//
// Common: threads=N, flash=-1|0|1, repack=-1|0|1, cache=f16|f32 (-1: the library decides).

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "llama.h"

enum { LOGICAL_BATCH = 2048, PHYSICAL_BATCH = 512 }; // tokens; the defaults of llama.cpp's own tools

#include PEER // mainline.h or ik.h

static struct {
    const char *special, *out, *cache, *chunk, *count, *window, *windows, *prompt, *gen, *sequences, *depth, *runs, *threads, *flash, *repack, *batch;
} options = {"0", "", "f16", "2048", "64", "512", "0", "512", "128", "1", "0", "5", "2", "-1", "-1", "512"};

static const struct {
    const char *name, **value;
} names[] = {
    {"special", &options.special}, {"out", &options.out},         {"cache", &options.cache}, {"chunk", &options.chunk},
    {"count", &options.count},     {"window", &options.window},   {"windows", &options.windows}, {"prompt", &options.prompt},
    {"gen", &options.gen},         {"sequences", &options.sequences}, {"depth", &options.depth}, {"runs", &options.runs},
    {"threads", &options.threads}, {"flash", &options.flash},     {"repack", &options.repack}, {"batch", &options.batch},
};

static struct llama_model *model;
static struct llama_context *context;
static const struct llama_vocab *vocab;

static double now(void) // seconds
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what, const char *detail)
{
    fprintf(stderr, "driver: %s%s%s\n", what, detail ? ": " : "", detail ? detail : "");
    exit(1);
}

static void *checked(void *p)
{
    if (!p)
        fail("out of memory", NULL);
    return p;
}

static void log_errors(enum ggml_log_level level, const char *text, void *data)
{
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static void parse_options(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        size_t n = 0, count = sizeof names / sizeof names[0];
        for (; equals && n < count; n++)
            if (strlen(names[n].name) == (size_t)(equals - argv[i]) && strncmp(names[n].name, argv[i], strlen(names[n].name)) == 0)
                break;
        if (!equals || n == count)
            fail("unknown option", argv[i]);
        *names[n].value = equals + 1;
    }
}

static void load_model(const char *path, bool vocab_only)
{
    struct llama_model_params p = llama_model_default_params();
    set_model_options(&p, atoi(options.repack));
    p.vocab_only = vocab_only;
    model = llama_model_load_from_file(path, p);
    if (!model)
        fail("cannot load", path);
    vocab = llama_model_get_vocab(model);
}

static void open_context(int tokens, int sequences, int batch)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)(tokens * sequences);
    p.n_batch = (uint32_t)batch;
    p.n_ubatch = PHYSICAL_BATCH;
    p.n_seq_max = (uint32_t)sequences;
    p.n_threads = p.n_threads_batch = atoi(options.threads);
    bool exact = strcmp(options.cache, "f32") == 0;
    if (exact)
        p.type_k = p.type_v = GGML_TYPE_F32;
    set_context_options(&p, exact ? 0 : atoi(options.flash)); // fused attention would round queries to f16
    if (context)
        llama_free(context);
    context = llama_init_from_model(model, p);
    if (!context)
        fail("cannot make a context", NULL);
    if (!attach_threads(context, atoi(options.threads)))
        fail("cannot start threads", options.threads);
}

static void add_row(struct llama_batch *b, llama_token id, int position, int sequence, bool wanted)
{
    int i = b->n_tokens++;
    b->token[i] = id;
    b->pos[i] = position;
    b->n_seq_id[i] = 1;
    b->seq_id[i][0] = sequence;
    b->logits[i] = wanted;
}

static void decode_batch(struct llama_batch b)
{
    if (llama_decode(context, b) != 0)
        fail("decode failed", NULL);
}

// Computes a run of one sequence's tokens; the logits wanted are all or the last.
static void decode_run(const llama_token *ids, int count, int position, int sequence, bool all)
{
    struct llama_batch b = llama_batch_init(count, 0, 1);
    for (int i = 0; i < count; i++)
        add_row(&b, ids[i], position + i, sequence, all || i == count - 1);
    decode_batch(b);
    llama_batch_free(b);
}

static char *read_input(int *size)
{
    size_t room = 1 << 20, n = 0, got;
    char *text = checked(malloc(room));
    while ((got = fread(text + n, 1, room - n - 1, stdin)) > 0)
        if ((n += got) == room - 1)
            text = checked(realloc(text, room *= 2));
    text[n] = 0;
    *size = (int)n;
    return text;
}

static int read_ids(llama_token **out)
{
    int size, n = 0;
    char *text = read_input(&size), *at = text, *end;
    *out = checked(malloc(((size_t)size / 2 + 1) * sizeof **out));
    for (;; at = end) {
        at += strspn(at, ", \n");
        long id = strtol(at, &end, 10);
        if (end == at)
            break;
        if (id < 0 || id >= llama_vocab_n_tokens(vocab))
            fail("id outside of the vocabulary", at);
        (*out)[n++] = (llama_token)id;
    }
    if (*at || n == 0)
        fail("expected ids, separated by commas; found", at);
    free(text);
    return n;
}

// The perplexity tool adds BOS but reads special tokens written in the text as text; special asks for both or neither.
static int tokenize_input(bool add_special, bool parse_special, llama_token **out)
{
    int size;
    char *text = read_input(&size);
    *out = checked(malloc(((size_t)size + 16) * sizeof **out));
    int n = tokenize_text(vocab, text, size, *out, size + 16, add_special, parse_special);
    if (n < 0)
        fail("cannot tokenize", NULL);
    free(text);
    return n;
}

static void print_ids(const llama_token *ids, int n)
{
    printf("[");
    for (int i = 0; i < n; i++)
        printf("%s%d", i ? ", " : "", ids[i]);
    printf("]");
}

static void run_info(void)
{
    char line[4096], variant[128] = "native";
    FILE *maps = fopen("/proc/self/maps", "r"); // which of the CPU libraries was loaded is told nowhere else
    while (maps && fgets(line, sizeof line, maps)) {
        char *name = strstr(line, "libggml-cpu-");
        if (name)
            snprintf(variant, sizeof variant, "%.*s", (int)strcspn(name + 12, ".\n"), name + 12);
    }
    if (maps)
        fclose(maps);
    printf("{\"variant\": \"%s\", \"features\": \"%s\"}\n", variant, llama_print_system_info());
}

static void run_tokenize(void)
{
    llama_token *ids;
    bool special = atoi(options.special);
    int n = tokenize_input(special, special, &ids);
    printf("{\"ids\": ");
    print_ids(ids, n);
    printf("}\n");
}

static void run_detokenize(void)
{
    llama_token *ids;
    int n = read_ids(&ids);
    for (int i = 0; i < n; i++) {
        char piece[1024];
        int size = write_piece(vocab, ids[i], piece, sizeof piece);
        if (size < 0)
            fail("piece too long", NULL);
        fwrite(piece, 1, (size_t)size, stdout);
    }
}

static void run_logits(void)
{
    llama_token *ids;
    int n = read_ids(&ids), chunk = atoi(options.chunk), size = llama_vocab_n_tokens(vocab);
    if (chunk < 1 || chunk > LOGICAL_BATCH)
        fail("chunk: expected 1 to 2048, found", options.chunk);
    FILE *f = fopen(options.out, "wb");
    if (!f)
        fail("cannot write", options.out);
    open_context(n, 1, LOGICAL_BATCH);
    for (int at = 0; at < n; at += chunk) {
        int count = n - at < chunk ? n - at : chunk;
        decode_run(ids + at, count, at, 0, true);
        for (int i = 0; i < count; i++)
            if (fwrite(llama_get_logits_ith(context, i), sizeof(float), (size_t)size, f) != (size_t)size)
                fail("cannot write", options.out);
    }
    if (fclose(f) != 0)
        fail("cannot write", options.out);
    printf("{\"tokens\": %d, \"vocabulary\": %d}\n", n, size);
}

#ifdef PEER_FURTHER
static void run_further(void)
{
    llama_token *ids;
    int n = read_ids(&ids), size = llama_vocab_n_tokens(vocab), width = llama_model_n_embd(model);
    FILE *f = fopen(options.out, "wb");
    if (!f || n > PHYSICAL_BATCH)
        fail("cannot write, or more than 512 tokens", options.out);
    options.cache = "f32";
    open_context(n, 1, LOGICAL_BATCH);
    show_hidden(context, true, false);
    decode_run(ids, n, 0, 0, true);
    float *states = checked(calloc((size_t)n * (size_t)width, sizeof *states)); // of the row before; zeros before the first
    memcpy(states + width, hidden_states(context), (size_t)(n - 1) * (size_t)width * sizeof *states);
    struct llama_context *further = open_further(model, context, n);
    if (!further)
        fail("cannot make a context", NULL);
    struct llama_batch b = llama_batch_init(n, 0, 1);
    for (int i = 0; i < n; i++)
        add_row(&b, ids[i], i, 0, true);
    b.embd = states;
    if (llama_decode(further, b) != 0)
        fail("decode failed", NULL);
    for (int i = 0; i < n; i++)
        if (fwrite(llama_get_logits_ith(further, i), sizeof(float), (size_t)size, f) != (size_t)size)
            fail("cannot write", options.out);
    if (fclose(f) != 0)
        fail("cannot write", options.out);
    b.embd = NULL;
    llama_batch_free(b);
    llama_free(further);
    free(states);
    printf("{\"tokens\": %d, \"vocabulary\": %d}\n", n, size);
}
#endif

// The two highest logits' ids, and the distance between them.
static float find_best(const float *logits, int n, llama_token best[2])
{
    best[0] = logits[1] > logits[0];
    best[1] = !best[0];
    for (int i = 2; i < n; i++) {
        if (logits[i] > logits[best[0]]) {
            best[1] = best[0];
            best[0] = i;
        } else if (logits[i] > logits[best[1]]) {
            best[1] = i;
        }
    }
    return logits[best[0]] - logits[best[1]];
}

static void run_greedy(void)
{
    llama_token *ids, best[2];
    int n = read_ids(&ids), count = atoi(options.count), size = llama_vocab_n_tokens(vocab), made = 0;
    if (count < 1)
        fail("count: expected 1 or more, found", options.count);
    llama_token *first = checked(malloc((size_t)count * sizeof *first)), *second = checked(malloc((size_t)count * sizeof *second));
    float *margins = checked(malloc((size_t)count * sizeof *margins));
    open_context(n + count, 1, LOGICAL_BATCH);
    for (int at = 0; at < n; at += LOGICAL_BATCH)
        decode_run(ids + at, n - at < LOGICAL_BATCH ? n - at : LOGICAL_BATCH, at, 0, false);
    bool ended = false;
    while (made < count && !ended) {
        margins[made] = find_best(llama_get_logits_ith(context, -1), size, best);
        first[made] = best[0];
        second[made++] = best[1];
        ended = llama_vocab_is_eog(vocab, best[0]);
        if (made < count && !ended)
            decode_run(best, 1, n + made - 1, 0, false);
    }
    printf("{\"ids\": ");
    print_ids(first, made);
    printf(", \"second\": ");
    print_ids(second, made);
    printf(", \"margins\": [");
    for (int i = 0; i < made; i++)
        printf("%s%.4f", i ? ", " : "", (double)margins[i]);
    printf("], \"ended\": %s}\n", ended ? "true" : "false");
}

static double find_loss(const float *logits, int n, llama_token id) // -log of the id's probability
{
    double highest = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++)
        highest = logits[i] > highest ? logits[i] : highest;
    for (int i = 0; i < n; i++)
        sum += exp(logits[i] - highest);
    return highest + log(sum) - logits[id];
}

// Windows do not overlap; several are computed at once, as sequences; the second half of each is scored; BOS replaces the first
// token of each where the vocabulary adds BOS.
static void run_perplexity(void)
{
    llama_token *ids;
    int n = tokenize_input(true, false, &ids), window = atoi(options.window), limit = atoi(options.windows), size = llama_vocab_n_tokens(vocab);
    int windows = window > 1 ? n / window : 0, first = window / 2, scored = 0;
    if (windows == 0 || window < 4)
        fail("window: expected at least 4 tokens, and no more than the text has; found", options.window);
    if (limit > 0 && limit < windows)
        windows = limit;
    int together = window < LOGICAL_BATCH ? LOGICAL_BATCH / window : 1;
    open_context(window, together, together * window);
    struct llama_batch b = llama_batch_init(together * window, 0, 1);
    double sum = 0, squares = 0;
    for (int at = 0; at < windows; at += together) {
        int count = windows - at < together ? windows - at : together;
        clear_cache(context);
        b.n_tokens = 0;
        for (int i = 0; i < count * window; i++) {
            bool starts = i % window == 0 && llama_vocab_get_add_bos(vocab);
            add_row(&b, starts ? llama_vocab_bos(vocab) : ids[at * window + i], i % window, i / window, i % window >= first);
        }
        decode_batch(b);
        for (int i = 0; i < count * window; i++) {
            if (i % window < first || i % window == window - 1)
                continue;
            double loss = find_loss(llama_get_logits_ith(context, i), size, ids[at * window + i + 1]);
            sum += loss;
            squares += loss * loss;
            scored++;
        }
    }
    double mean = sum / scored, error = sqrt(fmax(0, squares / scored - mean * mean) / (scored - 1));
    printf("{\"perplexity\": %.6f, \"standard_error\": %.6f, \"tokens\": %d, \"scored\": %d, \"windows\": %d, \"ctx\": %d}\n", exp(mean),
           exp(mean) * error, n, scored, windows, window);
}

static llama_token random_id(void)
{
    return rand() % llama_vocab_n_tokens(vocab);
}

static void read_prompt(int count, int position, int sequence)
{
    llama_token *ids = checked(malloc((size_t)(count ? count : 1) * sizeof *ids));
    for (int i = 0; i < count; i++)
        ids[i] = position + i == 0 && llama_vocab_get_add_bos(vocab) ? llama_vocab_bos(vocab) : random_id();
    for (int at = 0; at < count; at += LOGICAL_BATCH)
        decode_run(ids + at, count - at < LOGICAL_BATCH ? count - at : LOGICAL_BATCH, position + at, sequence, false);
    free(ids);
}

static void generate(int count, int position, int sequences)
{
    struct llama_batch b = llama_batch_init(sequences, 0, 1);
    for (int i = 0; i < count; i++) {
        b.n_tokens = 0;
        for (int s = 0; s < sequences; s++)
            add_row(&b, position + i == 0 && llama_vocab_get_add_bos(vocab) ? llama_vocab_bos(vocab) : random_id(), position + i, s, true);
        decode_batch(b);
        llama_synchronize(context); // the caller of a generation waits for each token
    }
    llama_batch_free(b);
}

// One test: a warm-up, then the runs, each on an empty cache filled to the depth outside of the time.
static void bench_test(bool is_prompt, int count, int sequences, int depth, int runs, bool first)
{
    char type[256];
    llama_model_desc(model, type, sizeof type);
    open_context(depth + count, sequences, LOGICAL_BATCH);
    printf("%s{\"type\": \"%s\", \"test\": \"%s%d\", \"batch\": %d, \"depth\": %d, \"runs\": [", first ? "" : ", ", type, is_prompt ? "pp" : "tg", count, sequences, depth);
    for (int run = -1; run < runs; run++) {
        clear_cache(context);
        for (int s = 0; s < sequences && run >= 0; s++)
            read_prompt(depth, 0, s);
        llama_synchronize(context);
        int position = run >= 0 ? depth : 0, todo = run < 0 && !is_prompt ? 1 : count;
        double start = now();
        if (is_prompt)
            read_prompt(todo, position, 0);
        else
            generate(todo, position, sequences);
        llama_synchronize(context);
        if (run >= 0)
            printf("%s%.3f", run ? ", " : "", count * sequences / (now() - start));
    }
    printf("]}");
}

static void run_bench(void)
{
    int prompt = atoi(options.prompt), gen = atoi(options.gen), sequences = atoi(options.sequences), depth = atoi(options.depth), runs = atoi(options.runs);
    if (prompt < 0 || gen < 0 || sequences < 1 || depth < 0 || runs < 1)
        fail("bench: numbers must not be negative, sequences and runs at least 1", NULL);
    printf("[");
    if (prompt)
        bench_test(true, prompt, 1, depth, runs, true);
    if (gen)
        bench_test(false, gen, sequences, depth, runs, !prompt);
    printf("]\n");
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void print_spread(const char *name, double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    printf("\"%s\": {\"count\": %d, \"p50\": %.5f, \"p99\": %.5f, \"max\": %.5f}", name, n, n ? values[(n - 1) / 2] : 0, n ? values[(int)ceil(0.99 * n) - 1] : 0,
           n ? values[n - 1] : 0);
}

// As llama.cpp's server does it: each step has a token of every sequence that generates, and as much of the prompt as the batch takes.
// gen tokens of each sequence come before the prompt. batch: rows of a step.
static void run_arrival(void)
{
    int prompt = atoi(options.prompt), gen = atoi(options.gen), sequences = atoi(options.sequences), limit = atoi(options.batch);
    if (prompt < 1 || gen < 1 || sequences < 1 || limit <= sequences)
        fail("arrival: expected a prompt, tokens before it, sequences, and a batch of more than the sequences", NULL);
    const int start = 64, gaps = gen + prompt + 1;
    open_context(start + prompt + gen + 64, sequences + 1, limit);
    for (int s = 0; s < sequences; s++)
        for (int at = 0; at < start; at++) { // one by one: a batch may be smaller than they are
            llama_token id = random_id();
            decode_run(&id, 1, at, s, false);
        }
    double *before = checked(malloc((size_t)gaps * sizeof *before)), *during = checked(malloc((size_t)gaps * sizeof *during));
    int calm = 0, busy = 0;
    struct llama_batch b = llama_batch_init(limit, 0, 1);
    llama_synchronize(context);
    double last = now(), came = 0;
    for (int i = 0, read = 0; read < prompt; i++) {
        b.n_tokens = 0;
        for (int s = 0; s < sequences; s++)
            add_row(&b, random_id(), start + i, s, true);
        bool there = i >= gen;
        if (there && !came)
            came = last;
        for (; there && read < prompt && b.n_tokens < limit; read++)
            add_row(&b, random_id(), read, sequences, read == prompt - 1);
        decode_batch(b);
        llama_synchronize(context);
        double t = now(), gap = t - last;
        last = t;
        if (there)
            during[busy++] = gap;
        else
            before[calm++] = gap;
    }
    printf("{");
    print_spread("alone", before, calm);
    printf(", ");
    print_spread("during", during, busy);
    printf(", \"first_token\": %.4f}\n", last - came);
}

static void run_load(double start, double libraries, double loaded)
{
    llama_token id = llama_vocab_get_add_bos(vocab) ? llama_vocab_bos(vocab) : 1, best[2];
    open_context(512, 1, LOGICAL_BATCH);
    double ready = now();
    decode_run(&id, 1, 0, 0, false);
    find_best(llama_get_logits_ith(context, -1), llama_vocab_n_tokens(vocab), best);
    printf("{\"seconds_to_first_token\": %.4f, \"libraries\": %.4f, \"model\": %.4f, \"context\": %.4f, \"step\": %.4f, \"id\": %d}\n", now() - start,
           libraries - start, loaded - libraries, ready - loaded, now() - ready, best[0]);
}

static void run_ids(void)
{
    int size, room;
    char *text = read_input(&size);
    llama_token *ids = checked(malloc((size_t)(room = size + 16) * sizeof *ids));
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        int n = tokenize_text(vocab, line, (int)strlen(line), ids, room, true, false);
        if (n < 0)
            fail("cannot tokenize", line);
        for (int i = 0; i < n; i++)
            printf("%s%d", i ? "," : "", ids[i]);
        printf("\n");
    }
}

// Texts of ids, one after the other, longest first; starts[count] is the end.
struct texts {
    llama_token *ids;
    int *starts, *order, count;
};

static struct texts *sorted; // for the comparison

static int longer(const void *a, const void *b)
{
    int i = *(const int *)a, j = *(const int *)b;
    int m = sorted->starts[i + 1] - sorted->starts[i], n = sorted->starts[j + 1] - sorted->starts[j];
    return m != n ? n - m : i - j;
}

static struct texts read_texts(void)
{
    int size, n = 0;
    char *text = read_input(&size);
    struct texts t = {checked(malloc(((size_t)size / 2 + 1) * sizeof *t.ids)), checked(malloc(((size_t)size + 2) * sizeof *t.starts)),
                      checked(malloc(((size_t)size + 1) * sizeof *t.order)), 0};
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        t.order[t.count] = t.count;
        t.starts[t.count++] = n;
        for (char *at = line, *end; *at; at = end + (*end == ',')) {
            t.ids[n++] = (llama_token)strtol(at, &end, 10);
            if (end == at || t.ids[n - 1] < 0 || t.ids[n - 1] >= llama_vocab_n_tokens(vocab))
                fail("expected ids, separated by commas; found", line);
        }
    }
    t.starts[t.count] = n;
    sorted = &t;
    qsort(t.order, (size_t)t.count, sizeof *t.order, longer);
    return t;
}

// The context of llama.cpp's embedding example: a batch is one physical batch, as attention to later tokens needs.
static void open_embedding_context(int batch, int sequences)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = p.n_batch = p.n_ubatch = (uint32_t)batch;
    p.n_seq_max = (uint32_t)sequences;
    p.n_threads = p.n_threads_batch = atoi(options.threads);
    p.embeddings = true;
    share_cache(&p);
    set_context_options(&p, atoi(options.flash));
    context = llama_init_from_model(model, p);
    if (!context)
        fail("cannot make a context", NULL);
    if (!attach_threads(context, atoi(options.threads)))
        fail("cannot start threads", options.threads);
}

enum { TOGETHER = 64 }; // texts of a batch at most

static void run_embed(void)
{
    struct texts t = read_texts();
    int limit = atoi(options.batch), width = llama_model_n_embd(model);
    float *out = checked(malloc((size_t)t.count * (size_t)width * sizeof *out));
    open_embedding_context(limit, TOGETHER);
    struct llama_batch b = llama_batch_init(limit, 0, 1);
    double start = 0;
    for (int run = 0; run < 2; run++) { // the first batch once more before, for a warm start
        start = now();
        for (int at = 0, n; at < t.count; at += n) {
            b.n_tokens = 0;
            for (n = 0; n < TOGETHER && at + n < t.count; n++) {
                int i = t.order[at + n], length = t.starts[i + 1] - t.starts[i];
                if (b.n_tokens + length > limit)
                    break;
                for (int j = 0; j < length; j++)
                    add_row(&b, t.ids[t.starts[i] + j], j, n, true);
            }
            if (n == 0)
                fail("a text is longer than batch", options.batch);
            decode_batch(b);
            for (int k = 0; k < n; k++)
                memcpy(out + (size_t)t.order[at + k] * (size_t)width, llama_get_embeddings_seq(context, k), (size_t)width * sizeof *out);
            if (run == 0)
                break;
        }
    }
    double seconds = now() - start;
    FILE *f = fopen(options.out, "wb");
    if (!f || fwrite(out, sizeof *out, (size_t)t.count * (size_t)width, f) != (size_t)t.count * (size_t)width || fclose(f) != 0)
        fail("cannot write", options.out);
    printf("{\"seconds\": %.6f, \"texts\": %d, \"tokens\": %d, \"width\": %d}\n", seconds, t.count, t.starts[t.count], width);
}

// Computes one text for its vector, or for its tokens' states, and writes them.
static int write_vectors(FILE *f, const llama_token *ids, int count, bool states)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = p.n_batch = p.n_ubatch = (uint32_t)count;
    p.n_threads = p.n_threads_batch = atoi(options.threads);
    p.embeddings = true;
    bool exact = strcmp(options.cache, "f32") == 0;
    if (exact)
        p.type_k = p.type_v = GGML_TYPE_F32;
    if (states)
        p.pooling_type = LLAMA_POOLING_TYPE_NONE;
    set_context_options(&p, exact ? 0 : atoi(options.flash));
    struct llama_context *one = llama_init_from_model(model, p);
    if (!one)
        fail("cannot make a context", NULL);
    struct llama_batch b = llama_batch_init(count, 0, 1);
    for (int i = 0; i < count; i++)
        add_row(&b, ids[i], i, 0, true);
    if (llama_decode(one, b) != 0)
        fail("decode failed", NULL);
    int width = states ? llama_model_n_embd(model) : result_width(model, one);
    for (int i = 0; i < (states ? count : 1); i++) {
        const float *v = states ? llama_get_embeddings_ith(one, i) : llama_get_embeddings_seq(one, 0);
        if (!v)
            fail("no vector", NULL);
        if (fwrite(v, sizeof(float), (size_t)width, f) != (size_t)width)
            fail("cannot write", options.out);
    }
    llama_batch_free(b);
    llama_free(one);
    return width;
}

static void run_vectors(void)
{
    llama_token *ids;
    int n = read_ids(&ids);
    FILE *f = fopen(options.out, "wb");
    if (!f)
        fail("cannot write", options.out);
    int pooled = write_vectors(f, ids, n, false), state = write_vectors(f, ids, n, true);
    if (fclose(f) != 0)
        fail("cannot write", options.out);
    printf("{\"tokens\": %d, \"pooled\": %d, \"state\": %d}\n", n, pooled, state);
}

int main(int argc, char **argv)
{
    double start = now();
    if (argc < 3)
        fail("expected COMMAND MODEL [name=value ...]; see the head of llamacpp.c", NULL);
    const char *command = argv[1];
    parse_options(argc - 3, argv + 3);
    const char *misfit = find_misfit();
    if (misfit)
        fail("the headers do not fit the libraries: default values are not where they should be", misfit);
    llama_log_set(log_errors, NULL);
    load_libraries();
    llama_backend_init();
    double libraries = now();
    if (strcmp(command, "info") == 0) {
        run_info();
        return 0;
    }
    bool vocab_only = strcmp(command, "tokenize") == 0 || strcmp(command, "detokenize") == 0 || strcmp(command, "ids") == 0;
    load_model(argv[2], vocab_only);
    double loaded = now();
    if (strcmp(command, "tokenize") == 0)
        run_tokenize();
    else if (strcmp(command, "detokenize") == 0)
        run_detokenize();
    else if (strcmp(command, "logits") == 0)
        run_logits();
#ifdef PEER_FURTHER
    else if (strcmp(command, "further") == 0)
        run_further();
#endif
    else if (strcmp(command, "greedy") == 0)
        run_greedy();
    else if (strcmp(command, "perplexity") == 0)
        run_perplexity();
    else if (strcmp(command, "bench") == 0)
        run_bench();
    else if (strcmp(command, "arrival") == 0)
        run_arrival();
    else if (strcmp(command, "ids") == 0)
        run_ids();
    else if (strcmp(command, "embed") == 0)
        run_embed();
    else if (strcmp(command, "vectors") == 0)
        run_vectors();
    else if (strcmp(command, "load") == 0)
        run_load(start, libraries, loaded);
    else
        fail("unknown command", command);
    return 0;
}
