/* SPDX-License-Identifier: BSD-2-Clause */
/* unwind.h — who called whom on a stack that may change while we look: see unwind.c. */
#ifndef WEFT_CORE_DEBUG_UNWIND_H
#define WEFT_CORE_DEBUG_UNWIND_H

#include "fiber/fiber.h"

#define WEFT__REGISTERS 17 /* as DWARF numbers them on x86-64; the last is the return address */

/* A walk from the innermost frame out. */
typedef struct weft__walk {
    uintptr_t low; /* the stack: nothing outside is read */
    uintptr_t high;
    uintptr_t registers[WEFT__REGISTERS]; /* elsewhere only the program counter and the frame */
    unsigned known;                       /* a bit for each register whose value is known */
    int is_call;                          /* the program counter is the return address of a call */
} weft__walk;

/* Begin at a fiber's saved context. */
void weft__walk_fiber(weft__walk *walk, const weft__fiber *fiber);

/* Begin where a signal has interrupted the thread that stands on `fiber`: `ucontext` is the
 * handler's third argument. */
void weft__walk_signal(weft__walk *walk, const weft__fiber *fiber, const void *ucontext);

/* Begin at the function in which it stands, on `fiber`. A macro, since a function would be one
 * frame further. */
#define weft__walk_here(walk, fiber)                                                               \
    do {                                                                                           \
        weft__walk_bounds((walk), (fiber));                                                        \
        WEFT__WALK_REGISTERS((walk)->registers);                                                   \
        (walk)->known = WEFT__WALK_KNOWN;                                                          \
    } while (0)

void weft__walk_bounds(weft__walk *walk, const weft__fiber *fiber);

/* An instruction of the frame that the walk has reached: the call, or where it stopped. */
uintptr_t weft__walk_address(const weft__walk *walk);

/* On to the caller. Zero: there is none, or it cannot be found. */
int weft__walk_next(weft__walk *walk);

#if defined(__x86_64__)

#define WEFT__RBX 3
#define WEFT__RBP 6
#define WEFT__RSP 7
#define WEFT__PC 16

/* rbx, rbp, rsp, r12 ... r15, and the program counter. */
#define WEFT__WALK_KNOWN ((1u << 3) | (1u << 6) | (1u << 7) | (0xfu << 12) | (1u << 16))
#define WEFT__WALK_REGISTERS(r)                                                                    \
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"                                                   \
                     "1: movq %%rax, 128(%0)\n\t"                                                  \
                     "movq %%rbx, 24(%0)\n\t"                                                      \
                     "movq %%rbp, 48(%0)\n\t"                                                      \
                     "movq %%rsp, 56(%0)\n\t"                                                      \
                     "movq %%r12, 96(%0)\n\t"                                                      \
                     "movq %%r13, 104(%0)\n\t"                                                     \
                     "movq %%r14, 112(%0)\n\t"                                                     \
                     "movq %%r15, 120(%0)\n\t"                                                     \
                     :                                                                             \
                     : "r"(r)                                                                      \
                     : "rax", "memory")

#else /* aarch64: frames are linked */

#define WEFT__RBP 0
#define WEFT__PC 16
#define WEFT__WALK_KNOWN ((1u << 0) | (1u << 16))
#define WEFT__WALK_REGISTERS(r)                                                                    \
    __asm__ volatile("adr x9, 1f\n\t"                                                              \
                     "1: str x9, [%0, #128]\n\t"                                                   \
                     "str x29, [%0]\n\t"                                                           \
                     :                                                                             \
                     : "r"(r)                                                                      \
                     : "x9", "memory")

#endif
#endif
