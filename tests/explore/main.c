/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c — the explorer's command line: which models, how to search. */
#include "engine.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#define MODELS_MAX 256
#define TICK_US 20000 /* of processor time */

/* Where the linker puts what EXPLORE_MODEL() defines. */
extern const explore_entry *const __start_explore_models[];
extern const explore_entry *const __stop_explore_models[];

/* Likewise what the accesses of the sources define. */
extern explore_site *const __start_explore_sites[];
extern explore_site *const __stop_explore_sites[];

static const explore_entry *models[MODELS_MAX];
static size_t model_count;

static int compare_places(const void *a, const void *b)
{
    const explore_entry *left = *(const explore_entry *const *)a;
    const explore_entry *right = *(const explore_entry *const *)b;
    int order = strcmp(left->file, right->file);
    return order != 0 ? order : left->line - right->line;
}

static void collect_models(void)
{
    for (const explore_entry *const *e = __start_explore_models; e < __stop_explore_models; e++)
        if (model_count < MODELS_MAX)
            models[model_count++] = *e;
    qsort(models, model_count, sizeof models[0], compare_places);
}

static int usage(void)
{
    (void)fputs("usage: explore-PROTOCOL [OPTIONS] MODEL...\n"
                "  MODEL is a name, the beginning of one, or all; --list shows them\n"
                "  --preempt N     bound of the depth-first search, instead of the model's\n"
                "  --most N        the model's, but no more than N\n"
                "  --deeper N      the model's bound and N more\n"
                "  --stale N       loads that may miss the newest store, instead of the model's\n"
                "  --random N      N executions by chance\n"
                "  --pct N         N executions by changing priorities, --depth D (3)\n"
                "  --seed S        for both\n"
                "  --limit N       at most N executions of a depth-first search\n"
                "  --seconds N     at most so long for each model\n"
                "  --replay TRACE  one execution\n"
                "  --weaken SITE ORDER  an access, as its source says it, has another order\n"
                "  --first         stop at the first failure\n"
                "  --quiet         a failure without its interleaving\n",
                stderr);
    return 2;
}

static int list(void)
{
    for (size_t i = 0; i < model_count; i++)
        (void)puts(models[i]->model->name);
    return 0;
}

/* Change the order of a place in the sources; in a header it is there several times. */
static void weaken(const char *text, const char *order)
{
    static const char *const names[] = {[EXPLORE_RELAXED] = "relaxed",
                                        [EXPLORE_ACQUIRE] = "acquire",
                                        [EXPLORE_RELEASE] = "release",
                                        [EXPLORE_ACQ_REL] = "acq_rel",
                                        [EXPLORE_SEQ_CST] = "seq_cst"};
    int found = 0;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i] == NULL || strcmp(names[i], order) != 0)
            continue;
        for (explore_site *const *s = __start_explore_sites; s < __stop_explore_sites; s++) {
            if (strcmp((*s)->text, text) == 0) {
                (*s)->order = (explore_order)i;
                found = 1;
            }
        }
    }
    if (!found) {
        (void)fprintf(stderr, "explore: no access '%s', or no order '%s'\n", text, order);
        exit(2);
    }
}

/* Take one option: the number of arguments used, 0 if it is none. */
static int option(engine_settings *settings, char **arguments)
{
    const char *name = arguments[0];
    const char *value = arguments[1];
    if (strcmp(name, "--quiet") == 0) {
        settings->is_quiet = true;
        return 1;
    }
    if (strcmp(name, "--first") == 0) {
        settings->is_first_only = true;
        return 1;
    }
    if (strncmp(name, "--", 2) != 0 || value == NULL)
        return 0;
    if (strcmp(name, "--weaken") == 0 && arguments[2] != NULL) {
        weaken(value, arguments[2]);
        return 3;
    }
    uint64_t number = strtoull(value, NULL, 10);
    if (strcmp(name, "--preempt") == 0)
        settings->preemptions = (int)number;
    else if (strcmp(name, "--most") == 0)
        settings->preemptions_most = (int)number;
    else if (strcmp(name, "--deeper") == 0)
        settings->deeper = (int)number;
    else if (strcmp(name, "--seconds") == 0)
        settings->seconds = (double)number;
    else if (strcmp(name, "--stale") == 0)
        settings->stale = (int)number;
    else if (strcmp(name, "--seed") == 0)
        settings->seed = number;
    else if (strcmp(name, "--depth") == 0)
        settings->depth = (unsigned)number;
    else if (strcmp(name, "--replay") == 0)
        settings->replay = value;
    else if (strcmp(name, "--limit") == 0 || strcmp(name, "--random") == 0 ||
             strcmp(name, "--pct") == 0)
        settings->executions = number;
    else
        return 0;
    if (strcmp(name, "--random") == 0)
        settings->mode = MODE_RANDOM;
    if (strcmp(name, "--pct") == 0)
        settings->mode = MODE_PCT;
    if (settings->replay != NULL)
        settings->mode = MODE_REPLAY;
    return 2;
}

static int search_all(const char *name, const engine_settings *settings)
{
    int found = 0;
    int status = 0;
    for (size_t i = 0; i < model_count; i++) {
        const explore_model *model = models[i]->model;
        if (strcmp(name, "all") != 0 && strncmp(model->name, name, strlen(name)) != 0)
            continue;
        found = 1;
        if (engine_search(model, settings))
            status = 1;
        if (status != 0 && settings->is_first_only)
            break;
    }
    if (!found)
        (void)fprintf(stderr, "explore: no model is called %s\n", name);
    return found ? status : 2;
}

/* Code that is wrong enough crashes: a failure like any other, with an interleaving. The handler
 * leaves its stack by the switch of engine_fail(), and the next crash may use it again. A loop that
 * never ends is one as well. */
static void on_crash(int number)
{
    engine_fail("crash by signal %d", number);
}

static void on_tick(int number)
{
    (void)number;
    engine_tick();
}

static void catch_crashes(void)
{
    static char signal_stack[(size_t)64 << 10];
    stack_t stack = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK | SA_NODEFER};
    struct sigaction tick = {.sa_handler = on_tick, .sa_flags = SA_ONSTACK | SA_NODEFER};
    struct itimerval interval = {{0, TICK_US}, {0, TICK_US}};
    (void)sigemptyset(&action.sa_mask);
    (void)sigemptyset(&tick.sa_mask);
    (void)sigaltstack(&stack, NULL);
    (void)sigaction(SIGVTALRM, &tick, NULL);
    (void)setitimer(ITIMER_VIRTUAL, &interval, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    (void)sigaction(SIGBUS, &action, NULL);
    (void)sigaction(SIGILL, &action, NULL);
}

int main(int argument_count, char **arguments)
{
    engine_settings settings = {.preemptions = -1,
                                .preemptions_most = -1,
                                .stale = -1,
                                .seed = 1,
                                .depth = 3,
                                .program = arguments[0]};
    int status = 0;
    int searches = 0;
    catch_crashes();
    collect_models();
    for (int i = 1; i < argument_count;) {
        if (strcmp(arguments[i], "--list") == 0)
            return list();
        int used = option(&settings, &arguments[i]);
        if (used == 0 && arguments[i][0] == '-')
            return usage();
        if (used == 0) {
            int result = search_all(arguments[i], &settings);
            status = result > status ? result : status;
            searches++;
            if (status != 0 && settings.is_first_only)
                break;
            used = 1;
        }
        i += used;
    }
    return searches > 0 ? status : usage();
}
