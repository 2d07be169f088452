/* SPDX-License-Identifier: BSD-2-Clause */
/* layout.h — every byte that weft puts into shared memory, version 2.0.
 *
 *     0          header        what it is; constant once READY, but for its last lines
 *     4096       processes     who is attached: 128 bytes each
 *                seats         who is doing something: 128 bytes each (queues only)
 *                control       positions and doorbells (queues only)
 *                words         one word for each granule (pipes only)
 *     n * 4096   body           elements (of many-to-many queues, with their words), granules, or
 *                               the user's bytes
 *
 * There are no pointers in it, only indices and positions, so that each process may map it where it
 * likes. No process believes what another has written: the constant part is checked once and copied
 * (segment.c), everything else is checked where it is read. LAYOUT.md says it in words.
 *
 * Any change of what is below needs another version: processes of different versions refuse each
 * other. */
#ifndef WEFT_IPC_LAYOUT_H
#define WEFT_IPC_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT__SHM_MAGIC UINT64_C(0x314d485354464557) /* "WEFTSHM1", little-endian */
#define WEFT__SHM_MAJOR 2
#define WEFT__SHM_MINOR 0
#define WEFT__SHM_ORDER UINT32_C(0x04030201)
#define WEFT__SHM_PAGE 4096
#define WEFT__SHM_LINE 128 /* two cache lines: neighbours are fetched in pairs */
#define WEFT__SHM_BYTES_MAX ((uint64_t)1 << 46)
#define WEFT__SHM_PARTICIPANTS_MAX 1023

enum weft__shm_kind {
    WEFT__SHM_MEMORY = 1, /* the user's bytes */
    WEFT__SHM_QUEUE = 2,  /* elements of one size, any number of producers and consumers */
    WEFT__SHM_SPSC = 3,   /* elements of one size, one producer, one consumer */
    WEFT__SHM_PIPE = 4,   /* messages of any size, any number of producers and consumers */
};

enum weft__shm_state {
    WEFT__SHM_INIT = 0, /* being made; has no name yet */
    WEFT__SHM_READY = 1,
};

typedef struct weft__shm_header {
    uint64_t magic;         /* constant from here … */
    uint16_t major;         /* of the layout */
    uint16_t minor;         /* of the layout */
    uint32_t byte_order;    /* WEFT__SHM_ORDER as its maker stores it */
    uint32_t kind;          /* enum weft__shm_kind */
    uint32_t participants;  /* entries in each of the two tables */
    uint64_t elem_bytes;    /* of an element; of the longest message; 0 for memory */
    uint64_t capacity;      /* elements; granules; bytes: a power of two unless memory */
    uint64_t total_bytes;   /* of the segment */
    uint64_t maker_pid;     /* for people who look: who made it … */
    uint64_t maker_ns;      /* … in which namespace of process ids … */
    uint64_t maker_started; /* … and when that process had started */
    uint32_t checksum;      /* … to here: CRC-32C of all of the above */
    uint32_t state;         /* enum weft__shm_state; stored last by the maker */
    uint8_t unused_[40];
    uint32_t deaths;        /* processes proved dead; whoever proves it adds one and wakes all */
    uint32_t arrivals;      /* attached, or left with something open: they add one and wake all */
    uint32_t is_coarse;     /* 1: somebody cannot be reached by membarrier(); sleep briefly only */
    uint32_t last_was_dead; /* 1: the process that left last was killed; 0 again on an arrival */
    uint8_t unused2_[120];
} weft__shm_header;

static_assert(offsetof(weft__shm_header, magic) == 0, "layout");
static_assert(offsetof(weft__shm_header, major) == 8, "layout");
static_assert(offsetof(weft__shm_header, minor) == 10, "layout");
static_assert(offsetof(weft__shm_header, byte_order) == 12, "layout");
static_assert(offsetof(weft__shm_header, kind) == 16, "layout");
static_assert(offsetof(weft__shm_header, participants) == 20, "layout");
static_assert(offsetof(weft__shm_header, elem_bytes) == 24, "layout");
static_assert(offsetof(weft__shm_header, capacity) == 32, "layout");
static_assert(offsetof(weft__shm_header, total_bytes) == 40, "layout");
static_assert(offsetof(weft__shm_header, maker_pid) == 48, "layout");
static_assert(offsetof(weft__shm_header, maker_ns) == 56, "layout");
static_assert(offsetof(weft__shm_header, maker_started) == 64, "layout");
static_assert(offsetof(weft__shm_header, checksum) == 72, "layout");
static_assert(offsetof(weft__shm_header, state) == 76, "layout");
static_assert(offsetof(weft__shm_header, deaths) == 120, "layout");
static_assert(offsetof(weft__shm_header, arrivals) == 124, "layout");
static_assert(offsetof(weft__shm_header, is_coarse) == 128, "layout");
static_assert(offsetof(weft__shm_header, last_was_dead) == 132, "layout");
static_assert(sizeof(weft__shm_header) == 256, "layout");

/* An attached process. `state` packs generation:24 | phase:8 | pid:32; the other fields are
 * written between JOINING and LIVE, and constant while the generation lasts. */
typedef struct weft__shm_process {
    uint64_t state;   /* compare-and-swap by everybody */
    uint64_t started; /* clock ticks after boot, field 22 of /proc/PID/stat; or WEFT__LEFT */
    uint64_t boot;    /* hash of the boot's id */
    uint64_t pid_ns;  /* inode of the namespace in which the pid means something */
    uint8_t unused_[96];
} weft__shm_process;

static_assert(offsetof(weft__shm_process, state) == 0, "layout");
static_assert(offsetof(weft__shm_process, started) == 8, "layout");
static_assert(offsetof(weft__shm_process, boot) == 16, "layout");
static_assert(offsetof(weft__shm_process, pid_ns) == 24, "layout");
static_assert(sizeof(weft__shm_process) == WEFT__SHM_LINE, "layout");

enum weft__phase {
    WEFT__PHASE_FREE = 0,
    WEFT__PHASE_JOINING = 1, /* identity not yet complete; its pid is */
    WEFT__PHASE_LIVE = 2,
    WEFT__PHASE_DEAD = 3, /* proved dead; what it has left behind is being seen to */
};

/* In `started`, when no process ever did: a LIVE one has left, with something open that others are
 * to settle. */
#define WEFT__LEFT UINT64_MAX

#define WEFT__PROCESS_STATE(generation, phase, pid)                                                \
    ((uint64_t)(generation) << 40 | (uint64_t)(phase) << 32 | (uint32_t)(pid))
#define WEFT__PROCESS_GENERATION(state) ((uint32_t)((state) >> 40))
#define WEFT__PROCESS_PHASE(state) ((uint32_t)((state) >> 32) & 0xff)
#define WEFT__PROCESS_PID(state) ((uint32_t)(state))

/* A process as others refer to it: its generation, and its index plus one; 0 is nobody. */
#define WEFT__MEMBER(generation, index) ((uint64_t)(generation) << 32 | ((index) + 1))
#define WEFT__MEMBER_INDEX(member) ((uint32_t)(member)-1)
#define WEFT__MEMBER_GENERATION(member) ((uint32_t)((member) >> 32))

/* A place from which one operation at a time is done. */
typedef struct weft__shm_seat {
    uint64_t owner;  /* a member, or 0; compare-and-swap by everybody */
    uint64_t intent; /* position:62 | role:2, or 0; the owner's alone */
    uint64_t span;   /* how many positions from there; the owner's alone */
    uint8_t unused_[104];
} weft__shm_seat;

static_assert(offsetof(weft__shm_seat, owner) == 0, "layout");
static_assert(offsetof(weft__shm_seat, intent) == 8, "layout");
static_assert(offsetof(weft__shm_seat, span) == 16, "layout");
static_assert(sizeof(weft__shm_seat) == WEFT__SHM_LINE, "layout");

enum weft__role { WEFT__PRODUCER = 1, WEFT__CONSUMER = 2 };

#define WEFT__INTENT(role, position) ((uint64_t)(position) << 2 | (role))
#define WEFT__INTENT_ROLE(intent) ((unsigned)((intent)&3))
#define WEFT__INTENT_POSITION(intent) ((intent) >> 2)

/* The word of a slot. Positions count from 0 and are never used twice; p lies in slot p modulo
 * capacity. TAKEN and CLAIM carry the low 46 bits of their position, the others 62. */
#define WEFT__FREE(p) ((uint64_t)(p) << 2)      /* nothing yet */
#define WEFT__READY(p) ((uint64_t)(p) << 2 | 1) /* the element is there */
#define WEFT__VOID(p) ((uint64_t)(p) << 2 | 2)  /* there will be none */
#define WEFT__TAKEN(p, seat) ((uint64_t)(p) << 18 | (uint64_t)(seat) << 2 | 3) /* once more */
#define WEFT__CLAIM(p, seat)                                                                       \
    (WEFT__TAKEN(p, seat) | (uint64_t)1 << 17) /* of a pipe: being filled */
#define WEFT__WORD_PHASE(word) ((unsigned)((word)&3))
#define WEFT__TAKEN_SEAT(word) ((uint32_t)((word) >> 2) & 0x7fff)

/* A doorbell: what sleepers sleep on. */
typedef struct weft__shm_bell {
    uint32_t rung;  /* grows with each ring; the futex */
    uint32_t armed; /* version:31 | somebody may be asleep:1 */
} weft__shm_bell;

#define WEFT__ECHO_BYTES 24 /* of the longest element that is echoed: two of them beside tail */

typedef struct weft__shm_control {
    uint64_t tail; /* next position to be claimed by a producer, and one of the bits below */
    uint64_t echo[2][WEFT__ECHO_BYTES / 8]; /* of a one-to-one ring: see spsc.h */
    uint64_t unused_tail_[9];
    uint64_t head; /* next position to be claimed by a consumer */
    uint64_t unused_head_[15];
    weft__shm_bell data; /* rung when something has come */
    uint32_t is_closed;  /* of a one-to-one ring, whose tail is its producer's alone */
    uint32_t unused_data_[29];
    weft__shm_bell space; /* rung when something has gone */
    uint64_t unused_space_[15];
    uint64_t producer; /* of a one-to-one ring: the member who may push */
    uint64_t consumer; /* of a one-to-one ring: the member who may pop */
    uint64_t unused_roles_[14];
} weft__shm_control;

static_assert(offsetof(weft__shm_control, tail) == 0, "layout");
static_assert(offsetof(weft__shm_control, echo) == 8, "layout");
static_assert(sizeof(uint64_t) + 2 * WEFT__ECHO_BYTES <= 64, "tail and echoes are on one line");
static_assert(offsetof(weft__shm_control, head) == 128, "layout");
static_assert(offsetof(weft__shm_control, data) == 256, "layout");
static_assert(offsetof(weft__shm_control, is_closed) == 264, "layout");
static_assert(offsetof(weft__shm_control, space) == 384, "layout");
static_assert(offsetof(weft__shm_control, producer) == 512, "layout");
static_assert(offsetof(weft__shm_control, consumer) == 520, "layout");
static_assert(sizeof(weft__shm_control) == 640, "layout");

/* In tail, beside the position. */
#define WEFT__CLOSED ((uint64_t)1 << 63) /* no push begins any more */
#define WEFT__ECHO ((uint64_t)1 << 62)   /* of a one-to-one ring: the last element has an echo */
#define WEFT__POSITION(tail) ((tail) & (WEFT__ECHO - 1))

/* A granule of a pipe, and what its first one begins with. */
#define WEFT__GRANULE 64
#define WEFT__MESSAGE(bytes, granules) ((uint64_t)(granules) << 32 | (uint32_t)(bytes))
#define WEFT__MESSAGE_BYTES(prefix) ((uint32_t)(prefix))
#define WEFT__MESSAGE_GRANULES(prefix) ((uint32_t)((prefix) >> 32))
#define WEFT__MESSAGE_PREFIX 8

#endif
