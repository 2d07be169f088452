/* SPDX-License-Identifier: BSD-2-Clause */
/* duel.h — what all contestants share: clocks, order statistics, the protocol with the driver.
 *
 * A duel is one question ("what does a submit and its result cost from outside?"), and a
 * contestant is a program that answers some of the questions of a section:
 *
 *     PROGRAM --list                    a line with its version, then the duels it knows
 *     PROGRAM DUEL [SECONDS [SIZE]]     measure for about SECONDS, or with a problem of that SIZE
 *
 * An answer is lines of `quantity value unit`. A quantity that is printed several times has been
 * measured several times; the driver pools all values of all visits. Exit status 1 and a line on
 * stderr: the contestant got its own arithmetic wrong; 2: it could not measure. No program outlives
 * its time, whatever hangs, and none leaves anything behind.
 *
 * The text of a duel is written once for each section (futures.h, fibers.h, ring.h) in a small
 * vocabulary, and every contestant says what the words mean there, in the way its users would
 * write it. These files are C that is C++ as well. */
#ifndef DUEL_H
#define DUEL_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DUEL_SECONDS_MAX 120u /* no program runs longer than this */

/* A function that stands in the way for the sake of its frame. Both sides of a switch return
 * through the same code, and the processor expects as much; a clone for each of two callers would
 * measure mispredicted returns. */
#if defined(__clang__)
#define DUEL_FRAME __attribute__((noinline))
#else
#define DUEL_FRAME __attribute__((noinline, noclone))
#endif

/* How much to measure. A duel uses what means something to it. */
typedef struct duel_request {
    double seconds; /* about as long */
    long size;      /* how many of whatever the duel counts; 0: the duel's own choice */
} duel_request;

typedef struct duel {
    const char *name; /* NULL ends the table */
    void (*run)(const duel_request *request);
} duel;

/* ---- saying what came out ----------------------------------------------------------------- */

static inline void duel_value(const char *quantity, double value, const char *unit)
{
    printf("%s %.9g %s\n", quantity, value, unit);
}

/* One line on stderr, then the end: 1 for a wrong answer, 2 for what could not be measured. */
__attribute__((format(printf, 2, 3), noreturn)) static inline void duel_fail(int status,
                                                                             const char *format,
                                                                             ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(status);
}

/* What must hold or the contestant is no yardstick. */
static inline void duel_equal(const char *what, long long found, long long expected)
{
    if (found != expected)
        duel_fail(1, "wrong %s: %lld, expected %lld", what, found, expected);
}

/* What must succeed or there is nothing to measure. */
static inline void duel_need(int holds, const char *what)
{
    if (!holds)
        duel_fail(2, "%s failed", what);
}

static inline void *duel_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);
    duel_need(memory != NULL, "calloc");
    return memory;
}

/* ---- clocks ------------------------------------------------------------------------------- */

static inline int64_t duel_clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t duel_now_ns(void)
{
    return duel_clock_ns(CLOCK_MONOTONIC);
}

static inline int64_t duel_cpu_ns(void)
{
    return duel_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

static inline int64_t duel_deadline_ns(double seconds)
{
    return duel_now_ns() + (int64_t)(1e9 * seconds);
}

static inline void duel_sleep_us(long microseconds)
{
    struct timespec rest;
    rest.tv_sec = microseconds / 1000000;
    rest.tv_nsec = 1000 * (microseconds % 1000000);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) != 0)
        ;
}

static inline void duel_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

/* The processor's own counter where reading it is cheap: a clock call would be a fifth of the
 * shortest round trips. The kernel vouches for a constant rate by using it as its clock. */
static inline uint64_t duel_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return (uint64_t)duel_now_ns();
#endif
}

static inline double duel_ns_per_tick(void)
{
    int64_t begin = duel_now_ns();
    uint64_t ticks = duel_ticks();
    while (duel_now_ns() < begin + 2000000)
        ;
    return (double)(duel_now_ns() - begin) / (double)(duel_ticks() - ticks);
}

/* ---- order statistics --------------------------------------------------------------------- */

static inline int duel_less(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Samples that are kept one by one; more than fit are not taken. */
typedef struct duel_samples {
    double *values;
    size_t count;
    size_t capacity;
} duel_samples;

static inline duel_samples duel_samples_make(size_t capacity)
{
    duel_samples samples;
    samples.values = (double *)duel_alloc(capacity * sizeof *samples.values);
    samples.count = 0;
    samples.capacity = capacity;
    return samples;
}

/* Nonzero if there is room for more. */
static inline int duel_samples_add(duel_samples *samples, double value)
{
    if (samples->count < samples->capacity)
        samples->values[samples->count++] = value;
    return samples->count < samples->capacity;
}

/* The value below which `share` of the samples lie. Sorts them. */
static inline double duel_samples_quantile(duel_samples *samples, double share)
{
    duel_need(samples->count > 0, "measuring in so short a time");
    qsort(samples->values, samples->count, sizeof *samples->values, duel_less);
    size_t i = (size_t)(share * (double)samples->count);
    return samples->values[i < samples->count ? i : samples->count - 1];
}

/* Print p50 and p99 and let the samples go. */
static inline void duel_samples_print(duel_samples *samples, const char *unit)
{
    duel_value("p50", duel_samples_quantile(samples, 0.50), unit);
    duel_value("p99", duel_samples_quantile(samples, 0.99), unit);
    free(samples->values);
}

/* Time `run(n, argument)` in batches that grow until one takes a tenth of the time there is, then
 * go on until it is over. For one of the n operations, in the median batch: `each`, nanoseconds
 * that passed, and `cpu`, processor time of the whole process. */
static inline void duel_each(const duel_request *request, void (*run)(long n, void *argument),
                             void *argument)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    double wanted = 1e8 * request->seconds;
    duel_samples walls = duel_samples_make(1000);
    duel_samples cpus = duel_samples_make(1000);
    long n = 16;
    do {
        int64_t cpu = duel_cpu_ns();
        int64_t begin = duel_now_ns();
        run(n, argument);
        double took = (double)(duel_now_ns() - begin);
        if (took < 0.5 * wanted && duel_now_ns() < deadline) {
            n *= took < 0.05 * wanted ? 8 : 2;
            continue;
        }
        duel_samples_add(&cpus, (double)(duel_cpu_ns() - cpu) / (double)n);
        if (!duel_samples_add(&walls, took / (double)n))
            break;
    } while (duel_now_ns() < deadline || walls.count == 0);
    duel_value("each", duel_samples_quantile(&walls, 0.5), "ns");
    duel_value("cpu", duel_samples_quantile(&cpus, 0.5), "ns");
    free(walls.values);
    free(cpus.values);
}

/* ---- the process -------------------------------------------------------------------------- */

/* A number from a line of /proc/self/status, such as "VmRSS:", in KiB. */
static inline long duel_status_kib(const char *field)
{
    char line[256];
    long kib = -1;
    FILE *file = fopen("/proc/self/status", "r");
    duel_need(file != NULL, "reading /proc/self/status");
    while (fgets(line, sizeof line, file))
        if (strncmp(line, field, strlen(field)) == 0)
            kib = strtol(line + strlen(field), NULL, 10);
    fclose(file);
    duel_need(kib >= 0, field);
    return kib;
}

static inline long duel_mappings(void)
{
    long count = 0;
    int c;
    FILE *file = fopen("/proc/self/maps", "r");
    duel_need(file != NULL, "reading /proc/self/maps");
    while ((c = getc(file)) != EOF)
        count += c == '\n';
    fclose(file);
    return count;
}

/* Stay on the number-th of the processors this process may use, if there are two or more. */
static inline void duel_pin(int number)
{
    cpu_set_t allowed;
    cpu_set_t one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || CPU_COUNT(&allowed) < 2)
        return;
    number %= CPU_COUNT(&allowed);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &allowed) && number-- == 0) {
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            return;
        }
}

static inline double duel_number(const char *word)
{
    char *end;
    double number = strtod(word, &end);
    if (end == word || *end != '\0' || !(number >= 0) || number > 1e12)
        duel_fail(2, "not a number that is of use here: '%s'", word);
    return number;
}

static inline int duel_main(int argc, char **argv, const char *version, const duel *duels)
{
    duel_request request = {0.1, 0};
    if (argc < 2 || argc > 4)
        duel_fail(2, "usage: %s --list | DUEL [SECONDS [SIZE]]", argv[0]);
    if (argc > 2)
        request.seconds = duel_number(argv[2]);
    if (argc > 3)
        request.size = (long)duel_number(argv[3]);
    if (strcmp(argv[1], "--list") == 0) {
        printf("%s\n", version);
        for (const duel *d = duels; d->name; d++)
            printf("%s\n", d->name);
        return 0;
    }
    alarm(DUEL_SECONDS_MAX);
    for (const duel *d = duels; d->name; d++)
        if (strcmp(d->name, argv[1]) == 0) {
            d->run(&request);
            return 0;
        }
    duel_fail(2, "unknown duel: '%s'", argv[1]);
}

#endif
