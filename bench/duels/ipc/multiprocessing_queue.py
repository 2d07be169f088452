#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two contestants: multiprocessing.Queue (--queue) and multiprocessing.Pipe (--pipe).

What they measure is far above what the distance of two processors costs, so there is no probe and
the quantities are called `any`, for any distance.
"""

import multiprocessing
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duel  # noqa: E402

COLD = 0.005
NUMBER = struct.Struct("<Q")


class Queue:
    """An integer of 8 bytes, pickled, as one would."""

    def __init__(self):
        self.queue = multiprocessing.Queue()

    def push(self, number):
        self.queue.put(number)

    def pop(self):
        return self.queue.get()


class Pipe:
    """8 bytes as they are."""

    def __init__(self):
        self.reader, self.writer = multiprocessing.Pipe(duplex=False)

    def push(self, number):
        self.writer.send_bytes(NUMBER.pack(number))

    def pop(self):
        return NUMBER.unpack(self.reader.recv_bytes())[0]


def send(channel, go_on):
    """Batches of as many numbers as are asked for; 0 ends it."""
    while n := go_on.recv():
        for i in range(n):
            channel.push(i)


def answer(channel, back):
    while (number := channel.pop()) != 0:
        back.push(number)


def start(target, *arguments):
    child = multiprocessing.Process(target=target, args=arguments, daemon=True)
    child.start()
    return child


def throughput(make):
    def run(seconds, _):
        channel, (theirs, ours) = make(), multiprocessing.Pipe()
        child = start(send, channel, theirs)
        deadline, n = time.monotonic() + seconds, 500
        while True:
            ours.send(n)
            begin = time.monotonic()
            for i in range(n):
                if (number := channel.pop()) != i:
                    duel.equal("number of a message", number, i)
            took = time.monotonic() - begin
            if time.monotonic() + 2 * took >= deadline:
                break
            n *= 2
        ours.send(0)
        child.join()
        duel.value("any", 1e-6 * n / took, "M/s")
    return run


def rounds(make, rest, factor, unit, prefix):
    def run(seconds, _):
        channel, back = make(), make()
        child = start(answer, channel, back)
        deadline, samples = time.monotonic() + seconds, []
        while time.monotonic() < deadline or len(samples) < 5:
            number = len(samples) + 1
            if rest:
                time.sleep(rest)
            begin = time.monotonic()
            channel.push(number)
            duel.equal("answer", back.pop(), number)
            samples.append(factor * (time.monotonic() - begin))
        channel.push(0)
        child.join()
        duel.value(f"{prefix}p50", duel.quantile(samples, 0.50), unit)
        duel.value(f"{prefix}p99", duel.quantile(samples, 0.99), unit)
    return run


chosen = {"--queue": Queue, "--pipe": Pipe}[sys.argv.pop(1)]
duel.main(duel.PYTHON, {"8": throughput(chosen),
                        "waiting": rounds(chosen, 0, 1e9, "ns", "any."),
                        "cold": rounds(chosen, COLD, 1e6, "us", "")})
