/* SPDX-License-Identifier: BSD-2-Clause */
/* local.h — storage that belongs to a fiber, or to a plain thread.
 *
 *     static weft_local request = WEFT_LOCAL_INIT(free_request);
 *
 *     rc = weft_local_set(&request, new_request());   // this fiber's, wherever it runs
 *     ... weft_local_get(&request) ...
 *
 * What _Thread_local is for threads: a fiber may continue on another thread after any wait, and
 * what it has put into thread-local variables stays behind. A value lasts until the fiber that has
 * set it ends; then its key's destructor gets it.
 *
 * A spawned task is no fiber of its own: it sees the values of whoever runs it, which is its
 * spawner or nobody, as chance will have it. Pass such values as arguments. */
#ifndef WEFT_LOCAL_H
#define WEFT_LOCAL_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* A key; its address is what counts. Memory of zeros is a key without a destructor. It must stay
 * where it is as long as any fiber that has used it. */
typedef struct weft_local {
    void (*destroy_)(void *value); /* called with values that are not NULL; may be NULL */
} weft_local;

/* clang-format off */
#define WEFT_LOCAL_INIT(destroy) {(destroy)}
/* clang-format on */

/**
 * Get the calling fiber's value, or the plain thread's.
 *
 * Returns         the value; NULL until one is set
 * Context         any
 * Progress        wait-free; looks through the keys that this fiber has used
 */
WEFT_API void *weft_local_get(const weft_local *key) WEFT_NONNULL(1);

/**
 * Set the calling fiber's value, or the plain thread's; the old one is not destroyed.
 *
 * When the fiber or thread ends, destructors are called in it, in no particular order. They may
 * wait and may set values again, which are destroyed as well, four times over at most.
 *
 * Returns         0; -ENOMEM
 * Context         any
 * Order           destructors happen-before the end of the scope that the fiber was started in
 * Progress        wait-free, but for memory when a fiber uses a key for the first time
 */
WEFT_API WEFT_NODISCARD int weft_local_set(const weft_local *key, void *value) WEFT_NONNULL(1);

WEFT_END_DECLS
#endif
