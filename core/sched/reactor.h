/* SPDX-License-Identifier: BSD-2-Clause */
/* reactor.h — what the scheduler asks of I/O: make fibers runnable whose files are ready.
 *
 * A runtime gets its reactor with the first wait for a file. The interface is small enough for two
 * of them, epoll and io_uring: core/io/README.md. */
#ifndef WEFT_SCHED_REACTOR_H
#define WEFT_SCHED_REACTOR_H

#include <weft/task.h>

typedef struct weft__reactor weft__reactor;

struct weft__reactor {
    const char *name;

    /* Collect what is ready, waiting for it until `deadline_ns`, or until kicked. Returns fibers
     * that the caller has to make runnable, linked by prev_. Any thread; several at once. */
    weft_task *(*poll)(weft__reactor *reactor, int64_t deadline_ns);

    /* End a poll that waits, or the next that is about to; from anywhere. A poll that does not wait
     * leaves the kick to one that does. */
    void (*kick)(weft__reactor *reactor);

    /* No worker is left. */
    void (*destroy)(weft__reactor *reactor);

    uint32_t waits;   /* fibers that wait for files; a hint: nonzero, somebody has to poll */
    uint32_t polling; /* 1 while a worker polls without waiting: one is enough */
};

/* Give the runtime its reactor before anybody waits for a file: 0 or a negative errno. */
int weft__reactor_make(struct weft_runtime *runtime);

/* Whether there can be a reactor on io_uring: 0; -ENOTSUP weft was built without; why the kernel
 * refuses. */
int weft__uring_probe(void);

#endif
