/* SPDX-License-Identifier: BSD-2-Clause */
/* room.c — see room.h; why it is right is argued in README.md. */
#include "room.h"

#include <errno.h>

int weft__room_enter(weft__room *room)
{
    if (room->max != 0 && room->taken >= room->max)
        return 0;
    room->taken++;
    return 1;
}

void weft__room_force(weft__room *room)
{
    room->taken++;
}

/* ---- guests --------------------------------------------------------------------------------- */

static void append(weft__room *room, weft__guest *own)
{
    if (room->first == NULL)
        room->first = own;
    else
        room->last->next = own;
    room->last = own;
}

static int commit(weft__waiter *waiter, void *arg)
{
    const weft__guest *own = arg;
    weft__waits_for(waiter, own->reason, NULL);
    weft_mutex_unlock(own->lock); /* from here on the guest may be served */
    return 1;
}

/* Give up: nonzero if the guest has been served meanwhile. */
static int leave(weft__room *room, weft__guest *own)
{
    weft_mutex_lock(own->lock);
    int is_served = own->is_served;
    weft__guest *before = NULL;
    weft__guest **link = &room->first;
    while (!is_served && *link != own) {
        before = *link;
        link = &before->next;
    }
    if (!is_served) {
        *link = own->next;
        if (room->last == own)
            room->last = before;
    }
    weft_mutex_unlock(own->lock);
    return is_served;
}

int weft__room_wait(weft__room *room, weft_mutex *lock, weft_reason reason, int64_t deadline_ns)
{
    weft__guest own = {.lock = lock, .reason = reason};
    if (deadline_ns <= WEFT_POLL) {
        weft_mutex_unlock(lock);
        return -ETIMEDOUT;
    }
    append(room, &own);
    int rc = weft__wait_until(&own.waiter, commit, &own, deadline_ns);
    if (rc != 0 && leave(room, &own)) {
        weft__wait_woken(&own.waiter);
        return 0;
    }
    return rc;
}

weft__guest *weft__room_quit(weft__room *room, size_t count)
{
    weft__guest *served = room->first;
    weft__guest **end = &room->first;
    room->taken -= count;
    for (; *end != NULL && room->taken < room->max; end = &(*end)->next) {
        (*end)->is_served = 1;
        room->taken++;
    }
    weft__guest *rest = *end;
    *end = NULL;
    room->first = rest;
    return served != rest ? served : NULL;
}

void weft__room_wake(weft__guest *served)
{
    while (served != NULL) {
        weft__guest *next = served->next; /* once woken, it is gone */
        weft__wake(&served->waiter);
        served = next;
    }
}
