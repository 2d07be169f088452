/* SPDX-License-Identifier: BSD-2-Clause */
/* standin.c — a plain thread plays the worker that it has called, until that has got up.
 *
 * Waking a thread that sleeps takes tens of microseconds where it wakes on another processor. Who
 * has handed in a task, has called a sleeping worker for it, and now waits for the task, is awake
 * already. So he plays that worker himself, on a fiber of the worker's, as a thread of the runtime
 * would. The worker's own thread finds the role taken when it has got up, and waits for it:
 *
 *     plain thread P                          worker 3, its own thread T, which sleeps
 *     push the task; ABED → CALLED; wake ───► (getting up)
 *     wait for the task: CALLED → PLAYED
 *     take the task, run it on a fiber        PLAYED → MISSED, sleep again
 *     it ends, or waits: to P's own stack
 *     → CALLED; post if that was MISSED ────► CALLED → UP: search for work, as if just woken
 *
 * What P runs is what it waits for, and nothing else: a stranger might keep it for long after that
 * has come. Hence only a task that lies in the injector alone, since older ones come first. What
 * the task leaves in the worker's deque is for T, which is on its way, and for thieves.
 *
 * When the task begins a region that may block, T gets the role at once, and P goes on as a plain
 * thread on the fiber's stack. At the end of the region the fiber leaves for the runtime's workers,
 * and P for its own stack.
 *
 * A waiter that runs what it waits for: oneTBB's master threads, and, for only that, leapfrogging
 * (Wagner, Calder 1993).
 *
 * Rejected:
 *   - to run the task without a worker: it would have no number, and nobody to share with;
 *   - a worker more, for guests: its number would be one that weft_num_workers() denies;
 *   - to wait with the wake-up until P waits: P might compute for long before that. */
#include "sched/worker.h"

#include "debug/check.h"
#include "hooks.h"

#include <locale.h>
#include <pthread.h>

/* The plain thread that plays a worker; in its own frame. */
typedef struct weft__guest {
    weft_task *item;       /* to run, until it is taken up */
    weft__fiber *stood_on; /* by the worker's own thread */
    int *errno_at;         /* that thread's */
    weft__thread thread;   /* its own stack, and what a fiber leaves there after a region */
} weft__guest;

WEFT__HOT int weft__thread_may_stand_in(void)
{
    return weft__worker_self() == NULL && weft__thread_mood() == WEFT__HAS_CALLED &&
           weft__thread_scope() == NULL && !weft__thread_is_in_region();
}

/* ---- the thread ----------------------------------------------------------------------------- */

/* What is the thread's, and is as it was when the task has gone. */
typedef struct own {
    int errno_value;
    int cancel_state;
    void *local; /* which the layer above would find again in a region */
} own;

WEFT__HOT static own set_out(void)
{
    own self = {.errno_value = weft__errno_get(), .local = weft__local_swap(NULL)};
    /* Whoever ends this thread means the caller, and not on a fiber. */
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &self.cancel_state);
    return self;
}

WEFT__HOT static void come_home(const own *self)
{
    (void)pthread_setcancelstate(self->cancel_state, NULL);
    weft__local_set(self->local);
    weft__errno_set(self->errno_value);
}

/* A task goes on in other threads, and computes the same in all of them. */
WEFT__HOT static int is_like_workers(const weft_runtime *runtime)
{
    return weft__float_mode() == runtime->float_mode && uselocale((locale_t)0) == LC_GLOBAL_LOCALE;
}

/* ---- the role ------------------------------------------------------------------------------- */

/* A worker that has been called and has not got up; NULL: none. One that is bound to a processor is
 * played there. */
WEFT__HOT static weft__worker *take_role(weft_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        weft__worker *worker = &runtime->workers[i];
        uint32_t called = WEFT__CALLED;
        /* relaxed: the swap decides
         * edge idle.role (acquire): the worker as its own thread has left it, or another guest */
        if (worker->cpu < 0 && weft__load_relaxed(&worker->asleep) == WEFT__CALLED &&
            weft__cas_acquire(&worker->asleep, &called, WEFT__PLAYED))
            return worker;
    }
    return NULL;
}

/* Its own thread goes on as one that has just been woken, and is among the searching. */
WEFT__HOT static void give_role(weft__worker *worker)
{
    /* edge idle.role (release): the worker as it is now */
    if (weft__exchange_release(&worker->asleep, WEFT__CALLED) == WEFT__MISSED)
        weft__ec_post(&worker->ec);
}

WEFT__HOT static void begin(weft__worker *worker, weft__guest *self)
{
    self->stood_on = worker->current;
    self->errno_at = worker->errno_at;
    worker->guest = self;
    worker->checks |= WEFT__CHECK_GUEST;
    weft__fiber_adopt_thread(&self->thread.native);
    weft__worker_bind_thread(worker);
    weft__worker_leave_search(worker);
}

WEFT__HOT static void end(weft__worker *worker)
{
    const weft__guest *self = worker->guest;
    weft_task *handed = worker->handed;
    weft__worker_publish(worker);
    worker->handed = NULL;
    worker->is_yielding = 0;
    if (handed != NULL)
        weft__worker_push(worker, handed);
    worker->guest = NULL;
    worker->checks &= ~WEFT__CHECK_GUEST;
    weft__store_relaxed(&worker->errno_at, self->errno_at); /* relaxed: for handlers of signals */
    weft__store_relaxed(&worker->current, self->stood_on);  /* relaxed: dumps look at any time */
    weft__worker_unbind_thread();
    /* edge idle.sleepers (seq_cst): whoever sees the worker searching leaves new work to it */
    weft__fetch_add_seq_cst(&worker->runtime->searching, 1);
    give_role(worker);
}

/* ---- the task ------------------------------------------------------------------------------- */

/* Back into the injector, the oldest first. The worker is among the searching, and has yet to
 * look. */
static void put_back(weft__injector *injector, weft__link *newest)
{
    weft__link *oldest = NULL;
    for (weft__link *next; newest != NULL; newest = next) {
        next = newest->next;
        newest->next = oldest;
        oldest = newest;
    }
    for (weft__link *next; oldest != NULL; oldest = next) {
        next = oldest->next;
        weft__injector_push(injector, oldest);
    }
}

WEFT__HOT static int take_item(weft__injector *injector, weft_task *item)
{
    weft__link *newest = (weft__link *)(void *)item;
    if (!weft__injector_take_from(injector, newest))
        return 0;
    if (newest->next == NULL)
        return 1;
    put_back(injector, newest);
    return 0;
}

WEFT__HOT static void play(weft__worker *worker, weft__fiber *fiber, weft_task *item)
{
    weft__guest self = {.item = item};
    weft__fiber_prefetch(fiber); /* it has not been used for long */
    own before = set_out();
    begin(worker, &self);
    weft__store_relaxed(&worker->current, fiber); /* relaxed: dumps look at any time */
    weft__fiber_switch(&self.thread.native, fiber);
    if (self.thread.left != NULL)
        weft__fiber_ready(self.thread.left); /* and the worker has its own thread again */
    else
        end(weft__fiber_landed());
    come_home(&before);
}

WEFT__HOT int weft__stand_in(weft_runtime *runtime, weft_task *item)
{
    if (!weft__injector_has_newest(&runtime->injector, (weft__link *)(void *)item) ||
        !is_like_workers(runtime))
        return 0;
    if (runtime->report_overflow)
        weft__overflow_guest_enter();
    weft__worker *worker = take_role(runtime);
    if (worker == NULL)
        return 0;
    int is_forced_to_move = (worker->checks & WEFT__CHECK_MIGRATE) != 0;
    weft__fiber *fiber = is_forced_to_move ? NULL : weft__worker_fiber(worker);
    int is_taken = fiber != NULL && take_item(&runtime->injector, item);
    if (is_taken) {
        weft__thread_set_mood(WEFT__FRESH);
        play(worker, fiber, item);
        return 1;
    }
    if (fiber != NULL)
        weft__worker_keep_fiber(worker, fiber);
    give_role(worker);
    return 0;
}

/* ---- on the fiber --------------------------------------------------------------------------- */

WEFT__HOT weft_task *weft__guest_item(weft__worker *worker)
{
    weft_task *item = worker->guest->item;
    worker->guest->item = NULL;
    return item;
}

WEFT__HOT weft__fiber *weft__guest_leaves(weft__worker *worker, weft__fiber *ready)
{
    if (ready != NULL)
        weft__fiber_ready(ready);
    /* The worker's current fiber it will be, for dumps, and they last longer than the guest. */
    worker->guest_native = worker->guest->thread.native;
    return &worker->guest_native;
}

weft__thread *weft__guest_steps_out(weft__worker *worker)
{
    weft__guest *self = worker->guest;
    self->thread.runtime = worker->runtime;
    end(worker);
    return &self->thread;
}
