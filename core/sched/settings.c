/* SPDX-License-Identifier: BSD-2-Clause */
/* settings.c — what a runtime will be like: configuration, environment and machine, resolved.
 *
 * An explicit value of weft_config wins over the environment, which wins over what the machine
 * offers. The two are treated differently when wrong: a bad configuration is a mistake of the
 * program and refused, a bad variable is a mistake of whoever starts it and must not stop a job of
 * a thousand ranks: it is named on stderr, once, and the default holds. Silence would be worse: a
 * mistyped WEFT_NUM_WORKERS=abc costs an afternoon.
 *
 * The grammar is OpenMP's wherever OpenMP has one (OMP_STACKSIZE, OMP_WAIT_POLICY, OMP_PROC_BIND,
 * OMP_PLACES): words in either case, blanks around them. Two rules are taken over with it: places
 * without a policy bind closely, since nobody names places in order not to use them, and of a list
 * of policies the first counts, since weft does not nest.
 *
 * Variables of others (OMP_NUM_THREADS, SLURM_CPUS_PER_TASK) decide nothing unless
 * WEFT_NUM_WORKERS=auto:env asks for it: they are often inherited from a script that meant another
 * program, and what a batch system really grants is in the affinity mask.
 *
 * Everything is decided without a word, for `weft info` as well; settings_say.c speaks. */
#include "sched/settings.h"

#include "debug/check.h"
#include "sched/reactor.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* A variable that counts microseconds may say at most so many: a quarter of an hour. */
#define SPIN_US_MAX 1000000000ull

const char *const weft__variable_name[WEFT__VARIABLES] = {
    [WEFT__NUM_WORKERS] = "WEFT_NUM_WORKERS",
    [WEFT__STACK_SIZE] = "WEFT_STACK_SIZE",
    [WEFT__WAIT_POLICY] = "WEFT_WAIT_POLICY",
    [WEFT__SPIN_US] = "WEFT_SPIN_US",
    [WEFT__PROC_BIND] = "WEFT_PROC_BIND",
    [WEFT__PLACES] = "WEFT_PLACES",
    [WEFT__CHECK] = "WEFT_CHECK",
    [WEFT__DUMP_SIGNAL] = "WEFT_DUMP_SIGNAL",
    [WEFT__IO] = "WEFT_IO",
    [WEFT__DISPLAY_ENV] = "WEFT_DISPLAY_ENV",
};

/* A word of the environment and what it stands for. */
struct word {
    const char *text;
    int value;
};

static const struct word wait_words[] = {
    {"passive", WEFT_WAIT_PASSIVE},
    {"adaptive", WEFT_WAIT_ADAPTIVE},
    {"active", WEFT_WAIT_ACTIVE},
};

/* OpenMP's primary has no value of its own in weft_proc_bind: see bind_primary. */
enum { BIND_PRIMARY = -1 };

static const struct word bind_words[] = {
    {"false", WEFT_BIND_FALSE}, {"close", WEFT_BIND_CLOSE}, {"spread", WEFT_BIND_SPREAD},
    {"true", WEFT_BIND_CLOSE},  {"primary", BIND_PRIMARY},  {"master", BIND_PRIMARY},
};

static const struct word io_words[] = {{"auto", 0}, {"epoll", 0}, {"uring", 1}};

static const struct word switch_words[] = {
    {"1", 1}, {"true", 1}, {"yes", 1}, {"verbose", 1}, {"0", 0}, {"false", 0}, {"no", 0},
};

/* One resolution under way. */
struct resolution {
    const weft_config *config;
    struct weft__settings *out;
    struct weft__environment *environment;
};

/* ---- reading text --------------------------------------------------------------------------- */

static const char *skip_blanks(const char *text)
{
    return text + strspn(text, " \t");
}

/* Reads a number written in digits alone and moves `*text` behind it: 0, -EINVAL, -ERANGE. */
static int parse_digits(const char **text, unsigned long long *number)
{
    char *end;

    *text = skip_blanks(*text);
    if (**text < '0' || **text > '9')
        return -EINVAL;
    errno = 0;
    *number = strtoull(*text, &end, 10);
    if (errno != 0)
        return -ERANGE;
    *text = skip_blanks(end);
    return 0;
}

/* Reads a number and nothing else. */
static int parse_number(const char *text, unsigned long long *number)
{
    int rc = parse_digits(&text, number);
    return rc == 0 && *text != '\0' ? -EINVAL : rc;
}

/* Reads the next word of a list and moves `*text` behind it and its comma, to NULL at the end of
 * the list. Answers the word's index, or -EINVAL. */
static int parse_word(const char **text, const struct word *words, size_t count)
{
    const char *start = skip_blanks(*text);
    size_t length = strcspn(start, ",");

    *text = start[length] == ',' ? start + length + 1 : NULL;
    while (length > 0 && strchr(" \t", start[length - 1]) != NULL)
        length--;
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i].text) == length && strncasecmp(words[i].text, start, length) == 0)
            return (int)i;
    return -EINVAL;
}

int weft__parse_bytes(const char *text, size_t *bytes)
{
    static const char suffixes[] = "bkmgBKMG";
    unsigned long long number;
    const char *suffix;
    unsigned shift = 10;
    int rc = parse_digits(&text, &number);

    if (rc != 0)
        return rc;
    if (*text != '\0') {
        suffix = strchr(suffixes, *text);
        if (suffix == NULL || *skip_blanks(text + 1) != '\0')
            return -EINVAL;
        shift = (unsigned)((suffix - suffixes) % 4) * 10;
    }
    if (number > SIZE_MAX >> shift)
        return -ERANGE;
    *bytes = (size_t)number << shift;
    return 0;
}

/* ---- verdicts ------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void note(struct resolution *r,
                                                       enum weft__variable variable,
                                                       const char *format, ...)
{
    struct weft__verdict *verdict = &r->environment->verdict[variable];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(verdict->text, sizeof(verdict->text), format, arguments);
    va_end(arguments);
}

/* Marks the value just noted upon as bad. */
static void reject(struct resolution *r, enum weft__variable variable)
{
    r->environment->verdict[variable].bad = true;
}

/* Looks a variable up; NULL if it is not set, or if the configuration decides anyway. */
static const char *look_up(struct resolution *r, enum weft__variable variable, bool overridden)
{
    const char *value = getenv(weft__variable_name[variable]);

    r->environment->verdict[variable].value = value;
    note(r, variable, "%s", value == NULL ? "not set" : "used");
    if (value != NULL && overridden) {
        note(r, variable, "not used: the program's weft_config decides");
        return NULL;
    }
    return value;
}

/* ---- one setting at a time ------------------------------------------------------------------ */

static void count_place(void *context, unsigned place, unsigned cpu)
{
    (void)place;
    weft__cpuset_add(context, cpu);
}

/* Counts the processors in a list of places that this process may use. */
static WEFT__NOINLINE unsigned usable_places(const struct weft__settings *settings)
{
    struct weft__cpuset named = {{0}};

    (void)weft__places_each(settings->places.list, count_place, &named);
    named = weft__cpuset_and(&named, &settings->limits.allowed_set);
    return weft__cpuset_count(&named);
}

static void resolve_places(struct resolution *r)
{
    const char *value = look_up(r, WEFT__PLACES, false);
    int rc;

    r->out->places = (struct weft__places){0};
    if (value == NULL)
        return;
    rc = weft__places_parse(&r->out->places, value);
    if (rc == 0 && r->out->places.kind == WEFT__PLACES_LIST && usable_places(r->out) == 0) {
        r->out->places = (struct weft__places){0};
        note(r, WEFT__PLACES, "names no CPU that this process may use; using cores");
    } else if (rc == -ENOTSUP) {
        note(r, WEFT__PLACES, "exclusion (!) is not supported; using cores");
    } else if (rc != 0) {
        note(r, WEFT__PLACES,
             "not threads, cores, ll_caches, numa_domains, sockets or a list {0:4}:8:4; "
             "using cores");
    } else {
        return;
    }
    reject(r, WEFT__PLACES);
}

static void resolve_bind(struct resolution *r)
{
    const struct weft__verdict *places = &r->environment->verdict[WEFT__PLACES];
    const char *value = look_up(r, WEFT__PROC_BIND, r->config->bind != WEFT_BIND_DEFAULT);
    int bind = places->value != NULL && !places->bad ? WEFT_BIND_CLOSE : WEFT_BIND_FALSE;
    int first = -1;

    if (r->config->bind != WEFT_BIND_DEFAULT)
        bind = (int)r->config->bind;
    for (const char *rest = value; rest != NULL;) {
        int index = parse_word(&rest, bind_words, LENGTH(bind_words));
        if (index < 0) {
            note(r, WEFT__PROC_BIND, "not true, false, close, spread or primary; using %s",
                 weft__proc_bind_name((weft_proc_bind)bind));
            reject(r, WEFT__PROC_BIND);
            first = -1;
            break;
        }
        if (first < 0)
            first = index;
    }
    if (first >= 0)
        bind = bind_words[first].value;
    r->out->bind_primary = bind == BIND_PRIMARY;
    r->out->bind = r->out->bind_primary ? WEFT_BIND_CLOSE : (weft_proc_bind)bind;
    if (r->out->bind == WEFT_BIND_FALSE && places->value != NULL && !places->bad)
        note(r, WEFT__PLACES, "not used: workers are not bound");
}

/* What detection alone says. */
static void detect_workers(struct weft__settings *out)
{
    const struct weft__limits *limits = &out->limits;
    unsigned named = out->places.kind == WEFT__PLACES_LIST && out->bind != WEFT_BIND_FALSE
                         ? usable_places(out)
                         : limits->usable;
    char *why = out->workers_why;
    size_t bytes = sizeof(out->workers_why);

    out->workers = limits->usable;
    if (limits->usable < limits->allowed)
        snprintf(why, bytes, "the cgroup's CPU quota grants %.4g CPUs, rounded up",
                 limits->quota_cpus);
    else if (limits->allowed < limits->online)
        snprintf(why, bytes, "the affinity mask allows %u of %u CPUs", limits->allowed,
                 limits->online);
    else
        snprintf(why, bytes,
                 "neither the affinity mask nor a quota takes away from %u online CPU%s",
                 limits->online, limits->online == 1 ? "" : "s");
    if (named < out->workers) {
        out->workers = named;
        snprintf(why, bytes, "WEFT_PLACES names %u of the CPUs that may be used", named);
    }
    if (out->workers > WEFT_WORKERS_MAX) {
        out->workers = WEFT_WORKERS_MAX;
        snprintf(why, bytes, "a runtime has at most %u workers", WEFT_WORKERS_MAX);
    }
}

/* WEFT_NUM_WORKERS=auto:env: what OpenMP or Slurm were told, if it makes sense. */
static bool workers_of_others(struct weft__settings *out)
{
    static const char *const names[] = {"OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"};

    for (size_t i = 0; i < LENGTH(names); i++) {
        const char *value = getenv(names[i]);
        unsigned long long number;
        if (value == NULL || parse_digits(&value, &number) != 0 || number == 0 ||
            number > WEFT_WORKERS_MAX || (*value != '\0' && *value != ','))
            continue;
        out->workers = (unsigned)number;
        snprintf(out->workers_why, sizeof(out->workers_why),
                 "%s says so, and WEFT_NUM_WORKERS=auto:env listens", names[i]);
        return true;
    }
    return false;
}

static void resolve_workers(struct resolution *r)
{
    static const struct word autos[] = {{"auto", 0}, {"auto:env", 1}};
    const char *value = look_up(r, WEFT__NUM_WORKERS, r->config->workers != 0);
    const char *rest = value;
    unsigned long long number;
    int index;

    detect_workers(r->out);
    if (r->config->workers != 0) {
        r->out->workers = r->config->workers;
        strcpy(r->out->workers_why, "the program's weft_config says so");
        return;
    }
    if (value == NULL)
        return;
    index = parse_word(&rest, autos, LENGTH(autos));
    if (index >= 0 && rest == NULL) {
        if (autos[index].value == 1 && !workers_of_others(r->out))
            note(r, WEFT__NUM_WORKERS, "neither OMP_NUM_THREADS nor SLURM_CPUS_PER_TASK says more");
        return;
    }
    if (parse_number(value, &number) == 0 && number >= 1 && number <= WEFT_WORKERS_MAX) {
        r->out->workers = (unsigned)number;
        strcpy(r->out->workers_why, "WEFT_NUM_WORKERS says so");
        return;
    }
    note(r, WEFT__NUM_WORKERS, "not a whole number from 1 to %u, auto or auto:env; using %u",
         WEFT_WORKERS_MAX, r->out->workers);
    reject(r, WEFT__NUM_WORKERS);
}

static void resolve_stack(struct resolution *r)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = r->config->stack_bytes;
    const char *value = look_up(r, WEFT__STACK_SIZE, bytes != 0);
    int rc;

    if (bytes == 0)
        bytes = WEFT_STACK_BYTES_DEFAULT;
    if (value != NULL) {
        size_t asked = 0;
        rc = weft__parse_bytes(value, &asked);
        if (rc == 0 && asked >= WEFT_STACK_BYTES_MIN && asked <= WEFT_STACK_BYTES_MAX) {
            bytes = asked;
        } else {
            note(r, WEFT__STACK_SIZE, "%s; using %zuK",
                 rc == -EINVAL ? "not a number with an optional B, K, M or G (default K)"
                               : "not between 16K and 64G",
                 bytes >> 10);
            reject(r, WEFT__STACK_SIZE);
        }
    }
    r->out->stack_bytes = (bytes + page - 1) / page * page;
}

static void resolve_wait(struct resolution *r)
{
    const char *value = look_up(r, WEFT__WAIT_POLICY, r->config->wait != WEFT_WAIT_DEFAULT);
    const char *rest = value;
    int index = value != NULL ? parse_word(&rest, wait_words, LENGTH(wait_words)) : 0;

    r->out->wait = r->config->wait != WEFT_WAIT_DEFAULT ? r->config->wait : WEFT_WAIT_ADAPTIVE;
    if (value == NULL)
        return;
    if (index >= 0 && rest == NULL) {
        r->out->wait = (weft_wait_policy)wait_words[index].value;
        return;
    }
    note(r, WEFT__WAIT_POLICY, "not passive, adaptive or active; using adaptive");
    reject(r, WEFT__WAIT_POLICY);
}

/* Follows the number of workers and the policy. */
static void resolve_spin(struct resolution *r)
{
    const char *value = look_up(r, WEFT__SPIN_US, r->config->spin_ns != 0);
    bool crowded = r->out->workers > r->out->limits.usable;
    int64_t spin_ns = crowded ? 0 : WEFT__SPIN_NS_DEFAULT;
    unsigned long long number;

    if (r->config->spin_ns != 0) {
        spin_ns = r->config->spin_ns;
    } else if (value != NULL) {
        if (parse_number(value, &number) == 0 && number <= SPIN_US_MAX) {
            spin_ns = (int64_t)number * WEFT_USEC;
        } else {
            note(r, WEFT__SPIN_US, "not a whole number of microseconds up to %llu; using %lld",
                 SPIN_US_MAX, (long long)(spin_ns / WEFT_USEC));
            reject(r, WEFT__SPIN_US);
        }
    }
    if (r->out->wait != WEFT_WAIT_ADAPTIVE) {
        spin_ns = r->out->wait == WEFT_WAIT_PASSIVE ? 0 : WEFT_FOREVER;
        if (value != NULL && !r->environment->verdict[WEFT__SPIN_US].bad)
            note(r, WEFT__SPIN_US, "not used: idle workers are %s",
                 weft__wait_policy_name(r->out->wait));
    }
    r->out->spin_ns = spin_ns;
}

/* The checks by name. */
enum { CHECK_STACK, CHECK_HANG, CHECK_MIGRATE, CHECK_REACTOR, CHECK_JOIN };

static const struct word check_words[] = {
    {"stack", CHECK_STACK},     {"hang", CHECK_HANG}, {"migrate", CHECK_MIGRATE},
    {"reactor", CHECK_REACTOR}, {"join", CHECK_JOIN},
};

static void turn_on(struct weft__settings *out, int check)
{
    if (check == CHECK_STACK)
        out->report_overflow = 1;
    else if (check == CHECK_MIGRATE)
        out->checks |= WEFT__CHECK_MIGRATE;
    else if (check == CHECK_REACTOR)
        out->checks |= WEFT__CHECK_REACTOR;
    else if (check == CHECK_JOIN)
        out->checks |= WEFT__CHECK_JOIN;
    else if (out->hang == WEFT_HANG_DEFAULT)
        out->hang = WEFT_HANG_EXIT;
}

static void resolve_check(struct resolution *r)
{
    const char *value = look_up(r, WEFT__CHECK, false);

    r->out->report_overflow = r->config->report_overflow != 0;
    r->out->hang = r->config->hang;
    r->out->checks = 0;
    for (const char *rest = value; rest != NULL;) {
        const char *name = skip_blanks(rest);
        int index = parse_word(&rest, check_words, LENGTH(check_words));
        if (index >= 0) {
            turn_on(r->out, check_words[index].value);
        } else if (!r->environment->verdict[WEFT__CHECK].bad) {
            note(r, WEFT__CHECK,
                 "no check is called '%.*s'; known: stack, hang, migrate, reactor, join; using "
                 "those",
                 (int)strcspn(name, ",") > 40 ? 40 : (int)strcspn(name, ","), name);
            reject(r, WEFT__CHECK);
        }
    }
    if (r->out->hang == WEFT_HANG_DEFAULT)
        r->out->hang = WEFT_HANG_REPORT;
}

/* Whether a handler for the signal can be had for a dump: not for what a thread's own faults raise,
 * and what nobody can catch. */
static bool is_free_signal(int number)
{
    static const int taken[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

    for (size_t i = 0; i < LENGTH(taken); i++)
        if (taken[i] == number)
            return false;
    return number >= 1 && number < NSIG && sigabbrev_np(number) != NULL;
}

/* Reads "QUIT", "sigusr1" or "10"; 0: none of them. */
static int parse_signal(const char *text)
{
    unsigned long long number;

    if (parse_number(text, &number) == 0)
        return number < NSIG ? (int)number : 0;
    text = skip_blanks(text);
    if (strncasecmp(text, "SIG", 3) == 0)
        text += 3;
    for (int i = 1; i < NSIG; i++)
        if (sigabbrev_np(i) != NULL && strcasecmp(sigabbrev_np(i), text) == 0)
            return i;
    return 0;
}

/* Follows the checks: with a dump to be had, or a report, waits have their time noted. */
static void resolve_dump_signal(struct resolution *r)
{
    const char *value = look_up(r, WEFT__DUMP_SIGNAL, r->config->dump_signal != 0);

    r->out->dump_signal = r->config->dump_signal;
    if (value != NULL) {
        r->out->dump_signal = parse_signal(value);
        if (!is_free_signal(r->out->dump_signal)) {
            r->out->dump_signal = 0;
            note(r, WEFT__DUMP_SIGNAL,
                 "not the name or number of a signal that can be caught, such as QUIT; using none");
            reject(r, WEFT__DUMP_SIGNAL);
        }
    }
    if (r->out->dump_signal != 0 || r->out->hang == WEFT_HANG_EXIT)
        r->out->checks |= WEFT__CHECK_STAMP;
}

/* Epoll unless told otherwise: it is the faster one, and asks nothing of the threads. */
static void resolve_io(struct resolution *r)
{
    const char *value = look_up(r, WEFT__IO, false);
    const char *rest = value;
    int index = value != NULL ? parse_word(&rest, io_words, LENGTH(io_words)) : 0;
    int rc = 0;

    r->out->is_uring = false;
    if (value == NULL)
        return;
    if (index < 0 || rest != NULL) {
        note(r, WEFT__IO, "not auto, epoll or uring; using epoll");
        reject(r, WEFT__IO);
        return;
    }
    if (io_words[index].value == 1)
        rc = weft__uring_probe();
    r->out->is_uring = io_words[index].value == 1 && rc == 0;
    if (rc == 0)
        return;
    note(r, WEFT__IO, "%s (%s); using epoll",
         rc == -ENOTSUP ? "weft was built without liburing" : "the kernel refuses it",
         strerrorname_np(-rc));
    reject(r, WEFT__IO);
}

static void resolve_display(struct resolution *r)
{
    const char *value = look_up(r, WEFT__DISPLAY_ENV, false);
    const char *rest = value;
    int index;

    if (value == NULL)
        return;
    index = parse_word(&rest, switch_words, LENGTH(switch_words));
    if (index >= 0 && rest == NULL) {
        r->environment->display = switch_words[index].value != 0;
        return;
    }
    note(r, WEFT__DISPLAY_ENV, "not 1 or 0; using 0");
    reject(r, WEFT__DISPLAY_ENV);
}

/* ---- the whole ------------------------------------------------------------------------------ */

/* Enumerations come from C callers, who may put any number into them. */
static bool valid_config(const weft_config *config)
{
    return config->workers <= WEFT_WORKERS_MAX &&
           (config->stack_bytes == 0 || (config->stack_bytes >= WEFT_STACK_BYTES_MIN &&
                                         config->stack_bytes <= WEFT_STACK_BYTES_MAX)) &&
           (unsigned)config->wait <= WEFT_WAIT_ACTIVE && config->spin_ns >= 0 &&
           (unsigned)config->bind <= WEFT_BIND_SPREAD && (unsigned)config->hang <= WEFT_HANG_EXIT &&
           (config->dump_signal == 0 || is_free_signal(config->dump_signal));
}

int weft__settings_inspect(const weft_config *config, const char *root, struct weft__settings *out,
                           struct weft__environment *environment)
{
    static const weft_config defaults;
    struct resolution r = {
        .config = config != NULL ? config : &defaults,
        .out = out,
        .environment = environment,
    };
    int rc;

    if (!valid_config(r.config))
        return -EINVAL;
    /* From here on nothing fails, so there is no need for a copy that is larger than some stacks
     * can hold: each function below sets what it is named after. */
    rc = weft__limits_read(&out->limits, root);
    if (rc != 0)
        return rc;
    memset(environment, 0, sizeof(*environment));
    resolve_places(&r);
    resolve_bind(&r);
    resolve_workers(&r);
    resolve_stack(&r);
    resolve_wait(&r);
    resolve_spin(&r);
    resolve_check(&r);
    resolve_dump_signal(&r);
    resolve_io(&r);
    resolve_display(&r);
    return 0;
}
