/* SPDX-License-Identifier: BSD-2-Clause */
/* test_cut_off_io.c — every call of core/io that waits, cut off at each of its waits: it says why,
 * no byte and no connection is lost, the buffer is left alone afterwards, and the file is as usable
 * as before.
 * ctest: TIMEOUT 120 */
#include "cut_off.h"
#include "tcp_pair.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/un.h>
#include <weft/io.h>

typedef enum medium { PIPE, SOCKETS, TCP, MEDIA } medium;

#define PIECE ((size_t)3) /* what help consists of, for who reads */
#define BUFFER ((size_t)1 << 15)
#define KERNEL_BUFFER 16384 /* about half of that: a large write takes several turns */
#define SEGMENT 1024        /* two are acknowledged at once, less than a usual one after 40 ms */
#define MARK 0x5a           /* memory that nobody has written to */
#define LAST 0xff           /* the last byte of a stream */

typedef struct stage {
    medium medium;
    int is_foreign; /* what a program has got from elsewhere: blocking, unknown to the runtime */
    int fds[2];     /* what is read from [0] and written to [1] */
    int listener;
    int accepted;
    int takes[128]; /* connections in the backlog */
    unsigned taken;
    unsigned char *buffer; /* the call's */
    unsigned char *drain;  /* the helper's */
    size_t filled;         /* bytes in the pipe before the call, */
    size_t drained;        /* and read by the helper so far */
    size_t given;          /* written by the helper so far */
    int is_over;           /* the last byte has come out */
    int is_wrong;          /* something came out that does not belong there */
} stage;

/* Make a file that the runtime has made one that it does not know: a duplicate, which blocks. */
static int estrange(int *fd)
{
    int copy = dup(*fd);
    CHECK(copy >= 0 && weft_close(*fd) == 0);
    *fd = copy;
    return fcntl(copy, F_SETFL, 0) == 0 ? 0 : __LINE__;
}

static int make_pair(stage *s)
{
    CHECK_CALL(s->medium == PIPE      ? weft_fd_pipe(s->fds)
               : s->medium == SOCKETS ? weft_socketpair(s->fds)
                                      : make_tcp_pair_of(s->fds, SEGMENT));
    for (int i = 0; i < 2 && s->is_foreign; i++)
        CHECK_CALL(estrange(&s->fds[i]));
    return 0;
}

static int make_small(const stage *s)
{
    int bytes = KERNEL_BUFFER / 2; /* the kernel doubles it */
    if (s->medium == PIPE)
        return fcntl(s->fds[1], F_SETPIPE_SZ, KERNEL_BUFFER) > 0 ? 0 : __LINE__;
    CHECK(setsockopt(s->fds[1], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) == 0);
    return 0;
}

/* The bytes of a stream are numbered, and so is what the helper gives. */
static unsigned char byte_at(size_t position)
{
    return (unsigned char)(position % 251);
}

/* As new, but for what is to be tried and its memory. */
static void reset(stage *s)
{
    *s = (stage){.medium = s->medium,
                 .is_foreign = s->is_foreign,
                 .buffer = s->buffer,
                 .drain = s->drain,
                 .listener = -1,
                 .accepted = -1};
}

static int prepare(void *arg)
{
    stage *s = arg;
    reset(s);
    memset(s->buffer, MARK, BUFFER);
    CHECK_CALL(make_pair(s));
    return make_small(s);
}

/* Do it with the kernel's own call, but do not block. */
static ssize_t write_at_once(int fd, const void *bytes, size_t count)
{
    int flags = fcntl(fd, F_GETFL);
    (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    ssize_t n = write(fd, bytes, count);
    if ((flags & O_NONBLOCK) == 0)
        (void)fcntl(fd, F_SETFL, flags);
    return n;
}

static int is_readable(int fd, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    return poll(&one, 1, timeout_ms) == 1 && (one.revents & POLLIN) != 0;
}

/* ---- who reads ------------------------------------------------------------------------------- */

static int64_t read_some(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_read(s->fds[0], s->buffer, BUFFER, deadline_ns);
}

static int64_t read_two_buffers(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    struct iovec two[] = {{s->buffer, 1}, {s->buffer + 1, BUFFER - 1}};
    return weft_readv(s->fds[0], two, 2, deadline_ns);
}

static int64_t read_three_pieces(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_read_all(s->fds[0], s->buffer, 3 * PIECE, deadline_ns);
}

static int64_t receive(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_recv(s->fds[0], s->buffer, BUFFER, 0, deadline_ns);
}

static int64_t peek(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    ssize_t n = weft_recv(s->fds[0], s->buffer, BUFFER, MSG_PEEK, deadline_ns);
    return n < 0 ? n : weft_recv(s->fds[0], s->buffer, BUFFER, 0, deadline_ns);
}

static int64_t receive_message(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    struct iovec one = {s->buffer, BUFFER};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
    return weft_recvmsg(s->fds[0], &message, 0, deadline_ns);
}

static int64_t poll_to_read(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int events = weft_poll(s->fds[0], POLLIN, deadline_ns);
    return events < 0 ? events : weft_read(s->fds[0], s->buffer, BUFFER, WEFT_POLL);
}

static int give(stage *s)
{
    unsigned char piece[PIECE];
    for (size_t i = 0; i < PIECE; i++)
        piece[i] = byte_at(s->given + i);
    CHECK(write_at_once(s->fds[1], piece, PIECE) == (ssize_t)PIECE);
    s->given += PIECE;
    return 0;
}

static int give_piece(void *arg, unsigned times)
{
    (void)times;
    return give(arg);
}

/* Nonzero: buffer[0 ... count - 1] is the stream from `position` on, and nothing is behind it. */
static int holds(const unsigned char *buffer, size_t count, size_t position)
{
    for (size_t i = 0; i < count; i++)
        if (buffer[i] != byte_at(position + i))
            return 0;
    for (size_t i = count; i < count + 64; i++)
        if (buffer[i] != MARK)
            return 0;
    return 1;
}

/* How much a call that has failed has written: all read_all() may do. */
static size_t count_unmarked(const unsigned char *buffer)
{
    size_t count = 0;
    while (buffer[count] != MARK)
        count++;
    return count;
}

/* The rest is still there, is got by the next who asks, and goes nowhere else. */
static int check_rest(stage *s, size_t had)
{
    CHECK(had <= s->given && holds(s->buffer, had, 0));
    CHECK_CALL(give(s));
    size_t rest = s->given - had;
    memset(s->drain, MARK, BUFFER);
    CHECK(weft_read_all(s->fds[0], s->drain, rest, weft_in(LIVENESS_NS)) == (ssize_t)rest);
    CHECK(holds(s->drain, rest, had));
    CHECK(holds(s->buffer, had, 0));
    CHECK(weft_read(s->fds[0], s->buffer, 1, WEFT_POLL) == -ETIMEDOUT);
    CHECK(weft_close(s->fds[0]) == 0);
    CHECK(weft_close(s->fds[1]) == 0);
    return 0;
}

static int check_reader(void *arg, int64_t rc)
{
    return check_rest(arg, rc >= 0 ? (size_t)rc : 0);
}

/* It may have read something when it failed. */
static int check_reader_of_all(void *arg, int64_t rc)
{
    stage *s = arg;
    return check_rest(s, rc >= 0 ? (size_t)rc : count_unmarked(s->buffer));
}

/* ---- who writes ------------------------------------------------------------------------------ */

static void number(unsigned char *bytes, size_t count, size_t position)
{
    for (size_t i = 0; i < count; i++)
        bytes[i] = byte_at(position + i);
}

/* Nonzero: a piece of so many bytes, or a part of it, went in. */
static int put_in(stage *s, size_t count)
{
    unsigned char piece[4096];
    number(piece, count, s->filled);
    ssize_t n = write_at_once(s->fds[1], piece, count);
    s->filled += n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* What was sent has arrived, and the receiver has said so: its room is given back. */
static int is_settled(const stage *s)
{
    struct tcp_info info;
    socklen_t length = sizeof info;
    int yes = 1;
    if (s->medium != TCP)
        return 1;
    (void)setsockopt(s->fds[0], IPPROTO_TCP, TCP_QUICKACK, &yes, sizeof yes);
    return getsockopt(s->fds[1], IPPROTO_TCP, TCP_INFO, &info, &length) != 0 ||
           info.tcpi_unacked == 0;
}

/* Not a byte goes in any more. */
static int fill(void *arg)
{
    stage *s = arg;
    int was_settled = 0;
    CHECK_CALL(prepare(s));
    while (put_in(s, 4096) || put_in(s, 1) || !was_settled) {
        CHECK(s->filled < 200 * BUFFER);
        was_settled = is_settled(s);
    }
    number(s->buffer, BUFFER, s->filled);
    return 0;
}

static int64_t write_some(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_write(s->fds[1], s->buffer, BUFFER, deadline_ns);
}

static int64_t write_two_buffers(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    struct iovec two[] = {{s->buffer, 1}, {s->buffer + 1, BUFFER - 1}};
    return weft_writev(s->fds[1], two, 2, deadline_ns);
}

static int64_t write_whole(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_write_all(s->fds[1], s->buffer, BUFFER, deadline_ns);
}

static int64_t send_some(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    return weft_send(s->fds[1], s->buffer, BUFFER, 0, deadline_ns);
}

static int64_t send_message(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    struct iovec one = {s->buffer, BUFFER};
    struct msghdr message = {.msg_iov = &one, .msg_iovlen = 1};
    return weft_sendmsg(s->fds[1], &message, 0, deadline_ns);
}

static int64_t poll_to_write(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int events = weft_poll(s->fds[1], POLLOUT, deadline_ns);
    return events < 0 ? events : write_at_once(s->fds[1], s->buffer, 1);
}

static void judge(stage *s, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        s->is_wrong |= s->is_over;
        s->is_over = s->drain[i] == LAST;
        s->is_wrong |= !s->is_over && s->drain[i] != byte_at(s->drained);
        s->drained += !s->is_over;
    }
}

/* Nonzero: something came out. */
static int drain_once(stage *s, int timeout_ms)
{
    if (!is_readable(s->fds[0], timeout_ms))
        return 0;
    ssize_t n = read(s->fds[0], s->drain, BUFFER);
    judge(s, n > 0 ? (size_t)n : 0);
    return n > 0;
}

/* All that was in it, or what has come since, so that the kernel lets the writer know. */
static int drain_some(void *arg, unsigned times)
{
    stage *s = arg;
    size_t enough = s->drained + BUFFER;
    (void)times;
    while (s->drained < s->filled)
        CHECK(drain_once(s, (int)(LIVENESS_NS / WEFT_MSEC)));
    while (s->drained < enough && drain_once(s, 0))
        continue;
    return 0;
}

/* What comes out is what was in it, then what the call has written, then one more. Returns a line,
 * or 0, and how much the call has written. */
static int check_stream(stage *s, size_t *written)
{
    unsigned char last = LAST;
    memset(s->buffer, MARK, BUFFER); /* it is ours again */
    CHECK_CALL(drain_some(s, 0));
    CHECK(weft_write(s->fds[1], &last, 1, weft_in(LIVENESS_NS)) == 1);
    CHECK(weft_close(s->fds[1]) == 0);
    while (drain_once(s, (int)(LIVENESS_NS / WEFT_MSEC)))
        continue;
    CHECK(s->is_over && !s->is_wrong && s->drained >= s->filled);
    *written = s->drained - s->filled;
    return weft_close(s->fds[0]);
}

static int check_writer(void *arg, int64_t rc)
{
    size_t written = 0;
    CHECK_CALL(check_stream(arg, &written));
    CHECK(written == (rc > 0 ? (size_t)rc : 0));
    return 0;
}

/* It may have written something when it failed. */
static int check_writer_of_all(void *arg, int64_t rc)
{
    size_t written = 0;
    CHECK_CALL(check_stream(arg, &written));
    CHECK(rc < 0 ? written < BUFFER : (size_t)rc == BUFFER && written == BUFFER);
    return 0;
}

/* ---- listening and connecting ---------------------------------------------------------------- */

static int connect_to(stage *s)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    CHECK(getsockname(s->listener, (struct sockaddr *)&address, &length) == 0);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    s->takes[s->taken++] = fd;
    return connect(fd, (struct sockaddr *)&address, length) == 0 || errno == EINPROGRESS ? 0
                                                                                         : __LINE__;
}

static void close_all(stage *s)
{
    for (unsigned i = 0; i < s->taken; i++)
        (void)close(s->takes[i]);
    if (s->accepted >= 0)
        (void)weft_close(s->accepted);
    (void)weft_close(s->listener);
}

static int listen_unix(stage *s, int backlog)
{
    char path[64];
    (void)snprintf(path, sizeof path, "@weft-cut-off-%d", (int)getpid());
    s->listener = weft_unix_listen(path, backlog);
    CHECK(s->listener >= 0);
    return 0;
}

static int prepare_listener(void *arg)
{
    stage *s = arg;
    reset(s);
    if (s->medium == TCP) {
        s->listener = weft_tcp_listen("127.0.0.1", 0, 8);
        CHECK(s->listener >= 0);
    } else {
        CHECK_CALL(listen_unix(s, 8));
    }
    return s->is_foreign ? estrange(&s->listener) : 0;
}

static int64_t accept_one(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int fd = weft_accept(s->listener, deadline_ns);
    if (fd >= 0)
        s->accepted = fd;
    return fd;
}

static int help_accept(void *arg, unsigned times)
{
    (void)times;
    return connect_to(arg);
}

/* A connection that was not taken waits for the next who asks. */
static int check_accept(void *arg, int64_t rc)
{
    stage *s = arg;
    if (rc >= 0)
        CHECK(s->taken == 1);
    if (rc < 0 && s->taken == 0)
        CHECK_CALL(connect_to(s));
    if (rc < 0)
        CHECK(accept_one(s, weft_in(LIVENESS_NS)) >= 0);
    CHECK(weft_accept(s->listener, WEFT_POLL) == -ETIMEDOUT);
    close_all(s);
    return 0;
}

/* A Unix socket whose backlog is full: whoever connects has to ask again and again. */
static int prepare_full_backlog(void *arg)
{
    stage *s = arg;
    reset(s);
    CHECK_CALL(listen_unix(s, 1));
    while (connect_to(s) == 0)
        CHECK(s->taken < 100);
    return errno == EAGAIN ? 0 : __LINE__;
}

static int64_t connect_unix(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    char path[64];
    (void)snprintf(path, sizeof path, "@weft-cut-off-%d", (int)getpid());
    int fd = weft_unix_connect(path, deadline_ns);
    if (fd >= 0)
        s->takes[s->taken++] = fd;
    return fd < 0 ? fd : 0;
}

static int take_from_backlog(void *arg, unsigned times)
{
    stage *s = arg;
    (void)times;
    if (s->accepted >= 0)
        return 0; /* it sleeps before it asks again */
    s->accepted = weft_accept(s->listener, WEFT_POLL);
    return s->accepted >= 0 ? 0 : __LINE__;
}

static int check_connect(void *arg, int64_t rc)
{
    stage *s = arg;
    CHECK(rc < 0 || s->accepted >= 0);
    close_all(s);
    return 0;
}

/* A TCP socket whose backlog is full: the kernel lets whoever connects wait. */
static int prepare_full_tcp(void *arg)
{
    stage *s = arg;
    reset(s);
    s->listener = weft_tcp_listen("127.0.0.1", 0, 1);
    CHECK(s->listener >= 0);
    struct pollfd last = {.events = POLLOUT};
    do {
        CHECK(s->taken < 100);
        CHECK_CALL(connect_to(s));
        last.fd = s->takes[s->taken - 1];
    } while (poll(&last, 1, 20) == 1); /* it is not tried again within the next second */
    return 0;
}

static int64_t connect_tcp(void *arg, int64_t deadline_ns)
{
    stage *s = arg;
    int fd = weft_tcp_connect("127.0.0.1", (unsigned)weft_port(s->listener), deadline_ns);
    if (fd >= 0)
        s->takes[s->taken++] = fd;
    return fd < 0 ? fd : 0;
}

static int no_help(void *arg, unsigned times)
{
    (void)arg;
    (void)times;
    return __LINE__;
}

static const act reading_acts[] = {
    {"read", prepare, read_some, give_piece, check_reader, .waits = 1},
    {"readv", prepare, read_two_buffers, give_piece, check_reader, .waits = 1},
    {"poll and read", prepare, poll_to_read, give_piece, check_reader, .waits = 1},
    {"read_all", prepare, read_three_pieces, give_piece, check_reader_of_all, .waits = 3},
};

static const act writing_acts[] = {
    {"write", fill, write_some, drain_some, check_writer, .waits = 1},
    {"write_all", fill, write_whole, drain_some, check_writer_of_all, .waits = 2},
};

static const act more_writing_acts[] = {
    {"writev", fill, write_two_buffers, drain_some, check_writer, .waits = 1},
    {"poll and write", fill, poll_to_write, drain_some, check_writer, .waits = 1},
};

static const act receiving_acts[] = {
    {"recv", prepare, receive, give_piece, check_reader, .waits = 1},
    {"recv, looking ahead", prepare, peek, give_piece, check_reader, .waits = 1},
    {"recvmsg", prepare, receive_message, give_piece, check_reader, .waits = 1},
    {"accept", prepare_listener, accept_one, help_accept, check_accept, .waits = 1},
};

static const act sending_acts[] = {
    {"send", fill, send_some, drain_some, check_writer, .waits = 1},
    {"sendmsg", fill, send_message, drain_some, check_writer, .waits = 1},
};

static const act connecting_acts[] = {
    {"connect", prepare_full_backlog, connect_unix, take_from_backlog, check_connect, .waits = 1},
    {"connect, TCP", prepare_full_tcp, connect_tcp, no_help, check_connect, .traits = ENDLESS},
};

#define CUT(acts, races) CHECK_CALL(cut_all(acts, sizeof acts / sizeof acts[0], s, races))
#define RACES LESS_IF_SANITIZED(10, 3)

static int check_socket(stage *s)
{
    CUT(receiving_acts, RACES);
    if (s->medium != TCP)
        CUT(sending_acts, RACES);
    return 0;
}

/* TCP takes its time until it is full: writing to one of its kinds is enough. */
static int check_pair(stage *s)
{
    CUT(reading_acts, RACES);
    if (s->medium != TCP || !s->is_foreign)
        CUT(writing_acts, s->medium == TCP ? 1 : RACES);
    if (s->medium != TCP)
        CUT(more_writing_acts, RACES);
    return s->medium != PIPE ? check_socket(s) : 0;
}

static int check_connecting(stage *s)
{
    CUT(connecting_acts, RACES);
    return 0;
}

static int check_pairs(void *arg)
{
    stage s = {.buffer = malloc(BUFFER + 64), .drain = malloc(BUFFER + 64)};
    int line = s.buffer == NULL || s.drain == NULL ? __LINE__ : 0;
    (void)arg;
    for (int each = 0; each < 2 * MEDIA && line == 0; each++) {
        s.medium = (medium)(each / 2);
        s.is_foreign = each % 2;
        line = check_pair(&s);
    }
    if (line == 0)
        line = check_connecting(&s);
    free(s.buffer);
    free(s.drain);
    return line;
}

static size_t count_files(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    (void)closedir(folder);
    return count;
}

static void test_everywhere(void **state)
{
    (void)state;
    size_t before = count_files();
    on_count(1, check_pairs, NULL);
    on_count(3, check_pairs, NULL);
    assert_int_equal(count_files(), before);
}

/* ---- what need not wait, or cannot be cut off ----------------------------------------------- */

static int use_file(int fd)
{
    char text[8];
    CHECK(weft_write(fd, "1234567", 7, WEFT_FOREVER) == 7);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    CHECK(weft_read(fd, text, 8, WEFT_FOREVER) == 7 && memcmp(text, "1234567", 7) == 0);
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    return 0;
}

static int resolve_all(void)
{
    struct sockaddr_storage addresses[4];
    CHECK(weft_resolve("127.0.0.1", 80, addresses, 4) == 1);
    CHECK(weft_resolve("localhost", 80, addresses, 4) >= 1);
    int fd = weft_udp_bind("127.0.0.1", 0);
    CHECK(fd >= 0 && weft_close(fd) == 0);
    fd = weft_tcp_listen("localhost", 0, 1);
    CHECK(fd >= 0 && weft_close(fd) == 0);
    return 0;
}

static int go_on_all(int fd)
{
    int fds[2];
    char byte;
    CHECK_CALL(use_file(fd));
    CHECK_CALL(resolve_all());
    CHECK(weft_fd_pipe(fds) == 0);
    CHECK(weft_write(fds[1], "x", 1, WEFT_FOREVER) == 1);
    CHECK(weft_poll(fds[0], POLLIN, WEFT_FOREVER) == POLLIN);
    CHECK(weft_read(fds[0], &byte, 1, WEFT_FOREVER) == 1);
    CHECK(weft_close(fds[0]) == 0 && weft_close(fds[1]) == 0);
    return 0;
}

/* In a scope that is cancelled, and in one that is late: what need not wait, files that are always
 * ready, and names, which are looked up in a thread. */
static int check_going_on(void *arg)
{
    int fd = *(int *)arg;
    int line = 0;
    weft_scope(group)
    {
        weft_cancel_scope(&group);
        line = go_on_all(fd);
    }
    CHECK_CALL(line);
    weft_deadline(weft_in(0)) line = go_on_all(fd);
    return line;
}

static void test_what_goes_on(void **state)
{
    char path[] = "/tmp/weft-cut-off-XXXXXX";
    int fd = mkstemp(path);
    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    on_every_count(check_going_on, &fd);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everywhere),
        cmocka_unit_test(test_what_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
