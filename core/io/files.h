/* SPDX-License-Identifier: BSD-2-Clause */
/* files.h — what a runtime knows of the files its fibers wait for, whichever reactor watches them.
 *
 * Every descriptor number has a record that stays for the life of the runtime, so an event that
 * comes late never meets freed memory: at worst it says that something may be ready which is not,
 * and everybody who is woken tries again anyway.
 *
 * An *adopted* file (made by weft, or given to weft_adopt()) is non-blocking, is registered once,
 * edge-triggered, and remembers whether it may be ready, which spares most system calls that would
 * only say EAGAIN. Any other file may be closed behind our back; it is armed anew for each wait.
 *
 * Of an adopted file it helps to know the kind. A TCP socket that gives less than asked for is dry,
 * until an event says that more has come; there need not be another try that says EAGAIN. Others
 * end a transfer early although there is more: at a message's end, at a descriptor that is passed
 * along, a pipe in packet mode. So does TCP at urgent data: a socket that has seen some is ANY. */
#ifndef WEFT_IO_FILES_H
#define WEFT_IO_FILES_H

#include "sched/worker.h"

#define WEFT__READ 0u
#define WEFT__WRITE 1u

/* Kinds of adopted files; the first is always right. */
#define WEFT__ANY 0u
#define WEFT__TCP 1u
#define WEFT__NO_SOCKET 2u

/* One direction of a file. */
typedef struct weft__side {
    uint32_t may;  /* adopted: 0 once it has said EAGAIN or given all it had, until an event */
    uint32_t gone; /* the peer is, and there is always an answer: so many events have said so */
    weft__waiter *first; /* fibers that wait, first come first served; under the lock */
    weft__waiter *last;
} weft__side;

/* A fiber that goes on when the kernel has let go of the file, as it was registered once. */
typedef struct weft__hold {
    weft__waiter waiter;
    uint32_t registered;
    struct weft__hold *next;
} weft__hold;

typedef struct weft__file {
    int fd;
    uint32_t lock;       /* guards what is below, but for `may` */
    uint32_t is_adopted; /* others read it */
    uint32_t kind;       /* of an adopted one; others read it */
    uint32_t generation; /* closed half as many times; odd: it is being closed */
    uint32_t registered; /* the reactor's: not 0, the kernel watches the file, or still holds it */
    uint32_t unbroken;   /* transfers since somebody had to wait; not under the lock */
    weft__side sides[2];
    weft__hold *holds;
} weft__file;

#ifndef WEFT__FILE_CHUNK /* models have little room */
#define WEFT__FILE_CHUNK 1024u
#define WEFT__FILE_CHUNKS 4096u /* four million descriptors */
#endif

#ifndef WEFT__FILE_LOOKS     /* nor much time */
#define WEFT__FILE_LOOKS 64u /* of who waits for the kernel to let go, before it parks */
#endif

typedef struct weft__files weft__files;

/* A reactor with files; each kind adds its own behind it. */
struct weft__files {
    weft__reactor reactor;

    /* The file's lock is held. Watch it for those who wait: 0 or a negative errno. An adopted file
     * is watched from the first time on; then it is `registered`. */
    int (*arm)(weft__files *files, weft__file *file);
    /* The file's lock is held, and nobody waits: watch it no longer. It may be that `registered`
     * becomes 0 only later, by a poll. */
    void (*forget)(weft__files *files, weft__file *file);

    int holds_open; /* what is watched stays open, also when its descriptor is closed */

    uint64_t fork_count;                   /* of the process that it belongs to */
    weft__files *next;                     /* of all runtimes */
    weft__file *chunks[WEFT__FILE_CHUNKS]; /* made when needed, kept */
};

/* The calling worker's files: NULL in a plain thread, or if there are none yet. */
WEFT__INLINE weft__files *weft__files_here(void)
{
    const weft__worker *worker = weft__worker_self();
    /* edge idle.files (acquire): as it was made */
    return worker != NULL ? (weft__files *)(void *)weft__load_acquire(&worker->runtime->reactor)
                          : NULL;
}

/* The same, made at the first call: NULL in a plain thread, or without memory; `*rc` says which: 0
 * or a negative errno. */
weft__files *weft__files_self(int *rc);

/* The record of `fd`; NULL: no memory, or a number beyond all limits. */
weft__file *weft__files_get(weft__files *files, int fd);

/* The same if there is one already. */
WEFT__INLINE weft__file *weft__files_find(weft__files *files, int fd)
{
    unsigned chunk = (unsigned)fd / WEFT__FILE_CHUNK; /* a negative one is too large */
    if (chunk >= WEFT__FILE_CHUNKS)
        return NULL;
    /* edge file.chunk (acquire): the records as they were made */
    weft__file *records = weft__load_acquire(&files->chunks[chunk]);
    return records != NULL ? &records[(unsigned)fd % WEFT__FILE_CHUNK] : NULL;
}

/* The side's `gone` was `seen` before a try that has found nothing: so the peer is back, as that of
 * a pipe which is opened once more, or of a socket which connects again. */
void weft__side_is_back(weft__side *side, uint32_t seen);

/* For reactors: of the sides that are set in `ready` (1 << WEFT__READ …) one waiter each has to be
 * made runnable, of those set in `gone` all; they are added in front of `*chain`. */
void weft__file_ready(weft__files *files, weft__file *file, unsigned ready, unsigned gone,
                      weft_task **chain);

/* The same from an event mask of poll(2), which is that of epoll(7) as well. */
void weft__file_event(weft__files *files, weft__file *file, unsigned events, weft_task **chain);

/* For reactors: those who still wait have to be armed for once more. */
void weft__file_rearm(weft__files *files, weft__file *file);

/* For reactors: what was `registered` as this is over. If it still is, the kernel watches the file
 * no longer, and those who wait are armed for once more. Who waited for this end has to be made
 * runnable, and is added in front of `*chain`. */
void weft__file_unwatched(weft__files *files, weft__file *file, uint32_t registered,
                          weft_task **chain);

/* For reactors that are about to end: nobody who closes a file will ask them any more, and they
 * watch none. */
void weft__files_retire(weft__files *files);

/* Wait until one of the `sides` (1 << WEFT__READ …) may be ready: 0; -ETIMEDOUT, -ECANCELED; -EBADF
 * closed meanwhile; -EPERM a file that is always ready, in its own way; other errors of the kernel.
 * A worker's fiber only. */
int weft__file_wait(weft__files *files, weft__file *file, unsigned sides, int64_t deadline_ns);

/* After an operation that succeeded: let the next who waits on that side try as well. */
void weft__file_pass_on(weft__files *files, weft__file *file, unsigned side);

/* The descriptor is non-blocking, and weft_close() alone will close it: 0 or a negative errno. */
int weft__files_adopt(int fd, unsigned kind);

/* Whether the calling worker's files have `fd` as adopted; then `*kind` is its kind. */
int weft__files_know(int fd, unsigned *kind);

/* Wake everybody with -EBADF, in all runtimes, and close the descriptor: 0 or a negative errno. */
int weft__files_close(int fd);

void weft__files_init(weft__files *files);
void weft__files_free(weft__files *files);

/* The two kinds; NULL: `*rc` says why, -ENOSYS if this kernel does not have it. */
weft__files *weft__files_epoll_new(int *rc);
weft__files *weft__files_uring_new(unsigned workers, int *rc);

#endif
