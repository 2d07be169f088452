/* SPDX-License-Identifier: BSD-2-Clause */
/* reactor_epoll.c — files watched by epoll(7).
 *
 * Adopted files are registered once, edge-triggered, for everything. Others are armed for one event
 * by each wait: if the number has been closed and used anew behind our back, the kernel says ENOENT
 * and it is registered again.
 *
 * One descriptor more, an eventfd, ends polls. It is level-triggered and read only by whoever
 * waits: edge-triggered, the kick that is meant for a sleeper would be lost on a worker that just
 * looks. */
#include "io/files.h"

#include "hooks.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>
#include <weft/atomic.h>

#define EVENTS_MAX 64 /* they lie on the stack of an idle fiber, whose pages stay with it */

typedef struct epoll_files {
    weft__files files;
    int epoll_fd;
    int kick_fd;
} epoll_files;

/* ---- telling the kernel --------------------------------------------------------------------- */

static int control(epoll_files *self, int operation, weft__file *file, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = file};
    return epoll_ctl(self->epoll_fd, operation, file->fd, &event) == 0 ? 0 : -errno;
}

static void set_registered(weft__file *file, int is_registered)
{
    /* edge file.held (release): if not, the kernel has let go of it */
    weft__store_release(&file->registered, (uint32_t)is_registered);
}

static int arm(weft__files *files, weft__file *file)
{
    epoll_files *self = (epoll_files *)files;
    if (file->is_adopted) {
        int rc = control(self, EPOLL_CTL_ADD, file,
                         EPOLLIN | EPOLLPRI | EPOLLOUT | EPOLLRDHUP | EPOLLET);
        set_registered(file, rc == 0);
        return rc;
    }
    uint32_t events = EPOLLONESHOT;
    events |= file->sides[WEFT__READ].first != NULL ? (uint32_t)(EPOLLIN | EPOLLRDHUP) : 0;
    events |= file->sides[WEFT__WRITE].first != NULL ? (uint32_t)EPOLLOUT : 0;
    int rc = control(self, EPOLL_CTL_MOD, file, events);
    if (rc == -ENOENT)
        rc = control(self, EPOLL_CTL_ADD, file, events);
    set_registered(file, rc == 0);
    return rc;
}

static void forget(weft__files *files, weft__file *file)
{
    /* Closing would do, unless the file is open under another number as well. */
    (void)control((epoll_files *)files, EPOLL_CTL_DEL, file, 0);
    set_registered(file, 0);
}

/* ---- hearing from it ------------------------------------------------------------------------ */

/* A one-shot event for one side disarms the other as well. */
static void rearm(epoll_files *self, weft__file *file)
{
    /* relaxed: a hint; whoever comes to wait arms for himself */
    if (!weft__load_relaxed(&file->is_adopted) &&
        (weft__load_relaxed(&file->sides[WEFT__READ].first) != NULL ||
         weft__load_relaxed(&file->sides[WEFT__WRITE].first) != NULL))
        weft__file_rearm(&self->files, file);
}

static void hear(epoll_files *self, const struct epoll_event *event, weft_task **chain)
{
    weft__file *file = event->data.ptr;
    weft__file_event(&self->files, file, event->events, chain);
    rearm(self, file);
}

/* epoll_wait() counts milliseconds; epoll_pwait2(), from Linux 5.11, nanoseconds. */
static int wait_events(epoll_files *self, struct epoll_event *events, int64_t deadline_ns)
{
    if (deadline_ns == WEFT_POLL || deadline_ns == WEFT_FOREVER)
        return epoll_wait(self->epoll_fd, events, EVENTS_MAX, deadline_ns == WEFT_POLL ? 0 : -1);
    int64_t distance = deadline_ns - weft_now();
    if (distance < 0)
        distance = 0;
    struct timespec limit = {.tv_sec = (time_t)(distance / WEFT_SEC),
                             .tv_nsec = (long)(distance % WEFT_SEC)};
    int count = epoll_pwait2(self->epoll_fd, events, EVENTS_MAX, &limit, NULL);
    if (count >= 0 || errno != ENOSYS)
        return count;
    int64_t milliseconds = (distance + WEFT_MSEC - 1) / WEFT_MSEC;
    int limit_ms = milliseconds > INT32_MAX ? INT32_MAX : (int)milliseconds;
    return epoll_wait(self->epoll_fd, events, EVENTS_MAX, limit_ms);
}

/* Whoever has been kicked will look, after this, at what the kick was for. */
static void clear_kick(epoll_files *self)
{
    uint64_t kicks;
    (void)!read(self->kick_fd, &kicks, sizeof kicks);
}

static weft_task *poll_epoll(weft__reactor *reactor, int64_t deadline_ns)
{
    epoll_files *self = (epoll_files *)(void *)reactor;
    struct epoll_event events[EVENTS_MAX];
    weft_task *chain = NULL;
    int count = wait_events(self, events, deadline_ns);
    for (int i = count - 1; i >= 0; i--) { /* the chain's first runs first */
        if (events[i].data.ptr != NULL)
            hear(self, &events[i], &chain);
        else if (deadline_ns != WEFT_POLL)
            clear_kick(self);
    }
    return chain;
}

static void kick_epoll(weft__reactor *reactor)
{
    epoll_files *self = (epoll_files *)(void *)reactor;
    uint64_t one = 1;
    (void)!write(self->kick_fd, &one, sizeof one);
}

/* ---- life ----------------------------------------------------------------------------------- */

static void destroy_epoll(weft__reactor *reactor)
{
    epoll_files *self = (epoll_files *)(void *)reactor;
    weft__files_retire(&self->files);
    (void)close(self->kick_fd);
    (void)close(self->epoll_fd);
    weft__files_free(&self->files);
}

static int open_descriptors(epoll_files *self)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    self->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll_fd < 0)
        return -errno;
    self->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->kick_fd >= 0 && epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->kick_fd, &event) == 0)
        return 0;
    int rc = -errno;
    if (self->kick_fd >= 0)
        (void)close(self->kick_fd);
    (void)close(self->epoll_fd);
    return rc;
}

weft__files *weft__files_epoll_new(int *rc)
{
    epoll_files *self = weft__alloc(sizeof *self);
    if (self == NULL) {
        *rc = -ENOMEM;
        return NULL;
    }
    weft__files_init(&self->files);
    self->files.reactor.name = "epoll";
    self->files.reactor.poll = poll_epoll;
    self->files.reactor.kick = kick_epoll;
    self->files.reactor.destroy = destroy_epoll;
    self->files.arm = arm;
    self->files.forget = forget;
    *rc = open_descriptors(self);
    if (*rc == 0)
        return &self->files;
    weft__files_free(&self->files);
    return NULL;
}
