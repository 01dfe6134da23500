"""Removing what runs left on disk, a whole folder at a time, and never from a run that a process works at.

A folder is put aside under another name first, so that whatever interrupts the removal, nobody finds half of it.
"""

import hashlib
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from gzip import GzipFile
from pathlib import Path
from typing import Literal

from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.errors import RunError
from prodigy.job.summary import JobSummary
from prodigy.paths import Storage
from prodigy.store.atomic import denied, sync_folder, write_parts
from prodigy.store.journal import journal_size, segments
from prodigy.store.locks import JobLock
from prodigy.store.runs import Run, named_job, summary
from prodigy.store.storage import rooms

Kind = Literal["worktrees", "sessions", "logs", "state", "events", "dlq", "rescue", "archive"]
PlaceKind = Literal["sessions", "logs", "state", "events", "archive"]

_GONE = ".gone-"
_BELOW: Mapping[PlaceKind, Sequence[str]] = {"state": ("mapreduce/jobs", "workflow/jobs")}
"""Where in a room the folders of runs lie, if not at its top."""
_GZIP = 31
"""What zlib calls the form of gzip."""
_CHUNK = 1 << 20


class Place(Struct, frozen=True, kw_only=True):
    """A folder that a run left; ``known`` is what is recorded of the run, ``None`` if nothing is (any more)."""

    kind: PlaceKind
    folder: Path
    run: Run
    known: JobSummary | None
    touched_at: datetime
    size: int
    """Of the run's journal when ``known`` was read."""


def places(kind: PlaceKind, storage: Storage, repo: str | None) -> Iterator[Place]:
    """The folders of one kind, the oldest run first; of one repository, or of all with ``None``."""
    found = _children(kind, storage, repo, "*")
    runs = [
        (run, folder) for name, folder in found if (run := _run_of(kind, storage, name, folder)) is not None
    ]
    for run, folder in sorted(runs, key=lambda pair: pair[0].stem):
        size = journal_size(run.layout.journal(run.job_id))
        known = None if kind == "archive" else summary(run)
        touched = datetime.fromtimestamp(folder.stat().st_mtime, UTC) if known is None else known.updated_at
        yield Place(kind=kind, folder=folder, run=run, known=known, touched_at=touched, size=size)


def _run_of(kind: PlaceKind, storage: Storage, repo: str, folder: Path) -> Run | None:
    """The run whose folder it is; ``None`` for everything else that lies there."""
    name = folder.name
    if kind == "sessions":
        session_kind = "mapreduce" if name.startswith("session-mapreduce-") else "workflow"
        name = f"{session_kind}-{name.removeprefix('session-').removeprefix('mapreduce-')}"
    job = named_job(name)
    return None if job is None or not folder.is_dir() else Run(storage.home, repo, job, storage.local)


def why_kept(place: Place, *, force: bool) -> str | None:
    """Why a folder stays whatever its age; ``None`` if it may go. ``force`` leaves alone only what runs."""
    known = place.known
    if known is None:
        return None
    if known.live:
        return "it is running: `prodigy stop` ends it"
    return None if force else _value_of(known, place.kind)


def _value_of(known: JobSummary, kind: PlaceKind) -> str | None:
    """What of a run that has ended is not done with."""
    damaged = known.status == "corrupt"
    values = (
        (known.resumable, "its journal is damaged" if damaged else f"{known.status}: it can be resumed"),
        (known.dlq_count > 0, f"{known.dlq_count} in the dead letter queue"),
        (known.unmerged, "its work is not merged"),
        (known.uncleaned and kind == "events", "its worktree is still there: `prodigy worktree clean`"),
    )
    return next((why for holds, why in values if holds), None)


def dispose(place: Place, now: datetime, argv: Sequence[str], archive: Path | None = None) -> None:
    """Remove a folder, once it is in the archive if there is to be one.

    Raises:
        RunError: ``already-running``: a process works at the run, or did since the place was looked at.
        MachineError: ``storage-full`` or ``storage-denied``.
    """
    layout, job = place.run.layout, place.run.job_id
    with JobLock.acquire(layout.job_lock(job), since=now, argv=argv):
        if journal_size(layout.journal(job)) != place.size:
            raise RunError("already-running", f"`{job}` went on while this looked at it")
        if archive is not None:
            _archive(place.folder, archive)
        _remove(place.folder)


def sweep(kind: PlaceKind, storage: Storage, repo: str | None) -> None:
    """Remove what earlier removals put aside and did not come to remove."""
    for _, folder in _children(kind, storage, repo, f"{_GONE}*"):
        _empty(folder)


def _children(kind: PlaceKind, storage: Storage, repo: str | None, form: str) -> list[tuple[str, Path]]:
    """The folders of one kind whose names have a form, with the names of their repositories; archives are under home."""
    kept = Storage(storage.home) if kind == "archive" else storage
    return [
        (name, folder)
        for name, room in rooms(kept, kind, repo)
        for below in _BELOW.get(kind, ("",))
        for folder in (room / below).glob(form)
    ]


def _remove(folder: Path) -> None:
    aside = folder.with_name(f"{_GONE}{folder.name}")
    try:
        with crash_point("folder.aside"):
            folder.rename(aside)
        sync_folder(folder.parent)
    except OSError as error:
        raise denied(error, folder) from error
    _empty(aside)


def _empty(folder: Path) -> None:
    try:
        # Two who sweep at once take each other's files away.
        with suppress(FileNotFoundError), crash_point("folder.remove"):
            shutil.rmtree(folder)
    except OSError as error:
        raise denied(error, folder) from error


# -- the archive ---------------------------------------------------------------------------------------------------
def _archive(journal: Path, archive: Path) -> None:
    """Every segment, packed; each is read back before it counts."""
    for segment in segments(journal):
        packed = archive / journal.name / f"{segment.name}.gz"
        write_parts(packed, _packed(segment))
        with segment.open("rb") as before, GzipFile(packed) as after:
            if _digest(iter(lambda: before.read(_CHUNK), b"")) != _digest(
                iter(lambda: after.read(_CHUNK), b"")
            ):
                raise RunError("storage-denied", "What was archived reads otherwise", where=str(packed))


def _packed(file: Path) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=_GZIP)
    with file.open("rb") as content:
        while chunk := content.read(_CHUNK):
            yield packer.compress(chunk)
    yield packer.flush()


def _digest(parts: Iterable[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
