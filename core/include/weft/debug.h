/* SPDX-License-Identifier: BSD-2-Clause */
/* debug.h — what every fiber does right now, and why it waits.
 *
 *     weft_dump(STDERR_FILENO);      // all workers and fibers, with back-traces
 *
 * Nothing has to be prepared. A dump takes no lock, allocates nothing and stops nobody, so it works
 * in a program that hangs, in a signal handler, and from a debugger (`call weft_dump(2)`). In
 * return it is no snapshot: a fiber that goes on meanwhile may be shown as it was, as it is, or
 * with a back-trace that ends early.
 *
 * WEFT_DUMP_SIGNAL=QUIT (any signal's name, or weft_config.dump_signal) makes that signal write a
 * dump to stderr; the process goes on. docs/DEBUGGING.md shows how to read it. */
#ifndef WEFT_DEBUG_H
#define WEFT_DEBUG_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef enum weft_fiber_state {
    WEFT_FIBER_READY = 0, /* may run, and waits for a worker */
    WEFT_FIBER_RUNNING,   /* a worker stands on it */
    WEFT_FIBER_WAITING,   /* see `reason` */
} weft_fiber_state;

/* What a fiber waits for. */
typedef enum weft_reason {
    WEFT_REASON_UNKNOWN = 0, /* the call that waits does not say */
    WEFT_REASON_JOIN,        /* a task that another worker runs; `object` is the task */
    WEFT_REASON_SCOPE,       /* the fibers of a scope, at its end; the weft_scope */
    WEFT_REASON_SLEEP,       /* time; NULL */
    WEFT_REASON_YIELD,       /* nothing: others go first; NULL */
    WEFT_REASON_RUN,         /* a call into another runtime; the weft_runtime */
    WEFT_REASON_MUTEX,       /* from here on the object that the call was given */
    WEFT_REASON_RWLOCK,
    WEFT_REASON_COND,
    WEFT_REASON_SEMAPHORE,
    WEFT_REASON_EVENT,
    WEFT_REASON_BARRIER,
    WEFT_REASON_LATCH,
    WEFT_REASON_ONCE,
    WEFT_REASON_CHANNEL,
    WEFT_REASON_SELECT,
    WEFT_REASON_FUTURE,
    WEFT_REASON_IO,      /* a file descriptor */
    WEFT_REASON_THREAD,  /* a thread that does something blocking for it */
    WEFT_REASON_PROCESS, /* another process: a queue in shared memory, a child */
    WEFT_REASONS_,
} weft_reason;

/* A fiber that is alive. Strings live as long as the program or shared object that holds them. */
typedef struct weft_fiber_info {
    uint64_t number;  /* in its runtime; a fiber that has ended passes its number on */
    const char *name; /* of the task it runs */
    const char *file; /* where it was started; of a task that was spawned: where it is defined */
    int line;
    weft_fiber_state state;
    weft_reason reason; /* when waiting */
    const void *object; /* what it waits for, or NULL */
    int64_t since_ns;   /* when the wait began, or 0: noted while the process has a dump signal or
                         * checks for hangs */
} weft_fiber_info;

/**
 * Call `each(info, arg)` for every fiber that is alive, in all runtimes, be it that it waits, is
 * ready, or runs. What changes meanwhile may be seen in either state.
 *
 * Returns         the number of fibers
 * Context         any
 * Progress        wait-free, but for what `each` does
 */
WEFT_API size_t weft_each_fiber(void (*each)(const weft_fiber_info *info, void *arg), void *arg)
    WEFT_NONNULL(1);

/**
 * Name a state or a reason: "waiting", "mutex".
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API const char *weft_fiber_state_name(weft_fiber_state state);
WEFT_API const char *weft_reason_name(weft_reason reason);

/**
 * Write to `fd` what every worker does, and every fiber that is alive: number, name, state, what it
 * waits for and who holds that, since when, where it was started, and a back-trace.
 *
 * Running fibers get a back-trace if the process has a dump signal, by which their workers can be
 * asked; the caller always does.
 *
 * Returns         0; a negative errno of write(2)
 * Context         any, signal handlers and forked children included
 * Progress        takes no lock; waits for `fd`, and up to 100 ms for workers to answer
 */
WEFT_API int weft_dump(int fd);

WEFT_END_DECLS
#endif
