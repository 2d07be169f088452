/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.c — models of what core/sched/idle.c does for deadlines and files: while workers sleep, one
 * of them wakes for these. If none does, a fiber waits for ever: a deadlock.
 *
 * A sleep with a deadline ends as soon as nobody else can do anything before, one without never. So
 * a worker that sleeps too long is one that has not heard of the deadline. */
#include "common/reactor.h"
#include "common/runtime.h"

#include <weft/fiber.h>

static uint32_t is_done; /* the fiber has gone on */
static uint32_t unfinished;

static void thread_0(void)
{
    runtime_thread(0);
}

static void thread_1(void)
{
    runtime_thread(1);
}

static void thread_2(void)
{
    runtime_thread(2);
}

static void end_task(void)
{
    if (weft__fetch_add_acq_rel(&unfinished, (uint32_t)-1) == 1)
        runtime_stop();
}

static void tell(void)
{
    weft__store_release(&is_done, 1);
    explore_park_wake(&is_done, 1);
    end_task();
}

/* Computes for long without answering anybody: until the fiber has gone on. */
static void run_busy(weft_task *task)
{
    (void)task;
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
    end_task();
}

static const weft_task_type busy_type = {.run = run_busy, .name = "busy"};

static weft_task *tasks[2];

static weft_task *make(unsigned slot, const weft_task_type *type)
{
    tasks[slot] = explore_alloc(sizeof *tasks[slot]);
    tasks[slot]->prev_ = NULL;
    tasks[slot]->state_ = (uintptr_t)type;
    unfinished++;
    return tasks[slot];
}

static void submit(unsigned slot, const weft_task_type *type)
{
    weft__injector_push(&runtime->injector, (weft__link *)(void *)make(slot, type));
}

/* What this worker will do next; nobody is told. */
static void become_busy(void)
{
    weft__worker_push(weft__worker_self(), make(1, &busy_type));
}

static void prepare(unsigned workers, const weft_task_type *first)
{
    runtime_prepare(workers);
    is_done = unfinished = 0;
    tasks[1] = NULL;
    submit(0, first);
}

static void finish(void)
{
    explore_check(unfinished == 0);
    explore_free(tasks[0]);
    explore_free(tasks[1]);
    runtime_finish();
}

/* ---- deadlines ------------------------------------------------------------------------------- */

/* One fiber sleeps, and all workers with it. */
static void run_sleeper(weft_task *task)
{
    (void)task;
    explore_check(weft_sleep(WEFT_MSEC) == 0);
    tell();
}

/* The worker on which it parks becomes busy: another has to see to it. */
static void run_busy_sleeper(weft_task *task)
{
    become_busy();
    run_sleeper(task);
}

static const weft_task_type sleeper_type = {.run = run_sleeper, .name = "sleeper"};
static const weft_task_type busy_sleeper_type = {.run = run_busy_sleeper, .name = "sleeper"};

static void prepare_alone(void)
{
    prepare(2, &sleeper_type);
}

static void prepare_busy(void)
{
    prepare(2, &busy_sleeper_type);
}

static void prepare_three(void)
{
    prepare(3, &busy_sleeper_type);
}

EXPLORE_MODEL(watch_alone) = {
    .name = "watch.alone",
    .prepare = prepare_alone,
    .threads = {thread_0, thread_1},
    .finish = finish,
    .preemptions = 1,
};

EXPLORE_MODEL(watch_busy) = {
    .name = "watch.busy",
    .prepare = prepare_busy,
    .threads = {thread_0, thread_1},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(watch_three) = {
    .name = "watch.three",
    .prepare = prepare_three,
    .threads = {thread_0, thread_1, thread_2},
    .finish = finish,
    .preemptions = 0,
};

/* The deadline passes when it is the turn of work from outside, which goes first. */
static void run_turn(weft_task *task)
{
    (void)task;
    weft__worker_self()->tick = 61 * 8 - 1;
    submit(1, &busy_type);
    while (weft_now() < 5 * WEFT_MSEC)
        continue; /* the sleep will be over at the next look */
    explore_check(weft_sleep(WEFT_MSEC) == 0);
    tell();
}

static const weft_task_type turn_type = {.run = run_turn, .name = "turn"};

static void prepare_turn(void)
{
    prepare(2, &turn_type);
}

EXPLORE_MODEL(watch_turn) = {
    .name = "watch.turn",
    .prepare = prepare_turn,
    .threads = {thread_0, thread_1},
    .finish = finish,
    .preemptions = 1,
};

/* ---- files ----------------------------------------------------------------------------------- */

static void run_reader(weft_task *task)
{
    (void)task;
    file_install(runtime);
    file_wait();
    tell();
}

static void run_busy_reader(weft_task *task)
{
    become_busy();
    run_reader(task);
}

static void run_teller(weft_task *task)
{
    (void)task;
    tell();
}

static const weft_task_type reader_type = {.run = run_reader, .name = "reader"};
static const weft_task_type busy_reader_type = {.run = run_busy_reader, .name = "reader"};
static const weft_task_type teller_type = {.run = run_teller, .name = "teller"};

static void prepare_file(void)
{
    file_prepare();
    prepare(1, &reader_type);
}

static void prepare_file_busy(void)
{
    file_prepare();
    prepare(2, &busy_reader_type);
}

/* The only worker sleeps in the reactor, and work comes from outside. */
static void prepare_kick(void)
{
    file_prepare();
    runtime_prepare(1);
    file_install(runtime);
    is_done = unfinished = 0;
    tasks[0] = tasks[1] = NULL;
}

static void submitter(void)
{
    submit(0, &teller_type);
    weft__runtime_notify(runtime, NULL);
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
}

EXPLORE_MODEL(watch_file) = {
    .name = "watch.file",
    .prepare = prepare_file,
    .threads = {thread_0, file_make_ready},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(watch_file_busy) = {
    .name = "watch.file-busy",
    .prepare = prepare_file_busy,
    .threads = {thread_0, thread_1, file_make_ready},
    .finish = finish,
    .preemptions = 1,
};

EXPLORE_MODEL(watch_kick) = {
    .name = "watch.kick",
    .prepare = prepare_kick,
    .threads = {thread_0, submitter},
    .finish = finish,
    .preemptions = 2,
    .stale = 2,
};
