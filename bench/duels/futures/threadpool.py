#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A contestant: concurrent.futures.ThreadPoolExecutor."""

import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duel  # noqa: E402

WORKERS = 2
ASLEEP = 0.005
WINDOW = 1000
WAITERS = 64


def empty_task(n):
    return n


def submit_and_result(pool, n):
    for i in range(n):
        result = pool.submit(empty_task, i).result()
        if result != i:
            duel.equal("result", result, i)


def inside(seconds, _):
    with ThreadPoolExecutor(WORKERS) as pool:
        pool.submit(duel.each, seconds, lambda n: submit_and_result(pool, n)).result()


def outside(seconds, _):
    with ThreadPoolExecutor(WORKERS) as pool:
        submit_and_result(pool, 100)
        duel.each(seconds, lambda n: submit_and_result(pool, n))


def asleep(seconds, _):
    deadline, samples = time.monotonic() + seconds, []
    with ThreadPoolExecutor(WORKERS) as pool:
        submit_and_result(pool, 100)
        while time.monotonic() < deadline or len(samples) < 5:
            time.sleep(ASLEEP)
            begin = time.monotonic()
            submit_and_result(pool, 1)
            samples.append(1e6 * (time.monotonic() - begin))
    duel.quantiles(samples, "us")


def submit_many(pool, n):
    total, window = 0, []
    for i in range(n):
        if len(window) == WINDOW:
            total += sum(future.result() for future in window)
            window = []
        window.append(pool.submit(empty_task, i))
    return total + sum(future.result() for future in window)


def throughput(seconds, _):
    n = max(1000, int(40000 * seconds))
    with ThreadPoolExecutor(WORKERS) as pool:
        begin = time.monotonic()
        total = submit_many(pool, n)
        took = time.monotonic() - begin
    duel.equal("sum", total, n * (n - 1) // 2)
    duel.value("rate", 1e-6 * n / took, "M/s")


def memory(_, size):
    count, gate = size or 1000000, threading.Event()
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in range(WORKERS):
            pool.submit(gate.wait)
        futures = [None] * count
        before = duel.resident_kib()
        for i in range(count):
            futures[i] = pool.submit(empty_task, i)
        after = duel.resident_kib()
        gate.set()
        duel.equal("sum", sum(future.result() for future in futures), count * (count - 1) // 2)
    duel.value("bytes", 1024 * (after - before) / count, "B")


class Waiters:
    """64 threads that wait for one future after the other, together."""

    def __init__(self):
        self.future, self.ending, self.woken, self.failures = None, False, [], 0
        self.ready = threading.Barrier(WAITERS + 1)
        self.threads = [threading.Thread(target=self.wait) for _ in range(WAITERS)]
        for thread in self.threads:
            thread.start()

    def wait(self):
        number = 0
        while self.ready.wait() >= 0 and not self.ending:
            if self.future.result() != number:
                self.failures += 1
            self.woken.append(time.monotonic())
            number += 1
            self.ready.wait()

    def round(self, number):
        self.future, self.woken = Future(), []
        self.ready.wait()
        time.sleep(0.001)
        begin = time.monotonic()
        self.future.set_result(number)
        self.ready.wait()
        return 1e6 * (max(self.woken) - begin)

    def end(self):
        self.ending = True
        self.ready.wait()
        for thread in self.threads:
            thread.join()


def waiters(seconds, _):
    deadline, samples = time.monotonic() + seconds, []
    threads = Waiters()
    while time.monotonic() < deadline or len(samples) < 5:
        samples.append(threads.round(len(samples)))
    threads.end()
    duel.equal("results seen by waiters", threads.failures, 0)
    duel.quantiles(samples, "us")


duel.main(duel.PYTHON, {"inside": inside, "outside": outside, "asleep": asleep,
                        "throughput": throughput, "memory": memory, "waiters": waiters})
