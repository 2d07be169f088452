/* SPDX-License-Identifier: BSD-2-Clause */
/* fiber.c — making and switching fibers, and telling the sanitizers about it.
 *
 * AddressSanitizer must know which stack is in use before it is used, ThreadSanitizer keeps a
 * clock for each fiber and takes a switch for what it is, an order of events. Both are told here
 * and nowhere else. */
#include "fiber.h"

#include "switch.h"

#include <pthread.h>
#include <stddef.h>

#include "sanitize.h"

/* Valgrind takes a switch for a switch, not for a huge frame, if it knows the stacks. Its header is
 * all that is needed, and outside of Valgrind a request is a handful of instructions. */
#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define WEFT__VALGRIND 1
#endif
#endif

#ifdef WEFT__ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef WEFT__TSAN
#include <sanitizer/tsan_interface.h>
#endif

_Static_assert(offsetof(weft__fiber, peer) == 128, "a wait and a wake-up touch two lines");

/* Inlined, so that ThreadSanitizer's record of calls stays that of weft__fiber_switch(): entered on
 * one fiber's record, left on the same one's. */
WEFT__INLINE void before_switch(weft__fiber *from, weft__fiber *to)
{
    (void)from;
    (void)to;
#ifdef WEFT__ASAN
    __sanitizer_start_switch_fiber(&from->asan_fake_stack, to->stack_low, to->stack_bytes);
#endif
#ifdef WEFT__TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
}

WEFT__INLINE void after_switch(void *asan_fake_stack)
{
    (void)asan_fake_stack;
#ifdef WEFT__ASAN
    __sanitizer_finish_switch_fiber(asan_fake_stack, NULL, NULL);
#endif
}

/* The assembly wants every register: whoever it is inlined into does nothing else worth keeping one
 * for. */
WEFT__FUSED void weft__fiber_switch(weft__fiber *from, weft__fiber *to)
{
    before_switch(from, to);
    weft__context_switch(&from->context, &to->context);
    after_switch(from->asan_fake_stack);
}

void weft__fiber_arrived(void)
{
    after_switch(NULL);
}

void weft__fiber_prepare(weft__fiber *fiber, void (*entry)(void))
{
    uintptr_t top = (uintptr_t)fiber->stack_low + fiber->stack_bytes;
    fiber->context.resume_at = (void *)(uintptr_t)weft__fiber_start;
    fiber->context.stack = (void *)(top & ~(uintptr_t)15);
    fiber->context.frame = (void *)(uintptr_t)entry;
    fiber->asan_fake_stack = NULL;
#ifdef WEFT__TSAN
    fiber->tsan = __tsan_create_fiber(0);
#endif
#ifdef WEFT__VALGRIND
    fiber->valgrind_stack = VALGRIND_STACK_REGISTER(fiber->stack_low, top & ~(uintptr_t)15);
#endif
}

WEFT__HOT void weft__fiber_adopt_thread(weft__fiber *thread)
{
    thread->stack_low = NULL;
    thread->stack_bytes = 0;
    thread->asan_fake_stack = NULL;
    thread->tsan = NULL;
#ifdef WEFT__ASAN
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &thread->stack_low, &thread->stack_bytes);
        pthread_attr_destroy(&attributes);
    }
#endif
#ifdef WEFT__TSAN
    thread->tsan = __tsan_get_current_fiber();
#endif
}

void weft__fiber_forget(weft__fiber *fiber)
{
    (void)fiber;
#ifdef WEFT__TSAN
    __tsan_destroy_fiber(fiber->tsan);
#endif
#ifdef WEFT__VALGRIND
    VALGRIND_STACK_DEREGISTER(fiber->valgrind_stack);
#endif
}
