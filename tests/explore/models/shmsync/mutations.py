# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes with locks' relatives, which the models beside this file must notice."""

SHMSYNC_C = "ipc/shmsync.c"

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("a condition is armed when the mutex is free", SHMSYNC_C,
     """    uint32_t rung = weft__bell_arm(bell);
    int rc = weft_shm_mutex_unlock(mutex);
    if (rc != 0)
        return rc;
""",
     """    int rc = weft_shm_mutex_unlock(mutex);
    if (rc != 0)
        return rc;
    uint32_t rung = weft__bell_arm(bell);
""", ["condition"]),
    ("an event is rung before it is set", SHMSYNC_C,
     """    weft__store_release(&event->is_set_, 1);
    weft__bell_tell(bell_at(event->bell_), INT_MAX);
""",
     """    weft__bell_tell(bell_at(event->bell_), INT_MAX);
    weft__store_release(&event->is_set_, 1);
""", ["event"]),
    ("the last one to a barrier wakes one", SHMSYNC_C,
     "    weft__bell_tell(bell_at(barrier->bell_), INT_MAX);\n",
     "    weft__bell_tell(bell_at(barrier->bell_), 1);\n", ["barrier"]),
    ("a barrier remembers no round", SHMSYNC_C,
     "    return (ROUND(state) + 1) << 40 | past << 17;\n",
     "    return (ROUND(state) + 1) << 40 | (past & 0) << 17;\n", ["barrier"]),
    ("whoever looks late is told how the last round ended", SHMSYNC_C,
     "(PAST(state) >> (since - 1) & 1) ? 0 : -EPIPE;",
     "(PAST(state) & 1) ? 0 : -EPIPE;", ["barrier"]),
    ("a barrier is given up without a look whether all have come meanwhile", SHMSYNC_C,
     "    return outcome(arrival) == 0 ? 0 : reason;\n",
     "    return reason;\n", ["barrier"]),
    ("whichever round it is now is broken", SHMSYNC_C,
     "    while (ROUND(state) == round && (state & BROKEN) == 0 &&\n",
     "    (void)round;\n    while ((state & BROKEN) == 0 &&\n", ["barrier"]),
]
