/* SPDX-License-Identifier: BSD-2-Clause */
/* table.h — a ring of capacity 2 in the explorer: each thread is a process with a seat of its own.
 *
 * Elements are numbers. Sent are those whose push has returned; got, those that came out. A thread
 * that stops for ever may have sent one more than it has noted. */
#ifndef EXPLORE_RING_TABLE_H
#define EXPLORE_RING_TABLE_H

#include "explore.h"
#include "mpmc.h"
#include "pipe_ring.h"
#include "recover.h"
#include "spsc.h"

#define RING_CAPACITY 4
#define RING_VALUES 8

extern weft__ring ring;
extern unsigned ring_sent[RING_VALUES];  /* by its producer, after the push */
extern unsigned ring_got[RING_VALUES];   /* times it came out */
extern unsigned ring_again[RING_VALUES]; /* times it came out marked */

/* The first position is explore_argument(). */
void ring_prepare(void);      /* of capacity 2 */
void ring_prepare_pipe(void); /* of 4 granules */

weft__shm_seat *ring_seat(void);   /* the calling thread's */
int64_t ring_push(unsigned value); /* one attempt */
int64_t ring_pop(void);            /* one attempt */
void ring_note(unsigned value, int is_again);

/* Mark as dead whoever is; then settle, taking on what can be taken on. Nonzero while something is
 * undecided, or a message was taken on. */
int ring_recover(void);

/* All that was sent came out, once unless marked; every slot can be used. */
void ring_finish(void);

#endif
