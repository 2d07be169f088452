/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.c — see kernel.h. */
#include "models/ferry/kernel.h"

#include <errno.h>
#include <pthread.h>

enum { NOT_YET, STARTED, NEVER };

static struct {
    uint32_t started; /* NOT_YET ... */
    uint32_t is_over;
    void *(*body)(void *arg);
    void *arg;
} thread;

static uint32_t fibers_left;

void kernel_prepare(unsigned fibers)
{
    workers_prepare(3);
    thread.started = NOT_YET;
    thread.is_over = 0;
    fibers_left = fibers;
    weft__ferry_forked(); /* forget what was waited for in another execution */
    weft__ferry_open();
}

void kernel_run_own(void)
{
    weft_task *item;
    while ((item = weft__worker_own(weft__worker_self())) != NULL)
        workers_run(item);
}

static void start_thread(uint32_t what)
{
    weft__store_release(&thread.started, what);
    (void)explore_park_wake(&thread.started, 1);
}

void kernel_ferry(void)
{
    uint32_t seen;
    while ((seen = weft__load_acquire(&thread.started)) == NOT_YET)
        explore_park_wait(&thread.started, NOT_YET);
    if (seen == NEVER)
        return;
    (void)thread.body(thread.arg);
    kernel_run_own();
    weft__store_release(&thread.is_over, 1);
    (void)explore_park_wake(&thread.is_over, 1);
}

void kernel_done(void)
{
    if (weft__fetch_add_acq_rel(&fibers_left, (uint32_t)-1) > 1)
        return;
    weft__ferry_close();
    if (weft__load_acquire(&thread.started) == NOT_YET)
        start_thread(NEVER);
}

/* ---- the system ------------------------------------------------------------------------------ */

int weft__futex_can_wait_many(void)
{
    return 1;
}

int weft__futex_wait_many(const weft__sleep sleeps[], unsigned count)
{
    explore_sleep list[EXPLORE_SLEEPS_MAX];
    kernel_run_own();
    explore_check(count <= EXPLORE_SLEEPS_MAX);
    for (unsigned i = 0; i < count; i++)
        list[i] = (explore_sleep){sleeps[i].word, sleeps[i].expected};
    int hit = explore_park_any(list, count);
    return hit >= 0 ? hit : -EAGAIN;
}

/* No second one: whoever needs it is told that there is none. */
int pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*body)(void *arg),
                   void *arg)
{
    (void)attributes;
    if (thread.body != NULL && weft__load_relaxed(&thread.started) != NOT_YET)
        return EAGAIN;
    *id = 1;
    thread.body = body;
    thread.arg = arg;
    start_thread(STARTED);
    return 0;
}

int pthread_join(pthread_t id, void **result)
{
    (void)id;
    (void)result;
    while (weft__load_acquire(&thread.is_over) == 0)
        explore_park_wait(&thread.is_over, 0);
    return 0;
}
