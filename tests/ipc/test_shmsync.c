/* SPDX-License-Identifier: BSD-2-Clause */
/* test_shmsync.c — locks and their relatives between processes, some of which are killed. */
#include "shared.h"

#include <limits.h>
#include <pthread.h>

#include <weft/shm.h>
#include <weft/shmsync.h>

#define CHILDREN 4

/* What the processes share. */
typedef struct table {
    weft_shm_mutex mutex;
    weft_shm_rlock rlock;
    weft_shm_semaphore semaphore;
    weft_shm_event event;
    weft_shm_cond cond;
    weft_shm_barrier barrier;
    weft_shm_value value;
    uint64_t first, second; /* equal, but for moments under the lock */
    uint64_t inside, inside_max;
    uint64_t progress;
} table;

static weft_shm *shm;
static table *shared;

static int make_table(void **state)
{
    (void)state;
    assert_int_equal(weft_shm_create(&shm, NULL, sizeof(table)), 0);
    shared = weft_shm_data(shm);
    assert_int_equal(weft_shm_mutex_init(&shared->mutex), 0);
    assert_int_equal(weft_shm_rlock_init(&shared->rlock), 0);
    assert_int_equal(weft_shm_semaphore_init(&shared->semaphore, 2, 3), 0);
    assert_int_equal(weft_shm_event_init(&shared->event), 0);
    assert_int_equal(weft_shm_cond_init(&shared->cond), 0);
    assert_int_equal(weft_shm_barrier_init(&shared->barrier, CHILDREN), 0);
    return 0;
}

static int drop_table(void **state)
{
    (void)state;
    weft_shm_detach(shm);
    return 0;
}

/* Run body(arg) in all children; all must answer 0. */
static void in_children(int (*body)(void *arg), void *arg)
{
    pid_t children[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        children[i] = start_child(body, arg);
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(end_child(children[i]), 0);
}

/* ---- mutex ----------------------------------------------------------------------------------- */

static int add_under_lock(void *arg)
{
    (void)arg;
    for (int i = 0; i < 2000; i++) {
        if (weft_shm_mutex_lock(&shared->mutex, weft_in(LIVENESS_NS)) != 0)
            return __LINE__;
        shared->first++;
        if (i % 100 == 0)
            (void)usleep(50);
        shared->second++;
        if (shared->first != shared->second)
            return __LINE__;
        if (weft_shm_mutex_unlock(&shared->mutex) != 0)
            return __LINE__;
    }
    return 0;
}

static void test_mutex(void **state)
{
    (void)state;
    in_children(add_under_lock, NULL);
    assert_true(shared->first == CHILDREN * 2000);
    assert_int_equal(weft_shm_mutex_unlock(&shared->mutex), -EPERM);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_POLL), 0);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_POLL), -EAGAIN);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, weft_in(5 * WEFT_MSEC)), -ETIMEDOUT);
    assert_int_equal(weft_shm_mutex_unlock(&shared->mutex), 0);
}

static int lock_and_die(void *arg)
{
    (void)arg;
    if (weft_shm_mutex_lock(&shared->mutex, WEFT_POLL) != 0)
        return __LINE__;
    shared->first++;
    (void)kill(getpid(), SIGKILL);
    return 0;
}

static int make_equal(void *arg)
{
    (*(int *)arg)++;
    shared->second = shared->first;
    return 0;
}

static int cannot(void *arg)
{
    (void)arg;
    return -1;
}

static void test_mutex_holder_dies(void **state)
{
    int repairs = 0;
    (void)state;
    assert_int_equal(end_child(start_child(lock_and_die, NULL)), -SIGKILL);
    assert_int_equal(
        weft_shm_mutex_lock_repair(&shared->mutex, make_equal, &repairs, weft_in(LIVENESS_NS)), 0);
    assert_int_equal(repairs, 1);
    assert_true(shared->first == shared->second);
    assert_int_equal(weft_shm_mutex_unlock(&shared->mutex), 0);

    assert_int_equal(end_child(start_child(lock_and_die, NULL)), -SIGKILL);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_POLL), -EOWNERDEAD);
    assert_int_equal(weft_shm_mutex_repaired(&shared->mutex), 0);
    assert_int_equal(weft_shm_mutex_unlock(&shared->mutex), 0);
    assert_int_equal(weft_shm_mutex_repaired(&shared->mutex), -EPERM);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_POLL), 0);
    assert_int_equal(weft_shm_mutex_unlock(&shared->mutex), 0);
}

static void test_mutex_is_lost(void **state)
{
    (void)state;
    assert_int_equal(end_child(start_child(lock_and_die, NULL)), -SIGKILL);
    assert_int_equal(weft_shm_mutex_lock_repair(&shared->mutex, cannot, NULL, WEFT_FOREVER),
                     -ENOTRECOVERABLE);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER), -ENOTRECOVERABLE);
    assert_int_equal(weft_shm_mutex_init(&shared->mutex), 0);
    assert_int_equal(end_child(start_child(lock_and_die, NULL)), -SIGKILL);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER), -EOWNERDEAD);
    assert_int_equal(weft_shm_mutex_unlock(&shared->mutex), 0); /* without a word */
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER), -ENOTRECOVERABLE);
}

static int inherit_and_repair(void *arg)
{
    (void)arg;
    int rc = weft_shm_mutex_lock(&shared->mutex, weft_in(LIVENESS_NS));
    if (rc != -EOWNERDEAD)
        return __LINE__;
    (void)weft_shm_mutex_repaired(&shared->mutex);
    return weft_shm_mutex_unlock(&shared->mutex) == 0 ? 0 : __LINE__;
}

static int hold_until_killed(void *arg)
{
    (void)arg;
    if (weft_shm_mutex_lock(&shared->mutex, WEFT_POLL) != 0)
        return __LINE__;
    weft__store_release(&shared->progress, 1);
    for (;;)
        (void)pause();
}

/* Whoever sleeps at a lock when its holder is killed gets it; while he is only stopped, nobody. */
static void test_mutex_sleeper_inherits(void **state)
{
    (void)state;
    pid_t holder = start_child(hold_until_killed, NULL);
    assert_true(wait_until_at_least(&shared->progress, 1));
    assert_int_equal(kill(holder, SIGSTOP), 0);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, weft_in(50 * WEFT_MSEC)), -ETIMEDOUT);
    pid_t sleeper = start_child(inherit_and_repair, NULL);
    (void)usleep(20000);
    assert_int_equal(kill_child(holder), -SIGKILL);
    assert_int_equal(end_child(sleeper), 0);
}

/* ---- recursive lock -------------------------------------------------------------------------- */

static void *lock_from_other_thread(void *arg)
{
    (void)arg;
    int rc = weft_shm_rlock_lock(&shared->rlock, WEFT_POLL);
    return (void *)(intptr_t)(rc == -EAGAIN ? weft_shm_rlock_unlock(&shared->rlock) : 1);
}

static void test_rlock(void **state)
{
    pthread_t other;
    void *rc = NULL;
    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(weft_shm_rlock_lock(&shared->rlock, WEFT_POLL), 0);
    assert_int_equal(pthread_create(&other, NULL, lock_from_other_thread, NULL), 0);
    assert_int_equal(pthread_join(other, &rc), 0);
    assert_int_equal((intptr_t)rc, -EPERM);
    for (int i = 0; i < 3; i++)
        assert_int_equal(weft_shm_rlock_unlock(&shared->rlock), 0);
    assert_int_equal(weft_shm_rlock_unlock(&shared->rlock), -EPERM);
}

/* ---- semaphore and event --------------------------------------------------------------------- */

static int pass_through(void *arg)
{
    (void)arg;
    for (int i = 0; i < 300; i++) {
        if (weft_shm_semaphore_acquire(&shared->semaphore, weft_in(LIVENESS_NS)) != 0)
            return __LINE__;
        uint64_t now = weft__fetch_add_acq_rel(&shared->inside, 1) + 1;
        if (now > 2)
            return __LINE__;
        if (i % 50 == 0)
            (void)usleep(100);
        (void)weft__fetch_add_acq_rel(&shared->inside, UINT64_MAX);
        if (weft_shm_semaphore_release(&shared->semaphore, 1) != 0)
            return __LINE__;
    }
    return 0;
}

static void test_semaphore(void **state)
{
    (void)state;
    in_children(pass_through, NULL);
    assert_int_equal(weft_shm_semaphore_value(&shared->semaphore), 2);
    assert_int_equal(weft_shm_semaphore_release(&shared->semaphore, 1), 0);
    assert_int_equal(weft_shm_semaphore_release(&shared->semaphore, 1), -EOVERFLOW);
    for (int i = 0; i < 3; i++)
        assert_int_equal(weft_shm_semaphore_acquire(&shared->semaphore, WEFT_POLL), 0);
    assert_int_equal(weft_shm_semaphore_acquire(&shared->semaphore, WEFT_POLL), -EAGAIN);
    assert_int_equal(weft_shm_semaphore_acquire(&shared->semaphore, weft_in(WEFT_MSEC)),
                     -ETIMEDOUT);
    assert_int_equal(weft_shm_semaphore_init(&shared->semaphore, 4, 3), -EINVAL);
}

static int wait_for_event(void *arg)
{
    (void)arg;
    (void)weft_shm_value_add(&shared->value, 1);
    if (weft_shm_event_wait(&shared->event, weft_in(LIVENESS_NS)) != 0)
        return __LINE__;
    return shared->first == 42 ? 0 : __LINE__;
}

static void test_event(void **state)
{
    pid_t children[CHILDREN];
    (void)state;
    assert_int_equal(weft_shm_event_wait(&shared->event, WEFT_POLL), -EAGAIN);
    for (int i = 0; i < CHILDREN; i++)
        children[i] = start_child(wait_for_event, NULL);
    while (weft_shm_value_load(&shared->value) < CHILDREN)
        (void)usleep(100);
    (void)usleep(3000);
    shared->first = 42;
    assert_int_equal(weft_shm_event_set(&shared->event), 0);
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(end_child(children[i]), 0);
    assert_int_equal(weft_shm_event_wait(&shared->event, WEFT_POLL), 0);
    assert_int_equal(weft_shm_event_clear(&shared->event), 0);
    assert_int_equal(weft_shm_event_wait(&shared->event, weft_in(WEFT_MSEC)), -ETIMEDOUT);
}

/* ---- condition ------------------------------------------------------------------------------- */

/* A turn passes from child to child. */
static int take_turns(void *arg)
{
    uint64_t me = weft_shm_value_add(&shared->value, 1);
    (void)arg;
    for (uint64_t round = 0; round < 50; round++) {
        if (weft_shm_mutex_lock(&shared->mutex, weft_in(LIVENESS_NS)) != 0)
            return __LINE__;
        while (shared->first != round * CHILDREN + me)
            if (weft_shm_cond_wait(&shared->cond, &shared->mutex, weft_in(LIVENESS_NS)) != 0)
                return __LINE__;
        shared->first++;
        (void)weft_shm_cond_notify(&shared->cond, INT_MAX);
        if (weft_shm_mutex_unlock(&shared->mutex) != 0)
            return __LINE__;
    }
    return 0;
}

static void test_cond(void **state)
{
    (void)state;
    in_children(take_turns, NULL);
    assert_true(shared->first == CHILDREN * 50);
    assert_int_equal(weft_shm_cond_wait(&shared->cond, &shared->mutex, WEFT_FOREVER), -EPERM);
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_POLL), 0);
    assert_int_equal(weft_shm_cond_wait(&shared->cond, &shared->mutex, weft_in(WEFT_MSEC)),
                     -ETIMEDOUT);
    assert_int_equal(weft_shm_mutex_unlock(&shared->mutex), 0);
}

/* ---- barrier --------------------------------------------------------------------------------- */

static int meet(void *arg)
{
    (void)arg;
    for (uint64_t round = 1; round <= 100; round++) {
        (void)weft_shm_value_add(&shared->value, 1);
        int number = weft_shm_barrier_wait(&shared->barrier, weft_in(LIVENESS_NS));
        if (number < 0 || number >= CHILDREN)
            return __LINE__;
        if (weft_shm_value_load(&shared->value) < round * CHILDREN)
            return __LINE__;
        if (number == 0)
            (void)weft__fetch_add_acq_rel(&shared->progress, 1);
    }
    return 0;
}

static void test_barrier(void **state)
{
    (void)state;
    in_children(meet, NULL);
    assert_true(shared->progress == 100);
    assert_int_equal(weft_shm_barrier_wait(&shared->barrier, weft_in(WEFT_MSEC)), -ETIMEDOUT);
    assert_int_equal(weft_shm_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
    assert_int_equal(weft_shm_barrier_reset(&shared->barrier), 0);
    in_children(meet, (shared->value.value_ = 0, NULL));
    assert_int_equal(weft_shm_barrier_abort(&shared->barrier), 0);
    assert_int_equal(weft_shm_barrier_wait(&shared->barrier, WEFT_FOREVER), -EPIPE);
}

static int wait_at_barrier(void *arg)
{
    (void)arg;
    int rc = weft_shm_barrier_wait(&shared->barrier, weft_in(LIVENESS_NS));
    return rc == -EOWNERDEAD || rc == -EPIPE ? 0 : __LINE__;
}

static int be_killed_on_the_way(void *arg)
{
    (void)arg;
    if (weft_shm_mutex_lock(&shared->mutex, WEFT_POLL) != 0) /* it is attached now */
        return __LINE__;
    weft__store_release(&shared->progress, 1);
    for (;;)
        (void)pause();
}

static void test_barrier_breaks(void **state)
{
    (void)state;
    pid_t late = start_child(be_killed_on_the_way, NULL);
    assert_true(wait_until_at_least(&shared->progress, 1));
    pid_t waiting[2] = {start_child(wait_at_barrier, NULL), start_child(wait_at_barrier, NULL)};
    (void)usleep(10000);
    assert_int_equal(kill_child(late), -SIGKILL);
    assert_int_equal(end_child(waiting[0]), 0);
    assert_int_equal(end_child(waiting[1]), 0);
}

static int arrive_first(void *arg)
{
    (void)arg;
    return weft_shm_barrier_wait(&shared->barrier, weft_in(LIVENESS_NS)) == 0 ? 0 : __LINE__;
}

/* Whoever looks late learns how its own round ended, not what became of the barrier since. */
static void test_barrier_remembers(void **state)
{
    int status;
    (void)state;
    assert_int_equal(weft_shm_barrier_init(&shared->barrier, 2), 0);
    pid_t late = start_child(arrive_first, NULL);
    while (weft__load_acquire(&shared->barrier.state_) == 0)
        (void)usleep(200);
    assert_int_equal(kill(late, SIGSTOP), 0);
    assert_int_equal(waitpid(late, &status, WUNTRACED), late);
    assert_int_equal(weft_shm_barrier_wait(&shared->barrier, WEFT_FOREVER), 1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(weft_shm_barrier_reset(&shared->barrier), 0);
    assert_int_equal(weft_shm_barrier_abort(&shared->barrier), 0);
    assert_int_equal(kill(late, SIGCONT), 0);
    assert_int_equal(end_child(late), 0);
}

/* ---- where they lie -------------------------------------------------------------------------- */

static void test_places(void **state)
{
    static weft_shm_mutex private_mutex;
    (void)state;
    assert_int_equal(weft_shm_mutex_init(&private_mutex), -EINVAL);
    assert_int_equal(weft_shm_mutex_lock(&private_mutex, WEFT_POLL), -EINVAL);
    assert_int_equal(weft_shm_mutex_unlock(&private_mutex), -EINVAL);
    private_mutex = shared->mutex; /* a copy is none */
    assert_int_equal(weft_shm_mutex_lock(&private_mutex, WEFT_POLL), -EINVAL);
    shared->mutex.offset_ = 8;
    assert_int_equal(weft_shm_mutex_lock(&shared->mutex, WEFT_POLL), -EINVAL);
}

static void test_memory_by_name(void **state)
{
    char name[64];
    weft_shm *one = NULL, *two = NULL, *three = NULL;
    (void)state;
    own_name(name, "memory");
    assert_int_equal(weft_shm_open(&one, name), -ENOENT);
    assert_int_equal(weft_shm_alloc(&one, name, 100000), 0);
    assert_int_equal(weft_shm_alloc(&two, name, 100000), 0);
    assert_int_equal(weft_shm_alloc(&three, name, 100001), -EMSGSIZE);
    assert_int_equal(weft_shm_create(&three, name, 100000), -EEXIST);
    assert_ptr_not_equal(weft_shm_data(one), weft_shm_data(two));
    assert_int_equal(weft_shm_bytes(two), 100000);
    memset(weft_shm_data(one), 7, 100000);
    assert_int_equal(((unsigned char *)weft_shm_data(two))[99999], 7);
    assert_int_equal(weft_shm_attach(&three, weft_shm_fd(one)), -EPROTO); /* it has a name */
    assert_int_equal(weft_shm_unlink(name), 0);
    assert_int_equal(weft_shm_open(&three, name), -ENOENT);
    weft_shm_detach(one);
    weft_shm_detach(two);
    weft_shm_detach(NULL);
    assert_int_equal(weft_shm_attach(&three, weft_shm_fd(shm)), 0);
    weft_shm_detach(three);
}

#define WITH_TABLE(test) cmocka_unit_test_setup_teardown(test, make_table, drop_table)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_TABLE(test_mutex),
        WITH_TABLE(test_mutex_holder_dies),
        WITH_TABLE(test_mutex_is_lost),
        WITH_TABLE(test_mutex_sleeper_inherits),
        WITH_TABLE(test_rlock),
        WITH_TABLE(test_semaphore),
        WITH_TABLE(test_event),
        WITH_TABLE(test_cond),
        WITH_TABLE(test_barrier),
        WITH_TABLE(test_barrier_breaks),
        WITH_TABLE(test_barrier_remembers),
        WITH_TABLE(test_places),
        WITH_TABLE(test_memory_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
