/* SPDX-License-Identifier: BSD-2-Clause */
/* weft.c — weft's processes. */
#include "../duel.h"

#include <weft/process.h>

static int do_nothing(weft_child *self)
{
    (void)self;
    return 0;
}

static void start_and_join(void)
{
    weft_process *process;
    int code = -1;
    duel_need(weft_process_start(&process, do_nothing, NULL) == 0, "weft_process_start");
    duel_need(weft_process_join(process, WEFT_FOREVER) == 0, "weft_process_join");
    duel_need(weft_process_exitcode(process, &code) == 0, "weft_process_exitcode");
    duel_equal("exit status", code, 0);
    duel_need(weft_process_close(process) == 0, "weft_process_close");
}

static void duel_start(const duel_request *request)
{
    int64_t deadline = duel_deadline_ns(request->seconds);
    duel_samples samples = duel_samples_make(100000);
    start_and_join(); /* whatever is set up once */
    while (duel_now_ns() < deadline || samples.count < 5) {
        int64_t begin = duel_now_ns();
        start_and_join();
        if (!duel_samples_add(&samples, 1e-3 * (double)(duel_now_ns() - begin)))
            break;
    }
    duel_samples_print(&samples, "us");
}

int main(int argc, char **argv)
{
    static const duel duels[] = {{"start", duel_start}, {NULL, NULL}};
    return duel_main(argc, argv, weft_version(), duels);
}
