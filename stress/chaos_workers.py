"""Workers, zygotes and reapers are killed every 50 to 500 ms under a stream of jobs: each job ends, nothing outlives it.

A job ends with its result, with ``HostLost``, or with ``SlotLost`` where its reaper was the victim; by then no process
that it started is alive. What is left of the machinery when the storm is over works as before.
"""

import random
import signal
from collections import Counter

import trio

from stress._inspection import Inspection, end, judged
from stress._process_tests import (
    CALM,
    PROGRAM,
    PROTOCOL,
    Family,
    Message,
    Shell,
    children,
    environment,
    name_of,
)
from stress._report import SCALE, Report
from supervisors import HostLost, JobFailed, PoolEvent, WorkerLost, WorkerPool, open_pool

KIND = "stress"
SECONDS, WORKERS, JOBS = 120.0, 2, 8
RESULTS = {"7 None", "HostLost", "SlotLost"}
VICTIMS = ("worker", "zygote", "reaper", "reaper", "reaper", "reaper")
AFTERWARDS = 20
"""Jobs that must all succeed once nobody is killed any more."""
JOB_LIMIT = 60.0
"""Seconds after which a job counts as lost."""

Pool = WorkerPool[object, Message, int, object]


class Storm:
    """Jobs, murders, and what came of both."""

    def __init__(self, pool: Pool, chance: random.Random) -> None:
        self.pool = pool
        self.chance = chance
        self.outcomes: Counter[str] = Counter()
        self.killed: Counter[str] = Counter()
        self.survivors: list[object] = []
        self.over = False

    async def job_after_job(self) -> None:
        """Keep one job running until the storm is over."""
        while not self.over:
            await self.job()

    async def job(self) -> None:
        """Run a tree of some hidden processes for up to half a second."""
        family = Family.new()
        kinds = self.chance.sample(CALM, 3)
        pause = self.chance.choice((0, 0.05, 0.2, 0.5))
        script = "\n".join([*map(family.kind, kinds), "echo up", f"sleep {pause}", "exit 7"])
        outcome = "lost"
        with trio.move_on_after(JOB_LIMIT):
            outcome = await self.outcome(script)
        self.outcomes[outcome] += 1
        self.survivors += family.alive()

    async def outcome(self, script: str) -> str:
        """How a job ends, in one word."""
        try:
            result = await self.pool.run(Shell(script), ignore)
        except HostLost:
            return "HostLost"
        except JobFailed as failed:
            return failed.error.type.rpartition(".")[2]
        return result.text

    async def murder(self, seconds: float) -> None:
        """Kill somebody, again and again."""
        end_of_storm = trio.current_time() + seconds
        while trio.current_time() < end_of_storm:
            await trio.sleep(self.chance.uniform(0.05, 0.5))
            role = self.chance.choice(VICTIMS)
            victims = self.who_is(role)
            if victims and end(self.chance.choice(victims), signal.SIGKILL):
                self.killed[role] += 1

    def who_is(self, role: str) -> list[int]:
        """Everybody with a role."""
        workers = [worker.pid for worker in self.pool.workers]
        if role == "worker":
            return workers
        zygotes = [pid for worker in workers for pid in children(worker) if name_of(pid) == "zygote"]
        if role == "zygote":
            return zygotes
        return [pid for zygote in zygotes for pid in children(zygote) if name_of(pid) == "reaper"]


async def ignore(_message: Message) -> None:
    """Listen to nothing."""


def main() -> int:
    """0 if every job ended and nothing outlived one."""
    return judged(check)


async def check(report: Report, inspection: Inspection) -> None:
    losses: list[PoolEvent] = []
    settings = {"size": WORKERS, "jobs_per_worker": JOBS // WORKERS, "losses": 10**6, "env": environment()}
    async with open_pool(PROGRAM, PROTOCOL, listener=losses.append, **settings) as pool:
        storm = Storm(pool, random.Random(report.seed))
        await rage(storm, SECONDS * SCALE * 0.2)
        inspection.mark()
        await rage(storm, SECONDS * SCALE * 0.8)
        during, storm.outcomes = storm.outcomes, Counter()
        async with trio.open_nursery() as nursery:
            for _ in range(AFTERWARDS):
                nursery.start_soon(storm.job)
    lost = sum(isinstance(event, WorkerLost) for event in losses)
    report.figure(f"killed: {dict(storm.killed)}; {lost} workers lost; jobs ended with {dict(during)}")
    report.law("every job ended with a result or the loss of its host or slot", set(during) - RESULTS)
    report.law("some ended with a result", holds=during["7 None"] > 0)
    report.law("no process outlived its job", storm.survivors)
    afterwards = storm.outcomes == {"7 None": AFTERWARDS}
    report.law("afterwards every job succeeds", None if afterwards else dict(storm.outcomes))


async def rage(storm: Storm, seconds: float) -> None:
    """Some time of it; returns when the jobs that are under way have ended."""
    storm.over = False
    async with trio.open_nursery() as nursery:
        for _ in range(JOBS):
            nursery.start_soon(storm.job_after_job)
        await storm.murder(seconds)
        storm.over = True
