"""Coordinator, worker, zygote and reaper are killed, alone and together, 100 times each: no process tree outlives them.

Each run has a coordinator of its own, with a process tree that holds one of every kind of survivor, and ends with
the proof that its lock, which every reaper shares, is free.
"""

import os
import tempfile
from pathlib import Path

import trio

from stress._inspection import bury, inspected
from stress._process_tests import CRIMES, Family, coordinator_of
from stress._report import Report, milliseconds, scaled
from stress._rounds import repeat, time_until

KIND = "stress"
RUNS, STORM_RUNS = 100, 20
LIMIT = 5.0
"""Seconds within which everything must be gone."""


def main() -> int:
    """0 if nobody ever lived longer than the limit."""
    report = Report()
    with inspected(report):
        for crime in CRIMES:
            check_crime(report, crime, "everyone", scaled(RUNS))
            check_crime(report, crime, "setsid storm", scaled(STORM_RUNS))
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
    bury()  # here, where none of the children is another run's
    late = [time for time in times if time > LIMIT]
    report.law(f"{crime} killed, {kind}: {runs} runs, {milliseconds(times)}", f"{len(late)} late" if late else None)


async def commit(crime: str, kind: str, family: Family, lock: Path) -> float:
    """Seconds from the crime until nobody is left."""
    start = family.everyone() if kind == "everyone" else family.kind(kind)
    async with coordinator_of(family, lock, f"{start}\necho up; sleep 600") as cast:
        await (family.until_everyone_is_up() if kind == "everyone" else family.until_up(kind))
        for pid, number in CRIMES[crime](cast):
            os.kill(pid, number)

        def is_over() -> bool:  # the coordinator has the script among its arguments, and may live
            return not [member for member in family.alive() if member.pid != cast.coordinator]

        return await time_until(is_over, limit=2 * LIMIT)
