/* SPDX-License-Identifier: BSD-2-Clause */
/* channel.h — what a channel and a select know of each other. */
#ifndef WEFT_SYNC_CHANNEL_H
#define WEFT_SYNC_CHANNEL_H

#include <weft/channel.h>

#include "sync/waitq.h"

struct weft_channel {
    weft__waitq senders;   /* its word: [ elements: 29 bits | CLOSED | QUEUED | BUSY ] */
    weft__waitq receivers; /* its word is not used */
    size_t elem_bytes;     /* constant */
    uint32_t capacity;     /* constant */
    uint32_t head;         /* where the oldest element lies; under BUSY, as are the elements */
    _Alignas(16) unsigned char slots[];
};

/* One side of a trade. */
typedef struct weft__party {
    weft__sleeper sleeper; /* its place among the channel's senders or receivers; first member */
    weft_channel *channel;
    void *element;      /* copied from, or into */
    uintptr_t *claimed; /* a select's: nonzero once one of its parties has been chosen; or NULL */
    int is_push;
} weft__party;

#define WEFT__MUST_WAIT 1

/* Under BUSY: trade with whoever waits on the other side, or with the channel itself. Returns 0,
 * -EPIPE or WEFT__MUST_WAIT. *state is changed; *partner, if that is set, has to be woken once BUSY
 * is cleared. */
int weft__channel_trade(weft__party *self, uint32_t *state, weft__party **partner);

/* The same as a whole, without BUSY. */
int weft__channel_try(weft__party *self);

/* Choose this party, for good. Nonzero: done; zero: its select has gone another way. */
WEFT__INLINE int weft__party_claim(weft__party *party)
{
    uintptr_t unclaimed = 0;
    /* relaxed: it decides between claimants; what is passed goes by way of BUSY and of the wake */
    return party->claimed == NULL ||
           weft__cas_relaxed(party->claimed, &unclaimed, (uintptr_t)party);
}

#endif
