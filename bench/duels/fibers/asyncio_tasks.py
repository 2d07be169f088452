#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A contestant: asyncio's tasks, futures and timers."""

import asyncio
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import duel  # noqa: E402

SLEEPS = 10


async def each(seconds, run):
    """duel.each() for a coroutine."""
    for n in duel.Batches(seconds):
        await run(n)


async def yield_many(n):
    for _ in range(n):
        await asyncio.sleep(0)


async def yield_in_turn(n):
    other = asyncio.create_task(yield_many(n // 2))
    await yield_many(n // 2)
    await other


async def count_one(counter):
    counter[0] += 1


async def start_and_join(n):
    counter = [0]
    for _ in range(n):
        await asyncio.create_task(count_one(counter))
    duel.equal("tasks run", counter[0], n)


async def count_after(future, counter):
    await future
    counter[0] += 1


async def start_block_join(n):
    loop, counter = asyncio.get_running_loop(), [0]
    for _ in range(n):
        future = loop.create_future()
        task = asyncio.create_task(count_after(future, counter))
        await asyncio.sleep(0)
        future.set_result(None)
        await task
    duel.equal("tasks run", counter[0], n)


async def answer_pings(futures, n):
    loop = asyncio.get_running_loop()
    for _ in range(n):
        await futures["ping"]
        futures["ping"] = loop.create_future()
        futures["pong"].set_result(None)


async def play(n):
    loop = asyncio.get_running_loop()
    futures = {"ping": loop.create_future(), "pong": loop.create_future()}
    other = asyncio.create_task(answer_pings(futures, n // 2))
    for _ in range(n // 2):
        futures["ping"].set_result(None)
        await futures["pong"]
        futures["pong"] = loop.create_future()
    await other


async def block_at_gate(gate, passed):
    await gate.wait()
    passed[0] += 1


async def measure_memory(size):
    gate, passed = asyncio.Event(), [0]
    before = duel.resident_kib()
    tasks = [asyncio.create_task(block_at_gate(gate, passed)) for _ in range(size)]
    await asyncio.sleep(0)
    duel.value("bytes", 1024 * (duel.resident_kib() - before) / size, "B")
    duel.equal("tasks that passed a closed gate", passed[0], 0)
    gate.set()
    await asyncio.gather(*tasks)
    duel.equal("tasks that passed the gate", passed[0], size)


async def sleep_again_and_again(counter):
    for _ in range(SLEEPS):
        await asyncio.sleep(0.01)
        counter[0] += 1


async def measure_sleepers(size):
    counter, begin, used = [0], time.monotonic(), time.process_time()
    await asyncio.gather(*(sleep_again_and_again(counter) for _ in range(size)))
    duel.value("wall", 1e3 * (time.monotonic() - begin), "ms")
    duel.value("cpu", 1e9 * (time.process_time() - used) / (SLEEPS * size), "ns")
    duel.equal("sleeps", counter[0], SLEEPS * size)


def timed(run):
    return lambda seconds, _: asyncio.run(each(seconds, run))


duel.main(duel.PYTHON, {
    "yield": timed(yield_in_turn), "start": timed(start_and_join),
    "start-block": timed(start_block_join), "pingpong": timed(play),
    "memory": lambda _, size: asyncio.run(measure_memory(size or 1000000)),
    "sleepers": lambda _, size: asyncio.run(measure_sleepers(size or 100000))})
