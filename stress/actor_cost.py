"""A tell and its handling cost at most 3 times the same through a bare trio memory channel.

Rounds of both alternate in one event loop; the ratio is the median of the rounds' ratios.
"""

import statistics
import time

import trio

from stress._report import Report, scaled
from supervisors import Actor, ChildSpec, Supervisor, open_supervisor

KIND = "bench"
MESSAGES, ROUNDS, FLOOR = 20_000, 21, 3.0


class Sink(Actor[int]):
    """Counts to a number."""

    def __init__(self, done: trio.Event) -> None:
        self.total = 0
        self.done = done

    async def handle(self, message: int) -> None:
        """Add."""
        self.total += message
        if self.total == MESSAGES:
            self.done.set()


def main() -> int:
    """0 if an actor is cheap."""
    report = Report()
    trio.run(check, report)
    return report.code


async def check(report: Report) -> None:
    for capacity in (1024, 1):
        pairs = [(await bare(capacity), await actor(capacity)) for _ in range(scaled(ROUNDS, least=3))]
        base, ours = (1e6 * statistics.median(times) / MESSAGES for times in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        text = f"room for {capacity}: {ours:.2f} us, bare channel {base:.2f} us, {ratio:.2f} times"
        report.law(f"{text} (at most {FLOOR:g})", holds=ratio <= FLOOR)


async def bare(capacity: int) -> float:
    """Seconds through a memory channel."""
    send, receive = trio.open_memory_channel[int](capacity)
    total = 0

    async def read() -> None:
        nonlocal total
        async for message in receive:
            total += message

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        async with send:
            for _ in range(MESSAGES):
                await send.send(1)
    assert total == MESSAGES
    return time.perf_counter() - began


async def actor(capacity: int) -> float:
    """Seconds through an actor."""
    done = trio.Event()
    spec = ChildSpec("sink", lambda: Sink(done), capacity=capacity)
    async with open_supervisor(Supervisor([spec])):
        began = time.perf_counter()
        for _ in range(MESSAGES):
            await spec.ref.tell(1)
        await done.wait()
        return time.perf_counter() - began
