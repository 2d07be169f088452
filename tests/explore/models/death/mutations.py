# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes with deaths, which the models beside this file must notice."""

OWNER_C = "ipc/owner.c"
WATCH_C = "ipc/watch.c"

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("a death is told before it can be seen", OWNER_C,
     """    if (!entry_swap(process, state, dead))
        return;
    weft__store_relaxed(&segment->header->last_was_dead, 1); /* relaxed: a hint for waiters */
    tell_of_death(segment);
""",
     """    tell_of_death(segment);
    if (!entry_swap(process, state, dead))
        return;
    weft__store_relaxed(&segment->header->last_was_dead, 1);
""", ["nap.death", "nap.begin"]),
    ("a death is not told", OWNER_C,
     """    tell_of_death(segment);
}

/* The entry's state""",
     """}

/* The entry's state""", ["nap.death"]),
    ("an arrival is told before it can be seen", OWNER_C,
     """    if (!claim_any(segment, &self)) {
        evict_the_dead(segment);
        if (!claim_any(segment, &self))
            return -ENOMEM;
    }
    weft__store_relaxed(&segment->header->last_was_dead, 0); /* relaxed: a hint for waiters */
    tell_of_arrival(segment);
    return 0;
""",
     """    tell_of_arrival(segment);
    return claim_any(segment, &self) ? 0 : -ENOMEM;
""", ["nap.arrival"]),
    ("whoever leaves with something open declares himself dead", OWNER_C,
     """        weft__store_release(&process->started, WEFT__LEFT);
        WEFT_CRASH_POINT(36);
        tell_of_arrival(segment);
        return;
""",
     """        if (entry_swap(process, live, WEFT__PROCESS_STATE(generation, WEFT__PHASE_DEAD,
                                                          segment->identity.pid)))
            tell_of_death(segment);
        return;
""", ["nap.leaver"]),
    ("whoever leaves with something open tells nobody", OWNER_C,
     """        WEFT_CRASH_POINT(36);
        tell_of_arrival(segment);
        return;
""",
     """        WEFT_CRASH_POINT(36);
        return;
""", ["nap.leaver"]),
    ("an entry keeps its generation", OWNER_C,
     "    uint32_t generation = (WEFT__PROCESS_GENERATION(state) + 1) & 0xffffff;\n",
     "    uint32_t generation = WEFT__PROCESS_GENERATION(state);\n", ["owner"]),
    ("an entry is had by whoever stores into it", OWNER_C,
     """    if (!entry_swap(process, state,
                    WEFT__PROCESS_STATE(generation, WEFT__PHASE_JOINING, self->pid)))
        return 0;
""",
     """    weft__store_release(&process->state,
                        WEFT__PROCESS_STATE(generation, WEFT__PHASE_JOINING, self->pid));
""", ["owner"]),
    ("whoever is buried is whoever has the entry now", OWNER_C,
     """    if (!entry_swap(process, state, dead))
        return;
""",
     """    (void)state;
    weft__store_release(&process->state, dead);
""", ["owner"]),
    ("an entry is there before it says who", OWNER_C,
     "WEFT__PROCESS_STATE(generation, WEFT__PHASE_JOINING, self->pid)))",
     "WEFT__PROCESS_STATE(generation, WEFT__PHASE_LIVE, self->pid)))", ["owner"]),
    ("deaths are counted after the last look", WATCH_C,
     """    const weft__sleep sleeps[] = {
""",
     """    nap->deaths = weft__load_acquire(&header->deaths);
    const weft__sleep sleeps[] = {
""", ["nap.death"]),
    ("deaths are counted anew before each nap", WATCH_C,
     "    weft__watch(nap->segment);\n",
     "    nap->deaths = weft__load_acquire(&nap->segment->header->deaths);\n"
     "    weft__watch(nap->segment);\n", ["nap.alone"]),
    ("arrivals are counted after the last look", WATCH_C,
     """    const weft__sleep sleeps[] = {
""",
     """    nap->arrivals = weft__load_acquire(&header->arrivals);
    const weft__sleep sleeps[] = {
""", ["nap.arrival", "nap.late", "nap.leaver"]),
    ("nobody sleeps on deaths", WATCH_C,
     "        {word, expected}, {&header->deaths, nap->deaths}, {",
     "        {word, expected}, {word, expected}, {", ["nap.death"]),
    ("nobody sleeps on arrivals", WATCH_C,
     "is_plain(nap) ? 1 : 3, limit,", "is_plain(nap) ? 1 : 2, limit,",
     ["nap.late", "nap.leaver"]),
    ("arrivals are counted when all are watched", WATCH_C,
     """        watch_all(segment);
        weft__store_relaxed(&segment->watched, arrivals); /* relaxed: as above */
""",
     """        watch_all(segment);
        arrivals = weft__load_acquire(&segment->header->arrivals);
        weft__store_relaxed(&segment->watched, arrivals);
""", ["nap.arrival"]),
    ("the thread is not called when there is more to watch", WATCH_C,
     """    (void)pthread_mutex_unlock(&watch.lock);
    call_thread();
}

void weft__watch(""",
     """    (void)pthread_mutex_unlock(&watch.lock);
}

void weft__watch(""", ["nap.begin", "nap.arrival"]),
    ("who cannot be watched is not asked about", WATCH_C,
     """    else
        weft__member_look(segment, member);
""", "", ["nap.begin"]),
    ("who has left is watched on", WATCH_C,
     "    int has_left = weft__member_has_left(segment, member);\n",
     "    int has_left = 0;\n", ["nap.leaver"]),
    ("the thread is told to end after it was called", WATCH_C,
     """    watch.is_ending = 1;
    (void)pthread_mutex_unlock(&watch.lock);
    call_thread();
""",
     """    (void)pthread_mutex_unlock(&watch.lock);
    call_thread();
    (void)pthread_mutex_lock(&watch.lock);
    watch.is_ending = 1;
    (void)pthread_mutex_unlock(&watch.lock);
""", ["nap.begin"]),
]
