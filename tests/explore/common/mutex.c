/* SPDX-License-Identifier: BSD-2-Clause */
/* mutex.c — the mutexes of POSIX among threads of a model. */
#include <weft/atomic.h>

#include "hooks.h"

#include <pthread.h>
#include <string.h>

int pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    (void)attributes;
    memset(mutex, 0, sizeof *mutex);
    return 0;
}

int pthread_mutex_destroy(pthread_mutex_t *mutex)
{
    (void)mutex;
    return 0;
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    uint32_t free = 0;
    while (!weft__cas_acquire((uint32_t *)(void *)mutex, &free, 1)) {
        free = 0;
        explore_yield();
    }
    return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    weft__store_release((uint32_t *)(void *)mutex, 0);
    return 0;
}
