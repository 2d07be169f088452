/* SPDX-License-Identifier: BSD-2-Clause */
/* runtime.c — workers from creation to the end, and the way in from outside.
 *
 * Creating: everything that can fail is done by the creating thread, step by step, and undone by
 * one function that copes with any prefix of the steps. A worker's thread allocates nothing.
 *
 * Running: a job is a task like any other, on the caller's stack, pushed into the injector; the
 * caller registers as its waiter. The calling thread never becomes a worker: its stack could not
 * move to another thread when something in it blocks.
 *
 * # Stopping
 * 1. Nothing runs: weft_runtime_destroy() refuses while a weft_runtime_run() is in progress.
 * 2. `stopping` is set, everybody is woken. A worker reads it after it has announced a sleep, so it
 *    either sees it or is woken. [idle.stop]
 * 3. Each worker leaves its loop for its thread's own stack and ends. Until the last one has been
 *    joined all deques and lanes stay readable: others may still be trying to steal. */
#include "sched/worker.h"

#include "debug/check.h"
#include "debug/dump.h"
#include "debug/holder.h"
#include "debug/registry.h"
#include "hooks.h"
#include "io/ferry.h"
#include "io/foreign.h"
#include "lane.h"
#include "sched/settings.h"
#include "sched/topology.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(weft__link) <= sizeof(weft_task), "a task can lie in the injector");
_Static_assert(offsetof(weft_task, prev_) == offsetof(weft__link, next), "by its first member");
_Static_assert(offsetof(weft__worker, lane) == 0, "the lane is found first");

/* ---- create --------------------------------------------------------------------------------- */

/* Order the others by distance, and note where each ring of equal distance ends. */
static void set_victims(weft__worker *worker, const unsigned char *distance)
{
    unsigned count = worker->runtime->worker_count;
    unsigned used = 0;
    for (unsigned ring = 0; ring < WEFT__RINGS; ring++) {
        for (unsigned other = 0; other < count; other++)
            if (other != worker->id && distance[worker->id * count + other] == ring + 1)
                worker->victims[used++] = other;
        worker->ring_end[ring] = used;
    }
    weft_assert(used == count - 1);
}

static int init_worker(weft_runtime *runtime, unsigned id, int cpu, unsigned checks,
                       const unsigned char *distance)
{
    weft__worker *worker = &runtime->workers[id];
    worker->runtime = runtime;
    worker->id = id;
    worker->cpu = cpu;
    worker->checks = checks;
    worker->patience_ns = runtime->spin_ns;
    worker->random = (uint64_t)(id + 1) * UINT64_C(0x9E3779B97F4A7C15);
    worker->lane.attention_ = runtime->rest;
    worker->lane.worker_ = worker; /* for good: its own thread may look while a guest plays it */
    if (runtime->victims != NULL)
        worker->victims = runtime->victims + (size_t)id * (runtime->worker_count - 1);
    set_victims(worker, distance);
    weft__ec_init(&worker->ec);
    weft__wheel_init(&worker->wheel, weft_now());
    int rc = weft_deque_init(&worker->deque, 0);
    if (rc != 0)
        return rc;
    worker->current = weft__fiber_pool_get(&runtime->fibers);
    return worker->current != NULL ? 0 : -ENOMEM;
}

static int init_workers(weft_runtime *runtime, const struct weft__settings *settings)
{
    unsigned count = runtime->worker_count;
    int *cpus = weft__alloc(count * sizeof *cpus);
    unsigned char *distance = weft__alloc((size_t)count * count);
    int rc = cpus != NULL && distance != NULL ? 0 : -ENOMEM;
    if (rc == 0)
        rc = weft__topology_map(settings, count, cpus, distance);
    for (unsigned id = 0; rc == 0 && id < count; id++)
        rc = init_worker(runtime, id, cpus[id], settings->checks, distance);
    weft__free(distance);
    weft__free(cpus);
    return rc;
}

static int alloc_workers(weft_runtime *runtime)
{
    size_t count = runtime->worker_count;
    runtime->workers = weft__alloc(count * sizeof *runtime->workers);
    if (runtime->workers == NULL)
        return -ENOMEM;
    memset(runtime->workers, 0, count * sizeof *runtime->workers);
    if (count == 1)
        return 0;
    runtime->victims = weft__alloc(count * (count - 1) * sizeof *runtime->victims);
    return runtime->victims != NULL ? 0 : -ENOMEM;
}

static int start_workers(weft_runtime *runtime)
{
    for (unsigned id = 0; id < runtime->worker_count; id++) {
        int rc = weft__thread_start(&runtime->workers[id]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* How many runtimes leave no processor to plain threads that look for something. */
static uint32_t crowded;

static uint32_t is_crowded(const weft_runtime *runtime)
{
    return runtime->worker_count > runtime->cpu_count || runtime->cpu_count == 1;
}

int weft__runtimes_are_crowded(void)
{
    return weft__load_relaxed(&crowded) != 0; /* relaxed: a guess is enough */
}

static void apply_settings(weft_runtime *runtime, const struct weft__settings *settings)
{
    runtime->worker_count = settings->workers;
    runtime->cpu_count = settings->limits.usable;
    weft__fetch_add_relaxed(&crowded, is_crowded(runtime)); /* relaxed: a guess */
    runtime->spin_ns = settings->spin_ns;
    runtime->report_overflow = settings->report_overflow;
    runtime->can_raid =
        weft__membarrier_register() == 0 && (settings->checks & WEFT__CHECK_JOIN) == 0;
    runtime->rest = runtime->can_raid ? WEFT__CALM : WEFT__HUNGRY;
    runtime->fork_count = weft__fork_count();
    (void)pthread_mutex_init(&runtime->threads_lock, NULL);
    runtime->hang = settings->hang;
    runtime->dump_signal = settings->dump_signal;
    runtime->is_uring = settings->is_uring;
    runtime->float_mode = weft__float_mode();
    weft__injector_init(&runtime->injector);
    weft__fiber_pool_init(&runtime->fibers, settings->stack_bytes, weft__fiber_main, runtime);
    if (runtime->report_overflow)
        weft__overflow_install();
    if (runtime->dump_signal != 0)
        weft__dump_signal_install(runtime->dump_signal);
    if (runtime->hang == WEFT_HANG_EXIT)
        weft__holder_watch();
}

/* ---- stop ----------------------------------------------------------------------------------- */

static void stop_threads(weft_runtime *runtime)
{
    /* edge idle.stop (seq_cst): see the head of this file */
    weft__store_seq_cst(&runtime->stopping, 1);
    if (runtime->threads != NULL) /* else there may be no array of workers to look at */
        weft__runtime_wake_all(runtime);
    weft__threads_join(runtime);
    /* edge runtime.wakers (acquire): their last access; they are at most a wake-up from done. */
    for (unsigned round = 0; weft__load_acquire(&runtime->wakers) > 0; round++)
        weft__pause(round);
    weft__ferry_close();
}

static void free_runtime(weft_runtime *runtime)
{
    weft__fetch_add_relaxed(&crowded, 0u - is_crowded(runtime)); /* relaxed: a guess */
    if (runtime->tenant != NULL)
        runtime->tenant->after_stop(runtime->tenant);
    for (unsigned id = 0; runtime->workers != NULL && id < runtime->worker_count; id++) {
        weft_deque_destroy(&runtime->workers[id].deque);
        weft__blocks_free(&runtime->workers[id]);
    }
    weft__threads_free(runtime);
    if (runtime->reactor != NULL)
        runtime->reactor->destroy(runtime->reactor);
    weft__fiber_pool_destroy(&runtime->fibers);
    weft__free(runtime->victims);
    weft__free(runtime->workers);
    weft__free(runtime);
}

int weft_runtime_create(weft_runtime **out, const weft_config *config)
{
    struct weft__settings settings;
    int rc = weft__settings_resolve(config, &settings);
    if (rc != 0)
        return rc;
    weft_runtime *runtime = weft__alloc(sizeof *runtime);
    if (runtime == NULL)
        return -ENOMEM;
    memset(runtime, 0, sizeof *runtime);
    weft__fork_register();
    weft__block_enter_fibers();
    weft__ferry_open();
    apply_settings(runtime, &settings);
    rc = alloc_workers(runtime);
    if (rc == 0)
        rc = init_workers(runtime, &settings);
    if (rc == 0)
        rc = start_workers(runtime);
    if (rc != 0) {
        stop_threads(runtime);
        free_runtime(runtime);
        return rc;
    }
    if (settings.checks & WEFT__CHECK_REACTOR)
        (void)weft__reactor_make(runtime); /* without, it is made when a file is waited for */
    weft__registry_add(runtime);
    *out = runtime;
    return 0;
}

int weft_runtime_destroy(weft_runtime *runtime)
{
    if (runtime == NULL)
        return 0;
    if (runtime->fork_count != weft__fork_count()) {
        weft__registry_remove(runtime);
        if (!runtime->is_stood_on) /* else the caller's own stack would go */
            free_runtime(runtime);
        return 0;
    }
    weft__worker *self = weft__worker_self();
    if (self != NULL && self->runtime == runtime)
        return -EDEADLK;
    if (weft__load_acquire(&runtime->runs) > 0) /* edge runtime.runs (acquire): their last access */
        return -EBUSY;
    if (runtime->tenant != NULL)
        runtime->tenant->before_stop(runtime->tenant);
    weft__registry_remove(runtime);
    stop_threads(runtime);
    free_runtime(runtime);
    return 0;
}

/* ---- run ------------------------------------------------------------------------------------ */

/* A call from outside: a task on the caller's stack. */
typedef struct job {
    weft_task task;
    int (*fn)(void *arg);
    void *arg;
    int result;
} job;

static void run_job(weft_task *task)
{
    job *self = (job *)(void *)task;
    self->result = self->fn(self->arg);
}

static const weft_task_type job_type = {
    .run = run_job, .name = "weft_run", .file = __FILE__, .line = __LINE__};

static int register_job(weft__waiter *waiter, void *task)
{
    weft__waits_for(waiter, WEFT_REASON_RUN, task);
    return weft__join_register(task, waiter);
}

static int run_outside(weft_runtime *runtime, int (*fn)(void *arg), void *arg)
{
    job call = {.task = {.state_ = (uintptr_t)&job_type}, .fn = fn, .arg = arg};
    weft__waiter waiter;
    weft__fetch_add_relaxed(&runtime->runs, 1); /* relaxed: guards against misuse only */
    weft__injector_push(&runtime->injector, (weft__link *)(void *)&call.task);
    weft__runtime_notify(runtime, NULL);
    if (weft__thread_may_stand_in())
        (void)weft__stand_in(runtime, &call.task);
    weft__wait(&waiter, register_job, &call.task);
    /* edge runtime.runs (release): the runtime is not touched again by this call. */
    weft__fetch_add_acq_rel(&runtime->runs, (uint32_t)-1);
    return call.result;
}

int weft_runtime_run(weft_runtime *runtime, int (*fn)(void *arg), void *arg, int *result)
{
    if (runtime->fork_count != weft__fork_count())
        return -ECHILD;
    weft__worker *self = weft__worker_self();
    int value = self != NULL && self->runtime == runtime ? fn(arg) : run_outside(runtime, fn, arg);
    if (result != NULL)
        *result = value;
    return 0;
}

int weft_run(int (*fn)(void *arg), void *arg, const weft_config *config)
{
    weft_runtime *runtime;
    int result = 0;
    if (weft__worker_self() != NULL)
        return fn(arg);
    int rc = weft_runtime_create(&runtime, config);
    if (rc != 0)
        return rc;
    rc = weft_runtime_run(runtime, fn, arg, &result);
    weft_assert(rc == 0);
    rc = weft_runtime_destroy(runtime);
    weft_assert(rc == 0);
    return result;
}

/* ---- phases --------------------------------------------------------------------------------- */

/* What a NULL stands for; outside, the shared one if it has been started. */
static weft_runtime *own_runtime(void)
{
    weft__worker *self = weft__worker_self();
    return self != NULL ? self->runtime : weft__runtime_shared_now();
}

int weft_phase_begin(weft_runtime *runtime)
{
    if (runtime == NULL)
        runtime = own_runtime();
    int rc = runtime == NULL ? weft__runtime_shared(&runtime) : 0;
    if (rc != 0)
        return rc;
    if (runtime->fork_count != weft__fork_count())
        return -ECHILD;
    weft__fetch_add_relaxed(&runtime->phases, 1); /* relaxed: a hint */
    weft__runtime_wake_all(runtime);
    return 0;
}

void weft_phase_end(weft_runtime *runtime)
{
    if (runtime == NULL)
        runtime = own_runtime();
    if (runtime == NULL || runtime->fork_count != weft__fork_count())
        return; /* a child's: its parent's phase is none here */
    uint32_t before = weft__fetch_add_relaxed(&runtime->phases, (uint32_t)-1); /* relaxed: a hint */
    weft_assert(before != 0); /* or more phases end than have begun */
}

/* ---- questions ------------------------------------------------------------------------------ */

unsigned weft_num_workers(const weft_runtime *runtime)
{
    if (runtime != NULL)
        return runtime->worker_count;
    weft__worker *self = weft__worker_self();
    return self != NULL ? self->runtime->worker_count : 0;
}

int weft_worker_id(void)
{
    weft__worker *self = weft__worker_self();
    return self != NULL ? (int)self->id : -1;
}

void weft_runtime_stats(const weft_runtime *runtime, weft_stats *stats)
{
    memset(stats, 0, sizeof *stats);
    for (unsigned id = 0; id < runtime->worker_count; id++) {
        const weft__counters *counters = &runtime->workers[id].counters;
        /* relaxed: each counter by itself is exact, together they are a snapshot */
        stats->tasks_run += weft__load_relaxed(&counters->tasks_run);
        stats->steals += weft__load_relaxed(&counters->steals);
        stats->published += weft__load_relaxed(&counters->published);
        stats->raids += weft__load_relaxed(&counters->raids);
        stats->parks += weft__load_relaxed(&counters->parks);
        stats->sleeps += weft__load_relaxed(&counters->sleeps);
        stats->wakes += weft__load_relaxed(&counters->wakes);
    }
    stats->fibers = weft__load_relaxed(&runtime->fibers.fibers);
}
