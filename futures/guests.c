/* SPDX-License-Identifier: BSD-2-Clause */
/* guests.c — see guests.h. */
#include "guests.h"

#include <errno.h>

static void append(weft__guests *guests, weft__guest *own)
{
    if (guests->first == NULL)
        guests->first = own;
    else
        guests->last->next = own;
    guests->last = own;
}

static int commit(weft__waiter *waiter, void *arg)
{
    const weft__guest *own = arg;
    weft__waits_for(waiter, own->reason, NULL);
    weft_mutex_unlock(own->lock); /* from here on the guest may be served */
    return 1;
}

/* Give up: nonzero if the guest has been served meanwhile. */
static int leave(weft__guests *guests, weft__guest *own)
{
    weft_mutex_lock(own->lock);
    int is_served = own->is_served;
    weft__guest *before = NULL;
    weft__guest **link = &guests->first;
    while (!is_served && *link != own) {
        before = *link;
        link = &before->next;
    }
    if (!is_served) {
        *link = own->next;
        if (guests->last == own)
            guests->last = before;
    }
    weft_mutex_unlock(own->lock);
    return is_served;
}

int weft__guests_wait(weft__guests *guests, weft_mutex *lock, weft_reason reason,
                      int64_t deadline_ns)
{
    weft__guest own = {.lock = lock, .reason = reason};
    if (deadline_ns <= WEFT_POLL) {
        weft_mutex_unlock(lock);
        return -ETIMEDOUT;
    }
    append(guests, &own);
    int rc = weft__wait_until(&own.waiter, commit, &own, deadline_ns);
    if (rc != 0 && leave(guests, &own)) {
        weft__wait_woken(&own.waiter);
        return 0;
    }
    return rc;
}

weft__guest *weft__guests_serve(weft__guests *guests, size_t *count)
{
    weft__guest *served = guests->first;
    weft__guest **end = &guests->first;
    for (; *end != NULL && *count > 0; end = &(*end)->next, (*count)--)
        (*end)->is_served = 1;
    weft__guest *rest = *end;
    *end = NULL;
    guests->first = rest;
    return served != rest ? served : NULL;
}

void weft__guests_wake(weft__guest *served)
{
    while (served != NULL) {
        weft__guest *next = served->next; /* once woken, it is gone */
        weft__wake(&served->waiter);
        served = next;
    }
}
