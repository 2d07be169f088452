/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.c — making, checking and mapping shared memory.
 *
 * A segment without a name is a memfd, sealed against shrinking and growing before anybody else can
 * have it: nobody can pull the pages from under a reader. One with a name is made as a file without
 * a name (O_TMPFILE), filled, and linked when it is complete. So nobody ever sees half of one: a
 * maker that is killed leaves nothing behind, there is nothing to be repaired, and of two that make
 * the same name one is told -EEXIST. Named files cannot be sealed; see weft_shm_catch_truncation().
 *
 * All pages are allocated at once, so a full /dev/shm is an error here and not a SIGBUS later.
 *
 * Rejected: create, then lock the file, then fill it, as others do: whoever opens it in between
 * must tell a slow maker from a dead one. */
#include "segment.h"

#include <weft/atomic.h>

#include "alloc.h"
#include "block.h"
#include "owner.h"
#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER "/dev/shm"
#define PARTICIPANTS_DEFAULT 64
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)

/* ---- geometry -------------------------------------------------------------------------------- */

static uint64_t round_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) / to * to;
}

/* From one element to the next. Beside its word, a small one does not cross a cache line, and a
 * larger one begins at a line of its own. */
static uint64_t stride_of(const weft__segment_spec *spec)
{
    uint64_t bytes = round_up(spec->elem_bytes, sizeof(uint64_t));
    if (spec->kind == WEFT__SHM_SPSC)
        return bytes;
    bytes += sizeof(uint64_t);
    for (uint64_t stride = 16; stride <= 64; stride *= 2)
        if (bytes <= stride)
            return stride;
    return round_up(bytes, 64);
}

static int sizes_are_possible(const weft__segment_spec *spec)
{
    uint64_t capacity = spec->capacity;
    if (spec->participants == 0 || spec->participants > WEFT__SHM_PARTICIPANTS_MAX)
        return 0;
    if (capacity == 0 || capacity > WEFT__SHM_BYTES_MAX)
        return 0;
    switch (spec->kind) {
    case WEFT__SHM_MEMORY:
        return spec->elem_bytes == 0;
    case WEFT__SHM_QUEUE:
    case WEFT__SHM_SPSC:
        return (capacity & (capacity - 1)) == 0 && capacity >= 2 && spec->elem_bytes > 0 &&
               spec->elem_bytes <= UINT32_MAX && capacity <= WEFT__SHM_BYTES_MAX / stride_of(spec);
    case WEFT__SHM_PIPE:
        return (capacity & (capacity - 1)) == 0 && capacity >= 4 && capacity <= UINT32_MAX &&
               spec->elem_bytes > 0 &&
               spec->elem_bytes + WEFT__MESSAGE_PREFIX <= capacity / 2 * WEFT__GRANULE;
    default:
        return 0;
    }
}

int weft__geometry_make(weft__geometry *geometry, const weft__segment_spec *spec)
{
    if (!sizes_are_possible(spec))
        return -EINVAL;
    weft__geometry made = {.kind = spec->kind,
                           .participants = spec->participants,
                           .elem_bytes = spec->elem_bytes,
                           .capacity = spec->capacity,
                           .stride = 1};
    uint64_t table = (uint64_t)spec->participants * WEFT__SHM_LINE;
    uint64_t end = WEFT__SHM_PROCESSES + table;
    if (spec->kind != WEFT__SHM_MEMORY) {
        made.seats = end;
        made.control = end + table;
        end = made.control + sizeof(weft__shm_control);
        made.stride = stride_of(spec);
    }
    if (spec->kind == WEFT__SHM_PIPE) {
        made.words = end;
        end += spec->capacity * sizeof(uint64_t);
        made.stride = WEFT__GRANULE;
    }
    made.body = round_up(end, WEFT__SHM_PAGE);
    made.total_bytes = round_up(made.body + spec->capacity * made.stride, WEFT__SHM_PAGE);
    if (spec->kind == WEFT__SHM_QUEUE)
        made.words = made.body + made.stride - sizeof(uint64_t); /* the last of each element */
    *geometry = made;
    return 0;
}

/* ---- header ---------------------------------------------------------------------------------- */

static uint32_t crc32c(const void *data, size_t bytes)
{
    const unsigned char *byte = data;
    uint32_t crc = ~UINT32_C(0);
    for (size_t i = 0; i < bytes; i++) {
        crc ^= byte[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static void header_fill(weft__shm_header *header, const weft__geometry *geometry)
{
    weft__identity self = weft__identity_self();
    header->magic = WEFT__SHM_MAGIC;
    header->major = WEFT__SHM_MAJOR;
    header->minor = WEFT__SHM_MINOR;
    header->byte_order = WEFT__SHM_ORDER;
    header->kind = geometry->kind;
    header->participants = geometry->participants;
    header->elem_bytes = geometry->elem_bytes;
    header->capacity = geometry->capacity;
    header->total_bytes = geometry->total_bytes;
    header->maker_pid = self.pid;
    header->maker_ns = self.pid_ns;
    header->maker_started = self.started;
    header->checksum = crc32c(header, offsetof(weft__shm_header, checksum));
}

int weft__header_check(const weft__shm_header *header, uint64_t file_bytes, weft__geometry *out)
{
    weft__shm_header copy;
    weft__geometry geometry;
    memcpy(&copy, header, sizeof copy); /* judged and used is the copy: the original may change */
    if (copy.magic != WEFT__SHM_MAGIC || copy.byte_order != WEFT__SHM_ORDER)
        return -EPROTO;
    if (copy.major != WEFT__SHM_MAJOR || copy.state != WEFT__SHM_READY)
        return -EPROTO;
    if (copy.checksum != crc32c(&copy, offsetof(weft__shm_header, checksum)))
        return -EPROTO;
    weft__segment_spec spec = {.kind = copy.kind,
                               .participants = copy.participants,
                               .elem_bytes = copy.elem_bytes,
                               .capacity = copy.capacity};
    if (weft__geometry_make(&geometry, &spec) != 0)
        return -EPROTO;
    if (geometry.total_bytes != copy.total_bytes || geometry.total_bytes != file_bytes)
        return -EPROTO;
    *out = geometry;
    return 0;
}

/* ---- mapping --------------------------------------------------------------------------------- */

static weft__segment *segment_new(int fd, const weft__geometry *geometry)
{
    weft__segment *segment = weft__alloc(sizeof *segment);
    if (segment == NULL)
        return NULL;
    memset(segment, 0, sizeof *segment);
    segment->fd = fd;
    segment->geometry = *geometry;
    return segment;
}

/* Map the whole of it: 0 or a negative errno. */
static int segment_map(weft__segment *segment)
{
    size_t bytes = (size_t)segment->geometry.total_bytes;
    if (weft__fault())
        return -ENOMEM;
    char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment->fd, 0);
    if (base == MAP_FAILED)
        return -weft__errno_get();
    segment->base = base;
    segment->header = (weft__shm_header *)(void *)base;
    segment->processes = (weft__shm_process *)(void *)(base + WEFT__SHM_PROCESSES);
    segment->seats = (weft__shm_seat *)(void *)(base + segment->geometry.seats);
    return 0;
}

static void segment_free(weft__segment *segment)
{
    if (segment->base != NULL)
        (void)munmap(segment->base, (size_t)segment->geometry.total_bytes);
    if (segment->fd >= 0)
        (void)close(segment->fd);
    weft__free(segment);
}

/* ---- making ---------------------------------------------------------------------------------- */

int weft__segment_path(const char *name, char path[static 288])
{
    size_t bytes = strlen(name);
    if (bytes < 2 || bytes > 240 || name[0] != '/' || strchr(name + 1, '/') != NULL)
        return -EINVAL;
    (void)snprintf(path, 288, FOLDER "/weft.%s", name + 1);
    return 0;
}

static int open_without_name(const char *name)
{
    int fd = name == NULL ? memfd_create("weft", MFD_CLOEXEC | MFD_ALLOW_SEALING)
                          : open(FOLDER, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : -weft__errno_get();
}

/* Every page, now: -ENOSPC here rather than SIGBUS later. */
static int allocate(int fd, uint64_t bytes)
{
    if (weft__fault())
        return -ENOSPC;
    int rc;
    do
        rc = -posix_fallocate(fd, 0, (off_t)bytes);
    while (rc == -EINTR);
    return rc;
}

/* The last step: seal it, or give it its name. */
static int make_known(weft__segment *segment, const char *name)
{
    char from[32], to[288];
    if (name == NULL)
        return fcntl(segment->fd, F_ADD_SEALS, SEALS | F_SEAL_SEAL) == 0 ? 0 : -weft__errno_get();
    int rc = weft__segment_path(name, to);
    if (rc != 0)
        return rc;
    (void)snprintf(from, sizeof from, "/proc/self/fd/%d", segment->fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, to, AT_SYMLINK_FOLLOW) != 0)
        return -weft__errno_get();
    (void)snprintf(segment->name, sizeof segment->name, "%s", name);
    return 0;
}

static int fill_and_make_known(weft__segment *segment, const char *name, weft__segment_fill *fill)
{
    int rc = allocate(segment->fd, segment->geometry.total_bytes);
    if (rc == 0)
        rc = segment_map(segment);
    if (rc != 0)
        return rc;
    header_fill(segment->header, &segment->geometry);
    if (fill != NULL)
        fill(&segment->geometry, segment->base);
    /* edge shm.ready (release): whoever reads READY sees all that was filled in before. */
    weft__store_release(&segment->header->state, WEFT__SHM_READY);
    rc = weft__member_join(segment);
    return rc == 0 ? make_known(segment, name) : rc;
}

int weft__segment_create(weft__segment **out, const char *name, const weft__segment_spec *spec,
                         weft__segment_fill *fill)
{
    weft__geometry geometry;
    weft__segment_spec full = *spec;
    char path[288];
    if (full.participants == 0)
        full.participants = PARTICIPANTS_DEFAULT;
    int rc = weft__geometry_make(&geometry, &full);
    if (rc == 0 && name != NULL)
        rc = weft__segment_path(name, path);
    if (rc != 0)
        return rc;
    int fd = open_without_name(name);
    if (fd < 0)
        return fd;
    weft__segment *segment = segment_new(fd, &geometry);
    if (segment == NULL) {
        (void)close(fd);
        return -ENOMEM;
    }
    segment->is_ours = 1;
    rc = fill_and_make_known(segment, name, fill);
    if (rc != 0) {
        segment_free(segment);
        return rc;
    }
    weft__segment_enter(segment);
    *out = segment;
    return 0;
}

/* ---- attaching ------------------------------------------------------------------------------- */

static int matches(const weft__geometry *geometry, const weft__segment_spec *spec)
{
    if (spec->kind != 0 && spec->kind != geometry->kind)
        return -EPROTO;
    if (spec->elem_bytes != 0 && spec->elem_bytes != geometry->elem_bytes)
        return -EMSGSIZE;
    return spec->capacity == 0 || spec->capacity == geometry->capacity ? 0 : -EMSGSIZE;
}

/* Read the header through the descriptor, not through a mapping: a file that is cut off meanwhile
 * is a short read. */
static int check_file(int fd, weft__geometry *geometry)
{
    struct stat status;
    weft__shm_header header;
    if (fstat(fd, &status) != 0)
        return -weft__errno_get();
    if (!S_ISREG(status.st_mode) || status.st_size < (off_t)sizeof header)
        return -EPROTO;
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header)
        return -EPROTO;
    return weft__header_check(&header, (uint64_t)status.st_size, geometry);
}

/* Takes the descriptor over. */
static int attach(weft__segment **out, int fd, const char *name, const weft__segment_spec *spec)
{
    weft__geometry geometry;
    weft__segment *segment = NULL;
    int rc = check_file(fd, &geometry);
    if (rc == 0)
        rc = matches(&geometry, spec);
    if (rc == 0 && (segment = segment_new(fd, &geometry)) == NULL)
        rc = -ENOMEM;
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    rc = segment_map(segment);
    /* edge shm.ready (acquire): the maker's filling; the name or the descriptor came after it */
    if (rc == 0 && weft__load_acquire(&segment->header->state) != WEFT__SHM_READY)
        rc = -EPROTO;
    if (rc == 0)
        rc = weft__member_join(segment);
    if (rc != 0) {
        segment_free(segment);
        return rc;
    }
    (void)snprintf(segment->name, sizeof segment->name, "%s", name);
    weft__segment_enter(segment);
    *out = segment;
    return 0;
}

/* Somebody else's file may hold anything, and hear everything. */
static int check_owner(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -weft__errno_get();
    return status.st_uid == geteuid() ? 0 : -EACCES;
}

static int has_name(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && status.st_nlink > 0;
}

int weft__segment_open(weft__segment **out, const char *name, const weft__segment_spec *spec)
{
    char path[288];
    int rc = weft__segment_path(name, path);
    if (rc != 0)
        return rc;
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return -weft__errno_get();
    rc = check_owner(fd);
    if (rc != 0) {
        (void)close(fd);
        return rc;
    }
    rc = attach(out, fd, name, spec);
    if (rc == 0 && !has_name((*out)->fd)) {
        weft__segment_detach(*out, 0);
        return -ENOENT; /* removed between open and join: see inspect.c */
    }
    return rc;
}

int weft__segment_attach(weft__segment **out, int fd, const weft__segment_spec *spec)
{
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0)
        return weft__errno_get() == EBADF ? -EBADF : -EPROTO;
    if ((seals & SEALS) != SEALS)
        return -EPROTO; /* its owner could cut it off while we read */
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0)
        return -weft__errno_get();
    return attach(out, own, "", spec);
}

void weft__segment_detach(weft__segment *segment, int is_killed)
{
    weft__segment_leave(segment);
    weft__member_leave(segment, is_killed);
    weft__block_now()->forget_words(segment->base, (size_t)segment->geometry.total_bytes);
    segment_free(segment);
}

int weft__segment_unlink(const char *name)
{
    char path[288];
    int rc = weft__segment_path(name, path);
    if (rc != 0)
        return rc;
    return unlink(path) == 0 ? 0 : -weft__errno_get();
}
