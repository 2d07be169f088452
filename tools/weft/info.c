/* SPDX-License-Identifier: BSD-2-Clause */
/* info.c — `weft info`: why this many workers, and what else weft found.
 *
 * Two renderings of one weft_info. The one for people puts the answer first and each warning at the
 * end, where it is seen; the JSON has the struct's names and units, so that the header documents
 * it. Texts from the environment may hold any bytes: in JSON, those that are not ASCII become
 * \u00xx, byte by byte, since nothing says what encoding they are in. */
#include "commands.h"

#include <weft/info.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char info_help[] =
    "usage: weft info [--json]\n"
    "\n"
    "Show how many workers a runtime would start here and why, what the machine and\n"
    "the kernel offer, what became of each WEFT_ variable, and which traps were found.\n"
    "\n"
    "  --json   the same as one JSON object; names and units as in <weft/info.h>\n"
    "\n"
    "It speaks of the process it runs in: start it the way the program will be\n"
    "started, under the same srun, mpirun or container.\n"
    "\n"
    "Variables that a runtime reads when it is created; what the program sets itself\n"
    "wins over them:\n"
    "\n"
    "  WEFT_NUM_WORKERS  1 to 1024; auto: one for each usable processor; auto:env: as\n"
    "                    OMP_NUM_THREADS or SLURM_CPUS_PER_TASK says, else as auto\n"
    "  WEFT_STACK_SIZE   of each fiber, 16K to 64G: a number and B, K, M or G (default K)\n"
    "  WEFT_WAIT_POLICY  what idle workers do: passive, adaptive or active\n"
    "  WEFT_SPIN_US      microseconds an adaptive worker looks for work before it sleeps\n"
    "  WEFT_PROC_BIND    tie workers to places: true, false, close, spread or primary\n"
    "  WEFT_PLACES       threads, cores, ll_caches, numa_domains, sockets or a list such\n"
    "                    as {0:4}:8:4, as in OpenMP\n"
    "  WEFT_CHECK        stack: name the task whose stack overflows; hang: when nothing can\n"
    "                    happen any more, say who waits for whom and end with status 86;\n"
    "                    migrate: move fibers to another thread at every wait; reactor:\n"
    "                    have idle workers sleep in epoll or io_uring from the start\n"
    "  WEFT_DUMP_SIGNAL  QUIT, USR1, ...: this signal makes the program write to stderr\n"
    "                    what all workers and fibers do\n"
    "  WEFT_IO           epoll or uring: how workers wait for files (auto: epoll)\n"
    "  WEFT_DISPLAY_ENV  1: print what holds when a runtime is created\n";

static const char *wait_name(weft_wait_policy wait)
{
    switch (wait) {
    case WEFT_WAIT_PASSIVE:
        return "passive";
    case WEFT_WAIT_ACTIVE:
        return "active";
    case WEFT_WAIT_DEFAULT:
    case WEFT_WAIT_ADAPTIVE:
        break;
    }
    return "adaptive";
}

static const char *bind_name(weft_proc_bind bind)
{
    switch (bind) {
    case WEFT_BIND_CLOSE:
        return "close";
    case WEFT_BIND_SPREAD:
        return "spread";
    case WEFT_BIND_DEFAULT:
    case WEFT_BIND_FALSE:
        break;
    }
    return "false";
}

static const char *state_name(weft_variable_state state)
{
    static const char *const names[] = {"unset", "set", "bad", "unknown"};
    return names[state];
}

/* ---- for people ----------------------------------------------------------------------------- */

static const char *plural(unsigned count)
{
    return count == 1 ? "" : "s";
}

static const char *yes_no(int value)
{
    return value ? "yes" : "no";
}

static void print_processors(const weft_info *info)
{
    printf("workers      %u, because %s\n", info->workers, info->workers_why);
    printf("CPUs         %u online, %u allowed (%s), %u usable\n", info->cpus_online,
           info->cpus_allowed, info->allowed_list, info->cpus_usable);
    if (info->quota_cpus > 0)
        printf("quota        %.4g CPUs, by %s\n", info->quota_cpus, info->quota_file);
    else
        printf("quota        none\n");
    if (info->threads == 0)
        printf("topology     not known: built without hwloc\n");
    else
        printf("topology     %u package%s, %u core%s, %u thread%s (%s), %u L3 cache%s, "
               "%u NUMA node%s%s\n",
               info->packages, plural(info->packages), info->cores, plural(info->cores),
               info->threads, plural(info->threads), info->threads > info->cores ? "SMT" : "no SMT",
               info->l3_caches, plural(info->l3_caches), info->numa_nodes, plural(info->numa_nodes),
               info->core_kinds > 1 ? ", cores of different speed" : "");
    printf("binding      %s\n", bind_name(info->bind));
    printf("idle         %s", wait_name(info->wait));
    if (info->wait == WEFT_WAIT_ADAPTIVE)
        printf(", looks for work for %.6g us before it sleeps", (double)info->spin_ns / 1e3);
    printf("\n");
}

static void print_system(const weft_info *info)
{
    printf("stacks       %zu KiB each, guarded by %s", info->stack_bytes >> 10,
           info->guard == WEFT_GUARD_MADVISE ? "madvise guard (MADV_GUARD_INSTALL)" : "mprotect");
    if (info->guard == WEFT_GUARD_MPROTECT)
        printf(" up to vm.max_map_count");
    printf("\nmembarrier   %s\n", info->has_membarrier ? "private expedited" : "not available");
    printf("reactor      kernel: epoll %s, io_uring %s; %s\n", yes_no(info->has_epoll),
           yes_no(info->has_io_uring),
           info->uses_io_uring ? "weft uses io_uring" : "weft uses epoll");
    printf("allocator    %s\n", info->allocator);
    printf("kernel       %s, pages of %zu bytes, max_map_count %lld\n", info->kernel,
           info->page_bytes, (long long)info->max_map_count);
    printf("weft         %s\n", info->version);
}

/* Prints a text that is not ours, with control characters made visible. */
static void print_value(const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            printf("\\x%02x", c);
        else
            putchar(c);
    }
}

static void print_environment(const weft_info *info)
{
    printf("\nenvironment\n");
    for (unsigned i = 0; i < info->variable_count; i++) {
        const weft_info_variable *variable = &info->variables[i];
        printf("  %-18s ", variable->name);
        if (variable->state != WEFT_VARIABLE_UNSET) {
            putchar('\'');
            print_value(variable->value);
            printf("'  ");
        }
        printf("%s\n", variable->verdict);
    }
    if (info->hint_count > 0)
        printf("\nhints (what others were told; weft does not act on them)\n");
    for (unsigned i = 0; i < info->hint_count; i++) {
        printf("  %-28s '", info->hints[i].name);
        print_value(info->hints[i].value);
        printf("'\n");
    }
}

static void print_text(const weft_info *info)
{
    print_processors(info);
    print_system(info);
    print_environment(info);
    if (info->warning_count > 0)
        printf("\nwarnings\n");
    for (unsigned i = 0; i < info->warning_count; i++) {
        printf("  ! ");
        print_value(info->warnings[i]);
        printf("\n");
    }
}

/* ---- for programs --------------------------------------------------------------------------- */

static void json_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void json_text(const char *name, const char *value)
{
    printf("  \"%s\": ", name);
    json_string(value);
    printf(",\n");
}

static void json_number(const char *name, int64_t value)
{
    printf("  \"%s\": %lld,\n", name, (long long)value);
}

static void json_flag(const char *name, int value)
{
    printf("  \"%s\": %s,\n", name, value ? "true" : "false");
}

static void json_processors(const weft_info *info)
{
    json_number("cpus_online", info->cpus_online);
    json_number("cpus_allowed", info->cpus_allowed);
    json_number("cpus_usable", info->cpus_usable);
    json_text("allowed_list", info->allowed_list);
    printf("  \"quota_cpus\": %.9g,\n", info->quota_cpus);
    json_text("quota_file", info->quota_file);
    json_number("workers", info->workers);
    json_text("workers_why", info->workers_why);
    json_number("packages", info->packages);
    json_number("cores", info->cores);
    json_number("threads", info->threads);
    json_number("l3_caches", info->l3_caches);
    json_number("numa_nodes", info->numa_nodes);
    json_number("core_kinds", info->core_kinds);
    json_text("bind", bind_name(info->bind));
    json_text("wait", wait_name(info->wait));
    json_number("spin_ns", info->spin_ns);
}

static void json_system(const weft_info *info)
{
    json_number("stack_bytes", (int64_t)info->stack_bytes);
    json_text("guard", info->guard == WEFT_GUARD_MADVISE ? "madvise" : "mprotect");
    json_number("page_bytes", (int64_t)info->page_bytes);
    json_number("max_map_count", info->max_map_count);
    json_text("kernel", info->kernel);
    json_text("allocator", info->allocator);
    json_flag("has_membarrier", info->has_membarrier);
    json_flag("has_epoll", info->has_epoll);
    json_flag("has_io_uring", info->has_io_uring);
    json_flag("uses_io_uring", info->uses_io_uring);
}

static void json_variables(const weft_info *info)
{
    printf("  \"variables\": [");
    for (unsigned i = 0; i < info->variable_count; i++) {
        const weft_info_variable *variable = &info->variables[i];
        printf("%s\n    {\"name\": ", i > 0 ? "," : "");
        json_string(variable->name);
        printf(", \"state\": \"%s\", \"value\": ", state_name(variable->state));
        if (variable->state == WEFT_VARIABLE_UNSET)
            printf("null");
        else
            json_string(variable->value);
        printf(", \"verdict\": ");
        json_string(variable->verdict);
        putchar('}');
    }
    printf("\n  ],\n");
}

static void json_lists(const weft_info *info)
{
    printf("  \"hints\": {");
    for (unsigned i = 0; i < info->hint_count; i++) {
        printf("%s\n    ", i > 0 ? "," : "");
        json_string(info->hints[i].name);
        printf(": ");
        json_string(info->hints[i].value);
    }
    printf("%s},\n  \"warnings\": [", info->hint_count > 0 ? "\n  " : "");
    for (unsigned i = 0; i < info->warning_count; i++) {
        printf("%s\n    ", i > 0 ? "," : "");
        json_string(info->warnings[i]);
    }
    printf("%s]\n", info->warning_count > 0 ? "\n  " : "");
}

static void print_json(const weft_info *info)
{
    printf("{\n");
    json_text("version", info->version);
    json_processors(info);
    json_system(info);
    json_variables(info);
    json_lists(info);
    printf("}\n");
}

int info_main(int count, char **arguments)
{
    static weft_info info;
    bool json = false;
    int rc;

    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") != 0) {
            fprintf(stderr, "weft info: there is no option '%s'; see weft help info\n",
                    arguments[i]);
            return EXIT_USAGE;
        }
        json = true;
    }
    rc = weft_system_info(&info);
    if (rc != 0) {
        fprintf(stderr, "weft info: %s\n", weft_strerror(rc));
        return EXIT_FAILED;
    }
    if (json)
        print_json(&info);
    else
        print_text(&info);
    return EXIT_OK;
}
