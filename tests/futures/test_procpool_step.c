/* SPDX-License-Identifier: BSD-2-Clause */
/* test_procpool_step.c — kill -9 after single instructions, on both sides of a pool of processes.
 *
 * A worker: its way from one task into the next, that is the end of the task, the reply, the call
 * to the pool, the look for another task, sleep, and the taking. The tasks at both ends stop it by
 * a signal, so each instruction between the two has its number, whatever the others do. After each
 * death all futures must have ended, once, and the tasks behind must run in the worker's successor.
 *
 * And whoever submits: when the pool's process dies, so do all of its workers.
 *
 * Not under ThreadSanitizer: each of its steps is hundreds of the machine's.
 * ctest: TIMEOUT 120 LABELS slow no-tsan */
#include "../core/process.h"
#include "../core/trace.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include <weft/procpool.h>

#define PATIENCE weft_in(LIVENESS_NS)

enum { FIRST, SECOND, BYSTANDER, TASKS };

/* How often each task has run; shared with the workers. */
static uint32_t *runs;

static int open_runs(void *arg, size_t bytes)
{
    (void)bytes;
    FILE *file = fopen(arg, "r+");
    if (file == NULL)
        return 1;
    void *memory =
        mmap(NULL, TASKS * sizeof(runs[0]), PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    (void)fclose(file);
    runs = memory;
    return memory == MAP_FAILED;
}

/* Stops in the process that is traced, and nowhere else. */
WEFT_TASK(int, visit, int, number, int, traced)
{
    (void)weft__fetch_add_relaxed(&runs[number], 1);
    if (getpid() == traced)
        (void)raise(SIGUSR1);
    return number + 100;
}

static struct {
    char path[64]; /* of the file that `runs` lies in */
    unsigned deaths;
} test;

static void note_death(const weft_procpool_death *death, void *arg)
{
    (void)arg;
    (void)death;
    (void)weft__fetch_add_relaxed(&test.deaths, 1);
}

static int create(weft_procpool **pool, int64_t spin_ns)
{
    return weft_procpool_create(pool, &(weft_procpool_config){.workers = 1,
                                                              .spin_ns = spin_ns,
                                                              .initializer = open_runs,
                                                              .init_arg = test.path,
                                                              .init_bytes = sizeof(test.path),
                                                              .on_death = note_death});
}

/* ---- a worker is killed ---------------------------------------------------------------------- */

typedef struct trial {
    weft_procpool *pool;
    int worker;
    visit_future futures[TASKS];
    unsigned ends[TASKS];
    unsigned submitted;
} trial;

static void count_end(weft_future *future, void *arg)
{
    (void)future;
    (void)weft__fetch_add_acq_rel((unsigned *)arg, 1);
}

static void submit(trial *self, int number)
{
    int traced = number == BYSTANDER ? 0 : self->worker;
    visit_future f = weft_submit(weft_procpool_executor(self->pool), visit, number, traced);
    self->futures[number] = f;
    assert_int_equal(weft_on_done(f, count_end, &self->ends[number]), 0);
    weft__store_release(&self->submitted, (unsigned)number + 1);
}

static void submit_others(weft_future *future, void *arg)
{
    (void)future;
    submit(arg, SECOND);
    submit(arg, BYSTANDER);
}

/* The worker, which may be about to be replaced by the thread of the pool. */
static int await_worker(weft_procpool *pool)
{
    int pid = weft_procpool_pid(pool, 0);
    for (int64_t deadline = PATIENCE; pid == 0 && weft_now() < deadline;) {
        sleep_ns(100 * WEFT_USEC);
        pid = weft_procpool_pid(pool, 0);
    }
    assert_true(pid > 0);
    return pid;
}

/* Nonzero: the task's process had died. */
static int check_end(trial *self, int number)
{
    weft_error error;
    int value = 0;
    visit_future f = self->futures[number];
    assert_int_equal(weft_exception(f, &error, PATIENCE), 0);
    assert_true(wait_for(&self->ends[number], 1));
    uint32_t count = weft__load_relaxed(&runs[number]);
    if (error.code != 0) {
        assert_int_equal(error.code, -EOWNERDEAD);
        assert_non_null(strstr(error.message, "killed by signal 9"));
        assert_true(count <= 1);
    } else {
        assert_int_equal(weft_result(f, &value, PATIENCE), 0);
        assert_int_equal(value, number + 100);
        assert_int_equal(count, 1);
    }
    return error.code != 0;
}

/* Kill the worker so many instructions after the first task has stopped it. Nonzero: the second one
 * has begun by then. */
static int kill_after(trial *self, unsigned long instructions, int is_asleep)
{
    int status;
    for (int i = 0; i < TASKS; i++)
        weft__store_relaxed(&runs[i], 0);
    self->worker = await_worker(self->pool);
    assert_int_equal(ptrace(PTRACE_SEIZE, self->worker, NULL, PTRACE_O_EXITKILL), 0);
    submit(self, FIRST);
    if (is_asleep)
        assert_int_equal(weft_on_done(self->futures[FIRST], submit_others, self), 0);
    else
        submit_others(NULL, self);
    assert_int_equal(waitpid(self->worker, &status, __WALL), self->worker);
    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
    int is_over = step(self->worker, instructions);
    assert_true(is_over >= 0 && kill_traced(self->worker));
    return is_over;
}

/* What the worker was killed in: the first task, the second one, or neither. */
static int check_trial(trial *self)
{
    int in_first = check_end(self, FIRST);
    assert_true(wait_for(&self->submitted, TASKS)); /* by a callback, it may be */
    int in_second = check_end(self, SECOND);
    assert_false(in_first && in_second);
    assert_false(check_end(self, BYSTANDER));
    for (int i = 0; i < TASKS; i++) {
        assert_int_equal(weft__load_acquire(&self->ends[i]), 1);
        weft_release(self->futures[i]);
    }
    return in_first ? FIRST : in_second ? SECOND : BYSTANDER;
}

static void kill_worker(int64_t spin_ns, int is_asleep, unsigned long stride)
{
    unsigned long kills = 0;
    unsigned in[TASKS] = {0};
    weft_procpool *pool = NULL;
    assert_int_equal(create(&pool, spin_ns), 0);
    weft__store_relaxed(&test.deaths, 0);
    unsigned long next = 0;
    for (int is_over = 0; !is_over; kills++) {
        trial self = {.pool = pool};
        is_over = kill_after(&self, next, is_asleep);
        int victim = check_trial(&self);
        next += victim == SECOND ? 16 * stride : stride; /* one that runs is like another */
        in[victim]++;
    }
    assert_int_equal(weft_procpool_destroy(pool), 0);
    assert_int_equal(weft__load_relaxed(&test.deaths), in[FIRST] + in[SECOND]);
    assert_true(in[FIRST] > 0 && in[SECOND] > 0 && (stride > 1 || in[BYSTANDER] > 0));
    print_message("%lu kills, every %lu instructions: %u in one task, %u between, %u in the next\n",
                  kills, stride, in[FIRST], in[BYSTANDER], in[SECOND]);
}

static void test_kill_between_two_tasks(void **state)
{
    (void)state;
    kill_worker(0, 0, LESS_IF_SANITIZED(1, 61));
}

/* The next task is submitted when the first has ended: the worker calls the pool, and sleeps. */
static void test_kill_around_a_sleep(void **state)
{
    (void)state;
    kill_worker(-1, 1, LESS_IF_SANITIZED(19, 211));
}

/* ---- whoever submits is killed --------------------------------------------------------------- */

/* The pool's process: it stops before it submits, and when it has. */
static int submit_and_stop(void)
{
    weft_procpool *pool;
    CHECK(create(&pool, 0) == 0);
    visit_future f = weft_submit(weft_procpool_executor(pool), visit, FIRST, 0);
    CHECK(weft_await(f, NULL, PATIENCE) == 0);
    CHECK(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
    (void)raise(SIGUSR1);
    f = weft_submit(weft_procpool_executor(pool), visit, SECOND, 0);
    (void)raise(SIGUSR1);
    return __LINE__;
}

/* All children of this process end, those it has inherited as well. */
static int all_end(void)
{
    for (int64_t deadline = PATIENCE; weft_now() < deadline;) {
        pid_t ended = waitpid(-1, NULL, WNOHANG);
        if (ended < 0)
            return errno == ECHILD;
        if (ended == 0)
            sleep_ns(100 * WEFT_USEC);
    }
    return 0;
}

static int kill_submitter_after(unsigned long instructions, int *is_over)
{
    int status;
    weft__store_relaxed(&runs[SECOND], 0);
    pid_t child = fork();
    if (child == 0)
        _exit(submit_and_stop() != 0);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGUSR1);
    *is_over = step(child, instructions);
    CHECK(*is_over >= 0 && kill_traced(child));
    CHECK(all_end());
    CHECK(weft__load_relaxed(&runs[SECOND]) <= 1);
    return 0;
}

/* In a process that has started no other, and inherits the children of those that die. */
static int kill_submitter(void *arg)
{
    unsigned long kills = 0, stride = LESS_IF_SANITIZED(47, 511);
    int is_over = 0;
    (void)arg;
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    for (; !is_over; kills++)
        CHECK_CALL(kill_submitter_after(kills * stride, &is_over));
    print_message("%lu kills, every %lu instructions\n", kills, stride);
    return 0;
}

static void test_kill_whoever_submits(void **state)
{
    (void)state;
    child_end end = in_child(kill_submitter, NULL);
    expect_success(&end);
}

static int setup(void **state)
{
    (void)state;
    int file = memfd_create("runs", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, TASKS * sizeof(runs[0])) != 0)
        return -1;
    (void)snprintf(test.path, sizeof(test.path), "/proc/%d/fd/%d", (int)getpid(), file);
    return open_runs(test.path, sizeof(test.path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kill_between_two_tasks),
        cmocka_unit_test(test_kill_around_a_sleep),
        cmocka_unit_test(test_kill_whoever_submits),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
