"""The file of a snapshot: lines of JSON, so that it is written and read in pieces.

A head, the state without its items, then some items or some dead letters a line, and a checksum. What is not whole, or not
of this very release, tells nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar
from zlib import compress, decompress

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prodigy import __version__, events
from prodigy.decoding import JsonDecoder
from prodigy.ids import JobId
from prodigy.job import fold
from prodigy.job.state import ItemState, JobState
from prodigy.store.journal import Position
from prodigy.store.sharing import Letters, completed, thinned, united

FORMAT: Final = 3
_ROW: Final = 500
"""Items in a line."""


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
    """Some of the items of a state."""

    items: list[ItemState]


class _Rest(Struct, frozen=True, tag="state"):
    """A state without its items and its dead letters."""

    state: JobState


class _End(Struct, frozen=True, tag="end"):
    """blake2b-64 of all lines before it."""

    digest: str


_Part = _Rest | _Items | Letters | _End


class Content:
    """The lines of a snapshot, a copy of the state; packed, since for a moment they are in memory beside it."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = [compress(line, 1) for line in lines]

    def __iter__(self) -> Iterator[bytes]:
        return map(decompress, self._lines)


# -- writing -------------------------------------------------------------------------------------------------------
def content_of(state: JobState, job: JobId, position: Position, created_at: datetime) -> Content:
    """The file of a snapshot: a copy of ``state``, which may change from now on."""
    head = Snapshot(
        job_id=job,
        seq=position.seq,
        sum=position.sum,
        size=position.size,
        created_at=created_at,
        rules=rules(),
        workflow_sha256=state.workflow_sha256,
    )
    return Content(_summed(map(_line, (head, *_parts(state)))))


def _parts(state: JobState) -> Iterator[_Part]:
    yield _Rest(replace(state, items={}, dead_letters={}))
    for items in _rows(state.items.values()):
        yield _Items(items)
    for letters in _rows(state.dead_letters.values()):
        yield thinned(letters, state.items)


def _line(part: Struct) -> bytes:
    return msgspec.json.encode(part) + b"\n"


def _summed(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The lines, and one with the checksum of them all."""
    digest = _digest()
    for line in lines:
        digest.update(line)
        yield line
    yield _line(_End(digest.hexdigest()))


_Each = TypeVar("_Each")


def _rows(things: Iterable[_Each]) -> Iterator[list[_Each]]:
    rest = iter(things)
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


def state_in(path: Path) -> JobState:
    """The state that a snapshot holds.

    Raises:
        Unusable: it is not whole, or not of this release.
    """
    with _reading(path) as file:
        return state_of(file)


def state_of(lines: Iterable[bytes]) -> JobState:
    """The state that the lines of a snapshot hold.

    Raises:
        Unusable: they are not whole, or not of this release.
    """
    digest, state, rest = _digest(), JobState(), iter(lines)
    _head(head := next(rest, b""))
    digest.update(head)
    for line in rest:
        match _part(line):
            case _Rest(state=state):
                pass
            case _Items(items=items):
                state.items.update((item.item_id, united(item)) for item in items)
            case Letters() as letters:
                state.dead_letters.update(completed(letters, state.items))
            case _End(digest=told):
                if told != digest.hexdigest():
                    raise Unusable("its checksum is wrong")
                return state
        digest.update(line)
    raise Unusable("it is cut off")


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
def _counter(kind: type[Any], value: Any) -> Any:
    """Counters are objects of numbers in JSON."""
    assert kind is Counter or getattr(kind, "__origin__", None) is Counter, kind
    return Counter(value)


def _digest() -> blake2b:
    return blake2b(digest_size=8)


_decode: Final[JsonDecoder[_Part]] = JsonDecoder(_Part, _counter)  # type: ignore[arg-type]  # a union is no class


@cache
def rules() -> str:
    """A checksum of the program that makes a state from records: another one might make another state."""
    folders = [Path(file).parent for file in (events.__file__, fold.__file__)]
    files = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    return blake2b(b"".join(path.read_bytes() for path in files), digest_size=8).hexdigest()
