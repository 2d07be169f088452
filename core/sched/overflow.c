/* SPDX-License-Identifier: BSD-2-Clause */
/* overflow.c — says who ran off its stack, when asked to.
 *
 * A fiber that touches its guard page raises SIGSEGV; the handler runs on a stack of the worker's
 * own, compares the address with the guard of the fiber the worker stands on, and writes one line
 * before the signal takes its usual course: the handler that was there before, or death with a core
 * that shows the fault. Only async-signal-safe calls, no allocation, no lock. */
#include "sched/worker.h"

#include <weft/local.h>

#include "hooks.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SIGNAL_STACK_BYTES ((size_t)64 << 10)

static struct sigaction previous;

static size_t append(char *line, size_t room, size_t used, const char *text)
{
    size_t bytes = strlen(text);
    if (bytes > room - used)
        bytes = room - used;
    memcpy(line + used, text, bytes);
    return used + bytes;
}

static size_t append_kib(char *line, size_t room, size_t used, size_t bytes)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = '\0';
    for (size_t kib = (bytes + 1023) / 1024; kib > 0 && at > 0; kib /= 10)
        digits[--at] = (char)('0' + kib % 10);
    used = append(line, room, used, digits + at);
    return append(line, room, used, " KiB");
}

static void report(const weft__worker *worker)
{
    char line[512];
    const weft__fiber *fiber = worker->current;
    const weft_task *youngest = worker->lane.youngest_;
    size_t used = append(line, sizeof line, 0, "weft: stack overflow: task '");
    used = append(line, sizeof line, used, fiber->running ? fiber->running->name : "?");
    used = append(line, sizeof line, used, "'");
    if (youngest != NULL && youngest != worker->newest &&
        !weft__join_is_done(youngest)) { /* a raider may have run it */
        used = append(line, sizeof line, used, ", which last spawned '");
        used = append(line, sizeof line, used, weft__join_type(youngest)->name);
        used = append(line, sizeof line, used, "',");
    }
    used = append(line, sizeof line, used, " ran off its stack of ");
    used = append_kib(line, sizeof line, used, worker->runtime->fibers.stride);
    used = append(line, sizeof line, used,
                  "; set WEFT_STACK_SIZE or weft_config.stack_bytes higher\n");
    ssize_t ignored = write(STDERR_FILENO, line, used);
    (void)ignored;
}

static void pass_on(int signal_number, siginfo_t *info, void *context)
{
    if ((previous.sa_flags & SA_SIGINFO) != 0 && previous.sa_sigaction != NULL) {
        previous.sa_sigaction(signal_number, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(signal_number);
    } else {
        int is_sent = info->si_code <= 0; /* by kill() or raise(), not by an instruction */
        struct sigaction usual = {.sa_handler = SIG_DFL};
        if (is_sent && previous.sa_handler == SIG_IGN)
            return;
        /* Back to the faulting instruction, which now has its usual effect. */
        (void)sigaction(signal_number, &usual, NULL);
        if (is_sent)
            (void)raise(signal_number);
    }
}

static void on_fault(int signal_number, siginfo_t *info, void *context)
{
    weft__worker *worker = weft__worker_self();
    if (worker != NULL && worker->current != NULL &&
        weft__fiber_guards(worker->current, info->si_addr))
        report(worker);
    pass_on(signal_number, info, context);
}

static void install_once(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGSEGV, &action, &previous);
}

void weft__overflow_install(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, install_once);
}

void weft__overflow_thread_enter(void *signal_stack)
{
    if (signal_stack == NULL)
        return;
    stack_t stack = {.ss_sp = signal_stack, .ss_size = SIGNAL_STACK_BYTES};
    (void)sigaltstack(&stack, NULL);
}

void weft__overflow_thread_leave(void *signal_stack)
{
    if (signal_stack == NULL)
        return;
    stack_t none = {.ss_flags = SS_DISABLE};
    (void)sigaltstack(&none, NULL);
}

static void free_guests_stack(void *signal_stack)
{
    stack_t now;
    if (sigaltstack(NULL, &now) == 0 && now.ss_sp == signal_stack)
        weft__overflow_thread_leave(signal_stack);
    weft__free(signal_stack);
}

static weft_local guests_stack = WEFT_LOCAL_INIT(free_guests_stack);

void weft__overflow_guest_enter(void)
{
    stack_t own;
    if (weft_local_get(&guests_stack) != NULL || sigaltstack(NULL, &own) != 0 ||
        (own.ss_flags & SS_DISABLE) == 0)
        return;
    void *signal_stack = weft__overflow_stack_new();
    if (signal_stack == NULL)
        return; /* an overflow then ends the process without a word */
    if (weft_local_set(&guests_stack, signal_stack) == 0)
        weft__overflow_thread_enter(signal_stack);
    else
        weft__free(signal_stack);
}

void *weft__overflow_stack_new(void)
{
    return weft__alloc(SIGNAL_STACK_BYTES);
}
