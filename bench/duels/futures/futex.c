/* SPDX-License-Identifier: BSD-2-Clause */
/* futex.c — what the kernel charges for waking a thread that sleeps and being woken by it: no
 * pool can do better once everybody sleeps. */
#include "../duel.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <weft/atomic.h>

#define ASLEEP_US 5000

static uint32_t asked;
static uint32_t answered;

static void wait_until(uint32_t *word, uint32_t value)
{
    uint32_t seen;
    while ((seen = weft__load_acquire(word)) != value)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void set_and_wake(uint32_t *word, uint32_t value)
{
    weft__store_release(word, value);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *answer(void *argument)
{
    (void)argument;
    for (uint32_t i = 1;; i++) {
        wait_until(&asked, i);
        set_and_wake(&answered, i);
    }
    return NULL;
}

static void start_to_answer(void)
{
    pthread_t thread;
    duel_need(pthread_create(&thread, NULL, answer, NULL) == 0, "pthread_create");
}

static void ask_once(void)
{
    uint32_t next = asked + 1;
    set_and_wake(&asked, next);
    wait_until(&answered, next);
}

static void duel_asleep(const duel_request *request)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    duel_samples samples = duel_samples_make(100000);
    start_to_answer();
    while (duel_now_ns() < deadline || samples.count < 5) {
        duel_sleep_us(ASLEEP_US);
        int64_t begin = duel_now_ns();
        ask_once();
        duel_samples_add(&samples, 1e-3 * (double)(duel_now_ns() - begin));
    }
    duel_samples_print(&samples, "us");
}

/* One way, again and again: whoever waits has hardly fallen asleep. */
static void ask_often(long n, void *argument)
{
    (void)argument;
    for (long i = 0; i < n; i += 2)
        ask_once();
}

static void duel_thread(const duel_request *request)
{
    start_to_answer();
    duel_each(request, ask_often, NULL);
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"asleep", duel_asleep}, {"thread", duel_thread}, {NULL, NULL}};
    return duel_main(argc, argv, "the kernel's futex", duels);
}
