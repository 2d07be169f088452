/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ferry.c — fibers that wait for other processes cost no thread each, and are woken, cut off
 * and left alone like any others.
 *
 * ctest: TIMEOUT 120 */
#include "shared.h"

#include "alloc.h"
#include "block.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>

#include <weft/fiber.h>
#include <weft/queue.h>
#include <weft/shm.h>
#include <weft/shmsync.h>
#include <weft/sync.h>

#define THREADS_FEW 20
#define WORKERS 2
#define QUEUES 4

typedef struct common {
    weft_shm_mutex mutex;
    weft_shm_semaphore semaphore;
    weft_shm_event event;
} common;

/* What the children see as well. */
typedef struct page {
    uint64_t go;    /* a child may begin */
    uint64_t taken; /* by a child */
    uint64_t ready; /* children that have got so far */
} page;

static page *seen_by_all;
static weft_shm *shm;
static common *shared;
static weft_queue *queues[QUEUES];
static weft_pipe *messages;

static uint64_t ended;   /* fibers that have got what they waited for */
static uint64_t wrong;   /* the first line in a fiber that failed */
static uint64_t waiting; /* fibers that are about to wait */

static void check_in_fiber(int holds, uint64_t line)
{
    uint64_t none = 0;
    if (!holds)
        (void)weft__cas_acq_rel(&wrong, &none, line);
}

#define EXPECT(holds) check_in_fiber((holds), __LINE__)

static uint64_t count(uint64_t *what)
{
    return weft__fetch_add_acq_rel(what, 1);
}

static int reaches(const uint64_t *what, uint64_t value)
{
    int64_t deadline = weft_in(LIVENESS_NS);
    while (weft__load_acquire(what) < value && weft_now() < deadline)
        (void)weft_sleep(weft_in(WEFT_MSEC));
    return weft__load_acquire(what) >= value;
}

static long thread_count(void)
{
    return read_key("/proc/self/status", "Threads:");
}

static weft_queue *new_queue(unsigned flags)
{
    weft_queue *queue;
    weft_queue_spec spec = {.elem_bytes = sizeof(uint64_t), .capacity = 2, .flags = flags};
    return weft_queue_create(&queue, NULL, &spec) == 0 ? queue : NULL;
}

static int make_all(void **state)
{
    (void)state;
    seen_by_all = shared_page(sizeof *seen_by_all);
    ended = wrong = waiting = 0;
    if (seen_by_all == NULL || weft_shm_create(&shm, NULL, sizeof *shared) != 0 ||
        weft_pipe_create(&messages, NULL, NULL) != 0)
        return -1;
    shared = weft_shm_data(shm);
    for (size_t i = 0; i < QUEUES; i++)
        if ((queues[i] = new_queue(0)) == NULL)
            return -1;
    return weft_shm_mutex_init(&shared->mutex) | weft_shm_event_init(&shared->event) |
           weft_shm_semaphore_init(&shared->semaphore, 0, 0);
}

static int free_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < QUEUES; i++)
        weft_queue_detach(queues[i]);
    weft_pipe_detach(messages);
    weft_shm_detach(shm);
    (void)munmap(seen_by_all, sizeof *seen_by_all);
    return 0;
}

static void run(int (*fn)(void *arg), unsigned workers)
{
    weft_config config = {.workers = workers};
    int line = weft_run(fn, NULL, &config);
    if (line != 0 || wrong != 0)
        fail_msg("line %d fails, in a fiber line %d", line, (int)wrong);
}

/* ---- a thousand ------------------------------------------------------------------------------ */

#define FIBERS LESS_IF_SANITIZED(1200u, 240u)
#define EACH (FIBERS / 6) /* at queues; messages, the semaphore and the event have a sixth each */

WEFT_VOID_TASK(pop_one, unsigned, number)
{
    uint64_t value = 0;
    (void)count(&waiting);
    EXPECT(weft_queue_pop(queues[number % QUEUES], &value, weft_in(LIVENESS_NS)) == 0);
    EXPECT(value == 42);
    (void)count(&ended);
}

WEFT_VOID_TASK(receive_one, int, unused)
{
    uint64_t value = 0;
    (void)unused;
    (void)count(&waiting);
    EXPECT(weft_pipe_receive(messages, &value, sizeof value, weft_in(LIVENESS_NS)) == sizeof value);
    EXPECT(value == 43);
    (void)count(&ended);
}

WEFT_VOID_TASK(acquire_one, int, unused)
{
    (void)unused;
    (void)count(&waiting);
    EXPECT(weft_shm_semaphore_acquire(&shared->semaphore, weft_in(LIVENESS_NS)) == 0);
    (void)count(&ended);
}

WEFT_VOID_TASK(await_event, int, unused)
{
    (void)unused;
    (void)count(&waiting);
    EXPECT(weft_shm_event_wait(&shared->event, weft_in(LIVENESS_NS)) == 0);
    (void)count(&ended);
}

static int await_go(void)
{
    while (weft__load_acquire(&seen_by_all->go) == 0)
        (void)usleep(1000);
    return 0;
}

static int give_all(void *arg)
{
    uint64_t value = 42, message = 43;
    (void)arg;
    CHECK(await_go() == 0);
    for (unsigned i = 0; i < 3 * EACH; i++)
        CHECK(weft_queue_push(queues[i % QUEUES], &value, weft_in(LIVENESS_NS)) == 0);
    for (unsigned i = 0; i < EACH; i++) {
        CHECK(weft_pipe_send(messages, &message, sizeof message, weft_in(LIVENESS_NS)) == 0);
        CHECK(weft_shm_semaphore_release(&shared->semaphore, 1) == 0);
    }
    return weft_shm_event_set(&shared->event);
}

static int wait_in_all(void *arg)
{
    (void)arg;
    weft_scope(scope)
    {
        for (unsigned i = 0; i < 3 * EACH; i++)
            CHECK(weft_go(&scope, pop_one, i) == 0);
        for (unsigned i = 0; i < EACH; i++) {
            CHECK(weft_go(&scope, receive_one, 0) == 0);
            CHECK(weft_go(&scope, acquire_one, 0) == 0);
            CHECK(weft_go(&scope, await_event, 0) == 0);
        }
        CHECK(reaches(&waiting, 6 * EACH));
        (void)weft_sleep(weft_in(200 * WEFT_MSEC)); /* into their long naps */
        CHECK(weft__load_acquire(&ended) == 0);
        CHECK(thread_count() < THREADS_FEW);
        weft__store_release(&seen_by_all->go, 1);
        CHECK(reaches(&ended, 6 * EACH));
    }
    CHECK(thread_count() < THREADS_FEW);
    return 0;
}

static void test_many_fibers_few_threads(void **state)
{
    (void)state;
    pid_t child = start_child(give_all, NULL);
    run(wait_in_all, WORKERS);
    assert_int_equal(end_child(child), 0);
    assert_true(thread_count() < 1 + WORKERS + 2); /* ferries end with the runtime */
}

/* ---- each for something else ----------------------------------------------------------------- */

#define SEVERAL LESS_IF_SANITIZED(200u, 60u)

static weft_queue *several[SEVERAL];

WEFT_VOID_TASK(pop_own, unsigned, number)
{
    uint64_t value = 0;
    (void)count(&waiting);
    EXPECT(weft_queue_pop(several[number], &value, weft_in(LIVENESS_NS)) == 0);
    EXPECT(value == number);
    (void)count(&ended);
}

static int wait_each_for_something_else(void *arg)
{
    (void)arg;
    weft_scope(scope)
    {
        for (unsigned i = 0; i < SEVERAL; i++)
            CHECK(weft_go(&scope, pop_own, i) == 0);
        CHECK(reaches(&waiting, SEVERAL));
        (void)weft_sleep(weft_in(100 * WEFT_MSEC));
        CHECK(thread_count() < THREADS_FEW);
        for (uint64_t i = 0; i < SEVERAL; i++)
            CHECK(weft_queue_push(several[i], &i, WEFT_POLL) == 0);
        CHECK(reaches(&ended, SEVERAL));
    }
    return 0;
}

/* More words than one ferry sleeps on: three for each. */
static void test_many_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SEVERAL; i++)
        assert_non_null(several[i] = new_queue(0));
    run(wait_each_for_something_else, WORKERS);
    for (unsigned i = 0; i < SEVERAL; i++)
        weft_queue_detach(several[i]);
}

/* ---- cut off --------------------------------------------------------------------------------- */

#define CUTS 9
#define PROMPT_NS (20 * WEFT_MSEC)

static int64_t cut_at, came_back_at;
static int came_back_with;

WEFT_VOID_TASK(pop_and_tell, int64_t, deadline_ns)
{
    uint64_t value;
    came_back_with = weft_queue_pop(queues[0], &value, deadline_ns);
    came_back_at = weft_now();
}

/* Nonzero: the wait was cut off, and at once. In a long nap, of which each takes 0.1 s. */
static int is_cut_off(void)
{
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, pop_and_tell, WEFT_FOREVER) == 0);
        (void)weft_sleep(weft_in(250 * WEFT_MSEC));
        cut_at = weft_now();
        weft_cancel_scope(&scope);
    }
    return came_back_with == -ECANCELED && came_back_at - cut_at < PROMPT_NS;
}

static int cut_off(void *arg)
{
    unsigned prompt = 0;
    (void)arg;
    for (unsigned i = 0; i < CUTS; i++)
        prompt += (unsigned)is_cut_off();
    CHECK(came_back_with == -ECANCELED);
    CHECK(prompt > CUTS / 2);
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, pop_and_tell, weft_in(30 * WEFT_MSEC)) == 0);
    }
    CHECK(came_back_with == -ETIMEDOUT);
    weft_deadline(weft_in(30 * WEFT_MSEC))
    {
        weft_scope(scope)
        {
            CHECK(weft_go(&scope, pop_and_tell, WEFT_FOREVER) == 0);
        }
    }
    CHECK(came_back_with == -ETIMEDOUT);
    return 0;
}

static void test_cut_off(void **state)
{
    (void)state;
    run(cut_off, WORKERS);
}

/* ---- the end of others ----------------------------------------------------------------------- */

static weft_queue *one_way;

static int hold_for_ever(void *arg)
{
    uint64_t value = 1;
    (void)arg;
    CHECK(weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER) == 0);
    CHECK(weft_queue_push(one_way, &value, WEFT_POLL) == 0);
    (void)count(&seen_by_all->ready);
    for (;;)
        (void)pause();
}

WEFT_VOID_TASK(inherit, int, unused)
{
    (void)unused;
    (void)count(&waiting);
    EXPECT(weft_shm_mutex_lock(&shared->mutex, weft_in(LIVENESS_NS)) == -EOWNERDEAD);
    EXPECT(weft_shm_mutex_repaired(&shared->mutex) == 0);
    EXPECT(weft_shm_mutex_unlock(&shared->mutex) == 0);
}

WEFT_VOID_TASK(lose_the_producer, int, unused)
{
    uint64_t value = 0;
    (void)unused;
    EXPECT(weft_queue_pop(one_way, &value, WEFT_POLL) == 0 && value == 1);
    (void)count(&waiting);
    EXPECT(weft_queue_pop(one_way, &value, weft_in(LIVENESS_NS)) == -EOWNERDEAD);
}

static pid_t victim;

static int outlive(void *arg)
{
    (void)arg;
    CHECK(reaches(&seen_by_all->ready, 1));
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, inherit, 0) == 0);
        CHECK(weft_go(&scope, lose_the_producer, 0) == 0);
        CHECK(reaches(&waiting, 2));
        (void)weft_sleep(weft_in(150 * WEFT_MSEC));
        CHECK(kill(victim, SIGKILL) == 0);
    }
    return 0;
}

static void test_death(void **state)
{
    (void)state;
    assert_non_null(one_way = new_queue(WEFT_QUEUE_ONE_TO_ONE));
    victim = start_child(hold_for_ever, NULL);
    run(outlive, 1);
    assert_int_equal(end_child(victim), -SIGKILL);
    weft_queue_detach(one_way);
}

/* ---- nobody left ----------------------------------------------------------------------------- */

#define CROWD LESS_IF_SANITIZED(100u, 20u) /* of each kind */

enum { TO_POP, TO_PUSH, FED_HERE, EMPTIED_HERE }; /* queues */

static int be_everywhere(void *arg)
{
    uint64_t value = 1;
    (void)arg;
    for (size_t i = 0; i < QUEUES; i++) {
        CHECK(weft_queue_push(queues[i], &value, WEFT_POLL) == 0);
        CHECK(weft_queue_pop(queues[i], &value, WEFT_POLL) == 0);
    }
    CHECK(weft_pipe_send(messages, &value, sizeof value, WEFT_POLL) == 0);
    CHECK(weft_pipe_receive(messages, &value, sizeof value, WEFT_POLL) == sizeof value);
    (void)count(&seen_by_all->ready);
    for (;;)
        (void)pause();
}

WEFT_VOID_TASK(pop_in_vain, int, unused)
{
    uint64_t value;
    (void)unused;
    (void)count(&waiting);
    EXPECT(weft_queue_pop(queues[TO_POP], &value, weft_in(LIVENESS_NS)) == -EOWNERDEAD);
}

WEFT_VOID_TASK(push_in_vain, uint64_t, value)
{
    (void)count(&waiting);
    EXPECT(weft_queue_push(queues[TO_PUSH], &value, weft_in(LIVENESS_NS)) == -EOWNERDEAD);
}

WEFT_VOID_TASK(take_in_vain, int, unused)
{
    weft_item item;
    (void)unused;
    (void)count(&waiting);
    EXPECT(weft_pipe_take(messages, &item, weft_in(LIVENESS_NS)) == -EOWNERDEAD);
}

/* Whoever of this process has been at the other end may come back, whichever threads run them. */
WEFT_VOID_TASK(pop_in_hope, int, unused)
{
    uint64_t value;
    (void)unused;
    (void)count(&waiting);
    EXPECT(weft_queue_pop(queues[FED_HERE], &value, weft_in(500 * WEFT_MSEC)) == -ETIMEDOUT);
}

WEFT_VOID_TASK(push_in_hope, uint64_t, value)
{
    (void)count(&waiting);
    EXPECT(weft_queue_push(queues[EMPTIED_HERE], &value, weft_in(500 * WEFT_MSEC)) == -ETIMEDOUT);
}

WEFT_VOID_TASK(pass_one, weft_queue *, queue)
{
    uint64_t value = 1;
    EXPECT(weft_queue_push(queue, &value, WEFT_POLL) == 0);
    EXPECT(weft_queue_pop(queue, &value, WEFT_POLL) == 0);
}

static int fill(weft_queue *queue)
{
    uint64_t value = 1;
    while (weft_queue_push(queue, &value, WEFT_POLL) == 0)
        continue;
    return 0;
}

static int be_left_alone(void *arg)
{
    (void)arg;
    CHECK(reaches(&seen_by_all->ready, 1));
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, pass_one, queues[FED_HERE]) == 0);
        CHECK(weft_go(&scope, pass_one, queues[EMPTIED_HERE]) == 0);
    }
    CHECK(fill(queues[TO_PUSH]) == 0 && fill(queues[EMPTIED_HERE]) == 0);
    weft_scope(scope)
    {
        for (uint64_t i = 0; i < CROWD; i++) {
            CHECK(weft_go(&scope, pop_in_vain, 0) == 0);
            CHECK(weft_go(&scope, push_in_vain, i) == 0);
            CHECK(weft_go(&scope, take_in_vain, 0) == 0);
        }
        CHECK(weft_go(&scope, pop_in_hope, 0) == 0);
        CHECK(weft_go(&scope, push_in_hope, 0) == 0);
        CHECK(reaches(&waiting, 3 * CROWD + 2));
        (void)weft_sleep(weft_in(150 * WEFT_MSEC)); /* into their long naps */
        CHECK(kill(victim, SIGKILL) == 0);
    }
    return 0;
}

static void test_left_alone(void **state)
{
    (void)state;
    victim = start_child(be_everywhere, NULL);
    run(be_left_alone, WORKERS);
    assert_int_equal(end_child(victim), -SIGKILL);
}

/* ---- beside threads of others ---------------------------------------------------------------- */

static int wait_words(const weft__sleep words[], unsigned many, int64_t deadline_ns, int is_firm)
{
    (void)deadline_ns; /* whoever is not woken sleeps for ever */
    return weft__block_thread.wait_words(words, many, WEFT_FOREVER, is_firm);
}

typedef struct taker {
    unsigned rounds;
    unsigned pause_us; /* before each */
} taker;

/* Another process, whose only thread sleeps at the queue as well. */
static int take_all(void *arg)
{
    static weft__block table;
    const taker *self = arg;
    table = weft__block_thread;
    table.wait_words = wait_words;
    weft__block_install(&table);
    for (unsigned i = 0; i < self->rounds; i++) {
        uint64_t value;
        (void)usleep(self->pause_us);
        CHECK(weft_queue_pop(queues[0], &value, WEFT_FOREVER) == 0);
        (void)count(&seen_by_all->taken);
    }
    return 0;
}

#define LEAVES LESS_IF_SANITIZED(150u, 40u)
#define PAUSE_US 3000u

/* The kernel wakes whoever has come first: the ferry, for a fiber that has come before the other
 * process's thread and is gone when the message comes. */
static int leave_before_it_comes(void *arg)
{
    (void)arg;
    for (uint64_t i = 0; i < LEAVES; i++) {
        uint64_t value = i;
        CHECK(weft_queue_pop(queues[0], &value, weft_in(WEFT_MSEC / 2)) == -ETIMEDOUT);
        (void)weft_sleep(weft_in(2 * PAUSE_US * WEFT_USEC));
        CHECK(weft_queue_push(queues[0], &value, WEFT_POLL) == 0);
        CHECK(reaches(&seen_by_all->taken, i + 1));
    }
    return 0;
}

static void test_a_wake_for_nobody_is_passed_on(void **state)
{
    taker other = {.rounds = LEAVES, .pause_us = PAUSE_US};
    (void)state;
    pid_t child = start_child(take_all, &other);
    run(leave_before_it_comes, WORKERS);
    assert_int_equal(end_child(child), 0);
}

#define ROUNDS LESS_IF_SANITIZED(1500u, 300u)

/* Comes and goes, and gives back what it gets: the other one counts. */
WEFT_VOID_TASK(come_and_go, int, unused)
{
    (void)unused;
    for (unsigned i = 0; weft__load_acquire(&seen_by_all->taken) < ROUNDS; i++) {
        uint64_t value;
        int64_t patience_ns = (int64_t)(i % 40) * 100 * WEFT_USEC;
        if (weft_queue_pop(queues[0], &value, weft_in(patience_ns)) == 0)
            EXPECT(weft_queue_push(queues[0], &value, weft_in(LIVENESS_NS)) == 0);
    }
}

static int give_one_by_one(void *arg)
{
    (void)arg;
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, come_and_go, 0) == 0);
        for (uint64_t i = 0; i < ROUNDS; i++) {
            (void)weft_sleep(weft_in((int64_t)(i % 7) * 100 * WEFT_USEC));
            CHECK(weft_queue_push(queues[0], &i, WEFT_POLL) == 0);
            CHECK(reaches(&seen_by_all->taken, i + 1));
        }
    }
    return 0;
}

static void test_coming_and_going(void **state)
{
    taker other = {.rounds = ROUNDS};
    (void)state;
    pid_t child = start_child(take_all, &other);
    run(give_one_by_one, WORKERS);
    assert_int_equal(end_child(child), 0);
}

/* ---- memory that goes ------------------------------------------------------------------------ */

#define DETACHES LESS_IF_SANITIZED(300, 60)

WEFT_VOID_TASK(attach_wait_detach, int, unused)
{
    (void)unused;
    for (int i = 0; i < DETACHES; i++) {
        uint64_t value;
        weft_queue *mine = new_queue(0);
        EXPECT(mine != NULL);
        EXPECT(weft_queue_pop(mine, &value, weft_in((1 + i % 3) * WEFT_MSEC)) == -ETIMEDOUT);
        weft_queue_detach(mine);
    }
    (void)count(&ended);
}

/* Keeps the ferry going to sleep again. */
WEFT_VOID_TASK(keep_waiting, int, unused)
{
    (void)unused;
    while (weft__load_acquire(&ended) < 2) {
        uint64_t value;
        EXPECT(weft_queue_pop(queues[1], &value, weft_in(WEFT_MSEC / 2)) == -ETIMEDOUT);
    }
}

static int detach_often(void *arg)
{
    (void)arg;
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, attach_wait_detach, 0) == 0);
        CHECK(weft_go(&scope, attach_wait_detach, 0) == 0);
        CHECK(weft_go(&scope, keep_waiting, 0) == 0);
    }
    return 0;
}

static void test_detach(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= WORKERS; workers++) {
        ended = 0;
        run(detach_often, workers);
    }
}

/* ---- forked ---------------------------------------------------------------------------------- */

WEFT_VOID_TASK(pop_in_child, int, unused)
{
    uint64_t value;
    (void)unused;
    EXPECT(weft_queue_pop(queues[2], &value, weft_in(LIVENESS_NS)) == 0);
}

static int wait_in_a_runtime(void *arg)
{
    uint64_t value = 7;
    (void)arg;
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, pop_in_child, 0) == 0);
        (void)weft_sleep(weft_in(20 * WEFT_MSEC));
        CHECK(weft_queue_push(queues[2], &value, WEFT_POLL) == 0);
    }
    return (int)wrong;
}

static int run_in_child(void *arg)
{
    weft_config config = {.workers = 1};
    return weft_run(wait_in_a_runtime, arg, &config);
}

static int forked_status;

static void *fork_here(void *arg)
{
    forked_status = end_child(start_child(run_in_child, arg));
    return NULL;
}

/* While fibers of the parent wait. */
static int fork_beside(void *arg)
{
    uint64_t value = 42;
    (void)arg;
    weft_scope(scope)
    {
        pthread_t thread;
        CHECK(weft_go(&scope, pop_one, 0) == 0);
        (void)weft_sleep(weft_in(20 * WEFT_MSEC));
        CHECK(pthread_create(&thread, NULL, fork_here, NULL) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(forked_status == 0);
        CHECK(weft_queue_push(queues[0], &value, WEFT_POLL) == 0);
    }
    return 0;
}

static void test_fork(void **state)
{
    (void)state;
#ifdef WEFT__TSAN
    skip(); /* it ends copies that start threads */
#endif
    run(fork_beside, WORKERS);
}

/* ---- where there is no ferry ----------------------------------------------------------------- */

static int forbid_waitv(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex_waitv, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int run_without_waitv(void *arg)
{
    CHECK(forbid_waitv());
    return run_in_child(arg);
}

static void test_old_kernel(void **state)
{
    (void)state;
#ifdef WEFT__TSAN
    skip(); /* as above */
#endif
    child_end end = in_child(run_without_waitv, NULL);
    expect_success(&end);
}

/* Nor memory, nor a thread: whatever fails, the message is received. */
static void test_faults(void **state)
{
    weft_config config = {.workers = 1};
    int64_t calls = 0;
    (void)state;
    for (int64_t n = 0; n <= calls; n++) {
        wrong = 0;
        weft__fault_arm(n);
        int rc = weft_run(wait_in_a_runtime, NULL, &config);
        calls = weft__fault_calls();
        weft__fault_arm(-1);
        uint64_t value;
        if (rc == 0 && wrong == 0)
            continue;
        while (weft_queue_pop(queues[2], &value, WEFT_POLL) == 0)
            continue;
    }
    assert_int_equal(weft_run(wait_in_a_runtime, NULL, &config), 0);
}

/* ---- hangs ----------------------------------------------------------------------------------- */

static weft_event never = WEFT_EVENT_INIT;

/* A ferry that has nobody to sleep for, and, after a long wait, the thread that watches others,
 * which live, do not hide that nothing will ever happen again. */
static int wait_and_hang(void *arg)
{
    uint64_t value;
    const int64_t *patience_ns = arg;
    CHECK(weft_queue_pop(queues[3], &value, weft_in(*patience_ns)) == -ETIMEDOUT);
    CHECK(thread_count() >= 3 + (*patience_ns > WEFT_MSEC));
    return weft_event_wait(&never, WEFT_FOREVER);
}

static int hang_in_child(void *arg)
{
    weft_config config = {.workers = 1, .hang = WEFT_HANG_EXIT};
    return weft_run(wait_and_hang, arg, &config);
}

static void test_hang_is_reported(void **state)
{
    (void)state;
#ifdef WEFT__TSAN
    skip(); /* it has a thread of its own, which might do something */
#endif
    for (int64_t patience_ns = WEFT_MSEC / 2; patience_ns < WEFT_SEC; patience_ns *= 40) {
        child_end end = in_child(hang_in_child, &patience_ns);
        assert_true(WIFEXITED(end.status));
        assert_int_equal(WEXITSTATUS(end.status), WEFT_EXIT_HANG);
    }
}

static weft_event popped;

/* Answers with what the pop says. */
static void *pop_and_set(void *arg)
{
    uint64_t value;
    *(int *)arg = weft_queue_pop(queues[3], &value, WEFT_FOREVER);
    weft_event_set(&popped);
    return NULL;
}

WEFT_VOID_TASK(pop_and_set_here, int *, result)
{
    (void)pop_and_set(result);
}

static int wait_beside_a_fiber(void *arg)
{
    weft_scope(scope)
    {
        CHECK(weft_go(&scope, pop_and_set_here, arg) == 0);
        weft__store_release(&seen_by_all->go, 1);
        CHECK(weft_event_wait(&popped, WEFT_FOREVER) == 0);
    }
    return 0;
}

static int wait_beside_a_thread(void *arg)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, pop_and_set, arg) == 0);
    weft__store_release(&seen_by_all->go, 1);
    CHECK(weft_event_wait(&popped, WEFT_FOREVER) == 0);
    return pthread_join(thread, NULL);
}

/* Another process, which is there, and does something much later than a suspicion waits. */
static int act_late(void *arg)
{
    uint64_t value = 0;
    const int *is_death = arg;
    CHECK(weft_queue_pop(queues[3], &value, WEFT_POLL) == -EAGAIN);
    (void)count(&seen_by_all->ready);
    CHECK(await_go() == 0);
    (void)usleep(700000);
    return *is_death ? kill(getpid(), SIGKILL) : weft_queue_push(queues[3], &value, WEFT_POLL);
}

/* Somebody waits for news from another process, which may be its death. */
static void test_wait_is_no_hang(void **state)
{
    int (*const waits[])(void *) = {wait_beside_a_fiber, wait_beside_a_thread};
    weft_config config = {.workers = WORKERS, .hang = WEFT_HANG_EXIT};
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        int is_death = i > 1, result = 1;
        seen_by_all->go = 0;
        popped = (weft_event)WEFT_EVENT_INIT;
        pid_t child = start_child(act_late, &is_death);
        assert_true(wait_until_at_least(&seen_by_all->ready, i + 1));
        assert_int_equal(weft_run(waits[i % 2], &result, &config), 0);
        assert_int_equal(result, is_death ? -EOWNERDEAD : 0);
        assert_int_equal(end_child(child), is_death ? -SIGKILL : 0);
    }
}

#define WITH_ALL(test) cmocka_unit_test_setup_teardown(test, make_all, free_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ALL(test_many_fibers_few_threads),
        WITH_ALL(test_many_words),
        WITH_ALL(test_cut_off),
        WITH_ALL(test_death),
        WITH_ALL(test_left_alone),
        WITH_ALL(test_a_wake_for_nobody_is_passed_on),
        WITH_ALL(test_coming_and_going),
        WITH_ALL(test_detach),
        WITH_ALL(test_fork),
        WITH_ALL(test_old_kernel),
        WITH_ALL(test_faults),
        WITH_ALL(test_hang_is_reported),
        WITH_ALL(test_wait_is_no_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
