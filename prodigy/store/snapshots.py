"""Snapshots of a run's state, so that a long journal need not be folded from its beginning.

``checkpoint-{seq}.json`` beside ``job.json``: the state after record ``seq``, and where that record ends. It is lines of JSON,
a head, the state without its items, some items at a time, and a checksum, so that it is written and read in pieces. One is used
only if it is whole, was made by this release, and the journal has, where it should end, the record that it names; else an
older one is, or none. So they can always be deleted, and nothing is ever decided by them: the records are the truth.
"""

import gc
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
from prodigy.errors import ProdigyError, RunError
from prodigy.ids import JobId
from prodigy.job import fold
from prodigy.job.fold import apply
from prodigy.job.state import ItemState, JobState
from prodigy.paths import Layout
from prodigy.store.atomic import names_in, remove_file, write_parts
from prodigy.store.journal import JournalReader, Position, ends_with, read
from prodigy.store.sharing import Letters, completed, thinned, united

FORMAT: Final = 3
KEPT: Final = 2
"""The newest so many are kept."""
_ROW: Final = 500
"""Items in a line."""


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


class Folded(Struct, frozen=True):
    """A run as its journal tells it.

    Attributes:
        state: after all records that could be read.
        reader: read to its end, or to where ``problem`` stopped it.
        problem: why that is not all.
        notes: snapshots that could not be used, and why.
        begun: the snapshot that it began with, if it did.
    """

    state: JobState
    reader: JournalReader
    problem: RunError | None = None
    notes: tuple[str, ...] = ()
    begun: Path | None = None


class Unusable(Exception):  # says why; costs time and nothing else
    """A snapshot that tells nothing."""


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


def save(layout: Layout, job: JobId, seq: int, content: Content) -> Path:
    """Write a snapshot, and remove all but the newest.

    Raises:
        MachineError: ``storage-full`` or ``storage-denied``.
    """
    path = layout.state(job) / f"checkpoint-{seq}.json"
    write_parts(path, content)
    for old in snapshots(layout, job)[KEPT:]:
        remove_file(old)
    return path


# -- reading -------------------------------------------------------------------------------------------------------
def snapshots(layout: Layout, job: JobId) -> list[Path]:
    """The snapshots of a run, newest first."""
    folder = layout.state(job)
    names = names_in(folder, "checkpoint-", ".json")
    return sorted((folder / name for name in names), key=seq_of, reverse=True)


def seq_of(path: Path) -> int:
    """The record that a snapshot's name tells; 0 if it tells none."""
    number = path.stem.removeprefix("checkpoint-")
    return int(number) if number.isdecimal() else 0


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


def _head(line: bytes) -> Snapshot:
    try:
        snapshot = msgspec.json.decode(line, type=Snapshot)
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


def folded(layout: Layout, job: JobId) -> Folded:
    """The state of a run: of its newest usable snapshot, carried on by the records after it."""
    journal = layout.journal(job)
    notes: list[str] = []
    with _unswept():
        for path in snapshots(layout, job):
            try:
                return replace(_carried_on(path, journal, tuple(notes)), begun=path)
            except Unusable as unusable:
                notes.append(f"{path} is not used: {unusable}")
        return carry_on(JobState(), read(journal), tuple(notes))


@contextmanager
def _unswept() -> Iterator[None]:
    """A block without garbage collections: they would look again and again at a state of which nothing is garbage."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def opened(layout: Layout, job: JobId) -> Folded:
    """As ``folded``, for who goes on with the run.

    Raises:
        RunError: ``journal-corrupt`` or ``journal-newer``.
    """
    found = folded(layout, job)
    if found.problem is not None:
        raise found.problem
    return found


def renewed(found: Folded, layout: Layout, job: JobId) -> Folded:
    """``found`` itself if nothing was recorded since it was read, else as ``opened``.

    Raises:
        RunError: ``journal-corrupt`` or ``journal-newer``.
    """
    return found if found.problem is None and found.reader.current() else opened(layout, job)


def followed(found: Folded) -> Folded:
    """``found`` with what was recorded since it was read; its state is changed in place."""
    return carry_on(found.state, JournalReader(found.reader.folder, found.reader.position), found.notes)


def _carried_on(path: Path, journal: Path, notes: tuple[str, ...]) -> Folded:
    snapshot = snapshot_in(path)
    position = Position(snapshot.seq, snapshot.size, snapshot.sum)
    if not ends_with(journal, position):
        raise Unusable("the journal has another record where it ends")
    return carry_on(state_in(path), JournalReader(journal, position), notes)


def carry_on(state: JobState, reader: JournalReader, notes: tuple[str, ...] = ()) -> Folded:
    """``state`` after the records of ``reader``, as far as they can be read."""
    try:
        for record in reader:
            apply(state, record)
    except RunError as problem:
        return Folded(state, reader, problem, notes)
    return Folded(state, reader, None, notes)


def faults(layout: Layout, job: JobId) -> Iterator[tuple[Path | None, str]]:
    """What is wrong with a run's journal (``None``) and its snapshots; all records are read and folded anew."""
    state, due = JobState(), {seq_of(path): path for path in snapshots(layout, job)}
    reader = read(layout.journal(job))
    try:
        for record in reader:
            apply(state, record)
            if (path := due.pop(record.seq, None)) is not None and (fault := _fault(path, state, record.sum)):
                yield path, fault
    except ProdigyError as problem:
        yield None, f"{problem.message} ({problem.where})"
    if reader.damage is not None:
        yield (
            None,
            f"it is cut off at record {reader.damage.number}; the next process that writes moves that aside",
        )
    for path in due.values():
        yield path, "the journal has no record that it could be of"


def _fault(path: Path, state: JobState, record_sum: str) -> str | None:
    try:
        snapshot = snapshot_in(path)
        told = state_in(path)
    except Unusable as unusable:
        return str(unusable)
    if snapshot.sum != record_sum:
        return "it is of another record"
    return None if told == state else "it is not what the records say"


_Each = TypeVar("_Each")


def _rows(things: Iterable[_Each]) -> Iterator[list[_Each]]:
    rest = iter(things)
    while row := list(islice(rest, _ROW)):
        yield row


# -- forms ---------------------------------------------------------------------------------------------------------
def _counter(kind: type[Any], value: Any) -> Any:
    """Counters are objects of numbers in JSON."""
    assert kind is Counter or getattr(kind, "__origin__", None) is Counter, kind
    return Counter(value)


def _digest() -> blake2b:
    return blake2b(digest_size=8)


_decode: Final = msgspec.json.Decoder(_Part, dec_hook=_counter).decode


@cache
def rules() -> str:
    """A checksum of the program that makes a state from records: another one might make another state."""
    folders = [Path(file).parent for file in (events.__file__, fold.__file__)]
    files = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    return blake2b(b"".join(path.read_bytes() for path in files), digest_size=8).hexdigest()
