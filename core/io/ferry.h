/* SPDX-License-Identifier: BSD-2-Clause */
/* ferry.h — fibers that wait for words which other processes change: see ferry.c. */
#ifndef WEFT_IO_FERRY_H
#define WEFT_IO_FERRY_H

#include <weft/base.h>

#include "sys.h"

/* In a fiber: park while all words are as expected. 0: woken, changed before, or cancelled;
 * -ETIMEDOUT: the deadline, or that of a scope around, has passed; -ENOMEM: no thread can be had to
 * wait for them, or the kernel does not offer it, and nothing has been waited for. */
int weft__ferry_wait(const weft__sleep sleeps[], unsigned count,
                     int64_t deadline_ns) WEFT_NODISCARD;

/* Nobody waits for words in this memory any more: return when the kernel has let go of them, and
 * what it has told of them meanwhile is passed on. */
void weft__ferry_forget(const void *memory, size_t bytes);

/* A runtime begins, and has come to its end: the threads end with the last one. */
void weft__ferry_open(void);
void weft__ferry_close(void);

/* In a forked child. */
void weft__ferry_forked(void);

#endif
