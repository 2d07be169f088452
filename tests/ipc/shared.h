/* SPDX-License-Identifier: BSD-2-Clause */
/* shared.h — what the tests between processes share: names nobody else uses, children, and a page
 * of memory in which they leave what they have seen. */
#ifndef WEFT_TESTS_IPC_SHARED_H
#define WEFT_TESTS_IPC_SHARED_H

#include "../core/process.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/prctl.h>

/* A name of this process's own for a segment. */
static inline const char *own_name(char name[static 64], const char *what)
{
    (void)snprintf(name, 64, "/test-%d-%s", (int)getpid(), what);
    return name;
}

/* Memory that children share with their parent without weft's help; zeroed. */
static inline void *shared_page(size_t bytes)
{
    void *page = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return page == MAP_FAILED ? NULL : page;
}

/* Fork a child that does body(arg) and answers a line number, or 0. */
static inline pid_t start_child(int (*body)(void *arg), void *arg)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody behind */
        if (getppid() != parent)
            _exit(1);
        (void)signal(SIGSEGV, SIG_DFL); /* not to the test framework */
        (void)signal(SIGBUS, SIG_DFL);
        int line = body(arg);
        if (line != 0)
            dprintf(STDERR_FILENO, "line %d fails in a child\n", line);
        _exit(line != 0);
    }
    return child;
}

/* The child's end: its exit status, or minus the signal that ended it. */
static inline int end_child(pid_t child)
{
    int status = 0;
    if (waitpid(child, &status, 0) != child)
        return -1000;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static inline int kill_child(pid_t child)
{
    (void)kill(child, SIGKILL);
    return end_child(child);
}

/* Wait until *word >= value, that is until a child has come so far. */
static inline int wait_until_at_least(const uint64_t *word, uint64_t value)
{
    int64_t deadline = weft_in(LIVENESS_NS);
    while (weft__load_acquire(word) < value) {
        if (weft_now() > deadline)
            return 0;
        (void)usleep(200);
    }
    return 1;
}

#endif
