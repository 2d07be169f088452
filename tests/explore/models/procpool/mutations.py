# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes with a board of tasks, which the models beside this file must notice."""

BOARD = ["board.lap", "board.help", "board.withdraw", "board.condemn", "board.one", "board.two",
         "board.crash"]
BOARD_H = "futures/procpool/board.h"

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("a task is taken whatever has become of it", BOARD_H,
     """        int is_ours = weft__cas_relaxed(&board->records[index].state, &queued,
                                        WEFT__TASK_STATE(WEFT__TASK_RUNNING, worker, head));
""",
     """        (void)queued;
        weft__store_release(&board->records[index].state,
                            WEFT__TASK_STATE(WEFT__TASK_RUNNING, worker, head));
        int is_ours = 1;
""", BOARD),
    ("only the taker moves the head", BOARD_H,
     """        (void)weft__cas_relaxed(&board->words->head, &head, head + 1); /* relaxed: a hint */
        WEFT_CRASH_POINT(3);
""",
     """        if (is_ours)
            (void)weft__cas_relaxed(&board->words->head, &head, head + 1);
        else
            return WEFT__BOARD_NONE;
        WEFT_CRASH_POINT(3);
""", BOARD),
    ("the head moves by a plain store", BOARD_H,
     "        (void)weft__cas_relaxed(&board->words->head, &head, head + 1); "
     "/* relaxed: a hint */\n"
     "        WEFT_CRASH_POINT(3);\n",
     "        weft__store_release(&board->words->head, head + 1);\n"
     "        WEFT_CRASH_POINT(3);\n", BOARD),
    ("a condemned task ends all the same", BOARD_H,
     """    if (!weft__cas_relaxed(&record->state, &running,
                           WEFT__TASK_STATE(WEFT__TASK_DONE, worker, ticket)))
        return 0;
""",
     """    (void)running;
    weft__store_release(&record->state, WEFT__TASK_STATE(WEFT__TASK_DONE, worker, ticket));
""", BOARD),
    ("the result is put into the ring before it is DONE", BOARD_H,
     "    weft__store_seq_cst(&desk->done_tail, tail + 1);\n    WEFT_CRASH_POINT(6);\n",
     "    weft__store_relaxed(&desk->done_tail, tail + 1);\n    WEFT_CRASH_POINT(6);\n", BOARD),
    ("a dead worker's finished task is forgotten", BOARD_H,
     "        else if (phase == WEFT__TASK_DONE) /* relaxed: published by the tail */\n"
     "            weft__store_relaxed(&ring[tail++ & (board->record_count - 1)], i);\n",
     "", BOARD),
    ("a worker sleeps without a last look", BOARD_H,
     "    return entry >> 16 >= head;\n", "    (void)entry;\n    return 0;\n", BOARD),
    ("the pool looks for sleepers before the entry is there", BOARD_H,
     "        uint64_t asleep = weft__fetch_add_acq_rel(&board->words->asleep[i], 0);\n",
     "        uint64_t asleep = weft__load_seq_cst(&board->words->asleep[i]);\n", BOARD),
    ("a worker never calls, whether its result was collected or not", BOARD_H,
     """    return weft__load_relaxed(&board->records[index].state) !=
           WEFT__TASK_STATE(WEFT__TASK_DONE, worker, ticket);
""",
     "    (void)board, (void)worker, (void)index, (void)ticket;\n    return 1;\n", BOARD),
]
