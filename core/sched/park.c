/* SPDX-License-Identifier: BSD-2-Clause */
/* park.c — suspending a fiber without holding its worker, and waking it from anywhere.
 *
 *     fiber F                          fiber G, same worker: the next that is ready, or idle
 *     publish private tasks
 *     save context ─────────────────→  commit: F's waiter becomes visible to its waker
 *                                      G goes on with its own, or with the scheduler loop
 *     ← somebody switches to F when it has been woken
 *
 * The waiter is made visible only after F's context is saved, on G's stack: a waker may resume F on
 * another worker before `commit` has returned. From then on G must not touch F.
 *
 * Private tasks are published first: the lane belongs to the worker, and G is about to use it. */
#include "sched/worker.h"

#include "batch.h"
#include "debug/check.h"
#include "debug/hang.h"
#include "hooks.h"
#include "lane.h"

#include <errno.h>

/* Where nobody can use membarrier() the push is ordered before the look for sleepers by itself. */
static int push_ordered(weft__worker *worker, weft_task *item)
{
    int rc = weft__deque_reserve(&worker->deque, 1);
    if (rc != 0)
        return rc;
    weft__deque_fill(&worker->deque, 0, item);
    weft__deque_commit(&worker->deque, 1);
    return 0;
}

void weft__worker_push(weft__worker *worker, weft_task *item)
{
    weft_deque *deque = &worker->deque;
    int rc = worker->runtime->can_raid ? weft_deque_push(deque, item) : push_ordered(worker, item);
    /* edge idle.push: the store before, the look for sleepers after. The processor's half of the
     * fence is the membarrier() of whoever takes a last look. */
    weft__compiler_barrier();
    if (rc == 0)
        return;
    item->prev_ = worker->overflow;
    worker->overflow = item;
}

/* Somebody raids while the newest item is taken out of the lane. */
static WEFT__NOINLINE weft_task *take_from_raider(weft__worker *worker, weft_task *item)
{
    return weft__worker_attend(worker, item) ? NULL : item;
}

/* The newest item out of the lane again, unless tasks lie above it, or a raider has it. Whoever is
 * hungry stays so: there is nothing to publish. */
static weft_task *take_newest(weft__worker *worker)
{
    weft__lane *lane = &worker->lane;
    weft_task *item = worker->newest;
    /* relaxed: the owner's own */
    if (item == NULL || weft__load_relaxed(&lane->youngest_) != item)
        return NULL;
    worker->newest = NULL;
    uintptr_t attention = weft__lane_set(lane, NULL);
    if (WEFT__LIKELY(attention == WEFT__CALM || attention == WEFT__HUNGRY))
        return item;
    return take_from_raider(worker, item);
}

/* Whether an item may stay private: nothing else is, and nobody wants it. */
static int may_keep(const weft__worker *worker)
{
    const weft__lane *lane = &worker->lane;
    /* relaxed: the owner's own; a hint, who asks later gets the item all the same */
    return weft__load_relaxed(&lane->youngest_) == NULL &&
           weft__load_relaxed(&lane->attention_) == WEFT__CALM;
}

/* Somebody was hungry, and is no more: nothing else may calm the lane down, where spawns and joins
 * are rare. */
static void calm_down(weft__worker *worker)
{
    const weft_runtime *runtime = worker->runtime;
    /* relaxed: these three are hints */
    if (runtime->can_raid && weft__load_relaxed(&worker->lane.attention_) != WEFT__CALM &&
        weft__load_relaxed(&runtime->sleepers) == 0 &&
        (int32_t)weft__load_relaxed(&runtime->searching) <= 0)
        (void)weft__worker_attend(worker, NULL);
}

static void keep(weft__worker *worker, weft_task *item)
{
    weft_assert(worker->newest == NULL);
    item->prev_ = NULL;
    worker->newest = item;
    if (WEFT__UNLIKELY(weft__lane_set(&worker->lane, item) != WEFT__CALM))
        (void)weft__worker_attend(worker, NULL);
}

/* There is another one already, or somebody has asked. */
static WEFT__NOINLINE void put_among_others(weft__worker *worker, weft_task *item)
{
    weft_task *older = take_newest(worker);
    calm_down(worker);
    if (older != NULL)
        weft__worker_push(worker, older);
    int is_kept = may_keep(worker);
    if (is_kept)
        keep(worker, item);
    else
        weft__worker_push(worker, item);
    if (older != NULL || !is_kept)
        weft__runtime_notify(worker->runtime, worker);
}

WEFT__FUSED void weft__worker_put(weft__worker *worker, weft_task *item)
{
    if (WEFT__LIKELY(may_keep(worker)))
        keep(worker, item);
    else
        put_among_others(worker, item);
}

WEFT__FUSED weft_task *weft__worker_own(weft__worker *worker)
{
    weft_task *item = worker->overflow;
    if (WEFT__UNLIKELY(item != NULL)) {
        worker->overflow = item->prev_;
        return item;
    }
    item = take_newest(worker);
    return item != NULL ? item : weft_deque_take(&worker->deque);
}

void weft__worker_publish_tasks(weft__worker *worker)
{
    (void)weft__worker_attend(worker, NULL);
    /* relaxed: the owner's own */
    weft_task *task = weft__load_relaxed(&worker->lane.youngest_);
    if (task == NULL)
        return;
    int lost = weft__lane_enter(&worker->lane, NULL);
    weft_assert(!lost);
    task = worker->lane.youngest_;
    while (task != NULL) {
        weft_task *older = task->prev_;
        task->prev_ = worker->overflow;
        worker->overflow = task;
        task = older;
    }
    weft__store_relaxed(&worker->lane.youngest_, NULL); /* relaxed: raiders are shut out */
    weft__worker_calm(worker, 0); /* 0: the overflow list is not for thieves */
}

WEFT__FUSED void weft__park(weft__worker *worker, const weft__left *left, int is_yielding)
{
    int saved_errno = *worker->errno_at;
    weft__fiber *fiber = worker->current;
    worker->left = *left;
    WEFT__COUNT(worker, parks, 1);
    weft__worker_publish(worker);
    /* relaxed: for diagnosis alone; `commit` says what it waits for */
    weft__store_relaxed(&fiber->item.state_, (uintptr_t)0);
    weft__store_relaxed(&fiber->reason, (unsigned)WEFT_REASON_UNKNOWN);
    weft__worker_switch(worker, weft__worker_choose(worker, is_yielding));
    worker = weft__fiber_landed(); /* another one, perhaps, and another thread */
    *worker->errno_at = saved_errno;
    if (WEFT__UNLIKELY(worker->checks != 0))
        weft__check_returned(worker->current, saved_errno);
}

int weft__park_thread(weft__waiter *waiter, weft__commit *commit, void *arg, int64_t deadline_ns)
{
    waiter->fiber = NULL;
    waiter->is_tentative = deadline_ns != WEFT_FOREVER ? WEFT__TENTATIVE : WEFT__FIRM;
    weft__store_relaxed(&waiter->woken, WEFT__LOOKING); /* relaxed: nobody knows the waiter yet */
    if (!commit(waiter, arg))
        return 0;
    if (deadline_ns == WEFT_FOREVER)
        weft__thread_rests();
    return weft__sleep_thread(waiter, deadline_ns);
}

static int has_come(const void *woken)
{
    return weft__load_relaxed((const uint32_t *)woken) != WEFT__LOOKING; /* relaxed: read again */
}

/* Look for a moment; if nobody has come, whoever comes from now on has to end a sleep. */
static void fall_asleep(weft__waiter *waiter, int64_t deadline_ns)
{
    uint32_t looking = WEFT__LOOKING;
    if (weft__thread_looks(has_come, &waiter->woken, deadline_ns))
        return;
    weft__thread_set_mood(WEFT__FRESH);
    /* relaxed: one of the two swaps finds what the other has left, and nothing else is told */
    (void)weft__cas_relaxed(&waiter->woken, &looking, WEFT__ASLEEP);
}

int weft__sleep_thread(weft__waiter *waiter, int64_t deadline_ns)
{
    fall_asleep(waiter, deadline_ns);
    int is_late = 0;
    uint32_t seen;
    /* edge park.thread (acquire): what the waker did before */
    while ((seen = weft__load_acquire(&waiter->woken)) == WEFT__ASLEEP) {
        if (is_late)
            return -ETIMEDOUT;
        is_late = weft__hook_park_wait(&waiter->woken, WEFT__ASLEEP, deadline_ns);
    }
    return seen == WEFT__WOKEN ? 0 : -ECANCELED;
}

void weft__wait(weft__waiter *waiter, weft__commit *commit, void *arg)
{
    weft__worker *worker = weft__worker_self();
    waiter->is_tentative = WEFT__FIRM;
    if (worker == NULL) {
        (void)weft__park_thread(waiter, commit, arg, WEFT_FOREVER);
        return;
    }
    waiter->fiber = worker->current;
    weft__left left = {.commit = commit, .waiter = waiter, .arg = arg};
    weft__park(worker, &left, 0);
}

/* From outside, or from a worker of another runtime. */
static WEFT__NOINLINE void submit_from_outside(weft_runtime *runtime, weft_task *item)
{
    /* Nothing else keeps a foreign runtime alive: once pushed, the item may run to its end, and
     * the runtime be destroyed, while we still look for sleepers.
     * relaxed: the push makes it visible to whoever runs the item, hence to the destroyer. */
    weft__fetch_add_relaxed(&runtime->wakers, 1);
    weft__injector_push(&runtime->injector, (weft__link *)(void *)item);
    weft__runtime_notify(runtime, NULL);
    /* edge runtime.wakers (release): the last touch of the runtime. */
    weft__fetch_add_acq_rel(&runtime->wakers, (uint32_t)-1);
}

/* Make an item available to a runtime's workers, from anywhere. */
WEFT__INLINE void submit(weft_runtime *runtime, weft_task *item)
{
    weft__worker *worker = weft__worker_self();
    if (WEFT__LIKELY(worker != NULL && worker->runtime == runtime))
        weft__worker_put(worker, item);
    else
        submit_from_outside(runtime, item);
}

WEFT__FUSED void weft__fiber_ready(weft__fiber *fiber)
{
    weft__fiber_mark_ready(fiber);
    submit(fiber->runtime, &fiber->item);
}

void weft__hand_over(weft__waiter *waiter)
{
    weft__worker *worker = weft__worker_self();
    weft__fiber *fiber = waiter->fiber;
    if (fiber == NULL || fiber->runtime != worker->runtime || worker->handed != NULL ||
        waiter->is_tentative) {
        weft__wake(waiter);
        return;
    }
    weft__fiber_mark_ready(fiber);
    worker->handed = &fiber->item;
}

void weft__submit(weft_runtime *runtime, weft_task *task, const weft_task_type *type)
{
    task->state_ = (uintptr_t)type; /* published by the push */
    submit(runtime, task);
}

static void wake_thread(weft__waiter *waiter)
{
    uint32_t *woken = &waiter->woken;
    uint32_t kind = waiter->is_tentative;
    if (kind != WEFT__TENTATIVE)
        weft__thread_roused();
    /* edge park.thread (release): the waiter may return and its frame be gone from here on. */
    uint32_t before = weft__exchange_release(woken, WEFT__WOKEN);
    if (kind == WEFT__IN_SCOPE && before == WEFT__CUT_OFF)
        weft__thread_rests(); /* whoever cancels has counted it already: one of the two is undone */
    if (before != WEFT__LOOKING)
        weft__hook_park_wake(woken, 1);
}

WEFT__FUSED void weft__wake(weft__waiter *waiter)
{
    weft__fiber *fiber = waiter->fiber;
    if (fiber == NULL)
        wake_thread(waiter);
    else if (!waiter->is_tentative || weft__wait_claim(fiber))
        weft__fiber_ready(fiber);
}
