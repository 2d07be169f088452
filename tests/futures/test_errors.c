/* SPDX-License-Identifier: BSD-2-Clause */
/* test_errors.c — what a task fails with, through every executor there is: it arrives whole, in
 * whoever looks, and once in whoever asked for what nobody looks at.
 * ctest: TIMEOUT 120 */
#include "../core/process.h"
#include "manual.h"

#include <weft/fiber.h>
#include <weft/procpool.h>

/* Not in the task itself, and perhaps in another thread than the one it began in. */
static int fail_deep(int row)
{
    (void)weft_sleep(weft_in(10 * WEFT_USEC));
    return weft_fail(-ERANGE, "row %d of %s", row, "many");
}

WEFT_TASK(int, check_row, int, row)
{
    return row < 0 ? fail_deep(-row) : row;
}

WEFT_TASK(int, twice, int, value)
{
    return 2 * value;
}

WEFT_TASK(int, fail_long, int, length)
{
    char text[1000];
    memset(text, 'x', sizeof(text));
    return weft_fail(-EIO, "%.*s", length, text);
}

/* ---- every executor -------------------------------------------------------------------------- */

enum { INLINE, WORKERS, POOL, FULL_POOL, PROCESSES, EXECUTORS };

static weft_procpool *processes; /* as long as an executor of them is about */

static weft_executor *executor_new(int which)
{
    weft_executor *pool = NULL;
    weft_pool_config config = {.runtime = {.workers = 2}};
    if (which == INLINE)
        return weft_inline();
    if (which == WORKERS)
        return weft_workers();
    if (which == PROCESSES) {
        assert_int_equal(weft_procpool_create(&processes, &(weft_procpool_config){.workers = 1}),
                         0);
        return weft_procpool_executor(processes);
    }
    if (which == FULL_POOL) {
        config.queue_max = 1;
        config.full = WEFT_FULL_RUN;
    }
    assert_int_equal(weft_pool_create(&pool, &config), 0);
    return pool;
}

static void executor_free(int which, weft_executor *executor)
{
    if (which == PROCESSES)
        assert_int_equal(weft_procpool_destroy(processes), 0);
    else if (which == POOL || which == FULL_POOL)
        assert_int_equal(weft_pool_destroy(executor), 0);
}

/* Does `check` with each of them, in a plain thread and in fibers. */
static void with_every_executor(int (*check)(void *executor))
{
    for (int which = 0; which < EXECUTORS; which++) {
        weft_executor *executor = executor_new(which);
        in_thread(check, executor);
        on_count(2, check, executor);
        executor_free(which, executor);
    }
}

/* ---- whole ----------------------------------------------------------------------------------- */

static int is_error_of(const weft_error *error, const char *message, int line)
{
    return error->code == -ERANGE && strcmp(error->message, message) == 0 &&
           strcmp(error->task, "check_row") == 0 && strcmp(error->file, __FILE__) == 0 &&
           error->line == line;
}

static int check_whole(void *executor)
{
    weft_error error;
    int value = 1;
    for (int i = 1; i < 20; i++) {
        char message[32];
        (void)snprintf(message, sizeof(message), "row %d of many", i);
        check_row_future f = weft_submit(executor, check_row, -i);
        int line = __LINE__ - 1;
        CHECK(weft_exception(f, &error, WEFT_FOREVER) == 0);
        CHECK(is_error_of(&error, message, line));
        CHECK(weft_result(f, &value, WEFT_POLL) == -ERANGE && value == 1);
        CHECK(weft_await(f, &value, WEFT_POLL) == -ERANGE && value == 1);
    }
    return 0;
}

static void test_an_error_has_code_message_task_and_place(void **state)
{
    (void)state;
    with_every_executor(check_whole);
}

/* What depends on a future that has failed fails with its error, not with one of its own. */
static int check_heirs(void *executor)
{
    weft_error error;
    check_row_future f[2] = {weft_submit(executor, check_row, 5),
                             weft_submit(executor, check_row, -1)};
    int line = __LINE__ - 1;
    twice_future after = weft_then(executor, f[1], twice);
    twice_future later = weft_then(executor, after, twice);
    weft_void_future all = weft_all(f, 2);
    weft_index_future any = weft_any(f + 1, 1);
    CHECK(weft_exception(later, &error, WEFT_FOREVER) == 0);
    CHECK(is_error_of(&error, "row 1 of many", line));
    CHECK(weft_exception(all, &error, WEFT_FOREVER) == 0);
    CHECK(is_error_of(&error, "row 1 of many", line));
    CHECK(weft_exception(any, &error, WEFT_FOREVER) == 0);
    CHECK(is_error_of(&error, "row 1 of many", line));
    weft_release(after);
    weft_release(later);
    weft_release(all);
    weft_release(any);
    CHECK(weft_await(f[0], NULL, WEFT_FOREVER) == 0);
    CHECK(weft_await(f[1], NULL, WEFT_FOREVER) == -ERANGE);
    return 0;
}

static void test_what_depends_on_it_has_the_same_error(void **state)
{
    (void)state;
    with_every_executor(check_heirs);
}

/* From another process a message comes back up to a limit. */
static void test_long_messages(void **state)
{
    (void)state;
    for (int which = 0; which < EXECUTORS; which++) {
        weft_executor *executor = executor_new(which);
        weft_error error;
        fail_long_future f = weft_submit(executor, fail_long, 900);
        assert_int_equal(weft_exception(f, &error, WEFT_FOREVER), 0);
        assert_int_equal(error.code, -EIO);
        assert_int_equal(strspn(error.message, "x"), which == PROCESSES ? 224 : 900);
        assert_int_equal(strlen(error.message), which == PROCESSES ? 224 : 900);
        assert_int_equal(weft_await(f, NULL, WEFT_POLL), -EIO);
        executor_free(which, executor);
    }
}

/* ---- dropped --------------------------------------------------------------------------------- */

typedef struct reports {
    uint32_t count;
    uint32_t right; /* that were as expected */
    int line;
} reports;

static void report(const weft_error *error, void *arg)
{
    reports *self = arg;
    if (is_error_of(error, "row 1 of many", self->line))
        weft__fetch_add_relaxed(&self->right, 1);
    weft__fetch_add_acq_rel(&self->count, 1); /* whoever has seen this may let `self` go */
}

/* Several share the error; one of them looks, or nobody does. */
static int drop(weft_executor *executor, reports *seen, int is_read)
{
    seen->line = __LINE__ + 1;
    check_row_future f = weft_submit(executor, check_row, -1);
    twice_future after = weft_then(executor, f, twice);
    weft_void_future all = weft_all(&f, 1);
    weft_release(f);
    weft_release(all);
    if (is_read)
        return weft_await(after, NULL, WEFT_FOREVER);
    weft_release(after);
    return -ERANGE;
}

/* Until it has come, and, all being over, it is the only one. */
static void check_reports(int which, int is_read)
{
    weft_executor *executor = executor_new(which);
    reports seen = {0};
    uint32_t expected = is_read ? 0 : 1;
    int64_t end = weft_in(LIVENESS_NS);
    weft_report_dropped(report, &seen);
    assert_int_equal(drop(executor, &seen, is_read), -ERANGE);
    while (weft__load_acquire(&seen.count) < expected && weft_now() < end)
        sleep_ns(50 * WEFT_USEC);
    executor_free(which, executor);
    weft_report_dropped(NULL, NULL);
    assert_int_equal(weft__load_relaxed(&seen.count), expected);
    assert_int_equal(weft__load_relaxed(&seen.right), expected);
}

static void test_a_dropped_error_is_reported_once_by_every_executor(void **state)
{
    (void)state;
    for (int which = 0; which < EXECUTORS; which++)
        for (int is_read = 0; is_read < 2; is_read++)
            check_reports(which, is_read);
}

/* ---- refused --------------------------------------------------------------------------------- */

static void expect_refusal(weft_executor *executor, int code)
{
    weft_error error;
    check_row_future f = weft_submit(executor, check_row, 1);
    int line = __LINE__ - 1;
    assert_int_equal(weft_exception(f, &error, WEFT_POLL), 0);
    assert_int_equal(error.code, code);
    assert_string_equal(error.task, "check_row");
    assert_string_equal(error.file, __FILE__);
    assert_int_equal(error.line, line);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), code);
}

/* A submission that is refused names the task and the place as well. */
static void test_refusals_name_the_task_and_the_place(void **state)
{
    (void)state;
    for (int which = POOL; which < EXECUTORS; which++) {
        weft_executor *executor = executor_new(which);
        assert_int_equal(weft_executor_shutdown(executor, 0, WEFT_FOREVER), 0);
        expect_refusal(executor, -EPIPE);
        executor_free(which, executor);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_error_has_code_message_task_and_place),
        cmocka_unit_test(test_what_depends_on_it_has_the_same_error),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_a_dropped_error_is_reported_once_by_every_executor),
        cmocka_unit_test(test_refusals_name_the_task_and_the_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
