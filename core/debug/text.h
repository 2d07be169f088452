/* SPDX-License-Identifier: BSD-2-Clause */
/* text.h — lines for a file descriptor, from anywhere: no allocation, no stdio, no lock.
 *
 * A dump may be asked for in a signal handler, on a small stack, in a process that has crashed. */
#ifndef WEFT_CORE_DEBUG_TEXT_H
#define WEFT_CORE_DEBUG_TEXT_H

#include <weft/base.h>

typedef struct weft__text {
    int fd;
    int error; /* of the first write that failed, negative; nothing is written after it */
    size_t used;
    char buffer[512];
} weft__text;

void weft__text_begin(weft__text *text, int fd);
void weft__text_put(weft__text *text, const char *words);
void weft__text_number(weft__text *text, uint64_t number);
void weft__text_hex(weft__text *text, uintptr_t number);

/* Seconds, to the millisecond: "1.203 s". */
void weft__text_seconds(weft__text *text, int64_t ns);

/* Write what is in the buffer. Returns `error`. */
int weft__text_flush(weft__text *text);

#endif
