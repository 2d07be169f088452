/* SPDX-License-Identifier: BSD-2-Clause */
/* test_standin.c — a plain thread that waits for a task runs it by itself, as a worker that it has
 * called and that has not got up yet.
 *
 * Whether it does is a matter of who is faster, so each test tries until it has: with the whole
 * process on one processor the worker's own thread rarely is.
 *
 * ctest: TIMEOUT 120 */
#include "side.h"

#include "fib.h"
#include "process.h"

#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <sys/syscall.h>

#include <weft/debug.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/local.h>
#include <weft/sync.h>
#include <weft/task.h>

#include "hooks.h"
#include "sched/worker.h"

enum { IN_VAIN = 50 }; /* so often it does not happen where it must not */

static pid_t this_thread(void)
{
    return (pid_t)syscall(SYS_gettid);
}

static weft_runtime *start(const weft_config *config)
{
    weft_runtime *runtime;
    assert_int_equal(weft_runtime_create(&runtime, config), 0);
    return runtime;
}

static weft_runtime *start_workers(unsigned workers)
{
    const weft_config config = {.workers = workers};
    return start(&config);
}

static void stop(weft_runtime *runtime)
{
    assert_int_equal(weft_runtime_destroy(runtime), 0);
}

static void wait_until_all_sleep(const weft_runtime *runtime)
{
    while (weft__load_acquire(&runtime->sleepers) != weft_num_workers(runtime))
        sleep_ns(50 * WEFT_USEC);
}

/* What runs, for whom. */
typedef struct visit {
    int (*body)(void *arg);
    void *arg;
    pid_t caller;
    int is_guest; /* the caller's own thread has run it */
} visit;

static int run_visit(void *arg)
{
    visit *self = arg;
    self->is_guest = this_thread() == self->caller;
    return self->body(self->arg);
}

/* Into a runtime in which everybody sleeps. Nonzero: the caller has run it. */
static int visit_once(weft_runtime *runtime, int (*body)(void *arg), void *arg)
{
    visit self = {.body = body, .arg = arg, .caller = this_thread()};
    int line = 0;
    wait_until_all_sleep(runtime);
    assert_int_equal(weft_runtime_run(runtime, run_visit, &self, &line), 0);
    if (line != 0)
        fail_msg("line %d fails in the task", line);
    return self.is_guest;
}

static void visit_until_guest(weft_runtime *runtime, int (*body)(void *arg), void *arg)
{
    int64_t end = weft_now() + LIVENESS_NS;
    while (!visit_once(runtime, body, arg))
        assert_true(weft_now() < end);
}

/* ---- the task -------------------------------------------------------------------------------- */

static int look_around(void *arg)
{
    const weft_runtime *runtime = arg;
    CHECK(weft_num_workers(NULL) == weft_num_workers(runtime));
    CHECK(weft_worker_id() >= 0 && weft_worker_id() < (int)weft_num_workers(runtime));
    return 0;
}

/* Like any task; and again and again, with nothing left behind. */
static void test_task(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        weft_runtime *runtime = start_workers(workers);
        for (unsigned i = 0; i < LESS_IF_SANITIZED(100, 10); i++)
            visit_until_guest(runtime, look_around, runtime);
        weft_stats stats;
        weft_runtime_stats(runtime, &stats);
        assert_true(stats.fibers <= 3 * (uint64_t)workers);
        stop(runtime);
    }
}

static int compute_fib(void *arg)
{
    (void)arg;
    CHECK(fib(22) == 17711);
    return 0;
}

/* Others take part, and the task may wait for them. */
static void test_fork_join(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(3);
    for (unsigned i = 0; i < LESS_IF_SANITIZED(100, 10); i++)
        visit_until_guest(runtime, compute_fib, NULL);
    stop(runtime);
}

static int wait_here_and_there(void *arg)
{
    static weft_local value = WEFT_LOCAL_INIT(NULL);
    (void)arg;
    CHECK(weft_local_set(&value, &value) == 0);
    weft__errno_set(EXDEV);
    weft_yield();
    CHECK(weft__errno_get() == EXDEV);
    CHECK(weft_sleep(WEFT_MSEC / 10) == 0);
    CHECK(weft__errno_get() == EXDEV);
    CHECK(weft_local_get(&value) == &value);
    CHECK(weft_worker_id() >= 0);
    return 0;
}

static int is_elsewhere_after_wait(void *arg)
{
    pid_t before = this_thread();
    CHECK(weft_sleep(WEFT_MSEC / 10) == 0);
    *(int *)arg = this_thread() != before;
    return 0;
}

/* A task that waits leaves the caller, and goes on in the runtime. */
static void test_waiting_task(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    int is_elsewhere = 0;
    visit_until_guest(runtime, wait_here_and_there, NULL);
    visit_until_guest(runtime, is_elsewhere_after_wait, &is_elsewhere);
    assert_true(is_elsewhere);
    stop(runtime);
}

static int run_another(void *arg)
{
    return weft_runtime_run(arg, look_around, arg, NULL) == 0 ? 0 : __LINE__;
}

/* The worker has its own thread back when the task has gone, and in between others come. */
static int submit_for_a_while(void *arg)
{
    for (unsigned i = 0; i < LESS_IF_SANITIZED(3000, 300); i++) {
        CHECK(weft_runtime_run(arg, i % 3 == 0 ? wait_here_and_there : look_around, arg, NULL) ==
              0);
        if (i % 4 == 0)
            sleep_ns(100 * WEFT_USEC);
    }
    return 0;
}

static void test_many_callers(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 2; workers++) {
        weft_runtime *runtime = start_workers(workers);
        side sides[3] = {{.body = submit_for_a_while, .arg = runtime},
                         {.body = submit_for_a_while, .arg = runtime},
                         {.body = submit_for_a_while, .arg = runtime}};
        for (unsigned i = 0; i < 3; i++)
            start_side(&sides[i]);
        for (unsigned i = 0; i < 3; i++)
            end_side(&sides[i]);
        stop(runtime);
    }
}

/* ---- the caller's thread --------------------------------------------------------------------- */

static int spoil_errno(void *arg)
{
    (void)arg;
    errno = ENOENT;
    return 0;
}

static void test_errno(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    do
        errno = EXDEV;
    while (!visit_once(runtime, spoil_errno, NULL));
    wait_until_all_sleep(runtime);
    errno = EXDEV;
    visit self = {.body = spoil_errno, .caller = this_thread()};
    assert_int_equal(weft_runtime_run(runtime, run_visit, &self, NULL), 0);
    assert_int_equal(errno, EXDEV);
    stop(runtime);
}

static int write_to_nobody(void *arg)
{
    const int *ends = arg;
    CHECK(weft_write(ends[1], "x", 1, WEFT_FOREVER) == -EPIPE);
    return 0;
}

/* Nobody dies of it there, and the thread's mask is as before. */
static void test_sigpipe(void **state)
{
    (void)state;
    int ends[2];
    sigset_t mask;
    weft_runtime *runtime = start_workers(1);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(close(ends[0]), 0);
    visit_until_guest(runtime, write_to_nobody, ends);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGPIPE), 0);
    assert_int_equal(close(ends[1]), 0);
    stop(runtime);
}

static int can_be_cancelled(void *arg)
{
    (void)arg;
    pthread_testcancel();
    sleep_ns(1000);
    return 0;
}

/* Whoever cancels the thread does not end the task: nothing here is a place to end at. */
static void *be_cancelled(void *arg)
{
    weft_runtime *runtime = arg;
    visit self = {.body = can_be_cancelled, .caller = this_thread()};
    int before = -1;
    (void)pthread_cancel(pthread_self());
    int rc = weft_runtime_run(runtime, run_visit, &self, NULL);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    return rc == 0 && before == PTHREAD_CANCEL_ENABLE ? arg : NULL;
}

static void test_cancel(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    for (unsigned i = 0; i < IN_VAIN; i++) {
        pthread_t thread;
        void *end;
        wait_until_all_sleep(runtime);
        assert_int_equal(pthread_create(&thread, NULL, be_cancelled, runtime), 0);
        assert_int_equal(pthread_join(thread, &end), 0);
        assert_ptr_equal(end, runtime);
    }
    stop(runtime);
}

/* ---- regions --------------------------------------------------------------------------------- */

/* The only worker runs somebody else's task meanwhile. */
static int block_until_another_ran(void *arg)
{
    pid_t before = this_thread();
    side other = {.body = run_another, .arg = arg};
    weft_blocking
    {
        CHECK(this_thread() == before);
        CHECK(weft_worker_id() == -1);
        start_side(&other);
        end_side(&other);
        CHECK(this_thread() == before);
    }
    CHECK(weft_worker_id() == 0);
    CHECK(this_thread() != before || arg == NULL); /* a guest leaves; a worker's thread does, too */
    return 0;
}

static void test_region(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    for (unsigned i = 0; i < LESS_IF_SANITIZED(50, 10); i++)
        visit_until_guest(runtime, block_until_another_ran, runtime);
    stop(runtime);
}

/* Its thread stands on a fiber there, and plays nothing. */
static int visit_in_region(void *arg)
{
    int has_been_guest = 0;
    weft_blocking
    {
        for (unsigned i = 0; i < IN_VAIN; i++)
            has_been_guest |= visit_once(arg, look_around, arg);
    }
    CHECK(!has_been_guest);
    return 0;
}

static void test_not_in_region(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    weft_runtime *other = start_workers(1);
    assert_int_equal(visit_once(runtime, visit_in_region, other) & ~1, 0);
    visit_until_guest(runtime, visit_in_region, other);
    stop(other);
    stop(runtime);
}

/* ---- who does not ---------------------------------------------------------------------------- */

static void expect_no_guest(weft_runtime *runtime)
{
    for (unsigned i = 0; i < IN_VAIN; i++)
        assert_false(visit_once(runtime, look_around, runtime));
}

/* A scope may cut its waits off. */
static void test_not_in_scope(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    weft_scope(scope)
    {
        expect_no_guest(runtime);
    }
    stop(runtime);
}

static void test_not_for_bound_workers(void **state)
{
    (void)state;
    const weft_config config = {.workers = 1, .bind = WEFT_BIND_SPREAD};
    weft_runtime *runtime = start(&config);
    if (runtime->workers[0].cpu >= 0)
        expect_no_guest(runtime);
    stop(runtime);
}

static void test_not_in_another_mode(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    assert_int_equal(fesetround(FE_UPWARD), 0);
    expect_no_guest(runtime);
    assert_int_equal(fesetround(FE_TONEAREST), 0);
    locale_t mine = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    locale_t before = uselocale(mine);
    expect_no_guest(runtime);
    (void)uselocale(before);
    freelocale(mine);
    visit_until_guest(runtime, look_around, runtime);
    stop(runtime);
}

/* ---- diagnosis ------------------------------------------------------------------------------- */

WEFT_TASK(long, descend, long, bytes)
{
    volatile char page[1024];
    __asm__ volatile("" : : "r"(page) : "memory"); /* else a compiler may keep two bytes of it */
    page[0] = (char)bytes;
    if (bytes <= (long)sizeof(page))
        return page[0];
    long below = descend(bytes - (long)sizeof(page));
    __asm__ volatile("" : "+r"(below)); /* else a compiler may make a loop of it */
    return below + page[0];
}

static int overflow_if_guest(void *arg)
{
    const pid_t *caller = arg;
    if (this_thread() == *caller)
        (void)descend((long)1 << 40);
    return 0;
}

static int overflow(void *arg)
{
    const weft_config config = {.workers = 1, .report_overflow = 1};
    weft_runtime *runtime;
    pid_t caller = this_thread();
    (void)arg;
    CHECK(weft_runtime_create(&runtime, &config) == 0);
    for (int64_t end = weft_now() + LIVENESS_NS; weft_now() < end;) {
        wait_until_all_sleep(runtime);
        CHECK(weft_runtime_run(runtime, overflow_if_guest, &caller, NULL) == 0);
    }
    return __LINE__;
}

static void test_overflow(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* SIGSEGV is theirs */
    child_end end = in_child(overflow, NULL);
    expect_death(&end, SIGSEGV, "task 'weft_run' ran off its stack of 256 KiB");
}

static int dump(void *arg)
{
    return weft_dump(*(int *)arg) == 0 ? 0 : __LINE__;
}

/* It says that the worker runs the task. */
static void test_dump(void **state)
{
    char text[8192];
    char path[] = "/tmp/weft-standin-XXXXXX";
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    weft_runtime *runtime = start_workers(1);
    do
        assert_true(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    while (!visit_once(runtime, dump, &fd));
    ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(length > 0);
    text[length] = '\0';
    if (strstr(text, "worker 0 runs ") == NULL)
        fail_msg("the dump says: %s", text);
    assert_int_equal(close(fd), 0);
    stop(runtime);
}

static int fork_and_leave(void *arg)
{
    (void)arg;
    pid_t child = fork();
    if (child == 0)
        _exit(weft_worker_id() == -1 ? 7 : 8);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
    weft_runtime *runtime = start_workers(1);
    visit_until_guest(runtime, fork_and_leave, NULL);
    visit_until_guest(runtime, look_around, runtime);
    stop(runtime);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_task),
        cmocka_unit_test(test_fork_join),
        cmocka_unit_test(test_waiting_task),
        cmocka_unit_test(test_many_callers),
        cmocka_unit_test(test_errno),
        cmocka_unit_test(test_sigpipe),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_region),
        cmocka_unit_test(test_not_in_region),
        cmocka_unit_test(test_not_in_scope),
        cmocka_unit_test(test_not_for_bound_workers),
        cmocka_unit_test(test_not_in_another_mode),
        cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_fork),
    };
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    (void)sched_setaffinity(0, sizeof one, &one); /* where that is forbidden it takes longer */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
