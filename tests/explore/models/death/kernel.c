/* SPDX-License-Identifier: BSD-2-Clause */
/* kernel.c — see kernel.h. */
#include "models/death/kernel.h"

#include "block.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define EVENTFD 50
#define PIDFD 100 /* of process 0 */

weft__shm_header header;
weft__shm_process entries[KERNEL_PROCESSES];
weft__shm_seat seats[KERNEL_PROCESSES];
uint32_t kernel_ends; /* grows whenever a poll() may have to look again */

static struct {
    weft__identity identity;
    weft__segment segment;
    unsigned thread;
    int former; /* the process that had its number before; negative: nobody */
} processes[KERNEL_PROCESSES];

static char mappings[KERNEL_PROCESSES][64]; /* where each has mapped it; nobody looks there */
static unsigned acting;                     /* before and after the threads */
static unsigned own_threads;                /* of process 0 */
static uint32_t epoch; /* of locks: what was locked in another execution is free */
static uint32_t calls; /* the eventfd's count */
static int open_count; /* descriptors of process 0, under its lock */

/* ---- processes ------------------------------------------------------------------------------- */

static unsigned process_of(unsigned thread)
{
    if (thread == EXPLORE_THREADS_MAX)
        return acting;
    return thread < own_threads ? 0 : thread - own_threads + 1;
}

weft__segment *kernel_segment_of(unsigned process)
{
    return &processes[process].segment;
}

weft__segment *kernel_segment(void)
{
    return kernel_segment_of(process_of(explore_self()));
}

int kernel_has_ended(unsigned process)
{
    return explore_has_died(processes[process].thread);
}

static void begin(unsigned process, uint32_t participants)
{
    weft__segment *segment = kernel_segment_of(process);
    memset(segment, 0, sizeof *segment);
    segment->base = mappings[process];
    segment->header = &header;
    segment->processes = entries;
    segment->seats = seats;
    segment->geometry = (weft__geometry){
        .kind = WEFT__SHM_QUEUE, .participants = participants, .seats = 1, .total_bytes = 1};
    processes[process].identity =
        (weft__identity){.pid = 100 + process, .started = 1 + process, .boot = 1, .pid_ns = 1};
    processes[process].thread = process == 0 ? 0 : process + own_threads - 1;
    processes[process].former = -1;
}

static void prepare(uint32_t participants)
{
    weft__watch_in_copy(); /* forget what was watched in another execution */
    memset(&header, 0, sizeof header);
    memset(entries, 0, sizeof entries);
    memset(seats, 0, sizeof seats);
    kernel_ends = calls = 0;
    open_count = 0;
    epoch += 2;
    for (unsigned i = 0; i < KERNEL_PROCESSES; i++)
        begin(i, participants);
}

void kernel_prepare(uint32_t participants)
{
    own_threads = 1;
    prepare(participants);
}

void kernel_join(unsigned process)
{
    acting = process;
    explore_check(weft__member_join(kernel_segment_of(process)) == 0);
}

void kernel_inherit(unsigned process, unsigned former)
{
    processes[process].former = (int)former;
    processes[process].identity.pid = processes[former].identity.pid;
}

/* ---- what alive.c tells ---------------------------------------------------------------------- */

weft__identity weft__identity_self(void)
{
    return processes[process_of(explore_self())].identity;
}

/* The process that has the number now, ended or not. A successor is there as soon as it can. */
static unsigned holder_of(uint32_t pid)
{
    for (unsigned i = KERNEL_PROCESSES; i-- > 1;)
        if (processes[i].identity.pid == pid &&
            (processes[i].former < 0 || kernel_has_ended((unsigned)processes[i].former)))
            return i;
    return 0;
}

int weft__identity_open(const weft__identity *other, const weft__identity *self)
{
    unsigned process = holder_of(other->pid);
    (void)self;
    if (kernel_has_ended(process) ||
        (other->started != 0 && other->started != processes[process].identity.started))
        return -ESRCH;
    open_count++;
    return PIDFD + (int)process;
}

int weft__identity_is_dead(const weft__identity *other, const weft__identity *self)
{
    unsigned process = holder_of(other->pid);
    (void)self;
    return kernel_has_ended(process) ||
           (other->started != 0 && other->started != processes[process].identity.started);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

int eventfd(unsigned count, int flags)
{
    (void)flags;
    weft__store_relaxed(&calls, count);
    open_count++;
    return EVENTFD;
}

int close(int fd)
{
    explore_check(fd == EVENTFD || fd >= PIDFD);
    open_count--;
    return 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    explore_check(fd == EVENTFD);
    (void)bytes;
    (void)weft__fetch_add_acq_rel(&calls, 1);
    (void)weft__fetch_add_acq_rel(&kernel_ends, 1);
    (void)explore_park_wake(&kernel_ends, 1);
    return (ssize_t)count;
}

ssize_t read(int fd, void *bytes, size_t count)
{
    explore_check(fd == EVENTFD);
    memset(bytes, 0, count);
    (void)weft__exchange_acq_rel(&calls, 0);
    return (ssize_t)count;
}

static short is_readable(int fd)
{
    uint32_t none = 0;
    if (fd >= PIDFD)
        return kernel_has_ended((unsigned)(fd - PIDFD)) ? POLLIN : 0;
    return weft__cas_acq_rel(&calls, &none, 0) ? 0 : POLLIN; /* the newest value */
}

int poll(struct pollfd *polled, nfds_t count, int milliseconds)
{
    for (;;) {
        int ready = 0;
        uint32_t seen = weft__load_acquire(&kernel_ends);
        for (nfds_t i = 0; i < count; i++) {
            polled[i].revents = is_readable(polled[i].fd);
            ready += polled[i].revents != 0;
        }
        if (ready > 0 || milliseconds == 0)
            return ready;
        explore_park_wait(&kernel_ends, seen);
    }
}

/* ---- threads and locks ----------------------------------------------------------------------- */

enum { NOT_YET, STARTED, NEVER };

static struct {
    uint32_t started; /* NOT_YET ... */
    uint32_t is_over;
    void *(*body)(void *arg);
} watcher;

void kernel_prepare_watch(uint32_t participants, unsigned threads)
{
    own_threads = threads;
    watcher.started = NOT_YET;
    watcher.is_over = 0;
    prepare(participants);
}

static void start_watcher(uint32_t what)
{
    weft__store_release(&watcher.started, what);
    (void)explore_park_wake(&watcher.started, 1);
}

void kernel_watcher(void)
{
    for (;;) {
        uint32_t seen = weft__load_acquire(&watcher.started);
        if (seen == NEVER)
            return;
        if (seen == NOT_YET) {
            explore_park_wait(&watcher.started, NOT_YET);
            continue;
        }
        weft__store_relaxed(&watcher.started, NOT_YET);
        (void)watcher.body(NULL);
        weft__store_release(&watcher.is_over, 1);
        (void)explore_park_wake(&watcher.is_over, 1);
    }
}

void kernel_watches_no_more(void)
{
    start_watcher(NEVER);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *arg),
                   void *arg)
{
    (void)attributes;
    (void)arg;
    *thread = 1;
    watcher.body = body;
    start_watcher(STARTED);
    return 0;
}

int pthread_join(pthread_t thread, void **result)
{
    (void)thread;
    (void)result;
    while (weft__load_acquire(&watcher.is_over) == 0)
        explore_park_wait(&watcher.is_over, 0);
    weft__store_relaxed(&watcher.is_over, 0);
    return 0;
}

/* A lock of each process's own: a static variable is there once for all of them. */
static uint32_t *lock_word(pthread_mutex_t *mutex)
{
    return (uint32_t *)(void *)mutex + process_of(explore_self());
}

int pthread_mutex_lock(pthread_mutex_t *mutex)
{
    uint32_t seen = weft__load_relaxed(lock_word(mutex));
    while (seen == (epoch | 1) || !weft__cas_acquire(lock_word(mutex), &seen, epoch | 1)) {
        if (seen == (epoch | 1))
            explore_park_wait(lock_word(mutex), seen);
        seen = weft__load_relaxed(lock_word(mutex));
    }
    return 0;
}

int pthread_mutex_unlock(pthread_mutex_t *mutex)
{
    weft__store_release(lock_word(mutex), epoch);
    (void)explore_park_wake(lock_word(mutex), 1);
    return 0;
}

int weft__membarrier_shared_register(void)
{
    return 0;
}

/* ---- sleeps: those that watch have no end of their own --------------------------------------- */

static int64_t now(void)
{
    return 0;
}

static int attend(int64_t *deadline_ns)
{
    (void)deadline_ns;
    return 0;
}

static int wait_words(const weft__sleep words[], unsigned count, int64_t deadline_ns, int is_firm)
{
    explore_sleep sleeps[EXPLORE_SLEEPS_MAX];
    (void)is_firm;
    explore_check(count <= EXPLORE_SLEEPS_MAX);
    if (count == 1)
        return explore_park_until(words[0].word, words[0].expected, deadline_ns) ? -ETIMEDOUT : 0;
    for (unsigned i = 0; i < count; i++)
        sleeps[i] = (explore_sleep){words[i].word, words[i].expected};
    (void)explore_park_any(sleeps, count);
    return 0;
}

const weft__block *weft__block_now(void)
{
    static const weft__block table = {.now = now, .attend = attend, .wait_words = wait_words};
    return &table;
}

/* ---- in the end ------------------------------------------------------------------------------ */

void kernel_finish(void)
{
    for (unsigned i = 0; i < KERNEL_PROCESSES; i++) {
        uint64_t member = processes[i].segment.member;
        if (member == 0 || kernel_has_ended(i))
            continue;
        uint64_t state = entries[WEFT__MEMBER_INDEX(member)].state;
        explore_check(WEFT__PROCESS_PHASE(state) == WEFT__PHASE_LIVE);
        explore_check(WEFT__PROCESS_GENERATION(state) == WEFT__MEMBER_GENERATION(member));
    }
    explore_check(open_count == 0);
}
