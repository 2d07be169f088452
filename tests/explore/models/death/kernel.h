/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.h — a segment with its table of processes, and the kernel that is asked about them.
 *
 * owner.c and watch.c run as they are. What stands here instead of the system are processes, their
 * numbers and descriptors, poll(), an eventfd, threads and locks. A process ends when its thread
 * stops for ever at a crash point. Time does not pass: no long sleep ends by itself, so whoever is
 * not woken is a deadlock. */
#ifndef EXPLORE_DEATH_KERNEL_H
#define EXPLORE_DEATH_KERNEL_H

#include "explore.h"

#include "hooks.h"
#include "owner.h"
#include "watch.h"

#define KERNEL_PROCESSES EXPLORE_THREADS_MAX

extern weft__shm_header header;
extern weft__shm_process entries[KERNEL_PROCESSES];
extern weft__shm_seat seats[KERNEL_PROCESSES];
extern uint32_t kernel_ends; /* for a model's `ends` */

/* A table of so many entries, nobody in it; each thread is a process, 0 … */
void kernel_prepare(uint32_t participants);

/* The same, but so many threads are process 0's, of which the last is its watcher's. */
void kernel_prepare_watch(uint32_t participants, unsigned threads);

/* Before the threads: a process has joined; or it will, once `former` is dead, with its number. */
void kernel_join(unsigned process);
void kernel_inherit(unsigned process, unsigned former);

/* The segment as the calling thread's process sees it, or a given one. */
weft__segment *kernel_segment(void);
weft__segment *kernel_segment_of(unsigned process);

int kernel_has_ended(unsigned process);

/* The watcher's body: what pthread_create() starts, as often as it does, until there will be none
 * any more. */
void kernel_watcher(void);
void kernel_watches_no_more(void);

/* After the threads: nobody who has joined and lives was taken for dead; no descriptor is open. */
void kernel_finish(void);

#endif
