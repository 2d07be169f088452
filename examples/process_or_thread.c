/* SPDX-License-Identifier: BSD-2-Clause */
/* process_or_thread.c — what a task shares with its program, and a process does not.
 *
 * One global counter. A task increments it on some worker of this program: seen, since threads
 * share memory. A child process increments what looks like the same variable: not seen, since it
 * has memory of its own, in which the counter began at zero as it did here. Only its exit status
 * and what it prints come back. */
#include <weft/process.h>
#include <weft/runtime.h>
#include <weft/task.h>

#include <stdio.h>
#include <unistd.h>

static int counter;

WEFT_VOID_TASK(increment)
{
    counter++;
}

static int in_task(void *arg)
{
    (void)arg;
    weft_spawn(task, increment);
    weft_join(task);
    return 0;
}

static int in_process(weft_child *self)
{
    counter++;
    printf("%s: counter is %d in process %d\n", self->name, counter, (int)getpid());
    return counter;
}

/* Run the child: what its own counter was in the end, or a negative errno. */
static int count_in_process(void)
{
    weft_process *child;
    int seen_there = -1;
    int rc = weft_process_start(&child, in_process, &(weft_process_config){.name = "child"});
    if (rc != 0)
        return rc;
    rc = weft_process_join(child, weft_in(60 * WEFT_SEC));
    if (rc == 0)
        rc = weft_process_exitcode(child, &seen_there);
    (void)weft_process_close(child);
    return rc == 0 ? seen_there : rc;
}

int main(void)
{
    int rc = weft_run(in_task, NULL, NULL);
    int after_task = counter;
    printf("after the task:    counter is %d in process %d\n", after_task, (int)getpid());

    int seen_there = count_in_process();
    printf("after the process: counter is %d in process %d\n", counter, (int)getpid());
    if (rc < 0 || seen_there < 0)
        fprintf(stderr, "process_or_thread: %s\n", weft_strerror(rc < 0 ? rc : seen_there));
    return rc == 0 && after_task == 1 && seen_there == 1 && counter == 1 ? 0 : 1;
}
