/* SPDX-License-Identifier: BSD-2-Clause */
/* rwlock.c — one writer, or readers, in alternating phases.
 *
 *     word_    [ readers: 29 bits | WRITER | QUEUED | BUSY ]      the writers' queue
 *     word_    [ readers that wait ]                              the readers' queue, under BUSY
 *
 * Somebody waits only while somebody else holds the lock, and the lock is never free in between: an
 * unlock that finds waiters makes it theirs before it wakes them. A writer that unlocks lets in all
 * readers that wait; the last reader that unlocks lets in the longest waiting writer. While a
 * writer waits, readers that come wait behind it. So neither kind starves the other.
 *
 * Rejected: readers in order of arrival among the writers. A phase would then let in only those
 * readers that stand in front, and the queue would have to be walked to find them. */
#include "sync/waitq.h"

#include <errno.h>

#define WRITER WEFT__BIT(0)
#define READER WEFT__BIT(1)
#define READERS(word) ((word) / READER)

typedef struct arrival {
    weft__sleeper sleeper; /* first member */
    weft_rwlock *lock;
} arrival;

/* ---- under BUSY ------------------------------------------------------------------------------ */

static void unlock_queues(weft_rwlock *lock, uint32_t state)
{
    weft__waitq_unlock_both(&lock->writers_, &lock->readers_, state);
}

/* Make the free lock that of all readers who wait. Returns them. */
static weft__sleeper *admit_readers(weft_rwlock *lock, uint32_t *state)
{
    *state += lock->readers_.word_ * READER;
    lock->readers_.word_ = 0;
    return weft__waitq_take_all(&lock->readers_);
}

/* Make the free lock that of the longest waiting writer. Returns it, or NULL. */
static weft__sleeper *admit_writer(weft_rwlock *lock, uint32_t *state)
{
    weft__sleeper *writer = weft__waitq_take(&lock->writers_);
    if (writer != NULL)
        *state |= WRITER;
    return writer;
}

/* ---- readers --------------------------------------------------------------------------------- */

int weft_rwlock_read_trylock(weft_rwlock *lock)
{
    weft__waitq *queue = &lock->writers_;
    uint32_t seen = weft__waitq_look(queue);
    while (!(seen & (WRITER | WEFT__QUEUED))) {
        /* edge rwlock.lock (acquire): what the last writer did */
        if (weft__cas_acquire(&queue->word_, &seen, seen + READER))
            return 0;
        seen = weft__waitq_look(queue);
    }
    return -EAGAIN;
}

static int reader_arrives(weft__waiter *waiter, void *arg)
{
    arrival *self = arg;
    weft_rwlock *lock = self->lock;
    weft__waits_for(waiter, WEFT_REASON_RWLOCK, lock);
    uint32_t state = weft__waitq_lock(&lock->writers_);
    int is_late = (state & WRITER) || weft__waitq_first(&lock->writers_) != NULL;
    if (is_late) {
        weft__waitq_append(&self->sleeper);
        lock->readers_.word_++;
    } else {
        state += READER;
    }
    unlock_queues(lock, state);
    return is_late;
}

static int reader_leaves(void *arg)
{
    arrival *self = arg;
    weft_rwlock *lock = self->lock;
    uint32_t state = weft__waitq_lock(&lock->writers_);
    int is_queued = weft__waitq_has(&self->sleeper);
    if (is_queued) {
        weft__waitq_remove(&self->sleeper);
        lock->readers_.word_--;
    }
    unlock_queues(lock, state);
    return is_queued;
}

void weft_rwlock_read_lock(weft_rwlock *lock)
{
    arrival self = {.sleeper = {.queue = &lock->readers_}, .lock = lock};
    if (weft_rwlock_read_trylock(lock) != 0)
        (void)weft__waitq_sleep_on(&self.sleeper, reader_arrives);
}

int weft_rwlock_read_lock_until(weft_rwlock *lock, int64_t deadline_ns)
{
    arrival self = {.sleeper = {.queue = &lock->readers_}, .lock = lock};
    if (weft_rwlock_read_trylock(lock) == 0)
        return 0;
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    return weft__waitq_sleep_or_leave(&self.sleeper, reader_arrives, reader_leaves, &self,
                                      deadline_ns);
}

/* The last reader may have to let a writer in. */
static void last_reader_unlocks(weft_rwlock *lock)
{
    uint32_t state = weft__waitq_lock(&lock->writers_) - READER;
    weft__sleeper *writer = READERS(state) == 0 ? admit_writer(lock, &state) : NULL;
    unlock_queues(lock, state);
    weft__waitq_wake(writer, 0);
}

void weft_rwlock_read_unlock(weft_rwlock *lock)
{
    weft__waitq *queue = &lock->writers_;
    uint32_t seen = weft__waitq_look(queue);
    if (READERS(seen) == 0)
        WEFT__PANIC("weft_rwlock_read_unlock: no reader has locked it");
    while (!(seen & WEFT__QUEUED) || READERS(seen) > 1) {
        /* edge rwlock.lock (release): what was read, before the next writer changes it. The last
         * touch. */
        if (weft__cas_release(&queue->word_, &seen, seen - READER))
            return;
        seen = weft__waitq_look(queue);
    }
    last_reader_unlocks(lock);
}

/* ---- writers --------------------------------------------------------------------------------- */

int weft_rwlock_write_trylock(weft_rwlock *lock)
{
    weft__waitq *queue = &lock->writers_;
    while (weft__waitq_look(queue) == 0) {
        uint32_t seen = 0;
        /* edge rwlock.lock (acquire): what the last holders did */
        if (weft__cas_acquire(&queue->word_, &seen, WRITER))
            return 0;
    }
    return -EAGAIN;
}

static int writer_arrives(weft__waiter *waiter, void *arg)
{
    arrival *self = arg;
    weft__waits_for(waiter, WEFT_REASON_RWLOCK, self->lock);
    uint32_t state = weft__waitq_lock(&self->lock->writers_);
    int is_late = (state & WRITER) || READERS(state) > 0;
    if (is_late)
        weft__waitq_append(&self->sleeper);
    else
        state |= WRITER;
    unlock_queues(self->lock, state);
    return is_late;
}

/* Readers that waited behind this writer only need not do so any longer. */
static int writer_leaves(void *arg)
{
    arrival *self = arg;
    weft_rwlock *lock = self->lock;
    weft__sleeper *readers = NULL;
    uint32_t state = weft__waitq_lock(&lock->writers_);
    int is_queued = weft__waitq_has(&self->sleeper);
    if (is_queued) {
        weft__waitq_remove(&self->sleeper);
        if (!(state & WRITER) && weft__waitq_first(&lock->writers_) == NULL)
            readers = admit_readers(lock, &state);
    }
    unlock_queues(lock, state);
    weft__waitq_wake(readers, 0);
    return is_queued;
}

void weft_rwlock_write_lock(weft_rwlock *lock)
{
    arrival self = {.sleeper = {.queue = &lock->writers_}, .lock = lock};
    if (weft_rwlock_write_trylock(lock) != 0)
        (void)weft__waitq_sleep_on(&self.sleeper, writer_arrives);
}

int weft_rwlock_write_lock_until(weft_rwlock *lock, int64_t deadline_ns)
{
    arrival self = {.sleeper = {.queue = &lock->writers_}, .lock = lock};
    if (weft_rwlock_write_trylock(lock) == 0)
        return 0;
    if (deadline_ns == WEFT_POLL)
        return -ETIMEDOUT;
    return weft__waitq_sleep_or_leave(&self.sleeper, writer_arrives, writer_leaves, &self,
                                      deadline_ns);
}

static void unlock_to_waiters(weft_rwlock *lock)
{
    uint32_t state = weft__waitq_lock(&lock->writers_) & ~WRITER;
    weft__sleeper *chain = admit_readers(lock, &state);
    if (chain == NULL)
        chain = admit_writer(lock, &state);
    unlock_queues(lock, state);
    weft__waitq_wake(chain, 0);
}

void weft_rwlock_write_unlock(weft_rwlock *lock)
{
    uint32_t seen = WRITER;
    /* edge rwlock.lock (release): what the writer did. The last touch. */
    if (weft__cas_release(&lock->writers_.word_, &seen, 0))
        return;
    if (!(seen & WRITER))
        WEFT__PANIC("weft_rwlock_write_unlock: no writer has locked it");
    unlock_to_waiters(lock);
}
