/* SPDX-License-Identifier: BSD-2-Clause */
/* two_processes.c — two processes compute at the same time: start both, join both.
 *
 *     two_processes [N]      each sums 0 … N - 1 (default 1000000)
 *
 * Each child gets its own copy of the argument and a pipe to answer through. */
#include <weft/process.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int cpu_bound_task(weft_child *self)
{
    const long *count = self->arg;
    long sum = 0;
    for (long i = 0; i < *count; i++)
        sum += i;
    printf("%s in process %d: the sum is %ld\n", self->name, (int)getpid(), sum);
    return write(self->fds[0], &sum, sizeof(sum)) == (ssize_t)sizeof(sum) ? 0 : 1;
}

static int check(weft_process *process, int answers, long count)
{
    int code = -1;
    long sum = -1;
    int rc = weft_process_join(process, weft_in(60 * WEFT_SEC));
    if (rc == 0)
        rc = weft_process_exitcode(process, &code);
    if (rc == 0 && code == 0 && read(answers, &sum, sizeof(sum)) == (ssize_t)sizeof(sum))
        return sum == count * (count - 1) / 2 ? 0 : 1;
    return rc != 0 ? rc : 1;
}

int main(int argc, char **argv)
{
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1000000;
    weft_process *processes[2] = {NULL, NULL};
    int answers[2];
    if (count < 1 || count > 1000000000 || pipe(answers) != 0) {
        fprintf(stderr, "two_processes: N must be a number from 1 to 1000000000\n");
        return 2;
    }
    weft_process_config config = {
        .arg = &count, .arg_bytes = sizeof(count), .fds = &answers[1], .fd_count = 1};
    int failed = 0;
    for (int i = 0; i < 2 && failed == 0; i++)
        failed = weft_process_start(&processes[i], cpu_bound_task, &config);
    for (int i = 0; i < 2 && failed == 0; i++)
        failed = check(processes[i], answers[0], count);
    for (int i = 0; i < 2; i++)
        (void)weft_process_close(processes[i]);
    if (failed < 0)
        fprintf(stderr, "two_processes: %s\n", weft_strerror(failed));
    return failed == 0 ? 0 : 1;
}
