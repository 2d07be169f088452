/* SPDX-License-Identifier: BSD-2-Clause */
/* cond.c — wait until something has changed.
 *
 *     word_    [ QUEUED | BUSY ]
 *
 * Whoever waits has a place in two queues, the condition's and the mutex's, of which it is in one
 * at a time: a notification moves it from the first to the second, and the mutex wakes it when its
 * turn has come. So a thousand notified at once stand in line instead of running into each other,
 * and a notification under the lock wakes nobody who could not go on anyway. */
#include "sync/mutex.h"

typedef struct arrival {
    weft__sleeper sleeper;     /* its place in the condition's queue; first member */
    weft__contender contender; /* its place in the mutex's */
    weft_mutex *mutex;
} arrival;

/* In the queue first, then out of the mutex: who notifies with the mutex held finds us. */
static int arrive(weft__waiter *waiter, void *arg)
{
    arrival *self = arg;
    weft_mutex *mutex = self->mutex;
    weft__waits_for(waiter, WEFT_REASON_COND, self->sleeper.queue);
    uint32_t state = weft__waitq_lock(self->sleeper.queue);
    weft__waitq_append(&self->sleeper);
    weft__waitq_unlock(self->sleeper.queue, state);
    weft_mutex_unlock(mutex); /* nobody gets out of here without it, so it is still there */
    return 1;
}

int weft_cond_wait(weft_cond *cond, weft_mutex *mutex, int64_t deadline_ns)
{
    arrival self = {.sleeper = {.queue = &cond->queue_},
                    .contender = {.sleeper = {.queue = &mutex->queue_}},
                    .mutex = mutex};
    int rc = weft__waitq_sleep(&self.sleeper, arrive, deadline_ns);
    if (rc != 0)
        weft_mutex_lock(mutex);
    else
        weft__mutex_have(&self.contender);
    return rc;
}

/* Move those who have been taken out over to their mutexes. */
static void stand_in_line(weft__sleeper *chain)
{
    while (chain != NULL) {
        weft__sleeper *next = chain->next; /* before: behind it, the frame may be gone */
        arrival *notified = (arrival *)chain;
        notified->contender.sleeper.waiter = chain->waiter;
        weft__mutex_stand_in_line(&notified->contender);
        chain = next;
    }
}

static int has_waiters(const weft_cond *cond)
{
    /* relaxed: who began to wait with the mutex held is seen by whoever has held it since */
    return (weft__load_relaxed(&cond->queue_.word_) & WEFT__QUEUED) != 0;
}

void weft_cond_notify(weft_cond *cond, size_t count)
{
    if (!has_waiters(cond))
        return;
    uint32_t state = weft__waitq_lock(&cond->queue_);
    weft__sleeper *chain = weft__waitq_take_some(&cond->queue_, &count);
    weft__waitq_unlock(&cond->queue_, state);
    stand_in_line(chain);
}

void weft_cond_notify_all(weft_cond *cond)
{
    if (!has_waiters(cond))
        return;
    uint32_t state = weft__waitq_lock(&cond->queue_);
    weft__sleeper *chain = weft__waitq_take_all(&cond->queue_);
    weft__waitq_unlock(&cond->queue_, state);
    stand_in_line(chain);
}
