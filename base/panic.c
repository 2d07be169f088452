/* SPDX-License-Identifier: BSD-2-Clause */
/* panic.c — the last words of a process whose invariants are broken.
 *
 * One write() of a line composed on the stack: no allocation and no stdio, because the caller may
 * hold anything and stand on any stack. */
#include "panic.h"

#include <weft/atomic.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct line {
    char text[256];
    size_t used;
};

static void append(struct line *line, const char *text)
{
    size_t room = sizeof line->text - 1 - line->used;
    size_t bytes = strlen(text);
    if (bytes > room)
        bytes = room;
    memcpy(line->text + line->used, text, bytes);
    line->used += bytes;
}

static void append_number(struct line *line, int number)
{
    char digits[12];
    size_t at = sizeof digits;
    digits[--at] = '\0';
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0 && at > 0);
    append(line, digits + at);
}

static void (*last_witness)(void);

void weft__panic_call(void (*witness)(void))
{
    weft__store_relaxed(&last_witness, witness); /* relaxed: a function, there from the beginning */
}

void weft__panic(const char *what, const char *file, int line_number)
{
    struct line line = {.used = 0};
    append(&line, "weft: ");
    append(&line, what);
    append(&line, " (");
    append(&line, file);
    append(&line, ":");
    append_number(&line, line_number);
    append(&line, ")\n");
    ssize_t ignored = write(STDERR_FILENO, line.text, line.used);
    (void)ignored;
    /* relaxed: as above; taken, so that it is called once */
    void (*witness)(void) = weft__exchange_relaxed(&last_witness, NULL);
    if (witness != NULL)
        witness();
    abort();
}
