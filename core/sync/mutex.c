/* SPDX-License-Identifier: BSD-2-Clause */
/* mutex.c — a lock that goes to whoever runs, and after a millisecond to whoever waits longest.
 *
 *     word_    [ RUNNER | HELD | QUEUED | BUSY ]
 *
 * A mutex that is handed to its longest waiter at every unlock is slow: between the unlock and the
 * moment when that waiter runs nobody has the lock, and with many waiters every section costs a
 * wake-up. So an unlock frees the mutex and wakes the longest waiter to try its luck, the runner;
 * until it has tried, whoever comes by may lock and unlock as often as he likes, with one swap
 * each. A runner that comes too late goes back to the front of the queue, with its time of arrival.
 * An unlock that finds the longest waiter older than a millisecond does not free the mutex, but
 * hands it over: nobody is barged past for ever.
 *
 * There is at most one runner: with RUNNER set an unlock wakes nobody. The flag is cleared by the
 * runner alone, when it has got the mutex or when it is back in the queue. */
#include "sync/mutex.h"

#include "debug/holder.h"

#include <errno.h>

#define HELD WEFT__BIT(0)
#define RUNNER WEFT__BIT(1)

/* What a waiter is told. */
#define HAS_IT 0
#define TRY_LUCK 1

#define HAND_OVER_NS WEFT_MSEC

/* Lock if nobody holds the mutex, and clear `flag`. */
static int take(weft__waitq *queue, uint32_t flag)
{
    for (uint32_t seen = weft__waitq_look(queue); !(seen & HELD); seen = weft__waitq_look(queue))
        /* edge mutex.lock (acquire): what the last holder did */
        if (weft__cas_acquire(&queue->word_, &seen, (seen | HELD) & ~flag))
            return 1;
    return 0;
}

static int take_free(weft__waitq *queue)
{
    uint32_t seen = 0;
    /* edge mutex.lock (acquire): as in take */
    return weft__cas_acquire(&queue->word_, &seen, HELD) || take(queue, 0);
}

int weft_mutex_trylock(weft_mutex *mutex)
{
    if (!take_free(&mutex->queue_))
        return -EAGAIN;
    weft__holds(mutex);
    return 0;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Get in line, or get the lock after all. */
static int arrive(weft__waiter *waiter, void *arg)
{
    weft__contender *self = arg;
    weft__waitq *queue = self->sleeper.queue;
    weft__waits_for(waiter, WEFT_REASON_MUTEX, queue);
    uint32_t state = weft__waitq_lock(queue);
    if (self->is_runner)
        state &= ~RUNNER;
    if (!(state & HELD)) {
        weft__waitq_unlock(queue, state | HELD);
        return 0;
    }
    if (self->is_runner)
        weft__waitq_prepend(&self->sleeper);
    else
        weft__waitq_append(&self->sleeper);
    weft__waitq_unlock(queue, state);
    return 1;
}

/* Until the deadline; without one, until the lock is had. A plain thread had better sleep at once:
 * while it gets up whoever runs goes on, and the lock's line stays with him. */
static int sleep_once(weft__contender *self, const int64_t *deadline_ns)
{
    if (weft__worker_self() == NULL)
        weft__thread_set_mood(WEFT__TIRED);
    if (deadline_ns == NULL)
        return weft__waitq_sleep_on(&self->sleeper, arrive);
    return weft__waitq_sleep(&self->sleeper, arrive, *deadline_ns);
}

/* A runner whose time is up tries once more like any other, and so clears its flag. */
static int contend(weft__contender *self, const int64_t *deadline_ns)
{
    int rc = sleep_once(self, deadline_ns);
    while (rc == TRY_LUCK) {
        if (take(self->sleeper.queue, RUNNER))
            return 0;
        self->is_runner = 1;
        rc = sleep_once(self, deadline_ns);
    }
    return rc;
}

void weft_mutex_lock(weft_mutex *mutex)
{
    if (!take_free(&mutex->queue_)) {
        weft__contender self = {.sleeper = {.queue = &mutex->queue_}, .since = weft_now()};
        (void)contend(&self, NULL);
    }
    weft__holds(mutex);
}

int weft_mutex_lock_until(weft_mutex *mutex, int64_t deadline_ns)
{
    if (weft_mutex_trylock(mutex) == 0)
        return 0;
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    weft__contender self = {.sleeper = {.queue = &mutex->queue_}, .since = weft_now()};
    int rc = contend(&self, &deadline_ns);
    if (rc == 0)
        weft__holds(mutex);
    return rc;
}

/* ---- unlocking ------------------------------------------------------------------------------- */

/* Free the mutex if nobody has to be woken for it. */
static int release(weft_mutex *mutex)
{
    weft__waitq *queue = &mutex->queue_;
    for (;;) {
        uint32_t seen = weft__waitq_look(queue);
        if (!(seen & HELD))
            WEFT__PANIC("weft_mutex_unlock: the mutex is not locked");
        if ((seen & WEFT__QUEUED) && !(seen & RUNNER))
            return 0;
        /* edge mutex.lock (release): what the holder did */
        if (weft__cas_release(&queue->word_, &seen, seen & ~HELD))
            return 1;
    }
}

static void release_to_waiter(weft_mutex *mutex)
{
    weft__waitq *queue = &mutex->queue_;
    int64_t now = weft_now();
    uint32_t state = weft__waitq_lock(queue);
    weft__contender *first = (weft__contender *)weft__waitq_first(queue);
    if (first == NULL || (state & RUNNER)) {
        weft__waitq_unlock(queue, state & ~HELD);
        return;
    }
    weft__waitq_remove(&first->sleeper);
    int is_old = now - first->since >= HAND_OVER_NS;
    weft__waitq_unlock(queue, is_old ? state : (state & ~HELD) | RUNNER);
    weft__waitq_wake(&first->sleeper, is_old ? HAS_IT : TRY_LUCK);
}

void weft_mutex_unlock(weft_mutex *mutex)
{
    uint32_t seen = HELD;
    weft__lets_go(mutex);
    /* edge mutex.lock (release): what the holder did */
    if (weft__cas_release(&mutex->queue_.word_, &seen, 0))
        return;
    if (!release(mutex))
        release_to_waiter(mutex);
}

/* ---- for conditions -------------------------------------------------------------------------- */

void weft__mutex_stand_in_line(weft__contender *contender)
{
    weft__waitq *queue = contender->sleeper.queue;
    contender->since = weft_now();
    contender->is_runner = 0;
    contender->sleeper.next = NULL;
    uint32_t state = weft__waitq_lock(queue);
    if (state & HELD) {
        weft__waitq_append(&contender->sleeper);
        weft__waitq_unlock(queue, state);
        return;
    }
    weft__waitq_unlock(queue, state | HELD);
    weft__waitq_wake(&contender->sleeper, HAS_IT);
}

void weft__mutex_have(weft__contender *contender)
{
    if (contender->sleeper.result != HAS_IT && !take(contender->sleeper.queue, RUNNER)) {
        contender->is_runner = 1;
        (void)contend(contender, NULL);
    }
    weft__holds(contender->sleeper.queue);
}
