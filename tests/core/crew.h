/* SPDX-License-Identifier: BSD-2-Clause */
/* crew.h — the same work done by fibers and plain threads together, and what the tests of core/sync
 * ask about queues.
 *
 * A member returns 0 or, through CHECK, the line that failed. */
#ifndef WEFT_TESTS_CORE_CREW_H
#define WEFT_TESTS_CORE_CREW_H

#include "process.h"

#include <errno.h>
#include <pthread.h>

#include <weft/sync.h>
#include <weft/task.h>

#include "sync/waitq.h"

/* ---- crews ----------------------------------------------------------------------------------- */

#define CREW_MAX 64

typedef int crew_member(void *arg, unsigned index);

typedef struct crew {
    crew_member *member;
    void *arg;
    unsigned fibers;  /* members 0 ... fibers - 1 */
    unsigned threads; /* the others */
    unsigned workers; /* of the runtime that the fibers run on */
} crew;

typedef struct crew_thread {
    const crew *all;
    unsigned index;
    int line;
    pthread_t thread;
} crew_thread;

WEFT_TASK(int, crew_fiber, const crew *, all, unsigned, index)
{
    return all->member(all->arg, index);
}

static int crew_fibers(void *arg)
{
    const crew *all = arg;
    crew_fiber_task tasks[CREW_MAX];
    int first = 0;
    for (unsigned i = 0; i < all->fibers; i++)
        crew_fiber_spawn(&tasks[i], all, i);
    for (unsigned i = all->fibers; i-- > 0;) {
        int line = crew_fiber_join(&tasks[i]);
        first = line != 0 ? line : first;
    }
    return first;
}

static void *crew_in_thread(void *arg)
{
    crew_thread *self = arg;
    self->line = self->all->member(self->all->arg, self->index);
    return NULL;
}

/* Let all members run at once, and wait for them. The line of one that failed, or 0. */
static inline int run_crew(const crew *all)
{
    crew_thread threads[CREW_MAX];
    weft_config config = {.workers = all->workers};
    int line = 0;
    for (unsigned i = 0; i < all->threads; i++) {
        threads[i] = (crew_thread){.all = all, .index = all->fibers + i};
        if (pthread_create(&threads[i].thread, NULL, crew_in_thread, &threads[i]) != 0)
            return __LINE__;
    }
    if (all->fibers > 0)
        line = weft_run(crew_fibers, (void *)(uintptr_t)all, &config);
    for (unsigned i = 0; i < all->threads; i++) {
        (void)pthread_join(threads[i].thread, NULL);
        line = threads[i].line != 0 ? threads[i].line : line;
    }
    return line;
}

/* Half of `members` in fibers, half in threads, on one worker and on several. */
static inline void on_crews(crew_member *member, void *arg, unsigned members)
{
    static const unsigned workers[] = {1, 2, 4};
    for (size_t i = 0; i < sizeof(workers) / sizeof(workers[0]); i++) {
        crew all = {.member = member,
                    .arg = arg,
                    .fibers = members / 2,
                    .threads = members - members / 2,
                    .workers = workers[i]};
        int line = run_crew(&all);
        if (line != 0)
            fail_msg("line %d fails with %u workers", line, workers[i]);
    }
}

/* ---- queues ---------------------------------------------------------------------------------- */

/* Those in the ring of `queue`. `locked` holds the word: the same, or, where one word is for two
 * rings, that of the other. */
static inline size_t count_waiters_under(weft__waitq *locked, const weft__waitq *queue)
{
    size_t count = 0;
    uint32_t state = weft__waitq_lock(locked);
    const weft__sleeper *first = weft__waitq_first(queue);
    for (const weft__sleeper *one = first; one != NULL; one = one->next == first ? NULL : one->next)
        count++;
    weft__store_release(&locked->word_, state); /* edge waitq.busy (release): as it was */
    return count;
}

static inline size_t count_waiters(weft__waitq *queue)
{
    return count_waiters_under(queue, queue);
}

/* Wait until `count` wait in the queue. Nonzero: they do. */
static inline int wait_for_waiters_under(weft__waitq *locked, const weft__waitq *queue,
                                         size_t count)
{
    int64_t end = weft_in(LIVENESS_NS);
    while (count_waiters_under(locked, queue) != count) {
        if (weft_now() > end)
            return 0;
        sleep_ns(20 * WEFT_USEC);
    }
    return 1;
}

static inline int wait_for_waiters(weft__waitq *queue, size_t count)
{
    return wait_for_waiters_under(queue, queue, count);
}

/* ---- helpers that run beside a test ---------------------------------------------------------- */

/* A crew in a thread of its own, so that the test can act meanwhile. */
typedef struct side_crew {
    crew all;
    int line;
    pthread_t thread;
} side_crew;

static void *side_crew_run(void *arg)
{
    side_crew *side = arg;
    side->line = run_crew(&side->all);
    return NULL;
}

static inline void start_side(side_crew *side)
{
    assert_int_equal(pthread_create(&side->thread, NULL, side_crew_run, side), 0);
}

static inline void end_side(side_crew *side)
{
    assert_int_equal(pthread_join(side->thread, NULL), 0);
    if (side->line != 0)
        fail_msg("line %d fails", side->line);
}

#endif
