/* SPDX-License-Identifier: BSD-2-Clause */
/* base.c — clock, deadlines, names of errors. */
#include <weft/base.h>

#include "panic.h"

#include <errno.h>
#include <string.h>
#include <time.h>

WEFT__HOT int64_t weft_now(void)
{
    struct timespec now;
    int rc = clock_gettime(CLOCK_MONOTONIC, &now);
    weft_assert(rc == 0);
    return (int64_t)now.tv_sec * WEFT_SEC + now.tv_nsec;
}

int64_t weft_in(int64_t distance_ns)
{
    int64_t now = weft_now();
    if (distance_ns <= 0)
        return WEFT_POLL;
    return distance_ns > WEFT_FOREVER - now ? WEFT_FOREVER : now + distance_ns;
}

const char *weft_strerror(int code)
{
    const char *text = strerrordesc_np(code < 0 ? (int)-(int64_t)code : code);
    return text != NULL ? text : "unknown error";
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *weft_version(void)
{
    return TEXT(WEFT_VERSION_MAJOR) "." TEXT(WEFT_VERSION_MINOR) "." TEXT(WEFT_VERSION_PATCH);
}
