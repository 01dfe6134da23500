"""An ask from a job in a worker costs at most twice a raw round trip of msgspec frames over the same kind of sockets.

The raw peer is a process of its own, too, with trio's own streams on both sides, and nothing else: no pool, no jobs,
no credit. Rounds of both alternate; the ratio is the median of the rounds' ratios.
"""

import socket
import statistics
import subprocess
import sys

import trio

from stress import _program
from stress._inspection import inspected
from stress._program import AskOn, Ping
from stress._raw_peer import Frames, Question, answer
from stress._report import Report, scaled
from supervisors import WorkerPool, open_pool

KIND = "bench"
ASKS, ROUNDS, FLOOR = 2_000, 15, 2.0


def main() -> int:
    """0 if asking across is cheap."""
    report = Report()
    with inspected(report):
        trio.run(check, report)
    return report.code


async def check(report: Report) -> None:
    base, mine, ratio = await compare()
    text = f"ask {mine:.0f} us, raw round trip {base:.0f} us, {ratio:.2f} times (at most {FLOOR:g})"
    report.law(text, holds=ratio <= FLOOR)


async def compare() -> tuple[float, float, float]:
    """Microseconds raw, microseconds as an ask, and the ratio."""
    async with open_pool(_program.NAME, _program.PROTOCOL) as pool:
        pairs = [(await raw(), await ours(pool)) for _ in range(scaled(ROUNDS, least=3))]
    base, mine = (1e6 * statistics.median(times) / ASKS for times in zip(*pairs, strict=True))
    return base, mine, statistics.median(b / a for a, b in pairs)


async def ours(pool: WorkerPool[_program.Job, Ping, int, _program.Result]) -> float:
    """Seconds as a job sees it."""

    async def on_message(message: Ping) -> int:
        return message.number + 1

    return (await pool.run(AskOn(ASKS), on_message)).seconds


async def raw() -> float:
    """Seconds as a raw peer sees it."""
    here, there = socket.socketpair()
    command = [sys.executable, "-m", "stress._raw_peer", str(there.fileno()), str(ASKS)]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE, pass_fds=[there.fileno()])
    there.close()
    assert process.stdout is not None
    async with process.stdout:
        frames = Frames(here, Question)
        await answer(frames)
        await frames.stream.aclose()
        said = await process.stdout.receive_some()
        await process.wait()
    return float(said)
