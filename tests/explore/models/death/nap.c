/* SPDX-License-Identifier: BSD-2-Clause */
/* nap.c — models of naps and of the thread that watches: somebody sleeps for what another process
 * has, and that one gives it back or dies. Nothing but its death may be there to wake the sleeper.
 * If that does not: a deadlock. */
#include "models/death/kernel.h"

#include <errno.h>

enum { SLEEPER, VICTIM, OTHER }; /* processes */

static uint64_t holder;   /* a member, or 0 */
static uint32_t bell;     /* grows when there may be something to be had */
static uint32_t is_given; /* there is, unless somebody holds it */
static uint32_t sleepers;
static unsigned note; /* of whoever has it, for whoever gets it next */

/* ---- whoever has it -------------------------------------------------------------------------- */

static void ring(void)
{
    (void)weft__fetch_add_acq_rel(&bell, 1);
    WEFT_CRASH_POINT(102);
    (void)explore_park_wake(&bell, 2);
}

static void give_back(void)
{
    note++;
    WEFT_CRASH_POINT(100);
    weft__store_release(&holder, 0);
    WEFT_CRASH_POINT(101);
    ring();
}

static void come_and_hold(void)
{
    explore_check(weft__member_join(kernel_segment()) == 0);
    weft__store_release(&holder, kernel_segment()->member);
    give_back();
}

/* What lies behind it comes from a process that stays. */
static void give(void)
{
    weft__store_release(&is_given, 1);
    (void)weft__fetch_add_acq_rel(&bell, 1);
    (void)explore_park_wake(&bell, 2);
}

/* Keeps what it has, and lives; to the others it is dead. */
static void leave_without_giving_back(void)
{
    note++;
    weft__member_leave(kernel_segment(), 1);
    kernel_segment()->member = 0;
}

/* Another process that asks the kernel, and may be killed with the answer. */
static void prove(void)
{
    (void)weft__members_look(kernel_segment());
}

/* ---- whoever sleeps -------------------------------------------------------------------------- */

static int is_free(void)
{
    uint64_t seen = weft__load_acquire(&holder);
    return weft__load_acquire(&is_given) &&
           (seen == 0 || weft__member_is_dead(kernel_segment(), seen));
}

/* As wait.c and shmsync.c sleep, but the first nap is a long one already. */
static void sleep_until_free(void)
{
    int was_held = 0;
    weft__nap nap = weft__nap_of(kernel_segment(), WEFT_FOREVER);
    weft__nap_lengthen(&nap);
    for (;;) {
        weft__nap_begin(&nap);
        uint32_t rung = weft__load_acquire(&bell);
        if (is_free())
            break;
        was_held |= weft__load_relaxed(&holder) != 0;
        (void)weft__nap_sleep(&nap, &bell, rung);
    }
    explore_check(!was_held || note == 1);
}

/* As is_abandoned() in wait.c is asked: who else is there is looked at when a death has been told,
 * and not before each sleep. */
static void sleep_until_alone(void)
{
    int why = -EOWNERDEAD;
    weft__nap nap = weft__nap_of(kernel_segment(), WEFT_FOREVER);
    weft__nap_lengthen(&nap);
    while (why != -EOWNERDEAD || weft__members_others(kernel_segment()) > 0) {
        weft__nap_begin(&nap);
        uint32_t rung = weft__load_acquire(&bell);
        why = weft__nap_sleep(&nap, &bell, rung);
    }
}

static void leave(void)
{
    if (weft__fetch_add_acq_rel(&sleepers, (uint32_t)-1) > 1)
        return;
    weft__watch_leave(kernel_segment());
    kernel_watches_no_more();
}

static void sleep_and_leave(void)
{
    sleep_until_free();
    leave();
}

static void be_left_alone(void)
{
    sleep_until_alone();
    leave();
}

/* ---- before the threads ---------------------------------------------------------------------- */

static void prepare_of(unsigned threads)
{
    kernel_prepare_watch(3, threads);
    kernel_join(SLEEPER);
    bell = note = 0;
    holder = 0;
    is_given = 1;
    sleepers = threads - 1;
}

/* The victim is there, and has it. */
static void prepare_victim(void)
{
    prepare_of(2);
    kernel_join(VICTIM);
    holder = kernel_segment_of(VICTIM)->member;
}

static void prepare_two_sleepers(void)
{
    prepare_of(3);
    kernel_join(VICTIM);
    holder = kernel_segment_of(VICTIM)->member;
}

/* Somebody has slept before: the victim is watched already. */
static void prepare_watched(void)
{
    prepare_victim();
    weft__watch(kernel_segment_of(SLEEPER));
}

static void prepare_watched_prover(void)
{
    prepare_victim();
    kernel_join(OTHER);
    weft__watch(kernel_segment_of(SLEEPER));
}

/* It is still to come. */
static void prepare_alone(void)
{
    prepare_of(2);
}

static void prepare_alone_without(void)
{
    prepare_of(2);
    is_given = 0;
}

/* ---- models ---------------------------------------------------------------------------------- */

#define NAP(variable, title, before, bound, old, dead, ...)                                        \
    EXPLORE_MODEL(variable) = {.name = "nap." title,                                               \
                               .prepare = before,                                                  \
                               .threads = {sleep_and_leave, __VA_ARGS__},                          \
                               .finish = kernel_finish,                                            \
                               .preemptions = bound,                                               \
                               .stale = old,                                                       \
                               .crashes = dead,                                                    \
                               .ends = &kernel_ends,                                               \
                               .survivors = 2}

NAP(nap_death, "death", prepare_watched, 1, 2, 1, kernel_watcher, give_back);
NAP(nap_begin, "begin", prepare_victim, 1, 1, 1, kernel_watcher, give_back);
NAP(nap_arrival, "arrival", prepare_alone, 1, 1, 1, kernel_watcher, come_and_hold);
NAP(nap_late, "late", prepare_alone_without, 0, 1, 1, kernel_watcher, come_and_hold, give);
NAP(nap_prover, "prover", prepare_watched_prover, 1, 0, 2, kernel_watcher, give_back, prove);
NAP(nap_leaver, "leaver", prepare_watched, 1, 1, 1, kernel_watcher, leave_without_giving_back);

EXPLORE_MODEL(nap_two) = {.name = "nap.two",
                          .prepare = prepare_two_sleepers,
                          .threads = {sleep_and_leave, sleep_and_leave, kernel_watcher, give_back},
                          .finish = kernel_finish,
                          .preemptions = 1,
                          .stale = 0,
                          .crashes = 1,
                          .ends = &kernel_ends,
                          .survivors = 3};

/* Nobody is left to wait for: each of two learns it, whoever of them finds it out. */
EXPLORE_MODEL(nap_alone) = {
    .name = "nap.alone",
    .prepare = prepare_two_sleepers,
    .threads = {be_left_alone, be_left_alone, kernel_watcher, leave_without_giving_back},
    .finish = kernel_finish,
    .preemptions = 1,
    .stale = 0,
    .crashes = 1,
    .ends = &kernel_ends,
    .survivors = 3};
