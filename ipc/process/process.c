/* SPDX-License-Identifier: BSD-2-Clause */
/* process.c — a child process as its caller sees it.
 *
 * Two descriptors stand for a child. The pidfd says when it has ended; it is readable at that very
 * moment, cannot be confused by a recycled number, and carries signals. The report is a pipe over
 * which the server tells how it ended, a moment later. Should the server be killed, the pipe is
 * closed without a report: the end is still noticed, only nobody knows its status. */
#include <weft/process.h>

#include "process/link.h"
#include "process/start.h"

#include <weft/atomic.h>

#include "alloc.h"
#include "block.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <unistd.h>

#define START_NS_MAX (60 * WEFT_SEC) /* for constructors, on a busy machine under a sanitizer */
#define REPORT_PATIENCE_NS (10 * WEFT_SEC) /* for what a living server does at once */

struct weft_process {
    int pid;
    int pidfd;
    int report_fd;
    pthread_mutex_t lock; /* protects the rest, but for the name */
    int is_reported;      /* the report has been read, or will not come */
    int report_rc;        /* 0: `report` holds */
    weft__report report;
    char name[WEFT__NAME_BYTES];
};

/* ---- waiting --------------------------------------------------------------------------------- */

static void read_report(weft_process *process)
{
    weft__report report;
    int64_t got = weft__read_all(process->report_fd, &report, sizeof(report));
    if (got == (int64_t)sizeof(report))
        process->report = report;
    else
        process->report_rc = -ECHILD; /* the server was killed */
    process->is_reported = 1;
}

/* Wait for the report: 0 it has been read, -ETIMEDOUT. In the thread, for a moment: the lock is
 * its own. */
static int settle(weft_process *process, int64_t deadline_ns)
{
    int rc = 0;
    (void)pthread_mutex_lock(&process->lock);
    if (!process->is_reported) {
        rc = weft__wait_readable(process->report_fd, deadline_ns);
        if (rc == 0)
            read_report(process);
    }
    (void)pthread_mutex_unlock(&process->lock);
    return rc;
}

/* ---- starting -------------------------------------------------------------------------------- */

static int check(const weft_process_config *config)
{
    if (config->fd_count > WEFT_PROCESS_FDS_MAX || (config->fd_count > 0 && config->fds == NULL) ||
        (config->arg_bytes > 0 && config->arg == NULL) || config->arg_bytes > PTRDIFF_MAX ||
        config->method > WEFT_PROCESS_EXEC || config->start_ns_max < 0 ||
        (config->name != NULL && strlen(config->name) >= WEFT__NAME_BYTES))
        return -EINVAL;
    return 0;
}

static void give_name(char *name, const char *wanted)
{
    static uint32_t last_number;
    if (wanted != NULL) {
        memcpy(name, wanted, strlen(wanted) + 1);
        return;
    }
    unsigned number = weft__fetch_add_relaxed(&last_number, 1) + 1;
    (void)snprintf(name, WEFT__NAME_BYTES, "process-%u", number);
}

/* A file in memory that holds the argument; or -errno. */
static int put_in_file(const void *data, size_t bytes)
{
    if (weft__fault())
        return -EMFILE;
    int file = memfd_create("weft-arg", MFD_CLOEXEC);
    if (file < 0)
        return -errno;
    int rc = weft__write_all(file, data, bytes);
    if (rc != 0)
        (void)close(file);
    return rc != 0 ? rc : file;
}

/* Collect the descriptors, in the order that server.c expects. */
static void pack(weft__start *start, const weft_process_config *config)
{
    weft__request *request = start->request;
    size_t count = 0;
    for (int i = 0; i < STDIO_COUNT; i++)
        if (fcntl(i, F_GETFD) >= 0) {
            request->has_stdio[i] = 1;
            start->fds[count++] = i;
        }
    if (start->folder >= 0) {
        request->has_folder = 1;
        start->fds[count++] = start->folder;
    }
    start->fds[count++] = start->report_fd;
    if (start->arg_file >= 0) {
        request->has_arg_file = 1;
        start->fds[count++] = start->arg_file;
    }
    for (size_t i = 0; i < config->fd_count; i++)
        start->fds[count++] = config->fds[i];
    request->fd_count = (uint32_t)config->fd_count;
    start->count = count;
}

/* Describe the child to the server. */
static int describe(weft__start *start, uintptr_t body, const weft_process_config *config)
{
    weft__request *request = start->request;
    memset(request, 0, offsetof(weft__request, arg));
    request->magic = WEFT__SERVER_MAGIC;
    request->arg_bytes = config->arg_bytes;
    request->deadline_ns = weft_in(config->start_ns_max > 0 ? config->start_ns_max : START_NS_MAX);
    request->is_daemonic = config->daemonic != 0;
    request->is_exec = config->method == WEFT_PROCESS_EXEC;
    memcpy(request->name, start->process->name, sizeof(request->name));
    int rc = weft__image_locate(body, &request->body);
    if (rc != 0)
        return rc;
    start->bytes = offsetof(weft__request, arg);
    if (config->arg_bytes > sizeof(request->arg)) {
        start->arg_file = put_in_file(config->arg, config->arg_bytes);
        if (start->arg_file < 0)
            return start->arg_file;
    } else if (config->arg_bytes > 0) {
        memcpy(request->arg, config->arg, config->arg_bytes);
        start->bytes += config->arg_bytes;
    }
    start->folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC); /* without one it stays put */
    pack(start, config);
    return 0;
}

static int open_report(weft__start *start)
{
    int ends[2];
    if (weft__fault())
        return -EMFILE;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    start->process->report_fd = ends[0];
    start->report_fd = ends[1];
    return 0;
}

static void dispose(weft_process *process)
{
    weft__close_all((int[]){process->pidfd, process->report_fd}, 2);
    (void)pthread_mutex_destroy(&process->lock);
    weft__free(process);
}

/* What was only needed for the start is given back, and without a child the process as well. */
static void conclude(weft__start *start, int rc)
{
    weft__close_all((int[]){start->folder, start->report_fd, start->arg_file}, 3);
    weft__free(start->request);
    if (rc != 0) {
        dispose(start->process);
        start->process = NULL;
    }
}

int weft__start_prepare(weft__start *start, int (*body)(weft_child *self),
                        const weft_process_config *config)
{
    *start = (weft__start){.folder = -1, .report_fd = -1, .arg_file = -1};
    int rc = check(config);
    if (rc != 0)
        return rc;
    weft_process *made = weft__alloc(sizeof(*made));
    start->request = weft__alloc(sizeof(*start->request));
    if (made == NULL || start->request == NULL) {
        weft__free(made);
        weft__free(start->request);
        return -ENOMEM;
    }
    *made = (weft_process){.pidfd = -1, .report_fd = -1};
    (void)pthread_mutex_init(&made->lock, NULL);
    give_name(made->name, config->name);
    start->process = made;
    rc = open_report(start);
    if (rc == 0)
        rc = describe(start, (uintptr_t)body, config);
    if (rc != 0)
        conclude(start, rc);
    return rc;
}

int weft__start_launch(weft__start *starts, size_t count)
{
    weft__order orders[WEFT__STARTS_MAX];
    int rc = 0;
    for (size_t i = 0; i < count; i++)
        orders[i] = (weft__order){.request = starts[i].request,
                                  .bytes = starts[i].bytes,
                                  .fds = starts[i].fds,
                                  .fd_count = starts[i].count,
                                  .pidfd = -1};
    (void)fflush(stdout);
    weft__link_start(orders, count);
    for (size_t i = 0; i < count; i++) {
        starts[i].process->pid = orders[i].pid;
        starts[i].process->pidfd = orders[i].pidfd;
        conclude(&starts[i], orders[i].rc);
        if (rc == 0)
            rc = orders[i].rc;
    }
    return rc;
}

int weft_process_start(weft_process **process, int (*body)(weft_child *self),
                       const weft_process_config *config)
{
    static const weft_process_config defaults;
    weft__start start;
    int rc = weft__start_prepare(&start, body, config != NULL ? config : &defaults);
    if (rc == 0)
        rc = weft__start_launch(&start, 1);
    if (rc == 0)
        *process = start.process;
    return rc;
}

/* ---- living and dying ------------------------------------------------------------------------ */

int weft_process_join(weft_process *process, int64_t deadline_ns)
{
    const weft__block *block = weft__block_now();
    /* The report comes after the end, so whoever waits for it is woken only once. */
    int rc = block->wait_readable(process->report_fd, deadline_ns);
    if (rc == 0 && settle(process, WEFT_POLL) == 0 && process->report_rc == 0)
        return 0;
    /* There is none yet, or the server was killed, and nobody knows when this one ends. */
    if (rc == 0 || rc == -ETIMEDOUT)
        rc = block->wait_readable(process->pidfd, deadline_ns);
    if (rc != 0)
        return rc;
    /* It has ended; the report takes a moment that a deadline in the past should not cost us. */
    int64_t soon = weft_in(REPORT_PATIENCE_NS);
    return settle(process, deadline_ns > soon ? deadline_ns : soon);
}

static int send_signal(const weft_process *process, int number)
{
    if (pidfd_send_signal(process->pidfd, number, NULL, 0) == 0 || errno == ESRCH)
        return 0;
    return -errno;
}

int weft_process_terminate(weft_process *process)
{
    return send_signal(process, SIGTERM);
}

int weft_process_kill(weft_process *process)
{
    return send_signal(process, SIGKILL);
}

int weft_process_is_alive(const weft_process *process)
{
    return weft__wait_readable(process->pidfd, WEFT_POLL) != 0;
}

/* 0: the process has ended and `report` holds. */
static int ended(weft_process *process)
{
    if (weft_process_is_alive(process) || settle(process, weft_in(REPORT_PATIENCE_NS)) != 0)
        return -EAGAIN;
    return process->report_rc; /* written once, before settle() let anyone by */
}

int weft_process_exitcode(weft_process *process, int *code)
{
    int rc = ended(process);
    if (rc == 0)
        *code = (int)process->report.code;
    return rc;
}

int weft_process_used(weft_process *process, weft_process_usage *usage)
{
    int rc = ended(process);
    if (rc == 0)
        *usage = process->report.used;
    return rc;
}

int weft_process_sentinel(const weft_process *process)
{
    return process->pidfd;
}

int weft_process_pid(const weft_process *process)
{
    return process->pid;
}

const char *weft_process_name(const weft_process *process)
{
    return process->name;
}

int weft_process_close(weft_process *process)
{
    if (process == NULL)
        return 0;
    if (weft_process_is_alive(process))
        return -EBUSY;
    dispose(process);
    return 0;
}
