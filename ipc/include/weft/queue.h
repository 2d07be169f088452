/* SPDX-License-Identifier: BSD-2-Clause */
/* queue.h — queues between processes that survive kill -9 of anybody who uses them.
 *
 * A weft_queue holds elements of one size, a weft_pipe messages of any size. Both live in shared
 * memory, anonymous (inherited by fork, or passed as a descriptor) or with a name. Any number of
 * processes may push and pop, or, faster, one of each (WEFT_QUEUE_ONE_TO_ONE). They need no
 * runtime.
 *
 * A process that is killed at any instruction loses at most the element it was itself writing. What
 * it had taken and not released is delivered once more, marked WEFT_REDELIVERED. A process that is
 * stopped, or slow, is never robbed.
 *
 *              push  pop  reserve  commit  take  release  shutdown  join  size  detach
 *    push       -     -      -       -      -       -        -       -     -      X
 *    commit     -     -      -       X      -       -        -       -     -      X
 *    release    -     -      -       -      -       X        -       -     -      X
 *    detach     X     X      X       X      X       X        X       X     X      X
 *
 *    - : from any thread, fiber and process at any time; X: the caller serialises (for commit and
 *    release: on the same item). Of a one-to-one queue, one thread at a time may push and one pop.
 *
 * Deadlines: WEFT_POLL answers -EAGAIN instead of waiting. A fiber that waits parks: it holds
 * neither a worker nor a thread, and what cuts off its scope cuts it off. All who wait are told
 * -EOWNERDEAD when the last other process has been killed; but not if another thread of this
 * process, or any of its fibers, has been at the other end: it may come back. */
#ifndef WEFT_QUEUE_H
#define WEFT_QUEUE_H

#include <weft/base.h>

#include <sys/types.h>

WEFT_BEGIN_DECLS

typedef struct weft_queue weft_queue;
typedef struct weft_pipe weft_pipe;

/* One process pushes and one pops: no compare-and-swap, and elements lie side by side. */
#define WEFT_QUEUE_ONE_TO_ONE 1u

/* What a queue is to be; zero means the default, or, when opening, whatever its maker chose. */
typedef struct weft_queue_spec {
    size_t elem_bytes; /* of an element; to be given when creating */
    size_t capacity;   /* elements, rounded up to a power of two; 0: 1024 */
    unsigned flags;    /* WEFT_QUEUE_ONE_TO_ONE */
    /* Processes, and threads and open items, at a time; 0: 64; at most 1023. */
    unsigned participants;
} weft_queue_spec;

typedef struct weft_pipe_spec {
    size_t message_bytes;  /* of the longest message; 0: a quarter of the capacity */
    size_t capacity_bytes; /* rounded up to a power of two; 0: 256 KiB */
    unsigned participants; /* as above */
} weft_pipe_spec;

/* It may have been delivered before: whoever had taken it was killed before releasing it. */
#define WEFT_REDELIVERED 1u

/* A place in the queue that is being filled or read in place. */
typedef struct weft_item {
    void *data;      /* in shared memory: others may write to it who should not. Aligned to 8 */
    size_t bytes;    /* that may be written, or are to be read */
    unsigned flags;  /* taken: WEFT_REDELIVERED or 0 */
    unsigned count_; /* slots or granules */
    uint64_t position_;
    unsigned seat_; /* plus one; 0: not open */
} weft_item;

/* ---- queues of elements ---------------------------------------------------------------------- */

/**
 * Make a queue, under a name ("/orders") or, with NULL, without one.
 *
 * Memory is allocated at once, readable and writable by this user only. A queue without a name is
 * sealed and ends with its last user; one with a name stays until weft_queue_unlink().
 *
 * Returns         0; -EEXIST the name is taken; -EINVAL; -ENOMEM; -ENOSPC no room for shared
 *                 memory; or what else the kernel says
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        weft_queue_detach() frees the handle
 */
WEFT_API WEFT_NODISCARD int weft_queue_create(weft_queue **queue, const char *name,
                                              const weft_queue_spec *spec) WEFT_NONNULL(1, 3);

/**
 * Attach to a queue by its name.
 *
 * Returns         0; -ENOENT; -EPROTO it is not a queue, damaged, or of another version; -EMSGSIZE
 *                 its elements or capacity differ from `spec`; -EACCES another user's; -ENOMEM,
 *                 also when there is no place for another participant
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        as for weft_queue_create()
 */
WEFT_API WEFT_NODISCARD int weft_queue_open(weft_queue **queue, const char *name,
                                            const weft_queue_spec *spec) WEFT_NONNULL(1, 2);

/**
 * Attach to a queue by the descriptor of its memory, received from a process that has it. The
 * descriptor stays the caller's.
 *
 * Returns         as weft_queue_open(); -EPROTO also for memory that is not sealed against
 *                 shrinking
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        as for weft_queue_create()
 */
WEFT_API WEFT_NODISCARD int weft_queue_attach(weft_queue **queue, int fd,
                                              const weft_queue_spec *spec) WEFT_NONNULL(1);

/**
 * The descriptor of the queue's memory, to be passed to another process. It stays the queue's.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API int weft_queue_fd(const weft_queue *queue) WEFT_NONNULL(1);

/**
 * Leave a queue and free the handle; NULL is fine. Others go on. Items that are still open are
 * treated as if the process had been killed.
 *
 * Context         any; nobody uses the handle
 * Progress        blocking: system calls
 */
WEFT_API void weft_queue_detach(weft_queue *queue);

/**
 * Remove the name of a queue, pipe or memory. Those attached go on; the memory goes with the last.
 *
 * Returns         0; -ENOENT; -EINVAL
 * Context         any
 * Progress        blocking: system calls
 */
WEFT_API WEFT_NODISCARD int weft_queue_unlink(const char *name) WEFT_NONNULL(1);

/**
 * Put a copy of an element at the end.
 *
 * Returns         0; -EAGAIN full, with WEFT_POLL; -ETIMEDOUT; -EPIPE shut down; -EOWNERDEAD full,
 *                 and the last other process was killed; -EBUSY one-to-one, and another process
 *                 alive is the producer; -EPROTO damaged by somebody; -ENOMEM too many
 *                 participants; -ECANCELED
 * Context         thread or fiber; may park
 * Order           happens-before the pop of the element
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_queue_push(weft_queue *queue, const void *elem, int64_t deadline)
    WEFT_NONNULL(1, 2);

/**
 * Take the first element out, into `elem`. The copy is complete before the element counts as taken:
 * if this process is killed inside, it is delivered to somebody else, marked.
 *
 * Returns         0; -EAGAIN empty, with WEFT_POLL; -ETIMEDOUT; -EPIPE empty and shut down;
 *                 -EOWNERDEAD empty, and the last other process was killed; otherwise as push
 * Context         thread or fiber; may park
 * Order           the push of the element happens-before the return
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_queue_pop(weft_queue *queue, void *elem, int64_t deadline)
    WEFT_NONNULL(1, 2);

/**
 * The same, and say whether the element may have been delivered before.
 *
 * @param flags    WEFT_REDELIVERED or 0
 * Returns         as weft_queue_pop()
 * Context         thread or fiber; may park
 * Order           as weft_queue_pop()
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_queue_pop_flags(weft_queue *queue, void *elem, unsigned *flags,
                                                 int64_t deadline) WEFT_NONNULL(1, 2, 3);

/**
 * Put up to `count` elements at the end, in order; waits only for room for the first.
 *
 * Returns         how many, at least 1; or an error as for weft_queue_push()
 * Context         thread or fiber; may park
 * Order           each happens-before its pop
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD ssize_t weft_queue_push_n(weft_queue *queue, const void *elems,
                                                  size_t count, int64_t deadline)
    WEFT_NONNULL(1, 2);

/**
 * Take up to `count` elements out; waits only for the first. Marks of redelivery are not told.
 *
 * Returns         how many, at least 1; or an error as for weft_queue_pop()
 * Context         thread or fiber; may park
 * Order           the pushes of these elements happen-before the return
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD ssize_t weft_queue_pop_n(weft_queue *queue, void *elems, size_t count,
                                                 int64_t deadline) WEFT_NONNULL(1, 2);

/**
 * Claim the next place, to be filled in place: item->data. Elements behind it wait until it is
 * committed or aborted.
 *
 * Returns         0; or as weft_queue_push()
 * Context         thread or fiber; may park
 * Progress        lock-free unless it waits
 * Lifetime        item->data until weft_queue_commit() or weft_queue_abort()
 */
WEFT_API WEFT_NODISCARD int weft_queue_reserve(weft_queue *queue, weft_item *item, int64_t deadline)
    WEFT_NONNULL(1, 2);

/**
 * The claimed place is filled: consumers may have it.
 *
 * Returns         0; -EINVAL the item is not open
 * Context         any thread of the process that reserved it
 * Order           happens-before the pop of the element
 * Progress        wait-free, but for waking a sleeper
 */
WEFT_API int weft_queue_commit(weft_queue *queue, weft_item *item) WEFT_NONNULL(1, 2);

/**
 * Give the claimed place back unused.
 *
 * Returns         0; -EINVAL the item is not open
 * Context         as weft_queue_commit()
 * Progress        as weft_queue_commit()
 */
WEFT_API int weft_queue_abort(weft_queue *queue, weft_item *item) WEFT_NONNULL(1, 2);

/**
 * Take the first element without copying: item->data may be read until weft_queue_release(). If
 * this process is killed before that, the element is delivered to somebody else, marked.
 *
 * A place that is not released blocks producers once they have come round to it.
 *
 * Returns         0; or as weft_queue_pop()
 * Context         thread or fiber; may park
 * Order           as weft_queue_pop()
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_queue_take(weft_queue *queue, weft_item *item, int64_t deadline)
    WEFT_NONNULL(1, 2);

/**
 * Done with a taken element: Python's task_done().
 *
 * Returns         0; -EINVAL the item is not open, for instance released twice
 * Context         any thread of the process that took it
 * Order           happens-before a later push into the same place, and a weft_queue_join()
 * Progress        wait-free, but for waking a sleeper
 */
WEFT_API int weft_queue_release(weft_queue *queue, weft_item *item) WEFT_NONNULL(1, 2);

/**
 * Wait until everything that has been pushed has been popped, or taken and released. What a killed
 * process had taken counts once somebody else has released it.
 *
 * Returns         0; -EAGAIN not yet, with WEFT_POLL; -ETIMEDOUT; -EOWNERDEAD not all, and the last
 *                 other process was killed; -EPROTO; -ECANCELED
 * Context         thread or fiber; may park
 * Order           all those releases happen-before the return
 * Progress        blocking
 */
WEFT_API WEFT_NODISCARD int weft_queue_join(weft_queue *queue, int64_t deadline) WEFT_NONNULL(1);

/**
 * End a queue for all: pushes answer -EPIPE from now on, pops too once it is empty.
 *
 * Context         any
 * Order           happens-before a push or pop that answers -EPIPE
 * Progress        lock-free
 */
WEFT_API void weft_queue_shutdown(weft_queue *queue) WEFT_NONNULL(1);

/**
 * How many elements there are, as a snapshot.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API size_t weft_queue_size(const weft_queue *queue) WEFT_NONNULL(1);

/* ---- pipes of messages ----------------------------------------------------------------------- */

/**
 * Make a pipe: as weft_queue_create(), for messages of 0 … spec->message_bytes bytes.
 *
 * Returns         as weft_queue_create(); -EINVAL also if the longest message is more than half the
 *                 capacity
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        weft_pipe_detach() frees the handle
 */
WEFT_API WEFT_NODISCARD int weft_pipe_create(weft_pipe **pipe, const char *name,
                                             const weft_pipe_spec *spec) WEFT_NONNULL(1);

/**
 * Attach to a pipe by its name: as weft_queue_open().
 *
 * Returns         as weft_queue_open()
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        as for weft_pipe_create()
 */
WEFT_API WEFT_NODISCARD int weft_pipe_open(weft_pipe **pipe, const char *name) WEFT_NONNULL(1, 2);

/**
 * Attach to a pipe by a descriptor: as weft_queue_attach().
 *
 * Returns         as weft_queue_attach()
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        as for weft_pipe_create()
 */
WEFT_API WEFT_NODISCARD int weft_pipe_attach(weft_pipe **pipe, int fd) WEFT_NONNULL(1);

/**
 * The descriptor of the pipe's memory: as weft_queue_fd().
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API int weft_pipe_fd(const weft_pipe *pipe) WEFT_NONNULL(1);

/**
 * Leave a pipe: as weft_queue_detach().
 *
 * Context         any; nobody uses the handle
 * Progress        blocking: system calls
 */
WEFT_API void weft_pipe_detach(weft_pipe *pipe);

/**
 * The length of the longest message that fits.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API size_t weft_pipe_message_bytes(const weft_pipe *pipe) WEFT_NONNULL(1);

/**
 * Send a message. It arrives whole, or, if this process is killed inside, not at all.
 *
 * Returns         0; -EMSGSIZE longer than any that fits; otherwise as weft_queue_push()
 * Context         thread or fiber; may park
 * Order           happens-before its reception
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_pipe_send(weft_pipe *pipe, const void *message, size_t bytes,
                                           int64_t deadline) WEFT_NONNULL(1);

/**
 * Receive the first message into `buffer`.
 *
 * Returns         its length; -EMSGSIZE it is longer than `bytes` and stays where it is; otherwise
 *                 as weft_queue_pop()
 * Context         thread or fiber; may park
 * Order           as weft_queue_pop()
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD ssize_t weft_pipe_receive(weft_pipe *pipe, void *buffer, size_t bytes,
                                                  int64_t deadline) WEFT_NONNULL(1);

/**
 * Claim room for a message of up to `bytes` bytes, to be written in place.
 *
 * Returns         0; -EMSGSIZE; or as weft_queue_push()
 * Context         thread or fiber; may park
 * Progress        lock-free unless it waits
 * Lifetime        item->data until weft_pipe_commit() or weft_pipe_abort()
 */
WEFT_API WEFT_NODISCARD int weft_pipe_reserve(weft_pipe *pipe, weft_item *item, size_t bytes,
                                              int64_t deadline) WEFT_NONNULL(1, 2);

/**
 * The message is complete: its first `bytes` bytes, at most what was reserved.
 *
 * Returns         0; -EINVAL the item is not open, or `bytes` is more than was reserved
 * Context         any thread of the process that reserved it
 * Order           happens-before its reception
 * Progress        wait-free, but for waking a sleeper
 */
WEFT_API int weft_pipe_commit(weft_pipe *pipe, weft_item *item, size_t bytes) WEFT_NONNULL(1, 2);

/**
 * Give the room back: there is no message.
 *
 * Returns         0; -EINVAL the item is not open
 * Context         as weft_pipe_commit()
 * Progress        as weft_pipe_commit()
 */
WEFT_API int weft_pipe_abort(weft_pipe *pipe, weft_item *item) WEFT_NONNULL(1, 2);

/**
 * Take the first message without copying, until weft_pipe_release(): as weft_queue_take().
 *
 * Returns         as weft_queue_take()
 * Context         thread or fiber; may park
 * Order           as weft_queue_pop()
 * Progress        lock-free unless it waits
 */
WEFT_API WEFT_NODISCARD int weft_pipe_take(weft_pipe *pipe, weft_item *item, int64_t deadline)
    WEFT_NONNULL(1, 2);

/**
 * Done with a taken message: as weft_queue_release().
 *
 * Returns         0; -EINVAL
 * Context         any thread of the process that took it
 * Progress        wait-free, but for waking sleepers
 */
WEFT_API int weft_pipe_release(weft_pipe *pipe, weft_item *item) WEFT_NONNULL(1, 2);

/**
 * Wait until all messages have been received or released: as weft_queue_join().
 *
 * Returns         as weft_queue_join()
 * Context         thread or fiber; may park
 * Order           as weft_queue_join()
 * Progress        blocking
 */
WEFT_API WEFT_NODISCARD int weft_pipe_join(weft_pipe *pipe, int64_t deadline) WEFT_NONNULL(1);

/**
 * End a pipe for all: as weft_queue_shutdown().
 *
 * Context         any
 * Progress        lock-free
 */
WEFT_API void weft_pipe_shutdown(weft_pipe *pipe) WEFT_NONNULL(1);

WEFT_END_DECLS
#endif
