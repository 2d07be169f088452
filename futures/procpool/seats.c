/* SPDX-License-Identifier: BSD-2-Clause */
/* seats.c — processes take seats, die, and are replaced.
 *
 * A seat outlives its processes: its number is the owner's name in the records, its ring of results
 * goes on where the last one left it. When a process is dead, and only then, everything that it had
 * is certain: what is in its ring is done, a record that is DONE in its name but is not in the ring
 * is done as well, and at most one record is RUNNING or CONDEMNED, which fails. */
#include "procpool/pool.h"

#include <weft/atomic.h>

#include "process/start.h"

#include "hooks.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_NS (10 * WEFT_SEC) /* for the end of a process that was told to end */
#define FAILURES_MAX 16             /* workers in a row that crash before they are ready */

/* ---- seated ---------------------------------------------------------------------------------- */

/* Lay the seat for a process that is to take it. */
static int prepare(weft_procpool *pool, uint32_t number, weft__start *start)
{
    int fds[WEFT__WORKER_FDS] = {
        [WEFT__WORKER_SEGMENT] = pool->segment.file, [WEFT__WORKER_CALL] = pool->call};
    char name[32];
    weft__desk *desk = &pool->segment.board.desks[number];
    (void)snprintf(name, sizeof(name), "weft/worker-%u", number);
    weft_process_config config = {.name = name,
                                  .arg = pool->orders,
                                  .arg_bytes = pool->orders_bytes,
                                  .fds = fds,
                                  .fd_count = WEFT__WORKER_FDS,
                                  .daemonic = 1};
    pool->orders->worker = number;
    weft__store_relaxed(&desk->is_ready, 0);   /* relaxed: nobody sits there */
    weft__store_relaxed(&desk->is_retired, 0); /* relaxed: the same */
    weft__board_sleep(&pool->segment.board, number, 0);
    return weft__start_prepare(start, weft__worker_process, &config);
}

/* Start processes for the next seats from `first` on, as many as can be started at once. */
static int seat_some(weft_procpool *pool, uint32_t first, uint32_t count)
{
    weft__start starts[WEFT__STARTS_MAX];
    uint32_t prepared = 0;
    int rc = 0;
    for (; prepared < count; prepared++) {
        rc = prepare(pool, first + prepared, &starts[prepared]);
        if (rc != 0)
            break;
    }
    int launch_rc = prepared > 0 ? weft__start_launch(starts, prepared) : 0;
    weft_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < prepared; i++) {
        weft_process *process = starts[i].process;
        pool->seats[first + i].process = process;
        pool->seats[first + i].pid = process != NULL ? weft_process_pid(process) : 0;
    }
    weft_mutex_unlock(&pool->lock);
    return launch_rc != 0 ? launch_rc : rc;
}

int weft__procpool_seat(weft_procpool *pool, uint32_t first, uint32_t count)
{
    int rc = 0;
    while (count > 0 && rc == 0) {
        uint32_t some = count < WEFT__STARTS_MAX ? count : WEFT__STARTS_MAX;
        rc = seat_some(pool, first, some);
        first += some;
        count -= some;
    }
    return rc;
}

static weft_process *unseat(weft_procpool *pool, uint32_t number)
{
    weft_mutex_lock(&pool->lock);
    weft_process *process = pool->seats[number].process;
    pool->seats[number].process = NULL;
    pool->seats[number].pid = 0;
    weft_mutex_unlock(&pool->lock);
    return process;
}

/* ---- dead ------------------------------------------------------------------------------------ */

/* What is known of the end of a process. */
static weft_procpool_death obituary(weft_process *process)
{
    weft_procpool_death death = {.pid = weft_process_pid(process)};
    weft_process_usage used;
    (void)weft_process_join(process, weft_in(PATIENCE_NS));
    if (weft_process_exitcode(process, &death.code) != 0)
        death.code = INT_MIN; /* nobody knows */
    if (weft_process_used(process, &used) == 0) {
        death.user_ns = used.user_ns;
        death.system_ns = used.system_ns;
        death.rss_bytes_peak = used.rss_bytes_peak;
    }
    return death;
}

static void describe(const weft_procpool_death *death, char *text, size_t bytes)
{
    unsigned long long peak = death->rss_bytes_peak >> 10;
    if (death->reason == -ECANCELED)
        (void)snprintf(text, bytes, "it was cancelled, and process %d killed", death->pid);
    else if (death->reason == -ETIMEDOUT)
        (void)snprintf(text, bytes, "it ran too long, and process %d was killed", death->pid);
    else if (death->code == INT_MIN)
        (void)snprintf(text, bytes, "process %d died", death->pid);
    else if (death->code < 0)
        (void)snprintf(text, bytes, "process %d was killed by signal %d (%s); peak memory %llu KiB",
                       death->pid, -death->code, strsignal(-death->code), peak);
    else
        (void)snprintf(text, bytes, "process %d exited with status %d; peak memory %llu KiB",
                       death->pid, death->code, peak);
}

/* The task that the process ran fails. */
static void fail_task(weft_procpool *pool, weft_future *future, weft_procpool_death *death)
{
    char text[160];
    death->task = weft_future_type(future)->name;
    if (death->reason == 0)
        death->reason = -EOWNERDEAD;
    if (pool->config.on_death != NULL)
        pool->config.on_death(death, pool->config.on_death_arg);
    describe(death, text, sizeof(text));
    weft_future_fail(future, death->reason, "%s", text);
}

static void take_victim(weft_procpool *pool, uint32_t index, weft_procpool_death *death)
{
    weft__refused refused = {.first = NULL};
    weft_mutex_lock(&pool->lock);
    weft_future *future = pool->slips[index].future;
    death->reason = pool->slips[index].reason;
    weft_mutex_unlock(&pool->lock);
    fail_task(pool, future, death);
    weft_mutex_lock(&pool->lock);
    weft__procpool_free(pool, index);
    unsigned hung = weft__procpool_dispatch(pool, &refused);
    weft_mutex_unlock(&pool->lock);
    weft__procpool_wake(pool, hung);
    weft__procpool_refuse(&refused);
    weft__procpool_count_ended(pool, 1 + refused.ended);
}

/* Has the pool become unusable? Zero, or the status to break it with. */
static int count_failure(weft_procpool *pool, uint32_t number, int code)
{
    const weft__desk *desk = &pool->segment.board.desks[number];
    if (weft__load_relaxed(&desk->is_ready)) { /* relaxed: it is dead */
        pool->failures = 0;
        return 0;
    }
    if (code == -SIGKILL || code == -SIGTERM)
        return 0; /* somebody else's doing, which may happen as often as it likes */
    pool->failures++;
    if (code > 0)
        return code;
    return pool->failures >= FAILURES_MAX ? -1 : 0;
}

void weft__procpool_bury(weft_procpool *pool, uint32_t number)
{
    weft_process *process = unseat(pool, number);
    weft_procpool_death death = obituary(process);
    (void)weft_process_close(process);
    weft__procpool_drain(pool, number);
    weft_mutex_lock(&pool->lock);
    uint32_t victim = weft__board_bury(&pool->segment.board, number);
    weft_mutex_unlock(&pool->lock);
    weft__procpool_drain(pool, number);
    int status = count_failure(pool, number, death.code);
    if (victim != WEFT__BOARD_NONE)
        take_victim(pool, victim, &death);
    if (status != 0 && !pool->is_broken)
        weft__procpool_break(pool, status);
    if (pool->is_broken)
        return;
    (void)weft__procpool_seat(pool, number, 1); /* if it fails, the collector tries again */
    /* It may have been woken for a task that it had not taken yet. */
    weft__procpool_wake(pool, 1);
}

/* ---- dismissed ------------------------------------------------------------------------------- */

void weft__procpool_close(weft_procpool *pool)
{
    weft__board *board = &pool->segment.board;
    weft__store_relaxed(&board->words->is_closing, 1); /* relaxed: the bell orders it */
    for (uint32_t i = 0; i < board->worker_count; i++)
        weft__bell_ring(&board->desks[i].bell);
}

void weft__procpool_dismiss(weft_procpool *pool)
{
    for (uint32_t i = 0; i < pool->segment.board.worker_count; i++) {
        weft_process *process = unseat(pool, i);
        if (process == NULL)
            continue;
        if (weft_process_join(process, weft_in(PATIENCE_NS)) != 0) {
            (void)weft_process_kill(process);
            (void)weft_process_join(process, WEFT_FOREVER);
        }
        (void)weft_process_close(process);
    }
}
