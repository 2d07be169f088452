/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.c — the memory a pool shares with its workers. */
#include "procpool/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Where each part begins. */
typedef struct offsets {
    size_t desks;
    size_t entries;
    size_t done;
    size_t records;
    size_t types;
    size_t regions;
    size_t end;
} offsets;

static size_t round_up(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

static offsets lay_out(const weft__geometry *geometry)
{
    size_t records = geometry->record_count;
    size_t workers = geometry->worker_count;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    offsets at;
    at.desks = sizeof(weft__board_words);
    at.entries = at.desks + workers * sizeof(weft__desk);
    at.done = round_up(at.entries + records * sizeof(uint64_t), 128);
    at.records = round_up(at.done + workers * records * sizeof(uint32_t), 256);
    at.types = at.records + records * sizeof(weft__record);
    at.regions = round_up(at.types + sizeof(weft__types), page);
    at.end = at.regions + records * geometry->region_bytes;
    return at;
}

static int map(weft__pool_segment *segment, const weft__geometry *geometry, int file)
{
    offsets at = lay_out(geometry);
    if (weft__fault())
        return -ENOMEM;
    char *memory = mmap(NULL, at.end, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file, 0);
    if (memory == MAP_FAILED)
        return -errno;
    (void)madvise(memory + at.regions, at.end - at.regions, MADV_DONTDUMP);
    *segment =
        (weft__pool_segment){.board = {.words = (weft__board_words *)(void *)memory,
                                       .desks = (weft__desk *)(void *)(memory + at.desks),
                                       .entries = (uint64_t *)(void *)(memory + at.entries),
                                       .done = (uint32_t *)(void *)(memory + at.done),
                                       .records = (weft__record *)(void *)(memory + at.records),
                                       .record_count = geometry->record_count,
                                       .worker_count = geometry->worker_count},
                             .types = (weft__types *)(void *)(memory + at.types),
                             .regions = (unsigned char *)memory + at.regions,
                             .geometry = *geometry,
                             .file = file,
                             .memory = memory,
                             .bytes = at.end};
    return 0;
}

int weft__pool_segment_create(weft__pool_segment *segment, const weft__geometry *geometry)
{
    if (weft__fault())
        return -EMFILE;
    int file = memfd_create("weft-procpool", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0)
        return -errno;
    offsets at = lay_out(geometry);
    int rc = 0;
    size_t needed = at.types + offsetof(weft__types, all);
    if (ftruncate(file, (off_t)at.end) != 0 ||
        fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
        fallocate(file, 0, 0, (off_t)needed) != 0)
        rc = -errno;
    if (rc == 0)
        rc = map(segment, geometry, file);
    if (rc != 0) {
        (void)close(file);
        return rc;
    }
    segment->board.words->head = 1; /* relaxed: nobody else knows the board yet */
    return 0;
}

int weft__pool_segment_attach(weft__pool_segment *segment, const weft__geometry *geometry, int file)
{
    if ((size_t)lseek(file, 0, SEEK_END) != lay_out(geometry).end)
        return -EPROTO;
    return map(segment, geometry, file);
}

void weft__pool_segment_destroy(weft__pool_segment *segment)
{
    (void)munmap(segment->memory, segment->bytes);
    (void)close(segment->file);
}

static off_t offset_of(const weft__pool_segment *segment, const void *place)
{
    return (const unsigned char *)place - (const unsigned char *)segment->memory;
}

static off_t region_offset(const weft__pool_segment *segment, uint32_t index)
{
    return offset_of(segment, weft__pool_segment_task(segment, index, 1));
}

/* A page that there is no memory for must be an error here, not a signal at its first use. */
static int reserve(const weft__pool_segment *segment, off_t offset, size_t bytes)
{
    if (weft__fault())
        return -ENOMEM;
    return fallocate(segment->file, 0, offset, (off_t)bytes) != 0 ? -errno : 0;
}

int weft__pool_segment_reserve(weft__pool_segment *segment, uint32_t index, size_t bytes)
{
    return reserve(segment, region_offset(segment, index), bytes);
}

int weft__pool_segment_reserve_type(weft__pool_segment *segment, uint32_t number)
{
    weft__symbol *symbol = &segment->types->all[number];
    return reserve(segment, offset_of(segment, symbol), sizeof(*symbol));
}

void weft__pool_segment_release(weft__pool_segment *segment, uint32_t index, size_t bytes)
{
    (void)fallocate(segment->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                    region_offset(segment, index), (off_t)bytes);
}

void weft__bell_wait(const uint32_t *bell, uint32_t seen)
{
    /* Not the private kind, which would never wake another process. */
    (void)syscall(SYS_futex, bell, FUTEX_WAIT, seen, NULL, NULL, 0);
}

void weft__bell_ring(uint32_t *bell)
{
    /* edge board.bell (acq_rel): what was written before, such as that the pool is closing */
    (void)weft__fetch_add_acq_rel(bell, 1);
    (void)syscall(SYS_futex, bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}
