/* SPDX-License-Identifier: BSD-2-Clause */
/* event.c — a flag to wait for.
 *
 *     word_    [ SET | QUEUED | BUSY ]
 *
 * While it is set nobody waits. */
#include "sync/waitq.h"

#include <errno.h>

#define SET WEFT__BIT(0)

int weft_event_is_set(const weft_event *event)
{
    /* edge event.set (acquire): what was done before it was set */
    return (weft__load_acquire(&event->queue_.word_) & SET) != 0;
}

/* Queue up, unless the event has been set. */
static int arrive(weft__waiter *waiter, void *arg)
{
    weft__sleeper *self = arg;
    weft__waits_for(waiter, WEFT_REASON_EVENT, self->queue);
    uint32_t state = weft__waitq_lock(self->queue);
    int is_late = !(state & SET);
    if (is_late)
        weft__waitq_append(self);
    weft__waitq_unlock(self->queue, state);
    return is_late;
}

int weft_event_wait(weft_event *event, int64_t deadline_ns)
{
    if (weft_event_is_set(event))
        return 0;
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    return weft__waitq_sleep_in(&event->queue_, arrive, deadline_ns);
}

static void set_and_wake(weft__waitq *queue)
{
    uint32_t state = weft__waitq_lock(queue);
    weft__sleeper *chain = weft__waitq_take_all(queue);
    weft__waitq_unlock(queue, state | SET);
    weft__waitq_wake(chain, 0);
}

void weft_event_set(weft_event *event)
{
    weft__waitq *queue = &event->queue_;
    uint32_t seen = weft__waitq_look(queue);
    while (!(seen & WEFT__QUEUED)) {
        /* edge event.set (release): whoever sees it set sees what was done before; the last touch.
         * Also of an event that is set already: who sees it after this has to see ours as well. */
        if (weft__cas_release(&queue->word_, &seen, seen | SET))
            return;
        seen = weft__waitq_look(queue);
    }
    set_and_wake(queue);
}

void weft_event_clear(weft_event *event)
{
    weft__waitq *queue = &event->queue_;
    uint32_t seen = weft__waitq_look(queue);
    while ((seen & SET) && !weft__cas_relaxed(&queue->word_, &seen, seen & ~SET))
        seen = weft__waitq_look(queue); /* relaxed swap: it keeps what earlier ones have released */
}
