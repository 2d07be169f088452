/* SPDX-License-Identifier: BSD-2-Clause */
/* board.h — tasks on a board in shared memory: the pool hangs them up, workers take them.
 *
 * One process writes (its threads one at a time, under a lock), any number of processes take; each
 * of those may be killed between any two instructions and must leave nothing behind that stops the
 * others, and no doubt about which task it had. So a task is taken by one compare-and-swap on the
 * task's own record that puts the taker's number into it. Everything else is a hint that anybody
 * may correct:
 *
 *     head ──► entry[head % n] = ticket │ record      in the order of publication
 *                                  │
 *                                  ▼
 *     record.state:  FREE ─► QUEUED,t ─► RUNNING,w,t ─► DONE,w,t ─► FREE
 *                               │            │
 *                               ▼            ▼
 *                           WITHDRAWN,t   CONDEMNED,w,t ─► FREE       (the pool's decisions)
 *
 * A ticket is the position in the order of publication, from 1, and never comes again, so a swap
 * that expects QUEUED with a ticket succeeds once in the life of the board. `head` may lag behind:
 * whoever finds that the record at `head` is not QUEUED under that ticket moves `head` on, also for
 * a worker that was killed before it could.
 *
 * The end of a task is a swap too, RUNNING to DONE: the pool may condemn a task that runs (it was
 * cancelled, or its time is over) and then kills its worker. If the worker finishes first, the pool
 * loses the swap and kills nobody; if the pool is first, the worker takes no other task, so that no
 * innocent one dies with it.
 *
 * A ring whose slots are claimed by position needs to find out who owned a position that was never
 * filled; here the claim itself carries the owner's name. That costs a second swap for each task,
 * and buys cancellation of tasks that wait on the board.
 *
 * Results come back over one small ring for each worker. It has as many slots as there are records,
 * so it is never full, and needs no index of the reader's in shared memory. A worker that dies
 * between DONE and its entry in that ring is found by looking through the records.
 *
 * This file is the lock-free part; it knows nothing of processes, futures or system calls. */
#ifndef WEFT_FUTURES_PROCPOOL_BOARD_H
#define WEFT_FUTURES_PROCPOOL_BOARD_H

#include <weft/atomic.h>
#include <weft/base.h>

#include "hooks.h"

#define WEFT__BOARD_WORKERS_MAX 256u
#define WEFT__BOARD_NONE UINT32_MAX

/* The phases of a record. */
typedef enum weft__phase {
    WEFT__TASK_FREE = 0,
    WEFT__TASK_QUEUED,
    WEFT__TASK_RUNNING,
    WEFT__TASK_DONE,
    WEFT__TASK_WITHDRAWN,
    WEFT__TASK_CONDEMNED,
} weft__phase;

/* state = ticket:48 │ worker:12 │ phase:4 */
#define WEFT__TASK_STATE(phase, worker, ticket)                                                    \
    ((uint64_t)(ticket) << 16 | (uint64_t)(worker) << 4 | (uint64_t)(phase))
#define WEFT__TASK_PHASE(state) ((weft__phase)((state)&15))
#define WEFT__TASK_WORKER(state) ((uint32_t)(state) >> 4 & 0xfff)
#define WEFT__TASK_TICKET(state) ((state) >> 16)

/* entry = ticket:48 │ record:16 */
#define WEFT__BOARD_ENTRY(ticket, record) ((uint64_t)(ticket) << 16 | (uint64_t)(record))
#define WEFT__BOARD_RECORDS_MAX 32768u

#define WEFT__RECORD_BYTES 256
#define WEFT__RECORD_INLINE_BYTES 224
#define WEFT__RECORD_INLINE_ALIGN 32

/* One task. Two lines are touched by a small one, of which the first is enough if the struct of the
 * task has 32 bytes. */
typedef struct weft__record {
    uint64_t state;    /* see above */
    int64_t begun_ns;  /* RUNNING: since when; written by the worker after it has taken the task, if
                        * there is a limit */
    uint32_t type;     /* index in the table of types; the pool's, constant while not FREE */
    int32_t code;      /* DONE: 0, or the negative errno that the task failed with; the worker's */
    uint32_t is_large; /* the task's struct lies in the record's own region; the pool's */
    uint32_t message_bytes; /* DONE with a code: of the message, which lies in `task` */
    unsigned char task[WEFT__RECORD_INLINE_BYTES]; /* the struct of the task, or a message */
} weft__record;

/* What a worker tells, on lines of its own. */
typedef struct weft__desk {
    uint32_t bell;       /* what it sleeps on; changed by whoever wakes it */
    uint32_t is_ready;   /* it has been initialised; the worker's */
    uint32_t is_retired; /* it ends of its own will, between two tasks; the worker's */
    char line0_[128 - 3 * sizeof(uint32_t)];
    uint32_t
        done_tail; /* results that it has put into its ring; the worker's, counts on for ever */
    uint32_t is_listened; /* the pool may sleep and wants to be woken; it sets, the worker takes */
    char line1_[128 - 2 * sizeof(uint32_t)];
} weft__desk;

/* The words of the board that all share. */
typedef struct weft__board_words {
    uint64_t head; /* the oldest ticket that may still be QUEUED: a lower bound; from 1 on */
    char line0_[128 - sizeof(uint64_t)];
    uint64_t asleep[WEFT__BOARD_WORKERS_MAX / 64]; /* a bit for each worker that sleeps */
    char line1_[128 - WEFT__BOARD_WORKERS_MAX / 8];
    uint32_t is_closing; /* the pool's: workers shall end; those who look for tasks look at it */
    char line2_[128 - sizeof(uint32_t)];
} weft__board_words;

_Static_assert(sizeof(weft__record) == WEFT__RECORD_BYTES, "a record is four lines");
_Static_assert(sizeof(weft__desk) == 256, "a worker's words are on lines of their own");
_Static_assert(sizeof(weft__board_words) == 384, "so are the board's");

/* How one process sees the board: addresses in its own memory, and the geometry, which it was told
 * in private and never reads from shared memory. */
typedef struct weft__board {
    weft__board_words *words;
    weft__desk *desks;
    uint64_t *entries; /* `record_count` */
    uint32_t *done;    /* `record_count` for each worker */
    weft__record *records;
    uint32_t record_count; /* a power of two */
    uint32_t worker_count;
    uint64_t head_seen; /* the pool's: what `head` was when it was last looked at */
} weft__board;

/* ---- the pool's side: one thread at a time --------------------------------------------------- */

/* Hang a FREE record up, filled in, under the next ticket. */
WEFT__INLINE void weft__board_publish(weft__board *board, uint32_t index, uint64_t ticket)
{
    weft__record *record = &board->records[index];
    /* relaxed: nobody looks at the record before the entry is there, except whoever holds an older
     * ticket of it, and that one is refused by either value */
    weft__store_relaxed(&record->state, WEFT__TASK_STATE(WEFT__TASK_QUEUED, 0, ticket));
    /* edge board.publish (release): the task and its state, for whoever takes it. Workers that look
     * for tasks take the line away, and the pool need not wait until it has it back: sleepers are
     * looked for once, after all that was hung up together */
    weft__store_release(&board->entries[ticket & (board->record_count - 1)],
                        WEFT__BOARD_ENTRY(ticket, index));
}

/* A worker that sleeps, which the caller has to wake by its bell; or WEFT__BOARD_NONE. */
WEFT__INLINE uint32_t weft__board_pick_sleeper(weft__board *board)
{
    for (uint32_t i = 0; i * 64 < board->worker_count; i++) {
        /* edge board.sleep (acq_rel, for its release): the entries, for whoever falls asleep after
         * this step; it changes nothing, but a mere load might come before they are seen */
        uint64_t asleep = weft__fetch_add_acq_rel(&board->words->asleep[i], 0);
        while (asleep != 0) {
            uint32_t bit = (uint32_t)__builtin_ctzll(asleep);
            /* relaxed: it only decides who wakes */
            if (weft__cas_relaxed(&board->words->asleep[i], &asleep,
                                  asleep & ~(UINT64_C(1) << bit)))
                return i * 64 + bit;
        }
    }
    return WEFT__BOARD_NONE;
}

/* Nonzero: there is a place for the next entry. `head` only grows, and workers have its line, so it
 * is looked at once in many entries. */
WEFT__INLINE int weft__board_has_place(weft__board *board, uint64_t next_ticket)
{
    if (next_ticket - board->head_seen < board->record_count)
        return 1;
    board->head_seen = weft__load_relaxed(&board->words->head); /* relaxed: a lower bound */
    return next_ticket - board->head_seen < board->record_count;
}

/* Move `head` past tasks that are taken or withdrawn. */
WEFT__INLINE void weft__board_tidy(weft__board *board)
{
    for (;;) {
        uint64_t head = weft__load_relaxed(&board->words->head); /* relaxed: a hint */
        /* relaxed: we have written it */
        uint64_t entry = weft__load_relaxed(&board->entries[head & (board->record_count - 1)]);
        uint32_t index = (uint32_t)entry & 0xffff;
        if (entry >> 16 != head || index >= board->record_count)
            return;
        uint64_t queued = WEFT__TASK_STATE(WEFT__TASK_QUEUED, 0, head);
        if (weft__load_relaxed(&board->records[index].state) == queued) /* relaxed: a hint */
            return;
        (void)weft__cas_relaxed(&board->words->head, &head, head + 1); /* relaxed: a hint */
    }
}

/* Take a task back that nobody has begun: nonzero, and it will never run. */
WEFT__INLINE int weft__board_withdraw(weft__board *board, uint32_t index, uint64_t ticket)
{
    uint64_t queued = WEFT__TASK_STATE(WEFT__TASK_QUEUED, 0, ticket);
    /* relaxed: it decides between us and a worker; nothing of the worker's will be looked at */
    return weft__cas_relaxed(&board->records[index].state, &queued,
                             WEFT__TASK_STATE(WEFT__TASK_WITHDRAWN, 0, ticket));
}

/* Forbid a task that runs to end: nonzero, and its worker, *worker, is to be killed. */
WEFT__INLINE int weft__board_condemn(weft__board *board, uint32_t index, uint64_t ticket,
                                     uint32_t *worker)
{
    uint64_t state =
        weft__load_relaxed(&board->records[index].state); /* relaxed: the swap decides */
    if (WEFT__TASK_PHASE(state) != WEFT__TASK_RUNNING || WEFT__TASK_TICKET(state) != ticket)
        return 0;
    uint32_t holder = WEFT__TASK_WORKER(state);
    /* relaxed: either it ends or it is condemned; what it has done is not looked at */
    if (!weft__cas_relaxed(&board->records[index].state, &state,
                           WEFT__TASK_STATE(WEFT__TASK_CONDEMNED, holder, ticket)))
        return 0;
    *worker = holder;
    return 1;
}

/* The next record that the worker has put into its ring, after *seen of them; or none. Wants to
 * be called until there is none. */
WEFT__INLINE uint32_t weft__board_collect(weft__board *board, uint32_t worker, uint32_t *seen)
{
    /* edge board.done (acquire): the result
     * edge board.listen (seq_cst): after the pool has said that it listens */
    if (weft__load_seq_cst(&board->desks[worker].done_tail) == *seen)
        return WEFT__BOARD_NONE;
    uint32_t *ring = &board->done[(size_t)worker * board->record_count];
    uint32_t index = weft__load_relaxed(&ring[(*seen)++ & (board->record_count - 1)]);
    return index < board->record_count ? index : WEFT__BOARD_NONE - 1; /* nonsense is told apart */
}

/* The record's task has ended, and its result is not needed any more. */
WEFT__INLINE void weft__board_free(weft__board *board, uint32_t index)
{
    /* relaxed: whoever expects a ticket of it is refused by any other value */
    weft__store_relaxed(&board->records[index].state, WEFT__TASK_STATE(WEFT__TASK_FREE, 0, 0));
}

/* The worker is dead, and all that it had put into its ring was collected. Find the record that it
 * had taken, or none; put what it had finished, but not yet into its ring, there. */
WEFT__INLINE uint32_t weft__board_bury(weft__board *board, uint32_t worker)
{
    weft__desk *desk = &board->desks[worker];
    uint32_t *ring = &board->done[(size_t)worker * board->record_count];
    uint32_t tail = weft__load_relaxed(&desk->done_tail); /* relaxed: nobody sits there */
    uint32_t victim = WEFT__BOARD_NONE;
    for (uint32_t i = 0; i < board->record_count; i++) {
        /* relaxed: its death, of which the kernel has told us, comes after all that it wrote */
        uint64_t state = weft__load_relaxed(&board->records[i].state);
        weft__phase phase = WEFT__TASK_PHASE(state);
        if (phase == WEFT__TASK_FREE || WEFT__TASK_WORKER(state) != worker)
            continue;
        if (phase == WEFT__TASK_RUNNING || phase == WEFT__TASK_CONDEMNED)
            victim = i;
        else if (phase == WEFT__TASK_DONE) /* relaxed: published by the tail */
            weft__store_relaxed(&ring[tail++ & (board->record_count - 1)], i);
    }
    /* edge board.done (release): for whoever collects */
    weft__store_release(&desk->done_tail, tail);
    return victim;
}

/* Ask the worker to wake the pool at its next result. Collect once more before sleeping. */
WEFT__INLINE void weft__board_listen(weft__board *board, uint32_t worker)
{
    /* edge board.listen (seq_cst): before the last look at the ring */
    weft__store_seq_cst(&board->desks[worker].is_listened, 1u);
}

/* ---- a worker's side ------------------------------------------------------------------------- */

/* Take the oldest task: its record, RUNNING in this worker's name; or none. */
WEFT__INLINE uint32_t weft__board_take(weft__board *board, uint32_t worker)
{
    for (;;) {
        uint64_t head =
            weft__load_relaxed(&board->words->head); /* relaxed: the entry is compared */
        /* edge board.publish (acquire): the task */
        uint64_t entry = weft__load_acquire(&board->entries[head & (board->record_count - 1)]);
        if (entry >> 16 != head) {
            if (entry >> 16 < head)
                return WEFT__BOARD_NONE; /* not published yet */
            continue;                    /* `head` has moved a whole round since */
        }
        uint32_t index = (uint32_t)entry & 0xffff;
        if (index >= board->record_count)
            return WEFT__BOARD_NONE; /* somebody has scribbled over the board */
        uint64_t queued = WEFT__TASK_STATE(WEFT__TASK_QUEUED, 0, head);
        /* relaxed: it decides who has the task; the entry has shown us what that is */
        int is_ours = weft__cas_relaxed(&board->records[index].state, &queued,
                                        WEFT__TASK_STATE(WEFT__TASK_RUNNING, worker, head));
        WEFT_CRASH_POINT(2);
        (void)weft__cas_relaxed(&board->words->head, &head, head + 1); /* relaxed: a hint */
        WEFT_CRASH_POINT(3);
        if (is_ours)
            return index;
    }
}

/* Nonzero: there may be a task. For a worker that has said that it sleeps. */
WEFT__INLINE int weft__board_has_task(weft__board *board)
{
    uint64_t head = weft__load_relaxed(&board->words->head); /* relaxed: a lower bound */
    /* relaxed: only compared. Who has just set its bit sees what was hung up before the look that
     * missed the bit */
    uint64_t entry = weft__load_relaxed(&board->entries[head & (board->record_count - 1)]);
    return entry >> 16 >= head;
}

/* Set or clear this worker's bit among the sleepers. */
WEFT__INLINE void weft__board_sleep(weft__board *board, uint32_t worker, int is_asleep)
{
    uint64_t *word = &board->words->asleep[worker / 64];
    uint64_t bit = UINT64_C(1) << worker % 64;
    uint64_t seen = weft__load_relaxed(word); /* relaxed: the swap decides */
    /* edge board.sleep (acquire): entries that were hung up before the pool's last step here */
    while (!weft__cas_acquire(word, &seen, is_asleep ? seen | bit : seen & ~bit))
        continue;
}

/* A task has been run and its result is in the record. Zero: it was condemned meanwhile, and this
 * worker is about to be killed. */
WEFT__INLINE int weft__board_end(weft__board *board, uint32_t worker, uint32_t index)
{
    weft__record *record = &board->records[index];
    uint64_t state = weft__load_relaxed(&record->state); /* relaxed: we wrote it */
    uint64_t ticket = WEFT__TASK_TICKET(state);
    uint64_t running = WEFT__TASK_STATE(WEFT__TASK_RUNNING, worker, ticket);
    /* relaxed: the tail publishes the result; if we die before that, our death does */
    if (!weft__cas_relaxed(&record->state, &running,
                           WEFT__TASK_STATE(WEFT__TASK_DONE, worker, ticket)))
        return 0;
    WEFT_CRASH_POINT(4);
    weft__desk *desk = &board->desks[worker];
    uint32_t tail = weft__load_relaxed(&desk->done_tail); /* relaxed: ours */
    uint32_t *ring = &board->done[(size_t)worker * board->record_count];
    /* relaxed: published by the tail */
    weft__store_relaxed(&ring[tail & (board->record_count - 1)], index);
    WEFT_CRASH_POINT(5);
    /* edge board.done (release): the result and the ring's slot
     * edge board.listen (seq_cst): before the look whether the pool sleeps */
    weft__store_seq_cst(&desk->done_tail, tail + 1);
    WEFT_CRASH_POINT(6);
    return 1;
}

/* Nonzero: there may be a call to make. A hint. */
WEFT__INLINE int weft__board_is_listened(const weft__board *board, uint32_t worker)
{
    return weft__load_relaxed(&board->desks[worker].is_listened) != 0; /* relaxed: a hint */
}

/* Nonzero: the pool has collected the result that the worker has put into its ring for this ticket,
 * so nobody has to be woken for it. */
WEFT__INLINE int weft__board_is_collected(const weft__board *board, uint32_t worker, uint32_t index,
                                          uint64_t ticket)
{
    /* relaxed: nothing else of the record is looked at */
    return weft__load_relaxed(&board->records[index].state) !=
           WEFT__TASK_STATE(WEFT__TASK_DONE, worker, ticket);
}

/* Nonzero: the pool sleeps, and the caller has to wake it. */
WEFT__INLINE int weft__board_must_call(weft__board *board, uint32_t worker)
{
    weft__desk *desk = &board->desks[worker];
    /* edge board.listen (seq_cst): after the result */
    if (weft__load_seq_cst(&desk->is_listened) == 0)
        return 0;
    weft__store_relaxed(&desk->is_listened, 0); /* relaxed: only we take it, the pool sets it */
    return 1;
}

#endif
