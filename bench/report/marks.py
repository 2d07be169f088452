# SPDX-License-Identifier: BSD-2-Clause
"""What weft promises, checked against what has just been measured; and where it loses."""

from dataclasses import dataclass

import text

MARGIN = 0.03  # a difference smaller than this is noise, not a loss


class Results:
    """The cells, asked for by name. Times compare across sizes by the task."""

    def __init__(self, cells, probes, usable):
        self.cells, self.probes, self.usable = cells, probes, usable
        self.table = {(c.kernel, c.program, c.workers): c for c in cells if c.ok}

    def cell(self, kernel, program, workers):
        return self.table.get((kernel, program, workers))

    def ratio(self, kernel, above, below):
        """Time of `above` over time of `below`, each a (program, workers); None: not measured.

        `kernel` may be a pair, one for each side. Where sizes differ, time by the task counts.
        """
        kernels = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        a, b = self.cell(kernels[0], *above), self.cell(kernels[1], *below)
        return None if a is None or b is None else compare(a, b)

    def probe(self, name, key):
        return self.probes.get(name, {}).get(key)


def compare(a, b):
    """How many times as long `a` takes for the same work; None if the work differs."""
    if a.size == b.size:
        return a.median / b.median
    if a.tasks and b.tasks:
        return (a.median / a.tasks) / (b.median / b.tasks)
    return None


@dataclass
class Mark:
    """One promise. `value` is None where it could not be measured here."""

    what: str
    value: float | None
    limit: float | None   # None: shown for information
    at_most: bool
    unit: str

    @property
    def met(self):
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit

    @property
    def missed_by(self):
        """Share by which the limit is missed; 0 if it is met."""
        if self.met is not False:
            return 0.0
        return abs(self.value - self.limit) / self.limit if self.limit else float("inf")

    @property
    def verdict(self):
        if self.value is None:
            return "not measured"
        if self.limit is None:
            return "information"
        return "met" if self.met else f"missed by {100 * self.missed_by:.0f} %"

    def as_dict(self):
        return {"what": self.what, "value": self.value, "limit": self.limit,
                "at_most": self.at_most, "unit": self.unit, "met": self.met,
                "verdict": self.verdict}


def at_most(what, value, limit, unit="x"):
    return Mark(what, value, limit, True, unit)


def at_least(what, value, limit, unit="x"):
    return Mark(what, value, limit, False, unit)


def task_marks(r):
    gcc, clang = ("weft-gcc", 1), ("weft-clang", 1)
    pair = ("fib", "fib-calls")
    return [
        at_most("fib, gcc, one worker: time over a serial tree of calls",
                r.ratio(pair, gcc, ("serial-gcc", 1)), 0.80),
        at_most("fib, clang, one worker: time over a serial tree of calls",
                r.ratio(pair, clang, ("serial-clang", 1)), 1.10),
        at_least("fib, one worker: faster per task than oneTBB",
                 r.ratio("fib", ("tbb-gcc", 1), gcc), 25),
        at_most("nqueens, one worker: time over the serial twin",
                r.ratio("nqueens", gcc, ("serial-gcc", 1)), 1.10),
        at_most("nqueens, two workers: time over the serial twin",
                r.ratio("nqueens", ("weft-gcc", 2), ("serial-gcc", 1)), 0.55),
    ]


def scaling_marks(r):
    marks = [at_least(f"{kernel}: two workers over one",
                      r.ratio(kernel, ("weft-gcc", 1), ("weft-gcc", 2)), 1.9)
             for kernel in ("fib", "nqueens", "uts-t1", "matmul")]
    marks.append(at_most("sum, all processors: time over the best peer",
                         over_best_peer(r, "sum", r.usable), 1.05))
    for kernel in ("fib", "nqueens", "uts-t1"):
        marks.append(at_most(f"{kernel}: {4 * r.usable} workers on {r.usable} processors over "
                             f"{r.usable}",
                             r.ratio(kernel, ("weft-gcc", 4 * r.usable), ("weft-gcc", r.usable)),
                             1.10))
    return marks


def over_best_peer(r, kernel, workers):
    """Time of the better weft over that of the best peer."""
    def best(keep):
        cells = [c for c in r.cells if c.ok and c.kernel == kernel and c.workers == workers and
                 keep(c.system)]
        return min(cells, key=lambda c: c.median, default=None)
    ours, theirs = best(lambda s: s == "weft"), best(lambda s: s not in ("weft", "serial"))
    return None if ours is None or theirs is None else compare(ours, theirs)


def scaled(value, factor):
    return None if value is None else value * factor


def probe_marks(r):
    rss, empty = r.probe("memory", "rss_kib"), r.probe("empty", "rss_kib")
    extra = None if rss is None or empty is None else rss - empty
    same = r.probe("bits", "same")
    return [
        at_most("idle: processor time of two workers with nothing to do",
                scaled(r.probe("idle", "share"), 100), 0.1, " % of a core"),
        at_most("trickle: processor time of 1,000 tiny jobs a second",
                scaled(r.probe("trickle", "share"), 100), 5, " % of a core"),
        at_least("burst: a region of 5–10 ms after 1 s of idleness, two workers over one",
                 r.probe("burst", "speedup"), 1.7),
        at_most("ramp: a region that begins while all sleep, until half of the workers work",
                scaled(r.probe("ramp", "half_seconds"), 1e6), None, " µs"),
        at_most("ramp: the same, until all do",
                scaled(r.probe("ramp", "all_seconds"), 1e6), None, " µs"),
        at_most("wake: call into a sleeping runtime until its function begins, median",
                scaled(r.probe("wake", "start_p50"), 1e6), None, " µs"),
        at_most("wake: the same, 99th percentile",
                scaled(r.probe("wake", "start_p99"), 1e6), None, " µs"),
        at_most("wake: round trip, median",
                scaled(r.probe("wake", "round_p50"), 1e6), None, " µs"),
        at_most("wake: round trip, 99th percentile",
                scaled(r.probe("wake", "round_p99"), 1e6), None, " µs"),
        at_most("wake: round trip in a phase, median",
                scaled(r.probe("wake", "phase_round_p50"), 1e6), None, " µs"),
        at_most("wake: the same, 99th percentile",
                scaled(r.probe("wake", "phase_round_p99"), 1e6), None, " µs"),
        at_most("memory of an idle runtime with two workers, above an empty process", extra, 2048,
                " KiB"),
        at_most("bits: numbers of workers that change a sum of 10 million doubles",
                None if same is None else int(not same), 0, ""),
    ]


SCALED = {"yield": "fibers give way", "start": "fibers are started and joined",
          "channel": "pairs of fibers talk through channels",
          "future": "fibers submit and await futures", "sleep": "fibers sleep 100 µs"}


def fiber_scaling_marks(r):
    """How much more all workers do than one, of what has nothing to share."""
    def ratio(name):
        one, everybody = r.probe("scale", f"{name}_one"), r.probe("scale", f"{name}_all")
        return everybody / one if one and everybody else None
    return [at_least(f"scale: {what}: operations a second, all workers over one", ratio(name), None)
            for name, what in SCALED.items()]


def all_marks(results):
    return (task_marks(results) + scaling_marks(results) + probe_marks(results) +
            fiber_scaling_marks(results))


# ---- where weft loses -------------------------------------------------------------------------


def name_workers(n):
    return f"{n} worker{'s' * (n != 1)}"


def lost_races(r):
    """Each race some peer wins against both builds of weft."""
    found = []
    for kernel, workers in sorted({(c.kernel, c.workers) for c in r.cells}):
        cells = [c for c in r.cells if c.ok and (c.kernel, c.workers) == (kernel, workers)]
        ours = [c for c in cells if c.system == "weft"]
        for peer in (c for c in cells if c.system not in ("weft", "serial")):
            ratios = [x for x in (compare(c, peer) for c in ours) if x is not None]
            fastest = min((min(c.seconds) / (c.tasks or 1) for c in ours), default=0)
            if fastest <= min(peer.seconds) / (peer.tasks or 1):
                continue  # the medians may differ, but our best run was better than theirs
            if ratios and min(ratios) > 1 + MARGIN:
                found.append(f"{kernel}, {name_workers(workers)}: {peer.program} is "
                             f"{100 * (min(ratios) - 1):.0f} % faster than the better weft")
    return found


def dear_workers(r):
    """Where one worker is slower than the serial twin of the same compiler."""
    found = []
    for c in r.cells:
        if c.ok and c.system == "weft" and c.workers == 1:
            ratio = r.ratio(c.kernel, (c.program, 1), (f"serial-{c.compiler}", 1))
            if ratio is not None and ratio > 1 + MARGIN:
                found.append(f"{c.kernel}, {c.program}: one worker takes {ratio:.2f} times as long "
                             "as the serial twin")
    return found


def dear_resources(r):
    """Memory or processor time beyond every peer's, at the same kernel, size and workers."""
    found = []
    for c in (c for c in r.cells if c.ok and c.program == "weft-gcc"):
        peers = [p for p in r.cells
                 if p.ok and p.system not in ("weft", "serial") and p.kernel == c.kernel and
                 p.workers == c.workers and p.size == c.size]
        if not peers:
            continue
        rss = min(p.rss_kib for p in peers)
        if c.rss_kib > rss + 1024:
            found.append(f"{c.kernel}, {name_workers(c.workers)}: weft-gcc peaks at "
                         f"{c.rss_kib / 1024:.1f} MiB, the thriftiest peer at {rss / 1024:.1f}")
    return found


def failures(r):
    return [f"{c.kernel}, {name_workers(c.workers)}: {c.program}: {error}"
            for c in r.cells if c.system == "weft" for error in c.errors]


def losses(results, marks):
    missed = [f"mark missed: {m['what']}: {text.value_of(m)}, not {text.limit_of(m)}"
              for m in (mark.as_dict() for mark in marks if mark.met is False)]
    return (failures(results) + missed + lost_races(results) + dear_workers(results) +
            dear_resources(results))


def headline(results):
    """The one sentence to quote, or None without the figures for it."""
    cell = results.cell("fib", "weft-gcc", 1)
    tbb = results.ratio("fib", ("tbb-gcc", 1), ("weft-gcc", 1))
    if cell is None:
        return None
    text = f"A task costs weft {1e9 * cell.median / cell.tasks:.1f} ns"
    if tbb is not None:
        text += f", {tbb:.0f} times less than oneTBB"
    speedups = [results.ratio(k, ("weft-gcc", 1), ("weft-gcc", results.usable))
                for k in ("nqueens", "uts-t1", "uts-t3", "matmul")]
    speedups = [s for s in speedups if s is not None]
    if speedups and results.usable > 1:
        text += (f"; {results.usable} workers are {min(speedups):.2f} to {max(speedups):.2f} times "
                 "as fast as one")
    return text + "."
