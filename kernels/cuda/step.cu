// step.cu - a batch as kernels read it: one block of memory, written on the host and copied as a whole.
#include "inside.h"

#define PART_ALIGN 64

static int64_t aligned(int64_t bytes) { return (bytes + PART_ALIGN - 1) / PART_ALIGN * PART_ALIGN; }

// Tiles of a batch at most: each sequence ends one early.
static int64_t tiles_at_most(int64_t rows, int64_t sequences) { return rows / TILE_ROWS + (sequences < rows ? sequences : rows); }

static int64_t hidden_cols(const struct infer_plan *plan) { return plan->hidden >= 0 ? plan->tensors[plan->hidden].cols : 0; }

static int64_t page_numbers(const struct infer_plan *plan, int64_t sequences, int64_t table_pages)
{
    int64_t kinds = 0;
    for (int32_t i = 0; i < plan->cache_count; i++)
        kinds = plan->cache[i].kind >= kinds ? plan->cache[i].kind + 1 : kinds;
    return kinds * sequences * table_pages;
}

int64_t step_bytes_of(const struct infer_plan *plan, int32_t rows, int32_t wanted, int32_t sequences, int32_t table_pages, bool carries)
{
    int64_t bytes = aligned(sizeof(struct step)) + 4 * aligned(4 * (int64_t)rows) + aligned(4 * (int64_t)wanted) + 2 * aligned(4 * (int64_t)sequences) +
                    2 * aligned(4 * tiles_at_most(rows, sequences)) + aligned(4 * page_numbers(plan, sequences, table_pages));
    return carries ? bytes + aligned(4 * sequences * hidden_cols(plan)) : bytes;
}

// Memory on the card and on the host; both or none.
static int reserve_both(struct device *d, int64_t bytes, const char *what, uint8_t **on_card, uint8_t **on_host)
{
    *on_card = (uint8_t *)device_malloc(d, bytes), *on_host = (uint8_t *)device_malloc_host(d, bytes);
    if (*on_card && *on_host)
        return INFER_OK;
    if (*on_card)
        rt_free(*on_card);
    if (*on_host)
        rt_free_host(*on_host);
    return device_fail(d, INFER_ERR_MEMORY, "no memory for %lld KB of %s", (long long)(bytes >> 10), what);
}

int reserve_kept(struct device *d, int64_t pairs)
{
    if (pairs <= d->kept_pairs)
        return INFER_OK;
    uint8_t *on_card, *on_host;
    int status = reserve_both(d, pairs * (int64_t)sizeof *d->kept, "selected logits", &on_card, &on_host);
    if (status != INFER_OK)
        return status;
    if (d->kept)
        rt_free(d->kept);
    if (d->host_kept)
        rt_free_host(d->host_kept);
    d->kept = (struct infer_kept *)on_card, d->host_kept = (struct infer_kept *)on_host, d->kept_pairs = pairs;
    return INFER_OK;
}

int32_t kept_stride(const struct infer_batch *b)
{
    int32_t most = 0;
    for (int32_t w = 0; b->keeps && w < b->wanted_count; w++) {
        int32_t pairs = b->keep[w] > 0 ? b->keep[w] + b->also_first[w + 1] - b->also_first[w] : 0;
        most = pairs > most ? pairs : most;
    }
    return most;
}

int reserve_step(struct device *d, int64_t bytes)
{
    if (bytes <= d->step_bytes)
        return INFER_OK;
    if (d->step_bytes > 0)
        bytes += bytes / 2;
    uint8_t *on_card, *on_host;
    int status = reserve_both(d, bytes, "a batch's rows and page tables", &on_card, &on_host);
    if (status != INFER_OK)
        return status;
    for (int i = 0; i < MAX_GRAPHS; i++) { // they read the step where it was
        if (d->graphs[i].graph)
            rt_graph_free(d->graphs[i].graph);
        d->graphs[i] = {};
    }
    if (d->step)
        rt_free(d->step);
    if (d->host_step)
        rt_free_host(d->host_step);
    d->step = on_card, d->host_step = on_host, d->step_bytes = bytes;
    return INFER_OK;
}

// Takes memory behind what is written already: the same place in both copies.
struct writer {
    struct device *d;
    int64_t at;
};

// Copies n words behind the others, or zeros where there are none, and returns where kernels find them.
static const int32_t *put(struct writer *w, const void *words, int64_t n)
{
    uint8_t *to = w->d->host_step + w->at;
    if (words)
        memcpy(to, words, (size_t)n * 4);
    else
        memset(to, 0, (size_t)n * 4);
    const int32_t *found = (const int32_t *)(w->d->step + w->at);
    w->at += aligned(n * 4);
    return found;
}

static int64_t also_count(const struct infer_batch *b) { return b->keeps ? b->also_first[b->wanted_count] : 0; }

static int64_t keep_bytes(const struct infer_batch *b) { return b->keeps ? aligned(4 * (int64_t)b->wanted_count) + aligned(4 * ((int64_t)b->wanted_count + 1)) + aligned(4 * also_count(b)) : 0; }

// What is to be kept of the logits.
static void put_keep(struct writer *w, const struct infer_batch *b, struct step *s)
{
    if (!b->keeps)
        return;
    s->keep = put(w, b->keep, b->wanted_count);
    s->also_first = put(w, b->also_first, b->wanted_count + 1);
    s->also = put(w, b->also, also_count(b));
    s->kept = w->d->kept, s->kept_stride = kept_stride(b);
}

// Cuts the rows of each sequence into tiles; arrays lie in host memory.
static int32_t cut_rows(const struct infer_batch *b, int32_t *first, int32_t *count, int32_t *tile_first, int32_t *tile_count)
{
    int32_t tiles = 0;
    for (int32_t i = 0; i < b->rows; i++) {
        int32_t s = b->sequences[i];
        if (count[s]++ == 0)
            first[s] = i;
        if ((i - first[s]) % TILE_ROWS == 0) {
            tile_first[tiles] = i;
            tile_count[tiles++] = 0;
        }
        tile_count[tiles - 1]++;
    }
    return tiles;
}

static int32_t positions_end(const struct infer_batch *b)
{
    int32_t end = 0;
    for (int32_t i = 0; i < b->rows; i++)
        end = b->positions[i] >= end ? b->positions[i] + 1 : end;
    return end;
}

int write_step(struct device *d, const struct infer_batch *b)
{
    bool carries = b->carry && hidden_cols(&d->plan) > 0;
    int status = reserve_step(d, step_bytes_of(&d->plan, b->rows, b->wanted_count, b->sequence_count, b->table_pages, carries) + keep_bytes(b));
    if (status == INFER_OK)
        status = reserve_kept(d, (int64_t)b->wanted_count * kept_stride(b));
    if (status != INFER_OK)
        return status;
    struct writer w = {d, aligned(sizeof(struct step))};
    struct step s = {};
    s.rows = b->rows, s.wanted_count = b->wanted_count, s.sequence_count = b->sequence_count, s.table_pages = b->table_pages;
    s.experts_used = d->plan.experts_used, s.part = b->part, s.positions_end = positions_end(b);
    s.ids = put(&w, b->ids, b->rows), s.positions = put(&w, b->positions, b->rows);
    s.sequences = put(&w, b->sequences, b->rows), s.types = put(&w, b->types, b->rows);
    s.pages = put(&w, b->pages, b->pages ? page_numbers(&d->plan, b->sequence_count, b->table_pages) : 0);
    s.wanted = put(&w, b->wanted, b->wanted_count);
    if (carries)
        s.carry = (const float *)put(&w, b->carry, b->sequence_count * hidden_cols(&d->plan));
    put_keep(&w, b, &s);
    int64_t most = tiles_at_most(b->rows, b->sequence_count);
    s.first = put(&w, NULL, b->sequence_count), s.count = put(&w, NULL, b->sequence_count);
    s.tile_first = put(&w, NULL, most), s.tile_count = put(&w, NULL, most);
    auto on_host = [&](const int32_t *on_card) { return (int32_t *)(d->host_step + ((const uint8_t *)on_card - d->step)); };
    s.tiles = cut_rows(b, on_host(s.first), on_host(s.count), on_host(s.tile_first), on_host(s.tile_count));
    memcpy(d->host_step, &s, sizeof s);
    d->shape = {s.rows, s.wanted_count, s.sequence_count, s.tiles, s.positions_end, s.part, b->keeps && s.kept_stride > 0};
    const char *wrong = rt_copy(d->step, d->host_step, w.at, d->stream);
    return wrong ? device_fail(d, INFER_ERR_SYSTEM, "a batch of %d rows to the card: %s", b->rows, wrong) : INFER_OK;
}
