/* SPDX-License-Identifier: BSD-2-Clause */
/* shmsync.h — locks and their relatives in memory shared between processes.
 *
 * Each is a small struct that lies in the memory of a weft_shm, is initialised once, by one
 * process, before the others use it, and needs no destruction. They work between processes, threads
 * and fibers alike; a fiber that waits is parked.
 *
 * A process that is killed takes no lock with it. Whoever locks a mutex next is told by
 * -EOWNERDEAD, and holds it: what the mutex guards may be half done. It repairs that and says so
 * (weft_shm_mutex_repaired), or leaves it: then the mutex is lost for ever, and says so too. A
 * barrier that waits for somebody who died is broken. Semaphores and events have no holder; a unit
 * that a killed process had acquired is gone.
 *
 * Everything not initialised, or not in the memory of a weft_shm attached here, is -EINVAL.
 *
 * The functions of one kind may be called on one object from anywhere at any time, but for init. */
#ifndef WEFT_SHMSYNC_H
#define WEFT_SHMSYNC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_shm_mutex {
    uint64_t offset_; /* from the beginning of the segment; set by init */
    uint32_t word_;
    uint32_t health_;
} weft_shm_mutex;

typedef struct weft_shm_rlock {
    weft_shm_mutex mutex_;
    uint64_t holder_; /* thread or fiber in the holding process */
    uint64_t depth_;
} weft_shm_rlock;

typedef struct weft_shm_semaphore {
    uint64_t offset_;
    uint32_t bell_[2];
    uint32_t value_;
    uint32_t limit_;
} weft_shm_semaphore;

typedef struct weft_shm_event {
    uint64_t offset_;
    uint32_t bell_[2];
    uint32_t is_set_;
    uint32_t unused_;
} weft_shm_event;

typedef struct weft_shm_cond {
    uint64_t offset_;
    uint32_t bell_[2];
} weft_shm_cond;

typedef struct weft_shm_barrier {
    uint64_t offset_;
    uint32_t bell_[2];
    uint64_t state_; /* which round, who has come, how the last ones ended: see shmsync.c */
    uint64_t parties_;
} weft_shm_barrier;

typedef struct weft_shm_value {
    uint64_t value_;
} weft_shm_value;

/* ---- mutex ----------------------------------------------------------------------------------- */

/**
 * Make an unlocked mutex.
 *
 * Returns         0; -EINVAL it does not lie in shared memory of weft
 * Context         any; nobody uses it yet
 * Progress        wait-free
 */
WEFT_API WEFT_NODISCARD int weft_shm_mutex_init(weft_shm_mutex *mutex) WEFT_NONNULL(1);

/**
 * Lock. Not recursive, not fair.
 *
 * Returns         0; -EOWNERDEAD locked, but its last holder died with it: see above;
 *                 -ENOTRECOVERABLE not locked, what it guards was lost; -EAGAIN held by somebody,
 *                 with WEFT_POLL; -ETIMEDOUT; -ECANCELED; -EINVAL; -ENOMEM no place for this
 *                 process among those attached
 * Context         thread or fiber; may park
 * Order           the previous unlock happens-before the return, and what a dead holder had done
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_shm_mutex_lock(weft_shm_mutex *mutex, int64_t deadline)
    WEFT_NONNULL(1);

/**
 * Lock, and if the last holder died with it, have `repair` put right what it guards.
 *
 * @param repair   called with the lock held; 0: all is well again; otherwise the mutex is lost
 * Returns         0; -ENOTRECOVERABLE it was lost, or is now; otherwise as weft_shm_mutex_lock()
 * Context         thread or fiber; may park
 * Order           as weft_shm_mutex_lock()
 * Progress        as weft_shm_mutex_lock(), and what `repair` does
 */
WEFT_API WEFT_NODISCARD int weft_shm_mutex_lock_repair(weft_shm_mutex *mutex,
                                                       int (*repair)(void *arg), void *arg,
                                                       int64_t deadline) WEFT_NONNULL(1, 2);

/**
 * Say that what the mutex guards is in order again, after -EOWNERDEAD.
 *
 * Returns         0; -EPERM this process does not hold it; -EINVAL
 * Context         any thread of the holding process
 * Progress        wait-free
 */
WEFT_API int weft_shm_mutex_repaired(weft_shm_mutex *mutex) WEFT_NONNULL(1);

/**
 * Unlock; any thread of the holding process may.
 *
 * Returns         0; -EPERM this process does not hold it; -EINVAL
 * Context         any
 * Order           happens-before the next lock's return
 * Progress        wait-free, but for waking a sleeper
 */
WEFT_API int weft_shm_mutex_unlock(weft_shm_mutex *mutex) WEFT_NONNULL(1);

/* ---- recursive lock -------------------------------------------------------------------------- */

/**
 * Make an unlocked recursive lock.
 *
 * Returns         0; -EINVAL
 * Context         any; nobody uses it yet
 * Progress        wait-free
 */
WEFT_API WEFT_NODISCARD int weft_shm_rlock_init(weft_shm_rlock *lock) WEFT_NONNULL(1);

/**
 * Lock, once more if this thread or fiber holds it already.
 *
 * Returns         as weft_shm_mutex_lock(); after -EOWNERDEAD call weft_shm_rlock_repaired()
 * Context         thread or fiber; may park
 * Order           as weft_shm_mutex_lock()
 * Progress        as weft_shm_mutex_lock()
 */
WEFT_API WEFT_NODISCARD int weft_shm_rlock_lock(weft_shm_rlock *lock, int64_t deadline)
    WEFT_NONNULL(1);

/**
 * As weft_shm_mutex_repaired().
 *
 * Returns         as weft_shm_mutex_repaired()
 * Context         the holder
 * Progress        wait-free
 */
WEFT_API int weft_shm_rlock_repaired(weft_shm_rlock *lock) WEFT_NONNULL(1);

/**
 * Unlock as often as it was locked.
 *
 * Returns         0; -EPERM this thread or fiber does not hold it; -EINVAL
 * Context         the holder
 * Order           as weft_shm_mutex_unlock()
 * Progress        as weft_shm_mutex_unlock()
 */
WEFT_API int weft_shm_rlock_unlock(weft_shm_rlock *lock) WEFT_NONNULL(1);

/* ---- semaphore ------------------------------------------------------------------------------- */

/**
 * Make a semaphore of `value` units, that will never have more than `limit`; 0: no limit.
 *
 * Returns         0; -EINVAL
 * Context         any; nobody uses it yet
 * Progress        wait-free
 */
WEFT_API WEFT_NODISCARD int weft_shm_semaphore_init(weft_shm_semaphore *semaphore, uint32_t value,
                                                    uint32_t limit) WEFT_NONNULL(1);

/**
 * Take a unit.
 *
 * Returns         0; -EAGAIN there is none, with WEFT_POLL; -ETIMEDOUT; -ECANCELED; -EINVAL
 * Context         thread or fiber; may park
 * Order           a release happens-before the acquisition of its unit
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_shm_semaphore_acquire(weft_shm_semaphore *semaphore,
                                                       int64_t deadline) WEFT_NONNULL(1);

/**
 * Add units.
 *
 * Returns         0; -EOVERFLOW there would be more than the limit, none was added; -EINVAL
 * Context         any
 * Order           happens-before the acquisition of its units
 * Progress        lock-free, but for waking sleepers
 */
WEFT_API int weft_shm_semaphore_release(weft_shm_semaphore *semaphore, uint32_t units)
    WEFT_NONNULL(1);

/**
 * How many units there are, as a snapshot.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API uint32_t weft_shm_semaphore_value(const weft_shm_semaphore *semaphore) WEFT_NONNULL(1);

/* ---- event ----------------------------------------------------------------------------------- */

/**
 * Make an event that is not set.
 *
 * Returns         0; -EINVAL
 * Context         any; nobody uses it yet
 * Progress        wait-free
 */
WEFT_API WEFT_NODISCARD int weft_shm_event_init(weft_shm_event *event) WEFT_NONNULL(1);

/**
 * Set it: all waits return, until it is cleared.
 *
 * Returns         0; -EINVAL
 * Context         any
 * Order           happens-before the return of the waits that see it
 * Progress        wait-free, but for waking sleepers
 */
WEFT_API int weft_shm_event_set(weft_shm_event *event) WEFT_NONNULL(1);

/**
 * Clear it.
 *
 * Returns         0; -EINVAL
 * Context         any
 * Progress        wait-free
 */
WEFT_API int weft_shm_event_clear(weft_shm_event *event) WEFT_NONNULL(1);

/**
 * Wait until it is set; with WEFT_POLL, ask.
 *
 * Returns         0; -EAGAIN not set, with WEFT_POLL; -ETIMEDOUT; -ECANCELED; -EINVAL
 * Context         thread or fiber; may park
 * Order           the set that it sees happens-before a return of 0
 * Progress        wait-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_shm_event_wait(weft_shm_event *event, int64_t deadline)
    WEFT_NONNULL(1);

/* ---- condition ------------------------------------------------------------------------------- */

/**
 * Make a condition.
 *
 * Returns         0; -EINVAL
 * Context         any; nobody uses it yet
 * Progress        wait-free
 */
WEFT_API WEFT_NODISCARD int weft_shm_cond_init(weft_shm_cond *cond) WEFT_NONNULL(1);

/**
 * Unlock, wait for a notification, lock again. It may return for no reason: wait in a loop that
 * asks for what you wait for.
 *
 * Returns         0 notified, or for no reason; -ETIMEDOUT and -ECANCELED, locked again as well;
 *                 -EOWNERDEAD and -ENOTRECOVERABLE as weft_shm_mutex_lock(); -EPERM this process
 *                 does not hold the mutex; -EINVAL
 * Context         thread or fiber; parks
 * Order           that of unlock and lock; a notification by itself orders nothing
 * Progress        blocking
 */
WEFT_API WEFT_NODISCARD int weft_shm_cond_wait(weft_shm_cond *cond, weft_shm_mutex *mutex,
                                               int64_t deadline) WEFT_NONNULL(1, 2);

/**
 * Wake up to `count` of those who wait; INT_MAX: all.
 *
 * Returns         0; -EINVAL
 * Context         any, with the mutex held or not
 * Progress        wait-free, but for waking sleepers
 */
WEFT_API int weft_shm_cond_notify(weft_shm_cond *cond, int count) WEFT_NONNULL(1);

/* ---- barrier --------------------------------------------------------------------------------- */

/**
 * Make a barrier for so many parties, at most 65535.
 *
 * Returns         0; -EINVAL
 * Context         any; nobody uses it yet
 * Progress        wait-free
 */
WEFT_API WEFT_NODISCARD int weft_shm_barrier_init(weft_shm_barrier *barrier, uint32_t parties)
    WEFT_NONNULL(1);

/**
 * Arrive, and wait for the others of this round.
 *
 * Returns         0 … parties - 1, the order of arrival; -EOWNERDEAD a process attached to the
 *                 memory died meanwhile, and the barrier is broken; -EPIPE it is broken; -EAGAIN
 *                 (with WEFT_POLL), -ETIMEDOUT and -ECANCELED, which break it; -EINVAL
 * Context         thread or fiber; may park
 * Order           all arrivals of a round happen-before all returns
 * Progress        blocking
 */
WEFT_API WEFT_NODISCARD int weft_shm_barrier_wait(weft_shm_barrier *barrier, int64_t deadline)
    WEFT_NONNULL(1);

/**
 * Break the barrier: all waits, also later ones, answer -EPIPE.
 *
 * Returns         0; -EINVAL
 * Context         any
 * Progress        lock-free, but for waking sleepers
 */
WEFT_API int weft_shm_barrier_abort(weft_shm_barrier *barrier) WEFT_NONNULL(1);

/**
 * Begin a new round, of nobody; those who wait get -EPIPE.
 *
 * Returns         0; -EINVAL
 * Context         any
 * Progress        lock-free, but for waking sleepers
 */
WEFT_API int weft_shm_barrier_reset(weft_shm_barrier *barrier) WEFT_NONNULL(1);

/* ---- value ----------------------------------------------------------------------------------- */

/**
 * Read an atomic number.
 *
 * Context         any
 * Order           the store whose value it returns happens-before the return
 * Progress        wait-free
 */
WEFT_API uint64_t weft_shm_value_load(const weft_shm_value *value) WEFT_NONNULL(1);

/**
 * Write an atomic number.
 *
 * Context         any
 * Order           happens-before the loads that return it
 * Progress        wait-free
 */
WEFT_API void weft_shm_value_store(weft_shm_value *value, uint64_t number) WEFT_NONNULL(1);

/**
 * Add to an atomic number; modulo 2^64, so a negative one may be added too.
 *
 * Returns         what it was before
 * Context         any
 * Order           both as load and as store
 * Progress        wait-free
 */
WEFT_API uint64_t weft_shm_value_add(weft_shm_value *value, uint64_t number) WEFT_NONNULL(1);

/**
 * Write `number` if the value is *expected; otherwise write into *expected what it is.
 *
 * Returns         1 written, 0 not
 * Context         any
 * Order           both, if it is written; otherwise as a load
 * Progress        wait-free
 */
WEFT_API int weft_shm_value_swap(weft_shm_value *value, uint64_t *expected, uint64_t number)
    WEFT_NONNULL(1, 2);

WEFT_END_DECLS
#endif
