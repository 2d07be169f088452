/* SPDX-License-Identifier: BSD-2-Clause */
/* text.c — see text.h. */
#include "debug/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void weft__text_begin(weft__text *text, int fd)
{
    text->fd = fd;
    text->error = 0;
    text->used = 0;
}

int weft__text_flush(weft__text *text)
{
    size_t done = 0;
    while (text->error == 0 && done < text->used) {
        ssize_t written = write(text->fd, text->buffer + done, text->used - done);
        if (written >= 0)
            done += (size_t)written;
        else if (errno != EINTR)
            text->error = -errno;
    }
    text->used = 0;
    return text->error;
}

void weft__text_put(weft__text *text, const char *words)
{
    size_t bytes = strlen(words);
    while (bytes > 0) {
        size_t room = sizeof text->buffer - text->used;
        size_t part = bytes < room ? bytes : room;
        memcpy(text->buffer + text->used, words, part);
        text->used += part;
        words += part;
        bytes -= part;
        if (text->used == sizeof text->buffer)
            (void)weft__text_flush(text);
    }
}

static void put_digits(weft__text *text, uint64_t number, unsigned base, unsigned digits_min)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0 || sizeof digits - 1 - at < digits_min);
    weft__text_put(text, digits + at);
}

void weft__text_number(weft__text *text, uint64_t number)
{
    put_digits(text, number, 10, 1);
}

void weft__text_hex(weft__text *text, uintptr_t number)
{
    weft__text_put(text, "0x");
    put_digits(text, number, 16, 1);
}

void weft__text_seconds(weft__text *text, int64_t ns)
{
    uint64_t ms = ns > 0 ? (uint64_t)(ns / WEFT_MSEC) : 0;
    put_digits(text, ms / 1000, 10, 1);
    weft__text_put(text, ".");
    put_digits(text, ms % 1000, 10, 3);
    weft__text_put(text, " s");
}
