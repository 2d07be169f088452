/* SPDX-License-Identifier: BSD-2-Clause */
/* promise.c — futures that are completed by hand.
 *
 * A promise has no executor, and no task whose description would tell how large the result is: the
 * size lies where other futures have their place in a queue. Whoever completes a promise is to it
 * what an executor is to other futures: when it was cancelled, it stays until he has come across
 * it. */
#include "future.h"

#include <errno.h>
#include <string.h>

static const weft_task_type promise_type = {.name = "promise",
                                            .file = "",
                                            .task_align = 16,
                                            .args_offset = sizeof(weft_task),
                                            .result_offset = sizeof(weft_task)};
static const weft_site promise_site = {.type = &promise_type, .file = "", .line = 0};

weft_future *weft_promise_new(size_t result_bytes)
{
    weft_future *future = weft__future_new(NULL, &promise_site, sizeof(weft_task) + result_bytes);
    if (future == NULL)
        return weft__future_without_memory();
    future->head.state_ = result_bytes;
    return future;
}

WEFT__HOT size_t weft__future_result_bytes(const weft_future *future)
{
    return future->executor != NULL ? future->site->type->result_bytes : future->head.state_;
}

/* Nonzero: the caller, and nobody else, completes the promise. Otherwise why not. */
static int claim(weft_future *future, int *rc)
{
    *rc = -EINVAL;
    if (future->site != &promise_site)
        return 0;
    uintptr_t seen = weft__state_claim(&future->state);
    if (seen == 0)
        return 1;
    if (WEFT__STATE(seen) == WEFT__CANCELLED)
        *rc = weft_future_begin(future);
    return 0;
}

int weft_future_set_result(weft_future *future, const void *value)
{
    int rc;
    if (!claim(future, &rc))
        return rc;
    if (value != NULL)
        memcpy(weft_future_room(future), value, weft__future_result_bytes(future));
    weft__future_end(future, WEFT__ERROR_NONE);
    return 0;
}

int weft__promise_fail(weft_future *future, uintptr_t error)
{
    int rc;
    if (claim(future, &rc)) {
        weft__future_end(future, error);
        return 0;
    }
    weft__error_mark_read(error); /* nobody will, and it is not ours to report */
    weft__error_drop(error);
    return rc;
}

int weft_future_set_error(weft_future *future, int code, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    uintptr_t error = weft__error_new(code, future->site, format, values);
    va_end(values);
    return weft__promise_fail(future, error);
}
