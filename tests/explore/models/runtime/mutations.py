# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in changing fibers and in stopping, which the models beside this file notice."""

MOVE = ["runtime.letter", "runtime.scope", "runtime.foreign"]
COMMIT = ["runtime.commit"]
REGION = ["runtime.region"]
WATCH = ["watch.alone", "watch.busy", "watch.file", "watch.file-busy", "watch.kick",
         "watch.turn"]
GUEST = ["standin"]
STOP = ["runtime.life", "runtime.foreign", "runtime.busy"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("a waiter becomes visible before its context is saved", "core/sched/park.c",
     "    weft__worker_switch(worker, weft__worker_choose(worker, is_yielding));\n",
     "    weft__fiber *next = weft__worker_choose(worker, is_yielding);\n"
     "    if (weft__commit_left(&worker->left))\n"
     "        weft__worker_switch(worker, next);\n", MOVE),
    ("a fiber is switched to in the middle of its commit", "core/sched/wait.c",
     "    weft__store_relaxed(&fiber->committing, 1); /* relaxed: published by the next store */\n",
     "", COMMIT),
    ("a fiber counts as left before its commit", "core/sched/wait.c",
     "    int is_ready = 0;\n",
     "    int is_ready = 0;\n    weft__store_release(&fiber->committing, 0);\n", COMMIT),
    ("a fiber that need not wait is forgotten", "core/sched/loop.c",
     "!weft__commit_left(&worker->left))\n        weft__fiber_ready(waiter->fiber);\n",
     "!weft__commit_left(&worker->left))\n        (void)waiter;\n", MOVE),
    ("workers are woken before they are told to stop", "core/sched/runtime.c",
     "    weft__store_seq_cst(&runtime->stopping, 1);\n"
     "    if (runtime->threads != NULL) /* else there may be no array of workers to look at */\n"
     "        weft__runtime_wake_all(runtime);\n",
     "    if (runtime->threads != NULL)\n        weft__runtime_wake_all(runtime);\n"
     "    weft__store_seq_cst(&runtime->stopping, 1);\n", STOP),
    ("nobody is woken to stop", "core/sched/runtime.c",
     "        weft__runtime_wake_all(runtime);\n", "        (void)0;\n", STOP),
    ("a runtime is freed while its threads run", "core/sched/thread.c",
     "        int rc = pthread_join(thread->id, NULL);\n", "        int rc = 0;\n", STOP),
    ("a runtime does not wait for foreign wakers", "core/sched/runtime.c",
     "    for (unsigned round = 0; weft__load_acquire(&runtime->wakers) > 0; round++)\n"
     "        weft__pause(round);\n", "",
     STOP),
    ("a runtime in use is destroyed", "core/sched/runtime.c",
     "    if (weft__load_acquire(&runtime->runs) > 0) "
     "/* edge runtime.runs (acquire): their last access */\n        return -EBUSY;\n", "", STOP),
    ("a run counts itself out before it is over", "core/sched/runtime.c",
     "    weft__wait(&waiter, register_job, &call.task);\n",
     "    weft__fetch_add_acq_rel(&runtime->runs, (uint32_t)-1);\n"
     "    weft__wait(&waiter, register_job, &call.task);\n"
     "    weft__fetch_add_acq_rel(&runtime->runs, 1);\n", STOP),
    ("spare threads are not told of the end", "core/sched/thread.c",
     "        call(spares);\n", "        (void)call;\n", REGION),
    ("a region makes its fiber runnable before it has left it", "core/sched/thread.c",
     "    weft__fiber_switch(fiber, &thread->native);\n",
     "    weft__fiber_ready(fiber);\n    weft__fiber_switch(fiber, &thread->native);\n", REGION),
    ("a role is lent while it is played", "core/sched/thread.c",
     "    weft__store_relaxed(&worker->current, idle); /* relaxed: dumps look at any time */\n"
     "    spare->worker = worker;\n    call(spare);\n",
     "    spare->worker = worker;\n    call(spare);\n    worker->current = idle;\n", REGION),
    ("what could not be made is freed twice", "core/sched/runtime.c",
     "    weft__free(runtime->victims);\n",
     "    weft__free(runtime->victims);\n    weft__free(runtime->workers);\n", STOP),
    # The first two were there once.
    ("a fiber whose turn is not yet is kept from others", "core/sched/idle.c",
     "    if (!weft__deque_is_empty(&worker->deque))\n"
     "        weft__runtime_notify(worker->runtime, worker);\n    return item;\n",
     "    return item;\n", WATCH),
    ("the swap of a claim has no place in the single order", "core/sched/idle.c",
     "    if (!weft__cas_seq_cst(&worker->asleep, &asleep, claimed))",
     "    if (!weft__cas_acq_rel(&worker->asleep, &asleep, claimed))", WATCH),
    ("a waker does not kick the reactor", "core/sched/idle.c",
     "    if (reactor != NULL && weft__load_seq_cst(&runtime->watcher) == worker)",
     "    if (0)", WATCH),
    ("nobody watches", "core/sched/idle.c",
     "    if (become_watcher(worker))\n", "    if (0)\n", WATCH),
    ("who has armed a deadline does not look how long the watcher sleeps", "core/sched/idle.c",
     "    if (weft__load_seq_cst(&runtime->watch_until) > weft__wheel_next(&worker->wheel))\n",
     "    if (0)\n", WATCH),
    ("a watcher that is woken keeps the role", "core/sched/idle.c",
     "    weft__store_seq_cst(&runtime->watcher, NULL);\n", "", WATCH),
    ("an early watcher does not come to the reactor", "core/sched/idle.c",
     "    if (watcher != NULL)\n        rouse(runtime, watcher);\n    return reactor;\n",
     "    return reactor;\n", WATCH),
    ("a guest takes a role that somebody plays", "core/sched/standin.c",
     "            weft__cas_acquire(&worker->asleep, &called, WEFT__PLAYED))\n",
     "            (weft__store_relaxed(&worker->asleep, called + 1), 1))\n", GUEST),
    ("who gets up does not mind a guest", "core/sched/idle.c",
     "               !weft__cas_acquire(&worker->asleep, &called, WEFT__UP)) {\n",
     "               (weft__store_relaxed(&worker->asleep, WEFT__UP), called == WEFT__UP)) {\n",
     GUEST),
    ("who waits for his role is not told", "core/sched/standin.c",
     "    if (weft__exchange_release(&worker->asleep, WEFT__CALLED) == WEFT__MISSED)\n"
     "        weft__ec_post(&worker->ec);\n",
     "    (void)weft__exchange_release(&worker->asleep, WEFT__CALLED);\n", GUEST),
    ("who waits for his role does not say so", "core/sched/idle.c",
     "        if (weft__cas_relaxed(&worker->asleep, &seen, WEFT__MISSED) || "
     "seen == WEFT__MISSED)\n",
     "        if (weft__load_relaxed(&worker->asleep) == seen)\n", GUEST),
    ("who waits for his role reads his count too late", "core/sched/idle.c",
     "            weft__ec_wait(&worker->ec, value, WEFT_FOREVER);\n",
     "            weft__ec_wait(&worker->ec, weft__ec_value(&worker->ec), WEFT_FOREVER);\n", GUEST),
    ("a guest gives the role back before it is through", "core/sched/standin.c",
     "    weft__store_relaxed(&worker->current, self->stood_on);  ",
     "    give_role(worker);\n    weft__store_relaxed(&worker->current, self->stood_on);  ", GUEST),
    ("a guest is taken for one who searches", "core/sched/standin.c",
     "    weft__worker_leave_search(worker);\n", "", GUEST),
    ("older work is lost", "core/sched/standin.c",
     "    put_back(injector, newest);\n", "    (void)put_back;\n", GUEST),
    ("a guest runs what lies on top, whatever it is", "core/sched/standin.c",
     "    if (!weft__injector_take_from(injector, newest))\n        return 0;\n",
     "    weft__link *all = weft__injector_take_all(injector);\n"
     "    if (all == NULL)\n        return 0;\n    newest = all;\n", GUEST),
    ("what was handed over is forgotten", "core/sched/standin.c",
     "        weft__worker_push(worker, handed);\n", "        (void)handed;\n", GUEST),
    ("a guest whose task has ended, or waits, goes on as a worker", "core/sched/loop.c",
     "            ready = weft__guest_leaves(worker, ready);\n", "", GUEST),
    ("a guest keeps the role in a region", "core/sched/standin.c",
     "    end(worker);\n    return &self->thread;\n", "    return &self->thread;\n", GUEST),
    ("nobody watches while a guest plays the watcher", "core/sched/idle.c",
     "    if (!weft__injector_is_empty(&runtime->injector) || is_unwatched(runtime))\n",
     "    if (!weft__injector_is_empty(&runtime->injector))\n", GUEST),
    ("nobody is told what the watcher has brought", "core/sched/idle.c",
     "    if (!weft__injector_is_empty(&runtime->injector) || is_unwatched(runtime))\n",
     "    if (is_unwatched(runtime))\n", GUEST),
    ("a watcher keeps what it has brought while a guest plays", "core/sched/idle.c",
     "        await_role(worker, ready);\n        ready = NULL;\n",
     "        await_role(worker, NULL);\n", GUEST),
    ("who sleeps looks after deadlines that are a guest's", "core/sched/idle.c",
     "    if (*unwatched)\n        look_for_watcher(worker);\n",
     "    if (*unwatched)\n        weft__worker_see_watched(worker);\n", GUEST),
]
