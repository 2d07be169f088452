/* SPDX-License-Identifier: BSD-2-Clause */
/* shm.c — memory by name, and what to do about a file that is cut off under its mapping. */
#include <weft/shm.h>

#include <weft/atomic.h>

#include "owner.h"
#include "segment.h"
#include "sys.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

/* A weft_shm is a segment; the public type hides that. */
static weft__segment *segment_of(const weft_shm *shm)
{
    return (weft__segment *)(uintptr_t)shm;
}

static weft_shm *shm_of(weft__segment *segment)
{
    return (weft_shm *)(void *)segment;
}

int weft_shm_create(weft_shm **shm, const char *name, size_t bytes)
{
    weft__segment *segment;
    weft__segment_spec spec = {.kind = WEFT__SHM_MEMORY, .capacity = bytes};
    int rc = weft__segment_create(&segment, name, &spec, NULL);
    if (rc == 0)
        *shm = shm_of(segment);
    return rc;
}

static int open_memory(weft_shm **shm, const char *name, size_t bytes)
{
    weft__segment *segment;
    weft__segment_spec spec = {.kind = WEFT__SHM_MEMORY, .capacity = bytes};
    int rc = weft__segment_open(&segment, name, &spec);
    if (rc == 0)
        *shm = shm_of(segment);
    return rc;
}

int weft_shm_open(weft_shm **shm, const char *name)
{
    return open_memory(shm, name, 0);
}

int weft_shm_attach(weft_shm **shm, int fd)
{
    weft__segment *segment;
    weft__segment_spec spec = {.kind = WEFT__SHM_MEMORY};
    int rc = weft__segment_attach(&segment, fd, &spec);
    if (rc == 0)
        *shm = shm_of(segment);
    return rc;
}

int weft_shm_alloc(weft_shm **shm, const char *name, size_t bytes)
{
    int rc = -ENOENT;
    if (bytes == 0)
        return -EINVAL;
    /* Somebody may make the name or remove it in between, but hardly each time. */
    for (int tries = 0; tries < 100 && (rc == -ENOENT || rc == -EEXIST); tries++) {
        rc = open_memory(shm, name, bytes);
        if (rc == -ENOENT)
            rc = weft_shm_create(shm, name, bytes);
    }
    return rc;
}

void *weft_shm_data(const weft_shm *shm)
{
    return segment_of(shm)->base + segment_of(shm)->geometry.body;
}

size_t weft_shm_bytes(const weft_shm *shm)
{
    return (size_t)segment_of(shm)->geometry.capacity;
}

int weft_shm_fd(const weft_shm *shm)
{
    return segment_of(shm)->fd;
}

void weft_shm_detach(weft_shm *shm)
{
    if (shm != NULL)
        weft__segment_detach(segment_of(shm), 0);
}

int weft_shm_unlink(const char *name)
{
    return weft__segment_unlink(name);
}

/* ---- cut off --------------------------------------------------------------------------------- */

static struct sigaction before;

/* Ones are no state of anything in layout.h: no word, no bell, no position that is sane. */
static int replace(weft__segment *segment)
{
    size_t bytes = (size_t)segment->geometry.total_bytes;
    void *base = mmap(segment->base, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (base == MAP_FAILED)
        return 0;
    memset(base, 0xff, bytes);
    weft__store_relaxed(&segment->is_lost,
                        1); /* relaxed: for this process, which sees ones anyhow */
    return 1;
}

static void pass_on(int number, siginfo_t *info, void *context)
{
    if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        (void)signal(number, SIG_DFL); /* the access is repeated, and ends the process */
    }
}

static void on_bus_error(int number, siginfo_t *info, void *context)
{
    weft__segment *segment = NULL;
    if (info->si_code == BUS_ADRERR)
        segment = weft__segment_around(info->si_addr);
    if (segment == NULL || weft__load_relaxed(&segment->is_lost) || /* relaxed: of this process */
        !replace(segment))
        pass_on(number, info, context);
}

int weft_shm_catch_truncation(void)
{
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction old;
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(SIGBUS, NULL, &old) != 0)
        return -weft__errno_get();
    if ((old.sa_flags & SA_SIGINFO) && old.sa_sigaction == on_bus_error)
        return 0;
    before = old;
    return sigaction(SIGBUS, &action, NULL) == 0 ? 0 : -weft__errno_get();
}
