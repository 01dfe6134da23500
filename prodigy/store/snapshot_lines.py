"""The file of a snapshot: lines of JSON, so that it is written and read in pieces.

A head, the state without its items, then some items or some dead letters a line, and a checksum. What is not whole, or not
of this very release, tells nothing.
"""

import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from hashlib import blake2b
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prodigy import __version__, events
from prodigy.decoding import JsonDecoder
from prodigy.errors import MachineError
from prodigy.ids import JobId
from prodigy.job import fold
from prodigy.job.rows import Rows
from prodigy.job.state import ItemState, JobState, item_rows, letter_rows
from prodigy.store.journal import Position
from prodigy.store.shelf import FileShelf

FORMAT: Final = 4
_ROW: Final = 500
"""Items in a line."""


_ANYWHERE: Final = Path(os.devnull)
"""No folder, so that a file for temporary files is taken."""


class Unusable(Exception):  # says why; costs time and nothing else
    """A snapshot that tells nothing."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """The head of one file. ``size`` is in bytes over all segments of the journal; ``sum`` is the checksum of the record ``seq``."""

    v: int = FORMAT
    job_id: str
    seq: int
    sum: str
    size: int
    created_at: datetime
    prodigy_version: str = __version__
    rules: str
    """A checksum of the program that made the state."""
    workflow_sha256: str | None


class _Items(Struct, frozen=True, tag="items"):
    """Some of the items of a state, as its rows hold them."""

    rows: list[msgspec.Raw]


class _Letters(Struct, frozen=True, tag="letters"):
    """Some of its dead letters."""

    rows: list[msgspec.Raw]


class _Rest(Struct, frozen=True, tag="state"):
    """A state without its items and its dead letters."""

    state: JobState


class _End(Struct, frozen=True, tag="end"):
    """blake2b-64 of all lines before it."""

    digest: str


_Part = _Rest | _Items | _Letters | _End


class Content:
    """The lines of a snapshot, a copy of the state; a long one lies in a file without a name in ``folder``.

    Raises:
        MachineError: ``storage-full``.
    """

    def __init__(self, lines: Iterable[bytes], folder: Path) -> None:
        self._shelf = FileShelf(folder)
        self._places = array("q")
        for line in lines:
            place = self._shelf.lay(line)
            if place is None:
                raise MachineError("storage-full", "Could not copy the state", where=str(folder))
            self._places.append(place)
        self._places.append(self._shelf.size)

    def __iter__(self) -> Iterator[bytes]:
        return (self._shelf.take(place, end - place) for place, end in pairwise(self._places))


# -- writing -------------------------------------------------------------------------------------------------------
def content_of(
    state: JobState, job: JobId, position: Position, created_at: datetime, folder: Path = _ANYWHERE
) -> Content:
    """The file of a snapshot: a copy of ``state``, which may change from now on; a long one waits in ``folder``.

    Raises:
        MachineError: ``storage-full``.
    """
    head = Snapshot(
        job_id=job,
        seq=position.seq,
        sum=position.sum,
        size=position.size,
        created_at=created_at,
        rules=rules(),
        workflow_sha256=state.workflow_sha256,
    )
    return Content(_summed(map(_line, chain((head,), _parts(state)))), folder)


def _parts(state: JobState) -> Iterator[_Part]:
    yield _Rest(replace(state, items=item_rows(), dead_letters=letter_rows()))
    yield from map(_Items, _rows(state.items.packed()))
    yield from map(_Letters, _rows(state.dead_letters.packed()))


def _line(part: Struct) -> bytes:
    return msgspec.json.encode(part, enc_hook=_left_out) + b"\n"


def _summed(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, and one with the checksum of them all."""
    digest = _digest()
    for line in lines:
        digest.update(line)
        yield line
    yield _line(_End(digest.hexdigest()))


def _rows(things: Iterable[bytes]) -> Iterator[list[msgspec.Raw]]:
    rest = map(msgspec.Raw, things)
    while row := list(islice(rest, _ROW)):
        yield row


# -- reading -------------------------------------------------------------------------------------------------------
def snapshot_in(path: Path) -> Snapshot:
    """The head of a snapshot of this release.

    Raises:
        Unusable: it is none.
    """
    with _reading(path) as file:
        return _head(file.readline())


def state_in(path: Path, blank: JobState) -> JobState:
    """The state that a snapshot holds; its rows lie where those of ``blank`` are to lie.

    Raises:
        Unusable: it is not whole, or not of this release.
    """
    with _reading(path) as file:
        return state_of(file, blank)


def state_of(lines: Iterable[bytes], blank: JobState | None = None) -> JobState:
    """As ``state_in``, of the lines of a snapshot.

    Raises:
        Unusable: they are not whole, or not of this release.
    """
    blank = JobState() if blank is None else blank
    digest, state, rest = _digest(), blank, iter(lines)
    _head(head := next(rest, b""))
    digest.update(head)
    for line in rest:
        match _part(line):
            case _Rest(state=told):
                state = replace(told, items=blank.items, dead_letters=blank.dead_letters)
            case _Items(rows=rows):
                _load(state.items, rows)
            case _Letters(rows=rows):
                _load(state.dead_letters, rows)
            case _End(digest=wanted):
                if wanted != digest.hexdigest():
                    raise Unusable("its checksum is wrong")
                return state
        digest.update(line)
    raise Unusable("it is cut off")


def _load(rows: Rows[Any], told: list[msgspec.Raw]) -> None:
    try:
        rows.load(map(bytes, told))
    except msgspec.DecodeError as error:
        raise Unusable(f"it cannot be read: {error}") from error


def _part(line: bytes) -> _Part:
    try:
        part: _Part = _decode(line)
    except msgspec.DecodeError as error:
        raise Unusable(f"it cannot be read: {error}") from error
    return part


_read_head: Final = JsonDecoder(Snapshot)


def _head(line: bytes) -> Snapshot:
    try:
        snapshot = _read_head(line)
    except msgspec.DecodeError as error:
        raise Unusable(f"it cannot be read: {error}") from error
    if snapshot.v != FORMAT or snapshot.prodigy_version != __version__ or snapshot.rules != rules():
        raise Unusable(f"it is of another release, {snapshot.prodigy_version}")
    return snapshot


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise Unusable(error.strerror or str(error)) from error


# -- forms ---------------------------------------------------------------------------------------------------------
def _left_out(rows: Any) -> Any:
    """Rows have lines of their own."""
    assert isinstance(rows, Rows), rows
    return {}


def _special(kind: Any, value: Any) -> Any:
    """Counters are objects of numbers in JSON; rows come in other lines."""
    if getattr(kind, "__origin__", None) is Rows:
        return item_rows() if kind.__args__ == (ItemState,) else letter_rows()
    assert kind is Counter or getattr(kind, "__origin__", None) is Counter, kind
    return Counter(value)


def _digest() -> blake2b:
    return blake2b(digest_size=8)


_decode: Final[JsonDecoder[_Part]] = JsonDecoder(_Part, _special)  # type: ignore[arg-type]  # a union is no class


@cache
def rules() -> str:
    """A checksum of the program that makes a state from records: another one might make another state."""
    folders = [Path(file).parent for file in (events.__file__, fold.__file__)]
    files = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    return blake2b(b"".join(path.read_bytes() for path in files), digest_size=8).hexdigest()
