# SPDX-License-Identifier: BSD-2-Clause
"""weft-report — measure weft beside its peers and say what came out.

One run makes a table on the terminal, report.json and report.html. Exit status: 0 all answers of
weft were right, 1 one was wrong or missing, 2 the request made no sense or data was unreadable.
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

import data
import machine
import marks
import measure
import page
import programs
import text
from errors import Complaint

SOURCE = Path(__file__).resolve().parents[2]
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
    parser.add_argument("--kernel", "--kernels", metavar="A,B", help="only these kernels")
    parser.add_argument("--system", "--systems", metavar="A,B",
                        help="only these peers; weft and the serial twins always run, weft-gcc "
                             "or weft-clang picks one of them")
    parser.add_argument("--workers", metavar="LIST",
                        help="numbers of workers, for example 1,2,4; default: 1, 2, 4 … and all "
                             "usable processors")
    parser.add_argument("--runs", metavar="N", help="runs of each cell, at least (quick 5, full 9)")
    parser.add_argument("--out", metavar="DIR", default="out", help="where to write (default: out)")
    parser.add_argument("--tree", metavar="FILE", help="a tree file for the kernel `tree`")
    parser.add_argument("--offline", action="store_true", help="do not fetch data")
    parser.add_argument("--no-probes", action="store_true", help="kernels only")
    parser.add_argument("--list", action="store_true", help="list kernels and programs, then stop")
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
    chosen = [word.strip() for word in words.split(",")]
    for word in chosen:
        if not any(word in (k, known[k]["group"]) for k in order):
            raise Complaint(f"--kernel: unknown kernel: '{word}' (there are {', '.join(order)})")
    picked = [k for k in order if k in chosen or known[k]["group"] in chosen]
    if "fib" in picked and "fib-calls" in known and "fib-calls" not in picked:
        picked.insert(picked.index("fib") + 1, "fib-calls")
    return [known[k] for k in picked]


def pick_programs(words, found):
    if words is None:
        return found
    chosen = [word.strip() for word in words.split(",")]
    for word in chosen:
        if not any(word in (p.name, p.system) for p in found):
            raise Complaint(f"--system: unknown system: '{word}' (there are "
                            f"{', '.join(p.name for p in found)})")
    always = {"serial"}
    if not any(word.split("-")[0] == "weft" for word in chosen):
        always.add("weft")  # what the peers are compared with
    return [p for p in found if p.system in always or {p.name, p.system} & set(chosen)]


def print_list(found, kernels):
    for k in kernels:
        sizes = f"quick {k['quick'] or 'left out'}, full {k['full']}"
        print(f"{k['kernel']:10}  {k['title']} ({sizes})")
    print()
    for p in found:
        print(f"{p.name:14}  {p.system} {p.version}, {p.compiler}".rstrip())


def few_runs(cells):
    """A note if the time did not suffice for five runs everywhere."""
    few = [c for c in cells if c.ok and len(c.seconds) < 5]
    if not few:
        return []
    least = min(few, key=lambda c: len(c.seconds))
    return [f"{len(few)} of {len(cells)} rows rest on fewer than five runs, for want of time; the "
            f"fewest: {least.kernel}, {least.program}, {marks.name_workers(least.workers)}, "
            f"{len(least.seconds)}"]


def assemble(options, found, kernels, cells, probes, watched, tree, notes):
    """The report as plain values; text, JSON and HTML are made from it."""
    facts = machine.describe(SOURCE)
    results = marks.Results(cells, probes, facts["cpus_usable"])
    checked = marks.all_marks(results)
    busy = machine.complaints(watched, facts["cpus_online"])
    notes = notes + few_runs(cells)
    notes += [f"probe {name}: {p['error']}" for name, p in probes.items() if "error" in p]
    return {
        "schema": 1,
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
        "kernels": kernels,
        "cells": [c.as_dict() for c in cells],
        "probes": probes,
        "marks": [m.as_dict() for m in checked],
        "losses": marks.losses(results, checked),
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


def main(argv):
    options = parse(argv)
    usable = machine.usable_cpus()
    workers = worker_list(options.workers, usable)
    runs = positive("--runs", options.runs, 1000) if options.runs else None
    build = Path(options.build)
    progress = text.Progress()
    directories, notes = programs.build_other(SOURCE, build, progress)
    found = programs.find(directories)
    if not any(p.system == "weft" for p in found):
        raise Complaint(f"{build}/bench: no program that runs weft; build the release first")
    found = pick_programs(options.system, found)
    kernels = pick_kernels(options.kernel, found, options.quick and options.kernel is None)
    if options.list:
        progress.done()
        print_list(found, kernels)
        return 0
    out = prepare_output(options.out)
    tree = None
    if any(k["needs_data"] for k in kernels):
        tree = data.provide(options.tree, options.offline, 20 if options.quick else 300, progress)
    watch = machine.Watch()
    plan = measure.Plan.make(options.quick, workers, runs, usable)
    measurement = measure.Measurement(found, plan, tree.path if tree else None, progress)
    probes = {} if options.no_probes else measure.run_probes(build, options.quick, progress)
    cells = measurement.run([k["kernel"] for k in kernels])
    report = assemble(options, found, kernels, cells, probes, watch.finish(), tree, notes)
    progress.done()
    data.write_atomically(out / "report.json", json.dumps(report, indent=1).encode())
    data.write_atomically(out / "report.html", page.render(report).encode())
    sys.stdout.write(text.render(report))
    print(f"\nwritten: {out / 'report.html'}, {out / 'report.json'}")
    return 1 if any(c.system == "weft" and not c.ok for c in cells) else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Complaint as complaint:
        print(f"weft-report: {complaint}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nweft-report: interrupted, nothing written", file=sys.stderr)
        sys.exit(130)
