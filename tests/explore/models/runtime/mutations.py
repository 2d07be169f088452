# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in changing fibers and in stopping, which the models beside this file notice."""

MOVE = ["runtime.letter", "runtime.scope", "runtime.foreign"]
STOP = ["runtime.life", "runtime.foreign", "runtime.busy"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("a waiter becomes visible before its context is saved", "core/sched/park.c",
     "    weft__worker_switch(worker, next);\n",
     "    worker->parked.commit = NULL;\n    if (commit(waiter, arg))\n"
     "        weft__worker_switch(worker, next);\n", MOVE),
    ("a fiber that need not wait is forgotten", "core/sched/loop.c",
     "    return commit(worker->parked.waiter, worker->parked.arg) ? NULL : fiber;\n",
     "    (void)commit(worker->parked.waiter, worker->parked.arg);\n    (void)fiber;\n"
     "    return NULL;\n", MOVE),
    ("a commit is looked up again after it has let go", "core/sched/loop.c",
     """    worker->parked.commit = NULL;
    return commit(worker->parked.waiter, worker->parked.arg) ? NULL : fiber;
""",
     """    int waits = commit(worker->parked.waiter, worker->parked.arg);
    worker->parked.commit = NULL;
    return waits && fiber->item.state_ != 0 ? NULL : fiber;
""", MOVE),
    ("workers are woken before they are told to stop", "core/sched/runtime.c",
     "    weft__store_seq_cst(&runtime->stopping, 1);\n"
     "    if (runtime->started > 0) /* else there may be no array of workers to look at */\n"
     "        weft__runtime_wake_all(runtime);\n",
     "    if (runtime->started > 0)\n        weft__runtime_wake_all(runtime);\n"
     "    weft__store_seq_cst(&runtime->stopping, 1);\n", STOP),
    ("nobody is woken to stop", "core/sched/runtime.c",
     "        weft__runtime_wake_all(runtime);\n", "        (void)0;\n", STOP),
    ("a runtime is freed while its threads run", "core/sched/runtime.c",
     "        int rc = pthread_join(runtime->workers[id].thread, NULL);\n", "        int rc = 0;\n",
     STOP),
    ("a runtime does not wait for foreign wakers", "core/sched/runtime.c",
     "    while (weft__load_acquire(&runtime->wakers) > 0)\n        (void)sched_yield();\n", "",
     STOP),
    ("a runtime in use is destroyed", "core/sched/runtime.c",
     "    if (weft__load_acquire(&runtime->runs) > 0) "
     "/* edge runtime.runs (acquire): their last access */\n        return -EBUSY;\n", "", STOP),
    ("a run counts itself out before it is over", "core/sched/runtime.c",
     "    weft__wait(&waiter, register_job, &call.task);\n",
     "    weft__fetch_add_acq_rel(&runtime->runs, (uint32_t)-1);\n"
     "    weft__wait(&waiter, register_job, &call.task);\n"
     "    weft__fetch_add_acq_rel(&runtime->runs, 1);\n", STOP),
    ("threads that were started are forgotten", "core/sched/runtime.c",
     "        runtime->started++;\n", "        runtime->started += id > 0;\n", STOP),
    ("what could not be made is freed twice", "core/sched/runtime.c",
     "    weft__free(runtime->victims);\n",
     "    weft__free(runtime->victims);\n    weft__free(runtime->workers);\n", STOP),
]
