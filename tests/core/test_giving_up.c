/* SPDX-License-Identifier: BSD-2-Clause */
/* test_giving_up.c — every call of core/sync that waits and may fail: cancelled, out of time by the
 * deadline of a scope, and both while it is being granted. */
#include "crew.h"

#include <weft/channel.h>
#include <weft/fiber.h>

#include "sync/channel.h"

/* One of everything, in a state in which every call has to wait. */
typedef struct world {
    weft_mutex held;
    weft_rwlock written;
    weft_mutex free; /* for the condition */
    weft_cond cond;
    weft_semaphore semaphore;
    weft_event event;
    weft_latch latch;
    weft_barrier barrier;
    weft_channel *channel;
    int rc;
} world;

static int make_world(world *w)
{
    weft_channel_spec spec = {.elem_bytes = sizeof(long)};
    *w = (world){.latch = WEFT_LATCH_INIT(1), .barrier = WEFT_BARRIER_INIT(2), .rc = 1};
    weft_mutex_lock(&w->held);
    weft_rwlock_write_lock(&w->written);
    return weft_channel_create(&w->channel, &spec);
}

/* ---- the calls ------------------------------------------------------------------------------- */

typedef int call(world *w);

static int lock_mutex(world *w)
{
    return weft_mutex_lock_until(&w->held, WEFT_FOREVER);
}

static int lock_to_read(world *w)
{
    return weft_rwlock_read_lock_until(&w->written, WEFT_FOREVER);
}

static int lock_to_write(world *w)
{
    return weft_rwlock_write_lock_until(&w->written, WEFT_FOREVER);
}

static int await_condition(world *w)
{
    weft_mutex_lock(&w->free);
    int rc = weft_cond_wait(&w->cond, &w->free, WEFT_FOREVER);
    weft_mutex_unlock(&w->free); /* aborts if it is not held */
    return rc;
}

static int acquire(world *w)
{
    return weft_semaphore_acquire(&w->semaphore, WEFT_FOREVER);
}

static int await_event(world *w)
{
    return weft_event_wait(&w->event, WEFT_FOREVER);
}

static int await_latch(world *w)
{
    return weft_latch_wait(&w->latch, WEFT_FOREVER);
}

static int await_barrier(world *w)
{
    return weft_barrier_wait(&w->barrier, WEFT_FOREVER);
}

static int push(world *w)
{
    long value = 1;
    return weft_channel_push(w->channel, &value, WEFT_FOREVER);
}

static int pop(world *w)
{
    long value;
    return weft_channel_pop(w->channel, &value, WEFT_FOREVER);
}

static int select_two(world *w)
{
    long value;
    weft_case cases[] = {WEFT_CASE_POP(w->channel, &value), WEFT_CASE_POP(NULL, &value)};
    return weft_select(cases, 2, WEFT_FOREVER);
}

static call *const calls[] = {lock_mutex, lock_to_read, lock_to_write, await_condition,
                              acquire,    await_event,  await_latch,   await_barrier,
                              push,       pop,          select_two};
#define CALLS (sizeof(calls) / sizeof(calls[0]))

static size_t waiters_in(world *w)
{
    return count_waiters(&w->held.queue_) + count_waiters(&w->cond.queue_) +
           count_waiters_under(&w->written.writers_, &w->written.writers_) +
           count_waiters_under(&w->written.writers_, &w->written.readers_) +
           count_waiters(&w->semaphore.queue_) + count_waiters(&w->event.queue_) +
           count_waiters(&w->latch.queue_) + count_waiters(&w->barrier.queue_) +
           count_waiters_under(&w->channel->senders, &w->channel->senders) +
           count_waiters_under(&w->channel->senders, &w->channel->receivers);
}

/* ---- one at a time --------------------------------------------------------------------------- */

WEFT_FIBER(make_call, world *, w, call *, which)
{
    w->rc = which(w);
}

static int check_cancelled(call *which)
{
    world w;
    CHECK(make_world(&w) == 0);
    weft_scope(group)
    {
        CHECK(weft_go(&group, make_call, &w, which) == 0);
        while (waiters_in(&w) == 0)
            weft_yield();
        CHECK(waiters_in(&w) == 1 && w.rc == 1);
        weft_cancel_scope(&group);
    }
    CHECK(w.rc == -ECANCELED);
    CHECK(waiters_in(&w) == 0);
    CHECK(weft_barrier_is_broken(&w.barrier) == (which == await_barrier));
    weft_channel_destroy(w.channel);
    return 0;
}

/* By the scope's deadline; and whoever comes later is out of time as well, unless it need not
 * wait. */
static int check_late(call *which)
{
    world w;
    int again = 1;
    CHECK(make_world(&w) == 0);
    weft_deadline(weft_in(WEFT_MSEC))
    {
        w.rc = which(&w);
        weft_barrier_reset(&w.barrier);
        again = which(&w);
        weft_mutex_unlock(&w.held);
        CHECK(weft_mutex_lock_until(&w.held, WEFT_FOREVER) == 0);
    }
    CHECK(w.rc == -ETIMEDOUT && again == -ETIMEDOUT);
    CHECK(waiters_in(&w) == 0);
    weft_channel_destroy(w.channel);
    return 0;
}

static int check_calls(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < CALLS; i++) {
        CHECK_CALL(check_cancelled(calls[i]));
        CHECK_CALL(check_late(calls[i]));
    }
    return 0;
}

static void test_calls(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 4; workers *= 2) {
        on_count(workers, check_calls, NULL);
    }
}

/* ---- while it is being granted --------------------------------------------------------------- */

enum { WAITERS = 6 };

typedef struct race {
    weft_semaphore semaphore;
    weft_channel *channel;
    unsigned acquired;
    unsigned pushed;
    unsigned popped;
    unsigned released;
    int wrong;
} race;

static void count_if(int rc, unsigned *counter, race *r)
{
    if (rc == 0)
        weft__fetch_add_acq_rel(counter, 1);
    else if (rc != -ECANCELED)
        weft__store_relaxed(&r->wrong, 1);
}

WEFT_FIBER(acquire_in_race, race *, r)
{
    count_if(weft_semaphore_acquire(&r->semaphore, WEFT_FOREVER), &r->acquired, r);
}

WEFT_FIBER(push_in_race, race *, r)
{
    long value = 1;
    count_if(weft_channel_push(r->channel, &value, WEFT_FOREVER), &r->pushed, r);
}

WEFT_FIBER(pop_in_race, race *, r)
{
    long value;
    count_if(weft_channel_pop(r->channel, &value, WEFT_FOREVER), &r->popped, r);
}

static int release_in_race(race *r, unsigned permits)
{
    for (unsigned i = 0; i < permits; i++) {
        CHECK(weft_semaphore_release(&r->semaphore, 1) == 0);
        r->released++;
    }
    return 0;
}

/* What was granted was had, and nothing else. */
static int run_race(uint64_t *random)
{
    race r = {.semaphore = WEFT_SEMAPHORE_INIT(0)};
    weft_channel_spec spec = {.elem_bytes = sizeof(long)};
    CHECK(weft_channel_create(&r.channel, &spec) == 0);
    weft_scope(group)
    {
        for (unsigned i = 0; i < WAITERS; i++) {
            CHECK(weft_go(&group, acquire_in_race, &r) == 0);
            CHECK(i % 2 ? weft_go(&group, push_in_race, &r) == 0
                        : weft_go(&group, pop_in_race, &r) == 0);
        }
        for (uint64_t i = next_random(random) % 4; i > 0; i--)
            weft_yield();
        CHECK_CALL(release_in_race(&r, (unsigned)(next_random(random) % WAITERS)));
        weft_cancel_scope(&group);
        CHECK_CALL(release_in_race(&r, (unsigned)(next_random(random) % WAITERS)));
    }
    CHECK(!r.wrong);
    CHECK(r.pushed == r.popped);
    CHECK(r.acquired + weft_semaphore_permits(&r.semaphore) == r.released);
    CHECK(count_waiters(&r.semaphore.queue_) == 0);
    weft_channel_destroy(r.channel);
    return 0;
}

static int check_races(void *arg)
{
    uint64_t random = 1;
    (void)arg;
    for (int i = 0; i < LESS_IF_SANITIZED(2000, 100); i++)
        CHECK_CALL(run_race(&random));
    return 0;
}

static void test_races(void **state)
{
    int64_t end = weft_in(soak_ns());
    (void)state;
    do {
        for (unsigned workers = 1; workers <= 4; workers *= 2) {
            on_count(workers, check_races, NULL);
        }
    } while (weft_now() < end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_races),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
