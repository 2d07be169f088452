/* SPDX-License-Identifier: BSD-2-Clause */
/* test_io_rough.c — servers on a bad day: clients that are cut off at any moment, readers that are
 * slow or stand still, no descriptors left. Nothing may be lost, hang or be left behind.
 * ctest: TIMEOUT 120 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tcp_pair.h"

#include <weft/atomic.h>
#include <weft/fiber.h>
#include <weft/io.h>

#define SOON weft_in(LIVENESS_NS)

static size_t count_descriptors(void)
{
    size_t count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        (void)closedir(folder);
    return count;
}

/* ---- clients that are killed ----------------------------------------------------------------- */

/* On each of three runtimes: ten thousand together. */
#define CONNECTIONS LESS_IF_SANITIZED(3350, 300)
#define AT_ONCE 50

typedef struct traffic {
    int listener;
    unsigned port;
    int accepted;
    int ended;   /* of those accepted */
    int clients; /* that came to their end */
    int whole;   /* of them, with all their answers */
} traffic;

typedef struct connection {
    int fd;
    weft_scope *scope;
} connection;

WEFT_FIBER(echo, traffic *, all, int, fd)
{
    char buffer[64];
    ssize_t n;
    while ((n = weft_read(fd, buffer, sizeof buffer, WEFT_FOREVER)) > 0)
        if (weft_write_all(fd, buffer, (size_t)n, WEFT_FOREVER) < 0)
            break;
    (void)weft_close(fd);
    weft__fetch_add_relaxed(&all->ended, 1);
}

WEFT_FIBER(serve, traffic *, all)
{
    weft_scope(clients)
    {
        int fd;
        while ((fd = weft_accept(all->listener, WEFT_FOREVER)) >= 0) {
            weft__fetch_add_relaxed(&all->accepted, 1);
            if (weft_go(&clients, echo, all, fd) != 0)
                (void)weft_close(fd);
        }
    }
}

/* Ends the client's connection from outside, sooner or later: cancels what it does, says farewell
 * for it, or resets both ends. Only the client closes, so that nobody else has the number yet. */
WEFT_FIBER(killer, connection *, victim, int, way, int64_t, after_ns)
{
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (weft_sleep(weft_in(after_ns)) != 0)
        return;
    if (way == 0)
        weft_cancel_scope(victim->scope);
    else if (way == 1)
        (void)shutdown(victim->fd, SHUT_RDWR);
    else
        /* past ThreadSanitizer, which takes it for the making of a descriptor */
        (void)syscall(SYS_connect, victim->fd, &nobody, sizeof nobody);
}

/* Questions and answers, until one fails: how many went well. */
static int ask(int fd, int count)
{
    char question[16] = "is anybody here";
    char answer[16];
    int i = 0;
    while (i < count && weft_write_all(fd, question, 16, SOON) == 16 &&
           weft_read_all(fd, answer, 16, SOON) == 16 && memcmp(question, answer, 16) == 0)
        i++;
    return i;
}

#define QUESTIONS 8
#define LATEST_NS (4 * WEFT_MSEC)

static int converse(traffic *all, uint64_t random)
{
    int asked = 0;
    int fd = weft_tcp_connect("127.0.0.1", all->port, SOON);
    if (fd < 0)
        return fd;
    connection self = {.fd = fd};
    weft_scope(talk)
    {
        self.scope = &talk;
        if (random % 4 != 3) /* the others are left in peace */
            (void)weft_go(&talk, killer, &self, (int)(random % 4),
                          (int64_t)(random >> 8) % LATEST_NS);
        asked = ask(fd, QUESTIONS);
        weft_cancel_scope(&talk);
    }
    (void)(random / 4 % 2 == 0 ? cut(fd) : weft_close(fd));
    return asked;
}

WEFT_FIBER(client, traffic *, all, uint64_t, random)
{
    int asked = converse(all, random);
    if (asked == QUESTIONS)
        weft__fetch_add_relaxed(&all->whole, 1);
    else if (random % 4 == 3 || asked < 0) /* nobody has touched this one */
        return;
    weft__fetch_add_relaxed(&all->clients, 1);
}

static int check_killed_clients(void *arg)
{
    (void)arg;
    uint64_t random = 20;
    traffic all = {.listener = weft_tcp_listen("127.0.0.1", 0, AT_ONCE)};
    CHECK(all.listener >= 0);
    all.port = (unsigned)weft_port(all.listener);
    size_t descriptors = count_descriptors();
    weft_scope(server)
    {
        CHECK(weft_go(&server, serve, &all) == 0);
        CHECK(weft_go(&server, serve, &all) == 0);
        for (int begun = 0; begun < CONNECTIONS; begun += AT_ONCE)
            weft_scope(crowd)
            {
                for (int i = 0; i < AT_ONCE; i++)
                    CHECK(weft_go(&crowd, client, &all, next_random(&random)) == 0);
            }
        int64_t late = SOON;
        while (weft__load_relaxed(&all.ended) != weft__load_relaxed(&all.accepted) ||
               count_descriptors() != descriptors) { /* some may only now be accepted */
            CHECK(weft_now() < late);
            CHECK(weft_sleep(weft_in(WEFT_MSEC)) == 0);
        }
        CHECK(converse(&all, 3) == QUESTIONS); /* the server is at work */
        weft_cancel_scope(&server);
    }
    CHECK(all.clients == (CONNECTIONS + AT_ONCE - 1) / AT_ONCE * AT_ONCE);
    CHECK(all.whole >= all.clients / 8);
    CHECK(weft_close(all.listener) == 0);
    return 0;
}

static void test_clients_killed_at_any_moment(void **state)
{
    (void)state;
    on_workers(check_killed_clients, NULL);
}

/* ---- readers that are slow, or stand still --------------------------------------------------- */

#define STREAM_BYTES (LESS_IF_SANITIZED(16, 4) << 20)

/* What stands at a place of the stream. */
static char byte_at(size_t at)
{
    return (char)(at * 2654435761U >> 16);
}

WEFT_FIBER(read_slowly, int, fd, size_t *, right)
{
    char buffer[16384];
    ssize_t n;
    uint64_t random = 7;
    while ((n = weft_read(fd, buffer, 1 + next_random(&random) % sizeof buffer, SOON)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            *right += buffer[i] == byte_at(*right);
        if (next_random(&random) % 16 == 0)
            (void)weft_sleep(weft_in(100 * WEFT_USEC));
    }
}

WEFT_FIBER(count_turns, int *, turns, const int *, is_over)
{
    while (!weft__load_relaxed(is_over)) {
        weft__fetch_add_relaxed(turns, 1);
        (void)weft_sleep(weft_in(WEFT_MSEC));
    }
}

static int check_slow_reader(void *arg)
{
    (void)arg;
    int fds[2];
    size_t right = 0;
    int turns = 0;
    int is_over = 0;
    char *stream = malloc((size_t)STREAM_BYTES);
    CHECK(stream != NULL);
    for (size_t i = 0; i < (size_t)STREAM_BYTES; i++)
        stream[i] = byte_at(i);
    CHECK(make_tcp_pair(fds) == 0);
    weft_scope(group)
    {
        CHECK(weft_go(&group, count_turns, &turns, &is_over) == 0);
        CHECK(weft_go(&group, read_slowly, fds[0], &right) == 0);
        CHECK(weft_write_all(fds[1], stream, (size_t)STREAM_BYTES, SOON) == STREAM_BYTES);
        CHECK(weft_close(fds[1]) == 0);
        weft__store_relaxed(&is_over, 1);
    }
    CHECK(right == (size_t)STREAM_BYTES);
    CHECK(turns > 0); /* whoever writes holds no worker */
    free(stream);
    return weft_close(fds[0]);
}

static void test_a_slow_reader_gets_everything(void **state)
{
    (void)state;
    on_workers(check_slow_reader, NULL);
}

/* Nobody reads: the writer's deadline ends it, and so does the reader's death. */
static int check_reader_stands_still(void *arg)
{
    (void)arg;
    static const char zeros[1 << 20];
    int fds[2];
    ssize_t n;
    CHECK(make_tcp_pair(fds) == 0);
    while ((n = weft_write(fds[1], zeros, sizeof zeros, weft_in(2 * WEFT_MSEC))) > 0)
        continue;
    CHECK(n == -ETIMEDOUT);
    CHECK(cut(fds[0]) == 0);
    n = weft_write(fds[1], zeros, sizeof zeros, SOON);
    CHECK(n == -ECONNRESET || n == -EPIPE);
    CHECK(weft_write(fds[1], zeros, sizeof zeros, SOON) == -EPIPE);
    return weft_close(fds[1]);
}

static void test_a_reader_that_stands_still(void **state)
{
    (void)state;
    on_workers(check_reader_stands_still, NULL);
}

/* ---- no descriptors left --------------------------------------------------------------------- */

/* Take all that are left, by copies of `fd`: how many. */
static int take_all(int fd, int taken[], int most)
{
    int count = 0;
    while (count < most && (taken[count] = fcntl(fd, F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    return count;
}

#define SPARE 32

/* Each call says so, and goes on when there are some again; whoever knocked meanwhile is served. */
static int check_exhaustion(void *arg)
{
    (void)arg;
    int fds[2];
    int taken[2 * SPARE];
    struct rlimit before;
    int listener = weft_tcp_listen("127.0.0.1", 0, 4);
    CHECK(listener >= 0);
    unsigned port = (unsigned)weft_port(listener);
    CHECK(make_tcp_pair(fds) == 0); /* what is made once has been made */
    CHECK(weft_close(fds[0]) == 0);
    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    struct rlimit few = {.rlim_cur = count_descriptors() + SPARE, .rlim_max = before.rlim_max};
    CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
    int count = take_all(fds[1], taken, 2 * SPARE);
    CHECK(count > 2 && count < 2 * SPARE);
    CHECK(weft_tcp_connect("127.0.0.1", port, SOON) == -EMFILE);
    CHECK(weft_tcp_listen("127.0.0.1", 0, 1) == -EMFILE);
    CHECK(weft_fd_pipe(fds) == -EMFILE);
    CHECK(close(taken[--count]) == 0);
    int client = weft_tcp_connect("127.0.0.1", port, SOON);
    CHECK(client >= 0);
    CHECK(weft_accept(listener, SOON) == -EMFILE);
    CHECK(weft_accept(listener, SOON) == -EMFILE); /* it knocks on */
    CHECK(close(taken[--count]) == 0);
    int server = weft_accept(listener, SOON);
    CHECK(server >= 0);
    CHECK(weft_write_all(client, "served", 6, SOON) == 6);
    char answer[6];
    CHECK(weft_read_all(server, answer, 6, SOON) == 6 && memcmp(answer, "served", 6) == 0);
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    while (count > 0)
        CHECK(close(taken[--count]) == 0);
    CHECK(weft_close(client) == 0 && weft_close(server) == 0 && weft_close(fds[1]) == 0);
    return weft_close(listener);
}

static void test_without_descriptors(void **state)
{
    (void)state;
    on_workers(check_exhaustion, NULL);
}

/* ---- one gives up, another comes ------------------------------------------------------------- */

#define HAND_OVERS LESS_IF_SANITIZED(3000, 300)

WEFT_FIBER(read_from, int, fd, int64_t, at_ns)
{
    char byte;
    (void)weft_sleep(at_ns);
    assert_int_equal(weft_read(fd, &byte, 1, SOON), 1);
}

/* On a file of somebody else's, at about the same time. The byte that the other waits for comes
 * when the first has returned, which must not take it for its own wait. */
static int hand_over(void *arg)
{
    const int *ends = arg;
    for (int i = 0; i < HAND_OVERS; i++) {
        int64_t at_ns = weft_in(100 * WEFT_USEC);
        weft_scope(group)
        {
            char byte;
            assert_int_equal(
                weft_go(&group, read_from, ends[0], at_ns + i % 40 * WEFT_USEC - 10 * WEFT_USEC),
                0);
            assert_int_equal(weft_read(ends[0], &byte, 1, at_ns), -ETIMEDOUT);
            assert_int_equal(write(ends[1], "x", 1), 1);
        }
    }
    return 0;
}

static void test_one_gives_up_another_comes(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(weft_run(hand_over, ends, &(weft_config){.workers = 3}), 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clients_killed_at_any_moment),
        cmocka_unit_test(test_a_slow_reader_gets_everything),
        cmocka_unit_test(test_a_reader_that_stands_still),
        cmocka_unit_test(test_without_descriptors),
        cmocka_unit_test(test_one_gives_up_another_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
