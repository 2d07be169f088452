/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cut_off.c — every call between processes that waits, made in a fiber and cut off: it says
 * why, no message is lost or sent after all, no lock is kept.
 *
 * The other party is another fiber of the same process: for a segment that is all the same.
 * ctest: TIMEOUT 60 */
#include "../core/cut_off.h"

#include <weft/process.h>
#include <weft/queue.h>
#include <weft/shm.h>
#include <weft/shmsync.h>

#define GIVEN 7

/* What lies in shared memory. */
typedef struct table {
    weft_shm_mutex held;
    weft_shm_mutex guard; /* for the condition */
    weft_shm_rlock rlock;
    weft_shm_semaphore semaphore;
    weft_shm_event event;
    weft_shm_cond cond;
    weft_shm_barrier barrier;
} table;

typedef struct stage {
    weft_queue *full, *empty;
    weft_pipe *full_pipe, *empty_pipe;
    weft_shm *shm;
    table *in;
    weft_process *process;
    int fds[2];
    uint64_t filled; /* numbers 0, 1 … in what is full; then comes the caller's */
    uint64_t drained;
    uint64_t got;
    int traded;
    int is_inside; /* plain: somebody holds `held` */
    int is_wrong;
} stage;

static int once_only(unsigned times)
{
    if (times > 0)
        sleep_ns(WEFT_MSEC);
    return times == 0;
}

/* ---- queues ---------------------------------------------------------------------------------- */

static int make_queues(stage *s)
{
    weft_queue_spec spec = {.elem_bytes = sizeof(uint64_t), .capacity = 2};
    *s = (stage){.got = 0};
    CHECK(weft_queue_create(&s->full, NULL, &spec) == 0);
    CHECK(weft_queue_create(&s->empty, NULL, &spec) == 0);
    while (weft_queue_push(s->full, &s->filled, WEFT_POLL) == 0)
        CHECK(++s->filled < 1000);
    return 0;
}

static int prepare_queues(void *arg)
{
    return make_queues(arg);
}

/* Also what the caller pushes meanwhile. */
static int drain(void *arg, unsigned times)
{
    stage *s = arg;
    uint64_t value;
    if (!once_only(times))
        return 0;
    while (weft_queue_pop(s->full, &value, WEFT_POLL) == 0)
        CHECK(value == s->drained++);
    return 0;
}

static int give(void *arg, unsigned times)
{
    stage *s = arg;
    uint64_t value = GIVEN;
    if (!once_only(times))
        return 0;
    s->traded = 1;
    return weft_queue_push(s->empty, &value, WEFT_POLL);
}

static int check_full(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK_CALL(drain(s, 0));
    CHECK(s->drained == s->filled + (rc >= 0));
    CHECK(weft_queue_join(s->full, WEFT_POLL) == 0);
    weft_queue_detach(s->full);
    weft_queue_detach(s->empty);
    return 0;
}

/* What is waited for is that it is drained. */
static int check_joined(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->drained == s->filled);
    return check_full(arg, -1);
}

static int check_empty(void *arg, int64_t rc)
{
    stage *s = arg;
    uint64_t value = 0;
    CHECK(s->got == (rc >= 0 ? GIVEN : 0));
    CHECK(weft_queue_pop(s->empty, &value, WEFT_POLL) == (rc < 0 && s->traded ? 0 : -EAGAIN));
    CHECK(value == (rc < 0 && s->traded ? GIVEN : 0));
    weft_queue_detach(s->full);
    weft_queue_detach(s->empty);
    return 0;
}

static int64_t push(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    uint64_t value = s->filled;
    return weft_queue_push(s->full, &value, deadline_ns);
}

static int64_t push_batch(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    uint64_t value = s->filled;
    return weft_queue_push_n(s->full, &value, 1, deadline_ns);
}

static int64_t reserve(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_item item = {.data = NULL};
    int rc = weft_queue_reserve(s->full, &item, deadline_ns);
    if (rc != 0)
        return rc;
    memcpy(item.data, &s->filled, sizeof s->filled);
    return weft_queue_commit(s->full, &item);
}

static int64_t join_queue(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_queue_join(s->full, deadline_ns);
}

static int64_t pop(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_queue_pop(s->empty, &s->got, deadline_ns);
}

static int64_t pop_flags(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    unsigned flags;
    return weft_queue_pop_flags(s->empty, &s->got, &flags, deadline_ns);
}

static int64_t pop_batch(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    uint64_t values[4];
    ssize_t n = weft_queue_pop_n(s->empty, values, 4, deadline_ns);
    if (n >= 0)
        s->got = n == 1 ? values[0] : 0;
    return n;
}

static int64_t take(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_item item = {.data = NULL};
    int rc = weft_queue_take(s->empty, &item, deadline_ns);
    if (rc != 0)
        return rc;
    memcpy(&s->got, item.data, sizeof s->got);
    return weft_queue_release(s->empty, &item);
}

/* ---- pipes ----------------------------------------------------------------------------------- */

static int prepare_pipes(void *arg)
{
    stage *s = arg;
    weft_pipe_spec spec = {.capacity_bytes = 4096};
    *s = (stage){.got = 0};
    CHECK(weft_pipe_create(&s->full_pipe, NULL, &spec) == 0);
    CHECK(weft_pipe_create(&s->empty_pipe, NULL, &spec) == 0);
    while (weft_pipe_send(s->full_pipe, &s->filled, sizeof s->filled, WEFT_POLL) == 0)
        CHECK(++s->filled < 100000);
    return 0;
}

static int drain_pipe(void *arg, unsigned times)
{
    stage *s = arg;
    uint64_t value;
    if (!once_only(times))
        return 0;
    while (weft_pipe_receive(s->full_pipe, &value, sizeof value, WEFT_POLL) == sizeof value)
        CHECK(value == s->drained++);
    return 0;
}

static int give_message(void *arg, unsigned times)
{
    stage *s = arg;
    uint64_t value = GIVEN;
    if (!once_only(times))
        return 0;
    s->traded = 1;
    return weft_pipe_send(s->empty_pipe, &value, sizeof value, WEFT_POLL);
}

static int detach_pipes(stage *s)
{
    weft_pipe_detach(s->full_pipe);
    weft_pipe_detach(s->empty_pipe);
    return 0;
}

static int check_full_pipe(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK_CALL(drain_pipe(s, 0));
    CHECK(s->drained == s->filled + (rc >= 0));
    CHECK(weft_pipe_join(s->full_pipe, WEFT_POLL) == 0);
    return detach_pipes(s);
}

static int check_joined_pipe(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->drained == s->filled);
    return check_full_pipe(arg, -1);
}

static int check_empty_pipe(void *arg, int64_t rc)
{
    stage *s = arg;
    uint64_t value = 0;
    ssize_t n = weft_pipe_receive(s->empty_pipe, &value, sizeof value, WEFT_POLL);
    CHECK(s->got == (rc >= 0 ? GIVEN : 0));
    CHECK(n == (rc < 0 && s->traded ? (ssize_t)sizeof value : -EAGAIN));
    CHECK(value == (n > 0 ? GIVEN : 0));
    return detach_pipes(s);
}

static int64_t send_message(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_pipe_send(s->full_pipe, &s->filled, sizeof s->filled, deadline_ns);
}

static int64_t reserve_message(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_item item = {.data = NULL};
    int rc = weft_pipe_reserve(s->full_pipe, &item, sizeof s->filled, deadline_ns);
    if (rc != 0)
        return rc;
    memcpy(item.data, &s->filled, sizeof s->filled);
    return weft_pipe_commit(s->full_pipe, &item, sizeof s->filled);
}

static int64_t join_pipe(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_pipe_join(s->full_pipe, deadline_ns);
}

static int64_t receive(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_pipe_receive(s->empty_pipe, &s->got, sizeof s->got, deadline_ns);
}

static int64_t take_message(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_item item = {.data = NULL};
    int rc = weft_pipe_take(s->empty_pipe, &item, deadline_ns);
    if (rc != 0)
        return rc;
    memcpy(&s->got, item.data, sizeof s->got);
    return weft_pipe_release(s->empty_pipe, &item);
}

/* ---- locks and their relatives --------------------------------------------------------------- */

static int init_table(table *in)
{
    CHECK(weft_shm_mutex_init(&in->held) == 0 && weft_shm_mutex_init(&in->guard) == 0);
    CHECK(weft_shm_rlock_init(&in->rlock) == 0);
    CHECK(weft_shm_semaphore_init(&in->semaphore, 0, 3) == 0);
    CHECK(weft_shm_event_init(&in->event) == 0);
    CHECK(weft_shm_cond_init(&in->cond) == 0);
    CHECK(weft_shm_barrier_init(&in->barrier, 2) == 0);
    return 0;
}

static int prepare_table(void *arg)
{
    stage *s = arg;
    *s = (stage){.got = 0};
    CHECK(weft_shm_create(&s->shm, NULL, sizeof(table)) == 0);
    s->in = weft_shm_data(s->shm);
    CHECK_CALL(init_table(s->in));
    CHECK(weft_shm_mutex_lock(&s->in->held, WEFT_POLL) == 0);
    CHECK(weft_shm_rlock_lock(&s->in->rlock, WEFT_POLL) == 0);
    return 0;
}

static int detach_table(stage *s)
{
    weft_shm_detach(s->shm);
    return 0;
}

static int64_t lock_mutex(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_shm_mutex_lock(&s->in->held, deadline_ns);
}

static int never_called(void *arg)
{
    (void)arg;
    return -EIO;
}

static int64_t lock_or_repair(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_shm_mutex_lock_repair(&s->in->held, never_called, NULL, deadline_ns);
}

static int unlock_mutex(void *arg, unsigned times)
{
    stage *s = arg;
    if (!once_only(times))
        return 0;
    s->traded = 1;
    return weft_shm_mutex_unlock(&s->in->held);
}

static int check_mutex(void *arg, int64_t rc)
{
    stage *s = arg;
    int is_held = rc >= 0 || !s->traded;
    CHECK(weft_shm_mutex_lock(&s->in->held, WEFT_POLL) == (is_held ? -EAGAIN : 0));
    CHECK(weft_shm_mutex_unlock(&s->in->held) == 0);
    CHECK(weft_shm_mutex_lock(&s->in->held, WEFT_POLL) == 0);
    return detach_table(s);
}

/* Only its holder may give it back. */
static int64_t lock_recursive(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int rc = weft_shm_rlock_lock(&s->in->rlock, deadline_ns);
    return rc != 0 ? rc : weft_shm_rlock_unlock(&s->in->rlock);
}

static int unlock_recursive(void *arg, unsigned times)
{
    stage *s = arg;
    if (!once_only(times))
        return 0;
    s->traded = 1;
    return weft_shm_rlock_unlock(&s->in->rlock);
}

static int check_recursive(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->traded);
    if (!s->traded)
        CHECK(weft_shm_rlock_unlock(&s->in->rlock) == 0);
    CHECK(weft_shm_rlock_lock(&s->in->rlock, WEFT_POLL) == 0);
    return detach_table(s);
}

static int64_t acquire(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_shm_semaphore_acquire(&s->in->semaphore, deadline_ns);
}

static int release(void *arg, unsigned times)
{
    stage *s = arg;
    if (!once_only(times))
        return 0;
    s->traded = 1;
    return weft_shm_semaphore_release(&s->in->semaphore, 1);
}

static int check_semaphore(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(weft_shm_semaphore_value(&s->in->semaphore) + (rc >= 0) == (unsigned)s->traded);
    return detach_table(s);
}

static int64_t await_event(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_shm_event_wait(&s->in->event, deadline_ns);
}

static int set_event(void *arg, unsigned times)
{
    stage *s = arg;
    s->traded = 1;
    return once_only(times) ? weft_shm_event_set(&s->in->event) : 0;
}

static int check_event(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->traded);
    CHECK(weft_shm_event_set(&s->in->event) == 0);
    CHECK(weft_shm_event_wait(&s->in->event, WEFT_POLL) == 0);
    return detach_table(s);
}

/* A condition's wait may end for no reason: then it is waited for again. */
static int64_t await_condition(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int rc = weft_shm_mutex_lock(&s->in->guard, WEFT_POLL);
    while (rc == 0 && !s->traded)
        rc = weft_shm_cond_wait(&s->in->cond, &s->in->guard, deadline_ns);
    int unlocked = weft_shm_mutex_unlock(&s->in->guard);
    return rc != 0 ? rc : unlocked;
}

static int notify(void *arg, unsigned times)
{
    stage *s = arg;
    if (!once_only(times))
        return 0;
    weft_shield CHECK(weft_shm_mutex_lock(&s->in->guard, WEFT_FOREVER) == 0);
    s->traded = 1;
    CHECK(weft_shm_mutex_unlock(&s->in->guard) == 0);
    return weft_shm_cond_notify(&s->in->cond, 1) >= 0 ? 0 : __LINE__;
}

static int check_condition(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->traded);
    CHECK(weft_shm_mutex_lock(&s->in->guard, WEFT_POLL) == 0);
    return detach_table(s);
}

/* Somebody else holds the mutex when the wait ends, and for some time after. */
static int64_t await_condition_of_held(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int rc = 0;
    while (rc == 0 && !s->traded) {
        rc = weft_shm_cond_wait(&s->in->cond, &s->in->held, deadline_ns);
        s->is_wrong |= s->is_inside; /* plain: it is locked, whatever came of it */
    }
    int unlocked = weft_shm_mutex_unlock(&s->in->held);
    return unlocked != 0 ? unlocked : rc;
}

static int enter(void *arg)
{
    stage *s = arg;
    CHECK(weft_shm_mutex_lock(&s->in->held, WEFT_FOREVER) == 0);
    s->is_inside = 1;
    return 0;
}

static int leave(void *arg)
{
    stage *s = arg;
    if (!s->is_inside)
        return 0;
    sleep_ns(3 * WEFT_MSEC);
    s->is_inside = 0;
    return weft_shm_mutex_unlock(&s->in->held);
}

static int notify_and_leave(void *arg, unsigned times)
{
    stage *s = arg;
    if (!once_only(times))
        return 0;
    s->traded = 1;
    CHECK(weft_shm_cond_notify(&s->in->cond, 1) >= 0);
    return leave(s);
}

static int check_held(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(!s->is_wrong && (rc < 0 || s->traded));
    CHECK(weft_shm_mutex_lock(&s->in->held, WEFT_POLL) == 0);
    return detach_table(s);
}

static int64_t await_barrier(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_shm_barrier_wait(&s->in->barrier, deadline_ns);
}

static int arrive(void *arg, unsigned times)
{
    stage *s = arg;
    if (!once_only(times))
        return 0;
    int rc = weft_shm_barrier_wait(&s->in->barrier, WEFT_FOREVER);
    s->traded = rc >= 0;
    return rc >= 0 || rc == -EPIPE ? 0 : __LINE__;
}

static int check_barrier(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK((rc >= 0) == s->traded);
    if (rc < 0)
        CHECK(weft_shm_barrier_wait(&s->in->barrier, WEFT_FOREVER) == -EPIPE);
    return detach_table(s);
}

/* ---- processes ------------------------------------------------------------------------------- */

static int read_one(weft_child *self)
{
    char byte;
    return read(self->fds[0], &byte, 1) == 1 ? 5 : 1;
}

static int prepare_process(void *arg)
{
    stage *s = arg;
    weft_process_config config = {.fds = &s->fds[0], .fd_count = 1};
    *s = (stage){.got = 0};
    CHECK(pipe(s->fds) == 0);
    CHECK(weft_process_start(&s->process, read_one, &config) == 0);
    return 0;
}

static int64_t join_process(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_process_join(s->process, deadline_ns);
}

static int let_exit(void *arg, unsigned times)
{
    stage *s = arg;
    if (times == 0)
        CHECK(write(s->fds[1], "x", 1) == 1);
    s->traded = 1;
    return 0;
}

static int check_process(void *arg, int64_t rc)
{
    stage *s = arg;
    int code = -1;
    CHECK(rc < 0 || s->traded);
    if (!s->traded)
        CHECK_CALL(let_exit(s, 0));
    CHECK(weft_process_join(s->process, weft_in(LIVENESS_NS)) == 0);
    CHECK(weft_process_exitcode(s->process, &code) == 0 && code == 5);
    CHECK(weft_process_close(s->process) == 0);
    return close(s->fds[0]) | close(s->fds[1]);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static const act acts[] = {
    {"queue: push", prepare_queues, push, drain, check_full, .traits = UNNUMBERED},
    {"queue: push_n", prepare_queues, push_batch, drain, check_full, .traits = UNNUMBERED},
    {"queue: reserve", prepare_queues, reserve, drain, check_full, .traits = UNNUMBERED},
    {"queue: join", prepare_queues, join_queue, drain, check_joined, .traits = UNNUMBERED},
    {"queue: pop", prepare_queues, pop, give, check_empty, .traits = UNNUMBERED},
    {"queue: pop_flags", prepare_queues, pop_flags, give, check_empty, .traits = UNNUMBERED},
    {"queue: pop_n", prepare_queues, pop_batch, give, check_empty, .traits = UNNUMBERED},
    {"queue: take", prepare_queues, take, give, check_empty, .traits = UNNUMBERED},
    {"pipe: send", prepare_pipes, send_message, drain_pipe, check_full_pipe, .traits = UNNUMBERED},
    {"pipe: reserve", prepare_pipes, reserve_message, drain_pipe, check_full_pipe,
     .traits = UNNUMBERED},
    {"pipe: join", prepare_pipes, join_pipe, drain_pipe, check_joined_pipe, .traits = UNNUMBERED},
    {"pipe: receive", prepare_pipes, receive, give_message, check_empty_pipe, .traits = UNNUMBERED},
    {"pipe: take", prepare_pipes, take_message, give_message, check_empty_pipe,
     .traits = UNNUMBERED},
    {"shared mutex", prepare_table, lock_mutex, unlock_mutex, check_mutex, .traits = UNNUMBERED},
    {"shared mutex, repair", prepare_table, lock_or_repair, unlock_mutex, check_mutex,
     .traits = UNNUMBERED},
    {"shared recursive lock", prepare_table, lock_recursive, unlock_recursive, check_recursive,
     .traits = UNNUMBERED},
    {"shared semaphore", prepare_table, acquire, release, check_semaphore, .traits = UNNUMBERED},
    {"shared event", prepare_table, await_event, set_event, check_event, .traits = UNNUMBERED},
    {"shared condition", prepare_table, await_condition, notify, check_condition,
     .traits = UNNUMBERED},
    {"shared condition, mutex held", prepare_table, await_condition_of_held, notify_and_leave,
     check_held, .traits = UNNUMBERED, .hinder = enter, .let_go = leave},
    {"shared barrier", prepare_table, await_barrier, arrive, check_barrier, .traits = UNNUMBERED},
    {"process: join", prepare_process, join_process, let_exit, check_process, .waits = 1},
};

static int check_acts(void *arg)
{
    stage s;
    (void)arg;
    return cut_all(acts, sizeof acts / sizeof acts[0], &s, LESS_IF_SANITIZED(5, 2));
}

static void test_everywhere(void **state)
{
    (void)state;
    on_count(1, check_acts, NULL);
    on_count(3, check_acts, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
