/* SPDX-License-Identifier: BSD-2-Clause */
/* test_watch.c — a death wakes those who sleep, and nothing else has to.
 *
 * Here a long sleep has no end of its own: if the death does not end it, the test hangs. A victim
 * is a forked child that has got hold of something, or stands at the other end, and is killed while
 * a thread of this process sleeps for it. */
#include "shared.h"

#include "block.h"

#include <pthread.h>
#include <sys/syscall.h>

#include <weft/queue.h>
#include <weft/shm.h>
#include <weft/shmsync.h>

typedef struct common {
    weft_shm_mutex mutex;
    weft_shm_cond cond;
    weft_shm_barrier barrier;
    weft_shm_event event;
} common;

static common *shared;
static weft_queue *queue;
static weft_pipe *messages;

static uint64_t *ready; /* shared: victims that have got so far */
static uint64_t sleeps; /* that have begun here, long ones */

static int wait_words(const weft__sleep words[], unsigned count, int64_t deadline_ns, int is_firm)
{
    if (count > 1) {
        (void)weft__fetch_add_acq_rel(&sleeps, 1);
        deadline_ns = WEFT_FOREVER;
    }
    return weft__block_thread.wait_words(words, count, deadline_ns, is_firm);
}

/* ---- victims --------------------------------------------------------------------------------- */

static int wait_for_the_end(int rc)
{
    if (rc != 0)
        return __LINE__;
    (void)weft__fetch_add_acq_rel(ready, 1);
    for (;;)
        (void)pause();
}

static int hold_the_mutex(void *arg)
{
    (void)arg;
    return wait_for_the_end(weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER));
}

static int be_there(void *arg)
{
    (void)arg;
    if (weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER) != 0)
        return __LINE__;
    return wait_for_the_end(weft_shm_mutex_unlock(&shared->mutex));
}

static int reserve(void *arg)
{
    weft_item item;
    (void)arg;
    return wait_for_the_end(weft_queue_reserve(queue, &item, WEFT_FOREVER));
}

static int take(void *arg)
{
    weft_item item;
    (void)arg;
    return wait_for_the_end(weft_queue_take(queue, &item, WEFT_FOREVER));
}

static int pop_one(void *arg)
{
    uint64_t value = 0;
    (void)arg;
    int rc = weft_queue_pop(queue, &value, WEFT_POLL);
    return wait_for_the_end(rc == -EAGAIN ? 0 : rc);
}

static int reserve_message(void *arg)
{
    weft_item item;
    (void)arg;
    return wait_for_the_end(weft_pipe_reserve(messages, &item, 100, WEFT_FOREVER));
}

/* ---- sleepers -------------------------------------------------------------------------------- */

static void *lock_the_mutex(void *arg)
{
    int *rc = arg;
    *rc = weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER);
    if (*rc == -EOWNERDEAD)
        (void)weft_shm_mutex_repaired(&shared->mutex);
    if (*rc == 0 || *rc == -EOWNERDEAD)
        (void)weft_shm_mutex_unlock(&shared->mutex);
    return NULL;
}

static void *wait_at_the_barrier(void *arg)
{
    *(int *)arg = weft_shm_barrier_wait(&shared->barrier, WEFT_FOREVER);
    return NULL;
}

static void *wait_for_the_condition(void *arg)
{
    int rc = weft_shm_mutex_lock(&shared->mutex, WEFT_FOREVER);
    while (rc == 0)
        rc = weft_shm_cond_wait(&shared->cond, &shared->mutex, WEFT_FOREVER);
    if (rc == -EOWNERDEAD) {
        (void)weft_shm_mutex_repaired(&shared->mutex);
        (void)weft_shm_mutex_unlock(&shared->mutex);
    }
    *(int *)arg = rc;
    return NULL;
}

static void *pop(void *arg)
{
    uint64_t value = 0;
    int rc = weft_queue_pop(queue, &value, WEFT_FOREVER);
    *(int *)arg = rc == 0 ? (int)value : rc;
    return NULL;
}

static void *push_more(void *arg)
{
    uint64_t value = 7;
    *(int *)arg = weft_queue_push(queue, &value, WEFT_FOREVER);
    return NULL;
}

static void *receive(void *arg)
{
    uint64_t value = 0;
    int64_t rc = weft_pipe_receive(messages, &value, sizeof value, WEFT_FOREVER);
    *(int *)arg = rc >= 0 ? (int)value : (int)rc;
    return NULL;
}

/* ---- what happens ---------------------------------------------------------------------------- */

static int nothing(void)
{
    return 0;
}

static int push(void)
{
    uint64_t value = 7;
    return weft_queue_push(queue, &value, WEFT_FOREVER);
}

/* Until it is full. */
static int fill(void)
{
    uint64_t value = 7;
    while (weft_queue_push(queue, &value, WEFT_POLL) == 0)
        continue;
    return 0;
}

static int send_message(void)
{
    uint64_t value = 7;
    return weft_pipe_send(messages, &value, sizeof value, WEFT_FOREVER);
}

typedef struct drama {
    int (*before)(void);
    int (*victim)(void *arg);
    int (*after)(void); /* when the victim is ready */
    void *(*sleeper)(void *arg);
    int result; /* the sleeper's */
} drama;

static pid_t start_victim(const drama *scene)
{
    uint64_t seen = weft__load_acquire(ready);
    pid_t victim = start_child(scene->victim, NULL);
    assert_true(wait_until_at_least(ready, seen + 1));
    assert_int_equal(scene->after(), 0);
    return victim;
}

static pthread_t start_sleeper(const drama *scene, int *result)
{
    pthread_t sleeper;
    uint64_t seen = weft__load_acquire(&sleeps);
    assert_int_equal(pthread_create(&sleeper, NULL, scene->sleeper, result), 0);
    assert_true(wait_until_at_least(&sleeps, seen + 1));
    return sleeper;
}

/* The victim has been there before anybody slept, or comes when somebody sleeps already. */
static void play(const drama *scene, int is_late)
{
    int result = 0;
    pid_t victim = 0;
    assert_int_equal(scene->before(), 0);
    if (!is_late)
        victim = start_victim(scene);
    pthread_t sleeper = start_sleeper(scene, &result);
    if (is_late)
        victim = start_victim(scene);
    assert_int_equal(kill_child(victim), -SIGKILL);
    assert_int_equal(pthread_join(sleeper, NULL), 0);
    assert_int_equal(result, scene->result);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void with_memory(const drama *scene, int is_late)
{
    weft_shm *shm = NULL;
    assert_int_equal(weft_shm_create(&shm, NULL, sizeof *shared), 0);
    shared = weft_shm_data(shm);
    assert_int_equal(weft_shm_mutex_init(&shared->mutex), 0);
    assert_int_equal(weft_shm_cond_init(&shared->cond), 0);
    assert_int_equal(weft_shm_barrier_init(&shared->barrier, 2), 0);
    play(scene, is_late);
    weft_shm_detach(shm);
}

static void with_queue(const drama *scene, unsigned flags, int is_late)
{
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 4, .flags = flags};
    assert_int_equal(weft_queue_create(&queue, NULL, &spec), 0);
    play(scene, is_late);
    weft_queue_detach(queue);
}

static void test_mutex(void **state)
{
    drama scene = {nothing, hold_the_mutex, nothing, lock_the_mutex, -EOWNERDEAD};
    (void)state;
    with_memory(&scene, 0);
}

static void test_barrier(void **state)
{
    drama scene = {nothing, be_there, nothing, wait_at_the_barrier, -EOWNERDEAD};
    (void)state;
    with_memory(&scene, 0);
    with_memory(&scene, 1);
}

static void test_condition(void **state)
{
    drama scene = {nothing, hold_the_mutex, nothing, wait_for_the_condition, -EOWNERDEAD};
    (void)state;
    with_memory(&scene, 1);
}

static void test_queue(void **state)
{
    drama behind = {nothing, reserve, push, pop, 7};
    drama again = {push, take, nothing, pop, 7};
    (void)state;
    with_queue(&behind, 0, 0);
    with_queue(&behind, 0, 1);
    with_queue(&again, 0, 0);
}

static void test_one_to_one(void **state)
{
    drama alone = {nothing, reserve, nothing, pop, -EOWNERDEAD};
    (void)state;
    with_queue(&alone, WEFT_QUEUE_ONE_TO_ONE, 0);
    with_queue(&alone, WEFT_QUEUE_ONE_TO_ONE, 1);
}

static void test_pipe(void **state)
{
    drama behind = {nothing, reserve_message, send_message, receive, 7};
    weft_pipe_spec spec = {.capacity_bytes = 4096};
    (void)state;
    for (int is_late = 0; is_late < 2; is_late++) {
        assert_int_equal(weft_pipe_create(&messages, NULL, &spec), 0);
        play(&behind, is_late);
        weft_pipe_detach(messages);
    }
}

/* Several sleep for what the victim holds; each gets it. */
static void test_crowd(void **state)
{
    drama scene = {nothing, hold_the_mutex, nothing, lock_the_mutex, 0};
    weft_shm *shm = NULL;
    pthread_t sleepers[4];
    int results[4], inherited = 0;
    (void)state;
    assert_int_equal(weft_shm_create(&shm, NULL, sizeof *shared), 0);
    shared = weft_shm_data(shm);
    assert_int_equal(weft_shm_mutex_init(&shared->mutex), 0);
    pid_t victim = start_victim(&scene);
    for (int i = 0; i < 4; i++)
        sleepers[i] = start_sleeper(&scene, &results[i]);
    assert_int_equal(kill_child(victim), -SIGKILL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(sleepers[i], NULL), 0);
        assert_true(results[i] == 0 || results[i] == -EOWNERDEAD);
        inherited += results[i] == -EOWNERDEAD;
    }
    assert_int_equal(inherited, 1);
    weft_shm_detach(shm);
}

/* Nobody is left who could push, or pop: all who wait learn it. */
static void leave_alone(const drama *scene)
{
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 4};
    pthread_t sleepers[4];
    int results[4];
    assert_int_equal(weft_queue_create(&queue, NULL, &spec), 0);
    assert_int_equal(scene->before(), 0);
    pid_t victim = start_victim(scene);
    for (int i = 0; i < 4; i++)
        sleepers[i] = start_sleeper(scene, &results[i]);
    assert_int_equal(kill_child(victim), -SIGKILL);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(sleepers[i], NULL), 0);
        assert_int_equal(results[i], scene->result);
    }
    weft_queue_detach(queue);
}

static void test_alone(void **state)
{
    drama consumers = {nothing, pop_one, nothing, pop, -EOWNERDEAD};
    drama producers = {fill, pop_one, fill, push_more, -EOWNERDEAD};
    (void)state;
    leave_alone(&consumers);
    leave_alone(&producers);
}

/* Somebody who keeps items open and leaves is dead to the others, though his process lives. */
static int leave_with_an_item(void *arg)
{
    weft_item item;
    uint64_t *word = arg;
    if (weft_queue_reserve(queue, &item, WEFT_FOREVER) != 0)
        return __LINE__;
    (void)weft__fetch_add_acq_rel(ready, 1);
    if (!wait_until_at_least(word, 1))
        return __LINE__;
    weft_queue_detach(queue);
    return wait_for_the_end(0);
}

static void test_leaver(void **state)
{
    drama scene = {nothing, leave_with_an_item, push, pop, 7};
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 4};
    uint64_t *word = shared_page(sizeof *word);
    int result = 0;
    (void)state;
    assert_int_equal(weft_queue_create(&queue, NULL, &spec), 0);
    uint64_t seen = weft__load_acquire(ready);
    pid_t leaver = start_child(scene.victim, word);
    assert_true(wait_until_at_least(ready, seen + 1));
    assert_int_equal(push(), 0);
    pthread_t sleeper = start_sleeper(&scene, &result);
    weft__store_release(word, 1);
    assert_int_equal(pthread_join(sleeper, NULL), 0);
    assert_int_equal(result, 7);
    assert_true(wait_until_at_least(ready, seen + 2));
    assert_int_equal(kill_child(leaver), -SIGKILL);
    weft_queue_detach(queue);
    (void)munmap(word, sizeof *word);
}

/* A copy of a process that watches watches for itself. */
static int sleep_in_a_copy(void *arg)
{
    drama scene = {nothing, hold_the_mutex, nothing, lock_the_mutex, -EOWNERDEAD};
    int result = 0;
    (void)arg;
    pid_t victim = start_victim(&scene);
    pthread_t sleeper = start_sleeper(&scene, &result);
    if (kill_child(victim) != -SIGKILL)
        return __LINE__;
    (void)pthread_join(sleeper, NULL);
    return result == -EOWNERDEAD ? 0 : __LINE__;
}

static void *wait_for_the_event(void *arg)
{
    *(int *)arg = weft_shm_event_wait(&shared->event, WEFT_FOREVER);
    return NULL;
}

static void test_copy(void **state)
{
    drama scene = {.sleeper = wait_for_the_event};
    weft_shm *shm = NULL;
    int result = -1;
    (void)state;
    if (SANITIZED)
        skip(); /* ThreadSanitizer lets copies start no threads */
    assert_int_equal(weft_shm_create(&shm, NULL, sizeof *shared), 0);
    shared = weft_shm_data(shm);
    assert_int_equal(weft_shm_mutex_init(&shared->mutex), 0);
    assert_int_equal(weft_shm_event_init(&shared->event), 0);
    pthread_t sleeper = start_sleeper(&scene, &result);
    assert_int_equal(end_child(start_child(sleep_in_a_copy, NULL)), 0);
    assert_int_equal(weft_shm_event_set(&shared->event), 0);
    assert_int_equal(pthread_join(sleeper, NULL), 0);
    assert_int_equal(result, 0);
    weft_shm_detach(shm);
}

static int setup(void **state)
{
    static weft__block table;
    (void)state;
    table = weft__block_thread;
    table.wait_words = wait_words;
    weft__block_install(&table);
    ready = shared_page(sizeof *ready);
    return ready != NULL ? 0 : -1;
}

static int cleanup(void **state)
{
    (void)state;
    weft__block_install(NULL);
    return munmap(ready, sizeof *ready);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutex),      cmocka_unit_test(test_barrier),
        cmocka_unit_test(test_condition),  cmocka_unit_test(test_queue),
        cmocka_unit_test(test_one_to_one), cmocka_unit_test(test_pipe),
        cmocka_unit_test(test_crowd),      cmocka_unit_test(test_alone),
        cmocka_unit_test(test_leaver),     cmocka_unit_test(test_copy),
    };
    if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
        return 77; /* only the ends of naps tell of deaths here */
    return cmocka_run_group_tests(tests, setup, cleanup);
}
