/* SPDX-License-Identifier: BSD-2-Clause */
/* pipe.c — a contestant: the kernel's pipe, which no kill damages. */
#include "pair.h"

#include <fcntl.h>

typedef struct contest_ring {
    int read_end;
    int write_end;
} contest_ring;

static contest_ring *contest_create(size_t bytes, size_t slots)
{
    int fds[2];
    contest_ring *made = (contest_ring *)duel_alloc(sizeof *made);
    (void)bytes;
    (void)slots;
    duel_need(pipe(fds) == 0, "pipe");
    fcntl(fds[1], F_SETPIPE_SZ, 1 << 20);
    made->read_end = fds[0];
    made->write_end = fds[1];
    return made;
}

static inline void contest_push_wait(contest_ring *ring, const void *sent, size_t bytes)
{
    const char *from = (const char *)sent;
    for (size_t done = 0; done < bytes;) {
        ssize_t more = write(ring->write_end, from + done, bytes - done);
        duel_need(more > 0, "write");
        done += (size_t)more;
    }
}

static inline void contest_pop_wait(contest_ring *ring, void *received, size_t bytes)
{
    char *to = (char *)received;
    for (size_t done = 0; done < bytes;) {
        ssize_t more = read(ring->read_end, to + done, bytes - done);
        duel_need(more > 0, "read");
        done += (size_t)more;
    }
}

static inline int contest_push(contest_ring *ring, const void *sent, size_t bytes)
{
    contest_push_wait(ring, sent, bytes);
    return 1;
}

static inline int contest_pop(contest_ring *ring, void *received, size_t bytes)
{
    contest_pop_wait(ring, received, bytes);
    return 1;
}

#define CONTEST_BLOCKS
#define CONTEST_NO_SPIN
#define CONTEST_MPMC
#include "ring.h"

int main(int argc, char **argv)
{
    return duel_main(argc, argv, "the kernel's pipe, kill-safe", ring_duels);
}
