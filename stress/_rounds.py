"""Repeats something many times, a few at a time."""

import math
import time
from collections.abc import Awaitable, Callable

import trio


async def repeat(count: int, run: Callable[[], Awaitable[float]], *, at_a_time: int = 1) -> list[float]:
    """Run something ``count`` times; what each answered, in the order of their ends."""
    answers: list[float] = []
    places = trio.CapacityLimiter(at_a_time)

    async def once() -> None:
        async with places:
            answers.append(await run())

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(once)
    return answers


async def time_until(condition: Callable[[], bool], *, limit: float) -> float:
    """Seconds until a condition holds; infinity if it does not within ``limit``."""
    began = time.perf_counter()
    while not condition():
        if time.perf_counter() - began > limit:
            return math.inf
        await trio.sleep(0.005)
    return time.perf_counter() - began
