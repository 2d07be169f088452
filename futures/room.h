/* SPDX-License-Identifier: BSD-2-Clause */
/* room.h — the places of a queue, and who waits for one, in order of arrival.
 *
 * A place that becomes free goes to the longest guest and is never free in between: nobody who
 * comes later is faster, and whoever waits is told of the first place that there is for him. A lock
 * of the queue's guards all of it; no guest is woken under it. */
#ifndef WEFT_FUTURES_ROOM_H
#define WEFT_FUTURES_ROOM_H

#include <weft/sync.h>

#include "sched/worker.h"

typedef struct weft__guest {
    weft__waiter waiter;
    struct weft__guest *next; /* in the list, or among those served together */
    weft_mutex *lock;
    weft_reason reason;
    int is_served; /* a place is his */
} weft__guest;

/* Zero memory has no bound. */
typedef struct weft__room {
    size_t max;         /* places; 0: no bound */
    size_t taken;       /* places that are taken; more than there are, if somebody forced his way */
    weft__guest *first; /* the longest guest */
    weft__guest *last;  /* meaningless without guests */
} weft__room;

/* With the lock: take a place. Zero: there is none. */
int weft__room_enter(weft__room *room) WEFT_NODISCARD;

/* With the lock: take a place that there may not be. */
void weft__room_force(weft__room *room);

/* With the lock, which is given back: wait for a place. Returns 0: there is one, and it is the
 * caller's; -ETIMEDOUT the deadline has passed, his own or his scope's; -ECANCELED his scope was
 * cancelled. Dumps show the reason. */
int weft__room_wait(weft__room *room, weft_mutex *lock, weft_reason reason,
                    int64_t deadline_ns) WEFT_NODISCARD;

/* With the lock: so many places are free. Returns the guests who have got them, for
 * weft__room_wake() without the lock. */
weft__guest *weft__room_quit(weft__room *room, size_t count) WEFT_NODISCARD;
void weft__room_wake(weft__guest *served);

#endif
