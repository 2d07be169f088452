/* SPDX-License-Identifier: BSD-2-Clause */
/* pool.c — a pool of processes as an executor: made, submitted to, shut down.
 *
 * A submission gets a record on the board if there is one free, and waits in a list otherwise; the
 * end of a task makes room for the next. One lock guards the list, the free records and the order
 * of publication. It is held for the time of a copy and never while a callback runs. Workers never
 * take it: they are other processes, and may be killed at any time. */
#include "procpool/pool.h"

#include <weft/atomic.h>
#include <weft/fiber.h>

#include "hooks.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define RECORDS_A_WORKER 128u
#define RECORDS_MAX 1024u
#define SPIN_NS_DEFAULT (20 * WEFT_USEC)
#define REGION_BYTES_MIN ((size_t)1 << 20)

/* Why a future fails. */
#define CLOSED "the pool was shut down"
#define BROKEN "the pool's workers cannot begin"

static void submit(weft_executor *executor, weft_future *future);
static void submit_until(weft_executor *executor, weft_future *future, int64_t deadline_ns);
static int shut_down(weft_executor *executor, unsigned flags, int64_t deadline_ns);
static const weft_executor_ops ops = {
    .submit = submit, .shutdown = shut_down, .submit_until = submit_until};

static weft_procpool *pool_of(weft_executor *executor)
{
    return (weft_procpool *)(void *)executor;
}

/* ---- futures without the lock ---------------------------------------------------------------- */

static void refuse(weft__refused *refused, weft_future *future, int code, const char *why)
{
    future->head.prev_ = refused->first;
    future->head.state_ = (uintptr_t)(unsigned)-code; /* nobody needs it otherwise */
    refused->first = &future->head;
    refused->why = why;
}

void weft__procpool_refuse(weft__refused *refused)
{
    while (refused->first != NULL) {
        weft_future *future = weft__future_of_item(refused->first);
        refused->first = future->head.prev_;
        weft_future_fail(future, -(int)(unsigned)future->head.state_, "%s", refused->why);
    }
}

void weft__procpool_wake(weft_procpool *pool, unsigned count)
{
    for (; count > 0; count--) {
        uint32_t sleeper = weft__board_pick_sleeper(&pool->segment.board);
        if (sleeper == WEFT__BOARD_NONE)
            return;
        weft__bell_ring(&pool->segment.board.desks[sleeper].bell);
    }
}

/* ---- kinds of tasks -------------------------------------------------------------------------- */

/* The number of the type in the segment's table: 0 … , or -errno. */
static int64_t number_of_type(weft_procpool *pool, const weft_task_type *type)
{
    for (uint32_t i = pool->type_count; i > 0; i--)
        if (pool->types[i - 1] == type)
            return i - 1;
    if (pool->type_count == WEFT__TYPES_MAX)
        return -ENOMEM;
    weft__types *table = pool->segment.types;
    int rc = weft__pool_segment_reserve_type(&pool->segment, pool->type_count);
    if (rc == 0)
        rc = weft__image_locate((uintptr_t)type, &table->all[pool->type_count]);
    if (rc != 0)
        return rc;
    pool->types[pool->type_count++] = type;
    /* edge board.types (release): the symbol */
    weft__store_release(&table->count, pool->type_count);
    return pool->type_count - 1;
}

/* ---- hanging up ------------------------------------------------------------------------------ */

static int is_small(const weft_task_type *type)
{
    return type->task_bytes <= WEFT__RECORD_INLINE_BYTES &&
           type->task_align <= WEFT__RECORD_INLINE_ALIGN;
}

/* Fill the record at the head of the free list in: 0 or -errno. */
static int fill(weft_procpool *pool, weft_future *future)
{
    uint32_t index = pool->first_free;
    const weft_task_type *type = weft_future_type(future);
    weft__record *record = &pool->segment.board.records[index];
    int is_large = !is_small(type);
    if (type->task_bytes > pool->segment.geometry.region_bytes)
        return -EMSGSIZE;
    int64_t number = number_of_type(pool, type);
    if (number < 0)
        return (int)number;
    if (is_large) {
        int rc = weft__pool_segment_reserve(&pool->segment, index, type->task_bytes);
        if (rc != 0)
            return rc;
    }
    record->type = (uint32_t)number;
    record->is_large = (uint32_t)is_large;
    weft__store_relaxed(&record->begun_ns, 0); /* relaxed: published with the entry */
    char *task = weft__pool_segment_task(&pool->segment, index, is_large);
    memcpy(task + type->args_offset, weft_future_args(future), type->args_bytes);
    pool->slips[index].large_bytes = is_large ? type->task_bytes : 0;
    return 0;
}

static void hang_up(weft_procpool *pool, weft_future *future)
{
    uint32_t index = pool->first_free;
    weft__slip *slip = &pool->slips[index];
    pool->first_free = slip->next_free;
    slip->future = future;
    slip->ticket = pool->next_ticket++;
    slip->reason = 0;
    weft__board_publish(&pool->segment.board, index, slip->ticket);
    if (pool->is_off_guard) {
        uint64_t one = 1;
        pool->is_off_guard = 0;
        (void)!write(pool->call, &one, sizeof(one));
    }
}

/* Nonzero: there is a record, and a place in the ring of entries for it. */
static int has_room(weft_procpool *pool)
{
    weft__board *board = &pool->segment.board;
    if (pool->first_free == WEFT__BOARD_NONE)
        return 0;
    if (weft__board_has_place(board, pool->next_ticket))
        return 1;
    weft__board_tidy(board); /* tasks that were withdrawn may be in the way */
    return weft__board_has_place(board, pool->next_ticket);
}

/* Begin the future, and hang it up: how many submissions have ended by that, and *hung. */
static size_t try_to_hang_up(weft_procpool *pool, weft_future *future, weft__refused *refused,
                             unsigned *hung)
{
    if (weft_future_begin(future) != 0)
        return 1; /* it was cancelled */
    int rc = fill(pool, future);
    if (rc != 0) {
        refuse(refused, future, rc, "it could not be handed to another process");
        return 1;
    }
    hang_up(pool, future);
    (*hung)++;
    return 0;
}

unsigned weft__procpool_dispatch(weft_procpool *pool, weft__refused *refused)
{
    unsigned hung = 0;
    while (pool->first_pending != NULL && has_room(pool)) {
        weft_future *future = weft__future_of_item(pool->first_pending);
        pool->first_pending = future->head.prev_;
        if (try_to_hang_up(pool, future, refused, &hung) != 0)
            refused->ended++;
    }
    return hung;
}

static void append(weft_procpool *pool, weft_future *future)
{
    future->head.prev_ = NULL;
    if (pool->first_pending == NULL)
        pool->first_pending = &future->head;
    else
        pool->last_pending->prev_ = &future->head;
    pool->last_pending = &future->head;
}

void weft__procpool_free(weft_procpool *pool, uint32_t index)
{
    weft__slip *slip = &pool->slips[index];
    if (slip->large_bytes != 0)
        weft__pool_segment_release(&pool->segment, index, slip->large_bytes);
    weft__board_free(&pool->segment.board, index);
    slip->future = NULL;
    slip->next_free = pool->first_free;
    pool->first_free = index;
}

/* ---- a bound on the queue -------------------------------------------------------------------- */

weft__news weft__procpool_end(weft_procpool *pool, size_t count)
{
    weft__news news = {.served = weft__room_quit(&pool->room, count)};
    if (pool->room.taken == 0 && pool->is_closed) {
        news.ended = pool->ended;
        pool->ended = NULL;
    }
    return news;
}

void weft__procpool_tell(weft_future *ended)
{
    if (ended != NULL)
        (void)weft_future_set_result(ended, NULL); /* the pool may be gone after that */
    weft_future_release(ended);                    /* the pool's handle */
}

void weft__procpool_count_ended(weft_procpool *pool, size_t count)
{
    if (count == 0)
        return;
    weft_mutex_lock(&pool->lock);
    weft__news news = weft__procpool_end(pool, count);
    weft_mutex_unlock(&pool->lock);
    weft__room_wake(news.served);
    weft__procpool_tell(news.ended);
}

int weft__procpool_is_collector(const weft_procpool *pool)
{
    return pthread_equal(pthread_self(), pool->thread) != 0;
}

/* With the lock: take a place in the queue. 0 and the lock is held; or it is not, and the pool's
 * policy has been applied. */
static int take_place(weft_procpool *pool, weft_future *future, int64_t deadline_ns)
{
    if (weft__room_enter(&pool->room))
        return 0;
    if (weft__procpool_is_collector(pool)) { /* which must not wait for itself */
        weft__room_force(&pool->room);
        return 0;
    }
    int rc = -EAGAIN;
    if (pool->config.full == WEFT_FULL_WAIT)
        rc = weft__room_wait(&pool->room, &pool->lock, WEFT_REASON_PROCESS, deadline_ns);
    else
        weft_mutex_unlock(&pool->lock);
    if (rc == 0) {
        weft_mutex_lock(&pool->lock); /* the place is ours already */
        return 0;
    }
    if (pool->config.full == WEFT_FULL_RUN)
        weft_future_run(future);
    else
        weft__future_refuse(future, rc);
    return rc;
}

/* ---- submit ---------------------------------------------------------------------------------- */

static void submit_until(weft_executor *executor, weft_future *future, int64_t deadline_ns)
{
    weft_procpool *pool = pool_of(executor);
    weft__refused refused = {.first = NULL};
    unsigned hung = 0;
    if (pool->fork_count != weft__fork_count()) {
        weft__future_refuse(future, -ECHILD);
        return;
    }
    weft_mutex_lock(&pool->lock);
    if (take_place(pool, future, deadline_ns) != 0)
        return;
    size_t ended = 0;
    if (pool->is_closed || pool->is_broken) {
        if (weft_future_begin(future) == 0)
            refuse(&refused, future, -EPIPE, pool->is_closed ? CLOSED : BROKEN);
        ended = 1;
    } else if (pool->first_pending == NULL && has_room(pool)) {
        ended = try_to_hang_up(pool, future, &refused, &hung);
    } else {
        append(pool, future);
    }
    weft_mutex_unlock(&pool->lock);
    weft__procpool_wake(pool, hung);
    weft__procpool_refuse(&refused);
    weft__procpool_count_ended(pool, ended);
}

static void submit(weft_executor *executor, weft_future *future)
{
    submit_until(executor, future, WEFT_FOREVER);
}

/* ---- cancelled and killed -------------------------------------------------------------------- */

int weft__procpool_condemn(weft_procpool *pool, uint32_t index, int reason)
{
    weft__slip *slip = &pool->slips[index];
    uint32_t number;
    if (!weft__board_condemn(&pool->segment.board, index, slip->ticket, &number) ||
        number >= pool->segment.geometry.worker_count)
        return 0;
    slip->reason = reason;
    if (pool->seats[number].process != NULL)
        (void)weft_process_kill(pool->seats[number].process);
    return 1;
}

static uint32_t find_slip(const weft_procpool *pool, const weft_future *future)
{
    for (uint32_t i = 0; i < pool->segment.geometry.record_count; i++)
        if (pool->slips[i].future == future)
            return i;
    return WEFT__BOARD_NONE;
}

/* With the lock: take a task back from the board. Nonzero: it is the caller's, RUNNING. */
static int withdraw(weft_procpool *pool, uint32_t index)
{
    if (!weft__board_withdraw(&pool->segment.board, index, pool->slips[index].ticket))
        return 0;
    weft__procpool_free(pool, index);
    return 1;
}

int weft_procpool_cancel_future(weft_procpool *pool, weft_future *future)
{
    if (weft_future_cancel(future))
        return 1;
    int is_mine = 0;
    int is_condemned = 0;
    unsigned hung = 0;
    weft__refused refused = {.first = NULL};
    weft_mutex_lock(&pool->lock);
    uint32_t index = find_slip(pool, future);
    if (index != WEFT__BOARD_NONE) {
        is_mine = withdraw(pool, index);
        if (is_mine)
            hung = weft__procpool_dispatch(pool, &refused);
        else
            is_condemned = weft__procpool_condemn(pool, index, -ECANCELED);
    }
    weft_mutex_unlock(&pool->lock);
    weft__procpool_wake(pool, hung);
    weft__procpool_refuse(&refused);
    if (is_mine)
        weft_future_fail(future, -ECANCELED, "it was cancelled before it began");
    weft__procpool_count_ended(pool, refused.ended + (size_t)is_mine);
    return is_mine || is_condemned;
}

/* Take everything back that is on the board and has not begun. With the lock. */
static weft__refused take_all_back(weft_procpool *pool, int code, const char *why)
{
    weft__refused taken = {.why = why};
    for (uint32_t i = 0; i < pool->segment.geometry.record_count; i++) {
        weft_future *future = pool->slips[i].future;
        if (future != NULL && withdraw(pool, i)) {
            refuse(&taken, future, code, why);
            taken.ended++;
        }
    }
    return taken;
}

/* End what has not begun: with `code`, or by cancelling it if that is -ECANCELED. */
static void end_pending(weft_procpool *pool, int code, const char *why)
{
    weft_mutex_lock(&pool->lock);
    weft__refused begun = take_all_back(pool, code, why);
    size_t count = begun.ended;
    weft_task *pending = pool->first_pending;
    pool->first_pending = NULL;
    weft_mutex_unlock(&pool->lock);
    while (pending != NULL) {
        weft_future *future = weft__future_of_item(pending);
        pending = future->head.prev_;
        if (code == -ECANCELED)
            weft__future_cancel_queued(future);
        else if (weft_future_begin(future) == 0)
            weft_future_fail(future, code, "%s", why);
        count++;
    }
    weft__procpool_refuse(&begun);
    weft__procpool_count_ended(pool, count);
}

void weft__procpool_break(weft_procpool *pool, int status)
{
    weft_mutex_lock(&pool->lock);
    pool->is_broken = status;
    weft_mutex_unlock(&pool->lock);
    end_pending(pool, -EPIPE, BROKEN);
}

static void kill_running(weft_procpool *pool)
{
    weft_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->segment.geometry.record_count; i++)
        if (pool->slips[i].future != NULL)
            (void)weft__procpool_condemn(pool, i, -ECANCELED);
    weft_mutex_unlock(&pool->lock);
}

/* ---- shut down ------------------------------------------------------------------------------- */

/* Close the pool. Returns a promise that is kept when nothing lives, or NULL if nothing does. */
static weft_future *close_pool(weft_procpool *pool)
{
    weft_future *ended = NULL;
    weft_mutex_lock(&pool->lock);
    pool->is_closed = 1;
    if (pool->room.taken > 0) {
        if (pool->ended == NULL)
            pool->ended = weft_promise_new(0);
        ended = weft_future_retain(pool->ended);
    }
    weft_mutex_unlock(&pool->lock);
    return ended;
}

static int shut_down(weft_executor *executor, unsigned flags, int64_t deadline_ns)
{
    weft_procpool *pool = pool_of(executor);
    if (pool->fork_count != weft__fork_count())
        return -ECHILD;
    if (weft__procpool_is_collector(pool))
        return -EDEADLK;
    weft_future *ended = close_pool(pool);
    if (flags & (WEFT_CANCEL_PENDING | WEFT_KILL_RUNNING))
        end_pending(pool, -ECANCELED, CLOSED);
    if (flags & WEFT_KILL_RUNNING)
        kill_running(pool);
    if (ended == NULL)
        return 0;
    int rc = weft_future_result(ended, NULL, deadline_ns);
    weft_future_release(ended);
    return rc;
}

/* ---- made and freed -------------------------------------------------------------------------- */

weft_executor *weft_procpool_executor(weft_procpool *pool)
{
    return &pool->executor;
}

static int check(weft_procpool_config *config)
{
    if (config->workers > WEFT_PROCPOOL_WORKERS_MAX || config->task_ns_max < 0 ||
        (int)config->full < 0 || config->full > WEFT_FULL_FAIL ||
        (config->init_bytes > 0 && config->init_arg == NULL) ||
        config->init_bytes > PTRDIFF_MAX / 2 || config->task_bytes_max > PTRDIFF_MAX / 4096)
        return -EINVAL;
    if (config->workers == 0)
        config->workers = weft_usable_cpus();
    if (config->workers > WEFT_PROCPOOL_WORKERS_MAX)
        config->workers = WEFT_PROCPOOL_WORKERS_MAX;
    if (config->task_bytes_max == 0)
        config->task_bytes_max = WEFT_PROCPOOL_TASK_BYTES_DEFAULT;
    if (config->spin_ns == 0)
        config->spin_ns = SPIN_NS_DEFAULT;
    return 0;
}

/* How many tasks the workers may have before them; a power of two. Their memory is there from the
 * beginning: for a thousand that took a tenth of the time in which two workers start and end. */
static uint32_t record_count(unsigned workers)
{
    uint32_t count = RECORDS_A_WORKER;
    while (count < RECORDS_A_WORKER * workers && count < RECORDS_MAX)
        count *= 2;
    return count;
}

/* A segment with regions as large as wanted, or, where address space is short and nobody has asked
 * for a size, as large as possible. */
static int make_segment(weft_procpool *pool, int is_default)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t region = (pool->config.task_bytes_max + page - 1) / page * page;
    for (;;) {
        weft__geometry geometry = {.record_count = record_count(pool->config.workers),
                                   .worker_count = pool->config.workers,
                                   .region_bytes = region};
        int rc = weft__pool_segment_create(&pool->segment, &geometry);
        if (rc != -ENOMEM || !is_default || region <= REGION_BYTES_MIN)
            return rc;
        region /= 2;
    }
}

static int make_orders(weft_procpool *pool)
{
    weft_procpool_config *config = &pool->config;
    pool->orders_bytes = sizeof(*pool->orders) + config->init_bytes;
    pool->orders = weft__alloc(pool->orders_bytes);
    if (pool->orders == NULL)
        return -ENOMEM;
    memset(pool->orders, 0, sizeof(*pool->orders));
    pool->orders->geometry = pool->segment.geometry;
    pool->orders->tasks_per_child = config->tasks_per_child;
    pool->orders->spin_ns = config->spin_ns;
    pool->orders->is_timed = config->task_ns_max != 0;
    pool->orders->arg_bytes = config->init_bytes;
    if (config->init_bytes > 0)
        memcpy(pool->orders->arg, config->init_arg, config->init_bytes);
    if (config->initializer == NULL)
        return 0;
    pool->orders->has_initializer = 1;
    return weft__image_locate((uintptr_t)config->initializer, &pool->orders->initializer);
}

static int make_lists(weft_procpool *pool)
{
    uint32_t records = pool->segment.geometry.record_count;
    pool->slips = weft__alloc(records * sizeof(pool->slips[0]));
    pool->seats = weft__alloc(pool->config.workers * sizeof(pool->seats[0]));
    if (pool->slips == NULL || pool->seats == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < records; i++)
        pool->slips[i] = (weft__slip){.next_free = i + 1 < records ? i + 1 : WEFT__BOARD_NONE};
    for (uint32_t i = 0; i < pool->config.workers; i++)
        pool->seats[i] = (weft__seat){.process = NULL};
    return 0;
}

static int start(weft_procpool *pool)
{
    pool->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pool->call < 0)
        return -errno;
    int rc = weft__procpool_seat(pool, 0, pool->config.workers);
    if (rc == 0 && weft__fault())
        rc = -EAGAIN;
    if (rc == 0)
        rc = -pthread_create(&pool->thread, NULL, weft__procpool_collect_for_ever, pool);
    if (rc != 0) {
        weft__procpool_close(pool);
        weft__procpool_dismiss(pool);
    }
    return rc;
}

static void free_pool(weft_procpool *pool)
{
    if (pool->call >= 0)
        (void)close(pool->call);
    if (pool->segment.memory != NULL)
        weft__pool_segment_destroy(&pool->segment);
    weft__free(pool->orders);
    weft__free(pool->slips);
    weft__free(pool->seats);
    weft__free(pool);
}

int weft_procpool_create(weft_procpool **pool, const weft_procpool_config *config)
{
    weft_procpool_config wanted = {.workers = 0};
    if (config != NULL)
        wanted = *config;
    int is_default = wanted.task_bytes_max == 0;
    int rc = check(&wanted);
    if (rc != 0)
        return rc;
    weft_procpool *made = weft__alloc(sizeof(*made));
    if (made == NULL)
        return -ENOMEM;
    memset(made, 0, sizeof(*made));
    made->executor.ops = &ops;
    made->config = wanted;
    made->room.max = wanted.queue_max;
    made->lock = (weft_mutex)WEFT_MUTEX_INIT;
    made->next_ticket = 1;
    made->call = -1;
    weft__fork_register();
    made->fork_count = weft__fork_count();
    rc = make_segment(made, is_default);
    if (rc == 0)
        rc = make_orders(made);
    if (rc == 0)
        rc = make_lists(made);
    if (rc == 0)
        rc = start(made);
    if (rc != 0) {
        free_pool(made);
        return rc;
    }
    weft__procpool_enter(made);
    *pool = made;
    return 0;
}

int weft_procpool_destroy(weft_procpool *pool)
{
    uint64_t one = 1;
    if (pool == NULL)
        return 0;
    if (pool->fork_count == weft__fork_count()) {
        int rc = 0;
        weft_shield rc = shut_down(&pool->executor, 0, WEFT_FOREVER);
        if (rc != 0)
            return rc;
        weft__store_relaxed(&pool->is_stopping, 1); /* relaxed: the eventfd orders it */
        weft__procpool_close(pool);                 /* they end while the collector does */
        (void)!write(pool->call, &one, sizeof(one));
        (void)pthread_join(pool->thread, NULL);
        weft__procpool_dismiss(pool);
    }
    weft__procpool_leave(pool);
    free_pool(pool);
    return 0;
}

int weft_procpool_pid(weft_procpool *pool, unsigned index)
{
    if (index >= pool->config.workers)
        return 0;
    weft_mutex_lock(&pool->lock);
    int pid = pool->seats[index].pid;
    weft_mutex_unlock(&pool->lock);
    return pid;
}
