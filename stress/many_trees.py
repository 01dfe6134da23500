"""1,000 process trees at a time: watched for less than 20 % of a core, and all ended in 2 s beyond the grace.

The CPU time is that of coordinator, workers, zygotes and reapers while nothing happens but heartbeats and a scan of the
process table per second for the limits. They are ended twice: once they obey SIGTERM, once they are deaf.
"""

import os
import time
from collections import Counter

import trio

from stress import _program
from stress._inspection import Inspection, cpu_seconds, judged, resident, zombies
from stress._process_tests import Family, children, environment, name_of
from stress._program import Keep, Ping
from stress._report import Report, scaled
from stress._rounds import time_until
from supervisors import WorkerPool, open_pool

KIND = "stress"
TREES, WORKERS, IDLE, GRACE = 1000, 2, 20.0, 1.0
SHARE, MARGIN = 0.20, 2.0
"""Of one core; seconds beyond the grace."""
START_LIMIT = 120.0

Pool = WorkerPool[_program.Job, Ping, int, _program.Result]


def main() -> int:
    """0 if watching is cheap and ending is quick."""
    return judged(check)


async def check(report: Report, inspection: Inspection) -> None:
    trees = scaled(TREES)
    settings = {
        "size": WORKERS,
        "jobs_per_worker": -(-trees // WORKERS),
        "cancel_grace": GRACE,
        "env": environment(),
    }
    async with open_pool(_program.NAME, _program.PROTOCOL, **settings) as pool:
        await one_round(report, pool, trees, "sleep {tag}; true", 0.0)
        inspection.mark()
        await one_round(report, pool, trees, "trap '' TERM; sleep {tag}; true", GRACE)


async def one_round(report: Report, pool: Pool, trees: int, script: str, grace: float) -> None:
    """Start all, leave them alone, end all."""
    family, up = Family.new(), 0

    async def on_message(_message: Ping) -> None:
        nonlocal up
        up += 1

    began = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(trees):
            nursery.start_soon(pool.run, Keep(script.format(tag=family.tag)), on_message)
        await time_until(lambda: up == trees, limit=START_LIMIT)
        await time_until(lambda: len(family.sleepers()) == trees, limit=START_LIMIT)
        report.figure(f"{len(family.alive())} processes of {up} trees in {time.perf_counter() - began:.1f} s")
        if grace == 0:
            await watch_idle(report, pool)
        began = time.perf_counter()
        nursery.cancel_scope.cancel()
    took = time.perf_counter() - began
    report.law(
        f"{trees} trees ended in {took:.2f} s, {'deaf' if grace else 'polite'}", holds=took < grace + MARGIN
    )
    report.law("nobody of them is left", family.alive())


async def watch_idle(report: Report, pool: Pool) -> None:
    """What all of ours together use while nothing happens."""
    roles = machinery(pool)
    before, began = used(roles), time.perf_counter()
    await trio.sleep(IDLE)
    seconds = time.perf_counter() - began
    shares = {
        role: used({pid: role for pid, its in roles.items() if its == role}) for role in set(roles.values())
    }
    share = (used(roles) - before) / seconds
    memory = sum(resident(pid) for pid in roles) / 2**20
    report.figure(f"{dict(Counter(roles.values()))}, {memory:.0f} MiB resident, shared pages counted in each")
    report.figure(f"CPU so far: { {role: round(seconds, 2) for role, seconds in shares.items()} } s")
    report.law(f"watched for {100 * share:.1f} % of a core over {seconds:.0f} s", holds=share < SHARE)
    report.law("no zombie", zombies())


def machinery(pool: Pool) -> dict[int, str]:
    """Every process of ours and its role."""
    roles = {os.getpid(): "coordinator"}
    for worker in pool.workers:
        roles[worker.pid] = "worker"
        for zygote in children(worker.pid):
            roles[zygote] = "zygote"
            roles |= {pid: "reaper" for pid in children(zygote) if name_of(pid) == "reaper"}
    return roles


def used(roles: dict[int, str]) -> float:
    """CPU seconds of them all so far."""
    return sum(map(cpu_seconds, roles))
