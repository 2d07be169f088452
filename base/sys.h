/* SPDX-License-Identifier: BSD-2-Clause */
/* sys.h — the system calls weft makes itself; each returns 0 or a negative errno.
 *
 * errno is read inside these functions, right after the call and in the same thread: code that can
 * be suspended must not look at it. */
#ifndef WEFT_BASE_SYS_H
#define WEFT_BASE_SYS_H

#include <weft/base.h>

/* Sleep while *word == expected: 0 woken or changed before, -ETIMEDOUT, -EINTR. `word` is private
 * to this process. */
int weft__futex_wait(const uint32_t *word, uint32_t expected, int64_t deadline_ns);

/* Wake up to `count` sleepers on `word`, which need not exist any more. */
void weft__futex_wake(const uint32_t *word, int count);

/* A word in memory shared between processes, and what it must hold for a sleep on it. */
typedef struct weft__sleep {
    const uint32_t *word;
    uint32_t expected;
} weft__sleep;

#define WEFT__SLEEPS_MAX 4u

/* The same for such words, of which any may change; on a kernel before 5.16 only the first one is
 * slept on. The wake answers how many were asleep. */
int weft__futex_wait_shared(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns);
int weft__futex_wake_shared(const uint32_t *word, int count);

#define WEFT__SLEEPS_MANY 128u

/* The same for up to WEFT__SLEEPS_MANY words and without a deadline, on the kernels that have it.
 * The number of one that was woken, perhaps of several; -EAGAIN one has changed before; -EINTR;
 * -EFAULT one is not there, and others. */
int weft__futex_wait_many(const weft__sleep sleeps[], unsigned count);
int weft__futex_can_wait_many(void);

/* Wait in the thread until `fd` is readable, or has room, or is closed at its other end: 0 or
 * -ETIMEDOUT. */
int weft__wait_readable(int fd, int64_t deadline_ns);
int weft__wait_writable(int fd, int64_t deadline_ns);

/* Give the processor away for a moment, again and again, the round-th time from 0: at first to
 * threads of the same priority, then to all, by a sleep: one of real-time priority that yields is
 * back at once. */
void weft__give_way(unsigned round);

/* Make weft__membarrier() usable in this process: 0 or -ENOSYS, -EPERM ... Idempotent. */
int weft__membarrier_register(void);

/* A full memory barrier on every running thread of this process (membarrier(2), private
 * expedited). Only after weft__membarrier_register() returned 0. */
void weft__membarrier(void);

/* Let weft__membarrier_shared() of other processes reach the threads of this one: 0 or a negative
 * errno. Idempotent. */
int weft__membarrier_shared_register(void);

/* A full memory barrier on every running thread of every process that has registered: 0 or a
 * negative errno. */
int weft__membarrier_shared(void);

/* The calling thread's errno, out of line so that no compiler keeps its address. */
int weft__errno_get(void);
void weft__errno_set(int value);

#endif
