#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The house rules that a machine can check, as a test of the source tree.

Usage: lint.py [--root DIR]

Prints one line for each finding, `file:line: what`, then statistics; exits 1 when there is a
finding. The rules are explained in docs/STYLE.md; selftest.py beside this file breaks each of
them on purpose.
"""

import argparse
import os
import re
import statistics
import sys

FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
EDGE_LINES_ABOVE = 6

# What each module may include besides itself; the other folders stand above all modules.
LAYERS = {
    "base": set(),
    "deque": {"base"},
    "ipc": {"base"},
    "core": {"base", "deque"},
    "futures": {"base", "deque", "core", "ipc"},
}
PUBLIC_ONLY = {"examples"}

# Third-party headers and the single file that may include each of them.
THIRD_PARTY = [
    (re.compile(r"jemalloc/"), "base/alloc.c"),
    (re.compile(r"ck_"), "base/ck.h"),
    (re.compile(r"hwloc"), "core/sched/topology.c"),
    (re.compile(r"valgrind/"), "core/fiber/fiber.c"),
    (re.compile(r"liburing"), "core/io/reactor_uring.c"),
    (re.compile(r"mpi\.h"), "futures/mpi.c"),
]
ATOMIC_HEADER = "base/include/weft/atomic.h"
TLS_FILE = "core/sched/self.c"

CODE_SUFFIXES = (".c", ".h", ".S", ".cc", ".cpp", ".hpp")
SCRIPT_SUFFIXES = (".sh", ".py")
SCRIPTS_BY_NAME = {"dev", ".ci/run"}
SKIPPED_FOLDERS = {".git", "build", "out", "__pycache__", ".cache"}

TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LABEL = r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*"
LABELS = re.compile(rf"\bedges?\s+({LABEL}(?:(?:,?\s+and\s+|,\s*){LABEL})*)")
DOCUMENTED = re.compile(r"^/\*\*\n(.*?)\*/\n(.*?)(?=\n\n|\n/\*|\Z)", re.MULTILINE | re.DOTALL)
PUBLIC_NAME = re.compile(r"\bWEFT_API\b[^;]*\bweft_[a-z]\w*\(|#define weft_")
DEFINED_OPERATION = re.compile(r"^#define (weft__\w+)\(p\b", re.MULTILINE)


def keep_lines(text):
    """Blank a piece of source out without moving any line or column."""
    return "".join(c if c == "\n" else " " for c in text)


class Source:
    """One file, with views of it in which only code or only comments remain."""

    def __init__(self, root, path):
        self.path = path
        self.module = path.split("/")[0]
        with open(os.path.join(root, path), encoding="utf-8") as file:
            self.text = file.read()
        self.lines = self.text.split("\n")
        self.is_code = path.endswith(CODE_SUFFIXES)
        if self.is_code:
            self.code = TOKEN.sub(self._without_comment, self.text).split("\n")
            self.comments = self._only_comments().split("\n")
            self.bare = TOKEN.sub(lambda m: keep_lines(m.group()), self.text).split("\n")

    @staticmethod
    def _without_comment(match):
        token = match.group()
        return keep_lines(token) if token.startswith("/") else token

    def _only_comments(self):
        pieces, end = [], 0
        for match in TOKEN.finditer(self.text):
            pieces.append(keep_lines(self.text[end:match.start()]))
            token = match.group()
            pieces.append(token if token.startswith("/") else keep_lines(token))
            end = match.end()
        return "".join(pieces) + keep_lines(self.text[end:])

    @property
    def is_public_header(self):
        return self.module in LAYERS and "/include/weft/" in self.path


class Lint:
    def __init__(self, root):
        self.root = root
        self.findings = []
        self.lengths = []
        paths = sorted(self._walk())
        self.sources = [Source(root, p) for p in paths if self._is_linted(p)]
        self.code = [s for s in self.sources if s.is_code]
        self.readmes = [p for p in paths
                        if os.path.basename(p) == "README.md" and p.split("/")[0] in LAYERS]
        self.existing = set(paths)

    def _walk(self):
        for folder, subfolders, names in os.walk(self.root):
            subfolders[:] = [s for s in subfolders if s not in SKIPPED_FOLDERS]
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), self.root)

    @staticmethod
    def _is_linted(path):
        return path.endswith(CODE_SUFFIXES + SCRIPT_SUFFIXES) or path in SCRIPTS_BY_NAME

    def report(self, path, line, what):
        self.findings.append((path, line, what))

    def run(self):
        for source in self.sources:
            self.check_opening(source)
            self.check_columns(source)
        for source in self.code:
            self.check_comment_ends(source)
            self.check_functions(source)
            self.check_words(source)
            self.check_includes(source)
            if source.is_public_header:
                self.check_public_header(source)
        self.check_macros()
        self.check_edges()
        return self.findings

    # ---- single files ---------------------------------------------------------------------

    def check_opening(self, source):
        line = 1 if source.lines[0].startswith("#!") else 0
        if line >= len(source.lines) or "SPDX-License-Identifier:" not in source.lines[line]:
            self.report(source.path, line + 1, "the first line must be the SPDX line")

    def check_columns(self, source):
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS_MAX:
                self.report(source.path, number,
                            f"{len(line)} columns, {COLUMNS_MAX} are allowed")

    def check_comment_ends(self, source):
        for number, line in enumerate(source.comments, 1):
            if line.strip() == "* */":
                self.report(source.path, number, "the end of a comment has a line of its own")

    def check_functions(self, source):
        """A function's braces stand alone in the first column; nothing else's do."""
        start = None
        for number, line in enumerate(source.bare, 1):
            if line.startswith("{") and start is None:
                start = self._signature(source, number)
            elif line.startswith("}") and start is not None:
                length = number - start + 1
                if source.module in LAYERS:
                    self.lengths.append(length)
                if length > FUNCTION_LINES_MAX:
                    name = source.lines[start - 1].strip()
                    self.report(source.path, start, f"function of {length} lines, "
                                f"{FUNCTION_LINES_MAX} are allowed: {name}")
                start = None

    @staticmethod
    def _signature(source, brace):
        """The line on which the signature above the brace begins."""
        line = brace
        while line > 1:
            above = source.bare[line - 2]
            if not above.strip() or above.rstrip().endswith((";", "}")) or above.startswith("#"):
                break
            line -= 1
        return line

    def check_words(self, source):
        for number, line in enumerate(source.bare, 1):
            if (re.search(r"\b(_Thread_local|__thread|thread_local)\b", line)
                    and source.path != TLS_FILE and source.module in LAYERS):
                self.report(source.path, number,
                            f"thread-local storage; {TLS_FILE} holds the only variable of it")
            if re.search(r"\batomic_thread_fence\b|\b__atomic_thread_fence\b|\b__sync_", line):
                self.report(source.path, number,
                            "a stand-alone fence; put the order on an access and name its edge")
            elif (re.search(r"\b__atomic_\w+|\b_Atomic\b|<stdatomic\.h>", line)
                  and source.path != ATOMIC_HEADER
                  and not source.path.startswith("examples/")):  # they show users' own code
                self.report(source.path, number,
                            "a raw atomic; use the order-named operations of <weft/atomic.h>")

    def check_public_header(self, source):
        for number, line in enumerate(source.bare, 1):
            if re.search(r"\berrno\b", line):
                self.report(source.path, number, "errno in a public header; errors are values")
            name = re.match(r"\s*#\s*define\s+(\w+)", line)
            if name and not name.group(1).startswith(("WEFT_", "weft_")):
                self.report(source.path, number,
                            f"a public header defines {name.group(1)}, which lacks our prefix")

        self.check_promises(source)

    def check_promises(self, source):
        """What is documented says from where it may be called, and whether it can be held up."""
        for match in DOCUMENTED.finditer(source.text):
            if not PUBLIC_NAME.search(match.group(2)):
                continue
            number = source.text.count("\n", 0, match.start(2)) + 1
            for word in ("Context", "Progress"):
                if not re.search(rf"^ \* {word} ", match.group(1), re.MULTILINE):
                    self.report(source.path, number, f"the comment above lacks a line {word}")

    def check_macros(self):
        """A macro of the library means one thing, whichever headers a file includes."""
        places = {}
        for source in self.code:
            if source.module not in LAYERS or not source.path.endswith(".h"):
                continue
            for number, line in enumerate(source.bare, 1):
                name = re.match(r"#\s*define\s+(\w+)", line)
                if not name:
                    continue
                first = places.setdefault(name.group(1), source.path)
                if first != source.path:
                    self.report(source.path, number, f"{first} defines {name.group(1)} as well")

    # ---- layers ---------------------------------------------------------------------------

    def check_includes(self, source):
        for number, line in enumerate(source.code, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            quote, name = match.groups()
            for pattern, place in THIRD_PARTY:
                if (quote == "<" and pattern.match(name) and source.path != place
                        and source.module != "bench"):
                    self.report(source.path, number, f"<{name}> may only be included in {place}")
            self.check_layer(source, number, quote, name)

    def check_layer(self, source, number, quote, name):
        target = self.resolve(source, quote, name)
        if target is None:
            if source.module in LAYERS and (quote == '"' or name.startswith("weft/")):
                self.report(source.path, number, f"the included file {name} does not exist")
            return
        owner = target.split("/")[0]
        if owner == source.module:
            return
        if source.module in LAYERS and owner not in LAYERS[source.module]:
            self.report(source.path, number,
                        f"{source.module} must not include {target}: {owner} is not below it")
        elif source.module in PUBLIC_ONLY and "/include/weft/" not in target:
            self.report(source.path, number,
                        f"{source.module} may use public headers only, {target} is private")

    def resolve(self, source, quote, name):
        """The file in the tree that an include names; None for a system header."""
        if quote == "<":
            candidates = [f"{module}/include/{name}" for module in LAYERS]
        else:
            candidates = [os.path.normpath(os.path.join(os.path.dirname(source.path), name))]
            candidates += [f"{folder}/{name}" for folder in [source.module, *LAYERS]] + [name]
        return next((c for c in candidates if c in self.existing), None)

    # ---- memory orders: every synchronizing pair has a name -------------------------------

    def ordered_operations(self):
        header = next((s for s in self.code if s.path == ATOMIC_HEADER), None)
        names = DEFINED_OPERATION.findall(header.text) if header else []
        return [n for n in names if not n.endswith("_relaxed")]

    def check_edges(self):
        operations = self.ordered_operations()
        mentions, sides = {}, {}
        if operations:
            pattern = re.compile(r"\b(" + "|".join(map(re.escape, operations)) + r")\s*\(")
            for source in self.code:
                if source.module in LAYERS and source.path != ATOMIC_HEADER:
                    self._collect_edges(source, pattern, mentions, sides)
        rows = self._edge_rows()
        for label, places in sorted(mentions.items()):
            path, line = places[0]
            if len(places) < 2:
                self.report(path, line, f"edge {label} has no partner: nothing else names it")
            elif label in sides and sides[label] != {"release", "acquire"}:
                only = next(iter(sides[label]))
                self.report(path, line, f"edge {label} has only its {only} side")
            if label not in rows:
                self.report(path, line, f"edge {label} has no row in an edge table of a README.md")
        for label, (path, line) in sorted(rows.items()):
            if label not in mentions:
                self.report(path, line, f"edge {label} stands in the table but not in the code")

    def _collect_edges(self, source, pattern, mentions, sides):
        for number, comment in self._comment_labels(source):
            mentions.setdefault(comment, []).append((source.path, number))
        for number, line in enumerate(source.bare, 1):
            if "weft__compiler_barrier" in line:
                # The other side of a compiler barrier is a system call, not an access.
                for label in self._labels_near(source, number):
                    sides.setdefault(label, set()).update({"release", "acquire"})
            for operation in pattern.findall(line):
                labels = self._labels_near(source, number)
                if not labels:
                    self.report(source.path, number, f"{operation} without the name of its edge "
                                f"in a comment (\"edge module.name\")")
                for label in labels:
                    sides.setdefault(label, set()).update(self._sides_of(operation))

    @staticmethod
    def _sides_of(operation):
        if operation.endswith("_release"):
            return {"release"}
        if operation.endswith("_acquire"):
            return {"acquire"}
        return {"release", "acquire"}

    @staticmethod
    def _labels_in(text):
        for match in LABELS.finditer(text):
            yield from ((match.start(), label) for label in re.findall(LABEL, match.group(1)))

    def _comment_labels(self, source):
        """Every label with its line; a comment may break the line between two words."""
        text = self._flat(source.comments)
        for position, label in self._labels_in(text):
            yield text.count("\n", 0, position) + 1, label.strip()

    @staticmethod
    def _flat(lines):
        """Comments without the stars that begin their lines, so that labels can wrap."""
        return "\n".join(re.sub(r"^(\s*)\*(?!/)", r"\1 ", line) for line in lines)

    def _labels_near(self, source, number):
        """Labels on the line or a little above it; a comment that begins higher counts whole."""
        first = max(0, number - 1 - EDGE_LINES_ABOVE)
        while first > 0 and source.comments[first].lstrip().startswith("*"):
            first -= 1
        # A trailing comment may go on in the line below its statement.
        window = source.comments[first:number]
        return [label for _, label in self._labels_in(self._flat(window))]

    def _edge_rows(self):
        """Labels in the first column of every README table whose first heading says edge."""
        rows = {}
        for path in self.readmes:
            with open(os.path.join(self.root, path), encoding="utf-8") as file:
                in_table = is_edges = False
                for number, line in enumerate(file, 1):
                    cells = line.strip().split("|")
                    if len(cells) < 3 or cells[0]:
                        in_table = False
                        continue
                    if not in_table:
                        in_table, is_edges = True, "edge" in cells[1].lower()
                    elif is_edges:
                        for label in re.findall(rf"`({LABEL})`", cells[1]):
                            rows.setdefault(label, (path, number))
        return rows


def print_statistics(lengths):
    if not lengths:
        return
    lengths = sorted(lengths)
    p90 = lengths[min(len(lengths) - 1, len(lengths) * 9 // 10)]
    print(f"lint: {len(lengths)} functions in the library, lines: "
          f"median {statistics.median_low(lengths)}, p90 {p90}, max {lengths[-1]}")


def main():
    default = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description="Check the house rules of the source tree.")
    parser.add_argument("--root", default=default, help="the tree to check")
    lint = Lint(parser.parse_args().root)
    findings = lint.run()
    for path, line, what in sorted(findings):
        print(f"{path}:{line}: {what}")
    print_statistics(lint.lengths)
    print(f"lint: {len(lint.sources)} files, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
