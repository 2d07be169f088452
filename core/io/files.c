/* SPDX-License-Identifier: BSD-2-Clause */
/* files.c — see files.h. */
#include "io/files.h"
#include "sched/spin.h"

#include "hooks.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* ---- the table ------------------------------------------------------------------------------ */

static void make_chunk(weft__files *files, unsigned chunk)
{
    weft__file *records = weft__alloc(WEFT__FILE_CHUNK * sizeof *records);
    weft__file *none = NULL;
    if (records == NULL)
        return;
    memset(records, 0, WEFT__FILE_CHUNK * sizeof *records);
    for (unsigned i = 0; i < WEFT__FILE_CHUNK; i++)
        records[i].fd = (int)(chunk * WEFT__FILE_CHUNK + i);
    /* edge file.chunk (release): the records are made */
    if (!weft__cas_release(&files->chunks[chunk], &none, records))
        weft__free(records); /* somebody was faster */
}

weft__file *weft__files_get(weft__files *files, int fd)
{
    weft__file *file = weft__files_find(files, fd);
    if (file == NULL && (unsigned)fd / WEFT__FILE_CHUNK < WEFT__FILE_CHUNKS) {
        make_chunk(files, (unsigned)fd / WEFT__FILE_CHUNK);
        file = weft__files_find(files, fd);
    }
    return file;
}

void weft__files_init(weft__files *files)
{
    memset(files, 0, sizeof *files);
}

/* The tables of all runtimes: a descriptor may be closed by a thread that belongs to none. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static weft__files *all;
static uint32_t all_count;

static void enter_all(weft__files *files)
{
    (void)pthread_mutex_lock(&all_lock);
    files->next = all;
    all = files;
    files->fork_count = weft__fork_count();
    weft__store_relaxed(&all_count, all_count + 1); /* relaxed: see weft__files_close() */
    (void)pthread_mutex_unlock(&all_lock);
}

/* A forked child has its parent's files before its eyes, and must leave them alone. */
static int is_ours(const weft__files *files)
{
    return files->fork_count == weft__fork_count();
}

static void leave_all(const weft__files *files)
{
    (void)pthread_mutex_lock(&all_lock);
    for (weft__files **link = &all; *link != NULL; link = &(*link)->next) {
        if (*link != files)
            continue;
        *link = files->next;
        weft__store_relaxed(&all_count, all_count - 1); /* relaxed: see weft__files_close() */
        break;
    }
    (void)pthread_mutex_unlock(&all_lock);
}

void weft__files_free(weft__files *files)
{
    for (unsigned i = 0; i < WEFT__FILE_CHUNKS; i++)
        weft__free(files->chunks[i]);
    weft__free(files);
}

/* ---- those who wait: the lock is held ------------------------------------------------------- */

static void set_first(weft__side *side, weft__waiter *waiter)
{
    /* edge file.wait (seq_cst): registered before `may` is looked at */
    weft__store_seq_cst(&side->first, waiter);
}

static void append(weft__side *side, weft__waiter *waiter)
{
    waiter->next = NULL;
    if (side->first == NULL)
        set_first(side, waiter);
    else
        side->last->next = waiter;
    side->last = waiter;
}

static int take_back(weft__side *side, weft__waiter *waiter)
{
    weft__waiter *before = NULL;
    for (weft__waiter *one = side->first; one != NULL; before = one, one = one->next) {
        if (one != waiter)
            continue;
        if (before == NULL)
            set_first(side, one->next);
        else
            before->next = one->next;
        if (side->last == one)
            side->last = before;
        return 1;
    }
    return 0;
}

static void link_ready(weft__fiber *fiber, weft_task **chain)
{
    weft__fiber_mark_ready(fiber);
    fiber->item.prev_ = *chain;
    *chain = &fiber->item;
}

/* Wake the one that has waited longest: link it in front of `chain` if it has to be made runnable.
 * Its claim is made under the lock, so that a waiter which gives up and does not find itself in the
 * list has been woken already. */
static void wake_first(weft__files *files, weft__side *side, weft_task **chain)
{
    weft__waiter *waiter = side->first;
    weft__fiber *fiber = waiter->fiber;
    set_first(side, waiter->next);
    weft__fetch_add_relaxed(&files->reactor.waits, (uint32_t)-1); /* relaxed: a hint too many */
    if (weft__wait_claim(fiber))
        link_ready(fiber, chain);
}

static void side_ready(weft__files *files, weft__side *side, int is_gone, weft_task **chain)
{
    if (is_gone) /* relaxed: looked at under the lock, or as a hint */
        weft__fetch_add_relaxed(&side->gone, 1);
    /* edge file.may (release): what was ready before is behind the event */
    weft__store_release(&side->may, 1);
    if (side->first != NULL)
        wake_first(files, side, chain); /* one at a time: who succeeds passes it on */
    while (is_gone && side->first != NULL)
        wake_first(files, side, chain);
}

void weft__side_is_back(weft__side *side, uint32_t seen)
{
    /* relaxed: fails if another event has come since the try */
    if (seen != 0)
        (void)weft__cas_relaxed(&side->gone, &seen, 0);
}

void weft__file_ready(weft__files *files, weft__file *file, unsigned ready, unsigned gone,
                      weft_task **chain)
{
    weft__spin_lock(&file->lock);
    for (unsigned i = 0; i < 2; i++)
        if (((ready | gone) & 1u << i) != 0)
            side_ready(files, &file->sides[i], (gone & 1u << i) != 0, chain);
    weft__spin_unlock(&file->lock);
}

void weft__file_event(weft__files *files, weft__file *file, unsigned events, weft_task **chain)
{
    const unsigned reading = 1u << WEFT__READ;
    const unsigned writing = 1u << WEFT__WRITE;
    unsigned ready = 0;
    unsigned gone = 0;
    ready |= (events & (POLLIN | POLLPRI)) != 0 ? reading : 0;
    ready |= (events & POLLOUT) != 0 ? writing : 0;
    ready |= (events & POLLERR) != 0 ? reading | writing : 0; /* that may be over when it is read */
    gone |= (events & (POLLHUP | POLLNVAL)) != 0 ? reading | writing : 0;
    gone |= (events & POLLRDHUP) != 0 ? reading : 0;
    if ((events & POLLPRI) != 0)
        weft__store_relaxed(&file->kind, WEFT__ANY); /* relaxed: behind it `may` is raised */
    weft__file_ready(files, file, ready, gone, chain);
}

void weft__file_rearm(weft__files *files, weft__file *file)
{
    weft__spin_lock(&file->lock);
    if (file->sides[WEFT__READ].first != NULL || file->sides[WEFT__WRITE].first != NULL)
        (void)files->arm(files,
                         file); /* it has worked before; who waits has a deadline of his own */
    weft__spin_unlock(&file->lock);
}

/* The lock is held. Those who wait for the end of what was registered as this. */
static void wake_holders(weft__files *files, weft__file *file, uint32_t registered,
                         weft_task **chain)
{
    weft__hold **link = &file->holds;
    while (*link != NULL) {
        weft__hold *hold = *link;
        if (hold->registered != registered) {
            link = &hold->next;
            continue;
        }
        *link = hold->next;
        weft__fetch_add_relaxed(&files->reactor.waits, (uint32_t)-1); /* relaxed: a hint too many */
        link_ready(hold->waiter.fiber, chain);
    }
}

void weft__file_unwatched(weft__files *files, weft__file *file, uint32_t registered,
                          weft_task **chain)
{
    weft__spin_lock(&file->lock);
    wake_holders(files, file, registered, chain);
    if (file->registered == registered) {
        /* edge file.held (release): the kernel has let go of it */
        weft__store_release(&file->registered, 0);
        if (file->sides[WEFT__READ].first != NULL || file->sides[WEFT__WRITE].first != NULL)
            (void)files->arm(files, file); /* as in weft__file_rearm() */
    }
    weft__spin_unlock(&file->lock);
}

static void make_runnable(weft_task *chain)
{
    while (chain != NULL) {
        weft_task *next = chain->prev_;
        weft__fiber_ready((weft__fiber *)(void *)chain);
        chain = next;
    }
}

void weft__file_pass_on(weft__files *files, weft__file *file, unsigned side)
{
    weft_task *chain = NULL;
    /* edge file.wait (seq_cst): behind the raising of `may`; who comes later sees that */
    if (weft__load_seq_cst(&file->sides[side].first) == NULL)
        return;
    weft__spin_lock(&file->lock);
    if (file->sides[side].first != NULL)
        wake_first(files, &file->sides[side], &chain);
    weft__spin_unlock(&file->lock);
    make_runnable(chain);
}

/* ---- waiting -------------------------------------------------------------------------------- */

typedef struct file_wait {
    weft__files *files;
    weft__file *file;
    unsigned sides;          /* 1 << WEFT__READ … */
    weft__waiter waiters[2]; /* one for each side, of the same fiber */
    uint32_t generation;
    int rc;
} file_wait;

static void count_waits(weft__files *files, unsigned sides, int sign)
{
    uint32_t count = (sides & 1u) + (sides >> 1 & 1u);
    /* edge idle.files (seq_cst): counted before anybody who sleeps is looked for */
    weft__fetch_add_seq_cst(&files->reactor.waits, sign > 0 ? count : (uint32_t)0 - count);
}

/* ---- until the kernel lets go --------------------------------------------------------------- */

/* The lock is held, and nobody waits for the file. Returns what it is registered as until the
 * kernel has let go of it; 0: it has. */
static uint32_t forget(weft__files *files, weft__file *file)
{
    files->forget(files, file);
    return file->registered;
}

typedef struct hold_wait {
    weft__files *files;
    weft__file *file;
    weft__hold hold;
} hold_wait;

/* The fiber may have gone on when the lock is free. */
static int commit_hold(weft__waiter *waiter, void *arg)
{
    hold_wait *self = arg;
    weft__file *file = self->file;
    weft__waits_for(waiter, WEFT_REASON_IO, NULL);
    weft__spin_lock(&file->lock);
    int is_held = file->registered == self->hold.registered;
    if (is_held) {
        self->hold.next = file->holds;
        file->holds = &self->hold;
        count_waits(self->files, 1, 1);
    }
    weft__spin_unlock(&file->lock);
    if (is_held)
        weft__worker_self()->unwatched = 1;
    return is_held;
}

/* Whether the caller is a fiber whose runtime hears what the kernel says of these files. */
static int is_heard(const weft__files *files)
{
    const weft__worker *worker = weft__worker_self();
    /* relaxed: only compared */
    return worker != NULL && weft__load_relaxed(&worker->runtime->reactor) == &files->reactor;
}

/* Return when the kernel has let go of the file as it was registered, or watches it for others by
 * now. That is usually soon; else the thread that has to let go does not run. Who is no fiber of
 * this runtime, or holds the lock of all runtimes' files, cannot count on being told. */
static void await_forgotten(weft__files *files, weft__file *file, uint32_t registered)
{
    if (registered == 0)
        return;
    /* edge file.held (acquire): the kernel has let go of it */
    for (unsigned look = 1; weft__load_acquire(&file->registered) == registered; look++) {
        if (look >= WEFT__FILE_LOOKS && is_heard(files)) {
            hold_wait self = {.files = files, .file = file, .hold.registered = registered};
            weft__wait(&self.hold.waiter, commit_hold, &self);
            return;
        }
        make_runnable(files->reactor.poll(&files->reactor, WEFT_POLL));
        weft__pause(look); /* it may need our processor */
    }
}

/* ---- waiting for events --------------------------------------------------------------------- */

/* The lock is held. Whether one of the sides has become ready since the caller's try, or that of
 * somebody else, who had lowered `may` meanwhile and has found nobody to pass it on to. */
static int is_ready(const file_wait *self)
{
    for (unsigned i = 0; i < 2; i++) {
        const weft__side *side = &self->file->sides[i];
        /* edge file.may (acquire): an event came between the try and this moment
         * edge file.wait (seq_cst): behind our own registration */
        if ((self->sides & 1u << i) != 0 && (side->gone || weft__load_seq_cst(&side->may)))
            return 1;
    }
    return 0;
}

/* The lock is held. Takes the waiters back; returns the sides on which they still were. */
static unsigned leave(file_wait *self)
{
    unsigned found = 0;
    for (unsigned i = 0; i < 2; i++)
        if ((self->sides & 1u << i) != 0 && take_back(&self->file->sides[i], &self->waiters[i]))
            found |= 1u << i;
    count_waits(self->files, found, -1);
    return found;
}

/* The lock is held. Nonzero: the waiters are registered. */
static int enlist(file_wait *self)
{
    weft__file *file = self->file;
    if (file->generation != self->generation || file->generation % 2 != 0) {
        self->rc = -EBADF;
        return 0;
    }
    for (unsigned i = 0; i < 2; i++)
        if ((self->sides & 1u << i) != 0)
            append(&file->sides[i], &self->waiters[i]);
    count_waits(self->files, self->sides, 1);
    if (!file->is_adopted || !is_ready(self)) {
        self->rc = file->is_adopted && file->registered ? 0 : self->files->arm(self->files, file);
        if (self->rc == 0)
            return 1;
    }
    (void)leave(self);
    return 0;
}

static int commit_file(weft__waiter *waiter, void *arg)
{
    file_wait *self = arg;
    weft__waits_for(waiter, WEFT_REASON_IO, NULL);
    self->waiters[0].fiber = waiter->fiber;
    self->waiters[1].fiber = waiter->fiber;
    weft__spin_lock(&self->file->lock);
    int is_waiting = enlist(self);
    weft__spin_unlock(&self->file->lock);
    if (is_waiting)
        weft__worker_self()->unwatched = 1;
    return is_waiting;
}

/* The lock is held. A file of somebody else's must not be held open when nobody waits for it: as
 * forget(). */
static uint32_t forget_foreign(weft__files *files, weft__file *file)
{
    if (!files->holds_open || file->is_adopted || file->registered == 0 ||
        file->sides[WEFT__READ].first != NULL || file->sides[WEFT__WRITE].first != NULL)
        return 0;
    return forget(files, file);
}

/* That of the file which has the number now; who closes the one before may not have said so yet. */
static uint32_t generation_of(weft__file *file)
{
    uint32_t generation = weft__load_relaxed(&file->generation); /* relaxed: looked at later */
    if (generation % 2 == 0)
        return generation;
    weft__spin_lock(&file->lock);
    generation = file->generation;
    weft__spin_unlock(&file->lock);
    return generation;
}

/* The fiber has given up, and an event has woken it on these sides nevertheless: that was meant for
 * somebody who tries. */
static void decline(file_wait *self, weft__waiter *waiter, unsigned sides)
{
    weft__wait_woken(waiter);
    for (unsigned i = 0; i < 2; i++)
        if ((sides & 1u << i) != 0)
            weft__file_pass_on(self->files, self->file, i);
}

int weft__file_wait(weft__files *files, weft__file *file, unsigned sides, int64_t deadline_ns)
{
    weft__waiter waiter;
    file_wait self = {.files = files, .file = file, .sides = sides};
    self.generation = generation_of(file);
    weft__store_relaxed(&file->unbroken, 0); /* relaxed: a rough count */
    int rc = weft__wait_until(&waiter, commit_file, &self, deadline_ns);
    if (rc != 0 || (sides & (sides - 1)) != 0) {
        weft__spin_lock(&file->lock);
        unsigned found = leave(&self);
        uint32_t held = forget_foreign(files, file);
        weft__spin_unlock(&file->lock);
        if (rc != 0 && found != sides)
            decline(&self, &waiter, sides & ~found);
        await_forgotten(files, file, held);
    }
    if (rc == 0 && self.rc == 0 && weft__load_relaxed(&file->generation) != self.generation)
        return -EBADF; /* relaxed: who closed it has woken us since */
    return rc != 0 ? rc : self.rc;
}

/* ---- adopting and closing ------------------------------------------------------------------- */

/* What the number was before may have been watched in another way. */
static void stop_watching(weft__files *files, weft__file *file)
{
    weft__spin_lock(&file->lock);
    uint32_t held = forget(files, file);
    weft__spin_unlock(&file->lock);
    await_forgotten(files, file, held);
}

void weft__files_retire(weft__files *files)
{
    leave_all(files);
    for (unsigned i = 0; is_ours(files) && i < WEFT__FILE_CHUNKS; i++)
        for (unsigned j = 0; files->chunks[i] != NULL && j < WEFT__FILE_CHUNK; j++)
            if (files->chunks[i][j].registered != 0)
                stop_watching(files, &files->chunks[i][j]);
}

static void adopt(weft__file *file, unsigned kind)
{
    weft__spin_lock(&file->lock);
    for (unsigned i = 0; i < 2; i++) {
        weft__store_relaxed(&file->sides[i].may, 1);  /* relaxed: its user has yet to hear of it */
        weft__store_relaxed(&file->sides[i].gone, 0); /* relaxed: the same */
    }
    weft__store_relaxed(&file->kind, kind);    /* relaxed: its user got the number from us */
    weft__store_relaxed(&file->is_adopted, 1); /* relaxed: the same */
    weft__spin_unlock(&file->lock);
}

int weft__files_adopt(int fd, unsigned kind)
{
    int rc = 0;
    weft__files *files = weft__files_self(&rc);
    if (files == NULL)
        return rc; /* 0: a plain thread remembers nothing */
    weft__file *file = weft__files_get(files, fd);
    if (file == NULL)
        return -ENOMEM;
    if (weft__load_relaxed(&file->registered) != 0) /* relaxed: its user got the number from us */
        stop_watching(files, file);
    adopt(file, kind);
    return 0;
}

int weft__files_know(int fd, unsigned *kind)
{
    int rc = 0;
    weft__files *files = weft__files_self(&rc);
    const weft__file *file = files != NULL ? weft__files_find(files, fd) : NULL;
    if (file == NULL || !weft__load_relaxed(&file->is_adopted)) /* relaxed: as in adopt() */
        return 0;
    *kind = weft__load_relaxed(&file->kind); /* relaxed: the same */
    return 1;
}

/* Nobody waits for the file any more, nobody will until it is closed, and it is not watched. */
static void let_go(weft__files *files, weft__file *file, weft_task **chain)
{
    weft__spin_lock(&file->lock);
    weft__store_relaxed(&file->generation, file->generation + 1); /* relaxed: under the lock */
    for (unsigned i = 0; i < 2; i++)
        while (file->sides[i].first != NULL)
            wake_first(files, &file->sides[i], chain);
    weft__store_relaxed(&file->is_adopted, 0); /* relaxed: under the lock */
    uint32_t held = file->registered != 0 ? forget(files, file) : 0;
    weft__spin_unlock(&file->lock);
    await_forgotten(files, file, held);
}

/* Close the descriptor, if there is one to close: 0 or a negative errno. From then on the number
 * may be somebody else's, who has to wait for the lock until we have said so. */
static int set_closed(weft__file *file, int fd)
{
    weft__spin_lock(&file->lock);
    int rc = fd >= 0 && close(fd) != 0 ? -weft__errno_get() : 0;
    weft__store_relaxed(&file->generation, file->generation + 1); /* relaxed: under the lock */
    weft__spin_unlock(&file->lock);
    return rc;
}

/* In all runtimes but `own`. */
static void let_go_elsewhere(const weft__files *own, int fd, weft_task **chain)
{
    (void)pthread_mutex_lock(&all_lock);
    for (weft__files *files = all; files != NULL; files = files->next) {
        weft__file *file = files != own ? weft__files_find(files, fd) : NULL;
        if (file == NULL || !is_ours(files))
            continue;
        let_go(files, file, chain);
        (void)set_closed(file, -1);
    }
    (void)pthread_mutex_unlock(&all_lock);
}

int weft__files_close(int fd)
{
    weft__files *files = weft__files_here();
    weft__file *file = files != NULL ? weft__files_find(files, fd) : NULL;
    weft_task *chain = NULL;
    /* relaxed: a runtime that could know the descriptor has had its first wait before */
    if (weft__load_relaxed(&all_count) > (uint32_t)(files != NULL))
        let_go_elsewhere(files, fd, &chain);
    if (file != NULL)
        let_go(files, file, &chain);
    int rc = 0;
    if (file != NULL)
        rc = set_closed(file, fd);
    else if (close(fd) != 0)
        rc = -weft__errno_get();
    make_runnable(chain);
    return rc;
}

/* ---- the runtime's own ---------------------------------------------------------------------- */

static weft__files *make_files(weft_runtime *runtime, int *rc)
{
    weft__files *files = runtime->is_uring ? weft__files_uring_new(runtime->worker_count, rc)
                                           : weft__files_epoll_new(rc);
    if (files == NULL && runtime->is_uring)
        files = weft__files_epoll_new(rc); /* it was there when the runtime was made, but now? */
    if (files == NULL)
        return NULL;
    enter_all(files);
    weft__reactor *installed = weft__runtime_set_reactor(runtime, &files->reactor);
    if (installed != &files->reactor)
        files->reactor.destroy(&files->reactor);
    return (weft__files *)(void *)installed;
}

int weft__reactor_make(weft_runtime *runtime)
{
    int rc = 0;
    (void)make_files(runtime, &rc);
    return rc;
}

weft__files *weft__files_self(int *rc)
{
    weft__files *files = weft__files_here();
    const weft__worker *worker = weft__worker_self();
    return files != NULL || worker == NULL ? files : make_files(worker->runtime, rc);
}
