/* SPDX-License-Identifier: BSD-2-Clause */
/* reactor.c — see reactor.h. */
#include "common/reactor.h"

#include "hooks.h"

#include <string.h>

/* The bell ends a poll: it is rung by kicks, and by the file. */
static struct {
    weft__reactor reactor; /* first */
    uint32_t bell;
    uint32_t is_ready;
    weft__fiber *waiting; /* taken out by whoever finds the file ready */
} file;

static void ring(void)
{
    weft__store_release(&file.bell, 1);
    explore_park_wake(&file.bell, 1);
}

static void kick_file(weft__reactor *reactor)
{
    (void)reactor;
    ring();
}

void file_make_ready(void)
{
    weft__store_seq_cst(&file.is_ready, 1);
    ring();
}

static weft_task *take_ready(void)
{
    if (!weft__load_acquire(&file.is_ready))
        return NULL;
    weft__fiber *fiber = weft__exchange_acq_rel(&file.waiting, NULL);
    if (fiber == NULL)
        return NULL;
    fiber->item.state_ = (uintptr_t)&weft__fiber_type;
    fiber->item.prev_ = NULL;
    return &fiber->item;
}

static weft_task *poll_file(weft__reactor *reactor, int64_t deadline_ns)
{
    (void)reactor;
    while (deadline_ns != WEFT_POLL) {
        uint32_t has_rung = weft__exchange_acq_rel(&file.bell, 0);
        weft_task *ready = take_ready();
        if (ready != NULL || has_rung)
            return ready;
        if (explore_park_until(&file.bell, 0, deadline_ns))
            break;
    }
    return take_ready();
}

static void destroy_file(weft__reactor *reactor)
{
    (void)reactor;
}

/* As core/io/files.c registers a fiber. */
static int commit_file(weft__waiter *waiter, void *arg)
{
    (void)arg;
    weft__fetch_add_seq_cst(&file.reactor.waits, 1);
    weft__worker_self()->unwatched = 1;
    weft__store_seq_cst(&file.waiting, waiter->fiber);
    if (weft__load_seq_cst(&file.is_ready))
        ring(); /* as a descriptor that is ready when it is armed */
    return 1;
}

void file_prepare(void)
{
    memset(&file, 0, sizeof file);
}

void file_install(weft_runtime *runtime)
{
    file.reactor.poll = poll_file;
    file.reactor.kick = kick_file;
    file.reactor.destroy = destroy_file;
    file.reactor.waits = 0; /* written when it is made, as all of it */
    explore_check(weft__runtime_set_reactor(runtime, &file.reactor) == &file.reactor);
}

void file_register(weft__waiter *waiter)
{
    (void)commit_file(waiter, NULL);
}

void file_go_on(void)
{
    weft__fetch_add_seq_cst(&file.reactor.waits, (uint32_t)-1);
}

void file_wait(void)
{
    weft__waiter waiter;
    weft__wait(&waiter, commit_file, NULL);
    file_go_on();
}
