"""What the tree says of its actors: why one ended, what happened where, how things stand.

Data only: importable without trio. The words are OTP's; what OTP calls an exit reason is here one of four types:

=============  ======================================================  ================================
reason         the actor                                               OTP
=============  ======================================================  ================================
`Finished`     came to the end of its work by itself                   ``normal``
`Stopped`      was asked to stop and did so within its budget          ``shutdown``
`Killed`       was asked to stop and overran its budget                ``killed``
`Crashed`      raised an exception, in any of its methods              any other
=============  ======================================================  ================================
"""

from enum import Enum
from typing import TypeAlias

import msgspec

Path: TypeAlias = tuple[str, ...]
"""Ids from the root down: ``("root", "services", "merger")``."""


class Finished(msgspec.Struct, frozen=True):
    """The actor came to the end of its work by itself."""


class Stopped(msgspec.Struct, frozen=True):
    """The actor was asked to stop and did so within its shutdown budget."""


class Killed(msgspec.Struct, frozen=True):
    """The actor was cancelled: its budget was zero, or ran out."""


class Crashed(msgspec.Struct, frozen=True):
    """The actor raised ``error``; an exception group is kept whole."""

    error: BaseException

    def __str__(self) -> str:
        return f"{type(self.error).__name__}: {self.error}"


Reason: TypeAlias = Finished | Stopped | Killed | Crashed


class Down(msgspec.Struct, frozen=True):
    """The actor at ``id`` ended for ``reason``; a supervisor may start it again."""

    id: str
    reason: Reason


class ChildStarted(msgspec.Struct, frozen=True):
    """A child is up for the first time."""

    path: Path


class ChildRestarted(msgspec.Struct, frozen=True):
    """A child is up again; ``restarts`` counts every start of it after the first."""

    path: Path
    restarts: int


class ChildDown(msgspec.Struct, frozen=True):
    """A child ended, or its start failed."""

    path: Path
    reason: Reason


class ChildStuck(msgspec.Struct, frozen=True):
    """A child was cancelled ``seconds`` ago and has not ended: it swallows cancellation or blocks the thread.

    Nothing can end such a task from outside; this event makes sure that the wait for it is not silent.
    """

    path: Path
    seconds: float


class Escalated(msgspec.Struct, frozen=True):
    """The supervisor at ``path`` gave up: a child came down once more than its intensity allows."""

    path: Path
    child: str
    reason: Reason


TreeEvent: TypeAlias = ChildStarted | ChildRestarted | ChildDown | ChildStuck | Escalated


class State(Enum):
    """Where an actor stands between two starts."""

    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"
    STOPPING = "stopping"
    STOPPED = "stopped"


class Node(msgspec.Struct, frozen=True):
    """One actor as `Root.tree` shows it; a supervisor's children in start order."""

    id: str
    kind: str
    state: State
    restarts: int
    mailbox: int
    last_error: str | None
    children: tuple["Node", ...]
