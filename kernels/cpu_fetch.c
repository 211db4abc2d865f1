// cpu_fetch.c - see cpu_fetch.h.

#include "cpu_fetch.h"

#define FETCH_BYTES (256 << 10) // a fraction of the second-level cache, so that they survive what is read before their use
#define FETCH_LINES 4           // a look at the barrier

void infer_fetch_start(struct fetch *f, struct device *d, int thread, int32_t end_step)
{
    *f = (struct fetch){.device = d, .thread = thread, .end_step = end_step};
}

void infer_fetch_from(struct fetch *f, int32_t step)
{
    if (f->device->batch->rows > FEW_COLUMNS || f->step > step)
        return;
    f->step = step;
    f->at = f->end = NULL;
    f->room = FETCH_BYTES;
}

// The thread's share of the next product; false where it is not known yet, or lies as in the file.
static bool next_share(struct fetch *f)
{
    struct device *d = f->device;
    while (f->room > 0 && f->step < f->end_step) {
        const struct step *s = &d->steps[f->step++];
        if (s->kind == STEP_GROUP) // which experts come next is still to be seen
            f->room = 0;
        if (s->kind != STEP_OP || d->plan.ops[s->op].kind != INFER_OP_MATMUL)
            continue;
        const struct weight *w = &d->weights[d->plan.ops[s->op].in[1]];
        struct panels share = infer_first_share(d, f->step - 1, f->thread);
        if (!w->packed || share.from >= share.to)
            continue;
        f->at = w->packed + share.from * w->panel_step;
        f->end = w->packed + share.to * w->panel_step;
        if (f->end - f->at > f->room)
            f->end = f->at + f->room;
        f->room -= f->end - f->at;
        return true;
    }
    return false;
}

bool infer_fetch_more(struct fetch *f)
{
    if (f->at >= f->end && !next_share(f))
        return false;
    for (int i = 0; i < FETCH_LINES && f->at < f->end; i++, f->at += 64)
        __builtin_prefetch(f->at, 0, 2);
    return true;
}
