/* SPDX-License-Identifier: BSD-2-Clause */
/* look.c — what a plain thread does before it sleeps: the wake-up of a sleeping thread costs more
 * than many a task.
 *
 * Most often it looks for a moment whether what it waits for has come. How long it looks is learnt
 * from whether looking has paid, by all threads together: 20 us after it has, half as long each
 * time it has not. It does not look where the workers need the processor themselves, nor twice for
 * the same thing.
 *
 * Nor does it look for a worker that it has just woken, which takes longer to get up than anybody
 * looks. If it waits for the task for which it has woken it, it runs that by itself (standin.c).
 * For anything else: the kernel likes to put whom one wakes on one's own processor, and there the
 * two need not sleep for each other. The thread steps aside, once, by sched_yield(), and when it
 * runs again the worker has most often been there, and has stepped aside in its turn (idle.c). So
 * that takes one wake-up instead of two.
 *
 * Stepping aside is dear where a third one wants the processor: it has that for milliseconds then,
 * while a sleeper would take it back at once. So it is left out for a while after it has taken
 * long, for a longer one each time; sometimes it is tried again. */
#include "sched/worker.h"

#include "hooks.h"

#include <sched.h>

#define PATIENCE_MAX_NS (20 * WEFT_USEC)
#define PATIENCE_MIN_NS (1 * WEFT_USEC)
#define LOOKS 16 /* between two looks at the clock */
#define LONG_NS (100 * WEFT_USEC)
#define PRICE_MIN 16
#define PRICE_MAX 4096

/* ---- stepping aside ------------------------------------------------------------------------- */

/* That of all plain threads. */
static weft__courtesy plain_courtesy;

WEFT__HOT void weft__courtesy_learn(weft__courtesy *courtesy, int64_t took_ns)
{
    uint32_t price = weft__load_relaxed(&courtesy->price); /* relaxed: a guess, as the next two */
    if (took_ns < LONG_NS) {
        if (price != 0)
            weft__store_relaxed(&courtesy->price, price / 2);
        return;
    }
    price = 2 * price + PRICE_MIN;
    if (price > PRICE_MAX)
        price = PRICE_MAX;
    weft__store_relaxed(&courtesy->price, price);
    weft__store_relaxed(&courtesy->left_out, price);
}

WEFT__HOT int weft__step_aside(weft__courtesy *courtesy)
{
    uint32_t left_out = weft__load_relaxed(&courtesy->left_out); /* relaxed: a guess */
    if (left_out > 0) {
        weft__store_relaxed(&courtesy->left_out, left_out - 1); /* relaxed: likewise */
        return 0;
    }
    int64_t begin = weft_now();
    (void)sched_yield();
    weft__courtesy_learn(courtesy, weft_now() - begin);
    return 1;
}

/* Once for each wake-up: whoever still has to wait sleeps. */
WEFT__HOT static int has_come_meanwhile(int (*has_come)(const void *), const void *what)
{
    int has_paid = has_come(what) || (weft__step_aside(&plain_courtesy) && has_come(what));
    weft__thread_set_mood(has_paid ? WEFT__FRESH : WEFT__TIRED);
    return has_paid;
}

/* ---- looking -------------------------------------------------------------------------------- */

/* Relaxed: a guess that all share. */
static int64_t patience_ns = PATIENCE_MAX_NS;

static void learn(int64_t patience, int has_paid)
{
    int64_t next = has_paid ? PATIENCE_MAX_NS : patience / 2;
    if (next < PATIENCE_MIN_NS)
        next = PATIENCE_MIN_NS;
    if (next != patience)
        weft__store_relaxed(&patience_ns, next); /* relaxed: see above */
}

static int look_until_late(int (*has_come)(const void *), const void *what, int64_t patience,
                           int64_t deadline_ns)
{
    int64_t until = 0;
    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            if (has_come(what))
                return 1;
            weft__relax();
        }
        int64_t now = weft_now();
        if (until == 0)
            until = now + patience < deadline_ns ? now + patience : deadline_ns;
        else if (now >= until)
            return 0;
    }
}

WEFT__HOT int weft__thread_looks(int (*has_come)(const void *), const void *what,
                                 int64_t deadline_ns)
{
    if (deadline_ns <= WEFT_POLL)
        return 0;
    weft__mood mood = weft__thread_mood();
    if (mood == WEFT__HAS_CALLED)
        return has_come_meanwhile(has_come, what);
    if (mood == WEFT__TIRED || weft__runtimes_are_crowded())
        return 0;
    weft__onlooker_comes();
    int64_t patience = weft__load_relaxed(&patience_ns); /* relaxed: see above */
    int has_paid = look_until_late(has_come, what, patience, deadline_ns);
    learn(patience, has_paid);
    weft__thread_set_mood(has_paid ? WEFT__FRESH : WEFT__TIRED);
    return has_paid;
}
