# SPDX-License-Identifier: BSD-2-Clause
"""What the contestants in Python share; duel.h explains the protocol."""

import os
import signal
import sys
import time

SECONDS_MAX = 120


def value(quantity, number, unit):
    print(f"{quantity} {number:.9g} {unit}")


def fail(status, message):
    print(message, file=sys.stderr)
    sys.stderr.flush()
    os._exit(status)  # threads of a pool must not keep the answer waiting


def equal(what, found, expected):
    if found != expected:
        fail(1, f"wrong {what}: {found}, expected {expected}")


def quantile(samples, share):
    samples = sorted(samples)
    return samples[min(int(share * len(samples)), len(samples) - 1)]


def quantiles(samples, unit):
    value("p50", quantile(samples, 0.50), unit)
    value("p99", quantile(samples, 0.99), unit)


class Batches:
    """Batches of n operations, of which the median counts; as in duel_each()."""

    def __init__(self, seconds):
        self.n, self.walls, self.cpus = 2, [], []
        self.wanted, self.deadline = 0.05 * seconds, time.monotonic() + seconds

    def __iter__(self):
        """Hands out n, again and again; what is done until the next one is timed."""
        while time.monotonic() < self.deadline or not self.walls:
            begin, cpu = time.monotonic(), time.process_time()
            yield self.n
            took, cpu = time.monotonic() - begin, time.process_time() - cpu
            if took < self.wanted and time.monotonic() < self.deadline:
                self.n *= 2
            else:
                self.walls.append(1e9 * took / self.n)
                self.cpus.append(1e9 * cpu / self.n)
        value("each", quantile(self.walls, 0.5), "ns")
        value("cpu", quantile(self.cpus, 0.5), "ns")


def each(seconds, run):
    """`run(n)` in batches."""
    for n in Batches(seconds):
        run(n)


def resident_kib():
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def main(version, duels):
    """`duels` maps names to functions of seconds and size."""
    words = sys.argv[1:]
    if words == ["--list"]:
        print(version, *duels, sep="\n")
        return
    if not words or words[0] not in duels:
        fail(2, f"unknown duel: {words[0] if words else ''!r}")
    signal.alarm(SECONDS_MAX)
    seconds = float(words[1]) if len(words) > 1 else 0.1
    duels[words[0]](seconds, int(words[2]) if len(words) > 2 else 0)


PYTHON = f"Python {sys.version.split()[0]}"
