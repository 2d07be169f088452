/* SPDX-License-Identifier: BSD-2-Clause */
/* chat.c — a chat room for people with `nc`: two fibers for each guest, one that listens to what he
 * says, one that tells him what others say. A channel between them holds what he has yet to hear.
 *
 *     chat              serves on 127.0.0.1:7001 until SIGINT or SIGTERM
 *     chat PORT         the same on another port
 *     chat --self-test  lets some guests talk, one of them deaf, and ends
 *
 * Whoever talks waits while a guest has a full channel; who has not made room after a second is
 * shown the door, so a deaf guest holds up the others once.
 * ctest: ARGS --self-test */
#define _DEFAULT_SOURCE /* signals */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>

#include <weft/channel.h>
#include <weft/fiber.h>
#include <weft/io.h>
#include <weft/runtime.h>
#include <weft/sync.h>

enum {
    NAME_BYTES = 24,
    SAID_BYTES = 224,
    LINE_BYTES = 256,
    UNHEARD_LINES = 64,
    UNHEARD_BYTES = 1 << 16
};

#define PATIENCE_NS WEFT_SEC

typedef struct line {
    char text[LINE_BYTES]; /* with its end of line */
} line;

typedef struct guest {
    int fd;
    char name[NAME_BYTES];
    weft_channel *unheard; /* lines */
    weft_scope *stay;      /* cancelled: he has to leave */
    int is_deaf;           /* he has been told to */
    struct guest *next;
    char said[SAID_BYTES]; /* what is left of his last read */
    size_t said_bytes;
} guest;

static weft_mutex door; /* guards the room */
static guest *room;

/* ---- talking --------------------------------------------------------------------------------- */

/* To everybody but `speaker`, who knows. */
static void tell(const guest *speaker, const line *one)
{
    weft_with_lock (&door) {
        for (guest *other = room; other != NULL; other = other->next) {
            if (other == speaker || other->is_deaf)
                continue;
            other->is_deaf =
                weft_channel_push(other->unheard, one, weft_in(PATIENCE_NS)) == -ETIMEDOUT;
            if (other->is_deaf)
                weft_cancel_scope(other->stay);
        }
    }
}

static void say(const guest *self, const char *text)
{
    line one;
    (void)snprintf(one.text, sizeof one.text, "%s: %s\n", self->name, text);
    tell(self, &one);
}

static void announce(const guest *self, const char *what)
{
    line one;
    (void)snprintf(one.text, sizeof one.text, "* %s %s\n", self->name, what);
    tell(NULL, &one);
}

WEFT_FIBER(write_lines, guest *, self)
{
    line one;
    while (weft_channel_pop(self->unheard, &one, WEFT_FOREVER) == 0)
        if (weft_write_all(self->fd, one.text, strlen(one.text), WEFT_FOREVER) < 0)
            break;
    weft_cancel_scope(self->stay);
}

/* The next line that the guest says, or as much of it as fits; without what a terminal would take
 * for a command. 0: he has gone, or has to. */
static int read_line(guest *self, char *text)
{
    for (;;) {
        char *end = memchr(self->said, '\n', self->said_bytes);
        size_t length = end != NULL ? (size_t)(end - self->said) : self->said_bytes;
        if (end != NULL || length == sizeof self->said) {
            size_t taken = length + (end != NULL);
            for (size_t i = 0; i < length; i++)
                text[i] = (unsigned char)self->said[i] < ' ' ? ' ' : self->said[i];
            text[length - (length > 0 && text[length - 1] == ' ')] = '\0';
            memmove(self->said, self->said + taken, self->said_bytes -= taken);
            return 1;
        }
        ssize_t n =
            weft_read(self->fd, self->said + length, sizeof self->said - length, WEFT_FOREVER);
        if (n <= 0)
            return 0;
        self->said_bytes += (size_t)n;
    }
}

/* ---- a guest --------------------------------------------------------------------------------- */

static void enter(guest *self)
{
    weft_with_lock (&door) {
        self->next = room;
        room = self;
    }
    announce(self, "comes");
}

static void leave(guest *self)
{
    weft_with_lock (&door) {
        guest **link = &room;
        while (*link != self)
            link = &(*link)->next;
        *link = self->next;
    }
    announce(self, "leaves");
}

/* In the room from here to the end of the scope, which may be cancelled by others. */
static void stay(guest *self)
{
    char text[SAID_BYTES + 1];
    weft_scope(both)
    {
        self->stay = &both;
        enter(self);
        if (weft_go(&both, write_lines, self) == 0)
            while (read_line(self, text))
                if (text[0] != '\0')
                    say(self, text);
        leave(self);
        weft_channel_close(self->unheard);
    }
}

WEFT_FIBER(receive, int, fd)
{
    guest self = {.fd = fd};
    char name[SAID_BYTES + 1];
    int room_bytes = UNHEARD_BYTES;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room_bytes, sizeof room_bytes);
    if (weft_write_all(fd, "your name? ", 11, weft_in(PATIENCE_NS)) > 0 && read_line(&self, name) &&
        weft_channel_create(&self.unheard, &(weft_channel_spec){sizeof(line), UNHEARD_LINES}) ==
            0) {
        (void)snprintf(self.name, sizeof self.name, "%.*s", NAME_BYTES - 1, name);
        stay(&self);
        weft_channel_destroy(self.unheard);
    }
    weft_close(fd);
}

/* Until the scope around is cancelled. */
WEFT_FIBER(listen_on, int, listener)
{
    weft_scope(guests)
    {
        int fd;
        while ((fd = weft_accept(listener, WEFT_FOREVER)) >= 0)
            if (weft_go(&guests, receive, fd) != 0)
                weft_close(fd);
    }
}

static int serve_port(unsigned port, const sigset_t *ends)
{
    struct signalfd_siginfo signal;
    int listener = weft_tcp_listen("127.0.0.1", port, 128);
    int signals = signalfd(-1, ends, SFD_CLOEXEC | SFD_NONBLOCK);
    if (listener < 0 || signals < 0) {
        fprintf(stderr, "chat: port %u: %s\n", port,
                listener < 0 ? weft_strerror(listener) : "no signals");
        return 1;
    }
    printf("chat: nc 127.0.0.1 %u\n", port);
    fflush(stdout);
    weft_scope(server)
    {
        if (weft_go(&server, listen_on, listener) == 0)
            (void)weft_read(signals, &signal, sizeof signal, WEFT_FOREVER);
        weft_cancel_scope(&server);
    }
    weft_close(signals);
    return weft_close(listener);
}

/* ---- the test -------------------------------------------------------------------------------- */

enum { MANY = 8000 };

/* A guest's side: read until `text` is there. */
static int hears(int fd, const char *text)
{
    char heard[4096];
    size_t held = 0;
    for (;;) {
        ssize_t n = weft_read(fd, heard + held, sizeof heard - 1 - held, weft_in(60 * WEFT_SEC));
        if (n <= 0)
            return 0;
        held += (size_t)n;
        heard[held] = '\0';
        if (strstr(heard, text) != NULL)
            return 1;
        size_t kept = held < strlen(text) ? held : strlen(text); /* it may be cut in two */
        memmove(heard, heard + held - kept, kept);
        held = kept;
    }
}

static int says(int fd, const char *text)
{
    return weft_write_all(fd, text, strlen(text), weft_in(60 * WEFT_SEC)) > 0;
}

static int join_room(unsigned port, const char *name, const char *welcome)
{
    int fd = weft_tcp_connect("127.0.0.1", port, weft_in(60 * WEFT_SEC));
    return fd >= 0 && hears(fd, "your name? ") && says(fd, name) && hears(fd, welcome) ? fd : -1;
}

WEFT_FIBER(hear, int, fd, const char *, text, int *, count)
{
    if (hears(fd, text))
        __atomic_fetch_add(count, 1, __ATOMIC_RELAXED);
}

/* Ann talks until the deaf guest has been shown the door, and Bob hears all the while. */
static int talk_to_the_deaf(int ann, int bob)
{
    int count = 0;
    weft_scope(others)
    {
        if (weft_go(&others, hear, ann, "* deaf leaves\n", &count) != 0 ||
            weft_go(&others, hear, bob, "Ann: that is all\n", &count) != 0)
            return 0;
        for (int i = 0; i < MANY; i++)
            if (!says(ann, "There is so much to say, and so little time, that nobody should be "
                           "asked to listen to all of it, least of all Deaf.\n"))
                break;
        (void)says(ann, "that is all\n");
    }
    return count == 2;
}

static int are_guests_happy(unsigned port)
{
    int ann = join_room(port, "Ann\n", "* Ann comes\n");
    int bob = join_room(port, "Bob\r\n", "* Bob comes\n");
    int is_well = hears(ann, "* Bob comes\n") && says(ann, "hello\n") && hears(bob, "Ann: hello\n");
    int deaf = join_room(port, "deaf\n", "* deaf comes\n");
    is_well = is_well && deaf >= 0 && talk_to_the_deaf(ann, bob);
    weft_close(bob);
    is_well = is_well && hears(ann, "* Bob leaves\n");
    weft_close(deaf);
    weft_close(ann);
    return is_well;
}

static int self_test(void)
{
    int is_well = 0;
    int listener = weft_tcp_listen("127.0.0.1", 0, 128);
    int port = weft_port(listener);
    weft_scope(server)
    {
        if (port > 0 && weft_go(&server, listen_on, listener) == 0)
            is_well = are_guests_happy((unsigned)port);
        weft_cancel_scope(&server);
    }
    weft_close(listener);
    printf("chat: %s\n", is_well ? "all were heard, and the deaf guest has left" : "failed");
    return !is_well;
}

static sigset_t ends;

static int app(void *arg)
{
    const char *port = arg;
    if (port != NULL && strcmp(port, "--self-test") == 0)
        return self_test();
    return serve_port(port != NULL ? (unsigned)strtoul(port, NULL, 10) : 7001, &ends);
}

int main(int argc, char **argv)
{
    /* Before there are other threads: the signals arrive at signalfd() instead. */
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigprocmask(SIG_BLOCK, &ends, NULL);
    return weft_run(app, argc > 1 ? argv[1] : NULL, NULL);
}
