/* SPDX-License-Identifier: BSD-2-Clause */
/* base.h — what every weft header needs: visibility, error convention, time.
 *
 * Errors are values. A call returns 0 or a negative errno; calls that count return the count or a
 * negative errno. The global `errno` is never the channel: a fiber may resume on another thread and
 * would read that thread's errno. Out-parameters are untouched on failure. The codes weft itself
 * produces are EAGAIN ETIMEDOUT ECANCELED EPIPE EOWNERDEAD EPROTO EMSGSIZE ENOMEM EINVAL ENOTSUP;
 * EBUSY for what others are using; EDEADLK for a call that would wait for itself; EPERM for what
 * the caller does not hold; EOVERFLOW for more units than a semaphore may have; EBADF for a file
 * that was closed meanwhile; ENOTRECOVERABLE for a lock between processes whose state was lost with
 * its holder; ECHILD for a runtime inherited through fork(). Any other code is the kernel's.
 *
 * Time is an absolute deadline in nanoseconds of CLOCK_MONOTONIC. WEFT_POLL lies in the past and
 * never blocks, WEFT_FOREVER never passes, weft_in() makes one from a distance. */
#ifndef WEFT_BASE_H
#define WEFT_BASE_H

#include <stddef.h>
#include <stdint.h>

#define WEFT_VERSION_MAJOR 0
#define WEFT_VERSION_MINOR 1
#define WEFT_VERSION_PATCH 0

#ifdef __cplusplus
#define WEFT_BEGIN_DECLS extern "C" {
#define WEFT_END_DECLS }
#else
#define WEFT_BEGIN_DECLS
#define WEFT_END_DECLS
#endif

#define WEFT_API __attribute__((visibility("default")))
#define WEFT_NODISCARD __attribute__((warn_unused_result))
#define WEFT_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))

/* Internal spellings, most of them used by inline code in public headers. */
#define WEFT__INLINE static inline __attribute__((always_inline, unused))
#define WEFT__NOINLINE __attribute__((noinline))
/* What a task passes through from its submission to its result. Such functions lie together: who
 * has slept finds none of them in the caches, and pays for each line and each page. */
#define WEFT__HOT __attribute__((hot))
#define WEFT__LIKELY(x) __builtin_expect(!!(x), 1)
#define WEFT__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define WEFT__CAT(a, b) WEFT__CAT_(a, b)
#define WEFT__CAT_(a, b) a##b

#define WEFT_NSEC INT64_C(1)
#define WEFT_USEC INT64_C(1000)
#define WEFT_MSEC INT64_C(1000000)
#define WEFT_SEC INT64_C(1000000000)

#define WEFT_POLL INT64_C(0)
#define WEFT_FOREVER INT64_MAX

WEFT_BEGIN_DECLS

/**
 * Read the clock that all deadlines refer to: nanoseconds of CLOCK_MONOTONIC.
 *
 * Context         any thread, any fiber, any process; same zero for all processes of one host
 * Progress        wait-free
 */
WEFT_API int64_t weft_now(void);

/**
 * Make a deadline `distance_ns` from now; saturates at WEFT_FOREVER, a negative distance is a
 * deadline that has passed.
 *
 * Context         any
 * Progress        wait-free
 */
WEFT_API int64_t weft_in(int64_t distance_ns);

/**
 * Name an error code as a sentence fragment; accepts the code with either sign.
 *
 * Returns         a static string; never NULL
 * Context         any
 * Progress        wait-free
 */
WEFT_API const char *weft_strerror(int code);

/**
 * The version of the library that is running, as "major.minor.patch" (the header's is in
 * WEFT_VERSION_MAJOR and its siblings).
 *
 * Returns         a static string
 * Context         any
 * Progress        wait-free
 */
WEFT_API const char *weft_version(void);

WEFT_END_DECLS
#endif
