"""Jobs, messages, answers, results and commands: what a type checker must accept, and the lines that it must not.

Marks are read as in ``actors.py``.
"""

from typing import assert_type

import msgspec

from supervisors import (
    Command,
    Exit,
    JobLink,
    JobProtocol,
    SlotPool,
    WorkerLost,
    WorkerPool,
    WorkerProgram,
    open_pool,
    open_slots,
)
from supervisors.testing import Script, open_fake_pool, open_fake_slots


def use(*_: object) -> None:
    """Keep checkers from calling a value unused; nothing here is ever run."""


class Build(msgspec.Struct):
    """The job."""

    target: str


class Progress(msgspec.Struct, tag=True):
    """Told."""

    percent: int


class MayI(msgspec.Struct, tag=True):
    """Asked."""

    action: str


class Artifact(msgspec.Struct):
    """The result."""

    path: str


PROTOCOL: JobProtocol[Build, Progress | MayI, bool, Artifact] = JobProtocol(
    job=Build, message=Progress | MayI, answer=bool, result=Artifact
)
SIMPLE = JobProtocol(job=Build, message=Progress, answer=type(None), result=Artifact)
WRONG: JobProtocol[Build, Progress, bool, str] = JobProtocol(  # error: reportAssignmentType
    job=Build,
    message=Progress,
    answer=bool,
    result=Artifact,  # error: arg-type
)


async def serve(job: Build, link: JobLink[Progress | MayI, bool], slots: SlotPool) -> Artifact:
    """A job's side of the line."""
    await link.tell(Progress(10))
    await link.tell("ten")  # error: arg-type reportArgumentType
    assert_type(await link.ask(MayI("publish")), bool)
    await link.ask(Build("app"))  # error: arg-type reportArgumentType
    assert_type(link.grace, float | None)
    async with slots.lease() as slot, slot.start(Command(argv=("make",), cwd="/", env={})) as tree:
        assert_type(await tree.stdout.receive_some(), bytes)
        assert_type(await tree.wait(), Exit)
        await tree.stop()  # error: call-arg reportCallIssue
    return Artifact(job.target)


async def serve_text(job: str, link: JobLink[Progress | MayI, bool], slots: SlotPool) -> Artifact:
    """Of another protocol."""
    raise NotImplementedError(job, link, slots)


PROGRAM = WorkerProgram(PROTOCOL, serve)
assert_type(PROGRAM, WorkerProgram[Build, Progress | MayI, bool, Artifact])
OTHER: WorkerProgram[Build, Progress | MayI, bool, Artifact] = WorkerProgram(
    PROTOCOL,
    serve_text,  # error: arg-type reportArgumentType
)


async def on_message(message: Progress | MayI) -> bool | None:
    """Hears all and answers what is asked."""
    return True if isinstance(message, MayI) else None


async def half_deaf(message: Progress) -> None:
    """Hears less than a job may say."""
    use(message.percent)


async def answers_text(_message: Progress | MayI) -> str:
    """Answers in another language."""
    return "yes"


async def running() -> None:
    """The caller's side."""
    async with open_pool("builder:PROGRAM", PROTOCOL, size=4) as pool:
        assert_type(pool, WorkerPool[Build, Progress | MayI, bool, Artifact])
        assert_type(await pool.run(Build("app"), on_message, name="app"), Artifact)
        await pool.run("app")  # error: arg-type reportArgumentType
        await pool.run(Build("app"), half_deaf)  # error: arg-type reportArgumentType
        await pool.run(Build("app"), answers_text)  # error: arg-type reportArgumentType
    async with open_pool("builder:PROGRAM", PROTOCOL, siez=4):  # error: call-arg reportCallIssue
        pass
    async with open_pool("builder:PROGRAM", PROTOCOL, size="4"):  # error: arg-type reportArgumentType
        pass
    async with open_pool(PROGRAM, PROTOCOL):  # error: arg-type reportArgumentType
        pass


def look(event: WorkerLost) -> None:
    """An event's fields."""
    assert_type(event.jobs, tuple[str, ...])
    Command("make", "/", {})  # error: call-arg arg-type reportCallIssue
    Command(argv="make", cwd="/", env={})  # error: arg-type reportArgumentType


def play(command: Command) -> Script:
    """Casts commands."""
    return Script(stdout=command.argv[0].encode())


async def testing(pool: WorkerPool[Build, Progress | MayI, bool, Artifact]) -> None:
    """Fakes stand where the real ones do."""
    async with open_fake_pool(PROGRAM, play) as fake:
        await testing(fake)
        assert_type(await fake.run(Build("app")), Artifact)
        await fake.run("app")  # error: arg-type reportArgumentType
    async with open_fake_slots(play) as slots, open_slots() as real:
        both: list[SlotPool] = [slots, real]
    open_fake_slots(serve)  # error: arg-type reportArgumentType
    use(pool, both)
