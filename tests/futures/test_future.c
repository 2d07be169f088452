/* SPDX-License-Identifier: BSD-2-Clause */
/* test_future.c — what concurrent.futures.Future promises, row by row, on one future.
 *
 * Each test is named after a promise. An executor that runs nothing until it is told to shows every
 * state at leisure; a last group runs the same on real workers, from inside and outside. */
#include "../core/process.h"
#include "manual.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>

#include <weft/atomic.h>

WEFT_TASK(int, answer, int, value)
{
    return value;
}

WEFT_TASK(double, price, int, option, double, spot)
{
    return option * spot;
}

WEFT_VOID_TASK(store, int *, to, int, value)
{
    *to = value;
}

WEFT_TASK(int, none)
{
    return 7;
}

typedef struct triple {
    long a, b, c;
} triple;

WEFT_TASK(triple, turn, triple, of)
{
    return (triple){of.b, of.c, of.a};
}

WEFT_TASK(int, check_row, int, row)
{
    if (row == 3)
        return weft_fail(-EINVAL, "bad row %d", row), 0;
    return row;
}

WEFT_TASK(int, look_at_oneself, weft_future **, self)
{
    return weft_future_running(*self) && !weft_future_done(*self) &&
           !weft_future_cancelled(*self) && !weft_future_cancel(*self);
}

/* ---- submit ---------------------------------------------------------------------------------- */

static void test_submit_takes_arguments_by_place_and_by_name(void **state)
{
    (void)state;
    weft_executor *at_once = weft_inline();
    double value = 0;
    price_future f = weft_submit(at_once, price, 2, 1.5);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_true(value == 3.0);
    assert_null(f.h);
    f = weft_submit(at_once, price, .spot = 2.5, .option = 4);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_true(value == 10.0);
    f = weft_submit(at_once, price, .option = 4);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_true(value == 0.0);

    int number = 0;
    none_future n = weft_submit(at_once, none);
    assert_int_equal(weft_await(n, &number, WEFT_POLL), 0);
    assert_int_equal(number, 7);
    store_future s = weft_submit(at_once, store, &number, 9);
    assert_int_equal(weft_await(s, NULL, WEFT_POLL), 0);
    assert_int_equal(number, 9);
    triple t = {0, 0, 0};
    turn_future u = weft_submit(at_once, turn, ((triple){1, 2, 3}));
    assert_int_equal(weft_await(u, &t, WEFT_POLL), 0);
    assert_true(t.a == 2 && t.b == 3 && t.c == 1);
}

static int twice(void *arg)
{
    return *(int *)arg * 2;
}

static void test_submit_a_plain_function(void **state)
{
    (void)state;
    int value = 21;
    weft_call_fn_future f = weft_submit_fn(weft_inline(), twice, &value);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 42);
}

static void test_arguments_are_copied(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 5;
    answer_future f = weft_submit(&queue.base, answer, value);
    value = 6;
    manual_run(&queue);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 5);
}

WEFT_TASK(int, is_aligned, long double, argument)
{
    return argument > 1;
}

static void test_arguments_are_aligned(void **state)
{
    (void)state;
    manual queue = manual_new();
    int good = 0;
    is_aligned_future f = weft_submit(&queue.base, is_aligned, 2.0L);
    weft_future *future = manual_take(&queue);
    assert_int_equal((uintptr_t)weft_future_args(future) % 16, 0);
    weft_future_run(future);
    assert_int_equal(weft_await(f, &good, WEFT_POLL), 0);
    assert_int_equal(good, 1);
}

/* ---- states ---------------------------------------------------------------------------------- */

static void test_pending_running_finished(void **state)
{
    (void)state;
    manual queue = manual_new();
    int good = 0;
    weft_future *self = NULL;
    look_at_oneself_future f = weft_submit(&queue.base, look_at_oneself, &self);
    self = f.h;
    assert_false(weft_done(f) || weft_running(f) || weft_cancelled(f));
    manual_run(&queue);
    assert_true(weft_done(f) && !weft_running(f) && !weft_cancelled(f));
    assert_int_equal(weft_await(f, &good, WEFT_POLL), 0);
    assert_int_equal(good, 1);
}

static void test_cancel_of_pending_succeeds_and_runs_callbacks_in_the_canceller(void **state)
{
    (void)state;
    manual queue = manual_new();
    record seen = {0};
    record_calls = 0;
    answer_future f = weft_submit(&queue.base, answer, 1);
    assert_int_equal(weft_on_done(f, note, &seen), 0);
    assert_true(weft_cancel(f));
    assert_int_equal(seen.calls, 1);
    assert_int_equal(seen.was_done, 1);
    assert_true(weft_done(f) && !weft_running(f) && weft_cancelled(f));
    assert_int_equal(weft_future_begin(manual_take(&queue)), -ECANCELED);
    weft_release(f);
}

static void test_cancel_is_idempotent_and_callbacks_do_not_run_again(void **state)
{
    (void)state;
    manual queue = manual_new();
    record seen = {0};
    answer_future f = weft_submit(&queue.base, answer, 1);
    assert_int_equal(weft_on_done(f, note, &seen), 0);
    assert_true(weft_cancel(f));
    assert_true(weft_cancel(f));
    assert_int_equal(seen.calls, 1);
    manual_run(&queue); /* does nothing */
    assert_true(weft_cancel(f));
    assert_int_equal(seen.calls, 1);
    weft_release(f);
}

static void test_cancel_of_running_and_finished_fails(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future f = weft_submit(&queue.base, answer, 1);
    weft_future *future = manual_take(&queue);
    assert_int_equal(weft_future_begin(future), 0);
    assert_false(weft_cancel(f));
    assert_true(weft_running(f));
    weft_future_type(future)->run(
        (weft_task *)(void *)((char *)weft_future_args(future) - offsetof(answer_task, args)));
    weft_future_finish(future);
    assert_false(weft_cancel(f));
    int value = 0;
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 1);
}

static void test_begin_tells_of_a_cancellation(void **state)
{
    (void)state;
    manual queue = manual_new();
    answer_future f = weft_submit(&queue.base, answer, 1);
    answer_future g = weft_submit(&queue.base, answer, 2);
    assert_true(weft_cancel(f));
    assert_int_equal(weft_future_begin(manual_take(&queue)), -ECANCELED);
    weft_future *second = manual_take(&queue);
    assert_int_equal(weft_future_begin(second), 0);
    weft_future_fail(second, -EIO, NULL);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -ECANCELED);
    assert_int_equal(weft_await(g, NULL, WEFT_POLL), -EIO);
}

/* ---- promises -------------------------------------------------------------------------------- */

typedef WEFT_FUTURE_OF(int) int_future;

static void test_set_result_from_pending_and_from_running(void **state)
{
    (void)state;
    int value = 11;
    int got = 0;
    int_future f;
    weft_promise(f);
    assert_false(weft_done(f));
    assert_int_equal(weft_set_result(f, &value), 0);
    assert_int_equal(weft_await(f, &got, WEFT_POLL), 0);
    assert_int_equal(got, 11);
    weft_promise(f);
    assert_int_equal(weft_future_begin(f.h), 0);
    assert_true(weft_running(f) && !weft_cancel(f));
    assert_int_equal(weft_set_error(f, -EIO, "line %d", 3), 0);
    assert_int_equal(weft_await(f, &got, WEFT_POLL), -EIO);
    assert_int_equal(got, 11);
}

static void test_set_result_on_ended_future_is_refused(void **state)
{
    (void)state;
    int value = 1;
    int_future f;
    weft_promise(f);
    assert_int_equal(weft_set_result(f, &value), 0);
    value = 2;
    assert_int_equal(weft_set_result(f, &value), -EINVAL);
    assert_int_equal(weft_set_error(f, -EIO, NULL), -EINVAL);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 1);
    weft_promise(f);
    assert_true(weft_cancel(f));
    assert_int_equal(weft_set_result(f, &value), -ECANCELED);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), -ECANCELED);
}

static void test_set_result_on_a_task_is_refused(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 2;
    answer_future f = weft_submit(&queue.base, answer, 1);
    assert_int_equal(weft_set_result(f, &value), -EINVAL);
    manual_run(&queue);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 1);
}

static void test_promise_may_be_released_by_either_side_first(void **state)
{
    (void)state;
    int value = 3;
    int_future f;
    weft_promise(f);
    weft_future *for_the_other_side = f.h;
    weft_release(f); /* nobody will read it */
    assert_null(f.h);
    assert_int_equal(weft_future_set_result(for_the_other_side, &value), 0);
    weft_promise(f);
    for_the_other_side = f.h;
    assert_true(weft_cancel(f));
    weft_release(f);
    assert_int_equal(weft_future_set_result(for_the_other_side, &value), -ECANCELED);
    weft_release(f);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), -EINVAL);
}

/* ---- result and exception -------------------------------------------------------------------- */

static void test_result_of_finished_returns_at_once(void **state)
{
    (void)state;
    int value = 0;
    answer_future f = weft_submit(weft_inline(), answer, 4);
    assert_int_equal(weft_result(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 4);
    value = 0;
    assert_int_equal(weft_result(f, &value, -1), 0); /* keeps */
    assert_int_equal(value, 4);
    assert_int_equal(weft_result(f, NULL, WEFT_FOREVER), 0);
    weft_release(f);
}

static void test_result_of_cancelled_is_ecanceled(void **state)
{
    (void)state;
    manual queue = manual_new();
    weft_error error = {.code = 1};
    answer_future f = weft_submit(&queue.base, answer, 4);
    assert_true(weft_cancel(f));
    assert_int_equal(weft_result(f, NULL, WEFT_FOREVER), -ECANCELED);
    assert_int_equal(weft_exception(f, &error, WEFT_FOREVER), -ECANCELED);
    assert_int_equal(error.code, 1);
    assert_int_equal(weft_await(f, NULL, WEFT_FOREVER), -ECANCELED);
    assert_null(f.h);
    manual_run(&queue);
}

static void test_result_times_out_and_keeps_the_handle(void **state)
{
    (void)state;
    manual queue = manual_new();
    weft_error error;
    int value = 1;
    answer_future f = weft_submit(&queue.base, answer, 4);
    assert_int_equal(weft_result(f, &value, WEFT_POLL), -ETIMEDOUT);
    assert_int_equal(weft_result(f, &value, -5), -ETIMEDOUT); /* negative behaves as 0 */
    int64_t until = weft_in(3 * WEFT_MSEC);
    assert_int_equal(weft_await(f, &value, until), -ETIMEDOUT);
    assert_true(weft_now() >= until);
    assert_non_null(f.h);
    assert_int_equal(weft_exception(f, &error, weft_in(WEFT_MSEC)), -ETIMEDOUT);
    assert_int_equal(value, 1);
    manual_run(&queue);
    assert_int_equal(weft_await(f, &value, until), 0);
    assert_int_equal(value, 4);
    assert_null(f.h);
}

static void test_exception_reads_code_message_name_and_site(void **state)
{
    (void)state;
    weft_error error;
    int value = 1;
    check_row_future f = weft_submit(weft_inline(), check_row, 3);
    int line = __LINE__ - 1;
    assert_true(weft_done(f) && !weft_cancelled(f));
    assert_int_equal(weft_exception(f, &error, WEFT_POLL), 0);
    assert_int_equal(error.code, -EINVAL);
    assert_string_equal(error.message, "bad row 3");
    assert_string_equal(error.task, "check_row");
    assert_string_equal(error.file, __FILE__);
    assert_int_equal(error.line, line);
    assert_int_equal(weft_result(f, &value, WEFT_POLL), -EINVAL);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), -EINVAL);
    assert_int_equal(value, 1);
}

static void test_exception_of_success_is_none(void **state)
{
    (void)state;
    weft_error error = {.code = 1};
    check_row_future f = weft_submit(weft_inline(), check_row, 4);
    assert_int_equal(weft_exception(f, &error, WEFT_POLL), 0);
    assert_int_equal(error.code, 0);
    assert_string_equal(error.message, "");
    weft_release(f);
}

WEFT_TASK(int, fail_twice, int, code)
{
    (void)weft_fail(-EIO, "first");
    return weft_fail(code, "second");
}

static void test_a_second_error_replaces_the_first(void **state)
{
    (void)state;
    weft_error error;
    fail_twice_future f = weft_submit(weft_inline(), fail_twice, -EPERM);
    assert_int_equal(weft_exception(f, &error, WEFT_POLL), 0);
    assert_int_equal(error.code, -EPERM);
    assert_string_equal(error.message, "second");
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EPERM);
}

static void test_codes_of_either_sign_are_errors(void **state)
{
    (void)state;
    fail_twice_future f = weft_submit(weft_inline(), fail_twice, EPERM);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EPERM);
    f = weft_submit(weft_inline(), fail_twice, 0);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EINVAL);
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static void test_callbacks_run_once_each_in_order_with_the_future(void **state)
{
    (void)state;
    manual queue = manual_new();
    record seen[10] = {{0}};
    record_calls = 0;
    answer_future f = weft_submit(&queue.base, answer, 4);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(weft_on_done(f, note, &seen[i]), 0);
        assert_int_equal(weft_result(f, NULL, weft_in(1)), -ETIMEDOUT); /* leaves an idle node */
    }
    assert_int_equal(record_calls, 0);
    manual_run(&queue);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(seen[i].calls, 1);
        assert_int_equal(seen[i].order, i + 1);
        assert_ptr_equal(seen[i].future, f.h);
        assert_true(seen[i].was_done);
    }
    weft_release(f);
}

/* In the thread that completes the future, and at once if that has happened. */
static void note_thread(weft_future *future, void *arg)
{
    (void)future;
    *(pthread_t *)arg = pthread_self();
}

static void *run_next(void *arg)
{
    manual_run(arg);
    return NULL;
}

static void test_callbacks_run_in_the_thread_that_completes(void **state)
{
    (void)state;
    manual queue = manual_new();
    pthread_t thread;
    pthread_t seen[2];
    answer_future f = weft_submit(&queue.base, answer, 4);
    assert_int_equal(weft_on_done(f, note_thread, &seen[0]), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_next, &queue), 0);
    assert_int_equal(weft_result(f, NULL, WEFT_FOREVER), 0);
    assert_int_equal(weft_on_done(f, note_thread, &seen[1]), 0);
    pthread_t completer = thread;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(pthread_equal(seen[0], completer));
    assert_true(pthread_equal(seen[1], pthread_self()));
    weft_release(f);
}

/* Whoever waits goes on, however long callbacks take. */
static void wait_for_release(weft_future *future, void *arg)
{
    (void)future;
    while (weft__load_acquire((uint32_t *)arg) == 0)
        (void)sched_yield();
}

static void test_waiters_are_told_before_callbacks_run(void **state)
{
    (void)state;
    manual queue = manual_new();
    pthread_t thread;
    uint32_t is_told = 0;
    answer_future f = weft_submit(&queue.base, answer, 4);
    assert_int_equal(weft_on_done(f, wait_for_release, &is_told), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_next, &queue), 0);
    assert_int_equal(weft_result(f, NULL, WEFT_FOREVER), 0);
    weft__store_release(&is_told, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    weft_release(f);
}

static void test_callback_added_late_runs_at_once(void **state)
{
    (void)state;
    record seen = {0};
    answer_future f = weft_submit(weft_inline(), answer, 4);
    assert_int_equal(weft_on_done(f, note, &seen), 0);
    assert_int_equal(seen.calls, 1);
    assert_true(seen.was_done);
    weft_release(f);
}

static void fail_in_callback(weft_future *future, void *arg)
{
    note(future, arg);
    (void)weft_fail(-EIO, "a callback");
}

static void test_callback_that_fails_does_not_stop_the_others(void **state)
{
    (void)state;
    manual queue = manual_new();
    record seen[3] = {{0}};
    int value = 0;
    answer_future f = weft_submit(&queue.base, answer, 4);
    assert_int_equal(weft_on_done(f, note, &seen[0]), 0);
    assert_int_equal(weft_on_done(f, fail_in_callback, &seen[1]), 0);
    assert_int_equal(weft_on_done(f, note, &seen[2]), 0);
    manual_run(&queue);
    assert_true(seen[0].calls == 1 && seen[1].calls == 1 && seen[2].calls == 1);
    assert_int_equal(weft_await(f, &value, WEFT_POLL), 0);
    assert_int_equal(value, 4);
}

static void test_callback_runs_when_no_handle_is_left(void **state)
{
    (void)state;
    manual queue = manual_new();
    record seen = {0};
    answer_future f = weft_submit(&queue.base, answer, 4);
    assert_int_equal(weft_on_done(f, note, &seen), 0);
    weft_release(f);
    assert_int_equal(seen.calls, 0);
    manual_run(&queue);
    assert_int_equal(seen.calls, 1);
}

enum { FAMILY = 60 };

/* One of many futures, each of which is cancelled by a callback of another, its parent. */
typedef struct relative {
    answer_future future;
    int depth; /* of callbacks when its own ran; 0: not yet */
} relative;

static relative family[FAMILY];
static int callback_depth;

static void cancel_children(weft_future *future, void *arg)
{
    relative *self = arg;
    int child = 2 * (int)(self - family) + 1;
    assert_ptr_equal(self->future.h, future);
    self->depth = ++callback_depth;
    for (int i = child; i < child + 2 && i < FAMILY; i++) {
        assert_true(weft_cancel(family[i].future));
        assert_int_equal(family[i].depth, 0); /* its callbacks wait for their turn */
    }
    callback_depth--;
}

/* Whoever cancels in a callback leaves the callbacks for later, as with futures that finish; these
 * still lie in their executor's queue. */
static void test_callbacks_of_cancelled_futures_do_not_nest(void **state)
{
    manual queue = manual_new();
    static record seen[FAMILY];
    (void)state;
    record_calls = 0;
    for (int i = 0; i < FAMILY; i++) {
        relative *one = &family[i];
        one->future = weft_submit(&queue.base, answer, i);
        assert_int_equal(weft_on_done(one->future, cancel_children, one), 0);
        if (i % 3 > 0) /* it has more nodes, and idle ones */
            assert_int_equal(weft_result(one->future, NULL, weft_in(1)), -ETIMEDOUT);
        if (i % 2 > 0)
            assert_int_equal(weft_on_done(one->future, note, &seen[i]), 0);
    }
    assert_true(weft_cancel(family[0].future));
    assert_int_equal(record_calls, FAMILY / 2);
    for (int i = 0; i < FAMILY; i++) {
        assert_int_equal(family[i].depth, 1);
        assert_int_equal(seen[i].order, i % 2 > 0 ? (i + 1) / 2 : 0);
        assert_int_equal(weft_future_begin(manual_take(&queue)), -ECANCELED);
        weft_release(family[i].future);
    }
}

static void release_in_callback(weft_future *future, void *arg)
{
    answer_future *handle = arg;
    assert_ptr_equal(handle->h, future);
    weft_release(*handle);
}

static void test_callback_may_release_the_last_handle(void **state)
{
    (void)state;
    manual queue = manual_new();
    record seen = {0};
    answer_future f = weft_submit(&queue.base, answer, 4);
    assert_int_equal(weft_on_done(f, release_in_callback, &f), 0);
    assert_int_equal(weft_on_done(f, note, &seen), 0);
    manual_run(&queue);
    assert_null(f.h);
    assert_int_equal(seen.calls, 1);
}

/* ---- dropped errors -------------------------------------------------------------------------- */

typedef struct reported {
    int count;
    int code;
    char text[64];
} reported;

static void report(const weft_error *error, void *arg)
{
    reported *self = arg;
    self->count++;
    self->code = error->code;
    (void)snprintf(self->text, sizeof self->text, "%s: %s", error->task, error->message);
}

static void test_a_dropped_error_is_reported_once_on_request(void **state)
{
    (void)state;
    reported seen = {0};
    check_row_future f = weft_submit(weft_inline(), check_row, 3);
    weft_release(f); /* nobody has asked for reports */
    weft_report_dropped(report, &seen);
    f = weft_submit(weft_inline(), check_row, 3);
    assert_int_equal(seen.count, 0);
    weft_release(f);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.code, -EINVAL);
    assert_string_equal(seen.text, "check_row: bad row 3");
    f = weft_submit(weft_inline(), check_row, 3);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EINVAL); /* somebody has looked */
    assert_int_equal(seen.count, 1);
    fail_twice_future g = weft_submit(weft_inline(), fail_twice, -EIO);
    assert_int_equal(weft_await(g, NULL, WEFT_POLL), -EIO); /* replaced is not dropped */
    assert_int_equal(seen.count, 1);
    assert_int_equal(weft_fail(-EPERM, "outside"), -EPERM);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.text, "no task: outside");
    weft_report_dropped(NULL, NULL);
}

/* ---- handles --------------------------------------------------------------------------------- */

static void test_each_handle_is_given_back_once(void **state)
{
    (void)state;
    manual queue = manual_new();
    int value = 0;
    answer_future f = weft_submit(&queue.base, answer, 4);
    answer_future g = weft_retain(f);
    answer_future h = weft_retain(f);
    weft_release(f);
    manual_run(&queue);
    assert_int_equal(weft_await(g, &value, WEFT_POLL), 0);
    assert_int_equal(value, 4);
    value = 0;
    assert_int_equal(weft_await(h, &value, WEFT_POLL), 0);
    assert_int_equal(value, 4);
}

/* ---- on workers ------------------------------------------------------------------------------ */

static int check_on_workers(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        int value = 0;
        double number = 0;
        weft_error error;
        answer_future f = weft_submit(weft_workers(), answer, i);
        price_future g = weft_submit(weft_workers(), price, i, 2.0);
        check_row_future h = weft_submit(weft_workers(), check_row, 3);
        store_future dropped = weft_submit(weft_workers(), store, &(int){0}, 1);
        CHECK(weft_await(dropped, NULL, WEFT_FOREVER) == 0);
        CHECK(weft_await(f, &value, WEFT_FOREVER) == 0 && value == i);
        CHECK(weft_exception(h, &error, weft_in(20 * WEFT_SEC)) == 0);
        CHECK(error.code == -EINVAL && strcmp(error.message, "bad row 3") == 0);
        CHECK(weft_await(h, &value, WEFT_FOREVER) == -EINVAL);
        CHECK(weft_await(g, &number, weft_in(20 * WEFT_SEC)) == 0 && number == 2.0 * i);
    }
    return 0;
}

enum { DONE, RUNNING, CANCELLED, CANCEL, RETAIN, ON_DONE, THEN, SET_RESULT, SET_ERROR, CALLS };

static int ask_what_is_gone(void *arg)
{
    static int kept;
    answer_future f = weft_submit(weft_inline(), answer, 1);
    CHECK(weft_await(f, NULL, WEFT_FOREVER) == 0);
    switch (*(const int *)arg) {
    case DONE:
        return weft_done(f);
    case RUNNING:
        return weft_running(f);
    case CANCELLED:
        return weft_cancelled(f);
    case CANCEL:
        return weft_cancel(f);
    case RETAIN:
        return weft_retain(f).h == NULL;
    case ON_DONE:
        return weft_on_done(f, note_thread, NULL);
    case THEN: {
        answer_future g = weft_then(weft_inline(), f, answer);
        return g.h == NULL;
    }
    case SET_RESULT:
        return weft_set_result(f, &kept);
    default:
        return weft_set_error(f, -EIO, NULL);
    }
}

static void test_a_handle_that_is_gone_is_not_asked(void **state)
{
    static const char *const words[] = {
        "weft_done: ",    "weft_running: ", "weft_cancelled: ",  "weft_cancel: ",   "weft_retain: ",
        "weft_on_done: ", "weft_then: ",    "weft_set_result: ", "weft_set_error: "};
    (void)state;
    for (int call = 0; call < CALLS; call++) {
        child_end end = in_child(ask_what_is_gone, &call);
        expect_death(&end, SIGABRT, words[call]);
        expect_death(&end, SIGABRT, "handle has been given back");
    }
}

static void test_on_workers_of_any_number(void **state)
{
    (void)state;
    on_every_count(check_on_workers, NULL);
}

WEFT_TASK(long, fibonacci, int, n)
{
    if (n < 2)
        return n;
    fibonacci_future left = weft_submit(weft_workers(), fibonacci, n - 1);
    long right = fibonacci(n - 2);
    long value = 0;
    if (weft_await(left, &value, weft_in(60 * WEFT_SEC)) != 0) /* a deadline: never runs inline */
        return -1000000;
    return value + right;
}

static int check_nested(void *arg)
{
    long value = 0;
    (void)arg;
    fibonacci_future f = weft_submit(weft_workers(), fibonacci, 13);
    CHECK(weft_await(f, &value, WEFT_FOREVER) == 0);
    CHECK(value == 233);
    return 0;
}

static void test_waiting_inside_tasks_never_deadlocks(void **state)
{
    (void)state;
    on_every_count(check_nested, NULL);
}

static int drop_many(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        store_future f = weft_submit(weft_workers(), store, (int *)arg + i, i + 1);
        weft_release(f);
    }
    return 0;
}

static void test_what_was_submitted_ends_before_the_runtime(void **state)
{
    (void)state;
    static int stored[1000];
    for (unsigned workers = 1; workers <= 3; workers++) {
        weft_config config = {.workers = workers};
        memset(stored, 0, sizeof stored);
        assert_int_equal(weft_run(drop_many, stored, &config), 0);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(stored[i], i + 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_takes_arguments_by_place_and_by_name),
        cmocka_unit_test(test_submit_a_plain_function),
        cmocka_unit_test(test_arguments_are_copied),
        cmocka_unit_test(test_arguments_are_aligned),
        cmocka_unit_test(test_pending_running_finished),
        cmocka_unit_test(test_cancel_of_pending_succeeds_and_runs_callbacks_in_the_canceller),
        cmocka_unit_test(test_cancel_is_idempotent_and_callbacks_do_not_run_again),
        cmocka_unit_test(test_cancel_of_running_and_finished_fails),
        cmocka_unit_test(test_begin_tells_of_a_cancellation),
        cmocka_unit_test(test_set_result_from_pending_and_from_running),
        cmocka_unit_test(test_set_result_on_ended_future_is_refused),
        cmocka_unit_test(test_set_result_on_a_task_is_refused),
        cmocka_unit_test(test_promise_may_be_released_by_either_side_first),
        cmocka_unit_test(test_result_of_finished_returns_at_once),
        cmocka_unit_test(test_result_of_cancelled_is_ecanceled),
        cmocka_unit_test(test_result_times_out_and_keeps_the_handle),
        cmocka_unit_test(test_exception_reads_code_message_name_and_site),
        cmocka_unit_test(test_exception_of_success_is_none),
        cmocka_unit_test(test_a_second_error_replaces_the_first),
        cmocka_unit_test(test_codes_of_either_sign_are_errors),
        cmocka_unit_test(test_callbacks_run_once_each_in_order_with_the_future),
        cmocka_unit_test(test_callbacks_run_in_the_thread_that_completes),
        cmocka_unit_test(test_waiters_are_told_before_callbacks_run),
        cmocka_unit_test(test_callback_added_late_runs_at_once),
        cmocka_unit_test(test_callback_that_fails_does_not_stop_the_others),
        cmocka_unit_test(test_callback_runs_when_no_handle_is_left),
        cmocka_unit_test(test_callback_may_release_the_last_handle),
        cmocka_unit_test(test_callbacks_of_cancelled_futures_do_not_nest),
        cmocka_unit_test(test_a_dropped_error_is_reported_once_on_request),
        cmocka_unit_test(test_each_handle_is_given_back_once),
        cmocka_unit_test(test_a_handle_that_is_gone_is_not_asked),
        cmocka_unit_test(test_on_workers_of_any_number),
        cmocka_unit_test(test_waiting_inside_tasks_never_deadlocks),
        cmocka_unit_test(test_what_was_submitted_ends_before_the_runtime),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
