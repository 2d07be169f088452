#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests of the command line tool: command_line.py PATH_OF_WEFT.

What `weft info` says is compared with what this script can find out itself, and with what the
environment it sets must lead to.
"""

import json
import os
import subprocess
import sys
import unittest

WEFT = None

FOREIGN = ("WEFT_", "OMP_", "SLURM_", "OMPI_", "PMI_", "MPI_")


def run(*arguments, one_cpu=False, stdout=subprocess.PIPE, **variables):
    """Run weft in an environment without any variable that plays a role, plus `variables`."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN)}
    environment.update(variables)
    before = os.sched_getaffinity(0)
    try:
        if one_cpu:
            os.sched_setaffinity(0, {min(before)})
        return subprocess.run([WEFT, *arguments], env=environment, stdout=stdout, check=False,
                              stderr=subprocess.PIPE, timeout=60, errors="surrogateescape")
    finally:
        os.sched_setaffinity(0, before)


def info(**settings):
    done = run("info", "--json", **settings)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", done.stderr
    return json.loads(done.stdout)


def variable(facts, name):
    return next(v for v in facts["variables"] if v["name"] == name)


class CommandLine(unittest.TestCase):
    def test_help(self):
        for arguments in (["--help"], ["-h"], ["help"], ["help", "--help"], ["help", "help"]):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("usage: weft COMMAND", done.stdout)
            self.assertIn("info ", done.stdout)
        self.assertEqual(run("help", "info").stdout, run("info", "--help").stdout)
        self.assertIn("--json", run("help", "info").stdout)
        for arguments in (["shm", "-h"], ["shm", "ls", "--help"], ["shm", "gc", "--idle", "-h"]):
            self.assertEqual(run(*arguments).stdout, run("help", "shm").stdout)

    def test_version(self):
        self.assertRegex(run("--version").stdout, r"\Aweft \d+\.\d+\.\d+\n\Z")

    def test_mistakes(self):
        for arguments in (["nope"], ["help", "nope"], ["--nope"], [""], ["info", "nope"]):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertEqual(done.stderr.count("\n"), 1)
            self.assertIn(f"'{arguments[-1]}'", done.stderr)
        done = run()
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("usage", done.stderr)

    def test_full_disk(self):
        with open("/dev/full", "wb") as full:
            done = run("info", stdout=full)
        self.assertEqual(done.returncode, 1)
        self.assertIn("could not be written", done.stderr)


class Info(unittest.TestCase):
    def test_machine(self):
        facts = info()
        self.assertEqual(facts["cpus_allowed"], len(os.sched_getaffinity(0)))
        self.assertLessEqual(facts["cpus_allowed"], facts["cpus_online"])
        self.assertLessEqual(facts["cpus_usable"], facts["cpus_allowed"])
        self.assertEqual(facts["workers"], facts["cpus_usable"])
        self.assertEqual(facts["page_bytes"], os.sysconf("SC_PAGESIZE"))
        self.assertIn(os.uname().release, facts["kernel"])
        self.assertEqual(facts["quota_cpus"] == 0, facts["quota_file"] == "")
        self.assertFalse(facts["uses_io_uring"])
        self.assertEqual(facts["stack_bytes"], 256 << 10)
        self.assertTrue(all(v["state"] == "unset" and v["value"] is None
                            for v in facts["variables"]))
        with open("/proc/sys/vm/max_map_count", encoding="ascii") as file:
            self.assertEqual(facts["max_map_count"], int(file.read()))

    def test_text(self):
        text = run("info").stdout
        facts = info()
        self.assertIn(f"workers      {facts['workers']}, because {facts['workers_why']}\n", text)
        for word in ("CPUs ", "quota ", "topology ", "stacks ", "membarrier ", "reactor ",
                     "weft uses epoll", "allocator ", "kernel ", "environment"):
            self.assertIn(word, text)
        for name in (v["name"] for v in facts["variables"]):
            self.assertIn(name, text)

    def test_one_cpu(self):
        facts = info(one_cpu=True)
        self.assertEqual((facts["cpus_allowed"], facts["workers"]), (1, 1))
        self.assertEqual(facts["allowed_list"], str(min(os.sched_getaffinity(0))))
        if facts["cpus_online"] > 1:
            self.assertIn("affinity mask", facts["workers_why"])
            self.assertTrue(any("only CPU" in w for w in facts["warnings"]))
            ranks = info(one_cpu=True, OMPI_COMM_WORLD_LOCAL_SIZE="2")
            self.assertTrue(any("--bind-to none" in w for w in ranks["warnings"]))

    def test_shared_mask(self):
        facts = info(MPI_LOCALNRANKS="4")
        if facts["cpus_allowed"] == facts["cpus_online"] > 1:
            self.assertTrue(any("4 MPI ranks" in w for w in facts["warnings"]))

    def test_environment(self):
        facts = info(WEFT_NUM_WORKERS="1000", WEFT_STACK_SIZE="16K", WEFT_SPIN_US="abc",
                     WEFT_PROC_BIND="spread", WEFT_WAIT_POLICY="active", WEFT_NUM_WORKER="3",
                     OMP_NUM_THREADS="3", SLURM_CPUS_PER_TASK="7")
        self.assertEqual((facts["workers"], facts["stack_bytes"]), (1000, 16 << 10))
        self.assertEqual((facts["bind"], facts["wait"]), ("spread", "active"))
        self.assertEqual(facts["workers_why"], "WEFT_NUM_WORKERS says so")
        self.assertEqual(variable(facts, "WEFT_SPIN_US")["state"], "bad")
        self.assertEqual(variable(facts, "WEFT_NUM_WORKER")["state"], "unknown")
        self.assertEqual(variable(facts, "WEFT_NUM_WORKERS")["state"], "set")
        self.assertEqual(variable(facts, "WEFT_CHECK")["state"], "unset")
        self.assertEqual(facts["hints"], {"OMP_NUM_THREADS": "3", "SLURM_CPUS_PER_TASK": "7"})
        for part in ("1000 workers share", "OMP_NUM_THREADS is 3", "SLURM_CPUS_PER_TASK is 7",
                     "stacks of 16 KiB", "WEFT_SPIN_US='abc'", "WEFT_NUM_WORKER is set",
                     "WEFT_WAIT_POLICY=active"):
            self.assertTrue(any(part in w for w in facts["warnings"]), part)

    def test_odd_bytes(self):
        value = 'a"b\\c\td\x01\x7f'
        facts = info(WEFT_STACK_SIZE=value, WEFT_PLACES="\udcff{", WEFT_ODD=value)
        self.assertEqual(variable(facts, "WEFT_STACK_SIZE")["value"], value)
        self.assertEqual(variable(facts, "WEFT_PLACES")["value"], "\xff{")
        text = run("info", WEFT_STACK_SIZE=value).stdout
        self.assertNotIn("\x01", text)
        self.assertIn("\\x01", text)

    def test_many_and_long(self):
        facts = info(WEFT_PLACES="{0:" * 1000, WEFT_CHECK="x" * 5000,
                     **{f"WEFT_{'Y' * 60}{i}": "z" * 5000 for i in range(50)})
        self.assertLessEqual(len(facts["variables"]), 24)
        self.assertLessEqual(len(facts["warnings"]), 16)


if __name__ == "__main__":
    WEFT = os.path.abspath(sys.argv.pop(1))
    unittest.main()
