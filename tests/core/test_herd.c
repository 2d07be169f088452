/* SPDX-License-Identifier: BSD-2-Clause */
/* test_herd.c — many fibers wait for one file: a byte, or a connection, wakes one of them, never
 * the herd.
 *
 * What is counted is how often a fiber has parked: whoever is woken in vain parks once more. An
 * event costs two wake-ups: that of whoever succeeds, and that of the next, which he wakes in case
 * there is more. A file of somebody else's is armed for each wait, and tells of the same byte in
 * every poll until somebody has read it, which one worker or the other does next. */
#include "tcp_pair.h"

#include <weft/atomic.h>

#include "sched/worker.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#define WORKERS 4
#define HERD 64
#define EVENTS LESS_IF_SANITIZED(200, 50)

/* One way to wait, and to end it. */
typedef struct flock {
    int fd; /* the herd waits for it */
    int is_adopted;
    int (*take)(int fd);            /* 0, or a negative errno: the end */
    int (*cause)(struct flock *of); /* one event; 0, or the line that failed. Not in a fiber */
    int other;                      /* where events come from */
    int taken;
} flock;

WEFT_FIBER(graze, flock *, of)
{
    while (of->take(of->fd) == 0)
        weft__fetch_add_acq_rel(&of->taken, 1);
}

/* All of them are waiting, each on one side. */
static void await_herd(weft_runtime *runtime)
{
    const weft__reactor *reactor;
    while ((reactor = weft__load_acquire(&runtime->reactor)) == NULL ||
           weft__load_acquire(&reactor->waits) != HERD)
        (void)usleep(50);
}

static uint64_t count_parks(const weft_runtime *runtime)
{
    weft_stats stats;
    weft_runtime_stats(runtime, &stats);
    return stats.parks;
}

static int cause_events(weft_runtime *runtime, flock *of, uint64_t *parks)
{
    await_herd(runtime);
    uint64_t before = count_parks(runtime);
    for (int i = 0; i < EVENTS; i++) {
        CHECK_CALL(of->cause(of));
        while (weft__load_acquire(&of->taken) != i + 1)
            (void)usleep(50);
        await_herd(runtime);
    }
    *parks = count_parks(runtime) - before;
    return 0;
}

static int check_herd(flock *of)
{
    weft_runtime *runtime = weft__worker_self()->runtime;
    uint64_t parks = 0;
    int line = 0;
    weft_scope(herd)
    {
        for (int i = 0; i < HERD; i++)
            CHECK(weft_go(&herd, graze, of) == 0);
        weft_blocking line = cause_events(runtime, of, &parks);
        weft_cancel_scope(&herd);
    }
    CHECK_CALL(line);
    CHECK(parks >= EVENTS);
    CHECK(parks <= (of->is_adopted ? 2 : 2 + WORKERS) * (uint64_t)EVENTS + HERD);
    return 0;
}

/* ---- readers --------------------------------------------------------------------------------- */

static int take_byte(int fd)
{
    char byte;
    ssize_t n = weft_read(fd, &byte, 1, WEFT_FOREVER);
    return n == 1 ? 0 : n < 0 ? (int)n : -EPIPE;
}

static int write_byte(flock *of)
{
    CHECK(write(of->other, "x", 1) == 1);
    return 0;
}

static int check_readers(int fds[2], int is_adopted)
{
    flock readers = {fds[0], is_adopted, take_byte, write_byte, fds[1], 0};
    CHECK_CALL(check_herd(&readers));
    CHECK((weft_close(fds[0]) | weft_close(fds[1])) == 0);
    return 0;
}

static int check_pipe(void *arg)
{
    int fds[2];
    (void)arg;
    CHECK(weft_fd_pipe(fds) == 0);
    return check_readers(fds, 1);
}

static int check_foreign_pipe(void *arg)
{
    int fds[2];
    (void)arg;
    CHECK(pipe(fds) == 0);
    return check_readers(fds, 0);
}

static int check_tcp(void *arg)
{
    int fds[2];
    (void)arg;
    CHECK_CALL(make_tcp_pair(fds));
    return check_readers(fds, 1);
}

/* ---- servers --------------------------------------------------------------------------------- */

static int take_connection(int fd)
{
    int taken = weft_accept(fd, WEFT_FOREVER);
    return taken < 0 ? taken : weft_close(taken);
}

static int make_connection(flock *of)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)weft_port(of->fd)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(close(fd) == 0);
    return 0;
}

static int check_servers(void *arg)
{
    (void)arg;
    flock servers = {.is_adopted = 1, .take = take_connection, .cause = make_connection};
    servers.fd = weft_tcp_listen("127.0.0.1", 0, HERD);
    CHECK(servers.fd >= 0);
    CHECK_CALL(check_herd(&servers));
    return weft_close(servers.fd);
}

static void test_one_byte_wakes_no_herd_of_readers(void **state)
{
    (void)state;
    on_count(WORKERS, check_pipe, NULL);
    on_count(WORKERS, check_tcp, NULL);
    on_count(WORKERS, check_foreign_pipe, NULL);
}

static void test_one_connection_wakes_no_herd_of_servers(void **state)
{
    (void)state;
    on_count(WORKERS, check_servers, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_byte_wakes_no_herd_of_readers),
        cmocka_unit_test(test_one_connection_wakes_no_herd_of_servers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
