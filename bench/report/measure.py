# SPDX-License-Identifier: BSD-2-Clause
"""Measuring: who runs what, how often, in which order; medians and spread.

All systems take turns, in several rounds over everything that begin with another system each, so
that a machine that slows down for a while slows down everybody.
"""

import math
import statistics
import time
from dataclasses import dataclass, field

import programs as programs_module

OVERSUBSCRIBED = 4  # times the usable processors: what happens when workers outnumber them
OVERSUBSCRIBED_KERNELS = ("fib", "nqueens", "uts-t1")


@dataclass
class Plan:
    """How much to measure."""

    quick: bool
    workers: list
    runs: int           # of each cell, at least
    usable: int
    deadline: float     # seconds for everything; runs are dropped, never cells
    heavy_seconds: float = 0.1    # a longer run is its own warm-up
    run_seconds: float = 0.12     # longest run wanted where a kernel offers a choice of sizes
    visit_seconds: int = 2
    timeout: float = 60

    @classmethod
    def make(cls, quick, workers, runs, usable):
        if quick:
            return cls(True, workers, runs or 5, usable, 72)
        return cls(False, workers, runs or 9, usable, math.inf, 1.0, 1.0, 30, 900)


@dataclass
class Cell:
    """One system solving one problem with a number of workers."""

    kernel: str
    program: str
    system: str
    compiler: str
    workers: int
    size: int
    oversubscribed: bool = False
    seconds: list = field(default_factory=list)
    cpu_seconds: list = field(default_factory=list)
    rss_kib: int = 0
    tasks: int = 0
    answer: int | None = None
    expected: int | None = None
    errors: list = field(default_factory=list)

    @property
    def ok(self):
        return bool(self.seconds) and not self.errors

    @property
    def median(self):
        return statistics.median(self.seconds) if self.seconds else None

    def take(self, lines, error):
        """Add what a visit brought; a wrong answer is an error and its time does not count."""
        for line in lines:
            self.answer, self.expected = line["answer"], line["expected"]
            self.tasks = line["tasks"]
            self.rss_kib = max(self.rss_kib, line["rss_kib"])
            if line["ok"]:
                self.seconds.append(line["seconds"])
                self.cpu_seconds.append(line["cpu_seconds"])
        if any(not line["ok"] for line in lines):
            error = f"wrong answer {self.answer}, expected {self.expected}"
        if error and error not in self.errors:
            self.errors.append(error)

    def forget(self):
        self.seconds, self.cpu_seconds = [], []

    def as_dict(self):
        median = self.median
        return {
            "kernel": self.kernel, "program": self.program, "system": self.system,
            "compiler": self.compiler, "workers": self.workers, "size": self.size,
            "oversubscribed": self.oversubscribed, "runs": len(self.seconds), "ok": self.ok,
            "errors": self.errors, "tasks": self.tasks, "answer": self.answer,
            "expected": self.expected, "rss_kib": self.rss_kib,
            "seconds": median,
            "seconds_min": min(self.seconds, default=None),
            "seconds_max": max(self.seconds, default=None),
            "cpu_seconds": statistics.median(self.cpu_seconds) if self.cpu_seconds else None,
            "all_seconds": self.seconds,
        }


def problem_size(info, quick):
    return info["quick"] or info["full"] if quick else info["full"]


class Measurement:
    """Everything measured with the kernels."""

    def __init__(self, programs, plan, data_path, say, cells):
        """`cells` is filled: what is in it counts, also if this is interrupted."""
        self.programs, self.plan, self.data, self.say = programs, plan, data_path, say
        self.begin = time.monotonic()
        self.cells = cells

    def visit(self, cell, runs, warmups=1):
        program = next(p for p in self.programs if p.name == cell.program)
        arguments = [cell.kernel, "--size", cell.size, "--workers", cell.workers, "--runs", runs,
                     "--warmups", warmups, "--seconds", self.plan.visit_seconds]
        if program.kernels[cell.kernel]["needs_data"]:
            arguments += ["--data", self.data]
        return programs_module.call(program.path, arguments, self.plan.timeout)

    def make_cells(self, kernel, workers):
        cells = []
        for program in self.programs:
            info = program.kernels.get(kernel)
            if not info or (program.system == "serial" and workers > 1):
                continue
            size = problem_size(info, self.plan.quick)
            cells.append(Cell(kernel, program.name, program.system, program.compiler_name, workers,
                              size))
        return cells

    def oversubscribed_cells(self, kernel):
        """More workers than processors, for weft only, measured beside the matching number."""
        workers = OVERSUBSCRIBED * self.plan.usable
        if kernel not in OVERSUBSCRIBED_KERNELS or workers in self.plan.workers:
            return []
        cells = [c for c in self.make_cells(kernel, workers) if c.program == "weft-gcc"]
        for cell in cells:
            cell.oversubscribed = True
        return cells

    def choose_sizes(self, kernel):
        """The size for each program: smaller for those that would take too long; the same for all
        numbers of workers, so that a speed-up compares like with like."""
        sizes = {}
        for program in self.programs:
            info = program.kernels.get(kernel)
            if not info:
                continue
            wanted = problem_size(info, self.plan.quick)
            sizes[program.name] = wanted
            if info["least"] < wanted and not info["serial_only"]:
                sizes[program.name] = self.largest_size(program, info, wanted)
        return sizes

    def largest_size(self, program, info, wanted):
        """Extrapolate from the least size by tasks; where tasks are not counted, take all."""
        slowest = 0.0
        for workers in self.plan.workers:
            if program.system == "serial" and workers > 1:
                continue
            cell = Cell(info["kernel"], program.name, program.system, program.compiler_name,
                        workers, info["least"])
            cell.take(*self.visit(cell, runs=5))
            if not cell.seconds or not cell.tasks:
                return wanted
            slowest = max(slowest, min(cell.seconds))  # the best: a busy moment is no reason
        # Each step of one in fib's size is a factor of 1.618 in tasks.
        steps = math.log(max(self.plan.run_seconds / slowest, 1)) / math.log((1 + 5**0.5) / 2)
        return min(wanted, info["least"] + int(steps))

    def make_group(self, kernel, workers, sizes):
        """The cells that are compared with each other: one kernel, one number of workers."""
        cells = self.make_cells(kernel, workers)
        if workers == self.plan.usable:
            cells += self.oversubscribed_cells(kernel)
        for cell in cells:
            cell.size = sizes.get(cell.program, cell.size)
        return cells

    def measure_round(self, groups, number, wanted):
        """One visit to every cell that is `wanted`; False when the time is up."""
        for cells in groups:
            first = number % len(cells) if cells else 0
            for cell in cells[first:] + cells[:first]:
                if number > 0 and time.monotonic() - self.begin > self.plan.deadline:
                    return False
                if self.lacks_runs(cell) and wanted(cell, cells):
                    plural = "s" * (cell.workers > 1)
                    self.say(f"round {number + 1}: {cell.kernel}, {cell.workers} worker{plural}: "
                             f"{cell.program}")
                    self.measure_once(cell)
        return True

    def measure_once(self, cell):
        """One visit. The first one finds out how long a run takes: a long run needs no warm-up and
        is kept, a short one was the warm-up of the file cache and is forgotten."""
        if not cell.seconds:
            cell.take(*self.visit(cell, runs=1, warmups=0))
            if cell.errors or not cell.seconds or cell.median > self.plan.heavy_seconds:
                return
            cell.forget()
            cell.take(*self.visit(cell, runs=2))
        elif cell.median > self.plan.heavy_seconds:
            cell.take(*self.visit(cell, runs=1, warmups=0))
        else:
            cell.take(*self.visit(cell, runs=3))

    def lacks_runs(self, cell):
        """Whether to go on; minutes of the same thing teach less than the next kernel."""
        n, total = len(cell.seconds), sum(cell.seconds)
        enough = n >= self.plan.runs or (n >= 5 and total > 10) or (n >= 3 and total > 60)
        return not cell.errors and not enough

    def run(self, kernels):
        """Measure every cell once, then again and again until all have been measured enough or
        the time is up. Rows far behind the fastest come last: they need no third digit."""
        groups = []
        for kernel in kernels:
            self.say(f"{kernel}: choosing sizes")
            sizes = self.choose_sizes(kernel)
            groups += [self.make_group(kernel, w, sizes) for w in self.plan.workers]
        self.cells += [cell for cells in groups for cell in cells]
        number = 0
        in_time = self.measure_round(groups, number, lambda cell, cells: True)
        for wanted in (keeps_up, lambda cell, cells: True):
            while in_time and any(self.lacks_runs(c) and wanted(c, g) for g in groups for c in g):
                number += 1
                in_time = self.measure_round(groups, number, wanted)
        return self.cells


def keeps_up(cell, cells):
    """Within three times the fastest of its group, by the task. weft and the serial twins always
    are: the marks rest on them, and one slow first run must not stand alone."""
    if cell.system in ("weft", "serial"):
        return True
    def pace(c):
        return c.median / (c.tasks or 1)
    return pace(cell) <= 3 * min(pace(c) for c in cells if c.seconds)


PROBES = {  # name: argument when quick, argument otherwise
    "idle": (2, 5),
    "trickle": (2, 5),
    "burst": (3, 15),
    "ramp": (30, 300),
    "scale": (40, 200),
    "wake": (200, 1000),
    "memory": (None, None),
    "empty": (None, None),
    "bits": (None, None),
}


def run_probes(directory, quick, say, results):
    """Each probe's JSON line, by name; a probe that fails is an entry with its error."""
    for name, arguments in PROBES.items():
        path = directory / "bench" / f"probe-{name}"
        if not path.exists():
            results[name] = {"error": "not built"}
            continue
        say(f"probe: {name}")
        argument = arguments[0 if quick else 1]
        lines, error = programs_module.call(path, [] if argument is None else [argument], 120)
        results[name] = dict(lines[0]) if lines else {}
        if error or not lines:
            results[name]["error"] = error or "said nothing"
