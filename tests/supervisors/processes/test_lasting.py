"""What goes on when its job has ended: until it ends itself, or its worker does, and never longer."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from process_table import Family, until
from programs import PROTOCOL, Echo, Job, Leave, Linger, Message, Result, environment

from supervisors._pool import WorkerPool, open_pool
from supervisors._proctree import Command
from supervisors._slots import SlotPool, open_slots
from supervisors.process_errors import JobFailed, SlotLost
from supervisors.testing import Script, open_fake_slots
from supervisors.worker_events import PoolEvent, WorkerLost, WorkerStopped

Pool = WorkerPool[Job, Message, int, Result]


@asynccontextmanager
async def pool_of(**options: Any) -> AsyncIterator[Pool]:
    async with open_pool("programs:PROGRAM", PROTOCOL, **{"env": environment()} | options) as pool:
        yield pool


def forever(family: Family) -> str:
    return f"{family.everyone()}\necho up; exec sleep 600"


async def test_it_outlives_its_job_and_ends_with_the_pool(family: Family) -> None:
    """Politely, whoever is polite; the deaf are killed after the grace."""
    events: list[PoolEvent] = []
    async with pool_of(cancel_grace=0.2, listener=events.append) as pool:
        left = await pool.run(Leave(forever(family)))
        await family.until_everyone_is_up()
        assert (await pool.run(Echo("on"))).pid == left.pid
        assert family.alive()
    assert not family.alive()
    assert not [event for event in events if isinstance(event, WorkerLost)]


async def test_the_end_of_another_job_means_nothing_to_it(family: Family) -> None:
    """Neither does its cancellation."""
    async with pool_of() as pool:
        await pool.run(Leave(forever(family)))
        await family.until_everyone_is_up()
        before = family.sleepers()
        with trio.move_on_after(0.1):
            await pool.run(Linger("end"))
        await pool.run(Echo("on"))
        assert family.sleepers() == before


async def test_a_hurry_ends_its_grace(family: Family) -> None:
    async with pool_of(cancel_grace=600.0) as pool:
        await pool.run(Leave(forever(family)))
        await family.until_everyone_is_up()
        pool.hurry()
    assert not family.alive()


async def test_it_ends_with_its_worker(family: Family) -> None:
    async with pool_of() as pool:
        left = await pool.run(Leave(forever(family)))
        await family.until_everyone_is_up()
        os.kill(left.pid, signal.SIGKILL)
        await family.until_gone()
        await until(lambda: left.pid not in [worker.pid for worker in pool.workers])
        assert (await pool.run(Echo("on"))).pid != left.pid


@pytest.mark.parametrize("options", [{"recycle_after": 1}, {"idle_limit": 0.05}], ids=str)
async def test_a_worker_stays_as_long_as_it_keeps_something(options: dict[str, Any], family: Family) -> None:
    """It gets no more jobs, if it has had enough of them, and ends when nothing is left."""
    events: list[PoolEvent] = []
    async with pool_of(size=2, jobs_per_worker=1, listener=events.append, **options) as pool:
        left = await pool.run(Leave(f"echo up; exec sleep {family.tag}"))
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(pool.run, Echo("on"))
        with trio.move_on_after(0.3):  # enough for whoever would end it
            await until(lambda: left.pid not in [worker.pid for worker in pool.workers])
        assert left.pid in [worker.pid for worker in pool.workers]
        assert family.alive()
        for pid in family.sleepers():
            os.kill(pid, signal.SIGKILL)
        if "recycle_after" in options:
            await until(lambda: any(isinstance(e, WorkerStopped) and e.pid == left.pid for e in events))
    assert not [event for event in events if isinstance(event, WorkerLost)]


async def test_whoever_keeps_it_may_fail_and_takes_only_it_along(family: Family) -> None:
    async with pool_of() as pool:
        script = f"sleep {family.tag} & echo up; while :; do sleep 0.01; echo more; done"
        left = await pool.run(Leave(script, stumble=True))
        await family.until_gone()
        assert (await pool.run(Echo("on"))).pid == left.pid


async def test_what_does_not_begin_is_told_to_its_job(family: Family) -> None:
    async with pool_of() as pool:
        with pytest.raises(JobFailed, match="null byte"):
            await pool.run(Leave("\0"))
        assert (await pool.run(Echo("on"))).text == "on"


def command(family: Family) -> Command:
    return Command(argv=("sleep", family.tag), cwd="/", env=dict(os.environ))


@pytest.mark.parametrize("fake", [False, True], ids=["real", "fake"])
async def test_slots_without_a_worker_have_it_too(fake: bool, family: Family) -> None:
    """Until they are closed, or are told to stop; then nothing new is kept."""

    async def keep(slots: SlotPool, *, task_status: trio.TaskStatus[int]) -> None:
        async with slots.lease() as slot, slot.start(command(family)) as tree:
            task_status.started(tree.pid)
            await tree.wait()

    opened = open_fake_slots(lambda _: Script(lasts=600.0)) if fake else open_slots()
    async with opened as slots:
        assert await slots.lasting.start(keep)
        assert slots.lasting.count == 1
        slots.lasting.stop(0.0)
        await slots.lasting.wait_ended()
        assert slots.lasting.count == 0
        with pytest.raises(SlotLost):
            await slots.lasting.start(keep)
    assert not family.alive()
