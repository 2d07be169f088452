/* SPDX-License-Identifier: BSD-2-Clause */
/* echo.c — a TCP server that sends back what it gets, one fiber for each connection.
 *
 *     echo              serves on 127.0.0.1:7000 until it is killed
 *     echo PORT         the same on another port
 *     echo --self-test  serves itself some clients, checks what comes back, and ends
 * ctest: ARGS --self-test */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/runtime.h>

enum { CLIENTS = 100, ROUNDS = 20 };

WEFT_FIBER(serve, int, fd)
{
    char buffer[4096];
    ssize_t n;
    while ((n = weft_read(fd, buffer, sizeof buffer, weft_in(30 * WEFT_SEC))) > 0)
        if (weft_write_all(fd, buffer, (size_t)n, weft_in(5 * WEFT_SEC)) < 0)
            break;
    weft_close(fd);
}

/* Until the listener is closed, or the scope around is cancelled. */
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

static int serve_port(unsigned port)
{
    int listener = weft_tcp_listen("127.0.0.1", port, 128);
    if (listener < 0) {
        fprintf(stderr, "echo: port %u: %s\n", port, weft_strerror(listener));
        return 1;
    }
    printf("echo: serving 127.0.0.1:%u\n", port);
    fflush(stdout);
    listen_on(listener);
    return weft_close(listener);
}

/* ---- clients -------------------------------------------------------------------------------- */

WEFT_FIBER(ask, unsigned, port, int, number, int *, answers)
{
    char said[64];
    char heard[64];
    int fd = weft_tcp_connect("127.0.0.1", port, weft_in(5 * WEFT_SEC));
    for (int round = 0; fd >= 0 && round < ROUNDS; round++) {
        int length = snprintf(said, sizeof said, "client %d, round %d", number, round);
        weft_write_all(fd, said, (size_t)length, weft_in(5 * WEFT_SEC));
        ssize_t n = weft_read_all(fd, heard, (size_t)length, weft_in(5 * WEFT_SEC));
        if (n == length && memcmp(said, heard, (size_t)n) == 0)
            __atomic_fetch_add(answers, 1, __ATOMIC_RELAXED);
    }
    if (fd >= 0)
        weft_close(fd);
}

static int self_test(void)
{
    int answers = 0;
    int listener = weft_tcp_listen("127.0.0.1", 0, 128);
    int port = weft_port(listener);
    if (port < 0)
        return 1;
    weft_scope(server)
    {
        weft_go(&server, listen_on, listener);
        weft_scope(clients)
        {
            for (int i = 0; i < CLIENTS; i++)
                weft_go(&clients, ask, (unsigned)port, i, &answers);
        }
        weft_cancel_scope(&server);
    }
    weft_close(listener);
    printf("echo: %d clients, %d answers as expected\n", CLIENTS, answers);
    return answers != CLIENTS * ROUNDS;
}

static int app(void *arg)
{
    const char *port = arg;
    if (port != NULL && strcmp(port, "--self-test") == 0)
        return self_test();
    return serve_port(port != NULL ? (unsigned)strtoul(port, NULL, 10) : 7000);
}

int main(int argc, char **argv)
{
    return weft_run(app, argc > 1 ? argv[1] : NULL, NULL);
}
