/* SPDX-License-Identifier: BSD-2-Clause */
/* workers.c — see workers.h. */
#include "common/workers.h"

#include "common/self.h"
#include "fiber/local.h"
#include "fiber/scope.h"

#include <sched.h>
#include <string.h>

weft_runtime workers_runtime;
weft_runtime workers_other;
weft__worker workers[WORKERS_MAX];
const weft_task_type weft__fiber_type = {.name = "fiber"};

static weft__fiber fibers[WORKERS_MAX];
static weft__fiber spare;
static uint32_t resumed[WORKERS_MAX];
static unsigned victims[WORKERS_MAX][WORKERS_MAX];

/* Worker `first + id` of all; `id` of `count` in its runtime. */
static void prepare_worker(weft_runtime *runtime, unsigned first, unsigned id)
{
    unsigned number = first + id;
    unsigned count = runtime->worker_count;
    weft__worker *worker = &workers[number];
    worker->runtime = runtime;
    worker->current = &fibers[number];
    worker->id = id;
    worker->random = 1 + number;
    worker->victims = victims[number];
    worker->cpu = -1;
    for (unsigned i = 1; i < count; i++)
        victims[number][i - 1] = (id + i) % count;
    for (unsigned ring = 0; ring < WEFT__RINGS; ring++)
        worker->ring_end[ring] = count - 1;
    fibers[number].runtime = runtime;
    weft__wheel_init(&worker->wheel, 0);
    self_bind(number, worker);
    explore_check(weft_deque_init(&worker->deque, 2) == 0);
}

static void prepare_runtime(weft_runtime *runtime, unsigned first, unsigned count)
{
    weft__injector_init(&runtime->injector);
    runtime->workers = workers + first;
    runtime->worker_count = count;
    runtime->can_raid = 1;
    runtime->rest = WEFT__CALM;
    for (unsigned i = 0; i < count; i++)
        prepare_worker(runtime, first, i);
}

void workers_prepare_two(unsigned count, unsigned other)
{
    memset(&workers_runtime, 0, sizeof workers_runtime);
    memset(&workers_other, 0, sizeof workers_other);
    memset(workers, 0, sizeof workers);
    memset(fibers, 0, sizeof fibers);
    memset(resumed, 0, sizeof resumed);
    self_reset();
    prepare_runtime(&workers_runtime, 0, count);
    if (other > 0)
        prepare_runtime(&workers_other, count, other);
}

void workers_prepare(unsigned count)
{
    workers_prepare_two(count, 0);
}

void workers_finish(void)
{
    unsigned count = workers_runtime.worker_count + workers_other.worker_count;
    for (unsigned i = 0; i < count; i++) {
        explore_check(explore_crashed() || workers[i].lane.youngest_ == NULL);
        explore_check(explore_crashed() || weft_deque_size(&workers[i].deque) == 0);
        weft_deque_destroy(&workers[i].deque);
    }
}

/* ---- what shared.c and loop.c provide -------------------------------------------------------- */

int weft__runtime_shared(weft_runtime **out)
{
    *out = &workers_runtime;
    return 0;
}

weft__fiber *weft__worker_choose(weft__worker *worker, int is_yielding)
{
    (void)worker;
    (void)is_yielding;
    return &spare;
}

weft__worker *weft__fiber_landed(void)
{
    return weft__worker_self();
}

void weft__worker_switch(weft__worker *worker, weft__fiber *next)
{
    uint32_t *word = &resumed[worker - workers];
    worker->current->context.stack = next; /* saved: a resumer that reads it too early is a race */
    int is_parked = weft__commit_left(&worker->left);
    if (worker->unwatched) /* as weft__fiber_landed() does */
        weft__worker_see_watched(worker);
    if (!is_parked)
        return;
    while (weft__load_acquire(word) == 0)
        explore_park_wait(word, 0);
    weft__store_relaxed(word, 0);
}

static void resume(const weft__fiber *fiber)
{
    uint32_t *word = &resumed[fiber - fibers];
    explore_check(fiber->context.stack != NULL);
    while (weft__load_acquire(&fiber->committing)) /* as when_left() in loop.c does */
        weft__relax();
    weft__store_release(word, 1);
    explore_park_wake(word, 1);
}

void workers_run(weft_task *item)
{
    const weft_task_type *type = weft__join_type(item);
    if (type == &weft__fiber_type) {
        resume((weft__fiber *)(void *)item);
        return;
    }
    type->run(item);
    weft__waiter *waiter = type->is_consumed_ ? NULL : weft__join_finish(item);
    if (waiter == NULL)
        return;
    if (waiter->fiber != NULL && waiter->fiber->runtime == weft__worker_self()->runtime)
        resume(waiter->fiber);
    else
        weft__wake(waiter);
}

/* No model's fiber has values of its own. */
void weft__locals_end(weft__locals *locals)
{
    (void)locals;
}

/* The C library's. A worker calls it once in a search, and the explorer decides who runs; a plain
 * thread that calls it waits for something. */
int sched_yield(void)
{
    if (weft__worker_self() == NULL)
        explore_yield();
    return 0;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void job_run(weft_task *task)
{
    job *one = (job *)(void *)task;
    explore_check(one->runs == 0);
    one->runs++;
}

const weft_task_type job_type = {.run = job_run, .name = "job"};

job *job_spawn(void)
{
    job *one = explore_alloc(sizeof *one);
    one->runs = 0;
    weft__spawn(&one->head, &job_type);
    return one;
}

void job_join(job *one)
{
    if (!weft__join(&one->head))
        job_run(&one->head);
    explore_check(one->runs == 1);
    explore_free(one);
}
