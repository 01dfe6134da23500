"""Questions to a live run: one line of JSON each way, on a socket that only its user can reach.

A socket's address is short and paths are not, so both sides name it by its folder, which they hold open. Nobody relies
on an answer: a run that gives none is told from its journal and from the processes of the machine. A process that is
killed leaves its socket; whoever comes by removes it, once nobody holds the lock of its run.
"""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import escape
from pathlib import Path

import msgspec
from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.decoding import JsonDecoder
from prodigy.errors import ProdigyError
from prodigy.store.locks import unheld

LONGEST_QUESTION = 4096
"""Bytes of a line that is read as a question."""
_PATIENCE = 2.0
"""Seconds that a run may take to answer."""
_CHUNK = 1 << 16


class Question(Struct, frozen=True):
    """What is asked; ``tree``: who is there, and how they are."""

    ask: str


class ActorStanding(Struct, frozen=True, kw_only=True):
    """An actor; a supervisor's children in start order."""

    name: str
    kind: str
    state: str
    mailbox: int
    """Messages that wait in it."""
    restarts: int
    last_error: str | None
    children: list["ActorStanding"] = []


class WorkerStanding(Struct, frozen=True):
    """A worker process, and the names of the agents it has."""

    number: int
    pid: int
    ready: bool
    agents: tuple[str, ...]


class Standing(Struct, frozen=True, kw_only=True):
    """How a live run stands; ``seq`` is its last record."""

    seq: int
    tree: ActorStanding
    workers: list[WorkerStanding]


_read_standing = JsonDecoder(Standing)


@contextmanager
def address_of(path: Path) -> Iterator[str]:
    """What a socket at ``path`` is bound or connected to, however long the path is.

    Raises:
        OSError: the folder cannot be opened.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def ask(path: Path) -> Standing | None:
    """How the run behind a socket stands; ``None`` if nobody answers in time."""
    try:
        with address_of(path) as address, socket.socket(socket.AF_UNIX) as line:
            line.settimeout(_PATIENCE)
            line.connect(address)
            line.sendall(msgspec.json.encode(Question("tree")) + b"\n")
            answer = b"".join(iter(lambda: line.recv(_CHUNK), b""))
        return _read_standing(answer)
    except (OSError, msgspec.DecodeError):
        return None


def remove_deserted(home: Path) -> None:
    """Remove the sockets of runs, of any repository, that no process works at; one that cannot be removed stays."""
    for left in home.glob("run/*.sock"):
        with suppress(OSError, ProdigyError), ExitStack() as looks:
            locks = home.glob(f"locks/*/*-{escape(left.stem)}.lock")
            if all(looks.enter_context(unheld(lock)) for lock in locks):
                with crash_point("control.sweep"):
                    left.unlink(missing_ok=True)
