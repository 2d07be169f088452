/* SPDX-License-Identifier: BSD-2-Clause */
/* process_lock.c — processes add to shared memory under a lock; one is killed while it holds it.
 *
 * Two accounts, and money that moves from one to the other: whoever looks with the lock held finds
 * the sum unchanged. One process takes from the first account and is killed before it gives to the
 * second. Whoever locks next is told so, and puts it right from what the dead one had noted. */
#define _POSIX_C_SOURCE 200809L

#include <weft/shm.h>
#include <weft/shmsync.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKERS 4
#define TRANSFERS 1000
#define MONEY 100000

struct bank {
    weft_shm_mutex lock;
    long from, to;
    long moving; /* what has left `from` and not yet reached `to` */
    long done;
    long repairs;
};

/* The lock is ours, and its last holder died with it. */
static int repair(void *arg)
{
    struct bank *bank = arg;
    bank->from = MONEY - bank->to;
    bank->moving = 0;
    bank->repairs++;
    return 0;
}

static int transfer(struct bank *bank, int is_to_be_killed)
{
    int rc = weft_shm_mutex_lock_repair(&bank->lock, repair, bank, weft_in(30 * WEFT_SEC));
    if (rc != 0)
        return rc;
    bank->moving = 1;
    bank->from -= 1;
    if (is_to_be_killed)
        (void)kill(getpid(), SIGKILL);
    bank->to += 1;
    bank->moving = 0;
    bank->done++;
    return weft_shm_mutex_unlock(&bank->lock);
}

static int work(struct bank *bank, int is_to_be_killed)
{
    for (int i = 0; i < TRANSFERS; i++)
        if (transfer(bank, is_to_be_killed && i == TRANSFERS / 2) != 0)
            return 1;
    return 0;
}

static int run(struct bank *bank)
{
    int killed = 0;
    bank->from = MONEY;
    for (int i = 0; i < WORKERS; i++)
        if (fork() == 0)
            _exit(work(bank, i == 0));
    for (int i = 0; i < WORKERS; i++) {
        int status = 0;
        (void)wait(&status);
        killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    }
    int rc = weft_shm_mutex_lock_repair(&bank->lock, repair, bank, weft_in(30 * WEFT_SEC));
    long sum = bank->from + bank->to;
    printf("%d of %d processes killed, %ld transfers, sum %ld, repaired %ld time%s\n", killed,
           WORKERS, bank->done, sum, bank->repairs, bank->repairs == 1 ? "" : "s");
    long expected = (WORKERS - 1) * TRANSFERS + TRANSFERS / 2;
    return rc == 0 && killed == 1 && sum == MONEY && bank->done == expected ? 0 : 1;
}

int main(void)
{
    weft_shm *shm;
    int rc = weft_shm_create(&shm, NULL, sizeof(struct bank));
    if (rc == 0)
        rc = weft_shm_mutex_init(&((struct bank *)weft_shm_data(shm))->lock);
    if (rc != 0) {
        fprintf(stderr, "process_lock: %s\n", weft_strerror(rc));
        return 1;
    }
    rc = run(weft_shm_data(shm));
    weft_shm_detach(shm);
    return rc;
}
