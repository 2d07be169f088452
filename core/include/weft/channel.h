/* SPDX-License-Identifier: BSD-2-Clause */
/* channel.h — passing values from fiber to fiber, and waiting for one of several things.
 *
 *     weft_channel *numbers;
 *     int rc = weft_channel_create(&numbers, &(weft_channel_spec){.elem_bytes = sizeof(long)});
 *
 *     long n = 42;                                           // one fiber
 *     rc = weft_channel_push(numbers, &n, WEFT_FOREVER);
 *
 *     while (weft_channel_pop(numbers, &n, WEFT_FOREVER) == 0)      // another
 *         printf("%ld\n", n);                                // ends when the channel is closed
 *
 * A channel holds up to `capacity` elements, in order; one of capacity zero holds none, and a push
 * and a pop meet. Elements are copied, straight into the frame of whoever waits. Fibers and plain
 * threads may use the same channel, any number of them on either side.
 *
 * Related: Hoare's CSP by way of Go. Differences: an element pushed after the close is refused, not
 * a crash, and a wait may have a deadline or be cancelled. */
#ifndef WEFT_CHANNEL_H
#define WEFT_CHANNEL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_channel weft_channel;

typedef struct weft_channel_spec {
    size_t elem_bytes; /* size of an element; 0: nothing is passed, only that it was */
    size_t capacity;   /* elements that may lie in it, below 2^29; 0: push and pop meet */
} weft_channel_spec;

/**
 * Create a channel.
 *
 * Returns         0; -EINVAL the capacity is out of range; -ENOMEM
 * Context         any
 * Progress        as malloc()
 * Lifetime        until weft_channel_destroy()
 */
WEFT_API WEFT_NODISCARD int weft_channel_create(weft_channel **channel,
                                                const weft_channel_spec *spec) WEFT_NONNULL(1, 2);

/**
 * Destroy a channel that nobody uses any more; elements in it are lost. NULL does nothing.
 *
 * Destroying one on which somebody waits aborts. A push or pop that has returned is over; so is a
 * close after which everybody who used the channel has been seen to return.
 *
 * Context         any
 * Progress        as free()
 */
WEFT_API void weft_channel_destroy(weft_channel *channel);

/**
 * Push a copy of the element, waiting for room, or for somebody to take it, in order of arrival.
 *
 * Returns         0; -EPIPE the channel is closed, also while waiting: it was not pushed;
 *                 -ETIMEDOUT the deadline passed before (WEFT_POLL: do not wait); -ECANCELED
 * Context         thread or fiber; may park
 * Order           happens-before the return of the pop that gets the element; the pop that made the
 *                 room happens-before the return
 * Progress        blocking; where it need not wait, it may wait for a few instructions of others
 * Lifetime        `element` is read before the return only
 */
WEFT_API WEFT_NODISCARD int weft_channel_push(weft_channel *channel, const void *element,
                                              int64_t deadline_ns) WEFT_NONNULL(1);

/**
 * Pop the oldest element, waiting for one in order of arrival.
 *
 * Returns         0; -EPIPE the channel is closed, and empty; -ETIMEDOUT the deadline passed before
 *                 (WEFT_POLL: do not wait); -ECANCELED
 * Context         thread or fiber; may park
 * Order           the push of the element happens-before the return
 * Progress        blocking; where it need not wait, it may wait for a few instructions of others
 * Lifetime        `element` is written before the return only, and only if that is 0
 */
WEFT_API WEFT_NODISCARD int weft_channel_pop(weft_channel *channel, void *element,
                                             int64_t deadline_ns) WEFT_NONNULL(1);

/**
 * Close the channel: pushes fail from now on, pops when it has been emptied. Closing it again does
 * nothing.
 *
 * Whoever waits to push or to pop returns -EPIPE.
 *
 * Context         thread or fiber; never parks
 * Order           happens-before the return of calls that answer -EPIPE
 * Progress        may wait for a few instructions of others, and takes a step for each who waits
 */
WEFT_API void weft_channel_close(weft_channel *channel) WEFT_NONNULL(1);

/**
 * Count the elements in the channel; a snapshot.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API size_t weft_channel_length(const weft_channel *channel) WEFT_NONNULL(1);

/* ---- one of several -------------------------------------------------------------------------- */

typedef struct weft_case weft_case;

/* How to wait for something that is not a channel; implemented beside it, not by users. */
typedef struct weft__case_hook {
    int (*is_ready)(weft_case *one); /* nonzero: it need not wait; asked before all else, by the
                                      * fiber that selects, and on its stack */
    int (*arm)(weft_case *one);      /* 0: weft__case_fire() will be called once, when it is ready;
                                      * 1: it is; negative: why it cannot be waited for, with which
                                      * the select fails */
    int (*disarm)(weft_case *one);   /* nonzero: will not be called any more; zero: has been, or is
                                      * about to be, called */
} weft__case_hook;

/* Something a select may wait for; made by WEFT_CASE_PUSH() and its like. */
struct weft_case {
    const weft__case_hook *hook_; /* NULL: a channel */
    void *source_;                /* what to wait for; NULL: never */
    void *element_;               /* to be copied into, or from */
    void *link_;                  /* the hook's, for its lists */
    int is_push_;
    int result;       /* of the case that came true: 0, or -EPIPE if its channel is closed */
    void *place_[11]; /* in the queue of its channel: core/sync/select.c */
};

/* Push `*element` to the channel, or pop from it into `*element`. A channel that is NULL never
 * comes true, so a case can be switched off. */
/* clang-format off */
#define WEFT_CASE_PUSH(channel, element)                                                           \
    {NULL, (channel), (void *)(uintptr_t)(element), NULL, 1, 0, {0}}
#define WEFT_CASE_POP(channel, element) {NULL, (channel), (element), NULL, 0, 0, {0}}
/* clang-format on */

/* That it is `deadline_ns`, or later; never, if that is WEFT_FOREVER. Unlike the select's own
 * deadline this is one thing among others that may happen. */
#define WEFT_CASE_TIME(deadline_ns)                                                                \
    {                                                                                              \
        &weft__time_case, NULL, (void *)(intptr_t)(deadline_ns), NULL, 0, 0,                       \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/**
 * Wait until one of the cases can come true, and let it: exactly one, none on failure.
 *
 *     weft_case cases[] = {WEFT_CASE_POP(orders, &order), WEFT_CASE_POP(stop, NULL)};
 *     switch (weft_select(cases, 2, weft_in(5 * WEFT_SEC))) {
 *     case 0: serve(&order); break;
 *     case 1: return 0;
 *     default: complain();                                   // -ETIMEDOUT or -ECANCELED
 *     }
 *
 * A closed channel makes its cases come true, with -EPIPE as the `result` of the case. Among
 * several that can, one is chosen by chance, so none is passed by for ever. The same channel may
 * occur in several cases. The cases may be used again as they are. WEFT_CASE_FUTURE(), a case that
 * waits for a future, is in <weft/future.h>.
 *
 * Returns         the index of the case; -ETIMEDOUT; -ECANCELED
 * Context         thread or fiber; may park
 * Order           as the push or pop of that case
 * Progress        blocking; where it need not wait, it may wait for a few instructions of others
 * Lifetime        the cases, and what they point to, must stay where they are until the return
 */
WEFT_API WEFT_NODISCARD int weft_select(weft_case *cases, size_t count, int64_t deadline_ns);

WEFT_API extern const weft__case_hook weft__time_case;

/* For those who implement a hook: the case is ready. `one` must not be touched afterwards. */
WEFT_API void weft__case_fire(weft_case *one);

WEFT_END_DECLS
#endif
