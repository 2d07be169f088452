/* SPDX-License-Identifier: BSD-2-Clause */
/* death.c — how long until a process that sleeps for what another one holds goes on after that one
 * was killed: from the kill, and from the moment at which the kernel tells of the death.
 *
 * A victim locks a mutex, a sleeper sleeps for it; or a victim takes the message that a sleeper
 * waits for. Each round has a new victim. */
#include "probe.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weft/atomic.h>
#include <weft/queue.h>
#include <weft/shm.h>
#include <weft/shmsync.h>

#define REPEATS_MAX 100000
#define SETTLE_SECONDS 0.02

typedef struct shared {
    uint32_t is_held; /* the victim has it */
    double went_on;   /* when the sleeper had it */
} shared;

static shared *seen;
static weft_shm_mutex *mutex;
static weft_queue *queue;

static void check(const char *what, int rc)
{
    if (rc != 0)
        probe_fail(what, rc);
}

static pid_t start(void (*body)(void))
{
    pid_t child = fork();
    if (child != 0)
        return child;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
    _exit(0);
}

static void hold(void)
{
    weft__store_release(&seen->is_held, 1);
    for (;;)
        (void)pause();
}

static void lock_and_hold(void)
{
    check("lock", weft_shm_mutex_lock(mutex, WEFT_FOREVER));
    hold();
}

static void take_and_hold(void)
{
    weft_item item;
    check("take", weft_queue_take(queue, &item, WEFT_FOREVER));
    hold();
}

static void lock_after(void)
{
    int rc = weft_shm_mutex_lock(mutex, WEFT_FOREVER);
    seen->went_on = probe_wall();
    if (rc != -EOWNERDEAD)
        probe_fail("lock", rc);
    check("repaired", weft_shm_mutex_repaired(mutex));
    check("unlock", weft_shm_mutex_unlock(mutex));
}

static void pop_after(void)
{
    uint64_t value;
    check("pop", weft_queue_pop(queue, &value, WEFT_FOREVER));
    seen->went_on = probe_wall();
}

/* One round: seconds from the kill, and from its being known. */
static void round_of(void (*victim_body)(void), void (*sleeper_body)(void), double *from_kill,
                     double *from_death)
{
    siginfo_t ignored;
    weft__store_relaxed(&seen->is_held, 0);
    pid_t victim = start(victim_body);
    while (!weft__load_acquire(&seen->is_held))
        probe_sleep(0.0001);
    pid_t sleeper = start(sleeper_body);
    probe_sleep(SETTLE_SECONDS);
    struct pollfd end = {.fd = pidfd_open(victim, 0), .events = POLLIN};
    double killed = probe_wall();
    (void)kill(victim, SIGKILL);
    (void)poll(&end, 1, -1);
    double died = probe_wall();
    (void)waitid(P_PID, (id_t)sleeper, &ignored, WEXITED);
    (void)waitid(P_PID, (id_t)victim, &ignored, WEXITED);
    (void)close(end.fd);
    *from_kill = seen->went_on - killed;
    *from_death = seen->went_on - died;
}

static void report(const char *what, void (*victim)(void), void (*sleeper)(void), size_t repeats)
{
    double *kill_times = malloc(repeats * sizeof *kill_times);
    double *death_times = malloc(repeats * sizeof *death_times);
    if (!kill_times || !death_times)
        exit(2);
    for (size_t i = 0; i < repeats; i++) {
        uint64_t value = i;
        if (queue != NULL)
            check("push", weft_queue_push(queue, &value, WEFT_FOREVER));
        round_of(victim, sleeper, &kill_times[i], &death_times[i]);
    }
    printf("{\"probe\": \"death\", \"of\": \"%s\", \"repeats\": %zu, \"kill_p50\": %.9f, "
           "\"kill_p99\": %.9f, \"death_p50\": %.9f, \"death_p99\": %.9f, \"death_max\": %.9f}\n",
           what, repeats, probe_quantile(kill_times, repeats, 0.5),
           probe_quantile(kill_times, repeats, 0.99), probe_quantile(death_times, repeats, 0.5),
           probe_quantile(death_times, repeats, 0.99), probe_quantile(death_times, repeats, 1));
    free(kill_times);
    free(death_times);
}

int main(int argc, char **argv)
{
    weft_shm *shm;
    weft_queue_spec spec = {.elem_bytes = 8, .capacity = 4};
    size_t repeats = (size_t)probe_argument(argc, argv, 100);
    if (repeats > REPEATS_MAX)
        repeats = REPEATS_MAX;
    seen = mmap(NULL, sizeof *seen, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (seen == MAP_FAILED)
        return 2;
    check("shm", weft_shm_create(&shm, NULL, 4096));
    mutex = weft_shm_data(shm);
    check("mutex", weft_shm_mutex_init(mutex));
    report("the holder of a lock", lock_and_hold, lock_after, repeats);
    weft_shm_detach(shm);
    check("queue", weft_queue_create(&queue, NULL, &spec));
    report("who took a message", take_and_hold, pop_after, repeats);
    weft_queue_detach(queue);
    return 0;
}
