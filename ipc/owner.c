/* SPDX-License-Identifier: BSD-2-Clause */
/* owner.c — see owner.h.
 *
 * Entries are claimed and moved by compare-and-swap, so any number of processes may join, leave,
 * die and be proved dead at once. What is private to this process is changed under one lock, which
 * is held for moments, never across a wait, and by the forking thread across a fork. */
#include "owner.h"

#include "hooks.h"
#include "recover.h"
#include "ring.h"
#include "sys.h"
#include "watch.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static weft__segment *segments; /* all that this process has attached; under the lock */

/* The same for those who must not lock: base and segment. An entry is filled segment first. */
#define SEGMENTS_MAX 256
static struct {
    const void *base;
    weft__segment *segment;
} mapped[SEGMENTS_MAX];

/* ---- the process ----------------------------------------------------------------------------- */

static uint64_t entry_state(const weft__shm_process *process)
{
    /* edge shm.member (acquire): the identity that was stored before LIVE.
     * edge shm.dead (acquire): what the last process of this entry has left. */
    return weft__load_acquire(&process->state);
}

static int entry_swap(weft__shm_process *process, uint64_t from, uint64_t to)
{
    /* edge shm.member (acq_rel): one process gets the entry, after whoever freed it.
     * edge shm.dead (release): what was known about the dead, before others act on it. */
    return weft__cas_acq_rel(&process->state, &from, to);
}

static int entry_claim(weft__segment *segment, uint32_t index, const weft__identity *self)
{
    weft__shm_process *process = &segment->processes[index];
    uint64_t state = entry_state(process);
    uint32_t generation = (WEFT__PROCESS_GENERATION(state) + 1) & 0xffffff;
    if (WEFT__PROCESS_PHASE(state) != WEFT__PHASE_FREE)
        return 0;
    if (!entry_swap(process, state,
                    WEFT__PROCESS_STATE(generation, WEFT__PHASE_JOINING, self->pid)))
        return 0;
    WEFT_CRASH_POINT(30);
    weft__store_relaxed(&process->started, self->started); /* relaxed: LIVE releases all three */
    weft__store_relaxed(&process->boot, self->boot);
    weft__store_relaxed(&process->pid_ns, self->pid_ns);
    /* edge shm.member (release): the identity is complete. */
    weft__store_release(&process->state,
                        WEFT__PROCESS_STATE(generation, WEFT__PHASE_LIVE, self->pid));
    WEFT_CRASH_POINT(31);
    segment->identity = *self;
    weft__store_relaxed(&segment->member, /* relaxed: this process is the only one to read it */
                        WEFT__MEMBER(generation, index));
    return 1;
}

static int claim_any(weft__segment *segment, const weft__identity *self)
{
    for (uint32_t i = 0; i < segment->geometry.participants; i++)
        if (entry_claim(segment, i, self))
            return 1;
    return 0;
}

weft__ring weft__ring_of(const weft__segment *segment)
{
    const weft__geometry *geometry = &segment->geometry;
    int is_pipe = geometry->kind == WEFT__SHM_PIPE;
    weft__ring ring = {.control = (weft__shm_control *)(void *)(segment->base + geometry->control),
                       .words = segment->base + geometry->words,
                       .word_stride = is_pipe ? sizeof(uint64_t) : geometry->stride,
                       .body = segment->base + geometry->body,
                       .stride = geometry->stride,
                       .mask = geometry->capacity - 1,
                       .seats = segment->seats,
                       .processes = segment->processes,
                       .participants = geometry->participants,
                       .is_pipe = (uint32_t)is_pipe};
    return ring;
}

/* Make room: ask who is dead, settle what they hold, and free their entries. */
static void evict_the_dead(weft__segment *segment)
{
    weft__heir nobody = {.seat = WEFT__NO_SEAT};
    (void)weft__members_look(segment);
    if (segment->geometry.kind == WEFT__SHM_QUEUE || segment->geometry.kind == WEFT__SHM_PIPE) {
        weft__ring ring = weft__ring_of(segment);
        (void)weft__recover(&ring, &nobody);
    }
    weft__members_reap(segment);
}

/* Whoever sleeps longer than a moment sleeps on these two counts (watch.c). */
static void tell_of_arrival(weft__segment *segment)
{
    /* edge shm.arrival (release): the entry, before sleepers look whom to watch */
    (void)weft__fetch_add_acq_rel(&segment->header->arrivals, 1);
    WEFT_CRASH_POINT(35);
    (void)weft__hook_shared_wake(&segment->header->arrivals, INT_MAX);
}

static void tell_of_death(weft__segment *segment)
{
    WEFT_CRASH_POINT(33);
    /* edge shm.death (release): DEAD in the entry, before sleepers look who it is */
    (void)weft__fetch_add_acq_rel(&segment->header->deaths, 1);
    WEFT_CRASH_POINT(34);
    (void)weft__hook_shared_wake(&segment->header->deaths, INT_MAX);
}

int weft__member_join(weft__segment *segment)
{
    weft__identity self = weft__identity_self();
    segment->identity = self;
    if (weft__membarrier_shared_register() != 0)
        weft__store_relaxed(&segment->header->is_coarse, 1); /* relaxed: a hint for sleepers */
    if (!claim_any(segment, &self)) {
        evict_the_dead(segment);
        if (!claim_any(segment, &self))
            return -ENOMEM;
    }
    weft__store_relaxed(&segment->header->last_was_dead, 0); /* relaxed: a hint for waiters */
    tell_of_arrival(segment);
    return 0;
}

uint64_t weft__member_self(weft__segment *segment)
{
    uint64_t member = weft__load_relaxed(&segment->member); /* relaxed: zero only after a fork */
    if (WEFT__LIKELY(member != 0))
        return member;
    (void)pthread_mutex_lock(&lock);
    if (segment->member == 0 && weft__member_join(segment) != 0)
        segment->member = 0;
    member = segment->member;
    (void)pthread_mutex_unlock(&lock);
    return member;
}

static void seats_free(weft__segment *segment, uint64_t member)
{
    if (segment->geometry.seats == 0)
        return;
    for (uint32_t i = 0; i < segment->geometry.participants; i++) {
        uint64_t owner = member;
        /* edge shm.seat (release): its operations are over before somebody else takes it. */
        (void)weft__cas_acq_rel(&segment->seats[i].owner, &owner, 0);
    }
}

void weft__member_leave(weft__segment *segment, int is_killed)
{
    uint64_t member = segment->member;
    if (member == 0)
        return;
    weft__shm_process *process = &segment->processes[WEFT__MEMBER_INDEX(member)];
    uint32_t generation = WEFT__MEMBER_GENERATION(member);
    uint64_t live = WEFT__PROCESS_STATE(generation, WEFT__PHASE_LIVE, segment->identity.pid);
    if (is_killed) {
        /* Not DEAD: if this process were killed now, nobody would tell of that any more.
         * edge shm.left (release): the last that it has stored here */
        weft__store_release(&process->started, WEFT__LEFT);
        WEFT_CRASH_POINT(36);
        tell_of_arrival(segment);
        return;
    }
    seats_free(segment, member);
    (void)entry_swap(process, live, WEFT__PROCESS_STATE(generation, WEFT__PHASE_FREE, 0));
}

/* ---- the others ------------------------------------------------------------------------------ */

int weft__member_is_dead(const weft__segment *segment, uint64_t member)
{
    weft__ring tables = {.processes = segment->processes,
                         .participants = segment->geometry.participants};
    return weft__ring_member_is_dead(&tables, member);
}

static weft__identity identity_of(const weft__shm_process *process, uint64_t state)
{
    weft__identity identity = {.pid = WEFT__PROCESS_PID(state)};
    if (WEFT__PROCESS_PHASE(state) == WEFT__PHASE_LIVE) {
        identity.started = weft__load_relaxed(&process->started); /* relaxed: `state` acquired */
        identity.boot = weft__load_relaxed(&process->boot);
        identity.pid_ns = weft__load_relaxed(&process->pid_ns);
    }
    return identity;
}

/* Move an entry to DEAD. Whoever moves it has proved it after the process's last store, so that
 * store is visible to all who read DEAD. */
static void entry_bury(weft__segment *segment, weft__shm_process *process, uint64_t state)
{
    uint64_t dead = WEFT__PROCESS_STATE(WEFT__PROCESS_GENERATION(state), WEFT__PHASE_DEAD,
                                        WEFT__PROCESS_PID(state));
    if (!entry_swap(process, state, dead))
        return;
    weft__store_relaxed(&segment->header->last_was_dead, 1); /* relaxed: a hint for waiters */
    tell_of_death(segment);
}

/* The entry's state, if that member still has it. */
static uint64_t state_of(const weft__segment *segment, uint64_t member)
{
    uint64_t state = entry_state(&segment->processes[WEFT__MEMBER_INDEX(member)]);
    return WEFT__PROCESS_GENERATION(state) == WEFT__MEMBER_GENERATION(member) ? state : 0;
}

static int is_attached(uint64_t state)
{
    uint32_t phase = WEFT__PROCESS_PHASE(state);
    return phase == WEFT__PHASE_LIVE || phase == WEFT__PHASE_JOINING;
}

int weft__member_has_left(const weft__segment *segment, uint64_t member)
{
    /* edge shm.left (acquire): the last that it has stored */
    return WEFT__PROCESS_PHASE(state_of(segment, member)) == WEFT__PHASE_LIVE &&
           weft__load_acquire(&segment->processes[WEFT__MEMBER_INDEX(member)].started) ==
               WEFT__LEFT;
}

void weft__member_look(weft__segment *segment, uint64_t member)
{
    weft__shm_process *process = &segment->processes[WEFT__MEMBER_INDEX(member)];
    uint64_t state = state_of(segment, member);
    weft__identity identity = identity_of(process, state);
    if (is_attached(state) && (weft__member_has_left(segment, member) ||
                               weft__identity_is_dead(&identity, &segment->identity)))
        entry_bury(segment, process, state);
}

uint64_t weft__member_other(const weft__segment *segment, uint32_t index)
{
    uint64_t state = entry_state(&segment->processes[index]);
    uint64_t member = WEFT__MEMBER(WEFT__PROCESS_GENERATION(state), index);
    return is_attached(state) && member != segment->member ? member : 0;
}

int weft__member_open(const weft__segment *segment, uint64_t member)
{
    weft__identity identity =
        identity_of(&segment->processes[WEFT__MEMBER_INDEX(member)], state_of(segment, member));
    return weft__identity_open(&identity, &segment->identity);
}

unsigned weft__members_look(weft__segment *segment)
{
    unsigned dead = 0;
    for (uint32_t i = 0; i < segment->geometry.participants; i++) {
        weft__shm_process *process = &segment->processes[i];
        uint64_t member = weft__member_other(segment, i);
        if (member != 0)
            weft__member_look(segment, member);
        dead += WEFT__PROCESS_PHASE(entry_state(process)) == WEFT__PHASE_DEAD;
    }
    return dead;
}

unsigned weft__members_others(const weft__segment *segment)
{
    unsigned others = 0;
    for (uint32_t i = 0; i < segment->geometry.participants; i++)
        others += weft__member_other(segment, i) != 0;
    return others;
}

static int holds_a_seat(const weft__segment *segment, uint64_t member)
{
    if (segment->geometry.seats == 0)
        return 0;
    for (uint32_t i = 0; i < segment->geometry.participants; i++) {
        /* edge shm.seat (acquire): the seat was freed after all it held had been settled. */
        if (weft__load_acquire(&segment->seats[i].owner) == member)
            return 1;
    }
    return 0;
}

void weft__members_reap(weft__segment *segment)
{
    for (uint32_t i = 0; i < segment->geometry.participants; i++) {
        uint64_t state = entry_state(&segment->processes[i]);
        uint32_t generation = WEFT__PROCESS_GENERATION(state);
        if (WEFT__PROCESS_PHASE(state) != WEFT__PHASE_DEAD)
            continue;
        if (!holds_a_seat(segment, WEFT__MEMBER(generation, i)))
            (void)entry_swap(&segment->processes[i], state,
                             WEFT__PROCESS_STATE(generation, WEFT__PHASE_FREE, 0));
    }
}

/* ---- seats ----------------------------------------------------------------------------------- */

/* A free seat of the shared table for this process: its index, or -ENOMEM. */
static int seat_claim(weft__segment *segment, uint64_t member)
{
    for (uint32_t i = 0; i < segment->geometry.participants; i++) {
        weft__shm_seat *seat = &segment->seats[i];
        uint64_t owner = weft__load_relaxed(&seat->owner); /* relaxed: the swap decides */
        /* edge shm.seat (acquire): what was done from here before is settled. */
        if (owner != 0 || !weft__cas_acq_rel(&seat->owner, &owner, member))
            continue;
        WEFT_CRASH_POINT(32);
        /* edge ipc.intent (release): an old intent is settled; until here it looked like ours. */
        weft__store_release(&seat->intent, 0);
        weft__store_relaxed(&seat->span, 0); /* relaxed: without an intent nobody reads it */
        return (int)i;
    }
    return -ENOMEM;
}

static int seat_claim_or_evict(weft__segment *segment)
{
    int seat = seat_claim(segment, segment->member);
    if (seat >= 0)
        return seat;
    evict_the_dead(segment);
    return seat_claim(segment, segment->member);
}

static int seat_idle(weft__segment *segment)
{
    for (uint32_t i = 0; i < segment->geometry.participants; i++) {
        uint64_t bit = (uint64_t)1 << i % 64;
        if (segment->idle_seats[i / 64] & bit) {
            segment->idle_seats[i / 64] &= ~bit;
            return (int)i;
        }
    }
    return -ENOMEM;
}

/* An idle seat of ours, or a new one. Under the lock. */
static int seat_any(weft__segment *segment)
{
    if (segment->member == 0 && weft__member_join(segment) != 0)
        return -ENOMEM;
    int seat = seat_idle(segment);
    return seat >= 0 ? seat : seat_claim_or_evict(segment);
}

int weft__seat_take(weft__segment *segment)
{
    (void)pthread_mutex_lock(&lock);
    int seat = seat_any(segment);
    (void)pthread_mutex_unlock(&lock);
    return seat;
}

void weft__seat_give_back(weft__segment *segment, uint32_t seat)
{
    (void)pthread_mutex_lock(&lock);
    segment->idle_seats[seat / 64] |= (uint64_t)1 << seat % 64;
    (void)pthread_mutex_unlock(&lock);
}

/* The seat in a thread's entry, or a new one for a free entry. Under the lock. */
static int seat_in(weft__segment *segment, const weft__thread_seat *entry, uintptr_t thread)
{
    uintptr_t found = weft__load_relaxed(&entry->thread); /* relaxed: under the lock */
    if (found == thread)
        return (int)weft__load_relaxed(&entry->seat); /* relaxed: it wrote it itself */
    return found == 0 ? seat_any(segment) : -EBUSY;
}

int weft__seat_of_thread(weft__segment *segment, weft__cause cause)
{
    uintptr_t thread = weft__thread_pointer();
    int found = weft__seat_find(segment, thread, cause);
    if (found >= 0)
        return found;
    uint64_t at = (uint64_t)thread * UINT64_C(0x9e3779b97f4a7c15) >> 58;
    weft__thread_seat *entry = &segment->threads[at];
    weft__note_caller(segment, cause);
    (void)pthread_mutex_lock(&lock);
    int seat = seat_in(segment, entry, thread);
    if (seat >= 0) {
        weft__store_relaxed(&entry->seat, (uint32_t)seat); /* relaxed: for this thread alone */
        weft__store_relaxed(&entry->thread, thread);       /* relaxed: as above */
        weft__store_relaxed(&entry->noted[cause], thread); /* relaxed: as above */
    }
    (void)pthread_mutex_unlock(&lock);
    return seat;
}

/* ---- callers --------------------------------------------------------------------------------- */

void weft__note_caller(weft__segment *segment, weft__cause cause)
{
    uintptr_t me = weft__thread_pointer();
    if (weft__hook_self() != me)
        me = WEFT__CALLERS_MANY; /* a fiber: whoever comes next on this thread is another */
    /* relaxed: who has just been told that nobody is left to push was told so before the push */
    uintptr_t noted = weft__load_relaxed(&segment->callers[cause]);
    if (noted == me || noted == WEFT__CALLERS_MANY)
        return; /* most often, and then without a locked instruction */
    /* relaxed: as above */
    if (noted != 0 || (!weft__cas_relaxed(&segment->callers[cause], &noted, me) && noted != me))
        weft__store_relaxed(&segment->callers[cause], WEFT__CALLERS_MANY);
}

int weft__has_other_callers(const weft__segment *segment, weft__cause cause)
{
    uintptr_t noted = weft__load_relaxed(&segment->callers[cause]); /* relaxed: as above */
    return noted != 0 && noted != weft__hook_self();
}

/* ---- the list, and fork ---------------------------------------------------------------------- */

static void before_fork(void)
{
    weft__watch_before_fork();
    (void)pthread_mutex_lock(&lock);
}

static void after_fork_parent(void)
{
    (void)pthread_mutex_unlock(&lock);
    weft__watch_after_fork();
}

/* A child is nobody yet: entry and seats are its parent's. It joins on its first act. */
static void after_fork_child(void)
{
    for (weft__segment *segment = segments; segment != NULL; segment = segment->next) {
        segment->member = 0;
        segment->is_ours = 0;
        segment->watched = 0;
        for (int i = 0; i < 2; i++)
            if (segment->permits[i] != NULL)
                *segment->permits[i] = 0;
        memset(segment->threads, 0, sizeof segment->threads);
        memset(segment->callers, 0, sizeof segment->callers);
        memset(segment->idle_seats, 0, sizeof segment->idle_seats);
    }
    (void)pthread_mutex_unlock(&lock);
    weft__watch_in_copy();
}

static void watch_forks(void)
{
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void weft__segment_enter(weft__segment *segment)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks);
    (void)pthread_mutex_lock(&lock);
    segment->next = segments;
    segments = segment;
    for (size_t i = 0; i < SEGMENTS_MAX; i++) {
        if (weft__load_relaxed(&mapped[i].base) != NULL) /* relaxed: changed under the lock */
            continue;
        weft__store_relaxed(&mapped[i].segment, segment); /* relaxed: the base releases it */
        /* edge shm.mapped (release): the segment that is mapped there */
        weft__store_release(&mapped[i].base, segment->base);
        break;
    }
    (void)pthread_mutex_unlock(&lock);
}

void weft__segment_leave(weft__segment *segment)
{
    weft__watch_leave(segment);
    (void)pthread_mutex_lock(&lock);
    for (weft__segment **at = &segments; *at != NULL; at = &(*at)->next) {
        if (*at == segment) {
            *at = segment->next;
            break;
        }
    }
    for (size_t i = 0; i < SEGMENTS_MAX; i++)
        if (weft__load_relaxed(&mapped[i].base) == segment->base) /* relaxed: under the lock */
            weft__store_relaxed(&mapped[i].base, NULL); /* relaxed: nobody may look for it now */
    (void)pthread_mutex_unlock(&lock);
}

weft__segment *weft__segment_at(const void *base)
{
    for (size_t i = 0; i < SEGMENTS_MAX && base != NULL; i++) {
        /* edge shm.mapped (acquire): the segment was stored before its base */
        if (weft__load_acquire(&mapped[i].base) == base)
            return weft__load_relaxed(&mapped[i].segment); /* relaxed: as above */
    }
    return NULL;
}

weft__segment *weft__segment_around(const void *address)
{
    for (size_t i = 0; i < SEGMENTS_MAX; i++) {
        /* edge shm.mapped (acquire): as above */
        const char *base = weft__load_acquire(&mapped[i].base);
        if (base == NULL)
            continue;
        weft__segment *segment = weft__load_relaxed(&mapped[i].segment); /* relaxed: as above */
        if ((uintptr_t)address - (uintptr_t)base < segment->geometry.total_bytes)
            return segment;
    }
    return NULL;
}
