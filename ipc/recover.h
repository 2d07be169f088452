/* SPDX-License-Identifier: BSD-2-Clause */
/* recover.h — settle what the seats of the dead have left behind in a ring (mpmc.h). */
#ifndef WEFT_IPC_RECOVER_H
#define WEFT_IPC_RECOVER_H

#include "ring.h"

typedef enum weft__settled {
    WEFT__SETTLED = 0,   /* nothing is left; the seat has been freed */
    WEFT__UNDECIDED = 1, /* somebody alive may be the one: look again later */
    WEFT__TAKEN_ON = 2,  /* a message that was taken and not released is the caller's now */
    WEFT__WAITING = 3,   /* there is such a message, and the caller takes none */
} weft__settled;

#define WEFT__NO_SEAT UINT32_MAX

/* Who does it, and what came of it. */
typedef struct weft__heir {
    uint32_t seat;     /* from which a message is taken on; WEFT__NO_SEAT: none is */
    uint64_t most;     /* pipes: the longest message that is */
    uint64_t position; /* out: of the message, with TAKEN_ON */
    unsigned changes;  /* out: words that were changed for others */
    unsigned too_long; /* out: messages that were not taken on because of `most` */
} weft__heir;

/* One round over all seats of the dead. Returns the first of TAKEN_ON, then UNDECIDED, WAITING,
 * SETTLED that applies. Lock-free; any number of processes may do this at once, and be killed while
 * they do. */
weft__settled weft__recover(const weft__ring *ring, weft__heir *heir);

#endif
