/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.h — what a pool of processes consists of, and the calls between the files of this folder.
 *
 *     board.h     the lock-free part         pool.c        made, submitted to, shut down
 *     segment.c   the shared memory          collector.c   results, deaths, time limits
 *     worker.c    the other process          seats.c       starting and replacing workers
 *     help.c      whoever waits collects */
#ifndef WEFT_FUTURES_PROCPOOL_POOL_H
#define WEFT_FUTURES_PROCPOOL_POOL_H

#include <weft/process.h>
#include <weft/procpool.h>
#include <weft/sync.h>

#include "procpool/segment.h"
#include "procpool/worker.h"

#include "future.h"
#include "room.h"
#include "sched/worker.h"

#include <pthread.h>

/* What the pool knows of a record. */
typedef struct weft__slip {
    weft_future *future; /* whose task is in the record; NULL: it is free */
    uint64_t ticket;     /* under which it was published */
    size_t large_bytes;  /* of its region that are in use; 0: the task lies in the record */
    uint32_t next_free;
    int reason; /* with which it was condemned; 0: it was not */
} weft__slip;

/* A worker's place, which several processes occupy one after the other. The collector's, apart from
 * `process` and `pid`, which the lock protects. */
typedef struct weft__seat {
    weft_process *process; /* NULL: nobody sits there */
    int pid;
    uint32_t seen; /* results collected */
} weft__seat;

struct weft_procpool {
    weft_executor executor;      /* first: what the outside sees */
    weft_procpool_config config; /* constant */
    weft__pool_segment segment;
    weft__worker_orders *orders; /* for workers; `worker` is set for each */
    size_t orders_bytes;
    uint64_t fork_count;        /* of the process that made the pool */
    int call;                   /* an eventfd that wakes the collector */
    pthread_t thread;           /* the collector's */
    uint32_t collecting;        /* a lock that is only tried: somebody collects results */
    uint32_t is_stopping;       /* the collector shall return */
    struct weft_procpool *next; /* of all pools; the list's lock protects it, and `helpers` */
    unsigned helpers;           /* threads that look for results while they wait */

    weft_mutex lock; /* protects the rest */
    uint64_t next_ticket;
    uint32_t first_free;      /* of the slips */
    weft_task *first_pending; /* futures that wait for a record, by their heads */
    weft_task *last_pending;
    weft__room room;    /* submissions that have not ended */
    int is_closed;      /* submissions are refused */
    int is_broken;      /* no worker can begin; the status of the one that failed */
    int failures;       /* workers in a row that ended before they were ready */
    int is_off_guard;   /* the collector has seen no task that the limit may end, and may sleep */
    weft_future *ended; /* a promise, kept when it is closed and nothing lives; or NULL */
    const weft_task_type *types[WEFT__TYPES_MAX]; /* those in the segment's table */
    uint32_t type_count;
    weft__slip *slips;
    weft__seat *seats;
};

/* Futures to be ended without the lock, since callbacks run then; linked by their heads. */
typedef struct weft__refused {
    weft_task *first; /* the code is in the head's state */
    const char *why;
    size_t ended; /* submissions that have ended by now, these and others; to be counted */
} weft__refused;

/* What the end of submissions leads to, to be done without the lock. */
typedef struct weft__news {
    weft__guest *served; /* for weft__room_wake(): they have places now */
    weft_future *ended;  /* for weft__procpool_tell(), in the end: the pool may be gone after it */
} weft__news;

/* ---- pool.c ---------------------------------------------------------------------------------- */

/* With the lock: hang up what has a record; returns how many workers may be needed for it. */
unsigned weft__procpool_dispatch(weft_procpool *pool, weft__refused *refused);

/* Without: end what dispatch refused, and wake up to `count` workers. */
void weft__procpool_refuse(weft__refused *refused);
void weft__procpool_wake(weft_procpool *pool, unsigned count);

/* With the lock: the record is free; its task has ended. */
void weft__procpool_free(weft_procpool *pool, uint32_t index);

/* With the lock: `count` submissions have ended, and their places are given to whoever waits. */
weft__news weft__procpool_end(weft_procpool *pool, size_t count);

/* If that was the last of a pool that is closed, whoever waits for it is told; the pool may be gone
 * after that. */
void weft__procpool_tell(weft_future *ended);

/* Both of them, for a caller who has not got the lock. */
void weft__procpool_count_ended(weft_procpool *pool, size_t count);

/* Break the pool: what has not begun fails. */
void weft__procpool_break(weft_procpool *pool, int status);

/* Nonzero: the caller is the pool's own thread. */
int weft__procpool_is_collector(const weft_procpool *pool);

/* Kill the process that runs the record's task, which fails with `reason`. With the lock. */
int weft__procpool_condemn(weft_procpool *pool, uint32_t index, int reason);

/* ---- collector.c ----------------------------------------------------------------------------- */

void *weft__procpool_collect_for_ever(void *pool);

/* Collect what there is, unless somebody does: how many results. */
size_t weft__procpool_collect(weft_procpool *pool);

/* Collect all that the worker has put into its ring. */
void weft__procpool_drain(weft_procpool *pool, uint32_t number);

/* One round of the collector: results, or a sleep, deaths, limits. */
void weft__procpool_step(weft_procpool *pool);

/* ---- help.c ---------------------------------------------------------------------------------- */

/* From here on, until it leaves, threads may help the pool. */
void weft__procpool_enter(weft_procpool *pool);
void weft__procpool_leave(weft_procpool *pool);

/* ---- seats.c --------------------------------------------------------------------------------- */

/* Start processes for `count` seats: 0 or -errno, and some may have been started. */
int weft__procpool_seat(weft_procpool *pool, uint32_t first, uint32_t count);

/* The process of the seat is dead: its task fails, another takes its place. */
void weft__procpool_bury(weft_procpool *pool, uint32_t number);

/* Tell all workers to end, those too that begin from now on. */
void weft__procpool_close(weft_procpool *pool);

/* Wait until they have. No thread collects any more. */
void weft__procpool_dismiss(weft_procpool *pool);

#endif
