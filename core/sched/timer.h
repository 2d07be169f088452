/* SPDX-License-Identifier: BSD-2-Clause */
/* timer.h — deadlines of fibers that wait: a timing wheel for each worker.
 *
 * A timer is a member of whatever waits, so arming one needs no memory and cannot fail. It lies in
 * the wheel of the worker that armed it; any worker may take it out again or expire what is due. */
#ifndef WEFT_SCHED_TIMER_H
#define WEFT_SCHED_TIMER_H

#include <weft/atomic.h>
#include <weft/base.h>

#define WEFT__WHEEL_LEVELS 9 /* of 6 bits each, above a tick of 12: more than all of time */
#define WEFT__WHEEL_SLOTS 64
#define WEFT__TICK_NS ((int64_t)1 << 12)

typedef struct weft__wheel weft__wheel;

/* All fields belong to the holder of the wheel's lock, but for `wheel`. */
typedef struct weft__timer {
    struct weft__timer *next;
    struct weft__timer **link;       /* what points to it: a slot, or the one before */
    const struct weft__timer *ahead; /* linked a while before it: likely to be reached soon */
    uint64_t tick;                   /* the first tick at which the deadline has passed */
    weft__wheel *wheel; /* where it lies, or NULL; the waiting fiber sets it, expiry clears it */
} weft__timer;

#define WEFT__TIMERS_AHEAD 16 /* it takes about as long to get there as to fetch one */

struct weft__wheel {
    int64_t next_due; /* nothing is due before this; WEFT_FOREVER: empty. Others look at it */
    uint32_t lock;    /* 1 while somebody changes what is below */
    unsigned links;   /* counts timers put into slots */
    uint64_t elapsed; /* ticks up to this one are done */
    const weft__timer *recent[WEFT__TIMERS_AHEAD]; /* the last of them; perhaps gone */
    uint64_t occupied[WEFT__WHEEL_LEVELS];         /* a bit for each slot that is not empty */
    weft__timer *slots[WEFT__WHEEL_LEVELS][WEFT__WHEEL_SLOTS];
};

void weft__wheel_init(weft__wheel *wheel, int64_t now_ns);

/* Arm `timer`, which must not be armed. Nonzero: it is now the earliest of its wheel. */
int weft__timer_arm(weft__wheel *wheel, weft__timer *timer, int64_t deadline_ns);

/* Take it out if it has not expired. After the return no expiry touches it any more. */
void weft__timer_disarm(weft__timer *timer);

/* When the wheel wants to be looked at again; WEFT_FOREVER: never. A sequentially consistent load,
 * for whoever goes to sleep until then. */
int64_t weft__wheel_next(const weft__wheel *wheel);

/* Whether a timer is armed, where weft__wheel_next() may still speak of one that was taken out. */
int weft__wheel_is_armed(weft__wheel *wheel);

/* Whether something may be due; a hint. */
WEFT__INLINE int weft__wheel_is_due(const weft__wheel *wheel, int64_t now_ns)
{
    return weft__load_relaxed(&wheel->next_due) <= now_ns; /* relaxed: looked at often */
}

/* What to do with a timer whose deadline has passed: called with the wheel locked, so it must be
 * short. The timer counts as armed until it returns: its owner must not go on before, other than by
 * way of weft__timer_disarm(), which waits for that. */
typedef void weft__expire(weft__timer *timer, void *arg);

/* Call `expire` for what is due at `now_ns`, earliest first, until it is all, or `enough` and the
 * rest of that tick; nothing if somebody else is at it. Returns their number. */
size_t weft__wheel_expire(weft__wheel *wheel, int64_t now_ns, size_t enough, weft__expire *expire,
                          void *arg);

#endif
