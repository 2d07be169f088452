/* SPDX-License-Identifier: BSD-2-Clause */
/* runtime.h — starting workers, running a program on them, stopping them.
 *
 *     static int app(void *arg) { ... spawn and join freely ... return 0; }
 *     int main(void) { return weft_run(app, NULL, NULL); }
 *
 * weft_run() is the whole life of a runtime in one call. An explicit runtime is for programs that
 * keep workers between regions, or want several sets of them.
 *
 * A runtime is a number of workers: threads of its own that share nothing with other runtimes.
 * The calling thread never becomes a worker; it sleeps while its function runs on one of them, in
 * a fiber whose stack has `stack_bytes`.
 *
 * Where a setting comes from: an explicit value in weft_config wins over the environment
 * (WEFT_NUM_WORKERS, WEFT_STACK_SIZE, WEFT_WAIT_POLICY, WEFT_SPIN_US, WEFT_PROC_BIND, WEFT_PLACES,
 * WEFT_CHECK, WEFT_DUMP_SIGNAL, WEFT_IO), which wins over what the machine offers. A value there
 * that makes no sense gets one warning that names it, and the default; a name with a letter wrong
 * gets one as well. `weft info` shows which value holds and why, `weft help info` what each may
 * be; WEFT_DISPLAY_ENV=1 prints what holds.
 *
 * fork(): the child has no workers. In it, a runtime of the parent answers -ECHILD and may only be
 * destroyed; tasks spawned by the forking thread itself can still be joined there; joining a task
 * that had been handed to another worker ends the child with a message, since nobody will ever
 * finish it. A new runtime may be created in the child. */
#ifndef WEFT_RUNTIME_H
#define WEFT_RUNTIME_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Limits checked by weft_runtime_create(). */
#define WEFT_WORKERS_MAX 1024u
#define WEFT_STACK_BYTES_MIN ((size_t)16 << 10)
#define WEFT_STACK_BYTES_MAX ((size_t)64 << 30)
#define WEFT_STACK_BYTES_DEFAULT ((size_t)256 << 10)

typedef struct weft_runtime weft_runtime;

/* What an idle worker does before it sleeps. */
typedef enum weft_wait_policy {
    WEFT_WAIT_DEFAULT = 0, /* adaptive, unless WEFT_WAIT_POLICY says otherwise */
    WEFT_WAIT_PASSIVE,     /* sleeps at once */
    WEFT_WAIT_ADAPTIVE,    /* looks for work for `spin_ns`, then sleeps */
    WEFT_WAIT_ACTIVE,      /* never sleeps: lowest latency, burns every core it has */
} weft_wait_policy;

/* Whether workers are tied to processors. */
typedef enum weft_proc_bind {
    WEFT_BIND_DEFAULT = 0, /* as WEFT_PROC_BIND says; without it, not bound */
    WEFT_BIND_FALSE,       /* the kernel moves workers as it likes */
    WEFT_BIND_CLOSE,       /* neighbours share caches */
    WEFT_BIND_SPREAD,      /* neighbours are far apart */
} weft_proc_bind;

/* What happens when nothing can ever happen again: fibers wait, and no thread, timer, descriptor or
 * signal is left that could wake one. Nothing is claimed that is not certain. */
typedef enum weft_hang_policy {
    WEFT_HANG_DEFAULT = 0, /* report, unless WEFT_CHECK=hang asks for more */
    WEFT_HANG_IGNORE,      /* wait for ever in silence */
    WEFT_HANG_REPORT,      /* say on stderr which fibers wait for what, once, and wait for ever */
    WEFT_HANG_EXIT,        /* note who holds which lock, say all that, _exit(WEFT_EXIT_HANG) */
} weft_hang_policy;

#define WEFT_EXIT_HANG 86

/* Zero means default, so {0} and NULL are valid configurations. */
typedef struct weft_config {
    unsigned workers;   /* at most WEFT_WORKERS_MAX; 0: usable processors, see weft_usable_cpus() */
    size_t stack_bytes; /* of each fiber, rounded up to pages; address space, committed by touch */
    weft_wait_policy wait; /* see above */
    int64_t spin_ns;       /* how long an adaptive worker looks for work before it sleeps */
    weft_proc_bind bind;   /* see above */
    int report_overflow;   /* nonzero: a fiber that runs off its stack is named on stderr before the
                            * process dies; installs a SIGSEGV handler that chains to the old one */
    weft_hang_policy hang; /* see above */
    int dump_signal; /* number of a signal that writes a dump to stderr, see <weft/debug.h>; its
                      * handler stays for the life of the process */
} weft_config;

/**
 * Run `fn(arg)` on a runtime of its own and return what it returns: create, run, destroy.
 *
 * In a task of a running runtime it calls `fn(arg)` directly and ignores `config`.
 *
 * Returns         fn's result; or a negative errno if the runtime could not be created:
 *                 -EINVAL a value of `config` is out of range, -ENOMEM, -EAGAIN no more threads
 * Context         thread or worker; blocks the calling thread
 * Order           the call happens-before fn; fn happens-before the return
 * Progress        blocking
 */
WEFT_API int weft_run(int (*fn)(void *arg), void *arg, const weft_config *config) WEFT_NONNULL(1);

/**
 * Start the workers of a new runtime.
 *
 * @param runtime  receives the runtime; yours, to be given to weft_runtime_destroy() once
 * Returns         0; -EINVAL a value of `config` is out of range; -ENOMEM; -EAGAIN no more threads
 * Context         thread or worker of another runtime
 * Progress        blocking
 */
WEFT_API WEFT_NODISCARD int weft_runtime_create(weft_runtime **runtime, const weft_config *config)
    WEFT_NONNULL(1);

/**
 * Run `fn(arg)` on a worker of `runtime` and wait for it.
 *
 * Any number of threads may do this at once. One that finds all workers asleep may play a worker
 * itself, on a fiber of that: docs/TASKS.md says what of its own then counts. A task of the same
 * runtime calls `fn(arg)` directly; a task of another runtime parks its fiber meanwhile.
 *
 * @param result   receives what fn returned; may be NULL
 * Returns         0; -ECHILD the runtime belongs to the parent process
 * Context         thread or fiber; may park
 * Order           the call happens-before fn; fn happens-before the return
 * Progress        blocking
 */
WEFT_API int weft_runtime_run(weft_runtime *runtime, int (*fn)(void *arg), void *arg, int *result)
    WEFT_NONNULL(1, 2);

/**
 * Stop the workers and free everything. Every weft_runtime_run() on it must have returned. NULL is
 * allowed and does nothing.
 *
 * Returns         0; -EDEADLK called from a worker of this very runtime, nothing happened;
 *                 -EBUSY a weft_runtime_run() is still in progress, nothing happened
 * Context         thread or worker of another runtime
 * Progress        blocking
 */
WEFT_API int weft_runtime_destroy(weft_runtime *runtime);

/**
 * A phase begins in which short regions follow one another: until it ends, idle workers stay awake,
 * so that the next region begins within a microsecond or two instead of after a wake-up. They burn
 * their processors meanwhile, as with WEFT_WAIT_ACTIVE, but for one where plain threads that submit
 * would find none otherwise. Phases nest, and those of several threads add up.
 *
 * @param runtime  NULL: the one the caller runs on; outside, that of weft_workers()
 * Returns         0; -ECHILD the runtime belongs to the parent process; with NULL and outside also
 *                 as weft_runtime_create()
 * Context         any thread or fiber
 * Order           none: a hint, which a worker may see a moment later
 * Progress        lock-free, with a system call for each worker that sleeps; blocking if it has to
 *                 start the shared workers
 */
WEFT_API WEFT_NODISCARD int weft_phase_begin(weft_runtime *runtime);

/**
 * The phase ends, as many times as it has begun: idle workers sleep when their patience is over.
 * One that has not begun ends the program with a message; in a child of fork() nothing happens.
 *
 * @param runtime  the same as at its beginning; not yet destroyed
 * Context         any thread or fiber
 * Order           none, as at its beginning
 * Progress        wait-free
 */
WEFT_API void weft_phase_end(weft_runtime *runtime);

/**
 * Number of workers of a runtime, or, given NULL, of the one the caller runs on (0 outside).
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API unsigned weft_num_workers(const weft_runtime *runtime);

/**
 * Index of the worker the caller runs on right now, 0 … weft_num_workers() - 1; -1 outside. It may
 * be another one after any call that can park.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API int weft_worker_id(void);

/**
 * Processors this process may use: the affinity mask, cut down to the CPU quota of its cgroup and
 * all ancestors (rounded up). At least 1. Never what the machine has, always what we may use.
 *
 * Context         thread
 * Progress        blocking: reads files
 */
WEFT_API unsigned weft_usable_cpus(void);

/**
 * Run the following statement or block where the thread may block: a foreign library, a slow disk,
 * a system call without a counterpart in <weft/io.h>. The worker goes on meanwhile with another
 * thread; in the block the caller is a plain thread, with its own errno and thread-local storage
 * from beginning to end. Left on any way out but longjmp; `break` and `continue` leave the block.
 *
 *     weft_blocking { rows = sqlite3_step(statement); }
 *
 * Costs two switches between threads: for what takes longer than that, some ten microseconds. When
 * no thread can be had, 512 beyond the workers, the block blocks its worker.
 *
 * Context         thread or fiber; may park at the end of the block, and resume on another thread
 * Progress        blocking
 */
#define weft_blocking WEFT__BLOCKING(__COUNTER__)
#define WEFT__BLOCKING(number) WEFT__BLOCKING_(WEFT__CAT(weft__region_, number))
/* clang-format off */
#define WEFT__BLOCKING_(region)                                                                    \
    for (weft_blocking_region region __attribute__((cleanup(weft__blocking_leave))) =              \
             weft__blocking_enter();                                                               \
         !region.is_over_; region.is_over_ = 1)
/* clang-format on */

typedef struct weft_blocking_region {
    void *thread_; /* NULL: nothing was lent */
    void *fiber_;
    int is_over_;
} weft_blocking_region;

/* What the macro rests on; not for users, but exported for inlined code. */
WEFT_API weft_blocking_region weft__blocking_enter(void);
WEFT_API void weft__blocking_leave(weft_blocking_region *region);

/* A snapshot of what the workers have done, summed over all of them; each count is exact when the
 * runtime is idle. */
typedef struct weft_stats {
    uint64_t tasks_run; /* tasks that did not run at their own join: stolen, taken or submitted */
    uint64_t steals;    /* items taken from another worker's deque */
    uint64_t published; /* private tasks moved into a deque for others to steal */
    uint64_t raids;     /* private lists taken from workers that did not answer */
    uint64_t parks;     /* suspensions of a fiber */
    uint64_t sleeps;    /* times a worker went to sleep */
    uint64_t wakes;     /* times a worker was woken */
    uint64_t fibers;    /* fibers that exist now, idle ones included */
} weft_stats;

/**
 * Read the counters of `runtime`.
 *
 * Context         any thread or fiber
 * Progress        wait-free
 */
WEFT_API void weft_runtime_stats(const weft_runtime *runtime, weft_stats *stats) WEFT_NONNULL(1, 2);

WEFT_END_DECLS
#endif
