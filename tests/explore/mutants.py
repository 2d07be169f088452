#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Does the explorer find anything? Breaks the sources in one place at a time and expects it to.

Usage: mutants.py [--cc COMPILER] [--root TREE] [--jobs N] [--only TEXT] [--survivors] [--list]
                  [PROTOCOL ...]

Two kinds of mutants: every ordered access made one step weaker, found by itself in the sources that
models/*/sources.txt name, and the classic mistakes of models/*/mutations.py. A mutant that no model
notices must have a row in a table of a README.md of the library whose first heading is *survivor*,
with the reason; and one that has a row must survive (tried only with --survivors, since it takes a
whole search). Anything else fails. Prints one line for each mutant.
"""

import argparse
import concurrent.futures
import glob
import importlib.util
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

FLAGS = ["-std=c11", "-D_GNU_SOURCE", "-DWEFT_NO_INLINE_TLS", "-w", "-fno-omit-frame-pointer"]
ENGINE_FLAGS = ["-O2", "-ftree-vectorize"]
MODEL_FLAGS = ["-O1", "-fsanitize=thread"]
ENGINE = ["explore.c", "memory.c", "main.c"]
MODULES = ["base", "deque", "ipc", "core", "futures"]
HERE = "tests/explore"
SECONDS_MAX = 60  # of processor time, for each search
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


class Protocol:
    """A folder in models/: the models of one protocol, what they run, how it is broken."""

    def __init__(self, root, name):
        self.name = name
        folder = os.path.join(HERE, "models", name)
        self.models = sorted(glob.glob(os.path.join(folder, "*.c"), root_dir=root))
        self.watched = {}  # source -> models that notice; none: it only runs
        with open(os.path.join(root, folder, "sources.txt"), encoding="utf-8") as file:
            for line in file:
                words = line.split("#")[0].split()
                if words:
                    self.watched[words[0]] = words[1:]
        self.compiled = self.models + [s for s in self.watched if s.endswith((".c", ".S"))]
        self.classics, self.by_chance = [], {}
        path = os.path.join(root, folder, "mutations.py")
        if os.path.exists(path):
            spec = importlib.util.spec_from_file_location(f"mutations_{name}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self.classics = getattr(module, "CLASSICS", [])
            self.by_chance = getattr(module, "BY_CHANCE", {})


class Mutant:
    """A source broken in one place, and who must notice: any of these models of these protocols."""

    def __init__(self, name, path, text):
        self.name, self.path, self.text = name, path, text
        self.searches = []  # protocol, arguments and models


# ---- what can be broken ---------------------------------------------------------------------


def function_at(text, position):
    """The name of the function that a place in a source lies in."""
    name = "?"
    for line in text[:position].split("\n"):
        match = FUNCTION.match(line)
        if match and not line.rstrip().endswith(";"):
            name = match.group(1)
    return name


def weakenings(path, text):
    """Every ordered access of one source, one step weaker. The name says where it is."""
    seen = {}
    for match in OPERATION.finditer(text):
        operation, place = match.groups()
        where = f"{os.path.basename(path)} {function_at(text, match.start())}"
        for weaker in WEAKER[operation]:
            order = re.sub(r"^(load|store|exchange|fetch_add|cas)_", "", weaker)
            name = f"{where}: {operation}({place.strip()}) -> {order}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            yield Mutant(name, path, text[:match.start(1)] + weaker + text[match.end(1):])


def all_mutants(root, protocols):
    """By name; the same mutant may be for several protocols to notice."""
    mutants = {}

    def add(mutant, protocol, models):
        mutant = mutants.setdefault(mutant.name, mutant)
        arguments = ["--quiet", "--first"]
        if mutant.name in protocol.by_chance:
            models = protocol.by_chance[mutant.name]
            arguments += ["--random", "100000"]
        mutant.searches.append((protocol, [*arguments, *models]))

    for protocol in protocols:
        for path, models in protocol.watched.items():
            with open(os.path.join(root, path), encoding="utf-8") as file:
                text = file.read()
            for mutant in weakenings(path, text) if models else ():
                add(mutant, protocol, models)
        for name, path, old, new, models in protocol.classics:
            with open(os.path.join(root, path), encoding="utf-8") as file:
                text = file.read()
            if text.count(old) != 1:
                sys.exit(f"mutants: '{name}' does not fit {path}: adapt it to the source")
            add(Mutant(f"{os.path.basename(path)} {name}", path, text.replace(old, new)),
                protocol, models)
    return mutants


def read_survivors(root):
    """name -> reason, from the tables in the READMEs of the library."""
    survivors = {}
    for module in MODULES:
        pattern = os.path.join(root, module, "**", "README.md")
        for path in glob.glob(pattern, recursive=True):
            with open(path, encoding="utf-8") as file:
                survivors.update(rows_of(file))
    return survivors


def rows_of(lines):
    """Name and reason of each row of the tables whose first heading says survivor."""
    heading = None
    for line in lines:
        if not line.startswith("|"):
            heading = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if heading is None:
            heading = cells[0].lower()
        elif "survivor" in heading and not re.fullmatch(r"[-: ]+", cells[0]):
            yield cells[0].strip("`"), cells[1]


# ---- breaking it ----------------------------------------------------------------------------


class Workshop:
    """Where mutants are compiled and explored; what is unbroken is compiled once for all."""

    def __init__(self, compiler, root, folder, protocols):
        self.compiler, self.root, self.folder = compiler, root, folder
        self.own = threading.local()
        self.trees = 0
        self.lock = threading.Lock()
        self.engine = [os.path.join(HERE, name) for name in ENGINE]
        self.objects = {}
        self.protocols = protocols

    def compile_all(self, pool):
        """The objects of everything as it is."""
        sources = {source: MODEL_FLAGS for p in self.protocols for source in p.compiled}
        sources.update({source: ENGINE_FLAGS for source in self.engine})
        jobs = {source: pool.submit(self.compile, source, flags, "clean")
                for source, flags in sources.items()}
        self.objects = {source: job.result() for source, job in jobs.items()}

    def tree(self):
        """The calling thread's copy of the sources, in which one file at a time is broken."""
        if not hasattr(self.own, "tree"):
            with self.lock:
                self.trees += 1
                self.own.tree = os.path.join(self.folder, f"tree{self.trees}")
            for folder in [*MODULES, HERE]:
                if os.path.isdir(os.path.join(self.root, folder)):
                    shutil.copytree(os.path.join(self.root, folder),
                                    os.path.join(self.own.tree, folder))
        return self.own.tree

    def compile(self, source, flags, suffix):
        tree = self.tree()
        output = f"{self.folder}/{source.replace('/', '_')}.{suffix}.o"
        includes = ["-I", f"{HERE}/shadow", "-iquote", f"{HERE}/shadow", "-iquote", HERE]
        for module in MODULES:
            includes += ["-I", f"{module}/include", "-iquote", module]
        subprocess.run([self.compiler, *FLAGS, *flags, *includes, "-c", source, "-o", output],
                       check=True, cwd=tree)
        return output

    def programs(self, mutant):
        """The explorers of the protocols that are to notice, with the mutant in them."""
        path = os.path.join(self.tree(), mutant.path)
        with open(path, encoding="utf-8") as file:
            original = file.read()
        suffix = os.path.basename(self.tree())
        changed = {}
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(mutant.text)
            for protocol in {protocol for protocol, _ in mutant.searches}:
                is_header = mutant.path.endswith(".h")
                for source in protocol.compiled if is_header else [mutant.path]:
                    if source not in changed:
                        changed[source] = self.compile(source, MODEL_FLAGS, suffix)
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(original)
        return {protocol: self.link(protocol, changed, suffix)
                for protocol, _ in mutant.searches}

    def link(self, protocol, changed, suffix):
        program = os.path.join(self.folder, f"explore-{protocol.name}.{suffix}")
        objects = {**self.objects, **changed}
        parts = [objects[source] for source in [*self.engine, *protocol.compiled]]
        subprocess.run([self.compiler, "-no-pie", "-o", program, *parts], check=True)
        return program

    def explore(self, mutant):
        """The explorer's exit status and what it says: small bounds in all models come first."""
        programs = self.programs(mutant)
        for bound in ["--most", "1"], []:
            for protocol, arguments in mutant.searches:
                if bound and "--random" in arguments:
                    continue
                ran = subprocess.run([programs[protocol], *bound, *arguments], text=True,
                                     preexec_fn=limit_time, stdout=subprocess.PIPE,
                                     stderr=subprocess.STDOUT)
                if ran.returncode != CLEAN:
                    return ran.returncode, ran.stdout
        return CLEAN, ""


def limit_time():
    """A search that takes too long is killed; a busy machine is no reason."""
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX))


def verdict(mutant, reason, status, output):
    """One line on a mutant, and whether it is as it should be."""
    if status == FOUND:
        failure = re.search(r"(\S+): FAILED in execution (\d+): (.*)\n", output)
        replays = re.search(r"replays (\d+) of (\d+) times", output)
        if failure is None or replays is None or replays.group(1) != replays.group(2):
            return f"BAD REPLAY {mutant.name}\n{output}", False
        model, execution, what = failure.groups()
        found = f"by {model} in execution {execution}: {what[:90]}"
        if reason is not None:
            return f"FOUND, BUT LISTED AS A SURVIVOR {mutant.name}\n    {found}", False
        return f"found     {mutant.name}\n    {found}", True
    if status == CLEAN and reason is not None:
        return f"survives  {mutant.name}\n    {reason}", True
    if status == CLEAN:
        return f"SURVIVES  {mutant.name}", False
    return f"BROKEN ({status}) {mutant.name}\n{output}", False


def try_all(mutants, survivors, options, protocols):
    """Explore each mutant, several at a time: how many were found, and how many are wrong."""
    found = bad = 0
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        workshop = Workshop(options.cc, options.root, folder, protocols)
        workshop.compile_all(pool)
        jobs = {name: pool.submit(workshop.explore, mutant) for name, mutant in mutants.items()
                if name not in survivors or options.survivors}
        for name, mutant in mutants.items():
            if name in jobs:
                status, output = jobs[name].result()
            else:
                status, output = CLEAN, ""
            line, is_good = verdict(mutant, survivors.get(name), status, output)
            print(line, flush=True)
            bad += not is_good
            found += status == FOUND
    return found, bad


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description="Break the sources, expect the explorer to see.")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--root", default=root)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--survivors", action="store_true", help="try those too")
    parser.add_argument("--list", action="store_true", help="names only")
    parser.add_argument("protocol", nargs="*", help="folders in models/; none: all")
    options = parser.parse_args()
    names = options.protocol or sorted(os.listdir(os.path.join(options.root, HERE, "models")))
    protocols = [Protocol(options.root, name) for name in names]
    mutants = {name: mutant for name, mutant in all_mutants(options.root, protocols).items()
               if options.only in name}
    if options.list:
        print("\n".join(mutants))
        return 0
    survivors = read_survivors(options.root)
    unknown = set()
    if not options.only and not options.protocol:
        unknown = set(survivors) - set(mutants)
    for name in sorted(unknown):
        print(f"NOT A MUTANT, but listed as a survivor: {name}")
    begin = time.monotonic()
    found, bad = try_all(mutants, survivors, options, protocols)
    print(f"mutants: {len(mutants)}, found {found}, listed {len(set(survivors) & set(mutants))}, "
          f"{bad} not as expected, {time.monotonic() - begin:.0f} s")
    return 1 if bad or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
