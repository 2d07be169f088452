/* SPDX-License-Identifier: BSD-2-Clause */
/* semaphore.c — permits, in order of arrival.
 *
 *     word_    [ permits: 30 bits | QUEUED | BUSY ]
 *
 * There are permits only while nobody waits: a release gives them to the waiters directly, one
 * each, and counts what is left over. So nobody can take a permit that a waiter has been promised,
 * and who comes need not look at the queue. */
#include "sync/waitq.h"

#include <errno.h>

#define PERMIT WEFT__BIT(0)
#define PERMITS(word) ((word) / PERMIT)

_Static_assert(PERMITS(UINT32_MAX) == WEFT_SEMAPHORE_MAX, "all bits above the flags count");

static int take_permit(weft__waitq *queue)
{
    for (uint32_t seen = weft__waitq_look(queue); PERMITS(seen) > 0; seen = weft__waitq_look(queue))
        /* edge semaphore.permit (acquire): what was done before the release */
        if (weft__cas_acquire(&queue->word_, &seen, seen - PERMIT))
            return 1;
    return 0;
}

/* Queue up, or get a permit after all. */
static int arrive(weft__waiter *waiter, void *arg)
{
    weft__sleeper *self = arg;
    weft__waitq *queue = self->queue;
    weft__waits_for(waiter, WEFT_REASON_SEMAPHORE, queue);
    uint32_t state = weft__waitq_lock(queue);
    int is_late = PERMITS(state) == 0;
    if (is_late)
        weft__waitq_append(self);
    weft__waitq_unlock(queue, is_late ? state : state - PERMIT);
    return is_late;
}

int weft_semaphore_acquire(weft_semaphore *semaphore, int64_t deadline_ns)
{
    weft__waitq *queue = &semaphore->queue_;
    if (take_permit(queue))
        return 0;
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    return weft__waitq_sleep_in(queue, arrive, deadline_ns);
}

/* ---- releasing ------------------------------------------------------------------------------- */

/* Whether there may be so many more; those that go to waiters count as well. */
static int has_room(uint32_t state, uint32_t permits, uint32_t limit)
{
    return PERMITS(state) <= limit && permits <= limit - PERMITS(state);
}

static WEFT__NOINLINE int release_to_waiters(weft__waitq *queue, uint32_t permits, uint32_t limit)
{
    uint32_t state = weft__waitq_lock(queue);
    if (!has_room(state, permits, limit)) {
        weft__waitq_unlock(queue, state);
        return -EINVAL;
    }
    size_t rest = permits;
    weft__sleeper *chain = weft__waitq_take_some(queue, &rest);
    weft__waitq_unlock(queue, state + (uint32_t)rest * PERMIT);
    weft__waitq_wake(chain, 0);
    return 0;
}

int weft_semaphore_release(weft_semaphore *semaphore, uint32_t permits)
{
    weft__waitq *queue = &semaphore->queue_;
    uint32_t limit = semaphore->limit_ != 0 ? semaphore->limit_ : WEFT_SEMAPHORE_MAX;
    uint32_t seen = weft__waitq_look(queue);
    while (!(seen & WEFT__QUEUED)) {
        if (!has_room(seen, permits, limit))
            return -EINVAL;
        /* edge semaphore.permit (release): whoever takes a permit sees what was done before. The
         * last touch: he may free the semaphore. */
        if (weft__cas_release(&queue->word_, &seen, seen + permits * PERMIT))
            return 0;
        seen = weft__waitq_look(queue);
    }
    return release_to_waiters(queue, permits, limit);
}

uint32_t weft_semaphore_permits(const weft_semaphore *semaphore)
{
    return PERMITS(weft__load_relaxed(&semaphore->queue_.word_)); /* relaxed: a snapshot */
}
