"""The program that the pool's tests run in real workers: jobs that behave, and jobs that do not."""

import gc
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import trio
import trio.testing
from process_table import read

from supervisors._proctree import Command
from supervisors._program import JobLink, JobProtocol, WorkerProgram
from supervisors._slots import SlotPool
from supervisors.limits import Limits


def environment() -> dict[str, str]:
    """For workers that find this module."""
    return os.environ | {"PYTHONPATH": str(Path(__file__).parent)}


class Echo(msgspec.Struct, frozen=True, tag=True):
    """Return the text."""

    text: str


class Garbage(msgspec.Struct, frozen=True, tag=True):
    """Say whether garbage is collected; the number is how many objects are never looked at."""


class Raise(msgspec.Struct, frozen=True, tag=True):
    """Raise what the name says."""

    name: str


class Talk(msgspec.Struct, frozen=True, tag=True):
    """Tell numbers, each with padding and the last one with more, then ask for their sum."""

    count: int
    padding: int = 0
    last: int = 0


class Cross(msgspec.Struct, frozen=True, tag=True):
    """Ask, and tell something while the answer is not there yet."""


class Shell(msgspec.Struct, frozen=True, tag=True):
    """Run a script; tell when it says something, and what it was killed for."""

    script: str
    limits: Limits | None = None


class Leave(msgspec.Struct, frozen=True, tag=True):
    """Leave a script running and return when it has said something; its deafness to SIGTERM is its own business."""

    script: str
    stumble: bool = False
    """Whether whoever keeps it fails over what it says next."""


class Linger(msgspec.Struct, frozen=True, tag=True):
    """Wait until cancelled, then do what the name says."""

    then: str


class Misbehave(msgspec.Struct, frozen=True, tag=True):
    """Do to the worker what the name says."""

    how: str


Job = Echo | Garbage | Raise | Talk | Cross | Shell | Leave | Linger | Misbehave


class Number(msgspec.Struct, frozen=True, tag=True):
    """Something told."""

    value: int
    padding: str = ""


class Output(msgspec.Struct, frozen=True, tag=True):
    """What a script said."""

    text: str


class Sum(msgspec.Struct, frozen=True, tag=True):
    """Something asked."""


Message = Number | Output | Sum


class Result(msgspec.Struct, frozen=True):
    """What a job returns: a text, the pid of its worker, what it had told."""

    text: str
    pid: int
    told: int = 0


PROTOCOL: JobProtocol[Job, Message, int, Result] = JobProtocol(
    job=Job, message=Message, answer=int, result=Result
)
Link = JobLink[Message, int]


class Counter:
    """How much the jobs of this worker have told."""

    value = 0


async def serve(job: Job, link: Link, slots: SlotPool) -> Result:
    match job:
        case Echo() | Garbage():
            return look(job)
        case Raise(name):
            raise ERRORS[name]
        case Talk(count, padding, last):
            for number in range(count):
                await link.tell(Number(number, "x" * (padding + last * (number == count - 1))))
                Counter.value += 1
            return Result(str(await link.ask(Sum())), os.getpid())
        case Cross():
            return await cross(link)
        case Shell(script):
            return await run(script, job.limits, link, slots)
        case Leave():
            return await leave(job, link, slots)
        case Linger() | Misbehave():
            return await be_difficult(job, link)


def look(job: Echo | Garbage) -> Result:
    if isinstance(job, Garbage):
        return Result(str(gc.isenabled()), os.getpid(), gc.get_freeze_count())
    return Result(job.text, os.getpid(), Counter.value)


ERRORS: dict[str, BaseException] = {
    "ValueError": ValueError("wrong \udc80"),
    "SystemExit": SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "group": ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
    "base group": BaseExceptionGroup("several", [SystemExit(1), TypeError("two")]),
}


async def cross(link: Link) -> Result:
    answers: list[int] = []

    async def ask() -> None:
        answers.append(await link.ask(Sum()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.testing.wait_all_tasks_blocked()
        await link.tell(Number(42))
    return Result(str(answers[0]), os.getpid())


async def run(script: str, limits: Limits | None, link: Link, slots: SlotPool) -> Result:
    command = Command(argv=("sh", "-c", script), cwd="/", env=dict(os.environ))
    async with slots.lease() as slot, slot.start(command, limits) as tree:
        async for chunk in tree.stdout:
            await link.tell(Output(chunk.decode()))
        end = await tree.wait()
    return Result(f"{end.code} {end.signal} {tree.breach or ''}".strip(), os.getpid())


async def leave(job: Leave, link: Link, slots: SlotPool) -> Result:
    said = await slots.lasting.start(partial(keep, job.script, job.stumble))
    await link.tell(Output(said))
    return Result(said, os.getpid())


async def keep(script: str, stumble: bool, slots: SlotPool, *, task_status: trio.TaskStatus[str]) -> None:
    command = Command(argv=("sh", "-c", script), cwd="/", env=dict(os.environ))
    async with slots.lease() as slot, slot.start(command) as tree:
        task_status.started(bytes(await tree.stdout.receive_some()).decode())
        async for _ in tree.stdout:
            if stumble:
                raise ValueError("it said too much")


async def be_difficult(job: Linger | Misbehave, link: Link) -> Result:
    if isinstance(job, Linger):
        return await linger(job.then, link)
    await misbehave(job.how, link)
    return Result("still here", os.getpid())


async def linger(then: str, link: Link) -> Result:
    await link.tell(Number(0))
    try:
        await trio.sleep_forever()
    except trio.Cancelled:
        if then == "finish":
            return Result(f"grace {link.grace:g}", os.getpid())
        with trio.CancelScope(shield=True):
            if then == "tell":
                await link.tell(Number(1))
                await link.ask(Sum())
            if then == "stay":
                await trio.sleep_forever()
            if then == "raise":
                raise ValueError("while cleaning up") from None
        raise
    raise AssertionError


GARBAGE = {
    "garbage": b"\0\0\0\3abc",
    "oversize": b"\xff\xff\xff\xff",
    "half a frame": b"\0\0\0\7abc",
}


async def misbehave(how: str, link: Any) -> None:
    match how:
        case "garbage" | "oversize" | "half a frame":
            link._channel._socket.send(GARBAGE[how])
            if how == "half a frame":
                os._exit(3)
        case "stranger":
            link._job = 12345
            await link.tell(Number(1))
        case "flood":
            await flood(link)
        case "exit":
            os._exit(3)
        case "block":
            time.sleep(600)  # noqa: ASYNC251 - the point
        case "zygote":
            os.kill(int(read(f"/proc/self/task/{os.getpid()}/children")), 9)
        case _:
            raise ValueError("x" * 70_000_000)
    await trio.sleep_forever()


async def flood(link: Any) -> None:
    """Tell without waiting for credit."""

    async def reserve(_size: int) -> None:
        await trio.lowlevel.checkpoint()

    link._reserve = reserve
    while True:
        await link.tell(Number(0, "x" * 100_000))


PROGRAM = WorkerProgram(PROTOCOL, serve)
NOT_A_PROGRAM = 7
