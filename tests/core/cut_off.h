/* SPDX-License-Identifier: BSD-2-Clause */
/* cut_off.h — a call that waits, cut off at each of its waits in turn.
 *
 * A call is described by what makes it wait, what another party does to end a wait, and what must
 * hold afterwards. A fiber makes it; the driver, another fiber, sees from the number in the first
 * one's word (sched/wait.c) which wait it is in, helps so many times, and then cuts it off: by its
 * scope, by a deadline, or, behind a shield, not at all. With help for n = 0, 1, 2 … until the call
 * ends by itself, no wait is left out.
 *
 * In the last round help and cancellation come at the same time, from two threads, and either may
 * be first: then the check is all that tells.
 *
 * A plain thread makes the call, too, in a scope of its own. Its waits have no numbers, so only the
 * first is cut off. */
#ifndef WEFT_TESTS_CORE_CUT_OFF_H
#define WEFT_TESTS_CORE_CUT_OFF_H

#include "process.h"

#include <errno.h>
#include <pthread.h>
#include <weft/fiber.h>
#include <weft/runtime.h>

#include "sched/spin.h"
#include "sched/worker.h"

typedef struct act {
    const char *name;
    int (*prepare)(void *stage);                       /* the call will have to wait */
    int64_t (*call)(void *stage, int64_t deadline_ns); /* 0 or more: it was not cut off */
    int (*help)(void *stage, unsigned times);          /* so many times before: end one wait */
    int (*check)(void *stage, int64_t rc);             /* all is as it should be; also tidies up */
    unsigned traits;                                   /* see below */
    unsigned waits;                                    /* at least so many, with help; 0: one */
    int (*hinder)(void *stage);          /* NULL, or what keeps it from returning, while it waits */
    int (*let_go)(void *stage);          /* with `hinder`: the opposite, also without it */
    int (*is_queued)(const void *stage); /* STUBBORN, and help must not come early: it waits */
} act;

#define STUBBORN 1u   /* it cannot fail: nothing cuts it off */
#define ENDLESS 2u    /* there is no help: only its first wait, and without a shield */
#define UNNUMBERED 4u /* it waits in a thread: only the first time, and help may come once more */

/* What cuts a call off. */
typedef enum knife {
    CANCEL,         /* its scope is cancelled */
    FAIL,           /* its scope fails */
    CANCEL_AROUND,  /* a scope around its scope is cancelled */
    CANCEL_BEFORE,  /* it had been before the call */
    SCOPE_DEADLINE, /* its scope's deadline passes */
    SCOPE_LATE,     /* it had passed before the call */
    OWN_DEADLINE,   /* its own passes */
    BEHIND_SHIELD,  /* its scope is cancelled, but it is shielded */
    RACE,           /* its scope is cancelled while it is helped */
    KNIVES
} knife;

#define HELPS_MAX 64

typedef struct victim {
    const act *act;
    void *stage;
    knife knife;
    weft_scope *scope;
    int64_t limit_ns;   /* the scope's deadline */
    weft_scope *seat;   /* a plain thread's innermost scope; NULL: it is a fiber */
    weft__fiber *fiber; /* NULL: it is a thread */
    uint64_t seen;      /* the number of the last wait that the driver knows of */
    int is_waiting;     /* in that one, for all the driver knows */
    unsigned helped;
    int64_t rc;
    unsigned entered, may_begin, begun, ended, may_leave; /* the first and the last: a thread's */
} victim;

/* ---- the fiber ------------------------------------------------------------------------------- */

static int64_t make_call(const victim *v)
{
    return v->act->call(v->stage, v->knife == OWN_DEADLINE ? weft_in(WEFT_MSEC) : WEFT_FOREVER);
}

WEFT_FIBER(play_victim, victim *, v)
{
    while (!weft__load_acquire(&v->may_begin))
        weft_yield();
    v->fiber = weft__worker_self()->current;
    v->seen = weft__load_relaxed(&v->fiber->wait) >> 3;
    weft__store_release(&v->begun, 1);
    if (v->knife == BEHIND_SHIELD) {
        weft_shield v->rc = make_call(v);
    } else if (v->knife == CANCEL_AROUND) {
        weft_scope(inner) v->rc = make_call(v);
    } else {
        v->rc = make_call(v);
    }
    weft__store_release(&v->ended, 1);
}

/* ---- a plain thread -------------------------------------------------------------------------- */

static void call_in_thread(victim *v)
{
    v->seat = weft_current_scope();
    weft__store_release(&v->begun, 1);
    v->rc = make_call(v);
    weft__store_release(&v->ended, 1);
    while (!weft__load_acquire(&v->may_leave)) /* the driver looks at the scopes */
        sleep_ns(10 * WEFT_USEC);
}

static void *play_thread(void *arg)
{
    victim *v = arg;
    weft_deadline(v->limit_ns)
    {
        v->scope = weft_current_scope();
        weft__store_release(&v->entered, 1);
        while (!weft__load_acquire(&v->may_begin))
            sleep_ns(10 * WEFT_USEC);
        if (v->knife == BEHIND_SHIELD) {
            weft_shield call_in_thread(v);
        } else if (v->knife == CANCEL_AROUND) {
            weft_scope(inner) call_in_thread(v);
        } else {
            call_in_thread(v);
        }
    }
    return NULL;
}

/* It sleeps, and nobody has woken it; or nobody will cut it off, and it has queued. */
static int is_seated(victim *v)
{
    if (v->act->is_queued != NULL)
        return v->act->is_queued(v->stage);
    weft__spin_lock(&v->seat->lock_);
    weft__waiter *waiter = v->seat->seated_;
    int sleeps = waiter != NULL && weft__load_acquire(&waiter->woken) == WEFT__ASLEEP;
    weft__spin_unlock(&v->seat->lock_);
    return sleeps;
}

/* ---- the driver ------------------------------------------------------------------------------ */

/* A wait that may be given up is known by its number, in the word's upper bits; below: parked. */
static int is_in_next_wait(victim *v)
{
    uint64_t word = weft__load_acquire(&v->fiber->wait);
    if ((word & 7) != 2 || word >> 3 <= v->seen || weft__load_acquire(&v->fiber->committing) ||
        weft__load_acquire(&v->ended))
        return 0;
    v->seen = word >> 3;
    return 1;
}

/* Any other by its fiber's being neither run nor ready. It may still find that it need not wait:
 * help that would do harm then asks the primitive. */
static int is_at_rest(const victim *v)
{
    return (v->act->is_queued == NULL || v->act->is_queued(v->stage)) &&
           weft__load_relaxed(&v->fiber->item.state_) == 0 &&
           weft__load_relaxed(&v->fiber->reason) != WEFT_REASON_YIELD &&
           weft__load_relaxed(&v->fiber->reason) != WEFT_REASON_UNKNOWN;
}

typedef int condition(victim *v);

static int has_ended(victim *v)
{
    return (int)weft__load_acquire(&v->ended);
}

static int waits_or_ended(victim *v)
{
    if (!weft__load_acquire(&v->begun))
        return 0;
    if (v->seat != NULL)
        return has_ended(v) || is_seated(v);
    return has_ended(v) ||
           (v->act->traits & (STUBBORN | UNNUMBERED) ? is_at_rest(v) : is_in_next_wait(v));
}

/* Nonzero: it came to hold. */
static int wait_until(condition *holds, victim *v)
{
    int64_t end = weft_in(LIVENESS_NS);
    while (!holds(v)) {
        if (weft_now() > end)
            return 0;
        (void)weft_sleep(weft_in(20 * WEFT_USEC));
    }
    return 1;
}

/* Wait until it waits, unless it ends first: then `is_waiting` stays 0. A line, or 0. */
static int see_it_wait(victim *v)
{
    if (v->is_waiting)
        return 0;
    CHECK(wait_until(waits_or_ended, v));
    v->is_waiting = !has_ended(v);
    return 0;
}

static int help(victim *v)
{
    v->is_waiting = 0;
    return v->act->help(v->stage, v->helped++);
}

/* Help until it has been helped so often, or ends. A line, or 0. */
static int help_until(victim *v, unsigned most)
{
    while (v->helped < most) {
        CHECK_CALL(see_it_wait(v));
        if (!v->is_waiting)
            return 0;
        CHECK_CALL(help(v));
    }
    return 0;
}

static void *cancel_beside(void *arg)
{
    victim *v = arg;
    if ((uintptr_t)v->fiber / 64 % 2 == 0)
        (void)sched_yield();
    weft_cancel_scope(v->scope);
    return NULL;
}

static int race(victim *v)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_beside, v) == 0);
    int line = help(v);
    (void)pthread_join(thread, NULL);
    return line;
}

static int use_knife(victim *v)
{
    switch (v->knife) {
    case CANCEL:
    case CANCEL_AROUND:
    case BEHIND_SHIELD:
        weft_cancel_scope(v->scope);
        return 0;
    case FAIL:
        weft_fail_scope(v->scope, -EIO);
        return 0;
    case RACE:
        return race(v);
    default:
        return 0; /* before, or by time */
    }
}

static int must_go_on(const victim *v)
{
    return (v->act->traits & STUBBORN) != 0 || v->knife == BEHIND_SHIELD;
}

/* What cannot be cut off, and what is shielded, has not noticed and goes on to its end. */
static int let_end(victim *v)
{
    if (must_go_on(v)) {
        if (v->helped == 0 && v->is_waiting) {
            (void)weft_sleep(weft_in(v->knife == SCOPE_DEADLINE ? 3 * WEFT_MSEC : WEFT_USEC));
            CHECK(!has_ended(v));
        }
        CHECK_CALL(help_until(v, HELPS_MAX));
    } else if (v->act->let_go != NULL) {
        CHECK_CALL(v->act->let_go(v->stage));
    }
    CHECK(wait_until(has_ended, v));
    return 0;
}

static int drive(victim *v, unsigned most)
{
    if (v->knife == CANCEL_BEFORE)
        weft_cancel_scope(v->scope);
    weft__store_release(&v->may_begin, 1);
    if (v->knife != CANCEL_BEFORE && v->knife != SCOPE_LATE) {
        CHECK_CALL(help_until(v, most));
        CHECK_CALL(see_it_wait(v));
        if (v->is_waiting && v->act->hinder != NULL)
            CHECK_CALL(v->act->hinder(v->stage));
        if (v->is_waiting)
            CHECK_CALL(use_knife(v));
    }
    return let_end(v);
}

static int is_code_right(const victim *v, unsigned most)
{
    int is_late = v->knife == SCOPE_DEADLINE || v->knife == SCOPE_LATE || v->knife == OWN_DEADLINE;
    if (must_go_on(v))
        return v->rc >= 0;
    if (v->rc >= 0)
        return most > 0 || v->knife == RACE;
    return v->rc == (is_late ? -ETIMEDOUT : -ECANCELED);
}

static int has_entered(victim *v)
{
    return (int)weft__load_acquire(&v->entered);
}

static int64_t limit_of(knife how)
{
    return how == SCOPE_LATE       ? weft_in(0)
           : how == SCOPE_DEADLINE ? weft_in(2 * WEFT_MSEC)
                                   : WEFT_FOREVER;
}

static int report(const victim *v, unsigned most, int line)
{
    if (line != 0)
        (void)fprintf(stderr, "%s, knife %d, help %u: line %d, code %lld\n", v->act->name,
                      (int)v->knife, most, line, (long long)v->rc);
    return line;
}

/* One round in a plain thread. */
static int cut_in_thread(const act *a, void *stage, knife how)
{
    pthread_t thread;
    victim v = {.act = a, .stage = stage, .knife = how, .rc = INT64_MIN, .limit_ns = limit_of(how)};
    CHECK_CALL(a->prepare(stage));
    CHECK(pthread_create(&thread, NULL, play_thread, &v) == 0);
    int line = wait_until(has_entered, &v) ? drive(&v, 0) : __LINE__;
    if (line != 0) { /* it may be lost */
        (void)report(&v, 0, line);
        _exit(1);
    }
    weft__store_release(&v.may_leave, 1);
    (void)pthread_join(thread, NULL);
    if (!is_code_right(&v, 0))
        line = __LINE__;
    if (line == 0)
        line = a->check(stage, v.rc);
    return report(&v, 0, line);
}

static int drive_in_scope(victim *v, unsigned most)
{
    int line = 0;
    v->scope = weft_current_scope();
    CHECK(weft_go(v->scope, play_victim, v) == 0);
    weft_shield line = drive(v, most);
    return line;
}

/* One round: cut it off after so much help. Nonzero: a line, and what it was about on stderr. */
static int cut_once(const act *a, void *stage, knife how, unsigned most, int *is_complete)
{
    victim v = {.act = a, .stage = stage, .knife = how, .rc = INT64_MIN};
    int line = a->prepare(stage);
    if (line == 0)
        weft_deadline(limit_of(how)) line = drive_in_scope(&v, most);
    if (line == 0 && !is_code_right(&v, most))
        line = __LINE__;
    if (line == 0)
        line = a->check(stage, v.rc);
    *is_complete = v.rc >= 0;
    return report(&v, most, line);
}

/* Whether there is more than one wait to be cut off. */
static int is_repeated(const act *a, knife how)
{
    return a->traits == 0 && how != CANCEL_BEFORE && how != SCOPE_LATE && how != OWN_DEADLINE;
}

static int cut_everywhere(const act *a, void *stage, knife how)
{
    int is_complete = 0;
    unsigned helps = 0;
    if ((a->traits & ENDLESS) && (how == BEHIND_SHIELD || how == RACE))
        return 0;
    while (!is_complete && helps < HELPS_MAX) {
        CHECK_CALL(cut_once(a, stage, how, helps, &is_complete));
        helps++;
        if (!is_repeated(a, how))
            return 0;
        if (how == BEHIND_SHIELD || how == SCOPE_DEADLINE)
            is_complete = helps >= a->waits; /* for it ends every time, or may be late each time */
    }
    CHECK(is_complete);
    CHECK(how == RACE || helps >= a->waits);
    return 0;
}

/* Every call, every way to cut it off; the last, in which chance decides, so often. */
static inline int cut_all(const act *acts, size_t count, void *stage, int races)
{
    for (size_t i = 0; i < count; i++)
        for (int how = 0; how < KNIVES; how++)
            for (int again = how == RACE ? races : 1; again > 0; again--)
                CHECK_CALL(cut_everywhere(&acts[i], stage, (knife)how));
    return 0;
}

/* The same by a plain thread, of those that may be seen to wait. */
static inline int cut_all_in_threads(const act *acts, size_t count, void *stage, int races)
{
    for (const act *a = acts; a < acts + count; a++) {
        if ((a->traits & STUBBORN) && a->is_queued == NULL)
            continue;
        for (int how = 0; how < KNIVES; how++)
            for (int again = how == RACE ? races : 1; again > 0; again--)
                if (!(a->traits & ENDLESS) || (how != BEHIND_SHIELD && how != RACE))
                    CHECK_CALL(cut_in_thread(a, stage, (knife)how));
    }
    return 0;
}

#endif
