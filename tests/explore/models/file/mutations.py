# SPDX-License-Identifier: BSD-2-Clause
"""Classic mistakes in waiting for files, which the models beside this file must notice."""

HOLD = ["file.close-slow", "file.declined-slow"]

# name, source, text that occurs once, what replaces it, models
CLASSICS = [
    # The first two were there once.
    ("who waits looks first and registers then", "core/io/files.c",
     """    for (unsigned i = 0; i < 2; i++)
        if ((self->sides & 1u << i) != 0)
            append(&file->sides[i], &self->waiters[i]);
    count_waits(self->files, self->sides, 1);
    if (!file->is_adopted || !is_ready(self)) {
""", """    int was_ready = file->is_adopted && is_ready(self);
    for (unsigned i = 0; i < 2; i++)
        if ((self->sides & 1u << i) != 0)
            append(&file->sides[i], &self->waiters[i]);
    count_waits(self->files, self->sides, 1);
    if (!was_ready) {
""", ["file.beside"]),
    ("who gives up keeps a wake that came", "core/io/files.c",
     "            weft__file_pass_on(self->files, self->file, i);\n", "            (void)self;\n",
     ["file.declined"]),
    ("an event between the try and the wait is not seen", "core/io/files.c",
     "    if (!file->is_adopted || !is_ready(self)) {\n", "    if (1) {\n", ["file.event"]),
    ("`may` is lowered behind the try", "core/io/io.c",
     """        (void)weft__exchange_acquire(&side->may, 0);
        ssize_t n = attempt(op, file);
""", """        ssize_t n = attempt(op, file);
        (void)weft__exchange_acquire(&side->may, 0);
""", ["file.event"]),
    ("who succeeds does not wake the next", "core/io/io.c",
     "    weft__store_seq_cst(&file->sides[side].may, 1);\n"
     "    weft__file_pass_on(files, file, side);\n",
     "    weft__store_seq_cst(&file->sides[side].may, 1);\n", ["file.beside"]),
    ("who looks wakes nobody who came meanwhile", "core/io/io.c",
     "            set_ready(files, file, i);\n",
     "            weft__store_seq_cst(&file->sides[i].may, 1);\n", ["file.poll"]),
    ("closing wakes nobody", "core/io/files.c",
     "        while (file->sides[i].first != NULL)\n"
     "            wake_first(files, &file->sides[i], chain);\n",
     "        (void)chain;\n", ["file.close"]),
    ("who comes to wait does not look whether the file is being closed", "core/io/files.c",
     "    if (file->generation != self->generation || file->generation % 2 != 0) {\n",
     "    if (0) {\n", ["file.close"]),
    ("closing does not wait until the kernel has let go", "core/io/files.c",
     "    await_forgotten(files, file, held);\n}\n\n/* Close the descriptor",
     "    (void)held;\n}\n\n/* Close the descriptor", ["file.close-slow"]),
    ("urgent data leaves a file its kind", "core/io/files.c",
     "    if ((events & POLLPRI) != 0)\n", "    if (0)\n", ["file.urgent"]),
    ("a foreign file is armed only once", "core/io/files.c",
     "    self->rc = file->is_adopted && file->registered ?", "    self->rc = file->registered ?",
     ["file.foreign"]),
    ("nobody is told that the kernel has let go", "core/io/files.c",
     "    wake_holders(files, file, registered, chain);\n", "    (void)chain;\n", HOLD),
    ("who gives up waits for the end of what others wait for", "core/io/files.c",
     "    int is_held = file->registered == self->hold.registered;\n",
     "    int is_held = file->registered != 0;\n", HOLD),
    ("who waits for the kernel does not look whether it has let go", "core/io/files.c",
     "    int is_held = file->registered == self->hold.registered;\n", "    int is_held = 1;\n",
     HOLD),
    ("who waits for the kernel is told of what is watched now", "core/io/files.c",
     """    wake_holders(files, file, registered, chain);
    if (file->registered == registered) {
""", """    if (file->registered == registered) {
        wake_holders(files, file, registered, chain);
""", HOLD),
    ("whoever waits for the kernel is told of any end", "core/io/files.c",
     "        if (hold->registered != registered) {\n", "        if (0) {\n", HOLD),
    ("a wait for the kernel is not counted", "core/io/files.c",
     "        count_waits(self->files, 1, 1);\n", "", HOLD),
]
