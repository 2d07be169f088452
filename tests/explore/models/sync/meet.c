/* SPDX-License-Identifier: BSD-2-Clause */
/* meet.c — models of what is waited for: semaphore, event, latch, barrier, once. What they are in
 * is released by whoever is let go last: nobody may touch it any more. */
#include <weft/sync.h>

#include "models/sync/threads.h"

/* The object of the model, and plain data that it guards. */
typedef struct place {
    weft_semaphore semaphore;
    weft_event event;
    weft_latch latch;
    weft_barrier barrier;
    weft_once once;
    int value[4];
} place;

static place *here;
static uint32_t through; /* threads that are done with the place */
static unsigned got[3];  /* each thread's own */

static void prepare(void)
{
    threads_prepare(0);
    here = explore_alloc(sizeof *here);
    *here = (place){.latch = WEFT_LATCH_INIT(2), .barrier = WEFT_BARRIER_INIT(2)};
    through = 0;
    for (unsigned i = 0; i < 3; i++)
        got[i] = 0;
}

static void finish(void)
{
    explore_free(here);
}

/* The last of `count` threads releases the place. */
static void leave(uint32_t count)
{
    if (weft__fetch_add_acq_rel(&through, 1) + 1 == count)
        explore_free(here);
}

/* ---- semaphore ------------------------------------------------------------------------------- */

static void release_one(void)
{
    here->value[0] = 1;
    explore_check(weft_semaphore_release(&here->semaphore, 1) == 0);
}

static void acquire_and_free(void)
{
    explore_check(weft_semaphore_acquire(&here->semaphore, WEFT_FOREVER) == 0);
    explore_check(here->value[0] == 1);
    explore_free(here);
}

static void release_two(void)
{
    here->value[0] = 1;
    explore_check(weft_semaphore_release(&here->semaphore, 2) == 0);
}

static void acquire_first_and_leave(void)
{
    explore_check(weft_semaphore_acquire(&here->semaphore, WEFT_FOREVER) == 0);
    explore_check(here->value[0] == 1);
    leave(2);
}

static void acquire_soon(void)
{
    got[explore_self()] += weft_semaphore_acquire(&here->semaphore, SOON) == 0;
}

static void check_permits(void)
{
    explore_check(got[0] + got[1] + got[2] + weft_semaphore_permits(&here->semaphore) == 1);
    explore_check(here->semaphore.queue_.first_ == NULL);
    finish();
}

static void acquire_patiently(void)
{
    explore_check(weft_semaphore_acquire(&here->semaphore, WEFT_FOREVER) == 0);
    got[explore_self()]++;
}

/* As a lock: who has the permit has the value. */
static void hold(void)
{
    explore_check(weft_semaphore_acquire(&here->semaphore, WEFT_FOREVER) == 0);
    here->value[1]++;
    explore_check(weft_semaphore_release(&here->semaphore, 1) == 0);
}

static void prepare_permit(void)
{
    prepare();
    here->semaphore = (weft_semaphore)WEFT_BOUNDED_SEMAPHORE_INIT(1);
}

static void check_held(void)
{
    explore_check(here->value[1] == 2);
    got[0] = 0;
    check_permits();
}

EXPLORE_MODEL(semaphore_last) = {.name = "semaphore.last",
                                 .prepare = prepare,
                                 .threads = {acquire_and_free, release_one},
                                 .preemptions = 3,
                                 .stale = 3};

EXPLORE_MODEL(semaphore_two) = {
    .name = "semaphore.two",
    .prepare = prepare,
    .threads = {acquire_first_and_leave, release_two, acquire_first_and_leave},
    .preemptions = 2,
    .stale = 0};

EXPLORE_MODEL(semaphore_hold) = {.name = "semaphore.hold",
                                 .prepare = prepare_permit,
                                 .threads = {hold, hold},
                                 .finish = check_held,
                                 .preemptions = 3,
                                 .stale = 3};

/* Whoever gives up has no permit, whoever does not has one; a patient third gets what is left. */
EXPLORE_MODEL(semaphore_deadline) = {.name = "semaphore.deadline",
                                     .prepare = prepare,
                                     .threads = {acquire_soon, release_one, acquire_soon},
                                     .finish = check_permits,
                                     .preemptions = 2,
                                     .stale = 0};

static void release_and_check(void)
{
    explore_check(weft_semaphore_release(&here->semaphore, 1) == 0);
    explore_check(weft_semaphore_release(&here->semaphore, 1) == 0);
}

static void check_two(void)
{
    explore_check(got[2] == 1);
    got[2] = 0;
    check_permits();
}

EXPLORE_MODEL(semaphore_patient) = {.name = "semaphore.patient",
                                    .prepare = prepare,
                                    .threads = {acquire_soon, release_and_check, acquire_patiently},
                                    .finish = check_two,
                                    .preemptions = 2,
                                    .stale = 0};

/* ---- event ----------------------------------------------------------------------------------- */

static void set_event(void)
{
    here->value[0] = 1;
    weft_event_set(&here->event);
}

static void await_event_and_free(void)
{
    explore_check(weft_event_wait(&here->event, WEFT_FOREVER) == 0);
    explore_check(here->value[0] == 1);
    explore_free(here);
}

static void await_event(void)
{
    explore_check(weft_event_wait(&here->event, WEFT_FOREVER) == 0);
    explore_check(here->value[0] == 1);
    leave(2);
}

EXPLORE_MODEL(event_last) = {.name = "event.last",
                             .prepare = prepare,
                             .threads = {await_event_and_free, set_event},
                             .preemptions = 3,
                             .stale = 3};

EXPLORE_MODEL(event_all) = {.name = "event.all",
                            .prepare = prepare,
                            .threads = {await_event, set_event, await_event},
                            .preemptions = 2,
                            .stale = 0};

/* The setter is done as well before the place goes: the impatient may be first. */
static void set_event_and_leave(void)
{
    set_event();
    leave(3);
}

static void await_event_and_leave(void)
{
    explore_check(weft_event_wait(&here->event, WEFT_FOREVER) == 0);
    leave(3);
}

static void await_event_soon(void)
{
    if (weft_event_wait(&here->event, SOON) == 0)
        explore_check(here->value[0] == 1);
    leave(3);
}

EXPLORE_MODEL(event_deadline) = {
    .name = "event.deadline",
    .prepare = prepare,
    .threads = {await_event_soon, set_event_and_leave, await_event_and_leave},
    .preemptions = 2,
    .stale = 0};

/* ---- latch ----------------------------------------------------------------------------------- */

static void step(void)
{
    here->value[explore_self()] = 1;
    weft_latch_count_down(&here->latch, 1);
}

static void await_latch_and_free(void)
{
    explore_check(weft_latch_wait(&here->latch, WEFT_FOREVER) == 0);
    explore_check(here->value[0] == 1 && here->value[1] == 1);
    explore_free(here);
}

EXPLORE_MODEL(latch_last) = {.name = "latch.last",
                             .prepare = prepare,
                             .threads = {step, step, await_latch_and_free},
                             .preemptions = 2,
                             .stale = 2};

/* ---- barrier --------------------------------------------------------------------------------- */

static void go_rounds(void)
{
    unsigned self = explore_self();
    for (unsigned round = 1; round <= 2; round++) {
        here->value[2 * round - 2 + self] = 1;
        int index = weft_barrier_wait(&here->barrier, WEFT_FOREVER);
        explore_check(index == 0 || index == 1);
        explore_check(here->value[2 * round - 1 - self] == 1); /* a race unless ordered */
    }
    leave(2);
}

/* Whoever gives up breaks the round for the other, or has come through together with him. */
static void meet_soon(void)
{
    int rc = weft_barrier_wait(&here->barrier, SOON);
    explore_check(rc == 0 || rc == 1 || rc == -EPIPE || rc == -ETIMEDOUT);
    got[explore_self()] = rc >= 0;
}

static void meet(void)
{
    int rc = weft_barrier_wait(&here->barrier, WEFT_FOREVER);
    explore_check(rc == 0 || rc == 1 || rc == -EPIPE);
    got[explore_self()] = rc >= 0;
}

static void check_met(void)
{
    explore_check(got[0] == got[1]);
    explore_check(weft_barrier_is_broken(&here->barrier) == !got[0]);
    explore_check(here->barrier.queue_.first_ == NULL);
    finish();
}

EXPLORE_MODEL(barrier_rounds) = {.name = "barrier.rounds",
                                 .prepare = prepare,
                                 .threads = {go_rounds, go_rounds},
                                 .preemptions = 2,
                                 .stale = 1};

EXPLORE_MODEL(barrier_deadline) = {.name = "barrier.deadline",
                                   .prepare = prepare,
                                   .threads = {meet_soon, meet},
                                   .finish = check_met,
                                   .preemptions = 2,
                                   .stale = 1};

/* ---- once ------------------------------------------------------------------------------------ */

static int act(void *arg)
{
    unsigned *fails = arg;
    here->value[0]++;
    return *fails != 0 && (*fails)-- != 0;
}

static void call_once(void)
{
    unsigned fails = explore_self() == 0;
    if (weft_once_call(&here->once, act, &fails) == 0)
        explore_check(here->value[0] == 1 || here->value[0] == 2);
}

static void check_once(void)
{
    explore_check(here->value[0] == 1 || here->value[0] == 2);
    explore_check(here->once.queue_.first_ == NULL);
    finish();
}

EXPLORE_MODEL(once_call) = {.name = "once.call",
                            .prepare = prepare,
                            .threads = {call_once, call_once, call_once},
                            .finish = check_once,
                            .preemptions = 2,
                            .stale = 0};
