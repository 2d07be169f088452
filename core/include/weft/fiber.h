/* SPDX-License-Identifier: BSD-2-Clause */
/* fiber.h — concurrent activities that wait without holding a worker, and the scopes that own them.
 *
 *     WEFT_FIBER(greet, const char *, name)
 *     {
 *         printf("Hello %s\n", name);
 *         weft_sleep(weft_in(1 * WEFT_SEC));
 *         printf("World %s\n", name);
 *     }
 *
 *     weft_scope(group) {                       // waits for its fibers at the end
 *         weft_go(&group, greet, "a");
 *         weft_go(&group, greet, "b");          // both together take one second
 *     }
 *
 * A fiber is a task that somebody else waits for: the scope it was started in, which never outlives
 * its block. It begins as a plain call on a worker and gets a stack of its own only when it waits.
 *
 * Cancellation belongs to scopes. In a cancelled scope, and in all scopes within, every call that
 * can fail and has to wait returns -ECANCELED, also one that waits already; what needs no waiting
 * still succeeds. A scope may have a deadline, with which such calls return -ETIMEDOUT. Calls that
 * cannot fail (a join, weft_mutex_lock()) wait on. Clean-up that must wait runs in weft_shield.
 *
 * A plain thread may open scopes as well. What is started in them runs on the workers that plain
 * threads share, and is cancelled, or runs out of time, as anywhere; and so are the thread's own
 * calls in them. A thread that waits in the kernel, for a file, a process or what lies in shared
 * memory, hears of a cancellation 100 ms later at most.
 *
 * Related: trio's nurseries and cancel scopes, libdill's bundles, asyncio.TaskGroup. */
#ifndef WEFT_FIBER_H
#define WEFT_FIBER_H

#include <weft/base.h>
#include <weft/task.h>

WEFT_BEGIN_DECLS

typedef struct weft_scope weft_scope;

/* Those a scope waits for. It has one of its own, and each fiber one for what it submits, so that
 * many fibers do not all count in one place. */
typedef struct weft__brood {
    uint64_t alive_;    /* how many have not ended, and whoever has the brood */
    weft_scope *scope_; /* that waits for them */
} weft__brood;

/* Lives in the frame that opens it. All fields are weft's. */
struct weft_scope {
    weft_scope *parent_;   /* the scope around it, or NULL */
    int64_t deadline_ns_;  /* the earlier of its own and the parent's, unless shielded from that */
    unsigned depth_;       /* one more than the parent's */
    unsigned shield_;      /* what the fiber's shield was outside */
    uint32_t lock_;        /* guards the lists */
    uint32_t cancelled_;   /* set once */
    uint32_t is_enrolled_; /* in the parent's list; that is guarded by the parent's lock */
    int failure_;          /* code of the first failure, or 0 */
    weft__brood own_;      /* fibers that have not ended, and the owner */
    weft__brood *outer_;   /* what the owner's submissions counted into outside */
    void *runtime_;        /* where its fibers run; NULL: the one that plain threads share */
    void *members_; /* fibers that have waited in it: those that may have to be interrupted */
    weft_scope *children_; /* scopes within in which somebody has waited */
    weft_scope *next_;     /* in the parent's list */
    weft_scope **link_;
    void *seated_; /* the waiter of a plain thread that waits in it; guarded by the lock */
    void *waiter_; /* the owner, once it waits for the fibers */
    int *result_;  /* where the owner wants the first failure's code, or NULL */
};

/**
 * Define a fiber: an ordinary function without result, of up to six arguments. Any WEFT_TASK and
 * WEFT_VOID_TASK can be started as a fiber as well; its result is dropped.
 */
#define WEFT_FIBER(...) WEFT_VOID_TASK(__VA_ARGS__)
#define WEFT_FIBER_DECLARE(...) WEFT_VOID_TASK_DECLARE(__VA_ARGS__)
#define WEFT_FIBER_DEFINE(...) WEFT_VOID_TASK_DEFINE(__VA_ARGS__)

/**
 * Open a scope named `name` for the following block. At the end of the block it waits for all
 * fibers that were started in it. Leaving the block in another way (return, break, goto; not
 * longjmp) cancels it first. `weft_scope(name, &code)` stores the first failure's code (0: none)
 * into the int `code` when the scope is closed.
 *
 * The block is that of a loop: `break` and `continue` leave it, `break` early.
 *
 * Context         thread or fiber; may park at the end of the block
 * Order           everything in its fibers happens-before what follows the block
 * Progress        blocking
 */
#define weft_scope(...) WEFT__SCOPE_ARGS(__VA_ARGS__, NULL, )
#define WEFT__SCOPE_ARGS(name, result, ...) WEFT__SCOPE(name, result, WEFT_FOREVER, 0)

/**
 * Run the following block with a deadline: from then on calls in it that wait return -ETIMEDOUT,
 * and so do those of fibers in scopes within. At the end, or when left early, it is as any scope.
 *
 *     weft_deadline(weft_in(5 * WEFT_SEC)) { n = weft_read(fd, buf, sizeof buf, WEFT_FOREVER); }
 *
 * Context         as weft_scope()
 * Order           as weft_scope()
 * Progress        as weft_scope()
 */
#define weft_deadline(deadline_ns) WEFT__DEADLINE(deadline_ns, __COUNTER__)
#define WEFT__DEADLINE(deadline_ns, number)                                                        \
    WEFT__SCOPE(WEFT__CAT(weft__deadline_, number), NULL, deadline_ns, 0)

/**
 * Run the following block out of reach of the cancellation and the deadlines of all scopes around:
 * for clean-up that has to wait. Scopes within the block can be cancelled as usual.
 *
 * Context         as weft_scope()
 * Order           as weft_scope()
 * Progress        as weft_scope()
 */
#define weft_shield WEFT__SHIELD(__COUNTER__)
#define WEFT__SHIELD(number) WEFT__SCOPE(WEFT__CAT(weft__shield_, number), NULL, WEFT_FOREVER, 1)

/* clang-format off */
#define WEFT__SCOPE(name, result, deadline_ns, is_shield)                                         \
    for (weft_scope name __attribute__((cleanup(weft__scope_leave))),                             \
                    *WEFT__CAT(name, _once_) =                                                     \
                        weft__scope_enter(&name, result, deadline_ns, is_shield);                  \
         WEFT__CAT(name, _once_); WEFT__CAT(name, _once_) = weft__scope_finish(&name))
/* clang-format on */

/**
 * Start `name(arguments ...)` as a fiber in `scope`; `name` was defined by WEFT_FIBER or WEFT_TASK.
 * Arguments are copied. They may be named: weft_go(&group, greet, .name = "a").
 *
 * Returns         0; -ECANCELED the scope is cancelled; -ENOMEM; -EAGAIN the scope is a plain
 *                 thread's, and the workers that those share cannot be started
 * Context         any thread or fiber, while the scope is open
 * Order           what the caller did before happens-before the fiber
 * Progress        lock-free; in a plain thread's scope the first call may start workers
 */
#define weft_go(scope, ...) WEFT__CAT(WEFT__GO, WEFT__MANY(__VA_ARGS__))(scope, __VA_ARGS__)
#define WEFT__GO1(scope, name) WEFT__GO(scope, name, 0)
#define WEFT__GON(scope, name, ...) WEFT__GO(scope, name, __VA_ARGS__)
#define WEFT__GO(scope, name, ...) weft__go(scope, WEFT__SITE(name), &(name##_args){__VA_ARGS__})

/**
 * Cancel `scope`: see the head of this file. Idempotent.
 *
 * Context         any thread or fiber, while the scope is open
 * Order           happens-before the return of calls that it makes fail
 * Progress        lock-free, but for short locks on the lists of scopes
 */
WEFT_API void weft_cancel_scope(weft_scope *scope) WEFT_NONNULL(1);

/**
 * End the scope with a failure: the first one is kept for the scope's result, and the scope is
 * cancelled.
 *
 * @param code     a negative errno; a positive one counts as its negative, 0 as -EINVAL
 * Context         any thread or fiber, while the scope is open
 * Order           as weft_cancel_scope(); from one of its fibers also before what follows its block
 * Progress        as weft_cancel_scope()
 */
WEFT_API void weft_fail_scope(weft_scope *scope, int code) WEFT_NONNULL(1);

/**
 * The scope the caller is in, the innermost one; NULL: none.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API weft_scope *weft_current_scope(void);

/**
 * Whether the caller should come to an end: a scope around it, up to the innermost shield, is
 * cancelled, or its deadline has passed. For long computations between two waits.
 *
 * Returns         0; -ECANCELED; -ETIMEDOUT
 * Context         any; 0 outside all scopes
 * Progress        wait-free
 */
WEFT_API int weft_cancel_requested(void);

/**
 * Wait until `deadline_ns`.
 *
 * Returns         0 the time has come; -ECANCELED; -ETIMEDOUT a scope's deadline came first
 * Context         thread or fiber; parks
 * Progress        blocking
 */
WEFT_API int weft_sleep(int64_t deadline_ns);

/**
 * Let others run that are ready. Returns at once if nobody is.
 *
 * Context         thread or fiber; may park
 * Progress        blocking: everybody who is ready now runs first, on this worker or another
 */
WEFT_API void weft_yield(void);

/* What the macros rest on; not for users, but exported for inlined code. */
WEFT_API weft_scope *weft__scope_enter(weft_scope *scope, int *result, int64_t deadline_ns,
                                       int is_shield);
WEFT_API weft_scope *weft__scope_finish(weft_scope *scope);
WEFT_API void weft__scope_leave(weft_scope *scope);
WEFT_API int weft__go(weft_scope *scope, const weft_site *site, const void *args);

WEFT_END_DECLS
#endif
