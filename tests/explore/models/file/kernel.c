/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.c — see kernel.h. */
#include "models/file/kernel.h"

#include "sched/spin.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <weft/io.h>
#include <weft/runtime.h>

static struct {
    weft__files *files;
    uint32_t lock; /* of the watch: its two words, and `events` as far as they are made */
    uint32_t is_watched;
    uint32_t is_armed; /* for one event, or for all of them */
    uint32_t events;   /* that nobody has heard of */
    uint32_t bytes;
    uint32_t beyond; /* bytes that come after the urgent one */
    uint32_t is_gone;
    uint32_t is_closed;
    uint32_t ticket; /* of the last watch; changed under the file's lock */
    uint32_t ending; /* that of a watch which is over, and nobody has heard of it */
    int is_slow;
} kernel;

/* ---- the file -------------------------------------------------------------------------------- */

static void tell(uint32_t events)
{
    uint32_t seen = weft__load_relaxed(&kernel.events);
    while (!weft__cas_acq_rel(&kernel.events, &seen, seen | events))
        continue;
    explore_park_wake(&kernel.events, 2);
}

static uint32_t state_now(void)
{
    uint32_t state = 0;
    if (weft__load_seq_cst(&kernel.bytes) != 0)
        state |= POLLIN;
    if (weft__load_seq_cst(&kernel.beyond) != 0)
        state |= POLLIN | POLLPRI;
    if (weft__load_seq_cst(&kernel.is_gone))
        state |= POLLIN | POLLHUP;
    return state;
}

/* Something has changed: an edge, for whoever watches. */
static void change(uint32_t events)
{
    weft__spin_lock(&kernel.lock);
    if (weft__load_relaxed(&kernel.is_armed)) {
        if (!kernel_file()->is_adopted)
            weft__store_relaxed(&kernel.is_armed, 0);
        tell(events);
    }
    weft__spin_unlock(&kernel.lock);
}

void kernel_arrive(uint32_t bytes)
{
    weft__fetch_add_seq_cst(&kernel.bytes, bytes);
    change(POLLIN);
}

void kernel_hang_up(void)
{
    weft__store_seq_cst(&kernel.is_gone, 1);
    change(POLLIN | POLLHUP);
}

void kernel_arrive_urgent(void)
{
    weft__store_seq_cst(&kernel.beyond, 1);
    change(POLLPRI);
}

static ssize_t fail(int error)
{
    explore_errno_set(error);
    return -1;
}

/* A read does not go past the urgent byte if it has found something before. */
static ssize_t take(size_t wanted)
{
    for (;;) {
        if (weft__load_acquire(&kernel.is_closed))
            return fail(EBADF);
        uint32_t *from = &kernel.bytes;
        uint32_t there = weft__load_seq_cst(from);
        if (there == 0) {
            from = &kernel.beyond;
            there = weft__load_seq_cst(from);
        }
        if (there == 0)
            return weft__load_seq_cst(&kernel.is_gone) ? 0 : fail(EAGAIN);
        uint32_t taken = wanted < there ? (uint32_t)wanted : there;
        if (weft__cas_seq_cst(from, &there, there - taken))
            return taken;
    }
}

ssize_t readv(int fd, const struct iovec *buffers, int count)
{
    explore_check(fd == FD && count == 1);
    return take(buffers->iov_len);
}

ssize_t preadv2(int fd, const struct iovec *buffers, int count, off_t at, int flags)
{
    (void)at;
    (void)flags;
    return readv(fd, buffers, count);
}

ssize_t weft__recv(int fd, void *buffer, size_t bytes, int flags)
{
    (void)buffer;
    (void)flags;
    explore_check(fd == FD);
    ssize_t n = take(bytes);
    return n < 0 ? -explore_errno_get() : n;
}

ssize_t weft__send(int fd, const void *buffer, size_t bytes, int flags)
{
    (void)fd;
    (void)buffer;
    (void)bytes;
    (void)flags;
    explore_fail("nobody sends here");
}

int poll(struct pollfd *files, nfds_t count, int limit_ms)
{
    explore_check(count == 1 && limit_ms == 0);
    uint32_t state = weft__load_acquire(&kernel.is_closed) ? POLLNVAL : state_now();
    files->revents = (short)((int)state & (files->events | POLLHUP | POLLNVAL));
    return files->revents != 0;
}

/* Nobody may wait for what is closed, nor the kernel watch it. */
int close(int fd)
{
    explore_check(fd == FD && !weft__load_acquire(&kernel.is_closed));
    explore_check(!weft__load_acquire(&kernel.is_watched));
    weft__store_release(&kernel.is_closed, 1);
    return 0;
}

/* ---- the reactor ----------------------------------------------------------------------------- */

/* A slow kernel says later that it watches no longer. The kernel's lock is held. */
static void end_watch(const weft__file *file)
{
    uint32_t before = weft__load_relaxed(&kernel.ending);
    explore_check(before == 0 || before == file->registered);
    weft__store_relaxed(&kernel.ending, file->registered);
    tell(KERNEL_UNWATCHED);
}

static int arm(weft__files *files, weft__file *file)
{
    (void)files;
    if (weft__load_acquire(&kernel.is_closed))
        return -EBADF;
    weft__spin_lock(&kernel.lock);
    if (kernel.is_slow && file->registered != 0)
        end_watch(file);
    weft__store_relaxed(&kernel.is_watched, 1);
    uint32_t state = state_now();
    weft__store_relaxed(&kernel.is_armed, file->is_adopted || state == 0);
    weft__store_relaxed(&file->registered, kernel.ticket + 1);
    weft__store_relaxed(&kernel.ticket, kernel.ticket + 1);
    if (state != 0)
        tell(state);
    weft__spin_unlock(&kernel.lock);
    return 0;
}

static void let_go(void)
{
    weft__store_relaxed(&kernel.is_armed, 0);
    weft__store_relaxed(&kernel.is_watched, 0);
}

static void forget(weft__files *files, weft__file *file)
{
    (void)files;
    weft__spin_lock(&kernel.lock);
    if (kernel.is_slow)
        end_watch(file);
    else
        let_go();
    weft__spin_unlock(&kernel.lock);
    /* as reactor_epoll.c does */
    if (!kernel.is_slow)
        weft__store_release(&file->registered, 0);
}

/* What it was registered as until then. It may be watched anew. */
static uint32_t hear_of_end(void)
{
    weft__spin_lock(&kernel.lock);
    uint32_t ticket = weft__load_relaxed(&kernel.ending);
    weft__store_relaxed(&kernel.ending, 0);
    if (weft__load_relaxed(&kernel.ticket) == ticket)
        let_go();
    weft__spin_unlock(&kernel.lock);
    return ticket;
}

static weft_task *hear(uint32_t events)
{
    weft__file *file = kernel_file();
    weft_task *chain = NULL;
    if ((events & (POLLIN | POLLPRI | POLLHUP)) != 0) {
        weft__file_event(kernel.files, file, events & 0xffffu, &chain);
        if (!weft__load_relaxed(&file->is_adopted))
            weft__file_rearm(kernel.files, file);
    }
    if ((events & KERNEL_UNWATCHED) != 0)
        weft__file_unwatched(kernel.files, file, hear_of_end(), &chain);
    return chain;
}

static weft_task *poll_kernel(weft__reactor *reactor, int64_t deadline_ns)
{
    (void)reactor;
    explore_check(deadline_ns == WEFT_POLL);
    uint32_t seen = weft__load_relaxed(&kernel.events);
    while (!weft__cas_acq_rel(&kernel.events, &seen, seen & KERNEL_END))
        continue;
    return hear(seen);
}

static void kick_nobody(weft__reactor *reactor)
{
    (void)reactor;
}

void kernel_end(void)
{
    tell(KERNEL_END);
}

static void run_chain(weft_task *chain)
{
    while (chain != NULL) {
        weft_task *next = chain->prev_;
        workers_run(chain);
        chain = next;
    }
}

void kernel_step(void)
{
    if (weft__load_acquire(&kernel.events) != 0)
        run_chain(poll_kernel(NULL, WEFT_POLL));
    else
        weft__relax();
}

void kernel_deliver(void)
{
    uint32_t seen;
    while (((seen = weft__load_acquire(&kernel.events)) & KERNEL_END) == 0) {
        if (seen == 0)
            explore_park_wait(&kernel.events, 0);
        else
            run_chain(poll_kernel(NULL, WEFT_POLL));
    }
}

/* ---- life ------------------------------------------------------------------------------------ */

weft__file *kernel_file(void)
{
    return weft__files_find(kernel.files, FD);
}

void kernel_prepare(int is_adopted, unsigned kind, int is_slow)
{
    memset(&kernel, 0, sizeof kernel);
    kernel.is_slow = is_slow;
    kernel.files = explore_alloc(sizeof *kernel.files);
    weft__files_init(kernel.files);
    kernel.files->reactor.poll = poll_kernel;
    kernel.files->reactor.kick = kick_nobody;
    kernel.files->arm = arm;
    kernel.files->forget = forget;
    kernel.files->holds_open = is_slow;
    workers_runtime.reactor = &kernel.files->reactor;
    weft__file *file = weft__files_get(kernel.files, FD);
    file->is_adopted = (uint32_t)is_adopted;
    file->kind = kind;
    for (unsigned i = 0; i < 2; i++)
        file->sides[i].may = (uint32_t)is_adopted;
}

void kernel_begin(uint32_t bytes)
{
    kernel.bytes = bytes;
    kernel.is_watched = kernel.is_armed = 1;
    kernel_file()->registered = kernel.ticket = 1;
}

/* Nobody is left in the lists, and none counts as waiting. */
void kernel_finish(void)
{
    explore_check(kernel_file()->sides[WEFT__READ].first == NULL);
    explore_check(kernel.files->reactor.waits == 0);
    weft__files_free(kernel.files);
}

/* ---- what else io.c and files.c ask for ------------------------------------------------------ */

weft__files *weft__files_epoll_new(int *rc)
{
    *rc = -ENOSYS;
    return NULL;
}

weft__files *weft__files_uring_new(unsigned count, int *rc)
{
    (void)count;
    return weft__files_epoll_new(rc);
}

uint64_t weft__fork_count(void)
{
    return 0;
}

weft_blocking_region weft__blocking_enter(void)
{
    explore_fail("nothing blocks here");
}

void weft__blocking_leave(weft_blocking_region *region)
{
    (void)region;
}
