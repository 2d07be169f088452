/* SPDX-License-Identifier: BSD-2-Clause */
/* uv.c — an echo server on libuv: it reads into one buffer and tries to write at once, as libuv
 * advises. */
#include "echo.h"

#include <uv.h>

static char buffer[ECHO_BUFFER_BYTES];

static void lend_buffer(uv_handle_t *handle, size_t wanted, uv_buf_t *lent)
{
    (void)handle;
    (void)wanted;
    *lent = uv_buf_init(buffer, sizeof buffer);
}

static void let_go(uv_handle_t *handle)
{
    free(handle);
}

static void echo(uv_stream_t *client, ssize_t got, const uv_buf_t *lent)
{
    uv_buf_t reply = uv_buf_init(lent->base, (unsigned)(got > 0 ? got : 0));
    if (got < 0 || (got > 0 && uv_try_write(client, &reply, 1) != got))
        uv_close((uv_handle_t *)client, let_go);
}

static void welcome(uv_stream_t *listener, int status)
{
    uv_tcp_t *client = (uv_tcp_t *)duel_alloc(sizeof *client);
    duel_need(status == 0, "listening");
    uv_tcp_init(listener->loop, client);
    duel_need(uv_accept(listener, (uv_stream_t *)client) == 0, "uv_accept");
    uv_tcp_nodelay(client, 1);
    uv_read_start((uv_stream_t *)client, lend_buffer, echo);
}

int main(int argc, char **argv)
{
    uv_tcp_t listener;
    char version[64];
    snprintf(version, sizeof version, "libuv %s", uv_version_string());
    if (echo_listed(argc, argv, version))
        return 0;
    uv_tcp_init(uv_default_loop(), &listener);
    uv_tcp_open(&listener, echo_listen(SOCK_NONBLOCK));
    duel_need(uv_listen((uv_stream_t *)&listener, ECHO_BACKLOG, welcome) == 0, "uv_listen");
    return uv_run(uv_default_loop(), UV_RUN_DEFAULT);
}
