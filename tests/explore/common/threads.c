/* SPDX-License-Identifier: BSD-2-Clause */
/* threads.c — what whoever makes a thread asks of the system besides; nothing of it matters to a
 * model. */
#include "alloc.h"

#include <pthread.h>
#include <signal.h>

int pthread_setname_np(pthread_t thread, const char *name)
{
    (void)thread;
    (void)name;
    return 0;
}

int pthread_sigmask(int how, const sigset_t *set, sigset_t *old)
{
    (void)how;
    (void)set;
    (void)old;
    return 0;
}

/* Before a thread is made: it will be. Sources in base find its declaration before the shadow. */
int weft__fault(void)
{
    return 0;
}
