/* SPDX-License-Identifier: BSD-2-Clause */
/* test_wait.c — wait and as_completed, row by row, and a future that many wait for. */
#include "manual.h"

#include <pthread.h>
#include <stdlib.h>

#include <weft/atomic.h>
#include <weft/fiber.h>

WEFT_TASK(int, answer, int, value)
{
    if (value < 0)
        return weft_fail(value, "negative"), 0;
    return value;
}

enum { MANY = 8 };

static void submit_all(manual *queue, answer_future *futures, int first)
{
    for (int i = 0; i < MANY; i++)
        futures[i] = weft_submit(&queue->base, answer, first + i);
}

static void release_all(answer_future *futures)
{
    for (int i = 0; i < MANY; i++)
        weft_release(futures[i]);
}

static void run_all(manual *queue)
{
    while (queue->first < queue->count)
        manual_run(queue);
}

/* A thread that runs the queue's futures, one each millisecond. */
static void *run_slowly(void *arg)
{
    manual *queue = arg;
    while (queue->first < queue->count) {
        (void)weft_sleep(weft_in(WEFT_MSEC));
        manual_run(queue);
    }
    return NULL;
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

static void join(pthread_t thread)
{
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* ---- wait ------------------------------------------------------------------------------------ */

static void test_wait_that_times_out_is_no_error(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    submit_all(&queue, futures, 0);
    assert_int_equal(weft_wait(futures, MANY, WEFT_ALL_COMPLETED, WEFT_POLL), 0);
    manual_run(&queue);
    manual_run(&queue);
    assert_int_equal(weft_wait(futures, MANY, WEFT_ALL_COMPLETED, WEFT_POLL), 2);
    assert_int_equal(weft_wait(futures, MANY, WEFT_ALL_COMPLETED, weft_in(2 * WEFT_MSEC)), 2);
    run_all(&queue);
    assert_int_equal(weft_wait(futures, MANY, WEFT_ALL_COMPLETED, WEFT_FOREVER), MANY);
    release_all(futures);
}

static void test_wait_for_all(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    submit_all(&queue, futures, -2); /* failures do not end it */
    pthread_t thread = start(run_slowly, &queue);
    assert_int_equal(weft_wait(futures, MANY, WEFT_ALL_COMPLETED, WEFT_FOREVER), MANY);
    join(thread);
    release_all(futures);
}

static void test_wait_for_the_first(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    submit_all(&queue, futures, 0);
    pthread_t thread = start(run_slowly, &queue);
    ptrdiff_t ended = weft_wait(futures, MANY, WEFT_FIRST_COMPLETED, WEFT_FOREVER);
    assert_true(ended >= 1);
    assert_true(weft_done(futures[0]));
    join(thread);
    release_all(futures);
}

static void test_wait_for_the_first_exception(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    for (int i = 0; i < MANY; i++)
        futures[i] = weft_submit(&queue.base, answer, i == 4 ? -EIO : i);
    assert_true(weft_cancel(futures[0])); /* is no exception */
    pthread_t thread = start(run_slowly, &queue);
    ptrdiff_t ended = weft_wait(futures, MANY, WEFT_FIRST_EXCEPTION, WEFT_FOREVER);
    assert_true(ended >= 5);
    assert_true(weft_done(futures[4]));
    assert_true(weft_wait(futures, MANY, WEFT_FIRST_EXCEPTION, WEFT_FOREVER) >= 5); /* at once */
    join(thread);
    release_all(futures);
}

static void test_first_exception_without_one_is_all(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    submit_all(&queue, futures, 0);
    pthread_t thread = start(run_slowly, &queue);
    assert_int_equal(weft_wait(futures, MANY, WEFT_FIRST_EXCEPTION, WEFT_FOREVER), MANY);
    join(thread);
    release_all(futures);
}

static void test_a_cancelled_future_is_done_for_everybody_at_once(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    int seen = 0;
    submit_all(&queue, futures, 0);
    assert_true(weft_cancel(futures[3])); /* no executor has come across it */
    assert_int_equal(weft_wait(futures, MANY, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 1);
    weft_as_completed (i, futures, MANY, WEFT_POLL) {
        assert_int_equal(i, 3);
        seen++;
    }
    assert_int_equal(seen, 1);
    run_all(&queue);
    release_all(futures);
}

static void test_null_handles_and_none_at_all(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    submit_all(&queue, futures, 0);
    run_all(&queue);
    for (int i = 0; i < MANY; i += 2)
        weft_release(futures[i]);
    assert_int_equal(weft_wait(futures, MANY, WEFT_ALL_COMPLETED, WEFT_FOREVER), MANY / 2);
    int seen = 0;
    weft_as_completed (i, futures, MANY, WEFT_FOREVER)
        seen += i % 2 == 1;
    assert_int_equal(seen, MANY / 2);
    assert_int_equal(weft_wait(futures, 0, WEFT_FIRST_COMPLETED, WEFT_FOREVER), 0);
    weft_as_completed (i, futures, 0, WEFT_FOREVER)
        fail_msg("%zu of nothing", i);
    release_all(futures);
}

static void test_the_same_future_twice(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future one = weft_submit(&queue.base, answer, 1);
    answer_future twice[2] = {one, one};
    int seen = 0;
    assert_int_equal(weft_wait(twice, 2, WEFT_ALL_COMPLETED, weft_in(WEFT_MSEC)), 0);
    pthread_t thread = start(run_slowly, &queue);
    weft_as_completed (i, twice, 2, WEFT_FOREVER)
        seen += (int)i + 1;
    assert_int_equal(seen, 3);
    join(thread);
    assert_int_equal(weft_wait(twice, 2, WEFT_ALL_COMPLETED, WEFT_FOREVER), 2);
    weft_release(one);
}

/* ---- as_completed ---------------------------------------------------------------------------- */

static void test_ended_ones_come_first_and_in_order(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    size_t expected[] = {1, 2, 0};
    size_t seen = 0;
    submit_all(&queue, futures, 0);
    weft_future *first = manual_take(&queue);
    manual_run(&queue);
    manual_run(&queue);
    weft_as_completed (i, futures, 3, WEFT_FOREVER) {
        assert_int_equal(i, expected[seen++]);
        if (seen == 2)
            weft_future_run(first); /* while the loop waits for it */
    }
    assert_int_equal(seen, 3);
    run_all(&queue);
    release_all(futures);
}

static void test_then_in_order_of_their_ends(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    weft_future *reversed[MANY];
    size_t seen = 0;
    submit_all(&queue, futures, 0);
    for (int i = MANY; i-- > 0;)
        reversed[i] = manual_take(&queue);
    for (int i = 0; i < MANY; i++)
        queue.queue[i] = reversed[i];
    queue.first = 0;
    pthread_t thread = start(run_slowly, &queue);
    weft_as_completed (i, futures, MANY, WEFT_FOREVER) {
        int value = -1;
        assert_int_equal(i, MANY - ++seen);
        assert_int_equal(weft_await(futures[i], &value, WEFT_POLL), 0);
        assert_int_equal(value, i);
    }
    assert_int_equal(seen, MANY);
    join(thread);
}

static void test_as_completed_times_out_from_the_beginning(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    size_t seen = 0;
    size_t index;
    submit_all(&queue, futures, 0);
    manual_run(&queue);
    int64_t deadline = weft_in(5 * WEFT_MSEC);
    weft_as_completed (i, futures, MANY, deadline)
        seen++;
    assert_int_equal(seen, 1);
    assert_true(weft_now() >= deadline);
    weft_completed it;
    weft_completed_open(&it, &futures[0].h, MANY, deadline);
    assert_int_equal(weft_completed_next(&it, &index), 1);
    assert_int_equal(weft_completed_next(&it, &index), -ETIMEDOUT);
    manual_run(&queue);
    assert_int_equal(weft_completed_next(&it, &index), 1);
    assert_int_equal(index, 1);
    weft_completed_close(&it);
    weft_completed_close(&it);
    run_all(&queue);
    release_all(futures);
}

static int leave_early(answer_future *futures)
{
    weft_as_completed (i, futures, MANY, WEFT_FOREVER) {
        if (i == 1)
            return 1; /* with six still armed */
    }
    return 0;
}

static void test_as_completed_may_be_left_early(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future futures[MANY];
    int seen = 0;
    submit_all(&queue, futures, 0);
    manual_run(&queue);
    manual_run(&queue);
    assert_int_equal(leave_early(futures), 1);
    weft_as_completed (i, futures, MANY, WEFT_FOREVER) {
        weft_as_completed (j, futures, MANY, WEFT_FOREVER) { /* one inside the other */
            seen += i == j;
            break;
        }
        if (i == 1)
            break;
    }
    assert_int_equal(seen, 1);
    run_all(&queue); /* nobody is told who has gone */
    release_all(futures);
}

static void test_as_completed_of_many(void **state)
{
    (void)state;
    enum { COUNT = 1000 }; /* more than has room in the iteration itself */
    static answer_future futures[COUNT];
    static int seen[COUNT];
    for (int i = 0; i < COUNT; i++)
        futures[i] = weft_submit(weft_workers(), answer, i);
    int count = 0;
    weft_as_completed (i, futures, COUNT, weft_in(20 * WEFT_SEC)) {
        int value = -1;
        assert_int_equal(weft_await(futures[i], &value, WEFT_POLL), 0);
        assert_int_equal(value, i);
        seen[i]++;
        count++;
    }
    assert_int_equal(count, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
}

/* ---- inside fibers --------------------------------------------------------------------------- */

static int check_in_fibers(void *arg)
{
    (void)arg;
    for (int round = 0; round < 30; round++) {
        answer_future futures[MANY];
        int sum = 0;
        for (int i = 0; i < MANY; i++)
            futures[i] = weft_submit(weft_workers(), answer, i == 5 ? -EIO : i);
        CHECK(weft_wait(futures, MANY, WEFT_FIRST_COMPLETED, WEFT_FOREVER) >= 1);
        CHECK(weft_wait(futures, MANY, WEFT_FIRST_EXCEPTION, weft_in(20 * WEFT_SEC)) >= 1);
        CHECK(weft_wait(futures, MANY, WEFT_ALL_COMPLETED, weft_in(20 * WEFT_SEC)) == MANY);
        for (int i = 0; i < MANY; i++)
            weft_release(futures[i]);
        for (int i = 0; i < MANY; i++)
            futures[i] = weft_submit(weft_workers(), answer, i);
        weft_as_completed (i, futures, MANY, WEFT_FOREVER) {
            int value = 0;
            CHECK(weft_await(futures[i], &value, WEFT_POLL) == 0);
            sum += value;
        }
        CHECK(sum == 28);
    }
    return 0;
}

static void test_on_workers_of_any_number(void **state)
{
    (void)state;
    on_every_count(check_in_fibers, NULL);
}

static int check_timeout_in_fiber(void *arg)
{
    WEFT_FUTURE_OF(int) never;
    (void)arg;
    weft_promise(never);
    int64_t until = weft_in(3 * WEFT_MSEC);
    CHECK(weft_result(never, NULL, until) == -ETIMEDOUT);
    CHECK(weft_now() >= until);
    CHECK(weft_wait(&never, 1, WEFT_ALL_COMPLETED, weft_in(WEFT_MSEC)) == 0);
    if (weft_worker_id() < 0) /* scopes do not concern the waits of plain threads */
        return weft_set_error(never, -EIO, NULL) + weft_await(never, NULL, WEFT_POLL) + EIO;
    weft_deadline(weft_in(2 * WEFT_MSEC))
    {
        CHECK(weft_result(never, NULL, WEFT_FOREVER) == -ETIMEDOUT);
    }
    CHECK(weft_set_error(never, -EIO, NULL) == 0);
    CHECK(weft_await(never, NULL, WEFT_FOREVER) == -EIO);
    return 0;
}

static void test_fibers_time_out(void **state)
{
    (void)state;
    on_every_count(check_timeout_in_fiber, NULL);
}

/* ---- one future, many who wait --------------------------------------------------------------- */

enum { THREADS = 64 };

typedef WEFT_FUTURE_OF(long) long_future;

enum { BATCH = 100 }; /* rounds for which there are futures at a time */

static struct {
    long_future go[BATCH];   /* what all wait for */
    long_future seen[BATCH]; /* the last of them says so */
    uint32_t count[BATCH];
} rounds;

static void *wait_each_round(void *arg)
{
    (void)arg;
    for (long i = 0; i < BATCH; i++) {
        long value = -1;
        if (weft_result(rounds.go[i], &value, WEFT_FOREVER) != 0 || value != i)
            return (void *)1;
        if (weft__fetch_add_acq_rel(&rounds.count[i], 1) == THREADS - 1)
            (void)weft_set_result(rounds.seen[i], &i);
    }
    return NULL;
}

/* One completion wakes all, in every round; a lost wake-up hangs. */
static void wake_threads(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < BATCH; i++) {
        weft_promise(rounds.go[i]);
        weft_promise(rounds.seen[i]);
        rounds.count[i] = 0;
    }
    for (int i = 0; i < THREADS; i++)
        threads[i] = start(wait_each_round, NULL);
    for (long i = 0; i < BATCH; i++) {
        assert_int_equal(weft_set_result(rounds.go[i], &i), 0);
        assert_int_equal(weft_result(rounds.seen[i], NULL, WEFT_FOREVER), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (int i = 0; i < BATCH; i++) {
        weft_release(rounds.go[i]);
        weft_release(rounds.seen[i]);
    }
}

static void test_one_completion_wakes_64_threads(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        wake_threads();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wait_that_times_out_is_no_error),
        cmocka_unit_test(test_wait_for_all),
        cmocka_unit_test(test_wait_for_the_first),
        cmocka_unit_test(test_wait_for_the_first_exception),
        cmocka_unit_test(test_first_exception_without_one_is_all),
        cmocka_unit_test(test_a_cancelled_future_is_done_for_everybody_at_once),
        cmocka_unit_test(test_null_handles_and_none_at_all),
        cmocka_unit_test(test_the_same_future_twice),
        cmocka_unit_test(test_ended_ones_come_first_and_in_order),
        cmocka_unit_test(test_then_in_order_of_their_ends),
        cmocka_unit_test(test_as_completed_times_out_from_the_beginning),
        cmocka_unit_test(test_as_completed_may_be_left_early),
        cmocka_unit_test(test_as_completed_of_many),
        cmocka_unit_test(test_on_workers_of_any_number),
        cmocka_unit_test(test_fibers_time_out),
        cmocka_unit_test(test_one_completion_wakes_64_threads),
    };
    if (argc > 1) { /* a soak: so many rounds of the last test */
        for (unsigned long left = strtoul(argv[1], NULL, 10); left > 0; left -= BATCH)
            wake_threads();
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
