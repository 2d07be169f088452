/* SPDX-License-Identifier: BSD-2-Clause */
/* places.h — WEFT_PLACES: where workers may be bound, in OpenMP's words. */
#ifndef WEFT_CORE_SCHED_PLACES_H
#define WEFT_CORE_SCHED_PLACES_H

/* What one place is. */
enum weft__places_kind {
    WEFT__PLACES_CORES = 0, /* the default: neighbours that are hardware threads share one place */
    WEFT__PLACES_THREADS,
    WEFT__PLACES_CACHES,
    WEFT__PLACES_NUMA,
    WEFT__PLACES_SOCKETS,
    WEFT__PLACES_LIST, /* written out: {0:4}:8:4 */
};

struct weft__places {
    enum weft__places_kind kind;
    unsigned count_max; /* take only so many; 0: all */
    const char *list;   /* the text, for WEFT__PLACES_LIST; belongs to the environment */
};

/* Limit on processors named by all places of a list together, against "{0:8192}:8192". */
#define WEFT__PLACES_ENTRIES_MAX 65536u

/* Reads OpenMP's grammar: a word with an optional (count), or a list. Answers 0; -EINVAL not the
 * grammar, or too many processors; -ENOTSUP exclusion by "!". On failure `*out` is untouched. */
int weft__places_parse(struct weft__places *out, const char *text);

/* Calls `visit` for each processor of each place of a list that parses, places counted from 0 in
 * rising order. Nothing is stored, so a place may be as large as it likes. */
int weft__places_each(const char *list, void (*visit)(void *context, unsigned place, unsigned cpu),
                      void *context);

#endif
