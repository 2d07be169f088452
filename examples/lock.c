/* SPDX-License-Identifier: BSD-2-Clause */
/* lock.c — many fibers, one counter: what a lock is for.
 *
 * Without the lock a fiber reads the balance, is held up for a moment now and then, and writes back
 * what it read plus one: deposits that others make in between are lost, on one worker as on many.
 * With the lock none is. A fiber that waits for the lock is parked, and its worker goes on with
 * others meanwhile. */
#include <weft/fiber.h>
#include <weft/runtime.h>
#include <weft/sync.h>

#include <stdatomic.h>
#include <stdio.h>

#define TELLERS 64
#define DEPOSITS 2000
#define EXPECTED ((long)TELLERS * DEPOSITS)

struct account {
    weft_mutex lock;
    atomic_long balance; /* atomic, so that a lost deposit is all that can go wrong */
};

static void deposit(struct account *account, int is_held_up)
{
    long seen = atomic_load_explicit(&account->balance, memory_order_relaxed);
    if (is_held_up)
        weft_yield(); /* the moment in which others come in between */
    atomic_store_explicit(&account->balance, seen + 1, memory_order_relaxed);
}

WEFT_FIBER(deposit_unlocked, struct account *, account)
{
    for (int i = 0; i < DEPOSITS; i++)
        deposit(account, i % 100 == 0);
}

WEFT_FIBER(deposit_locked, struct account *, account)
{
    for (int i = 0; i < DEPOSITS; i++)
        weft_with_lock (&account->lock) {
            deposit(account, i % 100 == 0);
        }
}

static int app(void *arg)
{
    struct account unlocked = {.lock = WEFT_MUTEX_INIT, .balance = 0};
    struct account locked = {.lock = WEFT_MUTEX_INIT, .balance = 0};
    int rc = 0;
    (void)arg;
    weft_scope(tellers)
    {
        for (int i = 0; i < TELLERS && rc == 0; i++)
            rc = weft_go(&tellers, deposit_unlocked, &unlocked);
    }
    weft_scope(tellers)
    {
        for (int i = 0; i < TELLERS && rc == 0; i++)
            rc = weft_go(&tellers, deposit_locked, &locked);
    }
    if (rc != 0)
        return rc;
    long without = atomic_load(&unlocked.balance);
    long with = atomic_load(&locked.balance);
    printf("without the lock %ld of %ld deposits, with it %ld\n", without, EXPECTED, with);
    return with == EXPECTED ? 0 : 1; /* the other one is a matter of luck, as such errors are */
}

int main(void)
{
    int rc = weft_run(app, NULL, NULL);
    if (rc < 0)
        fprintf(stderr, "lock: %s\n", weft_strerror(rc));
    return rc == 0 ? 0 : 1;
}
