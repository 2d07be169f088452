/* SPDX-License-Identifier: BSD-2-Clause */
/* link.c — the caller's end of its server: starting one, asking it, noticing its death.
 *
 * One server for each process, started by the first request and for ever after; requests are made
 * under a lock that is held for as long as their forks take. A server that was killed is noticed
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

/* The reply to the request of that number; those to earlier ones, which were given up, are passed
 * over. 1, 0 there is no server, or -errno. */
static int64_t await_reply(uint64_t number, weft__reply *reply, int *pidfd, int64_t deadline_ns)
{
    for (;;) {
        size_t received = 1;
        if (weft__wait_readable(peer.socket, deadline_ns) != 0)
            return -ETIMEDOUT;
        int64_t got = weft__wire_receive(peer.socket, reply, sizeof(*reply), pidfd, &received);
        int is_whole = got > 0 || got == -EMFILE;
        if (!is_whole || reply->number == number)
            return got > 0 ? 1 : got;
        if (got > 0)
            weft__close_all(pidfd, received);
    }
}

/* Send the order: 0 an answer will come; -EPIPE there is no server at the other end. */
static int send_order(weft__order *order)
{
    order->request->number = ++peer.number;
    if (weft__wait_writable(peer.socket, order->request->deadline_ns) != 0)
        return -ETIMEDOUT;
    int rc =
        weft__wire_send(peer.socket, order->request, order->bytes, order->fds, order->fd_count);
    return rc == -ECONNRESET ? -EPIPE : rc;
}

/* The answer to an order that was sent. */
static int take_answer(weft__order *order)
{
    weft__reply reply = {0};
    uint64_t number = order->request->number;
    int64_t got = await_reply(number, &reply, &order->pidfd, order->request->deadline_ns);
    if (got == 0)
        return -EPIPE;
    if (got == -ETIMEDOUT || (got == -EMFILE && reply.rc == 0))
        disown(number);
    if (got < 0)
        return (int)got;
    order->pid = reply.pid;
    return reply.rc;
}

/* Have those started that no server has heard of. One order is under way while another is served;
 * more would only fill the socket. */
static void ask(weft__order *orders, size_t count)
{
    weft__order *sent = NULL;
    for (size_t i = 0; i < count; i++) {
        if (orders[i].rc != -EPIPE)
            continue;
        int rc = send_order(&orders[i]);
        if (sent != NULL)
            sent->rc = take_answer(sent);
        sent = rc == 0 ? &orders[i] : NULL;
        orders[i].rc = rc;
    }
    if (sent != NULL)
        sent->rc = take_answer(sent);
}

static void set_all(weft__order *orders, size_t count, int from, int to)
{
    for (size_t i = 0; i < count; i++)
        if (orders[i].rc == from)
            orders[i].rc = to;
}

static int is_any_left(const weft__order *orders, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (orders[i].rc == -EPIPE)
            return 1;
    return 0;
}

static void start(weft__order *orders, size_t count)
{
    if (peer.is_up)
        ask(orders, count);
    if (!is_any_left(orders, count))
        return;
    take_down();
    int rc = bring_up(orders[0].request->deadline_ns);
    if (rc == 0) {
        ask(orders, count);
    } else {
        take_down();
        set_all(orders, count, -EPIPE, rc);
    }
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

void weft__link_start(weft__order *orders, size_t count)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks);
    for (size_t i = 0; i < count; i++)
        orders[i].rc = -EPIPE; /* no server has heard of it */
    if (lock_until(orders[0].request->deadline_ns) != 0) {
        set_all(orders, count, -EPIPE, -ETIMEDOUT);
        return;
    }
    start(orders, count);
    (void)pthread_mutex_unlock(&peer.lock);
}
