/* SPDX-License-Identifier: BSD-2-Clause */
/* helper.c — see helper.h. */
#include "helper.h"

#include "alloc.h"

#include <errno.h>
#include <signal.h>

#define STACK_BYTES ((size_t)128 << 10)

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
    pthread_attr_t attributes;
    if (weft__fault() || pthread_attr_init(&attributes) != 0)
        return -EAGAIN;
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int rc = create(thread, &attributes, body, arg);
    (void)pthread_attr_destroy(&attributes);
    if (rc != 0)
        return rc;
    (void)pthread_setname_np(*thread, name);
    return 0;
}
