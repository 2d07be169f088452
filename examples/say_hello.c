/* SPDX-License-Identifier: BSD-2-Clause */
/* say_hello.c — two that sleep for a second at the same time take one second, not two. */
#include <stdio.h>

#include <weft/fiber.h>
#include <weft/runtime.h>

WEFT_FIBER(say_hello, int, number)
{
    printf("Hello from %d\n", number);
    weft_sleep(weft_in(1 * WEFT_SEC)); /* parks the fiber; its worker is free */
    printf("World from %d\n", number);
}

static int app(void *arg)
{
    (void)arg;
    int64_t begin = weft_now();
    weft_scope(both)
    {
        weft_go(&both, say_hello, 1);
        weft_go(&both, say_hello, 2);
    }
    double seconds = (double)(weft_now() - begin) / WEFT_SEC;
    printf("%.1f seconds\n", seconds);
    return seconds < 1.0 || seconds > 1.5;
}

int main(void)
{
    weft_config one_worker = {.workers = 1};
    return weft_run(app, NULL, &one_worker);
}
