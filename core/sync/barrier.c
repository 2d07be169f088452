/* SPDX-License-Identifier: BSD-2-Clause */
/* barrier.c — all wait for all, again and again.
 *
 *     word_    [ arrived: 29 bits | BROKEN | QUEUED | BUSY ]
 *
 * The last to arrive takes the others out of the queue before it calls the action, and so begins
 * the next round: who comes during the action waits for the next parties, and a wait that is given
 * up then has come through, as far as the barrier is concerned. Nothing of an old round can meet
 * the new one: what belongs to a round is the chain of those taken out together. */
#include "sync/waitq.h"

#include <errno.h>

#define BROKEN WEFT__BIT(0)
#define ONE WEFT__BIT(1)
#define ARRIVED(word) ((word) / ONE)

typedef struct arrival {
    weft__sleeper sleeper;
    weft_barrier *barrier;
    uint32_t index;       /* in its round */
    weft__sleeper *chain; /* the last to arrive: all others of the round */
    int is_last;
} arrival;

/* Arrive, unless that means to wait and `may_wait` is zero. Nonzero: it means to wait. */
static int come(arrival *self, int may_wait)
{
    weft__waitq *queue = &self->barrier->queue_;
    uint32_t state = weft__waitq_lock(queue);
    if (state & BROKEN) {
        weft__waitq_unlock(queue, state);
        self->sleeper.result = -EPIPE;
        return 0;
    }
    self->index = ARRIVED(state);
    self->is_last = self->index + 1 >= self->barrier->parties_;
    int must_wait = !self->is_last;
    if (self->is_last) {
        self->chain = weft__waitq_take_all(queue);
        state = 0;
    } else if (may_wait) {
        weft__waitq_append(&self->sleeper);
        state += ONE;
    }
    weft__waitq_unlock(queue, state);
    return must_wait;
}

static int arrive(weft__waiter *waiter, void *arg)
{
    arrival *self = arg;
    weft__waits_for(waiter, WEFT_REASON_BARRIER, self->barrier);
    return come(self, 1);
}

/* End a round that will not be complete. */
static void end_round(weft_barrier *barrier, uint32_t state)
{
    (void)weft__waitq_lock(&barrier->queue_);
    weft__sleeper *chain = weft__waitq_take_all(&barrier->queue_);
    weft__waitq_unlock(&barrier->queue_, state);
    weft__waitq_wake(chain, -EPIPE);
}

/* The last to arrive: all others sleep, so the barrier is there until they are woken. */
static int complete_round(arrival *self)
{
    weft_barrier *barrier = self->barrier;
    int result = 0;
    if (barrier->action_ != NULL && barrier->action_(barrier->arg_) != 0) {
        end_round(barrier, BROKEN);
        result = -EPIPE;
    }
    weft__waitq_wake(self->chain, result);
    return result;
}

/* A wait is given up, and breaks the barrier, unless the round was complete already. */
static int leave(void *arg)
{
    arrival *self = arg;
    weft__waitq *queue = self->sleeper.queue;
    weft__sleeper *chain = NULL;
    uint32_t state = weft__waitq_lock(queue);
    int is_queued = weft__waitq_has(&self->sleeper);
    if (is_queued) {
        weft__waitq_remove(&self->sleeper);
        chain = weft__waitq_take_all(queue);
        state = BROKEN;
    }
    weft__waitq_unlock(queue, state);
    weft__waitq_wake(chain, -EPIPE);
    return is_queued;
}

int weft_barrier_wait(weft_barrier *barrier, int64_t deadline_ns)
{
    arrival self = {.sleeper = {.queue = &barrier->queue_}, .barrier = barrier};
    if (barrier->parties_ == 0)
        WEFT__PANIC("weft_barrier_wait: the barrier is of no parties");
    int must_wait = come(&self, 0);
    int rc = self.sleeper.result;
    if (must_wait)
        rc = weft__waitq_sleep_or_leave(&self.sleeper, arrive, leave, &self, deadline_ns);
    if (self.is_last)
        rc = complete_round(&self);
    return rc != 0 ? rc : (int)self.index;
}

void weft_barrier_abort(weft_barrier *barrier)
{
    end_round(barrier, BROKEN);
}

void weft_barrier_reset(weft_barrier *barrier)
{
    end_round(barrier, 0);
}

int weft_barrier_is_broken(const weft_barrier *barrier)
{
    /* relaxed: a snapshot */
    return (weft__load_relaxed(&barrier->queue_.word_) & BROKEN) != 0;
}

uint32_t weft_barrier_waiting(const weft_barrier *barrier)
{
    return ARRIVED(weft__load_relaxed(&barrier->queue_.word_)); /* relaxed: a snapshot */
}
