/* SPDX-License-Identifier: BSD-2-Clause */
/* mutex.h — what a condition needs of a mutex: to let its waiters stand in line for it. */
#ifndef WEFT_SYNC_MUTEX_H
#define WEFT_SYNC_MUTEX_H

#include "sync/waitq.h"

/* Somebody who waits for a mutex, whose queue `sleeper.queue` is. */
typedef struct weft__contender {
    weft__sleeper sleeper; /* first member */
    int64_t since;         /* when it began to wait */
    int is_runner;         /* it has been woken to try its luck, and comes back too late */
} weft__contender;

/* On behalf of a contender that is asleep elsewhere: give it the mutex and wake it, or put it in
 * line so that it will be. `sleeper.waiter` and `sleeper.queue` are set. */
void weft__mutex_stand_in_line(weft__contender *contender);

/* The contender, woken after that: have the mutex. */
void weft__mutex_have(weft__contender *contender);

#endif
