/* SPDX-License-Identifier: BSD-2-Clause */
/* fiber.h — a stack, a place to continue, and the switch between two of them.
 *
 * A fiber knows nothing of workers: what runs where is decided in core/sched. Its descriptor lies
 * at the top of its own stack, so that a blocked fiber touches one page:
 *
 *     low                                                                  high
 *     [ guard page | untouched … | frames ←  first frame | struct weft__fiber ]
 *     └──────────────────────── one stride, `stack_bytes` ────────────────────┘ */
#ifndef WEFT_FIBER_FIBER_H
#define WEFT_FIBER_FIBER_H

#include <weft/base.h>
#include <weft/fiber.h>
#include <weft/task.h>

#include "sched/timer.h"

#define WEFT__BYTES_AHEAD ((size_t)512) /* of frames that are fetched beforehand */

/* Where a fiber continues. The three words are known to the assembly in switch.h. */
typedef struct weft__context {
    void *resume_at;
    void *stack;
    void *frame;
} weft__context;

typedef struct weft__fiber {
    weft_task item;        /* lets a runnable fiber lie in a deque among tasks; first member */
    weft__context context; /* valid while the fiber does not run */
    void *runtime;         /* the runtime that owns it */
    const void *object;    /* what it waits for; this and the next by its commit */
    unsigned reason;       /* a weft_reason */
    unsigned parked_on;    /* the worker it has left; only while migration is forced */

    /* For diagnosis: read by others at any time, hence written relaxed. */
    const weft_task_type *running; /* the task at its bottom, NULL while idle */
    const void *task;              /* what others wait for: the task, or its future */
    const weft_site *site;         /* where it was started; NULL: a task that was spawned */
    const weft_scope *home;        /* the scope it was started in, or NULL */
    int64_t since_ns;              /* when it began to wait; 0: nobody asks */

    struct weft__fiber *next;    /* in a list of idle fibers */
    void *local;                 /* what runs on it, to the layer above: weft__local() */
    struct weft__locals *locals; /* values of the task at its bottom, or NULL: fiber/local.c */
    void *stack_low;             /* lowest usable byte, above the guard */
    size_t stack_bytes;          /* usable bytes from there to the descriptor */
    void *tsan;                  /* ThreadSanitizer's idea of it, made once: it is costly */
    void *asan_fake_stack;
    unsigned valgrind_stack; /* Valgrind's number for the stack */
    uint32_t committing;     /* its commit has not returned: nobody switches to it; sched/wait.c */
    uint64_t wait;           /* how a wait that may be given up stands, and its number */
    weft__timer timer;       /* for its deadline */

    /* fiber/scope.c; a task that is no fiber of a scope's own has none. */
    weft_scope *scope;        /* the innermost it is in */
    weft__brood *brood;       /* of that scope: what it submits counts there */
    unsigned shield;          /* scopes up to this depth do not concern it; others read it */
    weft_scope *enrolled;     /* the scope in whose list of members it is */
    struct weft__fiber *peer; /* in that list */
    struct weft__fiber **link;
} weft__fiber;

/* Whether a fiber that no worker stands on has been woken is in its item's state: the fiber type
 * while it lies in a deque or an injector, 0 while it waits. */

/* Prepare a fiber to run `entry` on its stack at the first switch to it; once for each fiber.
 * `stack_low` and `stack_bytes` are set. The first act of `entry` is weft__fiber_arrived(), and it
 * never returns. */
void weft__fiber_prepare(weft__fiber *fiber, void (*entry)(void));
void weft__fiber_arrived(void);

/* Describe the calling thread's own stack as a fiber, which can be switched away from and back. */
void weft__fiber_adopt_thread(weft__fiber *thread);

/* Release what the sanitizers hold for a fiber that will not run again. */
void weft__fiber_forget(weft__fiber *fiber);

/* Fetch what a switch to a suspended fiber is going to touch, if it is long out of the cache: the
 * frames through which it returns. */
WEFT__INLINE void weft__fiber_prefetch(const weft__fiber *fiber)
{
    const char *stack = (const char *)fiber->context.stack;
    for (size_t i = 0; i < WEFT__BYTES_AHEAD; i += 64)
        __builtin_prefetch(stack + i);
}

/* Save the calling context in `from` and continue `to`. Returns when somebody switches to `from`,
 * possibly in another thread: nothing thread-local may be kept across the call. */
void weft__fiber_switch(weft__fiber *from, weft__fiber *to);

#endif
