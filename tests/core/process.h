/* SPDX-License-Identifier: BSD-2-Clause */
/* process.h — what a test can do to a process, and ask about its own.
 *
 * Whatever is meant to die, or must not disturb the tests that follow, runs in a forked child whose
 * stderr comes back together with its end. The child leaves by _exit(): nothing of the parent's is
 * flushed or checked twice. Counts of threads, mappings and switches come from /proc. */
#ifndef WEFT_TESTS_CORE_PROCESS_H
#define WEFT_TESTS_CORE_PROCESS_H

#include "on_workers.h"

#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weft/atomic.h>

#include "sanitize.h"

/* Amounts of work: natively, and where every access is checked. */
#if defined(WEFT__ASAN) || defined(WEFT__TSAN)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif
#define LESS_IF_SANITIZED(native, sanitized) (SANITIZED ? (sanitized) : (native))

/* How long what must happen may take before it counts as never: long, for a busy machine. */
#define LIVENESS_NS (60 * WEFT_SEC)

/* ---- children -------------------------------------------------------------------------------- */

typedef struct child_end {
    int status; /* as from waitpid() */
    char errors[4096];
} child_end;

/* Collect a child whose stderr is the other end of `errors_fd`. */
static inline child_end end_of_child(pid_t child, int errors_fd)
{
    child_end end = {.status = -1};
    size_t used = 0;
    for (;;) {
        char rest[256];
        size_t room = sizeof(end.errors) - 1 - used;
        ssize_t got =
            read(errors_fd, room > 0 ? end.errors + used : rest, room > 0 ? room : sizeof(rest));
        if (got <= 0)
            break;
        used += room > 0 ? (size_t)got : 0;
    }
    close(errors_fd);
    (void)waitpid(child, &end.status, 0);
    return end;
}

/* Run body(arg) in a forked child; a line that it answers with goes to its stderr, and makes its
 * exit status 1. A fiber may call it as well. */
static inline child_end in_child(int (*body)(void *arg), void *arg)
{
    int ends[2];
    child_end failed = {.status = -1, .errors = "no pipe or no process"};
    if (pipe(ends) != 0)
        return failed;
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* not to the test framework */
        (void)dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        int line = body(arg);
        if (line != 0)
            dprintf(STDERR_FILENO, "line %d fails in the child\n", line);
        _exit(line != 0);
    }
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return failed;
    }
    return end_of_child(child, ends[0]);
}

static inline int is_success(const child_end *end)
{
    return WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0;
}

static inline int is_death(const child_end *end, int signal_number, const char *words)
{
    return WIFSIGNALED(end->status) && WTERMSIG(end->status) == signal_number &&
           strstr(end->errors, words) != NULL;
}

static inline void expect_success(const child_end *end)
{
    if (!is_success(end))
        fail_msg("the child ended with status %#x and said: %s", (unsigned)end->status,
                 end->errors);
}

static inline void expect_death(const child_end *end, int signal_number, const char *words)
{
    if (!is_death(end, signal_number, words))
        fail_msg("the child should end by signal %d and say \"%s\"; status %#x, said: %s",
                 signal_number, words, (unsigned)end->status, end->errors);
}

/* ---- /proc ----------------------------------------------------------------------------------- */

static inline size_t count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    size_t lines = 0;
    if (file == NULL)
        return 0;
    for (int c = getc(file); c != EOF; c = getc(file))
        lines += c == '\n';
    (void)fclose(file);
    return lines;
}

static inline size_t count_mappings(void)
{
    return count_lines("/proc/self/maps");
}

/* A number behind `key` in a file such as /proc/self/status; -1 if it is not there. */
static inline long read_key(const char *path, const char *key)
{
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return -1;
    while (value < 0 && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            value = strtol(line + strlen(key), NULL, 10);
    (void)fclose(file);
    return value;
}

/* Add up `key` over all workers' threads, whatever their runtime, and count them. */
static inline size_t each_worker_thread(const char *key, long *sum)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL)
        return 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        char path[300];
        char line[64] = "";
        (void)snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL)
            continue;
        if (fgets(line, sizeof(line), file) != NULL && strncmp(line, "Name:\tweft/", 11) == 0) {
            count++;
            if (sum != NULL)
                *sum += read_key(path, key);
        }
        (void)fclose(file);
    }
    (void)closedir(folder);
    return count;
}

/* ---- time ------------------------------------------------------------------------------------ */

static inline void sleep_ns(int64_t ns)
{
    struct timespec pause = {.tv_sec = (time_t)(ns / WEFT_SEC), .tv_nsec = (long)(ns % WEFT_SEC)};
    while (nanosleep(&pause, &pause) != 0)
        continue;
}

/* Burn processor time; touches nothing of weft's but the clock. */
static inline void compute_ns(int64_t ns)
{
    int64_t end = weft_now() + ns;
    while (weft_now() < end)
        continue;
}

/* Seconds for which stress tests repeat themselves: WEFT_SOAK, usually 0. */
static inline int64_t soak_ns(void)
{
    const char *text = getenv("WEFT_SOAK");
    return text == NULL ? 0 : strtol(text, NULL, 10) * WEFT_SEC;
}

/* Threads get their name, and vanish from /proc, a moment after they begin and have been joined. */
static inline int are_worker_threads(size_t count)
{
    int64_t end = weft_now() + LIVENESS_NS;
    while (each_worker_thread("Pid:", NULL) != count) {
        if (weft_now() > end)
            return 0;
        sleep_ns(100 * WEFT_USEC);
    }
    return 1;
}

/* Wait until *word is at least `value`, on the calling thread, which touches nothing of weft's.
 * Nonzero: it became so in time. */
static inline int wait_for(const unsigned *word, unsigned value)
{
    int64_t begin = weft_now();
    while (weft__load_acquire(word) < value) {
        int64_t waited = weft_now() - begin;
        if (waited > LIVENESS_NS)
            return 0;
        if (waited > 200 * WEFT_USEC)
            (void)sched_yield(); /* there may be more threads than processors */
    }
    return 1;
}

#endif
