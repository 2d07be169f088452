/* SPDX-License-Identifier: BSD-2-Clause */
/* idle.c — how a worker looks for work, when it sleeps, and how work wakes it.
 *
 * A worker that finds nothing must stop burning its core, yet no work may wait while a worker
 * sleeps. Both sides look after they have spoken:
 *
 *     work appears:   make it visible; anybody searching? else, anybody asleep? wake one
 *     fall asleep:    announce it; ask every lane for work; look everywhere once more; sleep
 *
 * So one of the two sees the other. What makes work visible is sequentially consistent, or a plain
 * store: the sleeper's membarrier() puts a fence behind that. Work that a busy worker keeps private
 * is the hard case: the sleeper's question makes the next spawn publish, and its membarrier() makes
 * a spawn before it visible to the last look.
 *
 * Searching is a duty: while anybody sleeps and nobody searches, every lane is hungry, so that the
 * next spawn anywhere publishes and wakes a sleeper. A lane that calms down has made sure that
 * somebody searches (spawn.c). The last to stop searching, be it to sleep or to work, makes all
 * lanes hungry again, and wakes others if it sees more work: one for each item in sight, yet never
 * more than are at work. So the awake double with each round of wake-ups, and are never a herd.
 *
 * Spinning is bounded in time, not in rounds: a pause instruction lasts 4 to 140 cycles. The bound
 * itself adapts between spin_ns and an eighth of it, by whether spinning has paid lately.
 *
 * Rejected:
 *   - waking somebody for each spawn: thousands of wake-ups, most of which find nothing;
 *   - sleeping with a time-out: an idle process would never be quiet, a short region never fast;
 *   - one event count for all: every wake would be a herd.
 *
 * Never: a worker sleeps holding an item; a lock is held while waking. */
#include "sched/worker.h"

#include "batch.h"
#include "debug/hang.h"
#include "hooks.h"
#include "lane.h"

#include <sched.h>

#define TURN_EVERY 61     /* items after which others than the newest get a turn; prime */
#define CLOCK_EVERY 8     /* items after which a worker with deadlines looks at the clock */
#define EXPIRED_ENOUGH 16 /* timers in one go: what is fetched for them fits into the cache */
#define RAID_PATIENCE_NS (20 * WEFT_USEC)
#define LOOKS_MAX_LOG 6      /* between two rounds of a search: 64 looks, one or two microseconds */
#define LOOKS_SPARED_LOG 8   /* likewise after one that has left an item to its owner */
#define PATIENCE_SHARE_MIN 8 /* patience falls to this share of the time to spin, not lower */
#define REGRET_NS (100 * WEFT_USEC) /* a sleep shorter than this was not worth falling asleep */
#define FRAMES_BYTES 1024           /* of the loop, a sleep, and an item */

/* ---- looking ------------------------------------------------------------------------------ */

static uint64_t next_random(weft__worker *worker)
{
    uint64_t x = worker->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return worker->random = x;
}

/* Push all entries but the oldest, newest first, by one commit. Returns the oldest. */
static weft__link *push_others(weft__worker *worker, weft__link *newest)
{
    size_t count = 0;
    for (weft__link *entry = newest; entry->next != NULL; entry = entry->next)
        count++;
    int has_room = weft__deque_reserve(&worker->deque, count) == 0;
    weft__link *entry = newest;
    for (size_t i = 0; i < count; i++) {
        weft__link *older = entry->next;
        if (has_room)
            weft__deque_fill(&worker->deque, i, entry);
        else
            weft__worker_push(worker, (weft_task *)(void *)entry);
        entry = older;
    }
    if (has_room)
        weft__deque_commit(&worker->deque, count);
    return entry;
}

/* Take all that was submitted from outside: the oldest to run now, the others into the deque. */
WEFT__HOT static weft_task *from_injector(weft__worker *worker)
{
    weft__link *newest = weft__injector_take_all(&worker->runtime->injector);
    if (newest == NULL || newest->next == NULL)
        return (weft_task *)(void *)newest;
    weft__link *oldest = push_others(worker, newest);
    /* While we held them nobody could see them, and whoever looked may be asleep by now. */
    weft__runtime_notify(worker->runtime, worker);
    return (weft_task *)(void *)oldest;
}

/* What a round has come across besides items. */
typedef struct sights {
    int is_offered;   /* constant: somebody has published for those who search */
    int is_asked;     /* a victim was asked to publish */
    int is_contended; /* a steal has lost a race */
    int is_fresh;     /* a victim's only item was left to it */
} sights;

/* Whether the victim's only item has not been seen before. It may be about to take that back: who
 * submits, or wakes, one after another always has one. Whoever looks next, and finds the same, does
 * not spare it. */
static int is_fresh(weft__worker *victim)
{
    uint64_t index;
    if (!weft__deque_has_one(&victim->deque, &index))
        return 0;
    /* relaxed: a hint, and the swap decides who gets the item */
    if (weft__load_relaxed(&victim->sighted) == index)
        return 0;
    weft__store_relaxed(&victim->sighted, index); /* relaxed: likewise */
    return 1;
}

/* Try one victim: its item, or NULL. */
static weft_task *steal_from(weft__worker *worker, weft__worker *victim, sights *seen)
{
    void *item = NULL;
    if (!seen->is_offered && is_fresh(victim)) {
        seen->is_fresh = 1;
        return NULL;
    }
    switch (weft_deque_steal(&victim->deque, &item)) {
    case WEFT_STEAL_ITEM:
        WEFT__COUNT(worker, steals, 1);
        return item;
    case WEFT_STEAL_RETRY:
        seen->is_contended = 1;
        return NULL;
    case WEFT_STEAL_EMPTY:
        break;
    }
    /* relaxed: a hint; who sleeps has nothing private */
    if (!seen->is_asked && weft__load_relaxed(&victim->asleep) != WEFT__ABED)
        seen->is_asked = weft__lane_ask(&victim->lane);
    return NULL;
}

/* Look at every victim once, nearest ring first, from a random place in each ring. At most one
 * victim a round is asked: asking all would make everybody publish for one thief. */
static weft_task *steal_round(weft__worker *worker, sights *seen)
{
    unsigned begin = 0;
    for (unsigned ring = 0; ring < WEFT__RINGS; ring++) {
        unsigned size = worker->ring_end[ring] - begin;
        unsigned first = size > 1 ? (unsigned)(next_random(worker) % size) : 0;
        for (unsigned i = 0; i < size; i++) {
            unsigned victim = worker->victims[begin + (first + i) % size];
            weft_task *item = steal_from(worker, &worker->runtime->workers[victim], seen);
            if (item != NULL)
                return item;
        }
        begin = worker->ring_end[ring];
    }
    return NULL;
}

/* Take what workers keep private that have not answered: they are inside a long task, or their
 * thread does not run. */
static weft_task *raid_round(weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    if (!runtime->can_raid)
        return NULL;
    for (unsigned i = 0; i + 1 < runtime->worker_count; i++) {
        weft__worker *victim = &runtime->workers[worker->victims[i]];
        /* relaxed: a hint, spares the barrier */
        if (weft__load_relaxed(&victim->lane.youngest_) == NULL)
            continue;
        uint64_t ticket = ((uint64_t)++worker->ticket << 16) | worker->id;
        weft_task *chain = weft__lane_raid(&victim->lane, ticket);
        if (chain == NULL)
            continue;
        WEFT__COUNT(worker, raids, 1);
        if (weft__chain_push(chain, &worker->deque) != 0)
            worker->overflow = chain; /* empty until now: a searching worker has nothing */
        return weft__worker_own(worker);
    }
    return NULL;
}

static int is_stopping(const weft_runtime *runtime)
{
    /* edge idle.stop (seq_cst): set before everybody is woken, read after a sleep is announced */
    return weft__load_seq_cst(&runtime->stopping) != 0;
}

static int64_t min_ns(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Between two rounds: look only where looking costs nobody anything. Each look at a deque takes a
 * line from its owner, so rounds become rare; what has been submitted from outside, or published
 * for those who search, is seen at once. Nonzero: something has been published. */
static int wait_for_signs(weft_runtime *runtime, unsigned looks_log, uint32_t *offers)
{
    unsigned looks = 1u << looks_log;
    for (unsigned i = 0; i < looks; i++) {
        weft__relax();
        uint32_t now = weft__load_relaxed(&runtime->offers); /* relaxed: a hint, as the next */
        if (now != *offers) {
            *offers = now;
            return 1;
        }
        if (!weft__injector_looks_empty(&runtime->injector))
            break;
    }
    return 0;
}

void weft__runtime_offer(weft_runtime *runtime)
{
    /* relaxed: a hint; a lost count makes no difference */
    weft__store_relaxed(&runtime->offers, weft__load_relaxed(&runtime->offers) + 1);
}

/* How long to look before sleeping next time. Waiting that paid makes a worker patient at once,
 * waiting in vain halves its patience: a trickle of tasks does not keep it spinning in between. */
static void learn(weft__worker *worker, int paid)
{
    int64_t spin_ns = worker->runtime->spin_ns;
    if (paid)
        worker->patience_ns = spin_ns;
    else if (worker->patience_ns > spin_ns / PATIENCE_SHARE_MIN)
        worker->patience_ns /= 2;
}

/* Whether the plain thread that has woken this worker is kept from running by it: the kernel likes
 * to put whom one wakes on one's own processor. Looking for that thread's next task would be in
 * vain, however soon it comes. */
static int is_in_the_way(const weft__worker *worker)
{
    int woken_on = weft__load_relaxed(&worker->woken_on); /* relaxed: a guess */
    return woken_on != 0 && woken_on == 1 + sched_getcpu();
}

/* Whether plain threads have lately submitted, or looked for results, and so are awake. A guess,
 * and one for all runtimes: who looks for a result does not know which of them will have it. */
static uint32_t are_onlookers;

WEFT__HOT void weft__onlooker_comes(void)
{
    /* relaxed: a guess */
    if (!weft__load_relaxed(&are_onlookers))
        weft__store_relaxed(&are_onlookers, 1); /* relaxed: likewise */
}

/* Such a thread needs a processor as well. Whether it and all workers that are awake are too many,
 * and another one searches anyway. `is_announced`: the caller has counted itself out already. */
static int is_one_too_many(const weft_runtime *runtime, unsigned is_announced)
{
    /* relaxed: these three are hints */
    uint32_t awake = runtime->worker_count - weft__load_relaxed(&runtime->sleepers);
    return weft__load_relaxed(&are_onlookers) &&
           (int32_t)(weft__load_relaxed(&runtime->searching) + is_announced) >= 2 &&
           awake + is_announced >= runtime->cpu_count;
}

/* One that is too many has little patience. */
static int64_t patience_of(const weft__worker *worker)
{
    if (!is_one_too_many(worker->runtime, 0))
        return worker->patience_ns;
    weft__store_relaxed(&are_onlookers, 0); /* relaxed: who still looks says so again */
    return worker->patience_ns / PATIENCE_SHARE_MIN;
}

/* Whether a phase is on, and the worker is not too many: it looks on, however long. */
static int is_kept_awake(const weft_runtime *runtime, unsigned is_announced)
{
    /* relaxed: a hint; who misses that a phase begins is woken by the next work */
    return weft__load_relaxed(&runtime->phases) != 0 && !is_one_too_many(runtime, is_announced);
}

/* ---- the clock ------------------------------------------------------------------------------ */

/* Fibers that an expiry makes runnable, linked by prev_, earliest first. */
typedef struct expired {
    weft_task *first;
    weft_task **end;
} expired;

static void expire_fiber(weft__timer *timer, void *arg)
{
    weft__fiber *fiber = (weft__fiber *)(void *)((char *)timer - offsetof(weft__fiber, timer));
    expired *list = arg;
    if (!weft__wait_expire(fiber))
        return;
    weft__fiber_mark_ready(fiber);
    weft__fiber_prefetch(fiber);
    fiber->item.prev_ = NULL;
    *list->end = &fiber->item;
    list->end = &fiber->item.prev_;
}

/* Runnable fibers into the worker's own deque, the first at the bottom, where the owner takes it
 * first; the others are for whoever looks. */
static void push_ready(weft__worker *worker, weft_task *first)
{
    int are_others = first->prev_ != NULL;
    if (weft__chain_push(first, &worker->deque) != 0) {
        for (weft_task *next; first != NULL; first = next) {
            next = first->prev_;
            weft__worker_push(worker, first);
        }
    }
    if (are_others)
        weft__runtime_notify(worker->runtime, worker);
}

/* Make the fibers runnable whose deadline has passed, whichever worker they parked on: that one may
 * be inside a long task. Nonzero: there were some, and they are in this worker's deque. */
static int expire_due(weft__worker *worker, int64_t now_ns)
{
    weft_runtime *runtime = worker->runtime;
    expired list = {.first = NULL, .end = &list.first};
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        weft__wheel *wheel = &runtime->workers[i].wheel;
        if (weft__wheel_is_due(wheel, now_ns))
            (void)weft__wheel_expire(wheel, now_ns, EXPIRED_ENOUGH, expire_fiber, &list);
    }
    if (list.first == NULL)
        return 0;
    worker->stock = weft_deque_size(&worker->deque);
    worker->expired_at = worker->tick;
    push_ready(worker, list.first);
    return 1;
}

/* The next deadline of all workers. */
static int64_t next_due(const weft_runtime *runtime)
{
    int64_t due = WEFT_FOREVER;
    for (unsigned i = 0; i < runtime->worker_count; i++)
        due = min_ns(due, weft__wheel_next(&runtime->workers[i].wheel));
    return due;
}

void weft__worker_arm(weft__worker *worker, weft__timer *timer, int64_t deadline_ns)
{
    if (weft__timer_arm(&worker->wheel, timer, deadline_ns))
        worker->unwatched = 1;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The reactor, if somebody waits for a file. */
static weft__reactor *reactor_in_use(weft_runtime *runtime)
{
    /* edge idle.files (seq_cst): installed, and the wait counted, before the look for a watcher */
    weft__reactor *reactor = weft__load_seq_cst(&runtime->reactor);
    return reactor != NULL && weft__load_seq_cst(&reactor->waits) > 0 ? reactor : NULL;
}

/* Make the fibers runnable whose files are ready. Nonzero: there were some, and they are in this
 * worker's deque. */
static int poll_files(weft__worker *worker)
{
    weft__reactor *reactor = weft__load_acquire(&worker->runtime->reactor); /* edge idle.files */
    /* relaxed: hints; the watcher looks more strictly */
    if (reactor == NULL || weft__load_relaxed(&reactor->waits) == 0 ||
        weft__exchange_relaxed(&reactor->polling, 1) != 0)
        return 0;
    weft_task *ready = reactor->poll(reactor, WEFT_POLL);
    weft__store_relaxed(&reactor->polling, 0); /* relaxed: it guards nothing but our time */
    if (ready == NULL)
        return 0;
    push_ready(worker, ready);
    return 1;
}

/* Let the watcher look again. */
static void rouse(weft_runtime *runtime, weft__worker *worker)
{
    weft__ec_post(&worker->ec);
    /* edge idle.files (seq_cst): behind the claim; who becomes the watcher, and sleeps in the
     * reactor, looks at the claim after that. */
    weft__reactor *reactor = weft__load_seq_cst(&runtime->reactor);
    if (reactor != NULL && weft__load_seq_cst(&runtime->watcher) == worker) /* edge idle.watch */
        reactor->kick(reactor);
}

weft__reactor *weft__runtime_set_reactor(weft_runtime *runtime, weft__reactor *reactor)
{
    weft__reactor *none = NULL;
    /* edge idle.files (seq_cst): see reactor_in_use() */
    if (!weft__cas_seq_cst(&runtime->reactor, &none, reactor))
        return none;
    /* edge idle.watch (seq_cst): a watcher that sleeps elsewhere comes to sleep in the reactor. */
    weft__worker *watcher = weft__load_seq_cst(&runtime->watcher);
    if (watcher != NULL)
        rouse(runtime, watcher);
    return reactor;
}

/* The watcher is not to sleep longer than this worker's wheel says. */
static void hurry(weft__worker *watcher, const weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    /* edge idle.watch (seq_cst): if it is not yet stored, the watcher's look is still to come */
    if (weft__load_seq_cst(&runtime->watch_until) > weft__wheel_next(&worker->wheel))
        rouse(runtime, watcher); /* no reason to get up, but to look again */
}

/* Whether somebody will wake for what this worker's wheel holds; else wake somebody. */
static void look_for_watcher(weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    /* edge idle.watch (seq_cst): behind the store of the deadline. */
    weft__worker *watcher = weft__load_seq_cst(&runtime->watcher);
    if (watcher == NULL) {
        weft__runtime_notify(runtime, worker);
        return;
    }
    hurry(watcher, worker);
}

void weft__worker_see_watched(weft__worker *worker)
{
    worker->unwatched = 0;
    look_for_watcher(worker);
}

/* ---- hunting -------------------------------------------------------------------------------- */

/* Look at the injector and at all deques, once. */
static weft_task *look_around(weft__worker *worker, sights *seen)
{
    weft_task *item = from_injector(worker);
    return item != NULL ? item : steal_round(worker, seen);
}

/* Search until something is found, patience is over, or the runtime stops. */
static weft_task *hunt(weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    int64_t begin = 0;
    int64_t raid_at = 0;
    int64_t patience = 0;
    uint32_t offers = weft__load_relaxed(&runtime->offers); /* relaxed: a hint */
    sights seen = {.is_offered = 0};
    for (unsigned round = 0;; round++) {
        weft_task *item = look_around(worker, &seen);
        if (item != NULL && begin != 0)
            learn(worker, 1);
        if (item != NULL || is_stopping(runtime))
            return item;
        if (seen.is_contended) {
            seen.is_contended = 0;
            continue;
        }
        int64_t now = weft_now();
        if (expire_due(worker, now) || poll_files(worker))
            return weft__worker_own(worker);
        if (begin == 0 || (seen.is_fresh && patience > 0)) {
            begin = now;
            patience = patience_of(worker);
            raid_at = now + min_ns(patience, RAID_PATIENCE_NS);
            if (patience == 0)
                (void)sched_yield(); /* let whoever was just asked answer */
        } else if (now >= raid_at) {
            item = raid_round(worker);
            if (item != NULL)
                return item;
            raid_at = now + RAID_PATIENCE_NS;
            if (now - begin >= patience && !is_kept_awake(runtime, 0)) {
                learn(worker, 0);
                return NULL;
            }
        }
        unsigned most = seen.is_fresh ? LOOKS_SPARED_LOG : LOOKS_MAX_LOG;
        seen =
            (sights){.is_offered = wait_for_signs(runtime, round < most ? round : most, &offers)};
    }
}

/* ---- sleeping and waking ------------------------------------------------------------------- */

/* Whoever gets WEFT__ABED out of `asleep` has the worker awake, and counts it among the searching.
 * The worker may find out by itself and stop searching before that: then they are one too few for a
 * moment, even fewer than none, which makes somebody look in vain. */
static int claim_wake(weft_runtime *runtime, weft__worker *worker, uint32_t claimed)
{
    uint32_t asleep = WEFT__ABED;
    /* edge idle.claim (seq_cst): one waker for each sleep; before his look at who watches. */
    if (!weft__cas_seq_cst(&worker->asleep, &asleep, claimed))
        return 0;
    /* edge idle.sleepers (seq_cst): both counts move before anybody is woken. */
    weft__fetch_add_seq_cst(&runtime->searching, 1);
    weft__fetch_add_seq_cst(&runtime->sleepers, (uint32_t)-1);
    return 1;
}

/* A plain thread that wakes a worker has most often slept itself, and the worker goes on on its
 * processor: what that touches first is fetched while the kernel wakes it. */
static void prefetch(const weft__worker *worker)
{
    const char *own = (const char *)worker;
    for (size_t at = 0; at < offsetof(weft__worker, line0); at += 64)
        __builtin_prefetch(own + at);
    /* The frames of a sleeping worker lie right below its fiber. Relaxed: a hint. */
    uintptr_t fiber = (uintptr_t)weft__load_relaxed(&worker->current);
    for (size_t at = 0; at < FRAMES_BYTES; at += 64)
        __builtin_prefetch((const void *)(fiber - at));
}

static int wake_worker(weft_runtime *runtime, weft__worker *worker)
{
    /* edge idle.stop (seq_cst): behind the store of `stopping`, as the sleeper announces first. */
    if (weft__load_seq_cst(&worker->asleep) != WEFT__ABED)
        return 0;
    uint32_t turn = weft__place_turn(&worker->place);
    int is_plain = weft__worker_self() == NULL;
    if (!claim_wake(runtime, worker, is_plain ? WEFT__CALLED : WEFT__UP))
        return 0;
    /* relaxed: a guess */
    weft__store_relaxed(&worker->woken_on, is_plain ? 1 + sched_getcpu() : 0);
    if (is_plain)
        prefetch(worker);
    else
        weft__place_choose(worker, turn);
    rouse(runtime, worker);
    return 1;
}

/* Wake up to `count` sleepers, nearest first. Nonzero: there was one. */
static int wake_some(weft_runtime *runtime, weft__worker *near, int32_t count)
{
    unsigned others = runtime->worker_count - (near != NULL);
    int32_t woken = 0;
    for (unsigned i = 0; i < others && woken < count; i++) {
        unsigned index = near != NULL ? near->victims[i] : i;
        woken += wake_worker(runtime, &runtime->workers[index]);
    }
    return woken > 0;
}

/* How many more should search for the items in sight. Getting up takes tens of microseconds, so one
 * after another would keep a large machine asleep for a millisecond. But those who search are never
 * more than those who work: the awake at most double, until it shows that they find something. */
static int32_t searchers_short(const weft_runtime *runtime, size_t in_sight)
{
    int32_t searching = (int32_t)weft__load_relaxed(&runtime->searching); /* relaxed: a guess */
    int32_t sleepers = (int32_t)weft__load_relaxed(&runtime->sleepers);   /* relaxed: likewise */
    int32_t most = (int32_t)runtime->worker_count - sleepers - searching;
    if (most <= searching)
        return 0;
    return (in_sight < (size_t)most ? (int32_t)in_sight : most) - searching;
}

/* Wake as many as `in_sight` items are worth, and one in any case if nobody searches. */
WEFT__HOT static int wake_for(weft_runtime *runtime, weft__worker *worker, int32_t searching,
                              size_t in_sight)
{
    int32_t count = searchers_short(runtime, in_sight);
    if (count <= 0)
        count = searching <= 0;
    return count > 0 && wake_some(runtime, worker, count);
}

static size_t own_items(const weft__worker *worker)
{
    return worker != NULL ? weft_deque_size(&worker->deque) : 0;
}

WEFT__HOT void weft__runtime_notify(weft_runtime *runtime, weft__worker *worker)
{
    /* edge idle.sleepers (seq_cst): behind the store that made the work visible. A searching worker
     * counts itself out before its last look, and so sees the work if we see it searching. */
    int32_t searching = (int32_t)weft__load_seq_cst(&runtime->searching);
    size_t in_sight = searching > 0 ? own_items(worker) : 0;
    if (searching > 0 && in_sight < 2)
        return; /* no more than it can be about to take back */
    if (in_sight == 2)
        weft__runtime_offer(runtime);
    if (weft__load_seq_cst(&runtime->sleepers) == 0) /* edge idle.sleepers (seq_cst) */
        return;
    if (wake_for(runtime, worker, searching, own_items(worker)) && worker == NULL)
        weft__thread_set_mood(WEFT__HAS_CALLED);
}

void weft__runtime_wake_all(weft_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->worker_count; i++)
        (void)wake_worker(runtime, &runtime->workers[i]);
}

/* Whether a victim has something that nobody is about to take care of. */
static int has_work(weft__worker *victim, int can_raid)
{
    if (!weft__deque_is_empty(&victim->deque))
        return 1;
    if (!can_raid)
        return 0;
    /* edge lane.raid: behind the sleeper's membarrier().
     * edge lane.youngest (acquire): only compared with NULL, a raid reads it again. */
    if (weft__load_acquire(&victim->lane.youngest_) == NULL)
        return 0;
    /* relaxed: BUSY: the owner will look for sleepers; RAID, TAKEN: somebody has it */
    uintptr_t attention = weft__load_relaxed(&victim->lane.attention_);
    return attention == WEFT__CALM || attention == WEFT__HUNGRY;
}

/* A single worker has nobody to publish for. */
static void ask_everybody(weft_runtime *runtime)
{
    if (runtime->worker_count == 1)
        return;
    for (unsigned i = 0; i < runtime->worker_count; i++)
        (void)weft__lane_ask(&runtime->workers[i].lane);
}

/* Whether nobody else is awake, hence nothing is anywhere but in the injector: who announces a
 * sleep has an empty deque and nothing private. Whoever gets up after our look does so as one who
 * searches, and looks by himself what is left when he leaves the search. */
static int is_alone(const weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    for (unsigned i = 0; i + 1 < runtime->worker_count; i++)
        /* edge idle.sleepers (seq_cst): behind our own announcement, or counting out */
        if (weft__load_seq_cst(&runtime->workers[worker->victims[i]].asleep) != WEFT__ABED)
            return 0;
    return 1;
}

/* The last look of a worker that has announced its sleep. */
WEFT__HOT static int is_work_left(weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    ask_everybody(runtime);
    unsigned others = is_alone(worker) ? 0 : runtime->worker_count - 1;
    /* edge idle.push: the processor's half of the fence between a push and its look for sleepers.
     * edge lane.raid: likewise, for a spawn. */
    if (runtime->can_raid && others > 0)
        weft__hook_membarrier();
    if (is_stopping(runtime) || !weft__injector_is_empty(&runtime->injector))
        return 1;
    for (unsigned i = 0; i < others; i++)
        if (has_work(&runtime->workers[worker->victims[i]], runtime->can_raid))
            return 1;
    return 0;
}

/* Sleep until woken. */
static void sleep_plainly(weft__worker *worker)
{
    for (;;) {
        /* Anew each time: the waker of an earlier sleep may post only now. */
        uint32_t value = weft__ec_value(&worker->ec);
        /* relaxed: get_up() looks again */
        if (weft__load_relaxed(&worker->asleep) != WEFT__ABED)
            return;
        weft__ec_wait(&worker->ec, value, weft__hang_watch(worker, WEFT_FOREVER));
    }
}

/* How long the watcher may sleep: said first, looked at again second. */
static int64_t say_until(weft_runtime *runtime)
{
    int64_t until = next_due(runtime);
    for (;;) {
        /* edge idle.watch (seq_cst): before the second look */
        weft__store_seq_cst(&runtime->watch_until, until);
        int64_t due = next_due(runtime);
        if (due >= until)
            return until;
        until = due;
    }
}

/* Whether deadlines or files are waited for, and no sleeper will wake for them. */
static int is_unwatched(weft_runtime *runtime)
{
    /* edge idle.watch (seq_cst): behind the end of our own watch, if it was that */
    if (weft__load_seq_cst(&runtime->watcher) != NULL)
        return 0;
    return next_due(runtime) != WEFT_FOREVER || reactor_in_use(runtime) != NULL;
}

/* A guest plays the worker: let others see to what this thread has to, and wait. */
static WEFT__NOINLINE void await_role(weft__worker *worker, weft_task *ready)
{
    weft_runtime *runtime = worker->runtime;
    for (weft_task *next; ready != NULL; ready = next) {
        next = ready->prev_;
        weft__injector_push(&runtime->injector, (weft__link *)(void *)ready);
    }
    if (!weft__injector_is_empty(&runtime->injector) || is_unwatched(runtime))
        (void)wake_for(runtime, worker, 0, 1);
    /* edge idle.watch (seq_cst): behind the store of this worker's deadlines */
    weft__worker *watcher = weft__load_seq_cst(&runtime->watcher);
    if (watcher != NULL)
        hurry(watcher, worker); /* who may not know of them */
    for (;;) {
        uint32_t value = weft__ec_value(&worker->ec);
        uint32_t seen = WEFT__PLAYED;
        /* relaxed: nothing is handed over */
        if (weft__cas_relaxed(&worker->asleep, &seen, WEFT__MISSED) || seen == WEFT__MISSED)
            weft__ec_wait(&worker->ec, value, WEFT_FOREVER);
        /* edge idle.role (acquire): the worker as the guest has left it */
        else if (weft__cas_acquire(&worker->asleep, &seen, WEFT__UP))
            return;
    }
}

/* Get up, by oneself unless a waker was faster, with fibers that are ready. */
static void get_up(weft__worker *worker, weft_task *ready)
{
    uint32_t called = WEFT__CALLED;
    if (claim_wake(worker->runtime, worker, WEFT__UP)) {
        weft__store_relaxed(&worker->woken_on, 0);                /* relaxed: a guess */
    } else if (weft__load_acquire(&worker->asleep) != WEFT__UP && /* edge idle.claim (acquire) */
               /* edge idle.role (acquire): the waker's doings, or a guest's */
               !weft__cas_acquire(&worker->asleep, &called, WEFT__UP)) {
        await_role(worker, ready);
        ready = NULL;
    }
    if (ready != NULL)
        push_ready(worker, ready);
}

/* Sleep until woken, until a deadline is due, or until a file is ready. Nonzero: a deadline was. */
static int sleep_watching(weft__worker *worker, weft_task **ready)
{
    weft_runtime *runtime = worker->runtime;
    int is_due = 0;
    for (;;) {
        uint32_t value = weft__ec_value(&worker->ec);
        /* edge idle.claim (seq_cst): behind becoming the watcher */
        if (weft__load_seq_cst(&worker->asleep) != WEFT__ABED)
            break;
        int64_t due = say_until(runtime);
        int64_t until = weft__hang_watch(worker, due);
        weft__reactor *reactor = weft__load_seq_cst(&runtime->reactor); /* edge idle.files */
        if (reactor != NULL)
            *ready = reactor->poll(reactor, until);
        else if (until > weft_now())
            weft__ec_wait(&worker->ec, value, until);
        is_due = due != WEFT_FOREVER && due <= weft_now();
        if (*ready != NULL || is_due)
            break;
    }
    weft__store_relaxed(&runtime->watch_until, 0); /* relaxed: ordered by the next store */
    /* edge idle.watch (seq_cst): whoever sees no watcher looks for a sleeper itself */
    weft__store_seq_cst(&runtime->watcher, NULL);
    return is_due;
}

static int become_watcher(weft__worker *worker)
{
    weft__worker *nobody = NULL;
    /* edge idle.watch (seq_cst): one at a time */
    return weft__cas_seq_cst(&worker->runtime->watcher, &nobody, worker);
}

/* Sleep in one of the two ways. Nonzero: a deadline is due. `unwatched` is set back when others
 * know of this worker's deadlines, and `ready` are fibers that the sleep has brought. */
static int sleep_either_way(weft__worker *worker, int *unwatched, weft_task **ready)
{
    if (become_watcher(worker))
        return sleep_watching(worker, ready);
    if (*unwatched)
        look_for_watcher(worker);
    *unwatched = 0;
    sleep_plainly(worker);
    return 0;
}

/* The worker has announced its sleep, and nobody has work: its thread sleeps until it is woken. */
static void sleep_until_woken(weft__worker *worker, int unwatched)
{
    WEFT__COUNT(worker, sleeps, 1);
    weft_task *ready = NULL;
    int64_t asleep_at = weft_now();
    int is_due = sleep_either_way(worker, &unwatched, &ready);
    get_up(worker, ready);
    worker->unwatched |= unwatched;
    WEFT__COUNT(worker, wakes, 1);
    weft__place_get_up(worker);
    worker->has_got_up = 1;
    /* That a deadline was near was known before: looking would not have found anything else. */
    if (!is_due && !is_in_the_way(worker) && weft_now() - asleep_at < REGRET_NS)
        learn(worker, 1);
}

/* Sleep until woken, or not at all if there is work after all. The worker is among the searching
 * before and after. From the announcement until it has got up it may be a guest's: the thread
 * leaves alone what is the worker's. */
static void doze(weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    int unwatched = worker->unwatched;
    worker->unwatched = 0;
    worker->hang_look_ns = 0;
    weft__place_lie_down(worker);
    /* relaxed: published by the announcement */
    weft__store_relaxed(&worker->announcements, worker->announcements + 1);
    /* edge idle.sleepers (seq_cst): announced before the last look. */
    weft__store_seq_cst(&worker->asleep, WEFT__ABED);
    weft__fetch_add_seq_cst(&runtime->sleepers, 1);
    weft__fetch_add_seq_cst(&runtime->searching, (uint32_t)-1); /* edge idle.sleepers (seq_cst) */
    WEFT_CRASH_POINT(20);
    if (!is_work_left(worker) && !is_kept_awake(runtime, 1)) {
        sleep_until_woken(worker, unwatched);
        return;
    }
    get_up(worker, NULL);
    weft__place_get_up(worker);
    worker->unwatched |= unwatched;
}

static size_t items_in_sight(const weft_runtime *runtime)
{
    size_t count = 0;
    for (unsigned i = 0; i < runtime->worker_count; i++)
        count += weft_deque_size(&runtime->workers[i].deque);
    return count;
}

/* A searching worker has found something. If it was the last, and others sleep, the duty to search
 * goes back to all lanes, or to a sleeper if there is more to be found right now. */
WEFT__HOT void weft__worker_leave_search(weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    /* edge idle.sleepers (seq_cst): counted out before the look at what is left. */
    int32_t searching = (int32_t)weft__fetch_add_seq_cst(&runtime->searching, (uint32_t)-1);
    if (searching > 1 || weft__load_seq_cst(&runtime->sleepers) == 0) /* edge idle.sleepers */
        return;
    /* Private tasks count as well: who spawned them while his lane was calm may compute for long
     * now and answer nobody, and only a worker that is awake can raid. So do deadlines that nobody
     * watches: this worker may have been the watcher until now. */
    if (!weft__deque_is_empty(&worker->deque) || is_unwatched(runtime) || is_work_left(worker))
        (void)wake_for(runtime, worker, 0, items_in_sight(runtime));
}

/* The oldest item of the worker's deque; NULL also if a thief is at it: then there is no hurry. */
static weft_task *take_oldest(weft__worker *worker)
{
    void *item = NULL;
    return weft_deque_steal(&worker->deque, &item) == WEFT_STEAL_ITEM ? item : NULL;
}

/* Whether those that have expired last have been taken. What they will touch has been fetched: in
 * vain if others were put in front of them. But nobody waits for long because of them. */
static int are_expired_taken(const weft__worker *worker)
{
    return weft_deque_size(&worker->deque) <= worker->stock ||
           worker->tick - worker->expired_at >= TURN_EVERY;
}

/* Whether the next item should wait until the loop has seen to others. */
static int is_time(const weft__worker *worker)
{
    unsigned tick = worker->tick + 1;
    return tick % TURN_EVERY == 0 ||
           (tick % CLOCK_EVERY == 0 && weft__wheel_is_due(&worker->wheel, WEFT_FOREVER - 1) &&
            are_expired_taken(worker));
}

/* What a worker whose own stock never runs out has to see to: deadlines, files, and work from
 * outside, of which it returns the oldest. */
static weft_task *see_to_others(weft__worker *worker)
{
    if (are_expired_taken(worker) && next_due(worker->runtime) != WEFT_FOREVER)
        (void)expire_due(worker, weft_now()); /* most often the clock need not be read */
    (void)poll_files(worker);
    return from_injector(worker);
}

/* Something that needs no search. Now and then it is the oldest, because two others that wake each
 * other would keep it from running. */
static weft_task *next_at_hand(weft__worker *worker)
{
    weft_task *item = worker->handed;
    worker->handed = NULL;
    if (item != NULL)
        return item;
    int is_turn = is_time(worker);
    worker->tick++;
    if (is_turn)
        item = see_to_others(worker);
    if (item == NULL && (is_turn || worker->is_yielding))
        item = take_oldest(worker);
    worker->is_yielding = 0;
    if (item == NULL)
        return weft__worker_own(worker);
    /* A fiber that has become runnable in between was for this worker to take, and nobody has been
     * told of it; now that another goes first somebody else may have it. */
    if (!weft__deque_is_empty(&worker->deque))
        weft__runtime_notify(worker->runtime, worker);
    return item;
}

WEFT__FUSED weft_task *weft__worker_hop(weft__worker *worker, int is_yielding)
{
    if (is_time(worker)) {
        worker->is_yielding = is_yielding;
        return NULL;
    }
    worker->tick++;
    weft_task *item = is_yielding ? take_oldest(worker) : NULL;
    return item != NULL ? item : weft__worker_own(worker);
}

/* Alone it would never get to the loop, so it sees to others from here. */
WEFT__FUSED int weft__worker_has_others(weft__worker *worker)
{
    if (worker->newest != NULL || worker->overflow != NULL || !weft__deque_is_empty(&worker->deque))
        return 1;
    if (is_time(worker)) {
        weft_task *item = see_to_others(worker);
        if (item != NULL)
            weft__worker_push(worker, item);
    }
    worker->tick++;
    return !weft__deque_is_empty(&worker->deque);
}

/* Nothing is left of what the worker got up for. Whoever has woken it may wait for nothing but this
 * processor, and have more to do. */
WEFT__HOT static WEFT__NOINLINE void let_waker_go_on(weft__worker *worker)
{
    worker->has_got_up = 0;
    if (is_in_the_way(worker))
        (void)weft__step_aside(&worker->courtesy);
}

WEFT__HOT weft_task *weft__worker_next(weft__worker *worker)
{
    weft_runtime *runtime = worker->runtime;
    weft_task *item = next_at_hand(worker);
    if (item == NULL) {
        if (worker->has_got_up) /* before it searches: who searches is relied on */
            let_waker_go_on(worker);
        /* edge idle.sleepers (seq_cst): whoever sees us searching leaves new work to us. */
        weft__fetch_add_seq_cst(&runtime->searching, 1);
        while (item == NULL) {
            item = hunt(worker);
            if (item != NULL || is_stopping(runtime))
                break;
            doze(worker);
            item = weft__worker_own(worker); /* a watcher comes back with what is ready */
        }
        weft__worker_leave_search(worker);
    }
    if (WEFT__UNLIKELY(worker->unwatched))
        weft__worker_see_watched(worker);
    return item;
}
