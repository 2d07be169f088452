/* SPDX-License-Identifier: BSD-2-Clause */
/* info.h — what weft found out about the machine and the environment, and what it makes of it.
 *
 *     weft_info info;
 *     if (weft_system_info(&info) == 0)
 *         printf("%u workers, because %s\n", info.workers, info.workers_why);
 *
 * It answers the question that no other runtime answers: why this many workers? `weft info` prints
 * all of it, `weft info --json` for programs. The struct is plain data without pointers, about
 * 16 KiB, too large for the stack of a small fiber. */
#ifndef WEFT_INFO_H
#define WEFT_INFO_H

#include <weft/base.h>
#include <weft/runtime.h>

WEFT_BEGIN_DECLS

#define WEFT_INFO_VARIABLES_MAX 24
#define WEFT_INFO_HINTS_MAX 16
#define WEFT_INFO_WARNINGS_MAX 16

/* What keeps a fiber from running off its stack unnoticed. */
typedef enum weft_guard_mode {
    WEFT_GUARD_MPROTECT = 0, /* a page without access; each costs a mapping of vm.max_map_count */
    WEFT_GUARD_MADVISE,      /* MADV_GUARD_INSTALL (Linux 6.13): costs no mapping */
} weft_guard_mode;

/* What became of a variable of the environment. */
typedef enum weft_variable_state {
    WEFT_VARIABLE_UNSET = 0,
    WEFT_VARIABLE_SET,     /* makes sense; `verdict` says whether it decides */
    WEFT_VARIABLE_BAD,     /* makes no sense; `verdict` says what holds instead */
    WEFT_VARIABLE_UNKNOWN, /* begins with WEFT_, but weft reads no such variable */
} weft_variable_state;

typedef struct weft_info_variable {
    weft_variable_state state;
    char name[40];
    char value[120];   /* cut off if longer */
    char verdict[128]; /* "used", "not set", what is wrong with it */
} weft_info_variable;

typedef struct weft_info {
    char version[16]; /* of the library: "0.1.0" */

    unsigned cpus_online;   /* processors of the machine that run */
    unsigned cpus_allowed;  /* of those, the ones in the calling thread's affinity mask */
    unsigned cpus_usable;   /* as weft_usable_cpus() */
    char allowed_list[256]; /* "0-3,8" */
    double quota_cpus;      /* CPU quota of the cgroup or an ancestor, in CPUs; 0: none */
    char quota_file[512];   /* the file that limits; "": none */

    unsigned workers;      /* of a runtime with default configuration */
    char workers_why[128]; /* why, as the end of a sentence that begins with "because" */

    /* The whole machine, whether we may use it or not; all 0 when built without hwloc. */
    unsigned packages, cores, threads, l3_caches, numa_nodes;
    unsigned core_kinds; /* more than 1: performance and efficiency cores */

    size_t stack_bytes;    /* of a fiber */
    weft_wait_policy wait; /* what idle workers do */
    int64_t spin_ns;       /* 0: never spins; WEFT_FOREVER: never sleeps */
    weft_proc_bind bind;   /* how workers are bound */
    weft_guard_mode guard; /* how stacks are guarded */

    size_t page_bytes;
    int64_t max_map_count; /* vm.max_map_count: mappings a process may have; 0: not known */
    char kernel[96];       /* "Linux 6.1.0-18-amd64 x86_64" */
    char allocator[96];    /* "jemalloc 5.3.0-0-g54eaed1", or "malloc of the C library" */

    int has_membarrier; /* nonzero: thieves can interrupt a long leaf without a cost to its owner */
    int has_epoll;      /* nonzero: the kernel offers it */
    int has_io_uring;   /* nonzero: the kernel offers it and lets us */
    int uses_io_uring;  /* nonzero: weft would wait for files by it; else by epoll */

    unsigned variable_count; /* ours, then others that begin with WEFT_ */
    weft_info_variable variables[WEFT_INFO_VARIABLES_MAX];

    unsigned hint_count; /* what batch systems and other runtimes were told; decides nothing */
    struct {
        char name[40];
        char value[60];
    } hints[WEFT_INFO_HINTS_MAX];

    unsigned warning_count; /* traps found, each a sentence with a remedy */
    char warnings[WEFT_INFO_WARNINGS_MAX][256];
} weft_info;

/**
 * Describe what a runtime with default configuration would be like if it were created now, and why.
 *
 * Nothing is started or printed. The answer is of this moment and of the calling thread's affinity
 * mask.
 *
 * Returns         0; -ENOMEM
 * Context         thread
 * Progress        blocking: reads files, probes system calls
 */
WEFT_API WEFT_NODISCARD int weft_system_info(weft_info *info) WEFT_NONNULL(1);

WEFT_END_DECLS
#endif
