/* SPDX-License-Identifier: BSD-2-Clause */
/* sys.c — system calls, errors as values. */
#include "sys.h"

#include "panic.h"
#include "transfer.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <weft/atomic.h>

#define YIELDS 100
#define GIVE_WAY_NS 50000

static struct timespec time_of(int64_t time_ns)
{
    return (struct timespec){.tv_sec = (time_t)(time_ns / WEFT_SEC),
                             .tv_nsec = (long)(time_ns % WEFT_SEC)};
}

/* The kernel lets a timer come late, by 50 us for most threads, and one that is late already waits
 * for that as well. */
static int is_over(const uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    return deadline_ns != WEFT_FOREVER && weft_now() >= deadline_ns &&
           weft__load_relaxed(word) == expected; /* relaxed: as the kernel's own look */
}

static int futex_wait(int operation, const uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    if (is_over(word, expected, deadline_ns))
        return -ETIMEDOUT;
    struct timespec deadline = time_of(deadline_ns);
    struct timespec *limit = deadline_ns == WEFT_FOREVER ? NULL : &deadline;
    /* The bitset form takes an absolute time of CLOCK_MONOTONIC. */
    long rc = syscall(SYS_futex, word, operation, expected, limit, NULL, FUTEX_BITSET_MATCH_ANY);
    if (rc == 0 || errno == EAGAIN)
        return 0;
    return -errno;
}

WEFT__HOT int weft__futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline_ns)
{
    return futex_wait(FUTEX_WAIT_BITSET_PRIVATE, word, expected, deadline_ns);
}

static void list_sleeps(struct futex_waitv list[], const weft__sleep sleeps[], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        list[i] = (struct futex_waitv){
            .uaddr = (uintptr_t)sleeps[i].word, .val = sleeps[i].expected, .flags = FUTEX_32};
}

static long futex_wait_any(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns)
{
    struct timespec deadline = time_of(deadline_ns);
    struct futex_waitv list[WEFT__SLEEPS_MAX];
    weft_assert(count <= WEFT__SLEEPS_MAX);
    list_sleeps(list, sleeps, count);
    return syscall(SYS_futex_waitv, list, count, 0, deadline_ns == WEFT_FOREVER ? NULL : &deadline,
                   CLOCK_MONOTONIC);
}

int weft__futex_wait_shared(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns)
{
    if (count > 1) {
        if (futex_wait_any(sleeps, count, deadline_ns) >= 0 || errno == EAGAIN)
            return 0;
        if (errno == ETIMEDOUT || errno == EINTR)
            return -errno;
    }
    return futex_wait(FUTEX_WAIT_BITSET, sleeps[0].word, sleeps[0].expected, deadline_ns);
}

int weft__futex_wait_many(const weft__sleep sleeps[], unsigned count)
{
    struct futex_waitv list[WEFT__SLEEPS_MANY];
    weft_assert(count <= WEFT__SLEEPS_MANY);
    list_sleeps(list, sleeps, count);
    long rc = syscall(SYS_futex_waitv, list, count, 0, NULL, CLOCK_MONOTONIC);
    return rc >= 0 ? (int)rc : -errno;
}

int weft__futex_can_wait_many(void)
{
    /* A list of nothing is a mistake, to a kernel that knows lists. */
    return syscall(SYS_futex_waitv, NULL, 0, 0, NULL, CLOCK_MONOTONIC) < 0 && errno == EINVAL;
}

static struct timespec distance_to(int64_t deadline_ns)
{
    int64_t rest = deadline_ns - weft_now();
    return time_of(rest > 0 ? rest : 0);
}

static int wait_file(int fd, short events, int64_t deadline_ns)
{
    struct pollfd watched = {.fd = fd, .events = events};
    for (;;) {
        struct timespec rest = distance_to(deadline_ns);
        int rc = ppoll(&watched, 1, deadline_ns == WEFT_FOREVER ? NULL : &rest, NULL);
        if (rc > 0)
            return 0;
        if (rc == 0)
            return -ETIMEDOUT;
        weft_assert(errno == EINTR || errno == ENOMEM);
    }
}

int weft__wait_readable(int fd, int64_t deadline_ns)
{
    return wait_file(fd, POLLIN, deadline_ns);
}

int weft__wait_writable(int fd, int64_t deadline_ns)
{
    return wait_file(fd, POLLOUT, deadline_ns);
}

WEFT__HOT void weft__futex_wake(const uint32_t *word, int count)
{
    /* A failure means that the word's page is gone, hence so are its sleepers. */
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

int weft__futex_wake_shared(const uint32_t *word, int count)
{
    long rc = syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
    return rc < 0 ? 0 : (int)rc; /* as above */
}

void weft__give_way(unsigned round)
{
    struct timespec moment = {.tv_nsec = GIVE_WAY_NS};
    if (round < YIELDS)
        (void)sched_yield();
    else
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL); /* it leaves errno alone */
}

int weft__membarrier_register(void)
{
    long offered = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    if (offered < 0)
        return -errno;
    if ((offered & MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0)
        return -ENOSYS;
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
        return -errno;
    return 0;
}

void weft__membarrier(void)
{
    long rc = syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
    weft_assert(rc == 0);
}

int weft__membarrier_shared_register(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0 ? 0
                                                                                        : -errno;
}

int weft__membarrier_shared(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0 ? 0 : -errno;
}

#ifndef WEFT__CALLS_KERNEL
ssize_t weft__recv(int fd, void *buffer, size_t bytes, int flags)
{
    ssize_t n = recv(fd, buffer, bytes, flags);
    return n < 0 ? -errno : n;
}

ssize_t weft__send(int fd, const void *buffer, size_t bytes, int flags)
{
    ssize_t n = send(fd, buffer, bytes, flags);
    return n < 0 ? -errno : n;
}
#endif

WEFT__NOINLINE int weft__errno_get(void)
{
    return errno;
}

WEFT__NOINLINE void weft__errno_set(int value)
{
    errno = value;
}
