/* SPDX-License-Identifier: BSD-2-Clause */
/* sync.h — locks and meeting points that park a fiber, never a worker.
 *
 *     mutex       one holder               event      a flag to wait for
 *     rwlock      one writer or readers    latch      a count that falls to zero once
 *     cond        something has changed    barrier    all wait for all, again and again
 *     semaphore   a number of permits      once       the first caller does it
 *
 * All of them serve fibers and plain threads alike, in any mixture: a fiber that waits is parked
 * and its worker does other work on another stack, a plain thread sleeps on a futex. Any may be
 * held, or waited for, across a spawn, a join or any other call that parks.
 *
 * Memory of zeros is a valid object: unlocked, unset, without permits, of no parties. Nothing has
 * to be destroyed, no call allocates, and no call touches an object after it has done what lets
 * another go on: whoever knows that all calls but his own are done may free it, also before they
 * returned.
 *
 * Waiting. A lock that is waited for without a deadline is always had, so weft_mutex_lock() and its
 * like return nothing; each has a form `_until` that may fail. All other calls that wait take a
 * deadline as their last argument. They return 0 or more when what they wait for has come,
 * -ETIMEDOUT when the deadline has passed before (WEFT_POLL: do not wait), -ECANCELED when the
 * caller's scope is cancelled. A call that need not wait does not ask for either; a call that fails
 * has changed nothing, except where it says so. */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* What all of them are made of: core/sync/waitq.h. */
typedef struct weft__waitq {
    uint32_t word_;  /* the primitive's state, and whether somebody waits */
    uint32_t epoch_; /* how often all were woken at once */
    void *first_;    /* the longest waiter */
} weft__waitq;

/* clang-format off */
#define WEFT__WAITQ_INIT(state) {(state), 0, NULL}
/* clang-format on */

/* ---- mutex ----------------------------------------------------------------------------------- */

typedef struct weft_mutex {
    weft__waitq queue_;
} weft_mutex;

/* clang-format off */
#define WEFT_MUTEX_INIT {WEFT__WAITQ_INIT(0)}
/* clang-format on */

/**
 * Lock. Not recursive: a holder that locks again waits for ever.
 *
 * Whoever runs may lock a mutex that has just become free although others wait; after a millisecond
 * of waiting the longest waiter is handed the mutex by the next unlock, so nobody waits for ever.
 *
 * Context         thread or fiber; may park; not cancelled
 * Order           the previous unlock happens-before the return
 * Progress        blocking; one swap while nobody holds it or waits
 */
WEFT_API void weft_mutex_lock(weft_mutex *mutex) WEFT_NONNULL(1);

/**
 * Lock, but give up at a deadline.
 *
 * Returns         0; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber; may park
 * Order           as weft_mutex_lock()
 * Progress        blocking; one swap while nobody holds it or waits
 */
WEFT_API WEFT_NODISCARD int weft_mutex_lock_until(weft_mutex *mutex, int64_t deadline_ns)
    WEFT_NONNULL(1);

/**
 * Lock if nobody holds it.
 *
 * Returns         0; -EAGAIN somebody holds it
 * Context         any
 * Order           as weft_mutex_lock()
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API WEFT_NODISCARD int weft_mutex_trylock(weft_mutex *mutex) WEFT_NONNULL(1);

/**
 * Unlock; wake the longest waiter, if any.
 *
 * Any fiber or thread may unlock, not only the one that locked. Unlocking a free mutex aborts.
 *
 * Context         thread or fiber; never parks
 * Order           happens-before the next lock's return
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API void weft_mutex_unlock(weft_mutex *mutex) WEFT_NONNULL(1);

WEFT__INLINE weft_mutex *weft__with_lock(weft_mutex *mutex)
{
    weft_mutex_lock(mutex);
    return mutex;
}

WEFT__INLINE void weft__with_unlock(weft_mutex **mutex)
{
    if (*mutex)
        weft_mutex_unlock(*mutex);
}

/**
 * Run the following statement or block with the mutex held; it is released on any way out, also by
 * `return` and `goto`. `break` and `continue` leave the block.
 *
 *     weft_with_lock(&account.lock) {
 *         account.balance += amount;
 *     }
 *
 * Context         thread or fiber; may park
 * Progress        blocking
 */
#define weft_with_lock(mutex) WEFT__WITH_LOCK(mutex, __COUNTER__)

/* The names carry a number, so that one such block inside another shadows nothing. */
#define WEFT__WITH_LOCK(mutex, number)                                                             \
    WEFT__WITH_LOCK_(mutex, WEFT__CAT(weft__held_, number), WEFT__CAT(weft__once_, number))
/* clang-format off */
#define WEFT__WITH_LOCK_(mutex, held, once)                                                        \
    for (weft_mutex *held __attribute__((cleanup(weft__with_unlock))) = weft__with_lock(mutex),   \
                    *once = held;                                                                  \
         once; once = NULL)
/* clang-format on */

/* ---- reader-writer lock ---------------------------------------------------------------------- */

typedef struct weft_rwlock {
    weft__waitq writers_;
    weft__waitq readers_; /* its word counts those who wait */
} weft_rwlock;

/* clang-format off */
#define WEFT_RWLOCK_INIT {WEFT__WAITQ_INIT(0), WEFT__WAITQ_INIT(0)}
/* clang-format on */

/**
 * Lock together with other readers.
 *
 * Phases alternate: while a writer waits, readers that come wait behind it; when it unlocks, all
 * readers that wait by then go first. A reader waits for one writer at most, a writer for one round
 * of readers and for writers that came earlier. A reader must not lock again while it holds the
 * lock: a writer between its two locks would stop both.
 *
 * Context         thread or fiber; may park; not cancelled
 * Order           the previous write_unlock happens-before the return
 * Progress        blocking; one swap while nobody writes or waits
 */
WEFT_API void weft_rwlock_read_lock(weft_rwlock *lock) WEFT_NONNULL(1);

/**
 * As weft_rwlock_read_lock(), but give up at a deadline.
 *
 * Returns         0; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber; may park
 * Progress        blocking; one swap while nobody writes or waits
 */
WEFT_API WEFT_NODISCARD int weft_rwlock_read_lock_until(weft_rwlock *lock, int64_t deadline_ns)
    WEFT_NONNULL(1);

/**
 * As weft_rwlock_read_lock(), if that needs no waiting.
 *
 * Returns         0; -EAGAIN a writer holds it or waits
 * Context         any
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API WEFT_NODISCARD int weft_rwlock_read_trylock(weft_rwlock *lock) WEFT_NONNULL(1);

/**
 * Give up a reader's lock; the last of several lets the longest waiting writer in.
 *
 * Context         thread or fiber; never parks
 * Order           happens-before the next write_lock's return
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API void weft_rwlock_read_unlock(weft_rwlock *lock) WEFT_NONNULL(1);

/**
 * Lock alone.
 *
 * Context         thread or fiber; may park; not cancelled
 * Order           all previous unlocks happen-before the return
 * Progress        blocking, first come first served among writers; one swap while it is free
 */
WEFT_API void weft_rwlock_write_lock(weft_rwlock *lock) WEFT_NONNULL(1);

/**
 * As weft_rwlock_write_lock(), but give up at a deadline.
 *
 * Returns         0; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber; may park
 * Progress        blocking, first come first served among writers; one swap while it is free
 */
WEFT_API WEFT_NODISCARD int weft_rwlock_write_lock_until(weft_rwlock *lock, int64_t deadline_ns)
    WEFT_NONNULL(1);

/**
 * As weft_rwlock_write_lock(), if that needs no waiting.
 *
 * Returns         0; -EAGAIN somebody holds it
 * Context         any
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API WEFT_NODISCARD int weft_rwlock_write_trylock(weft_rwlock *lock) WEFT_NONNULL(1);

/**
 * Give up the writer's lock: to all readers that wait, else to the longest waiting writer.
 *
 * Context         thread or fiber; never parks
 * Order           happens-before the next lock's return
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API void weft_rwlock_write_unlock(weft_rwlock *lock) WEFT_NONNULL(1);

/* ---- condition ------------------------------------------------------------------------------- */

typedef struct weft_cond {
    weft__waitq queue_;
} weft_cond;

/* clang-format off */
#define WEFT_COND_INIT {WEFT__WAITQ_INIT(0)}
/* clang-format on */

/**
 * Unlock `mutex`, wait to be notified, and lock it again, in any case: also after a failure.
 *
 * It returns 0 only when notified; still, what was notified may be over by the time the mutex is
 * had, so callers look again:
 *
 *     while (!is_ready && rc == 0)
 *         rc = weft_cond_wait(&changed, &lock, deadline);
 *
 * Several conditions may go with one mutex. Who is notified stands in line for the mutex, and is
 * woken when that is his: many notified at once do not run into each other.
 *
 * Returns         0 notified; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber that holds `mutex`; parks; the second lock is not cancelled
 * Order           the notification, and the previous unlock, happen-before the return
 * Progress        blocking, notified in order of arrival
 */
WEFT_API WEFT_NODISCARD int weft_cond_wait(weft_cond *cond, weft_mutex *mutex, int64_t deadline_ns)
    WEFT_NONNULL(1, 2);

/**
 * Notify the `count` longest waiters, or as many as there are.
 *
 * Whoever changes what is waited for does so with the mutex held; it need not be held here.
 *
 * Context         thread or fiber; never parks
 * Progress        wait-free if nobody waits; else it may wait for a few instructions of others
 */
WEFT_API void weft_cond_notify(weft_cond *cond, size_t count) WEFT_NONNULL(1);

/**
 * Notify all who wait.
 *
 * Context         thread or fiber; never parks
 * Progress        as weft_cond_notify()
 */
WEFT_API void weft_cond_notify_all(weft_cond *cond) WEFT_NONNULL(1);

/* ---- semaphore ------------------------------------------------------------------------------- */

#define WEFT_SEMAPHORE_MAX ((uint32_t)0x3fffffff)

typedef struct weft_semaphore {
    weft__waitq queue_;
    uint32_t limit_; /* permits it never exceeds; 0: WEFT_SEMAPHORE_MAX */
} weft_semaphore;

/* With `permits` to begin with; bounded: that is also the most there may be. */
/* clang-format off */
#define WEFT_SEMAPHORE_INIT(permits) {WEFT__WAITQ_INIT((uint32_t)(permits) << 2), 0}
#define WEFT_BOUNDED_SEMAPHORE_INIT(permits) {WEFT__WAITQ_INIT((uint32_t)(permits) << 2), (permits)}
/* clang-format on */

/**
 * Take a permit, waiting for one in order of arrival.
 *
 * Returns         0; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber; may park
 * Order           the release that made the permit happens-before the return
 * Progress        blocking, first come first served; one swap while there are permits
 */
WEFT_API WEFT_NODISCARD int weft_semaphore_acquire(weft_semaphore *semaphore, int64_t deadline_ns)
    WEFT_NONNULL(1);

/**
 * Give back, or create, `permits`: to those who wait, longest first, the rest to those who come.
 *
 * Returns         0; -EINVAL there would be more than the semaphore may have: nothing is done
 * Context         thread or fiber; never parks
 * Order           happens-before the return of the acquire that takes the permit
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API int weft_semaphore_release(weft_semaphore *semaphore, uint32_t permits) WEFT_NONNULL(1);

/**
 * Count the permits that nobody has; a snapshot.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API uint32_t weft_semaphore_permits(const weft_semaphore *semaphore) WEFT_NONNULL(1);

/* ---- event ----------------------------------------------------------------------------------- */

typedef struct weft_event {
    weft__waitq queue_;
} weft_event;

/* clang-format off */
#define WEFT_EVENT_INIT {WEFT__WAITQ_INIT(0)}
/* clang-format on */

/**
 * Set the event and wake all who wait; setting it twice is the same as once.
 *
 * Context         thread or fiber; never parks
 * Order           the call that sets it happens-before the return of a wait that sees it set
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API void weft_event_set(weft_event *event) WEFT_NONNULL(1);

/**
 * Unset the event. Whoever has been woken by a set returns nevertheless.
 *
 * Context         any
 * Progress        one swap; may wait for a few instructions of others
 */
WEFT_API void weft_event_clear(weft_event *event) WEFT_NONNULL(1);

/**
 * Tell whether the event is set: nonzero.
 *
 * Context         any
 * Order           if set, the call that set it happens-before the return
 * Progress        wait-free
 */
WEFT_API int weft_event_is_set(const weft_event *event) WEFT_NONNULL(1);

/**
 * Wait until the event is set.
 *
 * Returns         0; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber; may park
 * Order           the call that set it happens-before the return
 * Progress        blocking; one load if it is set
 */
WEFT_API WEFT_NODISCARD int weft_event_wait(weft_event *event, int64_t deadline_ns) WEFT_NONNULL(1);

/* ---- latch ----------------------------------------------------------------------------------- */

typedef struct weft_latch {
    weft__waitq queue_;
} weft_latch;

/* Opens after `count` steps, at most WEFT_SEMAPHORE_MAX; of zero, it is open. */
/* clang-format off */
#define WEFT_LATCH_INIT(count) {WEFT__WAITQ_INIT((uint32_t)(count) << 2)}
/* clang-format on */

/**
 * Count the latch down by `steps`; at zero it opens, for good. Below zero aborts.
 *
 * Context         thread or fiber; never parks
 * Order           happens-before the return of every wait
 * Progress        one swap while nobody waits; else it may wait for a few instructions of others
 */
WEFT_API void weft_latch_count_down(weft_latch *latch, uint32_t steps) WEFT_NONNULL(1);

/**
 * Wait until the latch is open.
 *
 * Returns         0; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber; may park
 * Order           all steps happen-before the return
 * Progress        blocking; one load if it is open
 */
WEFT_API WEFT_NODISCARD int weft_latch_wait(weft_latch *latch, int64_t deadline_ns) WEFT_NONNULL(1);

/* ---- barrier --------------------------------------------------------------------------------- */

typedef struct weft_barrier {
    weft__waitq queue_;
    uint32_t parties_;
    int (*action_)(void *arg);
    void *arg_;
} weft_barrier;

/* For `parties`; with an action, the last to arrive calls it before anybody goes on. */
/* clang-format off */
#define WEFT_BARRIER_INIT(parties) {WEFT__WAITQ_INIT(0), (parties), NULL, NULL}
#define WEFT_BARRIER_INIT_ACTION(parties, action, arg)                                             \
    {WEFT__WAITQ_INIT(0), (parties), (action), (arg)}
/* clang-format on */

/**
 * Wait until all parties have come; then all go on, and the next round begins.
 *
 * A barrier breaks when a wait is given up, when the action answers nonzero, or when somebody says
 * so: all who wait return -EPIPE, and so does who comes later, until the barrier is reset. A wait
 * at one of no parties, which memory of zeros is, aborts.
 *
 * Returns         the order of arrival, 0 ... parties - 1; -EPIPE it is broken; -ETIMEDOUT or
 *                 -ECANCELED: the caller has given up, and broken it for the others
 * Context         thread or fiber; may park
 * Order           all arrivals, and the action, happen-before all returns
 * Progress        blocking
 */
WEFT_API WEFT_NODISCARD int weft_barrier_wait(weft_barrier *barrier, int64_t deadline_ns)
    WEFT_NONNULL(1);

/**
 * Break the barrier: all who wait return -EPIPE, as do those who come later.
 *
 * Context         thread or fiber; never parks
 * Progress        may wait for a few instructions of others
 */
WEFT_API void weft_barrier_abort(weft_barrier *barrier) WEFT_NONNULL(1);

/**
 * Make the barrier whole and empty: all who wait return -EPIPE, those who come later wait again.
 *
 * Context         thread or fiber; never parks
 * Progress        may wait for a few instructions of others
 */
WEFT_API void weft_barrier_reset(weft_barrier *barrier) WEFT_NONNULL(1);

/**
 * Tell whether the barrier is broken: nonzero; a snapshot.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API int weft_barrier_is_broken(const weft_barrier *barrier) WEFT_NONNULL(1);

/**
 * Count those who wait at the barrier; a snapshot.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API uint32_t weft_barrier_waiting(const weft_barrier *barrier) WEFT_NONNULL(1);

/* ---- once ------------------------------------------------------------------------------------ */

typedef struct weft_once {
    weft__waitq queue_;
} weft_once;

/* clang-format off */
#define WEFT_ONCE_INIT {WEFT__WAITQ_INIT(0)}
/* clang-format on */

/**
 * Call `action(arg)` unless a call through `once` has succeeded before, by returning 0. Others who
 * come meanwhile wait for it; if it fails, the longest waiter calls its own.
 *
 * Returns         0 it has been done; or what the caller's own action returned, if that failed
 * Context         thread or fiber; may park; not cancelled; `action` may park, but not wait for
 *                 `once` itself
 * Order           the successful action happens-before the return
 * Progress        blocking; one load when it has been done
 */
WEFT_API int weft_once_call(weft_once *once, int (*action)(void *arg), void *arg)
    WEFT_NONNULL(1, 2);

WEFT_END_DECLS
#endif
