"""What only the fakes can: virtual time, losses by request, and a record of what was to be started."""

import errno
import math
import os
import signal

import pytest
import trio
from trio.testing import MockClock

from supervisors import (
    Command,
    HostLost,
    JobLink,
    JobProtocol,
    Limits,
    SlotPool,
    SpawnFailed,
    WorkerProgram,
)
from supervisors.testing import OnTerm, Script, autojump_clock, open_fake_pool, open_fake_slots

PROTOCOL: JobProtocol[str, int, None, int] = JobProtocol(job=str, message=int, answer=type(None), result=int)


async def serve(job: str, link: JobLink[int, None], slots: SlotPool) -> int:
    """Run the job as a command; tell its pid; return its exit code."""
    async with slots.lease() as slot, slot.start(command(job)) as tree:
        await link.tell(tree.pid)
        return (await tree.wait()).code or 0


PROGRAM = WorkerProgram(PROTOCOL, serve)


def command(*argv: str) -> Command:
    return Command(argv=argv, cwd="/somewhere", env={"A": "ä"}, stdin=b"\xff", open_files=9)


async def test_time_is_virtual(autojump_clock: MockClock) -> None:
    """A year of work and an hour of grace are gone in no time."""
    scripts = {"work": Script(lasts=31_536_000.0), "deaf": Script(lasts=math.inf, on_term=OnTerm.IGNORE)}
    async with open_fake_slots(lambda command: scripts[command.argv[0]]) as slots, slots.lease() as slot:
        async with slot.start(command("work")) as tree:
            await tree.wait()
        assert trio.current_time() == pytest.approx(31_536_000)
        begin = trio.current_time()
        async with slot.start(command("deaf")) as tree:
            assert (await tree.stop(3600)).signal == signal.SIGKILL
        assert trio.current_time() - begin == pytest.approx(3600)


async def test_a_pool_is_as_virtual(autojump_clock: MockClock) -> None:
    """No heartbeat keeps the clock from its jumps, and none is missed."""
    async with open_fake_pool(PROGRAM, lambda _: Script(lasts=86_400.0, code=3)) as pool:
        assert await pool.run("make") == 3
    assert trio.current_time() == pytest.approx(86_400)


async def test_heartbeats_are_there_if_asked_for(autojump_clock: MockClock) -> None:
    async with open_fake_pool(PROGRAM, lambda _: Script(lasts=3600.0), heartbeat_interval=1.0) as pool:
        assert await pool.run("make") == 0
        assert [worker.number for worker in pool.workers] == [1]


async def test_trees_use_what_the_test_says(autojump_clock: MockClock) -> None:
    """One that uses too much is killed at the next tick."""
    async with (
        open_fake_slots(lambda _: Script(lasts=math.inf)) as slots,
        slots.lease() as slot,
        slot.start(command("make"), Limits(memory=2**30)) as tree,
    ):
        await trio.sleep(60)
        slots.table.use(tree.reaper, memory=2**31)
        assert (await tree.wait()).signal == signal.SIGKILL
        assert str(tree.breach) == "memory 2 GiB > 1 GiB"


async def test_what_was_started_is_recorded_whole() -> None:
    async with open_fake_slots(lambda _: Script(errno=errno.EACCES)) as slots, slots.lease() as slot:
        with pytest.raises(SpawnFailed, match="Permission denied"):
            async with slot.start(command("one")):
                pytest.fail("it started")
        assert slots.commands == [command("one")]
    async with open_fake_pool(PROGRAM, lambda _: Script()) as pool:
        for name in ("two", "three"):
            await pool.run(name)
        assert pool.commands == [command("two"), command("three")]


async def test_without_a_cast_no_command_exists() -> None:
    async with open_fake_pool(PROGRAM) as pool:
        with pytest.raises(Exception, match="SpawnFailed: No such file or directory: 'make'"):
            await pool.run("make")


async def test_a_worker_is_lost_by_its_number() -> None:
    """Its jobs end with `HostLost`; those of the others go on."""
    lost: list[int] = []
    gate = trio.Event()

    async with open_fake_pool(PROGRAM, lambda _: Script(lasts=math.inf), size=3, jobs_per_worker=1) as pool:

        async def run() -> None:
            try:
                await pool.run("make")
            except HostLost as error:
                lost.append(error.worker)
                gate.set()

        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(run)
            await trio.testing.wait_all_tasks_blocked()
            pool.lose_worker(2)
            await gate.wait()
            assert lost == [2]
            assert [worker.number for worker in pool.workers] == [1, 3]
            with pytest.raises(LookupError):
                pool.lose_worker(2)
            pool.lose_worker()
            pool.lose_worker(3)
    assert sorted(lost) == [1, 2, 3]


async def test_nobody_has_the_pids_of_fakes() -> None:
    """Code under test may signal them: the kernel knows no such process."""
    pids: list[int] = []

    async def listen(pid: int) -> None:
        pids.append(pid)

    async with open_fake_pool(PROGRAM, lambda _: Script()) as pool:
        await pool.run("make", listen)
        pids.append(pool.workers[0].pid)
    async with (
        open_fake_slots(lambda _: Script()) as slots,
        slots.lease() as slot,
        slot.start(command("make")) as tree,
    ):
        pids += [tree.pid, tree.reaper]
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_clock_of_its_own_for_those_without_fixtures() -> None:
    async def sleep_long() -> float:
        await trio.sleep(80_000)
        return trio.current_time()

    assert trio.run(sleep_long, clock=autojump_clock()) == pytest.approx(80_000)
