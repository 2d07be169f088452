/* SPDX-License-Identifier: BSD-2-Clause */
/* shm.c — `weft shm`: what lies around in shared memory, who uses it, and what nobody can any
 * more. */
#include "commands.h"

#include <weft/shm.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char shm_help[] =
    "usage: weft shm ls\n"
    "       weft shm stat NAME ...\n"
    "       weft shm gc [--dry-run] [--idle]\n"
    "\n"
    "Named queues, pipes and memory of weft that lie in /dev/shm.\n"
    "\n"
    "  ls     one line for each: name, kind, size, how full, its users alive and dead\n"
    "  stat   all there is to know about some of them\n"
    "  gc     remove those whose users are all proved dead, and at least one was killed;\n"
    "         what somebody may still use, or has left in good order, stays\n"
    "\n"
    "  --dry-run   say what gc would remove\n"
    "  --idle      remove also what nobody is attached to, however it was left\n"
    "\n"
    "A user is dead when the kernel says so of exactly that process; one that is stopped,\n"
    "or in another namespace of process ids, counts as alive.\n";

static int usage(const char *problem, const char *what)
{
    fprintf(stderr, "weft shm: %s%s; see weft help shm\n", problem, what);
    return EXIT_USAGE;
}

static int complain(const char *name, int rc)
{
    const char *why = weft_strerror(rc);
    if (rc == -EPROTO)
        why = "not a segment of this version of weft, or damaged";
    else if (rc == -EINVAL)
        why = "a name begins with /, and holds no other one";
    fprintf(stderr, "weft shm: %s: %s\n", name, why);
    return EXIT_FAILED;
}

static unsigned count_dead(const weft_shm_info *info)
{
    unsigned dead = 0;
    for (unsigned i = 0; i < info->member_count; i++)
        dead += info->members[i].is_dead != 0;
    return dead;
}

static const char *state_of(const weft_shm_info *info)
{
    if (info->is_dead)
        return "dead";
    return info->is_idle ? "idle" : "in use";
}

/* ---- ls and stat ----------------------------------------------------------------------------- */

static int list_one(const char *name, void *arg)
{
    weft_shm_info info;
    int *count = arg;
    int rc = weft_shm_inspect(name, &info);
    if (rc == -ENOENT)
        return 0; /* gone meanwhile */
    if ((*count)++ == 0)
        printf("%-24s %-10s %12s %16s %6s %5s  %s\n", "NAME", "KIND", "BYTES", "USED", "ALIVE",
               "DEAD", "STATE");
    if (rc != 0) {
        printf("%-24s %-10s %12s %16s %6s %5s  %s\n", name, "?", "-", "-", "-", "-",
               rc == -EPROTO ? "damaged" : weft_strerror(rc));
        return 0;
    }
    char used[48] = "-";
    if (info.elem_bytes != 0)
        (void)snprintf(used, sizeof used, "%" PRIu64 "/%" PRIu64, info.used, info.capacity);
    unsigned dead = count_dead(&info);
    printf("%-24s %-10s %12" PRIu64 " %16s %6u %5u  %s\n", name, info.kind, info.bytes, used,
           info.member_count - dead, dead, state_of(&info));
    return 0;
}

static int list(void)
{
    int count = 0;
    int rc = weft_shm_list(list_one, &count);
    if (rc < 0)
        return complain("/dev/shm", rc);
    return EXIT_OK;
}

static int show(const char *name)
{
    weft_shm_info info;
    int rc = weft_shm_inspect(name, &info);
    if (rc != 0)
        return complain(name, rc);
    printf("name          %s\nkind          %s\nbytes         %" PRIu64 "\n", name, info.kind,
           info.bytes);
    if (info.elem_bytes != 0)
        printf("%-13s %" PRIu64 "\ncapacity      %" PRIu64 "\nused          %" PRIu64
               "\nclosed        %s\n",
               strcmp(info.kind, "pipe") == 0 ? "message bytes" : "element bytes", info.elem_bytes,
               info.capacity, info.used, info.is_closed ? "yes" : "no");
    printf("state         %s\nattached      %u of %u, %" PRIu64 " so far\n", state_of(&info),
           info.member_count, info.participants, info.arrivals);
    for (unsigned i = 0; i < info.member_count; i++)
        printf("  process     %d %s\n", info.members[i].pid,
               info.members[i].is_dead ? "dead" : "alive");
    return EXIT_OK;
}

static int show_all(int count, char **names)
{
    int worst = EXIT_OK;
    if (count == 0)
        return usage("stat needs a name", "");
    for (int i = 0; i < count; i++) {
        if (i > 0)
            putchar('\n');
        int rc = show(names[i]);
        worst = rc > worst ? rc : worst;
    }
    return worst;
}

/* ---- gc -------------------------------------------------------------------------------------- */

typedef struct collecting {
    int is_dry;
    int idle_too;
    int removed;
    int failed;
} collecting;

static int collect_one(const char *name, void *arg)
{
    collecting *collection = arg;
    weft_shm_info info;
    int rc = weft_shm_inspect(name, &info);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0 && !info.is_dead && !(collection->idle_too && info.is_idle))
        return 0;
    if (rc == 0 && !collection->is_dry)
        rc = weft_shm_remove_dead(name, collection->idle_too);
    if (rc == -EBUSY || rc == -ENOENT)
        return 0; /* somebody came, or was faster */
    if (rc != 0) {
        (void)complain(name, rc);
        collection->failed++;
        return 0;
    }
    printf("%s %s\n", collection->is_dry ? "would remove" : "removed", name);
    collection->removed++;
    return 0;
}

static int collect(int count, char **arguments)
{
    collecting collection = {.is_dry = 0};
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--dry-run") == 0)
            collection.is_dry = 1;
        else if (strcmp(arguments[i], "--idle") == 0)
            collection.idle_too = 1;
        else
            return usage("gc does not know ", arguments[i]);
    }
    int rc = weft_shm_list(collect_one, &collection);
    if (rc < 0)
        return complain("/dev/shm", rc);
    return collection.failed > 0 ? EXIT_FAILED : EXIT_OK;
}

int shm_main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : NULL;
    if (what == NULL)
        return usage("say what to do: ls, stat or gc", "");
    if (strcmp(what, "ls") == 0)
        return count == 2 ? list() : usage("ls takes no argument, not ", arguments[2]);
    if (strcmp(what, "stat") == 0)
        return show_all(count - 2, arguments + 2);
    if (strcmp(what, "gc") == 0)
        return collect(count - 2, arguments + 2);
    return usage("there is nothing called ", what);
}
