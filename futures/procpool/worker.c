/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c — a process that takes tasks from the board and runs them, one after the other.
 *
 * The struct of a task lies in shared memory and is run where it lies: arguments are not copied in,
 * results not out. A task that fails leaves its code and its message in the record instead.
 *
 * An idle worker looks for a while, since a sleeping one costs the next task some tens of
 * microseconds; then it sleeps until its bell rings. It needs no time-out: it is daemonic, so it
 * ends when the pool's process does. */
#include "procpool/worker.h"

#include "future.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define LOOKS 64 /* between two looks at the clock */
#define STATUS_CANNOT_BEGIN 125

static struct {
    weft__pool_segment segment;
    uint32_t number; /* which worker this is */
    int call;        /* an eventfd that wakes the pool */
    int is_timed;    /* somebody wants to know since when a task runs */
    const weft_task_type *types[WEFT__TYPES_MAX]; /* found so far */
} worker;

/* ---- one task -------------------------------------------------------------------------------- */

static const weft_task_type *find_type(uint32_t number)
{
    uintptr_t address;
    /* edge board.types (acquire): the symbol */
    if (number >= WEFT__TYPES_MAX || number >= weft__load_acquire(&worker.segment.types->count))
        return NULL;
    if (worker.types[number] == NULL &&
        weft__image_resolve(&worker.segment.types->all[number], &address) == 0)
        worker.types[number] = (const weft_task_type *)address;
    return worker.types[number];
}

static void keep_error(weft__record *record, uintptr_t error, const weft_site *site)
{
    weft_error value;
    weft__error_read(error, site, &value);
    size_t bytes = strlen(value.message);
    if (bytes > sizeof(record->task))
        bytes = sizeof(record->task);
    memcpy(record->task, value.message, bytes);
    record->message_bytes = (uint32_t)bytes;
    record->code = value.code;
    weft__error_drop(error);
}

/* Run the task where it lies. */
static void run(weft__record *record, uint32_t index)
{
    const weft_task_type *type = find_type(record->type);
    record->code = 0;
    record->message_bytes = 0;
    if (type == NULL) {
        record->code = -EPROTO;
        return;
    }
    weft_site site = {.type = type, .file = type->file, .line = type->line};
    uintptr_t error = weft__future_call(
        &site, weft__pool_segment_task(&worker.segment, index, record->is_large != 0));
    if (error != WEFT__ERROR_NONE)
        keep_error(record, error, &site);
}

/* Nonzero: somebody who waits for the result has collected it, in the time that a call would take.
 * He may be waiting for this very processor. */
static int is_collected(uint32_t index, uint64_t ticket)
{
    const weft__board *board = &worker.segment.board;
    for (int i = 0; i < LOOKS; i++) {
        if (weft__board_is_collected(board, worker.number, index, ticket))
            return 1;
        weft__relax();
    }
    (void)sched_yield();
    return weft__board_is_collected(board, worker.number, index, ticket);
}

static void call_pool(uint32_t index, uint64_t ticket)
{
    weft__board *board = &worker.segment.board;
    uint64_t one = 1;
    if (!weft__board_has_task(board) && weft__board_is_listened(board, worker.number) &&
        is_collected(index, ticket))
        return;
    if (weft__board_must_call(board, worker.number))
        (void)!write(worker.call, &one, sizeof(one));
}

static void do_task(uint32_t index)
{
    weft__record *record = &worker.segment.board.records[index];
    if (worker.is_timed) /* relaxed: a pool that reads it too early merely looks again */
        weft__store_relaxed(&record->begun_ns, weft_now());
    run(record, index);
    uint64_t ticket = WEFT__TASK_TICKET(weft__load_relaxed(&record->state)); /* relaxed: ours */
    if (!weft__board_end(&worker.segment.board, worker.number, index))
        for (;;)
            (void)pause(); /* condemned: the pool is about to kill us */
    call_pool(index, ticket);
}

/* ---- between tasks --------------------------------------------------------------------------- */

static int is_closing(void)
{
    return weft__load_relaxed(&worker.segment.board.words->is_closing) != 0;
}

/* Look for a task until `spin_ns` is over: its record, or none. */
static uint32_t look(int64_t spin_ns)
{
    int64_t end = 0;
    for (;;) {
        for (int i = 0; i < LOOKS; i++) {
            uint32_t index = weft__board_take(&worker.segment.board, worker.number);
            if (index != WEFT__BOARD_NONE || is_closing())
                return index;
            weft__relax();
        }
        (void)sched_yield(); /* whoever waits for the last result may be on our processor */
        int64_t now = weft_now();
        if (end == 0)
            end = now + spin_ns;
        if (now >= end)
            return WEFT__BOARD_NONE;
    }
}

/* Sleep until there may be a task, or the pool closes. */
static void doze(void)
{
    weft__board *board = &worker.segment.board;
    uint32_t *bell = &board->desks[worker.number].bell;
    /* edge board.bell (acquire): whatever was rung for; a ring from here on changes it */
    uint32_t seen = weft__load_acquire(bell);
    weft__board_sleep(board, worker.number, 1);
    if (!weft__board_has_task(board) && !is_closing())
        weft__bell_wait(bell, seen);
    weft__board_sleep(board, worker.number, 0);
}

static void work(const weft__worker_orders *orders)
{
    uint32_t rest = orders->tasks_per_child;
    for (;;) {
        uint32_t index = look(orders->spin_ns);
        if (index != WEFT__BOARD_NONE) {
            do_task(index);
            if (rest != 0 && --rest == 0)
                return;
        } else if (is_closing()) {
            return;
        } else {
            doze();
        }
    }
}

static int initialize(weft__worker_orders *orders)
{
    uintptr_t address;
    if (!orders->has_initializer)
        return 0;
    if (weft__image_resolve(&orders->initializer, &address) != 0)
        return STATUS_CANNOT_BEGIN;
    return ((int (*)(void *, size_t))address)(orders->arg, orders->arg_bytes);
}

int weft__worker_process(weft_child *self)
{
    weft__worker_orders *orders = self->arg;
    if (self->fd_count != WEFT__WORKER_FDS || self->arg_bytes < sizeof(*orders) ||
        weft__pool_segment_attach(&worker.segment, &orders->geometry,
                                  self->fds[WEFT__WORKER_SEGMENT]) != 0)
        return STATUS_CANNOT_BEGIN;
    worker.number = orders->worker;
    worker.call = self->fds[WEFT__WORKER_CALL];
    worker.is_timed = orders->is_timed != 0;
    weft__desk *desk = &worker.segment.board.desks[worker.number];
    int status = initialize(orders);
    if (status != 0)
        return status & 0xff ? status : STATUS_CANNOT_BEGIN;
    weft__store_relaxed(&desk->is_ready, 1); /* relaxed: read when we are dead, or as a hint */
    work(orders);
    weft__store_relaxed(&desk->is_retired, 1); /* relaxed: read when we are dead */
    return 0;
}
