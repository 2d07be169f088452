/* SPDX-License-Identifier: BSD-2-Clause */
/* io.h — reading, writing and connecting without holding a worker.
 *
 *     int listener = weft_tcp_listen("127.0.0.1", 7000, 128);
 *     weft_scope(clients) {
 *         int fd;
 *         while ((fd = weft_accept(listener, WEFT_FOREVER)) >= 0)
 *             weft_go(&clients, serve, fd);
 *     }
 *     weft_close(listener);
 *
 * Every call is the system call of that name with a deadline: it tries, and if it would block, the
 * calling fiber parks until the file is ready. In a plain thread the thread sleeps. A call that has
 * given up (deadline, cancellation, error) has not touched the file, and no call touches its buffer
 * after it has returned.
 *
 * Any descriptor may be used, blocking or not: its flags are left alone. Those made here, or given
 * to weft_adopt(), are non-blocking and cost fewer system calls; they must be closed by
 * weft_close().
 *
 * Beyond the kernel's own, every call here that takes a deadline can return -ETIMEDOUT the
 * deadline, or that of a scope around, has passed; -ECANCELED a scope around was cancelled; -EBADF
 * the file was closed by weft_close() meanwhile; -ENOMEM. Descriptors are returned as numbers from
 * 0 on. SIGPIPE never reaches the process through a call made here. */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* ---- transfer ------------------------------------------------------------------------------ */

/**
 * Read up to `bytes` bytes: those that are there, at least one. weft_readv() fills several buffers.
 *
 * Returns         number of bytes; 0 at the end of the file; a negative errno
 * Context         thread or fiber; may park. Several fibers may wait on one file: each event wakes
 *                 one, first come first served
 * Progress        blocking
 */
WEFT_API ssize_t weft_read(int fd, void *buffer, size_t bytes, int64_t deadline_ns);
WEFT_API ssize_t weft_readv(int fd, const struct iovec *buffers, int count, int64_t deadline_ns);

/**
 * Write up to `bytes` bytes, at least one. weft_write_all() and weft_read_all() go on until all
 * bytes are through, or the end of the file is reached, or an error occurs; after an error some may
 * have been transferred.
 *
 * Returns         number of bytes; a negative errno, -EPIPE nobody reads any more
 * Context         thread or fiber; may park
 * Progress        blocking
 */
WEFT_API ssize_t weft_write(int fd, const void *buffer, size_t bytes, int64_t deadline_ns);
WEFT_API ssize_t weft_writev(int fd, const struct iovec *buffers, int count, int64_t deadline_ns);
WEFT_API ssize_t weft_write_all(int fd, const void *buffer, size_t bytes, int64_t deadline_ns);
WEFT_API ssize_t weft_read_all(int fd, void *buffer, size_t bytes, int64_t deadline_ns);

/**
 * Receive from and send to a socket, with the flags of recv(2) and send(2). The second pair tells
 * and takes addresses, for datagrams; `length` is as in recvfrom(2).
 *
 * Returns         number of bytes; a negative errno
 * Context         thread or fiber; may park
 * Progress        blocking
 */
WEFT_API ssize_t weft_recv(int fd, void *buffer, size_t bytes, int flags, int64_t deadline_ns);
WEFT_API ssize_t weft_send(int fd, const void *buffer, size_t bytes, int flags,
                           int64_t deadline_ns);
WEFT_API ssize_t weft_recvmsg(int fd, struct msghdr *message, int flags, int64_t deadline_ns);
WEFT_API ssize_t weft_sendmsg(int fd, const struct msghdr *message, int flags, int64_t deadline_ns);

/* ---- connections --------------------------------------------------------------------------- */

/**
 * Take the next connection of a listening socket. The new descriptor is adopted, non-blocking and
 * closed at exec.
 *
 * Returns         the descriptor; a negative errno. Connections that ended before they were taken
 *                 are skipped
 * Context         thread or fiber; may park
 * Progress        blocking
 */
WEFT_API int weft_accept(int listener, int64_t deadline_ns);

/**
 * Connect a socket to an address.
 *
 * Returns         0; -ECONNREFUSED and others of connect(2). After a deadline or a cancellation the
 *                 socket may be in the middle of it: close it
 * Context         thread or fiber; may park
 * Progress        blocking
 */
WEFT_API int weft_connect(int fd, const struct sockaddr *address, socklen_t length,
                          int64_t deadline_ns);

/**
 * Make a listening TCP socket. `host` is an address or a name (NULL: all addresses of this
 * machine), `port` 0 lets the kernel choose one: weft_port(). weft_unix_listen() does the same in
 * the file system; a `path` that begins with '@' is abstract.
 *
 * Returns         an adopted descriptor; a negative errno; -EADDRNOTAVAIL there is no such host
 * Context         thread or fiber; may park to resolve a name
 * Progress        blocking
 */
WEFT_API int weft_tcp_listen(const char *host, unsigned port, int backlog);
WEFT_API int weft_unix_listen(const char *path, int backlog);

/**
 * Connect to a TCP server: every address of `host` is tried in turn. weft_unix_connect() does the
 * same in the file system. A Unix server that has its backlog full tells nobody when there is room:
 * the call tries again after 1 ms, then after twice as long each time, up to 16 ms.
 *
 * Returns         an adopted descriptor; a negative errno, of the last address
 * Context         thread or fiber; may park
 * Progress        blocking
 */
WEFT_API int weft_tcp_connect(const char *host, unsigned port, int64_t deadline_ns);
WEFT_API int weft_unix_connect(const char *path, int64_t deadline_ns);

/**
 * Make a UDP socket bound to `host` and `port`, as in weft_tcp_listen().
 *
 * Returns         an adopted descriptor; a negative errno
 * Context         thread or fiber; may park to resolve a name
 * Progress        blocking
 */
WEFT_API int weft_udp_bind(const char *host, unsigned port);

/**
 * Resolve a name, or an address written as text, to at most `room` addresses with that port.
 *
 * Returns         their number; -EADDRNOTAVAIL there is no such host; -EAGAIN the name server does
 *                 not answer; other negative errnos
 * Context         thread or fiber; may park
 * Progress        blocking: the resolver of the C library, which has time-outs of its own
 */
WEFT_API int weft_resolve(const char *host, unsigned port, struct sockaddr_storage *addresses,
                          int room);

/**
 * The local port of a TCP or UDP socket.
 *
 * Returns         the port; a negative errno
 * Context         any
 * Progress        wait-free, but for a system call
 */
WEFT_API int weft_port(int fd);

/**
 * Make a pipe: fds[0] to read from, fds[1] to write to, both adopted and closed at exec.
 *
 * Returns         0; a negative errno
 * Context         any
 * Progress        lock-free, but for short locks and system calls
 */
WEFT_API WEFT_NODISCARD int weft_fd_pipe(int fds[2]);

/**
 * Make a pair of connected Unix stream sockets, both adopted and closed at exec.
 *
 * Returns         0; a negative errno
 * Context         any
 * Progress        lock-free, but for short locks and system calls
 */
WEFT_API WEFT_NODISCARD int weft_socketpair(int fds[2]);

/* ---- files --------------------------------------------------------------------------------- */

/**
 * Wait until `fd` is ready for one of `events`: POLLIN, POLLOUT of poll(2), or both.
 *
 * Returns         those that hold, POLLERR and POLLHUP among them; a negative errno
 * Context         thread or fiber; may park
 * Progress        blocking
 */
WEFT_API int weft_poll(int fd, int events, int64_t deadline_ns);

/**
 * Promise that `fd` will be closed by weft_close() alone. It becomes non-blocking, for everybody
 * who has it open.
 *
 * Returns         0; a negative errno
 * Context         thread or fiber. In a plain thread it has no effect beyond the flag
 * Progress        lock-free, but for short locks and system calls
 */
WEFT_API int weft_adopt(int fd);

/**
 * Close a descriptor. Fibers of the same runtime that wait for it return -EBADF.
 *
 * Returns         0; a negative errno, the descriptor is closed nevertheless
 * Context         thread or fiber
 * Progress        lock-free, but for short locks and system calls
 */
WEFT_API int weft_close(int fd);

WEFT_END_DECLS
#endif
