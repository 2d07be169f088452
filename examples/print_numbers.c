/* SPDX-License-Identifier: BSD-2-Clause */
/* print_numbers.c — start a task beside the program, and wait for it.
 *
 * The task prints 1 to 5 on a worker while the program goes on; awaiting it is what joining a
 * thread is elsewhere. */
#include <weft/future.h>

#include <stdio.h>

WEFT_VOID_TASK(print_numbers, int, first, int, last)
{
    for (int number = first; number <= last; number++)
        printf("%d\n", number);
}

int main(void)
{
    print_numbers_future numbers =
        weft_submit(weft_workers(), print_numbers, .first = 1, .last = 5);
    int rc = weft_await(numbers, NULL, WEFT_FOREVER);
    if (rc != 0) {
        fprintf(stderr, "print_numbers: %s\n", weft_strerror(rc));
        return 1;
    }
    puts("done");
    return 0;
}
