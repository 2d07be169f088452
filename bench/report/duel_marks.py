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

    def value(self, section, duel, contestant, quantity):
        """Median of one quantity, or None; of the better of several wefts if `contestant` is a
        tuple."""
        if isinstance(contestant, tuple):
            values = [self.value(section, duel, c, quantity) for c in contestant]
            values = [v for v in values if v is not None]
            more = any(d.duel.more_is_better for d in self.answers
                       if (d.section, d.duel.name) == (section, duel))
            return (max if more else min)(values, default=None)
        answer = self.table.get((section, duel, contestant))
        values = answer.quantities.get(quantity, ("", []))[1] if answer else []
        return statistics.median(values) if values else None

    def best_peer(self, section, duel, quantity, references=False):
        """The best median of all that are not weft."""
        answers = [a for a in self.table.values()
                   if (a.section, a.duel.name) == (section, duel) and not is_ours(a) and
                   (references or not a.contestant.reference)]
        values = [statistics.median(a.quantities[quantity][1])
                  for a in answers if a.quantities.get(quantity, ("", []))[1]]
        if not values:
            return None
        return max(values) if answers[0].duel.more_is_better else min(values)


def is_ours(answer):
    return answer.contestant.name.split("-")[0] == "weft"


def over(above, below):
    return None if above is None or below is None or not below else above / below


class Section:
    """Makes marks about one section, with weft's value as the subject."""

    def __init__(self, results, section, ours="weft"):
        self.results, self.section, self.ours = results, section, ours

    def value(self, duel, quantity, contestant=None):
        return self.results.value(self.section, duel, contestant or self.ours, quantity)

    def at_most(self, what, duel, quantity, limit, unit, factor=1.0):
        value = self.value(duel, quantity)
        return Mark(f"{self.section}: {what}", None if value is None else value * factor, limit,
                    True, unit)

    def at_least(self, what, duel, quantity, limit, unit):
        return Mark(f"{self.section}: {what}", self.value(duel, quantity), limit, False, unit)

    def no_worse(self, what, duel, quantity, peer, limit=1.0):
        """Ours over a peer's; None: the best peer's."""
        theirs = (self.value(duel, quantity, peer) if peer else
                  self.results.best_peer(self.section, duel, quantity))
        return Mark(f"{self.section}: {what}", over(self.value(duel, quantity), theirs), limit,
                    True, "x")

    def no_less(self, what, duel, quantity, peer, limit=1.0):
        theirs = (self.value(duel, quantity, peer) if peer else
                  self.results.best_peer(self.section, duel, quantity))
        return Mark(f"{self.section}: {what}", over(self.value(duel, quantity), theirs), limit,
                    False, "x")

    def faster(self, what, duel, quantity, peer, limit):
        """How many times as long the peer takes."""
        return Mark(f"{self.section}: {what}",
                    over(self.value(duel, quantity, peer), self.value(duel, quantity)), limit,
                    False, "x")


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


def all_marks(results):
    """The marks of the sections that were measured."""
    makers = {"futures": futures_marks}
    return [mark for name, make in makers.items()
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
        answers = [a for a in results.table.values()
                   if (a.section, a.duel.name) == section and a.values]
        ours = [a for a in answers if is_ours(a)]
        for rival in answers:
            if is_ours(rival) or rival.contestant.reference or not ours:
                continue
            share = min(lost(a.values, rival.values, duel.more_is_better) for a in ours)
            if share > MARGIN:
                found.append(f"{section[0]}, {section[1]}: {rival.contestant.name} is "
                             f"{100 * share:.0f} % better ({text.measure_of(rival)} against "
                             f"{text.measure_of(best_of(ours))})")
    return found


def best_of(answers):
    pick = max if answers[0].duel.more_is_better else min
    return pick(answers, key=lambda a: a.median)


def failures(results):
    return [f"{a.section}, {a.duel.name}: {a.contestant.name}: {error}"
            for a in results.answers if is_ours(a) for error in a.errors]
