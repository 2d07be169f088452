/* SPDX-License-Identifier: BSD-2-Clause */
/* test_executor.c — pools: bounded queues, shutting down in every state, from everywhere. */
#include "held.h"
#include "manual.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <weft/atomic.h>
#include <weft/fiber.h>

typedef WEFT_FUTURE_OF(int) int_future;

WEFT_TASK(int, answer, int, value)
{
    return value;
}

/* Says that it runs, and runs until it is told to end. */
typedef struct gate {
    int_future entered;
    int_future open;
} gate;

WEFT_TASK(int, pass, gate *, at)
{
    int value = 1;
    (void)weft_set_result(at->entered, &value);
    return weft_result(at->open, &value, WEFT_FOREVER);
}

static gate gate_new(void)
{
    gate at;
    weft_promise(at.entered);
    weft_promise(at.open);
    return at;
}

static void gate_free(gate *at)
{
    (void)weft_set_result(at->entered, &(int){0}); /* a promise has to be kept */
    (void)weft_set_result(at->open, &(int){0});
    weft_release(at->entered);
    weft_release(at->open);
}

/* ---- pools ----------------------------------------------------------------------------------- */

static void test_pool_runs_what_is_submitted_from_anywhere(void **state)
{
    (void)state;
    weft_executor *pool = pool_new(2, 0, WEFT_FULL_WAIT);
    for (int i = 0; i < 500; i++) {
        int value = -1;
        answer_future f = weft_submit(pool, answer, i);
        assert_int_equal(weft_await(f, &value, WEFT_FOREVER), 0);
        assert_int_equal(value, i);
    }
    assert_int_equal(weft_pool_destroy(pool), 0);
    assert_int_equal(weft_pool_destroy(NULL), 0);
}

static void test_wrong_configurations_are_refused(void **state)
{
    (void)state;
    weft_executor *pool = NULL;
    weft_pool_config config = {.runtime = {.workers = WEFT_WORKERS_MAX + 1}};
    assert_int_equal(weft_pool_create(&pool, &config), -EINVAL);
    config = (weft_pool_config){.full = (weft_full)17};
    assert_int_equal(weft_pool_create(&pool, &config), -EINVAL);
    assert_null(pool);
}

static void test_futures_outlive_their_pool(void **state)
{
    (void)state;
    int value = 0;
    weft_executor *pool = pool_new(1, 0, WEFT_FULL_WAIT);
    answer_future f = weft_submit(pool, answer, 3);
    assert_int_equal(weft_pool_destroy(pool), 0);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0); /* it ran: destroying waits */
    assert_int_equal(value, 3);
}

static int use_pool(void *arg)
{
    weft_executor *pool = arg;
    int value = 0;
    CHECK(pool != weft_workers());
    answer_future f = weft_submit(pool, answer, 9);
    CHECK(weft_await(f, &value, WEFT_FOREVER) == 0 && value == 9);
    return 0;
}

static void test_a_fiber_may_use_another_runtimes_pool(void **state)
{
    (void)state;
    weft_executor *pool = pool_new(1, 0, WEFT_FULL_WAIT);
    on_count(2, use_pool, pool);
    assert_int_equal(weft_pool_destroy(pool), 0);
}

static void test_plain_threads_share_workers(void **state)
{
    (void)state;
    weft_executor *shared = weft_workers();
    int value = 0;
    assert_ptr_equal(shared, weft_workers());
    answer_future f = weft_submit(shared, answer, 8);
    assert_int_equal(weft_await(f, &value, WEFT_FOREVER), 0);
    assert_int_equal(value, 8);
    assert_int_equal(weft_executor_shutdown(shared, 0, WEFT_FOREVER), -ENOTSUP);
    assert_int_equal(weft_pool_destroy(shared), -ENOTSUP);
    assert_int_equal(weft_executor_shutdown(weft_inline(), 0, WEFT_FOREVER), -ENOTSUP);
}

/* ---- the bound ------------------------------------------------------------------------------- */

static void test_full_queue_fails_with_eagain(void **state)
{
    (void)state;
    uint32_t word;
    weft_executor *pool = pool_new(1, 2, WEFT_FULL_FAIL);
    hold_future held = hold_worker(pool, &word);
    answer_future f = weft_submit(pool, answer, 1);
    answer_future g = weft_submit(pool, answer, 2);
    answer_future h = weft_submit(pool, answer, 3);
    assert_int_equal(weft_await(h, NULL, WEFT_POLL), -EAGAIN);
    weft__store_release(&word, 2);
    assert_int_equal(weft_await(f, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_await(g, NULL, WEFT_FOREVER), 0);
    f = weft_submit(pool, answer, 1);
    assert_int_equal(weft_await(f, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_pool_destroy(pool), 0);
}

WEFT_TASK(int, where)
{
    return weft_worker_id();
}

static void test_full_queue_runs_here(void **state)
{
    (void)state;
    uint32_t word;
    int worker = 5;
    weft_executor *pool = pool_new(1, 1, WEFT_FULL_RUN);
    hold_future held = hold_worker(pool, &word);
    where_future f = weft_submit(pool, where);
    where_future g = weft_submit(pool, where);
    assert_int_equal(weft_await(g, &worker, WEFT_POLL), 0);
    assert_int_equal(worker, -1);
    weft__store_release(&word, 2);
    assert_int_equal(weft_await(f, &worker, WEFT_FOREVER), 0);
    assert_int_equal(worker, 0);
    assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_pool_destroy(pool), 0);
}

typedef struct producer {
    weft_executor *pool;
    uint32_t submitted;
} producer;

static void *produce(void *arg)
{
    producer *self = arg;
    for (int i = 0; i < 5; i++) {
        answer_future f = weft_submit(self->pool, answer, i);
        weft_release(f);
        weft__fetch_add_acq_rel(&self->submitted, 1);
    }
    return NULL;
}

static void test_full_queue_makes_threads_wait(void **state)
{
    (void)state;
    uint32_t word;
    pthread_t thread;
    producer self = {.pool = pool_new(1, 2, WEFT_FULL_WAIT)};
    hold_future held = hold_worker(self.pool, &word);
    assert_int_equal(pthread_create(&thread, NULL, produce, &self), 0);
    while (weft__load_acquire(&self.submitted) != 2)
        (void)usleep(100);
    (void)usleep(5000);
    assert_int_equal(weft__load_acquire(&self.submitted), 2);
    weft__store_release(&word, 2);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(self.submitted, 5);
    assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_pool_destroy(self.pool), 0);
}

WEFT_TASK(int, submit_more, weft_executor *, pool, int, count)
{
    int sum = 0;
    for (int i = 0; i < count; i++) {
        int value = 0;
        answer_future f = weft_submit(pool, answer, i);
        if (weft_await(f, &value, WEFT_FOREVER) != 0)
            return -1;
        sum += value;
    }
    return sum;
}

static void test_tasks_of_a_full_pool_park_and_get_through(void **state)
{
    (void)state;
    submit_more_future f[8];
    weft_executor *pool = pool_new(1, 1, WEFT_FULL_WAIT);
    for (int i = 0; i < 8; i++)
        f[i] = weft_submit(pool, submit_more, pool, 20);
    for (int i = 0; i < 8; i++) {
        int sum = 0;
        assert_int_equal(weft_await(f[i], &sum, WEFT_FOREVER), 0);
        assert_int_equal(sum, 190);
    }
    assert_int_equal(weft_pool_destroy(pool), 0);
}

typedef struct latecomer {
    weft_executor *pool;
    uint32_t *held;
    int rc;
} latecomer;

static int submit_until_late(void *arg)
{
    latecomer *self = arg;
    weft_deadline(weft_in(5 * WEFT_MSEC))
    {
        answer_future f = weft_submit(self->pool, answer, 1); /* has room */
        answer_future g = weft_submit(self->pool, answer, 2); /* has none, in time */
        self->rc = weft_await(g, NULL, WEFT_POLL);
        weft_release(f);
        weft__store_release(self->held, 2); /* the scope waits for the first */
    }
    return 0;
}

static void test_waiting_for_room_ends_with_the_scope(void **state)
{
    (void)state;
    uint32_t word;
    weft_config config = {.workers = 1};
    weft_executor *pool = pool_new(1, 1, WEFT_FULL_WAIT);
    hold_future held = hold_worker(pool, &word);
    latecomer self = {.pool = pool, .held = &word};
    assert_int_equal(weft_run(submit_until_late, &self, &config), 0);
    assert_int_equal(self.rc, -ECANCELED); /* as all that has not begun in it */
    assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
    answer_future f = weft_submit(pool, answer, 1); /* nobody holds a place who has gone */
    assert_int_equal(weft_await(f, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_pool_destroy(pool), 0);
}

/* Tries to submit to a pool of one worker, which `held` keeps, and one place, which is taken. */
static int submit_in_vain(void *arg)
{
    weft_executor *pool = arg;
    weft_error error;
    int64_t end = weft_in(2 * WEFT_MSEC);
    answer_future f = weft_submit_until(pool, end, answer, 1);
    CHECK(weft_now() >= end);
    CHECK(weft_exception(f, &error, WEFT_POLL) == 0 && error.code == -ETIMEDOUT);
    CHECK(weft_await(f, NULL, WEFT_POLL) == -ETIMEDOUT && f.h == NULL);
    f = weft_submit_until(pool, WEFT_POLL, answer, 2);
    CHECK(weft_done(f) && weft_await(f, NULL, WEFT_POLL) == -ETIMEDOUT && f.h == NULL);
    f = weft_submit_until(pool, weft_now() - WEFT_SEC, answer, 3);
    CHECK(weft_done(f) && weft_await(f, NULL, WEFT_POLL) == -ETIMEDOUT && f.h == NULL);
    return 0;
}

static void test_waiting_for_room_ends_at_a_deadline(void **state)
{
    (void)state;
    uint32_t word;
    weft_executor *pool = pool_new(1, 1, WEFT_FULL_WAIT);
    hold_future held = hold_worker(pool, &word);
    answer_future first = weft_submit_until(pool, WEFT_POLL, answer, 1); /* there is room */
    in_thread(submit_in_vain, pool);
    on_workers(submit_in_vain, pool);
    weft__store_release(&word, 2);
    assert_int_equal(weft_await(first, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
    answer_future last = weft_submit_until(pool, weft_in(LIVENESS_NS), answer, 1);
    assert_int_equal(weft_await(last, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_pool_destroy(pool), 0);
}

/* Neither waits, whatever the deadline. */
static void test_a_deadline_concerns_nobody_but_who_waits(void **state)
{
    (void)state;
    for (int full = WEFT_FULL_RUN; full <= WEFT_FULL_FAIL; full++) {
        uint32_t word;
        weft_executor *pool = pool_new(1, 1, (weft_full)full);
        hold_future held = hold_worker(pool, &word);
        answer_future first = weft_submit(pool, answer, 1);
        const int64_t deadlines[] = {WEFT_POLL, weft_in(LIVENESS_NS), WEFT_FOREVER};
        for (int i = 0; i < 3; i++) {
            answer_future f = weft_submit_until(pool, deadlines[i], answer, 2);
            assert_int_equal(weft_await(f, NULL, WEFT_POLL), full == WEFT_FULL_RUN ? 0 : -EAGAIN);
        }
        answer_future inline_one = weft_submit_until(weft_inline(), WEFT_POLL, answer, 3);
        assert_int_equal(weft_await(inline_one, NULL, WEFT_POLL), 0);
        weft__store_release(&word, 2);
        assert_int_equal(weft_await(first, NULL, WEFT_FOREVER), 0);
        assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
        assert_int_equal(weft_pool_destroy(pool), 0);
    }
}

/* Submits with deadlines at which room becomes free, and counts what is refused. */
static int submit_in_a_hurry(void *arg)
{
    weft_executor *pool = arg;
    for (int i = 0; i < 200; i++) {
        int value = -1;
        answer_future f = weft_submit_until(pool, weft_in(i % 7 * WEFT_USEC), answer, i);
        int rc = weft_await(f, &value, WEFT_FOREVER);
        CHECK((rc == 0 && value == i) || (rc == -ETIMEDOUT && f.h == NULL));
    }
    return 0;
}

static void *hurry(void *pool)
{
    return (void *)(intptr_t)submit_in_a_hurry(pool);
}

/* A place that is given at the moment of a deadline is neither lost nor given twice. */
static void test_deadlines_while_room_becomes_free(void **state)
{
    (void)state;
    for (size_t room = 1; room <= 2; room++) {
        pthread_t threads[3];
        uint32_t word;
        weft_executor *pool = pool_new(1, room, WEFT_FULL_WAIT);
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, hurry, pool), 0);
        on_count(2, submit_in_a_hurry, pool);
        for (int i = 0; i < 3; i++) {
            void *line;
            assert_int_equal(pthread_join(threads[i], &line), 0);
            assert_int_equal((int)(intptr_t)line, 0);
        }
        hold_future held = hold_worker(pool, &word);
        answer_future f[3];
        for (size_t i = 0; i <= room; i++)
            f[i] = weft_submit_until(pool, WEFT_POLL, answer, 1);
        for (size_t i = 0; i < room; i++)
            assert_false(weft_done(f[i]));
        assert_int_equal(weft_await(f[room], NULL, WEFT_POLL), -ETIMEDOUT);
        weft__store_release(&word, 2);
        for (size_t i = 0; i < room; i++)
            assert_int_equal(weft_await(f[i], NULL, WEFT_FOREVER), 0);
        assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
        assert_int_equal(weft_pool_destroy(pool), 0);
    }
}

/* ---- shutdown -------------------------------------------------------------------------------- */

enum { BLOCKED = 1, RUNNING = 2, PENDING = 4, STATES = 8 };

/* A pool with work in each of the states of `mask` is shut down, by a plain thread, a fiber of
 * another runtime, or a task of its own. */
typedef struct ending {
    weft_executor *pool;
    int is_own; /* the task is one of the pool's */
    int mask;
    unsigned flags;
    int is_waiting;
    gate at;
    uint32_t word;
    pass_future blocked;
    hold_future running;
    answer_future pending;
} ending;

static int begin_work(ending *self)
{
    self->at = gate_new();
    self->word = 0;
    if (self->mask & BLOCKED) {
        self->blocked = weft_submit(self->pool, pass, &self->at);
        CHECK(weft_result(self->at.entered, NULL, WEFT_FOREVER) == 0);
    }
    if (self->mask & RUNNING)
        self->running = hold_worker(self->pool, &self->word);
    if (self->mask & PENDING)
        self->pending = weft_submit(self->pool, answer, 4);
    return 0;
}

static int shut_down_first(const ending *self)
{
    int is_busy = self->is_own || (self->mask & (BLOCKED | RUNNING)) != 0;
    int64_t deadline = self->is_waiting ? weft_in(WEFT_MSEC) : WEFT_POLL;
    int rc = weft_executor_shutdown(self->pool, self->flags, deadline);
    if (self->is_own && self->is_waiting) {
        CHECK(rc == -EDEADLK);
        rc = weft_executor_shutdown(self->pool, self->flags, WEFT_POLL);
    }
    CHECK(rc == -ETIMEDOUT || (rc == 0 && !is_busy));
    answer_future refused = weft_submit(self->pool, answer, 5);
    CHECK(weft_await(refused, NULL, WEFT_POLL) == -EPIPE);
    if ((self->mask & PENDING) && (self->mask & RUNNING)) /* at once */
        CHECK(weft_cancelled(self->pending) == (self->flags == WEFT_CANCEL_PENDING));
    return 0;
}

static int end_work(ending *self)
{
    int value = 0;
    weft__store_release(&self->word, 2);
    (void)weft_set_result(self->at.open, &(int){0});
    if (!self->is_own) {
        CHECK(weft_executor_shutdown(self->pool, self->flags, WEFT_FOREVER) == 0);
        CHECK(weft_executor_shutdown(self->pool, 0, WEFT_POLL) == 0);
    }
    int64_t deadline = self->is_own ? WEFT_FOREVER : WEFT_POLL;
    if (self->mask & BLOCKED)
        CHECK(weft_await(self->blocked, &value, deadline) == 0);
    if (self->mask & RUNNING)
        CHECK(weft_await(self->running, &value, deadline) == 0);
    if (self->mask & PENDING) {
        int rc = weft_await(self->pending, &value, deadline);
        CHECK(rc == 0 ? value == 4 : rc == -ECANCELED && self->flags == WEFT_CANCEL_PENDING);
    }
    gate_free(&self->at);
    return 0;
}

static int check_ending(void *arg)
{
    ending *self = arg;
    CHECK_CALL(begin_work(self));
    CHECK_CALL(shut_down_first(self));
    return end_work(self);
}

WEFT_TASK(int, end_from_inside, ending *, self)
{
    return check_ending(self);
}

static int check_own_ending(ending *self)
{
    int line = __LINE__;
    self->is_own = 1;
    end_from_inside_future f = weft_submit(self->pool, end_from_inside, self);
    CHECK(weft_await(f, &line, WEFT_FOREVER) == 0);
    return line;
}

enum { THREAD, STRANGER, OWN, CONTEXTS };

static void shut_down_from(int context, ending self)
{
    static const weft_config config = {.workers = 1};
    self.pool = pool_new(context == OWN ? 2 : 1, 0, WEFT_FULL_WAIT);
    int line = context == THREAD     ? check_ending(&self)
               : context == STRANGER ? weft_run(check_ending, &self, &config)
                                     : check_own_ending(&self);
    if (line != 0)
        fail_msg("line %d fails in context %d, states %d", line, context, self.mask);
    assert_int_equal(weft_pool_destroy(self.pool), 0);
}

static void test_shutdown_with_work_in_every_state_from_everywhere(void **state)
{
    (void)state;
    for (int context = 0; context < CONTEXTS; context++)
        for (int mask = 0; mask < STATES; mask++)
            for (int is_waiting = 0; is_waiting < 2; is_waiting++)
                for (unsigned flags = 0; flags <= WEFT_CANCEL_PENDING; flags++)
                    shut_down_from(
                        context, (ending){.mask = mask, .flags = flags, .is_waiting = is_waiting});
}

typedef struct inside {
    weft_executor *pool;
    int waiting, destroying, polling, submitting;
} inside;

WEFT_TASK(int, shut_down_oneself, inside *, self)
{
    self->waiting = weft_executor_shutdown(self->pool, 0, WEFT_FOREVER);
    self->destroying = weft_pool_destroy(self->pool);
    answer_future f = weft_submit(self->pool, answer, 1); /* nothing has happened */
    if (weft_await(f, NULL, WEFT_FOREVER) != 0)
        return -1;
    self->polling = weft_executor_shutdown(self->pool, WEFT_CANCEL_PENDING, WEFT_POLL);
    f = weft_submit(self->pool, answer, 1);
    self->submitting = weft_await(f, NULL, WEFT_FOREVER);
    return 0;
}

static void test_shutdown_from_inside_a_task(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        inside self = {.pool = pool_new(workers, 0, WEFT_FULL_WAIT)};
        int value = -1;
        shut_down_oneself_future f = weft_submit(self.pool, shut_down_oneself, &self);
        assert_int_equal(weft_await(f, &value, WEFT_FOREVER), 0);
        assert_int_equal(value, 0);
        assert_int_equal(self.waiting, -EDEADLK);
        assert_int_equal(self.destroying, -EDEADLK);
        assert_int_equal(self.polling, -ETIMEDOUT);
        assert_int_equal(self.submitting, -EPIPE);
        assert_int_equal(weft_pool_destroy(self.pool), 0);
    }
}

WEFT_TASK(int, grow, weft_executor *, pool, int, depth)
{
    if (depth > 0) {
        for (int i = 0; i < 2; i++) {
            grow_future f = weft_submit(pool, grow, pool, depth - 1);
            weft_release(f);
        }
    }
    return 0;
}

static void test_destroying_at_any_moment_ends_everything(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        weft_executor *pool = pool_new(1 + (unsigned)round % 3, 0, WEFT_FULL_WAIT);
        answer_future f[20];
        grow_future g = weft_submit(pool, grow, pool, 5);
        for (int i = 0; i < 20; i++)
            f[i] = weft_submit(pool, answer, i);
        unsigned flags = round % 2 == 0 ? 0 : WEFT_CANCEL_PENDING;
        assert_int_equal(weft_executor_shutdown(pool, flags, WEFT_FOREVER), 0);
        assert_true(weft_done(g));
        assert_int_equal(weft_pool_destroy(pool), 0);
        weft_release(g);
        for (int i = 0; i < 20; i++) {
            int rc = weft_await(f[i], NULL, WEFT_POLL);
            assert_true(rc == 0 || (flags != 0 && rc == -ECANCELED));
        }
    }
}

/* ---- scopes ---------------------------------------------------------------------------------- */

WEFT_TASK(int, until_told, int_future *, ready)
{
    (void)weft_set_result(*ready, &(int){1});
    return weft_sleep(WEFT_FOREVER);
}

static int check_scope(void *arg)
{
    int_future ready;
    until_told_future running = {NULL};
    answer_future pending = {NULL};
    int value = 0;
    (void)arg;
    weft_promise(ready);
    weft_scope(group)
    {
        running = weft_submit(weft_workers(), until_told, &ready);
        CHECK(weft_result(ready, NULL, WEFT_FOREVER) == 0);
        weft_cancel_scope(&group);
        pending = weft_submit(weft_workers(), answer, 3);
    }
    CHECK(weft_done(running) && weft_cancelled(pending)); /* the scope has waited for both */
    CHECK(weft_await(running, &value, WEFT_POLL) == 0 && value == -ECANCELED);
    CHECK(weft_await(pending, &value, WEFT_POLL) == -ECANCELED);
    weft_release(ready);

    /* On a busy machine a deadline may pass before what it is meant for has begun. */
    int rc = -ECANCELED;
    for (int64_t ms = 3; rc == -ECANCELED && ms < 10000; ms *= 2) {
        weft_promise(ready);
        weft_deadline(weft_in(ms * WEFT_MSEC))
        {
            running = weft_submit(weft_workers(), until_told, &ready);
        }
        rc = weft_await(running, &value, WEFT_POLL);
        weft_release(ready);
    }
    CHECK(rc == 0 && value == -ETIMEDOUT);
    return 0;
}

static void test_a_scope_cancels_what_was_submitted_in_it(void **state)
{
    (void)state;
    in_thread(check_scope, NULL);
    for (unsigned workers = 1; workers <= 3; workers++)
        on_count(workers, check_scope, NULL);
}

/* Submits more in its turn, and waits for none of it. */
WEFT_TASK_DECLARE(int, sow, uint32_t *, count, unsigned, depth);
WEFT_TASK_DEFINE(int, sow, uint32_t *, count, unsigned, depth)
{
    for (unsigned i = 0; i < 3 && depth > 0; i++) {
        sow_future more = weft_submit(weft_workers(), sow, count, depth - 1);
        weft_release(more);
    }
    if (depth == 1)
        (void)weft_sleep(weft_in(10 * WEFT_USEC));
    weft__fetch_add_relaxed(count, 1);
    return 0;
}

/* As a fiber, which ends before what it has submitted; now and then from a scope of its own. */
WEFT_FIBER(sower, uint32_t *, count, unsigned, number)
{
    if (number % 4 == 0) {
        weft_scope(inner)
        {
            (void)sow(count, 2);
        }
    } else if (number % 4 == 1) {
        weft_yield();
        (void)sow(count, 2);
    } else {
        (void)sow(count, 2);
    }
}

#define SOWERS 50
#define SOWN (1 + 3 + 9)

static int check_sowers(void *arg)
{
    uint32_t count = 0;
    (void)arg;
    weft_scope(group)
    {
        for (unsigned i = 0; i < SOWERS; i++)
            CHECK(weft_go(&group, sower, &count, i) == 0);
    }
    CHECK(count == SOWERS * SOWN); /* the scope has waited for all */
    return 0;
}

static void test_a_scope_waits_for_what_its_fibers_have_left_behind(void **state)
{
    (void)state;
    in_thread(check_sowers, NULL);
    for (unsigned workers = 1; workers <= 4; workers++)
        for (int round = 0; round < 10; round++)
            on_count(workers, check_sowers, NULL);
}

/* ---- fork ------------------------------------------------------------------------------------ */

static int check_in_child(weft_executor *pool, answer_future from_parent)
{
    int value = 0;
    if (weft_await(from_parent, &value, WEFT_FOREVER) != -ECHILD)
        return 1;
    weft_case cases[] = {WEFT_CASE_FUTURE(from_parent)};
    if (weft_select(cases, 1, WEFT_FOREVER) != -ECHILD)
        return 5;
    answer_future f = weft_submit(pool, answer, 1);
    if (weft_await(f, &value, WEFT_FOREVER) != -ECHILD)
        return 2;
    if (weft_executor_shutdown(pool, 0, WEFT_FOREVER) != -ECHILD)
        return 3;
    f = weft_submit(weft_workers(), answer, 7); /* workers of the child's own */
    if (weft_await(f, &value, WEFT_FOREVER) != 0 || value != 7)
        return 4;
    return 0;
}

static void test_a_forked_child_has_none_of_the_workers(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    uint32_t word;
    weft_executor *pool = pool_new(1, 0, WEFT_FULL_WAIT);
    hold_future held = hold_worker(pool, &word);
    answer_future f = weft_submit(pool, answer, 1);
    pid_t child = fork();
    if (child == 0)
        _exit(check_in_child(pool, f));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    weft__store_release(&word, 2);
    assert_int_equal(weft_await(f, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_await(held, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_pool_destroy(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_runs_what_is_submitted_from_anywhere),
        cmocka_unit_test(test_wrong_configurations_are_refused),
        cmocka_unit_test(test_futures_outlive_their_pool),
        cmocka_unit_test(test_a_fiber_may_use_another_runtimes_pool),
        cmocka_unit_test(test_plain_threads_share_workers),
        cmocka_unit_test(test_full_queue_fails_with_eagain),
        cmocka_unit_test(test_full_queue_runs_here),
        cmocka_unit_test(test_full_queue_makes_threads_wait),
        cmocka_unit_test(test_tasks_of_a_full_pool_park_and_get_through),
        cmocka_unit_test(test_waiting_for_room_ends_with_the_scope),
        cmocka_unit_test(test_waiting_for_room_ends_at_a_deadline),
        cmocka_unit_test(test_a_deadline_concerns_nobody_but_who_waits),
        cmocka_unit_test(test_deadlines_while_room_becomes_free),
        cmocka_unit_test(test_shutdown_with_work_in_every_state_from_everywhere),
        cmocka_unit_test(test_shutdown_from_inside_a_task),
        cmocka_unit_test(test_destroying_at_any_moment_ends_everything),
        cmocka_unit_test(test_a_scope_cancels_what_was_submitted_in_it),
        cmocka_unit_test(test_a_scope_waits_for_what_its_fibers_have_left_behind),
        cmocka_unit_test(test_a_forked_child_has_none_of_the_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
