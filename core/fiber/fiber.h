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

/* An external function that is inlined as well where its caller is in the same unit: what a wait
 * and a wake-up pass through, in a release. Each compiler has its own idea of what goes without
 * saying. */
#if defined(__clang__)
#define WEFT__FUSED __attribute__((always_inline))
#else
#define WEFT__FUSED inline __attribute__((always_inline))
#endif

/* Of a stack that are fetched beforehand: frames through which its fiber returns, and those of what
 * it does first for the fiber that has left, below them. */
#define WEFT__BYTES_ABOVE ((size_t)320)
#define WEFT__BYTES_BELOW ((size_t)192)

/* Where a fiber continues. The three words are known to the assembly in switch.h. */
typedef struct weft__context {
    void *resume_at;
    void *stack;
    void *frame;
} weft__context;

typedef struct weft__fiber {
    /* Two lines hold all that a wait and a wake-up touch: where many wait they are long out of the
     * cache. */
    weft_task item;        /* lets a runnable fiber lie in a deque among tasks; first member */
    weft__context context; /* valid while the fiber does not run */
    uint64_t wait;         /* how a wait that may be given up stands, and its number */
    uint32_t committing;   /* its commit has not returned: nobody switches to it; sched/wait.c */
    unsigned reason;       /* a weft_reason; this and the next by its commit */
    const void *object;    /* what it waits for */
    weft__timer timer;     /* for its deadline */
    void *runtime;         /* the runtime that owns it */
    weft_scope *scope;     /* the innermost it is in, or NULL; this and the next: fiber/scope.c */
    weft_scope *enrolled;  /* the scope in whose list of members it is */

    /* The third: what the end of a fiber touches besides. */
    struct weft__fiber *peer; /* in that list */
    struct weft__fiber **link;
    weft__brood *brood;          /* of the innermost scope: what it submits counts there */
    struct weft__locals *locals; /* values of the task at its bottom, or NULL: fiber/local.c */
    unsigned shield;             /* scopes up to this depth do not concern it; others read it */
    unsigned parked_on;          /* the worker it has left; only while migration is forced */

    /* For diagnosis: read by others at any time, hence written relaxed. */
    const weft_task_type *running; /* the task at its bottom, NULL while idle */
    const weft_site *site;         /* where it was started; NULL: a task that was spawned */
    const weft_scope *home;        /* the scope it was started in, or NULL */

    const void *task; /* what others wait for: the task, or its future; for diagnosis, too */
    int64_t since_ns; /* when it began to wait; 0: nobody asks; likewise */
    struct weft__fiber *next; /* in a list of idle fibers */
    void *local;              /* what runs on it, to the layer above: weft__local() */
    void *stack_low;          /* lowest usable byte, above the guard */
    size_t stack_bytes;       /* usable bytes from there to the descriptor */
    union {                   /* no program has both */
        void *tsan;           /* ThreadSanitizer's idea of it, made once: it is costly */
        void *asan_fake_stack;
    };
    unsigned valgrind_stack; /* Valgrind's number for the stack */
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

/* Fetch what a switch to a suspended fiber is going to touch, if it is long out of the cache. What
 * is only stored to counts as well: the next locked instruction waits for stores that miss. */
WEFT__INLINE void weft__fiber_prefetch(const weft__fiber *fiber)
{
    const char *stack = (const char *)fiber->context.stack - WEFT__BYTES_BELOW;
    for (size_t i = 0; i < WEFT__BYTES_BELOW + WEFT__BYTES_ABOVE; i += 64)
        __builtin_prefetch(stack + i);
}

/* Save the calling context in `from` and continue `to`. Returns when somebody switches to `from`,
 * possibly in another thread: nothing thread-local may be kept across the call. */
void weft__fiber_switch(weft__fiber *from, weft__fiber *to);

#endif
