"""What the workers of these checks run: jobs that ask a lot, return a lot, or keep a process tree."""

import os
import time

import msgspec
import trio

from supervisors import Command, JobLink, JobProtocol, Limits, SlotPool, WorkerProgram

NAME = "stress._program:PROGRAM"


class AskOn(msgspec.Struct, frozen=True, tag=True):
    """Ask so many times; return how many seconds that took."""

    count: int


class Fill(msgspec.Struct, frozen=True, tag=True):
    """Return so many bytes."""

    size: int


class Keep(msgspec.Struct, frozen=True, tag=True):
    """Run a script under limits until it ends; tell its leader's pid."""

    script: str


Job = AskOn | Fill | Keep


class Ping(msgspec.Struct, frozen=True):
    """A message: a number that wants one more, or a pid."""

    number: int


class Result(msgspec.Struct, frozen=True):
    """What a job returns, whichever it was."""

    seconds: float = 0.0
    content: bytes = b""
    code: int | None = None


PROTOCOL: JobProtocol[Job, Ping, int, Result] = JobProtocol(job=Job, message=Ping, answer=int, result=Result)
WARM_UP = 200


async def serve(job: Job, link: JobLink[Ping, int], slots: SlotPool) -> Result:
    """Do a job."""
    match job:
        case AskOn(count):
            await ask_on(link, WARM_UP)
            return Result(seconds=await ask_on(link, count))
        case Fill(size):
            return Result(content=bytes(size))
        case Keep(script):
            return await keep(script, link, slots)


async def ask_on(link: JobLink[Ping, int], count: int) -> float:
    """Seconds for so many questions, one after the other."""
    began = time.perf_counter()
    for number in range(count):
        answer = await link.ask(Ping(number))
        assert answer == number + 1
    return time.perf_counter() - began


async def keep(script: str, link: JobLink[Ping, int], slots: SlotPool) -> Result:
    """A process tree with a limit that makes the worker look at it once a second."""
    command = Command(argv=("sh", "-c", script), cwd="/", env=dict(os.environ))
    limits = Limits(memory=2**30, processes=1000)
    async with slots.lease() as slot, slot.start(command, limits) as tree:
        await link.tell(Ping(tree.pid))
        with trio.CancelScope():
            return Result(code=(await tree.wait()).code)
    return Result()


PROGRAM = WorkerProgram(PROTOCOL, serve)
