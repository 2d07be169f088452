/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — one program for each system: it solves a problem several times and prints a JSON line
 * for each time.
 *
 *     weft-gcc --list
 *     weft-gcc fib --size 34 --workers 2 --runs 5
 *
 * Kernels and systems are separate processes, so that one that crashes or hangs takes nothing
 * else down. Everything happens in a thread whose stack is large enough for the deepest recursion,
 * because in OpenMP, oneTBB and the serial twin the calling thread runs tasks itself. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* g++ defines it by itself */
#endif

#include "bench.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAIN_STACK_BYTES ((size_t)256 << 20)

static bench_kernel *kernels;

typedef struct request {
    const bench_kernel *kernel;
    bench_problem problem;
    long workers;
    long runs;
    long warmups;
    double seconds; /* no further run is begun after so many */
    int status;
} request;

void bench_register(bench_kernel *kernel)
{
    kernel->next = kernels;
    kernels = kernel;
}

int bench_complain(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fputs("bench: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    return 2;
}

static double clock_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* From /proc, because getrusage() would also remember the process that started this one. */
static long rss_peak_kib(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (!status)
        return 0;
    while (fgets(line, sizeof line, status))
        if (sscanf(line, "VmHWM: %ld kB", &kib) == 1)
            break;
    fclose(status);
    return kib;
}

static void print_kernels(void)
{
#if defined(__clang__)
    const char *compiler = "clang " __clang_version__;
#else
    const char *compiler = "gcc " __VERSION__;
#endif
    printf("{\"system\": \"%s\", \"version\": \"%s\", \"compiler\": \"%s\"}\n", BENCH_SYSTEM_NAME,
           bench_system_version(), compiler);
    for (const bench_kernel *k = kernels; k; k = k->next)
        printf("{\"kernel\": \"%s\", \"title\": \"%s\", \"group\": \"%s\", \"least\": %ld, "
               "\"quick\": %ld, \"full\": %ld, \"serial_only\": %s, \"needs_data\": %s}\n",
               k->name, k->title, k->group, k->least, k->quick, k->full,
               k->serial_only ? "true" : "false", k->needs_data ? "true" : "false");
}

/* Run once; a line is printed unless it is the warm-up. */
static int run_once(bench_system *system, const request *r, int silent)
{
    double cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    double wall = clock_seconds(CLOCK_MONOTONIC);
    bench_system_run(system, r->kernel);
    wall = clock_seconds(CLOCK_MONOTONIC) - wall;
    cpu = clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    uint64_t answer = r->kernel->answer();
    int ok = answer == r->problem.expected;
    if (silent)
        return ok;
    printf("{\"kernel\": \"%s\", \"size\": %ld, \"workers\": %ld, \"seconds\": %.9f, "
           "\"cpu_seconds\": %.9f, \"rss_kib\": %ld, \"tasks\": %" PRIu64 ", \"answer\": %" PRIu64
           ", \"expected\": %" PRIu64 ", \"ok\": %s}\n",
           r->kernel->name, r->problem.size, r->workers, wall, cpu, rss_peak_kib(),
           r->problem.tasks, answer, r->problem.expected, ok ? "true" : "false");
    fflush(stdout);
    return ok;
}

static void *serve(void *arg)
{
    request *r = (request *)arg;
    bench_system system;
    r->status = r->kernel->prepare(&r->problem);
    if (r->status != 0)
        return NULL;
    r->status = bench_system_start(&system, (unsigned)r->workers, r->kernel->stack_bytes);
    if (r->status != 0)
        return NULL;
    double end = clock_seconds(CLOCK_MONOTONIC) + r->seconds;
    int ok = 1;
    for (long i = 0; i < r->warmups; i++)
        ok &= run_once(&system, r, 1);
    for (long i = 0; i < r->runs && (i == 0 || clock_seconds(CLOCK_MONOTONIC) < end); i++)
        ok &= run_once(&system, r, 0);
    bench_system_stop(&system);
    r->status = ok ? 0 : 1;
    return NULL;
}

static int read_number(const char *option, const char *text, long least, long *number)
{
    char *end;
    errno = 0;
    *number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || *number < least)
        return bench_complain("%s: not a number of at least %ld: '%s'", option, least, text);
    return 0;
}

static int read_option(request *r, const char *option, const char *value)
{
    long whole;
    if (!value)
        return bench_complain("%s: needs a value", option);
    if (!strcmp(option, "--size"))
        return read_number(option, value, 1, &r->problem.size);
    if (!strcmp(option, "--workers"))
        return read_number(option, value, 1, &r->workers);
    if (!strcmp(option, "--runs"))
        return read_number(option, value, 1, &r->runs);
    if (!strcmp(option, "--warmups"))
        return read_number(option, value, 0, &r->warmups);
    if (!strcmp(option, "--seconds")) {
        if (read_number(option, value, 0, &whole) != 0)
            return 2;
        r->seconds = (double)whole;
        return 0;
    }
    if (!strcmp(option, "--data")) {
        r->problem.data = value;
        return 0;
    }
    return bench_complain("unknown option: '%s'", option);
}

static int read_request(request *r, char **argv)
{
    for (const bench_kernel *k = kernels; k; k = k->next)
        if (!strcmp(k->name, argv[0]))
            r->kernel = k;
    if (!r->kernel)
        return bench_complain("unknown kernel: '%s'; --list names all", argv[0]);
    r->problem.size = r->kernel->quick ? r->kernel->quick : r->kernel->full;
    for (argv++; argv[0]; argv += 2)
        if (read_option(r, argv[0], argv[1]) != 0)
            return 2;
    if (r->kernel->needs_data && !r->problem.data)
        return bench_complain("%s: needs --data FILE", r->kernel->name);
    return 0;
}

#ifdef BENCH_SYSTEM_STACK_VARIABLE
/* Set the variable and start over: the system's library has already read its absence. */
static void set_stack_size(char **argv)
{
    if (getenv(BENCH_SYSTEM_STACK_VARIABLE))
        return;
    setenv(BENCH_SYSTEM_STACK_VARIABLE, "256M", 1);
    execv("/proc/self/exe", argv);
}
#else
static void set_stack_size(char **argv)
{
    (void)argv;
}
#endif

int main(int argc, char **argv)
{
    if (argc < 2)
        return bench_complain("usage: %s --list | KERNEL [--size N] [--workers N] [--runs N] "
                              "[--warmups N] [--seconds N] [--data FILE]",
                              argv[0]);
    if (!strcmp(argv[1], "--list")) {
        print_kernels();
        return 0;
    }
    set_stack_size(argv);
    request r;
    memset(&r, 0, sizeof r);
    r.workers = 1;
    r.runs = 5;
    r.warmups = 1;
    r.seconds = 3600;
    if (read_request(&r, argv + 1) != 0)
        return 2;
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, MAIN_STACK_BYTES);
    if (pthread_create(&thread, &attr, serve, &r) != 0)
        return bench_complain("cannot start a thread with a stack of 256 MiB");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attr);
    return r.status;
}
