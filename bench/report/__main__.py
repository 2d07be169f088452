# SPDX-License-Identifier: BSD-2-Clause
"""weft-report — measure weft beside its peers and say what came out.

One run makes a table on the terminal, report.json and report.html. Exit status: 0 all answers of
weft were right, 1 one was wrong or missing, 2 the request made no sense or data was unreadable,
130 interrupted; what had been measured by then is written all the same.
"""

import argparse
import datetime
import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import data
import duel_marks
import duels
import machine
import marks
import measure
import page
import programs
import text
from errors import Complaint

SOURCE = Path(__file__).resolve().parents[2]
INTERRUPTED = 130
KERNEL_ORDER = ("fib", "fib-calls", "nqueens", "uts-t1", "uts-t3", "uts-t1l", "uts-t3l", "tree",
                "matmul", "sum")


class Parser(argparse.ArgumentParser):
    """One line for a bad argument; argparse would add the usage."""

    def error(self, message):
        raise Complaint(message)


def parse(argv):
    parser = Parser(prog="weft-report", description="Measure weft beside its peers: a table, "
                    "report.json and report.html. Every answer is checked.", allow_abbrev=False)
    parser.add_argument("--quick", action="store_true",
                        help="small problems, within 90 seconds; works offline")
    parser.add_argument("--kernel", "--kernels", metavar="A,B",
                        help="only these kernels, and no duels unless they are named as well")
    parser.add_argument("--duel", "--duels", metavar="A,B",
                        help="only these duels (a section such as futures or one of its duels "
                             "such as futures.inside), and no kernels unless they are named as "
                             "well")
    parser.add_argument("--system", "--systems", metavar="A,B",
                        help="only these peers; weft, bounds and the serial twins always run, "
                             "weft-gcc or weft-clang picks one of them")
    parser.add_argument("--workers", metavar="LIST",
                        help="numbers of workers, for example 1,2,4; default: 1, 2, 4 … and all "
                             "usable processors")
    parser.add_argument("--runs", metavar="N",
                        help="runs of each cell, at least (quick 5, full 9), and visits of each "
                             "contestant in a duel (quick 5, full 7)")
    parser.add_argument("--minutes", metavar="N", dest="minutes_said",
                        help="how long a full report may take, about (default: 60); everything is "
                             "measured at least once")
    parser.add_argument("--out", metavar="DIR", default="out", help="where to write (default: out)")
    parser.add_argument("--tree", metavar="FILE", help="a tree file for the kernel `tree`")
    parser.add_argument("--offline", action="store_true", help="do not fetch data")
    parser.add_argument("--no-probes", action="store_true", help="kernels and duels only")
    parser.add_argument("--list", action="store_true",
                        help="list kernels, duels and programs, then stop")
    parser.add_argument("--build", metavar="DIR", default=str(SOURCE / "build" / "release"),
                        help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def positive(option, word, most):
    if not word.isdecimal() or not 1 <= int(word) <= most:
        raise Complaint(f"{option}: not a whole number from 1 to {most}: '{word}'")
    return int(word)


def worker_list(words, usable):
    if words is None:
        powers = [1 << i for i in range(usable.bit_length()) if 1 << i <= usable]
        return sorted({*powers, usable})
    return sorted({positive("--workers", word.strip(), 1024) for word in words.split(",")})


def pick_kernels(words, found, quick):
    """The kernels to run, in the order of the report."""
    known = {}
    for program in found:
        for name, info in program.kernels.items():
            known.setdefault(name, info)
    order = [k for k in KERNEL_ORDER if k in known] + sorted(set(known) - set(KERNEL_ORDER))
    if words is None:
        return [known[k] for k in order if known[k]["quick"] or not quick]
    chosen = split_words(words)
    for word in chosen:
        if not any(word in (k, known[k]["group"]) for k in order):
            raise Complaint(f"--kernel: unknown kernel: '{word}' (there are {', '.join(order)})")
    picked = [k for k in order if k in chosen or known[k]["group"] in chosen]
    if "fib" in picked and "fib-calls" in known and "fib-calls" not in picked:
        picked.insert(picked.index("fib") + 1, "fib-calls")
    return [known[k] for k in picked]


def pick_programs(words, found, others=()):
    """The programs with kernels to run. `others`: contestants in duels, which are known as well."""
    if words is None:
        return found
    chosen = split_words(words)
    known = {name for p in found for name in (p.name, p.system)} | set(others)
    for word in chosen:
        if word not in known:
            raise Complaint(f"--system: unknown system: '{word}' (there are "
                            f"{', '.join(dict.fromkeys([p.name for p in found] + list(others)))})")
    always = {"serial"}
    if not any(word.split("-")[0] == "weft" for word in chosen):
        always.add("weft")  # what the peers are compared with
    return [p for p in found if p.system in always or {p.name, p.system} & set(chosen)]


def split_words(words):
    return [word.strip() for word in words.split(",")]


def pick_duels(options):
    """Nothing, or a function that says which (section, duel) to hold."""
    if options.duel is None:
        return None if options.kernel else lambda section, duel: True
    chosen = set(split_words(options.duel))
    known = {s.name for s in duels.SECTIONS}
    known |= {f"{s.name}.{d.name}" for s in duels.SECTIONS for d in s.duels}
    for word in chosen - known:
        raise Complaint(f"--duel: unknown duel: '{word}' (there are {', '.join(sorted(known))})")
    return lambda section, duel: bool({section.name, f"{section.name}.{duel.name}"} & chosen)


def pick_contestants(words, found):
    """Weft and bounds, and of the peers those that were asked for."""
    if words is None:
        return found
    chosen = set(split_words(words))
    always = {(s.name, c.name) for s in duels.SECTIONS for c in s.contestants
              if c.reference or c.name.split("-")[0] == "weft"}
    return {key: entry for key, entry in found.items() if key in always or key[1] in chosen}


def print_list(found, kernels, contestants):
    for k in kernels:
        sizes = f"quick {k['quick'] or 'left out'}, full {k['full']}"
        print(f"{k['kernel']:10}  {k['title']} ({sizes})")
    print()
    for section in duels.SECTIONS:
        for duel in section.duels:
            print(f"{section.name + '.' + duel.name:20}  {duel.title}")
    print()
    for p in found:
        print(f"{p.name:20}  {p.system} {p.version}, {p.compiler}".rstrip())
    for (section, name), entry in contestants.items():
        print(f"{section + ' ' + name:20}  {entry.version}")


def few_runs(cells):
    """A note if the time did not suffice for five runs everywhere."""
    few = [c for c in cells if c.ok and len(c.seconds) < 5]
    if not few:
        return []
    least = min(few, key=lambda c: len(c.seconds))
    return [f"{len(few)} of {len(cells)} rows rest on fewer than five runs, for want of time; the "
            f"fewest: {least.kernel}, {least.program}, {marks.name_workers(least.workers)}, "
            f"{len(least.seconds)}"]


def few_visits(answers):
    """The same for duels."""
    few = [a for a in answers if a.ok and len(a.values_of(a.figure)) < 5]
    if not few:
        return []
    least = min(few, key=lambda a: len(a.values_of(a.figure)))
    return [f"{len(few)} of {len(answers)} answers in duels rest on fewer than five samples, for "
            f"want of time; the fewest: {least.section}.{least.duel.name}, "
            f"{least.contestant.name}, {len(least.values_of(least.figure))}"]


def describe_duels(answers, contestants, missing):
    """The duels as plain values."""
    held = {(a.section, a.duel.name) for a in answers}
    sections = [{
        "name": s.name, "title": s.title, "missing": missing.get(s.name, {}),
        "versions": {c.name: contestants[s.name, c.name].version
                     for c in s.contestants if (s.name, c.name) in contestants},
        "duels": [{"name": d.name, "title": d.title, "figures": d.figures,
                   "more_is_better": d.more_is_better}
                  for d in s.duels if (s.name, d.name) in held],
    } for s in duels.SECTIONS if any(name == s.name for name, _ in held)]
    return {"sections": sections, "answers": [a.as_dict() for a in answers]}


@dataclass
class Measured:
    """Everything that came out."""

    kernels: list
    cells: list = field(default_factory=list)
    probes: dict = field(default_factory=dict)
    answers: list = field(default_factory=list)
    contestants: dict = field(default_factory=dict)
    missing: dict = field(default_factory=dict)

    def drop_what_is_missing(self):
        """What was not reached says nothing."""
        self.cells = [c for c in self.cells if c.seconds or c.errors]
        self.answers = [a for a in self.answers if a.visits]
        reached = {c.kernel for c in self.cells}
        self.kernels = [k for k in self.kernels if k["kernel"] in reached]


def assemble(options, found, measured, watched, tree, notes):
    """The report as plain values; text, JSON and HTML are made from it."""
    facts = machine.describe(SOURCE)
    results = marks.Results(measured.cells, measured.probes, facts["cpus_usable"])
    held = duel_marks.DuelResults(measured.answers)
    checked = (marks.all_marks(results) if measured.kernels else []) + duel_marks.all_marks(held)
    busy = machine.complaints(watched, facts["cpus_online"])
    notes = notes + few_runs(measured.cells) + few_visits(measured.answers)
    notes += [f"probe {name}: {p['error']}" for name, p in measured.probes.items() if "error" in p]
    return {
        "schema": 2,
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "mode": "quick" if options.quick else "full",
        "machine": facts,
        "watch": watched,
        "busy": busy,
        "headline": None if busy else marks.headline(results),
        "notes": notes,
        "data": tree.as_dict() if tree else None,
        "systems": [{"program": p.name, "system": p.system, "version": p.version,
                     "compiler": p.compiler} for p in found],
        "kernels": measured.kernels,
        "cells": [c.as_dict() for c in measured.cells],
        "probes": measured.probes,
        "duels": describe_duels(measured.answers, measured.contestants, measured.missing),
        "marks": [m.as_dict() for m in checked],
        "losses": (duel_marks.failures(held) + marks.losses(results, checked) +
                   duel_marks.lost_duels(held)),
    }


def prepare_output(name):
    directory = Path(name)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".weft-report").touch()
        (directory / ".weft-report").unlink()
    except OSError as error:
        raise Complaint(f"--out: {directory}: {error.strerror}") from error
    return directory


# Seconds of a quick report: for kernels and probes, for duels, and for one of them alone.
QUICK_KERNELS, QUICK_DUELS, QUICK_ALONE = 30, 24, 54
FULL_MINUTES = 60


def measure_kernels(options, found, tree, progress, measured):
    usable = machine.usable_cpus()
    workers = worker_list(options.workers, usable)
    plan = measure.Plan.make(options.quick, workers, options.runs, usable)
    if options.quick and options.chosen:
        plan.deadline = QUICK_KERNELS
    elif not options.quick:  # half of the time for the duels, if there are any
        plan.deadline = 60 * options.minutes / (2 if options.chosen else 1)
    measurement = measure.Measurement(found, plan, tree.path if tree else None, progress,
                                      measured.cells)
    if not options.no_probes:
        measure.run_probes(Path(options.build), options.quick, progress, measured.probes)
    measurement.run([k["kernel"] for k in measured.kernels])


def hold_duels(options, progress, measured, begin):
    """With all the time that the kernels have left."""
    seconds = QUICK_DUELS if measured.kernels else QUICK_ALONE
    if not options.quick:
        seconds = 60 * options.minutes - (time.monotonic() - begin)
    plan = duels.Plan.make(options.quick, options.runs, seconds)
    contest = duels.Contest(measured.contestants, plan, progress, chosen=options.chosen)
    measured.answers = contest.answers
    contest.run()


def measure_all(options, found, tree, progress, measured):
    """Returns a note if the user has had enough before the end: what there is by then counts."""
    begin = time.monotonic()
    try:
        if measured.kernels:
            measure_kernels(options, found, tree, progress, measured)
        if options.chosen:
            hold_duels(options, progress, measured, begin)
        return []
    except KeyboardInterrupt:
        measured.drop_what_is_missing()
        if not measured.cells and not measured.answers:
            raise
        took = text.time_of(time.monotonic() - begin)
        return [f"interrupted after {took}: some rows are missing, others rest on fewer runs"]


def main(argv):
    options = parse(argv)
    worker_list(options.workers, 1)  # complains of what makes no sense before anything is built
    options.runs = positive("--runs", options.runs, 1000) if options.runs else None
    options.minutes = FULL_MINUTES
    if options.minutes_said:
        options.minutes = positive("--minutes", options.minutes_said, 10000)
    options.chosen = pick_duels(options)
    build = Path(options.build)
    progress = text.Progress()
    directories, notes = programs.build_other(SOURCE, build, progress)
    found = programs.find(directories)
    if not any(p.system == "weft" for p in found):
        raise Complaint(f"{build}/bench: no program that runs weft; build the release first")
    contestants, missing = duels.find(SOURCE, directories)
    found = pick_programs(options.system, found, [name for _, name in contestants])
    contestants = pick_contestants(options.system, contestants)
    kernels = []
    if options.kernel or not options.duel:
        kernels = pick_kernels(options.kernel, found, options.quick and options.kernel is None)
    if options.list:
        progress.done()
        print_list(found, kernels, contestants)
        return 0
    out = prepare_output(options.out)
    tree = None
    if any(k["needs_data"] for k in kernels):
        tree = data.provide(options.tree, options.offline, 20 if options.quick else 300, progress)
    watch = machine.Watch()
    measured = Measured(kernels, contestants=contestants, missing=missing)
    interrupted = measure_all(options, found, tree, progress, measured)
    report = assemble(options, found, measured, watch.finish(), tree, notes + interrupted)
    progress.done()
    data.write_atomically(out / "report.json", json.dumps(report, indent=1).encode())
    data.write_atomically(out / "report.html", page.render(report).encode())
    sys.stdout.write(text.render(report))
    print(f"\nwritten: {out / 'report.html'}, {out / 'report.json'}")
    if interrupted:
        return INTERRUPTED
    return 0 if all_right(measured) else 1


def all_right(measured):
    """Whether every answer of weft was right."""
    return (all(c.ok for c in measured.cells if c.system == "weft") and
            all(a.ok for a in measured.answers if duel_marks.is_ours(a)))


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Complaint as complaint:
        print(f"weft-report: {complaint}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nweft-report: interrupted, nothing written", file=sys.stderr)
        sys.exit(INTERRUPTED)
