/* SPDX-License-Identifier: BSD-2-Clause */
/* test_giving_way.c — whoever waits for somebody that needs a few instructions more sleeps in the
 * end: the other one may be a thread that only runs while we do not, since ours is of real-time
 * priority. Here he is through when he has seen that. */
#include "process.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <weft/sync.h>

#include "sched/spin.h"
#include "sync/waitq.h"

static uint32_t spin;
static weft_mutex mutex;
static uint64_t waiter; /* its number, when it begins to wait */

static void *take_spin(void *arg)
{
    weft__store_release(&waiter, (uint64_t)syscall(SYS_gettid));
    weft__spin_lock(&spin);
    weft__spin_unlock(&spin);
    return arg;
}

static void *take_mutex(void *arg)
{
    weft__store_release(&waiter, (uint64_t)syscall(SYS_gettid));
    weft_mutex_lock(&mutex);
    weft_mutex_unlock(&mutex);
    return arg;
}

static long sleeps_of(uint64_t thread)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/task/%llu/status", (unsigned long long)thread);
    return read_key(path, "voluntary_ctxt_switches:");
}

/* Nonzero: it has slept, and more than once. */
static int is_seen_asleep(void)
{
    int64_t deadline = weft_in(LIVENESS_NS);
    while (weft__load_acquire(&waiter) == 0 && weft_now() < deadline)
        sleep_ns(WEFT_USEC);
    long before = sleeps_of(waiter);
    while (sleeps_of(waiter) < before + 2 && weft_now() < deadline)
        sleep_ns(WEFT_USEC);
    return sleeps_of(waiter) >= before + 2;
}

static void test_spin(void **state)
{
    pthread_t thread;
    (void)state;
    waiter = 0;
    weft__spin_lock(&spin);
    assert_int_equal(pthread_create(&thread, NULL, take_spin, NULL), 0);
    int is_asleep = is_seen_asleep();
    weft__spin_unlock(&spin);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(is_asleep);
}

static void test_queue(void **state)
{
    pthread_t thread;
    (void)state;
    waiter = 0;
    uint32_t word = weft__waitq_lock(&mutex.queue_);
    assert_int_equal(pthread_create(&thread, NULL, take_mutex, NULL), 0);
    int is_asleep = is_seen_asleep();
    weft__waitq_unlock(&mutex.queue_, word);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(is_asleep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spin),
        cmocka_unit_test(test_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
