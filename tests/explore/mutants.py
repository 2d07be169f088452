#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Does the explorer find anything? Breaks the sources in one place at a time and expects it to.

Usage: mutants.py [--cc COMPILER] [--root TREE] [--only TEXT] [--survivors] [--list]

Two kinds of mutants: every ordered access made one step weaker, found in the sources by itself,
and classic mistakes, listed below. A mutant that survives must be listed with its reason, and one
that is listed must survive (tried only with --survivors, since it takes a whole search); anything
else fails. Prints one line for each mutant.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from mutations import BY_CHANCE, CLASSICS, SOURCES, SURVIVORS

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-DWEFT_NO_INLINE_TLS", "-w", "-fno-omit-frame-pointer"]
ENGINE_FLAGS = ["-O2", "-ftree-vectorize"]
MODEL_FLAGS = ["-O1", "-fsanitize=thread"]
MODULES = ["base", "deque", "core"]
SECONDS_MAX = 60
FOUND, CLEAN = 1, 0

WEAKER = {
    "load_seq_cst": ["load_acquire"],
    "load_acquire": ["load_relaxed"],
    "store_seq_cst": ["store_release"],
    "store_release": ["store_relaxed"],
    "exchange_acquire": ["exchange_relaxed"],
    "exchange_release": ["exchange_relaxed"],
    "exchange_acq_rel": ["exchange_acquire", "exchange_release"],
    "fetch_add_acq_rel": ["fetch_add_relaxed"],
    "fetch_add_seq_cst": ["fetch_add_acq_rel"],
    "cas_acquire": ["cas_relaxed"],
    "cas_release": ["cas_relaxed"],
    "cas_acq_rel": ["cas_acquire", "cas_release"],
    "cas_seq_cst": ["cas_acq_rel"],
}
OPERATION = re.compile(r"\bweft__(" + "|".join(WEAKER) + r")\(([^,()]*(?:\([^()]*\))?[^,()]*)")
FUNCTION = re.compile(r"^[a-zA-Z_].*?\b(\w+)\(")


class Mutant:
    def __init__(self, name, path, text, models):
        self.name, self.path, self.text, self.models = name, path, text, models


def function_at(text, position):
    """The name of the function that a place in a source lies in."""
    name = "?"
    for line in text[:position].split("\n"):
        match = FUNCTION.match(line)
        if match and not line.rstrip().endswith(";"):
            name = match.group(1)
    return name


def weakenings(path, text, models):
    """Every ordered access of one source, one step weaker. The name says where it is."""
    seen = {}
    for match in OPERATION.finditer(text):
        operation, place = match.groups()
        where = f"{os.path.basename(path)} {function_at(text, match.start())}"
        for weaker in WEAKER[operation]:
            name = f"{where}: {operation}({place.strip()}) -> {weaker.split('_', 1)[1]}" \
                if not weaker.startswith("fetch") else \
                f"{where}: {operation}({place.strip()}) -> {weaker[len('fetch_add_'):]}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            mutated = text[:match.start(1)] + weaker + text[match.end(1):]
            yield Mutant(name, path, mutated, models)


def classics(tree):
    for name, path, old, new, models in CLASSICS:
        with open(os.path.join(tree, path), encoding="utf-8") as file:
            text = file.read()
        if text.count(old) != 1:
            sys.exit(f"mutants: '{name}' does not fit {path}: adapt it to the source")
        yield Mutant(f"{os.path.basename(path)} {name}", path, text.replace(old, new), models)


class Workshop:
    """A copy of the sources, in which one file at a time is broken, compiled and explored."""

    def __init__(self, compiler, root, folder):
        self.compiler, self.folder = compiler, folder
        self.here = os.path.join(root, "tests", "explore")
        self.tree = os.path.join(folder, "tree")
        for module in MODULES:
            shutil.copytree(os.path.join(root, module), os.path.join(self.tree, module))
        self.objects = {}
        for name in ("explore", "memory", "main"):
            self.compile(os.path.join(self.here, f"{name}.c"), ENGINE_FLAGS)
        models = os.path.join(self.here, "models")
        self.models = [os.path.join(models, f) for f in sorted(os.listdir(models))
                       if f.endswith(".c")]
        self.sources = [os.path.join(self.tree, p) for p in SOURCES if p.endswith(".c")]
        for source in self.models + self.sources:
            self.compile(source, MODEL_FLAGS)
        self.clean = dict(self.objects)

    def compile(self, source, flags, suffix=""):
        output = os.path.join(self.folder, source.replace("/", "_") + suffix + ".o")
        includes = ["-I" + os.path.join(self.here, "shadow")]
        includes += [f"-I{self.tree}/{module}/include" for module in MODULES]
        for folder in (os.path.join(self.here, "shadow"), self.here,
                       *(f"{self.tree}/{module}" for module in MODULES)):
            includes += ["-iquote", folder]
        subprocess.run([self.compiler, *FLAGS, *flags, *includes, "-c", source, "-o", output],
                       check=True)
        self.objects[source] = output

    def explore(self, mutant, arguments):
        """Exit status of the explorer on a mutant, and what it says."""
        path = os.path.join(self.tree, mutant.path)
        with open(path, encoding="utf-8") as file:
            original = file.read()
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(mutant.text)
            is_header = path.endswith(".h")
            for source in self.models + self.sources if is_header else [path]:
                self.compile(source, MODEL_FLAGS, ".mutant")
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(original)
        return self.search(mutant, arguments)

    def search(self, mutant, arguments):
        """The same for a mutant whose objects are made: small bounds in all models come first."""
        program = os.path.join(self.folder, "explore")
        subprocess.run([self.compiler, "-no-pie", "-o", program, *self.objects.values()],
                       check=True)
        self.objects = dict(self.clean)
        for bound in ["--preempt", "1"], []:
            try:
                ran = subprocess.run([program, *bound, *arguments, *mutant.models], text=True,
                                     timeout=SECONDS_MAX, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
            except subprocess.TimeoutExpired:
                return None, f"no answer in {SECONDS_MAX} s"
            if ran.returncode != CLEAN or "--random" in arguments:
                break
        return ran.returncode, ran.stdout


def verdict(mutant, status, output):
    """One line on a mutant, and whether it is as it should be."""
    reason = SURVIVORS.get(mutant.name)
    if status == FOUND:
        failure = re.search(r"FAILED in execution (\d+): (.*)\n", output)
        replays = re.search(r"replays (\d+) of (\d+) times", output)
        if failure is None or replays is None or replays.group(1) != replays.group(2):
            return f"BAD REPLAY {mutant.name}\n{output}", False
        found = f"in execution {failure.group(1)}: {failure.group(2)[:90]}"
        if reason is not None:
            return f"FOUND, BUT LISTED AS A SURVIVOR {mutant.name}\n    {found}", False
        return f"found     {mutant.name}\n    {found}", True
    if status == CLEAN and reason is not None:
        return f"survives  {mutant.name}\n    {reason}", True
    if status == CLEAN:
        return f"SURVIVES  {mutant.name}", False
    return f"BROKEN ({status}) {mutant.name}\n{output}", False


def all_mutants(root):
    for path, models in SOURCES.items():
        with open(os.path.join(root, path), encoding="utf-8") as file:
            yield from weakenings(path, file.read(), models)
    yield from classics(root)


def main():
    parser = argparse.ArgumentParser(description="Break the sources, expect the explorer to see.")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--root", default=os.path.abspath(os.path.join(
        os.path.dirname(os.path.abspath(__file__)), "..", "..")))
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--survivors", action="store_true", help="try those too")
    parser.add_argument("--list", action="store_true", help="names only")
    options = parser.parse_args()
    mutants = [m for m in all_mutants(options.root) if options.only in m.name]
    if options.list:
        print("\n".join(m.name for m in mutants))
        return 0
    unknown = set(SURVIVORS) - {m.name for m in mutants}
    if unknown and not options.only:
        print("not a mutant, but listed as a survivor: " + "; ".join(sorted(unknown)))
    begin, bad, found = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop(options.cc, options.root, folder)
        for mutant in mutants:
            if mutant.name in SURVIVORS and not options.survivors:
                print(f"survives  {mutant.name}\n    {SURVIVORS[mutant.name]}")
                continue
            arguments = ["--quiet", "--first"]
            if mutant.name in BY_CHANCE:
                mutant.models = BY_CHANCE[mutant.name]
                arguments += ["--random", "100000"]
            status, output = workshop.explore(mutant, arguments)
            line, is_good = verdict(mutant, status, output)
            print(line, flush=True)
            bad += not is_good
            found += status == FOUND
    print(f"mutants: {len(mutants)}, found {found}, listed {len(SURVIVORS)}, "
          f"{bad} not as expected, {time.monotonic() - begin:.0f} s")
    return 1 if bad or (unknown and not options.only) else 0


if __name__ == "__main__":
    sys.exit(main())
