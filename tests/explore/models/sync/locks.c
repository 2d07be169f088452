/* SPDX-License-Identifier: BSD-2-Clause */
/* locks.c — models of mutex, condition and reader-writer lock: what they guard is plain data, so a
 * hole shows as a race; who is forgotten shows as a deadlock. */
#include <weft/sync.h>

#include "models/sync/threads.h"

static weft_mutex mutex;
static weft_cond changed;
static weft_rwlock lock;
static int value;
static int is_ready;
static unsigned entries[3]; /* each thread's own */

static void prepare_ticking(int64_t tick_ns)
{
    threads_prepare(tick_ns);
    mutex = (weft_mutex)WEFT_MUTEX_INIT;
    changed = (weft_cond)WEFT_COND_INIT;
    lock = (weft_rwlock)WEFT_RWLOCK_INIT;
    value = is_ready = 0;
    for (unsigned i = 0; i < 3; i++)
        entries[i] = 0;
}

/* Nobody ever waits for a millisecond. */
static void prepare(void)
{
    prepare_ticking(0);
}

/* Everybody has waited for longer at the first look. */
static void prepare_slow(void)
{
    prepare_ticking(WEFT_SEC);
}

static void finish(void)
{
    explore_check(value == (int)(entries[0] + entries[1] + entries[2]));
    explore_check(mutex.queue_.word_ == 0 && mutex.queue_.first_ == NULL);
    explore_check(changed.queue_.word_ == 0 && changed.queue_.first_ == NULL);
    explore_check(lock.writers_.word_ == 0 && lock.readers_.word_ == 0);
}

static void enter(void)
{
    value++;
    entries[explore_self()]++;
}

/* ---- mutex ----------------------------------------------------------------------------------- */

static void hold(void)
{
    weft_mutex_lock(&mutex);
    enter();
    weft_mutex_unlock(&mutex);
}

static void hold_twice(void)
{
    hold();
    hold();
}

static void hold_soon(void)
{
    if (weft_mutex_lock_until(&mutex, SOON) != 0)
        return;
    enter();
    weft_mutex_unlock(&mutex);
}

static void hold_at_once(void)
{
    if (weft_mutex_trylock(&mutex) != 0)
        return;
    enter();
    weft_mutex_unlock(&mutex);
}

EXPLORE_MODEL(mutex_two) = {.name = "mutex.two",
                            .prepare = prepare,
                            .threads = {hold_twice, hold},
                            .finish = finish,
                            .preemptions = 3,
                            .stale = 2};

EXPLORE_MODEL(mutex_barging) = {.name = "mutex.barging",
                                .prepare = prepare,
                                .threads = {hold_twice, hold, hold_at_once},
                                .finish = finish,
                                .preemptions = 2,
                                .stale = 0};

EXPLORE_MODEL(mutex_hand_over) = {.name = "mutex.hand-over",
                                  .prepare = prepare_slow,
                                  .threads = {hold_twice, hold, hold_at_once},
                                  .finish = finish,
                                  .preemptions = 2,
                                  .stale = 0};

EXPLORE_MODEL(mutex_deadline) = {.name = "mutex.deadline",
                                 .prepare = prepare,
                                 .threads = {hold_soon, hold, hold},
                                 .finish = finish,
                                 .preemptions = 2,
                                 .stale = 0};

EXPLORE_MODEL(mutex_slow_deadline) = {.name = "mutex.slow-deadline",
                                      .prepare = prepare_slow,
                                      .threads = {hold_soon, hold, hold},
                                      .finish = finish,
                                      .preemptions = 2,
                                      .stale = 0};

/* ---- condition ------------------------------------------------------------------------------- */

static void await_ready(void)
{
    weft_mutex_lock(&mutex);
    while (!is_ready)
        explore_check(weft_cond_wait(&changed, &mutex, WEFT_FOREVER) == 0);
    enter();
    weft_mutex_unlock(&mutex);
}

/* With the mutex held in any case, and without having missed anything. */
static void await_ready_soon(void)
{
    weft_mutex_lock(&mutex);
    int rc = is_ready ? 0 : weft_cond_wait(&changed, &mutex, SOON);
    explore_check(rc == 0 || rc == -ETIMEDOUT);
    explore_check(rc != 0 || is_ready);
    enter();
    weft_mutex_unlock(&mutex);
}

static void make_ready(void)
{
    weft_mutex_lock(&mutex);
    is_ready = 1;
    weft_cond_notify(&changed, 1);
    weft_mutex_unlock(&mutex);
}

static void make_ready_for_all(void)
{
    weft_mutex_lock(&mutex);
    is_ready = 1;
    weft_mutex_unlock(&mutex);
    weft_cond_notify_all(&changed);
}

EXPLORE_MODEL(cond_notify) = {.name = "cond.notify",
                              .prepare = prepare,
                              .threads = {await_ready, make_ready},
                              .finish = finish,
                              .preemptions = 3,
                              .stale = 2};

EXPLORE_MODEL(cond_all) = {.name = "cond.all",
                           .prepare = prepare,
                           .threads = {await_ready, make_ready_for_all, await_ready},
                           .finish = finish,
                           .preemptions = 2,
                           .stale = 0};

EXPLORE_MODEL(cond_deadline) = {.name = "cond.deadline",
                                .prepare = prepare_slow,
                                .threads = {await_ready_soon, make_ready},
                                .finish = finish,
                                .preemptions = 2,
                                .stale = 1};

/* ---- reader-writer lock ---------------------------------------------------------------------- */

static void read_value(void)
{
    weft_rwlock_read_lock(&lock);
    explore_check(value >= 0);
    weft_rwlock_read_unlock(&lock);
}

static void read_value_soon(void)
{
    if (weft_rwlock_read_lock_until(&lock, SOON) != 0)
        return;
    explore_check(value >= 0);
    weft_rwlock_read_unlock(&lock);
}

static void write_value(void)
{
    weft_rwlock_write_lock(&lock);
    enter();
    weft_rwlock_write_unlock(&lock);
}

static void write_value_soon(void)
{
    if (weft_rwlock_write_lock_until(&lock, SOON) != 0)
        return;
    enter();
    weft_rwlock_write_unlock(&lock);
}

EXPLORE_MODEL(rwlock_pair) = {.name = "rwlock.pair",
                              .prepare = prepare,
                              .threads = {write_value, read_value},
                              .finish = finish,
                              .preemptions = 3,
                              .stale = 3};

EXPLORE_MODEL(rwlock_writers) = {.name = "rwlock.writers",
                                 .prepare = prepare,
                                 .threads = {write_value, read_value, write_value},
                                 .finish = finish,
                                 .preemptions = 2,
                                 .stale = 1};

EXPLORE_MODEL(rwlock_readers) = {.name = "rwlock.readers",
                                 .prepare = prepare,
                                 .threads = {read_value, write_value, read_value},
                                 .finish = finish,
                                 .preemptions = 2,
                                 .stale = 1};

EXPLORE_MODEL(rwlock_writer_leaves) = {.name = "rwlock.writer-leaves",
                                       .prepare = prepare,
                                       .threads = {read_value, write_value_soon, read_value},
                                       .finish = finish,
                                       .preemptions = 2,
                                       .stale = 0};

EXPLORE_MODEL(rwlock_reader_leaves) = {.name = "rwlock.reader-leaves",
                                       .prepare = prepare,
                                       .threads = {write_value, read_value_soon, write_value},
                                       .finish = finish,
                                       .preemptions = 2,
                                       .stale = 0};
