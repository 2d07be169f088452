/* SPDX-License-Identifier: BSD-2-Clause */
/* settings_say.c — what a new runtime says of its settings: a warning for each bad variable, for
 * each whose name is mistyped, and the listing that WEFT_DISPLAY_ENV asks for.
 *
 * All once in the life of a process, however many runtimes it makes. Lines go out by one write(2)
 * each, from a small buffer: a runtime may be created on a fiber whose stack has no room for stdio.
 *
 * A name is mistyped if one letter separates it from one of ours. Others that begin with WEFT_ may
 * be somebody else's, and are for `weft info` to list. */
#include "sched/settings.h"

#include "debug/check.h"

#include <weft/atomic.h>

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One letter of WEFT_IO makes any other name: shorter ones are not guessed at. */
#define NAME_LENGTH_MIN 10

extern char **environ;

const char *weft__wait_policy_name(weft_wait_policy wait)
{
    return wait == WEFT_WAIT_PASSIVE ? "passive" : wait == WEFT_WAIT_ACTIVE ? "active" : "adaptive";
}

const char *weft__proc_bind_name(weft_proc_bind bind)
{
    return bind == WEFT_BIND_CLOSE ? "close" : bind == WEFT_BIND_SPREAD ? "spread" : "false";
}

/* Answers true to the first caller only. Relaxed: the counter orders nothing, it only counts. */
static bool first_time(unsigned *times)
{
    return weft__load_relaxed(times) == 0 && weft__fetch_add_relaxed(times, 1) == 0;
}

static void say(const char *text, size_t bytes, int length)
{
    size_t size = length < 0 ? 0 : (size_t)length < bytes ? (size_t)length : bytes - 1;
    ssize_t written = write(STDERR_FILENO, text, size);
    (void)written; /* There is nobody left to tell. */
}

/* Warns about each bad variable, the first time it is met. */
static WEFT__NOINLINE void warn(const struct weft__environment *environment)
{
    static unsigned warned[WEFT__VARIABLES];
    char line[320];

    for (int i = 0; i < WEFT__VARIABLES; i++) {
        const struct weft__verdict *verdict = &environment->verdict[i];
        if (verdict->bad && first_time(&warned[i]))
            say(line, sizeof(line),
                snprintf(line, sizeof(line), "weft: %s='%.96s': %s\n", weft__variable_name[i],
                         verdict->value, verdict->text));
    }
}

/* Whether a letter more, less or another one, or two swapped, make the text this name. */
static bool is_mistyped(const char *text, size_t length, const char *name)
{
    size_t name_length = strlen(name);
    size_t same = 0;
    while (same < length && same < name_length && text[same] == name[same])
        same++;
    while (length > same && name_length > same && text[length - 1] == name[name_length - 1]) {
        length--;
        name_length--;
    }
    const char *a = text + same;
    const char *b = name + same;
    size_t a_rest = length - same, b_rest = name_length - same;
    return (a_rest <= 1 && b_rest <= 1 && a_rest + b_rest > 0) ||
           (a_rest == 2 && b_rest == 2 && a[0] == b[1] && a[1] == b[0]);
}

/* The name that is meant, or NULL: it is right, or far from all. */
static const char *meant_by(const char *text, size_t length)
{
    const char *meant = NULL;
    for (int i = 0; i < WEFT__VARIABLES; i++) {
        const char *name = weft__variable_name[i];
        if (strlen(name) == length && memcmp(name, text, length) == 0)
            return NULL;
        if (strlen(name) >= NAME_LENGTH_MIN && is_mistyped(text, length, name))
            meant = name;
    }
    return meant;
}

static WEFT__NOINLINE void warn_of_names(void)
{
    static unsigned warned;
    bool is_first = false;
    char line[320];

    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t length = strcspn(*entry, "=");
        const char *meant = meant_by(*entry, length);
        if (meant == NULL)
            continue;
        if (!is_first && !first_time(&warned))
            return;
        is_first = true;
        say(line, sizeof(line),
            snprintf(line, sizeof(line), "weft: there is no %.*s; did you mean %s?\n", (int)length,
                     *entry, meant));
    }
}

/* The checks that are on, as WEFT_CHECK has them. */
static void format_checks(const struct weft__settings *s, char *text, size_t bytes)
{
    const char *stack = s->report_overflow ? ",stack" : "";
    const char *hang = s->hang == WEFT_HANG_EXIT ? ",hang" : "";
    const char *migrate = s->checks & WEFT__CHECK_MIGRATE ? ",migrate" : "";
    const char *reactor = s->checks & WEFT__CHECK_REACTOR ? ",reactor" : "";
    const char *join = s->checks & WEFT__CHECK_JOIN ? ",join" : "";
    snprintf(text, bytes, "%s%s%s%s%s", stack, hang, migrate, reactor, join);
}

static void format_places(const struct weft__places *places, char *text, size_t bytes)
{
    static const char *const kinds[] = {
        "cores", "threads", "ll_caches", "numa_domains", "sockets",
    };
    const char *name = places->kind == WEFT__PLACES_LIST ? places->list : kinds[places->kind];
    if (places->count_max != 0)
        snprintf(text, bytes, "%.380s(%u)", name, places->count_max);
    else
        snprintf(text, bytes, "%s", name);
}

/* Lists what holds, in the form of OMP_DISPLAY_ENV. */
static WEFT__NOINLINE void display(const struct weft__settings *s)
{
    static unsigned displayed;
    char text[1024], places[400], checks[40];

    if (!first_time(&displayed))
        return;
    format_places(&s->places, places, sizeof(places));
    format_checks(s, checks, sizeof(checks));
    say(text, sizeof(text),
        snprintf(text, sizeof(text),
                 "WEFT DISPLAY ENVIRONMENT BEGIN\n"
                 "  WEFT_VERSION = '%d.%d.%d'\n"
                 "  WEFT_NUM_WORKERS = '%u' (%s)\n"
                 "  WEFT_STACK_SIZE = '%zuK'\n"
                 "  WEFT_WAIT_POLICY = '%s'\n"
                 "  WEFT_SPIN_US = '%.6g'\n"
                 "  WEFT_PROC_BIND = '%s'\n"
                 "  WEFT_PLACES = '%s'\n"
                 "  WEFT_CHECK = '%s'\n"
                 "  WEFT_DUMP_SIGNAL = '%s'\n"
                 "  WEFT_IO = '%s'\n"
                 "WEFT DISPLAY ENVIRONMENT END\n",
                 WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR, WEFT_VERSION_PATCH, s->workers,
                 s->workers_why, s->stack_bytes >> 10, weft__wait_policy_name(s->wait),
                 s->spin_ns == WEFT_FOREVER ? HUGE_VAL : (double)s->spin_ns / 1e3,
                 s->bind_primary ? "primary" : weft__proc_bind_name(s->bind), places,
                 checks + (checks[0] == ','),
                 s->dump_signal != 0 ? sigabbrev_np(s->dump_signal) : "",
                 s->is_uring ? "uring" : "epoll"));
}

int weft__settings_resolve(const weft_config *config, struct weft__settings *out)
{
    struct weft__environment environment;
    int rc = weft__settings_inspect(config, "", out, &environment);

    if (rc != 0)
        return rc;
    warn(&environment);
    warn_of_names();
    if (environment.display)
        display(out);
    return 0;
}
