/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.h — one file, as the kernel has it, and a reactor that watches it.
 *
 * core/io/files.c and io.c run as they are; what they ask of the system is answered here. The file
 * is watched at edges if it is adopted, else once for each wait. Its calls are the weakest that
 * keep the promises of epoll(7): each is a step of its own, and orders nothing but what is said. */
#ifndef EXPLORE_FILE_KERNEL_H
#define EXPLORE_FILE_KERNEL_H

#include "common/workers.h"

#include "io/files.h"

#define FD 5

/* What a poll hears of: these, and that the file is watched no longer. */
#define KERNEL_UNWATCHED 0x10000u
#define KERNEL_END 0x20000u /* nothing will happen any more */

/* Before all else, once the workers are there. `is_slow`: the kernel lets go of a file some time
 * after it has been told to. */
void kernel_prepare(int is_adopted, unsigned kind, int is_slow);
void kernel_finish(void);

/* Still before: the file is watched already, and has so many bytes. */
void kernel_begin(uint32_t bytes);

weft__file *kernel_file(void);

/* From outside: bytes arrive; the peer goes; a byte that a read does not go past has been sent. */
void kernel_arrive(uint32_t bytes);
void kernel_hang_up(void);
void kernel_arrive_urgent(void);

/* Make runnable, and run, whom the file's events concern: those that are there; until
 * kernel_end(). */
void kernel_step(void);
void kernel_deliver(void);
void kernel_end(void);

#endif
