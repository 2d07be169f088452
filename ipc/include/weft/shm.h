/* SPDX-License-Identifier: BSD-2-Clause */
/* shm.h — memory shared between processes, anonymous or by name.
 *
 * What is put there must hold no pointers, since each process has it at another address. Locks for
 * it are in <weft/shmsync.h>; queues, which need none, in <weft/queue.h>. */
#ifndef WEFT_SHM_H
#define WEFT_SHM_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

typedef struct weft_shm weft_shm;

/**
 * Make `bytes` bytes of zeroed shared memory, under a name ("/table") or, with NULL, without one.
 *
 * All of it is allocated at once, readable and writable by this user only. Memory without a name is
 * sealed and ends with its last user; memory with one stays until weft_shm_unlink().
 *
 * Returns         0; -EEXIST the name is taken; -EINVAL; -ENOMEM; -ENOSPC no room for shared
 *                 memory; or what else the kernel says
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        weft_shm_detach() frees the handle and unmaps the memory
 */
WEFT_API WEFT_NODISCARD int weft_shm_create(weft_shm **shm, const char *name, size_t bytes)
    WEFT_NONNULL(1);

/**
 * Attach to memory by its name.
 *
 * Returns         0; -ENOENT; -EPROTO it is something else, damaged, or of another version; -EACCES
 *                 another user's; -ENOMEM, also when 64 processes are attached
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        as for weft_shm_create()
 */
WEFT_API WEFT_NODISCARD int weft_shm_open(weft_shm **shm, const char *name) WEFT_NONNULL(1, 2);

/**
 * Attach to memory by its descriptor, received from a process that has it; it stays the caller's.
 *
 * Returns         as weft_shm_open(); -EPROTO also for memory that is not sealed against shrinking
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        as for weft_shm_create()
 */
WEFT_API WEFT_NODISCARD int weft_shm_attach(weft_shm **shm, int fd) WEFT_NONNULL(1);

/**
 * Attach to the memory of this name, or make it if nobody has: whoever comes first finds it zeroed.
 *
 * Returns         0; -EMSGSIZE it has another size; otherwise as weft_shm_open(), weft_shm_create()
 * Context         any
 * Progress        blocking: system calls
 * Lifetime        as for weft_shm_create()
 */
WEFT_API WEFT_NODISCARD int weft_shm_alloc(weft_shm **shm, const char *name, size_t bytes)
    WEFT_NONNULL(1, 2);

/**
 * Where the memory is in this process; aligned to a page.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API void *weft_shm_data(const weft_shm *shm) WEFT_NONNULL(1);

/**
 * How many bytes it has.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API size_t weft_shm_bytes(const weft_shm *shm) WEFT_NONNULL(1);

/**
 * The memory's descriptor, to be passed to another process. It stays the handle's.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API int weft_shm_fd(const weft_shm *shm) WEFT_NONNULL(1);

/**
 * Unmap the memory and free the handle; NULL is fine. Locks that this process still holds count as
 * a dead process's.
 *
 * Context         any; nobody uses the memory in this process
 * Progress        blocking: system calls
 */
WEFT_API void weft_shm_detach(weft_shm *shm);

/**
 * Remove a name. Those attached go on; the memory goes with the last of them.
 *
 * Returns         0; -ENOENT; -EINVAL
 * Context         any
 * Progress        blocking: system calls
 */
WEFT_API WEFT_NODISCARD int weft_shm_unlink(const char *name) WEFT_NONNULL(1);

/**
 * Survive named segments that somebody cuts off while they are mapped.
 *
 * Memory without a name is sealed and cannot be cut off; a file with a name can, by its owner, and
 * the kernel then ends whoever touches what is missing by SIGBUS. This call installs a handler of
 * SIGBUS that puts memory of this process's own in the place of such a segment: from then on its
 * queues answer -EPROTO, its locks are lost, and its bytes read as ones. SIGBUS for any other
 * reason goes on to whoever handled it before.
 *
 * Returns         0; or what the kernel says
 * Context         any; once for the process
 * Progress        blocking: system calls
 */
WEFT_API WEFT_NODISCARD int weft_shm_catch_truncation(void);

/* ---- what lies around ------------------------------------------------------------------------ */

#define WEFT_SHM_MEMBERS 64

/* A segment with a name, seen from outside: nobody is attached by looking. */
typedef struct weft_shm_info {
    const char *kind;      /* "memory", "queue", "one-to-one", "pipe" */
    uint64_t bytes;        /* of the whole segment */
    uint64_t elem_bytes;   /* of an element; of the longest message; 0 for memory */
    uint64_t capacity;     /* elements; granules of 64 bytes; bytes */
    uint64_t used;         /* of these, as a snapshot; 0 for memory */
    uint64_t arrivals;     /* processes that have attached so far */
    int is_closed;         /* shut down */
    int is_dead;           /* nobody alive is attached, and at least one was killed while it was */
    int is_idle;           /* nobody is attached */
    unsigned participants; /* places for members */
    unsigned member_count; /* of the following, at most WEFT_SHM_MEMBERS */
    struct {
        int pid;
        int is_dead; /* proved */
    } members[WEFT_SHM_MEMBERS];
} weft_shm_info;

/**
 * Look at a named queue, pipe or memory without attaching to it.
 *
 * Returns         0; -ENOENT; -EINVAL; -EPROTO it is not ours, damaged, or of another version;
 *                 -EACCES
 * Context         any
 * Progress        blocking: system calls
 */
WEFT_API WEFT_NODISCARD int weft_shm_inspect(const char *name, weft_shm_info *info)
    WEFT_NONNULL(1, 2);

/**
 * Call visit(name, arg) for each name there is, until it answers something else than 0.
 *
 * Returns         what it answered last; or what the kernel says
 * Context         any
 * Progress        blocking: system calls
 */
WEFT_API int weft_shm_list(int (*visit)(const char *name, void *arg), void *arg) WEFT_NONNULL(1);

/**
 * Remove a name if it is dead (weft_shm_info.is_dead), or, if `idle_too`, if nobody is attached.
 *
 * Somebody who attaches meanwhile keeps it.
 *
 * Returns         0 removed; -EBUSY it is in use, or nobody can say; otherwise as
 *                 weft_shm_inspect()
 * Context         any
 * Progress        blocking: system calls
 */
WEFT_API WEFT_NODISCARD int weft_shm_remove_dead(const char *name, int idle_too) WEFT_NONNULL(1);

WEFT_END_DECLS
#endif
