/* SPDX-License-Identifier: BSD-2-Clause */
/* load.c — what the echo servers are measured with: one process, epoll, many connections.
 *
 *     io-load SERVER... --list | DUEL [SECONDS [SIZE]]
 *
 * Starts the server as its child, on the second processor, and stays on the first. A connection has
 * one request of 64 bytes on its way at a time, and every byte that comes back is compared. The
 * server dies with its load. */
#include "echo.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define REQUEST_BYTES 64
#define CONNECTIONS 64
#define IDLE_CONNECTIONS 10000
#define EVENTS_MAX 256
#define SAMPLES_MAX 4000000
#define SPARE_FDS 100 /* of the server's own */

typedef struct connection {
    int fd;
    size_t received; /* bytes of the answer that are here */
    int64_t sent_ns;
    unsigned char request[REQUEST_BYTES];
    unsigned char answer[REQUEST_BYTES];
} connection;

/* ---- the server --------------------------------------------------------------------------- */

static char **server_command;

static struct {
    pid_t pid;
    int port;
} server;

static void exec_server(int output)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1)
        _exit(2);
    duel_pin(1);
    dup2(output, STDOUT_FILENO);
    execvp(server_command[0], server_command);
    fprintf(stderr, "%s: %s\n", server_command[0], strerror(errno));
    _exit(2);
}

static void start_server(void)
{
    int pipe_fds[2];
    duel_need(pipe2(pipe_fds, O_CLOEXEC) == 0, "pipe2");
    server.pid = fork();
    duel_need(server.pid >= 0, "fork");
    if (server.pid == 0)
        exec_server(pipe_fds[1]);
    close(pipe_fds[1]);
    FILE *output = fdopen(pipe_fds[0], "r");
    duel_need(output != NULL && fscanf(output, "port %d", &server.port) == 1,
              "hearing the server's port");
    fclose(output);
    duel_pin(0);
}

static void stop_server(void)
{
    kill(server.pid, SIGKILL);
    waitpid(server.pid, NULL, 0);
}

static int64_t server_cpu_ns(void)
{
    clockid_t clock;
    duel_need(clock_getcpuclockid(server.pid, &clock) == 0, "clock_getcpuclockid");
    return duel_clock_ns(clock);
}

static long server_rss_kib(void)
{
    char path[64];
    long total = 0;
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)server.pid);
    FILE *file = fopen(path, "r");
    duel_need(file != NULL && fscanf(file, "%ld %ld", &total, &pages) == 2, path);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* ---- connections -------------------------------------------------------------------------- */

static void open_connection(connection *c)
{
    struct sockaddr_in address;
    struct linger at_once = {1, 0}; /* thousands of ports must not wait after the end */
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)server.port);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    duel_need(c->fd >= 0, "socket");
    duel_need(connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    echo_no_delay(c->fd);
}

static void send_request(connection *c, uint64_t number)
{
    for (size_t i = 0; i < REQUEST_BYTES; i++)
        c->request[i] = (unsigned char)(number + i * 7);
    memcpy(c->request, &number, sizeof number);
    c->received = 0;
    c->sent_ns = duel_now_ns();
    duel_need(send(c->fd, c->request, REQUEST_BYTES, MSG_NOSIGNAL) == REQUEST_BYTES, "send");
}

/* True once the whole answer is here, and right. */
static int receive_some(connection *c)
{
    ssize_t got = recv(c->fd, c->answer + c->received, REQUEST_BYTES - c->received, 0);
    if (got <= 0)
        duel_fail(1, "the server hung up after %zu bytes of an answer", c->received);
    c->received += (size_t)got;
    if (c->received < REQUEST_BYTES)
        return 0;
    duel_equal("answer (memcmp)", memcmp(c->request, c->answer, REQUEST_BYTES), 0);
    return 1;
}

/* Open n connections and hear one answer on each, so that all have been accepted. */
static connection *open_many(long n)
{
    connection *connections = (connection *)duel_alloc((size_t)n * sizeof *connections);
    for (long i = 0; i < n; i++) {
        open_connection(&connections[i]);
        send_request(&connections[i], (uint64_t)i);
        while (!receive_some(&connections[i]))
            ;
    }
    return connections;
}

static void close_many(connection *connections, long n)
{
    for (long i = 0; i < n; i++)
        close(connections[i].fd);
    free(connections);
}

/* ---- echo --------------------------------------------------------------------------------- */

/* Answer and ask again, until the deadline; returns the number of answers. */
static uint64_t exchange(int poll, uint64_t number, int64_t deadline, duel_samples *samples)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t answers = 0;
    int64_t now = 0;
    while (now < deadline) {
        int count = epoll_wait(poll, events, EVENTS_MAX, 1000);
        duel_need(count > 0, "hearing anything within a second");
        for (int i = 0; i < count; i++) {
            connection *c = (connection *)events[i].data.ptr;
            if (!receive_some(c))
                continue;
            now = duel_now_ns();
            answers++;
            duel_samples_add(samples, 1e-3 * (double)(now - c->sent_ns));
            send_request(c, number++);
        }
    }
    return answers;
}

static int watch_all(connection *connections, long n)
{
    int poll = epoll_create1(0);
    for (long i = 0; i < n; i++) {
        struct epoll_event event;
        memset(&event, 0, sizeof event);
        event.events = EPOLLIN;
        event.data.ptr = &connections[i];
        duel_need(epoll_ctl(poll, EPOLL_CTL_ADD, connections[i].fd, &event) == 0, "epoll_ctl");
    }
    return poll;
}

static void duel_echo(const duel_request *request)
{
    duel_samples samples = duel_samples_make(SAMPLES_MAX);
    start_server();
    connection *connections = open_many(CONNECTIONS);
    int poll = watch_all(connections, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++)
        send_request(&connections[i], (uint64_t)i);
    exchange(poll, 1u << 20, duel_deadline_ns(0.1 * request->seconds), &samples);
    samples.count = 0;
    int64_t cpu = server_cpu_ns();
    int64_t begin = duel_now_ns();
    uint64_t answers = exchange(poll, 1u << 30, duel_deadline_ns(request->seconds), &samples);
    double took = (double)(duel_now_ns() - begin);
    cpu = server_cpu_ns() - cpu;
    close_many(connections, CONNECTIONS);
    stop_server();
    duel_value("rate", 1e6 * (double)answers / took, "k/s");
    duel_value("cpu", 1e-3 * (double)cpu / (double)answers, "us");
    duel_samples_print(&samples, "us");
}

/* ---- idle connections --------------------------------------------------------------------- */

/* As many as there may be descriptors, here and in the server, which inherits the limit. */
static long connections_within_limits(long wanted)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur < (rlim_t)wanted + SPARE_FDS ? (long)limit.rlim_cur - SPARE_FDS : wanted;
}

static void duel_idle(const duel_request *request)
{
    long n = connections_within_limits(request->size ? request->size : IDLE_CONNECTIONS);
    start_server();
    connection *first = open_many(CONNECTIONS);
    long before = server_rss_kib();
    connection *connections = open_many(n);
    long after = server_rss_kib();
    close_many(connections, n);
    close_many(first, CONNECTIONS);
    stop_server();
    duel_value("bytes", 1024.0 * (double)(after - before) / (double)n, "B");
    duel_value("connections", (double)n, "-");
}

/* ---- the process -------------------------------------------------------------------------- */

static int list(void)
{
    pid_t child = fork();
    int status = 2;
    fflush(stdout);
    if (child == 0) {
        execvp(server_command[0], server_command);
        _exit(2);
    }
    waitpid(child, &status, 0);
    printf("echo\nidle\n");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
}

/* The server's words come first: those up to `--list`, or up to the name of a duel. */
int main(int argc, char **argv)
{
    static const duel duels[] = {{"echo", duel_echo}, {"idle", duel_idle}, {NULL, NULL}};
    int words = argc - 1;
    server_command = argv + 1;
    if (argc > 2 && strcmp(argv[words], "--list") == 0)
        return list();
    while (words > 1 && strcmp(argv[words], "echo") != 0 && strcmp(argv[words], "idle") != 0)
        words--;
    if (words < 2)
        duel_fail(2, "usage: %s SERVER... --list | echo | idle [SECONDS [SIZE]]", argv[0]);
    char *mine[] = {argv[0], argv[words], words + 1 < argc ? argv[words + 1] : NULL,
                    words + 2 < argc ? argv[words + 2] : NULL, NULL};
    argv[words] = NULL;
    return duel_main(argc - words + 1, mine, "", duels);
}
