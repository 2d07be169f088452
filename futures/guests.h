/* SPDX-License-Identifier: BSD-2-Clause */
/* guests.h — who waits for a place in a full queue, in order of arrival.
 *
 * A place that becomes free is not counted and taken again, but given to the longest guest: nobody
 * who comes later is faster. A lock of the queue's guards the list, and the count of places. */
#ifndef WEFT_FUTURES_GUESTS_H
#define WEFT_FUTURES_GUESTS_H

#include <weft/sync.h>

#include "sched/worker.h"

typedef struct weft__guest {
    weft__waiter waiter;
    struct weft__guest *next; /* in the list, or among those served together */
    weft_mutex *lock;
    weft_reason reason;
    int is_served; /* a place is his */
} weft__guest;

/* Zero memory is an empty list. */
typedef struct weft__guests {
    weft__guest *first;
    weft__guest *last; /* meaningless in an empty list */
} weft__guests;

/* With the lock, which is given back: wait for a place. Returns 0: there is one, and it is the
 * caller's; -ETIMEDOUT the deadline has passed, his own or his scope's; -ECANCELED his scope was
 * cancelled. Dumps show the reason. */
int weft__guests_wait(weft__guests *guests, weft_mutex *lock, weft_reason reason,
                      int64_t deadline_ns) WEFT_NODISCARD;

/* With the lock: give up to *count places to the longest guests; *count is what is left of them.
 * Returns the guests, for weft__guests_wake() without the lock. */
weft__guest *weft__guests_serve(weft__guests *guests, size_t *count) WEFT_NODISCARD;
void weft__guests_wake(weft__guest *served);

#endif
