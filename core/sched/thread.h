/* SPDX-License-Identifier: BSD-2-Clause */
/* thread.h — the threads that play workers: thread.c. */
#ifndef WEFT_SCHED_THREAD_H
#define WEFT_SCHED_THREAD_H

#include <weft/runtime.h>

#include "fiber/fiber.h"

#include <pthread.h>
#include <sys/types.h>

struct weft__worker;

typedef struct weft__thread {
    struct weft__thread *next;  /* of the runtime's threads */
    struct weft__thread *spare; /* next of the idle ones */
    weft_runtime *runtime;
    struct weft__worker *worker; /* whose role it is to play; the lender's, then its own */
    weft__fiber *left;           /* the fiber it stood on in a region, to be made runnable */
    weft__fiber native;          /* its own stack */
    void *signal_stack;          /* for the overflow report, or NULL */
    pthread_t id;
    pid_t number;    /* the kernel's; set by itself before it plays anything */
    uint32_t called; /* raised with every role, and to stop */
} weft__thread;

#endif
