/* SPDX-License-Identifier: BSD-2-Clause */
/* workers.c — the executors that consist of workers: those of a runtime, a pool, the shared ones.
 *
 * A submission from inside goes into the worker's own deque, one from outside into the injector;
 * from there on futures are items like all others. What an executor adds is that it knows when
 * everything has ended, so that it can be shut down.
 *
 * What counts them is tally.c. */
#include "future.h"

#include <weft/atomic.h>
#include <weft/fiber.h>
#include <weft/sync.h>

#include "batch.h"
#include "hooks.h"
#include "room.h"
#include "sched/worker.h"
#include "stock.h"
#include "tally.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

/* What a worker has for itself; wherever the first of them lies, no two share a line. */
typedef struct shard {
    weft__counts counts;
    weft__stock stock;
    char line[2 * WEFT__CACHE_LINE - 2 * sizeof(uint64_t) - sizeof(weft__stock)];
} shard;

typedef struct pool {
    weft_executor base;
    weft__tenant tenant;
    weft_runtime *runtime;
    uint64_t fork_count;    /* of the process that has its workers */
    weft_future *ended;     /* a promise, kept when `is_closing` and nothing is in flight */
    uint32_t is_cancelling; /* what has not begun is cancelled */

    /* A bound on the queue, if `room.max` is not 0. */
    weft_full full;
    weft_mutex lock; /* guards the rest */
    weft__room room; /* submissions that have not begun */

    char line0[WEFT__CACHE_LINE];
    weft__tally tally; /* what is in flight */
    char line1[WEFT__CACHE_LINE];
    shard shards[];
} pool;

static void pool_submit(weft_executor *executor, weft_future *future);
static void pool_submit_until(weft_executor *executor, weft_future *future, int64_t deadline_ns);
static int pool_shutdown(weft_executor *executor, unsigned flags, int64_t deadline_ns);
static const weft_executor_ops pool_ops = {
    .submit = pool_submit, .shutdown = pool_shutdown, .submit_until = pool_submit_until};

static void run_item(weft_task *item);
static const weft_task_type item_type = {
    .run = run_item, .name = "future", .file = __FILE__, .line = __LINE__, .is_consumed_ = 1};

static pool *pool_of(weft_executor *executor)
{
    return (pool *)(void *)executor;
}

static int is_pool(const weft_executor *executor)
{
    return executor != NULL && executor->ops == &pool_ops;
}

/* The calling worker, if it is one of the pool's. */
static weft__worker *own_worker(const pool *self)
{
    weft__worker *worker = weft__worker_self();
    return worker != NULL && worker->runtime == self->runtime ? worker : NULL;
}

/* ---- memory --------------------------------------------------------------------------------- */

static pool *pool_of_tenant(weft__tenant *tenant)
{
    return (pool *)(void *)((char *)tenant - offsetof(pool, tenant));
}

WEFT__HOT weft__stock *weft__workers_stock(weft__worker *worker)
{
    /* edge workers.tenant (acquire): the pool */
    weft__tenant *tenant = weft__load_acquire(&worker->runtime->tenant);
    return tenant != NULL ? &pool_of_tenant(tenant)->shards[worker->id].stock : NULL;
}

/* ---- has everything ended? ------------------------------------------------------------------ */

/* To be told of more than once. */
static void tell_end(pool *self)
{
    (void)weft_future_set_result(self->ended, NULL);
}

/* A worker has ended a future, perhaps not the one that began it. */
static void count_ended(pool *self)
{
    weft__worker *worker = own_worker(self);
    if (worker == NULL)
        WEFT__PANIC("a forked child returned from the task that called fork(); it must end with "
                    "_exit() or exec");
    if (weft__tally_end(&self->tally, &self->shards[worker->id].counts))
        tell_end(self);
}

static void begin_to_watch(pool *self)
{
    if (weft__tally_watch(&self->tally, self->runtime->can_raid))
        tell_end(self);
}

/* ---- a bound on the queue ------------------------------------------------------------------- */

/* 0: there is a place in the queue. Otherwise the pool's policy has been applied. */
static int enter_queue(pool *self, weft_future *future, int64_t deadline_ns)
{
    weft_mutex_lock(&self->lock);
    if (weft__room_enter(&self->room)) {
        weft_mutex_unlock(&self->lock);
        return 0;
    }
    int rc = -EAGAIN;
    if (self->full == WEFT_FULL_WAIT)
        rc = weft__room_wait(&self->room, &self->lock, WEFT_REASON_FUTURE, deadline_ns);
    else
        weft_mutex_unlock(&self->lock);
    if (rc != 0 && self->full == WEFT_FULL_RUN)
        weft_future_run(future);
    else if (rc != 0)
        weft__future_refuse(future, rc);
    return rc;
}

/* One that was queued begins, or will not: the longest guest has its place. */
static void quit_queue(pool *self)
{
    weft_mutex_lock(&self->lock);
    weft__guest *served = weft__room_quit(&self->room, 1);
    weft_mutex_unlock(&self->lock);
    weft__room_wake(served);
}

/* ---- run ------------------------------------------------------------------------------------ */

WEFT__HOT static void run_item(weft_task *item)
{
    weft_future *future = weft__future_of_item(item);
    pool *self = pool_of(future->executor);
    weft__store_relaxed(&own_worker(self)->current->running,
                        future->site->type); /* relaxed: for dumps */
    if (self->room.max != 0)
        quit_queue(self);
    if (WEFT__UNLIKELY(weft__load_relaxed(&self->is_cancelling))) /* relaxed: sooner or later */
        weft__future_cancel_queued(future);
    else
        weft_future_run(future);
    count_ended(self);
}

WEFT__HOT int weft__workers_take_back(weft_future *future)
{
    weft__worker *worker = weft__worker_self();
    /* relaxed: whoever steals it now may end it; then the take fails */
    if (worker == NULL || weft__deque_peek(&worker->deque) != &future->head ||
        worker->current->brood != weft__load_relaxed(&future->brood) ||
        weft_deque_take(&worker->deque) != &future->head)
        return 0;
    const weft_task_type *running = worker->current->running;
    weft__fiber *fiber = worker->current;
    run_item(&future->head);
    weft__store_relaxed(&fiber->running, running); /* relaxed: as in run_item() */
    return 1;
}

/* The runtime of a future that has been submitted to its workers and has not ended, there until the
 * caller lets go of it; or NULL. A future may outlive its executor: that is looked into only once
 * it is certain to be there. */
WEFT__HOT static weft_runtime *hold_runtime(const weft_future *future)
{
    weft_runtime *runtime = NULL;
    weft__newcomer_comes(&weft__newcomers);
    /* relaxed: who sees an older value does not stand in */
    if (future->executor != NULL &&
        weft__load_relaxed(&future->head.state_) == (uintptr_t)&item_type &&
        (weft__state_look(&future->state) & WEFT__ENDED) == 0) {
        runtime = pool_of(future->executor)->runtime;
        weft__fetch_add_relaxed(&runtime->wakers, 1); /* relaxed: published by the next */
    }
    weft__newcomer_goes(&weft__newcomers);
    return runtime;
}

WEFT__HOT int weft__workers_stand_in(weft_future *future)
{
    if (!weft__thread_may_stand_in())
        return 0;
    weft_runtime *runtime = hold_runtime(future);
    if (runtime == NULL)
        return 0;
    int has_run = weft__stand_in(runtime, &future->head);
    /* edge runtime.wakers (release): the last touch of the runtime. */
    weft__fetch_add_acq_rel(&runtime->wakers, (uint32_t)-1);
    return has_run;
}

WEFT__HOT int weft__workers_were_left(weft_executor *executor)
{
    return weft__fork_count() != 0 && is_pool(executor) &&
           pool_of(executor)->fork_count != weft__fork_count();
}

/* ---- submit --------------------------------------------------------------------------------- */

static void submit_inside(pool *self, weft__worker *worker, weft_future *future)
{
    weft__tally_submit(&self->shards[worker->id].counts);
    weft__worker_push(worker, &future->head);
    weft__runtime_notify(self->runtime, worker);
}

static void submit_outside(pool *self, weft_future *future)
{
    weft__onlooker_comes();
    if (weft__tally_enter(&self->tally)) {
        weft__injector_push(&self->runtime->injector, (weft__link *)(void *)&future->head);
        weft__runtime_notify(self->runtime, NULL);
    } else {
        if (weft__tally_refuse(&self->tally))
            tell_end(self);
        if (self->room.max != 0)
            quit_queue(self);
        weft__future_refuse(future, -EPIPE);
    }
    weft__tally_leave(&self->tally); /* the last touch of the pool */
}

static void pool_submit_until(weft_executor *executor, weft_future *future, int64_t deadline_ns)
{
    pool *self = pool_of(executor);
    /* relaxed: published by the push; hold_runtime() may look before */
    weft__store_relaxed(&future->head.state_, (uintptr_t)&item_type);
    int rc = self->fork_count != weft__fork_count() ? -ECHILD : 0;
    if (rc == 0 && weft__tally_is_closed(&self->tally))
        rc = -EPIPE;
    if (rc != 0) {
        weft__future_refuse(future, rc);
        return;
    }
    if (self->room.max != 0 && enter_queue(self, future, deadline_ns) != 0)
        return;
    weft__worker *worker = own_worker(self); /* now: waiting for room may have moved us */
    if (worker != NULL)
        submit_inside(self, worker, future);
    else
        submit_outside(self, future);
}

WEFT__HOT static void pool_submit(weft_executor *executor, weft_future *future)
{
    pool_submit_until(executor, future, WEFT_FOREVER);
}

/* ---- shutdown ------------------------------------------------------------------------------- */

/* Cancel the item if it is a future; otherwise link it in front of `others`. */
static weft__link *purge_item(pool *self, weft_task *item, weft__link *others)
{
    if (weft__load_relaxed(&item->state_) !=
        (uintptr_t)&item_type) { /* relaxed: constant for ours */
        weft__link *link = (weft__link *)(void *)item;
        link->next = others;
        return link;
    }
    if (self->room.max != 0)
        quit_queue(self);
    weft__future_cancel_queued(weft__future_of_item(item));
    weft__tally_purge(&self->tally);
    return others;
}

/* Cancel what lies in queues now, rather than when a worker comes across it. Whatever else is found
 * there goes back through the injector. */
static void purge(pool *self)
{
    weft_runtime *runtime = self->runtime;
    weft__link *others = NULL;
    weft__link *link = weft__injector_take_all(&runtime->injector);
    while (link != NULL) {
        weft__link *next = link->next;
        others = purge_item(self, (weft_task *)(void *)link, others);
        link = next;
    }
    for (unsigned id = 0; id < runtime->worker_count; id++) {
        void *item = NULL;
        weft_steal result;
        while ((result = weft_deque_steal(&runtime->workers[id].deque, &item)) != WEFT_STEAL_EMPTY)
            if (result == WEFT_STEAL_ITEM)
                others = purge_item(self, item, others);
    }
    while (others != NULL) {
        weft__link *next = others->next;
        weft__injector_push(&runtime->injector, others);
        others = next;
    }
    weft__runtime_notify(runtime, own_worker(self));
}

static int pool_shutdown(weft_executor *executor, unsigned flags, int64_t deadline_ns)
{
    pool *self = pool_of(executor);
    if (self->fork_count != weft__fork_count())
        return -ECHILD;
    if (weft__runtime_is_shared(self->runtime))
        return -ENOTSUP;
    if (own_worker(self) != NULL && deadline_ns > WEFT_POLL)
        return -EDEADLK;
    weft__tally_close(&self->tally);
    if (flags & WEFT_CANCEL_PENDING) {
        weft__store_relaxed(&self->is_cancelling, 1); /* relaxed: for those that purge() misses */
        purge(self);
    }
    begin_to_watch(self);
    return weft_future_result(self->ended, NULL, deadline_ns);
}

int weft_executor_shutdown(weft_executor *executor, unsigned flags, int64_t deadline)
{
    return executor->ops->shutdown(executor, flags, deadline);
}

/* The runtime is about to stop: what was submitted runs to its end first. */
static void wait_for_all(weft__tenant *tenant)
{
    pool *self = pool_of_tenant(tenant);
    begin_to_watch(self);
    weft_shield
    {
        while (weft_future_result(self->ended, NULL, WEFT_FOREVER) != 0)
            (void)sched_yield(); /* no memory: there is nothing better to do */
    }
    /* at most a wake-up from their last touch */
    for (unsigned round = 0; weft__tally_is_entered(&self->tally); round++)
        weft__pause(round);
    weft__newcomers_await(&weft__newcomers);
}

static void free_pool(weft__tenant *tenant)
{
    pool *self = pool_of_tenant(tenant);
    if (self->ended != NULL)
        weft_future_release(self->ended);
    for (unsigned id = 0; id < self->runtime->worker_count; id++)
        weft__stock_clear(&self->shards[id].stock);
    weft__free(self);
}

/* ---- made ----------------------------------------------------------------------------------- */

static pool *pool_new(weft_runtime *runtime)
{
    size_t bytes = sizeof(pool) + runtime->worker_count * sizeof(shard);
    pool *self = weft__alloc(bytes);
    if (self == NULL)
        return NULL;
    memset(self, 0, bytes);
    self->base.ops = &pool_ops;
    self->tenant = (weft__tenant){.before_stop = wait_for_all, .after_stop = free_pool};
    self->runtime = runtime;
    self->fork_count = weft__fork_count();
    weft__tally_init(&self->tally, &self->shards[0].counts, sizeof(shard), runtime->worker_count,
                     runtime->can_raid);
    self->ended = weft_promise_new(0);
    if (weft_future_done(self->ended)) { /* for lack of memory */
        free_pool(&self->tenant);
        return NULL;
    }
    return self;
}

/* The executor of a runtime, made by the first who asks. NULL: no memory. */
static pool *pool_of_runtime(weft_runtime *runtime)
{
    /* edge workers.tenant (acquire): the pool */
    weft__tenant *tenant = weft__load_acquire(&runtime->tenant);
    if (tenant != NULL)
        return pool_of_tenant(tenant);
    pool *self = pool_new(runtime);
    if (self == NULL)
        return NULL;
    /* edge workers.tenant (acq_rel): the pool; somebody else's, if he was faster */
    if (weft__cas_acq_rel(&runtime->tenant, &tenant, &self->tenant))
        return self;
    tell_end(self); /* a promise that nobody keeps is not freed */
    free_pool(&self->tenant);
    return pool_of_tenant(tenant);
}

unsigned weft__workers_count(weft_executor *executor)
{
    if (executor == weft_inline())
        return 1;
    return is_pool(executor) ? pool_of(executor)->runtime->worker_count : 0;
}

weft_executor *weft__workers_of(weft_runtime *runtime)
{
    pool *self = pool_of_runtime(runtime);
    return self != NULL ? &self->base : NULL;
}

int weft_pool_create(weft_executor **out, const weft_pool_config *config)
{
    weft_runtime *runtime;
    static const weft_pool_config defaults;
    if (config == NULL)
        config = &defaults;
    if (config->full > WEFT_FULL_FAIL)
        return -EINVAL;
    int rc = weft_runtime_create(&runtime, &config->runtime);
    if (rc != 0)
        return rc;
    pool *self = pool_of_runtime(runtime);
    if (self == NULL) {
        (void)weft_runtime_destroy(runtime);
        return -ENOMEM;
    }
    self->room.max = config->queue_max;
    self->full = config->full;
    *out = &self->base;
    return 0;
}

int weft_pool_destroy(weft_executor *executor)
{
    if (executor == NULL)
        return 0;
    pool *self = pool_of(executor);
    if (self->fork_count == weft__fork_count()) {
        int rc = pool_shutdown(executor, 0, WEFT_FOREVER);
        if (rc == -EDEADLK || rc == -ENOTSUP)
            return rc;
    }
    return weft_runtime_destroy(self->runtime); /* which frees the pool */
}
