/* SPDX-License-Identifier: BSD-2-Clause */
/* ramp.c — how long until a region that begins while everybody sleeps has all workers?
 *
 * A tree of tasks of ten microseconds each, two milliseconds for each worker. Every worker notes
 * when it begins its first one. A worker takes tens of microseconds to get up; a runtime that wakes
 * them one after another takes that as many times as it has workers. */
#include <weft/task.h>

#include <errno.h>

#include "probe.h"

#define WORKERS_MAX 1024
#define ROUNDS_MAX 1000
#define TASK_SECONDS 10e-6
#define TASKS_PER_WORKER 200

static double begun[WORKERS_MAX]; /* when each worker began its first task of this round, or 0 */
static long spins;                /* of one task */

static long spin(long count)
{
    volatile long spun = 0;
    for (long i = 0; i < count; i++)
        spun = spun + 1;
    return spun;
}

WEFT_TASK(long, ramp_tree, long, tasks)
{
    if (tasks == 1) {
        double *mine = &begun[weft_worker_id()];
        if (*mine == 0)
            *mine = probe_wall();
        return spin(spins);
    }
    weft_spawn(half, ramp_tree, tasks / 2);
    long rest = ramp_tree(tasks - tasks / 2);
    return weft_join(half) + rest;
}

typedef struct round {
    long tasks;
    double begin, seconds;
} round;

static int region(void *arg)
{
    round *self = arg;
    self->begin = probe_wall();
    int rc = ramp_tree(self->tasks) == self->tasks * spins ? 0 : 1;
    self->seconds = probe_wall() - self->begin;
    return rc;
}

/* Spins that take as long as one task should. */
static long size_task(void)
{
    const long many = 2000000;
    double begin = probe_wall();
    (void)spin(many);
    return (long)(TASK_SECONDS * (double)many / (probe_wall() - begin)) + 1;
}

/* When `count` workers had begun, in seconds from the region's begin; its whole length if fewer
 * ever have. */
static double when(const round *self, unsigned workers, unsigned count)
{
    double late[WORKERS_MAX];
    unsigned found = 0;
    for (unsigned i = 0; i < workers; i++)
        if (begun[i] != 0)
            late[found++] = begun[i] - self->begin;
    qsort(late, found, sizeof *late, probe_less);
    return found < count ? self->seconds : late[count - 1];
}

int main(int argc, char **argv)
{
    static double half[ROUNDS_MAX], all[ROUNDS_MAX], share[ROUNDS_MAX];
    long rounds = probe_argument(argc, argv, 30);
    if (rounds > ROUNDS_MAX)
        rounds = ROUNDS_MAX;
    weft_runtime *runtime = probe_start(0);
    unsigned workers = weft_num_workers(runtime);
    if (workers > WORKERS_MAX)
        probe_fail("more workers than this probe knows", -EINVAL);
    spins = size_task();
    round self = {.tasks = (long)workers * TASKS_PER_WORKER};
    for (long i = 0; i < rounds; i++) {
        memset(begun, 0, sizeof begun);
        probe_sleep(0.02);
        if (probe_call(runtime, region, &self) != 0)
            return 1;
        half[i] = when(&self, workers, (workers + 1) / 2);
        all[i] = when(&self, workers, workers);
        share[i] = TASKS_PER_WORKER * TASK_SECONDS / self.seconds;
    }
    probe_stop(runtime);
    size_t n = (size_t)rounds;
    printf("{\"probe\": \"ramp\", \"workers\": %u, \"rounds\": %ld, \"half_seconds\": %.9f, "
           "\"all_seconds\": %.9f, \"efficiency\": %.6f}\n",
           workers, rounds, probe_quantile(half, n, 0.5), probe_quantile(all, n, 0.5),
           probe_quantile(share, n, 0.5));
    return 0;
}
