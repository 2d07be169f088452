/* SPDX-License-Identifier: BSD-2-Clause */
/* look.c — a plain thread looks for a moment whether what it waits for has come, before it sleeps:
 * the wake-up of a sleeping thread costs more than many a task.
 *
 * How long it looks is learnt from whether looking has paid, by all threads together: 20 us after
 * it has, half as long each time it has not. It does not look where the workers need the processor
 * themselves; nor for a worker that it has just woken, which takes longer to get up than anybody
 * looks, and may do so on this processor; nor twice for the same thing. */
#include "sched/worker.h"

#include "hooks.h"

#define PATIENCE_MAX_NS (20 * WEFT_USEC)
#define PATIENCE_MIN_NS (1 * WEFT_USEC)
#define LOOKS 16 /* between two looks at the clock */

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

int weft__thread_looks(int (*has_come)(const void *), const void *what, int64_t deadline_ns)
{
    if (deadline_ns <= WEFT_POLL || weft__thread_is_tired() || weft__runtimes_are_crowded())
        return 0;
    weft__onlooker_comes();
    int64_t patience = weft__load_relaxed(&patience_ns); /* relaxed: see above */
    int has_paid = look_until_late(has_come, what, patience, deadline_ns);
    learn(patience, has_paid);
    weft__thread_set_tired(!has_paid);
    return has_paid;
}
