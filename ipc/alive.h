/* SPDX-License-Identifier: BSD-2-Clause */
/* alive.h — who is a process, and is it still there? An exact answer or none; never a time-out. */
#ifndef WEFT_IPC_ALIVE_H
#define WEFT_IPC_ALIVE_H

#include <weft/base.h>

/* A process, told apart from any other that has had or will have its number. Zero fields are not
 * known. */
typedef struct weft__identity {
    uint32_t pid;
    uint64_t started; /* clock ticks after boot */
    uint64_t boot;    /* hash of the id of this boot of the machine */
    uint64_t pid_ns;  /* inode of the namespace in which the pid means something */
} weft__identity;

/* The calling process. */
weft__identity weft__identity_self(void);

/* A pidfd of that process: readable when its last thread has ended. -ESRCH: proved that it has
 * ended; -EXDEV: it cannot be asked about from here; or the kernel's reason. */
int weft__identity_open(const weft__identity *other, const weft__identity *self);

/* Nonzero only if it is proved that no thread of that process will ever run again. `self` is the
 * caller's own identity. */
int weft__identity_is_dead(const weft__identity *other, const weft__identity *self);

#endif
