/* SPDX-License-Identifier: BSD-2-Clause */
/* fork.c — what the kernel charges for a process that begins, ends and is waited for. */
#include "../duel.h"

#include <sys/wait.h>

static void duel_start(const duel_request *request)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    duel_samples samples = duel_samples_make(100000);
    while (duel_now_ns() < deadline || samples.count < 5) {
        int status = -1;
        int64_t begin = duel_now_ns();
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        duel_need(child > 0, "fork");
        waitpid(child, &status, 0);
        if (!duel_samples_add(&samples, 1e-3 * (double)(duel_now_ns() - begin)))
            break;
        duel_equal("exit status", status, 0);
    }
    duel_samples_print(&samples, "us");
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"start", duel_start}, {NULL, NULL}};
    return duel_main(argc, argv, "a bare fork", duels);
}
