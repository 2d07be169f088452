/* SPDX-License-Identifier: BSD-2-Clause */
/* entry.c — how a program becomes a server before its main().
 *
 * A process that wants children executes its own file once more, with a variable in the environment
 * that a constructor of this library sees. That constructor runs too early to serve: a library's
 * constructors run before those of the program that needs it, and children are to find a program
 * whose globals are all constructed. So it puts a function of ours in the place of the last one in
 * the program's array of constructors. When that is called, everything has been constructed; it
 * calls the one it replaced and then serves, and main() is never reached.
 *
 * Rejected:
 *   - forking the caller: it may have threads, and the child would own locks that nobody unlocks;
 *   - forking a server in a constructor of every program: a process for each that never wants one;
 *   - a call that main() has to make first: without it the program would run twice, silently. */
#include "process/server.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef void constructor(int argc, char **argv, char **environment);

/* Decided by the constructor below, used by after_constructors() in the same thread. */
static struct {
    constructor *replaced; /* the program's last constructor */
    int fd;                /* the number in the variable */
    int is_child;          /* "run", not "serve" */
} entry;

__attribute__((noreturn)) static void go(void)
{
    if (entry.is_child)
        weft__child_run(entry.fd);
    weft__server_run(entry.fd);
}

static void after_constructors(int argc, char **argv, char **environment)
{
    entry.replaced(argc, argv, environment);
    go();
}

/* Put after_constructors() in the place of the program's last constructor. The array is read-only
 * by now, except in this process. */
static int replace_last(uintptr_t *constructors, size_t count)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t *last = &constructors[count - 1];
    void *begin = (void *)((uintptr_t)last & ~(page - 1));
    if (mprotect(begin, page, PROT_READ | PROT_WRITE) != 0)
        return -1;
    entry.replaced = (constructor *)*last;
    *last = (uintptr_t)after_constructors;
    return 0;
}

/* What the variable asks for: nonzero, and `entry` is filled in. */
static int is_asked(void)
{
    const char *text = secure_getenv(WEFT__SERVER_VARIABLE);
    char *end;
    if (text == NULL)
        return 0;
    entry.is_child = strncmp(text, "run:", 4) == 0;
    if (!entry.is_child && strncmp(text, "serve:", 6) != 0)
        return 0;
    const char *number = strchr(text, ':') + 1;
    long fd = strtol(number, &end, 10);
    entry.fd = (int)fd;
    return end != number && *end == '\0' && fd >= 0 && fd < 1 << 20;
}

__attribute__((constructor)) static void enter(void)
{
    if (WEFT__LIKELY(!is_asked()))
        return;
    (void)unsetenv(WEFT__SERVER_VARIABLE); /* it is not for the children's children */
    size_t count;
    uintptr_t *constructors = weft__image_constructors(&count);
    /* In a program linked with the archive this function may itself be the last of them. */
    if (constructors == NULL || constructors[count - 1] == (uintptr_t)enter ||
        replace_last(constructors, count) != 0)
        go();
}

void weft__entry_keep(void)
{
}
