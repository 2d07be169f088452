/* SPDX-License-Identifier: BSD-2-Clause */
/* hooks.h — everything an algorithm of weft asks of the world around it.
 *
 * The files that hold a lock-free protocol (deque/deque.c, core/sched/lane.c, core/sched/join.h)
 * include standard headers, <weft/atomic.h>, their own declarations and this header, nothing else.
 * A checker puts a header of the same name in front of it in the include path and runs the files
 * as they are: time, sleep, memory, barriers and sudden death become its choices. */
#ifndef WEFT_BASE_HOOKS_H
#define WEFT_BASE_HOOKS_H

#include "alloc.h"
#include "block.h"
#include "panic.h"
#include "sys.h"
#include "transfer.h"

#include <errno.h>

#define WEFT__PAUSES 64

/* Tell the processor that this is a waiting loop. */
WEFT__INLINE void weft__relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory"); /* yield is a no-op on most cores; isb takes a moment */
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* Wait for somebody who needs a few instructions more: to be called while he does, the round-th
 * time from 0. He may have lost his processor; then ours may be the one he needs. */
WEFT__INLINE void weft__pause(unsigned round)
{
    if (round < WEFT__PAUSES)
        weft__relax();
    else
        weft__give_way(round - WEFT__PAUSES);
}

/* A place between two writes to shared memory at which a checker may stop a thread for ever. */
#define WEFT_CRASH_POINT(n) ((void)(n))

#define weft__hook_alloc(bytes) weft__alloc(bytes)
#define weft__hook_free(memory) weft__free(memory)
#define weft__hook_block_get(bytes) weft__block_get(bytes)
#define weft__hook_block_put(memory, bytes) weft__block_put((memory), (bytes))
#define weft__hook_membarrier() weft__membarrier()
/* Nonzero: the deadline has passed. Zero: woken, or for no reason; look again. */
#define weft__hook_park_wait(word, expected, deadline_ns)                                          \
    (weft__futex_wait((word), (expected), (deadline_ns)) == -ETIMEDOUT)
#define weft__hook_park_wake(word, count) weft__futex_wake((word), (count))

/* The same for words and barriers that concern other processes; waiting goes through block.h, and
 * the wake answers how many were asleep. */
#define weft__hook_shared_wait(word, expected, deadline_ns)                                        \
    weft__block_wait_word((word), (expected), (deadline_ns))
#define weft__hook_shared_wake(word, count) weft__block_now()->wake_word((word), (count))
#define weft__hook_shared_membarrier() ((void)weft__membarrier_shared())

/* Who is calling, as block.h says; and how often to try before a sleep. */
#define weft__hook_self() weft__block_now()->self()
#define weft__hook_spins() 100

#endif
