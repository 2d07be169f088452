#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A contestant: multiprocessing.Process and concurrent.futures.ProcessPoolExecutor."""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duel  # noqa: E402

WORKERS = 2
ASLEEP = 0.005
WINDOW = 1000


def empty_task(n):
    return n


def submit_and_result(pool, n):
    for i in range(n):
        result = pool.submit(empty_task, i).result()
        if result != i:
            duel.equal("result", result, i)


def timed(seconds, run, rest=0.0):
    """Samples of `run()` in microseconds."""
    deadline, samples = time.monotonic() + seconds, []
    while time.monotonic() < deadline or len(samples) < 5:
        if rest:
            time.sleep(rest)
        begin = time.monotonic()
        run()
        samples.append(1e6 * (time.monotonic() - begin))
    duel.quantiles(samples, "us")


def start_and_join():
    child = multiprocessing.Process(target=empty_task, args=(0,))
    child.start()
    child.join()
    duel.equal("exit status", child.exitcode, 0)


def use_once():
    with ProcessPoolExecutor(WORKERS) as pool:
        submit_and_result(pool, 1)


def asleep(seconds, _):
    with ProcessPoolExecutor(WORKERS) as pool:
        submit_and_result(pool, 20)
        timed(seconds, lambda: submit_and_result(pool, 1), ASLEEP)


def awake(seconds, _):
    with ProcessPoolExecutor(WORKERS) as pool:
        submit_and_result(pool, 20)
        timed(seconds, lambda: submit_and_result(pool, 1))


def throughput(seconds, _):
    n, window, total = max(WINDOW, int(4000 * seconds)), [], 0
    with ProcessPoolExecutor(WORKERS) as pool:
        submit_and_result(pool, 20)
        begin = time.monotonic()
        for i in range(n):
            if len(window) == WINDOW:
                total += sum(future.result() for future in window)
                window = []
            window.append(pool.submit(empty_task, i))
        total += sum(future.result() for future in window)
        took = time.monotonic() - begin
    duel.equal("sum", total, n * (n - 1) // 2)
    duel.value("rate", 1e-6 * n / took, "M/s")


duel.main(duel.PYTHON, {
    "start": lambda seconds, _: timed(seconds, start_and_join), "asleep": asleep, "awake": awake,
    "throughput": throughput, "once": lambda seconds, _: timed(seconds, use_once)})
