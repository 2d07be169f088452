/* SPDX-License-Identifier: BSD-2-Clause */
/* handle.h — what a weft_queue or weft_pipe is in the process that uses it, and how it waits. */
#ifndef WEFT_IPC_HANDLE_H
#define WEFT_IPC_HANDLE_H

#include <weft/queue.h>

#include "owner.h"
#include "ring.h"
#include "segment.h"
#include "spsc.h"

#include <errno.h>

/* The part of a one-to-one queue that this process plays. */
typedef struct weft__part {
    weft__spsc_side side;
    uint64_t member;  /* this process when it took the part; 0: it has not */
    uint64_t kept;    /* the limit, while an item is open */
    uint32_t is_open; /* an item is reserved, or taken: there is only one at a time */
} weft__part;

struct weft_queue {
    weft__ring ring;
    weft__segment *segment;
    size_t elem_bytes;
    uint32_t is_spsc;
    uint32_t deaths_seen; /* of the header's, when all of them were settled */
    uint32_t open_items;  /* where items have seats; changed by fetch_add */
    uint32_t spin_ns[2];  /* how long to spin for data, for space; learnt */
    uint64_t joined;      /* positions below have been seen released */
    __attribute__((aligned(64))) weft__part push;
    __attribute__((aligned(64))) weft__part pop;
};

struct weft_pipe {
    weft_queue queue;
};

/* Something to be tried until it succeeds: not negative, or an error that is not -EAGAIN. */
typedef int64_t weft__attempt(weft_queue *queue, void *arg);

/* Attempt, spin, attempt, sleep, look who is dead … until the deadline; the first attempt has
 * already failed with -EAGAIN. Returns what the attempt says, or -EAGAIN (WEFT_POLL), -ETIMEDOUT,
 * -ECANCELED, -EOWNERDEAD, -EPROTO. */
int64_t weft__queue_wait(weft_queue *queue, weft__cause cause, weft__attempt *attempt, void *arg,
                         int64_t deadline);

/* The same, the first attempt included. */
WEFT__INLINE int64_t weft__queue_do(weft_queue *queue, weft__cause cause, weft__attempt *attempt,
                                    void *arg, int64_t deadline)
{
    int64_t rc = attempt(queue, arg);
    return rc == -EAGAIN ? weft__queue_wait(queue, cause, attempt, arg, deadline) : rc;
}

/* Open an item by attempts that get it as their argument, with its bytes set; the caller's is left
 * untouched until one succeeds. */
WEFT__INLINE int weft__item_get(weft_queue *queue, weft__cause cause, weft__attempt *attempt,
                                weft_item *item, size_t bytes, int64_t deadline)
{
    weft_item opened = {.bytes = bytes};
    if (!queue->is_spsc)
        weft__note_caller(queue->segment, cause);
    int64_t rc = weft__queue_do(queue, cause, attempt, &opened, deadline);
    if (rc < 0)
        return (int)rc;
    *item = opened;
    return 0;
}

/* Begin an item at a position, `skip` bytes into its place; a seat is kept for it. And end it. */
void weft__item_open(weft_queue *queue, weft_item *item, uint64_t position, size_t skip, int seat);
void weft__item_close(weft_queue *queue, weft_item *item);

/* Whether somebody has died of whom not all is settled. */
int weft__queue_has_dead(const weft_queue *queue);

/* Settle what can be settled without taking a message; tell whoever waits. */
void weft__queue_settle(weft_queue *queue);

/* Take a message on from the dead, from this seat: its position; -EAGAIN: none; -EMSGSIZE: there is
 * one of more than `most` bytes. */
int64_t weft__queue_inherit(weft_queue *queue, uint32_t seat, uint64_t most);

/* A seat for one operation, a pop or a push: the thread's, or, if it has none, one to be given
 * back. Its index, or -ENOMEM. */
int weft__op_seat_slow(weft_queue *queue, weft__cause cause, int *is_borrowed);
void weft__op_done_slow(weft_queue *queue, int seat);

#endif
