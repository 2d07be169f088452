/* SPDX-License-Identifier: BSD-2-Clause */
/* owner.c — models of the table of processes: an entry is one process's at a time; and nobody is
 * declared dead who has not ended, whatever becomes of his number, his entry and whoever looks. */
#include "models/death/kernel.h"

enum { FIRST, SECOND, THIRD };

static unsigned notes[KERNEL_PROCESSES]; /* on a seat, of whoever has it */

static void join(void)
{
    weft__segment *segment = kernel_segment();
    if (weft__member_join(segment) != 0)
        segment->member = 0;
}

static void join_and_leave(void)
{
    join();
    if (kernel_segment()->member == 0)
        return;
    weft__member_leave(kernel_segment(), 0);
    kernel_segment()->member = 0;
}

static void look(void)
{
    (void)weft__members_look(kernel_segment());
    weft__members_reap(kernel_segment());
}

/* Lives, or not; it does nothing to its entry any more. */
static void live(void)
{
    WEFT_CRASH_POINT(100);
    (void)weft__load_relaxed(&header.deaths);
}

/* Leaves with something that it has noted, and lives. */
static void leave_it_open(void)
{
    notes[0]++;
    weft__member_leave(kernel_segment(), 1);
    kernel_segment()->member = 0;
}

/* Looks, and settles what the first has left. */
static void look_and_settle(void)
{
    (void)weft__members_look(kernel_segment());
    if (weft__member_is_dead(kernel_segment(), WEFT__MEMBER(1, FIRST)))
        notes[0]++;
}

/* Comes when the first is dead, and has its number. */
static void succeed(void)
{
    if (kernel_has_ended(FIRST))
        join();
}

/* ---- seats ----------------------------------------------------------------------------------- */

static int taken[KERNEL_PROCESSES];

static void sit(void)
{
    notes[0]++;
    WEFT_CRASH_POINT(101);
    (void)weft__load_relaxed(&header.deaths);
}

static void sit_and_leave(void)
{
    notes[0]++;
    weft__member_leave(kernel_segment(), 0);
    kernel_segment()->member = 0;
}

/* All seats are taken: there is one when somebody has died, or has left. */
static void take(void)
{
    int seat = weft__seat_take(kernel_segment());
    taken[explore_self()] = seat;
    if (seat >= 0)
        notes[seat]++;
}

/* A seat for each of them. */
static void prepare_seats(void)
{
    kernel_prepare(3);
    for (unsigned i = 0; i < 3; i++) {
        kernel_join(i);
        seats[i].owner = kernel_segment_of(i)->member;
        notes[i] = 0;
        taken[i] = -1;
    }
}

static void check_seats(void)
{
    int is_free = kernel_segment_of(FIRST)->member == 0 || kernel_has_ended(FIRST);
    explore_check((taken[SECOND] >= 0) + (taken[THIRD] >= 0) <= is_free);
    kernel_finish();
}

/* ---- before the threads ---------------------------------------------------------------------- */

static void prepare_two(void)
{
    kernel_prepare(2);
}

static void prepare_full(void)
{
    kernel_prepare(2);
    kernel_join(FIRST);
    kernel_join(SECOND);
    kernel_inherit(THIRD, FIRST);
    notes[0] = 0;
}

/* ---- models ---------------------------------------------------------------------------------- */

/* Two places for three, of whom one leaves again. */
EXPLORE_MODEL(owner_join) = {.name = "owner.join",
                             .prepare = prepare_two,
                             .threads = {join, join, join_and_leave},
                             .finish = kernel_finish,
                             .preemptions = 2,
                             .stale = 0,
                             .crashes = 1};

/* The first dies, its entry is given to the one who has its number now, and the second looks at it
 * all the time. */
EXPLORE_MODEL(owner_reuse) = {.name = "owner.reuse",
                              .prepare = prepare_full,
                              .threads = {live, look, succeed},
                              .finish = kernel_finish,
                              .preemptions = 3,
                              .stale = 2,
                              .crashes = 1};

/* Two look at once, and the first may live. */
EXPLORE_MODEL(owner_look) = {.name = "owner.look",
                             .prepare = prepare_full,
                             .threads = {live, look, join},
                             .finish = kernel_finish,
                             .preemptions = 2,
                             .stale = 1,
                             .crashes = 1};

/* Somebody who leaves what he has to the others. */
EXPLORE_MODEL(owner_left) = {.name = "owner.left",
                             .prepare = prepare_full,
                             .threads = {leave_it_open, look_and_settle},
                             .finish = kernel_finish,
                             .preemptions = 3,
                             .stale = 2};

/* A seat of the dead, or of one who leaves, is had by one of two. */
EXPLORE_MODEL(owner_seat) = {.name = "owner.seat",
                             .prepare = prepare_seats,
                             .threads = {sit, take, take},
                             .finish = check_seats,
                             .preemptions = 2,
                             .stale = 1,
                             .crashes = 1};

EXPLORE_MODEL(owner_free_seat) = {.name = "owner.free-seat",
                                  .prepare = prepare_seats,
                                  .threads = {sit_and_leave, take, take},
                                  .finish = check_seats,
                                  .preemptions = 2,
                                  .stale = 1};
