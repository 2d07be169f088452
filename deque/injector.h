/* SPDX-License-Identifier: BSD-2-Clause */
/* injector.h — the way in for work from outside the workers: anyone pushes, one worker takes all.
 *
 * An intrusive stack, emptied by a single exchange: no bound, no allocation, no ABA, since nobody
 * ever takes a single entry off. It comes out newest first, which is just right: the worker that
 * took it pushes the entries into its own deque in that order, so the oldest lies at the bottom and
 * runs first.
 *
 * The one word is all there is, and idle workers look at it all the time. A push costs one swap;
 * who finds nothing costs nobody anything. */
#ifndef WEFT_DEQUE_INJECTOR_H
#define WEFT_DEQUE_INJECTOR_H

#include <weft/base.h>

/* The first member of whatever is injected; the injector owns it until the entry is taken. */
typedef struct weft__link {
    struct weft__link *next;
} weft__link;

typedef struct weft__injector {
    weft__link *newest;
    char line[64 - sizeof(weft__link *)];
} weft__injector;

void weft__injector_init(weft__injector *injector);

/* Push one entry: lock-free, from any thread. Whoever takes it sees its content. */
void weft__injector_push(weft__injector *injector, weft__link *entry);

/* Take everything, newest first: wait-free, from any thread; NULL when there was nothing. */
weft__link *weft__injector_take_all(weft__injector *injector);

/* Take everything if `entry` is the newest; 0: it is not. Its links lead to the others. Whoever
 * comes after that finds nothing, so this is no exception to the rule above. */
int weft__injector_take_from(weft__injector *injector, weft__link *entry);

/* A hint whether it is the newest. */
int weft__injector_has_newest(const weft__injector *injector, const weft__link *entry);

/* A hint whether there is nothing. */
int weft__injector_looks_empty(const weft__injector *injector);

/* Whether there was nothing, in the single order of pushes and sleeps (edge idle.inject). */
int weft__injector_is_empty(const weft__injector *injector);

#endif
