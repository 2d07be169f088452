/* SPDX-License-Identifier: BSD-2-Clause */
/* duty.c — models of core/sched/idle.c in which several sleep: who wakes for a deadline or a file,
 * and who looks after what is left. If nobody does, a fiber waits for ever: a deadlock. Most are
 * without raids, because the membarrier() of a last look orders a lot.
 *
 * The fiber that waits takes worker 0 with it, as if that one were inside a long task. */
#include "common/reactor.h"
#include "common/workers.h"

#include <errno.h>

#define SOON (4 * WEFT_MSEC)

static uint32_t has_begun, is_done;
static weft_task first, second; /* the first, once begun, keeps its worker until all is done */
static weft__worker elsewhere;

static void set(uint32_t *flag)
{
    weft__store_release(flag, 1);
    explore_park_wake(flag, EXPLORE_THREADS_MAX);
}

static void run_first(weft_task *task)
{
    (void)task;
    weft__store_relaxed(&has_begun, 1);
    explore_park_wake(&has_begun, 1);
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
}

static void run_second(weft_task *task)
{
    (void)task;
    set(&is_done);
}

static const weft_task_type first_type = {.run = run_first, .name = "first"};
static const weft_task_type second_type = {.run = run_second, .name = "second"};

static void prepare(unsigned worker_count)
{
    workers_prepare(worker_count);
    file_prepare();
    has_begun = is_done = 0;
    first = (weft_task){.state_ = (uintptr_t)&first_type};
    second = (weft_task){.state_ = (uintptr_t)&second_type};
    if (explore_argument() == 0)
        return;
    workers_runtime.can_raid = 0;
    workers_runtime.rest = WEFT__HUNGRY;
    for (unsigned i = 0; i < worker_count; i++)
        workers[i].lane.attention_ = WEFT__HUNGRY;
}

static void prepare_two(void)
{
    prepare(2);
}

static void prepare_three(void)
{
    prepare(3);
}

/* Somebody else watches: the only worker sleeps until it is woken. */
static void prepare_plain(void)
{
    prepare(1);
    workers_runtime.watcher = &elsewhere;
}

static void finish(void)
{
    explore_check(workers_runtime.sleepers == 0);
    explore_check(workers_runtime.watcher == NULL || workers_runtime.watcher == &elsewhere);
    workers_finish();
}

static void worker(void)
{
    weft_task *item;
    while ((item = weft__worker_next(weft__worker_self())) != NULL)
        workers_run(item);
}

/* As stop_threads() in core/sched/runtime.c. */
static void stop(void)
{
    weft__store_seq_cst(&workers_runtime.stopping, 1);
    weft__runtime_wake_all(&workers_runtime);
}

static void submit(weft_task *task)
{
    weft__injector_push(&workers_runtime.injector, (weft__link *)(void *)task);
    weft__runtime_notify(&workers_runtime, NULL);
}

/* Without raids; with and without. */
#define CALM(variable, title, ...)                                                                 \
    EXPLORE_MODEL(variable##_calm) = {                                                             \
        .name = "duty." title "-calm", .finish = finish, .argument = 1, __VA_ARGS__}
#define DUTY(variable, title, ...)                                                                 \
    EXPLORE_MODEL(variable) = {.name = "duty." title, .finish = finish, __VA_ARGS__};              \
    CALM(variable, title, __VA_ARGS__)

/* ---- work ------------------------------------------------------------------------------------ */

static void submitter(void)
{
    submit(&second);
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
    stop();
}

EXPLORE_MODEL(duty_plain) = {.name = "duty.plain",
                             .prepare = prepare_plain,
                             .threads = {worker, submitter},
                             .finish = finish,
                             .preemptions = 3,
                             .stale = 2};

/* The second task comes when somebody has the first. Nothing but work tells of that. */
static void pusher(void)
{
    weft__worker *self = weft__worker_self();
    weft__worker_push(self, &first);
    weft__runtime_notify(&workers_runtime, self);
    while (!weft__load_relaxed(&has_begun))
        explore_park_wait(&has_begun, 0);
    weft__worker_push(self, &second);
    weft__runtime_notify(&workers_runtime, self);
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
    stop();
}

DUTY(duty_work, "work", .prepare = prepare_three, .threads = {pusher, worker, worker},
     .preemptions = 0, .stale = 1);

/* Both at once: whoever finds the first must see to the second. */
static void pusher_of_both(void)
{
    weft__worker *self = weft__worker_self();
    weft__worker_push(self, &first);
    weft__runtime_notify(&workers_runtime, self);
    weft__worker_push(self, &second);
    weft__runtime_notify(&workers_runtime, self);
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
    stop();
}

CALM(duty_both, "both", .prepare = prepare_three, .threads = {pusher_of_both, worker, worker},
     .preemptions = 1, .stale = 0);

/* ---- deadlines ------------------------------------------------------------------------------- */

static int commit_nowhere(weft__waiter *waiter, void *arg)
{
    (void)waiter;
    (void)arg;
    return 1;
}

static void sleep_until_soon(void)
{
    weft__waiter waiter;
    explore_check(weft__wait_until(&waiter, commit_nowhere, NULL, SOON) == -ETIMEDOUT);
}

static void sleeper(void)
{
    sleep_until_soon();
    set(&is_done);
    stop();
}

static void submitter_of_first(void)
{
    submit(&first);
}

DUTY(duty_deadline, "deadline", .prepare = prepare_two, .threads = {sleeper, worker},
     .preemptions = 2, .stale = 1);
DUTY(duty_deadlines, "deadline-three", .prepare = prepare_three,
     .threads = {sleeper, worker, worker}, .preemptions = 0, .stale = 1);

/* The watcher is woken for work that takes long. */
CALM(duty_deadline_work, "deadline-work", .prepare = prepare_three,
     .threads = {sleeper, worker, worker, submitter_of_first}, .preemptions = 0, .stale = 1);

/* ---- files ----------------------------------------------------------------------------------- */

static void reader(void)
{
    file_install(&workers_runtime);
    file_wait();
    set(&is_done);
    stop();
}

static void submitter_then_ready(void)
{
    submit(&first);
    file_make_ready();
}

DUTY(duty_file, "file", .prepare = prepare_two, .threads = {reader, worker, file_make_ready},
     .preemptions = 1, .stale = 1);
CALM(duty_files, "file-three", .prepare = prepare_three,
     .threads = {reader, worker, worker, file_make_ready}, .preemptions = 0, .stale = 1);
CALM(duty_file_work, "file-work", .prepare = prepare_three,
     .threads = {reader, worker, worker, submitter_then_ready}, .preemptions = 0, .stale = 1);

/* A reactor comes while a worker falls asleep, and work from a thread that has not heard of it. */
static void installer(void)
{
    file_install(&workers_runtime);
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
}

DUTY(duty_kick, "kick", .prepare = prepare_two, .threads = {installer, worker, submitter},
     .preemptions = 1, .stale = 1);
