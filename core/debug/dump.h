/* SPDX-License-Identifier: BSD-2-Clause */
/* dump.h — what weft_dump() is made of, for it and for the report of a hang. */
#ifndef WEFT_CORE_DEBUG_DUMP_H
#define WEFT_CORE_DEBUG_DUMP_H

#include "debug/symbol.h"
#include "debug/text.h"
#include "debug/unwind.h"
#include "sched/worker.h"

typedef struct weft__dump {
    weft__text text;
    weft__symbols symbols;
    const weft_runtime *runtime; /* the one whose fibers are shown */
    const weft__walk *here;      /* the caller's own frames, or NULL */
    const weft__fiber *self;     /* the fiber they are on */
    unsigned searches;           /* how often all fibers may still be looked through */
} weft__dump;

void weft__dump_begin(weft__dump *dump, int fd);
int weft__dump_end(weft__dump *dump);

/* "fiber 3 'left'" */
void weft__dump_name(weft__dump *dump, const weft__fiber *fiber);

/* A line about the fiber, and its back-trace. */
void weft__dump_fiber(weft__dump *dump, weft__fiber *fiber, uint64_t number);

/* Everything; `here` is the walk of the caller's own fiber, or NULL. */
int weft__dump_all(int fd, const weft__walk *here);

/* Whether a fiber is alive, and how it stands. `*worker` is the one that runs it, or NULL. */
int weft__fiber_is_alive(const weft__fiber *fiber);
weft_fiber_state weft__fiber_state(const weft_runtime *runtime, const weft__fiber *fiber,
                                   weft__worker **worker);

/* The first fiber of the runtime that keeps `fiber` from going on, or NULL: it holds the object,
 * runs the task, or is in the scope. */
const weft__fiber *weft__fiber_blocker(const weft_runtime *runtime, const weft__fiber *fiber);

/* last_words.c: a failed assertion is followed by its fiber's line and back-trace. */
void weft__last_words_prepare(void);

/* signal.c: make `signal_number` write a dump, for the whole process. Answers whether a worker's
 * frames can be had: `worker->trace` is filled by a worker that has been asked. */
void weft__dump_signal_install(int signal_number);
int weft__dump_signal(void);
void weft__dump_ask(weft__worker *worker);
int weft__dump_is_answered(const weft__worker *worker);

#endif
