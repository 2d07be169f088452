/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.c — models of futures/tally.c: the one who wants to know when everything has ended is told,
 * and not too early; what is counted goes as soon as nobody uses it. */
#include "common/workers.h"

#include "state.h"
#include "tally.h"

#define NOT_YET 0u
#define HANDED_OVER 1u
#define LEFT 2u /* the other worker has gone */

static weft__tally *tally;
static weft__counts counts[2];
static uint32_t second; /* what becomes of the second task */
static uint32_t told;
static unsigned first_ended, second_ended; /* each is written before its task is counted */
static unsigned expected_first, expected_second;
static unsigned used; /* what an accepted submission uses, and whoever closes frees */

/* One task is in flight. */
static void prepare_with(int can_raid)
{
    workers_prepare(0);
    tally = explore_alloc(sizeof *tally);
    counts[0] = counts[1] = (weft__counts){0, 0};
    weft__tally_init(tally, counts, sizeof counts[0], 2, can_raid);
    counts[0].submitted = 1;
    second = NOT_YET;
    told = 0;
    first_ended = second_ended = 0;
    expected_first = expected_second = 1;
    used = 0;
}

static void prepare(void)
{
    prepare_with(1);
}

static void prepare_without_barrier(void)
{
    prepare_with(0);
}

static void prepare_outside_with(int can_raid)
{
    prepare_with(can_raid);
    counts[0].submitted = 0;
    expected_first = expected_second = 0; /* until it is accepted */
}

static void prepare_outside(void)
{
    prepare_outside_with(1);
}

static void prepare_outside_without_barrier(void)
{
    prepare_outside_with(0);
}

/* Nobody will come across the task in flight. */
static void prepare_purge(void)
{
    prepare_with(1);
    expected_second = 0;
}

/* Whoever is to tell sees everything that was to end. */
static void tell(int is_all)
{
    if (!is_all)
        return;
    explore_check(first_ended == expected_first && second_ended == expected_second);
    weft__store_release(&told, 1);
}

static void run_second(weft__counts *own)
{
    explore_check(!weft__load_relaxed(&told)); /* nothing runs after the end */
    second_ended = 1;
    tell(weft__tally_end(tally, own));
}

/* A task that submits another, and runs that too if nobody else is there. */
static void first_task(void)
{
    uint32_t seen = NOT_YET;
    weft__tally_submit(&counts[0]);
    int is_handed_over = weft__cas_acq_rel(&second, &seen, HANDED_OVER);
    first_ended = 1;
    tell(weft__tally_end(tally, &counts[0]));
    if (!is_handed_over)
        run_second(&counts[0]);
}

static void other_worker(void)
{
    uint32_t seen = NOT_YET;
    if (!weft__cas_acq_rel(&second, &seen, LEFT))
        run_second(&counts[1]);
}

static void watcher(void)
{
    tell(weft__tally_watch(tally, 1));
}

static void watcher_without_barrier(void)
{
    tell(weft__tally_watch(tally, 0));
}

/* From outside, unless it is too late. */
static void submitter(void)
{
    uint32_t seen = NOT_YET;
    if (weft__tally_enter(tally)) {
        expected_second = 1;
        if (!weft__cas_acq_rel(&second, &seen, HANDED_OVER))
            run_second(&counts[0]);
        used++;
    } else {
        tell(weft__tally_refuse(tally));
    }
    weft__tally_leave(tally);
}

/* What submissions use goes when everything has ended and nobody is inside any more. Workers are
 * joined before, in the library. */
static void close_with(int can_raid)
{
    weft__tally_close(tally);
    tell(weft__tally_watch(tally, can_raid));
    if (!weft__load_acquire(&told))
        return;
    while (weft__tally_is_entered(tally))
        weft__relax();
    used++;
}

static void closer(void)
{
    close_with(1);
}

static void closer_without_barrier(void)
{
    close_with(0);
}

static void purger(void)
{
    first_ended = 1;
    weft__tally_purge(tally);
    watcher();
}

static void finish(void)
{
    explore_check(told);
    explore_free(tally);
    workers_finish();
}

EXPLORE_MODEL(future_tally) = {
    .name = "tally.inside",
    .prepare = prepare,
    .threads = {first_task, other_worker, watcher},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(future_tally_without_barrier) = {
    .name = "tally.without_barrier",
    .prepare = prepare_without_barrier,
    .threads = {first_task, other_worker, watcher_without_barrier},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(future_tally_outside) = {
    .name = "tally.outside",
    .prepare = prepare_outside,
    .threads = {submitter, other_worker, closer},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(future_tally_outside_without_barrier) = {
    .name = "tally.outside_without_barrier",
    .prepare = prepare_outside_without_barrier,
    .threads = {submitter, other_worker, closer_without_barrier},
    .finish = finish,
    .preemptions = 2,
    .stale = 1,
};

EXPLORE_MODEL(future_tally_purge) = {
    .name = "tally.purge",
    .prepare = prepare_purge,
    .threads = {purger, watcher},
    .finish = finish,
    .preemptions = 3,
    .stale = 1,
};

/* ---- newcomers ------------------------------------------------------------------------------- */

/* What goes when the only task has ended. */
typedef struct house {
    uint32_t held; /* by those who have come in time */
    unsigned touched;
} house;

static house *pool;
static weft__state state;
static uint32_t newcomers;

static void prepare_house(void)
{
    workers_prepare(0);
    pool = explore_alloc(sizeof *pool);
    pool->held = 0;
    pool->touched = 0;
    newcomers = 0;
    weft__state_init(&state);
    state.handles = 2;
}

/* It waits for the task. */
static void newcomer(void)
{
    house *mine = NULL;
    weft__newcomer_comes(&newcomers);
    if ((weft__state_look(&state) & WEFT__ENDED) == 0) {
        mine = pool;
        weft__fetch_add_relaxed(&mine->held, 1);
    }
    weft__newcomer_goes(&newcomers);
    if (mine == NULL)
        return;
    mine->touched++;
    weft__fetch_add_acq_rel(&mine->held, (uint32_t)-1);
}

static void run_task(void)
{
    explore_check(weft__state_begin(&state));
    explore_check(weft__state_finish(&state, 0) == WEFT__AFTER_NOTHING);
}

static void free_house(void)
{
    while ((weft__state_look(&state) & WEFT__ENDED) == 0)
        weft__relax();
    weft__newcomers_await(&newcomers);
    while (weft__load_acquire(&pool->held) > 0)
        weft__relax();
    explore_free(pool);
}

EXPLORE_MODEL(future_newcomers) = {
    .name = "tally.newcomers",
    .prepare = prepare_house,
    .threads = {newcomer, run_task, free_house},
    .finish = workers_finish,
    .preemptions = 2,
    .stale = 1,
};
