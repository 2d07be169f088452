#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Does the explorer find anything? Breaks the sources in one place at a time and expects it to.

Usage: mutants.py [--build FOLDER] [--jobs N] [--only TEXT] [--survivors] [--list] [PROTOCOL ...]

Two kinds of mutants: every ordered access made one step weaker, found by itself in the sources that
models/*/sources.txt name, and the classic mistakes of models/*/mutations.py. The first kind needs
no compiler: the explorers of the build folder are told which order to change (--weaken). For the
second the changed sources are compiled as that folder's compile_commands.json says, and linked
with what is there.

A mutant that no model notices must have a row in a table of a README.md of the library whose first
heading is *survivor*, with the reason; and one that has a row must survive (tried only with
--survivors, since it takes a whole search). Anything else fails. Prints one line for each mutant.
"""

import argparse
import concurrent.futures
import functools
import glob
import importlib.util
import json
import os
import re
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time

MODULES = ["base", "deque", "ipc", "core", "futures"]
HERE = "tests/explore"
SECONDS_MAX = 60  # of processor time, for each search
FOUND, CLEAN = 1, 0

WEAKER = {
    "load_seq_cst": ["acquire"],
    "load_acquire": ["relaxed"],
    "store_seq_cst": ["release"],
    "store_release": ["relaxed"],
    "exchange_acquire": ["relaxed"],
    "exchange_release": ["relaxed"],
    "exchange_acq_rel": ["acquire", "release"],
    "fetch_add_acq_rel": ["relaxed"],
    "fetch_add_seq_cst": ["acq_rel"],
    "cas_acquire": ["relaxed"],
    "cas_release": ["relaxed"],
    "cas_acq_rel": ["acquire", "release"],
    "cas_seq_cst": ["acq_rel"],
}
OPERATION = re.compile(r"\bweft__(" + "|".join(WEAKER) + r")\(([^,()]*(?:\([^()]*\))?[^,()]*)")
INCLUDE = re.compile(r'^#\s*include ["<]([^">]+)[">]', re.MULTILINE)
INCLUDED_FROM = [f"{HERE}/shadow", HERE, *(f"{m}/include" for m in MODULES), *MODULES]
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
        self.classics, self.by_chance = [], {}
        path = os.path.join(root, folder, "mutations.py")
        if os.path.exists(path):
            spec = importlib.util.spec_from_file_location(f"mutations_{name}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            self.classics = getattr(module, "CLASSICS", [])
            self.by_chance = getattr(module, "BY_CHANCE", {})


class Mutant:
    """A source broken in one place, and who must notice: any of these models of these protocols.
    Either an access with another order, or another text."""

    def __init__(self, name, path, weaken=(), text=None):
        self.name, self.path, self.weaken, self.text = name, path, weaken, text
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
        access = f"{operation}({' '.join(place.split())})"
        where = f"{os.path.basename(path)} {function_at(text, match.start())}"
        site = f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {access}"
        for order in WEAKER[operation]:
            name = f"{where}: {access} -> {order}"
            seen[name] = seen.get(name, 0) + 1
            if seen[name] > 1:
                name += f" #{seen[name]}"
            yield Mutant(name, path, weaken=(site, order))


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
            add(Mutant(f"{os.path.basename(path)} {name}", path, text=text.replace(old, new)),
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


@functools.cache
def included(root, path):
    """What a source includes, itself or through others: names alone, since each is there once."""
    names = set()
    with open(os.path.join(root, path), encoding="utf-8") as file:
        names = set(INCLUDE.findall(file.read()))
    for name in list(names):
        for folder in INCLUDED_FROM:
            other = os.path.join(folder, name)
            if os.path.exists(os.path.join(root, other)):
                names |= included(root, other)
                break
    return names


def includes(root, source, header):
    """Whether a source has to be compiled anew when a header is changed."""
    return any(header.endswith("/" + name) for name in included(root, source))


# ---- breaking it ----------------------------------------------------------------------------


class Workshop:
    """Where mutants are made and explored."""

    def __init__(self, root, build, folder):
        self.root, self.build, self.folder = root, build, folder
        self.own = threading.local()
        self.trees = 0
        self.lock = threading.Lock()
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
            self.commands = [entry for entry in json.load(file)
                             if "/explore" in entry["command"]]

    def tree(self):
        """The calling thread's copy of the sources, in which one file at a time is broken."""
        if not hasattr(self.own, "tree"):
            with self.lock:
                self.trees += 1
                self.own.tree = os.path.join(self.folder, f"tree{self.trees}")
            for folder in [*MODULES, HERE]:
                shutil.copytree(os.path.join(self.root, folder),
                                os.path.join(self.own.tree, folder))
        return self.own.tree

    def parts(self, protocol):
        """(source, command, object) of each part of a protocol's explorer."""
        targets = f"/explore-{protocol.name}.dir/", "/explore_engine.dir/"
        for entry in self.commands:
            words = shlex.split(entry["command"])
            output = words[words.index("-o") + 1]
            if any(target in output for target in targets):
                source = os.path.relpath(entry["file"], self.root)
                yield source, words, os.path.join(entry["directory"], output)

    def compile(self, source, words, output):
        """One source, as the build folder does, but in the calling thread's tree."""
        words = [word.replace(self.root + "/", self.tree() + "/") for word in words]
        words[words.index("-o") + 1] = output
        subprocess.run([*words, "-w"], check=True, cwd=self.tree())

    def broken(self, mutant, protocol):
        """A protocol's explorer with the mutant in it."""
        suffix = os.path.basename(self.tree())
        objects = []
        path = os.path.join(self.tree(), mutant.path)
        with open(path, encoding="utf-8") as file:
            original = file.read()
        try:
            with open(path, "w", encoding="utf-8") as file:
                file.write(mutant.text)
            for source, words, output in self.parts(protocol):
                if source == mutant.path or includes(self.root, source, mutant.path):
                    output = f"{self.folder}/{source.replace('/', '_')}.{suffix}.o"
                    self.compile(source, words, output)
                objects.append(output)
        finally:
            with open(path, "w", encoding="utf-8") as file:
                file.write(original)
        program = os.path.join(self.folder, f"explore-{protocol.name}.{suffix}")
        subprocess.run([words[0], "-no-pie", "-o", program, *objects], check=True)
        return program

    def command(self, mutant, protocol):
        """How to call a protocol's explorer with the mutant in it."""
        if mutant.text is not None:
            return [self.broken(mutant, protocol)]
        site, order = mutant.weaken
        return [os.path.join(self.build, HERE, f"explore-{protocol.name}"), "--weaken",
                os.path.join(self.root, site), order]

    def explore(self, mutant):
        """The explorer's exit status and what it says. What is quick comes first, in all models:
        most are found by chance within a thousand executions."""
        commands = {protocol: self.command(mutant, protocol) for protocol, _ in mutant.searches}
        for how in ["--pct", "1000"], ["--limit", "10000"], ["--most", "1"], []:
            for protocol, arguments in mutant.searches:
                if how and "--random" in arguments:
                    continue
                ran = subprocess.run([*commands[protocol], *how, *arguments], text=True,
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


def try_all(root, mutants, survivors, options):
    """Explore each mutant, several at a time: how many were found, and how many are wrong."""
    found = bad = 0
    with tempfile.TemporaryDirectory() as folder, \
            concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        workshop = Workshop(root, os.path.abspath(options.build), folder)
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
    parser.add_argument("--build", default=os.path.join(root, "build", "ci-gcc"))
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--survivors", action="store_true", help="try those too")
    parser.add_argument("--list", action="store_true", help="names only")
    parser.add_argument("protocol", nargs="*", help="folders in models/; none: all")
    options = parser.parse_args()
    names = options.protocol or sorted(os.listdir(os.path.join(root, HERE, "models")))
    protocols = [Protocol(root, name) for name in names]
    mutants = {name: mutant for name, mutant in all_mutants(root, protocols).items()
               if options.only in name}
    if options.list:
        print("\n".join(mutants))
        return 0
    survivors = read_survivors(root)
    unknown = set()
    if not options.only and not options.protocol:
        unknown = set(survivors) - set(mutants)
    for name in sorted(unknown):
        print(f"NOT A MUTANT, but listed as a survivor: {name}")
    begin = time.monotonic()
    found, bad = try_all(root, mutants, survivors, options)
    print(f"mutants: {len(mutants)}, found {found}, listed {len(set(survivors) & set(mutants))}, "
          f"{bad} not as expected, {time.monotonic() - begin:.0f} s")
    return 1 if bad or unknown else 0


if __name__ == "__main__":
    sys.exit(main())
