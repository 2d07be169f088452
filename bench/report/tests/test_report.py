# SPDX-License-Identifier: BSD-2-Clause
"""The driver: bad requests, damaged data, statistics, marks and losses, the page."""

import os
import subprocess
import sys
import tempfile
import unittest
from html.parser import HTMLParser
from pathlib import Path
from unittest import mock

REPORT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPORT))

import data  # noqa: E402
import marks  # noqa: E402
import measure  # noqa: E402
import page  # noqa: E402
import text  # noqa: E402
from errors import Complaint  # noqa: E402

MAIN = __import__("importlib.util").util
SPEC = MAIN.spec_from_file_location("report_main", REPORT / "__main__.py")
report_main = MAIN.module_from_spec(SPEC)
SPEC.loader.exec_module(report_main)


def cell(kernel, program, workers, seconds, **extra):
    system, compiler = program.rsplit("-", 1)
    made = measure.Cell(kernel, program, system, compiler, workers, extra.pop("size", 10))
    made.tasks = extra.pop("tasks", 1000)
    made.rss_kib = extra.pop("rss_kib", 2048)
    made.seconds = list(seconds)
    made.cpu_seconds = list(seconds)
    made.errors = extra.pop("errors", [])
    return made


class Requests(unittest.TestCase):
    def test_worker_lists(self):
        self.assertEqual(report_main.worker_list(None, 1), [1])
        self.assertEqual(report_main.worker_list(None, 6), [1, 2, 4, 6])
        self.assertEqual(report_main.worker_list("2, 1,2", 6), [1, 2])
        for bad in ("0", "x", "1,,2", "-1", "1.5", "9999", ""):
            with self.assertRaisesRegex(Complaint, "--workers"):
                report_main.worker_list(bad, 2)

    def test_unknown_names_are_named(self):
        program = type("P", (), {"kernels": {"fib": {"kernel": "fib", "group": "", "quick": 1}},
                                 "name": "weft-gcc", "system": "weft"})()
        with self.assertRaisesRegex(Complaint, "'fob'"):
            report_main.pick_kernels("fob", [program], True)
        with self.assertRaisesRegex(Complaint, "'tbc'"):
            report_main.pick_programs("tbc", [program])

    def test_bad_option_is_one_line_and_status_2(self):
        done = subprocess.run([sys.executable, "-B", str(REPORT), "--frobnicate"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)
        self.assertIn("--frobnicate", done.stderr)


class Trees(unittest.TestCase):
    def test_damaged_files_are_named(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "x.tree")
            for content in (b"", b"WEFTTREE", b"x" * 40, data.encode_tree([0, 0])[:-1]):
                path.write_bytes(content)
                with self.assertRaisesRegex(Complaint, "x.tree"):
                    data.count_nodes(path)
            with self.assertRaisesRegex(Complaint, "absent"):
                data.count_nodes(Path(directory, "absent"))
            data.write_atomically(path, data.encode_tree([0, 0, 1]))
            self.assertEqual(data.count_nodes(path), 3)
            self.assertEqual([p.name for p in Path(directory).iterdir()], ["x.tree"])

    def test_a_damaged_cache_is_not_used(self):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "taxonomy.tree")
            path.write_bytes(data.encode_tree([0, 0]))
            with self.assertRaisesRegex(Complaint, "taxonomy.tree"):
                data.taxonomy(path)

    def test_taxonomy_lines(self):
        dump = b"1\t|\t1\t|\tno rank\t|\n7\t|\t1\t|\tx\t|\n9\t|\t7\t|\ty\t|\n"
        self.assertEqual(data.parse_taxonomy(dump), [0, 0, 1])

    def test_directories_form_a_tree(self):
        with tempfile.TemporaryDirectory() as directory:
            Path(directory, "a", "b").mkdir(parents=True)
            Path(directory, "a", "c").touch()
            parents = data.walk_directories(directory)
            self.assertEqual(sorted(parents), [0, 0, 1, 1])

    @unittest.skipUnless("BENCH_PROGRAMS" in os.environ, "needs the built programs")
    def test_programs_refuse_damaged_trees(self):
        program = next(Path(os.environ["BENCH_PROGRAMS"]).glob("serial-*"))
        ring = data.encode_tree([0, 2, 1])
        two_roots = data.encode_tree([0, 1])
        outside = data.encode_tree([0, 7])
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "bad.tree")
            for content in (ring, two_roots, outside, ring[:-2], ring + b"x", b"", b"WEFTTREE"):
                path.write_bytes(content)
                done = subprocess.run([program, "tree", "--data", path], capture_output=True,
                                      text=True, check=False)
                self.assertEqual(done.returncode, 2, content)
                self.assertIn("bad.tree", done.stderr)
                self.assertEqual(done.stdout, "")


class Rounds(unittest.TestCase):
    """A measurement whose visits are made up: no process is started."""

    def measure(self, seconds, runs, deadline=1e9):
        info = {"kernel": "fib", "group": "", "least": 20, "quick": 20, "full": 20,
                "serial_only": False, "needs_data": False}
        found = [type("P", (), {"name": n, "system": n.split("-")[0], "compiler_name": "gcc",
                                "kernels": {"fib": info}})() for n in seconds]
        plan = measure.Plan(True, [1], runs, 2, deadline)
        cells = []
        measurement = measure.Measurement(found, plan, None, lambda step: None, cells)
        order = []

        def visit(cell, runs, warmups=1):
            order.append(cell.program)
            line = {"answer": 1, "expected": 1, "tasks": 1, "rss_kib": 1, "ok": True,
                    "seconds": seconds[cell.program], "cpu_seconds": 0.0}
            return ([line] * runs, None) if seconds[cell.program] else ([], "killed by signal 6")
        measurement.visit = visit
        measurement.run(["fib"])
        return {c.program: c for c in cells}, order

    def test_enough_runs_and_turns(self):
        cells, order = self.measure({"weft-gcc": 0.5, "tbb-gcc": 0.6, "serial-gcc": 0.001}, 5)
        self.assertTrue(all(len(c.seconds) >= 5 for c in cells.values()))
        self.assertEqual(order[:4], ["weft-gcc", "tbb-gcc", "serial-gcc", "serial-gcc"])

    def test_a_crash_is_visited_once(self):
        cells, order = self.measure({"weft-gcc": 0.5, "tbb-gcc": None}, 5)
        self.assertEqual(order.count("tbb-gcc"), 1)
        self.assertEqual(cells["tbb-gcc"].errors, ["killed by signal 6"])
        self.assertTrue(cells["weft-gcc"].ok)

    def test_every_cell_is_measured_even_late(self):
        cells, _ = self.measure({"weft-gcc": 0.5, "tbb-gcc": 0.6}, 5, deadline=-1)
        self.assertEqual([len(c.seconds) for c in cells.values()], [1, 1])


class Interrupts(unittest.TestCase):
    """What was measured before the user had enough is written."""

    def interrupted(self, reached):
        options = report_main.parse(["--no-probes", "--kernel", "fib"])
        options.minutes, options.chosen = 1, None
        measured = report_main.Measured([{"kernel": "fib"}, {"kernel": "sum"}])

        def run(self, kernels):
            self.cells += [cell(k, "weft-gcc", 1, [0.1] if reached and k == "fib" else [])
                           for k in kernels]
            raise KeyboardInterrupt
        with mock.patch.object(measure.Measurement, "run", run):
            return report_main.measure_all(options, [], None, lambda step: None, measured), measured

    def test_the_rest_is_left_out_and_a_note_says_so(self):
        notes, measured = self.interrupted(reached=True)
        self.assertEqual(len(notes), 1)
        self.assertIn("interrupted after", notes[0])
        self.assertEqual([c.kernel for c in measured.cells], ["fib"])
        self.assertEqual([k["kernel"] for k in measured.kernels], ["fib"])

    def test_before_anything_came_out_nothing_is_written(self):
        with self.assertRaises(KeyboardInterrupt):
            self.interrupted(reached=False)


class Figures(unittest.TestCase):
    def test_a_wrong_answer_does_not_count(self):
        c = cell("fib", "weft-gcc", 1, [])
        line = {"answer": 1, "expected": 2, "tasks": 5, "rss_kib": 9, "seconds": 1.0,
                "cpu_seconds": 1.0, "ok": False}
        c.take([line], None)
        self.assertFalse(c.ok)
        self.assertEqual(c.seconds, [])
        self.assertIn("wrong answer 1, expected 2", c.errors)

    def test_time_compares_by_the_task_where_sizes_differ(self):
        a = cell("fib", "weft-gcc", 1, [1, 2, 9], size=30, tasks=100)
        b = cell("fib", "tbb-gcc", 1, [2], size=20, tasks=10)
        self.assertAlmostEqual(marks.compare(b, a), 10)
        b.tasks = 0
        self.assertIsNone(marks.compare(b, a))

    def test_marks(self):
        met, missed = marks.at_most("a", 0.9, 1.0), marks.at_least("b", 1.5, 2.0)
        self.assertEqual(met.verdict, "met")
        self.assertEqual(missed.verdict, "missed by 25 %")
        self.assertEqual(marks.at_most("c", None, 1).verdict, "not measured")
        results = marks.Results([], {}, 2)
        self.assertTrue(all(m.met is None for m in marks.all_marks(results)))
        self.assertIsNone(marks.headline(results))

    def test_losses_are_found(self):
        cells = [cell("sum", "weft-gcc", 1, [2.0]), cell("sum", "weft-clang", 1, [3.0]),
                 cell("sum", "tbb-gcc", 1, [1.0]), cell("sum", "serial-gcc", 1, [1.0]),
                 cell("fib", "weft-gcc", 2, [], errors=["killed by signal 11"])]
        found = "\n".join(marks.losses(marks.Results(cells, {}, 2), []))
        self.assertIn("tbb-gcc is 100 % faster", found)
        self.assertIn("2.00 times as long as the serial twin", found)
        self.assertIn("killed by signal 11", found)

    def test_numbers_read_plainly(self):
        for number, shown in ((2048, "2,048"), (1.234, "1.23"), (0, "0"), (None, "–")):
            self.assertEqual(text.plain(number), shown)


class Checker(HTMLParser):
    """Balanced tags, and nothing that would be loaded from anywhere."""

    VOID = {"meta", "br", "line", "circle", "polyline"}

    def __init__(self):
        super().__init__()
        self.open, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        self.loaded += [v for k, v in attrs if k in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag, tag


class Page(unittest.TestCase):
    def report(self, busy):
        cells = [cell("fib", p, w, [s / w]) for p, s in
                 (("weft-gcc", 1.0), ("tbb-gcc", 20.0)) for w in (1, 2)]
        cells.append(cell("fib", "serial-gcc", 1, [0.9]))
        results = marks.Results(cells, {}, 2)
        checked = marks.all_marks(results)
        return {
            "date": "today", "mode": "quick", "busy": busy, "notes": ["a <note>"],
            "headline": None if busy else marks.headline(results), "data": None,
            "machine": {"cpu": "A & B", "cpus_online": 2, "cpus_visible": 2, "cpus_usable": 2,
                        "cgroup_quota_cpus": None, "memory_kib": 1, "governor": "g",
                        "kernel": "k", "compilers": {}, "flags": "f", "commit": "c"},
            "watch": {"load_before": 0, "load_after": 0, "seconds": 1, "foreign_share": 0,
                      "steal_share": 0},
            "systems": [], "cells": [c.as_dict() for c in cells], "probes": {},
            "duels": {"sections": [], "answers": []},
            "kernels": [{"kernel": "fib", "title": "f", "needs_data": False}],
            "marks": [m.as_dict() for m in checked],
            "losses": marks.losses(results, checked),
        }

    def test_page_is_whole_and_self_contained(self):
        checker = Checker()
        checker.feed(page.render(self.report([])))
        self.assertEqual(checker.open, [])
        self.assertEqual(checker.loaded, [])

    def test_plot_and_escapes(self):
        html = page.render(self.report([]))
        self.assertIn("<svg", html)
        self.assertIn("A &amp; B", html)
        self.assertIn("a &lt;note&gt;", html)

    def test_no_headline_when_busy(self):
        quiet, busy = self.report([]), self.report(["somebody compiles"])
        self.assertIn("A task costs weft", page.render(quiet))
        self.assertIn("A task costs weft", text.render(quiet))
        for rendered in (page.render(busy), text.render(busy)):
            self.assertNotIn("A task costs weft", rendered)
            self.assertIn("somebody compiles", rendered)


if __name__ == "__main__":
    unittest.main()
