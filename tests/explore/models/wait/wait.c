/* SPDX-License-Identifier: BSD-2-Clause */
/* wait.c — models of core/sched/wait.c, timer.c and fiber/scope.c: a fiber that waits for a token
 * meets its waker, its deadline, and whoever cancels its scope.
 *
 * The token lies in a cell, or a waiter does; who posts it puts it there or hands it over. Whoever
 * gave up must not have it, whoever did not must; what is left is in the cell. Frames of waits that
 * are over are released at once, and a second wait begins: nobody may still mean the first. A plain
 * thread does the same. */
#include "common/workers.h"

#include "fiber/scope.h"

#include <errno.h>

#define TOKEN ((uintptr_t)1)
#define NOT_OVER 0
#define HAS_IT 1
#define GAVE_UP 2
#define SOON (WEFT_MSEC / 2) /* before the first look at a clock */

/* What a wait has on its stack. A commit may go on to use it after the waiter is registered. */
typedef struct frame {
    weft__waiter waiter; /* first member */
    unsigned commits;
} frame;

static uintptr_t cell; /* 0, TOKEN, or a waiter */
static unsigned posted, got;
static uint32_t first;   /* how the first wait ended */
static weft_scope scope; /* the fiber is in it */

/* Worker 0 has the fiber, worker 1 looks at the clock or cancels, worker 2 posts. */
static void prepare(void)
{
    workers_prepare(3);
    cell = 0;
    posted = got = 0;
    first = NOT_OVER;
}

/* A worker looks at others' deadlines only if it has some itself: its wheel says so, falsely. */
static void prepare_clock(void)
{
    prepare();
    workers[1].wheel.next_due = 1;
    workers[1].tick = 7;
}

static void prepare_scope(void)
{
    prepare();
    (void)weft__scope_enter(&scope, NULL, WEFT_FOREVER, 0);
    workers[0].current->scope = &scope;
}

/* Without membarrier() both sides order their accesses by themselves. */
static void prepare_unfenced(void)
{
    prepare_scope();
    workers_runtime.can_raid = 0;
}

static void prepare_ready(void)
{
    prepare_scope();
    cell = TOKEN;
    posted = 1;
}

static void finish(void)
{
    explore_check(cell == 0 || cell == TOKEN);
    explore_check(got + (cell == TOKEN) == posted);
    workers_finish();
}

/* ---- the token ------------------------------------------------------------------------------- */

static int take_or_queue(weft__waiter *waiter, void *arg)
{
    frame *mine = arg;
    uintptr_t seen = weft__load_relaxed(&cell);
    uintptr_t wanted;
    do {
        wanted = seen == TOKEN ? 0 : (uintptr_t)waiter;
    } while (!weft__cas_acq_rel(&cell, &seen, wanted));
    mine->commits++;
    return wanted != 0;
}

static void post(void)
{
    uintptr_t seen = weft__load_relaxed(&cell);
    for (;;) {
        uintptr_t wanted = seen == 0 ? TOKEN : 0;
        explore_check(seen != TOKEN);
        if (weft__cas_acq_rel(&cell, &seen, wanted))
            break;
    }
    if (seen != 0)
        weft__wake((weft__waiter *)seen);
}

/* Wait for the token. Nonzero: the fiber has it. */
static int acquire(int64_t deadline_ns)
{
    frame *mine = explore_alloc(sizeof *mine);
    uintptr_t seen = (uintptr_t)mine;
    int has = 1;
    mine->commits = 0;
    if (weft__wait_until(&mine->waiter, take_or_queue, mine, deadline_ns) != 0) {
        has = !weft__cas_acq_rel(&cell, &seen, 0);
        if (has)
            weft__wait_woken(&mine->waiter);
    }
    explore_check(mine->commits == 1);
    explore_free(mine);
    got += has != 0;
    return has;
}

/* ---- threads --------------------------------------------------------------------------------- */

static void run_own(void)
{
    weft_task *item;
    while ((item = weft__worker_own(weft__worker_self())) != NULL)
        workers_run(item);
}

static void poster(void)
{
    posted++;
    post();
    run_own();
}

/* Posts again if the first wait has had what was posted. */
static void poster_twice(void)
{
    uint32_t seen;
    poster();
    while ((seen = weft__load_acquire(&first)) == NOT_OVER)
        weft__relax();
    if (seen == HAS_IT)
        poster();
}

static void clock_watcher(void)
{
    (void)weft__worker_has_others(weft__worker_self());
    run_own();
}

static void canceller(void)
{
    weft_cancel_scope(&scope);
    run_own();
}

static void patient(void)
{
    explore_check(acquire(WEFT_FOREVER));
}

/* Waits twice, the second time for as long as it takes. */
static void impatient(void)
{
    uint32_t has = acquire(SOON) ? HAS_IT : GAVE_UP;
    workers[0].current->timer.tick = 0; /* as in another wheel, under another lock */
    weft__store_release(&first, has);
    explore_check(acquire(WEFT_FOREVER));
}

/* Once cancelled no wait succeeds by waiting. */
static void cancelled(void)
{
    if (!acquire(WEFT_FOREVER))
        explore_check(!acquire(WEFT_FOREVER) || got == 1);
}

/* Nobody posts: whoever waits for something else than the end of the wait does so for ever. */
static void lonely(void)
{
    explore_check(!acquire(WEFT_FOREVER));
}

EXPLORE_MODEL(wait_wake) = {
    .name = "wait.wake",
    .prepare = prepare,
    .threads = {patient, run_own, poster},
    .finish = finish,
    .preemptions = 3,
    .stale = 2,
};

EXPLORE_MODEL(wait_ready) = {
    .name = "wait.ready",
    .prepare = prepare_ready,
    .threads = {cancelled, canceller},
    .finish = finish,
    .preemptions = 3,
    .stale = 2,
};

EXPLORE_MODEL(wait_deadline) = {
    .name = "wait.deadline",
    .prepare = prepare_clock,
    .threads = {impatient, clock_watcher, poster_twice},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(wait_cancel) = {
    .name = "wait.cancel",
    .prepare = prepare_scope,
    .threads = {cancelled, canceller, poster},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(wait_alone) = {
    .name = "wait.alone",
    .prepare = prepare_scope,
    .threads = {lonely, canceller},
    .finish = finish,
    .preemptions = 3,
    .stale = 2,
};

EXPLORE_MODEL(wait_unfenced) = {
    .name = "wait.unfenced",
    .prepare = prepare_unfenced,
    .threads = {lonely, canceller},
    .finish = finish,
    .preemptions = 3,
    .stale = 2,
};

/* ---- a plain thread -------------------------------------------------------------------------- */

/* Worker 0 cancels from a scope around that in which thread 1 waits, thread 2 posts. The inner one
 * is released as soon as it is left. */
static void prepare_thread(void)
{
    workers_prepare(1);
    cell = 0;
    posted = got = 0;
    (void)weft__scope_enter(&scope, NULL, WEFT_FOREVER, 0);
    workers[0].current->scope = NULL;
}

static void in_scopes(void (*body)(void), int is_shield)
{
    weft_scope *inner = explore_alloc(sizeof *inner);
    weft__thread_set_scope(&scope);
    (void)weft__scope_enter(inner, NULL, WEFT_FOREVER, is_shield);
    body();
    (void)weft__scope_finish(inner);
    explore_free(inner);
}

static void cancelled_thread(void)
{
    in_scopes(cancelled, 0);
}

static void lonely_thread(void)
{
    in_scopes(lonely, 0);
}

static void shielded_thread(void)
{
    in_scopes(patient, 1);
}

/* Its deadline passes, or somebody cancels its scope, or both. */
static void hurry(void)
{
    if (!acquire(SOON))
        explore_check(!acquire(SOON) || got == 1);
}

static void hurried_thread(void)
{
    in_scopes(hurry, 0);
}

static void outsider(void)
{
    posted++;
    post();
}

EXPLORE_MODEL(wait_thread) = {
    .name = "wait.thread",
    .prepare = prepare_thread,
    .threads = {canceller, cancelled_thread, outsider},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(wait_thread_alone) = {
    .name = "wait.thread_alone",
    .prepare = prepare_thread,
    .threads = {canceller, lonely_thread},
    .finish = finish,
    .preemptions = 2,
    .stale = 2,
};

EXPLORE_MODEL(wait_thread_shielded) = {
    .name = "wait.thread_shielded",
    .prepare = prepare_thread,
    .threads = {canceller, shielded_thread, outsider},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(wait_thread_hurried) = {
    .name = "wait.thread_hurried",
    .prepare = prepare_thread,
    .threads = {canceller, hurried_thread, outsider},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};
