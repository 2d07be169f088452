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


def each(seconds, run):
    """`run(n)` in batches, as duel_each() does."""
    deadline = time.monotonic() + seconds
    batches, n = [], 1
    while time.monotonic() < deadline or not batches:
        begin = time.monotonic()
        run(n)
        took = time.monotonic() - begin
        if took < 0.05 * seconds and time.monotonic() < deadline:
            n *= 2
        else:
            batches.append(1e9 * took / n)
    value("each", quantile(batches, 0.5), "ns")


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
