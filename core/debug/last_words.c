/* SPDX-License-Identifier: BSD-2-Clause */
/* last_words.c — an assertion has failed: in which task, and who called whom.
 *
 * The message itself names a line of the library; what its reader wants to know is which line of
 * the program unlocked a mutex that was not locked. A fiber's stack ends where the fiber began, so
 * the frames are few, and those of the program. Of a plain thread a debugger shows as much.
 *
 * As any dump it waits for nobody and allocates nothing: the process may be in any state. */
#include "debug/dump.h"

#include "panic.h"

#include <unistd.h>

/* Its name keeps it out of the frames shown. */
static WEFT__NOINLINE void weft__last_words(void)
{
    weft__walk here;
    weft__dump dump;
    const weft__worker *worker = weft__worker_self();
    if (worker == NULL || !weft__fiber_is_alive(worker->current))
        return;
    weft__walk_here(&here, worker->current);
    weft__dump_begin(&dump, STDERR_FILENO);
    dump.runtime = worker->runtime;
    dump.here = &here;
    dump.self = worker->current;
    weft__dump_fiber(&dump, worker->current, 0);
    (void)weft__dump_end(&dump);
}

void weft__last_words_prepare(void)
{
    weft__panic_call(weft__last_words);
}
