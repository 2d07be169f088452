/* SPDX-License-Identifier: BSD-2-Clause */
/* wait.c — how a queue waits: spin, sleep, settle what the dead have left.
 *
 * A peer that answers at once is answered without a system call: a waiter first spins, for as long
 * as it has paid off lately in this direction of this queue, at most some tens of microseconds.
 * Then it arms the bell and sleeps (bell.h).
 *
 * Somebody who was killed between telling and ringing rings no more. But his death wakes all who
 * sleep (watch.c), and each of them settles what the dead have left behind. Where deaths cannot be
 * watched, a sleep that ends by itself is the time to ask the kernel about all the others.
 *
 * Waiting is a loop around attempts: any wake may be for nothing. */
#include "handle.h"

#include "bell.h"
#include "hooks.h"
#include "mpmc.h"
#include "owner.h"
#include "recover.h"
#include "watch.h"

#include <errno.h>
#include <limits.h>

#define SPIN_NS_MAX 50000u
#define SPIN_NS_MIN 1000u
#define LOOK_NS_MIN WEFT_MSEC
#define ATTEMPTS_PER_CLOCK 16

/* For whom: what the caller waits for. */
typedef struct waiting {
    weft__attempt *attempt;
    void *arg;
    weft__shm_bell *bell; /* rung when it is worth another attempt */
    int64_t deadline;
    weft__cause cause;
} waiting;

/* ---- the dead -------------------------------------------------------------------------------- */

int weft__queue_has_dead(const weft_queue *queue)
{
    /* relaxed: a hint; what was left behind is read under the edges of recover.c */
    return weft__load_relaxed(&queue->segment->header->deaths) !=
           weft__load_relaxed(&queue->deaths_seen);
}

/* A round without taking a message, from these deaths on. */
static void settle(weft_queue *queue, uint32_t deaths)
{
    weft__heir nobody = {.seat = WEFT__NO_SEAT};
    weft__settled settled = WEFT__SETTLED;
    if (!queue->is_spsc)
        settled = weft__recover(&queue->ring, &nobody);
    weft__members_reap(queue->segment);
    if (settled == WEFT__SETTLED)
        weft__store_relaxed(&queue->deaths_seen, deaths); /* relaxed: a hint of this process */
    /* Whoever sleeps may go on, has a message to take on, or has nobody left to wait for. */
    weft__bell_tell(&queue->ring.control->data, INT_MAX);
    weft__bell_tell(&queue->ring.control->space, INT_MAX);
}

void weft__queue_settle(weft_queue *queue)
{
    /* edge shm.death (acquire): the entries of all whose deaths will count as seen */
    uint32_t deaths = weft__load_acquire(&queue->segment->header->deaths);
    if (deaths != weft__load_relaxed(&queue->deaths_seen)) /* relaxed: a hint of this process */
        settle(queue, deaths);
}

int64_t weft__queue_inherit(weft_queue *queue, uint32_t seat, uint64_t most)
{
    weft__heir heir = {.seat = seat, .most = most};
    /* edge shm.death (acquire): as in weft__queue_settle() */
    uint32_t deaths = weft__load_acquire(&queue->segment->header->deaths);
    weft__settled settled = weft__recover(&queue->ring, &heir);
    if (settled == WEFT__TAKEN_ON)
        return (int64_t)heir.position;
    weft__members_reap(queue->segment);
    if (settled == WEFT__SETTLED)
        weft__store_relaxed(&queue->deaths_seen, deaths); /* relaxed: a hint of this process */
    if (heir.changes > 0)
        weft__bell_tell(&queue->ring.control->space, INT_MAX);
    return heir.too_long > 0 ? -EMSGSIZE : -EAGAIN;
}

/* Ask the kernel about all others, at most once a millisecond. */
static void look(weft_queue *queue, int64_t now)
{
    weft__segment *segment = queue->segment;
    int64_t last = weft__load_relaxed(&segment->looked_at); /* relaxed: a limit of rate only */
    if (now - last < LOOK_NS_MIN || !weft__cas_relaxed(&segment->looked_at, &last, now))
        return;
    (void)weft__member_self(segment);
    (void)weft__members_look(segment);
    weft__queue_settle(queue);
}

/* Nobody is left who could end this wait: all others are gone, the last one by death, and nobody
 * else of this process has been at the other end. */
static int is_abandoned(const weft_queue *queue, const waiting *wait)
{
    const weft__segment *segment = queue->segment;
    uint64_t me = segment->member;
    if (queue->is_spsc) {
        const weft__shm_control *control = queue->ring.control;
        /* relaxed: only its death is asked for */
        uint64_t peer = weft__load_relaxed(wait->cause == WEFT__FOR_DATA ? &control->producer
                                                                         : &control->consumer);
        if (peer == me)
            return 0; /* another thread of this process */
        if (peer != 0 && weft__ring_member_is_dead(&queue->ring, peer))
            return 1;
    }
    if (weft__load_relaxed(&segment->header->last_was_dead) == 0) /* relaxed: a hint */
        return 0;
    return weft__members_others(segment) == 0 &&
           !weft__has_other_callers(segment, wait->cause == WEFT__FOR_DATA ? WEFT__FOR_SPACE
                                                                           : WEFT__FOR_DATA);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void learn(uint32_t *spin_ns, int64_t took_ns, int was_worth_it)
{
    uint32_t old = weft__load_relaxed(spin_ns); /* relaxed: an estimate */
    uint32_t now = old / 2;
    if (was_worth_it)
        now = (uint32_t)(took_ns < SPIN_NS_MAX / 2 ? 2 * took_ns : SPIN_NS_MAX);
    if (was_worth_it && now < old)
        now = old - (old - now) / 8;
    now = now < SPIN_NS_MIN ? SPIN_NS_MIN : now;
    if (now != old)
        weft__store_relaxed(spin_ns, now < SPIN_NS_MAX ? now : SPIN_NS_MAX); /* relaxed: as above */
}

/* Attempts without sleep, for as long as that is worth while. */
static int64_t spin(weft_queue *queue, const waiting *wait)
{
    uint32_t *spin_ns = &queue->spin_ns[wait->cause];
    int64_t limit = weft__load_relaxed(spin_ns); /* relaxed: an estimate */
    int64_t begin = weft_now(), now = begin;
    while (now - begin < limit && now < wait->deadline) {
        for (int i = 0; i < ATTEMPTS_PER_CLOCK; i++) {
            weft__relax();
            int64_t rc = wait->attempt(queue, wait->arg);
            if (rc != -EAGAIN) {
                learn(spin_ns, weft_now() - begin, 1);
                return rc;
            }
        }
        now = weft_now();
    }
    return -EAGAIN;
}

/* One sleep: what the attempt says, or -EAGAIN, and *why the sleep ended. */
static int64_t sleep_once(weft_queue *queue, const waiting *wait, weft__nap *nap, int *why)
{
    weft__nap_begin(nap);
    uint32_t rung = weft__bell_arm(wait->bell);
    int64_t rc = wait->attempt(queue, wait->arg);
    if (rc != -EAGAIN)
        return rc;
    *why = weft__nap_sleep(nap, &wait->bell->rung, rung);
    return wait->attempt(queue, wait->arg);
}

/* After a sleep that brought nothing: is it because of the dead? What the attempt says. */
static int64_t settle_and_attempt(weft_queue *queue, const waiting *wait)
{
    weft__queue_settle(queue);
    int64_t rc = wait->attempt(queue, wait->arg);
    return rc == -EAGAIN && is_abandoned(queue, wait) ? -EOWNERDEAD : rc;
}

static int64_t sleep_and_look(weft_queue *queue, const waiting *wait)
{
    const weft__block *block = weft__block_now();
    weft__nap nap = weft__nap_of(queue->segment, wait->deadline);
    int64_t begin = block->now();
    for (;;) {
        int why = 0;
        int64_t rc = sleep_once(queue, wait, &nap, &why);
        int64_t now = block->now();
        if (rc != -EAGAIN || why == -ECANCELED) {
            learn(&queue->spin_ns[wait->cause], now - begin, now - begin < SPIN_NS_MAX);
            return rc != -EAGAIN ? rc : why;
        }
        if (why == -EAGAIN || why == -ETIMEDOUT)
            look(queue, now);
        if (why != 0 || weft__queue_has_dead(queue))
            rc = settle_and_attempt(queue, wait);
        if (rc != -EAGAIN)
            return rc;
        if (now >= nap.deadline)
            return -ETIMEDOUT;
    }
}

int64_t weft__queue_wait(weft_queue *queue, weft__cause cause, weft__attempt *attempt, void *arg,
                         int64_t deadline)
{
    weft__shm_control *control = queue->ring.control;
    const waiting wait = {.attempt = attempt,
                          .arg = arg,
                          .bell = cause == WEFT__FOR_DATA ? &control->data : &control->space,
                          .deadline = deadline,
                          .cause = cause};
    if (weft__load_relaxed(&queue->segment->is_lost)) /* relaxed: set by this process */
        return -EPROTO;
    if (deadline <= WEFT_POLL) {
        look(queue, weft_now());
        return attempt(queue, arg);
    }
    int64_t rc = spin(queue, &wait);
    return rc != -EAGAIN ? rc : sleep_and_look(queue, &wait);
}
