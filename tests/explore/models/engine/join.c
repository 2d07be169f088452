/* SPDX-License-Identifier: BSD-2-Clause */
/* join.c — models of core/sched/join.h and of waiting and waking in park.c: who touches the task
 * last, and does a plain thread that sleeps wake up? Task and waiter are released as soon as the
 * waiter returns. */
#include "common/workers.h"

static job *task;

static void prepare_job(unsigned worker_count)
{
    workers_prepare(worker_count);
    task = explore_alloc(sizeof *task);
    task->runs = 0;
    task->head.prev_ = NULL;
    task->head.state_ = (uintptr_t)&job_type;
}

static void prepare_thread(void)
{
    prepare_job(1);
}

static void prepare_fiber(void)
{
    prepare_job(2);
}

static int register_join(weft__waiter *waiter, void *arg)
{
    return weft__join_register(arg, waiter);
}

static void finisher(void)
{
    workers_run(&task->head);
}

/* A finisher outside the runtime, or of another one, wakes through the injector. */
static void foreign_finisher(void)
{
    weft__join_type(&task->head)->run(&task->head);
    weft__waiter *waiter = weft__join_finish(&task->head);
    if (waiter != NULL)
        weft__wake(waiter);
}

static void waiter(void)
{
    weft__waiter *mine = explore_alloc(sizeof *mine);
    weft__wait(mine, register_join, &task->head);
    explore_check(task->runs == 1);
    explore_free(mine);
    explore_free(task);
}

/* Runs whatever comes in from outside, until the waiter's fiber has come. */
static void loop(void)
{
    weft__link *entry;
    while ((entry = weft__injector_take_all(&workers_runtime.injector)) == NULL) {
        if (weft__load_acquire(&workers_runtime.stopping))
            return;
        weft__relax();
    }
    workers_run((weft_task *)(void *)entry);
}

/* Ends like stop_threads() and free_runtime(): the plain stores stand for the release of memory. */
static void waiter_then_stop(void)
{
    waiter();
    weft__store_release(&workers_runtime.stopping, 1);
    while (weft__load_acquire(&workers_runtime.wakers) > 0)
        weft__relax();
    workers_runtime.searching = 0;
    workers_runtime.sleepers = 0;
}

/* The finisher is a worker, the waiter a plain thread, which may also wake for no reason. */
EXPLORE_MODEL(join_thread) = {.name = "join.thread",
                              .prepare = prepare_thread,
                              .threads = {finisher, waiter},
                              .finish = workers_finish,
                              .preemptions = 5,
                              .stale = 4,
                              .spurious = 1};

/* Both are workers: the finisher goes on with the waiter's fiber. */
EXPLORE_MODEL(join_fiber) = {.name = "join.fiber",
                             .prepare = prepare_fiber,
                             .threads = {finisher, waiter},
                             .finish = workers_finish,
                             .preemptions = 5,
                             .stale = 4};

/* The finisher is foreign, and a second worker takes the fiber out of the injector. */
EXPLORE_MODEL(join_foreign) = {.name = "join.foreign",
                               .prepare = prepare_fiber,
                               .threads = {waiter_then_stop, loop, foreign_finisher},
                               .finish = workers_finish,
                               .preemptions = 2,
                               .stale = 2};
