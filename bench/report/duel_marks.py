# SPDX-License-Identifier: BSD-2-Clause
"""What weft promises in the duels; and which of them a peer won."""

import statistics

import text
from marks import MARGIN, Mark


class DuelResults:
    """The answers, asked for by name."""

    def __init__(self, answers):
        self.answers = answers
        self.table = {(a.section, a.duel.name, a.contestant.name): a for a in answers if a.ok}

    def those_of(self, section, duel):
        return [a for a in self.table.values() if (a.section, a.duel.name) == (section, duel)]

    def best_peer(self, section, duel, quantity):
        """The values of the best of all rivals that are not weft."""
        return best(quantity, [a for a in self.those_of(section, duel)
                               if not is_ours(a) and not a.contestant.reference])


def best(quantity, answers):
    """One quantity's values, a visit each, of whoever has the best median; None if nobody has
    it."""
    having = [a for a in answers if a.values_of(quantity)]
    more = any(a.duel.more_is_better for a in having) and quantity in having[0].duel.figures
    winner = (max if more else min)(having, key=lambda a: a.median_of(quantity), default=None)
    return winner and winner.values_of(quantity)


def median(values):
    return statistics.median(values) if values else None


def is_ours(answer):
    return answer.contestant.name.split("-")[0] == "weft"


def over(above, below):
    """The median of the ratios, visit by visit: what the machine does else changes within
    seconds, and two that take turns see the same of it. Where one has been visited more often
    than the other, the ratio of the medians."""
    if not above or not below or not all(below):
        return None
    if len(above) != len(below):
        return median(above) / median(below)
    return median([a / b for a, b in zip(above, below)])


class Section:
    """Makes marks about one section; the subject is weft, or the best of several wefts."""

    def __init__(self, results, section, ours="weft"):
        self.results, self.section = results, section
        self.ours = ours if isinstance(ours, tuple) else (ours,)

    def values(self, duel, quantity, contestants=None):
        return best(quantity, [a for a in self.results.those_of(self.section, duel)
                               if a.contestant.name in (contestants or self.ours)])

    def theirs(self, duel, quantity, peer):
        """A peer's values; None: the best peer's."""
        return (self.values(duel, quantity, (peer,)) if peer else
                self.results.best_peer(self.section, duel, quantity))

    def mark(self, what, value, limit, at_most, unit):
        return Mark(f"{self.section}: {what}", value, limit, at_most, unit)

    def at_most(self, what, duel, quantity, limit, unit, least_size=0):
        """A limit on our value; one for a problem of some size at least says nothing about less."""
        answers = self.results.those_of(self.section, duel)
        large = all(a.size >= least_size for a in answers if is_ours(a))
        value = median(self.values(duel, quantity)) if large else None
        return self.mark(what, value, limit, True, unit)

    def at_least(self, what, duel, quantity, limit, unit):
        return self.mark(what, median(self.values(duel, quantity)), limit, False, unit)

    def no_worse(self, what, duel, quantity, peer, limit=1.0):
        """Ours over a peer's, where less is better."""
        ratio = over(self.values(duel, quantity), self.theirs(duel, quantity, peer))
        return self.mark(what, ratio, limit, True, "x")

    def no_less(self, what, duel, quantity, peer, limit=1.0, their_quantity=None):
        """Ours over a peer's, where more is better."""
        ratio = over(self.values(duel, quantity),
                     self.theirs(duel, their_quantity or quantity, peer))
        return self.mark(what, ratio, limit, False, "x")

    def faster(self, what, duel, quantity, peer, limit):
        """How many times as long the peer takes."""
        ratio = over(self.theirs(duel, quantity, peer), self.values(duel, quantity))
        return self.mark(what, ratio, limit, False, "x")


def futures_marks(results):
    s = Section(results, "futures")
    return [
        s.at_most("submit and result from a task", "inside", "each", 100, " ns"),
        s.at_most("submit and result from outside, workers awake", "outside", "each", 500, " ns"),
        s.no_worse("submit and result from outside, everybody asleep, over a bare futex's",
                   "asleep", "p50", "futex"),
        s.at_least("throughput from outside", "throughput", "rate", 10, " M/s"),
        s.at_most("memory of a future in flight", "memory", "bytes", 128, " B"),
    ]


TIMES_ASYNCIO = (("start", 100), ("yield", 100), ("pingpong", 100))


def fibers_marks(results):
    s = Section(results, "fibers")
    return [
        s.at_most("a bare switch, three calls deep", "switch", "each", 10, " ns"),
        s.at_most("yield", "yield", "each", 15, " ns"),
        s.at_most("ping-pong on one worker, one way", "pingpong", "each", 18, " ns"),
        s.at_most("start, run and join", "start", "each", 25, " ns"),
        s.faster("start, block once and join: Go's time over ours", "start-block", "each", "go", 3),
        s.at_most("memory of a blocked fiber", "memory", "bytes", 4.3 * 1024, " B"),
        s.at_most("mappings of the process with all fibers blocked", "memory", "mappings", 99, ""),
        s.at_most("100,000 fibers sleep 10 ms ten times", "sleepers", "wall", 300, " ms",
                  least_size=100_000),
        s.at_most("processor time of a sleep", "sleepers", "cpu", 300, " ns"),
        s.at_most("ping-pong between two workers, one way", "pair", "each", 150, " ns"),
        s.at_most("ping-pong between a fiber and a plain thread, one way", "thread", "each", 150,
                  " ns"),
        s.no_worse("wake-up of a fiber and back, everybody asleep, over a bare futex's", "asleep",
                   "p50", "futex"),
        *(s.faster(f"{duel}: asyncio's time over ours", duel, "each", "asyncio", limit)
          for duel, limit in TIMES_ASYNCIO),
        s.faster("processor time of a sleep: asyncio's over ours", "sleepers", "cpu", "asyncio",
                 30),
    ]


def io_marks(results):
    s = Section(results, "io", ours=("weft-epoll", "weft-uring"))
    return [
        s.no_less("echo: requests a second over the best peer's", "echo", "rate", None),
        s.at_most("echo: processor time of the server for a request", "echo", "cpu", 6, " µs"),
        s.at_most("echo: 99th percentile", "echo", "p99", None, " µs"),
        s.at_most("memory of an idle connection", "idle", "bytes", 6 * 1024, " B"),
        s.no_less("echo: requests a second over asyncio's", "echo", "rate", "asyncio", 4.5),
    ]


def ipc_marks(results):
    """Absolute limits hold for processors that are near each other."""
    s = Section(results, "ipc", ours=("weft", "weft-mpmc"))
    return [
        s.no_less("8 bytes: messages a second over the best peer's, near", "8", "near", None),
        s.at_least("8 bytes in batches, near", "batch", "near", 300, " M/s"),
        s.at_least("64 bytes, near", "64", "near", 31, " M/s"),
        s.at_least("1 KiB, near", "1k", "near", 8, " M/s"),
        s.at_least("1 KiB in place, near", "in-place", "near", 10, " M/s"),
        s.at_least("64 KiB, near", "64k", "near", 31, " GB/s"),
        s.at_most("round trip, spinning, near, median", "round-trip", "near.p50", 120, " ns"),
        s.at_most("round trip, spinning, near, 99th percentile", "round-trip", "near.p99", 170,
                  " ns"),
        s.at_most("round trip with calls that sleep, answered at once, median", "waiting",
                  "near.p50", 1000, " ns"),
        s.no_worse("round trip, both sides asleep, over a bare futex's", "cold", "p50", "futex"),
        s.at_least("two senders, two receivers, near", "mpmc", "near", 33, " M/s"),
        s.no_less("8 bytes: messages a second over multiprocessing.Queue's", "8", "near",
                  "mp.Queue", 200, "any"),
        s.no_less("8 bytes: messages a second over multiprocessing.Pipe's", "8", "near",
                  "mp.Pipe", 20, "any"),
    ]


def processes_marks(results):
    s = Section(results, "processes")
    return [
        s.at_most("a pool made, used once and shut down", "once", "p50", 1000, " µs"),
        s.at_most("empty task, everybody asleep", "asleep", "p50", 40, " µs"),
        s.faster("empty task, everybody asleep: Python's time over ours", "asleep", "p50",
                 "python", 6),
        s.faster("empty task, workers awake: Python's time over ours", "awake", "p50", "python",
                 100),
        s.no_less("empty tasks a second over Python's", "throughput", "rate", "python", 500),
    ]


MAKERS = {"futures": futures_marks, "fibers": fibers_marks, "io": io_marks, "ipc": ipc_marks,
          "processes": processes_marks}


def all_marks(results):
    """The marks of the sections that were measured."""
    return [mark for name, make in MAKERS.items()
            if any(a.section == name for a in results.answers) for mark in make(results)]


# ---- where weft loses -------------------------------------------------------------------------


def lost(ours, theirs, more_is_better):
    """By which share `theirs` is better, in the median and in the best of all; else 0."""
    if more_is_better:
        ours = [1 / v for v in ours if v]
        theirs = [1 / v for v in theirs if v]
    if not ours or not theirs or min(ours) <= min(theirs) or min(theirs) <= 0:
        return 0.0
    return max(0.0, statistics.median(ours) / statistics.median(theirs) - 1)


def lost_duels(results):
    """Each duel some rival wins against the best of weft."""
    found = []
    for section, duel in {(a.section, a.duel.name): a.duel for a in results.answers}.items():
        answers = [a for a in results.table.values() if (a.section, a.duel.name) == section]
        for figure in duel.figures:
            found += lost_figure([a for a in answers if a.values_of(figure)], figure)
    return found


def lost_figure(answers, figure):
    """The same for one figure of one duel, whose answers these are."""
    ours = [a for a in answers if is_ours(a)]
    found = []
    for rival in answers:
        if is_ours(rival) or rival.contestant.reference or not ours:
            continue
        more = rival.duel.more_is_better
        share = min(lost(a.values_of(figure), rival.values_of(figure), more) for a in ours)
        if share > MARGIN:
            best = (max if more else min)(ours, key=lambda a: a.median_of(figure))
            found.append(f"{rival.section}.{rival.duel.name}: {rival.contestant.name} is "
                         f"{100 * share:.0f} % better ({figure} {text.measure_of(rival, figure)} "
                         f"against {text.measure_of(best, figure)})")
    return found


def failures(results):
    return [f"{a.section}, {a.duel.name}: {a.contestant.name}: {error}"
            for a in results.answers if is_ours(a) for error in a.errors]
