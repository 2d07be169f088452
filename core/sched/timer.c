/* SPDX-License-Identifier: BSD-2-Clause */
/* timer.c — a hierarchical timing wheel.
 *
 *     level 0    64 slots of one tick        (4.1 us each)
 *     level 1    64 slots of 64 ticks        (262 us each)
 *     level 2    64 slots of 4096 ticks      (16.8 ms each) ... nine levels, all of time
 *
 * A timer lies on the lowest level on which its tick is less than a round ahead, in the slot that
 * six bits of the tick name. Slots wrap round; the first of a level is found by counting zeros in
 * one word, turned by what the wheel has reached, and the first of all by comparing the levels'.
 * When the wheel reaches a slot above level 0 its timers move down, each at most once for every
 * level.
 *
 * Where many sleep each move is a cache miss for each, so the level goes by the distance. By the
 * highest bits in which the two ticks differ, which needs no wrapping, it would be one too high
 * whenever a boundary of that level lies between: for more than half of all sleeps of 10 ms.
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

/* How many slots of a level lie between two ticks. */
static uint64_t slots_between(uint64_t from, uint64_t to, unsigned level)
{
    return (to >> (level * SLOT_BITS)) - (from >> (level * SLOT_BITS));
}

/* The lowest level on which `tick` is less than a round ahead of what the wheel has reached. */
static unsigned level_of(const weft__wheel *wheel, uint64_t tick)
{
    uint64_t ticks = (tick - wheel->elapsed) | SLOT_MASK;
    unsigned level = (63 - (unsigned)__builtin_clzll(ticks)) / SLOT_BITS;
    return level + (slots_between(wheel->elapsed, tick, level) == WEFT__WHEEL_SLOTS);
}

static void link_timer(weft__wheel *wheel, weft__timer *timer)
{
    if (timer->tick < wheel->elapsed)
        timer->tick = wheel->elapsed; /* its tick has gone by: due at the next look */
    unsigned level = level_of(wheel, timer->tick);
    unsigned slot = (unsigned)((timer->tick >> (level * SLOT_BITS)) & SLOT_MASK);
    weft__timer **head = &wheel->slots[level][slot];
    timer->link = head;
    timer->next = *head;
    if (*head != NULL)
        (*head)->link = &timer->next;
    *head = timer;
    note_order(wheel, timer);
    wheel->occupied[level] |= (uint64_t)1 << slot;
}

/* Nothing comes after `link`. If it is a slot, that is empty now; else it is in a timer. */
static void note_empty(weft__wheel *wheel, weft__timer **link)
{
    size_t index = ((uintptr_t)link - (uintptr_t)wheel->slots) / sizeof *link;
    if (index < (size_t)WEFT__WHEEL_LEVELS * WEFT__WHEEL_SLOTS)
        wheel->occupied[index / WEFT__WHEEL_SLOTS] &= ~((uint64_t)1 << index % WEFT__WHEEL_SLOTS);
}

static void unlink_timer(weft__wheel *wheel, weft__timer *timer)
{
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    else
        note_empty(wheel, timer->link);
}

/* How many slots after the one that the wheel has reached the first one of a level is that is not
 * empty. */
static uint64_t slots_ahead(uint64_t occupied, uint64_t reached)
{
    unsigned turn = (unsigned)(reached & SLOT_MASK);
    unsigned back = (WEFT__WHEEL_SLOTS - turn) & (unsigned)SLOT_MASK;
    return (uint64_t)__builtin_ctzll(occupied >> turn | occupied << back);
}

/* The tick at which the earliest slot begins, or NO_TICK; `*level` and `*slot` say which it is. Of
 * two that begin together it is the one above, whose timers are to move down first. */
static uint64_t first_slot(const weft__wheel *wheel, unsigned *level, unsigned *slot)
{
    uint64_t first = NO_TICK;
    for (unsigned i = 0; i < WEFT__WHEEL_LEVELS; i++) {
        if (wheel->occupied[i] == 0)
            continue;
        unsigned shift = i * SLOT_BITS;
        uint64_t reached = wheel->elapsed >> shift;
        uint64_t index = reached + slots_ahead(wheel->occupied[i], reached);
        if (index << shift > first)
            continue;
        first = index << shift;
        *level = i;
        *slot = (unsigned)(index & SLOT_MASK);
    }
    return first;
}

static int64_t tick_to_ns(uint64_t tick)
{
    return tick > (uint64_t)(WEFT_FOREVER / WEFT__TICK_NS) ? WEFT_FOREVER
                                                           : (int64_t)tick * WEFT__TICK_NS;
}

/* Most timers lie in the second line of a fiber, and who expires one looks at the first as well. */
static void fetch_ahead(const weft__timer *timer)
{
    uintptr_t ahead = (uintptr_t)timer->ahead; /* a number: it may be NULL */
    __builtin_prefetch((const void *)ahead);
    __builtin_prefetch((const void *)(ahead - 64));
}

/* Empty a slot that the wheel has reached: what is due expires, the rest moves down. */
static size_t empty_slot(weft__wheel *wheel, weft__timer **head, weft__expire *expire, void *arg)
{
    size_t expired = 0;
    weft__timer *timer = *head;
    *head = NULL;
    while (timer != NULL) {
        weft__timer *next = timer->next;
        fetch_ahead(timer);
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
