// cpu_team.c - a team of threads that works, meets at barriers, and sleeps between steps.
//
// Waiting spins for a short time and then parks in the kernel: a thread whose partner has lost its core to another
// process gives its own core back instead of burning it.

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE // pthread_attr_setaffinity_np
#endif
#include <pthread.h>
#include <stdlib.h>

#include "cpu.h"

#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
static void park(atomic_int *at, int value) { syscall(SYS_futex, (int *)at, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0); }
static void wake(atomic_int *at) { syscall(SYS_futex, (int *)at, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0); }
#else
#include <sched.h>
static void park(atomic_int *at, int value) { (void)at; (void)value; sched_yield(); }
static void wake(atomic_int *at) { (void)at; }
#endif

#if defined(__x86_64__) || defined(__i386__)
#define RELAX() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define RELAX() __asm__ volatile("yield")
#else
#define RELAX() ((void)0)
#endif

#define SPINS_AT_BARRIER 4000 // roughly 50 to 100 us on current processors
#define SPINS_BETWEEN_RUNS 20000
#define SPINS_FOR_SAMPLERS 400 // about 10 us: the caller wants the cores between this run and the next

struct team {
    int size;
    pthread_t *threads;
    // Barrier: arrived counts up; the last one resets it and moves the phase on.
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_int phase;
    atomic_int sleepers;
    _Alignas(64) atomic_int job; // number of the current run, times JOB_STEP, + the threads that take part; -1: quit
    atomic_int job_sleepers, patience;
    void (*work)(void *arg, int thread);
    void *arg;
};

#define MAX_CPUS 16384 // more than Linux can be built for
#define JOB_STEP 2048
_Static_assert(MAX_THREADS < JOB_STEP, "a run's word holds its threads");

struct member { struct team *team; int index; };

static void wait_while(atomic_int *at, int value, atomic_int *sleepers, int spins, bool (*idle)(void *arg), void *arg)
{
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(at, memory_order_acquire) != value)
            return;
        if (!idle || !idle(arg))
            RELAX();
    }
    atomic_fetch_add(sleepers, 1);
    while (atomic_load(at) == value)
        park(at, value);
    atomic_fetch_sub(sleepers, 1);
}

void infer_team_barrier(struct team *t, void (*last)(void *arg), bool (*idle)(void *arg), void *arg)
{
    int size = atomic_load_explicit(&t->job, memory_order_relaxed) % JOB_STEP;
    if (size == 1) {
        if (last)
            last(arg);
        return;
    }
    int phase = atomic_load_explicit(&t->phase, memory_order_relaxed);
    if (atomic_fetch_add(&t->arrived, 1) == size - 1) {
        if (last)
            last(arg);
        atomic_store_explicit(&t->arrived, 0, memory_order_relaxed);
        atomic_store(&t->phase, phase + 1);
        if (atomic_load(&t->sleepers) > 0)
            wake(&t->phase);
        return;
    }
    wait_while(&t->phase, phase, &t->sleepers, SPINS_AT_BARRIER, idle, arg);
}

static void *member_main(void *arg)
{
    struct member m = *(struct member *)arg;
    free(arg);
    int seen = 0;
    for (;;) {
        wait_while(&m.team->job, seen, &m.team->job_sleepers, atomic_load_explicit(&m.team->patience, memory_order_relaxed), NULL, NULL);
        seen = atomic_load(&m.team->job);
        if (seen < 0)
            return NULL;
        if (m.index >= seen % JOB_STEP)
            continue;
        m.team->work(m.team->arg, m.index);
        infer_team_barrier(m.team, NULL, NULL, NULL);
    }
}

// Starts a thread, on the given processor where there is one: its first instruction runs there. Returns whether it did.
static bool start(pthread_t *thread, struct member *m, const int32_t *cpu)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return false;
    bool bound = cpu == NULL;
#ifdef __linux__
    if (cpu && *cpu >= 0 && *cpu < MAX_CPUS) {
        cpu_set_t set[MAX_CPUS / CPU_SETSIZE];
        CPU_ZERO_S(sizeof set, set);
        CPU_SET_S((size_t)*cpu, sizeof set, set);
        bound = pthread_attr_setaffinity_np(&attributes, sizeof set, set) == 0;
    }
#endif
    bool started = bound && pthread_create(thread, &attributes, member_main, m) == 0;
    pthread_attr_destroy(&attributes);
    return started;
}

struct team *infer_team_open(int threads, const int32_t *cpus)
{
    struct team *t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
    if (!t)
        return NULL;
    memset(t, 0, sizeof *t);
    t->size = 1;
    atomic_store(&t->patience, SPINS_BETWEEN_RUNS);
    t->threads = calloc((size_t)threads, sizeof *t->threads);
    if (!t->threads) {
        free(t);
        return NULL;
    }
    for (int i = 1; i < threads; i++) {
        struct member *m = malloc(sizeof *m);
        if (m)
            *m = (struct member){t, i};
        if (!m || !start(&t->threads[i], m, cpus ? &cpus[i] : NULL)) {
            free(m);
            infer_team_close(t);
            return NULL;
        }
        t->size = i + 1; // no thread reads it before the first run
    }
    return t;
}

void infer_team_close(struct team *t)
{
    if (!t)
        return;
    atomic_store(&t->job, -1);
    wake(&t->job);
    for (int i = 1; i < t->size; i++)
        pthread_join(t->threads[i], NULL);
    free(t->threads);
    free(t);
}

void infer_team_spare(struct team *t, bool spare) { atomic_store_explicit(&t->patience, spare ? SPINS_FOR_SAMPLERS : SPINS_BETWEEN_RUNS, memory_order_relaxed); }

int infer_team_size(const struct team *t) { return t->size; }

void infer_team_run(struct team *t, int threads, void (*work)(void *arg, int thread), void *arg)
{
    int last = atomic_load(&t->job), next = (last / JOB_STEP + 1) % (0x3fffffff / JOB_STEP) * JOB_STEP + threads;
    t->work = work;
    t->arg = arg;
    atomic_store(&t->job, next);
    // One thread wakes nobody, but where the numbers begin anew: a sleeper must not take a later run for the one it knows.
    if ((threads > 1 || next < last) && atomic_load(&t->job_sleepers) > 0)
        wake(&t->job);
    work(arg, 0);
    infer_team_barrier(t, NULL, NULL, NULL);
}
