# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in saying that nothing can happen any more, which the models beside this file
notice: an alarm that is false, and one that is not raised."""

THREADS = ["hang.letter", "hang.turns", "hang.turns-scope", "hang.heir", "hang.birth",
           "hang.letter-two"]
WORKERS = ["hang.letter", "hang.ball", "hang.letter-two", "hang.timer", "hang.ball-three"]
LOOKS = ["hang.letter", "hang.ball", "hang.turns"]
TOLD = ["hang.child-told", "hang.told", "hang.lookers", "hang.late"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    # ---- plain threads ----
    ("a thread counts as resting before it has registered", "core/sched/park.c",
     """    if (!commit(waiter, arg))
        return 0;
    if (deadline_ns == WEFT_FOREVER)
        weft__thread_rests();
""",
     """    if (deadline_ns == WEFT_FOREVER)
        weft__thread_rests();
    if (!commit(waiter, arg))
        return 0;
""", THREADS),
    ("a thread counts as resting until it has gone on", "core/sched/park.c",
     """    if (kind != WEFT__TENTATIVE)
        weft__thread_roused();
    /* edge park.thread (release): the waiter may return and its frame be gone from here on. */
    uint32_t before = weft__exchange_release(woken, WEFT__WOKEN);
    if (kind == WEFT__IN_SCOPE && before == WEFT__CUT_OFF)
        weft__thread_rests(); /* whoever cancels has counted it already: one of the two is undone */
""",
     """    uint32_t before = weft__exchange_release(woken, WEFT__WOKEN);
    if (kind == WEFT__FIRM || (kind == WEFT__IN_SCOPE && before != WEFT__CUT_OFF))
        weft__thread_roused();
""", THREADS),
    ("a thread that is woken still counts as resting", "core/sched/park.c",
     "        weft__thread_roused();\n", "        (void)0;\n", THREADS),
    ("a thread never counts as resting", "core/sched/park.c",
     "    if (deadline_ns == WEFT_FOREVER)\n        weft__thread_rests();\n", "", TOLD),
    ("a child counts its parent's threads", "core/debug/hang.c",
     "    weft__store_relaxed(&noted->rests, (uint64_t)0); "
     "/* relaxed: the child's only thread runs */\n", "", ["hang.child"]),
    ("a child believes that its parent has told", "core/debug/hang.c",
     "    weft__store_relaxed(&noted->is_told, 0);\n", "", TOLD),
    ("a child looks at its parent's runtimes", "core/debug/registry.c",
     "    while (runtime != NULL && runtime->fork_count != weft__fork_count())",
     "    while (0)", TOLD),
    # ---- one look ----
    ("nobody asks the kernel", "core/debug/hang.c",
     "        count_threads() != before.threads)", "        0)", THREADS),
    ("the kernel is asked before the first look", "core/debug/hang.c",
     """    if (!take_census(&before))
        return 0;
    waiting count = count_all_waiting();
    if (count.inside == 0 || count.outside > 0 || is_signal_awaited() ||
        count_threads() != before.threads)
        return 0;
""",
     """    uint64_t threads = count_threads();
    if (!take_census(&before))
        return 0;
    waiting count = count_all_waiting();
    if (count.inside == 0 || count.outside > 0 || is_signal_awaited() || threads != before.threads)
        return 0;
""", THREADS),
    ("a worker that is awake is taken for asleep", "core/debug/hang.c",
     """        if (weft__load_seq_cst(&worker->asleep) != WEFT__ABED)
            return 0;
""", "        (void)weft__load_seq_cst(&worker->asleep);\n", WORKERS),
    ("work from outside is not looked for", "core/debug/hang.c",
     "    if (!weft__injector_is_empty(&runtime->injector))\n        return 0;\n", "", WORKERS),
    ("a deadline is not looked for", "core/debug/hang.c",
     "        if (!weft__deque_is_empty(&worker->deque) || weft__wheel_is_armed(&worker->wheel))",
     "        if (!weft__deque_is_empty(&worker->deque))", ["hang.timer"]),
    ("a deque is not looked into", "core/debug/hang.c",
     "        if (!weft__deque_is_empty(&worker->deque) || weft__wheel_is_armed(&worker->wheel))",
     "        if (weft__wheel_is_armed(&worker->wheel))", WORKERS),
    ("a file that is waited for is not minded", "core/debug/hang.c",
     "        weft__load_relaxed(&reactor->waits) > 0)", "        0)",
     ["hang.file", "hang.file-two"]),
    ("a runtime that stops is looked at like any other", "core/debug/hang.c",
     "    if (weft__load_relaxed(&runtime->stopping)) "
     "/* relaxed: whoever stops it is awake */\n        return 0;\n", "", LOOKS),
    ("who waits for something unknown is not minded", "core/debug/hang.c",
     "count.outside > 0 || ", "", ["hang.unknown"]),
    ("only the looker's runtime is looked at", "core/debug/hang.c",
     "    for (; runtime != NULL && all; runtime = weft__registry_next(runtime))\n"
     "        all = is_at_rest(runtime, seen);\n",
     "    if (runtime != NULL)\n        all = is_at_rest(runtime, seen);\n", ["hang.told-other"]),
    ("a helper is taken for a thread that is awake", "core/debug/hang.c",
     "    seen->threads += weft__load_relaxed(&weft__helpers.started) - seen->changes;\n",
     "    seen->threads -= seen->changes;\n", ["hang.told-helper"]),
    ("who waits for another process is not minded", "core/debug/hang.c",
     "    case WEFT_REASON_PROCESS:\n", "", ["hang.news"]),
    ("a helper counts before it is there", "base/helper.c",
     """    int rc = create(thread, &attributes, body, arg);
    (void)pthread_attr_destroy(&attributes);
    if (rc != 0)
        return rc;
    (void)pthread_setname_np(*thread, name);
    /* relaxed: when it is there. Whoever sees this asks the kernel next, which counts it by now */
    weft__fetch_add_relaxed(&weft__helpers.started, 1);
    return 0;
""",
     """    weft__fetch_add_relaxed(&weft__helpers.started, 1);
    int rc = create(thread, &attributes, body, arg);
    (void)pthread_attr_destroy(&attributes);
    (void)name;
    return rc;
""", ["hang.helpers"]),
    ("a helper that has ended counts", "base/helper.c",
     "    weft__fetch_add_relaxed(&weft__helpers.ended, 1);\n", "", ["hang.helpers"]),
    ("a child counts its parent's helpers", "base/helper.c",
     "    weft__store_relaxed(&weft__helpers.started, (uint64_t)0);\n", "", ["hang.child"]),
    # ---- two looks ----
    ("ends of helpers are no changes", "core/debug/hang.c",
     "    seen->threads += weft__load_relaxed(&weft__helpers.started) - seen->changes;\n",
     "    uint64_t ended = weft__load_relaxed(&weft__helpers.ended);\n"
     "    seen->threads += weft__load_relaxed(&weft__helpers.started) - seen->changes;\n"
     "    seen->changes -= ended;\n", ["hang.helpers"]),
    ("one look is enough", "core/debug/hang.c",
     """    return take_census(&after) && after.threads == before.threads &&
           after.changes == before.changes;
""", "    (void)after;\n    return 1;\n", THREADS),
    ("the two looks are not compared", "core/debug/hang.c",
     """    return take_census(&after) && after.threads == before.threads &&
           after.changes == before.changes;
""", "    return take_census(&after);\n", THREADS + WORKERS),
    ("the second look does not count threads", "core/debug/hang.c",
     "    return take_census(&after) && after.threads == before.threads &&\n"
     "           after.changes == before.changes;",
     "    return take_census(&after) && after.changes == before.changes;", LOOKS),
    ("who was woken in between is not minded", "core/debug/hang.c",
     "    seen->changes = weft__load_seq_cst(&weft__hang_noted.rousals);\n",
     "    seen->changes = 0;\n", THREADS),
    ("announcements are not counted", "core/debug/hang.c",
     "        seen->changes += weft__load_relaxed(&worker->announcements);\n", "",
     ["hang.jugglers", *WORKERS]),
    ("announcements are read before it is looked whether there is one", "core/debug/hang.c",
     """        if (weft__load_seq_cst(&worker->asleep) != WEFT__ABED)
            return 0;
        /* relaxed: stored before the announcement that was just read, or a later one */
        seen->changes += weft__load_relaxed(&worker->announcements);
""",
     """        seen->changes += weft__load_relaxed(&worker->announcements);
        if (weft__load_seq_cst(&worker->asleep) != WEFT__ABED)
            return 0;
""", ["hang.jugglers", *WORKERS]),
    ("a worker announces its sleep before it counts it", "core/sched/idle.c",
     """    weft__store_relaxed(&worker->announcements, worker->announcements + 1);
    /* edge idle.sleepers (seq_cst): announced before the last look. */
    weft__store_seq_cst(&worker->asleep, WEFT__ABED);
""",
     """    weft__store_seq_cst(&worker->asleep, WEFT__ABED);
    weft__store_relaxed(&worker->announcements, worker->announcements + 1);
""", ["hang.jugglers", *WORKERS]),
    # ---- when to look ----
    ("nobody looks", "core/debug/hang.c",
     "    if (is_certain())\n        tell(worker);\n    else if",
     "    if (0)\n        tell(worker);\n    else if", TOLD),
    ("who looks takes a wheel that another looks at for armed", "core/sched/timer.c",
     "    weft__spin_lock(&wheel->lock);\n    int is_armed",
     "    if (!weft__spin_try(&wheel->lock))\n        return 1;\n    int is_armed",
     ["hang.lookers"]),
    ("who would end the program looks only once", "core/debug/hang.c",
     "    else if (worker->runtime->hang == WEFT_HANG_EXIT)", "    else if (0)", ["hang.late"]),
    ("two say the same", "core/debug/hang.c",
     "    if (!weft__cas_relaxed(&weft__hang_noted.is_told, &no, 1)) "
     "/* relaxed: one reporter, whoever */\n        return;\n",
     "    (void)no;\n", TOLD),
    # ---- the list of runtimes ----
    ("a runtime is freed while it is looked at", "core/debug/registry.c",
     "    for (unsigned round = 0; weft__load_seq_cst(&lookers) > 0; round++)\n"
     "        weft__pause(round);\n", "", ["hang.passing"]),
    ("who removes a runtime looks who looks before", "core/debug/registry.c",
     "    weft_runtime **link = &first;\n",
     "    weft_runtime **link = &first;\n"
     "    while (weft__load_seq_cst(&lookers) > 0)\n        weft__relax();\n    if (1) {\n"
     "        while (*link != NULL && *link != runtime)\n"
     "            link = &(*link)->next_runtime;\n        if (*link == runtime)\n"
     "            weft__store_seq_cst(link, runtime->next_runtime);\n        return;\n    }\n",
     ["hang.passing"]),
    ("a looker reads the list before it counts itself in", "core/debug/registry.c",
     """    weft__fetch_add_seq_cst(&lookers, 1);
    return of_this_process(weft__load_seq_cst(&first)); /* edge debug.list (seq_cst) */
""",
     """    weft_runtime *runtime = of_this_process(weft__load_seq_cst(&first));
    weft__fetch_add_seq_cst(&lookers, 1);
    return runtime;
""", ["hang.passing"]),
]
