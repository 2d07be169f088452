/* SPDX-License-Identifier: BSD-2-Clause */
/* procpool.h — an executor whose tasks run in other processes.
 *
 *     WEFT_TASK(double, risky, int, n) { ... }
 *
 *     weft_procpool *pool;
 *     if (weft_procpool_create(&pool, NULL) == 0) {
 *         risky_future f = weft_submit(weft_procpool_executor(pool), risky, 7);
 *         double value;
 *         int rc = weft_await(f, &value, WEFT_FOREVER);    // -EOWNERDEAD: its process died
 *         weft_procpool_destroy(pool);
 *     }
 *
 * The same tasks and the same futures as on workers; what changes is what a task can reach. It runs
 * in a process that began like a program: globals have their first values, whatever the initializer
 * did to them, and a pointer from the submitting process points nowhere. Arguments and result are
 * copied as bytes, of any size that a struct can have. So is the message of weft_fail(), up to 224
 * bytes of it.
 *
 * A worker process that dies, by kill -9, a crash or exit(), fails the one task that it ran, with
 * -EOWNERDEAD and a message that tells how it ended; it is replaced and all else goes on. A task
 * that must be stopped can be: by weft_procpool_cancel(), or when it runs longer than the pool's
 * limit; its process is killed.
 *
 * Tasks are handed out ahead, so that workers need not wait for the pool: a future is RUNNING from
 * then on, and weft_cancel() refuses it, but weft_procpool_cancel() takes it back.
 *
 * Worker processes end with the process that made the pool, however that ends. */
#ifndef WEFT_PROCPOOL_H
#define WEFT_PROCPOOL_H

#include <weft/future.h>

WEFT_BEGIN_DECLS

/* Limits checked by weft_procpool_create(). */
#define WEFT_PROCPOOL_WORKERS_MAX 256u
#define WEFT_PROCPOOL_TASK_BYTES_DEFAULT ((size_t)64 << 20)

/* Flag of weft_executor_shutdown(), for pools of processes: kill what runs. */
#define WEFT_KILL_RUNNING 2u

typedef struct weft_procpool weft_procpool;

/* How a worker process ended while it ran a task. */
typedef struct weft_procpool_death {
    const char *task;  /* name of the task that it ran */
    int reason;        /* -EOWNERDEAD it died; -ECANCELED, -ETIMEDOUT it was killed for that */
    int pid;           /* of the process */
    int code;          /* its exit status, or -N: killed by signal N */
    int64_t user_ns;   /* processor time of the process, over all its tasks */
    int64_t system_ns; /* */
    uint64_t rss_bytes_peak; /* the most memory it had resident */
} weft_procpool_death;

/* Zero means default. */
typedef struct weft_procpool_config {
    unsigned workers;         /* at most WEFT_PROCPOOL_WORKERS_MAX; 0: weft_usable_cpus() */
    unsigned tasks_per_child; /* a worker is replaced after so many tasks; 0: never */
    int64_t task_ns_max;      /* a task that runs longer is killed, and fails with -ETIMEDOUT; 0: no
                               * limit */
    size_t queue_max;         /* submissions that have not ended; 0: no bound */
    weft_full full;           /* what to do beyond that */
    size_t task_bytes_max;    /* of a task's arguments and result together; address space is
                               * reserved for it up to a thousand times over */
    int64_t spin_ns; /* how long an idle worker looks for a task before it sleeps; 0: 20 us,
                               * negative: not at all */

    /* Called in each worker process before its first task, with a copy of `init_arg`. If it returns
     * anything but 0 the pool is broken: all its futures fail. */
    int (*initializer)(void *arg, size_t bytes);
    const void *init_arg;
    size_t init_bytes;

    /* Called in a thread of the pool when a process has died with a task, before the task's future
     * fails. */
    void (*on_death)(const weft_procpool_death *death, void *arg);
    void *on_death_arg;
} weft_procpool_config;

/**
 * Start a pool and its worker processes.
 *
 * @param pool     receives the pool; yours, to be given to weft_procpool_destroy() once
 * @param config   NULL: all defaults
 * Returns         0; -EINVAL a value of `config` is out of range; -ENOMEM; or why no process
 *                 could be started, see weft_process_start()
 * Context         thread or fiber; blocks the calling thread while processes start
 * Progress        blocking
 * Lifetime        `config` and all it points to are copied
 */
WEFT_API WEFT_NODISCARD int weft_procpool_create(weft_procpool **pool,
                                                 const weft_procpool_config *config)
    WEFT_NONNULL(1);

/**
 * Shut a pool down, waiting for what it still has to do, and free it. NULL does nothing.
 *
 * Returns         0; -EDEADLK called from a callback of one of its futures, nothing happened
 * Context         thread or fiber; blocks the calling thread while processes end
 * Progress        blocking
 * Lifetime        its futures stay valid; nobody may submit to it any more
 */
WEFT_API int weft_procpool_destroy(weft_procpool *pool);

/**
 * The pool as an executor, for weft_submit() and all that takes one.
 *
 * weft_executor_shutdown() on it knows one more flag, WEFT_KILL_RUNNING: tasks that run fail with
 * -ECANCELED.
 *
 * Context         any
 * Progress        wait-free
 * Lifetime        the pool's
 */
WEFT_API weft_executor *weft_procpool_executor(weft_procpool *pool) WEFT_NONNULL(1);

/**
 * Cancel a future of this pool, whatever it takes: a pending one is cancelled; one that was handed
 * out ahead is taken back and fails with -ECANCELED; one that runs has its process killed, and
 * fails with -ECANCELED when that is dead.
 *
 * Returns         1 it will not succeed any more; 0 it has ended, or belongs to no pool or another
 * Context         any; callbacks may run here
 * Progress        blocking for a moment
 */
#define weft_procpool_cancel(pool, f) weft_procpool_cancel_future((pool), (f).h)
WEFT_API int weft_procpool_cancel_future(weft_procpool *pool, weft_future *future)
    WEFT_NONNULL(1, 2);

/**
 * The process number of worker `index`, 0 … workers - 1; 0 if it is just being replaced.
 *
 * Context         any
 * Progress        blocking for a moment
 */
WEFT_API int weft_procpool_pid(weft_procpool *pool, unsigned index) WEFT_NONNULL(1);

WEFT_END_DECLS
#endif
