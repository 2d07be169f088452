/* SPDX-License-Identifier: BSD-2-Clause */
/* apart.c — a worker is not to wake on the processor of the worker that wakes it.
 *
 * Where a thread goes on that has been asleep is up to the kernel. It looks for an idle processor
 * near the one on which the thread ran last, and takes the waker's if it sees none. In a virtual
 * machine it sees none: a processor that sleeps looks as if the host had taken it away. Then two
 * workers share one, while another is idle, until the kernel balances. That takes milliseconds, and
 * a short region is over by then; it happened to every second one.
 *
 * So a worker that has got up where its waker is, which computes on, remembers that, and its next
 * wake-ups are guided: before it wakes, the only processor it may run on is one without a worker,
 * and it stays there when it may run anywhere again. From time to time the kernel is left to
 * choose, less often each time that it gets it wrong. Where it gets it right all this is a look at
 * the number of the processor for each sleep. A plain thread that wakes a worker most often waits
 * for it next: then the two are best together.
 *
 * The sleeper itself takes back what its waker has done to its thread, before it runs anything: a
 * thread or a process that is made in between would keep to that processor for good. It may get up
 * without its waker, who has claimed it but not woken it yet, so they take turns:
 *
 *     ASLEEP ──► UP            sleeper: nobody is at it, and nobody will be
 *        └─► SENDING ──► SENT  waker; the sleeper waits for two calls, and undoes them
 *
 * In SENDING the thread stays what it is: it can neither end nor lend its role. The word carries
 * the number of the sleep, since a waker may be late: it has to have been read before the claim.
 *
 * A worker that is bound stays where it is. Nobody is moved while he runs, which takes longer than
 * to wake him, but for one who gets up by himself at the moment he is sent. */
#include "sched/apart.h"

#include "sched/thread.h"
#include "sched/worker.h"

#include "hooks.h"

#include <sched.h>
#include <string.h>

#define PRICE_MIN 16
#define PRICE_MAX 4096

#define ASLEEP ((uint32_t)0)
#define SENDING ((uint32_t)1)
#define SENT ((uint32_t)2)
#define UP ((uint32_t)3)
#define STATE(turn) ((turn) & (uint32_t)3)
#define TURN(number, state) (((number) & ~(uint32_t)3) | (state))
#define NEXT_NUMBER ((uint32_t)4)

/* 1 + the number of the processor. */
static unsigned here(void)
{
    return (unsigned)sched_getcpu() + 1;
}

static int get_mask(pid_t thread, struct weft__cpuset *mask)
{
    *mask = (struct weft__cpuset){{0}};
    return sched_getaffinity(thread, sizeof *mask, (cpu_set_t *)(void *)mask);
}

static int set_mask(pid_t thread, const struct weft__cpuset *mask)
{
    return sched_setaffinity(thread, sizeof *mask, (const cpu_set_t *)(const void *)mask);
}

/* ---- the sleeper ---------------------------------------------------------------------------- */

void weft__place_lie_down(weft__worker *worker)
{
    weft__place *place = &worker->place;
    weft__store_relaxed(&place->last, here()); /* relaxed: guesses */
    weft__store_relaxed(&place->waker, 0);
    /* relaxed: its own until the next store, which the announcement publishes */
    uint32_t number = weft__load_relaxed(&place->turn) + NEXT_NUMBER;
    weft__store_relaxed(&place->turn, TURN(number, ASLEEP));
}

/* Run anywhere again: on all processors there are, of which the kernel takes those that the cgroup
 * allows, also if they become more later. If there are more already than before, then somebody has
 * set what was. */
static void roam(const struct weft__cpuset *before)
{
    struct weft__cpuset mask;
    memset(&mask, 0xff, sizeof mask);
    if (set_mask(0, &mask) < 0 || get_mask(0, &mask) < 0 || memcmp(&mask, before, sizeof mask) != 0)
        (void)set_mask(0, before);
}

/* Whether the thread was sent where it is. From now on nobody else touches it. */
static int was_sent(weft__place *place)
{
    for (unsigned round = 0;; round++) {
        /* edge place.turn (acquire): what the waker has done to the thread, and what was before */
        uint32_t turn = weft__load_acquire(&place->turn);
        if (STATE(turn) == SENT)
            return 1;
        /* relaxed: nothing has been done */
        if (STATE(turn) == ASLEEP && weft__cas_relaxed(&place->turn, &turn, TURN(turn, UP)))
            return 0;
        weft__pause(round);
    }
}

/* Whether the kernel got it right. */
static void learn(weft__place *place, int is_right)
{
    unsigned price = weft__load_relaxed(&place->price); /* relaxed: guesses */
    price = is_right ? price / 2 : 2 * price + PRICE_MIN;
    if (price > PRICE_MAX)
        price = PRICE_MAX;
    weft__store_relaxed(&place->price, price);
    if (!is_right)
        weft__store_relaxed(&place->guided, price);
}

WEFT__HOT void weft__place_get_up(weft__worker *worker)
{
    weft__place *place = &worker->place;
    unsigned last = here();
    if (was_sent(place))
        roam(&place->mask);
    unsigned waker = weft__load_relaxed(&place->waker); /* relaxed: guesses */
    weft__store_relaxed(&place->last, last);
    if (waker != 0)
        learn(place, waker != last);
}

/* ---- the waker ------------------------------------------------------------------------------ */

/* Leave only those on which nobody is: neither the caller nor another worker, as far as one
 * knows. */
static void remove_taken(const weft__worker *sleeper, struct weft__cpuset *set)
{
    const weft_runtime *runtime = sleeper->runtime;
    weft__cpuset_remove(set, here() - 1);
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        const weft__worker *worker = &runtime->workers[i];
        unsigned last = weft__load_relaxed(&worker->place.last); /* relaxed: guesses */
        if (worker != sleeper && last != 0 && weft__load_relaxed(&worker->asleep) == WEFT__UP)
            weft__cpuset_remove(set, last - 1);
    }
}

/* One of the set, or WEFT__CPUS_MAX: where it was, or the next after `cpu`, round the end. */
static unsigned choose(const struct weft__cpuset *set, unsigned was, unsigned cpu)
{
    if (weft__cpuset_has(set, was))
        return was;
    for (unsigned i = 1; i < WEFT__CPUS_MAX; i++)
        if (weft__cpuset_has(set, (cpu + i) % WEFT__CPUS_MAX))
            return (cpu + i) % WEFT__CPUS_MAX;
    return WEFT__CPUS_MAX;
}

/* Nonzero: the thread will wake on a processor without a worker, and nowhere else. */
static int send(weft__worker *sleeper)
{
    weft__place *place = &sleeper->place;
    pid_t thread = weft__load_relaxed(&sleeper->thread)->number; /* relaxed: constant by now */
    if (get_mask(thread, &place->mask) < 0)
        return 0;
    struct weft__cpuset set = place->mask;
    remove_taken(sleeper, &set);
    /* relaxed: a guess; not yet known is a processor that no set has */
    unsigned cpu = choose(&set, weft__load_relaxed(&place->last) - 1, here() - 1);
    set = (struct weft__cpuset){{0}};
    weft__cpuset_add(&set, cpu);
    if (set_mask(thread, &set) < 0) /* as well if there is none */
        return 0;
    weft__store_relaxed(&place->last, cpu + 1); /* relaxed: so that no other waker chooses it */
    return 1;
}

static WEFT__NOINLINE void guide(weft__worker *sleeper, uint32_t turn)
{
    weft__place *place = &sleeper->place;
    uint32_t seen = turn;
    /* relaxed: nothing is handed over */
    if (STATE(turn) != ASLEEP || !weft__cas_relaxed(&place->turn, &seen, TURN(turn, SENDING)))
        return;
    int is_sent = send(sleeper);
    /* edge place.turn (release): what has been done to the thread, and what was before */
    weft__store_release(&place->turn, TURN(turn, is_sent ? SENT : ASLEEP));
}

WEFT__HOT void weft__place_choose(weft__worker *sleeper, uint32_t turn)
{
    weft__place *place = &sleeper->place;
    if (weft__worker_self() == NULL || sleeper->cpu >= 0 || sleeper->runtime->cpu_count < 2)
        return;
    unsigned guided = weft__load_relaxed(&place->guided); /* relaxed: guesses, of the claimant */
    if (guided == 0) {
        weft__store_relaxed(&place->waker, here());
        return;
    }
    weft__store_relaxed(&place->guided, guided - 1);
    guide(sleeper, turn);
}
