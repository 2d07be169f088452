/* SPDX-License-Identifier: BSD-2-Clause */
/* self.c — which worker is this thread? The only file that touches thread-local storage.
 *
 * One variable is read by inlined code (task.h): the current lane. Every thread begins with the
 * same lane, `stranger`, whose attention is never calm, so that its first spawn takes the slow path
 * and gives it a lane of its own. That spares the fast path a test for threads without one.
 *
 * A compiler may keep the address of a thread-local variable in a register across a call in which
 * the fiber moved to another thread. Hence: volatile assembly in task.h, and here only functions
 * that are never inlined and look once. */
#include "sched/worker.h"

#include "lane.h"

#include <errno.h>

static weft__lane stranger = {.attention_ = WEFT__HUNGRY};

/* clang-format off */
extern _Thread_local weft__lane *weft__self
    __attribute__((visibility("default"), tls_model("initial-exec")));
/* clang-format on */
_Thread_local weft__lane *weft__self = &stranger;

/* What belongs to a thread that is no worker. */
static _Thread_local struct plain {
    weft__lane lane;
    struct weft_scope *scope; /* that it is in */
    void *local;              /* weft__local_get() */
    weft__stock stock;        /* small blocks that it keeps */
    weft__mood mood;          /* what it had better do the next time it waits: look.c */
    int is_in_region;         /* it stands on a fiber */
} plain __attribute__((tls_model("initial-exec")));

WEFT__NOINLINE weft__lane *weft__lane_get(void)
{
    return weft__self;
}

WEFT__HOT WEFT__NOINLINE void weft__worker_bind_thread(weft__worker *worker)
{
    weft__store_relaxed(&worker->errno_at, &errno); /* relaxed: for handlers of signals */
    weft__self = &worker->lane;
}

WEFT__HOT WEFT__NOINLINE void weft__worker_unbind_thread(void)
{
    weft__self = &plain.lane;
}

WEFT__HOT WEFT__NOINLINE struct weft_scope *weft__thread_scope(void)
{
    return plain.scope;
}

WEFT__NOINLINE void weft__thread_set_scope(struct weft_scope *scope)
{
    plain.scope = scope;
}

WEFT__HOT WEFT__NOINLINE void *weft__local_get(void)
{
    weft__worker *worker = weft__self->worker_;
    return worker != NULL ? worker->current->local : plain.local;
}

WEFT__HOT WEFT__NOINLINE void weft__local_set(void *value)
{
    weft__worker *worker = weft__self->worker_;
    if (worker != NULL)
        worker->current->local = value;
    else
        plain.local = value;
}

WEFT__HOT WEFT__NOINLINE void *weft__local_swap(void *value)
{
    weft__worker *worker = weft__self->worker_;
    void **place = worker != NULL ? &worker->current->local : &plain.local;
    void *before = *place;
    *place = value;
    return before;
}

WEFT__HOT WEFT__NOINLINE weft__stock *weft__thread_stock(void)
{
    return &plain.stock;
}

WEFT__HOT WEFT__NOINLINE void weft__thread_set_mood(weft__mood mood)
{
    plain.mood = mood;
}

WEFT__HOT WEFT__NOINLINE weft__mood weft__thread_mood(void)
{
    return plain.mood;
}

WEFT__NOINLINE void weft__thread_set_in_region(int is_in_region)
{
    plain.is_in_region = is_in_region;
}

WEFT__HOT WEFT__NOINLINE int weft__thread_is_in_region(void)
{
    return plain.is_in_region;
}
