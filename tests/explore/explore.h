/* SPDX-License-Identifier: BSD-2-Clause */
/* explore.h — what a model says to the explorer, and what the shadow headers turn accesses into.
 *
 * A model is a few functions that run the project's own code: one prepares, up to four run as
 * threads, one looks at the outcome. The explorer runs them again and again, each time with
 * another order of the accesses and other values of the loads, until it has tried all of them
 * within its bounds. README.md beside this file says how, and has a complete example. */
#ifndef EXPLORE_H
#define EXPLORE_H

#include <stddef.h>
#include <stdint.h>

#define EXPLORE_THREADS_MAX 4

/* One model; zero means none. The four budgets are for a whole execution. */
typedef struct explore_model {
    const char *name;
    void (*prepare)(void);                      /* before the threads, alone */
    void (*threads[EXPLORE_THREADS_MAX])(void); /* the first NULL ends the list */
    void (*finish)(void);                       /* after the threads, alone */
    uint64_t argument;                          /* the model's own: explore_argument() */
    unsigned preemptions;                       /* the bound of the depth-first search */
    unsigned stale;                             /* loads that may miss the newest store */
    unsigned spurious;                          /* waits that may return without a wake */
    unsigned crashes;                           /* threads that may stop at a crash point */
    unsigned no_memory;                         /* allocations that may fail */

    /* Counts the threads that have stopped for ever, and wakes who sleeps on it, as the kernel
     * tells of the end of a process. Then nobody may be left asleep. NULL: nobody is told. */
    uint32_t *ends;
    unsigned survivors; /* so many threads, from the first on, do not stop */

    /* Nonzero at the end: the threads that are asleep may stay so for ever, and have to. NULL: none
     * may. */
    const uint32_t *hangs;
    unsigned patient; /* nonzero: a deadline passes after what others do, where they can go on */
} explore_model;

/* Define a model, and have it found: EXPLORE_MODEL(variable) = {.name = "protocol.what", ...};
 * Those of a program run in the order of their files and lines. */
typedef struct explore_entry {
    const explore_model *model;
    const char *file;
    int line;
} explore_entry;

#define EXPLORE_MODEL(variable)                                                                    \
    static const explore_model variable;                                                           \
    static const explore_entry variable##_entry = {&variable, __FILE__, __LINE__};                 \
    static const explore_entry *const variable##_found                                             \
        __attribute__((section("explore_models"), used)) = &variable##_entry;                      \
    static const explore_model variable

/* ---- for models ---------------------------------------------------------------------------- */

unsigned explore_self(void);     /* the number of the calling thread, 0 ... */
uint64_t explore_argument(void); /* of the model that runs */
unsigned explore_crashed(void);  /* threads that have stopped for ever */

/* Ask about a thread's death as a process asks the kernel: if it has stopped for ever, all that it
 * did happens before the answer. */
int explore_has_died(unsigned thread);

/* errno of the calling thread, for system calls that a model provides. */
int explore_errno_get(void);
void explore_errno_set(int value);

/* Memory that is watched: an access after its release is a failure, and so is memory that is left
 * over when the model ends. explore_alloc() never fails. */
void *explore_alloc(size_t bytes);
void explore_free(void *memory);

/* One more stack in this execution, a fiber's. While it does not run `*pointer` says how deep it is
 * used, and an access below that is one to a frame that is gone. */
void explore_stack(const void *low, size_t bytes, void *const *pointer);

/* A plain access to shared data, for code that is compiled without instrumentation; all other code
 * reports its plain accesses by itself. A race is a failure. */
void explore_plain_read(const void *address);
void explore_plain_write(void *address);

/* End this execution: the model has found what must not be. */
__attribute__((noreturn)) void explore_fail(const char *what);

#define EXPLORE_STRING_(x) #x
#define EXPLORE_STRING(x) EXPLORE_STRING_(x)
#define EXPLORE_PLACE __FILE__ ":" EXPLORE_STRING(__LINE__) ": "
#define explore_check(condition)                                                                   \
    ((condition) ? (void)0 : explore_fail(EXPLORE_PLACE "check failed: " #condition))

/* ---- for the shadow headers ---------------------------------------------------------------- */

typedef enum explore_order {
    EXPLORE_RELAXED = 0,
    EXPLORE_ACQUIRE = 1,
    EXPLORE_RELEASE = 2,
    EXPLORE_ACQ_REL = 3,
    EXPLORE_SEQ_CST = 7,
} explore_order;

/* A place in the sources that accesses a word, and with which order. */
typedef struct explore_site {
    const char *text; /* "file:line: operation(word)" */
    explore_order order;
} explore_site;

/* A word as it is accessed: which, how wide, where. */
typedef struct explore_access {
    void *address;
    unsigned bytes;
    const explore_site *site;
} explore_access;

/* A word, and what it must hold for a sleep on it. */
typedef struct explore_sleep {
    const uint32_t *word;
    uint32_t expected;
} explore_sleep;

#define EXPLORE_SLEEPS_MAX 4

uint64_t explore_load(explore_access access);
void explore_store(explore_access access, uint64_t value);
uint64_t explore_exchange(explore_access access, uint64_t value);
uint64_t explore_fetch_add(explore_access access, uint64_t value);
int explore_cas(explore_access access, void *expected, uint64_t value);

void *explore_hook_alloc(size_t bytes); /* may fail, if the model allows it */
void explore_membarrier(void);
void explore_yield(void); /* the caller waits for what another thread is to write */
void explore_crash_point(int number);
void explore_park_wait(const uint32_t *word, uint32_t expected);
/* Until one changes: which of them a wake was for, perhaps of several, or -1. */
int explore_park_any(const explore_sleep sleeps[], unsigned count);
int explore_park_until(const uint32_t *word, uint32_t expected, int64_t deadline_ns);
int explore_park_wake(const uint32_t *word, int count); /* how many it has woken */

#endif
