/* SPDX-License-Identifier: BSD-2-Clause */
/* runtime.c — models of core/sched/runtime.c and loop.c: a runtime from its creation to its end,
 * and fibers that park on one worker and go on on another. */
#include "common/runtime.h"
#include "models/runtime/letter.h"

#include "fiber/scope.h"

#include <weft/runtime.h>

static unsigned runs;

static void thread_0(void)
{
    runtime_thread(0);
}

static void thread_1(void)
{
    runtime_thread(1);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void prepare_one(void)
{
    runtime_reset(1);
    runs = 0;
}

static int count_run(void *arg)
{
    explore_check(arg == &runs && weft__worker_self() != NULL);
    runs++;
    return 42;
}

/* From outside: create, run, destroy, whatever of it there is memory for. */
static void life(void)
{
    weft_runtime *mine;
    int result = 0;
    if (weft_runtime_create(&mine, NULL) == 0) {
        explore_check(weft_runtime_run(mine, count_run, &runs, &result) == 0);
        explore_check(result == 42 && runs == 1);
        explore_check(weft_runtime_destroy(mine) == 0);
    }
    runtime_never();
}

EXPLORE_MODEL(runtime_life) = {
    .name = "runtime.life",
    .prepare = prepare_one,
    .threads = {life, thread_0},
    .preemptions = 2,
    .stale = 1,
};

/* As much as there is memory for. */
EXPLORE_MODEL(runtime_no_memory) = {
    .name = "runtime.no-memory",
    .prepare = prepare_one,
    .threads = {life, thread_0},
    .preemptions = 1,
    .stale = 1,
    .no_memory = 1,
};

/* ---- destroyed by somebody else -------------------------------------------------------------- */

static uint32_t has_begun;

static void prepare_busy(void)
{
    runtime_prepare(1);
    runs = 0;
    has_begun = 0;
}

static int begin_run(void *arg)
{
    weft__store_release(&has_begun, 1);
    explore_park_wake(&has_begun, 1);
    return count_run(arg);
}

static void runner(void)
{
    explore_check(weft_runtime_run(runtime, begin_run, &runs, NULL) == 0);
    explore_check(runs == 1);
}

/* Answers -EBUSY while the run is in progress. */
static void destroyer(void)
{
    while (!weft__load_acquire(&has_begun))
        explore_park_wait(&has_begun, 0);
    while (weft_runtime_destroy(runtime) != 0)
        weft__relax();
}

EXPLORE_MODEL(runtime_busy) = {
    .name = "runtime.busy",
    .prepare = prepare_busy,
    .threads = {runner, thread_0, destroyer},
    .preemptions = 1,
};

/* ---- fibers that move ------------------------------------------------------------------------ */

/* The last task stops the runtime. */
typedef struct piece {
    weft_task head;
    unsigned runs;
} piece;

static uint32_t unfinished;
static piece *pieces[2];

static void end_piece(piece *one)
{
    one->runs++;
    if (weft__fetch_add_acq_rel(&unfinished, (uint32_t)-1) == 1)
        runtime_stop();
}

static void add_piece(const weft_task_type *type)
{
    piece *one = explore_alloc(sizeof *one);
    one->runs = 0;
    one->head.prev_ = NULL;
    one->head.state_ = (uintptr_t)type;
    pieces[unfinished++] = one;
    weft__injector_push(&runtime->injector, (weft__link *)(void *)&one->head);
}

/* One or two tasks for two workers, in the injector before they begin. */
static void prepare_pieces(const weft_task_type *first, const weft_task_type *second)
{
    runtime_prepare(2);
    unfinished = 0;
    pieces[1] = NULL;
    add_piece(first);
    if (second != NULL)
        add_piece(second);
}

static void finish_pieces(void)
{
    for (unsigned i = 0; i < 2 && pieces[i] != NULL; i++) {
        explore_check(pieces[i]->runs == 1);
        explore_free(pieces[i]);
    }
    runtime_finish();
}

static unsigned letter;

static void run_reader(weft_task *task)
{
    await_letter();
    explore_check(letter == 42);
    end_piece((piece *)(void *)task);
}

static void write_letter(void)
{
    letter = 42;
    weft__waiter *waiter = post_letter();
    if (waiter != NULL)
        weft__wake(waiter);
}

static void run_writer(weft_task *task)
{
    write_letter();
    end_piece((piece *)(void *)task);
}

static const weft_task_type reader_type = {.run = run_reader, .name = "reader"};
static const weft_task_type writer_type = {.run = run_writer, .name = "writer"};

static void prepare_letter(void)
{
    box = 0;
    letter = 0;
    prepare_pieces(&reader_type, &writer_type);
}

EXPLORE_MODEL(runtime_letter) = {
    .name = "runtime.letter",
    .prepare = prepare_letter,
    .threads = {thread_0, thread_1},
    .finish = finish_pieces,
    .preemptions = 2,
    .stale = 1,
};

/* The reader's wait may be given up: its commit is not through with the frame when it has let the
 * waiter be found, and by then somebody may have made the fiber runnable: here a plain thread, for
 * the other worker. */
typedef struct frame {
    weft__waiter waiter; /* first member */
    unsigned commits;
} frame;

static int commit_slowly(weft__waiter *waiter, void *arg)
{
    frame *mine = arg;
    int has_to_wait = commit_box(waiter, NULL);
    mine->commits++;
    return has_to_wait;
}

static void run_patient(weft_task *task)
{
    frame *mine = explore_alloc(sizeof *mine);
    mine->commits = 0;
    explore_check(weft__wait_until(&mine->waiter, commit_slowly, mine, WEFT_FOREVER) == 0);
    explore_check(letter == 42 && mine->commits == 1);
    explore_free(mine);
    end_piece((piece *)(void *)task);
}

static const weft_task_type patient_type = {.run = run_patient, .name = "patient"};

static void prepare_commit(void)
{
    box = 0;
    letter = 0;
    prepare_pieces(&patient_type, NULL);
}

EXPLORE_MODEL(runtime_commit) = {
    .name = "runtime.commit",
    .prepare = prepare_commit,
    .threads = {thread_0, thread_1, write_letter},
    .finish = finish_pieces,
    .preemptions = 1,
    .stale = 0,
};

/* The writer is a plain thread, which may still look for sleepers when the run is over. */
static int read_in_fiber(void *arg)
{
    (void)arg;
    await_letter();
    explore_check(letter == 42);
    return 0;
}

static void prepare_foreign(void)
{
    runtime_prepare(1);
    box = 0;
    letter = 0;
}

static void run_and_destroy(void)
{
    explore_check(weft_runtime_run(runtime, read_in_fiber, NULL, NULL) == 0);
    explore_check(weft_runtime_destroy(runtime) == 0);
}

EXPLORE_MODEL(runtime_foreign) = {
    .name = "runtime.foreign",
    .prepare = prepare_foreign,
    .threads = {run_and_destroy, thread_0, write_letter},
    .preemptions = 1,
    .stale = 1,
};

/* ---- regions that may block ------------------------------------------------------------------ */

/* A spare thread plays the only worker meanwhile, and runs what lets the region go on. */
static uint32_t may_go_on;

static weft_task opener;

static void run_opener(weft_task *task)
{
    (void)task;
    weft__store_release(&may_go_on, 1);
    explore_park_wake(&may_go_on, 1);
}

static const weft_task_type opener_type = {.run = run_opener, .name = "opener"};

static int block(void *arg)
{
    (void)arg;
    opener = (weft_task){.state_ = (uintptr_t)&opener_type};
    weft__worker_push(weft__worker_self(), &opener);
    weft_blocking_region region = weft__blocking_enter();
    explore_check(weft__worker_self() == NULL);
    while (!weft__load_acquire(&may_go_on))
        explore_park_wait(&may_go_on, 0);
    weft__blocking_leave(&region);
    explore_check(weft__worker_self() != NULL);
    runs++;
    return 0;
}

static void prepare_region(void)
{
    runtime_prepare(1);
    may_go_on = 0;
    runs = 0;
}

static void run_region(void)
{
    explore_check(weft_runtime_run(runtime, block, NULL, NULL) == 0);
    explore_check(runs == 1);
    explore_check(weft_runtime_destroy(runtime) == 0);
    runtime_never(); /* who stands in for a worker needs no other thread */
}

EXPLORE_MODEL(runtime_region) = {
    .name = "runtime.region",
    .prepare = prepare_region,
    .threads = {run_region, thread_0, thread_1},
    .preemptions = 1,
};

/* ---- the end of a scope ---------------------------------------------------------------------- */

static unsigned seen_sum;

/* A fiber of the scope: nobody joins it. */
static void run_member(weft_task *task)
{
    (void)task;
    seen_sum = seen_sum + 1;
}

static const weft_task_type member_type = {.run = run_member,
                                           .name = "member",
                                           .task_bytes = sizeof(piece),
                                           .args_offset = offsetof(piece, runs),
                                           .args_bytes = sizeof(unsigned)};
static const weft_site member_site = {&member_type, __FILE__, __LINE__};

static void run_owner(weft_task *task)
{
    weft_scope *scope = explore_alloc(sizeof *scope);
    unsigned nothing = 0;
    (void)weft__scope_enter(scope, NULL, WEFT_FOREVER, 0);
    explore_check(weft__go(scope, &member_site, &nothing) == 0);
    (void)weft__scope_finish(scope);
    explore_check(seen_sum == 1);
    explore_free(scope);
    end_piece((piece *)(void *)task);
}

static void run_idler(weft_task *task)
{
    end_piece((piece *)(void *)task);
}

static const weft_task_type owner_type = {.run = run_owner, .name = "owner"};
static const weft_task_type idler_type = {.run = run_idler, .name = "idler"};

static void prepare_scope(void)
{
    seen_sum = 0;
    prepare_pieces(&owner_type, &idler_type);
}

EXPLORE_MODEL(runtime_scope) = {
    .name = "runtime.scope",
    .prepare = prepare_scope,
    .threads = {thread_0, thread_1},
    .finish = finish_pieces,
    .preemptions = 2,
};
