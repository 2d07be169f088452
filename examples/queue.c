/* SPDX-License-Identifier: BSD-2-Clause */
/* queue.c — a queue between processes: the child puts a message, the parent gets it.
 *
 * Neither of them needs the runtime. The queue has no name; the child inherits it. Were the child
 * killed before it has put anything, the parent would not wait for ever: it is told -EOWNERDEAD. */
#define _POSIX_C_SOURCE 200809L

#include <weft/queue.h>

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int put(weft_pipe *queue, const char *text)
{
    return weft_pipe_send(queue, text, strlen(text), weft_in(10 * WEFT_SEC));
}

static int get(weft_pipe *queue)
{
    char text[100];
    ssize_t bytes = weft_pipe_receive(queue, text, sizeof text, weft_in(10 * WEFT_SEC));
    if (bytes < 0)
        return (int)bytes;
    printf("%.*s\n", (int)bytes, text);
    return 0;
}

int main(void)
{
    weft_pipe *queue;
    int rc = weft_pipe_create(&queue, NULL, NULL);
    if (rc != 0) {
        fprintf(stderr, "queue: %s\n", weft_strerror(rc));
        return 1;
    }
    pid_t child = fork();
    if (child == 0)
        _exit(put(queue, "Data from worker") != 0);
    rc = child > 0 ? get(queue) : -1;
    if (rc != 0)
        fprintf(stderr, "queue: %s\n", weft_strerror(rc));
    int status = 0;
    if (child > 0 && (waitpid(child, &status, 0) != child || status != 0))
        rc = -1;
    weft_pipe_detach(queue);
    return rc == 0 ? 0 : 1;
}
