// rt.cpp - memory and streams behind the emulator's rt.h.
#include "../rt.h"

#include <atomic>
#include <map>
#include <mutex>

namespace emulate {

static std::atomic<uint64_t> seed{1};
uint64_t next_seed() { return seed.fetch_add(1, std::memory_order_relaxed); }

static std::mutex one_change; // of the map below
static std::map<void *, int64_t> held;
static int64_t held_bytes;

static int64_t memory()
{
    const char *said = getenv("INFER_EMULATED_MEMORY");
    return said && *said ? atoll(said) : 4LL << 30;
}

void *allocate(int64_t bytes)
{
    std::lock_guard<std::mutex> lock(one_change);
    if (bytes < 0 || bytes > memory() - held_bytes)
        return nullptr;
    size_t room = ((size_t)bytes + 255) & ~(size_t)255;
    void *p = aligned_alloc(256, room ? room : 256);
    if (!p)
        return nullptr;
    memset(p, 0xff, room);
    held[p] = bytes;
    held_bytes += bytes;
    return p;
}

void release(void *p)
{
    std::lock_guard<std::mutex> lock(one_change);
    auto at = held.find(p);
    if (at == held.end())
        return;
    held_bytes -= at->second;
    held.erase(at);
    free(p);
}

const char *submit(stream *s, std::function<const char *()> node)
{
    if (!s->capturing)
        return node();
    s->capturing->nodes.push_back(std::move(node));
    return nullptr;
}

} // namespace emulate

const char *rt_open(int index, struct properties *p)
{
    const char *capability = getenv("INFER_EMULATED_CAPABILITY");
    *p = {};
    p->absent = index != 0;
    if (p->absent)
        return "the machine has fewer cards";
    p->capability = capability && *capability ? atoi(capability) : 80;
    p->sms = 4;
    p->block_shared = 163 << 10;
    p->emulated = 1;
    p->memory = emulate::memory();
    snprintf(p->name, sizeof p->name, "emulated");
    return NULL;
}

const char *rt_memory(int64_t *available, int64_t *total)
{
    std::lock_guard<std::mutex> lock(emulate::one_change);
    *total = emulate::memory();
    *available = *total - emulate::held_bytes;
    return NULL;
}
