/* SPDX-License-Identifier: BSD-2-Clause */
/* scope.c — who owns fibers, and how they are told to end.
 *
 * A scope counts the fibers that are alive in it and itself; whoever takes the count to zero wakes
 * the owner, a fiber or a plain thread, and nobody touches the scope after that. Starting and
 * ending a fiber costs one atomic addition each, because a scope does not keep a list of its
 * fibers.
 *
 * Futures are counted by the fiber that submits them, in its brood, which counts as one in the
 * scope: many fibers that submit much have no word in common.
 *
 * What it does keep is a list of those that have waited, for only these may have to be interrupted;
 * of a plain thread, whose scopes are its own, the waiter while it waits.
 * A fiber *enrols* in its innermost scope when it waits for the first time there, and sees to it
 * that the scopes around it are enrolled in one another, outermost first; so whoever cancels a
 * scope finds everybody who may be waiting in it by walking down. An enrolment lasts until the
 * scope is left, so that a fiber which waits often pays once.
 *
 *     cancel                                 wait
 *     cancelled = 1                          enrol (under the lock)
 *     lock; walk the lists, interrupt        word = PARKED
 *     somebody awake? membarrier(), again    (compiler barrier)
 *     unlock, wake                           cancelled? give up
 *
 * If the walk misses a fiber, that fiber enrols after the lock was held, and so sees the flag. If
 * it finds one whose word does not say PARKED, that may be about to, and have looked at the flag
 * already; after the barrier the second walk sees its word, or it the flag. So a wait, which
 * happens all the time, pays for no fence; whoever cancels does, and only if somebody is awake.
 * [wait.cancel]
 *
 * Locks are taken from the outside in, held for a few instructions (a walk: a few for each member),
 * and never while waking.
 *
 * Rejected: a list of all fibers (a lock for each start and end); a flag copied into each fiber
 * (somebody has to find them all); interrupting by scope number (a table that can run out). */
#include "fiber/scope.h"
#include "fiber/local.h"
#include "io/foreign.h"
#include "sched/spin.h"

#include "hooks.h"

#include <errno.h>
#include <string.h>

/* ---- the lists ------------------------------------------------------------------------------ */

/* See that whoever cancels an outer scope finds this one: outermost first, so that being enrolled
 * means being found. Recursion as deep as scopes are nested, and only the first time. */
static void enrol_scope(weft_scope *scope)
{
    weft_scope *parent = scope->parent_;
    /* edge scope.enrol (acquire): those around are enrolled as well */
    if (parent == NULL || weft__load_acquire(&scope->is_enrolled_))
        return;
    enrol_scope(parent);
    weft__spin_lock(&parent->lock_);
    if (!weft__load_relaxed(&scope->is_enrolled_)) { /* relaxed: under the lock */
        scope->next_ = parent->children_;
        scope->link_ = &parent->children_;
        if (scope->next_ != NULL)
            scope->next_->link_ = &scope->next_;
        parent->children_ = scope;
        weft__store_release(&scope->is_enrolled_, 1); /* edge scope.enrol (release): it is found */
    }
    weft__spin_unlock(&parent->lock_);
}

static void withdraw_scope(weft_scope *scope)
{
    /* relaxed: all who could enrol it have ended */
    if (!weft__load_relaxed(&scope->is_enrolled_))
        return;
    weft__spin_lock(&scope->parent_->lock_);
    *scope->link_ = scope->next_;
    if (scope->next_ != NULL)
        scope->next_->link_ = scope->link_;
    weft__spin_unlock(&scope->parent_->lock_);
}

void weft__fiber_withdraw(weft__fiber *fiber)
{
    weft_scope *scope = fiber->enrolled;
    if (scope == NULL)
        return;
    weft__spin_lock(&scope->lock_);
    *fiber->link = fiber->peer;
    if (fiber->peer != NULL)
        fiber->peer->link = fiber->link;
    weft__spin_unlock(&scope->lock_);
    fiber->enrolled = NULL;
}

void weft__fiber_enrol(weft__fiber *fiber)
{
    weft_scope *scope = fiber->scope;
    weft__fiber_withdraw(fiber);
    enrol_scope(scope);
    weft__spin_lock(&scope->lock_);
    weft__fiber *first = scope->members_;
    fiber->peer = first;
    fiber->link = (weft__fiber **)(void *)&scope->members_;
    if (first != NULL)
        first->link = &fiber->peer;
    scope->members_ = fiber;
    weft__spin_unlock(&scope->lock_);
    fiber->enrolled = scope;
}

void weft__scope_seat(weft_scope *scope, weft__waiter *waiter)
{
    enrol_scope(scope);
    weft__spin_lock(&scope->lock_);
    scope->seated_ = waiter;
    weft__spin_unlock(&scope->lock_);
}

void weft__scope_unseat(weft_scope *scope)
{
    weft__spin_lock(&scope->lock_);
    scope->seated_ = NULL;
    weft__spin_unlock(&scope->lock_);
}

static weft__fiber *current_fiber(void)
{
    weft__worker *worker = weft__worker_self();
    return worker != NULL ? worker->current : NULL;
}

/* ---- cancelling ----------------------------------------------------------------------------- */

/* A walk through all who are in a scope or within. Who was interrupted is resumed after it, without
 * locks: fibers, linked by their items; and the word of the plain thread whose scopes these are.
 * Its waiter may have gone by then: the kernel is only asked who sleeps at that address. */
typedef struct sweep {
    unsigned depth;               /* of the scope that is cancelled; constant, as the next */
    const weft__fiber *self;      /* that cancels, or NULL */
    weft_task *fibers;            /* to be made runnable */
    uint32_t *thread;             /* to be woken */
    const weft_runtime *awake_in; /* where somebody was found awake, and may be about to wait */
} sweep;

static void interrupt_thread(const weft_scope *scope, sweep *all)
{
    weft__waiter *seated = scope->seated_;
    if (seated != NULL && all->depth > scope->shield_ && weft__wait_cut_off(seated))
        all->thread = &seated->woken;
}

static void interrupt_fiber(weft__fiber *fiber, sweep *all)
{
    int rc = fiber != all->self ? weft__wait_cancel(fiber, all->depth) : 0;
    if (rc == -EAGAIN)
        all->awake_in = fiber->runtime;
    if (rc <= 0)
        return;
    fiber->item.prev_ = all->fibers;
    all->fibers = &fiber->item;
}

static void interrupt_all(weft_scope *scope, sweep *all)
{
    weft__spin_lock(&scope->lock_);
    interrupt_thread(scope, all);
    for (weft__fiber *fiber = scope->members_; fiber != NULL; fiber = fiber->peer)
        interrupt_fiber(fiber, all);
    for (weft_scope *child = scope->children_; child != NULL; child = child->next_)
        interrupt_all(child, all);
    weft__spin_unlock(&scope->lock_);
}

void weft_cancel_scope(weft_scope *scope)
{
    if (weft__load_relaxed(&scope->cancelled_)) /* relaxed: whoever set it does the rest */
        return;
    /* edge wait.cancel (seq_cst): before the walk looks at anybody's word */
    weft__store_seq_cst(&scope->cancelled_, 1);
    sweep all = {.depth = scope->depth_, .self = current_fiber()};
    interrupt_all(scope, &all);
    if (all.awake_in != NULL && all.awake_in->can_raid) {
        weft__hook_membarrier(); /* edge wait.cancel: the fence of all who announce a wait */
        interrupt_all(scope, &all);
    }
    if (all.thread != NULL)
        weft__hook_park_wake(all.thread, 1);
    while (all.fibers != NULL) {
        weft_task *next = all.fibers->prev_;
        weft__fiber_ready((weft__fiber *)(void *)all.fibers);
        all.fibers = next;
    }
}

int weft__failure_code(int code)
{
    if (code == 0 || code == INT32_MIN)
        return -EINVAL;
    return code < 0 ? code : -code;
}

void weft_fail_scope(weft_scope *scope, int code)
{
    int none = 0;
    /* relaxed: read once all fibers have ended */
    (void)weft__cas_relaxed(&scope->failure_, &none, weft__failure_code(code));
    weft_cancel_scope(scope);
}

static int is_cancelled(const weft_scope *scope, unsigned shield)
{
    for (; scope != NULL && scope->depth_ > shield; scope = scope->parent_)
        /* edge wait.cancel (seq_cst): behind the announcement of a wait */
        if (weft__load_seq_cst(&scope->cancelled_))
            return 1;
    return 0;
}

int weft__scope_is_cancelled(const weft_scope *scope)
{
    return is_cancelled(scope, scope->shield_);
}

WEFT__FUSED int weft__fiber_is_cancelled(const weft__fiber *fiber)
{
    return weft__scope_is_cancelled(fiber->scope); /* the scope's shield is the fiber's */
}

/* ---- entering and leaving ------------------------------------------------------------------- */

weft_scope *weft_current_scope(void)
{
    weft__fiber *fiber = current_fiber();
    return fiber != NULL ? fiber->scope : weft__thread_scope();
}

static weft__brood *own_brood(weft_scope *scope)
{
    return scope != NULL ? &scope->own_ : NULL;
}

WEFT__HOT weft__brood *weft__brood_here(void)
{
    weft__fiber *fiber = current_fiber();
    return fiber != NULL ? fiber->brood : own_brood(weft__thread_scope());
}

static void set_scope(weft__fiber *fiber, weft_scope *scope, weft__brood *brood)
{
    fiber->scope = scope;
    fiber->brood = brood;
    /* relaxed: see weft__wait_cancel() */
    weft__store_relaxed(&fiber->shield, scope != NULL ? scope->shield_ : 0);
}

static void nest(weft_scope *scope, weft_scope *parent, int is_shield)
{
    if (parent == NULL)
        return;
    scope->parent_ = parent;
    scope->depth_ = parent->depth_ + 1;
    scope->shield_ = is_shield ? parent->depth_ : parent->shield_;
    if (!is_shield && parent->deadline_ns_ < scope->deadline_ns_)
        scope->deadline_ns_ = parent->deadline_ns_;
}

static WEFT__NOINLINE weft_scope *enter_in_thread(weft_scope *scope, int is_shield)
{
    nest(scope, weft__thread_scope(), is_shield);
    weft__thread_set_scope(scope);
    weft__block_attend_scopes();
    return scope;
}

weft_scope *weft__scope_enter(weft_scope *scope, int *result, int64_t deadline_ns, int is_shield)
{
    static const weft_scope nothing;
    weft__worker *worker = weft__worker_self();
    *scope = nothing; /* gcc makes a string instruction of memset() here, which is slow to begin */
    scope->deadline_ns_ = deadline_ns;
    scope->depth_ = 1;
    scope->own_ = (weft__brood){.alive_ = 1, .scope_ = scope};
    scope->result_ = result;
    if (worker == NULL)
        return enter_in_thread(scope, is_shield);
    scope->runtime_ = worker->runtime;
    scope->outer_ = worker->current->brood;
    nest(scope, worker->current->scope, is_shield);
    set_scope(worker->current, scope, &scope->own_);
    return scope;
}

/* One fewer alive. Nonzero: it was the last; of a scope's own brood, the owner alone may touch the
 * scope from then on. */
static int count_out(weft__brood *brood)
{
    /* edge scope.alive (acq_rel): everything in its fibers, for the owner; the owner's waiter, for
     * the last fiber. */
    return weft__fetch_add_acq_rel(&brood->alive_, (uint64_t)-1) == 1;
}

static int commit_owner(weft__waiter *waiter, void *arg)
{
    weft_scope *scope = arg;
    scope->waiter_ = waiter;
    weft__waits_for(waiter, WEFT_REASON_SCOPE, scope);
    return !count_out(&scope->own_);
}

static void leave_scope(weft_scope *scope, weft__fiber *fiber)
{
    if (fiber->enrolled == scope)
        weft__fiber_withdraw(fiber);
    withdraw_scope(scope);
    set_scope(fiber, scope->parent_, scope->outer_);
}

static WEFT__NOINLINE void leave_in_thread(weft_scope *scope)
{
    withdraw_scope(scope);
    weft__thread_set_scope(scope->parent_);
}

static void run_rest(weft_scope *scope, weft__fiber *fiber);

weft_scope *weft__scope_finish(weft_scope *scope)
{
    weft__waiter waiter;
    weft__fiber *fiber = current_fiber();
    if (fiber != NULL)
        run_rest(scope, fiber);
    /* edge scope.alive (acquire): everything in its fibers; nobody else is there to start more */
    if (weft__load_acquire(&scope->own_.alive_) != 1)
        weft__wait(&waiter, commit_owner, scope);
    if (fiber != NULL)
        leave_scope(scope, fiber);
    else
        leave_in_thread(scope);
    if (scope->result_ != NULL)
        *scope->result_ = scope->failure_;
    scope->own_.alive_ = 0; /* for weft__scope_leave(): closed */
    return NULL;
}

void weft__scope_leave(weft_scope *scope)
{
    /* relaxed: only a scope that is closed has nobody, not even its owner */
    if (weft__load_relaxed(&scope->own_.alive_) == 0)
        return;
    weft_cancel_scope(scope);
    (void)weft__scope_finish(scope);
}

int weft_cancel_requested(void)
{
    const weft_scope *scope = weft_current_scope();
    if (scope == NULL)
        return 0;
    if (weft__scope_is_cancelled(scope))
        return -ECANCELED;
    int64_t deadline_ns = scope->deadline_ns_;
    return deadline_ns != WEFT_FOREVER && deadline_ns <= weft_now() ? -ETIMEDOUT : 0;
}

/* ---- fibers --------------------------------------------------------------------------------- */

/* A started fiber: its task, as weft_spawn would have it, behind what the scheduler needs. */
typedef struct started {
    weft_task item;
    weft__brood brood; /* itself, and what it submits */
    const weft_site *site;
} started;

#define TASK_OFFSET ((sizeof(started) + 15) & ~(size_t)15)

static weft_task *task_of(started *self)
{
    return (weft_task *)(void *)((char *)self + TASK_OFFSET);
}

void weft__brood_join(weft__brood *brood)
{
    weft__fetch_add_relaxed(&brood->alive_, 1); /* relaxed: the caller's own keeps it above 0 */
}

/* A fiber and all that it has submitted have ended. Nonzero: it was the scope's last. */
static int end_started(started *self)
{
    weft_scope *scope = self->brood.scope_;
    weft__hook_block_put(self, TASK_OFFSET + self->site->type->task_bytes);
    return count_out(&scope->own_);
}

/* The scope whose owner is to be woken, or NULL. */
static weft_scope *quit(weft__brood *brood)
{
    weft_scope *scope = brood->scope_;
    if (!count_out(brood))
        return NULL;
    if (brood == &scope->own_)
        return scope;
    return end_started((started *)(void *)((char *)brood - offsetof(started, brood))) ? scope
                                                                                      : NULL;
}

void weft__brood_quit(weft__brood *brood)
{
    weft_scope *scope = quit(brood);
    if (scope != NULL)
        weft__wake(scope->waiter_);
}

int weft__scope_visit(weft__brood *brood)
{
    weft__fiber *fiber = current_fiber();
    if (fiber == NULL || fiber->scope != NULL)
        return 0;
    set_scope(fiber, brood->scope_, brood);
    weft__store_relaxed(&fiber->home, brood->scope_); /* relaxed: for dumps */
    return 1;
}

void weft__scope_unvisit(void)
{
    weft__fiber *fiber = current_fiber();
    weft__fiber_withdraw(fiber);
    set_scope(fiber, NULL, NULL);
    weft__store_relaxed(&fiber->home, NULL); /* relaxed: this and the next for dumps */
    weft__store_relaxed(&fiber->site, NULL);
}

int weft__scope_is_over(const weft_scope *scope)
{
    for (const weft_scope *at = scope; at != NULL && at->depth_ > scope->shield_; at = at->parent_)
        if (weft__load_relaxed(&at->cancelled_)) /* relaxed: what begins late ends by itself */
            return 1;
    return scope->deadline_ns_ != WEFT_FOREVER && scope->deadline_ns_ <= weft_now();
}

static void run_body(started *self, weft__fiber *fiber)
{
    self->site->type->run(task_of(self));
    (void)weft__worker_still();
    if (fiber->locals != NULL)
        weft__locals_end(fiber->locals);
}

/* The fiber has ended. Who has submitted nothing, or whose submissions have ended, is alone in its
 * brood, and nobody else will come. The scope whose owner is to be woken, or NULL. */
static weft_scope *quit_as_fiber(started *self)
{
    weft_scope *scope = self->brood.scope_;
    /* edge scope.alive (acquire): everything in its futures, for the owner */
    if (weft__load_acquire(&self->brood.alive_) != 1)
        return quit(&self->brood);
    return end_started(self) ? scope : NULL;
}

static void run_started(weft_task *item)
{
    started *self = (started *)(void *)item;
    weft__fiber *fiber = current_fiber();
    weft__store_relaxed(&fiber->running, self->site->type); /* relaxed: these two for dumps */
    weft__store_relaxed(&fiber->site, self->site);
    (void)weft__scope_visit(&self->brood);
    run_body(self, fiber);
    weft__scope_unvisit();
    weft_scope *scope = quit_as_fiber(self);
    if (scope != NULL)
        weft__hand_over(scope->waiter_);
}

static const weft_task_type started_type = {
    .run = run_started, .name = "fiber", .file = __FILE__, .line = __LINE__, .is_consumed_ = 1};

/* On the stack of the scope's owner, which waits for it here. */
static void run_child(started *self, weft__fiber *fiber)
{
    weft__role before = {fiber->running, fiber->task, fiber->site};
    weft__brood *brood = fiber->brood;
    weft__locals *locals = fiber->locals;
    void *local = fiber->local;
    weft__fiber_plays(fiber, &(weft__role){self->site->type, NULL, self->site});
    fiber->brood = &self->brood;
    fiber->locals = NULL;
    fiber->local = NULL;
    run_body(self, fiber);
    fiber->local = local;
    fiber->locals = locals;
    fiber->brood = brood;
    weft__fiber_plays(fiber, &before);
    (void)quit_as_fiber(self); /* never the scope's last: the owner still counts */
}

/* Scopes may be nested without end, each on the stack of the one around it, so only half of a stack
 * is for that. */
static int has_stack(const weft__fiber *fiber)
{
    size_t left = (uintptr_t)__builtin_frame_address(0) - (uintptr_t)fiber->stack_low;
    return left > fiber->stack_bytes / 2;
}

/* The owner has nothing left to do but to wait for its fibers. Those that nobody has begun yet it
 * runs itself, as a join does with its task: they are no strangers, and cost no switch. */
static void run_rest(weft_scope *scope, weft__fiber *fiber)
{
    /* edge scope.alive (acquire): as in weft__scope_finish() */
    while (weft__load_acquire(&scope->own_.alive_) != 1 && has_stack(fiber)) {
        weft__worker *worker = weft__worker_self();
        weft_task *item = worker->checks == 0 ? weft__worker_hop(worker, 0) : NULL;
        if (item == NULL)
            return;
        if (weft__join_type(item) != &started_type ||
            ((started *)(void *)item)->brood.scope_ != scope) {
            weft__worker_push(worker, item); /* and take it again at once, to go on with it */
            return;
        }
        run_child((started *)(void *)item, fiber);
    }
}

int weft__go(weft_scope *scope, const weft_site *site, const void *args)
{
    const weft_task_type *type = site->type;
    weft_runtime *runtime = scope->runtime_;
    int rc = 0;
    if (weft__load_relaxed(&scope->cancelled_)) /* relaxed: a fiber started late ends by itself */
        return -ECANCELED;
    if (WEFT__UNLIKELY(runtime == NULL))
        rc = weft__runtime_shared(&runtime);
    if (rc != 0)
        return rc;
    started *self = weft__hook_block_get(TASK_OFFSET + type->task_bytes);
    if (self == NULL)
        return -ENOMEM;
    self->brood = (weft__brood){.alive_ = 1, .scope_ = scope};
    self->site = site;
    memcpy((char *)task_of(self) + type->args_offset, args, type->args_bytes);
    weft__brood_join(&scope->own_);
    weft__submit(runtime, &self->item, &started_type);
    return 0;
}
