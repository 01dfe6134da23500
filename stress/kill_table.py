"""Every way to survive meets every way to end, 100 times each, and nothing survives.

The ways to end are the exit of the leader, ``stop``, and leaving the block. All three promise that nothing is left
when they return, so each run looks once and does not wait. Then one hidden process in one of eight live jobs: gone in
2 s, the exit code right, and the other seven untouched.
"""

import os
import signal
import time
from collections.abc import Awaitable, Callable

import trio

from stress._inspection import Inspection, judged
from stress._process_tests import (
    KINDS,
    PROGRAM,
    PROTOCOL,
    Family,
    Message,
    Output,
    Shell,
    environment,
    shell,
    until_up,
)
from stress._report import Report, milliseconds, scaled
from stress._rounds import repeat, time_until
from supervisors import Slot, SlotPool, WorkerPool, open_pool, open_slots

KIND = "stress"
RUNS, STORM_RUNS, NEIGHBOURS = 100, 20, 7
LEADER = "trap 'exit 7' USR1\n{start}\nwhile :; do sleep 5 & wait $!; done"
"""A leader that starts something and exits with 7 when it is told to."""
DAEMON = "(setsid sh -c 'cd /; trap \"\" TERM; (exec sleep TAG </dev/null >/dev/null 2>&1 &)' &)"
"""A daemon by the book: session, second fork, no stream of ours, deaf, and its leader gone long ago."""
ROWS = {**KINDS, "daemon, leader gone": DAEMON}


def main() -> int:
    """0 if nothing ever survived."""
    return judged(check)


async def check(report: Report, inspection: Inspection) -> None:
    for kind in ROWS:
        async with open_slots() as slots:
            for name, end in ENDS.items():
                await check_row(report, slots, kind, name, end)
        inspection.mark() if kind == "plain" else None
    await check_neighbours(report)


End = Callable[[Slot, Family, str], Awaitable[float]]


async def check_row(report: Report, slots: SlotPool, kind: str, name: str, end: End) -> None:
    """One cell of the table."""
    storm = "storm" in kind
    runs = scaled(STORM_RUNS if kind == "setsid storm" else RUNS)
    survivors: list[object] = []

    async def once() -> float:
        family = Family.new()
        async with slots.lease() as slot:
            took = await end(slot, family, kind)
        survivors.extend(family.alive())
        return took

    times = await repeat(runs, once, at_a_time=1 if storm else 4)
    report.law(f"{kind}, {name}: {runs} runs, {milliseconds(times)}", survivors)


def leader_of(family: Family, kind: str) -> str:
    """The script of a leader that starts a member of a family."""
    return LEADER.format(start=ROWS[kind].replace("TAG", family.tag))


async def by_exit(slot: Slot, family: Family, kind: str) -> float:
    """The leader exits by itself."""
    async with slot.start(shell(leader_of(family, kind))) as tree:
        await until_up(family, kind)
        began = time.perf_counter()
        os.kill(tree.pid, signal.SIGUSR1)
        assert (await tree.wait()).code == 7
        return time.perf_counter() - began


async def by_stop(slot: Slot, family: Family, kind: str) -> float:
    """A polite request, then force."""
    async with slot.start(shell(leader_of(family, kind))) as tree:
        await until_up(family, kind)
        began = time.perf_counter()
        assert (await tree.stop(grace=0.1)).signal in (signal.SIGTERM, signal.SIGKILL)
        return time.perf_counter() - began


async def by_leaving(slot: Slot, family: Family, kind: str) -> float:
    """The block is left."""
    async with slot.start(shell(leader_of(family, kind))):
        await until_up(family, kind)
        began = time.perf_counter()
    return time.perf_counter() - began


ENDS: dict[str, End] = {"leader exits": by_exit, "stopped": by_stop, "block left": by_leaving}


# One of eight ----------------------------------------------------------------------------------------------------


async def check_neighbours(report: Report) -> None:
    """A process that nothing ties to its job but its ancestry goes with its job, and nobody else does."""
    runs = scaled(RUNS)
    async with (
        open_pool(PROGRAM, PROTOCOL, env=environment(), cancel_grace=0.0) as pool,
        trio.open_nursery() as nursery,
    ):
        families = [Family.new() for _ in range(NEIGHBOURS)]
        for family in families:
            nursery.start_soon(pool.run, Shell(f"{family.everyone()}\nsleep 600"))
            await family.until_everyone_is_up()
        before = [sorted(family.alive()) for family in families]
        times = await repeat(runs, lambda: end_of_job(pool))
        report.law(
            f"env -i setsid in one of 8 jobs: {runs} runs, {milliseconds(times)}, gone in 2 s",
            holds=max(times) < 2,
        )
        report.law(
            "the other 7 are untouched", holds=[sorted(family.alive()) for family in families] == before
        )
        nursery.cancel_scope.cancel()
    report.law("and gone in the end", [family.alive() for family in families if family.alive()])


async def end_of_job(pool: WorkerPool[object, Message, int, object]) -> float:
    """Seconds from the exit of the job's leader until the hidden one is gone."""
    family, began = Family.new(), 0.0

    async def on_message(message: Message) -> None:
        nonlocal began
        assert isinstance(message, Output)
        await family.until_up("empty environment")
        began = time.perf_counter()
        os.kill(int(message.text), signal.SIGUSR1)

    start = family.kind("empty environment") + "\necho $$"
    result = await pool.run(Shell(LEADER.format(start=start)), on_message)
    assert result.text == "7 None", result
    await time_until(lambda: not family.alive(), limit=10)
    return time.perf_counter() - began
