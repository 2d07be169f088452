/* SPDX-License-Identifier: BSD-2-Clause */
/* info.c — what weft found out about the machine and the environment, and which traps it sees.
 *
 * Nothing is decided here: the numbers are those a runtime would get, from the same functions. What
 * the kernel offers is probed by using it, never concluded from its version: distributions port
 * features back, and seccomp filters of containers take them away.
 *
 * A warning needs a remedy, and a reason to believe that it is meant: variables of batch systems
 * and MPI are read for hints only, for they are inherited by programs they were not meant for. */
#include <weft/info.h>

#include "alloc.h"
#include "sched/settings.h"
#include "sched/topology.h"
#include "sys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* <sys/mman.h> of Debian 12 does not know it. */
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

/* Below this, printf() of a floating-point number on a fiber is already a risk. */
#define STACK_BYTES_WISE ((size_t)64 << 10)

extern char **environ;

/* What others were told, in the order in which it is shown. */
static const char *const hint_names[] = {
    "SLURM_CPUS_PER_TASK", "SLURM_NTASKS", "SLURM_CPU_BIND",       "OMP_NUM_THREADS",
    "OMP_PROC_BIND",       "OMP_PLACES",   "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MPI_LOCALNRANKS",     "PMI_SIZE",
};

/* ---- probes --------------------------------------------------------------------------------- */

static weft_guard_mode probe_guard(size_t page_bytes)
{
    void *page = mmap(NULL, page_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    int rc;

    if (page == MAP_FAILED)
        return WEFT_GUARD_MPROTECT;
    rc = madvise(page, page_bytes, MADV_GUARD_INSTALL);
    munmap(page, page_bytes);
    return rc == 0 ? WEFT_GUARD_MADVISE : WEFT_GUARD_MPROTECT;
}

static int probe_epoll(void)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* Asks for a ring without saying how: a kernel that offers rings finds fault with the pointer, one
 * that does not, or a filter, refuses the call itself. */
static int probe_io_uring(void)
{
    long rc = syscall(SYS_io_uring_setup, 1, NULL);
    if (rc >= 0)
        close((int)rc);
    return rc >= 0 || errno == EFAULT;
}

static int64_t read_max_map_count(void)
{
    FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
    long long count = 0;

    if (file == NULL)
        return 0;
    if (fscanf(file, "%lld", &count) != 1 || count < 0)
        count = 0;
    fclose(file);
    return count;
}

static void read_system(weft_info *info)
{
    struct utsname name;
    const char *jemalloc = NULL;
    size_t bytes = sizeof(jemalloc);

    snprintf(info->version, sizeof(info->version), "%s", weft_version());
    if (uname(&name) == 0)
        snprintf(info->kernel, sizeof(info->kernel), "%.24s %.40s %.24s", name.sysname,
                 name.release, name.machine);
    if (mallctl != NULL && mallctl("version", &jemalloc, &bytes, NULL, 0) == 0)
        snprintf(info->allocator, sizeof(info->allocator), "jemalloc %.80s", jemalloc);
    else
        snprintf(info->allocator, sizeof(info->allocator), "malloc of the C library");
    info->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    info->max_map_count = read_max_map_count();
    info->guard = probe_guard(info->page_bytes);
    info->has_membarrier = weft__membarrier_register() == 0;
    info->has_epoll = probe_epoll();
    info->has_io_uring = probe_io_uring();
}

/* ---- what was resolved ---------------------------------------------------------------------- */

static void copy_settings(weft_info *info, const struct weft__settings *s)
{
    struct weft__topology topology = weft__topology_count();

    info->cpus_online = s->limits.online;
    info->cpus_allowed = s->limits.allowed;
    info->cpus_usable = s->limits.usable;
    weft__cpuset_format(&s->limits.allowed_set, info->allowed_list, sizeof(info->allowed_list));
    info->quota_cpus = s->limits.quota_cpus;
    memcpy(info->quota_file, s->limits.quota_file, sizeof(info->quota_file));
    info->workers = s->workers;
    memcpy(info->workers_why, s->workers_why, sizeof(info->workers_why));
    info->packages = topology.packages;
    info->cores = topology.cores;
    info->threads = topology.threads;
    info->l3_caches = topology.caches;
    info->numa_nodes = topology.numa_nodes;
    info->core_kinds = topology.kinds;
    info->stack_bytes = s->stack_bytes;
    info->wait = s->wait;
    info->spin_ns = s->spin_ns;
    info->uses_io_uring = s->is_uring;
    info->bind = s->bind;
}

/* Adds a variable and answers it; NULL when there are too many. */
static weft_info_variable *add_variable(weft_info *info, size_t name_length, const char *name)
{
    weft_info_variable *variable;

    if (info->variable_count == WEFT_INFO_VARIABLES_MAX)
        return NULL;
    variable = &info->variables[info->variable_count++];
    snprintf(variable->name, sizeof(variable->name), "%.*s", (int)name_length, name);
    return variable;
}

static void copy_environment(weft_info *info, const struct weft__environment *environment)
{
    for (int i = 0; i < WEFT__VARIABLES; i++) {
        const struct weft__verdict *verdict = &environment->verdict[i];
        const char *name = weft__variable_name[i];
        weft_info_variable *variable = add_variable(info, strlen(name), name);
        if (variable == NULL)
            return;
        variable->state = verdict->bad             ? WEFT_VARIABLE_BAD
                          : verdict->value != NULL ? WEFT_VARIABLE_SET
                                                   : WEFT_VARIABLE_UNSET;
        snprintf(variable->value, sizeof(variable->value), "%s",
                 verdict->value != NULL ? verdict->value : "");
        snprintf(variable->verdict, sizeof(variable->verdict), "%s", verdict->text);
    }
}

/* Lists variables that somebody set for weft and weft does not read: mostly typing errors. */
static void find_unknown_variables(weft_info *info)
{
    unsigned known = info->variable_count;

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t length = strcspn(*entry, "=");
        weft_info_variable *variable;
        bool ours = false;

        if (strncmp(*entry, "WEFT_", 5) != 0)
            continue;
        for (unsigned i = 0; i < known; i++)
            ours = ours || (strlen(info->variables[i].name) == length &&
                            strncmp(info->variables[i].name, *entry, length) == 0);
        variable = ours ? NULL : add_variable(info, length, *entry);
        if (variable == NULL)
            continue;
        variable->state = WEFT_VARIABLE_UNKNOWN;
        if ((*entry)[length] == '=')
            snprintf(variable->value, sizeof(variable->value), "%s", *entry + length + 1);
        snprintf(variable->verdict, sizeof(variable->verdict), "weft reads no such variable");
    }
}

static void find_hints(weft_info *info)
{
    for (size_t i = 0; i < LENGTH(hint_names); i++) {
        const char *value = getenv(hint_names[i]);
        if (value == NULL || info->hint_count == WEFT_INFO_HINTS_MAX)
            continue;
        snprintf(info->hints[info->hint_count].name, sizeof(info->hints[0].name), "%s",
                 hint_names[i]);
        snprintf(info->hints[info->hint_count].value, sizeof(info->hints[0].value), "%s", value);
        info->hint_count++;
    }
}

/* ---- traps ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void warn(weft_info *info, const char *format, ...)
{
    va_list arguments;

    if (info->warning_count == WEFT_INFO_WARNINGS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(info->warnings[info->warning_count++], sizeof(info->warnings[0]), format, arguments);
    va_end(arguments);
}

/* Reads a positive number from a variable of others; 0 if there is none. */
static unsigned number_of(const char *name)
{
    const char *value = getenv(name);
    long number = value != NULL ? strtol(value, NULL, 10) : 0;
    return number > 0 && number < 1000000 ? (unsigned)number : 0;
}

/* Answers how many ranks of an MPI program run on this machine; 0 or 1 if none or not known. */
static unsigned local_ranks(void)
{
    unsigned open_mpi = number_of("OMPI_COMM_WORLD_LOCAL_SIZE");
    return open_mpi != 0 ? open_mpi : number_of("MPI_LOCALNRANKS");
}

static void check_processors(weft_info *info)
{
    unsigned ranks = local_ranks();

    if (info->cpus_allowed == 1 && info->cpus_online > 1 && ranks > 1)
        warn(info,
             "this MPI rank may use 1 of %u CPUs, so it gets one worker: start with "
             "--bind-to none or --map-by ppr:1:node:pe=%u",
             info->cpus_online, info->cpus_online);
    else if (info->cpus_allowed == 1 && info->cpus_online > 1)
        warn(info,
             "only CPU %s may be used while %u are online: look for taskset, a cpuset, or a batch "
             "system that granted one CPU",
             info->allowed_list, info->cpus_online);
    if (ranks > 1 && info->cpus_allowed > 1 && info->cpus_allowed == info->cpus_online &&
        ranks * info->workers > info->cpus_online)
        warn(info,
             "%u MPI ranks on this machine share its %u CPUs and would start %u workers each: set "
             "WEFT_NUM_WORKERS=%u or bind each rank to its own CPUs",
             ranks, info->cpus_online, info->workers,
             info->cpus_online > ranks ? info->cpus_online / ranks : 1);
    if (ranks > 1 && info->cpus_allowed == info->cpus_online && info->bind != WEFT_BIND_FALSE)
        warn(info,
             "workers of %u MPI ranks are bound to the same CPUs: unset WEFT_PROC_BIND or "
             "bind each rank to its own CPUs",
             ranks);
}

static void check_quota(weft_info *info)
{
    if (info->quota_cpus > 0 && info->quota_cpus < 1)
        warn(info, "the quota grants %.3g CPUs: even one worker is stopped %.0f %% of the time",
             info->quota_cpus, 100 * (1 - info->quota_cpus));
    else if (info->quota_cpus > 0 && info->quota_cpus < info->cpus_allowed)
        warn(info,
             "the quota grants %.4g CPUs though %u may be used: more workers than that are "
             "stopped in turns, so weft takes %u",
             info->quota_cpus, info->cpus_allowed, info->cpus_usable);
}

static void check_workers(weft_info *info)
{
    unsigned openmp = number_of("OMP_NUM_THREADS"), slurm = number_of("SLURM_CPUS_PER_TASK");

    if (info->workers > info->cpus_usable)
        warn(info,
             "%u workers share %u usable CPUs: idle ones sleep at once, and parallel parts will "
             "not be faster than with %u",
             info->workers, info->cpus_usable, info->cpus_usable);
    if (info->wait == WEFT_WAIT_ACTIVE && info->workers > info->cpus_usable)
        warn(info, "WEFT_WAIT_POLICY=active with more workers than CPUs: idle workers take time "
                   "from those that work; use adaptive");
    if (openmp != 0 && openmp != info->workers)
        warn(info,
             "OMP_NUM_THREADS is %u but weft starts %u workers: OpenMP code called from tasks may "
             "run up to %u threads; WEFT_NUM_WORKERS=auto:env follows it",
             openmp, info->workers, openmp * info->workers);
    if (slurm != 0 && slurm != info->workers)
        warn(info,
             "SLURM_CPUS_PER_TASK is %u but weft starts %u workers: the affinity mask decides, "
             "see srun --cpu-bind",
             slurm, info->workers);
}

static void check_system(weft_info *info)
{
    if (info->stack_bytes < STACK_BYTES_WISE)
        warn(info,
             "stacks of %zu KiB are small: libraries and lazy symbol binding alone may need that; "
             "set WEFT_STACK_SIZE=64K or more",
             info->stack_bytes >> 10);
    if (!info->has_membarrier)
        warn(info, "membarrier(2) is refused (an old kernel or a seccomp filter): joins become "
                   "slower, since each needs a fence");
    if (info->guard == WEFT_GUARD_MPROTECT)
        warn(info,
             "the kernel has no MADV_GUARD_INSTALL (Linux 6.13): each guarded stack costs mappings "
             "of vm.max_map_count = %lld, so at most about %lld are guarded",
             (long long)info->max_map_count, (long long)info->max_map_count / 2);
    for (unsigned i = 0; i < info->variable_count; i++) {
        const weft_info_variable *variable = &info->variables[i];
        if (variable->state == WEFT_VARIABLE_BAD)
            warn(info, "%s='%.64s': %s", variable->name, variable->value, variable->verdict);
        if (variable->state == WEFT_VARIABLE_UNKNOWN)
            warn(info, "%s is set, but weft reads no such variable", variable->name);
    }
}

int weft_system_info(weft_info *info)
{
    struct resolved {
        struct weft__settings settings;
        struct weft__environment environment;
    } *resolved = weft__alloc(sizeof(*resolved));
    int rc;

    if (resolved == NULL)
        return -ENOMEM;
    rc = weft__settings_inspect(NULL, "", &resolved->settings, &resolved->environment);
    if (rc == 0) {
        memset(info, 0, sizeof(*info));
        read_system(info);
        copy_settings(info, &resolved->settings);
        copy_environment(info, &resolved->environment);
        find_unknown_variables(info);
        find_hints(info);
        check_processors(info);
        check_quota(info);
        check_workers(info);
        check_system(info);
    }
    weft__free(resolved);
    return rc;
}
