// llamacpp.c - drives llama.cpp's libraries for comparison: logits, greedy text, perplexity, speed and load time, as JSON on
// standard output. Compiled by setup.sh against llama.cpp's own headers; no code of it is here.
//
//   llamacpp logits MODEL 1,2,3 OUT.f32 [f16|f32]
//   llamacpp greedy MODEL COUNT 1,2,3
//   llamacpp tokenize MODEL SPECIAL < TEXT        (SPECIAL: 0 or 1)
//   llamacpp perplexity MODEL WINDOW WINDOWS < TEXT
//   llamacpp bench MODEL pp|tg COUNT RUNS [SEQUENCES [DEPTH]]
//   llamacpp load MODEL
//
// THREADS (default 2), FLASH=0|1 (default: the library's choice), REPACK=0 to turn its repacking off.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ggml-backend.h"
#include "llama.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void quiet(enum ggml_log_level level, const char *text, void *data)
{
    (void)data;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static int number(const char *name, int otherwise)
{
    const char *v = getenv(name);
    return v ? atoi(v) : otherwise;
}

static struct llama_model *model;
static struct llama_context *context;
static const struct llama_vocab *vocab;

static void fail(const char *what)
{
    fprintf(stderr, "llamacpp: %s\n", what);
    exit(1);
}

static void load(const char *path)
{
    struct llama_model_params p = llama_model_default_params();
    p.use_extra_bufts = number("REPACK", 1);
    model = llama_model_load_from_file(path, p);
    if (!model)
        fail("cannot load the model");
    vocab = llama_model_get_vocab(model);
}

static void open_context(int tokens, int sequences, enum ggml_type cache, int outputs)
{
    struct llama_context_params p = llama_context_default_params();
    p.n_ctx = (uint32_t)(tokens * sequences);
    p.n_batch = 2048;
    p.n_ubatch = 512;
    p.n_seq_max = (uint32_t)sequences;
    p.n_threads = p.n_threads_batch = number("THREADS", 2);
    if (getenv("FLASH"))
        p.flash_attn_type = number("FLASH", 1) ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
    p.type_k = p.type_v = cache;
    if (cache == GGML_TYPE_F32)
        p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
    (void)outputs;
    context = llama_init_from_model(model, p);
    if (!context)
        fail("cannot make a context");
}

// Computes rows of one or more sequences; wanted: 0 none, 1 the last of each sequence, 2 all.
static void decode(const llama_token *ids, int count, int position, int sequence, int wanted)
{
    struct llama_batch b = llama_batch_init(count, 0, 1);
    b.n_tokens = count;
    for (int i = 0; i < count; i++) {
        b.token[i] = ids[i];
        b.pos[i] = position + i;
        b.n_seq_id[i] = 1;
        b.seq_id[i][0] = sequence;
        b.logits[i] = wanted == 2 || (wanted == 1 && i == count - 1);
    }
    if (llama_decode(context, b) != 0)
        fail("decode failed");
    llama_batch_free(b);
}

static int parse(const char *text, llama_token **out)
{
    int n = 1;
    for (const char *c = text; *c; c++)
        n += *c == ',';
    *out = malloc((size_t)n * sizeof **out);
    for (int i = 0; i < n; i++) {
        (*out)[i] = atoi(text);
        text = strchr(text, ',');
        text = text ? text + 1 : "";
    }
    return n;
}

static char *read_all(size_t *size)
{
    size_t room = 1 << 20, n = 0, got;
    char *text = malloc(room);
    while ((got = fread(text + n, 1, room - n, stdin)) > 0)
        if ((n += got) == room)
            text = realloc(text, room *= 2);
    *size = n;
    return text;
}

static int tokenize(int special, llama_token **out)
{
    size_t size;
    char *text = read_all(&size);
    *out = malloc((size + 16) * sizeof **out);
    int n = llama_tokenize(vocab, text, (int)size, *out, (int)size + 16, special, special);
    free(text);
    return n;
}

static int best(const float *logits, int n, float *margin)
{
    int top = 0;
    for (int i = 1; i < n; i++)
        if (logits[i] > logits[top])
            top = i;
    float second = -INFINITY;
    for (int i = 0; i < n; i++)
        if (i != top && logits[i] > second)
            second = logits[i];
    *margin = logits[top] - second;
    return top;
}

static void run_logits(char **a)
{
    llama_token *ids;
    int n = parse(a[1], &ids), size = llama_vocab_n_tokens(vocab);
    open_context(n + 8, 1, a[3] && strcmp(a[3], "f32") == 0 ? GGML_TYPE_F32 : GGML_TYPE_F16, n);
    decode(ids, n, 0, 0, 2);
    FILE *f = fopen(a[2], "wb");
    for (int i = 0; i < n; i++)
        fwrite(llama_get_logits_ith(context, i), 4, (size_t)size, f);
    fclose(f);
    printf("{\"tokens\": %d, \"vocab\": %d}\n", n, size);
}

static void run_greedy(char **a)
{
    llama_token *ids;
    int count = atoi(a[1]), n = parse(a[2], &ids), size = llama_vocab_n_tokens(vocab);
    open_context(n + count + 8, 1, GGML_TYPE_F16, 1);
    decode(ids, n, 0, 0, 1);
    printf("{\"ids\": [");
    float margins[4096];
    int made = 0;
    for (; made < count && made < 4096; made++) {
        llama_token id = best(llama_get_logits_ith(context, -1), size, &margins[made]);
        printf("%s%d", made ? ", " : "", id);
        if (llama_vocab_is_eog(vocab, id)) {
            made++;
            break;
        }
        decode(&id, 1, n + made, 0, 1);
    }
    printf("], \"margins\": [");
    for (int i = 0; i < made; i++)
        printf("%s%.4f", i ? ", " : "", (double)margins[i]);
    printf("]}\n");
}

static void run_perplexity(char **a)
{
    llama_token *ids;
    int window = atoi(a[1]), windows = atoi(a[2]), n = tokenize(1, &ids), size = llama_vocab_n_tokens(vocab), scored = 0;
    if (windows <= 0 || windows > n / window)
        windows = n / window;
    open_context(window, 1, GGML_TYPE_F16, window);
    double sum = 0;
    for (int w = 0; w < windows; w++) {
        llama_memory_clear(llama_get_memory(context), true);
        llama_token *part = ids + w * window;
        if (llama_vocab_get_add_bos(vocab))
            part[0] = llama_vocab_bos(vocab);
        decode(part, window, 0, 0, 2);
        for (int i = window / 2; i < window - 1; i++, scored++) {
            const float *l = llama_get_logits_ith(context, i);
            double highest = -INFINITY, total = 0;
            for (int j = 0; j < size; j++)
                highest = l[j] > highest ? l[j] : highest;
            for (int j = 0; j < size; j++)
                total += exp(l[j] - highest);
            sum -= l[part[i + 1]] - highest - log(total);
        }
    }
    printf("{\"perplexity\": %.6f, \"scored\": %d, \"windows\": %d, \"ctx\": %d}\n", exp(sum / scored), scored, windows, window);
}

static double bench_once(int prompt, int count, int sequences, int depth)
{
    int size = llama_vocab_n_tokens(vocab);
    llama_token *ids = malloc((size_t)(depth + count + 1) * sizeof *ids);
    llama_memory_clear(llama_get_memory(context), true);
    for (int i = 0; i < depth + count; i++)
        ids[i] = rand() % size;
    for (int s = 0; s < sequences && depth > 0; s++)
        for (int i = 0; i < depth; i += 512)
            decode(ids + i, depth - i < 512 ? depth - i : 512, i, s, 0);
    llama_synchronize(context);
    double start = now();
    if (prompt) {
        for (int i = 0; i < count; i += 512)
            decode(ids + i, count - i < 512 ? count - i : 512, depth + i, 0, 1);
    } else {
        struct llama_batch b = llama_batch_init(sequences, 0, 1);
        for (int i = 0; i < count; i++) {
            b.n_tokens = sequences;
            for (int s = 0; s < sequences; s++) {
                b.token[s] = rand() % size;
                b.pos[s] = depth + i;
                b.n_seq_id[s] = 1;
                b.seq_id[s][0] = s;
                b.logits[s] = 1;
            }
            if (llama_decode(context, b) != 0)
                fail("decode failed");
            llama_synchronize(context);
        }
        llama_batch_free(b);
    }
    llama_synchronize(context);
    free(ids);
    return now() - start;
}

static void run_bench(int argc, char **a)
{
    int prompt = strcmp(a[1], "pp") == 0, count = atoi(a[2]), runs = atoi(a[3]), sequences = argc > 4 ? atoi(a[4]) : 1, depth = argc > 5 ? atoi(a[5]) : 0;
    open_context(depth + count + 64, sequences, GGML_TYPE_F16, sequences);
    bench_once(prompt, prompt ? count : 4, sequences, 0);
    printf("{\"test\": \"%s%d\", \"runs\": [", a[1], count);
    for (int i = 0; i < runs; i++)
        printf("%s%.3f", i ? ", " : "", count * (prompt ? 1 : sequences) / bench_once(prompt, count, sequences, depth));
    printf("]}\n");
}

int main(int argc, char **argv)
{
    double start = now();
    if (argc < 3)
        fail("usage: see the head of llamacpp.c");
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(getenv("LLAMA_CPP_LIBS"));
    llama_backend_init();
    load(argv[2]);
    const char *what = argv[1];
    if (strcmp(what, "logits") == 0)
        run_logits(argv + 2);
    else if (strcmp(what, "greedy") == 0)
        run_greedy(argv + 2);
    else if (strcmp(what, "perplexity") == 0)
        run_perplexity(argv + 2);
    else if (strcmp(what, "bench") == 0)
        run_bench(argc - 2, argv + 2);
    else if (strcmp(what, "tokenize") == 0) {
        llama_token *ids;
        int n = tokenize(atoi(argv[3]), &ids);
        for (int i = 0; i < n; i++)
            printf("%s%d", i ? " " : "", ids[i]);
        printf("\n");
    } else if (strcmp(what, "load") == 0) {
        llama_token first = 1;
        open_context(512, 1, GGML_TYPE_F16, 1);
        decode(&first, 1, 0, 0, 1);
        float margin;
        best(llama_get_logits_ith(context, -1), llama_vocab_n_tokens(vocab), &margin);
        printf("{\"seconds_to_first_token\": %.4f}\n", now() - start);
    } else
        fail("unknown command");
    return 0;
}
