/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.h — the memory a pool shares with its workers: the board, the kinds of tasks, and a
 * region of its own for every record, for tasks that are too large for the record itself.
 *
 *     words │ desks │ entries │ result rings │ records │ types │ region 0 │ region 1 │ ...
 *
 * The file is in memory, without a name, and sealed: it can neither shrink nor grow, so nobody can
 * be made to touch what is not there. Regions are address space; a page of one is memory only from
 * its first use until the pool gives it back. Hence a task of any size has a place, at an address
 * that both sides compute, and no allocator is needed that a kill could leave in pieces. */
#ifndef WEFT_FUTURES_PROCPOOL_SEGMENT_H
#define WEFT_FUTURES_PROCPOOL_SEGMENT_H

#include "procpool/board.h"

#include "process/image.h"

#define WEFT__TYPES_MAX 256u

/* The kinds of tasks that have been submitted so far. Only grows, and its memory with it: few
 * programs have more than some, and memory for all took a tenth of the time of a small pool. */
typedef struct weft__types {
    uint32_t count; /* the pool's */
    weft__symbol all[WEFT__TYPES_MAX];
} weft__types;

/* What both sides must agree on; a worker is told in private. */
typedef struct weft__geometry {
    uint32_t record_count; /* a power of two */
    uint32_t worker_count;
    uint64_t region_bytes; /* of each record's region; a multiple of the page size */
} weft__geometry;

typedef struct weft__pool_segment {
    weft__board board;
    weft__types *types;
    unsigned char *regions;
    weft__geometry geometry;
    int file;
    void *memory;
    size_t bytes;
} weft__pool_segment;

/* Make a segment: 0; -ENOMEM, -EMFILE ... */
int weft__pool_segment_create(weft__pool_segment *segment, const weft__geometry *geometry);

/* See a segment whose file another process has made: 0 or -errno. */
int weft__pool_segment_attach(weft__pool_segment *segment, const weft__geometry *geometry,
                              int file);

void weft__pool_segment_destroy(weft__pool_segment *segment);

/* Where the struct of a record's task lies. */
WEFT__INLINE void *weft__pool_segment_task(const weft__pool_segment *segment, uint32_t index,
                                           int is_large)
{
    if (is_large)
        return segment->regions + (size_t)index * segment->geometry.region_bytes;
    return segment->board.records[index].task;
}

/* Make sure that there is memory for the first `bytes` bytes of a region: 0, -ENOMEM, -ENOSPC. */
int weft__pool_segment_reserve(weft__pool_segment *segment, uint32_t index, size_t bytes);

/* The same for the place of one kind of task. */
int weft__pool_segment_reserve_type(weft__pool_segment *segment, uint32_t number);

/* Give the memory of a region back. */
void weft__pool_segment_release(weft__pool_segment *segment, uint32_t index, size_t bytes);

/* ---- bells: words in shared memory that processes sleep on ----------------------------------- */

/* Sleep while *bell == seen, or for no reason. */
void weft__bell_wait(const uint32_t *bell, uint32_t seen);

/* Change the bell and wake whoever sleeps on it. */
void weft__bell_ring(uint32_t *bell);

#endif
