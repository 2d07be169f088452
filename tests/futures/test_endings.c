/* SPDX-License-Identifier: BSD-2-Clause */
/* test_endings.c — an executor ends while somebody waits for one of its futures, or for room in its
 * queue: plain threads, fibers of another runtime, its own tasks. */
#include "../core/side.h"
#include "held.h"

#include <errno.h>
#include <pthread.h>

#include <weft/channel.h>

typedef WEFT_FUTURE_OF(int) int_future;

WEFT_TASK(int, answer, int, value)
{
    return value;
}

/* Runs, parked, until the promise is kept. */
WEFT_TASK(int, linger, int_future, until)
{
    int value = 0;
    return weft_result(until, &value, WEFT_FOREVER) == 0 ? value : -1;
}

/* ---- somebody waits for a future ------------------------------------------------------------- */

typedef struct watcher {
    linger_future future; /* a handle of his own */
    unsigned how;
    uint32_t *arrived;
} watcher;

enum { AWAIT, WAIT, COMPLETED, SELECT, WAYS };

static int watch(void *arg)
{
    watcher *self = arg;
    weft_case cases[] = {WEFT_CASE_FUTURE(self->future)};
    size_t count = 0;
    int value = 0;
    weft__fetch_add_relaxed(self->arrived, 1);
    if (self->how == WAIT)
        CHECK(weft_wait(&self->future, 1, WEFT_ALL_COMPLETED, WEFT_FOREVER) == 1);
    else if (self->how == SELECT)
        CHECK(weft_select(cases, 1, WEFT_FOREVER) == 0);
    else if (self->how == COMPLETED) {
        weft_as_completed (i, &self->future, 1, WEFT_FOREVER)
            count += 1 + i;
        CHECK(count == 1);
    }
    int64_t deadline = self->how == AWAIT ? WEFT_FOREVER : WEFT_POLL;
    CHECK(weft_await(self->future, &value, deadline) == 0 && value == 7);
    return 0;
}

/* One of the pool's own tasks that waits for another. */
WEFT_TASK(int, watch_inside, watcher *, self)
{
    return watch(self);
}

static void *destroy(void *arg)
{
    return (void *)(intptr_t)weft_pool_destroy(arg);
}

enum { WATCHERS = 2 * WAYS };

/* The pool is destroyed while all wait, and its task ends a little earlier or later. */
static void end_pool(unsigned pause_us)
{
    weft_executor *pool = pool_new(2, 0, WEFT_FULL_WAIT);
    watcher all[WATCHERS];
    side sides[WATCHERS];
    watcher own[WAYS];
    watch_inside_future inside[WAYS];
    uint32_t arrived = 0;
    pthread_t destroyer;
    void *rc = NULL;
    int_future until;
    weft_promise(until);
    linger_future f = weft_submit(pool, linger, until);
    for (unsigned i = 0; i < WATCHERS; i++) {
        all[i] = (watcher){weft_retain(f), i % WAYS, &arrived};
        sides[i] = (side){.body = watch, .arg = &all[i], .workers = i / WAYS};
        start_side(&sides[i]);
    }
    for (unsigned i = 0; i < WAYS; i++) {
        own[i] = (watcher){weft_retain(f), i, &arrived};
        inside[i] = weft_submit(pool, watch_inside, &own[i]);
    }
    while (weft__load_relaxed(&arrived) != WATCHERS + WAYS)
        sleep_ns(20 * WEFT_USEC);
    assert_int_equal(pthread_create(&destroyer, NULL, destroy, pool), 0);
    sleep_ns(pause_us * WEFT_USEC);
    assert_int_equal(weft_set_result(until, &(int){7}), 0);
    assert_int_equal(pthread_join(destroyer, &rc), 0);
    assert_int_equal((intptr_t)rc, 0);
    for (unsigned i = 0; i < WATCHERS; i++)
        end_side(&sides[i]);
    for (unsigned i = 0; i < WAYS; i++) {
        int line = -1;
        assert_int_equal(weft_await(inside[i], &line, WEFT_POLL), 0);
        assert_int_equal(line, 0);
    }
    weft_release(f);
    weft_release(until);
}

static void test_destroying_a_pool_while_others_wait_for_its_futures(void **state)
{
    (void)state;
    for (unsigned round = 0; round < LESS_IF_SANITIZED(20, 5); round++)
        end_pool(round * 100);
}

/* ---- somebody waits for room ----------------------------------------------------------------- */

typedef struct guest {
    weft_executor *pool;
    uint32_t *arrived;
    int rc;
} guest;

static int ask_for_room(void *arg)
{
    guest *self = arg;
    weft__fetch_add_relaxed(self->arrived, 1);
    answer_future f = weft_submit(self->pool, answer, 3);
    self->rc = weft_await(f, NULL, WEFT_FOREVER);
    return 0;
}

WEFT_TASK(int, ask_inside, guest *, self)
{
    return ask_for_room(self);
}

enum { GUESTS = 6 };

/* A pool of one worker, which a task keeps busy; its queue has room for one, which is taken, and a
 * task of its own waits for room as the others do. */
typedef struct crowd {
    weft_executor *pool;
    uint32_t word;
    uint32_t arrived;
    guest guests[GUESTS];
    side sides[GUESTS];
    guest own;
    ask_inside_future asking;
    hold_future held;
    answer_future queued;
} crowd;

static void gather(crowd *self, int has_own)
{
    self->pool = pool_new(1, 1, WEFT_FULL_WAIT);
    self->arrived = 0;
    self->held = hold_worker(self->pool, &self->word);
    self->own = (guest){.pool = self->pool, .arrived = &self->arrived};
    self->queued.h = NULL;
    self->asking.h = NULL;
    if (has_own) /* begins after `held`, with the guests before it */
        self->asking = weft_submit(self->pool, ask_inside, &self->own);
    else
        self->queued = weft_submit(self->pool, answer, 1);
    for (unsigned i = 0; i < GUESTS; i++) {
        guest *one = &self->guests[i];
        *one = (guest){.pool = self->pool, .arrived = &self->arrived};
        self->sides[i] = (side){.body = ask_for_room, .arg = one, .workers = i % 3};
        start_side(&self->sides[i]);
    }
    while (weft__load_relaxed(&self->arrived) != GUESTS)
        sleep_ns(20 * WEFT_USEC);
    sleep_ns(2 * WEFT_MSEC); /* most of them wait by now; the others come too late, or in time */
}

/* All that asked have an answer; what it may be. */
static void see_off(crowd *self, unsigned flags)
{
    for (unsigned i = 0; i < GUESTS; i++) {
        end_side(&self->sides[i]);
        int rc = self->guests[i].rc;
        assert_true(rc == -EPIPE || (rc == -ECANCELED && flags == WEFT_CANCEL_PENDING));
    }
    assert_int_equal(weft_await(self->held, NULL, WEFT_POLL), 0);
    if (self->queued.h != NULL)
        assert_int_equal(weft_await(self->queued, NULL, WEFT_POLL),
                         flags == WEFT_CANCEL_PENDING ? -ECANCELED : 0);
    assert_int_equal(weft_pool_destroy(self->pool), 0);
}

static void test_shutting_down_while_others_wait_for_room(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags <= WEFT_CANCEL_PENDING; flags++) {
        crowd all;
        gather(&all, 0);
        assert_int_equal(weft_executor_shutdown(all.pool, flags, WEFT_POLL), -ETIMEDOUT);
        weft__store_release(&all.word, 2);
        assert_int_equal(weft_executor_shutdown(all.pool, flags, WEFT_FOREVER), 0);
        see_off(&all, flags);
    }
}

/* With what is queued cancelled there is room at once: nobody waits for what runs. */
static void test_cancelling_what_is_queued_lets_all_go_who_wait_for_room(void **state)
{
    (void)state;
    crowd all;
    gather(&all, 0);
    assert_int_equal(weft_executor_shutdown(all.pool, WEFT_CANCEL_PENDING, WEFT_POLL), -ETIMEDOUT);
    for (unsigned i = 0; i < GUESTS; i++)
        end_side(&all.sides[i]);
    for (unsigned i = 0; i < GUESTS; i++)
        assert_true(all.guests[i].rc == -EPIPE || all.guests[i].rc == -ECANCELED);
    weft__store_release(&all.word, 2);
    assert_int_equal(weft_await(all.held, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_await(all.queued, NULL, WEFT_POLL), -ECANCELED);
    assert_int_equal(weft_pool_destroy(all.pool), 0);
}

/* A task of the pool that asks for room is one that runs: it gets an answer, too, and the pool ends
 * after it. */
static void test_a_task_that_waits_for_room_in_its_own_pool(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 10; round++) {
        crowd all;
        gather(&all, 1);
        weft__store_release(&all.word, 2);
        sleep_ns(round * 20 * WEFT_USEC);
        assert_int_equal(weft_executor_shutdown(all.pool, 0, WEFT_FOREVER), 0);
        assert_int_equal(weft_await(all.asking, NULL, WEFT_POLL), 0);
        assert_true(all.own.rc == 0 || all.own.rc == -EPIPE);
        for (unsigned i = 0; i < GUESTS; i++) {
            end_side(&all.sides[i]);
            assert_true(all.guests[i].rc == 0 || all.guests[i].rc == -EPIPE);
        }
        assert_int_equal(weft_await(all.held, NULL, WEFT_POLL), 0);
        assert_int_equal(weft_pool_destroy(all.pool), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_destroying_a_pool_while_others_wait_for_its_futures),
        cmocka_unit_test(test_shutting_down_while_others_wait_for_room),
        cmocka_unit_test(test_cancelling_what_is_queued_lets_all_go_who_wait_for_room),
        cmocka_unit_test(test_a_task_that_waits_for_room_in_its_own_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
