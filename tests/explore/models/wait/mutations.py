# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in waits that may be given up, which the models beside this file must notice."""

WAIT = ["wait.wake", "wait.ready", "wait.alone", "wait.unfenced", "wait.cancel", "wait.deadline"]
THREAD = ["wait.thread_alone", "wait.thread", "wait.thread_hurried", "wait.thread_shielded"]
SCOPE = ["scope.nested", "scope.brief", "scope.shared"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    # The first two were there once.
    ("a commit that need not wait leaves a late cancel in the word", "core/sched/wait.c",
     "    return STATE(weft__exchange_relaxed(&fiber->wait, number | WOKEN)) == PARKED;\n",
     "    uint64_t seen = number | PARKED;\n"
     "    return weft__cas_acq_rel(&fiber->wait, &seen, number | WOKEN);\n", WAIT),
    ("a timer is out before it has expired", "core/sched/timer.c",
     "            expire(timer, arg);\n",
     "            weft__store_release(&timer->wheel, NULL);\n            expire(timer, arg);\n",
     WAIT),
    ("a commit that need not wait readies a fiber that somebody has interrupted",
     "core/sched/wait.c",
     "number | WOKEN)) == PARKED;\n", "number | WOKEN)) != WOKEN;\n", WAIT),
    ("a fiber that has announced its wait does not look whether it is cancelled",
     "core/sched/wait.c",
     "    int is_cancelled = fiber->scope != NULL && weft__fiber_is_cancelled(fiber);\n",
     "    int is_cancelled = 0;\n", WAIT),
    ("a fiber looks whether it is cancelled, then announces its wait", "core/sched/wait.c",
     """    announce(fiber);
    int is_cancelled = fiber->scope != NULL && weft__fiber_is_cancelled(fiber);
""", """    int is_cancelled = fiber->scope != NULL && weft__fiber_is_cancelled(fiber);
    announce(fiber);
""", WAIT),
    ("who cancels does without the barrier", "core/fiber/scope.c",
     "        weft__hook_membarrier(); /*", "        (void)0; /*", WAIT),
    ("who cancels does not look again behind the barrier", "core/fiber/scope.c",
     "of all who announce a wait */\n        interrupt_all(scope, &all);\n",
     "of all who announce a wait */\n", WAIT),
    ("whoever is awake is taken for one who sees the flag", "core/sched/wait.c",
     "    if (STATE(word) != PARKED)\n        return -EAGAIN;\n",
     "    if (STATE(word) != PARKED)\n        return 0;\n", WAIT),
    ("a commit that has found the fiber cancelled leaves that to others", "core/sched/wait.c",
     "    return has_to_wait ? interrupt(fiber, number, CANCELED)",
     "    return has_to_wait ? 0 * interrupt(fiber, number, CANCELED)",
     WAIT),
    ("a waker resumes a fiber that has given up", "core/sched/wait.c",
     "    return STATE(seen) == PARKED || STATE(seen) == LEAVING;\n", "    return 1;\n", WAIT),
    ("a waker forgets who waits for its wake", "core/sched/wait.c",
     "    return STATE(seen) == PARKED || STATE(seen) == LEAVING;\n",
     "    return STATE(seen) == PARKED;\n", WAIT),
    ("who has given up does not wait for the wake", "core/sched/wait.c",
     "    if (STATE(word) != WOKEN) {\n", "    if (0) {\n", WAIT),
    ("a wait that may be given up is committed as one that may not", "core/sched/wait.c",
     "    if (left->is_tentative)\n", "    if (0)\n", WAIT),
    ("a fiber goes on with its timer armed", "core/sched/wait.c",
     "    if (deadline_ns != WEFT_FOREVER)\n        weft__timer_disarm(&fiber->timer);\n", "",
     WAIT),
    ("the walk comes before the flag", "core/fiber/scope.c",
     """    weft__store_seq_cst(&scope->cancelled_, 1);
    sweep all = {.depth = scope->depth_, .self = current_fiber()};
    interrupt_all(scope, &all);
    if (all.awake_in != NULL && all.awake_in->can_raid) {
        weft__hook_membarrier(); /* edge wait.cancel: the fence of all who announce a wait */
        interrupt_all(scope, &all);
    }
""",
     """    sweep all = {.depth = scope->depth_, .self = current_fiber()};
    interrupt_all(scope, &all);
    weft__hook_membarrier();
    interrupt_all(scope, &all);
    weft__store_seq_cst(&scope->cancelled_, 1);
""", WAIT),
    ("a scope is enrolled, and those around it are not", "core/fiber/scope.c",
     "    enrol_scope(parent);\n", "", SCOPE),
    ("a scope counts as enrolled before it is", "core/fiber/scope.c",
     "    enrol_scope(parent);\n    weft__spin_lock(&parent->lock_);\n"
     "    if (!weft__load_relaxed(&scope->is_enrolled_)) { /* relaxed: under the lock */\n",
     "    weft__store_release(&scope->is_enrolled_, 1);\n    enrol_scope(parent);\n"
     "    weft__spin_lock(&parent->lock_);\n    if (scope->link_ == NULL) {\n", SCOPE),
    ("a scope that ends stays enrolled", "core/fiber/scope.c",
     "    withdraw_scope(scope);\n    set_scope", "    set_scope", SCOPE),
    ("a scope that a plain thread ends stays enrolled", "core/fiber/scope.c",
     "    withdraw_scope(scope);\n    weft__thread_set_scope", "    weft__thread_set_scope",
     ["scope.plain"]),
    ("a plain thread does not wait for what runs in its scope", "core/fiber/scope.c",
     "    if (weft__load_acquire(&scope->own_.alive_) != 1)\n",
     "    if (weft__load_acquire(&scope->own_.alive_) != 1 && fiber != NULL)\n", ["scope.plain"]),
    ("a fiber that leaves its scope stays enrolled", "core/fiber/scope.c",
     "    if (fiber->enrolled == scope)\n        weft__fiber_withdraw(fiber);\n", "", SCOPE),
    ("the walk does not go into inner scopes", "core/fiber/scope.c",
     "        interrupt_all(child, all);\n", "        (void)child;\n", SCOPE),
    ("the owner counts itself out before its waiter can be found", "core/fiber/scope.c",
     "    scope->waiter_ = waiter;\n"
     "    weft__waits_for(waiter, WEFT_REASON_SCOPE, scope);\n"
     "    return !count_out(&scope->own_);\n",
     "    int is_last = count_out(&scope->own_);\n"
     "    scope->waiter_ = waiter;\n    return !is_last;\n",
     ["scope.end"]),
    ("a fiber that ends takes what it has submitted for ended", "core/fiber/scope.c",
     "    if (weft__load_acquire(&self->brood.alive_) != 1)\n        return quit(&self->brood);\n",
     "", ["scope.brood"]),
    ("a fiber's brood is not counted out of the scope", "core/fiber/scope.c",
     "    return count_out(&scope->own_);\n", "    return 0;\n", ["scope.brood", "scope.end"]),
    ("a fiber that waits does not enrol", "core/sched/wait.c",
     "        weft__fiber_enrol(fiber);\n", "        (void)fiber;\n", WAIT),
    ("a plain thread that waits does not look whether it is cancelled", "core/sched/wait.c",
     "    if (weft__scope_is_cancelled(scope)) /* behind the lock: see scope.c */\n"
     "        (void)weft__wait_cut_off(waiter);\n", "", THREAD),
    ("a plain thread looks whether it is cancelled before it can be found", "core/sched/wait.c",
     "    weft__scope_seat(scope, waiter);\n"
     "    if (weft__scope_is_cancelled(scope)) /* behind the lock: see scope.c */\n"
     "        (void)weft__wait_cut_off(waiter);\n",
     "    if (weft__scope_is_cancelled(scope))\n"
     "        (void)weft__wait_cut_off(waiter);\n"
     "    weft__scope_seat(scope, waiter);\n", THREAD),
    ("a plain thread that has waited can still be found", "core/sched/wait.c",
     "    weft__scope_unseat(scope);\n", "", THREAD),
    ("a plain thread is in its scope, which is not in the one around", "core/fiber/scope.c",
     "    enrol_scope(scope);\n    weft__spin_lock(&scope->lock_);\n    scope->seated_ = waiter;\n",
     "    weft__spin_lock(&scope->lock_);\n    scope->seated_ = waiter;\n", THREAD),
    ("who cancels overwrites a plain thread's wake", "core/sched/wait.c",
     "        is_first = weft__cas_relaxed(&waiter->woken, &seen, WEFT__CUT_OFF);\n",
     "        weft__store_release(&waiter->woken, WEFT__CUT_OFF), is_first = 1;\n", THREAD),
    ("who cancels overlooks a plain thread that is about to sleep", "core/sched/wait.c",
     "    while (!is_first && (seen == WEFT__LOOKING || seen == WEFT__ASLEEP))\n",
     "    while (!is_first && seen == WEFT__ASLEEP)\n", THREAD),
    ("who cancels does not wake a plain thread", "core/fiber/scope.c",
     "        weft__hook_park_wake(all.thread, 1);\n", "        (void)0;\n", THREAD),
    ("who cancels does not ask whether a plain thread is shielded", "core/fiber/scope.c",
     "    if (seated != NULL && all->depth > scope->shield_ && weft__wait_cut_off(seated))\n",
     "    if (seated != NULL && weft__wait_cut_off(seated))\n", THREAD),
    ("a plain thread that has given up does not wait for the wake", "core/sched/wait.c",
     "    while ((seen = weft__load_acquire(&waiter->woken)) != WEFT__WOKEN)\n",
     "    while ((seen = weft__load_acquire(&waiter->woken)) == WEFT__ASLEEP)\n", THREAD),
]
