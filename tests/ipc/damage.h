/* SPDX-License-Identifier: BSD-2-Clause */
/* damage.h — a segment with arbitrary bytes in it, attached to and used: it must answer with codes.
 *
 * The bytes lie in a sealed memfd, as from a stranger who does everything right but for what he
 * writes. Each of our calls gets a deadline that has passed, so nothing waits. Whatever comes back
 * is fine; an access outside, a crash or an endless loop is not. */
#ifndef WEFT_TESTS_IPC_DAMAGE_H
#define WEFT_TESTS_IPC_DAMAGE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <weft/queue.h>
#include <weft/shm.h>

#define DAMAGE_BYTES_MAX 65536
#define DAMAGE_ELEM_BYTES_MAX 70000 /* longer than any that fits into a segment of that size */

static inline void use_queue(int fd)
{
    static char elems[4 * DAMAGE_ELEM_BYTES_MAX];
    weft_queue *queue = NULL;
    weft_item item;
    if (weft_queue_attach(&queue, fd, NULL) != 0)
        return;
    for (int round = 0; round < 3; round++) {
        (void)!weft_queue_pop(queue, elems, WEFT_POLL);
        (void)!weft_queue_push(queue, elems, WEFT_POLL);
        (void)!weft_queue_push_n(queue, elems, 3, WEFT_POLL);
        (void)!weft_queue_pop_n(queue, elems, 3, WEFT_POLL);
        if (weft_queue_reserve(queue, &item, WEFT_POLL) == 0) {
            memset(item.data, 1, item.bytes);
            (void)weft_queue_commit(queue, &item);
        }
        if (weft_queue_take(queue, &item, WEFT_POLL) == 0) {
            memcpy(elems, item.data, item.bytes);
            (void)weft_queue_release(queue, &item);
        }
        (void)!weft_queue_join(queue, WEFT_POLL);
        (void)weft_queue_size(queue);
    }
    weft_queue_shutdown(queue);
    weft_queue_detach(queue);
}

static inline void use_pipe(int fd)
{
    static char bytes[DAMAGE_ELEM_BYTES_MAX];
    weft_pipe *pipe = NULL;
    weft_item item;
    if (weft_pipe_attach(&pipe, fd) != 0)
        return;
    for (int round = 0; round < 3; round++) {
        (void)!weft_pipe_receive(pipe, bytes, sizeof bytes, WEFT_POLL);
        (void)!weft_pipe_send(pipe, bytes, 100, WEFT_POLL);
        if (weft_pipe_take(pipe, &item, WEFT_POLL) == 0) {
            for (size_t i = 0; i < item.bytes; i++)
                bytes[0] = (char)(bytes[0] + ((char *)item.data)[i]);
            (void)weft_pipe_release(pipe, &item);
        }
        if (weft_pipe_reserve(pipe, &item, 200, WEFT_POLL) == 0) {
            memset(item.data, 1, item.bytes);
            (void)weft_pipe_commit(pipe, &item, 150);
        }
        (void)!weft_pipe_join(pipe, WEFT_POLL);
    }
    weft_pipe_shutdown(pipe);
    weft_pipe_detach(pipe);
}

static inline void use_memory(int fd)
{
    weft_shm *shm = NULL;
    if (weft_shm_attach(&shm, fd) == 0)
        weft_shm_detach(shm);
}

/* A sealed file of that size. */
static inline int sealed_file(size_t size)
{
    int fd = memfd_create("damaged", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        abort();
    return fd;
}

/* Use `size` bytes as the segment in a file of that size. */
static inline void use_segment_in(int fd, const uint8_t *data, size_t size)
{
    if (pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    use_queue(fd);
    use_pipe(fd);
    use_memory(fd);
}

static inline void use_segment(const uint8_t *data, size_t size)
{
    int fd = sealed_file(size);
    use_segment_in(fd, data, size);
    (void)close(fd);
}

/* The bytes of a good segment, used a little: kinds 0 … 3. Returns its size. */
static inline size_t good_segment(unsigned kind, uint8_t bytes[DAMAGE_BYTES_MAX])
{
    weft_queue_spec spec = {.elem_bytes = kind == 2 ? 100 : 8,
                            .capacity = 4,
                            .flags = kind == 1 ? WEFT_QUEUE_ONE_TO_ONE : 0,
                            .participants = 4};
    weft_pipe_spec pipe_spec = {.capacity_bytes = 1024, .message_bytes = 400, .participants = 4};
    weft_queue *queue = NULL;
    weft_pipe *pipe = NULL;
    char elem[100] = {1};
    int fd = -1;
    if (kind < 3 && weft_queue_create(&queue, NULL, &spec) == 0) {
        for (int i = 0; i < 3; i++)
            (void)!weft_queue_push(queue, elem, WEFT_POLL);
        (void)!weft_queue_pop(queue, elem, WEFT_POLL);
        fd = weft_queue_fd(queue);
    } else if (kind == 3 && weft_pipe_create(&pipe, NULL, &pipe_spec) == 0) {
        for (int i = 0; i < 3; i++)
            (void)!weft_pipe_send(pipe, elem, 100, WEFT_POLL);
        fd = weft_pipe_fd(pipe);
    }
    ssize_t size = pread(fd, bytes, DAMAGE_BYTES_MAX, 0);
    weft_queue_detach(queue);
    weft_pipe_detach(pipe);
    return size > 0 ? (size_t)size : 0;
}

/* CRC-32C over the constant part, so that damage behind the check is reached. */
static inline void sign_header(uint8_t *bytes)
{
    uint32_t crc = ~UINT32_C(0);
    for (size_t i = 0; i < 72; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    crc = ~crc;
    memcpy(bytes + 72, &crc, sizeof crc);
}

#endif
