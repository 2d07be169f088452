/* SPDX-License-Identifier: BSD-2-Clause */
/* engine.h — between the two halves of the explorer: explore.c decides what happens next, memory.c
 * knows what each thread may see. */
#ifndef EXPLORE_ENGINE_H
#define EXPLORE_ENGINE_H

#include "explore.h"

#include <stdbool.h>

/* Who prepares and finishes is a thread of its own, which nobody runs beside. */
#define PREPARER EXPLORE_THREADS_MAX
#define ACTORS (EXPLORE_THREADS_MAX + 1)

/* How a search goes. */
typedef enum engine_mode { MODE_DEPTH_FIRST, MODE_RANDOM, MODE_PCT, MODE_REPLAY } engine_mode;

typedef struct engine_settings {
    engine_mode mode;
    int preemptions;      /* bound of the depth-first search; negative: the model's */
    int preemptions_most; /* the model's, but no more than this; negative: no limit */
    int deeper;           /* added to the model's bound */
    int stale;            /* as the first */
    double seconds;       /* for each model, 0: as long as it takes */
    uint64_t executions;  /* at most so many; 0: until the search is complete */
    uint64_t seed;
    unsigned depth;      /* of PCT: one more than the number of priority changes */
    const char *replay;  /* the trace of MODE_REPLAY */
    const char *program; /* how this one was called, for reports */
    bool is_quiet;
    bool is_first_only;
} engine_settings;

/* Search one model. Nonzero: a failure was found, and printed. */
int engine_search(const explore_model *model, const engine_settings *settings);

/* From a signal handler, at intervals that are long for an access. */
void engine_tick(void);

/* ---- explore.c, for memory.c ---- */

/* The thread that runs; PREPARER before and after the threads. */
unsigned engine_current(void);

/* Whether a thread may make another step. */
bool engine_is_running(unsigned thread);

/* Choose among `count` possibilities; 0 is the usual one, and the only one if `is_fixed`. */
unsigned engine_choose(unsigned count, bool is_fixed);

/* What a thread does that others may notice: to one word, or to all (NULL). */
typedef struct engine_step {
    const void *word;
    bool is_write;
} engine_step;

/* Before a step: let another thread go first, perhaps; not if it is known to be `is_local`. */
void engine_point(engine_step step, bool is_local);

/* A thread makes a step: whoever let others go before one to the same word has done so for a
 * reason. */
void engine_makes(engine_step step);

/* A thread has written: whoever waits for a change may look again. */
void engine_has_written(void);

/* Use up one load that misses the newest store: zero if there is none left. */
bool engine_may_be_stale(void);
void engine_is_stale(void);

/* Whether an address lies in a part of another thread's stack that is not in use. */
bool engine_is_dead_frame(const void *address);

__attribute__((format(printf, 1, 2))) void engine_say(const char *format, ...);
__attribute__((format(printf, 1, 2), noreturn)) void engine_fail(const char *format, ...);

/* ---- memory.c, for explore.c ---- */

/* Before an execution: nothing has happened. Before the threads: they know what the preparer
 * knows. After them: it knows what they know. */
void memory_reset(void);
void memory_fork(void);
void memory_join(void);

/* Whether the sharing of a word has turned out to be wider than known. From now on it is known. */
bool memory_has_learnt(void);

/* Forget who shares what: another model begins. */
void memory_forget(void);

/* Nonzero: there is memory that nobody has released. */
unsigned memory_left_over(void);

/* Whether an access to `address` concerns this thread only, as far as is known. */
bool memory_is_local(const void *address, bool is_write);

/* The newest value of a word, as the kernel reads it. */
uint32_t memory_newest(const uint32_t *word);

/* The caller is told of everything that a thread has done. */
void memory_follow(unsigned thread);

/* A thread can see what the caller has done so far, in the words that it will load: not that it
 * may rely on it for plain accesses. */
void memory_tell(unsigned thread);

#endif
