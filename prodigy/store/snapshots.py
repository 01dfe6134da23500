"""Snapshots of a run's state, so that a long journal need not be folded from its beginning.

``checkpoint-{seq}.json`` beside ``job.json``: the state after record ``seq``, and where that record ends. One is used
only if it is whole, was made by this release, and the journal has, where it should end, the record that it names; else an
older one is, or none. So they can always be deleted, and nothing is ever decided by them: the records are the truth.
"""

import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from prodigy import __version__, events
from prodigy.decoding import JsonDecoder
from prodigy.errors import ProdigyError, RunError
from prodigy.ids import JobId
from prodigy.job import fold
from prodigy.job.fold import apply
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.store.atomic import names_in, remove_file, write_parts
from prodigy.store.journal import JournalReader, Position, ends_with, read
from prodigy.store.sharing import Shared, complete, thinned

FORMAT: Final = 2
_NOTHING: Final = b"null"
KEPT: Final = 2
"""The newest so many are kept."""


class Snapshot(Struct, frozen=True, kw_only=True):
    """One file. ``size`` is in bytes over all segments of the journal; ``sum`` is the checksum of the record ``seq``."""

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
    shared: Shared = Shared()
    """What ``state`` leaves out because it says it elsewhere."""
    digest: str
    """blake2b-64 of ``shared`` and of ``state`` as they stand in the file."""
    state: Raw


_read_snapshot = JsonDecoder(Snapshot)


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
def content_of(state: JobState, job: JobId, position: Position, created_at: datetime) -> tuple[bytes, ...]:
    """The file of a snapshot, in parts; a copy of ``state``, which may change from now on."""
    thin, shared = thinned(state)
    encoded = msgspec.json.encode(thin)
    snapshot = Snapshot(
        job_id=job,
        seq=position.seq,
        sum=position.sum,
        size=position.size,
        created_at=created_at,
        rules=rules(),
        workflow_sha256=state.workflow_sha256,
        shared=shared,
        digest=_digest(shared, encoded),
        state=Raw(_NOTHING),
    )
    head = msgspec.json.encode(snapshot).removesuffix(_NOTHING + b"}")  # large ones are in memory once
    return head, encoded, b"}\n"


def save(layout: Layout, job: JobId, seq: int, content: tuple[bytes, ...]) -> Path:
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
    """A snapshot that is whole and of this release.

    Raises:
        Unusable: it is not.
    """
    try:
        snapshot = _read_snapshot(path.read_bytes())
    except OSError as error:
        raise Unusable(error.strerror or str(error)) from error
    except msgspec.DecodeError as error:
        raise Unusable(f"it cannot be read: {error}") from error
    if snapshot.v != FORMAT or snapshot.prodigy_version != __version__ or snapshot.rules != rules():
        raise Unusable(f"it is of another release, {snapshot.prodigy_version}")
    if snapshot.digest != _digest(snapshot.shared, snapshot.state):
        raise Unusable("its checksum is wrong")
    return snapshot


def state_of(snapshot: Snapshot) -> JobState:
    """The state that it holds.

    Raises:
        Unusable: none.
    """
    try:
        state = _read_state(snapshot.state)
    except msgspec.DecodeError as error:
        raise Unusable(f"it cannot be read: {error}") from error
    complete(state, snapshot.shared)
    return state


def folded(layout: Layout, job: JobId) -> Folded:
    """The state of a run: of its newest usable snapshot, carried on by the records after it."""
    journal = layout.journal(job)
    notes: list[str] = []
    with _unswept():
        for path in snapshots(layout, job):
            try:
                return replace(_carried_on(snapshot_in(path), journal, tuple(notes)), begun=path)
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


def _carried_on(snapshot: Snapshot, journal: Path, notes: tuple[str, ...]) -> Folded:
    position = Position(snapshot.seq, snapshot.size, snapshot.sum)
    if not ends_with(journal, position):
        raise Unusable("the journal has another record where it ends")
    return carry_on(state_of(snapshot), JournalReader(journal, position), notes)


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
        told = state_of(snapshot)
    except Unusable as unusable:
        return str(unusable)
    if snapshot.sum != record_sum:
        return "it is of another record"
    return None if told == state else "it is not what the records say"


# -- forms ---------------------------------------------------------------------------------------------------------
def _counter(kind: type[Any], value: Any) -> Any:
    """Counters are objects of numbers in JSON."""
    assert kind is Counter or getattr(kind, "__origin__", None) is Counter, kind
    return Counter(value)


_read_state = JsonDecoder(JobState, _counter)


def _digest(shared: Shared, encoded: bytes | Raw) -> str:
    content = blake2b(msgspec.json.encode(shared), digest_size=8)
    content.update(memoryview(encoded))
    return content.hexdigest()


@cache
def rules() -> str:
    """A checksum of the program that makes a state from records: another one might make another state."""
    folders = [Path(file).parent for file in (events.__file__, fold.__file__)]
    files = [file for folder in folders for file in sorted(folder.glob("*.py"))]
    return blake2b(b"".join(path.read_bytes() for path in files), digest_size=8).hexdigest()
