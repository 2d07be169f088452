/* SPDX-License-Identifier: BSD-2-Clause */
/* dump.c — every worker and what it does, every fiber and why it waits.
 *
 * Fibers are found in the reservations their stacks are carved from; there is no list of them that
 * somebody would have to keep. Everything is read while others go on, so each fact is true of some
 * moment: words are read once and relaxed, and a stack is walked by unwind.c, which expects it to
 * change.
 *
 * A fiber that runs has its registers in its thread. Its worker is asked for its frames by the
 * process's dump signal, if it has one; it may be inside a loop that calls nothing of weft's. */
#include "debug/dump.h"

#include "debug/holder.h"
#include "debug/registry.h"
#include "hooks.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define FRAMES_MAX 48
#define SEARCHES_MAX 2000
#define MEMBERS_SHOWN 4
#define ANSWER_NS (100 * WEFT_MSEC)

static const char *const state_names[] = {"ready", "running", "waiting"};

static const char *const reason_names[WEFT_REASONS_] = {
    "unknown", "task",   "scope",     "sleep", "yield",   "runtime", "mutex",
    "rwlock",  "cond",   "semaphore", "event", "barrier", "latch",   "once",
    "channel", "select", "future",    "io",    "thread",  "process"};

const char *weft_fiber_state_name(weft_fiber_state state)
{
    return (unsigned)state <= WEFT_FIBER_WAITING ? state_names[state] : "?";
}

const char *weft_reason_name(weft_reason reason)
{
    return (unsigned)reason < WEFT_REASONS_ ? reason_names[reason] : "?";
}

/* ---- facts; relaxed throughout: each is true of some moment ---------------------------------- */

int weft__fiber_is_alive(const weft__fiber *fiber)
{
    return weft__load_relaxed(&fiber->running) != NULL;
}

weft_fiber_state weft__fiber_state(const weft_runtime *runtime, const weft__fiber *fiber,
                                   weft__worker **worker)
{
    *worker = NULL;
    for (unsigned i = 0; i < runtime->worker_count; i++) {
        if (weft__load_relaxed(&runtime->workers[i].current) != fiber)
            continue;
        *worker = &runtime->workers[i];
        return WEFT_FIBER_RUNNING;
    }
    return weft__load_relaxed(&fiber->item.state_) != 0 ? WEFT_FIBER_READY : WEFT_FIBER_WAITING;
}

static void describe(const weft_runtime *runtime, const weft__fiber *fiber, uint64_t number,
                     weft_fiber_info *info)
{
    weft__worker *worker;
    const weft_task_type *type = weft__load_relaxed(&fiber->running);
    const weft_site *site = weft__load_relaxed(&fiber->site);
    memset(info, 0, sizeof *info);
    info->number = number;
    info->name = type != NULL ? type->name : "?";
    if (site != NULL || type != NULL) {
        info->file = site != NULL ? site->file : type->file;
        info->line = site != NULL ? site->line : type->line;
    }
    info->state = weft__fiber_state(runtime, fiber, &worker);
    if (info->state != WEFT_FIBER_WAITING)
        return;
    info->reason = (weft_reason)weft__load_relaxed(&fiber->reason);
    info->object = weft__load_relaxed(&fiber->object);
    info->since_ns = weft__load_relaxed(&fiber->since_ns);
}

typedef struct visit {
    const weft_runtime *runtime;
    void (*each)(const weft_fiber_info *info, void *arg);
    void *arg;
    size_t count;
} visit;

static void visit_fiber(weft__fiber *fiber, uint64_t number, void *arg)
{
    visit *self = arg;
    weft_fiber_info info;
    if (!weft__fiber_is_alive(fiber))
        return;
    describe(self->runtime, fiber, number, &info);
    self->each(&info, self->arg);
    self->count++;
}

size_t weft_each_fiber(void (*each)(const weft_fiber_info *info, void *arg), void *arg)
{
    visit self = {.each = each, .arg = arg};
    weft_runtime *runtime = weft__registry_enter();
    for (; runtime != NULL; runtime = weft__registry_next(runtime)) {
        self.runtime = runtime;
        weft__fiber_pool_each(&runtime->fibers, visit_fiber, &self);
    }
    weft__registry_leave();
    return self.count;
}

/* ---- who keeps a fiber waiting --------------------------------------------------------------- */

typedef struct search {
    const void *task;  /* whose runner is looked for, or NULL */
    const void *scope; /* whose members are, or NULL */
    const weft__fiber *found[MEMBERS_SHOWN];
    size_t count;
} search;

static void search_fiber(weft__fiber *fiber, uint64_t number, void *arg)
{
    search *self = arg;
    (void)number;
    if (!weft__fiber_is_alive(fiber))
        return;
    if ((self->task != NULL && weft__load_relaxed(&fiber->task) == self->task) ||
        (self->scope != NULL && weft__load_relaxed(&fiber->home) == self->scope)) {
        if (self->count < MEMBERS_SHOWN)
            self->found[self->count] = fiber;
        self->count++;
    }
}

/* The fibers that `fiber` waits for: those that run what it joins, or live in its scope. */
static void find_blockers(const weft_runtime *runtime, const weft__fiber *fiber, search *found)
{
    const void *object = weft__load_relaxed(&fiber->object);
    memset(found, 0, sizeof *found);
    switch ((weft_reason)weft__load_relaxed(&fiber->reason)) {
    case WEFT_REASON_SCOPE:
        found->scope = object;
        break;
    case WEFT_REASON_JOIN:
    case WEFT_REASON_FUTURE:
        found->task = object;
        break;
    default:
        return;
    }
    if (object != NULL)
        weft__fiber_pool_each(&runtime->fibers, search_fiber, found);
}

const weft__fiber *weft__fiber_blocker(const weft_runtime *runtime, const weft__fiber *fiber)
{
    search found;
    weft__holder holder = weft__holder_of(weft__load_relaxed(&fiber->object));
    if (holder != 0)
        return WEFT__HOLDER_IS_THREAD(holder) ? NULL : (const weft__fiber *)holder;
    find_blockers(runtime, fiber, &found);
    return found.count > 0 ? found.found[0] : NULL;
}

/* ---- words ----------------------------------------------------------------------------------- */

void weft__dump_name(weft__dump *dump, const weft__fiber *fiber)
{
    const weft_task_type *type = weft__load_relaxed(&fiber->running);
    weft__text_put(&dump->text, "fiber ");
    weft__text_number(&dump->text, weft__fiber_pool_number(&dump->runtime->fibers, fiber));
    weft__text_put(&dump->text, " '");
    weft__text_put(&dump->text, type != NULL ? type->name : "?");
    weft__text_put(&dump->text, "'");
}

static void put_holder(weft__dump *dump, weft__holder holder)
{
    weft__text_put(&dump->text, ", held by ");
    if (WEFT__HOLDER_IS_THREAD(holder)) {
        weft__text_put(&dump->text, "thread ");
        weft__text_number(&dump->text, holder >> 1);
    } else {
        weft__dump_name(dump, (const weft__fiber *)holder);
    }
}

static void put_blockers(weft__dump *dump, const weft__fiber *fiber)
{
    search found;
    if (dump->searches == 0)
        return;
    dump->searches--;
    find_blockers(dump->runtime, fiber, &found);
    for (size_t i = 0; i < found.count && i < MEMBERS_SHOWN; i++) {
        weft__text_put(&dump->text, i > 0                ? ", "
                                    : found.task != NULL ? ", run by "
                                                         : ", in which lives ");
        weft__dump_name(dump, found.found[i]);
    }
    if (found.count > MEMBERS_SHOWN) {
        weft__text_put(&dump->text, " and ");
        weft__text_number(&dump->text, found.count - MEMBERS_SHOWN);
        weft__text_put(&dump->text, " more");
    }
}

static void put_wait(weft__dump *dump, const weft__fiber *fiber, const weft_fiber_info *info)
{
    weft__text *text = &dump->text;
    weft__text_put(text, info->reason == WEFT_REASON_SLEEP     ? " sleeps"
                         : info->reason == WEFT_REASON_UNKNOWN ? " waits for something"
                                                               : " waits for ");
    if (info->reason != WEFT_REASON_SLEEP && info->reason != WEFT_REASON_UNKNOWN)
        weft__text_put(text, weft_reason_name(info->reason));
    if (info->object != NULL) {
        weft__text_put(text, " ");
        weft__text_hex(text, (uintptr_t)info->object);
        weft__holder holder = weft__holder_of(info->object);
        if (holder != 0)
            put_holder(dump, holder);
        else
            put_blockers(dump, fiber);
    }
    if (info->since_ns != 0) {
        weft__text_put(text, ", for ");
        weft__text_seconds(text, weft_now() - info->since_ns);
    }
}

/* ---- frames ---------------------------------------------------------------------------------- */

static int begins_with(const char *text, const char *prefix)
{
    return text != NULL && strncmp(text, prefix, strlen(prefix)) == 0;
}

/* One frame; nonzero: it is the last of interest. The innermost frames, up to the call into weft,
 * are alike for all who wait, and left out. */
static int put_frame(weft__dump *dump, uintptr_t address, unsigned *shown)
{
    weft__text *text = &dump->text;
    weft__symbol symbol;
    weft__symbols_find(&dump->symbols, address, &symbol);
    if (begins_with(symbol.function, "weft__fiber_main"))
        return 1;
    if (*shown == 0 && begins_with(symbol.function, "weft__"))
        return 0;
    weft__text_put(text, "    #");
    weft__text_number(text, *shown);
    weft__text_put(text, *shown < 10 ? "  " : " ");
    weft__text_put(text, symbol.function != NULL ? symbol.function : "??");
    weft__text_put(text, " (");
    if (symbol.module != NULL) {
        weft__text_put(text, symbol.module);
        weft__text_put(text, "+");
    }
    weft__text_hex(text, symbol.offset);
    weft__text_put(text, ")\n");
    *shown += 1;
    return 0;
}

static void put_walk(weft__dump *dump, weft__walk *walk)
{
    unsigned shown = 0;
    for (unsigned i = 0; i < FRAMES_MAX; i++)
        if (put_frame(dump, weft__walk_address(walk), &shown) || !weft__walk_next(walk))
            return;
}

static void put_trace(weft__dump *dump, const weft__worker *worker)
{
    unsigned shown = 0;
    for (unsigned i = 0; i < worker->trace.count; i++)
        if (put_frame(dump, worker->trace.addresses[i], &shown))
            return;
}

static void put_frames(weft__dump *dump, const weft__fiber *fiber, const weft_fiber_info *info,
                       const weft__worker *worker)
{
    weft__walk walk;
    if (fiber == dump->self) {
        walk = *dump->here;
    } else if (worker == NULL) {
        if (info->state == WEFT_FIBER_WAITING && info->reason == WEFT_REASON_THREAD)
            return; /* its registers are in that thread */
        weft__walk_fiber(&walk, fiber);
    } else {
        if (weft__dump_is_answered(worker) && worker->trace.fiber == fiber)
            put_trace(dump, worker);
        return;
    }
    put_walk(dump, &walk);
}

/* ---- the whole ------------------------------------------------------------------------------- */

void weft__dump_fiber(weft__dump *dump, weft__fiber *fiber, uint64_t number)
{
    weft__text *text = &dump->text;
    weft_fiber_info info;
    weft__worker *worker;
    describe(dump->runtime, fiber, number, &info);
    weft__dump_name(dump, fiber);
    (void)weft__fiber_state(dump->runtime, fiber, &worker);
    if (info.state == WEFT_FIBER_WAITING)
        put_wait(dump, fiber, &info);
    else
        weft__text_put(text, info.state == WEFT_FIBER_READY ? " is ready" : " runs");
    weft__text_put(text, weft__load_relaxed(&fiber->site) != NULL ? "; started at " : "; task of ");
    weft__text_put(text, info.file != NULL ? info.file : "?");
    weft__text_put(text, ":");
    weft__text_number(text, (uint64_t)info.line);
    weft__text_put(text, "\n");
    put_frames(dump, fiber, &info, worker);
    (void)weft__text_flush(text);
}

static void dump_if_alive(weft__fiber *fiber, uint64_t number, void *arg)
{
    if (weft__fiber_is_alive(fiber))
        weft__dump_fiber(arg, fiber, number);
}

static void put_worker(weft__dump *dump, const weft__worker *worker)
{
    const weft__fiber *fiber = weft__load_relaxed(&worker->current);
    weft__text_put(&dump->text, "worker ");
    weft__text_number(&dump->text, worker->id);
    uint32_t asleep = weft__load_relaxed(&worker->asleep);
    if (asleep == WEFT__ABED || asleep == WEFT__CALLED) {
        weft__text_put(&dump->text, " sleeps");
    } else if (weft__fiber_is_alive(fiber)) {
        weft__text_put(&dump->text, " runs ");
        weft__dump_name(dump, fiber);
    } else {
        weft__text_put(&dump->text, " looks for work");
    }
    weft__text_put(&dump->text, "\n");
}

/* Ask all workers that run something for their frames, and wait a little for the answers. */
static void ask_workers(const weft__dump *dump)
{
    static uint32_t is_asking;
    weft_runtime *runtime = (weft_runtime *)(uintptr_t)dump->runtime;
    uint32_t nobody = 0;
    if (weft__dump_signal() == 0 || !weft__cas_relaxed(&is_asking, &nobody, 1))
        return; /* relaxed: only keeps two from asking at once */
    for (unsigned i = 0; i < runtime->worker_count; i++)
        weft__dump_ask(&runtime->workers[i]);
    int64_t deadline = weft_in(ANSWER_NS);
    for (unsigned i = 0; i < runtime->worker_count; i++)
        while (!weft__dump_is_answered(&runtime->workers[i]) && weft_now() < deadline)
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    weft__store_relaxed(&is_asking, 0);
}

static void dump_runtime(weft__dump *dump)
{
    const weft_runtime *runtime = dump->runtime;
    ask_workers(dump);
    for (unsigned i = 0; i < runtime->worker_count; i++)
        put_worker(dump, &runtime->workers[i]);
    weft__fiber_pool_each(&runtime->fibers, dump_if_alive, dump);
}

void weft__dump_begin(weft__dump *dump, int fd)
{
    weft__text_begin(&dump->text, fd);
    weft__symbols_begin(&dump->symbols);
    dump->runtime = NULL;
    dump->here = NULL;
    dump->self = NULL;
    dump->searches = SEARCHES_MAX;
}

int weft__dump_end(weft__dump *dump)
{
    int rc = weft__text_flush(&dump->text);
    weft__symbols_end(&dump->symbols);
    return rc;
}

int weft__dump_all(int fd, const weft__walk *here)
{
    weft__dump dump;
    weft__dump_begin(&dump, fd);
    if (here != NULL) {
        dump.here = here;
        dump.self = weft__worker_self()->current;
    }
    weft__text_put(&dump.text, "weft: dump of process ");
    weft__text_number(&dump.text, (uint64_t)getpid());
    weft__text_put(&dump.text, "\n");
    weft_runtime *runtime = weft__registry_enter();
    for (unsigned i = 0; runtime != NULL; i++) {
        dump.runtime = runtime;
        weft__text_put(&dump.text, "runtime ");
        weft__text_number(&dump.text, i);
        weft__text_put(&dump.text, "\n");
        dump_runtime(&dump);
        runtime = weft__registry_next(runtime);
    }
    weft__registry_leave();
    weft__text_put(&dump.text, "weft: end of dump\n");
    return weft__dump_end(&dump);
}

WEFT__NOINLINE int weft_dump(int fd)
{
    weft__walk here;
    const weft__worker *self = weft__worker_self();
    int saved_errno = weft__errno_get();
    if (self != NULL)
        weft__walk_here(&here, self->current);
    int rc = weft__dump_all(fd, self != NULL ? &here : NULL);
    weft__errno_set(saved_errno);
    return rc;
}
