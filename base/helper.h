/* SPDX-License-Identifier: BSD-2-Clause */
/* helper.h — threads of the library's own that sleep where those whom they serve cannot.
 *
 * A helper carries news from outside to those who wait for them: a word of another process has
 * changed (core/io/ferry.c), another process has ended (ipc/watch.c). */
#ifndef WEFT_BASE_HELPER_H
#define WEFT_BASE_HELPER_H

#include <weft/base.h>

#include <pthread.h>

/* Start one: 0 or a negative errno. To be joined. */
int weft__helper_start(pthread_t *thread, const char *name, void *(*body)(void *arg), void *arg)
    WEFT_NODISCARD;

#endif
