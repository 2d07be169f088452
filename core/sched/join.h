/* SPDX-License-Identifier: BSD-2-Clause */
/* join.h — one word between a task's finisher and whoever waits for it.
 *
 *     state_ = type          not begun, or running, and nobody waits
 *              waiter | 1    not begun, or running, and somebody waits
 *              DONE          finished: the result is there
 *              JOINED        with WEFT_CHECK=join alone: to be joined no more
 *
 * The finisher exchanges DONE and takes the waiter out of the old value; the waiter swaps itself in
 * for the type, which fails if it came too late. Either way nobody touches the task after the
 * finisher's exchange but the waiter: its frame may be gone. */
#ifndef WEFT_SCHED_JOIN_H
#define WEFT_SCHED_JOIN_H

#include <weft/atomic.h>
#include <weft/task.h>

#define WEFT__DONE ((uintptr_t)2)
#define WEFT__WAITS ((uintptr_t)1)
#define WEFT__JOINED ((uintptr_t)4)

struct weft__fiber;

/* A plain thread's word. */
#define WEFT__LOOKING 0u /* not asleep yet: it need not be told */
#define WEFT__ASLEEP 1u
#define WEFT__WOKEN 2u   /* by its waker */
#define WEFT__CUT_OFF 3u /* by whoever cancels its scope; a waker may still come */

/* Whether somebody else than the waker ends the wait: nobody; a fiber's timer or canceller, or a
 * thread's deadline; whoever cancels the scope of a thread, which has no deadline. */
#define WEFT__FIRM 0u
#define WEFT__TENTATIVE 1u
#define WEFT__IN_SCOPE 2u

/* Somebody who waits: a fiber, or a plain thread. Lives in the waiter's frame. */
typedef struct weft__waiter {
    struct weft__fiber *fiber; /* NULL: a plain thread, that sleeps on `woken` */
    uint32_t woken;            /* a plain thread's: see above */
    uint32_t is_tentative;     /* it may give up: see above, and wait.c */

    /* Not for every wait. */
    const weft_task_type *type; /* the task's, which the waiter's address displaces */
    struct weft__waiter *next;  /* for queues of waiters */
} weft__waiter;

/* Whether the task is finished; if so, its result may be read. */
WEFT__INLINE int weft__join_is_done(const weft_task *task)
{
    /* edge join.done (acquire): the finisher's writes, the result among them */
    return weft__load_acquire(&task->state_) == WEFT__DONE;
}

/* Waiter: wait for the task. Nonzero: registered, the finisher will wake `waiter`. Zero: it is
 * done already. */
WEFT__INLINE int weft__join_register(weft_task *task, weft__waiter *waiter)
{
    /* edge join.done (acquire): as above */
    uintptr_t seen = weft__load_acquire(&task->state_);
    if (seen == WEFT__DONE)
        return 0;
    waiter->type = (const weft_task_type *)seen;
    /* edge join.wait (release): the waiter's fields are visible to the finisher.
     * edge join.done (acquire): it fails only if the finisher was faster; then the result is ours.
     * Not an exchange: that would overwrite DONE. */
    return weft__cas_acq_rel(&task->state_, &seen, (uintptr_t)waiter | WEFT__WAITS);
}

/* Whoever is about to run the task: its type. */
WEFT__INLINE const weft_task_type *weft__join_type(const weft_task *task)
{
    /* edge join.wait (acquire): the type that the waiter has put aside */
    uintptr_t seen = weft__load_acquire(&task->state_);
    if (seen & WEFT__WAITS)
        return ((const weft__waiter *)(seen & ~WEFT__WAITS))->type;
    return (const weft_task_type *)seen;
}

/* Finisher: the task is done. Returns who waits, or NULL. The task must not be touched again. */
WEFT__INLINE weft__waiter *weft__join_finish(weft_task *task)
{
    /* edge join.done (release): the result, for whoever reads DONE.
     * edge join.wait (acquire): the waiter's fields. */
    uintptr_t old = weft__exchange_acq_rel(&task->state_, WEFT__DONE);
    return (old & WEFT__WAITS) ? (weft__waiter *)(old & ~WEFT__WAITS) : NULL;
}

#endif
