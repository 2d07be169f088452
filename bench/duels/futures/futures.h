/* SPDX-License-Identifier: BSD-2-Clause */
/* futures.h — the duels about futures, in a vocabulary that every contestant defines first:
 *
 *     contest_future                          a handle
 *     contest_start(workers), contest_stop()  the pool
 *     contest_submit(&future, function, n)    `long function(long n)` is to run in the pool
 *     contest_result(&future)                 wait for it, return its result, let the future go
 *     contest_inside(function, argument)      run `void function(void *)` in the pool and wait
 *
 * A contestant that can complete a future by hand defines CONTEST_PROMISES and
 *
 *     contest_promise(&future), contest_complete(&future, n), contest_wait(&future),
 *     contest_drop(&future)
 *
 * where any number of threads may contest_wait() for the result. One that needs a thread for each
 * future defines CONTEST_FEW. */
#include <pthread.h>
#include <weft/atomic.h>

#define WORKERS 2
#define ASLEEP_US 5000 /* by then every pool has fallen asleep */
#define WINDOW 1000    /* futures in flight while the throughput is measured */
#define IN_FLIGHT 1000000
#define WAITERS 64

#ifdef __cplusplus
#define futures_new(n) (new contest_future[(size_t)(n)])
#define futures_delete(futures) (delete[](futures))
#else
#define futures_new(n) ((contest_future *)duel_alloc((size_t)(n) * sizeof(contest_future)))
#define futures_delete(futures) (free(futures))
#endif

static long empty_task(long n)
{
    return n;
}

/* ---- submit and result, one at a time ----------------------------------------------------- */

static void submit_and_result(long n, void *argument)
{
    (void)argument;
    for (long i = 0; i < n; i++) {
        contest_future future;
        contest_submit(&future, empty_task, i);
        long result = contest_result(&future);
        if (result != i)
            duel_equal("result", result, i);
    }
}

static void measure_inside(void *argument)
{
    duel_each((const duel_request *)argument, submit_and_result, NULL);
}

/* From a task, which a worker runs. */
static void duel_inside(const duel_request *request)
{
    duel_request copy = *request;
    contest_start(WORKERS);
    contest_inside(measure_inside, &copy);
    contest_stop();
}

/* From a plain thread, one after the other, so that whoever can stay awake does. */
static void duel_outside(const duel_request *request)
{
    contest_start(WORKERS);
    submit_and_result(1000, NULL);
    duel_each(request, submit_and_result, NULL);
    contest_stop();
}

/* From a plain thread into a pool in which everybody sleeps. */
static void duel_asleep(const duel_request *request)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    duel_samples samples = duel_samples_make(100000);
    contest_start(WORKERS);
    submit_and_result(100, NULL);
    do {
        duel_sleep_us(ASLEEP_US);
        int64_t begin = duel_now_ns();
        submit_and_result(1, NULL);
        duel_samples_add(&samples, 1e-3 * (double)(duel_now_ns() - begin));
    } while (duel_now_ns() < deadline || samples.count < 5);
    contest_stop();
    duel_samples_print(&samples, "us");
}

/* ---- many --------------------------------------------------------------------------------- */

static long submit_many(contest_future *futures, long n)
{
    long sum = 0;
    for (long i = 0; i < n; i++) {
        contest_future *next = &futures[i % WINDOW];
        if (i >= WINDOW)
            sum += contest_result(next);
        contest_submit(next, empty_task, i);
    }
    for (long i = n; i < n + WINDOW; i++)
        sum += contest_result(&futures[i % WINDOW]);
    return sum;
}

/* One plain thread submits and collects, WINDOW futures behind. */
static void duel_throughput(const duel_request *request)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    contest_start(WORKERS);
    contest_future *futures = futures_new(WINDOW);
    long n = 2 * WINDOW;
    double took;
    do {
        n = n < 1 << 24 ? 2 * n : n;
        int64_t begin = duel_now_ns();
        long sum = submit_many(futures, n);
        took = (double)(duel_now_ns() - begin);
        duel_equal("sum", sum, n * (n - 1) / 2);
    } while (duel_now_ns() + 2 * (int64_t)took < deadline);
    duel_value("rate", 1e3 * (double)n / took, "M/s");
    futures_delete(futures);
    contest_stop();
}

#ifndef CONTEST_FEW
static int gate;         /* the tasks that occupy the workers end when it is open */
static int gates_closed; /* how many of them have begun */

static long wait_at_gate(long n)
{
    weft__fetch_add_acq_rel(&gates_closed, 1);
    while (!weft__load_acquire(&gate))
        duel_sleep_us(1000);
    return n;
}

/* Have each page resident. A memset() will not do: compilers drop one of zeros behind calloc(). */
static void touch(void *memory, size_t bytes)
{
    volatile char *byte = (volatile char *)memory;
    for (size_t i = 0; i < bytes; i += 4096)
        byte[i] = byte[i];
}

/* Resident bytes for each future that is in flight: all workers are held up meanwhile. The array of
 * handles is there before; it is the user's. */
static void duel_memory(const duel_request *request)
{
    long count = request->size ? request->size : IN_FLIGHT;
    long sum = 0;
    contest_future held[WORKERS];
    contest_start(WORKERS);
    contest_future *futures = futures_new(count);
    touch((void *)futures, sizeof *futures * (size_t)count);
    for (int i = 0; i < WORKERS; i++)
        contest_submit(&held[i], wait_at_gate, i);
    while (weft__load_acquire(&gates_closed) < WORKERS)
        duel_sleep_us(100);
    long before = duel_status_kib("VmRSS:");
    for (long i = 0; i < count; i++)
        contest_submit(&futures[i], empty_task, i);
    long after = duel_status_kib("VmRSS:");
    weft__store_release(&gate, 1);
    for (int i = 0; i < WORKERS; i++)
        sum -= contest_result(&held[i]);
    for (long i = 0; i < count; i++)
        sum += contest_result(&futures[i]);
    duel_equal("sum", sum, count * (count - 1) / 2 - 1);
    duel_value("bytes", 1024.0 * (double)(after - before) / (double)count, "B");
    futures_delete(futures);
    contest_stop();
}
#endif

/* ---- one future, many waiters ------------------------------------------------------------- */

#ifdef CONTEST_PROMISES
static contest_future shared;
static pthread_barrier_t ready;
static long rounds;
static int still_waiting;
static int64_t last_woken_ns;

static void *wait_for_shared(void *argument)
{
    long *failures = (long *)argument;
    for (long round = 0; pthread_barrier_wait(&ready), round < weft__load_acquire(&rounds);
         round++) {
        *failures += contest_wait(&shared) != round;
        if (weft__fetch_add_acq_rel(&still_waiting, -1) == 1)
            last_woken_ns = duel_now_ns();
        pthread_barrier_wait(&ready);
    }
    return NULL;
}

/* From the completion until the last of 64 plain threads has the result. */
static double wake_all(long round)
{
    contest_promise(&shared);
    weft__store_release(&still_waiting, WAITERS);
    pthread_barrier_wait(&ready);
    duel_sleep_us(1000);
    int64_t begin = duel_now_ns();
    contest_complete(&shared, round);
    pthread_barrier_wait(&ready);
    contest_drop(&shared);
    return 1e-3 * (double)(last_woken_ns - begin);
}

static void duel_waiters(const duel_request *request)
{
    pthread_t threads[WAITERS];
    long failures[WAITERS] = {0};
    int64_t deadline = duel_deadline_ns(request->seconds);
    duel_samples samples = duel_samples_make(100000);
    contest_start(WORKERS);
    pthread_barrier_init(&ready, NULL, WAITERS + 1);
    weft__store_release(&rounds, (long)samples.capacity);
    for (int i = 0; i < WAITERS; i++)
        duel_need(pthread_create(&threads[i], NULL, wait_for_shared, &failures[i]) == 0,
                  "pthread_create");
    for (long round = 0; duel_now_ns() < deadline || round < 5; round++)
        if (!duel_samples_add(&samples, wake_all(round)))
            break;
    weft__store_release(&rounds, 0);
    pthread_barrier_wait(&ready);
    for (int i = 0; i < WAITERS; i++) {
        pthread_join(threads[i], NULL);
        duel_equal("results seen by a waiter", failures[i], 0);
    }
    contest_stop();
    duel_samples_print(&samples, "us");
}
#endif

static const duel futures_duels[] = {
    {"inside", duel_inside},
    {"outside", duel_outside},
    {"asleep", duel_asleep},
    {"throughput", duel_throughput},
#ifndef CONTEST_FEW
    {"memory", duel_memory},
#endif
#ifdef CONTEST_PROMISES
    {"waiters", duel_waiters},
#endif
    {NULL, NULL},
};
