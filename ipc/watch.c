/* SPDX-License-Identifier: BSD-2-Clause */
/* watch.c — why a sleeper need not look around every millisecond.
 *
 * Whoever dies rings no bell. The kernel tells of a death through a pidfd, but one cannot sleep on
 * that and on a word in memory at once. So a process in which somebody sleeps longer than a
 * millisecond has a thread that sleeps in poll() on the pidfds of all others. When one becomes
 * readable that thread proves the death as everybody does (owner.c), which changes the header's
 * count of deaths. And all sleepers, in whatever process, sleep on that count as well as on their
 * own word (futex_waitv); so they wake, and settle what is to be settled.
 *
 * Nobody depends on somebody else's thread. A prover that is killed between a proof and its telling
 * was itself watched by the others. Who arrives changes the count of arrivals, on which they sleep
 * too, before it does anything else: so whoever has ever touched the segment is watched. So does
 * whoever leaves with something open: he does not bury himself, since if he were killed with that
 * untold there would be nobody left to be found dead.
 *
 * Naps of 1, 2, 4 … 100 ms are what remains where this cannot be had: no descriptor or thread left,
 * a kernel before 5.16. Time decides when to ask, never who is dead. The first nap of a wait is
 * always a plain one, so a short wait costs what it did.
 *
 * The thread is a helper (base/helper.h): it wakes nobody but those who sleep for other processes.
 * It begins with the first long sleep and ends when nobody is watched any more, at the
 * latest when the last segment is detached.
 *
 * Rejected: robust futexes as signs of life. They belong to a thread, of which none need live as
 * long as its process; they fire while other threads of the dead still run; and their list leads
 * through the shared memory, where a stranger could bend it. */
#include "watch.h"

#include "block.h"
#include "helper.h"
#include "hooks.h"
#include "owner.h"
#include "sanitize.h"
#include "sys.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NAP_NS_MIN WEFT_MSEC
#define NAP_NS_MAX (100 * WEFT_MSEC)
#define WATCHED_MAX 128u

/* ---- naps ------------------------------------------------------------------------------------ */

weft__nap weft__nap_of(weft__segment *segment, int64_t deadline)
{
    weft__nap fresh = {.segment = segment, .deadline = deadline, .length = NAP_NS_MIN};
    /* edge shm.death (acquire): the entries of all who were counted */
    fresh.deaths = weft__load_acquire(&segment->header->deaths);
    return fresh;
}

void weft__nap_lengthen(weft__nap *nap)
{
    nap->length = NAP_NS_MAX;
}

static int is_plain(const weft__nap *nap)
{
    return nap->length <= NAP_NS_MIN;
}

void weft__nap_begin(weft__nap *nap)
{
    if (is_plain(nap))
        return;
    /* relaxed: who is watched looks again */
    nap->arrivals = weft__load_relaxed(&nap->segment->header->arrivals);
    weft__watch(nap->segment);
}

static int64_t next_length(const weft__nap *nap)
{
    /* relaxed: set before its setter's first operation, and never again */
    if (weft__load_relaxed(&nap->segment->header->is_coarse))
        return NAP_NS_MIN;
    return 2 * nap->length < NAP_NS_MAX ? 2 * nap->length : NAP_NS_MAX;
}

/* Whether there are deaths that this wait has not been told of. After one it may take a moment
 * until somebody alive has moved out of the way. */
static int has_news(weft__nap *nap)
{
    /* edge shm.death (acquire): as in weft__nap_of() */
    uint32_t deaths = weft__load_acquire(&nap->segment->header->deaths);
    if (deaths == nap->deaths)
        return 0;
    nap->deaths = deaths;
    nap->length = NAP_NS_MIN;
    return 1;
}

int weft__nap_sleep(weft__nap *nap, const uint32_t *word, uint32_t expected)
{
    const weft__block *block = weft__block_now();
    const weft__shm_header *header = nap->segment->header;
    const weft__sleep sleeps[] = {
        {word, expected}, {&header->deaths, nap->deaths}, {&header->arrivals, nap->arrivals}};
    int rc = nap->is_firm ? 0 : block->attend(&nap->deadline);
    if (rc != 0)
        return rc;
    int64_t now = block->now();
    if (now >= nap->deadline)
        return -ETIMEDOUT;
    int64_t limit = nap->deadline - now > nap->length ? now + nap->length : nap->deadline;
    rc = block->wait_words(sleeps, is_plain(nap) ? 1 : 3, limit, nap->is_firm);
    if (has_news(nap))
        return -EOWNERDEAD;
    if (rc != -ETIMEDOUT)
        return 0;
    nap->length = next_length(nap);
    return limit >= nap->deadline ? -ETIMEDOUT : -EAGAIN;
}

/* ---- the thread ------------------------------------------------------------------------------ */

/* A process that is watched. */
typedef struct watched {
    weft__segment *segment;
    uint64_t member;
    int pidfd;
} watched;

static struct {
    pthread_mutex_t door; /* who changes what is watched; taken before `lock`, not by the thread */
    pthread_mutex_t lock; /* protects the rest */
    int is_running;
    int is_ending;
    int is_forbidden; /* no thread can be started here */
    int call;         /* an eventfd: the list has changed */
    pthread_t thread;
    unsigned count;
    watched list[WATCHED_MAX];
} watch = {.door = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER};

static void drop(watched *one)
{
    (void)close(one->pidfd);
    *one = watch.list[--watch.count];
}

/* Look at those whose end the kernel has told. That is asked once more and not concluded from our
 * descriptor: a program that closes all it has open may have given the number to another file. */
static void prove(struct pollfd polled[])
{
    for (unsigned i = 0; i < watch.count; i++)
        polled[i] = (struct pollfd){.fd = watch.list[i].pidfd, .events = POLLIN};
    if (poll(polled, watch.count, 0) <= 0)
        return;
    for (unsigned i = watch.count; i-- > 0;) {
        if (polled[i].revents == 0)
            continue;
        weft__member_look(watch.list[i].segment, watch.list[i].member);
        drop(&watch.list[i]);
    }
}

static void *watch_for_ever(void *arg)
{
    struct pollfd polled[WATCHED_MAX + 1];
    uint64_t calls;
    (void)arg;
    for (;;) {
        (void)pthread_mutex_lock(&watch.lock);
        int is_ending = watch.is_ending;
        prove(polled);
        unsigned count = watch.count;
        for (unsigned i = 0; i < count; i++)
            polled[i] = (struct pollfd){.fd = watch.list[i].pidfd, .events = POLLIN};
        (void)pthread_mutex_unlock(&watch.lock);
        if (is_ending)
            return NULL;
        polled[count] = (struct pollfd){.fd = watch.call, .events = POLLIN};
        (void)poll(polled, count + 1, -1);
        (void)!read(watch.call, &calls, sizeof calls);
    }
}

static void call_thread(void)
{
    uint64_t one = 1;
    (void)!write(watch.call, &one, sizeof one);
}

/* Nonzero: it runs. With the door closed. */
static int start_thread(void)
{
    if (watch.is_running || watch.is_forbidden)
        return watch.is_running;
    watch.call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch.call < 0)
        return 0;
    watch.is_ending = 0;
    watch.is_running = weft__helper_start(&watch.thread, "weft/watch", watch_for_ever, NULL) == 0;
    if (!watch.is_running)
        (void)close(watch.call);
    return watch.is_running;
}

static void stop_thread(void)
{
    weft__helper_to_end();
    (void)pthread_mutex_lock(&watch.lock);
    watch.is_ending = 1;
    (void)pthread_mutex_unlock(&watch.lock);
    call_thread();
    (void)pthread_join(watch.thread, NULL);
    (void)close(watch.call);
    watch.is_running = 0;
}

/* ---- what is watched ------------------------------------------------------------------------- */

static int is_watched(const weft__segment *segment, uint64_t member)
{
    for (unsigned i = 0; i < watch.count; i++)
        if (watch.list[i].segment == segment && watch.list[i].member == member)
            return 1;
    return 0;
}

/* Watch one of the others, or settle at once whether it is there at all. */
static void add(weft__segment *segment, uint64_t member)
{
    int has_left = weft__member_has_left(segment, member);
    if (!has_left && (watch.count == WATCHED_MAX || is_watched(segment, member)))
        return;
    int pidfd = has_left ? -ESRCH : weft__member_open(segment, member);
    if (pidfd >= 0)
        watch.list[watch.count++] = (watched){segment, member, pidfd};
    else
        weft__member_look(segment, member);
}

/* Forget those who have left; all, if `segment` is being left itself. */
static void forget(const weft__segment *segment, int is_all)
{
    for (unsigned i = watch.count; i-- > 0;)
        if (watch.list[i].segment == segment &&
            (is_all || weft__member_is_dead(segment, watch.list[i].member)))
            drop(&watch.list[i]);
}

static void watch_all(weft__segment *segment)
{
    (void)pthread_mutex_lock(&watch.lock);
    forget(segment, 0);
    for (uint32_t i = 0; i < segment->geometry.participants; i++) {
        uint64_t member = weft__member_other(segment, i);
        if (member != 0)
            add(segment, member);
    }
    (void)pthread_mutex_unlock(&watch.lock);
    call_thread();
}

void weft__watch(weft__segment *segment)
{
    /* edge shm.arrival (acquire): the entries of all who have arrived */
    uint32_t arrivals = weft__load_acquire(&segment->header->arrivals);
    if (weft__load_relaxed(&segment->watched) == arrivals) /* relaxed: this process's own */
        return;
    (void)pthread_mutex_lock(&watch.door);
    if (start_thread()) {
        watch_all(segment);
        weft__store_relaxed(&segment->watched, arrivals); /* relaxed: as above */
    }
    (void)pthread_mutex_unlock(&watch.door);
}

void weft__watch_leave(const weft__segment *segment)
{
    (void)pthread_mutex_lock(&watch.door);
    (void)pthread_mutex_lock(&watch.lock);
    forget(segment, 1);
    int is_idle = watch.count == 0;
    (void)pthread_mutex_unlock(&watch.lock);
    if (watch.is_running && is_idle)
        stop_thread();
    (void)pthread_mutex_unlock(&watch.door);
}

/* ---- fork ------------------------------------------------------------------------------------ */

void weft__watch_before_fork(void)
{
    (void)pthread_mutex_lock(&watch.door);
    (void)pthread_mutex_lock(&watch.lock);
}

void weft__watch_after_fork(void)
{
    (void)pthread_mutex_unlock(&watch.lock);
    (void)pthread_mutex_unlock(&watch.door);
}

void weft__watch_in_copy(void)
{
    while (watch.count > 0)
        drop(&watch.list[0]);
    if (watch.is_running)
        (void)close(watch.call);
    watch.is_running = 0;
#ifdef WEFT__TSAN
    watch.is_forbidden = 1; /* it ends copies that start threads */
#endif
    weft__watch_after_fork();
}
