/* SPDX-License-Identifier: BSD-2-Clause */
/* ucontext.c — a contestant in one duel: the switch that POSIX had, three calls deep. */
#include "../duel.h"

#include <ucontext.h>

static ucontext_t thread_context;
static ucontext_t other_context;
static char stack[64 << 10];

DUEL_FRAME static void third_frame(ucontext_t *from, ucontext_t *to)
{
    swapcontext(from, to);
    __asm__ volatile("" ::: "memory");
}

DUEL_FRAME static void second_frame(ucontext_t *from, ucontext_t *to)
{
    third_frame(from, to);
    __asm__ volatile("" ::: "memory");
}

DUEL_FRAME static void first_frame(ucontext_t *from, ucontext_t *to)
{
    second_frame(from, to);
    __asm__ volatile("" ::: "memory");
}

static void answer(void)
{
    for (;;)
        first_frame(&other_context, &thread_context);
}

static void switch_many(long n, void *argument)
{
    (void)argument;
    for (long i = 0; i < n; i += 2)
        first_frame(&thread_context, &other_context);
}

static void duel_switch(const duel_request *request)
{
    duel_need(getcontext(&other_context) == 0, "getcontext");
    other_context.uc_stack.ss_sp = stack;
    other_context.uc_stack.ss_size = sizeof stack;
    makecontext(&other_context, answer, 0);
    duel_each(request, switch_many, NULL);
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"switch", duel_switch}, {NULL, NULL}};
    return duel_main(argc, argv, "libc's swapcontext", duels);
}
