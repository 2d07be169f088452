/* SPDX-License-Identifier: BSD-2-Clause */
/* timer.c — a hierarchical timing wheel.
 *
 *     level 0    64 slots of one tick        (4.1 us each)
 *     level 1    64 slots of 64 ticks        (262 us each)
 *     level 2    64 slots of 4096 ticks      (16.8 ms each) ... nine levels, all of time
 *
 * A timer lies on the level of the highest group of six bits in which its tick differs from the
 * tick that the wheel has reached, in the slot that those bits name. Hence the lowest level that is
 * not empty holds the earliest timers, its lowest slot the earliest of these, and no slot wraps
 * round: the next one is found by counting zeros in one word. When the wheel reaches a slot above
 * level 0 its timers move down, each at most once for every level.
 *
 * Ticks round up: a timer never expires early, and at most a tick late. Deadlines are absolute, so
 * nothing drifts.
 *
 * A heap was rejected: its array needs memory, so arming could fail, and taking a timer out, which
 * is what happens to nearly every time-out, costs a logarithm of cache misses.
 *
 * The lock is held for a handful of instructions by whoever arms or disarms, and for as long as it
 * takes to move what is due by whoever expires. Each worker has its own wheel, so that only a fiber
 * that moved to another worker, or a worker that expires for a busy one, ever meets anybody.
 *
 * `next_due` only ever goes down when a timer is armed and is made exact when the wheel is expired,
 * so it may be too early: then somebody looks in vain, once. Disarming leaves it alone. */
#include "sched/timer.h"
#include "sched/spin.h"

#include <weft/atomic.h>

#include "hooks.h"

#include <string.h>

#define SLOT_BITS 6
#define SLOT_MASK ((uint64_t)WEFT__WHEEL_SLOTS - 1)
#define NO_TICK UINT64_MAX

void weft__wheel_init(weft__wheel *wheel, int64_t now_ns)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->next_due = WEFT_FOREVER;
    wheel->elapsed = (uint64_t)(now_ns / WEFT__TICK_NS);
}

/* ---- slots: the lock is held ---------------------------------------------------------------- */

/* A slot holds last what was linked first. With many timers each is long out of the cache, and says
 * which is next only when it is in. So it says which was linked some time before it, too: a hint
 * that is fetched and never followed, as that one may be gone. */
static void note_order(weft__wheel *wheel, weft__timer *timer)
{
    const weft__timer **recent = &wheel->recent[wheel->links++ % WEFT__TIMERS_AHEAD];
    timer->ahead = *recent;
    *recent = timer;
}

static void link_timer(weft__wheel *wheel, weft__timer *timer)
{
    if (timer->tick < wheel->elapsed)
        timer->tick = wheel->elapsed; /* its tick has gone by: due at the next look */
    uint64_t differing = (timer->tick ^ wheel->elapsed) | SLOT_MASK;
    unsigned level = (63 - (unsigned)__builtin_clzll(differing)) / SLOT_BITS;
    unsigned slot = (unsigned)((timer->tick >> (level * SLOT_BITS)) & SLOT_MASK);
    weft__timer **head = &wheel->slots[level][slot];
    timer->level = (unsigned char)level;
    timer->slot = (unsigned char)slot;
    timer->link = head;
    timer->next = *head;
    if (*head != NULL)
        (*head)->link = &timer->next;
    *head = timer;
    note_order(wheel, timer);
    wheel->occupied[level] |= (uint64_t)1 << slot;
}

static void unlink_timer(weft__wheel *wheel, weft__timer *timer)
{
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    if (wheel->slots[timer->level][timer->slot] == NULL)
        wheel->occupied[timer->level] &= ~((uint64_t)1 << timer->slot);
}

/* The tick at which the earliest slot begins, or NO_TICK; `*level` and `*slot` say which it is. */
static uint64_t first_slot(const weft__wheel *wheel, unsigned *level, unsigned *slot)
{
    for (unsigned i = 0; i < WEFT__WHEEL_LEVELS; i++) {
        if (wheel->occupied[i] == 0)
            continue;
        *level = i;
        *slot = (unsigned)__builtin_ctzll(wheel->occupied[i]);
        unsigned shift = i * SLOT_BITS;
        uint64_t above = wheel->elapsed >> shift >> SLOT_BITS << SLOT_BITS;
        return (above | *slot) << shift;
    }
    return NO_TICK;
}

static int64_t tick_to_ns(uint64_t tick)
{
    return tick > (uint64_t)(WEFT_FOREVER / WEFT__TICK_NS) ? WEFT_FOREVER
                                                           : (int64_t)tick * WEFT__TICK_NS;
}

/* Empty a slot that the wheel has reached: what is due expires, the rest moves down. */
static size_t empty_slot(weft__wheel *wheel, weft__timer **head, weft__expire *expire, void *arg)
{
    size_t expired = 0;
    weft__timer *timer = *head;
    *head = NULL;
    while (timer != NULL) {
        weft__timer *next = timer->next;
        __builtin_prefetch(timer->ahead);
        if (timer->tick > wheel->elapsed) {
            link_timer(wheel, timer);
        } else {
            expire(timer, arg);
            /* edge timer.out (release): whoever sees it out of the wheel may reuse it, so `expire`
             * comes first: it speaks of this wait, and the fiber may be in the next one by then. */
            weft__store_release(&timer->wheel, NULL);
            expired++;
        }
        timer = next;
    }
    return expired;
}

/* ---- what workers call ---------------------------------------------------------------------- */

int weft__timer_arm(weft__wheel *wheel, weft__timer *timer, int64_t deadline_ns)
{
    int64_t up = deadline_ns <= 0 ? 0 : (deadline_ns - 1) / WEFT__TICK_NS + 1;
    weft__spin_lock(&wheel->lock);
    timer->tick = (uint64_t)up;
    weft__store_relaxed(&timer->wheel, wheel); /* relaxed: the arming fiber's, until it is due */
    link_timer(wheel, timer);
    int64_t due = tick_to_ns(timer->tick);
    int is_earliest = due < weft__load_relaxed(&wheel->next_due); /* relaxed: lowered under lock */
    if (is_earliest)
        /* edge idle.watch (seq_cst): lowered before the look at who watches the clock */
        weft__store_seq_cst(&wheel->next_due, due);
    weft__spin_unlock(&wheel->lock);
    return is_earliest;
}

void weft__timer_disarm(weft__timer *timer)
{
    /* edge timer.out (acquire): the expiry is through with it */
    weft__wheel *wheel = weft__load_acquire(&timer->wheel);
    if (wheel == NULL)
        return;
    weft__spin_lock(&wheel->lock);
    if (weft__load_relaxed(&timer->wheel) != NULL) { /* relaxed: under the lock */
        unlink_timer(wheel, timer);
        weft__store_relaxed(&timer->wheel, NULL); /* relaxed: the timer's owner is the caller */
    }
    weft__spin_unlock(&wheel->lock);
}

int64_t weft__wheel_next(const weft__wheel *wheel)
{
    /* edge idle.watch (seq_cst): read after the watcher has said how long it sleeps */
    return weft__load_seq_cst(&wheel->next_due);
}

int weft__wheel_is_armed(weft__wheel *wheel)
{
    unsigned level = 0;
    unsigned slot = 0;
    weft__spin_lock(&wheel->lock);
    int is_armed = first_slot(wheel, &level, &slot) != NO_TICK;
    weft__spin_unlock(&wheel->lock);
    return is_armed;
}

size_t weft__wheel_expire(weft__wheel *wheel, int64_t now_ns, size_t enough, weft__expire *expire,
                          void *arg)
{
    size_t expired = 0;
    uint64_t now = (uint64_t)(now_ns / WEFT__TICK_NS);
    unsigned level = 0;
    unsigned slot = 0;
    if (!weft__spin_try(&wheel->lock))
        return 0;
    uint64_t tick = first_slot(wheel, &level, &slot);
    while (tick <= now && expired < enough) {
        wheel->elapsed = tick > wheel->elapsed ? tick : wheel->elapsed;
        wheel->occupied[level] &= ~((uint64_t)1 << slot);
        expired += empty_slot(wheel, &wheel->slots[level][slot], expire, arg);
        tick = first_slot(wheel, &level, &slot);
    }
    if (now > wheel->elapsed && tick > now) /* it does not go past what is left */
        wheel->elapsed = now;
    /* edge idle.watch (seq_cst): as in weft__timer_arm(); it may be higher than before */
    weft__store_seq_cst(&wheel->next_due, tick == NO_TICK ? WEFT_FOREVER : tick_to_ns(tick));
    weft__spin_unlock(&wheel->lock);
    return expired;
}
