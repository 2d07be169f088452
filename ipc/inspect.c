/* SPDX-License-Identifier: BSD-2-Clause */
/* inspect.c — named segments seen from outside, and the removal of those whose users are all dead.
 *
 * Looking changes nothing: the file is mapped for reading, and nobody joins. A name is removed in
 * three steps: look, unlink, look again. Who attaches looks as well, after he has joined, whether
 * the file still has a name. So either he sees that it has none, and has not attached; or he had
 * joined before it was unlinked, is seen by the second look, and the name is put back. */
#include <weft/shm.h>

#include <weft/atomic.h>

#include "alive.h"
#include "ring.h"
#include "segment.h"
#include "sys.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/dev/shm"
#define PREFIX "weft."

static const char *kind_name(uint32_t kind)
{
    switch (kind) {
    case WEFT__SHM_MEMORY:
        return "memory";
    case WEFT__SHM_QUEUE:
        return "queue";
    case WEFT__SHM_SPSC:
        return "one-to-one";
    default:
        return "pipe";
    }
}

/* Read what is at an offset; the file may be cut off at any time, a mapping would not survive
 * it. */
static int read_at(int fd, uint64_t offset, void *to, size_t bytes)
{
    return pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes ? 0 : -EPROTO;
}

static int is_dead(const weft__shm_process *process, const weft__identity *self)
{
    weft__identity identity = {.pid = WEFT__PROCESS_PID(process->state),
                               .started = process->started,
                               .boot = process->boot,
                               .pid_ns = process->pid_ns};
    return WEFT__PROCESS_PHASE(process->state) == WEFT__PHASE_DEAD ||
           weft__identity_is_dead(&identity, self);
}

static int read_members(int fd, const weft__geometry *geometry, weft_shm_info *info)
{
    weft__identity self = weft__identity_self();
    weft__shm_header header;
    unsigned dead = 0, attached = 0;
    int rc = read_at(fd, 0, &header, sizeof header);
    for (uint32_t i = 0; rc == 0 && i < geometry->participants; i++) {
        weft__shm_process process;
        rc = read_at(fd, WEFT__SHM_PROCESSES + i * sizeof process, &process, sizeof process);
        if (rc != 0 || WEFT__PROCESS_PHASE(process.state) == WEFT__PHASE_FREE)
            continue;
        int died = is_dead(&process, &self);
        dead += (unsigned)died;
        attached++;
        if (info->member_count < WEFT_SHM_MEMBERS) {
            info->members[info->member_count].pid = (int)WEFT__PROCESS_PID(process.state);
            info->members[info->member_count++].is_dead = died;
        }
    }
    info->arrivals = header.arrivals;
    info->is_idle = attached == dead;
    info->is_dead = attached == dead && (dead > 0 || header.last_was_dead == 1);
    return rc;
}

static int read_control(int fd, const weft__geometry *geometry, weft_shm_info *info)
{
    weft__shm_control control;
    int rc = read_at(fd, geometry->control, &control, sizeof control);
    if (rc != 0)
        return rc;
    uint64_t used = weft__ring_distance(control.head, control.tail);
    info->is_closed = (control.tail & WEFT__CLOSED) != 0 || control.is_closed != 0;
    info->used = used <= geometry->capacity ? used : 0;
    return 0;
}

static int inspect_fd(int fd, weft_shm_info *info)
{
    struct stat status;
    weft__shm_header header;
    weft__geometry geometry;
    if (fstat(fd, &status) != 0)
        return -weft__errno_get();
    if (!S_ISREG(status.st_mode) || read_at(fd, 0, &header, sizeof header) != 0)
        return -EPROTO;
    int rc = weft__header_check(&header, (uint64_t)status.st_size, &geometry);
    if (rc != 0)
        return rc;
    memset(info, 0, sizeof *info);
    info->kind = kind_name(geometry.kind);
    info->bytes = geometry.total_bytes;
    info->elem_bytes = geometry.elem_bytes;
    info->capacity = geometry.capacity;
    info->participants = geometry.participants;
    rc = read_members(fd, &geometry, info);
    if (rc == 0 && geometry.control != 0)
        rc = read_control(fd, &geometry, info);
    return rc;
}

static int open_name(const char *name)
{
    char path[288];
    int rc = weft__segment_path(name, path);
    if (rc != 0)
        return rc;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd >= 0 ? fd : -weft__errno_get();
}

int weft_shm_inspect(const char *name, weft_shm_info *info)
{
    weft_shm_info seen;
    int fd = open_name(name);
    if (fd < 0)
        return fd;
    int rc = inspect_fd(fd, &seen);
    (void)close(fd);
    if (rc == 0)
        *info = seen;
    return rc;
}

int weft_shm_list(int (*visit)(const char *name, void *arg), void *arg)
{
    DIR *folder = opendir(FOLDER);
    if (folder == NULL)
        return -weft__errno_get();
    int rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(folder)) != NULL) {
        char name[sizeof entry->d_name + 1];
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
            continue;
        (void)snprintf(name, sizeof name, "/%s", entry->d_name + strlen(PREFIX));
        rc = visit(name, arg);
    }
    (void)closedir(folder);
    return rc;
}

static int is_removable(int fd, int idle_too)
{
    weft_shm_info info;
    int rc = inspect_fd(fd, &info);
    if (rc != 0)
        return rc;
    return info.is_dead || (idle_too && info.is_idle) ? 0 : -EBUSY;
}

static void put_back(int fd, const char *path)
{
    char from[32];
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    /* If somebody has made the name anew meanwhile, those who hold the old one keep it without. */
    (void)!linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

/* Whether a path still names the file that is open. */
static int is_same(int fd, const char *path)
{
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && lstat(path, &named) == 0 &&
           open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

int weft_shm_remove_dead(const char *name, int idle_too)
{
    char path[288];
    int rc = weft__segment_path(name, path);
    int fd = rc == 0 ? open_name(name) : rc;
    if (fd < 0)
        return fd;
    rc = is_removable(fd, idle_too);
    if (rc == 0 && !is_same(fd, path))
        rc = -EBUSY;
    if (rc == 0 && unlink(path) != 0)
        rc = -weft__errno_get();
    else if (rc == 0 && (rc = is_removable(fd, idle_too)) != 0)
        put_back(fd, path);
    (void)close(fd);
    return rc;
}
