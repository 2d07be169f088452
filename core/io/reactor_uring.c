/* SPDX-License-Identifier: BSD-2-Clause */
/* reactor_uring.c — files watched by polls on an io_uring(7).
 *
 * Adopted files have one poll that fires again and again, at each edge. Others get one for each
 * wait. What fires lies in memory, so looking without waiting needs no system call.
 *
 * A poll keeps its file open, so it has to be over before the file is closed, and when nobody waits
 * any longer for a file that is not ours. It ends in the thread that began it, a little later than
 * it is told to: `registered` is its number until its last answer is here.
 *
 * One at a time takes answers out of the ring: whoever waits, for as long as it waits. So an answer
 * that ends its sleep cannot be taken away by others, who leave it to the sleeper and go on.
 *
 * Rejected: transfers instead of polls. They save system calls, but the kernel goes on with one
 * after its caller has given up, and a buffer must not be touched then: each would have to wait for
 * the end of its cancellation.
 *
 * The answers of a poll come by way of the thread that began it. The kernel interrupts that for
 * each one, which costs more than all the rest, or puts them off until it comes by
 * (IORING_SETUP_COOP_TASKRUN): that is right for a runtime of one worker, since nobody else could
 * go on with what is ready. With several one may compute for long while others are idle. Rejected
 * for one worker: IORING_SETUP_DEFER_TASKRUN, which is quicker yet, but lets a single thread begin
 * polls and hear of them; those who close files, and who plays the worker, may be any. */
#include "io/files.h"
#include "sched/spin.h"

#include "hooks.h"

#include <errno.h>

#ifdef WEFT_HAVE_LIBURING

#include <liburing.h>
#include <poll.h>
#include <sys/stat.h>
#include <weft/atomic.h>

#define SUBMISSIONS 64
#define COMPLETIONS 4096
#define ANSWERS_MAX 64 /* at a time */

/* Answers that belong to no file. */
#define NOTHING (UINT64_MAX - 1)

typedef struct uring_files {
    weft__files files;
    struct io_uring ring;
    uint32_t submitting; /* a lock: who holds it fills the submission queue, and submits */
    uint32_t taking;     /* a lock: who holds it takes answers out of the completion queue */
    uint32_t kicked;     /* and nobody has waited since */
    uint32_t ticket;     /* of the last poll; under `submitting` */
    int can_interrupt;   /* other threads, by membarrier() */
} uring_files;

/* ---- telling the kernel: `submitting` is held ----------------------------------------------- */

/* Each submission goes out at once, so there is room for one. */
static int submit(uring_files *self, struct io_uring_sqe *sqe)
{
    int rc;
    do
        rc = io_uring_submit(&self->ring);
    while (rc == -EINTR);
    if (rc >= 1)
        return 0;
    io_uring_prep_nop(sqe); /* it goes out with the next */
    io_uring_sqe_set_data64(sqe, NOTHING);
    return rc < 0 ? rc : -EAGAIN;
}

/* The poll's number tells its answers from those of others on the same descriptor. */
static uint64_t name_of(const weft__file *file, uint32_t ticket)
{
    return (uint64_t)ticket << 32 | (uint32_t)file->fd;
}

static int begin_poll(uring_files *self, weft__file *file, unsigned events)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    uint32_t ticket = ++self->ticket;
    if (sqe == NULL)
        return -EAGAIN;
    if (ticket == 0)
        ticket = ++self->ticket;
    if (file->is_adopted)
        io_uring_prep_poll_multishot(sqe, file->fd, events);
    else
        io_uring_prep_poll_add(sqe, file->fd, events);
    io_uring_sqe_set_data64(sqe, name_of(file, ticket));
    /* relaxed: before the submission, hence before the answer */
    weft__store_relaxed(&file->registered, ticket);
    int rc = submit(self, sqe);
    if (rc != 0)
        weft__store_relaxed(&file->registered, 0); /* relaxed: the same */
    return rc;
}

static void end_poll(uring_files *self, const weft__file *file)
{
    uint32_t ticket = weft__load_relaxed(&file->registered); /* relaxed: under the file's lock */
    if (ticket == 0)
        return;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    if (sqe == NULL)
        return;
    io_uring_prep_cancel64(sqe, name_of(file, ticket), 0); /* also while it fires */
    io_uring_sqe_set_data64(sqe, NOTHING);
    (void)submit(self, sqe); /* if not, it has to end by itself */
}

/* A disk is always ready, and never without waiting. */
static int is_disk(int fd)
{
    struct stat status;
    return fstat(fd, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode));
}

static int arm(weft__files *files, weft__file *file)
{
    uring_files *self = (uring_files *)files;
    unsigned events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP;
    if (!file->is_adopted) {
        if (is_disk(file->fd))
            return -EPERM;
        events = file->sides[WEFT__READ].first != NULL ? POLLIN | POLLRDHUP : 0;
        events |= file->sides[WEFT__WRITE].first != NULL ? POLLOUT : 0;
    }
    weft__spin_lock(&self->submitting);
    end_poll(self, file); /* it may belong to what the descriptor was before */
    int rc = begin_poll(self, file, events);
    weft__spin_unlock(&self->submitting);
    return rc;
}

static void forget(weft__files *files, weft__file *file)
{
    uring_files *self = (uring_files *)files;
    weft__spin_lock(&self->submitting);
    end_poll(self, file);
    weft__spin_unlock(&self->submitting);
}

/* ---- hearing from it: `taking` is held ------------------------------------------------------ */

static void hear(uring_files *self, const struct io_uring_cqe *cqe, weft_task **chain)
{
    uint32_t ticket = (uint32_t)(cqe->user_data >> 32);
    weft__file *file = weft__files_find(&self->files, (int)(uint32_t)cqe->user_data);
    /* relaxed: a hint; an answer that is taken for another's says only that it may be ready */
    if (cqe->user_data == NOTHING || file == NULL)
        return;
    if (cqe->res != -ECANCELED && weft__load_relaxed(&file->registered) == ticket)
        weft__file_event(&self->files, file, cqe->res < 0 ? POLLNVAL : (unsigned)cqe->res, chain);
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
        weft__file_unwatched(&self->files, file, ticket, chain);
}

/* The wake-up of a socket that has received anything names urgent data as well, and the kernel
 * passes on what a wake-up names. It makes a difference to what is known as TCP. */
static int may_be_urgent(uring_files *self, const struct io_uring_cqe *cqe)
{
    if (cqe->user_data == NOTHING || cqe->res < 0 || (cqe->res & POLLPRI) == 0)
        return 0;
    const weft__file *file = weft__files_find(&self->files, (int)(uint32_t)cqe->user_data);
    /* relaxed: a kind that is out of date makes us ask in vain, or not for what is ANY anyway */
    return file != NULL && weft__load_relaxed(&file->kind) == WEFT__TCP;
}

/* Ask whether there is urgent data, of all in one call. A number that was closed meanwhile has an
 * answer that nobody hears. */
static void ask_for_urgent(uring_files *self, struct io_uring_cqe **answers, unsigned count)
{
    struct pollfd asked[ANSWERS_MAX];
    unsigned doubtful = 0;
    for (unsigned i = 0; i < count; i++) {
        int is_doubtful = may_be_urgent(self, answers[i]);
        asked[i].fd = is_doubtful ? (int)(uint32_t)answers[i]->user_data : -1; /* not asked */
        asked[i].events =
            POLLPRI | POLLOUT; /* none ready, and what is put off cuts the call short */
        doubtful += (unsigned)is_doubtful;
    }
    if (doubtful == 0 || poll(asked, count, 0) < 0)
        return;
    for (unsigned i = 0; i < count; i++)
        if (asked[i].fd >= 0 && (asked[i].revents & POLLPRI) == 0)
            answers[i]->res &= ~POLLPRI;
}

/* Those that are there now, and no more: a file of somebody else's, armed once more for those who
 * still wait, answers at once until somebody has read, and would wake one after another. */
static void hear_answers(uring_files *self, weft_task **chain)
{
    struct io_uring_cqe *answers[ANSWERS_MAX];
    unsigned count = io_uring_peek_batch_cqe(&self->ring, answers, ANSWERS_MAX);
    ask_for_urgent(self, answers, count);
    for (unsigned i = count; i-- > 0;) /* the chain's first runs first */
        hear(self, answers[i], chain);
    io_uring_cq_advance(&self->ring, count);
}

/* Whether some thread has answers to give when it comes by. Relaxed: a hint, as it is looked at all
 * the time. */
static int is_put_off(const uring_files *self)
{
    return (weft__load_relaxed(self->ring.sq.kflags) & IORING_SQ_TASKRUN) != 0;
}

/* Come by; most often they are this thread's. Others, who played the worker before, or are about to
 * close a file, are interrupted. */
static void fetch_put_off(uring_files *self)
{
    if (!is_put_off(self))
        return;
    (void)io_uring_enter((unsigned)self->ring.ring_fd, 0, 0, IORING_ENTER_GETEVENTS, NULL);
    if (self->can_interrupt && is_put_off(self))
        weft__membarrier();
}

/* Not liburing's own waits: they submit what is in the submission queue, which is not ours here. */
static void wait_for_answers(uring_files *self, int64_t deadline_ns)
{
    int64_t distance = deadline_ns == WEFT_FOREVER ? 0 : deadline_ns - weft_now();
    if (distance < 0)
        return;
    struct __kernel_timespec limit = {.tv_sec = distance / WEFT_SEC,
                                      .tv_nsec = distance % WEFT_SEC};
    struct io_uring_getevents_arg how = {
        .ts = deadline_ns == WEFT_FOREVER ? 0 : (uint64_t)(uintptr_t)&limit};
    (void)io_uring_enter2((unsigned)self->ring.ring_fd, 0, 1,
                          IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, (sigset_t *)(void *)&how,
                          sizeof how);
}

static weft_task *poll_uring(weft__reactor *reactor, int64_t deadline_ns)
{
    uring_files *self = (uring_files *)(void *)reactor;
    weft_task *chain = NULL;
    fetch_put_off(self);
    if (deadline_ns != WEFT_POLL)
        weft__spin_lock(&self->taking);
    else if (!weft__spin_try(&self->taking))
        return NULL; /* who sleeps there will see to it */
    hear_answers(self, &chain);
    /* edge uring.kick (acquire): what the kick was for is looked at after this */
    if (deadline_ns != WEFT_POLL && weft__exchange_acq_rel(&self->kicked, 0) == 0 &&
        chain == NULL) {
        wait_for_answers(self, deadline_ns);
        (void)weft__exchange_acq_rel(&self->kicked, 0); /* edge uring.kick (acquire): as above */
        hear_answers(self, &chain);
    }
    weft__spin_unlock(&self->taking);
    return chain;
}

/* The mark is for who is about to wait, the answer for who does. */
static void kick_uring(weft__reactor *reactor)
{
    uring_files *self = (uring_files *)(void *)reactor;
    /* edge uring.kick (release): what the kick is for */
    (void)weft__exchange_acq_rel(&self->kicked, 1);
    weft__spin_lock(&self->submitting);
    struct io_uring_sqe *sqe = io_uring_get_sqe(&self->ring);
    if (sqe != NULL) {
        io_uring_prep_nop(sqe);
        io_uring_sqe_set_data64(sqe, NOTHING);
        (void)submit(self, sqe);
    }
    weft__spin_unlock(&self->submitting);
}

/* ---- life ----------------------------------------------------------------------------------- */

/* Polls would end some time after their ring, and their files be open until then. */
static void destroy_uring(weft__reactor *reactor)
{
    uring_files *self = (uring_files *)(void *)reactor;
    weft__files_retire(&self->files);
    io_uring_queue_exit(&self->ring);
    weft__files_free(&self->files);
}

/* The kernel has to take a time-out together with a wait (5.11), and polls that fire again (5.13):
 * then it also has the flags that tell of resources, which came with those. */
static int open_ring(struct io_uring *ring, unsigned flags)
{
    struct io_uring_params params = {.flags = IORING_SETUP_CQSIZE | flags,
                                     .cq_entries = COMPLETIONS};
    int rc = io_uring_queue_init_params(SUBMISSIONS, ring, &params);
    if (rc != 0)
        return rc;
    unsigned needed = IORING_FEAT_EXT_ARG | IORING_FEAT_RSRC_TAGS | IORING_FEAT_NODROP;
    if ((params.features & needed) == needed)
        return 0;
    io_uring_queue_exit(ring);
    return -ENOSYS;
}

/* For one worker; putting off, and saying so, came with 5.19. */
static int open_ring_for_one(struct io_uring *ring)
{
    int rc = open_ring(ring, IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG);
    return rc != -EINVAL ? rc : open_ring(ring, 0);
}

int weft__uring_probe(void)
{
    struct io_uring ring;
    int rc = open_ring(&ring, 0);
    if (rc == 0)
        io_uring_queue_exit(&ring);
    return rc;
}

weft__files *weft__files_uring_new(unsigned workers, int *rc)
{
    uring_files *self = weft__alloc(sizeof *self);
    if (self == NULL) {
        *rc = -ENOMEM;
        return NULL;
    }
    weft__files_init(&self->files);
    self->files.reactor.name = "io_uring";
    self->files.reactor.poll = poll_uring;
    self->files.reactor.kick = kick_uring;
    self->files.reactor.destroy = destroy_uring;
    self->files.arm = arm;
    self->files.forget = forget;
    self->files.holds_open = 1;
    self->submitting = 0;
    self->taking = 0;
    self->kicked = 0;
    self->ticket = 0;
    self->can_interrupt = weft__membarrier_register() == 0;
    *rc = workers == 1 ? open_ring_for_one(&self->ring) : open_ring(&self->ring, 0);
    if (*rc == 0)
        return &self->files;
    weft__files_free(&self->files);
    return NULL;
}

#else /* built without liburing */

int weft__uring_probe(void)
{
    return -ENOTSUP;
}

weft__files *weft__files_uring_new(unsigned workers, int *rc)
{
    (void)workers;
    *rc = -ENOTSUP;
    return NULL;
}

#endif
