/* SPDX-License-Identifier: BSD-2-Clause */
/* hang.h — what the scheduler tells the detector of hangs, and asks it: see hang.c. */
#ifndef WEFT_CORE_DEBUG_HANG_H
#define WEFT_CORE_DEBUG_HANG_H

#include "sched/worker.h"

/* A worker that has announced its sleep, has found no work, and is about to sleep until `due_ns`:
 * each time around. Returns that, or when it should ask again if that is earlier. */
int64_t weft__hang_watch(weft__worker *worker, int64_t due_ns);

/* How long a suspicion waits; constant, but for tests, which look at every opportunity. */
extern int64_t weft__hang_patience_ns;

/* What the detector knows of plain threads. It alone looks at that; models set it back. */
typedef struct weft__hang_notes {
    uint64_t rests;   /* how often one has gone to rest until it is woken */
    uint64_t rousals; /* how often one was woken */
    uint32_t is_told; /* a hang has been reported */
} weft__hang_notes;

extern weft__hang_notes weft__hang_noted;

/* A plain thread has registered with its waker, and will do nothing until it is woken; it is about
 * to be woken. */
void weft__thread_rests(void);
void weft__thread_roused(void);

/* In a forked child. */
void weft__hang_forked(void);

#endif
