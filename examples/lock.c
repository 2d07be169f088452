/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c — many tasks, one counter: what a lock is for.
 *
 * Without the lock a task reads the balance, is held up for a moment, and writes back what it read
 * plus one: deposits are lost whenever two tasks overlap. With the lock none is. A task that waits
 * for the lock parks its fiber, and its worker goes on with other tasks meanwhile. */
#include <weft/parallel.h>
#include <weft/runtime.h>
#include <weft/sync.h>

#include <stdatomic.h>
#include <stdio.h>

#define TASKS 64
#define DEPOSITS 2000

struct account {
    weft_mutex lock;
    atomic_long balance; /* atomic, so that a lost deposit is all that can go wrong */
};

static void deposit(struct account *account)
{
    long seen = atomic_load_explicit(&account->balance, memory_order_relaxed);
    for (int i = 0; i < 10; i++)
        atomic_signal_fence(memory_order_seq_cst); /* the moment in which others come in between */
    atomic_store_explicit(&account->balance, seen + 1, memory_order_relaxed);
}

static void deposit_unlocked(weft_range piece, void *arg)
{
    (void)piece;
    for (int i = 0; i < DEPOSITS; i++)
        deposit(arg);
}

static void deposit_locked(weft_range piece, void *arg)
{
    struct account *account = arg;
    (void)piece;
    for (int i = 0; i < DEPOSITS; i++)
        weft_with_lock (&account->lock) {
            deposit(account);
        }
}

static long total(weft_body *body)
{
    struct account account = {.lock = WEFT_MUTEX_INIT, .balance = 0};
    weft_range tasks = {.begin = 0, .end = TASKS, .grain = 1};
    weft_parallel_for(tasks, body, &account);
    return atomic_load(&account.balance);
}

static int app(void *arg)
{
    long *locked = arg;
    long expected = (long)TASKS * DEPOSITS;
    long unlocked = total(deposit_unlocked);
    *locked = total(deposit_locked);
    printf("without the lock %ld of %ld deposits, with it %ld\n", unlocked, expected, *locked);
    return 0;
}

int main(void)
{
    long locked = 0;
    int rc = weft_run(app, &locked, NULL);
    if (rc != 0)
        fprintf(stderr, "lock: %s\n", weft_strerror(rc));
    return rc == 0 && locked == (long)TASKS * DEPOSITS ? 0 : 1;
}
