/* SPDX-License-Identifier: BSD-2-Clause */
/* link.c — the caller's end of its server: starting one, asking it, noticing its death.
 *
 * One server for each process, started by the first request and for ever after; one request at a
 * time, under a lock that is held for as long as a fork takes. A server that was killed is noticed
 * by the next request, which starts another; children of the old one go on, unless they are
 * daemonic.
 *
 * A server that does not answer until the request's deadline may be stopped, or the machine busy.
 * It is not killed for that, since children would die with it: the request is given up. The server
 * refuses it when it comes to it too late, kills what it had already started when it is told that
 * nobody wants it, and its answer is passed over by its number.
 *
 * A process that was forked by hand must not use the link, since its children would end with
 * another than their parent; it forgets it right in fork(), and starts a server of its own. */
#include "process/link.h"

#include "process/server.h"

#include "alloc.h"
#include "sanitize.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES ((size_t)64 << 10)
#define PATIENCE_NS_MAX (24 * 3600 * WEFT_SEC)
#define SERVER_FD 3 /* the server's end of the socket, there */

static struct {
    pthread_mutex_t lock; /* protects the rest */
    int is_up;            /* the descriptors are open */
    int socket;
    int pidfd;       /* the server's */
    uint64_t number; /* of the last request */
} peer = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- executing the program as a server ------------------------------------------------------- */

/* Shared with the new process, which borrows our memory until it executes. */
typedef struct takeoff {
    int socket; /* the server's end */
    char **environment;
    int error; /* why it could not execute; 0: it did */
} takeoff;

/* dup3(), which refuses to do nothing. */
__attribute__((no_sanitize("thread", "address"))) static long give_number(long from, long to)
{
    if (from == to)
        return syscall(SYS_fcntl, to, F_SETFD, 0L);
    return syscall(SYS_dup3, from, to, 0L);
}

/* The new process's few steps. It shares our memory and thread-local storage, hence bare system
 * calls: a sanitizer's wrapper of execve() would never be left, in our thread's state. */
__attribute__((no_sanitize("thread", "address"))) static int take_off(void *arg)
{
    takeoff *plan = arg;
    char *arguments[] = {program_invocation_name, NULL};
    long null = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
    /* Standard input and output are not for a server; errors of its constructors are seen. Nothing
     * else of ours is left open there: whoever waits for the end of a pipe would wait in vain. */
    int is_ready =
        null < 0 || (give_number(null, STDIN_FILENO) >= 0 && give_number(null, STDOUT_FILENO) >= 0);
    if (is_ready && give_number(plan->socket, SERVER_FD) >= 0 &&
        syscall(SYS_close_range, SERVER_FD + 1, UINT_MAX, 0) == 0)
        (void)syscall(SYS_execve, "/proc/self/exe", arguments, plan->environment);
    plan->error = errno;
    (void)syscall(SYS_exit_group, 127);
    return 0;
}

/* The environment, and what makes the program a server; to be freed. */
static char **server_environment(void)
{
    static char variable[] = WEFT__SERVER_VARIABLE "=serve:3";
    size_t count = 0;
    while (environ != NULL && environ[count] != NULL)
        count++;
    char **copy = weft__alloc((count + 2) * sizeof(copy[0]));
    if (copy == NULL)
        return NULL;
    copy[0] = variable;
    for (size_t i = 0; i < count; i++)
        copy[i + 1] = environ[i];
    copy[count + 1] = NULL;
    return copy;
}

/* ThreadSanitizer's clone() takes the borrowed memory for a copy and spoils its own state in it;
 * glibc's other name for the function goes past it. */
#ifdef WEFT__TSAN
extern int __clone(int (*)(void *), void *, int, void *, ...);
#define clone __clone
#endif

/* clone() as vfork() does it, with a pidfd: the pidfd, or -errno. All signals are blocked, so that
 * no handler runs in the borrowed memory; the server keeps them blocked. */
static int clone_and_execute(takeoff *plan)
{
    sigset_t all;
    sigset_t before;
    int pidfd = -1;
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED)
        return -ENOMEM;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    int rc = clone(take_off, stack + STACK_BYTES, flags, plan, &pidfd) < 0 ? -errno : 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)munmap(stack, STACK_BYTES);
    return rc != 0 ? rc : pidfd;
}

static void collect(int pidfd)
{
    siginfo_t ignored;
    (void)waitid(P_PIDFD, (id_t)pidfd, &ignored, WEXITED);
    (void)close(pidfd);
}

/* Start the program as a server: its pidfd, or -errno. */
static int execute_server(int socket)
{
    if (weft__fault())
        return -EAGAIN;
    takeoff plan = {.socket = socket, .environment = server_environment()};
    if (plan.environment == NULL)
        return -ENOMEM;
    int pidfd = clone_and_execute(&plan);
    weft__free(plan.environment);
    if (pidfd >= 0 && plan.error != 0) {
        collect(pidfd);
        return -plan.error;
    }
    return pidfd;
}

/* ---- the link -------------------------------------------------------------------------------- */

/* Executing this program's file makes a server only if weft's constructor runs in it, before
 * main(). Otherwise main() would run a second time. */
static int can_serve(void)
{
    return getauxval(AT_SECURE) == 0 && weft__image_is_needed((uintptr_t)weft__entry_keep);
}

static int await_hello(int socket, int64_t deadline_ns)
{
    weft__hello hello;
    size_t none = 0;
    if (weft__wait_readable(socket, deadline_ns) != 0)
        return -ETIMEDOUT;
    int64_t got = weft__wire_receive(socket, &hello, sizeof(hello), NULL, &none);
    if (got < 0)
        return (int)got;
    if (got != (int64_t)sizeof(hello) || hello.magic != WEFT__SERVER_MAGIC ||
        hello.image != weft__image_of_program())
        return -EPROTO;
    return 0;
}

static int bring_up(int64_t deadline_ns)
{
    int ends[2];
    if (!can_serve())
        return -ENOTSUP;
    if (weft__fault())
        return -EMFILE;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    int rc = execute_server(ends[1]);
    (void)close(ends[1]);
    if (rc < 0) {
        (void)close(ends[0]);
        return rc;
    }
    peer.socket = ends[0];
    peer.pidfd = rc;
    peer.is_up = 1;
    return await_hello(peer.socket, deadline_ns);
}

static void take_down(void)
{
    if (!peer.is_up)
        return;
    peer.is_up = 0;
    (void)close(peer.socket);
    (void)pidfd_send_signal(peer.pidfd, SIGKILL, NULL, 0);
    collect(peer.pidfd);
}

/* ---- fork() in the caller -------------------------------------------------------------------- */

static void before_fork(void)
{
    (void)pthread_mutex_lock(&peer.lock); /* so that the copy does not inherit it locked */
}

static void after_fork(void)
{
    (void)pthread_mutex_unlock(&peer.lock);
}

static void in_copy(void)
{
    if (peer.is_up)
        weft__close_all((int[]){peer.socket, peer.pidfd}, 2);
    peer.is_up = 0;
    after_fork();
}

static void watch_forks(void)
{
    /* Fails only without memory; then a copy is merely less safe. */
    (void)pthread_atfork(before_fork, after_fork, in_copy);
}

/* ---- requests -------------------------------------------------------------------------------- */

/* The caller will have no handle of the child of a request: end it, if there is one. Where this
 * message finds no room, the server has long stood still, and will refuse the request. */
static void disown(uint64_t number)
{
    weft__request order = {.magic = WEFT__SERVER_MAGIC, .unwanted = number};
    if (weft__wait_writable(peer.socket, WEFT_POLL) == 0)
        (void)weft__wire_send(peer.socket, &order, offsetof(weft__request, arg), NULL, 0);
}

/* The reply to the last request; those to earlier ones, which were given up, are passed over. 1,
 * 0 there is no server, or -errno. */
static int64_t await_reply(weft__reply *reply, int *pidfd, int64_t deadline_ns)
{
    for (;;) {
        size_t received = 1;
        if (weft__wait_readable(peer.socket, deadline_ns) != 0)
            return -ETIMEDOUT;
        int64_t got = weft__wire_receive(peer.socket, reply, sizeof(*reply), pidfd, &received);
        int is_whole = got > 0 || got == -EMFILE;
        if (!is_whole || reply->number == peer.number)
            return got > 0 ? 1 : got;
        if (got > 0)
            weft__close_all(pidfd, received);
    }
}

/* One request and its reply. -EPIPE: there is no server at the other end. */
static int ask(weft__request *request, size_t bytes, const int *fds, size_t count, int *pid,
               int *pidfd)
{
    weft__reply reply = {0};
    request->number = ++peer.number;
    if (weft__wait_writable(peer.socket, request->deadline_ns) != 0)
        return -ETIMEDOUT;
    int rc = weft__wire_send(peer.socket, request, bytes, fds, count);
    if (rc != 0)
        return rc == -ECONNRESET ? -EPIPE : rc;
    int64_t got = await_reply(&reply, pidfd, request->deadline_ns);
    if (got == 0)
        return -EPIPE;
    if (got == -ETIMEDOUT || (got == -EMFILE && reply.rc == 0))
        disown(request->number);
    if (got < 0)
        return (int)got;
    if (reply.rc != 0)
        return reply.rc;
    *pid = reply.pid;
    return 0;
}

static int start(weft__request *request, size_t bytes, const int *fds, size_t count, int *pid,
                 int *pidfd)
{
    if (peer.is_up) {
        int rc = ask(request, bytes, fds, count, pid, pidfd);
        if (rc != -EPIPE)
            return rc;
    }
    take_down();
    int rc = bring_up(request->deadline_ns);
    if (rc != 0) {
        take_down();
        return rc;
    }
    return ask(request, bytes, fds, count, pid, pidfd);
}

/* By the wall clock: ThreadSanitizer does not know pthread_mutex_clocklock(), and whoever sets the
 * clock changes no more than our patience. */
static int lock_until(int64_t deadline_ns)
{
    struct timespec limit;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    int64_t rest = deadline_ns - weft_now();
    if (rest > PATIENCE_NS_MAX)
        rest = PATIENCE_NS_MAX;
    int64_t end = limit.tv_sec * WEFT_SEC + limit.tv_nsec + rest;
    limit =
        (struct timespec){.tv_sec = (time_t)(end / WEFT_SEC), .tv_nsec = (long)(end % WEFT_SEC)};
    return -pthread_mutex_timedlock(&peer.lock, &limit);
}

int weft__link_start(weft__request *request, size_t bytes, const int *fds, size_t count, int *pid,
                     int *pidfd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks);
    if (lock_until(request->deadline_ns) != 0)
        return -ETIMEDOUT;
    int rc = start(request, bytes, fds, count, pid, pidfd);
    (void)pthread_mutex_unlock(&peer.lock);
    return rc;
}
