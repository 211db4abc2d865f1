// cpu_pace.c - see cpu_pace.h. Time is given, so that tests need none.

#include <stdbool.h>

#include "cpu_pace.h"

void infer_pace_start(struct pace *p, int threads)
{
    *p = (struct pace){.most = threads, .now = threads, .patience_ns = PACE_PATIENCE_NS};
}

int infer_pace_threads(struct pace *p, int32_t rows)
{
    if (rows > PACE_MOST_ROWS)
        return p->most;
    return p->trial && rows == p->rows ? p->trial : p->now;
}

static void end_trial(struct pace *p, int64_t clock_ns)
{
    int64_t trial_ns = p->trial_ns / PACE_TRIAL_RUNS;
    bool better = trial_ns < p->usual_ns - p->usual_ns / 16;
    if (better) {
        p->now = p->trial;
        p->usual_ns = trial_ns;
        p->patience_ns = PACE_PATIENCE_NS;
    } else if (p->patience_ns < PACE_MOST_PATIENCE_NS) {
        p->patience_ns *= 2;
    }
    p->trial = 0;
    p->next_ns = clock_ns + p->patience_ns;
}

void infer_pace_report(struct pace *p, int32_t rows, int64_t run_ns, int64_t wait_ns, int64_t clock_ns)
{
    if (p->most == 1 || rows > PACE_MOST_ROWS)
        return;
    if (rows != p->rows) { // times of other steps say nothing about this one
        p->rows = rows;
        p->usual_ns = 0;
        p->trial = 0;
    }
    if (p->trial) {
        p->trial_ns += run_ns;
        if (++p->runs == PACE_TRIAL_RUNS)
            end_trial(p, clock_ns);
        return;
    }
    p->usual_ns = p->usual_ns == 0 ? run_ns : p->usual_ns + (run_ns - p->usual_ns) / 4;
    if (clock_ns < p->next_ns)
        return;
    if (p->now > 1 && wait_ns > run_ns / 4)
        p->trial = p->now - 1;
    else if (p->now < p->most)
        p->trial = p->now + 1;
    p->runs = 0;
    p->trial_ns = 0;
}
