/* SPDX-License-Identifier: BSD-2-Clause */
/* http_hello.c — a small web server for browsers and curl, one fiber for each connection.
 *
 *     http_hello              serves on 127.0.0.1:8080 until SIGINT or SIGTERM
 *     http_hello PORT         the same on another port
 *     http_hello --self-test  serves itself some clients, checks what comes back, and ends
 *
 * It understands GET and HEAD of HTTP/1.0 and 1.1, keeps connections, and answers requests that
 * were sent one behind the other in that order. A signal ends it gracefully: who is being served
 * gets his answer.
 * ctest: ARGS --self-test */
#define _DEFAULT_SOURCE /* strsep(), signals */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>

#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/runtime.h>

enum { HEAD_MAX = 8192, ANSWER_MAX = 1024, CLIENTS = 50 };

/* Of a browser that says nothing, and of one that does not take its answer. */
#define IDLE_NS (30 * WEFT_SEC)
#define SEND_NS (5 * WEFT_SEC)

static unsigned long answered;

/* ---- a request ------------------------------------------------------------------------------ */

typedef struct request {
    char *method;
    char *path;
    int is_kept; /* the connection, for the next request */
    int status;  /* 200, or why there is no answer */
} request;

/* Does the head have a line `name: ... word ...`? Names do not mind their case. */
static int has_header(const char *head, const char *name, const char *word)
{
    size_t length = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, length) != 0 || line[length] != ':')
            continue;
        size_t value = strcspn(line, "\r");
        for (size_t i = length + 1; i + strlen(word) <= value; i++)
            if (strncasecmp(line + i, word, strlen(word)) == 0)
                return 1;
    }
    return 0;
}

/* `head` ends with its last line, without the empty one; it is taken apart. */
static request parse(char *head)
{
    request self = {.status = 400};
    int is_closing = has_header(head, "Connection", "close");
    int is_keeping = has_header(head, "Connection", "keep-alive");
    int has_body =
        has_header(head, "Content-Length", "") || has_header(head, "Transfer-Encoding", "");
    char *rest = head;
    head[strcspn(head, "\r")] = '\0';
    self.method = strsep(&rest, " ");
    self.path = strsep(&rest, " ");
    if (rest == NULL || self.path[0] != '/' || strncmp(rest, "HTTP/1.", 7) != 0)
        return self;
    self.is_kept = !has_body && (strcmp(rest, "HTTP/1.0") == 0 ? is_keeping : !is_closing);
    int is_known = strcmp(self.method, "GET") == 0 || strcmp(self.method, "HEAD") == 0;
    self.status = is_known ? 200 : 405;
    return self;
}

/* ---- an answer ------------------------------------------------------------------------------ */

static const char *reason_of(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 431:
        return "Request Header Fields Too Large";
    default:
        return "Bad Request";
    }
}

static void write_page(request *self, char *page, size_t bytes)
{
    if (self->status == 200 && strcmp(self->path, "/") == 0)
        (void)snprintf(page, bytes, "Hello from weft.\n");
    else if (self->status == 200 && strcmp(self->path, "/count") == 0)
        (void)snprintf(page, bytes, "%lu\n", __atomic_load_n(&answered, __ATOMIC_RELAXED));
    else if (self->status == 200)
        self->status = 404;
    if (self->status != 200)
        (void)snprintf(page, bytes, "%d %s\n", self->status, reason_of(self->status));
}

/* Zero, or a negative errno: nobody reads any more. */
static int answer(int fd, request *self)
{
    char page[256];
    char text[ANSWER_MAX];
    write_page(self, page, sizeof page);
    int is_head = self->method != NULL && strcmp(self->method, "HEAD") == 0;
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 %d %s\r\n"
                          "Content-Type: text/plain; charset=utf-8\r\n"
                          "Content-Length: %zu\r\n"
                          "%s%s\r\n%s",
                          self->status, reason_of(self->status), strlen(page),
                          self->status == 405 ? "Allow: GET, HEAD\r\n" : "",
                          self->is_kept ? "" : "Connection: close\r\n", is_head ? "" : page);
    __atomic_fetch_add(&answered, 1, __ATOMIC_RELAXED);
    ssize_t n = weft_write_all(fd, text, (size_t)length, weft_in(SEND_NS));
    return n < 0 ? (int)n : 0;
}

/* ---- a connection --------------------------------------------------------------------------- */

/* Read on until `buffer` holds a whole head. Returns its length with the empty line; 0: the end, or
 * an error; -1: it is too long. */
static long read_head(int fd, char *buffer, size_t *held)
{
    for (;;) {
        buffer[*held] = '\0';
        char *end = strstr(buffer, "\r\n\r\n");
        if (end != NULL)
            return end + 4 - buffer;
        if (*held == HEAD_MAX)
            return -1;
        ssize_t n = weft_read(fd, buffer + *held, HEAD_MAX - *held, weft_in(IDLE_NS));
        if (n <= 0)
            return 0;
        *held += (size_t)n;
    }
}

WEFT_FIBER(serve, int, fd)
{
    char buffer[HEAD_MAX + 1];
    size_t held = 0;
    request asked = {.is_kept = 1};
    while (asked.is_kept) {
        long length = read_head(fd, buffer, &held);
        if (length == 0)
            break;
        asked = (request){.status = 431};
        if (length > 0) {
            buffer[length - 4] = '\0';
            asked = parse(buffer);
        }
        /* Who is being served gets his answer, also when the server is told to end. */
        int rc = -ECANCELED;
        weft_shield
        {
            rc = answer(fd, &asked);
        }
        if (rc != 0 || length < 0)
            break;
        held -= (size_t)length;
        memmove(buffer, buffer + length, held);
    }
    weft_close(fd);
}

/* Until the scope around is cancelled. */
WEFT_FIBER(listen_on, int, listener)
{
    weft_scope(clients)
    {
        int fd;
        while ((fd = weft_accept(listener, WEFT_FOREVER)) >= 0)
            if (weft_go(&clients, serve, fd) != 0)
                weft_close(fd);
    }
}

/* ---- the server ----------------------------------------------------------------------------- */

/* A descriptor that becomes readable with the first of these signals. */
static int signals_fd(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve_port(unsigned port)
{
    struct signalfd_siginfo signal;
    int listener = weft_tcp_listen("127.0.0.1", port, 128);
    if (listener < 0) {
        fprintf(stderr, "http_hello: port %u: %s\n", port, weft_strerror(listener));
        return 1;
    }
    int signals = signals_fd();
    if (signals < 0) {
        perror("http_hello: signalfd");
        weft_close(listener);
        return 1;
    }
    printf("http_hello: http://127.0.0.1:%u/\n", port);
    fflush(stdout);
    weft_scope(server)
    {
        if (weft_go(&server, listen_on, listener) == 0)
            (void)weft_read(signals, &signal, sizeof signal, WEFT_FOREVER);
        weft_cancel_scope(&server);
    }
    weft_close(signals);
    weft_close(listener);
    printf("http_hello: %lu requests answered\n", answered);
    return 0;
}

/* ---- clients -------------------------------------------------------------------------------- */

/* What comes back for `text` until the server closes the connection. */
static const char *ask(unsigned port, const char *text, char *heard, size_t bytes)
{
    int fd = weft_tcp_connect("127.0.0.1", port, weft_in(5 * WEFT_SEC));
    ssize_t n = fd;
    if (fd >= 0) {
        n = weft_write_all(fd, text, strlen(text), weft_in(5 * WEFT_SEC));
        if (n >= 0)
            n = weft_read_all(fd, heard, bytes - 1, weft_in(5 * WEFT_SEC));
        weft_close(fd);
    }
    heard[n > 0 ? n : 0] = '\0';
    return heard;
}

typedef struct expectation {
    const char *said;
    const char *heard[2]; /* both occur in what comes back, one behind the other */
} expectation;

static const expectation expectations[] = {
    {"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n",
     {"HTTP/1.1 200 OK\r\n", "\r\n\r\nHello from weft.\n"}},
    {"GET / HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\nconnection: Close\r\n\r\n",
     {"Hello from weft.\n", "HTTP/1.1 404 Not Found\r\n"}},
    {"HEAD / HTTP/1.0\r\n\r\n", {"Content-Length: 17\r\n", "Connection: close\r\n\r\n"}},
    {"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", {"HTTP/1.1 405 ", "Allow: GET, HEAD\r\n"}},
    {"nonsense\r\n\r\n", {"HTTP/1.1 400 Bad Request\r\n", "400 Bad Request\n"}},
    {"GET http://here/ HTTP/1.1\r\n\r\n", {"HTTP/1.1 400 ", ""}},
};
#define EXPECTATIONS (sizeof expectations / sizeof expectations[0])

static int is_met(unsigned port, const expectation *one)
{
    char heard[4096];
    const char *first = strstr(ask(port, one->said, heard, sizeof heard), one->heard[0]);
    const char *second = first != NULL ? strstr(first, one->heard[1]) : NULL;
    if (second == NULL)
        fprintf(stderr, "http_hello: for '%.40s…' came '%s'\n", one->said, heard);
    return second != NULL;
}

WEFT_FIBER(visit, unsigned, port, int *, met)
{
    for (size_t i = 0; i < EXPECTATIONS; i++)
        if (is_met(port, &expectations[i]))
            __atomic_fetch_add(met, 1, __ATOMIC_RELAXED);
}

/* A head without an end is refused; the server may do so before it has read all of it. */
static int is_refused(unsigned port)
{
    char text[HEAD_MAX + 1];
    char heard[4096];
    memset(text, 'x', sizeof text);
    memcpy(text, "GET /", 5);
    text[HEAD_MAX] = '\0';
    return strstr(ask(port, text, heard, sizeof heard), "HTTP/1.1 431 ") != NULL;
}

static int self_test(void)
{
    int met = 0;
    int refused = 0;
    int listener = weft_tcp_listen("127.0.0.1", 0, 128);
    int port = weft_port(listener);
    if (port < 0)
        return 1;
    weft_scope(server)
    {
        if (weft_go(&server, listen_on, listener) != 0)
            return 1;
        weft_scope(clients)
        {
            for (int i = 0; i < CLIENTS; i++)
                if (weft_go(&clients, visit, (unsigned)port, &met) != 0)
                    break;
        }
        refused = is_refused((unsigned)port);
        weft_cancel_scope(&server);
    }
    weft_close(listener);
    printf("http_hello: %d clients, %d answers as expected\n", CLIENTS, met);
    return met != CLIENTS * (int)EXPECTATIONS || !refused;
}

static int app(void *arg)
{
    const char *port = arg;
    if (port != NULL && strcmp(port, "--self-test") == 0)
        return self_test();
    return serve_port(port != NULL ? (unsigned)strtoul(port, NULL, 10) : 8080);
}

int main(int argc, char **argv)
{
    sigset_t set;
    if (argc > 2 || (argc == 2 && strcmp(argv[1], "--help") == 0)) {
        printf("usage: http_hello [PORT | --self-test]\n");
        return argc > 2 ? 2 : 0;
    }
    /* Before there are other threads: the signals arrive at signals_fd() instead. */
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &set, NULL);
    return weft_run(app, argc > 1 ? argv[1] : NULL, NULL);
}
