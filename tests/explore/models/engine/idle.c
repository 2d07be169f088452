/* SPDX-License-Identifier: BSD-2-Clause */
/* idle.c — models of core/sched/idle.c: a worker that finds nothing falls asleep, while work comes
 * from outside, in a worker's private list, or in a worker's deque. If nobody wakes it, whoever
 * waits for the work does so for ever: a deadlock. Patience is zero: a worker looks twice. */
#include "common/workers.h"

static job *task;
static uint32_t is_done; /* what the poster of the work sleeps on */

static void run_and_tell(weft_task *item)
{
    ((job *)(void *)item)->runs++;
    weft__store_release(&is_done, 1);
    explore_park_wake(&is_done, 1);
}

static const weft_task_type telling_type = {.run = run_and_tell, .name = "telling"};

static void prepare_task(unsigned worker_count)
{
    workers_prepare(worker_count);
    is_done = 0;
    task = explore_alloc(sizeof *task);
    task->runs = 0;
    task->head.prev_ = NULL;
    task->head.state_ = (uintptr_t)&telling_type;
}

static void prepare_one(void)
{
    prepare_task(1);
}

static void prepare_two(void)
{
    prepare_task(2);
}

static void prepare_three(void)
{
    prepare_task(3);
}

/* Without membarrier() nobody raids, and all lanes stay hungry. */
static void prepare_without_raids(void)
{
    prepare_task(2);
    workers_runtime.can_raid = 0;
    workers_runtime.rest = WEFT__HUNGRY;
    workers[0].lane.attention_ = WEFT__HUNGRY;
    workers[1].lane.attention_ = WEFT__HUNGRY;
}

static void finish(void)
{
    explore_check(task->runs == 1);
    explore_check(workers_runtime.sleepers == 0);
    explore_free(task);
    workers_finish();
}

/* As stop_threads() in core/sched/runtime.c: announce the end, then wake whoever sleeps. */
static void stop(void)
{
    weft__store_seq_cst(&workers_runtime.stopping, 1);
    weft__runtime_wake_all(&workers_runtime);
}

static void wait_for_task(void)
{
    while (weft__load_acquire(&is_done) == 0)
        explore_park_wait(&is_done, 0);
}

/* A worker's loop. */
static void worker(void)
{
    weft_task *item;
    while ((item = weft__worker_next(weft__worker_self())) != NULL)
        workers_run(item);
}

/* Work from outside, as weft_runtime_run() hands it in. */
static void submitter(void)
{
    weft__injector_push(&workers_runtime.injector, (weft__link *)(void *)&task->head);
    weft__runtime_notify(&workers_runtime, NULL);
    wait_for_task();
    stop();
}

EXPLORE_MODEL(idle_submit) = {.name = "idle.submit",
                              .prepare = prepare_one,
                              .threads = {worker, submitter},
                              .finish = finish,
                              .preemptions = 3,
                              .stale = 2};

/* A worker spawns, then computes for long without answering anybody: here, until somebody else has
 * run the task. */
static void spawner(void)
{
    weft__spawn(&task->head, &telling_type);
    wait_for_task();
    explore_check(weft__join(&task->head) != 0);
    stop();
}

EXPLORE_MODEL(idle_spawn) = {.name = "idle.spawn",
                             .prepare = prepare_two,
                             .threads = {spawner, worker},
                             .finish = finish,
                             .preemptions = 2,
                             .stale = 2};

/* A worker makes a fiber runnable, and does not get to it itself. */
static void pusher(void)
{
    weft__worker *self = weft__worker_self();
    weft__worker_push(self, &task->head);
    weft__runtime_notify(&workers_runtime, self);
    wait_for_task();
    stop();
}

EXPLORE_MODEL(idle_push) = {.name = "idle.push",
                            .prepare = prepare_two,
                            .threads = {pusher, worker},
                            .finish = finish,
                            .preemptions = 3,
                            .stale = 2};

/* The same, and at first nobody is told: it stays private. */
static void putter(void)
{
    weft__worker *self = weft__worker_self();
    weft__worker_put(self, &task->head);
    wait_for_task();
    explore_check(weft__worker_own(self) == NULL);
    stop();
}

EXPLORE_MODEL(idle_put) = {.name = "idle.put",
                           .prepare = prepare_two,
                           .threads = {putter, worker},
                           .finish = finish,
                           .preemptions = 3,
                           .stale = 2};

EXPLORE_MODEL(idle_no_raids_put) = {.name = "idle.no-raids-put",
                                    .prepare = prepare_without_raids,
                                    .threads = {putter, worker},
                                    .finish = finish,
                                    .preemptions = 2,
                                    .stale = 2};

EXPLORE_MODEL(idle_no_raids) = {.name = "idle.no-raids",
                                .prepare = prepare_without_raids,
                                .threads = {pusher, worker},
                                .finish = finish,
                                .preemptions = 3,
                                .stale = 2};

EXPLORE_MODEL(idle_no_raids_spawn) = {.name = "idle.no-raids-spawn",
                                      .prepare = prepare_without_raids,
                                      .threads = {spawner, worker},
                                      .finish = finish,
                                      .preemptions = 2,
                                      .stale = 2};

/* One of two workers gets what comes from outside, and spawns; the other one is asleep, or about to
 * be, and takes the first for asleep, too, or does not. */
static job *opener;

static void run_and_spawn(weft_task *item)
{
    (void)item;
    spawner();
}

static const weft_task_type spawning_type = {.run = run_and_spawn, .name = "spawning"};

static void prepare_opener(void)
{
    prepare_task(2);
    opener = explore_alloc(sizeof *opener);
    opener->head.state_ = (uintptr_t)&spawning_type;
}

static void finish_opener(void)
{
    explore_free(opener);
    finish();
}

static void open_and_leave(void)
{
    weft__injector_push(&workers_runtime.injector, (weft__link *)(void *)&opener->head);
    weft__runtime_notify(&workers_runtime, NULL);
}

EXPLORE_MODEL(idle_alone) = {.name = "idle.alone",
                             .prepare = prepare_opener,
                             .threads = {worker, worker, open_and_leave},
                             .finish = finish_opener,
                             .preemptions = 1,
                             .stale = 1};

/* Spawns after a region that has calmed the lane down: hunger must have survived it. */
static void spawner_again(void)
{
    job *first = job_spawn();
    job_join(first);
    spawner();
}

EXPLORE_MODEL(idle_again) = {.name = "idle.again",
                             .prepare = prepare_two,
                             .threads = {spawner_again, worker},
                             .finish = finish,
                             .preemptions = 2,
                             .stale = 1};

/* Two that fall asleep. */
EXPLORE_MODEL(idle_two) = {.name = "idle.two",
                           .prepare = prepare_three,
                           .threads = {spawner, worker, worker},
                           .finish = finish,
                           .preemptions = 0,
                           .stale = 1};
