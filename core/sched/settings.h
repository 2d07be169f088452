/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.h — what a runtime will be like: configuration, environment and machine, resolved. */
#ifndef WEFT_CORE_SCHED_SETTINGS_H
#define WEFT_CORE_SCHED_SETTINGS_H

#include "sched/limits.h"
#include "sched/places.h"
#include <weft/runtime.h>

/* How long an adaptive worker looks for work before it sleeps. */
#define WEFT__SPIN_NS_DEFAULT (20 * WEFT_USEC)

struct weft__settings {
    unsigned workers;           /* 1 ... WEFT_WORKERS_MAX */
    char workers_why[128];      /* a sentence fragment: "the affinity mask allows 4 CPUs" */
    size_t stack_bytes;         /* of a fiber, whole pages */
    weft_wait_policy wait;      /* never WEFT_WAIT_DEFAULT */
    int64_t spin_ns;            /* adaptive: as said; passive: 0; active: WEFT_FOREVER */
    weft_proc_bind bind;        /* never WEFT_BIND_DEFAULT */
    bool bind_primary;          /* all workers in the first place; `bind` is then WEFT_BIND_CLOSE */
    int report_overflow;        /* as in weft_config */
    weft_hang_policy hang;      /* never WEFT_HANG_DEFAULT */
    int dump_signal;            /* 0: none */
    unsigned checks;            /* of debug/check.h */
    bool is_uring;              /* wait for files by io_uring, not by epoll */
    struct weft__places places; /* what workers are bound to, if `bind` says so */
    struct weft__limits limits; /* what the machine offers */
};

/* The variables, in the order in which they are listed. */
enum weft__variable {
    WEFT__NUM_WORKERS,
    WEFT__STACK_SIZE,
    WEFT__WAIT_POLICY,
    WEFT__SPIN_US,
    WEFT__PROC_BIND,
    WEFT__PLACES,
    WEFT__CHECK,
    WEFT__DUMP_SIGNAL,
    WEFT__IO,
    WEFT__DISPLAY_ENV,
    WEFT__VARIABLES,
};

/* What became of each variable of the environment. */
struct weft__environment {
    struct weft__verdict {
        const char *value; /* NULL: not set */
        bool bad;          /* (partly) not used, because it makes no sense */
        char text[128];    /* what holds instead, or why: "out of range 1 ... 1024; using 4" */
    } verdict[WEFT__VARIABLES];
    bool display; /* WEFT_DISPLAY_ENV asks for a listing */
};

extern const char *const weft__variable_name[WEFT__VARIABLES];

/**
 * Settle every value: `config` before environment before machine.
 *
 * A variable with a bad value gets one line on stderr, once in the life of the process; with
 * WEFT_DISPLAY_ENV=1 the result is listed there, once as well.
 *
 * @param config   may be NULL
 * Returns         0; -EINVAL a value of `config` is out of range, nothing was printed; -ENOMEM
 * Context         any thread or fiber
 * Progress        blocking: reads files
 */
int weft__settings_resolve(const weft_config *config, struct weft__settings *out);

/* The same without a word, from files below `root`; `*environment` receives the verdicts. */
int weft__settings_inspect(const weft_config *config, const char *root, struct weft__settings *out,
                           struct weft__environment *environment);

/* The words of the environment for a value: "adaptive", "close". */
const char *weft__wait_policy_name(weft_wait_policy wait);
const char *weft__proc_bind_name(weft_proc_bind bind);

/* Reads "256", "64K", "1 m" as OMP_STACKSIZE has it: without a suffix the unit is KiB. Answers 0,
 * -EINVAL or -ERANGE. */
int weft__parse_bytes(const char *text, size_t *bytes);

#endif
