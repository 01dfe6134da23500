"""Snapshots of a run's state, so that a long journal need not be folded from its beginning.

``checkpoint-{seq}.json`` beside ``job.json``: the state after record ``seq``, and where that record ends. One is used
only if it is whole, was made by this release, and the journal has, where it should end, the record that it names; else an
older one is, or none. So they can always be deleted, and nothing is ever decided by them: the records are the truth.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from prodigy.errors import ProdigyError, RunError
from prodigy.ids import JobId
from prodigy.job.fold import apply
from prodigy.job.state import JobState
from prodigy.paths import Layout
from prodigy.store.atomic import names_in, remove_file, write_parts
from prodigy.store.journal import JournalReader, Position, ends_with, read
from prodigy.store.shelf import blank
from prodigy.store.snapshot_lines import Content, Unusable, snapshot_in, state_in

KEPT: Final = 2
"""The newest so many are kept."""


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


# -- writing -------------------------------------------------------------------------------------------------------
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
        return carry_on(blank(journal), read(journal), tuple(notes))


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
    return carry_on(state_in(path, blank(journal)), JournalReader(journal, position), notes)


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
    journal = layout.journal(job)
    state, due = blank(journal), {seq_of(path): path for path in snapshots(layout, job)}
    reader = read(journal)
    try:
        for record in reader:
            apply(state, record)
            if (path := due.pop(record.seq, None)) is not None and (
                fault := _fault(path, state, record.sum, journal)
            ):
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


def _fault(path: Path, state: JobState, record_sum: str, folder: Path) -> str | None:
    try:
        snapshot = snapshot_in(path)
        told = state_in(path, blank(folder))
    except Unusable as unusable:
        return str(unusable)
    if snapshot.sum != record_sum:
        return "it is of another record"
    return None if told == state else "it is not what the records say"
