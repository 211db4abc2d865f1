// emulate.cpp - the fibers behind emulate.h.
#include "emulate.h"

#include <stdlib.h>
#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

#include <mutex>
#include <vector>

namespace emulate {

static const size_t stack_bytes = 128 << 10;

// ---- switching between stacks ----
#if defined(__x86_64__) || defined(__aarch64__)
// Saves the registers that a call keeps on the stack, leaves the stack's pointer in *from, and goes on where `to` was left.
extern "C" void emulate_switch(void **from, void *to);
#if defined(__x86_64__)
asm(".text\n.p2align 4\n.globl emulate_switch\n.hidden emulate_switch\nemulate_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n");
static const size_t saved_words = 6; // below the address that ret takes
#else
asm(".text\n.p2align 4\n.globl emulate_switch\n.hidden emulate_switch\nemulate_switch:\n"
    "sub sp, sp, #160\nstp x19, x20, [sp]\nstp x21, x22, [sp, #16]\nstp x23, x24, [sp, #32]\nstp x25, x26, [sp, #48]\n"
    "stp x27, x28, [sp, #64]\nstp x29, x30, [sp, #80]\nstp d8, d9, [sp, #96]\nstp d10, d11, [sp, #112]\nstp d12, d13, [sp, #128]\nstp d14, d15, [sp, #144]\n"
    "mov x9, sp\nstr x9, [x0]\nmov sp, x1\n"
    "ldp x19, x20, [sp]\nldp x21, x22, [sp, #16]\nldp x23, x24, [sp, #32]\nldp x25, x26, [sp, #48]\n"
    "ldp x27, x28, [sp, #64]\nldp x29, x30, [sp, #80]\nldp d8, d9, [sp, #96]\nldp d10, d11, [sp, #112]\nldp d12, d13, [sp, #128]\nldp d14, d15, [sp, #144]\n"
    "add sp, sp, #160\nret\n");
#endif
struct context {
    void *sp;
};
static void begin(context *c, char *stack, void (*entry)())
{
    uintptr_t top = ((uintptr_t)stack + stack_bytes) & ~(uintptr_t)63;
#if defined(__x86_64__)
    void **sp = (void **)(top - 16); // as after a call: 8 below a multiple of 16 once ret has taken the entry
    sp[0] = (void *)entry;
    sp[1] = nullptr;
    sp -= saved_words;
    memset(sp, 0, saved_words * sizeof *sp);
#else
    void **sp = (void **)(top - 160);
    memset(sp, 0, 160);
    sp[11] = (void *)entry; // x30
#endif
    c->sp = sp;
}
static void change(context *from, context *to) { emulate_switch(&from->sp, to->sp); }
#else
struct context {
    ucontext_t u;
};
static void begin(context *c, char *stack, void (*entry)())
{
    getcontext(&c->u);
    c->u.uc_stack.ss_sp = stack;
    c->u.uc_stack.ss_size = stack_bytes;
    c->u.uc_link = nullptr;
    makecontext(&c->u, entry, 0);
}
static void change(context *from, context *to) { swapcontext(&from->u, &to->u); }
#endif

// ---- fibers ----
enum wait { RUNS, AT_BLOCK_BARRIER, AT_EXCHANGE, DONE };

struct fiber {
    context at;
    thread_ids ids;
    wait state;
    uint32_t mask;
    int count;
    uint32_t words[EMULATE_WORDS];
};

struct warp {
    uint32_t words[32][EMULATE_WORDS];
};

dim3 grid_size, block_size;
const thread_ids *current;
unsigned char *shared_memory;

static std::mutex one_launch; // the state below is the launch's
static fiber fibers[1024];
static warp warps[32];
static char *stacks; // one a fiber, made once
static size_t thread_count;
static fiber *running;
static context scheduler;
static const std::function<void()> *body;

static void pause_as(wait state)
{
    running->state = state;
    change(&running->at, &scheduler);
}

void block_barrier() { pause_as(AT_BLOCK_BARRIER); }
void yield() { pause_as(RUNS); }

const uint32_t (*exchange(uint32_t mask, const uint32_t *words, int count))[EMULATE_WORDS]
{
    running->mask = mask;
    running->count = count;
    for (int i = 0; i < count; i++)
        running->words[i] = words[i];
    size_t at = (size_t)(running - fibers) / 32;
    pause_as(AT_EXCHANGE);
    return warps[at].words;
}

static void enter()
{
    (*body)();
    pause_as(DONE); // never resumed
}

// Lets the lanes of a mask go on that have all arrived with it. Words lie in the warp's array until all of them come again.
static bool release_warp(size_t at)
{
    fiber *first = &fibers[at * 32];
    size_t lanes = thread_count - at * 32 < 32 ? thread_count - at * 32 : 32;
    bool any = false;
    for (size_t i = 0; i < lanes; i++) {
        uint32_t mask = first[i].mask, all = lanes == 32 ? 0xffffffffu : (1u << lanes) - 1;
        if (first[i].state != AT_EXCHANGE || !(mask >> i & 1))
            continue;
        bool arrived = true;
        for (size_t j = 0; j < lanes; j++)
            arrived &= !(mask & all & 1u << j) || (first[j].state == AT_EXCHANGE && first[j].mask == mask);
        for (size_t j = 0; arrived && j < lanes; j++)
            if (mask >> j & 1) {
                memcpy(warps[at].words[j], first[j].words, (size_t)first[j].count * 4);
                first[j].state = RUNS;
                any = true;
            }
    }
    return any;
}

static uint64_t draw(uint64_t &seed)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

// Lets threads go on whose partners have all arrived; false: none can. Now and then it is one warp alone, which so runs ahead of the others.
static bool release(uint64_t &seed)
{
    bool any = false;
    size_t waiting = 0, warp_count = (thread_count + 31) / 32, first = (size_t)(draw(seed) >> 32) * warp_count >> 32;
    bool alone = draw(seed) >> 61 == 0;
    for (size_t i = 0; i < warp_count && !(any && alone); i++)
        any |= release_warp((first + i) % warp_count);
    if (any)
        return true;
    for (size_t i = 0; i < thread_count; i++)
        waiting += fibers[i].state == AT_BLOCK_BARRIER;
    if (waiting < thread_count)
        return false;
    for (size_t i = 0; i < thread_count; i++)
        fibers[i].state = RUNS;
    return true;
}

static const char *run_block(uint64_t &seed)
{
    static fiber *ready[1024];
    for (;;) {
        size_t done = 0, left = 0;
        for (size_t i = 0; i < thread_count; i++) {
            done += fibers[i].state == DONE;
            if (fibers[i].state == RUNS)
                ready[left++] = &fibers[i];
        }
        if (done == thread_count)
            return nullptr;
        if (left == 0 && !release(seed))
            return "a barrier or shuffle that not all threads reach";
        for (; left > 0; left--) {
            size_t at = (size_t)(draw(seed) >> 32) * left >> 32;
            running = ready[at];
            current = &running->ids;
            ready[at] = ready[left - 1];
            change(&scheduler, &running->at);
        }
    }
}

static void start_block(dim3 block, dim3 at)
{
    for (unsigned i = 0; i < thread_count; i++) {
        fiber &f = fibers[i];
        f.ids = {dim3(i % block.x, i / block.x % block.y, i / block.x / block.y), at};
        f.state = RUNS;
        begin(&f.at, stacks + i * stack_bytes, enter);
    }
}

const char *launch(dim3 grid, dim3 block, uint64_t seed, const std::function<void()> &kernel, size_t shared_bytes)
{
    size_t threads = (size_t)block.x * block.y * block.z;
    if (threads == 0 || threads > 1024 || block.x % 32 != 0 || grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535)
        return "a grid has blocks, at most 65535 along y and z; a block has 1 to 1024 threads, whole warps along x";
    if (shared_bytes > 227 << 10)
        return "a block has at most 227 KB of shared memory";
    std::lock_guard<std::mutex> lock(one_launch);
    if (!stacks && !(stacks = (char *)malloc(1024 * stack_bytes)))
        return "out of memory";
    std::vector<unsigned char> shared(shared_bytes + 128, 0xff); // floats that are read before they are written are NaN
    shared_memory = (unsigned char *)(((uintptr_t)shared.data() + 127) & ~(uintptr_t)127);
    grid_size = grid, block_size = block, body = &kernel, thread_count = threads;
    seed = seed * 0x9e3779b97f4a7c15u | 1;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                start_block(block, dim3(x, y, z));
                if (const char *wrong = run_block(seed))
                    return wrong;
            }
    return nullptr;
}

// ---- halves ----
float half_to_float(uint16_t h)
{
    uint32_t e = h >> 10 & 31, m = h & 1023;
    float v = e == 31 ? (m ? NAN : INFINITY) : e == 0 ? ldexpf((float)m, -24) : ldexpf((float)(m | 1024), (int)e - 25);
    return h >> 15 ? -v : v;
}

uint16_t float_to_half(float f)
{
    uint32_t u = __float_as_uint(f), sign = u >> 16 & 0x8000, magnitude = u & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return 0x7fff;
    if (magnitude >= 0x477ff000) // 65520 and more
        return (uint16_t)(sign | 0x7c00);
    int exponent = (int)(magnitude >> 23) - 127;
    if (exponent < -25)
        return (uint16_t)sign;
    uint32_t significand = (magnitude & 0x7fffff) | 0x800000;
    int drop = exponent < -14 ? 13 + (-14 - exponent) : 13;
    uint32_t kept = significand >> drop, rest = significand & ((1u << drop) - 1), half = 1u << (drop - 1);
    kept += rest > half || (rest == half && (kept & 1));
    return (uint16_t)(sign | (exponent < -14 ? kept : kept + ((uint32_t)(exponent + 14) << 10)));
}

} // namespace emulate
