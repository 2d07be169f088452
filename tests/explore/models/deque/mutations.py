# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in deque/deque.c, each of which the models beside this file must notice."""

DEQUE = ["deque.steal", "deque.batch", "deque.reuse", "deque.growth", "deque.wrap", "deque.last",
         "deque.no-memory", "deque.crash"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    ("the slot is read after the swap", "deque/deque.c",
     """    void *found = weft__load_relaxed(slot_of(array, top)); /* relaxed: edge deque.publish */
    /* edge deque.last (seq_cst): success proves that nobody had index `top` before.
     * edge deque.steal (release): the slot was read before the owner may reuse it. */
    if (!weft__cas_seq_cst(&deque->top_, &top, top + 1))
        return WEFT_STEAL_RETRY;
""",
     """    uint64_t mine = top;
    if (!weft__cas_seq_cst(&deque->top_, &top, top + 1))
        return WEFT_STEAL_RETRY;
    void *found = weft__load_relaxed(slot_of(array, mine));
""", DEQUE),
    ("the array is read before bottom", "deque/deque.c",
     """    uint64_t bottom = weft__load_seq_cst(&deque->bottom_);
    if ((int64_t)(bottom - top) <= 0)
        return WEFT_STEAL_EMPTY;
    /* edge deque.array (acquire): the array is at least as new as bottom, its slots initialised. */
    struct weft__deque_array *array = weft__load_acquire(&deque->array_);
""",
     """    struct weft__deque_array *array = weft__load_acquire(&deque->array_);
    uint64_t bottom = weft__load_seq_cst(&deque->bottom_);
    if ((int64_t)(bottom - top) <= 0)
        return WEFT_STEAL_EMPTY;
""", DEQUE),
    ("a thief looks at bottom before top", "deque/deque.c",
     "    uint64_t top = weft__load_seq_cst(&deque->top_); "
     "/* edge deque.last (seq_cst): first top … */"
     """
    /* edge deque.last (seq_cst): … then bottom; edge deque.publish (acquire): the slot's content */
    uint64_t bottom = weft__load_seq_cst(&deque->bottom_);
    if ((int64_t)(bottom - top) <= 0)
        return WEFT_STEAL_EMPTY;
""",
     """    uint64_t bottom = weft__load_seq_cst(&deque->bottom_);
    uint64_t top = weft__load_seq_cst(&deque->top_);
    if ((int64_t)(bottom - top) <= 0)
        return WEFT_STEAL_EMPTY;
""", DEQUE),
    ("the array is published before it is filled", "deque/deque.c",
     """    for (uint64_t i = top; i != bottom; i++) {
        void *item""",
     """    weft__store_release(&deque->array_, array);
    for (uint64_t i = top; i != bottom; i++) {
        void *item""", DEQUE),
    ("the outgrown array is freed at once", "deque/deque.c",
     "    weft__store_release(&deque->array_, array);\n",
     "    weft__store_release(&deque->array_, array);\n"
     "    array->outgrown = old->outgrown;\n    weft__hook_free(old);\n", DEQUE),
    ("growth forgets the last item", "deque/deque.c",
     "for (uint64_t i = top; i != bottom; i++)",
     "for (uint64_t i = top; i != bottom - 1; i++)", DEQUE),
    ("bottom moves before the slot is filled", "deque/deque.c",
     """    weft__deque_fill(deque, 0, item);
    /* edge deque.publish (release): as in commit; who looks for sleepers after this one needs a
     * fence of his own. */
    weft__store_release(&deque->bottom_, bottom + 1);
""",
     """    weft__store_release(&deque->bottom_, bottom + 1);
    weft__store_relaxed(slot_of(deque->array_, bottom), item);
""", DEQUE),
    ("take looks at top before it claims", "deque/deque.c",
     """    weft__store_seq_cst(&deque->bottom_, newest);
    WEFT_CRASH_POINT(3);
    top = weft__load_seq_cst(&deque->top_); /* edge deque.last (seq_cst): see above */
""",
     """    top = weft__load_seq_cst(&deque->top_);
    weft__store_seq_cst(&deque->bottom_, newest);
""", DEQUE),
    ("the last item is taken without a swap", "deque/deque.c",
     """    if (!weft__cas_seq_cst(&deque->top_, &top, top + 1))
        item = NULL;
""", "    weft__store_seq_cst(&deque->top_, top + 1);\n", DEQUE),
    ("the only item is taken without a swap", "deque/deque.c",
     "    return weft__cas_seq_cst(&deque->top_, &top, top + 1) ? item : NULL;\n",
     "    weft__store_seq_cst(&deque->top_, top + 1);\n    return item;\n", DEQUE),
    ("a steal stores instead of swapping", "deque/deque.c",
     """    if (!weft__cas_seq_cst(&deque->top_, &top, top + 1))
        return WEFT_STEAL_RETRY;
    *item = found;
""", "    weft__store_seq_cst(&deque->top_, top + 1);\n    *item = found;\n", DEQUE),
    ("a take of an empty deque does not restore bottom", "deque/deque.c",
     "        /* edge deque.publish (release): slots below stay visible "
     "to whoever reads this bottom. */"
     """
        weft__store_release(&deque->bottom_, newest + 1);
""", "", DEQUE),
    ("a take that lost the last item does not restore bottom", "deque/deque.c",
     """        item = NULL;
    /* edge deque.publish (release): as above. */
    weft__store_release(&deque->bottom_, newest + 1);
""", "        return NULL;\n    weft__store_release(&deque->bottom_, newest + 1);\n", DEQUE),
    ("take compares indices without their sign", "deque/deque.c",
     """    deque->top_seen_ = top;
    if ((int64_t)(newest - top) < 0) {""",
     """    deque->top_seen_ = top;
    if (newest < top) {""", DEQUE),
    ("a steal compares indices without the wrap", "deque/deque.c",
     "    if ((int64_t)(bottom - top) <= 0)\n        return WEFT_STEAL_EMPTY;",
     "    if (bottom <= top)\n        return WEFT_STEAL_EMPTY;", DEQUE),
    ("a full deque overwrites its oldest item", "deque/deque.c",
     "return bottom - deque->top_seen_ + count <= deque->array_->mask + 1;",
     "return bottom - deque->top_seen_ + count <= deque->array_->mask + 2;", DEQUE),
    ("indices are narrowed to 32 bits in growth", "deque/deque.c",
     "for (uint64_t i = top; i != bottom; i++)",
     "for (uint64_t i = (uint32_t)top; i != (uint32_t)bottom; i++)", DEQUE),
]
