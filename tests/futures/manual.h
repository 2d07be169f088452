/* SPDX-License-Identifier: BSD-2-Clause */
/* manual.h — an executor that runs nothing until it is told to: every state can be looked at. */
#ifndef WEFT_TESTS_FUTURES_MANUAL_H
#define WEFT_TESTS_FUTURES_MANUAL_H

#include "../core/on_workers.h"

#include <errno.h>
#include <string.h>
#include <weft/future.h>

#define MANUAL_MAX 64

typedef struct manual {
    weft_executor base;
    weft_future *queue[MANUAL_MAX];
    size_t first;
    size_t count;
} manual;

static inline void manual_submit(weft_executor *executor, weft_future *future)
{
    manual *self = (manual *)(void *)executor;
    if (self->count == MANUAL_MAX)
        fail_msg("the test submits too much");
    self->queue[self->count++] = future;
}

static inline int manual_shutdown(weft_executor *executor, unsigned flags, int64_t deadline)
{
    (void)executor;
    (void)flags;
    (void)deadline;
    return 0;
}

static inline manual manual_new(void)
{
    static const weft_executor_ops ops = {.submit = manual_submit, .shutdown = manual_shutdown};
    return (manual){.base = {.ops = &ops}};
}

/* The oldest future that has not been run. */
static inline weft_future *manual_take(manual *self)
{
    if (self->first == self->count)
        fail_msg("the test runs more than was submitted");
    return self->queue[self->first++];
}

static inline void manual_run(manual *self)
{
    weft_future_run(manual_take(self));
}

/* What a callback has seen. */
typedef struct record {
    int calls;
    int order; /* of its call among all */
    weft_future *future;
    int was_done;
} record;

static int record_calls; /* of all callbacks of a test; set to 0 at its beginning */

static inline void note(weft_future *future, void *arg)
{
    record *self = arg;
    self->calls++;
    self->order = ++record_calls;
    self->future = future;
    self->was_done = weft_future_done(future);
}

#endif
