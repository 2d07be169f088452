/* SPDX-License-Identifier: BSD-2-Clause */
/* alive.c — the kernel is asked, in an order that leaves no gap.
 *
 *     1  pidfd = pidfd_open(pid)   no such process: dead. Otherwise the descriptor means one
 *                                  process for ever, whatever becomes of the number
 *     2  readable already?         that one has ended: all threads, also if nobody has waited for
 *                                  it yet. Be it ours or a later one with its number: ours is dead
 *     3  field 22 of stat          when the process that has the number now had started
 *     4  still not readable?       then the number was its own all the time, so 3 was about it.
 *                                  Another start than was recorded: another process, ours is dead
 *
 * "Ended" is said of a process when its last thread has left user space for good, so no store of
 * it is still to come. Whoever cannot be asked about is alive: another namespace of process ids, no
 * /proc, no permission.
 *
 * Rejected: heartbeats (a stopped process would be robbed); kill(pid, 0) (true for a zombie and for
 * a stranger with the same number); the state letter in stat (a main thread that has ended while
 * others run is a Z). */
#include "alive.h"

#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The beginning of a file as text; its length, or 0. */
static size_t read_text(const char *path, char *text, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t got = read(fd, text, bytes - 1);
    (void)close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

/* Field 22 of a stat file; 0 if there is none. The name in field 2 may hold anything, also blanks
 * and parentheses, but the last parenthesis ends it. */
static uint64_t start_time(const char *path)
{
    char text[1024];
    if (read_text(path, text, sizeof text) == 0)
        return 0;
    char *at = strrchr(text, ')');
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at != NULL ? strtoull(at + 1, NULL, 10) : 0;
}

static uint64_t hash_text(const char *text, size_t bytes)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t boot_hash(void)
{
    char text[64];
    size_t bytes = read_text("/proc/sys/kernel/random/boot_id", text, sizeof text);
    return bytes > 0 ? hash_text(text, bytes) : 0;
}

weft__identity weft__identity_self(void)
{
    struct stat ns;
    weft__identity self = {
        .pid = (uint32_t)getpid(), .started = start_time("/proc/self/stat"), .boot = boot_hash()};
    if (stat("/proc/self/ns/pid", &ns) == 0)
        self.pid_ns = ns.st_ino;
    return self;
}

static int is_readable(int fd)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, 0) == 1 && (one.revents & POLLIN) != 0;
}

/* What is asked of a process that could be opened: see above. */
static int has_ended(int pidfd, const weft__identity *other)
{
    char path[32];
    if (is_readable(pidfd))
        return 1;
    if (other->started == 0)
        return 0;
    (void)snprintf(path, sizeof path, "/proc/%u/stat", other->pid);
    uint64_t started = start_time(path);
    if (is_readable(pidfd))
        return 1;
    return started != 0 && started != other->started;
}

int weft__identity_open(const weft__identity *other, const weft__identity *self)
{
    if (other->boot != 0 && self->boot != 0 && other->boot != self->boot)
        return -ESRCH;
    if (other->pid_ns == 0 || other->pid_ns != self->pid_ns)
        return -EXDEV; /* its number means somebody else here */
    long pidfd = syscall(SYS_pidfd_open, other->pid, 0);
    if (pidfd < 0)
        return -weft__errno_get();
    if (!has_ended((int)pidfd, other))
        return (int)pidfd;
    (void)close((int)pidfd);
    return -ESRCH;
}

int weft__identity_is_dead(const weft__identity *other, const weft__identity *self)
{
    int pidfd = weft__identity_open(other, self);
    if (pidfd >= 0)
        (void)close(pidfd);
    return pidfd == -ESRCH;
}
