/* SPDX-License-Identifier: BSD-2-Clause */
/* helper.h — threads of the library's own that sleep where those whom they serve cannot.
 *
 * A helper carries news from outside to those who wait for them: a word of another process has
 * changed (core/io/ferry.c), another process has ended (ipc/watch.c). It wakes nobody else. So a
 * program hangs for good whether it has helpers or not, and they are counted for the detector of
 * hangs (core/debug/hang.c), which has to know what all threads of the process do. */
#ifndef WEFT_BASE_HELPER_H
#define WEFT_BASE_HELPER_H

#include <weft/base.h>

#include <pthread.h>

/* Start one: 0 or a negative errno. To be joined. */
int weft__helper_start(pthread_t *thread, const char *name, void *(*body)(void *arg),
                       void *arg) WEFT_NODISCARD;

/* To be called before one is told to end: the caller will join it. */
void weft__helper_to_end(void);

/* In a forked child, which has none. */
void weft__helpers_forked(void);

/* How many there have been in this process. For the detector; models set it back. */
typedef struct weft__helper_count {
    uint64_t started; /* and are there, unless they have ended */
    uint64_t ended;   /* or have been told to */
} weft__helper_count;

extern weft__helper_count weft__helpers;

#endif
