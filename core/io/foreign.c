/* SPDX-License-Identifier: BSD-2-Clause */
/* foreign.c — how what knows no fibers waits in one: the engine's table of base/block.h.
 *
 * For a word that other processes change, a thread sleeps for all fibers that wait (ferry.c), and
 * the fiber parks. Where there is no such thread the fiber lends its worker to another one while it
 * sleeps by itself (weft_blocking). A child's end is a file that becomes readable: the reactor
 * watches it, and the fiber parks. */
#include "io/foreign.h"

#include "block.h"
#include "io/ferry.h"
#include "sched/worker.h"
#include "sys.h"

#include <errno.h>
#include <poll.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/runtime.h>

static int attend(int64_t *deadline_ns)
{
    const weft_scope *scope = weft_current_scope();
    if (scope != NULL && scope->deadline_ns_ < *deadline_ns)
        *deadline_ns = scope->deadline_ns_;
    return weft_cancel_requested() == -ECANCELED ? -ECANCELED : 0;
}

/* As ferry.c, whatever is around the fiber. */
static int wait_firmly(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns)
{
    int rc = 0;
    weft_shield
    {
        rc = weft__ferry_wait(sleeps, count, deadline_ns);
    }
    return rc;
}

static int wait_lending(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns)
{
    int rc = 0;
    weft_blocking
    {
        rc = weft__block_thread.wait_words(sleeps, count, deadline_ns, 1);
    }
    return rc;
}

static int wait_words(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns, int is_firm)
{
    if (weft__worker_self() == NULL)
        return weft__block_thread.wait_words(sleeps, count, deadline_ns, is_firm);
    int rc = is_firm ? wait_firmly(sleeps, count, deadline_ns)
                     : weft__ferry_wait(sleeps, count, deadline_ns);
    return rc == -ENOMEM ? wait_lending(sleeps, count, deadline_ns) : rc;
}

static int wait_readable(int fd, int64_t deadline_ns)
{
    int rc = weft_poll(fd, POLLIN, deadline_ns);
    return rc > 0 ? 0 : rc == -EAGAIN ? -ETIMEDOUT : rc;
}

static uintptr_t self(void)
{
    const weft__worker *worker = weft__worker_self();
    return worker != NULL ? (uintptr_t)worker->current : weft__thread_pointer();
}

void weft__block_enter_fibers(void)
{
    static const weft__block fibers = {.now = weft_now,
                                       .attend = attend,
                                       .wait_words = wait_words,
                                       .forget_words = weft__ferry_forget,
                                       .wake_word = weft__futex_wake_shared,
                                       .wait_readable = wait_readable,
                                       .self = self};
    weft__block_install(&fibers);
}

void weft__block_attend_scopes(void)
{
    if (weft__block_now() == &weft__block_thread)
        weft__block_enter_fibers();
}
