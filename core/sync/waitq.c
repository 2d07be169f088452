/* SPDX-License-Identifier: BSD-2-Clause */
/* waitq.c — see waitq.h. */
#include "sync/waitq.h"

#define LINE_BYTES 64

void weft__waitq_pause(const weft__waitq *queue)
{
    /* relaxed: whoever takes the lock looks again */
    for (unsigned round = 0; weft__load_relaxed(&queue->word_) & WEFT__BUSY; round++)
        weft__pause(round);
}

/* ---- under BUSY ------------------------------------------------------------------------------ */

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

/* The wait has been given up: leave, or be woken all the same. */
static WEFT__NOINLINE int give_up(weft__sleeper *sleeper, weft__leave *leave, void *arg, int reason)
{
    if (leave(arg))
        return reason;
    weft__wait_woken(sleeper->waiter);
    return sleeper->result;
}

/* `sleeper->waiter` is set. */
WEFT__INLINE int sleep_or_leave(weft__sleeper *sleeper, weft__commit *commit, weft__leave *leave,
                                void *arg, int64_t deadline_ns)
{
    sleeper->result = 0;
    int reason = weft__wait_until(sleeper->waiter, commit, arg, deadline_ns);
    return WEFT__LIKELY(reason == 0) ? sleeper->result : give_up(sleeper, leave, arg, reason);
}

WEFT__FUSED int weft__waitq_sleep_or_leave(weft__sleeper *sleeper, weft__commit *commit,
                                           weft__leave *leave, void *arg, int64_t deadline_ns)
{
    weft__waiter waiter;
    /* cppcheck-suppress autoVariables ; nobody knows the sleeper any more at the return */
    sleeper->waiter = &waiter;
    return sleep_or_leave(sleeper, commit, leave, arg, deadline_ns);
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

/* A sleeper and its waiter. All that a waker touches is on one line: between processors the line's
 * way there and back is most of what a wake-up costs. */
typedef struct pair {
    weft__sleeper sleeper;
    weft__waiter waiter;
} pair;

_Static_assert(offsetof(pair, waiter.type) <= LINE_BYTES, "a waker touches one line");

/* Where such a line begins in a frame. Aligned by hand: for a variable that is, compilers keep a
 * frame pointer, which each wait would save and restore. */
#define PAIR_ROOM (sizeof(pair) + LINE_BYTES - _Alignof(pair))

WEFT__INLINE pair *place_pair(char *room)
{
    uintptr_t address = ((uintptr_t)room + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1);
    return (pair *)address;
}

int weft__waitq_sleep_in(weft__waitq *queue, weft__commit *commit, int64_t deadline_ns)
{
    _Alignas(pair) char room[PAIR_ROOM];
    pair *self = place_pair(room);
    self->sleeper = (weft__sleeper){.queue = queue, .waiter = &self->waiter};
    return sleep_or_leave(&self->sleeper, commit, leave_queue, &self->sleeper, deadline_ns);
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
