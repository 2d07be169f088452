/* SPDX-License-Identifier: BSD-2-Clause */
/* test_fork.c — the child of a process with workers knows what it has lost.
 *
 * It has one thread and no worker. What its thread had kept private it can join; what had been
 * handed to a worker of the parent will never be done, and waiting for it ends the child with a
 * message instead of a hang. Runtimes of the parent are refused, new ones work. The parent notices
 * nothing. */
#include "fib.h"
#include "process.h"

#include <errno.h>

#include <weft/atomic.h>
#include <weft/task.h>

#include "sched/worker.h"

/* ThreadSanitizer ends a child that starts a thread after a fork among threads. */
#ifdef WEFT__TSAN
#define CAN_START_THREADS_IN_CHILD 0
#define CAN_DESTROY_IN_CHILD 0 /* nor may fibers end there that other threads stood on */
#else
#define CAN_START_THREADS_IN_CHILD 1
#define CAN_DESTROY_IN_CHILD 1
#endif

static weft_runtime *runtime;

static int check_fib(void *arg)
{
    (void)arg;
    CHECK(fib(15) == 610);
    return 0;
}

/* ---- children ------------------------------------------------------------------------------- */

static int old_is_refused(void *arg)
{
    int result = 77;
    (void)arg;
    CHECK(weft_worker_id() == -1 && weft_num_workers(NULL) == 0);
    CHECK(weft_runtime_run(runtime, check_fib, NULL, &result) == -ECHILD);
    CHECK(result == 77);
    CHECK(fib(10) == 55);
    CHECK(!CAN_DESTROY_IN_CHILD || weft_runtime_destroy(runtime) == 0);
    CHECK(fib(10) == 55);
    return 0;
}

static int new_works(void *arg)
{
    weft_config config = {.workers = 3};
    weft_runtime *fresh;
    int line = -1;
    (void)arg;
    CHECK(weft_run(check_fib, NULL, &config) == 0);
    CHECK(weft_runtime_create(&fresh, &config) == 0);
    CHECK(weft_runtime_run(runtime, check_fib, NULL, NULL) == -ECHILD);
    CHECK(weft_runtime_run(fresh, check_fib, NULL, &line) == 0 && line == 0);
    CHECK(weft_runtime_destroy(runtime) == 0);
    CHECK(weft_runtime_run(fresh, check_fib, NULL, &line) == 0 && line == 0);
    CHECK(weft_runtime_destroy(fresh) == 0);
    return 0;
}

/* A child of the child: a runtime of either is refused there. */
static int grandchild(void *arg)
{
    child_end end = in_child(new_works, NULL);
    CHECK(is_success(&end));
    return old_is_refused(arg);
}

/* ---- from a plain thread -------------------------------------------------------------------- */

static void with_runtime(int (*check)(void *arg), void *arg)
{
    weft_config config = {.workers = 3};
    int line = -1;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    assert_int_equal(weft_runtime_run(runtime, check, arg, &line), 0);
    if (line != 0)
        fail_msg("line %d fails", line);
    assert_int_equal(weft_runtime_run(runtime, check_fib, NULL, &line), 0); /* unharmed */
    assert_int_equal(line, 0);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static void test_plain_thread(void **state)
{
    weft_config config = {.workers = 3};
    (void)state;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < 10; i++) {
        int line = -1;
        assert_int_equal(weft_runtime_run(runtime, check_fib, NULL, &line), 0);
        assert_int_equal(line, 0);
        child_end end = in_child(old_is_refused, NULL);
        expect_success(&end);
        if (!CAN_START_THREADS_IN_CHILD)
            continue;
        end = in_child(new_works, NULL);
        expect_success(&end);
        end = in_child(grandchild, NULL);
        expect_success(&end);
    }
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static int join_own(void *arg)
{
    fib_task *tasks = arg;
    for (int i = 0; i < 10; i++)
        CHECK(fib_join(&tasks[i]) == fib(i));
    return 0;
}

/* Tasks of a plain thread are private by nature, in the child as well as in the parent. */
static void test_plain_tasks(void **state)
{
    weft_config config = {.workers = 2};
    fib_task tasks[10];
    (void)state;
    assert_int_equal(weft_runtime_create(&runtime, &config), 0);
    for (int i = 0; i < 10; i++)
        fib_spawn(&tasks[i], i);
    child_end end = in_child(join_own, tasks);
    expect_success(&end);
    assert_int_equal(join_own(tasks), 0);
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

/* ---- from a task ---------------------------------------------------------------------------- */

static int fork_in_task(void *arg)
{
    int (*body)(void *arg) = old_is_refused;
    (void)arg;
    for (int i = 0; i < 10; i++) {
        child_end end = in_child(body, NULL);
        CHECK(is_success(&end));
        body = CAN_START_THREADS_IN_CHILD && i % 2 == 0 ? new_works : old_is_refused;
        CHECK(fib(12) == 144 && weft_worker_id() >= 0);
    }
    return 0;
}

static void test_task(void **state)
{
    (void)state;
    with_runtime(fork_in_task, NULL);
}

/* On one worker nobody takes anything; but a question from before its last sleep may still be open,
 * and its answer would be the first of these tasks. */
static int fork_with_private_tasks(void *arg)
{
    fib_task tasks[10];
    uint64_t published;
    (void)arg;
    do {
        weft_spawn(answer, fib, 1);
        (void)weft_join(answer);
        published = weft__worker_self()->counters.published;
        for (int i = 0; i < 10; i++)
            fib_spawn(&tasks[i], i);
        if (weft__worker_self()->counters.published == published)
            break;
        CHECK_CALL(join_own(tasks));
    } while (1);
    child_end end = in_child(join_own, tasks);
    int line = join_own(tasks); /* first of all: they live in this frame */
    if (!is_success(&end))
        fputs(end.errors, stderr);
    CHECK(is_success(&end));
    return line;
}

static void test_private_tasks(void **state)
{
    weft_config config = {.workers = 1};
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(weft_run(fork_with_private_tasks, NULL, &config), 0);
}

typedef struct elsewhere {
    unsigned begun;
    unsigned released;
} elsewhere;

WEFT_VOID_TASK(run_elsewhere, elsewhere *, e)
{
    weft__store_release(&e->begun, 1);
    (void)wait_for(&e->released, 1);
}

static int join_lost(void *arg)
{
    run_elsewhere_join(arg);
    return __LINE__;
}

static int fork_with_lost_task(void *arg)
{
    elsewhere e = {0, 0};
    run_elsewhere_task task;
    (void)arg;
    run_elsewhere_spawn(&task, &e);
    int has_begun = wait_for(&e.begun, 1);
    child_end end = in_child(join_lost, &task);
    weft__store_release(&e.released, 1);
    run_elsewhere_join(&task);
    CHECK(has_begun);
    CHECK(is_death(&end, SIGABRT, "fork()"));
    return 0;
}

static void test_lost_task(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        with_runtime(fork_with_lost_task, NULL);
}

/* A child that returns from the task it forked in has nowhere to go. */
static int leave_task(void *arg)
{
    int *ends = arg;
    pid_t child = fork();
    if (child == 0)
        (void)dup2(ends[1], STDERR_FILENO);
    return child;
}

/* The same in a fiber, whether its scope's owner runs it or a worker does. */
WEFT_FIBER(leave_fiber, int *, ends, pid_t *, child, int *, has_begun)
{
    *child = leave_task(ends);
    weft__store_release(has_begun, 1);
}

static int start_and_leave(void *arg)
{
    pid_t child = 0;
    int has_begun = 0;
    weft_scope(group)
    {
        CHECK(weft_go(&group, leave_fiber, arg, &child, &has_begun) == 0);
    }
    return child;
}

static int start_wait_and_leave(void *arg)
{
    pid_t child = 0;
    int has_begun = 0;
    weft_scope(group)
    {
        CHECK(weft_go(&group, leave_fiber, arg, &child, &has_begun) == 0);
        while (!weft__load_acquire(&has_begun))
            weft_yield();
    }
    return child;
}

static void expect_return_to_fail(int (*leave)(void *arg))
{
    weft_config config = {.workers = 2};
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = weft_run(leave, ends, &config);
    assert_true(child > 0);
    close(ends[1]);
    child_end end = end_of_child(child, ends[0]);
    expect_death(&end, SIGABRT, "fork()");
}

static void test_return_from_task(void **state)
{
    (void)state;
    expect_return_to_fail(leave_task);
    expect_return_to_fail(start_and_leave);
    expect_return_to_fail(start_wait_and_leave);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_thread), cmocka_unit_test(test_plain_tasks),
        cmocka_unit_test(test_task),         cmocka_unit_test(test_private_tasks),
        cmocka_unit_test(test_lost_task),    cmocka_unit_test(test_return_from_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
