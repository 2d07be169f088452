/* SPDX-License-Identifier: BSD-2-Clause */
/* test_procpool.c — tasks in other processes: what Python's ProcessPoolExecutor promises, and what
 * it does not: a worker that dies fails only its own task. */
/* ctest: TIMEOUT 120 */
#include "../core/fib.h"
#include "../core/process.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <weft/fiber.h>
#include <weft/procpool.h>

#include "alloc.h"

#define PATIENCE weft_in(LIVENESS_NS)

static int global = 1;

WEFT_TASK(long, add, long, a, long, b)
{
    return a + b;
}

WEFT_VOID_TASK(nothing)
{
}

WEFT_TASK(int, process_id)
{
    return (int)getpid();
}

WEFT_TASK(int, read_global, int, increment)
{
    global += increment;
    return global;
}

WEFT_TASK(int, sleep_for, int64_t, ns, int, value)
{
    sleep_ns(ns);
    return value;
}

WEFT_TASK(int, die_by, int, number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
    return 0;
}

WEFT_TASK(int, leave_with, int, status)
{
    _exit(status);
}

WEFT_TASK(int, refuse, int, row)
{
    return weft_fail(-EDOM, "row %d is bad", row), 0;
}

WEFT_TASK(int, use_memory, size_t, bytes)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return 1;
    for (size_t i = 0; i < bytes; i += 4096)
        memory[i] = 1;
    (void)raise(SIGKILL);
    return 0;
}

/* A struct by value, of a size that no record holds. */
typedef struct block {
    unsigned char bytes[1 << 20];
} block;

WEFT_TASK(block, invert, block, input)
{
    for (size_t i = 0; i < sizeof(input.bytes); i++)
        input.bytes[i] = (unsigned char)~input.bytes[i];
    return input;
}

static weft_procpool *create(const weft_procpool_config *config)
{
    weft_procpool *pool = NULL;
    assert_int_equal(weft_procpool_create(&pool, config), 0);
    return pool;
}

static weft_procpool *create_of(unsigned workers)
{
    return create(&(weft_procpool_config){.workers = workers});
}

static weft_executor *of(weft_procpool *pool)
{
    return weft_procpool_executor(pool);
}

static long sum_in(weft_procpool *pool, long a, long b)
{
    long sum = -1;
    add_future f = weft_submit(of(pool), add, a, b);
    assert_int_equal(weft_await(f, &sum, PATIENCE), 0);
    return sum;
}

/* ---- submit, result -------------------------------------------------------------------------- */

static void test_submit_and_result(void **state)
{
    weft_procpool *pool = create_of(2);
    (void)state;
    assert_int_equal(sum_in(pool, 40, 2), 42);
    process_id_future f = weft_submit(of(pool), process_id);
    int pid = 0;
    assert_int_equal(weft_await(f, &pid, PATIENCE), 0);
    assert_true(pid > 0 && pid != (int)getpid());
    assert_true(pid == weft_procpool_pid(pool, 0) || pid == weft_procpool_pid(pool, 1));
    nothing_future g = weft_submit(of(pool), nothing);
    assert_int_equal(weft_await(g, NULL, PATIENCE), 0);
    fib_future h = weft_submit(of(pool), fib, .n = 15);
    long value = 0;
    assert_int_equal(weft_await(h, &value, PATIENCE), 0);
    assert_int_equal(value, 610);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_many_tasks_in_order_of_submission(void **state)
{
    enum { MANY = LESS_IF_SANITIZED(20000, 2000) };
    static add_future futures[MANY];
    weft_procpool *pool = create_of(3);
    (void)state;
    for (long i = 0; i < MANY; i++)
        futures[i] = weft_submit(of(pool), add, i, 1000000);
    for (long i = 0; i < MANY; i++) {
        long sum = -1;
        assert_int_equal(weft_await(futures[i], &sum, PATIENCE), 0);
        assert_int_equal(sum, i + 1000000);
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* The thread that waits, the collector and two workers, all about to fall asleep: whoever comes
 * last must see to it that somebody is awake. */
static void test_one_after_the_other(void **state)
{
    weft_procpool *pool = create_of(2);
    (void)state;
    for (long i = 0; i < LESS_IF_SANITIZED(100000, 3000); i++)
        assert_int_equal(sum_in(pool, i, 1), i + 1);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_processes_share_nothing(void **state)
{
    weft_procpool *pool = create_of(1);
    int seen[3] = {0, 0, 0};
    (void)state;
    global = 50;
    for (int i = 0; i < 3; i++) {
        read_global_future f = weft_submit(of(pool), read_global, 10);
        assert_int_equal(weft_await(f, &seen[i], PATIENCE), 0);
    }
    assert_int_equal(seen[0], 11); /* from its first value, in the worker's own memory */
    assert_int_equal(seen[2], 31);
    assert_int_equal(global, 50);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_tasks_of_any_size(void **state)
{
    static block input;
    static block output;
    weft_procpool *pool = create_of(2);
    invert_future futures[8];
    (void)state;
    for (size_t i = 0; i < sizeof(input.bytes); i++)
        input.bytes[i] = (unsigned char)(i * 7);
    for (int i = 0; i < 8; i++)
        futures[i] = weft_submit(of(pool), invert, input);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(weft_await(futures[i], &output, PATIENCE), 0);
        for (size_t k = 0; k < sizeof(input.bytes); k++)
            if (output.bytes[k] != (unsigned char)~input.bytes[k])
                fail_msg("byte %zu of block %d is wrong", k, i);
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_too_large_a_task(void **state)
{
    static block input;
    weft_procpool *pool = create(&(weft_procpool_config){.workers = 1, .task_bytes_max = 1 << 20});
    invert_future f = weft_submit(of(pool), invert, input);
    (void)state;
    assert_int_equal(weft_await(f, NULL, PATIENCE), -EMSGSIZE);
    assert_int_equal(sum_in(pool, 1, 2), 3);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_error_of_a_task(void **state)
{
    weft_procpool *pool = create_of(1);
    weft_error error;
    (void)state;
    refuse_future f = weft_submit(of(pool), refuse, 17);
    assert_int_equal(weft_exception(f, &error, PATIENCE), 0);
    assert_int_equal(error.code, -EDOM);
    assert_string_equal(error.message, "row 17 is bad");
    assert_string_equal(error.task, "refuse");
    assert_int_equal(weft_await(f, NULL, PATIENCE), -EDOM);
    assert_int_equal(sum_in(pool, 1, 2), 3);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* Neither the future nor its error stays behind. */
static void test_failure_that_nobody_waits_for(void **state)
{
    weft_procpool *pool = create_of(1);
    (void)state;
    for (int i = 0; i < 10; i++) {
        refuse_future f = weft_submit(of(pool), refuse, i);
        weft_release(f);
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static int submit_from_task(void *arg)
{
    weft_procpool *pool = arg;
    for (long i = 0; i < 50; i++) {
        add_future f = weft_submit(of(pool), add, i, i);
        long sum;
        CHECK(weft_await(f, &sum, PATIENCE) == 0 && sum == 2 * i);
    }
    return 0;
}

static void test_from_fibers(void **state)
{
    weft_procpool *pool = create_of(2);
    weft_config config = {.workers = 2};
    (void)state;
    assert_int_equal(weft_run(submit_from_task, pool, &config), 0);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void *submit_in_thread(void *arg)
{
    return submit_from_task(arg) == 0 ? NULL : arg;
}

static void test_from_many_threads(void **state)
{
    weft_procpool *pool = create_of(2);
    pthread_t threads[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_in_thread, pool), 0);
    for (int i = 0; i < 4; i++) {
        void *answer;
        assert_int_equal(pthread_join(threads[i], &answer), 0);
        assert_null(answer);
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* ---- death ----------------------------------------------------------------------------------- */

typedef struct deaths {
    unsigned count;
    weft_procpool_death last;
} deaths;

static void note_death(const weft_procpool_death *death, void *arg)
{
    deaths *seen = arg;
    seen->last = *death;
    weft__store_release(&seen->count, seen->count + 1);
}

static void test_dead_worker_fails_only_its_task(void **state)
{
    deaths seen = {.count = 0};
    weft_procpool *pool = create(
        &(weft_procpool_config){.workers = 2, .on_death = note_death, .on_death_arg = &seen});
    add_future others[100];
    weft_error error;
    (void)state;
    for (long i = 0; i < 50; i++)
        others[i] = weft_submit(of(pool), add, i, 1);
    die_by_future victim = weft_submit(of(pool), die_by, SIGKILL);
    for (long i = 50; i < 100; i++)
        others[i] = weft_submit(of(pool), add, i, 1);
    assert_int_equal(weft_exception(victim, &error, PATIENCE), 0);
    assert_int_equal(error.code, -EOWNERDEAD);
    assert_non_null(strstr(error.message, "killed by signal 9"));
    assert_string_equal(error.task, "die_by");
    weft_release(victim);
    for (long i = 0; i < 100; i++) {
        long sum;
        assert_int_equal(weft_await(others[i], &sum, PATIENCE), 0);
        assert_int_equal(sum, i + 1);
    }
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.code, -SIGKILL);
    assert_int_equal(seen.last.reason, -EOWNERDEAD);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_death_tells_how(void **state)
{
    deaths seen = {.count = 0};
    weft_procpool *pool = create(
        &(weft_procpool_config){.workers = 1, .on_death = note_death, .on_death_arg = &seen});
    (void)state;
    die_by_future f = weft_submit(of(pool), die_by, SIGSEGV);
    assert_int_equal(weft_await(f, NULL, PATIENCE), -EOWNERDEAD);
    assert_int_equal(seen.last.code, -SIGSEGV);
    leave_with_future g = weft_submit(of(pool), leave_with, 0); /* no excuse either */
    assert_int_equal(weft_await(g, NULL, PATIENCE), -EOWNERDEAD);
    assert_int_equal(seen.last.code, 0);
    leave_with_future h = weft_submit(of(pool), leave_with, 3);
    assert_int_equal(weft_await(h, NULL, PATIENCE), -EOWNERDEAD);
    assert_int_equal(seen.last.code, 3);
    size_t bytes = (size_t)50 << 20;
    use_memory_future k = weft_submit(of(pool), use_memory, bytes);
    assert_int_equal(weft_await(k, NULL, PATIENCE), -EOWNERDEAD);
    assert_true(seen.last.rss_bytes_peak >= bytes);
    assert_string_equal(seen.last.task, "use_memory");
    assert_int_equal(sum_in(pool, 20, 3), 23);
    assert_int_equal(weft_procpool_destroy(pool), 0);
    assert_int_equal(seen.count, 4);
}

/* The pid of the worker, when it is another than `old`; 0: that never came. */
static int await_worker(weft_procpool *pool, unsigned index, int old)
{
    int64_t end = weft_in(LIVENESS_NS);
    for (;;) {
        int pid = weft_procpool_pid(pool, index);
        if (pid != 0 && pid != old)
            return pid;
        if (weft_now() > end)
            return 0;
        sleep_ns(WEFT_MSEC);
    }
}

static void test_idle_worker_is_killed(void **state)
{
    weft_procpool *pool = create_of(2);
    (void)state;
    for (int i = 0; i < 10; i++) {
        int pid = await_worker(pool, 0, 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(sum_in(pool, i, 1), i + 1);
        assert_true(await_worker(pool, 0, pid) != 0);
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* ---- cancel, limits -------------------------------------------------------------------------- */

/* Wait until a worker sleeps in sleep_for(). */
static void await_running(weft_procpool *pool, unsigned index)
{
    char path[64];
    long call = -1;
    int64_t end = weft_in(LIVENESS_NS);
    while (call != SYS_clock_nanosleep && weft_now() < end) {
        (void)snprintf(path, sizeof(path), "/proc/%d/syscall", weft_procpool_pid(pool, index));
        call = read_key(path, "");
        sleep_ns(WEFT_MSEC);
    }
    assert_int_equal(call, SYS_clock_nanosleep);
}

static void test_cancel_with_kill(void **state)
{
    deaths seen = {.count = 0};
    weft_procpool *pool = create(
        &(weft_procpool_config){.workers = 1, .on_death = note_death, .on_death_arg = &seen});
    (void)state;
    sleep_for_future running = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, 1);
    sleep_for_future queued = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, 2);
    add_future after = weft_submit(of(pool), add, 3, 4);
    await_running(pool, 0);
    assert_int_equal(weft_cancel(running), 0);               /* as Python: it runs */
    assert_int_equal(weft_procpool_cancel(pool, queued), 1); /* taken back */
    assert_int_equal(weft_await(queued, NULL, WEFT_POLL), -ECANCELED);
    assert_int_equal(weft_procpool_cancel(pool, running), 1);
    assert_int_equal(weft_await(running, NULL, PATIENCE), -ECANCELED);
    long sum;
    assert_int_equal(weft_await(after, &sum, PATIENCE), 0);
    assert_int_equal(sum, 7);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.reason, -ECANCELED);
    add_future done = weft_submit(of(pool), add, 1, 1);
    assert_int_equal(weft_result(done, &sum, PATIENCE), 0);
    assert_int_equal(weft_procpool_cancel(pool, done), 0);
    weft_release(done);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

#define TASK_NS_MAX (200 * WEFT_MSEC)

/* A task that ends at once, and its value. Where the machine stands still for so long it may have
 * been stopped by the limit all the same, never before; then it is tried again. */
static int end_at_once(weft_procpool *pool, int value)
{
    int64_t end = PATIENCE;
    int rc, got = 0;
    do {
        int64_t begin = weft_now();
        sleep_for_future quick = weft_submit(of(pool), sleep_for, WEFT_MSEC, value);
        rc = weft_await(quick, &got, PATIENCE);
        assert_true(rc == 0 || (rc == -ETIMEDOUT && weft_now() - begin >= TASK_NS_MAX));
        assert_true(weft_now() < end);
    } while (rc != 0);
    return got;
}

static void test_time_limit(void **state)
{
    weft_procpool *pool = create(&(weft_procpool_config){.workers = 2, .task_ns_max = TASK_NS_MAX});
    (void)state;
    for (int i = 0; i < 3; i++) {
        sleep_for_future slow = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, 1);
        assert_int_equal(end_at_once(pool, 2), 2);
        assert_int_equal(weft_await(slow, NULL, PATIENCE), -ETIMEDOUT);
    }
    assert_int_equal(end_at_once(pool, 3), 3);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* Nothing else happens in the pool that would wake whoever keeps the time. */
static void test_time_limit_of_a_lone_task(void **state)
{
    weft_procpool *pool = create(&(weft_procpool_config){.workers = 2, .task_ns_max = TASK_NS_MAX});
    (void)state;
    for (int i = 0; i < 2; i++) {
        (void)usleep(20000); /* let the pool fall asleep */
        sleep_for_future slow = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, 1);
        assert_int_equal(weft_await(slow, NULL, weft_in(LIVENESS_NS)), -ETIMEDOUT);
        assert_null(slow.h); /* it was the task's time that was over, not the wait's */
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_tasks_per_child(void **state)
{
    weft_procpool *pool = create(&(weft_procpool_config){.workers = 1, .tasks_per_child = 3});
    int pids[9];
    (void)state;
    for (int i = 0; i < 9; i++) {
        process_id_future f = weft_submit(of(pool), process_id);
        assert_int_equal(weft_await(f, &pids[i], PATIENCE), 0);
    }
    for (int i = 0; i < 9; i += 3) {
        assert_int_equal(pids[i], pids[i + 1]);
        assert_int_equal(pids[i], pids[i + 2]);
    }
    assert_true(pids[0] != pids[3] && pids[3] != pids[6]);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* ---- initializer ----------------------------------------------------------------------------- */

static int set_global(void *arg, size_t bytes)
{
    if (bytes != sizeof(int))
        return 9;
    global = *(int *)arg;
    return 0;
}

static int fail_to_begin(void *arg, size_t bytes)
{
    (void)arg;
    (void)bytes;
    return 3;
}

static void test_initializer(void **state)
{
    weft_procpool *pool = create(&(weft_procpool_config){.workers = 2,
                                                         .initializer = set_global,
                                                         .init_arg = &(int){600},
                                                         .init_bytes = sizeof(int)});
    (void)state;
    global = 1;
    for (int i = 0; i < 4; i++) {
        int value = 0;
        read_global_future f = weft_submit(of(pool), read_global, 0);
        assert_int_equal(weft_await(f, &value, PATIENCE), 0);
        assert_int_equal(value, 600);
    }
    assert_int_equal(kill(weft_procpool_pid(pool, 0), SIGKILL), 0);
    assert_int_equal(kill(weft_procpool_pid(pool, 1), SIGKILL), 0);
    int value = 0;
    read_global_future f = weft_submit(of(pool), read_global, 0);
    assert_int_equal(weft_await(f, &value, PATIENCE), 0);
    assert_int_equal(value, 600); /* the next ones have been initialised, too */
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_initializer_fails(void **state)
{
    weft_procpool *pool =
        create(&(weft_procpool_config){.workers = 2, .initializer = fail_to_begin});
    (void)state;
    add_future futures[20];
    for (long i = 0; i < 20; i++)
        futures[i] = weft_submit(of(pool), add, i, i);
    for (long i = 0; i < 20; i++)
        assert_int_equal(weft_await(futures[i], NULL, PATIENCE), -EPIPE);
    add_future late = weft_submit(of(pool), add, 1, 1);
    assert_int_equal(weft_await(late, NULL, PATIENCE), -EPIPE);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* ---- back-pressure --------------------------------------------------------------------------- */

static void test_full_queue_fails(void **state)
{
    weft_procpool *pool =
        create(&(weft_procpool_config){.workers = 1, .queue_max = 2, .full = WEFT_FULL_FAIL});
    (void)state;
    sleep_for_future one = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, 1);
    sleep_for_future two = weft_submit(of(pool), sleep_for, 0, 2);
    add_future three = weft_submit(of(pool), add, 1, 1);
    assert_int_equal(weft_await(three, NULL, PATIENCE), -EAGAIN);
    assert_int_equal(weft_procpool_cancel(pool, one), 1);
    assert_int_equal(weft_await(one, NULL, PATIENCE), -ECANCELED);
    assert_int_equal(weft_await(two, NULL, PATIENCE), 0);
    int64_t end = weft_in(LIVENESS_NS);
    int rc;
    do { /* the place is given back a moment after the future has ended */
        add_future again = weft_submit(of(pool), add, 1, 1);
        rc = weft_await(again, NULL, PATIENCE);
    } while (rc == -EAGAIN && weft_now() < end);
    assert_int_equal(rc, 0);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_full_queue_runs_here(void **state)
{
    weft_procpool *pool =
        create(&(weft_procpool_config){.workers = 1, .queue_max = 1, .full = WEFT_FULL_RUN});
    (void)state;
    sleep_for_future one = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, 1);
    process_id_future here = weft_submit(of(pool), process_id);
    int pid = 0;
    assert_int_equal(weft_await(here, &pid, WEFT_POLL), 0);
    assert_int_equal(pid, (int)getpid());
    assert_int_equal(weft_procpool_cancel(pool, one), 1);
    weft_release(one);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_full_queue_waits(void **state)
{
    enum { MANY = 500 };
    static add_future futures[MANY];
    weft_procpool *pool = create(&(weft_procpool_config){.workers = 2, .queue_max = 3});
    (void)state;
    for (long i = 0; i < MANY; i++)
        futures[i] = weft_submit(of(pool), add, i, 0);
    for (long i = 0; i < MANY; i++) {
        long sum;
        assert_int_equal(weft_await(futures[i], &sum, PATIENCE), 0);
        assert_int_equal(sum, i);
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* Tries to submit to a pool whose one place is taken. */
static int submit_in_vain(void *arg)
{
    weft_procpool *pool = arg;
    int64_t end = weft_in(2 * WEFT_MSEC);
    add_future f = weft_submit_until(of(pool), end, add, 1, 1);
    CHECK(weft_now() >= end && weft_await(f, NULL, WEFT_POLL) == -ETIMEDOUT && f.h == NULL);
    f = weft_submit_until(of(pool), WEFT_POLL, add, 1, 1);
    CHECK(weft_await(f, NULL, WEFT_POLL) == -ETIMEDOUT && f.h == NULL);
    weft_deadline(weft_in(2 * WEFT_MSEC))
    {
        f = weft_submit_until(of(pool), PATIENCE, add, 1, 1);
        CHECK(weft_cancelled(f) && weft_cancel_requested() == -ETIMEDOUT);
        weft_release(f);
    }
    return 0;
}

static void test_full_queue_waits_until_a_deadline(void **state)
{
    weft_procpool *pool = create(&(weft_procpool_config){.workers = 1, .queue_max = 1});
    (void)state;
    sleep_for_future one = weft_submit_until(of(pool), WEFT_POLL, sleep_for, 20 * LIVENESS_NS, 1);
    assert_false(weft_done(one));
    on_workers(submit_in_vain, pool);
    add_future f = weft_submit_until(of(pool), weft_in(2 * WEFT_MSEC), add, 1, 1);
    assert_int_equal(weft_await(f, NULL, WEFT_POLL), -ETIMEDOUT);
    assert_int_equal(weft_procpool_cancel(pool, one), 1);
    add_future last = weft_submit_until(of(pool), PATIENCE, add, 1, 1);
    assert_int_equal(weft_await(last, NULL, PATIENCE), 0);
    assert_int_equal(weft_await(one, NULL, PATIENCE), -ECANCELED);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* ---- shutdown -------------------------------------------------------------------------------- */

static void test_shutdown_waits(void **state)
{
    weft_procpool *pool = create_of(2);
    sleep_for_future futures[6];
    (void)state;
    for (int i = 0; i < 6; i++)
        futures[i] = weft_submit(of(pool), sleep_for, 10 * WEFT_MSEC, i);
    assert_int_equal(weft_executor_shutdown(of(pool), 0, WEFT_POLL), -ETIMEDOUT);
    add_future late = weft_submit(of(pool), add, 1, 1);
    assert_int_equal(weft_await(late, NULL, PATIENCE), -EPIPE);
    assert_int_equal(weft_executor_shutdown(of(pool), 0, PATIENCE), 0);
    assert_int_equal(weft_executor_shutdown(of(pool), 0, PATIENCE), 0); /* idempotent */
    for (int i = 0; i < 6; i++) {
        int value = -1;
        assert_int_equal(weft_await(futures[i], &value, WEFT_POLL), 0);
        assert_int_equal(value, i);
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_shutdown_cancels_pending(void **state)
{
    enum { MANY = 3000 }; /* more than there are records */
    static sleep_for_future futures[MANY];
    weft_procpool *pool = create_of(1);
    (void)state;
    sleep_for_future first = weft_submit(of(pool), sleep_for, 300 * WEFT_MSEC, 7);
    for (int i = 0; i < MANY; i++)
        futures[i] = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, i);
    await_running(pool, 0);
    assert_int_equal(weft_executor_shutdown(of(pool), WEFT_CANCEL_PENDING, PATIENCE), 0);
    int value = 0;
    assert_int_equal(weft_await(first, &value, WEFT_POLL), 0); /* what runs goes on to its end */
    assert_int_equal(value, 7);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(weft_await(futures[i], NULL, WEFT_POLL), -ECANCELED);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

static void test_shutdown_kills_running(void **state)
{
    weft_procpool *pool = create_of(2);
    sleep_for_future futures[4];
    (void)state;
    for (int i = 0; i < 4; i++)
        futures[i] = weft_submit(of(pool), sleep_for, 2 * LIVENESS_NS, i);
    await_running(pool, 0);
    await_running(pool, 1);
    assert_int_equal(weft_executor_shutdown(of(pool), WEFT_KILL_RUNNING, PATIENCE), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(weft_await(futures[i], NULL, WEFT_POLL), -ECANCELED);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* ---- callbacks in the pool's thread ---------------------------------------------------------- */

typedef struct seen_by_callback {
    weft_procpool *pool;
    long sum;
    int destroyed;
    unsigned is_done;
} seen_by_callback;

static void wait_in_callback(weft_future *future, void *arg)
{
    seen_by_callback *seen = arg;
    (void)future;
    add_future f = weft_submit(of(seen->pool), add, 20, 22);
    if (weft_await(f, &seen->sum, PATIENCE) != 0)
        seen->sum = -1;
    seen->destroyed = weft_procpool_destroy(seen->pool);
    weft__store_release(&seen->is_done, 1);
}

static void test_callback_may_submit_and_wait(void **state)
{
    weft_procpool *pool = create_of(1);
    seen_by_callback seen = {.pool = pool};
    (void)state;
    sleep_for_future f = weft_submit(of(pool), sleep_for, 20 * WEFT_MSEC, 1);
    assert_int_equal(weft_on_done(f, wait_in_callback, &seen), 0);
    assert_true(wait_for(&seen.is_done, 1)); /* without helping: it runs in the pool's thread */
    assert_int_equal(seen.sum, 42);
    assert_int_equal(seen.destroyed, -EDEADLK);
    weft_release(f);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* ---- failures and leftovers ------------------------------------------------------------------ */

static void test_bad_configurations(void **state)
{
    weft_procpool *pool = NULL;
    weft_procpool_config bad[] = {{.workers = WEFT_PROCPOOL_WORKERS_MAX + 1},
                                  {.task_ns_max = -1},
                                  {.init_bytes = 1},
                                  {.full = 77},
                                  {.task_bytes_max = SIZE_MAX}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(weft_procpool_create(&pool, &bad[i]), -EINVAL);
    assert_null(pool);
    assert_int_equal(weft_procpool_destroy(NULL), 0);
}

static size_t count_fds(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder))
        count += entry->d_name[0] != '.';
    (void)closedir(folder);
    return count - 1;
}

static void test_nothing_is_left(void **state)
{
    (void)state;
    weft_procpool *pool = create_of(2); /* the first one starts the server */
    assert_int_equal(sum_in(pool, 1, 2), 3);
    assert_int_equal(weft_procpool_destroy(pool), 0);
    size_t fds = count_fds();
    size_t mappings = count_mappings();
    for (int i = 0; i < 5; i++) {
        pool = create_of(2);
        int pid = weft_procpool_pid(pool, 1);
        assert_int_equal(sum_in(pool, 1, 2), 3);
        assert_int_equal(weft_procpool_destroy(pool), 0);
        assert_true(kill(pid, 0) == -1 && errno == ESRCH);
    }
    assert_int_equal(count_fds(), fds);
    assert_true(count_mappings() <= mappings + 4); /* allocators keep some */
}

/* More than are started at once, by a server that is there or by another. */
static void test_many_workers(void **state)
{
    enum { MANY = 19 };
    (void)state;
    for (int round = 0; round < 2; round++) {
        char path[64];
        weft_procpool *pool = create_of(MANY);
        (void)snprintf(path, sizeof(path), "/proc/%d/status", weft_procpool_pid(pool, MANY - 1));
        int server = (int)read_key(path, "PPid:");
        for (unsigned i = 0; i < MANY; i++)
            for (unsigned other = 0; other < i; other++)
                assert_true(weft_procpool_pid(pool, i) != weft_procpool_pid(pool, other));
        assert_int_equal(sum_in(pool, 1, 2), 3);
        assert_int_equal(weft_procpool_destroy(pool), 0);
        assert_int_equal(kill(server, SIGKILL), 0);
    }
}

static void test_every_step_of_create_may_fail(void **state)
{
    weft_procpool *pool = NULL;
    int rc = -1;
    (void)state;
    size_t fds = count_fds();
    for (int64_t n = 0; rc != 0; n++) {
        assert_true(n < 200);
        weft__fault_arm(n);
        rc = weft_procpool_create(&pool, &(weft_procpool_config){.workers = 2});
        weft__fault_arm(-1);
        assert_true(rc == 0 || rc == -ENOMEM || rc == -EMFILE || rc == -EAGAIN);
        if (rc != 0)
            assert_int_equal(count_fds(), fds);
    }
    assert_int_equal(sum_in(pool, 2, 2), 4);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* The n-th allocation of this process fails, whichever thread makes it: one future says so, or its
 * message is lost, and the next tasks go on. */
static void test_every_allocation_of_a_task_may_fail(void **state)
{
    weft_procpool *pool = create_of(1);
    int64_t calls = 1;
    (void)state;
    for (int64_t n = 0; n < calls; n++) {
        long sum = 3;
        weft__fault_arm(n);
        add_future f = weft_submit(of(pool), add, 1, 2);
        refuse_future g = weft_submit(of(pool), refuse, 17);
        add_future after = weft_then(of(pool), f, add, .b = 4);
        int rc = weft_await(f, &sum, PATIENCE);
        int of_refused = weft_await(g, NULL, PATIENCE);
        int of_after = weft_await(after, NULL, PATIENCE);
        calls = weft__fault_calls();
        weft__fault_arm(-1);
        if (rc == -ENOMEM && f.h != NULL) /* it was the wait that failed */
            rc = weft_await(f, &sum, PATIENCE);
        assert_true((rc == 0 || rc == -ENOMEM) && sum == 3);
        assert_true(of_refused == -EDOM || of_refused == -ENOMEM);
        assert_true(of_after == 0 || of_after == -ENOMEM);
        assert_int_equal(sum_in(pool, 1, 2), 3);
    }
    assert_true(calls >= 4); /* three futures, an error */
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

/* A copy made by fork() cannot use its parent's pool. */
static int use_in_copy(void *arg)
{
    weft_procpool *pool = arg;
    add_future f = weft_submit(of(pool), add, 1, 2);
    CHECK(weft_await(f, NULL, PATIENCE) == -ECHILD);
    CHECK(weft_executor_shutdown(of(pool), 0, PATIENCE) == -ECHILD);
    return 0;
}

static void test_forked_copy(void **state)
{
    weft_procpool *pool = create_of(1);
    (void)state;
    child_end end = in_child(use_in_copy, pool);
    expect_success(&end);
    assert_int_equal(sum_in(pool, 1, 2), 3);
    assert_int_equal(weft_procpool_destroy(pool), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_submit_and_result),
        cmocka_unit_test(test_many_tasks_in_order_of_submission),
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_processes_share_nothing),
        cmocka_unit_test(test_tasks_of_any_size),
        cmocka_unit_test(test_too_large_a_task),
        cmocka_unit_test(test_error_of_a_task),
        cmocka_unit_test(test_failure_that_nobody_waits_for),
        cmocka_unit_test(test_from_fibers),
        cmocka_unit_test(test_from_many_threads),
        cmocka_unit_test(test_dead_worker_fails_only_its_task),
        cmocka_unit_test(test_death_tells_how),
        cmocka_unit_test(test_idle_worker_is_killed),
        cmocka_unit_test(test_cancel_with_kill),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_time_limit_of_a_lone_task),
        cmocka_unit_test(test_tasks_per_child),
        cmocka_unit_test(test_initializer),
        cmocka_unit_test(test_initializer_fails),
        cmocka_unit_test(test_full_queue_fails),
        cmocka_unit_test(test_full_queue_runs_here),
        cmocka_unit_test(test_full_queue_waits),
        cmocka_unit_test(test_full_queue_waits_until_a_deadline),
        cmocka_unit_test(test_shutdown_waits),
        cmocka_unit_test(test_shutdown_cancels_pending),
        cmocka_unit_test(test_shutdown_kills_running),
        cmocka_unit_test(test_callback_may_submit_and_wait),
        cmocka_unit_test(test_bad_configurations),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_many_workers),
        cmocka_unit_test(test_every_step_of_create_may_fail),
        cmocka_unit_test(test_every_allocation_of_a_task_may_fail),
        cmocka_unit_test(test_forked_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
