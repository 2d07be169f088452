/* SPDX-License-Identifier: BSD-2-Clause */
/* loop.c — what a fiber does when it has nothing else to do.
 *
 * A worker always stands on some fiber whose lowest frame is this loop. Whatever it picks up is
 * first a plain call from here. If that call blocks, the fiber becomes the call's own, and the
 * worker goes on in the same loop on another fiber. A fiber costs nothing until something waits,
 * and whatever waits has only its own frames above the loop.
 *
 * A worker that resumes a fiber leaves its own, now empty, behind for the next one that blocks.
 * When a fiber blocks and another one is next, the switch goes straight there, past the loop. */
#include "sched/worker.h"

#include "debug/check.h"
#include "fiber/local.h"
#include "hooks.h"

#include <time.h>

#define CACHE_MAX 64
#define FIBER_PATIENCE_NS (10 * WEFT_SEC)

const weft_task_type weft__fiber_type = {.run = NULL, .name = "fiber", .file = __FILE__};

WEFT__HOT void weft__worker_keep_fiber(weft__worker *worker, weft__fiber *fiber)
{
    if (worker->cache_count >= CACHE_MAX) {
        weft__fiber_pool_put(&worker->runtime->fibers, fiber);
        return;
    }
    fiber->next = worker->cache;
    worker->cache = fiber;
    weft__store_relaxed(&worker->cache_count, worker->cache_count + 1); /* relaxed: a statistic */
}

WEFT__HOT weft__fiber *weft__worker_fiber(weft__worker *worker)
{
    weft__fiber *fiber = worker->cache;
    if (fiber == NULL)
        return weft__fiber_pool_get(&worker->runtime->fibers);
    worker->cache = fiber->next;
    weft__store_relaxed(&worker->cache_count, worker->cache_count - 1); /* relaxed: a statistic */
    return fiber;
}

/* The fiber that the worker stood on before has left something to do. Most often it waits: let its
 * waker know of it. If it need not wait after all, nobody else makes it ready, and its waiter is
 * still there. */
WEFT__INLINE void settle(weft__worker *worker)
{
    weft__waiter *waiter = worker->left.waiter;
    if (worker->left.commit != NULL && !weft__commit_left(&worker->left))
        weft__fiber_ready(waiter->fiber);
}

WEFT__FUSED weft__worker *weft__fiber_landed(void)
{
    weft__worker *worker = weft__worker_self();
    settle(worker);
    if (WEFT__UNLIKELY(worker->unwatched))
        weft__worker_see_watched(worker);
    return worker;
}

WEFT__FUSED void weft__worker_switch(weft__worker *worker, weft__fiber *next)
{
    weft__fiber *from = worker->current;
    weft__store_relaxed(&worker->current, next); /* relaxed: dumps look at any time */
    weft__fiber_switch(from, next);
}

/* A fiber to stand on while this one waits. Without memory there is nothing better to do than to
 * hope for some: other fibers end and give theirs back. */
static weft__fiber *fiber_for_parking(weft__worker *worker)
{
    weft__fiber *fiber = weft__worker_fiber(worker);
    int64_t deadline = fiber == NULL ? weft_in(FIBER_PATIENCE_NS) : 0;
    while (fiber == NULL) {
        if (weft_now() > deadline)
            WEFT__PANIC("no memory for another fiber, and none became free in 10 s: a task that "
                        "waits needs a stack");
        (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        fiber = weft__worker_fiber(worker);
    }
    return fiber;
}

static WEFT__NOINLINE void await_left(const weft__fiber *fiber)
{
    /* edge wait.left (acquire): as below */
    for (unsigned round = 0; weft__load_acquire(&fiber->committing); round++)
        weft__pause(round);
}

/* Who is to go on may have been woken, or cancelled, in the middle of its own commit, which another
 * worker makes: a few instructions more. */
static weft__fiber *when_left(weft__fiber *fiber)
{
    /* edge wait.left (acquire): whoever made the commit is through with the fiber's frame */
    if (WEFT__UNLIKELY(weft__load_acquire(&fiber->committing)))
        await_left(fiber);
    return fiber;
}

/* By the loop, which moves fibers to other workers, and lets a guest leave. */
static WEFT__NOINLINE weft__fiber *choose_checked(weft__worker *worker, int is_yielding)
{
    weft__check_leaving(worker, worker->current);
    worker->is_yielding = is_yielding;
    return fiber_for_parking(worker);
}

/* Straight to the next fiber that is ready, if that is what comes next: one switch instead of two,
 * and the caller's return address is the one that the processor expects. */
WEFT__FUSED weft__fiber *weft__worker_choose(weft__worker *worker, int is_yielding)
{
    if (WEFT__UNLIKELY(worker->checks != 0))
        return choose_checked(worker, is_yielding);
    weft_task *item = weft__worker_hop(worker, is_yielding);
    /* relaxed: whatever made it an item came with it; a task whose word says otherwise is none */
    if (item != NULL && weft__load_relaxed(&item->state_) == (uintptr_t)&weft__fiber_type)
        return when_left((weft__fiber *)(void *)item);
    worker->handed = item;
    return fiber_for_parking(worker);
}

/* What resume() leaves to do: its fiber has nothing on it. */
WEFT__HOT static int keep_idle(weft__waiter *nobody, void *fiber)
{
    (void)nobody;
    weft__worker_keep_fiber(weft__worker_self(), fiber);
    return 1;
}

/* Continue a runnable fiber; the one this runs on goes into the cache, and returns from here when
 * it is wanted again: by a fiber that parks. */
WEFT__HOT static void resume(weft__worker *worker, weft__fiber *fiber)
{
    weft_assert(worker->lane.youngest_ == worker->newest);
    worker->left = (weft__left){.commit = keep_idle, .arg = worker->current};
    weft__worker_switch(worker, when_left(fiber));
    settle(weft__worker_self()); /* not `worker`: this may be another thread */
}

/* Run a task as a plain call. Returns a fiber that waited for it and can go on right here. */
WEFT__HOT static weft__fiber *run(weft__worker *worker, weft_task *task, const weft_task_type *type)
{
    weft__fiber *self = worker->current;
    WEFT__COUNT(worker, tasks_run, 1);
    weft__store_relaxed(&self->task, task); /* relaxed: this and the next two for dumps */
    weft__store_relaxed(&self->running, type);
    type->run(task);
    if (WEFT__UNLIKELY(self->locals != NULL))
        weft__locals_end(self->locals);
    weft__store_relaxed(&self->running, NULL);
    worker = weft__worker_still();
    weft__waiter *waiter = type->is_consumed_ ? NULL : weft__join_finish(task);
    if (waiter == NULL)
        return NULL;
    weft__fiber *fiber = waiter->fiber;
    if (fiber != NULL && fiber->runtime == worker->runtime)
        return fiber;
    weft__wake(waiter);
    return NULL;
}

/* The fiber to go on with after `item`, or NULL. */
WEFT__HOT static weft__fiber *execute(weft__worker *worker, weft_task *item)
{
    const weft_task_type *type = weft__join_type(item);
    if (type == &weft__fiber_type)
        return (weft__fiber *)(void *)item;
    return run(worker, item, type);
}

WEFT__HOT weft__role weft__fiber_begin(const weft_site *site, const void *task)
{
    weft__role before = {NULL, NULL, NULL};
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        return before;
    weft__fiber *fiber = worker->current;
    before = (weft__role){fiber->running, fiber->task, fiber->site};
    weft__fiber_plays(fiber, &(weft__role){site->type, task, site});
    return before;
}

WEFT__HOT void weft__fiber_end(const weft__role *before)
{
    weft__worker *worker = weft__worker_self();
    if (worker != NULL)
        weft__fiber_plays(worker->current, before);
}

WEFT__HOT void weft__fiber_main(void)
{
    weft__fiber_arrived();
    settle(weft__worker_self());
    weft__fiber *ready = NULL;
    for (;;) {
        weft__worker *worker = weft__worker_self();
        weft__worker_publish(worker); /* an item may have stayed in the lane for want of memory */
        if (WEFT__UNLIKELY(worker->guest != NULL)) {
            weft_task *own = weft__guest_item(worker);
            if (own != NULL) {
                ready = execute(worker, own);
                continue;
            }
            ready = weft__guest_leaves(worker, ready);
        }
        if (ready != NULL && WEFT__UNLIKELY(worker->checks != 0) &&
            weft__check_migrate(worker, ready))
            ready = NULL;
        if (ready != NULL) {
            resume(worker, ready);
            ready = NULL;
            continue;
        }
        weft_task *item = weft__worker_next(worker);
        if (item == NULL)
            weft__worker_switch(worker,
                                &worker->thread->native); /* the runtime stops: never to return */
        else
            ready = execute(worker, item);
    }
}
