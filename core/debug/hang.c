/* SPDX-License-Identifier: BSD-2-Clause */
/* hang.c — says so when nothing will ever happen again.
 *
 * When the last worker of a runtime falls asleep while fibers wait, it sleeps a tenth of a second
 * first and then looks whether anybody is left who could wake one. Only what is certain is said.
 * The process hangs if
 *
 *   - every worker of every runtime is asleep, no deadline is armed, and nothing lies in an
 *     injector or a deque;
 *   - every other thread of the process sleeps in a wait of weft's that has no deadline, or is a
 *     helper (base/helper.h): as many threads as the kernel counts, no more;
 *   - no fiber waits for something outside: a descriptor, a process, a thread that blocks for it,
 *     or something it does not tell;
 *   - no handler is installed for a signal that may come from outside.
 *
 * A helper is left out of account, awake or not: whomever it wakes waits for something outside, and
 * says so; or is a thread that is not counted as resting.
 *
 * A thread that sleeps in pthread_join() or read() may still wake a fiber, so with such a thread
 * about nothing is claimed: a hang may go unreported, but nothing is reported that is not one.
 *
 * Why it is exact; README.md has it step by step. Suppose all threads are asleep at one instant,
 * each until another one wakes it: then nobody ever will. The instant is the one between two looks
 * that find the same: each worker announced, no thread woken. A worker counts its announcements
 * before each; one that has announced and does not sleep yet only looks for work, and there is
 * none: it would be visible, because whoever made it is asleep by now. A thread is counted as
 * resting after it has registered with its waker, and no longer from before its waker lets it go.
 * (Of one in a scope two may let it go; both count it out, and the second undoes that.) So whoever
 * is awake is missing in our count, and the kernel's is higher.
 *
 * Rejected: looking for cycles among locks alone. It finds less (a forgotten signal is no cycle),
 * and what a cycle proves depends on whether waits in it have deadlines. */
#include "debug/hang.h"

#include "batch.h"
#include "debug/dump.h"
#include "debug/holder.h"
#include "debug/registry.h"
#include "helper.h"
#include "hooks.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOKS_NS_MAX (10 * WEFT_SEC)
#define CYCLES_FIBERS_MAX 4096

int64_t weft__hang_patience_ns = 100 * WEFT_MSEC;

weft__hang_notes weft__hang_noted;

/* ---- plain threads --------------------------------------------------------------------------- */

void weft__thread_rests(void)
{
    weft__fork_register(); /* a forked child must not count its parent's threads */
    /* edge debug.rest (seq_cst): registered with the waker before */
    weft__fetch_add_seq_cst(&weft__hang_noted.rests, 1);
}

void weft__thread_roused(void)
{
    /* edge debug.rest (seq_cst): before the thread can go on */
    weft__fetch_add_seq_cst(&weft__hang_noted.rousals, 1);
}

void weft__hang_forked(void)
{
    weft__hang_notes *noted = &weft__hang_noted;
    weft__store_relaxed(&noted->rests, (uint64_t)0); /* relaxed: the child's only thread runs */
    weft__store_relaxed(&noted->rousals, (uint64_t)0);
    weft__store_relaxed(&noted->is_told, 0);
}

/* ---- is it certain? -------------------------------------------------------------------------- */

/* What must not have changed between two looks. */
typedef struct census {
    uint64_t threads; /* that sleep until woken, workers and others; and helpers */
    uint64_t changes; /* announcements, rousals and ends of helpers so far */
} census;

static int is_at_rest(weft_runtime *runtime, census *seen)
{
    if (weft__load_relaxed(&runtime->stopping)) /* relaxed: whoever stops it is awake */
        return 0;
    if (!weft__injector_is_empty(&runtime->injector))
        return 0;
    const weft__reactor *reactor = weft__load_acquire(&runtime->reactor); /* edge idle.files */
    if (reactor != NULL &&
        weft__load_relaxed(&reactor->waits) > 0) /* relaxed: set by the waiters */
        return 0;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        weft__worker *worker = &runtime->workers[i];
        /* edge idle.sleepers (seq_cst): announced, and not claimed by anybody */
        if (weft__load_seq_cst(&worker->asleep) != WEFT__ABED)
            return 0;
        /* relaxed: stored before the announcement that was just read, or a later one */
        seen->changes += weft__load_relaxed(&worker->announcements);
        if (!weft__deque_is_empty(&worker->deque) || weft__wheel_is_armed(&worker->wheel))
            return 0;
    }
    seen->threads += runtime->worker_count;
    return 1;
}

/* Nonzero: all workers are asleep, and nobody of those counted was woken. */
static int take_census(census *seen)
{
    int all = 1;
    /* edge debug.rest (seq_cst): those who were woken are no longer counted */
    seen->changes = weft__load_seq_cst(&weft__hang_noted.rousals);
    /* relaxed: the kernel, who is asked between two looks, makes and ends threads under the lock
     * under which he counts them; so what he counts as gone is counted here in the second look */
    seen->changes += weft__load_relaxed(&weft__helpers.ended);
    /* edge debug.rest (seq_cst): what each of them did before */
    seen->threads = weft__load_seq_cst(&weft__hang_noted.rests);
    /* relaxed: as above, and what is counted here he counts */
    seen->threads += weft__load_relaxed(&weft__helpers.started) - seen->changes;
    weft_runtime *runtime = weft__registry_enter();
    for (; runtime != NULL && all; runtime = weft__registry_next(runtime))
        all = is_at_rest(runtime, seen);
    weft__registry_leave();
    return all;
}

/* The number of threads of this process, as the kernel knows it; 0: it does not say. */
static uint64_t count_threads(void)
{
    char line[512];
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t bytes = read(fd, line, sizeof line - 1);
    (void)close(fd);
    line[bytes > 0 ? bytes : 0] = '\0';
    char *at = strrchr(line, ')'); /* the second field, a name of any characters */
    for (unsigned field = 2; at != NULL && field < 20; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at, NULL, 10) : 0;
}

/* A handler may do anything, whenever somebody outside wishes. Not so one for a thread's own
 * faults, and ours. */
static int is_signal_awaited(void)
{
    sigset_t own;
    struct sigaction action;
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    (void)sigemptyset(&own);
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        (void)sigaddset(&own, faults[i]);
    if (weft__dump_signal() != 0)
        (void)sigaddset(&own, weft__dump_signal());
    for (int i = 1; i <= SIGRTMAX; i++)
        if (sigismember(&own, i) == 0 && sigaction(i, NULL, &action) == 0 &&
            action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN)
            return 1;
    return 0;
}

typedef struct waiting {
    size_t inside;  /* fibers that wait for another part of the program */
    size_t outside; /* for something else, or for what is not known */
} waiting;

static void count_waiting(weft__fiber *fiber, uint64_t number, void *arg)
{
    waiting *count = arg;
    (void)number;
    if (!weft__fiber_is_alive(fiber))
        return;
    switch ((weft_reason)weft__load_relaxed(&fiber->reason)) { /* relaxed: all sleep, or we err */
    case WEFT_REASON_UNKNOWN:
    case WEFT_REASON_YIELD:
    case WEFT_REASON_IO:
    case WEFT_REASON_THREAD:
    case WEFT_REASON_PROCESS:
    case WEFT_REASONS_:
        count->outside++;
        return;
    default:
        count->inside++;
    }
}

static waiting count_all_waiting(void)
{
    waiting count = {0, 0};
    weft_runtime *runtime = weft__registry_enter();
    for (; runtime != NULL; runtime = weft__registry_next(runtime))
        weft__fiber_pool_each(&runtime->fibers, count_waiting, &count);
    weft__registry_leave();
    return count;
}

static int is_certain(void)
{
    census before;
    census after;
    if (!take_census(&before))
        return 0;
    waiting count = count_all_waiting();
    if (count.inside == 0 || count.outside > 0 || is_signal_awaited() ||
        count_threads() != before.threads)
        return 0;
    return take_census(&after) && after.threads == before.threads &&
           after.changes == before.changes;
}

/* ---- the report ------------------------------------------------------------------------------ */

static void report_fiber(weft__fiber *fiber, uint64_t number, void *arg)
{
    if (weft__fiber_is_alive(fiber))
        weft__dump_fiber(arg, fiber, number);
}

/* Follow the blockers from `fiber`; nonzero: they lead back to it, and it is the lowest of its
 * cycle, so that each is shown once. */
static int is_first_of_cycle(const weft_runtime *runtime, const weft__fiber *fiber)
{
    const weft__fiber *at = weft__fiber_blocker(runtime, fiber);
    for (unsigned i = 0; at != NULL && i < CYCLES_FIBERS_MAX; i++) {
        if (at == fiber)
            return 1;
        if (at < fiber)
            return 0;
        at = weft__fiber_blocker(runtime, at);
    }
    return 0;
}

static void report_cycle(weft__fiber *fiber, uint64_t number, void *arg)
{
    weft__dump *dump = arg;
    (void)number;
    if (!weft__fiber_is_alive(fiber) || !is_first_of_cycle(dump->runtime, fiber))
        return;
    weft__text_put(&dump->text, "weft: a cycle: ");
    const weft__fiber *at = fiber;
    do {
        weft__dump_name(dump, at);
        weft__text_put(&dump->text, " waits for ");
        at = weft__fiber_blocker(dump->runtime, at);
    } while (at != fiber);
    weft__dump_name(dump, fiber);
    weft__text_put(&dump->text, "\n");
}

static void report(int is_end)
{
    weft__dump dump;
    waiting count = count_all_waiting();
    weft__dump_begin(&dump, STDERR_FILENO);
    weft__text_put(&dump.text, "weft: the program hangs: fibers that wait: ");
    weft__text_number(&dump.text, count.inside);
    weft__text_put(&dump.text, "; all threads sleep, and no timer, descriptor or signal can wake "
                               "any\n");
    weft_runtime *runtime = weft__registry_enter();
    for (; runtime != NULL; runtime = weft__registry_next(runtime)) {
        dump.runtime = runtime;
        weft__fiber_pool_each(&runtime->fibers, report_fiber, &dump);
        if (count.inside <= CYCLES_FIBERS_MAX)
            weft__fiber_pool_each(&runtime->fibers, report_cycle, &dump);
    }
    weft__registry_leave();
    weft__text_put(&dump.text, is_end ? "weft: ending with status 86\n"
                                      : "weft: with WEFT_CHECK=hang it would say who holds what, "
                                        "and end with status 86\n");
    (void)weft__dump_end(&dump);
}

/* ---- when to look ---------------------------------------------------------------------------- */

/* Whether fibers of the runtime wait, all workers being asleep: those that exist and are neither
 * stood on nor idle. */
static int are_fibers_waiting(const weft_runtime *runtime)
{
    const weft__fiber_pool *pool = &runtime->fibers;
    /* relaxed: an estimate; whoever changes them is awake, and looks again when it falls asleep */
    uint64_t idle = weft__load_relaxed(&pool->idle_count) + runtime->worker_count;
    for (unsigned i = 0; i < runtime->worker_count; i++)
        idle += weft__load_relaxed(&runtime->workers[i].cache_count);
    return weft__load_relaxed(&pool->fibers) > idle;
}

/* When all are asleep: a deadline that was not needed any more does not count. */
static int are_timers_armed(const weft_runtime *runtime)
{
    for (unsigned i = 0; i < runtime->worker_count; i++)
        if (weft__wheel_is_armed(&runtime->workers[i].wheel))
            return 1;
    return 0;
}

/* It is certain: the first to see it says so. */
static void tell(weft__worker *worker)
{
    uint32_t no = 0;
    int is_end = worker->runtime->hang == WEFT_HANG_EXIT;
    if (!weft__cas_relaxed(&weft__hang_noted.is_told, &no, 1)) /* relaxed: one reporter, whoever */
        return;
    report(is_end);
    if (is_end)
        _exit(WEFT_EXIT_HANG);
}

static int64_t look_again_at(weft__worker *worker, int64_t now_ns, int64_t wait_ns)
{
    worker->hang_wait_ns = wait_ns;
    worker->hang_look_ns = now_ns + wait_ns;
    return worker->hang_look_ns;
}

/* When to look again; WEFT_FOREVER: not before the next sleep. */
static int64_t look(weft__worker *worker)
{
    int64_t now = weft_now();
    if (worker->hang_look_ns == 0)
        return look_again_at(worker, now, weft__hang_patience_ns);
    if (now < worker->hang_look_ns)
        return worker->hang_look_ns;
    if (is_certain())
        tell(worker);
    else if (worker->runtime->hang == WEFT_HANG_EXIT)
        return look_again_at(worker, now,
                             worker->hang_wait_ns < LOOKS_NS_MAX ? 2 * worker->hang_wait_ns
                                                                 : LOOKS_NS_MAX);
    worker->hang_look_ns = WEFT_FOREVER;
    return WEFT_FOREVER;
}

int64_t weft__hang_watch(weft__worker *worker, int64_t due_ns)
{
    const weft_runtime *runtime = worker->runtime;
    if (runtime->hang == WEFT_HANG_IGNORE)
        return due_ns;
    /* relaxed: the last to announce its sleep sees all of them; nothing else rests on it */
    if (weft__load_relaxed(&runtime->sleepers) < runtime->worker_count ||
        !are_fibers_waiting(runtime) || (due_ns != WEFT_FOREVER && are_timers_armed(runtime))) {
        worker->hang_look_ns = 0;
        return due_ns;
    }
    int64_t again_ns = look(worker);
    return again_ns < due_ns ? again_ns : due_ns;
}
