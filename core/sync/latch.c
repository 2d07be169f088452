/* SPDX-License-Identifier: BSD-2-Clause */
/* latch.c — a count that falls to zero once.
 *
 *     word_    [ steps left: 30 bits | QUEUED | BUSY ]
 *
 * At zero nobody waits, for good. */
#include "sync/waitq.h"

#include <errno.h>

#define STEP WEFT__BIT(0)
#define STEPS(word) ((word) / STEP)

/* Queue up, unless the latch has opened. */
static int arrive(weft__waiter *waiter, void *arg)
{
    weft__sleeper *self = arg;
    weft__waits_for(waiter, WEFT_REASON_LATCH, self->queue);
    uint32_t state = weft__waitq_lock(self->queue);
    int is_late = STEPS(state) > 0;
    if (is_late)
        weft__waitq_append(self);
    weft__waitq_unlock(self->queue, state);
    return is_late;
}

int weft_latch_wait(weft_latch *latch, int64_t deadline_ns)
{
    /* edge latch.step (acquire): all that was done before the steps */
    if (STEPS(weft__load_acquire(&latch->queue_.word_)) == 0)
        return 0;
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    return weft__waitq_sleep_in(&latch->queue_, arrive, deadline_ns);
}

static void open_and_wake(weft__waitq *queue, uint32_t steps)
{
    weft__sleeper *chain = NULL;
    uint32_t state = weft__waitq_lock(queue);
    if (STEPS(state) < steps)
        WEFT__PANIC("weft_latch_count_down: the latch is counted below zero");
    state -= steps * STEP;
    if (STEPS(state) == 0)
        chain = weft__waitq_take_all(queue);
    weft__waitq_unlock(queue, state);
    weft__waitq_wake(chain, 0);
}

void weft_latch_count_down(weft_latch *latch, uint32_t steps)
{
    weft__waitq *queue = &latch->queue_;
    uint32_t seen = weft__waitq_look(queue);
    while (!(seen & WEFT__QUEUED) || STEPS(seen) > steps) {
        if (STEPS(seen) < steps)
            WEFT__PANIC("weft_latch_count_down: the latch is counted below zero");
        /* edge latch.step (release): whoever sees zero sees what was done before every step. The
         * last touch, if it makes zero. */
        if (weft__cas_release(&queue->word_, &seen, seen - steps * STEP))
            return;
        seen = weft__waitq_look(queue);
    }
    open_and_wake(queue, steps);
}
