/* SPDX-License-Identifier: BSD-2-Clause */
/* server.c — the process that forks children, and what a child does before its body.
 *
 * The server is this program stopped before main(): constructed, single-threaded, without open
 * descriptors of the caller's. Therefore it can be forked at any time, and a child finds every lock
 * free and every global at its first value. It has no state but a list of living children.
 *
 * Whose death is noticed, and how:
 *   - the caller's: by its pidfd, which is right also when the caller was forked and copies of its
 *     end of the socket live on. The server ends then;
 *   - the server's: daemonic children have asked the kernel for SIGKILL when their parent dies.
 *     That request is tied to the parent *thread*, which is why it would be worthless in a caller
 *     with threads; the server has one. So a daemonic child dies with the caller even if caller and
 *     server are killed together;
 *   - a child's: by SIGCHLD. The server collects it at once and reports over the child's pipe, so
 *     nobody leaves a zombie and nothing in the caller has to wait for its children.
 *
 * If constructors have started threads, the server is not as empty as it should be, and a copy of
 * it is not to be trusted: then each child is the program executed anew, as with
 * WEFT_PROCESS_EXEC. */
#include "process/server.h"

#include "panic.h"
#include "sanitize.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef WEFT__TSAN
#define OWN_THREADS 2 /* its run-time library has one, and knows how to be forked */
#else
#define OWN_THREADS 1
#endif

typedef struct child {
    pid_t pid;
    uint64_t number; /* of its request */
    int report_fd;   /* where its end is told */
} child;

/* One thread owns all this. */
static struct {
    int socket;  /* to the caller */
    int caller;  /* its pidfd */
    int signals; /* SIGCHLD, as a descriptor */
    pid_t pid;
    child *children;
    size_t count;
    size_t room;
    weft__request request; /* the one being served; a child keeps its copy */
} server;

/* The descriptors of a request, sorted out. -1: not there. */
typedef struct luggage {
    int stdio[STDIO_COUNT];
    int folder;
    int report;
    int arg_file;
    const int *user;
} luggage;

/* ---- being a child --------------------------------------------------------------------------- */

static void *map_file(int file, size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

__attribute__((noreturn)) static void fail(const char *what)
{
    dprintf(STDERR_FILENO, "weft: a child process could not begin: %s\n", what);
    _exit(127);
}

/* Call the body, with the argument in the request or in the file. */
__attribute__((noreturn)) static void run_body(weft__request *request, int arg_file, const int *fds)
{
    static weft_child self;
    uintptr_t body;
    self = (weft_child){.name = request->name,
                        .arg = request->arg_bytes > 0 ? request->arg : NULL,
                        .arg_bytes = request->arg_bytes,
                        .fds = fds,
                        .fd_count = request->fd_count};
    if (weft__image_resolve(&request->body, &body) != 0)
        fail("the program's file has changed");
    if (request->has_arg_file) {
        self.arg = map_file(arg_file, request->arg_bytes);
        if (self.arg == NULL)
            fail("no memory for its argument");
        (void)close(arg_file);
    }
    /* Whole lines get out even if the process is killed. */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    exit(((int (*)(weft_child *))body)(&self));
}

/* Let the descriptor live through execve(), or not. */
static void keep_at_exec(int fd, int is_kept)
{
    (void)fcntl(fd, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

/* Execute the program anew, for this child alone. */
__attribute__((noreturn)) static void execute(const luggage *from)
{
    static weft__birth birth;
    char variable[32];
    char *arguments[] = {program_invocation_name, NULL};
    int file = memfd_create("weft-birth", 0);
    birth.request = server.request;
    birth.arg_file = from->arg_file;
    if (birth.request.has_arg_file)
        keep_at_exec(from->arg_file, 1);
    for (size_t i = 0; i < birth.request.fd_count; i++) {
        birth.fds[i] = from->user[i];
        keep_at_exec(from->user[i], 1);
    }
    if (file < 0 || weft__write_all(file, &birth, sizeof(birth)) != 0 ||
        lseek(file, 0, SEEK_SET) != 0)
        fail("no memory");
    (void)snprintf(variable, sizeof(variable), "run:%d", file);
    (void)setenv(WEFT__SERVER_VARIABLE, variable, 1);
    (void)execv("/proc/self/exe", arguments);
    fail("it could not execute its own file");
}

void weft__child_run(int file)
{
    static weft__birth birth;
    if (weft__read_all(file, &birth, sizeof(birth)) != (int64_t)sizeof(birth) ||
        birth.request.magic != WEFT__SERVER_MAGIC || birth.request.fd_count > WEFT_PROCESS_FDS_MAX)
        fail("it was told nonsense");
    (void)close(file);
    for (size_t i = 0; i < birth.request.fd_count; i++)
        keep_at_exec(birth.fds[i], 0);
    (void)prctl(PR_SET_NAME, birth.request.name);
    run_body(&birth.request, birth.arg_file, birth.fds);
}

static void take_stdio(const luggage *from)
{
    for (int i = 0; i < STDIO_COUNT; i++)
        if (from->stdio[i] >= 0) {
            (void)dup2(from->stdio[i], i);
            (void)close(from->stdio[i]);
        }
}

/* Close what belongs to the server. */
static void forget_server(void)
{
    (void)close(server.socket);
    (void)close(server.caller);
    (void)close(server.signals);
    for (size_t i = 0; i < server.count; i++)
        (void)close(server.children[i].report_fd);
}

__attribute__((noreturn)) static void become_child(const luggage *from)
{
    sigset_t none;
    forget_server();
    (void)close(from->report);
    if (server.request.is_daemonic) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != server.pid)
            _exit(127); /* it died before we asked */
    }
    take_stdio(from);
    if (from->folder >= 0) {
        (void)!fchdir(from->folder);
        (void)close(from->folder);
    }
    (void)prctl(PR_SET_NAME, server.request.name);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (server.request.is_exec)
        execute(from);
    run_body(&server.request, from->arg_file, from->user);
}

/* ---- serving --------------------------------------------------------------------------------- */

/* How many descriptors the request announces. */
static size_t announced(const weft__request *request)
{
    size_t count = 1;
    count += request->has_folder != 0;
    count += request->has_arg_file != 0;
    for (size_t i = 0; i < STDIO_COUNT; i++)
        count += request->has_stdio[i] != 0;
    return count + request->fd_count;
}

static luggage sort_out(const weft__request *request, const int *fds)
{
    luggage sorted;
    for (size_t i = 0; i < STDIO_COUNT; i++)
        sorted.stdio[i] = request->has_stdio[i] ? *fds++ : -1;
    sorted.folder = request->has_folder ? *fds++ : -1;
    sorted.report = *fds++;
    sorted.arg_file = request->has_arg_file ? *fds++ : -1;
    sorted.user = fds;
    return sorted;
}

/* A descriptor of the standard ones' numbers would be overwritten by take_stdio(); there is none,
 * since the server keeps all three open. */
static int is_valid(const weft__request *request, int64_t bytes, size_t fd_count)
{
    size_t head = offsetof(weft__request, arg);
    if (bytes < (int64_t)head || request->magic != WEFT__SERVER_MAGIC)
        return 0;
    if (request->unwanted != 0)
        return 1;
    size_t inline_bytes = request->has_arg_file ? 0 : request->arg_bytes;
    return inline_bytes == (size_t)bytes - head && request->fd_count <= WEFT_PROCESS_FDS_MAX &&
           announced(request) == fd_count;
}

static int make_room(void)
{
    if (server.count < server.room)
        return 0;
    size_t room = server.room == 0 ? 16 : server.room * 2;
    child *children = realloc(server.children, room * sizeof(children[0]));
    if (children == NULL)
        return -ENOMEM;
    server.children = children;
    server.room = room;
    return 0;
}

static int is_threaded(void)
{
    struct stat tasks; /* a folder has a link from each folder in it, and two more */
    return stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink > 2 + OWN_THREADS;
}

/* Fork the child that the request describes; in the server it returns its pid and its pidfd. */
static int start_child(const luggage *from, int *pidfd)
{
    uintptr_t body;
    if (weft_now() >= server.request.deadline_ns)
        return -ETIMEDOUT; /* we were stopped, and nobody waits for it now */
    int rc = weft__image_resolve(&server.request.body, &body);
    if (rc == 0)
        rc = make_room();
    if (rc != 0)
        return rc;
    server.request.is_exec |= (uint8_t)is_threaded();
    pid_t pid = fork();
    if (pid == 0)
        become_child(from);
    if (pid < 0)
        return -errno;
    *pidfd = pidfd_open(pid, 0); /* it cannot be collected before we look for the dead */
    if (*pidfd < 0) {
        rc = -errno;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        return rc;
    }
    server.children[server.count++] =
        (child){.pid = pid, .number = server.request.number, .report_fd = from->report};
    return pid;
}

static void kill_child(uint64_t number)
{
    for (size_t i = 0; i < server.count; i++)
        if (server.children[i].number == number)
            (void)kill(server.children[i].pid, SIGKILL); /* not collected yet, hence still itself */
}

static void start_and_reply(int *fds, size_t count)
{
    luggage from = sort_out(&server.request, fds);
    int pidfd = -1;
    int rc = start_child(&from, &pidfd);
    weft__reply reply = {.number = server.request.number, .rc = rc < 0 ? rc : 0, .pid = rc};
    (void)weft__wire_send(server.socket, &reply, sizeof(reply), &pidfd, pidfd >= 0);
    for (size_t i = 0; i < count; i++)
        if (rc < 0 || fds[i] != from.report)
            (void)close(fds[i]);
    weft__close_all(&pidfd, 1);
}

/* Serve one request; when the caller has gone, so do we. */
static void serve(void)
{
    int fds[WEFT__REQUEST_FDS_MAX];
    size_t count = WEFT__REQUEST_FDS_MAX;
    int64_t got =
        weft__wire_receive(server.socket, &server.request, sizeof(server.request), fds, &count);
    if (got == -EMFILE || got == -EMSGSIZE) {
        weft__reply refusal = {.number = server.request.number, .rc = (int32_t)got};
        (void)weft__wire_send(server.socket, &refusal, sizeof(refusal), NULL, 0);
        return;
    }
    if (got <= 0 || !is_valid(&server.request, got, count))
        _exit(0);
    if (server.request.unwanted != 0)
        kill_child(server.request.unwanted);
    else
        start_and_reply(fds, count);
}

static int64_t time_ns(struct timeval time)
{
    return time.tv_sec * WEFT_SEC + time.tv_usec * WEFT_USEC;
}

static void report_end(pid_t pid, int status, const struct rusage *used)
{
    weft__report report = {.code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status),
                           .used = {.user_ns = time_ns(used->ru_utime),
                                    .system_ns = time_ns(used->ru_stime),
                                    .rss_bytes_peak = (uint64_t)used->ru_maxrss << 10}};
    for (size_t i = 0; i < server.count; i++)
        if (server.children[i].pid == pid) {
            int fd = server.children[i].report_fd;
            (void)weft__write_all(fd, &report, sizeof(report));
            (void)close(fd);
            server.children[i] = server.children[--server.count];
            return;
        }
}

static void collect_dead(void)
{
    struct signalfd_siginfo ignored;
    struct rusage used;
    int status;
    pid_t pid;
    (void)!read(server.signals, &ignored, sizeof(ignored));
    while ((pid = wait4(-1, &status, WNOHANG, &used)) > 0)
        report_end(pid, status, &used);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Standard descriptors that hold nothing open. */
static void let_go_of_stdio(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return;
    for (int i = 0; i < STDIO_COUNT; i++)
        (void)dup2(null, i);
    if (null >= STDIO_COUNT)
        (void)close(null);
}

/* Nothing but SIGKILL and the caller's death ends a server: signals from the terminal go to the
 * whole process group, and the caller may live on. */
static int block_signals(void)
{
    sigset_t all;
    sigset_t child_ended;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)signal(SIGCHLD, SIG_DFL); /* ignored, it would make the kernel forget the dead */
    (void)sigemptyset(&child_ended);
    (void)sigaddset(&child_ended, SIGCHLD);
    return signalfd(-1, &child_ended, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The pidfd of the process at the other end, which is our parent as long as it lives. */
static int open_caller(int socket)
{
    struct ucred caller;
    socklen_t bytes = sizeof(caller);
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &caller, &bytes) != 0)
        return -1;
    int pidfd = pidfd_open(caller.pid, 0);
    return getppid() == caller.pid ? pidfd : -1;
}

void weft__server_run(int socket)
{
    weft__hello hello = {.magic = WEFT__SERVER_MAGIC, .image = weft__image_of_program()};
    server.socket = socket;
    server.pid = getpid();
    server.caller = open_caller(socket);
    server.signals = block_signals();
    (void)fcntl(socket, F_SETFD, FD_CLOEXEC);
    (void)prctl(PR_SET_NAME, "weft/server");
    if (server.caller < 0 || server.signals < 0 ||
        weft__wire_send(socket, &hello, sizeof(hello), NULL, 0) != 0)
        _exit(127);
    let_go_of_stdio();
    for (;;) {
        struct pollfd watched[] = {{.fd = server.signals, .events = POLLIN},
                                   {.fd = socket, .events = POLLIN},
                                   {.fd = server.caller, .events = POLLIN}};
        if (poll(watched, 3, -1) < 0 && errno != EINTR)
            _exit(127);
        if (watched[0].revents != 0)
            collect_dead();
        if (watched[2].revents != 0)
            _exit(0);
        if (watched[1].revents != 0)
            serve();
    }
}
