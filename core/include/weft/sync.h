/* SPDX-License-Identifier: BSD-2-Clause */
/* sync.h — locks that park a fiber, never a worker.
 *
 * A weft_mutex may be held across a spawn, a join or any other call that parks: the waiting fiber
 * keeps the lock, its worker does other work on another stack. Plain threads may use the same
 * mutex; they sleep on a futex. */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Zero-initialised memory is an unlocked mutex; nothing to destroy. */
typedef struct weft_mutex {
    uintptr_t state_; /* free, locked, or locked with arrivals: core/sync/mutex.c */
    void *queue_;     /* waiters in order of arrival; the holder's */
} weft_mutex;

/* clang-format off */
#define WEFT_MUTEX_INIT {0, NULL}
/* clang-format on */

/**
 * Lock, waiting in order of arrival. Not recursive: a holder that locks again waits for ever.
 *
 * Context         thread or fiber; may park
 * Order           the previous unlock happens-before the return
 * Progress        blocking, first come first served
 */
WEFT_API void weft_mutex_lock(weft_mutex *mutex) WEFT_NONNULL(1);

/**
 * Lock if that needs no waiting.
 *
 * Returns         0; -EAGAIN somebody holds it
 * Context         any
 * Progress        wait-free
 */
WEFT_API WEFT_NODISCARD int weft_mutex_trylock(weft_mutex *mutex) WEFT_NONNULL(1);

/**
 * Unlock; the longest waiter, if any, holds the mutex from then on.
 *
 * Any fiber or thread may unlock, not only the one that locked. Unlocking a free mutex aborts.
 *
 * Context         thread or fiber; never parks
 * Order           happens-before the next lock's return
 * Progress        lock-free
 */
WEFT_API void weft_mutex_unlock(weft_mutex *mutex) WEFT_NONNULL(1);

WEFT__INLINE weft_mutex *weft__with_lock(weft_mutex *mutex)
{
    weft_mutex_lock(mutex);
    return mutex;
}

WEFT__INLINE void weft__with_unlock(weft_mutex **mutex)
{
    if (*mutex)
        weft_mutex_unlock(*mutex);
}

/**
 * Run the following statement or block with the mutex held; it is released on any way out, also by
 * `return` and `goto`. `break` and `continue` leave the block.
 *
 *     weft_with_lock(&account.lock) {
 *         account.balance += amount;
 *     }
 *
 * Context         thread or fiber; may park
 */
#define weft_with_lock(mutex) WEFT__WITH_LOCK(mutex, __COUNTER__)

/* The names carry a number, so that one such block inside another shadows nothing. */
#define WEFT__WITH_LOCK(mutex, number)                                                             \
    WEFT__WITH_LOCK_(mutex, WEFT__CAT(weft__held_, number), WEFT__CAT(weft__once_, number))
/* clang-format off */
#define WEFT__WITH_LOCK_(mutex, held, once)                                                        \
    for (weft_mutex *held __attribute__((cleanup(weft__with_unlock))) = weft__with_lock(mutex),   \
                    *once = held;                                                                  \
         once; once = NULL)
/* clang-format on */

WEFT_END_DECLS
#endif
