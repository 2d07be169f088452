/* SPDX-License-Identifier: BSD-2-Clause */
/* shared.c — the runtime of those who have none: one for all plain threads of the process.
 *
 * The first who wants it starts it. It is never stopped: its workers sleep when there is nothing to
 * do, and end with the process. A forked child, which has none of its threads, starts its own. */
#include "sched/worker.h"

#include <weft/atomic.h>

#include <dlfcn.h>

static weft_runtime *shared;

/* Its threads run code of this library: keep dlclose() from taking it away beneath them. */
static void pin_library(void)
{
    Dl_info info;
    if (dladdr((const void *)&shared, &info) != 0 && info.dli_fname != NULL)
        (void)dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* In place of `*seen`, which is NULL or was left behind by fork(). */
static int start(weft_runtime **seen)
{
    weft_runtime *mine;
    int rc = weft_runtime_create(&mine, NULL);
    if (rc != 0)
        return rc;
    /* edge runtime.shared (acq_rel): the runtime; somebody else's, if he was faster */
    if (weft__cas_acq_rel(&shared, seen, mine)) {
        pin_library();
        *seen = mine;
        return 0;
    }
    return weft_runtime_destroy(mine);
}

int weft__runtime_shared(weft_runtime **out)
{
    /* edge runtime.shared (acquire): the runtime */
    weft_runtime *seen = weft__load_acquire(&shared);
    int rc = 0;
    if (seen == NULL || seen->fork_count != weft__fork_count())
        rc = start(&seen);
    *out = seen;
    return rc;
}

weft_runtime *weft__runtime_shared_now(void)
{
    /* edge runtime.shared (acquire): the runtime */
    weft_runtime *seen = weft__load_acquire(&shared);
    return seen != NULL && seen->fork_count == weft__fork_count() ? seen : NULL;
}

int weft__runtime_is_shared(const weft_runtime *runtime)
{
    return weft__load_relaxed(&shared) == runtime; /* relaxed: compared only */
}
