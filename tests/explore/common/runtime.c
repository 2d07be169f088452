/* SPDX-License-Identifier: BSD-2-Clause */
/* runtime.c — see runtime.h. */
#include "common/runtime.h"

#include "common/self.h"
#include "fiber/scope.h"
#include "fiber/switch.h"
#include "io/ferry.h"
#include "sched/settings.h"
#include "sched/topology.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>

#define FIBERS_MAX 8
#define FIBER_STACK_BYTES ((size_t)32 << 10)

enum { NOT_YET, STARTED, NEVER };

weft_runtime *runtime;

static unsigned worker_count;
static weft__fiber fibers[FIBERS_MAX];
static char stacks[FIBERS_MAX][FIBER_STACK_BYTES] __attribute__((aligned(64)));

static struct {
    uint32_t started; /* NOT_YET ... */
    uint32_t is_over;
    void *(*body)(void *arg);
    void *arg;
} threads[RUNTIME_WORKERS_MAX];
static unsigned thread_count;

void runtime_reset(unsigned workers)
{
    memset(fibers, 0, sizeof fibers);
    memset(threads, 0, sizeof threads);
    self_reset();
    thread_count = 0;
    worker_count = workers;
    runtime = NULL;
}

void runtime_prepare(unsigned workers)
{
    runtime_reset(workers);
    explore_check(weft_runtime_create(&runtime, NULL) == 0);
}

void runtime_finish(void)
{
    explore_check(weft_runtime_destroy(runtime) == 0);
}

void runtime_stop(void)
{
    weft__store_seq_cst(&runtime->stopping, 1);
    weft__runtime_wake_all(runtime);
}

/* ---- threads --------------------------------------------------------------------------------- */

void runtime_thread(unsigned number)
{
    uint32_t *started = &threads[number].started;
    uint32_t seen;
    while ((seen = weft__load_acquire(started)) == NOT_YET)
        explore_park_wait(started, NOT_YET);
    if (seen == NEVER)
        return;
    (void)threads[number].body(threads[number].arg);
    weft__store_release(&threads[number].is_over, 1);
    explore_park_wake(&threads[number].is_over, 1);
}

static void release_thread(unsigned number, uint32_t what)
{
    weft__store_release(&threads[number].started, what);
    explore_park_wake(&threads[number].started, 1);
}

void runtime_never(void)
{
    for (unsigned i = thread_count; i < RUNTIME_WORKERS_MAX; i++)
        release_thread(i, NEVER);
}

/* A thread takes memory: where there is none, there is no thread. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *arg),
                   void *arg)
{
    void *memory = explore_hook_alloc(1);
    (void)attributes;
    if (memory == NULL)
        return EAGAIN;
    explore_free(memory);
    unsigned number = thread_count++;
    threads[number].body = body;
    threads[number].arg = arg;
    *thread = number;
    release_thread(number, STARTED);
    return 0;
}

int pthread_join(pthread_t thread, void **result)
{
    uint32_t *is_over = &threads[thread].is_over;
    (void)result;
    while (weft__load_acquire(is_over) == 0)
        explore_park_wait(is_over, 0);
    return 0;
}

/* The rest of what thread.c asks of the system; nothing of it matters here. */
int prctl(int option, ...)
{
    (void)option;
    return 0;
}

int sched_yield(void)
{
    explore_yield();
    return 0;
}

/* ---- what io/ferry.c provides ---------------------------------------------------------------- */

void weft__ferry_open(void)
{
}

void weft__ferry_close(void)
{
}

/* ---- what shared.c provides ------------------------------------------------------------------ */

weft_runtime *weft__runtime_shared_now(void)
{
    return runtime;
}

int weft__runtime_shared(weft_runtime **out)
{
    *out = runtime;
    return 0;
}

int weft__reactor_make(weft_runtime *unused)
{
    (void)unused;
    return -ENOTSUP;
}

/* ---- fibers ---------------------------------------------------------------------------------- */

/* As in core/fiber/fiber.c, with the accesses announced that assembly makes. A fiber that somebody
 * stands on has no context: what is in its descriptor is of an earlier wait, or of none. */
void weft__fiber_switch(weft__fiber *from, weft__fiber *to)
{
    explore_plain_write(&from->context.stack);
    explore_check(to->context.stack != NULL);
    weft__context_switch(&from->context, &to->context);
    from->context.stack = NULL;
}

void weft__fiber_arrived(void)
{
    weft__worker_self()->current->context.stack = NULL;
}

void weft__fiber_adopt_thread(weft__fiber *thread)
{
    thread->stack_low = NULL;
    thread->stack_bytes = 0;
}

void weft__fiber_prepare(weft__fiber *fiber, void (*entry)(void))
{
    uintptr_t top = (uintptr_t)fiber->stack_low + fiber->stack_bytes;
    fiber->context.resume_at = (void *)(uintptr_t)weft__fiber_start;
    fiber->context.stack = (void *)top;
    fiber->context.frame = (void *)(uintptr_t)entry;
}

/* ---- stacks: each is handed out once, and no lock orders anything ---------------------------- */

void weft__fiber_pool_init(weft__fiber_pool *pool, size_t stack_bytes, void (*entry)(void),
                           void *owner)
{
    memset(pool, 0, sizeof *pool);
    pool->stride = stack_bytes;
    pool->entry = entry;
    pool->runtime = owner;
}

weft__fiber *weft__fiber_pool_get(weft__fiber_pool *pool)
{
    uint64_t number = weft__fetch_add_relaxed(&pool->fibers, 1);
    explore_check(number < FIBERS_MAX);
    weft__fiber *fiber = &fibers[number];
    fiber->stack_low = stacks[number];
    fiber->stack_bytes = FIBER_STACK_BYTES;
    fiber->runtime = pool->runtime;
    weft__fiber_prepare(fiber, pool->entry);
    explore_stack(stacks[number], FIBER_STACK_BYTES, &fiber->context.stack);
    return fiber;
}

void weft__fiber_pool_put(weft__fiber_pool *pool, weft__fiber *fiber)
{
    (void)pool;
    (void)fiber;
    explore_fail("a worker has more idle fibers than there are");
}

void weft__fiber_pool_destroy(weft__fiber_pool *pool)
{
    (void)pool;
}

/* ---- settings, machine, fork, overflow ------------------------------------------------------- */

int weft__settings_resolve(const weft_config *config, struct weft__settings *out)
{
    (void)config;
    memset(out, 0, sizeof *out);
    out->workers = worker_count;
    return 0;
}

int weft__topology_map(const struct weft__settings *settings, unsigned count, int *cpus,
                       unsigned char *distance)
{
    (void)settings;
    for (unsigned i = 0; i < count; i++)
        cpus[i] = -1;
    memset(distance, 1, (size_t)count * count);
    return 0;
}

uint64_t weft__fork_count(void)
{
    return 0;
}

void weft__fork_register(void)
{
}

void weft__overflow_install(void)
{
}

void *weft__overflow_stack_new(void)
{
    return NULL;
}

void weft__overflow_thread_enter(void *signal_stack)
{
    (void)signal_stack;
}

void weft__overflow_thread_leave(void *signal_stack)
{
    (void)signal_stack;
}

void weft__overflow_guest_enter(void)
{
}
