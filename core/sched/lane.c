/* SPDX-License-Identifier: BSD-2-Clause */
/* lane.c — publication on demand, and the raid that leaves nothing unstealable.
 *
 *     owner's join            raider
 *     youngest = t->prev      attention: CALM|HUNGRY → RAID
 *     (compiler barrier)      membarrier()
 *     look at attention       y = youngest
 *                             attention: RAID → TAKEN, y
 *
 * The owner stores first and looks second, with nothing but a compiler barrier between; the
 * raider's membarrier() makes up for it: either the owner's look sees RAID, or the raider's look
 * sees the owner's store. [lane.raid] If the owner sees RAID it enters (BUSY), and the raider's
 * second compare-and-swap fails. If the raider's succeeds, no spawn or join of the owner has
 * completed in between, so the chain from y is exactly what is private, but for the one task of the
 * spawn or join in flight; that one settles it in enter(). Nobody waits for anybody.
 *
 * The frames of a taken chain cannot die: their joins find the task neither private nor done.
 *
 * Rejected:
 *   - the owner looks first, stores second: a task runs twice;
 *   - the raider takes only the oldest task: it would have to cut a list that the owner walks;
 *   - a flag for each task: one more store for each spawn, for something that happens rarely. */
#include "lane.h"

#include <weft/atomic.h>

#include "batch.h"
#include "hooks.h"

/* The tasks of a chain, youngest first. */
static size_t chain_length(const weft_task *youngest)
{
    size_t length = 0;
    for (const weft_task *task = youngest; task != NULL; task = task->prev_)
        length++;
    return length;
}

/* A raider owns the chain from `taken` on: keep what is newer, cut the rest off. At most the one
 * task of a spawn in flight is newer. */
static void forget_taken(weft__lane *lane, const weft_task *taken)
{
    weft_task *youngest = weft__load_relaxed(&lane->youngest_); /* relaxed: the owner's own */
    if (youngest == taken) {
        weft__store_relaxed(&lane->youngest_, NULL); /* relaxed: raiders are shut out */
        return;
    }
    weft_assert(youngest != NULL);
    weft_assert(youngest->prev_ == taken);
    youngest->prev_ = NULL;
}

int weft__lane_enter(weft__lane *lane, const weft_task *popped)
{
    uintptr_t seen = weft__load_relaxed(&lane->attention_); /* relaxed: the exchange decides */
    /* edge lane.attention (acquire): what the last raider did before it gave up is behind us.
     * edge lane.taken (acq_rel): settles the race with a raider's second compare-and-swap. */
    while (!weft__cas_acq_rel(&lane->attention_, &seen, WEFT__LANE_BUSY))
        weft_assert(WEFT__TAG(seen) != WEFT__LANE_BUSY);
    WEFT_CRASH_POINT(10);
    if (WEFT__TAG(seen) != WEFT__LANE_TAKEN)
        return 0;
    const weft_task *taken = (const weft_task *)(seen & ~(uintptr_t)7); /* see WEFT__LANE_TAKEN */
    if (popped != NULL && taken == popped) {
        weft__store_relaxed(&lane->youngest_, NULL); /* relaxed: raiders are shut out */
        return 1;
    }
    forget_taken(lane, taken);
    return 0;
}

int weft__chain_push(weft_task *youngest, weft_deque *deque)
{
    size_t length = chain_length(youngest);
    int rc = weft__deque_reserve(deque, length);
    if (rc != 0)
        return rc;
    size_t offset = length;
    for (weft_task *task = youngest; task != NULL; task = task->prev_)
        weft__deque_fill(deque, --offset, task);
    weft__deque_commit(deque, length);
    return 0;
}

size_t weft__lane_publish(weft__lane *lane, weft_deque *deque)
{
    weft_task *youngest = weft__load_relaxed(&lane->youngest_); /* relaxed: the owner's own */
    if (youngest == NULL)
        return 0;
    size_t length = chain_length(youngest);
    if (weft__chain_push(youngest, deque) != 0)
        return 0;
    weft__store_relaxed(&lane->youngest_, NULL); /* relaxed: raiders are shut out */
    return length;
}

void weft__lane_leave(weft__lane *lane, uintptr_t rest)
{
    /* edge lane.attention (release): a later raider sees the list as we leave it.
     * edge idle.hunger (seq_cst): ordered before the owner's look for sleepers. */
    weft__store_seq_cst(&lane->attention_, rest);
}

int weft__lane_ask(weft__lane *lane)
{
    /* edge idle.hunger (seq_cst): a worker that falls asleep asks after it has announced itself; if
     * it finds the owner BUSY here, the owner has yet to calm down and to look for sleepers. */
    uintptr_t seen = weft__load_seq_cst(&lane->attention_);
    if (seen != WEFT__CALM)
        return 0;
    /* edge idle.hunger (seq_cst): as above */
    return weft__cas_seq_cst(&lane->attention_, &seen, WEFT__HUNGRY);
}

weft_task *weft__lane_raid(weft__lane *lane, uint64_t ticket)
{
    uintptr_t seen = weft__load_relaxed(&lane->attention_); /* relaxed: the swap decides */
    if (seen != WEFT__CALM && seen != WEFT__HUNGRY)
        return NULL;
    uintptr_t raid = (uintptr_t)(ticket << 3) | WEFT__RAID;
    /* edge lane.raid (seq_cst): announced before the barrier on the owner's processor.
     * edge lane.attention (acquire): the list as the owner left it last. */
    if (!weft__cas_seq_cst(&lane->attention_, &seen, raid))
        return NULL;
    WEFT_CRASH_POINT(11);
    weft__hook_membarrier();
    /* edge lane.youngest (acquire): the tasks' contents, stored before this head of the list.
     * edge lane.raid: second look, behind the barrier. */
    weft_task *youngest = weft__load_acquire(&lane->youngest_);
    uintptr_t verdict =
        youngest == NULL ? WEFT__HUNGRY : (uintptr_t)youngest | WEFT__LANE_TAKEN; /* aligned to 8 */
    seen = raid;
    /* edge lane.taken (acq_rel): the chain is ours only if the owner has not entered since.
     * edge lane.attention (release): we are out before the owner enters again. */
    if (!weft__cas_acq_rel(&lane->attention_, &seen, verdict))
        return NULL;
    return youngest;
}
