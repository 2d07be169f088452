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
#include "../core/trace.h"
#include "shared.h"

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
    int is_long; /* it is not tried so often, except where nothing is left out */
} work;

static weft_queue *queue;
static weft_pipe *pipe_;
static notes *seen;
static weft_item item;

/* ---- what the child does --------------------------------------------------------------------- */

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

/* What stays open when its process leaves is for the others to settle. */
static int do_reserve_and_leave(void)
{
    int rc = weft_queue_reserve(queue, &item, WEFT_POLL);
    weft_queue_detach(queue);
    return rc;
}

static int do_take_and_leave(void)
{
    int rc = weft_queue_take(queue, &item, WEFT_POLL);
    weft_queue_detach(queue);
    return rc;
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
    {"push", 0, 1, 1, do_push, 0},
    {"push_n", 0, 1, 3, do_push_n, 0},
    {"pop", 0, 2, 0, do_pop, 0},
    {"pop_n", 0, 3, 0, do_pop_n, 0},
    {"reserve and commit", 0, 1, 1, do_reserve_and_commit, 0},
    {"take and release", 0, 2, 0, do_take_and_release, 0},
    {"reserve and leave", 0, 1, 0, do_reserve_and_leave, 1},
    {"take and leave", 0, 2, 0, do_take_and_leave, 1},
    {"one-to-one push", 1, 1, 1, do_push, 0},
    {"one-to-one push_n", 1, 1, 3, do_push_n, 0},
    {"one-to-one pop", 1, 2, 0, do_pop, 0},
    {"one-to-one pop_n", 1, 3, 0, do_pop_n, 0},
    {"send", 2, 1, 1, do_send, 0},
    {"receive", 2, 2, 0, do_receive, 0},
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

/* ---- the parent ------------------------------------------------------------------------------ */

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

/* Count what comes out until nothing does; the first time, that makes the queue look who is
 * dead. */
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
    assert_true(is_over >= 0 && kill_traced(child));
    return is_over;
}

static void test_queue_operations(void **state)
{
    (void)state;
    for (size_t o = 0; o < sizeof(operations) / sizeof(operations[0]); o++) {
        work operation = operations[o];
        unsigned long kills = 0, stride = operation.is_long && STRIDE > 1 ? 20 * STRIDE : STRIDE;
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

/* ---- locks ----------------------------------------------------------------------------------- */

typedef struct kit {
    weft_shm_mutex mutex;
    weft_shm_rlock rlock;
    weft_shm_cond cond;
    weft_shm_semaphore semaphore;
    weft_shm_event event;
    weft_shm_barrier barrier;
    uint64_t pair[2]; /* equal, unless somebody died between the two */
} kit;

static kit *tools;

static void add_to_pair(void)
{
    tools->pair[0]++;
    tools->pair[1]++;
}

static int do_mutex(void)
{
    if (weft_shm_mutex_lock(&tools->mutex, WEFT_POLL) != 0)
        return -1;
    add_to_pair();
    return weft_shm_mutex_unlock(&tools->mutex);
}

static int do_rlock(void)
{
    if (weft_shm_rlock_lock(&tools->rlock, WEFT_POLL) != 0 ||
        weft_shm_rlock_lock(&tools->rlock, WEFT_POLL) != 0)
        return -1;
    add_to_pair();
    return weft_shm_rlock_unlock(&tools->rlock) | weft_shm_rlock_unlock(&tools->rlock);
}

/* Nobody notifies, and its time is over at once. */
static int do_condition(void)
{
    if (weft_shm_mutex_lock(&tools->mutex, WEFT_POLL) != 0)
        return -1;
    add_to_pair();
    int rc = weft_shm_cond_notify(&tools->cond, 1) |
             (weft_shm_cond_wait(&tools->cond, &tools->mutex, WEFT_POLL) != -ETIMEDOUT);
    return rc | weft_shm_mutex_unlock(&tools->mutex);
}

static int do_semaphore(void)
{
    if (weft_shm_semaphore_acquire(&tools->semaphore, WEFT_POLL) != 0)
        return -1;
    return weft_shm_semaphore_release(&tools->semaphore, 1);
}

static int do_event(void)
{
    return weft_shm_event_clear(&tools->event) | weft_shm_event_set(&tools->event) |
           weft_shm_event_wait(&tools->event, WEFT_POLL);
}

static int do_barrier(void)
{
    return weft_shm_barrier_wait(&tools->barrier, WEFT_POLL);
}

static void check_lock(weft_shm_mutex *mutex)
{
    int rc = weft_shm_mutex_lock(mutex, weft_in(LIVENESS_NS));
    assert_true(rc == 0 || rc == -EOWNERDEAD);
    assert_true(rc == -EOWNERDEAD || tools->pair[0] == tools->pair[1]);
    tools->pair[1] = tools->pair[0];
    if (rc == -EOWNERDEAD)
        assert_int_equal(weft_shm_mutex_repaired(mutex), 0);
    assert_int_equal(weft_shm_mutex_unlock(mutex), 0);
    assert_int_equal(weft_shm_mutex_lock(mutex, WEFT_POLL), 0);
    assert_int_equal(weft_shm_mutex_unlock(mutex), 0);
}

static void check_mutex(void)
{
    check_lock(&tools->mutex);
}

static void check_rlock(void)
{
    check_lock(&tools->rlock.mutex_);
    assert_int_equal(do_rlock(), 0);
}

static void check_condition(void)
{
    check_lock(&tools->mutex);
    assert_int_equal(do_condition(), 0);
}

/* A unit that the dead had is gone, and no other. */
static void check_semaphore(void)
{
    uint32_t value = weft_shm_semaphore_value(&tools->semaphore);
    assert_true(value == 1 || value == 2);
    if (value == 1)
        assert_int_equal(weft_shm_semaphore_release(&tools->semaphore, 1), 0);
    assert_int_equal(weft_shm_semaphore_release(&tools->semaphore, 1), -EOVERFLOW);
    assert_int_equal(do_semaphore(), 0);
}

static void check_event(void)
{
    assert_int_equal(do_event(), 0);
}

static void check_barrier(void)
{
    assert_int_equal(do_barrier(), 0);
}

static const struct {
    const char *name;
    int (*body)(void);
    void (*check)(void);
    unsigned long stride; /* in STRIDEs: what is long is not tried so often */
} lock_operations[] = {
    {"lock and unlock", do_mutex, check_mutex, 1},
    {"lock twice", do_rlock, check_rlock, 1},
    {"wait for a condition", do_condition, check_condition, 20},
    {"acquire and release", do_semaphore, check_semaphore, 1},
    {"set an event", do_event, check_event, 1},
    {"come to a barrier", do_barrier, check_barrier, 1},
};

static void init_tools(void)
{
    assert_int_equal(weft_shm_mutex_init(&tools->mutex), 0);
    assert_int_equal(weft_shm_rlock_init(&tools->rlock), 0);
    assert_int_equal(weft_shm_cond_init(&tools->cond), 0);
    assert_int_equal(weft_shm_semaphore_init(&tools->semaphore, 2, 2), 0);
    assert_int_equal(weft_shm_event_init(&tools->event), 0);
    assert_int_equal(weft_shm_barrier_init(&tools->barrier, 1), 0);
}

/* Kill a child after so many instructions of its second call; the first one joins the segment. */
static int kill_holder_after(int (*body)(void), unsigned long instructions)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        (void)!body();
        be_the_child(body);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    int is_over = step(child, instructions);
    assert_true(is_over >= 0 && kill_traced(child));
    return is_over;
}

static void test_locks(void **state)
{
    weft_shm *shm = NULL;
    (void)state;
    assert_int_equal(weft_shm_create(&shm, NULL, sizeof *tools), 0);
    tools = weft_shm_data(shm);
    init_tools();
    for (size_t o = 0; o < sizeof(lock_operations) / sizeof(lock_operations[0]); o++) {
        unsigned long kills = 0, stride = lock_operations[o].stride * STRIDE;
        for (int is_over = 0; !is_over; kills++) {
            is_over = kill_holder_after(lock_operations[o].body, kills * stride);
            lock_operations[o].check();
        }
        print_message("%s: %lu kills, every %lu instructions\n", lock_operations[o].name, kills,
                      stride);
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
        cmocka_unit_test(test_locks),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
