/* SPDX-License-Identifier: BSD-2-Clause */
/* owner.h — who is attached to a segment, from which seats it acts, and who of them is dead.
 *
 * A process joins the table of processes once, and takes seats as its threads need them. A seat
 * serves one operation at a time: each thread has one for what begins and ends in one call; what
 * stays open between two calls (a reservation, a message being read) has one of its own, because a
 * fiber may continue it on another thread.
 *
 * A process is dead once somebody has proved it (alive.h) and has moved its entry to DEAD. What its
 * seats held is then settled (recover.c), the seats are freed, and last the entry, whose generation
 * grows. A member is an index and a generation, so a name of the dead never means its successor. */
#ifndef WEFT_IPC_OWNER_H
#define WEFT_IPC_OWNER_H

#include <weft/atomic.h>

#include "ring.h"
#include "segment.h"

/* Join the table: 0 or -ENOMEM, no entry is free. */
int weft__member_join(weft__segment *segment) WEFT_NODISCARD;

/* The ring in a segment that holds one. */
weft__ring weft__ring_of(const weft__segment *segment);

/* Leave it. `is_killed`: leave everything as it is, to be found by the others, who are told. */
void weft__member_leave(weft__segment *segment, int is_killed);

/* Make a segment known to this process, so that a forked child joins it anew, and forget it. */
void weft__segment_enter(weft__segment *segment);
void weft__segment_leave(weft__segment *segment);

/* This process as a member, joining if it is a forked child; 0: there is no entry left. */
uint64_t weft__member_self(weft__segment *segment);

/* Whether a member has been proved dead or is gone; for those who have no ring. */
int weft__member_is_dead(const weft__segment *segment, uint64_t member);

/* Whether it has left in that way, and nobody has taken note yet: weft__member_look() does. */
int weft__member_has_left(const weft__segment *segment, uint64_t member);

/* Ask the kernel about all others; system calls. Returns how many entries are DEAD now. */
unsigned weft__members_look(weft__segment *segment);

/* The same about one of them. */
void weft__member_look(weft__segment *segment, uint64_t member);

/* Who has the entry: a member that lives and is not this process, or 0. */
uint64_t weft__member_other(const weft__segment *segment, uint32_t index);

/* A pidfd of a member, as weft__identity_open(). */
int weft__member_open(const weft__segment *segment, uint64_t member);

/* How many other processes are attached and not known to be dead. */
unsigned weft__members_others(const weft__segment *segment);

/* Free the entries of the dead that hold no seat any more. */
void weft__members_reap(weft__segment *segment);

/* The running thread's seat for a pop or a push: its index; -ENOMEM; -EBUSY, it cannot have one of
 * its own. Not across a wait. */
int weft__seat_of_thread(weft__segment *segment, weft__cause cause);

/* A seat for what stays open: its index, or -ENOMEM; and back. */
int weft__seat_take(weft__segment *segment);
void weft__seat_give_back(weft__segment *segment, uint32_t seat);

/* The fast half of weft__seat_of_thread(). */
WEFT__INLINE int weft__seat_find(const weft__segment *segment, uintptr_t thread, weft__cause cause)
{
    uint64_t at = (uint64_t)thread * UINT64_C(0x9e3779b97f4a7c15) >> 58; /* WEFT__THREADS_MAX */
    const weft__thread_seat *entry = &segment->threads[at];
    if (WEFT__LIKELY(weft__load_relaxed(&entry->noted[cause]) ==
                     thread))                         /* relaxed: it wrote it itself */
        return (int)weft__load_relaxed(&entry->seat); /* relaxed: as above */
    return -1;
}

/* Note that the caller pops, or pushes; and whether somebody else of this process has. Where fibers
 * have, each is somebody else, to itself as well: seats do not tell them apart. */
void weft__note_caller(weft__segment *segment, weft__cause cause);
int weft__has_other_callers(const weft__segment *segment, weft__cause cause);

#endif
