/* SPDX-License-Identifier: BSD-2-Clause */
/* block.h — how code that knows no fibers waits: a table of seven functions that somebody above may
 * replace.
 *
 * What lies in shared memory waits for a word to change. In a plain thread that is a futex; in a
 * fiber the thread must not sleep, only the fiber. The layers below the engine cannot know which of
 * the two they run in, so they ask this table. It begins with the thread's version; the engine
 * installs one that parks a fiber where there is one and falls back on the thread's where not; a
 * test installs one that counts or fails.
 *
 * A wait may end early for no reason at all. Whoever waits looks again, in a loop. */
#ifndef WEFT_BASE_BLOCK_H
#define WEFT_BASE_BLOCK_H

#include <weft/base.h>

#include "sys.h"

typedef struct weft__block {
    /* Nanoseconds of the clock that deadlines refer to. */
    int64_t (*now)(void);

    /* What is around the caller, before each wait for a word: 0; -ECANCELED: it is being cancelled.
     * Lowers *deadline_ns to what else it has to keep to. */
    int (*attend)(int64_t *deadline_ns);

    /* Wait while all words, in memory that other processes may share, are as expected; all but the
     * first may be left out. `is_firm`: whatever becomes of what is around the caller. 0: woken,
     * changed before, or for no reason, which may be that the caller is being cancelled;
     * -ETIMEDOUT: a deadline has passed. Who wakes changes the word before; and who changes it
     * back, so that it is as expected again, will wake once more. */
    int (*wait_words)(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns, int is_firm);

    /* Nobody here waits for words in this memory any more, and it is about to go: let go of it. */
    void (*forget_words)(const void *memory, size_t bytes);

    /* Wake up to `count` of those who wait for `word`, in any process. Returns how many were
     * asleep. */
    int (*wake_word)(const uint32_t *word, int count);

    /* Wait until `fd` is readable or closed at its other end. 0; -ETIMEDOUT; -ECANCELED. */
    int (*wait_readable)(int fd, int64_t deadline_ns);

    /* Who is calling: a value that stays the same while the caller lives, also across waits, and
     * that nobody else in this process has meanwhile. A thread, or a fiber. Never 0. */
    uintptr_t (*self)(void);
} weft__block;

/* The table in force. */
const weft__block *weft__block_now(void);

/* Use another table from now on; NULL: the thread's own. The table must live as long as the
 * process, and be installed while nobody waits through the one it replaces. */
void weft__block_install(const weft__block *table);

/* Wait for one word. */
WEFT__INLINE int weft__block_wait_word(const uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    const weft__sleep one = {.word = word, .expected = expected};
    return weft__block_now()->wait_words(&one, 1, deadline_ns, 0);
}

/* The thread's own version, for tables that fall back on it. */
extern const weft__block weft__block_thread;

/* A value that belongs to the running thread: its thread pointer. It must be asked anew after
 * anything that may move a fiber to another thread. */
WEFT__INLINE uintptr_t weft__thread_pointer(void)
{
    uintptr_t pointer;
#if defined(__x86_64__)
    __asm__ volatile("mov %%fs:0, %0" : "=r"(pointer)); /* volatile: not kept across a wait */
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, tpidr_el0" : "=r"(pointer));
#else
    pointer = (uintptr_t)__builtin_thread_pointer();
#endif
    return pointer;
}

#endif
