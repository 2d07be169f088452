# SPDX-License-Identifier: BSD-2-Clause
"""Duels: who is visited when, what their answers mean, how they are shown, what is promised."""

import sys
import tempfile
import unittest
from pathlib import Path

REPORT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPORT))

import duel_marks  # noqa: E402
import duels  # noqa: E402
import marks  # noqa: E402
import page  # noqa: E402
import text  # noqa: E402
from errors import Complaint  # noqa: E402
from tests.test_report import Checker, report_main  # noqa: E402

FAST = duels.Duel("fast", "how fast", "each", (0.1, 100), (1, 1000), largest={"slow": 10})
RATE = duels.Duel("rate", "how many", "rate", (0.1, 0), (1, 0), more_is_better=True)
SECTION = duels.Section("things", "Things & more", (
    duels.Contestant("weft", ("things-weft",), "not here"),
    duels.Contestant("slow", ("things-slow",), "needs <slow>"),
    duels.Contestant("bound", ("things-bound",), "not here", reference=True)), (FAST, RATE))


def answer(contestant, duel, *values, **extra):
    made = duels.Answer("things", duel,
                        next(c for c in SECTION.contestants if c.name == contestant), [])
    made.take([(duel.figure, value, "ns") for value in values], extra.get("error"))
    return made


class Lines(unittest.TestCase):
    def test_only_quantities_are_read(self):
        found = duels.read_lines("each 1.5 ns\nhello\neach x ns\neach 2 ns\n\neach 3")
        self.assertEqual(found, [("each", 1.5, "ns"), ("each", 2.0, "ns")])

    def test_samples_of_all_visits_are_pooled(self):
        made = answer("weft", FAST, 3.0, 1.0)
        made.take([("each", 8.0, "ns")], None)
        self.assertEqual((made.median_of("each"), made.visits, made.ok), (3.0, 2, True))

    def test_silence_and_failure_are_errors(self):
        self.assertEqual(answer("weft", FAST).errors, ["said nothing"])
        self.assertFalse(answer("weft", FAST, 1.0, error="wrong sum: 1, expected 2").ok)


class Finding(unittest.TestCase):
    def make_program(self, folder, name, body):
        path = Path(folder, "bench", "duels", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def test_who_is_absent_is_named_and_who_is_broken_is_absent(self):
        with tempfile.TemporaryDirectory() as folder:
            self.make_program(folder, "things-weft", "printf 'v1\\nfast\\nrate\\n'")
            self.make_program(folder, "things-bound", "exit 3")
            found, missing = duels.find(Path(folder), [Path(folder)], (SECTION,))
            self.assertEqual(list(found), [("things", "weft")])
            self.assertEqual(found["things", "weft"].duels, ["fast", "rate"])
            self.assertEqual(missing, {"things": {"slow": "needs <slow>", "bound": "not here"}})

    def test_a_visit_is_a_process_with_its_arguments(self):
        with tempfile.TemporaryDirectory() as folder:
            self.make_program(folder, "things-slow",
                              'test "$1" = --list && printf "v\\nfast\\n" && exit\n'
                              'echo "each $3 ns"; echo "seconds $2 s"; echo trouble >&2; exit 1')
            found, _ = duels.find(Path(folder), [Path(folder)], (SECTION,))
            plan = duels.Plan(True, 5, 60, 1, 20)
            contest = duels.Contest(found, plan, lambda step: None, (SECTION,))
            (made,) = contest.run()
            self.assertEqual(made.quantities, {"each": ("ns", [10.0]), "seconds": ("s", [0.1])})
            self.assertEqual((made.visits, made.errors), (1, ["trouble"]))

    def test_who_is_too_slow_is_left_out_of_a_quick_report(self):
        with tempfile.TemporaryDirectory() as folder:
            self.make_program(folder, "things-slow", "printf 'v\\nlong\\n'")
            long = duels.Duel("long", "how long", "each", (0, 1), (0, 1), too_slow=("slow",))
            sections = (duels.Section("things", "Things", SECTION.contestants, (long,)),)
            found, _ = duels.find(Path(folder), [Path(folder)], sections)
            for quick, count in (True, 0), (False, 1):
                plan = duels.Plan(quick, 5, 60, 1, 20)
                contest = duels.Contest(found, plan, lambda step: None, sections)
                self.assertEqual(len(contest.answers), count)

    def test_contestants_can_be_picked(self):
        found = {(s.name, c.name): None for s in duels.SECTIONS for c in s.contestants}
        picked = {name for _, name in report_main.pick_contestants("tbb", found)}
        self.assertLessEqual({"weft", "tbb", "futex"}, picked)
        self.assertNotIn("asio", picked)

    def test_unknown_duels_are_named(self):
        class Options:
            duel, kernel = "futures,fish", None
        with self.assertRaisesRegex(Complaint, "'fish'"):
            report_main.pick_duels(Options)
        Options.duel = "futures.inside"
        chosen = report_main.pick_duels(Options)
        self.assertEqual([(s.name, d.name) for s in duels.SECTIONS for d in s.duels
                          if chosen(s, d)], [("futures", "inside")])


class Turns(unittest.TestCase):
    """A contest whose visits are made up."""

    def hold(self, seconds, visits, deadline=1e9):
        found = {("things", name): duels.Found([], "v", ["fast"]) for name in seconds}
        contest = duels.Contest(found, duels.Plan(True, visits, deadline, 0.5, 1),
                                lambda step: None, (SECTION,))
        order = []

        def visit(made):
            order.append(made.contestant.name)
            made.seconds = seconds[made.contestant.name]
            made.take([("each", 1.0, "ns")] if made.seconds else [], None)
        contest.visit = visit
        return contest.run(), order

    def test_contestants_take_turns_and_begin_in_turn(self):
        answers, order = self.hold({"weft": 0.1, "slow": 0.1}, 3)
        self.assertEqual(order, ["weft", "slow", "slow", "weft", "weft", "slow"])
        self.assertEqual([a.size for a in answers], [100, 10])

    def test_the_dear_come_last(self):
        _, order = self.hold({"weft": 0.1, "slow": 9.0}, 3)
        self.assertEqual(order, ["weft", "slow", "weft", "weft", "slow", "slow"])

    def test_everybody_is_visited_once_however_late(self):
        _, order = self.hold({"weft": 0.1, "slow": 0.1}, 3, deadline=-1)
        self.assertEqual(order, ["weft", "slow"])

    def test_a_failure_is_not_repeated(self):
        _, order = self.hold({"weft": 0.1, "slow": 0}, 2)
        self.assertEqual(order.count("slow"), 1)


class Verdicts(unittest.TestCase):
    def test_marks_without_answers_are_not_measured(self):
        for section in duels.SECTIONS:
            answers = [duels.Answer(section.name, section.duels[0], section.contestants[0], [])]
            made = duel_marks.all_marks(duel_marks.DuelResults(answers))
            self.assertTrue(made)
            self.assertTrue(all(m.verdict in ("not measured", "information") for m in made))

    def test_marks_compare_with_limits_and_peers(self):
        results = duel_marks.DuelResults([
            answer("weft", FAST, 10.0), answer("slow", FAST, 30.0), answer("bound", FAST, 5.0),
            answer("weft", RATE, 10.0), answer("slow", RATE, 30.0)])
        section = duel_marks.Section(results, "things")
        self.assertTrue(section.at_most("x", "fast", "each", 10, " ns").met)
        self.assertAlmostEqual(section.faster("x", "fast", "each", "slow", 2).value, 3)
        self.assertAlmostEqual(section.no_worse("x", "fast", "each", "bound").value, 2)
        self.assertAlmostEqual(section.no_less("x", "rate", "rate", None).value, 1 / 3)
        self.assertIsNone(section.no_less("x", "rate", "rate", "nobody").value)

    def test_ratios_are_of_visits_that_saw_the_same(self):
        self.assertAlmostEqual(duel_marks.over([1.0, 20.0, 3.0], [1.0, 10.0, 2.0]), 1.5)
        self.assertAlmostEqual(duel_marks.over([1.0, 20.0, 3.0], [1.0, 2.0]), 2)
        self.assertIsNone(duel_marks.over([1.0], [0.0]))
        self.assertIsNone(duel_marks.over([1.0], None))

    def test_lost_duels_are_found_and_bounds_are_no_rivals(self):
        results = duel_marks.DuelResults([
            answer("weft", FAST, 10.0, 11.0), answer("slow", FAST, 10.5, 20.0),
            answer("bound", FAST, 1.0),
            answer("weft", RATE, 10.0), answer("slow", RATE, 30.0)])
        self.assertEqual(len(duel_marks.lost_duels(results)), 1)
        self.assertIn("things.rate: slow is 200 % better (rate 30 ns against 10 ns)",
                      duel_marks.lost_duels(results)[0])

    def test_a_better_best_run_is_no_loss(self):
        self.assertEqual(duel_marks.lost([9.0, 30.0, 31.0], [10.0, 20.0, 21.0], False), 0)
        self.assertAlmostEqual(duel_marks.lost([20.0], [10.0], False), 1)
        self.assertAlmostEqual(duel_marks.lost([10.0], [20.0], True), 1)

    def test_limits_read_as_the_marks_do(self):
        mark = marks.at_most("a", 260.0, 130.0, " ns")
        self.assertEqual(mark.verdict, "missed by 100 %")


class Shown(unittest.TestCase):
    def report(self):
        answers = [answer("weft", FAST, 10.0, 12.0), answer("bound", FAST, 5.0),
                   answer("slow", FAST, error="killed <by> signal 6")]
        answers[0].take([("p99", 1500.0, "us")], None)
        answers[0].size = 1000000
        found = {("things", "weft"): duels.Found([], "v<1>", [])}
        old, duels.SECTIONS = duels.SECTIONS, (SECTION,)
        try:
            described = report_main.describe_duels(answers, found, {"things": {"slow": "<why>"}})
        finally:
            duels.SECTIONS = old
        return {"duels": described}

    def test_text_shows_quantities_units_and_who_is_left_out(self):
        shown = "\n".join(text.render_duels(self.report()))
        for words in ("things.fast: how fast", "11 ns", "1,500 µs", "1,000,000", "18 %",
                      "a bound, not a rival", "killed <by> signal 6", "left out: slow (<why>)"):
            self.assertIn(words, shown)

    def test_page_is_balanced_and_escaped(self):
        html = page.duels_section(self.report())
        checker = Checker()
        checker.feed(html)
        self.assertEqual(checker.open, [])
        self.assertIn("Things &amp; more", html)
        self.assertIn("v&lt;1&gt;", html)
        self.assertEqual(html.count('class="met"'), 1)
        self.assertNotIn("<why>", html)


if __name__ == "__main__":
    unittest.main()
