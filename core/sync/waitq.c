/* SPDX-License-Identifier: BSD-2-Clause */
/* waitq.c — see waitq.h. */
#include "sync/waitq.h"

#include <sched.h>
#include <time.h>

/* Who holds BUSY holds it for some nanoseconds, unless the kernel takes his processor away: then
 * ours may be the one he needs. A thread of real-time priority must even sleep to let him have it.
 * */
#define SPINS 100
#define YIELDS 100

void weft__waitq_pause(const weft__waitq *queue)
{
    /* relaxed: whoever takes the lock looks again */
    for (unsigned round = 0; weft__load_relaxed(&queue->word_) & WEFT__BUSY; round++) {
        if (round < SPINS)
            weft__relax();
        else if (round < SPINS + YIELDS)
            (void)sched_yield();
        else
            (void)nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
}

/* ---- under BUSY ------------------------------------------------------------------------------ */

void weft__waitq_append(weft__sleeper *sleeper)
{
    weft__waitq *queue = sleeper->queue;
    weft__sleeper *first = weft__waitq_first(queue);
    sleeper->ticket = weft__waitq_ticket(queue);
    if (first == NULL) {
        sleeper->next = sleeper->previous = sleeper;
        queue->first_ = sleeper;
        return;
    }
    weft__sleeper *last = first->previous;
    sleeper->next = first;
    sleeper->previous = last;
    last->next = sleeper;
    first->previous = sleeper;
}

void weft__waitq_prepend(weft__sleeper *sleeper)
{
    weft__waitq_append(sleeper);
    sleeper->queue->first_ = sleeper; /* the ring is the same, it begins one earlier */
}

void weft__waitq_remove(weft__sleeper *sleeper)
{
    weft__waitq *queue = sleeper->queue;
    weft__sleeper *next = sleeper->next;
    weft_assert(weft__waitq_has(sleeper));
    sleeper->previous->next = next;
    next->previous = sleeper->previous;
    if (queue->first_ == sleeper)
        queue->first_ = next != sleeper ? next : NULL;
    sleeper->ticket = 0;
    sleeper->next = NULL;
}

weft__sleeper *weft__waitq_take(weft__waitq *queue)
{
    weft__sleeper *first = weft__waitq_first(queue);
    if (first != NULL)
        weft__waitq_remove(first);
    return first;
}

weft__sleeper *weft__waitq_take_some(weft__waitq *queue, size_t *count)
{
    weft__sleeper *chain = NULL;
    weft__sleeper **end = &chain;
    for (; *count > 0 && (*end = weft__waitq_take(queue)) != NULL; (*count)--)
        end = &(*end)->next;
    return chain;
}

weft__sleeper *weft__waitq_take_all(weft__waitq *queue)
{
    weft__sleeper *first = weft__waitq_first(queue);
    if (first == NULL)
        return NULL;
    first->previous->next = NULL;
    queue->first_ = NULL;
    queue->epoch_++; /* no ticket is of this epoch any more */
    return first;
}

/* ---- not under BUSY -------------------------------------------------------------------------- */

void weft__waitq_wake(weft__sleeper *chain, int result)
{
    while (chain != NULL) {
        weft__sleeper *next = chain->next; /* before the wake: behind it, the frame may be gone */
        chain->result = result;
        weft__wake(chain->waiter);
        chain = next;
    }
}

int weft__waitq_sleep_or_leave(weft__sleeper *sleeper, weft__commit *commit, weft__leave *leave,
                               void *arg, int64_t deadline_ns)
{
    weft__waiter waiter;
    /* cppcheck-suppress autoVariables ; nobody knows the sleeper any more at the return */
    sleeper->waiter = &waiter;
    sleeper->result = 0;
    int reason = weft__wait_until(&waiter, commit, arg, deadline_ns);
    if (reason != 0 && leave(arg))
        return reason;
    if (reason != 0)
        weft__wait_woken(&waiter);
    return sleeper->result;
}

static int leave_queue(void *arg)
{
    weft__sleeper *sleeper = arg;
    uint32_t state = weft__waitq_lock(sleeper->queue);
    int is_queued = weft__waitq_has(sleeper);
    if (is_queued)
        weft__waitq_remove(sleeper);
    weft__waitq_unlock(sleeper->queue, state);
    return is_queued;
}

int weft__waitq_sleep(weft__sleeper *sleeper, weft__commit *commit, int64_t deadline_ns)
{
    return weft__waitq_sleep_or_leave(sleeper, commit, leave_queue, sleeper, deadline_ns);
}

int weft__waitq_sleep_on(weft__sleeper *sleeper, weft__commit *commit)
{
    weft__waiter waiter;
    /* cppcheck-suppress autoVariables ; nobody knows the sleeper any more at the return */
    sleeper->waiter = &waiter;
    sleeper->result = 0;
    weft__wait(&waiter, commit, sleeper);
    return sleeper->result;
}
