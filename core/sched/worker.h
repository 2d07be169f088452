/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.h — the nouns of the scheduler, and which file does what with them.
 *
 *     worker     a thread with a lane of private tasks, a deque, and always some fiber to stand on
 *     runtime    a number of workers that steal from each other, and an injector
 *     item       what lies in a deque: a task, or a runnable fiber (told apart by its type)
 *
 *     self.c     which worker is this thread            lane.c    publication and raid
 *     spawn.c    slow paths of spawn and join           join.h    finish against wait
 *     loop.c     what a fiber does when idle            park.c    suspending and waking fibers
 *     wait.c     waits that may be given up             timer.c   deadlines: a timing wheel
 *     idle.c     search, sleep, wake, watch the clock   runtime.c create, run, destroy
 *     thread.c   threads that play workers, regions     fork.c    what a forked child may do
 *     blocks.c   memory for what begins and ends often  spin.h    a lock for a few instructions
 *     overflow.c who ran off its stack                  shared.c  the runtime of plain threads
 *     look.c     a plain thread, before it sleeps       apart.c   where a worker wakes
 *     standin.c  a plain thread instead of a worker that gets up */
#ifndef WEFT_SCHED_WORKER_H
#define WEFT_SCHED_WORKER_H

#include <weft/deque.h>
#include <weft/runtime.h>
#include <weft/task.h>

#include <weft/debug.h>

#include "ck.h"
#include "fiber/stack.h"
#include "injector.h"
#include "sched/apart.h"
#include "sched/join.h"
#include "sched/reactor.h"
#include "sched/thread.h"

#define WEFT__BLOCK_SIZES 2 /* of memory for what begins and ends often: blocks.c */
#define WEFT__RINGS 5       /* distances 1 ... 5 of topology.h */

typedef struct weft__worker weft__worker;

/* Called on another stack once a fiber's context is saved, when it may already be resumed by
 * others. Zero: it need not wait after all. */
typedef int weft__commit(weft__waiter *waiter, void *arg);

/* What a fiber leaves to be done once its context is saved, by the next one on its worker. */
typedef struct weft__left {
    weft__commit *commit; /* NULL: nothing */
    weft__waiter *waiter;
    void *arg;
    int is_tentative;    /* the wait may be given up: wait.c */
    int64_t deadline_ns; /* of such a wait; WEFT_FOREVER: none */
} weft__left;

/* Counters; each worker writes its own, statistics add them up. */
typedef struct weft__counters {
    uint64_t tasks_run, steals, published, raids, parks, sleeps, wakes;
} weft__counters;

/* The frames of a worker's fiber, innermost first: what it answers to a dump. */
#define WEFT__TRACE_MAX 32
typedef struct weft__trace {
    uint32_t state; /* debug/signal.c */
    unsigned count;
    const weft__fiber *fiber;
    uintptr_t addresses[WEFT__TRACE_MAX];
} weft__trace;

/* Whether stepping aside has lately taken long: look.c. Relaxed: a guess. */
typedef struct weft__courtesy {
    uint32_t left_out; /* how many more times not to */
    uint32_t price;    /* how many times, when it has taken long again */
} weft__courtesy;

/* Of weft__worker.asleep. */
#define WEFT__UP 0u     /* its own thread plays it */
#define WEFT__ABED 1u   /* it has announced a sleep, and nobody has claimed the wake-up */
#define WEFT__CALLED 2u /* a plain thread has, and its own thread is about to get up */
#define WEFT__PLAYED 3u /* a plain thread plays it: standin.c */
#define WEFT__MISSED 4u /* likewise, and its own thread has got up and waits for its role */

struct weft__worker {
    weft__lane lane; /* first: what thread-local storage points to */
    weft_deque deque;

    /* The worker's own, or its current fiber's. */
    weft_runtime *runtime;
    weft__fiber *current;                  /* the fiber it stands on */
    weft__fiber *cache;                    /* idle fibers */
    unsigned cache_count;                  /* relaxed: the hang detector adds them up */
    weft__link *blocks[WEFT__BLOCK_SIZES]; /* of memory: blocks.c */
    unsigned block_count[WEFT__BLOCK_SIZES];
    unsigned id;
    unsigned checks;     /* what debug/check.h has to see to at each wait, usually nothing */
    unsigned tick;       /* items executed, for fairness towards the injector */
    unsigned ticket;     /* raids begun */
    uint64_t random;     /* state of a xorshift generator */
    int64_t patience_ns; /* how long to look for work before sleeping: idle.c */
    weft_task *handed;   /* what the loop executes next, or NULL */
    weft_task *newest;   /* of its items, if that is private: the oldest in the lane; or NULL */
    int is_yielding;     /* who has left lets older ones run first: for the loop, if it chooses */
    int has_got_up;      /* it has been asleep, and not searched since */
    weft__courtesy courtesy;
    size_t stock;        /* of the deque before the last expiry: what lay there before */
    unsigned expired_at; /* the tick of that expiry */
    int unwatched;       /* the wheel's next deadline is earlier than anybody has been told */
    weft_task *overflow; /* items for which the deque had no memory, linked by prev_ */
    weft__left left;     /* what to do for the fiber it stood on before */
    unsigned *victims;   /* other workers, nearest first; NULL: there are none */
    unsigned ring_end[WEFT__RINGS]; /* victims[ring_end[r - 1] ... ring_end[r]) are equally far */
    int cpu;                        /* to run on, or -1 */
    int64_t hang_look_ns;           /* when to look whether all hangs; 0: not yet suspected */
    int64_t hang_wait_ns;           /* how long it has waited for that */
    weft__thread *thread;           /* that plays it right now; relaxed: dumps look */
    int *errno_at;                  /* that thread's */
    struct weft__guest *guest;      /* the plain thread that plays it, or NULL: standin.c */
    weft__counters counters;        /* relaxed: read by statistics */

    /* Others' too. */
    char line0[64];
    weft__wheel wheel;      /* deadlines of fibers that have parked here */
    uint32_t asleep;        /* WEFT__UP ...: whether it is, and who plays it: idle.c */
    uint64_t announcements; /* how often it has done that; stored before */
    int woken_on;           /* 1 + the processor of the plain thread that woke it last, or 0 */
    weft__place place;      /* where it sleeps, and where to wake it: apart.c */
    uint64_t sighted;       /* where a thief has last seen, and spared, its only item */
    weft__ec ec;            /* what it sleeps on */
    char line1[64];
    weft__trace trace;        /* a dump's */
    weft__fiber guest_native; /* the guest's own stack */
};

/* What stands on a runtime and owns things that end with it: the executor of futures. */
typedef struct weft__tenant {
    void (*before_stop)(struct weft__tenant *tenant); /* workers still run: wait for what is left */
    void (*after_stop)(struct weft__tenant *tenant);  /* they have ended: free it */
} weft__tenant;

struct weft_runtime {
    weft__injector injector;
    uint32_t sleepers; /* workers whose `asleep` is WEFT__ABED */
    char line0[64 - sizeof(uint32_t)];
    uint32_t searching; /* workers that are awake, have no work, and will look at every deque; as a
                           signed number: see claim_wake() */
    char line1[64 - sizeof(uint32_t)];
    uint32_t offers; /* counts what is published for those who search: they look here */
    char line3[64 - sizeof(uint32_t)];
    weft__worker *watcher; /* the sleeper that wakes at the next deadline, or NULL */
    int64_t watch_until; /* how long it sleeps; 0: it is awake, or looks at the wheels right now */
    weft__reactor *reactor; /* NULL until a fiber waits for a file; then constant */
    char line2[64 - sizeof(weft__worker *) - sizeof(int64_t) - sizeof(weft__reactor *)];
    uint32_t wakers; /* foreign threads in the middle of waking a fiber of ours */
    char line4[64 - sizeof(uint32_t)];

    /* Constant while workers run, but for the two flags. */
    weft__worker *workers;
    unsigned worker_count;
    unsigned cpu_count; /* that the process might use when it was created */
    int can_raid;       /* membarrier() is available */
    int report_overflow;
    int64_t spin_ns;            /* WEFT_FOREVER: never sleep */
    uintptr_t rest;             /* what `attention_` falls back to: CALM, or HUNGRY without raids */
    unsigned *victims;          /* all workers' arrays in one block */
    uint64_t fork_count;        /* of the process that created it */
    weft_runtime *next_runtime; /* in the list of all: debug/registry.c */
    weft_hang_policy hang;      /* never WEFT_HANG_DEFAULT */
    int dump_signal;            /* not blocked in workers; 0: none */
    int is_uring;               /* its reactor will be on io_uring */
    uint64_t float_mode;        /* of the thread that created it, hence of its workers */
    uint32_t stopping;
    uint32_t phases;      /* weft_phase_begin() without its end; a hint */
    uint32_t runs;        /* weft_runtime_run() calls in progress */
    int is_stood_on;      /* a forked child's only thread stands on one of the fibers */
    weft__tenant *tenant; /* or NULL; set once */
    weft__fiber_pool fibers;

    pthread_mutex_t threads_lock; /* guards what is below; slow paths only */
    weft__thread *threads;        /* all that exist; freed when the runtime ends */
    weft__thread *spares;         /* those that play no worker and are in no region */
    unsigned thread_count;
};

/* The type of a fiber that lies in a deque. */
extern const weft_task_type weft__fiber_type;

/* ---- self.c ---- */

/* The worker this code runs on right now, or NULL. Changes at every suspension. */
WEFT__INLINE weft__worker *weft__worker_self(void)
{
    return (weft__worker *)weft__lane_self()->worker_;
}

/* The calling thread plays the worker from now on; and no longer. */
void weft__worker_bind_thread(weft__worker *worker);
void weft__worker_unbind_thread(void);

/* The innermost scope that the calling plain thread has opened, or NULL. */
struct weft_scope *weft__thread_scope(void);
void weft__thread_set_scope(struct weft_scope *scope);

/* A pointer that belongs to the calling fiber, or plain thread; NULL at first. The layer above
 * keeps there what it runs; it sets it back before the task ends. The place itself is another one
 * after any wait. */
void *weft__local_get(void);
void weft__local_set(void *value);
void *weft__local_swap(void *value); /* returns the old one */

/* Free blocks of one size that somebody keeps for himself. */
typedef struct weft__stock {
    weft__link *first;
    uint32_t count;
    uint32_t keeping; /* a plain thread's: whether it may keep any; the layer above says what */
} weft__stock;

/* The calling plain thread's; empty at first, and whoever puts something there sees to it that it
 * is emptied before the thread ends. */
weft__stock *weft__thread_stock(void);

/* What the calling plain thread had better do when it waits next: look.c. Until it has slept. */
typedef enum weft__mood {
    WEFT__FRESH,      /* look for a moment whether it has come */
    WEFT__HAS_CALLED, /* it has woken a worker, perhaps on its own processor: step aside */
    WEFT__TIRED,      /* it has looked in vain, or would: sleep at once */
} weft__mood;

void weft__thread_set_mood(weft__mood mood);
weft__mood weft__thread_mood(void);

/* Whether the calling plain thread stands on a fiber, in a region that may block. */
void weft__thread_set_in_region(int is_in_region);
int weft__thread_is_in_region(void);

/* ---- spawn.c ---- */

/* The worker after a call of the user's: perhaps another one, but never none. */
weft__worker *weft__worker_still(void);

/* Owner: answer whoever asked, publish what is private, keep sleepers' hunger alive. Nonzero: a
 * raider has `popped`. */
int weft__worker_attend(weft__worker *worker, const weft_task *popped);

/* Owner: leave the lane after `published` tasks have become public. With sleepers about, they make
 * somebody search; without any the lane stays hungry, unless somebody searches already. */
void weft__worker_calm(weft__worker *worker, size_t published);

/* ---- park.c ---- */

/* Suspend the calling fiber, or put the calling plain thread to sleep, until `waiter` is woken; it
 * cannot be given up. `commit` registers the waiter where its waker will find it; it runs after the
 * fiber's context is saved, on another stack, and may be the last to see the fiber. */
void weft__wait(weft__waiter *waiter, weft__commit *commit, void *arg);

/* For a commit, before it registers the waiter: what the fiber is going to wait for. What a commit
 * does not say counts as unknown. */
WEFT__INLINE void weft__waits_for(weft__waiter *waiter, weft_reason reason, const void *object)
{
    weft__fiber *fiber = waiter->fiber;
    if (fiber == NULL)
        return;
    weft__store_relaxed(&fiber->reason, (unsigned)reason); /* relaxed: for diagnosis alone */
    weft__store_relaxed(&fiber->object, object);           /* relaxed: likewise */
}

/* Wake a waiter whose commit has returned nonzero, or is about to. From anywhere; its memory may be
 * gone at return. */
void weft__wake(weft__waiter *waiter);

/* The same from the very end of a task: the worker has nothing else to do, so it goes on with the
 * waiter if that is a fiber of its runtime. */
void weft__hand_over(weft__waiter *waiter);

/* A fiber is about to leave the worker: publish what it has spawned, if need be without memory. */
void weft__worker_publish_tasks(weft__worker *worker);
WEFT__INLINE void weft__worker_publish(weft__worker *worker)
{
    /* relaxed: the owner's own */
    if (WEFT__UNLIKELY(weft__load_relaxed(&worker->lane.youngest_) != worker->newest))
        weft__worker_publish_tasks(worker);
}

/* Make a parked fiber runnable: from anywhere. It may have ended at return. */
void weft__fiber_ready(weft__fiber *fiber);

/* The fiber goes on in a thread that plays no worker. */
WEFT__INLINE void weft__fiber_in_thread(weft__fiber *fiber)
{
    /* relaxed: for diagnosis alone */
    weft__store_relaxed(&fiber->reason, (unsigned)WEFT_REASON_THREAD);
    weft__store_relaxed(&fiber->object, NULL);
    weft__store_relaxed(&fiber->item.state_, (uintptr_t)0);
}

/* What the calling fiber runs, for dumps; nothing outside a worker. The second puts it back. */
typedef struct weft__role {
    const weft_task_type *running;
    const void *task;
    const weft_site *site;
} weft__role;

WEFT__INLINE void weft__fiber_plays(weft__fiber *fiber, const weft__role *role)
{
    weft__store_relaxed(&fiber->running, role->running); /* relaxed: these three for dumps */
    weft__store_relaxed(&fiber->task, role->task);
    weft__store_relaxed(&fiber->site, role->site);
}

weft__role weft__fiber_begin(const weft_site *site, const void *task);
void weft__fiber_end(const weft__role *before);

/* The first half of fiber_ready: what makes it an item, published by the push. */
WEFT__INLINE void weft__fiber_mark_ready(weft__fiber *fiber)
{
    /* relaxed: published by the push; dumps look at any time */
    weft__store_relaxed(&fiber->item.state_, (uintptr_t)&weft__fiber_type);
}

/* Hand a task to a runtime, from anywhere: into the own deque of a worker of it, or the injector.
 * Nobody joins it: its type is consumed (see weft_task_type). */
void weft__submit(weft_runtime *runtime, weft_task *task, const weft_task_type *type);

/* The two halves of weft__wait(), without its settings: a worker's fiber; a plain thread, which may
 * give up: 0 or -ETIMEDOUT. And a plain thread's sleep alone: -ECANCELED, too. */
void weft__park(weft__worker *worker, const weft__left *left, int is_yielding);
int weft__park_thread(weft__waiter *waiter, weft__commit *commit, void *arg, int64_t deadline_ns);
int weft__sleep_thread(weft__waiter *waiter, int64_t deadline_ns);

/* A worker: an item for itself and others. The newest stays private, as a spawned task does, until
 * there is a newer one or somebody asks: mostly the worker takes it itself, and soon. */
void weft__worker_put(weft__worker *worker, weft_task *item);

/* A worker: an item into the deque, for thieves as well. Nobody is told. */
void weft__worker_push(weft__worker *worker, weft_task *item);

/* Something from the worker's own stock: overflow list, the newest item, deque. */
weft_task *weft__worker_own(weft__worker *worker);

/* ---- runtime.c ---- */

/* Whether plain threads that wait had better not spin. Of the process, not of a runtime: that may
 * be gone as soon as what they wait for has come. */
int weft__runtimes_are_crowded(void);

/* ---- look.c ---- */

/* A plain thread that is about to wait: whether has_come(what), within a moment. It returns soon if
 * that is unlikely. */
int weft__thread_looks(int (*has_come)(const void *), const void *what, int64_t deadline_ns);

/* Let whoever is ready on this processor run, unless that has lately taken long: zero. Learn from
 * how long it took. */
int weft__step_aside(weft__courtesy *courtesy);
void weft__courtesy_learn(weft__courtesy *courtesy, int64_t took_ns);

/* ---- wait.c ---- */

/* weft__wait() that may be given up. Returns 0: woken, or `commit` found that it need not wait;
 * -ETIMEDOUT: the deadline, or that of a scope around, has passed; -ECANCELED: a scope around is
 * cancelled. Having given up, `waiter` is still where `commit` put it: the caller takes it back,
 * so that no waker will ever touch it; where a waker has it already, it calls weft__wait_woken(),
 * which returns when that wake has come. */
int weft__wait_until(weft__waiter *waiter, weft__commit *commit, void *arg,
                     int64_t deadline_ns) WEFT_NODISCARD;
void weft__wait_woken(weft__waiter *waiter);

/* Make the commit that a fiber has left, once. Zero: it need not wait, and nobody else makes it
 * runnable. */
int weft__commit_left(weft__left *left) WEFT_NODISCARD;

/* Whoever cancels the scope of a plain thread that waits. Nonzero: the sleeper is to be woken. */
int weft__wait_cut_off(weft__waiter *waiter);

/* A waker, the fiber's timer, whoever cancels. 1: the caller is the one to make the fiber runnable.
 * The last answers -EAGAIN for a fiber that does not wait: it may be about to. */
int weft__wait_claim(weft__fiber *fiber) WEFT_NODISCARD;
int weft__wait_expire(weft__fiber *fiber) WEFT_NODISCARD;
int weft__wait_cancel(weft__fiber *fiber, unsigned depth) WEFT_NODISCARD;

/* ---- loop.c ---- */

/* What every fiber runs. */
void weft__fiber_main(void);

/* Make `next` the current fiber; the one left is idle, or parked by the caller. */
void weft__worker_switch(weft__worker *worker, weft__fiber *next);

/* What a fiber that suspends switches to: the next one that is ready, or an idle one, on which the
 * loop goes on. It never fails. */
weft__fiber *weft__worker_choose(weft__worker *worker, int is_yielding);

/* An idle fiber, from the worker's cache or new; NULL: no memory. And back into the cache. */
weft__fiber *weft__worker_fiber(weft__worker *worker);
void weft__worker_keep_fiber(weft__worker *worker, weft__fiber *fiber);

/* A fiber that was suspended goes on: first it sees to the one that was left for it. Returns the
 * worker it is on now. */
weft__worker *weft__fiber_landed(void);

/* ---- idle.c ---- */

/* The next item to execute, waiting for one if need be; NULL: the runtime stops. */
weft_task *weft__worker_next(weft__worker *worker);

/* After work has become visible by a sequentially consistent store: wake somebody if nobody looks
 * for work. `worker` is the caller, or NULL from outside. */
void weft__runtime_notify(weft_runtime *runtime, weft__worker *worker);

/* Something has been published because somebody searches: let him know. */
void weft__runtime_offer(weft_runtime *runtime);

/* A plain thread submits, or is about to look for a result without sleeping: it wants a
 * processor. */
void weft__onlooker_comes(void);

/* The next item at hand, for a fiber that suspends, the oldest if it yields; NULL: nothing, or it
 * is time for the loop to see to others. */
weft_task *weft__worker_hop(weft__worker *worker, int is_yielding);

/* This worker has armed a deadline, or waits for a file, and goes on with something else: see that
 * a sleeper, if there is one, wakes for it. */
void weft__worker_see_watched(weft__worker *worker);

/* Whether others are ready here, for weft_yield(). */
int weft__worker_has_others(weft__worker *worker);

/* Install a reactor, unless somebody was faster. Returns the one that is installed. */
weft__reactor *weft__runtime_set_reactor(weft_runtime *runtime, weft__reactor *reactor);

/* Arm the timer of a fiber that parks on this worker. */
void weft__worker_arm(weft__worker *worker, weft__timer *timer, int64_t deadline_ns);

/* A searching worker has found something, and counts itself out. */
void weft__worker_leave_search(weft__worker *worker);

/* Wake everybody, to stop. */
void weft__runtime_wake_all(weft_runtime *runtime);

/* ---- blocks.c ---- */

/* Memory like weft__alloc()'s, cheaper for up to WEFT__BLOCK_BYTES; given back with the same
 * `bytes`, by any thread. NULL: there is none. */
#define WEFT__BLOCK_BYTES ((size_t)256)
void *weft__block_get(size_t bytes) WEFT_NODISCARD;
void weft__block_put(void *memory, size_t bytes);
void weft__blocks_free(weft__worker *worker);

/* ---- thread.c ---- */

/* Let a thread play the worker. */
int weft__thread_start(weft__worker *worker) WEFT_NODISCARD;

/* The runtime stops: see all threads off; later free what is left of them. */
void weft__threads_join(weft_runtime *runtime);
void weft__threads_free(weft_runtime *runtime);

/* ---- standin.c ---- */

/* Whether the calling plain thread, which is about to wait for as long as it takes, had better run
 * by itself what it waits for. */
int weft__thread_may_stand_in(void);

/* Run `item` as a worker that the calling plain thread has called and that has not got up yet, if
 * the item lies in the injector, alone. Nonzero: it has run until it ended or waited. The caller
 * sees to it that the runtime lasts. */
int weft__stand_in(weft_runtime *runtime, weft_task *item);

/* What the layer above counts newcomers in; none in a forked child. */
extern uint32_t weft__newcomers;

/* For the fiber that a guest stands on: what it runs first, or NULL; then the way back, after
 * `ready` has been told that it may go on, if there is one. */
weft_task *weft__guest_item(weft__worker *worker);
weft__fiber *weft__guest_leaves(weft__worker *worker, weft__fiber *ready);

/* A guest begins a region that may block: the worker gets its own thread again. Returns where the
 * fiber leaves the guest when the region is over. */
weft__thread *weft__guest_steps_out(weft__worker *worker);

/* ---- fork.c ---- */

/* Counts the forks that lie between this process and the one that loaded weft. */
uint64_t weft__fork_count(void);
void weft__fork_register(void);

/* ---- shared.c ---- */

/* The runtime that plain threads share; the first call starts it. 0, or as weft_runtime_create().
 */
int weft__runtime_shared(weft_runtime **out) WEFT_NODISCARD;
/* NULL: nobody in this process has started it. */
weft_runtime *weft__runtime_shared_now(void);
int weft__runtime_is_shared(const weft_runtime *runtime);

/* ---- overflow.c ---- */

/* Process: report overflows from now on. Thread: use its `signal_stack`, if it has one. */
void weft__overflow_install(void);
void *weft__overflow_stack_new(void);
void weft__overflow_thread_enter(void *signal_stack);
void weft__overflow_thread_leave(void *signal_stack);

/* A plain thread is going to stand on a fiber: it gets a signal stack, unless it has one. */
void weft__overflow_guest_enter(void);

/* Owner-written counters. */
#define WEFT__COUNT(worker, what, n)                                                               \
    weft__store_relaxed(&(worker)->counters.what, (worker)->counters.what + (n))

#endif
