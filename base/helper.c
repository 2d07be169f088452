/* SPDX-License-Identifier: BSD-2-Clause */
/* helper.c — see helper.h.
 *
 * A helper counts when it is there, and does not any more when it may be gone: so never more are
 * counted than there are. */
#include "helper.h"

#include <weft/atomic.h>

#include "alloc.h"

#include <errno.h>
#include <signal.h>

#define STACK_BYTES ((size_t)128 << 10)

weft__helper_count weft__helpers;

void weft__helpers_forked(void)
{
    /* relaxed: the child's only thread runs */
    weft__store_relaxed(&weft__helpers.started, (uint64_t)0);
    weft__store_relaxed(&weft__helpers.ended, (uint64_t)0); /* relaxed: as above */
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, weft__helpers_forked);
}

/* Signals are the program's threads', but for those of a fault of its own: a segment may be cut off
 * under it. */
static int create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *arg),
                  void *arg)
{
    sigset_t others, before;
    (void)sigfillset(&others);
    (void)sigdelset(&others, SIGBUS);
    (void)sigdelset(&others, SIGSEGV);
    (void)pthread_sigmask(SIG_SETMASK, &others, &before);
    int rc = pthread_create(thread, attributes, body, arg);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -rc;
}

int weft__helper_start(pthread_t *thread, const char *name, void *(*body)(void *arg), void *arg)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_attr_t attributes;
    (void)pthread_once(&once, watch_forks);
    if (weft__fault() || pthread_attr_init(&attributes) != 0)
        return -EAGAIN;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int rc = create(thread, &attributes, body, arg);
    (void)pthread_attr_destroy(&attributes);
    if (rc != 0)
        return rc;
    (void)pthread_setname_np(*thread, name);
    /* relaxed: when it is there. Whoever sees this asks the kernel next, which counts it by now */
    weft__fetch_add_relaxed(&weft__helpers.started, 1);
    return 0;
}

void weft__helper_to_end(void)
{
    /* relaxed: before it can be gone. Whom the kernel tells that it is sees this afterwards */
    weft__fetch_add_relaxed(&weft__helpers.ended, 1);
}
