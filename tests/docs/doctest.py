#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Programs in the documentation compile and run.

Every block fenced with ```c in README.md and docs/**/*.md that contains `int main` is compiled as
C11 with warnings as errors, linked with the library and run; it must return 0 in time. The line
`<!-- doctest: compile only -->` above a block spares it the run, for servers that never return.

Usage: doctest.py --cc COMPILER --library FILE [--root DIR]
       doctest.py --extract TEXT [--root DIR]      print the first program that contains TEXT
"""

import argparse
import glob
import os
import re
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"(<!-- doctest: compile only -->\s*\n)?^```c[ \t]*\n(.*?)^```[ \t]*$",
                   re.DOTALL | re.MULTILINE)
RUN_SECONDS_MAX = 60
FLAGS = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def programs(root):
    """Yield (place, source, whether to run it) for every program in the documentation."""
    pages = [os.path.join(root, "README.md")]
    pages += sorted(glob.glob(os.path.join(root, "docs", "**", "*.md"), recursive=True))
    for page in pages:
        if not os.path.exists(page):
            continue
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for match in BLOCK.finditer(text):
            compile_only, source = match.groups()
            if "int main" in source:
                line = text.count("\n", 0, match.start(2)) + 1
                yield f"{os.path.relpath(page, root)}:{line}", source, not compile_only


def check(place, source, run, options, folder):
    """Compile and run one program; returns what is wrong with it, or None."""
    file_name = os.path.join(folder, "program.c")
    program = os.path.join(folder, "program")
    with open(file_name, "w", encoding="utf-8") as file:
        file.write(source)
    includes = [f"-I{d}" for d in glob.glob(os.path.join(options.root, "*", "include"))]
    library = os.path.abspath(options.library)
    command = [options.cc, *FLAGS, *includes, file_name, "-o", program, library, "-lm",
               f"-Wl,-rpath,{os.path.dirname(library)}"]
    built = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if built.returncode != 0:
        return f"does not compile\n{built.stdout}"
    if not run:
        return None
    try:
        ran = subprocess.run([program], text=True, stdin=subprocess.DEVNULL, cwd=folder,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=RUN_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"did not return within {RUN_SECONDS_MAX} seconds"
    if ran.returncode != 0:
        return f"returned {ran.returncode}\n{ran.stdout}"
    return None


def extract(root, text):
    for _, source, _ in programs(root):
        if text in source:
            print(source, end="")
            return 0
    print(f"no program in README.md or docs/ contains {text!r}", file=sys.stderr)
    return 1


def main():
    parser = argparse.ArgumentParser(description="Compile and run the documentation's programs.")
    parser.add_argument("--root", default=".")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--library", help="the libweft to link with")
    parser.add_argument("--extract", metavar="TEXT", help="print the program that contains TEXT")
    options = parser.parse_args()
    if options.extract:
        return extract(options.root, options.extract)
    if not options.library:
        parser.error("--library is needed to link the programs")
    failures = total = 0
    for place, source, run in programs(options.root):
        total += 1
        with tempfile.TemporaryDirectory() as folder:
            wrong = check(place, source, run, options, folder)
        print(f"{place}: {wrong or ('ok' if run else 'compiles')}", flush=True)
        failures += wrong is not None
    print(f"doctest: {total} programs, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
