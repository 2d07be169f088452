/* SPDX-License-Identifier: BSD-2-Clause */
/* lane.h — a worker's private tasks and how others get at them. Protocol: core/sched/README.md.
 *
 * A lane is the list `youngest_` of private tasks and the word `attention_`, through which other
 * workers ask for them. Its values:
 *
 *     CALM            nobody wants anything; the only value with which spawn and join stay fast
 *     HUNGRY          somebody looks for work: publish at the next spawn or join
 *     BUSY            the owner is in here; raiders keep out
 *     RAID, ticket    a raider announces that it will look at `youngest_`
 *     TAKEN, task     a raider owns the chain that begins at `task` */
#ifndef WEFT_SCHED_LANE_H
#define WEFT_SCHED_LANE_H

#include <weft/atomic.h>
#include <weft/deque.h>
#include <weft/task.h>

#define WEFT__CALM ((uintptr_t)0)
#define WEFT__HUNGRY ((uintptr_t)1)
#define WEFT__LANE_BUSY ((uintptr_t)2)
#define WEFT__RAID ((uintptr_t)3)
#define WEFT__LANE_TAKEN ((uintptr_t)4)
#define WEFT__TAG(attention) ((attention) & (uintptr_t)7)

/* Owner: another head of the list, stored as spawn and join store it. Returns the word. */
WEFT__INLINE uintptr_t weft__lane_set(weft__lane *lane, weft_task *youngest)
{
    /* edge lane.youngest (release): a raider that reads this value sees the task's contents */
    weft__store_release(&lane->youngest_, youngest);
    weft__compiler_barrier(); /* edge lane.raid: store first, look second */
    return weft__load_relaxed(&lane->attention_);
}

/* Owner: shut raiders out and find out what they took. `popped` is a task that the caller has just
 * taken off the list, or NULL. Nonzero: a raider has `popped`, the caller must wait for it. */
int weft__lane_enter(weft__lane *lane, const weft_task *popped) WEFT_NODISCARD;

/* Owner, between enter and leave: move all private tasks into the deque, oldest at the top.
 * Returns their number; 0 also if the deque could not grow, then they stay private. */
size_t weft__lane_publish(weft__lane *lane, weft_deque *deque);

/* Owner: let others in again; `rest` is CALM, or HUNGRY where nobody can raid. */
void weft__lane_leave(weft__lane *lane, uintptr_t rest);

/* Anyone: ask the owner to publish at its next spawn or join. Nonzero: this call was the one that
 * asked. */
int weft__lane_ask(weft__lane *lane);

/* Thief: take all private tasks of an owner that does not answer. `ticket` must differ from that of
 * every other raid in progress on this lane. Returns the youngest of the chain, or NULL: nothing
 * there, or the owner or another raider was faster. */
weft_task *weft__lane_raid(weft__lane *lane, uint64_t ticket) WEFT_NODISCARD;

/* Push a chain (youngest first) into a deque of the caller's, oldest at the top, by one commit. */
int weft__chain_push(weft_task *youngest, weft_deque *deque) WEFT_NODISCARD;

#endif
