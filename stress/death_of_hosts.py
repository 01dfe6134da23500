"""Coordinator, worker, zygote and reaper are killed, alone and together, 100 times each: no process tree outlives them.

Each run has a coordinator of its own, with a process tree that holds one of every kind of survivor, and ends with
the proof that its lock, which every reaper shares, is free.
"""

import os
import random
import signal
import tempfile
from functools import partial
from pathlib import Path

import trio

from stress._inspection import bury, inspected
from stress._process_tests import CRIMES, Family, coordinator_of, shell, until_up
from stress._report import Report, milliseconds, scaled
from stress._rounds import repeat, time_until
from supervisors import ProcessTree, SlotLost, SlotPool, open_slots

KIND = "stress"
RUNS, STORM_RUNS = 100, 20
TOGETHER = 8
LIMIT = 5.0
"""Seconds within which everything must be gone."""


def main() -> int:
    """0 if nobody ever lived longer than the limit."""
    report = Report()
    with inspected(report):
        for crime in CRIMES:
            check_crime(report, crime, "everyone", scaled(RUNS))
            check_crime(report, crime, "setsid storm", scaled(STORM_RUNS))
        trio.run(check_neighbours, report, -(-scaled(RUNS) // TOGETHER))
    return report.code


def check_crime(report: Report, crime: str, kind: str, runs: int) -> None:
    """One way to kill, many times, against all calm kinds at once or against a storm."""
    with tempfile.TemporaryDirectory(prefix="stress-") as folder:

        async def once() -> float:
            family = Family.new()
            return await commit(crime, kind, family, Path(folder) / family.tag)

        async def all_runs() -> list[float]:
            return await repeat(runs, once, at_a_time=1 if kind == "setsid storm" else 2)

        times = trio.run(all_runs)
    _, survivors = bury()  # here, where none of the children is another run's
    late = [f"gone after {time:.1f} s" for time in times if time > LIMIT]
    report.law(f"{crime} killed, {kind}: {runs} runs, {milliseconds(times)}", late + survivors)


async def commit(crime: str, kind: str, family: Family, lock: Path) -> float:
    """Seconds from the crime until nobody is left."""
    start = family.everyone() if kind == "everyone" else family.kind(kind)
    async with coordinator_of(family, lock, f"{start}\necho up; sleep 600") as cast:
        await (family.until_everyone_is_up() if kind == "everyone" else until_up(family, kind))
        for pid, number in CRIMES[crime](cast):
            os.kill(pid, number)

        def is_over() -> bool:  # the coordinator has the script among its arguments, and may live
            return not [member for member in family.alive() if member.pid != cast.coordinator]

        return await time_until(is_over, limit=2 * LIMIT)


# One of many -----------------------------------------------------------------------------------------------------


async def check_neighbours(report: Report, runs: int) -> None:
    """Reapers that were forked at once are killed one by one: each loss is told, and the others do not notice."""
    chance, wrong = random.Random(report.seed), []
    for _ in range(runs):
        async with open_slots() as slots:
            wrong += await kill_one_by_one(slots, chance)
    report.law(
        f"one of {TOGETHER} reapers forked at once killed, {runs * TOGETHER} times: told, no other lost",
        wrong,
    )


async def kill_one_by_one(slots: SlotPool, chance: random.Random) -> list[str]:
    """Start all at once, kill them in a random order; what was wrong."""
    ends: dict[int, str] = {}
    trees: list[ProcessTree] = []
    wrong: list[str] = []
    async with trio.open_nursery() as nursery:
        for _ in range(TOGETHER):
            nursery.start_soon(tree_until_lost, slots, trees, ends)
        await time_until(lambda: len(trees) == TOGETHER, limit=LIMIT)
        for number, tree in enumerate(chance.sample(trees, len(trees)), 1):
            os.kill(tree.reaper, signal.SIGKILL)
            await time_until(partial(ends.__contains__, tree.reaper), limit=LIMIT)
            if len(ends) != number or ends.get(tree.reaper) != "SlotLost":
                wrong.append(f"after {number} murders: {ends}")
                break
        nursery.cancel_scope.cancel()
    return wrong


async def tree_until_lost(slots: SlotPool, trees: list[ProcessTree], ends: dict[int, str]) -> None:
    """A tree that ends only with its reaper."""
    async with slots.lease() as slot, slot.start(shell("sleep 600")) as tree:
        trees.append(tree)
        try:
            await tree.wait()
            ends[tree.reaper] = "an exit"
        except SlotLost:
            ends[tree.reaper] = "SlotLost"
