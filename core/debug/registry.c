/* SPDX-License-Identifier: BSD-2-Clause */
/* registry.c — all runtimes of the process, for those who look without a lock.
 *
 * A dump may run in a signal handler, so it must not wait for anybody; whoever destroys a runtime
 * may. A looker counts itself in and then reads the list; a remover unlinks, then waits until
 * nobody is counted in: both sequentially consistent, so a looker that the remover did not see does
 * not see the runtime. A handler that interrupts a waiting remover looks and leaves; it does not
 * wait for what it has interrupted. */
#include "debug/registry.h"

#include "debug/dump.h"
#include "hooks.h"

#include <weft/atomic.h>

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* adding and removing */
static weft_runtime *first;
static uint32_t lookers;

void weft__registry_add(weft_runtime *runtime)
{
    weft__last_words_prepare();
    (void)pthread_mutex_lock(&lock);
    runtime->next_runtime = first;
    /* edge debug.list (seq_cst): the runtime as it is */
    weft__store_seq_cst(&first, runtime);
    (void)pthread_mutex_unlock(&lock);
}

void weft__registry_remove(weft_runtime *runtime)
{
    weft_runtime **link = &first;
    (void)pthread_mutex_lock(&lock);
    while (*link != NULL && *link != runtime)
        link = &(*link)->next_runtime;
    if (*link == runtime)
        /* edge debug.list (seq_cst): unlink, then look who looks */
        weft__store_seq_cst(link, runtime->next_runtime);
    (void)pthread_mutex_unlock(&lock);
    /* edge debug.list (seq_cst): whoever has counted itself in by now */
    for (unsigned round = 0; weft__load_seq_cst(&lookers) > 0; round++)
        weft__pause(round);
}

static weft_runtime *of_this_process(weft_runtime *runtime)
{
    while (runtime != NULL && runtime->fork_count != weft__fork_count())
        runtime = weft__load_seq_cst(&runtime->next_runtime); /* edge debug.list (seq_cst) */
    return runtime;
}

weft_runtime *weft__registry_enter(void)
{
    /* edge debug.list (seq_cst): count in, then read the list */
    weft__fetch_add_seq_cst(&lookers, 1);
    return of_this_process(weft__load_seq_cst(&first)); /* edge debug.list (seq_cst) */
}

weft_runtime *weft__registry_next(const weft_runtime *runtime)
{
    /* edge debug.list (seq_cst): as on entering */
    return of_this_process(weft__load_seq_cst(&runtime->next_runtime));
}

void weft__registry_leave(void)
{
    /* edge debug.list (seq_cst): the last look at any runtime */
    weft__fetch_add_seq_cst(&lookers, (uint32_t)-1);
}

void weft__registry_forked(void)
{
    (void)pthread_mutex_init(&lock, NULL); /* its holder is gone */
    weft__store_relaxed(&lookers, 0);      /* relaxed: the child has one thread */
}
