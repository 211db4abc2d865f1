// emulate.cpp - the fibers behind emulate.h.
#include "emulate.h"

#include <ucontext.h>

#include <memory>
#include <vector>

namespace emulate {

enum wait { RUNS, AT_BLOCK_BARRIER, AT_EXCHANGE, DONE };

struct fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    thread_ids ids;
    wait state = RUNS;
    uint32_t mask = 0, word = 0;
    uint32_t received[32];
};

dim3 grid_size, block_size;
static std::vector<std::unique_ptr<fiber>> fibers;
static fiber *running;
static ucontext_t scheduler;
static const std::function<void()> *body;
static const size_t stack_bytes = 64 << 10;

thread_ids &current() { return running->ids; }

static void pause_as(wait state)
{
    running->state = state;
    swapcontext(&running->context, &scheduler);
}

void block_barrier() { pause_as(AT_BLOCK_BARRIER); }

const uint32_t *exchange(uint32_t mask, uint32_t word)
{
    running->mask = mask;
    running->word = word;
    pause_as(AT_EXCHANGE);
    return running->received;
}

static void enter()
{
    (*body)();
    running->state = DONE;
    swapcontext(&running->context, &scheduler); // never resumed
}

static bool release_warp(size_t first)
{
    size_t lanes = fibers.size() - first < 32 ? fibers.size() - first : 32;
    for (size_t i = 0; i < lanes; i++)
        if (fibers[first + i]->state != AT_EXCHANGE || fibers[first + i]->mask != 0xffffffffu)
            return false;
    uint32_t words[32] = {0};
    for (size_t i = 0; i < lanes; i++)
        words[i] = fibers[first + i]->word;
    for (size_t i = 0; i < lanes; i++) {
        memcpy(fibers[first + i]->received, words, sizeof words);
        fibers[first + i]->state = RUNS;
    }
    return true;
}

// Lets threads go on whose partners have all arrived; false: none can.
static bool release()
{
    bool any = false;
    size_t waiting = 0;
    for (size_t first = 0; first < fibers.size(); first += 32)
        any |= release_warp(first);
    for (auto &f : fibers)
        waiting += f->state == AT_BLOCK_BARRIER;
    if (waiting < fibers.size())
        return any;
    for (auto &f : fibers)
        f->state = RUNS;
    return true;
}

static uint64_t draw(uint64_t &seed)
{
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return seed;
}

static const char *run_block(uint64_t &seed)
{
    std::vector<fiber *> ready;
    for (;;) {
        ready.clear();
        size_t done = 0;
        for (auto &f : fibers) {
            done += f->state == DONE;
            if (f->state == RUNS)
                ready.push_back(f.get());
        }
        if (done == fibers.size())
            return nullptr;
        if (ready.empty() && !release())
            return "a barrier or shuffle that not all threads reach";
        for (size_t left = ready.size(); left > 0; left--) {
            size_t at = draw(seed) % left;
            running = ready[at];
            ready[at] = ready[left - 1];
            swapcontext(&scheduler, &running->context);
        }
    }
}

static void start_block(dim3 block, dim3 at)
{
    for (unsigned i = 0; i < fibers.size(); i++) {
        fiber &f = *fibers[i];
        f.ids = {dim3(i % block.x, i / block.x % block.y, i / block.x / block.y), at};
        f.state = RUNS;
        getcontext(&f.context);
        f.context.uc_stack.ss_sp = f.stack.get();
        f.context.uc_stack.ss_size = stack_bytes;
        f.context.uc_link = nullptr;
        makecontext(&f.context, enter, 0);
    }
}

const char *launch(dim3 grid, dim3 block, uint64_t seed, const std::function<void()> &kernel)
{
    size_t threads = (size_t)block.x * block.y * block.z;
    if (threads == 0 || threads > 1024 || block.x % 32 != 0)
        return "a block has 1 to 1024 threads, whole warps along x";
    grid_size = grid, block_size = block, body = &kernel;
    seed = seed * 0x9e3779b97f4a7c15u | 1;
    fibers.clear();
    for (size_t i = 0; i < threads; i++) {
        fibers.emplace_back(new fiber);
        fibers.back()->stack.reset(new char[stack_bytes]);
    }
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                start_block(block, dim3(x, y, z));
                if (const char *wrong = run_block(seed))
                    return wrong;
            }
    return nullptr;
}

} // namespace emulate
