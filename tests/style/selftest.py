#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The lint finds what it claims to find: each rule is broken once, in a small tree of its own."""

import contextlib
import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import lint  # noqa: E402  the path above makes it importable

SPDX = "/* SPDX-License-Identifier: BSD-2-Clause */\n"
ATOMIC = SPDX + """#define weft__load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define weft__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define weft__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
"""
README = "# deque\n\n| edge | from | to |\n|---|---|---|\n| `deque.publish` | push | steal |\n"
PUSH = """
static void push(long *p)
{
    /* edge deque.publish (release): a thief that reads the value sees the item. */
    weft__store_release(p, 1);
}
"""
STEAL = """
static long steal(long *p)
{
    return weft__load_acquire(p); /* edge deque.publish (acquire) */
}
"""
CLEAN = {
    lint.ATOMIC_HEADER: ATOMIC,
    "base/alloc.h": SPDX,
    "core/sched/sched.h": SPDX,
    "deque/README.md": README,
    "deque/deque.c": SPDX + '#include <stdio.h>\n#include <weft/atomic.h>\n#include "alloc.h"\n'
                     + PUSH + STEAL,
}


@contextlib.contextmanager
def tree(changes):
    with tempfile.TemporaryDirectory() as root:
        for path, text in {**CLEAN, **changes}.items():
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        yield root


def findings(changes):
    with tree(changes) as root:
        return [f"{path}:{line}: {what}" for path, line, what in lint.Lint(root).run()]


class Rules(unittest.TestCase):
    def assert_found(self, changes, place, words):
        found = findings(changes)
        self.assertTrue(any(f.startswith(place + ":") and words in f for f in found),
                        f"no finding {place!r} with {words!r} among {found}")

    def with_code(self, text):
        return {"deque/more.c": SPDX + text}

    def test_clean_tree_passes(self):
        self.assertEqual(findings({}), [])

    def test_opening(self):
        self.assert_found({"base/x.c": "int x;\n"}, "base/x.c:1", "SPDX")
        self.assert_found({"tests/x.sh": "#!/bin/sh\necho\n"}, "tests/x.sh:2", "SPDX")

    def test_columns_are_characters(self):
        self.assert_found(self.with_code("// " + "x" * 98 + "\n"), "deque/more.c:2", "101 columns")
        self.assertEqual(findings(self.with_code("// " + "…" * 97 + "\n")), [])

    def test_function_length(self):
        body = "static void long_one(void)\n{\n" + "    ;\n" * 67 + "}\n"
        self.assertEqual(findings(self.with_code(body)), [])
        body = body.replace("{\n", "{\n    ;\n")
        self.assert_found(self.with_code(body), "deque/more.c:2", "function of 71 lines")

    def test_thread_local(self):
        self.assert_found(self.with_code("static __thread int x;\n"), "deque/more.c:2",
                          "thread-local")
        self.assertEqual(findings({lint.TLS_FILE: SPDX + "_Thread_local int x;\n"}), [])
        self.assertEqual(findings(self.with_code("/* no __thread here */\n")), [])

    def test_comments_end_with_a_word(self):
        self.assert_found(self.with_code("/* A sentence.\n * */\n"), "deque/more.c:3", "end of a")

    def test_public_functions_say_context_and_progress(self):
        header = "deque/include/weft/x.h"
        start, end = SPDX + "/**\n * Do it.\n *\n", " */\nWEFT_API int\nweft_do(int x);\n"
        context, progress = " * Context         any\n", " * Progress        wait-free\n"
        self.assertEqual(findings({header: start + context + progress + end}), [])
        self.assert_found({header: start + context + end}, header + ":7", "Progress")
        self.assert_found({header: start + progress + end}, header + ":7", "Context")
        internal = end.replace("weft_do", "weft__do")
        self.assertEqual(findings({header: start + internal}), [])

    def test_macros_have_one_meaning(self):
        macro = SPDX + "#define WEFT__BUSY 1\n"
        self.assertEqual(findings({"base/x.h": macro, "base/x.c": macro}), [])
        self.assert_found({"base/x.h": macro, "deque/x.h": macro}, "deque/x.h:2", "base/x.h")

    def test_atomics_and_fences(self):
        self.assert_found(self.with_code("#include <stdatomic.h>\n"), "deque/more.c:2", "raw")
        self.assert_found(self.with_code("int x = __atomic_load_n(p, 0);\n"), "deque/more.c:2",
                          "raw")
        self.assert_found(self.with_code("int x = atomic_thread_fence(0);\n"), "deque/more.c:2",
                          "fence")

    def test_third_party(self):
        for header, place in (("jemalloc/jemalloc.h", "base/alloc.c"), ("ck_ec.h", "base/ck.h"),
                              ("hwloc.h", "core/sched/topology.c")):
            line = f"#include <{header}>\n"
            self.assert_found(self.with_code(line), "deque/more.c:2", place)
            self.assertEqual(findings({place: SPDX + line}), [])

    def test_layers(self):
        self.assert_found(self.with_code('#include "sched/sched.h"\n'), "deque/more.c:2",
                          "core is not below")
        self.assert_found({"base/x.c": SPDX + "#include <weft/up.h>\n",
                           "core/include/weft/up.h": SPDX}, "base/x.c:2", "core is not below")
        self.assert_found({"examples/x.c": SPDX + '#include "alloc.h"\n'}, "examples/x.c:2",
                          "private")
        self.assert_found(self.with_code('#include "nowhere.h"\n'), "deque/more.c:2",
                          "does not exist")

    def test_public_headers(self):
        header = "base/include/weft/x.h"
        self.assert_found({header: SPDX + "int x = errno;\n"}, header + ":2", "errno")
        self.assert_found({header: SPDX + "#define PAD 8\n"}, header + ":2", "PAD")
        self.assertEqual(findings({header: SPDX + "/* errno */\n"}), [])

    def test_operation_without_edge(self):
        self.assert_found(self.with_code("int x = weft__load_acquire(p);\n"), "deque/more.c:2",
                          "without the name of its edge")
        self.assertEqual(findings(self.with_code("int x = weft__load_relaxed(p);\n")), [])

    def test_edge_too_far_above(self):
        far = "/* edge deque.publish */\n" + "int y;\n" * 6 + "int x = weft__load_acquire(p);\n"
        self.assert_found(self.with_code(far), "deque/more.c:9", "without the name")

    def test_edge_in_a_long_comment(self):
        long_comment = ("/* edge deque.publish (acquire): a long story\n" + " * goes on\n" * 9
                        + " */\nint x = weft__load_acquire(p);\n")
        self.assertEqual(findings(self.with_code(long_comment)), [])

    def test_edge_without_partner(self):
        alone = "/* edge deque.lost */\nint x = weft__load_acquire(p);\n"
        self.assert_found(self.with_code(alone), "deque/more.c:2", "deque.lost has no partner")

    def test_edge_with_one_side(self):
        twice = "int x = weft__load_acquire(p); /* edge deque.half */\n" * 2
        self.assert_found(self.with_code(twice), "deque/more.c:2", "only its acquire side")

    def test_edge_without_row(self):
        changes = {"deque/README.md": "# deque\n\n`deque.publish` is only mentioned.\n"}
        self.assert_found(changes, "deque/deque.c:8", "no row")

    def test_row_without_edge(self):
        changes = {"deque/README.md": README + "| `deque.gone` | push | steal |\n"}
        self.assert_found(changes, "deque/README.md:6", "not in the code")

    def test_several_edges_in_one_comment(self):
        both = ("/* edges deque.publish and deque.other */\nint x = weft__load_acquire(p);\n"
                "/* edge deque.other, deque.publish */\nint y = weft__store_release(p, 1);\n")
        changes = self.with_code(both)
        changes["deque/README.md"] = README + "| `deque.other` | a | b |\n"
        self.assertEqual(findings(changes), [])


if __name__ == "__main__":
    unittest.main()
