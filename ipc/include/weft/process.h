/* SPDX-License-Identifier: BSD-2-Clause */
/* process.h — child processes that run a function of this program.
 *
 *     static int child(weft_child *self)
 *     {
 *         printf("%s got %d\n", self->name, *(int *)self->arg);
 *         return 0;                                     // its exit status
 *     }
 *
 *     int n = 42, code;
 *     weft_process *process;
 *     weft_process_config config = {.arg = &n, .arg_bytes = sizeof(n)};
 *     if (weft_process_start(&process, child, &config) == 0) {
 *         weft_process_join(process, WEFT_FOREVER);
 *         weft_process_exitcode(process, &code);        // 0
 *         weft_process_close(process);
 *     }
 *
 * A child begins like a program: constructors have run, main() has not, and every global variable
 * has its first value, whatever the caller has done to its own. It shares nothing with the caller
 * but what it is given: a copy of the argument's bytes, the descriptors named in the configuration
 * and the standard ones, the working directory. `body` stands in main()'s place; when it returns,
 * the child ends as by exit().
 *
 * This works with threads and workers in the caller, since the caller is never forked. The first
 * start executes this program's own file once more; before main() that process becomes a server,
 * single-threaded and as good as empty, which forks every child from then on. The server ends with
 * the caller, however the caller ends.
 *
 * A child belongs to the server, so a program's own wait() and its SIGCHLD handler never meet it;
 * they may meet the server, once. Nobody needs to join a child to be rid of it: there are no
 * zombies. */
#ifndef WEFT_PROCESS_H
#define WEFT_PROCESS_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_process weft_process;

/* Limits checked by weft_process_start(). */
#define WEFT_PROCESS_FDS_MAX ((size_t)64)

/* What a child is given. All of it is the child's own and lives as long as the child. */
typedef struct weft_child {
    const char *name;
    void *arg;        /* its copy of the argument, aligned for any type; NULL if there is none */
    size_t arg_bytes; /* as the caller said */
    const int *fds;   /* the descriptors the caller handed over, under the child's own numbers */
    size_t fd_count;
} weft_child;

/* What a child's process begins as. */
typedef enum weft_process_method {
    WEFT_PROCESS_DEFAULT = 0, /* WEFT_PROCESS_SERVER */
    WEFT_PROCESS_SERVER, /* a copy of the server: fast; addresses are the same in all children */
    WEFT_PROCESS_EXEC,   /* the program's file executed anew: slow, and nothing in common */
} weft_process_method;

/* Zero means default, so {0} and NULL are valid configurations. */
typedef struct weft_process_config {
    const char *name; /* for the child, ps(1) and gdb; NULL: "process-1", "process-2" ... */
    const void *arg;  /* `arg_bytes` bytes that the child gets a copy of, of any number */
    size_t arg_bytes; /* */
    const int *fds;   /* descriptors to hand over; they stay open here */
    size_t fd_count;  /* at most WEFT_PROCESS_FDS_MAX */
    int daemonic;     /* nonzero: the child is killed when the caller's process ends */
    weft_process_method method; /* see above */
    int64_t start_ns_max;       /* how long a start may take, at most; 0: a minute */
} weft_process_config;

/* What a process has used, known when it has ended. */
typedef struct weft_process_usage {
    int64_t user_ns;         /* processor time in the program */
    int64_t system_ns;       /* processor time in the kernel on its behalf */
    uint64_t rss_bytes_peak; /* the most memory it had resident */
} weft_process_usage;

/**
 * Start a child that runs `body`, a function of this program or of a library that it has loaded.
 *
 * What the caller has printed to stdout so far is flushed first, so that it comes before what the
 * child prints. The child's stdout and stderr are the caller's at this moment; its stdout is line
 * buffered, so that whole lines survive even the child's sudden death.
 *
 * @param process  receives the process; yours, to be given to weft_process_close() once
 * Returns         0; -EINVAL a value of `config` is out of range; -ENOMEM; -EAGAIN no more
 *                 processes; -EMFILE no more descriptors; -EPROTO the program's files have changed
 *                 since it was started; -ENOTSUP this program cannot execute itself (it runs with
 *                 raised privileges, or loaded weft at run time); -ETIMEDOUT it was not started
 *                 within `start_ns_max`, the server being stopped or starved; there is no child
 * Context         thread or fiber; blocks the calling thread for the time of a fork, the first time
 *                 for that of a program's start, and at most for `start_ns_max`
 * Order           the call happens-before the child's body
 * Progress        blocking
 * Lifetime        `config` and all it points to are copied
 */
WEFT_API WEFT_NODISCARD int weft_process_start(weft_process **process,
                                               int (*body)(weft_child *self),
                                               const weft_process_config *config)
    WEFT_NONNULL(1, 2);

/**
 * Wait until the process has ended.
 *
 * Returns         0 it has, also if it was joined before; -ETIMEDOUT; -ECANCELED and, without
 *                 memory or descriptors for it, other errors in a fiber
 * Context         thread or fiber; may park
 * Order           everything the process did happens-before the return
 * Progress        blocking
 */
WEFT_API int weft_process_join(weft_process *process, int64_t deadline_ns) WEFT_NONNULL(1);

/**
 * Ask the process to end: SIGTERM, which it may catch. Does nothing if it has ended.
 *
 * Returns         0; -EPERM it has taken on another user's identity
 * Context         any thread
 * Progress        wait-free
 */
WEFT_API int weft_process_terminate(weft_process *process) WEFT_NONNULL(1);

/**
 * End the process at once: SIGKILL. Does nothing if it has ended.
 *
 * Returns         0; -EPERM it has taken on another user's identity
 * Context         any thread
 * Progress        wait-free
 */
WEFT_API int weft_process_kill(weft_process *process) WEFT_NONNULL(1);

/**
 * Tell whether the process has not ended yet.
 *
 * Context         any thread
 * Progress        wait-free
 */
WEFT_API int weft_process_is_alive(const weft_process *process) WEFT_NONNULL(1);

/**
 * Read how the process ended: its exit status (0 … 255), or -N if signal N killed it.
 *
 * Returns         0; -EAGAIN it has not ended; -ECHILD nobody knows: the server was killed first
 * Context         any thread
 * Progress        blocking for the moment between the end of a process and the server's report
 */
WEFT_API WEFT_NODISCARD int weft_process_exitcode(weft_process *process, int *code)
    WEFT_NONNULL(1, 2);

/**
 * Read what the process has used.
 *
 * Returns         as weft_process_exitcode()
 * Context         any thread
 * Progress        as weft_process_exitcode()
 */
WEFT_API WEFT_NODISCARD int weft_process_used(weft_process *process, weft_process_usage *usage)
    WEFT_NONNULL(1, 2);

/**
 * A descriptor that becomes readable when the process ends, for poll() beside others: a pidfd.
 *
 * Context         any thread
 * Progress        wait-free
 * Lifetime        the process's; do not read or close it
 */
WEFT_API int weft_process_sentinel(const weft_process *process) WEFT_NONNULL(1);

/**
 * The process's number. After its end the kernel may give it to another: signal through
 * weft_process_kill(), which cannot hit the wrong one.
 *
 * Context         any thread
 * Progress        wait-free
 */
WEFT_API int weft_process_pid(const weft_process *process) WEFT_NONNULL(1);

/**
 * The process's name.
 *
 * Context         any thread
 * Progress        wait-free
 * Lifetime        the process's
 */
WEFT_API const char *weft_process_name(const weft_process *process) WEFT_NONNULL(1);

/**
 * Give a process that has ended back. NULL is allowed and does nothing.
 *
 * Returns         0; -EBUSY it has not ended, nothing happened
 * Context         any thread, the last call for this process
 * Progress        wait-free
 */
WEFT_API int weft_process_close(weft_process *process);

WEFT_END_DECLS
#endif
