/* SPDX-License-Identifier: BSD-2-Clause */
/* trace.h — another process, one instruction at a time: for tests that kill it after each. */
#ifndef WEFT_TESTS_CORE_TRACE_H
#define WEFT_TESTS_CORE_TRACE_H

#include <sched.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* On one processor, since each step of a thread elsewhere costs a wake-up there and one here. */
static inline void share_processor(pid_t thread)
{
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET((unsigned)sched_getcpu(), &here);
    (void)sched_setaffinity(0, sizeof(here), &here);
    (void)sched_setaffinity(thread, sizeof(here), &here);
}

static inline int step_here(pid_t thread, unsigned long instructions)
{
    int status = 0;
    for (unsigned long i = 0; i < instructions; i++) {
        if (ptrace(PTRACE_SINGLESTEP, thread, NULL, NULL) != 0 ||
            waitpid(thread, &status, __WALL) != thread || !WIFSTOPPED(status))
            return -1;
        if (WSTOPSIG(status) != SIGTRAP)
            return 1;
    }
    return 0;
}

/* Let a traced thread that is stopped execute so many instructions. 0; 1: a signal, which it does
 * not get, has stopped it before; -1: it is gone. */
static inline int step(pid_t thread, unsigned long instructions)
{
    cpu_set_t before;
    (void)sched_getaffinity(0, sizeof(before), &before);
    share_processor(thread);
    int answer = step_here(thread, instructions);
    (void)sched_setaffinity(0, sizeof(before), &before);
    return answer;
}

/* Kill a process that this thread traces, and see its end. */
static inline int kill_traced(pid_t process)
{
    int status = 0;
    (void)kill(process, SIGKILL);
    while (waitpid(process, &status, __WALL) == process && WIFSTOPPED(status))
        continue;
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

#endif
