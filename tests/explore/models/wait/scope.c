/* SPDX-License-Identifier: BSD-2-Clause */
/* scope.c — models of core/fiber/scope.c: a fiber waits in scopes within scopes, and somebody
 * cancels the outermost; or fibers end one after another and the owner waits for them. A
 * fiber that is not found waits for ever; scopes are released as soon as they are left. */
#include "common/workers.h"

#include "fiber/scope.h"

#include <errno.h>

static weft_scope *outer;
static weft_scope *inner; /* that several are in; or nobody */
static unsigned sums[EXPLORE_THREADS_MAX];

static weft_scope *make_scope(weft_scope *parent)
{
    weft_scope *scope = explore_alloc(sizeof *scope);
    (void)weft__scope_enter(scope, NULL, WEFT_FOREVER, 0);
    if (parent != NULL) {
        scope->parent_ = parent;
        scope->depth_ = parent->depth_ + 1;
    }
    return scope;
}

static void prepare_nested(void)
{
    workers_prepare(2);
    outer = make_scope(NULL);
    inner = NULL;
    workers[0].current->scope = outer;
}

/* Two fibers in the same scope within another. */
static void prepare_shared(void)
{
    workers_prepare(3);
    outer = make_scope(NULL);
    inner = make_scope(outer);
    workers[0].current->scope = inner;
    workers[1].current->scope = inner;
}

static void finish(void)
{
    explore_check(outer->members_ == NULL && outer->children_ == NULL);
    explore_check(inner == NULL || inner->members_ == NULL || inner->parent_ == outer);
    explore_free(inner);
    explore_free(outer);
    workers_finish();
}

static weft_task *take_handed(weft__worker *worker)
{
    weft_task *item = worker->handed;
    worker->handed = NULL;
    return item;
}

static void run_own(void)
{
    weft__worker *worker = weft__worker_self();
    weft_task *item;
    while ((item = take_handed(worker)) != NULL || (item = weft__worker_own(worker)) != NULL)
        workers_run(item);
}

static void canceller(void)
{
    weft_cancel_scope(outer);
    run_own();
}

static int commit_never(weft__waiter *waiter, void *arg)
{
    (void)waiter;
    (void)arg;
    return 1;
}

static int commit_at_once(weft__waiter *waiter, void *arg)
{
    (void)waiter;
    (void)arg;
    return 0;
}

/* Until it is cancelled. */
static void wait_in_vain(void)
{
    weft__waiter waiter;
    explore_check(weft__wait_until(&waiter, commit_never, NULL, WEFT_FOREVER) == -ECANCELED);
}

static weft_scope *enter(void)
{
    weft_scope *scope = explore_alloc(sizeof *scope);
    return weft__scope_enter(scope, NULL, WEFT_FOREVER, 0);
}

static void leave(weft_scope *scope)
{
    (void)weft__scope_finish(scope);
    explore_free(scope);
}

static void leave_outer(void)
{
    weft__fiber_withdraw(weft__worker_self()->current);
    weft__worker_self()->current->scope = NULL;
}

/* Two scopes deep. */
static void nested(void)
{
    weft_scope *middle = enter();
    weft_scope *innermost = enter();
    wait_in_vain();
    leave(innermost);
    leave(middle);
    leave_outer();
}

/* Waits that need not wait enrol too; the scope ends while the canceller may walk through it. */
static void brief(void)
{
    for (int round = 0; round < 2; round++) {
        weft__waiter waiter;
        weft_scope *scope = enter();
        explore_check(weft__wait_until(&waiter, commit_at_once, NULL, WEFT_FOREVER) == 0);
        leave(scope);
    }
    leave_outer();
}

static void shared(void)
{
    wait_in_vain();
    leave_outer();
}

EXPLORE_MODEL(scope_nested) = {
    .name = "scope.nested",
    .prepare = prepare_nested,
    .threads = {nested, canceller},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(scope_brief) = {
    .name = "scope.brief",
    .prepare = prepare_nested,
    .threads = {brief, canceller},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

static void finish_shared(void)
{
    explore_check(inner->members_ == NULL);
    outer->children_ = NULL; /* nobody leaves `inner` here */
    finish();
}

EXPLORE_MODEL(scope_shared) = {
    .name = "scope.shared",
    .prepare = prepare_shared,
    .threads = {shared, shared, canceller},
    .finish = finish_shared,
    .preemptions = 1,
    .stale = 0,
};

/* ---- the end of a scope ---------------------------------------------------------------------- */

/* Threads 1 and 2 are fibers of the scope, as far as it counts them. */
static void prepare_end(void)
{
    workers_prepare(3);
    outer = make_scope(NULL);
    outer->runtime_ = &workers_runtime;
    inner = NULL;
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
        sums[i] = 0;
    weft__brood_join(&outer->own_);
    weft__brood_join(&outer->own_);
}

static void owner(void)
{
    workers[0].current->scope = outer;
    (void)weft__scope_finish(outer);
    explore_check(sums[1] == 1 && sums[2] == 1);
    explore_free(outer);
}

static void member(void)
{
    sums[explore_self()]++;
    weft__brood_quit(&outer->own_);
    run_own();
}

EXPLORE_MODEL(scope_end) = {
    .name = "scope.end",
    .prepare = prepare_end,
    .threads = {owner, member, member},
    .finish = workers_finish,
    .preemptions = 3,
    .stale = 2,
};

/* ---- the brood of a fiber -------------------------------------------------------------------- */

static weft__brood *brood; /* that thread 2 is counted in, once */
static uint32_t is_told;   /* `brood` is set */

/* A fiber that submits something and does not wait for it: whoever ends last releases the fiber's
 * block, and then counts it out of the scope. */
static void run_submitter(weft_task *task)
{
    (void)task;
    brood = weft__brood_here();
    weft__brood_join(brood);
    weft__store_release(&is_told, 1);
    explore_park_wake(&is_told, 1);
    sums[1]++;
}

static const weft_task_type submitter_type = {
    .run = run_submitter, .name = "submitter", .task_bytes = sizeof(weft_task)};
static const weft_site submitter_site = {&submitter_type, __FILE__, __LINE__};

static void prepare_brood(void)
{
    workers_prepare(3);
    is_told = 0;
    for (unsigned i = 0; i < EXPLORE_THREADS_MAX; i++)
        sums[i] = 0;
}

static void brood_owner(void)
{
    weft_scope *scope = enter();
    explore_check(weft__go(scope, &submitter_site, &scope) == 0);
    leave(scope);
    explore_check(sums[1] == 1 && sums[2] == 1);
}

static void thief(void)
{
    void *item;
    if (weft_deque_steal(&workers[0].deque, &item) == WEFT_STEAL_ITEM)
        workers_run(item);
    run_own();
}

static void submitted(void)
{
    while (weft__load_acquire(&is_told) == 0)
        explore_park_wait(&is_told, 0);
    sums[2]++;
    weft__brood_quit(brood);
    run_own();
}

EXPLORE_MODEL(scope_brood) = {
    .name = "scope.brood",
    .prepare = prepare_brood,
    .threads = {brood_owner, thief, submitted},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};

/* ---- a plain thread's scopes ----------------------------------------------------------------- */

/* Thread 2 owns both; a fiber waits in the inner one, and thread 1 cancels from the outer one. */
static void prepare_plain(void)
{
    workers_prepare(2);
    outer = make_scope(NULL);
    inner = make_scope(outer);
    workers[0].current->scope = NULL;
    sums[0] = 0;
    weft__brood_join(&outer->own_);
    weft__brood_join(&inner->own_);
}

static void plain_owner(void)
{
    weft__thread_set_scope(inner);
    explore_check(weft_current_scope() == inner);
    leave(inner);
    explore_check(sums[0] == 1);
    leave(outer);
    explore_check(weft_current_scope() == NULL);
}

static void guest(void)
{
    explore_check(weft__scope_visit(&inner->own_));
    wait_in_vain();
    explore_check(weft_cancel_requested() == -ECANCELED);
    sums[0]++;
    weft__scope_unvisit();
    weft__brood_quit(&inner->own_);
}

static void cancelling_guest(void)
{
    weft_cancel_scope(outer);
    run_own();
    weft__brood_quit(&outer->own_);
    run_own();
}

EXPLORE_MODEL(scope_plain) = {
    .name = "scope.plain",
    .prepare = prepare_plain,
    .threads = {guest, cancelling_guest, plain_owner},
    .finish = workers_finish,
    .preemptions = 1,
    .stale = 1,
};
