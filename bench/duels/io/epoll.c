/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll.c — an echo server as plain as it gets: epoll, recv, send. */
#include "echo.h"

#include <errno.h>
#include <sys/epoll.h>

#define EVENTS_MAX 256

static void watch(int poll, int fd)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = fd;
    duel_need(epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void accept_all(int poll, int listener)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        echo_no_delay(fd);
        watch(poll, fd);
    }
}

/* Blocking while the other side does not read is fair: it does. */
static void echo(int fd)
{
    char buffer[ECHO_BUFFER_BYTES];
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0 || send(fd, buffer, (size_t)got, MSG_NOSIGNAL) != got)
        close(fd);
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS_MAX];
    if (echo_listed(argc, argv, "the kernel's epoll"))
        return 0;
    int poll = epoll_create1(0);
    int listener = echo_listen(SOCK_NONBLOCK);
    watch(poll, listener);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == listener)
                accept_all(poll, listener);
            else
                echo(events[i].data.fd);
        }
    }
}
