// cpu_pace.h - how many of the team's threads take part in a step.
//
// A step ends when its slowest thread does. Where another process holds a core, one of our threads is off the processor
// for milliseconds at a time, the others wait for it at every barrier, and fewer threads are faster: they find free
// cores. So long waits cause a trial with one thread less, and the faster number stays; the larger one is tried again
// after a while. Results do not depend on the number of threads.
#ifndef INFER_CPU_PACE_H
#define INFER_CPU_PACE_H

#include <stdint.h>

#define PACE_MOST_ROWS 64 // larger steps take long enough that shares of their work even out
#define PACE_TRIAL_RUNS 3
#define PACE_PATIENCE_NS 200000000LL // until the next trial; doubles while trials end as they began
#define PACE_MOST_PATIENCE_NS 3000000000LL

struct pace {
    int most, now;     // threads there are, and that take part
    int trial;         // threads of the trial under way; 0: none
    int runs;          // of the trial
    int32_t rows;      // of the runs that the figures are about
    int64_t usual_ns;  // a run with `now` threads takes, smoothed; 0: unknown
    int64_t trial_ns;  // all of the trial's together
    int64_t next_ns;   // earliest time of the next trial
    int64_t patience_ns;
};

void infer_pace_start(struct pace *p, int threads);

// Threads for a step of so many rows.
int infer_pace_threads(struct pace *p, int32_t rows);

// What the step took, and how much of it the first thread spent at barriers; clock_ns is the time now.
void infer_pace_report(struct pace *p, int32_t rows, int64_t run_ns, int64_t wait_ns, int64_t clock_ns);

#endif
