/* SPDX-License-Identifier: BSD-2-Clause */
/* ferry.c — one thread sleeps in the kernel for all fibers that wait for words of other processes.
 *
 * A word that another process changes can only be waited for in the kernel, by a thread. That
 * thread is a ferry: it sleeps with futex_waitv() on the words of all fibers that wait, and carries
 * their wakes over to them. The fibers park as for anything else. So a thousand of them cost one
 * thread, and one that is cut off by its deadline or its scope is cut off at once.
 *
 *     fiber F                           ferry                            another process
 *     a place in the slot (word, 7)
 *     a new slot: call the ferry ─────► awake; sleeps on the word, too
 *     parked                                                             word = 8; wake one
 *                                       awake; the word is not 7 ◄──────
 *     ◄───────────────────────────────  wake all who have a place there
 *     looks again
 *
 * Slots. Fibers that wait for the same word to change from the same value share a slot. A fiber has
 * a place in a slot for each of its words, up to three: its own, and the two of its segment that
 * tell of deaths. The kernel takes 128 words in one sleep, the ferry's own among them. When there
 * is no free slot another ferry begins; they end with the last runtime.
 *
 * No wake ends in a ferry. The kernel's are for one sleeper, or for so many, and whoever rings a
 * bell counts on as many to go on (bell.h):
 *   - A ferry wakes all fibers of a slot whose word has changed. Each of them looks again.
 *   - A fiber that leaves by itself, because its time is up, takes back its place and is gone. Its
 *     slot is perhaps empty now, and slept on until the ferry wakes for another reason. Most fibers
 *     are back at once, for the same value (watch.c), and so neither leaving nor coming back takes
 *     a call. If the word of an empty slot changes, a wake may have hit the ferry that was meant
 *     for whoever sleeps there in another process: it is passed on.
 *   - Memory goes after weft__ferry_forget(), when no ferry sleeps there, or has to pass on.
 *
 * The kernel tells of one word that was woken, and others may have been. They are found by looking
 * whether they have changed, as block.h promises.
 *
 * One lock guards all of it. Under it nobody is woken, and no system call is made but to start a
 * thread.
 *
 *     a place is taken                       the ferry falls asleep
 *     1  lock                                1  lock
 *     2  put it in a slot                    2  list all slots, and `called`
 *     3  a new one, and the ferry is away:   3  it is away
 *        called += 1                         4  unlock
 *     4  unlock; wake the ferry              5  sleep while all words are as listed
 *
 * Whoever has the lock first: if that is the fiber, the ferry lists its slot. If it is the ferry,
 * `called` is not as listed. Then the kernel, which compares, does not put it to sleep; or it
 * sleeps already, and is woken.
 *
 * A ferry is a helper (base/helper.h): whomever it wakes has waited for something outside, and says
 * so, which is all that the detector of hangs has to know.
 *
 * Limits: a ring that is meant for one wakes all who wait in this process, one of which gets
 * something; the others wait again.
 *
 * Rejected:
 *   - a thread for each fiber that waits: what there was before, and remains where the kernel has
 *     no futex_waitv();
 *   - futexes through io_uring: containers often forbid it, and epoll is the reactor by default.
 *     Two ways to wait would be one too many;
 *   - to wake one of a slot and leave the others asleep: between a ferry's waking and its next
 *     sleep nobody is asleep in the kernel; who rings then takes the bell for deserted and disarms
 *     it, and those left behind would have to arm it again. */
#include "io/ferry.h"

#include "helper.h"
#include "hooks.h"
#include "sched/worker.h"
#include "sync/waitq.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#ifndef WEFT__FERRY_SLOTS
#define WEFT__FERRY_SLOTS (WEFT__SLEEPS_MANY - 1)
#endif

/* All of these belong to whoever holds the lock, but for what is said. */
typedef struct ferry ferry;
typedef struct slot slot;
typedef struct passenger passenger;

/* A passenger's, in the list of a slot. */
typedef struct place {
    struct place *next;
    struct place **link;
    slot *in;
    passenger *passenger;
} place;

struct slot {
    weft__sleep sleep; /* without a word: it is free */
    place *first;      /* the latest; NULL: it is empty */
    int is_passed_on;  /* the ferry is about to do that */
    ferry *ferry;      /* constant */
};

/* A fiber that waits; in its frame. */
struct passenger {
    weft__sleeper sleeper;     /* while it is aboard, and then the ferry's until its wake */
    const weft__sleep *sleeps; /* constant */
    unsigned count;            /* constant */
    int is_aboard;             /* it has its places */
    place places[WEFT__SLEEPS_MAX];
};

struct ferry {
    uint32_t called; /* counts; the kernel compares it */
    int is_away;     /* it sleeps, or is about to, and has not been called since */
    int is_ending;
    unsigned slot_count;  /* in use */
    unsigned empty_count; /* of these */
    pthread_t thread;     /* constant */
    ferry *next;
    slot slots[WEFT__FERRY_SLOTS];
};

static struct {
    pthread_mutex_t lock;
    unsigned runtime_count;
    unsigned forgetting; /* who waits for `rounds` */
    uint32_t rounds;     /* how often a ferry has set out */
    ferry *first;
} line = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void lock_line(void)
{
    (void)pthread_mutex_lock(&line.lock);
}

static void unlock_line(void)
{
    (void)pthread_mutex_unlock(&line.lock);
}

/* ---- calling a ferry ------------------------------------------------------------------------- */

/* Have it look at its slots again: what is to be woken after unlocking, or NULL. */
static uint32_t *call(ferry *self)
{
    if (!self->is_away)
        return NULL; /* it will look before it sleeps */
    self->is_away = 0;
    /* relaxed: under the lock, and the kernel compares the newest */
    weft__store_relaxed(&self->called, self->called + 1);
    return &self->called;
}

/* The ferry may have ended meanwhile: then nobody sleeps there. */
static void wake_called(const uint32_t *called)
{
    if (called != NULL)
        (void)weft__hook_shared_wake(called, 1);
}

/* ---- slots and places ------------------------------------------------------------------------ */

static slot *find_in(ferry *self, const weft__sleep *sleep)
{
    for (unsigned i = 0; i < WEFT__FERRY_SLOTS; i++)
        if (self->slots[i].sleep.word == sleep->word &&
            self->slots[i].sleep.expected == sleep->expected)
            return &self->slots[i];
    return NULL;
}

static slot *find_slot(const weft__sleep *sleep)
{
    slot *found = NULL;
    for (ferry *one = line.first; one != NULL && found == NULL; one = one->next)
        found = find_in(one, sleep);
    return found;
}

static ferry *find_room(unsigned slots)
{
    ferry *one = line.first;
    while (one != NULL && WEFT__FERRY_SLOTS - one->slot_count < slots)
        one = one->next;
    return one;
}

static slot *new_slot(ferry *self, const weft__sleep *sleep)
{
    const weft__sleep none = {.word = NULL, .expected = 0};
    slot *fresh = find_in(self, &none);
    fresh->sleep = *sleep;
    self->slot_count++;
    self->empty_count++;
    return fresh;
}

/* The ferry does not sleep: free what is empty. */
static void sweep(ferry *self)
{
    for (unsigned i = 0; i < WEFT__FERRY_SLOTS; i++) {
        slot *one = &self->slots[i];
        if (one->sleep.word == NULL || one->first != NULL || one->is_passed_on)
            continue;
        one->sleep = (weft__sleep){.word = NULL, .expected = 0};
        self->slot_count--;
        self->empty_count--;
    }
}

static void take_place(place *self, slot *in)
{
    self->in = in;
    self->next = in->first;
    self->link = &in->first;
    if (in->first != NULL)
        in->first->link = &self->next;
    else
        in->ferry->empty_count--;
    in->first = self;
}

static void leave_place(const place *self)
{
    *self->link = self->next;
    if (self->next != NULL)
        self->next->link = self->link;
    if (self->in->first == NULL)
        self->in->ferry->empty_count++;
}

static void leave_places(passenger *self)
{
    for (unsigned i = 0; i < self->count; i++)
        leave_place(&self->places[i]);
    self->is_aboard = 0;
}

/* ---- the fiber ------------------------------------------------------------------------------- */

/* Nonzero: the passenger has all its places. What is new is in one ferry, which is called. */
static int board(passenger *self, uint32_t **called)
{
    unsigned missing = 0;
    for (unsigned i = 0; i < self->count; i++)
        missing += find_slot(&self->sleeps[i]) == NULL;
    ferry *fresh = find_room(missing);
    if (fresh == NULL)
        return 0;
    for (unsigned i = 0; i < self->count; i++) {
        slot *in = find_slot(&self->sleeps[i]);
        take_place(&self->places[i], in != NULL ? in : new_slot(fresh, &self->sleeps[i]));
        self->places[i].passenger = self;
    }
    self->is_aboard = 1;
    if (missing > 0)
        *called = call(fresh);
    return 1;
}

static int commit_passenger(weft__waiter *waiter, void *arg)
{
    passenger *self = arg;
    uint32_t *called = NULL;
    weft__waits_for(waiter, WEFT_REASON_PROCESS, self->sleeps[0].word);
    lock_line();
    int is_aboard = board(self, &called);
    if (!is_aboard)
        self->sleeper.result = -ENOMEM;
    unlock_line(); /* from here on somebody may wake the fiber */
    wake_called(called);
    return is_aboard;
}

/* Whoever gives up. Zero: a ferry has it in hand. */
static int leave_ferry(void *arg)
{
    passenger *self = arg;
    uint32_t *called[WEFT__SLEEPS_MAX] = {NULL};
    lock_line();
    int was_aboard = self->is_aboard;
    if (was_aboard)
        leave_places(self);
    for (unsigned i = 0; i < self->count && was_aboard; i++) {
        ferry *left = self->places[i].in->ferry;
        if (left->empty_count > WEFT__FERRY_SLOTS / 2) /* others may want them */
            called[i] = call(left);
    }
    unlock_line();
    for (unsigned i = 0; i < self->count; i++)
        wake_called(called[i]);
    return was_aboard;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* What a ferry sleeps on, and what it has to do when it wakes; its own. */
typedef struct voyage {
    unsigned count;
    weft__sleep sleeps[WEFT__FERRY_SLOTS + 1]; /* the last is its own word */
    slot *slots[WEFT__FERRY_SLOTS];
    const uint32_t *passed[WEFT__FERRY_SLOTS]; /* words whose wakes were for nobody here */
    unsigned passed_count;
    weft__sleeper *woken;
} voyage;

/* List what there is to sleep for. Zero: it is to end. */
static int set_out(ferry *self, voyage *list)
{
    lock_line();
    list->count = 0;
    for (unsigned i = 0; i < WEFT__FERRY_SLOTS; i++)
        self->slots[i].is_passed_on = 0;
    sweep(self);
    for (unsigned i = 0; i < WEFT__FERRY_SLOTS; i++) {
        slot *one = &self->slots[i];
        if (one->sleep.word == NULL)
            continue;
        list->slots[list->count] = one;
        list->sleeps[list->count++] = one->sleep;
    }
    list->sleeps[list->count] = (weft__sleep){.word = &self->called, .expected = self->called};
    int is_ending = self->is_ending;
    self->is_away = !is_ending;
    weft__store_relaxed(&line.rounds, line.rounds + 1); /* relaxed: as `called` */
    int is_awaited = line.forgetting > 0;
    unlock_line();
    if (is_awaited)
        weft__hook_park_wake(&line.rounds, INT_MAX);
    return !is_ending;
}

/* A slot's word was woken, or has changed: all who have a place there go on. Places lie with the
 * latest in front, so whoever has waited longest is first in the chain. */
static void serve(slot *self, voyage *list)
{
    if (self->first == NULL) {
        self->is_passed_on = 1;
        list->passed[list->passed_count++] = self->sleep.word;
    }
    while (self->first != NULL) {
        passenger *one = self->first->passenger;
        leave_places(one);
        one->sleeper.next = list->woken;
        list->woken = &one->sleeper;
    }
}

/* It is awake. The kernel may have told of one word that was woken; one that is not there any more
 * cannot tell anything, and all look themselves. */
static void come_back(ferry *self, voyage *list, int hit)
{
    int is_odd = hit < 0 && hit != -EAGAIN && hit != -EINTR;
    list->woken = NULL;
    list->passed_count = 0;
    lock_line();
    self->is_away = 0;
    for (unsigned i = 0; i < list->count; i++) {
        slot *one = list->slots[i];
        /* relaxed: whoever is woken looks himself; what is seen too late the kernel compares */
        if ((int)i == hit || (is_odd && one->first != NULL) ||
            (!is_odd && weft__load_relaxed(one->sleep.word) != one->sleep.expected))
            serve(one, list);
    }
    sweep(self);
    unlock_line();
}

static void *ferry_for_ever(void *arg)
{
    ferry *self = arg;
    voyage list;
    while (set_out(self, &list)) {
        come_back(self, &list, weft__futex_wait_many(list.sleeps, list.count + 1));
        weft__waitq_wake(list.woken, 0);
        for (unsigned i = 0; i < list.passed_count; i++)
            (void)weft__hook_shared_wake(list.passed[i], 1);
    }
    return NULL;
}

static ferry *make_ferry(void)
{
    ferry *self = weft__alloc(sizeof *self);
    if (self == NULL)
        return NULL;
    memset(self, 0, sizeof *self);
    for (unsigned i = 0; i < WEFT__FERRY_SLOTS; i++)
        self->slots[i].ferry = self;
    if (weft__helper_start(&self->thread, "weft/ferry", ferry_for_ever, self) == 0)
        return self;
    weft__free(self);
    return NULL;
}

/* Under the lock, in which a new thread's first act is to wait. Behind the others: the first have
 * what most have in common. */
static int add_ferry(void)
{
    ferry **end = &line.first;
    while (*end != NULL)
        end = &(*end)->next;
    *end = make_ferry();
    return *end != NULL ? 0 : -ENOMEM;
}

/* There was no room a moment ago. */
static int make_room(unsigned slots)
{
    int rc = 0;
    lock_line();
    if (find_room(slots) == NULL)
        rc = weft__futex_can_wait_many() ? add_ferry() : -ENOMEM;
    unlock_line();
    return rc;
}

/* ---- what others call ------------------------------------------------------------------------ */

int weft__ferry_wait(const weft__sleep sleeps[], unsigned count, int64_t deadline_ns)
{
    passenger self = {.sleeps = sleeps, .count = count};
    int rc;
    weft_assert(count <= WEFT__SLEEPS_MAX);
    while ((rc = weft__waitq_sleep_or_leave(&self.sleeper, commit_passenger, leave_ferry, &self,
                                            deadline_ns)) == -ENOMEM) {
        if (make_room(count) != 0)
            return rc;
    }
    return rc == -ETIMEDOUT ? rc : 0;
}

/* Nonzero: a ferry sleeps on such a word for nobody, or has not set out since; it is called. */
static int is_slept_on(const char *memory, size_t bytes, uint32_t **called)
{
    for (ferry *one = line.first; one != NULL; one = one->next)
        for (unsigned i = 0; i < WEFT__FERRY_SLOTS; i++) {
            const char *word = (const char *)one->slots[i].sleep.word;
            if (word >= memory && word < memory + bytes && one->slots[i].first == NULL) {
                *called = call(one);
                return 1;
            }
        }
    return 0;
}

void weft__ferry_forget(const void *memory, size_t bytes)
{
    uint32_t *called = NULL;
    lock_line();
    while (is_slept_on(memory, bytes, &called)) {
        uint32_t seen = line.rounds;
        line.forgetting++;
        unlock_line();
        wake_called(called);
        (void)weft__hook_park_wait(&line.rounds, seen, WEFT_FOREVER);
        lock_line();
        line.forgetting--;
    }
    unlock_line();
}

void weft__ferry_open(void)
{
    lock_line();
    line.runtime_count++;
    unlock_line();
}

static void end_ferry(ferry *self)
{
    weft__helper_to_end();
    lock_line();
    self->is_ending = 1;
    uint32_t *called = call(self);
    unlock_line();
    wake_called(called);
    (void)pthread_join(self->thread, NULL);
    weft__free(self);
}

void weft__ferry_close(void)
{
    ferry *ended = NULL;
    lock_line();
    if (--line.runtime_count == 0) {
        ended = line.first;
        line.first = NULL;
    }
    unlock_line();
    while (ended != NULL) {
        ferry *next = ended->next;
        end_ferry(ended);
        ended = next;
    }
}

/* The lock's holder and the threads are gone, and so is what they had: anything may have been in
 * the middle of a change. */
void weft__ferry_forked(void)
{
    line.first = NULL;
    line.runtime_count = line.forgetting = 0;
    line.rounds = 0;
    (void)pthread_mutex_init(&line.lock, NULL);
}
