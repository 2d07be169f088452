/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.h — a death wakes those who sleep: sleeps in shared memory, and the thread that watches. */
#ifndef WEFT_IPC_WATCH_H
#define WEFT_IPC_WATCH_H

#include "segment.h"

/* A series of sleeps that one wait consists of. Each ends when its word changes, when a process has
 * been proved dead or has arrived, and, as nothing else tells of some deaths, after a while. */
typedef struct weft__nap {
    weft__segment *segment;
    int64_t deadline; /* of the wait; lowered to what else the caller has to keep to */
    int64_t length;   /* of the next nap, in nanoseconds */
    uint32_t deaths;  /* of the header's, that the wait has been told of; older ones it has seen */
    uint32_t arrivals;
    int is_firm; /* nothing around the caller cuts the wait off */
} weft__nap;

/* To be called before the wait looks who is dead: each death from now on it is told of. */
weft__nap weft__nap_of(weft__segment *segment, int64_t deadline);

/* To be called before the last look at what is waited for: whoever arrives from now on ends the
 * sleep. */
void weft__nap_begin(weft__nap *nap);

/* Sleep while *word == expected. 0 woken, or for no reason; -EOWNERDEAD somebody has been proved
 * dead; -EAGAIN the nap is over, ask who is dead; -ETIMEDOUT, likewise; -ECANCELED. */
int weft__nap_sleep(weft__nap *nap, const uint32_t *word, uint32_t expected);

/* For a wait that begins with a long one. */
void weft__nap_lengthen(weft__nap *nap);

/* Have all others in the segment watched by this process: when one dies it is proved dead, which
 * wakes all sleepers. Whom it cannot watch is found at the end of a nap. */
void weft__watch(weft__segment *segment);

/* Watch nobody in it any more. */
void weft__watch_leave(const weft__segment *segment);

/* Around fork(): a copy has no such thread, and watches nobody yet. */
void weft__watch_before_fork(void);
void weft__watch_after_fork(void);
void weft__watch_in_copy(void);

#endif
