/* SPDX-License-Identifier: BSD-2-Clause */
/* error.c — errors as values: made by the task that fails, read by whoever waits for it.
 *
 * An error is one block that says everything; futures that fail because another did share it. When
 * there is no memory for it, the code alone is left, in the place of its address. An error whose
 * last future is freed before anybody has looked at it can be reported. */
#include "future.h"

#include <weft/atomic.h>

#include "fiber/scope.h"
#include "hooks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void (*reporter)(const weft_error *error, void *arg);
static void *reporter_arg;

static int is_code(uintptr_t error)
{
    return (error & 1) != 0;
}

static weft__error *object_of(uintptr_t error)
{
    return (weft__error *)error;
}

uintptr_t weft__error_new(int code, const weft_site *site, const char *format, va_list values)
{
    va_list again;
    va_copy(again, values);
    int length = format != NULL ? vsnprintf(NULL, 0, format, values) : 0;
    size_t bytes = (size_t)(length > 0 ? length : 0) + 1;
    weft__error *error = weft__hook_alloc(sizeof *error + bytes);
    if (error != NULL) {
        *error = (weft__error){.users = 1,
                               .code = weft__failure_code(code),
                               .line = site->line,
                               .task = site->type->name,
                               .file = site->file};
        error->message[0] = '\0';
        if (length > 0)
            (void)vsnprintf(error->message, bytes, format, again);
    }
    va_end(again);
    return error != NULL ? (uintptr_t)error : WEFT__ERROR_CODE(weft__failure_code(code));
}

uintptr_t weft__error_share(uintptr_t error)
{
    /* relaxed: the caller is a user, whose own edge error.users comes later */
    if (error != WEFT__ERROR_NONE && !is_code(error))
        weft__fetch_add_relaxed(&object_of(error)->users, 1);
    return error;
}

int weft__error_code(uintptr_t error)
{
    if (error == WEFT__ERROR_NONE)
        return 0;
    return is_code(error) ? -(int)(error >> 1) : object_of(error)->code;
}

void weft__error_mark_read(uintptr_t error)
{
    if (error != WEFT__ERROR_NONE && !is_code(error))
        weft__store_relaxed(&object_of(error)->is_read, 1); /* relaxed: a hint for the reporter */
}

void weft__error_read(uintptr_t error, const weft_site *site, weft_error *out)
{
    *out = (weft_error){.code = weft__error_code(error),
                        .message = "",
                        .task = site->type->name,
                        .file = site->file,
                        .line = site->line};
    if (error == WEFT__ERROR_NONE || is_code(error))
        return;
    const weft__error *object = object_of(error);
    weft__error_mark_read(error);
    out->message = object->message;
    out->task = object->task;
    out->file = object->file;
    out->line = object->line;
}

WEFT__HOT void weft__error_drop(uintptr_t error)
{
    if (error == WEFT__ERROR_NONE || is_code(error))
        return;
    weft__error *object = object_of(error);
    /* edge error.users (acq_rel): the other users' last accesses, for the one who frees it */
    if (weft__fetch_add_acq_rel(&object->users, (uint32_t)-1) != 1)
        return;
    /* edge error.reporter (acquire): its argument */
    void (*report)(const weft_error *, void *) = weft__load_acquire(&reporter);
    /* relaxed: whoever read it was a user */
    if (report != NULL && weft__load_relaxed(&object->is_read) == 0) {
        weft_error value = {.code = object->code,
                            .message = object->message,
                            .task = object->task,
                            .file = object->file,
                            .line = object->line};
        report(&value, weft__load_relaxed(&reporter_arg)); /* relaxed: stored before the function */
    }
    weft__hook_free(object);
}

void weft_report_dropped(void (*report)(const weft_error *error, void *arg), void *arg)
{
    weft__store_relaxed(&reporter_arg, arg); /* relaxed: released with the function */
    /* edge error.reporter (release): the argument */
    weft__store_release(&reporter, report);
}

void weft_print_error(const weft_error *error, void *unused)
{
    (void)unused;
    (void)fprintf(stderr, "weft: %s failed and nobody asked: %s%s%s (submitted at %s:%d)\n",
                  error->task, weft_strerror(error->code), error->message[0] != '\0' ? ": " : "",
                  error->message, error->file, error->line);
}
