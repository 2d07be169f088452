/* SPDX-License-Identifier: BSD-2-Clause */
/* future.h — what a future consists of, and the calls between the files of this folder.
 *
 *     state.c    the word and its nodes              group.c      waiting for several at once
 *     future.c   making, running, ending, freeing    wait.c       await, result, wait, as completed
 *     error.c    what a task fails with              combine.c    then, all, any, race
 *     workers.c  executors made of workers           map.c        a task for each of many inputs
 *     case.c     what a select asks of a future */
#ifndef WEFT_FUTURES_FUTURE_H
#define WEFT_FUTURES_FUTURE_H

#include <weft/future.h>

#include "state.h"

#include <stdarg.h>
#include <string.h>

/* A future's error: none (0), a code for which there was no memory, or an object that several
 * futures share. */
typedef struct weft__error {
    uint32_t users;
    uint32_t is_read; /* somebody has looked at it */
    int code;
    int line;
    const char *task;
    const char *file;
    char message[];
} weft__error;

#define WEFT__ERROR_NONE ((uintptr_t)0)
#define WEFT__ERROR_CODE(code) ((uintptr_t)(unsigned)-(code) << 1 | 1)

/* One block: this, then the arguments and the result, as the task's own struct has them. The
 * struct's head is the item that lies in queues. With 32 bytes of arguments and result it is 112:
 * not a multiple of a cache line, but from the word of the state on it is 80, and 80 bytes that
 * begin at a multiple of 16 lie on two lines. These travel to whoever runs the future, and back. */
struct weft_future {
    weft__state state;
    union {
        struct weft__brood *brood; /* of its scope, or NULL; constant until it finishes */
        uintptr_t error; /* of a finished one; written before the end, by whoever ends it */
    };
    const weft_site *site;   /* constant */
    weft_executor *executor; /* constant; NULL: a promise */
    weft_task head;          /* of the task; a promise has the size of its result there */
};

#define WEFT__FUTURE_BYTES offsetof(struct weft_future, head)

WEFT__INLINE weft_future *weft__future_of(weft__state *state)
{
    return (weft_future *)(void *)((char *)state - offsetof(struct weft_future, state));
}

/* From the item that lies in queues. */
WEFT__INLINE weft_future *weft__future_of_item(weft_task *item)
{
    return (weft_future *)(void *)((char *)item - WEFT__FUTURE_BYTES);
}

/* memcpy(), without a call for the sizes that arguments and results mostly have. */
WEFT__INLINE void weft__copy(void *to, const void *from, size_t bytes)
{
    switch (bytes) {
    case 0:
        return;
    case 4:
        memcpy(to, from, 4);
        return;
    case 8:
        memcpy(to, from, 8);
        return;
    case 16:
        memcpy(to, from, 16);
        return;
    case 24:
        memcpy(to, from, 24);
        return;
    case 32:
        memcpy(to, from, 32);
        return;
    default:
        memcpy(to, from, bytes);
    }
}

/* What a fiber, or a plain thread, does for futures right now: the innermost is its local
 * pointer. */
typedef struct weft__frame {
    struct weft__frame *outer;
    const weft_site *site; /* whose task runs here; NULL: callbacks do */
    uintptr_t error;       /* with which it will fail */
    weft_future *first;    /* whose callbacks wait for their turn; linked by weft__state_keep() */
    weft_future *last;
} weft__frame;

/* ---- future.c ---- */

/* A future of `site`'s task with one handle; its arguments are not set. NULL: no memory. */
weft_future *weft__future_new(weft_executor *executor, const weft_site *site, size_t task_bytes);

/* One that has failed for lack of memory; always the same. */
weft_future *weft__future_without_memory(void);

/* Call a task; returns the error with which it has ended. */
uintptr_t weft__future_call(const weft_site *site, weft_task *task);

/* RUNNING becomes FINISHED, with `error`, which the future owns from then on. */
void weft__future_end(weft_future *future, uintptr_t error);

/* Submit one whose arguments are set; if the executor has to wait for room, until the deadline. */
void weft__future_hand_over(weft_future *future, int64_t deadline_ns);

/* What `submit` of an executor does with a future that it cannot take, or has had to drop. */
void weft__future_refuse(weft_future *future, int code);
void weft__future_cancel_queued(weft_future *future);

/* Whoever is about to wait inside a callback: run those that stand behind it first. */
void weft__future_run_calls(void);

/* ---- promise.c ---- */

size_t weft__future_result_bytes(const weft_future *future);

/* Complete a promise with an error, which it owns from then on. */
int weft__promise_fail(weft_future *future, uintptr_t error);

/* ---- wait.c ---- */

/* 0: it has ended. Otherwise as weft_future_await(). */
int weft__future_wait_for(weft_future *future, int64_t deadline_ns);

/* ---- error.c ---- */

uintptr_t weft__error_new(int code, const weft_site *site, const char *format, va_list values);
uintptr_t weft__error_share(uintptr_t error);
void weft__error_drop(uintptr_t error);
int weft__error_code(uintptr_t error);
/* Also notes that somebody has looked. */
void weft__error_read(uintptr_t error, const weft_site *site, weft_error *out);
void weft__error_mark_read(uintptr_t error);

/* ---- workers.c ---- */

/* Take the item back from the calling worker's deque, if it lies on top, to run it right here.
 * Whoever waits may find the executor gone as soon as the future has ended: only what lies in the
 * own deque proves that it is not. */
int weft__workers_take_back(weft_future *future);

/* The calling plain thread waits for the future as long as it takes. Nonzero: it has run the task
 * by itself, which has ended, or waits: core/sched/standin.c. */
int weft__workers_stand_in(weft_future *future);

/* Whether fork() has left the executor's workers behind. Looks at the executor only in a process
 * that was forked: there nobody may destroy it while another thread waits for its futures. */
int weft__workers_were_left(weft_executor *executor);

/* How many workers an executor of this process has; 0: it is another one's. */
unsigned weft__workers_count(weft_executor *executor);

/* The executor of a runtime. NULL: no memory. */
weft_executor *weft__workers_of(weft_runtime *runtime);

#endif
