#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests of `weft shm`: shm_tool.py PATH_OF_WEFT.

Segments are made here, byte by byte, as ipc/LAYOUT.md says; so this is also a test of that page.
"""

import os
import struct
import subprocess
import sys
import unittest

WEFT = None
PAGE = 4096


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def own_identity():
    with open("/proc/self/stat", encoding="ascii") as file:
        started = int(file.read().rsplit(")", 1)[1].split()[19])
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        boot = 0xcbf29ce484222325
        for byte in file.read():
            boot = (boot ^ byte) * 0x100000001b3 % 2**64
    return os.getpid(), started, boot, os.stat("/proc/self/ns/pid").st_ino


def segment(processes, last_was_dead=0, participants=8, size=100):
    """The bytes of a memory segment with these (phase, pid, started, boot, pid_ns)."""
    body = (PAGE + 128 * participants + PAGE - 1) // PAGE * PAGE
    total = (body + size + PAGE - 1) // PAGE * PAGE
    constant = struct.pack("<8sHH4sIIQQQQQQ", b"WEFTSHM1", 2, 0, b"\1\2\3\4", 1, participants, 0,
                           size, total, 1, 2, 3)
    data = bytearray(total)
    data[:80] = constant + struct.pack("<II", crc32c(constant), 1)
    data[120:136] = struct.pack("<IIII", 0, len(processes), 0, last_was_dead)
    for i, (phase, pid, started, boot, pid_ns) in enumerate(processes):
        entry = struct.pack("<QQQQ", 1 << 40 | phase << 32 | pid, started, boot, pid_ns)
        data[PAGE + 128 * i:PAGE + 128 * i + 32] = entry
    return bytes(data)


def run(*arguments):
    return subprocess.run([WEFT, "shm", *arguments], capture_output=True, text=True, check=False,
                          timeout=60)


class Shm(unittest.TestCase):
    def setUp(self):
        self.names = []

    def tearDown(self):
        for name in self.names:
            try:
                os.unlink("/dev/shm/weft." + name)
            except FileNotFoundError:
                pass

    def make(self, what, data):
        name = f"tool-{os.getpid()}-{what}"
        with open("/dev/shm/weft." + name, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(data)
        self.names.append(name)
        return "/" + name

    def exists(self, name):
        return os.path.exists("/dev/shm/weft." + name[1:])

    def line_of(self, name):
        return next((x for x in run("ls").stdout.split("\n") if x.startswith(name + " ")), None)

    def test_help(self):
        self.assertEqual(run("--help").returncode, 0)
        self.assertIn("weft shm gc", run("--help").stdout)

    def test_mistakes(self):
        for arguments in ([], ["nope"], ["ls", "x"], ["stat"], ["gc", "--nope"]):
            done = run(*arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("weft help shm", done.stderr)
        done = run("stat", "/there-is-none")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("/there-is-none: No such file", done.stderr)
        done = run("stat", "no-slash")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("begins with /", done.stderr)

    def test_in_use(self):
        name = self.make("used", segment([(2, *own_identity())]))
        self.assertRegex(self.line_of(name), r"memory +\d+ +- +1 +0 +in use")
        self.assertIn(f"process     {os.getpid()} alive", run("stat", name).stdout)
        run("gc", "--idle")
        self.assertTrue(self.exists(name))

    def test_another_process_with_the_same_number_is_no_user(self):
        pid, started, boot, pid_ns = own_identity()
        name = self.make("recycled", segment([(2, pid, started - 1, boot, pid_ns)]))
        self.assertIn(f"process     {pid} dead", run("stat", name).stdout)
        self.assertIn("would remove " + name, run("gc", "--dry-run").stdout)
        self.assertTrue(self.exists(name))
        self.assertIn("removed " + name, run("gc").stdout)
        self.assertFalse(self.exists(name))

    def test_another_boot_and_another_namespace(self):
        pid, started, boot, pid_ns = own_identity()
        name = self.make("boot", segment([(2, pid, started, boot ^ 1, pid_ns)]))
        self.assertIn("dead", self.line_of(name))
        other = self.make("namespace", segment([(2, 2**22 - 1, started, boot, pid_ns + 1)]))
        self.assertIn("in use", self.line_of(other))
        run("gc")
        self.assertFalse(self.exists(name))
        self.assertTrue(self.exists(other))

    def test_left_in_good_order(self):
        name = self.make("idle", segment([]))
        self.assertIn("idle", self.line_of(name))
        run("gc")
        self.assertTrue(self.exists(name))
        self.assertIn("removed " + name, run("gc", "--idle").stdout)
        self.assertFalse(self.exists(name))

    def test_one_dead_and_one_alive(self):
        pid, started, boot, pid_ns = own_identity()
        users = [(2, pid, started, boot, pid_ns), (3, 1, 2, boot, pid_ns)]
        name = self.make("both", segment(users))
        self.assertRegex(self.line_of(name), r" 1 +1 +in use")
        run("gc", "--idle")
        self.assertTrue(self.exists(name))

    def test_damaged(self):
        whole = segment([])
        for what, data in (("short", whole[:200]), ("cut", whole[:-1]), ("none", b"hello" * 1000),
                           ("flipped", whole[:24] + b"\1" + whole[25:])):
            name = self.make(what, data)
            self.assertIn("damaged", self.line_of(name))
            done = run("stat", name)
            self.assertEqual(done.returncode, 1)
            self.assertIn("damaged", done.stderr)
            self.assertEqual(run("gc", "--idle").returncode, 1)
            self.assertTrue(self.exists(name))


if __name__ == "__main__":
    WEFT = sys.argv.pop(1)
    unittest.main()
