# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in core/sched and task.h, each of which the models beside this file notice."""

IDLE = ["idle.push", "idle.no-raids", "idle.submit", "idle.spawn", "idle.again"]
DUTY = ["duty.deadline-work-calm", "duty.deadline-calm", "duty.both-calm"]
PUT = ["lane.put", "lane.put-asked", "lane.below", "lane.below-asked", "idle.put"]
LANE = ["lane.publish", "lane.raid", "lane.again", "lane.no-memory", "lane.raiders"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    # ---- published without a fence ----
    ("a push relies on a fence that nobody can give", "core/sched/park.c",
     "worker->runtime->can_raid ? weft_deque_push", "1 ? weft_deque_push", ["idle.no-raids"]),
    # ---- publication and raid ----
    ("a spawn looks before it stores", "core/include/weft/task.h",
     """    weft__store_release(&lane->youngest_, task);
    weft__compiler_barrier(); /* edge lane.raid: store first, look second */
    if (WEFT__UNLIKELY(weft__differs_relaxed(&lane->attention_, (uintptr_t)0)))
        weft__spawn_slow(task);
""",
     """    int is_wanted = weft__differs_relaxed(&lane->attention_, (uintptr_t)0);
    weft__store_release(&lane->youngest_, task);
    if (is_wanted)
        weft__spawn_slow(task);
""", [*LANE, "idle.spawn"]),
    ("a join looks before it stores", "core/include/weft/task.h",
     """    weft__store_release(&lane->youngest_, task->prev_);
    weft__compiler_barrier(); /* edge lane.raid: store first, look second */
    if (WEFT__UNLIKELY(weft__differs_relaxed(&lane->attention_, (uintptr_t)0)))
        return weft__join_popped(task);
""",
     """    int is_wanted = weft__differs_relaxed(&lane->attention_, (uintptr_t)0);
    weft__store_release(&lane->youngest_, task->prev_);
    if (is_wanted)
        return weft__join_popped(task);
""", LANE),
    ("a spawn links the task after it is on the list", "core/include/weft/task.h",
     """    task->prev_ = weft__load_relaxed(&lane->youngest_);
    /* edge lane.youngest (release): a raider that reads this value sees the task's contents. */
    weft__store_release(&lane->youngest_, task);
""",
     """    weft_task *older = weft__load_relaxed(&lane->youngest_);
    weft__store_release(&lane->youngest_, task);
    task->prev_ = older;
""", LANE),
    ("the raid has no membarrier()", "core/sched/lane.c",
     "    weft__hook_membarrier();\n", "", LANE),
    ("the raider looks before it announces itself", "core/sched/lane.c",
     """    weft__hook_membarrier();
    /* edge lane.youngest (acquire): the tasks' contents, stored before this head of the list.
     * edge lane.raid: second look, behind the barrier. */
    weft_task *youngest = weft__load_acquire(&lane->youngest_);
""",
     """    weft_task *youngest = weft__load_acquire(&lane->youngest_);
    weft__hook_membarrier();
""", LANE),
    ("the raider stores its verdict instead of swapping", "core/sched/lane.c",
     """    if (!weft__cas_acq_rel(&lane->attention_, &seen, verdict))
        return NULL;
    return youngest;
""", "    weft__store_release(&lane->attention_, verdict);\n    return youngest;\n", LANE),
    ("the raider does not mind a busy owner", "core/sched/lane.c",
     """    if (seen != WEFT__CALM && seen != WEFT__HUNGRY)
        return NULL;
    uintptr_t raid""", "    uintptr_t raid", LANE),
    ("raids cannot be told apart", "core/sched/lane.c",
     "(uintptr_t)(ticket << 3) | WEFT__RAID", "((void)ticket, WEFT__RAID)", LANE),
    ("the owner enters by a store", "core/sched/lane.c",
     """    while (!weft__cas_acq_rel(&lane->attention_, &seen, WEFT__LANE_BUSY))
        weft_assert(WEFT__TAG(seen) != WEFT__LANE_BUSY);
""", "    weft__store_release(&lane->attention_, WEFT__LANE_BUSY);\n", LANE),
    ("the owner forgets that its task was taken", "core/sched/lane.c",
     """    if (popped != NULL && taken == popped) {
        weft__store_relaxed(&lane->youngest_, NULL); /* relaxed: raiders are shut out */
        return 1;
    }
""",
     """    if (popped != NULL && taken == popped) {
        weft__store_relaxed(&lane->youngest_, NULL); /* relaxed: raiders are shut out */
        return 0;
    }
""", LANE),
    ("the owner keeps what was taken", "core/sched/lane.c",
     "    forget_taken(lane, taken);\n    return 0;", "    return 0;", LANE),
    ("the owner cuts one task too many", "core/sched/lane.c",
     "    youngest->prev_ = NULL;\n", "    weft__store_relaxed(&lane->youngest_, NULL);\n",
     LANE),
    ("published tasks stay private too", "core/sched/lane.c",
     """    weft__store_relaxed(&lane->youngest_, NULL); /* relaxed: raiders are shut out */
    return length;
""", "    return length;\n", LANE),
    ("tasks are published newest first", "core/sched/lane.c",
     "weft__deque_fill(deque, --offset, task);",
     "weft__deque_fill(deque, length - offset--, task);", LANE),
    ("a batch is committed before it is filled", "core/sched/lane.c",
     """    size_t offset = length;
    for (weft_task *task = youngest; task != NULL; task = task->prev_)
        weft__deque_fill(deque, --offset, task);
    weft__deque_commit(deque, length);
""",
     """    weft__deque_commit(deque, length);
    size_t offset = 0;
    for (weft_task *task = youngest; task != NULL; task = task->prev_)
        weft__deque_fill(deque, (size_t)0 - ++offset, task);
""", LANE),
    ("raiders are let in before the lane is emptied", "core/sched/spawn.c",
     """    weft__worker_calm(worker, weft__lane_publish(&worker->lane, &worker->deque));
    return lost;
""",
     """    weft__worker_calm(worker, 0);
    (void)weft__lane_publish(&worker->lane, &worker->deque);
    return lost;
""", LANE),
    ("a lost task is run again", "core/sched/spawn.c",
     "return weft__worker_attend(worker, task) ? weft__join_public(task) : 0;",
     "(void)weft__worker_attend(worker, task); return 0;", LANE),
    ("a join does not look whether the task is on top", "core/sched/spawn.c",
     "if (weft__deque_peek(&worker->deque) == task && ", "if (", LANE),
    ("who calms down looks for sleepers before, not after", "core/sched/spawn.c",
     """    weft__lane_leave(&worker->lane, runtime->rest);
    WEFT__COUNT(worker, published, published);
""",
     """    uint32_t sleepers = weft__load_seq_cst(&runtime->sleepers);
    weft__lane_leave(&worker->lane, runtime->rest);
    if (sleepers == 0)
        return;
""", ["idle.again", "idle.spawn"]),

    # ---- the newest item ----
    ("a newest item that was taken is run again", "core/sched/park.c",
     "    return weft__worker_attend(worker, item) ? NULL : item;\n",
     "    (void)weft__worker_attend(worker, item);\n    return item;\n", PUT),
    ("nobody looks whether the newest item was taken", "core/sched/park.c",
     "    if (WEFT__LIKELY(attention == WEFT__CALM || attention == WEFT__HUNGRY))\n",
     "    (void)attention;\n    if (1)\n", PUT),
    ("the newest item stays private though somebody asks", "core/sched/park.c",
     "    if (WEFT__UNLIKELY(weft__lane_set(&worker->lane, item) != WEFT__CALM))\n"
     "        (void)weft__worker_attend(worker, NULL);\n",
     "    (void)weft__lane_set(&worker->lane, item);\n", PUT),
    ("the newest item is taken from below tasks", "core/sched/park.c",
     "if (item == NULL || weft__load_relaxed(&lane->youngest_) != item)", "if (item == NULL)", PUT),
    ("the newest item is put in the place of tasks", "core/sched/park.c",
     "    return weft__load_relaxed(&lane->youngest_) == NULL &&\n", "    return 1 &&\n", PUT),
    ("a newest item that was published is remembered", "core/sched/spawn.c",
     "    worker->newest = NULL; /* published", "    /* published", PUT),
    ("an older item is lost to a newer one", "core/sched/park.c",
     "    if (older != NULL)\n        weft__worker_push(worker, older);\n", "", PUT),
    ("the owner looks before it stores", "core/sched/lane.h",
     """    weft__store_release(&lane->youngest_, youngest);
    weft__compiler_barrier(); /* edge lane.raid: store first, look second */
    return weft__load_relaxed(&lane->attention_);
""",
     """    uintptr_t attention = weft__load_relaxed(&lane->attention_);
    weft__store_release(&lane->youngest_, youngest);
    return attention;
""", PUT),

    # ---- join ----
    ("the waiter exchanges, and overwrites DONE", "core/sched/join.h",
     "return weft__cas_acq_rel(&task->state_, &seen, (uintptr_t)waiter | WEFT__WAITS);",
     "(void)weft__exchange_acq_rel(&task->state_, (uintptr_t)waiter | WEFT__WAITS); return 1;",
     ["join", "lane.raid"]),
    ("the waiter stores instead of swapping", "core/sched/join.h",
     "return weft__cas_acq_rel(&task->state_, &seen, (uintptr_t)waiter | WEFT__WAITS);",
     "weft__store_release(&task->state_, (uintptr_t)waiter | WEFT__WAITS); return 1;", ["join"]),
    ("the waiter puts the type aside too late", "core/sched/join.h",
     """    waiter->type = (const weft_task_type *)seen;
    /* edge join.wait (release): the waiter's fields are visible to the finisher.
     * edge join.done (acquire): it fails only if the finisher was faster; then the result is ours.
     * Not an exchange: that would overwrite DONE. */
    return weft__cas_acq_rel(&task->state_, &seen, (uintptr_t)waiter | WEFT__WAITS);
""",
     """    uintptr_t type = seen;
    int rc = weft__cas_acq_rel(&task->state_, &seen, (uintptr_t)waiter | WEFT__WAITS);
    waiter->type = (const weft_task_type *)type;
    return rc;
""", ["join"]),
    ("the waiter does not say that it waits if it came first", "core/sched/join.h",
     "(uintptr_t)waiter | WEFT__WAITS);", "(uintptr_t)waiter);", ["join"]),
    ("the finisher loads, then stores", "core/sched/join.h",
     "uintptr_t old = weft__exchange_acq_rel(&task->state_, WEFT__DONE);",
     "uintptr_t old = weft__load_acquire(&task->state_);\n"
     "    weft__store_release(&task->state_, WEFT__DONE);", ["join"]),
    ("the finisher touches the task last", "core/sched/join.h",
     "return (old & WEFT__WAITS) ? (weft__waiter *)(old & ~WEFT__WAITS) : NULL;",
     "task->prev_ = NULL;\n"
     "    return (old & WEFT__WAITS) ? (weft__waiter *)(old & ~WEFT__WAITS) : NULL;",
     ["join"]),

    # ---- park ----
    ("a plain thread does not look again after a wake", "core/sched/park.c",
     "while ((seen = weft__load_acquire(&waiter->woken)) == WEFT__ASLEEP)",
     "if ((seen = weft__load_acquire(&waiter->woken)) == WEFT__ASLEEP)",
     ["join"]),
    ("a plain thread resets its word after it has registered", "core/sched/park.c",
     "    weft__store_relaxed(&waiter->woken, WEFT__LOOKING); "
     "/* relaxed: nobody knows the waiter yet */\n"
     "    if (!commit(waiter, arg))\n        return 0;\n",
     """    if (!commit(waiter, arg))
        return 0;
    weft__store_relaxed(&waiter->woken, WEFT__LOOKING);
""", ["join"]),
    ("the wake comes before the store", "core/sched/park.c",
     """    uint32_t before = weft__exchange_release(woken, WEFT__WOKEN);
    if (kind == WEFT__IN_SCOPE && before == WEFT__CUT_OFF)
        weft__thread_rests(); /* whoever cancels has counted it already: one of the two is undone */
    if (before != WEFT__LOOKING)
        weft__hook_park_wake(woken, 1);
""",
     """    weft__hook_park_wake(woken, 1);
    (void)weft__exchange_release(woken, WEFT__WOKEN);
""", ["join"]),
    ("the wake is lost", "core/sched/park.c",
     "    if (before != WEFT__LOOKING)\n        weft__hook_park_wake(woken, 1);\n", "", ["join"]),
    ("a waker takes one who sleeps for one who looks", "core/sched/park.c",
     "    if (before != WEFT__LOOKING)\n", "    if (before == WEFT__CUT_OFF)\n", ["join"]),
    ("the waker reads the waiter after it is free", "core/sched/park.c",
     "        weft__hook_park_wake(woken, 1);\n",
     "        weft__hook_park_wake(woken, waiter->fiber == NULL);\n", ["join"]),
    ("a plain thread falls asleep over a wake", "core/sched/park.c",
     "    (void)weft__cas_relaxed(&waiter->woken, &looking, WEFT__ASLEEP);\n",
     "    weft__store_relaxed(&waiter->woken, WEFT__ASLEEP + looking);\n", ["join"]),
    ("a plain thread does not say that it sleeps", "core/sched/park.c",
     "    (void)weft__cas_relaxed(&waiter->woken, &looking, WEFT__ASLEEP);\n",
     "    while (weft__load_relaxed(&waiter->woken) == looking)\n"
     "        (void)weft__hook_park_wait(&waiter->woken, looking, WEFT_FOREVER);\n", ["join"]),
    ("the sleeper waits for the wrong value", "core/sched/park.c",
     "weft__hook_park_wait(&waiter->woken, WEFT__ASLEEP, deadline_ns);",
     "weft__hook_park_wait(&waiter->woken, waiter->woken, deadline_ns);", ["join"]),

    # ---- idle ----
    ("a worker looks before it announces its sleep", "core/sched/idle.c",
     """    weft__store_seq_cst(&worker->asleep, WEFT__ABED);
    weft__fetch_add_seq_cst(&runtime->sleepers, 1);
    weft__fetch_add_seq_cst(&runtime->searching, (uint32_t)-1); /* edge idle.sleepers (seq_cst) */
    WEFT_CRASH_POINT(20);
    if (!is_work_left(worker) && !is_kept_awake(runtime, 1)) {
""",
     """    int is_left = is_work_left(worker);
    weft__store_seq_cst(&worker->asleep, WEFT__ABED);
    weft__fetch_add_seq_cst(&runtime->sleepers, 1);
    weft__fetch_add_seq_cst(&runtime->searching, (uint32_t)-1);
    if (!is_left) {
""", IDLE),
    ("a worker sleeps without a last look", "core/sched/idle.c",
     "    if (!is_work_left(worker) && !is_kept_awake(runtime, 1)) {", "    if (1) {", IDLE),
    ("the last look forgets the injector", "core/sched/idle.c",
     "if (is_stopping(runtime) || !weft__injector_is_empty(&runtime->injector))",
     "if (is_stopping(runtime))", IDLE),
    ("the last look forgets the end", "core/sched/idle.c",
     "if (is_stopping(runtime) || !weft__injector_is_empty(&runtime->injector))",
     "if (!weft__injector_is_empty(&runtime->injector))", IDLE),
    ("the last look forgets deques", "core/sched/idle.c",
     "    if (!weft__deque_is_empty(&victim->deque))\n        return 1;\n", "", IDLE),
    ("the last look forgets private tasks", "core/sched/idle.c",
     "    return attention == WEFT__CALM || attention == WEFT__HUNGRY;", "    return 0;", IDLE),
    ("the sleeper asks nobody", "core/sched/idle.c",
     "    ask_everybody(runtime);\n    unsigned others", "    unsigned others", IDLE),
    ("the sleeper has no membarrier()", "core/sched/idle.c",
     "        weft__hook_membarrier();\n", "        (void)0;\n", IDLE),
    ("a worker counts itself out of the search before it announces its sleep", "core/sched/idle.c",
     """    weft__store_seq_cst(&worker->asleep, WEFT__ABED);
    weft__fetch_add_seq_cst(&runtime->sleepers, 1);
    weft__fetch_add_seq_cst(&runtime->searching, (uint32_t)-1); /* edge idle.sleepers (seq_cst) */
""",
     """    weft__fetch_add_seq_cst(&runtime->searching, (uint32_t)-1);
    weft__store_seq_cst(&worker->asleep, WEFT__ABED);
    weft__fetch_add_seq_cst(&runtime->sleepers, 1);
""", IDLE),
    ("the watcher's count is read before its word", "core/sched/idle.c",
     "        weft__ec_wait(&worker->ec, value, until);\n",
     "        weft__ec_wait(&worker->ec, weft__ec_value(&worker->ec), until);\n", IDLE),
    ("the sleeper's count is read before its word", "core/sched/idle.c",
     "        weft__ec_wait(&worker->ec, value, weft__hang_watch(worker, WEFT_FOREVER));\n",
     "        weft__ec_wait(&worker->ec, weft__ec_value(&worker->ec), WEFT_FOREVER);\n",
     ["duty.plain"]),
    ("who falls asleep takes the others for asleep", "core/sched/idle.c",
     "        if (weft__load_seq_cst(&runtime->workers[worker->victims[i]].asleep) != WEFT__ABED)\n"
     "            return 0;\n", "", IDLE),
    ("a victim's only item is spared for ever", "core/sched/idle.c",
     "    if (weft__load_relaxed(&victim->sighted) == index)\n        return 0;\n", "", IDLE),
    ("a claimed wake is not posted", "core/sched/idle.c",
     "    rouse(runtime, worker);\n    return 1;", "    return 1;", IDLE),
    ("a waker does not claim", "core/sched/idle.c",
     "    if (!claim_wake(runtime, worker, is_plain ? WEFT__CALLED : WEFT__UP))\n"
     "        return 0;\n", "", IDLE),
    ("the last searcher does not look what is left", "core/sched/idle.c",
     "    if (searching > 1 || weft__load_seq_cst(&runtime->sleepers) == 0)",
     "    if (searching > 1 || searching <= 1)", DUTY),
    ("fewer than none that search are taken for very many", "core/sched/idle.c",
     "    if (searching > 0 && in_sight < 2)", "    if (searching != 0 && in_sight < 2)", DUTY),
    ("the watcher looks at deadlines before it says how long it sleeps", "core/sched/idle.c",
     "        int64_t due = next_due(runtime);\n        if (due >= until)\n",
     "        int64_t due = until;\n        if (due >= until)\n", DUTY),
    ("the last searcher does not mind unwatched deadlines", "core/sched/idle.c",
     "|| is_unwatched(runtime) || is_work_left(worker))", "|| is_work_left(worker))", DUTY),
]

# Mutants that need more preemptions than a depth-first search can afford here: found by chance.
BY_CHANCE = {
    "spawn.c weft__worker_calm: load_seq_cst(&runtime->searching) -> acquire": ["idle.again"],
}
