# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in futures and groups, which the models beside this file must notice."""

WAIT = ["future.again", "future.wait", "future.give_up"]
MANY = ["future.first", "future.each"]
ROOM = ["room.pass", "room.order", "room.hurry", "room.cancel", "room.shutdown", "room.again"]
TALLY = ["tally.inside", "tally.outside", "tally.without_barrier", "tally.purge",
         "tally.newcomers"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("a waiter overwrites the word instead of swapping itself in", "futures/state.c",
     "    } while (!weft__cas_acq_rel(&state->word, &seen, WEFT__FLAGS(seen) | "
     "(uintptr_t)later));\n",
     "    } while (weft__store_release(&state->word, WEFT__FLAGS(seen) | (uintptr_t)later), 0);\n",
     ["future.wait", "future.cancel"]),
    ("a node that is used again is armed without a look whether it has been fired",
     "futures/state.c",
     "    return weft__cas_acq_rel(&node->target, &taken, target);\n",
     "    weft__store_release(&node->target, target);\n    return taken == WEFT__NODE_TAKEN;\n",
     WAIT),
    ("who gives up does not look whether his node has been fired", "futures/state.c",
     "            !weft__cas_release(&node->target, &seen, WEFT__NODE_IDLE))\n",
     "            (weft__store_release(&node->target, WEFT__NODE_IDLE), seen == 0))\n",
     WAIT),
    ("the end of a future looks at a node before it fires it", "futures/state.c",
     "        uintptr_t target = weft__exchange_acq_rel(&node->target, WEFT__NODE_FIRED);\n",
     "        uintptr_t target = weft__load_acquire(&node->target);\n"
     "        weft__store_release(&node->target, WEFT__NODE_FIRED);\n",
     WAIT),
    ("nothing keeps a future whose nodes are being fired", "futures/state.c",
     "    uintptr_t notifying = WEFT__NEWEST(seen) != 0 ? WEFT__NOTIFYING : 0;\n",
     "    uintptr_t notifying = 0;\n", ["future.wait", "future.calls"]),
    ("a cancelled future is not kept for its executor", "futures/state.c",
     "ended(seen, WEFT__CANCELLED) | WEFT__LISTED));\n",
     "ended(seen, WEFT__CANCELLED)));\n", ["future.cancel"]),
    ("who gives back the last handle frees a future that has not ended", "futures/state.c",
     "    seen = weft__fetch_add_acq_rel(&state->word, WEFT__ABANDONED);\n"
     "    return is_free(seen | WEFT__ABANDONED);\n", "    return 1;\n", ["future.last"]),
    ("a future that is abandoned while it ends is freed by nobody", "futures/state.c",
     "        if ((seen & WEFT__ABANDONED) && WEFT__NEWEST(seen) == 0)\n", "        if (0)\n",
     ["future.last"]),
    ("an idle node that is older serves a callback", "futures/state.c",
     "    if (is_mine && take(state, &state->first)) {\n",
     "    if (take(state, &state->first)) {\n", ["future.calls_waits"]),
    ("a push goes by the word it has seen first", "futures/state.c",
     "        if (seen & WEFT__ENDED) {\n            weft__hook_free(later);\n"
     "            return 0;\n        }\n", "", ["future.wait", "future.calls"]),
    ("who leaves a select believes that no future knows of it any more", "futures/case.c",
     "weft__state_disarm(&future->state, target_of(one)) != 0;\n", "1;\n", ["case"]),
    ("a select that leaves does not take its node back", "futures/case.c",
     "weft__state_disarm(&future->state, target_of(one)) != 0;\n", "0;\n", ["case"]),
    ("a select waits for a future that ended while it looked elsewhere", "futures/case.c",
     "    return rc >= 0 ? !rc : rc;\n", "    return rc >= 0 ? 0 : rc;\n", ["case"]),
    ("the end of a future tells no select", "futures/state.c",
     "            weft__case_fire((weft_case *)(target - WEFT__NODE_CASE));\n",
     "            (void)0;\n", ["case"]),
    ("the frame of a group goes when it has been woken", "futures/group.c",
     "    while (weft__group_arrived(group) < group->armed)\n", "    while (0)\n", MANY),
    ("a node that was taken back counts as one that will arrive", "futures/group.c",
     "    group->armed -= weft__state_disarm(state, (uintptr_t)group | WEFT__NODE_GROUP);\n",
     "    (void)weft__state_disarm(state, (uintptr_t)group | WEFT__NODE_GROUP);\n", WAIT),
    ("an arrival counts before it lists its node", "futures/group.c",
     """    if (group->is_listing)
        list(group, node);
    int is_eager""", "    int is_eager", ["future.each"]),
    ("who has given up does not wait for a waker on his way", "futures/group.c",
     "    weft__wait_woken(&group->waiter);\n", "", WAIT),
    ("giving up leaves the number that was waited for", "futures/group.c",
     "    } while (!weft__cas_relaxed(&group->word, &seen, WORD(0, WEFT__ARRIVED(seen))));\n",
     "    } while (0);\n", WAIT),
    ("every arrival after the number wakes", "futures/group.c",
     "    if (!is_reached(seen) && is_reached(next))\n", "    if (is_reached(next))\n", MANY),
    ("the number is set without a look at what has arrived", "futures/group.c",
     "        if (WEFT__ARRIVED(seen) >= number)\n            return 0;\n", "", WAIT),
    ("a place is free, and nobody who waits is told", "futures/room.c",
     "    for (; *end != NULL && room->taken < room->max; end = &(*end)->next) {\n",
     "    for (; 0; end = &(*end)->next) {\n", ROOM),
    ("a place that is given to a guest counts as free", "futures/room.c",
     "        (*end)->is_served = 1;\n        room->taken++;\n",
     "        (*end)->is_served = 1;\n        if (*end == served)\n            break;\n", ROOM),
    ("a place is given although there are none", "futures/room.c",
     "    for (; *end != NULL && room->taken < room->max; end = &(*end)->next) {\n",
     "    for (; *end != NULL && count-- > 0; end = &(*end)->next) {\n", ["room.forced"]),
    ("of several places one is given", "futures/room.c",
     "        room->taken++;\n    }\n",
     "        room->taken++;\n        end = &(*end)->next;\n        break;\n    }\n",
     ["room.shutdown"]),
    ("who gives up does not look whether he has been served", "futures/room.c",
     "    int is_served = own->is_served;\n", "    int is_served = 0;\n", ROOM),
    ("who gives up stays in the list", "futures/room.c",
     "        *link = own->next;\n        if (room->last == own)\n"
     "            room->last = before;\n", "        (void)before;\n", ROOM),
    ("the list ends with one who has left", "futures/room.c",
     "        if (room->last == own)\n            room->last = before;\n", "", ["room.again"]),
    ("who has given up does not wait for his waker", "futures/room.c",
     "        weft__wait_woken(&own.waiter);\n", "", ROOM),
    ("a guest who has been woken is asked for the next", "futures/room.c",
     "        weft__guest *next = served->next; /* once woken, it is gone */\n"
     "        weft__wake(&served->waiter);\n        served = next;\n",
     "        weft__wake(&served->waiter);\n        served = served->next;\n", ROOM),
    ("the lock is given back before the guest is in the list", "futures/room.c",
     "    append(room, &own);\n", "    weft_mutex_unlock(lock);\n    append(room, &own);\n"
     "    weft_mutex_lock(lock);\n", ROOM),
    ("there is a place as long as nobody waits", "futures/room.c",
     "    if (room->max != 0 && room->taken >= room->max)\n        return 0;\n",
     "    if (room->max != 0 && room->taken >= room->max && room->first != NULL)\n"
     "        return 0;\n", ROOM),
    ("who adds up begins with what was submitted", "futures/tally.c",
     "    return weft__load_relaxed(&tally->is_closing) && !is_in_flight(tally);\n",
     """    uint64_t early = SUBMITTED(weft__load_relaxed(&tally->outside));
    for (unsigned id = 0; id < tally->count; id++)
        early += weft__load_relaxed(&counts_of(tally, id)->submitted);
    uint64_t late = weft__load_acquire(&tally->purged);
    for (unsigned id = 0; id < tally->count; id++)
        late += weft__load_acquire(&counts_of(tally, id)->ended);
    return weft__load_relaxed(&tally->is_closing) && early == late;
""", TALLY),
    ("those who add up at the same time do not see each other", "futures/tally.c",
     "    weft__fetch_add_acq_rel(&tally->looks, 1);\n", "", TALLY),
    ("the watcher adds up without a barrier", "futures/tally.c",
     "        weft__hook_membarrier(); /* edge tally.watch: before we add up */\n",
     "        (void)0;\n", TALLY),
    ("a submission looks before it counts itself in", "futures/tally.c",
     """    weft__fetch_add_seq_cst(&tally->outside, ONE_CALL + 1);
    return !weft__load_seq_cst(&tally->is_closed); /* edge tally.outside (seq_cst) */
""",
     """    int is_open = !weft__load_seq_cst(&tally->is_closed);
    weft__fetch_add_seq_cst(&tally->outside, ONE_CALL + 1);
    return is_open;
""", TALLY),
    ("a newcomer looks before it comes", "futures/tally.c",
     "    weft__fetch_add_acq_rel(newcomers, 1);\n", "", TALLY),
    ("nobody awaits newcomers", "futures/tally.c",
     "    for (unsigned round = 0; left > 0; round++) {\n",
     "    for (unsigned round = left; round != left; round++) {\n", TALLY),
    ("whoever awaits newcomers only looks", "futures/tally.c",
     "    uint32_t left = weft__fetch_add_acq_rel(newcomers, 0);\n",
     "    uint32_t left = weft__load_acquire(newcomers);\n", TALLY),
    ("a refused submission stays counted", "futures/tally.c",
     "    weft__fetch_add_relaxed(&tally->outside, (uint64_t)-1); "
     "/* relaxed: look() orders it */\n", "", TALLY),
    ("whoever is refused does not look", "futures/tally.c",
     "    return look(tally);\n}\n\nWEFT__HOT void weft__tally_leave",
     "    return 0;\n}\n\nWEFT__HOT void weft__tally_leave", TALLY),
]
