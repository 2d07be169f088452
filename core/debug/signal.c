/* SPDX-License-Identifier: BSD-2-Clause */
/* signal.c — a dump on a signal, and the frames of workers that are busy.
 *
 * The handler is installed when a runtime that wants it is created, and stays. The signal is not
 * blocked in workers, for two reasons: every other thread of the program may block it, and a dump
 * asks each worker that runs something for its frames by the same signal, with a mark on it. A
 * worker that finds the mark answers; whoever finds none writes a dump. In workers the handler runs
 * on a signal stack, since a fiber's may be small. */
#include "debug/dump.h"

#include "hooks.h"
#include "sched/thread.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#define ASKED 1
#define ANSWERED 2

static int installed;
static char asking; /* its address comes with the signal to those who are asked */

static void answer(weft__worker *worker, const void *context)
{
    weft__trace *trace = &worker->trace;
    weft__walk walk;
    weft__walk_signal(&walk, worker->current, context);
    trace->fiber = worker->current;
    trace->count = 0;
    do
        trace->addresses[trace->count++] = weft__walk_address(&walk);
    while (trace->count < WEFT__TRACE_MAX && weft__walk_next(&walk));
    /* edge debug.trace (release): the frames */
    weft__store_release(&trace->state, ANSWERED);
}

static void on_signal(int signal_number, siginfo_t *info, void *context)
{
    int saved_errno = weft__errno_get();
    weft__worker *worker = weft__worker_self();
    weft__walk walk;
    (void)signal_number;
    /* relaxed: a guest may play the worker whose own thread this is */
    if (worker != NULL && weft__load_relaxed(&worker->errno_at) != &errno)
        worker = NULL;
    if (info->si_code == SI_QUEUE && info->si_value.sival_ptr == &asking) {
        /* The thread may have lent its worker meanwhile, or a guest plays it.
         * edge debug.trace (acquire): whoever asks has read the answer before */
        if (worker != NULL && weft__load_acquire(&worker->trace.state) == ASKED)
            answer(worker, context);
    } else {
        if (worker != NULL)
            weft__walk_signal(&walk, worker->current, context);
        (void)weft__dump_all(STDERR_FILENO, worker != NULL ? &walk : NULL);
    }
    weft__errno_set(saved_errno);
}

void weft__dump_signal_install(int signal_number)
{
    int none = 0;
    struct sigaction action = {.sa_sigaction = on_signal,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    /* relaxed: the first runtime that asks decides; signals order nothing */
    if (!weft__cas_relaxed(&installed, &none, signal_number))
        return;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(signal_number, &action, NULL);
}

int weft__dump_signal(void)
{
    return weft__load_relaxed(&installed); /* relaxed: as above */
}

void weft__dump_ask(weft__worker *worker)
{
    uint32_t *state = &worker->trace.state;
    int is_busy = weft__load_relaxed(&worker->asleep) == WEFT__UP && worker != weft__worker_self();
    /* edge debug.trace (release): what was read of the last answer */
    weft__store_release(state, is_busy ? ASKED : 0);
    if (!is_busy)
        worker->trace.fiber = NULL; /* an old answer says nothing */
    else                            /* relaxed: threads last as long as their runtime */
        (void)pthread_sigqueue(weft__load_relaxed(&worker->thread)->id, weft__dump_signal(),
                               (union sigval){.sival_ptr = &asking});
}

int weft__dump_is_answered(const weft__worker *worker)
{
    /* edge debug.trace (acquire): the frames; an unasked worker has nothing to say */
    return weft__load_acquire(&worker->trace.state) != ASKED;
}
