/* SPDX-License-Identifier: BSD-2-Clause */
/* test_io.c — every call that waits for a file: in fibers and threads, adopted files and others.
 * ctest: TIMEOUT 90 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tcp_pair.h"

#include <weft/atomic.h>
#include <weft/fiber.h>
#include <weft/io.h>

#include "sched/worker.h"
#include "sys.h"

static void everywhere(int (*check)(void *arg), void *arg)
{
    in_thread(check, arg);
    on_workers(check, arg);
}

#define SOON weft_in(20 * WEFT_SEC)

/* The four kinds of pairs: what is written to [1] can be read from [0]. */
enum { ADOPTED_PIPE, ADOPTED_SOCKETS, PLAIN_PIPE, PLAIN_SOCKETS, PAIRS };

static int make_pair(int kind, int fds[2])
{
    switch (kind) {
    case ADOPTED_PIPE:
        return weft_fd_pipe(fds);
    case ADOPTED_SOCKETS:
        return weft_socketpair(fds);
    case PLAIN_PIPE:
        return pipe(fds); /* blocking */
    default:
        return socketpair(AF_UNIX, SOCK_STREAM, 0, fds); /* blocking */
    }
}

static int close_pair(int fds[2])
{
    return weft_close(fds[0]) | weft_close(fds[1]);
}

/* ---- deadlines ------------------------------------------------------------------------------ */

static int check_deadlines(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < PAIRS; kind++) {
        int fds[2];
        char byte = 'x';
        CHECK(make_pair(kind, fds) == 0);
        CHECK(weft_read(fds[0], &byte, 1, WEFT_POLL) == -ETIMEDOUT);
        int64_t deadline = weft_in(2 * WEFT_MSEC);
        CHECK(weft_read(fds[0], &byte, 1, deadline) == -ETIMEDOUT);
        CHECK(weft_now() >= deadline);
        CHECK(weft_poll(fds[0], POLLIN, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
        CHECK(weft_write(fds[1], "ab", 2, WEFT_POLL) == 2);
        CHECK((weft_poll(fds[0], POLLIN, WEFT_POLL) & POLLIN) != 0);
        CHECK(weft_read(fds[0], &byte, 1, WEFT_POLL) == 1);
        CHECK(byte == 'a');
        CHECK(weft_read(fds[0], &byte, 1, WEFT_FOREVER) == 1);
        CHECK(byte == 'b');
        CHECK(weft_read(fds[0], &byte, 1, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
        CHECK(close_pair(fds) == 0);
    }
    return 0;
}

static void test_a_read_ends_at_its_deadline(void **state)
{
    (void)state;
    everywhere(check_deadlines, NULL);
}

static int check_full(void *arg)
{
    (void)arg;
    static const char zeros[65536];
    static char drain[65536];
    for (int kind = 0; kind < PAIRS; kind++) {
        int fds[2];
        ssize_t n = 0;
        ssize_t written = 0;
        CHECK(make_pair(kind, fds) == 0);
        while ((n = weft_write(fds[1], zeros, sizeof zeros, weft_in(WEFT_MSEC))) > 0)
            written += n;
        CHECK(n == -ETIMEDOUT);
        CHECK(written > 0);
        while (written > 0 && (n = weft_read(fds[0], drain, sizeof drain, SOON)) > 0)
            written -= n;
        CHECK(written == 0);
        CHECK(weft_write(fds[1], zeros, 1, WEFT_POLL) == 1);
        CHECK(close_pair(fds) == 0);
    }
    return 0;
}

static void test_a_write_ends_at_its_deadline(void **state)
{
    (void)state;
    everywhere(check_full, NULL);
}

/* ---- transfer ------------------------------------------------------------------------------- */

enum { STREAM_BYTES = 1 << 20 };

static char pattern(size_t i)
{
    return (char)(i * 31 + (i >> 9));
}

WEFT_FIBER(pour, int, fd, int *, failed)
{
    char buffer[3001];
    for (size_t done = 0; done < STREAM_BYTES;) {
        size_t bytes = STREAM_BYTES - done < sizeof buffer ? STREAM_BYTES - done : sizeof buffer;
        for (size_t i = 0; i < bytes; i++)
            buffer[i] = pattern(done + i);
        if (weft_write_all(fd, buffer, bytes, SOON) != (ssize_t)bytes)
            weft__store_relaxed(failed, __LINE__);
        done += bytes;
    }
    (void)weft_close(fd);
}

WEFT_FIBER(soak_up, int, fd, int *, failed)
{
    char buffer[4096];
    size_t done = 0;
    ssize_t n;
    while ((n = weft_read(fd, buffer, sizeof buffer, SOON)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            if (buffer[i] != pattern(done + (size_t)i))
                weft__store_relaxed(failed, __LINE__);
        done += (size_t)n;
    }
    if (n != 0 || done != STREAM_BYTES)
        weft__store_relaxed(failed, __LINE__);
    (void)weft_close(fd);
}

static int check_streams(void *arg)
{
    (void)arg;
    int failed = 0;
    weft_scope(group)
    {
        for (int kind = 0; kind < PAIRS; kind++) {
            int fds[2];
            CHECK(make_pair(kind, fds) == 0);
            CHECK(weft_go(&group, soak_up, fds[0], &failed) == 0);
            CHECK(weft_go(&group, pour, fds[1], &failed) == 0);
        }
    }
    return failed;
}

static void test_streams_arrive_whole(void **state)
{
    (void)state;
    on_workers(check_streams, NULL);
}

typedef struct stream {
    int fd;
    int failed;
} stream;

static void *pour_in_thread(void *arg)
{
    stream *self = arg;
    pour(self->fd, &self->failed);
    return NULL;
}

static int check_thread_to_fiber(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < PAIRS; kind++) {
        int fds[2];
        stream source = {0, 0};
        int failed = 0;
        pthread_t thread;
        CHECK(make_pair(kind, fds) == 0);
        source.fd = fds[1];
        CHECK(pthread_create(&thread, NULL, pour_in_thread, &source) == 0);
        soak_up(fds[0], &failed);
        CHECK(pthread_join(thread, NULL) == 0);
        CHECK(failed == 0);
        CHECK(source.failed == 0);
    }
    return 0;
}

static void test_a_thread_and_a_fiber_share_a_stream(void **state)
{
    (void)state;
    on_workers(check_thread_to_fiber, NULL);
}

static int check_vectors(void *arg)
{
    (void)arg;
    int fds[2];
    char a[3];
    char b[4];
    CHECK(weft_socketpair(fds) == 0);
    struct iovec out[2] = {{.iov_base = "abc", .iov_len = 3}, {.iov_base = "defg", .iov_len = 4}};
    struct iovec in[2] = {{.iov_base = a, .iov_len = 3}, {.iov_base = b, .iov_len = 4}};
    CHECK(weft_writev(fds[1], out, 2, SOON) == 7);
    CHECK(weft_readv(fds[0], in, 2, SOON) == 7);
    CHECK(memcmp(a, "abc", 3) == 0);
    CHECK(memcmp(b, "defg", 4) == 0);
    CHECK(weft_send(fds[1], "hij", 3, 0, SOON) == 3);
    CHECK(weft_recv(fds[0], a, 2, MSG_PEEK, SOON) == 2);
    CHECK(weft_recv(fds[0], a, 3, 0, SOON) == 3);
    CHECK(memcmp(a, "hij", 3) == 0);
    return close_pair(fds);
}

static void test_vectors_and_flags(void **state)
{
    (void)state;
    everywhere(check_vectors, NULL);
}

/* ---- endings -------------------------------------------------------------------------------- */

static int check_endings(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < PAIRS; kind++) {
        int fds[2];
        char byte;
        CHECK(make_pair(kind, fds) == 0);
        CHECK(weft_write(fds[1], "z", 1, SOON) == 1);
        CHECK(weft_close(fds[1]) == 0);
        CHECK(weft_read(fds[0], &byte, 1, SOON) == 1);
        CHECK(weft_read(fds[0], &byte, 1, SOON) == 0);
        CHECK(weft_read(fds[0], &byte, 1, WEFT_POLL) == 0);
        CHECK(weft_close(fds[0]) == 0);
        CHECK(make_pair(kind, fds) == 0);
        CHECK(weft_close(fds[0]) == 0);
        CHECK(weft_write(fds[1], "z", 1, SOON) == -EPIPE); /* and nobody dies of SIGPIPE */
        CHECK(weft_write(fds[1], "z", 1, WEFT_POLL) == -EPIPE);
        CHECK(weft_close(fds[1]) == 0);
    }
    CHECK(weft_read(-1, NULL, 0, SOON) == -EBADF);
    CHECK(weft_close(-1) == -EBADF);
    CHECK(weft_poll(0, 0, SOON) == -EINVAL);
    return 0;
}

static void test_the_end_of_a_stream(void **state)
{
    (void)state;
    everywhere(check_endings, NULL);
}

/* A peer that shuts down its writing half hears what we say after that. The short read before the
 * end must not make us wait for an event that has been. */
static int check_half_close(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++) {
        int fds[2];
        char buffer[16];
        CHECK(weft_socketpair(fds) == 0);
        CHECK(weft_poll(fds[0], POLLIN, WEFT_POLL) == -ETIMEDOUT);
        CHECK(weft_write(fds[1], "last", 4, SOON) == 4);
        CHECK(shutdown(fds[1], SHUT_WR) == 0);
        CHECK(weft_read(fds[0], buffer, sizeof buffer, SOON) == 4);
        CHECK(weft_read(fds[0], buffer, sizeof buffer, SOON) == 0);
        CHECK(weft_write(fds[0], "yes?", 4, SOON) == 4);
        CHECK(weft_read(fds[1], buffer, sizeof buffer, SOON) == 4);
        CHECK(close_pair(fds) == 0);
    }
    return 0;
}

static void test_half_closed(void **state)
{
    (void)state;
    everywhere(check_half_close, NULL);
}

WEFT_FIBER(read_one, int, fd, int *, answers, int, expected)
{
    char byte;
    if (weft_read(fd, &byte, 1, SOON) == expected)
        weft__fetch_add_relaxed(answers, 1);
}

/* Whether so many of the runtime's fibers wait for files: none of them tries any more. */
static int are_waiting(uint32_t count)
{
    const weft__reactor *reactor = weft__load_acquire(&weft__worker_self()->runtime->reactor);
    return reactor != NULL && weft__load_seq_cst(&reactor->waits) >= count;
}

static int check_close_wakes(void *arg)
{
    (void)arg;
    int fds[2];
    int answers = 0;
    CHECK(weft_socketpair(fds) == 0);
    weft_scope(group)
    {
        for (int i = 0; i < 5; i++)
            CHECK(weft_go(&group, read_one, fds[0], &answers, -EBADF) == 0);
        for (int64_t end = SOON; !are_waiting(5);) {
            CHECK(weft_now() < end);
            CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
        }
        CHECK(weft_close(fds[0]) == 0);
    }
    CHECK(answers == 5);
    return weft_close(fds[1]);
}

static void test_closing_wakes_those_who_wait(void **state)
{
    (void)state;
    on_workers(check_close_wakes, NULL);
}

static int check_cancel(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < PAIRS; kind++) {
        int fds[2];
        int answers = 0;
        CHECK(make_pair(kind, fds) == 0);
        weft_scope(group)
        {
            for (int i = 0; i < 5; i++)
                CHECK(weft_go(&group, read_one, fds[0], &answers, -ECANCELED) == 0);
            CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
            weft_cancel_scope(&group);
        }
        CHECK(answers == 5);
        char byte; /* and nothing was read */
        CHECK(weft_write(fds[1], "k", 1, SOON) == 1);
        CHECK(weft_read(fds[0], &byte, 1, SOON) == 1);
        CHECK(close_pair(fds) == 0);
    }
    return 0;
}

WEFT_FIBER(cancel_soon, weft_scope *, scope)
{
    (void)weft_sleep(weft_in(2 * WEFT_MSEC));
    weft_cancel_scope(scope);
}

/* The thread naps in poll(2), at most 100 ms each time. */
static int check_thread_in_scopes(void *arg)
{
    int fds[2];
    char byte;
    (void)arg;
    CHECK(pipe(fds) == 0);
    weft_deadline(weft_in(2 * WEFT_MSEC))
    {
        CHECK(weft_read(fds[0], &byte, 1, WEFT_FOREVER) == -ETIMEDOUT);
        CHECK(weft_poll(fds[0], POLLIN, WEFT_FOREVER) == -ETIMEDOUT);
        CHECK(weft_poll(fds[1], POLLOUT, WEFT_FOREVER) == POLLOUT); /* it need not wait */
    }
    weft_scope(group)
    {
        int64_t end = weft_in(LIVENESS_NS);
        CHECK(weft_read(fds[0], &byte, 1, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
        CHECK(weft_go(&group, cancel_soon, &group) == 0);
        CHECK(weft_read(fds[0], &byte, 1, WEFT_FOREVER) == -ECANCELED);
        CHECK(weft_poll(fds[0], POLLIN, WEFT_FOREVER) == -ECANCELED);
        CHECK(weft_now() < end);
        weft_shield CHECK(weft_read(fds[0], &byte, 1, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
        CHECK(weft_write(fds[1], "x", 1, WEFT_FOREVER) == 1);
        CHECK(weft_poll(fds[0], POLLIN, WEFT_FOREVER) == POLLIN);
        CHECK(weft_read(fds[0], &byte, 1, WEFT_FOREVER) == 1 && byte == 'x');
    }
    (void)close(fds[0]);
    (void)close(fds[1]);
    return 0;
}

static void test_a_thread_keeps_to_its_scopes(void **state)
{
    (void)state;
    in_thread(check_thread_in_scopes, NULL);
}

static void test_cancelled_reads_take_nothing(void **state)
{
    (void)state;
    on_workers(check_cancel, NULL);
}

/* Several wait for one file: each byte wakes one, and none is forgotten. */
static int check_sharing(void *arg)
{
    (void)arg;
    for (int kind = 0; kind < PAIRS; kind++) {
        int fds[2];
        int answers = 0;
        CHECK(make_pair(kind, fds) == 0);
        weft_scope(group)
        {
            for (int i = 0; i < 20; i++)
                CHECK(weft_go(&group, read_one, fds[0], &answers, 1) == 0);
            CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
            CHECK(weft_write(fds[1], "01234", 5, SOON) == 5);
            CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
            CHECK(weft_write(fds[1], "567890123456789", 15, SOON) == 15);
        }
        CHECK(answers == 20);
        CHECK(close_pair(fds) == 0);
    }
    return 0;
}

static void test_many_readers_of_one_file(void **state)
{
    (void)state;
    on_workers(check_sharing, NULL);
}

static int check_both_sides(void *arg)
{
    (void)arg;
    int fds[2];
    char buffer[65536];
    CHECK(weft_socketpair(fds) == 0);
    CHECK(weft_poll(fds[0], POLLIN | POLLOUT, SOON) == POLLOUT);
    while (weft_write(fds[0], buffer, sizeof buffer, WEFT_POLL) > 0)
        continue;
    CHECK(weft_poll(fds[0], POLLIN | POLLOUT, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    CHECK(weft_write(fds[1], "x", 1, SOON) == 1);
    CHECK(weft_poll(fds[0], POLLIN | POLLOUT, SOON) == POLLIN);
    CHECK(weft_read(fds[0], buffer, 1, WEFT_POLL) == 1);
    CHECK(weft_read(fds[1], buffer, sizeof buffer, SOON) > 0);
    return close_pair(fds);
}

static void test_poll_waits_for_either_side(void **state)
{
    (void)state;
    everywhere(check_both_sides, NULL);
}

/* A number that is closed and used anew behind our back is not confused with what it was. */
static int check_reuse(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++) {
        int fds[2];
        char byte;
        CHECK(pipe(fds) == 0);
        CHECK(weft_read(fds[0], &byte, 1, weft_in(10 * WEFT_USEC)) == -ETIMEDOUT);
        if (i % 2 == 0)
            CHECK(weft_write(fds[1], "a", 1, SOON) == 1);
        if (i % 3 == 0)
            CHECK(weft_read(fds[0], &byte, 1, weft_in(WEFT_MSEC)) == (i % 2 == 0 ? 1 : -ETIMEDOUT));
        CHECK(close(fds[0]) == 0);
        CHECK(close(fds[1]) == 0);
    }
    return 0;
}

static void test_descriptors_closed_behind_our_back(void **state)
{
    (void)state;
    on_workers(check_reuse, NULL);
}

/* ---- files that are always ready ------------------------------------------------------------ */

static int check_regular(void *arg)
{
    (void)arg;
    char name[] = "/tmp/weft-test-io-XXXXXX";
    char buffer[32] = {0};
    int fd = mkstemp(name);
    CHECK(fd >= 0);
    CHECK(unlink(name) == 0);
    CHECK(weft_write_all(fd, "written to a file", 17, SOON) == 17);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(weft_read_all(fd, buffer, sizeof buffer, SOON) == 17);
    CHECK(memcmp(buffer, "written to a file", 17) == 0);
    CHECK(weft_close(fd) == 0);
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(weft_read(fd, buffer, sizeof buffer, SOON) == 0);
    CHECK(weft_write(fd, buffer, sizeof buffer, SOON) == (ssize_t)sizeof buffer);
    return weft_close(fd);
}

static void test_regular_files(void **state)
{
    (void)state;
    everywhere(check_regular, NULL);
}

/* ---- networks ------------------------------------------------------------------------------- */

WEFT_FIBER(answer, int, fd)
{
    char buffer[256];
    ssize_t n;
    while ((n = weft_read(fd, buffer, sizeof buffer, SOON)) > 0)
        if (weft_write_all(fd, buffer, (size_t)n, SOON) < 0)
            break;
    (void)weft_close(fd);
}

WEFT_FIBER(serve, int, listener)
{
    weft_scope(clients)
    {
        int fd;
        while ((fd = weft_accept(listener, WEFT_FOREVER)) >= 0)
            (void)weft_go(&clients, answer, fd);
    }
}

static int talk(int fd)
{
    char buffer[8];
    CHECK(fd >= 0);
    for (int i = 0; i < 10; i++) {
        CHECK(weft_write_all(fd, "question", 8, SOON) == 8);
        CHECK(weft_read_all(fd, buffer, 8, SOON) == 8);
        CHECK(memcmp(buffer, "question", 8) == 0);
    }
    return weft_close(fd);
}

WEFT_FIBER(tcp_client, int, port, int *, failed)
{
    int line = talk(weft_tcp_connect("127.0.0.1", (unsigned)port, SOON));
    if (line != 0)
        weft__store_relaxed(failed, line);
}

WEFT_FIBER(unix_client, const char *, path, int *, failed)
{
    int line = talk(weft_unix_connect(path, SOON));
    if (line != 0)
        weft__store_relaxed(failed, line);
}

static int check_servers(void *arg)
{
    (void)arg;
    int failed = 0;
    char path[32];
    (void)snprintf(path, sizeof path, "@weft-test-%d", (int)getpid());
    int tcp = weft_tcp_listen("127.0.0.1", 0, 16);
    int local = weft_unix_listen(path, 2); /* a backlog that overflows */
    CHECK(tcp >= 0);
    CHECK(local >= 0);
    int port = weft_port(tcp);
    weft_scope(servers)
    {
        for (int i = 0; i < 3; i++) { /* several accept from one listener */
            CHECK(weft_go(&servers, serve, tcp) == 0);
            CHECK(weft_go(&servers, serve, local) == 0);
        }
        weft_scope(clients)
        {
            for (int i = 0; i < 40; i++) {
                CHECK(weft_go(&clients, tcp_client, port, &failed) == 0);
                CHECK(weft_go(&clients, unix_client, path, &failed) == 0);
            }
        }
        weft_cancel_scope(&servers);
    }
    CHECK(weft_close(tcp) == 0);
    CHECK(weft_close(local) == 0);
    CHECK(weft_tcp_connect("127.0.0.1", (unsigned)port, SOON) == -ECONNREFUSED);
    CHECK(weft_tcp_listen("127.0.0.1", 65536, 1) == -EINVAL);
    CHECK(weft_unix_connect("", SOON) == -ENAMETOOLONG);
    return failed;
}

static void test_servers_and_clients(void **state)
{
    (void)state;
    on_workers(check_servers, NULL);
}

static int check_datagrams(void *arg)
{
    (void)arg;
    int a = weft_udp_bind("127.0.0.1", 0);
    int b = weft_udp_bind("127.0.0.1", 0);
    char bytes[16];
    struct sockaddr_storage address;
    CHECK(a >= 0);
    CHECK(b >= 0);
    CHECK(weft_resolve("127.0.0.1", (unsigned)weft_port(b), &address, 1) == 1);
    for (int i = 0; i < 3; i++) {
        struct iovec out = {.iov_base = "datagram", .iov_len = 8};
        struct msghdr message = {.msg_name = &address,
                                 .msg_namelen = sizeof(struct sockaddr_in),
                                 .msg_iov = &out,
                                 .msg_iovlen = 1};
        CHECK(weft_sendmsg(a, &message, 0, SOON) == 8);
    }
    for (int i = 0; i < 3; i++) { /* a short one does not mean that there are no more */
        struct sockaddr_storage from;
        struct iovec in = {.iov_base = bytes, .iov_len = sizeof bytes};
        struct msghdr message = {
            .msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &in, .msg_iovlen = 1};
        CHECK(weft_recvmsg(b, &message, 0, SOON) == 8);
    }
    CHECK(weft_recv(b, bytes, sizeof bytes, 0, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    char name[300]; /* too long for any host, so that no name server is asked */
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = '\0';
    CHECK(weft_resolve(name, 1, &address, 1) < 0);
    return weft_close(a) | weft_close(b);
}

static void test_datagrams(void **state)
{
    (void)state;
    everywhere(check_datagrams, NULL);
}

/* A datagram to nobody comes back as an error, once; it does not mean that the peer is gone. */
static int check_refused_datagrams(void *arg)
{
    (void)arg;
    char bytes[16];
    int nobody = weft_udp_bind("127.0.0.1", 0);
    int fd = weft_udp_bind("127.0.0.1", 0);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    CHECK(nobody >= 0);
    CHECK(fd >= 0);
    CHECK(getsockname(nobody, (struct sockaddr *)&address, &length) == 0);
    CHECK(weft_connect(fd, (struct sockaddr *)&address, length, SOON) == 0);
    CHECK(weft_close(nobody) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(weft_recv(fd, bytes, sizeof bytes, 0, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
        CHECK(weft_send(fd, "anybody?", 8, 0, SOON) == 8);
        CHECK(weft_recv(fd, bytes, sizeof bytes, 0, SOON) == -ECONNREFUSED);
        CHECK(weft_poll(fd, POLLIN, weft_in(WEFT_MSEC)) == -ETIMEDOUT);
    }
    return weft_close(fd);
}

static void test_refused_datagrams(void **state)
{
    (void)state;
    everywhere(check_refused_datagrams, NULL);
}

/* A connected pair of TCP sockets. */
/* A read stops short of urgent data, and there is more behind it. */
static int check_urgent(void *arg)
{
    (void)arg;
    int fds[2];
    char buffer[64];
    CHECK(make_tcp_pair(fds) == 0);
    for (int i = 0; i < 20; i++) {
        CHECK(weft_read(fds[0], buffer, sizeof buffer, weft_in(100 * WEFT_USEC)) == -ETIMEDOUT);
        CHECK(weft_send(fds[1], "before", 6, 0, SOON) == 6);
        CHECK(weft_send(fds[1], "!", 1, MSG_OOB, SOON) == 1);
        CHECK(weft_send(fds[1], "behind", 6, 0, SOON) == 6);
        CHECK(weft_read_all(fds[0], buffer, 12, SOON) == 12);
        CHECK(memcmp(buffer, "beforebehind", 12) == 0);
    }
    return close_pair(fds);
}

static void test_a_read_stops_at_urgent_data(void **state)
{
    (void)state;
    everywhere(check_urgent, NULL);
}

/* What a reset looks like: those who wait hear of it, and so does who comes later. */
static int check_reset(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++) {
        int fds[2];
        int answers = 0;
        char byte;
        CHECK(make_tcp_pair(fds) == 0);
        weft_scope(group)
        {
            CHECK(weft_go(&group, read_one, fds[0], &answers, -ECONNRESET) == 0);
            CHECK(weft_sleep(weft_in(i * 20 * WEFT_USEC)) == 0);
            CHECK(cut(fds[1]) == 0);
        }
        CHECK(answers == 1);
        CHECK(weft_read(fds[0], &byte, 1, SOON) == 0);
        CHECK(weft_write(fds[0], "?", 1, SOON) == -EPIPE);
        CHECK(weft_close(fds[0]) == 0);
    }
    return 0;
}

static void test_a_peer_that_resets(void **state)
{
    (void)state;
    on_workers(check_reset, NULL);
}

/* Who reads what never ends leaves the only worker to others as well. */
WEFT_FIBER(read_zeros, int, fd, int *, is_over)
{
    char buffer[16];
    while (!weft__load_relaxed(is_over))
        if (weft_read(fd, buffer, sizeof buffer, SOON) <= 0)
            break;
}

static int check_turns(void *arg)
{
    (void)arg;
    int is_over = 0;
    int fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(weft_adopt(fd) == 0);
    weft_scope(group)
    {
        for (int i = 0; i < 4; i++)
            CHECK(weft_go(&group, read_zeros, fd, &is_over) == 0);
        for (int i = 0; i < 5; i++)
            CHECK(weft_sleep(weft_in(50 * WEFT_USEC)) == 0);
        weft__store_relaxed(&is_over, 1);
    }
    return weft_close(fd);
}

static void test_a_busy_file_leaves_turns_to_others(void **state)
{
    (void)state;
    on_workers(check_turns, NULL);
}

/* ---- regions that block --------------------------------------------------------------------- */

WEFT_FIBER(count_up, int *, count)
{
    weft__fetch_add_acq_rel(count, 1);
}

/* The only worker's thread sleeps until another fiber of that worker has run. */
static int check_blocking(void *arg)
{
    (void)arg;
    int count = 0;
    weft_scope(group)
    {
        for (int i = 0; i < 10; i++) {
            CHECK(weft_go(&group, count_up, &count) == 0);
            weft__errno_set(1000 + i);
            weft_blocking
            {
                CHECK(weft__errno_get() == 1000 + i);
                CHECK(weft_worker_id() == -1);
                while (weft__load_acquire(&count) != i + 1)
                    (void)usleep(100);
                weft__errno_set(2000 + i);
            }
            CHECK(weft_worker_id() >= 0);
        }
    }
    CHECK(count == 10);
    return 0;
}

static void test_a_blocked_thread_lends_its_worker(void **state)
{
    (void)state;
    on_workers(check_blocking, NULL);
    weft_blocking assert_int_equal(weft_worker_id(), -1);
}

WEFT_FIBER(count_a_byte, int, fd, int *, count)
{
    char byte;
    if (weft_read(fd, &byte, 1, SOON) == 1)
        weft__fetch_add_acq_rel(count, 1);
}

static void *write_later(void *fd)
{
    (void)usleep(5000);
    if (write(*(const int *)fd, "x", 1) != 1)
        abort();
    return NULL;
}

static int has_come_soon(const int *count, int expected)
{
    int64_t limit = SOON;
    while (weft__load_acquire(count) != expected)
        if (weft_now() > limit)
            return 0;
    return 1;
}

/* A thread has begun to wait for a file, lends its worker, and computes without a system call: what
 * the kernel has to say of the file reaches whoever plays the worker now. */
static int check_computing(void *arg)
{
    (void)arg;
    int fds[2];
    int count = 0;
    pthread_t thread;
    CHECK(weft_socketpair(fds) == 0);
    weft_scope(group)
    {
        for (int i = 0; i < 5; i++) {
            int has_come = 0;
            CHECK(weft_go(&group, count_a_byte, fds[0], &count) == 0);
            weft_yield();
            CHECK(pthread_create(&thread, NULL, write_later, &fds[1]) == 0);
            weft_blocking has_come = has_come_soon(&count, i + 1);
            CHECK(has_come);
            CHECK(pthread_join(thread, NULL) == 0);
        }
    }
    return close_pair(fds);
}

static void test_a_computing_thread_holds_no_answer_back(void **state)
{
    (void)state;
    on_workers(check_computing, NULL);
}

static void *close_later(void *fd)
{
    (void)usleep(5000);
    return weft_close(*(const int *)fd) == 0 ? fd : NULL;
}

WEFT_FIBER(await_closing, int, fd, int *, rc)
{
    char byte;
    *rc = (int)weft_read(fd, &byte, 1, SOON);
}

/* A plain thread closes a file while every thread that has to do with it computes. */
static int check_closing_beside(void *arg)
{
    (void)arg;
    for (int i = 0; i < 5; i++) {
        int fds[2];
        int rc = 0;
        pthread_t thread;
        void *has_closed = NULL;
        CHECK(weft_socketpair(fds) == 0);
        weft_scope(group)
        {
            CHECK(weft_go(&group, await_closing, fds[0], &rc) == 0);
            weft_yield();
            CHECK(pthread_create(&thread, NULL, close_later, &fds[0]) == 0);
            int64_t limit = weft_in(10 * WEFT_MSEC);
            while (weft_now() < limit)
                continue;
            CHECK(pthread_join(thread, &has_closed) == 0);
        }
        CHECK(has_closed != NULL);
        CHECK(rc == -EBADF);
        CHECK(weft_close(fds[1]) == 0);
    }
    return 0;
}

static void test_closing_beside_a_computing_thread(void **state)
{
    (void)state;
    on_workers(check_closing_beside, NULL);
}

WEFT_FIBER(block_for_a_while, int *, count)
{
    weft_blocking(void) usleep(2000);
    weft__fetch_add_acq_rel(count, 1);
}

static int check_many_blocked(void *arg)
{
    (void)arg;
    int count = 0;
    for (int round = 0; round < 3; round++)
        weft_scope(group) for (int i = 0; i < 60; i++)
            CHECK(weft_go(&group, block_for_a_while, &count) == 0);
    CHECK(count == 180);
    return 0;
}

static void test_many_regions_at_once(void **state)
{
    (void)state;
    on_workers(check_many_blocked, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_read_ends_at_its_deadline),
        cmocka_unit_test(test_a_write_ends_at_its_deadline),
        cmocka_unit_test(test_streams_arrive_whole),
        cmocka_unit_test(test_a_thread_and_a_fiber_share_a_stream),
        cmocka_unit_test(test_vectors_and_flags),
        cmocka_unit_test(test_the_end_of_a_stream),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_closing_wakes_those_who_wait),
        cmocka_unit_test(test_cancelled_reads_take_nothing),
        cmocka_unit_test(test_a_thread_keeps_to_its_scopes),
        cmocka_unit_test(test_many_readers_of_one_file),
        cmocka_unit_test(test_poll_waits_for_either_side),
        cmocka_unit_test(test_descriptors_closed_behind_our_back),
        cmocka_unit_test(test_regular_files),
        cmocka_unit_test(test_servers_and_clients),
        cmocka_unit_test(test_datagrams),
        cmocka_unit_test(test_refused_datagrams),
        cmocka_unit_test(test_a_read_stops_at_urgent_data),
        cmocka_unit_test(test_a_peer_that_resets),
        cmocka_unit_test(test_a_busy_file_leaves_turns_to_others),
        cmocka_unit_test(test_a_blocked_thread_lends_its_worker),
        cmocka_unit_test(test_a_computing_thread_holds_no_answer_back),
        cmocka_unit_test(test_closing_beside_a_computing_thread),
        cmocka_unit_test(test_many_regions_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
