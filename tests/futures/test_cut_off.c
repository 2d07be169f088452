/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cut_off.c — every call that waits for futures or executors, cut off at each of its waits: it
 * says why, keeps what it has been given, and can be made again.
 * ctest: TIMEOUT 60 */
#include "../core/cut_off.h"
#include "held.h"

#include <weft/channel.h>
#include <weft/future.h>
#include <weft/procpool.h>
#include <weft/sync.h>

#define PROMISES 3

typedef WEFT_FUTURE_OF(int) int_future;

WEFT_TASK(int, square, int, x)
{
    return x * x;
}

WEFT_TASK(int, wait_for_event, weft_event *, event)
{
    return weft_event_wait(event, WEFT_FOREVER);
}

WEFT_TASK(int, sleep_long)
{
    sleep_ns(20 * LIVENESS_NS);
    return 0;
}

/* An executor that keeps one future, to be run by whoever takes it. */
typedef struct single {
    weft_executor base;
    weft_future *one;
} single;

static void single_submit(weft_executor *executor, weft_future *future)
{
    single *self = (single *)(void *)executor;
    weft_future *before = weft__exchange_acq_rel(&self->one, future);
    if (before != NULL)
        abort();
}

static void single_run(single *self)
{
    weft_future *future = weft__exchange_acq_rel(&self->one, NULL);
    if (future != NULL)
        weft_future_run(future);
}

static const weft_executor_ops single_ops = {.submit = single_submit};

typedef struct stage {
    int_future promises[PROMISES];
    int is_set[PROMISES];
    int fails; /* the helper sets errors */
    int value;
    size_t index;
    weft_error error;
    single executor;
    weft_executor *pool;
    weft_event event;
    wait_for_event_future running;
    hold_future held;
    uint32_t word; /* of `held` */
    square_future queued;
    weft_procpool *processes;
    sleep_long_future asleep;
} stage;

/* ---- promises -------------------------------------------------------------------------------- */

static int prepare(void *arg)
{
    stage *s = arg;
    *s = (stage){.value = -1};
    for (int i = 0; i < PROMISES; i++)
        weft_promise(s->promises[i]);
    return 0;
}

static int keep(stage *s, unsigned i)
{
    int value = (int)i + 10;
    int_future promise = s->promises[i];
    s->is_set[i] = 1;
    return weft_set_result(promise, &value);
}

static int keep_next(void *arg, unsigned times)
{
    return times < PROMISES ? keep(arg, times) : 0;
}

static int keep_all(void *arg, unsigned times)
{
    for (unsigned i = 0; i < PROMISES && times == 0; i++)
        CHECK(keep(arg, i) == 0);
    return 0;
}

static int break_first(void *arg, unsigned times)
{
    stage *s = arg;
    if (times > 0)
        return 0;
    s->is_set[0] = 1;
    s->fails = 1;
    return weft_set_error(s->promises[0], -EDOM, "no");
}

/* Whoever is left waits as usual. */
static int check_rest(stage *s)
{
    for (unsigned i = 0; i < PROMISES; i++) {
        int value = 0;
        if (s->promises[i].h == NULL)
            continue;
        CHECK(s->is_set[i] || weft_result(s->promises[i], &value, WEFT_POLL) == -ETIMEDOUT);
        CHECK(s->is_set[i] || keep(s, i) == 0);
        int rc = weft_await(s->promises[i], &value, WEFT_FOREVER);
        CHECK(rc == (s->fails && i == 0 ? -EDOM : 0) && s->promises[i].h == NULL);
        CHECK(rc != 0 || value == (int)i + 10);
    }
    return 0;
}

static int64_t await_first(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_await(s->promises[0], &s->value, deadline_ns);
}

static int check_await(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK((s->promises[0].h == NULL) == (rc == 0));
    CHECK(s->value == (rc == 0 ? 10 : -1));
    return check_rest(s);
}

static int64_t read_first(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_result(s->promises[0], &s->value, deadline_ns);
}

static int check_read(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(s->promises[0].h != NULL && s->value == (rc == 0 ? 10 : -1));
    return check_rest(s);
}

static int64_t read_error(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_exception(s->promises[0], &s->error, deadline_ns);
}

static int check_error(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(s->error.code == (rc == 0 && s->fails ? -EDOM : 0));
    return check_rest(s);
}

/* That the deadline passes is no error of weft_wait(): it counts. */
static int64_t wait_until_ended(stage *s, weft_return_when when, ptrdiff_t enough,
                                int64_t deadline_ns)
{
    ptrdiff_t n = weft_wait(s->promises, PROMISES, when, deadline_ns);
    return n >= 0 && n < enough ? -ETIMEDOUT : n;
}

static int64_t wait_for_all(void *arg, int64_t deadline_ns)
{
    return wait_until_ended(arg, WEFT_ALL_COMPLETED, PROMISES, deadline_ns);
}

static int64_t wait_for_one(void *arg, int64_t deadline_ns)
{
    return wait_until_ended(arg, WEFT_FIRST_COMPLETED, 1, deadline_ns);
}

static int64_t wait_for_failure(void *arg, int64_t deadline_ns)
{
    return wait_until_ended(arg, WEFT_FIRST_EXCEPTION, 1, deadline_ns);
}

static int check_wait(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc <= s->is_set[0] + s->is_set[1] + s->is_set[2]);
    return check_rest(s);
}

static int64_t wait_for_each(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_completed all;
    size_t i;
    weft_completed_open(&all, &s->promises[0].h, PROMISES, deadline_ns);
    int rc = weft_completed_next(&all, &i);
    for (; rc == 1; rc = weft_completed_next(&all, &i))
        s->index |= (size_t)1 << i;
    weft_completed_close(&all);
    return rc;
}

static int check_each(void *arg, int64_t rc)
{
    stage *s = arg;
    for (unsigned i = 0; i < PROMISES; i++)
        CHECK(s->is_set[i] || (s->index & (size_t)1 << i) == 0);
    CHECK(rc < 0 || s->index == ((size_t)1 << PROMISES) - 1);
    return check_rest(s);
}

static int64_t await_group(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_void_future all = weft_all(s->promises, PROMISES);
    int rc = weft_await(all, NULL, deadline_ns);
    weft_release(all);
    return rc;
}

static int64_t select_either(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_case cases[] = {WEFT_CASE_FUTURE(s->promises[0]), WEFT_CASE_FUTURE(s->promises[1])};
    return weft_select(cases, 2, deadline_ns);
}

static int check_select(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->is_set[rc]);
    return check_rest(s);
}

/* ---- map ------------------------------------------------------------------------------------- */

static int next_input(void *arg, size_t index, void *args)
{
    (void)arg;
    *(square_args *)args = (square_args){.x = (int)index + 2};
    return index < 2;
}

static int prepare_map(void *arg)
{
    stage *s = arg;
    *s = (stage){.value = -1, .index = 42, .executor = {.base = {.ops = &single_ops}}};
    return 0;
}

/* What it submits belongs to the caller's scope, and ends with it. */
static int64_t next_of_map(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    weft_map *map;
    weft_map_config config = {.window = 1, .deadline = deadline_ns};
    int rc = weft_map_open(&map, &s->executor.base, square, next_input, s, &config);
    if (rc != 0)
        return rc;
    rc = weft_map_next(map, &s->index, &s->value);
    weft_map_close(map);
    single_run(&s->executor); /* in vain: it has been cancelled */
    return rc;
}

static int run_next(void *arg, unsigned times)
{
    stage *s = arg;
    if (times == 0)
        single_run(&s->executor);
    return 0;
}

static int check_map(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(s->index == 0 || (rc < 0 && s->index == SIZE_MAX));
    CHECK(s->value == (rc == 1 ? 4 : -1));
    CHECK(s->executor.one == NULL);
    return 0;
}

/* ---- pools ----------------------------------------------------------------------------------- */

/* One worker that is busy, and room for one that waits, which is taken. */
static int prepare_pool(void *arg)
{
    stage *s = arg;
    weft_pool_config config = {.runtime = {.workers = 1}, .queue_max = 1};
    *s = (stage){.value = -1};
    CHECK(weft_pool_create(&s->pool, &config) == 0);
    s->running = weft_submit(s->pool, wait_for_event, &s->event);
    while (!weft_running(s->running))
        CHECK(weft_sleep(weft_in(20 * WEFT_USEC)) == 0);
    return 0;
}

static int64_t shut_down(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_executor_shutdown(s->pool, 0, deadline_ns);
}

static int set_event(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    weft_event_set(&s->event);
    return 0;
}

static int check_pool(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || weft_done(s->running));
    square_future late = weft_submit(s->pool, square, 3);
    CHECK(weft_await(late, NULL, WEFT_FOREVER) == -EPIPE);
    weft_event_set(&s->event);
    CHECK(weft_await(s->running, &s->value, WEFT_FOREVER) == 0 && s->value == 0);
    CHECK(weft_executor_shutdown(s->pool, 0, WEFT_FOREVER) == 0);
    return weft_pool_destroy(s->pool);
}

/* ---- room in a queue ------------------------------------------------------------------------- */

static int prepare_full_pool(void *arg)
{
    stage *s = arg;
    weft_pool_config config = {.runtime = {.workers = 1}, .queue_max = 1};
    *s = (stage){.value = -1};
    CHECK(weft_pool_create(&s->pool, &config) == 0);
    s->held = hold_worker(s->pool, &s->word);
    s->queued = weft_submit(s->pool, square, 2);
    return 0;
}

static int let_worker_go(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    weft__store_release(&s->word, 2);
    return 0;
}

/* What is refused in a scope that is over has been cancelled: the scope tells why. */
static int64_t submit_one(weft_executor *executor, int64_t deadline_ns)
{
    square_future f = weft_submit_until(executor, deadline_ns, square, 3);
    int rc = weft_done(f) ? weft_result(f, NULL, WEFT_POLL) : 0;
    if (weft_cancelled(f))
        rc = weft_cancel_requested();
    weft_release(f);
    return rc;
}

static int64_t submit_to_pool(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return submit_one(s->pool, deadline_ns);
}

/* Nobody who has given up holds a place, or has lost one that is there. */
static int check_room(weft_executor *executor)
{
    int value = 0;
    square_future last = weft_submit_until(executor, weft_in(LIVENESS_NS), square, 3);
    CHECK(weft_await(last, &value, WEFT_FOREVER) == 0 && value == 9);
    return 0;
}

static int check_full_pool(void *arg, int64_t rc)
{
    stage *s = arg;
    (void)rc;
    CHECK_CALL(let_worker_go(s, 0));
    CHECK(weft_await(s->queued, &s->value, WEFT_FOREVER) == 0 && s->value == 4);
    CHECK_CALL(check_room(s->pool));
    CHECK(weft_await(s->held, NULL, WEFT_FOREVER) == 0);
    return weft_pool_destroy(s->pool);
}

static int prepare_processes(void *arg)
{
    stage *s = arg;
    weft_procpool_config config = {.workers = 1, .queue_max = 1};
    *s = (stage){.value = -1};
    CHECK(weft_procpool_create(&s->processes, &config) == 0);
    s->asleep = weft_submit(weft_procpool_executor(s->processes), sleep_long);
    return 0;
}

static int64_t submit_to_processes(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return submit_one(weft_procpool_executor(s->processes), deadline_ns);
}

static int stop_sleeping(void *arg, unsigned times)
{
    stage *s = arg;
    CHECK(times > 0 || weft_procpool_cancel(s->processes, s->asleep));
    return 0;
}

static int check_processes(void *arg, int64_t rc)
{
    stage *s = arg;
    (void)rc;
    (void)weft_procpool_cancel(s->processes, s->asleep);
    CHECK(weft_await(s->asleep, NULL, WEFT_FOREVER) == -ECANCELED);
    CHECK_CALL(check_room(weft_procpool_executor(s->processes)));
    return weft_procpool_destroy(s->processes);
}

static const act acts[] = {
    {"await", prepare, await_first, keep_next, check_await, .waits = 1},
    {"result", prepare, read_first, keep_next, check_read, .waits = 1},
    {"exception", prepare, read_error, break_first, check_error, .waits = 1},
    {"wait for all", prepare, wait_for_all, keep_all, check_wait, .waits = 1},
    {"wait for one", prepare, wait_for_one, keep_next, check_wait, .waits = 1},
    {"wait for a failure", prepare, wait_for_failure, break_first, check_wait, .waits = 1},
    {"as completed", prepare, wait_for_each, keep_next, check_each, .waits = PROMISES},
    {"select", prepare, select_either, keep_next, check_select, .waits = 1},
    {"all", prepare, await_group, keep_all, check_wait, .waits = 1},
    {"map", prepare_map, next_of_map, run_next, check_map, .waits = 1},
    {"shutdown", prepare_pool, shut_down, set_event, check_pool, .waits = 1},
    {"submit", prepare_full_pool, submit_to_pool, let_worker_go, check_full_pool, .waits = 1},
    {"submit to processes", prepare_processes, submit_to_processes, stop_sleeping, check_processes,
     .waits = 1},
};

static int check_acts(void *arg)
{
    stage s;
    (void)arg;
    return cut_all(acts, sizeof acts / sizeof acts[0], &s, LESS_IF_SANITIZED(20, 5));
}

static void test_everywhere(void **state)
{
    (void)state;
    on_workers(check_acts, NULL);
}

static int check_acts_of_threads(void *arg)
{
    stage s;
    (void)arg;
    return cut_all_in_threads(acts, sizeof acts / sizeof acts[0], &s, LESS_IF_SANITIZED(20, 5));
}

static void test_in_plain_threads(void **state)
{
    (void)state;
    on_workers(check_acts_of_threads, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everywhere),
        cmocka_unit_test(test_in_plain_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
