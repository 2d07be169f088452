/* SPDX-License-Identifier: BSD-2-Clause */
/* cpuset.h — a set of processors, large enough for any Linux kernel.
 *
 * glibc's cpu_set_t ends at 1,024 processors, and its dynamic variant needs the heap and its size
 * at every call. Kernels are built for at most 8,192 processors (x86-64, MAXSMP), so a set is
 * 1 KiB of plain words: copied by assignment, {0} is empty, no allocation, no failure. The layout
 * is the one sched_getaffinity() fills.
 *
 * The text form is the kernel's list, "0-3,8,10-11", as in /sys/devices/system/cpu/online. */
#ifndef WEFT_CORE_SCHED_CPUSET_H
#define WEFT_CORE_SCHED_CPUSET_H

#include <stdbool.h>
#include <stddef.h>

#ifndef WEFT__CPUS_MAX
#define WEFT__CPUS_MAX 8192u
#endif
#define WEFT__CPUSET_WORD_BITS (8u * (unsigned)sizeof(unsigned long))

struct weft__cpuset {
    unsigned long word[WEFT__CPUS_MAX / (8 * sizeof(unsigned long))];
};

/* Processors beyond WEFT__CPUS_MAX are never in a set. */
static inline bool weft__cpuset_has(const struct weft__cpuset *set, unsigned cpu)
{
    return cpu < WEFT__CPUS_MAX &&
           (set->word[cpu / WEFT__CPUSET_WORD_BITS] >> (cpu % WEFT__CPUSET_WORD_BITS) & 1UL) != 0;
}

static inline void weft__cpuset_add(struct weft__cpuset *set, unsigned cpu)
{
    if (cpu < WEFT__CPUS_MAX)
        set->word[cpu / WEFT__CPUSET_WORD_BITS] |= 1UL << (cpu % WEFT__CPUSET_WORD_BITS);
}

static inline void weft__cpuset_remove(struct weft__cpuset *set, unsigned cpu)
{
    if (cpu < WEFT__CPUS_MAX)
        set->word[cpu / WEFT__CPUSET_WORD_BITS] &= ~(1UL << (cpu % WEFT__CPUSET_WORD_BITS));
}

static inline unsigned weft__cpuset_count(const struct weft__cpuset *set)
{
    unsigned count = 0;
    for (size_t i = 0; i < sizeof(set->word) / sizeof(set->word[0]); i++)
        count += (unsigned)__builtin_popcountl(set->word[i]);
    return count;
}

static inline struct weft__cpuset weft__cpuset_and(const struct weft__cpuset *a,
                                                   const struct weft__cpuset *b)
{
    struct weft__cpuset both;
    for (size_t i = 0; i < sizeof(both.word) / sizeof(both.word[0]); i++)
        both.word[i] = a->word[i] & b->word[i];
    return both;
}

/* Reads "0-3,8\n" into `*set`. Answers 0, or -EINVAL when it is not a non-empty list; `*set` is
 * then untouched. */
int weft__cpuset_parse(struct weft__cpuset *set, const char *text);

/* Writes the list into `text`; one that does not fit ends in "...". Answers `text`. */
char *weft__cpuset_format(const struct weft__cpuset *set, char *text, size_t bytes);

#endif
