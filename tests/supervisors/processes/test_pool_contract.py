"""What a pool of worker processes and a fake one promise alike: every test here runs with both."""

import math
import os
import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Protocol

import pytest
import trio
from listening import Listener
from process_table import until
from programs import (
    PROGRAM,
    PROTOCOL,
    Cross,
    Echo,
    Job,
    Linger,
    Message,
    Number,
    Output,
    Raise,
    Result,
    Shell,
    Talk,
    environment,
)

from supervisors import (
    Command,
    HostLost,
    JobFailed,
    PoolBroken,
    PoolEvent,
    WorkerLost,
    WorkerPool,
    WorkerStarted,
    WorkerStopped,
    open_pool,
)
from supervisors.testing import FakePool, OnTerm, Script, open_fake_pool

Pool = WorkerPool[Job, Message, int, Result]
Listen = Callable[[Message], object]

CLEAN_UP = "trap 'echo bye; exit 4' TERM; echo up; while :; do sleep 0.01; done"
DEAF = "trap '' TERM; echo up; while :; do sleep 0.01; done"
CASTING = {
    "echo out; exit 4": Script(stdout=b"out\n", code=4),
    CLEAN_UP: Script(stdout=b"up\n", lasts=math.inf, on_term=OnTerm.FINISH, farewell=b"bye\n", code=4),
    DEAF: Script(stdout=b"up\n", lasts=math.inf, on_term=OnTerm.IGNORE),
}


class Open(Protocol):
    """Opens a pool of one kind or the other."""

    def __call__(self, **options: object) -> AbstractAsyncContextManager[Pool]: ...


def play(command: Command) -> Script:
    return CASTING[command.argv[-1]]


@pytest.fixture(params=["real", "fake"])
def open_either(request: pytest.FixtureRequest) -> Open:
    if request.param == "fake":
        return partial(open_fake_pool, PROGRAM, play)
    return partial(open_pool, "programs:PROGRAM", PROTOCOL, env=environment())


def lose_worker(pool: Pool) -> None:
    if isinstance(pool, FakePool):
        pool.lose_worker()
    else:
        os.kill(pool.workers[0].pid, signal.SIGKILL)


async def cancel_when_told(pool: Pool, job: Job, listener: Listener, kept: list[Result]) -> None:
    """Run a job, cancel it once it has said something, keep what it returns all the same."""

    async def run() -> None:
        kept.append(await pool.run(job, listener))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await listener.news.wait()
        nursery.cancel_scope.cancel()


async def test_jobs_return_their_results(open_either: Open) -> None:
    results: list[str] = []

    async def run(pool: Pool, text: str) -> None:
        results.append((await pool.run(Echo(text))).text)

    async with open_either(size=2, jobs_per_worker=4) as pool:
        assert [worker.number for worker in pool.workers] == [1], "the second comes when it is needed"
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(run, pool, str(number))
        assert [worker.number for worker in pool.workers] == [1, 2]
        assert all(worker.ready for worker in pool.workers)
    assert sorted(results, key=int) == [str(number) for number in range(20)]


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("ValueError", "ValueError", "wrong \\udc80"),
        ("SystemExit", "SystemExit", "3"),
        ("KeyboardInterrupt", "KeyboardInterrupt", ""),
        ("group", "ExceptionGroup", "several (2 sub-exceptions)"),
        ("base group", "BaseExceptionGroup", "several (2 sub-exceptions)"),
    ],
)
async def test_what_a_job_raises_is_data(name: str, kind: str, message: str, open_either: Open) -> None:
    async with open_either() as pool:
        with pytest.raises(JobFailed) as caught:
            await pool.run(Raise(name))
        assert (caught.value.error.type, caught.value.error.message) == (kind, message)
        assert "in serve" in caught.value.error.traceback
        assert (await pool.run(Echo("on"))).text == "on"
        assert [worker.number for worker in pool.workers] == [1]


async def test_messages_arrive_in_order_and_asks_are_answered(open_either: Open) -> None:
    listener = Listener()
    async with open_either() as pool:
        assert (await pool.run(Talk(300), listener)).text == str(sum(range(300)))
    assert listener.heard == [Number(number) for number in range(300)]


async def test_an_ask_does_not_hold_up_what_is_told_later(open_either: Open) -> None:
    told = trio.Event()

    async def listen(message: Message) -> int | None:
        if isinstance(message, Number):
            told.set()
            return None
        await told.wait()
        return 5

    async with open_either() as pool:
        assert (await pool.run(Cross(), listen)).text == "5"


async def test_what_cannot_travel_fails_where_it_is_said(open_either: Open) -> None:
    """A job of the wrong type does not reach the program; it is an error of the job's, not of the worker's."""
    async with open_either() as pool:
        with pytest.raises(JobFailed, match="no message"):
            await pool.run(Number(1))  # type: ignore[arg-type]
        assert (await pool.run(Echo("on"))).text == "on"


async def test_what_a_listener_raises_is_raised(open_either: Open) -> None:
    async def listen(_message: Message) -> None:
        raise LookupError("no such thing")

    async with open_either() as pool:
        with pytest.raises(LookupError, match="no such thing"):
            await pool.run(Linger("end"), listen)
        assert pool.workers[0].jobs == ()


async def test_a_job_runs_commands(open_either: Open) -> None:
    listener = Listener()
    async with open_either() as pool:
        assert (await pool.run(Shell("echo out; exit 4"), listener)).text == "4 None"
    assert listener.heard == [Output("out\n")]


async def test_jobs_have_names_while_they_run(open_either: Open) -> None:
    listener = Listener()
    async with open_either() as pool, trio.open_nursery() as nursery:
        nursery.start_soon(partial(pool.run, Linger("end"), listener, name="lingering"))
        await listener.news.wait()
        assert pool.workers[0].jobs == ("lingering",)
        nursery.cancel_scope.cancel()


async def test_what_a_cancelled_job_tells_is_heard(open_either: Open) -> None:
    listener, results = Listener(), []
    async with open_either() as pool:
        await cancel_when_told(pool, Linger("tell"), listener, results)
        assert listener.heard == [Number(0), Number(1)]
        assert pool.workers[0].jobs == ()
    assert results == []


async def test_a_job_that_finishes_all_the_same_is_not_cancelled(open_either: Open) -> None:
    """It knows the grace it was given."""
    listener, results = Listener(), []
    async with open_either(cancel_grace=9.0) as pool:
        await cancel_when_told(pool, Linger("finish"), listener, results)
    assert [result.text for result in results] == ["grace 9"]


async def test_a_job_that_fails_while_it_is_cancelled_says_so(open_either: Open) -> None:
    async with open_either() as pool:
        with pytest.RaisesGroup(pytest.RaisesExc(JobFailed, match="while cleaning up")):
            await cancel_when_told(pool, Linger("raise"), Listener(), [])


async def test_commands_of_a_cancelled_job_have_its_grace(open_either: Open) -> None:
    """A cancelled reader does not hear their farewell; that they were asked and not killed is what the pool saw to."""
    listener = Listener()
    async with open_either(cancel_grace=60.0) as pool:
        await cancel_when_told(pool, Shell(CLEAN_UP), listener, [])
        assert pool.workers[0].jobs == ()
    assert listener.heard == [Output("up\n")]


async def test_hurry_ends_a_grace_that_is_under_way(open_either: Open) -> None:
    async with open_either(cancel_grace=10_000.0) as pool, trio.open_nursery() as nursery:
        nursery.start_soon(cancel_when_told, pool, Shell(DEAF), Listener(), [])
        await until(lambda: bool(pool._cancelled))
        pool.hurry()


async def test_a_lost_worker_hands_back_its_jobs_and_is_replaced(open_either: Open) -> None:
    events: list[PoolEvent] = []
    async with open_either(listener=events.append) as pool:

        async def lose() -> None:
            with pytest.raises(HostLost) as caught:
                await pool.run(Shell(DEAF), listener, name="victim")
            assert (caught.value.worker, caught.value.reason) == (1, "killed by SIGKILL")

        listener = Listener()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lose)
            await listener.news.wait()
            lose_worker(pool)
        assert (await pool.run(Echo("on"))).text == "on"
        assert [worker.number for worker in pool.workers] == [2]
    first, second = (event.pid for event in events if isinstance(event, WorkerStarted))
    assert set(events) == {
        WorkerStarted(1, first),
        WorkerStarted(2, second),
        WorkerLost(1, first, "killed by SIGKILL", ("victim",)),
        WorkerStopped(2, second),
    }


async def test_too_many_losses_break_the_pool(open_either: Open) -> None:
    async with open_either(losses=1) as pool:
        for number in (1, 2):
            assert (await pool.run(Echo(""))).text == ""
            lose_worker(pool)
            await until(lambda number=number: number not in [worker.number for worker in pool.workers])
        with pytest.raises(PoolBroken, match="2 workers lost in 30 s, the last: killed by SIGKILL"):
            await pool.run(Echo("never"))


async def test_a_worker_is_recycled(open_either: Open) -> None:
    events: list[PoolEvent] = []
    async with open_either(recycle_after=2, listener=events.append) as pool:
        for _ in range(5):
            await pool.run(Echo(""))
    assert [event.number for event in events if isinstance(event, WorkerStarted)] == [1, 2, 3]
    assert not [event for event in events if isinstance(event, WorkerLost)]


async def test_closing_ends_what_runs(open_either: Open) -> None:
    """Whoever still waits learns that the pool was closed; nobody can run anything afterwards."""
    listener = Listener()

    async def learn() -> None:
        with pytest.raises(PoolBroken, match="was closed"):
            await pool.run(Shell(CLEAN_UP), listener)

    async with trio.open_nursery() as nursery:
        async with open_either() as pool:
            nursery.start_soon(learn)
            await listener.news.wait()
        with pytest.raises(PoolBroken, match="was closed"):
            await pool.run(Echo("never"))
    assert pool.workers == ()


async def test_cancelling_everything_at_once_ends_in_order(open_either: Open) -> None:
    listener = Listener()
    with trio.CancelScope() as scope:
        async with (
            open_either(cancel_grace=0.05, size=2, jobs_per_worker=1) as pool,
            trio.open_nursery() as nursery,
        ):
            for _ in range(4):
                nursery.start_soon(pool.run, Shell(DEAF), listener)
            await until(lambda: len(listener.heard) == 4)
            scope.cancel()
    assert scope.cancelled_caught
    assert pool.workers == ()


async def test_what_the_block_raises_leaves_it_unwrapped(open_either: Open) -> None:
    with pytest.raises(LookupError):
        async with open_either():
            raise LookupError


async def test_no_descriptor_is_left_open(open_either: Open) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count is enough

    before = opened()
    async with open_either() as pool:
        await pool.run(Shell("echo out; exit 4"), Listener())
        assert opened() > before
    await until(lambda: opened() == before)
