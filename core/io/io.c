/* SPDX-License-Identifier: BSD-2-Clause */
/* io.c — try; if it would block, wait; try again.
 *
 * An *operation* knows how to be tried freely, on a file that is non-blocking (it is adopted), and
 * carefully, so that it cannot block whatever the file's flags are (MSG_DONTWAIT, RWF_NOWAIT). Some
 * files know neither flag; for those it waits until the file is ready and tries freely.
 *
 *     adopted     may it be ready? no: wait    try    EAGAIN: again    short: it is dry now
 *     others                                   try    EAGAIN: wait, again
 *     in a thread                              try    EAGAIN: poll(2), again
 *
 * `may` is lowered before the try and raised by events and by full transfers, so an event that
 * comes in between is never lost; a TCP socket that gave less than asked for is dry, and the next
 * read need not ask the kernel to be told so. When the peer is gone no event comes any more, and
 * `may` is not looked at.
 *
 * A file that is never dry must not keep its worker from others: after some transfers without a
 * wait the fiber yields.
 *
 * errno is read through a call that no compiler looks into: a fiber that has waited in one of these
 * functions may be on another thread, and would find that one's errno at an address it had kept.
 *
 * Regular files are always ready in their own way: the transfer runs in a region of
 * weft_blocking. */
#include <weft/io.h>

#include "hooks.h"
#include "io/files.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <weft/fiber.h>
#include <weft/runtime.h>

/* How to try: carefully, or free to block, which a file that is non-blocking will not do. Of an
 * adopted file the kind is known. */
enum how { CAREFULLY, FREELY, FREELY_TCP, FREELY_NO_SOCKET };

/* What a call wants. The fields beside the first four are for `run`. */
typedef struct operation {
    ssize_t (*run)(const struct operation *self, int fd, enum how how); /* or a negative errno */
    unsigned side;
    int is_plain; /* recv(2) or send(2) of one buffer will do on a TCP socket */
    int drains;   /* if less than `bytes` come out of a TCP socket, there is no more for now */
    size_t bytes; /* wanted */
    const struct iovec *buffers;
    int count;
    int flags;
    struct msghdr *message;
} operation;

/* ---- in a fiber ----------------------------------------------------------------------------- */

static enum how how_to_try(const weft__file *file)
{
    static const enum how hows[] = {
        [WEFT__ANY] = FREELY, [WEFT__TCP] = FREELY_TCP, [WEFT__NO_SOCKET] = FREELY_NO_SOCKET};
    return hows[weft__load_relaxed(&file->kind)]; /* relaxed: its user got the number from us */
}

/* Writing where nobody reads must not kill the process. Workers' threads block the signal for
 * good; a plain thread does meanwhile, and takes away the one it has caused. */
static ssize_t run_without_sigpipe(const operation *op, int fd, enum how how)
{
    sigset_t sigpipe;
    sigset_t pending;
    sigset_t before;
    (void)sigemptyset(&sigpipe);
    (void)sigaddset(&sigpipe, SIGPIPE);
    (void)sigpending(&pending);
    if (sigismember(&pending, SIGPIPE))
        return op->run(op, fd, how); /* blocked already, and not ours to take away */
    (void)pthread_sigmask(SIG_BLOCK, &sigpipe, &before);
    ssize_t n = op->run(op, fd, how);
    if (n == -EPIPE)
        (void)sigtimedwait(&sigpipe, NULL, &(struct timespec){0});
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

/* A plain thread may play the worker: sched/standin.c. */
static ssize_t run_in_worker(const operation *op, int fd, enum how how)
{
    int is_guests_write = op->side == WEFT__WRITE && weft__worker_self()->guest != NULL;
    return is_guests_write ? run_without_sigpipe(op, fd, how) : op->run(op, fd, how);
}

/* What is most often to be done takes no call but the kernel's: that leaves little in the caches,
 * and each return through a function of ours is mispredicted. */
WEFT__INLINE ssize_t attempt(const operation *op, const weft__file *file)
{
    enum how how = how_to_try(file);
    if (WEFT__UNLIKELY(how != FREELY_TCP || !op->is_plain))
        return run_in_worker(op, file->fd, how);
    ssize_t n;
    do
        n = op->side == WEFT__READ
                ? weft__recv(file->fd, op->buffers->iov_base, op->bytes, op->flags)
                : weft__send(file->fd, op->buffers->iov_base, op->bytes, op->flags | MSG_NOSIGNAL);
    while (n == -EINTR);
    return n;
}

static int is_dry(const weft__file *file, const operation *op, ssize_t n)
{
    /* relaxed: changed before the event that has let this transfer begin, or another is to come */
    return op->drains && n > 0 && (size_t)n < op->bytes &&
           weft__load_relaxed(&file->kind) == WEFT__TCP;
}

/* Undo the lowering of `may`, and see to those who have come to wait meanwhile. */
static void set_ready(weft__files *files, weft__file *file, unsigned side)
{
    /* edge file.wait (seq_cst): raised before the look at who waits */
    weft__store_seq_cst(&file->sides[side].may, 1);
    weft__file_pass_on(files, file, side);
}

/* The transfer came to an end. */
static void settle(weft__files *files, weft__file *file, const operation *op, ssize_t n)
{
    if (!is_dry(file, op, n))
        set_ready(files, file, op->side);
}

static ssize_t perform_adopted(weft__files *files, weft__file *file, const operation *op,
                               int64_t deadline_ns)
{
    weft__side *side = &file->sides[op->side];
    for (;;) {
        uint32_t gone = weft__load_relaxed(&side->gone); /* relaxed: a hint; the wait is stricter */
        /* relaxed: a hint likewise */
        if (!weft__load_relaxed(&side->may) && gone == 0 && deadline_ns > WEFT_POLL) {
            int rc = weft__file_wait(files, file, 1u << op->side, deadline_ns);
            if (rc != 0)
                return rc;
        }
        /* edge file.may (acquire): an event that is wiped out by this is behind us: what the kernel
         * is asked for next, and what kind of file it has made of it */
        (void)weft__exchange_acquire(&side->may, 0);
        ssize_t n = attempt(op, file);
        if (n != -EAGAIN) {
            settle(files, file, op, n);
            return n;
        }
        weft__side_is_back(side, gone);
        if (deadline_ns <= WEFT_POLL)
            return -ETIMEDOUT;
    }
}

/* A file that epoll does not watch: a disk is busy at worst, so lend the worker meanwhile. */
static ssize_t perform_blocking(const operation *op, int fd)
{
    ssize_t n = -EINTR;
    while (n == -EINTR)
        weft_blocking n = op->run(op, fd, FREELY);
    return n;
}

static ssize_t perform_foreign(weft__files *files, weft__file *file, const operation *op,
                               int64_t deadline_ns)
{
    enum how how = CAREFULLY;
    for (;;) {
        ssize_t n = run_in_worker(op, file->fd, how);
        if (n != -EAGAIN && n != -EOPNOTSUPP) {
            weft__file_pass_on(files, file, op->side);
            return n;
        }
        how = n == -EOPNOTSUPP ? FREELY : CAREFULLY;
        if (deadline_ns <= WEFT_POLL && how == CAREFULLY)
            return -ETIMEDOUT;
        int rc = weft__file_wait(files, file, 1u << op->side, deadline_ns);
        if (rc == -EPERM)
            return perform_blocking(op, file->fd);
        if (rc != 0)
            return rc;
    }
}

/* ---- in a plain thread ---------------------------------------------------------------------- */

#define NAP_NS (100 * WEFT_MSEC)

static int poll_until(int fd, int events, int64_t deadline_ns)
{
    struct pollfd one = {.fd = fd, .events = (short)events};
    for (;;) {
        int64_t distance = deadline_ns == WEFT_FOREVER ? 0 : deadline_ns - weft_now();
        if (distance < 0)
            distance = 0;
        struct timespec limit = {.tv_sec = (time_t)(distance / WEFT_SEC),
                                 .tv_nsec = (long)(distance % WEFT_SEC)};
        int count = ppoll(&one, 1, deadline_ns == WEFT_FOREVER ? NULL : &limit, NULL);
        if (count > 0)
            return (one.revents & POLLNVAL) != 0 ? -EBADF : one.revents;
        if (count == 0)
            return -ETIMEDOUT;
        if (weft__errno_get() != EINTR)
            return -weft__errno_get();
    }
}

/* Nobody who cancels a scope can wake a thread that sleeps in poll(2): in a scope it naps. At first
 * it only looks: what needs no waiting succeeds. */
static int poll_thread(int fd, int events, int64_t deadline_ns)
{
    const weft_scope *scope = weft_current_scope();
    if (scope == NULL)
        return poll_until(fd, events, deadline_ns);
    if (scope->deadline_ns_ < deadline_ns)
        deadline_ns = scope->deadline_ns_;
    for (int64_t nap_ns = WEFT_POLL;; nap_ns = weft_in(NAP_NS)) {
        int64_t until_ns = nap_ns < deadline_ns ? nap_ns : deadline_ns;
        int rc = poll_until(fd, events, until_ns);
        if (rc != -ETIMEDOUT || until_ns == deadline_ns)
            return rc;
        if (weft_cancel_requested() == -ECANCELED)
            return -ECANCELED;
    }
}

static ssize_t perform_in_thread(const operation *op, int fd, int64_t deadline_ns)
{
    int events = op->side == WEFT__READ ? POLLIN : POLLOUT;
    enum how how = CAREFULLY;
    for (;;) {
        ssize_t n =
            op->side == WEFT__READ ? op->run(op, fd, how) : run_without_sigpipe(op, fd, how);
        if (n != -EAGAIN && n != -EOPNOTSUPP)
            return n;
        int rc = poll_thread(fd, events, deadline_ns);
        if (rc < 0)
            return rc;
        /* A file that is ready and still will not do without waiting is a regular one. */
        how = n == -EOPNOTSUPP || how == CAREFULLY ? FREELY : CAREFULLY;
    }
}

/* ---- both ----------------------------------------------------------------------------------- */

#define UNBROKEN_MAX 64 /* transfers without a wait, until others get a turn */

static void leave_turns(weft__file *file)
{
    uint32_t unbroken = weft__load_relaxed(&file->unbroken) + 1; /* relaxed: a rough count */
    weft__store_relaxed(&file->unbroken, unbroken);              /* relaxed: the same */
    if (WEFT__UNLIKELY(unbroken % UNBROKEN_MAX == 0))
        weft_yield();
}

/* In a plain thread, on a file of somebody else's, or on the first of all. */
static WEFT__NOINLINE ssize_t perform_otherwise(const operation *op, int fd, int64_t deadline_ns)
{
    int rc = 0;
    if (fd < 0)
        return -EBADF;
    weft__files *files = weft__files_self(&rc);
    if (files == NULL)
        return rc != 0 ? rc : perform_in_thread(op, fd, deadline_ns);
    weft__file *file = weft__files_get(files, fd);
    if (file == NULL)
        return -ENOMEM;
    ssize_t n = perform_foreign(files, file, op, deadline_ns);
    leave_turns(file);
    return n;
}

/* On a file that is adopted: the shortest way there is, for after each call the kernel has left
 * little of ours in the caches. */
WEFT__INLINE ssize_t perform(const operation *op, int fd, int64_t deadline_ns)
{
    weft__files *files = weft__files_here();
    weft__file *file = WEFT__LIKELY(files != NULL) ? weft__files_find(files, fd) : NULL;
    /* relaxed: its user got the number from us */
    if (WEFT__UNLIKELY(file == NULL || !weft__load_relaxed(&file->is_adopted)))
        return perform_otherwise(op, fd, deadline_ns);
    ssize_t n = perform_adopted(files, file, op, deadline_ns);
    leave_turns(file);
    return n;
}

/* A call's result as ours. EINTR is not worth a thought to callers. */
#define AS_ERRNO(n, call)                                                                          \
    do                                                                                             \
        n = (call);                                                                                \
    while (n < 0 && weft__errno_get() == EINTR);                                                   \
    n = n < 0 ? -weft__errno_get() : n

static int flags_of(const operation *op, enum how how)
{
    return op->flags | (how == CAREFULLY ? MSG_DONTWAIT : 0);
}

static ssize_t run_recv(const operation *op, int fd, enum how how)
{
    ssize_t n;
    do
        n = weft__recv(fd, op->buffers->iov_base, op->bytes, flags_of(op, how));
    while (n == -EINTR);
    return n;
}

static ssize_t run_send(const operation *op, int fd, enum how how)
{
    ssize_t n;
    do
        n = weft__send(fd, op->buffers->iov_base, op->bytes, flags_of(op, how) | MSG_NOSIGNAL);
    while (n == -EINTR);
    return n;
}

static ssize_t run_recvmsg(const operation *op, int fd, enum how how)
{
    ssize_t n;
    AS_ERRNO(n, recvmsg(fd, op->message, flags_of(op, how)));
    return n;
}

static ssize_t run_sendmsg(const operation *op, int fd, enum how how)
{
    ssize_t n;
    AS_ERRNO(n, sendmsg(fd, op->message, flags_of(op, how) | MSG_NOSIGNAL));
    return n;
}

static ssize_t run_read(const operation *op, int fd, enum how how)
{
    ssize_t n;
    if (how == CAREFULLY) {
        AS_ERRNO(n, preadv2(fd, op->buffers, op->count, -1, RWF_NOWAIT));
    } else {
        AS_ERRNO(n, readv(fd, op->buffers, op->count));
    }
    return n;
}

/* A socket is told not to raise SIGPIPE. */
static ssize_t write_socket(const operation *op, int fd, enum how how)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)op->buffers,
                             .msg_iovlen = (size_t)op->count};
    operation whole = {.message = &message};
    return op->count == 1 ? run_send(op, fd, how) : run_sendmsg(&whole, fd, how);
}

static ssize_t run_write(const operation *op, int fd, enum how how)
{
    ssize_t n = how == FREELY_NO_SOCKET ? -ENOTSOCK : write_socket(op, fd, how);
    if (n != -ENOTSOCK)
        return n;
    if (how == CAREFULLY) {
        AS_ERRNO(n, pwritev2(fd, op->buffers, op->count, -1, RWF_NOWAIT));
    } else {
        AS_ERRNO(n, writev(fd, op->buffers, op->count));
    }
    return n;
}

static size_t total_bytes(const struct iovec *buffers, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += buffers[i].iov_len;
    return bytes;
}

static ssize_t transfer(int fd, operation *op, const struct iovec *buffers, int count,
                        int64_t deadline_ns)
{
    op->buffers = buffers;
    op->count = count;
    op->is_plain = count == 1;
    op->bytes = count == 1 ? buffers->iov_len : total_bytes(buffers, count);
    return perform(op, fd, deadline_ns);
}

ssize_t weft_readv(int fd, const struct iovec *buffers, int count, int64_t deadline_ns)
{
    operation op = {.run = run_read, .side = WEFT__READ, .drains = 1};
    return transfer(fd, &op, buffers, count, deadline_ns);
}

ssize_t weft_read(int fd, void *buffer, size_t bytes, int64_t deadline_ns)
{
    operation op = {.run = run_read, .side = WEFT__READ, .drains = 1};
    return transfer(fd, &op, &(struct iovec){buffer, bytes}, 1, deadline_ns);
}

ssize_t weft_writev(int fd, const struct iovec *buffers, int count, int64_t deadline_ns)
{
    operation op = {.run = run_write, .side = WEFT__WRITE};
    return transfer(fd, &op, buffers, count, deadline_ns);
}

WEFT__INLINE ssize_t write_some(int fd, const void *buffer, size_t bytes, int64_t deadline_ns)
{
    operation op = {.run = run_write, .side = WEFT__WRITE};
    return transfer(fd, &op, &(struct iovec){(void *)(uintptr_t)buffer, bytes}, 1, deadline_ns);
}

ssize_t weft_write(int fd, const void *buffer, size_t bytes, int64_t deadline_ns)
{
    return write_some(fd, buffer, bytes, deadline_ns);
}

ssize_t weft_write_all(int fd, const void *buffer, size_t bytes, int64_t deadline_ns)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = write_some(fd, (const char *)buffer + done, bytes - done, deadline_ns);
        if (n < 0)
            return n;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t weft_read_all(int fd, void *buffer, size_t bytes, int64_t deadline_ns)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = weft_read(fd, (char *)buffer + done, bytes - done, deadline_ns);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

ssize_t weft_recv(int fd, void *buffer, size_t bytes, int flags, int64_t deadline_ns)
{
    struct iovec whole = {.iov_base = buffer, .iov_len = bytes};
    operation op = {.run = run_recv, .side = WEFT__READ, .buffers = &whole, .bytes = bytes};
    op.flags = flags;
    op.is_plain = 1;
    op.drains = flags == 0; /* a look ahead, for instance, does not */
    return perform(&op, fd, deadline_ns);
}

ssize_t weft_send(int fd, const void *buffer, size_t bytes, int flags, int64_t deadline_ns)
{
    struct iovec whole = {.iov_base = (void *)(uintptr_t)buffer, .iov_len = bytes};
    operation op = {.run = run_send, .side = WEFT__WRITE, .buffers = &whole, .bytes = bytes};
    op.is_plain = 1;
    op.flags = flags;
    return perform(&op, fd, deadline_ns);
}

ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags, int64_t deadline_ns)
{
    operation op = {.run = run_recvmsg, .side = WEFT__READ, .message = message, .flags = flags};
    return perform(&op, fd, deadline_ns);
}

ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags, int64_t deadline_ns)
{
    operation op = {.run = run_sendmsg, .side = WEFT__WRITE, .flags = flags};
    op.message = (struct msghdr *)(uintptr_t)message; /* sendmsg(2) only reads it */
    return perform(&op, fd, deadline_ns);
}

/* ---- connections ---------------------------------------------------------------------------- */

static unsigned kind_of(int fd)
{
    int protocol = 0;
    socklen_t length = sizeof protocol;
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) == 0)
        return protocol == IPPROTO_TCP ? WEFT__TCP : WEFT__ANY;
    return weft__errno_get() == ENOTSOCK ? WEFT__NO_SOCKET : WEFT__ANY;
}

static ssize_t run_accept(const operation *op, int fd, enum how how)
{
    (void)op;
    (void)how; /* a listening socket that blocks has been found ready before */
    for (;;) {
        int taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (taken >= 0)
            return taken;
        if (weft__errno_get() != EINTR && weft__errno_get() != ECONNABORTED &&
            weft__errno_get() != EPROTO)
            return -weft__errno_get();
    }
}

int weft_accept(int listener, int64_t deadline_ns)
{
    operation op = {.run = run_accept, .side = WEFT__READ};
    unsigned kind = WEFT__ANY;
    int is_adopted = weft__files_know(listener, &kind);
    /* A listening socket of somebody else's may block, and there is no flag against that. */
    int flags = is_adopted ? O_NONBLOCK : fcntl(listener, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) == 0) {
        int ready = weft_poll(listener, POLLIN, deadline_ns);
        if (ready < 0)
            return ready;
    }
    int fd = (int)perform(&op, listener, deadline_ns);
    if (fd >= 0)
        (void)weft__files_adopt(fd, is_adopted ? kind : kind_of(fd));
    return fd;
}

static int error_of(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0 ? -weft__errno_get() : -error;
}

static int connect_now(int fd, const struct sockaddr *address, socklen_t length)
{
    return connect(fd, address, length) == 0 ? 0 : -weft__errno_get();
}

#define CONNECT_AGAIN_NS WEFT_MSEC
#define CONNECT_AGAIN_NS_MAX (16 * WEFT_MSEC)

/* The file is non-blocking. */
static int connect_free(int fd, const struct sockaddr *address, socklen_t length,
                        int64_t deadline_ns)
{
    int rc = connect_now(fd, address, length);
    /* A Unix socket whose backlog is full says no more than this. No event tells of room: the
     * kernel lets only those wait who block in connect(2), a thread for each. */
    for (int64_t pause_ns = CONNECT_AGAIN_NS; rc == -EAGAIN; pause_ns *= 2) {
        if (pause_ns > CONNECT_AGAIN_NS_MAX)
            pause_ns = CONNECT_AGAIN_NS_MAX;
        int64_t again_ns = weft_in(pause_ns);
        rc = weft_sleep(again_ns < deadline_ns ? again_ns : deadline_ns);
        if (rc != 0)
            return rc;
        if (weft_now() >= deadline_ns)
            return -ETIMEDOUT;
        rc = connect_now(fd, address, length);
    }
    if (rc != -EINPROGRESS && rc != -EINTR)
        return rc;
    rc = weft_poll(fd, POLLOUT, deadline_ns);
    return rc < 0 ? rc : error_of(fd);
}

int weft_connect(int fd, const struct sockaddr *address, socklen_t length, int64_t deadline_ns)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -weft__errno_get();
    if ((flags & O_NONBLOCK) != 0)
        return connect_free(fd, address, length, deadline_ns);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    int rc = connect_free(fd, address, length, deadline_ns);
    (void)fcntl(fd, F_SETFL, flags);
    return rc;
}

/* ---- readiness ------------------------------------------------------------------------------ */

static int ready_now(int fd, int events)
{
    struct pollfd one = {.fd = fd, .events = (short)events};
    int count = poll(&one, 1, 0);
    return count < 0 ? -weft__errno_get() : (one.revents & POLLNVAL) != 0 ? -EBADF : one.revents;
}

static unsigned sides_of(int events)
{
    unsigned sides = 0;
    sides |= (events & POLLIN) != 0 ? 1u << WEFT__READ : 0;
    sides |= (events & POLLOUT) != 0 ? 1u << WEFT__WRITE : 0;
    return sides;
}

/* What is ready now, noted in `may`: others, who read and write, go by that. Who has only looked
 * leaves all there is to the next who waits. */
static int look(weft__files *files, weft__file *file, int events)
{
    unsigned sides = sides_of(events);
    uint32_t gone[2] = {0, 0};
    for (unsigned i = 0; i < 2; i++) {
        if ((sides & 1u << i) == 0)
            continue;
        gone[i] = weft__load_relaxed(&file->sides[i].gone); /* relaxed: a hint */
        /* edge file.may (acquire): lowered before the kernel is asked, as in perform_adopted() */
        (void)weft__exchange_acquire(&file->sides[i].may, 0);
    }
    int ready = ready_now(file->fd, events);
    for (unsigned i = 0; i < 2; i++) {
        if (ready == 0)
            weft__side_is_back(&file->sides[i], gone[i]);
        else if ((sides & 1u << i) != 0)
            set_ready(files, file, i);
    }
    return ready;
}

int weft_poll(int fd, int events, int64_t deadline_ns)
{
    int rc = 0;
    if ((events & ~(POLLIN | POLLOUT)) != 0 || events == 0)
        return -EINVAL;
    if (fd < 0)
        return -EBADF;
    weft__files *files = weft__files_self(&rc);
    if (files == NULL)
        return rc != 0 ? rc : poll_thread(fd, events, deadline_ns);
    weft__file *file = weft__files_get(files, fd);
    if (file == NULL)
        return -ENOMEM;
    for (;;) {
        int ready = look(files, file, events);
        if (ready != 0)
            return ready;
        if (deadline_ns <= WEFT_POLL)
            return -ETIMEDOUT;
        rc = weft__file_wait(files, file, sides_of(events), deadline_ns);
        if (rc != 0)
            return rc;
    }
}

/* ---- adopting and closing ------------------------------------------------------------------- */

int weft_adopt(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return -weft__errno_get();
    if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -weft__errno_get();
    return weft__files_adopt(fd, kind_of(fd));
}

int weft_close(int fd)
{
    return fd < 0 ? -EBADF : weft__files_close(fd);
}
