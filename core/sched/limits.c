/* SPDX-License-Identifier: BSD-2-Clause */
/* limits.c — how many processors this process may use, and what says so.
 *
 * Three sources, each of which can only take away:
 *
 *     /sys/devices/system/cpu/online       what runs
 *     sched_getaffinity()                  what taskset, cpusets, Slurm and mpirun left of it
 *     cpu.max, cpu.cfs_quota_us            the time a cgroup, or any ancestor of it, may spend
 *
 * A quota binds everything below the cgroup that has it, so all directories from ours up to the
 * mount point are read and the lowest quota counts; it is rounded up, since half a processor
 * granted still needs one worker. sysconf(_SC_NPROCESSORS_ONLN) is not asked: it knows neither of
 * the last two, and in some sandboxes not even the first. cpu.weight and cpu.shares are not asked
 * either: they divide time when processors are scarce and forbid nothing; runtimes that took them
 * for a limit run with one thread on idle machines.
 *
 * Finding the directory takes two files. /proc/self/cgroup says which cgroup we are in, as a path
 * inside a hierarchy; /proc/self/mountinfo says where which part of a hierarchy is mounted:
 *
 *     path in hierarchy   /kubepods/pod1/web        (3rd field of /proc/self/cgroup)
 *     root of the mount   /kubepods                 (4th field of /proc/self/mountinfo)
 *     mount point         /sys/fs/cgroup            (5th field)
 *     directory           /sys/fs/cgroup + /pod1/web
 *
 * v1, v2 and hybrid systems differ only in which lines apply, so every mount of a hierarchy that
 * may hold quotas (v2, or v1 with the controller "cpu") is visited; files that are missing there
 * say nothing. When the mount's root is no ancestor of our path — a process moved out of its
 * cgroup namespace ("/../other"), or a sandbox that shows a path of its host — there is no way to
 * name our directory; the mount point itself is then read, for the one who set up the container
 * mounted there what is meant for us. */
#include "sched/limits.h"

#include "alloc.h"
#include <weft/runtime.h>

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { V1, V2, HIERARCHIES };

/* One mount of a cgroup hierarchy, as mountinfo describes it. */
struct mount {
    int version;          /* V1 or V2 */
    char root[PATH_MAX];  /* which part of the hierarchy is mounted */
    char point[PATH_MAX]; /* where */
};

/* Working memory: too large for the stack of a fiber, on which a runtime may be created. */
struct search {
    const char *root;                 /* prefix of all paths */
    struct weft__limits limits;       /* what has been found so far */
    bool known[HIERARCHIES];          /* is there a path for this hierarchy? */
    bool reached[HIERARCHIES];        /* was our own directory below one of its mounts? */
    struct mount mount;               /* the mount being looked at */
    char path[HIERARCHIES][PATH_MAX]; /* our cgroup in each hierarchy */
    char line[2 * PATH_MAX + 1024];   /* the line being read */
    char directory[2 * PATH_MAX];     /* the directory being visited, without the prefix */
    char file[3 * PATH_MAX];          /* the file being read, with the prefix */
};

static FILE *open_below(struct search *s, const char *path, const char *name)
{
    int length = snprintf(s->file, sizeof(s->file), "%s%s%s", s->root, path, name);
    return length > 0 && (size_t)length < sizeof(s->file) ? fopen(s->file, "re") : NULL;
}

/* Reads a line without its newline. A line that is too long is passed over: no line about cgroups
 * is, but overlay mounts may be. */
static bool next_line(struct search *s, FILE *file)
{
    while (fgets(s->line, sizeof(s->line), file) != NULL) {
        size_t length = strlen(s->line);
        int c;
        if (length > 0 && s->line[length - 1] == '\n') {
            s->line[length - 1] = '\0';
            return true;
        }
        if (length + 1 < sizeof(s->line))
            return true;
        do
            c = getc(file);
        while (c != '\n' && c != EOF);
    }
    return false;
}

/* Is `word` one of the items of a list separated by commas? */
static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (list != NULL) {
        if (strncmp(list, word, length) == 0 && (list[length] == ',' || list[length] == '\0'))
            return true;
        list = strchr(list, ',');
        if (list != NULL)
            list++;
    }
    return false;
}

/* Records our path in each hierarchy from lines like "4:cpu,cpuacct:/a/b" and "0::/a/b". */
static void read_own_cgroups(struct search *s)
{
    FILE *file = open_below(s, "", "/proc/self/cgroup");
    if (file == NULL)
        return;
    while (next_line(s, file)) {
        char *controllers = strchr(s->line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        int version;

        if (path == NULL || path[1] != '/' || strlen(path + 1) >= PATH_MAX)
            continue;
        *controllers++ = '\0';
        *path++ = '\0';
        if (*controllers == '\0' && strcmp(s->line, "0") == 0)
            version = V2;
        else if (list_has(controllers, "cpu"))
            version = V1;
        else
            continue;
        s->known[version] = true;
        strcpy(s->path[version], path);
    }
    fclose(file);
}

/* mountinfo writes blanks, tabs, newlines and backslashes as \ooo; undoes that in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* Takes the current line apart: "36 35 98:0 /root /point options [more] - type source options".
 * Answers whether it mounts a hierarchy that may hold quotas. */
static bool parse_mount(struct search *s)
{
    struct mount *mount = &s->mount;
    char *dash = strstr(s->line, " - ");
    char *field[5], *rest = s->line, *type, *options;

    if (dash == NULL)
        return false;
    *dash = '\0';
    for (size_t i = 0; i < 5; i++)
        if ((field[i] = strtok_r(i == 0 ? s->line : NULL, " ", &rest)) == NULL)
            return false;
    type = strtok_r(dash + 3, " ", &rest);
    strtok_r(NULL, " ", &rest);
    options = strtok_r(NULL, " ", &rest);
    if (type == NULL)
        return false;
    if (strcmp(type, "cgroup2") == 0)
        mount->version = V2;
    else if (strcmp(type, "cgroup") == 0 && list_has(options, "cpu"))
        mount->version = V1;
    else
        return false;
    unescape(field[3]);
    unescape(field[4]);
    if (strlen(field[3]) >= PATH_MAX || strlen(field[4]) >= PATH_MAX)
        return false;
    strcpy(mount->root, field[3]);
    strcpy(mount->point, field[4]);
    return mount->root[0] == '/' && mount->point[0] == '/';
}

/* What remains of `path` below `root`: "/web" for "/pods/web" and "/pods"; NULL when `root` is no
 * ancestor. A path that leaves its namespace is below a root only if both climb equally far. */
static const char *below(const char *path, const char *root)
{
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *rest = path + length;

    if (strncmp(path, root, length) != 0 || (*rest != '/' && *rest != '\0'))
        return NULL;
    return strncmp(rest, "/..", 3) == 0 && (rest[3] == '/' || rest[3] == '\0') ? NULL : rest;
}

/* Reads one whole number of a quota file; `*value` is then positive. Without one — "max", -1 for
 * no limit, garbage — answers false. */
static bool positive(const char *text, char **end, double *value)
{
    long long number;
    errno = 0;
    number = strtoll(text, end, 10);
    if (*end == text || errno != 0 || number <= 0)
        return false;
    *value = (double)number;
    return true;
}

/* Reads the quota in `s->directory` from "cpu.max": "50000 100000". */
static double quota_v2(struct search *s)
{
    FILE *file = open_below(s, s->directory, "/cpu.max");
    double quota = 0, period = 100000;
    char *end;
    bool limited;

    if (file == NULL)
        return 0;
    limited = next_line(s, file) && positive(s->line, &end, &quota) &&
              (*end == '\0' || (*end == ' ' && positive(end, &end, &period) && *end == '\0'));
    fclose(file);
    return limited ? quota / period : 0;
}

static bool read_positive(struct search *s, const char *name, double *value)
{
    FILE *file = open_below(s, s->directory, name);
    char *end;
    bool read;

    if (file == NULL)
        return false;
    read = next_line(s, file) && positive(s->line, &end, value) && *end == '\0';
    fclose(file);
    return read;
}

/* Reads the quota in `s->directory` from its two files; -1 stands for none. */
static double quota_v1(struct search *s)
{
    double quota, period;
    if (!read_positive(s, "/cpu.cfs_period_us", &period) ||
        !read_positive(s, "/cpu.cfs_quota_us", &quota))
        return 0;
    return quota / period;
}

/* Takes the quota of `s->directory` into account. */
static void visit(struct search *s, int version)
{
    double quota = version == V2 ? quota_v2(s) : quota_v1(s);
    if (quota <= 0 || (s->limits.quota_cpus > 0 && s->limits.quota_cpus <= quota))
        return;
    s->limits.quota_cpus = quota;
    snprintf(s->limits.quota_file, sizeof(s->limits.quota_file), "%.480s%s", s->directory,
             version == V2 ? "/cpu.max" : "/cpu.cfs_quota_us");
}

/* Visits `rest` below the mount point and everything above it up to the mount point itself. */
static void visit_upwards(struct search *s, const struct mount *mount, const char *rest)
{
    size_t top = strcmp(mount->point, "/") == 0 ? 0 : strlen(mount->point);

    snprintf(s->directory, sizeof(s->directory), "%.*s%s", (int)top, mount->point,
             strcmp(rest, "/") == 0 ? "" : rest);
    for (;;) {
        visit(s, mount->version);
        if (strlen(s->directory) <= top)
            return;
        *strrchr(s->directory, '/') = '\0';
    }
}

/* Visits every mount of our hierarchies. The first pass takes those that lead to our directory,
 * the second, for a hierarchy without such a mount, takes what is mounted as meant for us. */
static void read_quotas(struct search *s, bool second_pass)
{
    FILE *file = open_below(s, "", "/proc/self/mountinfo");

    if (file == NULL)
        return;
    while (next_line(s, file)) {
        const struct mount *mount = &s->mount;
        const char *rest;

        if (!parse_mount(s) || !s->known[mount->version])
            continue;
        rest = below(s->path[mount->version], mount->root);
        if (!second_pass && rest != NULL) {
            s->reached[mount->version] = true;
            visit_upwards(s, mount, rest);
        } else if (second_pass && !s->reached[mount->version]) {
            visit_upwards(s, mount, "");
        }
    }
    fclose(file);
}

/* Counts what runs and what the mask leaves; each stands in for the other when unknown. */
static void read_processors(struct search *s, const struct weft__cpuset *mask)
{
    struct weft__limits *limits = &s->limits;
    FILE *file = open_below(s, "", "/sys/devices/system/cpu/online");

    if (file != NULL) {
        if (next_line(s, file))
            (void)weft__cpuset_parse(&limits->online_set, s->line);
        fclose(file);
    }
    limits->online = weft__cpuset_count(&limits->online_set);
    limits->allowed_set = weft__cpuset_and(mask, &limits->online_set);
    limits->allowed = weft__cpuset_count(&limits->allowed_set);
    if (limits->allowed == 0) {
        bool has_mask = weft__cpuset_count(mask) > 0;
        limits->allowed_set = has_mask ? *mask : limits->online_set;
        limits->allowed = weft__cpuset_count(&limits->allowed_set);
    }
    if (limits->online < limits->allowed) {
        limits->online_set = limits->allowed_set;
        limits->online = limits->allowed;
    }
    if (limits->allowed == 0)
        limits->online = limits->allowed = 1;
}

int weft__limits_read_mask(struct weft__limits *out, const char *root,
                           const struct weft__cpuset *mask)
{
    struct search *s = weft__alloc(sizeof(*s));
    struct weft__limits *limits;

    if (s == NULL)
        return -ENOMEM;
    memset(s, 0, sizeof(*s));
    s->root = root;
    limits = &s->limits;
    read_processors(s, mask);
    read_own_cgroups(s);
    read_quotas(s, false);
    read_quotas(s, true);

    limits->usable = limits->allowed;
    if (limits->quota_cpus > 0 && limits->quota_cpus < limits->allowed) {
        unsigned whole = (unsigned)limits->quota_cpus;
        limits->usable = whole + (whole < limits->quota_cpus ? 1 : 0);
    }
    *out = *limits;
    weft__free(s);
    return 0;
}

int weft__limits_read(struct weft__limits *out, const char *root)
{
    struct weft__cpuset mask = {{0}};

    if (sched_getaffinity(0, sizeof(mask), (cpu_set_t *)(void *)&mask) != 0)
        mask = (struct weft__cpuset){{0}};
    return weft__limits_read_mask(out, root, &mask);
}

unsigned weft_usable_cpus(void)
{
    struct weft__limits limits;
    return weft__limits_read(&limits, "") == 0 ? limits.usable : 1;
}
