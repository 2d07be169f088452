/* SPDX-License-Identifier: BSD-2-Clause */
/* wait.c — waits that may be given up: at a deadline, or because the fiber is cancelled.
 *
 * Three may want to resume a fiber that waits: the waker it is registered with, its timer, and
 * whoever cancels it. One word in the fiber's descriptor decides; whoever swaps PARKED away makes
 * the fiber runnable, and nobody else does:
 *
 *                ┌─ waker ──► WOKEN                       go on; nobody will come
 *     PARKED ────┼─ timer ──► TIMED_OUT ─┬─ waker ─► WOKEN   noted, not resumed again
 *                └─ cancel ─► CANCELED ──┘
 *
 * The word says PARKED before the timer is armed, the flag of whoever cancels is looked at, and the
 * commit lets the waker know of the waiter: so each of the three may come while there is still
 * something to be done for the fiber, in its frame. What keeps the frame in place meanwhile is
 * `committing`: runnable or not, nobody switches to the fiber before that is zero (loop.c).
 *
 * A waker comes at most once. A fiber that gives up takes its waiter back from where it is
 * registered, and then no waker comes; or it cannot, because the waker has it in hand already, and
 * then it waits for that wake (LEAVING), which is a few instructions away. So no waker ever meets a
 * waiter whose frame has gone.
 *
 * The word is in the descriptor, which outlives every wait, and carries the number of the wait: who
 * cancels may look at any time, and its swap fails when that wait is over.
 *
 * A plain thread that waits has no timer: its sleep has the deadline. If it is in a scope, whoever
 * cancels that finds its waiter there, and one word in the waiter decides:
 *
 *     LOOKING ─► ASLEEP      either ─┬─ waker ──────────────────► WOKEN
 *                                    └─ cancel ─► CUT_OFF ─ waker ─► WOKEN     noted, and waited
 *                                                                              for if it must come
 *
 * The waiter is in the scope from its commit to the end of the sleep, under the scope's lock, so
 * that nobody who cancels touches a frame that has gone. */
#include "sched/worker.h"

#include "debug/hang.h"
#include "fiber/scope.h"
#include "hooks.h"

#include <errno.h>

#define AWAKE ((uint64_t)0)
#define PARKED ((uint64_t)2)
#define WOKEN ((uint64_t)3)
#define TIMED_OUT ((uint64_t)4)
#define CANCELED ((uint64_t)5)
#define LEAVING ((uint64_t)6)
#define STATE(word) ((word) & (uint64_t)7)
#define NUMBER(word) ((word) & ~(uint64_t)7)
#define NEXT_NUMBER ((uint64_t)8)

/* ---- the three who resume ------------------------------------------------------------------- */

WEFT__FUSED int weft__wait_claim(weft__fiber *fiber)
{
    uint64_t seen = weft__load_relaxed(&fiber->wait); /* relaxed: the swap decides */
    /* edge wait.word (acq_rel): what the waker did, for the fiber; what whoever made it runnable
     * before did is behind us. */
    while (!weft__cas_acq_rel(&fiber->wait, &seen, NUMBER(seen) | WOKEN))
        continue;
    return STATE(seen) == PARKED || STATE(seen) == LEAVING;
}

/* Let the fiber give up the wait with this number. Nonzero: the caller makes it runnable. */
static int interrupt(weft__fiber *fiber, uint64_t number, uint64_t reason)
{
    uint64_t seen = number | PARKED;
    /* edge wait.word (acq_rel): as for a waker */
    return weft__cas_acq_rel(&fiber->wait, &seen, number | reason);
}

int weft__wait_expire(weft__fiber *fiber)
{
    /* relaxed: the fiber cannot leave this wait while its timer expires */
    return interrupt(fiber, NUMBER(weft__load_relaxed(&fiber->wait)), TIMED_OUT);
}

int weft__wait_cancel(weft__fiber *fiber, unsigned depth)
{
    /* edge wait.cancel (seq_cst): behind the flag of whoever cancels, in the second walk behind his
     * membarrier() too; a wait that is not seen here sees the flag itself. */
    uint64_t word = weft__load_seq_cst(&fiber->wait);
    if (STATE(word) != PARKED)
        return -EAGAIN;
    /* relaxed: constant during a wait, and the swap below finds out whether it is still that one */
    if (depth <= weft__load_relaxed(&fiber->shield))
        return 0;
    return interrupt(fiber, NUMBER(word), CANCELED) ? 1 : -EAGAIN;
}

/* ---- a plain thread ------------------------------------------------------------------------- */

int weft__wait_cut_off(weft__waiter *waiter)
{
    uint32_t seen = weft__load_relaxed(&waiter->woken); /* relaxed: the swap decides */
    int is_first = 0;
    int is_counted = waiter->is_tentative == WEFT__IN_SCOPE;
    if (is_counted)
        weft__thread_roused(); /* before it can go on, as a waker */
    /* relaxed: the thread takes the scope's lock behind us before it returns */
    while (!is_first && (seen == WEFT__LOOKING || seen == WEFT__ASLEEP))
        is_first = weft__cas_relaxed(&waiter->woken, &seen, WEFT__CUT_OFF);
    if (is_counted && !is_first)
        weft__thread_rests(); /* the waker has counted it already */
    return is_first;
}

static WEFT__NOINLINE int wait_in_scope(weft_scope *scope, weft__waiter *waiter,
                                        weft__commit *commit, void *arg, int64_t deadline_ns)
{
    if (scope->deadline_ns_ < deadline_ns)
        deadline_ns = scope->deadline_ns_;
    waiter->fiber = NULL;
    waiter->is_tentative = deadline_ns != WEFT_FOREVER ? WEFT__TENTATIVE : WEFT__IN_SCOPE;
    weft__store_relaxed(&waiter->woken, WEFT__LOOKING); /* relaxed: nobody knows the waiter yet */
    if (!commit(waiter, arg))
        return 0;
    if (deadline_ns == WEFT_FOREVER)
        weft__thread_rests();
    weft__scope_seat(scope, waiter);
    if (weft__scope_is_cancelled(scope)) /* behind the lock: see scope.c */
        (void)weft__wait_cut_off(waiter);
    int rc = weft__sleep_thread(waiter, deadline_ns);
    weft__scope_unseat(scope);
    return rc;
}

static int wait_in_thread(weft__waiter *waiter, weft__commit *commit, void *arg,
                          int64_t deadline_ns)
{
    weft_scope *scope = weft__thread_scope();
    if (scope == NULL)
        return weft__park_thread(waiter, commit, arg, deadline_ns);
    return wait_in_scope(scope, waiter, commit, arg, deadline_ns);
}

/* Until the waker has come, whatever else has. */
static void await_wake(weft__waiter *waiter)
{
    uint32_t seen;
    /* edge park.thread (acquire): what the waker did before */
    while ((seen = weft__load_acquire(&waiter->woken)) != WEFT__WOKEN)
        (void)weft__hook_park_wait(&waiter->woken, seen, WEFT_FOREVER);
}

/* ---- the fiber ------------------------------------------------------------------------------ */

/* The fiber may be resumed from here on; but see `committing`. */
static void announce(weft__fiber *fiber)
{
    const weft_runtime *runtime = fiber->runtime;
    /* relaxed: between waits the word is the fiber's own, but for a late cancel, which fails */
    uint64_t number = NUMBER(weft__load_relaxed(&fiber->wait)) + NEXT_NUMBER;
    weft__store_relaxed(&fiber->committing, 1); /* relaxed: published by the next store */
    /* edge wait.word (release): the fiber's saved context
     * edge wait.cancel: before the look at whether the fiber is cancelled. The processor's half of
     * the fence between is the membarrier() of whoever cancels; where he has none, the store's. */
    if (WEFT__LIKELY(runtime->can_raid))
        weft__store_release(&fiber->wait, number | PARKED);
    else
        weft__store_seq_cst(&fiber->wait, number | PARKED);
    weft__compiler_barrier();
}

/* The commit has got what the fiber wants, and has registered nothing to be taken back: whoever has
 * interrupted the wait came too late. Nonzero: nobody else makes the fiber runnable. */
static int settle_for(weft__fiber *fiber, uint64_t number)
{
    /* relaxed: whoever goes on with the fiber has waited for the end of the commit, wait.left */
    return STATE(weft__exchange_relaxed(&fiber->wait, number | WOKEN)) == PARKED;
}

/* The commit has got what the fiber wants, or the fiber is cancelled. Nonzero: it is ready, and
 * nobody else sees to that. */
static WEFT__NOINLINE int go_on(weft__fiber *fiber, int has_to_wait)
{
    /* relaxed: the number is that of this wait until the commit is over */
    uint64_t number = NUMBER(weft__load_relaxed(&fiber->wait));
    return has_to_wait ? interrupt(fiber, number, CANCELED) : settle_for(fiber, number);
}

/* On the next fiber's stack: announce the wait, arm the timer, register the waiter, let go. */
WEFT__INLINE int commit_tentative(const weft__left *left, weft__commit *commit)
{
    weft__fiber *fiber = left->waiter->fiber;
    announce(fiber);
    int is_cancelled = fiber->scope != NULL && weft__fiber_is_cancelled(fiber);
    if (left->deadline_ns != WEFT_FOREVER && !is_cancelled)
        weft__worker_arm(weft__worker_self(), &fiber->timer, left->deadline_ns);
    int is_ready = 0;
    int has_to_wait = commit(left->waiter, left->arg);
    if (WEFT__UNLIKELY(!has_to_wait || is_cancelled))
        is_ready = go_on(fiber, has_to_wait);
    /* edge wait.left (release): the last access to the fiber's frame */
    weft__store_release(&fiber->committing, 0);
    return !is_ready;
}

WEFT__FUSED int weft__commit_left(weft__left *left)
{
    weft__commit *commit = left->commit;
    left->commit = NULL;
    if (left->is_tentative)
        return commit_tentative(left, commit);
    return commit(left->waiter, left->arg);
}

/* The wait is over: what came of it? */
static int conclude(weft__fiber *fiber)
{
    /* edge wait.word (acquire): what the waker did */
    uint64_t word = weft__load_acquire(&fiber->wait);
    switch (STATE(word)) {
    case TIMED_OUT:
        return -ETIMEDOUT;
    case CANCELED:
        return -ECANCELED;
    default: /* WOKEN, by a waker or because the commit has got what the fiber wants */
        weft__store_relaxed(&fiber->wait, NUMBER(word) | AWAKE); /* relaxed: the fiber's own now */
        return 0;
    }
}

/* A fiber in a scope is about to wait: let it be found, and keep to the scope's deadline. */
static int64_t attend_scope(weft__fiber *fiber, int64_t deadline_ns)
{
    if (fiber->enrolled != fiber->scope)
        weft__fiber_enrol(fiber);
    int64_t scopes = fiber->scope->deadline_ns_;
    return scopes < deadline_ns ? scopes : deadline_ns;
}

WEFT__FUSED int weft__wait_until(weft__waiter *waiter, weft__commit *commit, void *arg,
                                 int64_t deadline_ns)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        return wait_in_thread(waiter, commit, arg, deadline_ns);
    weft__fiber *fiber = worker->current;
    if (fiber->scope != NULL)
        deadline_ns = attend_scope(fiber, deadline_ns);
    waiter->is_tentative = WEFT__TENTATIVE;
    waiter->fiber = fiber;
    weft__left left = {.commit = commit,
                       .waiter = waiter,
                       .arg = arg,
                       .deadline_ns = deadline_ns,
                       .is_tentative = 1};
    weft__park(worker, &left, 0);
    if (deadline_ns != WEFT_FOREVER)
        weft__timer_disarm(&fiber->timer);
    return conclude(fiber);
}

/* Park once more, unless the wake has come by now. */
static int commit_leaving(weft__waiter *waiter, void *arg)
{
    weft__fiber *fiber = waiter->fiber;
    uint64_t seen = *(const uint64_t *)arg;
    /* edge wait.word (acq_rel): as when parking */
    return weft__cas_acq_rel(&fiber->wait, &seen, NUMBER(seen) | LEAVING);
}

void weft__wait_woken(weft__waiter *waiter)
{
    weft__fiber *fiber = waiter->fiber;
    if (fiber == NULL) {
        await_wake(waiter);
        return;
    }
    uint64_t word = weft__load_acquire(&fiber->wait); /* edge wait.word (acquire): as in conclude */
    if (STATE(word) != WOKEN) {
        weft__left left = {.commit = commit_leaving, .waiter = waiter, .arg = &word};
        weft__park(weft__worker_self(), &left, 0);
    }
    (void)conclude(fiber);
}
