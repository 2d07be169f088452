/* SPDX-License-Identifier: BSD-2-Clause */
/* future.h — the result of a task that somebody will want later, perhaps on another thread.
 *
 *     WEFT_TASK(double, price, int, option, double, spot) { ... }
 *
 *     price_future quote = weft_submit(weft_workers(), price, .option = 7, .spot = 101.5);
 *     double value;
 *     int rc = weft_await(quote, &value, weft_in(2 * WEFT_SEC));
 *
 * Python's concurrent.futures on lock-free workers. A future is PENDING, then RUNNING, then
 * FINISHED with a result or an error; a pending one may be CANCELLED instead. Whoever waits for one
 * parks its fiber, or, outside the workers, puts its thread to sleep; a worker never waits. What
 * differs from Python is listed in futures/README.md.
 *
 * Handles. `price_future` is a small typed handle, passed by value. Each handle is given back once:
 * by weft_await() when it returns what became of the task, or by weft_release(). Both set the
 * variable's pointer to NULL, which may be released again, and awaited for -EINVAL; whoever asks it
 * anything else ends the process, with a message. To look at a future after its result, read that
 * by weft_result(). More handles come from weft_retain(). A task whose last handle is released runs
 * all the same; nobody sees its result.
 *
 * Submitting never fails by itself: lack of memory, a full queue, an executor that was shut down
 * are reported by the future, where errors are expected anyway.
 *
 * The lower-case macros take typed handles and check the type of a result at compile time; beneath
 * each stands a function on `weft_future *`, for bindings and debuggers. */
#ifndef WEFT_FUTURE_H
#define WEFT_FUTURE_H

#include <weft/base.h>
#include <weft/channel.h>
#include <weft/runtime.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

/* A handle whose result is of type R, for typedefs: each task `name` has its own, `name_future`. */
#define WEFT_FUTURE_OF(R)                                                                          \
    union {                                                                                        \
        weft_future *h;                                                                            \
        R *of;                                                                                     \
    }

typedef WEFT_FUTURE_OF(size_t) weft_index_future;
typedef WEFT_FUTURE_OF(void) weft_void_future;

/* Why a task has no result. The strings stay valid as long as the caller holds the future. */
typedef struct weft_error {
    int code;            /* a negative errno; 0: there is no error */
    int line;            /* of the submission */
    const char *message; /* what weft_fail() was told; never NULL */
    const char *task;    /* name of the task that failed; never NULL */
    const char *file;    /* of the submission; never NULL */
} weft_error;

/* ---- executors ------------------------------------------------------------------------------ */

/* Two functions make an executor; `base` is the first member of whatever it consists of. */
typedef struct weft_executor_ops {
    /* Take a future over, from any thread or fiber; see "for writers of executors" below. */
    void (*submit)(weft_executor *executor, weft_future *future);
    /* See weft_executor_shutdown(). */
    int (*shutdown)(weft_executor *executor, unsigned flags, int64_t deadline);
    /* The same as `submit`, but wait for room until the deadline at most, and fail the future then.
     * Without a deadline `submit` is called, and so it is if this is NULL. */
    void (*submit_until)(weft_executor *executor, weft_future *future, int64_t deadline);
} weft_executor_ops;

struct weft_executor {
    const weft_executor_ops *ops;
};

/* What a submission does when a pool's queue is full. */
typedef enum weft_full {
    WEFT_FULL_WAIT = 0, /* waits for room; a fiber parks; see weft_submit_until() */
    WEFT_FULL_RUN,      /* runs the task in the submitting thread or fiber */
    WEFT_FULL_FAIL,     /* makes a future that has failed with -EAGAIN */
} weft_full;

/* Zero means default. */
typedef struct weft_pool_config {
    weft_config runtime; /* of its workers */
    size_t queue_max;    /* submissions that have not begun to run; 0: no bound */
    weft_full full;      /* what to do beyond that */
} weft_pool_config;

/* Flag of weft_executor_shutdown(). */
#define WEFT_CANCEL_PENDING 1u

/**
 * The workers: those of the calling task's runtime; in a plain thread, those of a runtime that all
 * plain threads of the process share, started by the first call.
 *
 * Shared workers sleep when there is nothing to do, and end with the process. They do not wait at
 * exit: await what must be done before. If they cannot be started, each submission's future says
 * so.
 *
 * Returns         an executor; never NULL; the caller's runtime owns it
 * Context         any
 * Progress        wait-free; the first call in a plain thread blocks while threads start
 */
WEFT_API weft_executor *weft_workers(void);

/**
 * An executor that runs each task at once, inside the submission: for tests, and for debugging.
 *
 * Returns         an executor; never NULL; always the same
 * Context         any
 * Progress        wait-free
 */
WEFT_API weft_executor *weft_inline(void);

/**
 * Start a pool: an executor with workers of its own and, if wanted, a bound on what is queued.
 *
 * @param pool     receives the executor; yours, to be given to weft_pool_destroy() once
 * @param config   NULL: all defaults
 * Returns         0; -EINVAL a value of `config` is out of range; -ENOMEM; -EAGAIN no more threads
 * Context         thread or worker of another runtime
 * Progress        blocking
 */
WEFT_API WEFT_NODISCARD int weft_pool_create(weft_executor **pool, const weft_pool_config *config)
    WEFT_NONNULL(1);

/**
 * Shut a pool down, waiting for what it still has to do, and free it. NULL does nothing.
 *
 * Returns         0; -EDEADLK called from one of its own tasks, nothing happened
 * Context         thread or fiber of another runtime; may park
 * Progress        blocking
 * Lifetime        its futures stay valid; nobody may submit to it any more. Another thread may be
 *                 waiting for one of them, except in a process that has come from a fork()
 */
WEFT_API int weft_pool_destroy(weft_executor *pool);

/**
 * Accept no more submissions, and wait until everything submitted has ended.
 *
 * Tasks that run go on to their end; pending ones run too, unless WEFT_CANCEL_PENDING. A second
 * call waits again. With WEFT_POLL it only closes the executor, and tells whether anything is left.
 *
 * Later submissions fail with -EPIPE, also those that a task of the executor makes.
 *
 * @param flags    0 or WEFT_CANCEL_PENDING
 * Returns         0 everything has ended; -ETIMEDOUT it is closed, but something still runs;
 *                 -ECANCELED the caller's scope was cancelled meanwhile, it is closed;
 *                 -EDEADLK called from a task of this executor, which would wait for itself:
 *                 nothing happened; -ENOTSUP an executor that others use as well, that of plain
 *                 threads or weft_inline()
 * Context         thread or fiber; may park
 * Order           all tasks happen-before a return of 0
 * Progress        blocking
 */
WEFT_API int weft_executor_shutdown(weft_executor *executor, unsigned flags, int64_t deadline)
    WEFT_NONNULL(1);

/* ---- submitting ----------------------------------------------------------------------------- */

/**
 * Submit a task: weft_submit(executor, price, 7, 101.5) or, in C, with the names of its arguments,
 * weft_submit(executor, price, .option = 7, .spot = 101.5). Arguments not named are zero.
 *
 * The task's arguments and result must not want more than 16 bytes of alignment.
 *
 * Returns         a `price_future`; yours to await or release
 * Context         any; parks only when a pool's queue is full
 * Order           what the caller did before happens-before the task
 * Progress        lock-free, apart from memory allocation
 */
#define weft_submit(executor, ...)                                                                 \
    WEFT__CAT(WEFT__SUBMIT, WEFT__MANY(__VA_ARGS__))(executor, __VA_ARGS__)

/**
 * Submit a task, and wait for room in a full queue until `deadline` at most: if there is none, the
 * future has failed with -ETIMEDOUT. weft_submit_until(pool, weft_in(WEFT_MSEC), price, 7, 101.5).
 *
 * The deadline is that of the wait for room, not the task's. WEFT_POLL does not wait. Pools that do
 * not wait for room (WEFT_FULL_RUN, WEFT_FULL_FAIL) do as they do otherwise, and so do executors
 * without a bound. Scopes cut such a wait off as any other, also that of weft_submit(): what is
 * refused in a scope that is over is cancelled.
 *
 * Returns         as weft_submit()
 * Context         any; parks only when a pool's queue is full
 * Order           as weft_submit()
 * Progress        blocking until the deadline; who waits longest gets the place that becomes free
 */
#define weft_submit_until(executor, deadline, ...)                                                 \
    WEFT__CAT(WEFT__SUBMIT_UNTIL, WEFT__MANY(__VA_ARGS__))(executor, deadline, __VA_ARGS__)

/* A function and its argument, as a task; its result is the int. */
typedef int weft_fn(void *arg);
WEFT_API int weft_call_fn(weft_fn *fn, void *arg);
WEFT_TASK_DECLARE(int, weft_call_fn, weft_fn *, fn, void *, arg);

/**
 * Submit `fn(arg)`, for code that has no WEFT_TASK. Otherwise as weft_submit().
 *
 * Returns         a `weft_call_fn_future`, whose result is what `fn` returns
 * Context         any
 * Progress        as weft_submit()
 */
#define weft_submit_fn(executor, fn, arg) weft_submit(executor, weft_call_fn, fn, arg)

/* The functions beneath weft_submit() and weft_submit_until(): `args` points to a `name_args`, and
 * is copied. Declared in <weft/task.h>: weft_future *weft_future_submit(executor, site, args),
 * weft_future *weft_future_submit_until(executor, site, args, deadline). */

/**
 * Continue a future: when `f` has finished, submit the task `name` with its result as the first
 * argument; other arguments by name, weft_then(executor, f, half, .of = 2).
 *
 * If `f` fails or is cancelled, so does the new future, with the same error; the task does not run.
 * `f` stays the caller's: awaiting or releasing it early is fine.
 *
 * If a pool's queue is full then, whoever finishes `f` waits for room, as in weft_submit(), and
 * what cuts off its scope cuts that off; if `f` has finished already, the caller does.
 *
 * Returns         a `name_future`; yours to await or release
 * Context         any; parks only when `f` has finished and a pool's queue is full
 * Order           the task of `f` happens-before the continuation
 * Progress        lock-free, apart from memory allocation
 */
#define weft_then(executor, f, ...)                                                                \
    WEFT__CAT(WEFT__THEN, WEFT__MANY(__VA_ARGS__))(executor, f, __VA_ARGS__)

/* ---- the result ----------------------------------------------------------------------------- */

/**
 * Wait for a future and take its result; gives the handle back.
 *
 * The handle is given back, and `f` set to NULL, when the future has ended in whatever way; it
 * stays with the caller when the wait has: then `f` is not NULL, and the call may be repeated.
 *
 * A future that this worker has submitted last and that nobody has begun runs right here, if the
 * deadline is WEFT_FOREVER. So it may in a plain thread that has called a sleeping worker for it,
 * which then plays that worker: docs/TASKS.md.
 *
 * @param f        a variable
 * @param out      receives the result; NULL: it is not wanted
 * Returns         0; the code with which the task failed; -ECANCELED the future was cancelled; or,
 *                 `f` being kept: -ETIMEDOUT the deadline passed, -ECANCELED the caller's scope was
 *                 cancelled, -ENOMEM several wait already and there is no memory for one more,
 *                 -ECHILD its workers were left behind by fork(), -EINVAL `f` is NULL
 * Context         thread or fiber; may park
 * Order           the task happens-before the return
 * Progress        blocking
 */
#define weft_await(f, out, deadline) weft_future_await(&(f).h, WEFT__RESULT_OF(f, out), (deadline))
WEFT_API int weft_future_await(weft_future **future, void *result, int64_t deadline)
    WEFT_NONNULL(1);

/**
 * Wait for a future and read its result; the caller keeps the handle. Otherwise as weft_await().
 *
 * Returns         as weft_await()
 * Context         thread or fiber; may park
 * Order           the task happens-before the return
 * Progress        blocking
 */
#define weft_result(f, out, deadline) weft_future_result((f).h, WEFT__RESULT_OF(f, out), (deadline))
WEFT_API int weft_future_result(weft_future *future, void *result, int64_t deadline);

/**
 * Wait for a future and read why it failed; the caller keeps the handle.
 *
 * Returns         0 it has ended: `error` tells how, its code is 0 if the task did not fail;
 *                 -ECANCELED it was cancelled, or the caller's scope; -ETIMEDOUT; -ENOMEM; -ECHILD;
 *                 -EINVAL `f` is NULL: as in weft_await()
 * Context         thread or fiber; may park
 * Order           as weft_await()
 * Progress        blocking
 */
#define weft_exception(f, error, deadline) weft_future_exception((f).h, (error), (deadline))
WEFT_API int weft_future_exception(weft_future *future, weft_error *error, int64_t deadline)
    WEFT_NONNULL(2);

/**
 * End the task that calls this with an error: `return weft_fail(-EINVAL, "row %d is bad", row), 0;`
 *
 * Whatever the task returns then is dropped, and its future has failed. The task goes on to run
 * until it returns; a second error replaces the first. The error belongs to the submitted task: a
 * fork-join task below it must hand its trouble to its parent, since it may run on another worker.
 * In a callback, or outside any task, the error goes to weft_report_dropped()'s function.
 *
 * @param code     a negative errno; a positive one counts as its negative, 0 as -EINVAL
 * @param format   as printf's; NULL: no message
 * Returns         `code`
 * Context         a task, or whatever it calls
 * Progress        lock-free, apart from memory allocation; without memory the message is lost
 */
WEFT_API int weft_fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/**
 * From now on, call `report` for each error that was dropped: its future was freed, and nobody had
 * read it by weft_await(), weft_result() or weft_exception(). Each error is reported once.
 *
 * @param report   called in whichever thread or fiber drops the error; must not park; NULL: no more
 * Context         any
 * Progress        wait-free
 */
WEFT_API void weft_report_dropped(void (*report)(const weft_error *error, void *arg), void *arg);

/**
 * A reporter for weft_report_dropped(): one line on stderr.
 *
 * Context         any
 * Progress        blocking: it prints
 */
WEFT_API void weft_print_error(const weft_error *error, void *unused) WEFT_NONNULL(1);

/* ---- state ---------------------------------------------------------------------------------- */

/**
 * Whether the future has ended: finished or cancelled.
 *
 * Context         any
 * Order           if so, the task happens-before the return
 * Progress        wait-free
 */
#define weft_done(f) weft_future_done(weft__held((f).h, "weft_done"))
WEFT_API int weft_future_done(const weft_future *future) WEFT_NONNULL(1);

/**
 * Whether the task runs right now; it can no longer be cancelled then.
 *
 * Context         any
 * Progress        wait-free
 */
#define weft_running(f) weft_future_running(weft__held((f).h, "weft_running"))
WEFT_API int weft_future_running(const weft_future *future) WEFT_NONNULL(1);

/**
 * Whether the future was cancelled.
 *
 * Context         any
 * Progress        wait-free
 */
#define weft_cancelled(f) weft_future_cancelled(weft__held((f).h, "weft_cancelled"))
WEFT_API int weft_future_cancelled(const weft_future *future) WEFT_NONNULL(1);

/**
 * Cancel a pending future: its task will not run, and whoever waits gets -ECANCELED. Callbacks run
 * here. A future that runs or has finished is left alone.
 *
 * Returns         nonzero if the future is cancelled, now or before
 * Context         any
 * Progress        lock-free, apart from callbacks
 */
#define weft_cancel(f) weft_future_cancel(weft__held((f).h, "weft_cancel"))
WEFT_API int weft_future_cancel(weft_future *future) WEFT_NONNULL(1);

/**
 * One more handle to the same future; each is to be given back.
 *
 * Returns         the handle
 * Context         any
 * Progress        wait-free
 */
#define weft_retain(f) (weft_future_retain(weft__held((f).h, "weft_retain")), (f))
WEFT_API weft_future *weft_future_retain(weft_future *future) WEFT_NONNULL(1);

/**
 * Give a handle back without waiting; sets `f` to NULL. If it is NULL already, does nothing.
 *
 * Context         any
 * Progress        lock-free, apart from memory being freed
 */
#define weft_release(f) (weft_future_release((f).h), (void)((f).h = NULL))
WEFT_API void weft_future_release(weft_future *future);

/* ---- callbacks ------------------------------------------------------------------------------ */

typedef void weft_callback(weft_future *future, void *arg);

/**
 * Call `callback(future, arg)` when the future has ended; at once if it has. Callbacks run once
 * each, in the order in which they were added, in the thread or fiber that ends the future: they
 * should be short. One that calls weft_fail() does not stop the others. Inside a callback the
 * future is valid, also when no handle is left.
 *
 * Returns         0; -ENOMEM it was not added
 * Context         any
 * Order           the task happens-before the callback
 * Progress        lock-free, apart from memory allocation and the callback itself
 */
#define weft_on_done(f, callback, arg)                                                             \
    weft_future_on_done(weft__held((f).h, "weft_on_done"), (callback), (arg))
WEFT_API WEFT_NODISCARD int weft_future_on_done(weft_future *future, weft_callback *callback,
                                                void *arg) WEFT_NONNULL(1, 2);

/* ---- many futures --------------------------------------------------------------------------- */

/* What weft_wait() waits for. */
typedef enum weft_return_when {
    WEFT_ALL_COMPLETED = 0, /* all have ended */
    WEFT_FIRST_COMPLETED,   /* one has ended */
    WEFT_FIRST_EXCEPTION,   /* one has failed, or all have ended; a cancelled one has not failed */
} weft_return_when;

/**
 * Wait for some of `count` futures in an array of typed handles. Handles stay the caller's; NULL
 * ones are skipped. That the deadline passes is not an error.
 *
 * Returns         how many of them have ended; -ECANCELED the caller's scope was cancelled;
 *                 -ENOMEM; -ECHILD as in weft_await()
 * Context         thread or fiber; may park
 * Order           tasks that have ended happen-before the return
 * Progress        blocking
 */
#define weft_wait(futures, count, when, deadline)                                                  \
    weft_future_wait(&(futures)[0].h, (count), (when), (deadline))
WEFT_API ptrdiff_t weft_future_wait(weft_future *const *futures, size_t count,
                                    weft_return_when when, int64_t deadline);

/**
 * Run the following statement or block for each future of an array as it ends: first those that
 * have, in the order of the array, then as they come. `i` is the index, a size_t. NULL handles are
 * skipped. `break` and `return` leave it at any time; `continue` goes on.
 *
 *     weft_as_completed(i, quotes, 8, weft_in(2 * WEFT_SEC)) {
 *         double value;
 *         if (weft_await(quotes[i], &value, WEFT_POLL) == 0)
 *             printf("option %zu: %.2f\n", i, value);
 *     }
 *
 * Ends early when the deadline passes. To know why, or without a macro, use weft_completed_open(),
 * weft_completed_next() and weft_completed_close().
 *
 * Context         thread or fiber; may park
 * Progress        blocking
 */
#define weft_as_completed(i, futures, count, deadline)                                             \
    WEFT__AS_COMPLETED(i, futures, count, deadline, __COUNTER__)

/* An iteration over futures as they end. Opened in place; must not move. */
typedef struct weft_completed {
    uint64_t room_[24];
} weft_completed;

/**
 * Begin to iterate over `count` futures as they end.
 *
 * Context         thread or fiber
 * Progress        lock-free, apart from memory allocation
 * Lifetime        the array, and each future until its index was handed out, must stay until
 *                 weft_completed_close()
 */
WEFT_API void weft_completed_open(weft_completed *it, weft_future *const *futures, size_t count,
                                  int64_t deadline) WEFT_NONNULL(1);

/**
 * Wait for the next future to end.
 *
 * @param index    receives its place in the array
 * Returns         1; 0 there are no more; -ETIMEDOUT; -ECANCELED; -ENOMEM; -ECHILD
 * Context         thread or fiber; may park
 * Order           the task of the future happens-before a return of 1
 * Progress        blocking
 */
WEFT_API int weft_completed_next(weft_completed *it, size_t *index) WEFT_NONNULL(1, 2);

/**
 * End an iteration, at any time; a second time does nothing.
 *
 * Context         thread or fiber; may park for a moment
 * Progress        lock-free, but for an end that is being told
 */
WEFT_API void weft_completed_close(weft_completed *it) WEFT_NONNULL(1);

/**
 * A case of weft_select(), in <weft/channel.h>, that comes true when the future has ended, in
 * whatever way; WEFT_POLL then fetches what has become of it.
 *
 *     weft_case cases[] = {WEFT_CASE_FUTURE(quote), WEFT_CASE_POP(stop, NULL)};
 *     if (weft_select(cases, 2, weft_in(2 * WEFT_SEC)) == 0)
 *         rc = weft_await(quote, &value, WEFT_POLL);
 *
 * The handle stays the caller's, and must until the select returns. A case whose handle is NULL
 * never comes true. Beyond its own codes such a select returns -ENOMEM or -ECHILD, as weft_await().
 *
 * Order           if it comes true, the task happens-before the return of the select
 */
#define WEFT_CASE_FUTURE(f)                                                                        \
    {                                                                                              \
        &weft__future_case, (f).h, NULL, NULL, 0, 0,                                               \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/**
 * A future that ends when all `count` futures have, or fails at once with the first error among
 * them; a cancelled one counts as failed with -ECANCELED. Cancelling it cancels all of them.
 * weft_any(): ends with the index of the first that succeeds; fails with the last error if none
 * does, with -EINVAL if `count` is 0. weft_race(): ends with the index of the first that ends, in
 * whatever way.
 *
 * The handles stay the caller's and may be released early; the futures must not be NULL.
 *
 * Returns         a weft_void_future (all) or a weft_index_future; yours to await or release
 * Context         any
 * Progress        lock-free, apart from memory allocation
 */
#define weft_all(futures, count) weft__void_future(weft_future_all(&(futures)[0].h, (count)))
#define weft_any(futures, count) weft__index_future(weft_future_any(&(futures)[0].h, (count)))
#define weft_race(futures, count) weft__index_future(weft_future_race(&(futures)[0].h, (count)))
WEFT_API weft_future *weft_future_all(weft_future *const *futures, size_t count);
WEFT_API weft_future *weft_future_any(weft_future *const *futures, size_t count);
WEFT_API weft_future *weft_future_race(weft_future *const *futures, size_t count);

/* ---- map ------------------------------------------------------------------------------------ */

/* Zero means default. */
typedef struct weft_map_config {
    size_t window;    /* submissions in flight at most; 0: four for each worker */
    size_t chunk;     /* calls in a submission; 0: one */
    int unordered;    /* nonzero: results as they come; otherwise in the order of the inputs */
    int64_t deadline; /* of the whole map, submissions that wait for room included; 0: none */
} weft_map_config;

typedef struct weft_map weft_map;

/* Write the arguments of call `index` to `args`, a `name_args`; zero: there are no more calls. Is
 * asked once for each index, in order, by the thread or fiber that calls weft_map_next(). */
typedef int weft_source(void *arg, size_t index, void *args);

/**
 * Call a task for many inputs, lazily: a call is submitted when its result will soon be wanted, and
 * at most `window` submissions are in flight, so inputs may be many more than fit into memory.
 *
 * @param map      receives the map; yours, to be given to weft_map_close() once
 * @param name     of a task
 * @param source   a weft_source and its argument
 * @param config   NULL: all defaults
 * Returns         0; -ENOMEM
 * Context         any
 * Progress        lock-free, apart from memory allocation
 */
#define weft_map_open(map, executor, name, source, arg, config)                                    \
    weft_future_map((map), (executor), WEFT__SITE_ALIGNED(name), (source), (arg), (config))
WEFT_API WEFT_NODISCARD int weft_future_map(weft_map **map, weft_executor *executor,
                                            const weft_site *site, weft_source *source, void *arg,
                                            const weft_map_config *config) WEFT_NONNULL(1, 2, 3, 4);

/**
 * Wait for the next result.
 *
 * @param index    receives the number of the call; may be NULL
 * @param result   receives its result if it succeeded; NULL: it is not wanted
 * Returns         1; 0 there are no more; the code with which call `*index` failed, after which the
 *                 next may be asked for; or, `*index` being SIZE_MAX: -ETIMEDOUT, -ECANCELED the
 *                 caller's scope, -ENOMEM
 * Context         thread or fiber; may park
 * Order           the call happens-before the return that reports it
 * Progress        blocking
 */
WEFT_API int weft_map_next(weft_map *map, size_t *index, void *result) WEFT_NONNULL(1);

/**
 * Read why the call that weft_map_next() has just reported failed.
 *
 * Context         as weft_map_next()
 * Progress        wait-free
 * Lifetime        the strings stay valid until the next call on this map
 */
WEFT_API void weft_map_error(const weft_map *map, weft_error *error) WEFT_NONNULL(1, 2);

/**
 * End a map at any time: calls that have not begun are cancelled, those that run are left to
 * themselves. NULL does nothing.
 *
 * Context         thread or fiber; may park for a moment
 * Progress        lock-free, but for an end that is being told
 */
WEFT_API void weft_map_close(weft_map *map);

/**
 * Run the following statement or block for each result of a task called for each element of an
 * array: `i` is the index of the input, a size_t, and `value` a variable of the task's result type.
 *
 *     weft_map_each(i, root, weft_workers(), square_root, numbers, 1000, NULL)
 *         printf("%zu: %f\n", i, root);
 *
 * The element becomes the task's first argument. Ends at the first call that fails, and cancels the
 * rest. To go on after errors, or for more arguments, use weft_map_open().
 *
 * Context         thread or fiber; may park
 * Progress        blocking
 */
#define weft_map_each(i, value, executor, name, inputs, count, config)                             \
    WEFT__MAP_EACH(i, value, executor, name, inputs, count, config, __COUNTER__)

/* ---- promises ------------------------------------------------------------------------------- */

/**
 * Make `f` a promise: a pending future that no executor runs, to be completed by hand, once, with
 * weft_set_result() or weft_set_error(), from any thread or fiber.
 *
 *     WEFT_FUTURE_OF(double) answer;
 *     weft_promise(answer);
 *
 * Whoever completes it may do so with the same handle, copied; after that call the copy must not be
 * used, since the holder of the handle may have released it. A promise that nobody completes is
 * never freed, also when its handles are gone. Without memory the promise is a future that has
 * failed with -ENOMEM.
 *
 * @param f        a variable
 * Context         any
 * Progress        lock-free, apart from memory allocation
 */
#define weft_promise(f) ((void)((f).h = weft_promise_new(sizeof *(f).of)))
#define weft_void_promise(f) ((void)((f).h = weft_promise_new(0)))
WEFT_API WEFT_NODISCARD weft_future *weft_promise_new(size_t result_bytes);

/**
 * Complete a promise with a result, which is copied.
 *
 * Returns         0; -ECANCELED it had been cancelled, and is not to be used any more either;
 *                 -EINVAL it has been completed, or is no promise
 * Context         any; callbacks run here
 * Order           happens-before the return of whoever waits
 * Progress        lock-free, apart from callbacks
 */
#define weft_set_result(f, value)                                                                  \
    weft_future_set_result(weft__held((f).h, "weft_set_result"), WEFT__RESULT_OF(f, value))
WEFT_API int weft_future_set_result(weft_future *future, const void *value) WEFT_NONNULL(1);

/**
 * Complete a promise with an error. Otherwise as weft_set_result().
 *
 * @param code     a negative errno; a positive one counts as its negative, 0 as -EINVAL
 * @param format   as printf's; NULL: no message
 * Returns         as weft_set_result()
 * Context         any; callbacks run here
 * Order           as weft_set_result()
 * Progress        as weft_set_result(), and memory for the message
 */
#define weft_set_error(f, code, ...)                                                               \
    weft_future_set_error(weft__held((f).h, "weft_set_error"), (code), __VA_ARGS__)
WEFT_API int weft_future_set_error(weft_future *future, int code, const char *format, ...)
    WEFT_NONNULL(1) __attribute__((format(printf, 3, 4)));

/* ---- for writers of executors --------------------------------------------------------------- */

/* `submit` owns the future's one run. Later, from any thread or fiber, it calls weft_future_run(),
 * or does by itself what that does: begin; if that succeeds, make the result; finish, or fail. A
 * future that begins is RUNNING and cannot be cancelled. After begin has failed, and after finish
 * or fail, the executor must not touch the future again. */

/**
 * PENDING becomes RUNNING.
 *
 * Returns         0; -ECANCELED it was cancelled: forget it
 * Context         any; once for each future
 * Progress        lock-free
 */
WEFT_API WEFT_NODISCARD int weft_future_begin(weft_future *future) WEFT_NONNULL(1);

/**
 * What is to be run: the description of the task, its arguments, and the room for its result.
 *
 * Context         the executor, until finish or fail
 * Progress        wait-free
 */
WEFT_API const weft_task_type *weft_future_type(const weft_future *future) WEFT_NONNULL(1);
WEFT_API void *weft_future_args(weft_future *future) WEFT_NONNULL(1);
WEFT_API void *weft_future_room(weft_future *future) WEFT_NONNULL(1);

/**
 * Where the future was submitted.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API const weft_site *weft_future_site(const weft_future *future) WEFT_NONNULL(1);

/**
 * RUNNING becomes FINISHED; the result is in the room for it.
 *
 * Context         any; callbacks run here
 * Order           happens-before the return of whoever waits
 * Progress        lock-free, apart from callbacks
 */
WEFT_API void weft_future_finish(weft_future *future) WEFT_NONNULL(1);

/**
 * RUNNING becomes FINISHED with an error.
 *
 * Context         any; callbacks run here
 * Order           as weft_future_finish()
 * Progress        as weft_future_finish(), and memory for the message
 */
WEFT_API void weft_future_fail(weft_future *future, int code, const char *format, ...)
    WEFT_NONNULL(1) __attribute__((format(printf, 3, 4)));

/**
 * Begin, call the task right here, finish or fail.
 *
 * Context         any; as the task's own
 * Progress        the task's, then as weft_future_finish()
 */
WEFT_API void weft_future_run(weft_future *future) WEFT_NONNULL(1);

/* ---- what the macros are made of ------------------------------------------------------------ */

WEFT_API extern const weft__case_hook weft__future_case;

/* `out`, if it is a pointer to the future's result type; a diagnostic otherwise. */
#define WEFT__RESULT_OF(f, out) (1 ? (out) : (f).of)

/* What is submitted is aligned as malloc() would; more is an error here, an array of size -1. */
#define WEFT__TASK_ALIGN_MAX 16

#define WEFT__SITE_ALIGNED(name)                                                                   \
    (__extension__({                                                                               \
        (void)sizeof(char[__alignof__(name##_task) <= WEFT__TASK_ALIGN_MAX ? 1 : -1]);             \
        WEFT__SITE(name);                                                                          \
    }))

#ifdef __cplusplus
#define WEFT__ARGS(name, ...)                                                                      \
    name##_args                                                                                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }
#define WEFT__NO_ARGS(name) name##_args()
#else
#define WEFT__ARGS(name, ...) ((name##_args){__VA_ARGS__})
#define WEFT__NO_ARGS(name) ((name##_args){0})
#endif

#define WEFT__SUBMIT1(executor, name)                                                              \
    name##_submit((executor), WEFT__SITE_ALIGNED(name), WEFT__NO_ARGS(name))
#define WEFT__SUBMITN(executor, name, ...)                                                         \
    name##_submit((executor), WEFT__SITE_ALIGNED(name), WEFT__ARGS(name, __VA_ARGS__))

#define WEFT__SUBMIT_UNTIL1(executor, deadline, name)                                              \
    name##_submit_until((executor), WEFT__SITE_ALIGNED(name), WEFT__NO_ARGS(name), (deadline))
#define WEFT__SUBMIT_UNTILN(executor, deadline, name, ...)                                         \
    name##_submit_until((executor), WEFT__SITE_ALIGNED(name), WEFT__ARGS(name, __VA_ARGS__),       \
                        (deadline))

/* The first argument's type must be that of the result that it takes over. */
#define WEFT__SAME_TYPE(f, name) ((void)sizeof(1 ? (f).of : (name##_first_ *)NULL))
#define WEFT__THEN1(executor, f, name)                                                             \
    (WEFT__SAME_TYPE(f, name), name##_then((executor), weft__held((f).h, "weft_then"),             \
                                           WEFT__SITE_ALIGNED(name), WEFT__NO_ARGS(name)))
#define WEFT__THENN(executor, f, name, ...)                                                        \
    (WEFT__SAME_TYPE(f, name),                                                                     \
     name##_then((executor), weft__held((f).h, "weft_then"), WEFT__SITE_ALIGNED(name),             \
                 WEFT__ARGS(name, __VA_ARGS__)))

WEFT_API __attribute__((noreturn, cold)) void weft__handle_gone(const char *call);

/* The future of a handle that has not been given back. */
WEFT__INLINE weft_future *weft__held(weft_future *future, const char *call)
{
    if (WEFT__UNLIKELY(future == NULL))
        weft__handle_gone(call);
    return future;
}

WEFT__INLINE weft_void_future weft__void_future(weft_future *future)
{
    weft_void_future typed;
    typed.h = future;
    return typed;
}

WEFT__INLINE weft_index_future weft__index_future(weft_future *future)
{
    weft_index_future typed;
    typed.h = future;
    return typed;
}

WEFT__INLINE weft_completed *weft__completed_begin(weft_completed *it, weft_future *const *futures,
                                                   size_t count, int64_t deadline)
{
    weft_completed_open(it, futures, count, deadline);
    return it;
}

/* The names carry a number, so that one such loop inside another shadows nothing. The outer loop
 * runs once: it holds what the inner one needs, and its clean-up. */
#define WEFT__AS_COMPLETED(i, futures, count, deadline, number)                                    \
    WEFT__AS_COMPLETED_(i, futures, count, deadline, WEFT__CAT(weft__completed_, number),          \
                        WEFT__CAT(weft__once_, number))
/* clang-format off */
#define WEFT__AS_COMPLETED_(i, futures, count, deadline, it, once)                                 \
    for (weft_completed it __attribute__((cleanup(weft_completed_close))),                         \
         *once = weft__completed_begin(&it, &(futures)[0].h, (count), (deadline));                 \
         once; once = NULL)                                                                        \
        for (size_t i = 0; weft_completed_next(&it, &i) == 1;)
/* clang-format on */

/* A map over an array, as weft_map_each() needs it: stands in the loop's frame. */
typedef struct weft__map_each {
    weft_map *map_;
    const char *inputs_;
    size_t count_;
    size_t bytes_; /* of an input */
} weft__map_each;

WEFT_API weft__map_each *weft_map_each_begin(weft__map_each *each, weft_executor *executor,
                                             const weft_site *site, const weft_map_config *config)
    WEFT_NONNULL(1, 2, 3);
WEFT_API void weft_map_each_end(weft__map_each *each) WEFT_NONNULL(1);

#define WEFT__MAP_EACH(i, value, executor, name, inputs, count, config, number)                    \
    WEFT__MAP_EACH_(i, value, executor, name, inputs, count, config,                               \
                    WEFT__CAT(weft__each_, number), WEFT__CAT(weft__once_, number))
/* clang-format off */
#define WEFT__MAP_EACH_(i, value, executor, name, inputs, count, config, each, once)               \
    for (weft__map_each each __attribute__((cleanup(weft_map_each_end))) =                         \
             {NULL, (const char *)(1 ? (inputs) : (const name##_first_ *)NULL), (count),           \
              sizeof *(inputs)},                                                                   \
         *once = weft_map_each_begin(&each, (executor), WEFT__SITE_ALIGNED(name), (config));       \
         once; once = NULL)                                                                        \
        for (__typeof__(*((name##_future *)NULL)->of) value, *weft__##value = &value;              \
             weft__##value; weft__##value = NULL)                                                  \
            for (size_t i = 0; weft_map_next(each.map_, &i, &value) == 1;)
/* clang-format on */

WEFT_END_DECLS
#endif
