/* SPDX-License-Identifier: BSD-2-Clause */
/* future.c — the life of one future: made, run, ended, freed.
 *
 * The end of a future is the last time the ending side touches it, unless nodes hang on it; then it
 * is freed after the last of them has been fired, and the last callback has returned.
 *
 * Callbacks never nest: one that ends another future leaves that one's callbacks to the loop it was
 * called from. So a chain of a million continuations takes no more stack than one. A callback that
 * waits first runs what stands behind it, since that may be what it waits for. */
#include "future.h"

#include <weft/atomic.h>

#include "fiber/scope.h"
#include "hooks.h"
#include "sched/worker.h"
#include "stock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(struct weft_future) == 80, "32 bytes of payload make 112");
_Static_assert(WEFT__NODE_ALIGN <= WEFT__CACHE_LINE, "allocated nodes are aligned");
_Static_assert(offsetof(struct weft_future, head) % WEFT__TASK_ALIGN_MAX == 0, "aligned");

/* ---- made and freed ------------------------------------------------------------------------- */

weft_future *weft__future_new(weft_executor *executor, const weft_site *site, size_t task_bytes)
{
    weft_assert(site->type->task_align <= WEFT__TASK_ALIGN_MAX); /* as weft_submit() checks */
    weft_future *future = weft__future_alloc(WEFT__FUTURE_BYTES + task_bytes);
    if (future == NULL)
        return NULL;
    future->site = site;
    future->executor = executor;
    weft__store_relaxed(&future->head.state_, (uintptr_t)0); /* relaxed: it lies in no queue yet */
    weft__state_init(&future->state);
    future->brood = executor != NULL ? weft__brood_here() : NULL;
    if (future->brood != NULL)
        weft__brood_join(future->brood);
    return future;
}

/* How much of the block is in use. */
static size_t bytes_of(const weft_future *future)
{
    const weft_task_type *type = future->site->type;
    if (type->drop_ != NULL) /* its size is its own affair */
        return SIZE_MAX;
    if (future->executor != NULL)
        return WEFT__FUTURE_BYTES + type->task_bytes;
    return sizeof(weft_future) + weft__future_result_bytes(future);
}

WEFT__HOT static void free_future(weft_future *future)
{
    const weft_task_type *type = future->site->type;
    weft__state_destroy(&future->state);
    if (type->drop_ != NULL)
        type->drop_(&future->head);
    if (WEFT__STATE(future->state.word) != WEFT__CANCELLED) /* which has none */
        weft__error_drop(future->error);
    weft__future_free(future, bytes_of(future));
}

static const weft_task_type no_memory_type = {
    .name = "none", .file = __FILE__, .line = __LINE__, .task_bytes = sizeof(weft_task)};
static const weft_site no_memory_site = {
    .type = &no_memory_type, .file = __FILE__, .line = __LINE__};

/* Its handles are counted, and never reach 0. */
static weft_future no_memory = {.site = &no_memory_site,
                                .state = {.word = WEFT__FINISHED, .handles = 1u << 30},
                                .error = WEFT__ERROR_CODE(-ENOMEM)};

weft_future *weft__future_without_memory(void)
{
    return weft_future_retain(&no_memory);
}

weft_future *weft_future_retain(weft_future *future)
{
    weft__state_retain(&future->state);
    return future;
}

WEFT__HOT void weft_future_release(weft_future *future)
{
    if (future != NULL && weft__state_release(&future->state))
        free_future(future);
}

/* ---- callbacks ------------------------------------------------------------------------------ */

/* Not by the head: a cancelled future may still lie in a queue. */
static void append(weft__frame *frame, weft_future *future)
{
    if (frame->first == NULL)
        frame->first = future;
    else
        weft__state_keep(&frame->last->state, (uintptr_t)future);
    frame->last = future;
}

static void run_calls_of(weft_future *future)
{
    weft__node *node = weft__state_calls(&future->state);
    while (node != NULL) {
        weft__node *next = weft__node_next_call(node);
        node->with.call(future, node->of.arg);
        node = next;
    }
    if (weft__state_drop(&future->state, WEFT__NOTIFYING))
        free_future(future);
}

static void drain(weft__frame *frame)
{
    while (frame->first != NULL) {
        weft_future *future = frame->first;
        frame->first = (weft_future *)weft__state_kept(&future->state);
        run_calls_of(future);
    }
}

static void run_calls(weft_future *future)
{
    weft__frame *outer = weft__local_get();
    if (outer != NULL && outer->site == NULL) {
        append(outer, future);
        return;
    }
    weft__frame frame = {.outer = outer};
    append(&frame, future);
    weft__local_set(&frame);
    drain(&frame);
    weft__local_set(outer);
}

WEFT__HOT void weft__future_run_calls(void)
{
    for (weft__frame *frame = weft__local_get(); frame != NULL; frame = frame->outer)
        drain(frame);
}

static void conclude(weft_future *future, weft__after after)
{
    if (after == WEFT__AFTER_CALLS)
        run_calls(future);
    else if (after == WEFT__AFTER_FREE)
        free_future(future);
}

int weft_future_on_done(weft_future *future, weft_callback *callback, void *arg)
{
    int rc = weft__state_call(&future->state, callback, arg);
    if (rc == 0)
        callback(future, arg);
    return rc < 0 ? rc : 0;
}

/* ---- run and ended -------------------------------------------------------------------------- */

/* Whoever looks whether it has ended has the line of the word, and of what lies beside it: that is
 * written only if it has to be, and not read again. */
WEFT__HOT static void end(weft_future *future, weft__brood *brood, uintptr_t error)
{
    if (error != (uintptr_t)brood)
        /* relaxed: weft__workers_take_back() may look; the swap of the word orders it */
        weft__store_relaxed(&future->error, error);
    conclude(future, weft__state_finish(&future->state, error != WEFT__ERROR_NONE));
    if (brood != NULL)
        weft__brood_quit(brood);
}

void weft__future_end(weft_future *future, uintptr_t error)
{
    end(future, future->brood, error);
}

/* The executor has come across a future that was cancelled. */
static void forget(weft_future *future)
{
    weft__brood *brood = future->brood;
    if (weft__state_drop(&future->state, WEFT__LISTED))
        free_future(future);
    if (brood != NULL)
        weft__brood_quit(brood);
}

WEFT__HOT int weft_future_begin(weft_future *future)
{
    if (future->brood != NULL && weft__scope_is_over(future->brood->scope_))
        (void)weft_future_cancel(future);
    if (weft__state_begin(&future->state))
        return 0;
    forget(future);
    return -ECANCELED;
}

void weft__future_cancel_queued(weft_future *future)
{
    (void)weft_future_cancel(future);
    if (weft_future_begin(future) == 0)
        WEFT__PANIC("unreachable: only the executor lets a future begin");
}

int weft_future_cancel(weft_future *future)
{
    weft__after after;
    uintptr_t seen = weft__state_cancel(&future->state, &after);
    if (seen != 0)
        return WEFT__STATE(seen) == WEFT__CANCELLED;
    conclude(future, after);
    return 1;
}

uintptr_t weft__future_call(const weft_site *site, weft_task *task)
{
    weft__frame frame = {.site = site};
    frame.outer = weft__local_swap(&frame);
    site->type->run(task);
    weft__local_set(frame.outer);
    return frame.error;
}

WEFT__HOT void weft_future_run(weft_future *future)
{
    weft__brood *brood = future->brood;
    if (weft_future_begin(future) != 0)
        return;
    int is_visitor = brood != NULL && weft__scope_visit(brood);
    weft__role before = weft__fiber_begin(future->site, &future->state);
    uintptr_t error = weft__future_call(future->site, &future->head);
    weft__fiber_end(&before);
    if (is_visitor)
        weft__scope_unvisit();
    end(future, brood, error);
}

void weft_future_finish(weft_future *future)
{
    weft__future_end(future, WEFT__ERROR_NONE);
}

void weft_future_fail(weft_future *future, int code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    uintptr_t error = weft__error_new(code, future->site, format, values);
    va_end(values);
    weft__future_end(future, error);
}

void weft__future_refuse(weft_future *future, int code)
{
    if (weft_future_begin(future) == 0)
        weft_future_fail(future, code, NULL);
}

static const weft_task_type stray_type = {.name = "no task", .file = "", .line = 0};
static const weft_site stray_site = {.type = &stray_type, .file = "", .line = 0};

int weft_fail(int code, const char *format, ...)
{
    weft__frame *frame = weft__local_get();
    const weft_site *site = frame != NULL && frame->site != NULL ? frame->site : &stray_site;
    va_list values;
    va_start(values, format);
    uintptr_t error = weft__error_new(code, site, format, values);
    va_end(values);
    if (site == &stray_site) {
        weft__error_drop(error);
        return code;
    }
    weft__error_mark_read(frame->error); /* replaced, which is no reason to report it */
    weft__error_drop(frame->error);
    frame->error = error;
    return code;
}

/* ---- submitted ------------------------------------------------------------------------------ */

/* A future that is to be submitted, or NULL. */
static weft_future *form(weft_executor *executor, const weft_site *site, const void *args)
{
    weft_future *future = weft__future_new(executor, site, site->type->task_bytes);
    if (future != NULL)
        weft__copy(weft_future_args(future), args, site->type->args_bytes);
    return future;
}

WEFT__HOT weft_future *weft_future_submit(weft_executor *executor, const weft_site *site,
                                          const void *args)
{
    weft_future *future = form(executor, site, args);
    if (future == NULL)
        return weft__future_without_memory();
    executor->ops->submit(executor, future);
    return future;
}

void weft__future_hand_over(weft_future *future, int64_t deadline_ns)
{
    weft_executor *executor = future->executor;
    if (deadline_ns != WEFT_FOREVER && executor->ops->submit_until != NULL)
        executor->ops->submit_until(executor, future, deadline_ns);
    else
        executor->ops->submit(executor, future);
}

weft_future *weft_future_submit_until(weft_executor *executor, const weft_site *site,
                                      const void *args, int64_t deadline)
{
    weft_future *future = form(executor, site, args);
    if (future == NULL)
        return weft__future_without_memory();
    weft__future_hand_over(future, deadline);
    return future;
}

const weft_task_type *weft_future_type(const weft_future *future)
{
    return future->site->type;
}

const weft_site *weft_future_site(const weft_future *future)
{
    return future->site;
}

WEFT__HOT void *weft_future_args(weft_future *future)
{
    return (char *)&future->head + future->site->type->args_offset;
}

void *weft_future_room(weft_future *future)
{
    return (char *)&future->head + future->site->type->result_offset;
}

/* ---- state ---------------------------------------------------------------------------------- */

void weft__handle_gone(const char *call)
{
    char what[80];
    (void)snprintf(what, sizeof what, "%s: the future's handle has been given back", call);
    weft__panic(what, __FILE__, __LINE__);
}

int weft_future_done(const weft_future *future)
{
    return (weft__state_look(&future->state) & WEFT__ENDED) != 0;
}

int weft_future_running(const weft_future *future)
{
    return WEFT__STATE(weft__state_look(&future->state)) == WEFT__RUNNING;
}

WEFT__HOT int weft_future_cancelled(const weft_future *future)
{
    return WEFT__STATE(weft__state_look(&future->state)) == WEFT__CANCELLED;
}
