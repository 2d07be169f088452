/* SPDX-License-Identifier: BSD-2-Clause */
/* spawn.c — what spawn and join do when the fast path in task.h does not suffice.
 *
 * In a worker: answer whoever asked for work; join a task that is no longer private. In a plain
 * thread: there is nobody to share with, so a spawned task waits in the thread's own list until its
 * join, or until the join of an older one.
 *
 * A join never runs anything but its own task on the caller's stack: the caller may hold a lock
 * that a stranger wants. It takes its task back if that lies on top of the worker's deque, and
 * suspends otherwise. (A plain thread has no other stack: joining out of order it runs its own
 * newer tasks.) */
#include "sched/worker.h"

#include "batch.h"
#include "debug/check.h"
#include "hooks.h"
#include "lane.h"

weft__worker *weft__worker_still(void)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        WEFT__PANIC("a forked child returned from the task that called fork(); it must end with "
                    "_exit() or exec");
    return worker;
}

void weft__worker_calm(weft__worker *worker, size_t published)
{
    weft_runtime *runtime = worker->runtime;
    weft__lane_leave(&worker->lane, runtime->rest);
    WEFT__COUNT(worker, published, published);
    if (published > 0)
        weft__runtime_offer(runtime);
    /* edge idle.hunger (seq_cst): a sleeper announces itself, then asks; we calm down, then look
     * for sleepers. One of the two sees the other, so no sleeper is forgotten. What was published
     * makes somebody search; with nothing to publish we stay hungry until there is. */
    if (weft__load_seq_cst(&runtime->sleepers) > 0) {
        if (published > 0)
            weft__runtime_notify(runtime, worker);
        /* edge idle.sleepers (seq_cst): they may be fewer than none for a moment */
        else if ((int32_t)weft__load_seq_cst(&runtime->searching) <= 0)
            (void)weft__lane_ask(&worker->lane);
    }
}

int weft__worker_attend(weft__worker *worker, const weft_task *popped)
{
    int lost = weft__lane_enter(&worker->lane, popped);
    worker->newest = NULL; /* published, or taken; or a task like others, for want of memory */
    weft__worker_calm(worker, weft__lane_publish(&worker->lane, &worker->deque));
    return lost;
}

/* A thread's first spawn found the strangers' lane: give the thread its own. */
static void plain_spawn(weft_task *task)
{
    weft__worker_unbind_thread();
    weft__lane *lane = weft__lane_get();
    task->prev_ = lane->youngest_;
    lane->youngest_ = task;
}

void weft__spawn_slow(weft_task *task)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        plain_spawn(task);
    else
        (void)weft__worker_attend(worker, NULL);
}

/* A plain thread has nobody to hand a task to: it runs here, before its own join. */
static void run_in_place(weft_task *task)
{
    weft__join_type(task)->run(task);
    (void)weft__join_finish(task);
}

static int plain_join(weft_task *task)
{
    weft__lane *lane = weft__lane_get();
    while (lane->youngest_ != NULL && !weft__join_is_done(task)) {
        weft_task *youngest = lane->youngest_;
        lane->youngest_ = youngest->prev_;
        if (youngest == task)
            return 0;
        run_in_place(youngest);
    }
    if (!weft__join_is_done(task))
        WEFT__PANIC("join of a task that this thread did not spawn, or has joined already, or that "
                    "fork() left behind with a worker of the parent process");
    return 1;
}

static int register_join(weft__waiter *waiter, void *task)
{
    weft__waits_for(waiter, WEFT_REASON_JOIN, task);
    return weft__join_register(task, waiter);
}

/* The task is no longer private to this worker: it is in some deque, or running, or done. */
static int join_in_worker(weft__worker *worker, weft_task *task)
{
    if (weft__join_is_done(task))
        return 1;
    if (weft__deque_peek(&worker->deque) == task && weft_deque_take(&worker->deque) == task)
        return 0;
    weft__waiter waiter;
    weft__wait(&waiter, register_join, task);
    weft_assert(weft__join_is_done(task));
    return 1;
}

/* WEFT_CHECK=join: whoever has joined a task says so in it. */
static WEFT__NOINLINE int join_once(weft__worker *worker, weft_task *task)
{
    /* relaxed: stored below, by the one who joins */
    if (weft__load_relaxed(&task->state_) == WEFT__JOINED)
        WEFT__PANIC("weft_join: the task has been joined already");
    int is_done = join_in_worker(worker, task);
    weft__store_relaxed(&task->state_, WEFT__JOINED); /* relaxed: nobody else has the task now */
    return is_done;
}

int weft__join_public(weft_task *task)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        return plain_join(task);
    if (WEFT__UNLIKELY((worker->checks & WEFT__CHECK_JOIN) != 0))
        return join_once(worker, task);
    return join_in_worker(worker, task);
}

/* The task is off the list already, and somebody wants attention. */
int weft__join_popped(weft_task *task)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL) /* the strangers' lane: only a thread that never spawned can be here */
        return plain_join(task);
    return weft__worker_attend(worker, task) ? weft__join_public(task) : 0;
}
