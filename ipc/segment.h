/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.h — a piece of shared memory as one process sees it: mapped, checked, attached to. */
#ifndef WEFT_IPC_SEGMENT_H
#define WEFT_IPC_SEGMENT_H

#include <weft/base.h>

#include "alive.h"
#include "layout.h"

/* The geometry, checked once; the shared copy is never looked at again. */
typedef struct weft__geometry {
    uint32_t kind; /* enum weft__shm_kind */
    uint32_t participants;
    uint64_t elem_bytes;
    uint64_t capacity;
    uint64_t stride; /* bytes from one element or granule to the next */
    uint64_t seats;  /* offsets in the segment; 0: there is none */
    uint64_t control;
    uint64_t words;
    uint64_t body;
    uint64_t total_bytes;
} weft__geometry;

#define WEFT__SHM_PROCESSES WEFT__SHM_PAGE /* offset */

/* What somebody at a queue waits for: whoever pops for data, whoever pushes for space. */
typedef enum weft__cause { WEFT__FOR_DATA, WEFT__FOR_SPACE } weft__cause;

/* Which seat a thread uses; entries are added, and removed in a forked child only. */
typedef struct weft__thread_seat {
    uintptr_t thread;   /* its thread pointer, or 0; stored after the seat */
    uintptr_t noted[2]; /* the same, once it is noted in `callers`, by cause; stored last */
    uint32_t seat;
} weft__thread_seat;

#define WEFT__CALLERS_MANY ((uintptr_t)1)

#define WEFT__THREADS_MAX 64u

typedef struct weft__segment {
    char *base;
    weft__geometry geometry;
    weft__shm_header *header;
    weft__shm_process *processes;
    weft__shm_seat *seats;
    uint64_t member; /* this process; 0 in a forked child until it joins. Under the lock */
    weft__identity identity;
    weft__thread_seat threads[WEFT__THREADS_MAX];
    /* Who of this process has popped, and who has pushed, by cause: 0, a thread, or
     * WEFT__CALLERS_MANY, which stands for fibers too. */
    uintptr_t callers[2];
    uint64_t
        idle_seats[WEFT__SHM_PARTICIPANTS_MAX / 64 + 1]; /* ours, in no operation; a bit each */
    uint32_t is_lost;           /* the file was cut off under the mapping; see shm.c */
    uint32_t is_ours;           /* this process made it */
    int64_t looked_at;          /* when the others' lives were last looked at */
    struct weft__segment *next; /* in the list of all; under the lock */
    int fd;
    uint32_t watched;     /* the header's arrivals when all others were being watched */
    uint64_t *permits[2]; /* what a one-to-one queue's handle may do without a look; 0 in a copy */
    char name[256];       /* "" if it has none */
} weft__segment;

/* What a segment is to be; zero means what its maker chose, or the default. */
typedef struct weft__segment_spec {
    uint32_t kind;
    uint32_t participants;
    uint64_t elem_bytes;
    uint64_t capacity;
} weft__segment_spec;

/* 0 and the offsets that follow from the four numbers; -EINVAL. */
int weft__geometry_make(weft__geometry *geometry, const weft__segment_spec *spec) WEFT_NODISCARD;

/* Make one, with `fill` writing what is neither header nor zero; name NULL: it has none. 0;
 * -EEXIST, -EINVAL, -ENOMEM, or the kernel's. */
typedef void weft__segment_fill(const weft__geometry *geometry, char *base);
int weft__segment_create(weft__segment **out, const char *name, const weft__segment_spec *spec,
                         weft__segment_fill *fill) WEFT_NODISCARD;

/* Attach by name, or by a descriptor, which stays the caller's. -EPROTO: not a segment of ours, of
 * another version or damaged, or (descriptors) not sealed; -EMSGSIZE: not the sizes in `spec`. */
int weft__segment_open(weft__segment **out, const char *name,
                       const weft__segment_spec *spec) WEFT_NODISCARD;
int weft__segment_attach(weft__segment **out, int fd,
                         const weft__segment_spec *spec) WEFT_NODISCARD;

/* Leave and unmap. `is_killed`: as if the process had been killed, so that the others see to what
 * it holds. */
void weft__segment_detach(weft__segment *segment, int is_killed);

/* Remove a name. 0, -ENOENT, -EINVAL ... */
int weft__segment_unlink(const char *name) WEFT_NODISCARD;

/* The path of a name in the file system: 0 or -EINVAL. */
int weft__segment_path(const char *name, char path[static 288]) WEFT_NODISCARD;

/* The constant part of a header, checked against the size of the file. 0 or -EPROTO. */
int weft__header_check(const weft__shm_header *header, uint64_t file_bytes,
                       weft__geometry *out) WEFT_NODISCARD;

/* The attached segment that is mapped at this address, or NULL. Wait-free. */
weft__segment *weft__segment_at(const void *base);

/* The same for any address inside; for signal handlers and other slow paths. */
weft__segment *weft__segment_around(const void *address);

#endif
