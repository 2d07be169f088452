/* SPDX-License-Identifier: BSD-2-Clause */
/* mutex.c — a contestant: the pool one writes by hand, with a mutex and condition variables, well.
 *
 * A future is its own queue entry, so a submission allocates once; a thread is woken only if one
 * sleeps; a completion takes no lock of its own but the queue's, which the worker needs anyway. */
#include "../duel.h"

#include <pthread.h>

typedef struct job {
    struct job *next;
    long (*function)(long);
    long value; /* the argument, then the result */
    int done;
    int waiters; /* threads that wait for this one */
} job;

typedef job *contest_future;

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work; /* something was queued, or the pool ends */
    pthread_cond_t done; /* something was completed */
    job *first, **last;
    int idle; /* workers that wait for work */
    int stopping;
    int workers;
    pthread_t threads[64];
} pool;

/* Under the lock: the next job, or NULL at the end. */
static job *take_job(void)
{
    while (!pool.first && !pool.stopping) {
        pool.idle++;
        pthread_cond_wait(&pool.work, &pool.mutex);
        pool.idle--;
    }
    job *next = pool.first;
    if (next && !(pool.first = next->next))
        pool.last = &pool.first;
    return next;
}

/* Under the lock. */
static void complete(job *completed, long result)
{
    completed->value = result;
    completed->done = 1;
    if (completed->waiters)
        pthread_cond_broadcast(&pool.done);
}

static void *work(void *argument)
{
    job *next;
    (void)argument;
    pthread_mutex_lock(&pool.mutex);
    while ((next = take_job())) {
        pthread_mutex_unlock(&pool.mutex);
        long result = next->function(next->value);
        pthread_mutex_lock(&pool.mutex);
        complete(next, result);
    }
    pthread_mutex_unlock(&pool.mutex);
    return NULL;
}

static void contest_start(int workers)
{
    pthread_mutex_init(&pool.mutex, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    pool.last = &pool.first;
    pool.workers = workers;
    for (int i = 0; i < workers; i++)
        duel_need(pthread_create(&pool.threads[i], NULL, work, NULL) == 0, "pthread_create");
}

static void contest_stop(void)
{
    pthread_mutex_lock(&pool.mutex);
    pool.stopping = 1;
    pthread_cond_broadcast(&pool.work);
    pthread_mutex_unlock(&pool.mutex);
    for (int i = 0; i < pool.workers; i++)
        pthread_join(pool.threads[i], NULL);
}

static void contest_promise(contest_future *future)
{
    *future = (job *)duel_alloc(sizeof **future);
}

static void contest_submit(contest_future *future, long (*function)(long), long n)
{
    contest_promise(future);
    job *added = *future;
    added->function = function;
    added->value = n;
    pthread_mutex_lock(&pool.mutex);
    *pool.last = added;
    pool.last = &added->next;
    int idle = pool.idle;
    pthread_mutex_unlock(&pool.mutex);
    if (idle)
        pthread_cond_signal(&pool.work);
}

static void contest_complete(contest_future *future, long n)
{
    pthread_mutex_lock(&pool.mutex);
    complete(*future, n);
    pthread_mutex_unlock(&pool.mutex);
}

static long contest_wait(contest_future *future)
{
    pthread_mutex_lock(&pool.mutex);
    (*future)->waiters++;
    while (!(*future)->done)
        pthread_cond_wait(&pool.done, &pool.mutex);
    (*future)->waiters--;
    pthread_mutex_unlock(&pool.mutex);
    return (*future)->value;
}

static void contest_drop(contest_future *future)
{
    free(*future);
}

static long contest_result(contest_future *future)
{
    long value = contest_wait(future);
    contest_drop(future);
    return value;
}

static struct {
    void (*function)(void *argument);
    void *argument;
} inside;

static long run_inside(long n)
{
    inside.function(inside.argument);
    return n;
}

static void contest_inside(void (*function)(void *argument), void *argument)
{
    contest_future future;
    inside.function = function;
    inside.argument = argument;
    contest_submit(&future, run_inside, 0);
    contest_result(&future);
}

#define CONTEST_PROMISES
#include "futures.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "pthread mutex and conditions", futures_duels);
}
