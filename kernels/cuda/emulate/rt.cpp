// rt.cpp - memory and streams behind the emulator's rt.h.
#include "rt.h"

#include <atomic>

namespace emulate {

static std::atomic<uint64_t> seed{1};
uint64_t next_seed() { return seed.fetch_add(1, std::memory_order_relaxed); }

static std::atomic<int64_t> allocations{0}, failing{0};
void fail_allocation(int64_t nth)
{
    allocations = 0;
    failing = nth;
}

void *allocate(int64_t bytes)
{
    if (bytes < 0 || (failing > 0 && ++allocations == failing))
        return nullptr;
    size_t room = ((size_t)bytes + 255) & ~(size_t)255;
    void *p = aligned_alloc(256, room ? room : 256);
    if (p)
        memset(p, 0xff, room);
    return p;
}

void release(void *p) { free(p); }

const char *submit(stream *s, std::function<const char *()> node)
{
    if (!s->capturing)
        return node();
    s->capturing->nodes.push_back(std::move(node));
    return nullptr;
}

} // namespace emulate
