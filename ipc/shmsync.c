/* SPDX-License-Identifier: BSD-2-Clause */
/* shmsync.c — locks, semaphores, events, conditions and barriers in shared memory.
 *
 * An object knows how far it is from the beginning of its segment. The segment that is attached
 * there says who this process is and who of the others is dead, so the objects themselves are a few
 * words and the calls need no handle.
 *
 * All waits are naps (watch.h): a death ends them, and whoever wakes from one looks who has died.
 * The mutex sleeps on its word, as futexes do; the others on a bell. */
#include <weft/shmsync.h>

#include "bell.h"
#include "hooks.h"
#include "owner.h"
#include "robust.h"
#include "watch.h"

#include <errno.h>
#include <limits.h>

/* ---- the segment around an object ------------------------------------------------------------ */

static int place(const void *object, size_t bytes, uint64_t *offset)
{
    weft__segment *segment = weft__segment_around(object);
    if (segment == NULL || (uintptr_t)object % 8 != 0)
        return -EINVAL;
    uint64_t at = (uint64_t)((const char *)object - segment->base);
    if (at < segment->geometry.body || at + bytes > segment->geometry.total_bytes)
        return -EINVAL;
    *offset = at;
    return 0;
}

static weft__segment *segment_of(const void *object, const uint64_t *offset_word)
{
    uint64_t offset = weft__load_relaxed(offset_word); /* relaxed: constant after init */
    return offset == 0 ? NULL : weft__segment_at((const void *)((uintptr_t)object - offset));
}

/* ---- naps ------------------------------------------------------------------------------------ */

/* As weft__nap_sleep(), and who is dead is known. */
static int nap_on(weft__nap *nap, const uint32_t *word, uint32_t expected)
{
    int rc = weft__nap_sleep(nap, word, expected);
    if (rc == -EAGAIN || rc == -ETIMEDOUT)
        (void)weft__members_look(nap->segment);
    if (rc != 0 && rc != -ECANCELED)
        weft__members_reap(nap->segment);
    return rc;
}

/* ---- mutex ----------------------------------------------------------------------------------- */

static_assert(offsetof(weft_shm_mutex, health_) ==
                  offsetof(weft_shm_mutex, word_) + offsetof(weft__robust, health),
              "a weft__robust lies in each mutex");

static weft__robust *robust_of(weft_shm_mutex *mutex)
{
    return (weft__robust *)(void *)&mutex->word_;
}

int weft_shm_mutex_init(weft_shm_mutex *mutex)
{
    uint64_t offset;
    int rc = place(mutex, sizeof *mutex, &offset);
    if (rc != 0)
        return rc;
    *mutex = (weft_shm_mutex){.offset_ = offset};
    return 0;
}

static int try_lock(weft__segment *segment, weft__robust *lock, uint32_t me, uint32_t *seen)
{
    return weft__robust_try(lock, me, seen, segment->processes, segment->geometry.participants);
}

static int lock_slowly(weft__nap *nap, weft__robust *lock, uint32_t me)
{
    uint32_t seen;
    for (int i = 0; i < weft__hook_spins(); i++) {
        int rc = try_lock(nap->segment, lock, me, &seen);
        if (rc >= 0)
            return rc;
        weft__relax();
    }
    for (;;) {
        weft__nap_begin(nap);
        int rc = try_lock(nap->segment, lock, me | WEFT__WAITED, &seen);
        if (rc >= 0)
            return rc;
        if (!weft__robust_wait(lock, &seen))
            continue;
        rc = nap_on(nap, &lock->word, seen);
        if (rc == -ETIMEDOUT || rc == -ECANCELED)
            return rc;
    }
}

/* 0; 1 inherited; or why not. Firm: whatever becomes of the caller's scope. */
static int lock_any(weft_shm_mutex *mutex, int64_t deadline, int is_firm)
{
    weft__segment *segment = segment_of(mutex, &mutex->offset_);
    if (segment == NULL)
        return -EINVAL;
    weft__robust *lock = robust_of(mutex);
    uint32_t seen, me = weft__holder(weft__member_self(segment));
    if (me == 0)
        return -ENOMEM;
    int rc = try_lock(segment, lock, me, &seen);
    if (rc == -EAGAIN && deadline <= WEFT_POLL) {
        (void)weft__members_look(segment);
        rc = try_lock(segment, lock, me, &seen);
    } else if (rc == -EAGAIN) {
        weft__nap nap = weft__nap_of(segment, deadline);
        nap.is_firm = is_firm;
        rc = lock_slowly(&nap, lock, me);
    }
    if (rc >= 0 && weft__load_relaxed(&lock->health) == WEFT__LOST) { /* relaxed: the holder's */
        (void)weft_shm_mutex_unlock(mutex);
        return -ENOTRECOVERABLE;
    }
    if (rc == 0 && weft__load_relaxed(&lock->health) != WEFT__GOOD) /* relaxed: as above */
        rc = 1;
    return rc;
}

int weft_shm_mutex_lock(weft_shm_mutex *mutex, int64_t deadline)
{
    int rc = lock_any(mutex, deadline, 0);
    return rc > 0 ? -EOWNERDEAD : rc;
}

int weft_shm_mutex_lock_repair(weft_shm_mutex *mutex, int (*repair)(void *), void *arg,
                               int64_t deadline)
{
    int rc = lock_any(mutex, deadline, 0);
    if (rc <= 0)
        return rc;
    if (repair(arg) == 0)
        return weft_shm_mutex_repaired(mutex);
    (void)weft_shm_mutex_unlock(mutex);
    return -ENOTRECOVERABLE;
}

/* The lock, if this process holds it. */
static int held(weft_shm_mutex *mutex, weft__robust **lock)
{
    weft__segment *segment = segment_of(mutex, &mutex->offset_);
    if (segment == NULL)
        return -EINVAL;
    uint32_t me = weft__holder(weft__member_self(segment));
    *lock = robust_of(mutex);
    /* relaxed: if it is ours, we have written it */
    return me != 0 && (weft__load_relaxed(&(*lock)->word) & ~WEFT__WAITED) == me ? 0 : -EPERM;
}

int weft_shm_mutex_repaired(weft_shm_mutex *mutex)
{
    weft__robust *lock;
    int rc = held(mutex, &lock);
    if (rc == 0)
        weft__store_relaxed(&lock->health, WEFT__GOOD); /* relaxed: the holder's alone */
    return rc;
}

int weft_shm_mutex_unlock(weft_shm_mutex *mutex)
{
    weft__robust *lock;
    int rc = held(mutex, &lock);
    if (rc == 0 && weft__robust_unlock(lock)) {
        /* relaxed: nobody but a holder writes it, and LOST is for ever */
        int is_lost = weft__load_relaxed(&lock->health) == WEFT__LOST;
        (void)weft__hook_shared_wake(&lock->word, is_lost ? INT_MAX : 1);
    }
    return rc;
}

/* ---- recursive lock -------------------------------------------------------------------------- */

int weft_shm_rlock_init(weft_shm_rlock *lock)
{
    lock->holder_ = 0;
    lock->depth_ = 0;
    return weft_shm_mutex_init(&lock->mutex_);
}

/* Whether the caller holds it. */
static int is_mine(weft_shm_rlock *lock)
{
    weft__robust *robust;
    return held(&lock->mutex_, &robust) == 0 &&
           weft__load_relaxed(&lock->holder_) == /* relaxed: only the caller stores its own */
               (uint64_t)weft__hook_self();
}

int weft_shm_rlock_lock(weft_shm_rlock *lock, int64_t deadline)
{
    if (is_mine(lock)) {
        lock->depth_++;
        return 0;
    }
    int rc = weft_shm_mutex_lock(&lock->mutex_, deadline);
    if (rc == 0 || rc == -EOWNERDEAD) {
        weft__store_relaxed(&lock->holder_, /* relaxed: under the lock */
                            (uint64_t)weft__hook_self());
        lock->depth_ = 1;
    }
    return rc;
}

int weft_shm_rlock_repaired(weft_shm_rlock *lock)
{
    return is_mine(lock) ? weft_shm_mutex_repaired(&lock->mutex_) : -EPERM;
}

int weft_shm_rlock_unlock(weft_shm_rlock *lock)
{
    if (!is_mine(lock))
        return segment_of(&lock->mutex_, &lock->mutex_.offset_) == NULL ? -EINVAL : -EPERM;
    if (--lock->depth_ > 0)
        return 0;
    weft__store_relaxed(&lock->holder_, 0); /* relaxed: under the lock */
    return weft_shm_mutex_unlock(&lock->mutex_);
}

/* ---- what sleeps on a bell ------------------------------------------------------------------- */

/* Attempt until it succeeds: 0 or more, or an error but -EAGAIN. */
typedef int attempt(void *object);

static weft__shm_bell *bell_at(uint32_t *words)
{
    return (weft__shm_bell *)(void *)words;
}

static int wait_at(weft__segment *segment, uint32_t *bell_words, attempt *try_it, void *object,
                   int64_t deadline)
{
    weft__shm_bell *bell = bell_at(bell_words);
    weft__nap nap = weft__nap_of(segment, deadline);
    int rc = try_it(object);
    if (rc != -EAGAIN || deadline <= WEFT_POLL)
        return rc;
    for (int i = 0; i < weft__hook_spins(); i++) {
        weft__relax();
        rc = try_it(object);
        if (rc != -EAGAIN)
            return rc;
    }
    for (;;) {
        weft__nap_begin(&nap);
        uint32_t rung = weft__bell_arm(bell);
        rc = try_it(object);
        if (rc != -EAGAIN)
            return rc;
        int why = nap_on(&nap, &bell->rung, rung);
        rc = try_it(object);
        if (rc != -EAGAIN)
            return rc;
        if (why == -ETIMEDOUT || why == -ECANCELED)
            return why;
    }
}

/* ---- semaphore ------------------------------------------------------------------------------- */

int weft_shm_semaphore_init(weft_shm_semaphore *semaphore, uint32_t value, uint32_t limit)
{
    uint64_t offset;
    uint32_t most = limit != 0 ? limit : UINT32_MAX;
    int rc = place(semaphore, sizeof *semaphore, &offset);
    if (rc != 0 || value > most)
        return -EINVAL;
    *semaphore = (weft_shm_semaphore){.offset_ = offset, .value_ = value, .limit_ = most};
    return 0;
}

static int try_acquire(void *object)
{
    weft_shm_semaphore *semaphore = object;
    uint32_t value = weft__load_relaxed(&semaphore->value_); /* relaxed: the swap decides */
    while (value > 0) {
        /* edge shm.units (acquire): whoever released the unit */
        if (weft__cas_acquire(&semaphore->value_, &value, value - 1))
            return 0;
        weft__relax();
    }
    return -EAGAIN;
}

int weft_shm_semaphore_acquire(weft_shm_semaphore *semaphore, int64_t deadline)
{
    weft__segment *segment = segment_of(semaphore, &semaphore->offset_);
    if (segment == NULL)
        return -EINVAL;
    return wait_at(segment, semaphore->bell_, try_acquire, semaphore, deadline);
}

int weft_shm_semaphore_release(weft_shm_semaphore *semaphore, uint32_t units)
{
    if (segment_of(semaphore, &semaphore->offset_) == NULL)
        return -EINVAL;
    uint32_t value = weft__load_relaxed(&semaphore->value_); /* relaxed: the swap decides */
    do {
        if (units > semaphore->limit_ - value || value > semaphore->limit_)
            return -EOVERFLOW;
        /* edge shm.units (release): what the releaser did before */
    } while (!weft__cas_release(&semaphore->value_, &value, value + units));
    WEFT_CRASH_POINT(97);
    weft__bell_tell(bell_at(semaphore->bell_), units < INT_MAX ? (int)units : INT_MAX);
    return 0;
}

uint32_t weft_shm_semaphore_value(const weft_shm_semaphore *semaphore)
{
    return weft__load_relaxed(&semaphore->value_); /* relaxed: a snapshot */
}

/* ---- event ----------------------------------------------------------------------------------- */

int weft_shm_event_init(weft_shm_event *event)
{
    uint64_t offset;
    int rc = place(event, sizeof *event, &offset);
    if (rc == 0)
        *event = (weft_shm_event){.offset_ = offset};
    return rc;
}

int weft_shm_event_set(weft_shm_event *event)
{
    if (segment_of(event, &event->offset_) == NULL)
        return -EINVAL;
    /* edge shm.event (release): what was done before it was set */
    weft__store_release(&event->is_set_, 1);
    weft__bell_tell(bell_at(event->bell_), INT_MAX);
    return 0;
}

int weft_shm_event_clear(weft_shm_event *event)
{
    if (segment_of(event, &event->offset_) == NULL)
        return -EINVAL;
    weft__store_relaxed(&event->is_set_, 0); /* relaxed: nobody learns anything from it */
    return 0;
}

static int try_event(void *object)
{
    weft_shm_event *event = object;
    /* edge shm.event (acquire): as above */
    return weft__load_acquire(&event->is_set_) ? 0 : -EAGAIN;
}

int weft_shm_event_wait(weft_shm_event *event, int64_t deadline)
{
    weft__segment *segment = segment_of(event, &event->offset_);
    if (segment == NULL)
        return -EINVAL;
    return wait_at(segment, event->bell_, try_event, event, deadline);
}

/* ---- condition ------------------------------------------------------------------------------- */

int weft_shm_cond_init(weft_shm_cond *cond)
{
    uint64_t offset;
    int rc = place(cond, sizeof *cond, &offset);
    if (rc == 0)
        *cond = (weft_shm_cond){.offset_ = offset};
    return rc;
}

/* Armed before the mutex is free: whoever notifies with it held finds the waiter. A nap that ends
 * is a return for no reason. */
int weft_shm_cond_wait(weft_shm_cond *cond, weft_shm_mutex *mutex, int64_t deadline)
{
    weft__segment *segment = segment_of(cond, &cond->offset_);
    if (segment == NULL)
        return -EINVAL;
    weft__shm_bell *bell = bell_at(cond->bell_);
    weft__nap nap = weft__nap_of(segment, deadline);
    weft__nap_lengthen(&nap);
    weft__nap_begin(&nap);
    uint32_t rung = weft__bell_arm(bell);
    int rc = weft_shm_mutex_unlock(mutex);
    if (rc != 0)
        return rc;
    int why = nap_on(&nap, &bell->rung, rung);
    rc = lock_any(mutex, WEFT_FOREVER, 1);
    if (rc != 0)
        return rc > 0 ? -EOWNERDEAD : rc;
    return why == -ETIMEDOUT || why == -ECANCELED ? why : 0;
}

int weft_shm_cond_notify(weft_shm_cond *cond, int count)
{
    if (segment_of(cond, &cond->offset_) == NULL || count < 0)
        return -EINVAL;
    weft__bell_tell(bell_at(cond->bell_), count);
    return 0;
}

/* ---- barrier --------------------------------------------------------------------------------- */

/* The state is round:24 | past:23 | broken:1 | arrived:16. `past` has a bit for each of the last
 * rounds, the last one lowest: all arrived. So whoever looks late learns how its own round ended,
 * whatever has become of the barrier since. */
#define PARTIES_MAX 0xffffu
#define ARRIVED(state) ((state)&PARTIES_MAX)
#define BROKEN ((uint64_t)1 << 16)
#define PAST_BITS 23
#define PAST(state) ((state) >> 17 & (((uint64_t)1 << PAST_BITS) - 1))
#define ROUND(state) ((state) >> 40)
#define ROUNDS_BETWEEN(from, to) (((to) - (from)) & 0xffffff)

int weft_shm_barrier_init(weft_shm_barrier *barrier, uint32_t parties)
{
    uint64_t offset;
    int rc = place(barrier, sizeof *barrier, &offset);
    if (rc != 0 || parties == 0 || parties > PARTIES_MAX)
        return -EINVAL;
    *barrier = (weft_shm_barrier){.offset_ = offset, .parties_ = parties};
    return 0;
}

/* The state after a round that all have come to, or that was given up. */
static uint64_t next_round(uint64_t state, unsigned is_complete)
{
    uint64_t past = (PAST(state) << 1 | is_complete) & (((uint64_t)1 << PAST_BITS) - 1);
    return (ROUND(state) + 1) << 40 | past << 17;
}

/* Change the state and tell those who wait. */
static int barrier_change(weft_shm_barrier *barrier, uint64_t from, uint64_t to)
{
    /* edge shm.barrier (acq_rel): every arrival of the round before every return from it */
    if (!weft__cas_acq_rel(&barrier->state_, &from, to))
        return 0;
    WEFT_CRASH_POINT(96);
    weft__bell_tell(bell_at(barrier->bell_), INT_MAX);
    return 1;
}

static uint64_t barrier_state(const weft_shm_barrier *barrier)
{
    /* edge shm.barrier (acquire): as above */
    return weft__load_acquire(&barrier->state_);
}

/* Break this round, unless it is over. */
static void barrier_break(weft_shm_barrier *barrier, uint64_t round)
{
    uint64_t state = barrier_state(barrier);
    while (ROUND(state) == round && (state & BROKEN) == 0 &&
           !barrier_change(barrier, state, state | BROKEN))
        state = barrier_state(barrier);
}

typedef struct arrived {
    weft_shm_barrier *barrier;
    const weft__shm_header *header;
    uint64_t round;
    uint32_t deaths;
} arrived;

/* How the round ended: 0 all have come; -EPIPE; -EAGAIN it has not. */
static int outcome(const arrived *arrival)
{
    uint64_t state = barrier_state(arrival->barrier);
    uint64_t since = ROUNDS_BETWEEN(arrival->round, ROUND(state));
    if (since != 0)
        return since <= PAST_BITS && (PAST(state) >> (since - 1) & 1) ? 0 : -EPIPE;
    return state & BROKEN ? -EPIPE : -EAGAIN;
}

/* Break the round for this reason, unless all have come meanwhile. */
static int give_up(const arrived *arrival, int reason)
{
    barrier_break(arrival->barrier, arrival->round);
    return outcome(arrival) == 0 ? 0 : reason;
}

static int try_barrier(void *object)
{
    const arrived *arrival = object;
    int rc = outcome(arrival);
    /* relaxed: who has died is known by now, or will be when the sleep ends */
    if (rc == -EAGAIN && weft__load_relaxed(&arrival->header->deaths) != arrival->deaths)
        rc = give_up(arrival, -EOWNERDEAD);
    return rc;
}

/* Count this party in: its number, and the round; or -EPIPE. */
static int barrier_arrive(weft_shm_barrier *barrier, uint64_t *round)
{
    for (;;) {
        uint64_t state = barrier_state(barrier);
        if (state & BROKEN)
            return -EPIPE;
        *round = ROUND(state);
        uint64_t number = ARRIVED(state);
        uint64_t next = number + 1 < barrier->parties_ ? state + 1 : next_round(state, 1);
        if (barrier_change(barrier, state, next))
            return (int)number;
        weft__relax();
    }
}

int weft_shm_barrier_wait(weft_shm_barrier *barrier, int64_t deadline)
{
    weft__segment *segment = segment_of(barrier, &barrier->offset_);
    if (segment == NULL)
        return -EINVAL;
    arrived arrival = {.barrier = barrier, .header = segment->header};
    arrival.deaths = weft__load_relaxed(&segment->header->deaths); /* relaxed: those we know of */
    int number = barrier_arrive(barrier, &arrival.round);
    if (number < 0)
        return number;
    int rc = wait_at(segment, barrier->bell_, try_barrier, &arrival, deadline);
    if (rc == -ETIMEDOUT || rc == -ECANCELED || rc == -EAGAIN)
        rc = give_up(&arrival, rc);
    return rc == 0 ? number : rc;
}

int weft_shm_barrier_abort(weft_shm_barrier *barrier)
{
    if (segment_of(barrier, &barrier->offset_) == NULL)
        return -EINVAL;
    barrier_break(barrier, ROUND(barrier_state(barrier)));
    return 0;
}

int weft_shm_barrier_reset(weft_shm_barrier *barrier)
{
    if (segment_of(barrier, &barrier->offset_) == NULL)
        return -EINVAL;
    uint64_t state = barrier_state(barrier);
    while (!barrier_change(barrier, state, next_round(state, 0)))
        state = barrier_state(barrier);
    return 0;
}

/* ---- value ----------------------------------------------------------------------------------- */

uint64_t weft_shm_value_load(const weft_shm_value *value)
{
    /* edge shm.value (acquire): what its last writer did before */
    return weft__load_acquire(&value->value_);
}

void weft_shm_value_store(weft_shm_value *value, uint64_t number)
{
    /* edge shm.value (release): what was done before */
    weft__store_release(&value->value_, number);
}

uint64_t weft_shm_value_add(weft_shm_value *value, uint64_t number)
{
    /* edge shm.value (acq_rel): as above, both ways */
    return weft__fetch_add_acq_rel(&value->value_, number);
}

int weft_shm_value_swap(weft_shm_value *value, uint64_t *expected, uint64_t number)
{
    /* edge shm.value (acq_rel): as above, both ways */
    return weft__cas_acq_rel(&value->value_, expected, number);
}
