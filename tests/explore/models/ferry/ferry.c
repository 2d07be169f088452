/* SPDX-License-Identifier: BSD-2-Clause */
/* ferry.c — models of core/io/ferry.c: fibers that wait for what another process gives, beside
 * threads of other processes that wait for the same, while a ferry sleeps for the fibers.
 *
 * Whoever gives counts `rung` up and wakes one, as bell.h does, and counts on it that one goes on.
 * Whoever has taken something to keep is never again there for others; whoever is left asleep
 * beside something that is there is a deadlock. */
#include "models/ferry/kernel.h"

#include "fiber/scope.h"

#include <errno.h>

#define SOON (WEFT_MSEC / 2) /* before the first look at a clock */

/* What fibers and others wait for, in memory that is released where a process has unmapped it. */
typedef struct source {
    uint32_t rung;
    uint32_t there; /* so much is to be had */
} source;

static source *first, *second;
static weft_scope scope;
static uint32_t has_left; /* the fiber has given up */

static source *new_source(void)
{
    source *fresh = explore_alloc(sizeof *fresh);
    fresh->rung = fresh->there = 0;
    return fresh;
}

static void prepare_of(unsigned fibers)
{
    kernel_prepare(fibers);
    first = new_source();
    second = new_source();
    has_left = 0;
}

static void prepare_one(void)
{
    prepare_of(1);
}

static void prepare_two(void)
{
    prepare_of(2);
}

/* A worker looks at others' deadlines only if it has some itself: its wheel says so, falsely. */
static void let_look_at_clock(void)
{
    weft__store_seq_cst(&workers[2].wheel.next_due, 1);
    workers[2].tick = 7;
}

static void prepare_clock(void)
{
    prepare_one();
    let_look_at_clock();
}

static void prepare_scope(void)
{
    prepare_one();
    (void)weft__scope_enter(&scope, NULL, WEFT_FOREVER, 0);
    workers[0].current->scope = &scope;
}

static void finish(void)
{
    if (first != NULL)
        explore_free(first);
    explore_free(second);
    workers_finish();
}

/* ---- giving and taking ----------------------------------------------------------------------- */

static void give(source *to)
{
    (void)weft__fetch_add_acq_rel(&to->there, 1);
    (void)weft__fetch_add_acq_rel(&to->rung, 1);
    (void)explore_park_wake(&to->rung, 1);
}

static int take(source *from)
{
    uint32_t seen = weft__load_relaxed(&from->there);
    while (seen > 0)
        if (weft__cas_acq_rel(&from->there, &seen, seen - 1))
            return 1;
    return 0;
}

/* A fiber: nonzero, it has got something; zero, it has given up. */
static int take_until(source *from, int64_t deadline_ns)
{
    for (;;) {
        weft__sleep sleep = {.word = &from->rung, .expected = weft__load_acquire(&from->rung)};
        if (take(from))
            return 1;
        if (weft_cancel_requested() != 0)
            return 0;
        int rc = weft__ferry_wait(&sleep, 1, deadline_ns);
        explore_check(rc == 0 || rc == -ETIMEDOUT);
        if (rc != 0)
            return 0;
    }
}

/* A thread of another process, which gives on what it has got. */
static void take_in_another(source *from)
{
    for (;;) {
        uint32_t seen = weft__load_acquire(&from->rung);
        if (take(from))
            break;
        explore_park_wait(&from->rung, seen);
    }
    give(from);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void take_one(void)
{
    explore_check(take_until(first, WEFT_FOREVER));
    kernel_done();
}

static void take_of_second(void)
{
    explore_check(take_until(second, WEFT_FOREVER));
    kernel_done();
}

/* Waits for both, and for each alone if it has got the other. */
static void take_both(void)
{
    int has_first = 0, has_second = 0;
    while (!has_first || !has_second) {
        weft__sleep sleeps[] = {{&first->rung, weft__load_acquire(&first->rung)},
                                {&second->rung, weft__load_acquire(&second->rung)}};
        has_first = has_first || take(first);
        has_second = has_second || take(second);
        if (has_first && has_second)
            break;
        explore_check(weft__ferry_wait(sleeps, 2, WEFT_FOREVER) == 0);
    }
    kernel_done();
}

/* What it has got in time it gives on, since others wait as well. */
static void take_soon(void)
{
    if (take_until(first, SOON))
        give(first);
    kernel_done();
}

static void take_in_scope(void)
{
    if (take_until(first, WEFT_FOREVER))
        give(first);
    kernel_done();
}

/* Gives up, and unmaps the memory. */
static void take_soon_and_detach(void)
{
    source *mine = first;
    explore_check(!take_until(mine, SOON));
    weft__store_release(&has_left, 1);
    weft__ferry_forget(mine, sizeof *mine);
    first = NULL;
    explore_free(mine);
    kernel_done();
}

static void give_first(void)
{
    give(first);
}

static void give_first_twice(void)
{
    give(first);
    give(first);
}

static void give_second(void)
{
    give(second);
}

static void give_both(void)
{
    give(first);
    give(second);
}

static void look_at_clock(void)
{
    (void)weft__worker_has_others(weft__worker_self());
    kernel_run_own();
}

static void look_at_clock_and_give(void)
{
    look_at_clock();
    give(first);
}

static void give_and_look_at_clock(void)
{
    give(first);
    look_at_clock();
}

/* Until the time of whoever waits is up. */
static void look_at_clock_and_take_of_second(void)
{
    while (!weft__load_acquire(&has_left)) {
        let_look_at_clock();
        look_at_clock();
        weft__relax();
    }
    take_of_second();
}

static void cancel_and_give(void)
{
    weft_cancel_scope(&scope);
    kernel_run_own();
    give(first);
}

static void give_and_cancel(void)
{
    give(first);
    weft_cancel_scope(&scope);
    kernel_run_own();
}

static void take_other(void)
{
    take_in_another(first);
}

/* ---- models ---------------------------------------------------------------------------------- */

#define FERRY(variable, title, before, bound, old, ...)                                            \
    EXPLORE_MODEL(variable) = {.name = "ferry." title,                                             \
                               .prepare = before,                                                  \
                               .threads = {__VA_ARGS__},                                           \
                               .finish = finish,                                                   \
                               .preemptions = bound,                                               \
                               .stale = old}

FERRY(ferry_wake, "wake", prepare_one, 2, 1, take_one, kernel_ferry, give_first);
FERRY(ferry_both, "both", prepare_one, 1, 1, take_both, kernel_ferry, give_first, give_second);
FERRY(ferry_two, "two", prepare_two, 1, 0, take_one, kernel_ferry, take_one, give_first_twice);
FERRY(ferry_call, "call", prepare_two, 1, 0, take_one, kernel_ferry, take_of_second, give_both);
FERRY(ferry_late, "late", prepare_clock, 0, 1, take_soon, kernel_ferry, look_at_clock_and_give,
      take_other);
FERRY(ferry_just, "just", prepare_clock, 1, 0, take_soon, kernel_ferry, give_and_look_at_clock,
      take_other);
FERRY(ferry_cancel, "cancel", prepare_scope, 0, 1, take_in_scope, kernel_ferry, cancel_and_give,
      take_other);
FERRY(ferry_cancelled, "cancelled", prepare_scope, 1, 0, take_in_scope, kernel_ferry,
      give_and_cancel, take_other);
FERRY(ferry_detach, "detach", prepare_two, 0, 0, take_soon_and_detach, kernel_ferry,
      look_at_clock_and_take_of_second, give_second);
