/* SPDX-License-Identifier: BSD-2-Clause */
/* test_step.c — kill -9 after single instructions of each operation.
 *
 * A child stops itself before an operation; its parent lets it execute k instructions, by ptrace,
 * and kills it, for growing k until the operation comes to its end; test_step_soak.c leaves none
 * out. After each death the parent takes out what there is, and asks: is everything there that was
 * pushed, once; is every slot usable again; can the lock be had? What the child pops it pops into
 * shared memory, so a message that is not in the queue any more must have arrived there.
 *
 * Not under ThreadSanitizer: each of its steps is hundreds of the machine's.
 * ctest: TIMEOUT 120 LABELS slow no-tsan */
#include "shared.h"

#include <sys/ptrace.h>

#include <weft/queue.h>
#include <weft/shm.h>
#include <weft/shmsync.h>

#define CAPACITY 4
#define IN_FLIGHT 100 /* what the child pushes: this, and the next ones */
#ifndef STRIDE
#define STRIDE LESS_IF_SANITIZED(7, 61)
#endif

/* What parent and child share beside the queue. */
typedef struct notes {
    uint64_t popped[CAPACITY]; /* by the child */
    uint64_t is_complete;      /* the operation has returned */
} notes;

typedef struct work {
    const char *name;
    int kind;         /* 0 queue, 1 one-to-one, 2 pipe */
    unsigned present; /* messages that are there before: 1, 2 … */
    unsigned pushes;  /* that the child makes */
    int (*body)(void);
} work;

static weft_queue *queue;
static weft_pipe *pipe_;
static notes *seen;
static weft_item item;

/* ---- what the child does -----------------------------------------------------------------------
 * */

static int do_push(void)
{
    uint64_t value = IN_FLIGHT;
    return weft_queue_push(queue, &value, WEFT_POLL);
}

static int do_push_n(void)
{
    uint64_t values[3] = {IN_FLIGHT, IN_FLIGHT + 1, IN_FLIGHT + 2};
    return weft_queue_push_n(queue, values, 3, WEFT_POLL) == 3 ? 0 : -1;
}

static int do_pop(void)
{
    return weft_queue_pop(queue, seen->popped, WEFT_POLL);
}

static int do_pop_n(void)
{
    return weft_queue_pop_n(queue, seen->popped, 3, WEFT_POLL) == 3 ? 0 : -1;
}

static int do_reserve_and_commit(void)
{
    if (weft_queue_reserve(queue, &item, WEFT_POLL) != 0)
        return -1;
    *(uint64_t *)item.data = IN_FLIGHT;
    return weft_queue_commit(queue, &item);
}

static int do_take_and_release(void)
{
    if (weft_queue_take(queue, &item, WEFT_POLL) != 0)
        return -1;
    seen->popped[0] = *(uint64_t *)item.data;
    return weft_queue_release(queue, &item);
}

static int do_send(void)
{
    uint64_t message[20] = {IN_FLIGHT};
    return weft_pipe_send(pipe_, message, sizeof message, WEFT_POLL);
}

static int do_receive(void)
{
    uint64_t message[20];
    if (weft_pipe_take(pipe_, &item, WEFT_POLL) != 0)
        return -1;
    memcpy(message, item.data, item.bytes);
    seen->popped[0] = message[0];
    return weft_pipe_release(pipe_, &item);
}

static const work operations[] = {
    {"push", 0, 1, 1, do_push},
    {"push_n", 0, 1, 3, do_push_n},
    {"pop", 0, 2, 0, do_pop},
    {"pop_n", 0, 3, 0, do_pop_n},
    {"reserve and commit", 0, 1, 1, do_reserve_and_commit},
    {"take and release", 0, 2, 0, do_take_and_release},
    {"one-to-one push", 1, 1, 1, do_push},
    {"one-to-one push_n", 1, 1, 3, do_push_n},
    {"one-to-one pop", 1, 2, 0, do_pop},
    {"one-to-one pop_n", 1, 3, 0, do_pop_n},
    {"send", 2, 1, 1, do_send},
    {"receive", 2, 2, 0, do_receive},
};

/* The first use of a queue in a process joins it, which takes thousands of instructions. */
static void warm_up(const work *operation)
{
    uint64_t value = 0;
    if (operation->kind == 2) {
        (void)!weft_pipe_send(pipe_, &value, 8, WEFT_POLL);
        (void)!weft_pipe_receive(pipe_, &value, 8, WEFT_POLL);
        if (weft_pipe_take(pipe_, &item, WEFT_POLL) == 0)
            (void)weft_pipe_release(pipe_, &item);
    } else if (operation->kind == 0) {
        (void)!weft_queue_push(queue, &value, WEFT_POLL);
        (void)!weft_queue_pop(queue, &value, WEFT_POLL);
        if (weft_queue_take(queue, &item, WEFT_POLL) == 0)
            (void)weft_queue_release(queue, &item);
    } else if (operation->pushes > 0) {
        (void)!weft_queue_push(queue, &value, WEFT_POLL);
    } else {
        (void)!weft_queue_pop(queue, &value, WEFT_POLL);
    }
}

/* ---- the parent --------------------------------------------------------------------------------
 * */

static int push_one(const work *operation, uint64_t value)
{
    uint64_t message[20] = {value};
    if (operation->kind == 2)
        return weft_pipe_send(pipe_, message, sizeof message, weft_in(LIVENESS_NS));
    return weft_queue_push(queue, &value, weft_in(LIVENESS_NS));
}

static int pop_one(const work *operation, uint64_t *value, unsigned *flags)
{
    weft_item taken;
    if (operation->kind != 2)
        return weft_queue_pop_flags(queue, value, flags, WEFT_POLL);
    int rc = weft_pipe_take(pipe_, &taken, WEFT_POLL);
    if (rc != 0)
        return rc;
    *flags = taken.flags;
    *value = *(uint64_t *)taken.data;
    return weft_pipe_release(pipe_, &taken);
}

/* Count what comes out until nothing does; the first time, that makes the queue look who is dead.
 * */
static void drain(const work *operation, unsigned counts[200])
{
    for (int quiet = 0; quiet < 2;) {
        uint64_t value = 0;
        unsigned flags = 0;
        int rc = pop_one(operation, &value, &flags);
        if (rc == 0) {
            assert_true(value < 200);
            counts[value]++;
            continue;
        }
        assert_int_equal(rc, -EAGAIN);
        quiet++;
    }
}

static void check_death(const work *operation)
{
    unsigned counts[200] = {0}, refill[200] = {0};
    drain(operation, counts);
    for (unsigned i = 1; i <= operation->present; i++) {
        int is_popped = 0;
        for (unsigned p = 0; p < CAPACITY; p++)
            is_popped |= seen->popped[p] == i;
        assert_true(counts[i] == 1 || (counts[i] == 0 && is_popped));
    }
    for (unsigned i = 0; i < operation->pushes; i++)
        assert_true(counts[IN_FLIGHT + i] == 1 ||
                    (counts[IN_FLIGHT + i] == 0 && !seen->is_complete));
    for (unsigned round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < CAPACITY; i++)
            assert_int_equal(push_one(operation, 150 + i), 0);
        drain(operation, refill);
    }
    for (unsigned i = 0; i < CAPACITY; i++)
        assert_int_equal(refill[150 + i], 2);
}

/* Let a stopped child execute so many instructions; nonzero: it has come to the end. */
static int step(pid_t child, unsigned long instructions)
{
    int status = 0;
    for (unsigned long i = 0; i < instructions; i++) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSTOPPED(status));
        if (WSTOPSIG(status) != SIGTRAP)
            return 1;
    }
    return 0;
}

static void be_the_child(int (*body)(void))
{
    (void)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    (void)raise(SIGSTOP);
    if (body() == 0)
        seen->is_complete = 1;
    (void)raise(SIGUSR1);
    _exit(0);
}

static void make_queue(const work *operation)
{
    weft_queue_spec spec = {.elem_bytes = 8,
                            .capacity = CAPACITY,
                            .flags = operation->kind == 1 ? WEFT_QUEUE_ONE_TO_ONE : 0,
                            .participants = 16};
    weft_pipe_spec pipe_spec = {
        .capacity_bytes = (size_t)64 * 16, .message_bytes = 300, .participants = 16};
    if (operation->kind == 2)
        assert_int_equal(weft_pipe_create(&pipe_, NULL, &pipe_spec), 0);
    else
        assert_int_equal(weft_queue_create(&queue, NULL, &spec), 0);
    memset(seen, 0, sizeof *seen);
}

static void drop_queue(const work *operation)
{
    if (operation->kind == 2)
        weft_pipe_detach(pipe_);
    else
        weft_queue_detach(queue);
}

/* Fork a child that joins the queue, and kill it after so many instructions of its operation. In a
 * one-to-one queue the parent plays the other part meanwhile. */
static int kill_after(const work *operation, unsigned long instructions)
{
    make_queue(operation);
    pid_t child = fork();
    if (child == 0) {
        warm_up(operation);
        be_the_child(operation->body);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSTOPPED(status));
    uint64_t value;
    unsigned flags;
    while (operation->kind == 1 && operation->pushes > 0 && pop_one(operation, &value, &flags) == 0)
        continue;
    if (operation->kind != 1 || operation->pushes == 0)
        for (uint64_t i = 1; i <= operation->present; i++)
            assert_int_equal(push_one(operation, i), 0);
    int is_over = step(child, instructions);
    (void)kill(child, SIGKILL);
    while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status))
        continue;
    return is_over;
}

static void test_queue_operations(void **state)
{
    (void)state;
    for (size_t o = 0; o < sizeof(operations) / sizeof(operations[0]); o++) {
        work operation = operations[o];
        unsigned long kills = 0, stride = STRIDE;
        if (operation.kind == 1 && operation.pushes > 0)
            operation.present = 0; /* the child is the producer, so nobody else could push them */
        for (unsigned long k = 0;; k += stride) {
            int is_over = kill_after(&operation, k);
            check_death(&operation);
            drop_queue(&operation);
            kills++;
            if (is_over)
                break;
        }
        print_message("%s: %lu kills, every %lu instructions\n", operation.name, kills, stride);
    }
}

/* ---- locks -------------------------------------------------------------------------------------
 * */

static weft_shm_mutex *mutex;
static uint64_t *pair;

static int do_lock_and_unlock(void)
{
    if (weft_shm_mutex_lock(mutex, WEFT_POLL) != 0)
        return -1;
    pair[0]++;
    pair[1]++;
    return weft_shm_mutex_unlock(mutex);
}

static void check_lock(void)
{
    int rc = weft_shm_mutex_lock(mutex, weft_in(LIVENESS_NS));
    assert_true(rc == 0 || rc == -EOWNERDEAD);
    assert_true(rc == -EOWNERDEAD || pair[0] == pair[1]);
    pair[1] = pair[0];
    if (rc == -EOWNERDEAD)
        assert_int_equal(weft_shm_mutex_repaired(mutex), 0);
    assert_int_equal(weft_shm_mutex_unlock(mutex), 0);
    assert_int_equal(weft_shm_mutex_lock(mutex, WEFT_POLL), 0);
    assert_int_equal(weft_shm_mutex_unlock(mutex), 0);
}

static void test_mutex(void **state)
{
    weft_shm *shm = NULL;
    int is_over = 0;
    (void)state;
    assert_int_equal(weft_shm_create(&shm, NULL, 4096), 0);
    mutex = weft_shm_data(shm);
    pair = (uint64_t *)(void *)(mutex + 1);
    assert_int_equal(weft_shm_mutex_init(mutex), 0);
    for (unsigned long k = 0; !is_over; k += STRIDE) {
        pid_t child = fork();
        if (child == 0) {
            (void)!do_lock_and_unlock();
            be_the_child(do_lock_and_unlock);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        is_over = step(child, k);
        (void)kill(child, SIGKILL);
        while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status))
            continue;
        check_lock();
    }
    weft_shm_detach(shm);
}

static int setup(void **state)
{
    (void)state;
    seen = shared_page(sizeof *seen);
    return seen != NULL ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queue_operations),
        cmocka_unit_test(test_mutex),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
