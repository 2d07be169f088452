/* SPDX-License-Identifier: BSD-2-Clause */
/* room.c — models of futures/room.c: places that are given back while some wait for one, give up at
 * a deadline, or are cancelled.
 *
 * All threads are plain ones, and the room has places for one or two; `held` says how many have
 * one. Whoever waits for a place that there is waits for ever, and a place that is lost is missing
 * in the end. Guests' frames are their threads'; who touches one that has gone is noticed. */
#include "common/workers.h"

#include "room.h"

#include "fiber/scope.h"

#include <errno.h>

#define SOON WEFT_MSEC /* the explorer lets it pass at once */

static weft_mutex *lock;
static weft__room room;
static uint32_t held;

static weft_scope scope; /* that a guest is in */

/* All places are taken. */
static void prepare_places(size_t max, size_t taken)
{
    workers_prepare(0);
    lock = explore_alloc(sizeof *lock);
    *lock = (weft_mutex)WEFT_MUTEX_INIT;
    room = (weft__room){.max = max, .taken = taken};
    held = (uint32_t)taken;

    (void)weft__scope_enter(&scope, NULL, WEFT_FOREVER, 0);
}

static void prepare_one(void)
{
    prepare_places(1, 1);
}

static void prepare_two(void)
{
    prepare_places(2, 2);
}

/* Somebody has forced his way. */
static void prepare_crowded(void)
{
    prepare_places(1, 2);
}

static void finish(void)
{
    explore_check(held == 0 && room.taken == 0 && room.first == NULL);
    explore_free(lock);
    workers_finish();
}

/* ---- what pools do --------------------------------------------------------------------------- */

static void quit(size_t count)
{
    weft__fetch_add_acq_rel(&held, 0u - (uint32_t)count);
    weft_mutex_lock(lock);
    weft__guest *served = weft__room_quit(&room, count);
    explore_check(room.first == NULL || room.taken >= room.max);
    weft_mutex_unlock(lock);
    weft__room_wake(served);
}

/* A submission: 0, or why there is no place. */
static int enter(int64_t deadline_ns)
{
    weft_mutex_lock(lock);
    int rc = 0;
    if (weft__room_enter(&room))
        weft_mutex_unlock(lock);
    else
        rc = weft__room_wait(&room, lock, WEFT_REASON_FUTURE, deadline_ns);
    if (rc == 0)
        explore_check(weft__fetch_add_acq_rel(&held, 1) < room.max);
    return rc;
}

/* ---- threads --------------------------------------------------------------------------------- */

/* Its task begins, or ends, or is cancelled, or the submission that has got a place fails. */
static void guest(void)
{
    explore_check(enter(WEFT_FOREVER) == 0);
    quit(1);
}

static void hurried_guest(void)
{
    int rc = enter(SOON);
    explore_check(rc == 0 || rc == -ETIMEDOUT);
    if (rc == 0)
        quit(1);
}

/* Gives up, and comes again. */
static void persistent_guest(void)
{
    if (enter(SOON) != 0)
        explore_check(enter(WEFT_FOREVER) == 0);
    quit(1);
}

static void cancelled_guest(void)
{
    weft__thread_set_scope(&scope);
    int rc = enter(WEFT_FOREVER);
    explore_check(rc == 0 || rc == -ECANCELED);
    if (rc == 0)
        quit(1);
}

static void worker(void)
{
    quit(1);
}

static void cancelling_worker(void)
{
    quit(1);
    weft_cancel_scope(&scope);
}

/* A shutdown takes all back that has not begun. */
static void shutdown(void)
{
    quit(2);
}

static void worker_twice(void)
{
    quit(1);
    quit(1);
}

EXPLORE_MODEL(room_pass) = {
    .name = "room.pass",
    .prepare = prepare_one,
    .threads = {guest, worker},
    .finish = finish,
    .preemptions = 2,
    .stale = 2,
};

EXPLORE_MODEL(room_order) = {
    .name = "room.order",
    .prepare = prepare_one,
    .threads = {guest, guest, worker},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(room_hurry) = {
    .name = "room.hurry",
    .prepare = prepare_one,
    .threads = {hurried_guest, guest, worker},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(room_again) = {
    .name = "room.again",
    .prepare = prepare_one,
    .threads = {persistent_guest, guest, worker},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(room_cancel) = {
    .name = "room.cancel",
    .prepare = prepare_one,
    .threads = {cancelled_guest, guest, cancelling_worker},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(room_shutdown) = {
    .name = "room.shutdown",
    .prepare = prepare_two,
    .threads = {guest, hurried_guest, shutdown},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};

EXPLORE_MODEL(room_forced) = {
    .name = "room.forced",
    .prepare = prepare_crowded,
    .threads = {guest, guest, worker_twice},
    .finish = finish,
    .preemptions = 1,
    .stale = 1,
};
