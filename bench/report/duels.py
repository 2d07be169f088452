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
    """One question. `figure` is the quantity that decides; the others stand beside it."""

    name: str
    title: str
    figure: str
    quick: tuple           # seconds, size
    full: tuple
    more_is_better: bool = False
    largest: dict = field(default_factory=dict)  # for contestants that cannot take the whole size


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
             (0, 1_000_000), (0, 1_000_000), largest={"python": 50_000}),
        Duel("waiters", "one completion until the last of 64 plain threads that wait has the "
             "result", "p50", (0.05, 0), (1, 0)),
    ))

SECTIONS = (FUTURES,)


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
    def values(self):
        return self.quantities.get(self.duel.figure, ("", []))[1]

    @property
    def median(self):
        return statistics.median(self.values) if self.values else None

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
            "figure": self.duel.figure, "more_is_better": self.duel.more_is_better,
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
            if entry and duel.name in entry.duels:
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
