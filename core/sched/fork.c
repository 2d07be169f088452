/* SPDX-License-Identifier: BSD-2-Clause */
/* fork.c — a defined state for the child of a process that has workers.
 *
 * The child has one thread, the one that called fork(). If that was a worker it becomes a plain
 * thread on the spot, still standing on its fiber's stack: what it had spawned and kept private it
 * can join, as a plain thread does. What it had handed to others is lost, and so are the runtimes:
 * using one answers -ECHILD. Nothing is locked or woken here, since anything may have been held. */
#include "sched/worker.h"

#include "debug/hang.h"
#include "debug/registry.h"
#include "hooks.h"
#include "io/ferry.h"
#include "lane.h"

#include <pthread.h>

static uint64_t fork_count;

uint32_t weft__newcomers;

/* Only what the fiber has spawned can it join. */
static void drop_newest(weft__worker *worker)
{
    weft_task **link = &worker->lane.youngest_;
    while (*link != NULL && *link != worker->newest)
        link = &(*link)->prev_;
    *link = NULL;
}

static void in_child(void)
{
    fork_count++;
    weft__store_relaxed(&weft__newcomers, 0); /* relaxed: the child's only thread is none */
    weft__registry_forked();
    weft__hang_forked();
    weft__ferry_forked();
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        return;
    /* Cut off what a raider had taken. The thread that is BUSY in its own lane cannot fork. */
    if (weft__lane_enter(&worker->lane, NULL))
        WEFT__PANIC("unreachable: nothing was popped");
    drop_newest(worker);
    worker->lane.worker_ = NULL;
    weft__lane_leave(&worker->lane, WEFT__CALM);
    worker->runtime->is_stood_on = 1;
}

static void register_once(void)
{
    /* Fails only without memory; then a forked child is merely less polite. */
    (void)pthread_atfork(NULL, NULL, in_child);
}

WEFT__HOT void weft__fork_register(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, register_once);
}

WEFT__HOT uint64_t weft__fork_count(void)
{
    return fork_count;
}
