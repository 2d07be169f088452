/* SPDX-License-Identifier: BSD-2-Clause */
/* world.c — see world.h. */
#include "world.h"

#include "common/reactor.h"
#include "debug/dump.h"
#include "debug/hang.h"
#include "debug/registry.h"
#include "helper.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define POSTED ((uintptr_t)1)
#define STAT_FD 100

typedef struct actor {
    weft__fiber fiber; /* first */
    weft__waiter waiter;
    void (*next)(void);
} actor;

uint32_t told;

static actor actors[FIBERS_MAX];
static uintptr_t boxes[BOXES_MAX];
static uint32_t thread_count; /* as the kernel knows it */
static uint32_t is_made;
static uint64_t fork_count;

/* ---- the process ----------------------------------------------------------------------------- */

static void prepare_runtime(weft_runtime *runtime)
{
    weft__registry_remove(runtime); /* of an execution that has failed */
    if (runtime->worker_count == 0)
        return;
    runtime->hang = WEFT_HANG_REPORT;
    runtime->fork_count = fork_count;
    runtime->fibers.fibers = runtime->worker_count;
    weft__registry_add(runtime);
}

void world_prepare(unsigned count, unsigned other, unsigned threads)
{
    workers_prepare_two(count, other);
    memset(&weft__hang_noted, 0, sizeof weft__hang_noted);
    memset(actors, 0, sizeof actors);
    memset(boxes, 0, sizeof boxes);
    told = is_made = 0;
    thread_count = count + other + threads;
    fork_count = 0;
    memset(&weft__helpers, 0, sizeof weft__helpers);
    weft__hang_patience_ns = 1;
    weft__registry_forked();
    prepare_runtime(&workers_runtime);
    prepare_runtime(&workers_other);
}

void world_finish(void)
{
    weft__registry_remove(&workers_runtime);
    weft__registry_remove(&workers_other);
    workers_finish();
}

void acts(void)
{
    /* relaxed: no order of the model's own; the newest value, because it is a swap */
    explore_check(weft__fetch_add_relaxed(&told, 0) == 0);
}

static void stop(weft_runtime *runtime)
{
    weft__store_seq_cst(&runtime->stopping, 1);
    weft__runtime_wake_all(runtime);
}

void end(void)
{
    acts();
    stop(&workers_runtime);
    stop(&workers_other);
}

/* ---- letters --------------------------------------------------------------------------------- */

/* One sends to a box at a time, and one waits for it. */
static int commit_box(weft__waiter *waiter, void *arg)
{
    uintptr_t *box = arg;
    uintptr_t seen = 0;
    if (weft__cas_acq_rel(box, &seen, (uintptr_t)waiter))
        return 1;
    explore_check(seen == POSTED);
    weft__store_relaxed(box, 0); /* relaxed: the next letter is sent after an answer to this one */
    return 0;
}

void post(unsigned box)
{
    uintptr_t seen = 0;
    acts();
    if (weft__cas_acq_rel(&boxes[box], &seen, POSTED))
        return;
    weft__store_relaxed(&boxes[box], 0); /* relaxed: who waited comes back after the wake */
    weft__wake((weft__waiter *)seen);
}

void thread_awaits(unsigned box)
{
    weft__waiter waiter;
    weft__wait(&waiter, commit_box, &boxes[box]);
    acts();
}

/* As wait.c has it. Nobody cancels, so nobody has to find the waiter in the scope. */
void thread_awaits_in_scope(unsigned box)
{
    weft__waiter waiter = {.fiber = NULL, .is_tentative = WEFT__IN_SCOPE};
    weft__store_relaxed(&waiter.woken, WEFT__LOOKING);
    if (commit_box(&waiter, &boxes[box])) {
        weft__thread_rests();
        explore_check(weft__sleep_thread(&waiter, WEFT_FOREVER) == 0);
    }
    acts();
}

/* ---- fibers ---------------------------------------------------------------------------------- */

void fiber_begins(unsigned number, weft_runtime *runtime, weft_reason reason)
{
    weft__fiber *fiber = &actors[number].fiber;
    fiber->runtime = runtime;
    fiber->running = &job_type;
    fiber->reason = reason;
    runtime->fibers.fibers++;
}

/* As weft__park() and settle(): not touched any more once it is registered. */
void fiber_awaits(unsigned number, unsigned box, void (*next)(void))
{
    actor *self = &actors[number];
    self->next = next;
    self->waiter = (weft__waiter){.fiber = &self->fiber};
    weft__store_relaxed(&self->fiber.item.state_, (uintptr_t)0);
    if (!commit_box(&self->waiter, &boxes[box]))
        weft__fiber_ready(&self->fiber);
}

void fiber_sleeps(unsigned number, int64_t deadline_ns, void (*next)(void))
{
    actors[number].next = next;
    weft__worker_arm(&workers[0], &actors[number].fiber.timer, deadline_ns);
}

void fiber_awaits_file(unsigned number, void (*next)(void))
{
    actor *self = &actors[number];
    self->next = next;
    self->waiter = (weft__waiter){.fiber = &self->fiber};
    file_register(&self->waiter);
}

void fiber_ends(unsigned number)
{
    weft__fiber *fiber = &actors[number].fiber;
    weft_runtime *runtime = fiber->runtime;
    weft__store_relaxed(&fiber->running, NULL);
    weft__fetch_add_relaxed(&runtime->fibers.idle_count, (size_t)1);
}

void worker(void)
{
    weft_task *item;
    while ((item = weft__worker_next(weft__worker_self())) != NULL) {
        acts();
        ((actor *)(void *)item)->next();
    }
}

/* No model's fiber gives up. */
int weft__wait_expire(weft__fiber *fiber)
{
    (void)fiber;
    return 1;
}

int weft__wait_claim(weft__fiber *fiber)
{
    (void)fiber;
    return 1;
}

int weft__commit_left(weft__left *left)
{
    return left->commit(left->waiter, left->arg);
}

/* ---- plain threads, and the kernel that counts them ------------------------------------------ */

void thread_makes(void)
{
    acts();
    weft__fetch_add_acq_rel(&thread_count, 1);
    weft__store_release(&is_made, 1);
    explore_park_wake(&is_made, 1);
}

void thread_begins(void)
{
    while (!weft__load_acquire(&is_made))
        explore_park_wait(&is_made, 0);
}

void thread_ends(void)
{
    weft__fetch_add_acq_rel(&thread_count, (uint32_t)-1);
}

void helper_begins(void)
{
    pthread_t thread;
    explore_check(weft__helper_start(&thread, "", NULL, NULL) == 0);
}

void helper_ends(void)
{
    weft__helper_to_end();
    thread_ends();
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *arg),
                   void *arg)
{
    (void)attributes;
    (void)body;
    (void)arg;
    *thread = 1;
    weft__fetch_add_acq_rel(&thread_count, 1);
    return 0;
}

int open(const char *path, int flags, ...)
{
    (void)flags;
    explore_check(strcmp(path, "/proc/self/stat") == 0);
    return STAT_FD;
}

/* The twentieth field. The kernel takes its locks for that, as for the end of a thread. */
ssize_t read(int fd, void *buffer, size_t bytes)
{
    explore_check(fd == STAT_FD);
    uint32_t count = weft__fetch_add_acq_rel(&thread_count, 0);
    return snprintf(buffer, bytes, "1 (a (b) 7) S 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 %u 0 0\n", count);
}

int close(int fd)
{
    explore_check(fd == STAT_FD);
    return 0;
}

/* ---- a fork ---------------------------------------------------------------------------------- */

void world_forks(unsigned helpers)
{
    for (unsigned i = 0; i < workers_other.worker_count; i++)
        workers_other.workers[i].lane.worker_ = NULL; /* its thread is a plain one, if any */
    thread_count -= workers_other.worker_count + helpers;
    workers_runtime.fork_count = ++fork_count;
    weft__registry_forked();
    weft__hang_forked();
    weft__helpers_forked();
}

uint64_t weft__fork_count(void)
{
    return fork_count;
}

void weft__fork_register(void)
{
}

/* ---- what the detector looks at, and says ---------------------------------------------------- */

void weft__fiber_pool_each(const weft__fiber_pool *pool,
                           void (*each)(weft__fiber *fiber, uint64_t number, void *arg), void *arg)
{
    for (unsigned i = 0; i < FIBERS_MAX; i++) {
        weft_runtime *runtime = actors[i].fiber.runtime;
        if (runtime != NULL && &runtime->fibers == pool)
            each(&actors[i].fiber, i, arg);
    }
}

int weft__fiber_is_alive(const weft__fiber *fiber)
{
    return weft__load_relaxed(&fiber->running) != NULL;
}

/* The only handler is that of the explorer's clock: let it pass for the dumps'. */
int weft__dump_signal(void)
{
    return SIGVTALRM;
}

void weft__last_words_prepare(void)
{
}

void weft__dump_begin(weft__dump *dump, int fd)
{
    (void)dump;
    (void)fd;
    acts(); /* once only */
    weft__store_relaxed(&told, 1);
}

int weft__dump_end(weft__dump *dump)
{
    (void)dump;
    return 0;
}

void weft__dump_name(weft__dump *dump, const weft__fiber *fiber)
{
    (void)dump;
    (void)fiber;
}

void weft__dump_fiber(weft__dump *dump, weft__fiber *fiber, uint64_t number)
{
    (void)dump;
    (void)fiber;
    (void)number;
}

const weft__fiber *weft__fiber_blocker(const weft_runtime *runtime, const weft__fiber *fiber)
{
    (void)runtime;
    (void)fiber;
    return NULL;
}

void weft__text_put(weft__text *text, const char *words)
{
    (void)text;
    (void)words;
}

void weft__text_number(weft__text *text, uint64_t number)
{
    (void)text;
    (void)number;
}

/* The others of the process stay as they are, and so does the caller: nobody may do anything. */
void _exit(int status)
{
    static const uint32_t never;
    explore_check(status == WEFT_EXIT_HANG);
    for (;;)
        explore_park_wait(&never, 0);
}
