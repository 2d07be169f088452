/* SPDX-License-Identifier: BSD-2-Clause */
/* collector.c — results, deaths and time limits: the thread that waits for all three.
 *
 * It sleeps in one poll(): on the workers' pidfds, which tell deaths, and on an eventfd, which a
 * worker writes to when it has put a result into its ring and the pool has asked to be called.
 * Before it sleeps it looks for a while, if anything is on its way.
 *
 * Results may be collected by other threads as well, one at a time; deaths are this thread's. */
#include "procpool/pool.h"

#include <weft/atomic.h>

#include "hooks.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#define BATCH 64
#define LOOKS 16                   /* between two looks at the clock */
#define RETRY_NS (100 * WEFT_MSEC) /* after no process could be started */

/* ---- results --------------------------------------------------------------------------------- */

/* Results that one thread has taken out of a ring: it ends their futures. */
typedef struct batch {
    uint32_t index[BATCH];
    weft_future *future[BATCH];
    size_t count;
} batch;

/* The task in the record has ended: so does its future. */
static void finish(weft_procpool *pool, uint32_t index, weft_future *future)
{
    weft__record *record = &pool->segment.board.records[index];
    const weft_task_type *type = weft_future_type(future);
    if (record->code != 0) {
        uint32_t bytes = record->message_bytes;
        if (bytes > sizeof(record->task))
            bytes = sizeof(record->task);
        weft_future_fail(future, record->code, "%.*s", (int)bytes, (const char *)record->task);
        return;
    }
    const char *task = weft__pool_segment_task(&pool->segment, index, record->is_large != 0);
    memcpy(weft_future_room(future), task + type->result_offset, type->result_bytes);
    weft_future_finish(future);
}

/* Nonzero: the record is what a worker may say that it has done. With the lock. */
static int is_plausible(weft_procpool *pool, uint32_t number, uint32_t index)
{
    if (index >= pool->segment.geometry.record_count || pool->slips[index].future == NULL)
        return 0;
    /* relaxed: the worker's ring has ordered it */
    uint64_t state = weft__load_relaxed(&pool->segment.board.records[index].state);
    return state == WEFT__TASK_STATE(WEFT__TASK_DONE, number, pool->slips[index].ticket);
}

/* With `collecting`: take results out of the worker's ring. */
static void take(weft_procpool *pool, uint32_t number, batch *taken)
{
    taken->count = 0;
    while (taken->count < BATCH) {
        uint32_t index =
            weft__board_collect(&pool->segment.board, number, &pool->seats[number].seen);
        if (index == WEFT__BOARD_NONE)
            return;
        taken->index[taken->count++] = index;
    }
}

/* Leave out what cannot be, and take the futures of the rest: a worker's burial puts everything
 * that it has done and that is not free yet into its ring once more, so a second look finds
 * nothing. */
static void look_up(weft_procpool *pool, uint32_t number, batch *taken)
{
    size_t kept = 0;
    weft_mutex_lock(&pool->lock);
    for (size_t i = 0; i < taken->count; i++) {
        uint32_t index = taken->index[i];
        if (!is_plausible(pool, number, index))
            continue;
        taken->index[kept] = index;
        taken->future[kept++] = pool->slips[index].future;
        pool->slips[index].future = NULL;
    }
    weft_mutex_unlock(&pool->lock);
    taken->count = kept;
}

static void finish_all(weft_procpool *pool, uint32_t number, batch *taken)
{
    weft__refused refused = {.first = NULL};
    look_up(pool, number, taken);
    for (size_t i = 0; i < taken->count; i++)
        finish(pool, taken->index[i], taken->future[i]);
    weft_mutex_lock(&pool->lock);
    for (size_t i = 0; i < taken->count; i++)
        weft__procpool_free(pool, taken->index[i]);
    unsigned hung = weft__procpool_dispatch(pool, &refused);
    weft__news news = weft__procpool_end(pool, taken->count);
    weft_mutex_unlock(&pool->lock);
    weft__room_wake(news.served);
    weft__procpool_wake(pool, hung);
    weft__procpool_refuse(&refused);
    weft__procpool_count_ended(pool, refused.ended);
    weft__procpool_tell(news.ended);
}

/* Nonzero: the caller may take results, until it stops. Callbacks run after that: they may wait. */
static int begin_to_collect(weft_procpool *pool)
{
    uint32_t free = 0;
    /* relaxed: a look before the swap, which would take the line from whoever collects
     * edge procpool.collecting (acquire): what the one before has collected */
    return weft__load_relaxed(&pool->collecting) == 0 &&
           weft__cas_acquire(&pool->collecting, &free, 1u);
}

static void stop_to_collect(weft_procpool *pool)
{
    /* edge procpool.collecting (release): what was collected */
    weft__store_release(&pool->collecting, 0u);
}

size_t weft__procpool_collect(weft_procpool *pool)
{
    size_t count = 0;
    for (uint32_t i = 0; i < pool->segment.geometry.worker_count; i++) {
        batch taken;
        if (!begin_to_collect(pool))
            return count;
        take(pool, i, &taken);
        stop_to_collect(pool);
        if (taken.count > 0)
            finish_all(pool, i, &taken);
        count += taken.count;
    }
    return count;
}

/* The same for one worker, but surely: when it returns 0, the ring has been seen to be empty. */
static size_t collect_surely(weft_procpool *pool, uint32_t number)
{
    batch taken;
    for (unsigned round = 0; !begin_to_collect(pool); round++)
        weft__pause(round);
    take(pool, number, &taken);
    stop_to_collect(pool);
    size_t count = taken.count;
    if (count > 0)
        finish_all(pool, number, &taken);
    return count;
}

void weft__procpool_drain(weft_procpool *pool, uint32_t number)
{
    while (collect_surely(pool, number) > 0)
        continue;
}

/* Zero: all rings were seen to be empty after the workers had been asked to call. It would not do
 * that another thread collects, since it may have looked before. */
static size_t listen_and_collect(weft_procpool *pool)
{
    size_t count = 0;
    for (uint32_t i = 0; i < pool->segment.geometry.worker_count; i++) {
        weft__board_listen(&pool->segment.board, i);
        count += collect_surely(pool, i);
    }
    return count;
}

/* ---- time limits ----------------------------------------------------------------------------- */

static int64_t earlier(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* Condemn what has run for too long; returns when to look again. With the lock. */
static int64_t enforce_limit(weft_procpool *pool)
{
    int64_t limit = pool->config.task_ns_max;
    int64_t next = WEFT_FOREVER;
    int64_t now = weft_now();
    for (uint32_t i = 0; i < pool->segment.geometry.record_count; i++) {
        if (pool->slips[i].future == NULL || pool->slips[i].reason != 0)
            continue;
        /* relaxed: 0 before it has begun, and then no harm is done by looking too early */
        int64_t begun = weft__load_relaxed(&pool->segment.board.records[i].begun_ns);
        if (begun == 0)
            next = earlier(next, now + limit);
        else if (now - begun < limit)
            next = earlier(next, begun + limit);
        else
            (void)weft__procpool_condemn(pool, i, -ETIMEDOUT);
    }
    return next;
}

static int64_t next_look(weft_procpool *pool)
{
    int64_t next = WEFT_FOREVER;
    weft_mutex_lock(&pool->lock);
    if (pool->config.task_ns_max != 0) {
        next = enforce_limit(pool);
        pool->is_off_guard = next == WEFT_FOREVER;
    }
    for (uint32_t i = 0; i < pool->segment.geometry.worker_count; i++)
        if (pool->seats[i].process == NULL && !pool->is_broken)
            next = earlier(next, weft_in(RETRY_NS));
    weft_mutex_unlock(&pool->lock);
    return next;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static int is_anything_alive(weft_procpool *pool)
{
    weft_mutex_lock(&pool->lock);
    int is_alive = pool->room.taken > 0;
    weft_mutex_unlock(&pool->lock);
    return is_alive;
}

/* Look for results as long as it pays: nonzero, there was one. */
static int look(weft_procpool *pool)
{
    if (pool->config.spin_ns < 0 || !is_anything_alive(pool))
        return 0;
    int64_t end = weft_in(pool->config.spin_ns);
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (weft__procpool_collect(pool) > 0)
                return 1;
            weft__relax();
        }
        (void)sched_yield(); /* the worker may be waiting for our processor */
    } while (weft_now() < end);
    return 0;
}

static int milliseconds_to(int64_t deadline_ns)
{
    if (deadline_ns == WEFT_FOREVER)
        return -1;
    int64_t rest = deadline_ns - weft_now();
    if (rest <= 0)
        return 0;
    return rest > 3600 * WEFT_SEC ? 3600 * 1000 : (int)((rest + WEFT_MSEC - 1) / WEFT_MSEC);
}

static int is_stopping(weft_procpool *pool)
{
    return weft__load_relaxed(&pool->is_stopping) != 0; /* relaxed: the eventfd orders it */
}

/* Sleep until something happens, then see to deaths and empty seats. */
static void sleep_and_see(weft_procpool *pool)
{
    struct pollfd watched[WEFT__BOARD_WORKERS_MAX + 1];
    uint32_t count = pool->segment.geometry.worker_count;
    uint64_t calls;
    watched[count] = (struct pollfd){.fd = pool->call, .events = POLLIN};
    for (uint32_t i = 0; i < count; i++) {
        weft_process *process = pool->seats[i].process;
        watched[i] = (struct pollfd){.fd = process != NULL ? weft_process_sentinel(process) : -1,
                                     .events = POLLIN};
    }
    int rc = poll(watched, count + 1, milliseconds_to(next_look(pool)));
    if (rc > 0 && watched[count].revents != 0)
        (void)!read(pool->call, &calls, sizeof(calls));
    /* Workers that were told to end need no others in their places. Who sees that too late starts
     * some that end at once. */
    if (is_stopping(pool))
        return;
    for (uint32_t i = 0; i < count; i++) {
        if (rc > 0 && watched[i].revents != 0)
            weft__procpool_bury(pool, i);
        else if (pool->seats[i].process == NULL && !pool->is_broken)
            (void)weft__procpool_seat(pool, i, 1);
    }
}

void weft__procpool_step(weft_procpool *pool)
{
    if (weft__procpool_collect(pool) > 0 || look(pool))
        return;
    if (listen_and_collect(pool) == 0)
        sleep_and_see(pool);
}

void *weft__procpool_collect_for_ever(void *arg)
{
    weft_procpool *pool = arg;
    (void)pthread_setname_np(pthread_self(), "weft/procpool");
    while (!is_stopping(pool))
        weft__procpool_step(pool);
    return NULL;
}
