/* SPDX-License-Identifier: BSD-2-Clause */
/* transfer.h — recv(2) and send(2): the count, or a negative errno.
 *
 * Those of glibc are points of cancellation, which in a program with threads takes two locked
 * instructions a call. These are none: a thread of somebody else's that waits does so elsewhere.
 * The sanitizers have to see the library's. */
#ifndef WEFT_BASE_TRANSFER_H
#define WEFT_BASE_TRANSFER_H

#include "sanitize.h"

#include <sys/syscall.h>
#include <sys/types.h>
#include <weft/base.h>

#if defined(__x86_64__) && defined(__LP64__) && !defined(WEFT__ASAN) && !defined(WEFT__TSAN)
#define WEFT__CALLS_KERNEL 1
WEFT__INLINE ssize_t weft__transfer(long call, int fd, const void *buffer, size_t bytes, int flags)
{
    register long fourth __asm__("r10") = flags;
    register long no_address __asm__("r8") = 0;
    register long no_length __asm__("r9") = 0;
    __asm__ volatile("syscall"
                     : "+a"(call)
                     : "D"((long)fd), "S"(buffer), "d"(bytes), "r"(fourth), "r"(no_address),
                       "r"(no_length)
                     : "rcx", "r11", "memory");
    return call;
}

WEFT__INLINE ssize_t weft__recv(int fd, void *buffer, size_t bytes, int flags)
{
    return weft__transfer(SYS_recvfrom, fd, buffer, bytes, flags);
}

WEFT__INLINE ssize_t weft__send(int fd, const void *buffer, size_t bytes, int flags)
{
    return weft__transfer(SYS_sendto, fd, buffer, bytes, flags);
}
#else
ssize_t weft__recv(int fd, void *buffer, size_t bytes, int flags);
ssize_t weft__send(int fd, const void *buffer, size_t bytes, int flags);
#endif

#endif
