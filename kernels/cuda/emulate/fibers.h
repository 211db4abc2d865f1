// fibers.h - a stack of its own for each emulated thread, and changing from one to another. swapcontext asks the system for the signal
// mask at every change, which takes fifty times as long as the change itself; x86-64 has its own.
#ifndef INFER_CUDA_EMULATE_FIBERS_H
#define INFER_CUDA_EMULATE_FIBERS_H

#include <stdint.h>

#include <memory>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulate {

#if defined(__x86_64__)
// Saves the callee-saved registers and the stack pointer in *from, and goes on at `to`.
extern "C" void emulate_switch_stack(void **from, void *to);

struct stack_place {
    void *pointer = nullptr;
};
static inline void switch_stack(stack_place &from, stack_place &to) { emulate_switch_stack(&from.pointer, to.pointer); }
static inline void start_stack(stack_place &at, char *stack, size_t bytes, void (*entry)())
{
    uintptr_t top = ((uintptr_t)stack + bytes) & ~(uintptr_t)15;
    void **words = (void **)top - 8; // 6 registers, the return address, and a null one behind it
    for (int i = 0; i < 8; i++)
        words[i] = nullptr;
    words[6] = (void *)entry; // entered with the stack 8 bytes off 16, as after a call
    at.pointer = words;
}
#else
struct stack_place {
    ucontext_t context;
};
static inline void switch_stack(stack_place &from, stack_place &to) { swapcontext(&from.context, &to.context); }
static inline void start_stack(stack_place &at, char *stack, size_t bytes, void (*entry)())
{
    getcontext(&at.context);
    at.context.uc_stack.ss_sp = stack;
    at.context.uc_stack.ss_size = bytes;
    at.context.uc_link = nullptr;
    makecontext(&at.context, entry, 0);
}
#endif

} // namespace emulate

#endif
