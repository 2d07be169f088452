/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cut_off_sync.c — every call of core/fiber and core/sync that waits, cut off at each of its
 * waits: it says why, the primitive is as before, nobody is left in a queue; and what cannot fail
 * goes on.
 * ctest: TIMEOUT 60 */
#include "crew.h"
#include "cut_off.h"

#include <weft/channel.h>

#include "sync/channel.h"

#define CAPACITY 2
#define RACES LESS_IF_SANITIZED(10, 3)

/* One of everything, in a state in which every call has to wait. */
typedef struct stage {
    weft_mutex held;
    weft_rwlock read;
    weft_rwlock written;
    weft_mutex guard; /* for the condition */
    weft_cond cond;
    weft_semaphore semaphore;
    weft_event event;
    weft_latch latch;
    weft_barrier barrier;
    weft_once once;
    weft_channel *direct;
    weft_channel *full;
    weft_channel *empty;
    long sent;
    long got;
    int traded; /* the other side has got, or given, an element */
    int is_broken;
    int inside;
    int64_t deadline_ns;
} stage;

static int new_channel(weft_channel **channel, size_t capacity)
{
    return weft_channel_create(
        channel, &(weft_channel_spec){.elem_bytes = sizeof(long), .capacity = capacity});
}

static int prepare(void *arg)
{
    stage *s = arg;
    *s =
        (stage){.latch = WEFT_LATCH_INIT(1), .barrier = WEFT_BARRIER_INIT(2), .sent = 7, .got = -1};
    CHECK(new_channel(&s->direct, 0) == 0 && new_channel(&s->empty, CAPACITY) == 0);
    CHECK(new_channel(&s->full, CAPACITY) == 0);
    for (long i = 0; i < CAPACITY; i++)
        CHECK(weft_channel_push(s->full, &i, WEFT_POLL) == 0);
    weft_mutex_lock(&s->held);
    weft_rwlock_read_lock(&s->read);
    weft_rwlock_write_lock(&s->written);
    return 0;
}

static size_t waiters_at_channel(weft_channel *c)
{
    return count_waiters_under(&c->senders, &c->senders) +
           count_waiters_under(&c->senders, &c->receivers);
}

static size_t waiters_at_rwlock(weft_rwlock *lock)
{
    return count_waiters_under(&lock->writers_, &lock->writers_) +
           count_waiters_under(&lock->writers_, &lock->readers_);
}

static size_t waiters(stage *s)
{
    return count_waiters(&s->held.queue_) + count_waiters(&s->guard.queue_) +
           count_waiters(&s->cond.queue_) + waiters_at_rwlock(&s->read) +
           waiters_at_rwlock(&s->written) + count_waiters(&s->semaphore.queue_) +
           count_waiters(&s->event.queue_) + count_waiters(&s->latch.queue_) +
           count_waiters(&s->barrier.queue_) + count_waiters(&s->once.queue_) +
           waiters_at_channel(s->direct) + waiters_at_channel(s->full) +
           waiters_at_channel(s->empty);
}

static void tidy_up(stage *s)
{
    weft_channel_destroy(s->direct);
    weft_channel_destroy(s->full);
    weft_channel_destroy(s->empty);
}

static int check_queues(void *arg, int64_t rc)
{
    (void)rc;
    CHECK(waiters(arg) == 0);
    tidy_up(arg);
    return 0;
}

static int no_help(void *arg, unsigned times)
{
    (void)arg;
    (void)times;
    return __LINE__;
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t sleep_on(void *arg, int64_t deadline_ns)
{
    (void)arg;
    int rc = weft_sleep(deadline_ns);
    return rc == 0 ? -ETIMEDOUT : rc;
}

/* ---- mutex ----------------------------------------------------------------------------------- */

static int64_t lock_mutex(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_mutex_lock_until(&s->held, deadline_ns);
}

static int64_t lock_mutex_in_any_case(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    (void)deadline_ns;
    weft_mutex_lock(&s->held);
    return 0;
}

static int is_mutex_awaited(const void *arg)
{
    const stage *s = arg;
    return (weft__load_relaxed(&s->held.queue_.word_) & WEFT__QUEUED) != 0;
}

/* Twice it comes too late and is in front again, unless it is faster than the next who locks. */
static int unlock_mutex(void *arg, unsigned times)
{
    stage *s = arg;
    weft_mutex_unlock(&s->held);
    if (times < 2 && weft_mutex_trylock(&s->held) == 0)
        return 0;
    s->traded = 1; /* it is the victim's, or nobody's */
    return 0;
}

static int check_mutex(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->traded);
    CHECK(weft_mutex_trylock(&s->held) == (rc < 0 && s->traded ? 0 : -EAGAIN));
    weft_mutex_unlock(&s->held);
    CHECK(weft_mutex_trylock(&s->held) == 0);
    return check_queues(s, rc);
}

/* ---- reader-writer lock ---------------------------------------------------------------------- */

static int64_t lock_to_read(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_rwlock_read_lock_until(&s->written, deadline_ns);
}

static int64_t lock_to_read_in_any_case(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    (void)deadline_ns;
    weft_rwlock_read_lock(&s->written);
    return 0;
}

static int64_t lock_behind_writer(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_rwlock_write_lock_until(&s->written, deadline_ns);
}

static int end_writing(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = 1;
    weft_rwlock_write_unlock(&s->written);
    return 0;
}

static int is_written_awaited(const void *arg)
{
    const stage *s = arg;
    return (weft__load_relaxed(&s->written.writers_.word_) & WEFT__QUEUED) != 0;
}

static int is_read_awaited(const void *arg)
{
    const stage *s = arg;
    return (weft__load_relaxed(&s->read.writers_.word_) & WEFT__QUEUED) != 0;
}

/* Whoever has it now gives it back; then it is free. */
static int check_written(stage *s, int64_t rc, int is_reader)
{
    CHECK(rc < 0 || s->traded);
    if (rc >= 0 && is_reader) {
        CHECK(weft_rwlock_write_trylock(&s->written) == -EAGAIN);
        weft_rwlock_read_unlock(&s->written);
    } else if (rc >= 0 || !s->traded) {
        CHECK(weft_rwlock_read_trylock(&s->written) == -EAGAIN);
        weft_rwlock_write_unlock(&s->written);
    }
    CHECK(weft_rwlock_write_trylock(&s->written) == 0);
    return check_queues(s, rc);
}

static int check_reader(void *arg, int64_t rc)
{
    return check_written(arg, rc, 1);
}

static int check_writer(void *arg, int64_t rc)
{
    return check_written(arg, rc, 0);
}

static int64_t lock_to_write(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_rwlock_write_lock_until(&s->read, deadline_ns);
}

static int64_t lock_to_write_in_any_case(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    (void)deadline_ns;
    weft_rwlock_write_lock(&s->read);
    return 0;
}

static int end_reading(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = 1;
    weft_rwlock_read_unlock(&s->read);
    return 0;
}

/* A writer that has given up keeps no reader out. */
static int check_read(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->traded);
    CHECK(weft_rwlock_read_trylock(&s->read) == (rc < 0 ? 0 : -EAGAIN));
    if (rc >= 0)
        weft_rwlock_write_unlock(&s->read);
    else
        weft_rwlock_read_unlock(&s->read);
    if (!s->traded)
        weft_rwlock_read_unlock(&s->read);
    CHECK(weft_rwlock_write_trylock(&s->read) == 0);
    return check_queues(s, rc);
}

/* ---- condition ------------------------------------------------------------------------------- */

static int64_t await_condition(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_mutex_lock(&s->guard);
    int rc = weft_cond_wait(&s->cond, &s->guard, deadline_ns);
    weft_mutex_unlock(&s->guard);
    return rc;
}

static int notify(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    weft_cond_notify(&s->cond, 1);
    return 0;
}

static int check_condition(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(weft_mutex_trylock(&s->guard) == 0);
    return check_queues(s, rc);
}

/* Somebody else holds the mutex while it is notified or cut off, and for some time after. */
static int64_t await_condition_of_held(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int rc = weft_cond_wait(&s->cond, &s->held, deadline_ns);
    s->is_broken = s->inside; /* plain: the mutex is held, whatever came of it */
    weft_mutex_unlock(&s->held);
    return rc;
}

static int enter(void *arg)
{
    stage *s = arg;
    weft_mutex_lock(&s->held);
    s->inside = 1;
    return 0;
}

static int leave(void *arg)
{
    stage *s = arg;
    if (s->inside) {
        s->inside = 0;
        weft_mutex_unlock(&s->held);
    }
    return 0;
}

static int notify_and_leave(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    weft_cond_notify_all(&s->cond);
    weft_yield();
    return leave(s);
}

static int check_held(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(!s->is_broken);
    CHECK(weft_mutex_trylock(&s->held) == 0);
    return check_queues(s, rc);
}

/* ---- semaphore, event, latch ----------------------------------------------------------------- */

static int64_t acquire(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_semaphore_acquire(&s->semaphore, deadline_ns);
}

static int release(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = 1;
    return weft_semaphore_release(&s->semaphore, 1);
}

static int check_semaphore(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(weft_semaphore_permits(&s->semaphore) + (rc == 0) == (unsigned)s->traded);
    return check_queues(s, rc);
}

static int64_t await_event(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_event_wait(&s->event, deadline_ns);
}

static int set_event(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    weft_event_set(&s->event);
    return 0;
}

static int check_event(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || weft_event_is_set(&s->event));
    weft_event_set(&s->event);
    CHECK(weft_event_wait(&s->event, WEFT_POLL) == 0);
    return check_queues(s, rc);
}

static int64_t await_latch(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_latch_wait(&s->latch, deadline_ns);
}

static int count_down(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = 1;
    weft_latch_count_down(&s->latch, 1);
    return 0;
}

static int check_latch(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->traded);
    if (!s->traded)
        weft_latch_count_down(&s->latch, 1);
    CHECK(weft_latch_wait(&s->latch, WEFT_POLL) == 0);
    return check_queues(s, rc);
}

/* ---- barrier --------------------------------------------------------------------------------- */

static int64_t await_barrier(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_barrier_wait(&s->barrier, deadline_ns);
}

static int arrive(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    int rc = weft_barrier_wait(&s->barrier, WEFT_FOREVER);
    s->traded = rc == 1;
    s->is_broken = rc == -EPIPE; /* it had given up before */
    return rc == 1 || rc == -EPIPE ? 0 : __LINE__;
}

/* Who gives up has broken it for the other; who does not, has met the other. */
static int check_barrier(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(weft_barrier_waiting(&s->barrier) == 0);
    CHECK(!weft_barrier_is_broken(&s->barrier) == (rc >= 0));
    CHECK(rc >= 0 ? rc == 0 && s->traded : !s->traded);
    weft_barrier_reset(&s->barrier);
    return check_queues(s, rc);
}

/* ---- once ------------------------------------------------------------------------------------ */

static int await_inner_event(void *arg)
{
    stage *s = arg;
    return weft_event_wait(&s->event, s->deadline_ns);
}

/* What waits inside may fail; then it has not been done. */
static int64_t call_once(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    s->deadline_ns = deadline_ns;
    return weft_once_call(&s->once, await_inner_event, s);
}

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int fail_at_once(void *arg)
{
    (void)arg;
    return -EDOM;
}

static int check_once(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(weft_once_call(&s->once, fail_at_once, s) == (rc == 0 ? 0 : -EDOM));
    CHECK(weft_once_call(&s->once, do_nothing, s) == 0);
    CHECK(weft_once_call(&s->once, fail_at_once, s) == 0);
    return check_queues(s, rc);
}

/* ---- channels -------------------------------------------------------------------------------- */

static int64_t push_direct(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_channel_push(s->direct, &s->sent, deadline_ns);
}

static int pop_direct(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = weft_channel_pop(s->direct, &s->got, WEFT_POLL) == 0;
    return 0;
}

static int check_push_direct(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK((rc == 0) == s->traded && s->got == (s->traded ? 7 : -1));
    CHECK(weft_channel_pop(s->direct, &s->got, WEFT_POLL) == -ETIMEDOUT);
    return check_queues(s, rc);
}

static int64_t receive_direct(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_channel_pop(s->direct, &s->got, deadline_ns);
}

static int give_direct(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = weft_channel_push(s->direct, &s->sent, WEFT_POLL) == 0;
    return 0;
}

static int check_pop_direct(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK((rc == 0) == s->traded && s->got == (s->traded ? 7 : -1));
    CHECK(weft_channel_push(s->direct, &s->sent, WEFT_POLL) == -ETIMEDOUT);
    return check_queues(s, rc);
}

static int64_t push_full(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_channel_push(s->full, &s->sent, deadline_ns);
}

static int make_room(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = weft_channel_pop(s->full, &s->got, WEFT_POLL) == 0;
    return s->traded && s->got == 0 ? 0 : __LINE__;
}

/* In it is what was in it, then what was pushed, and nothing else. */
static int check_full(void *arg, int64_t rc)
{
    stage *s = arg;
    for (long i = s->traded; i < CAPACITY; i++)
        CHECK(weft_channel_pop(s->full, &s->got, WEFT_POLL) == 0 && s->got == i);
    CHECK(weft_channel_pop(s->full, &s->got, WEFT_POLL) == (rc == 0 ? 0 : -ETIMEDOUT));
    CHECK(rc != 0 || s->got == 7);
    CHECK(weft_channel_length(s->full) == 0);
    return check_queues(s, rc);
}

static int64_t pop_empty(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_channel_pop(s->empty, &s->got, deadline_ns);
}

static int fill(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    s->traded = 1;
    return weft_channel_push(s->empty, &s->sent, WEFT_POLL);
}

static int check_empty(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(s->got == (rc == 0 ? 7 : -1));
    int is_left = s->traded && rc != 0;
    CHECK(weft_channel_pop(s->empty, &s->got, WEFT_POLL) == (is_left ? 0 : -ETIMEDOUT));
    CHECK(s->got == (rc == 0 || is_left ? 7 : -1));
    return check_queues(s, rc);
}

/* ---- select ---------------------------------------------------------------------------------- */

/* Cases 0 and 1 come true by help; 2 and 3 do not. */
static int64_t select_among(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    long never = -2;
    weft_case cases[] = {WEFT_CASE_PUSH(s->direct, &s->sent), WEFT_CASE_POP(s->empty, &s->got),
                         WEFT_CASE_PUSH(s->full, &never), WEFT_CASE_POP(NULL, &never)};
    return weft_select(cases, 4, deadline_ns);
}

static int pop_or_fill(void *arg, unsigned times)
{
    static unsigned turn;
    return turn++ % 2 == 0 ? pop_direct(arg, times) : fill(arg, times);
}

static int check_select(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || (s->traded && rc < 2));
    CHECK(rc != 0 || s->got == 7);
    CHECK(weft_channel_length(s->full) == CAPACITY);
    long left = weft_channel_pop(s->empty, &s->got, WEFT_POLL);
    CHECK(left == 0 ? rc != 1 : left == -ETIMEDOUT);
    CHECK(weft_channel_pop(s->direct, &s->got, WEFT_POLL) == -ETIMEDOUT);
    return check_queues(s, rc);
}

/* The time is far, and does not come. */
static int64_t select_in_time(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_case cases[] = {WEFT_CASE_POP(s->empty, &s->got),
                         WEFT_CASE_TIME(weft_in(3600 * WEFT_SEC))};
    return weft_select(cases, 2, deadline_ns);
}

/* ---- what belongs to tasks, scopes and runtimes ---------------------------------------------- */

WEFT_FIBER(await_it, stage *, s)
{
    weft_shield s->is_broken = weft_event_wait(&s->event, WEFT_FOREVER) != 0;
}

static int64_t end_scope(void *arg, int64_t deadline_ns)
{
    int rc = 0;
    (void)deadline_ns;
    weft_shield
    {
        weft_scope(group) rc = weft_go(&group, await_it, arg);
    }
    return rc;
}

static int wait_in_other(void *arg)
{
    stage *s = arg;
    return weft_event_wait(&s->event, WEFT_FOREVER);
}

static int64_t run_elsewhere(void *arg, int64_t deadline_ns)
{
    weft_config config = {.workers = 1};
    weft_runtime *other;
    int result = -1;
    (void)deadline_ns;
    int rc = weft_runtime_create(&other, &config);
    if (rc != 0)
        return rc;
    rc = weft_runtime_run(other, wait_in_other, arg, &result);
    if (weft_runtime_destroy(other) != 0)
        return -EIO;
    return rc != 0 ? rc : result;
}

static int64_t block_thread(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    (void)deadline_ns;
    weft_blocking
    {
        while (!weft_event_is_set(&s->event))
            sleep_ns(20 * WEFT_USEC);
    }
    return 0;
}

static int await_first(void *arg)
{
    stage *s = arg;
    weft__store_release(&s->inside, 1);
    return weft_event_wait(&s->event, WEFT_FOREVER);
}

WEFT_FIBER(call_first, stage *, s)
{
    weft_shield(void) weft_once_call(&s->once, await_first, s);
}

static int64_t call_behind_another(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int rc = 0;
    (void)deadline_ns;
    weft_scope(group)
    {
        rc = weft_go(&group, call_first, s);
        while (rc == 0 && !weft__load_acquire(&s->inside))
            weft_yield();
        if (rc == 0)
            rc = weft_once_call(&s->once, do_nothing, s);
    }
    return rc;
}

static const act acts[] = {
    {"sleep", prepare, sleep_on, no_help, check_queues, .traits = ENDLESS},
    {"mutex", prepare, lock_mutex, unlock_mutex, check_mutex, .waits = 1},
    {"read lock", prepare, lock_to_read, end_writing, check_reader, .waits = 1},
    {"write lock behind a writer", prepare, lock_behind_writer, end_writing, check_writer,
     .waits = 1},
    {"write lock behind a reader", prepare, lock_to_write, end_reading, check_read, .waits = 1},
    {"condition", prepare, await_condition, notify, check_condition, .waits = 1},
    {"condition, mutex held", prepare, await_condition_of_held, notify_and_leave, check_held,
     .waits = 1, .hinder = enter, .let_go = leave},
    {"semaphore", prepare, acquire, release, check_semaphore, .waits = 1},
    {"event", prepare, await_event, set_event, check_event, .waits = 1},
    {"latch", prepare, await_latch, count_down, check_latch, .waits = 1},
    {"barrier", prepare, await_barrier, arrive, check_barrier, .waits = 1},
    {"once", prepare, call_once, set_event, check_once, .waits = 1},
    {"push to nobody", prepare, push_direct, pop_direct, check_push_direct, .waits = 1},
    {"pop from nobody", prepare, receive_direct, give_direct, check_pop_direct, .waits = 1},
    {"push to a full channel", prepare, push_full, make_room, check_full, .waits = 1},
    {"pop from an empty channel", prepare, pop_empty, fill, check_empty, .waits = 1},
    {"select", prepare, select_among, pop_or_fill, check_select, .waits = 1},
    {"select in time", prepare, select_in_time, fill, check_empty, .waits = 1},
    {"mutex, in any case", prepare, lock_mutex_in_any_case, unlock_mutex, check_mutex,
     .traits = STUBBORN, .is_queued = is_mutex_awaited},
    {"read lock, in any case", prepare, lock_to_read_in_any_case, end_writing, check_reader,
     .traits = STUBBORN, .is_queued = is_written_awaited},
    {"write lock, in any case", prepare, lock_to_write_in_any_case, end_reading, check_read,
     .traits = STUBBORN, .is_queued = is_read_awaited},
    {"end of a scope", prepare, end_scope, set_event, check_event, .traits = STUBBORN},
    {"once, behind another", prepare, call_behind_another, set_event, check_event,
     .traits = STUBBORN},
    {"another runtime", prepare, run_elsewhere, set_event, check_event, .traits = STUBBORN},
    {"a blocking region", prepare, block_thread, set_event, check_event, .traits = STUBBORN},
};

static int check_acts(void *arg)
{
    stage s;
    (void)arg;
    return cut_all(acts, sizeof acts / sizeof acts[0], &s, RACES);
}

static void test_everywhere(void **state)
{
    (void)state;
    on_workers(check_acts, NULL);
}

static int check_acts_of_threads(void *arg)
{
    stage s;
    (void)arg;
    return cut_all_in_threads(acts, sizeof acts / sizeof acts[0], &s, RACES);
}

static void test_in_plain_threads(void **state)
{
    (void)state;
    on_workers(check_acts_of_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everywhere),
        cmocka_unit_test(test_in_plain_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
