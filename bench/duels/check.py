#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""check.py — plays every duel of one contestant, briefly.

Usage: check.py COMMAND...

Fails when a duel fails, when it prints anything but `quantity value unit`, or when it leaves a
process or a name in shared memory behind.
"""

import math
import os
import re
import subprocess
import sys
import time

SECONDS, SIZE = "0.01", "1000"
GRACE = 5  # seconds


def members(session):
    """Who lives in the session that was made for the contestant."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[3]) == session:
            found.append(int(entry))
    return found


def left_behind(session):
    """Who does not end with the contestant, or soon after it: the kernel tells children last."""
    deadline = time.monotonic() + GRACE
    while (left := members(session)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def watch(process):
    """What the contestant prints, in the end, and who has lived in its session."""
    seen = {process.pid}
    while process.poll() is None:
        seen.update(members(process.pid))
        time.sleep(0.01)
    return process.stdout.read(), seen


def is_of(name, processes):
    """Tests that run beside this one have names in shared memory, too, each with the number of a
    process, and leave some of those whom they kill."""
    numbers = [int(number) for number in re.findall(r"\d+", name)]
    return not numbers or any(number in processes for number in numbers)


def complaint(command, duel):
    """What is wrong with one duel, or None."""
    names = set(os.listdir("/dev/shm"))
    with subprocess.Popen([*command, duel, SECONDS, SIZE], stdout=subprocess.PIPE, text=True,
                          start_new_session=True) as process:
        output, seen = watch(process)
    if process.returncode != 0:
        return f"exit status {process.returncode}"
    if not output:
        return "said nothing"
    for line in output.splitlines():
        words = line.split()
        if len(words) != 3 or not math.isfinite(float(words[1])):
            return f"not a quantity: {line!r}"
    if left := left_behind(process.pid):
        return f"processes left behind: {left}"
    new = [n for n in set(os.listdir("/dev/shm")) - names
           if n.startswith(("weft", "duel")) and is_of(n, seen)]
    return f"left in /dev/shm: {new}" if new else None


def main(command):
    listed = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True)
    duels = listed.stdout.splitlines()[1:]
    wrong = {duel: complaint(command, duel) for duel in duels}
    for duel in duels:
        print(f"{duel}: {wrong[duel] or 'ok'}")
    return 1 if not duels or any(wrong.values()) else 0


sys.exit(main(sys.argv[1:]))
