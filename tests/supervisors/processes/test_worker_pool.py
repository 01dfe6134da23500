"""Worker pools with real workers: jobs, talk, cancellation, and every way to lose a worker."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from listening import Listener
from process_table import Family, until
from programs import (
    PROTOCOL,
    Cross,
    Echo,
    Garbage,
    Job,
    Linger,
    Message,
    Misbehave,
    Number,
    Raise,
    Result,
    Shell,
    Talk,
    environment,
)

from supervisors import _pool
from supervisors._call import WINDOW
from supervisors._pool import WorkerPool, open_pool
from supervisors._spawn import spawn_worker
from supervisors.process_errors import FrameTooLarge, HostLost, JobFailed, PoolBroken
from supervisors.worker_events import PoolEvent, WorkerLost, WorkerStarted, WorkerStopped

PROGRAM = "programs:PROGRAM"
Pool = WorkerPool[Job, Message, int, Result]


@asynccontextmanager
async def pool_of(**options: Any) -> AsyncIterator[Pool]:
    async with open_pool(PROGRAM, PROTOCOL, **{"env": environment()} | options) as pool:
        yield pool


# Jobs ----------------------------------------------------------------------------------------------------------------


async def test_a_job_returns_its_result():
    async with pool_of() as pool:
        result = await pool.run(Echo("hello"))
        assert result.text == "hello"
        assert result.pid == pool.workers[0].pid != os.getpid()


async def test_many_jobs_at_a_time_are_spread_over_the_workers():
    results: list[Result] = []

    async def run(pool: Pool, number: int) -> None:
        results.append(await pool.run(Echo(str(number))))

    async with pool_of(size=2, jobs_per_worker=10) as pool:
        assert len(pool.workers) == 1, "the second comes when it is needed"
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(run, pool, number)
    assert {result.text for result in results} == {str(number) for number in range(200)}
    assert len({result.pid for result in results}) == 2


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
async def test_what_a_job_raises_is_data_and_its_worker_goes_on(name: str, kind: str, message: str):
    async with pool_of() as pool:
        with pytest.raises(JobFailed) as caught:
            await pool.run(Raise(name))
        assert (caught.value.error.type, caught.value.error.message) == (kind, message)
        assert "in serve" in caught.value.error.traceback
        assert (await pool.run(Echo("on"))).pid == pool.workers[0].pid
        assert pool.workers[0].number == 1


async def test_a_job_and_a_result_over_the_limit_fail_alone():
    async with pool_of() as pool:
        with pytest.raises(FrameTooLarge):
            await pool.run(Echo("x" * 70_000_000))
        with pytest.raises(JobFailed, match="FrameTooLarge"):
            await pool.run(Misbehave("huge result"))
        assert (await pool.run(Echo("on"))).text == "on"
        assert pool.workers[0].number == 1


async def test_garbage_is_collected_but_not_looked_for_in_what_is_imported():
    async with pool_of() as pool:
        result = await pool.run(Garbage())
    assert result.text == "True"
    assert result.told > 10_000


async def test_jobs_have_names_while_they_run():
    async with pool_of() as pool, trio.open_nursery() as nursery:
        listener = Listener()
        nursery.start_soon(partial_run, pool, Linger("end"), listener, "lingering")
        await listener.news.wait()
        assert pool.workers[0].jobs == ("lingering",)
        assert pool.workers[0].ready
        nursery.cancel_scope.cancel()


async def partial_run(pool: Pool, job: Job, listener: Listener, name: str = "") -> None:
    await pool.run(job, listener, name=name)


# Talk ----------------------------------------------------------------------------------------------------------------


async def test_messages_arrive_in_order_and_an_ask_after_what_was_told_before():
    listener = Listener()
    async with pool_of() as pool:
        result = await pool.run(Talk(500), listener)
    assert listener.heard == [Number(number) for number in range(500)]
    assert result.text == str(sum(range(500)))


async def test_an_ask_does_not_hold_up_what_is_told_later():
    """Or an answer that depends on a later message would never come."""
    told = trio.Event()

    async def listen(message: Message) -> int | None:
        if isinstance(message, Number):
            told.set()
            return None
        await told.wait()
        return 5

    async with pool_of() as pool:
        assert (await pool.run(Cross(), listen)).text == "5"


async def test_a_slow_listener_slows_its_own_job_and_nobody_else():
    """Its job gets no further than the window; the worker is not taken for hung; others do not notice."""
    size, gate, losses = 100_000, trio.Event(), []
    count = 20

    async def listen(_message: Message) -> int:
        await gate.wait()
        return 0

    async with pool_of(heartbeat_interval=0.02, heartbeat_limit=4.0, listener=losses.append) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial_run, pool, Talk(count, size), listen)
            told = 0
            while told < WINDOW // size:
                told = (await pool.run(Echo("between"))).told
            for _ in range(20):
                assert (await pool.run(Echo("between"))).told <= WINDOW // size + 1
            gate.set()
        assert (await pool.run(Echo("after"))).told == count
    assert not [event for event in losses if isinstance(event, WorkerLost)]


@pytest.mark.parametrize("padding", [10, WINDOW // 3])
async def test_a_message_of_any_size_follows_small_ones(padding: int):
    """Less than half a window is never credited: nothing may wait for that."""

    async def listen(message: Message) -> int:
        return len(getattr(message, "padding", ""))

    async with pool_of() as pool:
        with trio.fail_after(120):
            await pool.run(Talk(3, padding, last=3 * WINDOW), listen)


async def test_what_a_listener_raises_is_raised_and_the_job_is_cancelled(family: Family):
    async def listen(_message: Message) -> None:
        raise LookupError("no such thing")

    async with pool_of() as pool:
        with pytest.raises(LookupError, match="no such thing"):
            await pool.run(Shell(f"{family.everyone()}\necho up; sleep 600"), listen)
        assert not family.alive()
        assert (await pool.run(Echo("on"))).text == "on"


async def test_asking_nobody_is_an_error():
    async with pool_of() as pool:
        with pytest.raises(TypeError, match="no listener"):
            await pool.run(Talk(1))


# Cancellation --------------------------------------------------------------------------------------------------------


async def test_a_cancelled_job_cleans_up_within_its_grace(family: Family, tmp_path: Path):
    """What its commands do when they are asked to end is done before ``run`` returns."""
    listener = Listener()
    async with pool_of(cancel_grace=5.0) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial_run, pool, Shell(tidy(family, tmp_path)), listener)
            await listener.news.wait()
            await family.until_everyone_is_up()
            nursery.cancel_scope.cancel()
        assert not family.alive()
        assert (tmp_path / "tidied").exists()


def tidy(family: Family, folder: Path) -> str:
    """A script that tidies up when it is asked to end, and leaves behind who does not listen."""
    return (
        f"trap 'touch {folder}/tidied; exit' TERM\n{family.everyone()}\necho up; while :; do sleep 0.02; done"
    )


async def test_what_a_cancelled_job_tells_is_heard():
    listener = Listener()
    async with pool_of() as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial_run, pool, Linger("tell"), listener)
            await listener.news.wait()
            nursery.cancel_scope.cancel()
        assert listener.heard == [Number(0), Number(1)]
        assert pool.workers[0].jobs == ()


async def test_a_job_that_finishes_all_the_same_is_not_cancelled():
    """What has been done must not be forgotten."""
    listener, results = Listener(), []
    async with pool_of(cancel_grace=9.0) as pool:

        async def run() -> None:
            results.append(await pool.run(Linger("finish"), listener))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(run)
            await listener.news.wait()
            nursery.cancel_scope.cancel()
    assert [result.text for result in results] == ["grace 9"]


async def test_a_job_that_fails_while_it_is_cancelled_says_so():
    listener = Listener()
    async with pool_of() as pool:
        with pytest.RaisesGroup(pytest.RaisesExc(JobFailed, match="while cleaning up")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(partial_run, pool, Linger("raise"), listener)
                await listener.news.wait()
                nursery.cancel_scope.cancel()


async def test_hurry_ends_a_grace_that_is_under_way(family: Family):
    listener = Listener()
    script = f"trap '' TERM; echo up; sleep {family.tag}; sleep {family.tag}"
    async with pool_of(cancel_grace=10_000.0) as pool, trio.open_nursery() as outer:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial_run, pool, Shell(script), listener)
            await family.until_up("plain")
            nursery.cancel_scope.cancel()
            outer.start_soon(hurry_when_asked, pool)
        assert not family.alive()


async def hurry_when_asked(pool: Pool) -> None:
    await until(lambda: bool(pool._cancelled))
    pool.hurry()


async def test_a_job_that_does_not_end_costs_its_worker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_pool, "CANCEL_MARGIN", 0.3)
    listener, events = Listener(), []
    async with pool_of(cancel_grace=0.0, listener=events.append) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial_run, pool, Linger("stay"), listener, "limpet")
            await listener.news.wait()
            nursery.cancel_scope.cancel()
        assert (await pool.run(Echo("on"))).text == "on"
    assert [event.reason for event in events if isinstance(event, WorkerLost)] == [
        "limpet did not end after its cancellation"
    ]


# Losing workers ------------------------------------------------------------------------------------------------------


async def test_a_killed_worker_hands_back_its_jobs_when_nothing_of_them_is_alive(family: Family):
    listener, events = Listener(), []
    async with pool_of(listener=events.append) as pool:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill_when_up, pool, family)
            with pytest.raises(HostLost) as caught:
                await pool.run(Shell(f"{family.everyone()}\necho up; sleep 600"), listener, name="victim")
            assert not family.alive()
        assert (caught.value.worker, caught.value.reason) == (1, "killed by SIGKILL")
        assert (await pool.run(Echo("on"))).pid == pool.workers[0].pid
        assert pool.workers[0].number == 2
    first, second = (event.pid for event in events if isinstance(event, WorkerStarted))
    assert set(events) == {
        WorkerStarted(1, first),
        WorkerStarted(2, second),
        WorkerLost(1, first, "killed by SIGKILL", ("victim",)),
        WorkerStopped(2, second),
    }


async def kill_when_up(pool: Pool, family: Family) -> None:
    await family.until_everyone_is_up()
    os.kill(pool.workers[0].pid, signal.SIGKILL)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("garbage", "no message"),
        ("oversize", "4294967295 bytes is over the limit"),
        ("half a frame", "ended inside a frame"),
        ("stranger", "job 12345"),
        ("flood", "floods"),
        ("exit", "exited with code 3"),
        ("zygote", "zygote is gone"),
    ],
)
async def test_a_worker_that_misbehaves_is_replaced(how: str, reason: str):
    """The job beside it is handed back too, with the same reason."""
    reasons: list[str] = []

    async def lose(pool: Pool, job: Job) -> None:
        with pytest.raises(HostLost) as caught:
            await pool.run(job, slow)
        reasons.append(caught.value.reason)

    async def slow(message: Message) -> None:
        if message != Number(0):
            await trio.sleep(0.1)

    async with pool_of() as pool:
        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lose, pool, Linger("end"))
                nursery.start_soon(lose, pool, Misbehave(how))
        assert reason in reasons[0]
        assert reasons[0] == reasons[1]
        assert (await pool.run(Echo("on"))).text == "on"


@pytest.mark.parametrize("how", ["stopped", "blocked"])
async def test_a_hung_worker_is_replaced(how: str, family: Family):
    async with pool_of(heartbeat_interval=0.1, heartbeat_limit=1.0) as pool:
        worker = (await pool.run(Echo("up"))).pid
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hang, pool, worker, how, family)
            with pytest.raises(HostLost, match="no heartbeat for 1 s"):
                await pool.run(Shell(f"{family.everyone()}\nsleep 600"))
        assert not family.alive()
        assert (await pool.run(Echo("on"))).pid != worker


async def hang(pool: Pool, worker: int, how: str, family: Family) -> None:
    await family.until_everyone_is_up()
    if how == "stopped":
        os.kill(worker, signal.SIGSTOP)
    else:
        with pytest.raises(HostLost):
            await pool.run(Misbehave("block"))


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("no_such_module:PROGRAM", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("programs:NO_SUCH_NAME", "AttributeError"),
        ("programs:NOT_A_PROGRAM", "TypeError: programs:NOT_A_PROGRAM is a int, not a WorkerProgram"),
        ("programs", "ValueError: a program is named 'module:attribute'"),
    ],
)
async def test_a_pool_that_only_loses_workers_is_broken(program: str, reason: str):
    """It says why, and neither goes on for ever nor hangs."""
    async with open_pool(program, PROTOCOL, env=environment(), losses=2) as pool:
        lost: list[str] = []
        with pytest.raises(PoolBroken) as caught:
            await run_for_ever(pool, lost)
        assert 1 <= len(lost) <= 3
        assert all(reason in each for each in lost)
        assert reason in caught.value.reason


async def run_for_ever(pool: Pool, lost: list[str]) -> None:
    while True:
        try:
            await pool.run(Echo("never"))
        except HostLost as error:
            lost.append(error.reason)


async def test_whoever_supervises_a_pool_learns_that_it_is_broken():
    pool = WorkerPool("no_such_module:PROGRAM", PROTOCOL, env=environment(), losses=0)
    with pytest.raises(PoolBroken, match="1 workers lost in 30 s"):
        await pool.supervise()


# Opening and closing -------------------------------------------------------------------------------------------------


async def test_a_worker_spawned_before_the_pool_is_adopted():
    spawned = spawn_worker(PROGRAM, env=environment())
    async with pool_of(adopted=spawned) as pool:
        assert (await pool.run(Echo("early"))).pid == spawned.process.pid
    assert spawned.process.returncode == 0


async def test_a_pool_that_was_not_needed_is_closed_without_ado():
    """A worker that is still importing is not waited for, and is not called lost."""
    events: list[PoolEvent] = []
    async with pool_of(listener=events.append) as pool:
        worker = pool.workers[0]
        assert not worker.ready
    assert events == [WorkerStarted(1, worker.pid), WorkerStopped(1, worker.pid)]


async def test_a_worker_is_replaced_after_so_many_jobs():
    events: list[PoolEvent] = []
    async with pool_of(recycle_after=2, listener=events.append) as pool:
        pids = [(await pool.run(Echo(""))).pid for _ in range(5)]
    assert pids[0] == pids[1] != pids[2] == pids[3] != pids[4]
    assert not [event for event in events if isinstance(event, WorkerLost)]


async def test_an_idle_pool_shrinks_to_one_worker_and_grows_again():
    events: list[PoolEvent] = []

    def count(kind: type[PoolEvent]) -> int:
        return sum(isinstance(event, kind) for event in events)

    async with pool_of(size=3, jobs_per_worker=1, idle_limit=0.05, listener=events.append) as pool:
        for round_ in (1, 2):
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(pool.run, Echo(""))
            assert count(WorkerStarted) == 1 + 2 * round_
            with trio.fail_after(120):
                while count(WorkerStopped) < 2 * round_:
                    await trio.sleep(0.01)
            assert len(pool.workers) == 1
    assert not [event for event in events if isinstance(event, WorkerLost)]


async def test_closing_ends_what_runs_politely_and_leaves_nobody(family: Family, tmp_path: Path):
    """Whoever still waits learns that the pool was closed; its workers are reaped."""
    listener = Listener()
    async with trio.open_nursery() as nursery, pool_of(cancel_grace=5.0) as pool:
        nursery.start_soon(learn_of_closing, pool, Shell(tidy(family, tmp_path)), listener)
        await family.until_everyone_is_up()
        worker = pool.workers[0].pid
    assert not family.alive()
    assert (tmp_path / "tidied").exists()
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


async def learn_of_closing(pool: Pool, job: Job, listener: Listener) -> None:
    with pytest.raises(PoolBroken, match="was closed"):
        await pool.run(job, listener)


async def test_cancelling_everything_at_once_leaves_nobody(family: Family):
    """Pool, jobs and callers are cancelled together and end in the right order all the same."""
    listener = Listener()
    with trio.CancelScope() as scope:
        async with (
            pool_of(cancel_grace=0.2, size=2, jobs_per_worker=1) as pool,
            trio.open_nursery() as nursery,
        ):
            for _ in range(4):
                nursery.start_soon(
                    partial_run, pool, Shell(f"echo up; {family.everyone()}\nsleep 600"), listener
                )
            await until(lambda: len(listener.heard) == 4)
            workers = [worker.pid for worker in pool.workers]
            scope.cancel()
    assert not family.alive()
    for pid in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_a_pool_that_is_not_open_runs_nothing():
    pool = WorkerPool(PROGRAM, PROTOCOL)
    with pytest.raises(PoolBroken, match="not open"):
        await pool.run(Echo(""))


async def test_a_file_in_the_current_folder_shadows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("attr.py", "trio.py", "json.py", "ctypes.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    async with pool_of() as pool:
        assert (await pool.run(Shell("exit 4"))).text == "4 None"
