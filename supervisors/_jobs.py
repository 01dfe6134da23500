"""The inside of a worker: runs jobs side by side in one nursery and reports what becomes of each.

Rules:

- The coordinator's end of file ends the process on the spot; its reapers see ours and kill every tree.
- A job can neither end the worker nor another job: what it raises is data.
- After its outcome a job says nothing any more.
"""

import gc
import itertools
import os
import socket
import traceback
from functools import partial
from typing import Any

import msgspec
import trio

from supervisors._channel import Channel
from supervisors._codec import Codec
from supervisors._lasting import Lasting
from supervisors._program import WorkerProgram, load_program
from supervisors._slots import Reapers, SlotPool
from supervisors._spawn import SpawnedZygote
from supervisors._zygote import Zygote
from supervisors.process_errors import FrameError, FrameTooLarge, PoolBroken
from supervisors.wire import (
    Answered,
    Asked,
    CancelJob,
    Credit,
    Downward,
    ErrorInfo,
    JobCancelled,
    JobFinished,
    JobRaised,
    Keeping,
    Ready,
    StartJob,
    StopWorker,
    Told,
    Upward,
    WorkerFailed,
)

WINDOW = 256 * 1024
"""Bytes of messages that a job may be ahead of its coordinator.

A larger one waits until the job is less than half of that ahead, of which it is not told more exactly.
"""
EXIT_FAILED = 70
"""The worker's exit code after ``WorkerFailed``, as in ``sysexits.h``."""

Line = Channel[Downward, Upward]


def describe(error: BaseException) -> ErrorInfo:
    """An exception as data."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = "".join(traceback.format_exception(error))
    return ErrorInfo(name, _clean(str(error)), _clean(text))


def _clean(text: str) -> str:
    """Text that can be encoded; names of files may hold surrogates."""
    return text.encode("utf-8", "backslashreplace").decode()


class PendingAsk:
    """An ask that waits for its answer."""

    def __init__(self) -> None:
        self.answered = trio.Event()
        self.content = msgspec.Raw()


class Link:
    """A job's line to its coordinator: a ``JobLink``."""

    def __init__(self, job: int, channel: Line, program: WorkerProgram[Any, Any, Any, Any]) -> None:
        self.grace: float | None = None
        self._job: int = job
        self._channel = channel
        self._message = Codec[Any](program.protocol.message)
        self._answer = Codec[Any](program.protocol.answer)
        self._asks = itertools.count(1)
        self._answers: dict[int, PendingAsk] = {}
        self._ahead = 0
        self._credited = trio.lowlevel.ParkingLot()
        self._closed = False

    async def tell(self, message: Any) -> None:
        """Send a message."""
        content = self._message.encode(message)
        await trio.lowlevel.checkpoint()
        await self._reserve(len(content))
        self._channel.post(Told(self._job, content))

    async def ask(self, message: Any) -> Any:
        """Send a message and wait for its answer."""
        content = self._message.encode(message)
        await self._reserve(len(content))
        number = next(self._asks)
        self._answers[number] = pending = PendingAsk()
        try:
            self._channel.post(Asked(self._job, number, content))
            await pending.answered.wait()
        finally:
            del self._answers[number]
        return self._answer.decode(pending.content)

    def answered(self, ask: int, content: msgspec.Raw) -> None:
        """Hand an answer to whoever waits for it, if he still does."""
        if (pending := self._answers.get(ask)) is not None:
            pending.content = content
            pending.answered.set()

    def credit(self, size: int) -> None:
        """Let the job go on, after the coordinator has dealt with so many bytes."""
        self._ahead -= size
        self._credited.unpark_all()

    def close(self) -> None:
        """The job has ended."""
        self._closed = True

    async def _reserve(self, size: int) -> None:
        while self._ahead >= WINDOW // 2 and self._ahead + size > WINDOW:
            await self._credited.park()
        if self._closed:
            raise PoolBroken("a job that has ended sends nothing")
        self._ahead += size


class RunningJob:
    """A job that has been started and has not ended."""

    def __init__(self, number: int, link: Link, slots: SlotPool) -> None:
        self.number = number
        self.link = link
        self.slots = slots
        self.scope = trio.CancelScope()

    def cancel(self, grace: float) -> None:
        """Cancel it, or hurry it if it is cancelled already."""
        grace = grace if self.link.grace is None else min(grace, self.link.grace)
        self.link.grace = self.slots.grace.seconds = grace
        self.scope.cancel()
        if grace <= 0:
            self.slots.grace.hurry()


class Worker:
    """Runs the jobs of one program for the coordinator at the other end of a channel."""

    def __init__(self, program: WorkerProgram[Any, Any, Any, Any], channel: Line, reapers: Reapers) -> None:
        self._program = program
        self._job = Codec[Any](program.protocol.job)
        self._result = Codec[Any](program.protocol.result)
        self._channel = channel
        self._reapers = reapers
        self._lasting: Lasting[SlotPool] = Lasting(partial(SlotPool, reapers))
        self._lasting.changed = self._tell_lasting
        self._jobs: dict[int, RunningJob] = {}
        self._stopping = False
        self._done = trio.Event()

    async def serve(self, pulse: socket.socket) -> None:
        """Serve until told to stop and the last job has ended."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._channel.write)
            nursery.start_soon(self._watch_zygote)
            nursery.start_soon(answer_pulse, pulse)
            await nursery.start(self._lasting.serve)
            nursery.start_soon(self._obey_all, nursery)
            self._channel.post(Ready())
            await self._done.wait()
            await self._lasting.wait_ended()
            await self._channel.flush()
            nursery.cancel_scope.cancel()
        await self._reapers.close()

    async def _watch_zygote(self) -> None:
        await self._reapers.serve()
        fail(self._channel, RuntimeError("the zygote is gone"))

    async def _obey_all(self, nursery: trio.Nursery) -> None:
        try:
            while True:
                self._obey(await self._channel.receive(), nursery)
        except (trio.EndOfChannel, FrameError):
            os._exit(0)  # nobody to report to; our sockets close, and with them every tree

    def _obey(self, frame: Downward, nursery: trio.Nursery) -> None:
        match frame:
            case StartJob(job=number, content=content):
                link = Link(number, self._channel, self._program)
                self._jobs[number] = job = RunningJob(number, link, SlotPool(self._reapers, self._lasting))
                nursery.start_soon(self._run, job, content)
            case StopWorker(grace=grace):
                self._stopping = True
                for job in self._jobs.values():
                    job.cancel(grace)
                self._lasting.stop(grace)
                self._end_when_idle()
            case CancelJob() | Answered() | Credit():
                if (running := self._jobs.get(frame.job)) is not None:  # else it crossed with the outcome
                    tell_job(running, frame)

    def _tell_lasting(self, count: int) -> None:
        self._channel.post(Keeping(count))

    async def _run(self, job: RunningJob, content: msgspec.Raw) -> None:
        outcome = await self._outcome(job, content)
        job.link.close()
        del self._jobs[job.number]
        try:
            self._channel.post(outcome)
        except FrameTooLarge as error:
            self._channel.post(JobRaised(job.number, describe(error)))
        self._end_when_idle()

    async def _outcome(self, job: RunningJob, content: msgspec.Raw) -> JobFinished | JobRaised | JobCancelled:
        try:
            with job.scope:
                result = await self._program.serve(self._job.decode(content), job.link, job.slots)
                return JobFinished(job.number, self._result.encode(result))
        except BaseExceptionGroup as group:
            if group.subgroup(trio.Cancelled) is not None:  # not of the job's scope: the worker itself ends
                raise
            return JobRaised(job.number, describe(group))
        except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever a job raises is data
            return JobRaised(job.number, describe(error))
        return JobCancelled(job.number)

    def _end_when_idle(self) -> None:
        if self._stopping and not self._jobs:
            self._done.set()


def tell_job(job: RunningJob, frame: CancelJob | Answered | Credit) -> None:
    """Pass on what is meant for one job."""
    match frame:
        case CancelJob(grace=grace):
            job.cancel(grace)
        case Answered(ask=ask, content=content):
            job.link.answered(ask, content)
        case Credit(size=size):
            job.link.credit(size)


async def answer_pulse(pulse: socket.socket) -> None:
    """Return every byte that arrives: our loop turns."""
    pulse.setblocking(False)
    while True:
        await trio.lowlevel.wait_readable(pulse)
        if not (beats := pulse.recv(64)):
            return
        pulse.send(beats)


def fail(channel: Line, error: BaseException) -> None:
    """End the process with last words; its trees die with it."""
    channel.post(WorkerFailed(describe(error)))
    os._exit(EXIT_FAILED)


def run_worker(program: str, channel: int, pulse: int, zygote: SpawnedZygote) -> None:
    """Be a worker.

    Args:
        program: ``"module:attribute"``.
        channel: descriptor of the frames' socket.
        pulse: descriptor of the heartbeats' socket.
        zygote: just started.
    """

    async def serve() -> None:
        line = Line(socket.socket(fileno=channel), Downward)
        try:
            worker = Worker(load_program(program), line, Reapers(Zygote(zygote)))
            gc.freeze()
            gc.enable()
            await worker.serve(socket.socket(fileno=pulse))
        except Exception as error:  # noqa: BLE001 - last words
            fail(line, error)

    trio.run(serve)
