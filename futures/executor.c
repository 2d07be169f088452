/* SPDX-License-Identifier: BSD-2-Clause */
/* executor.c — the executors that need no setting up: weft_workers(), weft_inline(). */
#include "future.h"

#include <weft/atomic.h>

#include "sched/worker.h"

#include <dlfcn.h>
#include <errno.h>

WEFT_TASK_DEFINE(int, weft_call, weft_fn *, fn, void *, arg)
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

static weft_executor *shared;

/* Its threads run code of this library: keep dlclose() from taking it away beneath them. */
static void pin_library(void)
{
    Dl_info info;
    if (dladdr((const void *)&shared, &info) != 0 && info.dli_fname != NULL)
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

static weft_executor *start_shared(weft_executor *before)
{
    weft_runtime *runtime;
    int rc = weft_runtime_create(&runtime, NULL);
    if (rc != 0)
        return missing(rc);
    weft_executor *mine = weft__workers_of(runtime, 1);
    if (mine == NULL) {
        (void)weft_runtime_destroy(runtime);
        return missing(-ENOMEM);
    }
    /* edge executor.shared (acq_rel): the executor; somebody else's, if he was faster */
    if (weft__cas_acq_rel(&shared, &before, mine)) {
        pin_library();
        return mine;
    }
    (void)weft_runtime_destroy(runtime);
    return before;
}

static weft_executor *shared_workers(void)
{
    /* edge executor.shared (acquire): the executor */
    weft_executor *seen = weft__load_acquire(&shared);
    if (seen != NULL && !weft__workers_were_left(seen))
        return seen;
    return start_shared(seen);
}

weft_executor *weft_workers(void)
{
    weft__worker *worker = weft__worker_self();
    if (worker == NULL)
        return shared_workers();
    weft_executor *executor = weft__workers_of(worker->runtime, 0);
    return executor != NULL ? executor : missing(-ENOMEM);
}
