/* SPDX-License-Identifier: BSD-2-Clause */
/* switch.h — the switch itself, for x86-64 and aarch64.
 *
 * Inline assembly that saves three words and names every other register as clobbered: the compiler
 * spills what is live, which in a function that does nothing else is the callee-saved registers.
 * The jump is not the end of a call, so the processor's return-address predictor stays in step; a
 * `call` into a switch that ends in `jmp` costs a misprediction for every frame left afterwards.
 *
 * Not saved: mxcsr, the x87 control word, fpcr. A task that changes the rounding mode restores it
 * before it spawns, joins or blocks. Shadow stacks are not switched: start.S carries no note that
 * promises to work with them, so the linker marks nothing that contains it as fit for them. */
#ifndef WEFT_FIBER_SWITCH_H
#define WEFT_FIBER_SWITCH_H

#include "fiber.h"

#include <stddef.h>

_Static_assert(offsetof(weft__context, resume_at) == 0, "known to the assembly");
_Static_assert(offsetof(weft__context, stack) == 8, "known to the assembly");
_Static_assert(offsetof(weft__context, frame) == 16, "known to the assembly");

/* First instruction of a fresh fiber; the fiber's entry is in the register named in fiber.c. */
void weft__fiber_start(void);

#if defined(__x86_64__) && defined(__LP64__)

#if defined(__AVX512F__)
#define WEFT__CLOBBER_WIDE                                                                         \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",    \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6",  \
        "k7"
#else
#define WEFT__CLOBBER_WIDE
#endif

WEFT__INLINE void weft__context_switch(weft__context *from, weft__context *to)
{
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, 0(%0)\n\t"
                     "movq %%rsp, 8(%0)\n\t"
                     "movq %%rbp, 16(%0)\n\t"
                     "movq 8(%1), %%rsp\n\t"
                     "movq 16(%1), %%rbp\n\t"
                     "jmpq *0(%1)\n\t"
                     "1:\n\t"
                     : "+S"(from), "+D"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "memory", "cc" WEFT__CLOBBER_WIDE);
}

#elif defined(__aarch64__) && defined(__LP64__)

/* An ordinary register on Linux, which a compiler may keep a value in across the switch; elsewhere
 * the system's own. */
#if defined(__ANDROID__) || defined(__APPLE__)
#define WEFT__CLOBBER_X18
#else
#define WEFT__CLOBBER_X18 , "x18"
#endif

WEFT__INLINE void weft__context_switch(weft__context *from, weft__context *to)
{
    register weft__context *source __asm__("x0") = from;
    register weft__context *target __asm__("x1") = to;
    __asm__ volatile("adr x9, 1f\n\t"
                     "mov x10, sp\n\t"
                     "stp x9, x10, [x0]\n\t"
                     "str x29, [x0, #16]\n\t"
                     "ldp x9, x10, [x1]\n\t"
                     "ldr x29, [x1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n\t"
                     "1:\n\t"
                     : "+r"(source), "+r"(target)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25",
                       "x26", "x27", "x28", "x30" WEFT__CLOBBER_X18, "v0", "v1", "v2", "v3", "v4",
                       "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
                       "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
                       "v27", "v28", "v29", "v30", "v31", "memory", "cc");
}

#else
#error "weft has no fiber switch for this architecture: x86-64 and aarch64 are supported"
#endif

#endif
