/* SPDX-License-Identifier: BSD-2-Clause */
/* test_kill.c — processes that push and take, or lock and wait, without end, killed at random,
 * again and again.
 *
 * Each message has a number of its own. A producer notes the number as sent after the push; a
 * consumer notes it as got before it releases the message, and whether it was marked. At the end
 * nobody is killed any more and the rest is taken out. Then each number that was sent has been got,
 * and none twice but for those that were marked. Of locks nobody keeps any: what each guards is two
 * equal numbers, which only an heir may find different.
 *
 * ctest: TIMEOUT 120 LABELS slow */
#include "shared.h"

#include <weft/queue.h>
#include <weft/shm.h>
#include <weft/shmsync.h>

#ifndef KILLS
#define KILLS LESS_IF_SANITIZED(400, 60)
#endif
#define NUMBERS_MAX (1u << 23)

typedef struct tally {
    uint64_t next; /* number of the next message */
    uint64_t stop; /* producers: end */
    uint64_t failed_line;
    uint8_t sent[NUMBERS_MAX];
    uint8_t got[NUMBERS_MAX];
    uint8_t again[NUMBERS_MAX];
} tally;

typedef struct party {
    int (*body)(void *arg);
    pid_t pid;
} party;

static tally *counts;
static weft_queue *queue;
static weft_pipe *messages;

/* ---- the children ---------------------------------------------------------------------------- */

static int may_end(int rc)
{
    return rc == -EPIPE || rc == -ETIMEDOUT || rc == -EOWNERDEAD || rc == -EBUSY;
}

static int complain(int line)
{
    weft__store_release(&counts->failed_line, (uint64_t)line);
    return line;
}

/* Producers: the end has come. Whoever has run out of numbers waits for it, or to be killed. */
static int is_over(uint64_t number)
{
    while (number >= NUMBERS_MAX && !weft__load_acquire(&counts->stop))
        (void)usleep(1000);
    return weft__load_acquire(&counts->stop) != 0;
}

static int produce(void *arg)
{
    (void)arg;
    for (;;) {
        uint64_t number = weft__fetch_add_acq_rel(&counts->next, 1);
        if (is_over(number))
            return 0;
        int rc = weft_queue_push(queue, &number, weft_in(WEFT_SEC));
        if (may_end(rc))
            continue;
        if (rc != 0)
            return complain(__LINE__);
        weft__store_release(&counts->sent[number], 1);
    }
}

static int produce_in_place(void *arg)
{
    (void)arg;
    for (;;) {
        weft_item item;
        uint64_t number = weft__fetch_add_acq_rel(&counts->next, 1);
        if (is_over(number))
            return 0;
        int rc = weft_queue_reserve(queue, &item, weft_in(WEFT_SEC));
        if (may_end(rc))
            continue;
        if (rc != 0)
            return complain(__LINE__);
        *(uint64_t *)item.data = number;
        if (weft_queue_commit(queue, &item) != 0)
            return complain(__LINE__);
        weft__store_release(&counts->sent[number], 1);
    }
}

static void note(uint64_t number, unsigned flags)
{
    (void)weft__fetch_add_acq_rel(&counts->got[number], (uint8_t)1);
    if (flags & WEFT_REDELIVERED)
        (void)weft__fetch_add_acq_rel(&counts->again[number], (uint8_t)1);
}

/* 0: one has been taken; or why not. */
static int consume_one(int64_t deadline)
{
    weft_item item;
    int rc = weft_queue_take(queue, &item, deadline);
    if (rc != 0)
        return rc;
    uint64_t number = *(uint64_t *)item.data;
    if (number >= NUMBERS_MAX)
        return complain(__LINE__);
    note(number, item.flags);
    return weft_queue_release(queue, &item);
}

static int consume(void *arg)
{
    (void)arg;
    for (;;) {
        int rc = consume_one(weft_in(WEFT_SEC));
        if (rc == -EPIPE || weft__load_acquire(&counts->stop))
            return 0;
        if (rc != 0 && !may_end(rc))
            return complain(__LINE__);
    }
}

/* Messages of 8 … 800 bytes, all of the same number. */
static int send_messages(void *arg)
{
    uint64_t message[100];
    (void)arg;
    for (;;) {
        uint64_t number = weft__fetch_add_acq_rel(&counts->next, 1);
        size_t words = 1 + number * 7 % 100;
        if (is_over(number))
            return 0;
        for (size_t i = 0; i < words; i++)
            message[i] = number;
        int rc = weft_pipe_send(messages, message, words * 8, weft_in(WEFT_SEC));
        if (may_end(rc))
            continue;
        if (rc != 0)
            return complain(__LINE__);
        weft__store_release(&counts->sent[number], 1);
    }
}

static int receive_one(int64_t deadline)
{
    weft_item item;
    int rc = weft_pipe_take(messages, &item, deadline);
    if (rc != 0)
        return rc;
    const uint64_t *words = item.data;
    uint64_t number = words[0];
    if (number >= NUMBERS_MAX || item.bytes != 8 * (1 + number * 7 % 100))
        return complain(__LINE__);
    for (size_t i = 0; i < item.bytes / 8; i++)
        if (words[i] != number)
            return complain(__LINE__);
    note(number, item.flags);
    return weft_pipe_release(messages, &item);
}

static int receive_messages(void *arg)
{
    (void)arg;
    for (;;) {
        int rc = receive_one(weft_in(WEFT_SEC));
        if (rc == -EPIPE || weft__load_acquire(&counts->stop))
            return 0;
        if (rc != 0 && !may_end(rc))
            return complain(__LINE__);
    }
}

/* ---- the parent ------------------------------------------------------------------------------ */

static uint64_t random_state = 88172645463325252;

static void sleep_a_little(void)
{
    struct timespec moment = {.tv_nsec = (long)(next_random(&random_state) % 2000000)};
    (void)nanosleep(&moment, NULL);
}

/* Kill one of them, many times, and put another in its place each time. */
static void kill_and_replace(party *parties, size_t count, unsigned kills)
{
    for (size_t i = 0; i < count; i++)
        parties[i].pid = start_child(parties[i].body, NULL);
    for (unsigned i = 0; i < kills; i++) {
        party *victim = &parties[next_random(&random_state) % count];
        sleep_a_little();
        assert_int_equal(kill_child(victim->pid), -SIGKILL);
        victim->pid = start_child(victim->body, NULL);
    }
    weft__store_release(&counts->stop, 1);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(end_child(parties[i].pid), 0);
    assert_int_equal(counts->failed_line, 0);
}

/* Take out what is left: until there has been nothing for a while, in which the dead are found. */
static void take_the_rest(int (*one)(int64_t deadline))
{
    for (int quiet = 0; quiet < 3;) {
        int rc = one(weft_in(20 * WEFT_MSEC));
        assert_true(rc == 0 || rc == -ETIMEDOUT || rc == -EOWNERDEAD);
        quiet += rc != 0;
    }
}

static void check_counts(void)
{
    uint64_t limit = counts->next < NUMBERS_MAX ? counts->next : NUMBERS_MAX;
    uint64_t sent = 0, again = 0;
    for (uint64_t i = 0; i < limit; i++) {
        if (counts->sent[i] && counts->got[i] == 0)
            fail_msg("message %lu of %lu is lost", (unsigned long)i, (unsigned long)limit);
        if (counts->got[i] - counts->again[i] > 1)
            fail_msg("message %lu came twice, unmarked", (unsigned long)i);
        sent += counts->sent[i];
        again += counts->again[i];
    }
    print_message("%lu messages, %lu delivered again\n", (unsigned long)sent, (unsigned long)again);
    assert_true(sent > 0);
}

static int prepare(void **state)
{
    (void)state;
    const char *seed = getenv("WEFT_TEST_SEED");
    random_state = seed != NULL ? strtoull(seed, NULL, 0) | 1 : (uint64_t)weft_now() | 1;
    print_message("WEFT_TEST_SEED=%llu\n", (unsigned long long)random_state);
    counts = shared_page(sizeof *counts);
    return counts != NULL ? 0 : -1;
}

static int cleanup(void **state)
{
    (void)state;
    return munmap(counts, sizeof *counts);
}

static void test_queue(void **state)
{
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 64};
    party parties[] = {
        {.body = produce}, {.body = produce_in_place}, {.body = consume}, {.body = consume}};
    uint64_t value = 0;
    (void)state;
    assert_int_equal(weft_queue_create(&queue, NULL, &spec), 0);
    kill_and_replace(parties, 4, KILLS);
    take_the_rest(consume_one);
    check_counts();
    assert_int_equal(weft_queue_join(queue, WEFT_POLL), 0);
    for (int i = 0; i < 64; i++) /* no slot is lost */
        assert_int_equal(weft_queue_push(queue, &value, WEFT_POLL), 0);
    weft_queue_detach(queue);
}

static void test_one_to_one(void **state)
{
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 64, .flags = WEFT_QUEUE_ONE_TO_ONE};
    party parties[] = {{.body = produce}, {.body = consume}};
    (void)state;
    assert_int_equal(weft_queue_create(&queue, NULL, &spec), 0);
    kill_and_replace(parties, 2, KILLS / 2);
    take_the_rest(consume_one);
    check_counts();
    weft_queue_detach(queue);
}

static void test_pipe(void **state)
{
    weft_pipe_spec spec = {.capacity_bytes = 8192};
    party parties[] = {{.body = send_messages},
                       {.body = send_messages},
                       {.body = receive_messages},
                       {.body = receive_messages}};
    (void)state;
    assert_int_equal(weft_pipe_create(&messages, NULL, &spec), 0);
    kill_and_replace(parties, 4, KILLS);
    take_the_rest(receive_one);
    check_counts();
    assert_int_equal(weft_pipe_join(messages, WEFT_POLL), 0);
    weft_pipe_detach(messages);
}

/* ---- locks and their relatives --------------------------------------------------------------- */

typedef struct pair {
    uint64_t first, second;
} pair;

typedef struct kit {
    weft_shm_mutex mutex;
    weft_shm_rlock rlock;
    weft_shm_mutex monitor; /* with this condition */
    weft_shm_cond cond;
    weft_shm_semaphore semaphore;
    weft_shm_barrier barrier;
    pair under_mutex, under_rlock, under_monitor;
    uint64_t units, meetings; /* that were had */
} kit;

static kit *tools;

/* Make the numbers one larger; whoever inherits makes them equal before. 0, or a line. */
static int add_one(pair *numbers, int is_heir)
{
    if (is_heir)
        numbers->second = numbers->first;
    if (numbers->first != numbers->second)
        return complain(__LINE__);
    weft__store_relaxed(&numbers->first, numbers->first + 1);
    weft__store_relaxed(&numbers->second, numbers->second + 1);
    return 0;
}

static int is_stopped(void)
{
    return weft__load_acquire(&counts->stop) != 0;
}

/* Given what a lock call has answered: 0 locked, all is well now; or a line. */
static int inherit(int rc, weft_shm_mutex *mutex, pair *numbers)
{
    if (rc != 0 && rc != -EOWNERDEAD)
        return complain(__LINE__);
    if (add_one(numbers, rc == -EOWNERDEAD) != 0)
        return complain(__LINE__);
    return rc == 0 || weft_shm_mutex_repaired(mutex) == 0 ? 0 : complain(__LINE__);
}

static int use_mutex(void *arg)
{
    (void)arg;
    while (!is_stopped()) {
        int rc = weft_shm_mutex_lock(&tools->mutex, weft_in(LIVENESS_NS));
        if (inherit(rc, &tools->mutex, &tools->under_mutex) != 0)
            return 1;
        if (weft_shm_mutex_unlock(&tools->mutex) != 0)
            return complain(__LINE__);
    }
    return 0;
}

static int use_rlock(void *arg)
{
    weft_shm_rlock *lock = &tools->rlock;
    (void)arg;
    while (!is_stopped()) {
        int rc = weft_shm_rlock_lock(lock, weft_in(LIVENESS_NS));
        if (inherit(rc, &lock->mutex_, &tools->under_rlock) != 0)
            return 1;
        if (weft_shm_rlock_lock(lock, WEFT_POLL) != 0 || add_one(&tools->under_rlock, 0) != 0 ||
            weft_shm_rlock_unlock(lock) != 0 || weft_shm_rlock_unlock(lock) != 0)
            return complain(__LINE__);
    }
    return 0;
}

/* Two take turns, as long as both live: whoever waits in vain takes the other's. */
static int use_condition(void *arg)
{
    (void)arg;
    while (!is_stopped()) {
        int rc = weft_shm_mutex_lock(&tools->monitor, weft_in(LIVENESS_NS));
        if (inherit(rc, &tools->monitor, &tools->under_monitor) != 0 ||
            weft_shm_cond_notify(&tools->cond, 1) != 0)
            return complain(__LINE__);
        rc = weft_shm_cond_wait(&tools->cond, &tools->monitor, weft_in(WEFT_MSEC));
        if (inherit(rc == -ETIMEDOUT ? 0 : rc, &tools->monitor, &tools->under_monitor) != 0 ||
            weft_shm_mutex_unlock(&tools->monitor) != 0)
            return complain(__LINE__);
    }
    return 0;
}

static int use_semaphore(void *arg)
{
    (void)arg;
    while (!is_stopped()) {
        if (weft_shm_semaphore_acquire(&tools->semaphore, weft_in(LIVENESS_NS)) != 0)
            return complain(__LINE__);
        (void)weft__fetch_add_acq_rel(&tools->units, 1);
        if (weft_shm_semaphore_release(&tools->semaphore, 1) != 0)
            return complain(__LINE__);
    }
    return 0;
}

static int use_barrier(void *arg)
{
    (void)arg;
    while (!is_stopped()) {
        int rc = weft_shm_barrier_wait(&tools->barrier, weft_in(10 * WEFT_MSEC));
        if (rc >= 0)
            (void)weft__fetch_add_acq_rel(&tools->meetings, 1);
        else if (rc == -EPIPE || rc == -EOWNERDEAD || rc == -ETIMEDOUT)
            (void)weft_shm_barrier_reset(&tools->barrier);
        else
            return complain(__LINE__);
    }
    return 0;
}

static void check_pair(weft_shm_mutex *mutex, pair *numbers)
{
    int rc = weft_shm_mutex_lock(mutex, weft_in(LIVENESS_NS));
    assert_true(rc == 0 || rc == -EOWNERDEAD);
    assert_true(rc == -EOWNERDEAD || numbers->first == numbers->second);
    assert_true(numbers->first > 0);
}

static void test_locks(void **state)
{
    weft_shm *shm = NULL;
    party parties[] = {{.body = use_mutex},     {.body = use_mutex},     {.body = use_rlock},
                       {.body = use_rlock},     {.body = use_condition}, {.body = use_condition},
                       {.body = use_semaphore}, {.body = use_barrier},   {.body = use_barrier}};
    unsigned kills = KILLS / 2;
    (void)state;
    assert_int_equal(weft_shm_create(&shm, NULL, sizeof *tools), 0);
    tools = weft_shm_data(shm);
    assert_int_equal(weft_shm_mutex_init(&tools->mutex), 0);
    assert_int_equal(weft_shm_rlock_init(&tools->rlock), 0);
    assert_int_equal(weft_shm_mutex_init(&tools->monitor), 0);
    assert_int_equal(weft_shm_cond_init(&tools->cond), 0);
    assert_int_equal(weft_shm_semaphore_init(&tools->semaphore, kills + 1, kills + 1), 0);
    assert_int_equal(weft_shm_barrier_init(&tools->barrier, 2), 0);
    kill_and_replace(parties, sizeof parties / sizeof parties[0], kills);
    check_pair(&tools->mutex, &tools->under_mutex);
    check_pair(&tools->rlock.mutex_, &tools->under_rlock);
    check_pair(&tools->monitor, &tools->under_monitor);
    assert_true(tools->units > 0);
    assert_true(weft_shm_semaphore_value(&tools->semaphore) >= 1); /* a death takes one at most */
    print_message("%lu, %lu and %lu times locked, %lu units, %lu meetings\n",
                  (unsigned long)tools->under_mutex.first, (unsigned long)tools->under_rlock.first,
                  (unsigned long)tools->under_monitor.first, (unsigned long)tools->units,
                  (unsigned long)tools->meetings);
    weft_shm_detach(shm);
}

#define WITH_COUNTS(test) cmocka_unit_test_setup_teardown(test, prepare, cleanup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_COUNTS(test_queue),
        WITH_COUNTS(test_one_to_one),
        WITH_COUNTS(test_pipe),
        WITH_COUNTS(test_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
