# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes with a thread that sleeps for others, which the models beside this file must
notice. All that ferry.c shares lies under one lock, so there is no order to make weaker."""

FERRY_C = "core/io/ferry.c"

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("a ferry that is away is not called", FERRY_C,
     """    if (missing > 0)
        *called = call(fresh);
    return 1;
""",
     """    (void)call;
    return 1;
""", ["ferry.wake", "ferry.call"]),
    ("its own word is listed after the lock", FERRY_C,
     """    int is_awaited = line.forgetting > 0;
    unlock_line();
""",
     """    int is_awaited = line.forgetting > 0;
    unlock_line();
    list->sleeps[list->count].expected = weft__load_relaxed(&self->called);
""", ["ferry.wake", "ferry.call"]),
    ("only words that the kernel tells of are looked at", FERRY_C,
     """        if ((int)i == hit || (is_odd && one->first != NULL) ||
            (!is_odd && weft__load_relaxed(one->sleep.word) != one->sleep.expected))
""",
     """        if ((int)i == hit || (is_odd && one->first != NULL))
""", ["ferry.wake", "ferry.both"]),
    ("one of a slot goes on, and the others are taken for asleep", FERRY_C,
     "    while (self->first != NULL) {\n"
     "        passenger *one = self->first->passenger;\n",
     "    self->sleep.expected = weft__load_acquire(self->sleep.word);\n"
     "    if (self->first != NULL) {\n        passenger *one = self->first->passenger;\n",
     ["ferry.two"]),
    ("a wake for nobody is not passed on", FERRY_C,
     "            (void)weft__hook_shared_wake(list.passed[i], 1);\n",
     "            (void)list.passed[i];\n", ["ferry.late", "ferry.cancel"]),
    ("who gives up leaves his places behind", FERRY_C,
     "    if (was_aboard)\n        leave_places(self);\n", "",
     ["ferry.late", "ferry.cancel"]),
    ("who gives up does not wait for the wake on its way", FERRY_C,
     "    return was_aboard;\n}\n\n/* ---- the thread",
     "    return 1;\n}\n\n/* ---- the thread", ["ferry.just", "ferry.cancelled"]),
    ("memory goes while a ferry sleeps there", FERRY_C,
     "    while (is_slept_on(memory, bytes, &called)) {\n",
     "    while (0 && is_slept_on(memory, bytes, &called)) {\n", ["ferry.detach"]),
    ("memory goes when the ferry has been called", FERRY_C,
     "        (void)weft__hook_park_wait(&line.rounds, seen, WEFT_FOREVER);\n"
     "        lock_line();\n",
     "        (void)seen;\n        lock_line();\n        line.forgetting--;\n        break;\n",
     ["ferry.detach"]),
    ("a place is left in the first slot only", FERRY_C,
     "    for (unsigned i = 0; i < self->count; i++)\n        leave_place(&self->places[i]);\n",
     "    for (unsigned i = 0; i < 1; i++)\n        leave_place(&self->places[i]);\n",
     ["ferry.both"]),
    ("a ferry that is to end is not called", FERRY_C,
     "    uint32_t *called = call(self);\n    unlock_line();\n"
     "    wake_called(called);\n    (void)pthread_join",
     "    unlock_line();\n    (void)pthread_join", ["ferry.wake"]),
]
