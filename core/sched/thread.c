/* SPDX-License-Identifier: BSD-2-Clause */
/* thread.c — the threads that play workers, and regions in which one of them may block.
 *
 * A worker is a role: a lane, a deque, a wheel. Some thread plays it. Before a fiber calls
 * something that blocks its thread, that thread lends the role to a spare one, which goes on in the
 * scheduler's loop on another fiber:
 *
 *     thread A, worker 3, fiber F              thread B, spare
 *     publish what F has spawned
 *     lend: role ───────────────────────────►  plays worker 3 on fiber G
 *     block, as a plain thread on F's stack
 *     leave: switch to A's own stack
 *     make F runnable, become a spare          … some worker resumes F
 *
 * So a worker is never missing, F comes back to one in the usual way, and there are as many threads
 * as workers and regions in progress. Spares are kept, since the next region wants one. When no
 * thread can be had the region blocks its worker, as it would without all this.
 *
 * In a region the thread is a plain one: locks and futures sleep on futexes there, and errno and
 * thread-local storage stay the same from its beginning to its end.
 *
 * A thread that plays nothing sleeps on its own word `called`; whoever gives it a role, or stops
 * the runtime, raises it. */
#include "sched/thread.h"

#include "debug/hang.h"
#include "hooks.h"
#include "sanitize.h"
#include "sched/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPARES_MAX 512u

/* A thread's own stack holds the switch to its first fiber and nothing else. */
#define THREAD_STACK_BYTES ((size_t)64 << 10)

/* ---- playing a role ------------------------------------------------------------------------- */

static void set_place(const weft__worker *worker)
{
    char name[16];
    (void)snprintf(name, sizeof name, "weft/%u", worker->id);
    (void)pthread_setname_np(pthread_self(), name);
    if (worker->cpu < 0)
        return;
    cpu_set_t *set = CPU_ALLOC((size_t)worker->cpu + 1);
    if (set == NULL)
        return;
    size_t bytes = CPU_ALLOC_SIZE((size_t)worker->cpu + 1);
    CPU_ZERO_S(bytes, set);
    CPU_SET_S((size_t)worker->cpu, bytes, set);
    (void)pthread_setaffinity_np(pthread_self(), bytes, set); /* a lost CPU: run anywhere */
    CPU_FREE(set);
}

/* Until the runtime stops, or the role has been lent and the region is over. */
static void play(weft__thread *self, weft__worker *worker)
{
    set_place(worker);
    weft__store_relaxed(&worker->thread, self); /* relaxed: dumps look at any time */
    weft__worker_bind_thread(worker);
    weft__fiber_switch(&self->native, worker->current);
    weft__worker_unbind_thread();
}

static void become_spare(weft__thread *self)
{
    weft_runtime *runtime = self->runtime;
    (void)pthread_mutex_lock(&runtime->threads_lock);
    self->spare = runtime->spares;
    runtime->spares = self;
    (void)pthread_mutex_unlock(&runtime->threads_lock);
}

/* Sleep until called once more than `seen` times. */
static void await_call(weft__thread *self, uint32_t seen)
{
    weft__thread_rests();
    /* edge thread.called (acquire): the role to play */
    while (weft__load_acquire(&self->called) == seen)
        (void)weft__hook_park_wait(&self->called, seen, WEFT_FOREVER);
}

static void call(weft__thread *thread)
{
    weft__thread_roused();
    /* edge thread.called (release): the role is set */
    weft__store_release(&thread->called, thread->called + 1);
    weft__hook_park_wake(&thread->called, 1);
}

static void *thread_main(void *arg)
{
    weft__thread *self = arg;
    self->number = (pid_t)syscall(SYS_gettid);
    weft__overflow_thread_enter(self->signal_stack);
    weft__fiber_adopt_thread(&self->native);
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* deadlines as exact as the kernel can, not to 50 us */
    for (uint32_t calls = 0;; calls++) {
        await_call(self, calls);
        weft__worker *worker = self->worker;
        if (worker == NULL)
            break; /* called to stop */
        self->worker = NULL;
        play(self, worker);
        weft__fiber *left = self->left;
        if (left == NULL)
            break; /* the role has come to its end with the runtime */
        self->left = NULL;
        become_spare(self);
        weft__fiber_ready(left);
    }
    weft__overflow_thread_leave(self->signal_stack);
    return NULL;
}

/* ---- making and joining --------------------------------------------------------------------- */

static int start(weft__thread *thread)
{
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    if (weft__fault())
        return -EAGAIN;
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return -rc;
#if !defined(WEFT__ASAN) && !defined(WEFT__TSAN)
    (void)pthread_attr_setstacksize(&attributes, THREAD_STACK_BYTES);
#endif
    /* Workers take no signals meant for the process; faults of their own still reach them. */
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGSEGV);
    (void)sigdelset(&all, SIGBUS);
    (void)sigdelset(&all, SIGFPE);
    (void)sigdelset(&all, SIGILL);
    (void)sigdelset(&all, SIGTRAP);
    (void)sigdelset(&all, SIGABRT);
    if (thread->runtime->dump_signal != 0)
        (void)sigdelset(&all, thread->runtime->dump_signal);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread->id, &attributes, thread_main, thread);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return -rc;
}

static void free_thread(weft__thread *thread)
{
    weft__free(thread->signal_stack);
    weft__free(thread);
}

/* A thread that waits for its first role; NULL: there is none to be had, `*rc` says why. */
static weft__thread *make_thread(weft_runtime *runtime, int *rc)
{
    weft__thread *thread = weft__alloc(sizeof *thread);
    *rc = -ENOMEM;
    if (thread == NULL)
        return NULL;
    memset(thread, 0, sizeof *thread);
    thread->runtime = runtime;
    int has_handlers = runtime->report_overflow || runtime->dump_signal != 0;
    if (has_handlers)
        thread->signal_stack = weft__overflow_stack_new();
    if (!has_handlers || thread->signal_stack != NULL)
        *rc = start(thread);
    if (*rc != 0) {
        free_thread(thread);
        return NULL;
    }
    (void)pthread_mutex_lock(&runtime->threads_lock);
    thread->next = runtime->threads;
    runtime->threads = thread;
    runtime->thread_count++;
    (void)pthread_mutex_unlock(&runtime->threads_lock);
    return thread;
}

int weft__thread_start(weft__worker *worker)
{
    int rc;
    weft__thread *thread = make_thread(worker->runtime, &rc);
    if (thread == NULL)
        return rc;
    thread->worker = worker;
    call(thread);
    return 0;
}

/* All threads leave their roles, or are spare. */
void weft__threads_join(weft_runtime *runtime)
{
    (void)pthread_mutex_lock(&runtime->threads_lock);
    weft__thread *spares = runtime->spares;
    runtime->spares = NULL;
    (void)pthread_mutex_unlock(&runtime->threads_lock);
    for (weft__thread *next; spares != NULL; spares = next) {
        next = spares->spare;
        call(spares);
    }
    for (weft__thread *thread = runtime->threads; thread != NULL; thread = thread->next) {
        int rc = pthread_join(thread->id, NULL);
        weft_assert(rc == 0);
    }
}

void weft__threads_free(weft_runtime *runtime)
{
    while (runtime->threads != NULL) {
        weft__thread *next = runtime->threads->next;
        free_thread(runtime->threads);
        runtime->threads = next;
    }
}

/* ---- regions -------------------------------------------------------------------------------- */

static weft__thread *get_spare(weft_runtime *runtime)
{
    int rc;
    (void)pthread_mutex_lock(&runtime->threads_lock);
    weft__thread *thread = runtime->spares;
    if (thread != NULL)
        runtime->spares = thread->spare;
    int is_full = runtime->thread_count >= runtime->worker_count + SPARES_MAX;
    (void)pthread_mutex_unlock(&runtime->threads_lock);
    return thread != NULL || is_full ? thread : make_thread(runtime, &rc);
}

/* Give the role away, to a thread that goes on with it on another fiber. */
static int lend(weft__worker *worker)
{
    weft__fiber *idle = weft__worker_fiber(worker);
    if (idle == NULL)
        return -ENOMEM;
    weft__thread *spare = get_spare(worker->runtime);
    if (spare == NULL) {
        weft__worker_keep_fiber(worker, idle);
        return -EAGAIN;
    }
    weft__worker_publish(worker);
    weft__worker_unbind_thread();
    weft__store_relaxed(&worker->current, idle); /* relaxed: dumps look at any time */
    spare->worker = worker;
    call(spare);
    return 0;
}

weft_blocking_region weft__blocking_enter(void)
{
    weft_blocking_region region = {.thread_ = NULL, .fiber_ = NULL};
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        return region;
    weft__thread *thread = worker->thread;
    weft__fiber *fiber = worker->current;
    if (worker->guest != NULL)
        thread = weft__guest_steps_out(worker);
    else if (lend(worker) != 0)
        return region;
    weft__thread_set_in_region(1);
    weft__fiber_in_thread(fiber);
    region.thread_ = thread;
    region.fiber_ = fiber;
    return region;
}

void weft__blocking_leave(weft_blocking_region *region)
{
    weft__thread *thread = region->thread_;
    weft__fiber *fiber = region->fiber_;
    if (thread == NULL || thread->runtime->fork_count != weft__fork_count())
        return; /* nothing was lent; or a forked child, in which nobody would resume us */
    int saved_errno = weft__errno_get();
    weft__thread_set_in_region(0);
    thread->left = fiber;
    weft__fiber_switch(fiber, &thread->native);
    *weft__fiber_landed()->errno_at = saved_errno;
}
