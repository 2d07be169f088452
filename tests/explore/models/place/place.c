/* SPDX-License-Identifier: BSD-2-Clause */
/* place.c — models of a worker that sleeps and of whoever claims its wake-ups, and may send it to
 * another processor: whatever it runs runs where it might before it slept.
 *
 * The kernel that stands here knows the sleeper's thread alone. Its set of processors is plain
 * memory, so that a call in the middle of another's, or of the sleeper's work, is a race. */
#include "common/self.h"

#include "hooks.h"
#include "sched/thread.h"

#include <sched.h>
#include <string.h>

#define SLEEPS 2
#define SLEEPER_NUMBER 7

static weft_runtime runtime;
static weft__worker workers[2]; /* the sleeper, and one who wakes it */
static weft__worker *const sleeper_worker = &workers[0];
static weft__thread threads[2];
static struct weft__cpuset allowed; /* to the sleeper's thread */
static uint32_t is_over;

/* ---- the kernel ------------------------------------------------------------------------------ */

int sched_getcpu(void)
{
    return 0;
}

static void check_thread(pid_t thread)
{
    explore_check(thread == SLEEPER_NUMBER || (thread == 0 && explore_self() == 0));
}

int sched_getaffinity(pid_t thread, size_t bytes, cpu_set_t *set)
{
    check_thread(thread);
    explore_check(bytes == sizeof allowed);
    *(struct weft__cpuset *)(void *)set = allowed;
    return 0;
}

int sched_setaffinity(pid_t thread, size_t bytes, const cpu_set_t *set)
{
    check_thread(thread);
    explore_check(bytes == sizeof allowed);
    unsigned long there = ((const struct weft__cpuset *)(const void *)set)->word[0] & 3;
    if (there == 0)
        return -1;
    allowed.word[0] = there;
    return 0;
}

/* ---- the two --------------------------------------------------------------------------------- */

static void prepare(void)
{
    self_reset();
    memset(&runtime, 0, sizeof runtime);
    memset(workers, 0, sizeof workers);
    runtime.workers = workers;
    runtime.worker_count = runtime.cpu_count = 2;
    for (unsigned i = 0; i < 2; i++) {
        threads[i].number = SLEEPER_NUMBER + (pid_t)i;
        workers[i].runtime = &runtime;
        workers[i].cpu = -1;
        workers[i].thread = &threads[i];
    }
    sleeper_worker->place.guided = SLEEPS;
    allowed = (struct weft__cpuset){{3}};
    is_over = 0;
}

static int claim(void)
{
    uint32_t asleep = 1;
    return weft__cas_seq_cst(&sleeper_worker->asleep, &asleep, 0);
}

static void run_something(void)
{
    explore_check(allowed.word[0] == 3);
}

/* Argument: nonzero if it changes its mind before it sleeps. */
static void sleep_once(void)
{
    weft__place_lie_down(sleeper_worker);
    weft__store_seq_cst(&sleeper_worker->asleep, 1);
    if (explore_argument() && claim())
        return;
    while (weft__load_acquire(&sleeper_worker->asleep))
        explore_park_wait(&sleeper_worker->asleep, 1);
    weft__place_get_up(sleeper_worker);
}

static void sleeper(void)
{
    self_bind(0, sleeper_worker);
    for (int i = 0; i < SLEEPS; i++) {
        sleep_once();
        run_something();
    }
    weft__store_release(&is_over, 1);
}

static void waker(void)
{
    self_bind(1, &workers[1]);
    while (!weft__load_acquire(&is_over)) {
        uint32_t turn = weft__place_turn(&sleeper_worker->place);
        if (claim()) {
            weft__place_choose(sleeper_worker, turn);
            explore_park_wake(&sleeper_worker->asleep, 1);
        } else {
            explore_yield();
        }
    }
}

EXPLORE_MODEL(place_sleep) = {.name = "place.sleep",
                              .prepare = prepare,
                              .threads = {sleeper, waker},
                              .preemptions = 2,
                              .stale = 1,
                              .spurious = 1};

EXPLORE_MODEL(place_mind) = {.name = "place.mind",
                             .prepare = prepare,
                             .threads = {sleeper, waker},
                             .argument = 1,
                             .preemptions = 3,
                             .stale = 1,
                             .spurious = 1};
