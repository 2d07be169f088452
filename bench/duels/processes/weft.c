/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.c — weft's processes, and its pool of them. */
#include "../duel.h"

#include <weft/process.h>
#include <weft/procpool.h>

#define WORKERS 2
#define ASLEEP_US 5000
#define WINDOW 1000

WEFT_TASK(long, empty_task, long, n)
{
    return n;
}

static weft_procpool *pool;

static void start_pool(void)
{
    const weft_procpool_config config = {.workers = WORKERS};
    duel_need(weft_procpool_create(&pool, &config) == 0, "weft_procpool_create");
}

static void stop_pool(void)
{
    duel_need(weft_procpool_destroy(pool) == 0, "weft_procpool_destroy");
}

static empty_task_future submit(long n)
{
    return weft_submit(weft_procpool_executor(pool), empty_task, n);
}

static long result_of(empty_task_future future)
{
    long value = -1;
    int rc = weft_await(future, &value, WEFT_FOREVER);
    if (rc != 0)
        duel_fail(1, "weft_await: %s", weft_strerror(rc));
    return value;
}

static void submit_and_result(void)
{
    static long number;
    number++;
    duel_equal("result", result_of(submit(number)), number);
}

/* How long `run()` takes, again and again, after a rest. */
static void measure(const duel_request *request, void (*run)(void), long rest_us)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    duel_samples samples = duel_samples_make(1000000);
    while (duel_now_ns() < deadline || samples.count < 5) {
        if (rest_us > 0)
            duel_sleep_us(rest_us);
        int64_t begin = duel_now_ns();
        run();
        if (!duel_samples_add(&samples, 1e-3 * (double)(duel_now_ns() - begin)))
            break;
    }
    duel_samples_print(&samples, "us");
}

/* ---- the duels ---------------------------------------------------------------------------- */

static int do_nothing(weft_child *self)
{
    (void)self;
    return 0;
}

static void start_and_join(void)
{
    weft_process *process;
    int code = -1;
    duel_need(weft_process_start(&process, do_nothing, NULL) == 0, "weft_process_start");
    duel_need(weft_process_join(process, WEFT_FOREVER) == 0, "weft_process_join");
    duel_need(weft_process_exitcode(process, &code) == 0, "weft_process_exitcode");
    duel_equal("exit status", code, 0);
    duel_need(weft_process_close(process) == 0, "weft_process_close");
}

static void duel_start(const duel_request *request)
{
    start_and_join(); /* what is set up once for all processes */
    measure(request, start_and_join, 0);
}

static void use_once(void)
{
    start_pool();
    submit_and_result();
    stop_pool();
}

static void duel_once(const duel_request *request)
{
    start_and_join();
    measure(request, use_once, 0);
}

static void measure_pool(const duel_request *request, long rest_us)
{
    start_pool();
    for (int i = 0; i < 20; i++)
        submit_and_result();
    measure(request, submit_and_result, rest_us);
    stop_pool();
}

static void duel_asleep(const duel_request *request)
{
    measure_pool(request, ASLEEP_US);
}

static void duel_awake(const duel_request *request)
{
    measure_pool(request, 0);
}

/* The sum of the results of n tasks, WINDOW of which are under way. */
static long sum_of(long n)
{
    static empty_task_future futures[WINDOW];
    long sum = 0;
    for (long i = 0; i < n; i++) {
        if (i >= WINDOW)
            sum += result_of(futures[i % WINDOW]);
        futures[i % WINDOW] = submit(i);
    }
    for (long i = n; i < n + WINDOW; i++)
        sum += result_of(futures[i % WINDOW]);
    return sum;
}

static void duel_throughput(const duel_request *request)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    long n = WINDOW;
    double took;
    start_pool();
    do {
        n *= 2;
        int64_t begin = duel_now_ns();
        long sum = sum_of(n);
        took = (double)(duel_now_ns() - begin);
        duel_equal("sum", sum, n * (n - 1) / 2);
    } while (duel_now_ns() + 2 * (int64_t)took < deadline);
    stop_pool();
    duel_value("rate", 1e3 * (double)n / took, "M/s");
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"start", duel_start},           {"once", duel_once},
                                 {"asleep", duel_asleep},         {"awake", duel_awake},
                                 {"throughput", duel_throughput}, {NULL, NULL}};
    return duel_main(argc, argv, weft_version(), duels);
}
