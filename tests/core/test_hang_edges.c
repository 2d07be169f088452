/* SPDX-License-Identifier: BSD-2-Clause */
/* test_hang_edges.c — hangs of every kind are reported, whatever the program did before; and a
 * program that waits for something outside its fibers is left alone, whatever that is.
 *
 * The other thing comes after 300 ms, three times what the detector waits before it looks.
 * ThreadSanitizer has a thread of its own that might do something, so no hang is certain there.
 * ctest: TIMEOUT 120 LABELS no-tsan */
#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <weft/channel.h>
#include <weft/fiber.h>
#include <weft/future.h>
#include <weft/io.h>
#include <weft/process.h>
#include <weft/procpool.h>
#include <weft/shm.h>
#include <weft/shmsync.h>
#include <weft/sync.h>

#define LATER_NS (300 * WEFT_MSEC)
#define UNNOTICED_S 30

typedef WEFT_FUTURE_OF(int) int_future;

/* What the parts of a program have between them; each runs in a child of its own. */
static weft_mutex held;
static weft_rwlock written;
static weft_event event;
static weft_channel *channel;
static int_future promise;
static weft_runtime *other;

typedef struct program {
    int (*main)(void *arg);
    unsigned workers;
} program;

static int run_program(void *arg)
{
    const program *self = arg;
    weft_config config = {.workers = self->workers, .hang = WEFT_HANG_EXIT};
    (void)alarm(UNNOTICED_S); /* without a handler */
    return weft_run(self->main, NULL, &config);
}

static child_end end_of(int (*main)(void *arg), unsigned workers)
{
    program self = {.main = main, .workers = workers};
    return in_child(run_program, &self);
}

/* ---- hangs of every kind --------------------------------------------------------------------- */

static int hang_in_mutex(void)
{
    weft_mutex_lock(&held);
    weft_mutex_lock(&held);
    return 0;
}

static int hang_in_read_lock(void)
{
    weft_rwlock_write_lock(&written);
    weft_rwlock_read_lock(&written);
    return 0;
}

static int hang_in_write_lock(void)
{
    weft_rwlock_read_lock(&written);
    weft_rwlock_write_lock(&written);
    return 0;
}

static int hang_in_cond(void)
{
    weft_cond cond = WEFT_COND_INIT;
    weft_mutex_lock(&held);
    return weft_cond_wait(&cond, &held, WEFT_FOREVER);
}

static int hang_in_semaphore(void)
{
    weft_semaphore none = WEFT_SEMAPHORE_INIT(0);
    return weft_semaphore_acquire(&none, WEFT_FOREVER);
}

static int hang_in_event(void)
{
    return weft_event_wait(&event, WEFT_FOREVER);
}

static int hang_in_latch(void)
{
    weft_latch latch = WEFT_LATCH_INIT(1);
    return weft_latch_wait(&latch, WEFT_FOREVER);
}

static int hang_in_barrier(void)
{
    weft_barrier barrier = WEFT_BARRIER_INIT(2);
    return weft_barrier_wait(&barrier, WEFT_FOREVER);
}

static int call_event(void *arg)
{
    (void)arg;
    return hang_in_event();
}

static weft_once once;

WEFT_FIBER(call_once_too, int, unused)
{
    (void)unused;
    (void)weft_once_call(&once, call_event, NULL);
}

static int hang_in_once(void)
{
    weft_scope(group)
    {
        CHECK(weft_go(&group, call_once_too, 0) == 0);
        CHECK(weft_go(&group, call_once_too, 0) == 0);
    }
    return 0;
}

static int hang_in_pop(void)
{
    CHECK(weft_channel_create(&channel, &(weft_channel_spec){.capacity = 4}) == 0);
    return weft_channel_pop(channel, NULL, WEFT_FOREVER);
}

static int hang_in_push(void)
{
    CHECK(weft_channel_create(&channel, &(weft_channel_spec){.capacity = 0}) == 0);
    return weft_channel_push(channel, NULL, WEFT_FOREVER);
}

static int hang_in_select(void)
{
    CHECK(weft_channel_create(&channel, &(weft_channel_spec){.capacity = 4}) == 0);
    weft_case cases[] = {WEFT_CASE_POP(channel, NULL), WEFT_CASE_POP(NULL, NULL)};
    return weft_select(cases, 2, WEFT_FOREVER);
}

static int hang_in_future(void)
{
    weft_promise(promise);
    return weft_await(promise, NULL, WEFT_FOREVER);
}

static int hang_in_wait(void)
{
    int_future both[2];
    weft_promise(both[0]);
    weft_promise(both[1]);
    (void)weft_set_result(both[0], &(int){1});
    return weft_wait(both, 2, WEFT_ALL_COMPLETED, WEFT_FOREVER) != 2;
}

static int hang_in_sleep(void)
{
    return weft_sleep(WEFT_FOREVER);
}

typedef struct kind {
    int (*hang)(void);
    const char *words;
} kind;

static const kind kinds[] = {
    {hang_in_mutex, "waits for mutex"},
    {hang_in_read_lock, "waits for rwlock"},
    {hang_in_write_lock, "waits for rwlock"},
    {hang_in_cond, "waits for cond"},
    {hang_in_semaphore, "waits for semaphore"},
    {hang_in_event, "waits for event"},
    {hang_in_latch, "waits for latch"},
    {hang_in_barrier, "waits for barrier"},
    {hang_in_once, "waits for once"},
    {hang_in_pop, "waits for channel"},
    {hang_in_push, "waits for channel"},
    {hang_in_select, "waits for select"},
    {hang_in_future, "waits for future"},
    {hang_in_wait, "waits for future"},
    {hang_in_sleep, "sleeps"},
};

static const kind *now;

static int hang_now(void *arg)
{
    (void)arg;
    return now->hang();
}

static void expect_hang(const child_end *end, const char *words)
{
    if (!WIFEXITED(end->status) || WEXITSTATUS(end->status) != WEFT_EXIT_HANG)
        fail_msg("the child should end with status 86; status %#x, said: %s", (unsigned)end->status,
                 end->errors);
    if (strstr(end->errors, words) == NULL)
        fail_msg("the child should say \"%s\"; said: %s", words, end->errors);
}

static void test_every_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        now = &kinds[i];
        child_end end = end_of(hang_now, 1 + (unsigned)i % 3);
        expect_hang(&end, kinds[i].words);
    }
}

/* ---- after this and that --------------------------------------------------------------------*/

static int after_a_region(void *arg)
{
    (void)arg;
    weft_blocking sleep_ns(WEFT_MSEC);
    return hang_in_event();
}

/* A deadline that was not needed any more does not count. */
static int after_a_timed_wait(void *arg)
{
    (void)arg;
    weft_semaphore one = WEFT_SEMAPHORE_INIT(0);
    weft_scope(group)
    {
        weft_event_set(&event);
        CHECK(weft_event_wait(&event, weft_in(3600 * WEFT_SEC)) == 0);
        weft_event_clear(&event);
    }
    CHECK(weft_semaphore_release(&one, 1) == 0);
    CHECK(weft_semaphore_acquire(&one, weft_in(3600 * WEFT_SEC)) == 0);
    return hang_in_event();
}

WEFT_FIBER(release_soon, weft_semaphore *, semaphore)
{
    (void)weft_sleep(weft_in(WEFT_MSEC));
    (void)weft_semaphore_release(semaphore, 1);
}

static int after_an_early_wake(void *arg)
{
    weft_semaphore one = WEFT_SEMAPHORE_INIT(0);
    (void)arg;
    weft_scope(group)
    {
        CHECK(weft_go(&group, release_soon, &one) == 0);
        CHECK(weft_semaphore_acquire(&one, weft_in(3600 * WEFT_SEC)) == 0);
    }
    return hang_in_event();
}

WEFT_FIBER(write_soon, int, fd)
{
    (void)weft_sleep(weft_in(WEFT_MSEC));
    (void)weft_write(fd, "x", 1, WEFT_FOREVER);
}

/* A file that nobody waits for any more is open and watched. */
static int after_a_read(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    CHECK(weft_fd_pipe(fds) == 0);
    weft_scope(group)
    {
        CHECK(weft_go(&group, write_soon, fds[1]) == 0);
        CHECK(weft_read(fds[0], &byte, 1, WEFT_FOREVER) == 1);
    }
    CHECK(weft_read(fds[0], &byte, 1, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    return hang_in_event();
}

static int after_a_cancelled_read(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    CHECK(weft_fd_pipe(fds) == 0);
    weft_deadline(weft_in(WEFT_MSEC)) CHECK(weft_read(fds[0], &byte, 1, WEFT_FOREVER) < 0);
    return hang_in_event();
}

static void *end_at_once(void *arg)
{
    return arg;
}

static int after_a_thread(void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, end_at_once, arg) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return hang_in_event();
}

static int nothing(void *arg)
{
    return arg != NULL;
}

/* A runtime that is idle beside it, one that has been destroyed, and a pool. */
static int beside_others(void *arg)
{
    weft_config config = {.workers = 2, .hang = WEFT_HANG_EXIT};
    weft_runtime *gone;
    weft_executor *pool;
    CHECK(weft_runtime_create(&gone, &config) == 0);
    CHECK(weft_runtime_run(gone, nothing, arg, NULL) == 0);
    CHECK(weft_runtime_destroy(gone) == 0);
    CHECK(weft_runtime_create(&other, &config) == 0);
    CHECK(weft_runtime_run(other, nothing, arg, NULL) == 0);
    CHECK(weft_pool_create(&pool, NULL) == 0);
    return hang_in_event();
}

static int run_event(void *arg)
{
    return call_event(arg);
}

/* One waits in the other's. */
static int across_runtimes(void *arg)
{
    weft_config config = {.workers = 1, .hang = WEFT_HANG_EXIT};
    CHECK(weft_runtime_create(&other, &config) == 0);
    return weft_runtime_run(other, run_event, arg, NULL);
}

static void *await_promise_in_thread(void *arg)
{
    (void)weft_result(promise, NULL, WEFT_FOREVER);
    return arg;
}

/* A thread and a fiber wait for what nobody keeps. */
static int beside_a_thread(void *arg)
{
    pthread_t thread;
    weft_promise(promise);
    CHECK(pthread_create(&thread, NULL, await_promise_in_thread, arg) == 0);
    return weft_result(promise, NULL, WEFT_FOREVER);
}

/* Somebody wakes all that wait: for a promise, an event, a mutex. */
static void wake_all(void)
{
    (void)weft_set_result(promise, &(int){1});
    weft_event_set(&event);
}

static void *wake_later(void *arg)
{
    sleep_ns(LATER_NS);
    wake_all();
    return arg;
}

WEFT_FIBER(wait_in_vain, int, unused)
{
    (void)unused;
    (void)!weft_event_wait(&event, WEFT_FOREVER);
}

/* A plain thread waits for the fibers of its scope. */
static int in_a_threads_scope(void *arg)
{
    (void)alarm(UNNOTICED_S);
    CHECK(setenv("WEFT_CHECK", "hang", 1) == 0);
    weft_scope(group) CHECK(weft_go(&group, wait_in_vain, arg != NULL) == 0);
    return 0;
}

/* Not if one of them may still go on. */
static int in_a_threads_scope_later(void *arg)
{
    pthread_t thread;
    CHECK(setenv("WEFT_CHECK", "hang", 1) == 0);
    weft_promise(promise);
    CHECK(pthread_create(&thread, NULL, wake_later, arg) == 0);
    weft_scope(group) CHECK(weft_go(&group, wait_in_vain, arg != NULL) == 0);
    return pthread_join(thread, NULL);
}

static int with_a_dump_signal(void *arg)
{
    weft_config config = {.workers = 2, .hang = WEFT_HANG_EXIT, .dump_signal = SIGUSR2};
    return weft_run(call_event, arg, &config);
}

/* In a forked child of a process in which others wait. */
static int in_a_grandchild(void *arg)
{
    child_end end = end_of(across_runtimes, 2);
    (void)arg;
    CHECK(WIFEXITED(end.status) && WEXITSTATUS(end.status) == WEFT_EXIT_HANG);
    return 0;
}

static void test_after_this_and_that(void **state)
{
    static int (*const programs[])(void *) = {
        after_a_region, after_a_timed_wait,     after_an_early_wake,
        after_a_read,   after_a_cancelled_read, after_a_thread,
        beside_others,  across_runtimes,        beside_a_thread};
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        for (unsigned workers = 1; workers <= 2; workers++) {
            child_end end = end_of(programs[i], workers);
            expect_hang(&end, "the program hangs");
        }
    child_end end = in_child(with_a_dump_signal, NULL);
    expect_hang(&end, "the program hangs");
    end = in_child(in_a_threads_scope, NULL);
    expect_hang(&end, "the program hangs");
    end = in_child(in_a_threads_scope_later, NULL);
    expect_success(&end);
    end = in_child(in_a_grandchild, NULL);
    expect_success(&end);
}

/* ---- not hangs ------------------------------------------------------------------------------*/

static int wait_for_all(void)
{
    CHECK(weft_event_wait(&event, WEFT_FOREVER) == 0);
    CHECK(weft_await(promise, NULL, WEFT_FOREVER) == 0);
    return 0;
}

static int by_a_thread(void *arg)
{
    pthread_t thread;
    weft_promise(promise);
    CHECK(pthread_create(&thread, NULL, wake_later, arg) == 0);
    CHECK_CALL(wait_for_all());
    return pthread_join(thread, NULL);
}

/* A thread that waits in weft itself, with a deadline: as a fiber would. */
static void *wake_after_weft_sleep(void *arg)
{
    (void)weft_sleep(weft_in(LATER_NS));
    wake_all();
    return arg;
}

static int by_a_sleeping_thread(void *arg)
{
    pthread_t thread;
    weft_promise(promise);
    CHECK(pthread_create(&thread, NULL, wake_after_weft_sleep, arg) == 0);
    CHECK_CALL(wait_for_all());
    return pthread_join(thread, NULL);
}

WEFT_FIBER(wake_from_region, int, unused)
{
    (void)unused;
    weft_blocking sleep_ns(LATER_NS);
    wake_all();
}

static int by_a_region(void *arg)
{
    int line = 0;
    (void)arg;
    weft_promise(promise);
    weft_scope(group)
    {
        CHECK(weft_go(&group, wake_from_region, 0) == 0);
        line = wait_for_all();
    }
    return line;
}

WEFT_FIBER(wake_by_deadline, int, unused)
{
    (void)unused;
    (void)!weft_mutex_lock_until(&held, weft_in(LATER_NS));
    wake_all();
}

static int by_a_deadline(void *arg)
{
    int line = 0;
    (void)arg;
    weft_promise(promise);
    weft_mutex_lock(&held);
    weft_scope(group)
    {
        CHECK(weft_go(&group, wake_by_deadline, 0) == 0);
        line = wait_for_all();
    }
    return line;
}

static int write_later(void *arg)
{
    sleep_ns(LATER_NS);
    return write(*(int *)arg, "x", 1) == 1 ? 0 : __LINE__;
}

static int child_fds[2];

WEFT_FIBER(wake_by_file, int, unused)
{
    char byte;
    (void)unused;
    (void)weft_read(child_fds[0], &byte, 1, WEFT_FOREVER);
    wake_all();
}

/* Another process writes. */
static int by_a_file(void *arg)
{
    int line = 0;
    weft_promise(promise);
    CHECK(pipe(child_fds) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(write_later(&child_fds[1]));
    weft_scope(group)
    {
        CHECK(weft_go(&group, wake_by_file, 0) == 0);
        line = wait_for_all();
    }
    (void)waitpid(child, NULL, 0);
    return line + (arg != NULL);
}

static weft_shm_event *shared;

static int set_shared_later(void)
{
    sleep_ns(LATER_NS);
    return weft_shm_event_set(shared);
}

WEFT_FIBER(wake_by_shared, int, unused)
{
    (void)unused;
    (void)!weft_shm_event_wait(shared, WEFT_FOREVER);
    wake_all();
}

/* Another process sets an event in shared memory. */
static int by_shared_memory(void *arg)
{
    int line = 0;
    weft_shm *shm;
    weft_promise(promise);
    CHECK(weft_shm_create(&shm, NULL, 4096) == 0);
    shared = weft_shm_data(shm);
    CHECK(weft_shm_event_init(shared) == 0);
    pid_t child = fork();
    if (child == 0)
        _exit(set_shared_later());
    weft_scope(group)
    {
        CHECK(weft_go(&group, wake_by_shared, 0) == 0);
        line = wait_for_all();
    }
    (void)waitpid(child, NULL, 0);
    return line + (arg != NULL);
}

static int sleep_later(void *arg)
{
    (void)weft_sleep(weft_in(LATER_NS));
    wake_all();
    return arg != NULL;
}

/* The timer is in another runtime, on which this one waits. */
static int by_another_runtime(void *arg)
{
    weft_config config = {.workers = 1, .hang = WEFT_HANG_EXIT};
    weft_promise(promise);
    CHECK(weft_runtime_create(&other, &config) == 0);
    CHECK(weft_runtime_run(other, sleep_later, arg, NULL) == 0);
    CHECK(weft_runtime_destroy(other) == 0);
    return wait_for_all();
}

WEFT_VOID_TASK(sleep_in_pool, int, unused)
{
    (void)unused;
    (void)weft_sleep(weft_in(LATER_NS));
    wake_all();
}

static int by_a_pool(void *arg)
{
    weft_executor *pool;
    (void)arg;
    weft_promise(promise);
    CHECK(weft_pool_create(&pool, NULL) == 0);
    sleep_in_pool_future f = weft_submit(pool, sleep_in_pool, 0);
    CHECK_CALL(wait_for_all());
    CHECK(weft_await(f, NULL, WEFT_FOREVER) == 0);
    return weft_pool_destroy(pool);
}

WEFT_TASK(int, sleep_in_process, int, value)
{
    sleep_ns(LATER_NS);
    return value;
}

static int by_a_process_pool(void *arg)
{
    weft_procpool *pool;
    int value = 0;
    (void)arg;
    CHECK(weft_procpool_create(&pool, &(weft_procpool_config){.workers = 1}) == 0);
    sleep_in_process_future f = weft_submit(weft_procpool_executor(pool), sleep_in_process, 42);
    CHECK(weft_await(f, &value, WEFT_FOREVER) == 0 && value == 42);
    return weft_procpool_destroy(pool);
}

static int sleep_in_child(weft_child *self)
{
    (void)self;
    sleep_ns(LATER_NS);
    return 3;
}

static int by_a_child(void *arg)
{
    weft_process *process;
    (void)arg;
    CHECK(weft_process_start(&process, sleep_in_child, NULL) == 0);
    CHECK(weft_process_join(process, WEFT_FOREVER) == 0);
    return weft_process_close(process);
}

static int by_a_select(void *arg)
{
    (void)arg;
    CHECK(weft_channel_create(&channel, &(weft_channel_spec){.capacity = 1}) == 0);
    weft_case cases[] = {WEFT_CASE_POP(channel, NULL), WEFT_CASE_POP(NULL, NULL)};
    CHECK(weft_select(cases, 2, weft_in(LATER_NS)) == -ETIMEDOUT);
    weft_channel_destroy(channel);
    return 0;
}

static int by_a_scope_deadline(void *arg)
{
    (void)arg;
    weft_deadline(weft_in(LATER_NS)) CHECK(hang_in_event() == -ETIMEDOUT);
    return 0;
}

static void *run_later(void *arg)
{
    sleep_ns(LATER_NS);
    (void)weft_runtime_run(other, sleep_later, arg, NULL);
    return arg;
}

/* Work will come from outside, into a runtime in which somebody waits. */
static int run_wait(void *arg)
{
    (void)arg;
    return wait_for_all();
}

static int by_a_later_run(void *arg)
{
    weft_config config = {.workers = 2, .hang = WEFT_HANG_EXIT};
    pthread_t thread;
    int line = 0;
    weft_promise(promise);
    CHECK(weft_runtime_create(&other, &config) == 0);
    CHECK(pthread_create(&thread, NULL, run_later, arg) == 0);
    CHECK(weft_runtime_run(other, run_wait, NULL, &line) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(weft_runtime_destroy(other) == 0);
    return line;
}

static void test_something_outside(void **state)
{
    static int (*const programs[])(void *) = {
        by_a_thread,      by_a_sleeping_thread, by_a_region,   by_a_deadline,     by_a_file,
        by_shared_memory, by_another_runtime,   by_a_pool,     by_a_process_pool, by_a_child,
        by_a_select,      by_a_scope_deadline,  by_a_later_run};
    (void)state;
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
        for (unsigned workers = 1; workers <= 2; workers++) {
            child_end end = end_of(programs[i], workers);
            if (!is_success(&end) || end.errors[0] != '\0')
                fail_msg("program %zu with %u workers should end in peace; status %#x, said: %s", i,
                         workers, (unsigned)end.status, end.errors);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_after_this_and_that),
        cmocka_unit_test(test_something_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
