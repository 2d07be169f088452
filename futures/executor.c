/* SPDX-License-Identifier: BSD-2-Clause */
/* executor.c — the executors that need no setting up: weft_workers(), weft_inline(). */
#include "future.h"

#include "sched/worker.h"

#include <errno.h>

WEFT_TASK_DEFINE(int, weft_call_fn, weft_fn *, fn, void *, arg)
{
    return fn(arg);
}

static int not_supported(weft_executor *executor, unsigned flags, int64_t deadline_ns)
{
    (void)executor;
    (void)flags;
    (void)deadline_ns;
    return -ENOTSUP;
}

/* ---- inline --------------------------------------------------------------------------------- */

static void submit_inline(weft_executor *executor, weft_future *future)
{
    (void)executor;
    weft_future_run(future);
}

weft_executor *weft_inline(void)
{
    static const weft_executor_ops ops = {.submit = submit_inline, .shutdown = not_supported};
    static weft_executor executor = {.ops = &ops};
    return &executor;
}

/* ---- workers that could not be started ------------------------------------------------------ */

static void refuse_no_memory(weft_executor *executor, weft_future *future)
{
    (void)executor;
    weft__future_refuse(future, -ENOMEM);
}

static void refuse_no_threads(weft_executor *executor, weft_future *future)
{
    (void)executor;
    weft__future_refuse(future, -EAGAIN);
}

/* What stands for workers that there are not, and says why in each future. */
static weft_executor *missing(int code)
{
    static const weft_executor_ops ops[] = {
        {.submit = refuse_no_memory, .shutdown = not_supported},
        {.submit = refuse_no_threads, .shutdown = not_supported}};
    static weft_executor executors[] = {{.ops = &ops[0]}, {.ops = &ops[1]}};
    return &executors[code == -EAGAIN];
}

/* ---- the workers that plain threads share --------------------------------------------------- */

static weft_executor *shared_workers(void)
{
    weft_runtime *runtime;
    int rc = weft__runtime_shared(&runtime);
    if (rc != 0)
        return missing(rc);
    weft_executor *executor = weft__workers_of(runtime);
    return executor != NULL ? executor : missing(-ENOMEM);
}

weft_executor *weft_workers(void)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        return shared_workers();
    weft_executor *executor = weft__workers_of(worker->runtime);
    return executor != NULL ? executor : missing(-ENOMEM);
}
