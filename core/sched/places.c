/* SPDX-License-Identifier: BSD-2-Clause */
/* places.c — reading OpenMP's places.
 *
 *     list      place-interval { "," place-interval }
 *     interval  place [ ":" count [ ":" stride ] ]         the place, then shifted by stride
 *     place     "{" numbers { "," numbers } "}" | number
 *     numbers   number [ ":" count [ ":" stride ] ]
 *
 * "{0:4}:8:4" is eight places of four processors each. The default stride of an interval of places
 * is 1, as libgomp and LLVM have it. Exclusion ("!{3}") is part of OpenMP's grammar but hardly used
 * and refused by name.
 *
 * A list is walked, not stored: a place shifted is the same text read again with an offset. So
 * there is no table to allocate and no limit on its shape, only one on the number of processors
 * named, which stops "{0:8192}:8192" from taking minutes. */
#include "sched/places.h"
#include "sched/cpuset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A walk over a list; `visit` may be NULL. */
struct walk {
    const char *at; /* what is read next */
    void (*visit)(void *context, unsigned place, unsigned cpu);
    void *context;
    unsigned place;   /* number of the place being read */
    unsigned entries; /* processors named so far */
};

static void skip_blanks(struct walk *w)
{
    w->at += strspn(w->at, " \t");
}

/* Takes one character if it is next. */
static bool take(struct walk *w, char c)
{
    skip_blanks(w);
    if (*w->at != c)
        return false;
    w->at++;
    return true;
}

/* Takes a whole number with |number| below WEFT__CPUS_MAX. */
static int take_number(struct walk *w, long *number)
{
    char *end;
    long value;

    skip_blanks(w);
    if (strchr("+-0123456789", *w->at) == NULL || *w->at == '\0')
        return *w->at == '!' ? -ENOTSUP : -EINVAL;
    value = strtol(w->at, &end, 10);
    if (end == w->at || value <= -(long)WEFT__CPUS_MAX || value >= (long)WEFT__CPUS_MAX)
        return -EINVAL;
    w->at = end;
    *number = value;
    return 0;
}

/* Takes an optional ":count[:stride]". */
static int take_repeat(struct walk *w, long *count, long *stride)
{
    int rc = 0;

    *count = 1;
    *stride = 1;
    if (!take(w, ':'))
        return 0;
    rc = take_number(w, count);
    if (rc == 0 && *count <= 0)
        rc = -EINVAL;
    if (rc == 0 && take(w, ':'))
        rc = take_number(w, stride);
    return rc;
}

/* Reports `count` processors of the current place. */
static int name_cpus(struct walk *w, long first, long count, long stride)
{
    for (long i = 0; i < count; i++) {
        long cpu = first + i * stride;
        if (cpu < 0 || cpu >= (long)WEFT__CPUS_MAX || ++w->entries > WEFT__PLACES_ENTRIES_MAX)
            return -EINVAL;
        if (w->visit != NULL)
            w->visit(w->context, w->place, (unsigned)cpu);
    }
    return 0;
}

/* Reads one place, each of its processors moved by `shift`. */
static int walk_place(struct walk *w, long shift)
{
    long first, count = 1, stride = 1;
    int rc;

    if (!take(w, '{')) {
        rc = take_number(w, &first);
        return rc != 0 ? rc : name_cpus(w, first + shift, 1, 1);
    }
    do {
        rc = take_number(w, &first);
        if (rc == 0)
            rc = take_repeat(w, &count, &stride);
        if (rc == 0)
            rc = name_cpus(w, first + shift, count, stride);
    } while (rc == 0 && take(w, ','));
    return rc == 0 && !take(w, '}') ? (*w->at == '!' ? -ENOTSUP : -EINVAL) : rc;
}

/* Reads a place and its repetitions. */
static int walk_interval(struct walk *w)
{
    const char *start, *end;
    long count, stride;
    int rc;

    if (take(w, '!'))
        return -ENOTSUP;
    start = w->at;
    rc = walk_place(w, 0);
    if (rc == 0)
        rc = take_repeat(w, &count, &stride);
    end = w->at;
    for (long i = 1; rc == 0 && i < count; i++) {
        w->place++;
        w->at = start;
        rc = walk_place(w, i * stride);
    }
    w->place++;
    w->at = end;
    return rc;
}

int weft__places_each(const char *list, void (*visit)(void *context, unsigned place, unsigned cpu),
                      void *context)
{
    struct walk w = {.at = list, .visit = visit, .context = context};
    int rc;

    do
        rc = walk_interval(&w);
    while (rc == 0 && take(&w, ','));
    skip_blanks(&w);
    return rc == 0 && *w.at != '\0' ? -EINVAL : rc;
}

static const struct {
    const char *word;
    enum weft__places_kind kind;
} words[] = {
    {"threads", WEFT__PLACES_THREADS},  {"cores", WEFT__PLACES_CORES},
    {"ll_caches", WEFT__PLACES_CACHES}, {"numa_domains", WEFT__PLACES_NUMA},
    {"sockets", WEFT__PLACES_SOCKETS},
};

/* Reads what may follow a word: nothing, or "(count)". */
static int parse_count(const char *text, unsigned *count)
{
    struct walk w = {.at = text};
    long number = 0;

    if (take(&w, '(') && (take_number(&w, &number) != 0 || number <= 0 || !take(&w, ')')))
        return -EINVAL;
    skip_blanks(&w);
    if (*w.at != '\0')
        return -EINVAL;
    *count = (unsigned)number;
    return 0;
}

int weft__places_parse(struct weft__places *out, const char *text)
{
    unsigned count;
    int rc;

    text += strspn(text, " \t");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t length = strlen(words[i].word);
        if (strncasecmp(text, words[i].word, length) == 0 &&
            parse_count(text + length, &count) == 0) {
            *out = (struct weft__places){.kind = words[i].kind, .count_max = count};
            return 0;
        }
    }
    rc = weft__places_each(text, NULL, NULL);
    if (rc == 0)
        *out = (struct weft__places){.kind = WEFT__PLACES_LIST, .list = text};
    return rc;
}
