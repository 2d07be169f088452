/* SPDX-License-Identifier: BSD-2-Clause */
/* once.c — the first caller does it.
 *
 *     word_    [ DONE | RUNNING | QUEUED | BUSY ]
 *
 * If the action fails, RUNNING goes on to the longest waiter, who tries his own. */
#include "sync/waitq.h"

#define RUNNING WEFT__BIT(0)
#define DONE WEFT__BIT(1)

/* What a waiter, or an arrival that need not wait, is told. */
#define IS_DONE 0
#define YOUR_TURN 1

/* Queue up, unless it is done or nobody is at it. */
static int arrive(weft__waiter *waiter, void *arg)
{
    weft__sleeper *self = arg;
    weft__waits_for(waiter, WEFT_REASON_ONCE, self->queue);
    uint32_t state = weft__waitq_lock(self->queue);
    int is_late = (state & RUNNING) != 0;
    if (is_late)
        weft__waitq_append(self);
    else
        self->result = (state & DONE) ? IS_DONE : YOUR_TURN;
    weft__waitq_unlock(self->queue, (state & DONE) ? state : state | RUNNING);
    return is_late;
}

static void finish(weft__waitq *queue)
{
    (void)weft__waitq_lock(queue);
    weft__sleeper *chain = weft__waitq_take_all(queue);
    weft__waitq_unlock(queue, DONE);
    weft__waitq_wake(chain, IS_DONE);
}

static void pass_on(weft__waitq *queue)
{
    (void)weft__waitq_lock(queue);
    weft__sleeper *next = weft__waitq_take(queue);
    weft__waitq_unlock(queue, next != NULL ? RUNNING : 0);
    weft__waitq_wake(next, YOUR_TURN);
}

static int is_our_turn(weft__waitq *queue)
{
    uint32_t seen = 0;
    /* edge waitq.busy (acquire): what the last one to fail has done */
    if (weft__cas_acquire(&queue->word_, &seen, RUNNING))
        return 1;
    weft__sleeper self = {.queue = queue};
    return weft__waitq_sleep_on(&self, arrive) == YOUR_TURN;
}

int weft_once_call(weft_once *once, int (*action)(void *arg), void *arg)
{
    weft__waitq *queue = &once->queue_;
    /* edge waitq.busy (acquire): what the action did */
    if ((weft__load_acquire(&queue->word_) & DONE) || !is_our_turn(queue))
        return 0;
    int rc = action(arg);
    if (rc == 0)
        finish(queue);
    else
        pass_on(queue);
    return rc;
}
