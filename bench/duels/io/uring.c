/* SPDX-License-Identifier: BSD-2-Clause */
/* uring.c — an echo server on a bare io_uring: multishot accept and recv into a ring of buffers,
 * all sends of a round submitted by the call that waits for the next. */
#include "echo.h"

#include <liburing.h>

#define ENTRIES 4096
#define BUFFERS 4096
#define GROUP 1

enum { ACCEPT, RECV, SEND };

static struct io_uring ring;
static struct io_uring_buf_ring *buffers;
static char (*memory)[ECHO_BUFFER_BYTES];

/* What a completion belongs to, in its 64 bits of user data. */
static uint64_t tag(int kind, int fd, int buffer)
{
    return (uint64_t)kind << 56 | (uint64_t)(buffer & 0xffff) << 32 | (uint32_t)fd;
}

static struct io_uring_sqe *next_sqe(void)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (!sqe) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
    }
    duel_need(sqe != NULL, "io_uring_get_sqe");
    return sqe;
}

static void accept_from(int listener)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, 0);
    sqe->user_data = tag(ACCEPT, listener, 0);
}

static void receive(int fd)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = tag(RECV, fd, 0);
}

static void send_back(int fd, int buffer, int bytes)
{
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_send(sqe, fd, memory[buffer], (size_t)bytes, MSG_NOSIGNAL | MSG_WAITALL);
    sqe->user_data = tag(SEND, fd, buffer);
}

static void give_back(int buffer)
{
    io_uring_buf_ring_add(buffers, memory[buffer], ECHO_BUFFER_BYTES, (unsigned short)buffer,
                          io_uring_buf_ring_mask(BUFFERS), 0);
    io_uring_buf_ring_advance(buffers, 1);
}

static void completed(const struct io_uring_cqe *cqe)
{
    int fd = (int)(uint32_t)cqe->user_data;
    int more = (cqe->flags & IORING_CQE_F_MORE) != 0;
    switch ((int)(cqe->user_data >> 56)) {
    case ACCEPT:
        if (cqe->res >= 0) {
            echo_no_delay(cqe->res);
            receive(cqe->res);
        }
        if (!more)
            accept_from(fd);
        break;
    case RECV:
        if (cqe->res > 0)
            send_back(fd, (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT), cqe->res);
        if (cqe->res > 0 && !more)
            receive(fd);
        else if (cqe->res == -ENOBUFS)
            receive(fd);
        else if (cqe->res <= 0)
            close(fd);
        break;
    default:
        give_back((int)(cqe->user_data >> 32 & 0xffff));
    }
}

/* The flags a kernel of 6.1 or later takes; older ones get a plain ring. */
static void make_ring(void)
{
    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE;
    params.cq_entries = 4 * ENTRIES;
    if (io_uring_queue_init_params(ENTRIES, &ring, &params) != 0)
        duel_need(io_uring_queue_init(ENTRIES, &ring, 0) == 0, "io_uring_queue_init");
}

static void make_buffers(void)
{
    struct io_uring_buf_reg registration;
    size_t bytes = BUFFERS * sizeof(struct io_uring_buf);
    memset(&registration, 0, sizeof registration);
    duel_need(posix_memalign((void **)&buffers, 4096, bytes) == 0, "posix_memalign");
    memory = (char(*)[ECHO_BUFFER_BYTES])duel_alloc(BUFFERS * sizeof *memory);
    io_uring_buf_ring_init(buffers);
    registration.ring_addr = (uint64_t)(uintptr_t)buffers;
    registration.ring_entries = BUFFERS;
    registration.bgid = GROUP;
    duel_need(io_uring_register_buf_ring(&ring, &registration, 0) == 0,
              "io_uring_register_buf_ring");
    for (int i = 0; i < BUFFERS; i++)
        give_back(i);
}

int main(int argc, char **argv)
{
    struct io_uring_cqe *cqe;
    if (echo_listed(argc, argv, "the kernel's io_uring"))
        return 0;
    make_ring();
    make_buffers();
    accept_from(echo_listen(0));
    for (;;) {
        unsigned head;
        unsigned count = 0;
        if (io_uring_submit_and_wait(&ring, 1) < 0)
            continue;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            completed(cqe);
            count++;
        }
        io_uring_cq_advance(&ring, count);
    }
}
