/* SPDX-License-Identifier: BSD-2-Clause */
/* mpmc.c — models of ipc/mpmc.h and recover.c: producers and consumers, each of which may stop for
 * ever after any store. Whoever is left settles it; afterwards all that was sent has come out, and
 * every slot can be used again. */
#include "models/ring/table.h"

static void push_number(unsigned value)
{
    while (ring_push(value) == -EAGAIN)
        weft__relax();
}

static void push_first(void)
{
    push_number(1);
}

static void push_second(void)
{
    push_number(2);
}

static void push_two(void)
{
    for (unsigned value = 1; value <= 2; value++)
        push_number(value);
}

static void push_three(void)
{
    for (unsigned value = 1; value <= 3; value++)
        push_number(value);
}

static void pop_once(void)
{
    (void)ring_pop();
}

static void pop_number(unsigned count)
{
    while (count > 0) {
        int64_t rc = ring_pop();
        explore_check(rc == 1 || rc == -EAGAIN);
        if (rc > 0)
            count--;
        else
            weft__relax();
    }
}

static void pop_one(void)
{
    pop_number(1);
}

static void pop_three(void)
{
    pop_number(3);
}

static void pop_two(void)
{
    pop_number(2);
}

/* All others have ended, by themselves or for ever: pop and settle what there is. Two quiet rounds,
 * because settling makes room for more to be popped. */
static void finish_rest(void)
{
    for (int quiet = 0; quiet < 2; quiet++) {
        int64_t rc;
        while ((rc = ring_pop()) > 0)
            continue;
        explore_check(rc == -EAGAIN);
        while (ring_recover())
            continue;
    }
    ring_finish();
}

/* One element is there from the beginning. */
static void prepare_one(void)
{
    ring_prepare();
    explore_check(ring_push(1) == 1);
}

static void recover_once(void)
{
    (void)ring_recover();
    (void)ring_pop();
}

#define MPMC_FROM(variable, title, before, ...)                                                    \
    EXPLORE_MODEL(variable) = {.name = "mpmc." title, .prepare = before, __VA_ARGS__}
#define MPMC(variable, title, ...) MPMC_FROM(variable, title, ring_prepare, __VA_ARGS__)

/* Three elements through two slots: a slot is used twice. */
MPMC(mpmc_reuse, "reuse", .threads = {push_three, pop_three}, .finish = ring_finish,
     .preemptions = 2, .stale = 1);
MPMC(mpmc_wrap, "wrap", .threads = {push_three, pop_three}, .finish = ring_finish, .preemptions = 1,
     .stale = 1, .argument = ((uint64_t)1 << 62) - 2);
MPMC(mpmc_producers, "producers", .threads = {push_first, push_second, pop_two},
     .finish = ring_finish, .preemptions = 1, .stale = 1);
MPMC(mpmc_consumers, "consumers", .threads = {push_two, pop_one, pop_one}, .finish = ring_finish,
     .preemptions = 1, .stale = 1);

/* With some that stop for ever, and nobody who knows of it before the end. */
MPMC(mpmc_crash, "crash", .threads = {push_two, pop_once}, .finish = finish_rest, .preemptions = 3,
     .stale = 1, .crashes = 1);
MPMC(mpmc_crash_producers, "crash-producers", .threads = {push_first, push_second},
     .finish = finish_rest, .preemptions = 3, .stale = 1, .crashes = 2);
MPMC(mpmc_crash_consumers, "crash-consumers", .threads = {push_two, pop_once, pop_once},
     .finish = finish_rest, .preemptions = 1, .stale = 1, .crashes = 2);

/* Those who are left recover while others go on, and may stop in the middle of it. */
MPMC(mpmc_recover_push, "recover-push", .threads = {push_first, push_second, recover_once},
     .finish = finish_rest, .preemptions = 2, .stale = 1, .crashes = 1);
MPMC(mpmc_recover_pop, "recover-pop", .threads = {push_first, pop_once, recover_once},
     .finish = finish_rest, .preemptions = 2, .stale = 1, .crashes = 1);
MPMC_FROM(mpmc_recoverers, "recoverers", prepare_one,
          .threads = {pop_once, recover_once, recover_once}, .finish = finish_rest,
          .preemptions = 1, .stale = 1, .crashes = 2);

/* ---- what is given up, and the end ----------------------------------------------------------- */

/* Half written, and given up: nobody gets it, and the slot is used again. */
static void give_up(void)
{
    uint64_t position = 0;
    if (weft__mpmc_claim_push(&ring, ring_seat(), 1, 1, &position) != 1)
        return;
    *(unsigned *)(void *)weft__ring_element(&ring, position) = 7;
    weft__mpmc_annul(&ring, position, 1);
}

static void push_after_pop(void)
{
    push_number(1);
    pop_one();
    push_number(2);
    pop_one();
}

MPMC(mpmc_given_up, "given-up", .threads = {give_up, push_after_pop}, .finish = finish_rest,
     .preemptions = 2, .stale = 2);

/* Whoever is told of the end sees what was done before it, and has had all that was sent. */
static unsigned farewell;

static void prepare_open(void)
{
    farewell = 0;
    ring_prepare();
}

static void push_and_close(void)
{
    push_number(1);
    farewell = 1;
    explore_check(weft__mpmc_close(&ring) == 1);
}

static void pop_to_the_end(void)
{
    int64_t rc;
    while ((rc = ring_pop()) != -EPIPE)
        if (rc != 1)
            weft__relax();
    explore_check(farewell == 1 && ring_got[1] == 1);
}

MPMC_FROM(mpmc_close, "close", prepare_open, .threads = {push_and_close, pop_to_the_end},
          .finish = ring_finish, .preemptions = 3, .stale = 2);
