/* SPDX-License-Identifier: BSD-2-Clause */
/* standin.c — models of core/sched/standin.c: a plain thread plays the worker that it has called,
 * whose own thread gets up meanwhile, or has long done so; and others call, steal, sleep, watch and
 * stop as usual. If nobody sees to what that worker would have seen to, somebody waits for ever. */
#include "common/reactor.h"
#include "common/runtime.h"
#include "models/runtime/letter.h"

#include <weft/fiber.h>

static uint32_t is_done; /* what somebody waits for has happened */
static unsigned runs;

static void thread_0(void)
{
    runtime_thread(0);
}

static void thread_1(void)
{
    runtime_thread(1);
}

static void prepare(unsigned workers)
{
    runtime_prepare(workers);
    is_done = 0;
    runs = 0;
}

static void prepare_one(void)
{
    prepare(1);
}

static void prepare_two(void)
{
    prepare(2);
}

static void tell(void)
{
    weft__store_release(&is_done, 1);
    explore_park_wake(&is_done, 1);
}

static void await_tale(void)
{
    while (!weft__load_acquire(&is_done))
        explore_park_wait(&is_done, 0);
}

/* Plays the part of whoever has called the worker, waits, and ends it all. */
static void run_and_destroy(int (*fn)(void *))
{
    int result = 0;
    explore_check(weft_runtime_run(runtime, fn, &runs, &result) == 0);
    explore_check(result == 42);
    await_tale();
    explore_check(weft_runtime_destroy(runtime) == 0);
}

/* ---- others' work ---------------------------------------------------------------------------- */

static weft_task *other;

static void run_other(weft_task *task)
{
    explore_check(task == other && weft__worker_self() != NULL);
    weft__worker_self()->tick++; /* its own */
    explore_free(task);
    tell();
}

static const weft_task_type other_type = {.run = run_other, .name = "other", .is_consumed_ = 1};

static weft_task *make_other(void)
{
    other = explore_alloc(sizeof *other);
    other->prev_ = NULL;
    return other;
}

static void submit_other(void)
{
    weft__submit(runtime, make_other(), &other_type);
}

static int count_run(void *arg)
{
    explore_check(arg == &runs && runs == 0 && weft__worker_self() != NULL);
    weft__worker_self()->tick++;
    runs++;
    return 42;
}

static void run_beside_others(void)
{
    run_and_destroy(count_run);
}

EXPLORE_MODEL(standin_others) = {
    .name = "standin.others",
    .prepare = prepare_one,
    .threads = {run_beside_others, thread_0, submit_other},
    .preemptions = 1,
    .stale = 0,
};

EXPLORE_MODEL(standin_two) = {
    .name = "standin.two",
    .prepare = prepare_two,
    .threads = {run_beside_others, thread_0, thread_1, submit_other},
    .preemptions = 0,
    .stale = 0,
};

/* The one who waits submits the other himself, before. */
static void submit_both(void)
{
    submit_other();
    run_and_destroy(count_run);
}

EXPLORE_MODEL(standin_behind) = {
    .name = "standin.behind",
    .prepare = prepare_one,
    .threads = {submit_both, thread_0},
    .preemptions = 2,
    .stale = 1,
};

/* The one who waits has called the worker for something else, and knows no more of the task than
 * its address. */
static weft_task *known;
static weft_task *mine;
static uint32_t has_mine_run;

static void run_mine(weft_task *task)
{
    explore_free(task);
    weft__store_release(&has_mine_run, 1);
    explore_park_wake(&has_mine_run, 1);
}

static const weft_task_type mine_type = {.run = run_mine, .name = "mine", .is_consumed_ = 1};

static void prepare_strange(void)
{
    prepare(1);
    known = NULL;
    has_mine_run = 0;
    mine = explore_alloc(sizeof *mine);
}

static void submit_known(void)
{
    make_other();
    weft__store_relaxed(&known, other);
    weft__submit(runtime, other, &other_type);
}

static void stand_in_for_known(void)
{
    weft_task *task;
    weft__fetch_add_relaxed(&runtime->wakers, 1);
    weft__submit(runtime, mine, &mine_type);
    while ((task = weft__load_relaxed(&known)) == NULL)
        weft__relax();
    (void)weft__stand_in(runtime, task);
    weft__fetch_add_acq_rel(&runtime->wakers, (uint32_t)-1);
    await_tale();
    while (!weft__load_acquire(&has_mine_run))
        explore_park_wait(&has_mine_run, 0);
    explore_check(weft_runtime_destroy(runtime) == 0);
}

EXPLORE_MODEL(standin_strange) = {
    .name = "standin.strange",
    .prepare = prepare_strange,
    .threads = {stand_in_for_known, thread_0, submit_known},
    .preemptions = 0,
    .stale = 1,
};

/* What runs leaves something in its worker's list, and ends, or computes until that has run. */
static int leave_other(void *arg)
{
    weft__submit(runtime, make_other(), &other_type);
    return count_run(arg);
}

static int leave_other_and_compute(void *arg)
{
    weft__submit(runtime, make_other(), &other_type);
    await_tale();
    return count_run(arg);
}

static void run_and_leave(void)
{
    run_and_destroy(leave_other);
}

static void run_and_compute(void)
{
    run_and_destroy(leave_other_and_compute);
}

EXPLORE_MODEL(standin_left) = {
    .name = "standin.left",
    .prepare = prepare_one,
    .threads = {run_and_leave, thread_0},
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(standin_busy) = {
    .name = "standin.busy",
    .prepare = prepare_two,
    .threads = {run_and_compute, thread_0, thread_1},
    .preemptions = 0,
    .stale = 0,
};

/* ---- fibers that wait ------------------------------------------------------------------------ */

static void run_reader(weft_task *task)
{
    await_letter();
    run_other(task);
}

static const weft_task_type reader_type = {.run = run_reader, .name = "reader", .is_consumed_ = 1};

static int hand_over(void *arg)
{
    weft__waiter *waiter = post_letter();
    if (waiter != NULL)
        weft__hand_over(waiter);
    return count_run(arg);
}

static void prepare_reader(void)
{
    prepare(1);
    box = 0;
    make_other()->state_ = (uintptr_t)&reader_type;
    weft__injector_push(&runtime->injector, (weft__link *)(void *)other);
}

static void run_and_hand_over(void)
{
    run_and_destroy(hand_over);
}

EXPLORE_MODEL(standin_hand_over) = {
    .name = "standin.hand-over",
    .prepare = prepare_reader,
    .threads = {run_and_hand_over, thread_0},
    .preemptions = 2,
    .stale = 1,
};

/* What runs waits itself, and goes on elsewhere. */
static int wait_for_letter(void *arg)
{
    await_letter();
    tell();
    return count_run(arg);
}

static void write_letter(void)
{
    weft__waiter *waiter = post_letter();
    if (waiter != NULL)
        weft__wake(waiter);
}

static void prepare_letter(void)
{
    prepare(1);
    box = 0;
}

static void run_and_wait(void)
{
    run_and_destroy(wait_for_letter);
}

EXPLORE_MODEL(standin_wait) = {
    .name = "standin.wait",
    .prepare = prepare_letter,
    .threads = {run_and_wait, thread_0, write_letter},
    .preemptions = 1,
    .stale = 1,
};

/* It begins a region that blocks until its worker has done something else. */
static int block(void *arg)
{
    weft__submit(runtime, make_other(), &other_type);
    weft_blocking_region region = weft__blocking_enter();
    explore_check(weft__worker_self() == NULL);
    await_tale();
    weft__blocking_leave(&region);
    explore_check(weft__worker_self() != NULL);
    return count_run(arg);
}

static void run_and_block(void)
{
    run_and_destroy(block);
    runtime_never();
}

EXPLORE_MODEL(standin_region) = {
    .name = "standin.region",
    .prepare = prepare_one,
    .threads = {run_and_block, thread_0, thread_1},
    .preemptions = 1,
    .stale = 0,
};

/* ---- deadlines and files --------------------------------------------------------------------- */

/* The worker that is called is the one that watches, and what runs in its stead computes until the
 * deadline, or the file, has come. */
static void run_sleeper(weft_task *task)
{
    explore_check(weft_sleep(WEFT_MSEC) == 0);
    run_other(task);
}

static void run_file_reader(weft_task *task)
{
    file_install(runtime);
    file_wait();
    run_other(task);
}

static const weft_task_type sleeper_type = {
    .run = run_sleeper, .name = "sleeper", .is_consumed_ = 1};
static const weft_task_type file_type = {
    .run = run_file_reader, .name = "reader", .is_consumed_ = 1};

static void prepare_waiting(const weft_task_type *type)
{
    file_prepare();
    prepare(2);
    make_other()->state_ = (uintptr_t)type;
    weft__injector_push(&runtime->injector, (weft__link *)(void *)other);
}

static void prepare_deadline(void)
{
    prepare_waiting(&sleeper_type);
}

static void prepare_file(void)
{
    prepare_waiting(&file_type);
}

static int compute(void *arg)
{
    await_tale();
    return count_run(arg);
}

static void run_meanwhile(void)
{
    run_and_destroy(compute);
}

EXPLORE_MODEL(standin_deadline) = {
    .name = "standin.deadline",
    .prepare = prepare_deadline,
    .threads = {thread_0, thread_1, run_meanwhile},
    .preemptions = 0,
    .stale = 0,
};

/* And somebody else submits meanwhile. */
EXPLORE_MODEL(standin_long) = {
    .name = "standin.long",
    .prepare = prepare_two,
    .threads = {thread_0, thread_1, run_meanwhile, submit_other},
    .preemptions = 0,
    .stale = 0,
};

EXPLORE_MODEL(standin_file) = {
    .name = "standin.file",
    .prepare = prepare_file,
    .threads = {thread_0, thread_1, run_meanwhile, file_make_ready},
    .preemptions = 0,
    .stale = 0,
};
