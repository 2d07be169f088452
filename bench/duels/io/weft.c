/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.c — an echo server on weft: a fiber for each connection, one worker.
 *
 * The first argument names the reactor: --epoll or --uring. The buffer lies on the fiber's stack
 * and is small, so that an idle connection keeps to the page it has anyway. */
#include "echo.h"

#include <weft/fiber.h>
#include <weft/info.h>
#include <weft/io.h>
#include <weft/runtime.h>

#define BUFFER_BYTES 1024

WEFT_FIBER(serve, int, fd)
{
    char buffer[BUFFER_BYTES];
    ssize_t got;
    echo_no_delay(fd);
    while ((got = weft_read(fd, buffer, sizeof buffer, WEFT_FOREVER)) > 0)
        if (weft_write_all(fd, buffer, (size_t)got, WEFT_FOREVER) < 0)
            break;
    weft_close(fd);
}

static int serve_all(void *unused)
{
    (void)unused;
    int listener = weft_tcp_listen("127.0.0.1", 0, ECHO_BACKLOG);
    duel_need(listener >= 0, "weft_tcp_listen");
    echo_say_port(weft_port(listener));
    weft_scope(clients)
    {
        int fd;
        while ((fd = weft_accept(listener, WEFT_FOREVER)) >= 0)
            duel_need(weft_go(&clients, serve, fd) == 0, "weft_go");
    }
    return 2;
}

/* True if weft will wait with what the option names. */
static int choose_reactor(const char *option)
{
    static weft_info info;
    int is_uring = strcmp(option, "--uring") == 0;
    if (!is_uring && strcmp(option, "--epoll") != 0)
        return 0;
    setenv("WEFT_IO", option + 2, 1);
    return weft_system_info(&info) == 0 && info.uses_io_uring == is_uring;
}

int main(int argc, char **argv)
{
    const weft_config config = {.workers = 1};
    if (argc < 2 || !choose_reactor(argv[1]))
        duel_fail(2, "usage: %s --epoll | --uring [--list]", argv[0]);
    if (echo_listed(argc - 1, argv + 1, weft_version()))
        return 0;
    return weft_run(serve_all, NULL, &config);
}
