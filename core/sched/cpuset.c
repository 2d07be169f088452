/* SPDX-License-Identifier: BSD-2-Clause */
/* cpuset.c — the text form of a set of processors, in and out.
 *
 * The kernel writes lists of ranges separated by commas; a possible stride ("0-6:2/4") occurs only
 * in what it reads, so it is not accepted here. Anything unexpected refuses the whole text: half a
 * list is worse than none, because the caller has a better guess for none. */
#include "sched/cpuset.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* One decimal number; moves `*text` behind it, or answers false. */
static bool parse_cpu(const char **text, unsigned *cpu)
{
    const char *p = *text;
    unsigned value = 0;

    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        value = value * 10 + (unsigned)(*p - '0');
        if (value >= 1u << 24)
            return false;
    }
    *text = p;
    *cpu = value;
    return true;
}

int weft__cpuset_parse(struct weft__cpuset *set, const char *text)
{
    struct weft__cpuset parsed = {{0}};

    for (;;) {
        unsigned first, last;
        if (!parse_cpu(&text, &first))
            return -EINVAL;
        last = first;
        if (*text == '-') {
            text++;
            if (!parse_cpu(&text, &last) || last < first)
                return -EINVAL;
        }
        for (unsigned cpu = first; cpu <= last && cpu < WEFT__CPUS_MAX; cpu++)
            weft__cpuset_add(&parsed, cpu);
        if (*text != ',')
            break;
        text++;
    }
    if (*text == '\n')
        text++;
    if (*text != '\0')
        return -EINVAL;
    *set = parsed;
    return 0;
}

char *weft__cpuset_format(const struct weft__cpuset *set, char *text, size_t bytes)
{
    size_t used = 0;

    if (bytes == 0)
        return text;
    text[0] = '\0';
    for (unsigned cpu = 0; cpu < WEFT__CPUS_MAX; cpu++) {
        char range[32];
        unsigned last = cpu;
        size_t length;

        if (!weft__cpuset_has(set, cpu))
            continue;
        while (weft__cpuset_has(set, last + 1))
            last++;
        if (last == cpu)
            snprintf(range, sizeof(range), "%s%u", used > 0 ? "," : "", cpu);
        else
            snprintf(range, sizeof(range), "%s%u-%u", used > 0 ? "," : "", cpu, last);
        length = strlen(range);
        if (used + length + sizeof("...") > bytes) {
            if (used + sizeof("...") <= bytes)
                memcpy(text + used, "...", sizeof("..."));
            break;
        }
        memcpy(text + used, range, length + 1);
        used += length;
        cpu = last;
    }
    return text;
}
