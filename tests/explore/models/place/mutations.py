# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in core/sched/apart.c, each of which the models beside this file notice."""

PLACE = ["place.sleep", "place.mind"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("the sleeper does not wait for who is at its thread", "core/sched/apart.c",
     "if (STATE(turn) == ASLEEP && weft__cas", "if (STATE(turn) != SENT && weft__cas",
     PLACE),
    ("the waker does not ask whether the sleeper is up", "core/sched/apart.c",
     "STATE(turn) != ASLEEP || !weft__cas_relaxed(&place->turn, &seen, TURN(turn, SENDING))",
     "(weft__store_relaxed(&place->turn, TURN(seen, SENDING)), 0)", PLACE),
    ("who was sent stays there", "core/sched/apart.c",
     "        roam(&place->mask);\n", "        (void)roam;\n", PLACE),
    ("a sleep has no number", "core/sched/apart.c",
     "#define NEXT_NUMBER ((uint32_t)4)", "#define NEXT_NUMBER ((uint32_t)0)", ["place.mind"]),
    ("a turn is never over", "core/sched/apart.c",
     "    weft__store_relaxed(&place->turn, TURN(number, ASLEEP));\n", "    (void)number;\n",
     PLACE),
]
