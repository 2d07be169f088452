/* SPDX-License-Identifier: BSD-2-Clause */
/* side.h — somebody beside the test: a plain thread, or the first task of a runtime of its own. */
#ifndef WEFT_TESTS_CORE_SIDE_H
#define WEFT_TESTS_CORE_SIDE_H

#include "on_workers.h"

#include <pthread.h>

typedef struct side {
    int (*body)(void *arg); /* 0, or the line that fails */
    void *arg;
    unsigned workers; /* of the runtime; 0: a plain thread */
    int line;         /* what the body has returned */
    pthread_t thread;
} side;

static inline void *run_side(void *arg)
{
    side *self = arg;
    weft_config config = {.workers = self->workers};
    self->line =
        self->workers > 0 ? weft_run(self->body, self->arg, &config) : self->body(self->arg);
    return NULL;
}

static inline void start_side(side *self)
{
    assert_int_equal(pthread_create(&self->thread, NULL, run_side, self), 0);
}

static inline void end_side(side *self)
{
    assert_int_equal(pthread_join(self->thread, NULL), 0);
    if (self->line != 0)
        fail_msg("line %d fails beside the test, with %u workers", self->line, self->workers);
}

#endif
