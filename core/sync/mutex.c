/* SPDX-License-Identifier: BSD-2-Clause */
/* mutex.c — a lock whose waiters park, in order of arrival.
 *
 *     state_ = FREE
 *              HELD             nobody waits, or all who wait are in `queue_`
 *              waiter | HELD    newest arrival, linked to the older ones; not yet in `queue_`
 *
 * Arrivals push themselves in front of `state_`; only the holder takes them off, all at once, and
 * turns them round into `queue_`, which is his alone. Unlocking with waiters hands the lock over:
 * the state stays HELD and the longest waiter is woken as the new holder. Nobody barges in, nobody
 * starves; the price is that a hand-over costs a wake-up. */
#include <weft/sync.h>

#include <weft/atomic.h>

#include "hooks.h"
#include "sched/worker.h"

#include <errno.h>

#define FREE ((uintptr_t)0)
#define HELD ((uintptr_t)1)

int weft_mutex_trylock(weft_mutex *mutex)
{
    uintptr_t seen = FREE;
    /* edge mutex.lock (acquire): what the last holder did */
    return weft__cas_acquire(&mutex->state_, &seen, HELD) ? 0 : -EAGAIN;
}

/* Queue up, or get the lock after all. Nonzero: queued, the waiter will be woken as the holder. */
static int arrive(weft__waiter *waiter, void *arg)
{
    weft_mutex *mutex = arg;
    uintptr_t seen = weft__load_relaxed(&mutex->state_); /* relaxed: the swaps decide */
    for (;;) {
        if (seen == FREE) {
            /* edge mutex.lock (acquire): as in trylock */
            if (weft__cas_acquire(&mutex->state_, &seen, HELD))
                return 0;
            continue;
        }
        waiter->next = (weft__waiter *)(seen & ~HELD);
        /* edge mutex.arrive (release): the holder sees the waiter's fields. */
        if (weft__cas_release(&mutex->state_, &seen, (uintptr_t)waiter | HELD))
            return 1;
    }
}

void weft_mutex_lock(weft_mutex *mutex)
{
    weft__waiter waiter;
    if (weft_mutex_trylock(mutex) != 0)
        weft__wait(&waiter, arrive, mutex);
}

/* Holder: move the arrivals into the empty queue, oldest first. */
static void take_arrivals(weft_mutex *mutex)
{
    /* edge mutex.arrive (acquire): the waiters' fields */
    uintptr_t seen = weft__exchange_acquire(&mutex->state_, HELD);
    weft__waiter *newest = (weft__waiter *)(seen & ~HELD);
    weft__waiter *queue = NULL;
    while (newest != NULL) {
        weft__waiter *older = newest->next;
        newest->next = queue;
        queue = newest;
        newest = older;
    }
    mutex->queue_ = queue;
}

void weft_mutex_unlock(weft_mutex *mutex)
{
    if (mutex->queue_ == NULL) {
        uintptr_t seen = HELD;
        /* edge mutex.lock (release): what the holder did */
        if (weft__cas_release(&mutex->state_, &seen, FREE))
            return;
        if (seen == FREE)
            WEFT__PANIC("weft_mutex_unlock: the mutex is not locked");
        take_arrivals(mutex);
    }
    weft__waiter *first = mutex->queue_;
    mutex->queue_ = first->next;
    weft__wake(first); /* the hand-over: wake and wait order memory, the mutex may be gone now */
}
