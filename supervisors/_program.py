"""What an application says about its jobs: the types that travel, and the function that serves a job in a worker.

::

    # protocol.py, imported on both sides
    PROTOCOL = JobProtocol(job=Build, message=Progress, answer=Permission, result=Artifact)

    # builder.py, imported only in workers
    async def serve(job: Build, link: JobLink[Progress, Permission], slots: SlotPool) -> Artifact: ...

    PROGRAM = WorkerProgram(PROTOCOL, serve)

    # on the side of the coordinator
    async with open_pool("builder:PROGRAM", PROTOCOL, size=4) as pool:
        artifact = await pool.run(Build(...), on_message)
"""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any, Generic, Protocol, TypeVar

from supervisors._slots import SlotPool

Job = TypeVar("Job")
Message = TypeVar("Message")
Answer = TypeVar("Answer")
Result = TypeVar("Result")
Said_contra = TypeVar("Said_contra", contravariant=True)
Heard_co = TypeVar("Heard_co", covariant=True)


@dataclass(frozen=True, slots=True)
class JobProtocol(Generic[Job, Message, Answer, Result]):
    """The types of what travels between a coordinator and its jobs; anything msgspec can decode.

    A union of structs is given as ``A | B``, with the variable annotated, since a union alone tells a type checker
    nothing: ``PROTOCOL: JobProtocol[Build, Started | Output, None, Artifact] = JobProtocol(...)``.

    Attributes:
        job: what is to be done.
        message: what a job tells or asks on its way.
        answer: what it gets for asking; ``type(None)`` if it only tells.
        result: what it returns.
    """

    job: type[Job] | UnionType
    message: type[Message] | UnionType
    answer: type[Answer] | UnionType
    result: type[Result] | UnionType


class JobLink(Protocol[Said_contra, Heard_co]):
    """A job's line to whoever runs it."""

    @property
    def grace(self) -> float | None:
        """Seconds the job's process trees have between SIGTERM and SIGKILL; ``None`` while it is not cancelled."""

    async def tell(self, message: Said_contra) -> None:
        """Send a message; waits while the coordinator is behind with this job's messages.

        Messages of one task arrive in their order. Cancelled means not sent.

        Raises:
            FrameTooLarge: the message is over the limit of a frame.
        """

    async def ask(self, message: Said_contra) -> Heard_co:
        """Send a message and wait for its answer; earlier messages of this task are dealt with first.

        Raises:
            FrameTooLarge: as ``tell``.
        """
        ...


@dataclass(frozen=True, slots=True)
class WorkerProgram(Generic[Job, Message, Answer, Result]):
    """What a worker runs.

    Attributes:
        protocol: the types that travel.
        serve: runs one job. Many run at a time in one event loop, each guarded: what it raises becomes ``JobFailed``
            at the caller. When the job is cancelled, its trees get the grace of the cancel as their blocks are left.
    """

    protocol: JobProtocol[Job, Message, Answer, Result]
    serve: Callable[[Job, JobLink[Message, Answer], SlotPool], Awaitable[Result]]


def load_program(name: str) -> WorkerProgram[Any, Any, Any, Any]:
    """Import a program by ``"module:attribute"``.

    Raises:
        ImportError, AttributeError, ValueError: there is no such module, attribute, or it is not named like that.
        TypeError: it is something else.
    """
    module, separator, attribute = name.partition(":")
    if not separator:
        raise ValueError(f"a program is named 'module:attribute', not {name!r}")
    program: object = getattr(importlib.import_module(module), attribute)
    if not isinstance(program, WorkerProgram):
        raise TypeError(f"{name} is a {type(program).__name__}, not a WorkerProgram")
    return program  # pyright: ignore[reportUnknownVariableType] - its types are the program's own business
