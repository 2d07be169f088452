# SPDX-License-Identifier: BSD-2-Clause
"""Duels: small programs that each answer one question, weft's beside its peers'.

A section has contestants and duels. Each visit is a process of its own, `COMMAND DUEL SECONDS
SIZE`, that prints lines of `quantity value unit`; all contestants of a duel take turns, in several
rounds over everything. bench/duels/duel.h says what the programs promise.
"""

import statistics
import sys
import time
from dataclasses import dataclass, field

import programs


@dataclass(frozen=True)
class Contestant:
    """Who takes part. The command's words are programs that were built, or scripts."""

    name: str
    command: tuple
    absent: str              # why there may be no such program
    reference: bool = False  # a bound to compare with, not a rival


@dataclass(frozen=True)
class Duel:
    """One question. `figure` is the quantity that decides; the others stand beside it. Where it
    begins with `near`, figures measured at another distance are compared among themselves."""

    name: str
    title: str
    figure: str
    quick: tuple           # seconds, size
    full: tuple
    more_is_better: bool = False
    largest: dict = field(default_factory=dict)  # for contestants that cannot take the whole size
    too_slow: tuple = ()   # contestants that would take a quick report's time for themselves

    @property
    def figures(self):
        """All quantities that decide, each among themselves."""
        if not self.figure.startswith("near"):
            return (self.figure,)
        return tuple(self.figure.replace("near", distance) for distance in ("near", "far", "any"))


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    contestants: tuple
    duels: tuple


OURS = "not in this checkout"

FUTURES = Section(
    "futures", "Futures: a pool of two workers and threads that submit to it", (
        Contestant("weft", ("futures-weft",), OURS),
        Contestant("tbb", ("futures-tbb",), "needs libtbb-dev"),
        Contestant("asio", ("futures-asio",), "needs libboost-dev"),
        Contestant("async", ("futures-async",), "needs g++"),
        Contestant("mutex", ("futures-mutex",), OURS),
        Contestant("python", ("futures/threadpool.py",), "needs python3"),
        Contestant("futex", ("futures-futex",), OURS, reference=True),
    ), (
        Duel("inside", "submit and result of an empty task, from a task", "each",
             (0.1, 0), (1, 0)),
        Duel("outside", "submit and result of an empty task, from a plain thread, one after the "
             "other", "each", (0.1, 0), (1, 0)),
        Duel("asleep", "submit and result of an empty task, from a plain thread, everybody asleep",
             "p50", (0.1, 0), (1, 0)),
        Duel("throughput", "empty tasks submitted by one plain thread, a thousand in flight",
             "rate", (0.1, 0), (1, 0), more_is_better=True),
        Duel("memory", "resident memory of a future in flight", "bytes",
             (0, 200_000), (0, 1_000_000), largest={"python": 50_000}),
        Duel("waiters", "one completion until the last of 64 plain threads that wait has the "
             "result", "p50", (0.05, 0), (1, 0)),
    ))

FIBERS = Section(
    "fibers", "Fibers: one worker, unless the duel says otherwise", (
        Contestant("weft", ("fibers-weft",), OURS),
        Contestant("go", ("fibers-go",), "needs golang-go"),
        Contestant("boost", ("fibers-boost",), "needs libboost-fiber-dev"),
        Contestant("st", ("fibers-st",), "needs libst-dev"),
        Contestant("asyncio", ("fibers/asyncio_tasks.py",), "needs python3"),
        Contestant("libuv", ("fibers-uv",), "needs libuv1-dev"),
        Contestant("ucontext", ("fibers-ucontext",), OURS),
        Contestant("floor", ("fibers-floor",), OURS, reference=True),
        Contestant("futex", ("futures-futex",), OURS, reference=True),
    ), (
        Duel("switch", "a bare switch, three calls deep, without a scheduler", "each",
             (0.05, 0), (0.5, 0)),
        Duel("yield", "two fibers give way to each other", "each", (0.05, 0), (0.5, 0)),
        Duel("start", "start, run and join of a fiber that does not block", "each",
             (0.05, 0), (0.5, 0)),
        Duel("start-block", "start, run and join of a fiber that blocks once", "each",
             (0.05, 0), (0.5, 0)),
        Duel("pingpong", "one way of a ping-pong through channels or the like", "each",
             (0.05, 0), (0.5, 0)),
        Duel("pair", "one way of a ping-pong between two workers", "each", (0.1, 0), (1, 0)),
        Duel("thread", "one way of a ping-pong between a fiber and a plain thread", "each",
             (0.1, 0), (1, 0)),
        Duel("asleep", "from a plain thread to a fiber and back, everybody asleep", "p50",
             (0.1, 0), (1, 0)),
        Duel("memory", "resident memory of a blocked fiber", "bytes",
             (0, 20_000), (0, 1_000_000), largest={"boost": 100_000}),
        Duel("sleepers", "so many fibers sleep 10 ms, ten times over: 100 ms at best", "cpu",
             (0, 100_000), (0, 100_000), too_slow=("asyncio",)),
    ))

IO = Section(
    "io", "I/O: an echo server on loopback, on one processor, its clients on another", (
        *(Contestant(f"weft-{reactor}", ("io-load", "io-weft", f"--{reactor}"), OURS)
          for reactor in ("epoll", "uring")),
        Contestant("epoll", ("io-load", "io-epoll"), OURS),
        Contestant("uring", ("io-load", "io-uring"), "needs liburing-dev"),
        Contestant("libuv", ("io-load", "io-uv"), "needs libuv1-dev"),
        Contestant("go", ("io-load", "io-go"), "needs golang-go"),
        Contestant("asyncio", ("io-load", "io/asyncio_echo.py"), "needs python3"),
    ), (
        Duel("echo", "64 connections with a request of 64 bytes each on its way", "rate",
             (0.3, 0), (2, 0), more_is_better=True),
        Duel("idle", "resident memory of the server for an idle connection", "bytes",
             (0, 500), (0, 10_000)),
    ))

IPC = Section(
    "ipc", "Rings between processes on two processors, by how far those are from each other", (
        Contestant("weft", ("ipc-weft",), OURS),
        Contestant("weft-mpmc", ("ipc-weft_mpmc",), OURS),
        Contestant("cached", ("ipc-cached",), OURS),
        Contestant("boost", ("ipc-boost",), "needs libboost-dev"),
        Contestant("ck", ("ipc-ck",), "needs libck-dev"),
        Contestant("ck-mpmc", ("ipc-ck_mpmc",), "needs libck-dev"),
        Contestant("dpdk", ("ipc-rte",), "needs libdpdk-dev"),
        Contestant("dpdk-mpmc", ("ipc-rte_mpmc",), "needs libdpdk-dev"),
        Contestant("vyukov", ("ipc-vyukov",), OURS),
        Contestant("robust", ("ipc-robust",), OURS),
        Contestant("pipe", ("ipc-pipe",), OURS),
        Contestant("mp.Pipe", ("ipc/multiprocessing_queue.py", "--pipe"), "needs python3"),
        Contestant("mp.Queue", ("ipc/multiprocessing_queue.py", "--queue"), "needs python3"),
        Contestant("futex", ("ipc-futex",), OURS, reference=True),
    ), (
        Duel("8", "messages of 8 bytes, one sender, one receiver", "near", (0.1, 0), (1, 0),
             more_is_better=True),
        Duel("batch", "messages of 8 bytes in batches of 64", "near", (0.1, 0), (1, 0),
             more_is_better=True),
        Duel("64", "messages of 64 bytes", "near", (0.1, 0), (1, 0), more_is_better=True),
        Duel("1k", "messages of 1 KiB, copied in and out", "near", (0.1, 0), (1, 0),
             more_is_better=True),
        Duel("in-place", "messages of 1 KiB, written and read where they lie", "near",
             (0.1, 0), (1, 0), more_is_better=True),
        Duel("64k", "messages of 64 KiB, copied in and out", "near", (0.1, 0), (1, 0),
             more_is_better=True),
        Duel("round-trip", "8 bytes there and back, both sides spinning", "near.p50",
             (0.1, 0), (1, 0)),
        Duel("waiting", "8 bytes there and back with calls that sleep, answered at once",
             "near.p50", (0.1, 0), (1, 0)),
        Duel("cold", "the same after a rest, both sides asleep", "p50", (0.1, 0), (1, 0)),
        Duel("mpmc", "messages of 8 bytes, two senders and two receivers on two processors",
             "near", (0.1, 0), (1, 0), more_is_better=True),
    ))

PROCESSES = Section(
    "processes", "Processes, and pools of two of them", (
        Contestant("weft", ("processes-weft",), OURS),
        Contestant("python", ("processes/pool.py",), "needs python3"),
        Contestant("fork", ("processes-fork",), OURS, reference=True),
    ), (
        Duel("start", "start and join of a process that does nothing", "p50", (0.1, 0), (1, 0)),
        Duel("once", "a pool is made, used once and shut down", "p50", (0.1, 0), (1, 0)),
        Duel("asleep", "submit and result of an empty task, everybody asleep", "p50",
             (0.1, 0), (1, 0)),
        Duel("awake", "submit and result of an empty task, one after the other", "p50",
             (0.1, 0), (1, 0)),
        Duel("throughput", "empty tasks, a thousand in flight", "rate", (0.1, 0), (1, 0),
             more_is_better=True),
    ))

SECTIONS = (FUTURES, FIBERS, IO, IPC, PROCESSES)


# ---- what came out ----------------------------------------------------------------------------


@dataclass
class Answer:
    """What one contestant answered in one duel, over all visits."""

    section: str
    duel: Duel
    contestant: Contestant
    command: list
    size: int = 0
    visits: int = 0
    seconds: float = 0.0   # of the last visit, to know what the next one costs
    quantities: dict = field(default_factory=dict)  # name: (unit, values)
    errors: list = field(default_factory=list)

    @property
    def ok(self):
        return bool(self.quantities) and not self.errors

    @property
    def figure(self):
        """The first figure it has, or none."""
        return next((f for f in self.duel.figures if f in self.quantities), None)

    def values_of(self, quantity):
        return self.quantities.get(quantity, ("", []))[1]

    def median_of(self, quantity):
        values = self.values_of(quantity)
        return statistics.median(values) if values else None

    def take(self, lines, error):
        self.visits += 1
        for name, value, unit in lines:
            self.quantities.setdefault(name, (unit, []))[1].append(value)
        if not error and not lines:
            error = "said nothing"
        if error and error not in self.errors:
            self.errors.append(error)

    def as_dict(self):
        return {
            "section": self.section, "duel": self.duel.name,
            "contestant": self.contestant.name, "reference": self.contestant.reference,
            "size": self.size, "visits": self.visits, "ok": self.ok, "errors": self.errors,
            "figure": self.figure, "more_is_better": self.duel.more_is_better,
            "quantities": {
                name: {"unit": unit, "median": statistics.median(values), "min": min(values),
                       "max": max(values), "values": values}
                for name, (unit, values) in self.quantities.items()},
        }


def read_lines(text):
    """(quantity, value, unit) of each line that is one; a program that dies may leave half a
    line behind."""
    lines = []
    for words in map(str.split, text.splitlines()):
        try:
            name, value, unit = words
            lines.append((name, float(value), unit))
        except ValueError:
            continue
    return lines


# ---- finding and visiting ---------------------------------------------------------------------


def resolve(word, source, directories):
    """What a word of a command stands for: a built program, a script with its interpreter, or an
    option, which stands for itself; nothing if there is no such file."""
    if word.startswith("-"):
        return [word]
    if word.endswith(".py"):
        return [sys.executable, "-B", str(source / "bench" / "duels" / word)]
    places = [directory / "bench" / "duels" / word for directory in directories]
    return [str(place) for place in places if place.exists()][:1]


def find(source, directories, sections=SECTIONS):
    """What each contestant that is here says of itself, by section and name; and for each section
    why the others are not."""
    found, missing = {}, {}
    for section in sections:
        for contestant in section.contestants:
            command = [resolve(word, source, directories) for word in contestant.command]
            said = describe(sum(command, [])) if all(command) else None
            if said:
                found[section.name, contestant.name] = said
            else:
                missing.setdefault(section.name, {})[contestant.name] = contestant.absent
    return found, missing


@dataclass
class Found:
    command: list
    version: str
    duels: list


def describe(command):
    """None if it does not run."""
    output, error = programs.run(command + ["--list"], 20)
    lines = output.splitlines()
    return None if error or len(lines) < 2 else Found(command, lines[0], lines[1:])


@dataclass
class Plan:
    quick: bool
    visits: int        # of each contestant in each duel
    deadline: float    # seconds for all duels; visits are dropped, never the first one
    dear: float        # a visit that takes longer is not repeated before everything else has been
    timeout: float

    @classmethod
    def make(cls, quick, visits, seconds):
        return cls(quick, visits or (5 if quick else 7), seconds, 0.5 if quick else 60, 120)


class Contest:
    """All visits."""

    def __init__(self, found, plan, say, sections=SECTIONS, chosen=None):
        self.plan, self.say = plan, say
        self.begin = time.monotonic()
        self.groups = []
        for section in sections:
            for duel in section.duels:
                if chosen is None or chosen(section, duel):
                    self.groups.append(self.make_group(section, duel, found))

    def make_group(self, section, duel, found):
        answers = []
        for contestant in section.contestants:
            entry = found.get((section.name, contestant.name))
            is_in_time = not self.plan.quick or contestant.name not in duel.too_slow
            if entry and duel.name in entry.duels and is_in_time:
                size = (duel.quick if self.plan.quick else duel.full)[1]
                size = min(size, duel.largest.get(contestant.name, size))
                answers.append(Answer(section.name, duel, contestant, entry.command, size))
        return answers

    @property
    def answers(self):
        return [answer for group in self.groups for answer in group]

    def visit(self, answer):
        seconds = (answer.duel.quick if self.plan.quick else answer.duel.full)[0]
        begin = time.monotonic()
        output, error = programs.run(
            [*answer.command, answer.duel.name, str(seconds), str(answer.size)],
            self.plan.timeout)
        answer.seconds = time.monotonic() - begin
        answer.take(read_lines(output), error)

    def round(self, number, wanted):
        """One visit to every answer that is wanted; False when the time is up."""
        for group in self.groups:
            first = number % len(group) if group else 0
            for answer in group[first:] + group[:first]:
                if not self.lacks(answer) or not wanted(answer):
                    continue
                left = self.begin + self.plan.deadline - time.monotonic()
                if answer.visits and left < answer.seconds:
                    return False
                self.say(f"round {number + 1}: {answer.section}, {answer.duel.name}: "
                         f"{answer.contestant.name}")
                self.visit(answer)
        return True

    def lacks(self, answer):
        return not answer.errors and answer.visits < self.plan.visits

    def run(self):
        """Everything once, then again and again while there is time; what takes long comes last."""
        number = 0
        in_time = self.round(number, lambda answer: True)
        for wanted in (lambda answer: answer.seconds <= self.plan.dear, lambda answer: True):
            while in_time and any(self.lacks(a) and wanted(a) for a in self.answers):
                number += 1
                in_time = self.round(number, wanted)
        return self.answers
